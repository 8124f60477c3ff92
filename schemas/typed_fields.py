"""From a structurally sound document to typed fields: derived options, marked columns and keys filled in.

Keys that the requester chose stay; the rest are given out in the order of the fields. No key is given twice within
a definition, so one handler serves the whole page.
"""

from typing import Any

from schemas.fields import FREE_KEYS, KINDS, Field, Option, rating_range

_SPOKEN = {"name", "kind", "label", "hint", "required", "options", "labels", "from"}


def fields_of(document: dict[str, Any]) -> tuple[Field, ...]:
    """Give a definition's fields with their options, keys and marked columns."""
    free = [key for key in FREE_KEYS if key not in chosen_keys(document)]
    return tuple(_field(raw, document["show"], free) for raw in document["fields"])


def chosen_keys(document: dict[str, Any]) -> set[str]:
    """Give the keys that the document names itself, in upper case."""
    return {
        option["key"].upper()
        for raw in document["fields"]
        for option in [*raw.get("options", ()), *raw.get("labels", ())]
        if "key" in option
    }


def marked_column(raw: dict[str, Any], show: list[dict[str, Any]]) -> str | None:
    """Give the column that a field marks: the named one, else the first that is shown in the right way."""
    wanted = KINDS[raw["kind"]].marks
    if wanted is None:
        return None
    named: str | None = raw.get("from")
    return named or next((part["from"] for part in show if part["kind"] == wanted), None)


def _field(raw: dict[str, Any], show: list[dict[str, Any]], free: list[str]) -> Field:
    return Field(
        name=raw["name"],
        kind=raw["kind"],
        label=raw["label"],
        hint=raw.get("hint", ""),
        required=raw.get("required", False),
        options=_options(raw, free),
        source=marked_column(raw, show),
        settings={name: value for name, value in raw.items() if name not in _SPOKEN},
    )


def _options(raw: dict[str, Any], free: list[str]) -> tuple[Option, ...]:
    keys = KINDS[raw["kind"]].keys
    if keys == "points":
        first, last = rating_range(raw)
        return tuple(
            Option(value=n, label=str(n), hint=_end(raw, n), key=_point_key(n, free))
            for n in range(first, last + 1)
        )
    given = raw[keys] if keys else ()
    return tuple(
        Option(
            value=one["value"],
            label=one["label"],
            hint=one.get("hint", ""),
            key=one["key"].upper() if "key" in one else _next_key(free),
        )
        for one in given
    )


def _end(raw: dict[str, Any], point: int) -> str:
    first, last = rating_range(raw)
    return str(raw.get("low", "") if point == first else raw.get("high", "") if point == last else "")


def _point_key(point: int, free: list[str]) -> str | None:
    """Give a point its own digit; 10 is the key 0 when no 0 is on the scale before it."""
    wanted = str(point % 10) if 0 <= point <= 10 else ""
    if wanted in free:
        free.remove(wanted)
        return wanted
    return _next_key(free)


def _next_key(free: list[str]) -> str | None:
    return free.pop(0) if free else None
