"""Funding on a real ledger: nothing is served that is not funded, and nothing that was promised is withheld."""

from datetime import datetime, timedelta

import factories
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from payments import earnings, funding, ledger, reserves, worktime
from payments.funding import (
    OUT_OF_RESERVE,
    AlreadyOpen,
    NotARequester,
    NotFunded,
    NotPaused,
    NotServed,
    ReferenceUsed,
    StillOwed,
    WrongAmount,
)
from payments.ledger import balance
from payments.quotes import quote
from payments.terms import NoTerms, terms_of
from tasks import batches
from tasks.assignments import AssignmentState
from tasks.batches import Batch, BatchEmpty, BatchState, close_batch, slot_counts
from tasks.items import Item, SlotState, add_slots
from tasks.people import Person
from tasks.projects import Project


@pytest.fixture
def owner(session: Session, now: datetime) -> Person:
    factories.floors(session, now)
    factories.worker(session, now)
    made: Person = factories.requester(session, now)
    return made


@pytest.fixture
def of(session: Session, now: datetime, owner: Person) -> Project:
    made: Project = factories.project(session, now, owner)
    return made


def pay_in(
    session: Session, owner: Person, amount: int, now: datetime, reference: str = "r1"
) -> ledger.Journal:
    return funding.prefund(session, owner.id, amount, "KES", reference, actor="test", now=now)


def reserved(session: Session, batch: Batch) -> int:
    return balance(session, f"batch_reserve:{batch.id}:KES")


def work(session: Session, batch: Batch, worker: Person, at: datetime, seconds: int) -> datetime:
    """One answer that took so long, with a proof every half minute."""
    held = factories.claim(session, batch, worker.id, at)[0]
    worktime.open_assignment(session, held, at)
    for second in range(30, seconds, 30):
        when = at + timedelta(seconds=second)
        worktime.record(session, worker_id=worker.id, kind="proof", now=when, assignment=held)
    done = at + timedelta(seconds=seconds)
    stored = factories.answer(session, held, done)
    worktime.end_assignment(session, stored.assignment, "submit", done)
    earnings.accrue(session, stored.assignment, "submitted", done)
    return done


def test_the_same_payment_counts_once(session: Session, now: datetime, owner: Person) -> None:
    first = pay_in(session, owner, 1000, now)
    again = pay_in(session, owner, 1000, now + timedelta(hours=3))
    assert again.id == first.id
    assert funding.prefund_balance(session, owner.id, "KES") == 1000
    with pytest.raises(ReferenceUsed):
        pay_in(session, owner, 2000, now)
    pay_in(session, owner, 1000, now, "r2")
    funding.prefund(session, owner.id, 700, "EUR", "r1e", actor="test", now=now)
    assert funding.prefund_balances(session, owner.id) == {"EUR": 700, "KES": 2000}
    assert balance(session, "rail_cash:manual:KES") == 2000


def test_only_requesters_pay_in_and_only_positive_amounts(
    session: Session, now: datetime, owner: Person
) -> None:
    for amount in (0, -1, True, 10**15 + 1):
        with pytest.raises(WrongAmount):
            pay_in(session, owner, amount, now)
    for reference in ("", "  ", "x" * 101):
        with pytest.raises(WrongAmount):
            pay_in(session, owner, 1, now, reference)
    with pytest.raises(NotARequester):
        pay_in(session, factories.worker(session, now), 100, now)
    assert funding.prefund_balances(session, owner.id) == {}


def test_a_batch_opens_with_its_slow_total_set_aside(
    session: Session, now: datetime, owner: Person, of: Project
) -> None:
    batch = factories.batch(session, now, of, items=4, answers_wanted=2)
    factories.terms(session, batch, now)
    wanted = quote(session, batch, now)
    # 8 answers at 275.00 KES/h for the slow 120 s, which is above 5.00 each, and 10 % fee.
    assert (wanted.answers, wanted.agreed, wanted.total_p95) == (8, 4000, 7334 + 733)
    pay_in(session, owner, wanted.total_p95 + 33, now)

    funding.reserve_and_open(session, batch, now, actor="zuri")
    assert funding.prefund_balance(session, owner.id, "KES") == 33
    assert reserved(session, batch) == wanted.total_p95
    assert batch.state == BatchState.OPEN
    assert slot_counts(session, [batch.id])[batch.id][SlotState.OPEN] == 8
    assert terms_of(session, batch.id).sealed_at == now
    with pytest.raises(AlreadyOpen):
        funding.reserve_and_open(session, batch, now, actor="zuri")
    assert all(check.ok for check in ledger.checks(session))


