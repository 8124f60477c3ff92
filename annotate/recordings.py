"""A recording: real answers of a crowd from a folder, as steps that each worker took one after the other.

`answers.csv` holds task, worker, label and sometimes the seconds it took; `gold.csv` the known answers. A label is a
class, a number, or a JSON list of marks: [start, end) for spans, [x0, y0, x1, y1] for boxes. What was marked is not
part of a recording: a text of the same length, or the address of a picture, stands for it. A worker's repeated answer
to a task is an edit, a further version of the same answer. Where no time was recorded one is assumed, and said so; the
week in which the work is laid is chosen by whoever plays it.
"""

import csv
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from tasks.errors import Invalid

DAY_STARTS: Final = timedelta(hours=9)
DAY_SECONDS: Final = 7 * 3600
WORKDAYS: Final = 5
PAUSE_SECONDS: Final = 1
CHOICES_MAX: Final = 20
"""More different labels than this, all of them numbers, are measurements and not classes."""
REDUNDANCY_MAX: Final = 100
FIELD: Final = "label"
MARK: Final = "mark"
"""The one label of recorded marks."""
MARKED: Final = {"spans": "text", "boxes": "image"}
"""Where what is marked stands in an item's data."""
_SUBMISSIONS: Final = uuid5(NAMESPACE_URL, "fairlabel:replay")


class NoRecording(Invalid):
    """A recording is a folder with answers.csv (task,worker,label and perhaps seconds)."""


class NotPlayable(Invalid):
    """This recording cannot be played."""


@dataclass(frozen=True)
class Step:
    """One version of one answer; `seconds` is the time that it took."""

    task: str
    worker: str
    version: int
    label: str
    seconds: int


