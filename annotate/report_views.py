"""What reports say to an organizer: how far one is, what the last one found, and everybody's hours of a week."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.visit import Visit
from payments import reports
from payments.periods import PayPeriod
from payments.reports import Report, ReportKind, ReportState, checks_of
from payments.wages import DAY_HARD, DAY_SOFT, WEEK_HARD, WEEK_SOFT
from tasks import progress
from tasks.people import Person
from tasks.progress import Progress

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Standing:
    """The last report that was made, the one that is under way and how far it is, and whether the last one failed."""

    made: Report | None
    report: Report | None
    how_far: Progress | None
    failed: bool


@dataclass(frozen=True)
class WeekHours:
    """A worker's week by the days of their own time zone, against the limits that stop new offers."""

    worker: Person
    days: tuple[tuple[date, int], ...]
    total: int

    @property
    def state(self) -> str:
        """`hard` or `soft` over a limit of the week or a day, `near` close to the week's, else `within`."""
        longest = max(seconds for _, seconds in self.days)
        if self.total > WEEK_HARD or longest > DAY_HARD:
            return "hard"
        if self.total > WEEK_SOFT or longest > DAY_SOFT:
            return "soft"
        return "near" if self.total * 10 > WEEK_SOFT * 9 else "within"


def standing(session: Session, kind: ReportKind, subject: str = "") -> Standing:
    """Say where reports of a kind stand."""
    last = reports.newest(session, kind, subject)
    failed = last is not None and last.state == ReportState.FAILED
    under_way = reports.under_way(session, kind, subject)
    return Standing(
        made=reports.newest(session, kind, subject, made=True) if failed else last,
        report=under_way,
        how_far=progress.progress_of(session, under_way.id) if under_way else None,
        failed=failed,
    )


def as_json(visit: Visit, report: Report) -> dict[str, Any]:
    """Write a report for programs: how far it is, and what a check of the books found."""
    how_far = progress.progress_of(visit.session, report.id)
    written: dict[str, Any] = {
        "id": str(report.id),
        "kind": report.kind,
        "period": report.subject or None,
        "state": report.state,
        "asked_at": report.asked_at,
        "began_at": report.began_at,
        "ended_at": report.ended_at,
        "progress": {"done": how_far.done, "total": how_far.total} if how_far else None,
    }
    if report.kind == ReportKind.BOOKS and report.result is not None:
        checks = checks_of(report)
        written |= {
            "ok": all(one.ok for one in checks),
            "checks": visit.formats.say_all([asdict(one) for one in checks]),
            "journal": report.result["journal"],
        }
    return written


def week_hours(session: Session, period: PayPeriod, counted: Report | None) -> list[WeekHours]:
    """Give everybody's hours of a week as they were counted, the longest first."""
    workers = counted.result["workers"] if counted and counted.result else {}
    people = session.scalars(select(Person).where(Person.id.in_([UUID(one) for one in workers])))
    made = []
    for person in people:
        days = {date.fromisoformat(day): seconds for day, seconds in workers[str(person.id)].items()}
        made.append(in_week(person, days, period))
    return sorted((one for one in made if one.total), key=lambda one: (-one.total, one.worker.pseudonym))


def in_week(worker: Person, days: dict[date, int], period: PayPeriod) -> WeekHours:
    """Keep the seven days of the week, as the worker's own calendar has them."""
    monday = period.starts_at.date()
    shown = tuple((day, days.get(day, 0)) for day in (monday + n * DAY for n in range(7)))
    return WeekHours(worker, shown, sum(seconds for _, seconds in shown))
