"""A draft is a due line before it is booked: its figures, who bears it, the earnings in it, what was booked before.

It is always paid in full: from the batch's reserve, then from the requester's prefund, then at the platform's own
cost. What a closed week turns out to owe is booked by a later period, as a correction: a line for a segment of that
week with what the whole segment asks for now, less what was booked for it before. It only ever adds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import insert
from sqlalchemy.orm import Session

from payments.accounts import Held, batch_reserve, hold, requester_prefund, worker_payable
from payments.canonical import digest
from payments.due_lines import OVERHEAD, DueLine, UnderpaidLine, exact, lines_of
from payments.dues import Due
from payments.earnings import DraftLine, Earning
from payments.fx import convert
from payments.ledger import Entry, Move, post_all
from payments.money import Money, ceil_minor, floor_minor
from payments.paid_time import Category
from payments.periods import PayPeriod
from schemas.words import Words


@dataclass(frozen=True)
class Payer:
    """Who bears a line: a batch's requester in the currency of its terms, and the platform's share of it."""

    batch_id: UUID
    requester_id: UUID
    currency: str
    fee: Fraction

    @property
    def reserve(self) -> str:
        """The batch's reserve."""
        return batch_reserve(self.batch_id, self.currency)

    @property
    def prefund(self) -> str:
        """What the requester has paid in beyond reserves."""
        return requester_prefund(self.requester_id, self.currency)


@dataclass(frozen=True)
class Draft:
    """A segment ready to be booked: its figures, who bears it (None: the platform), the earnings in it.

    `before` is what was booked for the segment already: its due, its answers, and its seconds by category;
    `corrects` is the first line that booked it.
    """

    line: DraftLine
    payer: Payer | None
    earnings: Sequence[Earning] = ()
    before: Counter[str] = field(default_factory=Counter)
    corrects: UUID | None = None

    @property
    def whole(self) -> Counter[str]:
        """All that the segment holds."""
        answers = sum(one.kind == "submitted" for one in self.earnings)
        seconds = {category.value: found for category, found in self.line.seconds_by.items()}
        return Counter({**seconds, "answers": answers, "due": self.line.due.due})

    @property
    def due(self) -> Due:
        """What is still to be booked: nothing of it is below 0, so nothing is ever taken back."""
        agreed, required = (
            max(0, one - self.before["due"]) for one in (self.line.due.agreed, self.line.due.required)
        )
        due = max(agreed, required)
        return Due(agreed=agreed, required=required, due=due, topup=due - agreed)


def line_id(period: PayPeriod, worker_id: UUID, batch_id: UUID | None, start: datetime) -> UUID:
    """Give a line's id: the same facts have the same id, whoever computes them."""
    return uuid5(period.id, f"{worker_id}:{batch_id or OVERHEAD}:{start.isoformat()}")


def check_paid(line: DraftLine, worker_id: UUID) -> None:
    """Refuse a line that is under its agreed pay or its time at the floor. Raises UnderpaidLine."""
    required = max(line.due.required, ceil_minor(Fraction(line.seconds, 3600) * line.rate))
    agreed = max(line.due.agreed, ceil_minor(line.agreed))
    if line.due.due < max(required, agreed):
        amounts = {"due": line.due.due, "agreed": agreed, "required": required}
        shown = {name: Money(amount, line.currency) for name, amount in amounts.items()}
        who = {"worker": str(worker_id), "batch": str(line.batch_id or OVERHEAD)}
        said = Words(
            "Worker %(worker)s, batch %(batch)s, from %(start)s: due %(due)s is under agreed %(agreed)s or required "
            "%(required)s.",
            **who,
            **shown,
            start=f"{line.segment_start:%Y-%m-%d %H:%M}",
        )
        raise UnderpaidLine(said, **who, **{name: str(amount) for name, amount in shown.items()})


def evidence(draft: Draft) -> dict[str, Any]:
    """Give what a line rests on, in its one form: the credited seconds and the earnings."""
    return {
        "shares": [[one.start, one.end, one.unit, one.category.value] for one in draft.line.shares],
        # What was not submitted may still rise into a later period; what was never changes.
        "earnings": sorted(str(one.id) for one in draft.earnings if one.kind == "submitted"),
    }


def corrected(drafts: Iterable[Draft], booked: Sequence[DueLine]) -> list[Draft]:
    """Set the segments of a closed week against what was booked for them; keep those to which more is due.

    What was booked beyond a segment's due counts for the batch's segments after it, because a rule that became known
    later may have cut one segment into two.
    """
    still: list[Draft] = []
    over: dict[UUID | None, Counter[str]] = defaultdict(Counter)
    for draft in sorted(drafts, key=lambda one: one.line.segment_start):
        line = draft.line
        own = [
            one
            for one in booked
            if (one.batch_id, one.currency) == (line.batch_id, line.currency)
            and line.segment_start <= one.segment_start < line.segment_end
        ]
        before = sum(map(_booked, own), over[line.batch_id])
        over[line.batch_id] = before - draft.whole
        if line.due.due > before["due"]:
            still.append(replace(draft, before=before, corrects=own[0].id if own else None))
    return still


