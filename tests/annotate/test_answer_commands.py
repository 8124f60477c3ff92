"""`fairlabel agreement` and `fairlabel consensus` on tables of answers: documents, tables, and files with faults."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from annotate.answer_files import read
from annotate.cli import main

HEADER = "task,worker,label\n"
SMALL = HEADER + "1,a,x\n1,b,x\n1,c,y\n2,a,y\n2,b,y\n2,c,y\n10,a,x\n10,b,y\n"
CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"


def run(command: str, tmp_path: Path, content: str | bytes, *arguments: str) -> Result:
    path = tmp_path / "answers.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return CliRunner().invoke(main, [command, str(path), *arguments])


def document(command: str, tmp_path: Path, content: str, *arguments: str) -> dict[str, Any]:
    result = run(command, tmp_path, content, "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_agreement_as_a_document(tmp_path: Path) -> None:
    found = document("agreement", tmp_path, SMALL)
    assert found["alpha"].keys() == {"nominal"}
    assert found["percent"] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert found["fleiss_kappa"] is None
    assert "same number" in found["reason"]["fleiss_kappa"]
    assert found["ac1"] is not None
    assert (found["tasks"], found["workers"], found["answers"]) == (3, 3, 8)
    low, high = found["intervals"]["percent"]
    assert low <= found["percent"] <= high


def test_agreement_at_each_level(tmp_path: Path) -> None:
    numbers = HEADER + "1,a,1\n1,b,2\n2,a,5\n2,b,5\n3,a,4\n3,b,4.0\n"
    every = document("agreement", tmp_path, numbers)["alpha"]
    assert every.keys() == {"nominal", "ordinal", "interval", "ratio"}
    only = document("agreement", tmp_path, numbers, "--level", "interval")["alpha"]
    assert only == {"nominal": every["nominal"], "interval": every["interval"]}
    words = document("agreement", tmp_path, SMALL, "--level", "ordinal")
    assert words["alpha"]["ordinal"] is None
    assert words["reason"]["alpha_ordinal"] == "The labels have no order."
    ordered = document("agreement", tmp_path, SMALL, "--level", "ordinal", "--order", "y,x")
    assert ordered["alpha"]["ordinal"] is not None


def test_marks_agree_in_part(tmp_path: Path) -> None:
    spans = HEADER + '1,a,"[[0, 10]]"\n1,b,"[[0, 9]]"\n2,a,"[[20, 30]]"\n2,b,"[[21, 30]]"\n'
    found = document("agreement", tmp_path, spans)
    assert found["kind"] == "spans"
    assert found["alpha"]["marks"] > 0.9
    assert found["percent"] > 0.9
    assert found["ac1"] is None


def test_consensus_as_a_document(tmp_path: Path) -> None:
    found = document("consensus", tmp_path, SMALL)
    assert found["method"] == "mix"
    assert list(found["tasks"]) == ["1", "2", "10"]
    assert found["tasks"]["1"]["label"] == "x"
    assert sum(found["tasks"]["1"]["distribution"].values()) == pytest.approx(1, abs=1e-5)
    assert found["workers"]["a"]["answers"] == 3
    assert found["accuracy"] is None


def test_level_labels_are_told_and_share_the_chance(tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("task,gold\n1,x\n10,y\n99,x\n2,never given\n", "utf-8")
    found = document("consensus", tmp_path, SMALL, "--method", "majority", "--gold", str(gold))
    assert found["tasks"]["10"]["tied"] is True
    assert found["tasks"]["10"]["label"] == "x"
    assert "tied" not in found["tasks"]["1"]
    assert found["accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["gold"] == {"tasks": 3, "without_answers": 1}


def test_known_classes_are_built_upon_and_not_counted(tmp_path: Path) -> None:
    known, gold = tmp_path / "known.csv", tmp_path / "gold.csv"
    known.write_text("task,gold\n1,y\n", "utf-8")
    gold.write_text("task,gold\n1,x\n2,y\n", "utf-8")
    found = document("consensus", tmp_path, SMALL, "--known", str(known), "--gold", str(gold))
    assert found["tasks"]["1"]["distribution"] == {"y": 1.0}
    assert (found["accuracy"], found["gold"]["tasks"]) == (1.0, 1)


def test_the_last_answer_counts_in_any_dress(tmp_path: Path) -> None:
    dressed = '\ufeffTask;Worker;note;Label\r\n1;a;"two\r\nlines";x\r\n\r\n1;a;;y\r\n1;b;;y\r\n'
    found = document("consensus", tmp_path, dressed)
    assert found["tasks"]["1"] == {"label": "y", "confidence": 1.0, "distribution": {"y": 1.0}}
    assert (found["rows"], found["answers"]) == (3, 2)


def test_comparisons(tmp_path: Path) -> None:
    rows = "left,right,worker,label\na,b,w,a\nb,c,w,left\nc,a,v,a\nc,d,v,right\n"
    gold = tmp_path / "gold.csv"
    gold.write_text("left,right,gold\na,c,a\nb,a,b\n", "utf-8")
    found = document("consensus", tmp_path, rows, "--gold", str(gold))
    assert (found["kind"], found["method"]) == ("pairwise", "bradley_terry")
    scores = {name: one["label"] for name, one in found["tasks"].items()}
    assert scores["a"] > scores["b"] > scores["c"] < scores["d"]
    assert found["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("kind", "labels", "score"),
    [
        ("number", ["1.5", "2", "7", "8.25"], "r"),
        ("spans", ["[[0, 4]]", "[[0, 5]]", "[[9, 12]]", "[]"], "f1"),
        ("boxes", ["[[0, 0, 4, 4]]", "[[0, 0, 5, 4]]", "[[9, 9, 12, 12]]", "[]"], "f1"),
        ("text", ["a cat", "A cat.", "two dogs", "three dogs"], "word_error_rate"),
    ],
)
def test_other_kinds_have_their_own_score(tmp_path: Path, kind: str, labels: list[str], score: str) -> None:
    path, gold = tmp_path / "answers.csv", tmp_path / "gold.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["task", "worker", "label"], *[[at // 2, at % 2, label] for at, label in enumerate(labels)]]
        )
    with gold.open("w", newline="") as file:
        csv.writer(file).writerows([["task", "gold"], [0, labels[0]], [1, labels[2]]])
    result = CliRunner().invoke(main, ["consensus", str(path), "--kind", kind, "--gold", str(gold), "--json"])
    found = json.loads(result.stdout)
    assert found["accuracy"] is None
    assert 0 <= found[score] <= 1
    assert CliRunner().invoke(main, ["consensus", str(path), "--kind", kind]).exit_code == 0


def test_a_clique_is_shown_and_nobody_is_blamed(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    sheet, truth = random.integers(0, 2, (2, 80))
    rows = [f"{at},same{who},{sheet[at]}" for at in range(80) for who in range(4)]
    rows += [
        f"{at},[red]w{who},{truth[at] if random.random() < 0.85 else 1 - truth[at]}"
        for at in range(80)
        for who in range(8)
    ]
    table = HEADER + "\n".join(rows)
    (signal,) = [
        one for one in document("consensus", tmp_path, table)["signals"] if one["signal"] == "clique"
    ]
    assert signal["workers"] == ["same0", "same1", "same2", "same3"]
    assert signal["words"].startswith("Look here")
    shown = run("consensus", tmp_path, table).stdout
    assert "Look here" in shown
    assert "[red]w0" in shown


def test_tables_for_people(tmp_path: Path) -> None:
    shown = " ".join(run("agreement", tmp_path, SMALL).stdout.split())
    for fact in (
        "8 answers to 3 tasks by 3 workers",
        "Alpha, nominal",
        "Gwet’s AC1",
        "same number for each",
        "●",
    ):
        assert fact in shown
    shown = " ".join(run("consensus", tmp_path, SMALL).stdout.split())
    for fact in ("brought together by mix", "Least certain tasks", "█", "Who answered most"):
        assert fact in shown


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: the column task is missing"),
        (b"task,who,label\n1,a,x\n", "line 1: the column worker is missing"),
        (HEADER.encode(), "holds no answers"),
        (b"task,worker,label\n1,a,x\n2,b\n", "line 3: there are 2 columns"),
        (b"task,worker,label\n1,a,x\n,b,x\n", "line 3: task is empty"),
        (b"task,worker,label\n1,,x\n", "line 2: worker is empty"),
        (b"task,worker,label\n1,a,x\n1,b,\n", "line 3: the label is empty"),
        (b'task,worker,label\n1,a,"[[0, 1]]"\n1,b,"[[0, "\n', "line 3: the label '[[0, ' is not a JSON list"),
        (b"task,worker,label\n1,a,x\n1,b,caf\xe9\n", "line 3: this is not UTF-8"),
        (b'task,worker,label\n1,a,"x\n', "line 2: unexpected end of data"),
        (b"left,right,worker,label\na,b,w,c\n", "line 2: the label 'c' is neither"),
        (b"left,right,worker,label\na,a,w,a\n", "line 2: left and right name two different things"),
    ],
)
@pytest.mark.parametrize("command", ["agreement", "consensus"])
def test_faults_are_said_with_their_line(tmp_path: Path, command: str, content: bytes, reason: str) -> None:
    result = run(command, tmp_path, content)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())
    assert result.stdout == ""
    as_document = run(command, tmp_path, content, "--json")
    assert (as_document.exit_code, json.loads(as_document.stdout)["exit_code"]) == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--method", "kos"], "choose one of: mix, majority"),
        (["--kind", "number"], "the label 'x' is not a number"),
        (["--kind", "pairwise"], "columns left, right, worker and label"),
        (["--gold", "nowhere.csv"], "nowhere.csv cannot be opened"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arguments: list[str], reason: str) -> None:
    result = run("consensus", tmp_path, SMALL, *arguments)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())


def test_too_many_classes_are_refused_with_a_remedy(tmp_path: Path) -> None:
    rows = HEADER + "".join(f"{at},{at % 50},c{at % 2000}\n" for at in range(4000))
    result = run("consensus", tmp_path, rows, "--kind", "class")
    assert result.exit_code == 2
    assert "--method wawa" in " ".join(result.stderr.split())
    assert run("consensus", tmp_path, rows, "--kind", "class", "--method", "WAWA", "--json").exit_code == 0


@pytest.mark.skipif(not CROWD.is_dir(), reason=f"real crowd answers are not here: {CROWD}")
@pytest.mark.parametrize(
    ("name", "kind", "score", "least"),
    [
        ("dog", "class", "accuracy", 0.83),
        ("adult", "class", "accuracy", 0.77),
        ("emotion_valence", "number", "r", 0.84),
        ("spans_pico_a", "spans", "f1", 0.75),
        ("boxes_a", "boxes", "f1", 0.75),
    ],
)
def test_real_tables_are_understood(name: str, kind: str, score: str, least: float) -> None:
    folder = CROWD / name
    result = CliRunner().invoke(
        main, ["consensus", str(folder / "answers.csv"), "--gold", str(folder / "gold.csv"), "--json"]
    )
    found = json.loads(result.stdout)
    assert found["kind"] == kind
    assert found[score] >= least


@pytest.mark.skipif(not CROWD.is_dir(), reason=f"real crowd answers are not here: {CROWD}")
def test_texts_are_understood() -> None:
    folder = CROWD / "text_speech_other_a"
    result = CliRunner().invoke(
        main, ["consensus", str(folder / "answers.csv"), "--gold", str(folder / "gold.csv"), "--json"]
    )
    found = json.loads(result.stdout)
    assert found["kind"] == "text"
    assert found["word_error_rate"] <= 0.12
    assert read(CROWD / "text_jpen" / "answers.csv").kind == "text"
