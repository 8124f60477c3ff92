"""What organizers read: hourly wages with and without top-ups, hours against limits, a batch's cost."""

from datetime import date, datetime, timedelta
from fractions import Fraction

import closing
import factories
import pytest
from closing import Week, draft_line, drafted, runner
from sqlalchemy.orm import Session

from payments import worktime
from payments.due_lines import Payer, book
from payments.payroll import close_period
from payments.periods import period_at
from payments.wages import batch_cost, batch_hourly, everybodys_hours, hours, wage_lines, wages


@pytest.fixture
def week(session: Session, now: datetime) -> Week:
    made = closing.week(session, now)
    close_period(runner(session), made.period.id, made.over)
    return made


def test_each_worker_has_a_wage_before_and_after_the_top_up(session: Session, week: Week) -> None:
    shown = {wage.worker_id: wage for wage in wages(session, week.period)}
    assert shown.keys() == {week.amina.id, week.brian.id}
    amina = shown[week.amina.id]
    lines = wage_lines(session, week.period, week.amina.id)
    assert (amina.place, amina.currency, amina.pseudonym) == ("KE", "KES", week.amina.pseudonym)
    assert amina.seconds == sum(line.seconds for line in lines) == 900 + 36 + 120
    assert (amina.overhead_seconds, amina.answers) == (120, 6)
    assert amina.due == amina.agreed + amina.topup == sum(line.due for line in lines)
    assert amina.hourly_before == Fraction(amina.agreed * 3600, amina.seconds)
    assert amina.hourly_after == Fraction(amina.due * 3600, amina.seconds)
    assert amina.floor_rate == lines[0].hourly_floor
    assert amina.batches == tuple(sorted([week.messages.id, week.photos.id]))
    assert not any(wage.under for wage in shown.values())


def test_hours_are_counted_on_the_workers_own_days(session: Session, now: datetime) -> None:
    amina = factories.worker(session, now)
    brian = factories.worker(session, now, name="Brian", time_zone="America/New_York")
    # An hour over midnight in Nairobi; the same hour is one afternoon in New York.
    start = datetime.fromisoformat("2026-11-22T23:30+03:00")
    for who in (amina, brian):
        worktime.record(session, worker_id=who.id, kind="queue_wait", now=start, unit="queue")
        for minutes in range(1, 60):
            at = start + timedelta(minutes=minutes)
            worktime.record(session, worker_id=who.id, kind="proof", now=at, unit="queue")
        end = start + timedelta(hours=1)
        worktime.record(session, worker_id=who.id, kind="queue_wait_end", now=end, unit="queue")
    span = (start - timedelta(days=2), start + timedelta(days=2))
    shown = {one.worker_id: one for one in everybodys_hours(session, *span)}
    assert shown[amina.id].days == {date(2026, 11, 22): 1800, date(2026, 11, 23): 1800}
    assert shown[amina.id].weeks == {"2026-W47": 1800, "2026-W48": 1800}
    assert shown[brian.id].days == {date(2026, 11, 22): 3600}
    assert shown[brian.id] == hours(session, brian, *span)
    assert everybodys_hours(session, start + timedelta(days=2), start + timedelta(days=9)) == []


def test_long_days_and_weeks_are_named(session: Session, now: datetime) -> None:
    worker = factories.worker(session, now)
    monday = period_at(session, now, now).starts_at + timedelta(hours=3)
    lengths = [8 * 3600, 8 * 3600 + 1, 10 * 3600 + 1, 8 * 3600, 8 * 3600]
    for day, seconds in enumerate(lengths):
        start = monday + timedelta(days=day)
        worktime.record(session, worker_id=worker.id, kind="rest_start", now=start, unit=f"rest:{day}")
        end = start + timedelta(seconds=seconds)
        worktime.record(session, worker_id=worker.id, kind="rest_end", now=end, unit=f"rest:{day}")
    (found,) = everybodys_hours(session, monday, monday + timedelta(days=6))
    assert found.weeks == {"2026-W47": sum(lengths)}
    assert found.over_soft == ["2026-11-17", "2026-11-18", "2026-W47"]
    assert found.over_hard == ["2026-11-18"]


def test_a_batchs_hourly_pay_is_shown_for_ten_workers_and_no_fewer(session: Session, now: datetime) -> None:
    period, batch = period_at(session, now, now), factories.batch(session, now)
    payer = Payer(batch.id, batch.project_id, "KES", Fraction(0))
    for number in range(1, 11):
        assert batch_hourly(session, batch.id) is None
        worker = factories.worker(session, now)
        line = draft_line(now, batch.id, agreed=0, rate=number * 1_000)
        book(session, period, worker.id, drafted([(line, payer)]), now)
    found = batch_hourly(session, batch.id)
    assert found is not None
    assert (found.currency, found.workers) == ("KES", 10)
    assert [found.low, found.median, found.high] == [Fraction(n) for n in (3_250, 5_500, 7_750)]


def test_a_batchs_cost_is_labour_topups_and_fee(session: Session, now: datetime) -> None:
    period, batch = period_at(session, now, now), factories.batch(session, now)
    payer = Payer(batch.id, batch.project_id, "USD", Fraction(1, 10))
    closing.fund(session, payer.reserve, 10_000, now)
    for place, fx in ((0, Fraction(150)), (3, Fraction(149))):
        worker = factories.worker(session, now)
        line = draft_line(now + timedelta(hours=place), batch.id, fx=fx)
        book(session, period, worker.id, drafted([(line, payer)]), now)
    (cost,) = batch_cost(session, batch.id)
    charges = [184, 185]  # 27,500 / 150 and / 149, up
    assert (cost.currency, cost.seconds, cost.total) == ("USD", 7200, sum(charges) + 18 + 18)
    assert cost.topups == sum(charge * 21_500 // 27_500 for charge in charges)
    assert cost.labour + cost.topups == sum(charges)
    assert cost.fee == 36
