"""What Mechanical Turk work paid by the hour, and what Fairlabel would have owed on top.

Computed from result files alone, as an outsider must. Nothing is smoothed: long dwell times, overlaps and rejections
stay in the figures, are counted beside them, and the figures without the longest assignments stand next to the
result. All arithmetic is exact. How it is told to people and programs is in `mturk_report`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from statistics import median
from typing import Final, NoReturn

from payments.floors import NoRule, resolve
from payments.money import ceil_minor, minor
from payments.mturk_files import CURRENCY, Assignment, Problem
from payments.rules import shipped
from schemas.words import Words
from tasks.errors import Invalid

LONG_HOURS: Final = (1, 4)
BIN_STEPS: Final = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1), Fraction(2))


AMOUNT: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,4})?) ?([A-Z]{3})", re.ASCII)
PLACE: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)


class OtherCurrency(Invalid):
    """The floor is not in dollars, and these files are; name an amount instead, such as 7.25USD."""


class NoSuchFloor(Invalid):
    """This names no floor; give a place such as US or US-CA, or an amount per hour such as 7.25USD."""


@dataclass(frozen=True)
class Floor:
    """A floor in exact minor units per hour, and where it comes from in words."""

    rate: Fraction
    currency: str
    origin: Words


@dataclass(frozen=True)
class Figures:
    """The figures of some assignments; money in minor units, hourly pay in exact minor units per hour."""

    assignments: int
    rejected: int
    workers: int
    paid: int
    """Rewards of all assignments that were not rejected."""
    union_seconds: int
    """Per worker the seconds from accept to submit, each second once however many HITs were held; summed."""
    sum_seconds: int
    """Seconds from accept to submit, summed over assignments."""
    median_hourly_per_assignment: Fraction | None
    """Of paid ÷ time of each assignment that took time; 0 for a rejected one."""
    median_hourly_per_worker: Fraction | None
    """Of paid ÷ union time of each worker whose work took time."""
    share_assignments_under_floor: Fraction | None
    """Of the assignments that took time, those whose hourly pay is below the floor."""
    share_workers_under_floor: Fraction | None
    """Of the workers whose work took time, those whose hourly pay is below the floor."""
    missing_pay: int
    """Per worker the union time at the floor, rounded up to a minor unit, less paid, not below 0; summed."""

    @property
    def hourly(self) -> Fraction | None:
        """All pay over all union time."""
        return _hourly(self.paid, self.union_seconds)


@dataclass(frozen=True)
class WorkerRow:
    """One worker's work in all the files."""

    worker: str
    assignments: int
    rejected: int
    paid: int
    union_seconds: int
    sum_seconds: int
    missing_pay: int

    @property
    def hourly(self) -> Fraction | None:
        """Paid over union time; None if the work took no time."""
        return _hourly(self.paid, self.union_seconds)


@dataclass(frozen=True)
class Bin:
    """How many assignments and workers earned from `low` to below `high` (None: no end) minor units per hour."""

    low: Fraction
    high: Fraction | None
    assignments: int
    workers: int


@dataclass(frozen=True)
class WithoutLong:
    """A sensitivity line: the figures if assignments longer than `hours` were not there, time and pay alike."""

    hours: int
    left_out: int
    left_out_seconds: int
    figures: Figures


@dataclass(frozen=True)
class Oddities:
    """How much there is of what the figures had to take a stand on."""

    submitted: int
    """Neither approved nor rejected yet."""
    instant: int
    """Submitted in the second of acceptance."""
    without_work_time: int
    """WorkTimeInSeconds is absent or unusable."""
    other_work_time: int
    """WorkTimeInSeconds differs from accept-to-submit by more than a second."""
    repeated_rows: int


