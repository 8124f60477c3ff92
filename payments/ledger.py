"""The ledger: a journal is one business fact, its transfers move minor units from account to account.

A transfer has one debit, one credit and one amount, so an unbalanced or two-currency entry cannot be written.
Journals are posted whole or not at all, once per idempotency key, and never changed: a mistake is followed by
its reversal. Each transfer numbers itself in both accounts (`version`) and keeps both balances after it: the
owner of an account sees from their own lines alone that none is missing. A batch of entries is posted as one:
guards hold where it ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    select,
)
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from payments import accounts
from payments.accounts import (
    LARGEST,
    Account,
    InsufficientFunds,
    account,
    balance,
    chart,
    constraint_of,
    currency_of,
    hold,
    write_balances,
)
from payments.canonical import digest, moment
from payments.fx import FxRate
from payments.ledger_checks import Check, checks
from tasks.append_only import attach, only_grows
from tasks.db import Base
from tasks.errors import Conflict, Invalid

# The ledger's readers need nothing but this file.
__all__ = ["Check", "InsufficientFunds", "account", "balance", "chart", "checks"]


class WrongEntry(Invalid):
    """A journal moves positive whole minor units between two different accounts of one currency."""


class KeyReused(Conflict):
    """This idempotency key was already used for a different entry."""


class AlreadyReversed(Conflict):
    """This journal has already been reversed."""


class Journal(Base):
    """One business fact, with all its transfers."""

    __tablename__ = "journal"
    __table_args__ = (
        CheckConstraint("lines > 0", name="has_lines"),
        CheckConstraint("octet_length(fingerprint) = 32", name="fingerprint"),
        CheckConstraint("octet_length(evidence_digest) = 32", name="evidence_digest"),
        CheckConstraint("octet_length(rule_set_hash) = 32", name="rule_set_hash"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    lines: Mapped[int] = mapped_column(SmallInteger)
    effective_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    actor: Mapped[str]
    evidence_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    rule_set_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    fx_rate_id: Mapped[UUID | None] = mapped_column(ForeignKey(FxRate.id))
    reverses: Mapped[int | None] = mapped_column(ForeignKey("journal.id"), unique=True)
    memo: Mapped[str]


class Transfer(Base):
    """One amount from one account (credited) to another (debited)."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit_id <> credit_id", name="two_accounts"),
        UniqueConstraint("journal_id", "line"),
        # With the currency in both keys, a transfer between two currencies cannot be written.
        ForeignKeyConstraint(
            ["debit_id", "currency"], [Account.id, Account.currency], name="fk_transfer_debit"
        ),
        ForeignKeyConstraint(
            ["credit_id", "currency"], [Account.id, Account.currency], name="fk_transfer_credit"
        ),
        UniqueConstraint("debit_id", "debit_version"),
        UniqueConstraint("credit_id", "credit_version"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))
    line: Mapped[int] = mapped_column(SmallInteger)
    debit_id: Mapped[int] = mapped_column(BigInteger)
    credit_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    amount: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str]
    line_ref: Mapped[str | None]
    debit_version: Mapped[int] = mapped_column(BigInteger)
    debit_after: Mapped[int] = mapped_column(BigInteger)
    credit_version: Mapped[int] = mapped_column(BigInteger)
    credit_after: Mapped[int] = mapped_column(BigInteger)


# A journal says how many lines it has; none can be slipped in once they are all there.
SEALED: Final = (
    """
CREATE OR REPLACE FUNCTION refuse_further_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added JOIN journal ON journal.id = added.journal_id
               WHERE added.line NOT BETWEEN 1 AND journal.lines) THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = 'the journal has all its lines';
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE OR REPLACE TRIGGER transfer_sealed AFTER INSERT ON transfer REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION refuse_further_lines()""",
)
JOURNAL_GUARDS: Final = only_grows("journal")
TRANSFER_GUARDS: Final = (*only_grows("transfer"), *SEALED)
GUARDS: Final = (*accounts.GUARDS, *JOURNAL_GUARDS, *TRANSFER_GUARDS)
attach(Journal.__table__, JOURNAL_GUARDS)
attach(Transfer.__table__, TRANSFER_GUARDS)


