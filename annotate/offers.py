"""Offers: which work is offered to whom, what it pays them, and why something is not offered, in plain words.

One rule for everybody: no exclusion by a named person, a language in common, consent to the content, a known floor, and
hours that are not used up.
Nobody is ranked, and no speed and no score is asked for. A limit ends offers alone: work in hand may always be
finished, and its time is paid.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Date, Exists, cast, func, select
from sqlalchemy.orm import Session

from annotate import heartbeat
from annotate.reasons import Bar, Why, unless_silent
from annotate.visit import Visit
from payments import quotes, wages, worktime
from payments.applied_floors import Floors
from payments.floors import NoRule
from payments.fx import NoExchangeRate
from payments.paid_time import seconds_by
from payments.proofs import MARGIN, Proof
from payments.quotes import Offer, PastPay
from payments.terms import NoTerms, PayTerms
from payments.wages import DAY_HARD, DAY_SOFT, WEEK_HARD, WEEK_SOFT
from payments.worktime import Declaration, DeclarationState
from tasks import exclusions, permits, qualifications
from tasks.assignments import PUT_OFF, Assignment, AssignmentState
from tasks.batches import FULL_NAME, Batch, BatchKind, BatchState, open_batches
from tasks.exclusions import Exclusion
from tasks.items import Slot, SlotState
from tasks.people import MORE_HOURS, Person
from tasks.projects import Project
from tasks.qualifications import Qualification
from tasks.skills import Verdict

SENSITIVE_DAY: Final = 4 * 3600
"""Credited seconds of sensitive content in a day after which no more of it is offered."""
DAY: Final = timedelta(days=1)
PERMIT_LASTS: Final = timedelta(seconds=60)
NOT_GOLD: Final = Slot.is_gold.is_(False)
"""Known answers are mixed into other work and are never all that is left."""


@dataclass(frozen=True)
class Listed:
    """One open batch as one worker sees it; `barred` says why it is not offered, `pay` is None without a floor."""

    batch: Batch
    title: str
    purpose: str
    requester: str
    left: int
    pay: Offer | None
    barred: Bar | None


def listed(visit: Visit, person: Person) -> list[Listed]:
    """Give all open batches, the best honest hourly pay first."""
    session = visit.session
    batches = open_batches(session)
    if not batches:
        return []
    ids = [batch.id for batch in batches]
    # Held here so that looking up each batch's terms asks the database once for all.
    terms = session.scalars(select(PayTerms).where(PayTerms.batch_id.in_(ids))).all()
    floors = Floors(session, visit.now, visit.now.astimezone(UTC).date())
    left = open_to(session, person, [one.batch_id for one in terms])
    none_left = why_none_left(session, person.id, [one.id for one in batches if not left.get(one.id)])
    past = wages.hourly_of(session, ids)
    reached = limit(visit, person)
    exposed = _exposed(visit, person) if any(map(sensitive, batches)) else None
    excluded = exclusions.in_force(session, person.id, visit.now)
    qualified = qualifications.latest(session, person.id)
    about = _about(session, ids)
    made = []
    for batch in batches:
        pay, no_floor = _offer(visit, person, batch, past.get(batch.id), floors)
        barred = _excluded(excluded, batch) or _unfit(person, batch)
        barred = barred or _unqualified(qualified, batch, visit.now) or no_floor or reached
        barred = barred or (exposed if sensitive(batch) else None) or none_left.get(batch.id)
        made.append(Listed(batch, *about[batch.id], left=left.get(batch.id, 0), pay=pay, barred=barred))
    return sorted(made, key=_by_pay)


def barred(visit: Visit, person: Person, batch: Batch) -> Bar | None:
    """Say why a batch is not offered to a worker; None where it is."""
    return (
        _excluded(exclusions.in_force(visit.session, person.id, visit.now), batch)
        or _unfit(person, batch)
        or _unqualified(qualifications.latest(visit.session, person.id), batch, visit.now)
        or _offer(visit, person, batch, None, None)[1]
        or limit(visit, person)
        or (_exposed(visit, person) if sensitive(batch) else None)
    )


def permit(visit: Visit, worker_id: UUID, batch: Batch) -> Bar | None:
    """Say why a batch is not offered to a worker; where it is, let them be given its items for a while."""
    # Held until the permit is stored, so that a change of what it rests on comes before it or drops it.
    locked = select(Person).where(Person.id == worker_id).with_for_update(read=True)
    person = visit.session.scalars(locked.execution_options(populate_existing=True)).one()
    against = barred(visit, person, batch)
    if against is None:
        until = min(visit.now + PERMIT_LASTS, _no_limit_before(visit, person, batch))
        # What is not reached now may be given now.
        until = max(until, visit.now + timedelta(microseconds=1))
        permits.grant(visit.session, worker_id, batch.id, visit.now, until)
    return against


def pay_of(visit: Visit, person: Person, batch: Batch) -> Offer | None:
    """Give what a batch pays a worker, None where that is not known."""
    past = wages.hourly_of(visit.session, [batch.id])
    return _offer(visit, person, batch, past.get(batch.id), None)[0]


def limit(visit: Visit, person: Person) -> Bar | None:
    """Say which limit on hours the worker has reached in their own day or week."""
    hours = _hours(visit, person)
    if hours.left_day > 0 and hours.left_week > 0:
        return None
    agreed = MORE_HOURS in person.consents
    today = visit.now.astimezone(ZoneInfo(person.time_zone)).date()
    if hours.left_week <= 0:
        next_week = midnight(today + (7 - today.weekday()) * DAY, person.time_zone)
        return Bar(Why.WEEK_HARD if agreed else Why.WEEK, next_week)
    return Bar(Why.DAY_HARD if agreed else Why.DAY, midnight(today + DAY, person.time_zone))


def why_not_served(batch: Batch) -> Bar:
    """Say why a batch serves nobody at the moment."""
    known = {BatchState.PAUSED: Why.PAUSED, BatchState.CLOSED: Why.CLOSED}
    return Bar(known.get(BatchState(batch.state), Why.NOT_OPEN))


def why_none_left(session: Session, worker_id: UUID, batch_ids: Iterable[UUID]) -> dict[UUID, Bar]:
    """Say why open batches have nothing for this worker, from the slots of the items that they have not had."""
    ids = list(batch_ids)
    left = _unseen(session, worker_id, ids)
    query = select(Assignment.batch_id).where(Assignment.worker_id == worker_id, Assignment.batch_id.in_(ids))
    had = set(session.scalars(query.distinct()))
    silent = bool(ids) and heartbeat.is_silent(session)
    return {one: unless_silent(Bar(_none_left(left[one], one in had)), silent=silent) for one in ids}


def open_to(session: Session, person: Person, batch_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Count by batch the items that a worker could still be given."""
    query = (
        select(Slot.batch_id, func.count(func.distinct(Slot.item_id)))
        .where(Slot.batch_id.in_(list(batch_ids)), Slot.state == SlotState.OPEN, NOT_GOLD, ~_had(person.id))
        .group_by(Slot.batch_id)
    )
    return {batch_id: count for batch_id, count in session.execute(query)}  # noqa: C416


