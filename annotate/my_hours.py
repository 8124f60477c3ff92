"""My hours: what was credited on which day, every gap and why, and the time that a worker adds.

Days and weeks are those of the worker's own time zone. A gap is counted in two clicks: its times stand in the form.
Limits are shown beside the hours; they end offers and never make worked time unpaid.
"""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.response import Redirect
from sqlalchemy import select

from annotate import pay_views, plots, timeline
from annotate.offers import midnight
from annotate.timeline import Row
from annotate.visit import Visit
from payments import wages, worktime
from payments.paid_time import Category
from payments.periods import is_open
from payments.wages import DAY_HARD, DAY_SOFT, WEEK_HARD, WEEK_SOFT
from payments.worktime import Declaration, DeclarationState
from schemas.uploads import export_cell
from tasks.assignments import Assignment
from tasks.batches import Named
from tasks.errors import Invalid
from tasks.people import MORE_HOURS, Person

DAYS_MAX = 31
DECLARATIONS_SHOWN = 50
WIDE, SLIM = 660, 320
LOCAL = "%Y-%m-%dT%H:%M:%S"


class WrongDay(Invalid):
    """Write a day as 2026-11-16; a span of days ends after it starts and has at most 31."""


class DeclarationSent(msgspec.Struct, forbid_unknown_fields=True):
    """Time that was worked and not measured; without a batch it is waiting, support or other time."""

    start: datetime
    end: datetime
    reason: str
    batch: UUID | None = None


