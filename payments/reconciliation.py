"""Reconciliation reads the books from the facts upward: work, earnings, lines, payslips, balances, payouts.

It writes nothing. Lines are computed again from the evidence as it was known when they were booked and compared
figure by figure; what was accepted later may only add, and is named as a correction that is owed. Every check names
its first few offenders.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from payments import ledger
from payments.canonical import digest
from payments.due_lines import OVERHEAD, DueLine, evidence, exact, lines_of, underpaid
from payments.ledger_checks import SHOWN, Check
from payments.money import text as money_text
from payments.payroll import drafts_for, workers_to_close
from payments.payslips import Payslip
from payments.periods import PayPeriod, PeriodState
from payments.proofs import MARGIN
from payments.worktime import Declaration, DeclarationState

QUERIES: Final[dict[str, str]] = {
    "every ended assignment has its earning": """
SELECT 'assignment ' || assignment.id FROM assignment
LEFT JOIN earning ON earning.assignment_id = assignment.id
WHERE assignment.state <> 'leased' AND (earning.id IS NULL OR earning.worker_id <> assignment.worker_id
    OR (assignment.state = 'submitted') <> (earning.kind = 'submitted'))""",
    "everybody paid for a closed period has exactly one payslip per currency": """
SELECT coalesce(pay_period.code || ' worker ' || owed.worker_id, slip.number) FROM pay_period
JOIN (SELECT period_id, worker_id, currency FROM due_line GROUP BY 1, 2, 3) AS owed
    ON owed.period_id = pay_period.id
FULL JOIN payslip AS slip USING (period_id, worker_id, currency)
WHERE (pay_period.state = 'closed' OR pay_period.id IS NULL) AND (slip.id IS NULL OR owed.worker_id IS NULL)""",
    "every payslip's total is the sum of its lines": """
SELECT payslip.number FROM payslip LEFT JOIN due_line USING (period_id, worker_id, currency)
GROUP BY payslip.id
HAVING payslip.total <> coalesce(sum(due_line.due), 0)
    OR (payslip.document -> 'totals' ->> 'due')::bigint <> payslip.total
    OR jsonb_array_length(payslip.document -> 'lines') <> count(due_line.id)
    OR (SELECT sum((line ->> 'due')::bigint) FROM jsonb_array_elements(payslip.document -> 'lines') AS line)
        <> payslip.total""",
    "what is owed to each worker is their dues less their payouts": """
SELECT account.code FROM account
LEFT JOIN (SELECT worker_id, currency, sum(due) AS amount FROM due_line GROUP BY 1, 2) AS earned
    ON account.code = 'worker_payable:' || earned.worker_id || ':' || earned.currency
LEFT JOIN (SELECT worker_id, currency, sum(amount) AS amount FROM payout WHERE state <> 'failed' GROUP BY 1, 2) AS sent
    ON account.code = 'worker_payable:' || sent.worker_id || ':' || sent.currency
WHERE account.code LIKE 'worker\\_payable:%'
    AND account.credits - account.debits <> coalesce(earned.amount, 0) - coalesce(sent.amount, 0)""",
    "money in transit is the payouts under way": """
SELECT account.code FROM account
LEFT JOIN (SELECT rail, payout.currency, sum(amount) AS amount FROM payout
           JOIN payout_run ON payout_run.id = payout.run_id
           WHERE payout.state IN ('planned', 'in_transit') GROUP BY 1, 2) AS moving
    ON account.code = 'payout_in_transit:' || moving.rail || ':' || moving.currency
