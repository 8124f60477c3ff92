"""A look decides about items from their stored answers: enough, one answer more, contested.

It is sent after each answer and computed anew from what is stored, so a message that comes twice or late changes
nothing. What changes is kept as a decision with its reason (`tasks/decisions.py`). Where every deciding field has one
label of a closed list, the adaptive rule decides (`tasks/redundancy.py`); elsewhere whether an answer leads.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from schemas.answers import comparable
from schemas.definition import TaskDefinition
from schemas.fields import Field
from tasks import redundancy
from tasks.aggregators.boxes import combine_boxes
from tasks.aggregators.spans import combine_spans
from tasks.answers import Answer, answers_to, see
from tasks.batches import Batch, BatchState, Redundancy
from tasks.consensus import UNDER_WAY, Consensus, ConsensusState, winners
from tasks.decisions import DecisionKind, record
from tasks.distances import alike, has_majority
from tasks.fits import Fit, Known, models_of
from tasks.items import Item, Slot, SlotState, add_slots, withdraw_slots
from tasks.projects import Definition
from tasks.redundancy import Decision, Next

LABEL_KINDS: Final = ("choice", "rating")
"""Kinds of field whose answer is one label of a closed list."""
COMBINED: Final = {"spans": combine_spans, "boxes": combine_boxes}
"""Kinds of field whose answers are brought together part by part, once more than half of them are alike."""
NO_FIT: Final = Known(0, {})


STATE_AFTER: Final = {
    Next.ENOUGH: ConsensusState.SETTLED,
    Next.CONTESTED: ConsensusState.CONTESTED,
    Next.ONE_MORE: ConsensusState.COLLECTING,
    Next.WAIT: ConsensusState.COLLECTING,
}


class Looked(NamedTuple):
    """What a look at one item found; `waits` says that a slot of it waits for its funding."""

    item_id: int
    batch_id: UUID
    state: ConsensusState
    waits: bool


@dataclass(frozen=True)
class _Standing:
    """How an item stood before the look."""

    state: str | None
    winners: Mapping[str, Any]
    chosen: Mapping[str, Any] | None
    copies: int
    under_way: int
    waiting: int


STAYS_OPEN: Final = frozenset({ConsensusState.COLLECTING, ConsensusState.KNOWN})
"""Where an item's slots stay: answers are wanted, or the known one is mixed into the work as long as that goes on."""
UNSEEN: Final = _Standing(None, {}, None, 0, 0, 0)


def check_items(
    session: Session, item_ids: Collection[int], now: datetime, *, patient: bool = True
) -> list[Looked]:
    """Look at items' answers: settled, contested, or one more answer is asked for (its slot waits for funding).

    A few statements for all of them together, and none that reads more than their own rows. `patient` says that
    other work of the batch goes on. Items that do not exist are passed over.
    """
    rows = session.execute(
        select(Item, Batch, Definition, Fit.version, Fit.last_answer_id)
        .join(Batch, Batch.id == Item.batch_id)
        .join(Definition, Definition.id == Batch.definition_id)
        .outerjoin(Fit, Fit.batch_id == Item.batch_id)
        .where(Item.id.in_(sorted(set(item_ids))))
        .order_by(Item.id)
        .with_for_update(of=Item, key_share=True)
    ).all()
    ids = [row.Item.id for row in rows]
    see(session, ids)
    # Only now, under the items' locks, so that two looks at the same time see each other's slots.
    answers, standing = answers_to(session, ids), _standing(session, ids)
    looked: list[Looked] = []
    kept: list[dict[str, Any]] = []
    decided: list[dict[str, Any]] = []
    wanted: list[tuple[int, UUID, int]] = []
    done: list[int] = []
    for item, batch, definition, version, last_answer_id in rows:
        fit = models_of(session, batch.id, version, last_answer_id) if version else NO_FIT
        before = standing.get(item.id, UNSEEN)
        look = _Look(item, batch, definition.parsed(), answers[item.id], before, fit, patient)
        kept.append(look.row(now))
        decided += [decision | {"at": now} for decision in look.decisions()]
        if look.asks:
            wanted.append((item.id, batch.id, before.copies + 1))
        elif look.state not in STAYS_OPEN and before.under_way:
            done.append(item.id)
        waits = look.asks or (look.state == ConsensusState.COLLECTING and before.waiting > 0)
        looked.append(Looked(item.id, batch.id, look.state, waits))
    _keep(session, kept)
    record(session, decided)
    add_slots(session, wanted)
    withdraw_slots(session, done)
    return looked


def deciding(definition: TaskDefinition) -> list[Field]:
    """Name the fields on which it depends whether an item is decided."""
    return [field for field in definition.fields if field.required]


def beginning(definition: TaskDefinition) -> int | None:
    """Say with how many answers an item begins under the adaptive rule; None where it is not for these fields.

    The rule needs a distribution over labels, so every deciding field has one label of a closed list.
    """
    fields = deciding(definition)
    if not fields or any(field.kind not in LABEL_KINDS for field in fields):
        return None
    return max(redundancy.least_for(len(field.options)) for field in fields)


