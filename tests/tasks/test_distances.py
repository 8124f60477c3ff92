"""Answers that agree in part: figures by hand, the definition, invariances, and what sampling may change."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.answers import comparable
from tasks.aggregators.boxes import overlap
from tasks.agreement import NO_PAIRS, ONE_LABEL, Answers, alpha, in_part, percent_agreement
from tasks.distances import NO_LABELS, alike, measures

Marks = list[dict[str, Any]]


def span(start: int, end: int, label: str = "Person") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def box(x: float, y: float, width: float, height: float, label: str = "House") -> dict[str, Any]:
    return {"x": x, "y": y, "width": width, "height": height, "label": label}


def likeness(kind: str, one: Marks, other: Marks) -> float:
    return alike(kind, [comparable(kind, one), comparable(kind, other)])


def sheet(kind: str, *items: list[Marks]) -> Answers:
    """Make answers from the marks of each item; worker k gives each item's k-th."""
    return Answers.of(
        (f"i{at}", f"w{who}", comparable(kind, marks))
        for at, answers in enumerate(items)
        for who, marks in enumerate(answers)
    )


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([span(0, 10)], [span(0, 10)], 1),
        ([span(0, 10)], [span(5, 15)], 0.5),
        ([span(0, 10)], [span(10, 20)], 0),
        ([span(0, 10)], [span(0, 10, "Place")], 0),
        ([span(0, 10), span(20, 30)], [span(0, 10)], 2 * 10 / 30),
        ([span(0, 10), span(5, 12)], [span(0, 12)], 1),  # a character counts once
        ([span(0, 5), span(5, 9)], [span(0, 9)], 1),
        ([span(0, 4), span(0, 4, "Place")], [span(0, 4)], 2 * 4 / 12),
        ([], [span(3, 4)], 0),
        ([], [], 1),
    ],
)
def test_spans_are_alike_by_the_f1_of_their_characters(one: Marks, other: Marks, expected: float) -> None:
    assert likeness("spans", one, other) == pytest.approx(expected, abs=1e-6)
    assert likeness("spans", other, one) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([box(0, 0, 2, 2)], [box(0, 0, 2, 2)], 1),
        ([box(0, 0, 2, 2)], [box(1, 0, 2, 2)], 1 / 3),
        ([box(0, 0, 2, 2)], [box(2, 0, 2, 2)], 0),
        ([box(0, 0, 2, 2)], [box(0, 0, 2, 2, "Tree")], 0),
        ([box(0, 0, 2, 2), box(9, 9, 1, 1)], [box(0, 0, 2, 2)], 2 / 3),
        # Both overlap the one box; only the nearer is matched.
        ([box(0, 0, 4, 4), box(1, 0, 4, 4)], [box(0, 0, 4, 4)], 2 / 3),
        ([], [box(0, 0, 1, 1)], 0),
        ([], [], 1),
    ],
)
def test_boxes_are_alike_by_the_overlap_of_matched_ones(one: Marks, other: Marks, expected: float) -> None:
    assert likeness("boxes", one, other) == pytest.approx(expected, abs=1e-6)
    assert likeness("boxes", other, one) == pytest.approx(expected, abs=1e-6)


def test_labels_are_equal_or_not() -> None:
    assert alike("choice", ['"a"', '"b"', '"a"']) == 1
    assert alike("choices", ['["a"]', '["a","b"]']) == 0


def test_alpha_of_spans_by_hand() -> None:
    # Within items: 0 and 1/2, on average 1/4. Over all: three answers alike, one half apart from each: 1/4.
    found = measures("spans", sheet("spans", [[span(0, 10)], [span(0, 10)]], [[span(0, 10)], [span(5, 15)]]))
    assert found.metric == "span_overlap"
    assert found.alpha.value == pytest.approx(0, abs=1e-12)
    assert found.percent.value == pytest.approx(0.75, abs=1e-12)
    assert (found.ac1.value, found.ac1.why) == (None, NO_LABELS)


