"""Real PostgreSQL for the tests.

One throw-away server per run, one database per test process, one rolled-back transaction per test.
TEST_SERVER_URL names another server to use. No test reaches beyond this machine.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

import annotate.tables  # noqa: F401  loads every table
from annotate.stack.postgres import throw_away_cluster
from tasks.db import Base, driver_url

server = pytest.StashKey[str]()
clean_up = pytest.StashKey[ExitStack]()


def shared_server(config: pytest.Config) -> str:
    """Give the run's server; the first call starts it."""
    if server not in config.stash:
        config.stash[clean_up] = ExitStack()
        given = os.environ.get("TEST_SERVER_URL")
        config.stash[server] = given or config.stash[clean_up].enter_context(throw_away_cluster())
    return config.stash[server]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each xdist worker about the server of the controller."""
    node.workerinput["server_url"] = shared_server(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that this process started."""
    if clean_up in config.stash:
        config.stash[clean_up].close()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """Where a PostgreSQL server takes us in."""
    from_controller = getattr(request.config, "workerinput", {}).get("server_url")
    return str(from_controller or shared_server(request.config))


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse connections to other machines."""
    guarded = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        guarded.setattr(socket.socket, name, _only_here(getattr(socket.socket, name)))
    yield
    guarded.undo()


def _only_here(connect: Any) -> Any:
    def checked(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(str(address[0])):
            raise RuntimeError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    return checked


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_database(server_url: str, name: str) -> str:
    """Create an empty database of that name and give its URL."""
    maintenance = create_engine(driver_url(server_url), isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    maintenance.dispose()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def empty_database(server_url: str) -> str:
    """A new database without tables."""
    return make_database(
        server_url, f"fairlabel_empty_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    )


@contextmanager
def own_database(server_url: str, purpose: str) -> Iterator[Engine]:
    """Give this test process a database with all tables, and take it away at the end."""
    name = f"fairlabel_{purpose}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    made = create_engine(driver_url(make_database(server_url, name)))
    Base.metadata.create_all(made)
    yield made
    made.dispose()
    maintenance = create_engine(driver_url(server_url), isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    maintenance.dispose()


@pytest.fixture(scope="session")
def engine(server_url: str) -> Iterator[Engine]:
    """A database for tests that commit; what they leave is seen by each other only."""
    with own_database(server_url, "committed") as made:
        yield made


@pytest.fixture(scope="session")
def rolled_back(server_url: str) -> Iterator[Engine]:
    """A database in which nothing is ever committed."""
    with own_database(server_url, "test") as made:
        yield made


@pytest.fixture
def connection(rolled_back: Engine) -> Iterator[Connection]:
    """A connection in a transaction that is rolled back after the test."""
    with rolled_back.connect() as made:
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
