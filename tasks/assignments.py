"""An assignment is one worker's hold on one slot; its lease is a time limit after which the slot is offered again.

A worker never holds two slots of one item: the database says so. A lease that ends frees the slot and nothing else:
the worker may still answer, and what was done is kept. Claims take the first open slot behind a random place in the
stored order and pass over those that others hold at that moment.

A skip ends an assignment without an answer, in one of three ways: the item is offered to others, it comes back to the
same worker at the end, or it is broken and goes to the requester. What is put off keeps its row, so that nobody ever
holds an item twice.
"""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
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
from tasks.batches import Batch, BatchState
from tasks.db import Base, new_id
from tasks.errors import Conflict, Invalid, NotFound
from tasks.items import ORDER_KEYS, Item, Slot, SlotState, mark_broken

SKIP_REASONS = ("unclear", "too_hard", "upsetting", "broken", "other")
NOTE_CHARACTERS = 300
HELD_MAX = 10


class UnknownAssignment(NotFound):
    """This was never served to you."""


class BatchNotServed(Conflict):
    """This batch is not open at the moment."""


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
        Index("ix_assignment_held", "worker_id", "batch_id", "state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slot_id: Mapped[int] = mapped_column(ForeignKey("slot.id"), index=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), index=True)
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

CLAIM = text("""
    WITH chosen AS (
        SELECT slot.id, slot.item_id
        FROM slot
        WHERE slot.batch_id = :batch AND slot.state = 'open' AND slot.order_key >= :place
          AND NOT EXISTS (SELECT FROM assignment
                          WHERE assignment.item_id = slot.item_id AND assignment.worker_id = :worker)
        ORDER BY slot.order_key, slot.id
        LIMIT 1
        FOR UPDATE OF slot SKIP LOCKED
    ), leased AS (
        UPDATE slot SET state = 'leased' FROM chosen WHERE slot.id = chosen.id
    )
    INSERT INTO assignment
        (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until)
    SELECT :id, chosen.id, chosen.item_id, :batch, :worker, 'leased', false, '', :now, :until FROM chosen
    RETURNING id
""")


def claim(session: Session, batch: Batch, worker_id: UUID, now: datetime, count: int = 1) -> list[Assignment]:
    """Give the worker up to `count` assignments in hand: those held already first, then new ones.

    Raises BatchNotServed when nothing is held and the batch is not open.
    """
    # One worker's claims queue up, so that two tabs cannot choose two copies of the same item.
    session.execute(select(func.pg_advisory_xact_lock(worker_id.int & (2**63 - 1))))
    count = min(count, HELD_MAX)
    held = held_by(session, batch.id, worker_id, now)[:count]
    if batch.state != BatchState.OPEN:
        if not held:
            raise BatchNotServed(batch.pause_reason or None)
        return held
    while len(held) < count:
        found = _claim_one(session, batch, worker_id, now)
        if found is None:
            break
        held.append(found)
    return held + _take_again(session, batch, worker_id, now, count - len(held))


def claim_item(
    session: Session, batch: Batch, item_key: str, worker_id: UUID, now: datetime
) -> Assignment | None:
    """Give the worker a slot of one named item, for recorded work that is played again; None if none is open."""
    session.execute(select(func.pg_advisory_xact_lock(worker_id.int & (2**63 - 1))))
    item_id = session.scalar(select(Item.id).where(Item.batch_id == batch.id, Item.key == item_key))
    known = session.scalar(
        select(Assignment).where(Assignment.item_id == item_id, Assignment.worker_id == worker_id)
    )
    if known is not None or item_id is None or batch.state != BatchState.OPEN:
        return known
    slot = session.scalar(
        select(Slot)
        .where(Slot.item_id == item_id, Slot.state == SlotState.OPEN)
        .order_by(Slot.copy)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if slot is None:
        return None
    slot.state = SlotState.LEASED
    assignment = Assignment(
        slot_id=slot.id,
        item_id=slot.item_id,
        batch_id=batch.id,
        worker_id=worker_id,
        state=AssignmentState.LEASED,
        surplus=False,
        reason="",
        claimed_at=now,
        lease_until=now + timedelta(seconds=batch.lease_seconds),
    )
    session.add(assignment)
    session.flush()
    return assignment


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


def renew(session: Session, assignment: Assignment, now: datetime) -> None:
    """Lengthen a running lease because the worker is at it."""
    if assignment.state == AssignmentState.LEASED:
        seconds = session.scalar(select(Batch.lease_seconds).where(Batch.id == assignment.batch_id)) or 0
        assignment.lease_until = max(assignment.lease_until, now + timedelta(seconds=seconds))


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


def take_slot(session: Session, assignment: Assignment) -> bool:
    """Mark the assignment's slot as answered; False if it has gone to somebody else meanwhile."""
    expected = SlotState.LEASED if assignment.state == AssignmentState.LEASED else SlotState.OPEN
    taken = session.execute(
        update(Slot)
        .where(Slot.id == assignment.slot_id, Slot.state == expected)
        .values(state=SlotState.ANSWERED)
        .returning(Slot.id)
    )
    return taken.first() is not None


def done_by(session: Session, batch_id: UUID, worker_id: UUID) -> int:
    """Count the worker's answered assignments of a batch."""
    query = select(func.count()).where(
        Assignment.batch_id == batch_id,
        Assignment.worker_id == worker_id,
        Assignment.state == AssignmentState.SUBMITTED,
    )
    return session.scalar(query) or 0


def items_of(session: Session, assignments: list[Assignment]) -> dict[int, Item]:
    """Fetch the assignments' items by id."""
    ids = [assignment.item_id for assignment in assignments]
    return {item.id: item for item in session.scalars(select(Item).where(Item.id.in_(ids)))}


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


def _claim_one(session: Session, batch: Batch, worker_id: UUID, now: datetime) -> Assignment | None:
    place = random.randrange(ORDER_KEYS)  # noqa: S311  a place in the order, not a secret
    for start in (place, 0):
        values = {
            "id": new_id(),
            "batch": batch.id,
            "worker": worker_id,
            "place": start,
            "now": now,
            "until": now + timedelta(seconds=batch.lease_seconds),
        }
        claimed = session.scalar(CLAIM, values)
        if claimed is not None:
            return session.get_one(Assignment, claimed)
    return None


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


def _take_again(
    session: Session, batch: Batch, worker_id: UUID, now: datetime, count: int
) -> list[Assignment]:
    """Give back what the worker has put off, the earliest first, where the item still lacks an answer."""
    query = (
        select(Assignment)
        .where(Assignment.batch_id == batch.id, Assignment.worker_id == worker_id, PUT_OFF)
        .order_by(Assignment.ended_at, Assignment.id)
    )
    taken: list[Assignment] = []
    for assignment in session.scalars(query) if count > 0 else ():
        if len(taken) == count:
            break
        slot = session.scalar(
            select(Slot)
            .where(Slot.item_id == assignment.item_id, Slot.state == SlotState.OPEN)
            .order_by(Slot.copy)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if slot is not None:
            slot.state = SlotState.LEASED
            assignment.slot_id, assignment.state = slot.id, AssignmentState.LEASED
            assignment.lease_until = now + timedelta(seconds=batch.lease_seconds)
            taken.append(assignment)
    session.flush()
    return taken
