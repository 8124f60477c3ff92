"""Redundancy: how many answers an item gets, decided answer by answer.

Pure arithmetic: no database, no clock, no chance. An item starts with few answers and gets one more at a time, until
one more would cost more than the mistakes that it could still mend. What a worker's answer says is read from how
that worker and all workers together confuse the labels (`Model`); an unknown worker counts as the pool does. A model
that has seen too little decides nothing: until then votes do. Nothing depends on how items, workers or labels are
named, nor on the order in which answers came in. It steers how many answers are asked for, never what is earned.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import exp
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.words import Words
from tasks.aggregators import LEVEL, Outcome
from tasks.agreement import Answers, Floats

LEAST_OF_TWO: Final = 2
LEAST_OF_MORE: Final = 3
"""Answers that an item begins with: with two labels, and with more."""
MOST: Final = 10
"""Answers to one item after which it is contested, unless the requester sets another number."""
EXPECTED: Final = 5
"""Answers per item that a batch sets money aside for; crowds on record needed 3 to 5."""
WRONG_COSTS: Final = 30
"""A wrong label counts as much as so many answers."""
SURE_MOST: Final = 0.99
SURE_LEAST: Final = 0.80
"""However much or little an answer tells: the model's belief is no truth, and less than four to one is no decision."""
DOUBT: Final = 2.0
"""A settled item is opened again where the chance that it is wrong has grown to so many times what is allowed."""
SKILL_LEAST: Final = 0.1
"""Of the way from guessing to always right: nothing is settled on the answers of a crowd below it."""
WARM_ANSWERS: Final = 100
WARM_ITEMS: Final = 10
"""A model decides once it has seen so many answers, and so many items with `DEEP` answers."""
DEEP: Final = 5
FIRST_EVERY: Final = 10
FIRST_ITEMS: Final = 100
"""Every tenth item gets `DEEP` answers, until the model has seen a hundred of such items."""
LEAD: Final = 3
"""Votes ahead of the next label that settle an item while there is no model yet."""
RARE: Final = 0.01
"""Labels more rarely true than this are left out where the crowd as a whole is judged."""
TINY: Final = 1e-12

Given = Sequence[tuple[str, str]]
"""One item's answers as (worker, label)."""
Rows = Sequence[Sequence[float]]
"""Logarithms by label given and true class."""


class Next(StrEnum):
    """What happens to an item."""

    ENOUGH = "enough"
    ONE_MORE = "one_more"
    WAIT = "wait"
    CONTESTED = "contested"


class Decision(NamedTuple):
    """What happens to an item, the label that its answers point to (None if level), how surely, and why."""

    next: Next
    label: str | None
    confidence: float | None
    """The probability of the label by the model; None where votes decide."""
    said: Words
    values: Mapping[str, int | float]

    @property
    def reason(self) -> Words:
        """Why, in words."""
        return self.said.filled(**self.values) if self.values else self.said


@dataclass(frozen=True, eq=False)
class Model:
    """How workers confuse the labels, as fitted on answers to items that have two or more."""

    classes: tuple[str, ...]
    prior: Floats
    """How frequent each class is."""
    pool: Floats
    """True class × label given, over all workers."""
    workers: tuple[str, ...]
    confusion: NDArray[np.float32]
    """Workers × true class × label given."""
    answers: int
    deep: int
    """Items with at least `DEEP` answers that it has seen."""
    version: int = 0

    @cached_property
    def skill(self) -> float:
        """How far the pool is from guessing (0) to always right (1), each common class counting the same."""
        common = self.prior >= RARE
        if np.count_nonzero(common) < 2:
            return 1.0
        chance = 1 / np.count_nonzero(common)
        return float((np.diag(self.pool)[common].mean() - chance) / (1 - chance))

    @cached_property
    def information(self) -> float:
        """What one answer of the pool tells: nats by which it parts the true class from the one most like it.

        The Kullback–Leibler divergence to the nearest other common class, averaged over the true classes.
        """
        common = np.flatnonzero(self.prior >= RARE)
        if len(common) < 2:
            return float("inf")
        pool = np.maximum(self.pool[common], TINY)
        likeness = pool @ np.log(pool).T
        apart = np.diag(likeness)[:, None] - likeness + np.diag(np.full(len(common), np.inf))
        return float(np.average(apart.min(axis=1), weights=self.prior[common]))

    @cached_property
    def sure(self) -> float:
        """The probability from which an item is settled.

        One more answer pays while the chance of a wrong label is above its price over what it tells: Wald's
        sequential test in Chernoff's limit (Chernoff 1959, Sequential design of experiments).
        """
        wrong = 1 / (WRONG_COSTS * max(self.information, TINY))
        return min(SURE_MOST, max(SURE_LEAST, 1 - wrong))

    @property
    def is_warm(self) -> bool:
        """Whether it has seen enough to decide."""
        return self.answers >= WARM_ANSWERS and self.deep >= WARM_ITEMS

    @cached_property
    def codes(self) -> Mapping[str, int]:
        """The place of each class."""
        return {name: code for code, name in enumerate(self.classes)}

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.workers)}

    @cached_property
    def log_prior(self) -> Sequence[float]:
        """The logarithm of how frequent each class is."""
        logs: list[float] = np.log(np.maximum(self.prior, TINY)).tolist()
        return logs

    @cached_property
    def _log_pool(self) -> Rows:
        return _logs(self.pool)

    @cached_property
    def _met(self) -> dict[str, Rows]:
        return {}

    def rows_of(self, worker: str) -> Rows:
        """Give the logarithms of a worker's confusion; the pool's for a worker not seen yet."""
        rows = self._met.get(worker)
        if rows is None:
            place = self._place.get(worker)
            rows = self._log_pool if place is None else _logs(self.confusion[place])
            self._met[worker] = rows
        return rows


