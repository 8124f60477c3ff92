"""The operator's desk for pay periods: what is over is closed here, by a job that the page watches.

What stops a closing is named with the line or the worker it stops at, computed from the books at each look, so that a
reason that has gone is not shown any more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from annotate import heartbeat
from annotate.audit import Week, named_period, week_of
from annotate.operate_payouts import all_runs, run_json, run_view
from annotate.visit import Visit
from payments import payroll
from payments.drafts import check_paid
from payments.due_lines import underpaid
from payments.payouts import PayoutRun
from payments.periods import PayPeriod, PeriodNotOver, PeriodState, period_at, periods
from tasks import progress
from tasks.errors import FairlabelError
from tasks.progress import Progress
from tasks.queue import enqueue

WORKERS_CHECKED = 50
LINES_NAMED = 5
STILL_BEFORE_LOOKING = 6
STILL_MAX = 400


@dataclass(frozen=True)
class Trouble:
    """What keeps a period from being closed, and where to look."""

    text: str
    href: str


@dataclass(frozen=True)
class Standing:
    """A period as the operator sees it."""

    period: PayPeriod
    over: bool
    progress: Progress | None
    trouble: list[Trouble]
    runs: list[PayoutRun]

    @property
    def running(self) -> bool:
        """Whether a closing goes on or waits to start."""
        return self.period.state != PeriodState.CLOSED and (
            self.progress is not None or self.period.state == PeriodState.CLOSING
        )


class Operate(Controller):
    """Pay periods and payouts as pages."""

    path = "/operate"
    include_in_schema = False

    @get("/periods", sync_to_thread=True)
    def periods(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List the pay periods with what may be done with each."""
        visit.operator()
        return periods_page(visit)

    @get("/periods/{code:str}/live", sync_to_thread=True)
    def live(
        self,
        visit: NamedDependency[Visit],
        code: FromPath[str],
        done: FromQuery[int] = -1,
        still: FromQuery[int] = 0,
    ) -> Response[Any]:
        """Give the part of the page that changes while a period is closed; `still` counts looks without a change."""
        visit.operator()
        period = named_period(visit.session, code)
        how_far = progress.progress_of(visit.session, period.id)
        now_done = how_far.done if how_far else 0
        waited = still + 1 if now_done == done else 0
        standing = standing_of(visit, period, look=waited >= STILL_BEFORE_LOOKING)
        watched = standing.running and not standing.trouble and waited < STILL_MAX
        return visit.page("operate/period.html", one=standing, watched=watched, done=now_done, still=waited)

    @get("/periods/{code:str}/close", sync_to_thread=True)
    def ask_close(self, visit: NamedDependency[Visit], code: FromPath[str]) -> Response[Any]:
        """Say what closing means before it is done."""
        visit.operator()
        period = named_period(visit.session, code)
        back = f"/operate/periods#{period.code}"
        if period.state != PeriodState.OPEN or visit.now < period.ends_at:
            return Redirect(back, status_code=303)
        means = [
            visit.gettext("Every worker of this week is settled, and what is owed to them is booked."),
            visit.gettext(
                "Payslips are made and payouts are planned; one line under its floor stops all of it."
            ),
            visit.gettext("What becomes known later is paid with a later week, as a correction."),
        ]
        title = visit.gettext("Close the week %(week)s?") % {"week": period.code}
        return visit.confirm(title, means, visit.gettext("Close this week"), back)

    @post("/periods/{code:str}/close", sync_to_thread=True)
    def close(self, visit: NamedDependency[Visit], code: FromPath[str]) -> Response[Any]:
        """Start the closing of a period that is over."""
        visit.operator()
        period = named_period(visit.session, code)
        try:
            start_closing(visit, period)
        except PeriodNotOver as problem:
            return periods_page(
                visit, errors=[{"field": "", "text": visit.gettext(problem.message)}], status=409
            )
        return Redirect(f"/operate/periods#{period.code}", status_code=303)


