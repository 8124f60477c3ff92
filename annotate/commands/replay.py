"""`fairlabel replay`: a real crowd's recorded answers pass through the whole product, and every figure is checked.

Exit code 0 only if nothing was lost or doubled, agreement is the reference's to 1e-9 where there is one, nobody is
under the floor, the ledger's checks hold and the bundles verify; 1 otherwise, naming what does not hold.
"""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tasks.errors import FairlabelError

KNOWN_BEFORE = timedelta(weeks=4)


@click.command(short_help="Play a recording of real answers and check everything.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", help="An instance on a simulated clock; without it one is started and thrown away.")
@click.option("--token", envvar="FAIRLABEL_TOKEN", help="The operator's API token there.")
@click.option(
    "--week", help="The ISO week to begin in, such as 2026-W30; else the latest that is over in time."
)
@click.option("--place", default="US", show_default=True, help="Where the workers say that they work.")
@click.option(
    "--seconds", default=20, show_default=True, type=click.IntRange(1, 3600), help="Assumed, if none."
)
@click.option("--workers-at-once", default=8, show_default=True, type=click.IntRange(1, 64))
@click.option("--keep", is_flag=True, help="Leave the thrown-away instance's directory for a look.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def replay(
    folder: Path,
    url: str | None,
    token: str | None,
    week: str | None,
    place: str,
    seconds: int,
    workers_at_once: int,
    *,
    keep: bool,
    as_document: bool,
) -> None:
    """Play the recording in FOLDER: each recorded worker an account, each answer through the public API."""
    from annotate import recordings
    from annotate.replay import Stage
    from annotate.stack.supervisor import Stopped
    from annotate.stack.throw_away import throw_away_instance

    console = Console(stderr=True, highlight=False)
    recording = recordings.read(folder, seconds)
    monday = monday_of(week) if week else last_monday(datetime.now(UTC), recording.weeks())
    introduce(console, recording, monday, seconds)
    began = time.monotonic()
    with ExitStack() as stack:
        try:
            if url is None:
                instance = stack.enter_context(throw_away_instance(console, monday - KNOWN_BEFORE, keep))
                stage = Stage(recording, instance.urls, instance.token, monday, place, workers_at_once)
                report = instance.look_after(lambda: run(stage, folder, console))
            else:
                if not token:
                    raise click.UsageError("With --url, give the operator's --token (or FAIRLABEL_TOKEN).")
                stage = Stage(recording, (url,), token, monday, place, workers_at_once)
                report = run(stage, folder, console)
        except Stopped:
            click.echo("Stopped.", err=True)
            sys.exit(1)
    report["wall_seconds"]["all"] = round(time.monotonic() - began, 1)
    if as_document:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        show(Console(highlight=False), report)
    sys.exit(1 if report["failures"] else 0)


def run(stage: Any, folder: Path, console: Console) -> dict[str, Any]:
    """Play, settle, close, pay, audit; give the whole report."""
    from annotate import replay, replay_checks

    def say(text: str) -> None:
        console.print(f"  [green]✓[/] {text}", soft_wrap=True)

    recording = stage.recording
    with bars(console) as progress:
        joining = progress.add_task("  accounts", total=len(recording.steps))
        replay.join(stage, lambda done: progress.advance(joining, done))
    say(f"{len(recording.steps):,} workers have joined")
    replay.prepare(stage, say)
    began = time.monotonic()
    with bars(console) as progress:
        bar = progress.add_task("  answers", total=recording.answers)
        played = replay.play(stage, lambda done: progress.advance(bar, done))
    played.seconds = time.monotonic() - began
    say(
        f"{played.sent:,} answers sent in {played.seconds:.1f} s ({played.sent / played.seconds:,.0f} per second)"
    )
    found = replay_checks.settle(stage, say)
    settled = time.monotonic() - began
    with stage.as_requester(stage.over) as requester:
        shown = requester.get(f"/api/v1/batches/{stage.batch_id}")["agreement"][0]
    codes = replay.close_periods(stage, say)
    with stage.operator(stage.over) as operator:
        report: dict[str, Any] = {
            "recording": recording.name,
            "workers": len(recording.steps),
            "timed": recording.timed,
            "left_out": recording.left_out,
            "periods": codes,
            "answers": {"sent": played.sent, "known_before": played.duplicates, "sent_again": played.again}
            | replay_checks.stored(stage, found, shown["answers"]),
            "accuracy": replay_checks.quality(recording, found),
            "alpha": replay_checks.agreed(folder, recording, found, shown),
            "pay": replay_checks.pay(operator, codes),
            "recorded_seconds": replay_checks.recorded_seconds(recording),
            "verify": [verify(operator, code, console) for code in codes],
            "ledger": replay_checks.ledger(operator),  # a bundle brings all facts into the log first
            "wall_seconds": {"answers": round(played.seconds, 1), "settled": round(settled, 1)},
        }
    report["failures"] = replay_checks.failures(report)
    return report


