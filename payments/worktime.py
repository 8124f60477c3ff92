"""Working time: what the proofs of a worker are worth together with the time that the worker adds.

A declaration is time worked but not measured. It is accepted by rule while it is small, else by a named person, and
silence accepts it; it never takes measured time away. Credited time is never stored: it is computed from proofs and
declarations, so that whoever has them computes the same.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.paid_time import (
    Category,
    Declared,
    Event,
    Gap,
    Kind,
    Share,
    allocate,
    measure,
    second_of,
    split,
    uncredited,
)
from payments.proofs import (
    CLIENT_KINDS,
    Proof,
    WrongProof,
    end_assignment,
    events_of,
    open_assignment,
    record,
    worked_on,
)
from payments.terms import PayTerms
from tasks import permits
from tasks.assignments import Assignment
from tasks.db import Base, new_id
from tasks.errors import Conflict, Invalid, NotFound
from tasks.people import Person, get_person

# Whoever deals with working time needs nothing but this file.
__all__ = ["CLIENT_KINDS", "Proof", "WrongProof", "end_assignment", "open_assignment", "record"]

GRACE_WITHOUT_TERMS: Final = 120
DECLARED_BACK: Final = timedelta(days=30)
DECLARED_MAX: Final = timedelta(hours=24)
DAY_FREE: Final = 15 * 60
MONTH_FREE: Final = 2 * 3600
DECIDED_WITHIN: Final = timedelta(days=7)
REASON_CHARACTERS: Final = 2000
BY_RULE: Final = "rule"
BY_SILENCE: Final = "silence"


class WrongDeclaration(Invalid):
    """This time cannot be added."""


class NotServedThere(WrongDeclaration):
    """You have not been served work of this batch; add the time without a batch."""


class UnknownDeclaration(NotFound):
    """There is no such declaration, or it is not yours."""


class AlreadyDecided(Conflict):
    """This declaration has been decided."""


class ReasonMissing(Invalid):
    """A refusal needs a written reason: the worker reads it and may contest it."""


class DeclarationState(StrEnum):
    """Where a declaration stands."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REFUSED = "refused"


