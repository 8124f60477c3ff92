"""A payout is one transfer of money to one worker: all that is owed to them in one currency, by one rail.

Its money leaves `worker_payable` for `payout_in_transit` in the transaction that plans it, and either reaches the
rail or comes back whole. Payouts of one period, currency and rail are a run; the run's file is made once and never
changes. A run is refused while a single line of its period is underpaid.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments import ledger, transparency
from payments.accounts import Account, hold, worker_payable
from payments.due_lines import UnderpaidLine, underpaid
from payments.ledger import Entry, Journal, Move
from payments.periods import PayPeriod, get_period
from payments.rails import MANUAL, RAILS, Order, PayoutRail
from schemas.words import Words
from tasks.append_only import REFUSE, attach
from tasks.db import Base
from tasks.errors import Conflict, Invalid, NotFound
from tasks.people import Person


class UnknownPayout(NotFound):
    """There is no such payout, or it is not yours."""


class PayoutSettled(Conflict):
    """This payout has already been settled otherwise."""


class NoReference(Invalid):
    """Write what proves it: the bank's reference of a payment, or the reason why it failed."""


class RunState(StrEnum):
    """Where a run stands."""

    PLANNED = "planned"
    FILE_MADE = "file_made"
    PAID = "paid"


class PayoutState(StrEnum):
    """Where a payout stands; a failed one's money is owed again."""

    PLANNED = "planned"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"


UNDER_WAY: Final = (PayoutState.PLANNED, PayoutState.IN_TRANSIT)


