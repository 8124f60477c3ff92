"""What people earned per hour, read from the due lines: for organizers, and for each worker their own.

Nothing here changes anything. Hourly figures are exact minor units per hour, before and after the top-up, over all
credited time of the group that is named; they are statistics, never the test: the floor is kept line by line.
Hours are shown against limits so that offers can stop in time; they never make earned time unpaid.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from payments import worktime
from payments.due_lines import DueLine, lines_of
from payments.dues import hourly_equivalent
from payments.paid_time import Kind, Share, second_of, seconds_by, split
from payments.payroll import workers_between
from payments.periods import PayPeriod, code_of
from payments.quotes import PastPay
from tasks.people import Person

MEASURED_MIN: Final = 3
"""A figure of fewer workers would be one person's wage, and that is theirs to tell."""
EARLIER_MAX: Final = 10
"""Batches; what was long ago says less."""
WORKERS_AT_ONCE: Final = 100
HOUR: Final = 3600
DAY_SOFT: Final = 8 * HOUR
DAY_HARD: Final = 10 * HOUR
WEEK_SOFT: Final = 40 * HOUR
WEEK_HARD: Final = 48 * HOUR

RANKED: Final = text("""
WITH wanted AS (
    SELECT * FROM unnest(CAST(:batches AS uuid[]), CAST(:sources AS uuid[])) AS pair (batch, source)
), earned AS (
    SELECT batch, min(charge_currency) AS currency, sum(seconds) AS seconds, sum(answers) AS answers,
        sum(CASE WHEN agreed > 0 THEN div(charge::numeric * agreed, due) ELSE charge END) AS charge
    FROM wanted JOIN due_line ON due_line.batch_id = source GROUP BY batch, worker_id HAVING sum(seconds) > 0
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY batch ORDER BY charge / seconds) - 1 AS place,
        count(*) OVER (PARTITION BY batch) AS workers,
        sum(seconds) OVER (PARTITION BY batch) / nullif(sum(answers) OVER (PARTITION BY batch), 0) AS seconds_each
    FROM earned
)
SELECT * FROM ranked WHERE workers >= :least AND EXISTS (
    SELECT FROM generate_series(1, 3) AS quarter WHERE place - quarter * (workers - 1) / 4 IN (0, 1))""")
"""The workers of each batch between whom a quartile lies, by what an hour brought them.

What a line's price brought counts, without the top-up: that is of the place where somebody worked, and whoever looks
has a floor of their own. Where there is no price, the whole charge counts.
"""

EARLIER: Final = text("""
SELECT batch.id AS batch, earlier.id AS source, earlier.name
FROM batch
JOIN pay_terms AS terms ON terms.batch_id = batch.id
JOIN definition ON definition.id = batch.definition_id
CROSS JOIN LATERAL (
    SELECT other.id, other.name, other.created_at
    FROM batch AS other
    JOIN pay_terms AS theirs ON theirs.batch_id = other.id
    JOIN definition AS asked ON asked.id = other.definition_id
    WHERE other.project_id = batch.project_id AND other.created_at < batch.created_at
        AND theirs.currency = terms.currency AND theirs.piece_price <= terms.piece_price
        AND jsonb_path_query_array(asked.document, '$.fields[*].kind')
            = jsonb_path_query_array(definition.document, '$.fields[*].kind')
        AND EXISTS (SELECT FROM due_line WHERE due_line.batch_id = other.id)
    ORDER BY other.created_at DESC LIMIT :most
) AS earlier
WHERE batch.id = ANY(:batches)
ORDER BY earlier.created_at""")
"""The newest earlier batches of the same project with the same kinds of questions, for no higher price.

Time by the hour has no price, so it is neither measured nor a measure.
"""

