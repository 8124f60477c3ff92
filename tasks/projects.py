"""A project is a requester's work; its task definition is a JSON document with numbered versions.

A version is never changed, only followed by another. A batch keeps the version with which it was made.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.definition import PARSED_KEPT, TaskDefinition, check, kept, parse
from schemas.kept import Kept
from tasks.db import Base, new_id
from tasks.errors import Invalid, NotFound
from tasks.names import check_name


class WrongDefinition(Invalid):
    """The task definition has problems."""


class UnknownProject(NotFound):
    """There is no such project, or it is not yours."""


class Project(Base):
    """A requester's work."""

    __tablename__ = "project"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    requester_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    name: Mapped[str]
    purpose: Mapped[str]
    created_at: Mapped[datetime]


class Definition(Base):
    """One version of a project's task definition."""

    __tablename__ = "definition"
    __table_args__ = (UniqueConstraint("project_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    created_at: Mapped[datetime]

    def parsed(self) -> TaskDefinition:
        """Give the document as typed parts."""
        return kept(self.digest) or parse(self.document)


_by_id: Kept[TaskDefinition] = Kept(PARSED_KEPT)


def create_project(
    session: Session, *, requester_id: UUID, name: str, purpose: str, document: dict[str, Any], now: datetime
) -> Project:
    """Make a project with its first definition. Raises WrongDefinition with all problems."""
    if not name.strip() or not purpose.strip():
        raise Invalid("A project needs a name and a purpose: workers are told what their work is for.")
    check_name(name)
    project = Project(requester_id=requester_id, name=name.strip(), purpose=purpose.strip(), created_at=now)
    session.add(project)
    session.flush()
    add_definition(session, project, document, now)
    return project


def add_definition(session: Session, project: Project, document: dict[str, Any], now: datetime) -> Definition:
    """Add a version; the same document again gives the version that holds it. Raises WrongDefinition."""
    problems = check(document)
    if problems:
        raise WrongDefinition(problems=[problem.as_json() for problem in problems])
    session.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    digest = parse(document).digest
    last = latest_definition(session, project.id)
    if last is not None and last.digest == digest:
        return last
    made = Definition(
        project_id=project.id,
        number=last.number + 1 if last else 1,
        document=document,
        digest=digest,
        created_at=now,
    )
    session.add(made)
    session.flush()
    return made


def latest_definition(session: Session, project_id: UUID) -> Definition | None:
    """Give the newest version."""
    return session.scalar(
        select(Definition)
        .where(Definition.project_id == project_id)
        .order_by(Definition.number.desc())
        .limit(1)
    )


def parsed_definition(session: Session, definition_id: UUID) -> TaskDefinition:
    """Give a version as typed parts. A version never changes, so it is read once per process."""
    name = str(definition_id)
    return _by_id.get(name) or _by_id.keep(name, session.get_one(Definition, definition_id).parsed())


def projects_of(session: Session, requester_id: UUID) -> list[Project]:
    """Give a requester's projects, the newest first."""
    return list(
        session.scalars(
            select(Project).where(Project.requester_id == requester_id).order_by(Project.id.desc())
        )
    )


def version_counts(session: Session, projects: Collection[UUID]) -> dict[UUID, int]:
    """Count the versions of each project's definition."""
    query = select(Definition.project_id, func.count()).where(Definition.project_id.in_(projects))
    return {project: count for project, count in session.execute(query.group_by(Definition.project_id))}  # noqa: C416
