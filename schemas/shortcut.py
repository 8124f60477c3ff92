"""A short way to "nothing is wrong" for plain schemas, because nearly every value that is checked is right.

A shortcut says yes only where the schema library would find no error, and no wherever it is not sure: then the
library looks, and its errors are told. Schemas that go beyond the keywords below have no shortcut.
"""

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any

from schemas.patterns import matches
from schemas.strict_json import canonical

Test = Callable[[Any], bool]
Formats = Callable[[Any, str], bool]
"""Tells whether a text has a format of that name."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_NUMBERS, _TEXTS, _LISTS, _OBJECTS = {"number", "integer"}, {"string"}, {"array"}, {"object"}
_SIZES: dict[str, tuple[set[str], Callable[[Any, Any], bool]]] = {
    "minLength": (_TEXTS, lambda value, least: len(value) >= least),
    "maxLength": (_TEXTS, lambda value, most: len(value) <= most),
    "minItems": (_LISTS, lambda value, least: len(value) >= least),
    "maxItems": (_LISTS, lambda value, most: len(value) <= most),
    "minProperties": (_OBJECTS, lambda value, least: len(value) >= least),
    "maxProperties": (_OBJECTS, lambda value, most: len(value) <= most),
}
_RULES = _SIZES | {
    "minimum": (_NUMBERS, ge),
    "maximum": (_NUMBERS, le),
    "exclusiveMinimum": (_NUMBERS, gt),
    "exclusiveMaximum": (_NUMBERS, lt),
    "pattern": (_TEXTS, lambda value, pattern: matches(pattern, value)),
    "uniqueItems": (
        _LISTS,
        lambda value, wanted: not wanted or len(set(map(canonical, value))) == len(value),
    ),
}
"""Which types a keyword is about, and whether a value follows it."""
_NOTES = {"type", "title", "description"}
_OF_OBJECTS = {"properties", "required", "additionalProperties"}


class _NoShortcut(Exception):
    """The schema holds something that is not known here."""


def shortcut(schema: dict[str, Any], formats: Formats) -> Test | None:
    """Give a test that is true only for values in which the schema finds no error; None if there is no short way."""
    try:
        return _test(schema, formats)
    except _NoShortcut:
        return None


def _test(schema: dict[str, Any], formats: Formats) -> Test:
    kind = schema.get("type")
    if kind is not None and (not isinstance(kind, str) or kind not in _TYPES):
        raise _NoShortcut
    # Sizes come first: a pattern is safe within its text's own limit only.
    names = sorted(schema.keys() - _NOTES - _OF_OBJECTS, key=lambda name: (name not in _SIZES, name))
    tests = [_keyword(name, schema, kind, formats) for name in names]
    if schema.keys() & _OF_OBJECTS:
        tests.append(_object(schema, kind, formats))
    return _all([_is_one_of(_TYPES[kind]), *tests] if kind else tests)


def _keyword(name: str, schema: dict[str, Any], kind: str | None, formats: Formats) -> Test:
    wanted = schema[name]
    if name in {"enum", "const"}:
        return _among([wanted] if name == "const" else wanted)
    if name == "format" and kind == "string":
        return lambda value: formats(value, wanted)
    if name == "items" and kind == "array" and isinstance(wanted, dict):
        each = _test(wanted, formats)
        return lambda value: all(map(each, value))
    kinds, follows = _RULES.get(name, (set(), ge))
    if kind not in kinds:
        raise _NoShortcut
    return lambda value: follows(value, wanted)


def _among(allowed: list[Any]) -> Test:
    """True and 1 are not the same value, 1 and 1.0 are."""
    if not all(isinstance(one, str | int | float | None) for one in allowed):
        raise _NoShortcut
    known = {(isinstance(one, bool), one) for one in allowed}
    return lambda value: not isinstance(value, list | dict) and (isinstance(value, bool), value) in known


def _object(schema: dict[str, Any], kind: str | None, formats: Formats) -> Test:
    more = schema.get("additionalProperties", True)
    if kind != "object" or not isinstance(more, bool):
        raise _NoShortcut
    tests = {name: _test(child, formats) for name, child in schema.get("properties", {}).items()}
    needed = frozenset(schema.get("required", ()))

    def test(value: dict[str, Any]) -> bool:
        for name, one in value.items():
            known = tests.get(name)
            if known is None:
                if not more:
                    return False
            elif not known(one):
                return False
        return value.keys() >= needed

    return test


def _is_one_of(types: tuple[type, ...]) -> Test:
    """The exact types: a boolean is no number."""
    if len(types) == 1:
        (only,) = types
        return lambda value: type(value) is only
    return lambda value: type(value) in types


def _all(tests: list[Test]) -> Test:
    def test(value: Any) -> bool:
        for one in tests:  # noqa: SIM110  all() with a generator takes twice as long
            if not one(value):
                return False
        return True

    return tests[0] if len(tests) == 1 else test
