"""The floor: highest of the rules that cover a place and day, converted exactly, with a trace; drafts never count."""

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from payments import rules
from payments.floors import NoRule, document_hash, hourly, hourly_rate, hours_in, name, note, resolve
from payments.rules import (
    AlreadyVerified,
    InvalidRule,
    NoSuchRule,
    NotVerified,
    RuleRecorded,
    change_status,
    in_force,
    record,
    ship,
    shipped,
    suspended,
    verify,
)
from schemas.pay_rules import check

TODAY = date(2026, 11, 16)
EUROS = {"EUR": Fraction(1), "USD": Fraction(11, 10), "KES": Fraction(150), "GBP": Fraction(88, 100)}


def convert(amount: Fraction, base: str, quote: str) -> Fraction:
    return amount * EUROS[quote] / EUROS[base]


def no_conversion(amount: Fraction, base: str, quote: str) -> Fraction:
    raise AssertionError(f"{amount} {base} need not become {quote}")


def draft(rule_id: str, amount: str = "9", version: int = 1) -> dict[str, Any]:
    return rule(rule_id, "AA", amount, version=version, status="draft")


def rule(rule_id: str, place: str | None, amount: str, **other: Any) -> dict[str, Any]:
    per = other.pop("per", "hour")
    return {
        "id": rule_id,
        "version": 1,
        "kind": "statutory",
        "status": "in_force",
        "jurisdiction": place,
        "area": None,
        "currency": "EUR",
        "rates": [{"per": per, "amount": amount}],
        "authoritative_unit": per,
        "hours_basis": None,
        "effective_from": "2026-01-01",
        "effective_to": None,
        "time_zone": "UTC",
        "source": {"title": "A gazette"},
        "recorded_at": "2026-01-01T00:00:00Z",
        "supersedes": None,
        "confidence": "A",
        "verified_by": [],
        "review_by": "2027-01-01",
        **other,
    }


@pytest.fixture(scope="module")
def shipped_in_force() -> list[dict[str, Any]]:
    return [{**document, "status": "in_force"} for document in shipped()]


# One document


def test_the_instruments_own_hour_counts() -> None:
    kenya = next(one for one in shipped() if one["id"] == "KE.general.cities.labourer")
    assert hourly_rate(kenya) == 16134
    by_month = {**kenya, "rates": [kenya["rates"][2]], "authoritative_unit": "month"}
    assert hourly_rate(by_month) == Fraction(1804740 * 12, 52 * 52)


def test_an_authoritative_hour_stands_beside_a_higher_day() -> None:
    rates = [{"per": "hour", "amount": "10"}, {"per": "day", "amount": "90"}]
    basis = {"day": "8", "source": "article 1"}
    assert hourly_rate(rule("A", "AA", "1", rates=rates, hours_basis=basis)) == 1000
    by_day = rule("A", "AA", "1", rates=rates, hours_basis=basis, authoritative_unit="day")
    assert hourly_rate(by_day) == Fraction(9000, 8)


def test_the_highest_of_several_units_counts() -> None:
    rates = [{"per": "month", "amount": "1600"}, {"per": "day", "amount": "90"}]
    basis = {"week": "40", "days_per_week": 5, "source": "article 1"}
    document = rule("A", "AA", "1", rates=rates, authoritative_unit="month", hours_basis=basis)
    assert hourly_rate(document) == Fraction(9000, 8)
    own = hourly(document)
    assert own is not None
    assert (own.basis, own.provisional) == ("day of 8 hours", False)


@pytest.mark.parametrize(
    ("unit", "hours"), [("day", 7), ("week", 35), ("month", Fraction(455, 3)), ("year", 1820)]
)
def test_unknown_hours_are_the_shortest_plausible(unit: str, hours: Fraction) -> None:
    own = hourly(rule("A", "AA", "100", per=unit))
    assert own is not None
    assert own.provisional
    assert own.rate == Fraction(10000) / hours


def test_hours_that_a_document_assumes_are_provisional() -> None:
    bulgaria = next(one for one in shipped() if one["id"] == "BG.minimum")
    own = hourly(bulgaria)
    assert own is not None
    assert own.provisional
    assert own.rate == Fraction(62020 * 12, 35 * 52)


@pytest.mark.parametrize(
    ("basis", "unit", "hours"),
    [
        ({"week": "52", "days_per_week": 6}, "month", Fraction(676, 3)),
        ({"week": "52", "days_per_week": 6}, "day", Fraction(26, 3)),
        ({"week": "35", "month": "151.67"}, "month", Fraction("151.67")),
        ({"month": "208"}, "week", 48),
        ({"year": "1820"}, "month", Fraction(455, 3)),
        ({"day": "8", "days_per_week": 6}, "month", 208),
        ({"day": "8"}, "day", 8),
    ],
)
def test_hours_of_an_instrument(basis: dict[str, Any], unit: str, hours: Fraction) -> None:
    assert hours_in(unit, basis) == (hours, True)


