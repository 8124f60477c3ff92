"""Databases to measure on: empty, or with one open batch and people who work on it."""

import os
from datetime import UTC, datetime
from uuid import UUID

import factories
from sqlalchemy import Engine, create_engine, text

import annotate.tables  # noqa: F401  all tables are made
from payments import funding, terms
from tasks.batches import Batch
from tasks.db import Base, driver_url, transaction

SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
ANSWER = {"sentiment": "positive"}


def database(server: str, name: str) -> Engine:
    """Make a database with all tables."""
    admin = create_engine(driver_url(server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    admin.dispose()
    engine = create_engine(driver_url(server.replace("/postgres?", f"/{name}?")), pool_size=12)
    Base.metadata.create_all(engine)
    return engine


def prepared(server: str, name: str, items: int, copies: int = 3) -> tuple[Engine, Batch, list[UUID]]:
    """Make a database with one open, funded batch and workers."""
    engine = database(server, name)
    now = datetime.now(UTC)
    with transaction(engine) as session:
        factories.floors(session, now)
        workers = [factories.worker(session, now).id for _ in range(16)]
        batch = factories.batch(session, now, items=items, answers_wanted=copies)
        terms.set_terms(
            session, batch, currency="KES", pay_mode="piece", piece_price="3", estimate_seconds=30, now=now
        )
        requester = session.scalars(text("SELECT requester_id FROM project")).one()
        funding.prefund(session, requester, 10**13, "KES", "bench", actor="bench", now=now)
        funding.reserve_and_open(session, batch, now, "bench")
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    return engine, batch, workers
