"""What a schema cannot say about a task definition: that its parts fit together and can harm nobody.

The functions take documents that the schema has accepted, except `references`, which takes anything. They give
problems with their place, all of them; `doubts` gives what is allowed but should be thought about.
"""

import re
from collections.abc import Iterator
from typing import Any

from schemas.fields import (
    KINDS,
    RATING_POINTS_MAX,
    RESERVED_KEYS,
    answer_problems,
    answer_schema,
    rating_range,
)
from schemas.problems import Problem, from_errors, meant, pointer, shortened
from schemas.registry import TEXT_CHARS_MAX, compiled, unsafe
from schemas.typed_fields import fields_of, marked_column

DATA_DEPTH_MAX = 4
"""Levels of objects and lists within one row."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "$schema", "$defs")
_FITTING = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
}
_COLUMN = re.compile(r"(?! )[^\x00-\x1f\x7f]{1,100}(?<! )")
_PARTICULAR = frozenset().union(*_FITTING.values())
_PAIRS = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("min_length", "max_length"),
    ("min_items", "max_items"),
    ("min", "max"),
)
_PERSONAL = frozenset(
    [
        "address",
        "birthdate",
        "birthday",
        "dob",
        "email",
        "fax",
        "firstname",
        "fullname",
        "iban",
        "ip",
        "lastname",
        "mail",
        "mobile",
        "msisdn",
        "passport",
        "phone",
        "salary",
        "ssn",
        "street",
        "surname",
        "telephone",
        "whatsapp",
        "zip",
        "postcode",
    ]
)
_PERSONAL_PAIRS = (
    "first_name",
    "last_name",
    "full_name",
    "date_of_birth",
    "credit_card",
    "card_number",
    "national_id",
    "id_number",
)


def references(document: Any) -> list[Problem]:
    """Refuse what would lead out of the data's description, or around in it. Never recurses."""
    found = []
    waiting: list[tuple[Any, list[str | int]]] = (
        [(document.get("data"), ["data"])] if isinstance(document, dict) else []
    )
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            for name in _REFERENCES:
                if name in value:
                    message = f"'{name}' is refused: a definition refers to nothing and fetches nothing."
                    found.append(
                        Problem(pointer([*path, name]), message, "Write the description out in this place.")
                    )
            waiting.extend((child, [*path, name]) for name, child in value.items())
        elif isinstance(value, list):
            waiting.extend((child, [*path, place]) for place, child in enumerate(value))
    return found


def lint(document: dict[str, Any]) -> list[Problem]:
    """Give all problems between the parts of a structurally sound definition."""
    found = [*_data(document["data"], ["data"], 1), *_show(document), *_classes(document), *_fields(document)]
    return found or list(_examples(document))


def doubts(document: dict[str, Any]) -> list[Problem]:
    """Give what is allowed but doubtful in a definition without problems."""
    return [*_personal(document), *_maybe_empty(document), *_without_key(document)]


def _data(schema: dict[str, Any], path: list[str | int], depth: int) -> Iterator[Problem]:
    if depth > DATA_DEPTH_MAX and schema["type"] in {"object", "array"}:
        message = f"the data is nested deeper than {DATA_DEPTH_MAX} levels."
        yield Problem(pointer(path), message, "Make the rows flatter.")
        return
    fitting = _FITTING.get(schema["type"], set())
    for name in sorted((schema.keys() & _PARTICULAR) - fitting):
        message = f"'{name}' means nothing for the type '{schema['type']}'."
        yield Problem(pointer([*path, name]), message, "Remove it, or change the type.")
    yield from _pairs(schema, path)
    if "pattern" in schema:
        yield from _pattern(
            schema["pattern"], schema.get("maxLength", TEXT_CHARS_MAX), [*path, "pattern"], "maxLength"
        )
    yield from _allowed_values(schema, path)
    columns = schema.get("properties", {})
    for place, name in enumerate(schema.get("required", ())):
        if name not in columns:
            yield _no_column(name, columns, [*path, "required", place])
    for name, child in columns.items():
        if not _COLUMN.fullmatch(name):
            message = f"the column name {shortened(name)} cannot be used."
            hint = "Take 1 to 100 characters, without spaces at the ends and without line breaks or tabs."
            yield Problem(pointer([*path, "properties", name]), message, hint)
        yield from _data(child, [*path, "properties", name], depth + 1)
    if "items" in schema:
        yield from _data(schema["items"], [*path, "items"], depth + 1)


