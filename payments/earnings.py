"""An earning is what one ended assignment brings at the agreed price; the time behind it is paid besides.

Every ended assignment has exactly one, recorded with the answer or found later by the sweep. Only what was submitted
has a price, and an earning only ever rises: late work turns an expired assignment into a paid one. From earnings,
credited time and floors come the lines that say what is owed, the same for the open period and for its close.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, String, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments import worktime
from payments.applied_floors import Floors
from payments.dues import Due, Worked, hourly_equivalent, line
from payments.floors import SENSITIVE, Resolution
from payments.money import minor
from payments.paid_time import Category, Share, second_of, seconds_by, split
from payments.paid_time import Kind as Heard
from payments.periods import is_open, start_of
from payments.terms import AgreedPay, NoTerms, PayTerms, agreed_pay, paid_at
from tasks.append_only import attach
from tasks.assignments import Assigned, Assignment, AssignmentState
from tasks.db import Base, new_id, rows
from tasks.errors import Invalid
from tasks.people import Person, WorkPlace, place_at, work_places

KINDS: Final = ("submitted", "skipped", "returned", "expired")


class UnknownEnding(Invalid):
    """An assignment ends submitted, skipped, returned or expired."""


class NotAccrued(RuntimeError):
    """The books did not take an earning; the sweep will record it."""


class Earning(Base):
    """What one ended assignment brings, in whole units of the currency of its terms."""

    __tablename__ = "earning"
    __table_args__ = (
        Index("ix_earning_worker_at", "worker_id", "at"),
        Index("ix_earning_batch", "batch_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), unique=True)
    worker_id: Mapped[UUID]
    batch_id: Mapped[UUID]
    kind: Mapped[str]
    piece_price: Mapped[Decimal] = mapped_column(Numeric(20, 6))
    currency: Mapped[str] = mapped_column(String(3))
    at: Mapped[datetime]


@dataclass(frozen=True)
class DraftLine:
    """What is owed for one batch (or for overhead) in one rule segment, exact; `rate` is per hour, as applied."""

    batch_id: UUID | None
    segment_start: datetime
    segment_end: datetime
    place: str | None
    area: str | None
    seconds_by: dict[Category, int]
    seconds: int
    agreed: Fraction
    rate: Fraction
    currency: str
    rule: str
    rule_sha256: str
    fx_rate_id: UUID | None
    fx_through: UUID | None
    fx: Fraction
    due: Due
    trace: list[dict[str, Any]]
    shares: list[Share] = field(repr=False)


@dataclass(frozen=True)
class OpenPay:
    """What a worker has earned since a moment; the sums and the hourly figure are in `currency`."""

    lines: list[DraftLine]
    currency: str
    floor: Fraction
    seconds: int
    agreed: int
    required: int
    due: int
    topup: int
    hourly: Fraction | None


ACCRUE: Final = """
CREATE OR REPLACE FUNCTION accrue_earning(
    _id uuid, _assignment uuid, _worker uuid, _batch uuid, _kind text, _now timestamptz
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    _terms record;
    _price numeric;
BEGIN
    SELECT * INTO _terms FROM pay_terms WHERE batch_id = _batch;
    IF NOT FOUND THEN
        RETURN 'NoTerms';
    END IF;
    _price := _terms.piece_price;
    IF _terms.counts_from > _now THEN
        -- A rise counts from its moment on, and the sweep books what ended before it.
        SELECT piece_price INTO _price FROM terms_revision WHERE batch_id = _batch
        ORDER BY counts_from <= _now DESC, CASE WHEN counts_from <= _now THEN -revision ELSE revision END LIMIT 1;
    END IF;
    INSERT INTO earning (id, assignment_id, worker_id, batch_id, kind, piece_price, currency, at)
    VALUES (_id, _assignment, _worker, _batch, _kind,
        CASE _kind WHEN 'submitted' THEN coalesce(_price, 0) ELSE 0 END, _terms.currency, _now)
    ON CONFLICT (assignment_id) DO UPDATE
        SET kind = excluded.kind, piece_price = excluded.piece_price, currency = excluded.currency,
            at = excluded.at
        WHERE earning.kind <> 'submitted' AND excluded.kind = 'submitted';
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    -- What is undone here is this earning alone: a fault in the books never refuses the work before it.
    RETURN SQLERRM;
END $$"""
"""Record one earning, or undo it and say the fault."""

attach(Earning.__table__, (ACCRUE,))


def accrue(session: Session, assignment: Assigned, kind: str, now: datetime) -> None:
    """Record an assignment's earning once; a submission raises one that was nothing.

    Raises NoTerms, or NotAccrued where the books fail; the transaction goes on as if it had not been tried.
    """
    if kind not in KINDS:
        raise UnknownEnding(kind=kind[:40])
    (done,) = rows(
        session,
        "SELECT accrue_earning(%(id)s, %(assignment)s, %(worker)s, %(batch)s, %(kind)s, %(now)s) AS fault",
        id=new_id(),
        assignment=assignment.id,
        worker=assignment.worker_id,
        batch=assignment.batch_id,
        kind=kind,
        now=now,
    )
    if done.fault == NoTerms.__name__:
        raise NoTerms
    if done.fault is not None:
        raise NotAccrued(done.fault)


def sweep(session: Session, now: datetime, limit: int = 1000) -> int:
    """Give every ended assignment its earning, and a lease that ran out its end in the evidence. Gives how many."""
    missing = ~exists().where(
        Earning.assignment_id == Assignment.id,
        (Earning.kind == "submitted") | (Assignment.state != AssignmentState.SUBMITTED),
    )
    found = session.scalars(
        select(Assignment)
        .join(PayTerms, PayTerms.batch_id == Assignment.batch_id)
        .where(Assignment.state != AssignmentState.LEASED, missing)
        .order_by(Assignment.ended_at)
        .limit(limit)
        .with_for_update(of=Assignment, skip_locked=True, key_share=True)
    ).all()
    for assignment in found:
        if assignment.state == AssignmentState.EXPIRED:
            # As of now, for evidence is what was known when a week was closed.
            worktime.end_assignment(session, assignment, Heard.timeout, now)
        ended = assignment.ended_at or now
        accrue(session, assignment, assignment.state, ended if is_open(session, ended) else now)
    return len(found)


def earned(session: Session, worker_id: UUID, start: datetime, end: datetime) -> dict[UUID, Decimal]:
    """Give the agreed pay of a span by batch, exact, in whole units of each batch's currency."""
    query = (
        select(Earning.batch_id, func.sum(Earning.piece_price))
        .where(Earning.worker_id == worker_id, Earning.at >= start, Earning.at < end)
        .group_by(Earning.batch_id)
    )
    return {batch: total for batch, total in session.execute(query)}  # noqa: C416


def pay_so_far(session: Session, person: Person, start: datetime, now: datetime) -> OpenPay:
    """Give what a worker has earned since the start of the open period. Raises NoRule, NoExchangeRate."""
    # A submission of this very moment counts already.
    lines = lines_for(session, person, start, now + timedelta(seconds=1), now)
    floor = Floors(session, now, _fx_day(start)).at(person.place, person.area, now)
    own = [one for one in lines if one.currency == floor.currency]
    seconds, due = sum(one.seconds for one in own), sum(one.due.due for one in own)
    return OpenPay(
        lines=lines,
        currency=floor.currency,
        floor=floor.rate,
        seconds=seconds,
        agreed=sum(one.due.agreed for one in own),
        required=sum(one.due.required for one in own),
        due=due,
        topup=sum(one.due.topup for one in own),
        hourly=hourly_equivalent(due, seconds),
    )


def lines_for(
    session: Session, person: Person, start: datetime, end: datetime, now: datetime
) -> list[DraftLine]:
    """Give what is owed for a span: a line for each batch, and for overhead, in each rule segment.

    A line is cut where the worker moved, where the batch's pay rose, and where a rule begins or ends that changes the
    rate. Exchange rates are those of the Monday of the span's first week. Raises NoRule, NoExchangeRate.
    """
    floors = Floors(session, now, _fx_day(start))
    places = work_places(session, person.id)
    shares = worktime.shares_of(session, person.id, start, end, now)
    pay = _pay_of(session, person.id, shares, start, end)
    edges = _edges(floors, places, pay, start, end)
    agreed = _agreed(session, person.id, edges)
    owned: dict[UUID | None, list[Share]] = defaultdict(list)
    for share in shares:
        owned[_bearer(share)].append(share)
    made = []
    for batch_id in (*sorted({one for one in owned if one} | {batch for batch, _ in agreed if batch}), None):
        for segment in _segments(floors, places, edges, pay.get(batch_id, []) if batch_id else []):
            inside = _inside(owned[batch_id], segment)
            price = sum((agreed.get((batch_id, at), Fraction(0)) for at in segment.starts), Fraction(0))
            if inside or price:
                made.append(_line(floors, segment, inside, price, batch_id))
    return made


@dataclass(frozen=True)
class _Segment:
    """A part of a span with one place, one agreed pay and one floor; `starts` are the edges it was joined from."""

    starts: list[datetime]
    end: datetime
    place: str | None
    area: str | None
    pay: AgreedPay | None
    floor: Resolution

    @property
    def rate(self) -> Fraction:
        """The floor with the surcharge for sensitive content."""
        return self.floor.rate * (self.pay.multiplier if self.pay else 1)

    def goes_on(self, before: "_Segment") -> bool:
        """Tell whether nothing but the clock distinguishes it from the segment before."""
        return _applied(self) == _applied(before)


def _applied(segment: _Segment) -> tuple[Any, ...]:
    floor = segment.floor
    return segment.place, segment.area, segment.rate, floor.rate, floor.currency, floor.rule, floor.sha256


def _pay_of(
    session: Session, worker_id: UUID, shares: Iterable[Share], start: datetime, end: datetime
) -> dict[UUID, list[AgreedPay]]:
    """Give the agreed pay of every batch with time or earnings in a span."""
    earned_in = select(Earning.batch_id).where(
        Earning.worker_id == worker_id, Earning.at >= start, Earning.at < end
    )
    timed = {batch for batch in map(_bearer, shares) if batch}
    query = select(PayTerms).where(PayTerms.batch_id.in_(timed) | PayTerms.batch_id.in_(earned_in))
    return agreed_pay(session, session.scalars(query).all())


def _edges(
    floors: Floors,
    places: Sequence[WorkPlace],
    pay: Mapping[UUID, Sequence[AgreedPay]],
    start: datetime,
    end: datetime,
) -> list[datetime]:
    """Give the moments of a span at which another rate may begin, with its start and end, in order."""
    found = {one.since for one in places} | {one.counts_from for every in pay.values() for one in every}
    for place in {one.place for one in places}:
        found.update(floors.changes(place, start, end))
    return [start, *sorted(at for at in found if start < at < end), end]


def _fx_day(start: datetime) -> date:
    return start_of(start).date()


def _bearer(share: Share) -> UUID | None:
    """Say which batch pays for a share; overhead is the platform's."""
    return UUID(share.batch) if share.batch and share.category is not Category.F else None


def _inside(shares: Iterable[Share], segment: _Segment) -> list[Share]:
    first, last = second_of(segment.starts[0], Heard.open), second_of(segment.end, Heard.open)
    return [one for one in split(shares, [first, last]) if first <= one.start < last]


def _agreed(
    session: Session, worker_id: UUID, edges: list[datetime]
) -> dict[tuple[UUID | None, datetime], Fraction]:
    """Give the agreed pay by batch and edge from which it counts, in exact minor units of the batch's currency."""
    found: dict[tuple[UUID | None, datetime], Fraction] = {}
    for since, until in pairwise(edges):
        query = (
            select(Earning.batch_id, Earning.currency, func.sum(Earning.piece_price))
            .where(Earning.worker_id == worker_id, Earning.at >= since, Earning.at < until)
            .group_by(Earning.batch_id, Earning.currency)
        )
        for batch_id, currency, total in session.execute(query):
            found[batch_id, since] = minor(total, currency)
    return found


def _segments(
    floors: Floors, places: Sequence[WorkPlace], edges: list[datetime], pay: Sequence[AgreedPay]
) -> list[_Segment]:
    """Resolve the floor from each edge on, and join neighbours where the same goes on."""
    joined: list[_Segment] = []
    for since, until in pairwise(edges):
        place, area = place_at(places, since)
        paid = paid_at(pay, since) if pay else None
        floor = floors.at(place, area, since, paid.promise() if paid else None)
        segment = _Segment([since], until, place, area, paid, floor)
        if joined and segment.goes_on(joined[-1]):
            joined[-1] = replace(joined[-1], starts=[*joined[-1].starts, since], end=until)
        else:
            joined.append(segment)
    return joined


def _line(
    floors: Floors, segment: _Segment, shares: list[Share], price: Fraction, batch_id: UUID | None
) -> DraftLine:
    floor, pay = segment.floor, segment.pay
    seconds = sum(share.seconds for share in shares)
    fx = floors.rate(pay.currency, floor.currency) if pay else None
    agreed = floors.convert(price, pay.currency, floor.currency) if pay else Fraction(0)
    return DraftLine(
        batch_id=batch_id,
        segment_start=segment.starts[0],
        segment_end=segment.end,
        place=segment.place,
        area=segment.area,
        seconds_by=seconds_by(shares, lambda share: share.category),
        seconds=seconds,
        agreed=agreed,
        rate=segment.rate,
        currency=floor.currency,
        rule=floor.rule,
        rule_sha256=floor.sha256,
        fx_rate_id=fx.id if fx else None,
        fx_through=fx.through if fx else None,
        fx=fx.value if fx else Fraction(1),
        due=line(agreed, [Worked(seconds, segment.rate)]),
        trace=[*floor.trace, *_raised(segment)],
        shares=shares,
    )


def _raised(segment: _Segment) -> Iterable[dict[str, Any]]:
    """Show the surcharge for sensitive content beside the rules that it multiplies."""
    if segment.pay is None or segment.pay.multiplier == 1:
        return
    yield {
        "rule": segment.floor.rule,
        "kind": SENSITIVE,
        "multiplier": str(segment.pay.multiplier),
        "applied": True,
        "compared": str(segment.rate),
        "compared_currency": segment.floor.currency,
    }