@dataclass(frozen=True)
class Recording:
    """A crowd's work on one set."""

    name: str
    kind: str
    steps: dict[str, list[Step]]
    """Each worker's steps in the order of the file."""
    gold: dict[str, str]
    tasks: tuple[str, ...]
    timed: bool
    left_out: int
    """Answers that are not played because a task has more than can be asked for."""

    @property
    def answers(self) -> int:
        """How many steps there are."""
        return sum(len(steps) for steps in self.steps.values())

    @property
    def redundancy(self) -> int:
        """The most answers to one task, edits counted once."""
        return max(Counter(task for task, _ in self.final()).values())

    def final(self) -> dict[tuple[str, str], Step]:
        """Give the newest version of each (task, worker)."""
        return {(step.task, step.worker): step for steps in self.steps.values() for step in steps}

    def value(self, label: str) -> Any:
        """Give a label as the field stores it."""
        if self.kind == "spans":
            return [{"start": start, "end": end, "label": MARK} for start, end in json.loads(label)]
        if self.kind == "boxes":
            return [
                {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": MARK}
                for x0, y0, x1, y1 in json.loads(label)
            ]
        return label if self.kind == "choice" else _number(label)

    def definition(self) -> dict[str, Any]:
        """Make the task definition from the labels that were given."""
        columns = ["task", *([MARKED[self.kind]] if self.kind in MARKED else [])]
        return {
            "fairlabel": 1,
            "title": f"Replay of {self.name}"[:120],
            "language": "en",
            "instructions": "Answers that a real crowd gave are played again; the texts are not part of the recording.",
            "data": {
                "type": "object",
                "required": columns,
                "properties": {name: {"type": "string", "minLength": 1} for name in columns},
                "additionalProperties": False,
            },
            "show": [
                {"kind": "image" if name == "image" else "text", "from": name, "label": name.capitalize()}
                for name in columns
            ],
            "fields": [self._field()],
            "content_classes": ["none"],
        }

    def upload(self) -> bytes:
        """Write the tasks as JSON Lines, without gold: the crowd's answers are to stand on their own."""
        marked = self._marked()
        lines = []
        for task in self.tasks:
            row: dict[str, Any] = {
                "key": task,
                "data": {"task": f"{self.name} {task}"} | marked.get(task, {}),
            }
            lines.append(json.dumps(row, ensure_ascii=False))
        return "\n".join(lines).encode() + b"\n"

    def _field(self) -> dict[str, Any]:
        labels = sorted({step.label for step in self.final().values()}, key=_natural)
        field: dict[str, Any] = {"name": FIELD, "kind": self.kind, "label": "Answer", "required": True}
        if self.kind == "choice":
            return field | {"options": [{"value": label, "label": label} for label in labels]}
        if self.kind in MARKED:
            return field | {"from": MARKED[self.kind], "labels": [{"value": MARK, "label": "Mark"}]}
        numbers = [_number(label) for label in labels]
        return field | {"min": min(numbers), "max": max(numbers)}

    def _marked(self) -> dict[str, dict[str, str]]:
        """Give what stands for the marked texts (as long as the marks reach) and pictures."""
        if self.kind == "boxes":
            return {task: {"image": f"/replay/{self.name}/{task}.png"} for task in self.tasks}
        if self.kind != "spans":
            return {}
        length: dict[str, int] = defaultdict(lambda: 1)
        given = [(step.task, step.label) for step in self.final().values()] + list(self.gold.items())
        for task, label in given:
            length[task] = max([length[task], *(end for _, end in json.loads(label))])
        return {task: {"text": "x" * length[task]} for task in self.tasks}

    def submission(self, step: Step) -> UUID:
        """Give the submission id of a step: the same each time, so that playing twice stores once."""
        return uuid5(_SUBMISSIONS, f"{self.name}\0{step.task}\0{step.worker}\0{step.version}")

    def timetable(self, steps: list[Step], monday: datetime) -> list[tuple[datetime, Step]]:
        """Say when each of a worker's steps begins: from Monday nine o'clock on, seven hours on five days a week."""
        made = []
        day, used = 0, 0
        for step in steps:
            if used and used + step.seconds > DAY_SECONDS:
                day, used = day + 1, 0
            weeks, weekday = divmod(day, WORKDAYS)
            begins = monday + timedelta(weeks=weeks, days=weekday) + DAY_STARTS + timedelta(seconds=used)
            made.append((begins, step))
            used += step.seconds + PAUSE_SECONDS
        return made

    def weeks(self) -> int:
        """How many weeks the slowest worker needs."""
        epoch = datetime(2000, 1, 3)  # noqa: DTZ001  only a difference is taken
        last = max(
            begins + timedelta(seconds=step.seconds)
            for steps in self.steps.values()
            for begins, step in self.timetable(steps, epoch)[-1:]
        )
        return (last - epoch) // timedelta(weeks=1) + 1


def read(folder: Path, assumed_seconds: int) -> Recording:
    """Read a recording. Raises NoRecording, NotPlayable."""
    rows = rows_of(folder / "answers.csv", ("task", "worker", "label"))
    if not rows:
        raise NoRecording
    timed = "seconds" in rows[0]
    by_task: dict[str, set[str]] = defaultdict(set)
    versions: Counter[tuple[str, str]] = Counter()
    steps: dict[str, list[Step]] = defaultdict(list)
    left_out = 0
    for row in rows:
        task, worker = row["task"], row["worker"]
        if worker not in by_task[task] and len(by_task[task]) >= REDUNDANCY_MAX:
            left_out += 1
            continue
        by_task[task].add(worker)
        versions[task, worker] += 1
        seconds = _seconds(row["seconds"]) if timed else assumed_seconds
        steps[worker].append(Step(task, worker, versions[task, worker], row["label"], seconds))
    kind = _kind({row["label"] for row in rows})
    gold_file = folder / "gold.csv"
    gold_rows = rows_of(gold_file, ("task", "gold")) if gold_file.exists() else []
    gold = {row["task"]: row["gold"] for row in gold_rows}
    return Recording(folder.resolve().name, kind, dict(steps), gold, tuple(by_task), timed, left_out)


def rows_of(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a CSV file whose rows all have what is needed. Raises NoRecording, naming file and line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise NoRecording(f"There is no {path}. {NoRecording.__doc__}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise NoRecording(f"{path} cannot be read: {problem}.") from None
    for line, row in enumerate(rows, 2):
        missing = [name for name in needed if not row.get(name)]
        if missing:
            raise NoRecording(f"{path} line {line}: {missing[0]} is missing.")
    return rows


def _kind(labels: set[str]) -> str:
    if any(label.startswith("[") for label in labels):
        return _kind_of_marks(labels)
    numbers = all(_is_number(label) for label in labels)
    if len(labels) <= CHOICES_MAX:
        if len(labels) < 2:
            raise NotPlayable("All answers of this recording are the same; a choice needs two labels.")
        return "choice"
    if not numbers:
        raise NotPlayable(
            f"This recording holds free texts ({len(labels)} different ones), for which there is neither a vote nor "
            "a reference. Recordings of classes and numbers can be played."
        )
    return "number"


def _kind_of_marks(labels: set[str]) -> str:
    """Tell spans from boxes by how many numbers a mark has."""
    try:
        sizes = {len(mark) for label in labels for mark in json.loads(label)}
    except (ValueError, TypeError):
        sizes = set()
    kind = {2: "spans", 4: "boxes"}.get(sizes.pop()) if len(sizes) == 1 else None
    if kind is None:
        raise NotPlayable(
            "The lists of this recording are neither all spans, [start, end), nor all boxes, [x0, y0, x1, y1]."
        )
    return kind


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _natural(label: str) -> tuple[int, float, str]:
    return (0, float(label), label) if _is_number(label) else (1, 0.0, label)


def _seconds(text: str) -> int:
    """Read a recorded time, at least one second: nobody answers in none."""
    try:
        return max(1, round(float(text)))
    except (ValueError, OverflowError):
        raise NoRecording(f"{text[:40]!r} is no number of seconds.") from None
