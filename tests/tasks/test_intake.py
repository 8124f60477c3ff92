"""Files become items: once, in their order, also where keys are missing or two files come at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import UUID

import factories
import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from tasks import intake
from tasks.db import transaction
from tasks.intake import Upload, UploadState
from tasks.items import Item, Slot, SlotState


def received(session: Session, batch: Any, rows: list[dict[str, Any]], now: datetime) -> Upload:
    """Send a file."""
    file = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return intake.receive(session, batch, "rows.jsonl", [file], now)


def imported(session: Session, batch: Any, rows: list[dict[str, Any]], now: datetime) -> Upload:
    """Send a file and import it; gives the upload."""
    upload = received(session, batch, rows, now)
    intake.import_upload(session, upload.id, now, lambda _done, _of: None)
    return upload


def counts(upload: Upload) -> tuple[int, int, int]:
    """Good, known and bad rows."""
    return upload.rows_good, upload.rows_known, upload.rows_bad


def test_items_stand_in_the_order_of_the_file_each_with_its_slots(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now, items=0, answers_wanted=3)
    rows = [{"key": f"k{(7 * n) % 4_500}", "text": f"message {n}"} for n in range(4_500)]
    assert counts(imported(session, batch, rows, now)) == (4_500, 0, 0)
    items = session.execute(
        select(Item.key, Item.line, Item.data).where(Item.batch_id == batch.id).order_by(Item.id)
    )
    assert [tuple(one) for one in items] == [
        (row["key"], line, {"text": row["text"]}) for line, row in enumerate(rows, 1)
    ]
    slots = session.execute(select(Slot.item_id, Slot.copy, Slot.batch_id, Slot.state, Slot.order_key)).all()
    assert len({(item, copy) for item, copy, *_ in slots}) == len(slots) == 3 * 4_500
    assert {(batch_id, state) for _, _, batch_id, state, _ in slots} == {(batch.id, SlotState.WAITING)}
    assert len({order for *_, order in slots}) > 13_400
    assert all(0 <= order < 2**31 - 1 for *_, order in slots)


def test_a_key_that_is_known_is_passed_over_and_a_bad_row_says_where(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now, items=0)
    first = imported(session, batch, [{"key": "a", "text": "one"}, {"key": "b", "text": "two"}], now)
    assert counts(first) == (2, 0, 0)
    rows = [
        {"key": "b", "text": "other"},
        {"key": "c", "text": ""},
        {"key": "d", "text": "four"},
        {"text": "five"},
    ]
    again = imported(session, batch, rows, now)
    assert counts(again) == (2, 1, 1)
    (bad,) = intake.problems_of(session, [again.id])[again.id]
    assert (bad.line, bad.field, bad.reason) == (2, "text", "'text' is empty.")
    query = select(Item.key, Item.data).where(Item.batch_id == batch.id)
    found = {key: data for key, data in session.execute(query)}  # noqa: C416  a dict of rows has no type
    assert found["b"] == {"text": "two"}
    assert {data["text"] for data in found.values()} == {"one", "two", "four", "five"}


def test_what_is_stored_is_what_was_sent_and_no_gold_is_no_value(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now, items=0)
    said = 'a "quote", a \\, {braces}, 🙂, \u2028 and %(percent)s :name'
    wrapped = {
        "key": "w",
        "data": {"text": said},
        "gold": {"sentiment": "neutral"},
        "meta": {"a": [1, 2.5, None]},
    }
    imported(session, batch, [{"key": "p", "text": said}, wrapped], now)
    rows = session.execute(
        text("SELECT key, data, meta, gold FROM item WHERE batch_id = :id ORDER BY id"), {"id": batch.id}
    )
    assert [tuple(row) for row in rows] == [
        ("p", {"text": said}, {}, None),
        ("w", {"text": said}, {"a": [1, 2.5, None]}, {"sentiment": "neutral"}),
    ]


def test_running_an_import_again_changes_nothing(session: Session, now: datetime) -> None:
    batch = factories.batch(session, now, items=0)
    upload = imported(session, batch, [{"text": "one"}, {"text": "two"}], now)
    intake.import_upload(session, upload.id, now, lambda _done, _of: pytest.fail("it was read again"))
    assert session.scalar(select(func.count()).where(Item.batch_id == batch.id)) == 2


def test_two_files_with_the_same_keys_at_once_make_each_item_once(engine: Engine, now: datetime) -> None:
    rows = [{"key": f"k{n}", "text": f"message {n}"} for n in range(3_000)]
    wide = create_engine(engine.url)
    with transaction(wide) as session:
        batch = factories.batch(session, now, items=0, answers_wanted=2)
        uploads = [received(session, batch, some, now).id for some in (rows, rows)]

    def work(upload_id: UUID) -> None:
        with transaction(wide) as session:
            intake.import_upload(session, upload_id, now, lambda _done, _of: None)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, uploads))
    with transaction(wide) as session:
        ends = [session.get_one(Upload, upload_id) for upload_id in uploads]
        assert {one.state for one in ends} == {UploadState.IMPORTED}
        assert sum(one.rows_good for one in ends) == sum(one.rows_known for one in ends) == 3_000
        assert session.scalar(select(func.count()).where(Slot.batch_id == batch.id)) == 6_000
    wide.dispose()
