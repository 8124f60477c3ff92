"""Strict JSON: what is read is exactly what was written, within limits, and can be stored anywhere.

A name twice in one object, NaN, endless or inexact numbers, NUL characters, half surrogate pairs, deep nesting and
large sizes are refused with their place. Nothing here recurses, so depth cannot exhaust the stack. The canonical
form is one text per value: it survives a trip through the database and is what digests are taken of.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from schemas.problems import PROBLEMS_MAX, Problem, pointer, shortened
from schemas.words import Words

DEFINITION_BYTES_MAX = 256 * 1024
"""Bytes of one definition, rule or other hand-written document."""
DEPTH_MAX = 32
"""Levels of objects and lists."""
NODES_MAX = 100_000
"""Values in one document, however deep."""
EXACT_INTEGER_MAX = 2**53 - 1
"""Beyond this, browsers no longer count exactly."""

_SURROGATE = re.compile("[\ud800-\udfff]")
# Strings are taken whole so that brackets inside them do not count; possessive, hence linear.
_MARKS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


JSON_FAULTS = {
    "Expecting value": Words("a value is missing"),
    "Extra data": Words("something follows the document"),
    "Expecting property name enclosed in double quotes": Words("a name in double quotes is missing"),
    "Expecting ':' delimiter": Words("a colon is missing"),
    "Expecting ',' delimiter": Words("a comma is missing"),
    "Illegal trailing comma before end of object": Words("a comma stands before the end of an object"),
    "Illegal trailing comma before end of array": Words("a comma stands before the end of a list"),
    "Unterminated string starting at": Words("a text does not end, which begins"),
    "Invalid control character at": Words("a line break or another control character stands in a text"),
    "Invalid \\escape": Words("a backslash is followed by the wrong sign"),
    "Invalid \\uXXXX escape": Words("a backslash with u is not followed by four hexadecimal digits"),
}
"""What the reader of JSON says, in our words."""


class Unreadable(ValueError):
    """The document is not JSON that can be used."""

    def __init__(self, problems: list[Problem]) -> None:
        """Take the problems, at least one."""
        self.problems = problems
        super().__init__(problems[0].message)


class _Repeated(dict[str, Any]):
    """An object in which names stood more than once; `names` are those."""

    names: list[str]


def load(document: bytes | str, *, bytes_max: int = DEFINITION_BYTES_MAX) -> Any:
    """Read JSON strictly. Raises Unreadable with all problems."""
    text = _decoded(document, bytes_max)
    if _too_deep(text):
        raise Unreadable([_depth_problem("")])
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable([_not_json(error)]) from None
    problems = faults(value)
    if problems:
        raise Unreadable(problems)
    return value


def faults(value: Any, *, nodes_max: int = NODES_MAX) -> list[Problem]:
    """Give what a value holds that JSON, a browser or the database could not keep. Never recurses."""
    if _is_sound(value, nodes_max):
        return []
    found: list[Problem] = []
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    seen = 0
    while waiting and len(found) < PROBLEMS_MAX:
        one, path = waiting.pop()
        seen += 1
        if seen > nodes_max:
            message = Words("there are more than %(most)s values in it.", most=nodes_max)
            return [*found, Problem("", message, Words("Make it smaller."))]
        found.extend(_own_faults(one, path))
        if isinstance(one, dict | list) and one and len(path) >= DEPTH_MAX:
            found.append(_depth_problem(pointer(path)))
        elif isinstance(one, dict):
            waiting.extend((child, (*path, str(name))) for name, child in reversed(one.items()))
        elif isinstance(one, list):
            waiting.extend((one[place], (*path, place)) for place in range(len(one) - 1, -1, -1))
    return found


def canonical(value: Any) -> str:
    """Write a value in its one form: names sorted, no spaces, whole numbers without a point."""
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """Give the SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _is_sound(value: Any, nodes_max: int) -> bool:
    """Tell in the shortest way whether there is no fault at all, level by level."""
    level, seen = [value], 0
    for _ in range(DEPTH_MAX + 1):
        seen += len(level)
        deeper: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is str:
                if not _is_kept(one):
                    return False
            elif kind is dict:
                if not all(type(name) is str and _is_kept(name) for name in one):
                    return False
                deeper.extend(one.values())
            elif kind is list:
                deeper.extend(one)
            elif not (
                one is None
                or kind is bool
                or (kind in (int, float) and -EXACT_INTEGER_MAX <= one <= EXACT_INTEGER_MAX)
            ):
                return False
        if not deeper or seen > nodes_max:
            return seen <= nodes_max
        level = deeper
    return False


