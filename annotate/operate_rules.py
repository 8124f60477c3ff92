"""The operator's desk for judgement: pay rules are verified by two people, added time is decided by one, in writing.

A rule comes in force when two different people have compared its document with its source. Time that a worker added
and nobody decided within seven days is accepted: silence is for the worker.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import access, heartbeat, wage_views
from annotate.rule_names import rule_name
from annotate.visit import Visit
from payments import rules, worktime
from payments.floors import Hourly, hourly
from payments.rules import PayRule
from payments.worktime import Declaration
from tasks.errors import Conflict, Invalid
from tasks.people import Person

ORDER = {"draft": 0, "suspended": 1, "in_force": 2, "superseded": 3, "repealed": 4}


@dataclass(frozen=True)
class RuleView:
    """A rule as the operator sees it: its name and hourly figure, who verified it, its document."""

    rule: PayRule
    name: str
    hourly: Hourly | None
    verified: list[tuple[str, str]]
    by_nobody: bool
    mine: bool
    document: str


class RulePages(Controller):
    """Pay rules and added time as pages."""

    path = "/operate"
    include_in_schema = False

    @get("/rules", sync_to_thread=True)
    def rules(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List the pay rules, those that wait for a person first."""
        visit.operator()
        return rules_page(visit)

    @post("/rules/{rule_id:str}/{version:int}/verify", sync_to_thread=True)
    def verify(
        self, visit: NamedDependency[Visit], rule_id: FromPath[str], version: FromPath[int]
    ) -> Response[Any]:
        """Sign that the document says what its source says."""
        viewer = visit.operator()
        try:
            with visit.session.begin_nested():
                verify(visit, rule_id, version, viewer.person, visit.text("note", 500))
        except Conflict as problem:
            return rules_page(visit, [{"field": "", "text": visit.gettext(problem.message)}], problem.status)
        return Redirect(f"/operate/rules#{rule_id}-{version}", status_code=303)

    @get("/declarations", sync_to_thread=True)
    def declarations(self, visit: NamedDependency[Visit]) -> Response[Any]:
        """List the added time that waits for a decision."""
        visit.operator()
        return declarations_page(visit)

    @post("/declarations/{declaration_id:uuid}", sync_to_thread=True)
    def decide(self, visit: NamedDependency[Visit], declaration_id: FromPath[UUID]) -> Response[Any]:
        """Accept or refuse added time, in writing."""
        viewer = visit.operator()
        declaration = access.declaration_for(visit.session, viewer, declaration_id)
        accept = visit.text("action", 10) == "accept"
        if not accept and visit.text("action", 10) != "refuse":
            raise Invalid("Choose to accept or to refuse.")
        reason = visit.text("reason", worktime.REASON_CHARACTERS)
        try:
            with visit.session.begin_nested():
                worktime.decide(
                    visit.session, declaration, viewer.person, accept=accept, reason=reason, now=visit.now
                )
        except (Invalid, Conflict) as problem:
            field = f"reason-{declaration.id}"
            errors = [{"field": field, "text": visit.gettext(problem.message)}]
            return declarations_page(visit, errors, {field: reason}, problem.status)
        return Redirect("/operate/declarations", status_code=303)


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """A decision about added time; a refusal needs its reason."""

    outcome: Literal["accept", "refuse"]
    reason: str = ""


class Signature(msgspec.Struct, forbid_unknown_fields=True):
    """What the verifier wants to note."""

    note: str = ""


