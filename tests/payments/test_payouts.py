"""Payouts: all that is owed, once, by one file; money that does not arrive is owed again."""

import csv
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import closing
import factories
import pytest
from closing import LONG_AFTER, Week, draft_line, drafted, failed, runner
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from payments.accounts import worker_payable
from payments.drafts import book
from payments.due_lines import DueLine, UnderpaidLine
from payments.ledger import balance
from payments.payouts import (
    NoReference,
    Payout,
    PayoutRun,
    PayoutSettled,
    PayoutState,
    RunState,
    confirm,
    confirm_run,
    fail,
    make_file,
    payouts_in,
    payouts_of,
    plan,
    planned_runs,
    runs_of,
)
from payments.payroll import close_period
from payments.periods import period_at
from payments.rails import MANUAL, Order
from payments.reconciliation import recheck


@pytest.fixture
def week(session: Session, now: datetime) -> Week:
    made = closing.week(session, now)
    close_period(runner(session), made.period.id, made.over)
    return made


def wrong(session: Session) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in recheck(session, LONG_AFTER) if not check.ok]


def payout_of(session: Session, worker_id: UUID) -> Payout:
    (found,) = payouts_of(session, worker_id)
    return found


def run_of(session: Session, week: Week, currency: str) -> PayoutRun:
    return next(run for run in runs_of(session, week.period.id) if run.currency == currency)


def test_all_that_is_owed_is_set_aside_once(session: Session, week: Week) -> None:
    payout = payout_of(session, week.amina.id)
    assert payout.amount == sum(
        line.due for line in session.query(DueLine).filter_by(worker_id=week.amina.id)
    )
    assert balance(session, worker_payable(week.amina.id, "KES")) == 0
    assert balance(session, "payout_in_transit:manual:KES") == payout.amount
    plan(session, week.period, week.over)
    assert payout_of(session, week.amina.id).amount == payout.amount
    assert wrong(session) == []


def test_the_file_is_made_once_and_says_each_payout(session: Session, week: Week) -> None:
    run = run_of(session, week, "USD")
    content = make_file(session, run, week.over)
    assert make_file(session, run, week.over + timedelta(days=1)) == content
    assert (run.state, run.file_sha256, run.made_at) == (
        RunState.FILE_MADE,
        sha256(content).hexdigest(),
        week.over,
    )
    payout = payout_of(session, week.brian.id)
    assert payout.state == PayoutState.IN_TRANSIT
    (row,) = csv.DictReader(content.decode().splitlines())
    assert row["payout_id"] == str(payout.id)
    assert row["worker"] == "'=Brian"
    assert row["amount"] == f"{payout.amount / 100:.2f}"
    assert (row["currency"], row["reference"]) == ("USD", f"2026-W47 {week.brian.pseudonym}")
    assert [one.currency for one in planned_runs(session)] == ["KES"]


def test_what_was_handed_to_the_bank_cannot_be_changed(session: Session, week: Week) -> None:
    run = run_of(session, week, "USD")
    make_file(session, run, week.over)
    session.flush()
    for statement in (
        update(PayoutRun).where(PayoutRun.id == run.id).values(file=b"other"),
        update(Payout).values(amount=Payout.amount + 1),
        delete(Payout),
        delete(PayoutRun),
    ):
        with pytest.raises(DBAPIError, match="only grows"), session.begin_nested():
            session.execute(statement)


def test_a_confirmed_payout_leaves_the_rail(session: Session, week: Week) -> None:
    cash = balance(session, "rail_cash:manual:KES")
    run, payout = run_of(session, week, "KES"), payout_of(session, week.amina.id)
    make_file(session, run, week.over)
    for _ in range(2):
        confirm(session, payout, " BANK-1 ", "operator", week.over)
    assert (payout.state, payout.reference, payout.paid_at) == (PayoutState.PAID, "BANK-1", week.over)
    assert run.state == RunState.PAID
    assert balance(session, "rail_cash:manual:KES") == cash - payout.amount
    assert balance(session, "payout_in_transit:manual:KES") == 0
    with pytest.raises(PayoutSettled):
        confirm(session, payout, "BANK-2", "operator", week.over)
    assert wrong(session) == []


