"""Reconciliation reads the books from the facts upward: work, earnings, lines, payslips, balances, payouts.

It writes nothing. Lines are computed again from the evidence as it was known when they were booked and compared
figure by figure; what became known later may only add, and is named as owed until a later period books it as a
correction. Every check names its first few offenders.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from payments import ledger
from payments.canonical import digest
from payments.drafts import corrected, row_of
from payments.due_lines import OVERHEAD, DueLine, lines_about, underpaid
from payments.ledger_checks import Check, Query, check, few, run
from payments.money import Money
from payments.payroll import corrections_of, drafts_for, workers_between
from payments.payslips import Payslip
from payments.periods import PayPeriod, PeriodState
from schemas.words import Words, listed
from tasks.errors import FairlabelError

ROWS_AT_ONCE: Final = 500
Say = Callable[[int, int], None]

QUERIES: Final = (
    Query(
        Words("every ended assignment has its earning"),
        """
SELECT assignment.id FROM assignment
LEFT JOIN earning ON earning.assignment_id = assignment.id
WHERE assignment.state <> 'leased' AND (earning.id IS NULL OR earning.worker_id <> assignment.worker_id
    OR (assignment.state = 'submitted') <> (earning.kind = 'submitted'))""",
        Words("assignment %(id)s"),
    ),
    Query(
        Words("everybody paid for a closed period has exactly one payslip per currency"),
        """
SELECT coalesce(pay_period.code || ' ' || owed.worker_id, slip.number) FROM pay_period
JOIN (SELECT period_id, worker_id, currency FROM due_line GROUP BY 1, 2, 3) AS owed
    ON owed.period_id = pay_period.id
FULL JOIN payslip AS slip USING (period_id, worker_id, currency)
WHERE (pay_period.state = 'closed' OR pay_period.id IS NULL) AND (slip.id IS NULL OR owed.worker_id IS NULL)""",
    ),
    Query(
        Words("every payslip's total is the sum of its lines"),
        """
SELECT payslip.number FROM payslip LEFT JOIN due_line USING (period_id, worker_id, currency)
GROUP BY payslip.id
HAVING payslip.total <> coalesce(sum(due_line.due), 0)
    OR (payslip.document -> 'totals' ->> 'due')::bigint <> payslip.total
    OR jsonb_array_length(payslip.document -> 'lines') <> count(due_line.id)
    OR (SELECT sum((line ->> 'due')::bigint) FROM jsonb_array_elements(payslip.document -> 'lines') AS line)
        <> payslip.total""",
    ),
    Query(
        Words("what is owed to each worker is their dues less their payouts"),
        """
SELECT account.code FROM account
LEFT JOIN (SELECT worker_id, currency, sum(due) AS amount FROM due_line GROUP BY 1, 2) AS earned
    ON account.code = 'worker_payable:' || earned.worker_id || ':' || earned.currency
LEFT JOIN (SELECT worker_id, currency, sum(amount) AS amount FROM payout WHERE state <> 'failed' GROUP BY 1, 2) AS sent
    ON account.code = 'worker_payable:' || sent.worker_id || ':' || sent.currency
WHERE account.code LIKE 'worker\\_payable:%'
    AND account.credits - account.debits <> coalesce(earned.amount, 0) - coalesce(sent.amount, 0)""",
    ),
    Query(
        Words("money in transit is the payouts under way"),
        """
SELECT account.code FROM account
LEFT JOIN (SELECT rail, payout.currency, sum(amount) AS amount FROM payout
           JOIN payout_run ON payout_run.id = payout.run_id
           WHERE payout.state IN ('planned', 'in_transit') GROUP BY 1, 2) AS moving
    ON account.code = 'payout_in_transit:' || moving.rail || ':' || moving.currency
WHERE account.code LIKE 'payout\\_in\\_transit:%'
    AND account.credits - account.debits <> coalesce(moving.amount, 0)""",
    ),
)


def recheck(session: Session, now: datetime, say: Say = lambda _done, _of: None) -> list[Check]:
    """Check all the books against each other and against the facts; says how many workers' weeks of all are done."""
    made = list(ledger.checks(session))
    made += [run(session, query) for query in QUERIES]
    made.append(check(Words("every payslip is as it was hashed"), _changed_payslips(session)))
    made.append(check(Words("no line is underpaid"), _underpaid(session)))
    wrong, still = _recomputed(session, now, say)
    made.append(check(Words("every line is what the facts say"), wrong))
    made.append(Check(Words("corrections owed"), ok=True, detail=few(still)))
    return made


