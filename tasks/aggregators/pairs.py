"""Pairwise comparisons: scores by which one item is preferred to another. Pure.

The model is Bradley and Terry's (Biometrika 39, 1952) with two additions. Each item has half a win and half a loss
against an average one, so that an item that never won (or never lost) has a finite score. And people prefer a side of
the screen, so what stands left has a head start that is estimated with the scores.
"""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit

from tasks.aggregators.outcome import Combined
from tasks.agreement import Answers, Codes, Floats, encoded

PRIOR: Final = 0.5
"""Wins, and as many losses, of each item against an average one before any comparison."""
STEPS_MAX: Final = 50
FLAT: Final = 1e-6


def bradley_terry(answers: Answers, values: Sequence[str]) -> Combined:
    """Estimate each item's score: its log-odds to be preferred to an average item.

    An item of `answers` is a comparison, named by the JSON list of its left and its right side; `values` holds
    the winner of each class. The items of the outcome are the sides. The distribution is the chance to win and to
    lose against an average item.
    """
    pairs = json.loads(f"[{','.join(answers.items)}]")
    names, sides = encoded(list(chain.from_iterable(pairs)))
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
    """Maximise the posterior by Newton's method; the head start of the left side stands last among the unknowns."""
    cell, count = np.unique((left * items + right) * 2 + won, return_counts=True)
    first, second, sign = cell // 2 // items, cell // 2 % items, np.where(cell % 2, 1.0, -1.0)
    unknown = np.zeros(items + 1)
    if not items:
        return unknown[:0], 0.0
    place = np.arange(len(cell))
    column = np.concatenate([first, second, np.full(len(cell), items)])
    value = np.concatenate([sign, -sign, sign])
    margins = csr_array((value, (np.tile(place, 3), column)), shape=(len(cell), items + 1))
    turned = margins.T.tocsr()

    def loss(at: Floats) -> float:
        prior = PRIOR * (np.logaddexp(0, at) + np.logaddexp(0, -at)).sum()
        return float(prior - count @ np.log(expit(margins @ at)))

    now = loss(unknown)
    for _ in range(STEPS_MAX):
        chance, own = expit(margins @ unknown), expit(unknown)
        slope = turned @ (count * (chance - 1)) + PRIOR * (2 * own - 1)
        if np.abs(slope).max() < FLAT:
            break
        bend, prior = count * chance * (1 - chance), 2 * PRIOR * own * (1 - own)
        step = _solved(margins, turned, bend, prior, slope)
        while (then := loss(unknown - step)) > now and np.abs(step).max() > FLAT:
            step /= 2
        unknown, now = unknown - step, then
    return unknown[:-1] - unknown[:-1].mean(), float(unknown[-1])


def _solved(margins: csr_array, turned: csr_array, bend: Floats, prior: Floats, slope: Floats) -> Floats:
    """Solve curvature × step = slope by conjugate gradients, each unknown scaled by its own curvature."""
    size = len(slope)
    own = abs(turned) @ bend + prior
    curvature = LinearOperator((size, size), matvec=lambda v: turned @ (bend * (margins @ v)) + prior * v)
    scale = LinearOperator((size, size), matvec=lambda v: v / own)
    step, _ = cg(curvature, slope, rtol=0.03, maxiter=200, M=scale)
    found: Floats = step
    return found
