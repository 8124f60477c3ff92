"""Agreement on real marks, against figures computed in another way: texts as rows of characters, the best match."""

import csv
import itertools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from schemas.answers import comparable
from tasks.aggregators.boxes import combine_boxes, overlap
from tasks.aggregators.spans import combine_spans
from tasks.agreement import Answers
from tasks.distances import alike, measures

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"

pytestmark = pytest.mark.skipif(
    not (CROWD / "spans_pico_a").is_dir(), reason=f"real crowd answers are not here: {CROWD}"
)


def rows_of(name: str, file: str, column: str) -> list[tuple[str, str, list[Any]]]:
    with (CROWD / name / file).open(encoding="utf-8", newline="") as lines:
        return [
            (row["task"], row.get("worker", ""), json.loads(row[column])) for row in csv.DictReader(lines)
        ]


def spans(marks: list[Any]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": "mark"} for start, end in marks]


def boxes(marks: list[Any]) -> list[dict[str, Any]]:
    return [
        {"x": x, "y": y, "width": right - x, "height": low - y, "label": "mark"} for x, y, right, low in marks
    ]


def by_task(rows: list[tuple[str, str, list[Any]]]) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for task, _, marks in rows:
        found[task].append(marks)
    return found


def test_spans_agree_as_rows_of_characters_say() -> None:
    rows = rows_of("spans_pico_a", "answers.csv", "label")
    found = measures(
        "spans", Answers.of((task, who, comparable("spans", spans(marks))) for task, who, marks in rows)
    )
    marked = np.zeros((len(rows), max(end for *_, marks in rows for _, end in marks)))
    for at, (*_, marks) in enumerate(rows):
        for start, end in marks:
            marked[at, start:end] = 1
    size = marked.sum(axis=1)
    apart = 1 - 2 * (marked @ marked.T) / np.add.outer(size, size)
    tasks = np.array([task for task, *_ in rows])
    same = (tasks[:, None] == tasks) & ~np.eye(len(rows), dtype=bool)
    others = same.sum(axis=1)
    assert others.min() >= 1
    within = (apart * same).sum(axis=1) / others
    among = apart[~np.eye(len(rows), dtype=bool)].mean()
    assert found.alpha.value == pytest.approx(1 - within.mean() / among, abs=0.002)
    of_tasks = [within[tasks == task].mean() for task in set(tasks.tolist())]
    assert found.percent.value == pytest.approx(1 - np.mean(of_tasks), abs=1e-9)


def test_boxes_agree_as_the_best_match_says() -> None:
    rows = rows_of("boxes_a", "answers.csv", "label")
    found = measures(
        "boxes", Answers.of((task, who, comparable("boxes", boxes(marks))) for task, who, marks in rows)
    )
    likeness = []
    for answers in by_task(rows).values():
        pairs = []
        for one, other in itertools.combinations(answers, 2):
            table = np.array([[overlap(tuple(a), tuple(b)) for b in other] for a in one]).reshape(
                len(one), len(other)
            )
            matched = linear_sum_assignment(table, maximize=True)
            pairs.append(2 * table[matched].sum() / (len(one) + len(other)) if one or other else 1.0)
        likeness.append(np.mean(pairs))
    assert found.percent.value == pytest.approx(np.mean(likeness), abs=0.001)
    assert found.alpha.value == pytest.approx(0.499, abs=0.005)


@pytest.mark.parametrize(
    ("name", "kind", "read", "combine"),
    [("spans_pico_a", "spans", spans, combine_spans), ("boxes_a", "boxes", boxes, combine_boxes)],
)
def test_answers_together_are_nearer_to_gold_than_one_alone(
    name: str, kind: str, read: Any, combine: Any
) -> None:
    answers = by_task(rows_of(name, "answers.csv", "label"))
    together, alone = [], []
    for task, _, marks in rows_of(name, "gold.csv", "gold"):
        known = comparable(kind, read(marks))
        given = [read(some) for some in answers[task]]
        together.append(alike(kind, [known, comparable(kind, combine(given))]))
        alone += [alike(kind, [known, comparable(kind, some)]) for some in given]
    assert np.mean(together) > np.mean(alone) + 0.07
