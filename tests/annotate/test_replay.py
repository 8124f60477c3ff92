"""A recording is played through a whole instance of its own, and what does not hold is named."""

import csv
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from rich.console import Console

from annotate import recordings, replay, replay_checks
from annotate.commands.replay import last_monday, monday_of, run
from annotate.commands.replay import replay as command
from annotate.commands.replay import rows as rows_of_report
from annotate.exports import pseudonym
from annotate.recordings import NoRecording, NotPlayable
from annotate.replay import Stage
from annotate.replay_checks import Export
from annotate.stack.throw_away import ThrowAway, throw_away_instance
from schemas.answers import AnswerValidator
from schemas.definition import parse

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
MARKED_MONDAY = MONDAY + timedelta(weeks=1)


def written(
    folder: Path, rows: list[list[Any]], gold: list[list[Any]] | None = None, *, seconds: bool = True
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "answers.csv").open("w", newline="") as file:
        head = ["task", "worker", "label", *(["seconds"] if seconds else [])]
        csv.writer(file).writerows([head, *rows])
    with (folder / "gold.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["task", "gold"], *(gold or [])])
    return folder


def tiny(folder: Path) -> Path:
    """Four workers, six tasks, a change of mind, and one worker who is often wrong."""
    rows = []
    for task in range(6):
        truth = "ab"[task % 2]
        for worker in range(4):
            if (task + worker) % 4:
                wrong = worker == 3 and task != 4
                rows.append([task, worker, "b" if wrong else truth, (5, 30, 130, 65)[(task + worker) % 4]])
    rows.append([5, 0, "a", 9])
    rows.append([5, 0, "b", 4])
    return written(folder, rows, [[task, "ab"[task % 2]] for task in range(6)])


def test_a_repeated_answer_is_a_version_of_the_first(tmp_path: Path) -> None:
    made = recordings.read(tiny(tmp_path / "tiny"), 20)
    final = made.final()
    assert made.kind == "choice"
    assert made.answers == len(final) + 2
    assert final["5", "0"].version == 3
    assert final["5", "0"].label == "b"
    assert made.redundancy == 3
    ids = [made.submission(step) for steps in made.steps.values() for step in steps]
    assert len(set(ids)) == made.answers
    assert ids == [made.submission(step) for steps in made.steps.values() for step in steps]


def test_days_have_seven_hours_and_weeks_five_days(tmp_path: Path) -> None:
    rows = [[task, 0, "ab"[task % 2], 3600] for task in range(40)] + [[0, 1, "a", 5]]
    made = recordings.read(written(tmp_path / "long", rows), 20)
    table = made.timetable(made.steps["0"], MONDAY)
    assert table[0][0] == MONDAY + timedelta(hours=9)
    days = {begins.date() for begins, _ in table}
    assert all(day.weekday() < 5 for day in days)
    worked = {day: sum(step.seconds for begins, step in table if begins.date() == day) for day in days}
    assert max(worked.values()) <= 7 * 3600
    assert made.weeks() == 2
    ends = [begins + timedelta(seconds=step.seconds) for begins, step in table]
    assert all(end < begins for end, (begins, _) in zip(ends[:-1], table[1:], strict=True))


def test_numbers_are_measured_and_not_voted_on(tmp_path: Path) -> None:
    rows = [[task, worker, task * 7 + worker - 50] for task in range(10) for worker in range(3)]
    made = recordings.read(written(tmp_path / "numbers", rows, seconds=False), 12)
    assert made.kind == "number"
    assert not made.timed
    assert {step.seconds for steps in made.steps.values() for step in steps} == {12}
    assert made.definition()["fields"][0]["min"] == -50
    assert made.value("-3") == -3


def test_marks_lie_in_something_that_reaches_as_far(tmp_path: Path) -> None:
    rows = [["0", "0", "[[1, 4], [6, 9]]"], ["0", "1", "[]"], ["1", "0", "[[0, 2]]"]]
    made = recordings.read(written(tmp_path / "spans", rows, [["1", "[[0, 7]]"]], seconds=False), 20)
    lines = [json.loads(line) for line in made.upload().splitlines()]
    assert made.kind == "spans"
    assert [len(line["data"]["text"]) for line in lines] == [9, 7]
    assert not [line for line in lines if "gold" in line]
    checker = AnswerValidator(parse(made.definition()))
    assert not checker.problems({"label": made.value(rows[0][2])}, lines[0]["data"])

    rows = [["0", "0", "[[1, 2, 4.5, 8]]"], ["0", "1", "[]"]]
    made = recordings.read(written(tmp_path / "boxes", rows, seconds=False), 20)
    assert made.kind == "boxes"
    assert made.value(rows[0][2]) == [{"x": 1, "y": 2, "width": 3.5, "height": 6, "label": "mark"}]
    assert parse(made.definition()).fields[0].source == "image"


def test_more_answers_than_a_batch_can_ask_for_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [["0", worker, "ab"[worker % 2], 3] for worker in range(103)]
    made = recordings.read(written(tmp_path / "many", rows), 20)
    assert (made.redundancy, made.left_out) == (100, 3)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([["0", "0", "[[1, 4]]"], ["0", "1", "[[2, 4, 6]]"]], "neither all spans"),
        ([["0", "0", "[1, 4]"], ["0", "1", "[sic] a text"]], "neither all spans"),
        ([["0", "0", "[]"], ["0", "1", "[]"]], "neither all spans"),
        ([["0", str(n), f"a text {n}"] for n in range(30)], "free texts"),
        ([["0", "0", "a"], ["0", "1", "a"]], "two labels"),
    ],
)
def test_what_cannot_be_played_is_said(tmp_path: Path, rows: list[list[str]], why: str) -> None:
    with pytest.raises(NotPlayable, match=why):
        recordings.read(written(tmp_path / "not", rows, seconds=False), 20)


