"""Terms, quotes and offers: sealed in the workers' favour, priced by the real floors, exact to the minor unit."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import factories
import pytest
from sqlalchemy.orm import Session

from payments import rules, terms
from payments.applied_floors import Floors
from payments.fx import NoExchangeRate
from payments.money import UnknownCurrency
from payments.quotes import PastPay, answer_cost, quote, worker_offer
from payments.terms import NoTerms, TermsSealed, WrongTerms, floor_for, plain, terms_of
from schemas import pay_rules
from tasks.batches import Batch
from tasks.items import add_items
from tasks.people import Person


@pytest.fixture
def batch(session: Session, now: datetime) -> Batch:
    factories.floors(session, now)
    made: Batch = factories.batch(session, now, items=10, answers_wanted=2)
    return made


def document(batch: Batch, session: Session) -> dict[str, Any]:
    found = terms_of(session, batch.id).promise()
    assert found is not None
    return found


def test_terms_are_kept_exactly(session: Session, batch: Batch, now: datetime) -> None:
    with pytest.raises(NoTerms):
        terms_of(session, batch.id)
    made = factories.terms(session, batch, now, piece_price="0.125", currency="USD")
    assert [made.price, made.estimate_seconds_p95, made.revision] == [Fraction(25, 2), 120, 1]
    assert made.fee == Fraction(1, 10)
    assert made.grace_seconds == 120
    again = factories.terms(session, batch, now, pay_mode="hourly", piece_price=None, hourly_rate="300")
    assert again is made
    assert [made.price, made.revision] == [0, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pay_mode": "tip"},
        {"pay_mode": "hourly"},
        {"piece_price": None},
        {"piece_price": "0"},
        {"piece_price": "-1"},
        {"piece_price": "0.0000001"},
        {"piece_price": "1e3"},
        {"piece_price": Decimal("NaN")},
        {"piece_price": Decimal("1e400")},
        {"piece_price": "1000000001"},
        {"hourly_rate": "0"},
        {"estimate_seconds": 0},
        {"estimate_seconds": 100, "estimate_seconds_p95": 99},
        {"estimate_seconds": 90_000},
        {"fee_percent": "101"},
        {"fee_percent": "-1"},
        {"sensitive_multiplier": "0.99"},
    ],
)
def test_terms_that_cannot_be_are_refused(
    session: Session, batch: Batch, now: datetime, wrong: dict[str, Any]
) -> None:
    with pytest.raises(WrongTerms) as refused:
        factories.terms(session, batch, now, **wrong)
    assert refused.value.details["field"] in {*wrong, "piece_price"}
    assert terms.find_terms(session, batch.id) is None


def test_a_price_is_never_a_float_and_a_currency_must_exist(
    session: Session, batch: Batch, now: datetime
) -> None:
    with pytest.raises(TypeError):
        factories.terms(session, batch, now, piece_price=0.1)
    for currency in ("XXX", "BGN", "kes"):
        with pytest.raises(UnknownCurrency):
            factories.terms(session, batch, now, currency=currency)


def test_sealed_terms_change_only_in_the_workers_favour(
    session: Session, batch: Batch, now: datetime
) -> None:
    made = factories.terms(session, batch, now, hourly_rate="300")
    terms.seal(session, made, now)
    for wrong in (
        {"piece_price": "4.99"},
        {"hourly_rate": "299"},
        {"hourly_rate": None},
        {"currency": "USD"},
        {"estimate_seconds": 61},
        {"fee_percent": "9"},
        {"pay_mode": "hourly", "piece_price": None},
    ):
        with pytest.raises(TermsSealed):
            factories.terms(session, batch, now, **{"hourly_rate": "300", **wrong})
    raised = factories.terms(session, batch, now, piece_price="6", hourly_rate="310")
    assert [raised.price, raised.revision, raised.sealed_at] == [600, 2, now]


def test_the_grace_gives_time_to_read_the_longest_item(session: Session, batch: Batch, now: datetime) -> None:
    row = {"key": "long", "line": 99, "data": {"text": "word " * 1000}, "meta": {}, "gold": None}
    add_items(session, batch.id, [row], 2)
    # 1,000 words (and the empty one after the last space) at 150 a minute.
    assert factories.terms(session, batch, now).grace_seconds == 401


def test_a_promise_is_a_sound_pay_rule_and_raises_the_floor(
    session: Session, batch: Batch, now: datetime
) -> None:
    factories.terms(session, batch, now, pay_mode="hourly", piece_price=None, hourly_rate="300.50")
    promise = document(batch, session)
    # Nobody verifies a promise but the requester who made it.
    assert pay_rules.check({**promise, "status": "draft"}) == []
    floors = Floors(session, now, now.date())
    kenya = floors.at("KE", "cities-1", now, promise)
    assert [kenya.rate, kenya.currency, kenya.rule] == [30050, "KES", f"promise.{batch.id}@1"]
    # In the United States the promise is worth less than the floor, which stays.
    america = floors.at("US", None, now, promise)
    assert america.currency == "USD"
    assert america.rule != kenya.rule
    assert america.rate == floors.at("US", None, now).rate


def test_floor_for_names_its_rule_and_asks_each_rule_for_its_own_midnight(
    session: Session, now: datetime
) -> None:
    factories.floors(session, now)
    berlin = [one for one in rules.in_force(session, now) if one["id"] == "DE.mindestlohn"]
    assert {one["effective_from"] for one in berlin} >= {"2027-01-01"}
    last = datetime.fromisoformat("2026-12-31T22:59:59+00:00")
    before, after = (
        floor_for(session, "DE", None, moment, now) for moment in (last, last + timedelta(seconds=1))
    )
    assert before.sha256 != after.sha256
    assert after.rate > before.rate
    changes = Floors(session, now, now.date()).changes(
        "DE", last - timedelta(days=1), last + timedelta(days=1)
    )
    assert last + timedelta(seconds=1) in changes
    assert floor_for(session, None, None, now.date(), now).rule.startswith("platform.default@")


def test_a_quote_prices_every_place_where_workers_live(session: Session, batch: Batch, now: datetime) -> None:
    for _ in range(3):
        factories.worker(session, now)
    factories.worker(session, now, place="US", area=None, time_zone="America/New_York")
    factories.worker(session, now, place=None, area=None)
    factories.terms(session, batch, now, piece_price="5")
    found = quote(session, batch, now)

    dearest, *_ = found.places
    assert [one.workers for one in found.places if one.place == "KE"] == [3]
    assert dearest.place == "US"
    assert dearest.rule.startswith("platform.US@")
    # 15.00 USD are 1500 / 1.10 * 150 in KES cents; the slow answer takes 120 s.
    assert dearest.floor == Fraction(1500 * 150 * 100, 110)
    assert dearest.slow == dearest.floor * 120 / 3600
    assert dearest.short_by == dearest.floor / 60 - 500
    kenya = next(one for one in found.places if one.place == "KE")
    assert [kenya.floor, kenya.typical, kenya.short_by] == [27500, 500, 0]
    assert found.answers == 20
    assert found.total_p95 == -(-(20 * dearest.slow)).__floor__() + found.fee_p95
    assert found.agreed + found.topups_p95 + found.fee_p95 == found.total_p95
    assert found.agreed + found.topups_p50 + found.fee_p50 == found.total_p50 < found.total_p95
    assert answer_cost(session, batch, now).slow == dearest.slow * Fraction(11, 10)


def test_a_quote_counts_only_workers_whose_languages_fit(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    factories.worker(session, now, place="US", languages=["es"])
    factories.worker(session, now, languages=["en"])
    made = factories.batch(session, now, languages=["en", "fr"])
    factories.terms(session, made, now)
    assert [one.place for one in quote(session, made, now).places] == ["KE"]


def test_without_workers_the_platforms_own_floor_is_quoted(
    session: Session, batch: Batch, now: datetime
) -> None:
    factories.terms(session, batch, now, pay_mode="hourly", piece_price=None)
    (nowhere,) = quote(session, batch, now).places
    assert nowhere.rule.startswith("platform.default@")
    assert nowhere.floor == 580 * 150


def test_a_place_without_an_exchange_rate_does_not_stop_the_others(
    session: Session, batch: Batch, now: datetime
) -> None:
    lost = factories.worker(session, now, place="AU", area=None)
    factories.terms(session, batch, now)
    with pytest.raises(NoExchangeRate):
        quote(session, batch, now)
    factories.worker(session, now)
    assert [one.place for one in quote(session, batch, now).places] == ["KE"]
    with pytest.raises(NoExchangeRate):
        worker_offer(session, batch, lost, now)


def test_an_offer_is_honest_in_the_workers_own_currency(
    session: Session, batch: Batch, now: datetime
) -> None:
    amina: Person = factories.worker(session, now)
    factories.terms(session, batch, now, piece_price="5")
    offer = worker_offer(session, batch, amina, now)
    assert [offer.currency, offer.price, offer.floor, offer.hourly] == ["KES", 500, 27500, 30000]

    joe = factories.worker(session, now, place="US", area=None)
    abroad = worker_offer(session, batch, joe, now)
    assert [abroad.currency, abroad.floor, abroad.hourly] == ["USD", 1500, 1500]
    assert abroad.price == Fraction(500 * 110, 150 * 100)

    past = PastPay("KES", 12, Fraction(26000), Fraction(31000), Fraction(40000))
    known = worker_offer(session, batch, amina, now, past)
    assert [known.hourly_low, known.hourly, known.hourly_high] == [27500, 31000, 40000]
    assert (known.workers, known.estimated) == (12, False)
    few = replace(past, workers=4, seconds_each=41, measured_in=("Spring",))
    told = worker_offer(session, batch, amina, now, few)
    assert told.hourly == 31000
    assert (told.hourly_low, told.hourly_high, told.workers) == (None, None, 4)
    assert (told.seconds_each, told.measured_in) == (41, ("Spring",))


def test_a_promise_by_the_hour_is_the_offer(session: Session, batch: Batch, now: datetime) -> None:
    factories.terms(session, batch, now, pay_mode="hourly", piece_price=None, hourly_rate="320")
    offer = worker_offer(session, batch, factories.worker(session, now), now)
    assert [offer.price, offer.floor, offer.hourly] == [0, 32000, 32000]
    past = PastPay("KES", 12, Fraction(1), Fraction(2), Fraction(3))
    assert worker_offer(session, batch, factories.worker(session, now), now, past).hourly == 32000


def test_sensitive_content_raises_the_floor(session: Session, batch: Batch, now: datetime) -> None:
    factories.terms(session, batch, now, sensitive_multiplier="1.25")
    amina = factories.worker(session, now)
    assert worker_offer(session, batch, amina, now).floor == Fraction(27500 * 5, 4)
    assert quote(session, batch, now).places[0].floor == Fraction(27500 * 5, 4)


def test_amounts_are_written_plainly() -> None:
    assert [plain(Decimal(one)) for one in ("300.500000", "300.000000", "1E+3", "0.000001")] == [
        "300.5",
        "300",
        "1000",
        "0.000001",
    ]
