"""Pairwise comparisons: scores by which one item is preferred to another. Pure.

The model is Bradley and Terry's (Biometrika 39, 1952) with two additions. Each item has half a win and half a loss
against an average one, so that an item that never won (or never lost) has a finite score. And people prefer a side of
the screen, so what stands left has a head start that is estimated with the scores.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from tasks.aggregators.outcome import Combined
from tasks.agreement import Answers, Codes, Floats, encoded

PRIOR: Final = 0.5
"""Wins, and as many losses, of each item against an average one before any comparison."""


def bradley_terry(answers: Answers, values: Sequence[str]) -> Combined:
    """Estimate each item's score: its log-odds to be preferred to an average item.

    An item of `answers` is a comparison, named by the JSON list of its left and its right side; `values` holds
    the winner of each class. The items of the outcome are the sides. The distribution is the chance to win and to
    lose against an average item.
    """
    pairs = [json.loads(name) for name in answers.items]
    names, sides = encoded([side for pair in pairs for side in pair])
    left, right = sides.reshape(-1, 2)[answers.item].T
    place = {name: code for code, name in enumerate(names)}
    won = np.array([place[value] for value in values], dtype=np.int64)[answers.label] == left
    score, start = _fitted(len(names), left, right, won)
    chance = expit(score)
    said = expit(np.where(won, 1, -1) * (start + score[left] - score[right]))
    report = {"skill": answers.mean_by_worker(said), "left": answers.mean_by_worker(won.astype(np.float64))}
    shares = tuple({"wins": one, "loses": 1 - one} for one in chance.tolist())
    return Combined(
        "bradley_terry",
        names,
        answers.workers,
        tuple(score.tolist()),
        np.maximum(chance, 1 - chance),
        shares,
        report,
        {"left": start},
    )


def _fitted(items: int, left: Codes, right: Codes, won: np.typing.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Maximise the posterior; the head start of the left side stands last among the unknowns."""
    cell, count = np.unique((left * items + right) * 2 + won, return_counts=True)
    first, second, sign = cell // 2 // items, cell // 2 % items, np.where(cell % 2, 1.0, -1.0)

    def loss(unknown: Floats) -> tuple[float, Floats]:
        score, start = unknown[:items], unknown[-1]
        margin = sign * (start + score[first] - score[second])
        pull = count * sign * expit(-margin)
        slope = np.zeros(items + 1)
        slope[:items] = np.bincount(second, pull, minlength=items) - np.bincount(first, pull, minlength=items)
        slope[-1] = -pull.sum()
        slope += PRIOR * np.tanh(unknown / 2)
        total = count @ np.logaddexp(0, -margin)
        total += PRIOR * (np.logaddexp(0, unknown) + np.logaddexp(0, -unknown)).sum()
        return float(total), slope

    if not items:
        return np.zeros(0), 0.0
    found: Any = minimize(loss, np.zeros(items + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:items] - found.x[:items].mean(), float(found.x[-1])