def test_hours_of_zero_are_no_hours() -> None:
    assert hours_in("month", {"month": "0"}) == (Fraction(455, 3), False)


def test_amounts_finer_than_the_currency_stay_exact() -> None:
    assert hourly_rate(rule("A", "TN", "2.6675", currency="TND")) == Fraction(26675, 10)


def test_no_minimum_is_not_zero() -> None:
    with pytest.raises(NoRule):
        hourly_rate(rule("FI.none", "FI", "0", rates=[]))


# Resolution


def test_nairobi(shipped_in_force: list[dict[str, Any]]) -> None:
    floor = resolve(shipped_in_force, "KE", "cities-1", TODAY, no_conversion)
    assert (int(floor.rate), floor.currency, floor.rule) == (27500, "KES", "platform.KE@1")
    applied = {entry["rule"]: entry["applied"] for entry in floor.trace}
    assert applied == {
        "KE.general.cities.clerk@1": False,
        "KE.general.cities.labourer@1": False,
        "platform.KE@1": True,
    }
    platform = next(entry for entry in floor.trace if entry["applied"])
    assert note(platform) == "275.00 KES an hour (its own hourly amount); applies, the highest"
    assert json.loads(json.dumps(floor.trace)) == floor.trace


def test_a_part_of_a_country_goes_before_its_country(shipped_in_force: list[dict[str, Any]]) -> None:
    california = resolve(shipped_in_force, "US-CA", None, TODAY, no_conversion)
    assert (int(california.rate), california.rule) == (1690, "US-CA.minimum@1")
    assert "US.federal@1" in {entry["rule"] for entry in california.trace}
    texas = resolve(shipped_in_force, "US-TX", None, TODAY, no_conversion)
    assert (int(texas.rate), texas.rule) == (1500, "platform.US@1")
    assert "US-CA.minimum@1" not in {entry["rule"] for entry in texas.trace}


def test_the_law_alone_decides_where_no_platform_floor_is_higher() -> None:
    federal = rule("US", "US", "7.25", currency="USD")
    state = rule("US-CA", "US-CA", "16.90", currency="USD")
    assert resolve([federal, state], "US-CA", None, TODAY, no_conversion).rate == 1690
    assert resolve([federal, state], "US-TX", None, TODAY, no_conversion).rate == 725


@pytest.mark.parametrize("place", ["FI", "SE", "DK", "AT", "IT"])
def test_where_the_law_states_none_the_platform_floor_applies(
    place: str, shipped_in_force: list[dict[str, Any]]
) -> None:
    floor = resolve(shipped_in_force, place, None, TODAY, no_conversion)
    assert (int(floor.rate), floor.currency, floor.rule) == (580, "EUR", "platform.default@1")
    none = next(entry for entry in floor.trace if entry["rule"] == f"{place}.none@1")
    assert not none["applied"]
    assert "never read as zero" in note(none)
    assert "hourly" not in none


def test_an_unknown_place_gets_the_platform_floor(shipped_in_force: list[dict[str, Any]]) -> None:
    assert resolve(shipped_in_force, "", None, TODAY, no_conversion).rule == "platform.default@1"
    with pytest.raises(NoRule):
        resolve([rule("A", "AA", "1")], "BB", None, TODAY, no_conversion)


def test_an_area_not_told_never_costs(shipped_in_force: list[dict[str, Any]]) -> None:
    city, land = rule("C", "AA", "9", area="city"), rule("L", "AA", "7", area="land")
    everywhere = rule("E", "AA", "5")
    known = [city, land, everywhere]
    assert resolve(known, "AA", "land", TODAY, no_conversion).rule == "L@1"
    assert resolve(known, "AA", "sea", TODAY, no_conversion).rule == "E@1"
    assert resolve(known, "AA", None, TODAY, no_conversion).rule == "C@1"
    assert resolve(shipped_in_force, "US-NY", "rest-of-state", TODAY, no_conversion).rate == 1600


def test_first_and_last_day_count(shipped_in_force: list[dict[str, Any]]) -> None:
    for day, rate in ((date(2026, 12, 31), 1390), (date(2027, 1, 1), 1460)):
        assert resolve(shipped_in_force, "DE", None, day, no_conversion).rate == rate
    lower = [rule("A", "AA", "9"), rule("A", "AA", "8", version=2, effective_from="2026-07-01")]
    assert resolve(lower, "AA", None, date(2026, 6, 30), no_conversion).rate == 900
    assert resolve(lower, "AA", None, date(2026, 7, 1), no_conversion).rule == "A@2"


