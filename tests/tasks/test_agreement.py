"""Measures: textbook figures, invariances, what is undefined."""

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sheets import Row, renaming, sheet, tables

from tasks import agreement
from tasks.agreement import Answers, Measure, alpha, fleiss_kappa, gwet_ac1, percent_agreement

MEASURES = {
    "percent": percent_agreement,
    "nominal": alpha,
    "ordinal": lambda answers: alpha(answers, "ordinal"),
    "interval": lambda answers: alpha(answers, "interval"),
    "fleiss": fleiss_kappa,
    "ac1": gwet_ac1,
}

# Krippendorff's worked example (2011): four observers, twelve units, missing values.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]

# Fleiss's table in the usual textbook example: ten subjects, fourteen raters, five categories.
FLEISS = [
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
]


def close(one: Measure, other: Measure) -> bool:
    if one.value is None or other.value is None:
        return one == other
    return math.isclose(one.value, other.value, rel_tol=1e-9, abs_tol=1e-9)


def test_krippendorffs_worked_example() -> None:
    answers = Answers.of(
        (str(unit), str(observer), value)
        for observer, values in enumerate(OBSERVERS)
        for unit, value in enumerate(values)
        if value != "."
    )
    assert alpha(answers).value == pytest.approx(0.743421052631579, abs=1e-12)
    assert alpha(answers, "ordinal").value == pytest.approx(0.8153875037548814, abs=1e-12)
    assert alpha(answers, "interval").value == pytest.approx(0.8491071428571428, abs=1e-12)


def test_fleiss_worked_example() -> None:
    rows = [
        (str(subject), str(rater), str(category))
        for subject, counts in enumerate(FLEISS)
        for rater, category in enumerate(k for k, count in enumerate(counts) for _ in range(count))
    ]
    kappa = fleiss_kappa(Answers.of(rows)).value
    assert kappa == pytest.approx(0.20993, abs=1e-5)


def test_ac1_of_two_raters_by_hand() -> None:
    # 118 × (a, a), 5 × (a, b), 2 × (b, a), 0 × (b, b): Gwet's skewed example; kappa is below 0 here.
    answers = sheet(*["aa"] * 118, *["ab"] * 5, *["ba"] * 2)
    share = (118 * 2 + 7) / 250
    chance = 2 * share * (1 - share)
    assert gwet_ac1(answers).value == pytest.approx((118 / 125 - chance) / (1 - chance), abs=1e-12)
    kappa = fleiss_kappa(answers).value
    assert kappa is not None
    assert kappa < 0


def test_percent_agreement_is_the_mean_over_items() -> None:
    assert percent_agreement(sheet("aaa", "ab", "a")).value == pytest.approx(0.5)


def test_chance_figures_count_declared_classes() -> None:
    rows = [("i", "u", "a"), ("i", "v", "b"), ("j", "u", "a"), ("j", "v", "a")]
    seen, declared = Answers.of(rows), Answers.of(rows, classes=["a", "b", "c", "d"])
    assert gwet_ac1(seen) != gwet_ac1(declared)
    assert alpha(seen) == alpha(declared)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
@pytest.mark.parametrize("items", [[], ["1"], ["1", "2", "1"]], ids=["no answers", "one", "one each"])
def test_nothing_to_compare_is_undefined(measure: Callable[[Answers], Measure], items: list[str]) -> None:
    found = measure(sheet(*items))
    assert found.value is None
    assert "two answers" in found.why


@pytest.mark.parametrize("name", ["nominal", "ordinal", "interval", "fleiss", "ac1"])
def test_one_label_everywhere_is_undefined(name: str) -> None:
    found = MEASURES[name](sheet("111", "111"))
    assert found.value is None
    assert "by chance" in found.why
    assert percent_agreement(sheet("111", "111")).value == 1


def test_a_second_label_that_nothing_compares_with_leaves_alpha_undefined() -> None:
    assert alpha(sheet("11", "11", "2")).value is None


