"""What a requester sees and decides of the items of a batch, on pages and over the API."""

import json
from typing import Any
from uuid import uuid4

import factories
import pytest
from sqlalchemy import select

from annotate import batch_views
from tasks import answers, fits
from tasks.batches import Batch
from tasks.items import Item

SPLIT = ("positive", "negative", "neutral")


def project(site: Any, client: Any, name: str = "sentiment") -> str:
    made = {"name": f"Moods {uuid4()}", "purpose": "To learn.", "definition": factories.example(name)}
    return str(client.post("/api/v1/projects", json=made).json()["id"])


def contested(site: Any, items: int = 2) -> tuple[str, list[int]]:
    """A batch on whose items three workers say three things, at the most answers."""
    with site.session() as session:
        of = factories.project(session, site.now, site.people["requester"])
        batch = factories.opened_batch(session, site.now, of, items=items, answers_wanted=3, answers_max=3)
        for label in SPLIT:
            by = factories.worker(session, site.now)
            for held in factories.claim(session, batch, by.id, site.now, items):
                answers.submit(
                    session,
                    assignment_id=held.id,
                    worker_id=by.id,
                    submission_id=uuid4(),
                    value={"sentiment": label},
                    now=site.now,
                )
        found = session.scalars(select(Item.id).where(Item.batch_id == batch.id).order_by(Item.id)).all()
        batch_id = str(batch.id)
    site.work_off()
    return batch_id, list(found)


def test_a_contested_item_is_shown_decided_and_remembered(site: Any) -> None:
    batch_id, (one, other) = contested(site)
    with site.client("requester") as client:
        page = client.get(f"/batches/{batch_id}").text
        assert "Contested items: look at them and decide" in page
        assert "How answers become one" in page
        assert "Answers per item" in page
        assert "as of 16 Nov 2026" in page
        listed = client.get(f"/batches/{batch_id}/contested").text
        assert f"/batches/{batch_id}/items/{one}" in listed
        assert listed.count("<progress") == 6
        form = client.get(f"/batches/{batch_id}/items/{one}").text
        assert "Leave as a distribution" in form
        path = f"/batches/{batch_id}/items/{one}/adjudicate"
        refused = client.post(path, data={"chosen.sentiment": '"positive"', "reason": " "})
        assert refused.status_code == 422
        assert "Write why you decide so" in refused.text
        assert "checked" in refused.text
        for wrong in ('"sad"', "sad", ""):
            answer = client.post(path, data={"chosen.sentiment": wrong, "reason": "It thanks."})
            assert answer.status_code == 422, wrong
        done = client.post(
            path, data={"chosen.sentiment": '"positive"', "reason": "It thanks."}, follow_redirects=False
        )
        assert (done.status_code, done.headers["location"]) == (303, f"/batches/{batch_id}/contested")
        assert (
            client.post(path, data={"chosen.sentiment": '"positive"', "reason": "Again."}).status_code == 409
        )
        shown = client.get(f"/batches/{batch_id}/items/{one}").text
        assert '<q dir="auto">It thanks.</q>' in shown
        assert "Your decision" not in shown
        leave = {"leave": "yes", "reason": "Both are right."}
        client.post(f"/batches/{batch_id}/items/{other}/adjudicate", data=leave)
        assert "Nothing waits for you" in client.get(f"/batches/{batch_id}/contested").text
        lines = client.get(f"/batches/{batch_id}/export?kind=jsonl").text.splitlines()
        states = {json.loads(line)["key"]: json.loads(line)["consensus"] for line in lines}
        assert [states[key]["state"] for key in ("k1", "k2")] == ["adjudicated", "contested"]
        assert states["k1"]["fields"]["sentiment"]["winner"] == "positive"
        assert states["k2"]["fields"]["sentiment"]["winner"] is None
        assert len(states["k2"]["fields"]["sentiment"]["distribution"]) == 3


