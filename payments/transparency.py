"""The transparency log: every booked fact is committed to one public tree whose signed head anyone may keep.

A commitment is SHA-256 of a random salt and the fact in its one form (`canonical` of entry, kind and ref), so
the log is public and the pay in it is not. A journal waits for the log from the moment it is written, whoever
writes it: a trigger sees to that. The sequencer gives places 0, 1, 2 … without a gap and after the fact, so it
never slows a posting. A head is only signed if it continues the last signed one.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Identity,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    cast,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.canonical import canonical
from payments.ledger import Check, Journal
from payments.ledger_checks import check
from payments.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root,
    roots,
    split,
    verify_consistency,
    verify_inclusion,
)
from payments.signed_note import Head, sign, verify_note
from payments.statements import documents
from schemas.words import Words
from tasks.append_only import attach, only_grows
from tasks.db import Base
from tasks.errors import Conflict, NotFound

# What a verifier needs stands in one place.
__all__ = ["leaf_hash", "root", "verify_consistency", "verify_inclusion", "verify_note"]

SEQUENCER: Final = 0x6661_6972_6C6F_6701
JOURNAL: Final = "journal"


class LogForked(Conflict):
    """The log no longer continues its last signed head; nothing is signed until a person has looked."""


class AlreadyLogged(Conflict):
    """This fact is already in the log with another content."""


class NotLogged(NotFound):
    """The log has no such entry."""


class PendingEntry(Base):
    """A fact that waits for its place; a journal's content is read when it gets one."""

    __tablename__ = "log_pending"
    __table_args__ = (
        UniqueConstraint("kind", "ref"),
        CheckConstraint("kind = 'journal' OR entry IS NOT NULL", name="has_content"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str]
    ref: Mapped[str]
    entry: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    at: Mapped[datetime]


class LogEntry(Base):
    """A fact's place in the log. The salt opens the commitment: it is for those whom the fact concerns."""

    __tablename__ = "log_entry"
    __table_args__ = (
        UniqueConstraint("kind", "ref"),
        CheckConstraint("seq >= 0", name="seq"),
        CheckConstraint("octet_length(salt) = 16", name="salt"),
        CheckConstraint("octet_length(commitment) = 32", name="commitment"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    ref: Mapped[str]
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class LogNode(Base):
    """The hash of 2^level leaves, kept once they are complete so that no proof reads the whole log."""

    __tablename__ = "log_node"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class Checkpoint(Base):
    """A signed head of the log."""

    __tablename__ = "checkpoint"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    note: Mapped[str]
    at: Mapped[datetime]


PENDING_GUARDS: Final = (
    """
CREATE OR REPLACE FUNCTION await_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log_pending (kind, ref, at) SELECT 'journal', id, recorded_at FROM added ORDER BY id;
    RETURN NULL;
END $$""",
    """
CREATE OR REPLACE TRIGGER journal_awaits_log AFTER INSERT ON journal REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION await_log()""",
)
GROWING: Final = {table: only_grows(table) for table in ("log_entry", "log_node", "checkpoint")}
GUARDS: Final = (*PENDING_GUARDS, *(statement for guards in GROWING.values() for statement in guards))
Base.metadata.tables["log_pending"].add_is_dependent_on(Base.metadata.tables["journal"])
attach(PendingEntry.__table__, PENDING_GUARDS)
for _table, _guards in GROWING.items():
    attach(Base.metadata.tables[_table], _guards)


def commitment(salt: bytes, kind: str, ref: str, entry: dict[str, Any]) -> bytes:
    """Commit to a fact."""
    return sha256(salt + canonical({"entry": entry, "kind": kind, "ref": ref})).digest()


def submit(session: Session, kind: str, ref: str, entry: dict[str, Any], now: datetime) -> None:
    """Let a fact wait for its place, once. Raises AlreadyLogged if it is there with another content."""
    content = canonical(entry)
    here = (PendingEntry.kind == kind, PendingEntry.ref == ref)
    session.execute(
        upsert(PendingEntry).values(kind=kind, ref=ref, entry=entry, at=now).on_conflict_do_nothing()
    )
    waiting = session.scalar(select(PendingEntry.entry).where(*here))
    # Looked up last: whatever the sequencer took meanwhile is seen in one place or the other.
    logged = find(session, kind, ref)
    if logged is not None:
        session.execute(delete(PendingEntry).where(*here))
    same = commitment(logged.salt, kind, ref, entry) == logged.commitment if logged else True
    if not same or (waiting is not None and canonical(waiting) != content):
        raise AlreadyLogged(kind=kind, ref=ref)


def sequence(session: Session, now: datetime, limit: int = 1000) -> int:
    """Give the next waiting facts their places; one sequencer at a time. Gives how many."""
    session.execute(select(func.pg_advisory_xact_lock(SEQUENCER)))
    waiting = session.execute(
        select(PendingEntry.id, PendingEntry.kind, PendingEntry.ref, PendingEntry.entry)
        .order_by(PendingEntry.id)
        .limit(limit)
    ).all()
    if not waiting:
        return 0
    journals = documents(session, [int(one.ref) for one in waiting if one.kind == JOURNAL])
    first = size(session)
    rows = []
    for seq, one in enumerate(waiting, first):
        salt = secrets.token_bytes(16)
        entry = journals[int(one.ref)] if one.kind == JOURNAL else one.entry
        made = commitment(salt, one.kind, one.ref, entry)
        rows.append(
            {"seq": seq, "kind": one.kind, "ref": one.ref, "salt": salt, "commitment": made, "at": now}
        )
    session.execute(insert(LogEntry), rows)
    _grow(session, first, [leaf_hash(row["commitment"]) for row in rows])
    session.execute(delete(PendingEntry).where(PendingEntry.id.in_([one.id for one in waiting])))
    return len(rows)


def sign_checkpoint(session: Session, key: Ed25519PrivateKey, origin: str, now: datetime) -> Checkpoint:
    """Sign the log's head; an unchanged log keeps its head. Raises LogForked."""
    session.execute(select(func.pg_advisory_xact_lock(SEQUENCER)))
    last = latest_checkpoint(session)
    grown = size(session)
    if last is not None:
        if grown < last.size or root_at(session, last.size) != last.root:
            raise LogForked(size=last.size)
        if grown == last.size:
            return last
    head = Head(origin, grown, root_at(session, grown))
    note, signature = sign(head, key)
    made = Checkpoint(size=grown, root=head.root, signature=signature, note=note, at=now)
    session.add(made)
    session.flush()
    return made


def find(session: Session, kind: str, ref: str) -> LogEntry | None:
    """Give a fact's entry, None while it waits."""
    return session.scalars(select(LogEntry).where(LogEntry.kind == kind, LogEntry.ref == ref)).one_or_none()


def latest_checkpoint(session: Session) -> Checkpoint | None:
    """Give the newest signed head."""
    return session.scalars(select(Checkpoint).order_by(Checkpoint.size.desc()).limit(1)).one_or_none()


def size(session: Session) -> int:
    """Count the log's entries."""
    last = session.scalar(select(func.max(LogEntry.seq)))
    return 0 if last is None else last + 1


def root_at(session: Session, grown: int) -> bytes:
    """Give the root over the first entries."""
    return root([]) if grown == 0 else _Nodes(session, grown).subtree(0, grown)


def inclusion_proof(session: Session, seq: int, grown: int) -> list[bytes]:
    """Prove that an entry stands in the log of that size. Raises NotLogged."""
    if not 0 <= seq < grown <= size(session):
        raise NotLogged(seq=seq, size=grown)
    return inclusion_path(seq, grown, _Nodes(session, grown).subtree)


def consistency_proof(session: Session, old: int, new: int) -> list[bytes]:
    """Prove that the log of one size is the beginning of a larger one. Raises NotLogged."""
    if not 0 <= old <= new <= size(session):
        raise NotLogged(old=old, new=new)
    return consistency_path(old, new, _Nodes(session, new).subtree)


def checks(session: Session, before: datetime) -> list[Check]:
    """Check that older journals are logged as they are, and that tree and signed heads cover the entries."""
    missing = session.scalar(
        select(func.count(Journal.id)).where(
            Journal.recorded_at < before,
            ~select(LogEntry.seq)
            .where(LogEntry.kind == JOURNAL, LogEntry.ref == cast(Journal.id, Text))
            .exists(),
        )
    )
    changed = _changed(session)
    heads = session.scalars(select(Checkpoint).order_by(Checkpoint.size))
    signed = {head.size: head.root for head in heads}
    grown, count = size(session), session.scalar(select(func.count()).select_from(LogEntry)) or 0
    entries = session.scalars(select(LogEntry.commitment).order_by(LogEntry.seq))
    covered = roots(map(leaf_hash, entries), {*signed, count})
    forked = [str(length) for length, kept in signed.items() if covered.get(length) != kept]
    whole = grown == count and covered[count] == root_at(session, grown)
    return [
        check(Words("every journal is in the log"), [Words("%(n)s missing", n=missing)] if missing else []),
        check(Words("every logged journal is as it was"), changed),
        check(Words("the tree covers the entries"), [] if whole else [Words("%(n)s entries", n=count)]),
        check(Words("every signed head covers the entries"), forked),
    ]


class _Nodes:
    """Answers for subtrees of the log of one size from stored nodes."""

    def __init__(self, session: Session, grown: int) -> None:
        self.session = session
        self.grown = grown

    def subtree(self, start: int, end: int) -> bytes:
        """Give the hash over places from start to before end, as the tree divides them."""
        width = end - start
        if width & (width - 1) == 0:
            return self._stored(width.bit_length() - 1, start)
        middle = start + split(width)
        return node_hash(self.subtree(start, middle), self.subtree(middle, end))

    def _stored(self, level: int, start: int) -> bytes:
        found = self.session.scalar(
            select(LogNode.hash).where(LogNode.level == level, LogNode.place == start >> level)
        )
        if found is None:
            raise NotLogged(seq=start)
        return found


def _grow(session: Session, first: int, leaves: Sequence[bytes]) -> None:
    """Store the new leaves and all nodes that they complete."""
    rows: list[dict[str, Any]] = []
    level, start, hashes = 0, first, list(leaves)
    while hashes:
        rows += [{"level": level, "place": start + i, "hash": one} for i, one in enumerate(hashes)]
        if start & 1:
            # Its left neighbour was stored by an earlier call.
            left = session.scalar(
                select(LogNode.hash).where(LogNode.level == level, LogNode.place == start - 1)
            )
            if left is None:
                raise LogForked(size=first)
            start, hashes = start - 1, [left, *hashes]
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        level, start = level + 1, start >> 1
    session.execute(insert(LogNode), rows)


def _changed(session: Session) -> list[str]:
    """Name logged journals whose rows no longer open their commitments."""
    found = []
    query = select(LogEntry.kind, LogEntry.ref, LogEntry.salt, LogEntry.commitment)
    logged = session.execute(query.where(LogEntry.kind == JOURNAL).order_by(LogEntry.seq)).all()
    for start in range(0, len(logged), 1000):
        part = logged[start : start + 1000]
        known = documents(session, [int(one.ref) for one in part])
        for one in part:
            entry = known.get(int(one.ref))
            if entry is None or commitment(one.salt, one.kind, one.ref, entry) != one.commitment:
                found.append(f"journal {one.ref}")
    return found
