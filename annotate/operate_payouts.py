"""The operator's desk for payouts: a run's file goes to the bank, and each payout is confirmed or taken back.

A run's file is made once and never changes. A whole run is confirmed only with its total typed again, because a payout
is final; one that did not arrive comes back whole and is owed again.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotate import access, heartbeat
from annotate.audit import csv_file
from annotate.visit import Visit
from payments import payouts
from payments.money import text as money_text
from payments.payouts import UNDER_WAY, Payout, PayoutRun, PayoutState
from payments.periods import PayPeriod
from payments.rails import RAILS
from schemas.words import Words
from tasks.errors import Conflict, Invalid
from tasks.people import Person


class FileNotMade(Conflict):
    """The file of this run is not made yet; make it first."""


class WrongTotal(Invalid):
    """This is not the total of the run; compare it with the file and type it again."""


@dataclass
class Sums:
    """How many payouts of a run are in each state, and how much money that is."""

    counts: Counter[str] = field(default_factory=Counter)
    amounts: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All that was set aside and has not come back."""
        return self.amounts.total() - self.amounts[PayoutState.FAILED]

    @property
    def under_way(self) -> int:
        """What is not settled yet."""
        return sum(self.amounts[state] for state in UNDER_WAY)


@dataclass(frozen=True)
class RunView:
    """A run of payouts with its sums."""

    run: PayoutRun
    period: PayPeriod
    sums: Sums
    payouts: list[Payout]
    people: dict[UUID, Person]

    @property
    def rail(self) -> Words:
        """How the money is sent."""
        return RAILS[self.run.rail].words


