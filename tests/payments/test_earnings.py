"""From stored evidence to what is owed: the Nairobi morning through real tables, and what an earning may do."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import factories
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from payments import earnings, rules, worktime
from payments.earnings import DraftLine, Earning, UnknownEnding, lines_for
from payments.paid_time import Category
from payments.terms import NoTerms, set_terms
from tasks import assignments
from tasks.assignments import Assignment
from tasks.batches import Batch, open_batch
from tasks.items import open_slots
from tasks.people import Person

START = timedelta(hours=-6)
"""From the fixed moment back to the Monday 00:00 UTC of its week."""


def served(session: Session, now: datetime, items: int = 3, **terms: Any) -> Batch:
    """An open batch with terms."""
    made = factories.batch(session, now, items=items, answers_wanted=1)
    given = {"currency": "KES", "pay_mode": "piece", "piece_price": "30", "estimate_seconds": 120}
    set_terms(session, made, now=now, **{**given, **terms})
    open_slots(session, made.id, items)
    open_batch(session, made, now)
    return made


def clock(now: datetime, text: str) -> datetime:
    """Nine o'clock is the fixed moment."""
    hour, minute, second = map(int, text.split(":"))
    return now + timedelta(hours=hour - 9, minutes=minute, seconds=second)


class Morning:
    """Records a worker's evidence by the clock on the wall."""

    def __init__(self, session: Session, worker: Person, now: datetime) -> None:
        self.session, self.worker, self.now = session, worker, now

    def open(self, batch: Batch, at: str) -> Assignment:
        when = clock(self.now, at)
        held = factories.assignment(self.session, batch, self.worker, when)
        worktime.open_assignment(self.session, held, when)
        return held

    def proofs(self, held: Assignment, first: str, last: str, step: int = 20) -> None:
        when = clock(self.now, first)
        while when <= clock(self.now, last):
            worktime.record(self.session, worker_id=self.worker.id, kind="proof", now=when, assignment=held)
            when += timedelta(seconds=step)

    def submit(self, held: Assignment, at: str) -> Earning:
        when = clock(self.now, at)
        stored = factories.answer(self.session, held, when)
        worktime.end_assignment(self.session, stored.assignment, "submit", when)
        return earnings.accrue(self.session, stored.assignment, "submitted", when)

    def note(self, kind: str, at: str, unit: str, batch: Batch | None = None) -> None:
        worktime.record(
            self.session,
            worker_id=self.worker.id,
            kind=kind,
            now=clock(self.now, at),
            unit=unit,
            batch_id=batch.id if batch else None,
        )


def nairobi(session: Session, now: datetime) -> tuple[Person, Batch, Batch]:
    """The morning of 16 November 2026 in Nairobi."""
    factories.floors(session, now)
    worker = factories.worker(session, now)
    x, y = served(session, now), served(session, now, piece_price="20")
    day = Morning(session, worker, now)
    day.note("instructions_open", "09:00:00", f"instructions:{x.id}", x)
    day.note("instructions_close", "09:02:00", f"instructions:{x.id}", x)
    first = day.open(x, "09:02:00")
    day.proofs(first, "09:02:20", "09:07:40")
    day.submit(first, "09:08:00")
    second = day.open(x, "09:08:00")
    day.proofs(second, "09:08:20", "09:19:40")
    other = day.open(y, "09:10:00")
    day.proofs(other, "09:10:30", "09:15:30", 30)
    day.submit(other, "09:16:00")
    day.proofs(second, "09:27:00", "09:30:40")
    day.submit(second, "09:31:00")
    third = day.open(x, "09:31:00")
    assignments.skip(session, third, "upsetting", clock(now, "09:33:00"))
    worktime.end_assignment(session, third, "content_skip", clock(now, "09:33:00"))
    earnings.accrue(session, third, "skipped", clock(now, "09:33:00"))
    day.note("rest_start", "09:33:00", f"rest:{x.id}", x)
    day.note("rest_end", "09:38:00", f"rest:{x.id}", x)
    day.note("queue_wait", "09:38:00", "queue")
    day.note("proof", "09:40:00", "queue")
    day.note("queue_wait_end", "09:42:00", "queue")
    added = worktime.declare(
        session,
        worker_id=worker.id,
        batch_id=x.id,
        start=clock(now, "09:21:40"),
        end=clock(now, "09:26:40"),
        reason="reading guideline PDF",
        now=clock(now, "10:00:00"),
        category=Category.B,
    )
    assert (added.state, added.accepted_by, added.added_seconds) == ("accepted", "rule", 300)
    return worker, x, y


def by_batch(lines: list[DraftLine]) -> dict[Any, DraftLine]:
    """Lines by batch, at most one each."""
    assert len({one.batch_id for one in lines}) == len(lines)
    return {one.batch_id: one for one in lines}


def test_the_nairobi_morning_is_paid_to_the_cent(session: Session, now: datetime) -> None:
    worker, x, y = nairobi(session, now)
    later = clock(now, "12:00:00")
    lines = by_batch(lines_for(session, worker, now + START, later, later))

    of_x, of_y, overhead = lines[x.id], lines[y.id], lines[None]
    assert (of_x.seconds, of_x.due.agreed, of_x.due.required, of_x.due.due) == (1900, 6000, 14514, 14514)
    assert of_x.due.topup == 8514
    assert (of_y.seconds, of_y.due.agreed, of_y.due.due, of_y.due.topup) == (360, 2000, 2750, 750)
    assert (overhead.seconds, overhead.due.agreed, overhead.due.due) == (240, 0, 1834)
    assert sum(one.due.due for one in lines.values()) == 19098
    assert of_x.seconds_by[Category.E] == 300
    assert of_x.seconds_by[Category.D] == 120
    assert {one.rule for one in lines.values()} == {"platform.KE@1"}
    assert {one.rate for one in lines.values()} == {Fraction(27500)}


def test_pay_so_far_says_the_same_as_the_lines(session: Session, now: datetime) -> None:
    worker, _, _ = nairobi(session, now)
    pay = earnings.pay_so_far(session, worker, now + START, clock(now, "12:00:00"))
    assert (pay.currency, pay.floor, pay.seconds) == ("KES", 27500, 2500)
    assert (pay.agreed, pay.due, pay.topup) == (8000, 19098, 11098)
    assert pay.hourly is not None
    assert pay.hourly >= pay.floor


def test_a_span_cut_anywhere_credits_the_same_seconds(session: Session, now: datetime) -> None:
    worker, _, _ = nairobi(session, now)
    later = clock(now, "12:00:00")
    for cut in ("09:05:10", "09:12:00", "09:20:30", "09:24:00", "09:29:59", "09:35:00", "09:39:00"):
        parts = [
            share
            for since, until in ((now + START, clock(now, cut)), (clock(now, cut), later))
            for share in worktime.shares_of(session, worker.id, since, until)
        ]
        assert sum(share.seconds for share in parts) == 2500, cut
