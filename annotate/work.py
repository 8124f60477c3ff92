"""Find work and what a worker says about themselves: offers, the task page before acceptance, consents, place.

Everything that matters for the decision stands before the Start button: what it pays and on what that figure rests,
the floor, how silence counts, what the content may do. Consent can be taken back at once.
"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect

from annotate import access, heartbeat, i18n, offers, reasons, widgets, work_views
from annotate.account import PLACES, local
from annotate.auth import Viewer
from annotate.i18n import alphabetical
from annotate.offers import Listed
from annotate.reasons import Why
from annotate.visit import Visit
from payments import rules
from tasks import people
from tasks.batches import Batch, open_batches
from tasks.errors import Invalid
from tasks.people import Person
from tasks.projects import Definition, Project

COMMON_LANGUAGES = ("ar", "de", "en", "es", "fil", "fr", "hi", "it", "pl", "pt", "ro", "sw", "zh")


class ConsentsSent(msgspec.Struct, forbid_unknown_fields=True):
    """All that one agrees to; what is left out is taken back."""

    consents: list[str]


class Work(Controller):
    """Pages of finding work."""

    path = "/work"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def find(self, visit: NamedDependency[Visit], show: FromQuery[str] = "") -> Response[Any]:
        """List what is offered, the best honest pay first, and below what is not, with the reason."""
        person = visit.worker().person
        everything = offers.listed(visit, person)
        offered = [one for one in everything if one.barred is None]
        shown = [one for one in offered if work_views.fits(one, show)]
        held = offers.in_hand(visit, person)
        no_more = {one.id for one, _, _ in held}
        nothing = reasons.of_list(
            [one.barred for one in everything], silent=heartbeat.is_silent(visit.session)
        )
        return visit.page(
            "work/find.html",
            cards=[work_views.card(visit, one) for one in shown],
            pills=work_views.filters(visit, offered, show) if offered else [],
            others=[
                work_views.not_offered(visit, one, bar)
                for one in everything
                if (bar := one.barred) is not None
                and bar.why is not Why.FINISHED
                and not (one.batch.id in no_more and bar.why in reasons.NOTHING_LEFT)
            ],
            hidden=len(offered) - len(shown),
            nothing=reasons.sentence(visit, nothing) if nothing else "",
            limited=nothing is not None and nothing.why in reasons.LIMITS,
            floor=_floor_words(visit, offered),
            in_hand=held,
        )

    @get("/{batch_id:uuid}/about", sync_to_thread=True)
    def about(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """Show everything about a batch before anybody accepts."""
        viewer = visit.worker()
        batch = access.work_for(visit.session, viewer, batch_id)
        version = visit.session.get_one(Definition, batch.definition_id)
        definition = version.parsed()
        return visit.page(
            "work/task.html",
            batch=batch,
            instructions=widgets.markdown(definition.instructions),
            version=version.number,
            examples=work_views.examples(visit, definition),
            **work_views.unread(visit, viewer.person, batch, listed_one(visit, viewer, batch)),
        )

    @get("/settings", sync_to_thread=True)
    def settings(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show where, when and in which languages one works, and what one agrees to."""
        return _settings_page(visit, visit.worker().person, {}, [])

    @post("/settings", sync_to_thread=True)
    def change(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Change where, when and in which languages one works."""
        person = visit.worker().person
        languages = visit.form.get("languages", [])
        try:
            people.settle(
                visit.session,
                person,
                place=visit.text("place", 10) or None,
                area=visit.text("area", 100) or None,
                time_zone=visit.text("time_zone", 100),
                languages=[languages] if isinstance(languages, str) else list(languages),
                now=visit.now,
            )
        except Invalid as problem:
            errors = [
                {"field": problem.details.get("field", "place"), "text": visit.gettext(problem.message)}
            ]
            return _settings_page(visit, person, visit.form, errors, 422)
        return Redirect("/work/settings", status_code=303)

    @post("/consents", sync_to_thread=True)
    def consent(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Agree to one thing, or take it back at once."""
        person = visit.worker().person
        name, agreed = visit.text("consent", 40), set(person.consents)
        agreed = agreed | {name} if visit.text("agree", 10) == "yes" else agreed - {name}
        people.set_consents(visit.session, person, agreed)
        return Redirect(local(visit.text("next_page", 200)) or "/work/settings", status_code=303)


class WorkApi(Controller):
    """Finding work for programs."""

    path = "/api/v1"
    tags = ["work"]

    @get("/work", sync_to_thread=True)
    def offered(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List all open batches with their pay here, the best first; `barred` says why one is not offered."""
        person = visit.worker().person
        return [work_views.as_json(visit, one) for one in offers.listed(visit, person)]

    @get("/work/{batch_id:uuid}", sync_to_thread=True)
    def about(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a batch as the task page shows it, with its task definition."""
        viewer = visit.worker()
        batch = access.work_for(visit.session, viewer, batch_id)
        document = visit.session.get_one(Definition, batch.definition_id).document
        return work_views.as_json(visit, listed_one(visit, viewer, batch)) | {"definition": document}

    @put("/consents", sync_to_thread=True)
    def consents(self, visit: NamedDependency[Visit], data: JSONBody[ConsentsSent]) -> dict[str, list[str]]:
        """Say all that one agrees to: content classes, and `more-hours`; what is left out is taken back."""
        person = visit.worker().person
        people.set_consents(visit.session, person, data.consents)
        return {"consents": person.consents}


def listed_one(visit: Visit, viewer: Viewer, batch: Batch) -> Listed:
    """Give one batch as a worker sees it, whatever its state."""
    project = visit.session.get_one(Project, batch.project_id)
    requester = people.get_person(visit.session, project.requester_id)
    left = offers.open_to(visit.session, viewer.person, [batch.id]).get(batch.id, 0)
    barred = offers.barred(visit, viewer.person, batch)
    if batch.state != "open":
        barred = offers.why_not_served(batch)
    elif barred is None and not left:
        barred = offers.why_none_left(visit.session, viewer.id, [batch.id])[batch.id]
    return Listed(
        batch=batch,
        title=f"{project.name}: {batch.name}",
        purpose=project.purpose,
        requester=requester.organisation or requester.name,
        left=left,
        pay=offers.pay_of(visit, viewer.person, batch),
        barred=barred,
    )


def _floor_words(visit: Visit, offered: list[Listed]) -> str:
    """Say the lowest floor among the offers."""
    pays = [one.pay for one in offered if one.pay is not None]
    if not pays:
        return ""
    least = min(pays, key=lambda pay: pay.floor)
    return visit.formats.money(least.floor, least.currency)


def _settings_page(
    visit: Visit, person: Person, given: Any, errors: list[dict[str, str]], status: int = 200
) -> Response[Any]:
    spoken = {code for batch in open_batches(visit.session) for code in batch.languages}
    codes = list({*COMMON_LANGUAGES, *i18n.LANGUAGES, *person.languages, *spoken})
    languages = zip(codes, work_views.language_names(visit, codes), strict=True)
    areas = {
        (rule["jurisdiction"], rule["area"])
        for rule in rules.in_force(visit.session, visit.now)
        if rule.get("area") and rule["jurisdiction"]
    }
    places = sorted({*PLACES, *({person.place} if person.place else set())})
    chosen = given.get("languages", []) if given else person.languages
    return visit.page(
        "work/settings.html",
        status,
        person=person,
        given=given or {},
        chosen=[chosen] if isinstance(chosen, str) else chosen,
        errors=errors,
        places=alphabetical([{"value": code, "label": visit.formats.place(code)} for code in places]),
        areas=[
            {"value": area, "label": f"{visit.formats.place(at)}, {visit.formats.area(area)}"}
            for at, area in sorted(areas)
        ],
        languages_of_work=alphabetical([{"value": code, "label": name} for code, name in languages]),
        consents=work_views.consents(visit, person),
    )
