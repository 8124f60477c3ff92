"""The requester's line over HTTP: project, upload, quote, prefund, open, export; and what is refused on the way."""

import csv
import io
import json
from typing import Any
from uuid import uuid4

import factories
import pytest

from schemas import examples
from schemas.uploads import FILE_BYTES_MAX
from tasks import answers
from tasks.batches import Batch

ROWS = b"".join(
    json.dumps({"key": f"m{n}", "data": {"text": f"Message {n}"}}).encode() + b"\n" for n in range(4)
)


def project(client: Any, example: str = "sentiment") -> str:
    document = factories.example(example)
    made = client.post(
        "/api/v1/projects",
        json={"name": "Moods", "purpose": "To learn what people feel.", "definition": document},
    )
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def batch(client: Any, project_id: str = "", **more: Any) -> str:
    project_id = project_id or project(client)
    made = client.post(f"/api/v1/projects/{project_id}/batches", json={"name": "First", **more})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def uploaded(site: Any, client: Any, content: bytes, name: str = "rows.jsonl") -> Any:
    batch_id = batch(client)
    sent = client.post(f"/api/v1/batches/{batch_id}/uploads?name={name}", content=content)
    assert sent.status_code == 201, sent.text
    site.work_off()
    return client.get(f"/api/v1/uploads/{sent.json()['id']}").json()


def opened(site: Any, client: Any, rows: bytes = ROWS, **more: Any) -> str:
    batch_id = batch(client, **more)
    client.post(f"/api/v1/batches/{batch_id}/uploads?name=rows.jsonl", content=rows)
    site.work_off()
    terms = {"currency": "KES", "pay_mode": "piece", "piece_price": "3.00", "estimate_seconds": 30}
    quote = client.put(f"/api/v1/batches/{batch_id}/terms", json=terms)
    assert quote.status_code == 200, quote.text
    paid = {"amount": quote.json()["total_p95"], "currency": "KES", "reference": str(uuid4())}
    assert client.post("/api/v1/balance/prefund", json=paid).status_code == 201
    answer = client.post(f"/api/v1/batches/{batch_id}/open")
    assert answer.status_code == 200, answer.text
    return batch_id


def answered(site: Any, batch_id: str, value: dict[str, Any]) -> None:
    """A new worker gives the same answer to all items."""
    with site.session() as session:
        worker = factories.worker(session, site.now)
        for held in factories.claim(session, session.get_one(Batch, batch_id), worker.id, site.now, 10):
            answers.submit(
                session,
                assignment_id=held.id,
                worker_id=worker.id,
                submission_id=uuid4(),
                value=value,
                now=site.now,
            )


def test_a_batch_opens_with_its_money_and_is_exported_with_raw_answers_and_consensus(site: Any) -> None:
    with site.client("requester") as client:
        batch_id = opened(site, client)
        for _ in range(3):
            answered(site, batch_id, {"sentiment": "positive"})
        site.work_off()
        standing = client.get(f"/api/v1/batches/{batch_id}").json()
        assert {state: count for state, count in standing["states"].items() if count} == {"settled": 4}
        assert standing["complete"] is True
        assert standing["agreement"][0]["percent"]["value"] == 1
        assert standing["agreement"][0]["alpha"]["value"] is None
        lines = [
            json.loads(line)
            for line in client.get(f"/batches/{batch_id}/export?kind=jsonl").text.splitlines()
        ]
        assert [line["key"] for line in lines] == ["m0", "m1", "m2", "m3"]
        assert all(len(line["annotations"]) == 3 for line in lines)
        assert lines[0]["consensus"]["fields"]["sentiment"]["winner"] == "positive"
        table = list(csv.DictReader(io.StringIO(client.get(f"/batches/{batch_id}/export?kind=csv").text)))
        assert len(table) == 12
        assert {row["consensus.sentiment"] for row in table} == {"positive"}
        page = client.get(f"/batches/{batch_id}")
        assert page.status_code == 200
        assert "Every item is decided." in page.text


