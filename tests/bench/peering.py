"""The same annotation loop as the peers: our adapter in their driver, beside their recorded figures.

`../shared/bench/peers` holds the driver, which runs in an environment of its own; without it there is nothing to run.
BENCH_ITEMS, BENCH_ANNOTATORS and BENCH_SECONDS choose the sizes; BENCH_POTATO=1 installs and runs Potato beside us.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotate.stack.throw_away import directory, free_port

ROOT = Path(__file__).parents[2]
DRIVER = ROOT.parent / "shared" / "bench" / "peers"
HERE = Path(__file__).parent / "peers"
CACHE = ROOT / ".venv"
NEEDS = ("aiohttp", "psutil", "playwright")
POTATO = "potato-annotation"
SECONDS = os.environ.get("BENCH_SECONDS", "10")
ITEMS = os.environ.get("BENCH_ITEMS", "10000,100000")
ANNOTATORS = os.environ.get("BENCH_ANNOTATORS", "1,8,32")
MEASURES = os.environ.get("BENCH_MEASURES", "cold,import,loop,export,probe,page")

IMPORTED = {10_000: 2_760, 100_000: 2_590}
"""Items per second of Label Studio on SQLite, the best peer that imports while it runs."""
LOOP_CPU = {10_000: {1: 88, 8: 92, 32: 82}, 100_000: {1: 438, 8: 507, 32: 513}}
"""CPU milliseconds per submission of Potato, the best peer that hands work out, by items and annotators."""
EXPORTED = 920
"""Rows per second of doccano."""


def measured(driver: Path) -> list[dict[str, Any]]:
    """Run the driver on an instance of our own, and on Potato if that is asked for; gives its rows."""
    home, port = directory(), free_port()
    python = str(environment("peers", *NEEDS))
    ours = {"FAIRLABEL_HOME": str(home), "FAIRLABEL_INSTANCE": "test", "PYTHONPATH": str(ROOT)}
    cleared = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}
    }
    command = [python, str(HERE / "drive.py"), str(driver), "--peer", "fairlabel", *_sizes()]
    command += ["--base-url", f"http://127.0.0.1:{port}", "--settle", "3", "--measures", MEASURES]
    command += ["--start", f"{sys.executable} -m annotate.cli up --port {port}"]
    operator = f"{sys.executable} {HERE / 'first_operator.py'}"
    command += ["--option", f"first_operator={operator}", *_browser()]
    try:
        rows = list(_rows(command, cleared | ours))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if os.environ.get("BENCH_POTATO"):
        rows += _potato(driver, python)
    return rows


def environment(name: str, *packages: str) -> Path:
    """Make an environment for a program that is no part of the product, or take the one that is there."""
    place = CACHE / f"bench-{name}"
    python = place / "bin" / "python"
    if not (place / "made").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", str(place)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
        (place / "made").touch()
    return python


def table(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Put our rows beside what was recorded for the peers; a ratio above one is better for us."""
    potato = {
        (row["items"], row["annotators"]): row["cpu_ms_per_submission"]
        for row in rows
        if row["peer"] == "potato" and row["measure"] == "loop"
    }
    for row in rows:
        if row["peer"] == "fairlabel":
            yield from _told(row, potato)


def _told(row: dict[str, Any], potato: dict[Any, float]) -> Iterator[tuple[str, str, str, str]]:
    measure, items = row["measure"], row.get("items", 0)
    if measure == "cold":
        yield "cold start", f"{row['ready_s']} s, {row['idle_pss_mb']} MB", "5.9 s, 160 MB best peers", ""
    elif measure == "import":
        best, ours = IMPORTED.get(items, 0), row["items_per_s"]
        told = f"{best:,}/s Label Studio" if best else ""
        yield f"import, {items:,} items", f"{ours:,.0f}/s", told, f"{ours / best:.1f}" if best else ""
    elif measure == "loop":
        who, ours = row["annotators"], row["cpu_ms_per_submission"]
        theirs = potato.get((items, who), LOOP_CPU.get(items, {}).get(who, 0))
        told = f"{theirs} ms Potato{', this run' if (items, who) in potato else ''}" if theirs else ""
        name = f"next+submit, {items:,} items, {who} at a time"
        figures = f"{ours} ms CPU, {row['per_s']:.0f}/s, p99 {row['submit_ms'].get('p99')} ms"
        yield name, figures, told, f"{theirs / ours:.0f}" if theirs else ""
    elif measure == "export":
        yield f"export, {row['rows']:,} rows", f"{row['rows_per_s']:,.0f}/s", f"{EXPORTED}/s doccano", ""
    elif measure == "ledger":
        wrong = ("lost", "wrong_label", "never_acked", "same_worker_twice", "answers_beyond_overlap")
        yield (
            f"ledger, {row['acked']:,} answers",
            ", ".join(f"{row.get(name)} {name}" for name in wrong),
            "",
            "",
        )
    elif measure == "probe":
        refused = [name for name, got in row.items() if got is False]
        taken = [name for name, got in row.items() if got is True]
        yield "probe", f"{len(refused)} refused, taken: {', '.join(taken) or 'none'}", "", ""
    elif measure == "page":
        figures = f"{row['requests']} requests, {row['wire_kb']} KB, usable {row.get('usable_s')} s"
        yield (
            f"page, {row['net']}, CPU ÷ {row['cpu_slowdown']}",
            figures,
            "22 requests, 727 KB best peers",
            "",
        )
    elif measure == "failed":
        yield "failed", str(row["error"])[:90], "", ""


def _sizes() -> list[str]:
    return ["--items", ITEMS, "--annotators", ANNOTATORS, "--seconds", SECONDS]


def _browser() -> list[str]:
    sys.path.insert(0, str(ROOT / "tests"))
    from browser_finder import find_chromium

    found = find_chromium()
    return ["--chromium", str(found)] if found else []


def _rows(command: list[str], env: dict[str, str]) -> Iterator[dict[str, Any]]:
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            yield json.loads(line)


def _potato(driver: Path, python: str) -> list[dict[str, Any]]:
    """Measure Potato with the driver's own adapter, as it was measured for the recorded figures."""
    program = environment("potato", POTATO).parent / "potato"
    folder, port = directory(), free_port()
    command = [python, str(driver / "bench.py"), "--peer", "potato", *_sizes(), "--measures", "loop"]
    command += ["--base-url", f"http://127.0.0.1:{port}", "--cwd", str(folder), "--settle", "3"]
    command += ["--start", f"{shlex.quote(str(program))} start config.yaml -p {port} --host 127.0.0.1"]
    command += ["--option", f"dir={folder}", "--option", "per_user=1000"]
    try:
        return list(_rows(command, dict(os.environ)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
