"""Jobs that join work and money, which know nothing of each other: here they are called one after the other."""

from uuid import UUID

from annotate import auth, heartbeat
from payments import funding
from tasks import consensus
from tasks.batches import get_batch, open_batches
from tasks.jobs import job_transaction
from tasks.queue import enqueue, job


@job("tasks.check_item")
def check_item(item_id: int) -> None:
    """Look at one item's answers; if one more is asked for, open its slot as far as the money goes."""
    with job_transaction() as (session, now):
        outcome = consensus.check_item(session, item_id, now)
        if outcome is None or outcome.state != consensus.ConsensusState.COLLECTING:
            return
        batch = get_batch(session, outcome.batch_id)
        if outcome.answers >= batch.answers_wanted:
            funding.open_waiting(session, batch, now)


@job("annotate.sweep_items")
def sweep_items() -> None:
    """Send the look at an item again where its message was lost."""
    with job_transaction() as (session, _):
        for item_id in consensus.unchecked_items(session):
            enqueue(session, "tasks.check_item", item_id)


@job("annotate.refit_batches")
def refit_batches() -> None:
    """Weigh all answers of each open batch together again where new ones have come."""
    with job_transaction() as (session, _):
        for batch in open_batches(session):
            enqueue(session, "annotate.refit_batch", str(batch.id))


@job("annotate.refit_batch")
def refit_batch(batch_id: str) -> None:
    """Weigh all answers of one batch together."""
    with job_transaction() as (session, now):
        consensus.refit(session, get_batch(session, UUID(batch_id)), now)


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
