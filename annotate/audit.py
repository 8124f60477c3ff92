"""The organizer's wages and hours: for each week and currency what an hour brought, who was topped up and why.

Everything here only reads. Workers appear by pseudonym; an organizer is let in by name and for this purpose, so single
workers are shown, while figures for the public hide small groups. Exports hold exactly what the page shows.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from annotate import access, audit_ledger, heartbeat, report_views, wage_views
from annotate.report_views import DAY, WeekHours, in_week, week_hours
from annotate.visit import Visit
from annotate.wage_views import CSV_COLUMNS, WageRow, WageView, row_json
from payments import payroll, reports, wages
from payments.due_lines import DueLine
from payments.periods import WEEK, PayPeriod, PeriodState, UnknownPeriod, period_named, periods
from payments.reports import NotCounted, Report, ReportKind
from payments.wages import DAY_HARD, DAY_SOFT, WEEK_HARD, WEEK_SOFT
from schemas.uploads import export_cell
from tasks.errors import NotFound
from tasks.people import Person

ROWS_A_PAGE = 100
CODE = re.compile(r"\d{4}-W\d{2}", re.ASCII)


class UnknownCurrencyHere(NotFound):
    """Nobody was paid in this currency in this week."""


class AuditPages(Controller):
    """Wages and hours as pages."""

    path = "/audit"
    include_in_schema = False

    @get("/wages", sync_to_thread=True)
    def wages(
        self,
        visit: NamedDependency[Visit],
        period: FromQuery[str] = "",
        currency: FromQuery[str] = "",
        show: FromQuery[str] = "below",
        start: FromQuery[int] = 0,
    ) -> Response[Any]:
        """Show a week's wages in one currency."""
        visit.organizer()
        chosen = chosen_period(visit.session, period)
        if chosen is None:
            return visit.page("audit/wages.html", period=None)
        views = wage_views.wage_views(visit.session, chosen)
        view = chosen_view(views, currency)
        rows = shown_rows(view, show)
        counted = reports.newest(visit.session, ReportKind.HOURS, chosen.code, made=True)
        first = max(0, min(start, len(rows)))
        return visit.page(
            "audit/wages.html",
            period=chosen,
            neighbours=neighbours(visit.session, chosen),
            views=views,
            view=view,
            drawing=wage_views.draw(view, visit.formats, visit.gettext("floor")) if view else None,
            show=show if show == "all" else "below",
            rows=rows[first : first + ROWS_A_PAGE],
            first=first,
            count=len(rows),
            following=first + ROWS_A_PAGE if first + ROWS_A_PAGE < len(rows) else None,
            counted=counted,
            hours=week_hours(visit.session, chosen, counted),
            head=audit_ledger.log_head(visit.session),
        )

    @get("/wages.csv", sync_to_thread=True)
    def wages_file(
        self,
        visit: NamedDependency[Visit],
        period: FromQuery[str] = "",
        currency: FromQuery[str] = "",
        show: FromQuery[str] = "below",
    ) -> Response[bytes]:
        """Give the rows that the page shows, all pages of them."""
        visit.organizer()
        chosen = named_period(visit.session, period)
        view = chosen_view(wage_views.wage_views(visit.session, chosen), currency)
        content = csv_of(CSV_COLUMNS, shown_rows(view, show))
        return csv_file(content, f"wages-{chosen.code}-{view.currency if view else 'none'}-{show[:5]}.csv")

    @get("/hours", sync_to_thread=True)
    def hours(self, visit: NamedDependency[Visit], period: FromQuery[str] = "") -> Response[Any]:
        """Show everybody's hours of a week against the limits on offers."""
        visit.organizer()
        chosen = chosen_period(visit.session, period)
        if chosen is None:
            return visit.page("audit/hours.html", period=None)
        standing = report_views.standing(visit.session, ReportKind.HOURS, chosen.code)
        return visit.page(
            "audit/hours.html",
            period=chosen,
            neighbours=neighbours(visit.session, chosen),
            hours=week_hours(visit.session, chosen, standing.made),
            silent=standing.report is not None and heartbeat.is_silent(visit.session),
            **vars(standing),
            days=[chosen.starts_at.date() + n * DAY for n in range(7)],
            limits={"day": (DAY_SOFT, DAY_HARD), "week": (WEEK_SOFT, WEEK_HARD)},
        )

    @get("/hours.csv", sync_to_thread=True)
    def hours_file(self, visit: NamedDependency[Visit], period: FromQuery[str] = "") -> Response[bytes]:
        """Give the hours that the page shows, in seconds."""
        visit.organizer()
        chosen = named_period(visit.session, period)
        columns: dict[str, Callable[[WeekHours], object]] = {"worker": lambda one: one.worker.pseudonym}
        for n in range(7):
            day = chosen.starts_at.date() + n * DAY
            columns[f"{day} seconds"] = lambda one, n=n: one.days[n][1]  # type: ignore[misc]
        columns["week seconds"] = lambda one: one.total
        columns["state"] = lambda one: one.state
        hours = week_hours(visit.session, chosen, counted_hours(visit.session, chosen))
        return csv_file(csv_of(columns, hours), f"hours-{chosen.code}.csv")

    @get("/workers/{worker_id:uuid}", sync_to_thread=True)
    def worker(
        self, visit: NamedDependency[Visit], worker_id: FromPath[UUID], period: FromQuery[str] = ""
    ) -> Response[Any]:
        """Show the lines behind one worker's wage of a week."""
        worker = access.worker_for(visit.session, visit.organizer(), worker_id)
        chosen = chosen_period(visit.session, period)
        lines = wages.wage_lines(visit.session, chosen, worker.id) if chosen else []
        return visit.page(
            "audit/worker.html",
            worker=worker,
            period=chosen,
            neighbours=neighbours(visit.session, chosen) if chosen else (None, None),
            lines=lines,
            titles=wage_views.batch_titles(visit.session, {one.batch_id for one in lines if one.batch_id}),
            hours=own_hours(visit.session, worker, chosen) if chosen else None,
        )