COST: Final = text("""
SELECT charge_currency, (sum(charge) - sum(own))::bigint, sum(own)::bigint, sum(fee)::bigint, sum(seconds), sum(answers)
FROM (
    SELECT *, CASE WHEN due > 0 THEN div(charge::numeric * topup, due) ELSE 0 END AS own
    FROM due_line WHERE batch_id = :batch
) AS line GROUP BY charge_currency ORDER BY charge_currency""")
"""A line's charge is split as its due is; the odd minor unit is labour."""


@dataclass(frozen=True)
class WorkerWage:
    """A worker's wage of one period in one currency and place; the floor is the mean over their credited time."""

    worker_id: UUID
    pseudonym: str
    place: str | None
    currency: str
    seconds: int
    agreed: int
    due: int
    topup: int
    hourly_before: Fraction | None
    hourly_after: Fraction | None
    floor_rate: Fraction | None
    floor_currency: str
    batches: tuple[UUID, ...]
    answers: int
    overhead_seconds: int

    @property
    def under(self) -> bool:
        """Whether less was paid than the floor asks for; never true where the books are right."""
        return (
            self.hourly_after is not None
            and self.floor_rate is not None
            and self.hourly_after < self.floor_rate
        )


@dataclass(frozen=True)
class Hours:
    """A worker's credited seconds by day (of their own time zone) and ISO week, against the limits on offers."""

    worker_id: UUID
    days: dict[date, int]
    weeks: dict[str, int]

    @property
    def over_soft(self) -> list[str]:
        """Days and weeks over 8 or 40 hours."""
        return self._over(DAY_SOFT, WEEK_SOFT)

    @property
    def over_hard(self) -> list[str]:
        """Days and weeks over 10 or 48 hours."""
        return self._over(DAY_HARD, WEEK_HARD)

    def _over(self, day_limit: int, week_limit: int) -> list[str]:
        days = [day.isoformat() for day, seconds in sorted(self.days.items()) if seconds > day_limit]
        return days + [week for week, seconds in sorted(self.weeks.items()) if seconds > week_limit]


@dataclass(frozen=True)
class Cost:
    """What a batch has cost its requester so far, in closed periods; charge = labour + topups."""

    currency: str
    labour: int
    topups: int
    fee: int
    seconds: int
    answers: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.labour + self.topups + self.fee


def wages(session: Session, period: PayPeriod) -> list[WorkerWage]:
    """Give each worker's wage of a period, the lowest hourly pay first."""
    groups: dict[tuple[UUID, str, str | None], list[DueLine]] = defaultdict(list)
    for line in lines_of(session, period.id):
        groups[line.worker_id, line.currency, line.place].append(line)
    people = {
        one.id: one
        for one in session.scalars(select(Person).where(Person.id.in_({who for who, _, _ in groups})))
    }
    made = [_wage(people[who], currency, place, lines) for (who, currency, place), lines in groups.items()]
    return sorted(made, key=lambda one: (one.currency, one.hourly_after or 0, one.pseudonym))


def wage_lines(session: Session, period: PayPeriod, worker_id: UUID) -> list[DueLine]:
    """Give the lines behind a worker's wage."""
    return lines_of(session, period.id, worker_id)


def everybodys_hours(
    session: Session,
    start: datetime,
    end: datetime,
    say: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Hours]:
    """Give everybody's credited time in a span, overhead included; says how many of how many are counted."""
    made = []
    workers = workers_between(session, start, end)
    for first in range(0, len(workers), WORKERS_AT_ONCE):
        some = workers[first : first + WORKERS_AT_ONCE]
        shares = worktime.shares_by_worker(session, some, start, end)
        people = select(Person).where(Person.id.in_(some)).order_by(Person.id)
        made += [_hours(one, shares[one.id], start, end) for one in session.scalars(people)]
        say(len(made), len(workers))
    return [one for one in made if one.days]


def hours(session: Session, worker: Person, start: datetime, end: datetime) -> Hours:
    """Give one worker's credited time in a span."""
    return _hours(worker, worktime.shares_of(session, worker.id, start, end), start, end)