def test_a_folder_without_answers_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(NoRecording, match=r"answers\.csv"):
        recordings.read(tmp_path, 20)
    with pytest.raises(NoRecording, match="line 3: worker is missing"):
        recordings.read(written(tmp_path / "hole", [["0", "0", "a", 3], ["1", "", "b", 3]]), 20)
    with pytest.raises(NoRecording, match="no number of seconds"):
        recordings.read(written(tmp_path / "time", [["0", "0", "a", "soon"]]), 20)


def test_the_weeks_are_over(tmp_path: Path) -> None:
    now = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
    assert last_monday(now, 1) == datetime(2026, 11, 16, tzinfo=UTC)
    assert last_monday(now, 3) == MONDAY
    assert monday_of("2026-W45") == MONDAY


def test_lost_and_doubled_answers_are_counted(tmp_path: Path) -> None:
    recording = recordings.read(tiny(tmp_path / "tiny"), 20)
    stage = Stage(recording, ("http://127.0.0.1:1",), "", MONDAY, "US", batch_id=str(UUID(int=7)))
    stage.people = {worker: UUID(int=100 + int(worker)) for worker in recording.steps}
    known = {one: pseudonym(UUID(int=7), person) for one, person in stage.people.items()}
    full: dict[tuple[str, str], dict[str, Any]] = {
        (task, known[worker]): {"version": step.version, "value": {"label": step.label}}
        for (task, worker), step in recording.final().items()
    }

    def counted(answers: dict[tuple[str, str], dict[str, Any]], rows: int | None = None) -> tuple[int, int]:
        found = replay_checks.stored(
            stage, Export(answers, {}, rows or len(answers)), len(full) if rows is None else rows
        )
        return found["lost"], found["doubled"]

    first, *_ = full
    assert counted(full) == (0, 0)
    assert counted({key: value for key, value in full.items() if key != first})[0] == 1
    changed = full | {
        first: {"version": 1, "value": {"label": "b" if full[first]["value"]["label"] == "a" else "a"}}
    }
    assert counted(changed)[0] == 1
    assert counted(full | {("99", "w-x"): full[first]})[1] == 1
    again = full | {first: full[first] | {"version": full[first]["version"] + 1}}
    assert counted(again)[1] == 1
    assert counted(full, len(full) + 1)[1] >= 1


@pytest.fixture(scope="module")
def instance() -> Iterator[ThrowAway]:
    console = Console(stderr=True)
    with throw_away_instance(console, MONDAY - timedelta(weeks=4)) as made:
        yield made


