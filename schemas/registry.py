"""The closed registry: the schemas that ship with Fairlabel, and nothing else.

A `$ref` leads to a shipped schema or to a place in its own document; nothing is ever fetched. Validators made here
match patterns within limits and know our formats. Documents are read by `load`; a schema that somebody sends is
never used before its definition has been checked (no `$ref`, shallow, safe patterns).
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from schemas.patterns import PATTERN_CHARS_MAX, TEXT_CHARS_MAX, matches, unsafe
from schemas.problems import PROBLEMS_MAX, Problem, from_errors, pointer
from schemas.shortcut import shortcut
from schemas.strict_json import DEFINITION_BYTES_MAX, DEPTH_MAX, Unreadable, canonical, digest, faults, load

__all__ = [
    "DEFINITION_BYTES_MAX",
    "DEPTH_MAX",
    "PATTERN_CHARS_MAX",
    "PROBLEMS_MAX",
    "TEXT_CHARS_MAX",
    "Problem",
    "Unreadable",
    "Validator",
    "canonical",
    "compiled",
    "digest",
    "faults",
    "from_errors",
    "load",
    "pointer",
    "shipped",
    "unsafe",
    "validator",
]

NAMES = ("task-definition", "upload", "pay-rule")
"""The shipped schemas; each is the file `<name>.schema.json` beside this module."""
URI_CHARS_MAX = 2_000
"""Characters of a web address."""

_FORMATS = FormatChecker(formats=())
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Validator(Protocol):
    """What this package needs of a schema library's validator."""

    def iter_errors(self, instance: Any) -> Iterator[ValidationError]:
        """Give the errors, one by one."""
        ...


@cache
def shipped(name: str) -> Any:
    """Give one of the shipped schemas as a document; do not change it."""
    if name not in NAMES:
        raise KeyError(name)
    text = files("schemas").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    return load(text)


@cache
def validator(name: str, definition: str = "") -> Validator:
    """Give the validator of a shipped schema, or of one of its `$defs`."""
    schema = shipped(name)
    return compiled({"$ref": f"{schema['$id']}#/$defs/{definition}"} if definition else schema)


def compiled(schema: dict[str, Any]) -> Validator:
    """Make a validator of a schema that has been checked, within the closed registry."""
    return _Checked(schema)


def library(schema: dict[str, Any]) -> Validator:
    """Make the schema library's validator, with our patterns, formats and types."""
    made: Validator = _Bounded(schema, registry=_registry(), format_checker=_FORMATS)
    return made


def conforms(text: str, form: str) -> bool:
    """Tell whether a text has a format that we know."""
    return _FORMATS.conforms(text, form)


class _Checked:
    """The schema library's validator, asked only where no shortcut says that nothing is wrong."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.right = shortcut(schema, conforms) or (lambda _: False)
        self.library = library(schema)

    def iter_errors(self, instance: Any) -> Iterator[ValidationError]:
        return iter(()) if self.right(instance) else self.library.iter_errors(instance)


@cache
def _registry() -> Registry[Any]:
    # A registry without `retrieve` fetches nothing; the one that jsonschema takes by default does.
    resources = [(shipped(name)["$id"], DRAFT202012.create_resource(shipped(name))) for name in NAMES]
    made: Registry[Any] = Registry()
    return made.with_resources(resources)


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str) or len(instance) > schema.get("maxLength", len(instance)):
        return  # too long for its own limit: that is told already, and the text must not be matched
    if not matches(pattern, instance):
        yield ValidationError("pattern")


def _unique_items(_: Any, wanted: bool, instance: Any, __: Any) -> Iterator[ValidationError]:  # noqa: FBT001
    """Find repetition in linear time; the library's own way is quadratic on mixed lists."""
    if wanted and isinstance(instance, list) and len({canonical(one) for one in instance}) < len(instance):
        yield ValidationError("uniqueItems")


def _is_integer(_: Any, value: Any) -> bool:
    """Tell whether a value is a whole number in its own type: 1.0 cannot count characters."""
    return isinstance(value, int) and not isinstance(value, bool)


_extend: Any = validators.extend
_types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
_Bounded: Any = _extend(
    Draft202012Validator, {"pattern": _pattern, "uniqueItems": _unique_items}, type_checker=_types
)


def _format(name: str) -> Callable[[Callable[[str], bool]], Callable[[str], bool]]:
    def add(checks: Callable[[str], bool]) -> Callable[[str], bool]:
        _FORMATS.checks(name, raises=ValueError)(lambda value: not isinstance(value, str) or checks(value))
        return checks

    return add


@_format("date")
def is_date(text: str) -> bool:
    """Tell whether a text is a day, as 2026-11-23."""
    return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))


@_format("date-time")
def is_moment(text: str) -> bool:
    """Tell whether a text is a time with its zone."""
    return _DATE.match(text) is not None and datetime.fromisoformat(text).tzinfo is not None


@_format("uri")
def is_web_address(text: str) -> bool:
    """Tell whether a text is an http(s) address without spaces or control characters."""
    if len(text) > URI_CHARS_MAX or any(sign <= " " or sign in '<>"\\^`{|}\x7f' for sign in text):
        return False
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
