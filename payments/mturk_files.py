"""Mechanical Turk result files, read as an outsider would.

A row is one assignment: a reward, when it was accepted and submitted, and whether it was rejected. Rows that cannot
be used are handed back with line, field and reason, and the others go on. Times are read strictly, because a time
misread by a zone is an hour of pay; a file in which no row can be trusted is refused as a whole.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, Final

from schemas.words import Words
from tasks.errors import Invalid

CURRENCY: Final = "USD"  # Mechanical Turk pays in dollars alone; its files say "$"
NEEDED: Final = ("AssignmentId", "WorkerId", "AssignmentStatus", "AcceptTime", "SubmitTime", "Reward")
STATUSES: Final = ("Approved", "Rejected", "Submitted")
LONGEST_LINE: Final = 4_000_000
LONGEST_FIELD: Final = 100  # of the columns needed; answers may be longer
PROBLEMS_KEPT: Final = 1000

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ZONES: Final = {"GMT": 0, "UTC": 0, "PST": -8, "PDT": -7}
NAMED: Final = re.compile(
    r"([A-Z][a-z]{2}) ([A-Z][a-z]{2}) (\d\d) (\d\d):(\d\d):(\d\d) ([A-Z]{3}) (\d{4})", re.ASCII
)
NUMERIC: Final = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII)
NO_TIME: Final = Words(
    "is %(value)s; expected a real time like 'Tue Jun 09 03:56:36 GMT 2009' or '2009/06/09 03:56:36 +0000'"
)
REWARD: Final = re.compile(r"\$(\d{1,9})(?:\.(\d{1,2}))?", re.ASCII)


class UnreadableFile(Invalid):
    """This is not a Mechanical Turk result file; export the batch's results as CSV and give that file."""


@dataclass(frozen=True)
class Assignment:
    """One worker's hold on one HIT, from its row; the reward in cents."""

    batch: str
    line: int
    id: str
    worker: str
    status: str
    accepted: datetime
    submitted: datetime
    reward: int
    reported_seconds: int | None
    """WorkTimeInSeconds if the row has a usable one; for comparison only."""

    @property
    def seconds(self) -> int:
        """From accept to submit."""
        return int((self.submitted - self.accepted).total_seconds())

    @property
    def paid(self) -> int:
        """The reward, or nothing if it was rejected."""
        return 0 if self.status == "Rejected" else self.reward

    @property
    def facts(self) -> tuple[object, ...]:
        """What two rows of one assignment must share to be the same row read twice."""
        return (self.worker, self.status, self.accepted, self.submitted, self.reward)


@dataclass(frozen=True)
class Problem:
    """A row that was not used, or a row that replaced another: where, and why."""

    file: str
    line: int
    field: str
    reason: Words


@dataclass
class FileRead:
    """What one file gave; `unusable` counts all rows handed back, `problems` keeps the first of them."""

    assignments: list[Assignment] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unusable: int = 0


class _BadField(Exception):
    def __init__(self, name: str, reason: Words) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason


def read(source: Path | IO[bytes], name: str) -> FileRead:
    """Read a result file in UTF-8. Raises UnreadableFile, naming it, where no row can be trusted."""
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return read(stream, name)
        except OSError as problem:
            message = Words("%(file)s cannot be opened: %(why)s.", file=name, why=problem.strerror)
            raise UnreadableFile(message, file=name) from None
    lines = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    rows = csv.reader(_bounded(lines, name), strict=True)
    try:
        return _read_rows(rows, name)
    except UnicodeDecodeError:
        message = Words("%(file)s is not UTF-8 text; save it as CSV in UTF-8.", file=name)
        raise UnreadableFile(message, file=name) from None
    except csv.Error:
        line = max(1, rows.line_num)
        message = Words(
            "%(file)s is not proper CSV near line %(line)s: its quotes do not fit.", file=name, line=line
        )
        raise UnreadableFile(message, file=name) from None
    finally:
        lines.detach()


