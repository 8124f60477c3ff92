"""An exclusion keeps one worker from being offered the work of one project, for a while and for a written reason.

A named person decides it, and the worker reads who, why and until when. The worker may contest it once: somebody else
decides within seven days, and silence decides for the worker. It stops new offers of that project and nothing else:
what is in hand may be finished, all of it is paid, and nothing follows the worker elsewhere.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, and_, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks import permits
from tasks.db import Base, new_id
from tasks.errors import Conflict, Invalid, NotFound
from tasks.people import Person, Role

DAYS_MAX: Final = 90
DECIDED_WITHIN: Final = timedelta(days=7)
REASON_CHARACTERS: Final = 2000


class UnknownExclusion(NotFound):
    """There is no such exclusion, or it is not yours."""


class WrongExclusion(Invalid):
    """Somebody is excluded for 1 to 90 days, with a written reason that they will read."""


class ContestEmpty(Invalid):
    """Write what is wrong about it; another person reads and decides it."""


class AlreadyExcluded(Conflict):
    """This worker is excluded from this project already."""


class NotContestable(Conflict):
    """This exclusion was contested already, or it is over."""


class ExclusionDecided(Conflict):
    """This exclusion is not contested, or it has been decided."""


class OwnDecision(Conflict):
    """Another person than the one who decided first decides a contest."""


class ExclusionState(StrEnum):
    """Where an exclusion stands; whatever the state, it ends at `until`."""

    ACTIVE = "active"
    CONTESTED = "contested"
    UPHELD = "upheld"
    LIFTED = "lifted"


class Exclusion(Base):
    """One decision about one worker in one project, with its contest; `decided_by` is empty where silence decided."""

    __tablename__ = "exclusion"
    __table_args__ = (
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("until > created_at AND until <= created_at + interval '90 days'", name="until"),
        CheckConstraint("state IN ('active', 'contested', 'upheld', 'lifted')", name="state"),
        CheckConstraint("(state IN ('upheld', 'lifted')) = (decided_at IS NOT NULL)", name="decided"),
        CheckConstraint(
            "state <> 'upheld' OR (decided_by IS NOT NULL AND decided_by <> by_id AND decision_reason <> '')",
            name="upheld",
        ),
        CheckConstraint("state <> 'contested' OR decide_by IS NOT NULL", name="contested"),
        Index("ix_exclusion_worker", "worker_id", "until"),
        Index("ix_exclusion_project", "project_id"),
        Index("ix_exclusion_due", "decide_by", postgresql_where=text("state = 'contested'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    by_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str]
    created_at: Mapped[datetime]
    until: Mapped[datetime]
    state: Mapped[str] = mapped_column(default=ExclusionState.ACTIVE)
    contest: Mapped[str] = mapped_column(default="")
    contested_at: Mapped[datetime | None]
    decide_by: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    decision_reason: Mapped[str] = mapped_column(default="")
    decided_at: Mapped[datetime | None]


def exclude(
    session: Session, *, project_id: UUID, worker_id: UUID, by: Person, reason: str, days: int, now: datetime
) -> Exclusion:
    """Exclude a worker from a project as a named person. Raises WrongExclusion, AlreadyExcluded."""
    if not reason.strip() or len(reason) > REASON_CHARACTERS:
        raise WrongExclusion(field="reason")
    if not 1 <= days <= DAYS_MAX:
        raise WrongExclusion(field="days")
    # One at a time per worker, so that two at once cannot both pass.
    worker = session.scalars(
        select(Person).where(Person.id == worker_id).with_for_update(key_share=True)
    ).one_or_none()
    if worker is None or worker.role != Role.WORKER:
        raise WrongExclusion("There is no such worker.", field="worker")
    if project_id in in_force(session, worker_id, now):
        raise AlreadyExcluded
    made = Exclusion(
        project_id=project_id,
        worker_id=worker_id,
        by_id=by.id,
        reason=reason.strip(),
        created_at=now,
        until=now + timedelta(days=days),
        state=ExclusionState.ACTIVE,
        contest="",
        decision_reason="",
    )
    session.add(made)
    permits.drop(session, worker_id)
    return made


def in_force(session: Session, worker_id: UUID, now: datetime) -> dict[UUID, Exclusion]:
    """Give what excludes a worker at a moment, by project; a contest that nobody decided in time excludes no more."""
    query = select(Exclusion).where(Exclusion.worker_id == worker_id, _in_force(now))
    return {one.project_id: one for one in session.scalars(query)}


def contest(session: Session, exclusion: Exclusion, reason: str, now: datetime) -> Exclusion:
    """Ask for another person's decision, once. Raises ContestEmpty, NotContestable."""
    if not reason.strip():
        raise ContestEmpty(field="contest")
    held = _locked(session, exclusion)
    if held.state != ExclusionState.ACTIVE or held.until <= now:
        raise NotContestable
    held.state = ExclusionState.CONTESTED
    held.contest = reason.strip()[:REASON_CHARACTERS]
    held.contested_at = now
    held.decide_by = now + DECIDED_WITHIN
    session.flush()
    return held