def verify(operator: Any, code: str, console: Console) -> dict[str, Any]:
    """Take a period's bundle home and verify it with the offline program."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="fairlabel-bundle-") as place:
        path = Path(place) / f"fairlabel-{code}.zip"
        try:
            path.write_bytes(operator.send("GET", f"/api/v1/audit/bundles/{code}.zip").content)
        except FairlabelError as problem:
            console.print(f"  [red]✗[/] no bundle of {code}: {problem.message}", soft_wrap=True)
            return {"period": code, "ok": False, "bytes": 0, "said": problem.message}
        program = [sys.executable, "-m", "annotate.cli", "verify", str(path), "--json"]
        done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603
        size = path.stat().st_size
    words = (done.stderr or done.stdout).strip()
    mark = "[green]✓[/]" if done.returncode == 0 else "[red]✗[/]"
    console.print(f"  {mark} bundle of {code} ({size / 1e6:.1f} MB) verified offline", soft_wrap=True)
    return {
        "period": code,
        "ok": done.returncode == 0,
        "bytes": size,
        "said": words if done.returncode else "",
    }


def bars(console: Console) -> Progress:
    """Make the progress bar."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def introduce(console: Console, recording: Any, monday: datetime, seconds: int) -> None:
    """Say what is played and what is assumed."""
    console.print(
        f"[bold]{recording.name}[/]: {recording.answers:,} answers of {len(recording.steps):,} workers "
        f"to {len(recording.tasks):,} tasks, from Monday {monday:%Y-%m-%d} over {recording.weeks()} week(s)",
        soft_wrap=True,
    )
    pace = "the recorded seconds" if recording.timed else f"{seconds} s for each answer, an assumption"
    console.print(
        f"  time: {pace}; from 09:00 UTC, at most 7 hours a day on 5 days a week", style="dim", soft_wrap=True
    )
    if recording.left_out:
        console.print(
            f"  [yellow]![/] {recording.left_out:,} answers are left out: a task can ask for 100 at most, so there is "
            "no reference for alpha",
            soft_wrap=True,
        )


def show(console: Console, report: dict[str, Any]) -> None:
    """Print the report for people."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for label, value in rows(report):
        table.add_row(label, value)
    console.print()
    console.print(table)
    if report["failures"]:
        for one in report["failures"]:
            console.print(f"[red]✗[/] {one}", soft_wrap=True)
    else:
        console.print("[green]✓[/] Nothing lost, nothing doubled, everybody paid, the books hold.")


def rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Give the report as labels and values."""
    kept, alpha, right, paid = report["answers"], report["alpha"], report["accuracy"], report["pay"]
    unit = paid["currency"]
    made = [
        ("Answers sent", f"{kept['sent']:,} ({kept['known_before']:,} known before)"),
        (
            "Answers stored",
            f"{kept['stored']:,} of {kept['answers']:,} in the export, {kept['counted_by_api']:,} counted",
        ),
        ("Lost / doubled", f"{kept['lost']} / {kept['doubled']}"),
    ]
    if right["consensus"] is not None:
        made.append(
            ("Accuracy of the consensus", f"{right['consensus']:.4f} on {right['gold']:,} gold items")
        )
        made.append(
            ("Accuracy of one answer alone", f"{right['one_answer']:.4f} (marks are right in part)")
            if right["majority"] is None
            else ("Accuracy of majority vote", f"{right['majority']:.4f} (ties split)")
        )
    made.append((f"Alpha ({alpha['metric']}), export", figure(alpha["exported"])))
    made.append((f"Alpha ({alpha['metric']}), batch's page", figure(alpha["shown"])))
    if alpha["pairs_alike"] is not None:
        made.append(("Pairs of answers alike", figure(alpha["pairs_alike"])))
    if alpha["reference"] is not None and alpha["exported"] is not None:
        difference = abs(alpha["exported"] - alpha["reference"])
        made.append(("Alpha, reference", f"{alpha['reference']:.12f} (difference {difference:.1e})"))
    hours = paid["credited_seconds"] / 3600
    made += [
        ("Answers paid", f"{paid['answers_paid']:,} of {paid['workers']:,} workers"),
        ("Time credited", f"{hours:,.1f} h, recorded {report['recorded_seconds'] / 3600:,.1f} h"),
        ("Paid", f"{paid['paid']} {unit}, of it top-ups {paid['topups']} {unit}"),
        ("Per hour, median / lowest", f"{paid['hourly_median']} / {paid['hourly_lowest']} {unit}"),
        ("Floor", f"{paid['floor']} {unit} per hour; {paid['under_floor']} workers under it"),
        (
            "Ledger",
            f"{report['ledger']['checks']} checks, {'all hold' if report['ledger']['ok'] else 'some fail'}",
        ),
        ("Bundles verified", ", ".join(one["period"] for one in report["verify"] if one["ok"]) or "none"),
        (
            "Wall time",
            f"{report['wall_seconds']['answers']} s for answers, {report['wall_seconds']['all']} s in all",
        ),
    ]
    return made


def figure(value: float | None) -> str:
    """Write a measure, or a dash where the answers give none."""
    return "–" if value is None else f"{value:.12f}"


def last_monday(now: datetime, weeks: int) -> datetime:
    """Give the latest Monday from which so many weeks are over."""
    from payments.periods import start_of

    return start_of(now) - timedelta(weeks=weeks)


def monday_of(code: str) -> datetime:
    """Read an ISO week."""
    try:
        return datetime.strptime(f"{code}-1", "%G-W%V-%u").replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("write it as 2026-W30.", param_hint="--week") from None
