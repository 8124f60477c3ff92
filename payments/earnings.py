"""An earning is what one ended assignment brings at the agreed price; the time behind it is paid besides.

Every ended assignment has exactly one, recorded with the answer or found later by the sweep. Only what was submitted
has a price, and an earning only ever rises: late work turns an expired assignment into a paid one. From earnings,
credited time and floors come the lines that say what is owed, the same for the open period and for its close.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, String, and_, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments import worktime
from payments.applied_floors import Floors
from payments.dues import Due, Worked, hourly_equivalent, line
from payments.floors import Resolution
from payments.money import minor
from payments.paid_time import Category, Share, second_of, seconds_by, split
from payments.paid_time import Kind as Heard
from payments.periods import start_of
from payments.terms import PayTerms, terms_of
from tasks.assignments import Assignment, AssignmentState
from tasks.db import Base, new_id
from tasks.errors import Invalid
from tasks.people import Person

KINDS: Final = ("submitted", "skipped", "returned", "expired")


class UnknownEnding(Invalid):
    """An assignment ends submitted, skipped, returned or expired."""


class Earning(Base):
    """What one ended assignment brings, in whole units of the currency of its terms."""

    __tablename__ = "earning"
    __table_args__ = (
        Index("ix_earning_worker_at", "worker_id", "at"),
        Index("ix_earning_batch", "batch_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), unique=True)
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
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


def accrue(session: Session, assignment: Assignment, kind: str, now: datetime) -> Earning:
    """Record an assignment's earning once; a submission raises one that was nothing. Raises NoTerms."""
    if kind not in KINDS:
        raise UnknownEnding(kind=kind[:40])
    terms = terms_of(session, assignment.batch_id)
    price = (terms.piece_price or Decimal(0)) if kind == AssignmentState.SUBMITTED else Decimal(0)
    fresh = insert(Earning).values(
        id=new_id(),
        assignment_id=assignment.id,
        worker_id=assignment.worker_id,
        batch_id=assignment.batch_id,
        kind=kind,
        piece_price=price,
        currency=terms.currency,
        at=now,
    )
    late = {name: getattr(fresh.excluded, name) for name in ("kind", "piece_price", "currency", "at")}
    session.execute(
        fresh.on_conflict_do_update(
            index_elements=["assignment_id"],
            set_=late,
            where=and_(Earning.kind != "submitted", fresh.excluded.kind == "submitted"),
        )
    )
    query = select(Earning).where(Earning.assignment_id == assignment.id)
    return session.scalars(query.execution_options(populate_existing=True)).one()


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
        ended = assignment.ended_at or now
        if assignment.state == AssignmentState.EXPIRED:
            worktime.end_assignment(session, assignment, Heard.timeout, ended)
        accrue(session, assignment, assignment.state, ended)
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

    Where a rule begins or ends inside the span, lines are cut only if another rate applies from then on. Exchange
    rates are those of the Monday of the span's first week. Raises NoRule, NoExchangeRate.
    """
    floors = Floors(session, now, _fx_day(start))
    edges = [start, *floors.changes(person.place, start, end), end]
    agreed = _agreed(session, person.id, edges)
    cuts = [second_of(edge, Heard.open) for edge in edges]
    shares: dict[UUID | None, list[Share]] = defaultdict(list)
    for share in split(worktime.shares_of(session, person.id, start, end), cuts):
        shares[_bearer(share)].append(share)
    batches = {batch for batch in shares if batch} | {batch for batch, _ in agreed if batch}
    terms = {
        one.batch_id: one for one in session.scalars(select(PayTerms).where(PayTerms.batch_id.in_(batches)))
    }
    made = []
    for batch_id in (*sorted(batches), None):
        of = terms.get(batch_id) if batch_id else None
        for segment in _segments(floors, person, edges, of):
            inside = [share for share in shares[batch_id] if _within(share, segment)]
            price = sum((agreed.get((batch_id, at), Fraction(0)) for at in segment.starts), Fraction(0))
            if inside or price:
                made.append(_line(floors, person, of, segment, inside, price, batch_id))
    return made


@dataclass(frozen=True)
class _Segment:
    """A part of a span in which one floor applies; `starts` are the edges that it was joined from."""

    starts: list[datetime]
    end: datetime
    floor: Resolution


def _fx_day(start: datetime) -> date:
    return start_of(start).date()


def _bearer(share: Share) -> UUID | None:
    """Say which batch pays for a share; overhead is the platform's."""
    return UUID(share.batch) if share.batch and share.category is not Category.F else None


def _within(share: Share, segment: _Segment) -> bool:
    return second_of(segment.starts[0], Heard.open) <= share.start < second_of(segment.end, Heard.open)


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


def _segments(floors: Floors, person: Person, edges: list[datetime], of: PayTerms | None) -> list[_Segment]:
    """Resolve the floor from each edge on, and join neighbours where the same rate of the same rule goes on."""
    joined: list[_Segment] = []
    promise = of.promise() if of else None
    for since, until in pairwise(edges):
        floor = floors.at(person.place, person.area, since, promise)
        last = joined[-1] if joined else None
        if last and _applied(last.floor) == _applied(floor):
            joined[-1] = _Segment([*last.starts, since], until, last.floor)
        else:
            joined.append(_Segment([since], until, floor))
    return joined


def _applied(floor: Resolution) -> tuple[Fraction, str, str, str]:
    return floor.rate, floor.currency, floor.rule, floor.sha256


def _line(
    floors: Floors,
    person: Person,
    of: PayTerms | None,
    segment: _Segment,
    shares: list[Share],
    price: Fraction,
    batch_id: UUID | None,
) -> DraftLine:
    floor = segment.floor
    seconds = sum(share.seconds for share in shares)
    rate = floor.rate * (of.multiplier if of else 1)
    fx = floors.rate(of.currency, floor.currency) if of else None
    agreed = floors.convert(price, of.currency, floor.currency) if of else Fraction(0)
    return DraftLine(
        batch_id=batch_id,
        segment_start=segment.starts[0],
        segment_end=segment.end,
        place=person.place,
        area=person.area,
        seconds_by=seconds_by(shares, lambda share: share.category),
        seconds=seconds,
        agreed=agreed,
        rate=rate,
        currency=floor.currency,
        rule=floor.rule,
        rule_sha256=floor.sha256,
        fx_rate_id=fx.id if fx else None,
        fx_through=fx.through if fx else None,
        fx=fx.value if fx else Fraction(1),
        due=line(agreed, [Worked(seconds, rate)]),
        trace=[*floor.trace, *_raised(of, rate, floor)],
        shares=shares,
    )


def _raised(of: PayTerms | None, rate: Fraction, floor: Resolution) -> Iterable[dict[str, Any]]:
    """Show the surcharge for sensitive content beside the rules that it multiplies."""
    if of is None or of.multiplier == 1:
        return
    yield {
        "rule": floor.rule,
        "kind": "sensitive_multiplier",
        "multiplier": str(of.multiplier),
        "applied": True,
        "note": f"times {of.sensitive_multiplier} for sensitive content",
        "compared": str(rate),
        "compared_currency": floor.currency,
    }
