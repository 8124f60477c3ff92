"""Answers: what fits the definition and the item is taken, all else is told; equal answers compare equal."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Problem, examples
from schemas.answers import AnswerValidator, comparable
from schemas.definition import TaskDefinition, parse
from schemas.fields import ANSWER_NODES_MAX, KINDS

TEXT = "Ada 👩‍🚀 naïve"
DATA = {"text": TEXT, "image": "https://example.org/a.png"}
GOOD: dict[str, Any] = {
    "one": "a",
    "many": ["d", "c"],
    "stars": 3,
    "amount": 9.5,
    "words": "some words",
    "names": [{"start": 0, "end": 3, "label": "p"}, {"start": 4, "end": len(TEXT), "label": "p"}],
    "things": [{"x": 0, "y": 1.5, "width": 10, "height": 20.25, "label": "t"}],
}


def definition() -> TaskDefinition:
    """Give a definition with a field of every kind."""
    options = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]
    return parse(
        {
            "fairlabel": 1,
            "title": "All kinds",
            "language": "en",
            "instructions": "Do.",
            "data": {
                "type": "object",
                "required": ["text", "image"],
                "properties": {"text": {"type": "string"}, "image": {"type": "string"}},
            },
            "show": [{"kind": "text", "from": "text"}, {"kind": "image", "from": "image"}],
            "fields": [
                {
                    "name": "one",
                    "kind": "choice",
                    "label": "Which one?",
                    "options": options,
                    "required": True,
                },
                {
                    "name": "many",
                    "kind": "choices",
                    "label": "Many",
                    "options": [{"value": "c", "label": "C"}, {"value": "d", "label": "D"}],
                },
                {"name": "stars", "kind": "rating", "label": "Stars", "max": 5},
                {"name": "amount", "kind": "number", "label": "Amount", "min": 0, "max": 9.5},
                {
                    "name": "words",
                    "kind": "text",
                    "label": "Words",
                    "required": True,
                    "max_length": 40,
                    "pattern": "^[a-z ]+$",
                },
                {
                    "name": "names",
                    "kind": "spans",
                    "label": "Names",
                    "labels": [{"value": "p", "label": "P"}],
                },
                {
                    "name": "things",
                    "kind": "boxes",
                    "label": "Things",
                    "labels": [{"value": "t", "label": "T"}],
                    "max_items": 2,
                },
            ],
            "content_classes": ["none"],
        }
    )


@pytest.fixture(scope="module")
def validator() -> AnswerValidator:
    return AnswerValidator(definition())


def changed(name: str, value: Any) -> dict[str, Any]:
    answer = copy.deepcopy(GOOD)
    answer[name] = value
    return answer


def span(start: Any, end: Any, label: str = "p") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def box(**other: Any) -> dict[str, Any]:
    return {"x": 0, "y": 0, "width": 1, "height": 1, "label": "t"} | other


def test_a_good_answer_has_no_problems(validator: AnswerValidator) -> None:
    assert validator.problems(GOOD, DATA) == []
    assert validator.problems({"one": "b", "words": "x"}, DATA) == []
    assert validator.problems(GOOD | {"names": [], "things": [], "many": []}, DATA) == []


@pytest.mark.parametrize(
    ("name", "value", "pointer", "said"),
    [
        ("one", "A", "/one", "cannot be 'A'"),
        ("one", None, "/one", "cannot be null"),
        ("many", "c", "/many", "must be a list"),
        ("many", ["c", "c"], "/many", "same value twice"),
        ("many", ["e"], "/many/0", "cannot be 'e'"),
        ("stars", 0, "/stars", "too small"),
        ("stars", 6, "/stars", "too large"),
        ("stars", 3.0, "/stars", "must be a whole number"),
        ("stars", True, "/stars", "must be a whole number, not true"),
        ("stars", "3", "/stars", "must be a whole number, not a text"),
        ("amount", 9.6, "/amount", "9.5 or less"),
        ("amount", float("nan"), "/amount", "NaN"),
        ("amount", float("inf"), "/amount", "endless"),
        ("words", "", "/words", "is empty"),
        ("words", "   ", "/words", "is blank"),
        ("words", "a" * 41, "/words", "at most 40"),
        ("words", "No", "/words", "required form"),
        ("words", "a\x00", "/words", "NUL"),
        ("words", "a\ud800", "/words", "surrogate"),
        ("names", [span(0, len(TEXT) + 1)], "/names/0", f"the text has {len(TEXT)} characters"),
        ("names", [span(3, 3)], "/names/0", "starts at 3 and ends at 3"),
        ("names", [span(0, 1), span(3, 2)], "/names/1", "starts at 3"),
        ("names", [span(-1, 2)], "/names/0/start", "too small"),
        ("names", [span(0.0, 2)], "/names/0/start", "whole number"),
        ("names", [span(0, 2, "q")], "/names/0/label", "cannot be 'q'"),
        ("names", [span(0, 2) | {"text": "Ad"}], "/names/0/text", "unknown field 'text'"),
        ("names", [{"start": 0, "end": 1}], "/names/0/label", "is missing"),
        ("names", {"start": 0}, "/names", "must be a list, not an object"),
        ("things", [box(width=0)], "/things/0/width", "more than 0"),
        ("things", [box(x=-0.5)], "/things/0/x", "too small"),
        ("things", [box(x=100_000, width=1)], "/things/0", "beyond 100,000 pixels"),
        ("things", [box(), box(), box()], "/things", "at most 2 entries"),
        ("others", 1, "/others", "unknown field 'others'"),
        ("wrds", 1, "/wrds", "did you mean 'words'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    validator: AnswerValidator, name: str, value: Any, pointer: str, said: str
) -> None:
    found = [one.message for one in validator.problems(changed(name, value), DATA) if one.pointer == pointer]
    assert any(said in message for message in found)


def test_missing_answers_are_named_by_their_question(validator: AnswerValidator) -> None:
    found = validator.problems({}, DATA)
    assert [(one.pointer, one.message) for one in found] == [
        ("/one", "“Which one?” has no answer yet ('one')."),
        ("/words", "“Words” has no answer yet ('words')."),
    ]


def test_a_known_answer_may_be_partial_but_not_wrong(validator: AnswerValidator) -> None:
    assert validator.problems({"stars": 2}, DATA, partial=True) == []
    assert validator.problems({"stars": 9}, DATA, partial=True) != []
    assert validator.problems({"names": [{"start": 0}]}, DATA, partial=True) != []


@pytest.mark.parametrize("answer", [None, [], "a", 3, [["a"]]])
def test_an_answer_that_is_no_object_is_told(validator: AnswerValidator, answer: Any) -> None:
    assert "must be an object" in validator.problems(answer, DATA)[0].message


def test_a_hostile_answer_is_told_and_costs_little(validator: AnswerValidator) -> None:
    deep: Any = []
    for _ in range(1_000):
        deep = [deep]
    assert "deeper" in validator.problems(changed("many", deep), DATA)[0].message
    huge = [random.choice(["c", 1, None]) for _ in range(ANSWER_NODES_MAX + 1)]
    assert "more than 10,000 values" in validator.problems(changed("many", huge), DATA)[-1].message
    mixed = [{"c": 1} if place % 2 else [place] for place in range(4_000)]
    assert validator.problems(changed("many", mixed), DATA)


def test_spans_of_an_item_without_that_text_are_told(validator: AnswerValidator) -> None:
    assert "0 characters" in validator.problems(changed("names", [span(0, 1)]), {"image": "x"})[0].message


@given(st.text(max_size=12), st.integers(-2, 16), st.integers(-2, 16))
def test_a_span_is_good_exactly_within_its_text(text: str, start: int, end: int) -> None:
    entities = AnswerValidator(parse(examples()["entities"]))
    found = entities.problems({"entities": [span(start, end, "place")]}, {"text": text})
    assert (not found) == (0 <= start < end <= len(text))
    assert found or text[start:end]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*GOOD, "other"]), json_values)
def test_any_value_gives_problems_or_can_be_stored_and_compared(name: str, value: Any) -> None:
    made = definition()
    answer = changed(name, value)
    found = AnswerValidator(made).problems(answer, DATA)
    assert all(isinstance(problem, Problem) for problem in found)
    if not found:
        stored = json.loads(json.dumps(answer, allow_nan=False))
        assert all(comparable(made.field(key).kind, one) for key, one in stored.items())


def test_comparison_knows_no_order_and_no_spacing() -> None:
    assert comparable("choice", "a") == comparable("choice", "a") != comparable("choice", "b")
    assert comparable("choices", ["b", "a"]) == comparable("choices", ["a", "b"])
    assert comparable("number", 3.0) == comparable("number", 3) != comparable("number", 3.5)
    assert (
        comparable("text", " some\n words ")
        == comparable("text", "some words")
        != comparable("text", "Some words")
    )
    spans = [span(4, 6), span(0, 3)]
    assert comparable("spans", spans) == comparable("spans", spans[::-1]) != comparable("spans", spans[:1])
    boxes = [box(x=1.0), box(x=2)]
    assert comparable("boxes", boxes) == comparable("boxes", [box(x=2.0), box(x=1)])
    assert comparable("choices", []) == "[]"


def test_every_kind_names_its_measure_and_export() -> None:
    assert {kind: (one.distance, one.export, one.keys) for kind, one in KINDS.items()} == {
        "choice": ("nominal", "choices", "options"),
        "choices": ("jaccard", "choices", "options"),
        "rating": ("ordinal", "rating", "points"),
        "number": ("interval", "number", None),
        "text": ("edit", "textarea", None),
        "spans": ("span_overlap", "labels", "labels"),
        "boxes": ("box_overlap", "rectanglelabels", "labels"),
    }


def test_validators_are_compiled_once() -> None:
    one, other = AnswerValidator(definition()), AnswerValidator(definition())
    assert one._validator is other._validator
