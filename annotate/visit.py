"""A visit is one request as our functions see it: the open transaction, the time, who asks, in which language.

The session is opened and committed here and nowhere else; a failing commit is a 500, never a success. Writes by a
browser must carry the sign-in's own token; programs carry a bearer token instead of a cookie.
"""

import hmac
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from sqlalchemy.orm import Session

from annotate import auth, i18n, rendering
from annotate.forms import FORM_TYPES, Form
from annotate.rendering import THEME_COOKIE
from annotate.settings import WebSettings
from schemas.words import Words
from tasks import clock
from tasks.db import engine_for, transaction
from tasks.errors import Invalid, NotAllowed
from tasks.people import Role
from tasks.settings import TaskSettings

COOKIE = "fairlabel"
CLOCK_HEADER = "fairlabel-clock"
ADDRESS_ATTEMPTS_MAX = 30
ACCOUNT_ATTEMPTS_MAX = 10
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

Asked = ASGIConnection[Any, Any, Any, Any]

log = logging.getLogger(__name__)


class ForgedRequest(NotAllowed):
    """This form did not come from our page, or the page is too old; go back, reload it and send it again."""


class WrongRole(NotAllowed):
    """This is for another role than yours."""


@dataclass
class Visit:
    """One request."""

    session: Session
    now: datetime
    viewer: auth.Viewer | None
    settings: WebSettings
    tasks: TaskSettings
    lang: str
    theme: str
    path: str
    address: str
    cookie: str
    form: Mapping[str, Any]

    def require(self, *roles: Role) -> auth.Viewer:
        """Give the viewer, who must have one of the roles. Raises SignInNeeded or WrongRole."""
        if self.viewer is None:
            raise auth.SignInNeeded
        if self.viewer.role not in roles:
            raise WrongRole
        return self.viewer

    def worker(self) -> auth.Viewer:
        """Give the viewer, who must be a worker."""
        return self.require(Role.WORKER)

    def requester(self) -> auth.Viewer:
        """Give the viewer, who must be a requester."""
        return self.require(Role.REQUESTER)

    def organizer(self) -> auth.Viewer:
        """Give the viewer, who must be an organizer (operators may look, too)."""
        return self.require(Role.ORGANIZER, Role.OPERATOR)

    def operator(self) -> auth.Viewer:
        """Give the viewer, who must be an operator."""
        return self.require(Role.OPERATOR)

    def text(self, name: str, most: int = 10_000) -> str:
        """Give a text field of the sent form, '' if it is missing. Raises Invalid above `most` characters."""
        value = self.form.get(name, "")
        if not isinstance(value, str):
            raise Invalid(Words("The field %(name)s has to be text.", name=name))
        if len(value) > most or "\x00" in value:
            message = Words(
                "The field %(name)s is too long or holds a character that cannot be stored.", name=name
            )
            raise Invalid(message)
        return value

    def whole(self, name: str) -> int:
        """Give a whole number of the sent form. Raises Invalid, naming the field."""
        text = self.text(name, 12).strip()
        if not text.isascii() or not text.isdigit():
            raise Invalid("Write a whole number.", field=name)
        return int(text)

    def count_attempt(self, what: str, account: str = "") -> None:
        """Count a try of the visit's address, and one at an account. Raises TooManyAttempts."""
        key = self.settings.secret_key
        auth.count_attempt(self.session, key, f"{what}:{self.address}", self.now, ADDRESS_ATTEMPTS_MAX)
        if account:
            tried = f"{what}:{auth.plain(account)}"
            auth.count_attempt(self.session, key, tried, self.now, ACCOUNT_ATTEMPTS_MAX)

    @property
    def formats(self) -> i18n.Formats:
        """How the viewer's language and time zone write things."""
        return i18n.formats(self.lang, self.viewer.time_zone if self.viewer else "UTC")

    def gettext(self, text: str) -> str:
        """Say a text in the visit's language, or words with their values."""
        return self.formats.say(text)

    def ngettext(self, one: str, more: str, n: int) -> str:
        """Say how many there are; the text holds the number as %(num)s, as in templates."""
        return i18n.translations(self.lang).ngettext(one, more, n) % {"num": self.formats.number(n)}

    def confirm(self, title: str, means: Sequence[str], does: str, back: str) -> Response[str]:
        """Ask once more before what cannot be taken back; the answer is posted to the address of this look."""
        return self.page("confirm.html", title=title, means=means, does=does, back=back)

    def page(self, template: str, status: int = 200, **context: Any) -> Response[str]:
        """Render a page for the viewer."""
        return rendering.page(self, template, status, context)


