"""The physical lines of an uploaded file: UTF-8, one at a time, never more than one row's bytes in memory.

Another encoding stops the file with the place of the first byte that cannot be read: guessing would change people's
words. A line over the limit is passed over without being kept.
"""

import io
from typing import BinaryIO, Final

from schemas.registry import shipped
from schemas.words import Words

_LIMITS = shipped("upload")["$defs"]["limits"]["properties"]
FILE_BYTES_MAX: Final[int] = _LIMITS["file_bytes"]["const"]
"""Bytes of one file."""
ROWS_MAX: Final[int] = _LIMITS["rows"]["const"]
"""Rows of one file, good and bad."""
ROW_BYTES_MAX: Final[int] = _LIMITS["row_bytes"]["const"]
"""Bytes of one row."""
CELL_CHARS_MAX: Final[int] = _LIMITS["cell_chars"]["const"]
"""Characters of one cell."""
COLUMNS_MAX: Final[int] = _LIMITS["columns"]["const"]
"""Columns of one file."""
KEY_CHARS_MAX: Final[int] = _LIMITS["key_chars"]["const"]
"""Characters of a requester's own key."""

SPLIT_IT = Words("Split it into several files.")

_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class FileProblem(Exception):
    """The file as a whole cannot be used: what is wrong, where, and the remedy.

    It may come after rows have been given; whoever stores rows stores none of them then.
    """

    def __init__(self, message: Words, place: Words, remedy: Words) -> None:
        """Take three short texts; together they are the sentence that people read."""
        self.message = message
        self.place = place
        self.remedy = remedy
        said = {"place": place, "message": message, "remedy": remedy}
        self.words = Words("%(place)s: %(message)s %(remedy)s", **said)
        super().__init__(self.words)


class Lines:
    """Reads a binary stream line by line; `number` is the last line read, from 1."""

    def __init__(self, stream: BinaryIO) -> None:
        """Take a stream that is open for reading, at its beginning."""
        self._stream: io.BufferedIOBase | BinaryIO = (
            io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
        )
        self._bytes = 0
        self.number = 0

    def read(self) -> str | None:
        """Give the next line with its end, or None for one over ROW_BYTES_MAX. Raises EOFError, FileProblem."""
        piece = self._piece()
        if not piece:
            raise EOFError
        start = self._bytes - len(piece)
        self.number += 1
        if len(piece) > ROW_BYTES_MAX:
            while piece and not piece.endswith(b"\n"):
                piece = self._piece()
            return None
        if self.number == 1:
            _refuse_binary(piece)
            _refuse_wide(piece)
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(start + error.start + 1, self.number, piece[error.start]) from None
        return text.removeprefix("\ufeff") if self.number == 1 else text

    def _piece(self) -> bytes:
        piece = self._stream.readline(ROW_BYTES_MAX + 1)
        self._bytes += len(piece)
        if self._bytes > FILE_BYTES_MAX:
            message = Words("the file has more than %(most)s bytes.", most=FILE_BYTES_MAX)
            raise FileProblem(message, Words("byte %(byte)s", byte=FILE_BYTES_MAX + 1), SPLIT_IT)
        return piece


def _refuse_binary(first: bytes) -> None:
    """Refuse what is no text at all, by its first bytes."""
    for mark, kind, remedy in _BINARY:
        if first.startswith(mark):
            raise FileProblem(Words("the file is %(kind)s, not text.", kind=kind), _byte_in(1, 1), remedy)
    if b"\0" in first and not first.strip(b"\0\r\n"):
        raise FileProblem(Words("the file holds NUL bytes and no text."), _byte_in(1, 1), _RESAVE)


def _refuse_wide(first: bytes) -> None:
    """Refuse UTF-16 and UTF-32, with or without their mark."""
    if first.startswith(_WIDE_MARKS) or first[:4_000].count(0) * 4 > len(first[:4_000]):
        byte = 1 if first.startswith(_WIDE_MARKS) else first.index(0) + 1
        message = Words("the file is UTF-16 (“Unicode”), not UTF-8.")
        raise FileProblem(message, _byte_in(1, byte), _RESAVE)


def _not_utf8(byte: int, line: int, value: int) -> FileProblem:
    message = Words(
        "the byte %(value)s is not UTF-8; the file is probably Latin-1 or Windows-1252.",
        value=f"{value:#04x}",
    )
    return FileProblem(message, _byte_in(line, byte), _RESAVE)


def line_place(line: int) -> Words:
    """Name a line."""
    return Words("line %(line)s", line=line)


def _byte_in(line: int, byte: int) -> Words:
    return Words("byte %(byte)s, line %(line)s", byte=byte, line=line)


_RESAVE = Words("Save it again with the encoding UTF-8 (in Excel: “CSV UTF-8”).")
_UNPACK = Words("Unpack it first.")
_AS_CSV = Words("Save the sheet as “CSV UTF-8”.")
_PICTURE = Words("a picture")
_ADDRESSES = Words("Send rows that name pictures by their address.")
_BINARY = (
    (
        b"PK\x03\x04",
        Words("a zip archive or an Excel workbook"),
        Words("Unpack it, or save the sheet as “CSV UTF-8”."),
    ),
    (b"\xd0\xcf\x11\xe0", Words("an old Excel workbook"), _AS_CSV),
    (b"\x1f\x8b", Words("a file compressed with gzip"), _UNPACK),
    (b"%PDF", Words("a PDF"), Words("Send the rows themselves as CSV or JSON Lines.")),
    (b"\x89PNG", _PICTURE, _ADDRESSES),
    (b"\xff\xd8\xff", _PICTURE, _ADDRESSES),
)