def test_a_run_is_confirmed_as_one(session: Session, week: Week) -> None:
    for run in runs_of(session, week.period.id):
        make_file(session, run, week.over)
        assert len(confirm_run(session, run, "BANK-7", "operator", week.over)) == 1
        assert confirm_run(session, run, "BANK-7", "operator", week.over) == []
        assert run.state == RunState.PAID
    assert wrong(session) == []


@pytest.mark.parametrize("reached", ["planned", "in_transit", "paid"])
def test_money_that_does_not_arrive_is_owed_again(session: Session, week: Week, reached: str) -> None:
    cash = balance(session, "rail_cash:manual:KES")
    run, payout = run_of(session, week, "KES"), payout_of(session, week.amina.id)
    if reached != "planned":
        make_file(session, run, week.over)
    if reached == "paid":
        confirm(session, payout, "BANK-1", "operator", week.over)
    assert payout.state == reached
    for _ in range(2):
        fail(session, payout, "account closed", "operator", week.over)
    assert (payout.state, payout.reason) == (PayoutState.FAILED, "account closed")
    assert balance(session, worker_payable(week.amina.id, "KES")) == payout.amount
    assert balance(session, "payout_in_transit:manual:KES") == 0
    assert balance(session, "rail_cash:manual:KES") == cash
    with pytest.raises(PayoutSettled):
        confirm(session, payout, "BANK-9", "operator", week.over)
    assert wrong(session) == []
    plan(session, week.period, week.over)
    assert len(payouts_of(session, week.amina.id)) == 1
    following = period_at(session, week.over, week.over)
    plan(session, following, week.over + timedelta(days=7))
    (again, _) = payouts_of(session, week.amina.id)
    assert (again.amount, again.state) == (payout.amount, PayoutState.PLANNED)
    assert balance(session, worker_payable(week.amina.id, "KES")) == 0
    assert wrong(session) == []


def test_a_failed_payout_is_not_in_the_file(session: Session, week: Week) -> None:
    payout = payout_of(session, week.amina.id)
    fail(session, payout, "wrong name", "operator", week.over)
    content = make_file(session, run_of(session, week, "KES"), week.over)
    assert content == b"payout_id,worker,amount,currency,reference\r\n"
    assert run_of(session, week, "KES").state == RunState.PAID


def test_an_end_needs_its_proof(session: Session, week: Week) -> None:
    payout = payout_of(session, week.amina.id)
    with pytest.raises(NoReference):
        confirm(session, payout, "  ", "operator", week.over)
    with pytest.raises(NoReference):
        fail(session, payout, "", "operator", week.over)
    assert payout.state == PayoutState.PLANNED


def test_one_underpaid_line_refuses_all_payouts(session: Session, now: datetime) -> None:
    worker, period = factories.worker(session, now), period_at(session, now, now)
    drafts = drafted([(draft_line(now, None), None)])
    (line,) = book(session, period, worker.id, drafts, now)
    session.execute(text("ALTER TABLE due_line DISABLE TRIGGER USER"))
    for change in ({"rate": "27501/1"}, {"rate": "27500/1", "due": 27_501, "topup": 21_501}):
        session.execute(update(DueLine).values(change))
        session.expire(line)
        with pytest.raises(UnderpaidLine) as refused:
            plan(session, period, now)
        assert refused.value.details["lines"] == [str(line.id)]
        assert balance(session, worker_payable(worker.id, "KES")) == 27_500
    session.execute(update(DueLine).values(due=27_500, topup=21_500))
    session.expire(line)
    plan(session, period, now)
    assert balance(session, worker_payable(worker.id, "KES")) == 0


def test_equal_orders_give_equal_bytes() -> None:
    orders = [Order(UUID(int=n), 'Amina, "A"', 5 + n, "JPY", "2026-W47 w-1") for n in range(3)]
    content = MANUAL.render(UUID(int=1), orders)
    assert content == MANUAL.render(UUID(int=1), orders[::-1])
    assert content.decode().splitlines()[1] == f'{UUID(int=0)},"Amina, ""A""",5,JPY,2026-W47 w-1'


def test_the_ledger_holds_after_all_of_it(session: Session, week: Week) -> None:
    for run in runs_of(session, week.period.id):
        make_file(session, run, week.over)
    confirm(session, payout_of(session, week.brian.id), "BANK-1", "operator", week.over)
    fail(session, payout_of(session, week.amina.id), "returned", "operator", week.over)
    assert failed(session) == []
    assert [len(payouts_in(session, run.id)) for run in runs_of(session, week.period.id)] == [1, 1]
