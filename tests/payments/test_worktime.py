"""Evidence of time: what is stored, what is refused, and that no second worked is lost at a border."""

from datetime import datetime, timedelta

import factories
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from payments import worktime
from payments.paid_time import Category
from payments.worktime import (
    AlreadyDecided,
    Declaration,
    NotServedThere,
    Proof,
    ReasonMissing,
    WrongDeclaration,
    WrongProof,
)
from tasks import assignments
from tasks.assignments import Assignment, AssignmentState
from tasks.batches import Batch, open_batch
from tasks.items import open_slots
from tasks.people import Person

HOUR = timedelta(hours=1)


@pytest.fixture
def batch(session: Session, now: datetime) -> Batch:
    made: Batch = factories.batch(session, now, items=3)
    factories.terms(session, made, now)
    open_slots(session, made.id, 9)
    open_batch(session, made, now)
    return made


@pytest.fixture
def worker(session: Session, now: datetime) -> Person:
    made: Person = factories.worker(session, now)
    return made


@pytest.fixture
def held(session: Session, now: datetime, batch: Batch, worker: Person) -> Assignment:
    made: Assignment = factories.assignment(session, batch, worker, now)
    return made


def proof(session: Session, held: Assignment, at: datetime, kind: str = "proof") -> bool:
    return worktime.record(session, worker_id=held.worker_id, kind=kind, now=at, assignment=held)


def seconds(session: Session, worker: Person, start: datetime, end: datetime) -> int:
    return sum(share.seconds for share in worktime.shares_of(session, worker.id, start, end))


def test_a_proof_has_no_place_for_anything_else() -> None:
    assert set(Proof.__table__.columns.keys()) == {
        "id",
        "worker_id",
        "kind",
        "unit",
        "assignment_id",
        "batch_id",
        "at",
        "sequence",
    }


def test_a_proof_so_soon_after_the_last_is_not_stored(
    session: Session, now: datetime, held: Assignment
) -> None:
    assert worktime.open_assignment(session, held, now)
    assert proof(session, held, now + timedelta(seconds=10))
    assert not proof(session, held, now + timedelta(seconds=19))
    assert proof(session, held, now + timedelta(seconds=20))
    assert worktime.end_assignment(session, held, "submit", now + timedelta(seconds=21))
    assert session.scalar(select(func.count(Proof.id))) == 4


@pytest.mark.parametrize(
    "kind", ["rest_start", "queue_wait", "support", "instructions_open", "keys", "", "x" * 500]
)
def test_an_assignment_hears_only_of_itself(
    session: Session, now: datetime, held: Assignment, kind: str
) -> None:
    with pytest.raises(WrongProof):
        proof(session, held, now, kind)
    assert session.scalar(select(func.count(Proof.id))) == 0


def test_nobody_proves_work_on_anothers_assignment(session: Session, now: datetime, held: Assignment) -> None:
    other = factories.worker(session, now)
    with pytest.raises(WrongProof):
        worktime.record(session, worker_id=other.id, kind="proof", now=now, assignment=held)
    with pytest.raises(WrongProof):
        worktime.record(session, worker_id=other.id, kind="queue_wait", now=now)
    with pytest.raises(WrongProof):
        worktime.end_assignment(session, held, "proof", now)


def test_overhead_is_never_a_batchs(session: Session, now: datetime, batch: Batch, worker: Person) -> None:
    stored = worktime.record(
        session, worker_id=worker.id, kind="queue_wait", now=now, batch_id=batch.id, unit="queue"
    )
    assert stored
    assert session.scalars(select(Proof.batch_id)).one() is None


def test_work_that_goes_on_after_its_lease_is_credited(
    session: Session, now: datetime, held: Assignment, worker: Person
) -> None:
    worktime.open_assignment(session, held, now)
    assignments.expire(session, now + HOUR)
    worktime.end_assignment(session, held, "timeout", now + HOUR)
    for second in (0, 30, 60):
        proof(session, held, now + HOUR + timedelta(minutes=1, seconds=second))
    assert held.state == AssignmentState.EXPIRED
    # Two minutes of grace after the opening; a minute of proofs, and the grace after the last.
    assert seconds(session, worker, now - HOUR, now + 3 * HOUR) == 120 + 60 + 120