def test_alpha_of_boxes_by_hand() -> None:
    # Item 0: 2/3 apart. Item 1, with three answers: alike, and two pairs of nothing in common: 2/3 apart.
    # So 2/3 within. Over all ten pairs: a-b 2/3, c-c 0, and eight with nothing in common.
    one, other, far = [box(0, 0, 2, 2)], [box(1, 0, 2, 2)], [box(50, 50, 9, 9)]
    found = measures("boxes", sheet("boxes", [one, other], [far, far, []]))
    expected = (2 / 3 + 8) / 10
    assert found.metric == "box_overlap"
    assert found.alpha.value == pytest.approx(1 - (2 / 3) / expected, abs=1e-12)
    assert found.percent.value == pytest.approx(1 / 3, abs=1e-12)


def test_what_cannot_be_measured_says_why() -> None:
    alone = measures("spans", sheet("spans", [[span(0, 3)]], [[]]))
    assert (alone.alpha.value, alone.alpha.why) == (None, NO_PAIRS)
    assert (alone.percent.value, alone.percent.why) == (None, NO_PAIRS)
    unmarked = measures("boxes", sheet("boxes", [[], []], [[], []]))
    assert (unmarked.alpha.value, unmarked.alpha.why) == (None, ONE_LABEL)
    assert unmarked.percent.value == 1
    apart = [span(0, 5), span(5, 9)]
    written_otherwise = measures("spans", sheet("spans", [apart, [span(0, 9)]]))
    assert (written_otherwise.alpha.value, written_otherwise.alpha.why) == (None, ONE_LABEL)
    assert measures("spans", Answers.of([])).alpha.why == NO_PAIRS


labels = st.sampled_from(["a", "b"])
span_lists = st.lists(
    st.builds(
        lambda start, length, label: span(start, start + length, label),
        st.integers(0, 20),
        st.integers(1, 8),
        labels,
    ),
    max_size=4,
)
box_lists = st.lists(st.builds(box, *[st.integers(1, 9)] * 4, labels), max_size=4)
marks_of = {"spans": span_lists, "boxes": box_lists}
some_marks = st.sampled_from(sorted(marks_of)).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz"), marks_of[kind]), max_size=16
        ),
    )
)


def by_definition(kind: str, answers: Answers) -> tuple[float | None, float | None]:
    """Alpha over every ordered pair within items and every ordered pair of all, and the mean over items."""
    units = [
        [answers.classes[code] for code in answers.label[answers.item == at].tolist()]
        for at in range(len(answers.items))
    ]
    units = [unit for unit in units if len(unit) > 1]
    everything = [text for unit in units for text in unit]
    apart = {pair: 1 - alike(kind, list(pair)) for pair in itertools.product(set(everything), repeat=2)}
    within = sum(
        apart[one, other] / (len(unit) - 1)
        for unit in units
        for one, other in itertools.permutations(unit, 2)
    )
    among = sum(apart[pair] for pair in itertools.permutations(everything, 2))
    n = len(everything)
    likeness = [np.mean([1 - apart[pair] for pair in itertools.permutations(unit, 2)]) for unit in units]
    return (1 - within * (n - 1) / among if among else None), (float(np.mean(likeness)) if units else None)


@settings(deadline=None)
@given(some_marks)
def test_agreement_in_part_is_its_definition(given_marks: tuple[str, list[tuple[str, str, Marks]]]) -> None:
    kind, rows = given_marks
    answers = Answers.of((item, worker, comparable(kind, marks)) for item, worker, marks in rows)
    found = measures(kind, answers)
    expected, likeness = by_definition(kind, answers)
    assert (found.alpha.value is None) == (expected is None)
    assert expected is None or found.alpha.value == pytest.approx(
        expected, abs=1e-4
    )  # shares have six digits
    assert likeness is None or found.percent.value == pytest.approx(likeness, abs=1e-5)
    for measure in (found.alpha, found.percent):
        assert bool(measure.why) == (measure.value is None)
        assert measure.value is None or (math.isfinite(measure.value) and measure.value <= 1 + 1e-12)


