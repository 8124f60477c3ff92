"""Aggregators of numbers. Pure.

The confidence of a number is its reliability, the share of what the labels differ by that is not error: the variance
between items over itself plus the label's own error variance (as in the Spearman–Brown formula).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from tasks.aggregators.outcome import Combined
from tasks.agreement import Answers, Floats

PSEUDO_ANSWERS: Final = 20.0
ITERATIONS: Final = 10


def mean(answers: Answers, values: Sequence[float]) -> Combined:
    """Take the mean; the default, because no cleverer way is better everywhere."""
    x = np.array(values, dtype=np.float64)[answers.label]
    return _combined("mean", answers, x, np.ones(len(x)))


def gaussian(answers: Answers, values: Sequence[float]) -> Combined:
    """Weigh each worker by the inverse of the variance around the labels, by EM (Raykar et al., JMLR 11, 2010).

    A worker's variance is shrunk to that of all workers by pseudo-answers: a spread needs more
    answers than a mean to be known.
    """
    x = np.array(values, dtype=np.float64)[answers.label]
    weight = np.ones(len(x))
    worker, size = answers.worker, len(answers.workers)
    count = np.bincount(worker, minlength=size)
    label = _weighted(answers, x, weight)
    for _ in range(ITERATIONS):
        squares = (x - label[answers.item]) ** 2
        pool = squares.mean() if len(x) else 1.0
        variance = (np.bincount(worker, squares, minlength=size) + PSEUDO_ANSWERS * pool) / (
            count + PSEUDO_ANSWERS
        )
        weight = (1 / np.maximum(variance, 1e-12 + 1e-6 * pool))[worker]
        label = _weighted(answers, x, weight)
    return _combined("gaussian", answers, x, weight)


def _weighted(answers: Answers, x: Floats, weight: Floats) -> Floats:
    size = len(answers.items)
    summed = np.bincount(answers.item, x * weight, minlength=size)
    label: Floats = summed / np.bincount(answers.item, weight, minlength=size)
    return label


def _combined(method: str, answers: Answers, x: Floats, weight: Floats) -> Combined:
    label = _weighted(answers, x, weight)
    total = np.bincount(answers.item, weight, minlength=len(label))
    off = x - label[answers.item]
    spare = len(x) - len(label)
    within = (
        float((weight * off**2).sum() / spare) if spare > 0 else 0.0
    )  # error variance of an answer of weight 1
    error = within / np.maximum(total, 1e-300)
    between = max(0.0, float(label.var()) - float(error.mean())) if len(label) else 0.0
    confidence = np.divide(between, between + error, out=np.ones(len(label)), where=between + error > 0)
    shares: list[dict[str, float]] = [{} for _ in answers.items]
    for item, value, share in zip(
        answers.item.tolist(), x.tolist(), (weight / total[answers.item]).tolist(), strict=True
    ):
        name = f"{value:.15g}"
        shares[item][name] = shares[item].get(name, 0.0) + share
    report = {"bias": answers.mean_by_worker(off), "error": np.sqrt(answers.mean_by_worker(off**2))}
    return Combined(
        method, answers.items, answers.workers, tuple(label.tolist()), confidence, tuple(shares), report
    )
