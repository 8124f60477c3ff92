"""Claims never collide, leases free slots and refuse nothing."""

import threading
from collections import Counter
from datetime import datetime, timedelta
from uuid import RFC_4122, UUID

import factories
import pytest
from factories import served
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from tasks import assignments, batches
from tasks.assignments import (
    Assignment,
    AssignmentState,
    BatchNotServed,
    SkipOutcome,
    UnknownAssignment,
)
from tasks.batches import Batch, slot_counts
from tasks.db import new_id, transaction
from tasks.items import (
    NotBroken,
    Slot,
    SlotState,
    broken_items,
    drop,
    open_slots,
    put_back,
)


def test_a_worker_gets_each_item_once(session: Session, now: datetime) -> None:
    batch = served(session, now, items=5)
    worker = factories.worker(session, now)
    got = assignments.claim(session, batch, worker.id, now, 10)
    assert len({one.item_id for one in got}) == len(got) == 5


def test_claiming_again_gives_what_is_held(session: Session, now: datetime) -> None:
    batch = served(session, now)
    worker = factories.worker(session, now)
    first = assignments.claim(session, batch, worker.id, now)
    assert assignments.claim(session, batch, worker.id, now) == first


def test_items_fetched_together_come_back_in_the_order_they_were_given(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=5)
    worker = factories.worker(session, now)
    given = assignments.claim(session, batch, worker.id, now, 5)
    assert assignments.held_by(session, batch.id, worker.id, now) == given


def test_ids_made_one_after_the_other_sort_in_that_order() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {RFC_4122}


def test_a_draft_is_not_served(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now)
    with pytest.raises(BatchNotServed):
        assignments.claim(session, batch, factories.worker(session, now).id, now)


