"""Aggregators: from all answers to one distribution per item, and which answer they point to together.

Pure arithmetic on answers as whole-number codes. Every aggregator returns the whole distribution beside the winner,
and an item whose best labels are level has no winner. Nothing depends on the order in which answers came in, nor on
how items, workers or labels are named. It steers which answer is used, never what is earned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tasks.agreement import Answers, Floats

LEVEL: Final = 1e-9  # two probabilities closer than this are level: sums in another order differ by less
POOL_SMOOTHING: Final = 0.01  # keeps a confusion that nobody made yet possible in the pooled matrix
TINY: Final = 1e-300  # stands for zero inside a logarithm


@dataclass(frozen=True)
class Outcome:
    """What the answers say together: a distribution per item, its winner, and how each worker fits in."""

    method: str
    items: tuple[str, ...]
    classes: tuple[str, ...]
    posterior: Floats
    """Items × classes; each row sums to 1."""
    labels: tuple[str | None, ...]
    """Each item's most probable class; None where the best are level: one more answer or a person decides."""
    workers: tuple[str, ...]
    skill: Floats
    """Per worker: the share of the worker's answers that the distributions expect to be right."""
    likelihood: tuple[float, ...] = ()
    """Log-likelihood of the answers under each step's estimates of a fitted model."""

    @property
    def confidence(self) -> Floats:
        """The probability of each item's most probable class; the model's belief, not the truth."""
        best: Floats = self.posterior.max(axis=1, initial=0.0)
        return best


def majority(answers: Answers) -> Outcome:
    """One answer, one vote: the distribution is split evenly over the labels with most votes."""
    return _outcome("majority", answers, _leaders(answers.votes()))


def wawa(answers: Answers) -> Outcome:
    """Vote again, each worker weighing as much as their answers agreed with the (split) majority."""
    votes = answers.votes()
    weight = _skill(answers, _leaders(votes))
    size = votes.shape
    flat = answers.item * size[1] + answers.label
    weighted = np.bincount(flat, weight[answers.worker], minlength=size[0] * size[1]).reshape(size)
    total = weighted.sum(axis=1, keepdims=True)
    plain = votes / votes.sum(axis=1, keepdims=True)
    posterior = np.where(total > 0, weighted / np.where(total > 0, total, 1), plain)
    return _outcome("wawa", answers, posterior)


def dawid_skene(answers: Answers, *, pseudo_answers: float = 5.0, iterations: int = 3) -> Outcome:
    """Estimate each worker's confusion of the classes together with the true classes.

    A worker's matrix is shrunk towards the pool of all workers by `pseudo_answers` per class, because most
    workers answer too little to be known alone; few iterations, because a crowd that is consistently wrong
    gets more wrong with each. `pseudo_answers=0` with many iterations is the textbook's maximum likelihood,
    kept for reference.
    """
    if not len(answers):
        return _outcome("dawid_skene", answers, answers.votes())
    workers, classes = len(answers.workers), len(answers.classes)
    given = csr_array(
        (np.ones(len(answers)), (answers.item, answers.worker * classes + answers.label)),
        shape=(len(answers.items), workers * classes),
    )
    posterior = answers.votes()
    posterior /= posterior.sum(axis=1, keepdims=True)
    likelihood = []
    for _ in range(iterations):
        counted = np.asarray(given.T @ posterior)
        expected = counted.reshape(workers, classes, classes)  # worker, label given, true class
        confusion = _shrunk(expected, pseudo_answers)
        prior = np.log(np.maximum(posterior.mean(axis=0), TINY))
        log_confusion = np.log(np.maximum(confusion, TINY)).reshape(workers * classes, classes)
        joint = np.asarray(given @ log_confusion) + prior
        top = joint.max(axis=1, keepdims=True)
        posterior = np.exp(joint - top)
        mass = posterior.sum(axis=1, keepdims=True)
        likelihood.append(float((top + np.log(mass)).sum()))
        posterior /= mass
    return _outcome("dawid_skene", answers, posterior, tuple(likelihood))


def mix(answers: Answers) -> Outcome:
    """The default: the mean of `wawa` and of the shrunk `dawid_skene` after three iterations."""
    posterior = (wawa(answers).posterior + dawid_skene(answers).posterior) / 2
    return _outcome("mix", answers, posterior)


AGGREGATORS: Final[Mapping[str, Callable[[Answers], Outcome]]] = MappingProxyType(
    {"majority": majority, "wawa": wawa, "dawid_skene": dawid_skene, "mix": mix}
)


def _outcome(method: str, answers: Answers, posterior: Floats, likelihood: tuple[float, ...] = ()) -> Outcome:
    leads = _leading(posterior)
    best = leads.argmax(axis=1) if leads.size else np.zeros(len(posterior), dtype=np.int64)
    labels = tuple(
        answers.classes[code] if alone == 1 else None
        for code, alone in zip(best.tolist(), leads.sum(axis=1).tolist(), strict=True)
    )
    skill = _skill(answers, posterior)
    return Outcome(
        method, answers.items, answers.classes, posterior, labels, answers.workers, skill, likelihood
    )


def _leading(table: Floats) -> NDArray[np.bool_]:
    leads: NDArray[np.bool_] = table >= table.max(axis=1, keepdims=True, initial=0.0) - LEVEL
    return leads


def _leaders(votes: Floats) -> Floats:
    leads = _leading(votes).astype(np.float64)
    shares: Floats = leads / leads.sum(axis=1, keepdims=True)
    return shares


def _skill(answers: Answers, posterior: Floats) -> Floats:
    right = np.bincount(
        answers.worker, posterior[answers.item, answers.label], minlength=len(answers.workers)
    )
    mean: Floats = right / np.bincount(answers.worker, minlength=len(answers.workers))
    return mean


def _shrunk(expected: Floats, pseudo_answers: float) -> Floats:
    """Turn expected counts (worker, label, true class) into probabilities of a label given the true class."""
    if pseudo_answers:
        pool = expected.sum(axis=0) + POOL_SMOOTHING
        expected = expected + pseudo_answers * (pool / pool.sum(axis=0, keepdims=True))
    total = expected.sum(axis=1, keepdims=True)
    return np.where(total > 0, expected / np.where(total > 0, total, 1), 1 / expected.shape[1])
