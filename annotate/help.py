"""Help: how pay, time and offers are decided, whom to ask, and what each error means. Open to everybody.

Who can be asked is named to people of this instance only.
"""

from collections.abc import Iterator
from typing import Any

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from annotate import fair_offers
from annotate.visit import Visit
from tasks.errors import FairlabelError
from tasks.people import Role, people_with_role


class Help(Controller):
    """Pages of help."""

    path = "/help"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def overview(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Explain pay, time and offers."""
        return visit.page("help.html", people=list(_contacts(visit)))

    @get("/offers", sync_to_thread=True)
    def offers(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Publish the rule by which work is offered."""
        return visit.page(
            "help_offers.html",
            version=fair_offers.VERSION,
            rules=fair_offers.rules(visit),
            order=fair_offers.order(visit),
            never=fair_offers.never(visit),
        )

    @get("/errors", sync_to_thread=True)
    def errors(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List every error by its name."""
        found = sorted(
            {
                (kind.__name__, kind.status, (kind.__doc__ or "").strip().splitlines()[0])
                for kind in _kinds(FairlabelError)
            }
        )
        return visit.page(
            "help_errors.html",
            errors=[
                {"name": name, "status": status, "sentence": visit.gettext(words)}
                for name, status, words in found
            ],
        )


def _contacts(visit: Visit) -> Iterator[dict[str, str]]:
    """Name organizers and operators to those who are signed in."""
    if visit.viewer is None:
        return
    words = {Role.ORGANIZER: visit.gettext("Organizer"), Role.OPERATOR: visit.gettext("Operator")}
    for role, said in words.items():
        for person in people_with_role(visit.session, role):
            if person.closed_at is None:
                yield {"role": said, "name": person.name, "organisation": person.organisation}


def _kinds(base: type[FairlabelError]) -> Iterator[type[FairlabelError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)
