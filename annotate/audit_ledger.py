"""The ledger as an organizer explores it: accounts, statements, journals with their cause and place in the log.

Nothing is summed up that is not in the books. People appear as a worker's pseudonym or a requester's organisation,
never by name.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from annotate import access
from annotate.access import LARGEST_ID
from annotate.visit import Visit
from annotate.wage_views import batch_titles
from payments import reports, transparency
from payments.accounts import CHART, Account
from payments.due_lines import DueLine
from payments.ledger import Journal
from payments.payouts import Payout
from payments.rails import RAILS
from payments.reports import ReportKind
from payments.statements import Line, documents, statement
from payments.transparency import JOURNAL, Checkpoint
from tasks.people import Person, Role

ROWS_A_PAGE = 50
OWNER = re.compile(r"([a-z_]+)(?::([A-Za-z0-9][A-Za-z0-9._-]*))?:([A-Z]{3})", re.ASCII)


@dataclass(frozen=True)
class Named:
    """An account as people read it: what it is, whose (a pseudonym, an organisation, a batch, a code), its currency."""

    code: str
    name: str
    owner: str
    currency: str


@dataclass(frozen=True)
class Cause:
    """What a journal was booked for."""

    line: DueLine | None = None
    payout: Payout | None = None
    worker: Person | None = None
    reversed_by: int | None = None


@dataclass(frozen=True)
class Place:
    """A fact's place in the log and the proof that it stands under a signed head (none while it waits for one)."""

    seq: int
    commitment: str
    size: int | None
    proof: list[str]
    holds: bool


class LedgerPages(Controller):
    """The ledger as pages."""

    path = "/audit"
    include_in_schema = False

    @get("/ledger", sync_to_thread=True)
    def ledger(
        self,
        visit: NamedDependency[Visit],
        q: FromQuery[str] = "",
        kind: FromQuery[str] = "",
        after: FromQuery[str] = "",
    ) -> Response[Any]:
        """List accounts and the newest journals."""
        visit.organizer()
        found = accounts(visit.session, q, kind, after)
        shown = found[:ROWS_A_PAGE]
        newest = journals(visit.session, None)[:10]
        return visit.page(
            "audit/ledger.html",
            accounts=shown,
            named=names(visit, [one.code for one in shown]),
            kinds=list(CHART),
            q=q,
            kind=kind,
            after=after,
            following=shown[-1].code if len(found) > ROWS_A_PAGE else None,
            journals=newest,
            head=log_head(visit.session),
            checked=reports.newest(visit.session, ReportKind.BOOKS, made=True),
        )

    @get("/accounts/{code:str}", sync_to_thread=True)
    def account(
        self, visit: NamedDependency[Visit], code: FromPath[str], before: FromQuery[int | None] = None
    ) -> Response[Any]:
        """Show an account's statement, the newest line first, with the balance after each."""
        account = access.account_for(visit.session, visit.organizer(), code)
        lines = lines_before(visit.session, account, before)
        shown = lines[:ROWS_A_PAGE]
        return visit.page(
            "audit/account.html",
            account=account,
            lines=shown,
            named=names(visit, [account.code, *(one.counterpart for one in shown)]),
            before=before,
            following=shown[-1].version if len(lines) > ROWS_A_PAGE else None,
        )

    @get("/journals", sync_to_thread=True)
    def journals(self, visit: NamedDependency[Visit], before: FromQuery[int | None] = None) -> Response[Any]:
        """List journals, the newest first."""
        visit.organizer()
        found = journals(visit.session, before)
        shown = found[:ROWS_A_PAGE]
        following = shown[-1].id if len(found) > ROWS_A_PAGE else None
        return visit.page("audit/journals.html", journals=shown, before=before, following=following)

    @get("/journals/{journal_id:int}", sync_to_thread=True)
    def journal(self, visit: NamedDependency[Visit], journal_id: FromPath[int]) -> Response[Any]:
        """Show a journal: its transfers, what it was booked for, its place in the log."""
        journal = access.journal_for(visit.session, visit.organizer(), journal_id)
        document = documents(visit.session, [journal.id])[journal.id]
        codes = [code for one in document["transfers"] for code in (one["debit"], one["credit"])]
        return visit.page(
            "audit/journal.html",
            journal=journal,
            document=document,
            named=names(visit, codes),
            cause=cause_of(visit.session, journal),
            place=place_of(visit.session, JOURNAL, str(journal.id)),
            actor=actor(visit, journal.actor),
        )


