"""A pay period is one ISO week, Monday 00:00 to Monday 00:00 UTC: what was earned in it is paid together.

States: open → closing → closed. A period is closed only when it is over; while it is closing, its workers are
settled one by one, and whatever stops that leaves it closing until somebody goes on. It never opens again.
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base, new_id
from tasks.errors import Conflict, NotFound

WEEK: Final = timedelta(days=7)


class UnknownPeriod(NotFound):
    """There is no such pay period."""


class PeriodNotOver(Conflict):
    """This pay period is not over yet; it can be closed after its last day."""


class PeriodState(StrEnum):
    """Where a period stands."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class PayPeriod(Base):
    """One week."""

    __tablename__ = "pay_period"
    __table_args__ = (
        CheckConstraint("ends_at = starts_at + interval '168 hours'", name="week"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(unique=True)
    starts_at: Mapped[datetime] = mapped_column(unique=True)
    ends_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default=PeriodState.OPEN)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


def code_of(day: date) -> str:
    """Name the week of a day, such as 2026-W47."""
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def start_of(moment: datetime) -> datetime:
    """Give the Monday 00:00 UTC of a moment's week."""
    day: date = moment.astimezone(UTC).date()
    monday = day - timedelta(days=day.weekday())
    return datetime(monday.year, monday.month, monday.day, tzinfo=UTC)


def period_at(session: Session, moment: datetime, now: datetime) -> PayPeriod:
    """Give the period of a moment, made if this is its first use."""
    start = start_of(moment)
    known = select(PayPeriod).where(PayPeriod.starts_at == start)
    found = session.scalar(known)
    if found is not None:
        return found
    session.execute(
        insert(PayPeriod)
        .values(
            id=new_id(),
            code=code_of(start),
            starts_at=start,
            ends_at=start + WEEK,
            state=PeriodState.OPEN,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    return session.scalars(known).one()


def get_period(session: Session, period_id: UUID) -> PayPeriod:
    """Fetch a period. Raises UnknownPeriod."""
    found = session.get(PayPeriod, period_id)
    if found is None:
        raise UnknownPeriod
    return found


def period_named(session: Session, code: str) -> PayPeriod:
    """Fetch a period by its code. Raises UnknownPeriod."""
    found = session.scalar(select(PayPeriod).where(PayPeriod.code == code))
    if found is None:
        raise UnknownPeriod
    return found


def lock_period(session: Session, period_id: UUID) -> PayPeriod:
    """Fetch a period and hold it to the end of the transaction. Raises UnknownPeriod."""
    query = select(PayPeriod).where(PayPeriod.id == period_id).with_for_update()
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise UnknownPeriod
    return found


def periods(session: Session) -> list[PayPeriod]:
    """Give all periods, the newest first."""
    return list(session.scalars(select(PayPeriod).order_by(PayPeriod.starts_at.desc())))


def is_open(session: Session, moment: datetime) -> bool:
    """Tell whether the week of a moment can still take what was earned in it."""
    state = session.scalar(select(PayPeriod.state).where(PayPeriod.starts_at == start_of(moment)))
    return state in {None, PeriodState.OPEN}


def settled_until(session: Session) -> datetime | None:
    """Give the moment up to which every period is closed; None before the first."""
    settled = None
    for one in reversed(periods(session)):
        if one.state != PeriodState.CLOSED:
            break
        settled = one.ends_at
    return settled
