"""The one database: table base, names of constraints, ids, engine and the one transaction of a request or job.

Nothing in the packages commits; `transaction()` does, at the edge. What a session has to do after its commit (send
a job) is kept with the session and dropped on rollback.
"""

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from sqlalchemy import DateTime, Engine, MetaData, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from schemas.words import Words, put_together, taken_apart


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware on the way in (naive is refused), UTC on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)


class KeptWords(TypeDecorator[Words]):
    """Words with their values, so that whoever reads them later hears them in their own language."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Words | None, dialect: Any) -> dict[str, Any] | None:  # noqa: ARG002
        return None if value is None else taken_apart(value)

    def process_result_value(self, value: dict[str, Any] | None, dialect: Any) -> Words | None:  # noqa: ARG002
        return None if value is None else put_together(value)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime,
        Words: KeptWords,
        dict[str, Any]: JSONB,
        list[str]: JSONB,
        list[Any]: JSONB,
    }


def new_id() -> UUID:
    """Make a time-ordered id (UUID version 7, RFC 9562 section 5.7), so that indexes grow at their end.

    The 12 bits after the version hold the fraction of the millisecond (section 6.2, method 3): what one
    request makes one after the other also sorts in that order.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=(milliseconds << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | random)


def driver_url(url: str) -> str:
    """Name the driver in a PostgreSQL URL."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


@cache
def engine_for(url: str, pool: int = 8, statement_seconds: int = 0) -> Engine:
    """Give the process's engine for a URL; connects lazily. Statements that take longer are ended; 0 is no limit."""
    options = f"-c timezone=utc -c statement_timeout={statement_seconds}s"
    engine = create_engine(
        driver_url(url),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=20,
        json_deserializer=msgspec.json.decode,
        connect_args={"options": options, "application_name": "fairlabel"},
    )
    event.listen(engine, "checkout", _refuse_closed)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Run one request or job as one transaction: commit at the end, roll back on any error.

    Objects stay readable after the commit.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def rows(session: Session, statement: str, /, **values: Any) -> list[Any]:
    """Run hand-written SQL in the session's transaction, straight on the driver; gives named tuples.

    For the few statements that run with every answer: the toolkit's own work on a statement costs more than the
    database's. Values are named as in `%(name)s`; a dictionary is stored as JSON.
    """
    session.flush()
    driver: Any = session.connection().connection.driver_connection
    ready = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    cursor = driver.cursor(row_factory=namedtuple_row).execute(statement, ready)
    return cursor.fetchall() if cursor.description else []


def after_commit(session: Session, action: Callable[[], None]) -> None:
    """Keep an action for after the commit of the outermost transaction; a rollback drops it."""
    session.info.setdefault("after_commit", []).append(action)


@event.listens_for(Session, "after_commit")
def _run_actions(session: Session) -> None:
    if session.in_nested_transaction():
        return
    for action in session.info.pop("after_commit", []):
        action()


@event.listens_for(Session, "after_rollback")
def _drop_actions(session: Session) -> None:
    # A job sent from a rolled-back savepoint finds nothing to do; dropping here would lose the others' jobs.
    if not session.in_nested_transaction():
        session.info.pop("after_commit", None)


def _refuse_closed(driver: Any, *_: Any) -> None:
    """Drop the pool's connections once the server has closed one: what was closed can be read from, without asking."""
    waiting = select.poll()
    waiting.register(driver.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise InvalidatePoolError
