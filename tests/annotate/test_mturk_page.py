"""The Mechanical Turk audit in the browser and by the API: the same figures as the command, and clear refusals."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from annotate.commands.audit import audit

HEADER = "AssignmentId,WorkerId,AssignmentStatus,AcceptTime,SubmitTime,Reward\n"
ROW = "{id},{worker},{status},Tue Jun 09 03:{start:02}:00 GMT 2009,Tue Jun 09 03:{end:02}:00 GMT 2009,{reward}\n"
REAL = sorted((Path(__file__).parents[3] / "shared" / "data" / "mturk").glob("*.csv"))


def row(**more: Any) -> str:
    given = {"id": "A1", "worker": "W1", "status": "Approved", "start": 0, "end": 30, "reward": "$1.00"}
    return ROW.format(**{**given, **more})


SMALL = HEADER + row() + row(id="A2", start=15, end=45) + row(id="A3", worker="W2", status="Rejected")


def sent(*files: tuple[str, str | bytes]) -> list[tuple[str, tuple[str, str | bytes, str]]]:
    return [("files", (name, content, "text/csv")) for name, content in files]


def test_the_page_says_what_the_files_paid(site: Any) -> None:
    with site.client("organizer") as client:
        assert 'name="files" multiple' in client.get("/audit/mturk").text
        answer = client.post("/audit/mturk", files=sent(("small.csv", SMALL)), data={"floor": "US"})
        assert answer.status_code == 200
        # W1 held two assignments over 45 minutes for 2 dollars: 2.66 an hour, 3.44 are missing; W2 30 min for nothing.
        assert "$2.66" in answer.text
        assert "$3.44" in answer.text
        assert "$7.07" in answer.text
        assert "Rejected work was worked: the time of 1 rejected assignments counts" in answer.text
        assert "statutory, US.federal@1, as shipped" in answer.text


def test_every_worker_is_handed_over_as_a_table(site: Any) -> None:
    with site.client("organizer") as client:
        assert "Every worker as CSV" in client.get("/audit/mturk").text
        form = {"floor": "US", "as": "csv"}
        answer = client.post("/audit/mturk", files=sent(("small.csv", SMALL)), data=form)
    assert 'filename="mturk-workers.csv"' in answer.headers["content-disposition"]
    rows = {one["worker"]: one for one in csv.DictReader(io.StringIO(answer.text))}
    assert (rows["W1"]["assignments"], rows["W1"]["paid"], rows["W1"]["missing_pay"]) == ("2", "2.00", "3.44")
    assert rows["W1"]["union_hours"] == "0.7500"


def test_the_api_says_the_same_as_numbers(site: Any) -> None:
    files = sent(("a.csv", SMALL), ("b.csv", HEADER + row(id="B1", worker="W9") + row(id="", worker="W9")))
    with site.client("organizer") as client:
        answer = client.post("/api/v1/audit/mturk", files=files, data={"floor": "7.25USD"})
    said = answer.json()
    assert (said["assignments"], said["workers"], said["rejected"]) == (4, 3, 1)
    assert (said["paid"], said["missing_pay"], said["floor_per_hour"]) == (3.0, 9.7, 7.25)
    assert [one["batch"] for one in said["batches"]] == ["a.csv", "b.csv"]
    assert said["problems"] == [{"file": "b.csv", "line": 3, "field": "AssignmentId", "reason": "is empty"}]
    assert said["unusable_rows"] == 1


@pytest.mark.skipif(not REAL, reason="the real result files are not beside this clone")
def test_real_files_give_what_the_command_gives(site: Any) -> None:
    printed = CliRunner().invoke(audit, ["mturk", *map(str, REAL), "--floor", "US", "--json"]).stdout
    files = sent(*((path.name, path.read_bytes()) for path in REAL))
    with site.client("organizer") as client:
        said = client.post("/api/v1/audit/mturk", files=files, data={"floor": "US"})
        assert said.json() == json.loads(printed)
        page = client.post("/audit/mturk", files=files, data={"floor": "US"})
    assert page.status_code == 200
    assert f"{said.json()['assignments']:,}" in page.text


def test_two_files_of_one_name_stay_apart(site: Any) -> None:
    files = sent(("x.csv", SMALL), ("C:\\old\\x.csv", HEADER + row(id="Z", worker="W7")))
    with site.client("organizer") as client:
        said = client.post("/api/v1/audit/mturk", files=files).json()
    assert [one["batch"] for one in said["batches"]] == ["x.csv (1)", "x.csv (2)"]


@pytest.mark.parametrize(
    ("content", "floor", "words"),
    [
        (SMALL, "Atlantis", "This names no floor"),
        (SMALL, "FR", "The floor is not in dollars"),
        (SMALL, "", "This names no floor"),
        ("a,b\n1,2\n", "US", "it needs the columns"),
        (b"\xff\xfe\x00", "US", "is not UTF-8 text"),
        (HEADER, "US", "None of these rows could be used"),
        (HEADER + row(reward="a lot"), "US", "None of these rows could be used"),
    ],
)
def test_what_cannot_be_audited_says_why_and_keeps_the_floor(
    site: Any, content: str | bytes, floor: str, words: str
) -> None:
    with site.client("organizer") as client:
        answer = client.post("/audit/mturk", files=sent(("f.csv", content)), data={"floor": floor})
        assert answer.status_code == 422
        assert words in answer.text
        assert 'id="errors"' in answer.text
        assert f'name="floor" value="{floor}"' in answer.text
        assert 'aria-invalid="true"' in answer.text
        if floor:
            said = client.post("/api/v1/audit/mturk", files=sent(("f.csv", content)), data={"floor": floor})
            assert said.status_code == 422
            assert words in said.json()["detail"]


def test_bad_rows_are_named_also_when_all_are_bad(site: Any) -> None:
    with site.client("organizer") as client:
        answer = client.post(
            "/audit/mturk", files=sent(("f.csv", HEADER + row(reward="a lot"))), data={"floor": "US"}
        )
    assert "expected like $1.50" in answer.text


def test_no_file_and_too_many_are_refused(site: Any) -> None:
    with site.client("organizer") as client:
        none = client.post("/audit/mturk", data={"floor": "US"})
        assert (none.status_code, "Choose one or more" in none.text) == (422, True)
        many = sent(*((f"{n}.csv", SMALL) for n in range(51)))
        assert client.post("/api/v1/audit/mturk", files=many).status_code == 422


def test_a_file_above_the_usual_limit_is_taken_and_nothing_of_it_is_stored(site: Any) -> None:
    large = HEADER + "".join(row(id=f"A{n}", worker=f"W{n % 50}") for n in range(30_000))
    count = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    with site.client("organizer") as client:
        said = client.post("/api/v1/audit/mturk", files=sent(("large.csv", large)))
    assert said.json()["assignments"] == 30_000
    with site.session() as session:
        tables = session.scalar(text(count))
        assert tables > 10
        assert not session.scalar(text("SELECT count(*) FROM upload"))


@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), ("worker", 403), ("requester", 403), ("operator", 200)]
)
def test_it_is_for_organizers(site: Any, role: str | None, status: int) -> None:
    with site.client(role) as client:
        assert client.get("/audit/mturk").status_code == status
        assert client.post("/api/v1/audit/mturk", files=sent(("s.csv", SMALL))).status_code == status


def test_hostile_names_are_only_text(site: Any) -> None:
    hostile = HEADER + row(worker="<script>alert(1)</script>")
    with site.client("organizer") as client:
        page = client.post("/audit/mturk", files=sent(("<b>.csv", hostile)), data={"floor": "US"}).text
    assert "<script>alert" not in page
    assert "<b>.csv" not in page
    assert "&lt;script&gt;alert(1)" in page
