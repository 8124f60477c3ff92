"""Aggregators: distributions, winners that lead, invariances, what each is made for."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import Row, renaming, sheet, tables

from tasks.aggregators import AGGREGATORS, LEVEL, confusion, dawid_skene, majority, mix, wawa
from tasks.agreement import Answers


@settings(deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_order_and_names_change_nothing(rows: list[Row], random: Any) -> None:
    rows = [(item, worker, label) for (item, worker), label in {row[:2]: row[2] for row in rows}.items()]
    answers = Answers.of(rows)
    items, workers, labels = renaming(rows, random)
    shuffled = random.sample(rows, len(rows))
    same = Answers.of(shuffled)
    renamed = Answers.of((items[item], workers[worker], labels[label]) for item, worker, label in shuffled)
    for aggregate in AGGREGATORS.values():
        outcome, again, other = aggregate(answers), aggregate(same), aggregate(renamed)
        assert np.array_equal(outcome.posterior, again.posterior)
        assert outcome.labels == again.labels
        place = [other.items.index(items[item]) for item in outcome.items]
        column = [other.classes.index(labels[label]) for label in outcome.classes]
        assert np.allclose(outcome.posterior, other.posterior[np.ix_(place, column)], atol=1e-9)


@settings(deadline=None)
@given(tables)
def test_posteriors_are_distributions_and_winners_lead(rows: list[Row]) -> None:
    answers = Answers.of(rows, classes=["1", "2", "3", "4", "never given"])
    for aggregate in AGGREGATORS.values():
        outcome = aggregate(answers)
        assert outcome.posterior.shape == (len(answers.items), 5)
        assert np.allclose(outcome.posterior.sum(axis=1), 1)
        assert np.isfinite(outcome.posterior).all()
        assert ((outcome.skill >= -1e-12) & (outcome.skill <= 1 + 1e-12)).all()
        for row, label in zip(outcome.posterior, outcome.labels, strict=True):
            level = np.flatnonzero(row >= row.max() - LEVEL)
            assert label == (outcome.classes[level[0]] if len(level) == 1 else None)


@settings(deadline=None)
@given(tables)
def test_maximum_likelihood_never_falls(rows: list[Row]) -> None:
    steps = dawid_skene(Answers.of(rows), pseudo_answers=0, iterations=15).likelihood
    for before, after in itertools.pairwise(steps):
        assert after >= before - 1e-9 * max(1, abs(before))


def test_no_answers_give_an_empty_outcome() -> None:
    for aggregate in AGGREGATORS.values():
        outcome = aggregate(Answers.of([], classes=["a", "b"]))
        assert outcome.labels == ()
        assert outcome.posterior.shape == (0, 2)
        assert aggregate(Answers.of([])).confidence.shape == (0,)


def test_a_tie_is_split_and_has_no_winner() -> None:
    outcome = majority(sheet("aabbc"))
    assert outcome.posterior.tolist() == [[0.5, 0.5, 0]]
    assert outcome.labels == (None,)
    assert outcome.confidence.tolist() == [0.5]


def test_wawa_listens_more_to_those_who_usually_agree() -> None:
    # Workers 0 to 2 agree four times; worker 3 is the odd one out: the tie on the last item goes to worker 0.
    answers = sheet("aaab", "bbba", "aaab", "bbba", "a..b")
    assert majority(answers).labels[-1] is None
    assert wawa(answers).labels[-1] == "a"
    assert wawa(answers).skill[3] < wawa(answers).skill[0]


def test_dawid_skene_learns_a_constant_answerer() -> None:
    # Worker 3 says "a" always and carries no news; the others are right nine times of ten.
    random = np.random.default_rng(7)
    truth = random.integers(0, 2, 200)
    said = np.where(random.random((200, 3)) < 0.9, truth[:, None], 1 - truth[:, None])
    rows = [(f"{at:03}", f"w{who}", "ab"[said[at, who]]) for at in range(200) for who in range(3)]
    rows += [(f"{at:03}", f"x{who}", "a") for at in range(200) for who in range(3)]
    right = [
        label == "ab"[code] for label, code in zip(dawid_skene(Answers.of(rows)).labels, truth, strict=True)
    ]
    plain = [
        label == "ab"[code] for label, code in zip(majority(Answers.of(rows)).labels, truth, strict=True)
    ]
    assert sum(right) > 185
    assert sum(plain) < 150


def test_mix_is_the_mean_of_its_two_parts() -> None:
    answers = sheet("aab", "abb", "ccc", "ab", "a")
    expected = (wawa(answers).posterior + dawid_skene(answers).posterior) / 2
    assert np.array_equal(mix(answers).posterior, expected)


def test_two_items_and_two_workers_are_enough_for_every_method() -> None:
    for aggregate in AGGREGATORS.values():
        outcome = aggregate(sheet("ab", "aa"))
        assert np.isfinite(outcome.posterior).all()
        assert outcome.labels[1] == "a"


def test_known_classes_are_never_doubted_and_teach_the_rest() -> None:
    # Everybody is consistently wrong; a few known items turn the others round.
    answers = Answers.of((f"{at:02}", f"w{who}", "ab"[at % 2]) for at in range(40) for who in range(3))
    gold = {f"{at:02}": "ba"[at % 2] for at in range(12)} | {"nowhere": "a", "20": "no class"}
    for name in ("dawid_skene", "dawid_skene_ml", "mix", "wawa", "majority", "one_coin"):
        outcome = AGGREGATORS[name](answers, gold=gold)
        assert list(outcome.labels[:12]) == list(gold.values())[:12]
    taught = dawid_skene(answers, gold={f"{at:02}": "ba"[at % 2] for at in range(30)}, iterations=10)
    assert list(taught.labels) == ["ba"[at % 2] for at in range(40)]
    by_code = dawid_skene(answers, gold={at: 1 - at % 2 for at in range(30)}, iterations=10)
    assert np.array_equal(by_code.posterior, taught.posterior)


@settings(deadline=None)
@given(tables)
def test_estimates_are_distributions(rows: list[Row]) -> None:
    answers = Answers.of(rows)
    for outcome in (dawid_skene(answers), mix(answers)):
        fit = outcome.fit
        assert fit is not None
        workers, classes = len(answers.workers), len(answers.classes)
        assert fit.confusion.shape == (workers, classes, classes)
        assert np.allclose(fit.confusion.sum(axis=2), 1)
        assert np.allclose(fit.pool.sum(axis=1), 1)
        assert classes == 0 or np.isclose(fit.prior.sum(), 1)
        assert fit.prior.shape == (classes,)


def test_blocks_and_single_precision_change_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    answers = Answers.of(
        (f"{at}", f"w{who}", str(at % 3 if random.random() < 0.8 else random.integers(0, 3)))
        for at in range(200)
        for who in range(4)
    )
    whole = dawid_skene(answers).posterior
    monkeypatch.setattr(confusion, "BLOCK_ITEMS", 7)
    assert np.allclose(dawid_skene(answers).posterior, whole, atol=1e-12)
    assert np.allclose(dawid_skene(answers, dtype=np.float32).posterior, whole, atol=1e-4)