def test_without_the_money_nothing_opens_and_the_error_names_what_is_missing(
    session: Session, now: datetime, owner: Person, of: Project
) -> None:
    batch = factories.batch(session, now, of, items=4, answers_wanted=2)
    with pytest.raises(NoTerms):
        funding.reserve_and_open(session, batch, now, actor="zuri")
    factories.terms(session, batch, now)
    pay_in(session, owner, 8066, now)
    with pytest.raises(NotFunded) as refused:
        funding.reserve_and_open(session, batch, now, actor="zuri")
    assert refused.value.message == "This needs 80.67 KES; 0.01 KES are missing on the prefund."
    assert refused.value.details == {"needed": 8067, "missing": 1, "currency": "KES"}
    assert batch.state == BatchState.DRAFT
    assert slot_counts(session, [batch.id])[batch.id][SlotState.OPEN] == 0
    assert reserved(session, batch) == 0

    empty = factories.batch(session, now, of, items=0)
    factories.terms(session, empty, now)
    with pytest.raises(BatchEmpty):
        funding.reserve_and_open(session, empty, now, actor="zuri")


def test_one_prefund_opens_one_of_two_batches(
    session: Session, now: datetime, owner: Person, of: Project
) -> None:
    pair = [factories.batch(session, now, of, items=4, answers_wanted=2) for _ in range(2)]
    for batch in pair:
        factories.terms(session, batch, now)
    pay_in(session, owner, 10000, now)
    funding.reserve_and_open(session, pair[0], now, actor="zuri")
    with pytest.raises(NotFunded):
        funding.reserve_and_open(session, pair[1], now, actor="zuri")
    assert pair[1].state == BatchState.DRAFT


def test_an_extra_slot_opens_only_while_the_reserve_carries_it(
    session: Session, now: datetime, owner: Person
) -> None:
    batch = factories.opened_batch(
        session, now, factories.project(session, now, owner), items=3, answers_wanted=1
    )
    item = session.scalars(select(Item).where(Item.batch_id == batch.id)).first()
    assert item is not None
    add_slots(session, [(item.id, item.batch_id, 100)])
    # All three are open, so the whole reserve is spoken for.
    assert funding.open_waiting(session, batch, now) == 0
    assert slot_counts(session, [batch.id])[batch.id][SlotState.WAITING] == 1

    worker = factories.worker(session, now, name="Baraka")
    later = now
    for _ in range(3):
        later = work(session, batch, worker, later, 30)
    # Three quick answers cost 5.00 each and the fee, so there is room for the fourth at the slow figure.
    assert funding.open_waiting(session, batch, later + timedelta(minutes=2)) == 1
    assert slot_counts(session, [batch.id])[batch.id][SlotState.OPEN] == 1


def test_slow_work_stops_new_offers_until_more_is_set_aside(
    session: Session, now: datetime, owner: Person
) -> None:
    of = factories.project(session, now, owner)
    batch = factories.opened_batch(session, now, of, items=6, answers_wanted=1)
    worker = factories.worker(session, now, name="Baraka")
    later = now
    assert not funding.watch(session, batch, later)
    for _ in range(3):
        later = work(session, batch, worker, later, 240)
    assert funding.watch(session, batch, later + timedelta(minutes=2))
    assert (batch.state, batch.pause_reason) == (BatchState.PAUSED, OUT_OF_RESERVE)
    state = reserves.reserve_state(session, batch, later + timedelta(minutes=2))
    assert state.share >= reserves.USED_MAX
    # 720 s at 275.00 KES/h are 55.00, and 10 % fee.
    assert state.spent_estimate == 6050

    with pytest.raises(NotFunded):
        funding.resume(session, batch, later + timedelta(minutes=2))
    with pytest.raises(NotFunded):
        funding.top_up_reserve(session, batch, 5000, reference="a", now=later, actor="zuri")
    pay_in(session, owner, 5000, later, "more")
    funding.top_up_reserve(session, batch, 5000, reference="a", now=later, actor="zuri")
    funding.top_up_reserve(session, batch, 5000, reference="a", now=later + timedelta(hours=1), actor="zuri")
    assert batch.state == BatchState.OPEN
    assert funding.prefund_balance(session, owner.id, "KES") == 0


