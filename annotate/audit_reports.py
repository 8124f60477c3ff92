"""What takes long to compute from the books, as an organizer asks for it: the check of the books, everybody's hours.

A job makes it; its page shows how far it is, when it ran, how long it took and what it found. Asking twice is harmless.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from annotate import access, heartbeat, report_views
from annotate.audit import named_period
from annotate.visit import Visit
from payments import reports
from payments.reports import Report, ReportKind, checks_of
from tasks import progress


class ReportPages(Controller):
    """Reports as pages."""

    path = "/audit"
    include_in_schema = False

    @get("/checks", sync_to_thread=True)
    def checks(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show what the last check of the books found, and how far the next one is."""
        visit.organizer()
        standing = report_views.standing(visit.session, ReportKind.BOOKS)
        checks = checks_of(standing.made)
        return visit.page(
            "audit/checks.html",
            checks=checks,
            wrong=[one for one in checks if not one.ok],
            silent=standing.report is not None and heartbeat.is_silent(visit.session),
            **vars(standing),
        )

    @post("/checks", sync_to_thread=True)
    def check(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Have the books read again from the facts."""
        ask(visit, ReportKind.BOOKS)
        return Redirect("/audit/checks", status_code=303)

    @post("/hours/count", sync_to_thread=True)
    def count(self, visit: NamedDependency[Visit], period: FromQuery[str]) -> Response[Any]:
        """Have everybody's hours of a week counted again."""
        report = ask(visit, ReportKind.HOURS, period)
        return Redirect(f"/audit/hours?period={report.subject}", status_code=303)

    @get("/reports/{report_id:uuid}/live", sync_to_thread=True)
    def live(self, visit: NamedDependency[Visit], report_id: FromPath[UUID]) -> Response[Any]:
        """Give the part of a page that changes while a report is made."""
        report = access.report_for(visit.session, visit.organizer(), report_id)
        how_far = progress.progress_of(visit.session, report.id)
        return visit.page("audit/report.html", report=report, how_far=how_far)


class ReportApi(Controller):
    """Reports for programs: ask for one, look at it until its state is `made`."""

    path = "/api/v1/audit"
    tags = ["audit"]

    @post("/checks", sync_to_thread=True, status_code=202)
    def check(self, visit: NamedDependency[Visit]) -> dict[str, Any]:
        """Have the books recomputed from the facts; once it is made, `ok` is whether everything holds."""
        return report_views.as_json(visit, ask(visit, ReportKind.BOOKS))

    @post("/hours/count", sync_to_thread=True, status_code=202)
    def count(self, visit: NamedDependency[Visit], period: FromQuery[str]) -> dict[str, Any]:
        """Have everybody's credited time of a week counted; once it is made, /hours gives it."""
        return report_views.as_json(visit, ask(visit, ReportKind.HOURS, period))

    @get("/reports/{report_id:uuid}", sync_to_thread=True)
    def report(self, visit: NamedDependency[Visit], report_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a report: when it was asked for, how far it is, what it found."""
        report = access.report_for(visit.session, visit.organizer(), report_id)
        return report_views.as_json(visit, report)


def ask(visit: Visit, kind: ReportKind, period: str = "") -> Report:
    """Have a report made for the viewer. Raises UnknownPeriod."""
    viewer = visit.organizer()
    subject = named_period(visit.session, period).code if kind == ReportKind.HOURS else ""
    return reports.ask(visit.session, kind, subject, viewer.person.id, datetime.now(UTC))
