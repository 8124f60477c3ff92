"""Enough, one more, or contested; recomputed from the answers, so twice is once."""

from datetime import datetime, timedelta
from uuid import uuid4

import factories
from factories import served
from sqlalchemy import select
from sqlalchemy.orm import Session

from tasks import answers, consensus, fits, items, looks, refits
from tasks.batches import Batch
from tasks.consensus import ConsensusState
from tasks.items import Item, Slot, SlotState


def answer(session: Session, batch: Batch, label: str, now: datetime) -> int:
    """A new worker answers the batch's one item."""
    (held,) = factories.claim(session, batch, factories.worker(session, now).id, now)
    value = {"sentiment": label}
    answers.submit(
        session, assignment_id=held.id, worker_id=held.worker_id, submission_id=uuid4(), value=value, now=now
    )
    return held.item_id


def look(session: Session, batch: Batch, now: datetime) -> consensus.Consensus:
    item = session.scalars(select(Item).where(Item.batch_id == batch.id)).one()
    looks.check_items(session, [item.id], now)
    return session.get_one(consensus.Consensus, item.id, populate_existing=True)


def test_enough_answers_with_a_leader_settle(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=3)
    for label in ("positive", "negative"):
        answer(session, batch, label, now)
    assert look(session, batch, now).state == ConsensusState.COLLECTING
    answer(session, batch, "positive", now)
    found = look(session, batch, now)
    assert found.state == ConsensusState.SETTLED
    field = found.fields["sentiment"]
    assert field["winner"] == "positive"
    assert field["distribution"] == [{"value": "positive", "answers": 2}, {"value": "negative", "answers": 1}]
    assert field["agreement"] == {"alike": 1, "pairs": 3}
    assert consensus.is_complete(session, batch)


def test_a_tie_asks_one_more_once_and_is_contested_at_the_most(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=2, answers_max=3)
    answer(session, batch, "positive", now)
    item_id = answer(session, batch, "negative", now)
    for _ in range(3):
        assert look(session, batch, now).state == ConsensusState.COLLECTING
    waiting = session.scalars(
        select(Slot).where(Slot.item_id == item_id, Slot.state == SlotState.WAITING)
    ).all()
    assert [slot.copy for slot in waiting] == [3]
    items.open_slots(session, batch.id, 1)
    answer(session, batch, "neutral", now)
    assert look(session, batch, now).state == ConsensusState.CONTESTED
    assert look(session, batch, now).fields["sentiment"]["winner"] is None


def test_lost_looks_are_found(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=1)
    item_id = answer(session, batch, "positive", now)
    assert item_id in answers.unseen_items(session)
    look(session, batch, now + timedelta(seconds=1))
    assert item_id not in answers.unseen_items(session)


def test_weighing_all_answers_is_done_once_for_the_same_answers(session: Session, now: datetime) -> None:
    batch = served(session, now, items=1, answers_wanted=3)
    for label in ("positive", "positive", "negative"):
        answer(session, batch, label, now)
    look(session, batch, now)
    refits.refit(session, batch, now)
    session.expire_all()
    assert look(session, batch, now).weighed["sentiment"]["winner"] == "positive"
    fit = fits.find_fit(session, batch.id)
    assert fit is not None
    assert (fit.version, fit.answers) == (1, 3)
    assert refits.refit(session, batch, now) == []
    session.expire_all()
    assert fit.version == 1


def test_marks_that_share_nothing_are_no_consensus(session: Session, now: datetime) -> None:
    project = factories.project(session, now, document=factories.example("entities"))
    batch = served(session, now, of=project, items=1, answers_wanted=2, answers_max=4)
    for start, end in ((0, 3), (4, 9)):
        item_id = mark(session, batch, start, end, now)
    found = look(session, batch, now)
    assert (found.state, found.fields["entities"]["winner"]) == (ConsensusState.COLLECTING, None)
    assert found.fields["entities"]["agreement"] == {"alike": 0, "pairs": 1}
    items.open_slots(session, batch.id, 1)
    assert mark(session, batch, 4, 8, now) == item_id
    found = look(session, batch, now)
    assert found.state == ConsensusState.SETTLED
    assert found.fields["entities"]["winner"] == [{"start": 4, "end": 8, "label": "person"}]


def mark(session: Session, batch: Batch, start: int, end: int, now: datetime) -> int:
    """A new worker marks one span of the batch's one item."""
    (held,) = factories.claim(session, batch, factories.worker(session, now).id, now)
    value = {"entities": [{"start": start, "end": end, "label": "person"}]}
    answers.submit(
        session, assignment_id=held.id, worker_id=held.worker_id, submission_id=uuid4(), value=value, now=now
    )
    return held.item_id
