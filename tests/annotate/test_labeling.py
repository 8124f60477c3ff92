"""The workspace: the API that its script speaks, and the plain form that works without."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from sqlalchemy import event, func, select, text

from annotate.visit import CLOCK_HEADER
from payments import worktime
from payments.earnings import Earning
from payments.proofs import Proof
from tasks import people
from tasks.answers import Answer
from tasks.batches import close_batch, get_batch
from tasks.items import Item
from tasks.people import Person, get_person
from tasks.permits import Permit
from tasks.projects import Project


@pytest.fixture
def amina(site: Any) -> Person:
    """A worker of her own for each test."""
    with site.session() as session:
        return factories.worker(session, site.now)


@pytest.fixture
def batch_id(site: Any) -> str:
    """A funded batch of three items."""
    with site.session() as session:
        return str(factories.opened_batch(session, site.now).id)


def at(client: Any, site: Any, seconds: int) -> Any:
    """Let the client's next requests come so many seconds after the start."""
    client.headers[CLOCK_HEADER] = (site.now + timedelta(seconds=seconds)).isoformat()
    return client


def held(client: Any, batch_id: Any, n: int = 1) -> list[str]:
    """Claim items."""
    found = client.get(f"/api/v1/work/{batch_id}/next?n={n}").json()
    return [one["assignment_id"] for one in found["items"]]


def sent(client: Any, assignment: str, value: Any = None, submission: Any = None) -> Any:
    """Send an answer."""
    body = {"submission_id": str(submission or uuid4()), "answer": value or factories.ANSWER}
    return client.put(f"/api/v1/assignments/{assignment}/answer", json=body)


def count(site: Any, table: Any, **of: Any) -> int:
    """Count rows."""
    with site.session() as session:
        return int(session.scalar(select(func.count()).select_from(table).filter_by(**of)) or 0)


def requester_of(session: Any, batch_id: UUID) -> Person:
    """Find whose batch it is."""
    project = session.get_one(Project, get_batch(session, batch_id).project_id)
    return get_person(session, project.requester_id)


@contextmanager
def statements(site: Any) -> Iterator[list[str]]:
    """Gather the SQL that the application runs."""
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(site.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(site.engine, "before_cursor_execute", note)


def test_an_answer_is_stored_timed_priced_and_shown(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        assert client.post(f"/api/v1/assignments/{first}/open").json() == {"opened": True}
        proof = {"assignment_id": first, "kind": "proof", "active": True, "sequence": 1}
        at(client, site, 30)
        assert client.post("/api/v1/proofs", json=proof).json() == {"received": True}
        at(client, site, 50)
        stored = sent(client, first).json()
        assert (stored["stored"], stored["duplicate"], stored["done"]) == (True, False, 1)
        meter = stored["meter"]
        shown = [meter[name].replace("\xa0", " ") for name in ("pay", "floor", "time")]
        assert shown == ["KES 5.00", "KES 275.00", "50 s"]
        assert meter["ok"]
        assert 60 < meter["gauge"] <= 100
    assert count(site, Earning, assignment_id=UUID(first), kind="submitted") == 1


def test_before_the_first_answer_the_meter_shows_the_floor_alone(
    site: Any, amina: Person, batch_id: str
) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 90)
        page = client.get(f"/work/{batch_id}").text
        assert '<bdi data-meter="pace"></bdi>' in page
        assert 'class="against" data-ok="true"' in page
        assert "0.00" not in page.split('id="meter-lines"')[0].split('class="pace')[1]
        meter = sent(client, first).json()["meter"]
        assert meter["pace"] == f"≈\u00a0{meter['hourly']}/h"


def test_slow_work_is_topped_up_and_the_meter_says_so(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 120)
        meter = sent(client, first).json()["meter"]
        assert not meter["ok"]
        # 120 s at 275.00 an hour are 9.1666…, rounded up once.
        assert meter["pay"].endswith("9.17")
        assert meter["topup"].endswith("4.17")
        assert meter["hourly"].endswith("150.00")
        assert meter["gauge"] < meter["floor_mark"]


def test_the_same_submission_twice_is_one_answer_and_one_pay(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        submission = uuid4()
        once, again = (sent(client, first, submission=submission).json() for _ in range(2))
        assert (once["duplicate"], again["duplicate"]) == (False, True)
        assert once["meter"]["pay"] == again["meter"]["pay"]
        other = sent(client, first, {"sentiment": "negative"}, submission)
        assert other.status_code == 409
        assert sent(client, first, {"sentiment": "negative"}).json()["version"] == 2
    assert count(site, Answer, assignment_id=UUID(first)) == 2
    assert count(site, Earning, assignment_id=UUID(first)) == 1


def test_a_wrong_answer_says_where_and_keeps_the_item(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        refused = sent(client, first, {"sentiment": "angry"})
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["problems"][0]["pointer"] == "/sentiment"
        assert held(client, batch_id) == [first]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"submission_id": "x", "answer": {}},
        {"submission_id": str(uuid4()), "answer": []},
        {"submission_id": str(uuid4()), "answer": {}, "secs": 3},
    ],
)
def test_a_body_of_wrong_types_is_refused(site: Any, amina: Person, batch_id: str, body: Any) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        assert client.put(f"/api/v1/assignments/{first}/answer", json=body).status_code == 400