class LedgerApi(Controller):
    """The ledger for programs; amounts are minor units."""

    path = "/api/v1/audit"
    tags = ["audit"]

    @get("/accounts", sync_to_thread=True)
    def accounts(
        self,
        visit: NamedDependency[Visit],
        q: FromQuery[str] = "",
        kind: FromQuery[str] = "",
        after: FromQuery[str] = "",
    ) -> list[dict[str, Any]]:
        """List up to 50 accounts by code; go on with `after` set to the last one's code."""
        visit.organizer()
        return [
            {
                "code": one.code,
                "kind": one.kind,
                "currency": one.currency,
                "balance": one.balance,
                "lines": one.version,
            }
            for one in accounts(visit.session, q, kind, after)[:ROWS_A_PAGE]
        ]

    @get("/accounts/{code:str}/statement", sync_to_thread=True)
    def statement(
        self, visit: NamedDependency[Visit], code: FromPath[str], before: FromQuery[int | None] = None
    ) -> list[dict[str, Any]]:
        """Give up to 50 lines of an account, the newest first; go on with `before` set to the last one's version."""
        account = access.account_for(visit.session, visit.organizer(), code)
        return [
            {
                "version": one.version,
                "change": one.change,
                "after": one.after,
                "currency": one.currency,
                "counterpart": one.counterpart,
                "code": one.code,
                "line_ref": one.line_ref,
                "journal": one.journal.id,
                "kind": one.journal.kind,
                "effective_at": one.journal.effective_at.isoformat(),
            }
            for one in lines_before(visit.session, account, before)[:ROWS_A_PAGE]
        ]

    @get("/journals", sync_to_thread=True)
    def journals(
        self, visit: NamedDependency[Visit], before: FromQuery[int | None] = None
    ) -> list[dict[str, Any]]:
        """Give up to 50 journals with their transfers, the newest first; go on with `before`."""
        visit.organizer()
        ids = [one.id for one in journals(visit.session, before)[:ROWS_A_PAGE]]
        found = documents(visit.session, ids)
        return [found[one] for one in ids]

    @get("/journals/{journal_id:int}", sync_to_thread=True)
    def journal(self, visit: NamedDependency[Visit], journal_id: FromPath[int]) -> dict[str, Any]:
        """Give a journal with its transfers, its cause and its place in the log."""
        journal = access.journal_for(visit.session, visit.organizer(), journal_id)
        cause = cause_of(visit.session, journal)
        place = place_of(visit.session, JOURNAL, str(journal.id))
        return documents(visit.session, [journal.id])[journal.id] | {
            "due_line": str(cause.line.id) if cause.line else None,
            "payout": str(cause.payout.id) if cause.payout else None,
            "reversed_by": cause.reversed_by,
            "log": asdict(place) if place else None,
        }


def accounts(session: Session, q: str, kind: str, after: str) -> list[Account]:
    """Give one more than a page of accounts by code; `q` is part of a code, or a worker's pseudonym."""
    query = select(Account).order_by(Account.code).limit(ROWS_A_PAGE + 1)
    wanted = q.strip()
    if not (wanted + kind + after).isprintable():
        return []
    if re.fullmatch(r"w-[0-9a-f]{6}", wanted, re.ASCII):
        query = query.where(Account.code.contains(f"{wanted[2:]}:", autoescape=True))
    elif wanted:
        query = query.where(
            or_(
                Account.code.icontains(wanted, autoescape=True),
                Account.code.contains(wanted.lower().replace(" ", "_"), autoescape=True),
            )
        )
    if kind in CHART:
        query = query.where(Account.code.startswith(f"{kind}:", autoescape=True))
    if after:
        query = query.where(Account.code > after)
    return list(session.scalars(query))


