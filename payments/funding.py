"""Funding: a requester pays in, a batch's reserve is set aside, and only what the reserve covers is served.

A batch opens when its reserve covers all wanted answers at the slow estimate and the highest floor, top-ups and fee
included. Slots open here and nowhere else. A reserve that runs low stops new offers, never finished work or its pay.
What is left when a closed batch owes nothing any more goes back to the requester's prefund.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from payments.accounts import Account, batch_reserve, requester_prefund
from payments.earnings import Earning
from payments.ledger import InsufficientFunds, Journal, KeyReused, Move, balance, post
from payments.money import Money
from payments.quotes import Quote, quote
from payments.reserves import ReserveState, is_short, reserve_state, waiting_covered
from payments.terms import PayTerms, seal, terms_of
from payments.worktime import Declaration, DeclarationState, Proof
from schemas.words import Words
from tasks.assignments import Assignment, AssignmentState
from tasks.batches import Batch, BatchEmpty, BatchState, lock_batch, open_batch, pause_batch
from tasks.errors import Conflict, Invalid
from tasks.items import open_slots
from tasks.people import Person, Role, get_person
from tasks.projects import Project

OUT_OF_RESERVE: Final = Words(
    "The reserve is nearly used. Open and finished work is paid; new work waits for more money."
)
LARGEST: Final = 10**15


class NotFunded(Conflict):
    """The prefund does not cover this; pay in what is missing first."""


class WrongAmount(Invalid):
    """This amount cannot be booked; write one above zero with at most 12 digits before the point."""


class ReferenceUsed(Conflict):
    """A payment of another amount has this reference already; give each payment a reference of its own."""


class NotARequester(Invalid):
    """Only requesters pay in."""


class AlreadyOpen(Conflict):
    """This batch has its reserve already; add to it instead."""


class NotServed(Conflict):
    """Only an open or paused batch is added to; a draft is funded when it opens."""


class NotPaused(Conflict):
    """This batch is not paused."""


class StillOwed(Conflict):
    """The reserve of this batch is still needed."""


def prefund(
    session: Session,
    requester_id: UUID,
    amount_minor: int,
    currency: str,
    reference: str,
    rail: str = "manual",
    *,
    actor: str,
    now: datetime,
) -> Journal:
    """Book money paid in; the same reference again is the same payment. Raises WrongAmount, ReferenceUsed."""
    _check_amount(amount_minor)
    if get_person(session, requester_id).role != Role.REQUESTER:
        raise NotARequester
    reference = _reference(reference)
    # Under lock, so that a payment reported twice at once is found the second time.
    session.execute(select(Person.id).where(Person.id == requester_id).with_for_update(key_share=True))
    key = f"prefund:{rail}:{requester_id}:{reference}"
    known = session.scalar(select(Journal.effective_at).where(Journal.idempotency_key == key))
    cash, held = f"rail_cash:{rail}:{currency}", requester_prefund(requester_id, currency)
    try:
        return post(
            session,
            kind="prefund",
            key=key,
            moves=[Move(cash, held, amount_minor, currency, "prefund", reference)],
            effective_at=known or now,
            now=now,
            actor=actor,
        )
    except KeyReused:
        raise ReferenceUsed(field="reference") from None


def prefund_balance(session: Session, requester_id: UUID, currency: str) -> int:
    """Give what a requester has paid in and not yet set aside, in minor units."""
    return balance(session, requester_prefund(requester_id, currency))


def prefund_balances(session: Session, requester_id: UUID) -> dict[str, int]:
    """Give what a requester has paid in and not yet set aside, by currency."""
    query = select(Account).where(
        Account.code.startswith(requester_prefund(requester_id, ""), autoescape=True)
    )
    return {one.currency: one.balance for one in session.scalars(query.order_by(Account.currency))}


def reserve_and_open(session: Session, batch: Batch, now: datetime, actor: str) -> Quote:
    """Set the slow total aside, seal the terms, open slots and batch; all of it or nothing.

    Raises NoTerms, BatchEmpty, AlreadyOpen, or NotFunded with how much is missing.
    """
    batch = lock_batch(session, batch.id)
    if batch.state != BatchState.DRAFT:
        raise AlreadyOpen
    terms = terms_of(session, batch.id)
    seal(session, terms, now)
    wanted = quote(session, batch, now)
    if wanted.answers == 0:
        raise BatchEmpty
    _reserve(session, batch, terms, wanted.total_p95, "open", now, actor)
    open_slots(session, batch.id, wanted.answers)
    open_batch(session, batch, now)
    return wanted


def top_up_reserve(
    session: Session, batch: Batch, amount: int, *, reference: str, now: datetime, actor: str
) -> ReserveState:
    """Add to a batch's reserve and go on if it waited for that; the same reference again adds nothing.

    Raises WrongAmount, NotFunded, NotServed.
    """
    _check_amount(amount)
    batch = lock_batch(session, batch.id)
    if batch.opened_at is None or batch.state == BatchState.CLOSED:
        raise NotServed
    _reserve(session, batch, terms_of(session, batch.id), amount, f"more:{_reference(reference)}", now, actor)
    if (
        batch.state == BatchState.PAUSED
        and batch.pause_reason == OUT_OF_RESERVE
        and not is_short(session, batch, now)
    ):
        open_batch(session, batch, now)
    open_waiting(session, batch, now)
    return reserve_state(session, batch, now)


def resume(session: Session, batch: Batch, now: datetime) -> None:
    """Go on with a paused batch. Raises NotPaused, or NotFunded where the reserve does not carry what is open."""
    batch = lock_batch(session, batch.id)
    if batch.state != BatchState.PAUSED:
        raise NotPaused
    if is_short(session, batch, now):
        raise NotFunded(
            "The reserve does not cover the open slots any more; close this batch and ask for the rest in a new one."
        )
    open_batch(session, batch, now)
    open_waiting(session, batch, now)


def open_waiting(session: Session, batch: Batch, now: datetime) -> int:
    """Open waiting slots as far as the reserve covers them besides all that are open. Gives how many."""
    batch = lock_batch(session, batch.id)
    if batch.state != BatchState.OPEN:
        return 0
    covered = waiting_covered(session, batch, now)
    return open_slots(session, batch.id, covered) if covered else 0


def watch(session: Session, batch: Batch, now: datetime) -> bool:
    """Stop new offers where nine tenths are used and the rest does not cover the open slots. Tells whether it did."""
    batch = lock_batch(session, batch.id)
    if batch.state != BatchState.OPEN or not is_short(session, batch, now):
        return False
    pause_batch(session, batch, OUT_OF_RESERVE)
    return True


def release(
    session: Session, batch: Batch, now: datetime, actor: str, settled_until: datetime
) -> Journal | None:
    """Give what is left of a closed batch back to the prefund; None if nothing is left. Raises StillOwed.

    `settled_until` is the end of the last closed pay period: whatever happened since is still to be paid.
    """
    batch = lock_batch(session, batch.id)
    terms = terms_of(session, batch.id)
    if batch.state != BatchState.CLOSED or _still_owed(session, batch, settled_until):
        raise StillOwed
    code = batch_reserve(batch.id, terms.currency)
    held = session.scalars(select(Account).where(Account.code == code)).one_or_none()
    if held is None or held.balance == 0:
        return None
    back = requester_prefund(_requester(session, batch), terms.currency)
    return post(
        session,
        kind="release",
        key=f"release:{batch.id}:{held.version}",
        moves=[Move(code, back, held.balance, terms.currency, "release")],
        effective_at=now,
        now=now,
        actor=actor,
    )


def _reserve(
    session: Session, batch: Batch, terms: PayTerms, amount: int, reference: str, now: datetime, actor: str
) -> None:
    """Move money from prefund to reserve, once per reference. Raises NotFunded, naming what is missing."""
    requester, currency = _requester(session, batch), terms.currency
    source, target = requester_prefund(requester, currency), batch_reserve(batch.id, currency)
    key = f"reserve:{batch.id}:{reference}"
    known = session.scalar(select(Journal.effective_at).where(Journal.idempotency_key == key))
    try:
        post(
            session,
            kind="reserve",
            key=key,
            moves=[Move(source, target, amount, currency, "reserve")],
            effective_at=known or now,
            now=now,
            actor=actor,
        )
    except InsufficientFunds:
        there = prefund_balance(session, requester, currency)
        said = {"needed": Money(amount, currency), "missing": Money(amount - there, currency)}
        raise NotFunded(
            Words("This needs %(needed)s; %(missing)s are missing on the prefund.", **said),
            needed=amount,
            missing=amount - there,
            currency=currency,
        ) from None


def _still_owed(session: Session, batch: Batch, settled_until: datetime) -> bool:
    """Tell whether work goes on, or whether time or an earning waits for the next pay period."""
    waiting = (
        select(Assignment.id).where(
            Assignment.batch_id == batch.id, Assignment.state == AssignmentState.LEASED
        ),
        select(Proof.id).where(Proof.batch_id == batch.id, Proof.at >= settled_until),
        select(Earning.id).where(Earning.batch_id == batch.id, Earning.at >= settled_until),
        select(Declaration.id).where(
            Declaration.batch_id == batch.id,
            or_(Declaration.state == DeclarationState.PENDING, Declaration.decided_at >= settled_until),
        ),
    )
    return any(session.scalar(query.limit(1)) is not None for query in waiting)


def _requester(session: Session, batch: Batch) -> UUID:
    return session.scalars(select(Project.requester_id).where(Project.id == batch.project_id)).one()


def _check_amount(amount: object) -> None:
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= LARGEST:
        raise WrongAmount(field="amount")


def _reference(said: str) -> str:
    if not said.strip() or len(said) > 100:
        raise WrongAmount("A payment has a reference of up to 100 characters.", field="reference")
    return said.strip()
