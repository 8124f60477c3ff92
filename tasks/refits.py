"""Refits: all answers of a batch are weighed together from time to time, and what that changes is decided again.

Not at each answer: after so many new ones or so much time. A refit makes a new version of the batch's fit, writes
winner and confidence to the items, and has only those looked at whose decision changed under it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from schemas.answers import comparable
from schemas.definition import TaskDefinition
from schemas.fields import Field
from schemas.words import taken_apart
from tasks import fits, redundancy
from tasks.aggregators import Outcome, dawid_skene, mix
from tasks.agreement import Answers, Measure
from tasks.answers import Answer
from tasks.batches import Batch, BatchState, Redundancy, open_batches
from tasks.consensus import UNDER_WAY, Consensus, ConsensusState
from tasks.distances import measures
from tasks.fits import Fit, Known
from tasks.items import Item, Slot, SlotState
from tasks.looks import LABEL_KINDS, STATE_AFTER, Looked, check_items, decide, deciding
from tasks.projects import Definition
from tasks.redundancy import Model, Next

ANSWERS_MIN: Final = 200
ANSWERS_SHARE: Final = 0.02
"""A batch is weighed again after so many new answers, or after this share of those weighed, whichever is more."""
SECONDS_MAX: Final = 60
"""Or after so long, if there are new answers at all."""
ROWS_AT_ONCE: Final = 1000

Rows = list[tuple[int, str, Mapping[str, Any]]]
"""A batch's current answers as (item, worker, value)."""


def is_due(session: Session, batch_id: UUID, now: datetime) -> bool:
    """Tell whether enough new answers have come, or enough time has passed since; reads only the new ones."""
    seen = session.execute(
        select(Fit.answers, Fit.last_answer_id, Fit.computed_at).where(Fit.batch_id == batch_id)
    ).one_or_none()
    since = (
        select(Answer.id)
        .where(
            Answer.batch_id == batch_id, Answer.is_current, Answer.id > (seen.last_answer_id if seen else 0)
        )
        .order_by(Answer.id)
    )
    wanted = max(ANSWERS_MIN, int(ANSWERS_SHARE * seen.answers)) if seen else ANSWERS_MIN
    if seen and now - seen.computed_at >= timedelta(seconds=SECONDS_MAX):
        wanted = 1
    return session.scalar(since.offset(wanted - 1).limit(1)) is not None


def is_stalled(session: Session, batch: Batch) -> bool:
    """Tell whether nothing goes on in an open batch though items wait: nothing but a refit will move them."""
    if batch.state != BatchState.OPEN or batch.redundancy != Redundancy.ADAPTIVE:
        return False
    under_way = select(Slot.id).where(Slot.batch_id == batch.id, Slot.state.in_(UNDER_WAY))
    undecided = (
        select(Consensus.item_id)
        .join(Item, Item.id == Consensus.item_id)
        .where(
            Consensus.batch_id == batch.id,
            Consensus.state == ConsensusState.COLLECTING,
            Item.broken_at.is_(None),
        )
    )
    return session.scalar(under_way.limit(1)) is None and session.scalar(undecided.limit(1)) is not None


