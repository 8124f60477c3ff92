"""The audit bundle: all facts from which the wages of closed periods follow, in one signed zip, without a name in it.

What stands in it is said in `schemas/audit-bundle.schema.json`; `annotate/verifier` recomputes all of it offline. The
ledger and the log are whole, the facts of people those of the chosen periods, and of the earlier weeks that these
correct, for the workers to whom they are corrected. It is read from one snapshot of the
database, so that nothing posted meanwhile can make it differ.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, BinaryIO, Final, TypeVar
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from annotate import audit_rows
from annotate.audit_rows import Row
from annotate.audit_scope import Scope, parts
from payments import payroll, transparency
from payments.accounts import Account
from payments.canonical import canonical
from payments.fx import FxRate
from payments.payouts import Payout, PayoutRun
from payments.periods import PayPeriod, PeriodState
from payments.rules import PayRule
from payments.settings import PaymentSettings
from payments.signed_note import Head, sign, verifier_key
from payments.statements import documents
from payments.transparency import JOURNAL, LogEntry
from tasks.db import transaction
from tasks.errors import Conflict

FORMAT: Final = "fairlabel-audit-bundle"
VERSION: Final = 1
BUNDLE_SUFFIX: Final = "/audit-bundle"
"""Keeps a bundle's signature from ever passing for a head of the log."""
ROWS_AT_ONCE: Final = 1000
TRIES: Final = 5

Say = Callable[[str, int], None]
T = TypeVar("T")


class PeriodNotClosed(Conflict):
    """A bundle covers closed periods; close this one first."""


class NoSigningKey(Conflict):
    """This instance has no key to sign its books with; `fairlabel up` makes one, else set PAYMENTS_LOG_KEY."""


class BooksBusy(Conflict):
    """The books were being written all the time; try again in a moment."""


def signing_key(settings: PaymentSettings) -> Ed25519PrivateKey:
    """Give the key that signs the log and the bundles. Raises NoSigningKey."""
    if not settings.log_key:
        raise NoSigningKey
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.log_key))


def make(
    engine: Engine,
    codes: Sequence[str],
    key: Ed25519PrivateKey,
    origin: str,
    now: datetime,
    out: BinaryIO,
    report: Say | None = None,
) -> None:
    """Write a bundle from one snapshot of the database, tried again where others write the log meanwhile."""
    more = True
    while more:
        with transaction(engine) as session:
            more = transparency.sequence(session, now) > 0
    snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
    for _ in range(TRIES):
        out.seek(0)
        out.truncate()
        try:
            with transaction(snapshots) as session:
                periods = [payroll.period_named(session, code) for code in codes]
                write(session, periods, key, origin, now, out, report)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in {"40001", "23505"}:
                raise
        else:
            return
    raise BooksBusy


def write(
    session: Session,
    periods: Sequence[PayPeriod],
    key: Ed25519PrivateKey,
    origin: str,
    now: datetime,
    out: BinaryIO,
    report: Say | None = None,
) -> None:
    """Sequence and sign the log, then write the bundle; call it on one snapshot. Raises PeriodNotClosed."""
    wanted = sorted({one.code: one for one in periods}.values(), key=lambda one: one.starts_at)
    for one in wanted:
        if one.state != PeriodState.CLOSED:
            raise PeriodNotClosed(period=one.code)
    while transparency.sequence(session, now):
        pass
    note = transparency.sign_checkpoint(session, key, origin, now).note
    # A session of our own on the same snapshot can forget what it has written, and leaves the caller's alone.
    with Session(session.connection(), join_transaction_mode="create_savepoint") as reading:
        _write(reading, wanted, key, note, origin, now, out, report)


