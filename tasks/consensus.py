"""Consensus is the outcome for one item: what its answers say together, and whether they are enough.

Each answer has its item looked at again from its stored answers, so a message that comes twice or late changes
nothing. Disagreement is kept: the distribution stands beside the winner, and what stays undecided at the most
answers is contested, never forced. Nothing here has anything to do with what workers are owed.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.answers import comparable
from schemas.definition import TaskDefinition
from schemas.fields import Field
from tasks import aggregators, agreement
from tasks.aggregators.boxes import combine_boxes
from tasks.aggregators.spans import combine_spans
from tasks.answers import Answer, answers_to
from tasks.batches import Batch, BatchState
from tasks.db import Base
from tasks.distances import alike, has_majority
from tasks.items import Item, Slot, SlotState, add_slot
from tasks.projects import Definition

LABEL_KINDS = ("choice", "rating")
"""Kinds of field whose answer is one label of a closed list."""
COMBINED = {"spans": combine_spans, "boxes": combine_boxes}
"""Kinds of field whose answers are brought together part by part, once more than half of them are alike."""


class ConsensusState(StrEnum):
    """Where an item stands."""

    COLLECTING = "collecting"
    SETTLED = "settled"
    CONTESTED = "contested"


class Consensus(Base):
    """The outcome for one item.

    `fields` holds winner, distribution and agreement by field name, from the item's own answers; `weighed` holds
    winner and confidence from all of the batch's answers together, in which who answers reliably weighs more.
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
    weighed_at: Mapped[datetime | None]


def check_item(session: Session, item_id: int, now: datetime) -> Consensus | None:
    """Look at one item's answers: settled, contested, or one more answer is asked for (its slot waits for funding)."""
    item = session.scalar(select(Item).where(Item.id == item_id).with_for_update(key_share=True))
    if item is None:
        return None
    batch = session.get_one(Batch, item.batch_id)
    definition = session.get_one(Definition, batch.definition_id).parsed()
    answers = answers_to(session, item_id)
    fields = {field.name: _field_outcome(field, answers) for field in definition.fields}
    state = _state(batch, len(answers), definition, fields)
    consensus = session.get(Consensus, item_id) or Consensus(item_id=item_id, batch_id=batch.id, weighed={})
    consensus.state, consensus.answers, consensus.fields = state, len(answers), fields
    consensus.computed_at = now
    session.add(consensus)
    if state == ConsensusState.COLLECTING and len(answers) >= batch.answers_wanted:
        _ask_one_more(session, item, batch)
    session.flush()
    return consensus


def unchecked_items(session: Session, limit: int = 1000) -> list[int]:
    """Find items whose answers are more or newer than their consensus has seen."""
    latest = func.max(Answer.submitted_at)
    query = (
        select(Answer.item_id)
        .outerjoin(Consensus, Consensus.item_id == Answer.item_id)
        .where(Answer.is_current)
        .group_by(Answer.item_id, Consensus.item_id, Consensus.answers, Consensus.computed_at)
        .having(
            (Consensus.item_id.is_(None))
            | (func.count() != Consensus.answers)
            | (latest > Consensus.computed_at)
        )
        .limit(limit)
    )
    return list(session.scalars(query))


def refit(session: Session, batch: Batch, now: datetime) -> int:
    """Weigh all answers of a batch together for its fields with one label each; does nothing if none are new.

    Gives how many items were weighed.
    """
    newest = session.scalar(select(func.max(Answer.submitted_at)).where(Answer.batch_id == batch.id))
    weighed_at = session.scalar(select(func.max(Consensus.weighed_at)).where(Consensus.batch_id == batch.id))
    if newest is None or (weighed_at is not None and weighed_at >= newest):
        return 0
    definition = session.get_one(Definition, batch.definition_id).parsed()
    found: dict[int, dict[str, Any]] = {}
    for field in definition.fields:
        if field.kind in LABEL_KINDS:
            outcome = aggregators.mix(field_answers(session, batch.id, field))
            for item, label, confidence in zip(
                outcome.items, outcome.labels, outcome.confidence, strict=True
            ):
                value = None if label is None else json.loads(label)
                found.setdefault(int(item), {})[field.name] = {
                    "winner": value,
                    "confidence": round(float(confidence), 6),
                }
    known = session.scalars(select(Consensus.item_id).where(Consensus.batch_id == batch.id)).all()
    rows = [
        {"item_id": item_id, "weighed": found[item_id], "weighed_at": now}
        for item_id in known
        if item_id in found
    ]
    if rows:
        session.execute(update(Consensus), rows)
    return len(rows)


