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
from schemas.problems import (
    HIDDEN,
    SHOWN_CHOICES_MAX,
    Problem,
    from_errors,
    meant,
    pointer,
    shortened,
)
from schemas.registry import TEXT_CHARS_MAX, compiled, unsafe
from schemas.typed_fields import fields_of, marked_column
from schemas.words import Words

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
_COLUMN = re.compile(r"(?! ).{1,100}(?<! )", re.DOTALL)
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
                    message = Words(
                        "'%(name)s' is refused: a definition refers to nothing and fetches nothing.",
                        name=name,
                    )
                    hint = Words("Write the description out in this place.")
                    found.append(Problem(pointer([*path, name]), message, hint))
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
        message = Words("the data is nested deeper than %(most)s levels.", most=DATA_DEPTH_MAX)
        yield Problem(pointer(path), message, Words("Make the rows flatter."))
        return
    fitting = _FITTING.get(schema["type"], set())
    for name in sorted((schema.keys() & _PARTICULAR) - fitting):
        message = Words("'%(name)s' means nothing for the type '%(type)s'.", name=name, type=schema["type"])
        yield Problem(pointer([*path, name]), message, Words("Remove it, or change the type."))
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
        if not _COLUMN.fullmatch(name) or HIDDEN.search(name):
            message = Words("the column name %(name)s cannot be used.", name=shortened(name))
            hint = Words(
                "Take 1 to 100 characters, without spaces at the ends and without line breaks or tabs."
            )
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
            said = {"least": least, "low": settings[least], "most": most, "high": settings[most]}
            message = Words("'%(least)s' is %(low)s, more than '%(most)s', which is %(high)s.", **said)
            hint = Words("Nothing could fit both; change one of them.")
            yield Problem(pointer([*path, least]), message, hint)


def _pattern(pattern: str, length: int, path: list[str | int], limit: str) -> Iterator[Problem]:
    reason = unsafe(pattern, length)
    if reason:
        said = {"pattern": shortened(pattern), "why": reason}
        message = Words("the pattern %(pattern)s cannot be used: %(why)s.", **said)
        hint = Words(
            "Make it simpler: begin with ^, repeat single characters, bound repeats as {1,40}, set '%(limit)s'.",
            limit=limit,
        )
        yield Problem(pointer(path), message, hint)


def _no_column(name: str, columns: dict[str, Any], path: list[str | int]) -> Problem:
    guess, said = meant(name, columns), shortened(name)
    message = Words("there is no column %(name)s.", name=said)
    if guess:
        message = Words("there is no column %(name)s; did you mean '%(guess)s'?", name=said, guess=guess)
    known = list(columns)[:SHOWN_CHOICES_MAX]
    hint = Words("Name one of the columns under /data/properties: %(names)s.", names=known)
    return Problem(
        pointer(path), message, hint if known else Words("Describe it under /data/properties first.")
    )


def _show(document: dict[str, Any]) -> Iterator[Problem]:
    columns = document["data"]["properties"]
    for place, part in enumerate(document["show"]):
        path: list[str | int] = ["show", place, "from"]
        if part["from"] not in columns:
            yield _no_column(part["from"], columns, path)
        elif columns[part["from"]]["type"] != "string":
            said = {"name": part["from"], "kind": part["kind"]}
            message = Words("the column '%(name)s' is shown as %(kind)s, but is no text.", **said)
            hint = Words("Give the type 'string' to /data/properties/%(name)s.", name=part["from"])
            yield Problem(pointer(path), message, hint)


def _classes(document: dict[str, Any]) -> Iterator[Problem]:
    classes = document["content_classes"]
    if "none" in classes and len(classes) > 1:
        message = Words("'none' stands beside other classes.")
        yield Problem("/content_classes", message, Words("Remove 'none', or the others."))


