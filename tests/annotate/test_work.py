"""Find work, the task page, consents and settings, as a worker meets them."""

from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import uuid4

import factories
import pytest
from closing import draft_line, drafted
from sqlalchemy import delete

from annotate import heartbeat
from annotate.i18n import LANGUAGES
from annotate.reasons import Bar, Why, of_list, remedy, sentence
from annotate.visit import Visit
from payments import worktime
from payments.drafts import Payer, book
from payments.periods import period_at
from tasks.batches import open_batches, pause_batch
from tasks.people import Person
from tasks.progress import Progress


@pytest.fixture
def amina(site: Any) -> Person:
    """A worker of her own for each test."""
    with site.session() as session:
        return factories.worker(session, site.now)


def opened(site: Any, **more: Any) -> str:
    """A funded batch."""
    with site.session() as session:
        return str(factories.opened_batch(session, site.now, **more).id)


def sensitive(site: Any) -> str:
    """A funded batch that warns of violence."""
    with site.session() as session:
        document = factories.example() | {"title": "Road accidents", "content_classes": ["violence"]}
        project = factories.project(session, site.now, document=document)
        return str(factories.opened_batch(session, site.now, project).id)


def offer(client: Any, batch_id: str) -> dict[str, Any]:
    """What the API says of one batch."""
    return next(one for one in client.get("/api/v1/work").json() if one["batch"] == batch_id)


def alive(site: Any) -> None:
    """Let a worker process have been heard just now."""
    with site.session() as session:
        heartbeat.beat(session)


def silent(site: Any) -> None:
    """Let no worker process have been heard for long."""
    with site.session() as session:
        session.execute(delete(Progress).where(Progress.subject == heartbeat.SUBJECT))


def test_offers_say_what_they_pay_and_for_whom(site: Any, amina: Person) -> None:
    batch_id = opened(site)
    with site.client(amina) as client:
        said = offer(client, batch_id)
        assert said["requester"] == "Zuri Research"
        assert said["items_left"] == 3
        assert said["barred"] is None
        assert said["pay"] | {"rule": ""} == {
            "currency": "KES",
            "pay_mode": "piece",
            "price": "5.00",
            "floor": "275.00",
            "rule": "",
            "hourly": "300.00",
            "hourly_low": None,
            "hourly_high": None,
            "workers": 0,
            "measured_in": [],
            "seconds_each": None,
            "estimated": True,
            "estimate_seconds": 60,
            "grace_seconds": 120,
        }
        page = client.get("/work").text
        assert f'href="/work/{batch_id}/about"' in page
        assert "per hour by the requester&#39;s estimate of 60 s" in page
        assert "Nothing was measured yet." in page
        assert "To learn how people feel about trams." in page


def test_a_new_batch_shows_what_earlier_ones_really_brought(site: Any, amina: Person) -> None:
    with site.session() as session:
        project = factories.project(session, site.now)
        first = factories.opened_batch(session, site.now, project, name="Spring")
        period = period_at(session, site.now, site.now)
        payer = Payer(first.id, project.id, "KES", Fraction(0))
        for agreed in (40_000, 50_000, 60_000):
            line = draft_line(site.now, first.id, agreed=Fraction(agreed))
            book(session, period, factories.worker(session, site.now).id, drafted([(line, payer)]), site.now)
        later = site.now + timedelta(hours=1)
        fresh = str(factories.opened_batch(session, later, project, name="Summer").id)
    with site.client(amina) as client:
        pay = offer(client, fresh)["pay"]
        assert (pay["hourly"], pay["estimated"], pay["workers"]) == ("500.00", False, 3)
        assert pay["measured_in"] == ["Spring"]
        shown = client.get("/work").text.split(f'href="/work/{fresh}/about"')[1].split("</li>")[0]
        assert "KES\u00a0500.00" in shown
        assert "measured in Spring, only 3 workers so far, may change" in shown
        assert "estimate" not in shown
        here = client.get(f"/work/{first.id}/about").text
        assert "only 3 workers so far, may change" in here
        assert "measured in" not in here


def test_a_card_says_languages_and_what_the_content_is(site: Any, amina: Person) -> None:
    opened(site, languages=["en", "fr"])
    card = {
        "calm": '<span class="tag ok">No sensitive content</span>',
        "French": '<span class="tag">French</span>',
    }
    with site.client(amina) as client:
        page = client.get("/work").text
        assert all(one in page for one in card.values())
        barred = sensitive(site)
        about = client.get(f"/work/{barred}/about").text
        assert card["calm"] not in about
        client.post("/work/consents", data={"consent": "violence", "agree": "yes"})
        shown = client.get("/work").text.split(f'href="/work/{barred}/about"')[1].split("</li>")[0]
        assert "Contains: Violence and injury" in shown
        client.post("/work/consents", data={"consent": "violence", "agree": "no"})