def test_a_second_look_at_a_submitted_answer_is_rework(
    session: Session, now: datetime, held: Assignment, worker: Person
) -> None:
    worktime.open_assignment(session, held, now)
    done = now + timedelta(seconds=40)
    factories.answer(session, held, done)
    worktime.end_assignment(session, held, "submit", done)
    worktime.open_assignment(session, held, done + HOUR)
    worktime.end_assignment(session, held, "submit", done + HOUR + timedelta(seconds=25))
    shares = worktime.shares_of(session, worker.id, now, now + 2 * HOUR)
    assert [(one.category, one.seconds) for one in shares] == [(Category.A, 40), (Category.C, 25)]


def test_a_long_spell_is_whole_in_whatever_span_it_is_read(
    session: Session, now: datetime, held: Assignment, worker: Person
) -> None:
    worktime.open_assignment(session, held, now)
    for minute in range(1, 5 * 60):
        proof(session, held, now + timedelta(minutes=minute))
    worktime.end_assignment(session, held, "submit", now + 5 * HOUR)
    # Opened over two hours before the span begins.
    assert seconds(session, worker, now + 4 * HOUR, now + 6 * HOUR) == 3600
    assert seconds(session, worker, now - HOUR, now + 4 * HOUR) == 4 * 3600


def test_a_rest_over_a_border_is_paid_on_both_sides(
    session: Session, now: datetime, batch: Batch, worker: Person
) -> None:
    for kind, at in (("rest_start", now), ("rest_end", now + timedelta(minutes=20))):
        worktime.record(session, worker_id=worker.id, kind=kind, now=at, batch_id=batch.id, unit="rest")
    border = now + timedelta(minutes=15)
    assert seconds(session, worker, now - HOUR, border) == 15 * 60
    assert seconds(session, worker, border, now + HOUR) == 5 * 60


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 4000), st.sampled_from(["proof", "hidden", "visible", "open", "skip"])),
        min_size=1,
        max_size=12,
    ),
    cut=st.integers(0, 40_000),
)
def test_any_cut_of_any_evidence_keeps_every_second(
    session: Session,
    now: datetime,
    held: Assignment,
    worker: Person,
    steps: list[tuple[int, str]],
    cut: int,
) -> None:
    with session.begin_nested() as kept:
        at = now
        worktime.open_assignment(session, held, at)
        for gap, kind in steps:
            at += timedelta(seconds=gap)
            proof(session, held, at, kind)
        end = at + 6 * HOUR
        border = now + timedelta(seconds=cut)
        whole = seconds(session, worker, now - HOUR, max(end, border + HOUR))
        parts = seconds(session, worker, now - HOUR, border) + seconds(
            session, worker, border, max(end, border + HOUR)
        )
        assert parts == whole
        kept.rollback()


def declare(
    session: Session, worker: Person, batch: Batch | None, start: datetime, minutes: int, now: datetime
) -> Declaration:
    return worktime.declare(
        session,
        worker_id=worker.id,
        batch_id=batch.id if batch else None,
        start=start,
        end=start + timedelta(minutes=minutes),
        reason="read the guideline",
        now=now,
    )


def test_a_little_time_a_day_is_accepted_by_rule_and_more_by_people(
    session: Session, now: datetime, batch: Batch, worker: Person, held: Assignment
) -> None:
    later = now + 12 * HOUR
    assert declare(session, worker, batch, now, 10, later).accepted_by == "rule"
    assert declare(session, worker, batch, now + HOUR, 5, later).accepted_by == "rule"
    over = declare(session, worker, batch, now + 2 * HOUR, 1, later)
    assert [over.state, over.accepted_by, over.decide_by] == ["pending", "", later + timedelta(days=7)]
    # Midnight of the worker, not of the server: 21:00 UTC is another day in Nairobi.
    tomorrow = now.replace(hour=21)
    assert declare(session, worker, batch, tomorrow, 15, later + 24 * HOUR).accepted_by == "rule"
    assert seconds(session, worker, now - HOUR, now + 24 * HOUR) == 30 * 60


def test_two_hours_a_month_are_accepted_by_rule(session: Session, now: datetime, worker: Person) -> None:
    # From the 1st to the 8th of a month, a quarter of an hour each; the ninth is over two hours.
    first = datetime.fromisoformat("2026-11-01T08:00:00+03:00")
    states = [declare(session, worker, None, first + timedelta(days=day), 15, now).state for day in range(9)]
    assert states == ["accepted"] * 8 + ["pending"]


