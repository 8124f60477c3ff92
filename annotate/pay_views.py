"""A worker's pay in words: open weeks, payslips, and one line down to its evidence.

A line is shown the same way before and after its period closes, because both are computed by the same rules. Every
figure says from what it comes: so many hours at such a floor, less what was agreed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import rule_names
from annotate.rule_names import rule_name
from annotate.visit import Visit
from payments import payroll
from payments.drafts import Draft
from payments.due_lines import DueLine
from payments.dues import hourly_equivalent
from payments.earnings import DraftLine, lines_for
from payments.floors import note
from payments.paid_time import Category
from payments.payouts import Payout, PayoutRun, PayoutState
from payments.payslips import Payslip, hours_text
from payments.periods import WEEK, PayPeriod, PeriodState, code_of, start_of
from tasks.batches import Named, named
from tasks.people import Person

Trace = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class PayLine:
    """What one batch (or the platform's overhead) owes in one rule segment, booked or not."""

    batch_id: UUID | None
    start: datetime
    end: datetime
    seconds: int
    agreed: int
    required: int
    due: int
    topup: int
    rate: Fraction
    currency: str
    rule: str
    trace: Trace
    corrects_week: str = ""

    @property
    def hourly(self) -> Fraction | None:
        """What an hour brought."""
        return hourly_equivalent(self.due, self.seconds)


def drafted(line: DraftLine) -> PayLine:
    """Take a line that is not booked yet."""
    return PayLine(
        batch_id=line.batch_id,
        start=line.segment_start,
        end=line.segment_end,
        seconds=line.seconds,
        agreed=line.due.agreed,
        required=line.due.required,
        due=line.due.due,
        topup=line.due.topup,
        rate=line.rate,
        currency=line.currency,
        rule=line.rule,
        trace=line.trace,
    )


def booked(line: DueLine) -> PayLine:
    """Take a line from the books."""
    return PayLine(
        batch_id=line.batch_id,
        start=line.segment_start,
        end=line.segment_end,
        seconds=line.seconds,
        agreed=line.agreed,
        required=line.required,
        due=line.due,
        topup=line.topup,
        rate=line.hourly_floor,
        currency=line.currency,
        rule=line.rule,
        trace=line.trace,
        corrects_week=line.week if line.corrects else "",
    )


def correcting(draft: Draft) -> PayLine:
    """Take a correction that is not booked yet: what is left of the segment."""
    due, left = draft.due, draft.whole - draft.before
    seconds = sum(left[category] for category in Category)
    return replace(
        drafted(draft.line),
        seconds=seconds,
        agreed=due.agreed,
        required=due.required,
        due=due.due,
        topup=due.topup,
        corrects_week=code_of(draft.line.segment_start.date()),
    )


def open_weeks(session: Session, now: datetime) -> list[datetime]:
    """Give the starts of the weeks that are not settled yet, this one first."""
    current = start_of(now)
    known = session.execute(select(PayPeriod.starts_at, PayPeriod.state)).all()
    settled = {start.astimezone(UTC) for start, state in known if state == PeriodState.CLOSED}
    over = {start.astimezone(UTC) for start, _ in known if start < current} | {current - WEEK}
    return [current, *sorted(over - settled, reverse=True)]


def week_lines(session: Session, person: Person, start: datetime, now: datetime) -> list[PayLine]:
    """Give a week's lines as they stand, the one with most money first."""
    # What is submitted in this very moment counts already.
    end = min(start + WEEK, now + timedelta(seconds=1))
    lines = [drafted(line) for line in lines_for(session, person, start, end, now)]
    return sorted(lines, key=lambda line: (line.currency, -line.due, line.start))


def week(visit: Visit, person: Person, start: datetime) -> dict[str, Any]:
    """Prepare one unsettled week for the page."""
    lines = week_lines(visit.session, person, start, visit.now)
    names = names_of(visit.session, (line.batch_id for line in lines))
    return {
        "code": code_of(start),
        "start": start,
        "end": start + WEEK,
        "over": visit.now >= start + WEEK,
        "sums": [sums(visit, group) for group in by_currency(lines)],
        "lines": [line_words(visit, line, names) for line in lines],
    }


def late(visit: Visit, person: Person) -> dict[str, Any]:
    """Prepare what was added to settled weeks and is paid with the next one."""
    drafts = payroll.corrections(visit.session, person.id, visit.now, visit.now)
    lines = [correcting(draft) for draft in drafts]
    names = names_of(visit.session, (line.batch_id for line in lines))
    return {
        "sums": [sums(visit, group) for group in by_currency(lines)],
        "lines": [line_words(visit, line, names) for line in lines],
    }


def by_currency(lines: Iterable[PayLine]) -> list[list[PayLine]]:
    """Group lines so that two currencies are never added."""
    groups: dict[str, list[PayLine]] = defaultdict(list)
    for line in lines:
        groups[line.currency].append(line)
    return list(groups.values())


def sums(visit: Visit, lines: list[PayLine]) -> dict[str, str]:
    """Write the sums of lines in one currency."""
    f, currency = visit.formats, lines[0].currency
    seconds, due = sum(line.seconds for line in lines), sum(line.due for line in lines)
    hourly = hourly_equivalent(due, seconds)
    return {
        "currency": currency,
        "due": f.money(due, currency),
        "agreed": f.money(sum(line.agreed for line in lines), currency),
        "required": f.money(sum(line.required for line in lines), currency),
        "topup": f.money(sum(line.topup for line in lines if line.agreed), currency),
        "hours": f.hours(seconds),
        "hourly": "–" if hourly is None else f.rate(hourly, currency),
    }


def line_words(visit: Visit, line: PayLine, names: dict[UUID, Named]) -> dict[str, Any]:
    """Write one line with the way to its figure."""
    f = visit.formats
    name = name_of(visit, line.batch_id, names)
    trace = trace_words(visit, line.trace)
    return {
        "title": name.title,
        "requester": name.requester,
        "hours": f.hours(line.seconds),
        "agreed": f.money(line.agreed, line.currency),
        "required": f.money(line.required, line.currency),
        # Where time alone is paid there is nothing to be topped up.
        "topup": f.money(line.topup, line.currency) if line.topup and line.agreed else "",
        "due": f.money(line.due, line.currency),
        "hourly": "–" if line.hourly is None else f.rate(line.hourly, line.currency),
        "floor": f.rate(line.rate, line.currency),
        "how": how(visit, line),
        "rule": next((one["name"] for one in trace if one["rule"] == line.rule), line.rule),
        "exact": f.price(line.rate, line.currency),
        "trace": trace,
    }


def how(visit: Visit, line: PayLine) -> str:
    """Say in a sentence why a line is as high as it is."""
    f = visit.formats
    said = {
        "hours": hours_text(line.seconds),
        "rate": f.money(line.rate, line.currency),
        "required": f.money(line.required, line.currency),
        "agreed": f.money(line.agreed, line.currency),
    }
    if line.corrects_week:
        return visit.gettext("what week %(week)s asks for now, less what was paid for it before") % {
            "week": line.corrects_week
        }
    if not line.agreed:
        return visit.gettext("%(hours)s at %(rate)s an hour") % said
    if line.topup:
        return visit.gettext("%(hours)s at %(rate)s an hour is %(required)s, less %(agreed)s") % said
    return (
        visit.gettext("the agreed %(agreed)s is not under %(hours)s at %(rate)s an hour, %(required)s") % said
    )


def noted(visit: Visit, trace: Trace) -> list[dict[str, Any]]:
    """Give a trace with what each entry means for the floor."""
    return [{**entry, "note": visit.formats.say(note(entry))} for entry in trace]


def trace_words(visit: Visit, trace: Trace) -> list[dict[str, Any]]:
    """Write what was considered for a floor, the applied rule first."""
    ordered = sorted(trace, key=lambda entry: not entry["applied"])
    return [
        {
            "rule": entry["rule"],
            "name": rule_name(visit, entry["kind"], entry.get("jurisdiction"), entry.get("area")),
            "kind": entry["kind"],
            "note": visit.formats.say(note(entry)),
            "applied": entry["applied"],
        }
        for entry in ordered
    ]


def names_of(session: Session, batches: Iterable[UUID | None]) -> dict[UUID, Named]:
    """Give the names of batches."""
    return named(session, {one for one in batches if one is not None})


def name_of(visit: Visit, batch_id: UUID | None, names: dict[UUID, Named]) -> Named:
    """Give a batch's name; time that belongs to none is the platform's."""
    if batch_id is None:
        return Named(visit.gettext("Waiting, support and other time"), visit.gettext("paid by the platform"))
    return names.get(batch_id, Named(visit.gettext("A batch"), ""))


def payouts(visit: Visit, found: Iterable[Payout]) -> list[dict[str, Any]]:
    """Write payouts with where each one stands."""
    f = visit.formats
    words = payout_states(visit)
    kinds = {PayoutState.PAID: "ok", PayoutState.FAILED: "bad"}
    return [
        {
            "amount": f.money(one.amount, one.currency),
            "state": words[PayoutState(one.state)],
            "kind": kinds.get(PayoutState(one.state), "plain"),
            "day": f.day(one.paid_at or one.failed_at or one.created_at),
            "reference": one.reference or one.reason,
        }
        for one in found
    ]


def payout_states(visit: Visit) -> dict[PayoutState, str]:
    """Say what each state of a payout means to the one who is paid."""
    return {
        PayoutState.PLANNED: visit.gettext("Set aside for you"),
        PayoutState.IN_TRANSIT: visit.gettext("On its way"),
        PayoutState.PAID: visit.gettext("Paid"),
        PayoutState.FAILED: visit.gettext("Did not arrive; it is owed to you again"),
    }


def payslip(visit: Visit, slip: Payslip, *, own: bool) -> dict[str, Any]:
    """Prepare a payslip for macros/pay.html; only its worker gets the ways to the evidence."""
    f, document, currency = visit.formats, slip.document, slip.currency
    start, end = (datetime.fromisoformat(document["period"][edge]) for edge in ("starts_at", "ends_at"))
    label, when = _paid(visit, slip)
    totals = document["totals"]
    hourly = document["hourly"]["w_all"].get("exact")
    rule = visit.gettext(
        "Each line is the greater of the agreed pay and the credited time at the floor. Nothing is deducted."
    )
    if hourly:
        said = {"hourly": f.money(Fraction(hourly), currency), "hours": totals["hours"]}
        rule += " " + visit.gettext("Over %(hours)s of credited time that is %(hourly)s an hour.") % said
    return {
        "title": visit.gettext("Payslip %(code)s") % {"code": document["period"]["code"]},
        "period": f"{f.span(start, end)}{when}",
        "paid_label": label,
        "paid": f.money(slip.total, currency),
        "worker": [document["worker"]["name"], document["worker"]["pseudonym"]],
        "paid_by": [
            document["payer"],
            *sorted({one["requester"] for one in document["lines"] if one.get("requester")}),
        ],
        "floors": _floors(visit, document["lines"], currency),
        "lines": [_slip_line(visit, one, currency, own=own) for one in document["lines"]],
        "sums": [_slip_topup(visit, one, currency) for one in document["lines"] if _topped_up(one)],
        "total": {"label": visit.gettext("Net pay"), "amount": f.money(slip.total, currency)},
        "rule": rule,
        "code": slip.digest.hex(),
    }


def _floors(visit: Visit, lines: list[dict[str, Any]], currency: str) -> list[str]:
    """Name each floor that held in the period, with the rule or agreement that sets it, the highest first."""
    found = sorted({(Fraction(one["rate"]), one["rule"]) for one in lines}, reverse=True)
    names = rule_names.names_of(visit, [rule for _, rule in found])
    return [f"{visit.formats.rate(rate, currency)} · {names[rule]}" for rate, rule in found]


def _paid(visit: Visit, slip: Payslip) -> tuple[str, str]:
    """Say where a payslip's money is, and since when."""
    query = (
        select(Payout)
        .join(PayoutRun, PayoutRun.id == Payout.run_id)
        .where(
            PayoutRun.period_id == slip.period_id,
            PayoutRun.currency == slip.currency,
            Payout.worker_id == slip.worker_id,
        )
    )
    found = visit.session.scalars(query).first()
    if found is None:
        return visit.gettext("Net pay"), ""
    if found.paid_at is not None and found.state == PayoutState.PAID:
        when = visit.gettext("paid %(day)s") % {"day": visit.formats.day(found.paid_at)}
        return visit.gettext("Paid out"), f", {when}"
    return payout_states(visit)[PayoutState(found.state)], ""


def _topped_up(line: dict[str, Any]) -> bool:
    return bool(line["topup"] and line["agreed"] and not line.get("corrects_week"))


def _slip_line(visit: Visit, line: dict[str, Any], currency: str, *, own: bool) -> dict[str, Any]:
    """Write a payslip's line: the agreed pay, or the time where time alone is paid."""
    f = visit.formats
    if week := line.get("corrects_week"):
        amount = line["due"]
        note = visit.gettext("added to week %(week)s, %(hours)s") % {"week": week, "hours": line["hours"]}
    elif line["agreed"]:
        amount = line["agreed"]
        note = visit.ngettext("%(num)s answer", "%(num)s answers", line["answers"])
    else:
        amount, note = line["due"], _at_floor(visit, line, currency)
    title = line.get("title") or name_of(visit, None, {}).title
    return {
        "work": title,
        "note": " · ".join(part for part in (line.get("requester", ""), note) if part),
        "hours": line["hours"],
        "amount": f.money(amount, currency),
        "href": f"/pay/lines/{line['due_line']}" if own else "",
    }


def _slip_topup(visit: Visit, line: dict[str, Any], currency: str) -> dict[str, Any]:
    f = visit.formats
    said = {
        "time": _at_floor(visit, line, currency),
        "required": f.money(line["required"], currency),
        "agreed": f.money(line["agreed"], currency),
    }
    return {
        "label": visit.gettext("Top-up: %(work)s") % {"work": line.get("title", "")},
        "note": visit.gettext("%(time)s is %(required)s, less %(agreed)s") % said,
        "amount": f.money(line["topup"], currency),
    }


def _at_floor(visit: Visit, line: dict[str, Any], currency: str) -> str:
    rate = visit.formats.money(Fraction(line["rate"]), currency)
    return visit.gettext("%(hours)s at %(rate)s an hour") % {"hours": line["hours"], "rate": rate}
