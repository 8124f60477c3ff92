"""The floor of a place and a day: pay rule documents turned into one rate, with every step shown.

Each document becomes exact minor units per hour: by its own hourly amount, else by its own hours, else by
the shortest plausible ones. Of all rules that cover the place the highest applies; a benchmark is advice
and never enters, and "no statutory minimum" is a fact to show, never a zero. Pure: whoever has the
documents gets the same floor.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from payments.money import Money, floor_minor, minor
from schemas.pay_rules import UNITS
from schemas.words import Words
from tasks.errors import Conflict

BOOKKEEPING: Final = frozenset({"status", "status_events", "verified_by", "recorded_at"})

SENSITIVE: Final = "sensitive_multiplier"
"""The kind of the entry in a trace that is no rule, but the surcharge for sensitive content."""

PLAUSIBLE_HOURS: Final = {
    "hour": Fraction(1),
    "day": Fraction(7),
    "week": Fraction(35),
    "month": Fraction(35 * 52, 12),
    "year": Fraction(35 * 52),
}
"""The shortest full-time hours found in law: the divisors where an instrument does not say its own."""

Document = Mapping[str, Any]
Convert = Callable[[Fraction, str, str], Fraction]


class NoRule(Conflict):
    """No pay rule covers this place on this day, not even the platform's own floor."""


@dataclass(frozen=True)
class Resolution:
    """The floor of a place and day in minor units per hour, its rule, and all that was considered."""

    rate: Fraction
    currency: str
    rule: str
    sha256: str
    trace: list[dict[str, Any]]


@dataclass(frozen=True)
class Hourly:
    """A document's rate in its own minor units per hour, of which unit and hours, and whether these were assumed."""

    rate: Fraction
    per: str
    hours: Fraction
    provisional: bool

    @property
    def basis(self) -> Words:
        """Say how the rate came to the hour."""
        if self.per == "hour":
            return Words("its own hourly amount")
        said = {"unit": UNITS[self.per], "hours": Decimal(round(self.hours * 100)) / 100}
        if self.provisional:
            return Words("%(unit)s of %(hours)s hours, assumed", **said)
        return Words("%(unit)s of %(hours)s hours", **said)


def name(document: Document) -> str:
    """Name a version: id@version."""
    return f"{document['id']}@{document['version']}"


def hourly_rate(document: Document) -> Fraction:
    """Give a document's minor units per hour. Raises NoRule if it states that there is no minimum."""
    found = hourly(document)
    if found is None:
        raise NoRule("This document states that there is no statutory minimum.", rule=name(document))
    return found.rate


def hourly(document: Document) -> Hourly | None:
    """Convert to an hour: the instrument's own hourly amount, else the highest of its units."""
    found = []
    said = document.get("hours_basis") or {}
    for rate in document["rates"]:
        per: str = rate["per"]
        hours, known = hours_in(per, said)
        provisional = not known or (per != "hour" and said.get("source", "").startswith("assumed"))
        found.append(Hourly(minor(rate["amount"], document["currency"]) / hours, per, hours, provisional))
    gazetted = [own for own in found if own.per == "hour" and document["authoritative_unit"] == "hour"]
    return max(gazetted or found, key=lambda own: own.rate, default=None)


def hours_in(unit: str, basis: Mapping[str, Any]) -> tuple[Fraction, bool]:
    """Say how many hours a unit has, and whether the instrument says so or they are assumed."""
    if unit == "hour":
        return Fraction(1), True
    known = {key: Fraction(basis[key]) for key in ("day", "week", "month", "year") if basis.get(key)}
    days = basis.get("days_per_week")
    if "week" not in known:
        if "year" in known or "month" in known:
            known["week"] = known.get("year", known.get("month", Fraction(0)) * 12) / 52
        elif "day" in known and days:
            known["week"] = known["day"] * days
    if "week" in known:
        known.setdefault("month", known["week"] * 52 / 12)
        known.setdefault("year", known["month"] * 12)
        if days:
            known.setdefault("day", known["week"] / days)
    hours = known.get(unit, Fraction(0))
    return (hours, True) if hours > 0 else (PLAUSIBLE_HOURS[unit], False)


def resolve(
    documents: Sequence[Document],
    place: str,
    area: str | None,
    day: date,
    convert: Convert,
    currency: str | None = None,
) -> Resolution:
    """Find the floor where somebody works: the highest rate of all rules that cover place, area and day.

    `place` is a country or a part of one; a part is also covered by its country's rules. A rule for an area
    covers that area, and whoever has not told an area, so that not telling never costs. Where `day` is a moment,
    each rule is asked for its own day, that of its time zone. Of the platform's own
    floors the nearest counts. Of promises and agreements, pass only those that bind this batch and worker.
    `convert` turns minor units of one currency into exact minor units of another.
    """
    # A newer version may cover less than an older one, so that all versions of what ever covered are looked at.
    near = {one["id"] for one in documents if _covers(one, place, area)}
    newest = _newest((one for one in documents if one["id"] in near), day)
    covering = _nearest_platform([one for one in newest if _covers(one, place, area)], place)
    rated = [(one, own) for one in covering if _competes(one) and (own := hourly(one)) is not None]
    if not rated:
        raise NoRule(place=place, day=day.isoformat())
    unit = currency or _currency([one for one, _ in rated], place)
    worth = {
        name(one): own.rate if one["currency"] == unit else convert(own.rate, one["currency"], unit)
        for one, own in rated
    }
    winner = max((one for one, _ in rated), key=lambda one: (worth[name(one)], _rank(one), name(one)))
    trace = [_traced(one, worth.get(name(one)), unit, applied=one is winner) for one in covering]
    return Resolution(worth[name(winner)], unit, name(winner), document_hash(winner), trace)


