"""A report is what takes long to compute from all the books: asked for, made by a job, kept with what it found.

`books` checks everything against everything, `hours` counts everybody's credited time in a pay period. A report is made
from one snapshot of the database, so that work that goes on meanwhile never looks like a mistake. Once made it stays
as it is, and a newer one follows. Its times are those of the process, also where an instance's own clock is simulated.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments import reconciliation, transparency, wages
from payments.ledger import Journal
from payments.ledger_checks import Check
from payments.periods import PeriodState, period_named, periods
from schemas.words import put_together, taken_apart
from tasks.db import Base, new_id
from tasks.errors import NotFound
from tasks.queue import enqueue

DAY: Final = timedelta(days=1)
FACTS_OLD_ENOUGH: Final = timedelta(minutes=10)
"""So long a fact may wait for its place in the log."""
CHECKED_EVERY: Final = DAY
COUNTED_EVERY: Final = timedelta(hours=1)
PERIODS_COUNTED: Final = 2

Say = Callable[[int, int], None]


class UnknownReport(NotFound):
    """There is no such report, or it is not for you."""


class NotCounted(NotFound):
    """The hours of this period are not counted yet; ask for them and wait a little."""


class ReportKind(StrEnum):
    """What is computed."""

    BOOKS = "books"
    HOURS = "hours"


class ReportState(StrEnum):
    """Where a report stands."""

    UNDER_WAY = "under_way"
    MADE = "made"
    FAILED = "failed"


class Report(Base):
    """One computation over the books; `subject` is a period's code, or '' for all of them."""

    __tablename__ = "report"
    __table_args__ = (
        Index(
            "uq_report_under_way", "kind", "subject", unique=True, postgresql_where=text("ended_at IS NULL")
        ),
        Index("ix_report_ended", "kind", "subject", "ended_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    subject: Mapped[str] = mapped_column(default="")
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[datetime]
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    @property
    def state(self) -> ReportState:
        """Where it stands."""
        if self.ended_at is None:
            return ReportState.UNDER_WAY
        return ReportState.FAILED if self.result is None else ReportState.MADE


def ask(session: Session, kind: ReportKind, subject: str, by: UUID | None, at: datetime) -> Report:
    """Have a report made; if one is under way, it is that one."""
    session.execute(
        insert(Report)
        .values(id=new_id(), kind=kind, subject=subject, asked_by=by, asked_at=at)
        .on_conflict_do_nothing()
    )
    report = under_way(session, kind, subject) or newest(session, kind, subject)
    assert report is not None  # ended in this very moment, if it is not under way
    enqueue(session, "payments.make_report", str(report.id))
    return report


def make(session: Session, report_id: UUID, now: datetime, say: Say) -> dict[str, Any] | None:
    """Compute what a report says; None if it is made already, or is being made."""
    alone = session.scalar(select(func.pg_try_advisory_xact_lock(report_id.int & (2**63 - 1))))
    report = session.get(Report, report_id) if alone else None
    if report is None or report.state != ReportState.UNDER_WAY:
        return None
    return MAKERS[ReportKind(report.kind)](session, report.subject, now, say)


def keep(
    session: Session, report_id: UUID, result: dict[str, Any] | None, began: datetime, ended: datetime
) -> None:
    """Store what a report says; None if it could not be made."""
    report = session.get_one(Report, report_id)
    report.result, report.began_at, report.ended_at = result, began, ended
    session.flush()


def get_report(session: Session, report_id: UUID) -> Report:
    """Fetch a report. Raises UnknownReport."""
    found = session.get(Report, report_id)
    if found is None:
        raise UnknownReport
    return found


def newest(session: Session, kind: ReportKind, subject: str = "", *, made: bool = False) -> Report | None:
    """Give the newest report that has ended, or the newest that was made and did not fail."""
    query = select(Report).where(Report.kind == kind, Report.subject == subject, Report.ended_at.is_not(None))
    if made:
        query = query.where(Report.result.is_not(None))
    return session.scalar(query.order_by(Report.ended_at.desc()).limit(1))


def under_way(session: Session, kind: ReportKind, subject: str = "") -> Report | None:
    """Give the report that is being made, or waits to be."""
    query = select(Report).where(Report.kind == kind, Report.subject == subject, Report.ended_at.is_(None))
    return session.scalar(query)


def checks_of(report: Report | None) -> list[Check]:
    """Give what a check of the books found; nothing where it is not made."""
    found = report.result["checks"] if report and report.result else []
    return [Check(put_together(one["name"]), one["ok"], put_together(one["detail"])) for one in found]


def sweep(session: Session, at: datetime) -> None:
    """Send again what waits to be made, and ask for what has grown old: nobody has to think of checking the books."""
    for report_id in session.scalars(select(Report.id).where(Report.ended_at.is_(None))):
        enqueue(session, "payments.make_report", str(report_id))
    _renew(session, ReportKind.BOOKS, "", at - CHECKED_EVERY, at)
    for period in periods(session)[:PERIODS_COUNTED]:
        last = newest(session, ReportKind.HOURS, period.code)
        counted = last.result if last else None
        if counted is None or not counted["final"]:
            closed_since = counted is not None and period.state == PeriodState.CLOSED
            _renew(session, ReportKind.HOURS, period.code, at if closed_since else at - COUNTED_EVERY, at)


def _renew(session: Session, kind: ReportKind, subject: str, before: datetime, at: datetime) -> None:
    last = session.scalar(
        select(func.max(Report.asked_at)).where(Report.kind == kind, Report.subject == subject)
    )
    if last is None or last < before:
        ask(session, kind, subject, None, at)


def _books(session: Session, _subject: str, now: datetime, say: Say) -> dict[str, Any]:
    """Check the books against each other, against the facts, and against the log."""
    checks = [
        *reconciliation.recheck(session, now, say),
        *transparency.checks(session, now - FACTS_OLD_ENOUGH),
    ]
    last = session.scalar(select(func.max(Journal.id)))
    kept = [
        {"name": taken_apart(one.name), "ok": one.ok, "detail": taken_apart(one.detail)} for one in checks
    ]
    return {"checks": kept, "journal": last}


def _hours(session: Session, subject: str, _now: datetime, say: Say) -> dict[str, Any]:
    """Count everybody's seconds by the days of their own calendar, a day beyond the period on either side."""
    period = period_named(session, subject)
    found = wages.everybodys_hours(session, period.starts_at - DAY, period.ends_at + DAY, say)
    return {
        "final": period.state == PeriodState.CLOSED,
        "workers": {
            str(one.worker_id): {day.isoformat(): seconds for day, seconds in one.days.items()}
            for one in found
        },
    }


MAKERS: Final[dict[ReportKind, Callable[[Session, str, datetime, Say], dict[str, Any]]]] = {
    ReportKind.BOOKS: _books,
    ReportKind.HOURS: _hours,
}
