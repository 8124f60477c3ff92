"""My pay: the open week line by line, payouts, payslips, and each line down to its evidence.

Everything here belongs to the worker who looks at it. A payslip may be shown to anyone: a link is made for that,
shown once, and ended whenever the worker likes.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from annotate import access, pay_views, timeline
from annotate.audit_line import recomputed
from annotate.pay_views import PayLine
from annotate.visit import Visit
from payments import payouts, payroll, payslips
from payments.money import text
from payments.paid_time import NOTHING_OPEN, Category, Gap
from payments.payslips import Payslip
from payments.periods import WEEK, get_period, start_of
from tasks.people import Person

ROWS_SHOWN = 300
PRIVATE = {"x-robots-tag": "noindex"}


class MyPay(Controller):
    """Pages of a worker's own pay."""

    include_in_schema = False

    @get("/pay", sync_to_thread=True)
    def overview(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show what was earned since the last close, the payouts and the payslips."""
        person = visit.worker().person
        weeks = [
            pay_views.week(visit, person, start) for start in pay_views.open_weeks(visit.session, visit.now)
        ]
        slips = payslips.payslips_of(visit.session, person.id)
        return visit.page(
            "pay/overview.html",
            this=weeks[0],
            earlier=[week for week in weeks[1:] if week["lines"]],
            late=pay_views.late(visit, person),
            pay_day=start_of(visit.now) + WEEK,
            payouts=pay_views.payouts(visit, payouts.payouts_of(visit.session, person.id)),
            slips=[_listed(visit, slip) for slip in slips],
        )

    @get("/pay/payslips/{payslip_id:uuid}", sync_to_thread=True)
    def payslip(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> Response[Any]:
        """Show a payslip, ready to be printed."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        return _payslip_page(visit, slip)

    @post("/pay/payslips/{payslip_id:uuid}/share", sync_to_thread=True)
    def share(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> Response[Any]:
        """Make a link for anyone and show it this once."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        return _payslip_page(visit, slip, link=share_link(visit, slip))

    @get("/pay/payslips/{payslip_id:uuid}/links/{share:str}/end", sync_to_thread=True)
    def ask_end(
        self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID], share: FromPath[str]
    ) -> Response[Any]:
        """Say what ending a link means before it is done."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        found = payslips.get_share(visit.session, slip, share, visit.now)
        made = visit.formats.moment(found.created_at)
        return _ask_end(visit, slip, visit.gettext("End the link made %(made)s?") % {"made": made})

    @post("/pay/payslips/{payslip_id:uuid}/links/{share:str}/end", sync_to_thread=True)
    def end(
        self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID], share: FromPath[str]
    ) -> Response[Any]:
        """End one link to a payslip."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        payslips.revoke(visit.session, payslips.get_share(visit.session, slip, share, visit.now), visit.now)
        return Redirect(f"/pay/payslips/{slip.id}", status_code=303)

    @get("/pay/payslips/{payslip_id:uuid}/unshare", sync_to_thread=True)
    def ask_unshare(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> Response[Any]:
        """Say what ending all links means before it is done."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        return _ask_end(visit, slip, visit.gettext("End all links to this payslip?"))

    @post("/pay/payslips/{payslip_id:uuid}/unshare", sync_to_thread=True)
    def unshare(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> Response[Any]:
        """End all links to a payslip."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        payslips.revoke_all(visit.session, slip, visit.now)
        return Redirect(f"/pay/payslips/{slip.id}", status_code=303)

    @get("/pay/lines/{line_id:uuid}", sync_to_thread=True)
    def line(self, visit: NamedDependency[Visit], line_id: FromPath[UUID]) -> Response[Any]:
        """Show on what a line of a payslip rests."""
        viewer = visit.worker()
        found = access.own_line_for(visit.session, viewer, line_id)
        period = get_period(visit.session, found.period_id)
        seen = recomputed(visit.session, found)
        names = pay_views.names_of(visit.session, [found.batch_id])
        rows = timeline.blocks(seen.shares)
        return visit.page(
            "pay/line.html",
            line=pay_views.line_words(visit, pay_views.booked(found), names),
            found=found,
            period=period,
            kinds=[
                {
                    "kind": timeline.category_words(visit)[Category(name)],
                    "hours": visit.formats.hours(seconds),
                }
                for name, seconds in found.seconds_by.items()
            ],
            rows=rows[:ROWS_SHOWN],
            more=max(0, len(rows) - ROWS_SHOWN),
            words=timeline.category_words(visit),
            gaps=_gaps(visit, seen.gaps, rows)[:ROWS_SHOWN],
            seen=seen,
        )

    @get("/payslips/{token:str}", sync_to_thread=True)
    def shared(self, visit: NamedDependency[Visit], token: FromPath[str]) -> Response[Any]:
        """Show a payslip to anyone who has the worker's link."""
        slip = payslips.shared(visit.session, token, visit.now)
        shown = pay_views.payslip(visit, slip, own=False)
        page = visit.page("pay/shared.html", slip=shown, token=token)
        page.headers.update(PRIVATE)
        return page


class MyPayApi(Controller):
    """A worker's own pay for programs."""

    path = "/api/v1"
    tags = ["pay"]

    @get("/pay", sync_to_thread=True)
    def pay(self, visit: NamedDependency[Visit]) -> dict[str, Any]:
        """Give the weeks that are not settled yet, this one first; what was added to settled ones; the payouts."""
        person = visit.worker().person
        late = payroll.corrections(visit.session, person.id, visit.now, visit.now)
        return {
            "added_to_settled_weeks": [line_json(visit, pay_views.correcting(draft)) for draft in late],
            "weeks": [
                week_json(visit, person, start) for start in pay_views.open_weeks(visit.session, visit.now)
            ],
            "payouts": [
                {
                    "id": str(one.id),
                    "amount": text(one.amount, one.currency),
                    "currency": one.currency,
                    "state": one.state,
                    "reference": one.reference,
                    "reason": one.reason,
                }
                for one in payouts.payouts_of(visit.session, person.id)
            ],
        }

    @get("/payslips", sync_to_thread=True)
    def listed(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List one's payslips, the newest first."""
        slips = payslips.payslips_of(visit.session, visit.worker().person.id)
        return [
            {"id": str(one.id), "number": one.number, "currency": one.currency}
            | {"total": text(one.total, one.currency), "digest": one.digest.hex()}
            for one in slips
        ]

    @get("/payslips/{payslip_id:uuid}", sync_to_thread=True)
    def payslip(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a payslip's document and its digest."""
        return slip_json(access.payslip_for(visit.session, visit.worker(), payslip_id))

    @post("/payslips/{payslip_id:uuid}/share", sync_to_thread=True)
    def share(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> dict[str, str]:
        """Make a link for anyone; it is given this once."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        return {"url": share_link(visit, slip)}

    @delete("/payslips/{payslip_id:uuid}/share", sync_to_thread=True)
    def unshare(self, visit: NamedDependency[Visit], payslip_id: FromPath[UUID]) -> None:
        """End all links to a payslip."""
        slip = access.payslip_for(visit.session, visit.worker(), payslip_id)
        payslips.revoke_all(visit.session, slip, visit.now)

    @get("/public/payslips/{token:str}", sync_to_thread=True)
    def shared(self, visit: NamedDependency[Visit], token: FromPath[str]) -> dict[str, Any]:
        """Give a shared payslip to anyone who has its link, without signing in."""
        return slip_json(payslips.shared(visit.session, token, visit.now))

    @get("/pay/lines/{line_id:uuid}", sync_to_thread=True)
    def line(self, visit: NamedDependency[Visit], line_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a line with its credited seconds, from unix second to unix second, and the trace of its rule."""
        viewer = visit.worker()
        found = access.own_line_for(visit.session, viewer, line_id)
        seen = recomputed(visit.session, found)
        return line_json(visit, pay_views.booked(found)) | {
            "id": str(found.id),
            "journal": found.journal_id,
            "evidence": found.evidence_digest.hex(),
            "evidence_as_booked": seen.same,
            "shares": [[one.start, one.end, one.unit, one.category.value] for one in seen.shares],
            "gaps": [[one.start, one.end, visit.formats.say(one.reason)] for one in seen.gaps],
        }


def share_link(visit: Visit, slip: Payslip) -> str:
    """Make a link to a payslip."""
    return f"{visit.settings.base_url.rstrip('/')}/payslips/{payslips.share(visit.session, slip, visit.now)}"


def slip_json(slip: Payslip) -> dict[str, Any]:
    """Give a payslip for programs: the document exactly as it was hashed."""
    return {"payslip": slip.document, "digest": slip.digest.hex()}


def week_json(visit: Visit, person: Person, start: datetime) -> dict[str, Any]:
    """Give an unsettled week for programs."""
    lines = pay_views.week_lines(visit.session, person, start, visit.now)
    return {
        "starts_at": start.isoformat(),
        "ends_at": (start + WEEK).isoformat(),
        "over": visit.now >= start + WEEK,
        "lines": [line_json(visit, line) for line in lines],
        "due": {
            group[0].currency: text(sum(line.due for line in group), group[0].currency)
            for group in pay_views.by_currency(lines)
        },
    }


def line_json(visit: Visit, line: PayLine) -> dict[str, Any]:
    """Give a line for programs; amounts are decimal text, the rate is exact minor units per hour."""
    return {
        "batch": str(line.batch_id) if line.batch_id else None,
        "start": line.start.isoformat(),
        "end": line.end.isoformat(),
        "seconds": line.seconds,
        "currency": line.currency,
        "agreed": text(line.agreed, line.currency),
        "required": text(line.required, line.currency),
        "topup": text(line.topup, line.currency),
        "due": text(line.due, line.currency),
        "rate": str(line.rate),
        "rule": line.rule,
        "trace": pay_views.noted(visit, line.trace),
        "corrects_week": line.corrects_week or None,
    }


def _listed(visit: Visit, slip: Payslip) -> dict[str, str]:
    start = datetime.fromisoformat(slip.document["period"]["starts_at"])
    return {
        "href": f"/pay/payslips/{slip.id}",
        "code": slip.document["period"]["code"],
        "period": visit.formats.span(start, start + WEEK),
        "hours": slip.document["totals"]["hours"],
        "total": visit.formats.money(slip.total, slip.currency),
    }


def _ask_end(visit: Visit, slip: Payslip, title: str) -> Response[Any]:
    means = [
        visit.gettext("Whoever got it from you cannot read the payslip with it any more."),
        visit.gettext("You can make a new link at any time."),
    ]
    return visit.confirm(title, means, visit.gettext("End"), f"/pay/payslips/{slip.id}")


def _payslip_page(visit: Visit, slip: Payslip, link: str = "") -> Response[Any]:
    return visit.page(
        "pay/payslip.html",
        slip=pay_views.payslip(visit, slip, own=True),
        found=slip,
        link=link,
        shares=payslips.shares_of(visit.session, slip, visit.now),
    )


def _gaps(visit: Visit, gaps: list[Gap], rows: list[timeline.Row]) -> list[dict[str, Any]]:
    """Write the gaps within a line's time, without the hours in which no work was open."""
    found = [timeline.uncredited(gap) for gap in gaps if gap.reason != NOTHING_OPEN]
    return [
        {"row": row, "why": visit.formats.say(row.reason)}
        for row in found
        if rows and row.start >= rows[0].start and row.end <= rows[-1].end
    ]