def _booked(line: DueLine) -> Counter[str]:
    return Counter({**line.seconds_by, "answers": line.answers, "due": line.due})


def book(
    session: Session, period: PayPeriod, worker_id: UUID, drafts: Sequence[Draft], now: datetime
) -> list[DueLine]:
    """Store a worker's lines with one journal each. Raises UnderpaidLine, then none is stored."""
    for draft in drafts:
        check_paid(draft.line, worker_id)
    purses = {code for draft in drafts if draft.payer for code in (draft.payer.reserve, draft.payer.prefund)}
    # Under lock before they are read, so that what we take from them is there.
    left = {code: one.balance for code, one in _held(session, purses, now).items()}
    rows, entries = [], {}
    for draft in drafts:
        row = row_of(period, worker_id, draft, now)
        moves = _moves(row, draft.payer, left)
        if moves:
            entries[row["id"]] = _entry(period, row, moves)
        rows.append(row)
    journals = dict(zip(entries, post_all(session, list(entries.values()), now), strict=True))
    for row in rows:
        row["journal_id"] = journals[row["id"]].id if row["id"] in journals else None
    if rows:
        session.execute(insert(DueLine), rows)
    return lines_of(session, period.id, worker_id)


def _held(session: Session, codes: Iterable[str], now: datetime) -> dict[str, Held]:
    wanted = sorted(codes)
    return hold(session, wanted, now) if wanted else {}


def row_of(period: PayPeriod, worker_id: UUID, draft: Draft, now: datetime) -> dict[str, Any]:
    """Give a line as the period books it, without its journal."""
    line, payer, due = draft.line, draft.payer, draft.due
    left = draft.whole - draft.before
    seconds_by = {one.value: left[one] for one in sorted(Category) if left[one]}
    charge, charge_currency = due.due, line.currency
    if payer is not None and payer.currency != line.currency:
        charge = ceil_minor(convert(due.due, line.currency, payer.currency, 1 / line.fx))
        charge_currency = payer.currency
    return {
        "id": line_id(period, worker_id, line.batch_id, line.segment_start),
        "period_id": period.id,
        "worker_id": worker_id,
        "batch_id": line.batch_id,
        "segment_start": line.segment_start,
        "segment_end": line.segment_end,
        "place": line.place,
        "area": line.area,
        "currency": line.currency,
        "seconds": sum(seconds_by.values()),
        "seconds_by": seconds_by,
        **asdict(due),
        "rate": exact(line.rate),
        "rule": line.rule,
        "rule_sha256": line.rule_sha256,
        "fx_rate_id": line.fx_rate_id,
        "fx_through": line.fx_through,
        "fx": exact(line.fx) if charge_currency != line.currency else None,
        "charge": charge,
        "charge_currency": charge_currency,
        "fee": floor_minor(charge * payer.fee) if payer else 0,
        "answers": left["answers"],
        "trace": line.trace,
        "evidence_digest": digest(evidence(draft)),
        "corrects": draft.corrects,
        "made_at": now,
    }


def _moves(row: dict[str, Any], payer: Payer | None, left: dict[str, int]) -> list[Move]:
    """Find the money of a line; lowers what is left in the purses, and the fee to what the reserve still covers."""
    if row["due"] == 0:
        row["fee"] = 0
        return []
    own, theirs, ref = row["currency"], row["charge_currency"], str(row["id"])
    to = worker_payable(row["worker_id"], own)
    if payer is None:
        return [Move(f"overhead:{own}", to, row["due"], own, "overhead", ref)]
    through = to if own == theirs else f"fx:{theirs}-{own}:{theirs}"
    moves, wanted = [], row["charge"]
    for purse in (payer.reserve, payer.prefund):
        taken = min(wanted, left[purse])
        if taken:
            moves.append(Move(purse, through, taken, theirs, "wage", ref))
            wanted -= taken
            left[purse] -= taken
    if wanted:
        moves.append(Move(f"goodwill:{theirs}", through, wanted, theirs, "wage", ref))
    if own != theirs:
        moves.append(Move(f"fx:{theirs}-{own}:{own}", to, row["due"], own, "wage", ref))
    row["fee"] = min(row["fee"], left[payer.reserve])
    if row["fee"]:
        moves.append(Move(payer.reserve, f"platform_fee:{theirs}", row["fee"], theirs, "fee", ref))
        left[payer.reserve] -= row["fee"]
    return moves


def _entry(period: PayPeriod, row: dict[str, Any], moves: list[Move]) -> Entry:
    subject = row["batch_id"] or OVERHEAD
    return Entry(
        kind="due",
        key=f"due:{period.code}:{row['worker_id']}:{subject}:{row['segment_start'].isoformat()}",
        moves=moves,
        effective_at=row["segment_end"],
        actor="payroll",
        evidence=row["evidence_digest"],
        rule_hash=bytes.fromhex(row["rule_sha256"]),
        fx_rate_id=row["fx_rate_id"],
        memo=row["rule"],
    )
