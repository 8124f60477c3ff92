"""Exchange rates: what may be recorded, which one a day gets, and that nothing is rounded on the way."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from payments.fx import FxRate, NoExchangeRate, RateReused, WrongRate, convert, rate_at, record
from payments.money import UnknownCurrency, ceil_minor

DAY = date(2026, 11, 16)


def known(session: Session, base: str, quote: str, rate: str, day: date = DAY, **more: Any) -> FxRate:
    at = datetime.fromisoformat("2026-11-16T06:00:00Z")
    named: dict[str, Any] = {"provider": "ECB", **more}
    return record(session, base=base, quote=quote, rate=Decimal(rate), as_of=day, now=at, **named)


def test_a_rate_is_recorded_once(session: Session) -> None:
    first = known(session, "EUR", "KES", "149.85", note="reference rate")
    assert known(session, "EUR", "KES", "149.850").id == first.id
    with pytest.raises(RateReused):
        known(session, "EUR", "KES", "149.86")
    assert known(session, "EUR", "KES", "149.86", provider="CBK").id != first.id


@pytest.mark.parametrize(
    "rate", ["0", "-1", "1e12", "0.0000000000001", "1.0000000000001", "NaN", "Infinity", "1e-99999999"]
)
def test_wrong_rates_are_refused(session: Session, rate: str) -> None:
    with pytest.raises(WrongRate):
        known(session, "EUR", "KES", rate)


@pytest.mark.parametrize("rate", ["", "1,5", " 1", "1_0", "0x1", "1e3", "-2"])
def test_text_is_a_plain_decimal(session: Session, now: datetime, rate: str) -> None:
    with pytest.raises(WrongRate):
        record(session, base="EUR", quote="KES", rate=rate, provider="ECB", as_of=DAY, now=now)


@pytest.mark.parametrize("rate", [149.85, 150, None, True])
def test_floats_never_become_rates(session: Session, now: datetime, rate: Any) -> None:
    with pytest.raises(TypeError):
        record(session, base="EUR", quote="KES", rate=rate, provider="ECB", as_of=DAY, now=now)


def test_currencies_are_two_and_known_on_the_day(session: Session) -> None:
    with pytest.raises(UnknownCurrency):
        known(session, "EUR", "XXX", "1")
    with pytest.raises(UnknownCurrency):
        known(session, "EUR", "BGN", "1.95583")
    assert known(session, "EUR", "BGN", "1.95583", date(2025, 12, 31)).quote == "BGN"
    with pytest.raises(WrongRate):
        known(session, "EUR", "EUR", "1")
    with pytest.raises(WrongRate):
        known(session, "EUR", "KES", "1", provider=" ")


@pytest.mark.parametrize(
    "statement", ["UPDATE fx_rate SET rate = 1", "DELETE FROM fx_rate", "TRUNCATE fx_rate CASCADE"]
)
def test_the_database_refuses_to_change_rates(session: Session, statement: str) -> None:
    known(session, "EUR", "KES", "149.85")
    with pytest.raises(IntegrityError, match="only grows"), session.begin_nested():
        session.execute(text(statement))


def test_a_day_gets_the_newest_rate_known_by_then(session: Session) -> None:
    days = [known(session, "EUR", "KES", f"{140 + n}", DAY + timedelta(n)) for n in (0, 3, 9)]
    for offset, expected in ((0, 0), (2, 0), (3, 1), (8, 1), (9, 2), (99, 2), (-1, 0)):
        found = rate_at(session, "EUR", "KES", DAY + timedelta(offset))
        assert (found.id, found.as_of) == (days[expected].id, days[expected].as_of)


def test_an_inverse_is_exact(session: Session) -> None:
    stored = known(session, "KES", "EUR", "0.0067")
    found = rate_at(session, "EUR", "KES", DAY)
    assert (found.id, found.value, found.through) == (stored.id, Fraction(10_000, 67), None)


def test_the_newer_direction_goes_first_and_direct_on_the_same_day(session: Session) -> None:
    direct = known(session, "USD", "KES", "129")
    known(session, "KES", "USD", "0.0077")
    assert rate_at(session, "USD", "KES", DAY).id == direct.id
    newer = known(session, "KES", "USD", "0.0078", DAY + timedelta(1))
    assert rate_at(session, "USD", "KES", DAY + timedelta(1)).id == newer.id


def test_a_cross_goes_through_the_euro_and_names_both(session: Session) -> None:
    first = known(session, "EUR", "USD", "1.08", DAY - timedelta(2))
    second = known(session, "EUR", "KES", "149.85")
    found = rate_at(session, "USD", "KES", DAY)
    assert (found.id, found.through, found.as_of) == (first.id, second.id, DAY - timedelta(2))
    assert found.value == Fraction("149.85") / Fraction("1.08")
    later = known(session, "USD", "KES", "139", DAY + timedelta(5))
    assert rate_at(session, "USD", "KES", DAY).through == second.id
    assert rate_at(session, "USD", "KES", DAY - timedelta(9)).id == later.id


def test_a_later_leg_is_better_than_none(session: Session) -> None:
    known(session, "EUR", "USD", "1.08")
    known(session, "EUR", "KES", "150", DAY + timedelta(3))
    assert rate_at(session, "USD", "KES", DAY).value == Fraction(150) / Fraction("1.08")


def test_no_rate_is_said_plainly(session: Session) -> None:
    known(session, "EUR", "USD", "1.08")
    for pair in (("USD", "PHP"), ("EUR", "PHP"), ("PHP", "EUR")):
        with pytest.raises(NoExchangeRate):
            rate_at(session, *pair, DAY)
    assert rate_at(session, "PHP", "PHP", DAY).value == 1


def test_conversion_minds_the_decimals_of_both(session: Session) -> None:
    assert convert(1_00, "EUR", "JPY", Fraction(163)) == 163
    assert convert(1, "JPY", "KWD", Fraction("0.002")) == 2
    assert ceil_minor(convert(12_31, "USD", "KES", Fraction("129.5"))) == 159_415
    for wrong in ((1.0, Fraction(1)), (True, Fraction(1)), (1, 1.5), (1, Decimal(2))):
        with pytest.raises(TypeError):
            convert(wrong[0], "EUR", "KES", wrong[1])  # type: ignore[arg-type]


@given(
    st.integers(-(10**15), 10**15),
    st.decimals("0.000000000001", "999999999", places=12).filter(bool),
    st.sampled_from(["EUR", "JPY", "KWD", "KES"]),
    st.sampled_from(["EUR", "JPY", "KWD", "KES"]),
)
def test_there_and_back_is_the_same(amount: int, rate: Decimal, base: str, quote: str) -> None:
    there = convert(amount, base, quote, Fraction(rate))
    assert convert(there, quote, base, 1 / Fraction(rate)) == amount


def test_a_rate_recorded_later_changes_nothing_that_was_computed_before(session: Session) -> None:
    first = known(session, "EUR", "KES", "150")
    at = first.recorded_at + timedelta(days=3)
    rate = Decimal(160)
    record(session, base="EUR", quote="KES", rate=rate, as_of=DAY, now=at, provider="correction")
    assert rate_at(session, "EUR", "KES", DAY, first.recorded_at).id == first.id
    assert rate_at(session, "EUR", "KES", DAY).id != first.id
