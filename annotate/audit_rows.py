"""One row of the audit bundle for each fact, in the bundle's form: whole numbers, text, lists and objects alone.

Times are UTC with microseconds, exact amounts decimal text. No row holds the name of a person.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from payments.accounts import Account
from payments.due_lines import DueLine
from payments.earnings import Earning
from payments.fx import FxRate
from payments.payouts import Payout, PayoutRun
from payments.payslips import Payslip
from payments.periods import PayPeriod
from payments.proofs import Proof
from payments.rules import PayRule
from payments.terms import AgreedPay, PayTerms, plain
from payments.worktime import BY_RULE, BY_SILENCE, Declaration
from tasks.assignments import Assignment
from tasks.batches import Batch
from tasks.people import Person, WorkPlace

Row = dict[str, Any]


def at(moment: datetime) -> str:
    """Write a moment in the bundle's form: UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def period(one: PayPeriod) -> Row:
    return {
        "id": str(one.id),
        "code": one.code,
        "starts_at": at(one.starts_at),
        "ends_at": at(one.ends_at),
        "state": one.state,
        "closed_at": maybe_at(one.closed_at),
    }


def rule(one: PayRule) -> Row:
    """Give a rule as its text, because its hash is over text; people who verified it are not named."""
    kept = ("status", "at", "instrument")
    return {
        "rule": f"{one.rule_id}@{one.version}",
        "sha256": one.sha256,
        "recorded_at": at(one.recorded_at),
        "status": one.status,
        "events": [{name: event[name] for name in kept if name in event} for event in one.status_events],
        "verified_at": [entry["at"] for entry in one.verified_by],
        "document": json.dumps(one.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
    }


def fx(one: FxRate) -> Row:
    return {
        "id": str(one.id),
        "base": one.base,
        "quote": one.quote,
        "rate": plain(one.rate),
        "provider": one.provider,
        "as_of": one.as_of.isoformat(),
        "recorded_at": at(one.recorded_at),
    }


def pay_terms(one: PayTerms, pay: Iterable[AgreedPay]) -> Row:
    return given(
        {
            "currency": one.currency,
            "pay_mode": one.pay_mode,
            "estimate_seconds": one.estimate_seconds,
            "estimate_seconds_p95": one.estimate_seconds_p95,
            "grace_seconds": one.grace_seconds,
            "fee_percent": plain(one.fee_percent),
            "created_at": at(one.created_at),
            "sealed_at": maybe_at(one.sealed_at),
            "pay": [agreed_pay(revision) for revision in pay],
        }
    )


def agreed_pay(one: AgreedPay) -> Row:
    return given(
        {
            "revision": one.revision,
            "counts_from": at(one.counts_from),
            "piece_price": None if one.piece_price is None else plain(one.piece_price),
            "hourly_rate": None if one.hourly_rate is None else plain(one.hourly_rate),
            "sensitive_multiplier": plain(one.sensitive_multiplier),
        }
    )


def worker(one: Person, places: Iterable[WorkPlace]) -> Row:
    """Give where a worker has worked since when; nothing else of them."""
    told = [given({"since": at(where.since), "place": where.place, "area": where.area}) for where in places]
    return {"id": str(one.id), "places": told}


def due_line(one: DueLine, code: str) -> Row:
    names = (
        "seconds",
        "seconds_by",
        "agreed",
        "required",
        "due",
        "topup",
        "rate",
        "rule",
        "rule_sha256",
        "fx",
    )
    more = ("charge", "charge_currency", "fee", "answers", "place", "area", "currency")
    return {
        "id": str(one.id),
        "period": code,
        "worker": str(one.worker_id),
        "batch": maybe_text(one.batch_id),
        "segment_start": at(one.segment_start),
        "segment_end": at(one.segment_end),
        **{name: getattr(one, name) for name in (*names, *more)},
        "fx_rate": maybe_text(one.fx_rate_id),
        "fx_through": maybe_text(one.fx_through),
        "trace": [_traced(entry) for entry in one.trace],
        "evidence": one.evidence_digest.hex(),
        "journal": one.journal_id,
        "corrects": maybe_text(one.corrects),
        "made_at": at(one.made_at),
    }


def _traced(entry: Row) -> Row:
    """Write a trace without true, false and null, which have no one form."""
    words = {True: "yes", False: "no"}
    return given({name: words[v] if isinstance(v, bool) else v for name, v in entry.items()})


def assignment(one: Assignment) -> Row:
    return {
        "id": str(one.id),
        "worker": str(one.worker_id),
        "batch": str(one.batch_id),
        "state": one.state,
        "claimed_at": at(one.claimed_at),
        "ended_at": maybe_at(one.ended_at),
    }


def earning(one: Earning) -> Row:
    return {
        "id": str(one.id),
        "assignment": str(one.assignment_id),
        "worker": str(one.worker_id),
        "batch": str(one.batch_id),
        "kind": one.kind,
        "price": plain(one.piece_price),
        "currency": one.currency,
        "at": at(one.at),
    }


def declaration(one: Declaration) -> Row:
    """Say who decided as rule, silence or person."""
    by = one.accepted_by if one.accepted_by in {"", BY_RULE, BY_SILENCE} else "person"
    return {
        "id": str(one.id),
        "worker": str(one.worker_id),
        "batch": maybe_text(one.batch_id),
        "start_at": at(one.start_at),
        "end_at": at(one.end_at),
        "added_seconds": one.added_seconds,
        "category": one.category,
        "state": one.state,
        "accepted_by": by or None,
        "created_at": at(one.created_at),
        "decide_by": at(one.decide_by),
        "decided_at": maybe_at(one.decided_at),
    }


def event(one: Proof) -> Row:
    return {
        "id": one.id,
        "worker": str(one.worker_id),
        "kind": one.kind,
        "unit": one.unit,
        "batch": maybe_text(one.batch_id),
        "at": at(one.at),
        "sequence": one.sequence,
    }


def payslip(one: Payslip, code: str) -> Row:
    """Give a payslip's figures, and the hash of what its worker holds."""
    return {
        "id": str(one.id),
        "number": one.number,
        "worker": str(one.worker_id),
        "period": code,
        "currency": one.currency,
        "total": one.total,
        "lines": [line["due_line"] for line in one.document["lines"]],
        "sha256": one.digest.hex(),
        "made_at": at(one.made_at),
    }


def batch(batch: Batch, terms: PayTerms | None, pay: Iterable[AgreedPay], requester: UUID) -> Row:
    return {
        "id": str(batch.id),
        "requester": str(requester),
        "title": batch.name,
        "state": batch.state,
        "opened_at": maybe_at(batch.opened_at),
        "closed_at": maybe_at(batch.closed_at),
        "terms": None if terms is None else pay_terms(terms, pay),
    }


def payout(one: Payout, run: PayoutRun, code: str) -> Row:
    return {
        "id": str(one.id),
        "run": str(run.id),
        "period": code,
        "rail": run.rail,
        "worker": str(one.worker_id),
        "amount": one.amount,
        "currency": one.currency,
        "state": one.state,
        "reference": one.reference or None,
        "file_sha256": run.file_sha256,
        "reserve_journal": one.reserve_journal_id,
        "paid_journal": one.paid_journal_id,
        "created_at": at(one.created_at),
        "paid_at": maybe_at(one.paid_at),
        "failed_at": maybe_at(one.failed_at),
    }


def account(one: Account) -> Row:
    names = ("code", "kind", "currency", "guard", "debits", "credits", "version")
    return {name: getattr(one, name) for name in names}


def given(fields: Row) -> Row:
    return {name: value for name, value in fields.items() if value is not None}


def maybe_at(moment: datetime | None) -> str | None:
    return None if moment is None else at(moment)


def maybe_text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)
