"""Slots, assignments and answers whatever comes in whatever order: what must always hold, holds after every step."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from payments import earnings
from payments.earnings import Earning
from tasks import assignments
from tasks.answers import Answer, SubmissionReused, WrongAnswer, submit
from tasks.assignments import (
    SKIP_REASONS,
    AlreadyAnswered,
    Assignment,
    AssignmentState,
    UnknownAssignment,
)
from tasks.batches import BatchState, close_batch, get_batch, open_batch, pause_batch
from tasks.claims import BatchNotServed
from tasks.items import Slot, SlotState

NOW = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
WORKERS = 4
MOODS = st.sampled_from(["positive", "neutral", "negative"])
who = st.integers(0, WORKERS - 1)
which = st.integers(0, 30)


class Work(RuleBasedStateMachine):
    """A funded batch of three items, three answers each, and four workers who do as they like."""

    connection: Connection
    batch_id: UUID
    workers: list[UUID]

    def __init__(self) -> None:
        super().__init__()
        self.outer = self.connection.begin_nested()
        mode: Any = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
        self.session = Session(self.connection, **mode)
        self.now = NOW
        self.batch = get_batch(self.session, self.batch_id)
        self.sent: dict[UUID, tuple[UUID, UUID, dict[str, Any]]] = {}
        self.versions: Counter[UUID] = Counter()

    def teardown(self) -> None:
        self.session.close()
        self.outer.rollback()

    def one(self, number: int) -> Assignment | None:
        """Choose among the assignments that there are."""
        known = self.session.scalars(select(Assignment).order_by(Assignment.id)).all()
        return known[number % len(known)] if known else None

    def refused(self, error: type[Exception], step: Callable[[], object]) -> None:
        """See a step refused."""
        with pytest.raises(error), self.session.begin_nested():
            step()

    def answered(
        self, held: Assignment, submission: UUID, value: dict[str, Any], worker: UUID | None = None
    ) -> Any:
        """Send an answer."""
        return submit(
            self.session,
            assignment_id=held.id,
            worker_id=worker or held.worker_id,
            submission_id=submission,
            value=value,
            now=self.now,
        )

    @rule(worker=who, count=st.integers(1, 3))
    def claim(self, worker: int, count: int) -> None:
        mine = self.workers[worker]
        before = assignments.held_by(self.session, self.batch.id, mine, self.now)
        if self.batch.state != BatchState.OPEN and not before:
            self.refused(
                BatchNotServed, lambda: factories.claim(self.session, self.batch, mine, self.now, count)
            )
            return
        got = factories.claim(self.session, self.batch, mine, self.now, count)
        assert [one.id for one in got][: len(before)] == [one.id for one in before][:count]
        assert {one.worker_id for one in got} <= {mine}

    @rule(number=which, mood=MOODS)
    def answer(self, number: int, mood: str) -> None:
        held = self.one(number)
        if held is None:
            return
        submission, value = uuid4(), {"sentiment": mood}
        stored = self.answered(held, submission, value)
        self.versions[held.id] += 1
        assert (stored.duplicate, stored.version) == (False, self.versions[held.id])
        self.sent[submission] = (held.id, held.worker_id, value)

    @precondition(lambda self: self.sent)
    @rule(number=which)
    def answer_again(self, number: int) -> None:
        submission, (assignment_id, _, value) = list(self.sent.items())[number % len(self.sent)]
        held = self.session.get_one(Assignment, assignment_id)
        assert self.answered(held, submission, value).duplicate
        other = {"sentiment": "positive" if value["sentiment"] != "positive" else "negative"}
        self.refused(SubmissionReused, lambda: self.answered(held, submission, other))

    @rule(number=which, worker=who)
    def answer_for_somebody_else(self, number: int, worker: int) -> None:
        held, mine = self.one(number), self.workers[worker]
        if held is not None and held.worker_id != mine:
            value = {"sentiment": "positive"}
            self.refused(UnknownAssignment, lambda: self.answered(held, uuid4(), value, mine))

    @rule(
        number=which, value=st.sampled_from([{}, {"sentiment": "joy"}, {"sentiment": "positive", "more": 1}])
    )
    def answer_what_does_not_fit(self, number: int, value: dict[str, Any]) -> None:
        held = self.one(number)
        if held is not None:
            self.refused(WrongAnswer, lambda: self.answered(held, uuid4(), value))

    @rule(number=which, reason=st.sampled_from(SKIP_REASONS))
    def skip(self, number: int, reason: str) -> None:
        held = self.one(number)
        if held is None:
            return
        if held.state == AssignmentState.SUBMITTED:
            self.refused(AlreadyAnswered, lambda: assignments.skip(self.session, held, reason, self.now))
        else:
            known = held.state == AssignmentState.SKIPPED
            assert assignments.skip(self.session, held, reason, self.now) != known

    @rule(number=which)
    def give_back(self, number: int) -> None:
        held = self.one(number)
        if held is not None:
            running = held.state == AssignmentState.LEASED
            assert assignments.give_back(self.session, held, self.now) == running

    @rule(number=which)
    def renew(self, number: int) -> None:
        held = self.one(number)
        if held is not None:
            assignments.renew(self.session, held, self.now)

    @rule(seconds=st.integers(1, 90))
    def expire(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        for one in assignments.expire(self.session, self.now):
            assert one.state == AssignmentState.EXPIRED

    @rule()
    def sweep(self) -> None:
        earnings.sweep(self.session, self.now)
        ended = select(Assignment.id).where(Assignment.state != AssignmentState.LEASED)
        assert Counter(self.session.scalars(select(Earning.assignment_id))) == Counter(
            self.session.scalars(ended)
        )

    @rule(step=st.sampled_from(["pause", "open", "close", "", "", ""]))
    def steer(self, step: str) -> None:
        if self.batch.state == BatchState.CLOSED or not step:
            return
        if step == "close":
            close_batch(self.session, self.batch, self.now)
        elif step == "pause":
            pause_batch(self.session, self.batch, "by hand")
        else:
            open_batch(self.session, self.batch, self.now)

    @invariant()
    def nobody_has_an_item_twice(self) -> None:
        pairs = self.session.execute(select(Assignment.item_id, Assignment.worker_id)).all()
        assert len(pairs) == len(set(pairs))

    @invariant()
    def a_slot_is_what_its_assignments_say(self) -> None:
        self.session.flush()
        found = self.session.execute(select(Assignment.slot_id, Assignment.state, Assignment.surplus)).all()
        leased = Counter(slot for slot, state, _ in found if state == AssignmentState.LEASED)
        counted = Counter(
            slot for slot, state, more in found if state == AssignmentState.SUBMITTED and not more
        )
        slots = {slot: state for slot, state in self.session.execute(select(Slot.id, Slot.state))}  # noqa: C416
        assert leased == Counter(one for one, state in slots.items() if state == SlotState.LEASED)
        assert counted == Counter(one for one, state in slots.items() if state == SlotState.ANSWERED)

    @invariant()
    def what_was_acknowledged_is_stored_once(self) -> None:
        stored = self.session.execute(
            select(Answer.submission_id, Answer.assignment_id, Answer.worker_id, Answer.value)
        )
        assert {one[0]: tuple(one[1:]) for one in stored} == self.sent
        current = self.session.execute(select(Answer.assignment_id, Answer.version).where(Answer.is_current))
        assert sorted(current.all()) == sorted(self.versions.items())
        submitted = select(Assignment.id).where(Assignment.state == AssignmentState.SUBMITTED)
        assert set(self.session.scalars(submitted)) == set(self.versions)


def test_what_must_hold_holds_after_every_step(connection: Connection, session: Session) -> None:
    factories.floors(session, NOW)
    batch = factories.opened_batch(session, NOW, items=3, answers_wanted=3, lease_seconds=60)
    workers = [factories.worker(session, NOW).id for _ in range(WORKERS)]
    session.commit()
    given = {"connection": connection, "batch_id": batch.id, "workers": workers}
    run_state_machine_as_test(
        type("WorkHere", (Work,), given),
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
