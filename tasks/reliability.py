"""Reliability: all measures of agreement of a table of answers, how sure each is, and when not to trust them.

Pure. An interval is where a measure falls in 95 of 100 samples of items like these, drawn with replacement from the
items themselves (bootstrap; each item is taken a Poisson number of times, as large samples allow). The draws follow a
fixed seed, so everybody gets the same interval from the same answers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from schemas.words import Words
from tasks.agreement import (
    Answers,
    Floats,
    Measure,
    Metric,
    alpha,
    fleiss_kappa,
    gwet_ac1,
    mid_ranks,
    numbers_of,
    percent_agreement,
    ratio_apart,
)

DRAWS: Final = 1000
DRAWS_MIN: Final = 100
DRAWN_MAX: Final = 20_000_000
"""Numbers drawn in all: with more different items there are fewer draws, which then differ less."""
DRAWN_AT_ONCE: Final = 2_000_000
TABLE_CLASSES_MAX: Final = 500
"""Classes up to which items are counted class by class."""
WITHIN: Final = (2.5, 97.5)
"""Percentiles."""
SKEW_MIN: Final = 0.2
RARE_MAX: Final = 5
RARE_SHOWN: Final = 5

SKEWED: Final = Words(
    "Alpha is %(alpha)s and AC1 is %(ac1)s: they part where some classes are much more common than others. Read both "
    "beside the percent agreement."
)
RARE: Final = Words("Classes with fewer than %(least)s answers, of which nothing can be said: %(these)s.")


class Interval(NamedTuple):
    """Where a measure lies in most samples of items like these."""

    low: float
    high: float


class Report(NamedTuple):
    """All measures by name (`alpha_nominal`, …, `percent`, `fleiss_kappa`, `ac1`), intervals where they have one."""

    measures: Mapping[str, Measure]
    intervals: Mapping[str, Interval]
    warnings: tuple[Words, ...]


class _Units(NamedTuple):
    """Items that are alike, counted together: what a draw is made of."""

    many: Floats
    size: Floats  # answers to each item
    alike: Floats  # ordered pairs of equal answers
    votes: Floats | None  # per class, where these are few
    moments: Mapping[str, Floats]  # by level: sum, sum of squares, squares within by (size - 1)


def report(
    answers: Answers, levels: Sequence[Metric] = ("nominal",), order: Sequence[str] | None = None
) -> Report:
    """Measure agreement at these levels (alpha) and by percent, Fleiss' kappa and AC1."""
    measures = {f"alpha_{level}": alpha(answers, level, order) for level in levels} | {
        "percent": percent_agreement(answers),
        "fleiss_kappa": fleiss_kappa(answers),
        "ac1": gwet_ac1(answers),
    }
    defined = [name for name, measure in measures.items() if measure.value is not None]
    intervals = _intervals(answers, defined, order) if defined else {}
    return Report(measures, intervals, tuple(_warnings(answers, measures)))


def _warnings(answers: Answers, measures: Mapping[str, Measure]) -> Iterator[Words]:
    nominal, ac1 = measures.get("alpha_nominal", Measure(None)).value, measures["ac1"].value
    if nominal is not None and ac1 is not None and abs(nominal - ac1) > SKEW_MIN:
        yield SKEWED.filled(alpha=f"{nominal:.2f}", ac1=f"{ac1:.2f}")
    count = np.bincount(answers.label, minlength=len(answers.classes))
    rare = [answers.classes[code] for code in np.flatnonzero(count < RARE_MAX).tolist()]
    if rare and len(answers.classes) <= TABLE_CLASSES_MAX:
        more = ["…"] if len(rare) > RARE_SHOWN else []
        yield RARE.filled(least=RARE_MAX, these=[*rare[:RARE_SHOWN], *more])


