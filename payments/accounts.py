"""An account is one place where money of one currency stands: a worker's, a batch's reserve, a rail's cash.

Its code says everything (`worker_payable:<worker>:KES`): the chart below derives kind and guard from it; it
is opened at its first use. Debits and credits only ever grow, `version` counts its lines without a gap, and a
guarded account can never be overdrawn: the database refuses. Only the ledger moves the figures.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, String, UniqueConstraint, case, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.money import exponent
from tasks.append_only import REFUSE, attach
from tasks.db import Base
from tasks.errors import Conflict, Invalid

Kind = Literal["asset", "liability", "income", "expense", "equity"]
Guard = Literal["none", "credit", "debit"]


class UnknownAccount(Invalid):
    """The chart of accounts knows no account of this name."""


class InsufficientFunds(Conflict):
    """There is not enough money on the account."""


class BookFull(Invalid):
    """The account would have to count further than it can."""


class Account(Base):
    """One account of one currency."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("id", "currency"),
        CheckConstraint("kind IN ('asset', 'liability', 'income', 'expense', 'equity')", name="kind"),
        CheckConstraint("guard IN ('none', 'credit', 'debit')", name="guard"),
        CheckConstraint("debits >= 0 AND credits >= 0 AND version >= 0", name="counts_up"),
        CheckConstraint("guard <> 'credit' OR credits >= debits", name="credit_guard"),
        CheckConstraint("guard <> 'debit' OR debits >= credits", name="debit_guard"),
        # Room on each page lets the two balance figures change in place, without touching an index.
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[Kind] = mapped_column(String(9))
    currency: Mapped[str] = mapped_column(String(3))
    guard: Mapped[Guard] = mapped_column(String(6))
    debits: Mapped[int] = mapped_column(BigInteger, server_default="0")
    credits: Mapped[int] = mapped_column(BigInteger, server_default="0")
    version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    opened_at: Mapped[datetime]

    @property
    def balance(self) -> int:
        """What stands on it, in its own direction."""
        return in_own_direction(self.kind, self.debits - self.credits)


DEBIT_KINDS: Final = ("asset", "expense")
LARGEST: Final = 2**63 - 1