@dataclass(frozen=True)
class Audit:
    """The figures of all files, of each file (batch) and of each worker, and how every oddity was treated."""

    currency: str
    floor: Fraction
    figures: Figures
    batches: dict[str, Figures]
    workers: list[WorkerRow]
    """Most missing first."""
    histogram: list[Bin]
    without_long: list[WithoutLong]
    oddities: Oddities
    replaced: list[Problem]
    """Rows that took the place of an earlier row of the same assignment which said something else."""

    @property
    def missing_pay_by_batch(self) -> int:
        """Missing pay worked out per worker and batch, so that no batch makes up for another."""
        return sum(batch.missing_pay for batch in self.batches.values())


def audit(rows: Iterable[Assignment], floor: Fraction, currency: str) -> Audit:
    """Audit the rows of any number of files against a floor in minor units per hour.

    An AssignmentId counts once: of rows that repeat it the last one read, and rows that differ are named in
    `replaced`. A floor in a currency other than the files' raises OtherCurrency.
    """
    if currency != CURRENCY:
        raise OtherCurrency(currency=currency)
    if floor < 0:
        raise ValueError("a floor is not below 0")
    assignments, repeated, replaced = _each_once(rows)
    batches: dict[str, list[Assignment]] = defaultdict(list)
    for assignment in assignments:
        batches[assignment.batch].append(assignment)
    workers = sorted(_workers(assignments, floor), key=lambda row: (-row.missing_pay, row.worker))
    figures = _figures(assignments, floor)
    by_batch = {name: _figures(rows, floor) for name, rows in batches.items()}
    without_long = [_without_long(assignments, floor, hours) for hours in LONG_HOURS]
    return Audit(
        currency=currency,
        floor=floor,
        figures=figures,
        batches=by_batch,
        workers=workers,
        histogram=_histogram(assignments, workers, floor),
        without_long=without_long,
        oddities=_oddities(assignments, repeated),
        replaced=replaced,
    )


def floor_named(named: str, day: date) -> Floor:
    """Find the floor for a place code (the statutory rules that come with the product) or an amount per hour.

    Raises NoSuchFloor, OtherCurrency or UnknownCurrency.
    """
    named = named.strip().upper()
    if given := AMOUNT.fullmatch(named):
        return Floor(minor(given[1], given[2]), given[2], Words("as given"))
    if not PLACE.fullmatch(named):
        raise NoSuchFloor(floor=named[:40])
    law = [{**each, "status": "in_force"} for each in shipped() if each["kind"] == "statutory"]
    try:
        found = resolve(law, named, None, day, _no_exchange)
    except NoRule:
        message = Words(
            "No minimum that ships with Fairlabel holds in %(place)s; give an amount such as 7.25USD.",
            place=named,
        )
        raise NoSuchFloor(message, floor=named) from None
    return Floor(found.rate, found.currency, Words("statutory, %(rule)s, as shipped", rule=found.rule))


def _no_exchange(_amount: Fraction, base: str, quote: str) -> NoReturn:
    raise OtherCurrency(currency=f"{base}, {quote}")


def union_seconds(assignments: Iterable[Assignment]) -> int:
    """Count the seconds that lie in at least one of the intervals from accept to submit."""
    total, reached = 0, None
    for start, end in sorted((each.accepted, each.submitted) for each in assignments):
        if reached is None or start > reached:
            reached = start
        if end > reached:
            total += int((end - reached).total_seconds())
            reached = end
    return total


def _each_once(rows: Iterable[Assignment]) -> tuple[list[Assignment], int, list[Problem]]:
    kept: dict[str, Assignment] = {}
    repeated, replaced = 0, []
    for row in rows:
        before = kept.get(row.id)
        if before is not None:
            repeated += 1
            if before.facts != row.facts:
                said = {"id": row.id, "file": before.batch, "line": before.line}
                reason = Words(
                    "%(id)s was in %(file)s line %(line)s with other facts; this row counts", **said
                )
                replaced.append(Problem(row.batch, row.line, "AssignmentId", reason))
        if before is None or before.facts != row.facts:
            kept[row.id] = row
    return list(kept.values()), repeated, replaced


