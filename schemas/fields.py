"""Fields are what a worker fills in; the kinds of field are a closed list, one entry per kind.

An entry says everything that is particular to its kind: the JSON Schema of its configuration, the JSON Schema of
the stored value, what its keys choose, how two values are compared, what exports call it. A new kind of field is a
new entry here, its configuration in task-definition.schema.json and a widget.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from schemas.problems import Problem, from_errors, missing, pointer
from schemas.registry import TEXT_CHARS_MAX, Validator, faults, shipped
from schemas.words import Words

COORDINATE_MAX = 100_000
"""Pixels; beyond this there is no image."""
MARKS_MAX = 500
"""Spans or boxes of one answer, if the field does not say."""
TEXT_ANSWER_CHARS_MAX = 5_000
"""Characters of a written answer, if the field does not say."""
ANSWER_NODES_MAX = 10_000
"""Values in one answer, however deep."""
RATING_POINTS_MAX = 11
"""Points on a scale."""

RESERVED_KEYS = frozenset({"ENTER", "U", "S", "P", "R", "N", "?"})
"""Keys that mean the same in every workspace."""
FREE_KEYS = tuple("1234567890QWETYADFGHJKLZXCVBM")
"""Keys given to options without one, in this order; I and O are left for audio."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """Something to choose: an option, a label or a point on a scale."""

    value: str | int
    label: str
    hint: str = ""
    key: str | None = None
    """The key that chooses it, in upper case; None once the keys are used up."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One question, with the settings of its kind."""

    name: str
    kind: str
    label: str
    hint: str = ""
    required: bool = False
    options: tuple[Option, ...] = ()
    """What is chosen from: options, labels or the points of a rating."""
    source: str | None = None
    """The data column that is marked (spans, boxes)."""
    settings: dict[str, Any] = {}
    """The other settings, as written: min, max, low, high, unit, integer, min_length, pattern, max_items …"""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to one kind of field."""

    answer_schema: Callable[[Field], dict[str, Any]]
    """JSON Schema of the stored value."""
    comparable: Callable[[Any], Any]
    """The value in one form for nominal comparison."""
    keys: Literal["options", "labels", "points"] | None
    """What the field's keys choose."""
    distance: str
    """Name of the measure by which two values differ."""
    export: str
    """The Label Studio type that exports and imports map to."""
    marks: Literal["text", "image"] | None = None
    """What is marked, for kinds that mark something shown."""


def configuration(kind: str) -> dict[str, Any]:
    """Give the JSON Schema of a kind's configuration."""
    found: dict[str, Any] = shipped("task-definition")["$defs"][kind]
    return found


def answer_schema(fields: Sequence[Field]) -> dict[str, Any]:
    """Give the JSON Schema of a whole answer."""
    return {
        "type": "object",
        "properties": {field.name: KINDS[field.kind].answer_schema(field) for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def answer_problems(
    fields: Sequence[Field], validator: Validator, answer: Any, data: dict[str, Any], *, partial: bool = False
) -> list[Problem]:
    """Say all that is wrong with an answer to this data; `partial` lets required fields be absent (gold)."""
    found = faults(answer, nodes_max=ANSWER_NODES_MAX)
    if found:
        return found
    errors = validator.iter_errors(answer)
    found = from_errors(
        (one for one in errors if not (partial and one.validator == "required" and not one.absolute_path)),
        noun="field",
    )
    if found:
        return [_in_words(problem, fields) for problem in found]
    for field in fields:
        if field.name in answer:
            found.extend(_beyond_schema(field, answer[field.name], data))
    return found


def _in_words(problem: Problem, fields: Sequence[Field]) -> Problem:
    """Name a missing answer by its question, as the worker knows it."""
    for field in fields:
        if problem.pointer == pointer([field.name]) and problem.message == missing(field.name):
            message = Words("“%(label)s” has no answer yet ('%(name)s').", label=field.label, name=field.name)
            return Problem(problem.pointer, message, Words("Answer it."))
    return problem


def _beyond_schema(field: Field, value: Any, data: dict[str, Any]) -> Iterator[Problem]:
    if field.kind == "text" and field.required and not value.strip():
        message = Words("“%(label)s” is blank ('%(name)s').", label=field.label, name=field.name)
        yield Problem(pointer([field.name]), message, Words("Write an answer."))
    if field.kind == "spans":
        yield from _span_problems(field, value, data)
    if field.kind == "boxes":
        for place, box in enumerate(value):
            if box["x"] + box["width"] > COORDINATE_MAX or box["y"] + box["height"] > COORDINATE_MAX:
                message = Words("the box ends beyond %(most)s pixels.", most=COORDINATE_MAX)
                yield Problem(pointer([field.name, place]), message, Words("Keep boxes within the image."))


def _span_problems(field: Field, spans: list[dict[str, Any]], data: dict[str, Any]) -> Iterator[Problem]:
    text = data.get(field.source or "")
    length = len(text) if isinstance(text, str) else 0
    for place, span in enumerate(spans):
        path = pointer([field.name, place])
        if span["start"] >= span["end"]:
            message = Words(
                "the span starts at %(start)s and ends at %(end)s.", start=span["start"], end=span["end"]
            )
            yield Problem(path, message, Words("A span's end must be after its start."))
        elif span["end"] > length:
            message = Words(
                "the span ends at %(end)s, but the text has %(length)s characters.",
                end=span["end"],
                length=length,
            )
            hint = Words("Count Unicode code points, from 0, the end not included.")
            yield Problem(path, message, hint)


def _values(field: Field) -> list[str | int]:
    return [option.value for option in field.options]


def _choice(field: Field) -> dict[str, Any]:
    return {"enum": _values(field)}


def _choices(field: Field) -> dict[str, Any]:
    least = max(int(field.settings.get("min_items", 0)), int(field.required))
    most = field.settings.get("max_items", len(field.options))
    items = {"enum": _values(field)}
    return {"type": "array", "items": items, "uniqueItems": True, "minItems": least, "maxItems": most}


def _rating(field: Field) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": rating_range(field.settings)[0],
        "maximum": rating_range(field.settings)[1],
    }


def _number(field: Field) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "integer" if field.settings.get("integer") else "number"}
    for ours, theirs in (("min", "minimum"), ("max", "maximum")):
        if ours in field.settings:
            made[theirs] = field.settings[ours]
    return made