@dataclass(frozen=True)
class Move:
    """One line to be posted: debit one account, credit another."""

    debit: str
    credit: str
    amount: int
    currency: str
    code: str
    line_ref: str | None = None


@dataclass(frozen=True)
class Entry:
    """One journal to be posted; the same key and content again is the same journal."""

    kind: str
    key: str
    moves: Sequence[Move]
    effective_at: datetime
    actor: str
    evidence: bytes | None = None
    rule_hash: bytes | None = None
    fx_rate_id: UUID | None = None
    memo: str = ""
    reverses: int | None = None

    def fingerprint(self) -> bytes:
        """Hash what is asked for; who asks and when does not make it another entry."""
        content: dict[str, Any] = {
            "kind": self.kind,
            "moves": [
                [m.debit, m.credit, m.amount, m.currency, m.code, m.line_ref or ""] for m in self.moves
            ],
            "effective_at": moment(self.effective_at),
            "evidence": (self.evidence or b"").hex(),
            "rule_hash": (self.rule_hash or b"").hex(),
            "fx_rate_id": str(self.fx_rate_id or ""),
            "memo": self.memo,
            "reverses": self.reverses or 0,
        }
        return digest(content)


def post(
    session: Session,
    *,
    kind: str,
    key: str,
    moves: Sequence[Move],
    effective_at: datetime,
    now: datetime,
    actor: str,
    evidence: bytes | None = None,
    rule_hash: bytes | None = None,
    fx_rate_id: UUID | None = None,
    memo: str = "",
) -> Journal:
    """Post one journal or nothing. Raises KeyReused, InsufficientFunds, WrongEntry, UnknownAccount."""
    entry = Entry(
        kind=kind,
        key=key,
        moves=moves,
        effective_at=effective_at,
        actor=actor,
        evidence=evidence,
        rule_hash=rule_hash,
        fx_rate_id=fx_rate_id,
        memo=memo,
    )
    return post_all(session, [entry], now)[0]


def post_all(session: Session, entries: Sequence[Entry], now: datetime) -> list[Journal]:
    """Post many journals as one, in a handful of statements; raises what `post` raises, then none is posted.

    All of it happens under a savepoint, so the caller's transaction survives a refusal. Two transactions that
    post more than one batch each can still deadlock; the database ends one and its edge may try again.
    """
    wanted = _by_key(entries)
    with session.begin_nested():
        fresh = _write_journals(session, wanted, now)
        stored = fresh | _read_journals(session, wanted.keys() - fresh.keys())
        for key, journal in stored.items():
            if journal.fingerprint != wanted[key].fingerprint():
                raise KeyReused(key=key, journal=journal.id)
        if fresh:
            _move(
                session, [(fresh[key].id, entry.moves) for key, entry in wanted.items() if key in fresh], now
            )
    return [stored[entry.key] for entry in entries]


def reverse(
    session: Session,
    journal: Journal,
    *,
    key: str,
    now: datetime,
    actor: str,
    effective_at: datetime | None = None,
    memo: str = "",
) -> Journal:
    """Post a journal's mirror image, effective when it was unless told otherwise. Raises AlreadyReversed."""
    debit, credit = aliased(Account), aliased(Account)
    rows = session.execute(
        select(Transfer, debit.code, credit.code)
        .join(debit, debit.id == Transfer.debit_id)
        .join(credit, credit.id == Transfer.credit_id)
        .where(Transfer.journal_id == journal.id)
        .order_by(Transfer.line)
    ).all()
    moves = [
        Move(debit=to, credit=of, amount=t.amount, currency=t.currency, code=t.code, line_ref=t.line_ref)
        for t, of, to in rows
    ]
    entry = Entry(
        kind="reversal",
        key=key,
        moves=moves,
        effective_at=effective_at or journal.effective_at,
        actor=actor,
        evidence=journal.evidence_digest,
        rule_hash=journal.rule_set_hash,
        fx_rate_id=journal.fx_rate_id,
        memo=memo,
        reverses=journal.id,
    )
    return post_all(session, [entry], now)[0]


