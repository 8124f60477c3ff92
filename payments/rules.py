"""A pay rule is one version of a minimum: a JSON document with its source and who verified it.

The document never changes once recorded; what changes is its status, and every change is kept with its
moment, so that any past decision can be resolved again with what was known then. A rule comes in force only
when two different people have compared it with its source. Which of them sets the floor is said in
`floors`.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from payments.canonical import moment
from payments.floors import Resolution, document_hash, hourly_rate, name, resolve
from schemas.pay_rules import check
from schemas.words import Words
from tasks.db import Base, new_id
from tasks.errors import Conflict, Invalid, NotFound

__all__ = (
    "AlreadyVerified",
    "InvalidRule",
    "NoSuchRule",
    "NotVerified",
    "PayRule",
    "Resolution",
    "RuleRecorded",
    "change_status",
    "hourly_rate",
    "in_force",
    "record",
    "resolve",
    "ship",
    "shipped",
    "suspended",
    "verify",
)

SHIPPED: Final = Path(__file__).parent / "rule_documents"
VERIFIERS: Final = 2
UNVERIFIED: Final = Words("demo, unverified")
KEPT_READINGS: Final = 8
STATUSES: Final = ("draft", "in_force", "suspended", "repealed", "superseded")


class InvalidRule(Invalid):
    """This is not a pay rule document."""


class NoSuchRule(NotFound):
    """There is no such version of a pay rule."""


class RuleRecorded(Conflict):
    """This version is recorded with other content; a recorded rule never changes, so send a new version."""


class AlreadyVerified(Conflict):
    """You have verified this rule already; the second verification must come from another person."""


class NotVerified(Conflict):
    """A rule comes in force by the verification of two people, in no other way."""


class PayRule(Base):
    """One version of one rule; the document is what two people signed."""

    __tablename__ = "pay_rule"
    __table_args__ = (
        UniqueConstraint("rule_id", "version"),
        CheckConstraint(f"status IN {STATUSES}", name="status"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    rule_id: Mapped[str]
    version: Mapped[int]
    kind: Mapped[str]
    status: Mapped[str]
    status_events: Mapped[list[Any]]
    jurisdiction: Mapped[str | None]
    area: Mapped[str | None]
    currency: Mapped[str]
    effective_from: Mapped[date]
    effective_to: Mapped[date | None]
    document: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(unique=True)
    verified_by: Mapped[list[Any]]
    recorded_at: Mapped[datetime]


def record(session: Session, document: dict[str, Any], now: datetime) -> PayRule:
    """Record a document; the same one again gives the stored rule. Raises InvalidRule, RuleRecorded.

    A document that calls itself in force is recorded as a draft: only people who verify it bring it in force.
    """
    problems = check(document)
    if problems:
        raise InvalidRule(problems=[problem.as_json() for problem in problems])
    fingerprint = document_hash(document)
    stored = _find(session, document["id"], document["version"])
    if stored is not None:
        if stored.sha256 != fingerprint:
            raise RuleRecorded(rule=name(document))
        return stored
    status = "draft" if document["status"] == "in_force" else document["status"]
    until = document["effective_to"]
    rule = PayRule(
        rule_id=document["id"],
        version=document["version"],
        kind=document["kind"],
        status=status,
        status_events=[{"status": status, "at": moment(now)}],
        jurisdiction=document["jurisdiction"],
        area=document.get("area"),
        currency=document["currency"],
        effective_from=date.fromisoformat(document["effective_from"]),
        effective_to=date.fromisoformat(until) if until else None,
        document=document,
        sha256=fingerprint,
        verified_by=[],
        recorded_at=now,
    )
    session.add(rule)
    session.flush()
    return rule


def verify(
    session: Session, rule_id: str, version: int, who: str, now: datetime, *, note: str | None = None
) -> PayRule:
    """Sign that the document says what its source says; the second signature brings a draft in force."""
    rule = _locked(session, rule_id, version)
    if any(entry["who"] == who for entry in rule.verified_by):
        raise AlreadyVerified(rule=f"{rule_id}@{version}")
    entry = {"who": who, "at": moment(now)} | ({"note": note} if note else {})
    rule.verified_by = [*rule.verified_by, entry]
    if rule.status == "draft" and len(rule.verified_by) >= VERIFIERS:
        _enter(rule, "in_force", now, by=who)
    session.flush()
    return rule


def change_status(
    session: Session, rule_id: str, version: int, status: str, *, who: str, instrument: str, now: datetime
) -> PayRule:
    """Follow a court or a decree, named by its instrument; a lifted suspension brings a rule back."""
    if status not in STATUSES[1:]:
        known = list(STATUSES[1:])
        raise InvalidRule(
            Words("A recorded rule becomes one of %(statuses)s.", statuses=known), status=status
        )
    rule = _locked(session, rule_id, version)
    if status == "in_force" and len(rule.verified_by) < VERIFIERS:
        raise NotVerified(rule=f"{rule_id}@{version}")
    _enter(rule, status, now, by=who, instrument=instrument)
    session.flush()
    return rule


def ship(session: Session, now: datetime, verified_by: Sequence[str] = ()) -> list[PayRule]:
    """Record the shipped documents as drafts; with two names (a demo), in force and marked unverified."""
    rules = [record(session, document, now) for document in shipped()]
    for rule in rules:
        signed = {entry["who"] for entry in rule.verified_by}
        for who in verified_by:
            if who not in signed:
                verify(session, rule.rule_id, rule.version, who, now, note=UNVERIFIED)
    return rules


def shipped() -> list[dict[str, Any]]:
    """Read the documents that come with the product."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED.glob("*.json"))]