class PayoutPages(Controller):
    """Runs of payouts as pages."""

    path = "/operate"
    include_in_schema = False

    @get("/payouts", sync_to_thread=True)
    def payouts(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List the runs of payouts."""
        visit.operator()
        runs = all_runs(visit.session)
        return visit.page(
            "operate/payouts.html",
            runs=runs,
            sums=sums_of(visit.session, [run.id for run, _ in runs]),
            silent=heartbeat.is_silent(visit.session),
        )

    @get("/payouts/{run_id:uuid}", sync_to_thread=True)
    def run(self, visit: NamedDependency[Visit], run_id: FromPath[UUID]) -> Response[Any]:
        """Show a run and each of its payouts."""
        return run_page(visit, access.run_for(visit.session, visit.operator(), run_id))

    @post("/payouts/{run_id:uuid}/file", sync_to_thread=True)
    def make_file(self, visit: NamedDependency[Visit], run_id: FromPath[UUID]) -> Response[Any]:
        """Make the file of a run, once."""
        run = access.run_for(visit.session, visit.operator(), run_id)
        payouts.make_file(visit.session, run, visit.now)
        return Redirect(f"/operate/payouts/{run.id}", status_code=303)

    @get("/payouts/{run_id:uuid}/file", sync_to_thread=True)
    def file(self, visit: NamedDependency[Visit], run_id: FromPath[UUID]) -> Response[bytes]:
        """Give the file that was made, byte for byte."""
        run = access.run_for(visit.session, visit.operator(), run_id)
        return run_file(visit, run)

    @post("/payouts/{run_id:uuid}/confirm", sync_to_thread=True)
    def confirm_run(self, visit: NamedDependency[Visit], run_id: FromPath[UUID]) -> Response[Any]:
        """Confirm all payouts under way of a run, on one reference and the total typed again."""
        viewer = visit.operator()
        run = access.run_for(visit.session, viewer, run_id)
        reference = visit.text("reference", 200)
        try:
            check_total(run_view(visit.session, run), visit.text("total", 40))
            with visit.session.begin_nested():
                payouts.confirm_run(visit.session, run, reference, str(viewer.person.id), visit.now)
        except (Invalid, Conflict) as problem:
            field = "total" if isinstance(problem, WrongTotal) else "reference"
            return run_page(
                visit, run, [{"field": field, "text": visit.gettext(problem.message)}], problem.status
            )
        return Redirect(f"/operate/payouts/{run.id}", status_code=303)

    @post("/payouts/{run_id:uuid}/{payout_id:uuid}", sync_to_thread=True)
    def settle(
        self, visit: NamedDependency[Visit], run_id: FromPath[UUID], payout_id: FromPath[UUID]
    ) -> Response[Any]:
        """Confirm one payout with the bank's reference, or take it back with a reason."""
        viewer = visit.operator()
        run = access.run_for(visit.session, viewer, run_id)
        payout = access.payout_for(visit.session, viewer, run, payout_id)
        settle = payouts.fail if visit.text("action", 10) == "fail" else payouts.confirm
        try:
            with visit.session.begin_nested():
                settle(visit.session, payout, visit.text("words", 200), str(viewer.person.id), visit.now)
        except (Invalid, Conflict) as problem:
            field = f"words-{payout.id}"
            return run_page(
                visit, run, [{"field": field, "text": visit.gettext(problem.message)}], problem.status
            )
        return Redirect(f"/operate/payouts/{run.id}#p-{payout.id}", status_code=303)


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """What proves a payment."""

    reference: str


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    """Why a payout did not arrive."""

    reason: str


class PayoutApi(Controller):
    """Runs of payouts for programs."""

    path = "/api/v1/operate"
    tags = ["operate"]

    @post("/runs/{run_id:uuid}/file", sync_to_thread=True, status_code=200)
    def file(self, visit: NamedDependency[Visit], run_id: FromPath[UUID]) -> Response[bytes]:
        """Make a run's file and give it; asked again it gives the same bytes."""
        run = access.run_for(visit.session, visit.operator(), run_id)
        payouts.make_file(visit.session, run, visit.now)
        return run_file(visit, run)

    @get("/runs/{run_id:uuid}", sync_to_thread=True)
    def run(self, visit: NamedDependency[Visit], run_id: FromPath[UUID]) -> dict[str, Any]:
        """Give a run with its payouts."""
        return run_json(run_view(visit.session, access.run_for(visit.session, visit.operator(), run_id)))

    @post("/runs/{run_id:uuid}/confirm", sync_to_thread=True, status_code=200)
    def confirm_run(
        self, visit: NamedDependency[Visit], run_id: FromPath[UUID], data: JSONBody[Confirmation]
    ) -> dict[str, Any]:
        """Confirm all payouts of a run that are under way, on one reference."""
        viewer = visit.operator()
        run = access.run_for(visit.session, viewer, run_id)
        payouts.confirm_run(visit.session, run, data.reference, str(viewer.person.id), visit.now)
        return run_json(run_view(visit.session, run))

    @post("/runs/{run_id:uuid}/payouts/{payout_id:uuid}/confirm", sync_to_thread=True, status_code=200)
    def confirm(
        self,
        visit: NamedDependency[Visit],
        run_id: FromPath[UUID],
        payout_id: FromPath[UUID],
        data: JSONBody[Confirmation],
    ) -> dict[str, Any]:
        """Confirm one payout with the bank's reference."""
        viewer = visit.operator()
        run = access.run_for(visit.session, viewer, run_id)
        payout = access.payout_for(visit.session, viewer, run, payout_id)
        return payout_json(
            payouts.confirm(visit.session, payout, data.reference, str(viewer.person.id), visit.now)
        )

    @post("/runs/{run_id:uuid}/payouts/{payout_id:uuid}/fail", sync_to_thread=True, status_code=200)
    def fail(
        self,
        visit: NamedDependency[Visit],
        run_id: FromPath[UUID],
        payout_id: FromPath[UUID],
        data: JSONBody[Failure],
    ) -> dict[str, Any]:
        """Take back a payout that did not arrive; its money is owed again."""
        viewer = visit.operator()
        run = access.run_for(visit.session, viewer, run_id)
        payout = access.payout_for(visit.session, viewer, run, payout_id)
        return payout_json(payouts.fail(visit.session, payout, data.reason, str(viewer.person.id), visit.now))


def all_runs(session: Session) -> list[tuple[PayoutRun, PayPeriod]]:
    """Give all runs with their periods, the newest period first."""
    query = select(PayoutRun, PayPeriod).join(PayPeriod, PayPeriod.id == PayoutRun.period_id)
    rows = session.execute(query.order_by(PayPeriod.starts_at.desc(), PayoutRun.currency, PayoutRun.rail))
    return [(run, period) for run, period in rows]


def sums_of(session: Session, runs: Collection[UUID]) -> dict[UUID, Sums]:
    """Count and sum up the payouts of each run by state."""
    sums: dict[UUID, Sums] = {run: Sums() for run in runs}
    query = select(Payout.run_id, Payout.state, func.count(), func.sum(Payout.amount))
    rows = session.execute(query.where(Payout.run_id.in_(runs)).group_by(Payout.run_id, Payout.state))
    for run_id, state, count, amount in rows:
        sums[run_id].counts[state], sums[run_id].amounts[state] = count, int(amount)
    return sums


def run_view(session: Session, run: PayoutRun) -> RunView:
    """Gather a run with its payouts and the people they go to."""
    found = payouts.payouts_in(session, run.id)
    people = session.scalars(select(Person).where(Person.id.in_([one.worker_id for one in found])))
    return RunView(
        run=run,
        period=session.get_one(PayPeriod, run.period_id),
        sums=sums_of(session, [run.id])[run.id],
        payouts=found,
        people={one.id: one for one in people},
    )


def run_page(
    visit: Visit, run: PayoutRun, errors: Sequence[dict[str, str]] = (), status: int = 200
) -> Response[Any]:
    """Show a run; with a mistake, what was typed comes back."""
    visit.session.refresh(run)
    view = run_view(visit.session, run)
    return visit.page(
        "operate/payout_run.html", status, view=view, run=run, errors=errors, given=visit.form, silent=False
    )


def run_file(visit: Visit, run: PayoutRun) -> Response[bytes]:
    """Hand over a run's file. Raises FileNotMade."""
    content = run.file
    if content is None:
        raise FileNotMade
    code = visit.session.get_one(PayPeriod, run.period_id).code
    return csv_file(content, f"payouts-{code}-{run.currency}-{run.rail}.csv")


def check_total(view: RunView, typed: str) -> None:
    """Compare the typed total with what is under way. Raises WrongTotal."""
    plain = "".join(typed.replace(view.run.currency, "").split())
    expected = money_text(view.sums.under_way, view.run.currency)
    if plain not in {expected, expected.replace(".", ",")}:
        raise WrongTotal


def run_json(view: RunView) -> dict[str, Any]:
    """Write a run for programs; amounts are minor units."""
    return {
        "id": str(view.run.id),
        "period": view.period.code,
        "currency": view.run.currency,
        "rail": view.run.rail,
        "state": view.run.state,
        "file_sha256": view.run.file_sha256,
        "total": view.sums.total,
        "payouts": [payout_json(one) for one in view.payouts],
    }


def payout_json(payout: Payout) -> dict[str, Any]:
    """Write a payout for programs."""
    return {
        "id": str(payout.id),
        "worker_id": str(payout.worker_id),
        "amount": payout.amount,
        "currency": payout.currency,
        "state": payout.state,
        "reference": payout.reference,
        "reason": payout.reason,
    }