def test_fleiss_says_that_items_differ_in_number() -> None:
    found = fleiss_kappa(sheet("aba", "ab"))
    assert found.value is None
    assert found.why == "Items have from 2 to 3 answers; Fleiss' kappa needs the same number for each."


@pytest.mark.parametrize("label", ["a", "", "nan", "inf", "1e999"])
def test_labels_without_order_or_value(label: str) -> None:
    rows = [("i", "u", "1"), ("i", "v", label), ("j", "u", "2"), ("j", "v", "2")]
    assert alpha(Answers.of(rows), "ordinal").why == "The labels have no order."
    assert alpha(Answers.of(rows), "interval").why == "The labels have no numeric value."
    assert alpha(Answers.of(rows), "ordinal", order=["2", label, "1"]).value is not None
    assert alpha(Answers.of(rows), "ordinal", order=["2", "1"]).value is None


def test_huge_and_far_off_numbers_keep_their_agreement() -> None:
    near = [
        ("i", "u", 1.0),
        ("i", "v", 2.0),
        ("j", "u", 5.0),
        ("j", "v", 5.0),
        ("k", "u", 9.0),
        ("k", "v", 8.0),
    ]
    expected = alpha(Answers.of((i, w, str(x)) for i, w, x in near), "interval").value
    for scale, origin in ((1e307, 0.0), (1e-300, 0.0), (1.0, 1e6)):
        moved = Answers.of((i, w, repr(x * scale + origin)) for i, w, x in near)
        assert alpha(moved, "interval").value == pytest.approx(expected, rel=1e-6)


def brute_alpha(answers: Answers, metric: str) -> float | None:
    """Alpha by its definition: every ordered pair within items against every ordered pair of all."""
    units = [answers.label[answers.item == at].tolist() for at in range(len(answers.items))]
    units = [unit for unit in units if len(unit) > 1]
    everything = [label for unit in units for label in unit]
    totals = Counter(everything)

    def distance(one: int, other: int) -> float:
        low, high = sorted((one, other))
        if metric == "nominal":
            return float(low != high)
        if metric == "interval":
            return (float(answers.classes[low]) - float(answers.classes[high])) ** 2
        return (sum(totals[k] for k in range(low, high + 1)) - (totals[low] + totals[high]) / 2) ** 2

    within = sum(
        distance(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)
    )
    among = sum(distance(a, b) for a, b in itertools.permutations(everything, 2))
    n = len(everything)
    return 1 - within * (n - 1) / among if among else None


@given(tables, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_equals_its_definition(rows: list[Row], metric: agreement.Metric) -> None:
    answers = Answers.of(rows)
    found, expected = alpha(answers, metric), brute_alpha(answers, metric)
    assert (found.value is None) == (expected is None)
    assert expected is None or found.value == pytest.approx(expected, abs=1e-9)


@given(tables, st.randoms(use_true_random=False))
def test_order_and_names_change_nothing(rows: list[Row], random: Any) -> None:
    rows = [(item, worker, label) for (item, worker), label in {row[:2]: row[2] for row in rows}.items()]
    answers = Answers.of(rows)
    items, workers, labels = renaming(rows, random)
    shuffled = random.sample(rows, len(rows))
    same = Answers.of(shuffled)
    renamed = Answers.of((items[item], workers[worker], labels[label]) for item, worker, label in shuffled)
    for name in ("percent", "nominal", "fleiss", "ac1"):
        assert MEASURES[name](same) == MEASURES[name](answers)
        assert close(MEASURES[name](renamed), MEASURES[name](answers))


def test_the_last_answer_of_a_worker_to_an_item_counts() -> None:
    answers = Answers.of([("i", "u", "a"), ("i", "v", "b"), ("i", "u", "b")])
    assert len(answers) == 2
    assert answers.votes().tolist() == [[2]]


def test_a_label_outside_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="'c'"):
        Answers.of([("i", "u", "c")], classes=["a", "b"])