def _oddities(assignments: Sequence[Assignment], repeated: int) -> Oddities:
    reported = [(each.reported_seconds, each.seconds) for each in assignments]
    return Oddities(
        submitted=sum(each.status == "Submitted" for each in assignments),
        instant=sum(each.seconds == 0 for each in assignments),
        without_work_time=sum(told is None for told, _ in reported),
        other_work_time=sum(told is not None and abs(told - took) > 1 for told, took in reported),
        repeated_rows=repeated,
    )


def _workers(assignments: Iterable[Assignment], floor: Fraction) -> list[WorkerRow]:
    held: dict[str, list[Assignment]] = defaultdict(list)
    for assignment in assignments:
        held[assignment.worker].append(assignment)
    return [_worker(worker, own, floor) for worker, own in held.items()]


def _worker(worker: str, own: Sequence[Assignment], floor: Fraction) -> WorkerRow:
    paid, union = sum(each.paid for each in own), union_seconds(own)
    return WorkerRow(
        worker=worker,
        assignments=len(own),
        rejected=sum(each.status == "Rejected" for each in own),
        paid=paid,
        union_seconds=union,
        sum_seconds=sum(each.seconds for each in own),
        missing_pay=max(0, ceil_minor(Fraction(union, 3600) * floor) - paid),
    )


def _figures(assignments: Sequence[Assignment], floor: Fraction) -> Figures:
    workers = _workers(assignments, floor)
    per_assignment = _rates(assignments)
    per_worker = [row.hourly for row in workers if row.hourly is not None]
    return Figures(
        assignments=len(assignments),
        rejected=sum(row.rejected for row in workers),
        workers=len(workers),
        paid=sum(row.paid for row in workers),
        union_seconds=sum(row.union_seconds for row in workers),
        sum_seconds=sum(row.sum_seconds for row in workers),
        median_hourly_per_assignment=median(per_assignment) if per_assignment else None,
        median_hourly_per_worker=median(per_worker) if per_worker else None,
        share_assignments_under_floor=_share_under(per_assignment, floor),
        share_workers_under_floor=_share_under(per_worker, floor),
        missing_pay=sum(row.missing_pay for row in workers),
    )


def _rates(assignments: Iterable[Assignment]) -> list[Fraction]:
    rates = (_hourly(each.paid, each.seconds) for each in assignments)
    return [rate for rate in rates if rate is not None]


def _hourly(paid: int, seconds: int) -> Fraction | None:
    return Fraction(paid * 3600, seconds) if seconds else None


def _share_under(rates: Sequence[Fraction], floor: Fraction) -> Fraction | None:
    return Fraction(sum(rate < floor for rate in rates), len(rates)) if rates else None


def _without_long(assignments: Sequence[Assignment], floor: Fraction, hours: int) -> WithoutLong:
    kept = [each for each in assignments if each.seconds <= hours * 3600]
    gone = sum(each.seconds for each in assignments) - sum(each.seconds for each in kept)
    return WithoutLong(hours, len(assignments) - len(kept), gone, _figures(kept, floor))


def _histogram(assignments: Sequence[Assignment], workers: Sequence[WorkerRow], floor: Fraction) -> list[Bin]:
    """Count hourly pay in quarters of the floor, so that the floor is an edge."""
    edges = sorted({Fraction(0), *(step * floor for step in BIN_STEPS)})
    at_assignment = Counter(_bin(rate, edges) for rate in _rates(assignments))
    at_worker = Counter(_bin(row.hourly, edges) for row in workers if row.hourly is not None)
    highs = [*edges[1:], None]
    return [
        Bin(low, high, at_assignment[at], at_worker[at])
        for at, (low, high) in enumerate(zip(edges, highs, strict=True))
    ]


def _bin(rate: Fraction, edges: Sequence[Fraction]) -> int:
    return sum(edge <= rate for edge in edges) - 1