def test_time_that_was_measured_already_is_not_added_time(
    session: Session, now: datetime, batch: Batch, worker: Person, held: Assignment
) -> None:
    worktime.open_assignment(session, held, now)
    for minute in range(1, 60):
        proof(session, held, now + timedelta(minutes=minute))
    worktime.end_assignment(session, held, "submit", now + HOUR)
    one = declare(session, worker, batch, now, 70, now + 2 * HOUR)
    assert [one.added_seconds, one.state] == [600, "accepted"]
    again = declare(session, worker, batch, now, 70, now + 2 * HOUR)
    assert again.added_seconds == 0
    assert seconds(session, worker, now, now + 3 * HOUR) == 70 * 60


def test_time_that_cannot_be_added_is_refused(
    session: Session, now: datetime, batch: Batch, worker: Person
) -> None:
    later = now + 12 * HOUR
    for start, minutes in (
        (later, 5),
        (now, 0),
        (now, -5),
        (now - timedelta(days=31), 5),
        (now - 36 * HOUR, 1441),
    ):
        with pytest.raises(WrongDeclaration):
            declare(session, worker, None, start, minutes, later)
    with pytest.raises(NotServedThere):
        declare(session, worker, batch, now, 5, later)
    for reason in ("", "  ", "x" * 2001):
        with pytest.raises(WrongDeclaration):
            worktime.declare(
                session, worker_id=worker.id, batch_id=None, start=now, end=later, reason=reason, now=later
            )
    with pytest.raises(WrongDeclaration):
        worktime.declare(
            session,
            worker_id=worker.id,
            batch_id=None,
            start=now,
            end=later,
            reason="r",
            now=later,
            category=Category.A,
        )
    assert worktime.declarations_of(session, worker.id) == []


def test_a_named_person_decides_once_and_writes_why(session: Session, now: datetime, worker: Person) -> None:
    later = now + 12 * HOUR
    human = factories.organizer(session, now)
    asked = declare(session, worker, None, now, 60, later)
    assert worktime.pending(session) == [asked]
    assert seconds(session, worker, now, later) == 0
    with pytest.raises(ReasonMissing):
        worktime.decide(session, asked, human, accept=False, reason=" ", now=later)
    with pytest.raises(WrongDeclaration):
        worktime.decide(session, asked, worker, accept=True, reason="", now=later)
    refused = worktime.decide(session, asked, human, accept=False, reason="You were on leave.", now=later)
    assert [refused.state, refused.accepted_by, refused.decision_reason] == [
        "refused",
        str(human.id),
        "You were on leave.",
    ]
    with pytest.raises(AlreadyDecided):
        worktime.decide(session, asked, human, accept=True, reason="", now=later)
    other = declare(session, worker, None, now, 60, later)
    worktime.decide(session, other, human, accept=True, reason="", now=later)
    assert seconds(session, worker, now, later) == 3600


def test_silence_accepts(session: Session, now: datetime, worker: Person) -> None:
    asked = declare(session, worker, None, now, 60, now + 2 * HOUR)
    assert worktime.accept_overdue(session, asked.decide_by - timedelta(seconds=1)) == 0
    assert worktime.accept_overdue(session, asked.decide_by) == 1
    assert [asked.state, asked.accepted_by] == ["accepted", "silence"]
    assert worktime.accept_overdue(session, asked.decide_by) == 0
    (share,) = worktime.shares_of(session, worker.id, now - HOUR, now + 2 * HOUR)
    assert [share.seconds, share.category, share.batch] == [3600, Category.F, None]


def test_every_gap_says_why(session: Session, now: datetime, held: Assignment, worker: Person) -> None:
    worktime.open_assignment(session, held, now)
    proof(session, held, now + timedelta(minutes=10))
    worktime.end_assignment(session, held, "submit", now + timedelta(minutes=11))
    worktime.record(
        session, worker_id=worker.id, kind="queue_wait", now=now + timedelta(minutes=15), unit="queue"
    )
    gaps = worktime.gaps_of(session, worker.id, now, now + HOUR)
    assert [(gap.end - gap.start, gap.reason) for gap in gaps] == [
        (480, "no sign of work for longer than 120 s"),
        (240, "no work was open"),
    ]
    (inside,) = worktime.gaps_of(session, worker.id, now + timedelta(minutes=5), now + timedelta(minutes=11))
    assert inside.end - inside.start == 300
