"""`fairlabel agreement`: how alike the answers of a table are, by every measure, without a server.

Exit code 0 if the measures were computed (whatever they are), 2 if the file cannot be read.
"""

from pathlib import Path
from typing import Any, Final, get_args

import click
import msgspec
from rich.console import Console
from rich.table import Table

from annotate.answer_files import UnreadableAnswers
from tasks.agreement import Metric

NAMES: Final = {
    "alpha_nominal": "Alpha, nominal",
    "alpha_ordinal": "Alpha, ordinal",
    "alpha_interval": "Alpha, interval",
    "alpha_ratio": "Alpha, ratio",
    "alpha_marks": "Alpha, marks in part",
    "percent": "Percent agreement",
    "fleiss_kappa": "Fleiss’ kappa",
    "ac1": "Gwet’s AC1",
}
LINE_WIDTH: Final = 24


class Refused(click.ClickException):
    """A file or an option does not fit."""

    exit_code = 2


@click.command(short_help="Measure the agreement of a table of answers.")
@click.argument("answers", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--level",
    type=click.Choice(get_args(Metric)),
    multiple=True,
    help="Alpha at this level; without it at nominal, and at all if there are several numbers.",
)
@click.option("--order", help="The labels from lowest to highest, with commas, for the ordinal level.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def agreement(answers: Path, level: tuple[Metric, ...], order: str | None, *, as_document: bool) -> None:
    """Say how alike the answers in ANSWERS are: a CSV file with the columns task, worker and label.

    Of a worker's answers to one task the last one counts. Spans and boxes (JSON lists) agree in part.
    """
    from annotate.answer_files import read

    try:
        file = read(answers)
    except UnreadableAnswers as problem:
        raise Refused(problem.message) from None
    ranks = [part.strip() for part in order.split(",")] if order else None
    document = measured(file, level, ranks)
    if as_document:
        click.echo(msgspec.json.encode(document))
    else:
        show(Console(highlight=False), document)


def measured(file: Any, levels: tuple[Metric, ...] = (), order: list[str] | None = None) -> dict[str, Any]:
    """Make the document: every measure, its interval, and in words what is undefined or misleads."""
    from tasks.reliability import report

    numeric = all(_is_number(name) for name in file.answers.classes)
    if not levels:
        several = numeric and len(file.answers.classes) > 2  # of two labels, all levels say the same
        levels = get_args(Metric) if several else (("ordinal",) if order else ())
    wanted = tuple(dict.fromkeys(("nominal", *levels)))
    found = report(file.answers, wanted, order)
    of_marks = _of_marks(file)
    measures = dict(found.measures) | of_marks
    alphas = {name.removeprefix("alpha_"): measure for name, measure in measures.items() if "alpha_" in name}
    return {
        "alpha": {level: measure.value for level, measure in alphas.items()},
        "percent": measures["percent"].value,
        "fleiss_kappa": measures["fleiss_kappa"].value,
        "ac1": measures["ac1"].value,
        "reason": {name: str(measure.why) for name, measure in measures.items() if measure.value is None},
        "intervals": {
            name: list(interval) for name, interval in found.intervals.items() if name not in of_marks
        },
        "warnings": [str(warning) for warning in found.warnings] if file.kind == "class" else [],
        "kind": file.kind,
        "rows": file.rows,
        "answers": len(file.answers),
        "tasks": len(file.answers.items),
        "workers": len(file.answers.workers),
        "classes": len(file.answers.classes),
    }


def show(console: Console, of: dict[str, Any]) -> None:
    """Print the document as a table, each measure with its place between 0 and 1."""
    console.print(
        f"{of['answers']:,} answers to {of['tasks']:,} tasks by {of['workers']:,} workers, "
        f"{of['classes']:,} different labels ({of['kind']})"
    )
    table = Table(box=None, header_style="dim")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("95 % of samples", justify="right")
    table.add_column(f"0{'1':>{LINE_WIDTH - 1}}")
    figures = {f"alpha_{level}": value for level, value in of["alpha"].items()} | {
        name: of[name] for name in ("percent", "fleiss_kappa", "ac1")
    }
    for name, value in figures.items():
        interval = of["intervals"].get(name)
        between = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
        table.add_row(NAMES[name], "–" if value is None else f"{value:.3f}", between, line(value, interval))
    console.print(table)
    for name, reason in of["reason"].items():
        console.print(f"  – {NAMES[name]}: {reason}", style="dim", markup=False)
    for warning in of["warnings"]:
        console.print(f"  ! {warning}", markup=False)


def line(value: float | None, interval: list[float] | None) -> str:
    """Draw a value on a line from 0 to 1, with its interval."""
    if value is None:
        return ""
    cells = ["·"] * LINE_WIDTH
    low, high = interval or (value, value)
    for at in range(_cell(low), _cell(high) + 1):
        cells[at] = "─"
    cells[_cell(value)] = "●"
    return "".join(cells)


def _cell(value: float) -> int:
    return min(LINE_WIDTH - 1, max(0, round(value * (LINE_WIDTH - 1))))


def _of_marks(file: Any) -> dict[str, Any]:
    if file.kind not in {"spans", "boxes"}:
        return {}
    from tasks.distances import measures

    found = measures(file.kind, file.answers)
    return {"alpha_marks": found.alpha, "percent": found.percent, "ac1": found.ac1}


def _is_number(text: str) -> bool:
    from tasks.aggregators.labels import read_number

    try:
        read_number(text)
    except ValueError:
        return False
    return True
