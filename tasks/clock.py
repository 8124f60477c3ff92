"""What time it is: the system's, or on demo and test instances the time that recorded work brings along.

Functions never ask; the edge asks here once per request or job and passes `now` on. On a simulated instance a request
may say its own time, and a row in the database gives the time to everything else while a recording is played.
"""

from datetime import UTC, datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base
from tasks.errors import Invalid, NotAllowed


class ClockNotSimulated(NotAllowed):
    """This instance runs on the system's clock; times are not taken from outside."""


class UnlikelyTime(Invalid):
    """A time that is said lies in the years from 2000 to 2099."""


class Clock(Base):
    """The one row that holds a simulated instance's time; none or NULL means the system's."""

    __tablename__ = "clock"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime | None]


def now(session: Session, *, simulated: bool, said: datetime | None = None) -> datetime:
    """Give the moment for one request or job; only a simulated one is said. Raises ClockNotSimulated, UnlikelyTime."""
    if not simulated:
        if said is not None:
            raise ClockNotSimulated
        return datetime.now(UTC)
    if said is not None:
        _check(said)
        return said.astimezone(UTC)
    row = session.get(Clock, 1)
    return row.at if row is not None and row.at is not None else datetime.now(UTC)


def turn(session: Session, at: datetime | None, *, simulated: bool) -> None:
    """Set a simulated instance's time, or give it back to the system with None. Raises UnlikelyTime."""
    if not simulated:
        raise ClockNotSimulated
    if at is not None:
        _check(at)
    session.execute(
        insert(Clock).values(id=1, at=at).on_conflict_do_update(index_elements=["id"], set_={"at": at})
    )


def _check(said: datetime) -> None:
    """Keep calendars and time zones within what every computation can hold."""
    if not 2000 <= said.year < 2100:
        raise UnlikelyTime