def test_the_best_paid_comes_first_by_what_is_known(site: Any, amina: Person) -> None:
    low, high = opened(site, terms={"piece_price": "4.90"}), opened(site, terms={"piece_price": "9"})
    with site.client(amina) as client:
        listed = client.get("/api/v1/work").json()
        order = [one["batch"] for one in listed]
        assert order.index(high) < order.index(low)
        known = [float(one["pay"]["floor" if one["pay"]["estimated"] else "hourly"]) for one in listed]
        assert known == sorted(known, reverse=True), "an estimate never goes before a measure"
        page = client.get("/work").text
        assert page.index(high) < page.index(low)


def test_work_in_another_language_is_listed_below_with_the_reason(site: Any, amina: Person) -> None:
    batch_id = opened(site, languages=["sw"])
    with site.client(amina) as client:
        assert offer(client, batch_id)["barred"]["code"] == "language"
        page = client.get("/work").text
        assert page.index("Not offered to you now") < page.index(batch_id)
        form = {"place": "KE", "time_zone": "Africa/Nairobi", "languages": ["en", "sw"]}
        assert client.post("/work/settings", data=form, follow_redirects=False).status_code == 303
        assert offer(client, batch_id)["barred"] is None


def test_sensitive_work_needs_consent_which_can_be_taken_back_at_once(site: Any, amina: Person) -> None:
    batch_id = sensitive(site)
    with site.client(amina) as client:
        assert offer(client, batch_id)["barred"]["code"] == "content"
        nothing = client.get(f"/api/v1/work/{batch_id}/next").json()
        assert (nothing["items"], nothing["why"]) == ([], "content")
        page = client.get(f"/work/{batch_id}/about").text
        assert "I agree to see it" in page
        assert f'href="/work/{batch_id}"' not in page
        back = f"/work/{batch_id}/about#content"
        given = {"consent": "violence", "agree": "yes", "next_page": back}
        answer = client.post("/work/consents", data=given, follow_redirects=False)
        assert answer.headers["location"] == back
        assert len(client.get(f"/api/v1/work/{batch_id}/next").json()["items"]) == 1
        client.post("/work/consents", data={"consent": "violence", "agree": "no"})
        again = client.get(f"/api/v1/work/{batch_id}/next?n=2").json()
        assert again["why"] is None
        assert len(again["items"]) == 1, "what is held may be finished, nothing new is offered"


def test_consents_by_api(site: Any, amina: Person) -> None:
    with site.client(amina) as client:
        sent = client.put("/api/v1/consents", json={"consents": ["more-hours", "hate"]})
        assert sent.json() == {"consents": ["hate", "more-hours"]}
        assert client.put("/api/v1/consents", json={"consents": []}).json() == {"consents": []}
        assert client.put("/api/v1/consents", json={"consents": ["everything"]}).status_code == 422
        assert client.put("/api/v1/consents", json={"consents": 7}).status_code == 400


def test_the_task_page_says_all_before_acceptance(site: Any, amina: Person) -> None:
    batch_id = opened(site)
    with site.client(amina) as client:
        page = client.get(f"/work/{batch_id}/about").text
        for words in ("Judge the writer", "KES", "275.00", "2 min", "ironic", "Start", "no countdown"):
            assert words in page
        assert client.get(f"/api/v1/work/{batch_id}").json()["definition"]["fairlabel"] == 1


def test_a_filter_that_fits_nothing_says_how_to_go_on(site: Any, amina: Person) -> None:
    with site.session() as session:
        for other in open_batches(session):
            pause_batch(session, other, "Paused")
    opened(site, languages=["fr"])
    with site.client(amina) as client:
        assert "Remove it to see" in client.get("/work?show=xx").text
        assert 'aria-current="true"' in client.get("/work?show=fr").text


