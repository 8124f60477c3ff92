"""Known answers as people meet them: said at once, contestable, the same pay, and a qualification that opens work."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from sqlalchemy import select

from annotate.exports import pseudonym
from payments import funding, quotes
from payments.earnings import Earning
from tasks.batches import Batch, BatchKind, create_batch
from tasks.gold import GoldCheck
from tasks.items import Item, add_items
from tasks.people import Person
from tasks.projects import Definition, Project

RIGHT, WRONG = {"sentiment": "positive"}, {"sentiment": "negative"}
WHY = "Thank you is said with <b>joy</b>."


@pytest.fixture
def amina(site: Any) -> Person:
    """A worker of her own for each test."""
    with site.session() as session:
        return factories.worker(session, site.now)


class Course:
    """A project whose work asks for its qualification, with a training."""

    def __init__(self, site: Any) -> None:
        with site.session() as session:
            self.owner = factories.requester(session, site.now, name="Zuri")
            project = factories.project(session, site.now, self.owner)
            self.project = project.id
            self.training = self._made(site, session, project, BatchKind.TRAINING)
            self.qualification = self._made(site, session, project, BatchKind.QUALIFICATION)
            work = factories.opened_batch(session, site.now, project, needs_qualification=True)
            self.work = str(work.id)

    def _made(self, site: Any, session: Any, project: Project, kind: BatchKind) -> str:
        definition = session.scalars(select(Definition).where(Definition.project_id == project.id)).one()
        batch = create_batch(
            session, project=project, definition=definition, name=kind, kind=kind, now=site.now
        )
        rows = [
            {"key": f"k{n}", "line": n, "data": {"text": f"Thank you {n}"}, "meta": {}}
            | {"gold": RIGHT, "gold_why": WHY}
            for n in range(1, 41)
        ]
        add_items(session, batch.id, rows, 3, gold_apart=False)
        factories.terms(session, batch, site.now)
        needed = quotes.quote(session, batch, site.now).total_p95
        factories.paid_in(session, self.owner, needed, site.now)
        funding.reserve_and_open(session, batch, site.now, actor="test")
        return str(batch.id)


@pytest.fixture(scope="module")
def course(site: Any) -> Course:
    """One course for the file."""
    return Course(site)


def held(client: Any, batch_id: str) -> str:
    """Claim one item."""
    (one,) = client.get(f"/api/v1/work/{batch_id}/next?n=1").json()["items"]
    return str(one["assignment_id"])


def sent(client: Any, assignment: str, value: Any, submission: Any = None) -> Any:
    """Send an answer."""
    body = {"submission_id": str(submission or uuid4()), "answer": value}
    return client.put(f"/api/v1/assignments/{assignment}/answer?brief=true", json=body).json()


def test_a_known_answer_is_said_at_once_and_pays_the_same(site: Any, amina: Person, course: Course) -> None:
    with site.client(amina) as client:
        first, submission = held(client, course.training), uuid4()
        said = sent(client, first, WRONG, submission)["feedback"]
        assert (said["right"], said["known"], said["why"]) == (False, RIGHT, WHY)
        assert "The known answer is another one." in said["html"]
        assert "joy&lt;/b&gt;" in said["html"], "what a requester wrote is no markup"
        assert sent(client, first, WRONG, submission)["feedback"] == said, "also to a repeated message"
        assert "feedback" not in sent(client, first, RIGHT), "only the first answer is checked"
        second = held(client, course.training)
        assert sent(client, second, RIGHT)["feedback"]["right"]
    with site.session() as session:
        paid = session.scalars(select(Earning.piece_price).where(Earning.worker_id == amina.id)).all()
        assert len(paid) == 2
        assert len(set(paid)) == 1
        checks = session.scalars(select(GoldCheck.is_right).where(GoldCheck.worker_id == amina.id)).all()
        assert sorted(checks) == [False, True]


def test_without_scripts_it_stands_on_the_next_page(site: Any, amina: Person, course: Course) -> None:
    with site.client(amina) as client:
        page = client.get(f"/work/{course.training}").text
        first = page.split('name="assignment_id" value="')[1].split('"')[0]
        form = {"assignment_id": first, "submission_id": str(uuid4()), "answer.sentiment": "negative"}
        assert (
            "The known answer is another one."
            in client.post(f"/work/{course.training}/answers", data=form).text
        )
        assert client.get(f"/work/{course.training}?told={uuid4()}").status_code == 404


def test_a_contest_is_decided_by_the_requester_and_falls_for_everybody(
    site: Any, amina: Person, course: Course
) -> None:
    with site.client(amina) as client:
        first = held(client, course.training)
        sent(client, first, WRONG)
        assert client.post(f"/work/checks/{first}", data={"reason": " "}).status_code == 422
        shown = client.post(f"/work/checks/{first}", data={"reason": "It is irony."}).text
        assert "silence is for you" in shown
        again = client.post(f"/api/v1/assignments/{first}/contest", json={"reason": "x"})
        assert again.status_code == 409
        second = held(client, course.training)
        sent(client, second, WRONG)
        client.post(f"/api/v1/assignments/{second}/contest", json={"reason": "Also irony."})
    with site.session() as session:
        brian = factories.worker(session, site.now, name="Brian")
    with site.client(brian) as client:
        assert client.get(f"/work/checks/{first}").status_code == 404
        assert client.post(f"/api/v1/assignments/{first}/contest", json={"reason": "x"}).status_code == 404
    known = f"/api/v1/batches/{course.training}"
    with site.client("requester") as client:
        assert client.get(f"{known}/known").status_code == 404
    with site.client(course.owner) as client:
        contests = {one["reason"]: one["id"] for one in client.get(f"{known}/known").json()["contests"]}
        page = client.get(f"/batches/{course.training}").text
        assert "It is irony." in page
        assert amina.name not in page
        one, other = contests["It is irony."], contests["Also irony."]
        address = f"{known}/contests/{one}/decide"
        assert client.post(address, json={"outcome": "refuse"}).status_code == 422
        wrong_batch = f"/api/v1/batches/{course.qualification}/contests/{one}/decide"
        assert client.post(wrong_batch, json={"outcome": "uphold"}).status_code == 404
        assert client.post(address, json={"outcome": "uphold"}).json()["state"] == "upheld"
        form = {"action": "refuse", "reason": "The smiley is meant."}
        done = client.post(f"/batches/{course.training}/contests/{other}", data=form, follow_redirects=False)
        assert done.status_code == 303
    with site.client(amina) as client:
        assert "counts for nobody any more" in client.get(f"/work/checks/{first}").text
        assert "The smiley is meant." in client.get(f"/work/checks/{second}").text


def through(client: Any, course: Course, value: Any) -> int:
    """Answer the qualification until nothing more is offered; gives how many."""
    for n in range(40):
        found = client.get(f"/api/v1/work/{course.qualification}/next?n=1").json()["items"]
        if not found:
            return n
        sent(client, found[0]["assignment_id"], value)
    return 40


def test_a_qualification_opens_the_work_that_asks_for_it(site: Any, amina: Person, course: Course) -> None:
    with site.client(amina) as client:
        barred = client.get(f"/api/v1/work/{course.work}").json()["barred"]
        assert (barred["code"], barred["remedy"]) == ("qualify", f"/work/{course.qualification}/about")
        assert client.get(f"/api/v1/work/{course.work}/next").json()["items"] == []
        assert 3 <= through(client, course, RIGHT) <= 15
        assert client.get(f"/api/v1/work/{course.work}").json()["barred"] is None
        assert client.get(f"/api/v1/work/{course.qualification}").json()["barred"]["code"] == "qualified"


def test_who_is_stopped_reads_the_numbers_the_day_and_the_training(site: Any, course: Course) -> None:
    with site.session() as session:
        brian = factories.worker(session, site.now, name="Brian")
    with site.client(brian) as client:
        count = through(client, course, WRONG)
        assert 2 <= count <= 15
        for batch_id in (course.work, course.qualification):
            barred = client.get(f"/api/v1/work/{batch_id}").json()["barred"]
            assert (barred["code"], barred["until"]) == ("stopped", "2026-11-23T06:00:00Z")
            assert f"0/{count} were right" in barred["message"]
            assert barred["remedy"] == f"/work/{course.training}/about"
        assert client.get(f"/api/v1/work/{course.training}").json()["barred"] is None
        client.headers["fairlabel-clock"] = (site.now + timedelta(days=7)).isoformat()
        assert client.get(f"/api/v1/work/{course.qualification}").json()["barred"] is None
        assert client.get(f"/api/v1/work/{course.work}").json()["barred"]["code"] == "qualify"
    with site.session() as session:
        kinds = session.scalars(select(Earning.kind).where(Earning.worker_id == brian.id)).all()
        assert kinds == ["submitted"] * count, "every answer of a qualification is paid"


def test_it_concerns_one_project_and_a_person_may_let_somebody_in(site: Any, course: Course) -> None:
    other = Course(site)
    with site.session() as session:
        chao = factories.worker(session, site.now, name="Chao")
    with site.client(chao) as client:
        through(client, course, RIGHT)
        assert client.get(f"/api/v1/work/{other.work}").json()["barred"]["code"] == "qualify"
        held(client, other.training)
    name = pseudonym(UUID(other.training), chao.id)
    address = f"/api/v1/projects/{other.project}/qualifications"
    with site.client(course.owner) as client:
        assert client.post(address, json={"worker": name, "reason": "x"}).status_code == 404
    with site.client(other.owner) as client:
        assert client.post(address, json={"worker": name, "reason": " "}).status_code == 422
        assert client.post(address, json={"worker": "w-0", "reason": "x"}).status_code == 422
        made = client.post(address, json={"worker": name, "reason": "She wrote the guide."})
        assert made.json()["outcome"] == "passed"
    with site.client(chao) as client:
        assert client.get(f"/api/v1/work/{other.work}").json()["barred"] is None


def test_known_answers_come_with_an_upload(site: Any) -> None:
    document = {"name": "Moods", "purpose": "To learn.", "definition": factories.example()}
    lines = "key,text,gold.sentiment,gold_why\na,Thanks,positive,Said with joy\nb,Oh no,,\n"
    lines += "".join(f"m{n},Message {n},,\n" for n in range(20))
    with site.client("requester") as client:
        project = client.post("/api/v1/projects", json=document).json()["id"]
        made = client.post(f"/api/v1/projects/{project}/batches", json={"name": "x", "kind": "nothing"})
        assert made.status_code == 422
        batch = client.post(f"/api/v1/projects/{project}/batches", json={"name": "First"}).json()["id"]
        client.post(f"/api/v1/batches/{batch}/uploads?name=rows.csv", content=lines.encode())
        site.work_off()
        assert client.get(f"/api/v1/batches/{batch}").json()["slots"]["waiting"] == 21 * 3 + 7
        asked = {"name": "Course", "kind": "training", "redundancy": "adaptive", "answers_max": 9}
        course = client.post(f"/api/v1/projects/{project}/batches", json=asked).json()
        assert (course["redundancy"], course["answers_wanted"]) == ("fixed", 9), "each worker has a go"
        form = {"name": "Course", "answers_wanted": "5", "kind": "qualification"}
        page = client.post(f"/projects/{project}/batches", data=form).text
        assert "Qualification" in page
        assert "Every item needs its known answer here." in page
    with site.session() as session:
        item = session.scalars(select(Item).where(Item.batch_id == UUID(batch), Item.key == "a")).one()
        assert (item.gold, item.gold_why) == (RIGHT, "Said with joy")
        other = session.scalars(select(Item).where(Item.batch_id == UUID(batch), Item.key == "b")).one()
        assert other.gold is None
        assert session.get_one(Batch, UUID(batch)).kind == "work"
