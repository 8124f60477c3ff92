"""An exchange rate is a snapshot: one unit of `base` cost `rate` units of `quote`, on a day, by a provider.

Rates are never changed, only followed by others, because booked journals name the one that they used. Between
snapshots everything is exact: an inverse or a cross through the euro is a Fraction, never a rounded decimal.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric, Select, String, UniqueConstraint, and_, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.money import PLAIN, exponent
from tasks.append_only import attach, only_grows
from tasks.db import Base, new_id
from tasks.errors import Conflict, Invalid, NotFound

HUB: Final = "EUR"
PLACES: Final = 12


class WrongRate(Invalid):
    """An exchange rate is a positive decimal number with up to twelve digits on either side of the point."""


class RateReused(Conflict):
    """This provider's rate of that day is already recorded with another value."""


class NoExchangeRate(NotFound):
    """No exchange rate between these currencies is known."""


class FxRate(Base):
    """One provider's rate of one day."""

    __tablename__ = "fx_rate"
    __table_args__ = (
        UniqueConstraint("base", "quote", "as_of", "provider"),
        CheckConstraint("rate > 0", name="positive"),
        CheckConstraint("base <> quote", name="two_currencies"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    base: Mapped[str] = mapped_column(String(3))
    quote: Mapped[str] = mapped_column(String(3))
    rate: Mapped[Decimal] = mapped_column(Numeric(24, PLACES))
    provider: Mapped[str]
    as_of: Mapped[date]
    recorded_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")


GUARDS: Final = only_grows("fx_rate")
attach(FxRate.__table__, GUARDS)


@dataclass(frozen=True)
class Rate:
    """What one unit of the base is worth in the quote, and the snapshots it came from (two for a cross)."""

    id: UUID | None
    value: Fraction
    as_of: date
    through: UUID | None = None


def record(
    session: Session,
    *,
    base: str,
    quote: str,
    rate: Decimal | str,
    provider: str,
    as_of: date,
    now: datetime,
    note: str = "",
) -> FxRate:
    """Record a rate; the same again gives the stored one. Raises WrongRate, UnknownCurrency, RateReused."""
    exponent(base, as_of)
    exponent(quote, as_of)
    value = _decimal(rate)
    if base == quote or not provider.strip():
        raise WrongRate(
            "A rate stands between two currencies and names its provider.", base=base, quote=quote
        )
    known = (FxRate.base == base, FxRate.quote == quote, FxRate.as_of == as_of, FxRate.provider == provider)
    session.execute(
        insert(FxRate)
        .values(
            base=base, quote=quote, rate=value, provider=provider, as_of=as_of, recorded_at=now, note=note
        )
        .on_conflict_do_nothing(index_elements=["base", "quote", "as_of", "provider"])
    )
    stored = session.scalars(select(FxRate).where(*known)).one()
    if stored.rate != value:
        raise RateReused(
            base=base, quote=quote, as_of=as_of.isoformat(), provider=provider, rate=str(stored.rate)
        )
    return stored


def rate_at(session: Session, base: str, quote: str, day: date, known_at: datetime | None = None) -> Rate:
    """Give the rate of a day: the newest known by then, else the earliest after it. Raises NoExchangeRate.

    A snapshot of the pair in either direction goes before a cross through the euro. With `known_at`, snapshots that
    were recorded later do not exist, so that a computation can be done again as it was.
    """
    exponent(base)
    exponent(quote)
    if base == quote:
        return Rate(None, Fraction(1), day)
    known = select(FxRate) if known_at is None else select(FxRate).where(FxRate.recorded_at <= known_at)
    found = (
        _pair(session, known, base, quote, day, later=False)
        or _cross(session, known, base, quote, day, later=False)
        or _pair(session, known, base, quote, day, later=True)
        or _cross(session, known, base, quote, day, later=True)
    )
    if found is None:
        raise NoExchangeRate(base=base, quote=quote, day=day.isoformat())
    return found


def convert(amount: int | Fraction, base: str, quote: str, rate: Fraction) -> Fraction:
    """Turn minor units of one currency into exact minor units of another; the caller rounds, once."""
    if not {type(amount), type(rate)} <= {int, Fraction}:
        raise TypeError("amounts and rates are exact: int or Fraction")
    return amount * rate * Fraction(10) ** (exponent(quote) - exponent(base))


def _pair(
    session: Session, known: Select[FxRate], base: str, quote: str, day: date, *, later: bool
) -> Rate | None:
    """Find a snapshot of the pair in either direction, up to the day, or (later) the first after it."""
    either = or_(
        and_(FxRate.base == base, FxRate.quote == quote), and_(FxRate.base == quote, FxRate.quote == base)
    )
    query = known.where(either)
    if later:
        query = query.where(FxRate.as_of > day).order_by(FxRate.as_of)
    else:
        query = query.where(FxRate.as_of <= day).order_by(FxRate.as_of.desc())
    # On one day the direct quotation goes first, then what was recorded last.
    found = session.scalars(
        query.order_by((FxRate.base == base).desc(), FxRate.recorded_at.desc(), FxRate.id.desc()).limit(1)
    ).one_or_none()
    if found is None:
        return None
    value = Fraction(found.rate)
    return Rate(found.id, value if found.base == base else 1 / value, found.as_of)


def _cross(
    session: Session, known: Select[FxRate], base: str, quote: str, day: date, *, later: bool
) -> Rate | None:
    if HUB in (base, quote):
        return None
    legs: list[Rate] = []
    for pair in ((base, HUB), (HUB, quote)):
        leg = _pair(session, known, *pair, day, later=False)
        if leg is None and later:
            leg = _pair(session, known, *pair, day, later=True)
        if leg is None:
            return None
        legs.append(leg)
    first, second = legs
    # As old as its older half: what a reader must know to judge it.
    return Rate(first.id, first.value * second.value, min(first.as_of, second.as_of), second.id)


def _decimal(rate: Decimal | str) -> Decimal:
    if isinstance(rate, str):
        if not PLAIN.fullmatch(rate):
            raise WrongRate(rate=rate[:80])
        rate = Decimal(rate)
    if not isinstance(rate, Decimal):
        raise TypeError(f"a rate is Decimal or text, not {type(rate).__name__}")
    if not rate.is_finite() or rate <= 0 or rate >= 10**PLACES:
        raise WrongRate(rate=str(rate)[:80])
    # Rounded by the database, it would be a rate that nobody quoted.
    if rate != rate.quantize(Decimal(1).scaleb(-PLACES)):
        raise WrongRate(rate=str(rate)[:80])
    return rate