def test_programs_decide_too(site: Any) -> None:
    batch_id, (one, other) = contested(site)
    with site.client("requester") as client:
        path = f"/api/v1/batches/{batch_id}"
        assert [item["item_id"] for item in client.get(f"{path}/contested").json()] == [one, other]
        history = client.get(f"{path}/items/{one}/decisions").json()
        assert [each["kind"] for each in history] == ["contested"]
        assert history[0]["reason"] == "Still undecided at the most answers: none of the 3 leads."
        chosen = {"chosen": {"sentiment": "negative"}, "reason": "Irony."}
        assert client.post(f"{path}/items/{one}/adjudicate", json=chosen).json()["state"] == "adjudicated"
        left = client.post(f"{path}/items/{other}/publish", json={"reason": "Both."}).json()
        assert left["state"] == "contested"
        assert client.get(f"{path}/contested").json() == []
        last = client.get(f"{path}/items/{one}/decisions").json()[-1]
        assert (last["kind"], last["reason"], last["by_person"]) == ("adjudicated", "Irony.", True)
        assert last["winners"] == {"sentiment": "negative"}


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({}, ("adaptive", 3, 10, 5)),
        ({"answers_wanted": 4}, ("fixed", 4, 6, 4)),
        ({"redundancy": "fixed"}, ("fixed", 3, 5, 3)),
        ({"redundancy": "adaptive", "answers_max": 4}, ("adaptive", 3, 4, 4)),
        ({"redundancy": "adaptive", "answers_wanted": 2}, ("adaptive", 2, 10, 5)),
        ({"answers_max": 2}, ("adaptive", 2, 2, 2)),
    ],
)
def test_a_batch_asks_for_as_many_answers_as_it_takes_unless_told_otherwise(
    site: Any, asked: dict[str, Any], kept: tuple[Any, ...]
) -> None:
    names = ("redundancy", "answers_wanted", "answers_max", "answers_expected")
    with site.client("requester") as client:
        path = f"/api/v1/projects/{project(site, client)}/batches"
        made = client.post(path, json={"name": "B", **asked}).json()
        assert tuple(made[name] for name in names) == kept


def test_marks_get_a_fixed_number(site: Any) -> None:
    with site.client("requester") as client:
        of = project(site, client, "entities")
        made = client.post(f"/api/v1/projects/{of}/batches", json={"name": "B"}).json()
        assert (made["redundancy"], made["answers_wanted"]) == ("fixed", 3)
        refused = client.post(f"/api/v1/projects/{of}/batches", json={"name": "B", "redundancy": "adaptive"})
        assert refused.status_code == 422
        assert "closed list" in refused.json()["detail"]
        assert "As many as it takes" not in client.get(f"/projects/{of}/batches/new").text


def test_the_form_and_the_quote_count_what_items_are_expected_to_need(site: Any) -> None:
    rows = b"".join(b'{"data": {"text": "Message %d"}}\n' % n for n in range(4))
    with site.client("requester") as client:
        of = project(site, client)
        assert "As many as it takes (recommended)" in client.get(f"/projects/{of}/batches/new").text
        answer = client.post(
            f"/projects/{of}/batches",
            data={"name": "Adaptive", "redundancy": "adaptive", "answers_max": "8", "answers_wanted": "3"},
            follow_redirects=False,
        )
        batch_id = answer.headers["location"].rpartition("/")[2]
        client.post(f"/api/v1/batches/{batch_id}/uploads?name=rows.jsonl", content=rows)
        site.work_off()
        terms = {"currency": "KES", "pay_mode": "hourly", "estimate_seconds": 30}
        quote = client.put(f"/api/v1/batches/{batch_id}/terms", json=terms).json()
        assert quote["answers"] == 20
        page = client.get(f"/batches/{batch_id}").text
        assert "from 3 to 8" in page
        assert "Counted with 5 answers per item on average" in page


def test_far_apart_measures_are_pointed_out(site: Any) -> None:
    batch_id, _ = contested(site)
    with site.session() as session:
        batch = session.scalars(select(Batch).where(Batch.id == batch_id)).one()
        fit = fits.find_fit(session, batch.id)
        assert fit is not None
        measured = fit.agreement[0] | {"alpha": {"value": 0.1, "why": fit.agreement[0]["alpha"]["why"]}}
        measured["ac1"] = {"value": 0.1 + batch_views.SKEWED + 0.01, "why": measured["alpha"]["why"]}
        fit.agreement = [measured]
    with site.client("requester") as client:
        assert "Alpha and AC1 are far apart" in client.get(f"/batches/{batch_id}").text
        assert client.get(f"/api/v1/batches/{batch_id}").json()["agreement"][0]["skewed"] is True
