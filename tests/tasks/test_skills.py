"""Who knows the work is let through and who guesses is stopped, counted exactly over all ways that answers can fall."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.skills import ANSWERS_MAX, Verdict, is_worn, judge, of_others

MANY = 10_000


@cache
def outcomes(accuracy: float, others: float, chance: float) -> dict[Verdict, float]:
    """Give how often each verdict comes for somebody of a true accuracy, and over how many answers (open)."""
    left, ended, answers = {0: 1.0}, dict.fromkeys(Verdict, 0.0), 0.0
    for checked in range(1, ANSWERS_MAX + 1):
        after: dict[int, float] = {}
        for right, often in left.items():
            after[right + 1] = after.get(right + 1, 0.0) + often * accuracy
            after[right] = after.get(right, 0.0) + often * (1 - accuracy)
        left = {}
        for right, often in after.items():
            verdict = judge(right, checked, round(others * MANY), MANY, chance).verdict
            if verdict is Verdict.OPEN:
                left[right] = often
            else:
                ended[verdict] += often
                answers += often * checked
    assert left == {}, "after the most answers there is a verdict"
    ended[Verdict.OPEN] = answers
    return ended


def test_somebody_as_good_as_the_others_is_stopped_rarely_and_a_guesser_nearly_always() -> None:
    assert outcomes(0.85, 0.85, 0.5)[Verdict.STOPPED] == pytest.approx(0.014, abs=0.002)
    assert outcomes(0.85, 0.85, 0.5)[Verdict.STOPPED] <= 0.05
    assert outcomes(0.5, 0.85, 0.5)[Verdict.STOPPED] == pytest.approx(0.972, abs=0.002)
    assert outcomes(0.5, 0.85, 0.5)[Verdict.STOPPED] >= 0.95


@pytest.mark.parametrize(
    ("honest", "chance"), [(0.55, 0.2), (0.59, 0.25), (0.7, 0.25), (0.9, 0.1), (0.95, 0.5), (0.6, 1 / 3)]
)
def test_on_hard_items_the_bar_comes_down_with_everybody(honest: float, chance: float) -> None:
    assert outcomes(honest, honest, chance)[Verdict.STOPPED] <= 0.07
    assert outcomes(chance, honest, chance)[Verdict.STOPPED] >= 0.85


def test_few_known_answers_are_enough() -> None:
    assert outcomes(0.9, 0.85, 0.5)[Verdict.OPEN] < 15
    assert outcomes(0.5, 0.85, 0.5)[Verdict.OPEN] < 20


@given(right=st.integers(0, 30), more=st.integers(0, 30), chance=st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_one_more_right_answer_never_makes_it_worse(right: int, more: int, chance: float) -> None:
    order = [Verdict.STOPPED, Verdict.OPEN, Verdict.PASSED]
    checked = right + more
    here, better = (judge(n, checked + 1, 80, 100, chance) for n in (right, right + 1))
    assert better.surely >= here.surely
    assert order.index(better.verdict) >= order.index(here.verdict)


@given(right=st.integers(0, 200), wrong=st.integers(0, 200), chance=st.floats(0, 0.9))
def test_the_bar_lies_between_guessing_and_what_can_be_known(right: int, wrong: int, chance: float) -> None:
    found = judge(0, 0, right, right + wrong, chance)
    assert chance < found.bar < 1
    assert found.verdict is Verdict.OPEN, "nobody is judged without an answer"


def test_a_pool_of_guessers_does_not_lower_the_bar_to_guessing() -> None:
    assert judge(0, 0, 5000, 10_000, 0.5).bar == pytest.approx(0.6)
    assert of_others(0, 0, 0.5) == pytest.approx(0.85)


def test_an_item_is_looked_at_when_its_later_answers_differ_clearly() -> None:
    assert not is_worn(5, 9, 9, 9), "too few to tell"
    assert not is_worn(16, 20, 17, 20)
    assert is_worn(10, 20, 20, 20), "it got around"
    assert is_worn(20, 20, 8, 20), "it is not so any more"
