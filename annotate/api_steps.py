"""The line's steps as a program walks them over the public API: join, project, batch, upload, terms, money, opening.

Every step may be repeated: what is there already is found by its name and used again.
"""

import hmac
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from annotate.api_client import Api, ApiProblem
from tasks.errors import FairlabelError

IMPORT_LIMIT: Final = 600.0
CLOSE_LIMIT: Final = 1800.0
CHECK_LIMIT: Final = 3600.0


class StillWaiting(FairlabelError):
    """A job of this instance did not come to its end in time; look whether a worker runs (`fairlabel doctor`)."""


class ImportRefused(FairlabelError):
    """The upload was not taken as it is."""


def wait_until(done: Callable[[], bool], limit: float, what: str, pause: float = 0.1) -> None:
    """Ask again and again, less often with time, until it is so. Raises StillWaiting."""
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            raise StillWaiting(f"{what}: nothing for {limit:.0f} s. {StillWaiting.__doc__}")
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)


def password_for(secret: str, email: str) -> str:
    """Derive an account's password from a secret, so that a program can come back to accounts that it made."""
    return hmac.digest(secret.encode(), email.encode(), "sha256").hex()


def join(
    operator: Api, secret: str, role: str, email: str, at: datetime | None, **person: Any
) -> tuple[str, dict[str, Any]]:
    """Invite somebody and join for them; an account that is there is signed in. Gives its token and who it is."""
    password = password_for(secret, email)
    with Api(operator.url, at=at) as guest:
        try:
            token = operator.post("/api/v1/invitations", {"role": role, "label": email})["token"]
            body = {"token": token, "email": email, "password": password, **person}
            made = guest.post("/api/v1/join", body)
        except ApiProblem as problem:
            # A join whose answer was lost has used its invitation up, and the account is there.
            if problem.name not in {"AddressTaken", "LinkUsed"}:
                raise
        else:
            return str(made["token"]), dict(made["person"])
        token = guest.post("/api/v1/tokens", {"email": email, "password": password})["token"]
    with Api(operator.url, token, at) as known:
        return str(token), dict(known.get("/api/v1/me"))


def project(requester: Api, name: str, purpose: str, definition: dict[str, Any]) -> str:
    """Find or make a project; gives its id."""
    for known in requester.get("/api/v1/projects"):
        if known["name"] == name:
            return str(known["id"])
    body = {"name": name, "purpose": purpose, "definition": definition}
    return str(requester.post("/api/v1/projects", body)["id"])


def batch(requester: Api, project_id: str, name: str, **asked: Any) -> dict[str, Any]:
    """Find or make a batch of a project."""
    for known in requester.get(f"/api/v1/projects/{project_id}/batches"):
        if known["name"] == name:
            return dict(known)
    return dict(requester.post(f"/api/v1/projects/{project_id}/batches", {"name": name, **asked}))


def upload(requester: Api, batch_id: str, name: str, content: bytes) -> dict[str, Any]:
    """Upload items and wait for the import. Raises ImportRefused if a row is bad."""
    upload_id = requester.upload(f"/api/v1/batches/{batch_id}/uploads", content, name=name)["id"]
    state: dict[str, Any] = {}

    def imported() -> bool:
        state.update(requester.get(f"/api/v1/uploads/{upload_id}"))
        return bool(state["state"] != "received")

    wait_until(imported, IMPORT_LIMIT, "The import")
    if state["state"] != "imported" or state["rows_bad"]:
        raise ImportRefused(
            f"The import ended as {state['state']}: {state['message']} {state['problems'][:3]}"
        )
    return state


def fund_and_open(requester: Api, batch_id: str, reference: str, **terms: Any) -> dict[str, Any]:
    """Set the terms, pay in what the quote's slow total needs, and open. Gives the quote."""
    quote: dict[str, Any] = requester.put(f"/api/v1/batches/{batch_id}/terms", terms)
    currency = quote["currency"]
    there = requester.get("/api/v1/balance").get(currency, "0")
    missing = Decimal(quote["total_p95"]) - Decimal(there)
    if missing > 0:
        body = {"amount": f"{missing:f}", "currency": currency, "reference": reference}
        requester.post("/api/v1/balance/prefund", body)
    requester.post(f"/api/v1/batches/{batch_id}/open")
    return quote


def checks(organizer: Api) -> dict[str, Any]:
    """Have the books recomputed from the facts, and wait for what is found."""
    report: dict[str, Any] = organizer.post("/api/v1/audit/checks")

    def made() -> bool:
        report.update(organizer.get(f"/api/v1/audit/reports/{report['id']}"))
        return bool(report["state"] != "under_way")

    wait_until(made, CHECK_LIMIT, "The check of the books")
    return report


def new_submission() -> UUID:
    """Make an id under which a submission may be sent again and is stored once."""
    return uuid4()
