"""The workspace: the next items, answers, skips, and signs of work.

One request stores the answer, its time and its earning together, and brings the next items. A fault in the books can
never refuse an answer, and a sweep makes up for it. Identity and time are the server's.
"""

import logging
from contextlib import suppress
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

import msgspec
from litestar import Controller, Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect
from sqlalchemy.orm import Session

from annotate import access, known_answers, meter, offers, reasons, rendering, widgets
from annotate.auth import Viewer
from annotate.reasons import Bar
from annotate.visit import Visit, visiting
from payments import earnings, worktime
from payments.terms import NoTerms
from tasks import answers, assignments, claims, gold
from tasks.assignments import Assigned, Assignment, Held
from tasks.batches import Batch
from tasks.errors import Invalid, NotAllowed
from tasks.people import get_person
from tasks.projects import Definition, Project, parsed_definition

PROOF_EVERY_SECONDS = 30
PREFETCH_MAX = 5

log = logging.getLogger(__name__)


class OnlyInSimulation(NotAllowed):
    """Named items are handed out only where recorded work is played again."""


class AnswerSent(msgspec.Struct, forbid_unknown_fields=True):
    """An answer under the client's own id: the same id again is the same answer."""

    submission_id: UUID
    answer: dict[str, Any]
    version: int = 1


class SkipSent(msgspec.Struct, forbid_unknown_fields=True):
    """A skip: why, what is to become of the item, and for a broken one what is wrong with it."""

    reason: str
    outcome: Literal["others", "later", "broken"] = "others"
    note: str = ""


class ProofSent(msgspec.Struct, forbid_unknown_fields=True):
    """A sign of work: one boolean, or a change of what is seen. Nothing else is taken."""

    assignment_id: UUID
    kind: Literal["proof", "hidden", "visible", "pause", "resume"] = "proof"
    active: bool = True
    sequence: int = 0


