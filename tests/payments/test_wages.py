"""What organizers read: hourly wages with and without top-ups, hours against limits, a batch's cost."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from random import Random
from statistics import quantiles
from typing import Any
from uuid import UUID

import closing
import factories
import pytest
from closing import Week, draft_line, drafted, runner
from sqlalchemy import text
from sqlalchemy.orm import Session

from payments import worktime
from payments.drafts import Payer, book
from payments.payroll import close_period
from payments.periods import period_at
from payments.wages import RANKED, batch_cost, everybodys_hours, hourly_of, hours, wage_lines, wages
from tasks.batches import Batch
from tasks.projects import Project


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


def test_a_batchs_hourly_pay_is_measured_of_three_workers_and_no_fewer(
    session: Session, now: datetime
) -> None:
    period, batch = period_at(session, now, now), factories.batch(session, now)
    payer = Payer(batch.id, batch.project_id, "KES", Fraction(0))
    for number in range(1, 4):
        assert hourly_of(session, [batch.id]) == {}
        worker = factories.worker(session, now)
        line = draft_line(now, batch.id, agreed=0, rate=number * 1_000)
        book(session, period, worker.id, drafted([(line, payer)]), now)
    found = hourly_of(session, [batch.id])[batch.id]
    assert (found.currency, found.workers, found.measured_in) == ("KES", 3, ())
    assert [found.low, found.median, found.high] == [Fraction(n) for n in (1_500, 2_000, 2_500)]


def test_a_top_up_elsewhere_is_no_ones_hourly_pay_here(session: Session, now: datetime) -> None:
    period, batch = period_at(session, now, now), factories.batch(session, now)
    payer = Payer(batch.id, batch.project_id, "KES", Fraction(0))
    for rate in (5_000, 5_000, 900_000):
        line = draft_line(now, batch.id, agreed=Fraction(6_000), rate=rate)
        book(session, period, factories.worker(session, now).id, drafted([(line, payer)]), now)
    found = hourly_of(session, [batch.id])[batch.id]
    assert [found.low, found.median, found.high] == [6_000, 6_000, 6_000], "what the price brought"


def test_a_new_batch_is_measured_in_earlier_ones_that_are_like_it(session: Session, now: datetime) -> None:
    day = timedelta(days=1)
    of = factories.project(session, now)

    def batch(days: int, price: str | None, project: Project = of, **more: Any) -> Batch:
        made = factories.batch(session, now + days * day, project, items=1, name=f"Day {days}")
        factories.terms(session, made, now, piece_price=price, **more)
        return made

    def worked(batch: Batch, charges: list[int]) -> None:
        stored(session, now, batch, [(factories.worker(session, now).id, 60, charge) for charge in charges])

    first, dearer, second = batch(1, "5"), batch(2, "6"), batch(3, "4.50")
    fresh, cheaper = batch(4, "5"), batch(5, "4")
    hourly = batch(6, None, pay_mode="hourly", hourly_rate="300")
    other = batch(7, "5", factories.project(session, now, document=factories.example("entities")))
    worked(first, [100, 200])
    worked(dearer, [9_000] * 4)
    worked(second, [300])
    found = hourly_of(session, [one.id for one in (first, fresh, cheaper, hourly, other)])
    assert set(found) == {fresh.id}, (
        "two alone are too few; no dearer batch, no other kind, no time by the hour"
    )
    past = found[fresh.id]
    assert (past.workers, past.seconds_each) == (3, 60)
    assert past.median == 200 * 60
    assert past.measured_in == ("Day 1", "Day 3")
    worked(fresh, [400] * 3)
    assert hourly_of(session, [fresh.id])[fresh.id].measured_in == (), "its own measure goes first"


STORED = text("""
INSERT INTO due_line (id, period_id, worker_id, batch_id, segment_start, segment_end, currency, seconds, seconds_by,
    agreed, required, due, topup, rate, rule, rule_sha256, charge, charge_currency, fee, answers, trace,
    evidence_digest, made_at)
SELECT gen_random_uuid(), :period, worker, :batch, CAST(:at AS timestamptz) + hour * interval '1 h',
    CAST(:at AS timestamptz) + (hour + 1) * interval '1 h', 'KES', seconds, '{}', 0, 0, 0, 0, '1/1', 'r',
    repeat('a', 64), charge, 'KES', 0, 1, '[]', sha256('x'), CAST(:at AS timestamptz)
FROM unnest(CAST(:workers AS uuid[]), CAST(:hours AS int[]), CAST(:seconds AS int[]), CAST(:charges AS bigint[]))
    AS line (worker, hour, seconds, charge)""")
"""Lines as they may stand in the books, without the work behind them."""


def stored(session: Session, now: datetime, batch: Batch, lines: list[tuple[UUID, int, int]]) -> None:
    """Store lines: whose, how many seconds, what they cost."""
    given = {
        "period": period_at(session, now, now).id,
        "batch": batch.id,
        "at": now,
        "workers": [worker for worker, _, _ in lines],
        "hours": list(range(len(lines))),
        "seconds": [seconds for _, seconds, _ in lines],
        "charges": [charge for _, _, charge in lines],
    }
    session.execute(STORED, given)


@pytest.mark.parametrize("count", [*range(10, 18), 50])
def test_the_quartiles_are_exact_whatever_the_number_of_workers(
    session: Session, now: datetime, count: int
) -> None:
    luck = Random(count)
    batches = [factories.batch(session, now, items=1) for _ in range(3)]
    wanted = {}
    for batch in batches:
        workers = [factories.worker(session, now).id for _ in range(count)]
        lines = [(who, luck.randint(1, 5_000), luck.randint(1, 10**12)) for who in workers]
        lines += [(who, luck.randint(0, 50), luck.randint(0, 100)) for who in workers[:5]]
        stored(session, now, batch, [*lines, (factories.worker(session, now).id, 0, 0)])
        rates = []
        for worker in workers:
            own = [(seconds, charge) for who, seconds, charge in lines if who == worker]
            rates.append(
                Fraction(sum(charge for _, charge in own) * 3600, sum(seconds for seconds, _ in own))
            )
        wanted[batch.id] = quantiles(rates, n=4, method="inclusive")
    found = hourly_of(session, [batch.id for batch in batches])
    assert {one: [past.low, past.median, past.high] for one, past in found.items()} == wanted
    assert {past.workers for past in found.values()} == {count}


def test_the_figures_of_a_page_of_batches_are_one_look_at_an_index(session: Session, now: datetime) -> None:
    of = factories.project(session, now)
    workers = [factories.worker(session, now).id for _ in range(30)]
    batches = [factories.batch(session, now, of, items=1) for _ in range(120)]
    for batch in batches:
        stored(session, now, batch, [(who, 60, 100) for who in workers])
    session.execute(text("ANALYZE due_line"))
    ids = [batch.id for batch in batches[:10]]
    shown = {"batches": ids, "sources": ids, "least": 10}
    plan = "\n".join(session.scalars(text(f"EXPLAIN {RANKED.text}"), shown))
    assert "ix_due_line_batch_id" in plan
    assert "Seq Scan" not in plan


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