def _allowed_values(schema: dict[str, Any], path: list[str | int]) -> Iterator[Problem]:
    allowed = [(value, [*path, "enum", place]) for place, value in enumerate(schema.get("enum", ()))]
    if "const" in schema:
        allowed.append((schema["const"], [*path, "const"]))
    check = compiled({"type": schema["type"]})
    for value, place in allowed:
        yield from from_errors(check.iter_errors(value), under=place)


def _pairs(settings: dict[str, Any], path: list[str | int]) -> Iterator[Problem]:
    for least, most in _PAIRS:
        if least in settings and most in settings and settings[least] > settings[most]:
            message = f"'{least}' is {settings[least]}, more than '{most}', which is {settings[most]}."
            yield Problem(pointer([*path, least]), message, "Nothing could fit both; change one of them.")


def _pattern(pattern: str, length: int, path: list[str | int], limit: str) -> Iterator[Problem]:
    reason = unsafe(pattern, length)
    if reason:
        hint = f"Make it simpler: begin with ^, repeat single characters, bound repeats as {{1,40}}, set '{limit}'."
        yield Problem(pointer(path), f"the pattern {shortened(pattern)} cannot be used: {reason}.", hint)


def _no_column(name: str, columns: dict[str, Any], path: list[str | int]) -> Problem:
    guess = meant(name, columns)
    question = f"; did you mean '{guess}'?" if guess else "."
    hint = (
        "Name one of the columns under /data/properties: "
        + (", ".join(list(columns)[:12]) or "there are none")
        + "."
    )
    return Problem(pointer(path), f"there is no column {shortened(name)}{question}", hint)


def _show(document: dict[str, Any]) -> Iterator[Problem]:
    columns = document["data"]["properties"]
    for place, part in enumerate(document["show"]):
        path: list[str | int] = ["show", place, "from"]
        if part["from"] not in columns:
            yield _no_column(part["from"], columns, path)
        elif columns[part["from"]]["type"] != "string":
            message = f"the column '{part['from']}' is shown as {part['kind']}, but is no text."
            yield Problem(
                pointer(path), message, f"Give the type 'string' to /data/properties/{part['from']}."
            )


def _classes(document: dict[str, Any]) -> Iterator[Problem]:
    classes = document["content_classes"]
    if "none" in classes and len(classes) > 1:
        yield Problem(
            "/content_classes", "'none' stands beside other classes.", "Remove 'none', or the others."
        )


def _fields(document: dict[str, Any]) -> Iterator[Problem]:
    names: dict[str, int] = {}
    keys: dict[str, str] = {}
    for place, raw in enumerate(document["fields"]):
        path: list[str | int] = ["fields", place]
        if raw["name"] in names:
            message = f"the name '{raw['name']}' is that of field {names[raw['name']] + 1} already."
            yield Problem(pointer([*path, "name"]), message, "Give each field its own name.")
        names.setdefault(raw["name"], place)
        yield from _pairs(raw, path)
        yield from _settings(raw, path)
        yield from _marked(raw, document, path)
        for group in ("options", "labels"):
            yield from _options(raw.get(group, ()), [*path, group], keys)


