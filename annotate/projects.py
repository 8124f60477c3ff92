"""A requester's projects: made from an example definition, edited with all problems beside the text, previewed.

A definition is only ever followed by another version; batches keep theirs.
"""

import json
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect

from annotate import access, widgets
from annotate.visit import Visit
from schemas import examples
from schemas.definition import TaskDefinition, check, parse, warnings
from schemas.problems import HIDDEN, Problem
from schemas.registry import Unreadable, load
from schemas.words import NOTHING, listed
from tasks import projects
from tasks.batches import batches_of
from tasks.names import HiddenCharacter
from tasks.projects import Project

SAMPLE_PICTURE = "/static/demo/scene-01.svg"


class Projects(Controller):
    """Pages of a requester's projects."""

    path = "/projects"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def projects(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List the projects with their batches."""
        viewer = visit.requester()
        found = projects.projects_of(visit.session, viewer.person.id)
        batches = batches_of(visit.session, [project.id for project in found])
        listed = [(project, batches[project.id]) for project in found]
        return visit.page("projects/list.html", projects=listed)

    @get("/new", sync_to_thread=True)
    def new(self, visit: NamedDependency[Visit], example: FromQuery[str] = "sentiment") -> Response[Any]:
        """Offer the example definitions to begin with."""
        visit.requester()
        ready = examples()
        text = pretty(ready.get(example, ready["sentiment"]))
        return _form(visit, [], example=example, definition=text, name="", purpose="")

    @post("/", sync_to_thread=True)
    def create(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Make a project; with problems the form comes back as it was typed."""
        viewer = visit.requester()
        name, purpose = visit.text("name", 200), visit.text("purpose", 2000)
        text = visit.text("definition", 300_000)
        document, problems = read(text)
        if HIDDEN.search(name):
            said_so = listed([visit.gettext(HiddenCharacter().message)])
            problems = [Problem("", said_so, NOTHING), *problems]
        if visit.text("action", 10) == "check" or problems or not name.strip() or not purpose.strip():
            status = 200 if visit.text("action", 10) == "check" else 422
            return _form(visit, problems, status, example="", definition=text, name=name, purpose=purpose)
        project = projects.create_project(
            visit.session,
            requester_id=viewer.person.id,
            name=name,
            purpose=purpose,
            document=document,
            now=visit.now,
        )
        return Redirect(f"/projects/{project.id}")

    @get("/{project_id:uuid}", sync_to_thread=True)
    def project(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Show a project, its batches and its definition as workers see it."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        version = projects.latest_definition(visit.session, project.id)
        assert version is not None
        return visit.page(
            "projects/project.html",
            project=project,
            version=version,
            definition=version.parsed(),
            batches=batches_of(visit.session, [project.id])[project.id],
            preview=preview(visit, version.parsed()),
        )

    @get("/{project_id:uuid}/definition", sync_to_thread=True)
    def definition(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Edit the definition."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        version = projects.latest_definition(visit.session, project.id)
        assert version is not None
        return _editor(visit, project, pretty(version.document), [])

    @post("/{project_id:uuid}/definition", sync_to_thread=True)
    def add_definition(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Add a version, or only check it and show the preview."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        text = visit.text("definition", 300_000)
        document, problems = read(text)
        if problems or visit.text("action", 10) == "check":
            return _editor(visit, project, text, problems, 422 if problems else 200)
        projects.add_definition(visit.session, project, document, visit.now)
        return Redirect(f"/projects/{project.id}")


class NewProject(msgspec.Struct, forbid_unknown_fields=True):
    """A project with its first definition."""

    name: str
    purpose: str
    definition: dict[str, Any]


class NewDefinition(msgspec.Struct, forbid_unknown_fields=True):
    """A further version of a definition."""

    definition: dict[str, Any]


class ProjectsApi(Controller):
    """Projects for programs."""

    path = "/api/v1"
    tags = ["projects"]

    @get("/examples", sync_to_thread=True)
    def examples(self) -> dict[str, Any]:
        """Give the example definitions by name."""
        return dict(examples())

    @post("/definitions/check", sync_to_thread=True, status_code=200)
    def check(self, visit: NamedDependency[Visit], data: JSONBody[NewDefinition]) -> dict[str, Any]:
        """Say all problems and doubts of a definition, by JSON pointer."""
        visit.requester()
        return {
            "problems": said(visit, check(data.definition)),
            "warnings": said(visit, warnings(data.definition)),
        }

    @get("/projects", sync_to_thread=True)
    def projects(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List one's projects."""
        viewer = visit.requester()
        return as_json(visit, projects.projects_of(visit.session, viewer.person.id))

    @post("/projects", sync_to_thread=True)
    def create(self, visit: NamedDependency[Visit], data: JSONBody[NewProject]) -> dict[str, Any]:
        """Make a project."""
        project = projects.create_project(
            visit.session,
            requester_id=visit.requester().person.id,
            name=data.name,
            purpose=data.purpose,
            document=data.definition,
            now=visit.now,
        )
        return as_json(visit, [project])[0]

    @get("/projects/{project_id:uuid}", sync_to_thread=True)
    def project(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a project with its newest definition."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        version = projects.latest_definition(visit.session, project.id)
        assert version is not None
        return as_json(visit, [project])[0] | {"definition": version.document, "version": version.number}

    @post("/projects/{project_id:uuid}/definitions", sync_to_thread=True)
    def add_definition(
        self, visit: NamedDependency[Visit], project_id: FromPath[UUID], data: JSONBody[NewDefinition]
    ) -> dict[str, Any]:
        """Add a version of the definition."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        version = projects.add_definition(visit.session, project, data.definition, visit.now)
        return {"version": version.number, "digest": version.digest}


def read(text: str) -> tuple[dict[str, Any], list[Problem]]:
    """Read a definition from a form: the document and all problems."""
    try:
        document = load(text)
    except Unreadable as unreadable:
        return {}, unreadable.problems
    return document, check(document)


def preview(visit: Visit, definition: TaskDefinition) -> dict[str, Any]:
    """Prepare the definition's first example as a worker would see it, or a made-up item where it has none."""
    example = next(iter(definition.examples), None)
    data = example.data if example else _made_up(visit, definition)
    return {
        "assignment_id": "",
        "made_up": example is None,
        "shown": [widgets.shown_part(definition, part, data) for part in definition.show],
        "fields": [widgets.field_context(field, data) for field in definition.fields],
        "answer": example.answer if example else {},
    }


def _made_up(visit: Visit, definition: TaskDefinition) -> dict[str, Any]:
    """Fill each column with something of its kind: a picture, one of its allowed values, or a sentence."""
    columns = definition.data_schema.get("properties", {})
    pictures = {part.source for part in definition.show if part.kind == "image"}
    pictures |= {field.source for field in definition.fields if field.source and field.kind == "boxes"}
    made = {}
    for name in {*columns, *(part.source for part in definition.show)}:
        allowed = columns.get(name, {}).get("enum")
        sentence = visit.gettext("Here stands what the column “%(name)s” holds.") % {"name": name}
        made[name] = SAMPLE_PICTURE if name in pictures else allowed[0] if allowed else sentence
    return made


def pretty(document: dict[str, Any]) -> str:
    """Write a definition for editing."""
    return json.dumps(document, ensure_ascii=False, indent=2)


def as_json(visit: Visit, found: list[Project]) -> list[dict[str, Any]]:
    """Give projects as the API writes them."""
    versions = projects.version_counts(visit.session, [project.id for project in found])
    return [
        {
            "id": str(project.id),
            "name": project.name,
            "purpose": project.purpose,
            "created_at": project.created_at,
            "versions": versions[project.id],
        }
        for project in found
    ]


def ready(visit: Visit) -> list[tuple[str, str]]:
    """Name the example definitions."""
    words = {
        "boxes": visit.gettext("Boxes"),
        "entities": visit.gettext("Names in a text"),
        "relevance": visit.gettext("Relation of two sentences"),
        "sentiment": visit.gettext("Sentiment"),
    }
    return [(name, words.get(name, name)) for name in examples()]


def said(visit: Visit, problems: list[Problem]) -> list[dict[str, str]]:
    """Say problems in the reader's language."""
    return [visit.formats.say_all(one.as_json()) for one in problems]


def _form(visit: Visit, problems: list[Problem], status: int = 200, **context: Any) -> Response[Any]:
    definition = None if problems else _parsed(context["definition"])
    return visit.page(
        "projects/new.html",
        status,
        ready=ready(visit),
        preview=preview(visit, definition) if definition else None,
        problems=said(visit, problems),
        right=definition is not None and visit.text("action", 10) == "check",
        **context,
    )


def _editor(
    visit: Visit, project: Project, text: str, problems: list[Problem], status: int = 200
) -> Response[Any]:
    definition = None if problems else _parsed(text)
    return visit.page(
        "projects/definition.html",
        status,
        project=project,
        definition=text,
        problems=said(visit, problems),
        preview=preview(visit, definition) if definition else None,
        right=definition is not None and visit.text("action", 10) == "check",
    )


def _parsed(text: str) -> TaskDefinition | None:
    document, problems = read(text)
    return None if problems else parse(document)
