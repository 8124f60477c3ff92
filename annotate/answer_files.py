"""Files of answers that requesters hold from elsewhere: a long table as CSV, one answer per row.

The first line names the columns `task`, `worker` and `label`; for comparisons `left`, `right`, `worker` and `label`,
the label being the winner (or the word left or right). Further columns are left alone. A file is read once, row by row,
into codes; the last answer of a worker to a task counts. What cannot be read is said with its line, and nothing is
computed.
"""

import csv
import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.answers import comparable
from tasks.aggregators.labels import FORMS, READERS, guess
from tasks.agreement import Answers
from tasks.errors import Invalid

FIELD_CHARS_MAX: Final = 50_000_000
SHOWN_CHARS: Final = 60
PAIRWISE: Final = "pairwise"


FIELD_VALUES: Final[Mapping[str, Callable[[Any], str]]] = {
    "number": lambda number: repr(number + 0.0),
    "spans": lambda spans: comparable(
        "spans", [{"start": start, "end": end, "label": label} for start, end, label in spans]
    ),
    "boxes": lambda boxes: comparable(
        "boxes",
        [
            {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": label}
            for (x0, y0, x1, y1), label in boxes
        ],
    ),
}
"""The one form of a label that can be written in several: 5 and 5.0, marks in another order."""


class UnreadableAnswers(Invalid):
    """This is not a table of answers; it needs the columns task, worker and label."""


@dataclass(frozen=True)
class AnswerFile:
    """Answers of one kind, and what their labels mean."""

    kind: str
    answers: Answers
    values: Sequence[Any]
    """The meaning of each class of `answers`."""
    rows: int


@dataclass
class _Column:
    """A column as codes in the order in which its values came, and the line in which each value came first."""

    place: dict[str, int]
    line: list[int]
    code: "array[int]"

    @classmethod
    def empty(cls) -> "_Column":
        return cls({}, [], array("q"))

    def add(self, text: str, line: int) -> None:
        code = self.place.setdefault(text, len(self.line))
        if code == len(self.line):
            self.line.append(line)
        self.code.append(code)

    def codes(self) -> Any:
        return np.frombuffer(self.code, dtype=np.int64) if self.code else np.zeros(0, dtype=np.int64)


def read(path: Path, kind: str | None = None, gold: Path | None = None) -> AnswerFile:
    """Read a file of answers; without a kind it is guessed from the labels and gold. Raises UnreadableAnswers."""
    task, worker, label = _Column.empty(), _Column.empty(), _Column.empty()
    rows = 0
    compared = False
    for line, row in _rows(path, ("worker", "label")):
        compared = "left" in row
        name, given = _compared(path, line, row) if compared else (row["task"], row["label"])
        if not name or not row["worker"]:
            _refuse(
                path, line, f"{'worker' if name else 'task'} is empty; each row names a task and a worker."
            )
        task.add(name, line)
        worker.add(row["worker"], line)
        label.add(given, line)
        rows += 1
    if not rows:
        raise UnreadableAnswers(
            f"{path} holds no answers; below the line with the columns, give one per row."
        )
    known = [row["gold"] for _, row in _rows(gold, ("gold",))] if gold else []
    kind = PAIRWISE if compared else kind or guess(label.place.keys(), rows, known)
    if kind == PAIRWISE and not compared:
        _refuse(path, 1, "comparisons need the columns left, right, worker and label.")
    values = [value for _, value in _values(path, kind, label)]
    names, meaning, same = _named(kind, list(label.place), values)
    codes = same[label.codes()]
    answers = Answers.of_codes(
        list(task.place), list(worker.place), names, task.codes(), worker.codes(), codes
    )
    return AnswerFile(kind, answers, [meaning[name] for name in answers.classes], rows)


def read_gold(path: Path, kind: str) -> dict[Any, Any]:
    """Read known answers: values by task, or the winner by (left, right). Raises UnreadableAnswers."""
    found: dict[Any, Any] = {}
    for line, row in _rows(path, ("gold",)):
        if kind == PAIRWISE:
            name, winner = _compared(path, line, {**row, "label": row["gold"]})
            found[tuple(json.loads(name))] = winner
        else:
            column = _Column({row["gold"]: 0}, [line], array("q"))
            found[row["task"]] = next(value for _, value in _values(path, kind, column))
    return found


def _rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Give the rows with their lines; only the columns that are known."""
    csv.field_size_limit(FIELD_CHARS_MAX)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            place = _places(path, next(reader, []), needed)
            width = max(place.values()) + 1
            for cells in reader:
                line = reader.line_num
                if not cells:
                    continue
                if len(cells) < width:
                    _refuse(path, line, f"there are {len(cells)} columns, and the first line has more.")
                yield line, {name: cells[at] for name, at in place.items()}
    except UnicodeDecodeError:
        _refuse(path, _undecodable(path), "this is not UTF-8 text; save the file as “CSV UTF-8”.")
    except csv.Error as problem:
        _refuse(path, line + 1, f"{problem}; save the file as CSV again.")
    except OSError as problem:
        raise UnreadableAnswers(f"{path} cannot be opened: {problem.strerror}.") from None


def _undecodable(path: Path) -> int:
    with path.open("rb") as lines:
        return next(at for at, line in enumerate(lines, 1) if line.decode("utf-8", "ignore").encode() != line)


def _places(path: Path, header: Sequence[str], needed: Sequence[str]) -> dict[str, int]:
    named = {name.strip().casefold(): at for at, name in reversed(list(enumerate(header)))}
    if needed == ("gold",) and "gold" not in named and "label" in named:
        named["gold"] = named["label"]
    items = ("left", "right") if {"left", "right"} <= named.keys() else ("task",)
    wanted = (*items, *needed)
    missing = [name for name in wanted if name not in named]
    if missing:
        _refuse(path, 1, f"the column {missing[0]} is missing; the first line names {', '.join(wanted)}.")
    return {name: named[name] for name in wanted}


def _compared(path: Path, line: int, row: Mapping[str, str]) -> tuple[str, str]:
    """Name a comparison by its sides, and say who won."""
    sides = row["left"], row["right"]
    winner = row.get(row["label"], row["label"]) if row["label"] in {"left", "right"} else row["label"]
    if not all(sides) or sides[0] == sides[1]:
        _refuse(path, line, "left and right name two different things.")
    if winner not in sides:
        _refuse(path, line, f"the label {_short(winner)} is neither of the two sides.")
    return json.dumps(sides, ensure_ascii=False), winner


def _values(path: Path, kind: str, labels: _Column) -> Iterator[tuple[str, Any]]:
    read_one = READERS[kind]
    for (text, _), line in zip(labels.place.items(), labels.line, strict=True):
        if not text and kind != "text":
            _refuse(path, line, "the label is empty; leave out rows without an answer.")
        try:
            yield text, read_one(text)
        except ValueError:
            _refuse(path, line, f"the label {_short(text)} is not {FORMS[kind]}.")


def _named(kind: str, texts: Sequence[str], values: Sequence[Any]) -> tuple[list[str], dict[str, Any], Any]:
    """Give labels that mean the same one name: names, meanings by name, and each text's name as a code."""
    write = FIELD_VALUES.get(kind)
    names = texts if write is None else [write(value) for value in values]
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    return list(place), dict(zip(names, values, strict=True)), np.array([place[name] for name in names])


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")


def _refuse(path: Path, line: int, reason: str) -> Any:
    raise UnreadableAnswers(f"{path} line {line}: {reason}")
