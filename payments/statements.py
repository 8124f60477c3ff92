"""Reading the ledger: an account's statement, and a journal as one self-contained document.

A document holds all that a reader needs to recompute the journal's effect; the transparency log commits to it
and the audit bundle carries it, so its fields are never renamed, only added to.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, select, union_all
from sqlalchemy.orm import Session, aliased

from payments.accounts import DEBIT_KINDS, Account, chart
from payments.canonical import moment
from payments.ledger import Journal, Transfer


@dataclass(frozen=True)
class Line:
    """One line of an account's statement; `change` and `after` count in the account's own direction."""

    version: int
    change: int
    after: int
    currency: str
    counterpart: str
    code: str
    line_ref: str | None
    journal: Journal


def statement(session: Session, code: str, limit: int = 50, before: int | None = None) -> list[Line]:
    """Give an account's lines, the newest first; `before` is the version under which to go on."""
    owner = session.scalars(select(Account).where(Account.code == code)).one_or_none()
    if owner is None:
        chart(code)
        return []
    sides = [
        select(
            version.label("version"),
            literal(sign if owner.kind in DEBIT_KINDS else -sign).label("sign"),
            after.label("after"),
            other.label("other"),
            Transfer.id.label("transfer_id"),
        ).where(own == owner.id, *([version < before] if before is not None else []))
        for own, other, version, after, sign in (
            (Transfer.debit_id, Transfer.credit_id, Transfer.debit_version, Transfer.debit_after, 1),
            (Transfer.credit_id, Transfer.debit_id, Transfer.credit_version, Transfer.credit_after, -1),
        )
    ]
    # Each side is cut first, so that a long history is read from the end of two indexes.
    cut = [
        select(side.order_by(side.selected_columns.version.desc()).limit(limit).subquery()) for side in sides
    ]
    lines = union_all(*cut).subquery()
    rows = session.execute(
        select(lines.c.version, lines.c.sign, lines.c.after, Account.code, Transfer, Journal)
        .join(Transfer, Transfer.id == lines.c.transfer_id)
        .join(Journal, Journal.id == Transfer.journal_id)
        .join(Account, Account.id == lines.c.other)
        .order_by(lines.c.version.desc())
        .limit(limit)
    )
    return [
        Line(version, sign * t.amount, after, t.currency, other, t.code, t.line_ref, journal)
        for version, sign, after, other, t, journal in rows
    ]


def documents(session: Session, journal_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Give journals with their transfers as plain documents, by id."""
    ids = sorted(set(journal_ids))
    debit, credit = aliased(Account), aliased(Account)
    transfers: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one, of, to in session.execute(
        select(Transfer, debit.code, credit.code)
        .join(debit, debit.id == Transfer.debit_id)
        .join(credit, credit.id == Transfer.credit_id)
        .where(Transfer.journal_id.in_(ids))
        .order_by(Transfer.journal_id, Transfer.line)
    ):
        transfers[one.journal_id].append(_transfer(one, of, to))
    journals = session.scalars(select(Journal).where(Journal.id.in_(ids)))
    return {one.id: _journal(one) | {"transfers": transfers[one.id]} for one in journals}


def _journal(one: Journal) -> dict[str, Any]:
    said = {
        "id": one.id,
        "kind": one.kind,
        "key": one.idempotency_key,
        "fingerprint": one.fingerprint.hex(),
        "lines": one.lines,
        "effective_at": moment(one.effective_at),
        "recorded_at": moment(one.recorded_at),
        "actor": one.actor,
        "evidence": one.evidence_digest.hex() if one.evidence_digest else None,
        "rule_hash": one.rule_set_hash.hex() if one.rule_set_hash else None,
        "fx_rate_id": str(one.fx_rate_id) if one.fx_rate_id else None,
        "reverses": one.reverses,
        "memo": one.memo,
    }
    return {name: value for name, value in said.items() if value is not None}


def _transfer(one: Transfer, debit: str, credit: str) -> dict[str, Any]:
    said = {
        "line": one.line,
        "debit": debit,
        "credit": credit,
        "amount": one.amount,
        "currency": one.currency,
        "code": one.code,
        "line_ref": one.line_ref,
        "debit_version": one.debit_version,
        "debit_after": one.debit_after,
        "credit_version": one.credit_version,
        "credit_after": one.credit_after,
    }
    return {name: value for name, value in said.items() if value is not None}
