"""Reconciliation finds what was changed behind the books' back, and names what is owed since."""

from datetime import datetime, timedelta

import closing
import factories
import pytest
from closing import LONG_AFTER, Week, runner
from sqlalchemy import delete, text, update
from sqlalchemy.orm import Session

from payments import worktime
from payments.due_lines import DueLine, lines_of
from payments.earnings import Earning
from payments.payouts import Payout
from payments.payroll import close_period
from payments.payslips import Payslip
from payments.periods import period_at
from payments.proofs import Proof
from payments.reconciliation import recheck
from payments.terms import set_terms
from tasks import people


@pytest.fixture
def week(session: Session, now: datetime) -> Week:
    made = closing.week(session, now)
    close_period(runner(session), made.period.id, made.over)
    return made


def wrong(session: Session) -> dict[str, str]:
    session.expire_all()
    return {check.name: check.detail for check in recheck(session, LONG_AFTER) if not check.ok}


def without_guards(session: Session, *tables: str) -> None:
    for table in tables:
        session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))


def declare_after_the_close(session: Session, now: datetime, week: Week) -> None:
    worktime.declare(
        session,
        worker_id=week.amina.id,
        batch_id=week.messages.id,
        start=now + timedelta(hours=5),
        end=now + timedelta(hours=5, minutes=10),
        reason="read the guideline",
        now=week.over + timedelta(hours=1),
    )


def test_right_books_pass_and_all_is_checked(session: Session, week: Week) -> None:
    assert wrong(session) == {}
    names = {check.name for check in recheck(session, LONG_AFTER)}
    assert "debits equal credits in every currency" in names
    assert "every line is what the facts say" in names
    assert len(names) >= 16


def test_an_open_week_is_not_judged(session: Session, now: datetime) -> None:
    closing.week(session, now)
    assert wrong(session) == {}


def test_a_line_that_was_raised_is_found(session: Session, week: Week) -> None:
    without_guards(session, "due_line")
    session.execute(
        update(DueLine)
        .where(DueLine.worker_id == week.amina.id, DueLine.batch_id == week.photos.id)
        .values(due=DueLine.due + 1, topup=DueLine.topup + 1)
    )
    found = wrong(session)
    assert f"batch {week.photos.id}" in found["every line is what the facts say"]
    assert "due 9001, facts say 9000" in found["every line is what the facts say"]
    assert "what is owed to each worker is their dues less their payouts" in found
    assert "every payslip's total is the sum of its lines" in found
    assert "no line is underpaid" in found


def test_evidence_that_vanished_is_found(session: Session, week: Week) -> None:
    session.execute(delete(Proof).where(Proof.worker_id == week.brian.id, Proof.kind == "submit"))
    assert str(week.brian.id) in wrong(session)["every line is what the facts say"]


def test_an_answer_without_its_earning_is_found(session: Session, week: Week) -> None:
    without_guards(session, "earning")
    gone = session.query(Earning).filter_by(worker_id=week.amina.id, batch_id=week.photos.id).first()
    assert gone is not None
    session.execute(delete(Earning).where(Earning.id == gone.id))
    found = wrong(session)
    assert found["every ended assignment has its earning"] == f"assignment {gone.assignment_id}"
    assert "agreed 9000, facts say 6000" in found["every line is what the facts say"]


def test_a_missing_line_and_a_missing_payslip_are_found(session: Session, week: Week) -> None:
    without_guards(session, "due_line", "payslip")
    session.execute(delete(Payslip).where(Payslip.worker_id == week.amina.id))
    found = wrong(session)
    assert found["everybody paid for a closed period has exactly one payslip per currency"] == (
        f"2026-W47 {week.amina.id}"
    )
    session.execute(delete(DueLine).where(DueLine.worker_id == week.brian.id))
    found = wrong(session)
    assert "the line is missing" in found["every line is what the facts say"]
    # Amina's payslip is missing and Brian's has no line any more; they come in no order.
    assert "2026-W47-" in found["everybody paid for a closed period has exactly one payslip per currency"]


def test_a_payslip_that_was_rewritten_is_found(session: Session, week: Week) -> None:
    without_guards(session, "payslip")
    session.execute(
        text(
            """UPDATE payslip SET document = jsonb_set(document, '{payer}', '"Somebody"') WHERE worker_id = :who"""
        ),
        {"who": week.amina.id},
    )
    assert wrong(session).keys() == {"every payslip is as it was hashed"}


def test_a_payout_that_was_lowered_is_found(session: Session, week: Week) -> None:
    without_guards(session, "payout")
    session.execute(update(Payout).where(Payout.worker_id == week.amina.id).values(amount=Payout.amount - 1))
    assert wrong(session).keys() == {
        "what is owed to each worker is their dues less their payouts",
        "money in transit is the payouts under way",
    }


def test_time_that_is_accepted_later_is_owed_and_nothing_is_wrong(
    session: Session, now: datetime, week: Week
) -> None:
    declare_after_the_close(session, now, week)
    assert wrong(session) == {}
    owed = next(check for check in recheck(session, LONG_AFTER) if check.name == "corrections owed")
    assert owed.detail.startswith(f"2026-W47 worker {week.amina.id}: ")
    assert owed.detail.endswith(" KES")
    later = period_at(session, week.over, week.over)
    close_period(runner(session), later.id, later.ends_at)
    (line,) = lines_of(session, later.id)
    assert line.segment_start == week.period.starts_at
    assert line.due > 0
    assert wrong(session) == {}
    owed = next(check for check in recheck(session, LONG_AFTER) if check.name == "corrections owed")
    assert owed.detail == ""


def test_a_correction_that_was_lowered_is_found(session: Session, now: datetime, week: Week) -> None:
    declare_after_the_close(session, now, week)
    later = period_at(session, week.over, week.over)
    close_period(runner(session), later.id, later.ends_at)
    (line,) = lines_of(session, later.id)
    due = line.due
    without_guards(session, "due_line")
    less = {"due": DueLine.due - 1, "required": DueLine.required - 1, "topup": DueLine.topup - 1}
    session.execute(update(DueLine).where(DueLine.id == line.id).values(**less))
    assert f"due {due - 1}, facts say {due}" in wrong(session)["every line is what the facts say"]


def test_work_that_was_never_settled_is_owed_a_line(session: Session, now: datetime, week: Week) -> None:
    third = factories.worker(session, now, name="Chao")
    worktime.record(session, worker_id=third.id, kind="queue_wait", now=now, unit="queue")
    assert "the line is missing" in wrong(session)["every line is what the facts say"]


def test_whoever_moved_since_was_paid_where_they_were(session: Session, week: Week) -> None:
    people.settle(
        session,
        week.amina,
        place="US",
        area=None,
        time_zone="America/New_York",
        languages=["en"],
        now=week.over,
    )
    assert wrong(session) == {}


def test_a_rise_after_the_close_changes_nothing_before_it(session: Session, week: Week) -> None:
    set_terms(
        session,
        week.photos,
        currency="KES",
        pay_mode="piece",
        piece_price="90",
        hourly_rate="9000",
        estimate_seconds=60,
        now=week.over,
    )
    assert wrong(session) == {}
