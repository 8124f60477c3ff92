"""Aggregators of numbers, texts, spans, boxes and comparisons: what each keeps, and that nothing depends on names."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tasks.aggregators import METHODS, aggregate, numbers, pairs, spans, texts
from tasks.aggregators.labels import READERS
from tasks.agreement import Answers

Row = tuple[str, str, str]

number_labels = st.integers(-9, 9).map(lambda number: f"{number}.5")
text_labels = st.lists(st.sampled_from(["the", "cat", "sat", "mat"]), max_size=4).map(" ".join)
span_labels = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 5)).map(lambda pair: [pair[0], sum(pair)]), max_size=3
).map(json.dumps)
box_labels = st.lists(
    st.tuples(*[st.integers(1, 8)] * 4).map(lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]]),
    max_size=3,
).map(json.dumps)
LABELS = {"number": number_labels, "text": text_labels, "spans": span_labels, "boxes": box_labels}


def together(kind: str, rows: Sequence[Row], method: str | None = None) -> Any:
    answers = Answers.of(rows)
    return aggregate(kind, answers, [READERS[kind](text) for text in answers.classes], method)


def tables_of(labels: Any) -> Any:
    return st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwxyz"), labels), max_size=20)


@pytest.mark.parametrize(("kind", "method"), [(kind, name) for kind in LABELS for name in METHODS[kind]])
def test_order_and_names_change_nothing(kind: str, method: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(tables_of(LABELS[kind]), st.randoms(use_true_random=False))
    def holds(rows: list[Row], random: Random) -> None:
        rows = [(*key, label) for key, label in {row[:2]: row[2] for row in rows}.items()]
        item_of = dict(zip("abcd", random.sample("abcd", 4), strict=True))
        worker_of = dict(zip("uvwxyz", random.sample("uvwxyz", 6), strict=True))
        shuffled = random.sample(rows, len(rows))
        one = together(kind, rows, method)
        same = together(kind, shuffled, method)
        other = together(
            kind, [(item_of[item], worker_of[who], label) for item, who, label in shuffled], method
        )
        assert one.labels == same.labels
        for at, item in enumerate(one.items):
            place = other.items.index(item_of[item])
            if kind == "number":
                assert one.labels[at] == pytest.approx(other.labels[place])
            else:
                assert one.labels[at] == other.labels[place]
            assert one.confidence[at] == pytest.approx(other.confidence[place])
            assert one.distribution(at) == pytest.approx(other.distribution(place), abs=2e-6)

    holds()


@pytest.mark.parametrize(("kind", "method"), [(kind, name) for kind in LABELS for name in METHODS[kind]])
def test_confidence_is_a_share_and_every_item_has_a_label(kind: str, method: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(tables_of(LABELS[kind]))
    def holds(rows: list[Row]) -> None:
        outcome = together(kind, rows, method)
        assert len(outcome.labels) == len(outcome.items) == len({row[0] for row in rows})
        assert ((outcome.confidence >= 0) & (outcome.confidence <= 1 + 1e-9)).all()
        for figures in outcome.report.values():
            assert np.isfinite(figures).all()
            assert len(figures) == len(outcome.workers)
        for at in range(len(outcome.items)):
            assert all(0 <= share <= 1 + 1e-9 for share in outcome.distribution(at).values())

    holds()


def test_the_mean_is_the_mean_and_its_distribution_holds_every_value() -> None:
    outcome = together("number", [("i", "a", "1"), ("i", "b", "3"), ("i", "c", "3"), ("j", "a", "9")])
    assert outcome.labels == (pytest.approx(7 / 3), 9.0)
    assert outcome.distribution(0) == pytest.approx({"3": 2 / 3, "1": 1 / 3}, abs=1e-6)


def test_gaussian_listens_less_to_who_is_far_off() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(50, 20, 100)
    spread = [3, 3, 4, 40, 40]
    rows = [
        (f"{at:03}", f"w{who}", f"{truth[at] + random.normal(0, one):.3f}")
        for at in range(100)
        for who, one in enumerate(spread)
    ]
    plain, weighed = together("number", rows, "mean"), together("number", rows, "gaussian")
    assert np.abs(weighed.labels - truth).mean() < 0.5 * np.abs(plain.labels - truth).mean()
    assert weighed.report["error"][3] > weighed.report["error"][0]
    assert weighed.confidence.mean() > plain.confidence.mean()


def test_equal_numbers_are_certain() -> None:
    outcome = together("number", [("i", "a", "2"), ("i", "b", "2")])
    assert outcome.labels == (2.0,)
    assert numbers.mean(Answers.of([]), []).labels == ()


def test_the_medoid_is_nearest_to_all() -> None:
    said = ["the cat sat", "The cat sat.", "the cat sat down", "a dog ran"]
    outcome = together("text", [("i", f"w{who}", text) for who, text in enumerate(said)])
    assert outcome.labels == ("the cat sat",)
    assert outcome.report["alike"][3] == 0
    assert texts.edits(["the", "cat", "sat"], ["a", "cat", "sat", "down"]) == 2


def test_texts_that_say_the_same_are_one() -> None:
    outcome = together("text", [("i", "a", "No!"), ("i", "b", "no"), ("i", "c", "yes")])
    assert outcome.labels == ("no",)
    assert together("text", [("i", "a", "")]).labels == ("",)


def test_spans_are_joined_and_labels_stay_apart() -> None:
    rows = [
        ("i", "a", '[[0, 6, "Person"], [8, 9, "Place"]]'),
        ("i", "b", '[[0, 4, "Person"]]'),
        ("i", "c", '[{"start": 0, "end": 6, "label": "Person"}]'),
    ]
    outcome = together("spans", rows, "majority")
    assert outcome.labels == ([(0, 6, "Person")],)
    assert outcome.distribution(0) == pytest.approx(
        {"0-4 Person": 1, "4-6 Person": 2 / 3, "8-9 Place": 1 / 3}, abs=1e-6
    )


def test_characters_are_items_to_dawid_skene() -> None:
    """Stretches weighed by their length give what one question per character gives."""
    random = np.random.default_rng(4)
    rows = []
    for at in range(30):
        start = int(random.integers(0, 20))
        for who in range(4):
            slip = int(random.integers(0, 3)) if who else int(random.integers(0, 12))
            rows.append((f"{at:02}", f"w{who}", json.dumps([[start + slip, start + slip + 10]])))
    outcome = together("spans", rows, "dawid_skene")
    letters = []
    for item, worker, label in rows:
        ((start, end),) = json.loads(label)
        reach = max(json.loads(other)[0][1] for name, _, other in rows if name == item)
        letters += [(f"{item} {place:02}", worker, "10"[not start <= place < end]) for place in range(reach)]
    by_letter = aggregate("class", Answers.of(letters), method="dawid_skene")
    marked = {name for name, label in zip(by_letter.items, by_letter.labels, strict=True) if label == "1"}
    kept = {
        f"{item} {place:02}"
        for item, label in zip(outcome.items, outcome.labels, strict=True)
        for start, end, _ in label
        for place in range(start, end)
    }
    assert marked == kept


def test_a_box_needs_a_third_of_the_answers_and_never_one_alone_of_three() -> None:
    box, other = "[[0, 0, 10, 10]]", "[[50, 0, 60, 10]]"
    assert len(together("boxes", [("i", "a", box), ("i", "b", "[]")]).labels[0]) == 1
    assert together("boxes", [("i", "a", box), ("i", "b", "[]"), ("i", "c", "[]")]).labels[0] == []
    nine = [("i", f"w{who}", [box, box, box, other, other][who] if who < 5 else "[]") for who in range(9)]
    outcome = together("boxes", nine)
    assert [corners for corners, _ in outcome.labels[0]] == [(0, 0, 10, 10)]
    assert outcome.distribution(0) == pytest.approx({"0 0 10 10": 1 / 3, "50 0 60 10": 2 / 9}, abs=1e-6)


def test_a_worker_has_one_box_in_a_thing() -> None:
    twice = "[[0, 0, 10, 10], [0, 0, 10, 11]]"
    outcome = together("boxes", [("i", "a", twice), ("i", "b", "[[0, 0, 10, 10]]")])
    assert sorted(outcome.distribution(0).values()) == [0.5, 1.0]


def compared(random: np.random.Generator, head_start: float) -> tuple[list[Row], np.ndarray]:
    score = random.normal(0, 1.5, 40)
    rows = []
    for number in range(4000):
        left, right = (int(side) for side in random.choice(40, 2, replace=False))
        wins = random.random() < 1 / (1 + np.exp(score[right] - score[left] - head_start))
        name = json.dumps([f"{left:02}", f"{right:02}"])
        rows.append((name, f"w{number}", f"{left if wins else right:02}"))
    return rows, score


def test_scores_rank_as_they_should_whatever_the_side() -> None:
    rows, score = compared(np.random.default_rng(1), head_start=0.8)
    outcome = together("pairwise", rows)
    assert spearmanr(outcome.labels, score).statistic > 0.97
    assert outcome.model["left"] == pytest.approx(0.8, abs=0.15)
    assert outcome.report["left"].mean() > 0.55
    assert sum(outcome.labels) == pytest.approx(0, abs=1e-6)


def test_what_never_won_has_a_finite_score() -> None:
    rows = [(json.dumps(pair), f"w{who}", "a") for who in range(50) for pair in (["a", "b"], ["c", "a"])]
    outcome = together("pairwise", rows)
    assert np.isfinite(outcome.labels).all()
    assert outcome.labels[0] > 2 > -0.5 > outcome.labels[1]
    assert (outcome.confidence < 1).all()
    assert pairs.bradley_terry(Answers.of([]), []).labels == ()


def test_scores_do_not_depend_on_names() -> None:
    rows, _ = compared(np.random.default_rng(6), head_start=0.2)
    renamed = [
        (json.dumps([f"{99 - int(side):02}" for side in json.loads(name)]), who, f"{99 - int(won):02}")
        for name, who, won in reversed(rows)
    ]
    one, other = together("pairwise", rows), together("pairwise", renamed)
    assert np.allclose(one.labels, other.labels[::-1], atol=1e-4)


def test_a_kind_without_answers_gives_an_empty_outcome() -> None:
    for kind in METHODS:
        for method in METHODS[kind]:
            outcome = aggregate(kind, Answers.of([]), [], method)
            assert outcome.items == ()
            assert len(outcome.labels) == len(outcome.confidence) == 0


def test_unknown_names_are_refused() -> None:
    with pytest.raises(KeyError):
        aggregate("class", Answers.of([]), [], "kos")
    assert spans.f1([], []) == 1.0
