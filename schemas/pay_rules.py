"""A pay rule is a JSON document: one version of one minimum, with its legal time, its source and who verified it.

Amounts are decimal strings, never floats. A rule in force has been verified by two different people. Benchmarks are
advice and no floor. This module says whether a document is sound; what it means for somebody's pay is said
elsewhere.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from schemas.problems import PROBLEMS_MAX, Problem, from_errors, meant, pointer, shortened
from schemas.registry import validator
from schemas.strict_json import Unreadable, faults, load
from schemas.words import Words, either

VERIFIERS_MIN = 2
"""Different people who verify a rule before it is in force."""

UNITS = {
    "hour": Words("hour"),
    "day": Words("day"),
    "week": Words("week"),
    "month": Words("month"),
    "year": Words("year"),
}
"""The units of time by which a rule may state its rate."""

_NOWHERE_ALLOWED = {"platform", "requester_promise", "benchmark"}
_BASES = {
    "hour": ((),),
    "day": (("day",), ("week", "days_per_week")),
    "week": (("week",),),
    "month": (("month",), ("week",)),
    "year": (("year",), ("month",), ("week",)),
}


def check(document: bytes | str | dict[str, Any]) -> list[Problem]:
    """Give all problems of a pay rule, at most PROBLEMS_MAX; an empty list means that it can be recorded."""
    value: Any = document
    if isinstance(document, bytes | str):
        try:
            value = load(document)
        except Unreadable as unreadable:
            return unreadable.problems
    found = faults(value) or from_errors(validator("pay-rule").iter_errors(value))
    return (found or list(_lint(value)))[:PROBLEMS_MAX]


def _lint(rule: dict[str, Any]) -> Iterator[Problem]:
    yield from _times(rule)
    yield from _rates(rule)
    yield from _basis(rule)
    yield from _status(rule)
    if rule["jurisdiction"] is None and rule["kind"] not in _NOWHERE_ALLOWED:
        message = Words("a rule of kind '%(kind)s' holds somewhere.", kind=rule["kind"])
        yield Problem("/jurisdiction", message, Words("Name the country, as KE."))
    if (rule["kind"] == "agreement") != ("agreement" in rule):
        message = Words("'agreement' names the parties of a rule of kind 'agreement', and of no other.")
        yield Problem("/agreement", message, Words("Add it, remove it, or change 'kind'."))
    scope = rule.get("scope", {})
    if scope.get("min_age", 0) > scope.get("max_age", 999):
        message = Words("'min_age' is more than 'max_age'.")
        yield Problem("/scope/min_age", message, Words("Change one of them."))


def _times(rule: dict[str, Any]) -> Iterator[Problem]:
    ends = rule["effective_to"]
    if ends is not None and ends <= rule["effective_from"]:
        said = {"end": ends, "start": rule["effective_from"]}
        message = Words("the rule ends on %(end)s, but begins on %(start)s.", **said)
        hint = Words("It is the first day without the rule; take a later one, or null.")
        yield Problem("/effective_to", message, hint)
    if rule["time_zone"] not in _zones():
        guess, name = meant(rule["time_zone"], _zones()), shortened(rule["time_zone"])
        message = Words("unknown time zone %(name)s.", name=name)
        if guess:
            message = Words("unknown time zone %(name)s; did you mean '%(guess)s'?", name=name, guess=guess)
        yield Problem("/time_zone", message, Words("Write a name of the IANA list, as Africa/Nairobi."))


def _rates(rule: dict[str, Any]) -> Iterator[Problem]:
    units = [rate["per"] for rate in rule["rates"]]
    for place, rate in enumerate(rule["rates"]):
        if rate["per"] in units[:place]:
            message = Words("there is a rate per %(unit)s already.", unit=UNITS[rate["per"]])
            yield Problem(pointer(["rates", place, "per"]), message, Words("Keep one rate per unit."))
        if not Decimal(rate["amount"]):
            message = Words("the amount is zero; no minimum is not a minimum of zero.")
            hint = Words("Write the amount, or do not record a rule.")
            yield Problem(pointer(["rates", place, "amount"]), message, hint)
    if not units and rule["kind"] != "statutory":
        message = Words("there is no rate; only a law can state that there is no minimum.")
        yield Problem("/rates", message, Words("Add a rate."))
    elif units and rule["authoritative_unit"] not in units:
        unit = UNITS[rule["authoritative_unit"]]
        message = Words("there is no rate per %(unit)s, the authoritative unit.", unit=unit)
        hint = Words("Add that rate, or name one of: %(units)s.", units=units)
        yield Problem("/authoritative_unit", message, hint)
    multipliers: list[tuple[list[str | int], str]] = [
        (["overtime", place, "multiplier"], one["multiplier"])
        for place, one in enumerate(rule.get("overtime", ()))
    ]
    if rule.get("night"):
        multipliers.append((["night", "multiplier"], rule["night"]["multiplier"]))
    for path, multiplier in multipliers:
        if Decimal(multiplier) < 1:
            message = Words("the multiplier is below 1.")
            yield Problem(pointer(path), message, Words("A supplement never lowers pay."))


def _basis(rule: dict[str, Any]) -> Iterator[Problem]:
    """Ask for the hours by which a rate becomes a rate per hour."""
    basis = rule.get("hours_basis") or {}
    unit = rule["authoritative_unit"]
    ways = _BASES[unit]
    if not any(all(basis.get(name) is not None for name in way) for way in ways):
        wanted = either([" + ".join(f"'{name}'" for name in way) for way in ways])
        message = Words("a rate per %(unit)s cannot be brought to the hour.", unit=UNITS[unit])
        hint = Words("Add %(wanted)s to 'hours_basis', with the source.", wanted=wanted)
        yield Problem("/hours_basis", message, hint)
    for name in ("day", "week", "month", "year"):
        hours = basis.get(name)
        if (
            hours is not None
            and not 0 < Decimal(hours) <= {"day": 24, "week": 168, "month": 744, "year": 8784}[name]
        ):
            said = {"unit": UNITS[name], "hours": hours}
            message = Words("a %(unit)s has not %(hours)s hours of work.", **said)
            hint = Words("Write the hours as the source gives them.")
            yield Problem(pointer(["hours_basis", name]), message, hint)


def _status(rule: dict[str, Any]) -> Iterator[Problem]:
    people = {verified["who"] for verified in rule["verified_by"]}
    if rule["status"] == "in_force" and len(people) < VERIFIERS_MIN:
        said = {"least": VERIFIERS_MIN, "n": len(people)}
        message = Words("a rule in force is verified by %(least)s different people; here by %(n)s.", **said)
        hint = Words("Let another person verify it, or keep the status 'draft'.")
        yield Problem("/verified_by", message, hint)
    if rule.get("supersedes") == f"{rule['id']}@{rule['version']}":
        message = Words("the rule follows itself.")
        yield Problem("/supersedes", message, Words("Name the version before this one."))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