def test_somebody_elses_assignment_is_not_there(site: Any, amina: Person, batch_id: str) -> None:
    with site.session() as session:
        brian = factories.worker(session, site.now, name="Brian")
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
    with site.client(brian) as client:
        assert sent(client, first).status_code == 404
        assert client.post(f"/api/v1/assignments/{first}/open").status_code == 404
        assert client.post(f"/api/v1/assignments/{first}/return").status_code == 404
        skip = client.post(f"/api/v1/assignments/{first}/skip", json={"reason": "other"})
        assert skip.status_code == 404
        proof = {"assignment_id": first}
        assert client.post("/api/v1/proofs", json=proof).status_code == 404
        assert held(client, batch_id) != [first]


def test_a_skip_is_paid_for_its_time(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 60)
        answer = client.post(f"/api/v1/assignments/{first}/skip", json={"reason": "upsetting"})
        assert answer.json()["meter"]["pay"].endswith("4.59")
        wrong = client.post(f"/api/v1/assignments/{first}/skip", json={"reason": "lazy"})
        assert wrong.status_code == 422
        nowhere = {"reason": "other", "outcome": "nowhere"}
        assert client.post(f"/api/v1/assignments/{first}/skip", json=nowhere).status_code == 400
    assert count(site, Earning, assignment_id=UUID(first), kind="skipped") == 1


def test_what_is_put_off_comes_back_and_all_its_time_is_paid(site: Any, amina: Person) -> None:
    with site.session() as session:
        batch_id = str(factories.opened_batch(session, site.now, items=1).id)
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 60)
        later = {"reason": "other", "outcome": "later"}
        assert client.post(f"/api/v1/assignments/{first}/skip", json=later).status_code == 200
        about = client.get(f"/api/v1/work/{batch_id}").json()
        assert (about["items_left"], about["barred"]) == (1, None)
        at(client, site, 1000)
        assert held(client, batch_id) == [first]
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 1060)
        stored = sent(client, first).json()
        assert stored["surplus"] is False
        # 120 s at 275.00 an hour are 9.1666…, rounded up once; the time between the two looks is not work.
        assert stored["meter"]["pay"].endswith("9.17")
        assert client.get(f"/api/v1/work/{batch_id}/next").json()["why"] == "answered_all"
    assert count(site, Earning, assignment_id=UUID(first)) == 1
    assert count(site, Earning, assignment_id=UUID(first), kind="submitted") == 1


