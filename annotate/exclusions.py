"""Exclusions as those concerned meet them: the worker reads and contests, the requester and the operator decide.

Whoever decides is named to the worker. Requesters know a worker by the name in their exports, and see no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import access, heartbeat
from annotate.exports import pseudonym
from annotate.visit import Visit
from tasks import exclusions, gold
from tasks.assignments import Assignment
from tasks.batches import Batch
from tasks.errors import Conflict, Invalid
from tasks.exclusions import Exclusion, ExclusionState, UnknownExclusion, WrongExclusion
from tasks.people import Person, Role, people_with_role
from tasks.projects import Project, UnknownProject

DAYS = 30


@dataclass(frozen=True)
class Seen:
    """An exclusion with the names that its reader may know."""

    one: Exclusion
    project: str
    worker: str
    by: str
    decided_by: str
    running: bool
    may_contest: bool


class Excluding(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to exclude: requesters name the worker as in their export, operators by id."""

    worker: str
    reason: str
    days: int = DAYS


class ExcludingAnywhere(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to exclude from which project."""

    project_id: UUID
    worker_id: UUID
    reason: str
    days: int = DAYS


class Contest(msgspec.Struct, forbid_unknown_fields=True):
    """What is wrong with an exclusion, in the worker's words."""

    reason: str


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """What another person decides; upholding needs a reason."""

    outcome: Literal["uphold", "lift"]
    reason: str = ""


class ExclusionPages(Controller):
    """Pages of exclusions."""

    include_in_schema = False

    @get("/work/decisions", sync_to_thread=True)
    def about_me(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show a worker what was decided about them, by whom, why and until when."""
        return _about_page(visit, [], {})

    @post("/work/decisions/{exclusion_id:uuid}", sync_to_thread=True)
    def contest(self, visit: NamedDependency[Visit], exclusion_id: FromPath[UUID]) -> Response[Any]:
        """Contest one."""
        found = access.exclusion_for(visit.session, visit.worker(), exclusion_id)
        given = visit.text("contest", exclusions.REASON_CHARACTERS)
        try:
            exclusions.contest(visit.session, found, given, visit.now)
        except (Invalid, Conflict) as problem:
            field = f"contest-{exclusion_id}"
            return _about_page(visit, _errors(visit, problem, field), {field: given}, problem.status)
        return Redirect("/work/decisions", status_code=303)

    @get("/projects/{project_id:uuid}/exclusions", sync_to_thread=True)
    def of_project(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Show a requester the exclusions of a project, with the form for one more."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        return _project_page(visit, project, [], {})

    @post("/projects/{project_id:uuid}/exclusions", sync_to_thread=True)
    def exclude(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Exclude somebody from a project."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        try:
            asked = Excluding(visit.text("worker", 100), visit.text("reason"), _days(visit))
            _exclude(visit, project, worker_named(visit.session, project, asked.worker), asked)
        except (Invalid, Conflict) as problem:
            errors = _errors(visit, problem, problem.details.get("field", "worker"))
            return _project_page(visit, project, errors, visit.form, problem.status)
        return Redirect(f"/projects/{project_id}/exclusions", status_code=303)

    @post("/projects/{project_id:uuid}/exclusions/{exclusion_id:uuid}", sync_to_thread=True)
    def withdraw(
        self, visit: NamedDependency[Visit], project_id: FromPath[UUID], exclusion_id: FromPath[UUID]
    ) -> Response[Any]:
        """Take one back."""
        withdraw(visit, project_id, exclusion_id)
        return Redirect(f"/projects/{project_id}/exclusions", status_code=303)

    @get("/operate/exclusions", sync_to_thread=True)
    def desk(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show an operator what is contested and what else is in force."""
        visit.operator()
        return _desk_page(visit, [], {})

    @post("/operate/exclusions", sync_to_thread=True)
    def exclude_anywhere(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Exclude somebody as an operator."""
        visit.operator()
        try:
            asked = Excluding(visit.text("worker", 40), visit.text("reason"), _days(visit))
            project = any_project(visit.session, as_id(visit.text("project", 40), "project"))
            _exclude(visit, project, as_id(asked.worker, "worker"), asked)
        except (Invalid, Conflict) as problem:
            errors = _errors(visit, problem, problem.details.get("field", "worker"))
            return _desk_page(visit, errors, visit.form, problem.status)
        return Redirect("/operate/exclusions", status_code=303)

    @post("/operate/exclusions/{exclusion_id:uuid}", sync_to_thread=True)
    def decide(self, visit: NamedDependency[Visit], exclusion_id: FromPath[UUID]) -> Response[Any]:
        """Decide a contest."""
        viewer = visit.operator()
        found = access.exclusion_for(visit.session, viewer, exclusion_id)
        given, uphold = (
            visit.text("reason", exclusions.REASON_CHARACTERS),
            visit.text("action", 10) == "uphold",
        )
        try:
            exclusions.decide(visit.session, found, viewer.person, uphold=uphold, reason=given, now=visit.now)
        except (Invalid, Conflict) as problem:
            field = f"reason-{exclusion_id}"
            return _desk_page(visit, _errors(visit, problem, field), {field: given}, problem.status)
        return Redirect("/operate/exclusions", status_code=303)


class ExclusionApi(Controller):
    """Exclusions for programs."""

    path = "/api/v1"
    tags = ["people"]

    @get("/exclusions", sync_to_thread=True)
    def about_me(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List what was decided about you, the newest first: by whom, why, until when, and your contest."""
        found = exclusions.about(visit.session, visit.worker().person.id)
        return [as_json(one) for one in seen(visit, found)]

    @post("/exclusions/{exclusion_id:uuid}/contest", sync_to_thread=True, status_code=200)
    def contest(
        self, visit: NamedDependency[Visit], exclusion_id: FromPath[UUID], data: JSONBody[Contest]
    ) -> dict[str, Any]:
        """Ask for another person's decision within seven days; silence decides for you."""
        found = access.exclusion_for(visit.session, visit.worker(), exclusion_id)
        exclusions.contest(visit.session, found, data.reason, visit.now)
        return as_json(*seen(visit, [found]))

    @get("/projects/{project_id:uuid}/exclusions", sync_to_thread=True)
    def of_project(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> list[dict[str, Any]]:
        """List a project's exclusions, the newest first."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        return [as_json(one) for one in seen(visit, exclusions.of_project(visit.session, project.id))]

    @post("/projects/{project_id:uuid}/exclusions", sync_to_thread=True)
    def exclude(
        self, visit: NamedDependency[Visit], project_id: FromPath[UUID], data: JSONBody[Excluding]
    ) -> dict[str, Any]:
        """Exclude a worker, named as in your export, for 1 to 90 days; they read your reason and may contest it."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        worker_id = worker_named(visit.session, project, data.worker)
        return as_json(*seen(visit, [_exclude(visit, project, worker_id, data)]))

    @post(
        "/projects/{project_id:uuid}/exclusions/{exclusion_id:uuid}/withdraw",
        sync_to_thread=True,
        status_code=200,
    )
    def withdraw(
        self, visit: NamedDependency[Visit], project_id: FromPath[UUID], exclusion_id: FromPath[UUID]
    ) -> dict[str, Any]:
        """Take an exclusion back before its end."""
        return as_json(*seen(visit, [withdraw(visit, project_id, exclusion_id)]))

    @get("/operate/exclusions", sync_to_thread=True)
    def running(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List what is in force, the contested first."""
        visit.operator()
        return [as_json(one) for one in seen(visit, exclusions.all_running(visit.session, visit.now))]

    @post("/operate/exclusions", sync_to_thread=True)
    def exclude_anywhere(
        self, visit: NamedDependency[Visit], data: JSONBody[ExcludingAnywhere]
    ) -> dict[str, Any]:
        """Exclude a worker from a project as an operator."""
        visit.operator()
        project = any_project(visit.session, data.project_id)
        asked = Excluding(str(data.worker_id), data.reason, data.days)
        return as_json(*seen(visit, [_exclude(visit, project, data.worker_id, asked)]))

    @post("/operate/exclusions/{exclusion_id:uuid}/decide", sync_to_thread=True, status_code=200)
    def decide(
        self, visit: NamedDependency[Visit], exclusion_id: FromPath[UUID], data: JSONBody[Verdict]
    ) -> dict[str, Any]:
        """Decide a contest of what another person decided."""
        viewer = visit.operator()
        found = access.exclusion_for(visit.session, viewer, exclusion_id)
        uphold = data.outcome == "uphold"
        exclusions.decide(
            visit.session, found, viewer.person, uphold=uphold, reason=data.reason, now=visit.now
        )
        return as_json(*seen(visit, [found]))


def worker_named(session: Session, project: Project, name: str) -> UUID:
    """Find a worker of a project by the name in its exports. Raises WrongExclusion."""
    for worker_id, names in _names(session, [project.id]).get(project.id, {}).items():
        if name.strip() in names:
            return worker_id
    raise WrongExclusion("No worker of this project has this name; copy it from an export.", field="worker")


def any_project(session: Session, project_id: UUID) -> Project:
    """Fetch a project for an operator. Raises UnknownProject."""
    found = session.get(Project, project_id)
    if found is None:
        raise UnknownProject
    return found


def withdraw(visit: Visit, project_id: UUID, exclusion_id: UUID) -> Exclusion:
    """Take back what this requester decided. Raises UnknownProject, UnknownExclusion."""
    viewer = visit.requester()
    project = access.project_for(visit.session, viewer, project_id)
    found = access.exclusion_for(visit.session, viewer, exclusion_id)
    if found.project_id != project.id or found.by_id != viewer.person.id:
        raise UnknownExclusion
    return exclusions.withdraw(visit.session, found, viewer.person, visit.now)


def seen(visit: Visit, found: Sequence[Exclusion]) -> list[Seen]:
    """Name who and what exclusions are about, as far as the viewer may know it."""
    session, role = visit.session, visit.viewer.role if visit.viewer else ""
    ids = {who for one in found for who in (one.worker_id, one.by_id, one.decided_by) if who}
    people = {one.id: one for one in session.scalars(select(Person).where(Person.id.in_(ids)))}
    projects = session.scalars(select(Project).where(Project.id.in_({one.project_id for one in found})))
    titles = {project.id: project.name for project in projects}
    names = _names(session, titles) if role == Role.REQUESTER else {}
    running = {one.id for one in found if _runs(one, visit)}
    return [
        Seen(
            one=one,
            project=titles[one.project_id],
            worker=", ".join(names.get(one.project_id, {}).get(one.worker_id, []))
            or people[one.worker_id].pseudonym,
            by=_called(people[one.by_id]),
            decided_by=_called(people[one.decided_by]) if one.decided_by else "",
            running=one.id in running,
            may_contest=one.id in running and one.state == ExclusionState.ACTIVE,
        )
        for one in found
    ]


def as_json(entry: Seen) -> dict[str, Any]:
    """Write an exclusion for programs."""
    one = entry.one
    return {
        "id": str(one.id),
        "project_id": str(one.project_id),
        "project": entry.project,
        "worker": entry.worker,
        "by": entry.by,
        "reason": one.reason,
        "from": one.created_at,
        "until": one.until,
        "running": entry.running,
        "state": one.state,
        "contest": one.contest,
        "decide_by": one.decide_by,
        "decided_by": entry.decided_by,
        "decision_reason": one.decision_reason,
    }


def as_id(text: str, field: str) -> UUID:
    """Read an id that was chosen from a list. Raises WrongExclusion."""
    try:
        return UUID(text)
    except ValueError:
        raise WrongExclusion("Choose one of the list.", field=field) from None


def _runs(one: Exclusion, visit: Visit) -> bool:
    unanswered = (
        one.state == ExclusionState.CONTESTED and one.decide_by is not None and one.decide_by <= visit.now
    )
    return one.state != ExclusionState.LIFTED and one.until > visit.now and not unanswered


def _called(person: Person) -> str:
    return f"{person.name}, {person.organisation}" if person.organisation else person.name


def _names(session: Session, projects: Any) -> dict[UUID, dict[UUID, list[str]]]:
    """Give by project and worker the names that its batches' exports give them."""
    rows = session.execute(
        select(Batch.project_id, Assignment.batch_id, Assignment.worker_id)
        .join(Batch, Batch.id == Assignment.batch_id)
        .where(Batch.project_id.in_(list(projects)))
        .distinct()
        .order_by(Assignment.batch_id)
    )
    found: dict[UUID, dict[UUID, list[str]]] = {}
    for project_id, batch_id, worker_id in rows:
        found.setdefault(project_id, {}).setdefault(worker_id, []).append(pseudonym(batch_id, worker_id))
    return found


def _exclude(visit: Visit, project: Project, worker_id: UUID, asked: Excluding) -> Exclusion:
    return exclusions.exclude(
        visit.session,
        project_id=project.id,
        worker_id=worker_id,
        by=visit.require(Role.REQUESTER, Role.OPERATOR).person,
        reason=asked.reason,
        days=asked.days,
        now=visit.now,
    )


def _days(visit: Visit) -> int:
    text = visit.text("days", 12).strip()
    if not text.isascii() or not text.isdigit():
        raise WrongExclusion(field="days")
    return int(text)


def _errors(visit: Visit, problem: Invalid | Conflict, field: str) -> list[dict[str, str]]:
    return [{"field": field, "text": visit.gettext(problem.message)}]


def _about_page(
    visit: Visit, errors: list[dict[str, str]], given: dict[str, str], status: int = 200
) -> Response[Any]:
    who = visit.worker().person.id
    return visit.page(
        "work/decisions.html",
        status,
        found=seen(visit, exclusions.about(visit.session, who)),
        checks=gold.checks_of(visit.session, who),
        errors=errors,
        given=given,
    )


def _project_page(
    visit: Visit, project: Project, errors: list[dict[str, str]], given: Any, status: int = 200
) -> Response[Any]:
    found = seen(visit, exclusions.of_project(visit.session, project.id))
    viewer = visit.requester().person
    return visit.page(
        "projects/exclusions.html",
        status,
        project=project,
        found=found,
        mine=viewer.id,
        days=DAYS,
        errors=errors,
        given=given,
    )


def _desk_page(visit: Visit, errors: list[dict[str, str]], given: Any, status: int = 200) -> Response[Any]:
    session = visit.session
    workers = people_with_role(session, Role.WORKER)
    projects = session.scalars(select(Project).order_by(Project.name, Project.id))
    return visit.page(
        "operate/exclusions.html",
        status,
        found=seen(visit, exclusions.all_running(session, visit.now)),
        me=visit.operator().person.id,
        workers=[{"value": one.id, "label": one.pseudonym} for one in workers],
        projects=[{"value": one.id, "label": one.name} for one in projects],
        days=DAYS,
        errors=errors,
        given=given,
        silent=heartbeat.is_silent(session),
    )
