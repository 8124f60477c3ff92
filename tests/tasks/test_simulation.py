"""Replaying recorded answers under the rule: what it counts, and the figures on real crowds."""

import csv
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from tasks import redundancy
from tasks.simulation import Simulation, simulate

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"


def crowd(tasks: int, answers: int, right: float) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """A crowd of twenty, each right as often."""
    drawing = np.random.default_rng(7)
    gold = {str(task): str(drawing.integers(2)) for task in range(tasks)}
    rows = []
    for task, known in gold.items():
        for worker in drawing.permutation(20)[:answers]:
            label = known if drawing.random() < right else str(1 - int(known))
            rows.append((task, str(worker), label))
    return rows, gold


def test_a_good_crowd_needs_few_answers_and_the_same_seed_says_the_same() -> None:
    rows, gold = crowd(200, 10, 0.9)
    steps: list[int] = []
    found = simulate(rows, gold, orders=2, advance=lambda: steps.append(1))
    assert found == simulate(rows, gold, orders=2)
    assert found != simulate(rows, gold, orders=2, seed=1)
    assert len(steps) == 2
    assert (found.tasks, found.answers, found.gold) == (200, 2000, 200)
    assert found.adaptive.answers_per_task is not None
    assert redundancy.LEAST_OF_TWO < found.adaptive.answers_per_task < 5
    assert found.fixed[10].answers_per_task == 10
    assert found.adaptive.accuracy is not None
    assert found.adaptive.accuracy >= 0.95


def test_never_more_than_recorded_nor_than_the_most() -> None:
    rows, gold = crowd(60, 4, 0.6)
    few = simulate(rows, gold, orders=2)
    assert few.adaptive.answers_per_task is not None
    assert few.adaptive.answers_per_task <= 4
    assert few.fixed[5].accuracy is None
    assert few.fixed[5].why == "Only 0 of 60 tasks have 5 answers."
    rows, gold = crowd(60, 20, 0.5)
    guessed = simulate(rows, gold, orders=2)
    assert guessed.adaptive.answers_per_task is not None
    assert guessed.adaptive.answers_per_task <= redundancy.MOST


def test_the_last_answer_of_a_worker_counts_and_one_label_is_no_trouble() -> None:
    rows = [("1", "a", "no"), ("1", "a", "yes"), ("1", "b", "yes"), ("1", "c", "yes"), ("2", "a", "yes")]
    found = simulate(rows, {"1": "yes"}, orders=1)
    assert found.answers == 4
    assert found.adaptive.accuracy == 1


@pytest.mark.skipif(not CROWD.is_dir(), reason=f"real crowd answers are not here: {CROWD}")
def test_real_crowds_need_half_of_ten_answers_and_are_right_as_often() -> None:
    gains = []
    for name, loss in {
        "dog": 0.005,
        "rte": 0.005,
        "sentiment": 0.005,
        "bluebird": 0.005,
        "cf_amt": 0.025,
    }.items():
        found = real(name)
        adaptive, five, ten = found.adaptive, found.fixed[5], found.fixed[10]
        assert adaptive.answers_per_task is not None
        assert adaptive.accuracy is not None
        assert five.accuracy is not None
        assert ten.accuracy is not None
        assert adaptive.answers_per_task <= 5, name
        assert adaptive.accuracy >= ten.accuracy - loss, name
        assert adaptive.accuracy >= five.accuracy - 0.01, name
        gains.append(adaptive.accuracy - five.accuracy)
    assert median(gains) >= 0.02


def real(name: str) -> Simulation:
    """A recorded crowd, in six orders."""
    with (CROWD / name / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["task"], row["worker"], row["label"]) for row in csv.DictReader(file)]
    with (CROWD / name / "gold.csv").open(encoding="utf-8", newline="") as file:
        gold = {row["task"]: row["gold"] for row in csv.DictReader(file)}
    return simulate(rows, gold, orders=6)