def _intervals(answers: Answers, names: Sequence[str], order: Sequence[str] | None) -> dict[str, Interval]:
    units = _units(answers, names, order)
    statistics = {name: found for name in names if (found := _statistic(name, answers, units, order))}
    draws = min(DRAWS, max(DRAWS_MIN, DRAWN_MAX // len(units.many)))
    at_once = max(1, DRAWN_AT_ONCE // len(units.many))
    drawing = np.random.default_rng(0)
    values: dict[str, list[Floats]] = {name: [] for name in statistics}
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, draws, at_once):
            size = (min(at_once, draws - start), len(units.many))
            drawn = drawing.poisson(units.many, size=size).astype(np.float64)
            for name, statistic in statistics.items():
                values[name].append(statistic(drawn))
    intervals = {}
    for name, parts in values.items():
        sample = np.concatenate(parts)
        sample = sample[np.isfinite(sample)]
        if len(sample) >= draws / 2:
            low, high = np.percentile(sample, WITHIN)
            intervals[name] = Interval(float(low), float(high))
    return intervals


def _units(answers: Answers, names: Sequence[str], order: Sequence[str] | None) -> _Units:
    """Count items with the same votes once; with very many classes each item stands for itself."""
    size = np.bincount(answers.item, minlength=len(answers.items)).astype(np.float64)
    x = {
        level: values
        for level in ("interval", "ordinal")
        if f"alpha_{level}" in names and (values := _values(answers, level, order)) is not None
    }
    if len(answers.classes) > TABLE_CLASSES_MAX:
        cell, count = np.unique(answers.item * len(answers.classes) + answers.label, return_counts=True)
        alike: Floats = np.bincount(
            cell // len(answers.classes), count * (count - 1.0), minlength=len(size)
        ).astype(np.float64)
        moments = {level: _moments(values[answers.label], answers.item, size) for level, values in x.items()}
        return _Units(np.ones(len(size)), size, alike, None, moments)
    votes = answers.votes()
    mark = np.random.default_rng(1).integers(1 << 62, size=votes.shape[1])
    _, first, many = np.unique(votes.astype(np.int64) @ mark, return_index=True, return_counts=True)
    votes, size = votes[first], size[first]
    item = np.repeat(np.arange(len(size)), size.astype(np.int64))
    label = np.repeat(np.tile(np.arange(votes.shape[1]), len(votes)), votes.ravel().astype(np.int64))
    moments = {level: _moments(values[label], item, size) for level, values in x.items()}
    return _Units(many.astype(np.float64), size, (votes * (votes - 1)).sum(axis=1), votes, moments)


def _values(answers: Answers, level: str, order: Sequence[str] | None) -> Floats | None:
    values = numbers_of(answers.classes, order if level == "ordinal" else None)
    if values is None:
        return None
    if level == "ordinal":
        values = mid_ranks(np.bincount(answers.label, minlength=len(values)).astype(np.float64), values)
    values = values / (float(np.abs(values).max()) or 1.0)
    centred: Floats = values - values[answers.label].mean()
    return centred


def _moments(x: Floats, item: Any, size: Floats) -> Floats:
    total, squares = np.bincount(item, x), np.bincount(item, x**2)
    within = (squares - total**2 / size).clip(0) * size / np.maximum(size - 1, 1)
    return np.stack([total, squares, within], axis=1)


Statistic = Callable[[Floats], Floats]
"""A measure as a function of how often each unit is drawn (draws × units)."""


def _statistic(name: str, answers: Answers, units: _Units, order: Sequence[str] | None) -> Statistic | None:
    level = name.removeprefix("alpha_")
    if name == "percent":
        return _percent(units)
    if level in units.moments:
        return _alpha_of_moments(units, units.moments[level])
    if units.votes is None:
        return None
    if name == "ac1":
        return _ac1(units, units.votes)
    if name == "fleiss_kappa":
        return _fleiss(units, units.votes)
    apart = _apart(level, answers, order)
    return None if apart is None else _alpha(units, units.votes, apart)


def _percent(units: _Units) -> Statistic:
    pair = units.size >= 2
    share = units.alike / np.maximum(units.size * (units.size - 1), 1)

    def statistic(drawn: Floats) -> Floats:
        mean: Floats = (drawn @ share) / (drawn @ pair)
        return mean

    return statistic


def _alpha(units: _Units, votes: Floats, apart: Floats) -> Statistic:
    pair = units.size >= 2
    kept = votes * pair[:, None]
    observed = ((kept @ apart) * kept).sum(axis=1) / np.maximum(units.size - 1, 1)

    def statistic(drawn: Floats) -> Floats:
        n, total = drawn @ (units.size * pair), drawn @ kept
        expected = ((total @ apart) * total).sum(axis=1) / (n - 1)
        value: Floats = 1 - (drawn @ observed) / expected
        return value

    return statistic


def _alpha_of_moments(units: _Units, moments: Floats) -> Statistic:
    pair = units.size >= 2
    kept = moments * pair[:, None]

    def statistic(drawn: Floats) -> Floats:
        n = drawn @ (units.size * pair)
        total, squares, within = (drawn @ kept).T
        value: Floats = 1 - (within / n) / ((squares - total**2 / n) / (n - 1))
        return value

    return statistic


def _ac1(units: _Units, votes: Floats) -> Statistic:
    percent, shares = _percent(units), votes / units.size[:, None]

    def statistic(drawn: Floats) -> Floats:
        of_class = (drawn @ shares) / drawn.sum(axis=1, keepdims=True)
        chance = (of_class * (1 - of_class)).sum(axis=1) / (votes.shape[1] - 1)
        value: Floats = (percent(drawn) - chance) / (1 - chance)
        return value

    return statistic


def _fleiss(units: _Units, votes: Floats) -> Statistic:
    percent = _percent(units)

    def statistic(drawn: Floats) -> Floats:
        total = drawn @ votes
        chance = ((total / total.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
        value: Floats = (percent(drawn) - chance) / (1 - chance)
        return value

    return statistic


def _apart(level: str, answers: Answers, order: Sequence[str] | None) -> Floats | None:
    if level == "nominal":
        return 1 - np.eye(len(answers.classes))
    values = numbers_of(answers.classes, order)
    return None if values is None else ratio_apart(values[:, None], values)
