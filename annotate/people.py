"""The operator's desk for people: who is here, invitations, one-time sign-ins, and a simulated instance's clock."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from annotate import auth
from annotate.account import Me, me_of
from annotate.visit import Visit
from tasks import clock
from tasks.errors import Invalid
from tasks.people import Role, get_person, people_with_role

INVITED = (Role.WORKER, Role.REQUESTER, Role.ORGANIZER, Role.OPERATOR)


class People(Controller):
    """Pages for operators."""

    path = "/operate/people"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def people(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List everybody by role, with the form to invite somebody."""
        visit.operator()
        return _page(visit)

    @post("/invitations", sync_to_thread=True)
    def invite(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Make an invitation and show its link once."""
        viewer = visit.operator()
        role = _role(visit.text("role", 20))
        token = auth.invite(visit.session, viewer.person, role, visit.now, visit.text("label", 200))
        return _page(visit, link=f"{visit.settings.base_url}/join/{token}", link_for=visit.gettext(role))

    @post("/{person_id:uuid}/link", sync_to_thread=True)
    def link(self, visit: NamedDependency[Visit], person_id: FromPath[UUID]) -> Response[Any]:
        """Make a one-time sign-in for somebody who has lost their password."""
        visit.operator()
        person = get_person(visit.session, person_id)
        token = auth.make_link(visit.session, person, visit.now)
        return _page(visit, link=f"{visit.settings.base_url}/enter/{token}", link_for=person.name)


class Invitation(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to invite."""

    role: Literal["worker", "requester", "organizer", "operator"]
    label: str = ""


class Joining(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody who takes an invitation."""

    token: str
    name: str
    email: str
    password: str
    organisation: str = ""
    place: str | None = None
    area: str | None = None
    time_zone: str = "UTC"
    languages: list[str] = []


class Time(msgspec.Struct, forbid_unknown_fields=True):
    """A simulated instance's time; null gives it back to the system."""

    at: datetime | None


class PeopleApi(Controller):
    """Invitations and joining for programs."""

    path = "/api/v1"
    tags = ["people"]

    @post("/invitations", sync_to_thread=True)
    def invite(self, visit: NamedDependency[Visit], data: JSONBody[Invitation]) -> dict[str, str]:
        """Make an invitation; the token is shown this once."""
        viewer = visit.operator()
        token = auth.invite(visit.session, viewer.person, Role(data.role), visit.now, data.label)
        return {"token": token, "url": f"{visit.settings.base_url}/join/{token}"}

    @post("/join", sync_to_thread=True)
    def join(self, visit: NamedDependency[Visit], data: JSONBody[Joining]) -> dict[str, Any]:
        """Take an invitation: makes the account and gives a token to send as `Authorization: Bearer …`."""
        if not visit.tasks.simulated:
            visit.count_attempt("join")
        person = auth.join(
            visit.session,
            data.token,
            name=data.name,
            email=data.email,
            password=data.password,
            organisation=data.organisation,
            place=data.place,
            area=data.area,
            time_zone=data.time_zone,
            languages=data.languages,
            now=visit.now,
        )
        token = auth.make_api_token(visit.session, person, "API", visit.now)
        return {"token": token, "person": msgspec.to_builtins(me_of(person))}

    @get("/people", sync_to_thread=True)
    def people(self, visit: NamedDependency[Visit]) -> list[Me]:
        """List everybody."""
        visit.operator()
        return [me_of(person) for role in INVITED for person in people_with_role(visit.session, role)]

    @put("/clock", sync_to_thread=True)
    def turn_clock(self, visit: NamedDependency[Visit], data: JSONBody[Time]) -> dict[str, Any]:
        """Set the time of a simulated instance."""
        visit.operator()
        if data.at is not None and data.at.tzinfo is None:
            raise Invalid("A time needs its zone, as 2026-11-16T09:00:00+03:00.", field="at")
        clock.turn(visit.session, data.at, simulated=visit.tasks.simulated)
        return {"at": data.at}


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Invalid("Choose a role.") from None


def _page(visit: Visit, link: str = "", link_for: str = "") -> Response[Any]:
    groups = [(role, people_with_role(visit.session, role)) for role in INVITED]
    return visit.page("operate/people.html", groups=groups, link=link, link_for=link_for, roles=list(INVITED))
