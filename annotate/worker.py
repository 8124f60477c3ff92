"""The worker process: runs the jobs of every module, and the clock (beat) that starts the sweeps.

A module with jobs may offer `SCHEDULE`, which maps a job's name to the seconds between two runs. A run that
nobody took before the next one is due is dropped, so that a stopped worker does not come back to a heap of
them.
"""

import importlib
import importlib.util
import os
import signal
from pathlib import Path

from annotate.stack.process import die_with_parent
from tasks.queue import celery, configure, when_ready
from tasks.settings import TaskSettings

JOB_MODULES = ("tasks.jobs", "payments.jobs", "annotate.jobs")
QUEUES = ("work", "money", "intake")


def load_jobs() -> dict[str, float]:
    """Import the modules with jobs; give each scheduled job's period in seconds."""
    schedule: dict[str, float] = {}
    for name in JOB_MODULES:
        if importlib.util.find_spec(name) is not None:
            schedule.update(getattr(importlib.import_module(name), "SCHEDULE", {}))
    return schedule


def run(*, concurrency: int, queues: str, state: Path, beat: bool, ready_file: Path | None = None) -> None:
    """Work until told to stop."""
    settings = TaskSettings.from_env()
    configure(settings)
    schedule = load_jobs()
    celery.conf.beat_schedule = {
        name: {"task": name, "schedule": seconds, "options": {"expires": seconds}}
        for name, seconds in schedule.items()
    }
    if ready_file is not None:
        when_ready(lambda: _tell(ready_file))
    arguments = [
        "worker",
        "--pool=threads",
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


def _tell(ready_file: Path) -> None:
    ready_file.write_text(str(os.getpid()))
