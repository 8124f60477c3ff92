"""What a requester sees of a batch, for the page and for the API: stages, uploads, quote, progress, agreement, cost."""

import csv
import io
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response

from annotate import broken_items, consensus_views, heartbeat
from annotate.quote_views import quote_context
from annotate.visit import Visit
from payments import funding, reserves, terms, wages
from payments.money import text
from schemas.fields import Field
from schemas.uploads import FILE_BYTES_MAX, export_cell
from schemas.words import Words, put_together, taken_apart
from tasks import consensus, gold, intake, progress
from tasks.batches import Batch, BatchState, item_counts, slot_counts
from tasks.errors import FairlabelError
from tasks.fits import Fit, find_fit
from tasks.intake import Upload, UploadProblem, UploadState
from tasks.items import SlotState
from tasks.projects import Definition, Project

PROBLEMS_SHOWN = 100
SKEWED = 0.2
"""Where alpha and AC1 are further apart than this, some labels are rare."""
MEASURES = ("alpha", "percent", "ac1")
NOT_WEIGHED = Words("Not measured yet; that is done within a minute of the first answers.")


def batch_page(
    visit: Visit,
    batch: Batch,
    *,
    errors: list[dict[str, str]] | None = None,
    given: Any = None,
    status: int = 200,
) -> Response[str]:
    """Render the batch's page, with a form's errors if there are any."""
    project = visit.session.get_one(Project, batch.project_id)
    definition = visit.session.get_one(Definition, batch.definition_id)
    found = terms.find_terms(visit.session, batch.id)
    parsed = definition.parsed()
    columns = parsed.data_schema
    quoted = found is not None and batch.state == BatchState.DRAFT
    return visit.page(
        "batches/batch.html",
        status,
        project=project,
        definition=definition,
        terms=found,
        **(quote_context(visit, batch, project.requester_id) if quoted else {}),
        errors=errors or [],
        given=given or {},
        file_bytes_max=FILE_BYTES_MAX,
        columns=list(columns.get("properties", {})),
        required=columns.get("required", []),
        pictures=any(part.kind == "image" for part in parsed.show),
        media_origins=visit.tasks.fairlabel_media_origins.split(),
        broken=broken_items.listed(visit, batch),
        rule=consensus_views.rule(batch),
        known=gold.records_of(visit.session, batch.id),
        contests=gold.contests_of(visit.session, batch.id),
        **live_context(visit, batch),
    )


def said(visit: Visit, problem: FairlabelError) -> str:
    """Say why a batch is not opened; what is missing is written as the viewer writes money."""
    if isinstance(problem, funding.NotFunded) and "missing" in problem.details:
        missing = visit.formats.money(problem.details["missing"], problem.details["currency"])
        return visit.gettext("%(missing)s are missing on your balance; pay in first.") % {"missing": missing}
    return visit.gettext(problem.message)


def close_page(visit: Visit, batch: Batch) -> Response[str]:
    """Ask whether a batch is to be closed, and say what that means."""
    slots = slot_counts(visit.session, [batch.id])[batch.id]
    number = visit.formats.number
    means = [
        visit.gettext(
            "No new work is offered: of the answers wanted, %(n)s that nobody has begun are not collected."
        )
        % {"n": number(slots[SlotState.OPEN] + slots[SlotState.WAITING])},
        visit.gettext("Work in hands may be finished and is paid. In hands right now: %(n)s.")
        % {"n": number(slots[SlotState.LEASED])},
        visit.gettext(
            "What is left of the reserve goes back to your balance once everything owed is settled."
        ),
        visit.gettext("All answers stay; you can export them."),
    ]
    title = visit.gettext("Close %(name)s?") % {"name": batch.name}
    return visit.confirm(title, means, visit.gettext("Close the batch"), f"/batches/{batch.id}")


def live_context(visit: Visit, batch: Batch) -> dict[str, Any]:
    """Give what changes while an import runs or the work goes on."""
    uploads = intake.uploads_of(visit.session, [batch.id])[batch.id]
    importing = any(upload.state == UploadState.RECEIVED for upload in uploads)
    bad = intake.problems_of(visit.session, [upload.id for upload in uploads[:1]], PROBLEMS_SHOWN)
    stands = None if batch.state == BatchState.DRAFT else standing(visit, batch)
    return {
        "batch": batch,
        "uploads": uploads,
        "how_far": _how_far(visit, uploads),
        "problems": [bad_row(visit, row) for rows in bad.values() for row in rows],
        "items": item_counts(visit.session, [batch.id])[batch.id],
        "standing": stands,
        "per_item": consensus_views.answers_plots(visit, batch) if stands else None,
        "per_settled": consensus_views.cost_per_settled(visit, batch, stands["states"]) if stands else [],
        "as_of": stands and stands["agreement_as_of"] and datetime.fromisoformat(stands["agreement_as_of"]),
        "reserve": _reserve(visit, batch),
        "costs": wages.batch_cost(visit.session, batch.id),
        "moving": importing or batch.state == BatchState.OPEN,
        "importing": importing,
        "silent": heartbeat.is_silent(visit.session),
    }


def standing(visit: Visit, batch: Batch) -> dict[str, Any]:
    """Say where a batch's work stands: slots, items, agreement."""
    slots = slot_counts(visit.session, [batch.id])[batch.id]
    fit = find_fit(visit.session, batch.id)
    return {
        "slots": slots,
        "asked": gold.asked(visit.session, batch.id),
        "wanted": sum(slots.values()) - slots["withdrawn"],
        "states": consensus.state_counts(visit.session, batch.id),
        "complete": consensus.is_complete(visit.session, batch),
        "agreement": _agreement(visit, batch, fit),
        "agreement_as_of": fit.computed_at.isoformat() if fit and fit.version else None,
    }


