"""Dawid–Skene: each worker's confusion of the classes, estimated together with the true classes by EM.

Dawid and Skene, Journal of the Royal Statistical Society C 28(1), 1979. The answers are one sparse matrix, items ×
(worker · classes + label), that both steps multiply with; it is walked in blocks of items, so that what is held besides
it and the distributions does not grow with their number. Pure arithmetic.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_array

from tasks.aggregators.outcome import Fit, Outcome, of_classes
from tasks.agreement import Answers, Codes, Floats

POOL_SMOOTHING: Final = 0.01
"""Keeps a confusion that nobody made yet possible in the pooled matrix."""
TINY: Final = 1e-30
"""Stands for zero inside a logarithm, in single precision as well."""
TRACE: Final = 1e-10
"""Of an answer, in place of none, where likelihood alone decides."""
BLOCK_ITEMS: Final = 1 << 15

Known = tuple[Codes, Codes]
"""Items whose class is known, ascending, and their classes."""


@dataclass(frozen=True)
class Given:
    """Answers as they enter a fit: sorted by item; voters are workers, or cliques of workers with one vote."""

    items: int
    voters: int
    classes: int
    item: Codes
    voter: Codes
    label: Codes
    weight: Floats | None = None
    """Of each answer; 1 where absent."""
    size: Floats | None = None
    """How many like it an item stands for (a stretch for its characters); 1 where absent."""

    def votes(self) -> Floats:
        """Weigh each item's answers of each class (items × classes)."""
        flat = self.item * self.classes + self.label
        size = (self.items, self.classes)
        return np.bincount(flat, self.weight, minlength=size[0] * size[1]).reshape(size).astype(np.float64)


def dawid_skene(
    answers: Answers,
    *,
    pseudo_answers: float = 5.0,
    iterations: int = 3,
    gold: Mapping[Any, Any] | None = None,
    cliques: Sequence[Codes] = (),
    dtype: type[np.floating[Any]] = np.float64,
) -> Outcome:
    """Estimate each worker's confusion of the classes together with the true classes.

    A worker's matrix is shrunk towards the pool of all workers by `pseudo_answers` per class, because most
    workers answer too little to be known alone; few iterations, because a crowd that is consistently wrong
    gets more wrong with each. `pseudo_answers=0` with many iterations is the textbook's maximum likelihood,
    kept for reference. `gold` holds known classes by item (names or codes), which the fit never doubts. The workers
    of a clique (codes) have one vote together. `dtype` float32 halves memory and is right to about six digits.
    """
    given, voter = with_one_vote(answers, cliques)
    posterior, likelihood, fit = estimate(
        given, pseudo_answers=pseudo_answers, iterations=iterations, known=known(answers, gold), dtype=dtype
    )
    fit = Fit(fit.confusion[voter], fit.pool, fit.prior)
    return of_classes("dawid_skene", answers, posterior, likelihood, fit)


def with_one_vote(answers: Answers, cliques: Sequence[Codes]) -> tuple[Given, Codes]:
    """Let each clique share one vote per item; gives the answers of voters, and each worker's voter."""
    size = (len(answers.items), len(answers.workers), len(answers.classes))
    voter = np.arange(size[1])
    if not cliques:
        return Given(*size, answers.item, answers.worker, answers.label), voter
    for members in cliques:
        voter[members] = members[0]
    at = voter[answers.worker]
    _, cell, shared = np.unique(answers.item * size[1] + at, return_inverse=True, return_counts=True)
    return Given(*size, answers.item, at, answers.label, 1 / shared[cell]), voter


