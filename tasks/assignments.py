"""An assignment is one worker's hold on one slot; its lease is a time limit after which the slot is offered again.

A worker never holds two slots of one item: the database says so. A lease that ends frees the slot and nothing else:
the worker may still answer, and what was done is kept. How a slot comes into somebody's hands stands in
`tasks/claims.py`.

A skip ends an assignment without an answer, in one of three ways: the item is offered to others, it comes back to the
same worker at the end, or it is broken and goes to the requester. What is put off keeps its row, so that nobody ever
holds an item twice.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.problems import visible
from tasks.append_only import attach
from tasks.batches import Batch, BatchState
from tasks.db import Base, new_id, rows
from tasks.errors import Conflict, Invalid, NotFound
from tasks.items import Item, Slot, SlotState, mark_broken

SKIP_REASONS = ("unclear", "too_hard", "upsetting", "broken", "other")
NOTE_CHARACTERS = 300


class UnknownAssignment(NotFound):
    """This was never served to you."""


class AlreadyAnswered(Conflict):
    """You answered this already; send a new answer to change it."""


class UnknownSkipReason(Invalid):
    """Say why with one of: unclear, too_hard, upsetting, broken, other."""


class AssignmentState(StrEnum):
    """Where an assignment stands."""

    LEASED = "leased"
    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    RETURNED = "returned"
    EXPIRED = "expired"


class SkipOutcome(StrEnum):
    """What becomes of an item that a worker skips."""

    OTHERS = "others"
    LATER = "later"
    BROKEN = "broken"


class Assignment(Base):
    """One worker's hold on one slot; `outcome`, `reason` and `note` say how and why it was skipped last."""

    __tablename__ = "assignment"
    __table_args__ = (
        UniqueConstraint("item_id", "worker_id"),
        Index("ix_assignment_lease", "lease_until", postgresql_where=text("state = 'leased'")),
        Index("ix_assignment_worker", "worker_id", "batch_id", "state"),
        Index("ix_assignment_held", "worker_id", "batch_id", "id", postgresql_where=text("state = 'leased'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slot_id: Mapped[int] = mapped_column(ForeignKey("slot.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    batch_id: Mapped[UUID] = mapped_column(index=True)
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str] = mapped_column(default=AssignmentState.LEASED)
    surplus: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(default="")
    outcome: Mapped[str] = mapped_column(default="", server_default="")
    note: Mapped[str] = mapped_column(default="", server_default="")
    claimed_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]


PUT_OFF: Final[ColumnElement[bool]] = and_(
    Assignment.state == AssignmentState.SKIPPED, Assignment.outcome == SkipOutcome.LATER
)
"""Skipped, and to come back to the same worker."""

RENEW: Final = """
    UPDATE assignment SET lease_until = %(now)s + make_interval(secs => batch.lease_seconds)
    FROM batch
    WHERE assignment.id = %(id)s AND batch.id = assignment.batch_id AND assignment.state = 'leased'
        AND lease_until < %(now)s + make_interval(secs => batch.lease_seconds - 60)
"""
"""Activity lengthens a lease, but not with every sign of it: a minute's difference is not worth a write."""

SUBMIT: Final = """
CREATE OR REPLACE FUNCTION submit_assignment(_assignment uuid, _now timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    _held assignment;
    _taken boolean;
BEGIN
    SELECT * INTO _held FROM assignment WHERE id = _assignment FOR UPDATE;
    IF _held.state = 'submitted' THEN
        RETURN _held.surplus;
    END IF;
    UPDATE slot SET state = 'answered'
    WHERE id = _held.slot_id AND state = CASE _held.state WHEN 'leased' THEN 'leased' ELSE 'open' END;
    _taken := FOUND;
    UPDATE assignment SET state = 'submitted', surplus = NOT _taken, ended_at = _now WHERE id = _assignment;
    RETURN NOT _taken;
END $$"""
"""End an assignment with its answer; tells whether the slot had gone to somebody else meanwhile."""

attach(Assignment.__table__, (SUBMIT,))


class Assigned(Protocol):
    """What time and pay need to know of an assignment: a row, or one in hand."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def batch_id(self) -> UUID:
        """Whose work it is."""

    @property
    def worker_id(self) -> UUID:
        """Whose hold it is."""

    @property
    def state(self) -> str:
        """Where it stands."""


class Held(NamedTuple):
    """An assignment in hand with its item; `fresh` if it was claimed just now."""

    id: UUID
    slot_id: int
    item_id: int
    batch_id: UUID
    worker_id: UUID
    key: str
    data: dict[str, Any]
    state: str = AssignmentState.LEASED
    fresh: bool = False


def held_by(session: Session, batch_id: UUID, worker_id: UUID, now: datetime) -> list[Assignment]:
    """Give what the worker holds of a batch under a running lease, the oldest first."""
    query = (
        select(Assignment)
        .where(
            Assignment.batch_id == batch_id,
            Assignment.worker_id == worker_id,
            Assignment.state == AssignmentState.LEASED,
            Assignment.lease_until > now,
        )
        .order_by(Assignment.id)
    )
    return list(session.scalars(query))


def own(session: Session, assignment_id: UUID, worker_id: UUID) -> Assignment:
    """Fetch and lock a worker's own assignment. Raises UnknownAssignment for anybody else's."""
    found = session.scalar(
        select(Assignment)
        .where(Assignment.id == assignment_id, Assignment.worker_id == worker_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise UnknownAssignment
    return found


def renew(session: Session, assignment: Assigned, now: datetime) -> None:
    """Lengthen a running lease because the worker is at it."""
    rows(session, RENEW, id=assignment.id, now=now)


def skip(
    session: Session,
    assignment: Assignment,
    reason: str,
    now: datetime,
    outcome: str = SkipOutcome.OTHERS,
    note: str = "",
) -> bool:
    """End an assignment without an answer; `note` says in the worker's words what is broken. Tells of a change.

    A skip sent twice is one skip. Raises UnknownSkipReason, or AlreadyAnswered.
    """
    if reason not in SKIP_REASONS or outcome not in set(SkipOutcome):
        raise UnknownSkipReason
    if assignment.state == AssignmentState.SKIPPED:
        return False
    if assignment.state == AssignmentState.SUBMITTED:
        raise AlreadyAnswered
    assignment.outcome = outcome
    assignment.note = visible(note.strip())[:NOTE_CHARACTERS]
    _end(session, assignment, AssignmentState.SKIPPED, reason, now)
    if outcome == SkipOutcome.BROKEN:
        mark_broken(session, assignment.item_id, now)
    return True


def give_back(session: Session, assignment: Assignment, now: datetime) -> bool:
    """Return an assignment unanswered. Tells whether anything changed."""
    if assignment.state != AssignmentState.LEASED:
        return False
    _end(session, assignment, AssignmentState.RETURNED, "", now)
    return True


def expire(session: Session, now: datetime, limit: int = 1000) -> list[Assignment]:
    """End the leases that have run out and free their slots; others' locks are passed over."""
    late = session.scalars(
        select(Assignment)
        .where(Assignment.state == AssignmentState.LEASED, Assignment.lease_until <= now)
        .order_by(Assignment.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for assignment in late:
        _end(session, assignment, AssignmentState.EXPIRED, "", now)
    return list(late)


def done_by(session: Session, batch_id: UUID, worker_id: UUID) -> int:
    """Count the worker's answered assignments of a batch."""
    query = select(func.count()).where(
        Assignment.batch_id == batch_id,
        Assignment.worker_id == worker_id,
        Assignment.state == AssignmentState.SUBMITTED,
    )
    return session.scalar(query) or 0


def broken_reports(session: Session, items: Iterable[Item]) -> dict[int, list[Assignment]]:
    """Give the skips of broken items by which each was reported since it was last mended, the first first."""
    since = {item.id: item.broken_at for item in items}
    query = select(Assignment).where(Assignment.item_id.in_(since), Assignment.outcome == SkipOutcome.BROKEN)
    found: dict[int, list[Assignment]] = {item_id: [] for item_id in since}
    for one in session.scalars(query.order_by(Assignment.ended_at, Assignment.id)):
        broken_at = since[one.item_id]
        if broken_at is not None and one.ended_at is not None and one.ended_at >= broken_at:
            found[one.item_id].append(one)
    return found


def _end(
    session: Session, assignment: Assignment, state: AssignmentState, reason: str, now: datetime
) -> None:
    if assignment.state == AssignmentState.LEASED:
        closed = select(Batch.id).where(Batch.id == assignment.batch_id, Batch.state == BatchState.CLOSED)
        broken = select(Item.id).where(Item.id == assignment.item_id, Item.broken_at.is_not(None))
        over = session.scalar(select(closed.exists() | broken.exists()))
        still_wanted = SlotState.WITHDRAWN if over else SlotState.OPEN
        session.execute(
            update(Slot)
            .where(Slot.id == assignment.slot_id, Slot.state == SlotState.LEASED)
            .values(state=still_wanted)
        )
    assignment.state = state
    assignment.reason = reason
    assignment.ended_at = now
    session.flush()
