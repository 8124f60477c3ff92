"""`fairlabel consensus`: what the answers of a table say together, without a server.

Exit code 0 if the answers were brought together, 2 if a file cannot be read or a method does not fit the kind.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from annotate.answer_files import AnswerFile, UnreadableAnswers
from annotate.commands.agreement import Refused
from tasks.aggregators import METHODS
from tasks.aggregators.outcome import LEVEL, Combined, Outcome, Together

SHORT_NAMES: Final = {
    "mv": "majority",
    "majority_vote": "majority",
    "ds": "dawid_skene",
    "bt": "bradley_terry",
}
CELLS_MAX: Final = 100_000_000
"""Of the largest table of a method, so that no machine is brought down."""
TASKS_SHOWN: Final = 12
WORKERS_SHOWN: Final = 12
BAR_WIDTH: Final = 20
SHARES_SHOWN: Final = 3
WITH_SHARES: Final = {"class", "number", "pairwise"}
"""Kinds whose distribution reads well in a line."""
TEXT_SHOWN: Final = 36


@click.command(short_help="Bring a table of answers together.")
@click.argument("answers", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--kind", type=click.Choice(list(METHODS)), help="What the labels are; guessed if left out.")
@click.option("--method", help="How answers are brought together; the kind’s default if left out.")
@click.option(
    "--gold",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Right answers (task,gold) to hold the outcome against; the method never sees them.",
)
@click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Classes known beforehand (task,gold), which the method builds on and gold is not counted for.",
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def consensus(
    answers: Path,
    kind: str | None,
    method: str | None,
    gold: Path | None,
    known: Path | None,
    *,
    as_document: bool,
) -> None:
    """Say what the answers in ANSWERS say together: a CSV file with the columns task, worker and label.

    Of a worker's answers to one task the last one counts. A label is a class, a number, a text, a JSON list of [start,
    end] spans or of [x0, y0, x1, y1] boxes. Comparisons have the columns left, right, worker and label, the winner.
    """
    from annotate.answer_files import read, read_gold

    try:
        file = read(answers, kind, gold)
        right = read_gold(gold, file.kind) if gold else None
        fixed = read_gold(known, file.kind) if known else {}
    except UnreadableAnswers as problem:
        raise Refused(problem.message) from None
    name = _named(file, method)
    _fits(file, name)
    document = together(file, name, right, fixed)
    if as_document:
        click.echo(msgspec.json.encode(document))
    else:
        show(Console(highlight=False), document)


def together(
    file: AnswerFile, method: str, gold: Mapping[Any, Any] | None, known: Mapping[Any, Any]
) -> dict[str, Any]:
    """Make the document: each task's label, confidence and distribution, each worker's report, the score."""
    from tasks.aggregators import aggregate
    from tasks.aggregators.scores import NAMES, score

    outcome = aggregate(file.kind, file.answers, file.values, method, known)
    tasks, workers = _tasks(file, outcome), _workers(file, outcome)
    asked = {item: value for item, value in (gold or {}).items() if item not in known}
    counted = sum(_has(outcome, item) for item in asked)
    scored = score(file.kind, outcome, asked)
    signals = _signals(file, outcome, workers)
    return {
        "method": outcome.method,
        "kind": file.kind,
        "tasks": tasks,
        "workers": workers,
        "accuracy": scored if NAMES[file.kind] == "accuracy" else None,
        **({NAMES[file.kind]: scored} if NAMES[file.kind] != "accuracy" else {}),
        "gold": {"tasks": counted, "without_answers": len(asked) - counted},
        "signals": signals,
        **({"model": dict(outcome.model)} if isinstance(outcome, Combined) and outcome.model else {}),
        "rows": file.rows,
        "answers": len(file.answers),
    }


def show(console: Console, of: dict[str, Any]) -> None:
    """Print the document as tables: where to look first stands first."""
    tasks, workers = of["tasks"], of["workers"]
    console.print(
        f"{of['answers']:,} answers to {len(tasks):,} tasks by {len(workers):,} workers "
        f"({of['kind']}), brought together by {of['method']}"
    )
    for name in ("accuracy", "r", "f1", "word_error_rate"):
        if of.get(name) is not None:
            console.print(
                f"[bold]{name.replace('_', ' ')} {of[name]:.3f}[/] on {of['gold']['tasks']:,} gold tasks"
            )
    console.print(tasks_table(tasks, shares=of["kind"] in WITH_SHARES))
    console.print(workers_table(workers))
    if len(workers) > WORKERS_SHOWN:
        console.print(f"  and {len(workers) - WORKERS_SHOWN:,} more: --json", style="dim")
    for signal in of["signals"]:
        console.print(
            f"  ! {signal['words']} ({len(signal['workers'])}: {', '.join(signal['workers'])})", markup=False
        )


def tasks_table(tasks: dict[str, dict[str, Any]], *, shares: bool) -> Table:
    """Make the table of the tasks that a person should look at first."""
    table = Table(title="\nLeast certain tasks", title_justify="left", box=None, header_style="dim")
    table.add_column("task", overflow="fold")
    table.add_column("label", no_wrap=not shares)
    table.add_column("confidence", justify="right")
    table.add_column("", no_wrap=True)
    if shares:
        table.add_column("distribution")
    for task in sorted(tasks, key=lambda task: tasks[task]["confidence"])[:TASKS_SHOWN]:
        one = tasks[task]
        label = _short(one["label"]) + (" (level)" if one.get("tied") else "")
        row = [escape(task), escape(label), f"{one['confidence']:.2f}", bar(one["confidence"])]
        first = list(one["distribution"].items())[:SHARES_SHOWN]
        said = ", ".join(f"{_short(name)} {share:.0%}" for name, share in first)
        table.add_row(*row, *([escape(said)] if shares else []))
    return table


def workers_table(workers: dict[str, dict[str, Any]]) -> Table:
    """Make the table of those who answered most."""
    most = sorted(workers, key=lambda worker: -workers[worker]["answers"])[:WORKERS_SHOWN]
    figures = [name for name in next(iter(workers.values())) if name not in {"answers", "clique"}]
    table = Table(title="\nWho answered most", title_justify="left", box=None, header_style="dim")
    table.add_column("worker", overflow="fold")
    for name in ("answers", *figures):
        table.add_column(name, justify="right")
    table.add_column("")
    for worker in most:
        one = workers[worker]
        cells = ["–" if one[name] is None else f"{one[name]:.2f}" for name in figures]
        first = one[figures[0]]
        drawn = bar(first) if first is not None and 0 <= first <= 1 and figures[0] != "bias" else ""
        table.add_row(escape(worker), f"{one['answers']:,}", *cells, drawn)
    return table


def bar(share: float) -> str:
    """Draw a share."""
    filled = round(share * BAR_WIDTH)
    return "█" * filled + "░" * (BAR_WIDTH - filled)


def _named(file: AnswerFile, method: str | None) -> str:
    """Find a method by its name, as people write it. Raises Refused."""
    known = METHODS[file.kind]
    if method is None:
        return next(iter(known))
    name = method.strip().lower().replace("-", "_").replace(" ", "_")
    name = SHORT_NAMES.get(name, name)
    if name not in known:
        raise Refused(f"There is no method {method!r} for {file.kind}; choose one of: {', '.join(known)}.")
    return name


def _fits(file: AnswerFile, method: str) -> None:
    """Refuse what no machine holds. Raises Refused."""
    classes = len(file.answers.classes)
    cells = len(file.answers.items) * classes
    if method in {"mix", "dawid_skene", "dawid_skene_ml"}:
        cells = max(cells, len(file.answers.workers) * classes**2)
    if file.kind == "class" and cells > CELLS_MAX:
        raise Refused(
            f"{classes:,} different labels are too many for {method}; try --method wawa, or --kind text or number."
        )


def _tasks(file: AnswerFile, outcome: Together) -> dict[str, Any]:
    from tasks.aggregators.labels import WRITERS

    write = WRITERS.get(file.kind, lambda label: label)
    confidence = np.clip(outcome.confidence, 0, 1).tolist()
    order = sorted(range(len(outcome.items)), key=lambda at: _natural(outcome.items[at]))
    tasks: dict[str, Any] = {}
    for at in order:
        label = outcome.labels[at]
        one = {
            "label": None if label is None else write(label),
            "confidence": round(confidence[at], 6),
            "distribution": outcome.distribution(at),
        }
        if label is None and isinstance(outcome, Outcome):
            row = outcome.posterior[at]
            level = [outcome.classes[code] for code in np.flatnonzero(row >= row.max() - LEVEL)]
            one |= {"label": min(level, key=_natural), "tied": True}
        tasks[outcome.items[at]] = one
    return tasks


def _workers(file: AnswerFile, outcome: Together) -> dict[str, Any]:
    count = np.bincount(file.answers.worker, minlength=len(file.answers.workers)).tolist()
    columns = {name: np.round(figures, 6).tolist() for name, figures in outcome.report.items()}
    if isinstance(outcome, Outcome) and outcome.fit is not None:
        from tasks.aggregators.signals import spammer_scores

        columns["news"] = np.round(spammer_scores(outcome), 6).tolist()
    order = sorted(range(len(count)), key=lambda at: _natural(outcome.workers[at]))
    return {
        outcome.workers[at]: {"answers": count[at]} | {name: column[at] for name, column in columns.items()}
        for at in order
    }


def _signals(file: AnswerFile, outcome: Together, workers: dict[str, Any]) -> list[dict[str, Any]]:
    """Say where a person should look, in words that name no culprit."""
    from tasks.aggregators.signals import LOOK_AT_CLIQUE, LOOK_AT_WORKER, cliques, without_news

    if not isinstance(outcome, Outcome):
        return []
    found = []
    for number, clique in enumerate(cliques(file.answers), 1):
        names = sorted((outcome.workers[code] for code in clique.workers.tolist()), key=_natural)
        figures = {"agreement": round(clique.agreement, 4), "implied": round(clique.implied, 4)}
        found.append({"signal": "clique", "words": str(LOOK_AT_CLIQUE), "workers": names, **figures})
        for name in names:
            workers[name]["clique"] = number
    quiet = without_news(file.answers, outcome).tolist() if outcome.fit else []
    if quiet:
        names = sorted((outcome.workers[code] for code in quiet), key=_natural)
        found.append({"signal": "no_news", "words": str(LOOK_AT_WORKER), "workers": names})
    return found


def _has(outcome: Together, item: Any) -> bool:
    return all(side in outcome.items for side in item) if isinstance(item, tuple) else item in outcome.items


def _natural(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
