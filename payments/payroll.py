"""Payroll closes a pay period: every worker's lines are settled and booked, then payslips and payouts are made.

Each stage runs in a transaction of its own and may run again: what is booked stays as it is, what is missing is
added. What became known about weeks closed before is paid with the period, as corrections. A single line under
its agreed pay or under the floor stops the close, and then nobody's payout is planned.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select, union
from sqlalchemy.orm import Session, aliased

from payments import earnings, payouts, payslips, worktime
from payments.drafts import Draft, Payer, book, corrected
from payments.due_lines import DueLine, UnderpaidLine, lines_about, lines_of
from payments.earnings import Earning, lines_for
from payments.periods import (
    PayPeriod,
    PeriodNotOver,
    PeriodState,
    UnknownPeriod,
    get_period,
    lock_period,
    period_at,
    period_named,
    periods,
)
from payments.proofs import MARGIN, Proof
from payments.terms import PayTerms
from payments.worktime import Declaration, DeclarationState
from tasks import assignments
from tasks.batches import Batch
from tasks.errors import Conflict
from tasks.people import get_person
from tasks.projects import Project

__all__ = [
    "DueLine",
    "NotAllClosed",
    "PayPeriod",
    "PeriodNotOver",
    "PeriodState",
    "UnderpaidLine",
    "UnknownPeriod",
    "begin_close",
    "close_period",
    "close_worker",
    "due_periods",
    "finish_close",
    "get_period",
    "lines_of",
    "period_at",
    "period_named",
    "periods",
    "workers_between",
    "workers_to_close",
]

T = TypeVar("T")


class Run(Protocol):
    """Runs one step in a transaction of its own and commits it."""

    def __call__(self, step: Callable[[Session], T], /) -> T:
        """Give what the step gives."""
        ...


class NotAllClosed(Conflict):
    """Some workers of this period are not settled yet; settle them first."""


def begin_close(session: Session, period: PayPeriod, now: datetime) -> PayPeriod:
    """Start closing a period that is over. Raises PeriodNotOver."""
    period = lock_period(session, period.id)
    if now < period.ends_at:
        raise PeriodNotOver(period=period.code, ends_at=period.ends_at.isoformat())
    if period.state != PeriodState.CLOSED:
        # Nothing that was done may be missing because a record of it is late.
        while assignments.expire(session, now):
            pass
        worktime.accept_overdue(session, now)
        while earnings.sweep(session, now):
            pass
    if period.state == PeriodState.OPEN:
        period.state = PeriodState.CLOSING
        session.flush()
    return period


def workers_to_close(session: Session, period: PayPeriod) -> list[UUID]:
    """Give everybody with a sign of work, accepted declared time or an earning inside it, or a week to correct."""
    late = set(session.scalars(_late(period.starts_at, Declaration.worker_id)))
    return sorted(late.union(workers_between(session, period.starts_at, period.ends_at)))


def close_worker(session: Session, period: PayPeriod, worker_id: UUID, now: datetime) -> list[DueLine]:
    """Settle one worker: store and book their lines, once. Raises UnderpaidLine, then none is stored."""
    period = _hold_closing(session, period)
    session.execute(select(func.pg_advisory_xact_lock((worker_id.int ^ period.id.int) & (2**63 - 1))))
    booked = lines_of(session, period.id, worker_id)
    if booked or period.state == PeriodState.CLOSED:
        return booked
    return book(session, period, worker_id, owed(session, period, worker_id, now), now)


def owed(session: Session, period: PayPeriod, worker_id: UUID, now: datetime) -> list[Draft]:
    """Give all that a period has to book for a worker: its own segments, then corrections of closed weeks."""
    return [
        *drafts_for(session, period, worker_id, now),
        *corrections(session, worker_id, period.starts_at, now),
    ]


def corrections(session: Session, worker_id: UUID, before: datetime, now: datetime) -> list[Draft]:
    """Give what the closed weeks before a moment still owe a worker because time was accepted since."""
    late = _late(before, PayPeriod).where(Declaration.worker_id == worker_id)
    weeks = sorted(set(session.scalars(late)), key=lambda one: one.starts_at)
    return [draft for week in weeks for draft in corrections_of(session, week, worker_id, now)]


def corrections_of(session: Session, week: PayPeriod, worker_id: UUID, now: datetime) -> list[Draft]:
    """Give what a closed week still owes a worker, as known now."""
    return corrected(drafts_for(session, week, worker_id, now), lines_about(session, week, worker_id))


def drafts_for(session: Session, period: PayPeriod, worker_id: UUID, now: datetime) -> list[Draft]:
    """Compute a worker's segments of a period from the facts as known at a moment."""
    worker = get_person(session, worker_id)
    lines = lines_for(session, worker, period.starts_at, period.ends_at, now)
    payers = _payers(session, {one.batch_id for one in lines if one.batch_id is not None})
    query = select(Earning).where(
        Earning.worker_id == worker_id, Earning.at >= period.starts_at, Earning.at < period.ends_at
    )
    earned = session.scalars(query).all()
    return [
        Draft(
            line=one,
            payer=payers.get(one.batch_id) if one.batch_id else None,
            earnings=[
                own
                for own in earned
                if own.batch_id == one.batch_id and one.segment_start <= own.at < one.segment_end
            ],
        )
        for one in lines
    ]


