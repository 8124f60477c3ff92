"""`fairlabel simulate` for people and for programs, and what it says of folders that it cannot use."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from annotate.cli import main

ANSWERS = "task,worker,label\n" + "".join(
    f"{task},{worker},{(task + (worker == 9 and task % 3 == 0)) % 2}\n"
    for task in range(40)
    for worker in range(10)
)
GOLD = "task,gold\n" + "".join(f"{task},{task % 2}\n" for task in range(40))


def run(folder: Path, *arguments: str, answers: str | None = ANSWERS, gold: str | None = GOLD) -> Result:
    for name, content in (("answers.csv", answers), ("gold.csv", gold)):
        if content is not None:
            (folder / name).write_text(content, "utf-8")
    return CliRunner().invoke(main, ["simulate", str(folder), "--orders", "2", *arguments])


def test_one_document_for_programs(tmp_path: Path) -> None:
    result = run(tmp_path, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["adaptive"]["accuracy"] == 1
    assert document["adaptive"]["answers_per_task"] < 5
    assert document["fixed_10"] == {"answers_per_task": 10, "accuracy": 1}
    assert document["recorded"] == {"tasks": 40, "answers": 400, "gold": 40}


def test_a_table_and_what_it_means_for_people(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "adaptive" in result.stdout
    assert "times as much" in result.stdout


def test_a_scheme_without_enough_answers_says_so(tmp_path: Path) -> None:
    few = "\n".join(line for line in ANSWERS.splitlines() if line.split(",")[1] in {"worker", "1", "2", "3"})
    document = json.loads(run(tmp_path, "--json", answers=few).stdout)
    assert document["fixed_5"] == {
        "answers_per_task": None,
        "accuracy": None,
        "reason": "Only 0 of 40 tasks have 5 answers.",
    }
    assert "Only 0 of 40 tasks have 10 answers." in run(tmp_path, answers=few).stdout


@pytest.mark.parametrize(
    ("answers", "gold", "says"),
    [
        (None, GOLD, "There is no"),
        (ANSWERS, None, "gold.csv"),
        ("task,worker,label\n", GOLD, "holds no answers"),
        ("task,worker\n1,2\n", GOLD, "line 2: label is missing"),
        ("task,worker,label\n1,2,[[0 3]]\n", GOLD, "closed list"),
        (ANSWERS, "task,gold\nother,1\n", "names no task"),
    ],
)
def test_bad_folders_get_one_message(
    tmp_path: Path, answers: str | None, gold: str | None, says: str
) -> None:
    result = run(tmp_path, answers=answers, gold=gold)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
