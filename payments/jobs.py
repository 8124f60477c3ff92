"""Thin jobs of the money side: each opens its transactions, asks the clock, calls one function.

They may run twice, late or at once: what they do is done once. Each of them is a sweep or is found by one.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from payments import earnings, funding, payouts, payroll, reports, transparency, worktime
from payments.settings import PaymentSettings
from tasks import clock
from tasks.batches import get_batch, open_batches
from tasks.db import transaction
from tasks.errors import FairlabelError
from tasks.jobs import beside, job_engine, job_transaction
from tasks.jobs import settings as task_settings
from tasks.queue import enqueue, job

log = logging.getLogger(__name__)

T = TypeVar("T")


@lru_cache(maxsize=1)
def settings() -> PaymentSettings:
    """Read the settings once per process."""
    return PaymentSettings.from_env()


@job("payments.sweep", queue="money")
def sweep() -> None:
    """Find what has no earning, accept what nobody decided, and look after the reserves of open batches."""
    with job_transaction() as (session, now):
        earnings.sweep(session, now)
        worktime.accept_overdue(session, now)
        served = [batch.id for batch in open_batches(session)]
    for batch_id in served:
        try:
            with job_transaction() as (session, now):
                batch = get_batch(session, batch_id)
                if not funding.watch(session, batch, now):
                    funding.open_waiting(session, batch, now)
        except FairlabelError:
            # One batch without terms or rates must not keep the others waiting.
            log.exception("the reserve of batch %s could not be looked after", batch_id)


@job("payments.close_due_periods", queue="money")
def close_due_periods() -> None:
    """Close what is over; where time is simulated, whoever turns the clock closes."""
    if task_settings().simulated:
        return
    with job_transaction() as (session, now):
        for period in payroll.due_periods(session, now):
            enqueue(session, "payments.close_period", str(period.id))


@job("payments.close_period", queue="money")
def close_period(period_id: str) -> None:
    """Close one period, a transaction for each worker, saying how far it is."""
    subject = UUID(period_id)
    with job_transaction() as (_, now):
        pass
    payroll.close_period(_in_own_transaction, subject, now, beside(subject), settings().payer)


@job("payments.make_report", queue="money")
def make_report(report_id: str) -> None:
    """Make one report from one snapshot of the database; one that cannot be made is given up, and the log says why."""
    subject, began = UUID(report_id), datetime.now(UTC)
    snapshot = job_engine().execution_options(isolation_level="REPEATABLE READ")
    try:
        with transaction(snapshot) as session:
            now = clock.now(session, simulated=task_settings().simulated)
            result = reports.make(session, subject, now, beside(subject))
            if result is not None:
                reports.keep(session, subject, result, began, datetime.now(UTC))
    except Exception:
        log.exception("the report %s could not be made", subject)
        with job_transaction() as (session, _):
            reports.keep(session, subject, None, began, datetime.now(UTC))


@job("payments.sweep_reports", queue="money")
def sweep_reports() -> None:
    """Send again what waits to be made, and ask for what has grown old."""
    with job_transaction() as (session, _):
        reports.sweep(session, datetime.now(UTC))


@job("payments.make_payout_files", queue="money")
def make_payout_files() -> None:
    """Make the files of all planned runs."""
    with job_transaction() as (session, _):
        planned = [run.id for run in payouts.planned_runs(session)]
    for run_id in planned:
        with job_transaction() as (session, now):
            payouts.make_file(session, payouts.get_run(session, run_id), now)


@job("payments.sequence_log", queue="money")
def sequence_log() -> None:
    """Give waiting facts their places in the log and sign its head, if this instance has a key."""
    more = True
    while more:
        with job_transaction() as (session, now):
            more = transparency.sequence(session, now) > 0
    if settings().log_key:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings().log_key))
        with job_transaction() as (session, now):
            transparency.sign_checkpoint(session, key, settings().log_origin, now)


def _in_own_transaction(step: Callable[[Session], T]) -> T:
    with transaction(job_engine()) as session:
        return step(session)
