"""Signals on real crowds: none without a clique, and a clique put into them is found and does little harm."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tasks.aggregators import majority, mix
from tasks.aggregators.scores import score
from tasks.aggregators.signals import cliques, spammer_scores
from tasks.agreement import Answers, Codes

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"
HELD = ["rte", "dog", "sentiment"]
SEEDS = range(4)

pytestmark = pytest.mark.skipif(not CROWD.is_dir(), reason=f"real crowd answers are not here: {CROWD}")


@cache
def table(name: str) -> tuple[Answers, dict[str, str]]:
    with (CROWD / name / "answers.csv").open(encoding="utf-8", newline="") as file:
        answers = Answers.of((row["task"], row["worker"], row["label"]) for row in csv.DictReader(file))
    with (CROWD / name / "gold.csv").open(encoding="utf-8", newline="") as file:
        return answers, {row["task"]: row["gold"] for row in csv.DictReader(file)}


def infiltrated(answers: Answers, share: float, seed: int) -> tuple[Answers, Codes]:
    """Let a share of the workers give one common random answer to each item instead of their own."""
    random = np.random.default_rng(seed)
    size = len(answers.workers)
    members = np.sort(random.choice(size, round(share * size), replace=False))
    common = random.integers(0, len(answers.classes), len(answers.items))
    taken = np.isin(answers.worker, members)
    return replace(answers, label=np.where(taken, common[answers.item], answers.label)), members


def accuracies(name: str, share: float, seed: int) -> tuple[float, float, float]:
    """Give the accuracy of mix without the clique, with it, and of majority with it; 5 % of gold is known."""
    answers, gold = table(name)
    random = np.random.default_rng(100 + seed)
    given = set(random.choice(sorted(gold), len(gold) // 20, replace=False).tolist())
    known = {item: gold[item] for item in given}
    rest = {item: label for item, label in gold.items() if item not in given}
    crowd, _ = infiltrated(answers, share, seed)
    found = [
        score("class", outcome, rest)
        for outcome in (mix(answers, gold=known), mix(crowd, gold=known), majority(crowd))
    ]
    before, after, votes = (value for value in found if value is not None)
    return before, after, votes


@pytest.mark.parametrize(
    "name", [*HELD, "bluebird", "wsd", "cf", "cf_amt", "music", "barzan", "zencrowd_in", "product", "sp"]
)
def test_an_ordinary_crowd_has_no_clique(name: str) -> None:
    assert cliques(table(name)[0]) == ()


@pytest.mark.parametrize("name", HELD)
def test_a_clique_of_a_fifth_does_little_harm(name: str) -> None:
    lost = [before - after for before, after, _ in (accuracies(name, 0.2, seed) for seed in SEEDS)]
    assert np.mean(lost) <= 0.015


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_clique_of_three_tenths_is_found(name: str, seed: int) -> None:
    answers, members = infiltrated(table(name)[0], 0.3, seed)
    flagged = {code for clique in cliques(answers) for code in clique.workers.tolist()}
    assert flagged <= set(members.tolist())
    given = np.bincount(answers.worker, minlength=len(answers.workers))
    assert given[sorted(flagged)].sum() >= 0.75 * given[members].sum()
    _, after, votes = accuracies(name, 0.3, seed)
    assert after >= votes - 0.01


@pytest.mark.parametrize("name", ["bluebird", "rte", "product", "music"])
def test_who_says_nothing_new_is_wrong_more_often(name: str) -> None:
    answers, gold = table(name)
    quiet = spammer_scores(mix(answers)) < 0.05
    right = np.array(
        [
            gold.get(answers.items[item]) == answers.classes[label]
            for item, label in zip(answers.item, answers.label, strict=True)
        ]
    )
    asked = np.array([answers.items[item] in gold for item in answers.item])
    of_quiet = quiet[answers.worker]
    assert right[asked & of_quiet].mean() < right[asked & ~of_quiet].mean() - 0.15
