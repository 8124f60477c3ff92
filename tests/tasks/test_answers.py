"""An answer is stored once, late is no reason to refuse it, and identity is the server's."""

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from factories import served
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from tasks import answers, assignments
from tasks.answers import Answer, SubmissionReused, WrongAnswer
from tasks.assignments import AssignmentState, UnknownAssignment
from tasks.db import transaction

POSITIVE = {"sentiment": "positive"}
NEGATIVE = {"sentiment": "negative"}


def submit(
    session: Session, held: Any, value: dict[str, Any], now: datetime, submission: UUID | None = None
) -> Any:
    return answers.submit(
        session,
        assignment_id=held.id,
        worker_id=held.worker_id,
        submission_id=submission or uuid4(),
        value=value,
        now=now,
    )


def test_the_same_submission_twice_is_one_answer(session: Session, now: datetime) -> None:
    (held,) = factories.claim(session, served(session, now), factories.worker(session, now).id, now)
    submission = uuid4()
    first = submit(session, held, POSITIVE, now, submission)
    second = submit(session, held, POSITIVE, now, submission)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.version == second.version
    assert session.scalar(select(func.count()).where(Answer.assignment_id == held.id)) == 1


def test_a_submission_id_is_for_one_answer(session: Session, now: datetime) -> None:
    (held,) = factories.claim(session, served(session, now), factories.worker(session, now).id, now)
    submission = uuid4()
    submit(session, held, POSITIVE, now, submission)
    with pytest.raises(SubmissionReused):
        submit(session, held, NEGATIVE, now, submission)


def test_a_change_is_a_new_version_and_one_vote(session: Session, now: datetime) -> None:
    (held,) = factories.claim(session, served(session, now), factories.worker(session, now).id, now)
    submit(session, held, POSITIVE, now)
    changed = submit(session, held, NEGATIVE, now)
    assert changed.version == 2
    assert not changed.first
    assert [one.value for one in answers.answers_to(session, [held.item_id])[held.item_id]] == [NEGATIVE]


def test_a_late_answer_takes_its_slot_back_if_it_is_free(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    (held,) = factories.claim(session, batch, factories.worker(session, now).id, now)
    later = now + timedelta(days=2)
    assignments.expire(session, later)
    stored = submit(session, held, POSITIVE, later)
    assert stored.assignment.state == AssignmentState.SUBMITTED
    assert not stored.surplus


def test_a_late_answer_is_kept_as_surplus_if_its_slot_is_gone(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    (held,) = factories.claim(session, batch, factories.worker(session, now).id, now)
    later = now + timedelta(days=2)
    assignments.expire(session, later)
    (other,) = factories.claim(session, batch, factories.worker(session, now).id, later)
    submit(session, other, POSITIVE, later)
    stored = submit(session, held, POSITIVE, later)
    assert stored.surplus
    assert len(answers.answers_to(session, [held.item_id])[held.item_id]) == 2


def test_nobody_answers_what_was_not_served_to_them(session: Session, now: datetime) -> None:
    (held,) = factories.claim(session, served(session, now), factories.worker(session, now).id, now)
    with pytest.raises(UnknownAssignment):
        answers.submit(
            session,
            assignment_id=held.id,
            worker_id=factories.worker(session, now).id,
            submission_id=uuid4(),
            value=POSITIVE,
            now=now,
        )


@pytest.mark.parametrize("value", [{}, {"sentiment": "grumpy"}, {"sentiment": "positive", "more": 1}])
def test_a_wrong_answer_names_its_problems_and_stores_nothing(
    session: Session, now: datetime, value: dict[str, Any]
) -> None:
    (held,) = factories.claim(session, served(session, now), factories.worker(session, now).id, now)
    with pytest.raises(WrongAnswer) as caught:
        submit(session, held, value, now)
    assert caught.value.details["problems"][0]["message"]
    assert session.scalar(select(func.count()).where(Answer.assignment_id == held.id)) == 0
    assert held.state == AssignmentState.LEASED


def test_ten_callers_with_one_submission_store_one_answer(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        (held,) = factories.claim(session, served(session, now), factories.worker(session, now).id, now)
    submission, seen = uuid4(), []

    def call() -> None:
        with transaction(engine) as session:
            seen.append(submit(session, held, POSITIVE, now, submission).duplicate)

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [False] + [True] * 9
