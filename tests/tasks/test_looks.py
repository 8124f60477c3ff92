"""Looks and refits on a database: idempotent, in any order, one slot at a time, each change a decision that stays."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import factories
import pytest
from factories import served
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tasks import answers, consensus, decisions, fits, items, looks, redundancy, refits
from tasks.assignments import Assignment
from tasks.batches import Batch, Redundancy, close_batch
from tasks.consensus import Consensus, ConsensusState
from tasks.decisions import DecisionKind, ItemDecision
from tasks.items import Item, Slot, SlotState
from tasks.people import Person

ADAPTIVE: dict[str, Any] = {"redundancy": Redundancy.ADAPTIVE, "answers_max": 6}
LABELS = ("positive", "neutral", "negative")


def give(session: Session, batch: Batch, by: Person, label: str, now: datetime) -> int:
    """Somebody answers the next item that is offered."""
    (held,) = factories.claim(session, batch, by.id, now)
    return hand_in(session, held, label, now)


def hand_in(session: Session, held: Assignment, label: str, now: datetime) -> int:
    answers.submit(
        session,
        assignment_id=held.id,
        worker_id=held.worker_id,
        submission_id=uuid4(),
        value={"sentiment": label},
        now=now,
    )
    return held.item_id


def fresh(session: Session, now: datetime, label: str, batch: Batch) -> int:
    """A new worker answers."""
    return give(session, batch, factories.worker(session, now), label, now)


def state(session: Session, item_id: int) -> Consensus:
    return session.get_one(Consensus, item_id, populate_existing=True)


def kinds(session: Session, item_id: int) -> list[str]:
    return [one.kind for one in decisions.history(session, item_id)]


def slots(session: Session, item_id: int) -> list[str]:
    return sorted(session.scalars(select(Slot.state).where(Slot.item_id == item_id)))


@contextmanager
def statements(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that are sent, with their values."""
    sent: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    bind = session.connection()
    event.listen(bind, "before_cursor_execute", keep)
    yield sent
    event.remove(bind, "before_cursor_execute", keep)


def test_a_clear_lead_settles_and_a_split_asks_for_one_answer_at_a_time(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=1, **ADAPTIVE)
    item_id, *_ = [fresh(session, now, label, batch) for label in ("positive", "positive", "negative")]
    for _ in range(3):
        (looked,) = looks.check_items(session, [item_id, item_id], now)
    assert looked.waits
    assert state(session, item_id).state == ConsensusState.COLLECTING
    assert slots(session, item_id) == ["answered"] * 3 + ["waiting"]
    assert kinds(session, item_id) == [DecisionKind.ONE_MORE]
    for label in ("positive", "positive"):
        items.open_slots(session, batch.id, 1)
        fresh(session, now, label, batch)
        looks.check_items(session, [item_id], now)
    found = state(session, item_id)
    assert (found.state, found.fields["sentiment"]["winner"]) == (ConsensusState.SETTLED, "positive")
    assert kinds(session, item_id) == [DecisionKind.ONE_MORE, DecisionKind.ONE_MORE, DecisionKind.ENOUGH]
    last = decisions.history(session, item_id)[-1]
    assert last.reason == "After 5 answers the lead is 3; that is enough while the crowd is not known yet."
    assert (last.winners, last.answers, last.fit_version) == ({"sentiment": "positive"}, 5, None)


def test_what_stays_divided_is_contested_and_never_forced(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, **ADAPTIVE | {"answers_max": 4})
    item_id = 0
    for label in ("positive", "negative", "neutral", "positive"):
        items.open_slots(session, batch.id, 1)
        item_id = fresh(session, now, label, batch)
        looks.check_items(session, [item_id], now)
    found = state(session, item_id)
    assert (found.state, found.fields["sentiment"]["winner"]) == (ConsensusState.CONTESTED, None)
    assert found.fields["sentiment"]["distribution"][0] == {"value": "positive", "answers": 2}
    assert kinds(session, item_id)[-1] == DecisionKind.CONTESTED
    assert SlotState.WAITING not in slots(session, item_id)
    assert consensus.contested_items(session, batch.id, 10)[0][0].id == item_id


