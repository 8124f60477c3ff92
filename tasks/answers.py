"""An answer is what a worker said about an item, in versions; the newest counts, all are kept.

Submitting is idempotent by the client's submission id. Who answered and when are facts of the server. An answer is
refused only if the item was never served to that worker or if it does not fit the definition; late is never a reason.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.answers import AnswerValidator
from tasks.append_only import attach
from tasks.assignments import AssignmentState, Held, UnknownAssignment
from tasks.db import Base, rows
from tasks.errors import Conflict, Invalid
from tasks.projects import parsed_definition
from tasks.queue import enqueue_check

TYPICAL_OF: Final = 20
"""Of fewer answers a median says little."""
NEWEST: Final = 1000


class WrongAnswer(Invalid):
    """The answer does not fit the task definition."""


class SubmissionReused(Conflict):
    """This submission id was used for another answer; make a new one."""


class Answer(Base):
    """One version of one worker's answer to one item; item, batch and worker are the assignment's."""

    __tablename__ = "answer"
    __table_args__ = (
        UniqueConstraint("submission_id"),
        UniqueConstraint("assignment_id", "version"),
        Index("ix_answer_current", "item_id", postgresql_where=text("is_current")),
        Index("ix_answer_batch", "batch_id", "id", postgresql_where=text("is_current")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    submission_id: Mapped[UUID]
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"))
    item_id: Mapped[int] = mapped_column(BigInteger)
    batch_id: Mapped[UUID]
    worker_id: Mapped[UUID]
    version: Mapped[int]
    is_current: Mapped[bool]
    value: Mapped[dict[str, Any]]
    origin: Mapped[str] = mapped_column(default="human")
    submitted_at: Mapped[datetime]


class UnseenAnswer(Base):
    """An answer that no look at its item has seen yet; the look takes the row away."""

    __tablename__ = "unseen_answer"

    answer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    item_id: Mapped[int] = mapped_column(BigInteger, index=True)


STORE: Final = """
CREATE OR REPLACE FUNCTION store_answer(
    _assignment uuid, _worker uuid, _submission uuid, _value jsonb, _now timestamptz,
    OUT known boolean, OUT reused boolean, OUT first boolean, OUT surplus boolean, OUT version integer
) LANGUAGE plpgsql AS $$
DECLARE
    _held assignment;
    _answer answer;
    _id bigint;
BEGIN
    SELECT * INTO STRICT _held FROM assignment WHERE id = _assignment AND worker_id = _worker FOR UPDATE;
    SELECT * INTO _answer FROM answer WHERE submission_id = _submission;
    known := FOUND;
    IF known THEN
        reused := _answer.assignment_id <> _assignment OR _answer.value <> _value;
        surplus := _held.surplus;
        version := _answer.version;
        RETURN;
    END IF;
    first := _held.state <> 'submitted';
    surplus := submit_assignment(_assignment, _now);
    UPDATE answer SET is_current = false WHERE assignment_id = _assignment AND is_current
    RETURNING answer.version INTO version;
    version := coalesce(version, 0) + 1;
    INSERT INTO answer (submission_id, assignment_id, item_id, batch_id, worker_id, version, is_current, value,
        origin, submitted_at)
    VALUES (_submission, _assignment, _held.item_id, _held.batch_id, _worker, version, true, _value,
        'human', _now)
    RETURNING id INTO _id;
    INSERT INTO unseen_answer (answer_id, item_id) VALUES (_id, _held.item_id);
END $$"""
"""Store a checked answer under the assignment's lock: once per submission id, and as the next version."""

FACTS: Final = """
    SELECT assignment.slot_id, assignment.item_id, assignment.batch_id, assignment.state,
        batch.definition_id, item.key, item.data,
        item.gold IS NOT NULL AND item.gold_void_at IS NULL AS gold,
        EXISTS (SELECT FROM answer WHERE submission_id = %(submission)s) AS known
    FROM assignment
    JOIN batch ON batch.id = assignment.batch_id
    JOIN item ON item.id = assignment.item_id
    WHERE assignment.id = %(assignment)s AND assignment.worker_id = %(worker)s
"""

