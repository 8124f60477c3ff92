"""Known answers are mixed in, rotate, are checked once, fall for everybody, and let through who knows the work."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import factories
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from schemas.definition import parse
from tasks import answers, assignments, consensus, gold, looks, qualifications
from tasks.assignments import Assignment
from tasks.batches import Batch, BatchKind, NotAllKnown, OnlyKnown, create_batch, open_batch, slot_counts
from tasks.consensus import Consensus
from tasks.gold import GoldCheck, GoldContestDecided, NothingToContest, UnknownCheck, WrongGoldContest
from tasks.items import Item, Slot, add_items, mix_gold, open_slots, withdraw_gold
from tasks.people import Person
from tasks.projects import Definition, Project

POSITIVE, NEGATIVE = {"sentiment": "positive"}, {"sentiment": "negative"}


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Let chance fall the same way in every run."""
    before = random.getstate()
    random.seed(20261116)
    yield
    random.setstate(before)


def rows(count: int, known: int) -> list[dict[str, Any]]:
    """Items, of which the first so many have a known answer."""
    return [
        {
            "key": f"k{n}",
            "line": n,
            "data": {"text": f"message {n}"},
            "meta": {},
            "gold": POSITIVE if n <= known else None,
            "gold_why": "It says so." if n <= known else "",
        }
        for n in range(1, count + 1)
    ]


def made(
    session: Session,
    now: datetime,
    of: Project | None = None,
    kind: BatchKind = BatchKind.WORK,
    items: int = 100,
    known: int = 5,
    **more: Any,
) -> Batch:
    """A batch with known answers, open."""
    of = of or factories.project(session, now)
    definition = session.scalars(select(Definition).where(Definition.project_id == of.id)).one()
    batch = create_batch(session, project=of, definition=definition, name="Known", kind=kind, now=now, **more)
    work = kind is BatchKind.WORK
    add_items(session, batch.id, rows(items, known), batch.answers_wanted, gold_apart=work)
    if work:
        mix_gold(session, batch.id)
    open_slots(session, batch.id, 100_000)
    open_batch(session, batch, now)
    return batch


def next_one(session: Session, batch: Batch, who: Person, now: datetime) -> Assignment | None:
    """Claim one more."""
    found = factories.claim(session, batch, who.id, now)
    return found[0] if found else None


def answered(session: Session, held: Assignment, now: datetime, value: dict[str, Any]) -> GoldCheck | None:
    """Answer what is held, and have it checked."""
    stored = factories.answer(session, held, now, value)
    return gold.check(session, stored.assignment, value, now)


def is_known(session: Session, held: Assignment) -> bool:
    """Tell whether an assignment's item has a known answer."""
    return session.get_one(Item, held.item_id).gold is not None


def test_a_tenth_of_the_slots_are_known_and_each_item_comes_before_any_comes_again(
    session: Session, now: datetime
) -> None:
    batch = made(session, now, answers_wanted=3)
    slots = session.scalars(select(Slot).where(Slot.batch_id == batch.id, Slot.is_gold)).all()
    assert len(slots) == 29, "a tenth of the 285 answers wanted besides"
    assert set(Counter(slot.item_id for slot in slots).values()) == {5, 6}
    order = [slot.copy for slot in sorted(slots, key=lambda slot: slot.order_key)]
    assert order == sorted(order)
    assert mix_gold(session, batch.id) == 0, "once more makes no more"


def test_a_tenth_of_the_first_answers_and_a_twentieth_of_the_later_are_known(
    session: Session, now: datetime
) -> None:
    batch = made(session, now, items=4000, known=1000, answers_wanted=3)
    first, later = Counter[bool](), Counter[bool]()
    for _ in range(6):
        who = factories.worker(session, now)
        for n in range(150):
            held = next_one(session, batch, who, now)
            assert held is not None
            (first if n < 50 else later)[is_known(session, held)] += 1
            factories.answer(session, held, now)
    assert 0.06 < first[True] / first.total() < 0.14
    assert 0.03 < later[True] / later.total() < 0.07


def test_known_answers_are_never_all_that_is_left(session: Session, now: datetime) -> None:
    batch = made(session, now, items=10, known=5, answers_wanted=1)
    who = factories.worker(session, now)
    work = 0
    while (held := next_one(session, batch, who, now)) is not None:
        work += not is_known(session, held)
        factories.answer(session, held, now)
    assert work == 5
    assert [next_one(session, batch, who, now) for _ in range(200)] == [None] * 200


def test_a_batch_is_complete_without_its_known_answers(session: Session, now: datetime) -> None:
    batch = made(session, now, items=3, known=1, answers_wanted=1)
    who = factories.worker(session, now)
    while (held := next_one(session, batch, who, now)) is not None:
        checked = answered(session, held, now, POSITIVE)
        (looked,) = looks.check_items(session, [held.item_id], now)
        assert (looked.state == "known") == (checked is not None), "what is known is no question"
    assert consensus.is_complete(session, batch)
    assert answers.unseen_items(session) == []
    left = slot_counts(session, [batch.id])[batch.id]["open"]
    assert withdraw_gold(session, batch.id) == left