def test_a_person_decides_with_a_reason_that_stays(session: Session, now: datetime) -> None:
    batch = served(session, now, items=2, redundancy=Redundancy.FIXED, answers_wanted=2, answers_max=2)
    for worker, label in ((0, "positive"), (1, "negative")):
        by = factories.worker(session, now, name=f"Worker {worker}")
        for _ in range(2):
            give(session, batch, by, label, now)
    one, other = session.scalars(select(Item).where(Item.batch_id == batch.id).order_by(Item.id)).all()
    looks.check_items(session, [one.id, other.id], now)
    requester = factories.requester(session, now)
    decide: dict[str, Any] = {"person_id": requester.id, "now": now}
    for chosen in ({}, {"sentiment": "sad"}, {"mood": "positive"}):
        with pytest.raises(consensus.WrongChoice):
            consensus.adjudicate(session, one, chosen, "It thanks.", **decide)
    for reason in ("", "   ", "x" * 1001):
        with pytest.raises(consensus.NoReason):
            consensus.adjudicate(session, one, {"sentiment": "positive"}, reason, **decide)
    consensus.adjudicate(session, one, {"sentiment": "positive"}, " It thanks. 100 % ", **decide)
    consensus.publish(session, other, "Both readings are right.", **decide)
    with pytest.raises(consensus.NotContested):
        consensus.adjudicate(session, one, {"sentiment": "negative"}, "No.", **decide)
    looks.check_items(session, [one.id, other.id], now)
    found = state(session, one.id)
    assert (found.state, found.fields["sentiment"]["winner"]) == (ConsensusState.ADJUDICATED, "positive")
    assert len(found.fields["sentiment"]["distribution"]) == 2
    assert state(session, other.id).state == ConsensusState.CONTESTED
    assert consensus.contested_items(session, batch.id, 10) == []
    last = decisions.history(session, one.id)[-1]
    assert (last.kind, last.reason, last.person_id) == (
        DecisionKind.ADJUDICATED,
        "It thanks. 100 %",
        requester.id,
    )
    assert kinds(session, other.id)[-1] == DecisionKind.PUBLISHED


