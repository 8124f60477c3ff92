"""Pay rules and exchange rates, resolved a second time from the published rules (docs/pay.md, section 2).

A book holds what was known at one moment: every rule with its status then, every exchange rate recorded by then.
From it comes the floor of a place at a moment, in exact minor units per hour, and which rule it comes from.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK_ASSUMED = Fraction(35)
ASSUMED = {
    "hour": Fraction(1),
    "day": Fraction(7),
    "week": WEEK_ASSUMED,
    "month": WEEK_ASSUMED * 52 / 12,
    "year": WEEK_ASSUMED * 52,
}
NOT_SAID = {"status", "status_events", "verified_by", "recorded_at"}
NO_CENTS = ("CLP", "ISK", "JPY", "KRW", "PYG", "RWF", "UGX", "VND", "XAF", "XOF")
DECIMALS = dict.fromkeys(NO_CENTS, 0) | dict.fromkeys(("BHD", "JOD", "KWD", "TND"), 3)
FIRST_IN_TIE = {"statutory": 3, "agreement": 2, "requester_promise": 1}

Document = Mapping[str, Any]


class Unresolved(Exception):
    """No floor or no exchange rate can be found with what was known."""


def minor(amount: str, currency: str) -> Fraction:
    """Turn whole units into exact minor units."""
    return Fraction(amount) * Fraction(10 ** DECIMALS.get(currency, 2))


def ceil(amount: Fraction) -> int:
    """Round up."""
    return -(-amount.numerator // amount.denominator)


def micros(text: str) -> int:
    """Read a moment as microseconds since 1970."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """Turn microseconds into a moment."""
    return EPOCH + timedelta(microseconds=at)


def document_hash(document: Document) -> str:
    """Hash what a rule says."""
    says = {name: value for name, value in document.items() if name not in NOT_SAID}
    return sha256(
        json.dumps(says, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def per_hour(document: Document) -> Fraction | None:
    """Give a rule's minor units per hour; None where the law states no minimum."""
    rates = {one["per"]: minor(one["amount"], document["currency"]) for one in document["rates"]}
    if not rates:
        return None
    if document["authoritative_unit"] == "hour" and "hour" in rates:
        return rates["hour"]
    hours = _hours(document.get("hours_basis") or {})
    return max(amount / hours.get(unit, ASSUMED[unit]) for unit, amount in rates.items())


def _hours(said: Mapping[str, Any]) -> dict[str, Fraction]:
    """Give the hours of each unit as far as the instrument names them, by itself or through another unit."""
    own = {unit: Fraction(said[unit]) for unit in ("day", "week", "month", "year") if said.get(unit)}
    days = said.get("days_per_week")
    week = own.get("week")
    if week is None and "year" in own:
        week = own["year"] / 52
    elif week is None and "month" in own:
        week = own["month"] * 12 / 52
    elif week is None and "day" in own and days:
        week = own["day"] * days
    if week is not None:
        month = own.get("month", week * 52 / 12)
        own = (
            {"week": week, "month": month, "year": month * 12} | ({"day": week / days} if days else {}) | own
        )
    return {"hour": Fraction(1)} | {unit: hours for unit, hours in own.items() if hours > 0}


@dataclass(frozen=True)
class Floor:
    """What applies, and each rule that was considered with its worth in the floor's currency."""

    rate: Fraction
    currency: str
    rule: str
    sha256: str
    considered: list[dict[str, str]]


@dataclass(frozen=True)
class Rate:
    """An exchange rate and the one or two snapshots that it is made of."""

    value: Fraction
    first: str | None = None
    second: str | None = None