def fit(outcome: Outcome, answers: Answers, version: int = 0) -> Model:
    """Make a model of a fitted `dawid_skene` of these `answers`."""
    assert outcome.fit is not None
    return Model(
        classes=outcome.classes,
        prior=outcome.fit.prior,
        pool=outcome.fit.pool,
        workers=outcome.workers,
        confusion=outcome.fit.confusion.astype(np.float32),
        answers=len(answers),
        deep=int(np.count_nonzero(np.bincount(answers.item) >= DEEP)) if len(answers) else 0,
        version=version,
    )


def repeated(answers: Answers) -> Answers:
    """Give the answers to items that have two or more: of the others nobody knows how right they are."""
    return taken(answers, np.bincount(answers.item, minlength=len(answers.items))[answers.item] >= 2)


def taken(answers: Answers, kept: NDArray[np.bool_]) -> Answers:
    """Give some of the answers, with only the items and workers that they name."""
    items, item = np.unique(answers.item[kept], return_inverse=True)
    workers, worker = np.unique(answers.worker[kept], return_inverse=True)
    return Answers(
        tuple(answers.items[one] for one in items),
        tuple(answers.workers[one] for one in workers),
        answers.classes,
        item.astype(np.int64),
        worker.astype(np.int64),
        answers.label[kept],
    )


def least_for(classes: int) -> int:
    """Say how many answers an item begins with."""
    return LEAST_OF_TWO if classes <= 2 else LEAST_OF_MORE


def posterior(model: Model, given: Given) -> list[float]:
    """Give the probability of each class of the model by one item's answers."""
    codes = model.codes
    rows = [model.rows_of(worker)[codes[label]] for worker, label in given]
    joint = list(map(sum, zip(model.log_prior, *rows, strict=True)))
    top = max(joint)
    weights = [exp(one - top) for one in joint]
    total = sum(weights)
    return [one / total for one in weights]


def decide(
    model: Model | None,
    given: Given,
    *,
    least: int,
    most: int = MOST,
    settled: bool = False,
    first: bool = False,
    patient: bool = True,
) -> Decision:
    """Decide what happens to one item after its answers.

    `settled` says that it was settled before, `first` that it is among the items from which the crowd is learned,
    `patient` that other work of the batch goes on, from which a model may still come.
    """
    if model is not None and model.is_warm:
        chances = posterior(model, given)
        decision = _by_model(model, chances, len(given), least, most, settled=settled)
    else:
        decision = _by_votes(given, least, most, settled=settled, patient=patient)
    learning = first and len(given) < min(DEEP, most) and (model is None or model.deep < FIRST_ITEMS)
    if learning and not settled and decision.next in {Next.ENOUGH, Next.WAIT}:
        return decision._replace(next=Next.ONE_MORE, said=_FIRST, values={"n": DEEP})
    return decision


