"""A requester's prefunded balance: what is there, and the manual test rail by which it is raised.

Money that a requester has paid in stands in the books under the requester's own account until a batch reserves it.
"""

from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import Redirect

from annotate.auth import Viewer
from annotate.visit import Visit
from payments import funding
from payments.money import ceil_minor, minor, text
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
    def balance(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Show the balance in each currency and the way to raise it."""
        return _page(visit, visit.requester())

    @post("/", sync_to_thread=True)
    def add(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """Pay in through the manual test rail."""
        viewer = visit.requester()
        asked = Prefund(
            visit.text("amount", 30).replace(",", "."), visit.text("currency", 3), visit.text("reference", 80)
        )
        try:
            with visit.session.begin_nested():
                pay_in(visit, viewer, asked)
        except (Invalid, Conflict, NotAllowed) as problem:
            return _page(visit, viewer, problem)
        return Redirect("/balance")


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


def pay_in(visit: Visit, viewer: Viewer, asked: Prefund) -> None:
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
    funding.prefund(
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


def _page(visit: Visit, viewer: Viewer, problem: FairlabelError | None = None) -> Response[Any]:
    found = funding.prefund_balances(visit.session, viewer.person.id)
    errors = []
    if problem is not None:
        errors = [{"field": problem.details.get("field", "amount"), "text": visit.gettext(problem.message)}]
    return visit.page(
        "batches/balance.html",
        problem.status if problem else 200,
        balances=found,
        errors=errors,
        given=visit.form,
    )
