"""Verification: `fairlabel verify` on a bundle of generated work, against reading the same bytes and no more."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import bundles
import closing
import factories
from bench.databases import database

from annotate import audit_bundle
from payments import payouts, payroll
from payments.periods import WEEK, period_at, start_of
from tasks.db import transaction

ENTRIES = int(os.environ.get("BENCH_ENTRIES", "10000"))
"""How many entries the log has at least: one for each worker's line of a batch, two for the worker."""
BATCHES = 8
WORK_SECONDS = 40
RUNS = 3
YARDSTICK = Path(__file__).with_name("yardstick.py")


class Cost(NamedTuple):
    """What a program used: CPU seconds and, at most, bytes of memory."""

    seconds: float
    memory: int


class Size(NamedTuple):
    """How large a bundle is."""

    entries: int
    rows: int
    bytes: int


def make_bundle(server: str, path: Path) -> Size:
    """Let workers answer, close their week, pay it and write its bundle, all by the product; gives its size."""
    engine = database(server, "verified")
    now = datetime.now(UTC).replace(microsecond=0)
    monday = start_of(now) - WEEK
    with transaction(engine) as session:
        _work(session, monday, -(-ENTRIES // (BATCHES + 2)))
        period_id, code = (period := period_at(session, monday, now)).id, period.code

    def run(step: Any) -> Any:
        with transaction(engine) as session:
            return step(session)

    payroll.close_period(run, period_id, now)
    with transaction(engine) as session:
        for planned in payouts.runs_of(session, period_id):
            payouts.make_file(session, planned, now)
    with path.open("w+b") as out:
        audit_bundle.make(engine, [code], bundles.KEY, bundles.ORIGIN, now, out)
    engine.dispose()
    with ZipFile(path) as zipped:
        files = json.loads(zipped.read("manifest.json"))["files"]
    log = next(one["rows"] for one in files if one["name"] == "log.jsonl")
    return Size(log, sum(one["rows"] for one in files), sum(one["bytes"] for one in files))


def verify(path: Path) -> tuple[Cost, Cost]:
    """Give the cost of verifying a bundle and that of the yardstick, the best of some runs each."""
    ours = [sys.executable, "-m", "annotate.cli", "verify", str(path), "--key", bundles.PUBLIC]
    theirs = [sys.executable, str(YARDSTICK), str(path), bundles.PUBLIC]
    return min(_cost(ours) for _ in range(RUNS)), min(_cost(theirs) for _ in range(RUNS))


def _work(session: Any, monday: datetime, workers: int) -> None:
    before = monday - timedelta(days=1)
    factories.floors(session, before)
    served = [
        closing.paid_batch(session, before, "KES", "30", items=workers, answers_wanted=1)
        for _ in range(BATCHES)
    ]
    for batch in served:
        closing.fund(session, f"batch_reserve:{batch.id}:KES", 10_000 * workers, before)
    for number in range(workers):
        worker = factories.worker(session, before, name=f"Worker {number}")
        at = monday + timedelta(hours=9)
        for batch in served:
            at = closing.work(session, batch, worker, at, WORK_SECONDS) + timedelta(seconds=2)


def _cost(command: list[str]) -> Cost:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory, ended, status = 0, 0, 0
    while not ended:
        memory = max(memory, _peak_memory(process.pid))
        time.sleep(0.005)
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Cost(used.ru_utime + used.ru_stime, memory)


def _peak_memory(pid: int) -> int:
    """Read the most that a program has used so far; its resource usage would count its parent's as well."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 if found else 0
