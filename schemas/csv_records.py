"""Records of a CSV file: quoted line breaks work, each record knows its first physical line, memory is bounded.

A record that cannot be read is told, and reading goes on with the line after its first: one stray quote costs one
row, never the rest of the file.
"""

import csv
from collections import deque
from collections.abc import Iterator

from schemas.lines import CELL_CHARS_MAX, ROW_BYTES_MAX, FileProblem, Lines, line_place
from schemas.problems import Problem
from schemas.words import Words

REREAD_CHARS_MAX = 256 * 1024 * 1024
"""Characters that are read again after stray quotes, in all; one quote costs up to a row's bytes."""

SHORTEN_IT = Words("Shorten it.")
_CLOSE_IT = Words("Close the quote, and write a quote within a cell twice.")


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
            message = Words("too many rows have quotes that do not fit together.")
            raise FileProblem(message, line_place(self._line), _CLOSE_IT)
        self._back.extendleft(reversed(self._taken[1:]))
        self._line -= len(self._taken) - 1

    def _problem(self, error: Exception) -> Problem:
        if len(self._taken) > 1 or "unexpected end" in str(error):
            return Problem("", Words("a quote that opens in this row is not closed."), _CLOSE_IT)
        if isinstance(error, _Overlong):
            return Problem("", Words("the row has more than %(most)s bytes.", most=ROW_BYTES_MAX), SHORTEN_IT)
        if "field larger" in str(error):
            message = Words("a cell has more than %(most)s characters.", most=CELL_CHARS_MAX)
            return Problem("", message, SHORTEN_IT)
        if "new-line" in str(error):
            message = Words("a carriage return stands outside quotes.")
            return Problem("", message, Words("Put the cell in quotes."))
        message = Words(
            "a quote is followed by something else than '%(delimiter)s'.", delimiter=self.delimiter
        )
        return Problem("", message, _CLOSE_IT)

    def _sniffed(self) -> str:
        try:
            first = self._lines.read()
        except EOFError:
            remedy = Words("Send a header line and one line per item.")
            raise FileProblem(Words("the file is empty."), line_place(1), remedy) from None
        self._back.append(first)
        header = (first or "").rstrip("\r\n")
        if "\r" in header:
            message = Words("the lines end with a carriage return alone.")
            remedy = Words("Save it again with the line ends of Windows or Unix.")
            raise FileProblem(message, line_place(1), remedy)
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
