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

CHOOSE: Final = """
        WITH chosen AS (
            SELECT slot.id, slot.item_id
            FROM slot
            WHERE slot.batch_id = _batch AND slot.state = 'open' AND slot.is_gold = _gold
              AND slot.order_key >= _from
              AND (SELECT had.id FROM assignment AS had
                   WHERE had.item_id = slot.item_id AND had.worker_id = _worker) IS NULL
            ORDER BY slot.order_key, slot.id
            LIMIT 1
            FOR UPDATE OF slot SKIP LOCKED
        ), leased AS (
            UPDATE slot SET state = 'leased' FROM chosen WHERE slot.id = chosen.id
        )
        INSERT INTO assignment
            (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until)
        SELECT _id, chosen.id, chosen.item_id, _batch, _worker, 'leased', false, '', _now, _until FROM chosen
        RETURNING assignment.id"""
"""The choice of one slot: one walk along the index of the batch's open slots, which ends at the first that fits.

Whether the worker has had an item is looked up item by item: a join could read all that they ever did.
"""

GOLD_IS_DUE: Final = """_chance < 0.1
            AND (_chance < 0.05 OR (
                SELECT count(*) FROM (
                    SELECT FROM assignment JOIN batch AS one ON one.id = batch_id
                    WHERE worker_id = _worker AND assignment.state = 'submitted'
                      AND one.project_id = _served.project_id LIMIT 50
                ) AS answered) < 50)
            AND EXISTS (
                SELECT FROM slot WHERE slot.batch_id = _batch AND slot.state = 'open' AND NOT slot.is_gold
                  AND (SELECT had.id FROM assignment AS had
                       WHERE had.item_id = slot.item_id AND had.worker_id = _worker) IS NULL)"""
"""Whether an item with a known answer is given now, only while other work is left: a tenth of a worker's first fifty
answers in a project, a twentieth of the later ones.
"""

CLAIM: Final = """
CREATE OR REPLACE FUNCTION claim_slots(
    _batch uuid, _worker uuid, _queue bigint, _ids uuid[], _chances float8[], _place integer, _now timestamptz
) RETURNS TABLE (
    batch_state varchar, pause_reason varchar, permitted boolean,
    id uuid, slot_id bigint, item_id bigint, key varchar, data jsonb, fresh boolean
)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
    _served batch;
    _permitted boolean;
    _until timestamptz;
    _held uuid[];
    _had integer;
    _id uuid;
    _at integer;
    _chance float8;
    _gold boolean;
    _claimed uuid;
    _from integer;
    _late record;
    _free bigint;
BEGIN
    -- One worker's claims queue up, so that two tabs cannot choose two copies of the same item.
    PERFORM pg_advisory_xact_lock(_queue);
    SELECT * INTO _served FROM batch WHERE id = _batch;
    _until := _now + make_interval(secs => _served.lease_seconds);
    _permitted := EXISTS (SELECT FROM permit WHERE worker_id = _worker AND batch_id = _batch
                          AND since <= _now AND until > _now);
    _held := ARRAY(SELECT id FROM assignment
                   WHERE batch_id = _batch AND worker_id = _worker AND state = 'leased' AND lease_until > _now
                   ORDER BY id LIMIT cardinality(_ids));
    _had := cardinality(_held);
    -- To ask for more is to be at it.
    UPDATE assignment SET lease_until = _until
    WHERE id = ANY(_held) AND lease_until < _until - interval '1 minute';
    IF _permitted AND _served.state = 'open' THEN
        FOR _at IN _had + 1 .. cardinality(_ids) LOOP
            _id := _ids[_at];
            _chance := _chances[_at];
            _claimed := NULL;
            IF -- gold is due
            THEN
                -- The least shown one: their order is the rotation.
                _gold := true;
                _from := 0;
                -- choose
                INTO _claimed;
            END IF;
            _gold := false;
            FOREACH _from IN ARRAY ARRAY[_place, 0] LOOP
                EXIT WHEN _claimed IS NOT NULL;
                -- choose
                INTO _claimed;
            END LOOP;
            EXIT WHEN _claimed IS NULL;
            _held := _held || _claimed;
        END LOOP;
    END IF;
    IF _permitted AND _served.state = 'open' AND cardinality(_held) < cardinality(_ids) THEN
        -- What the worker has put off comes back at the end, the earliest first, where it still lacks an answer.
        FOR _late IN SELECT assignment.id, item_id FROM assignment
            WHERE batch_id = _batch AND worker_id = _worker AND state = 'skipped' AND outcome = 'later'
            ORDER BY ended_at, assignment.id
        LOOP
            EXIT WHEN cardinality(_held) = cardinality(_ids);
            SELECT slot.id INTO _free FROM slot WHERE slot.item_id = _late.item_id AND slot.state = 'open'
            ORDER BY slot.copy LIMIT 1 FOR UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            UPDATE slot SET state = 'leased' WHERE slot.id = _free;
            UPDATE assignment SET slot_id = _free, state = 'leased', lease_until = _until
            WHERE assignment.id = _late.id;
            _held := _held || _late.id;
        END LOOP;
    END IF;
    RETURN QUERY
        SELECT _served.state, _served.pause_reason, _permitted, assignment.id, slot_id, item_id, key, data,
            assignment.id = ANY(_held[_had + 1:])
        FROM assignment JOIN item ON item.id = item_id
        WHERE assignment.id = ANY(_held) ORDER BY assignment.id;
    IF NOT FOUND THEN
        batch_state := _served.state; pause_reason := _served.pause_reason; permitted := _permitted;
        RETURN NEXT;
    END IF;
END $$""".replace("-- choose", CHOOSE.strip()).replace("-- gold is due", GOLD_IS_DUE)
"""Claim as many slots as there are ids, those in hand counted; a row without id where there is none at all.

Statistics of a batch that was just uploaded may not be there yet, so sorts and whole readings are ruled out.
"""

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

