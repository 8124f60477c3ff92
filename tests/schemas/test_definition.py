"""Task definitions: everything wrong is told at once, with place and remedy; nothing is fetched, nothing hangs."""

import copy
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing.exceptions import Unresolvable

from schemas import Problem, examples
from schemas.definition import CONTENT_CLASSES, LANGUAGES, WrongDocument, check, digest, parse, warnings
from schemas.fields import FREE_KEYS, KINDS, RESERVED_KEYS, answer_schema, configuration
from schemas.registry import PROBLEMS_MAX, compiled, shipped

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def document() -> dict[str, Any]:
    return examples()["sentiment"]


def every_kind() -> dict[str, Any]:
    """One definition with a field of every kind."""
    options = [{"value": "a", "label": "A"}, {"value": "b", "label": "B", "key": "x"}]
    return {
        "fairlabel": 1,
        "title": "All",
        "language": "en",
        "instructions": "Do.",
        "data": {
            "type": "object",
            "required": ["text", "image"],
            "properties": {"text": {"type": "string"}, "image": {"type": "string"}},
        },
        "show": [{"kind": "text", "from": "text"}, {"kind": "image", "from": "image"}],
        "fields": [
            {"name": "one", "kind": "choice", "label": "One", "options": options, "required": True},
            {"name": "many", "kind": "choices", "label": "Many", "options": [{"value": "c", "label": "C"}]},
            {"name": "stars", "kind": "rating", "label": "Stars", "max": 5, "low": "bad", "high": "good"},
            {"name": "amount", "kind": "number", "label": "Amount", "min": 0, "max": 9.5, "unit": "kg"},
            {"name": "words", "kind": "text", "label": "Words", "max_length": 40, "pattern": "^[a-z ]+$"},
            {"name": "names", "kind": "spans", "label": "Names", "labels": [{"value": "p", "label": "P"}]},
            {"name": "things", "kind": "boxes", "label": "Things", "labels": [{"value": "t", "label": "T"}]},
        ],
        "content_classes": ["none"],
    }


def nothing(*_: Any, **__: Any) -> None:
    raise AssertionError("something went to the network")


@pytest.mark.parametrize("name", ["boxes", "entities", "relevance", "sentiment"])
def test_the_examples_are_without_problems_or_doubts(name: str) -> None:
    document = examples()[name]
    assert check(document) == []
    assert [one for one in warnings(document) if "personal" in one.message] == []
    assert parse(document).title == document["title"]


def test_examples_are_fresh_documents() -> None:
    examples()["boxes"].clear()
    assert examples()["boxes"]


def test_a_definition_in_its_typed_parts(document: dict[str, Any]) -> None:
    made = parse(json.dumps(document).encode())
    assert (made.language, made.content_classes, made.digest) == ("en", ("none",), digest(document))
    assert [part.source for part in made.show] == ["text"]
    assert [(option.value, option.key) for option in made.field("sentiment").options] == [
        ("positive", "1"),
        ("neutral", "2"),
        ("negative", "3"),
    ]
    assert made.answer_schema() == answer_schema(made.fields)
    assert made.data_schema["required"] == ["text"]
    assert parse(document) is parse(copy.deepcopy(document))
    with pytest.raises(KeyError):
        made.field("mood")


def test_the_closed_list_of_kinds_stands_in_the_schema() -> None:
    schema = shipped("task-definition")["$defs"]
    assert list(KINDS) == schema["field"]["properties"]["kind"]["enum"]
    assert [rule["then"]["$ref"].rsplit("/", 1)[1] for rule in schema["field"]["allOf"]] == list(KINDS)
    for kind in KINDS:
        assert configuration(kind)["additionalProperties"] is False
    assert {"en", "fr", "sw"} <= set(LANGUAGES)
    assert CONTENT_CLASSES == ("none", "adult", "violence", "self-harm", "hate", "abuse")


