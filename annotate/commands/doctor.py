"""`fairlabel doctor`: says what works, what does not, and what to do about it.

Exit code 0 if everything that the product needs works, 1 otherwise. Chromium is needed by its tests alone.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click

from annotate.stack.home import instance_environment
from annotate.stack.port import healthy, port_trouble


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    works: bool
    found: str
    remedy: str = ""
    needed: bool = True


@click.command(short_help="Say what works.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), envvar="PORT")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(port: int, *, as_json: bool) -> None:
    """Look at database, broker, worker, port and browser."""
    from tasks.queue import configure
    from tasks.settings import TaskSettings

    os.environ.update(instance_environment())
    configure(TaskSettings.from_env())
    queue = broker()
    workers = [worker()] if queue.works else []  # who cannot reach the broker would wait long for an answer
    findings = [database(), *shape(), queue, *workers, *sweeps(), web(port), browser()]
    healthy_all = all(finding.works for finding in findings if finding.needed)
    if as_json:
        click.echo(json.dumps({"works": healthy_all, "checks": [asdict(finding) for finding in findings]}))
    else:
        _print(findings)
    sys.exit(0 if healthy_all else 1)


def database() -> Finding:
    """Ask the database for its version."""
    from sqlalchemy import create_engine, text

    from tasks.db import driver_url

    def ask() -> str:
        engine = create_engine(driver_url(os.environ["DATABASE_URL"]), connect_args={"connect_timeout": 4})
        with engine.connect() as connection:
            version = connection.execute(text("SHOW server_version")).scalar_one()
        engine.dispose()
        return f"PostgreSQL {version}"

    return _asked("database", ask, "Start it with `fairlabel up`, or set DATABASE_URL.")


def shape() -> list[Finding]:
    """Look whether the database has the newest shape; says nothing more about one that cannot be reached."""
    from sqlalchemy.exc import SQLAlchemyError

    from annotate.migrate import is_current

    try:
        current = is_current(os.environ["DATABASE_URL"])
    except SQLAlchemyError:
        return []
    found = "newest shape" if current else "older shape"
    return [Finding("migrations", current, found, "" if current else "Run `fairlabel migrate`.")]


def broker() -> Finding:
    """Connect to the queue's broker."""
    from tasks.queue import broker_answers

    return _asked("broker", broker_answers, "Start it with `fairlabel up`, or set BROKER_URL.")


def worker() -> Finding:
    """Ask the workers to answer."""
    from tasks.queue import workers_alive

    def ask() -> str:
        alive = workers_alive()
        if not alive:
            raise ConnectionError("none answers")
        return ", ".join(alive)

    return _asked("worker", ask, "Start one with `fairlabel worker`; uploads, pay and consensus wait for it.")


def sweeps() -> list[Finding]:
    """Look when a worker process last said that it runs; says nothing more about a database without tables."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.orm import Session

    from annotate import heartbeat
    from tasks.db import driver_url

    engine = create_engine(driver_url(os.environ["DATABASE_URL"]), connect_args={"connect_timeout": 4})
    try:
        with Session(engine) as session:
            silent = heartbeat.is_silent(session)
    except SQLAlchemyError:
        return []
    finally:
        engine.dispose()
    if not silent:
        return [Finding("sweeps", works=True, found="run")]
    remedy = (
        "Start one `fairlabel worker` with --beat; until then workers' pages say that no process is running."
    )
    return [Finding("sweeps", works=False, found="not heard for over a minute", remedy=remedy)]


def web(port: int) -> Finding:
    """Look whether the port serves us or could."""
    if healthy("127.0.0.1", port):
        return Finding("web", works=True, found=f"answers on port {port}")
    trouble = port_trouble("127.0.0.1", port)
    if trouble:
        return Finding("web", works=False, found=trouble, remedy="Choose another port with --port.")
    return Finding("web", works=True, found=f"does not run; port {port} is free")


def browser() -> Finding:
    """Look for the browser of the tests."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    remedy = "" if found else "`make test` installs it, or set CHROMIUM."
    return Finding(
        "chromium", works=found is not None, found=found or "not found", remedy=remedy, needed=False
    )


def _asked(check: str, ask: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(check, works=True, found=ask())
    except Exception as problem:  # noqa: BLE001  each driver has its own errors, and all are a finding here
        cause = getattr(problem, "orig", None) or problem
        first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        return Finding(check, works=False, found=first, remedy=remedy)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("", "check", Column("found", overflow="fold"), "what to do", box=None)
    for finding in findings:
        mark = "[green]✓[/]" if finding.works else "[red]✗[/]" if finding.needed else "[yellow]–[/]"
        table.add_row(mark, finding.check, finding.found, finding.remedy)
    Console().print(table)
