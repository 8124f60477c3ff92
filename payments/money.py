"""Money: exact rationals inside, whole minor units on every line, no float anywhere.

An amount becomes a `Fraction` of minor units (cents, whole yen) as soon as it is read, stays exact through
all arithmetic and is rounded once, at the line that is booked: up where it is owed to a worker, down where
the platform takes a fee. How many decimals a currency has is dated data, because currencies end.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from schemas.words import Words
from tasks.errors import Invalid


class UnknownCurrency(Invalid):
    """This currency is not in our table; name it by its three ISO 4217 letters."""


class NotAnAmount(Invalid):
    """This is not an amount; write plain digits with a point, such as 12.31."""


class Decimals(NamedTuple):
    """How many decimals a currency has, and its last day where it has ended."""

    places: int
    last_day: date | None = None


CURRENCIES: Final = {
    "AED": Decimals(2),
    "ARS": Decimals(2),
    "AUD": Decimals(2),
    "BDT": Decimals(2),
    "BGN": Decimals(2, date(2025, 12, 31)),
    "BHD": Decimals(3),
    "BRL": Decimals(2),
    "CAD": Decimals(2),
    "CHF": Decimals(2),
    "CLP": Decimals(0),
    "CNY": Decimals(2),
    "COP": Decimals(2),
    "CZK": Decimals(2),
    "DKK": Decimals(2),
    "EGP": Decimals(2),
    "ETB": Decimals(2),
    "EUR": Decimals(2),
    "GBP": Decimals(2),
    "GHS": Decimals(2),
    "HKD": Decimals(2),
    "HUF": Decimals(2),
    "IDR": Decimals(2),
    "ILS": Decimals(2),
    "INR": Decimals(2),
    "ISK": Decimals(0),
    "JOD": Decimals(3),
    "JPY": Decimals(0),
    "KES": Decimals(2),
    "KRW": Decimals(0),
    "KWD": Decimals(3),
    "LKR": Decimals(2),
    "MAD": Decimals(2),
    "MGA": Decimals(2),
    "MXN": Decimals(2),
    "MYR": Decimals(2),
    "NGN": Decimals(2),
    "NOK": Decimals(2),
    "NPR": Decimals(2),
    "NZD": Decimals(2),
    "PEN": Decimals(2),
    "PHP": Decimals(2),
    "PKR": Decimals(2),
    "PLN": Decimals(2),
    "PYG": Decimals(0),
    "RON": Decimals(2),
    "RWF": Decimals(0),
    "SEK": Decimals(2),
    "SGD": Decimals(2),
    "THB": Decimals(2),
    "TND": Decimals(3),
    "TRY": Decimals(2),
    "TZS": Decimals(2),
    "UAH": Decimals(2),
    "UGX": Decimals(0),
    "USD": Decimals(2),
    "VES": Decimals(2),
    "VND": Decimals(0),
    "XAF": Decimals(0),
    "XOF": Decimals(0),
    "ZAR": Decimals(2),
}

PLAIN: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)


def exponent(currency: str, day: date | None = None) -> int:
    """Give the number of decimals of a currency; with a day, only if the currency still existed on it."""
    known = CURRENCIES.get(currency)
    if known is None:
        raise UnknownCurrency(currency=str(currency))
    if day is not None and known.last_day is not None and day > known.last_day:
        said = {"currency": currency, "day": known.last_day}
        raise UnknownCurrency(Words("%(currency)s ended on %(day)s.", **said), currency=currency)
    return known.places


def minor(amount: str | Decimal | Fraction, currency: str) -> Fraction:
    """Turn an amount in whole units ("12.31" euros) into exact minor units (1231)."""
    scale = Fraction(10 ** exponent(currency))
    if isinstance(amount, Fraction):
        return amount * scale
    if isinstance(amount, Decimal):
        if not amount.is_finite():
            raise NotAnAmount(amount=str(amount))
        return Fraction(amount) * scale
    return Fraction(_plain(amount)) * scale


def ceil_minor(amount: Fraction) -> int:
    """Round up to whole minor units: for what is owed to a worker."""
    return -(-_exact(amount)).__floor__()


def floor_minor(amount: Fraction) -> int:
    """Round down to whole minor units: for what the platform takes."""
    return _exact(amount).__floor__()


def text(minor: int, currency: str) -> str:
    """Write minor units as plain decimal text, such as 1234.50; the exact inverse of `minor`."""
    places = exponent(currency)
    digits = str(abs(_whole(minor))).rjust(places + 1, "0")
    sign = "-" if minor < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


@dataclass(frozen=True)
class Money:
    """Whole minor units of one currency; two currencies never meet without a stored exchange rate."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        _whole(self.minor)
        exponent(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._of_same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._of_same(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._of_same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._of_same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._of_same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._of_same(other)

    def __str__(self) -> str:
        return f"{text(self.minor, self.currency)} {self.currency}"

    def _of_same(self, other: object) -> int:
        if not isinstance(other, Money):
            raise TypeError(f"Money and {type(other).__name__} do not mix")
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix without an exchange rate")
        return other.minor


def _plain(amount: object) -> str:
    if not isinstance(amount, str):
        raise TypeError(f"an amount is text, Decimal or Fraction, not {type(amount).__name__}")
    if not PLAIN.fullmatch(amount):
        raise NotAnAmount(amount=amount[:80])
    return amount


def _exact(amount: object) -> Fraction:
    if isinstance(amount, bool) or not isinstance(amount, int | Fraction):
        raise TypeError(f"exact money is a Fraction, not {type(amount).__name__}")
    return Fraction(amount)


def _whole(minor: object) -> int:
    if isinstance(minor, bool) or not isinstance(minor, int):
        raise TypeError(f"minor units are a whole number, not {type(minor).__name__}")
    return minor