def test_a_price_above_every_floor_uses_the_reserve_up_without_a_stop(
    session: Session, now: datetime, owner: Person
) -> None:
    of = factories.project(session, now, owner)
    batch = factories.opened_batch(
        session, now, of, items=12, answers_wanted=1, terms={"piece_price": "20", "fee_percent": "0"}
    )
    worker = factories.worker(session, now, name="Baraka")
    later = now
    for left in range(11, -1, -1):
        later = work(session, batch, worker, later, 30) + timedelta(minutes=2)
        assert not funding.watch(session, batch, later), left
    assert reserves.reserve_state(session, batch, later).left == 0
    assert batch.state == BatchState.OPEN


def test_a_pause_by_the_requester_is_not_ended_by_money(
    session: Session, now: datetime, owner: Person
) -> None:
    batch = factories.opened_batch(session, now, factories.project(session, now, owner))
    batches.pause_batch(session, batch, "We look at the first answers.")
    pay_in(session, owner, 1000, now, "more")
    funding.top_up_reserve(session, batch, 1000, reference="a", now=now, actor="zuri")
    assert batch.state == BatchState.PAUSED
    funding.resume(session, batch, now)
    assert batch.state == "open"
    with pytest.raises(NotPaused):
        funding.resume(session, batch, now)


def test_a_draft_and_a_closed_batch_are_not_added_to(session: Session, now: datetime, owner: Person) -> None:
    of = factories.project(session, now, owner)
    draft = factories.batch(session, now, of)
    factories.terms(session, draft, now)
    pay_in(session, owner, 1000, now)
    with pytest.raises(NotServed):
        funding.top_up_reserve(session, draft, 10, reference="a", now=now, actor="zuri")
    closed = factories.opened_batch(session, now, of)
    close_batch(session, closed, now)
    with pytest.raises(NotServed):
        funding.top_up_reserve(session, closed, 10, reference="a", now=now, actor="zuri")


def test_what_is_left_goes_back_when_nothing_is_owed(session: Session, now: datetime, owner: Person) -> None:
    batch = factories.opened_batch(session, now, factories.project(session, now, owner))
    held = reserved(session, batch)
    before = funding.prefund_balance(session, owner.id, "KES")
    worker = factories.worker(session, now, name="Baraka")
    later = work(session, batch, worker, now, 40)
    with pytest.raises(StillOwed):
        funding.release(session, batch, later, "zuri", settled_until=now + timedelta(days=7))
    leased = factories.claim(session, batch, worker.id, later)[0]
    close_batch(session, batch, later)
    with pytest.raises(StillOwed):
        funding.release(session, batch, later, "zuri", settled_until=now + timedelta(days=7))
    leased.state = AssignmentState.RETURNED
    session.flush()
    with pytest.raises(StillOwed):
        funding.release(session, batch, later, "zuri", settled_until=now)
    settled = now + timedelta(days=7)
    assert funding.release(session, batch, settled, "zuri", settled_until=settled) is not None
    assert reserved(session, batch) == 0
    assert funding.prefund_balance(session, owner.id, "KES") == before + held
    assert funding.release(session, batch, settled, "zuri", settled_until=settled) is None


def test_a_refused_opening_leaves_no_trace_in_the_ledger(
    session: Session, now: datetime, owner: Person, of: Project
) -> None:
    batch = factories.batch(session, now, of)
    factories.terms(session, batch, now)
    count = select(func.count(ledger.Journal.id))
    before = session.scalar(count)
    with pytest.raises(NotFunded):
        funding.reserve_and_open(session, batch, now, actor="zuri")
    assert session.scalar(count) == before
    assert batch.state == BatchState.DRAFT