def _is_kept(text: str) -> bool:
    return "\0" not in text and (text.isascii() or _SURROGATE.search(text) is None)


def _decoded(document: bytes | str, bytes_max: int) -> str:
    plain = isinstance(document, bytes) or document.isascii()
    size = len(document) if plain else len(str(document).encode("utf-8", "surrogatepass"))
    if size > bytes_max:
        message = Words("the document has %(size)s bytes; %(most)s are allowed.", size=size, most=bytes_max)
        raise Unreadable([Problem("", message, Words("Make it smaller."))])
    if isinstance(document, str):
        return document.removeprefix("\ufeff")
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = Words("the document is not UTF-8: byte %(place)s cannot be read.", place=error.start + 1)
        hint = Words("Save it again with the encoding UTF-8.")
        raise Unreadable([Problem("", message, hint)]) from None


def _not_json(error: json.JSONDecodeError) -> Problem:
    what = {"what": JSON_FAULTS.get(error.msg, error.msg), "line": error.lineno, "column": error.colno}
    message = Words("this is not JSON: %(what)s at line %(line)s, column %(column)s.", **what)
    hint = Words("Mend the JSON there; a missing comma or quote often stands just before.")
    return Problem("", message, hint)


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return False
    depth = 0
    for mark in _MARKS.finditer(text):
        sign = mark[0]
        depth += (sign in "[{") - (sign in "]}")
        if depth > DEPTH_MAX:
            return True
    return False


def _depth_problem(place: str) -> Problem:
    message = Words("the document is nested deeper than %(most)s levels.", most=DEPTH_MAX)
    return Problem(place, message, Words("Make it flatter."))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = _Repeated(made)
    names = [name for name, _ in pairs]
    repeated.names = (
        sorted({name for name in names if names.count(name) > 1}) if len(names) < 1000 else [names[0]]
    )
    return repeated


def _integer(digits: str) -> int:
    """Read a whole number; one too long to be exact keeps only its size, and is refused afterwards."""
    return int(digits[:20])


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


def _own_faults(value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(value, _Repeated):
        for name in value.names:
            twice = Words("the name %(name)s stands twice.", name=shortened(name))
            yield Problem(pointer([*path, name]), twice, Words("Keep one of the two."))
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                message = Words("the name %(name)s is no text.", name=shortened(str(name)))
                yield Problem(pointer(path), message, Words("Names must be texts."))
            else:
                yield from _text_faults(name, path)
    elif isinstance(value, str):
        yield from _text_faults(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        message = Words("NaN and endless numbers are not JSON.")
        yield Problem(pointer(path), message, Words("Write a number, or leave it out."))
    elif isinstance(value, int | float) and abs(value) > EXACT_INTEGER_MAX:
        message = Words("a number beyond %(most)s is not kept exactly.", most=EXACT_INTEGER_MAX)
        yield Problem(pointer(path), message, Words("Write it as a text, in quotes."))
    elif value is not None and not isinstance(value, int | float | list):
        message = Words("a %(kind)s is not JSON.", kind=type(value).__name__)
        yield Problem(pointer(path), message, Words("Use texts, numbers, lists and objects."))


def _text_faults(text: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if "\0" in text:
        message = Words("a text holds the NUL character, which cannot be stored.")
        yield Problem(pointer(path), message, Words("Remove U+0000."))
    if _SURROGATE.search(text):
        message = Words("a text holds half a character (a lone surrogate).")
        yield Problem(pointer(path), message, Words("Write the whole character."))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
