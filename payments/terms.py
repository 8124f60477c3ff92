"""Pay terms: what a batch pays, in which currency, and how long it is expected to take; published before acceptance.

Terms are sealed when the batch opens. From then on they change only in the workers' favour, and every change has a
number of its own and a moment from which it counts; what was worked before it keeps the pay of then. A price is a
promise on top of the floor, never instead of it: whoever takes longer is paid their time. There is no field in which
a duty to keep pay secret could be written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Integer, Numeric, String, cast, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.applied_floors import Floors, floor_for
from payments.canonical import moment
from payments.money import PLAIN, exponent, minor
from payments.paid_time import grace_seconds
from payments.settings import PaymentSettings
from schemas.words import Words
from tasks.append_only import attach, only_grows
from tasks.batches import Batch
from tasks.db import Base
from tasks.errors import Conflict, Invalid, NotFound
from tasks.items import Item
from tasks.projects import Definition

__all__ = ["Floors", "PayTerms", "floor_for", "set_terms", "terms_of"]

DAY_SECONDS: Final = 86_400
GRACE_MAX: Final = 7_200
"""No silence counts for longer; whoever reads evidence may rely on it."""
PRICE_MAX: Final = Decimal(10**9)
RISE_AFTER: Final = timedelta(minutes=1)
"""A rise counts a little later than it is recorded, so that no answer under way can be stored with the pay before."""
PLACES: Final = Decimal("0.000001")


class NoTerms(NotFound):
    """This batch has no pay terms yet; set the price or the hourly rate first."""


class WrongTerms(Invalid):
    """These pay terms cannot be used."""


class TermsSealed(Conflict):
    """The batch has been opened with its pay terms; a price or an hourly rate may rise, nothing else may change."""


class AgreedPay:
    """The part of the terms that may rise, as it counts from a moment on; amounts in whole units of the currency."""

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    piece_price: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    hourly_rate: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    sensitive_multiplier: Mapped[Decimal] = mapped_column(Numeric(4, 2))
    # Set for a draft too: what is asked of these terms is asked at moments after it.
    counts_from: Mapped[datetime]
    revision: Mapped[int]

    @property
    def price(self) -> Fraction:
        """What one answer earns, in exact minor units; nothing where time alone is paid."""
        return Fraction(0) if self.piece_price is None else minor(self.piece_price, self.currency)

    @property
    def multiplier(self) -> Fraction:
        """By how much the floor is raised for sensitive content."""
        return Fraction(self.sensitive_multiplier)

    def promise(self) -> dict[str, Any] | None:
        """Give the requester's hourly promise as a pay rule document; None where the floor alone holds."""
        if self.hourly_rate is None:
            return None
        day = self.counts_from.date().isoformat()
        return {
            "id": f"promise.{self.batch_id}",
            "version": self.revision,
            "kind": "requester_promise",
            "status": "in_force",
            "jurisdiction": None,
            "area": None,
            "currency": self.currency,
            "rates": [{"per": "hour", "amount": plain(self.hourly_rate)}],
            "authoritative_unit": "hour",
            "hours_basis": None,
            "effective_from": day,
            "effective_to": None,
            "time_zone": "UTC",
            "source": {"title": "Pay terms of the batch"},
            "recorded_at": moment(self.counts_from),
            "supersedes": None,
            "confidence": "A",
            "verified_by": [],
            "review_by": day,
        }


class TermsRevision(AgreedPay, Base):
    """What a sealed batch pays from a moment on: one row when it opens, and one for each rise."""

    __tablename__ = "terms_revision"

    revision: Mapped[int] = mapped_column(primary_key=True)


GUARDS: Final = only_grows("terms_revision")
attach(TermsRevision.__table__, GUARDS)


