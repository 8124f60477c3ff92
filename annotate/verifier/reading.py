"""Opening a bundle: a zip with known names only, each file exactly as the manifest names it.

Nothing is unpacked to disk and no name in the zip is ever used as a path. Sizes are checked before and while
reading, so a small file cannot grow without end. Lines are handed out one at a time.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Self

from . import fields
from .report import SIGNATURE, Report, Unreadable

LINE_MAX = 8 * 1024 * 1024
PART = SMALL_MAX = 1024 * 1024
FILE_MAX = 16 * 1024**3
RATIO_MAX = 400
SMALL = ("manifest.json", "manifest.sig", "checkpoint")
NAMES = (*SMALL, *fields.FILES)

Progress = Callable[[str, int, int], None]


class Bundle:
    """An opened bundle; closing it is the caller's duty (use `with`)."""

    def __init__(self, path: Path | IO[bytes], report: Report, progress: Progress | None = None) -> None:
        """Open the zip and read the manifest. Raises Unreadable."""
        self.report = report
        self.progress = progress
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise Unreadable("bundle", f"not a zip file that can be opened: {error}") from None
        self._check_names()
        self.manifest_bytes = self.small("manifest.json")
        self.manifest: dict[str, Any] = fields.read(self.manifest_bytes, fields.MANIFEST, "manifest.json")
        if (self.manifest["format"], self.manifest["version"]) != (fields.FORMAT, fields.VERSION):
            raise Unreadable("manifest.json", "another format or version; take a verifier of that version")
        self._check_files()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    def small(self, name: str) -> bytes:
        """Read one of the small files whole."""
        try:
            with self.zip.open(name) as file:
                content = file.read(SMALL_MAX + 1)
        except (*_BROKEN, KeyError) as error:
            raise Unreadable(name, f"cannot be read: {error}") from None
        if len(content) > SMALL_MAX:
            raise Unreadable(name, "too large")
        return content

    def rows(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the objects of a file, each with its place."""
        counted, of = 0, self.files[name]["rows"]
        try:
            with self.zip.open(name) as file:
                while line := file.readline(LINE_MAX + 1):
                    counted += 1
                    place = f"{name}:{counted}"
                    if self.progress is not None and counted % 1000 == 0:
                        self.progress(name, counted, of)
                    if len(line) > LINE_MAX or not line.endswith(b"\n"):
                        raise Unreadable(place, "the line is too long or does not end")
                    yield place, fields.read(line[:-1], fields.FILES[name], place)
        except _BROKEN as error:
            raise Unreadable(f"{name}:{counted + 1}", f"cannot be read: {error}") from None
        if self.progress is not None:
            self.progress(name, counted, of)

    def check_hashes(self) -> None:
        """Compare every file with what the manifest says of it, before anything in it is believed."""
        check = self.report.check("every file is the one that was signed", SIGNATURE)
        for name, said in self.files.items():
            counted, size, summed = 0, 0, sha256()
            try:
                with self.zip.open(name) as file:
                    while part := file.read(PART):
                        counted += part.count(b"\n")
                        size += len(part)
                        summed.update(part)
            except _BROKEN as error:
                raise Unreadable(name, f"cannot be read: {error}") from None
            check.expect(name, "sha256", summed.hexdigest(), said["sha256"])
            check.expect(name, "the number of lines", counted, said["rows"])
            check.expect(name, "the number of bytes", size, said["bytes"])

    def _check_names(self) -> None:
        infos = self.zip.infolist()
        names = [one.filename for one in infos]
        for one in infos:
            name = one.filename[:80]
            if one.filename not in NAMES:
                raise Unreadable(repr(name), "a bundle has no such file")
            if names.count(one.filename) > 1:
                raise Unreadable(name, "stands twice in the zip")
            if one.flag_bits & 1 or one.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise Unreadable(name, "is encrypted or packed in an unknown way")
            if one.file_size > min(FILE_MAX, SMALL_MAX + RATIO_MAX * one.compress_size):
                raise Unreadable(name, f"would unpack to {one.file_size} bytes")
        missing = [name for name in NAMES if name not in names]
        if missing:
            raise Unreadable(missing[0], "is missing")

    def _check_files(self) -> None:
        self.files = {one["name"]: one for one in self.manifest["files"]}
        if list(self.files) != list(fields.FILES) or len(self.files) != len(self.manifest["files"]):
            raise Unreadable(
                "manifest.json", "does not name exactly the files of this version, in their order"
            )


_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, ValueError, RuntimeError)
