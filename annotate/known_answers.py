"""Known answers as people meet them: the worker reads one after their own and may contest it, the requester decides.

What is said here is never about pay. A contest that is right makes the known answer void for everybody who was checked
by it, and whoever was stopped by it is looked at again.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect

from annotate import access, rendering, work_views
from annotate.exclusions import worker_named
from annotate.visit import Visit
from tasks import gold, items, qualifications
from tasks.answers import Stored, current_answer
from tasks.batches import Batch, BatchKind
from tasks.errors import Conflict, Invalid
from tasks.gold import GoldCheck, GoldContest
from tasks.items import Item, UnknownItem
from tasks.projects import Definition
from tasks.qualifications import Qualification


class Contesting(msgspec.Struct, forbid_unknown_fields=True):
    """Why a known answer is wrong, in the worker's words."""

    reason: str


class GoldVerdict(msgspec.Struct, forbid_unknown_fields=True):
    """What the requester decides; a refusal needs a reason."""

    outcome: Literal["uphold", "refuse"]
    reason: str = ""


class LettingIn(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to let in without the numbers, named as in the export, and why."""

    worker: str
    reason: str


class KnownAnswerPages(Controller):
    """Pages about known answers."""

    include_in_schema = False

    @get("/work/checks/{assignment_id:uuid}", sync_to_thread=True)
    def look(self, visit: NamedDependency[Visit], assignment_id: FromPath[UUID]) -> Response[Any]:
        """Show a known answer beside the worker's own, with the form to contest it."""
        return _check_page(visit, _own_check(visit, assignment_id), [], "")

    @post("/work/checks/{assignment_id:uuid}", sync_to_thread=True)
    def contest(self, visit: NamedDependency[Visit], assignment_id: FromPath[UUID]) -> Response[Any]:
        """Contest a known answer."""
        found, given = _own_check(visit, assignment_id), visit.text("reason", gold.REASON_CHARACTERS)
        try:
            gold.contest(visit.session, found, given, visit.now)
        except (Invalid, Conflict) as problem:
            errors = [{"field": "reason", "text": visit.gettext(problem.message)}]
            return _check_page(visit, found, errors, given, problem.status)
        return Redirect(f"/work/checks/{assignment_id}", status_code=303)

    @post("/batches/{batch_id:uuid}/contests/{contest_id:uuid}", sync_to_thread=True)
    def decide(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], contest_id: FromPath[UUID]
    ) -> Response[Any]:
        """Decide a contest from the batch's page."""
        uphold = visit.text("action", 10) == "uphold"
        decide(
            visit, batch_id, contest_id, uphold=uphold, reason=visit.text("reason", gold.REASON_CHARACTERS)
        )
        return Redirect(f"/batches/{batch_id}#known", status_code=303)

    @post("/batches/{batch_id:uuid}/items/{item_id:int}/retire", sync_to_thread=True)
    def retire(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> Response[Any]:
        """Show a known answer to nobody any more."""
        retire(visit, batch_id, item_id)
        return Redirect(f"/batches/{batch_id}#known", status_code=303)


class KnownAnswerApi(Controller):
    """Known answers for programs."""

    path = "/api/v1"
    tags = ["work"]

    @post("/assignments/{assignment_id:uuid}/contest", sync_to_thread=True, status_code=200)
    def contest(
        self, visit: NamedDependency[Visit], assignment_id: FromPath[UUID], data: JSONBody[Contesting]
    ) -> dict[str, Any]:
        """Say that a known answer is wrong; decided within seven days, and silence is for you."""
        return contest_json(
            gold.contest(visit.session, _own_check(visit, assignment_id), data.reason, visit.now)
        )

    @get("/batches/{batch_id:uuid}/known", sync_to_thread=True)
    def known(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """Say how a batch's known answers do, and list the contests that wait for you."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        return {
            "items": [
                {
                    "item_id": one.item.id,
                    "key": one.item.key,
                    "checked": one.checked,
                    "right": one.right,
                    "look_here": one.worn,
                }
                for one in gold.records_of(visit.session, batch.id)
            ],
            "contests": [
                contest_json(one) | {"key": item.key}
                for one, item in gold.contests_of(visit.session, batch.id)
            ],
        }

    @post("/batches/{batch_id:uuid}/contests/{contest_id:uuid}/decide", sync_to_thread=True, status_code=200)
    def decide(
        self,
        visit: NamedDependency[Visit],
        batch_id: FromPath[UUID],
        contest_id: FromPath[UUID],
        data: JSONBody[GoldVerdict],
    ) -> dict[str, Any]:
        """Decide a contest: upheld, the known answer is void for everybody; a refusal needs your reason."""
        uphold = data.outcome == "uphold"
        return contest_json(decide(visit, batch_id, contest_id, uphold=uphold, reason=data.reason))

    @post("/projects/{project_id:uuid}/qualifications", sync_to_thread=True)
    def let_in(
        self, visit: NamedDependency[Visit], project_id: FromPath[UUID], data: JSONBody[LettingIn]
    ) -> dict[str, Any]:
        """Let a worker in by name and for a written reason, whatever the numbers say."""
        viewer = visit.requester()
        project = access.project_for(visit.session, viewer, project_id)
        worker_id = worker_named(visit.session, project, data.worker)
        if not data.reason.strip():
            raise gold.WrongGoldContest(field="reason")
        made = qualifications.let_in(
            visit.session, project.id, worker_id, viewer.person, data.reason, visit.now
        )
        return qualification_json(made)


def checked(visit: Visit, stored: Stored, value: dict[str, Any]) -> dict[str, Any] | None:
    """Check a first answer and give what its worker is told at once, to a repeated message too; None if not known."""
    if not stored.gold:
        return None
    held = stored.assignment
    if stored.first:
        found = gold.check(visit.session, held, value, visit.now)
    else:
        found = visit.session.get(GoldCheck, held.id) if stored.duplicate else None
    if found is None:
        return None
    batch = visit.session.get_one(Batch, held.batch_id)
    if batch.kind == BatchKind.QUALIFICATION:
        qualifications.consider(visit.session, batch.project_id, held.worker_id, visit.now)
    said = told(visit, found)
    return {
        "right": said["right"],
        "known": said["gold"],
        "why": said["why"],
        "html": rendering.render(visit, "work/feedback.html", {"told": said}),
    }


def told(visit: Visit, found: GoldCheck) -> dict[str, Any]:
    """Put together what a worker is told about a known answer."""
    item = visit.session.get_one(Item, found.item_id)
    batch = visit.session.get_one(Batch, found.batch_id)
    definition = visit.session.get_one(Definition, batch.definition_id).parsed()
    return {
        "assignment_id": str(found.assignment_id),
        "right": found.is_right,
        "gold": item.gold,
        "known": work_views.answers_said(visit, definition, item.gold or {}, item.data),
        "why": item.gold_why,
        "void": item.gold_void_at is not None,
        "item": item,
        "batch": batch,
        "definition": definition,
    }


def decide(visit: Visit, batch_id: UUID, contest_id: UUID, *, uphold: bool, reason: str) -> GoldContest:
    """Decide a contest in a requester's own batch. Raises UnknownBatch, UnknownCheck."""
    viewer = visit.requester()
    batch = access.batch_for(visit.session, viewer, batch_id)
    found = access.contest_for(visit.session, batch, contest_id)
    changed = gold.decide(visit.session, found, viewer.person, uphold=uphold, reason=reason, now=visit.now)
    qualifications.reconsider_all(visit.session, batch.project_id, changed, visit.now)
    return found


def retire(visit: Visit, batch_id: UUID, item_id: int) -> None:
    """Take a known answer out of the rotation; what was checked by it stands. Raises UnknownBatch, UnknownItem."""
    viewer = visit.requester()
    batch = access.batch_for(visit.session, viewer, batch_id)
    item = access.item_for(visit.session, viewer, batch, item_id)
    if item.gold is None:
        raise UnknownItem
    items.retire(visit.session, item)


def contest_json(one: GoldContest) -> dict[str, Any]:
    """Write a contest for programs."""
    return {
        "id": str(one.id),
        "item_id": one.item_id,
        "reason": one.reason,
        "state": one.state,
        "decide_by": one.decide_by,
        "decision_reason": one.decision_reason,
    }


def qualification_json(one: Qualification) -> dict[str, Any]:
    """Write an outcome for programs, with all that it rests on."""
    return {
        "project_id": str(one.project_id),
        "outcome": one.outcome,
        "right": one.right,
        "checked": one.checked,
        "rule": one.rule,
        "evidence": one.evidence,
        "reason": one.reason,
        "at": one.at,
        "again_at": one.again_at,
    }


def _own_check(visit: Visit, assignment_id: UUID) -> GoldCheck:
    return gold.get_check(visit.session, assignment_id, visit.worker().person.id)


def _check_page(
    visit: Visit, found: GoldCheck, errors: list[dict[str, str]], given: str, status: int = 200
) -> Response[Any]:
    said = told(visit, found)
    answer = current_answer(visit.session, found.assignment_id)
    value = answer.value if answer else {}
    return visit.page(
        "work/check.html",
        status,
        told=said,
        given_answer=work_views.answers_said(visit, said["definition"], value, said["item"].data),
        shown=work_views.parts_shown(said["definition"], said["item"].data),
        contest=gold.contest_of(visit.session, found.assignment_id),
        errors=errors,
        given=given,
    )