class PayTerms(AgreedPay, Base):
    """What one batch pays, as it stands."""

    __tablename__ = "pay_terms"
    __table_args__ = (
        CheckConstraint("pay_mode IN ('hourly', 'piece')", name="pay_mode"),
        CheckConstraint("(pay_mode = 'piece') = (piece_price IS NOT NULL)", name="piece_price"),
        CheckConstraint("piece_price > 0 AND hourly_rate > 0", name="positive"),
        CheckConstraint("0 < estimate_seconds AND estimate_seconds <= estimate_seconds_p95", name="estimate"),
        CheckConstraint(f"grace_seconds BETWEEN 0 AND {GRACE_MAX}", name="grace"),
        CheckConstraint("fee_percent BETWEEN 0 AND 100", name="fee"),
        CheckConstraint("sensitive_multiplier >= 1", name="sensitive_multiplier"),
    )

    pay_mode: Mapped[Literal["hourly", "piece"]] = mapped_column(String(6))
    estimate_seconds: Mapped[int]
    estimate_seconds_p95: Mapped[int]
    grace_seconds: Mapped[int]
    fee_percent: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    created_at: Mapped[datetime]
    sealed_at: Mapped[datetime | None]

    @property
    def fee(self) -> Fraction:
        """The platform's share on top of what workers are paid."""
        return Fraction(self.fee_percent) / 100


@dataclass(frozen=True)
class _Wanted:
    """Terms as asked for, checked."""

    currency: str
    pay_mode: Literal["hourly", "piece"]
    piece_price: Decimal | None
    hourly_rate: Decimal | None
    estimate_seconds: int
    estimate_seconds_p95: int
    fee_percent: Decimal
    sensitive_multiplier: Decimal


def set_terms(
    session: Session,
    batch: Batch,
    *,
    currency: str,
    pay_mode: str,
    estimate_seconds: int,
    now: datetime,
    piece_price: Decimal | str | None = None,
    hourly_rate: Decimal | str | None = None,
    estimate_seconds_p95: int | None = None,
    fee_percent: Decimal | str | None = None,
    sensitive_multiplier: Decimal | str = "1",
) -> PayTerms:
    """Set a draft's terms, or raise an open batch's pay. Raises WrongTerms, TermsSealed, UnknownCurrency.

    Without a fee it is the instance's, or the one that is sealed. Whoever raises the pay of an open batch then calls
    `funding.watch`: the reserve may no longer carry it.
    """
    exponent(currency, now.date())
    query = select(PayTerms).where(PayTerms.batch_id == batch.id).with_for_update()
    sealed = session.scalar(query.execution_options(populate_existing=True))
    if fee_percent is not None:
        fee = fee_percent
    else:
        fee = sealed.fee_percent if sealed and sealed.sealed_at else _instance_fee()
    wanted = _Wanted(
        currency=currency,
        pay_mode=_mode(pay_mode, piece_price),
        piece_price=_amount("piece_price", piece_price),
        hourly_rate=_amount("hourly_rate", hourly_rate),
        estimate_seconds=estimate_seconds,
        estimate_seconds_p95=estimate_seconds_p95 or 2 * estimate_seconds,
        fee_percent=_number("fee_percent", fee, 0, 100, Decimal("0.01")),
        sensitive_multiplier=_number("sensitive_multiplier", sensitive_multiplier, 1, 10, Decimal("0.01")),
    )
    if not 0 < wanted.estimate_seconds <= wanted.estimate_seconds_p95 <= DAY_SECONDS:
        raise WrongTerms(
            "The estimate is from 1 s to 24 h, and the slow estimate is not below it.",
            field="estimate_seconds",
        )
    if sealed is not None and sealed.sealed_at is not None:
        _check_raise(sealed, wanted)
    terms = sealed or PayTerms(batch_id=batch.id, revision=0, created_at=now, counts_from=now)
    for name, value in vars(wanted).items():
        setattr(terms, name, value)
    terms.revision += 1
    if terms.sealed_at is None:
        terms.grace_seconds = _grace(session, batch)
    else:
        terms.counts_from = now + RISE_AFTER
        session.add(_revision(terms))
    session.add(terms)
    session.flush()
    return terms


def seal(session: Session, terms: PayTerms, now: datetime) -> None:
    """Fix the terms because the batch opens; the time that silence may last is measured on its items as they are."""
    if terms.sealed_at is None:
        terms.grace_seconds = _grace(session, session.get_one(Batch, terms.batch_id))
        terms.sealed_at = terms.counts_from = now
        session.add(_revision(terms))
        session.flush()


def terms_of(session: Session, batch_id: UUID) -> PayTerms:
    """Give a batch's terms. Raises NoTerms."""
    terms = session.get(PayTerms, batch_id)
    if terms is None:
        raise NoTerms
    return terms


def find_terms(session: Session, batch_id: UUID) -> PayTerms | None:
    """Give a batch's terms if they are set."""
    return session.get(PayTerms, batch_id)