class Labeling(Controller):
    """The workspace as a page; every action is also a plain form."""

    path = "/work/{batch_id:uuid}"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def workspace(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], told: FromQuery[UUID | None] = None
    ) -> Response[Any]:
        """Show the next item, ready to be answered; `told` names an item whose known answer is said."""
        viewer = visit.worker()
        batch = access.work_for(visit.session, viewer, batch_id)
        found, why = next_assignments(visit, viewer, batch.id, 1)
        if found:
            start_clock(visit, found[0])
        known = gold.get_check(visit.session, told, viewer.person.id) if told else None
        return visit.page(
            "work/workspace.html",
            told=known_answers.told(visit, known) if known else None,
            **workspace_context(visit, viewer, batch, found, why),
        )

    @post("/answers", sync_to_thread=True)
    def answer(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Take an answer from the plain form and go on."""
        viewer = visit.worker()
        batch = access.work_for(visit.session, viewer, batch_id)
        assignment_id = as_uuid(visit.text("assignment_id", 40))
        fields = visit.session.get_one(Definition, batch.definition_id).parsed().fields
        value = widgets.answer_from_form(fields, visit.form)
        stored = submit(visit, viewer, assignment_id, as_uuid(visit.text("submission_id", 40)), value)
        told = known_answers.checked(visit, stored, value)
        return Redirect(f"/work/{batch_id}?told={assignment_id}" if told else f"/work/{batch_id}")

    @post("/skips", sync_to_thread=True)
    def skip(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Skip from the plain form and go on; `choice` joins outcome and reason, for a button has one value."""
        viewer = visit.worker()
        access.work_for(visit.session, viewer, batch_id)
        outcome, _, reason = visit.text("choice", 40).partition(":")
        assignment_id = as_uuid(visit.text("assignment_id", 40))
        skip_assignment(visit, viewer, assignment_id, reason, outcome, visit.text("note"))
        return Redirect(f"/work/{batch_id}")


class LabelingApi(Controller):
    """The workspace for programs and for the page's own script."""

    path = "/api/v1"
    tags = ["work"]

    @get("/work/{batch_id:uuid}/next", sync_to_thread=True)
    def next_items(
        self,
        request: Request[Any, Any, Any],
        batch_id: FromPath[UUID],
        n: FromQuery[int] = 1,
        have: FromQuery[str] = "",
        html: FromQuery[bool] = True,
        key: FromQuery[str] = "",
        begin: FromQuery[bool] = False,
        brief: FromQuery[bool] = False,
    ) -> dict[str, Any]:
        """Give the next items in hand, besides those the page has. `brief` leaves progress out.

        No clock starts, unless one item alone is asked for to be shown at once: `begin`.
        """
        with visiting(request) as visit:
            viewer = visit.worker()
            batch = access.work_for(visit.session, viewer, batch_id)
            wanted = Wanted(n, have, html=html, begin=begin, key=key)
            reply = items_for(visit, viewer, batch.id, wanted)
            return reply if brief else reply | done_here(visit, viewer, batch_id)

    @post("/assignments/{assignment_id:uuid}/open", sync_to_thread=True, status_code=200)
    def open_assignment(
        self, request: Request[Any, Any, Any], assignment_id: FromPath[UUID]
    ) -> dict[str, Any]:
        """Start the clock: the item is on the screen now."""
        with visiting(request) as visit:
            start_clock(visit, assignments.own(visit.session, assignment_id, visit.worker().id))
            return {"opened": True}

    @put("/assignments/{assignment_id:uuid}/answer", sync_to_thread=True)
    def answer(
        self,
        request: Request[Any, Any, Any],
        assignment_id: FromPath[UUID],
        data: JSONBody[AnswerSent],
        n: FromQuery[int] = 0,
        have: FromQuery[str] = "",
        html: FromQuery[bool] = True,
        begin: FromQuery[bool] = False,
        shown: FromQuery[UUID | None] = None,
        brief: FromQuery[bool] = False,
    ) -> dict[str, Any]:
        """Store an answer once; the same submission id again changes nothing. `brief` leaves meter and progress out.

        With `n`, the reply also gives the next items as `next` does. `shown` names the item that is on the screen
        now: its clock starts. Where the answer was known, `feedback` says it right away, with the requester's
        explanation.
        """
        with visiting(request) as visit:
            viewer = visit.worker()
            stored = submit(visit, viewer, assignment_id, data.submission_id, data.answer)
            batch_id = stored.assignment.batch_id
            reply: dict[str, Any] = {
                "stored": True,
                "duplicate": stored.duplicate,
                "version": stored.version,
                "surplus": stored.surplus,
            }
            if told := known_answers.checked(visit, stored, data.answer):
                reply["feedback"] = told
            if shown is not None:
                # Whatever is wrong with the news of another item, it is no reason to refuse the answer.
                with suppress(assignments.UnknownAssignment):
                    start_clock(visit, assignments.own(visit.session, shown, viewer.id))
            if n:
                reply |= items_for(visit, viewer, batch_id, Wanted(n, have, html=html, begin=begin))
            if brief:
                return reply
            batch = visit.session.get_one(Batch, batch_id)
            return (
                reply | {"meter": meter.of(visit, viewer.person, batch)} | done_here(visit, viewer, batch_id)
            )

    @post("/assignments/{assignment_id:uuid}/skip", sync_to_thread=True, status_code=200)
    def skip(
        self, visit: NamedDependency[Visit], assignment_id: FromPath[UUID], data: JSONBody[SkipSent]
    ) -> dict[str, Any]:
        """Skip, without any effect on pay; the time is paid.

        `outcome`: `others` offers the item to others, `later` brings it back to you at the end, `broken` shows it to
        the requester with your `note`.
        """
        viewer = visit.worker()
        assignment = skip_assignment(visit, viewer, assignment_id, data.reason, data.outcome, data.note)
        batch = visit.session.get_one(Batch, assignment.batch_id)
        return {"meter": meter.of(visit, viewer.person, batch)}

    @post("/assignments/{assignment_id:uuid}/return", sync_to_thread=True, status_code=200)
    def give_back(self, visit: NamedDependency[Visit], assignment_id: FromPath[UUID]) -> dict[str, Any]:
        """Give an item back unanswered; the time so far is paid."""
        assignment = assignments.own(visit.session, assignment_id, visit.worker().id)
        if assignments.give_back(visit.session, assignment, visit.now):
            worktime.end_assignment(visit.session, assignment, "return", visit.now)
            accrue(visit.session, assignment, "returned", visit)
        return {"returned": True}

    @post("/proofs", sync_to_thread=True, status_code=200)
    def proof(self, request: Request[Any, Any, Any], data: JSONBody[ProofSent]) -> dict[str, Any]:
        """Take a sign of work."""
        with visiting(request) as visit:
            viewer = visit.worker()
            assignment = assignments.own(visit.session, data.assignment_id, viewer.id)
            kind = {"pause": "hidden", "resume": "visible"}.get(data.kind, data.kind)
            if kind != "proof" or data.active:
                worktime.record(
                    visit.session,
                    worker_id=viewer.id,
                    kind=kind,
                    now=visit.now,
                    assignment=assignment,
                    sequence=data.sequence,
                )
            assignments.renew(visit.session, assignment, visit.now)
            return {"received": True}


class Wanted(NamedTuple):
    """How many items are asked for beside those that the page has, and how they are given."""

    n: int
    have: str
    html: bool
    begin: bool
    key: str = ""


def items_for(visit: Visit, viewer: Viewer, batch_id: UUID, wanted: Wanted) -> dict[str, Any]:
    """Give the next items of a batch as the page's script takes them, or say why there are none."""
    had = {part for part in wanted.have.split(",") if part}
    if wanted.key:
        found, why = named_assignment(visit, viewer, batch_id, wanted.key), None
    else:
        count = min(max(wanted.n, 1), PREFETCH_MAX) + len(had)
        found, why = next_assignments(visit, viewer, batch_id, count)
    fresh = [one for one in found if str(one.id) not in had]
    if had and not fresh and why is None:
        # All that is in hand the page has; it may be at its last, and its answer on the way to us.
        why = offers.why_none_left(visit.session, viewer.id, [batch_id])[batch_id]
    if wanted.begin and len(fresh) == 1:
        # Its lease was renewed when it was given.
        worktime.open_assignment(visit.session, fresh[0], visit.now)
    return {
        "items": items_json(visit, batch_id, fresh, html=wanted.html),
        "why": why.why if why and not fresh else None,
        "message": reasons.sentence(visit, why) if why and not fresh else "",
    }


def next_assignments(
    visit: Visit, viewer: Viewer, batch_id: UUID, count: int
) -> tuple[list[Held], Bar | None]:
    """Claim work, or give the reason why there is none."""
    session = visit.session
    try:
        hand = claims.claim(session, batch_id, viewer.id, visit.now, count)
        if not hand.permitted and len(hand.items) < count:
            barred = offers.permit(visit, viewer.id, session.get_one(Batch, batch_id))
            if barred is not None:
                return hand.items, barred
            hand = claims.claim(session, batch_id, viewer.id, visit.now, count)
    except claims.BatchNotServed:
        return [], offers.why_not_served(session.get_one(Batch, batch_id))
    if hand.items:
        return hand.items, None
    return [], offers.why_none_left(session, viewer.id, [batch_id])[batch_id]


def named_assignment(visit: Visit, viewer: Viewer, batch_id: UUID, key: str) -> list[Held]:
    """Claim one named item. Raises OnlyInSimulation on an instance of real people."""
    if not visit.tasks.simulated:
        raise OnlyInSimulation
    batch = visit.session.get_one(Batch, batch_id)
    found = claims.claim_item(visit.session, batch, key, viewer.id, visit.now)
    return [found] if found else []


def start_clock(visit: Visit, assignment: Assigned) -> None:
    """Note that the worker has the item before them."""
    worktime.open_assignment(visit.session, assignment, visit.now)
    assignments.renew(visit.session, assignment, visit.now)


def submit(
    visit: Visit, viewer: Viewer, assignment_id: UUID, submission_id: UUID, value: dict[str, Any]
) -> answers.Stored:
    """Store an answer with its time and its earning."""
    stored = answers.submit(
        visit.session,
        assignment_id=assignment_id,
        worker_id=viewer.id,
        submission_id=submission_id,
        value=value,
        now=visit.now,
    )
    if not stored.duplicate:
        worktime.end_assignment(visit.session, stored.assignment, "submit", visit.now)
        accrue(visit.session, stored.assignment, "submitted", visit)
    return stored


def skip_assignment(
    visit: Visit, viewer: Viewer, assignment_id: UUID, reason: str, outcome: str, note: str
) -> Assignment:
    """Skip with its time and its earning."""
    assignment = assignments.own(visit.session, assignment_id, viewer.id)
    if assignments.skip(visit.session, assignment, reason, visit.now, outcome, note):
        kind = "content_skip" if reason == "upsetting" else "skip"
        worktime.end_assignment(visit.session, assignment, kind, visit.now)
        accrue(visit.session, assignment, "skipped", visit)
    return assignment


def accrue(session: Session, assignment: Assigned, kind: str, visit: Visit) -> None:
    """Record the earning; a fault here is logged and made up by the sweep, never refuses the work."""
    try:
        earnings.accrue(session, assignment, kind, visit.now)
    except (NoTerms, earnings.NotAccrued):
        log.exception("assignment %s has no earning yet; the sweep will record it", assignment.id)


def progress(visit: Visit, viewer: Viewer, batch: Batch) -> dict[str, int]:
    """Give how many the worker has done here, and how many there may be for them: each item once."""
    worker_id = viewer.id
    done = assignments.done_by(visit.session, batch.id, worker_id)
    held = len(assignments.held_by(visit.session, batch.id, worker_id, visit.now))
    left = offers.open_to(visit.session, viewer.person, [batch.id]).get(batch.id, 0)
    return {"done": done, "total": done + held + left}


def done_here(visit: Visit, viewer: Viewer, batch_id: UUID) -> dict[str, int]:
    """Give how many the worker has done here; how many are left is not counted with every answer."""
    return {"done": assignments.done_by(visit.session, batch_id, viewer.id)}


def items_json(visit: Visit, batch_id: UUID, found: list[Held], *, html: bool) -> list[dict[str, Any]]:
    """Give assignments as the page's script takes them."""
    listed: list[dict[str, Any]] = [
        {"assignment_id": str(one.id), "key": one.key, "data": one.data} for one in found
    ]
    if html and found:
        batch = visit.session.get_one(Batch, batch_id)
        definition = parsed_definition(visit.session, batch.definition_id)
        for entry, one in zip(listed, found, strict=True):
            shown = widgets.item_context(visit, definition, one, None)
            entry["html"] = rendering.fragment(visit, "widgets/item.html", {"item": shown})
    return listed


def workspace_context(
    visit: Visit, viewer: Viewer, batch: Batch, found: list[Held], why: Bar | None
) -> dict[str, Any]:
    """Give everything the workspace page shows."""
    version = visit.session.get_one(Definition, batch.definition_id)
    definition = version.parsed()
    project = visit.session.get_one(Project, batch.project_id)
    requester = get_person(visit.session, project.requester_id)
    item = None
    if found:
        item = widgets.item_context(visit, definition, found[0], None)
    return {
        "batch": {
            "id": str(batch.id),
            "title": project.name,
            "requester": requester.organisation or requester.name,
            "name": batch.name,
        },
        "instructions": widgets.markdown(definition.instructions),
        "instructions_version": version.number,
        "item": item,
        "kinds": [field.kind for field in definition.fields],
        "message": reasons.sentence(visit, why) if why else "",
        "progress": progress(visit, viewer, batch),
        "meter": meter.of(visit, viewer.person, batch),
        "submission_id": str(uuid4()),
        "boot": {
            "csrf": viewer.csrf,
            "batch": str(batch.id),
            "user": str(viewer.id),
            "proof_every": PROOF_EVERY_SECONDS,
            "grace": meter.grace(visit, batch),
            "next": f"/api/v1/work/{batch.id}/next",
            "assignments": "/api/v1/assignments",
            "proofs": "/api/v1/proofs",
            "sign_in": f"/sign-in?next_page=/work/{batch.id}",
        },
    }


def as_uuid(text: str) -> UUID:
    """Read an id from a form. Raises Invalid."""
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("The form holds an id that is none; reload the page and try again.") from None