class Book:
    """What was known at a moment, with the exchange rates of a day."""

    def __init__(
        self, rules: Iterable[dict[str, Any]], fx: Iterable[dict[str, Any]], known: int, fx_day: str
    ) -> None:
        """Choose what was known."""
        self.fx = [one for one in fx if one["recorded"] <= known]
        self.fx_day = fx_day
        self.documents: list[Document] = []
        for rule in rules:
            events = [one for one in rule["events"] if micros(one["at"]) <= known]
            if rule["recorded"] <= known and events and events[-1]["status"] in {"in_force", "suspended"}:
                self.documents.append({**rule["document"], "status": events[-1]["status"]})
        self._floors: dict[Any, Floor] = {}
        self._rates: dict[tuple[str, str], Rate] = {}

    def floor(self, place: str | None, area: str | None, at: int, promise: Document | None = None) -> Floor:
        """Give the floor at a moment; a promise joins the rules and never chooses the currency."""
        key = (place, area, at, promise and (promise["id"], promise["version"]))
        if key not in self._floors:
            found = self._resolve(self.documents, place or "", area, at, None)
            if promise is not None:
                found = self._resolve([*self.documents, promise], place or "", area, at, found.currency)
            self._floors[key] = found
        return self._floors[key]

    def edges(self, place: str | None, start: int, end: int) -> list[int]:
        """Give the moments inside a period at which a rule that may cover the place begins or ends."""
        near = {None, "*", place, (place or "").split("-")[0]}
        found = {
            _first_moment(document[side], document["time_zone"])
            for document in self.documents
            if document["jurisdiction"] in near
            for side in ("effective_from", "effective_to")
            if document[side] is not None
        }
        return sorted(at for at in found if start < at < end)

    def convert(self, amount: Fraction, base: str, quote: str) -> Fraction:
        """Turn exact minor units of one currency into another's."""
        if base == quote:
            return amount
        shift = Fraction(10) ** (DECIMALS.get(quote, 2) - DECIMALS.get(base, 2))
        return amount * self.rate(base, quote).value * shift

    def rate(self, base: str, quote: str) -> Rate:
        """Find the exchange rate: by the day before after it, a direct pair before a cross through the euro."""
        if base == quote:
            return Rate(Fraction(1))
        key = (base, quote)
        if key not in self._rates:
            found = (
                self._pair(base, quote, later=False)
                or self._cross(base, quote, later=False)
                or self._pair(base, quote, later=True)
                or self._cross(base, quote, later=True)
            )
            if found is None:
                raise Unresolved(f"no exchange rate from {base} to {quote} was known")
            self._rates[key] = found
        return self._rates[key]

    def _pair(self, base: str, quote: str, *, later: bool) -> Rate | None:
        fits = [
            one
            for one in self.fx
            if {one["base"], one["quote"]} == {base, quote} and (one["as_of"] > self.fx_day) == later
        ]
        if not fits:
            return None
        day = (min if later else max)(one["as_of"] for one in fits)
        best = max(
            (one for one in fits if one["as_of"] == day),
            key=lambda one: (one["base"] == base, one["recorded"], one["id"]),
        )
        value = Fraction(best["rate"])
        return Rate(value if best["base"] == base else 1 / value, best["id"])

    def _cross(self, base: str, quote: str, *, later: bool) -> Rate | None:
        if "EUR" in (base, quote):
            return None
        legs = [
            self._pair(*pair, later=False) or (self._pair(*pair, later=True) if later else None)
            for pair in ((base, "EUR"), ("EUR", quote))
        ]
        if legs[0] is None or legs[1] is None:
            return None
        return Rate(legs[0].value * legs[1].value, legs[0].first, legs[1].first)

    def _resolve(
        self, documents: Iterable[Document], place: str, area: str | None, at: int, currency: str | None
    ) -> Floor:
        covering = [one for one in _current(documents, moment(at)) if _covers(one, place, area)]
        own = [one for one in covering if one["kind"] == "platform" and one["status"] == "in_force"]
        nearest = max((_near(one, place) for one in own), default=0)
        covering = [one for one in covering if one not in own or _near(one, place) == nearest]
        competing = [
            (one, rate)
            for one in covering
            if one["status"] == "in_force"
            and one["kind"] != "benchmark"
            and (rate := per_hour(one)) is not None
        ]
        if not competing:
            raise Unresolved(f"no rule covers {place or 'an unknown place'} at {moment(at).isoformat()}")
        if currency is None:
            order = {"statutory": 2, "platform": 1}
            leading = max(
                competing, key=lambda c: (order.get(c[0]["kind"], 0), _near(c[0], place), _name(c[0]))
            )
            currency = str(leading[0]["currency"])
        worth = {_name(one): self.convert(rate, one["currency"], currency) for one, rate in competing}
        winner = max(
            (one for one, _ in competing),
            key=lambda one: (worth[_name(one)], FIRST_IN_TIE.get(one["kind"], 0), _name(one)),
        )
        considered = [_considered(one, worth.get(_name(one)), currency, one is winner) for one in covering]
        return Floor(worth[_name(winner)], currency, _name(winner), document_hash(winner), considered)


def _considered(one: Document, worth: Fraction | None, currency: str, applied: bool) -> dict[str, str]:
    rate = per_hour(one)
    said = {
        "rule": _name(one),
        "sha256": document_hash(one),
        "kind": one["kind"],
        "status": one["status"],
        "applied": "yes" if applied else "no",
    }
    if rate is not None:
        said |= {"hourly": str(rate), "currency": one["currency"]}
    if worth is not None:
        said |= {"compared": str(worth), "compared_currency": currency}
    return said


def _current(documents: Iterable[Document], at: datetime) -> list[Document]:
    """Keep of each rule, in force or suspended, the newest version on its own day."""
    kept: dict[tuple[str, str], Document] = {}
    for one in documents:
        day = at.astimezone(ZoneInfo(one["time_zone"])).date().isoformat()
        if one["effective_from"] <= day and (not one["effective_to"] or day < one["effective_to"]):
            key = (one["id"], one["status"])
            age = (one["effective_from"], one["version"])
            if key not in kept or age > (kept[key]["effective_from"], kept[key]["version"]):
                kept[key] = one
    return sorted(kept.values(), key=_name)


def _covers(one: Document, place: str, area: str | None) -> bool:
    if one["jurisdiction"] not in {None, "*", place, place.split("-", maxsplit=1)[0]}:
        return False
    return area is None or one.get("area") in {None, area}


def _near(one: Document, place: str) -> int:
    if one["jurisdiction"] in {None, "*"}:
        return 0
    return 2 if one["jurisdiction"] == place else 1


def _name(one: Document) -> str:
    return f"{one['id']}@{one['version']}"


def _first_moment(day: str, zone: str) -> int:
    """Give the first moment of a day where a rule holds, also where clocks skip midnight."""
    where = ZoneInfo(zone)
    at = datetime.combine(date.fromisoformat(day), time(), where).astimezone(UTC)
    if at.astimezone(where).date() < date.fromisoformat(day):
        at += timedelta(hours=1)
    return (at - EPOCH) // timedelta(microseconds=1)
