"""A claim puts slots into a worker's hands: what they hold first, then open slots, then what they have put off.

It takes the first open slot behind a random place in the stored order and passes over those that others hold at that
moment; now and then one with a known answer. One worker's claims queue up, and new slots need a permit.
"""

import random
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tasks.append_only import attach
from tasks.assignments import Assignment, AssignmentState, Held
from tasks.batches import Batch, BatchState
from tasks.db import new_id, rows
from tasks.errors import Conflict
from tasks.items import ORDER_KEYS, Item, Slot, SlotState

HELD_MAX: Final = 10


class BatchNotServed(Conflict):
    """This batch is not open at the moment."""


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

attach(Assignment.__table__, (CLAIM,))


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


def _held(one: Assignment, item: Item) -> Held:
    state = AssignmentState(one.state)
    return Held(one.id, one.slot_id, one.item_id, one.batch_id, one.worker_id, item.key, item.data, state)