def test_an_ended_rule_does_not_count_from_the_day_that_it_names() -> None:
    ending = [rule("A", "AA", "9", effective_to="2026-07-01"), rule("B", "AA", "5")]
    assert resolve(ending, "AA", None, date(2026, 6, 30), no_conversion).rule == "A@1"
    assert resolve(ending, "AA", None, date(2026, 7, 1), no_conversion).rule == "B@1"
    with pytest.raises(NoRule):
        resolve(ending, "AA", None, date(2025, 12, 31), no_conversion)


def test_suspended_is_shown_and_not_applied() -> None:
    old = rule("PH", "PH", "695", currency="PHP", per="day")
    enjoined = {**old, "version": 2, "status": "suspended", "rates": [{"per": "day", "amount": "755"}]}
    floor = resolve([old, enjoined], "PH", None, TODAY, no_conversion)
    assert floor.rule == "PH@1"
    shown = next(entry for entry in floor.trace if entry["rule"] == "PH@2")
    assert (shown["applied"], shown["status"]) == (False, "suspended")
    assert Fraction(shown["hourly"]) == Fraction(75500, 7)
    assert "suspended, not applied" in note(shown)


@pytest.mark.parametrize("status", ["draft", "repealed", "superseded"])
def test_only_rules_in_force_count(status: str) -> None:
    floor = resolve(
        [rule("A", "AA", "1"), rule("B", "AA", "9", status=status)], "AA", None, TODAY, no_conversion
    )
    assert floor.rule == "A@1"


def test_promises_and_agreements_raise_and_benchmarks_advise() -> None:
    law = rule("law", "AA", "9")
    promise = rule("promise", None, "12", kind="requester_promise")
    agreement = rule("agreement", "AA", "11", kind="agreement")
    benchmark = rule("living", "AA", "20", kind="benchmark")
    assert resolve([law, agreement, benchmark], "AA", None, TODAY, no_conversion).rule == "agreement@1"
    floor = resolve([law, promise, agreement, benchmark], "AA", None, TODAY, no_conversion)
    assert (floor.rule, int(floor.rate)) == ("promise@1", 1200)
    assert "advice" in next(note(entry) for entry in floor.trace if entry["rule"] == "living@1")
    low = {**agreement, "rates": [{"per": "hour", "amount": "3"}]}
    assert resolve([law, low], "AA", None, TODAY, no_conversion).rule == "law@1"


def test_the_nearest_platform_floor_counts() -> None:
    anywhere = rule("any", None, "20", kind="platform")
    country = rule("land", "AA", "5", kind="platform")
    part = rule("part", "AA-B", "4", kind="platform")
    known = [anywhere, country, part]
    assert resolve(known, "AA-B", None, TODAY, no_conversion).rule == "part@1"
    assert resolve(known, "AA", None, TODAY, no_conversion).rule == "land@1"
    assert resolve(known, "BB", None, TODAY, no_conversion).rule == "any@1"
    suspended_part = {**part, "status": "suspended"}
    assert resolve([anywhere, country, suspended_part], "AA-B", None, TODAY, no_conversion).rule == "land@1"


def test_another_currency_is_converted_exactly_into_the_laws() -> None:
    law = rule("GB", "GB", "5.10", currency="GBP")
    platform = rule("any", None, "5.80", kind="platform")
    floor = resolve([law, platform], "GB", None, TODAY, convert)
    assert (floor.currency, floor.rule) == ("GBP", "any@1")
    assert floor.rate == Fraction(58000, 100) * Fraction(88, 100)
    in_dollars = resolve([law, platform], "GB", None, TODAY, convert, currency="USD")
    assert (in_dollars.currency, in_dollars.rate) == ("USD", Fraction(638))
    assert in_dollars.trace[1]["compared"] == "638"


def test_a_missing_exchange_rate_is_never_passed_over() -> None:
    law, platform = rule("GB", "GB", "12", currency="GBP"), rule("any", None, "5.80", kind="platform")
    with pytest.raises(AssertionError, match="EUR"):
        resolve([law, platform], "GB", None, TODAY, no_conversion)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_highest_applies_in_any_order(amounts: list[int], random: Any) -> None:
    known = [rule(f"r{place}", "AA", str(amount)) for place, amount in enumerate(amounts)]
    floor = resolve(known, "AA", None, TODAY, no_conversion)
    assert floor.rate == 100 * max(amounts)
    random.shuffle(known)
    assert resolve(known, "AA", None, TODAY, no_conversion) == floor
    assert [entry["rule"] for entry in floor.trace if entry["applied"]] == [floor.rule]


# Shipped documents


def test_shipped_documents_are_valid_drafts() -> None:
    documents = shipped()
    assert len(documents) > 30
    for document in documents:
        assert check(document) == []
        assert (document["status"], document["verified_by"]) == ("draft", [])
        found = hourly(document)
        assert (found is None) == document["id"].endswith(".none")
    assert len({name(document) for document in documents}) == len(documents)