def known(answers: Answers, gold: Mapping[Any, Any] | None) -> Known | None:
    """Find the items and classes of gold among those of the answers; what is not among them is left out."""
    if not gold:
        return None
    item_of = {name: code for code, name in enumerate(answers.items)}
    class_of = {name: code for code, name in enumerate(answers.classes)}
    pairs = sorted(
        (item_of.get(item, item), class_of.get(label, label))
        for item, label in gold.items()
        if (item in item_of or isinstance(item, int)) and (label in class_of or isinstance(label, int))
    )
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def estimate(
    given: Given,
    *,
    pseudo_answers: float,
    iterations: int,
    known: Known | None = None,
    dtype: type[np.floating[Any]] = np.float64,
) -> tuple[Floats, tuple[float, ...], Fit]:
    """Run EM from the shares of the votes; gives the distributions, each step's log-likelihood, the estimates."""
    shape = (given.voters, given.classes, given.classes)  # voter, label given, true class
    posterior = given.votes().astype(dtype)
    posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), TINY)
    clamp(posterior, known)
    blocks = list(_blocks(given, dtype))
    expected: Any = np.zeros((given.voters * given.classes, given.classes), dtype)
    for start, rows in blocks:
        expected += rows.T @ _sized(given, posterior, start, rows.shape[0])
    likelihood = []
    for _ in range(iterations):
        confusion = _shrunk(expected.reshape(shape), pseudo_answers)
        logs = np.log(np.maximum(confusion, TINY)).reshape(expected.shape).astype(dtype)
        prior = np.log(np.maximum(_mean(given, posterior), TRACE)).astype(dtype)
        expected = np.zeros_like(expected)
        total = 0.0
        for start, rows in blocks:
            joint, mass = _normalised(rows @ logs + prior)
            at = slice(start, start + len(joint))
            total += float(mass.sum() if given.size is None else mass @ given.size[at])
            posterior[at] = joint
            clamp(posterior, known, start, len(joint))
            expected += rows.T @ _sized(given, posterior, start, len(joint))
        likelihood.append(total)
    counts = expected.reshape(shape).astype(np.float64)
    fit = Fit(
        _shrunk(counts, pseudo_answers).transpose(0, 2, 1),
        _pool(counts).T,
        np.asarray(_mean(given, posterior), np.float64),
    )
    return posterior.astype(np.float64, copy=False), tuple(likelihood), fit


def clamp(posterior: Any, known: Known | None, start: int = 0, count: int | None = None) -> None:
    """Put known classes into the rows from `start` on."""
    if known is not None:
        end = len(posterior) if count is None else start + count
        first, last = np.searchsorted(known[0], (start, end))
        item, label = known[0][first:last], known[1][first:last]
        posterior[item] = 0
        posterior[item, label] = 1


def _blocks(given: Given, dtype: type[np.floating[Any]]) -> Iterator[tuple[int, Any]]:
    column = (given.voter * given.classes + given.label).astype(np.int32)
    value = np.ones(len(column), dtype) if given.weight is None else given.weight.astype(dtype)
    bounds = np.searchsorted(given.item, np.arange(given.items + 1))
    step = max(
        BLOCK_ITEMS, given.voters * given.classes
    )  # so that adding up voters costs less than the items
    for start in range(0, given.items, step):
        end = min(start + step, given.items)
        inside = slice(bounds[start], bounds[end])
        pointers = (bounds[start : end + 1] - bounds[start]).astype(np.int32)
        shape = (end - start, given.voters * given.classes)
        yield start, csr_array((value[inside], column[inside], pointers), shape=shape)


def _sized(given: Given, posterior: Any, start: int, count: int) -> Any:
    rows = posterior[start : start + count]
    return rows if given.size is None else rows * given.size[start : start + count, None]


def _mean(given: Given, posterior: Any) -> Any:
    if not posterior.size:
        return np.zeros(given.classes)
    return posterior.mean(axis=0) if given.size is None else given.size @ posterior / given.size.sum()


def _normalised(joint: Any) -> tuple[Any, Any]:
    """Turn log-probabilities into rows that sum to 1; gives each row's log of its sum too."""
    top = joint[:, :1].max(axis=1, initial=-np.inf)
    for column in range(1, joint.shape[1]):
        np.maximum(top, joint[:, column], out=top)
    joint -= top[:, None]
    np.exp(joint, out=joint)
    mass = joint @ np.ones(joint.shape[1], joint.dtype)
    joint /= mass[:, None]
    return joint, top + np.log(mass)


def _pool(expected: Any) -> Any:
    pool = expected.sum(axis=0) + POOL_SMOOTHING
    return pool / pool.sum(axis=0, keepdims=True)


def _shrunk(expected: Any, pseudo_answers: float) -> Any:
    """Turn expected counts (voter, label, true class) into probabilities of a label given the true class.

    Without pseudo-answers, what never happened keeps a trace among the labels that the voter uses at all.
    """
    if pseudo_answers:
        expected = expected + pseudo_answers * _pool(expected)
    else:
        used = expected.sum(axis=2, keepdims=True) > 0
        expected = np.maximum(expected, TRACE) * used
    return expected / np.maximum(expected.sum(axis=1, keepdims=True), TINY)