def _settings(raw: dict[str, Any], path: list[str | int]) -> Iterator[Problem]:
    if raw["kind"] == "text" and "pattern" in raw:
        yield from _pattern(
            raw["pattern"], raw.get("max_length", TEXT_CHARS_MAX), [*path, "pattern"], "max_length"
        )
    if raw["kind"] == "rating":
        first, last = rating_range(raw)
        if not 2 <= last - first + 1 <= RATING_POINTS_MAX:
            message = f"a scale from {first} to {last} has {max(0, last - first + 1)} points."
            yield Problem(
                pointer([*path, "max"]),
                message,
                f"Take 2 to {RATING_POINTS_MAX} points; 'min' is 1 if absent.",
            )
    if raw["kind"] == "choices":
        for name in ("min_items", "max_items"):
            if raw.get(name, 0) > len(raw["options"]):
                message = f"'{name}' is {raw[name]}, but there are {len(raw['options'])} options."
                yield Problem(
                    pointer([*path, name]), message, "Nobody could choose so many; make it smaller."
                )


def _marked(raw: dict[str, Any], document: dict[str, Any], path: list[str | int]) -> Iterator[Problem]:
    wanted = KINDS[raw["kind"]].marks
    if wanted is None:
        return
    shown = [part["from"] for part in document["show"] if part["kind"] == wanted]
    column = marked_column(raw, document["show"])
    if column not in shown:
        marked = "nothing" if column is None else shortened(column)
        message = f"'{raw['name']}' marks {marked}, which is not shown as {wanted}."
        hint = f"Add a part of kind '{wanted}' to 'show', and name its column in 'from'."
        yield Problem(pointer([*path, "from"]), message, hint)


def _options(given: Any, path: list[str | int], keys: dict[str, str]) -> Iterator[Problem]:
    values: set[str] = set()
    for place, option in enumerate(given):
        here = [*path, place]
        if option["value"] in values:
            message = f"the value {shortened(option['value'])} stands twice."
            yield Problem(pointer([*here, "value"]), message, "Give each option its own value.")
        values.add(option["value"])
        if "key" not in option:
            continue
        key = option["key"].upper()
        if key in RESERVED_KEYS:
            message = f"the key {key} has a fixed meaning in the workspace."
            yield Problem(
                pointer([*here, "key"]), message, "Take a digit or another letter, or leave 'key' out."
            )
        elif key in keys:
            message = f"the key {key} is taken by {keys[key]}."
            yield Problem(pointer([*here, "key"]), message, "Take another key, or leave 'key' out.")
        keys.setdefault(key, pointer(here))


def _examples(document: dict[str, Any]) -> Iterator[Problem]:
    fields = fields_of(document)
    row, whole = compiled(document["data"]), compiled(answer_schema(fields))
    for place, example in enumerate(document.get("examples", ())):
        path: list[str | int] = ["examples", place]
        yield from from_errors(row.iter_errors(example["data"]), under=[*path, "data"], noun="column")
        for problem in answer_problems(fields, whole, example["answer"], example["data"]):
            yield Problem(pointer([*path, "answer"]) + problem.pointer, problem.message, problem.hint)


def _personal(document: dict[str, Any]) -> Iterator[Problem]:
    places = [(["data", "properties", name], name) for name in document["data"]["properties"]]
    places += [(["fields", str(place)], raw["name"]) for place, raw in enumerate(document["fields"])]
    for path, name in places:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200]).lower()
        parts = re.split(r"[^a-z0-9]+", words)
        if not _PERSONAL.isdisjoint(parts) or any(pair in "_".join(parts) for pair in _PERSONAL_PAIRS):
            message = f"'{name}' looks like personal data."
            yield Problem(pointer(path), message, "Leave it out unless the work cannot be done without it.")


def _maybe_empty(document: dict[str, Any]) -> Iterator[Problem]:
    needed = document["data"].get("required", ())
    for place, part in enumerate(document["show"]):
        if part["from"] not in needed:
            message = f"'{part['from']}' is shown, but a row may come without it."
            yield Problem(pointer(["show", place, "from"]), message, "Name it under /data/required.")


def _without_key(document: dict[str, Any]) -> Iterator[Problem]:
    for place, field in enumerate(fields_of(document)):
        if any(option.key is None for option in field.options):
            message = f"'{field.name}' has more options than there are keys."
            yield Problem(
                pointer(["fields", place]),
                message,
                "Fewer options are faster and less tiring to choose from.",
            )
