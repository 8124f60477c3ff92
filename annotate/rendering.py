"""Pages: Jinja templates, one environment per language, escaped by default, without inline script or style."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection

from annotate import i18n
from annotate.assets import Assets
from tasks.people import Role

if TYPE_CHECKING:
    from annotate.visit import Visit

LANGUAGE_COOKIE = "fairlabel_lang"
THEME_COOKIE = "fairlabel_theme"

NAVIGATION: dict[Role, tuple[tuple[str, str, str], ...]] = {
    Role.WORKER: (
        ("Work", "/work", "work"),
        ("Pay", "/pay", "pay"),
        ("Hours", "/hours", "hours"),
        ("Help", "/help", "help"),
    ),
    Role.REQUESTER: (
        ("Projects", "/projects", "work"),
        ("Balance", "/balance", "pay"),
        ("Help", "/help", "help"),
    ),
    Role.ORGANIZER: (
        ("Wages", "/audit/wages", "pay"),
        ("Hours", "/audit/hours", "hours"),
        ("Ledger", "/audit/ledger", "ledger"),
        ("Mechanical Turk", "/audit/mturk", "work"),
        ("Exports", "/audit/exports", "download"),
    ),
    Role.OPERATOR: (
        ("Periods", "/operate/periods", "pay"),
        ("Payouts", "/operate/payouts", "pay"),
        ("Rules", "/operate/rules", "scale"),
        ("Added time", "/operate/declarations", "hours"),
        ("Exclusions", "/operate/exclusions", "person"),
        ("People", "/operate/people", "work"),
        ("Wages", "/audit/wages", "hours"),
        ("Ledger", "/audit/ledger", "ledger"),
    ),
}


BELONGS = {
    "/batches": "/projects",
    "/uploads": "/projects",
    "/audit/workers": "/audit/wages",
    "/audit/lines": "/audit/wages",
    "/audit/accounts": "/audit/ledger",
    "/audit/journals": "/audit/ledger",
    "/audit/checks": "/audit/ledger",
}
"""To which entry of the navigation pages belong that do not stand below its address."""

assets = Assets()


@lru_cache(maxsize=8)
def environment(lang: str) -> Environment:
    """Give a language's templates."""
    made = Environment(
        loader=PackageLoader("annotate", "templates"),
        autoescape=True,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(i18n.translations(lang), newstyle=True)  # type: ignore[attr-defined]
    made.globals["assets"] = made.globals["asset"] = assets
    return made


def page(visit: "Visit", template: str, status: int, context: dict[str, Any]) -> Response[str]:
    """Render a whole page."""
    return Response(render(visit, template, context), media_type=MediaType.HTML, status_code=status)


def render(visit: "Visit", template: str, context: dict[str, Any]) -> str:
    """Render a template with what every page has."""
    common = {
        "viewer": _viewer(visit),
        "csrf": visit.viewer.csrf if visit.viewer else "",
        "nav": navigation(visit),
        "lang": visit.lang,
        "languages": [{"code": code, "name": name} for code, name in i18n.LANGUAGES.items()],
        "preferences_url": "/settings",
        "theme": visit.theme,
        "path": visit.path,
        "flash": [],
        "demo": visit.tasks.fairlabel_instance == "demo",
        "f": visit.formats,
    }
    return environment(visit.lang).get_template(template).render(common | context)


def fragment(visit: "Visit", template: str, context: dict[str, Any]) -> str:
    """Render a part of a page, which needs to know of the visit how things are written."""
    return (
        environment(visit.lang)
        .get_template(template)
        .render(context | {"lang": visit.lang, "f": visit.formats})
    )


def language(request: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Choose the language in which a request is answered."""
    return i18n.choose(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


def bare(request: Request[Any, Any, Any], template: str, **context: Any) -> str:
    """Render a page that needs no visit: nobody is signed in on it, and nothing is read from the database."""
    lang = language(request)
    common = {
        "viewer": None,
        "csrf": "",
        "nav": [],
        "lang": lang,
        "languages": [{"code": code, "name": name} for code, name in i18n.LANGUAGES.items()],
        "preferences_url": "/settings",
        "theme": request.cookies.get(THEME_COOKIE, ""),
        "path": request.url.path,
        "flash": [],
        "demo": False,
        "f": i18n.formats(lang),
    }
    return environment(lang).get_template(template).render(common | context)


def navigation(visit: "Visit") -> list[dict[str, Any]]:
    """Give the viewer's navigation, the current entry marked."""
    if visit.viewer is None:
        return []
    at = next((there for here, there in BELONGS.items() if _below(visit.path, here)), visit.path)
    return [
        {"label": visit.gettext(label), "href": href, "icon": icon, "current": _below(at, href)}
        for label, href, icon in NAVIGATION[visit.viewer.role]
    ]


def _below(path: str, address: str) -> bool:
    return path == address or path.startswith(address + "/")


def _viewer(visit: "Visit") -> dict[str, str] | None:
    if visit.viewer is None:
        return None
    person = visit.viewer.person
    return {
        "name": person.name,
        "role": person.role,
        "role_name": visit.gettext(person.role),
        "id": str(person.id),
    }
