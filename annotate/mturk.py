"""An audit of Mechanical Turk result files in the browser: what the work paid by the hour, and what is missing.

The files are read, audited and forgotten: nothing of them is stored. Rows that cannot be used are named by file, line
and field, and a file in which no row can be trusted stops the audit, because a total without it would mislead.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import PurePath
from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency

from annotate import wage_views
from annotate.audit import csv_file
from annotate.visit import Visit, before_the_body
from annotate.wage_views import Drawing
from payments.floors import hourly
from payments.mturk_audit import Audit, Floor, audit, floor_named
from payments.mturk_files import CURRENCY, Problem, read
from payments.mturk_report import as_json, treatment
from payments.rules import shipped
from schemas.uploads import export_cell
from tasks.errors import Invalid

FILES_BYTES_MAX = 64 << 20
FILES_MAX = 50
WORKERS_SHOWN = 200
PROBLEMS_SHOWN = 100
ENCODER = msgspec.json.Encoder(decimal_format="number")


class NoFile(Invalid):
    """Choose one or more Mechanical Turk result files (.csv) first."""


class TooManyFiles(Invalid):
    """Send at most 50 files at once."""


class NoUsableRow(Invalid):
    """None of these rows could be used, so there is nothing to audit."""


@dataclass(frozen=True)
class Audited:
    """The audit of all the files, the floor it was held against, and the rows handed back."""

    audit: Audit
    floor: Floor
    problems: list[Problem]
    unusable: int


class TurkPages(Controller):
    """The audit as a page."""

    path = "/audit/mturk"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def ask(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Ask for files and a floor."""
        visit.organizer()
        return page(visit, "US", [])

    @post(
        "/",
        sync_to_thread=True,
        status_code=200,
        guards=[before_the_body(Visit.organizer)],
        request_max_body_size=FILES_BYTES_MAX,
    )
    def audited(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Audit the files and show what they say."""
        visit.organizer()
        asked = visit.text("floor", 60).strip()
        try:
            wanted = floor_of(asked, visit.now.date())
        except Invalid as problem:
            return page(
                visit, asked, [{"field": "floor", "text": visit.gettext(problem.message)}], status=422
            )
        try:
            made = audit_of(visit.form.get("files", []), wanted)
        except Invalid as problem:
            found = [Problem(**one) for one in problem.details.get("problems", [])]
            errors = [{"field": "files", "text": visit.gettext(problem.message)}]
            return page(visit, asked, errors, problems=found, status=422)
        if visit.text("as", 10) == "csv":
            return csv_file(workers_csv(made), "mturk-workers.csv")
        return page(visit, asked, [], made=made, problems=made.problems)


class TurkApi(Controller):
    """The audit for programs."""

    path = "/api/v1/audit/mturk"
    tags = ["audit"]

    @post(
        "/",
        sync_to_thread=True,
        status_code=200,
        guards=[before_the_body(Visit.organizer)],
        request_max_body_size=FILES_BYTES_MAX,
    )
    def audited(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """Audit result files, sent as multipart `files` with a `floor` (US, US-CA or 7.25USD); nothing is kept."""
        visit.organizer()
        wanted = floor_of(visit.text("floor", 60).strip() or "US", visit.now.date())
        made = audit_of(visit.form.get("files", []), wanted)
        return Response(ENCODER.encode(document(visit, made)), media_type="application/json")


def floor_of(named: str, day: date) -> Floor:
    """Read the floor that was asked for. Raises NoSuchFloor, OtherCurrency."""
    found = floor_named(named, day)
    audit((), found.rate, found.currency)  # refuses a floor that is not in the files' currency
    return found


def audit_of(files: Sequence[UploadFile], floor: Floor) -> Audited:
    """Audit the sent files. Raises NoFile, TooManyFiles, UnreadableFile, NoUsableRow."""
    if not files:
        raise NoFile
    if len(files) > FILES_MAX:
        raise TooManyFiles
    found = [read(file.file, name) for file, name in zip(files, names(files), strict=True)]
    problems = [problem for one in found for problem in one.problems]
    if not any(one.assignments for one in found):
        raise NoUsableRow(problems=[asdict(one) for one in problems[:PROBLEMS_SHOWN]])
    made = audit((row for one in found for row in one.assignments), floor.rate, floor.currency)
    return Audited(made, floor, [*problems, *made.replaced], sum(one.unusable for one in found))


def names(files: Sequence[UploadFile]) -> list[str]:
    """Name each file by the last part of its name, numbered where two are called alike."""
    plain = [PurePath(file.filename.replace("\\", "/")).name[:100] for file in files]
    count, seen = Counter(plain), Counter[str]()
    made = []
    for name in plain:
        seen[name] += 1
        made.append(name if count[name] == 1 else f"{name} ({seen[name]})")
    return made


def document(visit: Visit, made: Audited) -> dict[str, Any]:
    """Write the audit as one document."""
    written: dict[str, Any] = visit.formats.say_all(
        as_json(made.audit)
        | {
            "floor_origin": made.floor.origin,
            "unusable_rows": made.unusable,
            "problems": [asdict(one) for one in made.problems],
        }
    )
    return written


def page(
    visit: Visit,
    asked: str,
    errors: list[dict[str, str]],
    *,
    made: Audited | None = None,
    problems: Sequence[Problem] = (),
    status: int = 200,
) -> Response[Any]:
    """Show the form, and below it what the files said."""
    return visit.page(
        "audit/mturk.html",
        status,
        asked=asked,
        errors=errors,
        made=made,
        audit=made.audit if made else None,
        drawing=drawing(visit, made) if made else None,
        sentences=treatment(made.audit) if made else [],
        workers=made.audit.workers[:WORKERS_SHOWN] if made else [],
        problems=problems[:PROBLEMS_SHOWN],
        problem_count=len(problems),
        places=places(),
        files_max=FILES_MAX,
    )


def workers_csv(made: Audited) -> bytes:
    """Write what each worker was paid by the hour, all of them, the most missing first."""
    rows = as_json(made.audit)["per_worker"]
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n")
    table.writeheader()
    table.writerows(row | {"worker": export_cell(row["worker"])} for row in rows)
    return out.getvalue().encode()


def drawing(visit: Visit, made: Audited) -> Drawing | None:
    """Draw what an hour paid, per worker, anchored at the floor."""
    rates = [row.hourly for row in made.audit.workers if row.hourly is not None]
    if not rates:
        return None
    return wage_views.draw_money(
        rates, made.floor.rate, made.floor.currency, visit.formats, visit.gettext("floor")
    )


def places() -> list[str]:
    """Give the places whose shipped minimum is in the files' currency."""
    return sorted(
        {
            one["jurisdiction"]
            for one in shipped()
            if one["kind"] == "statutory"
            and one["currency"] == CURRENCY
            and hourly(one)
            and one["jurisdiction"]
        }
    )
