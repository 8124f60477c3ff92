"""Many at once on a real server: two hundred claimers, doubled and crossed submissions, a close in between."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import factories
import pytest
from sqlalchemy import Engine, create_engine, select

from tasks import answers, assignments, batches
from tasks.answers import Answer, SubmissionReused
from tasks.assignments import Assignment, AssignmentState
from tasks.batches import Batch
from tasks.claims import BatchNotServed
from tasks.db import transaction
from tasks.items import SlotState

CLAIMERS = 200
ITEMS = 10
THREADS = 40

Given = TypeVar("Given")
Done = TypeVar("Done")


@pytest.fixture
def wide(engine: Engine) -> Iterator[Engine]:
    """As many connections as there are threads."""
    made = create_engine(engine.url, pool_size=THREADS, max_overflow=0)
    yield made
    made.dispose()


def at_once(step: Callable[[Given], Done], given: list[Given]) -> list[Done]:
    """Do a step for all that is given, in many threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(step, given))


def crowd(engine: Engine, now: datetime, **more: Any) -> tuple[UUID, list[UUID]]:
    """An open batch and two hundred workers."""
    with transaction(engine) as session:
        batch = factories.served(session, now, items=ITEMS, answers_wanted=3, **more)
        return batch.id, [factories.worker(session, now).id for _ in range(CLAIMERS)]


def claimed(engine: Engine, batch_id: UUID, worker_id: UUID, now: datetime) -> list[Assignment]:
    """Claim one item; a closed batch gives none."""
    try:
        with transaction(engine) as session:
            return factories.claim(session, session.get_one(Batch, batch_id), worker_id, now)
    except BatchNotServed:
        return []


def sent(engine: Engine, held: Assignment, submission: UUID, now: datetime) -> str:
    """Send an answer and say how it ended."""
    try:
        with transaction(engine) as session:
            stored = answers.submit(
                session,
                assignment_id=held.id,
                worker_id=held.worker_id,
                submission_id=submission,
                value=factories.ANSWER,
                now=now,
            )
            return "duplicate" if stored.duplicate else "stored"
    except SubmissionReused:
        return "reused"


def test_two_hundred_claimers_share_ten_items_and_every_answer_counts_once(
    wide: Engine, now: datetime
) -> None:
    batch_id, workers = crowd(wide, now)
    held = [one for got in at_once(lambda who: claimed(wide, batch_id, who, now), workers) for one in got]
    assert len(held) == len({one.slot_id for one in held}) == 3 * ITEMS
    assert len({(one.item_id, one.worker_id) for one in held}) == len(held)
    assert set(Counter(one.item_id for one in held).values()) == {3}
    thrice = [(one, submission) for one in held for submission in [uuid4()] * 3]
    ends = at_once(lambda pair: sent(wide, *pair, now), thrice)
    assert Counter(ends) == {"stored": len(held), "duplicate": 2 * len(held)}
    with transaction(wide) as session:
        stored = session.scalars(select(Answer.assignment_id).where(Answer.batch_id == batch_id)).all()
        assert sorted(stored) == sorted(one.id for one in held)
        assert batches.slot_counts(session, [batch_id])[batch_id][SlotState.ANSWERED] == len(held)


def test_one_submission_id_for_many_assignments_at_once_is_stored_for_one(
    wide: Engine, now: datetime
) -> None:
    batch_id, workers = crowd(wide, now)
    held = [one for worker in workers[:20] for one in claimed(wide, batch_id, worker, now)]
    submission = uuid4()
    ends = Counter(at_once(lambda one: sent(wide, one, submission, now), held))
    assert ends == {"stored": 1, "reused": len(held) - 1}
    with transaction(wide) as session:
        submitted = select(Assignment).where(
            Assignment.batch_id == batch_id, Assignment.state == AssignmentState.SUBMITTED
        )
        assert len(session.scalars(submitted).all()) == 1


def test_edits_at_once_leave_one_current_answer(wide: Engine, now: datetime) -> None:
    batch_id, workers = crowd(wide, now)
    (held,) = claimed(wide, batch_id, workers[0], now)
    ends = at_once(lambda submission: sent(wide, held, submission, now), [uuid4() for _ in range(20)])
    assert set(ends) == {"stored"}
    with transaction(wide) as session:
        found = session.scalars(
            select(Answer).where(Answer.assignment_id == held.id).order_by(Answer.version)
        ).all()
    assert [one.version for one in found] == list(range(1, 21))
    assert [one.is_current for one in found] == [False] * 19 + [True]


def test_a_close_among_claims_and_expiries_leaves_slots_and_assignments_in_step(
    wide: Engine, now: datetime
) -> None:
    batch_id, workers = crowd(wide, now, lease_seconds=60)
    later = now.replace(hour=now.hour + 1)

    def step(number: int) -> list[Assignment]:
        if number == 60:
            with transaction(wide) as session:
                batches.close_batch(session, batches.lock_batch(session, batch_id), now)
            return []
        if number % 10 == 9:
            with transaction(wide) as session:
                assignments.expire(session, later)
            return []
        return claimed(wide, batch_id, workers[number], now)

    held = [one for got in at_once(step, list(range(120))) for one in got]
    assert held
    ends = at_once(lambda one: sent(wide, one, uuid4(), later), held)
    assert set(ends) == {"stored"}
    with transaction(wide) as session:
        counted = select(Assignment.slot_id).where(
            Assignment.batch_id == batch_id,
            Assignment.state == AssignmentState.SUBMITTED,
            Assignment.surplus.is_(False),
        )
        kept = session.scalars(counted).all()
        counts = batches.slot_counts(session, [batch_id])[batch_id]
    assert len(kept) == len(set(kept)) == counts[SlotState.ANSWERED]
    assert counts[SlotState.LEASED] == 0
