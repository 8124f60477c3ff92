"""A qualification is what a worker's paid answers to a project's qualification batches say: enough, or not for now.

It belongs to one project, and no mark of it follows anybody elsewhere. Who is stopped reads the numbers, may try again
after a week with items that they have not had, and may contest each known answer. Outcomes are only ever added, with
the rule's version and all that they rest on; a named person may let somebody in besides.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks import gold, permits
from tasks.append_only import attach, only_grows
from tasks.batches import Batch, BatchKind
from tasks.db import Base
from tasks.items import Item
from tasks.people import Person
from tasks.projects import Definition
from tasks.skills import RULE, Judged, Verdict, judge

AGAIN_AFTER: Final = timedelta(days=7)


class Qualification(Base):
    """One outcome for one worker in one project; the newest counts. `by_id` is set where a person let them in."""

    __tablename__ = "qualification"
    __table_args__ = (
        CheckConstraint("outcome IN ('passed', 'stopped')", name="outcome"),
        CheckConstraint("(outcome = 'stopped') = (again_at IS NOT NULL)", name="again"),
        CheckConstraint("by_id IS NULL OR (outcome = 'passed' AND reason <> '')", name="by_a_person"),
        Index("ix_qualification_worker", "worker_id", "project_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    outcome: Mapped[str]
    right: Mapped[int]
    checked: Mapped[int]
    rule: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str]
    at: Mapped[datetime]
    again_at: Mapped[datetime | None]


attach(Qualification.__table__, only_grows("qualification"))


def latest(session: Session, worker_id: UUID) -> dict[UUID, Qualification]:
    """Give a worker's newest outcome in each project."""
    query = select(Qualification).where(Qualification.worker_id == worker_id)
    return {one.project_id: one for one in session.scalars(query.order_by(Qualification.id))}


def standing(session: Session, project_id: UUID, worker_id: UUID) -> Judged:
    """Judge what a worker has answered since they were last stopped, against what others get right."""
    before = session.scalar(
        select(Qualification.at)
        .where(
            Qualification.project_id == project_id,
            Qualification.worker_id == worker_id,
            Qualification.outcome == Verdict.STOPPED,
        )
        .order_by(Qualification.id.desc())
        .limit(1)
    )
    return _judged(session, project_id, worker_id, before)


def consider(session: Session, project_id: UUID, worker_id: UUID, now: datetime) -> Qualification | None:
    """Store an outcome as soon as there is one; gives the newest. A worker who has passed stays so."""
    known = latest(session, worker_id).get(project_id)
    if known is not None and known.outcome == Verdict.PASSED:
        return known
    found = standing(session, project_id, worker_id)
    return known if found.verdict is Verdict.OPEN else _store(session, project_id, worker_id, found, now)


def reconsider_all(session: Session, project_id: UUID, workers: Collection[UUID], now: datetime) -> None:
    """Look again at all answers of stopped workers because a known answer fell; it can only let them in."""
    for worker_id in sorted(workers):
        known = latest(session, worker_id).get(project_id)
        if known is not None and known.outcome == Verdict.STOPPED:
            found = _judged(session, project_id, worker_id, None)
            if found.verdict is Verdict.PASSED:
                _store(session, project_id, worker_id, found, now)


def let_in(
    session: Session, project_id: UUID, worker_id: UUID, by: Person, reason: str, now: datetime
) -> Qualification:
    """Let a worker in as a named person, with a written reason, whatever the numbers say."""
    found = standing(session, project_id, worker_id)
    return _store(session, project_id, worker_id, found, now, by=by, reason=reason.strip())


def _judged(session: Session, project_id: UUID, worker_id: UUID, since: datetime | None) -> Judged:
    kind = BatchKind.QUALIFICATION
    right, checked = gold.counts(session, project_id, worker_id, kind, since)
    others = gold.counts_of_others(session, project_id, worker_id, kind)
    return judge(right, checked, *others, _chance(session, project_id))


def _chance(session: Session, project_id: UUID) -> float:
    """Give what guessing brings, by the newest definition under which the project has a qualification."""
    found = session.execute(
        select(Item.gold, Batch.definition_id)
        .join(Batch, Batch.id == Item.batch_id)
        .where(Batch.project_id == project_id, Batch.kind == BatchKind.QUALIFICATION, Item.gold.is_not(None))
        .order_by(Batch.created_at.desc())
        .limit(1)
    ).first()
    if found is None or found.gold is None:
        return 0.0
    return gold.chance(session.get_one(Definition, found.definition_id).parsed(), found.gold)


def _store(
    session: Session,
    project_id: UUID,
    worker_id: UUID,
    found: Judged,
    now: datetime,
    by: Person | None = None,
    reason: str = "",
) -> Qualification:
    outcome = Verdict.PASSED if by is not None else found.verdict
    # What the worker may be given changes with it; the lock keeps a look that goes on from granting the old again.
    session.execute(select(Person.id).where(Person.id == worker_id).with_for_update(key_share=True))
    permits.drop(session, worker_id)
    made = Qualification(
        project_id=project_id,
        worker_id=worker_id,
        outcome=outcome,
        right=found.right,
        checked=found.checked,
        rule=RULE,
        evidence={
            "others": round(found.others, 6),
            "chance": round(found.chance, 6),
            "bar": round(found.bar, 6),
            "surely": round(found.surely, 6),
        },
        by_id=by.id if by else None,
        reason=reason,
        at=now,
        again_at=now + AGAIN_AFTER if outcome == Verdict.STOPPED else None,
    )
    session.add(made)
    session.flush()
    return made
