"""A gold item has a known answer: it looks and pays as all work, and its answer is said right after the worker's own.

Each first answer to one is checked once. A worker may contest the known answer; the requester decides within seven
days, and silence decides for the worker. A known answer that falls is void for everybody: no check of it counts any
more, whoever gave the answer. Nothing here has anything to do with pay.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import prod
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, case, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.answers import comparable
from schemas.definition import TaskDefinition
from schemas.fields import Field
from tasks.assignments import Held
from tasks.batches import Batch, BatchKind
from tasks.db import Base, new_id
from tasks.distances import ALIKE_MIN, alike
from tasks.errors import Conflict, Invalid, NotFound
from tasks.items import Item, retire
from tasks.people import Person
from tasks.projects import Definition
from tasks.queue import enqueue_check
from tasks.skills import is_worn

DECIDED_WITHIN: Final = timedelta(days=7)
REASON_CHARACTERS: Final = 2000
CLOSED: Final = ("choice", "rating")
"""Kinds of field with one of a closed list of values."""


class UnknownCheck(NotFound):
    """There is no such known answer, or you did not answer it."""


class NothingToContest(Conflict):
    """This known answer was contested already, or it does not count any more."""


class GoldContestDecided(Conflict):
    """This contest has been decided."""


class WrongGoldContest(Invalid):
    """Write why; whoever reads it decides by it."""


class GoldCheck(Base):
    """Whether a worker's first answer to a gold item was the known one."""

    __tablename__ = "gold_check"
    __table_args__ = (
        Index("ix_gold_check_worker", "project_id", "worker_id", "at"),
        Index("ix_gold_check_item", "item_id", "at"),
        Index("ix_gold_check_batch", "batch_id"),
    )

    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("item.id"))
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    is_right: Mapped[bool]
    at: Mapped[datetime]


class ContestState(StrEnum):
    """Where the contest of a known answer stands."""

    OPEN = "open"
    UPHELD = "upheld"
    REFUSED = "refused"


