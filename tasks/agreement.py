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
from itertools import pairwise, starmap
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.words import NOTHING, Words

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Metric = Literal["nominal", "ordinal", "interval", "ratio"]

TABLE_PER_ANSWER: Final = 8
"""Cells per answer up to which a whole table of items × classes costs less than sorting the answers."""
RATIO_VALUES_MAX: Final = 20_000
"""Different values up to which each pair of them is looked at."""
RATIO_BLOCK: Final = 256
PAIRS_MAX: Final = 20_000  # pairs of different answers that `in_part` compares on either side
DRAWN_MAX: Final = 1_000_000  # pairs that it chooses from

NO_PAIRS: Final = Words("No item has two answers yet, so there is nothing to compare.")
NO_ORDER: Final = Words("The labels have no order.")
NO_NUMBER: Final = Words("The labels have no numeric value.")
BELOW_ZERO: Final = Words("The ratio of two values has a meaning only where none is below zero.")
TOO_MANY_VALUES: Final = Words(
    "There are %(values)s different values; the ratio level looks at each pair of them, of %(most)s at most."
)
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
        items, workers, labels = tuple(zip(*rows, strict=True)) or ((), (), ())
        return cls.of_columns(items, workers, labels, classes)

    @classmethod
    def of_columns(
        cls,
        items: Sequence[str],
        workers: Sequence[str],
        labels: Sequence[str],
        classes: Sequence[str] | None = None,
    ) -> "Answers":
        """Encode rows that stand as three columns, as `of` does; a million take about a second."""
        (item_names, item), (worker_names, worker), (label_names, label) = map(
            encoded, (items, workers, labels)
        )
        return cls.of_codes(item_names, worker_names, label_names, item, worker, label, classes)

    @classmethod
    def of_codes(
        cls,
        items: Sequence[str],
        workers: Sequence[str],
        labels: Sequence[str],
        item: Codes,
        worker: Codes,
        label: Codes,
        classes: Sequence[str] | None = None,
    ) -> "Answers":
        """Take rows as codes into names, which may stand in any order; what nobody gave any more is no class."""
        items, item = _in_order(items, item)
        workers, worker = _in_order(workers, worker)
        kept = _last_of_each(item * len(workers) + worker)
        item, worker, label = item[kept], worker[kept], label[kept]
        seen = np.unique(label)
        known, place = _in_order([labels[code] for code in seen.tolist()], np.arange(len(seen)))
        if classes is not None:
            names = sorted(set(classes))
            code_of = {name: code for code, name in enumerate(names)}
            unknown = [name for name in known if name not in code_of]
            if unknown:
                raise ValueError(f"not among the classes: {unknown[:5]}")
            place = np.array([code_of[name] for name in known], dtype=np.int64)[place]
            known = tuple(names)
        return cls(items, workers, known, item, worker, place[np.searchsorted(seen, label)])

    def __len__(self) -> int:
        return len(self.item)

    def votes(self) -> Floats:
        """How many answers each item has of each class (items × classes)."""
        size = (len(self.items), len(self.classes))
        flat = self.item * size[1] + self.label
        return np.bincount(flat, minlength=size[0] * size[1]).reshape(size).astype(np.float64)

    def rows_by_item(self) -> list[slice]:
        """Say where each item's answers stand."""
        bounds = np.searchsorted(self.item, np.arange(len(self.items) + 1)).tolist()
        return list(starmap(slice, pairwise(bounds)))

    def mean_by_worker(self, of_answer: Sequence[float] | Floats) -> Floats:
        """Average a figure of each answer over each worker's answers."""
        size = len(self.workers)
        mean: Floats = np.bincount(self.worker, of_answer, minlength=size) / np.bincount(
            self.worker, minlength=size
        )
        return mean


def encoded(names: Sequence[str]) -> tuple[tuple[str, ...], Codes]:
    """Give the different names in order, and each name's place among them."""
    known = sorted(set(names))
    place = {name: at for at, name in enumerate(known)}
    return tuple(known), np.fromiter(map(place.__getitem__, names), dtype=np.int64, count=len(names))


def _in_order(names: Sequence[str], code: Codes) -> tuple[tuple[str, ...], Codes]:
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return tuple(names[at] for at in order), place[code]


