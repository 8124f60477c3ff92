"""Distances: how far apart two answers to a field are, by the field's kind, and the agreement that follows from it.

Pure. Labels are equal or not, ranks and numbers differ by steps, and marks agree in part: two answers with marks are
alike by twice what they share over what both marked, so that a mark that only one of them made counts against them.
For spans that is the F1 of the marked characters; for boxes, a matched pair shares its intersection over union. Only
marks of one label share anything, and two answers without marks are the same.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.fields import KINDS
from schemas.words import Words
from tasks import agreement
from tasks.aggregators.boxes import Corners, overlapping
from tasks.aggregators.spans import shared_characters, stretches
from tasks.agreement import Answers, Measure, Metric

METRICS: Final[MappingProxyType[str, Metric]] = MappingProxyType(
    {"ordinal": "ordinal", "interval": "interval"}
)
"""The measures of distance between single values, besides equality."""
COMPARISONS_MAX: Final = 200_000
"""How many marks are held against each other for one measure; beyond it fewer pairs of answers are taken."""
PAIRS_MIN: Final = 200
SHARE_DIGITS: Final = 6
ALIKE_MIN: Final = 0.5
"""What two answers with marks share at least if one supports the other."""

NO_LABELS: Final = Words("Gwet’s AC1 needs answers that are equal or not; marks agree in part.")


@dataclass(frozen=True)
class Marked:
    """One answer's marks by label, in their order, and how much they are: characters or boxes."""

    places: Mapping[str, Sequence[Any]]
    size: int


class Overlap(NamedTuple):
    """How the marks of one kind of field are read and what two lists of one label share."""

    read: Callable[[Iterable[Any]], Marked]
    shared: Callable[[Sequence[Any], Sequence[Any]], float]
    comparisons: Callable[[float], float]
    """How many marks are held against each other for two answers with so many."""


class Measures(NamedTuple):
    """How alike a field's answers are: alpha, the mean over items of how alike two answers are, and AC1."""

    metric: str
    alpha: Measure
    percent: Measure
    ac1: Measure


def measures(kind: str, answers: Answers) -> Measures:
    """Measure the agreement of a field's answers, given in their comparable form, as fits its kind."""
    name = KINDS[kind].distance
    if name in OVERLAPS:
        alpha, percent = _of_marks(OVERLAPS[name], answers)
        return Measures(name, alpha, percent, Measure(None, NO_LABELS))
    metric = METRICS.get(name, "nominal")
    return Measures(
        metric,
        agreement.alpha(answers, metric),
        agreement.percent_agreement(answers),
        agreement.gwet_ac1(answers),
    )


def alike(kind: str, texts: Sequence[str]) -> float:
    """Count the pairs of answers that are alike, marks that agree in part as that part; takes comparable forms."""
    name = KINDS[kind].distance
    if name not in OVERLAPS:
        return sum(one == other for one, other in combinations(texts, 2))
    return round(sum(share for _, _, share in _pairs(OVERLAPS[name], texts)), SHARE_DIGITS)


def has_majority(kind: str, texts: Sequence[str]) -> bool:
    """Tell whether more than half of these answers with marks are alike, by half or more, to one of them."""
    side = Counter(range(len(texts)))
    for one, other, share in _pairs(OVERLAPS[KINDS[kind].distance], texts):
        if share >= ALIKE_MIN:
            side.update((one, other))
    return any(2 * count > len(texts) for count in side.values())


def _pairs(kind: Overlap, texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    read = [kind.read(json.loads(text)) for text in texts]
    for one, other in combinations(range(len(read)), 2):
        yield one, other, 1 - _apart(kind, read[one], read[other])


def _of_marks(kind: Overlap, answers: Answers) -> tuple[Measure, Measure]:
    read = [kind.read(json.loads(text)) for text in answers.classes]
    marks = sum(len(places) for one in read for places in one.places.values())
    effort = kind.comparisons(marks / max(1, len(read)))
    pairs = int(COMPARISONS_MAX / max(1.0, effort))
    return agreement.in_part(
        answers,
        lambda one, other: _apart(kind, read[one], read[other]),
        pairs_max=min(agreement.PAIRS_MAX, max(PAIRS_MIN, pairs)),
    )


def _apart(kind: Overlap, one: Marked, other: Marked) -> float:
    both = one.size + other.size
    if not both:
        return 0.0
    shared = sum(
        kind.shared(places, other.places[label])
        for label, places in one.places.items()
        if label in other.places
    )
    return 1 - 2 * shared / both


def _read_spans(spans: Iterable[Any]) -> Marked:
    places = stretches((start, end, label) for start, end, label in spans)
    return Marked(places, sum(end - start for found in places.values() for start, end in found))


def _read_boxes(boxes: Iterable[Any]) -> Marked:
    places: dict[str, list[Corners]] = defaultdict(list)
    for x, y, width, height, label in boxes:
        places[label].append((x, y, x + width, y + height))
    for corners in places.values():
        corners.sort()
    return Marked(dict(places), sum(map(len, places.values())))


def _shared_boxes(ones: Sequence[Corners], others: Sequence[Corners]) -> float:
    """Match each box with one of the other side at most, those that overlap most first."""
    if others < ones:  # type: ignore[operator]
        ones, others = others, ones
    shared, taken, taken_beside = 0.0, set(), set()
    for lack, at, beside in sorted((-share, *places) for share, *places in overlapping(ones, others)):
        if at not in taken and beside not in taken_beside:
            taken.add(at)
            taken_beside.add(beside)
            shared -= lack
    return shared


OVERLAPS: Final = MappingProxyType(
    {
        "span_overlap": Overlap(_read_spans, shared_characters, lambda marks: 2 * marks),
        "box_overlap": Overlap(_read_boxes, _shared_boxes, lambda marks: marks**2),
    }
)
