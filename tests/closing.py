"""What the tests of the closing side need: lines as they come from the books of work, and a week of real work."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

import factories
from sqlalchemy.orm import Session

from payments import earnings, ledger, payroll, worktime
from payments.drafts import Draft, Payer
from payments.dues import Worked, line
from payments.earnings import DraftLine
from payments.ledger import Move, checks
from payments.paid_time import Category, Share
from payments.periods import PayPeriod, period_at
from payments.terms import seal, set_terms
from tasks.batches import Batch
from tasks.people import Person

RULE_HASH = sha256(b"a rule").hexdigest()


def failed(session: Session) -> list[str]:
    """What is wrong in the ledger."""
    return [f"{check.name}: {check.detail}" for check in checks(session) if not check.ok]


def fund(session: Session, account: str, amount: int, now: datetime) -> None:
    """Put money on an account, as if a requester had paid it in."""
    currency = account.rpartition(":")[2]
    ledger.post(
        session,
        kind="prefund",
        key=f"test:{uuid4()}",
        moves=[Move(f"rail_cash:manual:{currency}", account, amount, currency, "prefund")],
        effective_at=now,
        now=now,
        actor="test",
    )


def draft_line(start: datetime, batch_id: UUID | None, **more: Any) -> DraftLine:
    """A line of an hour at 275.00 an hour, with 60.00 agreed."""
    seconds = more.pop("seconds", 3600)
    begin = int(start.timestamp())
    share = Share(begin, begin + seconds, "a unit", str(batch_id) if batch_id else None, Category.A)
    given: dict[str, Any] = {
        "seconds_by": {Category.A: seconds} if seconds else {},
        "seconds": seconds,
        "agreed": Fraction(6000),
        "rate": Fraction(27500),
        "currency": "KES",
        "fx_rate_id": None,
        "fx_through": None,
        "fx": Fraction(1),
        "rule": "KE.test@1",
        "rule_sha256": RULE_HASH,
        "place": "KE",
        "area": None,
        "segment_start": start,
        "segment_end": start + timedelta(hours=2),
        "trace": [{"rule": "KE.test@1"}],
        "shares": [share] if seconds else [],
    }
    given |= more
    given["agreed"], given["rate"] = Fraction(given["agreed"]), Fraction(given["rate"])
    given.setdefault("due", line(given["agreed"], [Worked(given["seconds"], given["rate"])]))
    return DraftLine(batch_id=batch_id, **given)


def drafted(lines: list[tuple[DraftLine, Payer | None]]) -> list[Draft]:
    """Lines ready to be booked."""
    return [Draft(line=one, payer=payer) for one, payer in lines]


def paid_batch(session: Session, now: datetime, currency: str, price: str, **more: Any) -> Batch:
    """An open batch with a price per answer and 1,000.00 in its reserve."""
    made = factories.served(session, now, **more)
    terms = set_terms(
        session, made, currency=currency, pay_mode="piece", piece_price=price, estimate_seconds=60, now=now
    )
    seal(session, terms, now)
    fund(session, f"batch_reserve:{made.id}:{currency}", 100_000, now)
    return made


def work(session: Session, of: Batch, by: Person, start: datetime, seconds: int) -> datetime:
    """One answer after so long, with a proof each 30 seconds, recorded and priced; gives when it ended."""
    held = factories.assignment(session, of, by, start)
    worktime.open_assignment(session, held, start)
    for passed in range(30, seconds, 30):
        at = start + timedelta(seconds=passed)
        worktime.record(session, worker_id=by.id, kind="proof", now=at, assignment=held)
    end = start + timedelta(seconds=seconds)
    worktime.end_assignment(session, held, "submit", end)
    factories.answer(session, held, end)
    earnings.accrue(session, held, "submitted", end)
    return end


LONG_AFTER: Final = datetime(2027, 6, 1, tzinfo=UTC)
"""When all that a test records is known."""


@dataclass(frozen=True)
class Week:
    """A worked week that is over."""

    period: PayPeriod
    amina: Person
    brian: Person
    messages: Batch
    photos: Batch
    over: datetime


def week(session: Session, now: datetime) -> Week:
    """Two workers in two countries, two batches in two currencies, all funded; one answer quick, others slow."""
    before = period_at(session, now, now).starts_at
    factories.floors(session, before)
    amina = factories.worker(session, before)
    brian = factories.worker(
        session, before, name="=Brian", place="US", area=None, time_zone="America/New_York"
    )
    messages = paid_batch(session, before, "USD", "0.05", answers_wanted=2)
    photos = paid_batch(session, before, "KES", "30", name="Photos", answers_wanted=2)
    for day in range(3):
        start = now + timedelta(days=day)
        for who in (amina, brian):
            end = work(session, messages, who, start, 240 + 60 * day)
            work(session, photos, who, end + timedelta(seconds=20), 12)
    worktime.record(
        session, worker_id=amina.id, kind="queue_wait", now=now + timedelta(hours=9), unit="queue"
    )
    period = period_at(session, now, now)
    return Week(period, amina, brian, messages, photos, period.ends_at + timedelta(hours=2))


def runner(session: Session) -> payroll.Run:
    """Each step in a savepoint of its own, instead of a transaction."""

    def run(step: Callable[[Session], Any]) -> Any:
        with session.begin_nested():
            return step(session)

    return run