class RuleApi(Controller):
    """Pay rules and added time for programs."""

    path = "/api/v1/operate"
    tags = ["operate"]

    @get("/rules", sync_to_thread=True)
    def rules(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List the pay rules with their status and verifications."""
        visit.operator()
        return [rule_json(one) for one in all_rules(visit.session)]

    @post("/rules/{rule_id:str}/{version:int}/verify", sync_to_thread=True, status_code=200)
    def verify(
        self,
        visit: NamedDependency[Visit],
        rule_id: FromPath[str],
        version: FromPath[int],
        data: JSONBody[Signature],
    ) -> dict[str, Any]:
        """Sign that the document says what its source says; the second person brings it in force."""
        viewer = visit.operator()
        return rule_json(verify(visit, rule_id, version, viewer.person, data.note[:500]))

    @get("/declarations", sync_to_thread=True)
    def declarations(self, visit: NamedDependency[Visit]) -> list[dict[str, Any]]:
        """List the added time that waits for a decision, the most urgent first."""
        visit.operator()
        return [declaration_json(one) for one in worktime.pending(visit.session)]

    @post("/declarations/{declaration_id:uuid}/decide", sync_to_thread=True, status_code=200)
    def decide(
        self, visit: NamedDependency[Visit], declaration_id: FromPath[UUID], data: JSONBody[Decision]
    ) -> dict[str, Any]:
        """Accept or refuse added time."""
        viewer = visit.operator()
        declaration = access.declaration_for(visit.session, viewer, declaration_id)
        return declaration_json(
            worktime.decide(
                visit.session,
                declaration,
                viewer.person,
                accept=data.outcome == "accept",
                reason=data.reason,
                now=visit.now,
            )
        )


def verify(visit: Visit, rule_id: str, version: int, person: Person, note: str) -> PayRule:
    """Sign a rule as one person. Raises NoSuchRule, AlreadyVerified."""
    if not rule_id.isprintable() or not 0 < version < 2**31:
        raise rules.NoSuchRule
    return rules.verify(visit.session, rule_id, version, str(person.id), visit.now, note=note.strip() or None)


def all_rules(session: Session) -> list[PayRule]:
    """Give all versions of all rules, those that wait for a person first."""
    found = session.scalars(select(PayRule).order_by(PayRule.rule_id, PayRule.version))
    return sorted(found, key=lambda rule: ORDER.get(rule.status, 9))


def rules_page(visit: Visit, errors: Sequence[dict[str, str]] = (), status: int = 200) -> Response[Any]:
    """Show all rules."""
    found = all_rules(visit.session)
    own = str(visit.operator().person.id)
    people = signers(visit.session, found)
    views = [
        RuleView(
            rule=rule,
            hourly=hourly(rule.document),
            name=rule_name(visit, rule.kind, rule.jurisdiction, rule.area),
            verified=[
                (people[one["who"]], one.get("note", "")) for one in rule.verified_by if one["who"] in people
            ],
            by_nobody=any(one["who"] not in people for one in rule.verified_by),
            mine=any(one["who"] == own for one in rule.verified_by),
            document=json.dumps(rule.document, indent=2, ensure_ascii=False),
        )
        for rule in found
    ]
    return visit.page("operate/rules.html", status, views=views, errors=errors)


def signers(session: Session, found: Sequence[PayRule]) -> dict[str, str]:
    """Name the people who verified rules; operators answer for it by name."""
    ids = []
    for who in {one["who"] for rule in found for one in rule.verified_by}:
        try:
            ids.append(UUID(who))
        except ValueError:
            continue
    return {str(one.id): one.name for one in session.scalars(select(Person).where(Person.id.in_(ids)))}


def declarations_page(
    visit: Visit,
    errors: Sequence[dict[str, str]] = (),
    given: dict[str, str] | None = None,
    status: int = 200,
) -> Response[Any]:
    """Show what waits for a decision; what was typed comes back with a mistake."""
    found = worktime.pending(visit.session)
    people = visit.session.scalars(select(Person).where(Person.id.in_({one.worker_id for one in found})))
    batches = {one.batch_id for one in found if one.batch_id}
    return visit.page(
        "operate/declarations.html",
        status,
        declarations=found,
        people={one.id: one for one in people},
        titles=wage_views.batch_titles(visit.session, batches),
        errors=errors,
        given=given or {},
        now=visit.now,
        silent=heartbeat.is_silent(visit.session),
    )


def rule_json(rule: PayRule) -> dict[str, Any]:
    """Write a rule for programs."""
    return {
        "id": rule.rule_id,
        "version": rule.version,
        "status": rule.status,
        "sha256": rule.sha256,
        "verified_by": rule.verified_by,
        "status_events": rule.status_events,
        "document": rule.document,
    }


def declaration_json(one: Declaration) -> dict[str, Any]:
    """Write added time for programs."""
    return {
        "id": str(one.id),
        "worker_id": str(one.worker_id),
        "batch_id": str(one.batch_id) if one.batch_id else None,
        "start": one.start_at.isoformat(),
        "end": one.end_at.isoformat(),
        "added_seconds": one.added_seconds,
        "category": one.category,
        "reason": one.reason,
        "state": one.state,
        "decision_reason": one.decision_reason,
        "decide_by": one.decide_by.isoformat(),
    }