def _write(
    session: Session,
    wanted: Sequence[PayPeriod],
    key: Ed25519PrivateKey,
    note: str,
    origin: str,
    now: datetime,
    out: BinaryIO,
    report: Say | None,
) -> None:
    scope = Scope(session, wanted)
    files = {
        "periods": map(audit_rows.period, scope.named),
        "rules": _all(session, audit_rows.rule, select(PayRule).order_by(PayRule.rule_id, PayRule.version)),
        "fx": _all(session, audit_rows.fx, select(FxRate).order_by(FxRate.as_of, FxRate.id)),
        "batches": scope.batches(),
        "workers": scope.workers(),
        "assignments": scope.assignments(),
        "earnings": scope.earnings(),
        "declarations": scope.declarations(),
        "events": scope.events(),
        "due_lines": scope.due_lines(),
        "payslips": scope.payslips(),
        "payouts": _payouts(session),
        "accounts": _all(session, audit_rows.account, select(Account).order_by(Account.code)),
        "journals": _journals(session),
        "log": _log(session),
    }
    with ZipFile(out, "w", ZIP_DEFLATED) as zip_file:
        written = [_file(zip_file, f"{name}.jsonl", rows, report) for name, rows in files.items()]
        manifest = canonical(
            {
                "format": FORMAT,
                "version": VERSION,
                "origin": origin,
                "made_at": audit_rows.at(now),
                "periods": [one.code for one in wanted],
                "key": verifier_key(origin, key.public_key()),
                "files": written,
                "totals": scope.totals(),
            }
        )
        head = Head(f"{origin}{BUNDLE_SUFFIX}", len(manifest), sha256(manifest).digest())
        for name, content in (
            ("checkpoint", note.encode()),
            ("manifest.json", manifest),
            ("manifest.sig", sign(head, key)[0].encode()),
        ):
            zip_file.writestr(_info(name), content)


def _info(name: str) -> ZipInfo:
    # The same facts give the same bytes, so nothing of the making is written down.
    info = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _file(zip_file: ZipFile, name: str, rows: Iterable[Row], report: Say | None) -> Row:
    """Write a file line by line; gives what the manifest says about it."""
    counted, size, summed = 0, 0, sha256()
    with zip_file.open(_info(name), "w", force_zip64=True) as file:
        for row in rows:
            line = canonical({field: value for field, value in row.items() if value is not None}) + b"\n"
            file.write(line)
            summed.update(line)
            size += len(line)
            counted += 1
            if report is not None and counted % ROWS_AT_ONCE == 0:
                report(name, counted)
    if report is not None:
        report(name, counted)
    return {"name": name, "sha256": summed.hexdigest(), "rows": counted, "bytes": size}


def _all(session: Session, shape: Callable[[Any], Row], query: Select[Any]) -> Iterator[Row]:
    """Give the rows of a query, read only when their file is written."""
    yield from map(shape, session.scalars(query))


def _payouts(session: Session) -> Iterator[Row]:
    codes = {one.id: one.code for one in payroll.periods(session)}
    query = select(Payout, PayoutRun).join(PayoutRun, PayoutRun.id == Payout.run_id).order_by(Payout.id)
    for one, run in session.execute(query):
        yield audit_rows.payout(one, run, codes[run.period_id])


def _journals(session: Session) -> Iterator[Row]:
    """Give every journal with its place in the log and the salt that opens it."""
    query = select(LogEntry.ref, LogEntry.seq, LogEntry.salt).where(LogEntry.kind == JOURNAL)
    places = {int(ref): (seq, salt) for ref, seq, salt in session.execute(query)}
    for part in parts(sorted(places), ROWS_AT_ONCE):
        known = documents(session, part)
        for journal_id in part:
            seq, salt = places[journal_id]
            yield {"journal": known[journal_id], "seq": seq, "salt": salt.hex()}
        session.expunge_all()


def _log(session: Session) -> Iterator[Row]:
    """Give the log; the hashes of payout files are opened to everybody, payslips only to their workers."""
    query = select(LogEntry).order_by(LogEntry.seq).limit(ROWS_AT_ONCE)
    after = -1
    while part := session.scalars(query.where(LogEntry.seq > after)).all():
        for one in part:
            entry = _file_entry(session, one.ref) if one.kind == "payout_file" else None
            yield {
                "seq": one.seq,
                "kind": one.kind,
                "ref": one.ref,
                "commitment": one.commitment.hex(),
                "salt": one.salt.hex() if entry else None,
                "entry": entry,
            }
        after = part[-1].seq
        session.expunge_all()


def _file_entry(session: Session, run_id: str) -> Row | None:
    run = session.get(PayoutRun, UUID(run_id))
    if run is None or run.file is None:
        return None
    payouts = sum(1 for _ in csv.reader(io.StringIO(run.file.decode(), newline=""))) - 1
    return {"sha256": run.file_sha256, "payouts": payouts}