def test_decisions_only_grow(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    item_id = fresh(session, now, "positive", batch)
    looks.check_items(session, [item_id], now)
    for statement in ("UPDATE item_decision SET kind = 'contested'", "DELETE FROM item_decision"):
        with pytest.raises(DBAPIError, match="only grows"), session.begin_nested():
            session.execute(text(statement))


def test_what_is_in_hand_when_an_item_closes_is_kept_and_used_and_nothing_new_is_served(
    session: Session, now: datetime
) -> None:
    """With three leases at once an item gets at most two answers more than it needed."""
    batch = served(session, now, items=1, redundancy=Redundancy.ADAPTIVE, answers_wanted=3, answers_max=9)
    item_id = session.scalars(select(Item.id).where(Item.batch_id == batch.id)).one()
    items.add_slots(session, [(item_id, batch.id, copy) for copy in (4, 5, 6)])
    items.open_slots(session, batch.id, 3)
    held = [factories.claim(session, batch, factories.worker(session, now).id, now)[0] for _ in range(5)]
    for one in held[:3]:
        hand_in(session, one, "positive", now)
    looks.check_items(session, [item_id], now)
    assert state(session, item_id).state == ConsensusState.SETTLED
    assert slots(session, item_id) == ["answered"] * 3 + ["leased"] * 2 + ["withdrawn"]
    for one in held[3:]:
        hand_in(session, one, "negative", now)
        looks.check_items(session, [item_id], now)
    found = state(session, item_id)
    assert (found.answers, found.state) == (5, ConsensusState.SETTLED)
    assert found.fields["sentiment"]["distribution"] == [
        {"value": "positive", "answers": 3},
        {"value": "negative", "answers": 2},
    ]
    assert len(session.scalars(select(Assignment).where(Assignment.state == "submitted")).all()) == 5
    assert not session.scalars(select(Assignment.surplus).where(Assignment.surplus)).all()


def crowd(
    session: Session, batch: Batch, now: datetime, workers: list[Person], seed: int = 1
) -> dict[int, str]:
    """Workers right nine times in ten answer all that is open; gives the truth by item."""
    drawing = random.Random(seed)
    truth = {
        item_id: LABELS[place % 3]
        for place, item_id in enumerate(
            session.scalars(select(Item.id).where(Item.batch_id == batch.id).order_by(Item.id))
        )
    }
    for by in workers:
        for held in iter(lambda by=by: factories.claim(session, batch, by.id, now), []):  # type: ignore[misc]
            known = truth[held[0].item_id]
            said = (
                known if drawing.random() < 0.9 else drawing.choice([one for one in LABELS if one != known])
            )
            hand_in(session, held[0], said, now)
    return truth


def test_the_same_looks_in_any_order_and_number_end_the_same(session: Session, now: datetime) -> None:
    batch = served(session, now, items=40, **ADAPTIVE | {"answers_wanted": 3})
    truth = crowd(session, batch, now, [factories.worker(session, now, name=f"W{n}") for n in range(4)])
    shuffled = random.Random(3).sample(list(truth), len(truth))
    looks.check_items(session, shuffled[:25], now)
    looks.check_items(session, shuffled[10:], now)

    def picture() -> list[Any]:
        rows = session.execute(
            select(Consensus.item_id, Consensus.state, Consensus.answers, Consensus.fields).order_by(
                Consensus.item_id
            )
        ).all()
        made = session.execute(select(ItemDecision.item_id, ItemDecision.kind, ItemDecision.answers)).all()
        held = session.execute(select(Slot.item_id, Slot.copy, Slot.state).order_by(Slot.item_id, Slot.copy))
        return [rows, sorted(map(tuple, made)), held.all()]

    before = picture()
    looks.check_items(session, list(truth), now)
    for item_id in reversed(shuffled):
        looks.check_items(session, [item_id, 10**9], now)
    assert picture() == before


def test_a_look_takes_the_same_few_indexed_statements_however_large_the_batch(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=40, **ADAPTIVE | {"answers_wanted": 3})
    truth = crowd(session, batch, now, [factories.worker(session, now, name=f"W{n}") for n in range(4)])
    looks.check_items(session, list(truth), now)
    refits.refit(session, batch, now)
    session.expire_all()
    looks.check_items(session, list(truth)[:1], now)
    for some in (list(truth)[:1], list(truth)):
        session.expire_all()
        with statements(session) as kept:
            looks.check_items(session, some, now)
        sent = [statement for statement, _ in kept]
        reads = [one for one in sent if one.lstrip().startswith("SELECT")]
        assert len(reads) == 3
        assert len(sent) <= 6
    session.execute(text("SET LOCAL enable_seqscan = off"))  # these tables are too small for an index to pay
    for statement, values in kept:
        if statement in reads:
            rows = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values)
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan
            for of_batch in ("ix_slot_state", "ix_slot_open", "ix_answer_batch", "ix_consensus_batch_state"):
                assert of_batch not in plan


def test_a_refit_reopens_or_closes_only_what_changed(session: Session, now: datetime) -> None:
    batch = served(session, now, items=60, **ADAPTIVE | {"answers_wanted": 3})
    team = [factories.worker(session, now, name=f"W{n}") for n in range(8)]
    truth = crowd(session, batch, now, team[:3])
    for _ in range(8):
        looks.check_items(session, list(truth), now)
        if not items.open_slots(session, batch.id, 1000):
            break
        crowd(session, batch, now, team)
    settled = session.scalars(select(Consensus.item_id).where(Consensus.state == "settled")).all()
    assert len(settled) > 30
    looked = refits.refit(session, batch, now)
    assert len(looked) < len(truth)
    session.expire_all()
    fit = fits.find_fit(session, batch.id)
    assert fit is not None
    (model,) = fits.unpack(fit.models).values()
    assert model.is_warm
    assert (fit.answers, fit.agreement[0]["answers"]) == (model.answers, model.answers)
    # The crowd turns out to be worse than it seemed: who carried an item is found to guess.
    victim = settled[0]
    history = kinds(session, victim)
    worse = fits.unpack(fit.models)
    name = next(iter(worse))
    guess = redundancy.Model(
        **{
            **{
                key: getattr(model, key)
                for key in ("classes", "prior", "workers", "answers", "deep", "version")
            },
            "pool": model.pool * 0.05 + 0.95 / 3,
            "confusion": model.confusion * 0.05 + 0.95 / 3,
        }
    )
    fit.models, fit.version = fits.pack({name: guess}), fit.version + 1
    session.flush()
    looks.check_items(session, [victim], now)
    assert state(session, victim).state == ConsensusState.COLLECTING
    assert kinds(session, victim) == [*history, DecisionKind.REOPENED]
    last = decisions.history(session, victim)[-1]
    assert last.fit_version == fit.version
    assert slots(session, victim).count(SlotState.WAITING) == 1
    # New answers bring a new fit, under which that one item needs nothing more: its slot is taken back unbegun.
    fit.last_answer_id -= 1
    session.flush()
    again = refits.refit(session, batch, now)
    assert victim in {one.item_id for one in again}
    assert state(session, victim).state == ConsensusState.SETTLED
    assert slots(session, victim).count(SlotState.WITHDRAWN) == 1
    assert kinds(session, victim)[-1] == DecisionKind.ENOUGH


