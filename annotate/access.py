"""Who may see which row. Every look-up by an id from outside goes through here, so that a foreign id finds nothing.

A row that is not yours answers exactly as one that does not exist.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.auth import Viewer
from tasks.batches import Batch, BatchState, UnknownBatch
from tasks.intake import UnknownUpload, Upload
from tasks.people import Person, Role, UnknownPerson
from tasks.projects import Project, UnknownProject


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