def _last_of_each(key: Codes) -> Codes:
    """Give where each key stands last, in the order of the keys."""
    order = np.argsort(key, kind="stable")
    last = np.append(np.diff(key[order]) != 0, np.ones(min(1, len(key)), dtype=bool))
    kept: Codes = order[last]
    return kept


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
    labels that are numbers, ratio numbers that are not below zero. From counts per item and class, without a
    table of workers: nominal and interval in their own sums, ordinal as the interval level of mid-ranks, all
    in time that grows with the answers alone; ratio with the pairs of different values.
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
    values = numbers_of(answers.classes, order if metric == "ordinal" else None)
    if values is None:
        return Measure(None, NO_ORDER if metric == "ordinal" else NO_NUMBER)
    if metric == "ratio":
        return _alpha_of_ratios(found, values)
    return _alpha_of_values(found, mid_ranks(found.totals, values) if metric == "ordinal" else values)


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
    size = np.bincount(answers.item, minlength=len(answers.items))
    weight = 1 / (size[answers.item] * len(answers.items))
    shares = np.bincount(answers.label, weight, minlength=len(answers.classes))
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
    alike = _alike(renumbered, label, len(original), len(answers.classes))
    totals = np.bincount(label, minlength=len(answers.classes)).astype(np.float64)
    return _Pairable(renumbered, label, all_counts[original].astype(np.float64), alike, totals)


def _alike(item: Codes, label: Codes, items: int, classes: int) -> Floats:
    """Count each item's ordered pairs of equal answers."""
    cell = item * classes + label
    if items * classes <= TABLE_PER_ANSWER * len(cell):
        votes = np.bincount(cell, minlength=items * classes).reshape(items, classes)
        alike: Floats = np.einsum("ij,ij->i", votes, votes - 1).astype(np.float64)
        return alike
    cells, counts = np.unique(cell, return_counts=True)
    return np.bincount(cells // classes, counts * (counts - 1.0), minlength=items).astype(np.float64)


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


def numbers_of(classes: Sequence[str], order: Sequence[str] | None) -> Floats | None:
    """Give each class its number: its place in `order`, or itself if all are finite numbers."""
    if order is not None:
        place = {name: float(at) for at, name in enumerate(order)}
        return np.array([place[name] for name in classes]) if place.keys() >= set(classes) else None
    try:
        numbers = [float(name) for name in classes]
    except ValueError:
        return None
    return np.array(numbers) if all(map(math.isfinite, numbers)) else None


def mid_ranks(totals: Floats, values: Floats) -> Floats:
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


def _alpha_of_ratios(found: _Pairable, values: Floats) -> Measure:
    """Ratio alpha: two values differ by the square of their difference over their sum."""
    seen = found.totals > 0
    value, at = np.unique(values[seen], return_inverse=True)
    if value[0] < 0:
        return Measure(None, BELOW_ZERO)
    if len(value) > RATIO_VALUES_MAX:
        return Measure(None, TOO_MANY_VALUES.filled(values=len(value), most=RATIO_VALUES_MAX))
    place = np.zeros(len(values), dtype=np.int64)
    place[seen] = at
    count = np.bincount(place[found.label], minlength=len(value)).astype(np.float64)
    apart = 0.0
    for start in range(0, len(value), RATIO_BLOCK):
        block = slice(start, start + RATIO_BLOCK)
        apart += float(count[block] @ ratio_apart(value[block, None], value) @ count)
    if apart == 0:
        return Measure(None, ONE_LABEL)
    n = count.sum()
    order = np.argsort(found.item, kind="stable")
    x, item = value[place[found.label[order]]], found.item[order]
    observed = 0.0
    for shift in range(1, int(found.per_item.max())):
        same = np.flatnonzero(item[shift:] == item[:-shift])
        share = 2 / (found.per_item[item[same]] - 1)
        observed += float((ratio_apart(x[same], x[same + shift]) * share).sum())
    return Measure(float(1 - observed / n / (apart / (n * (n - 1)))))


def ratio_apart(one: Floats, other: Floats) -> Floats:
    """Give the ratio level's distance: the square of the difference over the sum."""
    total = one + other
    share = np.divide(one - other, total, out=np.zeros(np.broadcast(one, other).shape), where=total > 0)
    squared: Floats = share**2
    return squared