@pytest.mark.parametrize(
    ("hours", "consents", "code"),
    [(7, [], None), (8, [], "day"), (9, ["more-hours"], None), (10, ["more-hours"], "day_hard")],
)
def test_hours_limit_offers_and_nothing_else(site: Any, hours: int, consents: list[str], code: Any) -> None:
    with site.session() as session:
        worker = factories.worker(session, site.now, time_zone="UTC")
        batch = factories.opened_batch(session, site.now)
        worker.consents = consents
        held = factories.assignment(session, batch, worker, site.now)
        worktime.open_assignment(session, held, site.now)
        for minute in range(1, hours * 60 + 1):
            at = site.now + timedelta(minutes=minute)
            worktime.record(session, worker_id=worker.id, kind="proof", now=at, assignment=held)
        worktime.end_assignment(session, held, "submit", site.now + timedelta(hours=hours))
    with site.client(worker) as client:
        client.headers["fairlabel-clock"] = (site.now + timedelta(hours=hours)).isoformat()
        barred = offer(client, str(batch.id))["barred"]
        assert (barred and barred["code"]) == code
        if code:
            assert barred["until"] == "2026-11-17T00:00:00Z"
            page = client.get("/work").text
            assert "New work is offered again from 17 Nov 2026, 00:00" in page
            assert "all your time is paid" in page
            assert "all your time is paid" in client.get(f"/work/{batch.id}").text
        client.headers["fairlabel-clock"] = (site.now + timedelta(days=1)).isoformat()
        assert offer(client, str(batch.id))["barred"] is None


def test_a_paused_batch_says_so(site: Any, amina: Person) -> None:
    with site.session() as session:
        batch = factories.opened_batch(session, site.now)
        pause_batch(session, batch, "Paused")
    with site.client(amina) as client:
        assert client.get(f"/api/v1/work/{batch.id}/next").json()["why"] == "paused"
        assert "paused" in client.get(f"/work/{batch.id}/about").text


def test_everything_answered_is_said(site: Any, amina: Person) -> None:
    batch_id = opened(site, items=1)
    with site.client(amina) as client:
        (held,) = client.get(f"/api/v1/work/{batch_id}/next").json()["items"]
        assert "In your hands" in client.get("/work").text
        body = {"submission_id": str(uuid4()), "answer": factories.ANSWER}
        client.put(f"/api/v1/assignments/{held['assignment_id']}/answer", json=body)
        done = client.get(f"/api/v1/work/{batch_id}/next").json()
        assert (done["items"], done["why"]) == ([], "answered_all")
        assert offer(client, batch_id)["barred"]["code"] == "answered_all"


def test_why_nothing_is_left_looks_only_at_what_one_has_not_had(site: Any, amina: Person) -> None:
    with site.session() as session:
        brian, chao = (factories.worker(session, site.now, name=name) for name in ("Brian", "Chao"))

    def next_of(who: Person, batch_id: str, *, answer: bool) -> Any:
        with site.client(who) as client:
            found = client.get(f"/api/v1/work/{batch_id}/next?n=2").json()
            for held in found["items"] if answer else []:
                body = {"submission_id": str(uuid4()), "answer": factories.ANSWER}
                client.put(f"/api/v1/assignments/{held['assignment_id']}/answer", json=body)
            return found["why"]

    batch_id = opened(site, items=2, answers_wanted=2)
    alive(site)
    next_of(amina, batch_id, answer=True)
    next_of(brian, batch_id, answer=False)
    assert next_of(amina, batch_id, answer=False) == "answered_all", "what Brian holds, Amina has had"
    assert next_of(chao, batch_id, answer=False) == "all_taken", "Brian may give some back"
    next_of(brian, batch_id, answer=True)
    assert next_of(chao, batch_id, answer=False) == "finished"
    assert next_of(brian, batch_id, answer=False) == "answered_all"


def test_without_a_worker_process_the_page_names_it(site: Any, amina: Person) -> None:
    with site.session() as session:
        for other in open_batches(session):
            pause_batch(session, other, "Paused")
        brian = factories.worker(session, site.now, name="Brian")
        batch = factories.opened_batch(session, site.now, items=1, answers_wanted=1)
        factories.assignment(session, batch, brian, site.now)
    words = "No worker process is running on this instance"
    with site.client(amina) as client:
        alive(site)
        assert client.get(f"/api/v1/work/{batch.id}/next").json()["why"] == "all_taken"
        assert "Other workers hold the last items." in client.get("/work").text
        silent(site)
        assert client.get(f"/api/v1/work/{batch.id}/next").json()["why"] == "no_worker"
        for page in ("/work", f"/work/{batch.id}", f"/work/{batch.id}/about"):
            assert words in client.get(page).text
        alive(site)
        assert words not in client.get("/work").text