def test_training_needs_known_answers_and_work_unknown_ones(session: Session, now: datetime) -> None:
    with pytest.raises(NotAllKnown):
        made(session, now, kind=BatchKind.TRAINING, items=3, known=2)
    with pytest.raises(OnlyKnown):
        made(session, now, items=3, known=3)


def test_what_is_right_goes_field_by_field_and_marks_in_part(now: datetime) -> None:
    sentiment, spans = parse(factories.example()), parse(factories.example("entities"))
    assert gold.is_right(sentiment, POSITIVE, POSITIVE)
    assert not gold.is_right(sentiment, POSITIVE, NEGATIVE)
    assert not gold.is_right(sentiment, POSITIVE, {})
    assert gold.chance(sentiment, POSITIVE) == pytest.approx(1 / len(sentiment.fields[0].options))
    (field,) = [one for one in spans.fields if one.kind == "spans"][:1]
    label = field.options[0].value
    known = {field.name: [{"start": 0, "end": 10, "label": label}]}
    near, far = ({field.name: [{"start": 0, "end": end, "label": label}]} for end in (6, 3))
    assert gold.is_right(spans, known, near)
    assert not gold.is_right(spans, known, far)
    assert gold.chance(spans, known) == 0.0


@pytest.fixture
def project(session: Session, now: datetime) -> Project:
    """A project of somebody."""
    return factories.project(session, now)


@pytest.fixture
def exam(session: Session, now: datetime, project: Project) -> Batch:
    """A qualification of forty items for five workers."""
    return made(session, now, project, BatchKind.QUALIFICATION, items=40, known=40, answers_wanted=5)


def run_through(
    session: Session, batch: Batch, who: Person, now: datetime, wrong: int = 0, most: int = 40
) -> tuple[int, str]:
    """Answer until there is an outcome, the first so many wrongly. Gives how many were answered, and the outcome."""
    for n in range(most):
        held = next_one(session, batch, who, now)
        assert held is not None
        answered(session, held, now, NEGATIVE if n < wrong else POSITIVE)
        found = qualifications.consider(session, batch.project_id, who.id, now)
        if found is not None and found.at == now:
            return n + 1, found.outcome
    return most, ""


def test_who_knows_passes_soon_and_who_does_not_may_try_again_with_other_items(
    session: Session, now: datetime, exam: Batch
) -> None:
    good, bad = factories.worker(session, now), factories.worker(session, now)
    assert run_through(session, exam, good, now)[1] == "passed"
    count, outcome = run_through(session, exam, bad, now, wrong=40)
    assert (count < 10, outcome) == (True, "stopped")
    found = qualifications.latest(session, bad.id)[exam.project_id]
    assert found.again_at == now + timedelta(days=7)
    assert found.evidence.keys() == {"others", "chance", "bar", "surely"}
    had = set(session.scalars(select(GoldCheck.item_id).where(GoldCheck.worker_id == bad.id)))
    assert run_through(session, exam, bad, now + timedelta(days=8))[1] == "passed"
    again = select(GoldCheck.item_id).where(GoldCheck.worker_id == bad.id, GoldCheck.at > now)
    assert not had & set(session.scalars(again))
    assert qualifications.latest(session, good.id).keys() == {exam.project_id}


def test_outcomes_only_grow(session: Session, now: datetime, exam: Batch) -> None:
    run_through(session, exam, factories.worker(session, now), now)
    with pytest.raises(IntegrityError, match="only grows"):
        session.execute(qualifications.Qualification.__table__.delete())  # type: ignore[attr-defined]


def test_a_known_answer_that_falls_does_so_for_everybody(
    session: Session, now: datetime, exam: Batch
) -> None:
    everybody = [factories.worker(session, now) for _ in range(3)]
    checks = []
    for who in everybody:
        for _ in range(40):
            held = next_one(session, exam, who, now)
            assert held is not None
            checks.append(answered(session, held, now, POSITIVE))
    item_id = checks[0].item_id if checks[0] else 0
    mine = [one for one in checks if one and one.item_id == item_id]
    assert {one.worker_id for one in mine} == {who.id for who in everybody}
    counted = [gold.counts(session, exam.project_id, who.id, BatchKind.QUALIFICATION) for who in everybody]
    assert counted == [(40, 40)] * 3
    with pytest.raises(WrongGoldContest):
        gold.contest(session, mine[0], " ", now)
    first, second = (gold.contest(session, one, "It is sad.", now) for one in mine[:2])
    with pytest.raises(NothingToContest):
        gold.contest(session, mine[0], "Again.", now)
    owner = factories.requester(session, now)
    with pytest.raises(WrongGoldContest):
        gold.decide(session, first, owner, uphold=False, reason="", now=now)
    changed = gold.decide(session, first, owner, uphold=True, reason="", now=now)
    assert changed == {who.id for who in everybody}
    session.refresh(second)
    assert second.state == "upheld"
    with pytest.raises(GoldContestDecided):
        gold.decide(session, second, owner, uphold=True, reason="", now=now)
    with pytest.raises(NothingToContest):
        gold.contest(session, mine[2], "Me too.", now)
    counted = [gold.counts(session, exam.project_id, who.id, BatchKind.QUALIFICATION) for who in everybody]
    assert counted == [(39, 39)] * 3