def decide(
    line: int,
    batch: Batch,
    definition: TaskDefinition,
    given: Mapping[str, redundancy.Given],
    fit: Known,
    *,
    settled: bool,
    patient: bool,
) -> dict[str, Decision]:
    """Decide each deciding field of an item under the adaptive rule, from its (worker, label) answers by field."""
    return {
        field.name: redundancy.decide(
            fit.models.get(field.name),
            given[field.name],
            least=batch.answers_wanted,
            most=batch.answers_max,
            settled=settled,
            first=line % redundancy.FIRST_EVERY == 0,
            patient=patient,
        )
        for field in deciding(definition)
    }


class _Look:
    """One item's look: what its answers say, what is decided, what of that is new."""

    def __init__(
        self,
        item: Item,
        batch: Batch,
        definition: TaskDefinition,
        answers: Sequence[Answer],
        before: _Standing,
        fit: Known,
        patient: bool,  # noqa: FBT001
    ) -> None:
        self.item, self.batch, self.answers, self.before, self.fit = item, batch, answers, before, fit
        self.fields = {field.name: _field_outcome(field, answers) for field in definition.fields}
        if item.gold is not None or before.chosen:
            known = (item.gold if item.gold_void_at is None else None) or before.chosen or {}
            self.state = ConsensusState.KNOWN if item.gold is not None else ConsensusState.ADJUDICATED
            for name in known.keys() & self.fields.keys():
                self.fields[name]["winner"] = known[name]
            self.decision = None
        else:
            self.decision = self._decide(definition, patient=patient)
            self.state = STATE_AFTER[self.decision.next]
        self.asks = (
            self.decision is not None
            and self.decision.next == Next.ONE_MORE
            and not before.under_way
            and batch.state != BatchState.CLOSED
            and item.broken_at is None
        )

    def row(self, now: datetime) -> dict[str, Any]:
        """Give the consensus as it is stored."""
        return {
            "item_id": self.item.id,
            "batch_id": self.batch.id,
            "state": self.state,
            "answers": len(self.answers),
            "fields": self.fields,
            "computed_at": now,
            "weighed": {},
            "chosen": None,
        }

    def decisions(self) -> list[dict[str, Any]]:
        """Give the decision that this look brings, if it brings one."""
        kind = self._kind()
        if kind is None or self.decision is None:
            return []
        return [
            {
                "item_id": self.item.id,
                "batch_id": self.batch.id,
                "kind": kind,
                "answers": len(self.answers),
                "winners": self._winners() if self.state == ConsensusState.SETTLED else {},
                "fit_version": self.fit.version if self.decision.confidence is not None else None,
                "reason": self.decision.reason,
                "person_id": None,
            }
        ]

    def _kind(self) -> DecisionKind | None:
        was = self.before.state
        if self.state == ConsensusState.COLLECTING:
            if was not in {None, ConsensusState.COLLECTING}:
                return DecisionKind.REOPENED
            return DecisionKind.ONE_MORE if self.asks else None
        if self.state == ConsensusState.SETTLED:
            return (
                DecisionKind.ENOUGH if was != self.state or self._winners() != self.before.winners else None
            )
        return DecisionKind.CONTESTED if was != self.state else None

    def _winners(self) -> dict[str, Any]:
        return winners(self.fields)

    def _decide(self, definition: TaskDefinition, *, patient: bool) -> Decision:
        wanted = deciding(definition)
        if self.batch.redundancy == Redundancy.FIXED:
            leads = all(self.fields[field.name]["winner"] is not None for field in wanted)
            return redundancy.decide_fixed(
                len(self.answers), leads=leads, least=self.batch.answers_wanted, most=self.batch.answers_max
            )
        given = {
            field.name: [
                (str(answer.worker_id), comparable(field.kind, answer.value[field.name]))
                for answer in self.answers
            ]
            for field in wanted
        }
        settled = self.before.state == ConsensusState.SETTLED
        found = decide(
            self.item.line, self.batch, definition, given, self.fit, settled=settled, patient=patient
        )
        for field in wanted:
            decision = found[field.name]
            value = next((v for v in _options(field) if comparable(field.kind, v) == decision.label), None)
            shown = self.fields[field.name]
            shown["winner"] = value if decision.next == Next.ENOUGH else None
            if decision.confidence is not None:
                shown["confidence"] = round(decision.confidence, 6)
        return redundancy.together(list(found.values()))


def _standing(session: Session, item_ids: Sequence[int]) -> dict[int, _Standing]:
    under_way = func.count(case((Slot.state.in_(UNDER_WAY), 1)))
    waiting = func.count(case((Slot.state == SlotState.WAITING, 1)))
    query = (
        select(
            Slot.item_id,
            func.max(Slot.copy).label("copies"),
            under_way.label("under_way"),
            waiting.label("waiting"),
            Consensus.state,
            Consensus.fields,
            Consensus.chosen,
        )
        .outerjoin(Consensus, Consensus.item_id == Slot.item_id)
        .where(Slot.item_id.in_(item_ids))
        .group_by(Slot.item_id, Consensus.item_id)
    )
    return {
        row.item_id: _Standing(
            row.state, winners(row.fields or {}), row.chosen, row.copies, row.under_way, row.waiting
        )
        for row in session.execute(query)
    }


def _keep(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Store looks; what all answers together and persons said stays."""
    if rows:
        new = upsert(Consensus)
        names = ("state", "answers", "fields", "computed_at")
        session.execute(
            new.on_conflict_do_update(
                index_elements=["item_id"], set_={name: new.excluded[name] for name in names}
            ),
            list(rows),
        )


def _options(field: Field) -> list[str | int]:
    return [option.value for option in field.options]


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
