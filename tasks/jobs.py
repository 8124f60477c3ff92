"""Thin jobs of the work side: each opens one transaction, asks the clock, calls one function.

The sweeps at the end find in the database whatever a lost message left undone.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tasks import answers, assignments, clock, exclusions, intake, progress
from tasks.batches import fit_lease, open_batches
from tasks.db import engine_for, transaction
from tasks.queue import JOB_SECONDS, enqueue, job
from tasks.settings import TaskSettings

SAID_EVERY = 1.0


@lru_cache(maxsize=1)
def settings() -> TaskSettings:
    """Read the settings once per process."""
    return TaskSettings.from_env()


def job_engine() -> Engine:
    """Give this process's engine; a statement that takes longer than a job may is ended by the database."""
    return engine_for(settings().database_url, settings().database_pool, JOB_SECONDS)


@contextmanager
def job_transaction() -> Iterator[tuple[Session, datetime]]:
    """Run one job as one transaction with its time."""
    with transaction(job_engine()) as session:
        yield session, clock.now(session, simulated=settings().simulated)


def beside(subject: UUID) -> Callable[[int, int], None]:
    """Say how far a long job is, beside its own transaction, at most once a second and at the end."""
    last = 0.0

    def say(done: int, of: int) -> None:
        nonlocal last
        if done < of and time.monotonic() - last < SAID_EVERY:
            return
        last = time.monotonic()
        with job_transaction() as (session, at):
            progress.report(session, subject, done, of, at)

    return say


@job("tasks.import_upload", queue="intake")
def import_upload(upload_id: str) -> None:
    """Import an uploaded file, saying how far it is."""
    subject, origins = UUID(upload_id), settings().fairlabel_media_origins.split()
    with job_transaction() as (session, now):
        intake.import_upload(session, subject, now, beside(subject), origins)


@job("tasks.expire_leases")
def expire_leases() -> None:
    """End the leases that have run out."""
    with job_transaction() as (session, now):
        assignments.expire(session, now)


@job("tasks.lift_exclusions")
def lift_exclusions() -> None:
    """Lift the exclusions that were contested and that nobody decided in time."""
    with job_transaction() as (session, now):
        exclusions.lift_overdue(session, now)


@job("tasks.fit_leases")
def fit_leases() -> None:
    """Let each open batch's own answers say how long its leases last."""
    with job_transaction() as (session, _):
        for batch in open_batches(session):
            typical = answers.typical_seconds(session, batch.id)
            if typical is not None:
                fit_lease(session, batch, typical)


@job("tasks.sweep_uploads", queue="intake")
def sweep_uploads() -> None:
    """Send the imports again whose message was lost."""
    with job_transaction() as (session, _):
        for upload_id in intake.waiting_uploads(session):
            enqueue(session, "tasks.import_upload", str(upload_id))
