"""A span of a worker's time as they read it: what was credited, to which batch and as what, and every gap and why.

Neighbouring seconds of the same batch and kind are one row, however many items they were spent on. Every second
between the first and the last sign of work stands in exactly one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from annotate import pay_views
from annotate.visit import Visit
from payments import worktime
from payments.paid_time import Category, Gap, Share
from schemas.words import NOTHING, Words
from tasks.batches import Named


@dataclass(frozen=True)
class Row:
    """Some consecutive seconds: credited to a batch as a category, or not credited for a reason."""

    start: datetime
    end: datetime
    batch_id: UUID | None
    category: Category | None
    reason: Words

    @property
    def seconds(self) -> int:
        """How long it is."""
        return int((self.end - self.start).total_seconds())

    @property
    def credited(self) -> bool:
        """Whether it is paid."""
        return self.category is not None


def rows(visit: Visit, worker_id: UUID, start: datetime, end: datetime) -> list[Row]:
    """Give a span's rows in order."""
    shares = worktime.shares_of(visit.session, worker_id, start, end)
    gaps = worktime.gaps_of(visit.session, worker_id, start, end)
    return sorted([*blocks(shares), *map(uncredited, gaps)], key=lambda row: row.start)


def blocks(shares: Sequence[Share]) -> list[Row]:
    """Join neighbouring shares of the same batch and category."""
    made: list[Row] = []
    for share in shares:
        row = Row(_at(share.start), _at(share.end), _batch(share), share.category, NOTHING)
        last = made[-1] if made else None
        if last and last.end == row.start and (last.batch_id, last.category) == (row.batch_id, row.category):
            made[-1] = Row(last.start, row.end, row.batch_id, row.category, NOTHING)
        else:
            made.append(row)
    return made


def guessed_batch(found: Sequence[Row], gap: Row) -> UUID | None:
    """Give the batch that was worked on next to a gap: before it, else after it."""
    before = [row for row in found if row.credited and row.end <= gap.start]
    after = [row for row in found if row.credited and row.start >= gap.end]
    near = before[-1] if before else after[0] if after else None
    return near.batch_id if near else None


def category_words(visit: Visit) -> dict[Category, str]:
    """Name what credited time was spent on."""
    return {
        Category.A: visit.gettext("work on items"),
        Category.B: visit.gettext("instructions"),
        Category.C: visit.gettext("work done again"),
        Category.D: visit.gettext("skipped, returned or timed out; paid all the same"),
        Category.E: visit.gettext("paid break"),
        Category.F: visit.gettext("waiting and support"),
    }


def as_json(visit: Visit, row: Row, names: dict[UUID, Named]) -> dict[str, Any]:
    """Give a row for programs."""
    return {
        "start": row.start.isoformat(),
        "end": row.end.isoformat(),
        "seconds": row.seconds,
        "credited": row.credited,
        "batch": str(row.batch_id) if row.batch_id else None,
        "title": pay_views.name_of(visit, row.batch_id, names).title if row.credited else None,
        "category": row.category.value if row.category else None,
        "reason": visit.formats.say(row.reason) or None,
    }


def uncredited(gap: Gap) -> Row:
    """Take a gap as a row."""
    return Row(_at(gap.start), _at(gap.end), None, None, gap.reason)


def _batch(share: Share) -> UUID | None:
    return UUID(share.batch) if share.batch and share.category is not Category.F else None


def _at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
