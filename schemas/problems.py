"""A problem is a value: where (a JSON pointer), what is wrong, what to do about it. Never an exception.

Whoever checks a document collects all problems, up to PROBLEMS_MAX, so that people mend a file in one go. The
sentences are ours: a schema library's raw texts say neither the place nor the remedy.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

from schemas.words import Words, either

PROBLEMS_MAX = 100
"""So many problems of one document are told; a person mends these first."""
SHOWN_CHARS_MAX = 60
"""So much of a wrong value is repeated in a message."""
SHOWN_CHOICES_MAX = 12
"""So many of the allowed values are listed."""

HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Signs of control, overrides of the direction of reading, and halves of characters."""

TYPE_WORDS = {
    "string": Words("a text"),
    "number": Words("a number"),
    "integer": Words("a whole number"),
    "boolean": Words("true or false"),
    "object": Words("an object"),
    "array": Words("a list"),
    "null": Words("null"),
}
NOUNS = {
    "keyword": Words("keyword"),
    "column": Words("column"),
    "field": Words("field"),
    "name": Words("name"),
}
"""What a name in a document may be the name of."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the place, a sentence, the remedy."""

    pointer: str
    message: Words
    hint: Words

    def as_json(self) -> dict[str, str]:
        """Give it as errors carry it to the edge."""
        return {"pointer": self.pointer, "message": self.message, "hint": self.hint}


def pointer(path: Iterable[str | int]) -> str:
    """Write a path as JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def visible(text: str) -> str:
    """Put a sign in the place of what cannot be seen, or would turn the words around it."""
    return HIDDEN.sub("�", text)


def shortened(value: Any) -> str:
    """Show a value in few characters; for messages."""
    text = f"'{visible(value)}'" if isinstance(value, str) else _type_or_value(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 2] + "…'"


def meant(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that was probably meant."""
    close = difflib.get_close_matches(word[:SHOWN_CHARS_MAX], list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(path: Sequence[str | int], name: str, known: Iterable[str], noun: str) -> Problem:
    """Say that a name is not known, with the one that was probably meant."""
    names = sorted(known)
    guess = meant(name, names)
    here, what, said = pointer([*path, name]), NOUNS[noun], shortened(name)
    if guess:
        return Problem(
            here,
            Words("unknown %(noun)s %(name)s; did you mean '%(guess)s'?", noun=what, name=said, guess=guess),
            Words("Rename it to '%(name)s', or remove it.", name=guess),
        )
    listed = names[:SHOWN_CHOICES_MAX]
    hint = Words("Remove it. Known here: %(names)s.", names=listed) if listed else Words("Remove it.")
    return Problem(here, Words("unknown %(noun)s %(name)s.", noun=what, name=said), hint)


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
                add = Words("Add the %(noun)s '%(name)s'.", noun=NOUNS[noun], name=name)
                hint = Words("Fill it in.") if noun == "column" else add
                yield Problem(pointer([*path, name]), missing(name), hint)
    else:
        yield Problem(pointer(path), *_sentence(rule, wanted, value, _name(path)))


def missing(name: str) -> Words:
    """Say that something is not there."""
    return Words("'%(name)s' is missing.", name=name)


def _sentence(rule: str, wanted: Any, value: Any, name: str) -> tuple[Words, Words]:
    if rule == "type":
        form = either([TYPE_WORDS[one] for one in ([wanted] if isinstance(wanted, str) else wanted)])
        found = _type_or_value(value)
        return (
            Words("%(name)s must be %(form)s, not %(value)s.", name=name, form=form, value=found),
            Words("Write %(form)s here.", form=form),
        )
    if rule in {"enum", "const"}:
        return _not_among([wanted] if rule == "const" else list(wanted), value, name)
    if rule in {"pattern", "format"}:
        return _wrong_form(rule, wanted, value, name)
    if rule == "uniqueItems":
        return Words("%(name)s holds the same value twice.", name=name), Words("Remove the repeated value.")
    if rule in MEASURES:
        return _wrong_measure(rule, wanted, value, name)
    return (
        Words("%(name)s does not fit the rule '%(rule)s'.", name=name, rule=rule),
        Words("See the documentation of this part."),
    )


def _wrong_form(rule: str, wanted: str, value: Any, name: str) -> tuple[Words, Words]:
    shown = shortened(value)
    if rule == "pattern":
        return (
            Words("%(name)s is %(value)s, which has not the required form.", name=name, value=shown),
            Words("It must match the pattern %(pattern)s", pattern=wanted),
        )
    form = FORMAT_WORDS.get(wanted, wanted)
    return (
        Words("%(name)s is %(value)s, which is not %(form)s.", name=name, value=shown, form=form),
        Words("Write %(form)s.", form=form),
    )


FORMAT_WORDS = {
    "date": Words("a date as 2026-11-23"),
    "date-time": Words("a time with its zone as 2026-11-23T09:00:00Z"),
    "uri": Words("a web address that starts with https:// or http://"),
}

MEASURES = {
    "minLength": (Words("too short"), Words("at least %(n)s characters")),
    "maxLength": (Words("too long"), Words("at most %(n)s characters")),
    "minItems": (Words("too short"), Words("at least %(n)s entries")),
    "maxItems": (Words("too long"), Words("at most %(n)s entries")),
    "minProperties": (Words("too small"), Words("at least %(n)s names")),
    "maxProperties": (Words("too large"), Words("at most %(n)s names")),
    "minimum": (Words("too small"), Words("%(n)s or more")),
    "maximum": (Words("too large"), Words("%(n)s or less")),
    "exclusiveMinimum": (Words("too small"), Words("more than %(n)s")),
    "exclusiveMaximum": (Words("too large"), Words("less than %(n)s")),
}


def _wrong_measure(rule: str, wanted: Any, value: Any, name: str) -> tuple[Words, Words]:
    if rule == "minLength" and value == "":
        return Words("%(name)s is empty.", name=name), Words("Write something here.")
    fault, allow = MEASURES[rule]
    allowed = allow.filled(n=wanted)
    has = len(value) if hasattr(value, "__len__") else shortened(value)
    said = {"name": name, "fault": fault, "has": has, "allowed": allowed}
    message = Words("%(name)s is %(fault)s: %(has)s, allowed is %(allowed)s.", **said)
    return message, Words("Make it %(allowed)s.", allowed=allowed)


def _not_among(wanted: list[Any], value: Any, name: str) -> tuple[Words, Words]:
    guess = meant(value, [one for one in wanted if isinstance(one, str)]) if isinstance(value, str) else None
    said = {"name": name, "value": shortened(value)}
    if guess:
        message = Words("%(name)s cannot be %(value)s; did you mean '%(guess)s'?", **said, guess=guess)
    else:
        message = Words("%(name)s cannot be %(value)s.", **said)
    listed, more = [shortened(one) for one in wanted[:SHOWN_CHOICES_MAX]], len(wanted) - SHOWN_CHOICES_MAX
    if more > 0:
        return message, Words("Allowed here: %(choices)s and %(more)s more.", choices=listed, more=more)
    return message, Words("Allowed here: %(choices)s.", choices=listed)


def _name(path: Sequence[str | int]) -> str:
    if not path:
        return Words("the document")
    last = path[-1]
    return f"'{visible(last)}'" if isinstance(last, str) else Words("entry %(n)s", n=last + 1)


def _type_or_value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return Words("a number without end")
    if isinstance(value, int | float):
        return str(value) if abs(value) < 10**16 else Words("a very large number")
    if isinstance(value, str):
        return TYPE_WORDS["string"]
    return TYPE_WORDS["array"] if isinstance(value, list) else TYPE_WORDS["object"]
