"""A whole instance that forgets everything: real servers in a temporary directory, on a free port, for recorded work.

It is a test instance on a simulated clock, with one operator and the shipped pay rules in force. Everything is
stopped and removed at the end, whatever the end is.
"""

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from annotate.commands.up import FAIRLABEL, web_service, worker_service
from annotate.stack.home import Home
from annotate.stack.postgres import Postgres
from annotate.stack.process import Service, may_enter, service_user
from annotate.stack.supervisor import Supervisor
from annotate.stack.valkey import Valkey

HOST = "127.0.0.1"
WEB_PROCESSES = 2

T = TypeVar("T")


@dataclass(frozen=True)
class ThrowAway:
    """A running instance; `urls` are its web processes, `token` is the operator's."""

    urls: tuple[str, ...]
    token: str
    root: Path
    env: dict[str, str]
    supervisor: Supervisor

    def look_after(self, work: Callable[[], T]) -> T:
        """Do work in a thread while this one keeps the servers alive. Raises what the work raises, or Stopped."""
        with ThreadPoolExecutor(1) as beside:
            future: Future[T] = beside.submit(work)
            while not future.done():
                self.supervisor.look_after()
                self.supervisor.pause(0.05)
            return future.result()


@contextlib.contextmanager
def throw_away_instance(console: Console, known_from: datetime, keep: bool = False) -> Iterator[ThrowAway]:
    """Start an instance whose pay rules are known from a moment on; it is removed at the end unless kept."""
    root = directory()
    home = Home(root, root / "run")
    supervisor = Supervisor(console)
    try:
        for place in (home.run, home.logs):
            place.mkdir(mode=0o711)
        with supervisor.running():
            yield _start(supervisor, home, known_from)
    finally:
        if keep:
            console.print(f"  Kept: {root}", soft_wrap=True)
        else:
            shutil.rmtree(root, ignore_errors=True)


def directory() -> Path:
    """Make a directory that the servers' user may pass through, with a name short enough for sockets."""
    user = service_user()
    open_to_user = user is None or may_enter(Path(tempfile.gettempdir()), user)
    root = Path(tempfile.mkdtemp(prefix="fairlabel-", dir=None if open_to_user else "/var/tmp"))  # noqa: S108
    root.chmod(0o711)
    return root


def _start(supervisor: Supervisor, home: Home, known_from: datetime) -> ThrowAway:
    valkey = Valkey(home)
    valkey.prepare()
    supervisor.start(valkey.service())
    postgres = Postgres(home.root, home.run, home.logs, durable=False)
    supervisor.step(f"{postgres.label} data directory made", postgres.prepare)
    supervisor.start(_with_autovacuum(postgres.service()))
    postgres.ensure_database()
    ports = [free_port() for _ in range(WEB_PROCESSES)]
    urls = tuple(f"http://{HOST}:{port}" for port in ports)
    env = _environment(home, urls[0], postgres.url(), home.broker_url)
    migration = Service("Migration", [*FAIRLABEL, "migrate"], env=env, log=home.logs / "migrate.log")
    supervisor.done("Database has the newest shape", supervisor.run(migration))
    token = bootstrap(postgres.url(), known_from)
    webs = [
        replace(web_service(home, env, HOST, port), name=f"Web {number}", log=home.logs / f"web{number}.log")
        for number, port in enumerate(ports, 1)
    ]
    supervisor.start(worker_service(home, env), *webs)
    return ThrowAway(urls, token, home.root, env, supervisor)


def _with_autovacuum(service: Service) -> Service:
    """Let the planner learn about tables that grow by tens of thousands of rows."""
    argv = ["autovacuum=on" if part == "autovacuum=off" else part for part in service.argv]
    return replace(service, argv=[*argv, "-c", "autovacuum_naptime=5s"])


def _environment(home: Home, url: str, database: str, broker: str) -> dict[str, str]:
    """Give the programs' environment: ours without what names another instance."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FAIRLABEL_", "PAYMENTS_", "PG"))
    }
    return ours | {
        "DATABASE_URL": database,
        "BROKER_URL": broker,
        "DATABASE_POOL": "12",
        "FAIRLABEL_HOME": str(home.root),
        "FAIRLABEL_BASE_URL": url,
        "FAIRLABEL_INSTANCE": "test",
        "FAIRLABEL_CLOCK": "simulated",
        "FAIRLABEL_SECRET_KEY": secrets.token_hex(32),
        "PAYMENTS_LOG_KEY": secrets.token_hex(32),
    }


def bootstrap(database_url: str, known_from: datetime) -> str:
    """Add operator, pay rules and rates, known from a moment on; give the operator's token."""
    import annotate.tables  # noqa: F401  loads every table
    from annotate.bootstrap import operator_token, rules_and_rates
    from tasks.db import engine_for, transaction

    engine = engine_for(database_url, 1)
    try:
        with transaction(engine) as session:
            rules_and_rates(session, known_from)
            return operator_token(session, "Replay", known_from)
    finally:
        engine.dispose()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
