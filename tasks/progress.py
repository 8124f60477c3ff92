"""Progress of long work, written beside the work's own transaction so that pages can show it while it runs.

A row says what is being done, how far it is and what became of it. It is news, not truth: the truth is in the nouns.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base


class Progress(Base):
    """How far a long piece of work is; `subject` is the id of what is worked on."""

    __tablename__ = "progress"

    subject: Mapped[UUID] = mapped_column(primary_key=True)
    done: Mapped[int]
    total: Mapped[int]
    updated_at: Mapped[datetime]


def report(session: Session, subject: UUID, done: int, total: int, now: datetime) -> None:
    """Say how far a piece of work is."""
    values = {"done": done, "total": total, "updated_at": now}
    session.execute(
        insert(Progress)
        .values(subject=subject, **values)
        .on_conflict_do_update(index_elements=["subject"], set_=values)
    )


def progress_of(session: Session, subject: UUID) -> Progress | None:
    """Give what was last said of a piece of work."""
    return session.get(Progress, subject)


def progress_by_subject(session: Session, subjects: Collection[UUID]) -> dict[UUID, Progress]:
    """Give what was last said of pieces of work, as far as something was."""
    found = session.scalars(select(Progress).where(Progress.subject.in_(subjects)))
    return {one.subject: one for one in found}
