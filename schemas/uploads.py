"""An upload is a CSV or JSONL file of items; it is read row by row, in bounded memory, whatever its size.

A bad row comes back with its line, field and reason and never stops the good ones. What makes the whole file
unusable (encoding, header, size) is a FileProblem with place and remedy. Cells are kept exactly as they are written,
formulas too: only `export_cell` makes them harmless, on the way out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from schemas.answers import AnswerValidator
from schemas.cells import coerced, coerced_gold
from schemas.csv_records import SHORTEN_IT, CsvRecords
from schemas.definition import TaskDefinition
from schemas.lines import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    FILE_BYTES_MAX,
    KEY_CHARS_MAX,
    ROW_BYTES_MAX,
    ROWS_MAX,
    SPLIT_IT,
    FileProblem,
    Lines,
    line_place,
)
from schemas.pictures import wrong_picture
from schemas.problems import (
    HIDDEN,
    SHOWN_CHOICES_MAX,
    Problem,
    from_errors,
    meant,
    pointer,
    shortened,
    unknown,
    visible,
)
from schemas.registry import compiled, validator
from schemas.seen_keys import SeenKeys
from schemas.strict_json import Unreadable, faults, load
from schemas.words import NOTHING, Words

__all__ = [
    "CELL_CHARS_MAX",
    "COLUMNS_MAX",
    "FILE_BYTES_MAX",
    "KEY_CHARS_MAX",
    "ROWS_MAX",
    "ROW_BYTES_MAX",
    "BadRow",
    "FileProblem",
    "Row",
    "export_cell",
    "rows",
]

META = "META_"
"""Columns with this beginning are kept and exported, never shown."""
GOLD = "gold."
"""Columns with this beginning hold the known answer to the field named after it."""

GOLD_WHY = "gold_why"
"""The column that says why the known answer is right; workers read it after their own."""
WHY_CHARS_MAX = 2_000

SIGNS = {",": Words("commas"), ";": Words("semicolons"), "\t": Words("tabs")}

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,30}([.,][0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Row:
    """One good row: `key` is the requester's own, `meta` is hidden, `gold` is the known answer or a part of it.

    `gold_why` says why the known answer is right, '' where nobody says it.
    """

    line: int
    key: str | None
    data: dict[str, Any]
    meta: dict[str, Any]
    gold: dict[str, Any] | None
    gold_why: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be used: the first of its problems in words, all of them in `problems`."""

    line: int
    field: str
    value: str
    reason: Words
    hint: Words
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Parts:
    """A row on its way: what was found so far, and what is wrong with it (path, message, hint)."""

    line: int
    key: str | None
    data: dict[str, Any]
    meta: dict[str, Any]
    gold: dict[str, Any]
    problems: list[Problem]
    gold_why: Any = ""


def rows(
    stream: BinaryIO, kind: str, definition: TaskDefinition, origins: Sequence[str] = ()
) -> Iterator[Row | BadRow]:
    """Read a file of kind 'csv' (commas, semicolons or tabs) or 'jsonl'. Raises FileProblem, also after rows.

    `origins` are the other sites whose pictures may be shown.
    """
    if kind not in {"csv", "jsonl"}:
        raise ValueError(kind)
    reader = _Reader(definition, origins)
    count = 0
    for row in reader.csv(Lines(stream)) if kind == "csv" else reader.jsonl(Lines(stream)):
        count += 1
        if count > ROWS_MAX:
            message = Words("the file has more than %(most)s rows.", most=ROWS_MAX)
            raise FileProblem(message, line_place(row.line), SPLIT_IT)
        yield row
    if not count:
        raise FileProblem(Words("the file has no rows."), line_place(1), Words("Send one line per item."))