def test_a_known_answer_that_fell_is_no_outcome_any_more(
    session: Session, now: datetime, exam: Batch
) -> None:
    who = factories.worker(session, now)
    held = next_one(session, exam, who, now)
    assert held is not None
    made = answered(session, held, now, NEGATIVE)
    assert made is not None

    def outcome() -> dict[str, Any]:
        looks.check_items(session, [made.item_id], now)
        session.expire_all()
        return consensus.winners(session.get_one(Consensus, made.item_id).fields)

    assert outcome() == POSITIVE
    contest = gold.contest(session, made, "It is sad.", now)
    gold.decide(session, contest, factories.requester(session, now), uphold=True, reason="", now=now)
    assert outcome() == NEGATIVE


def test_silence_upholds_a_contest_and_lets_in_who_was_stopped_by_it(
    session: Session, now: datetime, exam: Batch
) -> None:
    for _ in range(2):
        run_through(session, exam, factories.worker(session, now), now, most=40)
    who = factories.worker(session, now)
    assert run_through(session, exam, who, now, wrong=9)[1] == "stopped"
    while (held := next_one(session, exam, who, now)) is not None:
        answered(session, held, now, POSITIVE)
    wrong = session.scalars(
        select(GoldCheck).where(GoldCheck.worker_id == who.id, GoldCheck.is_right.is_(False))
    ).all()
    for one in wrong:
        gold.contest(session, one, "It is sad.", now)
    assert gold.uphold_overdue(session, now + timedelta(days=6)) == {}
    late = now + timedelta(days=7)
    changed = gold.uphold_overdue(session, late)
    assert who.id in changed[exam.project_id]
    qualifications.reconsider_all(session, exam.project_id, changed[exam.project_id], late)
    assert qualifications.latest(session, who.id)[exam.project_id].outcome == "passed"


def test_a_person_lets_somebody_in_by_name_and_for_a_reason(
    session: Session, now: datetime, exam: Batch
) -> None:
    who, owner = factories.worker(session, now), factories.requester(session, now)
    found = qualifications.let_in(session, exam.project_id, who.id, owner, "She wrote the guide.", now)
    assert (found.outcome, found.by_id) == ("passed", owner.id)
    with pytest.raises(IntegrityError):
        qualifications.let_in(session, exam.project_id, who.id, owner, " ", now)


def test_nobody_sees_anothers_check(session: Session, now: datetime, exam: Batch) -> None:
    who = factories.worker(session, now)
    held = next_one(session, exam, who, now)
    assert held is not None
    answered(session, held, now, POSITIVE)
    assert gold.get_check(session, held.id, who.id).is_right
    with pytest.raises(UnknownCheck):
        gold.get_check(session, held.id, factories.worker(session, now).id)


def test_an_item_whose_answers_change_is_shown_first(session: Session, now: datetime, exam: Batch) -> None:
    item = session.scalars(select(Item).where(Item.batch_id == exam.id).limit(1)).one()
    other = session.scalars(
        select(Item).where(Item.batch_id == exam.id).order_by(Item.id.desc()).limit(1)
    ).one()
    for n in range(40):
        who = factories.worker(session, now)
        for which, right in ((item, n >= 20), (other, True)):
            held = assignments.Assignment(
                slot_id=session.scalars(select(Slot.id).where(Slot.item_id == which.id).limit(1)).one(),
                item_id=which.id,
                batch_id=exam.id,
                worker_id=who.id,
                state="submitted",
                claimed_at=now,
                lease_until=now,
            )
            session.add(held)
            session.flush()
            session.add(
                GoldCheck(
                    assignment_id=held.id,
                    item_id=which.id,
                    batch_id=exam.id,
                    project_id=exam.project_id,
                    worker_id=who.id,
                    is_right=right,
                    at=now + timedelta(minutes=n),
                )
            )
    session.flush()
    found = gold.records_of(session, exam.id)
    assert [(one.item.id, one.checked, one.right, one.worn) for one in found] == [
        (item.id, 40, 20, True),
        (other.id, 40, 40, False),
    ]
    assert session.scalar(select(func.count()).select_from(GoldCheck)) == 80