def in_force(session: Session, known_at: datetime) -> list[dict[str, Any]]:
    """Give the documents that were in force as far as was known at a moment."""
    return _as_known(session, known_at, "in_force")


def suspended(session: Session, known_at: datetime) -> list[dict[str, Any]]:
    """Give the documents known as suspended at a moment: resolution shows them and does not apply them."""
    return _as_known(session, known_at, "suspended")


class _Kept(NamedTuple):
    """A recorded rule as it is kept between two readings."""

    document: dict[str, Any]
    verified_by: list[Any]
    recorded_at: datetime
    events: list[tuple[datetime, str]]


_kept: dict[str, list[_Kept]] = {}
# What was read, by its content: whoever finds the same content anywhere may use it.
_CONTENT: Final = text("""
    SELECT md5(string_agg(
        concat_ws('|', sha256, recorded_at, status_events, verified_by), ',' ORDER BY rule_id, version
    )) FROM pay_rule
""")


def _as_known(session: Session, known_at: datetime, status: str) -> list[dict[str, Any]]:
    known = []
    for rule in _recorded(session):
        events = [name for at, name in rule.events if at <= known_at]
        if rule.recorded_at <= known_at and events and events[-1] == status:
            known.append({**rule.document, "status": status, "verified_by": rule.verified_by})
    return known


def _recorded(session: Session) -> list[_Kept]:
    """Give all recorded rules; they are read again only when anything about them has changed."""
    content = session.scalar(_CONTENT) or ""
    if content not in _kept:
        while len(_kept) >= KEPT_READINGS:
            _kept.pop(next(iter(_kept)), None)
        _kept[content] = [
            _Kept(
                rule.document,
                rule.verified_by,
                rule.recorded_at,
                [(datetime.fromisoformat(event["at"]), event["status"]) for event in rule.status_events],
            )
            for rule in session.scalars(select(PayRule).order_by(PayRule.rule_id, PayRule.version))
        ]
    return _kept[content]


def _enter(rule: PayRule, status: str, now: datetime, **details: str) -> None:
    rule.status = status
    rule.status_events = [*rule.status_events, {"status": status, "at": moment(now), **details}]


def _find(session: Session, rule_id: str, version: int) -> PayRule | None:
    return session.scalars(select(PayRule).filter_by(rule_id=rule_id, version=version)).one_or_none()


def _locked(session: Session, rule_id: str, version: int) -> PayRule:
    query = select(PayRule).filter_by(rule_id=rule_id, version=version).with_for_update()
    rule = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if rule is None:
        raise NoSuchRule(rule=f"{rule_id}@{version}")
    return rule