class Declaration(Base):
    """Time that a worker says was worked."""

    __tablename__ = "declaration"
    __table_args__ = (
        CheckConstraint("start_at < end_at", name="span"),
        CheckConstraint("state IN ('accepted', 'pending', 'refused')", name="state"),
        CheckConstraint(
            "state <> 'refused' OR (decision_reason <> '' AND accepted_by <> '')", name="refusal"
        ),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided"),
        Index("ix_declaration_worker", "worker_id", "end_at"),
        Index("ix_declaration_due", "decide_by", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("batch.id"))
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    added_seconds: Mapped[int]
    category: Mapped[str]
    reason: Mapped[str]
    state: Mapped[str]
    accepted_by: Mapped[str] = mapped_column(default="")
    decision_reason: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    decide_by: Mapped[datetime]
    decided_at: Mapped[datetime | None]


def declare(
    session: Session,
    *,
    worker_id: UUID,
    batch_id: UUID | None,
    start: datetime,
    end: datetime,
    reason: str,
    now: datetime,
    category: Category | None = None,
) -> Declaration:
    """Add time that was worked but not measured. Raises WrongDeclaration, NotServedThere."""
    category = category or (Category.A if batch_id else Category.F)
    _check_declaration(session, worker_id, batch_id, start, end, reason, now, category)
    # One at a time per worker, so that two at once cannot both pass under the limit.
    session.execute(select(Person.id).where(Person.id == worker_id).with_for_update(key_share=True))
    covered = sum(share.seconds for share in shares_of(session, worker_id, start, end))
    added = max(0, second_of(end, Kind.submit) - second_of(start, Kind.open) - covered)
    by_rule = _within_free(session, get_person(session, worker_id), start, added)
    made = Declaration(
        worker_id=worker_id,
        batch_id=batch_id,
        start_at=start,
        end_at=end,
        added_seconds=added,
        category=category,
        reason=reason.strip(),
        state=DeclarationState.ACCEPTED if by_rule else DeclarationState.PENDING,
        accepted_by=BY_RULE if by_rule else "",
        decision_reason="",
        created_at=now,
        decide_by=now if by_rule else now + DECIDED_WITHIN,
        decided_at=now if by_rule else None,
    )
    session.add(made)
    # Their hours may have reached a limit.
    permits.drop(session, worker_id)
    return made


def get_declaration(session: Session, declaration_id: UUID) -> Declaration:
    """Fetch a declaration. Raises UnknownDeclaration."""
    found = session.get(Declaration, declaration_id)
    if found is None:
        raise UnknownDeclaration
    return found


def declarations_of(session: Session, worker_id: UUID) -> list[Declaration]:
    """Give all that a worker declared, the newest first."""
    query = select(Declaration).where(Declaration.worker_id == worker_id)
    return list(session.scalars(query.order_by(Declaration.start_at.desc(), Declaration.id.desc())))


def pending(session: Session) -> list[Declaration]:
    """Give what waits for a person's decision, the most urgent first."""
    query = select(Declaration).where(Declaration.state == DeclarationState.PENDING)
    return list(session.scalars(query.order_by(Declaration.decide_by, Declaration.id)))


def decide(
    session: Session, declaration: Declaration, person: Person, *, accept: bool, reason: str, now: datetime
) -> Declaration:
    """Decide as a named person, with a written reason for a refusal. Raises AlreadyDecided, ReasonMissing."""
    query = select(Declaration).where(Declaration.id == declaration.id).with_for_update()
    held = session.scalars(query.execution_options(populate_existing=True)).one()
    if held.state != DeclarationState.PENDING:
        raise AlreadyDecided
    if held.worker_id == person.id:
        raise WrongDeclaration("Nobody decides about their own time.")
    if not accept and not reason.strip():
        raise ReasonMissing
    held.state = DeclarationState.ACCEPTED if accept else DeclarationState.REFUSED
    held.accepted_by = str(person.id)
    held.decision_reason = reason.strip()[:REASON_CHARACTERS]
    held.decided_at = now
    permits.drop(session, held.worker_id)
    return held


def accept_overdue(session: Session, now: datetime) -> int:
    """Accept what nobody decided in time: silence is for the worker. Gives how many."""
    late = session.scalars(
        select(Declaration)
        .where(Declaration.state == DeclarationState.PENDING, Declaration.decide_by <= now)
        .with_for_update(skip_locked=True)
    ).all()
    for one in late:
        one.state = DeclarationState.ACCEPTED
        one.accepted_by = BY_SILENCE
        one.decided_at = now
        permits.drop(session, one.worker_id)
    return len(late)


def declared_of(
    session: Session,
    workers: Collection[UUID],
    start: datetime,
    end: datetime,
    known_at: datetime | None = None,
) -> dict[UUID, list[Declared]]:
    """Give each worker's declarations that touch a span and were accepted by a moment, or are by now."""
    known = () if known_at is None else (Declaration.decided_at <= known_at,)
    query = select(Declaration).where(
        *known,
        Declaration.worker_id.in_(workers),
        Declaration.state == DeclarationState.ACCEPTED,
        Declaration.start_at < end,
        Declaration.end_at > start,
    )
    found: dict[UUID, list[Declared]] = {worker: [] for worker in workers}
    for one in session.scalars(query.order_by(Declaration.start_at, Declaration.id)):
        found[one.worker_id].append(
            Declared(
                second_of(one.start_at, Kind.open),
                second_of(one.end_at, Kind.submit),
                f"declared:{one.id}",
                str(one.batch_id) if one.batch_id else None,
                Category(one.category),
            )
        )
    return found


def shares_of(
    session: Session, worker_id: UUID, start: datetime, end: datetime, known_at: datetime | None = None
) -> list[Share]:
    """Give a worker's credited time of a span, as known at a moment or now: disjoint, in order, cut to the span."""
    return shares_by_worker(session, [worker_id], start, end, known_at)[worker_id]


def shares_by_worker(
    session: Session,
    workers: Collection[UUID],
    start: datetime,
    end: datetime,
    known_at: datetime | None = None,
) -> dict[UUID, list[Share]]:
    """Give each worker's credited time of a span, with as many statements for many as for one."""
    heard = events_of(session, workers, start, end, known_at)
    declared = declared_of(session, workers, start, end, known_at)
    grace = _grace(session, (event for events in heard.values() for event in events))
    return {
        worker: _cut(allocate(measure(events, grace), declared[worker]), start, end)
        for worker, events in heard.items()
    }


def gaps_of(session: Session, worker_id: UUID, start: datetime, end: datetime) -> list[Gap]:
    """Give the seconds of a span that are not credited, between its first and last sign of work, and why."""
    events = events_of(session, [worker_id], start, end)[worker_id]
    grace = _grace(session, events)
    declared = declared_of(session, [worker_id], start, end)[worker_id]
    shares = allocate(measure(events, grace), declared)
    first, last = _seconds(start, end)
    gaps = [
        replace(gap, start=max(gap.start, first), end=min(gap.end, last))
        for gap in uncredited(events, shares, grace)
    ]
    return [gap for gap in gaps if gap.start < gap.end]


def _seconds(start: datetime, end: datetime) -> tuple[int, int]:
    return second_of(start, Kind.open), second_of(end, Kind.open)


def _cut(shares: list[Share], start: datetime, end: datetime) -> list[Share]:
    first, last = _seconds(start, end)
    return [share for share in split(shares, [first, last]) if first <= share.start and share.end <= last]


def _grace(session: Session, events: Iterable[Event]) -> Callable[[str | None], int]:
    batches = {UUID(batch) for batch in {event.batch for event in events} if batch}
    query = select(PayTerms.batch_id, PayTerms.grace_seconds).where(PayTerms.batch_id.in_(batches))
    known = {str(batch): seconds for batch, seconds in session.execute(query)} if batches else {}
    return lambda batch: known.get(batch or "", GRACE_WITHOUT_TERMS)


def _check_declaration(
    session: Session,
    worker_id: UUID,
    batch_id: UUID | None,
    start: datetime,
    end: datetime,
    reason: str,
    now: datetime,
    category: Category,
) -> None:
    if not start < end <= now:
        raise WrongDeclaration("Time that is added has passed, and ends after it starts.", field="end")
    if end - start > DECLARED_MAX:
        raise WrongDeclaration("Add at most 24 hours at once.", field="end")
    if start < now - DECLARED_BACK:
        raise WrongDeclaration("Time can be added for 30 days.", field="start")
    if not reason.strip() or len(reason) > REASON_CHARACTERS:
        raise WrongDeclaration("Say in a few words what you did.", field="reason")
    if (category is Category.F) == (batch_id is not None):
        raise WrongDeclaration("Overhead belongs to no batch, and all other work to one.", field="category")
    if batch_id is not None and not _served(session, worker_id, batch_id):
        raise NotServedThere(batch=str(batch_id))


def _served(session: Session, worker_id: UUID, batch_id: UUID) -> bool:
    held = select(Assignment.id).where(Assignment.worker_id == worker_id, Assignment.batch_id == batch_id)
    return session.scalar(held.limit(1)) is not None or worked_on(session, worker_id, batch_id)


def _within_free(session: Session, worker: Person, start: datetime, added: int) -> bool:
    """Tell whether the rule accepts so much more on the worker's own day and in their month."""
    day = start.astimezone(ZoneInfo(worker.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    next_month = (month + timedelta(days=32)).replace(day=1)
    spans = ((day, day + timedelta(days=1), DAY_FREE), (month, next_month, MONTH_FREE))
    return all(
        added + _accepted_by_rule(session, worker.id, since, until) <= free for since, until, free in spans
    )


def _accepted_by_rule(session: Session, worker_id: UUID, since: datetime, until: datetime) -> int:
    query = select(func.sum(Declaration.added_seconds)).where(
        Declaration.worker_id == worker_id,
        Declaration.accepted_by == BY_RULE,
        Declaration.start_at >= since.astimezone(UTC),
        Declaration.start_at < until.astimezone(UTC),
    )
    return session.scalar(query) or 0
