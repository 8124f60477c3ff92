"""Skills: what a worker's answers to items with known answers say, and whether they are enough for a project's work.

Pure. The bar is relative to the others on the same items: halfway between guessing and what they get right, so that
hard items do not bar honest people. With a uniform prior, the chance that a worker's true share of right answers is
above the bar is that of a Beta(1 + right, 1 + wrong) variable; it is looked at after each answer. For two options and
others who get 85 % right, somebody as good as they are is stopped in 1.4 % of all cases, somebody who guesses in
97.2 %, within 30 answers (counted exactly by the tests).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scipy.special import betaincc

RULE: Final = "skills-1"
"""The version of this rule, stored with every outcome."""
ANSWERS_MAX: Final = 30
PASS_AT: Final = 0.95
STOP_AT: Final = 0.02
OTHERS_BEFORE: Final = 0.7
"""What others are taken to know before any of them has answered, as a share of what guessing leaves over."""
OTHERS_WEIGHT: Final = 10
"""For how many answers that counts."""
BAR_OVER_CHANCE: Final = 0.2
"""The bar stands at least this share above guessing, so that a pool of guessers does not lower it to nothing."""
WORN_MIN: Final = 10


class Verdict(StrEnum):
    """What the answers so far say."""

    OPEN = "open"
    PASSED = "passed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Judged:
    """A verdict and all that it rests on; `others`, `chance` and `bar` are shares of right answers."""

    verdict: Verdict
    right: int
    checked: int
    others: float
    chance: float
    bar: float
    surely: float


def judge(right: int, checked: int, others_right: int, others_checked: int, chance: float) -> Judged:
    """Judge one worker's known answers against what others get right on the same items and what guessing gives."""
    others = of_others(others_right, others_checked, chance)
    bar = bar_between(chance, others)
    surely = surely_over(bar, right, checked)
    verdict = Verdict.OPEN
    if surely >= PASS_AT or (checked >= ANSWERS_MAX and surely >= 0.5):
        verdict = Verdict.PASSED
    elif surely <= STOP_AT or checked >= ANSWERS_MAX:
        verdict = Verdict.STOPPED
    return Judged(verdict, right, checked, others, chance, bar, surely)


def of_others(right: int, checked: int, chance: float) -> float:
    """Give what others get right, drawn to the expectation while they are few."""
    before = chance + OTHERS_BEFORE * (1 - chance)
    return (right + OTHERS_WEIGHT * before) / (checked + OTHERS_WEIGHT)


def bar_between(chance: float, others: float) -> float:
    """Put the bar halfway between guessing and the others, and never next to guessing."""
    return max((chance + others) / 2, chance + BAR_OVER_CHANCE * (1 - chance))


def surely_over(bar: float, right: int, checked: int) -> float:
    """Give the chance that the true share of right answers is above the bar, from a uniform prior."""
    return float(betaincc(1 + right, 1 + checked - right, bar))


def is_worn(early_right: int, early: int, late_right: int, late: int) -> bool:
    """Tell whether an item's later answers are right clearly more, or less, often than its earlier ones.

    Known answers get around, and what they are about changes; then a person looks at the item. Each share is a Beta
    variable; their difference is taken as normal.
    """
    if min(early, late) < WORN_MIN:
        return False
    (mean, spread), (then, then_spread) = _beta(early_right, early), _beta(late_right, late)
    return bool(abs(then - mean) > 2.576 * (spread + then_spread) ** 0.5)


def _beta(right: int, checked: int) -> tuple[float, float]:
    a, b = 1 + right, 1 + checked - right
    return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
