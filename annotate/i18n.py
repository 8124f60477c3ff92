"""Languages and formats: gettext catalogues for pages and workspace, Babel for numbers, money and dates.

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
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_interval, format_time
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit

from payments.money import exponent

LETTERS_AND_FIGURE = re.compile(r"(?<=[A-Z]{3})(?=\d)")
PRICE_PLACES = 6
LANGUAGES = {"en": "English", "fr": "Français"}


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


class Formats:
    """How one language and time zone write money, time and numbers."""

    def __init__(self, lang: str, time_zone: str = "UTC") -> None:
        """Take the language's code and the reader's time zone."""
        self.locale = Locale.parse(lang)
        self.zone = ZoneInfo(time_zone)

    def money(self, minor: int | Fraction, currency: str) -> str:
        """Write an amount of minor units, as '€ 12.30'; a rate is cut, not rounded up, to its minor unit."""
        places = exponent(currency)
        amount = Decimal(int(minor)).scaleb(-places)
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

    def coins(self, minor: int | Fraction, currency: str) -> str:
        """Write an amount as `money` does, without decimals where there are none: the marks of an axis."""
        scale = 10 ** exponent(currency)
        if minor % scale:
            return self.money(minor, currency)
        pattern = self.locale.currency_formats["standard"].pattern.replace("0.00", "0")
        whole = Decimal(int(minor) // scale)
        return _spaced(format_currency(whole, currency, pattern, locale=self.locale, currency_digits=False))

    def rate(self, minor: int | Fraction, currency: str) -> str:
        """Write an amount per hour."""
        return f"{self.money(minor, currency)}/h"

    def hours(self, seconds: int) -> str:
        """Write a duration as hours and minutes, '3:05'."""
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}"

    def duration(self, seconds: int) -> str:
        """Write a short duration as '21 min' or '45 s'."""
        if seconds < 60:
            return f"{seconds} s"
        return (
            f"{seconds // 60} min"
            if seconds < 3600
            else f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
        )

    def number(self, value: int | Decimal) -> str:
        """Write a number."""
        return str(format_decimal(value, locale=self.locale))

    def size(self, count: int) -> str:
        """Write a number of bytes, as '64 MB' or '1 GB'."""
        unit, part = ("gigabyte", 1 << 30) if count >= 1 << 30 else ("megabyte", 1 << 20)
        return str(format_unit(count // part, f"digital-{unit}", "short", locale=self.locale))

    def percent(self, value: Fraction | Decimal) -> str:
        """Write a share as a percentage."""
        exact = Fraction(value)
        return str(
            format_percent(
                Decimal(exact.numerator) / Decimal(exact.denominator), "#,##0.#%", locale=self.locale
            )
        )

    def day(self, moment: datetime | date) -> str:
        """Write a day, '16 Nov 2026'."""
        if isinstance(moment, datetime):
            moment = moment.astimezone(self.zone).date()
        return str(format_date(moment, "medium", locale=self.locale))

    def weekday(self, day: date) -> str:
        """Write a day of a week that is named elsewhere, 'Mon 16'."""
        # Some languages end the short name with a point; seven of them have to fit beside each other.
        return str(format_date(day, "EEE d", locale=self.locale)).replace(".", "")

    def moment(self, moment: datetime) -> str:
        """Write a day and a time in the reader's zone."""
        return str(format_datetime(moment, "medium", tzinfo=self.zone, locale=self.locale))

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

    def listing(self, words: Sequence[str]) -> str:
        """Write a short list."""
        return ", ".join(words)


def _spaced(written: str) -> str:
    """Keep a currency that is written in letters apart from its figure, on one line."""
    return LETTERS_AND_FIGURE.sub("\u00a0", written)
