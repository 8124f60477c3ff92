"""A line's due is never under the agreed pay, never under the floor, never a whole minor unit too much."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.dues import Cost, Worked, expected_cost, hourly_equivalent, line

rates = st.fractions(min_value=0, max_value=10**6)
work = st.builds(
    Worked,
    seconds=st.integers(0, 10**6),
    rate=rates,
    multiplier=st.sampled_from([Fraction(1), Fraction(5, 4), Fraction(3, 2), Fraction(2)]),
)
agreed_pay = st.fractions(min_value=0, max_value=10**7)


def test_the_nairobi_lines() -> None:
    floor = Fraction(27500)
    x = line(Fraction(6000), [Worked(1900, floor)])
    y = line(Fraction(2000), [Worked(360, floor)])
    overhead = line(Fraction(0), [Worked(240, floor)])
    assert (x.required, x.topup) == (14514, 8514)
    assert (y.required, y.topup) == (2750, 750)
    assert overhead.due == 1834
    assert x.due + y.due + overhead.due == 19098


def test_agreed_pay_above_the_floor_stays() -> None:
    due = line(Fraction(5000), [Worked(60, Fraction(27500))])
    assert (due.agreed, due.required, due.due, due.topup) == (5000, 459, 5000, 0)


def test_no_time_and_no_pay() -> None:
    assert line(Fraction(0), []).due == 0
    assert hourly_equivalent(0, 0) is None


@given(agreed_pay, st.lists(work, max_size=6))
def test_laws_of_a_line(agreed: Fraction, worked: list[Worked]) -> None:
    due = line(agreed, worked)
    exact = sum((part.seconds * part.rate * part.multiplier / 3600 for part in worked), Fraction(0))
    assert due.due == due.agreed + due.topup
    assert due.topup >= 0
    assert 0 <= due.agreed - agreed < 1
    assert 0 <= due.required - exact < 1
    assert 0 <= due.due - max(agreed, exact) < 1
    assert line(agreed, list(reversed(worked))) == due


@given(agreed_pay, st.lists(work, min_size=1, max_size=4), work)
def test_more_time_never_lowers_a_line(agreed: Fraction, worked: list[Worked], more: Worked) -> None:
    assert line(agreed, [*worked, more]).due >= line(agreed, worked).due


@given(agreed_pay, agreed_pay, st.lists(work, max_size=4))
def test_more_piece_pay_never_lowers_a_line(agreed: Fraction, more: Fraction, worked: list[Worked]) -> None:
    assert line(agreed + more, worked).due >= line(agreed, worked).due


@given(st.lists(st.tuples(agreed_pay, st.lists(work, max_size=3)), max_size=5))
def test_lines_are_never_worth_less_than_their_sum(lines: list[tuple[Fraction, list[Worked]]]) -> None:
    total = sum(line(agreed, worked).due for agreed, worked in lines)
    required = sum(part.required for _, worked in lines for part in worked)
    assert total >= max(sum(agreed for agreed, _ in lines), required)
    assert total < sum(max(agreed, sum(part.required for part in worked)) for agreed, worked in lines) + max(
        len(lines), 1
    )


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_hourly_equivalent_is_exact(due: int, seconds: int) -> None:
    hourly = hourly_equivalent(due, seconds)
    assert hourly is not None
    assert hourly * seconds == due * 3600


def test_expected_cost_knows_the_slow_end() -> None:
    cost = expected_cost(60, 240, Fraction(500), Fraction(27500))
    assert cost == Cost(typical=Fraction(500), slow=Fraction(27500 * 240, 3600))


@pytest.mark.parametrize(
    "figures", [(1, 0.5), (1.5, Fraction(1)), (1, Fraction(1), 1.25), ("1", Fraction(1)), (1, None)]
)
def test_only_exact_figures(figures: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Worked(*figures)


@pytest.mark.parametrize("figures", [(-1, Fraction(1)), (1, Fraction(-1)), (1, Fraction(1), Fraction(-1))])
def test_nothing_below_zero(figures: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="below 0"):
        Worked(*figures)
    with pytest.raises(ValueError, match="below 0"):
        line(Fraction(-1), [])


def test_no_float_as_agreed_pay() -> None:
    wrong: Any = 60.0
    with pytest.raises(TypeError):
        line(wrong, [])
