"""An answer is what a worker said about an item, in versions; the newest counts, all are kept.

Submitting is idempotent by the client's submission id. Who answered and when are facts of the server. An answer is
refused only if the item was never served to that worker or if it does not fit the definition; late is never a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.answers import AnswerValidator
from tasks.assignments import Assignment, AssignmentState, own, take_slot
from tasks.batches import Batch
from tasks.db import Base
from tasks.errors import Conflict, Invalid
from tasks.items import Item
from tasks.projects import Definition
from tasks.queue import enqueue


class WrongAnswer(Invalid):
    """The answer does not fit the task definition."""


class SubmissionReused(Conflict):
    """This submission id was used for another answer; make a new one."""


class Answer(Base):
    """One version of one worker's answer to one item."""

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
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    version: Mapped[int]
    is_current: Mapped[bool]
    value: Mapped[dict[str, Any]]
    origin: Mapped[str] = mapped_column(default="human")
    submitted_at: Mapped[datetime]


@dataclass(frozen=True)
class Stored:
    """What became of a submission: the answer, whether it was stored before, and whether it ended the assignment."""

    answer: Answer
    assignment: Assignment
    duplicate: bool
    first: bool


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
    assignment = own(session, assignment_id, worker_id)
    known = session.scalar(select(Answer).where(Answer.submission_id == submission_id))
    if known is not None:
        if known.assignment_id != assignment_id or known.value != value:
            raise SubmissionReused
        return Stored(known, assignment, duplicate=True, first=False)
    _check_value(session, assignment, value)
    first = assignment.state != AssignmentState.SUBMITTED
    if first:
        assignment.surplus = not take_slot(session, assignment)
        assignment.state = AssignmentState.SUBMITTED
        assignment.ended_at = now
    answer = _add_version(session, assignment, submission_id, value, now)
    enqueue(session, "tasks.check_items", [assignment.item_id])
    return Stored(answer, assignment, duplicate=False, first=first)


def answers_to(session: Session, item_ids: Sequence[int]) -> dict[int, list[Answer]]:
    """Give the current answers to each of these items, in the order of their coming."""
    found: dict[int, list[Answer]] = {item_id: [] for item_id in item_ids}
    query = select(Answer).where(Answer.item_id.in_(item_ids), Answer.is_current).order_by(Answer.id)
    for answer in session.scalars(query.execution_options(populate_existing=True)):
        found[answer.item_id].append(answer)
    return found


def current_answer(session: Session, assignment_id: UUID) -> Answer | None:
    """Give an assignment's newest answer."""
    return session.scalar(select(Answer).where(Answer.assignment_id == assignment_id, Answer.is_current))


def _check_value(session: Session, assignment: Assignment, value: dict[str, Any]) -> None:
    definition_id = session.scalar(select(Batch.definition_id).where(Batch.id == assignment.batch_id))
    definition = session.get_one(Definition, definition_id)
    data = session.scalar(select(Item.data).where(Item.id == assignment.item_id)) or {}
    problems = AnswerValidator(definition.parsed()).problems(value, data)
    if problems:
        raise WrongAnswer(problems=[one.as_json() for one in problems])


def _add_version(
    session: Session, assignment: Assignment, submission_id: UUID, value: dict[str, Any], now: datetime
) -> Answer:
    before = session.execute(
        update(Answer)
        .where(Answer.assignment_id == assignment.id, Answer.is_current)
        .values(is_current=False)
        .returning(Answer.version)
    ).scalar()
    answer = Answer(
        submission_id=submission_id,
        assignment_id=assignment.id,
        item_id=assignment.item_id,
        batch_id=assignment.batch_id,
        worker_id=assignment.worker_id,
        version=(before or 0) + 1,
        is_current=True,
        value=value,
        origin="human",
        submitted_at=now,
    )
    session.add(answer)
    try:
        session.flush()
    except IntegrityError as problem:
        if "uq_answer_submission_id" in str(problem.orig):  # at this moment, for another assignment
            raise SubmissionReused from None
        raise
    return answer