def test_an_ended_lease_frees_the_slot(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    late, quick = factories.worker(session, now), factories.worker(session, now)
    (held,) = assignments.claim(session, batch, late.id, now)
    assert assignments.claim(session, batch, quick.id, now) == []
    later = now + timedelta(seconds=batch.lease_seconds)
    assert assignments.expire(session, later) == [held]
    assert held.state == AssignmentState.EXPIRED
    assert len(assignments.claim(session, batch, quick.id, later)) == 1


def test_activity_lengthens_a_lease(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1)
    (held,) = assignments.claim(session, batch, factories.worker(session, now).id, now)
    assignments.renew(session, held, now + timedelta(seconds=100))
    assert held.lease_until == now + timedelta(seconds=100 + batch.lease_seconds)


def test_a_skip_offers_the_item_to_others_and_counts_once(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    worker, other = factories.worker(session, now), factories.worker(session, now)
    (held,) = assignments.claim(session, batch, worker.id, now)
    assert assignments.skip(session, held, "unclear", now)
    assert not assignments.skip(session, held, "unclear", now)
    assert assignments.claim(session, batch, worker.id, now) == []
    assert len(assignments.claim(session, batch, other.id, now)) == 1


def test_what_is_put_off_comes_back_at_the_end_as_the_same_assignment(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=3, answers_wanted=1)
    worker = factories.worker(session, now)
    (first,) = assignments.claim(session, batch, worker.id, now)
    assert assignments.skip(session, first, "other", now, SkipOutcome.LATER)
    rest = assignments.claim(session, batch, worker.id, now, 2)
    assert {first.item_id} & {one.item_id for one in rest} == set()
    for held in rest:
        factories.answer(session, held, now)
    later = now + timedelta(minutes=5)
    assert assignments.claim(session, batch, worker.id, later) == [first]
    assert (first.state, first.lease_until) == (
        "leased",
        later + timedelta(seconds=batch.lease_seconds),
    )
    assert assignments.claim(session, batch, worker.id, later) == [first], "it is held now"
    assert factories.answer(session, first, later).assignment.surplus is False
    assert assignments.claim(session, batch, worker.id, later) == []


def test_what_is_put_off_may_be_answered_by_others_meanwhile(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    worker, other = factories.worker(session, now), factories.worker(session, now)
    (held,) = assignments.claim(session, batch, worker.id, now)
    assignments.skip(session, held, "other", now, SkipOutcome.LATER)
    (taken,) = assignments.claim(session, batch, other.id, now)
    assert assignments.claim(session, batch, worker.id, now) == []
    factories.answer(session, taken, now)
    assert assignments.claim(session, batch, worker.id, now) == []


def test_a_broken_item_is_offered_to_nobody_until_it_is_put_back(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=3)
    one, other = (factories.assignment(session, batch, factories.worker(session, now), now) for _ in "ab")
    assignments.skip(session, one, "broken", now, SkipOutcome.BROKEN, "  the sound is\u202e missing ")
    session.expire_all()
    (item,) = broken_items(session, batch.id)
    assert item.broken_at == now
    assert assignments.claim(session, batch, factories.worker(session, now).id, now) == []
    assignments.give_back(session, other, now)
    third = factories.worker(session, now)
    assert assignments.claim(session, batch, third.id, now) == [], "what others held does not come back"
    assert [report.note for report in assignments.broken_reports(session, [item])[item.id]] == [
        "the sound is\ufffd missing"
    ]
    put_back(session, item)
    assert slot_counts(session, [batch.id])[batch.id]["waiting"] == 3
    assert open_slots(session, batch.id, 3) == 3
    assert broken_items(session, batch.id) == []
    again = factories.assignment(session, batch, third, now)
    later = now + timedelta(hours=1)
    assignments.skip(session, again, "broken", later, SkipOutcome.BROKEN)
    session.expire_all()
    assert len(assignments.broken_reports(session, [item])[item.id]) == 1, "only what came after the mending"
    drop(session, item, later)
    assert broken_items(session, batch.id) == []
    with pytest.raises(NotBroken):
        put_back(session, item)
    with pytest.raises(NotBroken):
        drop(session, item, later)


def test_nobody_elses_assignment_is_found(session: Session, now: datetime) -> None:
    batch = served(session, now)
    (held,) = assignments.claim(session, batch, factories.worker(session, now).id, now)
    with pytest.raises(UnknownAssignment):
        assignments.own(session, held.id, factories.worker(session, now).id)
    with pytest.raises(UnknownAssignment):
        assignments.own(session, new_id(), held.worker_id)


def test_closing_withdraws_what_is_not_leased(session: Session, now: datetime) -> None:
    batch = served(session, now, items=2, answers_wanted=1)
    assignments.claim(session, batch, factories.worker(session, now).id, now)
    batches.close_batch(session, batch, now)
    assert batches.slot_counts(session, [batch.id])[batch.id] == {
        "waiting": 0, "open": 0, "leased": 1, "answered": 0, "withdrawn": 1,
    }  # fmt: skip


def test_twenty_workers_at_once_never_share_a_slot(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        batch = served(session, now, items=30, answers_wanted=3)
        workers = [factories.worker(session, now).id for _ in range(20)]

    def work(worker_id: UUID) -> None:
        for _ in range(6):
            with transaction(engine) as session:
                mine = assignments.claim(session, session.get_one(Batch, batch.id), worker_id, now, 1)
                for one in mine:
                    assert assignments.take_slot(session, one)
                    one.state = AssignmentState.SUBMITTED

    threads = [threading.Thread(target=work, args=(worker_id,)) for worker_id in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction(engine) as session:
        held = session.execute(
            select(Assignment.slot_id, Assignment.item_id, Assignment.worker_id).where(
                Assignment.batch_id == batch.id
            )
        ).all()
        answered = session.scalars(
            select(Slot.id).where(Slot.batch_id == batch.id, Slot.state == SlotState.ANSWERED)
        ).all()
    assert max(Counter(slot for slot, _, _ in held).values()) == 1
    assert max(Counter((item, worker) for _, item, worker in held).values()) == 1
    assert len(held) == len(answered) == 90


def test_a_claim_walks_an_index_and_sorts_nothing(session: Session, now: datetime) -> None:
    batch = served(session, now, items=2000, answers_wanted=3)
    session.execute(text("ANALYZE slot; ANALYZE assignment"))
    values = {"batch": batch.id, "worker": new_id(), "place": 5, "id": new_id(), "now": now, "until": now}
    plan = "\n".join(session.scalars(text("EXPLAIN " + assignments.CLAIM.text), values))
    assert "ix_slot_open" in plan
    assert "Sort" not in plan