def test_an_empty_list_says_which_of_the_reasons_it_is(site: Any, amina: Person) -> None:
    with site.session() as session:
        for other in open_batches(session):
            pause_batch(session, other, "Paused")
    alive(site)
    with site.client(amina) as client:
        assert "No batch is open." in client.get("/work").text
        opened(site, languages=["sw"])
        assert "none of it is open to you now" in client.get("/work").text
        done = opened(site, items=1, answers_wanted=1)
        (held,) = client.get(f"/api/v1/work/{done}/next").json()["items"]
        body = {"submission_id": str(uuid4()), "answer": factories.ANSWER}
        client.put(f"/api/v1/assignments/{held['assignment_id']}/answer", json=body)
        assert "none of it is open to you now" in client.get("/work").text
        me = {"place": "KE", "time_zone": "Africa/Nairobi", "languages": ["en", "sw"]}
        client.put("/api/v1/me", json=me)
        assert "No work is open" not in client.get("/work").text


@pytest.mark.parametrize(
    ("whys", "of_all"),
    [
        ((), Why.NOTHING_OPEN),
        ((None, Why.LANGUAGE), None),
        ((Why.LANGUAGE, Why.CONTENT), Why.NONE_FITS),
        ((Why.LANGUAGE, Why.DAY), Why.DAY),
        ((Why.LANGUAGE, Why.ALL_TAKEN), Why.ALL_TAKEN),
        ((Why.FINISHED, Why.NONE_FUNDED), Why.NONE_FUNDED),
        ((Why.FINISHED, Why.ANSWERED_ALL), Why.ALL_DONE),
        ((Why.FINISHED, Why.LANGUAGE), Why.NONE_FITS),
    ],
)
def test_one_reason_stands_for_the_whole_list(whys: tuple[Why | None, ...], of_all: Why | None) -> None:
    bars = [None if why is None else Bar(why) for why in whys]
    found = of_list(bars, silent=False)
    assert (found and found.why) == of_all
    assert found == of_list(bars[::-1], silent=False)


def test_every_reason_has_its_sentence_in_every_language(site: Any) -> None:
    with site.session() as session:
        batch = factories.batch(session, site.now)
        for lang in LANGUAGES:
            said = Visit(
                session, site.now, None, site.app.state.web, site.app.state.tasks, lang, "", "/", "", "", {}
            )
            texts = [sentence(said, Bar(why, site.now)) for why in Why]
            assert all(texts)
            assert len(set(texts)) == len(texts)
            assert all(len(remedy(said, Bar(why), batch)) == 2 for why in Why)


@pytest.mark.parametrize(
    ("field", "value"),
    [("place", "Kenya"), ("time_zone", "Nairobi"), ("languages", "klingon"), ("time_zone", "")],
)
def test_a_wrong_setting_comes_back_with_what_was_typed(
    site: Any, amina: Person, field: str, value: str
) -> None:
    form = {"place": "US", "area": "", "time_zone": "Africa/Nairobi", "languages": "en"} | {field: value}
    with site.client(amina) as client:
        answer = client.post("/work/settings", data=form)
        assert answer.status_code == 422
        assert f'href="#f-{field}"' in answer.text
        assert client.get("/api/v1/me").json()["place"] == "KE"


def test_me_by_api(site: Any, amina: Person) -> None:
    me = {"place": "US-CA", "time_zone": "America/Los_Angeles", "languages": ["en", "es"]}
    with site.client(amina) as client:
        assert client.put("/api/v1/me", json=me).json()["place"] == "US-CA"
        assert client.put("/api/v1/me", json=me | {"place": "us"}).status_code == 422
        assert client.put("/api/v1/me", json=me | {"languages": ["xx"]}).status_code == 422
        assert client.put("/api/v1/me", json=me | {"role": "operator"}).status_code == 400


def test_only_workers_find_work(site: Any) -> None:
    batch_id = opened(site)
    for who in ("requester", "organizer", "operator"):
        with site.client(who) as client:
            for path in ("/work", "/work/settings", "/api/v1/work", f"/work/{batch_id}/about"):
                assert client.get(path).status_code == 403
    with site.client() as client:
        assert client.get("/work").status_code == 401


def test_a_draft_is_nobodys_business(site: Any, amina: Person) -> None:
    with site.session() as session:
        draft = factories.batch(session, site.now)
    with site.client(amina) as client:
        assert client.get(f"/work/{draft.id}/about").status_code == 404
        assert client.get(f"/api/v1/work/{uuid4()}").status_code == 404
        assert str(draft.id) not in client.get("/work").text


def test_help_is_open_to_all_and_names_people_to_ask(site: Any, amina: Person) -> None:
    with site.client() as client:
        assert "How work is offered" in client.get("/help").text
        assert "Otieno" not in client.get("/help").text
        assert 'id="UnknownBatch"' in client.get("/help/errors").text
    with site.client(amina) as client:
        assert "Otieno" in client.get("/help").text