def stale_batches(session: Session) -> list[UUID]:
    """Find batches with answers that no fit has weighed yet, and those that stand still."""
    newest = (
        select(Answer.id)
        .where(Answer.batch_id == Batch.id, Answer.is_current)
        .order_by(Answer.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(Batch.id)
        .outerjoin(Fit, Fit.batch_id == Batch.id)
        .where(Batch.state != BatchState.DRAFT, newest > func.coalesce(Fit.last_answer_id, 0))
    )
    found = list(session.scalars(query))
    return found + [
        batch.id for batch in open_batches(session) if batch.id not in found and is_stalled(session, batch)
    ]


def refit(session: Session, batch: Batch, now: datetime) -> list[Looked]:
    """Weigh all answers of a batch together and decide again what that changes; does nothing if none are new.

    Gives the items that were looked at again.
    """
    fit = _locked(session, batch, now)
    newest = session.scalar(select(func.max(Answer.id)).where(Answer.batch_id == batch.id, Answer.is_current))
    if fit is None or newest is None:
        return []
    if newest <= fit.last_answer_id and not is_stalled(session, batch):
        return []
    definition = session.get_one(Definition, batch.definition_id).parsed()
    rows, gold = current_answers(session, batch.id), _gold(session, batch.id)
    found: dict[int, dict[str, Any]] = {}
    models: dict[str, Model] = {}
    agreement = []
    for field in definition.fields:
        answers = of_field(field, rows)
        agreement.append(_measured(field, answers))
        if field.kind in LABEL_KINDS:
            known = {
                str(item_id): comparable(field.kind, value[field.name])
                for item_id, value in gold.items()
                if value.get(field.name) is not None
            }
            models |= _model(field, answers, known, fit.version + 1)
            _weigh(field, mix(answers, gold=known), found)
    fit.version += 1
    fit.answers, fit.last_answer_id, fit.computed_at = len(rows), newest, now
    fit.agreement, fit.models = agreement, fits.pack(models)
    session.flush()
    _write(session, found)
    return _decide_again(session, batch, definition, rows, Known(fit.version, models), now)


def of_field(field: Field, rows: Iterable[tuple[int, str, Mapping[str, Any]]]) -> Answers:
    """Give a field's answers for measures, over the field's own labels where these are a closed list."""
    classes = (
        [comparable(field.kind, option.value) for option in field.options]
        if field.kind in LABEL_KINDS
        else None
    )
    given = (
        (str(item_id), worker, comparable(field.kind, value[field.name]))
        for item_id, worker, value in rows
        if value.get(field.name) is not None
    )
    return Answers.of(given, classes)


def current_answers(session: Session, batch_id: UUID) -> Rows:
    """Give a batch's current answers in the order of their coming."""
    query = (
        select(Answer.item_id, Answer.worker_id, Answer.value)
        .where(Answer.batch_id == batch_id, Answer.is_current)
        .order_by(Answer.id)
    )
    return [(item_id, str(worker_id), value) for item_id, worker_id, value in session.execute(query)]


def _locked(session: Session, batch: Batch, now: datetime) -> Fit | None:
    """Hold the batch's fit, made empty if there is none; None while somebody else weighs."""
    empty = {"batch_id": batch.id, "version": 0, "answers": 0, "last_answer_id": 0}
    session.execute(
        upsert(Fit)
        .values(empty | {"agreement": [], "models": fits.pack({}), "computed_at": now})
        .on_conflict_do_nothing()
    )
    return session.scalar(
        select(Fit)
        .where(Fit.batch_id == batch.id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _gold(session: Session, batch_id: UUID) -> dict[int, Mapping[str, Any]]:
    query = select(Item.id, Item.gold).where(
        Item.batch_id == batch_id, Item.gold.is_not(None), Item.gold_void_at.is_(None)
    )
    return {item_id: gold for item_id, gold in session.execute(query)}  # noqa: C416


def _model(field: Field, answers: Answers, gold: Mapping[str, str], version: int) -> dict[str, Model]:
    """Fit a model on the items of which more than one answer, or the truth, is known."""
    known = redundancy.repeated(answers)
    if not len(known):
        return {}
    return {field.name: redundancy.fit(dawid_skene(known, gold=gold), known, version)}


def _weigh(field: Field, outcome: Outcome, found: dict[int, dict[str, Any]]) -> None:
    for item, label, confidence in zip(outcome.items, outcome.labels, outcome.confidence, strict=True):
        value = None if label is None else json.loads(label)
        found.setdefault(int(item), {})[field.name] = {
            "winner": value,
            "confidence": round(float(confidence), 6),
        }


def _measured(field: Field, answers: Answers) -> dict[str, Any]:
    found = measures(field.kind, answers)
    return {
        "field": field.name,
        "label": field.label,
        "answers": len(answers),
        "items": len(answers.items),
        "workers": len(answers.workers),
        "metric": found.metric,
        **{name: _kept(getattr(found, name)) for name in ("alpha", "percent", "ac1")},
    }


def _kept(measure: Measure) -> dict[str, Any]:
    return {"value": measure.value, "why": taken_apart(measure.why)}


_WRITE: Final = text("""
    UPDATE consensus SET weighed = new.weighed
    FROM (SELECT unnest(CAST(:ids AS bigint[])) AS item_id, unnest(CAST(:said AS text[]))::jsonb AS weighed) AS new
    WHERE consensus.item_id = new.item_id AND consensus.weighed IS DISTINCT FROM new.weighed
""")


def _write(session: Session, found: Mapping[int, Mapping[str, Any]]) -> None:
    """Write what all answers say to the items, one statement for many; what is the same stays untouched."""
    for some in _portions(sorted(found)):
        session.execute(_WRITE, {"ids": list(some), "said": [json.dumps(found[one]) for one in some]})


def _decide_again(
    session: Session, batch: Batch, definition: TaskDefinition, rows: Rows, fit: Known, now: datetime
) -> list[Looked]:
    """Look again at the items whose decision is another one under the new fit, and take back what nobody needs."""
    under_way = set(
        session.scalars(
            select(Slot.item_id).where(Slot.batch_id == batch.id, Slot.state.in_(UNDER_WAY)).distinct()
        )
    )
    changed: list[int] = []
    if batch.redundancy == Redundancy.ADAPTIVE:
        changed = _changed(session, batch, definition, rows, fit, under_way)
    looked = [
        one
        for some in _portions(sorted(changed))
        for one in check_items(session, some, now, patient=bool(under_way))
    ]
    # A lease that ran out after its item was settled has put its slot back.
    settled = select(Consensus.item_id).where(
        Consensus.item_id == Slot.item_id,
        Consensus.state.in_([ConsensusState.SETTLED, ConsensusState.ADJUDICATED]),
    )
    session.execute(
        update(Slot)
        .where(
            Slot.batch_id == batch.id, Slot.state.in_([SlotState.OPEN, SlotState.WAITING]), settled.exists()
        )
        .values(state=SlotState.WITHDRAWN)
    )
    return looked


def _changed(
    session: Session,
    batch: Batch,
    definition: TaskDefinition,
    rows: Rows,
    fit: Known,
    under_way: set[int],
) -> list[int]:
    given: dict[int, dict[str, list[tuple[str, str]]]] = {}
    for item_id, worker, value in rows:
        of_item = given.setdefault(item_id, {field.name: [] for field in deciding(definition)})
        for field in deciding(definition):
            of_item[field.name].append((worker, comparable(field.kind, value[field.name])))
    query = (
        select(Item.id, Item.line, Consensus.state)
        .join(Consensus, Consensus.item_id == Item.id)
        .where(
            Item.batch_id == batch.id,
            Item.broken_at.is_(None),
            Consensus.state.not_in([ConsensusState.KNOWN, ConsensusState.ADJUDICATED]),
        )
    )
    changed = []
    for item_id, line, state in session.execute(query):
        if item_id not in given:
            continue
        settled, waits = state == ConsensusState.SETTLED, item_id not in under_way
        found = decide(line, batch, definition, given[item_id], fit, settled=settled, patient=bool(under_way))
        decision = redundancy.together(list(found.values()))
        if STATE_AFTER[decision.next] != state or (decision.next == Next.ONE_MORE and waits):
            changed.append(item_id)
    return changed


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + ROWS_AT_ONCE] for start in range(0, len(ids), ROWS_AT_ONCE))