def money_json(visit: Visit, batch: Batch) -> dict[str, Any]:
    """Give a batch's reserve and cost as the API writes them; amounts are decimal text."""
    found = _reserve(visit, batch)
    return {
        "reserve": None
        if found is None
        else {
            "currency": found.currency,
            "reserved": text(found.reserved, found.currency),
            "spent": text(found.spent_estimate, found.currency),
            "left": text(found.left, found.currency),
        },
        "cost": [
            {
                "currency": cost.currency,
                "labour": text(cost.labour, cost.currency),
                "topups": text(cost.topups, cost.currency),
                "fee": text(cost.fee, cost.currency),
                "total": text(cost.total, cost.currency),
            }
            for cost in wages.batch_cost(visit.session, batch.id)
        ],
    }


def _reserve(visit: Visit, batch: Batch) -> reserves.ReserveState | None:
    return reserves.reserve_state(visit.session, batch, visit.now) if batch.opened_at else None


def as_json(visit: Visit, batch: Batch) -> dict[str, Any]:
    """Give a batch as the API writes it."""
    return list_json(visit, [batch])[0]


def list_json(visit: Visit, found: list[Batch]) -> list[dict[str, Any]]:
    """Give batches as the API writes them."""
    ids = [batch.id for batch in found]
    items, uploads = item_counts(visit.session, ids), intake.uploads_of(visit.session, ids)
    how_far = _how_far(visit, [upload for some in uploads.values() for upload in some])
    return [
        {
            "id": str(batch.id),
            "project_id": str(batch.project_id),
            "name": batch.name,
            "state": batch.state,
            "pause_reason": visit.formats.say(batch.pause_reason),
            "redundancy": batch.redundancy,
            "kind": batch.kind,
            "needs_qualification": batch.needs_qualification,
            "answers_wanted": batch.answers_wanted,
            "answers_max": batch.answers_max,
            "answers_expected": batch.answers_expected,
            "languages": batch.languages,
            "content_classes": batch.content_classes,
            "items": items[batch.id],
            "uploads": [_upload(visit, upload, how_far) for upload in uploads[batch.id]],
        }
        for batch in found
    ]


def upload_json(visit: Visit, upload: Upload) -> dict[str, Any]:
    """Give an upload as the API writes it."""
    return _upload(visit, upload, _how_far(visit, [upload]))


def problems_json(visit: Visit, upload: Upload) -> list[dict[str, Any]]:
    """Give an upload's bad rows as the API writes them."""
    return [bad_row(visit, one) for one in intake.problems_of(visit.session, [upload.id])[upload.id]]


def problems_file(visit: Visit, upload: Upload) -> Response[bytes]:
    """Write an upload's bad rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["line", "field", "value", "reason", "remedy"])
    for one in intake.problems_of(visit.session, [upload.id])[upload.id]:
        row = bad_row(visit, one)
        writer.writerow([row.pop("line"), *map(export_cell, row.values())])
    headers = {"content-disposition": f'attachment; filename="problems-{upload.id}.csv"'}
    return Response(out.getvalue().encode(), media_type="text/csv; charset=utf-8", headers=headers)


def bad_row(visit: Visit, one: UploadProblem) -> dict[str, Any]:
    say = visit.formats.say
    return {
        "line": one.line,
        "field": one.field,
        "value": one.value,
        "reason": say(one.reason),
        "hint": say(one.hint),
    }


def _how_far(visit: Visit, uploads: list[Upload]) -> dict[UUID, int]:
    """Give how many bytes have been read of the uploads whose import goes on."""
    going_on = [upload.id for upload in uploads if upload.state == UploadState.RECEIVED]
    return {
        subject: one.done for subject, one in progress.progress_by_subject(visit.session, going_on).items()
    }


def _upload(visit: Visit, upload: Upload, how_far: dict[UUID, int]) -> dict[str, Any]:
    return {
        "id": str(upload.id),
        "file_name": upload.file_name,
        "state": upload.state,
        "bytes": upload.bytes,
        "read": how_far.get(upload.id, 0),
        "rows_good": upload.rows_good,
        "rows_known": upload.rows_known,
        "rows_bad": upload.rows_bad,
        "message": visit.formats.say(upload.message),
    }


def _fields(visit: Visit, batch: Batch) -> list[Field]:
    return list(visit.session.get_one(Definition, batch.definition_id).parsed().fields)


def _agreement(visit: Visit, batch: Batch, fit: Fit | None) -> list[dict[str, Any]]:
    """Give each field's measures as they were when all answers were last weighed."""
    known = {one["field"]: one for one in fit.agreement} if fit else {}
    made = []
    for field in _fields(visit, batch):
        nothing = {"value": None, "why": taken_apart(NOT_WEIGHED)}
        empty = {"answers": 0, "items": 0, "workers": 0, "metric": ""}
        one = known.get(field.name) or empty | dict.fromkeys(MEASURES, nothing)
        said = {
            name: {"value": one[name]["value"], "why": visit.formats.say(put_together(one[name]["why"]))}
            for name in MEASURES
        }
        alpha, ac1 = one["alpha"]["value"], one["ac1"]["value"]
        skewed = alpha is not None and ac1 is not None and abs(ac1 - alpha) > SKEWED
        made.append({"field": field.name, "label": field.label} | one | said | {"skewed": skewed})
    return made
