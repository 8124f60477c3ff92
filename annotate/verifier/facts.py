"""The facts of a bundle as they are read: what all workers have in common, and one worker after the other.

All files of people's facts are in the order of workers, so little of them is in memory at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import Any

from . import fields
from .floors import Book, document_hash, micros
from .reading import Bundle
from .report import Unreadable
from .seconds import GRACE_WITHOUT_TERMS

ENCODER = JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
Row = dict[str, Any]
Placed = tuple[str, Row]


def canonical(value: Any) -> bytes:
    """Write a value in the one form of which hashes are taken."""
    return ENCODER.encode(value).encode()


@dataclass
class Facts:
    """What all workers have in common; `covered` are the periods that the bundle speaks for."""

    periods: dict[str, Row]
    covered: dict[str, Row]
    rules: list[Row]
    fx: list[Row]
    batches: dict[str, Row]
    books: dict[tuple[int, int], Book] = field(default_factory=dict)

    def book(self, known: int, period: Row) -> Book:
        """Give what was known at a moment, with the exchange rates of the period's first day."""
        key = (known, period["start"])
        if key not in self.books:
            self.books[key] = Book(self.rules, self.fx, known, period["starts_at"][:10])
        return self.books[key]

    def terms(self, batch: str | None) -> Row | None:
        """Give a batch's pay terms."""
        return self.batches[batch].get("terms") if batch in self.batches else None

    def pay(self, batch: str | None) -> list[Row]:
        """Give what a batch paid from when on, the earliest first."""
        terms = self.terms(batch)
        return terms["pay"] if terms else []

    def week(self, line: Row) -> Row | None:
        """Give the week in which the work of a line was done."""
        at = line["segment_start"]
        return next((one for one in self.periods.values() if one["starts_at"] <= at < one["ends_at"]), None)

    def grace(self, batch: str | None) -> int:
        """Say how long silence counts."""
        terms = self.terms(batch)
        return terms["grace_seconds"] if terms else GRACE_WITHOUT_TERMS


@dataclass
class Worker:
    """All that is known of one worker."""

    id: str
    place: str
    places: list[Row]
    rows: dict[str, list[Placed]]

    def of(self, name: str) -> list[Row]:
        """Give the rows of one file."""
        return [row for _, row in self.rows[name]]

    def batches(self) -> set[str | None]:
        """Give the batches that the evidence names."""
        named = ("events", "earnings", "declarations")
        return {row.get("batch") for name in named for row in self.of(name)}


class InOrder:
    """A file in the order of workers."""

    def __init__(self, bundle: Bundle, name: str) -> None:
        """Read the first row."""
        self.rows = bundle.rows(name)
        self.ahead = next(self.rows, None)

    def take(self, worker: str) -> list[Placed]:
        """Give the rows of the next worker. Raises Unreadable if the file is not in order."""
        taken = []
        while self.ahead is not None and self.ahead[1]["worker"] <= worker:
            if self.ahead[1]["worker"] != worker:
                raise Unreadable(self.ahead[0], "the worker is unknown, or the line is out of order")
            taken.append(self.ahead)
            self.ahead = next(self.rows, None)
        return taken


OF_WORKERS = ("assignments", "earnings", "declarations", "events", "due_lines", "payslips")


def workers(bundle: Bundle) -> Iterator[Worker]:
    """Give one worker after the other."""
    files = {name: InOrder(bundle, f"{name}.jsonl") for name in OF_WORKERS}
    last = ""
    for place, row in bundle.rows("workers.jsonl"):
        if row["id"] <= last:
            raise Unreadable(place, "workers are not in order")
        last = row["id"]
        rows = {name: file.take(last) for name, file in files.items()}
        if not row["places"]:
            raise Unreadable(place, "the worker has no place")
        yield Worker(last, place, _in_time(row["places"], "since"), rows)
    for file in files.values():
        if file.ahead is not None:
            raise Unreadable(file.ahead[0], "the worker is unknown, or the line is out of order")


def read_facts(bundle: Bundle) -> Facts:
    """Read the small files: periods, rules, exchange rates, batches."""
    whole = bundle.report.check("every rule is the document that its hash names")
    periods = {}
    for place, row in bundle.rows("periods.jsonl"):
        if row["state"] != "closed" or "closed_at" not in row:
            raise Unreadable(place, "the period is not closed")
        row |= {"start": micros(row["starts_at"]), "end": micros(row["ends_at"])}
        row["closed"] = micros(row["closed_at"])
        periods[row["code"]] = row
    rules = []
    for place, row in bundle.rows("rules.jsonl"):
        text = row["document"]
        row["document"] = _rule(text.encode(), place)
        whole.expect(place, "sha256", row["sha256"], document_hash(row["document"]))
        whole.expect(place, "name", row["rule"], f"{row['document']['id']}@{row['document']['version']}")
        row["recorded"] = micros(row["recorded_at"])
        rules.append(row)
    fx = [row | {"recorded": micros(row["recorded_at"])} for _, row in bundle.rows("fx.jsonl")]
    batches = {row["id"]: row for _, row in bundle.rows("batches.jsonl")}
    for row in batches.values():
        if "terms" in row:
            row["terms"]["pay"] = _in_time(row["terms"]["pay"], "counts_from")
    covered = {code: periods[code] for code in bundle.manifest["periods"] if code in periods}
    return Facts(periods, covered, rules, fx, batches)


def _in_time(history: list[Row], since: str) -> list[Row]:
    """Order what changed by its moment; of one moment the later row counts."""
    return sorted(({**one, "at": micros(one[since])} for one in history), key=lambda one: one["at"])


def _rule(text: bytes, place: str) -> Row:
    """Read a rule's own document; it may hold null, true and false, but no fraction."""
    document = fields.parse(text, place)
    try:
        known = {"kind", "jurisdiction", "currency", "authoritative_unit", "effective_from", "effective_to"}
        if not isinstance(document, dict) or not known | {"id", "version", "rates", "time_zone"} <= set(
            document
        ):
            raise Unreadable(place, "the rule document lacks a field")
        for rate in document["rates"]:
            fields.conform(rate["amount"], "decimal", place)
    except (TypeError, KeyError) as error:
        raise Unreadable(place, f"the rule document cannot be used: {error}") from None
    return document
