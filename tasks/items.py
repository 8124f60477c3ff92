"""An item is one unit of data; a slot is one wanted answer to it (item × copy).

Slots are rows, so that a claim is one indexed statement. Their order is a stored random key: no sort by `random()`,
no two workers walking the same way. A slot waits until its answer is funded; then it is open, leased, answered.
"""

import random
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum
from math import ceil
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnExpressionArgument,
    CursorResult,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    false,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base
from tasks.errors import Conflict, NotFound

ORDER_KEYS = 2**31 - 1
GOLD_SHARE_MOST: Final = 0.10
"""Known answers are at most this share of the others: as many as a worker's first answers ask for."""
GOLD_COPIES_MAX: Final = 2000


class UnknownItem(NotFound):
    """There is no such item, or it is not yours."""


class NotBroken(Conflict):
    """Nobody says that this item is broken, or it has been decided already."""


class SlotState(StrEnum):
    """Where a slot stands."""

    WAITING = "waiting"
    OPEN = "open"
    LEASED = "leased"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"


class Item(Base):
    """One unit of data, under the requester's own key."""

    __tablename__ = "item"
    __table_args__ = (UniqueConstraint("batch_id", "key"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
    key: Mapped[str]
    line: Mapped[int]
    data: Mapped[dict[str, Any]]
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    gold: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    gold_why: Mapped[str] = mapped_column(default="", server_default="")
    gold_void_at: Mapped[datetime | None]
    broken_at: Mapped[datetime | None]
    dropped_at: Mapped[datetime | None]


class Slot(Base):
    """One wanted answer; `is_gold` where it is one of those with a known answer that are mixed into the work.

    `batch_id` is its item's, kept here too for the claim's index; only the item refers.
    """

    __tablename__ = "slot"
    __table_args__ = (
        UniqueConstraint("item_id", "copy"),
        Index(
            "ix_slot_open", "batch_id", "is_gold", "order_key", "id", postgresql_where=text("state = 'open'")
        ),
        Index("ix_slot_state", "batch_id", "state"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    batch_id: Mapped[UUID]
    copy: Mapped[int]
    state: Mapped[str] = mapped_column(default=SlotState.WAITING)
    order_key: Mapped[int]
    is_gold: Mapped[bool] = mapped_column(default=False, server_default=false())


ADD = text("""
    WITH new AS (
        INSERT INTO item (batch_id, key, line, data, meta, gold, gold_why)
        SELECT :batch, row.key, row.line, row.data, row.meta, row.gold, coalesce(row.gold_why, '')
        FROM jsonb_to_recordset(CAST(:rows AS jsonb))
            AS row (key text, line integer, data jsonb, meta jsonb, gold jsonb, gold_why text)
        ON CONFLICT (batch_id, key) DO NOTHING
        RETURNING id, gold
    ), wanted AS (
        INSERT INTO slot (item_id, batch_id, copy, state, order_key)
        SELECT new.id, :batch, copy, 'waiting', floor(random() * :order_keys)
        FROM new CROSS JOIN generate_series(1, :copies) AS copy
        WHERE new.gold IS NULL OR NOT :gold_apart
    )
    SELECT count(*) FROM new
""")


def add_items(
    session: Session,
    batch_id: UUID,
    rows: Collection[dict[str, Any]],
    copies: int,
    *,
    gold_apart: bool = True,
) -> int:
    """Store items with their slots, waiting; rows hold key, line, data, meta, gold. Gives how many were new.

    A key that the batch holds already is passed over, so that an import may run again. All rows are one JSON
    document in one statement: reckon with some times their bytes of memory. With `gold_apart`, items with a known
    answer get no slots here: `mix_gold` makes as many as the others ask for.
    """
    if not rows:
        return 0
    document = msgspec.json.encode(rows).decode()
    values = {"batch": batch_id, "rows": document, "copies": copies, "order_keys": ORDER_KEYS}
    values["gold_apart"] = gold_apart
    return int(session.scalars(ADD, values).one())


MIX_GOLD: Final = text("""
    INSERT INTO slot (item_id, batch_id, copy, state, order_key, is_gold)
    SELECT item.id, item.batch_id, copy, 'waiting', (copy - 1) * :step + drawn % :step, true
    FROM item CROSS JOIN generate_series(1, :copies) AS copy
    CROSS JOIN LATERAL (SELECT hashtextextended(item.key || '/' || copy, :seed) & 2147483647 AS drawn) AS chance
    WHERE item.batch_id = :batch AND item.gold IS NOT NULL
      AND NOT EXISTS (SELECT FROM slot WHERE slot.item_id = item.id AND slot.copy = copy.copy)
    ORDER BY copy, drawn
    LIMIT :wanted
""")


def mix_gold(session: Session, batch_id: UUID) -> int:
    """Make slots of the items with known answers, for a tenth of the other answers wanted. Gives how many were made.

    Their order is the rotation: every item's first copy comes before any second one, so that what was shown least is
    shown next.
    """
    mixed = (
        select(Slot.is_gold, func.count())
        .where(Slot.batch_id == batch_id, Slot.state != SlotState.WITHDRAWN)
        .group_by(Slot.is_gold)
    )
    there = {is_gold: count for is_gold, count in session.execute(mixed)}  # noqa: C416
    items = session.scalar(select(func.count()).where(Item.batch_id == batch_id, Item.gold.is_not(None))) or 0
    wanted = ceil(there.get(False, 0) * GOLD_SHARE_MOST) - there.get(True, 0)
    if wanted <= 0 or not items:
        return 0
    copies = min(ceil(wanted / items) + 1, GOLD_COPIES_MAX)
    values = {"batch": batch_id, "copies": copies, "wanted": wanted}
    values |= {"step": ORDER_KEYS // GOLD_COPIES_MAX, "seed": random.randrange(ORDER_KEYS)}  # noqa: S311
    made: CursorResult[Any] = session.execute(MIX_GOLD, values)  # type: ignore[assignment]
    return made.rowcount


def withdraw_gold(session: Session, batch_id: UUID) -> int:
    """Take back the mixed-in gold slots of a batch that nobody holds. Gives how many."""
    return _withdraw(session, Slot.batch_id == batch_id, Slot.is_gold)


def retire(session: Session, item: Item) -> None:
    """Show an item to nobody any more; whoever holds it may finish it."""
    _withdraw(session, Slot.item_id == item.id)


def _withdraw(session: Session, *which: ColumnExpressionArgument[bool]) -> int:
    taken = session.execute(
        update(Slot)
        .where(*which, Slot.state.in_([SlotState.OPEN, SlotState.WAITING]))
        .values(state=SlotState.WITHDRAWN)
        .returning(Slot.id)
    )
    return len(taken.all())


def add_slots(session: Session, wanted: Iterable[tuple[int, UUID, int]]) -> None:
    """Ask for one more answer to items, given as (item, batch, copy); the slots wait for their funding.

    The caller holds the items' locks and knows their highest copies.
    """
    rows = [
        {
            "item_id": item_id,
            "batch_id": batch_id,
            "copy": copy,
            "state": SlotState.WAITING,
            "order_key": random.randrange(ORDER_KEYS),  # noqa: S311
        }
        for item_id, batch_id, copy in wanted
    ]
    if rows:
        session.execute(insert(Slot), rows)


def withdraw_slots(session: Session, item_ids: Collection[int]) -> None:
    """Take back what nobody has begun of items that need no more answers."""
    if item_ids:
        session.execute(
            update(Slot)
            .where(Slot.item_id.in_(item_ids), Slot.state.in_([SlotState.WAITING, SlotState.OPEN]))
            .values(state=SlotState.WITHDRAWN)
        )


def open_slots(session: Session, batch_id: UUID, count: int) -> int:
    """Open up to so many waiting slots, the first copies first. Gives how many were opened."""
    chosen = (
        select(Slot.id)
        .where(Slot.batch_id == batch_id, Slot.state == SlotState.WAITING)
        .order_by(Slot.copy, Slot.id)
        .limit(count)
        .with_for_update(skip_locked=True)
    )
    opened = session.execute(
        update(Slot).where(Slot.id.in_(chosen)).values(state=SlotState.OPEN).returning(Slot.id)
    )
    return len(opened.all())


def mark_broken(session: Session, item_id: int, now: datetime) -> None:
    """Note that a worker could not use the item: nobody else is offered it until the requester has looked."""
    session.execute(update(Item).where(Item.id == item_id, Item.broken_at.is_(None)).values(broken_at=now))
    session.execute(
        update(Slot)
        .where(Slot.item_id == item_id, Slot.state.in_([SlotState.OPEN, SlotState.WAITING]))
        .values(state=SlotState.WITHDRAWN)
    )


def broken_items(session: Session, batch_id: UUID, limit: int = 100) -> list[Item]:
    """Give the broken items that wait for the requester, the earliest reported first."""
    query = (
        select(Item)
        .where(Item.batch_id == batch_id, Item.broken_at.is_not(None), Item.dropped_at.is_(None))
        .order_by(Item.broken_at, Item.id)
    )
    return list(session.scalars(query.limit(limit)))


def put_back(session: Session, item: Item) -> None:
    """Offer a mended item again: its slots wait for their funding. Raises NotBroken."""
    _check_broken(session, item)
    item.broken_at = None
    session.execute(
        update(Slot)
        .where(Slot.item_id == item.id, Slot.state == SlotState.WITHDRAWN)
        .values(state=SlotState.WAITING)
    )
    session.flush()


def drop(session: Session, item: Item, now: datetime) -> None:
    """Leave a broken item as it is, for good; what was answered is kept. Raises NotBroken."""
    _check_broken(session, item)
    item.dropped_at = now
    session.flush()


def _check_broken(session: Session, item: Item) -> None:
    session.refresh(item, with_for_update=True)
    if item.broken_at is None or item.dropped_at is not None:
        raise NotBroken
