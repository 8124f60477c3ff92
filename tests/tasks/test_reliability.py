"""Reliability: all measures with intervals that hold what they say, and warnings in words."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from sheets import Row, sheet, tables

from tasks import reliability
from tasks.agreement import NO_ORDER, NO_PAIRS, Answers, Metric, alpha
from tasks.reliability import report

ALL = get_args(Metric)


def coder(random: np.random.Generator, items: int, classes: int = 3) -> Answers:
    truth = random.integers(0, classes, items)
    return Answers.of(
        (f"{at:04}", f"w{who}", str(truth[at] if random.random() < 0.7 else random.integers(0, classes)))
        for at in range(items)
        for who in range(4)
    )


def test_every_measure_stands_in_its_interval() -> None:
    found = report(coder(np.random.default_rng(1), 300), ALL)
    assert found.measures.keys() == found.intervals.keys()
    for name, interval in found.intervals.items():
        value = found.measures[name].value
        assert value is not None
        assert interval.low < value < interval.high
        assert interval.high - interval.low < 0.15


def test_intervals_cover_what_large_crowds_have() -> None:
    """Of 40 samples of 100 items, some 38 intervals should hold the value of 20,000 items."""
    random = np.random.default_rng(2)
    whole = report(coder(random, 20_000)).measures
    held = dict.fromkeys(whole, 0)
    for _ in range(40):
        for name, interval in report(coder(random, 100)).intervals.items():
            value = whole[name].value
            assert value is not None
            held[name] += interval.low <= value <= interval.high
    assert min(held.values()) >= 34


def test_intervals_are_the_same_each_time_and_whatever_the_names() -> None:
    answers = coder(np.random.default_rng(3), 50)
    rows = [
        (f"x{answers.items[item][::-1]}", answers.workers[worker], answers.classes[label])
        for item, worker, label in zip(answers.item, answers.worker, answers.label, strict=True)
    ]
    one, again = report(answers, ALL).intervals, report(Answers.of(reversed(rows)), ALL).intervals
    for name, interval in one.items():
        assert tuple(interval) == pytest.approx(tuple(again[name]), abs=1e-12)


def test_counting_by_class_or_item_by_item_gives_one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = coder(np.random.default_rng(4), 200)
    one = report(answers, ALL).intervals
    monkeypatch.setattr(reliability, "TABLE_CLASSES_MAX", 1)
    other = report(answers, ALL).intervals
    assert other.keys() == {"alpha_ordinal", "alpha_interval", "percent"}
    for name, interval in other.items():
        assert tuple(interval) == pytest.approx(tuple(one[name]), abs=0.02)


def test_undefined_is_said_in_words() -> None:
    alone = report(sheet("a", "b"), ALL)
    assert all(measure == (None, NO_PAIRS) for measure in alone.measures.values())
    assert alone.intervals == {}
    words = report(sheet("ab", "aa"), ALL)
    assert words.measures["alpha_ordinal"] == (None, NO_ORDER)
    assert "alpha_ordinal" not in words.intervals
    assert report(sheet("ab", "aa"), ("ordinal",), ["b", "a"]).measures["alpha_ordinal"].value is not None


def test_skew_is_told() -> None:
    skewed = sheet(*(["aaa"] * 40), "aab", "aba", "baa", "abb", *(["bbb"] * 2))
    (warning,) = report(skewed).warnings
    assert "much more common" in warning
    assert report(sheet(*(["aab", "bbb", "aaa"] * 10))).warnings == ()


def test_rare_classes_are_named() -> None:
    warnings = report(sheet(*(["aab", "bbb", "aaa"] * 10), "ccc", "ddd")).warnings
    assert any("c, d" in warning for warning in warnings)


def test_ratio_needs_numbers_from_zero_on() -> None:
    assert "below zero" in alpha(Answers.of([("i", "a", "-1"), ("i", "b", "2")]), "ratio").why
    assert alpha(sheet("ab"), "ratio").value is None
    many = Answers.of((f"{at // 2}", f"{at % 2}", str(at)) for at in range(20_002))
    assert "different values" in alpha(many, "ratio").why
    assert alpha(many, "interval").value is not None


@settings(deadline=None, max_examples=50)
@given(tables)
def test_nothing_is_nan(rows: list[Row]) -> None:
    found = report(Answers.of(rows), ALL)
    for measure in found.measures.values():
        assert (measure.value is None) == bool(measure.why)
        assert measure.value is None or np.isfinite(measure.value)
    assert all(np.isfinite(interval).all() for interval in found.intervals.values())