GUARDS: Final = (
    REFUSE,
    """
CREATE OR REPLACE TRIGGER account_stays BEFORE DELETE OR TRUNCATE ON account
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """
CREATE OR REPLACE TRIGGER account_only_grows BEFORE UPDATE ON account FOR EACH ROW WHEN (
    (OLD.id, OLD.code, OLD.kind, OLD.currency, OLD.guard, OLD.opened_at)
        IS DISTINCT FROM (NEW.id, NEW.code, NEW.kind, NEW.currency, NEW.guard, NEW.opened_at)
    OR NEW.version <= OLD.version OR NEW.debits < OLD.debits OR NEW.credits < OLD.credits
) EXECUTE FUNCTION refuse_change()""",
)
attach(Account.__table__, GUARDS)


class _Row(NamedTuple):
    kind: Kind
    guard: Guard
    owned: bool


CHART: Final = {
    "rail_cash": _Row("asset", "none", owned=True),
    "rail_pending": _Row("asset", "none", owned=True),
    "requester_prefund": _Row("liability", "credit", owned=True),
    "batch_reserve": _Row("liability", "credit", owned=True),
    "worker_payable": _Row("liability", "credit", owned=True),
    "payout_in_transit": _Row("liability", "credit", owned=True),
    "tax_withheld": _Row("liability", "credit", owned=False),
    "platform_fee": _Row("income", "none", owned=False),
    "overhead": _Row("expense", "none", owned=False),
    "rail_fee": _Row("expense", "none", owned=False),
    "goodwill": _Row("expense", "none", owned=False),
    "fx": _Row("equity", "none", owned=True),
    "rounding": _Row("equity", "none", owned=False),
    "suspense": _Row("equity", "none", owned=True),
}
CODE: Final = re.compile(r"([a-z_]+)(?::([A-Za-z0-9][A-Za-z0-9._-]{0,79}))?:([A-Z]{3})", re.ASCII)


def chart(code: str) -> tuple[Kind, Guard]:
    """Give the kind and guard of an account `<name>[:<owner>]:<currency>`. Raises UnknownAccount."""
    match = CODE.fullmatch(code)
    row = CHART.get(match[1]) if match else None
    if match is None or row is None or row.owned != (match[2] is not None):
        raise UnknownAccount(code=code[:120])
    exponent(match[3])
    return row.kind, row.guard


def worker_payable(worker_id: UUID, currency: str) -> str:
    """Name the account of what is owed to a worker."""
    return f"worker_payable:{worker_id}:{currency}"


def requester_prefund(requester_id: UUID, currency: str) -> str:
    """Name the account of what a requester has paid in beyond reserves."""
    return f"requester_prefund:{requester_id}:{currency}"


def batch_reserve(batch_id: UUID, currency: str) -> str:
    """Name the account of what is set aside for a batch."""
    return f"batch_reserve:{batch_id}:{currency}"


def in_own_direction(kind: str, debits_over_credits: int) -> int:
    """Give a balance as its reader counts it: assets and expenses by debits, the rest by credits."""
    return debits_over_credits if kind in DEBIT_KINDS else -debits_over_credits


def currency_of(code: str) -> str:
    """Give the currency in an account's code."""
    return code.rpartition(":")[2]


def account(session: Session, code: str, now: datetime) -> Account:
    """Give an account, opened if this is its first use. Raises UnknownAccount."""
    open_accounts(session, [code], now)
    return session.scalars(
        select(Account).where(Account.code == code).execution_options(populate_existing=True)
    ).one()


def balance(session: Session, code: str) -> int:
    """Give what stands on an account in minor units, 0 if it was never used. Raises UnknownAccount."""
    chart(code)
    sign = case((Account.kind.in_(DEBIT_KINDS), 1), else_=-1)
    return session.scalar(select((Account.debits - Account.credits) * sign).where(Account.code == code)) or 0


@dataclass
class Held:
    """An account under our lock, with its figures as they will be."""

    id: int
    code: str
    kind: Kind
    guard: Guard
    debits: int
    credits: int
    version: int

    @property
    def balance(self) -> int:
        """What will stand on it, in its own direction."""
        return in_own_direction(self.kind, self.debits - self.credits)

    def take(self, debit: int = 0, credit: int = 0) -> None:
        """Count one more line. Raises BookFull."""
        self.debits += debit
        self.credits += credit
        self.version += 1
        if max(self.debits, self.credits) > LARGEST:
            raise BookFull(account=self.code)

    @property
    def overdrawn(self) -> bool:
        """Whether its guard will refuse."""
        over = {"credit": self.credits - self.debits, "debit": self.debits - self.credits, "none": 0}
        return over[self.guard] < 0


def hold(session: Session, codes: Iterable[str], now: datetime) -> dict[str, Held]:
    """Open what is missing and lock all of them until the transaction ends."""
    wanted = sorted(set(codes))
    open_accounts(session, wanted, now)
    figures = (Account.debits, Account.credits, Account.version)
    # One order for everyone; NO KEY, because the foreign keys of transfers may keep pointing here meanwhile.
    rows = session.execute(
        select(Account.id, Account.code, Account.kind, Account.guard, *figures)
        .where(Account.code.in_(wanted))
        .order_by(Account.id)
        .with_for_update(key_share=True)
    )
    return {row.code: Held(*row) for row in rows}


def write_balances(session: Session, held: Sequence[Held]) -> None:
    """Write the figures of held accounts in one statement. Raises InsufficientFunds where a guard refuses."""
    try:
        session.execute(
            _BALANCES,
            {
                "ids": [one.id for one in held],
                "debits": [one.debits for one in held],
                "credits": [one.credits for one in held],
                "versions": [one.version for one in held],
            },
        )
    except IntegrityError as error:
        if constraint_of(error) in ("ck_account_credit_guard", "ck_account_debit_guard"):
            raise InsufficientFunds(accounts=[one.code for one in held if one.overdrawn]) from error
        raise


def constraint_of(error: IntegrityError) -> str | None:
    """Name the constraint that refused."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None)


def open_accounts(session: Session, codes: Iterable[str], now: datetime) -> None:
    """Open those accounts that are not there yet, in one statement."""
    # Sorted, because two transactions that open the same accounts wait for each other in this order.
    wanted = sorted(set(codes))
    rows = [chart(code) for code in wanted]
    session.execute(
        _OPEN,
        {
            "codes": wanted,
            "kinds": [kind for kind, _ in rows],
            "guards": [guard for _, guard in rows],
            "currencies": [currency_of(code) for code in wanted],
            "now": now,
        },
    )


_OPEN: Final = text("""
    INSERT INTO account (code, kind, guard, currency, opened_at)
    SELECT code, kind, guard, currency, :now
    FROM unnest(CAST(:codes AS text[]), CAST(:kinds AS text[]), CAST(:guards AS text[]),
                CAST(:currencies AS text[])) WITH ORDINALITY AS wanted (code, kind, guard, currency, place)
    WHERE NOT EXISTS (SELECT FROM account AS known WHERE known.code = wanted.code)
    ORDER BY place
    ON CONFLICT (code) DO NOTHING
""")

_BALANCES: Final = text("""
    UPDATE account SET debits = written.debits, credits = written.credits, version = written.version
    FROM unnest(CAST(:ids AS bigint[]), CAST(:debits AS bigint[]), CAST(:credits AS bigint[]),
                CAST(:versions AS bigint[])) AS written (id, debits, credits, version)
    WHERE account.id = written.id
""")
