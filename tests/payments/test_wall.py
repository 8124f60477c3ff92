"""The wall between quality and money: what others answered, what is known, how answers become one – none of it pays.

A recorded mini-crowd works the same minutes in each variant; only what it has to do with agreement differs.
"""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import factories
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from payments import earnings, worktime
from tasks import looks, refits
from tasks.aggregators import Outcome, majority
from tasks.agreement import Answers
from tasks.answers import submit
from tasks.batches import Batch, Redundancy
from tasks.consensus import Consensus
from tasks.items import Item

LABELS = ("positive", "neutral", "negative")
WORKERS, ITEMS = 5, 6
RECORDED = {
    (worker, item): LABELS[item % 3 if (worker + item) % 4 else (item + 1) % 3]
    for worker in range(WORKERS)
    for item in range(ITEMS)
}
SECONDS = {key: 15 + 17 * ((key[0] * 5 + key[1] * 3) % 9) for key in RECORDED}


def play(
    session: Session,
    now: datetime,
    said: Mapping[tuple[int, int], str],
    *,
    gold: Mapping[int, str] | None = None,
    redundancy: Redundancy = Redundancy.FIXED,
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The mini-crowd works; gives each worker's pay, and what became of the items."""
    with session.begin_nested() as variant:
        factories.floors(session, now)
        batch = factories.opened_batch(
            session,
            now,
            items=ITEMS,
            answers_wanted=WORKERS,
            redundancy=redundancy,
            answers_max=WORKERS + 2,
            terms={"piece_price": "3.5", "estimate_seconds": 40},
        )
        place = {f"k{item + 1}": item for item in range(ITEMS)}
        at = {}
        for item in session.scalars(select(Item).where(Item.batch_id == batch.id)):
            at[item.id] = place[item.key]
            if gold and place[item.key] in gold:
                item.gold = {"sentiment": gold[place[item.key]]}
        people = [factories.worker(session, now, name=f"Worker {number}") for number in range(WORKERS)]
        ends = [
            work(session, batch, number, person.id, at, said, now) for number, person in enumerate(people)
        ]
        over = max(ends) + timedelta(minutes=1)
        looks.check_items(session, list(at), over)
        refits.refit(session, batch, over)
        paid = [
            (
                earnings.earned(session, person.id, now, over)[batch.id],
                [
                    (line.seconds, line.agreed, line.due.due, line.due.topup, line.rate)
                    for line in earnings.lines_for(session, person, now, over, over)
                ],
            )
            for person in people
        ]
        session.expire_all()
        outcome = [
            f"{one.state} {one.fields} {one.weighed}"
            for one in session.scalars(
                select(Consensus).where(Consensus.batch_id == batch.id).order_by(Consensus.item_id)
            )
        ]
        variant.rollback()
    return paid, outcome


def work(
    session: Session,
    batch: Batch,
    number: int,
    worker_id: Any,
    place: Mapping[int, int],
    said: Mapping[tuple[int, int], str],
    now: datetime,
) -> datetime:
    """One worker answers each item, with a sign of work every 15 seconds; the minutes hang on the place alone."""
    at = now
    for step in range(ITEMS):
        (held,) = factories.claim(session, batch, worker_id, at)
        worktime.open_assignment(session, held, at)
        end = at + timedelta(seconds=SECONDS[number, step])
        while at + timedelta(seconds=15) < end:
            at += timedelta(seconds=15)
            worktime.record(session, worker_id=worker_id, kind="proof", now=at, assignment=held)
        submit(
            session,
            assignment_id=held.id,
            worker_id=worker_id,
            submission_id=uuid4(),
            value={"sentiment": said[number, place[held.item_id]]},
            now=end,
        )
        worktime.end_assignment(session, held, "submit", end)
        earnings.accrue(session, held, "submitted", end)
        at = end
    return at


def permuted(seed: int, keeping: int) -> dict[tuple[int, int], str]:
    """The recorded answers, with those of everybody but one worker dealt out anew."""
    others = [key for key in RECORDED if key[0] != keeping]
    dealt = random.Random(seed).sample([RECORDED[key] for key in others], len(others))
    return RECORDED | dict(zip(others, dealt, strict=True))


@pytest.mark.parametrize(
    "variant",
    [
        {"said": permuted(1, 0)},
        {"said": permuted(2, 3)},
        {"said": {key: LABELS[(key[1] + 2) % 3] if key[0] else label for key, label in RECORDED.items()}},
        {"said": RECORDED, "gold": {0: "negative", 1: "positive", 4: "negative"}},
        {"said": RECORDED, "redundancy": Redundancy.ADAPTIVE},
    ],
    ids=["others dealt anew", "others dealt anew again", "all others against one", "gold", "another rule"],
)
def test_nothing_of_agreement_moves_a_cent(session: Session, now: datetime, variant: dict[str, Any]) -> None:
    paid, outcome = play(session, now, RECORDED)
    again, other = play(session, now, **variant)
    assert other != outcome
    assert again == paid
    assert all(earned == Decimal("3.5") * ITEMS for earned, _ in paid)
    assert any(topup > 0 for _, lines in paid for *_, topup, _ in lines)


def test_the_aggregator_moves_no_cent(
    session: Session, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid, outcome = play(session, now, permuted(1, 0))

    def votes(answers: Answers, **_: Any) -> Outcome:
        return majority(answers)

    monkeypatch.setattr(refits, "mix", votes)
    again, other = play(session, now, permuted(1, 0))
    assert other != outcome
    assert again == paid