def export_cell(value: Any) -> str:
    """Write a value for a spreadsheet, so that no text can act as a formula.

    A text that begins with =, +, -, @, a tab or a line break gets a single quote in front (numbers stay). The
    inverse takes one quote away where quotes stand before such a sign; texts that had that form themselves got one
    more, so nothing is lost. Uploads do not undo it: what is in a cell is what is stored.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    if _FORMULA.match(value) and not _PLAIN_NUMBER.fullmatch(value):
        return "'" + value
    return value


class _Reader:
    """Reads rows for one definition and remembers their keys."""

    def __init__(self, definition: TaskDefinition, origins: Sequence[str]) -> None:
        self.origins = origins
        self.columns: dict[str, Any] = definition.data_schema["properties"]
        self.needed: list[str] = list(definition.data_schema.get("required", ()))
        self.open: bool = definition.data_schema.get("additionalProperties", True)
        self.fields = {field.name: field for field in definition.fields}
        self.images = [part.source for part in definition.show if part.kind == "image"]
        self.row = compiled(definition.data_schema)
        self.answers = AnswerValidator(definition)
        self.key_name = next((name for name in ("key", "id") if name not in self.columns), None)
        self.other_key_name = "id" if self.key_name == "key" and "id" not in self.columns else None
        self.seen = SeenKeys()
        keys = [name for name in (self.key_name, self.other_key_name) if name]
        self.known_roles = dict.fromkeys(self.columns, "data") | dict.fromkeys(keys, "key")

    def csv(self, lines: Lines) -> Iterator[Row | BadRow]:
        """Give the rows of a CSV file."""
        records = CsvRecords(lines)
        found = iter(records)
        header = self._header(next(found, None), records.delimiter)
        for line, cells in found:
            if isinstance(cells, Problem):
                yield _bad(line, "", "", [cells])
            elif len(cells) != len(header):
                sizes = {"cells": len(cells), "header": len(header)}
                message = Words("the row has %(cells)s cells, the header has %(header)s.", **sizes)
                sign = records.delimiter
                hint = Words("Put a cell that holds '%(sign)s' or a line break in quotes.", sign=sign)
                yield _bad(line, "", "", [Problem("", message, hint)])
            else:
                yield self._made(self._from_cells(line, header, cells))

    def jsonl(self, lines: Lines) -> Iterator[Row | BadRow]:
        """Give the rows of a JSONL file."""
        while True:
            try:
                text = lines.read()
            except EOFError:
                return
            if text is None:
                message = Words("the line has more than %(most)s bytes.", most=ROW_BYTES_MAX)
                yield _bad(lines.number, "", "", [Problem("", message, SHORTEN_IT)])
            elif text.strip():
                yield self._from_line(lines.number, text)

    def _header(self, first: tuple[int, list[str] | Problem] | None, delimiter: str) -> list[str]:
        line, cells = first or (1, Problem("", Words("there is none."), NOTHING))
        if isinstance(cells, Problem):
            message = Words("the header cannot be read: %(why)s", why=cells.message)
            raise FileProblem(
                message, line_place(line), Words("Begin the file with one line of column names.")
            )
        names = [cell.strip() for cell in cells]
        if len(names) > COLUMNS_MAX:
            message = Words("there are %(n)s columns.", n=len(names))
            raise FileProblem(message, line_place(line), Words("Send at most %(most)s.", most=COLUMNS_MAX))
        for position, name in enumerate(names, 1):
            place = Words("line %(line)s, column %(column)s", line=line, column=position)
            remedy = Words("Name it, or remove the column.")
            if not name:
                raise FileProblem(Words("column %(column)s has no name.", column=position), place, remedy)
            if HIDDEN.search(name):
                said = {"column": position, "name": shortened(name)}
                message = Words("column %(column)s has a name with a hidden character: %(name)s.", **said)
                raise FileProblem(message, place, remedy)
            if name in names[: position - 1]:
                message = Words("the column %(name)s stands twice.", name=shortened(name))
                raise FileProblem(message, place, Words("Rename or remove one of the two."))
        missing = [name for name in self.needed if name not in names]
        if missing:
            raise self._missing(missing, names, line_place(line), delimiter)
        for position, name in enumerate(names, 1):
            problem = self._unknown(name)
            if problem:
                place = Words("line %(line)s, column %(column)s", line=line, column=position)
                raise FileProblem(problem.message, place, problem.hint)
        return names

    def _missing(self, missing: list[str], names: list[str], place: Words, delimiter: str) -> FileProblem:
        message = Words("the column %(names)s is missing.", names=[f"'{name}'" for name in missing])
        guess = meant(missing[0], names)
        found = {"sign": SIGNS[delimiter], "names": [shortened(one) for one in names[:SHOWN_CHOICES_MAX]]}
        remedy = Words("Found, parted by %(sign)s: %(names)s. Add or rename columns.", **found)
        if guess:
            found |= {"guess": shortened(guess), "wanted": missing[0]}
            remedy = Words(
                "Found, parted by %(sign)s: %(names)s. Is %(guess)s meant to be '%(wanted)s'? Add or rename columns.",
                **found,
            )
        return FileProblem(message, place, remedy)

    def _role(self, name: str) -> str:
        known = self.known_roles.get(name)
        if known:
            return known
        if name.startswith(META):
            return "meta"
        if name == GOLD_WHY:
            return "why"
        return "gold" if name.startswith(GOLD) else "data"

    def _unknown(self, name: str) -> Problem | None:
        """Say that a column has no place in the definition."""
        if name in self.known_roles:
            return None
        role = self._role(name)
        known: list[str] = []
        if role == "gold" and name.removeprefix(GOLD) not in self.fields:
            known = [GOLD + field for field in self.fields]
        elif role == "data" and not self.open and name not in self.columns:
            known = list(self.columns)
        if not known:
            return None
        hint = Words(
            "Rename it, remove it, or begin its name with %(meta)s to keep it hidden. Known: %(names)s.",
            meta=META,
            names=known[:SHOWN_CHOICES_MAX],
        )
        return Problem(pointer([name]), unknown([], name, known, "column").message, hint)

    def _from_cells(self, line: int, header: list[str], cells: list[str]) -> _Parts:
        parts = _Parts(line, None, {}, {}, {}, [])
        for name, cell in zip(header, cells, strict=True):
            role = self._role(name)
            if len(cell) > CELL_CHARS_MAX:
                sizes = {"length": len(cell), "most": CELL_CHARS_MAX}
                message = Words("the cell has %(length)s characters; %(most)s are allowed.", **sizes)
                parts.problems.append(Problem(pointer([name]), message, SHORTEN_IT))
            elif role == "key":
                parts.key = cell.strip() if parts.key is None else parts.key
            elif cell == "":
                continue
            elif role == "meta":
                parts.meta[name] = cell
            elif role == "why":
                parts.gold_why = cell
            else:
                self._convert(parts, role, name, cell)
        return parts

    def _convert(self, parts: _Parts, role: str, name: str, cell: str) -> None:
        if role == "gold":
            field = self.fields[name.removeprefix(GOLD)]
            value, problem = coerced_gold(cell, field)
            parts.gold[field.name] = value
        else:
            value, problem = coerced(cell, self.columns.get(name, {}).get("type", "string"))
            parts.data[name] = value
        if problem:
            parts.problems.append(Problem(pointer([name]), *problem))

    def _from_line(self, line: int, text: str) -> Row | BadRow:
        try:
            value = load(text, bytes_max=ROW_BYTES_MAX)
        except Unreadable as unreadable:
            return _bad(line, _first_step(unreadable.problems[0].pointer), text.strip(), unreadable.problems)
        if not isinstance(value, dict):
            hint = Words('Write one object per line: {"text": "…"}')
            problem = Problem("", Words("the line holds no JSON object."), hint)
            return _bad(line, "", text.strip(), [problem])
        wrapped = isinstance(value.get("data"), dict) and "data" not in self.columns
        return self._made(self._from_wrapper(line, value) if wrapped else self._from_object(line, value))

    def _from_wrapper(self, line: int, value: dict[str, Any]) -> _Parts:
        problems = from_errors(validator("upload").iter_errors(value), noun="name")
        gold = value.get("gold", {})
        key = value.get("key")
        sound = not problems
        return _Parts(
            line,
            None if key is None else str(key),
            value["data"],
            value.get("meta", {}) if sound else {},
            gold if sound else {},
            problems,
            value.get(GOLD_WHY, ""),
        )

    def _from_object(self, line: int, value: dict[str, Any]) -> _Parts:
        parts = _Parts(line, None, {}, {}, {}, [])
        for name, one in value.items():
            role = self._role(name)
            problem = self._unknown(name)
            if problem:
                parts.problems.append(problem)
            elif role == "key" and isinstance(one, str | int) and not isinstance(one, bool):
                parts.key = str(one) if parts.key is None else parts.key
            elif role == "key":
                message = Words("the key is no text: %(value)s.", value=shortened(one))
                parts.problems.append(Problem(pointer([name]), message, Words("Write the key as a text.")))
            elif role == "gold":
                parts.gold[name.removeprefix(GOLD)] = one
            elif role == "why":
                parts.gold_why = one
            else:
                (parts.meta if role == "meta" else parts.data)[name] = one
        return parts

    def _made(self, parts: _Parts) -> Row | BadRow:
        """Check the parts together; the key is remembered also when the row is bad otherwise."""
        problems = parts.problems
        told = {problem.pointer for problem in problems}
        wrong = faults(parts.data) + (faults(parts.meta) if parts.meta else [])
        if not wrong:
            wrong = from_errors(self.row.iter_errors(parts.data), noun="column")
        problems += [one for one in wrong if one.pointer not in told]
        problems += self._wrong_images(parts.data)
        if parts.gold and not problems:
            under = pointer([GOLD[:-1]]) + "."
            found = self.answers.problems(parts.gold, parts.data, partial=True)
            problems += [
                Problem(under + one.pointer.removeprefix("/"), one.message, one.hint) for one in found
            ]
        problems += self._wrong_key(parts) + _wrong_why(parts.gold_why)
        if problems:
            field = _first_step(problems[0].pointer)
            return _bad(parts.line, field, self._value(parts, field), problems)
        return Row(parts.line, parts.key, parts.data, parts.meta, parts.gold or None, parts.gold_why)

    def _wrong_images(self, data: dict[str, Any]) -> list[Problem]:
        found = []
        for name in self.images:
            value = data.get(name)
            problem = wrong_picture(value, self.origins) if isinstance(value, str) else None
            if problem:
                found.append(Problem(pointer([name]), *problem))
        return found

    def _wrong_key(self, parts: _Parts) -> list[Problem]:
        if parts.key is None:
            return []
        place = pointer([self.key_name or "key"])
        if not parts.key or len(parts.key) > KEY_CHARS_MAX:
            message = Words("the key is empty or has more than %(most)s characters.", most=KEY_CHARS_MAX)
            hint = Words("Give each row its own short key, or leave the column out.")
            return [Problem(place, message, hint)]
        wrong = faults(parts.key)
        if wrong:
            return [Problem(place, wrong[0].message, wrong[0].hint)]
        first = self.seen.first_line(parts.key, parts.line)
        if first is None:
            return []
        said = {"key": shortened(parts.key), "line": first}
        message = Words("the key %(key)s stands in line %(line)s already.", **said)
        return [Problem(place, message, Words("Give each row its own key, or remove one of the two."))]

    def _value(self, parts: _Parts, field: str) -> Any:
        if field.startswith(GOLD):
            return parts.gold.get(field.removeprefix(GOLD), "")
        if field in {"key", self.key_name}:
            return parts.key or ""
        return parts.data.get(field, parts.meta.get(field, ""))


def _wrong_why(why: Any) -> list[Problem]:
    if isinstance(why, str) and len(why) <= WHY_CHARS_MAX:
        return list(faults(why))
    message = Words("the explanation is no text of at most %(most)s characters.", most=WHY_CHARS_MAX)
    return [Problem(pointer([GOLD_WHY]), message, SHORTEN_IT)]


def _first_step(place: str) -> str:
    return place[1:].split("/", 1)[0].replace("~1", "/").replace("~0", "~")


def _bad(line: int, field: str, value: Any, problems: list[Problem]) -> BadRow:
    first, more = problems[0], len(problems) - 1
    reason = first.message
    if more:
        reason = Words("%(first)s (and %(n)s more in this row)", first=reason, n=more)
    shown = _printable(value if isinstance(value, str) else str(value))
    return BadRow(
        line,
        _printable(field),
        shown if len(shown) <= 100 else shown[:99] + "…",
        reason.with_texts(_printable),
        first.hint.with_texts(_printable),
        tuple(problems),
    )


def _printable(text: str) -> str:
    return visible(text[:1_000])
