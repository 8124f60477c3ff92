"""A task definition is the JSON document that says what workers see and what they answer.

`check` gives all problems of a document as values; `parse` gives the typed definition of one that has none. A
definition never changes: its digest is its name, and whoever holds a digest holds exactly this text. Definitions
come from strangers, so everything in them is limited and nothing in them is fetched or run.
"""

from typing import Any

import msgspec

from schemas.fields import Field
from schemas.fields import answer_schema as schema_of_answer
from schemas.kept import Kept
from schemas.lint import doubts, lint, references
from schemas.problems import PROBLEMS_MAX, Problem, from_errors
from schemas.registry import DEFINITION_BYTES_MAX, shipped, validator
from schemas.strict_json import Unreadable, canonical, faults, load
from schemas.strict_json import digest as digest_of
from schemas.typed_fields import fields_of
from schemas.words import Words

PARSED_KEPT = 256
"""Definitions that stay parsed in one process."""

_form = shipped("task-definition")["properties"]
LANGUAGES: tuple[str, ...] = tuple(_form["language"]["enum"])
"""ISO 639 codes that a definition may name."""
CONTENT_CLASSES: tuple[str, ...] = tuple(_form["content_classes"]["items"]["enum"])
"""What workers may be warned of; `none` stands alone."""


class WrongDocument(ValueError):
    """The document has problems; `problems` are all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        """Take the problems, at least one."""
        self.problems = problems
        super().__init__(f"{problems[0].pointer or '/'}: {problems[0].message}")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One part of what the worker sees of an item."""

    kind: str
    source: str
    """The data column."""
    label: str = ""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """An item answered by the requester, to learn from."""

    data: dict[str, Any]
    answer: dict[str, Any]
    why: str = ""


class TaskDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A checked task definition."""

    title: str
    language: str
    instructions: str
    """Markdown from a stranger, to be sanitised by whoever shows it."""
    examples: tuple[Example, ...]
    data_schema: dict[str, Any]
    show: tuple[Shown, ...]
    fields: tuple[Field, ...]
    content_classes: tuple[str, ...]
    digest: str
    document: dict[str, Any]

    def answer_schema(self) -> dict[str, Any]:
        """Give the JSON Schema of a whole answer."""
        return schema_of_answer(self.fields)

    def field(self, name: str) -> Field:
        """Give the field of that name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


_parsed: Kept[TaskDefinition] = Kept(PARSED_KEPT)


def check(document: bytes | str | dict[str, Any]) -> list[Problem]:
    """Give all problems of a document, at most PROBLEMS_MAX; an empty list means that it can be used."""
    return _read(document)[1]


def parse(document: bytes | str | dict[str, Any]) -> TaskDefinition:
    """Give the typed definition. Raises WrongDocument with what `check` gives."""
    if isinstance(document, dict) and not faults(document):
        known = _parsed.get(digest_of(document))
        if known is not None:
            return known
    value, problems = _read(document)
    if problems:
        raise WrongDocument(problems)
    made = _typed(value)
    return _parsed.keep(made.digest, made)


def kept(name: str) -> TaskDefinition | None:
    """Give the typed definition that was parsed before, by its digest."""
    return _parsed.get(name)


def warnings(document: bytes | str | dict[str, Any]) -> list[Problem]:
    """Give what is allowed but doubtful, above all names of personal data. Empty if the document has problems."""
    value, problems = _read(document)
    return [] if problems else doubts(value)


def digest(document: dict[str, Any]) -> str:
    """Give the SHA-256 over the canonical JSON: names sorted, no spaces, UTF-8."""
    return digest_of(document)


def _read(document: bytes | str | dict[str, Any]) -> tuple[Any, list[Problem]]:
    value: Any = document
    if isinstance(document, bytes | str):
        try:
            value = load(document)
        except Unreadable as unreadable:
            return None, unreadable.problems
    else:
        problems = faults(document)
        if not problems and len(canonical(document).encode()) > DEFINITION_BYTES_MAX:
            message = Words("the document has more than %(most)s bytes.", most=DEFINITION_BYTES_MAX)
            problems = [Problem("", message, Words("Make it smaller."))]
        if problems:
            return None, problems
    return value, _problems(value)[:PROBLEMS_MAX]


def _problems(value: Any) -> list[Problem]:
    refused = references(value)
    places = {problem.pointer for problem in refused}
    formal = from_errors(validator("task-definition").iter_errors(value))
    found = refused + [problem for problem in formal if problem.pointer not in places]
    return found or lint(value)


def _typed(document: dict[str, Any]) -> TaskDefinition:
    return TaskDefinition(
        title=document["title"],
        language=document["language"],
        instructions=document["instructions"],
        examples=tuple(Example(**example) for example in document.get("examples", ())),
        data_schema=document["data"],
        show=tuple(
            Shown(kind=part["kind"], source=part["from"], label=part.get("label", ""))
            for part in document["show"]
        ),
        fields=fields_of(document),
        content_classes=tuple(document["content_classes"]),
        digest=digest_of(document),
        document=document,
    )
