"""A requester's batch, from the upload to the closing: items, terms, quote, opening, progress, agreement, cost.

The page shows one stage after the other and never hides what comes next. Money is asked of payments, work of tasks;
what is long (an import) runs as a job and is watched here.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import IO, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect

from annotate import access, answer_counts, batch_views
from annotate.batch_views import as_json, batch_page, upload_json
from annotate.forms import FORM_TYPES
from annotate.i18n import LANGUAGES
from annotate.quote_views import quote_json
from annotate.visit import Visit, before_the_body
from payments import funding, terms
from schemas.uploads import FILE_BYTES_MAX
from schemas.words import Words
from tasks import batches, intake, looks, projects, redundancy
from tasks.batches import Batch, BatchKind, BatchNotDraft, BatchState, Redundancy
from tasks.errors import Conflict, Invalid
from tasks.intake import FileTooLarge
from tasks.projects import Project
from tasks.queue import enqueue

UPLOAD_BYTES_MAX = FILE_BYTES_MAX + (1 << 20)
PIECE_BYTES = 1 << 18
PAUSED = Words("Paused by the requester")


class NewBatch(msgspec.Struct, forbid_unknown_fields=True):
    """A batch to make; the definition is the project's newest.

    `redundancy` is adaptive (items get as many answers as it takes, up to `answers_max`) or fixed (`answers_wanted`,
    and up to `answers_max` where workers disagree). Left out, it is fixed if `answers_wanted` is given, and else
    adaptive wherever the questions allow it.
    """

    name: str
    redundancy: Redundancy | None = None
    answers_wanted: int | None = None
    answers_max: int | None = None
    lease_seconds: int | None = None
    languages: list[str] = []
    kind: str = BatchKind.WORK
    needs_qualification: bool = False


class Terms(msgspec.Struct, forbid_unknown_fields=True):
    """Pay terms; amounts are decimal text in the currency's whole units, durations seconds."""

    currency: str
    pay_mode: str
    estimate_seconds: int
    piece_price: str | None = None
    hourly_rate: str | None = None
    estimate_seconds_p95: int | None = None


class Pause(msgspec.Struct, forbid_unknown_fields=True):
    """Why new offers stop; workers read it."""

    reason: str


def may_upload(visit: Visit, batch_id: UUID) -> None:
    """Let in who may add items to this batch. Raises UnknownBatch or BatchNotDraft."""
    if access.batch_for(visit.session, visit.requester(), batch_id).state != BatchState.DRAFT:
        raise BatchNotDraft


def provide_no_form() -> Mapping[str, Any]:
    """Read no form where the body is the file itself."""
    return {}


async def provide_body(request: Request[Any, Any, Any]) -> AsyncGenerator[IO[bytes], None]:
    """Keep a raw body in a temporary file: the memory stays bounded, the limit is held while it comes in."""
    if request.content_type[0] in FORM_TYPES:
        raise Invalid("Send the file itself as the body, not in a form.")
    size = 0
    with tempfile.TemporaryFile() as kept:
        async for piece in request.stream():
            size += len(piece)
            if size > FILE_BYTES_MAX:
                raise FileTooLarge(limit_bytes=FILE_BYTES_MAX)
            await asyncio.to_thread(kept.write, piece)
        kept.seek(0)
        yield kept


