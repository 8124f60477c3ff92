"""Signals: accounts that answer as one are found and have one vote; people who are right are left alone."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sheets import Row, renaming, tables

from tasks.aggregators import dawid_skene, majority, mix, wawa
from tasks.aggregators.signals import cliques, spammer_scores, without_news
from tasks.agreement import Answers

ITEMS, HONEST, PARROTS = 200, 12, 6


def crowd(classes: int = 2, parrots: int = PARROTS, copied: float = 1.0) -> tuple[Answers, list[str]]:
    """Let workers be right three times of four and parrots say what one random sheet says; gives the truth too."""
    random = np.random.default_rng(3)
    truth = random.integers(0, classes, ITEMS)
    sheet = random.integers(0, classes, ITEMS)
    rows = []
    for at in range(ITEMS):
        for who in range(HONEST):
            said = truth[at] if random.random() < 0.75 else random.integers(0, classes)
            rows.append((f"{at:03}", f"honest{who}", str(said)))
        for who in range(parrots):
            said = sheet[at] if random.random() < copied else random.integers(0, classes)
            rows.append((f"{at:03}", f"parrot{who}", str(said)))
    return Answers.of(rows), [str(label) for label in truth]


def names(answers: Answers, codes: Any) -> set[str]:
    return {answers.workers[code] for code in codes}


def right(labels: tuple[str | None, ...], truth: list[str]) -> float:
    return float(np.mean([made == known for made, known in zip(labels, truth, strict=True)]))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("copied", [1.0, 0.97])
def test_a_clique_is_found_whole_and_alone(classes: int, copied: float) -> None:
    answers, _ = crowd(classes, copied=copied)
    (found,) = cliques(answers)
    assert names(answers, found.workers) == {f"parrot{who}" for who in range(PARROTS)}
    assert found.agreement > 0.85
    assert found.implied < 0.15


def test_a_clique_has_one_vote() -> None:
    answers, truth = crowd(parrots=9)
    alone, _ = crowd(parrots=0)
    assert right(majority(answers).labels, truth) < 0.9
    assert right(mix(answers).labels, truth) >= right(mix(alone).labels, truth) - 0.02


def test_members_of_a_clique_share_one_confusion() -> None:
    answers, _ = crowd()
    fit = mix(answers).fit
    assert fit is not None
    members = cliques(answers)[0].workers
    assert (fit.confusion[members] == fit.confusion[members[0]]).all()


def test_people_who_are_right_are_no_clique() -> None:
    random = np.random.default_rng(5)
    skill = [0.97] * 5 + [0.6] * 8
    rows = [
        (f"{at}", f"w{who}", str(at % 3 if random.random() < chance else random.integers(0, 3)))
        for at in range(300)
        for who, chance in enumerate(skill)
    ]
    assert cliques(Answers.of(rows)) == ()


def test_those_who_always_say_the_same_are_no_clique() -> None:
    answers, _ = crowd(parrots=0)
    rows = [
        (answers.items[item], answers.workers[worker], answers.classes[label])
        for item, worker, label in zip(answers.item, answers.worker, answers.label, strict=True)
    ]
    rows += [(f"{at:03}", f"same{who}", "0") for at in range(ITEMS) for who in range(4)]
    constant = Answers.of(rows)
    assert cliques(constant) == ()
    assert names(constant, without_news(constant, dawid_skene(constant))) == {
        f"same{who}" for who in range(4)
    }


def test_an_unsuspicious_crowd_is_weighed_as_ever() -> None:
    answers, _ = crowd(parrots=0)
    assert np.array_equal(
        mix(answers).posterior, (wawa(answers).posterior + dawid_skene(answers).posterior) / 2
    )


@settings(deadline=None)
@given(tables)
def test_scores_lie_between_nothing_and_everything(rows: list[Row]) -> None:
    answers = Answers.of(rows)
    scores = spammer_scores(dawid_skene(answers))
    assert scores.shape == (len(answers.workers),)
    assert ((scores >= -1e-12) & (scores <= 1 + 1e-12)).all()


def test_scores_need_a_fit() -> None:
    with pytest.raises(ValueError, match="fitted"):
        spammer_scores(majority(crowd()[0]))


def test_names_and_order_change_nothing() -> None:
    answers, _ = crowd()
    rows: list[Row] = [
        (answers.items[item], answers.workers[worker], answers.classes[label])
        for item, worker, label in zip(answers.item, answers.worker, answers.label, strict=True)
    ]
    random = Random(1)
    items, workers, labels = renaming(rows, random)
    shuffled = random.sample(rows, len(rows))
    renamed = Answers.of((items[item], workers[worker], labels[label]) for item, worker, label in shuffled)
    (found,), (again,) = cliques(answers), cliques(renamed)
    assert {workers[name] for name in names(answers, found.workers)} == names(renamed, again.workers)
    assert found.agreement == pytest.approx(again.agreement)
    assert found.implied == pytest.approx(again.implied)
