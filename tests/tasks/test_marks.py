"""Spans by their characters, boxes by place; nobody counts twice."""

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.aggregators.boxes import combine_boxes, overlap
from tasks.aggregators.spans import combine_spans


def span(start: int, end: int, label: str = "Person") -> dict[str, object]:
    return {"start": start, "end": end, "label": label}


def box(x: float, y: float, width: float, height: float, label: str = "House") -> dict[str, object]:
    return {"x": x, "y": y, "width": width, "height": height, "label": label}


def test_a_character_needs_half_of_the_answers() -> None:
    assert combine_spans([[span(0, 5)], [span(0, 5), span(8, 9)], [span(0, 4)]]) == [span(0, 5)]
    assert combine_spans([[span(0, 6)], [span(2, 9)], [span(4, 7)]]) == [span(2, 7)]
    assert combine_spans([[span(0, 6)], [span(2, 9)]]) == [span(0, 9)]
    assert combine_spans([[span(0, 5)], [], []]) == []


def test_spans_of_other_labels_and_places_stay_apart() -> None:
    both = [span(0, 5), span(0, 5, "Place"), span(7, 9)]
    assert combine_spans([both, both]) == both
    assert combine_spans([[span(0, 5)], [span(0, 5, "Place")], []]) == []


def test_a_character_marked_twice_by_one_counts_once() -> None:
    assert combine_spans([[span(0, 5), span(0, 5), span(3, 6)], [], []]) == []


spans = st.builds(lambda start, length: span(start, start + length), st.integers(0, 15), st.integers(1, 8))


@given(st.lists(st.lists(spans, max_size=4), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_what_is_kept_is_what_at_least_half_marked(
    answers: list[list[dict[str, int]]], random: Random
) -> None:
    marked = [{at for one in answer for at in range(one["start"], one["end"])} for answer in answers]
    votes = Counter(at for characters in marked for at in characters)
    kept = combine_spans(answers)
    assert {at for one in kept for at in range(one["start"], one["end"])} == {
        at for at, count in votes.items() if 2 * count >= len(answers)
    }
    assert all(one["end"] < other["start"] for one, other in itertools.pairwise(kept))
    assert combine_spans(random.sample(answers, len(answers))) == kept


def test_boxes_of_one_thing_meet_in_the_median_corner() -> None:
    seen = [[box(0, 0, 10, 10)], [box(1, 1, 10, 10)], [box(0, 1, 11, 9)]]
    assert combine_boxes(seen) == [box(0, 1, 11, 9)]


def test_boxes_of_other_labels_and_places_stay_apart() -> None:
    first = [box(0, 0, 10, 10), box(50, 0, 10, 10, "Tree")]
    assert combine_boxes([first, first]) == first
    assert combine_boxes([[box(0, 0, 10, 10)], [box(0, 0, 10, 10, "Tree")], []]) == []


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (1, 0, 2, 1)) == 0


corners = st.tuples(*[st.integers(1, 40)] * 4).map(lambda four: box(*four))


@given(st.lists(st.lists(corners, max_size=4), min_size=1, max_size=5))
def test_what_is_kept_lies_where_a_third_of_the_answers_have_a_box(
    answers: list[list[dict[str, float]]],
) -> None:
    for one in combine_boxes(answers):
        near = [
            answer
            for answer in answers
            if any(
                other["x"] <= one["x"] + one["width"] and one["x"] <= other["x"] + other["width"]
                for other in answer
            )
        ]
        assert 3 * len(near) >= len(answers)
        assert len(near) >= min(2, len(answers) - 1)


@given(st.lists(corners, max_size=4))
def test_one_answer_is_its_own_consensus(answer: list[dict[str, float]]) -> None:
    assert len(combine_boxes([answer])) == len(answer)
