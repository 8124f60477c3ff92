"""Audit bundles to take home: everything from which the wages of a closed period follow, without a name in it.

A bundle is written to a temporary file and streamed, so that memory stays bounded. It is signed with the key of the
transparency log, whose public half stands on the page and is best kept from an earlier visit.
"""

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from annotate import audit_bundle
from annotate.audit import named_period
from annotate.audit_ledger import log_head
from annotate.visit import Visit
from payments.periods import PeriodState, UnknownPeriod, periods
from payments.settings import PaymentSettings
from payments.signed_note import verifier_key
from tasks.db import engine_for
from tasks.errors import Conflict

PIECE_BYTES = 1 << 16
SUFFIX = ".zip"


class NoLogKey(Conflict):
    """This instance signs nothing, so it has no bundles; its operator sets PAYMENTS_LOG_KEY."""


class Exports(Controller):
    """The page of exports, and the bundles."""

    path = "/audit"
    include_in_schema = False

    @get("/exports", sync_to_thread=True)
    def exports(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List closed periods with their bundles, and say how to verify one offline."""
        visit.organizer()
        known = periods(visit.session)
        return visit.page(
            "audit/exports.html",
            closed=[one for one in known if one.state == PeriodState.CLOSED],
            unsettled=[one for one in known if one.state != PeriodState.CLOSED],
            key=public_key(),
            head=log_head(visit.session),
        )

    @get("/bundles/{name:str}", sync_to_thread=True)
    def bundle(self, visit: NamedDependency[Visit], name: FromPath[str]) -> Stream:
        """Stream the bundle of one closed period."""
        return bundle_of(visit, name)


class ExportsApi(Controller):
    """Bundles for programs."""

    path = "/api/v1/audit"
    tags = ["audit"]

    @get("/key", sync_to_thread=True)
    def key(self, visit: NamedDependency[Visit]) -> dict[str, str | None]:
        """Give the public key of the transparency log, and its newest signed head."""
        visit.organizer()
        head = log_head(visit.session)
        return {"key": public_key(), "head": head.note if head else None}

    @get("/bundles/{name:str}", sync_to_thread=True)
    def bundle(self, visit: NamedDependency[Visit], name: FromPath[str]) -> Stream:
        """Stream the audit bundle of one closed period, such as `2026-W47.zip`."""
        return bundle_of(visit, name)


def bundle_of(visit: Visit, name: str) -> Stream:
    """Write a bundle and stream it. Raises UnknownPeriod, PeriodNotClosed, NoLogKey."""
    visit.organizer()
    if not name.endswith(SUFFIX):
        raise UnknownPeriod
    period = named_period(visit.session, name.removesuffix(SUFFIX))
    if period.state != PeriodState.CLOSED:
        raise audit_bundle.PeriodNotClosed(period=period.code)
    key, settings = signing_key(), PaymentSettings.from_env()
    if key is None:
        raise NoLogKey
    kept = tempfile.TemporaryFile()  # noqa: SIM115  `pieces` closes it when the last byte is sent
    try:
        engine = engine_for(visit.tasks.database_url, visit.tasks.database_pool)
        audit_bundle.make(engine, [period.code], key, settings.log_origin, visit.now, kept)
        size = kept.seek(0, 2)
        kept.seek(0)
    except BaseException:
        kept.close()
        raise
    headers = {
        "content-disposition": f'attachment; filename="fairlabel-{period.code}.zip"',
        "content-length": str(size),
    }
    return Stream(pieces(kept), media_type="application/zip", headers=headers)


def pieces(kept: IO[bytes]) -> Iterator[bytes]:
    """Read a file piece by piece and close it."""
    with kept:
        while piece := kept.read(PIECE_BYTES):
            yield piece


def signing_key() -> Ed25519PrivateKey | None:
    """Give the key of the transparency log, if this instance has one."""
    settings = PaymentSettings.from_env()
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.log_key)) if settings.log_key else None


def public_key() -> str | None:
    """Write the public half as the one line that readers keep."""
    key = signing_key()
    return verifier_key(PaymentSettings.from_env().log_origin, key.public_key()) if key else None