def test_a_broken_item_goes_to_the_requester_who_puts_it_back_or_drops_it(site: Any, amina: Person) -> None:
    with site.session() as session:
        batch = factories.opened_batch(session, site.now, items=1)
        batch_id, brian = str(batch.id), factories.worker(session, site.now, name="Brian")
        other_batch = factories.opened_batch(session, site.now, items=1)
        elsewhere = session.scalars(select(Item.id).where(Item.batch_id == other_batch.id)).one()
        owner = requester_of(session, batch.id)
    mine = f"/api/v1/batches/{batch_id}"
    broken = {"reason": "broken", "outcome": "broken", "note": "The text ends in the middle."}
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 60)
        said = client.post(f"/api/v1/assignments/{first}/skip", json=broken)
        assert said.json()["meter"]["pay"].endswith("4.59")
    with site.client("requester") as client:
        assert client.get(f"{mine}/broken").status_code == 404
    with site.client(owner) as client:
        (one,) = client.get(f"{mine}/broken").json()
        assert (one["key"], one["reports"], one["notes"]) == ("k1", 1, [broken["note"]])
        page = client.get(f"/batches/{batch_id}").text
        assert broken["note"] in page
        assert amina.name not in page
        for item_id in (elsewhere, 2**70, 0):
            assert client.post(f"{mine}/items/{item_id}/drop").status_code == 404
        item = f"/batches/{batch_id}/items/{one['item_id']}"
        assert client.post(f"{item}/put-back", follow_redirects=False).status_code == 303
        assert client.post(f"{item}/put-back").status_code == 409
        assert "Broken items" not in client.get(f"/batches/{batch_id}").text
    with site.client(brian) as client:
        (second,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{second}/skip", json=broken)
        assert client.get(f"/api/v1/work/{batch_id}/next").json()["items"] == []
    with site.client(owner) as client:
        assert client.post(f"/api/v1{item}/drop").json() == {"dropped": True}
        assert client.get(mine).json()["complete"]


def test_a_late_answer_after_the_close_is_stored_and_paid(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        with site.session() as session:
            close_batch(session, get_batch(session, UUID(batch_id)), site.now)
        at(client, site, 5000)
        assert sent(client, first).json()["stored"]
        assert client.get(f"/api/v1/work/{batch_id}/next").json()["why"] == "closed"
    assert count(site, Earning, assignment_id=UUID(first), kind="submitted") == 1


def test_what_the_page_has_is_not_given_twice(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        more = client.get(f"/api/v1/work/{batch_id}/next?n=5&have={first}").json()["items"]
        assert len(more) == 2
        assert first not in [one["assignment_id"] for one in more]
        assert "data-assignment" in more[0]["html"]
        none = client.get(f"/api/v1/work/{batch_id}/next?html=false").json()["items"][0]
        assert "html" not in none


def test_one_request_stores_an_answer_and_brings_the_next_item_with_its_clock(
    site: Any, amina: Person, batch_id: str
) -> None:
    with site.client(amina) as client:
        found = client.get(f"/api/v1/work/{batch_id}/next?begin=true&html=false").json()["items"]
        assert count(site, Proof, assignment_id=UUID(found[0]["assignment_id"]), kind="open") == 1
        for number in range(3):
            at(client, site, 40 * (number + 1))
            body = {"submission_id": str(uuid4()), "answer": factories.ANSWER}
            here = (
                f"/api/v1/assignments/{found[0]['assignment_id']}/answer?n=1&begin=true&html=false&brief=true"
            )
            reply = client.put(here, json=body).json()
            again = client.put(here, json=body).json()
            assert (reply["stored"], reply["duplicate"], again["duplicate"]) == (True, False, True)
            assert again["items"] == reply["items"]
            found = reply["items"]
        assert (found, reply["why"]) == ([], "answered_all")
        assert "meter" not in reply
    assert count(site, Earning, worker_id=amina.id, kind="submitted") == 3
    assert count(site, Proof, worker_id=amina.id, kind="submit") == 3


def test_items_fetched_ahead_start_no_clock_until_one_is_named_as_shown(
    site: Any, amina: Person, batch_id: str
) -> None:
    with site.client(amina) as client:
        first, second, third = held(client, batch_id, 3)
        body = {"submission_id": str(uuid4()), "answer": factories.ANSWER}
        url = f"/api/v1/assignments/{first}/answer?n=2&have={second},{third}&begin=true&shown={second}"
        assert client.put(url, json=body).json()["stored"]
        foreign = url.replace(f"shown={second}", f"shown={uuid4()}")
        assert client.put(foreign, json=body | {"submission_id": str(uuid4())}).json()["version"] == 2
    assert count(site, Proof, assignment_id=UUID(second), kind="open") == 1
    assert count(site, Proof, assignment_id=UUID(third)) == 0
    assert count(site, Answer, assignment_id=UUID(first)) == 2


def test_what_a_permit_rests_on_is_asked_once_a_minute_and_at_once_after_a_change(
    site: Any, amina: Person
) -> None:
    offered = "FROM pay_rule"
    with site.session() as session:
        batch_id = factories.opened_batch(session, site.now, items=5, languages=["en"]).id
    with site.client(amina) as client:
        for seconds, asked_again in ((0, True), (59, False), (60, True)):
            at(client, site, seconds)
            with statements(site) as asked:
                assert len(held(client, batch_id, seconds // 30 + 1)) == seconds // 30 + 1
            assert any(offered in one for one in asked) == asked_again
        with site.session() as session:
            languages = settled(session, amina, ["sw"], site.now)
        assert languages == ["sw"]
        assert len(held(client, batch_id, 4)) == 3
        with site.session() as session:
            assert session.get(Permit, (amina.id, batch_id)) is None


def test_a_permit_never_outlasts_what_is_left_of_the_day(site: Any) -> None:
    with site.session() as session:
        worker = factories.worker(session, site.now, time_zone="UTC")
        batch = factories.opened_batch(session, site.now, items=6)
        first = factories.assignment(session, batch, worker, site.now)
        worktime.open_assignment(session, first, site.now)
        for minute in range(1, 480):
            when = site.now + timedelta(minutes=minute)
            worktime.record(session, worker_id=worker.id, kind="proof", now=when, assignment=first)
        done = site.now + timedelta(minutes=479, seconds=20)
        worktime.end_assignment(session, first, "submit", done)
    with site.client(worker) as client:
        client.headers[CLOCK_HEADER] = done.isoformat()
        assert len(held(client, str(batch.id), 2)) == 2
    with site.session() as session:
        assert session.get_one(Permit, (worker.id, batch.id)).until == done + timedelta(seconds=40)


def settled(session: Any, worker: Person, languages: list[str], now: Any) -> list[str]:
    """Change a worker's languages."""
    person = people.get_person(session, worker.id)
    place: dict[str, Any] = {"place": person.place, "area": person.area, "time_zone": person.time_zone}
    people.settle(session, person, **place, languages=languages, now=now)
    return person.languages


def test_signs_of_work_hold_one_bit(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        client.post(f"/api/v1/assignments/{first}/open")
        at(client, site, 60)
        sign: dict[str, Any] = {"assignment_id": first, "kind": "proof", "active": True, "sequence": 1}
        for more in ({"keys": 40}, {"screen": "x"}, {"kind": "submit"}, {"active": "very"}):
            assert client.post("/api/v1/proofs", json=sign | more).status_code == 400
        assert count(site, Proof, worker_id=amina.id, kind="proof") == 0
        client.post("/api/v1/proofs", json=sign | {"active": False})
        assert count(site, Proof, worker_id=amina.id, kind="proof") == 0
        client.post("/api/v1/proofs", json=sign)
        assert count(site, Proof, worker_id=amina.id, kind="proof") == 1


def test_the_plain_form_works_without_scripts(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        page = client.get(f"/work/{batch_id}").text
        first = page.split('name="assignment_id" value="')[1].split('"')[0]
        submission = page.split('name="submission_id" value="')[1].split('"')[0]
        form = {"assignment_id": first, "submission_id": submission, "answer.sentiment": "neutral"}
        done = client.post(f"/work/{batch_id}/answers", data=form, follow_redirects=False)
        assert done.headers["location"] == f"/work/{batch_id}"
        client.post(f"/work/{batch_id}/answers", data=form)
        again = client.get(f"/work/{batch_id}").text
        assert "1 of 3" in again
        second = again.split('name="assignment_id" value="')[1].split('"')[0]
        client.post(f"/work/{batch_id}/skips", data={"assignment_id": second, "choice": "others:unclear"})
        empty = {"assignment_id": "x", "submission_id": "y"}
        assert client.post(f"/work/{batch_id}/answers", data=empty).status_code == 422
    assert count(site, Answer, assignment_id=UUID(first)) == 1
    assert count(site, Earning, worker_id=amina.id) == 2


def test_a_fault_in_the_books_never_refuses_an_answer(site: Any, amina: Person, batch_id: str) -> None:
    with site.client(amina) as client:
        (first,) = held(client, batch_id)
        with site.session() as session:
            session.execute(text("ALTER TABLE earning RENAME TO earning_away"))
        try:
            stored = sent(client, first)
        finally:
            with site.session() as session:
                session.execute(text("ALTER TABLE earning_away RENAME TO earning"))
        assert stored.status_code == 200
        assert stored.json()["meter"]["pay"] == "–"
    assert count(site, Answer, assignment_id=UUID(first)) == 1
    assert count(site, Earning, assignment_id=UUID(first)) == 0


def test_the_meter_needs_few_statements(site: Any, amina: Person, batch_id: str) -> None:
    """Every answer asks for it: what it reads does not grow with the answers of the day."""
    seen: list[int] = []
    with site.client(amina) as client:
        for number, one in enumerate(held(client, batch_id, 3)):
            client.post(f"/api/v1/assignments/{one}/open")
            at(client, site, 60 * (number + 1))
            with statements(site) as asked:
                assert sent(client, one).json()["stored"]
            seen.append(len(asked))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0] <= 32, seen


def test_whoever_holds_the_last_item_hears_that_no_other_follows(site: Any) -> None:
    with site.session() as session:
        batch = factories.opened_batch(session, site.now, items=1)
        worker = factories.worker(session, site.now)
    with site.client(worker) as client:
        (held,) = client.get(f"/api/v1/work/{batch.id}/next").json()["items"]
        said = client.get(f"/api/v1/work/{batch.id}/next?have={held['assignment_id']}").json()
        assert (said["items"], said["why"]) == ([], "answered_all")
        assert said["message"].startswith("You have done everything here")