def test_agreeing_answers_wait_for_the_model_and_a_batch_that_stands_still_goes_on(
    session: Session, now: datetime
) -> None:
    batch = served(session, now, items=2, **ADAPTIVE | {"answers_wanted": 2})
    team = [factories.worker(session, now, name=f"W{n}") for n in range(2)]
    truth = crowd(session, batch, now, team, seed=2)
    looks.check_items(session, list(truth), now)
    agreeing = [item_id for item_id in truth if not kinds(session, item_id)]
    assert agreeing
    session.execute(text("UPDATE slot SET state = 'withdrawn' WHERE state = 'waiting'"))
    assert batch.id in refits.stale_batches(session)
    refits.refit(session, batch, now)
    assert kinds(session, agreeing[0]) == [DecisionKind.ONE_MORE]
    assert slots(session, agreeing[0]) == ["answered", "answered", "waiting"]
    assert refits.refit(session, batch, now) == []


def test_a_refit_is_due_after_so_many_answers_or_a_minute(
    session: Session, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refits, "ANSWERS_MIN", 4)
    batch = served(session, now, items=2, answers_wanted=3)
    for number in range(6):
        assert refits.is_due(session, batch.id, now) == (number >= 4)
        fresh(session, now, "positive", batch)
    refits.refit(session, batch, now)
    assert not refits.is_due(session, batch.id, now + timedelta(hours=1))
    items.add_slots(session, [(session.scalars(select(Item.id).limit(1)).one(), batch.id, 9)])
    items.open_slots(session, batch.id, 1)
    fresh(session, now, "positive", batch)
    assert not refits.is_due(session, batch.id, now)
    assert refits.is_due(session, batch.id, now + timedelta(seconds=60))


def test_a_known_answer_teaches_and_is_no_question(session: Session, now: datetime) -> None:
    batch = served(session, now, items=2, answers_wanted=3, answers_max=5)
    gold, other = session.scalars(select(Item).where(Item.batch_id == batch.id).order_by(Item.id)).all()
    gold.gold = {"sentiment": "negative"}
    session.flush()
    for n in range(3):
        by = factories.worker(session, now, name=f"W{n}")
        for _ in range(2):
            give(session, batch, by, "positive", now)
    looks.check_items(session, [gold.id, other.id], now)
    refits.refit(session, batch, now)
    found = state(session, gold.id)
    assert (found.state, found.fields["sentiment"]["winner"]) == (ConsensusState.KNOWN, "negative")
    assert found.weighed["sentiment"] == {"winner": "negative", "confidence": 1.0}
    assert kinds(session, gold.id) == []
    assert consensus.is_complete(session, batch)


def test_a_closed_batch_asks_for_nothing(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=2, answers_max=4)
    item_id, *_ = [fresh(session, now, label, batch) for label in ("positive", "negative")]
    close_batch(session, batch, now)
    assert [one.waits for one in looks.check_items(session, [item_id], now)] == [False]
    assert state(session, item_id).state == ConsensusState.COLLECTING
    assert kinds(session, item_id) == []
