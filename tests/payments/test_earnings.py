"""From stored evidence to what is owed: the Nairobi morning through real tables, and what an earning may do."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import factories
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from payments import earnings, worktime
from payments.earnings import DraftLine, Earning, UnknownEnding, lines_for
from payments.paid_time import Category
from payments.terms import NoTerms, seal, set_terms
from tasks import assignments, people
from tasks.assignments import Assigned, Assignment
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


def accrue(session: Session, held: Assigned, kind: str, when: datetime) -> Earning:
    """Record an earning and give its row."""
    earnings.accrue(session, held, kind, when)
    found = select(Earning).where(Earning.assignment_id == held.id)
    return session.scalars(found.execution_options(populate_existing=True)).one()


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
        return accrue(self.session, stored.assignment, "submitted", when)

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
    assert [pay.currency, pay.floor, pay.seconds] == ["KES", 27500, 2500]
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


def test_an_earning_is_recorded_once_and_only_rises(session: Session, now: datetime) -> None:
    batch, worker = served(session, now), factories.worker(session, now)
    held = factories.assignment(session, batch, worker, now)
    nothing = accrue(session, held, "expired", now)
    assert [nothing.kind, nothing.piece_price] == ["expired", 0]
    known = nothing.id
    later = now + timedelta(days=8)
    late = accrue(session, held, "submitted", later)
    assert late.id == known
    assert [late.kind, late.piece_price, late.at] == ["submitted", Decimal(30), later]
    for kind in ("submitted", "skipped", "expired"):
        again = accrue(session, held, kind, later + timedelta(days=1))
        assert [again.kind, again.piece_price, again.at] == ["submitted", Decimal(30), later]
    assert session.scalar(select(func.count(Earning.id))) == 1
    # It counts in the week in which it came, because the week before may be closed.
    assert earnings.earned(session, worker.id, now, now + timedelta(days=7)) == {}
    assert earnings.earned(session, worker.id, now, later + timedelta(seconds=1)) == {batch.id: Decimal(30)}


def test_time_is_paid_where_there_is_no_price(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    worker = factories.worker(session, now)
    batch = served(session, now, pay_mode="hourly", piece_price=None, hourly_rate="360")
    day = Morning(session, worker, now)
    held = day.open(batch, "09:00:00")
    assert day.submit(held, "09:01:40").piece_price == 0
    pay = earnings.pay_so_far(session, worker, now + START, clock(now, "10:00:00"))
    (only,) = pay.lines
    assert [only.seconds, only.due.agreed, only.due.due, only.rule] == [100, 0, 1000, f"promise.{batch.id}@1"]
    assert only.rate == 36000


def test_what_cannot_be_is_refused(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now)
    open_slots(session, batch.id, 3)
    open_batch(session, batch, now)
    held = factories.assignment(session, batch, factories.worker(session, now), now)
    with pytest.raises(NoTerms):
        earnings.accrue(session, held, "submitted", now)
    with pytest.raises(UnknownEnding):
        earnings.accrue(session, held, "leased", now)


def test_the_sweep_finds_every_ended_assignment(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    batch, worker = served(session, now, items=4), factories.worker(session, now)
    first, second, third, fourth = (
        factories.assignment(session, batch, one, now)
        for one in (worker, *(factories.worker(session, now) for _ in range(3)))
    )
    assignments.skip(session, second, "unclear", now)
    assignments.give_back(session, third, now)
    worktime.open_assignment(session, fourth, now)
    late = now + timedelta(hours=1)
    assert {one.id for one in assignments.expire(session, late)} == {first.id, fourth.id}
    assert earnings.sweep(session, late, limit=3) == 3
    assert earnings.sweep(session, late, limit=3) == 1
    assert earnings.sweep(session, late) == 0
    kinds = session.scalars(select(Earning.kind).order_by(Earning.kind)).all()
    assert list(kinds) == ["expired", "expired", "returned", "skipped"]

    # An answer after the lease, whose earning failed at the time, is found again and paid.
    factories.answer(session, first, late)
    assert earnings.sweep(session, late) == 1
    assert earnings.earned(session, first.worker_id, now, late + timedelta(seconds=1)) == {
        batch.id: Decimal(30)
    }


def test_a_lease_that_ran_out_pays_its_time_as_interrupted(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    batch, worker = served(session, now), factories.worker(session, now)
    held = Morning(session, worker, now).open(batch, "09:00:00")
    worktime.record(session, worker_id=worker.id, kind="proof", now=clock(now, "09:01:00"), assignment=held)
    assignments.expire(session, clock(now, "09:30:00"))
    earnings.sweep(session, clock(now, "09:30:00"))
    (only,) = lines_for(session, worker, now + START, clock(now, "12:00:00"), clock(now, "12:00:00"))
    assert only.seconds_by == {Category.D: 180}
    assert [only.due.agreed, only.due.due] == [0, 1375]


def test_a_price_in_another_currency_is_converted_exactly_and_rounded_once(
    session: Session, now: datetime
) -> None:
    factories.floors(session, now)
    worker = factories.worker(session, now)
    batch = served(session, now, currency="USD", piece_price="0.125")
    day = Morning(session, worker, now)
    for start, end in (("09:00:00", "09:00:10"), ("09:00:10", "09:00:20"), ("09:00:20", "09:00:30")):
        day.submit(day.open(batch, start), end)
    later = clock(now, "10:00:00")
    (only,) = lines_for(session, worker, now + START, later, later)
    # 0.375 USD at 150 / 1.10 KES.
    assert only.agreed == Fraction(375, 10) * Fraction(150, 1) / Fraction(110, 100)
    assert [only.currency, only.due.agreed, only.due.due] == ["KES", 5114, 5114]
    assert only.fx == Fraction(1500, 11)
    assert None not in {only.fx_rate_id, only.fx_through}


def test_lines_are_cut_where_another_rate_applies_and_nowhere_else(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    eve = datetime.fromisoformat("2026-12-31T22:50:00+00:00")
    worker = factories.worker(session, now, place="DE", area=None, time_zone="Europe/Berlin")
    batch = served(session, now, currency="EUR", piece_price="0.10", items=3)
    day = Morning(session, worker, eve)
    held = day.open(batch, "09:00:00")
    day.proofs(held, "09:01:00", "09:19:00", 60)
    day.submit(held, "09:20:00")
    monday = datetime.fromisoformat("2026-12-28T00:00:00+00:00")
    end = monday + timedelta(days=7)
    old, new = lines_for(session, worker, monday, end, end)
    midnight = datetime.fromisoformat("2026-12-31T23:00:00+00:00")
    assert [old.segment_start, old.segment_end, new.segment_start, new.segment_end] == [
        monday,
        midnight,
        midnight,
        end,
    ]
    assert [old.seconds, new.seconds] == [600, 600]
    assert old.rate < new.rate
    assert [old.due.agreed, new.due.agreed] == [0, 10]
    for one in (old, new):
        assert one.due.due >= Fraction(one.seconds, 3600) * one.rate

    # The same week in Kenya, where some rule elsewhere changes, stays one line.
    amina = factories.worker(session, now)
    day = Morning(session, amina, eve)
    held = day.open(batch, "09:00:00")
    day.proofs(held, "09:01:00", "09:19:00", 60)
    assert len(lines_for(session, amina, monday, end, end)) == 1


def test_sensitive_content_multiplies_the_floor_and_says_so(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    worker = factories.worker(session, now)
    batch = served(session, now, sensitive_multiplier="1.25", piece_price="0.01")
    day = Morning(session, worker, now)
    day.submit(day.open(batch, "09:00:00"), "09:01:00")
    (only,) = lines_for(session, worker, now + START, clock(now, "12:00:00"), clock(now, "12:00:00"))
    assert [only.rate, only.due.due] == [Fraction(27500 * 5, 4), 573]
    assert only.trace[-1]["kind"] == "sensitive_multiplier"


def test_a_submission_of_this_very_moment_is_in_pay_so_far(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    worker = factories.worker(session, now)
    batch = served(session, now)
    day = Morning(session, worker, now)
    day.submit(day.open(batch, "09:00:00"), "09:00:10")
    pay = earnings.pay_so_far(session, worker, now + START, clock(now, "09:00:10"))
    assert [pay.agreed, pay.due, pay.seconds] == [3000, 3000, 10]
    nobody = factories.worker(session, now)
    empty = earnings.pay_so_far(session, nobody, now + START, now)
    assert [empty.lines, empty.due, empty.hourly, empty.floor] == [[], 0, None, 27500]


def test_a_promise_counts_from_the_moment_it_is_made(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    wednesday = now + timedelta(days=2)
    worker, batch = factories.worker(session, now), factories.served(session, wednesday)
    seal(session, factories.terms(session, batch, wednesday, hourly_rate="400"), wednesday)
    Morning(session, worker, wednesday).open(batch, "09:00:00")
    (line,) = lines_for(session, worker, now + START, now + timedelta(days=6), now + timedelta(days=6))
    assert line.rate == Fraction(40000)
    assert line.rule == f"promise.{batch.id}@1"
    assert line.segment_start == wednesday


def test_a_rise_counts_a_minute_later_and_never_before(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    worker = factories.worker(session, now)
    batch = factories.served(session, now)
    seal(session, factories.terms(session, batch, now, piece_price="5"), now)
    factories.terms(session, batch, clock(now, "09:00:00"), piece_price="8")
    day = Morning(session, worker, now)
    for start, end in (("09:00:10", "09:00:20"), ("09:01:10", "09:01:20")):
        day.submit(day.open(batch, start), end)
    prices = session.scalars(select(earnings.Earning.piece_price).order_by(earnings.Earning.at)).all()
    assert prices == [Decimal(5), Decimal(8)]


def test_who_moves_is_paid_by_the_place_of_each_moment(session: Session, now: datetime) -> None:
    factories.floors(session, now)
    worker, batch = factories.worker(session, now), served(session, now)
    held = Morning(session, worker, now).open(batch, "09:00:00")
    for minute in range(1, 20):
        at = clock(now, f"09:{minute:02}:00")
        worktime.record(session, worker_id=worker.id, kind="proof", now=at, assignment=held)
    people.settle(
        session,
        worker,
        place="FR",
        area=None,
        time_zone="Europe/Paris",
        languages=["fr"],
        now=clock(now, "09:10:00"),
    )
    later = clock(now, "12:00:00")
    lines = lines_for(session, worker, now + START, later, later)
    assert [(one.place, one.currency, one.seconds) for one in lines] == [
        ("KE", "KES", 600),
        ("FR", "EUR", 660),
    ]
    assert [lines[0].segment_end, lines[1].segment_start] == [clock(now, "09:10:00")] * 2
