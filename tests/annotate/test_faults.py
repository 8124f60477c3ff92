"""What workers' programs may send wrongly: each gets one problem document, and nothing is stored or counted twice."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from sqlalchemy import func, select, update

import annotate.jobs
from annotate.visit import CLOCK_HEADER
from payments.earnings import Earning
from tasks import answers, assignments
from tasks.answers import Answer
from tasks.assignments import Assignment
from tasks.consensus import Consensus


@pytest.fixture
def served(site: Any) -> tuple[Any, Any, str]:
    """Two workers and a batch that is open to both; the first holds an item of it."""
    with site.session() as session:
        batch = factories.opened_batch(session, site.now)
        amina, brian = factories.worker(session, site.now), factories.worker(session, site.now, name="Brian")
        held = factories.assignment(session, batch, amina, site.now)
        return amina, brian, str(held.id)


def put(client: Any, held: str, answer: Any = None, submission: UUID | None = None, **more: Any) -> Any:
    """Send an answer, with more in its body than belongs there."""
    body = {"submission_id": str(submission or uuid4()), "answer": answer or factories.ANSWER, **more}
    return client.put(f"/api/v1/assignments/{held}/answer", json=body)


def stored(site: Any, held: str) -> list[Answer]:
    """Give all versions of an assignment's answer."""
    with site.session() as session:
        return list(
            session.scalars(select(Answer).where(Answer.assignment_id == UUID(held)).order_by(Answer.id))
        )


def earned(site: Any, held: str) -> int:
    """Count an assignment's earnings."""
    with site.session() as session:
        return int(session.scalar(select(func.count()).where(Earning.assignment_id == UUID(held))) or 0)


def is_problem(answer: Any, status: int) -> dict[str, Any]:
    """See one problem document, and give it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    "forged", [{"worker_id": str(uuid4())}, {"submitted_at": "2020-01-01T00:00:00Z"}, {"seconds": 99_999}]
)
def test_who_answered_and_when_are_the_servers_facts(site: Any, served: Any, forged: dict[str, Any]) -> None:
    amina, _, held = served
    with site.client(amina) as client:
        is_problem(put(client, held, **forged), 400)
        assert stored(site, held) == []
        put(client, held)
    (one,) = stored(site, held)
    assert (one.worker_id, one.submitted_at) == (amina.id, site.now)


def test_an_answer_for_somebody_else_is_a_stranger_to_us(site: Any, served: Any) -> None:
    _, brian, held = served
    with site.client(brian) as client:
        missing = is_problem(put(client, str(uuid4())), 404)
        foreign = is_problem(put(client, held), 404)
    assert {**missing, "instance": ""} == {**foreign, "instance": ""}
    assert stored(site, held) == []


def test_an_old_submission_that_comes_late_does_not_turn_an_edit_back(site: Any, served: Any) -> None:
    amina, _, held = served
    first, second = uuid4(), uuid4()
    with site.client(amina) as client:
        assert put(client, held, {"sentiment": "neutral"}, first).json()["version"] == 1
        assert put(client, held, {"sentiment": "negative"}, second).json()["version"] == 2
        again = put(client, held, {"sentiment": "neutral"}, first).json()
        assert (again["duplicate"], again["version"]) == (True, 1)
        is_problem(put(client, held, {"sentiment": "positive"}, second), 409)
    assert [(one.value["sentiment"], one.is_current) for one in stored(site, held)] == [
        ("neutral", False),
        ("negative", True),
    ]
    assert earned(site, held) == 1


def test_a_skip_after_an_answer_and_an_answer_after_a_skip(site: Any, served: Any) -> None:
    amina, _, held = served
    with site.client(amina) as client:
        assert client.post(f"/api/v1/assignments/{held}/skip", json={"reason": "unclear"}).status_code == 200
        assert client.post(f"/api/v1/assignments/{held}/skip", json={"reason": "unclear"}).status_code == 200
        is_problem(client.post(f"/api/v1/assignments/{held}/skip", json={"reason": "bored"}), 422)
        assert put(client, held).json()["version"] == 1
        is_problem(client.post(f"/api/v1/assignments/{held}/skip", json={"reason": "unclear"}), 409)
    assert len(stored(site, held)) == 1


def test_an_answer_after_expiry_is_taken_though_it_comes_twice(site: Any, served: Any) -> None:
    amina, _, held = served
    later, submission = site.now + timedelta(hours=5), uuid4()
    with site.session() as session:
        assert UUID(held) in {one.id for one in assignments.expire(session, later)}
    with site.client(amina) as client:
        client.headers[CLOCK_HEADER] = later.isoformat()
        assert [put(client, held, submission=submission).json()["duplicate"] for _ in range(2)] == [
            False,
            True,
        ]
    with site.session() as session:
        assert session.get_one(Assignment, UUID(held)).state == "submitted"
    assert (len(stored(site, held)), earned(site, held)) == (1, 1)


def test_one_item_that_cannot_be_looked_at_keeps_no_other_back(
    site: Any, served: tuple[Any, Any, str]
) -> None:
    amina, _, held = served
    with site.client(amina) as client:
        with site.session() as session:
            batch = session.get_one(Assignment, UUID(held)).batch_id
        other = client.get(f"/api/v1/work/{batch}/next", params={"have": held}).json()["items"][0]
        for one in (held, other["assignment_id"]):
            assert put(client, one).status_code == 200
    with site.session() as session:
        items = {one.assignment_id: one.item_id for one in session.scalars(select(Answer))}
        torn, whole = items[UUID(held)], items[UUID(other["assignment_id"])]
        session.execute(update(Answer).where(Answer.item_id == torn).values(value=[]))
    annotate.jobs.check_items([torn, whole])
    with site.session() as session:
        assert session.get(Consensus, whole) is not None
        assert session.get(Consensus, torn) is None
        unseen = answers.unseen_items(session)
        assert torn in unseen, "what could not be looked at is tried again"
        assert whole not in unseen
        session.execute(update(Answer).where(Answer.item_id == torn).values(value=factories.ANSWER))
    site.work_off()
    with site.session() as session:
        assert answers.unseen_items(session) == []
