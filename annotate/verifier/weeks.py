"""One worker's week, settled a second time from the evidence: what each of its segments asks for, as known then.

A segment has one batch (or the platform's overhead), one place, one agreed pay and one floor. What was booked for it
before is taken off, and nothing below nothing is left: a correction only adds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID, uuid5

from .facts import Facts, Row, Worker, canonical
from .floors import Book, Floor, Rate, ceil, micros, minor, moment
from .seconds import SECOND, Sign, Span, bearing, credited, cut, spans_of

OVERHEAD = "overhead"


class Stretch(NamedTuple):
    """From one moment to another nothing changes: the same place, the same agreed pay, the same floor."""

    since: int
    until: int
    place: str | None
    area: str | None
    multiplier: Fraction
    floor: Floor

    def same(self, other: "Stretch") -> bool:
        """Tell whether only the clock distinguishes them."""
        mine, theirs = self.floor, other.floor
        return self[2:5] == other[2:5] and (mine.rate, mine.currency, mine.rule, mine.sha256) == (
            theirs.rate,
            theirs.currency,
            theirs.rule,
            theirs.sha256,
        )


@dataclass(frozen=True)
class Segment:
    """All that one batch's stretch of a week asks for, and the figures it comes from."""

    worker: str
    batch: str | None
    stretch: Stretch
    inside: list[Span]
    earned: list[Row]
    agreed: int
    required: int
    terms: Row | None
    fx: Rate
    charge_one: Fraction

    @property
    def start(self) -> str:
        """Its first moment, as lines name it."""
        return _time(self.stretch.since)

    @property
    def whole(self) -> Counter[str]:
        """Seconds by category, answers and due."""
        held = Counter(answers=sum(row["kind"] == "submitted" for row in self.earned))
        held["due"] = max(self.agreed, self.required)
        for share in self.inside:
            held[share.category] += share.end - share.start
        return held

    def line(self, period: Row, before: Counter[str], corrects: str | None) -> Row:
        """Give the line with which a period books what was not booked before."""
        left = self.whole - before
        answers = left.pop("answers", 0)
        left.pop("due", 0)
        agreed, required = (max(0, one - before["due"]) for one in (self.agreed, self.required))
        due = max(agreed, required)
        charge, rate, floor = ceil(due * self.charge_one), self._rate, self.stretch.floor
        theirs = self.terms["currency"] if self.terms else floor.currency
        named = f"{self.worker}:{self.batch or OVERHEAD}:{moment(self.stretch.since).isoformat()}"
        made = {
            "id": str(uuid5(UUID(period["id"]), named)),
            "batch": self.batch,
            "segment_start": self.start,
            "segment_end": _time(self.stretch.until),
            "place": self.stretch.place,
            "area": self.stretch.area,
            "currency": floor.currency,
            "seconds": sum(left.values()),
            "seconds_by": dict(left),
            "agreed": agreed,
            "required": required,
            "due": due,
            "topup": due - agreed,
            "rate": _ratio(rate),
            "rule": floor.rule,
            "rule_sha256": floor.sha256,
            "fx_rate": self.fx.first,
            "fx_through": self.fx.second,
            "fx": None if theirs == floor.currency else _ratio(self.fx.value),
            "charge": charge,
            "charge_currency": theirs,
            "fee_max": charge * Fraction(self.terms["fee_percent"]) // 100 if self.terms else 0,
            "answers": answers,
            "evidence": evidence(self.inside, self.earned),
            "corrects": corrects,
            "trace": [*floor.considered, *self._surcharge()],
        }
        return {name: value for name, value in made.items() if value is not None}

    @property
    def _rate(self) -> Fraction:
        return self.stretch.floor.rate * self.stretch.multiplier

    def _surcharge(self) -> Iterator[Row]:
        if self.stretch.multiplier != 1:
            yield {
                "rule": self.stretch.floor.rule,
                "kind": "sensitive_multiplier",
                "multiplier": str(self.stretch.multiplier),
                "applied": "yes",
                "compared": str(self._rate),
                "compared_currency": self.stretch.floor.currency,
            }


