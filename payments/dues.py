"""Dues: what a line of work must be paid, from its agreed price and its credited time.

A line is one worker, one batch, one rule segment, one pay period. Its due is the greater of the agreed pay
and of credited time at the floor; the top-up is what the floor adds. Each figure is rounded up once, so a
line is never short and never a whole minor unit too long. Nothing is averaged over lines: a good hour hides
no bad one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import index

from payments.money import ceil_minor


@dataclass(frozen=True)
class Worked:
    """Credited seconds at one rate (minor units per hour) and one multiplier (overtime, night, exposure)."""

    seconds: int
    rate: Fraction
    multiplier: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.seconds < 0 or self.rate < 0 or self.multiplier < 0:
            raise ValueError("time, rate and multiplier are never below 0")
        ceil_minor(self.rate)  # refuses a float before it can touch money
        ceil_minor(self.multiplier)
        index(self.seconds)

    @property
    def required(self) -> Fraction:
        """What the floor asks for this time, exact."""
        return Fraction(self.seconds, 3600) * self.rate * self.multiplier


@dataclass(frozen=True)
class Due:
    """A line's figures in whole minor units: due = max(agreed, required), topup = due - agreed."""

    agreed: int
    required: int
    due: int
    topup: int


@dataclass(frozen=True)
class Cost:
    """What one answer should cost at the typical and at the slow end of a pilot, in exact minor units."""

    typical: Fraction
    slow: Fraction


def line(agreed: Fraction, worked: Sequence[Worked]) -> Due:
    """Settle one line: agreed pay in exact minor units against its time at the floor."""
    price = ceil_minor(agreed)
    if price < 0:
        raise ValueError("agreed pay is not below 0")
    required = ceil_minor(sum((part.required for part in worked), Fraction(0)))
    due = max(price, required)
    return Due(agreed=price, required=required, due=due, topup=due - price)


def hourly_equivalent(due: int, seconds: int) -> Fraction | None:
    """Give minor units per credited hour; nothing where no time was credited."""
    return Fraction(due * 3600, seconds) if seconds else None


def expected_cost(seconds_p50: int, seconds_p95: int, price: Fraction, floor: Fraction) -> Cost:
    """Price one answer at the pilot's median and 95th percentile; the reserve is sized by the slow figure."""
    return Cost(
        typical=max(price, Worked(seconds_p50, floor).required),
        slow=max(price, Worked(seconds_p95, floor).required),
    )
