"""One due line down to its evidence: credited time, gaps, arithmetic, the rule in words, exchange rate, journal, log.

The evidence is computed again at each look, from the facts as they were known when the line was booked, and its hash
is compared with the one that was booked; a line whose facts no longer fit says so at the top.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import access, pay_views, wage_views
from annotate.audit import line_summary
from annotate.audit_ledger import Place, place_of
from annotate.rule_names import rule_name
from annotate.visit import Visit
from payments import worktime
from payments.accounts import worker_payable
from payments.canonical import digest
from payments.drafts import Draft, evidence
from payments.due_lines import DueLine
from payments.floors import note
from payments.fx import FxRate
from payments.paid_time import Gap, Share
from payments.payroll import drafts_for
from payments.periods import PayPeriod, get_period, period_named
from payments.rules import PayRule
from payments.terms import PayTerms, find_terms, plain
from payments.transparency import JOURNAL
from schemas.words import Words
from tasks.errors import FairlabelError
from tasks.people import Person, get_person

INTERVALS_SHOWN = 200


@dataclass(frozen=True)
class Step:
    """One rule that was considered, in words, with the document behind it where it is recorded."""

    rule: str
    kind: str
    applied: bool
    note: Words
    source: dict[str, str] | None
    sha256: str
    jurisdiction: str | None
    area: str | None


@dataclass(frozen=True)
class Evidence:
    """What a line rests on, computed again: whether it is what was booked, and why it could not be computed."""

    shares: list[Share]
    gaps: list[Gap]
    same: bool
    trouble: str

    @property
    def categories(self) -> dict[str, int]:
        """Credited seconds by what they were spent on."""
        found: dict[str, int] = defaultdict(int)
        for share in self.shares:
            found[share.category.value] += share.seconds
        return dict(found)


@dataclass(frozen=True)
class LineView:
    """A line with all that explains it."""

    line: DueLine
    period: PayPeriod
    worker: Person
    title: str
    terms: PayTerms | None
    evidence: Evidence
    steps: list[Step]
    rates: list[FxRate]
    place: Place | None

    @property
    def account(self) -> str:
        """The account on which the line was credited."""
        return worker_payable(self.line.worker_id, self.line.currency)


class LinePages(Controller):
    """A due line as a page."""

    path = "/audit/lines"
    include_in_schema = False

    @get("/{line_id:uuid}", sync_to_thread=True)
    def line(self, visit: NamedDependency[Visit], line_id: FromPath[UUID]) -> Response[Any]:
        """Show a line with its evidence."""
        line = access.line_for(visit.session, visit.organizer(), line_id)
        made = view_of(visit.session, line)
        return visit.page(
            "audit/line.html",
            view=made,
            line=line,
            plain=plain,
            rule_name=lambda step: rule_name(visit, step.kind, step.jurisdiction, step.area),
            intervals=[spelled(one) for one in made.evidence.shares[:INTERVALS_SHOWN]],
            gaps=[
                (moment_of(one.start), moment_of(one.end), one)
                for one in made.evidence.gaps[:INTERVALS_SHOWN]
            ],
            more=max(0, len(made.evidence.shares) - INTERVALS_SHOWN),
        )


class LineApi(Controller):
    """A due line for programs."""

    path = "/api/v1/audit/lines"
    tags = ["audit"]

    @get("/{line_id:uuid}", sync_to_thread=True)
    def line(self, visit: NamedDependency[Visit], line_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a line with its evidence computed again, its rules, and its place in the log."""
        line = access.line_for(visit.session, visit.organizer(), line_id)
        made, say_all = view_of(visit.session, line), visit.formats.say_all
        return line_summary(line) | {
            "period": made.period.code,
            "worker": made.worker.pseudonym,
            "charge": line.charge,
            "charge_currency": line.charge_currency,
            "fee": line.fee,
            "rule_sha256": line.rule_sha256,
            "trace": pay_views.noted(visit, line.trace),
            "rules": say_all([asdict(one) for one in made.steps]),
            "fx": line.fx,
            "fx_rates": [rate_json(one) for one in made.rates],
            "evidence_digest": line.evidence_digest.hex(),
            "evidence_as_booked": made.evidence.same,
            "evidence_trouble": visit.formats.say(made.evidence.trouble) or None,
            "intervals": [asdict(one) for one in made.evidence.shares],
            "gaps": say_all([asdict(one) for one in made.evidence.gaps]),
            "log": asdict(made.place) if made.place else None,
        }