def in_hand(visit: Visit, person: Person) -> list[tuple[Batch, str, int]]:
    """Give the batches of which the worker holds items, with their names and how many: they may always be finished."""
    rows = visit.session.execute(
        select(Batch, FULL_NAME, func.count())
        .join(Assignment, Assignment.batch_id == Batch.id)
        .join(Project, Project.id == Batch.project_id)
        .where(
            Assignment.worker_id == person.id,
            Assignment.state == AssignmentState.LEASED,
            Assignment.lease_until > visit.now,
        )
        .group_by(Batch.id, Project.id)
        .order_by(Batch.id)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def missing_consents(person: Person, batch: Batch) -> list[str]:
    """Give the content classes of a batch that the worker has not agreed to."""
    return [name for name in sensitive(batch) if name not in person.consents]


def sensitive(batch: Batch) -> list[str]:
    """Give what a batch warns of."""
    return [name for name in batch.content_classes if name != "none"]


def midnight(day: date, zone: str) -> datetime:
    """Give the first moment of a day where somebody lives."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _by_pay(one: Listed) -> tuple[Fraction, Fraction, str, str]:
    """Order by what is known: what was measured, or the floor; a requester's estimate only decides between equals."""
    if one.pay is None:
        return Fraction(0), Fraction(0), one.title, str(one.batch.id)
    known = one.pay.floor if one.pay.estimated and one.pay.pay_mode == "piece" else one.pay.hourly
    return -known, -one.pay.hourly, one.title, str(one.batch.id)


def _none_left(left: set[str], had: bool) -> Why:
    if SlotState.OPEN in left:
        # Somebody may be taking the last ones in this very moment.
        return Why.BUSY
    if SlotState.LEASED in left:
        return Why.ALL_TAKEN
    if SlotState.WAITING in left:
        return Why.NONE_FUNDED
    return Why.ANSWERED_ALL if had else Why.FINISHED


def _unseen(session: Session, worker_id: UUID, batch_ids: list[UUID]) -> dict[UUID, set[str]]:
    """Give by batch in which states the slots are of items that a worker has not had and that lack answers."""
    wanting = (SlotState.OPEN, SlotState.LEASED, SlotState.WAITING)
    query = (
        select(Slot.batch_id, Slot.state)
        .where(Slot.batch_id.in_(batch_ids), Slot.state.in_(wanting), NOT_GOLD, ~_had(worker_id))
        .distinct()
    )
    found: dict[UUID, set[str]] = defaultdict(set)
    for batch_id, state in session.execute(query):
        found[batch_id].add(state)
    return found


def _had(worker_id: UUID) -> Exists:
    """Tell of a slot's item whether the worker has had it; what was put off comes back to them."""
    own = select(Assignment.id).where(Assignment.item_id == Slot.item_id, Assignment.worker_id == worker_id)
    return own.where(~PUT_OFF).exists()


def _offer(
    visit: Visit, person: Person, batch: Batch, past: PastPay | None, floors: Floors | None
) -> tuple[Offer | None, Bar | None]:
    try:
        return quotes.worker_offer(visit.session, batch, person, visit.now, past, floors), None
    except (NoRule, NoExchangeRate):
        return None, Bar(Why.NO_FLOOR)
    except NoTerms:
        return None, Bar(Why.NO_TERMS)


def _excluded(found: Mapping[UUID, Exclusion], batch: Batch) -> Bar | None:
    one = found.get(batch.project_id)
    return None if one is None else Bar(Why.EXCLUDED, one.until, one.reason)


def _unfit(person: Person, batch: Batch) -> Bar | None:
    if batch.languages and not set(batch.languages) & set(person.languages):
        return Bar(Why.LANGUAGE)
    return Bar(Why.CONTENT) if missing_consents(person, batch) else None


def _unqualified(found: Mapping[UUID, Qualification], batch: Batch, now: datetime) -> Bar | None:
    """Say whether a batch that asks for its project's qualification, or gives it, is closed to a worker for now."""
    if not batch.needs_qualification and batch.kind != BatchKind.QUALIFICATION:
        return None
    one = found.get(batch.project_id)
    if one is not None and one.outcome == Verdict.PASSED:
        return None if batch.needs_qualification else Bar(Why.QUALIFIED)
    if one is not None and one.again_at is not None and now < one.again_at:
        return Bar(Why.STOPPED, one.again_at, f"{one.right}/{one.checked}")
    return Bar(Why.QUALIFY) if batch.needs_qualification else None


def _exposed(visit: Visit, person: Person) -> Bar | None:
    """Say whether a worker has had their day's share of sensitive content."""
    if _exposure(visit, person) < SENSITIVE_DAY:
        return None
    today = visit.now.astimezone(ZoneInfo(person.time_zone)).date()
    return Bar(Why.EXPOSURE, midnight(today + DAY, person.time_zone))


def _exposure(visit: Visit, person: Person) -> int:
    """Give the credited seconds of sensitive content in the worker's day."""
    start = midnight(visit.now.astimezone(ZoneInfo(person.time_zone)).date(), person.time_zone)
    shares = worktime.shares_of(visit.session, person.id, start, visit.now + timedelta(seconds=1))
    spent = seconds_by((share for share in shares if share.batch), lambda share: UUID(share.batch or ""))
    batches = visit.session.scalars(select(Batch).where(Batch.id.in_(spent)))
    return sum(spent[one.id] for one in batches if sensitive(one))


class _Hours(NamedTuple):
    """The least of credited seconds that is left of the day and the week, and the last sign of work it knows of."""

    left_day: int
    left_week: int
    last: datetime


def _hours(visit: Visit, person: Person) -> _Hours:
    of_day, of_week = (DAY_HARD, WEEK_HARD) if MORE_HOURS in person.consents else (DAY_SOFT, WEEK_SOFT)
    today = visit.now.astimezone(ZoneInfo(person.time_zone)).date()
    start = midnight(today - timedelta(days=today.weekday()), person.time_zone)
    most_day, most_week, last = _at_most(visit, person, start, today)
    if most_day >= of_day or most_week >= of_week:
        spent = wages.hours(visit.session, person, start, visit.now + timedelta(seconds=1)).days
        most_day, most_week = spent.get(today, 0), sum(spent.values())
    return _Hours(of_day - most_day, of_week - most_week, last)


def _no_limit_before(visit: Visit, person: Person, batch: Batch) -> datetime:
    """Give the earliest moment at which a limit can be reached, or another day begins.

    Credited time grows no faster than the clock since the last sign of work that was counted.
    """
    hours = _hours(visit, person)
    left = min(hours.left_day, hours.left_week)
    if sensitive(batch):
        left = min(left, SENSITIVE_DAY - _exposure(visit, person))
    today = visit.now.astimezone(ZoneInfo(person.time_zone)).date()
    return min(hours.last + timedelta(seconds=left), midnight(today + DAY, person.time_zone))


def _at_most(visit: Visit, person: Person, start: datetime, today: date) -> tuple[int, int, datetime]:
    """Give what today's and this week's credited time can be at most, from one cheap look at the evidence.

    Counting it exactly costs reading a week of proofs, which few workers are near enough to a limit to need. The last
    sign of work is given, too; now where there is none.
    """
    session = visit.session
    day = cast(func.timezone(person.time_zone, Proof.at), Date)
    query = (
        select(day, func.min(Proof.at), func.max(Proof.at))
        .where(Proof.worker_id == person.id, Proof.at >= start - MARGIN, Proof.at <= visit.now)
        .group_by(day)
    )
    spans = {on: (first, last) for on, first, last in session.execute(query)}
    declared = (
        session.scalar(
            select(func.sum(Declaration.added_seconds)).where(
                Declaration.worker_id == person.id,
                Declaration.state == DeclarationState.ACCEPTED,
                Declaration.end_at > start,
            )
        )
        or 0
    )
    per_day = {
        on: int(min(last - first + 2 * MARGIN, DAY).total_seconds()) for on, (first, last) in spans.items()
    }
    newest = max((last for _, last in spans.values()), default=visit.now)
    today_most = per_day.get(today, int(MARGIN.total_seconds()))
    return today_most + declared, sum(per_day.values()) + declared, newest


def _about(session: Session, ids: list[UUID]) -> dict[UUID, tuple[str, str, str]]:
    """Give name, purpose and the requester's legal name of each batch."""
    rows = session.execute(
        select(Batch.id, FULL_NAME, Project.purpose, Person.organisation, Person.name)
        .join(Project, Project.id == Batch.project_id)
        .join(Person, Person.id == Project.requester_id)
        .where(Batch.id.in_(ids))
    )
    return {row[0]: (row[1], row[2], row[3] or row[4]) for row in rows}