def note(entry: Mapping[str, Any]) -> Words:
    """Say what an entry of a trace means for the floor; the trace itself keeps facts alone."""
    if entry["kind"] == SENSITIVE:
        times = Fraction(entry["multiplier"])
        return Words(
            "times %(multiplier)s for sensitive content",
            multiplier=Decimal(times.numerator) / times.denominator,
        )
    if "hourly" not in entry:
        return Words("no statutory minimum; that is never read as zero")
    rate = _an_hour(entry)
    if entry["status"] == "suspended":
        return Words("%(rate)s; suspended, not applied", rate=rate)
    if entry["kind"] == "benchmark":
        return Words("%(rate)s; advice, never a floor", rate=rate)
    if entry["applied"]:
        return Words("%(rate)s; applies, the highest", rate=rate)
    return Words("%(rate)s; lower", rate=rate)


def _an_hour(entry: Mapping[str, Any]) -> Words:
    own = Hourly(Fraction(entry["hourly"]), entry["per"], Fraction(entry["hours"]), entry["provisional"])
    amount = Money(floor_minor(own.rate), entry["currency"])
    rate = Words("%(amount)s an hour (%(basis)s)", amount=amount, basis=own.basis)
    unit = entry.get("compared_currency", entry["currency"])
    if unit == entry["currency"]:
        return rate
    there = Money(floor_minor(Fraction(entry["compared"])), unit)
    return Words("%(rate)s, which is %(amount)s", rate=rate, amount=there)


def _newest(documents: Iterable[Document], day: date) -> list[Document]:
    """Keep of each rule the newest version in force on that day, and the newest suspended one."""
    kept: dict[tuple[str, str], Document] = {}
    for one in documents:
        until, today = one["effective_to"], _day_of(one, day)
        if date.fromisoformat(one["effective_from"]) > today or (
            until and date.fromisoformat(until) <= today
        ):
            continue
        key = (one["id"], one["status"])
        if one["status"] in {"in_force", "suspended"} and (key not in kept or _age(one) > _age(kept[key])):
            kept[key] = one
    return sorted(kept.values(), key=name)


def _day_of(document: Document, day: date) -> date:
    """Give the rule's own day of a moment: a law begins at midnight where it holds."""
    return day.astimezone(ZoneInfo(document["time_zone"])).date() if isinstance(day, datetime) else day


def _age(document: Document) -> tuple[str, int]:
    return document["effective_from"], document["version"]


def _covers(document: Document, place: str, area: str | None) -> bool:
    """Tell whether a rule covers a place; no jurisdiction means everywhere."""
    if document["jurisdiction"] not in {None, "*", place, place.partition("-")[0]}:
        return False
    return area is None or bool(document.get("area") in {None, area})


def _nearest_platform(documents: Sequence[Document], place: str) -> list[Document]:
    floors = [one for one in documents if one["kind"] == "platform" and one["status"] == "in_force"]
    nearest = max((_nearness(one, place) for one in floors), default=0)
    return [one for one in documents if one not in floors or _nearness(one, place) == nearest]


def _nearness(document: Document, place: str) -> int:
    jurisdiction = document["jurisdiction"]
    return 0 if jurisdiction in {None, "*"} else 2 if jurisdiction == place else 1


def _competes(document: Document) -> bool:
    return bool(document["status"] == "in_force" and document["kind"] != "benchmark")


def _currency(rated: Sequence[Document], place: str) -> str:
    """Choose the currency: the law's of the place, else of the platform's floor there, else what there is."""
    order = {"statutory": 2, "platform": 1}
    first = max(rated, key=lambda one: (order.get(one["kind"], 0), _nearness(one, place), name(one)))
    return str(first["currency"])


def _rank(document: Document) -> int:
    """Order equals: the law is named before an agreement, an agreement before a promise or the platform."""
    return {"statutory": 3, "agreement": 2, "requester_promise": 1}.get(document["kind"], 0)


def _traced(document: Document, worth: Fraction | None, currency: str, *, applied: bool) -> dict[str, Any]:
    own = hourly(document)
    entry = {
        "rule": name(document),
        "sha256": document_hash(document),
        "kind": document["kind"],
        "status": document["status"],
        "jurisdiction": document["jurisdiction"],
        "area": document.get("area"),
        "applied": applied,
    }
    if own is not None:
        entry |= {"hourly": str(own.rate), "currency": document["currency"]}
        entry |= {"per": own.per, "hours": str(own.hours), "provisional": own.provisional}
    if worth is not None:
        entry |= {"compared": str(worth), "compared_currency": currency}
    return entry


def document_hash(document: Document) -> str:
    """Hash what a rule says, without status, verifications and recording (sorted keys, no spaces)."""
    says = {key: value for key, value in document.items() if key not in BOOKKEEPING}
    form = json.dumps(says, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(form.encode()).hexdigest()
