"""Records of a CSV file: quoted line breaks work, each record knows its first physical line, memory is bounded.

A record that cannot be read is told, and reading goes on with the line after its first: one stray quote costs one
row, never the rest of the file.
"""

import csv
from collections import deque
from collections.abc import Iterator

from schemas.lines import CELL_CHARS_MAX, ROW_BYTES_MAX, FileProblem, Lines
from schemas.problems import Problem

REREAD_CHARS_MAX = 256 * 1024 * 1024
"""Characters that are read again after stray quotes, in all; one quote costs up to a row's bytes."""

_CLOSE_IT = "Close the quote, and write a quote within a cell twice."


class _Overlong(Exception):
    """The record has grown beyond its limit."""


class CsvRecords:
    """Gives (line, cells), or (line, problem), record by record; blank records are passed over."""

    def __init__(self, lines: Lines) -> None:
        """Take the lines and find the delimiter in the first of them."""
        self._lines = lines
        self._back: deque[str | None] = deque()
        self._taken: list[str | None] = []
        self._size = 0
        self._line = 0
        self._reread = 0
        self.delimiter = self._sniffed()

    def __iter__(self) -> Iterator[tuple[int, list[str] | Problem]]:
        """Read until the end. Raises FileProblem."""
        reader = csv.reader(_Source(self), delimiter=self.delimiter, strict=True)
        while True:
            self._taken, self._size = [], 0
            first = self._line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _Overlong) as error:
                yield first, self._problem(error)
                self._recover()
                continue
            if any(cells):
                yield first, cells

    def next_line(self) -> str:
        """Give the reader its next line. Raises StopIteration at the end."""
        try:
            text = self._back.popleft() if self._back else self._lines.read()
        except EOFError:
            raise StopIteration from None
        self._line += 1
        self._taken.append(text)
        self._size += ROW_BYTES_MAX + 1 if text is None else len(text)
        if self._size > ROW_BYTES_MAX:
            raise _Overlong
        return text or ""

    def _recover(self) -> None:
        """Put back all lines of the failed record but the first."""
        if len(self._taken) < 2:
            return
        self._reread += self._size
        if self._reread > REREAD_CHARS_MAX:
            message = "too many rows have quotes that do not fit together."
            raise FileProblem(message, f"line {self._line:,}", _CLOSE_IT)
        self._back.extendleft(reversed(self._taken[1:]))
        self._line -= len(self._taken) - 1

    def _problem(self, error: Exception) -> Problem:
        if len(self._taken) > 1 or "unexpected end" in str(error):
            return Problem("", "a quote that opens in this row is not closed.", _CLOSE_IT)
        if isinstance(error, _Overlong):
            return Problem("", f"the row has more than {ROW_BYTES_MAX:,} bytes.", "Shorten it.")
        if "field larger" in str(error):
            return Problem("", f"a cell has more than {CELL_CHARS_MAX:,} characters.", "Shorten it.")
        if "new-line" in str(error):
            return Problem("", "a carriage return stands outside quotes.", "Put the cell in quotes.")
        return Problem("", f"a quote is followed by something else than '{self.delimiter}'.", _CLOSE_IT)

    def _sniffed(self) -> str:
        try:
            first = self._lines.read()
        except EOFError:
            raise FileProblem(
                "the file is empty.", "line 1", "Send a header line and one line per item."
            ) from None
        self._back.append(first)
        header = (first or "").rstrip("\r\n")
        if "\r" in header:
            message = "the lines end with a carriage return alone."
            raise FileProblem(message, "line 1", "Save it again with the line ends of Windows or Unix.")
        outside = "".join(header.split('"')[::2])
        return max(",;\t", key=outside.count)


class _Source:
    """The lines of the records as the iterator that the csv module wants; it may go on after an error."""

    def __init__(self, records: CsvRecords) -> None:
        self._records = records

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        return self._records.next_line()
