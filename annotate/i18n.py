"""Languages and formats: gettext catalogues for what people read, Babel for numbers, money and dates.

Texts are English in the code and translated in `locale/`. Money arrives as integer minor units or exact rates and
leaves as text; nothing is computed here.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Any
from unicodedata import normalize
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_interval, format_time, get_datetime_format
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit

from payments.money import Money, exponent, minor
from schemas.words import Words

AREAS = {
    "cities-1": Words("Nairobi, Mombasa, Kisumu, Nakuru and Eldoret"),
    "northern-border": Words("the zone of the northern border"),
    "nyc-long-island-westchester": Words("New York City, Long Island and Westchester"),
    "rest-of-country": Words("the rest of the country"),
    "rest-of-state": Words("the rest of the state"),
}
LETTERS_AND_FIGURE = re.compile(r"(?<=[A-Z]{3})(?=\d)")
PRICE_PLACES = 6
LANGUAGES = {"en": "English", "fr": "Français"}
LOCALES = {"en": "en_GB", "fr": "fr"}
"""How a language writes. English is read all over the world: day before month in letters, 24 hours, US$ for dollars."""


@lru_cache(maxsize=8)
def translations(lang: str) -> NullTranslations:
    """Give a language's catalogue; English needs none."""
    found = files("annotate").joinpath(f"locale/{lang}/LC_MESSAGES/messages.mo")
    if lang == "en" or not found.is_file():
        return NullTranslations()
    with found.open("rb") as stream:
        return GNUTranslations(stream)


def choose(asked: str | None, accepted: str) -> str:
    """Choose a language: the one asked for, else the browser's first that we have, else English."""
    if asked in LANGUAGES:
        return asked
    for part in accepted.split(","):
        code = part.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"


@lru_cache(maxsize=256)
def formats(lang: str, time_zone: str = "UTC") -> "Formats":
    """Give how a language and a time zone write things."""
    return Formats(lang, time_zone)


