"""A small client of our own public API, for commands that do what any outside program could do.

A request that meets a lost connection or a fault of the server is sent again, with growing pauses; whatever stores
something carries an id of its own or is safe to repeat. A refusal is an `ApiProblem` that says the server's sentence.
"""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx

from annotate.visit import CLOCK_HEADER
from tasks.errors import FairlabelError

PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds before each further try: a server that was killed has half a minute to come back."""
TRIED_AGAIN: Final = frozenset({500, 502, 503, 504})
FAULTS_MAX: Final = 8
"""How often the server itself may answer with a fault before that is the answer."""


class ApiProblem(FairlabelError):
    """The server refused this."""

    def __init__(self, answer: httpx.Response) -> None:
        """Read the problem document, or say the status where there is none."""
        self.code = answer.status_code
        document: dict[str, Any] = {}
        if "json" in answer.headers.get("content-type", ""):
            found = answer.json()
            document = found if isinstance(found, dict) else {}
        self.name = str(document.get("title", ""))
        sentence = document.get("detail") or f"The server answered {answer.status_code}."
        details = {key: value for key, value in document.items() if key in {"problems", "field", "missing"}}
        more = f" {json.dumps(details, ensure_ascii=False)[:600]}" if details else ""
        super().__init__(f"{answer.request.method} {answer.request.url.path}: {sentence}{more}", **details)


class Unreachable(FairlabelError):
    """The server does not answer."""


class Api:
    """One person's connection; not to be shared by threads. `at` is the time that requests say on a simulated clock."""

    def __init__(self, url: str, token: str = "", at: datetime | None = None) -> None:
        """Connect lazily, and keep the connection."""
        self.url, self.token, self.at = url.rstrip("/"), token, at
        self.again = 0
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # Reading the certificates costs more than a hundred requests, and plain http needs none.
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=120, verify=self.url.startswith("https:")
        )

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """Ask for a document."""
        return self.send("GET", path, params=params).json()

    def post(self, path: str, body: Any = None) -> Any:
        """Send a document; gives the answer's, None for an empty one."""
        return _read(self.send("POST", path, body=body))

    def put(self, path: str, body: Any) -> Any:
        """Put a document; gives the answer's, None for an empty one."""
        return _read(self.send("PUT", path, body=body))

    def upload(self, path: str, content: bytes, **params: Any) -> Any:
        """Send a file as the raw body."""
        return _read(self.send("POST", path, content=content, params=params))

    def lines(self, path: str, **params: Any) -> Iterator[Any]:
        """Read JSON Lines as they come."""
        with self._client.stream("GET", path, params=params, headers=self._headers()) as answer:
            if answer.is_error:
                answer.read()
                raise ApiProblem(answer)
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        params: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Send one request until the server has answered it. Raises ApiProblem, Unreachable."""
        headers = self._headers()
        if body is not None:
            content = json.dumps(body, separators=(",", ":")).encode()
            headers["content-type"] = "application/json"
        answer: httpx.Response | None = None
        faults = 0
        for pause in (*PAUSES, None):
            try:
                answer = self._client.request(method, path, content=content, params=params, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None:
                faults += 1
                if answer.status_code not in TRIED_AGAIN or faults >= FAULTS_MAX:
                    break
            if pause is not None:
                self.again += 1
                time.sleep(pause)
        if answer is None:
            raise Unreachable(f"{self.url} does not answer.")
        if answer.is_error:
            raise ApiProblem(answer)
        return answer

    def _headers(self) -> dict[str, str]:
        return {} if self.at is None else {CLOCK_HEADER: self.at.isoformat()}


def _read(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None
