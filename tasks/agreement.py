"""Agreement: how alike the answers are.

Pure arithmetic on answers as whole-number codes: no database, no clock, no chance. A measure that the answers
cannot give is undefined and says why; it is never 0, 1 or not-a-number in disguise. Nothing here depends on the
order in which answers came in (except that a worker's last answer to an item replaces the earlier ones), nor on how
items, workers or labels are named; where many answers agree in part, the same sample of pairs is taken each time. It
steers which answer is used, never what is earned.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.words import NOTHING, Words

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Metric = Literal["nominal", "ordinal", "interval"]

PAIRS_MAX: Final = 20_000  # pairs of different answers that `in_part` compares on either side
DRAWN_MAX: Final = 1_000_000  # pairs that it chooses from

NO_PAIRS: Final = Words("No item has two answers yet, so there is nothing to compare.")
ONE_LABEL: Final = Words(
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


class Measure(NamedTuple):
    """A measure's value, or None and the reason in words why these answers do not give one."""

    value: float | None
    why: Words = NOTHING


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
        no_order, no_number = Words("The labels have no order."), Words("The labels have no numeric value.")
        return Measure(None, no_order if metric == "ordinal" else no_number)
    return _alpha_of_values(found, _mid_ranks(found.totals, values) if metric == "ordinal" else values)


def in_part(
    answers: Answers, distance: Callable[[int, int], float], *, pairs_max: int = PAIRS_MAX
) -> tuple[Measure, Measure]:
    """Give alpha and the mean likeness of an item's answers where these agree in part, as marks do.

    `distance` takes two codes of different classes and is from 0 (the same) to 1 (nothing in common); the mean
    over items is of 1 - distance. Alpha is Krippendorff's general form: 1 - observed / expected, the distance
    between answers to one item over that between any two answers. How often two answers differ at all is counted
    exactly on both sides; how far those that differ are apart is exact up to `pairs_max` pairs and beyond it the
    mean of so many, drawn by a fixed rule from what was answered alone. The standard error of that mean is at
    most 0.5 / sqrt(pairs_max): 0.0035 for the default, and in practice about a third.
    """
    found = _pairable(answers)
    if found is None:
        return Measure(None, NO_PAIRS), Measure(None, NO_PAIRS)
    drawing = np.random.default_rng(0)
    n = found.totals.sum()
    differ = 1 - (found.alike / (found.per_item - 1)).sum() / n
    differ_by_chance = 1 - (found.totals * (found.totals - 1)).sum() / (n * (n - 1))
    one, other, weight, per_item = _pairs_within(found, pairs_max, drawing)
    apart = _apart(distance, one, other)
    percent = 1 - (1 - float(_share_alike(found).mean())) * _mean(apart, weight / per_item)
    one, other = _pairs_over_all(found, pairs_max, drawing)
    expected = differ_by_chance * _mean(_apart(distance, one, other), np.ones(len(one)))
    if expected == 0:
        return Measure(None, ONE_LABEL), Measure(percent)
    return Measure(float(1 - differ * _mean(apart, weight) / expected)), Measure(percent)


def fleiss_kappa(answers: Answers) -> Measure:
    """Fleiss' kappa, which exists only where every item has the same number of answers, two or more."""
    per_item = np.bincount(answers.item, minlength=len(answers.items))
    found = _pairable(answers)
    if found is None:
        return Measure(None, NO_PAIRS)
    fewest, most = int(per_item.min()), int(per_item.max())
    if fewest != most:
        template = Words(
            "Items have from %(fewest)s to %(most)s answers; Fleiss' kappa needs the same number for each."
        )
        return Measure(None, template.filled(fewest=fewest, most=most))
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


def _pairs_within(
    found: _Pairable, pairs_max: int, drawing: np.random.Generator
) -> tuple[Codes, Codes, Floats, Floats]:
    """Give pairs of different answers to one item: both codes, their weight in alpha, the item's answers."""
    order = _by_content(found, drawing)
    label, item = found.label[order], found.item[order]
    size = found.per_item[item]
    if (found.per_item * (found.per_item - 1)).sum() / 2 <= DRAWN_MAX:
        shifts = range(1, int(found.per_item.max()))
        one = np.concatenate([np.flatnonzero(item[shift:] == item[:-shift]) for shift in shifts])
        other = np.concatenate([np.flatnonzero(item[shift:] == item[:-shift]) + shift for shift in shifts])
        weight = 1 / (size[one] - 1)
    else:
        first = np.r_[0, np.flatnonzero(np.diff(item)) + 1]
        start = np.repeat(first, np.diff(np.r_[first, len(item)]))
        one = drawing.integers(len(item), size=DRAWN_MAX)
        width = size[one].astype(np.int64)
        other = start[one] + (one - start[one] + drawing.integers(1, width)) % width
        weight = np.ones(DRAWN_MAX)
    kept = _sample(np.flatnonzero(label[one] != label[other]), pairs_max, drawing)
    return label[one[kept]], label[other[kept]], weight[kept], size[one[kept]]


def _pairs_over_all(found: _Pairable, pairs_max: int, drawing: np.random.Generator) -> tuple[Codes, Codes]:
    """Give pairs of different answers, whatever their items."""
    label, n = np.sort(found.label), len(found.label)
    if n * (n - 1) / 2 <= DRAWN_MAX:
        one, other = np.triu_indices(n, 1)
    else:
        one = drawing.integers(n, size=DRAWN_MAX)
        other = (one + drawing.integers(1, n, size=DRAWN_MAX)) % n
    kept = _sample(np.flatnonzero(label[one] != label[other]), pairs_max, drawing)
    return label[one[kept]], label[other[kept]]


def _by_content(found: _Pairable, drawing: np.random.Generator) -> Codes:
    """Order answers by what the items' answers are, so that a sample does not depend on any name."""
    by_label = np.argsort(found.label, kind="stable")
    marks = drawing.random(len(found.totals))[found.label[by_label]]
    print_of = np.bincount(found.item[by_label], marks)
    order: Codes = np.lexsort((found.label, found.item, print_of[found.item]))
    return order


def _sample(places: Codes, most: int, drawing: np.random.Generator) -> Codes:
    return places if len(places) <= most else np.sort(drawing.choice(places, most, replace=False))


def _apart(distance: Callable[[int, int], float], one: Codes, other: Codes) -> Floats:
    return np.array([distance(*pair) for pair in zip(one.tolist(), other.tolist(), strict=True)], dtype=float)


def _mean(values: Floats, weights: Floats) -> float:
    """Give the weighted mean; without values there is nothing that it could change."""
    return float(np.average(values, weights=weights)) if len(values) else 1.0


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
