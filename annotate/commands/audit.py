"""`fairlabel audit mturk`: what the work in Mechanical Turk result files paid by the hour, and what is missing.

Exit code 0 if the files were audited (whatever was found), 1 if they hold no usable row, 2 if a file cannot be read
or the floor is unknown: then no figure is printed, because a total without one of the files would mislead. Rows that
could not be used are named on standard error, or under `problems` with --json.
"""

import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from tasks.errors import FairlabelError

WORKERS_SHOWN = 15
PROBLEMS_SHOWN = 20


@click.group(short_help="Recompute wages from the files of others.")
def audit() -> None:
    """Recompute wages from the files of others, as an outsider must."""


@audit.command(short_help="Audit Mechanical Turk result files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--floor", required=True, help="A place with a statutory minimum (US, US-CA), or as 7.25USD per hour."
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.option("--all-workers", is_flag=True, help="List every worker, not only those with most missing.")
def mturk(files: tuple[Path, ...], floor: str, *, as_document: bool, all_workers: bool) -> None:
    """Say what the work in these result FILES paid by the hour, and what a floor would have added."""
    from annotate.i18n import formats
    from payments.mturk_audit import audit as audited
    from payments.mturk_audit import floor_named
    from payments.mturk_files import read
    from payments.mturk_report import as_json

    err = Console(stderr=True, highlight=False)
    try:
        wanted = floor_named(floor, datetime.now(UTC).date())
        named = list(zip(files, names(files), strict=True))
        shown = track(
            named, "Reading", console=err, transient=True, disable=as_document or not err.is_terminal
        )
        found = [read(path, name) for path, name in shown]
        made = audited((row for each in found for row in each.assignments), wanted.rate, wanted.currency)
    except FairlabelError as problem:
        click.echo(problem.message, err=True)
        sys.exit(2)
    problems = [*(problem for one in found for problem in one.problems), *made.replaced]
    document = formats("en").say_all(
        as_json(made)
        | {
            "floor_origin": wanted.origin,
            "unusable_rows": sum(each.unusable for each in found),
            "problems": [asdict(each) for each in problems],
        }
    )
    if as_document:
        click.echo(msgspec.json.Encoder(decimal_format="number").encode(document))
    else:
        show(Console(highlight=False), document, len(made.workers) if all_workers else WORKERS_SHOWN)
        for each in document["problems"][:PROBLEMS_SHOWN]:
            click.echo("{file} line {line}: {field} {reason}.".format(**each), err=True)
        if document["unusable_rows"]:
            click.echo(f"{document['unusable_rows']} rows could not be used and are in no figure.", err=True)
    sys.exit(0 if document["assignments"] else 1)


def names(files: tuple[Path, ...]) -> list[str]:
    """Name each file by its last part, or by its whole path where two would be called alike."""
    count = Counter(path.name for path in files)
    return [path.name if count[path.name] == 1 else str(path) for path in files]


def show(console: Console, of: dict[str, Any], workers_shown: int) -> None:
    """Print the document as tables for people."""
    unit = of["currency"]
    console.print(figures_table(of))
    rows = [{"name": each["batch"], **each} for each in of["batches"]]
    console.print(rows_table("By batch", "batch", unit, rows))
    rows = [{"name": each["worker"], **each} for each in of["per_worker"]]
    left = len(rows) - workers_shown
    console.print(rows_table("By worker, most missing first", "worker", unit, rows[:workers_shown]))
    if left > 0:
        console.print(f"  and {left} more: --all-workers", style="dim")
    console.print(histogram_table(of))
    console.print("\n[bold]How the files were treated[/]")
    for sentence in of["treatment"]:
        console.print(f"  • {sentence}", soft_wrap=not console.is_terminal, markup=False)


def figures_table(of: dict[str, Any]) -> Table:
    """Make the table of the main figures."""
    unit = of["currency"]
    table = Table(title="What the work paid", title_justify="left", show_header=False, box=None)
    table.add_column()
    table.add_column(justify="right")
    for label, value in (
        ("Assignments", of["assignments"]),
        ("  of them rejected", of["rejected"]),
        ("Workers", of["workers"]),
        (f"Paid, {unit}", of["paid"]),
        ("Hours worked (overlaps once)", of["union_hours"]),
        ("Hours summed over assignments", of["sum_hours"]),
        (f"Median hourly pay per assignment, {unit}", of["median_hourly_per_assignment"]),
        (f"Median hourly pay per worker, {unit}", of["median_hourly_per_worker"]),
        (f"Floor per hour, {unit} ({of['floor_origin']})", of["floor_per_hour"]),
        ("Assignments under the floor", percent(of["share_assignments_under_floor"])),
        ("Workers under the floor", percent(of["share_workers_under_floor"])),
        (f"Missing pay, {unit}", of["missing_pay"]),
    ):
        table.add_row(label, written(value), style="bold" if label.startswith("Missing") else "")
    return table


def rows_table(title: str, first: str, unit: str, rows: list[dict[str, Any]]) -> Table:
    """Make a table with a row per batch or worker."""
    table = Table(title=title, title_justify="left", box=None, header_style="dim")
    table.add_column(first, overflow="fold")
    for name in ("assignments", "rejected", "hours", f"paid {unit}", f"{unit}/h", f"missing {unit}"):
        table.add_column(name, justify="right")
    for row in rows:
        keys = ("assignments", "rejected", "union_hours", "paid", "hourly", "missing_pay")
        table.add_row(escape(row["name"]), *(written(row[key]) for key in keys))
    return table


def histogram_table(of: dict[str, Any]) -> Table:
    """Make the table of hourly pay in steps of the floor."""
    table = Table(title="Hourly pay", title_justify="left", box=None, header_style="dim")
    table.add_column(f"{of['currency']} per hour")
    table.add_column("assignments", justify="right")
    table.add_column("workers", justify="right")
    for each in of["histogram"]:
        to = "and more" if each["to"] is None else f"to below {each['to']}"
        table.add_row(f"{each['from']} {to}", str(each["assignments"]), str(each["workers"]))
    return table


def percent(share: Any) -> str | None:
    """Write a share as a percentage."""
    return None if share is None else f"{share * 100:.1f} %"


def written(value: Any) -> str:
    """Write a figure, or a dash where the files give none."""
    return "–" if value is None else str(value)
