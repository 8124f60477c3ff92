"""Which pictures the pages can show: those of this site, and those of origins that its operator allows.

A browser loads no others, because every page forbids it; so they are refused when they are uploaded, and not met by a
worker as an empty frame. Whether a file stands at an address is only seen when it is shown.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from schemas.problems import shortened
from schemas.registry import is_web_address
from schemas.words import Words


def wrong_picture(address: str, origins: Sequence[str]) -> tuple[Words, Words] | None:
    """Say why a picture cannot be shown and what helps; `origins` are allowed as in a Content-Security-Policy."""
    local = address.startswith("/") and not address.startswith("//")
    if not is_web_address("https://localhost" + address if local else address):
        return Words("%(value)s is no address of a picture.", value=shortened(address)), _hint(origins)
    if local or any(_covers(origin, address) for origin in origins):
        return None
    return Words("pages here show no pictures from %(site)s.", site=urlsplit(address).netloc), _hint(origins)


def _covers(origin: str, address: str) -> bool:
    allowed, asked = urlsplit(origin.lower()), urlsplit(address.lower())
    if allowed.scheme != asked.scheme:
        return False
    if allowed.netloc.startswith("*."):
        return asked.netloc.endswith(allowed.netloc[1:])
    return asked.netloc == allowed.netloc


def _hint(origins: Sequence[str]) -> Words:
    if not origins:
        return Words(
            "Give a path on this site that begins with one slash; its operator can allow other sites."
        )
    return Words(
        "Give a path on this site that begins with one slash, or an address at %(origins)s.",
        origins=list(origins),
    )
