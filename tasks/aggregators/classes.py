"""Aggregators of classes: from all answers to one distribution per item, and which answer they point to together.

Pure arithmetic on answers as whole-number codes. The distribution stands beside the winner, and an item whose best
labels are level has no winner. Nothing depends on the order in which answers came in, nor on how items, workers or
labels are named. It steers which answer is used, never what is earned.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tasks.aggregators import signals
from tasks.aggregators.confusion import TINY, Given, clamp, dawid_skene, known, with_one_vote
from tasks.aggregators.outcome import Outcome, leaders, of_classes
from tasks.agreement import Answers, Floats

Gold = Mapping[Any, Any] | None
"""Known classes by item: names or codes."""


def majority(answers: Answers, *, gold: Gold = None) -> Outcome:
    """One answer, one vote: the distribution is split evenly over the labels with most votes."""
    return _clamped("majority", answers, leaders(answers.votes()), gold)


def wawa(answers: Answers, *, gold: Gold = None) -> Outcome:
    """Vote again, each worker weighing as much as their answers agreed with the (split) majority.

    "Worker agreement with aggregate", practice of crowdsourcing vendors.
    """
    given, _ = with_one_vote(answers, ())
    return _clamped("wawa", answers, _voted_again(answers, given, gold), gold)


def one_coin(
    answers: Answers, *, pseudo_answers: float = 5.0, iterations: int = 3, gold: Gold = None
) -> Outcome:
    """Dawid–Skene in which a worker is right with one probability, whatever the class, and errs evenly.

    Shrunk and stopped early as `dawid_skene` is. One number per worker needs fewer answers, but a worker who
    prefers a class is mistaken for a bad one: it is unsteady where classes are rare.
    """
    fixed = known(answers, gold)
    posterior = answers.votes()
    posterior /= posterior.sum(axis=1, keepdims=True)
    clamp(posterior, fixed)
    others = max(1, len(answers.classes) - 1)
    size, flat = posterior.shape, answers.item * len(answers.classes) + answers.label
    count = np.bincount(answers.worker, minlength=len(answers.workers))
    for _ in range(iterations if len(answers) else 0):
        right = posterior[answers.item, answers.label]
        of_worker = np.bincount(answers.worker, right, minlength=len(answers.workers))
        chance = np.clip(
            (of_worker + pseudo_answers * right.mean()) / (count + pseudo_answers), 1e-6, 1 - 1e-6
        )
        weight = np.log(chance * others / (1 - chance))[answers.worker]
        joint = np.bincount(flat, weight, minlength=posterior.size).reshape(size)
        joint += np.log(np.maximum(posterior.mean(axis=0), TINY))
        posterior = np.exp(joint - joint.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        clamp(posterior, fixed)
    return of_classes("one_coin", answers, posterior)


def maximum_likelihood(answers: Answers, *, gold: Gold = None) -> Outcome:
    """The textbook's Dawid–Skene, for reference: no shrinking, fifty iterations."""
    return dawid_skene(answers, pseudo_answers=0, iterations=50, gold=gold)


def mix(answers: Answers, *, gold: Gold = None) -> Outcome:
    """The default: the mean of `wawa` and of the shrunk `dawid_skene` after three iterations.

    Who gives the same answers far more often than skill explains has one vote together (`signals.cliques`).
    """
    found = [clique.workers for clique in signals.cliques(answers)]
    given, _ = with_one_vote(answers, found)
    fitted = dawid_skene(answers, gold=gold, cliques=found)
    posterior = (_voted_again(answers, given, gold) + fitted.posterior) / 2
    clamp(posterior, known(answers, gold))
    return of_classes("mix", answers, posterior, fitted.likelihood, fitted.fit)


AGGREGATORS: Final[Mapping[str, Callable[..., Outcome]]] = MappingProxyType(
    {
        "mix": mix,
        "majority": majority,
        "wawa": wawa,
        "dawid_skene": dawid_skene,
        "dawid_skene_ml": maximum_likelihood,
        "one_coin": one_coin,
    }
)
"""By name, the default first; each takes answers and `gold`."""


def _clamped(method: str, answers: Answers, posterior: Floats, gold: Gold) -> Outcome:
    clamp(posterior, known(answers, gold))
    return of_classes(method, answers, posterior)


def _voted_again(answers: Answers, given: Given, gold: Gold) -> Floats:
    votes = given.votes()
    first = leaders(votes)
    clamp(first, known(answers, gold))
    one = np.ones(len(given.item)) if given.weight is None else given.weight
    right = np.bincount(given.voter, one * first[given.item, given.label], minlength=given.voters)
    trust = right / np.maximum(np.bincount(given.voter, one, minlength=given.voters), TINY)
    flat = given.item * given.classes + given.label
    weighted = np.bincount(flat, one * trust[given.voter], minlength=votes.size).reshape(votes.shape)
    total = weighted.sum(axis=1, keepdims=True)
    plain = votes / votes.sum(axis=1, keepdims=True)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1), plain)
