"""Booking what is owed: always in full, from the right purse, once."""

from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from uuid import UUID, uuid4

import factories
import pytest
from closing import draft_line, drafted, failed, fund
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from payments import dues
from payments.accounts import worker_payable
from payments.drafts import Payer, book
from payments.due_lines import DueLine, UnderpaidLine, lines_of, underpaid
from payments.earnings import DraftLine
from payments.ledger import Journal, balance
from payments.periods import PayPeriod, period_at
from tasks.batches import Batch
from tasks.people import Person


@pytest.fixture
def worker(session: Session, now: datetime) -> Person:
    return factories.worker(session, now)


@pytest.fixture
def batch(session: Session, now: datetime) -> Batch:
    return factories.batch(session, now)


@pytest.fixture
def period(session: Session, now: datetime) -> PayPeriod:
    return period_at(session, now, now)


def payer(batch: Batch, currency: str = "KES", fee: int = 10) -> Payer:
    return Payer(batch.id, UUID(int=7), currency, Fraction(fee, 100))


def test_a_line_is_paid_from_its_reserve_and_the_fee_after_it(
    session: Session, now: datetime, worker: Person, batch: Batch, period: PayPeriod
) -> None:
    pays = payer(batch)
    fund(session, pays.reserve, 100_000, now)
    (line,) = book(session, period, worker.id, drafted([(draft_line(now, batch.id), pays)]), now)
    assert (line.agreed, line.required, line.due, line.topup) == (6_000, 27_500, 27_500, 21_500)
    assert (line.charge, line.charge_currency, line.fee, line.fx) == (27_500, "KES", 2_750, None)
    assert balance(session, worker_payable(worker.id, "KES")) == 27_500
    assert balance(session, pays.reserve) == 100_000 - 27_500 - 2_750
    assert balance(session, "platform_fee:KES") == 2_750
    journal = session.get_one(Journal, line.journal_id)
    assert journal.idempotency_key.startswith(f"due:2026-W47:{worker.id}:{batch.id}:")
    assert journal.evidence_digest == line.evidence_digest
    assert underpaid(session, period.id) == []
    assert failed(session) == []


@pytest.mark.parametrize(
    ("reserve", "prefund", "fee", "goodwill"),
    [
        (27_500, 0, 0, 0),
        (28_000, 0, 500, 0),
        (20_000, 9_000, 0, 0),
        (20_000, 1_000, 0, 6_500),
        (0, 0, 0, 27_500),
    ],
)
def test_a_due_is_always_payable(
    session: Session,
    now: datetime,
    worker: Person,
    batch: Batch,
    period: PayPeriod,
    reserve: int,
    prefund: int,
    fee: int,
    goodwill: int,
) -> None:
    pays = payer(batch)
    for account, amount in ((pays.reserve, reserve), (pays.prefund, prefund)):
        if amount:
            fund(session, account, amount, now)
    (line,) = book(session, period, worker.id, drafted([(draft_line(now, batch.id), pays)]), now)
    assert balance(session, worker_payable(worker.id, "KES")) == line.due == 27_500
    assert line.fee == balance(session, "platform_fee:KES") == fee
    assert balance(session, "goodwill:KES") == goodwill
    assert balance(session, pays.reserve) == 0
    assert failed(session) == []


def test_another_currency_goes_through_the_exchange_rounded_up(
    session: Session, now: datetime, worker: Person, batch: Batch, period: PayPeriod
) -> None:
    pays = payer(batch, "JPY")
    fund(session, pays.reserve, 10_000, now)
    rate = Fraction(7, 6)
    (line,) = book(session, period, worker.id, drafted([(draft_line(now, batch.id, fx=rate), pays)]), now)
    # 275.00 KES x 6/7 = 235.71 yen, and yen have no decimals.
    assert (line.due, line.charge, line.charge_currency, line.fx) == (27_500, 236, "JPY", "7/6")
    assert line.fee == 23
    assert balance(session, worker_payable(worker.id, "KES")) == 27_500
    assert balance(session, pays.reserve) == 10_000 - 236 - 23
    assert balance(session, "fx:JPY-KES:JPY") == 236
    assert balance(session, "fx:JPY-KES:KES") == -27_500
    assert failed(session) == []


def test_overhead_is_borne_by_the_platform_and_nothing_owed_is_not_booked(
    session: Session, now: datetime, worker: Person, batch: Batch, period: PayPeriod
) -> None:
    waiting = draft_line(now, None, seconds=240, agreed=Fraction(0))
    nothing = draft_line(now, batch.id, seconds=0, agreed=Fraction(0))
    lines = book(session, period, worker.id, drafted([(waiting, None), (nothing, payer(batch))]), now)
    overhead = next(line for line in lines if line.batch_id is None)
    free = next(line for line in lines if line.batch_id is not None)
    assert (overhead.due, overhead.fee) == (1_834, 0)
    assert balance(session, "overhead:KES") == balance(session, worker_payable(worker.id, "KES")) == 1_834
    assert (free.due, free.journal_id) == (0, None)
    assert underpaid(session, period.id) == []


