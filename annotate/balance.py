"""A requester's prefunded balance: what is there, and the manual test rail by which it is raised.

Money that a requester has paid in stands in the books under the requester's own account until a batch reserves it.
"""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.response import Redirect

from annotate import access
from annotate.audit_ledger import names
from annotate.auth import Viewer
from annotate.visit import Visit
from payments import funding
from payments.accounts import requester_prefund
from payments.ledger import Journal
from payments.money import ceil_minor, minor, text
from payments.statements import statement
from tasks.batches import Batch, UnknownBatch
from tasks.errors import Conflict, FairlabelError, Invalid, NotAllowed


class NoTestRail(NotAllowed):
    """On this instance money comes in by the operator; the manual test rail is for demo and test instances."""


class Prefund(msgspec.Struct, forbid_unknown_fields=True):
    """A payment in: the same reference counts once; the amount is decimal text in whole units."""

    amount: str
    currency: str
    reference: str


class BalancePages(Controller):
    """Pages of the balance."""

    path = "/balance"
    include_in_schema = False

    @get("/", sync_to_thread=True)
    def balance(
        self,
        visit: NamedDependency[Visit],
        paid: FromQuery[str] = "",
        amount: FromQuery[str] = "",
        currency: FromQuery[str] = "EUR",
        batch: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show the balance, its movements, and the way to raise it; a batch brings along what it lacks."""
        given = {"amount": amount[:30], "currency": currency[:3], "batch": batch}
        return _page(visit, visit.requester(), given, paid=paid)

    @post("/", sync_to_thread=True)
    def add(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Pay in through the manual test rail."""
        viewer = visit.requester()
        names = {"amount": 30, "currency": 3, "reference": 80, "batch": 40}
        given = {name: visit.text(name, most) for name, most in names.items()}
        asked = Prefund(given["amount"].replace(",", "."), given["currency"], given["reference"])
        try:
            with visit.session.begin_nested():
                journal = pay_in(visit, viewer, asked)
        except (Invalid, Conflict, NotAllowed) as problem:
            return _page(visit, viewer, given, problem)
        query = {"paid": journal.id, "currency": asked.currency.upper(), "batch": given["batch"]}
        return Redirect(f"/balance?{urlencode(query)}", status_code=303)


class BalanceApi(Controller):
    """The balance for programs."""

    path = "/api/v1/balance"
    tags = ["balance"]

    @get("/", sync_to_thread=True)
    def balance(self, visit: NamedDependency[Visit]) -> dict[str, str]:
        """Give the balance in each currency."""
        return _balances(visit, visit.requester())

    @post("/prefund", sync_to_thread=True)
    def prefund(self, visit: NamedDependency[Visit], data: JSONBody[Prefund]) -> dict[str, str]:
        """Pay in through the manual test rail; gives the balances."""
        viewer = visit.requester()
        pay_in(visit, viewer, data)
        return _balances(visit, viewer)


def pay_in(visit: Visit, viewer: Viewer, asked: Prefund) -> Journal:
    """Raise the balance. Raises NoTestRail on a production instance, Invalid on an amount that is none."""
    if visit.tasks.fairlabel_instance == "production":
        raise NoTestRail
    currency = asked.currency.upper()
    exact = minor(asked.amount, currency)
    if exact <= 0 or exact != ceil_minor(exact):
        raise Invalid(
            "Write an amount above zero with no more decimals than the currency has.", field="amount"
        )
    if not asked.reference.strip():
        raise Invalid("A payment needs a reference; the same reference counts once.", field="reference")
    return funding.prefund(
        visit.session,
        viewer.person.id,
        ceil_minor(exact),
        currency,
        asked.reference.strip(),
        actor=str(viewer.person.id),
        now=visit.now,
    )


def _balances(visit: Visit, viewer: Viewer) -> dict[str, str]:
    found = funding.prefund_balances(visit.session, viewer.person.id)
    return {currency: text(amount, currency) for currency, amount in found.items()}


def _page(
    visit: Visit, viewer: Viewer, given: dict[str, str], problem: FairlabelError | None = None, paid: str = ""
) -> Response[Any]:
    found = funding.prefund_balances(visit.session, viewer.person.id)
    lines = [
        line
        for currency in found
        for line in statement(visit.session, requester_prefund(viewer.person.id, currency))
    ]
    errors = []
    if problem is not None:
        errors = [{"field": problem.details.get("field", "amount"), "text": visit.gettext(problem.message)}]
    return visit.page(
        "batches/balance.html",
        problem.status if problem else 200,
        balances=found,
        lines=sorted(lines, key=lambda line: line.journal.id, reverse=True),
        paid=next((line for line in lines if str(line.journal.id) == paid and line.line_ref), None),
        batch=_batch_of(visit, viewer, given["batch"]),
        named=names(visit, [line.counterpart for line in lines]),
        errors=errors,
        given=given,
    )


def _batch_of(visit: Visit, viewer: Viewer, said: str) -> Batch | None:
    """Give the requester's own batch for which money is paid in, if there is one."""
    try:
        return access.batch_for(visit.session, viewer, UUID(said))
    except (ValueError, UnknownBatch):
        return None
