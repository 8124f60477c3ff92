"""Bodies that are made while they are sent, so that a test sees how much of one the application took."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from annotate import auth
from annotate.visit import CLOCK_HEADER, COOKIE

PIECE = b"x" * (1 << 16)
TWO_GB = 2 << 30
FORM = {"content-type": "multipart/form-data; boundary=edge"}
PAIRS = {"content-type": "application/x-www-form-urlencoded"}
RAW = {"content-type": "text/csv"}


def part(name: str, file_name: str = "") -> bytes:
    """Begin a part of a form."""
    file = f'; filename="{file_name}"' if file_name else ""
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()


@dataclass
class Body:
    """A body that is made while it is read, and how much of it was taken."""

    size: int
    before: bytes = b""
    after: bytes = b"\r\n--edge--\r\n"
    breaks: bool = False
    taken: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.taken += len(self.before)
        yield self.before
        while self.taken < self.size:
            self.taken += len(PIECE)
            yield PIECE
        self.taken += len(self.after)
        yield self.after


@dataclass
class Sender:
    """Somebody who sends bodies to the application."""

    site: Any
    cookie: str = ""
    csrf: str = ""

    def send(self, path: str, body: Body, headers: dict[str, str]) -> httpx.Response:
        """Send a body, piece by piece."""
        return asyncio.run(self._send(path, body, headers))

    async def _send(self, path: str, body: Body, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(_breaking(self.site.app) if body.breaks else self.site.app)
        own = {CLOCK_HEADER: self.site.now.isoformat(), "x-csrf-token": self.csrf}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8000", cookies={COOKIE: self.cookie}
        ) as client:
            return await client.post(path, content=body, headers=own | headers)


def _breaking(app: Any) -> Any:
    """Let the connection break before the last piece."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        async def receive_less() -> Any:
            message = await receive()
            return message if message["more_body"] else {"type": "http.disconnect"}

        await app(scope, receive_less, send)

    return broken


def sender(site: Any, who: str) -> Sender:
    """Sign somebody in; '' is nobody."""
    if not who:
        return Sender(site)
    with site.session() as session:
        cookie = auth.start_sign_in(session, site.people[who], site.now, 30)
        viewer = auth.viewer_by_cookie(session, cookie, site.now)
    assert viewer is not None
    return Sender(site, cookie, viewer.csrf)