def field_answers(session: Session, batch_id: UUID, field: Field) -> agreement.Answers:
    """Give a field's answers for measures of agreement, over the field's own labels where these are a closed list."""
    classes = (
        [comparable(field.kind, option.value) for option in field.options]
        if field.kind in LABEL_KINDS
        else None
    )
    rows = [(str(item_id), worker, label) for item_id, worker, label in label_rows(session, batch_id, field)]
    return agreement.Answers.of(rows, classes)


def state_counts(session: Session, batch_id: UUID) -> dict[str, int]:
    """Count a batch's items by what is known of them."""
    rows = session.execute(
        select(Consensus.state, func.count()).where(Consensus.batch_id == batch_id).group_by(Consensus.state)
    )
    return dict.fromkeys(ConsensusState, 0) | {state: count for state, count in rows}  # noqa: C416


def label_rows(session: Session, batch_id: UUID, field: Field) -> list[tuple[int, str, str]]:
    """Give (item, worker, label) for one field of a batch's current answers, for measures of agreement."""
    query = (
        select(Answer.item_id, Answer.worker_id, Answer.value[field.name])
        .where(Answer.batch_id == batch_id, Answer.is_current)
        .order_by(Answer.id)
    )
    return [
        (item_id, str(worker_id), comparable(field.kind, value))
        for item_id, worker_id, value in session.execute(query)
        if value is not None
    ]


def is_complete(session: Session, batch: Batch) -> bool:
    """Tell whether every item that can be answered has been decided."""
    wanted = select(Slot.id).where(
        Slot.batch_id == batch.id, Slot.state.in_([SlotState.WAITING, SlotState.OPEN, SlotState.LEASED])
    )
    if session.scalar(wanted.limit(1)) is not None:
        return False
    undecided = select(Item.id).where(
        Item.batch_id == batch.id,
        Item.broken_at.is_(None),
        ~select(Consensus.item_id)
        .where(Consensus.item_id == Item.id, Consensus.state != ConsensusState.COLLECTING)
        .exists(),
    )
    return session.scalar(undecided.limit(1)) is None


def _state(batch: Batch, count: int, definition: TaskDefinition, fields: dict[str, Any]) -> ConsensusState:
    if count < batch.answers_wanted:
        return ConsensusState.COLLECTING
    deciding = [field.name for field in definition.fields if field.required]
    if all(fields[name]["winner"] is not None for name in deciding):
        return ConsensusState.SETTLED
    return ConsensusState.COLLECTING if count < batch.answers_max else ConsensusState.CONTESTED


def _field_outcome(field: Field, answers: Sequence[Answer]) -> dict[str, Any]:
    values = [answer.value[field.name] for answer in answers if answer.value.get(field.name) is not None]
    labels = [comparable(field.kind, value) for value in values]
    counts = Counter(labels)
    ranked = counts.most_common(2)
    leads = bool(ranked) and (len(ranked) == 1 or ranked[0][1] > ranked[1][1])
    winner = values[labels.index(ranked[0][0])] if leads else None
    if field.kind in COMBINED:
        winner = COMBINED[field.kind](values) if has_majority(field.kind, labels) else None
    pairs = len(labels) * (len(labels) - 1) // 2
    return {
        "winner": winner,
        "distribution": [
            {"value": values[labels.index(label)], "answers": n} for label, n in counts.most_common()
        ],
        "agreement": {"alike": alike(field.kind, labels), "pairs": pairs},
    }


def _ask_one_more(session: Session, item: Item, batch: Batch) -> None:
    if batch.state == BatchState.CLOSED or item.broken_at is not None:
        return
    under_way = session.scalar(
        select(func.count()).where(
            Slot.item_id == item.id, Slot.state.in_([SlotState.WAITING, SlotState.OPEN, SlotState.LEASED])
        )
    )
    if not under_way:
        add_slot(session, item)
