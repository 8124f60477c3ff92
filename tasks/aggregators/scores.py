"""Scores: how near what an aggregator made is to gold, in the measure that people use for that kind of answer.

Pure. Only items with both count. What cannot be said is None.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tasks.aggregators import boxes, spans, texts
from tasks.aggregators.outcome import Outcome, Together, leading

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "class": "accuracy",
        "pairwise": "accuracy",
        "number": "r",
        "spans": "f1",
        "boxes": "f1",
        "text": "word_error_rate",
    }
)
"""What the score of a kind is called."""


def score(kind: str, outcome: Together, gold: Mapping[Any, Any]) -> float | None:
    """Hold an outcome against gold: values by item, of pairwise comparisons the winner by (left, right).

    Accuracy is the share of gold items whose label is right; where labels are level, one of them is drawn, and the
    share is what is expected then. r is Pearson's correlation. F1 is of characters over all items, or of boxes
    matched one to one at half their union. The word error rate is edits per word of gold, over all items.
    """
    if isinstance(outcome, Outcome):
        return _accuracy(outcome, gold)
    label_of = dict(zip(outcome.items, outcome.labels, strict=True))
    if kind == "pairwise":
        return _share_of_winners(label_of, gold)
    both = [(label_of[item], value) for item, value in gold.items() if item in label_of]
    if not both:
        return None
    if kind == "number":
        return _correlation(both)
    if kind == "text":
        return _word_errors(both)
    of = spans if kind == "spans" else boxes
    weight = [of.size(made) + of.size(known) for made, known in both]
    likeness = [of.f1(made, known) for made, known in both]
    return float(np.average(likeness, weights=weight)) if sum(weight) else 1.0


def _accuracy(outcome: Outcome, gold: Mapping[Any, Any]) -> float | None:
    item_of = {item: code for code, item in enumerate(outcome.items)}
    class_of = {name: code for code, name in enumerate(outcome.classes)}
    both = [(item_of[item], class_of.get(label)) for item, label in gold.items() if item in item_of]
    if not both:
        return None
    level = leading(outcome.posterior[[item for item, _ in both]])
    chance = 1 / level.sum(axis=1)
    right = [
        chance[at] if label is not None and level[at, label] else 0.0 for at, (_, label) in enumerate(both)
    ]
    return float(np.mean(right))


def _share_of_winners(score_of: Mapping[str, float], gold: Mapping[Any, Any]) -> float | None:
    right = [
        0.5 + 0.5 * np.sign(score_of[left] - score_of[right]) * (1 if winner == left else -1)
        for (left, right), winner in gold.items()
        if left in score_of and right in score_of
    ]
    return float(np.mean(right)) if right else None


def _correlation(both: Sequence[tuple[float, float]]) -> float | None:
    x, y = np.array(both, dtype=np.float64).T
    varies = len(both) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
    return float(np.corrcoef(x, y)[0, 1]) if varies else None


def _word_errors(both: Sequence[tuple[str, str]]) -> float | None:
    pairs = [(texts.tokens(made), texts.tokens(known)) for made, known in both]
    words = sum(len(known) for _, known in pairs)
    return sum(texts.edits(made, known) for made, known in pairs) / words if words else None