WHERE account.code LIKE 'payout\\_in\\_transit:%'
    AND account.credits - account.debits <> coalesce(moving.amount, 0)""",
}


def recheck(session: Session) -> list[Check]:
    """Check all the books against each other and against the facts."""
    made = list(ledger.checks(session))
    for name, query in QUERIES.items():
        made.append(_check(name, session.scalars(text(f"{query} LIMIT {SHOWN + 1}")).all()))
    made.append(_check("every payslip is as it was hashed", _changed_payslips(session)))
    made.append(_check("no line is underpaid", _underpaid(session)))
    wrong, owed = _recomputed(session)
    made.append(_check("every line is what the facts say", wrong))
    made.append(Check("corrections owed", ok=True, detail=_shown(owed)))
    return made


def _changed_payslips(session: Session) -> list[str]:
    rows = session.execute(select(Payslip.number, Payslip.document, Payslip.digest).order_by(Payslip.number))
    return [number for number, document, kept in rows if digest(document) != kept]


def _underpaid(session: Session) -> list[str]:
    periods = session.scalars(select(PayPeriod.id).order_by(PayPeriod.starts_at))
    return [str(line.id) for period_id in periods for line in underpaid(session, period_id)]


def _recomputed(session: Session) -> tuple[list[str], list[str]]:
    """Compute every settled worker's lines again: what does not fit, and what is owed since."""
    wrong: list[str] = []
    owed: list[str] = []
    query = select(PayPeriod).where(PayPeriod.state != PeriodState.OPEN).order_by(PayPeriod.starts_at)
    for period in session.scalars(query):
        stored: dict[UUID, list[DueLine]] = defaultdict(list)
        for line in lines_of(session, period.id):
            stored[line.worker_id].append(line)
        concerned = set(stored)
        if period.state == PeriodState.CLOSED:
            concerned |= set(workers_to_close(session, period))
        for worker_id in sorted(concerned):
            _compare(session, period, worker_id, stored[worker_id], wrong, owed)
    return wrong, owed


def _compare(
    session: Session,
    period: PayPeriod,
    worker_id: UUID,
    lines: list[DueLine],
    wrong: list[str],
    owed: list[str],
) -> None:
    """Compare one worker's lines with the facts, as known when they were booked."""
    known_at = lines[0].made_at if lines else period.closed_at or period.ends_at
    kept = {_place(line.batch_id, line.segment_start): _figures(line) for line in lines}
    found = {}
    sums: dict[str, int] = defaultdict(int)
    for draft in drafts_for(session, period, worker_id, known_at, like=next(iter(lines), None)):
        one = draft.line
        sums[one.currency] += one.due.due
        found[_place(one.batch_id, one.segment_start)] = {
            "currency": one.currency,
            "seconds": one.seconds,
            "agreed": one.due.agreed,
            "required": one.due.required,
            "due": one.due.due,
            "rate": exact(one.rate),
            "rule": one.rule,
            "answers": draft.answers,
            "evidence": digest(evidence(draft)).hex(),
        }
    if known_at < period.ends_at + MARGIN:
        # Closed so early that work going on over the boundary could still change what its seconds are called.
        for figures in (*found.values(), *kept.values()):
            figures.pop("evidence")
    if found == kept:
        return
    named = f"{period.code} worker {worker_id}"
    for line in lines:
        sums[line.currency] -= line.due
    if _added_later(session, period, worker_id, known_at) and min(sums.values()) >= 0:
        owed.extend(
            f"{named}: {money_text(more, currency)} {currency}" for currency, more in sums.items() if more
        )
        return
    for place in sorted(found.keys() | kept.keys()):
        if found.get(place) != kept.get(place):
            fields = _differing(found.get(place), kept.get(place))
            wrong.append(f"{named} batch {place}: {fields}")


def _added_later(session: Session, period: PayPeriod, worker_id: UUID, known_at: datetime) -> bool:
    query = select(Declaration.id).where(
        Declaration.worker_id == worker_id,
        Declaration.state == DeclarationState.ACCEPTED,
        Declaration.decided_at > known_at,
        Declaration.start_at < period.ends_at,
        Declaration.end_at > period.starts_at,
    )
    return session.scalar(query.limit(1)) is not None


def _figures(line: DueLine) -> dict[str, Any]:
    names = ("currency", "seconds", "agreed", "required", "due", "rate", "rule", "answers")
    return {name: getattr(line, name) for name in names} | {"evidence": line.evidence_digest.hex()}


def _place(batch_id: UUID | None, start: datetime) -> str:
    return f"{batch_id or OVERHEAD} from {start:%Y-%m-%dT%H:%MZ}"


def _differing(found: dict[str, Any] | None, kept: dict[str, Any] | None) -> str:
    if found is None or kept is None:
        return "the facts know no such line" if found is None else "the line is missing"
    return ", ".join(
        f"{name} {kept[name]}, facts say {found[name]}" for name in kept if kept[name] != found[name]
    )


def _check(name: str, found: Iterable[str]) -> Check:
    listed = list(found)
    return Check(name, not listed, _shown(listed))


def _shown(listed: list[str]) -> str:
    return ", ".join(listed[:SHOWN]) + (" and more" if len(listed) > SHOWN else "")
