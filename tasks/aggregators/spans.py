"""Spans of several workers on one text brought together character by character; nobody counts twice for one thing.

Pure. A text is cut where any span begins or ends; each stretch between two cuts is one question with two answers,
marked or not, and stands for as many items as it has characters. So characters are voted on, or weighed by
Dawid–Skene, and what is kept side by side is one span: workers agree on most of a passage more often than on its
exact ends.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from tasks.aggregators.confusion import Given, estimate
from tasks.aggregators.outcome import LEVEL, Combined
from tasks.agreement import Answers, Codes, Floats

KEPT_MIN: Final = 0.5
"""Share of the answers, or probability, from which a character is kept."""

Span = tuple[int, int, str]
Stretch = tuple[int, int]
Mark = dict[str, Any]


def mix(answers: Answers, values: Sequence[Sequence[Span]]) -> Combined:
    """The default: the mean of the votes and of Dawid–Skene for each character.

    `values` holds the spans (start, end, label) of each class of `answers`, here and below.
    """
    cut = _cut(answers, values)
    return _combined("mix", answers, values, cut, (_voted(cut) + _weighed(answers, cut)) / 2)


def dawid_skene(answers: Answers, values: Sequence[Sequence[Span]]) -> Combined:
    """Weigh each character's marks by the workers' confusion, shrunk as for classes."""
    cut = _cut(answers, values)
    return _combined("dawid_skene", answers, values, cut, _weighed(answers, cut))


def majority(answers: Answers, values: Sequence[Sequence[Span]]) -> Combined:
    """Keep the characters that at least half of an item's answers mark."""
    cut = _cut(answers, values)
    return _combined("majority", answers, values, cut, _voted(cut))


def combine_spans(answers: Sequence[Sequence[Mark]]) -> list[Mark]:
    """Give the spans whose characters at least half of one item's answers mark, in the text's order."""
    turns: dict[str, Counter[int]] = defaultdict(Counter)
    for answer in answers:
        for label, places in stretches((one["start"], one["end"], one["label"]) for one in answer).items():
            for start, end in places:
                turns[label][start] += 1
                turns[label][end] -= 1
    kept = [
        (start, end, label)
        for label, turn in turns.items()
        for start, end in _held(turn, KEPT_MIN * len(answers))
    ]
    return [{"start": start, "end": end, "label": label} for start, end, label in sorted(kept)]


def stretches(spans: Iterable[Span]) -> dict[str, list[Stretch]]:
    """Join what touches or overlaps under one label, so that each character counts once."""
    found: dict[str, list[Stretch]] = defaultdict(list)
    for start, end, label in sorted(spans):
        places = found[label]
        joined = places and start <= places[-1][1]
        known_start, known_end = places.pop() if joined else (start, end)
        places.append((known_start, max(end, known_end)))
    return dict(found)


def size(spans: Iterable[Span]) -> int:
    """Count the marked characters."""
    return sum(end - start for places in stretches(spans).values() for start, end in places)


def f1(ones: Sequence[Span], others: Sequence[Span]) -> float:
    """Give the F1 of the marked characters; two answers without marks are the same."""
    mine, theirs = stretches(ones), stretches(others)
    both = size(ones) + size(others)
    shared = sum(shared_characters(mine[label], theirs[label]) for label in mine.keys() & theirs.keys())
    return 2 * shared / both if both else 1.0


def shared_characters(ones: Sequence[Stretch], others: Sequence[Stretch]) -> int:
    """Count the characters in both of two lists of stretches in order."""
    shared = at = beside = 0
    while at < len(ones) and beside < len(others):
        one, other = ones[at], others[beside]
        shared += max(0, min(one[1], other[1]) - max(one[0], other[0]))
        if one[1] < other[1]:
            at += 1
        else:
            beside += 1
    return shared


class _Piece(NamedTuple):
    item: int
    start: int
    end: int
    label: str


@dataclass(frozen=True)
class _Cut:
    """The stretches of all items in order; `asked` answers to each, `voter` and `marked` one after the other."""

    stretch: list[_Piece]
    asked: Codes
    voter: Codes
    marked: Codes