def agreed_pay(session: Session, every: Iterable[PayTerms]) -> dict[UUID, list[AgreedPay]]:
    """Give what each of these batches paid from when on, the earliest first; a draft's terms as they stand."""
    found: dict[UUID, list[AgreedPay]] = {terms.batch_id: [] for terms in every}
    query = select(TermsRevision).where(TermsRevision.batch_id.in_(found))
    for one in session.scalars(query.order_by(TermsRevision.batch_id, TermsRevision.revision)):
        found[one.batch_id].append(one)
    return {terms.batch_id: found[terms.batch_id] or [terms] for terms in every}


def paid_at(revisions: Sequence[AgreedPay], at: datetime) -> AgreedPay:
    """Give the pay that counted at a moment; before the first one, the first."""
    return max((one for one in revisions if one.counts_from <= at), key=_counted, default=revisions[0])


def _counted(one: AgreedPay) -> int:
    return one.revision


def plain(amount: Decimal) -> str:
    """Write an amount as plain digits, without exponent and without needless zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _revision(terms: PayTerms) -> TermsRevision:
    names = (
        "batch_id",
        "currency",
        "piece_price",
        "hourly_rate",
        "sensitive_multiplier",
        "counts_from",
        "revision",
    )
    return TermsRevision(**{name: getattr(terms, name) for name in names})


@lru_cache(maxsize=1)
def _instance_fee() -> Decimal:
    return PaymentSettings.from_env().fee_percent


def _check_raise(sealed: PayTerms, wanted: _Wanted) -> None:
    """Let pay rise and nothing else change. Raises TermsSealed."""
    kept = ("currency", "pay_mode", "estimate_seconds", "estimate_seconds_p95", "fee_percent")
    raised = ("piece_price", "hourly_rate", "sensitive_multiplier")
    for name in kept:
        if getattr(wanted, name) != getattr(sealed, name):
            raise TermsSealed(field=name)
    for name in raised:
        if (getattr(wanted, name) or 0) < (getattr(sealed, name) or 0):
            raise TermsSealed(field=name)


def _mode(pay_mode: str, piece_price: Decimal | str | None) -> Literal["hourly", "piece"]:
    if pay_mode == "hourly":
        if piece_price is not None:
            raise WrongTerms("A batch paid by the hour has no price per answer.", field="piece_price")
        return "hourly"
    if pay_mode == "piece":
        if piece_price is None:
            raise WrongTerms("Say what one answer is paid.", field="piece_price")
        return "piece"
    raise WrongTerms("Pay is 'hourly' or 'piece'.", field="pay_mode")


def _amount(field: str, value: Decimal | str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        return _number(field, value, PLACES, PRICE_MAX, PLACES)
    except WrongTerms:
        raise WrongTerms(
            "Write an amount above zero in plain digits, with at most six after the point, such as 0.25.",
            field=field,
        ) from None


def _number(
    field: str, value: Decimal | str, low: Decimal | int, high: Decimal | int, step: Decimal
) -> Decimal:
    """Read a decimal number within limits, exact to a step. Raises WrongTerms."""
    if not isinstance(value, Decimal | str):
        raise TypeError(f"{field} is text or Decimal, not {type(value).__name__}")
    if isinstance(value, str) and not PLAIN.fullmatch(value):
        raise WrongTerms("Write a number as plain digits with a point, such as 0.25.", field=field)
    number = Decimal(value)
    try:
        fits = number.is_finite() and low <= number <= high and number == number.quantize(step)
    except InvalidOperation:
        fits = False
    if not fits:
        said = {"low": low, "high": high, "step": step}
        raise WrongTerms(
            Words("Write a number from %(low)s to %(high)s, in steps of %(step)s.", **said), field=field
        )
    return number.quantize(step)


def _grace(session: Session, batch: Batch) -> int:
    """Say how long silence counts here: enough to read the instructions or the longest item."""
    definition = session.get_one(Definition, batch.definition_id).parsed()
    words = len(definition.instructions.split())
    columns = [
        Item.data[shown.source].astext for shown in definition.show if shown.kind in {"text", "markdown"}
    ]
    if columns:
        shown = func.concat_ws(" ", *columns)
        counted = func.max(func.cardinality(func.regexp_split_to_array(shown, r"\s+")))
        words = max(
            words, session.scalar(select(cast(counted, Integer)).where(Item.batch_id == batch.id)) or 0
        )
    return grace_seconds(words, 0, None, min(batch.lease_seconds, GRACE_MAX))
