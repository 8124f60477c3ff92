"""A problem is a value: where (a JSON pointer), what is wrong, what to do about it. Never an exception.

Whoever checks a document collects all problems, up to PROBLEMS_MAX, so that people mend a file in one go. The
sentences are ours: a schema library's raw texts say neither the place nor the remedy.
"""

import difflib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

PROBLEMS_MAX = 100
"""So many problems of one document are told; a person mends these first."""
SHOWN_CHARS_MAX = 60
"""So much of a wrong value is repeated in a message."""
SHOWN_CHOICES_MAX = 12
"""So many of the allowed values are listed."""

TYPE_WORDS = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the place, a sentence, the remedy."""

    pointer: str
    message: str
    hint: str


def pointer(path: Iterable[str | int]) -> str:
    """Write a path as JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def shortened(value: Any) -> str:
    """Show a value in few characters; for messages."""
    text = f"'{value}'" if isinstance(value, str) else _type_or_value(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 2] + "…'"


def meant(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that was probably meant."""
    close = difflib.get_close_matches(word[:SHOWN_CHARS_MAX], list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(path: Sequence[str | int], name: str, known: Iterable[str], noun: str) -> Problem:
    """Say that a name is not known, with the one that was probably meant."""
    names = sorted(known)
    guess = meant(name, names)
    message = f"unknown {noun} {shortened(name)}"
    if guess:
        return Problem(
            pointer([*path, name]),
            f"{message}; did you mean '{guess}'?",
            f"Rename it to '{guess}', or remove it.",
        )
    listed = ", ".join(names[:SHOWN_CHOICES_MAX]) or "none"
    return Problem(pointer([*path, name]), f"{message}.", f"Remove it. Known here: {listed}.")


def from_errors(
    errors: Iterable[ValidationError], *, under: Sequence[str | int] = (), noun: str = "keyword"
) -> list[Problem]:
    """Put a schema library's errors into our words, without repetition, at most PROBLEMS_MAX."""
    told: dict[Problem, None] = {}
    for error in islice(errors, 10 * PROBLEMS_MAX):
        for problem in _told(error, [*under, *error.absolute_path], noun):
            told[problem] = None
        if len(told) >= PROBLEMS_MAX:
            break
    return list(told)[:PROBLEMS_MAX]


def _told(error: ValidationError, path: list[str | int], noun: str) -> Iterator[Problem]:
    rule = str(error.validator)
    wanted: Any = error.validator_value
    value: Any = error.instance
    if rule == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        for name in value:
            if name not in known:
                yield unknown(path, str(name), known, noun)
    elif rule == "required":
        for name in wanted:
            if name not in value:
                hint = "Fill it in." if noun == "column" else f"Add the {noun} '{name}'."
                yield Problem(pointer([*path, name]), f"'{name}' is missing.", hint)
    else:
        yield Problem(pointer(path), *_sentence(rule, wanted, value, _name(path)))


def _sentence(rule: str, wanted: Any, value: Any, name: str) -> tuple[str, str]:
    if rule == "type":
        words = " or ".join(TYPE_WORDS[one] for one in ([wanted] if isinstance(wanted, str) else wanted))
        return f"{name} must be {words}, not {_type_or_value(value)}.", f"Write {words} here."
    if rule in {"enum", "const"}:
        return _not_among([wanted] if rule == "const" else list(wanted), value, name)
    if rule in {"pattern", "format"}:
        return _wrong_form(rule, wanted, value, name)
    if rule == "uniqueItems":
        return f"{name} holds the same value twice.", "Remove the repeated value."
    if rule in MEASURES:
        return _wrong_measure(rule, wanted, value, name)
    return f"{name} does not fit the rule '{rule}'.", "See the documentation of this part."


def _wrong_form(rule: str, wanted: str, value: Any, name: str) -> tuple[str, str]:
    if rule == "pattern":
        return (
            f"{name} is {shortened(value)}, which has not the required form.",
            f"It must match the pattern {wanted}",
        )
    form = FORMAT_WORDS.get(wanted, wanted)
    return f"{name} is {shortened(value)}, which is not {form}.", f"Write {form}."


FORMAT_WORDS = {
    "date": "a date as 2026-11-23",
    "date-time": "a time with its zone as 2026-11-23T09:00:00Z",
    "uri": "a web address that starts with https:// or http://",
}

MEASURES = {
    "minLength": ("too short", "at least {} characters"),
    "maxLength": ("too long", "at most {} characters"),
    "minItems": ("too short", "at least {} entries"),
    "maxItems": ("too long", "at most {} entries"),
    "minProperties": ("too small", "at least {} names"),
    "maxProperties": ("too large", "at most {} names"),
    "minimum": ("too small", "{} or more"),
    "maximum": ("too large", "{} or less"),
    "exclusiveMinimum": ("too small", "more than {}"),
    "exclusiveMaximum": ("too large", "less than {}"),
}


def _wrong_measure(rule: str, wanted: Any, value: Any, name: str) -> tuple[str, str]:
    fault, allowed = MEASURES[rule]
    allowed = allowed.format(f"{wanted:,}")
    if rule == "minLength" and value == "":
        return f"{name} is empty.", "Write something here."
    has = f"{len(value):,}" if hasattr(value, "__len__") else shortened(value)
    return f"{name} is {fault}: {has}, allowed is {allowed}.", f"Make it {allowed}."


def _not_among(wanted: list[Any], value: Any, name: str) -> tuple[str, str]:
    guess = meant(value, [one for one in wanted if isinstance(one, str)]) if isinstance(value, str) else None
    listed = ", ".join(shortened(one) for one in wanted[:SHOWN_CHOICES_MAX])
    more = f" and {len(wanted) - SHOWN_CHOICES_MAX} more" if len(wanted) > SHOWN_CHOICES_MAX else ""
    question = f"; did you mean '{guess}'?" if guess else "."
    return f"{name} cannot be {shortened(value)}{question}", f"Allowed here: {listed}{more}."


def _name(path: Sequence[str | int]) -> str:
    if not path:
        return "the document"
    last = path[-1]
    return f"'{last}'" if isinstance(last, str) else f"entry {last + 1}"


def _type_or_value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return "a number without end"
    if isinstance(value, int | float):
        return str(value) if abs(value) < 10**16 else "a very large number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