class GoldContest(Base):
    """A worker's word against a known answer; upheld, the answer is void. `decided_by` is empty for silence."""

    __tablename__ = "gold_contest"
    __table_args__ = (
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("state IN ('open', 'upheld', 'refused')", name="state"),
        CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
        CheckConstraint(
            "state <> 'refused' OR (decided_by IS NOT NULL AND decision_reason <> '')", name="refused"
        ),
        Index("ix_gold_contest_item", "item_id"),
        Index("ix_gold_contest_due", "decide_by", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), unique=True)
    item_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("item.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(default=ContestState.OPEN)
    created_at: Mapped[datetime]
    decide_by: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    decision_reason: Mapped[str] = mapped_column(default="")
    decided_at: Mapped[datetime | None]


@dataclass(frozen=True)
class ItemRecord:
    """How a gold item does: how often it was answered and right; `worn` asks for a look at it."""

    item: Item
    checked: int
    right: int
    worn: bool


def check(session: Session, held: Held, value: dict[str, Any], now: datetime) -> GoldCheck | None:
    """Check a first answer against the known one; None where none is known or it does not count any more."""
    item = session.scalar(
        select(Item).where(Item.id == held.item_id, Item.gold.is_not(None), Item.gold_void_at.is_(None))
    )
    if item is None or item.gold is None:
        return None
    batch = session.get_one(Batch, held.batch_id)
    definition = session.get_one(Definition, batch.definition_id).parsed()
    made = GoldCheck(
        assignment_id=held.id,
        item_id=item.id,
        batch_id=batch.id,
        project_id=batch.project_id,
        worker_id=held.worker_id,
        is_right=is_right(definition, item.gold, value),
        at=now,
    )
    session.add(made)
    session.flush()
    return made


def is_right(definition: TaskDefinition, gold: dict[str, Any], value: dict[str, Any]) -> bool:
    """Tell whether an answer is the known one in every field that is known; marks are, from half in common on."""
    return all(
        field.name in value and _same(field, gold[field.name], value[field.name])
        for field in definition.fields
        if field.name in gold
    )


def chance(definition: TaskDefinition, gold: dict[str, Any]) -> float:
    """Give how often somebody who guesses is right: one in the options of each known field, never for open ones."""
    known = [field for field in definition.fields if field.name in gold]
    return prod(1 / len(field.options) if field.kind in CLOSED else 0.0 for field in known)


def get_check(session: Session, assignment_id: UUID, worker_id: UUID) -> GoldCheck:
    """Fetch a worker's own check. Raises UnknownCheck."""
    found = session.get(GoldCheck, assignment_id)
    if found is None or found.worker_id != worker_id:
        raise UnknownCheck
    return found


def checks_of(session: Session, worker_id: UUID, limit: int = 50) -> list[tuple[GoldCheck, Item]]:
    """Give a worker's checks with their items, the newest first."""
    rows = session.execute(
        select(GoldCheck, Item)
        .join(Item, Item.id == GoldCheck.item_id)
        .where(GoldCheck.worker_id == worker_id)
        .order_by(GoldCheck.at.desc(), GoldCheck.assignment_id)
        .limit(limit)
    )
    return [(one, item) for one, item in rows]


def counts(
    session: Session, project_id: UUID, worker_id: UUID, kind: BatchKind, since: datetime | None = None
) -> tuple[int, int]:
    """Count a worker's right answers and all checked ones in a project's batches of a kind, void ones left out."""
    mine = [GoldCheck.project_id == project_id, GoldCheck.worker_id == worker_id, Batch.kind == kind]
    if since is not None:
        mine.append(GoldCheck.at > since)
    return _counted(session, mine)


def counts_of_others(session: Session, project_id: UUID, worker_id: UUID, kind: BatchKind) -> tuple[int, int]:
    """Count the same of everybody else."""
    return _counted(
        session,
        [GoldCheck.project_id == project_id, GoldCheck.worker_id != worker_id, Batch.kind == kind],
    )


def contest(session: Session, held: GoldCheck, reason: str, now: datetime) -> GoldContest:
    """Say that a known answer is wrong. Raises WrongGoldContest, NothingToContest."""
    if not reason.strip():
        raise WrongGoldContest(field="reason")
    item = session.scalars(
        select(Item)
        .where(Item.id == held.item_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if contest_of(session, held.assignment_id) is not None or item.gold_void_at is not None:
        raise NothingToContest
    made = GoldContest(
        assignment_id=held.assignment_id,
        item_id=held.item_id,
        worker_id=held.worker_id,
        reason=reason.strip()[:REASON_CHARACTERS],
        state=ContestState.OPEN,
        created_at=now,
        decide_by=now + DECIDED_WITHIN,
        decision_reason="",
    )
    session.add(made)
    session.flush()
    return made


def decide(
    session: Session, made: GoldContest, by: Person, *, uphold: bool, reason: str, now: datetime
) -> set[UUID]:
    """Decide a contest as a named person; gives the workers whose records changed.

    Raises GoldContestDecided, WrongGoldContest for a refusal without a reason.
    """
    held = session.scalars(
        select(GoldContest)
        .where(GoldContest.id == made.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if held.state != ContestState.OPEN:
        raise GoldContestDecided
    if not uphold and not reason.strip():
        raise WrongGoldContest(field="reason")
    held.decision_reason = reason.strip()[:REASON_CHARACTERS]
    if uphold:
        return _void(session, held.item_id, by.id, now)
    held.state, held.decided_by, held.decided_at = ContestState.REFUSED, by.id, now
    session.flush()
    return set()


def uphold_overdue(session: Session, now: datetime) -> dict[UUID, set[UUID]]:
    """Uphold what nobody decided in time; gives by project the workers whose records changed."""
    late = session.scalars(
        select(GoldContest)
        .where(GoldContest.state == ContestState.OPEN, GoldContest.decide_by <= now)
        .with_for_update(skip_locked=True)
    ).all()
    changed: dict[UUID, set[UUID]] = {}
    for item_id in {held.item_id for held in late}:
        batch = session.get_one(Batch, session.get_one(Item, item_id).batch_id)
        changed.setdefault(batch.project_id, set()).update(_void(session, item_id, None, now))
    return changed


def asked(session: Session, batch_id: UUID) -> int:
    """Count the items of a batch whose answer is not known."""
    query = select(func.count()).where(Item.batch_id == batch_id, Item.gold.is_(None))
    return session.scalar(query) or 0


def contests_of(session: Session, batch_id: UUID) -> list[tuple[GoldContest, Item]]:
    """Give the contests of a batch that wait for a decision with their items, the most urgent first."""
    rows = session.execute(
        select(GoldContest, Item)
        .join(Item, Item.id == GoldContest.item_id)
        .where(Item.batch_id == batch_id, GoldContest.state == ContestState.OPEN)
        .order_by(GoldContest.decide_by, GoldContest.id)
    )
    return [(one, item) for one, item in rows]


def records_of(session: Session, batch_id: UUID, limit: int = 200) -> list[ItemRecord]:
    """Give how a batch's gold items do, those that ask for a look first, then the most answered."""
    place = func.row_number().over(partition_by=GoldCheck.item_id, order_by=GoldCheck.at)
    of_item = func.count().over(partition_by=GoldCheck.item_id)
    numbered = (
        select(GoldCheck.item_id, GoldCheck.is_right, (2 * place > of_item).label("late"))
        .where(GoldCheck.batch_id == batch_id)
        .subquery()
    )
    right = func.sum(case((numbered.c.is_right, 1), else_=0))
    rows = session.execute(
        select(numbered.c.item_id, numbered.c.late, func.count(), right).group_by(
            numbered.c.item_id, numbered.c.late
        )
    )
    halves: dict[int, dict[bool, tuple[int, int]]] = {}
    for item_id, late, checked, good in rows:
        halves.setdefault(item_id, {})[late] = (good, checked)
    items = session.scalars(select(Item).where(Item.id.in_(halves), Item.gold_void_at.is_(None)))
    found = []
    for item in items:
        early, late = halves[item.id].get(False, (0, 0)), halves[item.id].get(True, (0, 0))
        found.append(ItemRecord(item, early[1] + late[1], early[0] + late[0], is_worn(*early, *late)))
    return sorted(found, key=lambda one: (not one.worn, -one.checked, one.item.id))[:limit]


def contest_of(session: Session, assignment_id: UUID) -> GoldContest | None:
    """Give the contest of one check, if there is one."""
    return session.scalar(select(GoldContest).where(GoldContest.assignment_id == assignment_id))


def _same(field: Field, known: Any, given: Any) -> bool:
    texts = [comparable(field.kind, known), comparable(field.kind, given)]
    return alike(field.kind, texts) >= ALIKE_MIN


def _counted(session: Session, conditions: Collection[Any]) -> tuple[int, int]:
    query = (
        select(func.count().filter(GoldCheck.is_right), func.count())
        .join(Item, Item.id == GoldCheck.item_id)
        .join(Batch, Batch.id == GoldCheck.batch_id)
        .where(Item.gold_void_at.is_(None), *conditions)
    )
    right, checked = session.execute(query).one()
    return right, checked


def _void(session: Session, item_id: int, by_id: UUID | None, now: datetime) -> set[UUID]:
    """Let a known answer fall for everybody, and with it all contests of it; gives whose records changed."""
    session.execute(update(Item).where(Item.id == item_id).values(gold_void_at=now))
    session.execute(
        update(GoldContest)
        .where(GoldContest.item_id == item_id, GoldContest.state == ContestState.OPEN)
        .values(state=ContestState.UPHELD, decided_at=now, decided_by=by_id)
    )
    retire(session, session.get_one(Item, item_id))
    enqueue_check(session, item_id)
    return set(session.scalars(select(GoldCheck.worker_id).where(GoldCheck.item_id == item_id)))
