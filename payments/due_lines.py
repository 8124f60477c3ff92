"""A due line is what one worker is owed for one batch (or for the platform's overhead) in one segment of a period.

Due is never under the agreed pay and never under credited time at the floor: the code refuses such a line, and so
does the database. A line is booked once, in one journal, and never changed.
"""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.fx import FxRate
from payments.ledger import Journal
from payments.money import ceil_minor
from payments.periods import PayPeriod, code_of
from tasks.append_only import attach, only_grows
from tasks.db import Base
from tasks.errors import Conflict

OVERHEAD: Final = "overhead"


class UnderpaidLine(Conflict):
    """A line of this period is under its agreed pay or under the floor; nothing of the period is paid out."""


class DueLine(Base):
    """What is owed for one segment; amounts in minor units of `currency`, rate exact per hour as 'num/den'."""

    __tablename__ = "due_line"
    __table_args__ = (
        CheckConstraint("seconds >= 0 AND agreed >= 0 AND required >= 0", name="not_negative"),
        CheckConstraint("due >= agreed AND due >= required AND topup = due - agreed", name="paid"),
        CheckConstraint("charge >= 0 AND fee >= 0", name="charge"),
        CheckConstraint("segment_start < segment_end", name="segment"),
        CheckConstraint("(journal_id IS NULL) = (due = 0)", name="booked"),
        CheckConstraint("octet_length(evidence_digest) = 32", name="evidence_digest"),
        Index("ix_due_line_worker", "worker_id", "segment_start"),
        Index(
            "uq_due_line_segment",
            "period_id",
            "worker_id",
            "batch_id",
            "segment_start",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        # With what an hour brought, so that the page of all offers reads no whole lines.
        Index(
            "ix_due_line_batch_id",
            "batch_id",
            postgresql_include=[
                "worker_id",
                "charge_currency",
                "charge",
                "agreed",
                "due",
                "seconds",
                "answers",
            ],
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    period_id: Mapped[UUID] = mapped_column(ForeignKey("pay_period.id"))
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("batch.id"))
    segment_start: Mapped[datetime]
    segment_end: Mapped[datetime]
    place: Mapped[str | None]
    area: Mapped[str | None]
    currency: Mapped[str] = mapped_column(String(3))
    seconds: Mapped[int]
    seconds_by: Mapped[dict[str, Any]]
    agreed: Mapped[int] = mapped_column(BigInteger)
    required: Mapped[int] = mapped_column(BigInteger)
    due: Mapped[int] = mapped_column(BigInteger)
    topup: Mapped[int] = mapped_column(BigInteger)
    rate: Mapped[str]
    rule: Mapped[str]
    rule_sha256: Mapped[str]
    fx_rate_id: Mapped[UUID | None] = mapped_column(ForeignKey(FxRate.id))
    fx_through: Mapped[UUID | None] = mapped_column(ForeignKey(FxRate.id))
    fx: Mapped[str | None]
    charge: Mapped[int] = mapped_column(BigInteger)
    charge_currency: Mapped[str] = mapped_column(String(3))
    fee: Mapped[int] = mapped_column(BigInteger)
    answers: Mapped[int]
    trace: Mapped[list[Any]]
    evidence_digest: Mapped[bytes] = mapped_column(LargeBinary)
    journal_id: Mapped[int | None] = mapped_column(ForeignKey(Journal.id), unique=True)
    corrects: Mapped[UUID | None] = mapped_column(ForeignKey("due_line.id"))
    made_at: Mapped[datetime]

    @property
    def week(self) -> str:
        """The week in which the work was done: the line's own, or the one that it corrects."""
        return code_of(self.segment_start.astimezone(UTC).date())

    @property
    def hourly_floor(self) -> Fraction:
        """The floor in exact minor units per hour."""
        return Fraction(self.rate)


GUARDS: Final = only_grows("due_line")
attach(DueLine.__table__, GUARDS)


CREDITED: Final = text("""
    SELECT transfer.journal_id, sum(transfer.amount)::bigint AS amount FROM transfer
    JOIN account ON account.id = transfer.credit_id AND account.code LIKE 'worker_payable:%'
    JOIN due_line ON due_line.journal_id = transfer.journal_id
    WHERE due_line.period_id = :period GROUP BY transfer.journal_id""")
"""What the ledger credited for each line of a period."""


def lines_of(session: Session, period_id: UUID, worker_id: UUID | None = None) -> list[DueLine]:
    """Give a period's lines, of one worker or all, by worker, start and batch."""
    query = select(DueLine).where(DueLine.period_id == period_id)
    if worker_id is not None:
        query = query.where(DueLine.worker_id == worker_id)
    return list(
        session.scalars(
            query.order_by(DueLine.worker_id, DueLine.segment_start, DueLine.batch_id, DueLine.id)
        )
    )


def lines_about(session: Session, week: PayPeriod, worker_id: UUID) -> list[DueLine]:
    """Give all that was booked for a worker's week, by its own period and as corrections, the earliest first."""
    query = select(DueLine).where(
        DueLine.worker_id == worker_id,
        DueLine.segment_start >= week.starts_at,
        DueLine.segment_start < week.ends_at,
    )
    return list(
        session.scalars(query.order_by(DueLine.made_at, DueLine.segment_start, DueLine.batch_id, DueLine.id))
    )


def underpaid(session: Session, period_id: UUID) -> list[DueLine]:
    """Give the stored lines that pay less than their own figures, or than their journal credited, ask for."""
    # Lines first: a line that another transaction books between the two reads would seem to have no journal.
    lines = lines_of(session, period_id)
    rows = session.execute(CREDITED, {"period": period_id})
    credited: dict[int | None, int] = {row.journal_id: row.amount for row in rows}
    return [
        line
        for line in lines
        if line.due < max(line.agreed, line.required, _at_floor(line))
        or credited.get(line.journal_id, 0) < line.due
    ]


def _at_floor(line: DueLine) -> int:
    """Ask the floor for a line's time; the time of a correction may have been paid by the line that it corrects."""
    return 0 if line.corrects else ceil_minor(Fraction(line.seconds, 3600) * line.hourly_floor)


def exact(value: Fraction) -> str:
    """Write a rational as 'num/den'."""
    return f"{value.numerator}/{value.denominator}"