def test_shipped_files_are_named_by_their_rule() -> None:
    for path in rules.SHIPPED.glob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        version = "" if document["version"] == 1 else f".v{document['version']}"
        assert path.name == f"{document['id']}{version}.json"


def test_the_hash_is_of_what_the_rule_says() -> None:
    document = rule("A", "AA", "9")
    assert document_hash(document) == document_hash(
        {**document, "status": "draft", "verified_by": [{"who": "x"}]}
    )
    assert document_hash(document) != document_hash({**document, "note": "é"})
    assert document_hash(document) == document_hash(dict(reversed(document.items())))


# Recorded rules


def test_two_people_bring_a_rule_in_force(session: Session, now: datetime) -> None:
    recorded = record(session, draft("A"), now)
    assert recorded.status == "draft"
    assert verify(session, "A", 1, "amina", now).status == "draft"
    with pytest.raises(AlreadyVerified):
        verify(session, "A", 1, "amina", now + timedelta(days=1))
    assert in_force(session, now + timedelta(days=1)) == []
    later = now + timedelta(days=2)
    assert verify(session, "A", 1, "bram", later).status == "in_force"
    assert in_force(session, later - timedelta(seconds=1)) == []
    (known,) = in_force(session, later)
    assert known["status"] == "in_force"
    assert [entry["who"] for entry in known["verified_by"]] == ["amina", "bram"]
    assert resolve([known], "AA", None, TODAY, no_conversion).sha256 == recorded.sha256


def test_what_was_known_stays_known(session: Session, now: datetime) -> None:
    record(session, draft("A"), now)
    for who in ("amina", "bram"):
        verify(session, "A", 1, who, now)
    injunction = now + timedelta(days=5)
    change_status(session, "A", 1, "suspended", who="amina", instrument="Court of Pasig", now=injunction)
    session.expire_all()
    assert in_force(session, injunction) == []
    assert [one["id"] for one in suspended(session, injunction)] == ["A"]
    assert [one["id"] for one in in_force(session, injunction - timedelta(seconds=1))] == ["A"]
    lifted = injunction + timedelta(days=5)
    change_status(session, "A", 1, "in_force", who="bram", instrument="Court of Appeal", now=lifted)
    assert [one["id"] for one in in_force(session, lifted)] == ["A"]


def test_nothing_comes_in_force_unverified(session: Session, now: datetime) -> None:
    record(session, draft("A"), now)
    verify(session, "A", 1, "amina", now)
    with pytest.raises(NotVerified):
        change_status(session, "A", 1, "in_force", who="amina", instrument="none", now=now)
    with pytest.raises(InvalidRule):
        change_status(session, "A", 1, "draft", who="amina", instrument="none", now=now)
    with pytest.raises(NoSuchRule):
        verify(session, "A", 2, "amina", now)


def test_a_document_does_not_bring_itself_in_force(session: Session, now: datetime) -> None:
    signed = [{"who": who, "at": "2026-01-01T00:00:00Z"} for who in ("amina", "bram")]
    claimed = record(session, rule("A", "AA", "9", verified_by=signed), now)
    assert (claimed.status, claimed.verified_by) == ("draft", [])
    assert in_force(session, now) == []


def test_a_recorded_version_never_changes(session: Session, now: datetime) -> None:
    first = record(session, draft("A"), now)
    assert record(session, draft("A"), now + timedelta(days=1)) is first
    with pytest.raises(RuleRecorded):
        record(session, draft("A", "10"), now)
    assert record(session, draft("A", "10", 2), now).version == 2


@pytest.mark.parametrize(
    "broken",
    [
        lambda document: document.pop("currency"),
        lambda document: document.update(currency="euro"),
        lambda document: document["rates"][0].update(amount=9.5),
        lambda document: document.update(surprise=1),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(
    broken: Callable[[dict[str, Any]], Any], session: Session, now: datetime
) -> None:
    document = draft("A")
    broken(document)
    with pytest.raises(InvalidRule) as refused:
        record(session, document, now)
    assert all(problem["pointer"] for problem in refused.value.details["problems"])


def test_shipping(session: Session, now: datetime) -> None:
    drafts = ship(session, now)
    assert {one.status for one in drafts} == {"draft"}
    assert in_force(session, now) == []
    assert {one.status for one in ship(session, now, ["one person alone"])} == {"draft"}
    again = ship(session, now, ["one person alone", "another"])
    assert [one.id for one in again] == [one.id for one in drafts]
    assert {one.status for one in again} == {"in_force"}
    assert {entry["note"] for one in again for entry in one.verified_by} == {"demo, unverified"}
    ship(session, now, ["one person alone", "another"])
    known = in_force(session, now)
    assert len(known) == len(shipped())
    assert resolve(known, "KE", "cities-1", TODAY, no_conversion).rate == 27500
