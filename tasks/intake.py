"""An upload becomes items and slots; bad rows come back with line, field and reason.

The file is kept in the database in pieces until it is imported, so that any worker process can read it and nothing
depends on a shared disk. The import is one transaction: all good rows or, if it is interrupted, none; running it
again changes nothing. Bad rows never stop good ones.
"""

import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.problems import HIDDEN, visible
from schemas.uploads import FILE_BYTES_MAX, BadRow, FileProblem, Row, rows
from schemas.words import NOTHING, Words
from tasks.append_only import attach
from tasks.batches import Batch, BatchKind, BatchNotDraft, BatchState
from tasks.db import Base, new_id
from tasks.errors import Invalid, NotFound
from tasks.items import Item, add_items, mix_gold
from tasks.projects import Definition
from tasks.queue import enqueue

PIECE_BYTES = 1 << 20
ROWS_AT_ONCE = 2_000
BYTES_AT_ONCE = 4 << 20
PROBLEMS_KEPT = 10_000


class UnknownUpload(NotFound):
    """There is no such upload, or it is not yours."""


class UnknownFileKind(Invalid):
    """Send a .csv or a .jsonl file; unpack an archive first, and save a workbook as “CSV UTF-8”."""


class FileTooLarge(Invalid):
    """The file is too large; split it and upload the parts."""

    status = 413


class UploadState(StrEnum):
    """Where an upload stands."""

    RECEIVED = "received"
    IMPORTED = "imported"
    FAILED = "failed"


