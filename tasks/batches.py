"""A batch is a set of items uploaded together, with one task definition and one number of wanted answers.

States: draft → open ⇄ paused → closed. Only funded work is served, so it is not this package that opens a batch:
whoever answers for its cost calls `open_batch`. Pausing and closing stop new offers, never finished work.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, false, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base, new_id
from tasks.errors import Conflict, NotFound
from tasks.items import Item, Slot, SlotState
from tasks.names import check_name
from tasks.people import Person
from tasks.projects import Definition, Project

LEASE_SECONDS_MIN: Final = 900
"""What a lease lasts that nobody set and no answers speak for."""
LEASE_SECONDS_MAX: Final = 86_400


class UnknownBatch(NotFound):
    """There is no such batch, or it is not yours."""


class BatchNotDraft(Conflict):
    """This batch is open or was open; only a draft can be changed."""


class BatchClosed(Conflict):
    """This batch is closed."""


class BatchEmpty(Conflict):
    """This batch has no items yet; upload some first."""


class NotAllKnown(Conflict):
    """Each item of a training or qualification batch needs its known answer, and one here has none."""


class OnlyKnown(Conflict):
    """All answers of this batch are known already; make it a training or a qualification."""


class BatchState(StrEnum):
    """Where a batch stands."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


class Redundancy(StrEnum):
    """How many answers an item gets: as many as it takes (`tasks/redundancy.py`), or a fixed number."""

    ADAPTIVE = "adaptive"
    FIXED = "fixed"


class BatchKind(StrEnum):
    """What a batch is for: work whose answers are wanted, or known answers by which workers learn or qualify."""

    WORK = "work"
    TRAINING = "training"
    QUALIFICATION = "qualification"


