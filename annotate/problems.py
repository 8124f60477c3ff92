"""Errors become problem+json (RFC 9457) for programs and a page with a remedy for people, once, here.

An unexpected error is logged with a reference that the answer shows; nothing of its inside leaves the server.
"""

import logging
import re
import secrets
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.routes import HTTPRoute
from sqlalchemy.exc import DataError

from annotate import i18n, rendering
from annotate.forms import TooLarge
from tasks.errors import FairlabelError, Invalid

log = logging.getLogger(__name__)

Asked = Request[Any, Any, Any]

OF_THE_FRAMEWORK: Final = {
    400: "What was sent does not have the form that this address takes.",
    404: "There is nothing at this address.",
    405: "This address does not take this kind of request.",
}
UNEXPECTED: Final = "Something went wrong on our side; nothing was stored half."


class NotStorable(Invalid):
    """What was sent holds a character or a number that cannot be stored."""


class NestedTooDeep(Invalid):
    """What was sent is nested too deeply to be read."""


def known(request: Asked, error: FairlabelError) -> Response[Any]:
    """Answer an error that our own functions named."""
    return answer(request, error.status, type(error).__name__, error.message, error.details)


def http(request: Asked, error: HTTPException) -> Response[Any]:
    """Answer an error of the framework: unknown address, wrong method, body that cannot be read.

    Whoever looks at an address to which only forms are sent (Enter in the address bar after an answer that was shown
    there) is led to the page above it.
    """
    if error.status_code == TooLarge.status:
        return known(request, TooLarge(limit_bytes=request.route_handler.resolve_request_max_body_size()))
    if (
        error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        and request.method == "GET"
        and not _program(request)
    ):
        return Redirect(page_above(request.app, request.url.path), status_code=303)
    details: dict[str, Any] = {}
    if isinstance(error.extra, list):
        details["problems"] = [
            {
                "pointer": "/" + str(one.get("key", "")).replace(".", "/"),
                "message": one.get("message", ""),
                "hint": "",
            }
            for one in error.extra
            if isinstance(one, dict)
        ]
    sentence = OF_THE_FRAMEWORK.get(error.status_code, error.detail)
    return answer(
        request, error.status_code, HTTPStatus(error.status_code).phrase.replace(" ", ""), sentence, details
    )


def page_above(app: Litestar, path: str) -> str:
    """Give the nearest address above this one that can be looked at."""
    looked_at = [
        re.compile(re.sub(r"\{[^}]+\}", "[^/]+", route.path))
        for route in app.routes
        if isinstance(route, HTTPRoute) and "GET" in route.methods
    ]
    above = path.rpartition("/")[0]
    while above and not any(known.fullmatch(above) for known in looked_at):
        above = above.rpartition("/")[0]
    return above or "/"


def _program(request: Asked) -> bool:
    return request.url.path.startswith("/api/") or "application/json" in request.headers.get("accept", "")


def unexpected(request: Asked, error: Exception) -> Response[Any]:
    """Answer anything else: log it, show a reference. What only the sender can mend is not our fault."""
    if isinstance(error, DataError):
        return known(request, NotStorable())
    if isinstance(error, RecursionError) and "deserializing" in str(error):
        return known(request, NestedTooDeep())
    reference = secrets.token_hex(3).upper()
    log.error("reference %s: %s %s", reference, request.method, request.url.path, exc_info=error)
    return answer(request, 500, "Unexpected", UNEXPECTED, {"reference": reference})


def answer(request: Asked, status: int, name: str, sentence: str, details: dict[str, Any]) -> Response[Any]:
    """Write the problem in the form and in the language that the asker reads."""
    formats = i18n.formats(rendering.language(request))
    sentence, details = formats.say(sentence), formats.say_all(details)
    if _program(request):
        body = {"type": f"/help/errors#{name}", "title": name, "status": status, "detail": sentence} | details
        return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json")
    text = rendering.bare(
        request,
        "error.html",
        status=status,
        sentence=sentence,
        problems=details.get("problems", []),
        limit_bytes=details.get("limit_bytes"),
        reference=details.get("reference") if status == HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )
    return Response(text, status_code=status, media_type=MediaType.HTML)
