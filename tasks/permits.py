"""A permit says until when a worker may be given items of a batch without asking again whether it may be offered.

Whether it may is asked of languages, consents, floors and hours by whoever composes work and money; the answer is kept
here for a minute at most, and never beyond the moment at which it could change by itself. What changes it at once, a
word of the worker or a decision about their time, drops the worker's permits in the same transaction. A permit is a
shortcut, never a right: to lose one costs one look more.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base, rows

GRANT = """
    INSERT INTO permit (worker_id, batch_id, since, until)
    VALUES (%(worker)s, %(batch)s, %(since)s, %(until)s)
    ON CONFLICT (worker_id, batch_id) DO UPDATE SET since = excluded.since, until = excluded.until
"""


class Permit(Base):
    """One worker's leave to be given items of one batch."""

    __tablename__ = "permit"

    worker_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    since: Mapped[datetime]
    until: Mapped[datetime]


def grant(session: Session, worker_id: UUID, batch_id: UUID, since: datetime, until: datetime) -> None:
    """Let a worker be given items of a batch from one moment to another.

    The caller has locked the worker's row before it looked, so that no change of it slips in between.
    """
    rows(session, GRANT, worker=worker_id, batch=batch_id, since=since, until=until)


def drop(session: Session, worker_id: UUID) -> None:
    """Have every batch asked again for a worker. The caller has changed or locked the worker's row."""
    session.flush()
    session.execute(delete(Permit).where(Permit.worker_id == worker_id))
