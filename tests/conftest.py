"""Real PostgreSQL for the tests: one database per test process, one rolled-back transaction per test."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session

import annotate.tables  # noqa: F401  loads every table
from tasks.db import Base, driver_url


@pytest.fixture(scope="session")
def server_url() -> str:
    """Where a PostgreSQL server takes us in."""
    return os.environ.get("TEST_SERVER_URL", "postgresql://root@127.0.0.1:5432/postgres")


def make_database(server_url: str, name: str) -> str:
    """Create an empty database of that name and give its URL."""
    server = create_engine(driver_url(server_url), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    server.dispose()
    return server_url.rsplit("/", 1)[0] + "/" + name


@pytest.fixture(scope="session")
def engine(server_url: str) -> Iterator[Engine]:
    """The test process's own database with all tables."""
    name = f"fairlabel_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    made = create_engine(driver_url(make_database(server_url, name)))
    Base.metadata.create_all(made)
    yield made
    made.dispose()
    server = create_engine(driver_url(server_url), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that is rolled back after the test."""
    with engine.connect() as made:
        outer = made.begin()
        yield made
        outer.rollback()


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    """A session inside the test's transaction; its commits are savepoints."""
    with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as made:
        yield made


@pytest.fixture
def now() -> datetime:
    """A fixed moment: Monday 16 November 2026, 09:00 in Nairobi."""
    return datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