def _text(field: Field) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string", "maxLength": text_chars_max(field.settings)}
    least = max(int(field.settings.get("min_length", 0)), int(field.required))
    if least:
        made["minLength"] = least
    if "pattern" in field.settings:
        made["pattern"] = field.settings["pattern"]
    return made


def _marks(field: Field, properties: dict[str, Any]) -> dict[str, Any]:
    properties["label"] = {"enum": _values(field)}
    mark = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": mark, "maxItems": field.settings.get("max_items", MARKS_MAX)}


def _spans(field: Field) -> dict[str, Any]:
    offset = {"type": "integer", "minimum": 0}
    return _marks(field, {"start": offset, "end": offset})


def _boxes(field: Field) -> dict[str, Any]:
    place = {"type": "number", "minimum": 0, "maximum": COORDINATE_MAX}
    size = {"type": "number", "exclusiveMinimum": 0, "maximum": COORDINATE_MAX}
    return _marks(field, {"x": place, "y": place, "width": size, "height": size})


def rating_range(settings: dict[str, Any]) -> tuple[int, int]:
    """Give a rating's first and last point."""
    return int(settings.get("min", 1)), int(settings["max"])


def text_chars_max(settings: dict[str, Any]) -> int:
    """Give the longest text that a text field takes."""
    return min(int(settings.get("max_length", TEXT_ANSWER_CHARS_MAX)), TEXT_CHARS_MAX)


def _same(value: Any) -> Any:
    return value


def _set(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _words(text: str) -> str:
    return " ".join(text.split())


def _span_set(spans: Iterable[dict[str, Any]]) -> list[Any]:
    return sorted({(one["start"], one["end"], one["label"]) for one in spans})


def _box_set(boxes: Iterable[dict[str, Any]]) -> list[Any]:
    return sorted({(one["x"], one["y"], one["width"], one["height"], one["label"]) for one in boxes})


KINDS: dict[str, Kind] = {
    "choice": Kind(
        answer_schema=_choice, comparable=_same, keys="options", distance="nominal", export="choices"
    ),
    "choices": Kind(
        answer_schema=_choices, comparable=_set, keys="options", distance="jaccard", export="choices"
    ),
    "rating": Kind(
        answer_schema=_rating, comparable=_same, keys="points", distance="ordinal", export="rating"
    ),
    "number": Kind(answer_schema=_number, comparable=_same, keys=None, distance="interval", export="number"),
    "text": Kind(answer_schema=_text, comparable=_words, keys=None, distance="edit", export="textarea"),
    "spans": Kind(
        answer_schema=_spans,
        comparable=_span_set,
        keys="labels",
        distance="span_overlap",
        export="labels",
        marks="text",
    ),
    "boxes": Kind(
        answer_schema=_boxes,
        comparable=_box_set,
        keys="labels",
        distance="box_overlap",
        export="rectanglelabels",
        marks="image",
    ),
}