class OperateApi(Controller):
    """Pay periods and payouts for programs."""

    path = "/api/v1/operate"
    tags = ["operate"]

    @get("/periods", sync_to_thread=True)
    def periods(self, visit: NamedDependency[Visit]) -> list[Week]:
        """List the pay periods, the newest first."""
        visit.operator()
        return [week_of(one) for one in known_periods(visit)]

    @get("/periods/{code:str}", sync_to_thread=True)
    def period(self, visit: NamedDependency[Visit], code: FromPath[str]) -> dict[str, Any]:
        """Give a period, how far its closing is, what stops it, and its runs of payouts."""
        visit.operator()
        return standing_json(visit, named_period(visit.session, code))

    @post("/periods/{code:str}/close", sync_to_thread=True, status_code=202)
    def close(self, visit: NamedDependency[Visit], code: FromPath[str]) -> dict[str, Any]:
        """Start the closing of a period that is over; look at the period to see how far it is."""
        visit.operator()
        known_periods(visit)
        period = named_period(visit.session, code)
        start_closing(visit, period)
        return standing_json(visit, period)


def known_periods(visit: Visit) -> list[PayPeriod]:
    """Give all periods, those with work that nobody has asked for yet among them."""
    payroll.due_periods(visit.session, visit.now)
    period_at(visit.session, visit.now, visit.now)
    return periods(visit.session)


def start_closing(visit: Visit, period: PayPeriod) -> None:
    """Send the job that closes a period; once more is harmless. Raises PeriodNotOver."""
    if visit.now < period.ends_at:
        raise PeriodNotOver(period=period.code, ends_at=period.ends_at.isoformat())
    if period.state == PeriodState.CLOSED:
        return
    progress.report(visit.session, period.id, 0, 0, visit.now)
    enqueue(visit.session, "payments.close_period", str(period.id))


def standing_of(visit: Visit, period: PayPeriod, *, look: bool) -> Standing:
    """Say where a period stands; `look` also asks the books what stops its closing."""
    return standings_of(visit, [period], look=look)[0]


def standings_of(visit: Visit, found: Sequence[PayPeriod], *, look: bool) -> list[Standing]:
    """Say where periods stand, with as many statements for many as for one."""
    how_far = progress.progress_by_subject(visit.session, [period.id for period in found])
    runs = all_runs(visit.session)
    return [
        Standing(
            period=period,
            over=visit.now >= period.ends_at,
            progress=how_far.get(period.id),
            trouble=trouble_of(visit, period) if look and period.state == PeriodState.CLOSING else [],
            runs=[run for run, of in runs if of.id == period.id],
        )
        for period in found
    ]


def trouble_of(visit: Visit, period: PayPeriod) -> list[Trouble]:
    """Name what keeps a closing period open: stored lines that underpay, and workers who cannot be settled."""
    session = visit.session
    made = [
        Trouble(f"{line.id} – {visit.formats.money(line.due, line.currency)}", f"/audit/lines/{line.id}")
        for line in underpaid(session, period.id)[:LINES_NAMED]
    ]
    settled = {line.worker_id for line in payroll.lines_of(session, period.id)}
    left = [who for who in payroll.workers_to_close(session, period) if who not in settled]
    for worker_id in left[:WORKERS_CHECKED]:
        try:
            with session.begin_nested():
                for draft in payroll.drafts_for(session, period, worker_id, visit.now):
                    check_paid(draft.line, worker_id)
        except FairlabelError as problem:
            made.append(
                Trouble(visit.gettext(problem.message), f"/audit/workers/{worker_id}?period={period.code}")
            )
    return made[: 2 * LINES_NAMED]


def periods_page(visit: Visit, errors: Sequence[dict[str, str]] = (), status: int = 200) -> Response[Any]:
    """Show all periods."""
    return visit.page(
        "operate/periods.html",
        status,
        standings=standings_of(visit, known_periods(visit), look=True),
        errors=errors,
        silent=heartbeat.is_silent(visit.session),
    )


def standing_json(visit: Visit, period: PayPeriod) -> dict[str, Any]:
    """Write a period for programs."""
    one = standing_of(visit, period, look=True)
    return asdict_week(period) | {
        "progress": {"done": one.progress.done, "total": one.progress.total} if one.progress else None,
        "trouble": [asdict(trouble) for trouble in one.trouble],
        "runs": [run_json(run_view(visit.session, run)) for run in one.runs],
    }


def asdict_week(period: PayPeriod) -> dict[str, Any]:
    """Write a period's own facts."""
    written: dict[str, Any] = msgspec.to_builtins(week_of(period))
    return written