def test_every_kind_of_field_can_be_used() -> None:
    document = every_kind()
    assert check(document) == []
    made = parse(document)
    assert [field.source for field in made.fields] == [None] * 5 + ["text", "image"]
    assert made.field("stars").settings == {"max": 5, "low": "bad", "high": "good"}
    assert [option.hint for option in made.field("stars").options] == ["bad", "", "", "", "good"]


def test_keys_are_given_out_once_and_never_those_of_the_workspace() -> None:
    made = parse(every_kind())
    keys = [option.key for field in made.fields for option in field.options]
    assert keys == ["1", "X", "2", "3", "4", "5", "6", "7", "8", "9"]
    assert len(set(keys)) == len(keys)
    assert RESERVED_KEYS.isdisjoint(FREE_KEYS)


def test_a_scale_has_its_own_digits_as_keys() -> None:
    document = every_kind()
    document["fields"] = [{"name": "stars", "kind": "rating", "label": "Stars", "min": 0, "max": 5}]
    assert [option.key for option in parse(document).fields[0].options] == ["0", "1", "2", "3", "4", "5"]


def test_options_beyond_the_keys_have_none_and_that_is_told(document: dict[str, Any]) -> None:
    document["fields"][0]["options"] = [{"value": f"o{n}", "label": f"O{n}"} for n in range(40)]
    document["examples"] = []
    keys = [option.key for option in parse(document).fields[0].options]
    assert keys == [*FREE_KEYS, *[None] * (40 - len(FREE_KEYS))]
    assert "more options than there are keys" in warnings(document)[0].message


def set_at(*path: Any) -> Change:
    *way, last, value = path

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in way:
            place = place[step]
        place[last] = value

    return change


COLUMN = ("data", "properties", "text")
FIELD = ("fields", 0)
WRONG: list[tuple[Change, str, str]] = [
    (set_at("titel", "x"), "/titel", "did you mean 'title'"),
    (set_at(*FIELD, "lable", "x"), "/fields/0/lable", "did you mean 'label'"),
    (set_at(*FIELD, "options", 0, "vaule", "x"), "/fields/0/options/0/vaule", "did you mean 'value'"),
    (set_at("fairlabel", 2), "/fairlabel", "cannot be 2"),
    (set_at("title", ""), "/title", "is empty"),
    (set_at("title", "x" * 121), "/title", "at most 120 characters"),
    (set_at("language", "english"), "/language", "cannot be 'english'"),
    (set_at("content_classes", []), "/content_classes", "at least 1 entries"),
    (set_at("content_classes", ["none", "hate"]), "/content_classes", "'none' stands beside"),
    (set_at("content_classes", ["hate", "hate"]), "/content_classes", "same value twice"),
    (set_at("content_classes", ["violense"]), "/content_classes/0", "did you mean 'violence'"),
    (set_at("show", []), "/show", "at least 1"),
    (set_at("show", 0, "from", "txt"), "/show/0/from", "did you mean 'text'"),
    (set_at("show", 0, "kind", "html"), "/show/0/kind", "cannot be 'html'"),
    (set_at(*COLUMN, "type", "integer"), "/show/0/from", "is no text"),
    (set_at("data", "type", "array"), "/data/type", "cannot be 'array'"),
    (set_at("data", "required", ["txet"]), "/data/required/0", "did you mean 'text'"),
    (set_at(*COLUMN, "minLength", 3_000), "/data/properties/text/minLength", "more than 'maxLength'"),
    (set_at(*COLUMN, "minimum", 3), "/data/properties/text/minimum", "means nothing"),
    (set_at(*COLUMN, "enum", ["a", 1]), "/data/properties/text/enum/1", "must be a text"),
    (set_at(*COLUMN, "maxLength", 10.0), "/data/properties/text/maxLength", "must be a whole number"),
    (set_at(*COLUMN, "pattern", "^(a+)+$"), "/data/properties/text/pattern", "cannot be used"),
    (set_at(*COLUMN, "pattern", "a" * 201), "/data/properties/text/pattern", "201 characters"),
    (set_at(*COLUMN, "allOf", []), "/data/properties/text/allOf", "unknown keyword 'allOf'"),
    (set_at("data", "properties", " text", {"type": "string"}), "/data/properties/ text", "column name"),
    (set_at("data", "properties", "", {"type": "string"}), "/data/properties/", "column name"),
    (set_at(*FIELD, "name", "Mood"), "/fields/0/name", "has not the required form"),
    (set_at(*FIELD, "name", "mood\n"), "/fields/0/name", "has not the required form"),
    (set_at(*FIELD, "kind", "choise"), "/fields/0/kind", "did you mean 'choice'"),
    (set_at(*FIELD, "required", "yes"), "/fields/0/required", "must be true or false"),
    (set_at(*FIELD, "options", []), "/fields/0/options", "at least 1"),
    (set_at(*FIELD, "options", 1, "value", "positive"), "/fields/0/options/1/value", "stands twice"),
    (set_at(*FIELD, "options", 0, "key", "s"), "/fields/0/options/0/key", "fixed meaning"),
    (set_at(*FIELD, "options", 1, "key", "1"), "/fields/0/options/1/key", "taken by /fields/0/options/0"),
    (set_at(*FIELD, "options", 1, "key", "Enter"), "/fields/0/options/1/key", "has not the required form"),
    (set_at("examples", 0, "data", {}), "/examples/0/data/text", "is missing"),
    (
        set_at("examples", 1, "answer", {"sentiment": "sad"}),
        "/examples/1/answer/sentiment",
        "cannot be 'sad'",
    ),
    (set_at("examples", 1, "answer", {}), "/examples/1/answer/sentiment", "has no answer yet"),
]


