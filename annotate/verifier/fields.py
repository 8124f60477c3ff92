"""The fields of every file of a bundle, version 1, and the strict reading of one line.

A line is a JSON object with exactly these fields; a name that ends in "?" may be missing. Nothing is null, true,
false or a fraction: numbers are whole, everything else is text. A name twice, an unknown name or a value of another
form makes the bundle unreadable.
"""

import json
import re
from typing import Any

from .report import Unreadable

FORMAT = "fairlabel-audit-bundle"
VERSION = 1
DEPTH_MAX = 12
INTEGER_MAX = 2**63 - 1

FORMS = {
    "text": re.compile(r"[^\x00]{0,20000}", re.DOTALL),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII),
    "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", re.ASCII),
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "week": re.compile(r"\d{4}-W\d\d", re.ASCII),
    "decimal": re.compile(r"\d{1,30}(\.\d{1,30})?", re.ASCII),
    "ratio": re.compile(r"\d{1,200}/[1-9]\d{0,199}", re.ASCII),
    "currency": re.compile(r"[A-Z]{3}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "salt": re.compile(r"[0-9a-f]{32}"),
    "base64": re.compile(r"[A-Za-z0-9+/]*={0,2}"),
}

PAY = {
    "revision": "int",
    "counts_from": "time",
    "piece_price?": "decimal",
    "hourly_rate?": "decimal",
    "sensitive_multiplier": "decimal",
}
TERMS = {
    "currency": "currency",
    "pay_mode": "text",
    "estimate_seconds": "int",
    "estimate_seconds_p95": "int",
    "grace_seconds": "int",
    "fee_percent": "decimal",
    "created_at": "time",
    "sealed_at?": "time",
    "pay": [PAY],
}
TRACE = {
    "rule": "text",
    "kind": "text",
    "applied": "text",
    "sha256?": "sha256",
    "status?": "text",
    "jurisdiction?": "text",
    "area?": "text",
    "hourly?": "text",
    "currency?": "currency",
    "per?": "text",
    "hours?": "text",
    "provisional?": "text",
    "compared?": "text",
    "compared_currency?": "currency",
    "multiplier?": "text",
}
TRANSFER = {
    "line": "int",
    "debit": "text",
    "credit": "text",
    "amount": "int",
    "currency": "currency",
    "code": "text",
    "line_ref?": "text",
    "debit_version": "int",
    "debit_after": "integer",
    "credit_version": "int",
    "credit_after": "integer",
}
JOURNAL = {
    "id": "int",
    "kind": "text",
    "key": "text",
    "fingerprint": "sha256",
    "lines": "int",
    "effective_at": "moment",
    "recorded_at": "moment",
    "actor": "text",
    "evidence?": "sha256",
    "rule_hash?": "sha256",
    "fx_rate_id?": "uuid",
    "reverses?": "int",
    "memo": "text",
    "transfers": [TRANSFER],
}
FILES: dict[str, dict[str, Any]] = {
    "periods.jsonl": {
        "id": "uuid",
        "code": "week",
        "starts_at": "time",
        "ends_at": "time",
        "state": "text",
        "closed_at?": "time",
    },
    "rules.jsonl": {
        "rule": "text",
        "sha256": "sha256",
        "recorded_at": "time",
        "status": "text",
        "events": [{"status": "text", "at": "moment", "instrument?": "text"}],
        "verified_at": ["moment"],
        "document": "text",
    },
    "fx.jsonl": {
        "id": "uuid",
        "base": "currency",
        "quote": "currency",
        "rate": "decimal",
        "provider": "text",
        "as_of": "date",
        "recorded_at": "time",
    },
    "batches.jsonl": {
        "id": "uuid",
        "requester": "uuid",
        "title": "text",
        "state": "text",
        "opened_at?": "time",
        "closed_at?": "time",
        "terms?": TERMS,
    },
    "workers.jsonl": {"id": "uuid", "places": [{"since": "time", "place?": "text", "area?": "text"}]},
    "assignments.jsonl": {
        "id": "uuid",
        "worker": "uuid",
        "batch": "uuid",
        "state": "text",
        "claimed_at": "time",
        "ended_at?": "time",
    },
    "earnings.jsonl": {
        "id": "uuid",
        "assignment": "uuid",
        "worker": "uuid",
        "batch": "uuid",
        "kind": "text",
        "price": "decimal",
        "currency": "currency",
        "at": "time",
    },
    "declarations.jsonl": {
        "id": "uuid",
        "worker": "uuid",
        "batch?": "uuid",
        "start_at": "time",
        "end_at": "time",
        "added_seconds": "int",
        "category": "text",
        "state": "text",
        "accepted_by?": "text",
        "created_at": "time",
        "decide_by": "time",
        "decided_at?": "time",
    },
    "events.jsonl": {
        "id": "int",
        "worker": "uuid",
        "kind": "text",
        "unit": "text",
        "batch?": "uuid",
        "at": "time",
        "sequence": "integer",
    },
    "due_lines.jsonl": {
        "id": "uuid",
        "period": "week",
        "worker": "uuid",
        "batch?": "uuid",
        "segment_start": "time",
        "segment_end": "time",
        "place?": "text",
        "area?": "text",
        "currency": "currency",
        "seconds": "int",
        "seconds_by": ("text", "int"),
        "agreed": "int",
        "required": "int",
        "due": "int",
        "topup": "int",
        "rate": "ratio",
        "rule": "text",
        "rule_sha256": "sha256",
        "fx_rate?": "uuid",
        "fx_through?": "uuid",
        "fx?": "ratio",
        "charge": "int",
        "charge_currency": "currency",
        "fee": "int",
        "answers": "int",
        "trace": [TRACE],
        "evidence": "sha256",
        "journal?": "int",
        "corrects?": "uuid",
        "made_at": "time",
    },
    "payslips.jsonl": {
        "id": "uuid",
        "number": "text",
        "worker": "uuid",
        "period": "week",
        "currency": "currency",
        "total": "int",
        "lines": ["uuid"],
        "sha256": "sha256",
        "made_at": "time",
    },
    "payouts.jsonl": {
        "id": "uuid",
        "run": "uuid",
        "period": "week",
        "rail": "text",
        "worker": "uuid",
        "amount": "int",
        "currency": "currency",
        "state": "text",
        "reference?": "text",
        "file_sha256?": "sha256",
        "reserve_journal": "int",
        "paid_journal?": "int",
        "created_at": "time",
        "paid_at?": "time",
        "failed_at?": "time",
    },
    "accounts.jsonl": {
        "code": "text",
        "kind": "text",
        "currency": "currency",
        "guard": "text",
        "debits": "int",
        "credits": "int",
        "version": "int",
    },
    "journals.jsonl": {"journal": JOURNAL, "seq": "int", "salt": "salt"},
    "log.jsonl": {
        "seq": "int",
        "kind": "text",
        "ref": "text",
        "commitment": "sha256",
        "salt?": "salt",
        "entry?": ("text", "any"),
    },
}
FILE = {"name": "text", "sha256": "sha256", "rows": "int", "bytes": "int"}
MANIFEST = {
    "format": "text",
    "version": "int",
    "origin": "text",
    "made_at": "time",
    "periods": ["week"],
    "key": "text",
    "files": [FILE],
    "totals": [{"currency": "currency", "agreed": "int", "required": "int", "due": "int", "topup": "int"}],
}


