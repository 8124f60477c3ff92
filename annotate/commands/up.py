"""`fairlabel up`: the whole product with one command, for a first look and for small instances.

Set DATABASE_URL or BROKER_URL, and that server is used instead of the embedded one. Data stays in the state
directory; Ctrl-C stops everything.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from annotate.commands.serve import web_arguments
from annotate.stack.home import Home, open_home
from annotate.stack.port import check_port, healthy
from annotate.stack.postgres import Postgres
from annotate.stack.process import Service, StackError
from annotate.stack.supervisor import Stopped, Supervisor
from annotate.stack.valkey import Valkey

REMEMBERED = ("FAIRLABEL_BASE_URL", "FAIRLABEL_INSTANCE", "FAIRLABEL_CLOCK")
FAIRLABEL = (sys.executable, "-m", "annotate.cli")


@click.command(short_help="Start everything here.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), envvar="PORT")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--demo", is_flag=True, help="Fill it with a demonstration and print sign-ins.")
@click.option(
    "--worker/--no-worker", "with_worker", default=True, help="Without: no job of the queue is done."
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document once all of it runs.")
def up(port: int, host: str, *, demo: bool, with_worker: bool, as_document: bool) -> None:
    """Start database, broker, web and worker here, and keep them running until Ctrl-C."""
    check_port(host, port, f"`fairlabel up --port {port + 1}` or `PORT={port + 1} make run`")
    home = open_home()
    supervisor = Supervisor(Console(highlight=False, stderr=as_document))
    with home.lock():
        try:
            with supervisor.running():
                asked = Asked(host, port, demo=demo, with_worker=with_worker, quiet=as_document)
                made = bring_up(supervisor, home, asked)
                if as_document:
                    click.echo(json.dumps(made))
                supervisor.keep()
        except Stopped:
            supervisor.say("\n  [dim]Stopped. The data is kept.[/]")


@dataclass(frozen=True)
class Asked:
    """What is to be started, and whether standard output is kept for a document."""

    host: str
    port: int
    demo: bool
    with_worker: bool
    quiet: bool

    @property
    def url(self) -> str:
        """Where it will be."""
        near = self.host in ("127.0.0.1", "0.0.0.0", "::", "::1")  # noqa: S104
        return f"http://{'localhost' if near else self.host}:{self.port}"


def bring_up(supervisor: Supervisor, home: Home, asked: Asked) -> dict[str, Any]:
    """Start one after the other what the next one needs; give where it is, with a quiet demo's sign-ins."""
    supervisor.say(f"[bold]Fairlabel[/] [dim]state in {home.root}[/]")
    env = dict(os.environ)
    env.update(start_servers(supervisor, home))
    env["FAIRLABEL_HOME"] = str(home.root)
    env["FAIRLABEL_SECRET_KEY"] = env.get("FAIRLABEL_SECRET_KEY") or home.secret_key()
    env["PAYMENTS_LOG_KEY"] = env.get("PAYMENTS_LOG_KEY") or home.log_key()
    env["FAIRLABEL_BASE_URL"] = env.get("FAIRLABEL_BASE_URL") or asked.url
    if asked.demo:
        env["FAIRLABEL_INSTANCE"] = env.get("FAIRLABEL_INSTANCE") or "demo"
        env["FAIRLABEL_CLOCK"] = env.get("FAIRLABEL_CLOCK") or "simulated"
    home.remember({name: env[name] for name in REMEMBERED if name in env})
    migration = Service(
        name="Migration", argv=[*FAIRLABEL, "migrate"], env=env, log=home.logs / "migrate.log"
    )
    supervisor.done("Database has the newest shape", supervisor.run(migration))
    services = [web_service(home, env, asked.host, asked.port)]
    if asked.with_worker:
        services.append(worker_service(home, env))
    supervisor.start(*reversed(services))
    made: dict[str, Any] = {
        "url": env["FAIRLABEL_BASE_URL"],
        "state": str(home.root),
        "worker": asked.with_worker,
    }
    if asked.demo:
        made |= fill_demo(supervisor, env, home.logs / "demo.json" if asked.quiet else None)
    supervisor.say(f"\n  Fairlabel is at [bold]{env['FAIRLABEL_BASE_URL']}[/]  [dim]Ctrl-C stops it.[/]\n")
    if not asked.with_worker:
        supervisor.say("  [yellow]![/] No worker runs here: uploads, pay and consensus wait for one.")
    return made


def start_servers(supervisor: Supervisor, home: Home) -> dict[str, str]:
    """Start the servers that the environment does not name; give both addresses."""
    database, broker = os.environ.get("DATABASE_URL"), os.environ.get("BROKER_URL")
    if not broker:
        valkey = Valkey(home)
        valkey.prepare()
        supervisor.start(valkey.service())
    if not database:
        postgres = Postgres.of(home)
        if not postgres.data.exists():
            supervisor.step(f"{postgres.label} data directory made", postgres.prepare)
        else:
            postgres.prepare()
        supervisor.start(postgres.service())
        postgres.ensure_database()
    return {"DATABASE_URL": database or home.database_url, "BROKER_URL": broker or home.broker_url}


def web_service(home: Home, env: dict[str, str], host: str, port: int) -> Service:
    """Describe the web server; it is ready when /health says so."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return Service(
        name="Web",
        argv=web_arguments(host, port),
        log=home.logs / "web.log",
        ready=lambda _: healthy(near, port),
        env=env,
        grace=3.0,
    )


def worker_service(home: Home, env: dict[str, str]) -> Service:
    """Describe the worker; it is ready when it has written its process id."""
    told = home.run / "worker.ready"
    told.unlink(missing_ok=True)
    return Service(
        name="Worker",
        argv=[*FAIRLABEL, "worker", "--ready-file", str(told)],
        log=home.logs / "worker.log",
        ready=_written_in(told),
        env=env,
        grace=4.0,
    )


def fill_demo(supervisor: Supervisor, env: dict[str, str], told: Path | None) -> dict[str, Any]:
    """Run `fairlabel demo`: it shows what it prints, or writes its document, which is given back.

    A demo that fails leaves the product running.
    """
    argv = [*FAIRLABEL, "demo", *(["--json"] if told else [])]
    try:
        supervisor.run(Service(name="The demonstration", argv=argv, env=env, log=told))
        return dict(json.loads(told.read_text().splitlines()[-1])) if told else {}
    except StackError as problem:
        supervisor.say(f"  [yellow]![/] {problem.message}")
        return {}


def _written_in(path: Path) -> Callable[[int], bool]:
    def ready(pid: int) -> bool:
        try:
            return path.read_text() == str(pid)
        except FileNotFoundError:
            return False

    return ready
