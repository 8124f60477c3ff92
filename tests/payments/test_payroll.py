"""A worked week is closed: every line booked once, whatever stops the close, and nobody under the floor."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import closing
import factories
import pytest
from closing import LONG_AFTER, Week, failed, runner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from payments import earnings, payroll, worktime
from payments.accounts import worker_payable
from payments.due_lines import DueLine
from payments.earnings import Earning
from payments.ledger import Journal, balance
from payments.payouts import Payout, runs_of
from payments.payroll import (
    NotAllClosed,
    PeriodNotOver,
    PeriodState,
    UnderpaidLine,
    begin_close,
    close_period,
    close_worker,
    finish_close,
    lines_of,
    period_at,
    workers_to_close,
)
from payments.payslips import Payslip, payslips_in
from payments.reconciliation import recheck


@pytest.fixture
def week(session: Session, now: datetime) -> Week:
    return closing.week(session, now)


def wrong(session: Session) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in recheck(session, LONG_AFTER) if not check.ok]


def close(session: Session, week: Week) -> None:
    close_period(runner(session), week.period.id, week.over)


def test_a_week_is_closed_from_proofs_to_payouts(session: Session, week: Week) -> None:
    said: list[tuple[int, int]] = []
    close_period(runner(session), week.period.id, week.over, lambda done, of: said.append((done, of)))
    assert said == [(1, 2), (2, 2)]
    assert week.period.state == PeriodState.CLOSED
    assert week.period.closed_at == week.over
    lines = lines_of(session, week.period.id)
    assert {(line.worker_id, line.batch_id) for line in lines} == {
        (week.amina.id, week.messages.id),
        (week.amina.id, week.photos.id),
        (week.amina.id, None),
        (week.brian.id, week.messages.id),
        (week.brian.id, week.photos.id),
    }
    assert {line.currency for line in lines if line.worker_id == week.amina.id} == {"KES"}
    assert {line.currency for line in lines if line.worker_id == week.brian.id} == {"USD"}
    slow = next(
        line for line in lines if line.batch_id == week.messages.id and line.worker_id == week.amina.id
    )
    assert (slow.seconds, slow.answers) == (240 + 300 + 360, 3)
    assert slow.topup > 0
    assert slow.charge_currency == "USD"
    quick = next(
        line for line in lines if line.batch_id == week.photos.id and line.worker_id == week.amina.id
    )
    assert (quick.seconds, quick.agreed, quick.due, quick.topup) == (36, 9_000, 9_000, 0)
    for line in lines:
        assert line.due >= max(line.agreed, line.required)
        assert line.due * 3600 >= line.hourly_floor * line.seconds
    assert failed(session) == []
    assert wrong(session) == []
    assert len(payslips_in(session, week.period.id)) == 2
    assert [run.currency for run in runs_of(session, week.period.id)] == ["KES", "USD"]


def test_a_period_is_an_iso_week_and_made_once(session: Session, now: datetime) -> None:
    period = period_at(session, now, now)
    assert (period.code, period.starts_at.isoformat()) == ("2026-W47", "2026-11-16T00:00:00+00:00")
    assert period_at(session, period.ends_at - timedelta(seconds=1), now).id == period.id
    assert period_at(session, period.ends_at, now).code == "2026-W48"
    assert period_at(session, datetime.fromisoformat("2027-01-01T05:00+05:30"), now).code == "2026-W53"


def test_a_period_that_is_not_over_or_not_begun_is_not_closed(session: Session, week: Week) -> None:
    with pytest.raises(PeriodNotOver):
        begin_close(session, week.period, week.period.ends_at - timedelta(seconds=1))
    with pytest.raises(PeriodNotOver):
        close_worker(session, week.period, week.amina.id, week.over)
    assert lines_of(session, week.period.id) == []


@pytest.mark.parametrize("steps", range(5))
def test_a_close_that_stopped_anywhere_goes_on_to_the_same_result(
    session: Session, week: Week, steps: int
) -> None:
    class Stopped(Exception):
        pass

    taken = 0
    whole = runner(session)

    def stopping(step: Callable[[Session], Any]) -> Any:
        nonlocal taken
        if taken == steps:
            raise Stopped
        taken += 1
        return whole(step)

    if steps < 4:
        with pytest.raises(Stopped):
            close_period(stopping, week.period.id, week.over)
        assert week.period.state in (PeriodState.OPEN, PeriodState.CLOSING)
        assert session.scalar(select(func.count()).select_from(Payout)) == 0
    else:
        close_period(stopping, week.period.id, week.over)
    close_period(whole, week.period.id, week.over + timedelta(hours=1))
    first = counts(session)
    assert first == {"lines": 5, "slips": 2, "payouts": 2, "journals": first["journals"]}
    close_period(whole, week.period.id, week.over + timedelta(hours=2))
    finish_close(session, week.period, week.over + timedelta(hours=3))
    assert counts(session) == first
    assert wrong(session) == []


def counts(session: Session) -> dict[str, int]:
    tables = {"lines": DueLine, "slips": Payslip, "payouts": Payout, "journals": Journal}
    return {
        name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()
    }


def test_a_step_that_fails_halfway_leaves_nothing_and_runs_again(session: Session, week: Week) -> None:
    begin_close(session, week.period, week.over)
    step = session.begin_nested()
    close_worker(session, week.period, week.amina.id, week.over)
    step.rollback()
    assert lines_of(session, week.period.id) == []
    assert balance(session, worker_payable(week.amina.id, "KES")) == 0
    lines = close_worker(session, week.period, week.amina.id, week.over)
    assert close_worker(session, week.period, week.amina.id, week.over) == lines
    assert balance(session, worker_payable(week.amina.id, "KES")) == sum(line.due for line in lines)


def test_it_is_not_finished_while_somebody_is_left(session: Session, week: Week) -> None:
    begin_close(session, week.period, week.over)
    close_worker(session, week.period, week.amina.id, week.over)
    with pytest.raises(NotAllClosed) as refused:
        finish_close(session, week.period, week.over)
    assert refused.value.details["workers"] == [str(week.brian.id)]
    assert payslips_in(session, week.period.id) == []


def test_one_underpaid_line_stops_the_close_and_all_payouts(
    session: Session, week: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = earnings.lines_for

    def short(*given: Any) -> list[earnings.DraftLine]:
        lines = right(*given)
        if given[1].id == week.brian.id:
            due = lines[0].due
            lines[0] = replace(lines[0], due=replace(due, due=due.due - 1, topup=due.topup - 1))
        return lines

    monkeypatch.setattr(payroll, "lines_for", short)
    with pytest.raises(UnderpaidLine, match=str(week.brian.id)):
        close(session, week)
    assert week.period.state == PeriodState.CLOSING
    assert session.scalar(select(func.count()).select_from(Payout)) == 0
    assert session.scalar(select(func.count()).select_from(Payslip)) == 0
    monkeypatch.undo()
    close(session, week)
    assert wrong(session) == []


def test_what_was_recorded_late_is_in_the_close(session: Session, now: datetime, week: Week) -> None:
    at = now + timedelta(days=3)
    photos = closing.paid_batch(session, now, "KES", "30", name="More")
    held = factories.assignment(session, photos, week.amina, at)
    factories.answer(session, held, at)
    assert any("earning" in problem for problem in wrong(session))
    worktime.declare(
        session,
        worker_id=week.amina.id,
        batch_id=photos.id,
        start=at - timedelta(hours=1),
        end=at,
        reason="no network",
        now=at,
    )
    week_later = week.over + timedelta(days=7)
    close_period(runner(session), week.period.id, week_later)
    line = next(line for line in lines_of(session, week.period.id) if line.batch_id == photos.id)
    assert (line.seconds, line.answers, line.agreed) == (3600, 1, 3_000)
    assert line.due == line.required > 3_000
    assert wrong(session) == []


def test_a_sign_of_work_that_earns_nothing_does_not_hold_the_close(
    session: Session, now: datetime, week: Week
) -> None:
    third = factories.worker(session, now, name="Chao")
    worktime.record(session, worker_id=third.id, kind="proof", now=now, unit="queue")
    assert third.id in workers_to_close(session, week.period)
    close(session, week)
    assert week.period.state == PeriodState.CLOSED
    assert lines_of(session, week.period.id, third.id) == []


@given(
    spells=st.lists(
        st.tuples(st.integers(0, 6 * 86_400), st.integers(0, 1_500), st.booleans(), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    prices=st.tuples(st.sampled_from(["0.01", "0.4", "9"]), st.sampled_from(["1", "33.333333"])),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whoever_worked_however_is_paid_at_least_agreed_and_required(
    session: Session, now: datetime, spells: list[tuple[int, int, bool, bool]], prices: tuple[str, str]
) -> None:
    outer = session.begin_nested()
    period = period_at(session, now, now)
    start = period.starts_at
    factories.floors(session, start)
    workers = [factories.worker(session, start), factories.worker(session, start, place="FR", area=None)]
    batches = [
        closing.paid_batch(session, start, "USD", prices[0], items=8),
        closing.paid_batch(session, start, "KES", prices[1], items=8),
    ]
    answers: dict[tuple[Any, Any], int] = {}
    for offset, seconds, second_worker, second_batch in sorted(spells):
        who, what = workers[second_worker], batches[second_batch]
        closing.work(session, what, who, start + timedelta(seconds=offset), seconds)
        answers[who.id, what.id] = answers.get((who.id, what.id), 0) + 1
    over = period.ends_at + timedelta(hours=2)
    close_period(runner(session), period.id, over)
    lines = lines_of(session, period.id)
    for line in lines:
        assert line.due >= line.hourly_floor * line.seconds / 3600
        assert line.answers == answers[line.worker_id, line.batch_id]
        if line.charge_currency == line.currency:
            price = Fraction(prices[line.batch_id == batches[1].id]) * 100
            assert line.due >= price * line.answers
    assert {(line.worker_id, line.batch_id) for line in lines} == set(answers)
    assert wrong(session) == []
    outer.rollback()


def test_a_lease_open_at_the_end_is_ended_before_its_week_is_settled(session: Session, week: Week) -> None:
    before = week.period.ends_at - timedelta(hours=3)
    late = factories.worker(session, before, name="Late")
    batch = factories.served(session, before)
    factories.terms(session, batch, before)
    run_out = factories.assignment(session, batch, late, before)
    worktime.open_assignment(session, run_out, before)
    running = factories.assignment(session, batch, late, week.over)
    close(session, week)
    assert (run_out.state, running.state) == ("expired", "leased")
    (line,) = lines_of(session, week.period.id, late.id)
    assert line.seconds_by == {"interrupted": 120}
    assert wrong(session) == []


def test_what_the_sweep_finds_after_a_close_is_paid_with_the_week_that_finds_it(
    session: Session, week: Week
) -> None:
    close(session, week)
    gone = session.scalars(select(Earning).where(Earning.batch_id == week.photos.id)).first()
    assert gone is not None
    session.execute(text("ALTER TABLE earning DISABLE TRIGGER USER"))
    session.delete(gone)
    session.flush()
    earnings.sweep(session, week.over)
    query = select(Earning.at).where(Earning.assignment_id == gone.assignment_id)
    assert session.scalars(query).one() == week.over
