"""Money is exact: text goes in and comes out unchanged, rounding goes one way, and no float gets in."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.money import (
    CURRENCIES,
    Money,
    NotAnAmount,
    UnknownCurrency,
    ceil_minor,
    exponent,
    floor_minor,
    minor,
    text,
)

currencies = st.sampled_from(sorted(CURRENCIES))
amounts = st.fractions(min_value=-(10**9), max_value=10**9)


@pytest.mark.parametrize(
    ("currency", "places"),
    [("KES", 2), ("EUR", 2), ("JPY", 0), ("UGX", 0), ("TND", 3), ("KWD", 3), ("MGA", 2)],
)
def test_decimals(currency: str, places: int) -> None:
    assert exponent(currency) == places


def test_a_currency_ends() -> None:
    assert exponent("BGN") == 2
    assert exponent("BGN", date(2025, 12, 31)) == 2
    with pytest.raises(UnknownCurrency, match="2025-12-31"):
        exponent("BGN", date(2026, 1, 1))


@pytest.mark.parametrize("currency", ["", "eur", "XXX", "EURO", "€"])
def test_unknown_currency(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        exponent(currency)


def test_minor_is_exact() -> None:
    assert minor("12.31", "EUR") == 1231
    assert minor("2.667", "TND") == 2667
    assert minor("2.667", "EUR") == Fraction(2667, 10)
    assert minor(Decimal("0.1"), "USD") == 10
    assert minor(Fraction(1, 3), "USD") == Fraction(100, 3)
    assert minor("1071", "JPY") == 1071
    assert minor("-0.05", "KES") == -5


@pytest.mark.parametrize(
    "amount", ["", " 1", "1,5", "1e3", "1_000", "NaN", "inf", "1/3", "٣", ".5", "1.", "0x1", "9" * 31]
)
def test_what_is_no_amount(amount: str) -> None:
    with pytest.raises(NotAnAmount):
        minor(amount, "EUR")


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity")])
def test_no_decimal_without_a_value(amount: Decimal) -> None:
    with pytest.raises(NotAnAmount):
        minor(amount, "EUR")


@pytest.mark.parametrize("wrong", [1.5, 0.0, True, None, 12])
def test_only_exact_amounts(wrong: Any) -> None:
    with pytest.raises(TypeError):
        minor(wrong, "EUR")


@pytest.mark.parametrize("wrong", [1.5, 2.0, True, "1", Decimal(1)])
def test_no_float_is_rounded(wrong: Any) -> None:
    with pytest.raises(TypeError):
        ceil_minor(wrong)
    with pytest.raises(TypeError):
        floor_minor(wrong)
    with pytest.raises(TypeError):
        text(wrong, "EUR")
    with pytest.raises(TypeError):
        Money(wrong, "EUR")


@given(amounts)
def test_rounding_moves_less_than_one_minor_unit(amount: Fraction) -> None:
    assert 0 <= ceil_minor(amount) - amount < 1
    assert 0 <= amount - floor_minor(amount) < 1
    assert ceil_minor(amount) == -floor_minor(-amount)


@given(st.integers(-(10**18), 10**18), currencies)
def test_text_is_the_inverse_of_minor(whole: int, currency: str) -> None:
    written = text(whole, currency)
    assert minor(written, currency) == whole
    assert Decimal(written) * 10 ** exponent(currency) == whole


def test_text() -> None:
    assert text(123450, "KES") == "1234.50"
    assert text(5, "EUR") == "0.05"
    assert text(-5, "EUR") == "-0.05"
    assert text(0, "TND") == "0.000"
    assert text(1071, "JPY") == "1071"


@given(st.integers(), st.integers())
def test_money_adds_and_compares(one: int, other: int) -> None:
    first, second = Money(one, "KES"), Money(other, "KES")
    assert first + second == Money(one + other, "KES")
    assert first - second == Money(one - other, "KES")
    assert (first < second, first <= second) == (one < other, one <= other)
    assert (first > second, first >= second) == (one > other, one >= other)


def test_two_currencies_never_mix() -> None:
    shillings, euros = Money(100, "KES"), Money(100, "EUR")
    assert shillings != euros
    for mix in (
        lambda: shillings + euros,
        lambda: shillings - euros,
        lambda: shillings < euros,
        lambda: shillings >= euros,
    ):
        with pytest.raises(ValueError, match="exchange rate"):
            mix()
    wrong: Any = 1
    with pytest.raises(TypeError):
        shillings + wrong
    assert str(shillings) == "1.00 KES"
