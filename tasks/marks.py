"""Marks of several workers on one item brought together: spans by their characters, boxes by place.

Pure. A character is kept under a label if more than half of the answers mark it so, and what is kept side by side is
one span: workers agree on most of a passage more often than on its exact ends. Boxes of one label that overlap by half
or more (intersection over union) are one thing seen by several: it is kept if at least half of the answers saw it,
with the median of their corners. Nobody counts twice for one thing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

SAME_BOX_MIN = 0.5
"""Intersection over union from which two boxes are the same thing."""

Mark = dict[str, Any]
Corners = tuple[float, float, float, float]
Stretch = tuple[int, int]


def combine_spans(answers: Sequence[Sequence[Mark]]) -> list[Mark]:
    """Give the spans whose characters more than half of the answers mark, in the text's order."""
    turns: dict[str, Counter[int]] = defaultdict(Counter)
    for answer in answers:
        for label, places in stretches((one["start"], one["end"], one["label"]) for one in answer).items():
            for start, end in places:
                turns[label][start] += 1
                turns[label][end] -= 1
    kept = [
        (start, end, label) for label, turn in turns.items() for start, end in _held(turn, len(answers) / 2)
    ]
    return [{"start": start, "end": end, "label": label} for start, end, label in sorted(kept)]


def stretches(spans: Iterable[tuple[int, int, str]]) -> dict[str, list[Stretch]]:
    """Join what touches or overlaps under one label, so that each character counts once."""
    found: dict[str, list[Stretch]] = defaultdict(list)
    for start, end, label in sorted(spans):
        places = found[label]
        joined = places and start <= places[-1][1]
        known_start, known_end = places.pop() if joined else (start, end)
        places.append((known_start, max(end, known_end)))
    return dict(found)


def combine_boxes(answers: Sequence[Sequence[Mark]]) -> list[Mark]:
    """Give the boxes that at least half of the answers saw, from left to right."""
    clusters: list[tuple[str, dict[int, Corners]]] = []
    for voter, answer in enumerate(answers):
        for box in answer:
            _join(clusters, voter, box["label"], _corners(box))
    kept = []
    for label, seen in clusters:
        if 2 * len(seen) >= len(answers):
            x0, y0, x1, y1 = _middle(seen)
            kept.append({"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": label})
    return sorted(kept, key=lambda box: (box["x"], box["y"], box["label"]))


def overlap(one: Corners, other: Corners) -> float:
    """Give the intersection over the union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _held(turns: Counter[int], more_than: float) -> Iterator[Stretch]:
    """Give where the sum of the turns so far is high enough."""
    height, start = 0, None
    for place, turn in sorted(turns.items()):
        height += turn
        if height > more_than and start is None:
            start = place
        elif height <= more_than and start is not None:
            yield start, place
            start = None


def _join(clusters: list[tuple[str, dict[int, Corners]]], voter: int, label: str, box: Corners) -> None:
    best, found = SAME_BOX_MIN, None
    for name, seen in clusters:
        if name == label and voter not in seen:
            share = overlap(_middle(seen), box)
            if share >= best:
                best, found = share, seen
    if found is None:
        clusters.append((label, {voter: box}))
    else:
        found[voter] = box


def _middle(seen: dict[int, Corners]) -> Corners:
    x0, y0, x1, y1 = (float(median(box[edge] for box in seen.values())) for edge in range(4))
    return x0, y0, x1, y1


def _corners(box: Mark) -> Corners:
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
