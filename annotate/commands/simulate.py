"""`fairlabel simulate`: what adaptive redundancy would have saved on answers that are there already.

Exit code 0 with the figures, 2 if the folder cannot be used.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tasks.errors import FairlabelError

if TYPE_CHECKING:
    from tasks.simulation import Scheme, Simulation

LABELS_MAX: Final = 100
"""More different labels than this are no closed list."""


@click.command(short_help="Say what adaptive redundancy would have saved on old answers.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--orders", default=20, show_default=True, type=click.IntRange(1, 1000), help="Random orders.")
@click.option("--seed", default=0, show_default=True, help="Another seed draws other orders.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def simulate(folder: Path, orders: int, seed: int, *, as_document: bool) -> None:
    """Replay the answers in FOLDER (answers.csv: task,worker,label; gold.csv: task,gold) under the default rule.

    Each task's answers come in random orders, and only as many are taken as the rule asks for. Beside it stand the
    first five and the first ten answers of each task with majority vote.
    """
    from tasks import simulation

    try:
        rows, gold = read(folder)
    except FairlabelError as problem:
        raise click.UsageError(problem.message) from None
    err = Console(stderr=True, highlight=False)
    shown = track(
        range(orders), "Replaying", console=err, transient=True, disable=as_document or not err.is_terminal
    )
    found = simulation.simulate(rows, gold, orders=orders, seed=seed, advance=stepping(iter(shown)))
    if as_document:
        click.echo(json.dumps(as_json(found), ensure_ascii=False, indent=2))
    else:
        show(Console(highlight=False), folder, found)


def read(folder: Path) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """Read answers and gold. Raises NoRecording or NotPlayable with what is wrong and where."""
    from annotate.recordings import NoRecording, NotPlayable, rows_of

    answers = rows_of(folder / "answers.csv", ("task", "worker", "label"))
    known = rows_of(folder / "gold.csv", ("task", "gold"))
    if not answers:
        raise NoRecording(f"{folder / 'answers.csv'} holds no answers.")
    rows = [(row["task"], row["worker"], row["label"]) for row in answers]
    gold = {row["task"]: row["gold"] for row in known}
    labels = {label for _, _, label in rows}
    if len(labels) > LABELS_MAX or any(label.startswith("[") for label in labels):
        raise NotPlayable(
            f"{folder / 'answers.csv'} holds {len(labels):,} different labels; the rule is for labels of a closed "
            f"list, at most {LABELS_MAX}."
        )
    if not gold.keys() & {task for task, _, _ in rows}:
        raise NoRecording(f"{folder / 'gold.csv'} names no task of answers.csv.")
    return rows, gold


def stepping(steps: Any) -> Callable[[], None]:
    """Let a bar go on by one with each call."""
    return lambda: next(steps, None)


def as_json(found: "Simulation") -> dict[str, Any]:
    """Give the document; a scheme without figures says why."""
    return {
        "adaptive": scheme_json(found.adaptive),
        **{f"fixed_{k}": scheme_json(scheme) for k, scheme in found.fixed.items()},
        "recorded": {"tasks": found.tasks, "answers": found.answers, "gold": found.gold},
        "orders": found.orders,
    }


def scheme_json(scheme: "Scheme") -> dict[str, Any]:
    """Give one scheme's figures."""
    document: dict[str, Any] = {
        "answers_per_task": scheme.answers_per_task,
        "accuracy": scheme.accuracy,
    }
    if scheme.contested is not None:
        document["contested"] = scheme.contested
    return document | ({"reason": scheme.why} if scheme.why else {})


def show(console: Console, folder: Path, found: "Simulation") -> None:
    """Print the figures for people."""
    table = Table("")
    for head in ("answers per task", "right", "adaptive saves", "and is right by"):
        table.add_column(head, justify="right")
    table.add_row("adaptive", *figures(found.adaptive))
    for k, scheme in found.fixed.items():
        table.add_row(f"fixed {k}, majority", *figures(scheme), *versus(found.adaptive, scheme))
    console.print(
        f"[bold]{folder.resolve().name}[/]: {found.answers:,} answers to {found.tasks:,} tasks, {found.gold:,} with "
        f"gold; means over {found.orders} random orders",
        soft_wrap=True,
    )
    console.print(table)
    for why in {scheme.why for scheme in found.fixed.values() if scheme.why}:
        console.print(f"[dim]{why}[/]", soft_wrap=True)
    console.print(saved(found), soft_wrap=True)
    if found.adaptive.contested:
        console.print(
            f"{found.adaptive.contested:.1%} of the tasks stayed undecided; they go to a person or are published as a "
            "distribution.",
            soft_wrap=True,
        )


def figures(scheme: "Scheme") -> tuple[str, str]:
    """Write a scheme's two figures."""
    each, right = scheme.answers_per_task, scheme.accuracy
    return "–" if each is None else f"{each:.2f}", "–" if right is None else f"{right:.1%}"


def versus(adaptive: "Scheme", fixed: "Scheme") -> tuple[str, str]:
    """Compare a fixed scheme with the adaptive one: the share of answers saved, and points of accuracy."""
    if fixed.why or adaptive.answers_per_task is None or adaptive.accuracy is None:
        return "–", "–"
    fewer = 1 - adaptive.answers_per_task / (fixed.answers_per_task or 1)
    return f"{fewer:.0%}", f"{100 * (adaptive.accuracy - (fixed.accuracy or 0)):+.1f} points"


def saved(found: "Simulation") -> str:
    """Say what adaptive redundancy would have saved, and what that means for pay."""
    each = found.adaptive.answers_per_task or 1
    recorded = found.answers / found.tasks
    return (
        f"Adaptive redundancy would have saved {1 - each / recorded:.0%} of the {found.answers:,} recorded answers. "
        f"With the same money each answer could have been paid {recorded / each:.2f} times as much."
    )