class Week(msgspec.Struct):
    """A pay period."""

    code: str
    starts_at: str
    ends_at: str
    state: str
    closed_at: str | None


class AuditApi(Controller):
    """Wages and hours for programs."""

    path = "/api/v1/audit"
    tags = ["audit"]

    @get("/periods", sync_to_thread=True)
    def periods(self, visit: NamedDependency[Visit]) -> list[Week]:
        """List the pay periods, the newest first."""
        visit.organizer()
        return [week_of(one) for one in periods(visit.session)]

    @get("/wages", sync_to_thread=True)
    def wages(
        self, visit: NamedDependency[Visit], period: FromQuery[str], currency: FromQuery[str] = ""
    ) -> dict[str, Any]:
        """Give a period's wages by currency: minor units, hourly figures as exact fractions of them."""
        visit.organizer()
        chosen = named_period(visit.session, period)
        views = wage_views.wage_views(visit.session, chosen)
        if currency:
            one = chosen_view(views, currency)
            views = [one] if one else []
        return {
            "period": week_of(chosen),
            "currencies": [
                {
                    "currency": view.currency,
                    "workers": view.workers,
                    "paid": view.paid,
                    "topups": view.topups,
                    "credited_seconds": view.seconds,
                    "below_floor_before_topup": view.below,
                    "median_per_hour_paid": None if view.median is None else str(view.median),
                    "wages": [row_json(row) for row in view.rows],
                }
                for view in views
            ],
        }

    @get("/hours", sync_to_thread=True)
    def hours(self, visit: NamedDependency[Visit], period: FromQuery[str]) -> dict[str, Any]:
        """Give everybody's credited seconds of a week as last counted, by the days of their own time zone."""
        visit.organizer()
        chosen = named_period(visit.session, period)
        counted = counted_hours(visit.session, chosen)
        return {
            "period": week_of(chosen),
            "counted_at": counted.ended_at,
            "limits": {"day": [DAY_SOFT, DAY_HARD], "week": [WEEK_SOFT, WEEK_HARD]},
            "workers": [
                {
                    "worker": one.worker.pseudonym,
                    "worker_id": str(one.worker.id),
                    "days": {day.isoformat(): seconds for day, seconds in one.days},
                    "week": one.total,
                    "state": one.state,
                }
                for one in week_hours(visit.session, chosen, counted)
            ],
        }

    @get("/lines", sync_to_thread=True)
    def lines(
        self, visit: NamedDependency[Visit], period: FromQuery[str], worker: FromQuery[UUID | None] = None
    ) -> list[dict[str, Any]]:
        """List a period's due lines, of one worker or all."""
        viewer = visit.organizer()
        chosen = named_period(visit.session, period)
        if worker is not None:
            access.worker_for(visit.session, viewer, worker)
        return [line_summary(one) for one in payroll.lines_of(visit.session, chosen.id, worker)]


