"""Plots as numbers: where each bar, tick and line of a server-drawn SVG stands.

The functions are pure; templates turn their results into SVG and into the table that says the same. Wage bins
are anchored at the floor, so that no bar ever mixes people below the floor with people above it. Values are
integers or exact fractions (minor units, seconds); only the drawing's own coordinates are rounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

LEFT, RIGHT, TOP, BOTTOM = 34, 2, 18, 24
MOST_BINS = 30


@dataclass(frozen=True)
class Tick:
    """A place on an axis and its words."""

    at: float
    label: str


@dataclass(frozen=True)
class Bar:
    """One bar: its rectangle, what it says, and its tone ("" is plain, "warn" and "bad" stand out)."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: str
    tone: str


@dataclass(frozen=True)
class Plot:
    """A drawing of bars; `line` is the floor or the limit, as x in a histogram and as y in day bars."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: Tick | None

    @property
    def base(self) -> float:
        """The y on which the bars stand."""
        return self.height - BOTTOM

    @property
    def left(self) -> float:
        """Where the horizontal grid begins."""
        return LEFT

    @property
    def right(self) -> float:
        """Where the horizontal grid ends."""
        return self.width - RIGHT


def nice_step(span: Fraction | int, most: int) -> Fraction:
    """The smallest of 1, 2, 5 × 10ⁿ that cuts the span into at most so many steps."""
    if span <= 0 or most < 1:
        return Fraction(1)
    power = Fraction(1)
    while power * most < span:
        power *= 10
    while power / 10 * most >= span:
        power /= 10
    for part in (Fraction(1, 5), Fraction(1, 2)):
        if power * part * most >= span:
            return power * part
    return power


def histogram(
    values: Sequence[int | Fraction],
    *,
    step: int,
    say: Callable[[int | Fraction], str],
    least: int | Fraction | None = None,
    floor_label: str = "",
    mark: Callable[[int | Fraction], str] | None = None,
    width: int = 660,
    height: int = 232,
) -> Plot:
    """Count values in bins of `step`, anchored at the floor `least` when there is one.

    `say` writes a value as people read it, `mark` the round values on the axis. A value equal to the floor is not
    below it. Far outliers are gathered in the first and the last bin, whose labels then say so.
    """
    anchor = Fraction(least if least is not None else 0)
    counts = _binned(values, anchor, step)
    if not counts:
        return Plot(width, height, (), (), (), None)
    first, last = min(counts), max(counts)
    if least is not None:
        first, last = min(first, -1), max(last, 0)
    first, last, folded = _fold(counts, first, last)
    most = max(folded.values())
    y_step = max(Fraction(1), nice_step(most, 5))
    top = ceil(most / y_step) * y_step
    wide = Fraction(width - LEFT - RIGHT, last - first + 1)
    tall = height - TOP - BOTTOM

    def x_of(value: Fraction | int) -> float:
        return round(float(LEFT + (value - anchor - first * step) / Fraction(step) * wide), 2)

    def label_of(index: int) -> str:
        low, high = say(anchor + index * step), say(anchor + (index + 1) * step)
        if index == first and min(counts) < first:
            return f"< {high}"
        return f"≥ {low}" if index == last and max(counts) > last else f"{low} – {high}"

    def bar_of(index: int) -> Bar:
        count = folded.get(index, 0)
        size = float(tall * count / top)
        return Bar(
            x=round(x_of(anchor + index * step) + 1, 2),
            y=round(height - BOTTOM - size, 2),
            width=round(float(wide) - 2, 2),
            height=round(size, 2),
            label=label_of(index),
            value=str(count),
            tone="warn" if least is not None and index < 0 else "",
        )

    x_ticks = _round_values(anchor + first * step, anchor + (last + 1) * step, 7 if width > 480 else 4)
    return Plot(
        width,
        height,
        tuple(map(bar_of, range(first, last + 1))),
        tuple(Tick(x_of(value), (mark or say)(value)) for value in x_ticks),
        _y_ticks(top, y_step, tall, height),
        Tick(x_of(anchor), floor_label) if least is not None else None,
    )


def day_bars(
    days: Sequence[tuple[str, int]],
    *,
    say: Callable[[int], str],
    limit: int | None = None,
    limit_label: str = "",
    width: int = 660,
    height: int = 200,
) -> Plot:
    """Seconds per day as bars against a limit; a day over the limit is "bad", within a tenth of it "warn"."""
    most = max([seconds for _, seconds in days] + [limit or 0, 3600])
    hours = nice_step(Fraction(most, 3600), 5)
    y_step = max(hours, Fraction(1)) * 3600
    top = ceil(most / y_step) * y_step
    tall = height - TOP - BOTTOM
    wide = Fraction(width - LEFT - RIGHT, max(len(days), 1))
    gap = min(Fraction(8), wide / 4)
    bars, x_ticks = [], []
    for index, (label, seconds) in enumerate(days):
        size = float(tall * seconds / top)
        x = LEFT + index * wide
        tone = ""
        if limit is not None:
            tone = "bad" if seconds > limit else "warn" if seconds * 10 > limit * 9 else ""
        bars.append(
            Bar(
                x=round(float(x + gap / 2), 2),
                y=round(height - BOTTOM - size, 2),
                width=round(float(wide - gap), 2),
                height=round(size, 2),
                label=label,
                value=say(seconds),
                tone=tone,
            )
        )
        x_ticks.append(Tick(round(float(x + wide / 2), 2), label))
    every = max(1, ceil(len(days) / (14 if width > 480 else 7)))
    line = (
        Tick(round(height - BOTTOM - float(tall * limit / top), 2), limit_label)
        if limit is not None
        else None
    )
    y_ticks = tuple(
        Tick(round(height - BOTTOM - float(tall * k * y_step / top), 2), str(int(k * y_step / 3600)))
        for k in range(int(top / y_step) + 1)
    )
    return Plot(width, height, tuple(bars), tuple(x_ticks[::every]), y_ticks, line)


def columns(counts: Sequence[tuple[str, int]], *, width: int = 660, height: int = 200) -> Plot:
    """Counts of things with a name each, as bars side by side in the given order."""
    most = max([count for _, count in counts] + [1])
    y_step = max(Fraction(1), nice_step(most, 5))
    top = ceil(most / y_step) * y_step
    tall = height - TOP - BOTTOM
    wide = Fraction(width - LEFT - RIGHT, max(len(counts), 1))
    gap = min(Fraction(8), wide / 4)
    bars, x_ticks = [], []
    for index, (label, count) in enumerate(counts):
        size, x = float(tall * count / top), LEFT + index * wide
        place, broad = round(float(x + gap / 2), 2), round(float(wide - gap), 2)
        y = round(height - BOTTOM - size, 2)
        bars.append(Bar(place, y, broad, round(size, 2), label, str(count), ""))
        x_ticks.append(Tick(round(float(x + wide / 2), 2), label))
    every = max(1, ceil(len(counts) / (20 if width > 480 else 10)))
    return Plot(
        width, height, tuple(bars), tuple(x_ticks[::every]), _y_ticks(top, y_step, tall, height), None
    )


def _binned(values: Sequence[int | Fraction], anchor: Fraction, step: int) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        index = floor((value - anchor) / step)
        counts[index] = counts.get(index, 0) + 1
    return counts


def _fold(counts: dict[int, int], first: int, last: int) -> tuple[int, int, dict[int, int]]:
    """Gather far bins at the ends so that at most MOST_BINS remain, keeping those nearest the anchor."""
    if last - first + 1 > MOST_BINS:
        first = max(first, -MOST_BINS // 3)
        last = min(last, first + MOST_BINS - 1)
        first = max(min(first, last), last - MOST_BINS + 1)
    folded: dict[int, int] = {}
    for index, count in counts.items():
        inside = min(max(index, first), last)
        folded[inside] = folded.get(inside, 0) + count
    return first, last, folded


def _round_values(low: Fraction, high: Fraction, most: int) -> list[Fraction | int]:
    step = nice_step(high - low, most)
    found: list[Fraction | int] = []
    value = ceil(low / step) * step
    while value <= high:
        found.append(int(value) if value.denominator == 1 else value)
        value += step
    return found


def _y_ticks(top: Fraction, step: Fraction, tall: int, height: int) -> tuple[Tick, ...]:
    return tuple(
        Tick(round(height - BOTTOM - float(tall * k * step / top), 2), str(int(k * step)))
        for k in range(int(top / step) + 1)
    )
