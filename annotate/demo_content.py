"""What the demo is about: a library's three projects with their items, four workers, and how they answer.

All texts and pictures were made for it, all people are invented. Chance is seeded by worker and item, so that the
same worker gives the same item the same answer however often the demo is made.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Final

from schemas import examples

MARKED: Final = re.compile(r"\[([^|\]]+)\|([a-z]+)\]")
MOODS: Final = ("positive", "neutral", "negative")
SKIPS: Final = ("unclear", "too_hard", "other")

Row = dict[str, Any]


@dataclass(frozen=True)
class Worker:
    """Somebody of the scripted crowd; `pace` stretches their time, `care` is how often they are right."""

    name: str
    email: str
    place: str
    area: str | None
    time_zone: str
    languages: tuple[str, ...]
    pace: float
    care: float


WORKERS: Final = (
    Worker(
        "Achieng Otieno",
        "achieng@demo.example",
        "KE",
        "cities-1",
        "Africa/Nairobi",
        ("en", "fr", "sw"),
        1.0,
        0.93,
    ),
    Worker(
        "Desislava Petrova",
        "desislava@demo.example",
        "BG",
        None,
        "Europe/Sofia",
        ("bg", "en", "fr"),
        0.8,
        0.9,
    ),
    Worker(
        "Maricel Santos",
        "maricel@demo.example",
        "PH-NCR",
        None,
        "Asia/Manila",
        ("en", "fil", "fr"),
        1.9,
        0.88,
    ),
    Worker("Camille Lefèvre", "camille@demo.example", "FR", None, "Europe/Paris", ("en", "fr"), 1.4, 0.95),
)


@dataclass(frozen=True)
class Part:
    """One batch of a project: its items, and how many answers each of the crowd gives."""

    name: str
    rows: tuple[Row, ...]
    each: int


@dataclass(frozen=True)
class Project:
    """One project with the batch of last week and the batch of this week; prices are in euros."""

    name: str
    purpose: str
    definition: Row
    languages: tuple[str, ...]
    answers_wanted: int
    price: str
    seconds: int
    parts: tuple[Part, Part]
    field: str
    seconds_for: Callable[[Row, Random], float]
    answer_for: Callable[[Any, float, Random], Any]
    truth: dict[str, Any]


def projects(*, fast: bool = False) -> list[Project]:
    """Give the three projects; `fast` keeps a few items of each."""
    return [_messages(fast), _sentences(fast), _scenes(fast)]


def chance(*of: str) -> Random:
    """Give a source of chance that is the same for the same worker and item."""
    return Random("\0".join(of))  # noqa: S311  a script, not a secret


def _messages(fast: bool) -> Project:
    found = _read("messages")
    keyed = [(f"message-{number:02}", one) for number, one in enumerate(found, 1)]
    rows = [
        {"key": key, "data": {"text": one["text"], "lang": one["lang"]}}
        | ({"gold": {"sentiment": one["mood"]}} if one.get("gold") else {})
        for key, one in keyed
    ]
    return Project(
        name="Mood of messages to the library",
        purpose="Learn which parts of our service please or annoy people, message by message.",
        definition=examples()["sentiment"],
        languages=("en", "fr"),
        answers_wanted=3,
        price="0.045",
        seconds=12,
        parts=_parts("Messages", rows, (8, 8) if fast else (40, 24), (6, 2) if fast else (30, 7)),
        field="sentiment",
        seconds_for=lambda data, luck: (4 + len(data["text"]) * 0.075) * luck.uniform(0.75, 1.5),
        answer_for=_mood,
        truth={key: one["mood"] for key, one in keyed},
    )


def _sentences(fast: bool) -> Project:
    keyed = [(f"sentence-{number:02}", *_unmarked(one)) for number, one in enumerate(_read("sentences"), 1)]
    return Project(
        name="Names in town news",
        purpose="Build an open index of people, places and dates in the local paper.",
        definition=examples()["entities"],
        languages=("en",),
        answers_wanted=2,
        price="0.20",
        seconds=60,
        parts=_parts(
            "Sentences",
            [{"key": key, "data": {"text": text}} for key, text, _ in keyed],
            (3, 3) if fast else (12, 8),
            (1, 1) if fast else (6, 2),
        ),
        field="entities",
        seconds_for=lambda data, luck: (14 + len(data["text"]) * 0.33) * luck.uniform(0.8, 1.6),
        answer_for=_marks,
        truth={key: spans for key, _, spans in keyed},
    )


def _scenes(fast: bool) -> Project:
    keyed = [(f"scene-{number:02}", one) for number, one in enumerate(_read("scenes"), 1)]
    return Project(
        name="Houses, trees and boats",
        purpose="Teach the children's corner's drawing robot what is where in a picture.",
        definition=_read("scene_definition"),
        languages=("en",),
        answers_wanted=2,
        price="0.15",
        seconds=50,
        parts=_parts(
            "Scenes",
            [{"key": key, "data": {"image": one["image"]}} for key, one in keyed],
            (2, 2) if fast else (6, 6),
            (1, 1) if fast else (3, 1),
        ),
        field="things",
        seconds_for=lambda _, luck: 38 * luck.uniform(0.7, 1.9),
        answer_for=_boxes,
        truth={key: one["things"] for key, one in keyed},
    )


def _parts(name: str, rows: list[Row], sizes: tuple[int, int], each: tuple[int, int]) -> tuple[Part, Part]:
    first, second = sizes
    return (
        Part(f"{name}, first part", tuple(rows[:first]), each[0]),
        Part(f"{name}, second part", tuple(rows[-second:]), each[1]),
    )


def _mood(truth: str, care: float, luck: Random) -> str:
    """Choose the true mood, or one beside it: nobody takes joy for anger."""
    if luck.random() < care:
        return truth
    return luck.choice(("positive", "negative")) if truth == "neutral" else "neutral"


def _marks(truth: list[Row], care: float, luck: Random) -> list[Row]:
    """Mark the names, sometimes missing one or taking it for something else."""
    made = []
    for span in truth:
        if luck.random() > care:
            if luck.random() < 0.5:
                continue
            span = span | {"label": luck.choice(("organisation", "place"))}  # noqa: PLW2901
        made.append(dict(span))
    return made


def _boxes(truth: list[Row], care: float, luck: Random) -> list[Row]:
    """Draw the boxes by hand: a few pixels beside the thing, and now and then one too few."""
    made = []
    for box in truth:
        if luck.random() > care + 0.05:
            continue
        left, top, right, bottom = (luck.randint(-3, 3) for _ in range(4))
        made.append(
            {
                "label": box["label"],
                "x": max(0, box["x"] + left),
                "y": max(0, box["y"] + top),
                "width": box["width"] - left + right,
                "height": box["height"] - top + bottom,
            }
        )
    return made


def _unmarked(text: str) -> tuple[str, list[Row]]:
    """Take the marks out of a text: the plain text, and the spans as they stand in it."""
    plain, spans, at = "", [], 0
    for found in MARKED.finditer(text):
        plain += text[at : found.start()]
        spans.append({"start": len(plain), "end": len(plain) + len(found[1]), "label": found[2]})
        plain, at = plain + found[1], found.end()
    return plain + text[at:], spans


@cache
def _read(name: str) -> Any:
    return json.loads((files("annotate") / "demo_data" / f"{name}.json").read_text("utf-8"))