def settle(facts: Facts, worker: Worker, signs: list[Sign], week: Row, known: int) -> list[Segment]:
    """Settle a worker's week as known at a moment. Raises Unresolved."""
    start, end = week["start"], week["end"]
    book = facts.book(known, week)
    earned = [row for row in worker.of("earnings") if start <= micros(row["at"]) < end]
    edges = _edges(facts, book, worker, start, end)
    shares = _shares(facts, worker, signs, start, end, known)
    bearers = {_bearer(share) for share in shares} | {row["batch"] for row in earned}
    found = []
    for batch in sorted(bearers, key=lambda one: (one is None, one or "")):
        for stretch in _stretches(facts, book, worker, edges, batch):
            since, until = stretch.since, stretch.until
            own = [share for share in shares if _bearer(share) == batch]
            inside = cut(own, [since // SECOND, until // SECOND])
            paid = [r for r in earned if r["batch"] == batch and since <= micros(r["at"]) < until]
            if inside or any(Fraction(row["price"]) for row in paid):
                found.append(_segment(facts, book, worker.id, batch, stretch, inside, paid))
    return found


def still_due(
    segments: list[Segment], booked: list[Row]
) -> Iterator[tuple[Segment, Counter[str], str | None]]:
    """Take off what was booked for the segments of a week; give what is left, with the line that it corrects.

    What was booked beyond a segment's due counts for the batch's segments after it.
    """
    over: dict[str | None, Counter[str]] = defaultdict(Counter)
    for one in sorted(segments, key=lambda segment: segment.stretch.since):
        own = [
            row
            for row in booked
            if row.get("batch") == one.batch
            and row["currency"] == one.stretch.floor.currency
            and one.stretch.since <= micros(row["segment_start"]) < one.stretch.until
        ]
        before = over[one.batch].copy()
        for row in own:
            before.update({**row["seconds_by"], "answers": row["answers"], "due": row["due"]})
        over[one.batch] = before - one.whole
        if one.whole["due"] > before["due"]:
            yield one, before, own[0]["id"] if own else None


def evidence(shares: list[Span], earned: list[Row]) -> str:
    """Hash what a line rests on."""
    rests_on = {
        "shares": [[share.start, share.end, share.unit, share.category] for share in shares],
        "earnings": sorted(row["id"] for row in earned if row["kind"] == "submitted"),
    }
    return sha256(canonical(rests_on)).hexdigest()


def _edges(facts: Facts, book: Book, worker: Worker, start: int, end: int) -> list[int]:
    """Give the moments of a week at which the worker moved, a pay rose, or a rule begins or ends."""
    found = {one["at"] for one in worker.places}
    for place in {one.get("place") for one in worker.places}:
        found.update(book.edges(place, start, end))
    for row in worker.batches():
        found.update(one["at"] for one in facts.pay(row))
    return [start, *sorted(at for at in found if start < at < end), end]


def _stretches(
    facts: Facts, book: Book, worker: Worker, edges: list[int], batch: str | None
) -> list[Stretch]:
    """Resolve the floor from each edge on; a stretch goes on where nothing changes."""
    joined: list[Stretch] = []
    for since, until in pairwise(edges):
        here = _last(worker.places, since)
        place, area = here.get("place"), here.get("area")
        pay = _last(facts.pay(batch), since) if facts.pay(batch) else None
        multiplier = Fraction(pay["sensitive_multiplier"]) if pay else Fraction(1)
        floor = book.floor(place, area, since, _promise(batch, facts.terms(batch), pay))
        stretch = Stretch(since, until, place, area, multiplier, floor)
        if joined and joined[-1].same(stretch):
            stretch = joined.pop()._replace(until=until)
        joined.append(stretch)
    return joined


def _last(history: list[Row], at: int) -> Row:
    """Give what held at a moment; before the first, the first."""
    return next((one for one in reversed(history) if one["at"] <= at), history[0])


def _shares(facts: Facts, worker: Worker, signs: list[Sign], start: int, end: int, known: int) -> list[Span]:
    declared = [
        Span(
            micros(row["start_at"]) // SECOND,
            -(-micros(row["end_at"]) // SECOND),
            f"declared:{row['id']}",
            row.get("batch"),
            row["category"],
        )
        for row in worker.of("declarations")
        if row["state"] == "accepted"
        and micros(row["decided_at"]) <= known
        and micros(row["start_at"]) < end
        and micros(row["end_at"]) > start
    ]
    spans = spans_of(bearing(signs, start, end, known), facts.grace)
    return cut(credited(spans, declared), [start // SECOND, end // SECOND])


def _segment(
    facts: Facts,
    book: Book,
    worker: str,
    batch: str | None,
    stretch: Stretch,
    inside: list[Span],
    earned: list[Row],
) -> Segment:
    terms, own = facts.terms(batch), stretch.floor.currency
    theirs = terms["currency"] if terms else own
    price = sum((minor(row["price"], row["currency"]) for row in earned), Fraction(0))
    seconds = sum(share.end - share.start for share in inside)
    return Segment(
        worker=worker,
        batch=batch,
        stretch=stretch,
        inside=inside,
        earned=earned,
        agreed=ceil(book.convert(price, theirs, own)) if terms else 0,
        required=ceil(Fraction(seconds, 3600) * stretch.floor.rate * stretch.multiplier),
        terms=terms,
        fx=book.rate(theirs, own),
        charge_one=1 / book.convert(Fraction(1), theirs, own),
    )


def _bearer(share: Span) -> str | None:
    return share.batch if share.category != OVERHEAD else None


def _time(at: int) -> str:
    return moment(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _promise(batch: str | None, terms: Row | None, pay: Row | None) -> Row | None:
    """Give the requester's hourly promise as the rule document that it stands for."""
    if terms is None or pay is None or "hourly_rate" not in pay:
        return None
    day = pay["counts_from"][:10]
    return {
        "id": f"promise.{batch}",
        "version": pay["revision"],
        "kind": "requester_promise",
        "status": "in_force",
        "jurisdiction": None,
        "area": None,
        "currency": terms["currency"],
        "rates": [{"per": "hour", "amount": pay["hourly_rate"]}],
        "authoritative_unit": "hour",
        "hours_basis": None,
        "effective_from": day,
        "effective_to": None,
        "time_zone": "UTC",
        "source": {"title": "Pay terms of the batch"},
        "supersedes": None,
        "confidence": "A",
        "review_by": day,
    }
