"""Agreement: how alike the answers are, and which answer they point to together.

Pure arithmetic on answers as whole-number codes: no database, no clock, no chance. A measure that the answers
cannot give is undefined and says why; it is never 0, 1 or not-a-number in disguise. Every aggregator returns
the whole distribution beside the winner, and an item whose best labels are level has no winner. Nothing here
depends on the order in which answers came in (except that a worker's last answer to an item replaces the
earlier ones), nor on how items, workers or labels are named. It steers which answer is used, never what is
earned.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Metric = Literal["nominal", "ordinal", "interval"]

LEVEL: Final = 1e-9  # two probabilities closer than this are level: sums in another order differ by less
POOL_SMOOTHING: Final = 0.01  # keeps a confusion that nobody made yet possible in the pooled matrix
TINY: Final = 1e-300  # stands for zero inside a logarithm

NO_PAIRS: Final = "No item has two answers yet, so there is nothing to compare."
ONE_LABEL: Final = (
    "Every compared answer is the same, so agreement by chance cannot be told from real agreement."
)


@dataclass(frozen=True)
class Answers:
    """One answer per (item, worker) as codes into the sorted names, sorted by item and then worker."""

    items: tuple[str, ...]
    workers: tuple[str, ...]
    classes: tuple[str, ...]
    item: Codes
    worker: Codes
    label: Codes

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str]], classes: Sequence[str] | None = None) -> "Answers":
        """Encode (item, worker, label) rows; of a worker's answers to one item the last row counts.

        With `classes`, these are the possible labels, seen or not, and any other label is a ValueError;
        without, the labels seen are.
        """
        last = {(item, worker): label for item, worker, label in rows}
        names = sorted(set(last.values()) if classes is None else set(classes))
        items, workers = sorted({key[0] for key in last}), sorted({key[1] for key in last})
        code_of = {name: code for code, name in enumerate(names)}
        unknown = set(last.values()) - code_of.keys()
        if unknown:
            raise ValueError(f"not among the classes: {sorted(unknown)[:5]}")
        item_of = {name: code for code, name in enumerate(items)}
        worker_of = {name: code for code, name in enumerate(workers)}
        triples = np.array(
            [(item_of[item], worker_of[worker], code_of[label]) for (item, worker), label in last.items()],
            dtype=np.int64,
        ).reshape(-1, 3)
        triples = triples[np.lexsort((triples[:, 1], triples[:, 0]))]
        return cls(
            tuple(items), tuple(workers), tuple(names), *(triples[:, column].copy() for column in range(3))
        )

    def __len__(self) -> int:
        return len(self.item)

    def votes(self) -> Floats:
        """How many answers each item has of each class (items × classes)."""
        size = (len(self.items), len(self.classes))
        flat = self.item * size[1] + self.label
        return np.bincount(flat, minlength=size[0] * size[1]).reshape(size).astype(np.float64)


# Measures of agreement


class Measure(NamedTuple):
    """A measure's value, or None and the reason in words why these answers do not give one."""

    value: float | None
    why: str = ""


class _Pairable(NamedTuple):
    """The answers to items that have at least two: only these can agree or differ."""

    item: Codes  # renumbered without gaps
    label: Codes
    per_item: Floats
    alike: Floats  # per item: ordered pairs of equal answers
    totals: Floats  # per class


def percent_agreement(answers: Answers) -> Measure:
    """The share of equal pairs among an item's answers, averaged over the items with two answers or more."""
    found = _pairable(answers)
    if found is None:
        return Measure(None, NO_PAIRS)
    return Measure(float(_share_alike(found).mean()))


def alpha(answers: Answers, metric: Metric = "nominal", order: Sequence[str] | None = None) -> Measure:
    """Krippendorff's alpha; 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement.

    Ordinal needs ranked labels: `order` from lowest to highest, or labels that are numbers. Interval needs
    labels that are numbers.
    """
    found = _pairable(answers)
    if found is None:
        return Measure(None, NO_PAIRS)
    if np.count_nonzero(found.totals) < 2:
        return Measure(None, ONE_LABEL)
    if metric == "nominal":
        n = found.totals.sum()
        observed = 1 - (found.alike / (found.per_item - 1)).sum() / n
        expected = 1 - (found.totals * (found.totals - 1)).sum() / (n * (n - 1))
        return Measure(float(1 - observed / expected))
    values = _values(answers.classes, order if metric == "ordinal" else None)
    if values is None:
        return Measure(None, f"The labels have no {'order' if metric == 'ordinal' else 'numeric value'}.")
    return _alpha_of_values(found, _mid_ranks(found.totals, values) if metric == "ordinal" else values)


def fleiss_kappa(answers: Answers) -> Measure:
    """Fleiss' kappa, which exists only where every item has the same number of answers, two or more."""
    per_item = np.bincount(answers.item, minlength=len(answers.items))
    found = _pairable(answers)
    if found is None:
        return Measure(None, NO_PAIRS)
    fewest, most = int(per_item.min()), int(per_item.max())
    if fewest != most:
        return Measure(
            None, f"Items have from {fewest} to {most} answers; Fleiss' kappa needs the same number for each."
        )
    if np.count_nonzero(found.totals) < 2:
        return Measure(None, ONE_LABEL)
    shares = found.totals / found.totals.sum()
    expected = float((shares**2).sum())
    return Measure((float(_share_alike(found).mean()) - expected) / (1 - expected))


