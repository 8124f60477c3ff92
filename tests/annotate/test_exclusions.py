"""Exclusions as the worker, the requester and the operator meet them, and what they never touch."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from sqlalchemy import select

from annotate.exports import pseudonym
from payments.earnings import Earning
from tasks.people import Person
from tasks.projects import Project


@pytest.fixture
def amina(site: Any) -> Person:
    """A worker of her own for each test."""
    with site.session() as session:
        return factories.worker(session, site.now)


class Work:
    """A project with two open batches and its owner."""

    def __init__(self, site: Any) -> None:
        with site.session() as session:
            self.owner = factories.requester(session, site.now, name="Zuri")
            project = factories.project(session, site.now, self.owner)
            self.project = str(project.id)
            self.batches = [str(factories.opened_batch(session, site.now, project).id) for _ in "ab"]

    def name(self, who: Person) -> str:
        """How the export of the first batch calls somebody."""
        return pseudonym(UUID(self.batches[0]), who.id)


@pytest.fixture
def work(site: Any) -> Work:
    """Work of somebody else for each test."""
    return Work(site)


def held(client: Any, batch_id: str, n: int = 1) -> list[str]:
    """Claim items."""
    found = client.get(f"/api/v1/work/{batch_id}/next?n={n}").json()
    return [one["assignment_id"] for one in found["items"]]


def exclude(site: Any, work: Work, amina: Person, **more: Any) -> Any:
    """Exclude somebody who holds an item of the first batch."""
    with site.client(amina) as client:
        held(client, work.batches[0])
    body = {"worker": work.name(amina), "reason": "Forty equal texts.", "days": 20, **more}
    with site.client(work.owner) as client:
        return client.post(f"/api/v1/projects/{work.project}/exclusions", json=body)


def test_the_worker_reads_who_why_and_until_when(site: Any, amina: Person, work: Work) -> None:
    made = exclude(site, work, amina)
    assert made.status_code == 201
    assert made.json()["worker"] == work.name(amina)
    with site.client(amina) as client:
        for batch_id in work.batches:
            barred = client.get(f"/api/v1/work/{batch_id}").json()["barred"]
            assert (barred["code"], barred["until"]) == ("excluded", "2026-12-06T06:00:00Z")
            assert "Forty equal texts." in barred["message"]
        page = client.get("/work").text
        assert "You are excluded from this project until 6 Dec 2026" in page
        assert 'href="/work/decisions"' in page
        told = client.get("/work/decisions").text
        assert "Zuri, Zuri Research" in told
        (one,) = client.get("/api/v1/exclusions").json()
        assert (one["by"], one["reason"], one["running"]) == (
            "Zuri, Zuri Research",
            "Forty equal texts.",
            True,
        )


def test_it_touches_neither_work_in_hand_nor_pay(site: Any, amina: Person, work: Work) -> None:
    exclude(site, work, amina)
    with site.client(amina) as client:
        (first,) = held(client, work.batches[0])
        client.post(f"/api/v1/assignments/{first}/open")
        body = {"submission_id": str(uuid4()), "answer": factories.ANSWER}
        stored = client.put(f"/api/v1/assignments/{first}/answer", json=body).json()
        assert (stored["stored"], stored["surplus"]) == (True, False)
        assert held(client, work.batches[0]) == []
        other = Work(site)
        assert len(held(client, other.batches[0])) == 1, "no other project knows of it"
    with site.session() as session:
        paid = session.scalars(select(Earning).where(Earning.assignment_id == UUID(first))).one()
        assert paid.kind == "submitted"


@pytest.mark.parametrize(
    "wrong", [{"worker": "w-0000000000"}, {"worker": ""}, {"reason": " "}, {"days": 0}, {"days": 91}]
)
def test_a_wrong_exclusion_says_what_is_missing(
    site: Any, amina: Person, work: Work, wrong: dict[str, Any]
) -> None:
    assert exclude(site, work, amina, **wrong).status_code == 422
    with site.client(amina) as client:
        assert client.get("/api/v1/exclusions").json() == []
    form = {"worker": work.name(amina), "reason": "Equal texts.", "days": "20"}
    form |= {name: str(value) for name, value in wrong.items()}
    with site.client(work.owner) as client:
        page = client.post(f"/projects/{work.project}/exclusions", data=form)
        assert page.status_code == 422
        assert f'href="#f-{next(iter(wrong))}"' in page.text
        assert (
            client.post(f"/projects/{work.project}/exclusions", data=form | {"days": "x"}).status_code == 422
        )


def test_a_contest_is_decided_by_somebody_else(site: Any, amina: Person, work: Work) -> None:
    one = exclude(site, work, amina).json()["id"]
    with site.client(amina) as client:
        assert client.post(f"/work/decisions/{one}", data={"contest": " "}).status_code == 422
        sent = client.post(
            f"/work/decisions/{one}", data={"contest": "They were equal items."}, follow_redirects=False
        )
        assert sent.status_code == 303
        assert client.post(f"/api/v1/exclusions/{one}/contest", json={"reason": "Again."}).status_code == 409
    with site.client(work.owner) as client:
        assert (
            client.post(f"/api/v1/operate/exclusions/{one}/decide", json={"outcome": "uphold"}).status_code
            == 403
        )
        assert "They were equal items." in client.get(f"/projects/{work.project}/exclusions").text
    with site.client("operator") as client:
        assert "They were equal items." in client.get("/operate/exclusions").text
        silent = client.post(f"/operate/exclusions/{one}", data={"action": "uphold", "reason": ""})
        assert silent.status_code == 422
        decided = client.post(f"/api/v1/operate/exclusions/{one}/decide", json={"outcome": "lift"}).json()
        assert (decided["state"], decided["running"]) == ("lifted", False)
    with site.client(amina) as client:
        assert client.get(f"/api/v1/work/{work.batches[1]}").json()["barred"] is None


def test_an_operators_own_exclusion_is_decided_by_another_or_by_silence(
    site: Any, amina: Person, work: Work
) -> None:
    form = {"worker": str(amina.id), "project": work.project, "reason": "Shared an account.", "days": "9"}
    with site.client("operator") as client:
        assert client.post("/operate/exclusions", data=form, follow_redirects=False).status_code == 303
        assert client.post("/operate/exclusions", data=form).status_code == 409
        assert client.post("/operate/exclusions", data=form | {"worker": "x"}).status_code == 422
        body = {"worker_id": str(amina.id), "project_id": str(uuid4()), "reason": "x"}
        assert client.post("/api/v1/operate/exclusions", json=body).status_code == 404
    with site.client(amina) as client:
        (one,) = client.get("/api/v1/exclusions").json()
        client.post(f"/api/v1/exclusions/{one['id']}/contest", json={"reason": "I did not."})
    with site.client("operator") as client:
        address = f"/api/v1/operate/exclusions/{one['id']}/decide"
        assert client.post(address, json={"outcome": "uphold", "reason": "I did see it."}).status_code == 409
        assert "somebody else decides the contest" in client.get("/operate/exclusions").text
    with site.client(amina) as client:
        client.headers["fairlabel-clock"] = (site.now + timedelta(days=7)).isoformat()
        assert client.get(f"/api/v1/work/{work.batches[0]}").json()["barred"] is None


def test_nobody_reaches_anothers_exclusion(site: Any, amina: Person, work: Work) -> None:
    one = exclude(site, work, amina).json()["id"]
    with site.session() as session:
        brian = factories.worker(session, site.now, name="Brian")
        rival = factories.requester(session, site.now, name="Rival")
        theirs = str(
            session.scalars(select(Project.id).where(Project.id != UUID(work.project)).limit(1)).one()
        )
    with site.client(brian) as client:
        assert client.post(f"/api/v1/exclusions/{one}/contest", json={"reason": "x"}).status_code == 404
        assert client.get("/api/v1/exclusions").json() == []
    with site.client(rival) as client:
        assert client.get(f"/api/v1/projects/{work.project}/exclusions").status_code == 404
        body = {"worker": work.name(amina), "reason": "x"}
        assert client.post(f"/api/v1/projects/{work.project}/exclusions", json=body).status_code == 404
    with site.client(work.owner) as client:
        forged = f"/api/v1/projects/{theirs}/exclusions/{one}/withdraw"
        assert client.post(forged).status_code == 404
        mine = f"/projects/{work.project}/exclusions/{one}"
        assert client.post(mine, follow_redirects=False).status_code == 303
    with site.client(amina) as client:
        assert client.get(f"/api/v1/work/{work.batches[0]}").json()["barred"] is None