def hourly_of(session: Session, batches: Collection[UUID]) -> dict[UUID, PastPay]:
    """Give the quartiles of what workers earned per hour on batches, or else on earlier ones that are like them."""
    found = _measured(session, [(batch, batch) for batch in batches])
    missing = [batch for batch in batches if batch not in found]
    given = {"batches": missing, "most": EARLIER_MAX}
    alike = session.execute(EARLIER, given).all() if missing else []
    names: dict[UUID, list[str]] = defaultdict(list)
    for row in alike:
        names[row.batch].append(row.name)
    before = _measured(session, [(row.batch, row.source) for row in alike]) if alike else {}
    return found | {one: replace(past, measured_in=tuple(names[one])) for one, past in before.items()}


def batch_cost(session: Session, batch_id: UUID) -> list[Cost]:
    """Give what a batch has cost, by currency."""
    return [Cost(*row) for row in session.execute(COST, {"batch": batch_id})]


def _hours(worker: Person, credited: Sequence[Share], start: datetime, end: datetime) -> Hours:
    zone = ZoneInfo(worker.time_zone)
    midnights = [second_of(one, Kind.open) for one in _midnights(start, end, zone)]
    shares = split(credited, midnights)
    days = seconds_by(shares, lambda share: datetime.fromtimestamp(share.start, zone).date())
    weeks: dict[str, int] = defaultdict(int)
    for day, seconds in days.items():
        weeks[code_of(day)] += seconds
    return Hours(worker.id, dict(sorted(days.items())), dict(sorted(weeks.items())))


def _midnights(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Give the beginnings of days inside a span, as the clocks of a place show them."""
    day = start.astimezone(zone).date()
    while (day := day + timedelta(days=1)) <= end.astimezone(zone).date():
        yield datetime.combine(day, time(), zone).astimezone(UTC)


def _measured(session: Session, pairs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, PastPay]:
    """Measure batches in the lines of the batches that are named beside them."""
    given = {"batches": [batch for batch, _ in pairs], "sources": [source for _, source in pairs]}
    ranked: dict[UUID, dict[int, Row[Any]]] = defaultdict(dict)
    for row in session.execute(RANKED, {**given, "least": MEASURED_MIN}):
        ranked[row.batch][row.place] = row
    return {batch: _past(rows) for batch, rows in ranked.items()}


def _past(ranked: dict[int, Row[Any]]) -> PastPay:
    """Interpolate the quartiles between the workers who stand next to them, exactly."""
    some = next(iter(ranked.values()))
    low, median, high = (_quartile(ranked, quarter, some.workers - 1) for quarter in (1, 2, 3))
    return PastPay(some.currency, some.workers, low, median, high, round(some.seconds_each or 0))


def _quartile(ranked: dict[int, Row[Any]], quarter: int, last: int) -> Fraction:
    place, rest = divmod(quarter * last, 4)
    below, above = (
        Fraction(int(row.charge) * HOUR, row.seconds) for row in (ranked[place], ranked[place + 1])
    )
    return below + (above - below) * Fraction(rest, 4)


def _wage(worker: Person, currency: str, place: str | None, lines: list[DueLine]) -> WorkerWage:
    seconds = sum(line.seconds for line in lines)
    agreed = sum(line.agreed for line in lines)
    due = sum(line.due for line in lines)
    asked = sum((line.hourly_floor * line.seconds for line in lines), Fraction(0))
    return WorkerWage(
        worker_id=worker.id,
        pseudonym=worker.pseudonym,
        place=place,
        currency=currency,
        seconds=seconds,
        agreed=agreed,
        due=due,
        topup=due - agreed,
        hourly_before=hourly_equivalent(agreed, seconds),
        hourly_after=hourly_equivalent(due, seconds),
        floor_rate=asked / seconds if seconds else None,
        floor_currency=currency,
        batches=tuple(sorted({line.batch_id for line in lines if line.batch_id is not None})),
        answers=sum(line.answers for line in lines),
        overhead_seconds=sum(line.seconds for line in lines if line.batch_id is None),
    )
