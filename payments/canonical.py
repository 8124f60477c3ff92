"""The one byte form of a fact, so that the same fact always has the same hash.

UTF-8 JSON with sorted keys and no spaces; objects, lists, integers and text only. There is no null (leave the
key out), no boolean and no float, because programs disagree on how to write them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Write an entry in its one form. Raises TypeError on anything but objects, lists, integers and text."""
    _check(entry, "")
    return _ENCODER.encode(entry).encode()


def digest(entry: Mapping[str, Any]) -> bytes:
    """Give the SHA-256 of the one form."""
    return sha256(canonical(entry)).digest()


def moment(at: datetime) -> str:
    """Write a moment in the one form: UTC, ending in Z, with microseconds only where there are any."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone has no one form")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _check(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{place or '/'}: a name is text, not {type(name).__name__}")
            _check(part, f"{place}/{name}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            _check(part, f"{place}/{index}")
    elif isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{place or '/'}: only integers and text have one form, not {type(value).__name__}")
