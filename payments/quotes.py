"""A quote says before a batch opens what it will cost; an offer says before work begins what it pays.

Both take the floor of every place in which a worker for the batch lives. A quote's slow figure, the 95th percentile
of the estimate at the highest of these floors, is what has to be reserved. Hourly figures in an offer are what people
really earned; where nothing was ever measured they are named the requester's estimate, beside the floor that is sure.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from payments.applied_floors import Floors
from payments.dues import Cost, expected_cost
from payments.fx import NoExchangeRate
from payments.money import ceil_minor, floor_minor
from payments.terms import PayTerms, terms_of
from tasks.batches import Batch, item_counts
from tasks.items import Slot, SlotState
from tasks.people import Person, Role

WORKERS_SHOWN_MIN: Final = 10
"""Of fewer workers no spread is shown: its ends would be single people."""


@dataclass(frozen=True)
class PlaceQuote:
    """What one answer costs where so many workers live; `rate` is local, all else in the batch's currency."""

    place: str | None
    workers: int
    rate: Fraction
    currency: str
    rule: str
    floor: Fraction
    typical: Fraction
    slow: Fraction
    topup_typical: Fraction
    topup_slow: Fraction
    hourly_by_price: Fraction
    short_by: Fraction


@dataclass(frozen=True)
class Quote:
    """What a batch will cost, in whole minor units of its currency; the reserve is `total_p95`."""

    batch_id: UUID
    currency: str
    pay_mode: str
    answers: int
    price: Fraction
    estimate_seconds: int
    estimate_seconds_p95: int
    places: tuple[PlaceQuote, ...]
    agreed: int
    topups_p50: int
    topups_p95: int
    fee_percent: Fraction
    fee_p50: int
    fee_p95: int
    total_p50: int
    total_p95: int


@dataclass(frozen=True)
class PastPay:
    """What workers really earned per hour by a batch's price: middle and middle half, in minor units of `currency`."""

    currency: str
    workers: int
    low: Fraction
    median: Fraction
    high: Fraction
    seconds_each: int = 0
    """How long an answer took, over all of them; 0 where nobody knows."""
    measured_in: tuple[str, ...] = ()
    """The names of the earlier batches in which it was measured; empty for the batch itself."""


@dataclass(frozen=True)
class Offer:
    """What a batch pays one worker, in their own currency; hourly figures in exact minor units."""

    batch_id: UUID
    currency: str
    pay_mode: str
    price: Fraction
    floor: Fraction
    rule: str
    hourly: Fraction
    hourly_low: Fraction | None
    hourly_high: Fraction | None
    workers: int
    seconds_each: int
    measured_in: tuple[str, ...]
    estimate_seconds: int
    grace_seconds: int

    @property
    def estimated(self) -> bool:
        """Whether the hourly figure is the requester's estimate, because nothing was ever measured."""
        return self.workers == 0


def quote(session: Session, batch: Batch, now: datetime) -> Quote:
    """Say what all wanted answers of a batch cost. Raises NoTerms, NoRule, NoExchangeRate."""
    terms = terms_of(session, batch.id)
    answers = _wanted(session, batch)
    places = _places(session, batch, terms, now)
    slow = max(one.slow for one in places)
    people = sum(one.workers for one in places)
    typical = sum((one.typical * one.workers for one in places), Fraction(0)) / people
    agreed, at_p50, at_p95 = (ceil_minor(answers * each) for each in (terms.price, typical, slow))
    fee_p50, fee_p95 = floor_minor(at_p50 * terms.fee), floor_minor(at_p95 * terms.fee)
    return Quote(
        batch_id=batch.id,
        currency=terms.currency,
        pay_mode=terms.pay_mode,
        answers=answers,
        price=terms.price,
        estimate_seconds=terms.estimate_seconds,
        estimate_seconds_p95=terms.estimate_seconds_p95,
        places=tuple(places),
        agreed=agreed,
        topups_p50=at_p50 - agreed,
        topups_p95=at_p95 - agreed,
        fee_percent=terms.fee * 100,
        fee_p50=fee_p50,
        fee_p95=fee_p95,
        total_p50=at_p50 + fee_p50,
        total_p95=at_p95 + fee_p95,
    )


def answer_cost(session: Session, batch: Batch, now: datetime) -> Cost:
    """Give what one more answer costs with the fee, typical and slow, wherever it is given."""
    terms = terms_of(session, batch.id)
    places = _places(session, batch, terms, now)
    return Cost(
        typical=max(one.typical for one in places) * (1 + terms.fee),
        slow=max(one.slow for one in places) * (1 + terms.fee),
    )