def chosen_period(session: Session, code: str) -> PayPeriod | None:
    """Give the named period, else the newest one that is settled, else the newest. Raises UnknownPeriod."""
    if code:
        return named_period(session, code)
    known = periods(session)
    settled = [one for one in known if one.state != PeriodState.OPEN]
    newest = settled or known
    return newest[0] if newest else None


def named_period(session: Session, code: str) -> PayPeriod:
    """Fetch a period by what stands in an address. Raises UnknownPeriod."""
    if not CODE.fullmatch(code):
        raise UnknownPeriod
    return period_named(session, code)


def neighbours(session: Session, period: PayPeriod) -> tuple[str | None, str | None]:
    """Name the periods before and after."""
    near = (period.starts_at - WEEK, period.starts_at + WEEK)
    known = {one.starts_at: one.code for one in periods(session)}
    earlier = [at for at in known if at <= near[0]]
    later = [at for at in known if at >= near[1]]
    return (known[max(earlier)] if earlier else None, known[min(later)] if later else None)


def chosen_view(views: Sequence[WageView], currency: str) -> WageView | None:
    """Give the view of a currency, the first if none is named. Raises UnknownCurrencyHere."""
    if not currency:
        return views[0] if views else None
    for view in views:
        if view.currency == currency:
            return view
    raise UnknownCurrencyHere


def shown_rows(view: WageView | None, show: str) -> list[WageRow]:
    """Give the rows of a choice: those who were topped up, or everybody."""
    if view is None:
        return []
    return view.rows if show == "all" else view.topped_up


def counted_hours(session: Session, period: PayPeriod) -> Report:
    """Give the last count of a week's hours. Raises NotCounted."""
    found = reports.newest(session, ReportKind.HOURS, period.code, made=True)
    if found is None:
        raise NotCounted
    return found


def own_hours(session: Session, worker: Person, period: PayPeriod) -> WeekHours:
    """Count one worker's hours of a week."""
    found = wages.hours(session, worker, period.starts_at - DAY, period.ends_at + DAY)
    return in_week(worker, found.days, period)


def week_of(period: PayPeriod) -> Week:
    """Write a period for programs."""
    return Week(
        period.code,
        period.starts_at.isoformat(),
        period.ends_at.isoformat(),
        period.state,
        period.closed_at.isoformat() if period.closed_at else None,
    )


def line_summary(line: DueLine) -> dict[str, Any]:
    """Write a due line for programs, amounts in minor units."""
    return {
        "id": str(line.id),
        "worker_id": str(line.worker_id),
        "batch_id": str(line.batch_id) if line.batch_id else None,
        "segment_start": line.segment_start.isoformat(),
        "segment_end": line.segment_end.isoformat(),
        "place": line.place,
        "currency": line.currency,
        "seconds": line.seconds,
        "seconds_by": line.seconds_by,
        "answers": line.answers,
        "agreed": line.agreed,
        "required": line.required,
        "due": line.due,
        "topup": line.topup,
        "rate": line.rate,
        "rule": line.rule,
        "journal": line.journal_id,
        "week": line.week,
        "corrects": str(line.corrects) if line.corrects else None,
    }


def csv_of(columns: dict[str, Callable[[Any], object]], rows: Iterable[Any]) -> bytes:
    """Write a table as CSV; no cell can be taken for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([export_cell(read(row)) for read in columns.values()])
    return out.getvalue().encode()


def csv_file(content: bytes, name: str) -> Response[bytes]:
    """Hand over a CSV file; its name may hold what somebody asked for."""
    name = re.sub(r"[^A-Za-z0-9._-]", "", name)
    return Response(
        content,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
