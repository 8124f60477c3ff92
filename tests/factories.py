"""A valid one of everything in one line; a test names only what it is about."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

import schemas
from payments import funding, fx, quotes, rules
from payments.terms import PayTerms, set_terms
from tasks import claims, people, permits, projects
from tasks.answers import Stored, submit
from tasks.assignments import Assignment
from tasks.batches import Batch, create_batch, open_batch
from tasks.items import add_items, open_slots
from tasks.people import Person, Role
from tasks.projects import Definition, Project

EXAMPLES = Path(schemas.__file__).parent / "examples"
ANSWER = {"sentiment": "positive"}


def worker(session: Session, now: datetime, **more: Any) -> Person:
    """Somebody who labels in Nairobi."""
    given = {"name": "Amina", "place": "KE", "area": "cities-1", "time_zone": "Africa/Nairobi"}
    return people.add_person(
        session, role=Role.WORKER, now=now, **{**given, "languages": ["en", "fr"], **more}
    )


def requester(session: Session, now: datetime, **more: Any) -> Person:
    """Somebody whose messages are labelled."""
    given = {"name": "Zuri", "organisation": "Zuri Research", "place": "KE", "time_zone": "Africa/Nairobi"}
    return people.add_person(session, role=Role.REQUESTER, now=now, **{**given, **more})


def organizer(session: Session, now: datetime, **more: Any) -> Person:
    """Somebody who checks."""
    return people.add_person(session, role=Role.ORGANIZER, now=now, **{"name": "Otieno", **more})


def operator(session: Session, now: datetime, **more: Any) -> Person:
    """Somebody who runs the instance."""
    return people.add_person(session, role=Role.OPERATOR, now=now, **{"name": "Imani", **more})


def example(name: str = "sentiment") -> dict[str, Any]:
    """One of the shipped task definitions."""
    document: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return document


def project(session: Session, now: datetime, owner: Person | None = None, **more: Any) -> Project:
    """A project with the sentiment definition."""
    given = {"name": "Moods", "purpose": "To learn how people feel about trams.", "document": example()}
    owner = owner or requester(session, now)
    return projects.create_project(session, requester_id=owner.id, now=now, **{**given, **more})


def batch(session: Session, now: datetime, of: Project | None = None, items: int = 3, **more: Any) -> Batch:
    """A draft batch with items and their waiting slots."""
    of = of or project(session, now)
    definition = session.scalars(select(Definition).where(Definition.project_id == of.id)).one()
    made = create_batch(
        session, project=of, definition=definition, now=now, **{"name": "First messages", **more}
    )
    rows = [
        {"key": f"k{n}", "line": n, "data": {"text": f"message {n}"}, "meta": {}, "gold": None}
        for n in range(1, items + 1)
    ]
    add_items(session, made.id, rows, made.answers_wanted)
    return made


def served(session: Session, now: datetime, **more: Any) -> Batch:
    """A batch whose slots are open, whoever paid for them."""
    made = batch(session, now, **more)
    open_slots(session, made.id, 100_000)
    open_batch(session, made, now)
    return made


def terms(session: Session, of: Batch, now: datetime, **more: Any) -> PayTerms:
    """Five shillings an answer, expected to take a minute."""
    given = {"currency": "KES", "pay_mode": "piece", "piece_price": "5", "estimate_seconds": 60}
    return set_terms(session, of, now=now, **{**given, **more})


def paid_in(session: Session, owner: Person, amount: int, now: datetime, currency: str = "KES") -> None:
    """Money on the requester's prefund, in minor units."""
    reference = uuid4().hex
    funding.prefund(session, owner.id, amount, currency, reference, actor="test", now=now)


def opened_batch(
    session: Session, now: datetime, of: Project | None = None, items: int = 3, **more: Any
) -> Batch:
    """A funded, open batch; pay terms are named with `terms`. Needs `floors` first."""
    pay = more.pop("terms", {})
    made = batch(session, now, of, items, **more)
    agreed = terms(session, made, now, **pay)
    owner_id = session.scalars(select(Project.requester_id).where(Project.id == made.project_id)).one()
    needed = quotes.quote(session, made, now).total_p95
    paid_in(session, people.get_person(session, owner_id), needed, now, agreed.currency)
    funding.reserve_and_open(session, made, now, actor="test")
    return made


def floors(session: Session, now: datetime) -> None:
    """The shipped pay rules, in force since the day before; and a few exchange rates."""
    before = now - timedelta(days=1)
    rules.ship(session, before, verified_by=("first reader", "second reader"))
    for quote, rate in (("KES", "150"), ("USD", "1.10"), ("TND", "3.4"), ("GBP", "0.85")):
        fx.record(
            session, base="EUR", quote=quote, rate=rate, provider="test", as_of=before.date(), now=before
        )


def claim(session: Session, of: Batch, worker_id: UUID, now: datetime, count: int = 1) -> list[Assignment]:
    """Assignments in hand of a worker who may be given this batch's items."""
    permits.grant(session, worker_id, of.id, now, now + timedelta(seconds=60))
    hand = claims.claim(session, of.id, worker_id, now, count)
    return [session.get_one(Assignment, one.id, populate_existing=True) for one in hand.items]


def assignment(session: Session, of: Batch, by: Person, now: datetime) -> Assignment:
    """One claimed assignment of an open batch."""
    return claim(session, of, by.id, now)[0]


def answer(session: Session, held: Assignment, now: datetime, value: dict[str, Any] | None = None) -> Stored:
    """A stored answer to a held assignment; its earning and proof are recorded by whoever needs them."""
    stored = submit(
        session,
        assignment_id=held.id,
        worker_id=held.worker_id,
        submission_id=uuid4(),
        value=value or ANSWER,
        now=now,
    )
    session.refresh(held)
    return stored
