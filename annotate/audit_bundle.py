"""The audit bundle: all facts from which the wages of closed periods follow, in one signed zip, without a name in it.

What stands in it is said in `schemas/audit-bundle.schema.json`; `annotate/verifier` recomputes all of it offline. The
ledger and the log are whole, the facts of people those of the chosen periods. It is read from one snapshot of the
database, so that nothing posted meanwhile can make it differ.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any, BinaryIO, Final, TypeVar
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ColumnElement, Engine, Select, and_, or_, select, union
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from annotate import audit_rows
from payments import payroll, transparency
from payments.accounts import Account
from payments.canonical import canonical
from payments.due_lines import DueLine
from payments.earnings import Earning
from payments.fx import FxRate
from payments.paid_time import OPENING
from payments.payouts import Payout, PayoutRun
from payments.payslips import Payslip
from payments.periods import PayPeriod, PeriodState
from payments.proofs import MARGIN, Proof
from payments.rules import PayRule
from payments.settings import PaymentSettings
from payments.signed_note import Head, sign, verifier_key
from payments.statements import documents
from payments.terms import PayTerms
from payments.transparency import JOURNAL, LogEntry
from payments.worktime import Declaration
from tasks.assignments import Assignment
from tasks.batches import Batch
from tasks.db import transaction
from tasks.errors import Conflict
from tasks.people import Person
from tasks.projects import Project

FORMAT: Final = "fairlabel-audit-bundle"
VERSION: Final = 1
BUNDLE_SUFFIX: Final = "/audit-bundle"
"""Keeps a bundle's signature from ever passing for a head of the log."""
WORKERS_AT_ONCE: Final = 50
ROWS_AT_ONCE: Final = 1000
TRIES: Final = 5