@settings(deadline=None)
@given(some_marks, st.randoms(use_true_random=False), st.integers(1, 40))
def test_order_and_names_change_nothing_even_in_a_sample(
    given_marks: tuple[str, list[tuple[str, str, Marks]]], random: Any, pairs: int
) -> None:
    kind, rows = given_marks
    once = [(*key, marks) for key, marks in {(item, worker): marks for item, worker, marks in rows}.items()]
    items, workers = (
        dict(zip(sorted(names), random.sample(sorted(names), len(names)), strict=True))
        for names in ({row[0] for row in once}, {row[1] for row in once})
    )
    mixed = [(items[item], workers[worker], random.sample(marks, len(marks))) for item, worker, marks in once]
    random.shuffle(mixed)
    one, other = (
        Answers.of((item, worker, comparable(kind, marks)) for item, worker, marks in some)
        for some in (once, mixed)
    )
    assert measures(kind, one) == measures(kind, other)
    sampled, again = (in_part(some, lambda a, b: 1 / (1 + a + b), pairs_max=pairs) for some in (one, other))
    assert sampled == again


@given(st.lists(span_lists, min_size=2, max_size=6, unique_by=lambda one: comparable("spans", one)))
def test_identical_answers_agree_perfectly(items: list[Marks]) -> None:
    found = measures("spans", sheet("spans", *([marks, marks, marks] for marks in items)))
    assert found.percent.value == 1
    assert found.alpha.value == 1 or found.alpha.why == ONE_LABEL


@given(st.data())
def test_boxes_share_no_more_than_the_best_match(data: st.DataObject) -> None:
    one, other = data.draw(box_lists), data.draw(box_lists)
    found = likeness("boxes", one, other)
    assert found == pytest.approx(likeness("boxes", other, one), abs=1e-6)
    short, long = sorted(
        ([(*map(float, corners(mark)), mark["label"]) for mark in unique(some)] for some in (one, other)),
        key=len,
    )
    if short:
        best = max(
            sum(overlap(a[:4], b[:4]) if a[4] == b[4] else 0 for a, b in zip(short, matched, strict=True))
            for matched in itertools.permutations(long, len(short))
        )
        assert best / 2 - 1e-5 <= found * (len(short) + len(long)) / 2 <= best + 1e-5


def unique(marks: Marks) -> Marks:
    return [dict(items) for items in {tuple(sorted(mark.items())) for mark in marks}]


def corners(mark: dict[str, Any]) -> tuple[float, float, float, float]:
    return mark["x"], mark["y"], mark["x"] + mark["width"], mark["y"] + mark["height"]


def test_two_that_are_equal_or_not_have_the_alpha_of_labels() -> None:
    answers = Answers.of(
        (f"i{at}", f"w{who}", "abc"[at * who % 3]) for at in range(9) for who in range(at % 4 + 1)
    )
    found, share = in_part(answers, lambda _one, _other: 1.0)
    assert found.value == pytest.approx(alpha(answers).value, abs=1e-12)
    assert share.value == pytest.approx(percent_agreement(answers).value, abs=1e-12)


def test_a_sample_of_very_many_pairs_is_near_the_whole() -> None:
    """1.2 million pairs within items and 312 million over all, of which 20,000 of each are compared."""
    random = np.random.default_rng(5)
    truth = random.integers(0, 10, 250)
    said = np.clip(truth[:, None] + random.integers(-2, 3, (250, 100)), 0, 9)
    answers = Answers.of(
        (f"{item:03}", f"{who:02}", str(said[item, who])) for item in range(250) for who in range(100)
    )
    apart = np.abs(np.subtract.outer(np.arange(10), np.arange(10))) / 9
    votes = answers.votes()
    within = float(((votes @ apart) * votes).sum() / 99 / 25_000)
    totals = votes.sum(axis=0)
    among = float(totals @ apart @ totals / (25_000 * 24_999))
    found, share = in_part(answers, lambda one, other: float(apart[one, other]))
    assert found.value == pytest.approx(1 - within / among, abs=0.01)
    assert share.value == pytest.approx(1 - within, abs=0.0035)
    assert found == in_part(answers, lambda one, other: float(apart[one, other]))[0]