@pytest.mark.parametrize(
    ("change", "pointer", "said"), WRONG, ids=[f"{place} {said}" for _, place, said in WRONG]
)
def test_what_is_wrong_is_told_with_its_place(
    document: dict[str, Any], change: Change, pointer: str, said: str
) -> None:
    change(document)
    found = {problem.pointer: problem for problem in check(document)}
    assert pointer in found
    assert said in found[pointer].message
    assert found[pointer].hint


FIELD_WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "rating", "max": 1}, "/fields/0/max", "1 points"),
    ({"kind": "rating", "min": -10, "max": 10}, "/fields/0/max", "21 points"),
    ({"kind": "rating", "min": 5, "max": 2}, "/fields/0/min", "more than 'max'"),
    ({"kind": "rating"}, "/fields/0/max", "is missing"),
    ({"kind": "number", "min": 3, "max": 2}, "/fields/0/min", "more than 'max'"),
    ({"kind": "text", "pattern": "(a|a)*"}, "/fields/0/pattern", "cannot be used"),
    ({"kind": "text", "min_length": 9, "max_length": 2}, "/fields/0/min_length", "more than 'max_length'"),
    (
        {"kind": "choices", "options": [{"value": "a", "label": "A"}], "min_items": 2},
        "/fields/0/min_items",
        "1 options",
    ),
    (
        {"kind": "spans", "labels": [{"value": "a", "label": "A"}], "from": "image"},
        "/fields/0/from",
        "not shown as text",
    ),
    (
        {"kind": "boxes", "labels": [{"value": "a", "label": "A"}], "from": "nope"},
        "/fields/0/from",
        "not shown as image",
    ),
    ({"kind": "spans"}, "/fields/0/labels", "is missing"),
    ({"kind": "text", "labels": []}, "/fields/0/labels", "unknown keyword 'labels'"),
]


@pytest.mark.parametrize(("field", "pointer", "said"), FIELD_WRONG)
def test_wrong_settings_of_a_field_are_told(field: dict[str, Any], pointer: str, said: str) -> None:
    document = every_kind()
    document["fields"] = [{"name": "it", "label": "It", **field}]
    found = {problem.pointer: problem.message for problem in check(document)}
    assert said in found[pointer]


