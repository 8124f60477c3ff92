"""The worker process: runs the jobs of every module, and the clock (beat) that starts the sweeps.

Every kind of job has a sweep in `SCHEDULE`, so that a lost message costs time and nothing else. A run that
nobody took before the next one is due is dropped: a stopped worker does not come back to a heap of them.
"""

import importlib
import importlib.util
import json
import os
import signal
from pathlib import Path

from annotate.stack.process import die_with_parent
from tasks.queue import celery, configure, when_ready
from tasks.settings import TaskSettings

JOB_MODULES = ("tasks.jobs", "payments.jobs", "annotate.jobs")

SCHEDULE = {
    "annotate.beat": 20,
    "tasks.expire_leases": 30,
    "tasks.lift_exclusions": 300,
    "tasks.fit_leases": 300,
    "tasks.sweep_uploads": 60,
    "annotate.sweep_items": 30,
    "annotate.refit_batches": 60,
    "annotate.sweep_known_answers": 60,
    "annotate.forget": 3600,
    "payments.sweep": 30,
    "payments.close_due_periods": 300,
    "payments.make_payout_files": 60,
    "payments.sequence_log": 20,
    "payments.sweep_reports": 20,
}
"""Sweeps and their periods in seconds."""
SWEPT_BY = {
    "tasks.import_upload": "tasks.sweep_uploads",
    "tasks.check_items": "annotate.sweep_items",
    "annotate.refit_batch": "annotate.refit_batches",
    "payments.close_period": "payments.close_due_periods",
    "payments.make_report": "payments.sweep_reports",
}
"""Every other job, and the sweep that sends it again."""


def load_jobs() -> None:
    """Import the modules that register jobs."""
    for name in JOB_MODULES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def run(
    *,
    concurrency: int,
    queues: str,
    pool: str,
    state: Path,
    beat: bool,
    ready_file: Path | None = None,
    as_document: bool = False,
) -> None:
    """Work until told to stop; say as one JSON document when jobs are taken, if that is asked for."""
    settings = TaskSettings.from_env()
    configure(settings)
    load_jobs()
    celery.conf.beat_schedule = {
        name: {"task": name, "schedule": seconds, "options": {"expires": seconds}}
        for name, seconds in SCHEDULE.items()
    }
    from annotate.jobs import beat as say_alive

    when_ready(say_alive)
    if ready_file is not None:
        when_ready(lambda: _tell(ready_file))
    if as_document:
        told = {"pid": os.getpid(), "queues": queues.split(","), "concurrency": concurrency, "beat": beat}
        _tell_programs(told)
    arguments = [
        "worker",
        f"--pool={pool}",
        f"--concurrency={concurrency}",
        f"--queues={queues}",
        "--loglevel=INFO",
    ]
    arguments += ["--without-gossip", "--without-mingle"]
    if beat:
        us = os.getpid()
        os.register_at_fork(
            after_in_child=lambda: die_with_parent(us, signal.SIGKILL)
        )  # beat is a fork of us
        state.mkdir(parents=True, exist_ok=True)
        arguments += ["--beat", f"--schedule={state / 'beat-schedule'}"]
    celery.worker_main(arguments)


def _tell_programs(told: dict[str, object]) -> None:
    """Write one document once jobs are taken, and everything else that is printed to standard error."""
    out = os.dup(1)
    os.dup2(2, 1)

    def tell() -> None:
        os.write(out, (json.dumps(told) + "\n").encode())

    when_ready(tell)


def _tell(ready_file: Path) -> None:
    ready_file.write_text(str(os.getpid()))
