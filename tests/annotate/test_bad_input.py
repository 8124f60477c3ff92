"""Bad input, end to end: each gets a clear message with place and remedy, good rows go in, nothing is stored half.

Sizes and broken connections stand in test_forms.py, foreign ids and hostile bodies of every route in test_routes.py,
all forms of bad rows and definitions in tests/schemas.
"""

import csv
import gzip
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import factories
import psutil
import pytest
from sending import FORM, RAW, Body, part, sender
from sqlalchemy import func, select

from annotate.visit import CLOCK_HEADER
from payments.earnings import Earning
from tasks import assignments
from tasks.answers import Answer
from tasks.intake import UploadPiece
from tasks.items import Item, Slot
from tasks.people import Person


def zipped(content: bytes) -> bytes:
    """Pack a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("rows.csv", content)
    return out.getvalue()


def line(**more: Any) -> bytes:
    """A line of JSON Lines."""
    return json.dumps({"text": "fine", **more}).encode() + b"\n"


def draft(client: Any, document: dict[str, Any] | None = None) -> str:
    """Make a project and a draft batch."""
    body = {"name": "Moods", "purpose": "To learn.", "definition": document or factories.example()}
    project = client.post("/api/v1/projects", json=body)
    assert project.status_code == 201, project.text
    batch = client.post(f"/api/v1/projects/{project.json()['id']}/batches", json={"name": "First"})
    assert batch.status_code == 201, batch.text
    return str(batch.json()["id"])


def count(site: Any, table: Any, **of: Any) -> int:
    """Count rows."""
    with site.session() as session:
        return int(session.scalar(select(func.count()).select_from(table).filter_by(**of)) or 0)


def by_api(client: Any, batch_id: str, name: str, content: bytes) -> None:
    sent = client.post(f"/api/v1/batches/{batch_id}/uploads", params={"name": name}, content=content)
    assert sent.status_code == 201, sent.text


def by_form(client: Any, batch_id: str, name: str, content: bytes) -> None:
    sent = client.post(f"/batches/{batch_id}/uploads", files={"file": (name, content)})
    assert sent.status_code == 200, sent.text


DOORS = pytest.mark.parametrize("door", [by_api, by_form])
FINE = b"text,key\nfine,1\n"
UNREADABLE = {
    "latin-1": ("text\nça va\n".encode("latin-1"), "byte 6, line 2", "Latin-1", "UTF-8"),
    "utf-16": ("text\nça va\n".encode("utf-16"), "byte 1, line 1", "UTF-16", "Save it again"),
    "utf-16 without a mark": ("text\nça\n".encode("utf-16-le"), "byte 2, line 1", "UTF-16", "Save it again"),
    "utf-32": ("text\nça va\n".encode("utf-32"), "byte 1, line 1", "UTF-16", "Save it again"),
    "zip or xlsx": (zipped(FINE), "byte 1, line 1", "zip archive or an Excel workbook", "Unpack it"),
    "gzip": (gzip.compress(FINE), "byte 1, line 1", "compressed with gzip", "Unpack it"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "byte 1, line 1", "old Excel workbook", "CSV UTF-8"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "byte 1, line 1", "a PDF", "Send the rows"),
    "nothing but NUL": (b"\0" * 5000, "byte 1, line 1", "NUL", "Save it again"),
    "empty": (b"", "line 1", "empty", "Send a header line"),
    "missing column": (b"message,key\nhello,1\n", "line 1", "'text' is missing", "Add or rename"),
    "unknown column": (b"text,colour\nx,red\n", "line 1, column 2", "unknown column 'colour'", "META_"),
    "column twice": (b"text,text\na,b\n", "line 1, column 2", "'text' stands twice", "Rename or remove"),
    "100,000 columns": (
        b"text," + b",".join(b"c%d" % n for n in range(100_000)) + b"\n",
        "line 1",
        "100,001 columns",
        "at most 500",
    ),
    "NUL in a header": (b"te\0xt\nx\n", "line 1, column 1", "hidden character", "Name it"),
    "override in a header": ("text,\u202eyek\nx,1\n".encode(), "line 1, column 2", "hidden", "Name it"),
    "only carriage returns": (b"text\rone\rtwo\r", "line 1", "carriage return", "Save it again"),
    "a header without an end": (b'"text\nx\n', "line 1", "cannot be read", "one line of column names"),
}


@DOORS
@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_used_says_why_where_and_what_to_do(
    site: Any, door: Callable[..., None], case: str
) -> None:
    content, place, message, remedy = UNREADABLE[case]
    with site.client("requester") as client:
        batch_id = draft(client)
        door(client, batch_id, "rows.csv", content)
        site.work_off()
        found = client.get(f"/api/v1/batches/{batch_id}").json()
        (upload,) = found["uploads"]
        assert (upload["state"], found["items"]) == ("failed", 0)
        assert upload["message"].startswith(place + ": ")
        assert message in upload["message"]
        assert remedy in upload["message"]
        assert upload["message"].isprintable()
        assert upload["message"] in unescape(client.get(f"/batches/{batch_id}").text)
    assert count(site, UploadPiece, upload_id=UUID(upload["id"])) == 0
    assert count(site, Item, batch_id=UUID(batch_id)) == 0


NEST = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
ROWS: dict[str, tuple[str, bytes, int, list[tuple[int, str, str]]]] = {
    "quoted line breaks, Windows line ends, a mark": (
        "rows.csv",
        b'\xef\xbb\xbftext,key\r\n"first\r\nof two",a\r\nsecond,b\r\n,c\r\n',
        2,
        [(5, "text", "missing")],
    ),
    "keys twice": ("rows.csv", b"text,key\nx,a\ny,a\nz,b\n", 2, [(3, "key", "stands in line 2 already")]),
    "cells too many": ("rows.csv", b"text,key\nx,a,b\ny,c\n", 1, [(2, "", "3 cells, the header has 2")]),
    "a quote that never ends": ("rows.csv", b'text,key\n"x,a\ny,b\n', 1, [(2, "", "not closed")]),
    "NUL": ("rows.csv", b"text,key\na\0b,1\nfine,2\n", 1, [(2, "text", "NUL")]),
    "a cell of 120,000 characters": (
        "rows.csv",
        b"text,key\n" + b"x" * 120_000 + b",1\nfine,2\n",
        1,
        [(2, "text", "120,000 characters")],
    ),
    "NUL and half a character": (
        "rows.jsonl",
        b'{"text": "a\\u0000"}\n{"text": "\\ud800"}\n' + line(),
        1,
        [(1, "text", "NUL"), (2, "text", "half a character")],
    ),
    "numbers without end": (
        "rows.jsonl",
        b'{"text": 1' + b"0" * 5_000 + b'}\n{"text": 1e999}\n{"text": NaN}\n' + line(),
        1,
        [(1, "text", "not kept exactly"), (2, "text", "NaN and endless"), (3, "text", "NaN and endless")],
    ),
    "names twice": ("rows.jsonl", b'{"text": "a", "text": "b"}\n' + line(), 1, [(1, "text", "stands twice")]),
    "nested without end": (
        "rows.jsonl",
        b"[" * 400_000 + b"\n" + b'{"text": ' + NEST + b"}\n" + line(),
        1,
        [(1, "", "nested deeper"), (2, "", "nested deeper")],
    ),
    "a million values": (
        "rows.jsonl",
        b'{"text": "x", "META_a": [' + b"0," * 400_000 + b"0]}\n" + line(),
        1,
        [(1, "", "more than 100,000 values")],
    ),
    "no objects": (
        "rows.jsonl",
        b'"text"\n[1]\nnull\n' + line(),
        1,
        [(n, "", "no JSON object") for n in (1, 2, 3)],
    ),
    "no JSON": ("rows.jsonl", b"text=x\n" + line(), 1, [(1, "", "not JSON")]),
}


@DOORS
@pytest.mark.parametrize("case", ROWS)
def test_bad_rows_come_back_and_good_ones_go_in(site: Any, door: Callable[..., None], case: str) -> None:
    name, content, good, bad = ROWS[case]
    with site.client("requester") as client:
        batch_id = draft(client)
        door(client, batch_id, name, content)
        site.work_off()
        found = client.get(f"/api/v1/batches/{batch_id}").json()
        (upload,) = found["uploads"]
        assert (upload["state"], upload["rows_good"], found["items"]) == ("imported", good, good)
        problems = client.get(f"/api/v1/uploads/{upload['id']}").json()["problems"]
        assert [(one["line"], one["field"]) for one in problems] == [(at, field) for at, field, _ in bad]
        page = unescape(client.get(f"/batches/{batch_id}").text)
        for one, (_, _, said) in zip(problems, bad, strict=True):
            assert said in one["reason"]
            assert one["hint"]
            assert len(one["value"]) <= 100
            assert one["reason"] in page
            assert one["hint"] in page
    assert count(site, Slot, batch_id=UUID(batch_id)) == 3 * good


@contextmanager
def memory() -> Iterator[list[int]]:
    """Watch by how many bytes this process grows meanwhile."""
    process, grown, stop = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not stop.wait(0.01):
            grown[0] = max(grown[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield grown
    finally:
        stop.set()
        watcher.join()


@pytest.mark.parametrize(
    ("path", "kind", "before", "after"),
    [
        ("/batches/{}/uploads", FORM, part("file", "rows.csv") + b"text,key\n", b"\n\r\n--edge--\r\n"),
        ("/batches/{}/uploads", FORM, part("file", "rows.csv") + b'text,key\n"', b"\r\n--edge--\r\n"),
        ("/api/v1/batches/{}/uploads?name=rows.csv", RAW, b"text,key\n", b"\nfine,1\n"),
        ("/api/v1/batches/{}/uploads?name=rows.jsonl", RAW, line() + b'{"text": "', b'"}\n' + line()),
    ],
)
def test_one_line_of_a_hundred_megabytes_costs_one_row_and_no_memory(
    site: Any, path: str, kind: dict[str, str], before: bytes, after: bytes
) -> None:
    with site.client("requester") as client:
        batch_id = draft(client)
    with memory() as grown:
        sent = sender(site, "requester").send(path.format(batch_id), Body(100 << 20, before, after), kind)
        assert sent.status_code in {201, 302}
        site.work_off()
    assert grown[0] < 64 << 20
    with site.client("requester") as client:
        (upload,) = client.get(f"/api/v1/batches/{batch_id}").json()["uploads"]
        (problem,) = client.get(f"/api/v1/uploads/{upload['id']}").json()["problems"]
    assert (upload["state"], upload["rows_bad"]) == ("imported", 1)
    assert (
        problem["reason"] == "the row has more than 1,048,576 bytes." or "the line has" in problem["reason"]
    )
    assert problem["hint"] == "Shorten it."


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("\u202evsc.\u202dexe.csv", "vsc.exe.csv"),
        ("../../etc/passwd.csv", "passwd.csv"),
        ("C:\\Users\\me\\rows.csv", "rows.csv"),
        ("a\0b\x07.csv", "ab.csv"),
        ("<b>rows</b>.jsonl", "b>.jsonl"),
        ("n" * 300 + ".csv", "n" * 196 + ".csv"),
    ],
)
def test_a_files_name_is_one_line_that_shows_what_it_is(site: Any, name: str, kept: str) -> None:
    with site.client("requester") as client:
        batch_id = draft(client)
        by_api(client, batch_id, name, FINE)
        (upload,) = client.get(f"/api/v1/batches/{batch_id}").json()["uploads"]
        assert upload["file_name"] == kept


@pytest.mark.parametrize("name", ["rows.xlsx", "rows.csv.gz", "rows.zip", "rows", "", ".csv/"])
@DOORS
def test_a_file_of_another_kind_is_refused_by_its_name(site: Any, door: Any, name: str) -> None:
    with site.client("requester") as client:
        batch_id = draft(client)
        if door is by_api:
            answer = client.post(f"/api/v1/batches/{batch_id}/uploads", params={"name": name}, content=FINE)
        else:
            answer = client.post(f"/batches/{batch_id}/uploads", files={"file": (name, FINE)})
        assert answer.status_code == 422
        assert "a .csv or" in answer.text
        assert client.get(f"/api/v1/batches/{batch_id}").json()["uploads"] == []


FORMULAS = (
    "=SUM(A1:A9)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\ttab",
    "＝1+1",
    "'=quoted",
    "-5",
    "ok",
)


def test_what_a_spreadsheet_would_run_is_stored_as_it_is_and_exported_harmless(site: Any) -> None:
    document = factories.example()
    document["data"]["properties"]["=col"] = {"type": "string"}
    content = io.StringIO()
    write = csv.writer(content)
    write.writerow(["text", "key", "=col"])
    for number, formula in enumerate(FORMULAS):
        write.writerow([formula, f"={number}", formula])
    with site.client("requester") as client:
        batch_id = draft(client, document)
        by_api(client, batch_id, "rows.csv", content.getvalue().encode())
        site.work_off()
        lines = client.get(f"/batches/{batch_id}/export?kind=jsonl").text.splitlines()
        assert [json.loads(one)["data"]["text"] for one in lines] == list(FORMULAS)
        table = list(csv.reader(io.StringIO(client.get(f"/batches/{batch_id}/export?kind=csv").text)))
        assert all(cell[:1] not in set("=+@\t＝") for row in table for cell in row)
        assert [row[1] for row in table[1:]] == [*("'" + one for one in FORMULAS[:7]), "-5", "ok"]
        by_api(client, batch_id, "bad.csv", b"text,key\n,=1\n=cmd,=0\n")
        site.work_off()
        upload = client.get(f"/api/v1/batches/{batch_id}").json()["uploads"][0]
        back = list(csv.reader(io.StringIO(client.get(f"/uploads/{upload['id']}/problems.csv").text)))
        assert all(cell[:1] not in set("=+@") for row in back for cell in row)


def changed(**more: Any) -> dict[str, Any]:
    return factories.example() | more


def with_column(**rule: Any) -> dict[str, Any]:
    document = factories.example()
    document["data"]["properties"]["other"] = {"type": "string", **rule}
    return document


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        inner = {"type": "object", "properties": {"a": inner}}
    document = factories.example()
    document["data"]["properties"]["other"] = inner
    return document


DEFINITIONS = {
    "unknown keyword": (changed(lables=[]), "/lables", "unknown keyword 'lables'"),
    "remote reference": (
        with_column(**{"$ref": "http://127.0.0.1:9/schema.json"}),
        "/data/properties/other/$ref",
        "fetches nothing",
    ),
    "file reference": (
        with_column(**{"$ref": "file:///etc/passwd"}),
        "/data/properties/other/$ref",
        "fetches",
    ),
    "catastrophic pattern": (
        with_column(pattern="^(a+)+$"),
        "/data/properties/other/pattern",
        "cannot be used",
    ),
    "another": (with_column(pattern="(x+x+)+y"), "/data/properties/other/pattern", "cannot be used"),
    "depth 9": (deep(9), "/data", "deeper than"),
    "depth 200": (deep(200), "", "deeper than"),
    "NUL": (changed(title="a\0b"), "/title", "NUL"),
    "a number without end": (changed(fairlabel=10**30), "/fairlabel", "not kept exactly"),
    "300 KB": (changed(instructions="x" * 300_000), "", "262,144"),
}


@pytest.mark.parametrize("case", DEFINITIONS)
def test_a_wrong_definition_is_told_by_place_and_remedy_and_stored_nowhere(site: Any, case: str) -> None:
    document, place, said = DEFINITIONS[case]
    body = {"name": "Wrong", "purpose": "To see.", "definition": document}
    with site.client("requester") as client:
        before = len(client.get("/api/v1/projects").json())
        refused = client.post("/api/v1/projects", json=body)
        assert refused.status_code == 422
        told = [one for one in refused.json()["problems"] if said in one["message"]]
        assert told, refused.json()
        assert told[0]["pointer"].startswith(place)
        assert told[0]["hint"]
        checked = client.post("/api/v1/definitions/check", json={"definition": document})
        assert told[0] in checked.json()["problems"]
        form = {"name": "Wrong", "purpose": "To see.", "definition": json.dumps(document)}
        page = client.post("/projects", data=form)
        assert page.status_code == 422
        assert said in unescape(page.text) or "too long" in page.text
        assert len(client.get("/api/v1/projects").json()) == before


@pytest.mark.parametrize("levels", [1_000, 100_000])
def test_a_definition_that_is_nested_without_end_is_refused_at_both_doors(site: Any, levels: int) -> None:
    text = '{"a":' * levels + "1" + "}" * levels
    with site.client("requester") as client:
        content = b'{"name": "x", "purpose": "y", "definition": ' + text.encode() + b"}"
        headers = {"content-type": "application/json"}
        for path in ("/api/v1/projects", "/api/v1/definitions/check"):
            refused = client.post(path, content=content, headers=headers)
            problems = refused.json().get("problems", [])
            said = refused.json().get("detail", "") + "".join(one["message"] for one in problems)
            assert "nested" in said, refused.text
        page = client.post("/projects", data={"name": "x", "purpose": "y", "definition": text[:200_000]})
        assert page.status_code == 422
        assert "nested deeper than 32 levels" in page.text


@pytest.mark.parametrize("name", ["a\u202eb", "a\x07b", "a\u2066b", "a\nb", "\ufeffa"])
def test_a_name_hides_nothing_and_turns_nothing_around(site: Any, name: str) -> None:
    with site.client("requester") as client:
        body = {"name": name, "purpose": "To see.", "definition": factories.example()}
        refused = client.post("/api/v1/projects", json=body)
        assert (refused.status_code, refused.json()["title"]) == (422, "HiddenCharacter")
        assert refused.json()["field"] == "name"
        form = {"name": name, "purpose": "To see.", "definition": json.dumps(factories.example())}
        page = client.post("/projects", data=form)
        assert page.status_code == 422
        assert "cannot be seen" in page.text
        assert "To see." in page.text  # as it was typed
        project = client.post("/api/v1/projects", json=body | {"name": "Fine"}).json()["id"]
        refused = client.post(f"/api/v1/projects/{project}/batches", json={"name": name})
        assert refused.json()["title"] == "HiddenCharacter"
        page = client.post(f"/projects/{project}/batches", data={"name": name, "answers_wanted": "3"})
        assert "cannot be seen" in page.text


@pytest.mark.parametrize("name", ["Zoë 👩‍👩‍👧 Noor", "نور‌الدین", "עברית", "陈 小明"])
def test_names_of_all_scripts_are_welcome(site: Any, name: str) -> None:
    with site.client("requester") as client:
        body = {"name": name, "purpose": "To see.", "definition": factories.example()}
        assert client.post("/api/v1/projects", json=body).json()["name"] == name


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": 5}, "/name"),
        ({"name": "x", "answers_wanted": "three"}, "/answers_wanted"),
        ({"name": "x", "answers_wanted": 2**70}, "/answers_wanted"),
        ({"name": "x", "answers_wanted": 1.5}, "/answers_wanted"),
        ({"name": "x", "languages": "en"}, "/languages"),
        ({"name": "x", "languages": [5]}, "/languages"),
        ({"name": "x", "more": 1}, ""),
        ({}, "/name"),
        ([], ""),
    ],
)
def test_a_body_of_wrong_types_says_where(site: Any, body: Any, place: str) -> None:
    with site.client("requester") as client:
        batches = client.get(f"/api/v1/batches/{draft(client)}").json()["project_id"]
        wrong = client.post(f"/api/v1/projects/{batches}/batches", json=body)
        assert wrong.status_code in {400, 422}
        assert wrong.headers["content-type"] == "application/problem+json"
        said = json.dumps(wrong.json())
        assert place.removeprefix("/") in said
        assert len(client.get(f"/api/v1/projects/{batches}/batches").json()) == 1


@dataclass
class Held:
    """A worker's assignment in an open batch."""

    site: Any
    worker: Person
    batch: str
    assignment: str
    submission: str
    at: datetime

    def answer(self, value: Any = None) -> Any:
        """Send an answer."""
        body = {"submission_id": self.submission, "answer": factories.ANSWER if value is None else value}
        with self.site.client(self.worker) as client:
            client.headers[CLOCK_HEADER] = self.at.isoformat()
            return client.put(f"/api/v1/assignments/{self.assignment}/answer", json=body)


