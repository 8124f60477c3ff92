"""A proof is a sign of work that the server received: somebody was at something at that moment, and nothing else.

There is no key, no pointer, no screen and no place in it, and there are no columns for them. Proofs are only ever
added. What they are worth is computed, always anew, by the rules of `paid_time`; two hours around a span and the
openings of what was open in it tell all about the span, because no silence counts for longer.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Identity, Index, String, cast, select, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.paid_time import ENDING, OPENING, Category, Event, Kind, second_of
from payments.terms import GRACE_MAX
from tasks.assignments import Assigned, AssignmentState
from tasks.db import Base, rows
from tasks.errors import Invalid

PROOF_APART: Final = timedelta(seconds=10)
MARGIN: Final = timedelta(seconds=GRACE_MAX)
CLIENT_KINDS: Final = frozenset({Kind.proof, Kind.hidden, Kind.visible, Kind.media_play})
"""What a worker's page may say about an assignment; everything else is a fact of the server."""
AT_WORK: Final = CLIENT_KINDS - {Kind.hidden}
ASSIGNMENT_KINDS: Final = CLIENT_KINDS | {
    Kind.open,
    Kind.rework_open,
    Kind.submit,
    Kind.return_,
    Kind.timeout,
    Kind.skip,
    Kind.content_skip,
    Kind.platform_fault,
}


class WrongProof(Invalid):
    """There is no sign of work of this kind here."""


class Proof(Base):
    """One sign of work."""

    __tablename__ = "proof"
    __table_args__ = (
        Index("ix_proof_worker_at", "worker_id", "at"),
        Index("ix_proof_worker_unit", "worker_id", "unit", "at"),
        Index("ix_proof_batch", "batch_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    unit: Mapped[str]
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignment.id"))
    batch_id: Mapped[UUID | None]
    at: Mapped[datetime]
    sequence: Mapped[int] = mapped_column(default=0)


RECORD: Final = """
    INSERT INTO proof (worker_id, kind, unit, assignment_id, batch_id, at, sequence)
    VALUES (%(worker)s, %(kind)s, %(unit)s, %(assignment)s, %(batch)s, %(at)s, %(sequence)s)
"""


def record(
    session: Session,
    *,
    worker_id: UUID,
    kind: str,
    now: datetime,
    assignment: Assigned | None = None,
    batch_id: UUID | None = None,
    unit: str | None = None,
    sequence: int = 0,
) -> bool:
    """Store a sign of work; False for a proof so soon after the last that it says nothing new. Raises WrongProof.

    Without an assignment, name the unit (`instructions:<batch>`, `rest:<batch>`, `queue`).
    """
    if kind not in frozenset(Kind):
        raise WrongProof(kind=kind[:40])
    heard = Kind(kind)
    if assignment is not None:
        if heard not in ASSIGNMENT_KINDS or assignment.worker_id != worker_id:
            raise WrongProof(kind=kind)
        if heard in AT_WORK and assignment.state in {AssignmentState.EXPIRED, AssignmentState.RETURNED}:
            # The lease has ended, the work goes on: late work is work, so the unit opens again.
            heard = Kind.open
        unit, batch_id = str(assignment.id), assignment.batch_id
    if not unit or len(unit) > 100:
        raise WrongProof("A sign of work belongs to an assignment or to a named unit.")
    if kind == Kind.proof and _heard_lately(session, worker_id, unit, now):
        return False
    if OPENING.get(heard) is Category.F:
        batch_id = None
    rows(
        session,
        RECORD,
        worker=worker_id,
        kind=heard,
        unit=unit,
        assignment=assignment.id if assignment else None,
        batch=batch_id,
        at=now,
        sequence=sequence,
    )
    return True


def open_assignment(session: Session, assignment: Assigned, now: datetime) -> bool:
    """Note that an assignment is before the worker; what was submitted is opened again as rework."""
    again = assignment.state == AssignmentState.SUBMITTED
    kind = Kind.rework_open if again else Kind.open
    return record(session, worker_id=assignment.worker_id, kind=kind, now=now, assignment=assignment)


def end_assignment(session: Session, assignment: Assigned, kind: str, now: datetime) -> bool:
    """Note the end of the work on an assignment: submit, skip, content_skip, return, timeout. Raises WrongProof."""
    if kind not in ENDING:
        raise WrongProof(kind=kind[:40])
    return record(session, worker_id=assignment.worker_id, kind=kind, now=now, assignment=assignment)


def events_of(
    session: Session,
    workers: Collection[UUID],
    start: datetime,
    end: datetime,
    known_at: datetime | None = None,
) -> dict[UUID, list[Event]]:
    """Give each worker's evidence on a span, in order: around it, and back to the opening of what was open."""
    until = min(end + MARGIN, known_at or end + MARGIN)
    around = _heard(session, workers, Proof.at >= start - MARGIN, Proof.at <= until)
    begun = [(worker, unit) for worker, events in around.items() for unit in _begun_before(events)]
    if begun:
        open_then = tuple_(Proof.worker_id, Proof.unit).in_(begun)
        for worker, earlier in _heard(session, workers, Proof.at < start - MARGIN, open_then).items():
            around[worker] = [*_last_spells(earlier), *around[worker]]
    return around


def worked_on(session: Session, worker_id: UUID, batch_id: UUID) -> bool:
    """Tell whether the worker was ever at something of a batch."""
    query = select(Proof.id).where(Proof.worker_id == worker_id, Proof.batch_id == batch_id).limit(1)
    return session.scalar(query) is not None


def _heard(
    session: Session, workers: Collection[UUID], *where: ColumnElement[bool]
) -> dict[UUID, list[Event]]:
    # Rows, not objects: a week of work is thousands of proofs, read after each answer.
    query = (
        select(
            Proof.worker_id, Proof.at, Proof.kind, Proof.unit, cast(Proof.batch_id, String), Proof.sequence
        )
        .where(Proof.worker_id.in_(workers), *where)
        .order_by(Proof.worker_id, Proof.at, Proof.sequence, Proof.id)
    )
    kinds = {kind.value: kind for kind in Kind}
    found: dict[UUID, list[Event]] = {worker: [] for worker in workers}
    for worker, at, kind, unit, batch, sequence in session.execute(query):
        found[worker].append(Event(second_of(at, kinds[kind]), kinds[kind], unit, batch, sequence))
    return found


def _begun_before(events: list[Event]) -> list[str]:
    """Name the units that were open already when these events begin."""
    first = {event.unit: event for event in reversed(events)}
    return [unit for unit, event in first.items() if event.kind not in OPENING]


def _last_spells(earlier: Iterable[Event]) -> list[Event]:
    """Keep of each unit what came since its last opening, if it was not ended."""
    spells: dict[str, list[Event]] = {}
    for event in earlier:
        if event.kind in ENDING:
            spells.pop(event.unit, None)
        elif event.kind in OPENING or event.unit in spells:
            spells.setdefault(event.unit, []).append(event)
    return [event for spell in spells.values() for event in spell]


def _heard_lately(session: Session, worker_id: UUID, unit: str, now: datetime) -> bool:
    query = select(Proof.id).where(
        Proof.worker_id == worker_id,
        Proof.unit == unit,
        Proof.kind.in_([Kind.proof, Kind.open]),
        Proof.at > now - PROOF_APART,
    )
    return session.scalar(query.limit(1)) is not None
