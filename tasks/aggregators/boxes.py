"""Boxes of several workers on one picture brought together by place; nobody counts twice for one thing.

Pure. Boxes of one label that overlap by half or more (intersection over union) are one thing seen by several workers,
one box of each: pairs are joined from the most alike on, so that no order of answers matters. A thing is kept, with
the median of its corners, if at least a third of the answers saw it, and more than one where there are three or more:
a worker overlooks a thing far more often than two invent the same one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

import numpy as np

from tasks.aggregators.outcome import DIGITS, LEVEL, Combined
from tasks.agreement import Answers

SAME_BOX_MIN: Final = 0.5
"""Intersection over union from which two boxes are the same thing."""
SEEN_MIN: Final = 1 / 3
"""Share of an item's answers that must have seen a thing."""

Corners = tuple[float, float, float, float]
Box = tuple[Corners, str]
Mark = dict[str, Any]


def cluster(answers: Answers, values: Sequence[Sequence[Box]]) -> Combined:
    """Join the boxes of each item; `values` holds the boxes (corners, label) of each class of `answers`."""
    labels, shares, confidence = [], [], []
    for rows in answers.rows_by_item():
        given = [values[code] for code in answers.label[rows].tolist()]
        things = _things(given)
        kept = [(box, share) for box, share in things if _enough(share, len(given))]
        labels.append([box for box, _ in kept])
        shares.append({_name(box): share for box, share in things})
        size = len(kept) + sum(share for _, share in things)
        confidence.append(2 * sum(share for _, share in kept) / size if size else 1.0)
    alike = [
        f1(values[code], labels[item])
        for item, code in zip(answers.item.tolist(), answers.label.tolist(), strict=True)
    ]
    report = {"f1": answers.mean_by_worker(alike)}
    return Combined(
        "cluster",
        answers.items,
        answers.workers,
        tuple(labels),
        np.array(confidence, dtype=np.float64),
        tuple(shares),
        report,
    )


def combine_boxes(answers: Sequence[Sequence[Mark]]) -> list[Mark]:
    """Give the boxes that enough of one item's answers saw, from left to right."""
    given = [[(_corners(box), box["label"]) for box in answer] for answer in answers]
    return [
        {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": label}
        for ((x0, y0, x1, y1), label), share in _things(given)
        if _enough(share, len(given))
    ]


def overlap(one: Corners, other: Corners) -> float:
    """Give the intersection over the union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def overlapping(ones: Sequence[Corners], others: Sequence[Corners]) -> Iterable[tuple[float, int, int]]:
    """Give what two lists from left to right have in common: overlap, place in the one, place in the other."""
    for at, one in enumerate(ones):
        for beside, other in enumerate(others):
            if other[0] >= one[2]:
                break
            share = overlap(one, other)
            if share:
                yield share, at, beside


def size(boxes: Sequence[Box]) -> int:
    """Count the boxes."""
    return len(boxes)


def f1(ones: Sequence[Box], others: Sequence[Box]) -> float:
    """Give the F1 of boxes matched one to one at half their union; two answers without boxes are the same."""
    mine, theirs = _by_label(ones), _by_label(others)
    matched = 0
    for label in mine.keys() & theirs.keys():
        taken, taken_beside = set(), set()
        pairs = overlapping(sorted(mine[label]), sorted(theirs[label]))
        for share, at, beside in sorted(pairs, reverse=True):
            if share >= SAME_BOX_MIN and at not in taken and beside not in taken_beside:
                taken.add(at)
                taken_beside.add(beside)
                matched += 1
    return 2 * matched / (len(ones) + len(others)) if ones or others else 1.0


def _things(given: Sequence[Sequence[Box]]) -> list[tuple[Box, float]]:
    """Give what the answers show, from left to right: median box and share of the answers that have it."""
    seen: dict[str, list[tuple[Corners, int]]] = defaultdict(list)
    for voter, boxes in enumerate(given):
        for corners, label in boxes:
            seen[label].append((corners, voter))
    things = [
        ((_middle(cluster), label), len(cluster) / len(given))
        for label, boxes in seen.items()
        for cluster in _clusters(sorted(boxes))
    ]
    return sorted(things)


def _enough(share: float, answers: int) -> bool:
    return share >= SEEN_MIN - LEVEL and (answers < 3 or share * answers > 1 + LEVEL)


def _clusters(boxes: Sequence[tuple[Corners, int]]) -> list[list[Corners]]:
    """Join boxes pair by pair, the most alike first, where no voter has two and the medians still overlap."""
    pairs = sorted(
        (-share, at, beside)
        for share, at, beside in overlapping([box for box, _ in boxes], [box for box, _ in boxes])
        if at < beside and share >= SAME_BOX_MIN and boxes[at][1] != boxes[beside][1]
    )
    cluster_of = list(range(len(boxes)))
    members = {at: {voter: box} for at, (box, voter) in enumerate(boxes)}
    for _, at, beside in pairs:
        one, other = cluster_of[at], cluster_of[beside]
        if one == other or members[one].keys() & members[other].keys():
            continue
        if overlap(_middle(members[one].values()), _middle(members[other].values())) < SAME_BOX_MIN:
            continue
        members[one] |= members.pop(other)
        cluster_of = [one if code == other else code for code in cluster_of]
    return [list(found.values()) for found in members.values()]


def _middle(boxes: Iterable[Corners]) -> Corners:
    x0, y0, x1, y1 = (float(median(edge)) for edge in zip(*boxes, strict=True))
    return x0, y0, x1, y1


def _by_label(boxes: Sequence[Box]) -> Mapping[str, list[Corners]]:
    found: dict[str, list[Corners]] = defaultdict(list)
    for corners, label in boxes:
        found[label].append(corners)
    return found


def _name(box: Box) -> str:
    corners, label = box
    return " ".join([*(f"{round(edge, DIGITS):g}" for edge in corners), *([label] if label else [])])


def _corners(box: Mark) -> Corners:
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