def journals(session: Session, before: int | None) -> list[Journal]:
    """Give one more than a page of journals, the newest first."""
    query = select(Journal).order_by(Journal.id.desc()).limit(ROWS_A_PAGE + 1)
    if before is not None:
        query = query.where(Journal.id < max(0, min(before, LARGEST_ID)))
    return list(session.scalars(query))


def lines_before(session: Session, account: Account, before: int | None) -> list[Line]:
    """Give one more than a page of an account's lines."""
    limited = None if before is None else max(0, min(before, LARGEST_ID))
    return statement(session, account.code, ROWS_A_PAGE + 1, limited)


def names(visit: Visit, codes: list[str]) -> dict[str, Named]:
    """Name accounts as people read them."""
    session = visit.session
    parts = {code: OWNER.fullmatch(code) for code in codes}
    owners: dict[str, UUID] = {}
    for match in parts.values():
        if match and match[2]:
            try:
                owners[match[2]] = UUID(match[2])
            except ValueError:
                continue
    people = {
        one.id: one for one in session.scalars(select(Person).where(Person.id.in_(set(owners.values()))))
    }
    titles = batch_titles(session, set(owners.values()) - people.keys())
    made = {}
    for code, match in parts.items():
        if match is None:
            made[code] = Named(code, code, "", "")
            continue
        owner = match[2] or ""
        person = people.get(owners[owner]) if owner in owners else None
        said = titles.get(owners[owner], owner) if owner in owners else rail_name(visit, owner)
        made[code] = Named(code, match[1], public_name(visit, person) if person else said, match[3])
    return made


def public_name(visit: Visit, person: Person) -> str:
    """Name somebody to an organizer: workers by pseudonym, requesters by organisation, others by role."""
    if person.role == Role.REQUESTER:
        return person.organisation or f"{visit.gettext('requester')} {person.id.hex[-6:]}"
    return person.pseudonym if person.role == Role.WORKER else visit.gettext(person.role)


def rail_name(visit: Visit, owner: str) -> str:
    """Name a rail; whatever else an account belongs to (a pair of currencies) is a code."""
    return visit.formats.say(RAILS[owner].words) if owner in RAILS else owner


def actor(visit: Visit, written: str) -> str:
    """Name who booked a journal: a part of the product, or somebody by role."""
    try:
        person = visit.session.get(Person, UUID(written))
    except ValueError:
        return {"payroll": visit.gettext("the closing of the period")}.get(written, written)
    return public_name(visit, person) if person else written


def cause_of(session: Session, journal: Journal) -> Cause:
    """Find what a journal was booked for; a reversal has the cause of what it takes back."""
    origin = journal.reverses or journal.id
    line = session.scalar(select(DueLine).where(DueLine.journal_id == origin))
    payout = session.scalar(
        select(Payout).where(or_(Payout.reserve_journal_id == origin, Payout.paid_journal_id == origin))
    )
    worker_id = line.worker_id if line else payout.worker_id if payout else None
    return Cause(
        line=line,
        payout=payout,
        worker=session.get(Person, worker_id) if worker_id else None,
        reversed_by=session.scalar(select(Journal.id).where(Journal.reverses == journal.id)),
    )


def place_of(session: Session, kind: str, ref: str) -> Place | None:
    """Find a fact's place in the log and prove it under the newest signed head."""
    entry = transparency.find(session, kind, ref)
    if entry is None:
        return None
    head = transparency.latest_checkpoint(session)
    if head is None or head.size <= entry.seq:
        return Place(entry.seq, entry.commitment.hex(), None, [], holds=False)
    path = transparency.inclusion_proof(session, entry.seq, head.size)
    holds = transparency.verify_inclusion(
        transparency.leaf_hash(entry.commitment), entry.seq, head.size, path, head.root
    )
    return Place(entry.seq, entry.commitment.hex(), head.size, [one.hex() for one in path], holds)


def log_head(session: Session) -> Checkpoint | None:
    """Give the newest signed head of the log."""
    return transparency.latest_checkpoint(session)
