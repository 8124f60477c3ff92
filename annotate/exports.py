"""Exports of a batch: every raw answer beside the consensus, as JSON Lines or CSV, streamed.

Workers appear under a pseudonym of this batch, so that two requesters cannot put their knowledge together. Every
answer says its origin. Cells that a spreadsheet would run as a formula are quoted in CSV, never changed in JSON.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import access
from annotate.visit import Visit
from schemas.uploads import export_cell
from tasks.answers import Answer
from tasks.batches import Batch
from tasks.consensus import Consensus
from tasks.db import engine_for, transaction
from tasks.errors import Invalid
from tasks.items import Item
from tasks.projects import Definition

ITEMS_AT_ONCE = 500
LINES_AT_ONCE = 200
ITEM = (Item.id, Item.key, Item.data, Item.meta, Item.gold, Item.gold_void_at, Item.broken_at)
CONSENSUS = (Consensus.item_id, Consensus.state, Consensus.answers, Consensus.fields, Consensus.weighed)
ANSWER = (
    *(Answer.item_id, Answer.worker_id, Answer.value),
    *(Answer.origin, Answer.version, Answer.submitted_at),
)
JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
KINDS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class UnknownExport(Invalid):
    """Ask for jsonl or csv."""


class Exports(Controller):
    """Downloads for a batch's requester."""

    tags = ["exports"]

    @get("/batches/{batch_id:uuid}/export", sync_to_thread=True, include_in_schema=False)
    def export_page(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], kind: FromQuery[str] = "jsonl"
    ) -> Response[Any]:
        """Download from the batch's page."""
        return download(visit, batch_id, kind)

    @get("/api/v1/batches/{batch_id:uuid}/export", sync_to_thread=True)
    def export(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], kind: FromQuery[str] = "jsonl"
    ) -> Response[Any]:
        """Stream all items of a batch with their answers and consensus; `kind` is jsonl or csv."""
        return download(visit, batch_id, kind)


def download(visit: Visit, batch_id: UUID, kind: str) -> Response[Any]:
    """Stream a batch's export. Raises UnknownExport."""
    batch = access.batch_for(visit.session, visit.requester(), batch_id)
    if kind not in KINDS:
        raise UnknownExport
    engine = engine_for(visit.tasks.database_url, visit.tasks.database_pool)
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ")

    def lines() -> Iterator[bytes]:
        # A transaction of its own: the request's ends before the last line is sent.
        with transaction(snapshot) as session:
            yield from _joined((csv_lines if kind == "csv" else json_lines)(session, batch))

    headers = {"content-disposition": f'attachment; filename="batch-{batch.id}.{kind}"'}
    return Stream(lines(), media_type=KINDS[kind], headers=headers)


def entries(session: Session, batch: Batch) -> Iterator[dict[str, Any]]:
    """Give each item in the upload's order, with its consensus and all current answers."""
    after, names = 0, _Names(batch.id)
    while True:
        query = select(*ITEM).where(Item.batch_id == batch.id, Item.id > after).order_by(Item.id)
        items = session.execute(query.limit(ITEMS_AT_ONCE)).all()
        if not items:
            return
        first, after = items[0].id, items[-1].id
        of_these = select(*CONSENSUS).where(
            Consensus.item_id.between(first, after), Consensus.batch_id == batch.id
        )
        outcomes = {
            item_id: {"state": state, "answers": answers, "fields": fields, "weighed": weighed}
            for item_id, state, answers, fields, weighed in session.execute(of_these)
        }
        annotations: dict[int, list[dict[str, Any]]] = {item.id: [] for item in items}
        current = select(*ANSWER).where(
            Answer.item_id.between(first, after), Answer.batch_id == batch.id, Answer.is_current
        )
        for item_id, worker_id, value, origin, version, submitted_at in session.execute(
            current.order_by(Answer.id)
        ):
            told = {"worker": names[worker_id], "value": value, "origin": origin, "version": version}
            annotations[item_id].append({**told, "submitted_at": submitted_at.isoformat()})
        for item_id, key, data, meta, gold, void_at, broken_at in items:
            yield {
                "key": key,
                "data": data,
                "meta": meta,
                "gold": gold,
                "gold_void": void_at is not None,
                "broken": broken_at is not None,
                "consensus": outcomes.get(item_id),
                "annotations": annotations[item_id],
            }


def json_lines(session: Session, batch: Batch) -> Iterator[bytes]:
    """Write one JSON object per item."""
    for entry in entries(session, batch):
        yield JSON.encode(entry).encode() + b"\n"


def csv_lines(session: Session, batch: Batch) -> Iterator[bytes]:
    """Write one row per answer; an item without answers has one row with empty answer columns."""
    definition = session.get_one(Definition, batch.definition_id).parsed()
    fields = [field.name for field in definition.fields]
    columns = list(definition.data_schema.get("properties", {}))
    head = ["key", *columns, "state", *(f"consensus.{name}" for name in fields)]
    head += ["worker", "submitted_at", "version", "origin", *(f"answer.{name}" for name in fields)]
    yield _row(head)
    for entry in entries(session, batch):
        consensus = entry["consensus"] or {"state": "", "fields": {}}
        winners = [consensus["fields"].get(name, {}).get("winner") for name in fields]
        front = [entry["key"], *(entry["data"].get(name) for name in columns), consensus["state"], *winners]
        for answer in entry["annotations"] or [None]:
            if answer is None:
                yield _row([*front, *[""] * (4 + len(fields))])
                continue
            values = [answer["value"].get(name) for name in fields]
            back = [answer["worker"], answer["submitted_at"], answer["version"], answer["origin"]]
            yield _row([*front, *back, *values])


def pseudonym(batch_id: UUID, worker_id: UUID) -> str:
    """Name a worker for one batch only."""
    return "w-" + hashlib.sha256(batch_id.bytes + worker_id.bytes).hexdigest()[:10]


class _Names(dict[UUID, str]):
    """The pseudonyms of one batch's workers, each made once."""

    def __init__(self, batch_id: UUID) -> None:
        super().__init__()
        self.batch_id = batch_id

    def __missing__(self, worker_id: UUID) -> str:
        return self.setdefault(worker_id, pseudonym(self.batch_id, worker_id))


def _joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Put lines together: handing over each alone would cost more than making it."""
    while block := b"".join(islice(lines, LINES_AT_ONCE)):
        yield block


def _row(cells: list[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return export_cell(text)
