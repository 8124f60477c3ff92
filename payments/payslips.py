"""A payslip is a worker's statement of one period in one currency: every line, how it was computed, and the total.

Its document is one canonical JSON object, hashed and sent to the transparency log, so nobody can change it unseen. It
is made once and never again. It belongs to the worker, who may show it to anyone: a share is a secret link, kept here
only as its hash, that the worker can end at any time.
"""

import secrets
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments import transparency
from payments.canonical import digest, moment
from payments.due_lines import DueLine, exact, lines_of
from payments.dues import hourly_equivalent
from payments.money import floor_minor
from payments.money import text as money_text
from payments.periods import PayPeriod
from tasks.append_only import attach, only_grows
from tasks.batches import Named, named
from tasks.db import Base
from tasks.errors import NotFound
from tasks.people import Person, get_person

PAYER: Final = "Fairlabel"
SHARED_FOR: Final = timedelta(days=90)


class UnknownPayslip(NotFound):
    """There is no such payslip, or it is not yours."""


class ShareEnded(NotFound):
    """This link to a payslip is unknown or has ended; ask the worker for a new one."""


class Payslip(Base):
    """One worker's statement of one period in one currency."""

    __tablename__ = "payslip"
    __table_args__ = (
        UniqueConstraint("worker_id", "period_id", "currency"),
        CheckConstraint("total >= 0", name="total"),
        CheckConstraint("octet_length(digest) = 32", name="digest"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    period_id: Mapped[UUID] = mapped_column(ForeignKey("pay_period.id"), index=True)
    currency: Mapped[str] = mapped_column(String(3))
    total: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[dict[str, Any]]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]


class PayslipShare(Base):
    """A link with which anybody may read one payslip; the secret itself is not kept."""

    __tablename__ = "payslip_share"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    payslip_id: Mapped[UUID] = mapped_column(ForeignKey("payslip.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


GUARDS: Final = only_grows("payslip")
attach(Payslip.__table__, GUARDS)


def make(
    session: Session, period: PayPeriod, worker_id: UUID, now: datetime, payer: str = PAYER
) -> list[Payslip]:
    """Make a worker's payslips of a period, one per currency; those already made stay as they are."""
    lines = lines_of(session, period.id, worker_id)
    worker = get_person(session, worker_id)
    names = named(session, {line.batch_id for line in lines if line.batch_id is not None})
    for currency in sorted({line.currency for line in lines}):
        slip_id = uuid5(period.id, f"payslip:{worker_id}:{currency}")
        if session.get(Payslip, slip_id) is not None:
            continue
        number = f"{period.code}-{slip_id.hex[:10]}"
        own = [line for line in lines if line.currency == currency]
        document = _document(slip_id, number, worker, period, payer, own, names)
        session.execute(
            insert(Payslip)
            .values(
                id=slip_id,
                number=number,
                worker_id=worker_id,
                period_id=period.id,
                currency=currency,
                total=sum(line.due for line in own),
                document=document,
                digest=digest(document),
                made_at=now,
            )
            .on_conflict_do_nothing(index_elements=["id"])
        )
        transparency.submit(session, "payslip", str(slip_id), document, now)
    return payslips_in(session, period.id, worker_id)


def payslips_of(session: Session, worker_id: UUID) -> list[Payslip]:
    """Give a worker's payslips, the newest period first."""
    query = (
        select(Payslip)
        .join(PayPeriod, PayPeriod.id == Payslip.period_id)
        .where(Payslip.worker_id == worker_id)
    )
    return list(session.scalars(query.order_by(PayPeriod.starts_at.desc(), Payslip.currency)))


def payslips_in(session: Session, period_id: UUID, worker_id: UUID | None = None) -> list[Payslip]:
    """Give the payslips of a period, of one worker or all."""
    query = select(Payslip).where(Payslip.period_id == period_id)
    if worker_id is not None:
        query = query.where(Payslip.worker_id == worker_id)
    return list(session.scalars(query.order_by(Payslip.worker_id, Payslip.currency)))


def get_payslip(session: Session, payslip_id: UUID, worker_id: UUID | None = None) -> Payslip:
    """Fetch a payslip, only a worker's own if one is named. Raises UnknownPayslip."""
    found = session.get(Payslip, payslip_id)
    if found is None or (worker_id is not None and found.worker_id != worker_id):
        raise UnknownPayslip
    return found


def share(session: Session, payslip: Payslip, now: datetime, lasts: timedelta = SHARED_FOR) -> str:
    """Make a link's secret; it is shown this once."""
    token = secrets.token_urlsafe(32)
    session.add(
        PayslipShare(
            token_hash=_hash(token),
            payslip_id=payslip.id,
            created_at=now,
            expires_at=now + lasts,
            revoked_at=None,
        )
    )
    session.flush()
    return token


def shares_of(session: Session, payslip: Payslip, now: datetime) -> list[PayslipShare]:
    """Give a payslip's links that still work, the newest first."""
    query = select(PayslipShare).where(
        PayslipShare.payslip_id == payslip.id,
        PayslipShare.revoked_at.is_(None),
        PayslipShare.expires_at > now,
    )
    return list(session.scalars(query.order_by(PayslipShare.created_at.desc())))


def get_share(session: Session, payslip: Payslip, token_hash: str, now: datetime) -> PayslipShare:
    """Give one of a payslip's links that still work. Raises ShareEnded."""
    found = next((one for one in shares_of(session, payslip, now) if one.token_hash == token_hash), None)
    if found is None:
        raise ShareEnded
    return found


def revoke(session: Session, share: PayslipShare, now: datetime) -> None:
    """End a link."""
    share.revoked_at = share.revoked_at or now
    session.flush()


def revoke_all(session: Session, payslip: Payslip, now: datetime) -> None:
    """End all links to a payslip."""
    for one in shares_of(session, payslip, now):
        revoke(session, one, now)


def shared(session: Session, token: str, now: datetime) -> Payslip:
    """Give the payslip behind a link. Raises ShareEnded."""
    found = session.get(PayslipShare, _hash(token))
    if found is None or found.revoked_at is not None or found.expires_at <= now:
        raise ShareEnded
    return get_payslip(session, found.payslip_id)


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _document(
    slip_id: UUID,
    number: str,
    worker: Person,
    period: PayPeriod,
    payer: str,
    lines: list[DueLine],
    names: dict[UUID, Named],
) -> dict[str, Any]:
    currency = lines[0].currency
    return {
        "kind": "payslip",
        "version": 1,
        "id": str(slip_id),
        "number": number,
        "payer": payer,
        "worker": {"id": str(worker.id), "name": worker.name, "pseudonym": worker.pseudonym},
        "period": {
            "code": period.code,
            "starts_at": moment(period.starts_at),
            "ends_at": moment(period.ends_at),
        },
        "currency": currency,
        "lines": [_line(line, names, period) for line in lines],
        "totals": {
            "agreed": sum(line.agreed for line in lines),
            "required": sum(line.required for line in lines),
            "due": sum(line.due for line in lines),
            "topup": sum(line.topup for line in lines),
            "seconds": sum(line.seconds for line in lines),
            "hours": hours_text(sum(line.seconds for line in lines)),
            "answers": sum(line.answers for line in lines),
            "text": money_text(sum(line.due for line in lines), currency),
        },
        "hourly": {
            "w_task": _hourly([line for line in lines if line.batch_id is not None]),
            "w_all": _hourly(lines),
        },
    }


def _line(line: DueLine, names: dict[UUID, Named], period: PayPeriod) -> dict[str, Any]:
    name = names[line.batch_id] if line.batch_id is not None else Named("", "")
    optional = {
        "batch": str(line.batch_id or ""),
        "title": name.title,
        "requester": name.requester,
        "place": line.place or "",
        "area": line.area or "",
        "journal": line.journal_id or 0,
        "corrects_week": line.week if line.week != period.code else "",
    }
    return {name: value for name, value in optional.items() if value} | {
        "due_line": str(line.id),
        "paid_by": "platform" if line.batch_id is None else "requester",
        "segment_start": moment(line.segment_start),
        "segment_end": moment(line.segment_end),
        "seconds": line.seconds,
        "seconds_by": line.seconds_by,
        "hours": hours_text(line.seconds),
        "answers": line.answers,
        "agreed": line.agreed,
        "required": line.required,
        "due": line.due,
        "topup": line.topup,
        "rate": line.rate,
        "rule": line.rule,
        "rule_sha256": line.rule_sha256,
        "evidence": line.evidence_digest.hex(),
    }


def _hourly(lines: list[DueLine]) -> dict[str, Any]:
    """Write an hourly equivalent, exact and rounded down; empty where no time was credited."""
    rate: Fraction | None = hourly_equivalent(
        sum(line.due for line in lines), sum(line.seconds for line in lines)
    )
    if rate is None:
        return {}
    return {"exact": exact(rate), "text": money_text(floor_minor(rate), lines[0].currency)}


def hours_text(seconds: int) -> str:
    """Write a duration as hours, minutes and seconds: 0:31:40."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
