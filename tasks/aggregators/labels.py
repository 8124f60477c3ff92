"""Labels as files hold them: what a label's text means for each kind of answer, and which kind a column of them is.

Pure. Spans are a JSON list of [start, end] or [start, end, label], boxes of [x0, y0, x1, y1] or with a label behind;
both may also be objects as a field of ours stores them. What an aggregator makes of them is written in the short form.
"""

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tasks.aggregators.boxes import Box
from tasks.aggregators.spans import Span

CLASSES_MAX: Final = 20
"""More different labels than this may be numbers or texts and not classes."""
ANSWERS_PER_CLASS: Final = 10
"""Labels that are given less often than this on average, and are many, are texts."""
REACH_MAX: Final = 10_000_000
"""Characters of a text."""


def read_number(text: str) -> float:
    """Read a finite number. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def read_spans(text: str) -> tuple[Span, ...]:
    """Read spans; empty ones mark nothing. Raises ValueError."""
    spans = (_span(mark) for mark in _marks(text))
    return tuple(sorted(span for span in spans if span[0] < span[1]))


def read_boxes(text: str) -> tuple[Box, ...]:
    """Read boxes, drawn from whichever corner. Raises ValueError."""
    return tuple(sorted(_box(mark) for mark in _marks(text)))


def write_spans(spans: Sequence[Span]) -> list[list[Any]]:
    """Write spans as lists, their label only if they have one."""
    return [[start, end, *([label] if label else [])] for start, end, label in spans]


def write_boxes(boxes: Sequence[Box]) -> list[list[Any]]:
    """Write boxes as lists, their label only if they have one."""
    return [[*corners, *([label] if label else [])] for corners, label in boxes]


READERS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "class": str,
        "number": read_number,
        "text": str,
        "spans": read_spans,
        "boxes": read_boxes,
        "pairwise": str,
    }
)
"""What a label's text means, by kind."""
WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {"spans": write_spans, "boxes": write_boxes}
)
"""How a kind's labels are written as JSON, where they are not JSON values already."""
FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "number": "a number such as 12.5",
        "spans": "a JSON list of [start, end] offsets such as [[0, 5], [9, 12]]",
        "boxes": "a JSON list of [x0, y0, x1, y1] such as [[10, 10, 50, 40]]",
    }
)
"""What is expected, in words."""


def guess(labels: Collection[str], answers: int, gold: Collection[str] = ()) -> str:
    """Say which kind these different labels of so many answers are."""
    sizes = {size for label in labels if (size := _mark_size(label)) is not None}
    if sizes and all(label.lstrip().startswith("[") for label in labels):
        return "boxes" if 4 in sizes else "spans"
    if labels and all(map(_is_number, labels)):
        between = any(not float(label).is_integer() for label in [*labels, *filter(_is_number, gold)])
        return "number" if between or len(labels) > CLASSES_MAX else "class"
    many = len(labels) > CLASSES_MAX and len(labels) * ANSWERS_PER_CLASS > answers
    return "text" if many else "class"


def _mark_size(label: str) -> int | None:
    """Say of how many numbers the first mark of a list is."""
    try:
        first = _marks(label)[0]
    except (ValueError, IndexError):
        return None
    if isinstance(first, dict):
        return 4 if "width" in first else 2
    return sum(not isinstance(part, str) for part in first) if isinstance(first, list) else None


def _is_number(text: str) -> bool:
    try:
        read_number(text)
    except ValueError:
        return False
    return True


def _marks(text: str) -> list[Any]:
    try:
        marks = json.loads(text)
    except RecursionError:
        raise ValueError(text) from None
    if not isinstance(marks, list):
        raise ValueError(text)  # noqa: TRY004  the text is wrong, not its type
    return marks


def _span(mark: Any) -> Span:
    if isinstance(mark, dict):
        mark = [mark.get("start"), mark.get("end"), *([mark["label"]] if "label" in mark else [])]
    numbers, label = _parts(mark, 2)
    start, end = map(int, numbers)
    if [start, end] != numbers or not 0 <= start <= end <= REACH_MAX:
        raise ValueError(mark)
    return start, end, label


def _box(mark: Any) -> Box:
    if isinstance(mark, dict):
        x, y, width, height = _numbers([mark.get(name) for name in ("x", "y", "width", "height")])
        mark = [x, y, x + width, y + height, *([mark["label"]] if "label" in mark else [])]
    (x0, y0, x1, y1), label = _parts(mark, 4)
    return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), label


def _parts(mark: Any, size: int) -> tuple[list[float], str]:
    if not isinstance(mark, list) or len(mark) not in {size, size + 1}:
        raise ValueError(mark)
    label = mark[size] if len(mark) > size else ""
    if not isinstance(label, str):
        raise ValueError(mark)  # noqa: TRY004  as above
    return _numbers(mark[:size]), label


def _numbers(parts: Sequence[Any]) -> list[float]:
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in parts):
        raise ValueError(parts)
    if not all(abs(part) < 1e15 for part in parts):  # also refuses what is not a number
        raise ValueError(parts)
    return [float(part) for part in parts]
