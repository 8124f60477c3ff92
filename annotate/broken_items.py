"""Broken items: what workers could not use and say why; the requester mends it and puts it back, or drops it.

While it waits nobody is offered it. All time on it is paid, and whoever reported it is not named.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from annotate import access
from annotate.visit import Visit
from payments import funding
from tasks import assignments, items
from tasks.batches import Batch, BatchClosed, BatchState
from tasks.items import Item


@dataclass(frozen=True)
class Broken:
    """A broken item as the requester sees it: how often it was reported, and what workers wrote."""

    item: Item
    reports: int
    notes: list[str]


class BrokenPages(Controller):
    """What is done with a broken item from the batch's page."""

    path = "/batches/{batch_id:uuid}/items/{item_id:int}"
    include_in_schema = False

    @post("/put-back", sync_to_thread=True)
    def put_back(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> Response[Any]:
        """Offer a mended item again."""
        put_back(visit, batch_id, item_id)
        return Redirect(f"/batches/{batch_id}#broken", status_code=303)

    @post("/drop", sync_to_thread=True)
    def drop(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> Response[Any]:
        """Leave an item out for good."""
        drop(visit, batch_id, item_id)
        return Redirect(f"/batches/{batch_id}#broken", status_code=303)


class BrokenApi(Controller):
    """Broken items for programs."""

    path = "/api/v1/batches/{batch_id:uuid}"
    tags = ["batches"]

    @get("/broken", sync_to_thread=True)
    def broken(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> list[dict[str, Any]]:
        """List the items that workers call broken and that wait for you, the earliest reported first."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        return [
            {
                "item_id": one.item.id,
                "key": one.item.key,
                "broken_at": one.item.broken_at,
                "reports": one.reports,
                "notes": one.notes,
            }
            for one in listed(visit, batch)
        ]

    @post("/items/{item_id:int}/put-back", sync_to_thread=True, status_code=200)
    def put_back(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> dict[str, bool]:
        """Offer an item again that you have mended where it points to; its slots open as far as the reserve goes."""
        put_back(visit, batch_id, item_id)
        return {"put_back": True}

    @post("/items/{item_id:int}/drop", sync_to_thread=True, status_code=200)
    def drop(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> dict[str, bool]:
        """Leave an item out for good; what was answered is kept and paid."""
        drop(visit, batch_id, item_id)
        return {"dropped": True}


def listed(visit: Visit, batch: Batch) -> list[Broken]:
    """Give the broken items that wait for the requester."""
    found = items.broken_items(visit.session, batch.id)
    reports = assignments.broken_reports(visit.session, found)
    return [
        Broken(item, len(reports[item.id]), list(Counter(one.note for one in reports[item.id] if one.note)))
        for item in found
    ]


def put_back(visit: Visit, batch_id: UUID, item_id: int) -> None:
    """Offer an item again. Raises UnknownBatch, UnknownItem, BatchClosed, NotBroken."""
    viewer = visit.requester()
    batch = access.batch_for(visit.session, viewer, batch_id)
    item = access.item_for(visit.session, viewer, batch, item_id)
    if batch.state == BatchState.CLOSED:
        raise BatchClosed
    items.put_back(visit.session, item)
    funding.open_waiting(visit.session, batch, visit.now)


def drop(visit: Visit, batch_id: UUID, item_id: int) -> None:
    """Leave an item out. Raises UnknownBatch, UnknownItem, NotBroken."""
    viewer = visit.requester()
    batch = access.batch_for(visit.session, viewer, batch_id)
    items.drop(visit.session, access.item_for(visit.session, viewer, batch, item_id), visit.now)
