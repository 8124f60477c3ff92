"""Who may see which row. Every look-up by an id from outside goes through here, so that a foreign id finds nothing.

A row that is not yours answers exactly as one that does not exist.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.auth import Viewer
from payments import payslips, reports, worktime
from payments.accounts import Account
from payments.due_lines import DueLine
from payments.ledger import Journal
from payments.payouts import Payout, PayoutRun, UnknownPayout
from payments.payslips import Payslip
from payments.reports import Report, UnknownReport
from payments.worktime import Declaration
from tasks.batches import Batch, BatchState, UnknownBatch
from tasks.errors import NotFound
from tasks.exclusions import Exclusion, UnknownExclusion
from tasks.gold import GoldContest, UnknownCheck
from tasks.intake import UnknownUpload, Upload
from tasks.items import Item, UnknownItem
from tasks.people import Person, Role, UnknownPerson
from tasks.projects import Project, UnknownProject

AUDITORS = (Role.ORGANIZER, Role.OPERATOR)
LARGEST_ID = 2**63 - 1


class NotInTheBooks(NotFound):
    """There is no such account, journal or line in the books."""


def project_for(session: Session, viewer: Viewer, project_id: UUID) -> Project:
    """Fetch a requester's own project. Raises UnknownProject."""
    found = session.scalar(
        select(Project).where(Project.id == project_id, Project.requester_id == viewer.person.id)
    )
    if found is None or viewer.role != Role.REQUESTER:
        raise UnknownProject
    return found


def batch_for(session: Session, viewer: Viewer, batch_id: UUID) -> Batch:
    """Fetch a batch of a requester's own project. Raises UnknownBatch."""
    found = session.scalar(
        select(Batch)
        .join(Project, Project.id == Batch.project_id)
        .where(Batch.id == batch_id, Project.requester_id == viewer.person.id)
    )
    if found is None or viewer.role != Role.REQUESTER:
        raise UnknownBatch
    return found


def item_for(session: Session, viewer: Viewer, batch: Batch, item_id: int) -> Item:
    """Fetch an item of a batch that the viewer has been let into. Raises UnknownItem."""
    found = session.get(Item, item_id) if 0 < item_id <= LARGEST_ID else None
    if found is None or found.batch_id != batch.id or viewer.role != Role.REQUESTER:
        raise UnknownItem
    return found


def work_for(session: Session, viewer: Viewer, batch_id: UUID) -> Batch:
    """Fetch a batch that a worker may work on or has worked on. Raises UnknownBatch for drafts."""
    found = session.get(Batch, batch_id)
    if found is None or viewer.role != Role.WORKER or found.state == BatchState.DRAFT:
        raise UnknownBatch
    return found


def upload_for(session: Session, viewer: Viewer, upload_id: UUID) -> Upload:
    """Fetch an upload to a requester's own batch. Raises UnknownUpload."""
    found = session.scalar(
        select(Upload)
        .join(Batch, Batch.id == Upload.batch_id)
        .join(Project, Project.id == Batch.project_id)
        .where(Upload.id == upload_id, Project.requester_id == viewer.person.id)
    )
    if found is None or viewer.role != Role.REQUESTER:
        raise UnknownUpload
    return found


def worker_for(session: Session, viewer: Viewer, worker_id: UUID) -> Person:
    """Fetch a worker: organizers and operators may see all, workers themselves. Raises UnknownPerson."""
    found = session.get(Person, worker_id)
    allowed = viewer.role in {Role.ORGANIZER, Role.OPERATOR} or viewer.person.id == worker_id
    if found is None or found.role != Role.WORKER or not allowed:
        raise UnknownPerson
    return found


def account_for(session: Session, viewer: Viewer, code: str) -> Account:
    """Fetch an account of the ledger by its code. Raises NotInTheBooks."""
    found = None
    if viewer.role in AUDITORS and code.isprintable():
        found = session.scalar(select(Account).where(Account.code == code))
    if found is None:
        raise NotInTheBooks
    return found


def journal_for(session: Session, viewer: Viewer, journal_id: int) -> Journal:
    """Fetch a journal. Raises NotInTheBooks."""
    found = None
    if viewer.role in AUDITORS and 0 < journal_id <= LARGEST_ID:
        found = session.get(Journal, journal_id)
    if found is None:
        raise NotInTheBooks
    return found


def line_for(session: Session, viewer: Viewer, line_id: UUID) -> DueLine:
    """Fetch a due line. Raises NotInTheBooks."""
    found = session.get(DueLine, line_id) if viewer.role in AUDITORS else None
    if found is None:
        raise NotInTheBooks
    return found


def report_for(session: Session, viewer: Viewer, report_id: UUID) -> Report:
    """Fetch a report on the books. Raises UnknownReport."""
    if viewer.role not in AUDITORS:
        raise UnknownReport
    return reports.get_report(session, report_id)


def run_for(session: Session, viewer: Viewer, run_id: UUID) -> PayoutRun:
    """Fetch a run of payouts, for operators. Raises UnknownPayout."""
    found = session.get(PayoutRun, run_id) if viewer.role == Role.OPERATOR else None
    if found is None:
        raise UnknownPayout
    return found


def payout_for(session: Session, viewer: Viewer, run: PayoutRun, payout_id: UUID) -> Payout:
    """Fetch a payout of a run, for operators. Raises UnknownPayout."""
    found = session.get(Payout, payout_id) if viewer.role == Role.OPERATOR else None
    if found is None or found.run_id != run.id:
        raise UnknownPayout
    return found


def declaration_for(session: Session, viewer: Viewer, declaration_id: UUID) -> Declaration:
    """Fetch a declaration that an operator may decide. Raises UnknownDeclaration."""
    if viewer.role != Role.OPERATOR:
        raise worktime.UnknownDeclaration
    return worktime.get_declaration(session, declaration_id)


def payslip_for(session: Session, viewer: Viewer, payslip_id: UUID) -> Payslip:
    """Fetch a worker's own payslip. Raises UnknownPayslip."""
    if viewer.role != Role.WORKER:
        raise payslips.UnknownPayslip
    return payslips.get_payslip(session, payslip_id, viewer.person.id)


def exclusion_for(session: Session, viewer: Viewer, exclusion_id: UUID) -> Exclusion:
    """Fetch an exclusion: workers their own, requesters those of their projects. Raises UnknownExclusion."""
    found = session.get(Exclusion, exclusion_id)
    if found is None:
        raise UnknownExclusion
    if viewer.role == Role.WORKER:
        allowed = found.worker_id == viewer.person.id
    elif viewer.role == Role.REQUESTER:
        allowed = session.get_one(Project, found.project_id).requester_id == viewer.person.id
    else:
        allowed = viewer.role == Role.OPERATOR
    if not allowed:
        raise UnknownExclusion
    return found


def contest_for(session: Session, batch: Batch, contest_id: UUID) -> GoldContest:
    """Fetch a contest of a known answer in a batch that the viewer has been let into. Raises UnknownCheck."""
    found = session.get(GoldContest, contest_id)
    if found is None or session.get_one(Item, found.item_id).batch_id != batch.id:
        raise UnknownCheck
    return found


def own_line_for(session: Session, viewer: Viewer, line_id: UUID) -> DueLine:
    """Fetch a line of a worker's own pay. Raises NotInTheBooks."""
    found = session.get(DueLine, line_id)
    if found is None or viewer.role != Role.WORKER or found.worker_id != viewer.person.id:
        raise NotInTheBooks
    return found
