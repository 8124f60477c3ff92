"""A sent form as it comes in: its texts in memory, its files on disk, both within limits that hold all the while.

Only what a form may hold is kept: a file stands in a field for files, a text in any other, and what stands elsewhere is
passed over. Nothing outlives the request, however it ends.
"""

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import UploadFile
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from tasks.errors import FairlabelError, Invalid

MULTIPART: Final = "multipart/form-data"
FORM_TYPES: Final = {MULTIPART, "application/x-www-form-urlencoded"}
FILE_FIELDS: Final = {"file", "files"}
TEXT_BYTES_MAX: Final = 2 << 20
PARTS_MAX: Final = 1000


class TooLarge(FairlabelError):
    """This is too large; split it and send the parts."""

    status = 413


class WrongForm(Invalid):
    """This form cannot be read; go back, reload the page and send it again."""

    status = 400


class Form:
    """A form's texts and files by the name of their field, in the order in which they came."""

    def __init__(self) -> None:
        """Begin empty."""
        self.texts: dict[str, list[str]] = {}
        self.files: dict[str, list[UploadFile]] = {}
        self._text_bytes = 0

    @property
    def fields(self) -> dict[str, Any]:
        """Give a text as it is, several of one name as a list, and files always as a list."""
        texts = {name: values[0] if len(values) == 1 else values for name, values in self.texts.items()}
        return texts | self.files

    async def read(self, request: Request[Any, Any, Any]) -> None:
        """Read a request's body. Raises TooLarge or WrongForm."""
        kind, options = request.content_type
        try:
            if kind == MULTIPART:
                await self._read_parts(request.stream(), options.get("boundary", ""))
            else:
                await self._read_pairs(request.stream())
        except ParserLimitReached:
            raise TooLarge from None
        except MultipartError:
            raise WrongForm from None

    async def close(self) -> None:
        """Drop the files."""
        for files in self.files.values():
            for file in files:
                await file.close()

    async def _read_parts(self, body: AsyncIterator[bytes], boundary: str) -> None:
        text: bytearray | None = None
        file: UploadFile | None = None
        name = ""
        with PushMultipartParser(boundary, max_segment_count=PARTS_MAX) as parser:
            async for piece in body:
                for found in parser.parse(piece):
                    if isinstance(found, MultipartSegment):
                        name = found.name or ""
                        file = self._begun_file(found)
                        text = None if found.filename else bytearray()
                    elif found is None and text is not None:
                        self._add_text(name, text.decode(errors="replace"))
                    elif found and text is not None:
                        self._count_text(len(found))
                        text += found
                    elif found and file is not None:
                        await file.write(found)
        for sent in (one for files in self.files.values() for one in files):
            await sent.seek(0)

    async def _read_pairs(self, body: AsyncIterator[bytes]) -> None:
        sent = bytearray()
        async for piece in body:
            self._count_text(len(piece))
            sent += piece
        try:
            pairs = parse_qsl(sent.decode(errors="replace"), max_num_fields=PARTS_MAX)
        except ValueError:
            raise TooLarge from None
        for name, value in pairs:
            self._add_text(name, value)

    def _begun_file(self, part: MultipartSegment) -> UploadFile | None:
        if not part.filename or part.name not in FILE_FIELDS:
            return None
        file = UploadFile(content_type=part.content_type or "", filename=part.filename)
        self.files.setdefault(part.name, []).append(file)
        return file

    def _add_text(self, name: str, value: str) -> None:
        if name not in FILE_FIELDS:
            self.texts.setdefault(name, []).append(value)

    def _count_text(self, size: int) -> None:
        self._text_bytes += size
        if self._text_bytes > TEXT_BYTES_MAX:
            raise TooLarge(limit_bytes=TEXT_BYTES_MAX)
