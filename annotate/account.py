"""Signing in and out, joining by invitation, language and theme, API tokens.

A failed sign-in is answered, not raised, so that the counted attempt is kept.
"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect

from annotate import auth, i18n
from annotate.rendering import LANGUAGE_COOKIE, THEME_COOKIE
from annotate.visit import COOKIE, Visit
from tasks import people
from tasks.errors import Conflict, Invalid
from tasks.people import Person, Role

HOME = {
    Role.WORKER: "/work",
    Role.REQUESTER: "/projects",
    Role.ORGANIZER: "/audit/wages",
    Role.OPERATOR: "/operate/periods",
}
PLACES = ("BG", "DE", "ES", "FI", "FR", "GB", "KE", "PH", "PL", "PT", "RO", "US", "US-CA", "US-WA", "ZA")
YEAR_SECONDS = 365 * 86_400


class Account(Controller):
    """Pages around the sign-in."""

    include_in_schema = False

    @get("/", sync_to_thread=True)
    def home(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Send people to their work, everybody else to the front page."""
        if visit.viewer is not None:
            return Redirect(HOME[visit.viewer.role])
        return visit.page("home.html")

    @get("/sign-in", sync_to_thread=True)
    def sign_in_page(self, visit: NamedDependency[Visit], next_page: FromQuery[str] = "") -> Response[Any]:
        """Ask for address and password."""
        return visit.page("account/sign_in.html", next_page=next_page, email="", problem="")

    @post("/sign-in", sync_to_thread=True)
    def sign_in(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Sign in with address and password."""
        email, next_page = visit.text("email", 300), visit.text("next_page", 500)
        try:
            visit.count_attempt("sign-in", email)
            person = auth.check_password(visit.session, email, visit.text("password", 2000))
        except (auth.SignInFailed, auth.TooManyAttempts) as problem:
            return visit.page(
                "account/sign_in.html",
                problem.status,
                next_page=next_page,
                email=email,
                problem=visit.gettext(problem.message),
            )
        return _signed_in(visit, person, next_page)

    @get("/enter/{token:str}", sync_to_thread=True)
    def enter_page(self, visit: NamedDependency[Visit], token: FromPath[str]) -> Response[Any]:
        """Show the button that uses a one-time link: a mail program's look at the link must not use it up."""
        auth.check_link(visit.session, token, visit.now)
        return visit.page("account/enter.html", token=token)

    @post("/enter/{token:str}", sync_to_thread=True)
    def enter(self, visit: NamedDependency[Visit], token: FromPath[str]) -> Response[Any]:
        """Sign in with a one-time link."""
        person = auth.use_link(visit.session, token, visit.now)
        return _signed_in(visit, person)

    @get("/join/{token:str}", sync_to_thread=True)
    def join_page(self, visit: NamedDependency[Visit], token: FromPath[str]) -> Response[Any]:
        """Ask an invited person for name, address, password and place."""
        ticket = auth.invitation(visit.session, token, visit.now)
        return _join_page(visit, token, ticket.role or "", "")

    @post("/join/{token:str}", sync_to_thread=True)
    def join(self, visit: NamedDependency[Visit], token: FromPath[str]) -> Response[Any]:
        """Join by invitation."""
        visit.count_attempt("join")
        ticket = auth.invitation(visit.session, token, visit.now)
        languages = visit.form.get("languages", [])
        try:
            with visit.session.begin_nested():
                person = auth.join(
                    visit.session,
                    token,
                    name=visit.text("name", 100),
                    email=visit.text("email", 300),
                    password=visit.text("password", 2000),
                    organisation=visit.text("organisation", 200),
                    place=visit.text("place", 10) or None,
                    time_zone=visit.text("time_zone", 60) or "UTC",
                    languages=[languages] if isinstance(languages, str) else list(languages),
                    now=visit.now,
                )
        except (Invalid, Conflict) as problem:
            return _join_page(visit, token, ticket.role or "", problem.message, problem.status)
        return _signed_in(visit, person)

    @post("/sign-out", sync_to_thread=True)
    def sign_out(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """End this browser's sign-in."""
        auth.end_sign_in(visit.session, visit.cookie)
        answer: Redirect = Redirect("/")
        answer.delete_cookie(COOKIE)
        return answer

    @post("/settings", sync_to_thread=True)
    def settings(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Set language and theme for this browser."""
        answer: Redirect = Redirect(local(visit.text("next_page", 500)) or "/")
        if visit.text("lang", 5) in i18n.LANGUAGES:
            answer.set_cookie(_cookie(visit, LANGUAGE_COOKIE, visit.text("lang", 5)))
        if visit.text("theme", 10) in {"light", "dark", "auto"}:
            theme = visit.text("theme", 10)
            answer.set_cookie(_cookie(visit, THEME_COOKIE, "" if theme == "auto" else theme))
        return answer

    @get("/account", sync_to_thread=True)
    def account_page(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show who one is here and one's API tokens."""
        viewer = visit.require(*Role)
        return visit.page(
            "account/account.html",
            person=viewer.person,
            tokens=auth.api_tokens(visit.session, viewer.person.id),
            made="",
        )

    @post("/account/tokens", sync_to_thread=True)
    def add_token(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Make an API token and show it once."""
        viewer = visit.require(*Role)
        made = auth.make_api_token(visit.session, viewer.person, visit.text("label", 200) or "API", visit.now)
        tokens = auth.api_tokens(visit.session, viewer.person.id)
        return visit.page("account/account.html", person=viewer.person, tokens=tokens, made=made)

    @get("/account/tokens/{token_id:uuid}/revoke", sync_to_thread=True)
    def ask_revoke(self, visit: NamedDependency[Visit], token_id: FromPath[UUID]) -> Response[Any]:
        """Say what revoking means before it is done."""
        viewer = visit.require(*Role)
        token = auth.api_token(visit.session, viewer.person.id, token_id)
        means = [
            visit.gettext("Every program that uses it is refused from now on."),
            visit.gettext("You can make a new token at any time."),
        ]
        title = visit.gettext("Revoke the token %(name)s?") % {"name": token.label}
        return visit.confirm(title, means, visit.gettext("Revoke"), "/account")

    @post("/account/tokens/{token_id:uuid}/revoke", sync_to_thread=True)
    def revoke_token(self, visit: NamedDependency[Visit], token_id: FromPath[UUID]) -> Response[Any]:
        """End an API token."""
        viewer = visit.require(*Role)
        auth.revoke_api_token(visit.session, viewer.person.id, token_id, visit.now)
        return Redirect("/account")


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Address and password."""

    email: str
    password: str


class Me(msgspec.Struct):
    """Who one is here."""

    id: str
    name: str
    role: str
    organisation: str
    place: str | None
    time_zone: str
    languages: list[str]


class MeSent(msgspec.Struct, forbid_unknown_fields=True):
    """Where, when and in which languages one works."""

    place: str | None
    time_zone: str
    languages: list[str]
    area: str | None = None


class Token(msgspec.Struct):
    """An API token, shown once."""

    token: str


class AccountApi(Controller):
    """Sign-in for programs."""

    path = "/api/v1"
    tags = ["account"]

    @post("/tokens", sync_to_thread=True)
    def make_token(self, visit: NamedDependency[Visit], data: JSONBody[Credentials]) -> Response[Token]:
        """Exchange address and password for a token to send as `Authorization: Bearer …`."""
        try:
            visit.count_attempt("sign-in", data.email)
            person = auth.check_password(visit.session, data.email, data.password)
        except (auth.SignInFailed, auth.TooManyAttempts) as problem:
            body: Any = {"type": f"/help/errors#{type(problem).__name__}", "title": type(problem).__name__}
            body |= {"status": problem.status, "detail": problem.message}
            return Response(body, status_code=problem.status, media_type="application/problem+json")
        return Response(Token(auth.make_api_token(visit.session, person, "API", visit.now)))

    @get("/me", sync_to_thread=True)
    def me(self, visit: NamedDependency[Visit]) -> Me:
        """Say who one is here."""
        return me_of(visit.require(*Role).person)

    @put("/me", sync_to_thread=True)
    def settle(self, visit: NamedDependency[Visit], data: JSONBody[MeSent]) -> Me:
        """Change where, when and in which languages one works."""
        person = visit.worker().person
        people.settle(
            visit.session,
            person,
            place=data.place,
            area=data.area,
            time_zone=data.time_zone,
            languages=data.languages,
            now=visit.now,
        )
        return me_of(person)


def me_of(person: Person) -> Me:
    """Say who somebody is here."""
    return Me(
        id=str(person.id),
        name=person.name,
        role=person.role,
        organisation=person.organisation,
        place=person.place,
        time_zone=person.time_zone,
        languages=person.languages,
    )


def local(address: str) -> str:
    """Give the address if it is one of ours, else ''."""
    safe = address.startswith("/") and not address.startswith(("//", "/\\")) and "\\" not in address
    return address if safe and all(character.isprintable() for character in address) else ""


def _join_page(visit: Visit, token: str, role: str, problem: str, status: int = 200) -> Response[Any]:
    return visit.page(
        "account/join.html",
        status,
        token=token,
        role=role,
        places=i18n.alphabetical([{"value": code, "label": visit.formats.place(code)} for code in PLACES]),
        languages_of_work=[{"value": code, "label": name} for code, name in i18n.LANGUAGES.items()],
        problem=visit.gettext(problem) if problem else "",
        given=visit.form,
    )


def _signed_in(visit: Visit, person: Person, next_page: str = "") -> Response[Any]:
    days = visit.settings.session_days
    token = auth.start_sign_in(visit.session, person, visit.now, days)
    answer: Redirect = Redirect(local(next_page) or HOME[Role(person.role)])
    answer.set_cookie(_cookie(visit, COOKIE, token, max_age=days * 86_400))
    return answer


def _cookie(visit: Visit, name: str, value: str, max_age: int = YEAR_SECONDS) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        max_age=max_age,
        path="/",
        httponly=name == COOKIE,
        secure=visit.settings.secure,
        samesite="lax",
    )
