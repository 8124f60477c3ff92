"""Plots: bins keep to the floor, nothing is lost, everything stays inside the drawing."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate import rendering
from annotate.plots import MOST_BINS, day_bars, histogram, nice_step


def say(value: int | Fraction) -> str:
    return str(value)


def hours(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}"


wages = st.lists(st.fractions(min_value=0, max_value=5000, max_denominator=60), min_size=1, max_size=60)


@given(values=wages, least=st.integers(1, 3000), step=st.sampled_from([10, 50, 100]))
def test_histogram_counts_everyone_once_and_splits_at_the_floor(
    values: list[Fraction], least: int, step: int
) -> None:
    plot = histogram(values, step=step, say=say, least=least)
    assert sum(int(bar.value) for bar in plot.bars) == len(values)
    below = sum(int(bar.value) for bar in plot.bars if bar.tone == "warn")
    assert below == sum(value < least for value in values)
    assert len(plot.bars) <= MOST_BINS
    assert plot.line is not None
    for bar in plot.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= plot.width
        assert 0 <= bar.y <= plot.base
        assert bar.y + bar.height == pytest.approx(plot.base, abs=0.02)
        assert (bar.x < plot.line.at) == (bar.tone == "warn")


def test_histogram_puts_a_wage_at_the_floor_above_it() -> None:
    plot = histogram([580, Fraction(57999, 100), 581], step=50, say=say, least=580, floor_label="floor €5.80")
    assert [(bar.label, bar.value, bar.tone) for bar in plot.bars] == [
        ("530 – 580", "1", "warn"),
        ("580 – 630", "2", ""),
    ]
    assert plot.line is not None
    assert plot.line.label == "floor €5.80"


def test_histogram_gathers_far_outliers_and_says_so() -> None:
    plot = histogram([600, 90_000], step=50, say=say, least=580)
    assert plot.bars[-1].label.startswith("≥ ")
    assert plot.bars[-1].value == "1"
    low = histogram([0, 5800], step=10, say=say, least=5800)
    assert low.bars[0].label.startswith("< ")


def test_histogram_without_floor_or_values() -> None:
    assert histogram([], step=50, say=say, least=580).bars == ()
    plain = histogram([120, 130, 260], step=50, say=say)
    assert plain.line is None
    assert [bar.value for bar in plain.bars] == ["2", "0", "0", "1"]


@given(span=st.fractions(min_value=Fraction(1, 1000), max_value=10**9), most=st.integers(1, 12))
def test_nice_steps_suffice_and_are_not_too_fine(span: Fraction, most: int) -> None:
    step = nice_step(span, most)
    assert step * most >= span
    assert step / Fraction(5, 2) * most < span


def test_days_over_and_near_the_limit_stand_out() -> None:
    days = [("Mon", 36_001), ("Tue", 36_000), ("Wed", 32_400), ("Thu", 32_401), ("Fri", 0)]
    plot = day_bars(days, say=hours, limit=36_000, limit_label="limit 10 h")
    assert [bar.tone for bar in plot.bars] == ["bad", "warn", "", "warn", ""]
    assert [bar.value for bar in plot.bars][:2] == ["10:00", "10:00"]
    assert plot.line is not None
    assert plot.bars[1].y == plot.line.at


@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 86_400)), max_size=40),
    st.integers(0, 86_400) | st.none(),
)
def test_day_bars_stay_inside(days: list[tuple[str, int]], limit: int | None) -> None:
    plot = day_bars(days, say=hours, limit=limit, width=320)
    assert len(plot.bars) == len(days)
    assert len(plot.x_ticks) <= 14
    for bar in plot.bars:
        assert bar.height >= 0
        assert bar.width > 0
        assert bar.y >= 0
        assert bar.x + bar.width <= plot.width


@pytest.mark.parametrize("width", [660, 320])
def test_no_mark_of_the_axis_is_cut_at_an_edge(width: int) -> None:
    plot = histogram(
        [20, 60, 95, 139],
        step=20,
        say=lambda value: f"{int(value)} %",
        least=100,
        floor_label="floor",
        width=width,
    )
    drawing = rendering.environment("en").get_template("macros/plots.html").module.drawing  # type: ignore[attr-defined]
    svg = str(drawing(plot, "said", "wide", across=False))
    marks = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]+)</text>', svg)
    assert marks[-1][1] == ("140 %" if width > 480 else "100 %")
    for at, label in marks:
        # Eleven pixels high, a figure is at most seven wide.
        half = 3.5 * len(label)
        assert half <= float(at) <= width - half, label
