"""`fairlabel verify`: recompute an audit bundle offline, with the verifier's own code.

Exit code 0: everything holds, 1: something differs, 2: the bundle cannot be read, 3: a signature or the log's
consistency is wrong or could not be checked. The same program runs alone as `python annotate/verify.py`.
"""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from annotate.verifier import main as verifier


@click.command(short_help="Recompute an audit bundle offline.")
@click.argument("bundle", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key", help="The instance's public key, or a file that holds it; a bundle of another key fails."
)
@click.option(
    "--old-checkpoint",
    "old",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A head of the log kept from earlier: the log must go on from it.",
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def verify(bundle: Path, key: str | None, old: tuple[Path, ...], *, as_document: bool) -> None:
    """Recompute every wage in BUNDLE, and check its ledger, its log and its signatures."""
    err = Console(stderr=True, highlight=False)
    try:
        pinned = verifier.key_named(key)
        kept = [(str(path), path.read_text(encoding="utf-8")) for path in old]
    except (OSError, ValueError) as problem:
        click.echo(str(problem), err=True)
        sys.exit(2)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    hidden = as_document or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=hidden) as progress:
        task = progress.add_task("Verifying", total=None)
        report = verifier.verify(
            bundle,
            pinned,
            kept,
            lambda name, done, of: progress.update(task, description=name, completed=done, total=of),
        )
    click.echo(msgspec.json.encode(report.document()) if as_document else "\n".join(report.lines()))
    sys.exit(report.exit_code)