def finish_close(
    session: Session, period: PayPeriod, now: datetime, payer: str = payslips.PAYER
) -> PayPeriod:
    """Make everybody's payslips, plan the payouts, close the period. Raises NotAllClosed or UnderpaidLine."""
    period = lock_period(session, period.id)
    if period.state == PeriodState.CLOSED:
        return period
    settled = {line.worker_id for line in lines_of(session, period.id)}
    left = [
        who
        for who in workers_to_close(session, period)
        if who not in settled and owed(session, period, who, now)
    ]
    if period.state == PeriodState.OPEN or left:
        raise NotAllClosed(period=period.code, workers=[str(who) for who in left[:20]])
    for who in sorted(settled):
        payslips.make(session, period, who, now, payer)
    payouts.plan(session, period, now)
    period.state = PeriodState.CLOSED
    period.closed_at = now
    session.flush()
    return period


def close_period(
    run: Run,
    period_id: UUID,
    now: datetime,
    report: Callable[[int, int], None] | None = None,
    payer: str = payslips.PAYER,
) -> None:
    """Close a period from wherever it stands, one worker after the other; says how many of how many are settled."""

    def begin(session: Session) -> list[UUID]:
        return workers_to_close(session, begin_close(session, get_period(session, period_id), now))

    def settle(worker_id: UUID) -> Callable[[Session], object]:
        return lambda session: close_worker(session, get_period(session, period_id), worker_id, now)

    workers = run(begin)
    for done, worker_id in enumerate(workers, 1):
        run(settle(worker_id))
        if report is not None:
            report(done, len(workers))
    run(lambda session: finish_close(session, get_period(session, period_id), now, payer))


def workers_between(session: Session, start: datetime, end: datetime) -> list[UUID]:
    """Give everybody with a sign of work, accepted declared time or an earning in a span."""
    accepted = (
        Declaration.state == DeclarationState.ACCEPTED,
        Declaration.start_at < end,
        Declaration.end_at > start,
    )
    found = union(
        # A proof before the span may vouch for time in it.
        select(Proof.worker_id).where(Proof.at > start - MARGIN, Proof.at < end),
        select(Declaration.worker_id).where(*accepted),
        select(Earning.worker_id).where(Earning.at >= start, Earning.at < end),
    )
    return sorted(session.scalars(found))


def _late(moment: datetime, what: Any) -> Select[Any]:
    """Name closed weeks before a moment to which time was added that the last of their closes did not know."""
    before = aliased(PayPeriod)
    known = select(func.max(before.ends_at)).where(
        before.state == PeriodState.CLOSED, before.starts_at < moment
    )
    return select(what).where(
        PayPeriod.state == PeriodState.CLOSED,
        PayPeriod.starts_at < moment,
        Declaration.state == DeclarationState.ACCEPTED,
        Declaration.decided_at >= known.scalar_subquery(),
        Declaration.start_at < PayPeriod.ends_at,
        Declaration.end_at > PayPeriod.starts_at,
    )


def due_periods(session: Session, now: datetime, delay: timedelta = MARGIN) -> list[PayPeriod]:
    """Give the periods with work that are over for long enough and not closed, the oldest first."""
    last = max((one.ends_at for one in periods(session) if one.state == PeriodState.CLOSED), default=None)
    moments = union(
        *(
            select(func.date_trunc("week", column, "UTC"))
            .where(column < now - delay, *([column >= last] if last is not None else []))
            .distinct()
            # What is accepted late is paid with the week in which it is accepted.
            for column in (Proof.at, Earning.at, Declaration.start_at, Declaration.decided_at)
        )
    )
    for moment in session.scalars(moments).all():
        period_at(session, moment, now)
    over = (one for one in periods(session) if one.state != PeriodState.CLOSED and one.ends_at <= now - delay)
    return sorted(over, key=lambda one: one.starts_at)


def _payers(session: Session, batches: Iterable[UUID]) -> dict[UUID, Payer]:
    """Say who bears the lines of each batch that has terms."""
    rows = session.execute(
        select(PayTerms, Project.requester_id)
        .join(Batch, Batch.id == PayTerms.batch_id)
        .join(Project, Project.id == Batch.project_id)
        .where(PayTerms.batch_id.in_(batches))
    )
    return {
        terms.batch_id: Payer(terms.batch_id, requester, terms.currency, terms.fee)
        for terms, requester in rows
    }


def _hold_closing(session: Session, period: PayPeriod) -> PayPeriod:
    """Read the period and keep it from being finished meanwhile. Raises PeriodNotOver while it is open."""
    query = select(PayPeriod).where(PayPeriod.id == period.id).with_for_update(read=True)
    fresh = session.scalars(query.execution_options(populate_existing=True)).one()
    if fresh.state == PeriodState.OPEN:
        raise PeriodNotOver("Begin to close this pay period first.", period=fresh.code)
    return fresh