def _by_key(entries: Sequence[Entry]) -> dict[str, Entry]:
    wanted: dict[str, Entry] = {}
    for entry in entries:
        _check(entry)
        known = wanted.setdefault(entry.key, entry)
        if known.fingerprint() != entry.fingerprint():
            raise KeyReused(key=entry.key)
    return wanted


def _check(entry: Entry) -> None:
    if not (entry.kind and entry.key and entry.actor and entry.moves):
        raise WrongEntry("A journal has a kind, a key, an actor and at least one line.", key=entry.key)
    for move in entry.moves:
        chart(move.debit)
        chart(move.credit)
        if isinstance(move.amount, bool) or not isinstance(move.amount, int):
            raise TypeError(f"minor units are a whole number, not {type(move.amount).__name__}")
        one_currency = {move.currency, currency_of(move.debit), currency_of(move.credit)} == {move.currency}
        if not (0 < move.amount <= LARGEST and one_currency and move.debit != move.credit and move.code):
            raise WrongEntry(key=entry.key, debit=move.debit, credit=move.credit, amount=move.amount)


def _write_journals(session: Session, wanted: dict[str, Entry], now: datetime) -> dict[str, Journal]:
    """Insert those journals whose keys are new; waits for others that are writing the same keys."""
    rows = [
        {
            "kind": entry.kind,
            "idempotency_key": key,
            "fingerprint": entry.fingerprint(),
            "lines": len(entry.moves),
            "effective_at": entry.effective_at,
            "recorded_at": now,
            "actor": entry.actor,
            "evidence_digest": entry.evidence,
            "rule_set_hash": entry.rule_hash,
            "fx_rate_id": entry.fx_rate_id,
            "reverses": entry.reverses,
            "memo": entry.memo,
        }
        # In the order of keys, so that two batches with common keys wait and do not deadlock.
        for key, entry in sorted(wanted.items())
    ]
    if not rows:
        return {}
    query = (
        insert(Journal).on_conflict_do_nothing(index_elements=[Journal.idempotency_key]).returning(Journal)
    )
    try:
        return {journal.idempotency_key: journal for journal in session.scalars(query, rows)}
    except IntegrityError as error:
        if constraint_of(error) == "uq_journal_reverses":
            raise AlreadyReversed from error
        raise


def _read_journals(session: Session, keys: Iterable[str]) -> dict[str, Journal]:
    query = select(Journal).where(Journal.idempotency_key.in_(sorted(keys)))
    return {journal.idempotency_key: journal for journal in session.scalars(query)}


def _move(session: Session, posted: Sequence[tuple[int, Sequence[Move]]], now: datetime) -> None:
    """Lock the accounts, number the transfers in them, write transfers and balances."""
    codes = sorted({code for _, moves in posted for move in moves for code in (move.debit, move.credit)})
    held = hold(session, codes, now)
    rows = []
    for journal_id, moves in posted:
        for line, move in enumerate(moves, 1):
            debit, credit = held[move.debit], held[move.credit]
            debit.take(debit=move.amount)
            credit.take(credit=move.amount)
            rows.append(
                {
                    "journal_id": journal_id,
                    "line": line,
                    "debit_id": debit.id,
                    "credit_id": credit.id,
                    "currency": move.currency,
                    "amount": move.amount,
                    "code": move.code,
                    "line_ref": move.line_ref,
                    "debit_version": debit.version,
                    "debit_after": debit.balance,
                    "credit_version": credit.version,
                    "credit_after": credit.balance,
                }
            )
    session.execute(plain_insert(Transfer), rows)
    write_balances(session, list(held.values()))