def test_an_underpaid_line_is_refused_by_name_and_nothing_is_stored(
    session: Session, now: datetime, worker: Person, batch: Batch, period: PayPeriod
) -> None:
    good = draft_line(now, None, seconds=240, agreed=Fraction(0))
    short = draft_line(now, batch.id, due=dues.Due(agreed=6_000, required=6_000, due=6_000, topup=0))
    with pytest.raises(UnderpaidLine, match=f"{batch.id}.*due 60.00 KES.*required 275.00 KES") as refused:
        book(session, period, worker.id, drafted([(good, None), (short, payer(batch))]), now)
    assert refused.value.details["worker"] == str(worker.id)
    assert lines_of(session, period.id) == []
    assert balance(session, worker_payable(worker.id, "KES")) == 0


def test_the_database_refuses_an_underpaid_line_a_change_and_a_second_line(
    session: Session, now: datetime, worker: Person, batch: Batch, period: PayPeriod
) -> None:
    drafts = drafted([(draft_line(now, batch.id), payer(batch)), (draft_line(now, None), None)])
    book(session, period, worker.id, drafts, now)
    for statement in (
        update(DueLine).values(due=1),
        delete(DueLine),
        text("TRUNCATE due_line CASCADE"),
    ):
        with pytest.raises(DBAPIError, match="only grows"), session.begin_nested():
            session.execute(statement)
    columns = "period_id, worker_id, batch_id, segment_start, segment_end, place, area, currency, seconds, seconds_by, "
    rest = "rate, rule, rule_sha256, charge, charge_currency, fee, answers, trace, evidence_digest, made_at"
    copy = text(f"""
        INSERT INTO due_line (id, {columns} agreed, required, due, topup, {rest}, journal_id)
        SELECT :id, {columns} agreed, required, :due, :due - agreed, {rest}, NULL FROM due_line
        WHERE batch_id IS NOT DISTINCT FROM :batch""")
    with pytest.raises(IntegrityError, match="ck_due_line_paid"), session.begin_nested():
        session.execute(copy, {"id": uuid4(), "due": 0, "batch": batch.id})
    with pytest.raises(IntegrityError, match="ck_due_line_booked"), session.begin_nested():
        session.execute(copy, {"id": uuid4(), "due": 27_500, "batch": None})
    again = drafted([(replace(draft_line(now, None), agreed=Fraction(1)), None)])
    with pytest.raises(IntegrityError), session.begin_nested():
        book(session, period, worker.id, again, now)
    assert len(lines_of(session, period.id)) == 2


@given(
    lines=st.lists(
        st.tuples(
            st.integers(0, 40_000),
            st.fractions(0, 5_000, max_denominator=999),
            st.fractions(1, 60_000, max_denominator=999),
            st.sampled_from(["KES", "JPY", "TND"]),
            st.fractions(Fraction(1, 500), 500, max_denominator=999),
        ),
        min_size=1,
        max_size=5,
    ),
    reserve=st.integers(0, 200_000),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_worked_paid_is_at_least_agreed_and_required(
    session: Session, now: datetime, lines: list[tuple[int, Fraction, Fraction, str, Fraction]], reserve: int
) -> None:
    outer = session.begin_nested()
    worker, batch = factories.worker(session, now), factories.batch(session, now)
    period = period_at(session, now, now)
    drafts: list[tuple[DraftLine, Payer | None]] = []
    for place, (seconds, agreed, rate, currency, fx) in enumerate(lines):
        start = period.starts_at.replace(hour=place)
        one = draft_line(
            start,
            batch.id,
            seconds=seconds,
            agreed=agreed,
            rate=rate,
            currency="KES",
            fx=fx if currency != "KES" else 1,
        )
        drafts.append((one, payer(batch, currency)))
        if reserve:
            fund(session, payer(batch, currency).reserve, reserve, now)
    made = book(session, period, worker.id, drafted(drafts), now)
    for line, (seconds, agreed, rate, _, fx) in zip(made, lines, strict=True):
        assert line.due >= agreed
        assert line.due >= rate * seconds / 3600
        if line.charge_currency == "KES":
            assert line.charge == line.due
        else:
            scale = {"JPY": Fraction(1, 100), "TND": Fraction(10)}[line.charge_currency]
            assert 0 <= line.charge - line.due / fx * scale < 1
    assert balance(session, worker_payable(worker.id, "KES")) == sum(line.due for line in made)
    assert underpaid(session, period.id) == []
    assert failed(session) == []
    outer.rollback()


def test_lines_are_read_by_worker(session: Session, now: datetime, period: PayPeriod) -> None:
    first, second = factories.worker(session, now), factories.worker(session, now, name="Brian")
    for who in (first, second):
        book(session, period, who.id, drafted([(draft_line(now, None), None)]), now)
    assert [line.worker_id for line in lines_of(session, period.id, second.id)] == [second.id]
    assert session.scalars(select(DueLine.worker_id)).all() == [first.id, second.id]
