"""Jobs that join work and money, which know nothing of each other: here they are called one after the other."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from annotate import auth, heartbeat
from payments import funding
from tasks import answers, consensus, gold, items, looks, qualifications, refits
from tasks.batches import get_batch, open_batches
from tasks.jobs import job_transaction
from tasks.looks import Looked
from tasks.queue import enqueue, enqueue_check, job

log = logging.getLogger(__name__)


@job("tasks.check_items")
def check_items(item_ids: list[int]) -> None:
    """Look at items' answers; where one more is asked for, open its slot as far as the money goes."""
    try:
        _look(item_ids)
    except Exception:
        log.exception("items %s could not be looked at; the sweep will try again", item_ids)
        # One item's fault is not the others'.
        for item_id in item_ids if len(item_ids) > 1 else ():
            check_items([item_id])


def _look(item_ids: list[int]) -> None:
    with job_transaction() as (session, now):
        looked = looks.check_items(session, item_ids, now)
        _open_waiting(session, looked, now)
        for batch_id in {one.batch_id for one in looked}:
            if refits.is_due(session, batch_id, now):
                enqueue(session, "annotate.refit_batch", str(batch_id))


@job("annotate.sweep_items")
def sweep_items() -> None:
    """Send the look at items again where its message was lost."""
    with job_transaction() as (session, _):
        for item_id in answers.unseen_items(session):
            enqueue_check(session, item_id)


@job("annotate.refit_batches")
def refit_batches() -> None:
    """Weigh all answers of each batch together again where new ones have come, or where it stands still."""
    with job_transaction() as (session, _):
        for batch_id in refits.stale_batches(session):
            enqueue(session, "annotate.refit_batch", str(batch_id))


@job("annotate.refit_batch")
def refit_batch(batch_id: str) -> None:
    """Weigh all answers of one batch together; open the slots that this asks for."""
    with job_transaction() as (session, now):
        _open_waiting(session, refits.refit(session, get_batch(session, UUID(batch_id)), now), now)


@job("annotate.sweep_known_answers")
def sweep_known_answers() -> None:
    """Uphold the contests that nobody decided, and take back known answers where all other work is done."""
    with job_transaction() as (session, now):
        for project_id, workers in gold.uphold_overdue(session, now).items():
            qualifications.reconsider_all(session, project_id, workers, now)
        for batch in open_batches(session):
            if consensus.is_complete(session, batch):
                items.withdraw_gold(session, batch.id)


@job("annotate.forget")
def forget() -> None:
    """Drop sign-ins and counted attempts that have run out."""
    with job_transaction() as (session, now):
        auth.forget_old(session, now)


@job("annotate.beat")
def beat() -> None:
    """Say that a worker runs; pages warn when they have not heard it for some minutes."""
    with job_transaction() as (session, _):
        heartbeat.beat(session)


def _open_waiting(session: Session, looked: Sequence[Looked], now: datetime) -> None:
    for batch_id in sorted({one.batch_id for one in looked if one.waits}):
        funding.open_waiting(session, get_batch(session, batch_id), now)
