"""`fairlabel bundle`: write the audit bundle of closed periods, for whoever checks the wages.

The file appears only when it is whole. With --json, one document says where it is and with which key it is signed.
"""

import os
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from annotate.stack.home import instance_environment


def writable(path: Path) -> Path:
    """Refuse a file for which there is no place."""
    if not path.parent.is_dir():
        raise click.BadParameter(f"There is no directory {path.parent}; make it first, or name another.")
    if not os.access(path.parent, os.W_OK):
        raise click.BadParameter(f"Nothing can be written to {path.parent}; name another directory.")
    return path


@click.command(short_help="Write the audit bundle of closed periods.")
@click.option("--period", "codes", multiple=True, required=True, help="A closed period, such as 2026-W47.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    callback=lambda _context, _option, path: writable(path),
    help="The file to write.",
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def bundle(codes: tuple[str, ...], out: Path, *, as_document: bool) -> None:
    """Write all facts from which the wages of closed periods follow into one signed file."""
    from annotate import audit_bundle
    from payments.settings import PaymentSettings
    from payments.signed_note import verifier_key
    from tasks import clock
    from tasks.db import engine_for, transaction
    from tasks.settings import TaskSettings

    env = instance_environment()
    settings, money = TaskSettings.from_env(env), PaymentSettings.from_env(env)
    key = audit_bundle.signing_key(money)
    engine = engine_for(settings.database_url)
    with transaction(engine) as session:
        now = clock.now(session, simulated=settings.simulated)
    err = Console(stderr=True, highlight=False)
    draft = out.with_name(f"{out.name}.part")
    shown = (SpinnerColumn(), TextColumn("{task.description}"))
    hidden = as_document or not err.is_terminal
    try:
        with Progress(*shown, console=err, transient=True, disable=hidden) as progress:
            task = progress.add_task("Reading the books")
            with draft.open("w+b") as file:
                audit_bundle.make(
                    engine,
                    codes,
                    key,
                    money.log_origin,
                    now,
                    file,
                    lambda name, done: progress.update(task, description=f"{name}: {done}"),
                )
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    public = verifier_key(money.log_origin, key.public_key())
    if as_document:
        click.echo(msgspec.json.encode({"file": str(out), "periods": codes, "key": public}))
        return
    click.echo(f"{out} holds the books of {', '.join(codes)}.")
    click.echo(f"Check it: fairlabel verify {out} --key '{public}'")