def parse(text: bytes, place: str) -> Any:
    """Read one JSON value strictly."""
    try:
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(place, f"not strict JSON: {error}") from None


def read(text: bytes, spec: Any, place: str) -> Any:
    """Read one JSON object with exactly the fields of a specification."""
    value = parse(text, place)
    conform(value, spec, place)
    return value


def conform(value: Any, spec: Any, place: str, depth: int = 0) -> None:
    """Refuse a value that is not as specified."""
    if depth > DEPTH_MAX:
        raise Unreadable(place, "nested too deep")
    if isinstance(spec, str):
        _scalar(value, spec, place, depth)
    elif isinstance(spec, list):
        if not isinstance(value, list):
            raise Unreadable(place, "not a list")
        for number, part in enumerate(value):
            conform(part, spec[0], f"{place}[{number}]", depth + 1)
    elif not isinstance(value, dict):
        raise Unreadable(place, "not an object")
    elif isinstance(spec, tuple):
        for name, part in value.items():
            conform(part, spec[1], f"{place}.{name}", depth + 1)
    else:
        _fields(value, spec, place, depth)


def _fields(value: dict[str, Any], spec: dict[str, Any], place: str, depth: int) -> None:
    seen = 0
    for name, form in spec.items():
        optional = name.endswith("?")
        key = name[:-1] if optional else name
        if key in value:
            seen += 1
            conform(
                value[key], form, f"{place}.{key}" if isinstance(form, list | tuple) else place, depth + 1
            )
        elif not optional:
            raise Unreadable(place, f"the field {key!r} is missing")
    if seen != len(value):
        known = {name.removesuffix("?") for name in spec}
        raise Unreadable(place, f"unknown field {min(value.keys() - known)!r}")


def _scalar(value: Any, form: str, place: str, depth: int) -> None:
    if form in {"int", "integer"}:
        low = 0 if form == "int" else -INTEGER_MAX
        if type(value) is not int or not low <= value <= INTEGER_MAX:
            raise Unreadable(place, f"{str(value)[:40]!r} is not a whole number in its range")
    elif form == "any":
        _any(value, place, depth)
    elif type(value) is not str or not FORMS[form].fullmatch(value):
        raise Unreadable(place, f"{str(value)[:40]!r} is not of the form {form}")


def _any(value: Any, place: str, depth: int) -> None:
    """Let any canonical value pass: objects, lists, whole numbers and text."""
    if isinstance(value, dict):
        conform(value, ("text", "any"), place, depth)
    elif isinstance(value, list):
        conform(value, ["any"], place, depth)
    else:
        _scalar(value, "text" if isinstance(value, str) else "integer", place, depth)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; a name twice is refused."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return made


def _no_float(text: str) -> Any:
    raise ValueError(f"{text[:40]} is not a whole number")


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"{text[:40]} is too large")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=unique, parse_float=_no_float, parse_constant=_no_float, parse_int=_integer
)