class Formats:
    """How one language and time zone write money, time and numbers."""

    def __init__(self, lang: str, time_zone: str = "UTC") -> None:
        """Take the language's code and the reader's time zone."""
        self.lang = lang
        self.locale = Locale.parse(LOCALES[lang])
        self.zone = ZoneInfo(time_zone)

    def say(self, text: str) -> str:
        """Say a text in this language; words bring their values, which are written as this language writes them."""
        gettext = translations(self.lang).gettext
        if not isinstance(text, Words):
            return gettext(text) if text else ""
        said = gettext(text.template) if text.template else ""
        return said % {name: self.value(one) for name, one in text.values.items()} if text.values else said

    def say_all(self, document: Any) -> Any:
        """Say all words within a document."""
        if isinstance(document, dict):
            return {name: self.say_all(one) for name, one in document.items()}
        if isinstance(document, list | tuple):
            return [self.say_all(one) for one in document]
        return self.say(document) if isinstance(document, Words) else document

    def value(self, value: Any) -> str:
        """Write a value of words."""
        if isinstance(value, str):
            return self.say(value) if isinstance(value, Words) else value
        if isinstance(value, list):
            return self.listing([self.value(one) for one in value])
        if isinstance(value, Money):
            return self.money(value.minor, value.currency)
        if isinstance(value, timedelta):
            return self.duration(value // timedelta(seconds=1))
        return self.day(value) if isinstance(value, date) else self.number(value)

    def money(self, units: int | Fraction, currency: str) -> str:
        """Write an amount of minor units, as '€12.30'; a rate is cut, not rounded up, to its minor unit."""
        amount = Decimal(int(units)).scaleb(-exponent(currency))
        return _spaced(format_currency(amount, currency, locale=self.locale))

    def price(self, minor: Fraction, currency: str) -> str:
        """Write the price of one answer exactly: it may be less than the smallest coin."""
        places = exponent(currency)
        pattern = self.locale.currency_formats["standard"].pattern
        pattern = pattern.replace("0.00", f"0.{places * '0'}{(PRICE_PLACES - places) * '#'}")
        amount = Decimal(minor.numerator) / minor.denominator
        return _spaced(
            format_currency(
                amount.scaleb(-places), currency, pattern, locale=self.locale, currency_digits=False
            )
        )

    def amount(self, said: str, currency: str) -> str:
        """Write an amount that is given as decimal text in whole units; finer than a coin it keeps its decimals."""
        exact = Decimal(said)
        if exact == exact.quantize(Decimal(1).scaleb(-exponent(currency))):
            return self.money(minor(said, currency), currency)
        written = format_currency(
            exact.normalize(), currency, locale=self.locale, currency_digits=False, decimal_quantization=False
        )
        return _spaced(written)

    def coins(self, units: int | Fraction, currency: str) -> str:
        """Write an amount as `money` does, without decimals where there are none: the marks of an axis."""
        scale = 10 ** exponent(currency)
        if units % scale:
            return self.money(units, currency)
        pattern = self.locale.currency_formats["standard"].pattern.replace("0.00", "0")
        whole = Decimal(int(units) // scale)
        return _spaced(format_currency(whole, currency, pattern, locale=self.locale, currency_digits=False))

    def rate(self, units: int | Fraction, currency: str) -> str:
        """Write an amount per hour."""
        return f"{self.money(units, currency)}/h"

    def hours(self, seconds: int) -> str:
        """Write a duration as a payslip does, '3:05:09': to the second, so that paid time is never '0:00'."""
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"

    def duration(self, seconds: int) -> str:
        """Write a short duration as '21 min' or '45 s'."""
        if seconds < 60:
            return f"{seconds} s"
        return (
            f"{seconds // 60} min"
            if seconds < 3600
            else f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
        )

    def number(self, value: float | Decimal) -> str:
        """Write a number with all its decimals."""
        return str(format_decimal(value, locale=self.locale, decimal_quantization=False))

    def size(self, count: int) -> str:
        """Write a number of bytes, as '64 MB' or '1 GB'."""
        unit, part = ("gigabyte", 1 << 30) if count >= 1 << 30 else ("megabyte", 1 << 20)
        return str(format_unit(count // part, f"digital-{unit}", "short", locale=self.locale))

    def measure(self, value: float) -> str:
        """Write a measure of agreement, with three decimals."""
        return str(format_decimal(value, "0.000", locale=self.locale))

    def percent(self, value: Fraction | Decimal | int) -> str:
        """Write a share as a percentage, with one decimal where there is one."""
        exact = Fraction(value)
        pattern = self.locale.percent_formats[None].pattern.replace("##0", "##0.#")
        share = Decimal(exact.numerator) / Decimal(exact.denominator)
        return str(format_percent(share, pattern, locale=self.locale))

    def day(self, moment: datetime | date) -> str:
        """Write a day, '16 Nov 2026'."""
        if isinstance(moment, datetime):
            moment = moment.astimezone(self.zone).date()
        return str(format_date(moment, "medium", locale=self.locale))

    def weekday(self, day: date, *, narrow: bool = False) -> str:
        """Write a day of a week that is named elsewhere, 'Mon 16'; narrow where seven stand on a phone, 'M 16'."""
        # Some languages end the short name with a point; seven of them have to fit beside each other.
        return str(format_date(day, "EEEEE d" if narrow else "EEE d", locale=self.locale)).replace(".", "")

    def moment(self, moment: datetime) -> str:
        """Write a day and a time in the reader's zone, '16 Nov 2026, 09:30'."""
        pattern = str(get_datetime_format("medium", locale=self.locale))
        return pattern.format(self.clock(moment), self.day(moment))

    def clock(self, moment: datetime) -> str:
        """Write a time of the day in the reader's zone, '09:30'."""
        return str(format_time(moment, "short", tzinfo=self.zone, locale=self.locale))

    def time(self, moment: datetime) -> str:
        """Write a time of the day in the reader's zone, with seconds."""
        return str(format_time(moment, "medium", tzinfo=self.zone, locale=self.locale))

    def span(self, start: datetime, end: datetime) -> str:
        """Write a span of days; `end` is the first moment after it."""
        last = end - timedelta(seconds=1)
        return str(format_interval(start.date(), last.date(), "yMMMd", locale=self.locale))

    def place(self, code: str) -> str:
        """Write a place's name: a country, or a part of one."""
        country, _, part = code.partition("-")
        name = self.locale.territories.get(country, country)
        return f"{name}, {part}" if part else str(name)

    def area(self, code: str) -> str:
        """Write the name of an area within a place, as far as the shipped rules name it."""
        return self.say(AREAS.get(code, code))

    def listing(self, words: Sequence[str]) -> str:
        """Write a short list."""
        return ", ".join(words)


def alphabetical(choices: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put choices in the order of their labels; accents and capitals do not count."""
    return sorted(choices, key=lambda one: normalize("NFKD", one["label"]).encode("ascii", "ignore").lower())


def _spaced(written: str) -> str:
    """Keep a currency that is written in letters apart from its figure, on one line."""
    return LETTERS_AND_FIGURE.sub("\u00a0", written)