class Batch(Base):
    """Items uploaded together.

    An item gets `answers_wanted` answers, and more one at a time where they do not decide it, up to `answers_max`;
    money is set aside for `answers_expected` on average. With `needs_qualification` only those who qualified in the
    project are offered it.
    """

    __tablename__ = "batch"
    __table_args__ = (
        CheckConstraint("answers_wanted BETWEEN 1 AND 100", name="answers_wanted"),
        CheckConstraint("answers_max >= answers_wanted", name="answers_max"),
        CheckConstraint("answers_expected BETWEEN answers_wanted AND answers_max", name="answers_expected"),
        CheckConstraint("kind IN ('work', 'training', 'qualification')", name="kind"),
        CheckConstraint("kind = 'work' OR NOT needs_qualification", name="needs_qualification"),
        CheckConstraint("lease_seconds BETWEEN 60 AND 86400", name="lease_seconds"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"), index=True)
    definition_id: Mapped[UUID] = mapped_column(ForeignKey("definition.id"))
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default=BatchKind.WORK, server_default=BatchKind.WORK)
    needs_qualification: Mapped[bool] = mapped_column(default=False, server_default=false())
    state: Mapped[str] = mapped_column(default=BatchState.DRAFT)
    pause_reason: Mapped[str] = mapped_column(default="")
    redundancy: Mapped[str] = mapped_column(default=Redundancy.FIXED)
    answers_wanted: Mapped[int]
    answers_max: Mapped[int]
    answers_expected: Mapped[int]
    lease_seconds: Mapped[int]
    lease_set: Mapped[bool] = mapped_column(default=False)
    """Whether the requester said how long a lease lasts; else the batch's own answers do."""
    languages: Mapped[list[str]] = mapped_column(default=list)
    content_classes: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


FULL_NAME: Final[ColumnElement[str]] = Project.name + ": " + Batch.name
"""How a batch is called wherever its project is not named beside it: on pages, payslips and in the books."""


@dataclass(frozen=True)
class Named:
    """How a batch is called, and for whom its work is done."""

    title: str
    requester: str


def named(session: Session, batch_ids: Collection[UUID]) -> dict[UUID, Named]:
    """Name batches."""
    rows = session.execute(
        select(Batch.id, FULL_NAME, Person.organisation, Person.name)
        .join(Project, Project.id == Batch.project_id)
        .join(Person, Person.id == Project.requester_id)
        .where(Batch.id.in_(batch_ids))
    )
    return {batch_id: Named(title, organisation or name) for batch_id, title, organisation, name in rows}


def create_batch(
    session: Session,
    *,
    project: Project,
    definition: Definition,
    name: str,
    now: datetime,
    redundancy: Redundancy = Redundancy.FIXED,
    answers_wanted: int = 3,
    answers_max: int | None = None,
    answers_expected: int | None = None,
    lease_seconds: int | None = None,
    languages: list[str] | None = None,
    kind: BatchKind = BatchKind.WORK,
    needs_qualification: bool = False,
) -> Batch:
    """Make a draft batch; it asks for up to two answers more where workers disagree, unless told otherwise.

    Raises HiddenCharacter.
    """
    check_name(name)
    batch = Batch(
        project_id=project.id,
        definition_id=definition.id,
        name=name,
        kind=kind,
        needs_qualification=needs_qualification and kind == BatchKind.WORK,
        state=BatchState.DRAFT,
        pause_reason="",
        redundancy=redundancy,
        answers_wanted=answers_wanted,
        answers_expected=answers_expected if answers_expected is not None else answers_wanted,
        answers_max=answers_max if answers_max is not None else answers_wanted + 2,
        lease_seconds=lease_seconds or LEASE_SECONDS_MIN,
        lease_set=lease_seconds is not None,
        languages=languages or [],
        content_classes=list(definition.parsed().content_classes),
        created_at=now,
    )
    session.add(batch)
    session.flush()
    return batch


def get_batch(session: Session, batch_id: UUID) -> Batch:
    """Fetch a batch. Raises UnknownBatch."""
    batch = session.get(Batch, batch_id)
    if batch is None:
        raise UnknownBatch
    return batch


def lock_batch(session: Session, batch_id: UUID) -> Batch:
    """Fetch a batch and hold it to the end of the transaction. Raises UnknownBatch."""
    # No key changes, so that the foreign keys of claims, answers and proofs need not wait.
    batch = session.scalar(
        select(Batch)
        .where(Batch.id == batch_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if batch is None:
        raise UnknownBatch
    return batch


def open_batch(session: Session, batch: Batch, now: datetime) -> None:
    """Serve the batch. Call only for funded slots. Raises BatchClosed, BatchEmpty, NotAllKnown, OnlyKnown."""
    if batch.state == BatchState.CLOSED:
        raise BatchClosed
    if session.scalar(select(Item.id).where(Item.batch_id == batch.id).limit(1)) is None:
        raise BatchEmpty
    asked = select(Item.id).where(Item.batch_id == batch.id, Item.gold.is_(None)).limit(1)
    has_unknown = session.scalar(asked) is not None
    if batch.kind != BatchKind.WORK and has_unknown:
        raise NotAllKnown
    if batch.kind == BatchKind.WORK and not has_unknown:
        raise OnlyKnown
    batch.state = BatchState.OPEN
    batch.pause_reason = ""
    batch.opened_at = batch.opened_at or now
    session.flush()


def pause_batch(session: Session, batch: Batch, reason: str) -> None:
    """Stop new offers; leases go on. Raises BatchClosed."""
    if batch.state == BatchState.CLOSED:
        raise BatchClosed
    batch.state = BatchState.PAUSED
    batch.pause_reason = reason
    session.flush()


def close_batch(session: Session, batch: Batch, now: datetime) -> None:
    """End the batch: unserved slots are withdrawn, leased ones may still be finished."""
    session.execute(
        update(Slot)
        .where(Slot.batch_id == batch.id, Slot.state.in_([SlotState.WAITING, SlotState.OPEN]))
        .values(state=SlotState.WITHDRAWN)
    )
    batch.state = BatchState.CLOSED
    batch.closed_at = batch.closed_at or now
    session.flush()


def fit_lease(session: Session, batch: Batch, typical_seconds: int) -> None:
    """Let leases of a batch last three times as long as its answers typically take, unless the requester said how long.

    They last from a quarter of an hour to a day; what is in hand already gets the new length when it is renewed.
    """
    if not batch.lease_set:
        batch.lease_seconds = min(max(3 * typical_seconds, LEASE_SECONDS_MIN), LEASE_SECONDS_MAX)
        session.flush()


def batches_of(session: Session, projects: Collection[UUID]) -> dict[UUID, list[Batch]]:
    """Give the batches of each project, the newest first."""
    found: dict[UUID, list[Batch]] = {project: [] for project in projects}
    query = select(Batch).where(Batch.project_id.in_(projects)).order_by(Batch.id.desc())
    for batch in session.scalars(query):
        found[batch.project_id].append(batch)
    return found


def open_batches(session: Session) -> list[Batch]:
    """Give the batches that are being served, the earliest opened first."""
    return list(
        session.scalars(
            select(Batch).where(Batch.state == BatchState.OPEN).order_by(Batch.opened_at, Batch.id)
        )
    )


def open_of_kind(session: Session, project_id: UUID, kind: BatchKind) -> Batch | None:
    """Give a project's newest open batch of a kind."""
    query = select(Batch).where(
        Batch.project_id == project_id, Batch.kind == kind, Batch.state == BatchState.OPEN
    )
    return session.scalar(query.order_by(Batch.id.desc()).limit(1))


def slot_counts(session: Session, batches: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """Count the slots of each batch by state."""
    counts: dict[UUID, dict[str, int]] = {batch: dict.fromkeys(SlotState, 0) for batch in batches}
    query = select(Slot.batch_id, Slot.state, func.count()).where(Slot.batch_id.in_(batches))
    for batch_id, state, count in session.execute(query.group_by(Slot.batch_id, Slot.state)):
        counts[batch_id][state] = count
    return counts


def item_counts(session: Session, batches: Collection[UUID]) -> dict[UUID, int]:
    """Count the items of each batch."""
    query = select(Item.batch_id, func.count()).where(Item.batch_id.in_(batches)).group_by(Item.batch_id)
    return dict.fromkeys(batches, 0) | {batch_id: count for batch_id, count in session.execute(query)}  # noqa: C416
