"""The short way says yes to exactly what the schema library finds no error in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import examples, registry
from schemas.definition import parse
from schemas.shortcut import shortcut

NAMES = ["a", "b", "c"]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-3, 6)
    | st.sampled_from([0.0, 1.0, 1.5, -2.5])
    | st.sampled_from(["", "a", "ab", "abc", "aé", "2026-11-23", "2026-13-01", "https://example.org/x"])
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
)
SIZE = st.integers(0, 3)
FITTING: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "string": {
        "minLength": SIZE,
        "maxLength": SIZE,
        "pattern": st.sampled_from(["^a", "b$", "[a-z]{2}"]),
        "format": st.sampled_from(["uri", "date"]),
    },
    "number": {name: st.integers(-3, 5) for name in ("minimum", "maximum", "exclusiveMinimum")},
    "integer": {name: st.integers(-3, 5) for name in ("minimum", "maximum", "exclusiveMaximum")},
    "boolean": {},
    "null": {},
    "array": {"minItems": SIZE, "maxItems": SIZE, "uniqueItems": st.booleans()},
    "object": {
        "required": st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
        "additionalProperties": st.booleans(),
        "minProperties": SIZE,
        "maxProperties": SIZE,
    },
}


@st.composite
def schemas(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    """A schema of the form that definitions and answers have."""
    if draw(st.integers(0, 5)) == 0:
        return {"enum": draw(st.lists(PLAIN, min_size=1, max_size=4))}
    kind = draw(st.sampled_from([one for one in FITTING if depth or one not in {"array", "object"}]))
    made: dict[str, Any] = draw(st.fixed_dictionaries({"type": st.just(kind)}, optional=FITTING[kind]))
    if draw(st.integers(0, 4)) == 0:
        made["const"] = draw(PLAIN)
    if kind == "array":
        made["items"] = draw(schemas(depth - 1))
    if kind == "object":
        made["properties"] = draw(st.dictionaries(st.sampled_from(NAMES), schemas(depth - 1), max_size=3))
    return made


@given(schema=schemas(), value=VALUES)
def test_yes_means_that_no_error_is_found(schema: dict[str, Any], value: Any) -> None:
    right = shortcut(schema, registry.conforms)
    found = list(registry.library(schema).iter_errors(value))
    if right is not None:
        assert right(value) == (not found)
    told = registry.compiled(schema).iter_errors(value)
    assert [error.message for error in told] == [error.message for error in found]


def test_a_shipped_example_has_a_short_way() -> None:
    definition = parse(examples()["sentiment"])
    given = definition.examples[0]
    for schema, value in ((definition.data_schema, given.data), (definition.answer_schema(), given.answer)):
        right = shortcut(schema, registry.conforms)
        assert right is not None
        assert right(value)
        assert not right({**value, "more": 1})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minimum": 3},
        {"type": ["string", "null"]},
        {"$ref": "#/$defs/x"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"enum": [[1]]},
    ],
)
def test_what_is_not_known_has_none(schema: dict[str, Any]) -> None:
    assert shortcut(schema, registry.conforms) is None


def test_a_text_over_its_own_limit_is_never_matched() -> None:
    """The pattern is safe for ten characters only; a match of these would take years."""
    right = shortcut({"type": "string", "pattern": "^(a|aa)+$", "maxLength": 10}, registry.conforms)
    assert right is not None
    assert not right("a" * 200 + "b")