def test_two_fields_of_one_name_are_refused() -> None:
    document = every_kind()
    document["fields"][1]["name"] = "one"
    assert [problem.pointer for problem in check(document)] == ["/fields/1/name"]


def test_all_problems_are_told_not_only_the_first(document: dict[str, Any]) -> None:
    document["lables"] = 1
    document["fields"][0]["kind"] = "choise"
    del document["title"]
    assert {problem.pointer for problem in check(document)} == {"/lables", "/fields/0/kind", "/title"}
    with pytest.raises(WrongDocument) as caught:
        parse(document)
    assert caught.value.problems == check(document)


def test_problems_are_capped(document: dict[str, Any]) -> None:
    document.update({f"unknown{n}": n for n in range(500)})
    assert len(check(document)) == PROBLEMS_MAX


@pytest.mark.parametrize(
    "reference",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#"},
        {"$ref": "#/properties/text"},
        {"$dynamicRef": "#x"},
        {"$id": "https://example.org/", "type": "string"},
    ],
)
def test_references_are_refused_and_nothing_is_fetched(
    document: dict[str, Any], reference: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", nothing)
    document["data"]["properties"]["text"] = reference
    found = {problem.pointer: problem.message for problem in check(document)}
    assert "refers to nothing and fetches nothing" in found[f"/data/properties/text/{next(iter(reference))}"]


def test_the_registry_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", nothing)
    with pytest.raises(Unresolvable):
        list(compiled({"$ref": "http://127.0.0.1:9/schema.json"}).iter_errors({}))
    assert list(compiled({"$ref": shipped("task-definition")["$id"]}).iter_errors({}))


def test_data_may_be_nested_four_levels(document: dict[str, Any]) -> None:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(3):
        inner = {"type": "array", "items": inner}
    document["data"]["properties"]["deep"] = inner
    assert check(document) == []
    document["data"]["properties"]["deep"] = {"type": "array", "items": inner}
    assert "deeper than 4" in check(document)[0].message


@pytest.mark.parametrize("depth", [9, 14, 500, 1_000])
def test_deeper_data_is_refused_without_recursion(document: dict[str, Any], depth: int) -> None:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        inner = {"type": "object", "properties": {"a": inner}}
    document["data"]["properties"]["deep"] = inner
    assert "deeper than" in check(document)[0].message


def test_a_large_object_is_refused(document: dict[str, Any]) -> None:
    document["padding"] = ["x" * 1_000] * 300
    assert "262,144" in check(document)[0].message


def test_names_of_personal_data_are_doubted_not_refused(document: dict[str, Any]) -> None:
    for name in ("email", "workerPhone", "date_of_birth", "recipe", "mailbox_count"):
        document["data"]["properties"][name] = {"type": "string"}
    document["fields"][0]["name"] = "phone"
    document["examples"] = []
    assert check(document) == []
    doubted = [one.pointer for one in warnings(document) if "personal" in one.message]
    assert doubted == [
        "/data/properties/email",
        "/data/properties/workerPhone",
        "/data/properties/date_of_birth",
        "/fields/0",
    ]


def test_a_shown_column_that_may_be_absent_is_doubted(document: dict[str, Any]) -> None:
    document["data"]["required"] = []
    assert [one.pointer for one in warnings(document)] == ["/show/0/from"]
    document["title"] = ""
    assert warnings(document) == []


parts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["text", "string", "choice", "none", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "kind", "name", "$ref", "from", "items"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        ["fairlabel", "title", "language", "examples", "data", "show", "fields", "content_classes"]
    ),
    parts,
)
def test_any_document_gives_problems_and_never_an_error(name: str, value: Any) -> None:
    document = every_kind()
    document[name] = value
    assert all(isinstance(problem, Problem) for problem in check(document))
    assert check(value) or isinstance(value, dict)
