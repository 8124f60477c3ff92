"""Dates, times, amounts and numbers read the same to everybody who reads English, and are natural French."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from annotate.i18n import Formats, alphabetical, formats
from payments.money import Money
from schemas.words import Words

MOMENT = datetime(2026, 11, 4, 6, 5, 9, tzinfo=UTC)
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
NB, NARROW = "\u00a0", "\u202f"


@pytest.mark.parametrize(
    ("write", "english", "french"),
    [
        (lambda f: f.day(MOMENT), "4 Nov 2026", "4 nov. 2026"),
        (lambda f: f.day(date(2026, 3, 4)), "4 Mar 2026", "4 mars 2026"),
        (lambda f: f.moment(MOMENT), "4 Nov 2026, 09:05", "4 nov. 2026, 09:05"),
        (lambda f: f.moment(MOMENT + timedelta(hours=12)), "4 Nov 2026, 21:05", "4 nov. 2026, 21:05"),
        (lambda f: f.clock(MOMENT), "09:05", "09:05"),
        (lambda f: f.time(MOMENT), "09:05:09", "09:05:09"),
        (lambda f: f.weekday(MOMENT.date()), "Wed 4", "mer 4"),
        (lambda f: f.weekday(MOMENT.date(), narrow=True), "W 4", "M 4"),
        (
            lambda f: f.span(MONDAY, MONDAY + WEEK),
            "30 Nov\u2009–\u20096 Dec 2026",
            "30 nov.\u2009–\u20096 déc. 2026",
        ),
        (lambda f: f.money(123_450, "USD"), "US$1,234.50", f"1{NARROW}234,50{NB}$US"),
        (lambda f: f.money(123_450, "KES"), f"KES{NB}1,234.50", f"1{NARROW}234,50{NB}KES"),
        (lambda f: f.money(-5, "EUR"), "-€0.05", f"-0,05{NB}€"),
        (lambda f: f.money(1_500, "JPY"), "JP¥1,500", f"1{NARROW}500{NB}JPY"),
        (lambda f: f.rate(Fraction(2750, 3), "EUR"), "€9.16/h", f"9,16{NB}€/h"),
        (lambda f: f.amount("1234.5", "EUR"), "€1,234.50", f"1{NARROW}234,50{NB}€"),
        (lambda f: f.amount("0.0450", "EUR"), "€0.045", f"0,045{NB}€"),
        (lambda f: f.coins(200_000, "KES"), f"KES{NB}2,000", f"2{NARROW}000{NB}KES"),
        (lambda f: f.number(1_234_567), "1,234,567", f"1{NARROW}234{NARROW}567"),
        (lambda f: f.number(Decimal("173.3333")), "173.3333", "173,3333"),
        (lambda f: f.measure(0.75), "0.750", "0,750"),
        (lambda f: f.percent(Fraction(1, 3)), "33.3%", f"33,3{NB}%"),
        (lambda f: f.percent(1), "100%", f"100{NB}%"),
        (lambda f: f.duration(95), "1 min", "1 min"),
        (lambda f: f.place("US-NY"), "United States, NY", "États-Unis, NY"),
        (lambda f: f.area("elsewhere"), "elsewhere", "elsewhere"),
    ],
)
def test_everything_is_written_in_one_way(write: Any, english: str, french: str) -> None:
    assert [write(formats(lang, "Africa/Nairobi")) for lang in ("en", "fr")] == [english, french]


def test_words_bring_their_values_in_the_readers_way() -> None:
    said = Words(
        "%(n)s, %(cost)s, %(wait)s, %(day)s, %(share)s, %(list)s",
        n=12_000,
        cost=Money(1_250, "EUR"),
        wait=timedelta(minutes=2),
        day=date(2026, 11, 24),
        share=Decimal("1.25"),
        list=["a", Words("%(n)s b", n=1_000)],
    )
    assert said == "12,000, 12.50 EUR, 120 s, 2026-11-24, 1.25, a, 1,000 b"
    assert Formats("en").say(said) == "12,000, €12.50, 2 min, 24 Nov 2026, 1.25, a, 1,000 b"
    assert Formats("fr").say(said) == (
        f"12{NARROW}000, 12,50{NB}€, 2 min, 24 nov. 2026, 1,25, a, 1{NARROW}000 b"
    )


def test_values_are_no_texts_to_translate_and_no_placeholders() -> None:
    said = Words("%(name)s is missing", name="%(day)s Line")
    assert Formats("fr").say(said) == "%(day)s Line is missing"
    assert Formats("fr").say("") == ""


def test_a_whole_document_is_said() -> None:
    document = {"why": Words("at %(n)s", n=1_000), "list": [Words("x"), 1, None], "text": "y"}
    assert Formats("en").say_all(document) == {"why": "at 1,000", "list": ["x", 1, None], "text": "y"}


def test_choices_stand_in_the_alphabet_of_their_labels() -> None:
    found = alphabetical([{"label": name} for name in ("Zambie", "États-Unis", "espagne", "Finlande")])
    assert [one["label"] for one in found] == ["espagne", "États-Unis", "Finlande", "Zambie"]
