"""Aggregators of texts. Pure.

Texts are compared word by word, without regard to case and punctuation at words' ends.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np

from tasks.aggregators.outcome import Combined
from tasks.agreement import Answers

PUNCTUATION = ".,;:!?…\"'“”‘’«»()[]{}-–—"


def medoid(answers: Answers, values: Sequence[str]) -> Combined:
    """Take the text that is nearest to all others of its item, by the words that would have to change.

    Of texts that are equally near, the one written most often, then the first in the alphabet; of its ways of writing,
    the most common one, then the shortest.
    """
    words = [tokens(text) for text in values]
    labels, shares, confidence = [], [], []
    alike = np.zeros(len(answers))
    for rows in answers.rows_by_item():
        codes = answers.label[rows].tolist()
        near = _nearness([words[code] for code in codes])
        of_text: dict[str, float] = {}
        for code, one in zip(codes, near, strict=True):
            of_text[values[code]] = of_text.get(values[code], 0.0) + one
        best = _best(codes, near, values, words)
        total = sum(of_text.values())
        labels.append(values[codes[best]])
        shares.append({text: share / total if total else 1 / len(of_text) for text, share in of_text.items()})
        confidence.append(near[best])
        alike[rows] = [1 - distance(words[codes[best]], words[code]) for code in codes]
    report = {"alike": answers.mean_by_worker(alike)}
    return Combined(
        "medoid", answers.items, answers.workers, tuple(labels), np.array(confidence), tuple(shares), report
    )


def tokens(text: str) -> tuple[str, ...]:
    """Give a text's words in small letters, without punctuation at their ends."""
    stripped = (word.strip(PUNCTUATION) for word in text.casefold().split())
    return tuple(word for word in stripped if word)


def edits(ones: Sequence[str], others: Sequence[str]) -> int:
    """Count the words to put in, take out or exchange to make one text of the other (Levenshtein)."""
    before = list(range(len(others) + 1))
    for at, one in enumerate(ones, 1):
        row = [at]
        for beside, other in enumerate(others, 1):
            row.append(min(row[-1] + 1, before[beside] + 1, before[beside - 1] + (one != other)))
        before = row
    return before[-1]


def distance(ones: Sequence[str], others: Sequence[str]) -> float:
    """Give the edits as a share of the longer text: 0 for the same words, 1 for nothing in common."""
    longer = max(len(ones), len(others))
    return edits(ones, others) / longer if longer else 0.0


def _best(
    codes: Sequence[int], near: Sequence[float], values: Sequence[str], words: Sequence[tuple[str, ...]]
) -> int:
    written = Counter(words[code] for code in codes)

    def rank(at: int) -> tuple[float, int, tuple[str, ...]]:
        said = words[codes[at]]
        return -round(near[at], 9), -written[said], said

    winner = words[codes[min(range(len(codes)), key=rank)]]
    forms = [at for at, code in enumerate(codes) if words[code] == winner]
    return min(forms, key=lambda at: (-codes.count(codes[at]), len(values[codes[at]]), values[codes[at]]))


def _nearness(texts: Sequence[tuple[str, ...]]) -> list[float]:
    """Say how near each text is to the others, from 0 to 1; a single one is certain of nothing else."""
    apart = cache(distance)
    several = len(texts) - 1
    return [
        1 - sum(apart(*sorted((one, other))) for other in texts) / several if several else 1.0
        for one in texts
    ]