def test_agreement_on_marks_is_shown_to_people_and_programs(site: Any) -> None:
    made = {"name": "Names", "purpose": "To find names.", "definition": factories.example("entities")}
    rows = b"".join(
        b'{"key": "s%d", "data": {"text": "Amina met Otieno in Kisumu."}}\n' % n for n in range(2)
    )
    amina = {"start": 0, "end": 5, "label": "person"}
    given = [[amina], [amina, {"start": 10, "end": 16, "label": "person"}]]
    with site.client("requester") as client:
        project_id = client.post("/api/v1/projects", json=made).json()["id"]
        batch_id = opened(site, client, project_id=project_id, rows=rows, answers_wanted=2)
        before = client.get(f"/api/v1/batches/{batch_id}").json()["agreement"][0]
        assert before["alpha"] == {
            "value": None,
            "why": "Not measured yet; that is done within a minute of the first answers.",
        }
        for marks in given:
            answered(site, batch_id, {"entities": marks})
        site.work_off()
        found = client.get(f"/api/v1/batches/{batch_id}").json()["agreement"][0]
        # Five of 16 marked characters are shared in each item; over all, two pairs of six are the same.
        assert found["metric"] == "span_overlap"
        assert found["percent"]["value"] == pytest.approx(10 / 16)
        assert found["alpha"]["value"] == pytest.approx(1 - (6 / 16) / (4 / 6 * 6 / 16))
        assert found["ac1"]["value"] is None
        page = client.get(f"/batches/{batch_id}").text
        assert "0.625" in page
        assert "-0.500" in page
        assert (
            "alike by the characters that both marked (F1). Gwet’s AC1 is for answers that are equal or not."
            in page
        )
        lines = client.get(f"/batches/{batch_id}/export?kind=jsonl").text.splitlines()
        field = json.loads(lines[0])["consensus"]["fields"]["entities"]
        assert field["agreement"] == {"alike": 0.625, "pairs": 1}
        assert field["winner"] == given[1]


def test_a_batch_without_its_money_stays_a_draft_and_says_what_is_missing(site: Any) -> None:
    with site.client("requester") as client:
        batch_id = batch(client)
        client.post(f"/api/v1/batches/{batch_id}/uploads?name=rows.jsonl", content=ROWS)
        site.work_off()
        terms = {"currency": "KES", "pay_mode": "hourly", "estimate_seconds": 30}
        client.put(f"/api/v1/batches/{batch_id}/terms", json=terms)
        refused = client.post(f"/api/v1/batches/{batch_id}/open")
        assert refused.status_code == 409
        assert refused.headers["content-type"] == "application/problem+json"
        assert "missing" in refused.json()["detail"]
        assert client.get(f"/api/v1/batches/{batch_id}").json()["state"] == "draft"
        page = client.post(f"/batches/{batch_id}/open")
        assert page.status_code == 409
        assert "missing" in page.text


def test_bad_rows_come_back_with_line_field_and_reason_and_good_ones_go_in(site: Any) -> None:
    rows = b'text,key\r\n"first\nof two lines",a\r\n,b\r\n=SUM(A1),c\r\nagain,a\r\n'
    with site.client("requester") as client:
        upload = uploaded(site, client, rows, "rows.csv")
        assert (upload["state"], upload["rows_good"], upload["rows_bad"]) == ("imported", 2, 2)
        assert [(one["line"], one["field"]) for one in upload["problems"]] == [(4, "text"), (6, "key")]
        assert all(one["reason"] and one["hint"] for one in upload["problems"])


def test_pictures_that_no_page_may_show_come_back_and_the_page_says_which_may(site: Any) -> None:
    content = b"image\nhttps://elsewhere.example/a.png\n/media/a.png\n"
    with site.client("requester") as client:
        made = client.post(f"/api/v1/projects/{project(client, 'boxes')}/batches", json={"name": "Streets"})
        batch_id = made.json()["id"]
        assert "paths on this site, such as /media/street.jpg" in client.get(f"/batches/{batch_id}").text
        sent = client.post(f"/api/v1/batches/{batch_id}/uploads?name=rows.csv", content=content)
        site.work_off()
        upload = client.get(f"/api/v1/uploads/{sent.json()['id']}").json()
        assert (upload["rows_good"], upload["rows_bad"]) == (1, 1)
        assert upload["problems"][0]["reason"] == "pages here show no pictures from elsewhere.example."


def test_a_thousand_bad_rows_are_handed_back_as_a_file(site: Any) -> None:
    rows = b"text,key\n" + b"".join(b",bad%d\n" % n for n in range(1000)) + b"good,one\n"
    with site.client("requester") as client:
        upload = uploaded(site, client, rows, "rows.csv")
        assert (upload["rows_good"], upload["rows_bad"]) == (1, 1000)
        back = client.get(f"/uploads/{upload['id']}/problems.csv").text
        assert len(back.splitlines()) == 1001


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("text\nça va\n".encode("latin-1"), "rows.csv", "UTF-8"),
        ("text\nça va\n".encode("utf-16"), "rows.csv", "UTF-8"),
        (b"message\nhello\n", "rows.csv", "text"),
    ],
)
def test_a_file_that_cannot_be_read_stores_nothing(site: Any, content: bytes, name: str, said: str) -> None:
    with site.client("requester") as client:
        upload = uploaded(site, client, content, name)
        assert upload["state"] == "failed"
        assert said in upload["message"]
        assert upload["rows_good"] == 0