def decide_fixed(n: int, *, leads: bool, least: int, most: int) -> Decision:
    """Decide where the number of answers is fixed: more only as long as none of the answers leads."""
    if n < least:
        return Decision(Next.ONE_MORE, None, None, _BEGINS, {"n": n, "least": least})
    if leads:
        return Decision(Next.ENOUGH, None, None, _LEADS, {"n": n})
    if n >= most:
        return Decision(Next.CONTESTED, None, None, _NONE_LEADS_AT_MOST, {"n": n})
    return Decision(Next.ONE_MORE, None, None, _NONE_LEADS, {"n": n})


def together(decisions: Sequence[Decision]) -> Decision:
    """Join the decisions about an item's fields: it is decided once all of them are."""
    for wanted in (Next.ONE_MORE, Next.CONTESTED, Next.WAIT):
        for decision in decisions:
            if decision.next == wanted:
                return decision
    return decisions[0]


def _by_model(
    model: Model, chances: Sequence[float], n: int, least: int, most: int, *, settled: bool
) -> Decision:
    confidence = max(chances)
    level = [code for code, one in enumerate(chances) if one >= confidence - LEVEL]
    label = model.classes[level[0]] if len(level) == 1 else None
    values = {"n": n, "confidence": round(confidence, 3), "sure": round(model.sure, 3)}
    known = model.skill >= SKILL_LEAST
    if n < least:
        return Decision(Next.ONE_MORE, label, confidence, _BEGINS, {"n": n, "least": least})
    if (known or settled) and 1 - confidence <= (1 - model.sure) * (DOUBT if settled else 1):
        return Decision(Next.ENOUGH, label, confidence, _ENOUGH, values)
    if n >= most:
        return Decision(Next.CONTESTED, label, confidence, _CONTESTED, values)
    return Decision(
        Next.ONE_MORE, label, confidence, _ONE_MORE if known else _GUESSES, values if known else {}
    )


def _by_votes(given: Given, least: int, most: int, *, settled: bool, patient: bool) -> Decision:
    """Decide as long as no model does; only a clear lead settles, and what agrees waits for the model."""
    n = len(given)
    ranked = Counter(label for _, label in given).most_common(2)
    lead = ranked[0][1] - (ranked[1][1] if len(ranked) > 1 else 0) if ranked else 0
    label = ranked[0][0] if lead else None
    values = {"lead": lead, "n": n}
    if n < least:
        return Decision(Next.ONE_MORE, label, None, _BEGINS, {"n": n, "least": least})
    if lead >= LEAD or (settled and lead):
        return Decision(Next.ENOUGH, label, None, _LEAD, values)
    if n >= most:
        return Decision(Next.CONTESTED, label, None, _LEVEL, values)
    if patient and lead == n:
        return Decision(Next.WAIT, label, None, _WAITS, {})
    return Decision(Next.ONE_MORE, label, None, _SHORT_LEAD, values | {"needed": LEAD})


_FIRST: Final = Words("One of the first items, from which the crowd is learned: it gets %(n)s answers.")
_GUESSES: Final = Words("Answers in this batch are hardly better than guesses: nothing is settled early.")
_BEGINS: Final = Words("%(n)s of the first %(least)s answers are there.")
_ENOUGH: Final = Words(
    "%(n)s answers point to one label with a probability of %(confidence)s; in this batch %(sure)s is enough."
)
_ONE_MORE: Final = Words(
    "%(n)s answers point to one label with a probability of %(confidence)s; in this batch %(sure)s is wanted."
)
_CONTESTED: Final = Words(
    "Still undecided at the most answers: %(n)s point to one label with a probability of %(confidence)s, "
    "%(sure)s is wanted."
)
_LEAD: Final = Words(
    "After %(n)s answers the lead is %(lead)s; that is enough while the crowd is not known yet."
)
_LEVEL: Final = Words("Still undecided at the most answers: after %(n)s the lead is %(lead)s.")
_SHORT_LEAD: Final = Words(
    "After %(n)s answers the lead is %(lead)s; as long as the crowd is not known, it has to be %(needed)s."
)
_LEADS: Final = Words("The wanted answers are there and one leads (%(n)s answers).")
_NONE_LEADS: Final = Words("None of the %(n)s answers leads.")
_NONE_LEADS_AT_MOST: Final = Words("Still undecided at the most answers: none of the %(n)s leads.")
_WAITS: Final = Words("The answers agree; it is decided as soon as more is known of the crowd.")


def _logs(table: NDArray[np.floating]) -> Rows:
    rows: list[list[float]] = np.log(np.maximum(table.astype(np.float64), TINY)).T.tolist()
    return rows
