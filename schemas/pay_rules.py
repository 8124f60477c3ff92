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

VERIFIERS_MIN = 2
"""Different people who verify a rule before it is in force."""

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
        yield Problem(
            "/jurisdiction", f"a rule of kind '{rule['kind']}' holds somewhere.", "Name the country, as KE."
        )
    if (rule["kind"] == "agreement") != ("agreement" in rule):
        message = "'agreement' names the parties of a rule of kind 'agreement', and of no other."
        yield Problem("/agreement", message, "Add it, remove it, or change 'kind'.")
    scope = rule.get("scope", {})
    if scope.get("min_age", 0) > scope.get("max_age", 999):
        yield Problem("/scope/min_age", "'min_age' is more than 'max_age'.", "Change one of them.")


def _times(rule: dict[str, Any]) -> Iterator[Problem]:
    ends = rule["effective_to"]
    if ends is not None and ends <= rule["effective_from"]:
        message = f"the rule ends on {ends}, but begins on {rule['effective_from']}."
        yield Problem(
            "/effective_to", message, "It is the first day without the rule; take a later one, or null."
        )
    if rule["time_zone"] not in _zones():
        guess = meant(rule["time_zone"], _zones())
        question = f"; did you mean '{guess}'?" if guess else "."
        message = f"unknown time zone {shortened(rule['time_zone'])}{question}"
        yield Problem("/time_zone", message, "Write a name of the IANA list, as Africa/Nairobi.")


def _rates(rule: dict[str, Any]) -> Iterator[Problem]:
    units = [rate["per"] for rate in rule["rates"]]
    for place, rate in enumerate(rule["rates"]):
        if rate["per"] in units[:place]:
            message = f"there is a rate per {rate['per']} already."
            yield Problem(pointer(["rates", place, "per"]), message, "Keep one rate per unit.")
        if not Decimal(rate["amount"]):
            message = "the amount is zero; no minimum is not a minimum of zero."
            yield Problem(
                pointer(["rates", place, "amount"]), message, "Write the amount, or do not record a rule."
            )
    if not units and rule["kind"] != "statutory":
        message = "there is no rate; only a law can state that there is no minimum."
        yield Problem("/rates", message, "Add a rate.")
    elif units and rule["authoritative_unit"] not in units:
        message = f"there is no rate per {rule['authoritative_unit']}, the authoritative unit."
        yield Problem(
            "/authoritative_unit", message, "Add that rate, or name one of: " + ", ".join(units) + "."
        )
    multipliers: list[tuple[list[str | int], str]] = [
        (["overtime", place, "multiplier"], one["multiplier"])
        for place, one in enumerate(rule.get("overtime", ()))
    ]
    if rule.get("night"):
        multipliers.append((["night", "multiplier"], rule["night"]["multiplier"]))
    for path, multiplier in multipliers:
        if Decimal(multiplier) < 1:
            yield Problem(pointer(path), "the multiplier is below 1.", "A supplement never lowers pay.")


def _basis(rule: dict[str, Any]) -> Iterator[Problem]:
    """Ask for the hours by which a rate becomes a rate per hour."""
    basis = rule.get("hours_basis") or {}
    unit = rule["authoritative_unit"]
    ways = _BASES[unit]
    if not any(all(basis.get(name) is not None for name in way) for way in ways):
        wanted = " or ".join(" with ".join(f"'{name}'" for name in way) for way in ways)
        message = f"a rate per {unit} cannot be brought to the hour."
        yield Problem("/hours_basis", message, f"Add {wanted} to 'hours_basis', with the source.")
    for name in ("day", "week", "month", "year"):
        hours = basis.get(name)
        if (
            hours is not None
            and not 0 < Decimal(hours) <= {"day": 24, "week": 168, "month": 744, "year": 8784}[name]
        ):
            message = f"a {name} has not {hours} hours of work."
            yield Problem(
                pointer(["hours_basis", name]), message, "Write the hours as the source gives them."
            )


def _status(rule: dict[str, Any]) -> Iterator[Problem]:
    people = {verified["who"] for verified in rule["verified_by"]}
    if rule["status"] == "in_force" and len(people) < VERIFIERS_MIN:
        message = f"a rule in force is verified by {VERIFIERS_MIN} different people; here by {len(people)}."
        yield Problem("/verified_by", message, "Let another person verify it, or keep the status 'draft'.")
    if rule.get("supersedes") == f"{rule['id']}@{rule['version']}":
        yield Problem("/supersedes", "the rule follows itself.", "Name the version before this one.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