Row = dict[str, Any]
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
    scope = _Scope(session, wanted)
    files = {
        "periods": map(audit_rows.period, wanted),
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


class _Scope:
    """The facts of people in the chosen periods, always in the order of workers."""

    def __init__(self, session: Session, periods: Sequence[PayPeriod]) -> None:
        self.session = session
        self.periods = periods
        self.codes = {one.id: one.code for one in periods}
        self._totals: dict[str, dict[str, int]] = {}
        found = {who for one in periods for who in payroll.workers_to_close(session, one)}
        found |= set(session.scalars(select(DueLine.worker_id).where(DueLine.period_id.in_(self.codes))))
        ended = self._during(Assignment.ended_at)
        found |= set(session.scalars(select(Assignment.worker_id).where(ended)))
        self.ids = sorted(found)

    def workers(self) -> Iterator[Row]:
        """Give each worker's place of each period, as the lines used it."""
        for part in _parts(self.ids, WORKERS_AT_ONCE):
            used = {
                (row.worker_id, row.period_id): (row.place, row.area)
                for row in self.session.execute(
                    select(DueLine.worker_id, DueLine.period_id, DueLine.place, DueLine.area)
                    .where(DueLine.worker_id.in_(part), DueLine.period_id.in_(self.codes))
                    .distinct()
                )
            }
            for one in self.session.scalars(select(Person).where(Person.id.in_(part)).order_by(Person.id)):
                told = {
                    self.codes[period.id]: used.get((one.id, period.id), (one.place, one.area))
                    for period in self.periods
                }
                places = [
                    audit_rows.given({"period": code, "place": place, "area": area})
                    for code, (place, area) in told.items()
                ]
                yield {"id": str(one.id), "places": places}

    def batches(self) -> Iterator[Row]:
        """Give the batches that these workers have ever been at."""
        columns = (
            (Proof.batch_id, Proof.worker_id),
            (DueLine.batch_id, DueLine.worker_id),
            (Assignment.batch_id, Assignment.worker_id),
            (Declaration.batch_id, Declaration.worker_id),
        )
        seen = union(*(select(batch).where(who.in_(self.ids)) for batch, who in columns)).subquery()
        rows = self.session.execute(
            select(Batch, PayTerms, Project.requester_id)
            .join(Project, Project.id == Batch.project_id)
            .outerjoin(PayTerms, PayTerms.batch_id == Batch.id)
            .where(Batch.id.in_(select(seen.c[0])))
            .order_by(Batch.id)
        )
        for batch, terms, requester in rows:
            yield audit_rows.batch(batch, terms, requester)

    def assignments(self) -> Iterator[Row]:
        """Give the assignments that ended in the periods or have an earning in them."""
        earned = select(Earning.assignment_id).where(self._during(Earning.at))
        own = or_(self._during(Assignment.ended_at), Assignment.id.in_(earned))
        for one in self._each(Assignment, own, Assignment.claimed_at, Assignment.id):
            yield audit_rows.assignment(one)

    def earnings(self) -> Iterator[Row]:
        """Give the earnings of these assignments."""
        ended = select(Assignment.id).where(self._during(Assignment.ended_at))
        own = or_(self._during(Earning.at), Earning.assignment_id.in_(ended))
        for one in self._each(Earning, own, Earning.at, Earning.id):
            yield audit_rows.earning(one)

    def declarations(self) -> Iterator[Row]:
        """Give the declarations that touch the periods; who decided is said as rule, silence or person."""
        own = or_(
            *(
                and_(Declaration.start_at < one.ends_at, Declaration.end_at > one.starts_at)
                for one in self.periods
            )
        )
        for one in self._each(Declaration, own, Declaration.start_at, Declaration.id):
            yield audit_rows.declaration(one)

    def events(self) -> Iterator[Row]:
        """Give the signs of work around the periods, and back to the opening of what was open then."""
        around = or_(
            *(Proof.at.between(one.starts_at - MARGIN, one.ends_at + MARGIN) for one in self.periods)
        )
        for part in _parts(self.ids, WORKERS_AT_ONCE):
            query = select(Proof).where(Proof.worker_id.in_(part), around)
            found = {one.id: one for one in self.session.scalars(query.order_by(Proof.at, Proof.id))}
            for begun in self._begun(list(found.values())):
                found |= {one.id: one for one in self.session.scalars(select(Proof).where(*begun))}
            for one in sorted(found.values(), key=lambda proof: (proof.worker_id, proof.at, proof.id)):
                yield audit_rows.event(one)

    def _begun(self, proofs: Sequence[Proof]) -> Iterator[tuple[ColumnElement[bool], ...]]:
        """Name the units that were open before a period's evidence begins."""
        for period in self.periods:
            since, until = period.starts_at - MARGIN, period.ends_at + MARGIN
            first: dict[tuple[UUID, str], Proof] = {}
            for one in proofs:
                if since <= one.at <= until:
                    first.setdefault((one.worker_id, one.unit), one)
            for (worker, unit), one in first.items():
                if one.kind not in OPENING:
                    yield Proof.worker_id == worker, Proof.unit == unit, Proof.at < since

    def due_lines(self) -> Iterator[Row]:
        """Give the due lines, and add them up."""
        own = DueLine.period_id.in_(self.codes)
        for one in self._each(DueLine, own, DueLine.segment_start, DueLine.batch_id, DueLine.id):
            total = self._totals.setdefault(one.currency, dict.fromkeys(SUMMED, 0))
            for name in SUMMED:
                total[name] += getattr(one, name)
            yield audit_rows.due_line(one, self.codes[one.period_id])

    def payslips(self) -> Iterator[Row]:
        """Give the payslips: their figures and the hash of what the worker holds, which names them."""
        for one in self._each(
            Payslip, Payslip.period_id.in_(self.codes), Payslip.period_id, Payslip.currency
        ):
            yield audit_rows.payslip(one, self.codes[one.period_id])

    def totals(self) -> list[Row]:
        """Give the sums of the due lines written."""
        return [{"currency": currency, **sums} for currency, sums in sorted(self._totals.items())]

    def _during(self, column: Any) -> ColumnElement[bool]:
        return or_(*(and_(column >= one.starts_at, column < one.ends_at) for one in self.periods))

    def _each(self, table: type[T], own: ColumnElement[bool], *order: Any) -> Iterator[T]:
        """Read rows worker by worker, some workers at a time."""
        who: Any = table.worker_id  # type: ignore[attr-defined]
        for part in _parts(self.ids, WORKERS_AT_ONCE):
            yield from self.session.scalars(select(table).where(who.in_(part), own).order_by(who, *order))
            self.session.expunge_all()


SUMMED: Final = ("agreed", "required", "due", "topup")


def _payouts(session: Session) -> Iterator[Row]:
    codes = {one.id: one.code for one in payroll.periods(session)}
    query = select(Payout, PayoutRun).join(PayoutRun, PayoutRun.id == Payout.run_id).order_by(Payout.id)
    for one, run in session.execute(query):
        yield audit_rows.payout(one, run, codes[run.period_id])


def _journals(session: Session) -> Iterator[Row]:
    """Give every journal with its place in the log and the salt that opens it."""
    query = select(LogEntry.ref, LogEntry.seq, LogEntry.salt).where(LogEntry.kind == JOURNAL)
    places = {int(ref): (seq, salt) for ref, seq, salt in session.execute(query)}
    for part in _parts(sorted(places), ROWS_AT_ONCE):
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


def _parts(values: Iterable[T], width: int) -> Iterator[list[T]]:
    left = iter(values)
    while part := list(islice(left, width)):
        yield part