def _changed_payslips(session: Session) -> list[str]:
    query = select(Payslip.number, Payslip.document, Payslip.digest).order_by(Payslip.number)
    rows = session.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
    return [number for number, document, kept in rows if digest(document) != kept]


def _underpaid(session: Session) -> list[str]:
    periods = session.scalars(select(PayPeriod.id).order_by(PayPeriod.starts_at))
    return [str(line.id) for period_id in periods for line in underpaid(session, period_id)]


def _recomputed(session: Session, now: datetime, say: Say) -> tuple[list[Words], list[Words]]:
    """Compute every settled worker's weeks again: what does not fit, and what is owed since."""
    wrong: list[Words] = []
    still: list[Words] = []
    query = select(PayPeriod).where(PayPeriod.state != PeriodState.OPEN).order_by(PayPeriod.starts_at)
    concerned = {week: _concerned(session, week) for week in session.scalars(query).all()}
    done, total = 0, sum(map(len, concerned.values()))
    for week, workers in concerned.items():
        for done, worker_id in enumerate(workers, done + 1):  # noqa: B020  goes on counting
            try:
                found = _misbooked(session, week, worker_id)
                if week.state == PeriodState.CLOSED and not found:
                    still.extend(_still_owed(session, week, worker_id, now))
            except FairlabelError as problem:
                said = {"week": week.code, "worker": str(worker_id), "why": problem.message}
                found = [Words("%(week)s worker %(worker)s: %(why)s", **said)]
            wrong.extend(found)
            say(done, total)
    return wrong, still


def _concerned(session: Session, week: PayPeriod) -> list[UUID]:
    """Give everybody who has a line of a period, or ought to have one once it is closed."""
    query = select(DueLine.worker_id).where(DueLine.period_id == week.id)
    concerned = set(session.scalars(query.distinct()))
    if week.state == PeriodState.CLOSED:
        concerned |= set(workers_between(session, week.starts_at, week.ends_at))
    return sorted(concerned)


def _misbooked(session: Session, week: PayPeriod, worker_id: UUID) -> list[Words]:
    """Compute all that was booked for a worker's week again, each time as known when it was booked."""
    lines = lines_about(session, week, worker_id)
    times = sorted({line.made_at for line in lines})
    if not any(line.period_id == week.id for line in lines):
        times.insert(0, week.closed_at or week.ends_at)
    wrong: list[Words] = []
    where = Words("%(week)s worker %(worker)s batch %(batch)s from %(start)s: %(fields)s")
    who = {"week": week.code, "worker": str(worker_id)}
    for number, known_at in enumerate(times):
        before = [line for line in lines if line.made_at < known_at]
        drafts = drafts_for(session, week, worker_id, known_at)
        if number:
            drafts = corrected(drafts, before)
        kept = _figures(vars(line) for line in lines if line.made_at == known_at)
        found = _figures(row_of(week, worker_id, draft, known_at) for draft in drafts)
        wrong.extend(
            where.filled(
                **who, batch=batch, start=start, fields=_differing(found.get(place), kept.get(place))
            )
            for place in sorted(found.keys() | kept.keys())
            for batch, start in (place,)
            if found.get(place) != kept.get(place)
        )
    return wrong


def _still_owed(session: Session, week: PayPeriod, worker_id: UUID, now: datetime) -> list[Words]:
    more: dict[str, int] = defaultdict(int)
    for draft in corrections_of(session, week, worker_id, now):
        more[draft.line.currency] += draft.due.due
    correction = Words("%(week)s worker %(worker)s: %(amount)s")
    return [
        correction.filled(week=week.code, worker=str(worker_id), amount=Money(amount, currency))
        for currency, amount in more.items()
    ]


def _figures(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Name each line by batch and start, and keep what is computed from facts."""
    names = ("currency", "seconds", "agreed", "required", "due", "rate", "rule", "answers", "evidence_digest")
    return {
        (str(row["batch_id"] or OVERHEAD), f"{row['segment_start']:%Y-%m-%dT%H:%MZ}"): {
            name: row[name] for name in names
        }
        for row in rows
    }


def _differing(found: dict[str, Any] | None, kept: dict[str, Any] | None) -> Words:
    if found is None:
        return Words("the facts know no such line")
    if kept is None:
        return Words("the line is missing")
    differs = Words("%(name)s %(kept)s, facts say %(found)s")
    names = [name for name in kept if kept[name] != found[name]]
    return listed([differs.filled(name=one, kept=_told(kept[one]), found=_told(found[one])) for one in names])


def _told(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