def batch_floors(
    session: Session, terms: PayTerms, now: datetime
) -> Callable[[str | None, str | None], Fraction]:
    """Give, for a place and area, the floor of a batch in exact minor units of its currency per hour."""
    floors = Floors(session, now, now.astimezone(UTC).date())

    def floor_at(place: str | None, area: str | None) -> Fraction:
        local = floors.at(place, area, now, terms.promise())
        return floors.convert(local.rate, local.currency, terms.currency) * terms.multiplier

    return floor_at


def worker_offer(
    session: Session,
    batch: Batch,
    person: Person,
    now: datetime,
    past: PastPay | None = None,
    floors: Floors | None = None,
) -> Offer:
    """Say what a batch pays this worker; `past` is what others earned. Raises NoTerms, NoExchangeRate.

    The middle half is told of ten and more; the middle alone of fewer.

    Whoever asks for many batches reads the floors once and passes them.
    """
    terms = terms_of(session, batch.id)
    floors = floors or Floors(session, now, now.astimezone(UTC).date())
    floor = floors.at(person.place, person.area, now, terms.promise())
    rate = floor.rate * terms.multiplier
    price = floors.convert(terms.price, terms.currency, floor.currency)
    by_price = price * 3600 / terms.estimate_seconds
    # Time that is paid by the hour brings what it brings, whoever worked.
    past = None if terms.pay_mode == "hourly" else past
    spread = past if past and past.workers >= WORKERS_SHOWN_MIN else None

    def own(amount: Fraction) -> Fraction:
        # A figure under this worker's own floor was earned elsewhere; they will be topped up.
        return max(rate, floors.convert(amount, past.currency if past else terms.currency, floor.currency))

    return Offer(
        batch_id=batch.id,
        currency=floor.currency,
        pay_mode=terms.pay_mode,
        price=price,
        floor=rate,
        rule=floor.rule,
        hourly=own(past.median) if past else max(rate, by_price),
        hourly_low=own(spread.low) if spread else None,
        hourly_high=own(spread.high) if spread else None,
        workers=past.workers if past else 0,
        seconds_each=past.seconds_each if past else 0,
        measured_in=past.measured_in if past else (),
        estimate_seconds=terms.estimate_seconds,
        grace_seconds=terms.grace_seconds,
    )


def _wanted(session: Session, batch: Batch) -> int:
    """Count the answers that money is set aside for: the slots, and what items are expected to need beyond them."""
    query = select(func.count()).where(Slot.batch_id == batch.id, Slot.state != SlotState.WITHDRAWN)
    beyond = batch.answers_expected - batch.answers_wanted
    more = beyond * item_counts(session, [batch.id])[batch.id] if beyond else 0
    return (session.scalar(query) or 0) + more


def _places(session: Session, batch: Batch, terms: PayTerms, now: datetime) -> list[PlaceQuote]:
    """Price one answer in every place where a worker for this batch lives, the dearest first."""
    floors = Floors(session, now, now.astimezone(UTC).date())
    made, refused = [], None
    for (place, area), workers in _living(session, batch).items():
        try:
            made.append(_place(floors, terms, place, area, workers, now))
        except NoExchangeRate as error:
            # Nobody is offered this batch there; it must not stop the others.
            refused = error
    if refused and not made:
        raise refused
    return sorted(made, key=lambda one: (-one.slow, one.place or "", one.rule))


def _living(session: Session, batch: Batch) -> Counter[tuple[str | None, str | None]]:
    """Count the workers who may take this batch by place and area; if there are none yet, one of nowhere."""
    query = select(Person.place, Person.area, Person.languages).where(
        Person.role == Role.WORKER, Person.closed_at.is_(None)
    )
    wanted = set(batch.languages)
    living = Counter(
        (place, area)
        for place, area, languages in session.execute(query)
        if not wanted or wanted & set(languages)
    )
    return living or Counter([(None, None)])


def _place(
    floors: Floors, terms: PayTerms, place: str | None, area: str | None, workers: int, now: datetime
) -> PlaceQuote:
    local = floors.at(place, area, now, terms.promise())
    floor = floors.convert(local.rate, local.currency, terms.currency) * terms.multiplier
    cost = expected_cost(terms.estimate_seconds, terms.estimate_seconds_p95, terms.price, floor)
    return PlaceQuote(
        place=place,
        workers=workers,
        rate=local.rate * terms.multiplier,
        currency=local.currency,
        rule=local.rule,
        floor=floor,
        typical=cost.typical,
        slow=cost.slow,
        topup_typical=cost.typical - terms.price,
        topup_slow=cost.slow - terms.price,
        hourly_by_price=terms.price * 3600 / terms.estimate_seconds,
        short_by=max(Fraction(0), floor * terms.estimate_seconds / 3600 - terms.price),
    )