def decide(
    session: Session, exclusion: Exclusion, by: Person, *, uphold: bool, reason: str, now: datetime
) -> Exclusion:
    """Decide a contest as another named person, in writing. Raises ExclusionDecided, OwnDecision, WrongExclusion."""
    held = _locked(session, exclusion)
    if held.state != ExclusionState.CONTESTED or held.decide_by is None or held.decide_by <= now:
        raise ExclusionDecided
    if by.id in {held.by_id, held.worker_id}:
        raise OwnDecision
    if uphold and not reason.strip():
        raise WrongExclusion("To uphold it you write a reason; the worker reads it.", field="reason")
    _end(held, ExclusionState.UPHELD if uphold else ExclusionState.LIFTED, by.id, reason, now)
    session.flush()
    return held


def withdraw(session: Session, exclusion: Exclusion, by: Person, now: datetime) -> Exclusion:
    """Take an exclusion back before its end; once more is harmless."""
    held = _locked(session, exclusion)
    if held.state != ExclusionState.LIFTED:
        _end(held, ExclusionState.LIFTED, by.id, held.decision_reason, now)
        session.flush()
    return held


def lift_overdue(session: Session, now: datetime) -> int:
    """Lift what was contested and nobody decided in time: silence is for the worker. Gives how many."""
    late = session.scalars(
        select(Exclusion)
        .where(Exclusion.state == ExclusionState.CONTESTED, Exclusion.decide_by <= now)
        .with_for_update(skip_locked=True)
    ).all()
    for one in late:
        _end(one, ExclusionState.LIFTED, None, "", now)
    session.flush()
    return len(late)


def about(session: Session, worker_id: UUID) -> list[Exclusion]:
    """Give all that was decided about a worker, the newest first."""
    query = select(Exclusion).where(Exclusion.worker_id == worker_id)
    return list(session.scalars(query.order_by(Exclusion.created_at.desc(), Exclusion.id.desc())))


def of_project(session: Session, project_id: UUID) -> list[Exclusion]:
    """Give all of a project, the newest first."""
    query = select(Exclusion).where(Exclusion.project_id == project_id)
    return list(session.scalars(query.order_by(Exclusion.created_at.desc(), Exclusion.id.desc())))


def all_running(session: Session, now: datetime) -> list[Exclusion]:
    """Give what is in force anywhere: the contested first, the most urgent of them at the top."""
    query = select(Exclusion).where(_in_force(now))
    return list(session.scalars(query.order_by(Exclusion.decide_by.nulls_last(), Exclusion.created_at)))


def _in_force(now: datetime) -> ColumnElement[bool]:
    waits = and_(Exclusion.state == ExclusionState.CONTESTED, Exclusion.decide_by > now)
    stands = Exclusion.state.in_([ExclusionState.ACTIVE, ExclusionState.UPHELD])
    return and_(Exclusion.until > now, or_(stands, waits))


def _locked(session: Session, exclusion: Exclusion) -> Exclusion:
    query = select(Exclusion).where(Exclusion.id == exclusion.id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def _end(held: Exclusion, state: ExclusionState, by: UUID | None, reason: str, now: datetime) -> None:
    held.state = state
    held.decided_by = by
    held.decision_reason = reason.strip()[:REASON_CHARACTERS]
    held.decided_at = now