def _fields(document: dict[str, Any]) -> Iterator[Problem]:
    names: dict[str, int] = {}
    keys: dict[str, str] = {}
    for place, raw in enumerate(document["fields"]):
        path: list[str | int] = ["fields", place]
        if raw["name"] in names:
            said = {"name": raw["name"], "n": names[raw["name"]] + 1}
            message = Words("the name '%(name)s' is that of field %(n)s already.", **said)
            yield Problem(pointer([*path, "name"]), message, Words("Give each field its own name."))
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
            said = {"first": first, "last": last, "n": max(0, last - first + 1)}
            message = Words("a scale from %(first)s to %(last)s has %(n)s points.", **said)
            hint = Words("Take 2 to %(most)s points; 'min' is 1 if absent.", most=RATING_POINTS_MAX)
            yield Problem(pointer([*path, "max"]), message, hint)
    if raw["kind"] == "choices":
        for name in ("min_items", "max_items"):
            if raw.get(name, 0) > len(raw["options"]):
                sizes = {"value": raw[name], "n": len(raw["options"])}
                message = Words("'%(name)s' is %(value)s, but there are %(n)s options.", name=name, **sizes)
                hint = Words("Nobody could choose so many; make it smaller.")
                yield Problem(pointer([*path, name]), message, hint)


def _marked(raw: dict[str, Any], document: dict[str, Any], path: list[str | int]) -> Iterator[Problem]:
    wanted = KINDS[raw["kind"]].marks
    if wanted is None:
        return
    shown = [part["from"] for part in document["show"] if part["kind"] == wanted]
    column = marked_column(raw, document["show"])
    if column not in shown:
        said = {"name": raw["name"], "kind": wanted}
        message = Words("'%(name)s' marks nothing: no part is shown as %(kind)s.", **said)
        if column is not None:
            message = Words(
                "'%(name)s' marks %(column)s, which is not shown as %(kind)s.",
                **said,
                column=shortened(column),
            )
        hint = Words("Add a part of kind '%(kind)s' to 'show', and name its column in 'from'.", kind=wanted)
        yield Problem(pointer([*path, "from"]), message, hint)


def _options(given: Any, path: list[str | int], keys: dict[str, str]) -> Iterator[Problem]:
    values: set[str] = set()
    for place, option in enumerate(given):
        here = [*path, place]
        if option["value"] in values:
            message = Words("the value %(value)s stands twice.", value=shortened(option["value"]))
            yield Problem(pointer([*here, "value"]), message, Words("Give each option its own value."))
        values.add(option["value"])
        if "key" not in option:
            continue
        key = option["key"].upper()
        if key in RESERVED_KEYS:
            message = Words("the key %(key)s has a fixed meaning in the workspace.", key=key)
            hint = Words("Take a digit or another letter, or leave 'key' out.")
            yield Problem(pointer([*here, "key"]), message, hint)
        elif key in keys:
            message = Words("the key %(key)s is taken by %(place)s.", key=key, place=keys[key])
            yield Problem(pointer([*here, "key"]), message, Words("Take another key, or leave 'key' out."))
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
            message = Words("'%(name)s' looks like personal data.", name=name)
            hint = Words("Leave it out unless the work cannot be done without it.")
            yield Problem(pointer(path), message, hint)


def _maybe_empty(document: dict[str, Any]) -> Iterator[Problem]:
    needed = document["data"].get("required", ())
    for place, part in enumerate(document["show"]):
        if part["from"] not in needed:
            message = Words("'%(name)s' is shown, but a row may come without it.", name=part["from"])
            yield Problem(pointer(["show", place, "from"]), message, Words("Name it under /data/required."))


def _without_key(document: dict[str, Any]) -> Iterator[Problem]:
    for place, field in enumerate(fields_of(document)):
        if any(option.key is None for option in field.options):
            message = Words("'%(name)s' has more options than there are keys.", name=field.name)
            hint = Words("Fewer options are faster and less tiring to choose from.")
            yield Problem(pointer(["fields", place]), message, hint)