def test_a_crowd_is_played_killed_and_played_again(instance: ThrowAway, tmp_path: Path) -> None:
    """Web and worker are killed in the middle, and all is played a second time: nothing is lost, nothing doubled."""
    folder = tiny(tmp_path / "tiny")
    recording = recordings.read(folder, 20)
    sent: list[int] = []

    def kill_once(done: int) -> None:
        sent.append(done)
        if len(sent) == 7:
            for kept in instance.supervisor.kept:
                if kept.process is not None and kept.service.name in {"Web 1", "Web 2", "Worker"}:
                    os.kill(kept.process.pid, signal.SIGKILL)

    def once(progress: Any) -> tuple[Stage, replay.Played]:
        stage = Stage(recording, instance.urls, instance.token, MONDAY, "US")
        replay.join(stage, lambda _: None)
        replay.prepare(stage, lambda _: None)
        return stage, replay.play(stage, progress)

    _, first = instance.look_after(lambda: once(kill_once))
    assert first.sent == recording.answers
    assert first.again > 0
    stage, second = instance.look_after(lambda: once(lambda _: None))
    assert second.sent == second.duplicates == recording.answers

    found = instance.look_after(lambda: replay_checks.settle(stage, lambda _: None))
    assert not replay_checks.differs_from_mix(found)
    kept = replay_checks.stored(stage, found, len(found.answers))
    assert (kept["lost"], kept["doubled"], kept["stored"]) == (0, 0, len(recording.final()))
    right = replay_checks.quality(recording, found)
    assert right["gold"] == 6
    assert right["consensus"] >= right["majority"]

    codes = instance.look_after(lambda: replay.close_periods(stage, lambda _: None))
    assert codes == ["2026-W45"]
    with stage.operator(stage.over) as operator:
        paid = replay_checks.pay(operator, codes)
        assert operator.send("GET", "/api/v1/audit/bundles/2026-W45.zip").content[:2] == b"PK"
        assert replay_checks.ledger(operator)["failed"] == []
    assert paid["answers_paid"] == len(recording.final())
    assert paid["under_floor"] == 0
    assert paid["credited_seconds"] == replay_checks.recorded_seconds(recording)
    with pytest.raises(replay.WeekTaken, match="2026-W45"):
        replay.join(stage, lambda _: None)


def test_marks_are_played_and_their_agreement_is_shown(instance: ThrowAway, tmp_path: Path) -> None:
    marks = ["[[0, 10]]", "[[0, 8], [20, 30]]", "[]"]
    rows = [
        [task, worker, marks[(task + worker) % 3 if task else 0], 9]
        for task in range(4)
        for worker in range(3)
    ]
    folder = written(tmp_path / "marked", rows, [[task, "[[0, 10]]"] for task in range(4)])
    stage = Stage(recordings.read(folder, 20), instance.urls, instance.token, MARKED_MONDAY, "US")
    report = instance.look_after(lambda: run(stage, folder, Console(stderr=True)))
    assert report["failures"] == []
    assert report["alpha"]["metric"] == "span_overlap"
    assert report["alpha"]["shown"] == report["alpha"]["exported"]
    # Of three pairs, one shares 8 of 28 marked characters; two have one side unmarked. Task 0 is alike.
    assert report["alpha"]["pairs_alike"] == pytest.approx((1 + 3 * (16 / 28) / 3) / 4)
    assert report["accuracy"]["gold"] == 4
    assert report["accuracy"]["consensus"] == pytest.approx((1 + 3 * 16 / 18) / 4)
    report["wall_seconds"]["all"] = 1
    labels = dict(rows_of_report(report))
    assert labels["Accuracy of one answer alone"].startswith("0.6")
    assert labels["Alpha (span_overlap), batch's page"] == labels["Alpha (span_overlap), export"]
    with stage.as_requester(stage.over) as requester:
        items = replay_checks.export(requester, stage.batch_id).items.values()
    shown = [item["consensus"]["fields"]["label"]["agreement"] for item in items]
    assert shown == [{"alike": 3, "pairs": 3}, *[{"alike": pytest.approx(16 / 28, abs=1e-6), "pairs": 3}] * 3]


@pytest.mark.parametrize(
    ("exported", "shown", "reference", "wrong"),
    [
        (0.5, 0.5, None, 0),
        (None, None, None, 0),
        (0.5, 0.5 + 1e-12, 0.5, 0),
        (0.5, 0.6, None, 1),
        (0.5, None, None, 1),
        (0.5, 0.6, 0.5, 1),
        (None, None, 0.5, 2),
    ],
)
def test_alpha_is_compared_with_the_reference_or_else_with_the_page(
    exported: float | None, shown: float | None, reference: float | None, wrong: int
) -> None:
    compared = replay_checks._off({"exported": exported, "shown": shown, "reference": reference})
    assert sum(off for off, _ in compared) == wrong


@pytest.mark.slow
@pytest.mark.skipif(not (CROWD / "wsd").is_dir(), reason=f"real crowd answers are not here: {CROWD}")
def test_real_answers_pass_through_the_whole_product() -> None:
    done = CliRunner().invoke(command, [str(CROWD / "wsd"), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["failures"] == []
    assert report["answers"]["stored"] == 1770
    assert abs(report["alpha"]["exported"] - report["alpha"]["reference"]) <= 1e-9
    assert report["accuracy"]["consensus"] == pytest.approx(0.994, abs=0.001)