class MyHours(Controller):
    """Pages of a worker's own hours."""

    path = "/hours"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def overview(
        self, visit: NamedDependency[Visit], day: FromQuery[str] = "", added: FromQuery[str] = ""
    ) -> Response[Any]:
        """Show a week in bars and one of its days second by second."""
        person = visit.worker().person
        return _overview_page(visit, person, day_of(visit, person, day), added)

    @get("/export.csv", sync_to_thread=True)
    def export(
        self, visit: NamedDependency[Visit], first: FromQuery[str] = "", last: FromQuery[str] = ""
    ) -> Response[bytes]:
        """Give the rows of the days shown, for a spreadsheet."""
        person = visit.worker().person
        start, end = span(visit, person, first, last)
        found = timeline.rows(visit, person.id, start, end)
        names = pay_views.names_of(visit.session, (row.batch_id for row in found))
        name = f"hours-{first or 'today'}-{last or 'today'}.csv".replace("/", "")
        headers = {"content-disposition": f'attachment; filename="{export_name(name)}"'}
        return Response(csv_of(visit, found, names), media_type="text/csv; charset=utf-8", headers=headers)

    @get("/add", sync_to_thread=True)
    def form(
        self,
        visit: NamedDependency[Visit],
        start: FromQuery[str] = "",
        end: FromQuery[str] = "",
        batch: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show the form with which time is added; a gap brings its own times along."""
        person = visit.worker().person
        return _form_page(visit, person, {"start": start, "end": end, "batch": batch, "reason": ""}, [])

    @post("/declarations", sync_to_thread=True)
    def declare(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Add time that was worked and not measured."""
        person = visit.worker().person
        given = {name: visit.text(name, 5000) for name in ("start", "end", "batch", "reason")}
        try:
            made = worktime.declare(
                visit.session,
                worker_id=person.id,
                batch_id=as_batch(given["batch"]),
                start=as_moment(given["start"], person, "start"),
                end=as_moment(given["end"], person, "end"),
                reason=given["reason"],
                now=visit.now,
            )
        except Invalid as problem:
            field = problem.details.get("field", "batch")
            errors = [{"field": field, "text": visit.gettext(problem.message)}]
            return _form_page(visit, person, given, errors, 422)
        day = made.start_at.astimezone(ZoneInfo(person.time_zone)).date()
        return Redirect(f"/hours?day={day}&added={made.id}", status_code=303)


class MyHoursApi(Controller):
    """A worker's own hours for programs."""

    path = "/api/v1"
    tags = ["hours"]

    @get("/hours", sync_to_thread=True)
    def hours(
        self,
        visit: NamedDependency[Visit],
        first: FromQuery[str] = "",
        last: FromQuery[str] = "",
    ) -> dict[str, Any]:
        """Give credited seconds by day and all rows from day `first` to day `last`, in one's own time zone."""
        person = visit.worker().person
        start, end = span(visit, person, first, last)
        found = timeline.rows(visit, person.id, start, end)
        names = pay_views.names_of(visit.session, (row.batch_id for row in found))
        days = wages.hours(visit.session, person, start, end).days
        return {
            "time_zone": person.time_zone,
            "days": {day.isoformat(): seconds for day, seconds in days.items()},
            "rows": [timeline.as_json(visit, row, names) for row in found],
        }

    @get("/declarations", sync_to_thread=True)
    def declarations(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List the time that one added, and what became of it."""
        found = worktime.declarations_of(visit.session, visit.worker().person.id)
        return [declaration_json(one) for one in found]

    @post("/declarations", sync_to_thread=True)
    def declare(self, visit: NamedDependency[Visit], data: JSONBody[DeclarationSent]) -> dict[str, Any]:
        """Add time that was worked and not measured; a little is accepted at once, more within seven days."""
        if data.start.tzinfo is None or data.end.tzinfo is None:
            raise Invalid("A time needs its zone, as 2026-11-16T09:00:00+03:00.", field="start")
        made = worktime.declare(
            visit.session,
            worker_id=visit.worker().person.id,
            batch_id=data.batch,
            start=data.start,
            end=data.end,
            reason=data.reason,
            now=visit.now,
        )
        return declaration_json(made)


def day_of(visit: Visit, person: Person, said: str) -> date:
    """Read a day; today if none is said. Raises WrongDay."""
    if not said:
        return visit.now.astimezone(ZoneInfo(person.time_zone)).date()
    try:
        day = date.fromisoformat(said)
    except ValueError:
        raise WrongDay(field="day") from None
    if not 2000 <= day.year <= 2200:
        raise WrongDay(field="day")
    return day


def span(visit: Visit, person: Person, first: str, last: str) -> tuple[datetime, datetime]:
    """Read a span of days as moments, never beyond now. Raises WrongDay."""
    start = day_of(visit, person, first)
    end = day_of(visit, person, last or first)
    if not timedelta(0) <= end - start < timedelta(days=DAYS_MAX):
        raise WrongDay
    zone = person.time_zone
    return midnight(start, zone), midnight(end + timedelta(days=1), zone)


def as_moment(said: str, person: Person, field: str) -> datetime:
    """Read a time of the worker's own clock. Raises Invalid."""
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise Invalid("Write day and time, as 2026-11-16 09:40.", field=field) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(person.time_zone))


def as_batch(said: str) -> UUID | None:
    """Read a batch's id; none is waiting, support or other time. Raises Invalid."""
    try:
        return UUID(said) if said else None
    except ValueError:
        raise Invalid("Choose one of the batches that you were served.", field="batch") from None


def csv_of(visit: Visit, found: Sequence[Row], names: dict[UUID, Named]) -> bytes:
    """Write rows as the page shows them."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(["from", "to", "seconds", "credited", "work", "kind_or_reason"])
    zone, kinds = visit.formats.zone, timeline.category_words(visit)
    for row in found:
        title = pay_views.name_of(visit, row.batch_id, names).title if row.credited else ""
        kind = kinds[row.category] if row.category else visit.formats.say(row.reason)
        times = [edge.astimezone(zone).isoformat() for edge in (row.start, row.end)]
        said = [*times, row.seconds, "yes" if row.credited else "no", title, kind]
        write([export_cell(str(cell)) for cell in said])
    return out.getvalue().encode()


def export_name(name: str) -> str:
    """Keep of a file's name only what every system takes."""
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-._"))


def declaration_json(one: Declaration) -> dict[str, Any]:
    """Give a declaration for programs."""
    return {
        "id": str(one.id),
        "batch": str(one.batch_id) if one.batch_id else None,
        "start": one.start_at.isoformat(),
        "end": one.end_at.isoformat(),
        "added_seconds": one.added_seconds,
        "category": Category(one.category).value,
        "reason": one.reason,
        "state": one.state,
        "decide_by": one.decide_by.isoformat(),
        "decision_reason": one.decision_reason,
    }


def _overview_page(visit: Visit, person: Person, day: date, added: str) -> Response[Any]:
    zone = person.time_zone
    monday = day - timedelta(days=day.weekday())
    start, end = midnight(monday, zone), midnight(monday + timedelta(days=7), zone)
    spent = wages.hours(visit.session, person, start, end).days
    found = timeline.rows(visit, person.id, midnight(day, zone), midnight(day + timedelta(days=1), zone))
    declared = worktime.declarations_of(visit.session, person.id)
    names = pay_views.names_of(
        visit.session, [*(row.batch_id for row in found), *(one.batch_id for one in declared)]
    )
    new = next((one for one in declared if str(one.id) == added), None)
    return visit.page(
        "pay/hours.html",
        day=day,
        monday=monday,
        sunday=monday + timedelta(days=6),
        today=day_of(visit, person, ""),
        days=[_day(visit, monday + timedelta(days=n), spent, day) for n in range(7)],
        bars=[_bars(visit, monday, spent, width) for width in (WIDE, SLIM)],
        total=sum(spent.values()),
        today_total=spent.get(day, 0),
        most=(DAY_HARD, WEEK_HARD) if MORE_HOURS in person.consents else (DAY_SOFT, WEEK_SOFT),
        rows=[_row(visit, row, found, names) for row in found],
        declarations=[_declaration(visit, one, names) for one in declared[:DECLARATIONS_SHOWN]],
        flash=[_added(visit, new)] if new else [],
    )


def _day(visit: Visit, day: date, spent: dict[date, int], chosen: date) -> dict[str, Any]:
    hours = visit.formats.hours(spent[day]) if spent.get(day) else "–"
    name = visit.formats.weekday(day)
    return {"label": f"{name} {hours}", "href": f"/hours?day={day}", "current": day == chosen}


def _bars(visit: Visit, monday: date, spent: dict[date, int], width: int) -> plots.Plot:
    days = [monday + timedelta(days=n) for n in range(7)]
    return plots.day_bars(
        [(visit.formats.weekday(day, narrow=width < WIDE), spent.get(day, 0)) for day in days],
        say=visit.formats.hours,
        limit=DAY_SOFT,
        limit_label=visit.gettext("8 hours"),
        width=width,
    )


def _row(visit: Visit, row: Row, found: Sequence[Row], names: dict[UUID, Named]) -> dict[str, Any]:
    zone = visit.formats.zone
    batch = row.batch_id if row.credited else timeline.guessed_batch(found, row)
    href = f"/hours/add?start={row.start.astimezone(zone):{LOCAL}}&end={row.end.astimezone(zone):{LOCAL}}"
    return {
        "start": visit.formats.time(row.start),
        "end": visit.formats.time(row.end),
        "length": visit.formats.duration(row.seconds),
        "credited": row.credited,
        "work": pay_views.name_of(visit, row.batch_id, names).title if row.credited else "",
        "kind": timeline.category_words(visit)[row.category] if row.category else "",
        "why": visit.formats.say(row.reason),
        "href": "" if row.credited else href + (f"&batch={batch}" if batch else ""),
    }


def _declaration(visit: Visit, one: Declaration, names: dict[UUID, Named]) -> dict[str, Any]:
    f = visit.formats
    states = {
        DeclarationState.ACCEPTED: (visit.gettext("counted"), "ok"),
        DeclarationState.PENDING: (
            visit.gettext("decided by %(day)s at the latest") % {"day": f.day(one.decide_by)},
            "warn",
        ),
        DeclarationState.REFUSED: (visit.gettext("refused"), "bad"),
    }
    text, kind = states[DeclarationState(one.state)]
    return {
        "span": f"{f.moment(one.start_at)} – {f.clock(one.end_at)}",
        "added": f.duration(one.added_seconds),
        "work": pay_views.name_of(visit, one.batch_id, names).title,
        "reason": one.reason,
        "state": {"text": text, "tag": kind, "note": one.decision_reason},
    }


def _added(visit: Visit, made: Declaration) -> dict[str, str]:
    f = visit.formats
    said = {"time": f.duration(made.added_seconds), "day": f.day(made.decide_by)}
    if made.state == DeclarationState.ACCEPTED and not is_open(visit.session, made.start_at):
        text = visit.gettext(
            "%(time)s added and counted. The week is settled; it is paid on the next pay day."
        )
        return {"kind": "ok", "text": text % said}
    if made.state == DeclarationState.ACCEPTED:
        return {"kind": "ok", "text": visit.gettext("%(time)s added and counted.") % said}
    words = visit.gettext(
        "%(time)s added. A person looks at it by %(day)s; if nobody does, it counts from then on."
    )
    return {"kind": "ok", "text": words % said}


def _form_page(
    visit: Visit, person: Person, given: dict[str, str], errors: list[dict[str, str]], status: int = 200
) -> Response[Any]:
    since = visit.now - worktime.DECLARED_BACK
    served = visit.session.scalars(
        select(Assignment.batch_id)
        .where(Assignment.worker_id == person.id, Assignment.claimed_at > since - timedelta(days=1))
        .distinct()
    ).all()
    names = pay_views.names_of(visit.session, served)
    options = [{"value": str(batch), "label": named.title} for batch, named in names.items()]
    return visit.page(
        "pay/add.html",
        status,
        given=given,
        errors=errors,
        batches=[
            *sorted(options, key=lambda one: one["label"]),
            {"value": "", "label": visit.gettext("None: waiting, support or other time")},
        ],
    )