class PayoutRun(Base):
    """The payouts of one period, currency and rail; `file` is what was handed to the rail, byte for byte."""

    __tablename__ = "payout_run"
    __table_args__ = (
        UniqueConstraint("period_id", "currency", "rail"),
        CheckConstraint(
            "(file IS NULL) = (file_sha256 IS NULL) AND (file IS NULL) = (made_at IS NULL)", name="file"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    period_id: Mapped[UUID] = mapped_column(ForeignKey("pay_period.id"))
    currency: Mapped[str] = mapped_column(String(3))
    rail: Mapped[str]
    state: Mapped[str] = mapped_column(default=RunState.PLANNED)
    file: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    file_sha256: Mapped[str | None] = mapped_column(String(64))
    made_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Payout(Base):
    """One worker's money in a run; `reference` is the rail's own, `reason` why it failed."""

    __tablename__ = "payout"
    __table_args__ = (
        UniqueConstraint("run_id", "worker_id"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(state = 'paid') <= (reference <> '')", name="reference"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("payout_run.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(default=PayoutState.PLANNED)
    reference: Mapped[str] = mapped_column(default="")
    reason: Mapped[str] = mapped_column(default="")
    reserve_journal_id: Mapped[int] = mapped_column(ForeignKey(Journal.id), unique=True)
    paid_journal_id: Mapped[int | None] = mapped_column(ForeignKey(Journal.id), unique=True)
    settled_by: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


# What was handed to a bank stays as it was handed over; only how it went may be added.
RUN_GUARDS: Final = (
    REFUSE,
    """
CREATE OR REPLACE TRIGGER payout_run_stays BEFORE DELETE OR TRUNCATE ON payout_run
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """
CREATE OR REPLACE TRIGGER payout_run_keeps_file BEFORE UPDATE ON payout_run FOR EACH ROW WHEN (
    (OLD.id, OLD.period_id, OLD.currency, OLD.rail) IS DISTINCT FROM (NEW.id, NEW.period_id, NEW.currency, NEW.rail)
    OR OLD.file IS NOT NULL
        AND (OLD.file, OLD.file_sha256, OLD.made_at) IS DISTINCT FROM (NEW.file, NEW.file_sha256, NEW.made_at)
) EXECUTE FUNCTION refuse_change()""",
)
PAYOUT_GUARDS: Final = (
    REFUSE,
    """
CREATE OR REPLACE TRIGGER payout_stays BEFORE DELETE OR TRUNCATE ON payout
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """
CREATE OR REPLACE TRIGGER payout_keeps_amount BEFORE UPDATE ON payout FOR EACH ROW WHEN (
    (OLD.id, OLD.run_id, OLD.worker_id, OLD.amount, OLD.currency, OLD.reserve_journal_id)
        IS DISTINCT FROM (NEW.id, NEW.run_id, NEW.worker_id, NEW.amount, NEW.currency, NEW.reserve_journal_id)
) EXECUTE FUNCTION refuse_change()""",
)
GUARDS: Final = (*RUN_GUARDS, *PAYOUT_GUARDS)
attach(PayoutRun.__table__, RUN_GUARDS)
attach(Payout.__table__, PAYOUT_GUARDS)


def plan(session: Session, period: PayPeriod, now: datetime, rail: PayoutRail = MANUAL) -> list[PayoutRun]:
    """Set aside all that is owed to workers. Raises UnderpaidLine, then nothing is set aside."""
    _refuse_underpaid(session, period)
    for currency, codes in _owing(session).items():
        run = _run(session, period, currency, rail, now)
        if run.state == RunState.PLANNED:
            _set_aside(session, period, run, codes, now)
    return runs_of(session, period.id)


def runs_of(session: Session, period_id: UUID) -> list[PayoutRun]:
    """Give a period's runs."""
    query = (
        select(PayoutRun).where(PayoutRun.period_id == period_id).order_by(PayoutRun.currency, PayoutRun.rail)
    )
    return list(session.scalars(query))


def planned_runs(session: Session) -> list[PayoutRun]:
    """Give the runs whose file is not made yet, the oldest first."""
    query = (
        select(PayoutRun)
        .where(PayoutRun.state == RunState.PLANNED)
        .order_by(PayoutRun.created_at, PayoutRun.id)
    )
    return list(session.scalars(query))


def payouts_in(session: Session, run_id: UUID) -> list[Payout]:
    """Give a run's payouts."""
    return list(session.scalars(select(Payout).where(Payout.run_id == run_id).order_by(Payout.id)))


def payouts_of(session: Session, worker_id: UUID) -> list[Payout]:
    """Give a worker's payouts, the newest first."""
    query = (
        select(Payout)
        .where(Payout.worker_id == worker_id)
        .order_by(Payout.created_at.desc(), Payout.currency)
    )
    return list(session.scalars(query))


def get_run(session: Session, run_id: UUID) -> PayoutRun:
    """Fetch a run. Raises UnknownPayout."""
    found = session.get(PayoutRun, run_id)
    if found is None:
        raise UnknownPayout
    return found


def get_payout(session: Session, payout_id: UUID) -> Payout:
    """Fetch a payout. Raises UnknownPayout."""
    found = session.get(Payout, payout_id)
    if found is None:
        raise UnknownPayout
    return found


def make_file(session: Session, run: PayoutRun, now: datetime) -> bytes:
    """Make the run's file, once; asked again it gives the same bytes."""
    run = _lock_run(session, run.id)
    if run.file is not None:
        return run.file
    code = get_period(session, run.period_id).code
    query = select(Payout, Person).join(Person, Person.id == Payout.worker_id).order_by(Payout.id)
    planned = session.execute(query.where(Payout.run_id == run.id, Payout.state == PayoutState.PLANNED)).all()
    orders = [
        Order(one.id, to.name, one.amount, one.currency, f"{code} {to.pseudonym}") for one, to in planned
    ]
    content = RAILS[run.rail].render(run.id, orders)
    run.file, run.file_sha256, run.made_at = content, sha256(content).hexdigest(), now
    for one, _ in planned:
        one.state = PayoutState.IN_TRANSIT
    run.state = RunState.FILE_MADE
    session.flush()
    transparency.submit(
        session, "payout_file", str(run.id), {"sha256": run.file_sha256, "payouts": len(orders)}, now
    )
    _finish(session, run)
    return content


def confirm(session: Session, payout: Payout, reference: str, by: str, now: datetime) -> Payout:
    """Book a payout as paid, on the bank's reference. Raises NoReference, or PayoutSettled if it ended otherwise."""
    reference = _reference(reference)
    run, payout = _locked(session, payout)
    if payout.state == PayoutState.PAID and payout.reference == reference:
        return payout
    if payout.state not in UNDER_WAY:
        raise PayoutSettled(state=payout.state, reference=payout.reference, reason=payout.reason)
    journal = ledger.post(
        session,
        kind="payout_paid",
        key=f"payout_paid:{payout.id}",
        moves=[
            Move(
                debit=_in_transit(run),
                credit=f"rail_cash:{run.rail}:{run.currency}",
                amount=payout.amount,
                currency=run.currency,
                code="payout",
                line_ref=str(payout.id),
            )
        ],
        effective_at=now,
        now=now,
        actor=by,
        memo=reference,
    )
    payout.state, payout.reference, payout.settled_by = PayoutState.PAID, reference, by
    payout.paid_journal_id, payout.paid_at = journal.id, now
    session.flush()
    _finish(session, run)
    return payout


def confirm_run(session: Session, run: PayoutRun, reference: str, by: str, now: datetime) -> list[Payout]:
    """Book all payouts of a run that are under way as paid, on one reference."""
    _reference(reference)
    _lock_run(session, run.id)
    return [
        confirm(session, one, reference, by, now)
        for one in payouts_in(session, run.id)
        if one.state in UNDER_WAY
    ]


def fail(session: Session, payout: Payout, reason: str, by: str, now: datetime) -> Payout:
    """Take back a payout that did not arrive, also one believed paid: its money is owed again. Raises NoReference."""
    reason = _reference(reason)
    run, payout = _locked(session, payout)
    if payout.state == PayoutState.FAILED:
        return payout
    for name, journal_id in (("paid", payout.paid_journal_id), ("reserve", payout.reserve_journal_id)):
        if journal_id is not None:
            ledger.reverse(
                session,
                session.get_one(Journal, journal_id),
                key=f"payout_failed:{payout.id}:{name}",
                now=now,
                actor=by,
                effective_at=now,
                memo=reason,
            )
    payout.state, payout.reason, payout.settled_by, payout.failed_at = PayoutState.FAILED, reason, by, now
    session.flush()
    _finish(session, run)
    return payout


def _refuse_underpaid(session: Session, period: PayPeriod) -> None:
    short = underpaid(session, period.id)
    if short:
        raise UnderpaidLine(
            Words("No payout in %(week)s, where %(n)s lines are underpaid.", week=period.code, n=len(short)),
            lines=[str(line.id) for line in short[:20]],
        )


def _owing(session: Session) -> dict[str, list[str]]:
    """Give the accounts of workers to whom something is owed, by currency."""
    query = select(Account.currency, Account.code).where(
        Account.code.like(r"worker\_payable:%"), Account.credits > Account.debits
    )
    found: dict[str, list[str]] = {}
    for currency, code in session.execute(query.order_by(Account.currency, Account.code)):
        found.setdefault(currency, []).append(code)
    return found


def _run(session: Session, period: PayPeriod, currency: str, rail: PayoutRail, now: datetime) -> PayoutRun:
    run_id = uuid5(period.id, f"run:{currency}:{rail.name}")
    session.execute(
        insert(PayoutRun)
        .values(
            id=run_id,
            period_id=period.id,
            currency=currency,
            rail=rail.name,
            state=RunState.PLANNED,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    return _lock_run(session, run_id)


def _set_aside(
    session: Session, period: PayPeriod, run: PayoutRun, codes: Iterable[str], now: datetime
) -> None:
    """Plan payouts for workers who have none in the run yet; a failed one waits for the next period."""
    planned = {worker_payable(one.worker_id, run.currency) for one in payouts_in(session, run.id)}
    owed = {
        code: one.balance for code, one in hold(session, set(codes) - planned, now).items() if one.balance > 0
    }
    workers = {code: UUID(code.split(":")[1]) for code in owed}
    ids = {code: uuid5(run.id, str(worker)) for code, worker in workers.items()}
    entries = [
        Entry(
            kind="payout",
            key=f"payout:{period.code}:{run.rail}:{run.currency}:{workers[code]}",
            moves=[Move(code, _in_transit(run), amount, run.currency, "payout", str(ids[code]))],
            effective_at=now,
            actor="payroll",
        )
        for code, amount in owed.items()
    ]
    for code, journal in zip(owed, ledger.post_all(session, entries, now), strict=True):
        session.add(
            Payout(
                id=ids[code],
                run_id=run.id,
                worker_id=workers[code],
                amount=owed[code],
                currency=run.currency,
                state=PayoutState.PLANNED,
                reserve_journal_id=journal.id,
                created_at=now,
            )
        )
    session.flush()


def _finish(session: Session, run: PayoutRun) -> None:
    open_still = select(Payout.id).where(Payout.run_id == run.id, Payout.state.in_(UNDER_WAY)).limit(1)
    if session.scalar(open_still) is None:
        run.state = RunState.PAID
        session.flush()


def _lock_run(session: Session, run_id: UUID) -> PayoutRun:
    query = select(PayoutRun).where(PayoutRun.id == run_id).with_for_update()
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise UnknownPayout
    return found


def _locked(session: Session, payout: Payout) -> tuple[PayoutRun, Payout]:
    """Hold the run, then read the payout again: two operators at once take turns."""
    run = _lock_run(session, payout.run_id)
    fresh = session.scalars(
        select(Payout).where(Payout.id == payout.id).execution_options(populate_existing=True)
    ).one()
    return run, fresh


def _in_transit(run: PayoutRun) -> str:
    return f"payout_in_transit:{run.rail}:{run.currency}"


def _reference(given: str) -> str:
    written = given.strip()
    if not written:
        raise NoReference
    return written