attach(Assignment.__table__, (CLAIM, SUBMIT))


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


class Hand(NamedTuple):
    """What a worker has in hand of a batch, the oldest first, and whether they hold a permit to be given more."""

    items: list[Held]
    permitted: bool


def claim(session: Session, batch_id: UUID, worker_id: UUID, now: datetime, count: int = 1) -> Hand:
    """Give the worker up to `count` assignments in hand: those held already first, then new ones under a permit.

    Leases of what is in hand are renewed. Raises BatchNotServed when nothing is held and the batch is not open.
    """
    found = rows(
        session,
        "SELECT * FROM claim_slots(%(batch)s, %(worker)s, %(queue)s, %(ids)s, %(chances)s, %(place)s, %(now)s)",
        batch=batch_id,
        worker=worker_id,
        queue=worker_id.int & (2**63 - 1),
        ids=[new_id() for _ in range(min(count, HELD_MAX))],
        chances=[random.random() for _ in range(min(count, HELD_MAX))],  # noqa: S311  shares, not secrets
        place=random.randrange(ORDER_KEYS),  # noqa: S311  a place in the order, not a secret
        now=now,
    )
    first = found[0]
    if first.id is None and first.batch_state != BatchState.OPEN:
        raise BatchNotServed(first.pause_reason or None)
    held = [
        Held(one.id, one.slot_id, one.item_id, batch_id, worker_id, one.key, one.data, fresh=one.fresh)
        for one in found
        if one.id is not None
    ]
    return Hand(held, first.permitted)


def claim_item(session: Session, batch: Batch, item_key: str, worker_id: UUID, now: datetime) -> Held | None:
    """Give the worker a slot of one named item, for recorded work that is played again; None if none is open."""
    session.execute(select(func.pg_advisory_xact_lock(worker_id.int & (2**63 - 1))))
    item = session.scalar(select(Item).where(Item.batch_id == batch.id, Item.key == item_key))
    if item is None:
        return None
    known = session.scalar(
        select(Assignment).where(Assignment.item_id == item.id, Assignment.worker_id == worker_id)
    )
    if known is not None:
        return _held(known, item)
    slot = session.scalar(
        select(Slot)
        .where(Slot.item_id == item.id, Slot.state == SlotState.OPEN)
        .order_by(Slot.copy)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if slot is None or batch.state != BatchState.OPEN:
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
    return _held(assignment, item)


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


def _held(one: Assignment, item: Item) -> Held:
    state = AssignmentState(one.state)
    return Held(one.id, one.slot_id, one.item_id, one.batch_id, one.worker_id, item.key, item.data, state)


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
