"""`fairlabel up`: the whole product with one command, for a first look and for small instances.

Set DATABASE_URL or BROKER_URL, and that server is used instead of the embedded one. Data stays in the state
directory; Ctrl-C stops everything.
"""

import errno
import http.client
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from annotate.commands.serve import web_arguments
from annotate.stack.home import Home, open_home
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
def up(port: int, host: str, *, demo: bool, with_worker: bool) -> None:
    """Start database, broker, web and worker here, and keep them running until Ctrl-C."""
    check_port(host, port)
    home = open_home()
    supervisor = Supervisor(Console(highlight=False))
    with home.lock():
        try:
            with supervisor.running():
                bring_up(supervisor, home, host=host, port=port, demo=demo, with_worker=with_worker)
                supervisor.keep()
        except Stopped:
            supervisor.say("\n  [dim]Stopped. The data is kept.[/]")


def bring_up(
    supervisor: Supervisor, home: Home, *, host: str, port: int, demo: bool, with_worker: bool
) -> None:
    """Start one after the other what the next one needs."""
    url = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0', '::', '::1') else host}:{port}"  # noqa: S104
    supervisor.say(f"[bold]Fairlabel[/] [dim]state in {home.root}[/]")
    env = dict(os.environ)
    env.update(start_servers(supervisor, home))
    env["FAIRLABEL_HOME"] = str(home.root)
    env["FAIRLABEL_SECRET_KEY"] = env.get("FAIRLABEL_SECRET_KEY") or home.secret_key()
    env["PAYMENTS_LOG_KEY"] = env.get("PAYMENTS_LOG_KEY") or home.log_key()
    env["FAIRLABEL_BASE_URL"] = env.get("FAIRLABEL_BASE_URL") or url
    if demo:
        env["FAIRLABEL_INSTANCE"] = env.get("FAIRLABEL_INSTANCE") or "demo"
        env["FAIRLABEL_CLOCK"] = env.get("FAIRLABEL_CLOCK") or "simulated"
    home.remember({name: env[name] for name in REMEMBERED if name in env})
    migration = Service(
        name="Migration", argv=[*FAIRLABEL, "migrate"], env=env, log=home.logs / "migrate.log"
    )
    supervisor.done("Database has the newest shape", supervisor.run(migration))
    services = [web_service(home, env, host, port)]
    if with_worker:
        services.append(worker_service(home, env))
    supervisor.start(*reversed(services))
    if demo:
        fill_demo(supervisor, env)
    supervisor.say(f"\n  Fairlabel is at [bold]{env['FAIRLABEL_BASE_URL']}[/]  [dim]Ctrl-C stops it.[/]\n")
    if not with_worker:
        supervisor.say("  [yellow]![/] No worker runs here: uploads, pay and consensus wait for one.")


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


def fill_demo(supervisor: Supervisor, env: dict[str, str]) -> None:
    """Run `fairlabel demo`, showing what it prints. A demo that fails leaves the product running."""
    try:
        supervisor.run(Service(name="The demonstration", argv=[*FAIRLABEL, "demo"], env=env))
    except StackError as problem:
        supervisor.say(f"  [yellow]![/] {problem.message}")


def check_port(host: str, port: int) -> None:
    """Stop with exit code 2 if the port cannot be listened on."""
    trouble = port_trouble(host, port)
    if trouble:
        choice = f"`fairlabel up --port {port + 1}` or `PORT={port + 1} make run`"
        click.echo(f"{trouble}. Choose another: {choice}.", err=True)
        sys.exit(2)


def port_trouble(host: str, port: int) -> str | None:
    """Say why a port cannot be listened on, None if it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            return f"Port {port} is taken"
        return f"Port {port} of {host} cannot be used ({problem.strerror})"
    return None


def healthy(host: str, port: int) -> bool:
    """Tell whether the web server answers."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _written_in(path: Path) -> Callable[[int], bool]:
    def ready(pid: int) -> bool:
        try:
            return path.read_text() == str(pid)
        except FileNotFoundError:
            return False

    return ready
