"""Outcomes: what the answers say together, in one shape for every kind of answer.

`Outcome` is that of classes, `Combined` that of everything else; both name the method, give each item a label, a
confidence from 0 to 1 and a distribution, and report on each worker. The report says how a worker's answers fit in; it
is no verdict and never touches pay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.agreement import Answers, Floats

LEVEL: Final = 1e-9
"""Two probabilities closer than this are level: sums in another order differ by less."""
DIGITS: Final = 6
"""Places after the point that a distribution written with names keeps."""


class Together(Protocol):
    """What every aggregator gives."""

    @property
    def method(self) -> str:
        """The aggregator's name."""

    @property
    def items(self) -> tuple[str, ...]:
        """Names of the items, in their order."""

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers, in their order."""

    @property
    def labels(self) -> Sequence[Any]:
        """Each item's label; None where the best are level."""

    @property
    def confidence(self) -> Floats:
        """Each item's confidence, from 0 to 1: the model's belief, not the truth."""

    @property
    def report(self) -> Mapping[str, Floats]:
        """Figures per worker by their name."""

    def distribution(self, at: int) -> dict[str, float]:
        """The distribution of one item by name, the most probable first."""


@dataclass(frozen=True)
class Fit:
    """The estimates of a Dawid–Skene fit, taken from its last distributions."""

    confusion: Floats
    """Workers × true class × label: the probability that the worker gives the label to an item of the class."""
    pool: Floats
    """True class × label: the same for all workers together, with which one starts whom nobody knows yet."""
    prior: Floats
    """How common each class is."""


@dataclass(frozen=True)
class Outcome:
    """What answers of classes say together: a distribution per item, its winner, and how each worker fits in."""

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
    fit: Fit | None = None
    """The estimates, where a model was fitted."""

    @property
    def confidence(self) -> Floats:
        """The probability of each item's most probable class; the model's belief, not the truth."""
        best: Floats = self.posterior.max(axis=1, initial=0.0)
        return best

    @property
    def report(self) -> Mapping[str, Floats]:
        """The skill of each worker."""
        return {"skill": self.skill}

    def distribution(self, at: int) -> dict[str, float]:
        """The classes of one item with their probabilities, the most probable first; without those near zero."""
        row = self.posterior[at]
        codes = np.flatnonzero(row >= 0.5 * 10.0**-DIGITS).tolist()
        return ranked({self.classes[code]: float(row[code]) for code in codes})


@dataclass(frozen=True)
class Combined:
    """What answers that are no classes say together."""

    method: str
    items: tuple[str, ...]
    workers: tuple[str, ...]
    labels: tuple[Any, ...]
    confidence: Floats
    distributions: tuple[Mapping[str, float], ...]
    report: Mapping[str, Floats]
    model: Mapping[str, float] = field(default_factory=dict)
    """What the method estimated besides items and workers."""

    def distribution(self, at: int) -> dict[str, float]:
        """The distribution of one item."""
        return ranked(self.distributions[at])


def ranked(shares: Mapping[str, float]) -> dict[str, float]:
    """Write shares in their order, the largest first, without those that round to nothing."""
    kept = ((name, round(share, DIGITS)) for name, share in shares.items())
    return dict(sorted(((name, share) for name, share in kept if share), key=lambda pair: -pair[1]))


def of_classes(
    method: str,
    answers: Answers,
    posterior: Floats,
    likelihood: tuple[float, ...] = (),
    fit: Fit | None = None,
) -> Outcome:
    """Make the outcome of a distribution per item."""
    leads = leading(posterior)
    best = leads.argmax(axis=1) if leads.size else np.zeros(len(posterior), dtype=np.int64)
    labels = tuple(
        answers.classes[code] if alone == 1 else None
        for code, alone in zip(best.tolist(), leads.sum(axis=1).tolist(), strict=True)
    )
    skill = share_right(answers, posterior)
    return Outcome(
        method, answers.items, answers.classes, posterior, labels, answers.workers, skill, likelihood, fit
    )


def leading(table: Floats) -> NDArray[np.bool_]:
    """Mark each row's largest entries, more than one where they are level."""
    leads: NDArray[np.bool_] = table >= table.max(axis=1, keepdims=True, initial=0.0) - LEVEL
    return leads


def leaders(votes: Floats) -> Floats:
    """Split each row evenly over its largest entries."""
    leads = leading(votes).astype(np.float64)
    shares: Floats = leads / leads.sum(axis=1, keepdims=True)
    return shares


def share_right(answers: Answers, posterior: Floats, weight: Floats | None = None) -> Floats:
    """Give, per worker, the share of the answers that the distributions expect to be right."""
    right = posterior[answers.item, answers.label]
    size = len(answers.workers)
    summed = np.bincount(answers.worker, right if weight is None else right * weight, minlength=size)
    mean: Floats = summed / np.bincount(answers.worker, weight, minlength=size)
    return mean
