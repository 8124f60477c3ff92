"""What adaptive redundancy would have saved: recorded answers replayed under the rule, counting what is paid.

Pure arithmetic. The recorded answers to each task come in a random order, one per open task and round, and after each
round everything is fitted again, as a batch in work does it. The same seed gives the same figures.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.words import Words
from tasks import redundancy
from tasks.aggregators import LEVEL, Outcome, dawid_skene, majority, mix
from tasks.agreement import Answers
from tasks.redundancy import Next

FIXED: Final = (5, 10)
"""Numbers of answers per task to compare with."""
ENOUGH_SHARE: Final = 0.9
"""A fixed scheme is told where at least so many tasks have its answers."""

Seen = NDArray[np.int64]
"""How many of its answers each task has had."""


@dataclass(frozen=True)
class Scheme:
    """What a scheme pays and how right it is; `why` says in words why there is no figure."""

    answers_per_task: float | None
    accuracy: float | None
    contested: float | None = None
    """Share of the tasks still undecided at the most answers, or when the record ended."""
    why: str = ""


@dataclass(frozen=True)
class Simulation:
    """The figures of a record: means over the random orders."""

    tasks: int
    answers: int
    gold: int
    orders: int
    adaptive: Scheme
    fixed: Mapping[int, Scheme]


def simulate(
    rows: Iterable[tuple[str, str, str]],
    gold: Mapping[str, str],
    *,
    orders: int = 20,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Simulation:
    """Replay (task, worker, label) rows; of a worker's answers to one task the last counts.

    Calls `advance` after each order.
    """
    answers = Answers.of(rows)
    per_task = np.bincount(answers.item, minlength=len(answers.items))
    told = {k: float((per_task >= k).mean()) >= ENOUGH_SHARE for k in FIXED}
    adaptive: list[Scheme] = []
    fixed: dict[int, list[Scheme]] = {k: [] for k in FIXED if told[k]}
    for order in range(orders):
        drawing = np.random.default_rng([seed, order])
        place = _places(answers, drawing)
        first = drawing.permutation(len(answers.items)) % redundancy.FIRST_EVERY == 0
        adaptive.append(_adaptive(answers, place, per_task, first, gold))
        for k, made in fixed.items():
            some = redundancy.taken(answers, place < k)
            made.append(Scheme(len(some) / len(answers.items), accuracy(majority(some), gold)))
        advance()
    return Simulation(
        tasks=len(answers.items),
        answers=len(answers),
        gold=len(gold.keys() & set(answers.items)),
        orders=orders,
        adaptive=_mean(adaptive),
        fixed={k: _mean(fixed[k]) if told[k] else _too_few(k, per_task) for k in FIXED},
    )


def accuracy(outcome: Outcome, gold: Mapping[str, str]) -> float | None:
    """Give the share of gold labels found; level labels share the point. None without gold among the items."""
    found = []
    for item, row in zip(outcome.items, outcome.posterior, strict=True):
        if item in gold:
            level = [outcome.classes[code] for code in np.flatnonzero(row >= row.max() - LEVEL)]
            found.append((gold[item] in level) / len(level))
    return fmean(found) if found else None


def _places(answers: Answers, drawing: np.random.Generator) -> Seen:
    """Give each answer its place among those to its task, from 0, in random order."""
    shuffled = np.lexsort((drawing.random(len(answers)), answers.item))
    starts = np.searchsorted(answers.item, np.arange(len(answers.items)))
    place = np.empty(len(answers), dtype=np.int64)
    place[shuffled] = np.arange(len(answers)) - starts[answers.item[shuffled]]
    return place


def _adaptive(
    answers: Answers, place: Seen, per_task: Seen, first: NDArray[np.bool_], gold: Mapping[str, str]
) -> Scheme:
    least = redundancy.least_for(len(answers.classes))
    seen = np.minimum(least, per_task)
    settled = np.zeros(len(answers.items), dtype=bool)
    patient = True
    while True:
        some = redundancy.taken(answers, place < seen[answers.item])
        model = _model(some)
        asked = np.zeros(len(answers.items), dtype=bool)
        for task, given in enumerate(_given(some)):
            decision = redundancy.decide(
                model,
                given,
                least=least,
                settled=bool(settled[task]),
                first=bool(first[task]),
                patient=patient,
            )
            settled[task] = decision.next == Next.ENOUGH
            asked[task] = decision.next == Next.ONE_MORE
        asked &= seen < per_task
        if not asked.any() and (not patient or settled.all()):
            break
        patient = bool(asked.any())
        seen = seen + asked
    return Scheme(len(some) / len(answers.items), accuracy(mix(some), gold), float(1 - settled.mean()))


def _model(some: Answers) -> redundancy.Model | None:
    known = redundancy.repeated(some)
    return redundancy.fit(dawid_skene(known), known) if len(known) else None


def _given(some: Answers) -> list[list[tuple[str, str]]]:
    """Give each task's answers; they are sorted by task."""
    given: list[list[tuple[str, str]]] = [[] for _ in some.items]
    for item, worker, label in zip(
        some.item.tolist(), some.worker.tolist(), some.label.tolist(), strict=True
    ):
        given[item].append((some.workers[worker], some.classes[label]))
    return given


def _mean(made: list[Scheme]) -> Scheme:
    right = [one.accuracy for one in made if one.accuracy is not None]
    open_ = [one.contested for one in made if one.contested is not None]
    return Scheme(
        fmean(one.answers_per_task or 0 for one in made),
        fmean(right) if right else None,
        fmean(open_) if open_ else None,
    )


def _too_few(k: int, per_task: Seen) -> Scheme:
    template = Words("Only %(some)s of %(all)s tasks have %(k)s answers.")
    return Scheme(None, None, why=template.filled(some=int((per_task >= k).sum()), all=len(per_task), k=k))
