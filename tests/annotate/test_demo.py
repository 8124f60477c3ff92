"""The demo's content fits its definitions, and its story runs through a whole instance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from annotate import api_steps
from annotate import demo as story
from annotate.api_client import Api
from annotate.commands.demo import KNOWN_BEFORE, fill
from annotate.demo_content import WORKERS, Project, chance, projects
from annotate.stack.throw_away import throw_away_instance
from payments.periods import code_of, start_of
from schemas.answers import AnswerValidator
from schemas.definition import check, parse
from tasks.people import check_time_zone

STATIC = Path(story.__file__).parent


@pytest.mark.parametrize("project", projects(), ids=lambda one: one.field)
def test_whatever_the_crowd_answers_fits_the_definition(project: Project) -> None:
    assert check(project.definition) == []
    assert project.definition["content_classes"] == ["none"]
    assert all(set(project.languages) & set(worker.languages) for worker in WORKERS)
    validator = AnswerValidator(parse(project.definition))
    rows = [row for part in project.parts for row in part.rows]
    assert len({row["key"] for row in rows}) == len(rows)
    for row in rows:
        assert row.get("gold", {project.field: project.truth[row["key"]]}) == {
            project.field: project.truth[row["key"]]
        }
        for worker in WORKERS:
            luck = chance(worker.email, row["key"])
            value = project.answer_for(project.truth[row["key"]], worker.care, luck)
            assert validator.problems({project.field: value}, row["data"]) == []
            assert project.seconds_for(row["data"], luck) > 0


def test_the_marks_of_the_sentences_are_whole_names() -> None:
    _, sentences, _ = projects()
    texts = {row["key"]: row["data"]["text"] for part in sentences.parts for row in part.rows}
    assert len(texts) == 20
    for key, text in texts.items():
        assert "[" not in text
        for span in sentences.truth[key]:
            name = text[span["start"] : span["end"]]
            assert name.strip() == name != ""


def test_the_scenes_are_pictures_in_which_the_boxes_lie() -> None:
    *_, scenes = projects()
    for part in scenes.parts:
        for row in part.rows:
            picture = ET.parse(STATIC / row["data"]["image"].lstrip("/")).getroot()
            width, height = int(picture.attrib["width"]), int(picture.attrib["height"])
            for box in scenes.truth[row["key"]]:
                assert 0 <= box["x"] < box["x"] + box["width"] <= width
                assert 0 <= box["y"] < box["y"] + box["height"] <= height


def test_nobody_works_in_the_future() -> None:
    for worker in WORKERS:
        check_time_zone(worker.time_zone)
        for hours in (0.01, 3, 26, 50, 167):
            now = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=hours)
            made = story.Demo("http://127.0.0.1:1", "", "", now)
            begins = story.this_weeks_start(made, worker)
            assert begins >= made.this_week
            assert begins < now or hours < 1


def test_the_story_runs_and_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    closed = code_of(start_of(now) - timedelta(weeks=1))
    with throw_away_instance(Console(stderr=True), now - KNOWN_BEFORE) as instance:
        url, database = instance.urls[0], instance.env["DATABASE_URL"]
        instance.look_after(lambda: fill(database, url, "k" * 40, fast=True, as_document=False))
        first = capsys.readouterr().out
        instance.look_after(lambda: fill(database, url, "k" * 40, fast=True, as_document=False))
        second = capsys.readouterr().out
        with Api(url, instance.token) as operator:
            states = {week["code"]: week["state"] for week in operator.get("/api/v1/operate/periods")}
            found = operator.get("/api/v1/audit/wages", period=closed)["currencies"]
            checks = api_steps.checks(operator)
            runs = operator.get(f"/api/v1/operate/periods/{closed}")["runs"]
    assert states[closed] == "closed"
    assert states[code_of(now)] == "open"
    assert {one["currency"] for one in found} == {"EUR", "KES", "PHP"}
    assert sum(one["topups"] for one in found) > 0
    assert [
        one["name"] for one in checks["checks"] if not one["ok"] and "in the log" not in one["name"]
    ] == []
    assert {run["state"] for run in runs} == {"paid"}
    assert f"{closed} is closed" in first
    assert closed not in second
    for printed in (first, second):
        assert printed.count(f"{url}/enter/") == len(WORKERS) + 3, "one link for each person"
    assert first.index("/enter/") < first.index(f"{closed} is closed"), "as soon as there are people"
