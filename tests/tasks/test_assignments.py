"""Claims never collide, leases free slots and refuse nothing."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import RFC_4122, UUID

import factories
import pytest
from factories import served
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from tasks import answers, assignments, batches, claims, permits
from tasks.assignments import (
    Assignment,
    AssignmentState,
    SkipOutcome,
    UnknownAssignment,
)
from tasks.batches import slot_counts
from tasks.claims import BatchNotServed
from tasks.db import new_id, transaction
from tasks.items import (
    ORDER_KEYS,
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
    got = factories.claim(session, batch, worker.id, now, 10)
    assert len({one.item_id for one in got}) == len(got) == 5


def test_claiming_again_gives_what_is_held(session: Session, now: datetime) -> None:
    batch = served(session, now)
    worker = factories.worker(session, now)
    first = factories.claim(session, batch, worker.id, now)
    assert factories.claim(session, batch, worker.id, now) == first


def test_items_fetched_together_come_back_in_the_order_they_were_given(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=5)
    worker = factories.worker(session, now)
    given = factories.claim(session, batch, worker.id, now, 5)
    assert assignments.held_by(session, batch.id, worker.id, now) == given


def test_ids_made_one_after_the_other_sort_in_that_order() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {RFC_4122}


def test_a_draft_is_not_served(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now)
    with pytest.raises(BatchNotServed):
        factories.claim(session, batch, factories.worker(session, now).id, now)


def test_nothing_new_is_given_without_a_permit_in_force(session: Session, now: datetime) -> None:
    batch, worker = served(session, now, items=3), factories.worker(session, now)
    (held,) = factories.claim(session, batch, worker.id, now)
    for at in (now - timedelta(seconds=1), now + timedelta(seconds=60)):
        hand = claims.claim(session, batch.id, worker.id, at, 3)
        assert ([one.id for one in hand.items], hand.permitted) == ([held.id], False)
    assert len(claims.claim(session, batch.id, worker.id, now, 3).items) == 3
    permits.drop(session, worker.id)
    assert not claims.claim(session, batch.id, worker.id, now, 3).permitted


def test_an_ended_lease_frees_the_slot(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    late, quick = factories.worker(session, now), factories.worker(session, now)
    (held,) = factories.claim(session, batch, late.id, now)
    assert factories.claim(session, batch, quick.id, now) == []
    later = now + timedelta(seconds=batch.lease_seconds)
    assert assignments.expire(session, later) == [held]
    assert held.state == AssignmentState.EXPIRED
    assert len(factories.claim(session, batch, quick.id, later)) == 1


def test_activity_lengthens_a_lease(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1)
    (held,) = factories.claim(session, batch, factories.worker(session, now).id, now)
    for seconds, counted in ((59, 0), (100, 100), (90, 100)):
        assignments.renew(session, held, now + timedelta(seconds=seconds))
        session.refresh(held)
        assert held.lease_until == now + timedelta(seconds=counted + batch.lease_seconds)
    (again,) = factories.claim(session, batch, held.worker_id, now + timedelta(seconds=200))
    assert (again.id, again.lease_until) == (held.id, now + timedelta(seconds=200 + batch.lease_seconds))


def test_leases_last_as_long_as_the_batchs_own_answers_ask_for(session: Session, now: datetime) -> None:
    batch, said = served(session, now, items=25), served(session, now, items=1, lease_seconds=600)
    worker, later = factories.worker(session, now), now + timedelta(seconds=400)
    for number in range(20):
        assert answers.typical_seconds(session, batch.id) is None
        (held,) = factories.claim(session, batch, worker.id, now)
        factories.answer(session, held, later if number % 2 else now + timedelta(seconds=410))
    typical = answers.typical_seconds(session, batch.id)
    assert typical == 405
    for seconds, lasts in ((typical, 1215), (2, 900), (40_000, 86_400)):
        batches.fit_lease(session, batch, seconds)
        assert batch.lease_seconds == lasts
    batches.fit_lease(session, said, 4000)
    assert said.lease_seconds == 600


def test_a_skip_offers_the_item_to_others_and_counts_once(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    worker, other = factories.worker(session, now), factories.worker(session, now)
    (held,) = factories.claim(session, batch, worker.id, now)
    assert assignments.skip(session, held, "unclear", now)
    assert not assignments.skip(session, held, "unclear", now)
    assert factories.claim(session, batch, worker.id, now) == []
    assert len(factories.claim(session, batch, other.id, now)) == 1


def test_what_is_put_off_comes_back_at_the_end_as_the_same_assignment(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=3, answers_wanted=1)
    worker = factories.worker(session, now)
    (first,) = factories.claim(session, batch, worker.id, now)
    assert assignments.skip(session, first, "other", now, SkipOutcome.LATER)
    rest = factories.claim(session, batch, worker.id, now, 2)
    assert {first.item_id} & {one.item_id for one in rest} == set()
    for held in rest:
        factories.answer(session, held, now)
    later = now + timedelta(minutes=5)
    assert factories.claim(session, batch, worker.id, later) == [first]
    assert (first.state, first.lease_until) == (
        "leased",
        later + timedelta(seconds=batch.lease_seconds),
    )
    assert factories.claim(session, batch, worker.id, later) == [first], "it is held now"
    assert factories.answer(session, first, later).surplus is False
    assert factories.claim(session, batch, worker.id, later) == []


def test_what_is_put_off_may_be_answered_by_others_meanwhile(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    worker, other = factories.worker(session, now), factories.worker(session, now)
    (held,) = factories.claim(session, batch, worker.id, now)
    assignments.skip(session, held, "other", now, SkipOutcome.LATER)
    (taken,) = factories.claim(session, batch, other.id, now)
    assert factories.claim(session, batch, worker.id, now) == []
    factories.answer(session, taken, now)
    assert factories.claim(session, batch, worker.id, now) == []


def test_a_broken_item_is_offered_to_nobody_until_it_is_put_back(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=3)
    one, other = (factories.assignment(session, batch, factories.worker(session, now), now) for _ in "ab")
    assignments.skip(session, one, "broken", now, SkipOutcome.BROKEN, "  the sound is\u202e missing ")
    session.expire_all()
    (item,) = broken_items(session, batch.id)
    assert item.broken_at == now
    assert factories.claim(session, batch, factories.worker(session, now).id, now) == []
    assignments.give_back(session, other, now)
    third = factories.worker(session, now)
    assert factories.claim(session, batch, third.id, now) == [], "what others held does not come back"
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
    (held,) = factories.claim(session, batch, factories.worker(session, now).id, now)
    with pytest.raises(UnknownAssignment):
        assignments.own(session, held.id, factories.worker(session, now).id)
    with pytest.raises(UnknownAssignment):
        assignments.own(session, new_id(), held.worker_id)


def test_closing_withdraws_what_is_not_leased(session: Session, now: datetime) -> None:
    batch = served(session, now, items=2, answers_wanted=1)
    factories.claim(session, batch, factories.worker(session, now).id, now)
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
                for one in factories.claim(session, batch, worker_id, now):
                    assert not factories.answer(session, one, now).surplus

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


def test_a_claim_walks_an_index_and_reads_few_rows_whatever_the_worker_has_done(
    session: Session, now: datetime
) -> None:
    """One in twenty items is answered, as by a worker with 50,000 answers in a batch of a million."""
    batch, worker = served(session, now, items=2000, answers_wanted=2), factories.worker(session, now)
    had = {"batch": batch.id, "worker": worker.id, "now": now}
    session.execute(ANSWERED_BY, had)
    session.execute(text("ANALYZE slot; ANALYZE assignment"))
    # As the function has it.
    session.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"))
    choose = re.sub(r"\b_(batch|worker|gold|from|id|now|until)\b", r":\1", claims.CHOOSE)
    for start in range(0, ORDER_KEYS, ORDER_KEYS // 5):
        values = had | {"gold": False, "from": start, "id": new_id(), "until": now}
        explained = session.scalar(text("EXPLAIN (ANALYZE, FORMAT JSON) " + choose), values)
        nodes = list(parts(explained[0]["Plan"]))
        assert not {"Sort", "Seq Scan", "Hash Join", "Materialize"} & {node["Node Type"] for node in nodes}
        read = {node.get("Index Name"): node["Actual Rows"] * node["Actual Loops"] for node in nodes}
        assert read["ix_slot_open"] <= 20
        assert read["uq_assignment_item_id_worker_id"] <= 20


ANSWERED_BY = text("""
    INSERT INTO assignment (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until)
    SELECT gen_random_uuid(), id, item_id, batch_id, :worker, 'submitted', false, '', :now, :now
    FROM slot WHERE batch_id = :batch AND copy = 1 AND item_id % 20 = 0
""")


def parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes."""
    yield plan
    for part in plan.get("Plans", []):
        yield from parts(part)