def view_of(session: Session, line: DueLine) -> LineView:
    """Gather all that explains a line."""
    period = get_period(session, line.period_id)
    titles = wage_views.batch_titles(session, {line.batch_id}) if line.batch_id else {}
    return LineView(
        line=line,
        period=period,
        worker=get_person(session, line.worker_id),
        title=titles.get(line.batch_id, "") if line.batch_id else "",
        terms=find_terms(session, line.batch_id) if line.batch_id else None,
        evidence=recomputed(session, line),
        steps=steps_of(session, line),
        rates=rates_of(session, line),
        place=place_of(session, JOURNAL, str(line.journal_id)) if line.journal_id else None,
    )


def recomputed(session: Session, line: DueLine) -> Evidence:
    """Compute a line's evidence again from the facts as they were known when it was booked."""
    trouble, draft = "", None
    try:
        draft = draft_of(session, line)
    except FairlabelError as problem:
        trouble = problem.message
    gaps = worktime.gaps_of(session, line.worker_id, line.segment_start, line.segment_end)
    if draft is None:
        return Evidence([], gaps, same=False, trouble=trouble)
    same = digest(evidence(draft)) == line.evidence_digest
    return Evidence(list(draft.line.shares), gaps, same=same, trouble=trouble)


def draft_of(session: Session, line: DueLine) -> Draft | None:
    """Find the segment of a line among its worker's; None if the facts know no such segment."""
    week = period_named(session, line.week)
    for draft in drafts_for(session, week, line.worker_id, line.made_at):
        if draft.line.batch_id == line.batch_id and draft.line.segment_start == line.segment_start:
            return draft
    return None


def steps_of(session: Session, line: DueLine) -> list[Step]:
    """Say what was considered for the floor, the applied rule first, each with its document's source."""
    entries: list[dict[str, Any]] = line.trace
    hashes = {entry["sha256"] for entry in entries if entry.get("sha256")}
    sources = {
        rule.sha256: rule.document.get("source")
        for rule in session.scalars(select(PayRule).where(PayRule.sha256.in_(hashes)))
    }
    made = [
        Step(
            rule=entry["rule"],
            kind=entry.get("kind", ""),
            applied=bool(entry.get("applied")),
            note=note(entry),
            source=sources.get(entry.get("sha256", "")),
            sha256=entry.get("sha256", ""),
            jurisdiction=entry.get("jurisdiction"),
            area=entry.get("area"),
        )
        for entry in entries
    ]
    return sorted(made, key=lambda one: not one.applied)


def rates_of(session: Session, line: DueLine) -> list[FxRate]:
    """Give the exchange rates that a line used: one, or two where it went through a third currency."""
    ids = [one for one in (line.fx_rate_id, line.fx_through) if one is not None]
    found = {one.id: one for one in session.scalars(select(FxRate).where(FxRate.id.in_(ids)))}
    return [found[one] for one in ids if one in found]


def spelled(share: Share) -> tuple[datetime, datetime, Share]:
    """Give a share with its moments."""
    return moment_of(share.start), moment_of(share.end), share


def moment_of(second: int) -> datetime:
    """Turn a whole second into a moment."""
    return datetime.fromtimestamp(second, UTC)


def rate_json(rate: FxRate) -> dict[str, str]:
    """Write an exchange rate for programs."""
    return {
        "id": str(rate.id),
        "base": rate.base,
        "quote": rate.quote,
        "rate": plain(rate.rate),
        "provider": rate.provider,
        "as_of": rate.as_of.isoformat(),
    }