def provide_session(state: State) -> Generator[Session, None, None]:
    """Open the request's one transaction; it commits after the handler or rolls back."""
    with transaction(engine_for(state.tasks.database_url, state.tasks.database_pool)) as session:
        yield session


async def provide_form(request: Request[Any, Any, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
    """Read a sent form's fields; JSON bodies and raw uploads are left to their handlers."""
    form = Form()
    try:
        if request.method not in SAFE_METHODS and request.content_type[0] in FORM_TYPES:
            await form.read(request)
        yield form.fields
    finally:
        await form.close()


def provide_visit(
    request: Request[Any, Any, Any],
    session: NamedDependency[Session],
    form: NamedDependency[Mapping[str, Any]],
) -> Visit:
    """Put the visit together. Raises ForgedRequest for a write without the sign-in's token."""
    visit = _visit(request, session, form)
    _refuse_forged(request, visit)
    return visit


@contextmanager
def visiting(request: Asked) -> Iterator[Visit]:
    """Open a visit without a form inside the handler itself: one walk through a thread instead of four.

    For what runs with every answer. The transaction commits at its end. Raises ForgedRequest.
    """
    tasks: TaskSettings = request.app.state.tasks
    with transaction(engine_for(tasks.database_url, tasks.database_pool)) as session:
        visit = _visit(request, session, {})
        _refuse_forged(request, visit)
        yield visit


def before_the_body(check: Callable[..., object]) -> Callable[[Asked, Any], None]:
    """Make a guard that refuses before a byte of the body is read: `check` gets the visit and the path's ids.

    It has a short transaction of its own, so that no connection is held while a large body comes in.
    """

    def guard(request: Asked, _handler: Any) -> None:
        tasks: TaskSettings = request.app.state.tasks
        with transaction(engine_for(tasks.database_url, tasks.database_pool)) as session:
            check(_visit(request, session, {}), **request.path_params)

    return guard


def _refuse_forged(request: Asked, visit: Visit) -> None:
    viewer = visit.viewer
    if viewer is not None and viewer.csrf and request.scope.get("method") not in SAFE_METHODS:
        sent = request.headers.get("x-csrf-token") or visit.form.get("csrf", "")
        if not isinstance(sent, str) or not hmac.compare_digest(sent, viewer.csrf):
            raise ForgedRequest


def _visit(request: Asked, session: Session, form: Mapping[str, Any]) -> Visit:
    tasks: TaskSettings = request.app.state.tasks
    now = clock.now(session, simulated=tasks.simulated, said=_said_time(request))
    return Visit(
        session=session,
        now=now,
        viewer=_viewer(request, session, now),
        settings=request.app.state.web,
        tasks=tasks,
        lang=rendering.language(request),
        theme=request.cookies.get(THEME_COOKIE, ""),
        path=request.scope["path"],
        address=request.client.host if request.client else "",
        cookie=request.cookies.get(COOKIE, ""),
        form=form,
    )


def _viewer(request: Asked, session: Session, now: datetime) -> auth.Viewer | None:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        viewer = auth.viewer_by_token(session, bearer.strip())
        if viewer is None:
            raise auth.SignInNeeded("This API token is unknown or was revoked.")
        return viewer
    token = request.cookies.get(COOKIE)
    return auth.viewer_by_cookie(session, token, now) if token else None


def _said_time(request: Asked) -> datetime | None:
    said = request.headers.get(CLOCK_HEADER)
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise Invalid("The header Fairlabel-Clock has to be a time as 2026-11-16T09:00:00+00:00.") from None
    if moment.tzinfo is None:
        raise Invalid("The header Fairlabel-Clock needs its zone, as +00:00.")
    return moment
