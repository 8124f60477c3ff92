"""Strict JSON: nothing is guessed, nothing is lost, nothing exhausts the stack."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.registry import (
    DEFINITION_BYTES_MAX,
    DEPTH_MAX,
    Problem,
    Unreadable,
    canonical,
    digest,
    faults,
    load,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


def problems_of(document: bytes | str) -> list[Problem]:
    with pytest.raises(Unreadable) as caught:
        load(document)
    return caught.value.problems


@given(values)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert load(json.dumps(value)) == value
    assert load(canonical(value).encode()) == value


@given(st.dictionaries(names, scalars, min_size=2, max_size=6))
def test_the_digest_does_not_depend_on_the_order_of_names(value: dict[str, Any]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


def test_the_digest_survives_a_database_that_keeps_numbers_as_decimals() -> None:
    assert digest({"max": 1.0, "zero": -0.0}) == digest({"max": 1, "zero": 0})


def test_the_digest_is_that_of_the_canonical_bytes() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_all_faults_are_told_with_their_places() -> None:
    text = (
        '{"a": {"x": 1, "x": 2}, "b": [NaN, 1e999, -Infinity], "c": 9007199254740993, "c2": 1e22,'
        '"d": "\\u0000", "e": "\\ud800"}'
    )
    assert [problem.pointer for problem in problems_of(text)] == [
        "/a/x",
        "/b/0",
        "/b/1",
        "/b/2",
        "/c",
        "/c2",
        "/d",
        "/e",
    ]
    assert all(problem.message and problem.hint for problem in problems_of(text))


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_refused_without_recursion(depth: int, opening: str, closing: str) -> None:
    text = (opening * depth + "1" + closing * depth)[:DEFINITION_BYTES_MAX]
    assert "deeper than 32" in problems_of(text)[0].message


def test_depth_up_to_the_limit_is_read() -> None:
    assert load("[" * DEPTH_MAX + "]" * DEPTH_MAX)


def test_brackets_within_texts_are_no_depth() -> None:
    assert load(json.dumps(["[{" * 500, '\\"[' * 50])) == ["[{" * 500, '\\"[' * 50]


def test_a_deep_or_circular_object_is_refused_without_recursion() -> None:
    deep: dict[str, Any] = {}
    deep["self"] = deep
    assert "deeper than 32" in faults(deep)[0].message


def test_shared_parts_cannot_grow_without_end() -> None:
    value: list[Any] = [1]
    for _ in range(25):
        value = [value, value]
    assert any("more than" in problem.message for problem in faults(value))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"\xff\xfe{\x00}\x00", "not UTF-8: byte 1"),
        ('{"é": 1}'.encode("latin-1"), "not UTF-8: byte 3"),
        (b"", "line 1, column 1"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b" " * (DEFINITION_BYTES_MAX + 1), "262,144 are allowed"),
        ("\ud800", "not JSON"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(document: bytes | str, said: str) -> None:
    assert said in problems_of(document)[0].message


def test_a_byte_order_mark_is_passed_over() -> None:
    assert load(b"\xef\xbb\xbf{}") == {} == load("\ufeff{}")


def test_long_numbers_are_refused_and_not_computed() -> None:
    assert "not kept exactly" in problems_of("1" * 100_000)[0].message


def test_names_that_are_no_texts_are_refused() -> None:
    assert "no text" in faults({1: "a"})[0].message
    assert "not JSON" in faults({"a": {1, 2}})[0].message