class BatchPages(Controller):
    """Pages of a requester's batch."""

    include_in_schema = False

    @get("/projects/{project_id:uuid}/batches/new", sync_to_thread=True)
    def new(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Ask for the batch's name and how many answers are wanted."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        return _new_page(visit, project, {}, [])

    @post("/projects/{project_id:uuid}/batches", sync_to_thread=True)
    def create(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> Response[Any]:
        """Make a draft batch."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        languages = visit.form.get("languages", [])
        try:
            asked = NewBatch(
                name=visit.text("name", 200),
                **answer_counts.from_form(visit),
                languages=[languages] if isinstance(languages, str) else list(languages),
                kind=visit.text("kind", 20) or BatchKind.WORK,
                needs_qualification=visit.text("needs_qualification", 5) == "yes",
            )
            batch = make_batch(visit, project, asked)
        except Invalid as problem:
            errors = [{"field": problem.details.get("field", "name"), "text": visit.gettext(problem.message)}]
            return _new_page(visit, project, visit.form, errors, 422)
        return Redirect(f"/batches/{batch.id}")

    @get("/batches/{batch_id:uuid}", sync_to_thread=True)
    def batch(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Show the batch."""
        return batch_page(visit, access.batch_for(visit.session, visit.requester(), batch_id))

    @get("/batches/{batch_id:uuid}/live", sync_to_thread=True)
    def live(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Give the part of the page that changes while an import or the work goes on."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        return visit.page("batches/live.html", **batch_views.live_context(visit, batch))

    @post(
        "/batches/{batch_id:uuid}/uploads",
        sync_to_thread=True,
        guards=[before_the_body(may_upload)],
        request_max_body_size=UPLOAD_BYTES_MAX,
    )
    def upload(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Take a file; its import is watched on the batch's page."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        files: list[UploadFile] = visit.form.get("file", [])
        if len(files) != 1:
            raise Invalid("Choose a .csv or .jsonl file first.")
        intake.receive(visit.session, batch, files[0].filename, pieces(files[0].file), visit.now)
        return Redirect(f"/batches/{batch.id}")

    @get("/uploads/{upload_id:uuid}/problems.csv", sync_to_thread=True)
    def problems(self, visit: NamedDependency[Visit], upload_id: FromPath[UUID]) -> Response[Any]:
        """Hand the bad rows back as a file."""
        upload = access.upload_for(visit.session, visit.requester(), upload_id)
        return batch_views.problems_file(visit, upload)

    @post("/batches/{batch_id:uuid}/terms", sync_to_thread=True)
    def set_terms(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Set the pay terms and show the quote."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        try:
            with visit.session.begin_nested():
                store_terms(visit, batch, terms_from_form(visit))
        except (Invalid, Conflict) as problem:
            errors = [
                {"field": problem.details.get("field", "pay_mode"), "text": visit.gettext(problem.message)}
            ]
            return batch_page(visit, batch, errors=errors, given=visit.form, status=422)
        return Redirect(f"/batches/{batch.id}#quote")

    @post("/batches/{batch_id:uuid}/open", sync_to_thread=True)
    def open(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Reserve the cost and open the batch."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        try:
            with visit.session.begin_nested():
                open_batch(visit, batch)
        except (Invalid, Conflict) as problem:
            errors = [{"field": "", "text": batch_views.said(visit, problem)}]
            return batch_page(visit, batch, errors=errors, status=problem.status)
        return Redirect(f"/batches/{batch.id}")

    @post("/batches/{batch_id:uuid}/pause", sync_to_thread=True)
    def pause(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Stop new offers."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        batches.pause_batch(visit.session, batch, visit.text("reason", 300) or PAUSED)
        return Redirect(f"/batches/{batch.id}")

    @get("/batches/{batch_id:uuid}/close", sync_to_thread=True)
    def ask_close(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Say what closing means before it is done."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        if batch.state not in {BatchState.OPEN, BatchState.PAUSED}:
            return Redirect(f"/batches/{batch.id}")
        return batch_views.close_page(visit, batch)

    @post("/batches/{batch_id:uuid}/close", sync_to_thread=True)
    def close(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """End the batch."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        batches.close_batch(visit.session, batch, visit.now)
        return Redirect(f"/batches/{batch.id}")


class BatchApi(Controller):
    """Batches for programs."""

    path = "/api/v1"
    tags = ["batches"]

    @post("/projects/{project_id:uuid}/batches", sync_to_thread=True)
    def create(
        self, visit: NamedDependency[Visit], project_id: FromPath[UUID], data: JSONBody[NewBatch]
    ) -> dict[str, Any]:
        """Make a draft batch."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        return as_json(visit, make_batch(visit, project, data))

    @get("/projects/{project_id:uuid}/batches", sync_to_thread=True)
    def listed(self, visit: NamedDependency[Visit], project_id: FromPath[UUID]) -> list[dict[str, Any]]:
        """List a project's batches."""
        project = access.project_for(visit.session, visit.requester(), project_id)
        found = batches.batches_of(visit.session, [project.id])[project.id]
        return batch_views.list_json(visit, found)

    @get("/batches/{batch_id:uuid}", sync_to_thread=True)
    def batch(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a batch: state, counts of slots and items, uploads, agreement, reserve, cost."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        return (
            as_json(visit, batch) | batch_views.standing(visit, batch) | batch_views.money_json(visit, batch)
        )

    @post(
        "/batches/{batch_id:uuid}/uploads",
        sync_to_thread=True,
        guards=[before_the_body(may_upload)],
        dependencies={
            "form": Provide(provide_no_form, sync_to_thread=False),
            "sent_file": Provide(provide_body),
        },
        request_max_body_size=UPLOAD_BYTES_MAX,
    )
    def upload(
        self,
        visit: NamedDependency[Visit],
        batch_id: FromPath[UUID],
        sent_file: NamedDependency[Any],
        name: FromQuery[str] = "upload.jsonl",
    ) -> dict[str, Any]:
        """Take a file as the raw body; `name` ends in .csv or .jsonl. The import runs as a job."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        return upload_json(visit, intake.receive(visit.session, batch, name, pieces(sent_file), visit.now))

    @get("/uploads/{upload_id:uuid}", sync_to_thread=True)
    def upload_state(self, visit: NamedDependency[Visit], upload_id: FromPath[UUID]) -> dict[str, Any]:
        """Say how far an upload is, with its bad rows."""
        upload = access.upload_for(visit.session, visit.requester(), upload_id)
        return upload_json(visit, upload) | {"problems": batch_views.problems_json(visit, upload)}

    @put("/batches/{batch_id:uuid}/terms", sync_to_thread=True)
    def set_terms(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], data: JSONBody[Terms]
    ) -> dict[str, Any]:
        """Set the pay terms; gives the quote."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        store_terms(visit, batch, data)
        return quote_json(visit, batch)

    @get("/batches/{batch_id:uuid}/quote", sync_to_thread=True)
    def quote(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """Give the quote: cost at the typical and at the slow estimate, floors, expected top-ups, fee."""
        return quote_json(visit, access.batch_for(visit.session, visit.requester(), batch_id))

    @post("/batches/{batch_id:uuid}/open", sync_to_thread=True, status_code=200)
    def open(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """Reserve the cost from the prefunded balance and open the batch."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        open_batch(visit, batch)
        return as_json(visit, batch)

    @post("/batches/{batch_id:uuid}/pause", sync_to_thread=True, status_code=200)
    def pause(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], data: JSONBody[Pause]
    ) -> dict[str, Any]:
        """Stop new offers; held work may be finished."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        batches.pause_batch(visit.session, batch, data.reason[:300])
        return as_json(visit, batch)

    @post("/batches/{batch_id:uuid}/refit", sync_to_thread=True, status_code=202)
    def refit(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """Weigh all answers together now instead of at the next sweep; runs as a job."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        enqueue(visit.session, "annotate.refit_batch", str(batch.id))
        return as_json(visit, batch)

    @post("/batches/{batch_id:uuid}/close", sync_to_thread=True, status_code=200)
    def close(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """End the batch; held work may be finished and is paid."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        batches.close_batch(visit.session, batch, visit.now)
        return as_json(visit, batch)


def make_batch(visit: Visit, project: Project, asked: NewBatch) -> Batch:
    """Make a draft batch. Raises Invalid, naming the field."""
    if not asked.name.strip():
        raise Invalid("A batch needs a name.", field="name")
    if asked.lease_seconds is not None and not 60 <= asked.lease_seconds <= 86_400:
        raise Invalid("A lease lasts from 60 to 86,400 seconds.", field="lease_seconds")
    if asked.kind not in set(BatchKind):
        raise Invalid("A batch is work, training or qualification.", field="kind")
    definition = projects.latest_definition(visit.session, project.id)
    assert definition is not None
    least, most, rule = asked.answers_wanted, asked.answers_max, asked.redundancy
    if asked.kind != BatchKind.WORK:  # as many workers as that may train or qualify, whatever they answer
        least, most, rule = least or most, None, Redundancy.FIXED
    answers = answer_counts.asked_for(definition.parsed(), rule, least, most)
    return batches.create_batch(
        visit.session,
        project=project,
        definition=definition,
        name=asked.name.strip()[:200],
        **answers,
        lease_seconds=asked.lease_seconds,
        languages=[language for language in asked.languages if len(language) <= 10][:20],
        kind=BatchKind(asked.kind),
        needs_qualification=asked.needs_qualification,
        now=visit.now,
    )


def open_batch(visit: Visit, batch: Batch) -> None:
    """Reserve a draft's cost and open it, or go on with a paused batch."""
    if batch.state == BatchState.PAUSED:
        funding.resume(visit.session, batch, visit.now)
    else:
        funding.reserve_and_open(visit.session, batch, visit.now, str(visit.requester().person.id))


def store_terms(visit: Visit, batch: Batch, asked: Terms) -> None:
    """Set the batch's pay terms; sensitive content raises the floor, as published."""
    sensitive = any(one != "none" for one in batch.content_classes)
    terms.set_terms(
        visit.session,
        batch,
        currency=asked.currency,
        pay_mode=asked.pay_mode,
        estimate_seconds=asked.estimate_seconds,
        estimate_seconds_p95=asked.estimate_seconds_p95,
        piece_price=asked.piece_price,
        hourly_rate=asked.hourly_rate,
        sensitive_multiplier="1.25" if sensitive else "1",
        now=visit.now,
    )


def terms_from_form(visit: Visit) -> Terms:
    """Read the terms form."""
    mode = visit.text("pay_mode", 10)
    return Terms(
        currency=visit.text("currency", 3).upper(),
        pay_mode=mode,
        estimate_seconds=visit.whole("estimate_seconds"),
        piece_price=visit.text("piece_price", 30).replace(",", ".") or None if mode == "piece" else None,
        hourly_rate=visit.text("hourly_rate", 30).replace(",", ".") or None,
    )


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file piece by piece."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def _new_page(
    visit: Visit, project: Project, given: Any, errors: list[dict[str, str]], status: int = 200
) -> Response[Any]:
    definition = projects.latest_definition(visit.session, project.id)
    least = looks.beginning(definition.parsed()) if definition else None
    return visit.page(
        "batches/new.html",
        status,
        project=project,
        given=given,
        errors=errors,
        choices=[{"value": code, "label": name} for code, name in LANGUAGES.items()],
        adaptive=least is not None,
        least=least,
        most=redundancy.MOST,
    )