def test_a_file_over_the_limit_is_refused_before_it_is_read(site: Any) -> None:
    with site.client("requester") as client:
        batch_id = batch(client)
        headers = {"content-length": str(2 * FILE_BYTES_MAX)}
        refused = client.post(f"/api/v1/batches/{batch_id}/uploads?name=a.csv", content=b"x", headers=headers)
        assert refused.status_code == 413
        assert "too large" in refused.json()["detail"]


def test_an_import_that_runs_twice_stores_once(site: Any) -> None:
    with site.client("requester") as client:
        batch_id = batch(client)
        client.post(f"/api/v1/batches/{batch_id}/uploads?name=rows.jsonl", content=ROWS)
        site.work_off()
        client.post(f"/api/v1/batches/{batch_id}/uploads?name=rows.jsonl", content=ROWS)
        site.work_off()
        found = client.get(f"/api/v1/batches/{batch_id}").json()
        assert found["items"] == 4
        assert found["uploads"][0]["rows_known"] == 4


def test_the_form_takes_a_file_and_the_page_shows_each_stage(site: Any) -> None:
    with site.client("requester") as client:
        made = client.post(
            f"/projects/{project(client)}/batches",
            data={"name": "By hand", "answers_wanted": "3", "languages": ["en", "fr"]},
            follow_redirects=False,
        )
        page = made.headers["location"]
        assert "1. Upload items" in client.get(page).text
        client.post(f"{page}/uploads", files={"file": ("rows.jsonl", ROWS)})
        assert "Importing" in client.get(page).text
        site.work_off()
        assert "4 new items." in client.get(page).text
        form = {"currency": "EUR", "pay_mode": "piece", "piece_price": "0,05", "estimate_seconds": "30"}
        quoted = client.post(f"{page}/terms", data=form)
        assert "3. Quote" in quoted.text
        wrong = client.post(f"{page}/terms", data={**form, "piece_price": "much"})
        assert wrong.status_code == 422
        assert 'value="much"' in wrong.text


def test_a_definition_comes_back_with_all_its_problems_and_as_it_was_typed(site: Any) -> None:
    document = factories.example()
    document["lables"] = []
    document["fields"][0]["kind"] = "choise"
    with site.client("requester") as client:
        answer = client.post(
            "/projects", data={"name": "x", "purpose": "y", "definition": json.dumps(document)}
        )
        assert answer.status_code == 422
        assert "lables" in answer.text
        assert "/fields/0" in answer.text
        api = client.post("/api/v1/projects", json={"name": "x", "purpose": "y", "definition": document})
        assert api.status_code == 422
        assert len(api.json()["problems"]) >= 2
        deep = "[" * 1000 + "]" * 1000
        assert (
            client.post("/projects", data={"name": "x", "purpose": "y", "definition": deep}).status_code
            == 422
        )


def test_the_api_says_where_a_body_is_wrong(site: Any) -> None:
    with site.client("requester") as client:
        wrong = client.post(f"/api/v1/projects/{project(client)}/batches", json={"name": 5, "more": 1})
        assert wrong.status_code == 400
        assert wrong.headers["content-type"] == "application/problem+json"
        assert client.post("/api/v1/projects", content=b"{").status_code == 400


@pytest.mark.parametrize("name", sorted(examples()))
def test_a_checked_definition_is_said_to_be_right_and_previewed(site: Any, name: str) -> None:
    with site.client("requester") as client:
        sent = {"name": "", "purpose": "", "definition": json.dumps(examples()[name]), "action": "check"}
        page = client.post("/projects", data=sent).text
        assert "The definition is right. Nothing is saved yet." in page
        assert "<h2>Preview</h2>" in page
        without = {key: value for key, value in examples()[name].items() if key != "examples"}
        made_up = client.post("/projects", data=sent | {"definition": json.dumps(without)}).text
        assert "a made-up item" in made_up
        assert ("scene-01.svg" in made_up) == (name == "boxes")
        page = f"/projects/{project(client)}/definition"
        checked = client.post(page, data={"definition": json.dumps(without), "action": "check"}).text
        assert "The definition is right." in checked
        wrong = client.post(page, data={"definition": "{}", "action": "check"}).text
        assert "The definition is right." not in wrong
        assert "The definition is right." not in client.get(page).text
