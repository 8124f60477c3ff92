"""Exports of a batch: every raw answer beside the consensus, as JSON Lines or CSV, streamed.

Workers appear under a pseudonym of this batch, so that two requesters cannot put their knowledge together. Every
answer says its origin. Cells that a spreadsheet would run as a formula are quoted in CSV, never changed in JSON.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
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

    def lines() -> Iterator[bytes]:
        # A transaction of its own: the request's ends before the last line is sent.
        with transaction(engine) as session:
            yield from (csv_lines if kind == "csv" else json_lines)(session, batch)

    headers = {"content-disposition": f'attachment; filename="batch-{batch.id}.{kind}"'}
    return Stream(lines(), media_type=KINDS[kind], headers=headers)


def entries(session: Session, batch: Batch) -> Iterator[dict[str, Any]]:
    """Give each item in the upload's order, with its consensus and all current answers."""
    after = 0
    while True:
        query = select(Item).where(Item.batch_id == batch.id, Item.id > after).order_by(Item.id)
        items = session.scalars(query.limit(ITEMS_AT_ONCE)).all()
        if not items:
            return
        ids = [item.id for item in items]
        after = ids[-1]
        found = {
            one.item_id: one for one in session.scalars(select(Consensus).where(Consensus.item_id.in_(ids)))
        }
        answers: dict[int, list[Answer]] = {item_id: [] for item_id in ids}
        query_answers = select(Answer).where(Answer.item_id.in_(ids), Answer.is_current).order_by(Answer.id)
        for answer in session.scalars(query_answers):
            answers[answer.item_id].append(answer)
        for item in items:
            yield _entry(item, found.get(item.id), answers[item.id])
        session.expunge_all()


def json_lines(session: Session, batch: Batch) -> Iterator[bytes]:
    """Write one JSON object per item."""
    for entry in entries(session, batch):
        yield json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


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


def _entry(item: Item, consensus: Consensus | None, answers: list[Answer]) -> dict[str, Any]:
    return {
        "key": item.key,
        "data": item.data,
        "meta": item.meta,
        "gold": item.gold,
        "broken": item.broken_at is not None,
        "consensus": None
        if consensus is None
        else {
            "state": consensus.state,
            "answers": consensus.answers,
            "fields": consensus.fields,
            "weighed": consensus.weighed,
        },
        "annotations": [
            {
                "worker": pseudonym(answer.batch_id, answer.worker_id),
                "value": answer.value,
                "origin": answer.origin,
                "version": answer.version,
                "submitted_at": answer.submitted_at.isoformat(),
            }
            for answer in answers
        ],
    }


def _row(cells: list[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return export_cell(text)
