"""Nothing but the published rule decides about offers: whoever claims their rights, or is slow, is offered the same."""

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import factories
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from annotate import fair_offers, labeling, offers
from annotate.auth import Viewer
from annotate.visit import Visit
from payments import worktime
from tasks import exclusions, gold
from tasks.db import new_id
from tasks.items import Item, add_items, mix_gold, open_slots
from tasks.people import Person, Role

KNOWN = [
    {
        "key": f"g{n}",
        "line": 900 + n,
        "data": {"text": f"known {n}"},
        "meta": {},
        "gold": {"sentiment": "neutral"},
    }
    for n in range(6)
]
WORDS_OF = {"offers-1": "a55a6d34e57af52f"}
"""The card's words by version: who changes them makes a new version."""


@pytest.fixture(autouse=True)
def chance() -> Iterator[None]:
    """Give chance back to the other tests."""
    before = random.getstate()
    yield
    random.setstate(before)


class World:
    """A project with work and known answers, and four workers who take turns."""

    def __init__(self, site: Any, session: Session, now: datetime) -> None:
        random.seed(20261116)
        session.execute(text("SELECT setseed(0.25)"))
        factories.floors(session, now)
        self.site, self.session, self.now = site, session, now
        self.workers = [
            factories.worker(session, now, name=name) for name in ("Amina", "Brian", "Chao", "Dede")
        ]
        project = factories.project(session, now)
        self.batch = factories.opened_batch(session, now, project, items=60)
        self.other = factories.opened_batch(session, now, project, items=5, name="Second")
        add_items(session, self.batch.id, KNOWN, 3)
        mix_gold(session, self.batch.id)
        open_slots(session, self.batch.id, 1000)

    def viewer(self, who: Person) -> Viewer:
        """Somebody who is signed in."""
        return Viewer(self.session, who.id, Role.WORKER, who.time_zone, "")

    def visit(self, who: Person, at: datetime) -> Visit:
        """Somebody's visit at a moment."""
        state = self.site.app.state
        return Visit(self.session, at, self.viewer(who), state.web, state.tasks, "en", "", "/", "", "", {})

    def offered(self, who: Person, at: datetime) -> list[Any]:
        """What the list shows somebody: which batches in which order, what they pay, how many items, and why not."""
        return [
            (one.batch.name, one.left, one.barred and one.barred.why, one.pay and one.pay.price)
            for one in offers.listed(self.visit(who, at), who)
        ]

    def turn(self, who: Person, at: datetime, seconds: int) -> str:
        """Let somebody take the next item and answer it; gives its key."""
        visit = self.visit(who, at)
        (held,), _ = labeling.next_assignments(visit, self.viewer(who), self.batch.id, 1)
        labeling.start_clock(visit, held)
        done = self.visit(who, at + timedelta(seconds=seconds))
        stored = labeling.submit(done, self.viewer(who), held.id, new_id(), factories.ANSWER)
        gold.check(self.session, stored.assignment, factories.ANSWER, done.now)
        return self.session.scalars(select(Item.key).where(Item.id == held.item_id)).one()


def claim_rights(world: World, who: Person, at: datetime) -> None:
    """Add time, question a known answer, and contest an exclusion from elsewhere."""
    session = world.session
    worktime.declare(
        session, worker_id=who.id, batch_id=None, start=at - timedelta(hours=5), end=at - timedelta(hours=2),
        reason="A meeting of our association.", now=at,
    )  # fmt: skip
    for check, _ in gold.checks_of(session, who.id):
        if gold.contest_of(session, check.assignment_id) is None:
            gold.contest(session, check, "This is not neutral.", at)
    owner = factories.requester(session, at)
    elsewhere = factories.project(session, at, owner)
    one = exclusions.exclude(
        session, project_id=elsewhere.id, worker_id=who.id, by=owner, reason="x", days=9, now=at
    )
    exclusions.contest(session, one, "I did nothing.", at)


def history(site: Any, session: Session, now: datetime, *, claiming: bool) -> tuple[list[Any], int]:
    """Run a morning; gives all that was offered and handed out in its order, and how many rights were claimed."""
    with session.begin_nested() as morning:
        world, seen, claimed = World(site, session, now), [], 0
        for turn in range(20):
            at = now + timedelta(minutes=5 * turn)
            for number, who in enumerate(world.workers):
                slow = claiming and number < 2
                seen.append((number, world.offered(who, at), world.turn(who, at, 240 if slow else 20)))
                if slow and turn % 4 == 3:
                    claim_rights(world, who, at + timedelta(seconds=250))
                    claimed += 1
        morning.rollback()
    session.expire_all()
    return seen, claimed


def test_who_claims_their_rights_or_is_slow_is_offered_the_same(
    site: Any, session: Session, now: datetime
) -> None:
    quiet, none = history(site, session, now, claiming=False)
    loud, many = history(site, session, now, claiming=True)
    assert (none, many) == (0, 10)
    assert any(key.startswith("g") for _, _, key in quiet), "known answers are among them"
    assert loud == quiet


def test_the_card_is_published_and_its_words_belong_to_its_version(site: Any) -> None:
    state = site.app.state
    with site.session() as session:
        visit = Visit(session, site.now, None, state.web, state.tasks, "en", "", "/", "", "", {})
        parts = (fair_offers.rules(visit), fair_offers.order(visit), fair_offers.never(visit))
    said = "\n".join(sentence for part in parts for sentence in part)
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == WORDS_OF[fair_offers.VERSION]
    with site.client() as client:
        page = client.get("/help/offers").text
        assert "rule offers-1" in page
        assert "Joining an association" in page
    with site.client("worker") as client:
        assert 'href="/help/offers"' in client.get("/work").text
