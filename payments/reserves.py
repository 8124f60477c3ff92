"""A reserve is the money set aside for one batch; how much of it the work so far has used is estimated here.

The estimate only decides what is offered next; wages are never computed from it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.accounts import Account, batch_reserve
from payments.money import ceil_minor, floor_minor, minor
from payments.quotes import answer_cost, batch_floors
from payments.terms import PayTerms, terms_of
from tasks.batches import Batch, slot_counts
from tasks.db import Base
from tasks.items import SlotState

USED_MAX: Final = Fraction(9, 10)
ESTIMATE_KEPT: Final = timedelta(seconds=60)


class ReserveEstimate(Base):
    """What a batch had cost when it was last counted; only a shortcut, never a figure that is paid."""

    __tablename__ = "reserve_estimate"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    spent: Mapped[int] = mapped_column(BigInteger)
    answered: Mapped[int]
    at: Mapped[datetime]


@dataclass(frozen=True)
class ReserveState:
    """Where a batch's reserve stands, in minor units: all ever set aside, what of it is used, what is left."""

    currency: str
    reserved: int
    spent_estimate: int
    in_work: int
    left: int
    share: Fraction


def reserve_state(session: Session, batch: Batch, now: datetime) -> ReserveState:
    """Say where a batch's reserve stands. Raises NoTerms."""
    slow = answer_cost(session, batch, now).slow
    return _state(session, batch, now, slot_counts(session, [batch.id])[batch.id], slow)


def is_short(session: Session, batch: Batch, now: datetime) -> bool:
    """Tell whether nine tenths are used and the rest does not cover the open slots; the caller locks the batch."""
    counts, slow = slot_counts(session, [batch.id])[batch.id], answer_cost(session, batch, now).slow
    _count_again(session, batch, counts, now)
    state = _state(session, batch, now, counts, slow)
    # A batch whose price is above every floor ends with an empty reserve, and that is as planned.
    return state.share >= USED_MAX and state.left < counts[SlotState.OPEN] * slow


def waiting_covered(session: Session, batch: Batch, now: datetime) -> int:
    """Count the waiting slots that are covered besides all that are open; the caller holds the batch's lock."""
    counts = slot_counts(session, [batch.id])[batch.id]
    waiting = counts[SlotState.WAITING]
    if waiting == 0:
        return 0
    slow = answer_cost(session, batch, now).slow
    _count_again(session, batch, counts, now)
    free = _state(session, batch, now, counts, slow).left - counts[SlotState.OPEN] * slow
    covered = waiting if slow == 0 else floor_minor(free / slow)
    return max(0, min(covered, waiting))


def _state(
    session: Session, batch: Batch, now: datetime, counts: dict[str, int], slow: Fraction
) -> ReserveState:
    terms = terms_of(session, batch.id)
    held = session.scalars(
        select(Account)
        .where(Account.code == batch_reserve(batch.id, terms.currency))
        .execution_options(populate_existing=True)
    ).one_or_none()
    reserved, booked = (held.credits, held.debits) if held else (0, 0)
    spent = max(booked, _spent(session, batch, terms, now, counts, slow))
    in_work = ceil_minor(counts[SlotState.LEASED] * slow)
    return ReserveState(
        currency=terms.currency,
        reserved=reserved,
        spent_estimate=spent,
        in_work=in_work,
        left=max(0, reserved - spent - in_work),
        share=Fraction(spent + in_work, reserved) if reserved else Fraction(1),
    )


def _spent(
    session: Session, batch: Batch, terms: PayTerms, now: datetime, counts: dict[str, int], slow: Fraction
) -> int:
    """Give what the work so far costs: as last counted, and the answers since then at the slow figure."""
    known = session.get(ReserveEstimate, batch.id)
    answered = counts[SlotState.ANSWERED]
    if known is None or not timedelta(0) <= now - known.at < ESTIMATE_KEPT or answered < known.answered:
        return _counted(session, batch, terms, now)
    return known.spent + ceil_minor((answered - known.answered) * slow)


def _count_again(session: Session, batch: Batch, counts: dict[str, int], now: datetime) -> None:
    """Keep a fresh count for the next minute; the caller holds the batch's lock."""
    known = session.get(ReserveEstimate, batch.id, populate_existing=True)
    if known is not None and timedelta(0) <= now - known.at < ESTIMATE_KEPT:
        return
    spent, answered = _counted(session, batch, terms_of(session, batch.id), now), counts[SlotState.ANSWERED]
    if known is None:
        session.add(ReserveEstimate(batch_id=batch.id, spent=spent, answered=answered, at=now))
    else:
        known.spent, known.answered, known.at = spent, answered, now
    session.flush()


# Overlap between tabs is counted double here, which is on the safe side for a reserve and never for a wage.
_WORK: Final = text("""
    WITH heard AS (
        SELECT worker_id, extract(epoch FROM at - lag(at) OVER (PARTITION BY worker_id, unit ORDER BY at, id)) AS gap
        FROM proof WHERE batch_id = :batch
    ), timed AS (
        SELECT worker_id, ceil(sum(least(coalesce(gap, 0), :grace))) AS seconds FROM heard GROUP BY worker_id
    ), added AS (
        SELECT worker_id, sum(added_seconds) AS seconds FROM declaration
        WHERE batch_id = :batch AND state <> 'refused' GROUP BY worker_id
    ), priced AS (
        SELECT worker_id, sum(piece_price) AS price FROM earning WHERE batch_id = :batch GROUP BY worker_id
    )
    SELECT person.place, person.area, coalesce(priced.price, 0) AS price,
           CAST(coalesce(timed.seconds, 0) + coalesce(added.seconds, 0) AS bigint) AS seconds
    FROM timed FULL JOIN priced USING (worker_id) FULL JOIN added USING (worker_id)
    JOIN person ON person.id = worker_id
""")


def _counted(session: Session, batch: Batch, terms: PayTerms, now: datetime) -> int:
    """Estimate what all work on a batch so far costs with the fee: by worker, the price or the time at their floor."""
    floor_at = batch_floors(session, terms, now)
    total = Fraction(0)
    for row in session.execute(_WORK, {"batch": batch.id, "grace": terms.grace_seconds}):
        price = minor(row.price, terms.currency)
        total += max(price, Fraction(row.seconds, 3600) * floor_at(row.place, row.area))
    return ceil_minor(total * (1 + terms.fee))
