"""The measures and aggregators on real crowd answers, against figures made by independent packages."""

import csv
import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.aggregators import Outcome, dawid_skene, majority, mix
from tasks.aggregators.scores import score
from tasks.agreement import Answers, alpha, fleiss_kappa, gwet_ac1, percent_agreement

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"
VECTORS: dict[str, Any] = (
    json.loads((CROWD / "agreement_vectors.json").read_text("utf-8"))
    if (CROWD / "agreement_vectors.json").exists()
    else {}
)
LABELLED = [
    "bluebird",
    "rte",
    "wsd",
    "dog",
    "cf",
    "cf_amt",
    "music",
    "sentiment",
    "barzan",
    "zencrowd_in",
    "product",
    "sp",
    "adult",
    "trec",
    "relevance",
]

pytestmark = pytest.mark.skipif(not VECTORS, reason=f"real crowd answers are not here: {CROWD}")


@cache
def answers_of(name: str) -> Answers:
    with (CROWD / name / "answers.csv").open(encoding="utf-8", newline="") as file:
        return Answers.of((row["task"], row["worker"], row["label"]) for row in csv.DictReader(file))


@cache
def mixed(name: str) -> Outcome:
    return mix(answers_of(name))


def gold_of(name: str) -> dict[str, str]:
    with (CROWD / name / "gold.csv").open(encoding="utf-8", newline="") as file:
        return {row["task"]: row["gold"] for row in csv.DictReader(file)}


def accuracy(name: str, outcome: Outcome) -> float:
    found = score("class", outcome, gold_of(name))
    assert found is not None
    return found


@pytest.mark.parametrize("name", [name for name in VECTORS if (CROWD / name).is_dir()])
def test_measures_equal_the_reference(name: str) -> None:
    answers, reference = answers_of(name), VECTORS[name]
    listed = reference.get("classes")
    found = {
        "alpha_nominal": (alpha(answers), 1e-9),
        "percent_agreement_mean_over_tasks": (percent_agreement(answers), 1e-9),
        "fleiss_kappa": (fleiss_kappa(answers), 1e-9),
        "gwet_ac1": (gwet_ac1(answers), 1e-8),
        "alpha_ordinal": (alpha(answers, "ordinal"), 1e-9),
        "alpha_interval": (alpha(answers, "interval"), 1e-9),
        "alpha_ratio": (alpha(answers, "ratio"), 1e-9),
        "alpha_ordinal_class_order_as_listed": (alpha(answers, "ordinal", listed), 1e-9),
        "alpha_interval_class_order_as_listed": (alpha(answers, "interval"), 1e-9),
    }
    assert (reference["answers"], reference["tasks"]) == (len(answers), len(answers.items))
    compared = found.keys() & reference.keys()
    assert len(compared) >= 2
    for key in compared:
        measure, within = found[key]
        assert measure.value == pytest.approx(reference[key], abs=within, rel=0), key
    same_number = len(set(np.bincount(answers.item).tolist())) == 1
    assert (fleiss_kappa(answers).value is not None) == same_number


def test_the_default_is_right_more_often_than_the_majority() -> None:
    plain = {name: accuracy(name, majority(answers_of(name))) for name in LABELLED}
    default = {name: accuracy(name, mixed(name)) for name in LABELLED}
    assert sum(plain.values()) / len(plain) == pytest.approx(0.801, abs=0.001)
    assert sum(default.values()) / len(default) >= 0.833
    assert min(default[name] - plain[name] for name in LABELLED) >= -0.025


@pytest.mark.parametrize("name", LABELLED)
def test_maximum_likelihood_never_falls(name: str) -> None:
    steps = dawid_skene(answers_of(name), pseudo_answers=0, iterations=20).likelihood
    assert len(steps) == 20
    assert all(after >= before - 1e-9 * abs(before) for before, after in itertools.pairwise(steps))
