"""The single programs of an instance, for production: each reads its settings from the environment.

Where DATABASE_URL or BROKER_URL is not set, they mean the embedded servers of `fairlabel up` in the state
directory.
"""

import json
import os
import sys
from pathlib import Path

import click

from annotate.stack.home import find_home, instance_environment
from annotate.stack.port import check_port
from annotate.stack.process import StackError
from tasks.settings import QUEUES


def checked(env: dict[str, str], *, web: bool) -> dict[str, str]:
    """Read all settings once, so that a wrong one stops the start and is named. Raises UnsafeSetting."""
    from annotate.settings import WebSettings
    from payments.settings import PaymentSettings
    from tasks.settings import TaskSettings

    TaskSettings.from_env(env)
    PaymentSettings.from_env(env)
    if web:
        WebSettings.from_env(env)
    return env


def web_arguments(host: str, port: int) -> list[str]:
    """Give the web server's command line. No access log: addresses of people are not kept."""
    return [
        *(sys.executable, "-m", "uvicorn", "annotate.app:create_app", "--factory"),
        *("--host", host, "--port", str(port), "--no-access-log", "--no-server-header"),
        *("--timeout-graceful-shutdown", "2"),
    ]


@click.command(short_help="Serve the pages and the API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), envvar="PORT")
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes."
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document as it starts.")
def serve(host: str, port: int, processes: int, *, as_document: bool) -> None:
    """Serve the pages and the API. It takes visitors as soon as /health answers."""
    check_port(host, port, f"`fairlabel serve --port {port + 1}`")
    if as_document:
        click.echo(json.dumps({"url": f"http://{host}:{port}", "pid": os.getpid()}))
        sys.stdout.flush()
    arguments = [*web_arguments(host, port), "--workers", str(processes)]
    os.execve(sys.executable, arguments, checked(instance_environment(), web=True))  # noqa: S606


@click.command(short_help="Do the jobs of the queue.")
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), help="Jobs at a time."
)
@click.option("--queues", default=",".join(QUEUES), show_default=True, help="Queues to take jobs from.")
@click.option(
    "--pool",
    default="threads",
    show_default=True,
    type=click.Choice(["threads", "prefork"]),
    help="Prefork takes more memory and ends a job that exceeds its time.",
)
@click.option(
    "--beat/--no-beat", default=True, show_default=True, help="Also start the sweeps; one worker does."
)
@click.option("--ready-file", type=click.Path(path_type=Path), hidden=True)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document once it takes jobs.")
def worker(
    concurrency: int, queues: str, pool: str, *, beat: bool, ready_file: Path | None, as_document: bool
) -> None:
    """Do the jobs of the queue, and start the sweeps that find lost ones."""
    unknown = set(queues.split(",")) - set(QUEUES)
    if unknown:
        raise click.BadParameter(
            f"There is no queue {min(unknown)!r}; there are {', '.join(QUEUES)}.", param_hint="--queues"
        )
    os.environ.update(checked(instance_environment(), web=False))
    from annotate.worker import run

    run(
        concurrency=concurrency,
        queues=queues,
        pool=pool,
        state=find_home().root,
        beat=beat,
        ready_file=ready_file,
        as_document=as_document,
    )


@click.command(short_help="Bring the database to the newest shape.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def migrate(*, as_document: bool) -> None:
    """Bring the database to the newest shape, as one transaction."""
    from sqlalchemy.exc import OperationalError

    from annotate.migrate import upgrade

    try:
        upgrade(instance_environment()["DATABASE_URL"])
    except OperationalError as problem:
        cause = str(problem.orig).strip()
        raise StackError(f"The database does not take us in: {cause}. Look at DATABASE_URL.") from None
    click.echo(json.dumps({"newest": True}) if as_document else "The database has the newest shape.")
