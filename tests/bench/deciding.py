"""Deciding about one item without the database, in a small and a large batch; what the rule saves on real crowds."""

import csv
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.aggregators import dawid_skene
from tasks.agreement import Answers
from tasks.redundancy import decide, fit
from tasks.simulation import Simulation, simulate

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"
SETS = ("dog", "rte", "sentiment", "bluebird", "cf_amt")
CLASSES, PER_ITEM, LOOKS = 4, 5, 20_000


def microseconds(answers: int) -> float:
    """CPU of one decision from five answers, in a batch with so many answers."""
    drawing = np.random.default_rng(1)
    items, workers = answers // PER_ITEM, max(100, answers // 1000)
    item = np.repeat(np.arange(items), PER_ITEM)
    worker = (drawing.integers(workers, size=items)[:, None] + np.arange(PER_ITEM)).ravel() % workers
    true = drawing.integers(CLASSES, size=items)[item]
    wrong = (true + drawing.integers(1, CLASSES, size=answers)) % CLASSES
    label = np.where(drawing.random(answers) < 0.75, true, wrong)
    names = tuple(str(one) for one in range(workers))
    made = Answers(tuple(map(str, range(items))), names, tuple(map(str, range(CLASSES))), item, worker, label)
    model = fit(dawid_skene(made), made)
    chosen = random.Random(1).sample(range(items), min(items, 1000))
    given = [
        [(names[worker[row]], str(label[row])) for row in range(one * PER_ITEM, (one + 1) * PER_ITEM)]
        for one in chosen
    ]
    for one in given:
        decide(model, one, least=3)
    began = time.process_time()
    for look in range(LOOKS):
        decide(model, given[look % len(given)], least=3)
    return (time.process_time() - began) / LOOKS * 1e6


def simulated() -> Iterator[tuple[str, Simulation]]:
    """Replay the real crowds that are here."""
    for name in SETS:
        if (CROWD / name).is_dir():
            yield name, simulate(*_read(CROWD / name))


def _read(folder: Path) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    with (folder / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["task"], row["worker"], row["label"]) for row in csv.DictReader(file)]
    with (folder / "gold.csv").open(encoding="utf-8", newline="") as file:
        return rows, {row["task"]: row["gold"] for row in csv.DictReader(file)}