def _cut(answers: Answers, values: Sequence[Sequence[Span]]) -> _Cut:
    joined = [stretches(spans) for spans in values]
    labels = sorted({label for spans in joined for label in spans})
    stretch: list[_Piece] = []
    asked: list[int] = []
    voter: list[Codes] = []
    marked: list[Codes] = []
    for item, rows in enumerate(answers.rows_by_item()):
        given = [joined[code] for code in answers.label[rows].tolist()]
        reach = max((places[-1][1] for spans in given for places in spans.values()), default=0)
        for label in labels:
            ends = {edge for spans in given for place in spans.get(label, ()) for edge in place}
            cuts = sorted(ends | {0, reach})
            pieces = [_Piece(item, start, end, label) for start, end in pairwise(cuts)]
            stretch += pieces
            asked += [len(given)] * len(pieces)
            voter += [answers.worker[rows]] * len(pieces)
            marked += _marks(cuts, [spans.get(label, ()) for spans in given])
    empty = [np.zeros(0, dtype=np.int64)]
    return _Cut(
        stretch,
        np.array(asked, dtype=np.int64),
        np.concatenate(voter or empty),
        np.concatenate(marked or empty),
    )


def _marks(cuts: Sequence[int], given: Sequence[Sequence[Stretch]]) -> list[Codes]:
    """Say for each stretch between cuts which answers mark it."""
    place = {cut: at for at, cut in enumerate(cuts)}
    table = np.zeros((max(0, len(cuts) - 1), len(given)), dtype=np.int64)
    for who, places in enumerate(given):
        for start, end in places:
            table[place[start] : place[end], who] = 1
    return list(table)


def _weighed(answers: Answers, cut: _Cut) -> Floats:
    given = Given(
        len(cut.stretch),
        len(answers.workers),
        2,
        np.repeat(np.arange(len(cut.stretch)), cut.asked),
        cut.voter,
        cut.marked,
        size=np.array([stretch.end - stretch.start for stretch in cut.stretch], dtype=np.float64),
    )
    posterior, _, _ = estimate(given, pseudo_answers=5.0, iterations=3)
    return posterior[:, 1]


def _voted(cut: _Cut) -> Floats:
    at = np.repeat(np.arange(len(cut.stretch)), cut.asked)
    votes = np.bincount(at, cut.marked, minlength=len(cut.stretch))
    shares: Floats = votes / np.maximum(cut.asked, 1)
    return shares


def _combined(
    method: str, answers: Answers, values: Sequence[Sequence[Span]], cut: _Cut, chance: Floats
) -> Combined:
    kept: list[list[Span]] = [[] for _ in answers.items]
    shares: list[dict[str, float]] = [{} for _ in answers.items]
    expected = np.zeros((len(answers.items), 2))  # characters kept that are marked in truth; kept and marked
    several = len({piece.label for piece in cut.stretch}) > 1
    for piece, share in zip(cut.stretch, chance.tolist(), strict=True):
        length = piece.end - piece.start
        name = f"{piece.start}-{piece.end}" + (f" {piece.label}" if several else "")
        shares[piece.item][name] = share
        expected[piece.item, 1] += share * length
        if share >= KEPT_MIN - LEVEL:
            kept[piece.item].append((piece.start, piece.end, piece.label))
            expected[piece.item] += (2 * share * length, length)
    labels = tuple(
        sorted((start, end, label) for label, places in stretches(spans).items() for start, end in places)
        for spans in kept
    )
    right, both = expected.T
    confidence = np.divide(right, both, out=np.ones(len(labels)), where=both > 0)
    alike = [
        f1(values[code], labels[item])
        for item, code in zip(answers.item.tolist(), answers.label.tolist(), strict=True)
    ]
    report = {"f1": answers.mean_by_worker(alike)}
    return Combined(method, answers.items, answers.workers, labels, confidence, tuple(shares), report)


def _held(turns: Mapping[int, int], at_least: float) -> Iterator[Stretch]:
    """Give where the sum of the turns so far is high enough."""
    height, start = 0, None
    for place, turn in sorted(turns.items()):
        height += turn
        if height >= at_least and start is None:
            start = place
        elif height < at_least and start is not None:
            yield start, place
            start = None