class Upload(Base):
    """A file that a requester sent for a batch."""

    __tablename__ = "upload"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), index=True)
    file_name: Mapped[str]
    kind: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    state: Mapped[str]
    rows_good: Mapped[int] = mapped_column(default=0)
    rows_known: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    message: Mapped[Words] = mapped_column(default=NOTHING)
    received_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class UploadPiece(Base):
    """A piece of an upload's bytes, until the import has read them."""

    __tablename__ = "upload_piece"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("upload.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]


# Uncompressed: pieces live for minutes, and packing them would cost more than all the rest of receiving.
attach(UploadPiece.__table__, ("ALTER TABLE upload_piece ALTER COLUMN content SET STORAGE EXTERNAL",))


class UploadProblem(Base):
    """One bad row: where, what and why."""

    __tablename__ = "upload_problem"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    upload_id: Mapped[UUID] = mapped_column(ForeignKey("upload.id"), index=True)
    line: Mapped[int]
    field: Mapped[str]
    value: Mapped[str]
    reason: Mapped[Words]
    hint: Mapped[Words]


def receive(
    session: Session, batch: Batch, file_name: str, content: Iterable[bytes], now: datetime
) -> Upload:
    """Keep a file, piece by piece, and ask for its import.

    Raises BatchNotDraft, UnknownFileKind, or FileTooLarge as soon as the limit is passed.
    """
    if batch.state != BatchState.DRAFT:
        raise BatchNotDraft
    upload = Upload(
        batch_id=batch.id,
        file_name=HIDDEN.sub("", PurePath(file_name.replace("\\", "/")).name)[-200:],
        kind=kind_of(file_name),
        bytes=0,
        sha256="",
        state=UploadState.RECEIVED,
        rows_good=0,
        rows_known=0,
        rows_bad=0,
        message=NOTHING,
        received_at=now,
    )
    session.add(upload)
    session.flush()
    hashed = hashlib.sha256()
    for number, piece in enumerate(_pieces(content)):
        upload.bytes += len(piece)
        if upload.bytes > FILE_BYTES_MAX:
            raise FileTooLarge(limit_bytes=FILE_BYTES_MAX)
        hashed.update(piece)
        session.execute(insert(UploadPiece).values(upload_id=upload.id, number=number, content=piece))
    upload.sha256 = hashed.hexdigest()
    session.flush()
    enqueue(session, "tasks.import_upload", str(upload.id))
    return upload


def import_upload(
    session: Session,
    upload_id: UUID,
    now: datetime,
    report: Callable[[int, int], None],
    origins: Sequence[str] = (),
) -> None:
    """Turn a received file into items; a file that cannot be read at all fails with place and remedy.

    `origins` are the other sites whose pictures pages may show.
    """
    upload = session.scalar(
        select(Upload)
        .where(Upload.id == upload_id)
        .with_for_update(skip_locked=True)  # another worker is at it: then this message has nothing to do
        .execution_options(populate_existing=True)
    )
    if upload is None or upload.state != UploadState.RECEIVED:
        return
    batch = session.get_one(Batch, upload.batch_id)
    definition = session.get_one(Definition, batch.definition_id).parsed()
    stream = _Pieces(session, upload.id)
    try:
        with session.begin_nested():
            _import_rows(
                session,
                upload,
                batch,
                rows(io.BufferedReader(stream), upload.kind, definition, origins),
                stream,
                report,
            )
            if batch.kind == BatchKind.WORK:
                mix_gold(session, batch.id)
            upload.state = UploadState.IMPORTED
    except FileProblem as problem:
        upload.state = UploadState.FAILED
        upload.rows_good = upload.rows_known = upload.rows_bad = 0
        upload.message = problem.words.with_texts(visible)
    upload.ended_at = now
    session.execute(delete(UploadPiece).where(UploadPiece.upload_id == upload.id))
    session.flush()


def uploads_of(session: Session, batches: Collection[UUID]) -> dict[UUID, list[Upload]]:
    """Give the uploads of each batch, the newest first."""
    found: dict[UUID, list[Upload]] = {batch: [] for batch in batches}
    query = select(Upload).where(Upload.batch_id.in_(batches)).order_by(Upload.id.desc())
    for upload in session.scalars(query):
        found[upload.batch_id].append(upload)
    return found


def problems_of(
    session: Session, uploads: Collection[UUID], limit: int = PROBLEMS_KEPT
) -> dict[UUID, list[UploadProblem]]:
    """Give the first bad rows of each upload, in the file's order."""
    found: dict[UUID, list[UploadProblem]] = {upload: [] for upload in uploads}
    place = func.row_number().over(partition_by=UploadProblem.upload_id, order_by=UploadProblem.id)
    numbered = (
        select(UploadProblem.id, place.label("place")).where(UploadProblem.upload_id.in_(uploads)).subquery()
    )
    query = select(UploadProblem).join(numbered, numbered.c.id == UploadProblem.id)
    for problem in session.scalars(query.where(numbered.c.place <= limit).order_by(UploadProblem.id)):
        found[problem.upload_id].append(problem)
    return found


def waiting_uploads(session: Session) -> list[UUID]:
    """Find uploads whose import was lost or not started."""
    return list(session.scalars(select(Upload.id).where(Upload.state == UploadState.RECEIVED)))


def kind_of(file_name: str) -> str:
    """Tell a file's kind by its name. Raises UnknownFileKind."""
    for kind, endings in (("csv", (".csv", ".tsv")), ("jsonl", (".jsonl", ".ndjson"))):
        if file_name.lower().endswith(endings):
            return kind
    raise UnknownFileKind


def _import_rows(
    session: Session,
    upload: Upload,
    batch: Batch,
    read: Iterable[Row | BadRow],
    stream: "_Pieces",
    report: Callable[[int, int], None],
) -> None:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    first = (session.scalar(select(func.count()).where(Item.batch_id == batch.id)) or 0) + 1
    stored = 0

    def store() -> None:
        new = add_items(
            session, batch.id, good, batch.answers_wanted, gold_apart=batch.kind == BatchKind.WORK
        )
        upload.rows_good += new
        upload.rows_known += len(good) - new
        if bad:
            session.execute(insert(UploadProblem), bad[: max(0, PROBLEMS_KEPT - upload.rows_bad)] or [])
        upload.rows_bad += len(bad)
        good.clear()
        bad.clear()
        report(stream.read_bytes, upload.bytes)

    for row in read:
        if isinstance(row, BadRow):
            bad.append(
                {
                    "upload_id": upload.id,
                    "line": row.line,
                    "field": row.field,
                    "value": row.value,
                    "reason": row.reason,
                    "hint": row.hint,
                }
            )
        else:
            key = (
                row.key
                if row.key is not None
                else str(first + len(good) + upload.rows_good + upload.rows_known)
            )
            item = {"key": key, "line": row.line, "data": row.data, "meta": row.meta, "gold": row.gold}
            good.append(item | {"gold_why": row.gold_why})
        if len(good) + len(bad) >= ROWS_AT_ONCE or stream.read_bytes - stored > BYTES_AT_ONCE:
            store()
            stored = stream.read_bytes
    store()


def _pieces(content: Iterable[bytes]) -> Iterable[bytes]:
    held = bytearray()
    for part in content:
        held += part
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    if held:
        yield bytes(held)


class _Pieces(io.RawIOBase):
    """An upload's pieces as one stream; one piece is in memory at a time."""

    def __init__(self, session: Session, upload_id: UUID) -> None:
        self.session = session
        self.upload_id = upload_id
        self.number = 0
        self.rest = memoryview(b"")
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            found = self.session.scalar(
                select(UploadPiece.content).where(
                    UploadPiece.upload_id == self.upload_id, UploadPiece.number == self.number
                )
            )
            if found is None:
                return 0
            self.rest = memoryview(found)
            self.number += 1
        size = min(len(buffer), len(self.rest))
        buffer[:size] = self.rest[:size]
        self.rest = self.rest[size:]
        self.read_bytes += size
        return size