@pytest.fixture
def held(site: Any) -> Held:
    """Somebody who holds one item of a funded batch with one wanted answer."""
    with site.session() as session:
        worker = factories.worker(session, site.now)
        batch = factories.opened_batch(session, site.now, items=1, answers_wanted=1)
    with site.client(worker) as client:
        (item,) = client.get(f"/api/v1/work/{batch.id}/next").json()["items"]
    return Held(site, worker, str(batch.id), item["assignment_id"], str(uuid4()), site.now)


def test_a_repeated_submission_is_stored_once(site: Any, held: Held) -> None:
    answers = [held.answer().json() for _ in range(5)]
    assert [one["duplicate"] for one in answers] == [False, True, True, True, True]
    reused = held.answer({"sentiment": "negative"})
    assert (reused.status_code, reused.json()["title"]) == (409, "SubmissionReused")
    assert "make a new one" in reused.json()["detail"]
    of = UUID(held.assignment)
    assert (count(site, Answer, assignment_id=of), count(site, Earning, assignment_id=of)) == (1, 1)


def test_a_late_submission_is_stored_and_paid_though_somebody_else_has_the_slot(
    site: Any, held: Held
) -> None:
    held.at = site.now + timedelta(hours=3)
    with site.session() as session:
        other = factories.worker(session, site.now)
        assignments.expire(session, held.at)
    with site.client(other) as client:
        client.headers[CLOCK_HEADER] = held.at.isoformat()
        assert len(client.get(f"/api/v1/work/{held.batch}/next").json()["items"]) == 1
    late = held.answer()
    assert late.status_code == 200, late.text
    assert (late.json()["stored"], late.json()["surplus"]) == (True, True)
    assert count(site, Earning, assignment_id=UUID(held.assignment), kind="submitted") == 1


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"sentiment": "glad"}, "/sentiment"),
        ({"sentiment": 5}, "/sentiment"),
        ({"sentiment": "a\0"}, "/sentiment"),
        ({}, "/sentiment"),
        ({"sentiment": "positive", "more": 1}, "/more"),
    ],
)
def test_a_wrong_answer_says_where_and_stores_nothing(site: Any, held: Held, answer: Any, place: str) -> None:
    wrong = held.answer(answer)
    assert wrong.status_code == 422
    assert place in {one["pointer"] for one in wrong.json()["problems"]}
    assert all(one["message"] and one["hint"] for one in wrong.json()["problems"])
    assert count(site, Answer, assignment_id=UUID(held.assignment)) == 0
    assert held.answer().status_code == 200