TYPICAL: Final = """
    SELECT count(*) AS answers,
        extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY ended_at - claimed_at)) AS seconds
    FROM (SELECT assignment_id FROM answer WHERE batch_id = %(batch)s AND is_current
          ORDER BY id DESC LIMIT %(newest)s) AS newest
    JOIN assignment ON assignment.id = newest.assignment_id
"""

attach(Answer.__table__, (STORE,))


class Stored(NamedTuple):
    """What became of a submission: the version it made, or was before; `first` if it ended the assignment.

    `gold` says that the item has a known answer.
    """

    assignment: Held
    version: int
    duplicate: bool
    first: bool
    surplus: bool
    gold: bool


def submit(
    session: Session,
    *,
    assignment_id: UUID,
    worker_id: UUID,
    submission_id: UUID,
    value: dict[str, Any],
    now: datetime,
) -> Stored:
    """Store an answer once. Raises UnknownAssignment, WrongAnswer with all problems, or SubmissionReused."""
    found = rows(session, FACTS, assignment=assignment_id, worker=worker_id, submission=submission_id)
    if not found:
        raise UnknownAssignment
    facts = found[0]
    if not facts.known:
        _check_value(session, facts.definition_id, facts.data, value)
    try:
        (stored,) = rows(
            session,
            "SELECT * FROM store_answer(%(assignment)s, %(worker)s, %(submission)s, %(value)s, %(now)s)",
            assignment=assignment_id,
            worker=worker_id,
            submission=submission_id,
            value=value,
            now=now,
        )
    except UniqueViolation as problem:
        if (
            problem.diag.constraint_name == "uq_answer_submission_id"
        ):  # at this moment, for another assignment
            raise SubmissionReused from None
        raise
    if stored.reused:
        raise SubmissionReused
    state = facts.state if stored.known else AssignmentState.SUBMITTED
    held = Held(
        assignment_id,
        facts.slot_id,
        facts.item_id,
        facts.batch_id,
        worker_id,
        facts.key,
        facts.data,
        state,
    )
    if not stored.known:
        enqueue_check(session, facts.item_id)
    return Stored(held, stored.version, bool(stored.known), bool(stored.first), stored.surplus, facts.gold)


def see(session: Session, item_ids: Sequence[int]) -> None:
    """Note that a look at these items is under way; what is stored from now on it may not see.

    To be called before the answers are read: what is not visible yet keeps its row, and a sweep finds it.
    """
    session.execute(delete(UnseenAnswer).where(UnseenAnswer.item_id.in_(item_ids)))


def unseen_items(session: Session, limit: int = 1000) -> list[int]:
    """Give items with answers that no look has seen, the earliest first."""
    earliest = func.min(UnseenAnswer.answer_id)
    query = select(UnseenAnswer.item_id).group_by(UnseenAnswer.item_id).order_by(earliest)
    return list(session.scalars(query.limit(limit)))


def answers_to(session: Session, item_ids: Sequence[int]) -> dict[int, list[Answer]]:
    """Give the current answers to each of these items, in the order of their coming."""
    found: dict[int, list[Answer]] = {item_id: [] for item_id in item_ids}
    query = select(Answer).where(Answer.item_id.in_(item_ids), Answer.is_current).order_by(Answer.id)
    for answer in session.scalars(query.execution_options(populate_existing=True)):
        found[answer.item_id].append(answer)
    return found


def typical_seconds(session: Session, batch_id: UUID) -> int | None:
    """Give how long a batch's newest answers took from claim to end, in the middle; None of fewer than twenty."""
    (found,) = rows(session, TYPICAL, batch=batch_id, newest=NEWEST)
    return round(found.seconds) if found.answers >= TYPICAL_OF else None


def current_answer(session: Session, assignment_id: UUID) -> Answer | None:
    """Give an assignment's newest answer."""
    return session.scalar(select(Answer).where(Answer.assignment_id == assignment_id, Answer.is_current))


def _check_value(session: Session, definition_id: UUID, data: dict[str, Any], value: dict[str, Any]) -> None:
    problems = AnswerValidator(parsed_definition(session, definition_id)).problems(value, data)
    if problems:
        raise WrongAnswer(problems=[one.as_json() for one in problems])
