"""`fairlabel audit mturk` for people and for programs, and what its exit codes say."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from annotate.cli import main

HEADER = "AssignmentId,WorkerId,AssignmentStatus,AcceptTime,SubmitTime,Reward\n"
GOOD = "A1,W1,Approved,Wed Jun 10 12:00:00 GMT 2009,Wed Jun 10 13:00:00 GMT 2009,$1.50\n"
BAD = "A2,[red]W2,Approved,yesterday,Wed Jun 10 13:00:00 GMT 2009,$1.50\n"
MARKUP = "A3,[red]W3,Rejected,Wed Jun 10 12:00:00 GMT 2009,Wed Jun 10 13:00:00 GMT 2009,$1.50\n"


def run(tmp_path: Path, content: str, *arguments: str, floor: str = "US") -> Result:
    path = tmp_path / "batch.csv"
    path.write_text(content, "utf-8")
    return CliRunner().invoke(main, ["audit", "mturk", str(path), "--floor", floor, *arguments])


def test_one_document_for_programs(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + GOOD + BAD, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (document["assignments"], document["paid"], document["missing_pay"]) == (1, 1.5, 5.75)
    assert document["floor_per_hour"] == 7.25
    assert document["unusable_rows"] == 1
    assert [(each["line"], each["field"]) for each in document["problems"]] == [(3, "AcceptTime")]
    assert len(document["treatment"]) >= 4
    assert not [sentence for sentence in document["treatment"] if sentence.startswith("0 ")]


def test_tables_for_people(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + GOOD + BAD + MARKUP)
    assert result.exit_code == 0
    for fact in ("batch.csv", "5.75", "[red]W3", "How the files were treated", "US.federal@1"):
        assert fact in result.stdout
    assert "batch.csv line 3: AcceptTime is 'yesterday'" in result.stderr
    assert "1 rows could not be used" in result.stderr


def test_no_usable_row(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + BAD, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["median_hourly_per_worker"] is None
    assert run(tmp_path, HEADER).exit_code == 1


@pytest.mark.parametrize(
    ("content", "floor", "says"),
    [
        ("a,b\n", "US", "not a Mechanical Turk result file"),
        (HEADER + GOOD, "Atlantis", "names no floor"),
        (HEADER + GOOD, "DE", "not in dollars"),
    ],
)
def test_nothing_is_printed_where_nothing_can_be_said(
    tmp_path: Path, content: str, floor: str, says: str
) -> None:
    result = run(tmp_path, content, "--json", floor=floor)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    paths = []
    for folder, identity in (("one", "A1"), ("two", "A9")):
        path = tmp_path / folder / "batch.csv"
        path.parent.mkdir()
        path.write_text(HEADER + GOOD.replace("A1", identity), "utf-8")
        paths.append(str(path))
    result = CliRunner().invoke(main, ["audit", "mturk", *paths, "--floor", "7.25USD", "--json"])
    assert [each["batch"] for each in json.loads(result.stdout)["batches"]] == paths
