"""Claiming in large batches: how long one claim takes, whatever the batch holds and the worker has done."""

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import UUID

from bench.databases import prepared
from sqlalchemy import Engine, text

from tasks import assignments, claims, permits
from tasks.assignments import Assignment
from tasks.db import transaction

SMALL, LARGE = 10_000, 1_000_000
ANSWERED = 50_000
CLAIMS = 400
FILL = text("""
    WITH made AS (
        INSERT INTO item (batch_id, key, line, data, meta)
        SELECT :batch, 'g' || n, n, jsonb_build_object('text', 'message ' || n), '{}' FROM generate_series(1, :items) n
        RETURNING id
    )
    INSERT INTO slot (item_id, batch_id, copy, state, order_key)
    SELECT id, :batch, 1, 'open', floor(random() * 2147483647) FROM made
""")
ANSWER = text("""
    WITH taken AS (
        UPDATE slot SET state = 'answered'
        WHERE id IN (SELECT id FROM slot WHERE batch_id = :batch AND state = 'open' LIMIT :answered)
        RETURNING id, item_id
    )
    INSERT INTO assignment (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until)
    SELECT gen_random_uuid(), id, item_id, :batch, :worker, 'submitted', false, '', now(), now() FROM taken
""")


def claim_times(server: str) -> dict[str, float]:
    """Give the median milliseconds of a claim by case; the cases take turns."""
    now = datetime.now(UTC)
    cases: dict[str, tuple[Engine, UUID, UUID]] = {}
    for items in (SMALL, LARGE):
        engine, batch, workers = prepared(server, f"claims_{items}", 1, copies=1)
        with transaction(engine) as session:
            session.execute(FILL, {"batch": batch.id, "items": items})
            if items == LARGE:
                session.execute(ANSWER, {"batch": batch.id, "worker": workers[1], "answered": ANSWERED})
            for worker in workers:
                permits.grant(session, worker, batch.id, now, now + timedelta(days=1))
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
        cases[f"{items:,} items"] = engine, batch.id, workers[0]
        if items == LARGE:
            cases[f"a worker with {ANSWERED:,} answers"] = engine, batch.id, workers[1]
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(CLAIMS):
        for name, (engine, batch_id, worker) in cases.items():
            with transaction(engine) as session:
                session.connection()
                began = time.perf_counter()
                (held,) = claims.claim(session, batch_id, worker, now).items
                times[name].append(1000 * (time.perf_counter() - began))
                assignments.give_back(session, session.get_one(Assignment, held.id), now)
    return {name: median(found) for name, found in times.items()}