def _bounded(lines: io.TextIOWrapper, name: str) -> Iterator[str]:
    while line := lines.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            message = Words(
                "%(file)s has a line longer than %(most)s characters.", file=name, most=LONGEST_LINE
            )
            raise UnreadableFile(message, file=name)
        yield line


def _read_rows(rows: Any, name: str) -> FileRead:
    header: list[str] = next(rows, [])
    missing = [column for column in NEEDED if header.count(column) != 1]
    if missing:
        message = Words(
            "%(file)s is not a Mechanical Turk result file: it needs the columns %(columns)s, each once.",
            file=name,
            columns=missing,
        )
        raise UnreadableFile(message, file=name)
    found, start = FileRead(), rows.line_num + 1
    for row in rows:
        line, start = start, rows.line_num + 1
        if not row:
            continue
        try:
            found.assignments.append(_assignment(_named(header, row), name, line))
        except _BadField as bad:
            found.unusable += 1
            if len(found.problems) < PROBLEMS_KEPT:
                found.problems.append(Problem(name, line, bad.name, bad.reason))
    return found


def _named(header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) > len(header):
        sizes = {"fields": len(row), "header": len(header)}
        raise _BadField("row", Words("has %(fields)s fields where the header has %(header)s", **sizes))
    return dict(zip(header, row, strict=False))  # a spreadsheet may drop empty cells at the end


def _assignment(row: dict[str, str], name: str, line: int) -> Assignment:
    for column in NEEDED:
        if not row.get(column, "").strip():
            raise _BadField(column, Words("is empty"))
        if len(row[column]) > LONGEST_FIELD or not row[column].isprintable():
            raise _BadField(column, Words("is too long or holds control characters"))
    status = row["AssignmentStatus"]
    if status not in STATUSES:
        said = {"value": repr(status[:40]), "known": list(STATUSES)}
        raise _BadField("AssignmentStatus", Words("is %(value)s; known are %(known)s", **said))
    accepted, submitted = (_time(row[column], column) for column in ("AcceptTime", "SubmitTime"))
    if submitted < accepted:
        raise _BadField("SubmitTime", Words("is before AcceptTime"))
    money = REWARD.fullmatch(row["Reward"].strip())
    if money is None:
        reason = Words("is %(value)s; expected like $1.50", value=repr(row["Reward"][:40]))
        raise _BadField("Reward", reason)
    reward = int(money[1]) * 100 + int((money[2] or "").ljust(2, "0"))
    reported = row.get("WorkTimeInSeconds", "")
    usable = re.fullmatch(r"\d{1,9}", reported, re.ASCII) is not None
    return Assignment(
        name,
        line,
        row["AssignmentId"].strip(),
        row["WorkerId"].strip(),
        status,
        accepted,
        submitted,
        reward,
        int(reported) if usable else None,
    )


def _time(value: str, column: str) -> datetime:
    """Read one of the two forms of time that the files hold; the weekday must be that of the date."""
    try:
        if named := NAMED.fullmatch(value):
            weekday, month, zone = named[1], named[2], timezone(timedelta(hours=ZONES[named[7]]))
            year, at, day = int(named[8]), MONTHS.index(month) + 1, int(named[3])
            moment = datetime(year, at, day, int(named[4]), int(named[5]), int(named[6]), tzinfo=zone)
            if DAYS[moment.weekday()] == weekday:
                return moment.astimezone(UTC)
        if numeric := NUMERIC.fullmatch(value):
            year, at, day, hour, minute, second = (int(part) for part in numeric.groups()[:6])
            offset = timedelta(hours=int(numeric[8]), minutes=int(numeric[9])) * (
                -1 if numeric[7] == "-" else 1
            )
            return datetime(year, at, day, hour, minute, second, tzinfo=timezone(offset)).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        pass
    raise _BadField(column, NO_TIME.filled(value=repr(value[:40])))
