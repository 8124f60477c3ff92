"""What stands in a CSV cell, as the value that the definition wants: numbers, yes and no, lists, known answers.

A cell is never guessed at: what is not plainly of the wanted type is a problem, with the form that would be right.
"""

import re
from typing import Any

from schemas.fields import Field
from schemas.strict_json import Unreadable, load
from schemas.words import Words

Wrong = tuple[Words, Words] | None
"""A message and a hint, or nothing."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}\.?|[0-9]{0,30}\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CELL_JSON_BYTES_MAX = 1 << 20


def coerced(cell: str, wanted: str) -> tuple[Any, Wrong]:
    """Give a cell's value for a type of the data's description, and what is wrong with it."""
    if wanted in {"integer", "number"}:
        return _number(cell.strip(), wanted)
    if wanted == "boolean":
        return _boolean(cell)
    if wanted in {"array", "object"}:
        return _json(cell, Words("a list as [1, 2]") if wanted == "array" else Words('an object as {"a": 1}'))
    if wanted == "null" and cell.strip().lower() != "null":
        return cell, (Words("this cell must be empty."), Words("Empty it."))
    return None if wanted == "null" else cell, None


def coerced_gold(cell: str, field: Field) -> tuple[Any, Wrong]:
    """Give a cell's value as a known answer to a field, and what is wrong with it."""
    if field.kind == "rating" or (field.kind == "number" and field.settings.get("integer")):
        return coerced(cell, "integer")
    if field.kind == "number":
        return coerced(cell, "number")
    if field.kind in {"spans", "boxes"}:
        return _json(cell, Words("a list of marks as JSON"))
    if field.kind == "choices":
        if cell.lstrip().startswith("["):
            return _json(cell, Words("a list of options"))
        return [part.strip() for part in cell.split("|") if part.strip()], None
    return cell, None


def _boolean(cell: str) -> tuple[Any, Wrong]:
    known = _BOOLEANS.get(cell.strip().lower())
    if known is None:
        return cell, (Words("this is neither true nor false."), Words("Write true or false."))
    return known, None


def _number(cell: str, wanted: str) -> tuple[Any, Wrong]:
    if _INTEGER.fullmatch(cell):
        return int(cell), None
    if _NUMBER.fullmatch(cell):
        value = float(cell)
        if wanted == "number" or value.is_integer():
            return (int(value) if wanted == "integer" else value), None
    whole, broken = Words("this is no whole number, as 12."), Words("this is no number, as 1.5.")
    hint = Words("Write it with a decimal point and without thousands signs.")
    return cell, (
        whole if wanted == "integer" else broken,
        hint if "," in cell else Words("Write digits only."),
    )


def _json(cell: str, form: Words) -> tuple[Any, Wrong]:
    try:
        return load(cell, bytes_max=_CELL_JSON_BYTES_MAX), None
    except Unreadable as unreadable:
        said = {"form": form, "why": unreadable.problems[0].message}
        return cell, (Words("this is not %(form)s: %(why)s", **said), Words("Write %(form)s.", form=form))