def gwet_ac1(answers: Answers) -> Measure:
    """Gwet's AC1, steadier than alpha where a class is rare; counts the classes of `answers`, seen or not."""
    found = _pairable(answers)
    if found is None:
        return Measure(None, NO_PAIRS)
    votes = answers.votes()
    shares = (votes / votes.sum(axis=1, keepdims=True)).mean(axis=0)
    if np.count_nonzero(shares) < 2:
        return Measure(None, ONE_LABEL)
    expected = float((shares * (1 - shares)).sum()) / (len(shares) - 1)
    return Measure((float(_share_alike(found).mean()) - expected) / (1 - expected))


def _pairable(answers: Answers) -> _Pairable | None:
    all_counts = np.bincount(answers.item, minlength=len(answers.items))
    original = np.flatnonzero(all_counts >= 2)
    if not len(original):
        return None
    kept = all_counts[answers.item] >= 2
    renumbered = np.searchsorted(original, answers.item[kept])
    label = answers.label[kept]
    cells, counts = np.unique(renumbered * len(answers.classes) + label, return_counts=True)
    alike = np.bincount(
        cells // len(answers.classes), counts * (counts - 1.0), minlength=len(original)
    ).astype(np.float64)
    totals = np.bincount(label, minlength=len(answers.classes)).astype(np.float64)
    return _Pairable(renumbered, label, all_counts[original].astype(np.float64), alike, totals)


def _share_alike(found: _Pairable) -> Floats:
    shares: Floats = found.alike / (found.per_item * (found.per_item - 1))
    return shares


def _values(classes: Sequence[str], order: Sequence[str] | None) -> Floats | None:
    """Give each class its number: its place in `order`, or itself if all are finite numbers."""
    if order is not None:
        place = {name: float(at) for at, name in enumerate(order)}
        return np.array([place[name] for name in classes]) if place.keys() >= set(classes) else None
    try:
        numbers = [float(name) for name in classes]
    except ValueError:
        return None
    return np.array(numbers) if all(map(math.isfinite, numbers)) else None


def _mid_ranks(totals: Floats, values: Floats) -> Floats:
    """Rank the classes by the answers below them: the ordinal metric is the interval metric on these."""
    distinct, at = np.unique(values, return_inverse=True)
    merged = np.bincount(at, totals, minlength=len(distinct))
    ranks: Floats = (np.cumsum(merged) - merged / 2)[at]
    return ranks


def _alpha_of_values(found: _Pairable, values: Floats) -> Measure:
    """Interval alpha from two moments per item, so any number of distinct values costs the same."""
    x = values[found.label]
    spread = float(np.abs(x).max()) or 1.0
    x = x / spread  # alpha does not change with scale or origin; squares of huge numbers would overflow
    x = x - x.mean()
    n = len(x)
    expected = float((x**2).sum()) / (n - 1)
    if expected == 0:
        return Measure(None, ONE_LABEL)
    means = np.bincount(found.item, x) / found.per_item
    within = np.bincount(found.item, (x - means[found.item]) ** 2)
    observed = float((within * found.per_item / (found.per_item - 1)).sum()) / n
    return Measure(1 - observed / expected)


# Aggregators: from answers to one distribution per item


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


# The decision on one item


@dataclass(frozen=True)
class Decision:
    """What to do with one item now; recomputed from all its answers, so asking twice changes nothing."""

    state: Literal["collecting", "settled", "contested"]
    winner: str | None
    distribution: dict[str, float]
    """Share of the answers per label given, sorted by label."""
    agreement: float | None
    """Share of equal pairs among the answers; None below two answers."""


def decide(labels: Sequence[str], classes: int, wanted: int, cap: int) -> Decision:
    """Decide on an item from its answers (one per worker), out of `classes` possible labels.

    Fewer than `wanted` answers: collecting. From `wanted` on, a label with more answers than any other
    settles the item. While the best are level one more answer is asked for, until there are `cap`: then the
    item is contested and goes to a person or is exported as its distribution. Answers beyond `wanted` or
    `cap` count like all others.
    """
    if not 1 <= wanted <= cap:
        raise ValueError(f"wanted ({wanted}) must be from 1 to cap ({cap})")
    counts = Counter(labels)
    if len(counts) > classes:
        raise ValueError(f"{len(counts)} different labels where {classes} are possible")
    n = len(labels)
    distribution = {label: count / n for label, count in sorted(counts.items())}
    alike = sum(count * (count - 1) for count in counts.values())
    agreement = alike / (n * (n - 1)) if n >= 2 else None
    best = [label for label, count in counts.items() if count == max(counts.values())]
    if n < wanted:
        return Decision("collecting", None, distribution, agreement)
    if len(best) == 1:
        return Decision("settled", best[0], distribution, agreement)
    return Decision("collecting" if n < cap else "contested", None, distribution, agreement)
