"""Consensus is the outcome for one item: what its answers say together, and whether they are enough.

Disagreement is kept: the distribution stands beside the winner, and what stays undecided at the most answers is
contested, never forced: it is published as it is, or a person decides with a reason. An item whose answer is known
beforehand is no question. Nothing here has anything to do with what workers are owed.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.answers import AnswerValidator
from schemas.words import listed
from tasks.batches import Batch
from tasks.db import Base
from tasks.decisions import DecisionKind, record
from tasks.errors import Conflict, Invalid
from tasks.fits import Fit
from tasks.items import Item, Slot, SlotState
from tasks.projects import Definition

UNDER_WAY: Final = (SlotState.WAITING, SlotState.OPEN, SlotState.LEASED)
REASON_CHARS_MAX: Final = 1000


class NotContested(Conflict):
    """Only an item on which workers stayed divided is decided by a person."""


class NoReason(Invalid):
    """Write why you decide so, in up to 1,000 characters; it stays with the decision."""


class WrongChoice(Invalid):
    """Choose one of the labels of this question."""


class ConsensusState(StrEnum):
    """Where an item stands."""

    COLLECTING = "collecting"
    SETTLED = "settled"
    CONTESTED = "contested"
    ADJUDICATED = "adjudicated"
    KNOWN = "known"


class Consensus(Base):
    """The outcome for one item.

    `fields` holds winner, distribution and agreement by field name, from the item's own answers; `weighed` holds
    winner and confidence from all of the batch's answers together, in which who answers reliably weighs more.
    `chosen` holds what a person decided where workers stayed divided: labels by field, or none of them.
    """

    __tablename__ = "consensus"
    __table_args__ = (Index("ix_consensus_batch_state", "batch_id", "state"),)

    item_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("item.id"), primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
    state: Mapped[str]
    answers: Mapped[int]
    fields: Mapped[dict[str, Any]]
    computed_at: Mapped[datetime]
    weighed: Mapped[dict[str, Any]] = mapped_column(default=dict)
    chosen: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


def state_counts(session: Session, batch_id: UUID) -> dict[str, int]:
    """Count a batch's items by what is known of them."""
    rows = session.execute(
        select(Consensus.state, func.count()).where(Consensus.batch_id == batch_id).group_by(Consensus.state)
    )
    return dict.fromkeys(ConsensusState, 0) | {state: count for state, count in rows}  # noqa: C416


def is_complete(session: Session, batch: Batch) -> bool:
    """Tell whether every item that can be answered has been decided."""
    wanted = select(Slot.id).where(
        Slot.batch_id == batch.id, Slot.is_gold.is_(False), Slot.state.in_(UNDER_WAY)
    )
    if session.scalar(wanted.limit(1)) is not None:
        return False
    undecided = select(Item.id).where(
        Item.batch_id == batch.id,
        Item.broken_at.is_(None),
        Item.gold.is_(None),
        ~select(Consensus.item_id)
        .where(Consensus.item_id == Item.id, Consensus.state != ConsensusState.COLLECTING)
        .exists(),
    )
    return session.scalar(undecided.limit(1)) is None


def contested_items(session: Session, batch_id: UUID, limit: int) -> list[tuple[Item, Consensus]]:
    """Give items that are contested and wait for a person, in the upload's order."""
    query = (
        select(Item, Consensus)
        .join(Consensus, Consensus.item_id == Item.id)
        .where(
            Consensus.batch_id == batch_id,
            Consensus.state == ConsensusState.CONTESTED,
            Consensus.chosen.is_(None),
        )
        .order_by(Item.line, Item.id)
        .limit(limit)
    )
    return [(item, consensus) for item, consensus in session.execute(query)]


def answers_per_item(session: Session, batch_id: UUID) -> dict[int, int]:
    """Count a batch's items by how many answers they have; items without any are left out."""
    query = select(Consensus.answers, func.count()).where(Consensus.batch_id == batch_id)
    return {answers: count for answers, count in session.execute(query.group_by(Consensus.answers))}  # noqa: C416


def adjudicate(
    session: Session, item: Item, chosen: Mapping[str, Any], reason: str, *, person_id: UUID, now: datetime
) -> Consensus:
    """Let a person decide a contested item, with a reason that stays. Raises NotContested, NoReason, WrongChoice."""
    batch = session.get_one(Batch, item.batch_id)
    definition = session.get_one(Definition, batch.definition_id).parsed()
    if not chosen or AnswerValidator(definition).problems(dict(chosen), item.data, partial=True):
        raise WrongChoice
    found = _decided(session, item, dict(chosen), reason, DecisionKind.ADJUDICATED, person_id, now)
    found.state = ConsensusState.ADJUDICATED
    found.fields = {
        name: one | ({"winner": chosen[name]} if name in chosen else {}) for name, one in found.fields.items()
    }
    session.flush()
    return found


def publish(session: Session, item: Item, reason: str, *, person_id: UUID, now: datetime) -> Consensus:
    """Let a contested item stand as it is, as a distribution. Raises NotContested, NoReason."""
    found = _decided(session, item, {}, reason, DecisionKind.PUBLISHED, person_id, now)
    session.flush()
    return found


def winners(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the label of each field that has one."""
    return {name: one["winner"] for name, one in fields.items() if one["winner"] is not None}


def _decided(
    session: Session,
    item: Item,
    chosen: dict[str, Any],
    reason: str,
    kind: DecisionKind,
    person_id: UUID,
    now: datetime,
) -> Consensus:
    session.execute(select(Item.id).where(Item.id == item.id).with_for_update(key_share=True))
    found = session.get(Consensus, item.id, populate_existing=True)
    if found is None or found.state != ConsensusState.CONTESTED:
        raise NotContested
    if not reason.strip() or len(reason) > REASON_CHARS_MAX:
        raise NoReason(field="reason")
    found.chosen = chosen
    row = {
        "item_id": item.id,
        "batch_id": item.batch_id,
        "kind": kind,
        "answers": found.answers,
        "winners": chosen,
        "fit_version": session.scalar(select(Fit.version).where(Fit.batch_id == item.batch_id)),
        "reason": listed([reason.strip()]),
        "person_id": person_id,
        "at": now,
    }
    record(session, [row])
    return found
