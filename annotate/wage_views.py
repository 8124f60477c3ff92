"""A period's wages as an organizer reads them: figures, a plot, rows, and why a worker was topped up.

Currencies never mix: a view has one. Bars stand in money where everybody has the same floor, else in percent of each
worker's own floor, so that no bar ever holds people below and above it. Workers appear by pseudonym alone.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from annotate import plots
from annotate.i18n import Formats
from annotate.plots import Plot
from payments import wages
from payments.due_lines import DueLine, lines_of
from payments.money import floor_minor
from payments.money import text as money_text
from payments.periods import PayPeriod
from payments.wages import WorkerWage
from tasks.batches import named

BARS = 12
PERCENT = Fraction(100)
TENTH = 10


@dataclass(frozen=True)
class WageRow:
    """One worker's wage and why it was topped up (`nothing`, `unpriced`, `by_hour`, `price`, `line` or "")."""

    wage: WorkerWage
    why: str
    why_seconds: int
    work: tuple[str, ...]
    lines: int

    @property
    def below(self) -> bool:
        """Whether the agreed pay alone was below the floor."""
        return is_below(self.wage)


@dataclass(frozen=True)
class WageView:
    """The wages of one period in one currency, lowest hourly pay before the top-up first."""

    currency: str
    rows: list[WageRow] = field(repr=False)

    @property
    def workers(self) -> int:
        """How many people were paid."""
        return len({row.wage.worker_id for row in self.rows})

    @property
    def below(self) -> int:
        """How many would be below the floor without a top-up."""
        return len({row.wage.worker_id for row in self.rows if row.below})

    @property
    def topped_up(self) -> list[WageRow]:
        """Those who were topped up."""
        return [row for row in self.rows if row.wage.topup]

    @property
    def topups(self) -> int:
        """All top-ups."""
        return sum(row.wage.topup for row in self.rows)

    @property
    def paid(self) -> int:
        """All pay."""
        return sum(row.wage.due for row in self.rows)

    @property
    def seconds(self) -> int:
        """All credited time."""
        return sum(row.wage.seconds for row in self.rows)

    @property
    def median(self) -> Fraction | None:
        """The median of what an hour brought, top-up included."""
        rates = [row.wage.hourly_after for row in self.rows if row.wage.hourly_after is not None]
        return median(rates) if rates else None

    @property
    def floor(self) -> Fraction | None:
        """The floor, where it is the same for everybody."""
        floors = {row.wage.floor_rate for row in self.rows if row.wage.floor_rate is not None}
        return floors.pop() if len(floors) == 1 else None


@dataclass(frozen=True)
class Drawing:
    """A histogram twice, for wide and for narrow screens, and what one bar spans."""

    wide: Plot
    slim: Plot
    step: str
    in_percent: bool


def wage_views(session: Session, period: PayPeriod) -> list[WageView]:
    """Give a view for each currency in which somebody was paid, the one with most workers first."""
    made = wages.wages(session, period)
    behind: dict[tuple[UUID, str, str | None], list[DueLine]] = defaultdict(list)
    for line in lines_of(session, period.id):
        behind[line.worker_id, line.currency, line.place].append(line)
    titles = batch_titles(session, {batch for one in made for batch in one.batches})
    views: dict[str, list[WageRow]] = defaultdict(list)
    for one in made:
        lines = behind[one.worker_id, one.currency, one.place]
        why, seconds = reason(one, lines)
        work = tuple(titles[batch] for batch in one.batches if batch in titles)
        views[one.currency].append(WageRow(one, why, seconds, work, len(lines)))
    for rows in views.values():
        rows.sort(key=lambda row: (row.wage.hourly_before or 0, row.wage.pseudonym))
    found = [WageView(currency, rows) for currency, rows in views.items()]
    return sorted(found, key=lambda view: (-view.workers, view.currency))


def is_below(wage: WorkerWage) -> bool:
    """Tell whether the agreed pay alone was below the floor."""
    before, floor = wage.hourly_before, wage.floor_rate
    return before is not None and floor is not None and before < floor


def reason(wage: WorkerWage, lines: Sequence[DueLine]) -> tuple[str, int]:
    """Say why a top-up was due, and the seconds without a price that are part of it."""
    if not wage.topup:
        return "", 0
    priced = sum(line.seconds_by.get("task", 0) for line in lines)
    unpriced = wage.seconds - priced
    if not wage.answers:
        return "nothing", 0
    if not wage.agreed:
        return "by_hour", 0
    if not is_below(wage):
        return "line", 0
    enough = wage.floor_rate is not None and Fraction(wage.agreed * 3600, priced or 1) >= wage.floor_rate
    return ("unpriced", unpriced) if enough and unpriced else ("price", 0)


def draw(view: WageView, formats: Formats, floor_word: str) -> Drawing | None:
    """Draw hourly pay before the top-up; nothing where no time was credited."""
    rows = [row.wage for row in view.rows if row.wage.hourly_before is not None and row.wage.floor_rate]
    if not rows:
        return None
    floor = view.floor
    if floor is not None:
        return draw_money([one.hourly_before or 0 for one in rows], floor, view.currency, formats, floor_word)
    shares = [Fraction(one.hourly_before or 0) / (one.floor_rate or 1) * PERCENT for one in rows]

    def say(value: int | Fraction) -> str:
        return formats.percent(Fraction(int(value), 100))

    step = bar_step(shares, PERCENT)
    wide, slim = both(shares, step=step, say=say, least=PERCENT, floor_label=f"{floor_word} {say(PERCENT)}")
    return Drawing(wide, slim, say(step), in_percent=True)


def draw_money(
    values: Sequence[int | Fraction], floor: Fraction, currency: str, formats: Formats, floor_word: str
) -> Drawing:
    """Draw hourly pay in one currency, its bins anchored at the floor."""

    def say(value: int | Fraction) -> str:
        return formats.money(value, currency)

    def mark(value: int | Fraction) -> str:
        return formats.coins(value, currency)

    step = bar_step(values, floor)
    label = f"{floor_word} {say(floor)}"
    wide, slim = both(values, step=step, say=say, mark=mark, least=floor, floor_label=label)
    return Drawing(wide, slim, say(step), in_percent=False)


def both(values: Sequence[int | Fraction], **more: Any) -> tuple[Plot, Plot]:
    """Draw the same values for a wide and for a narrow screen."""
    return plots.histogram(values, **more), plots.histogram(values, **more, width=320, height=220)


def bar_step(values: Sequence[int | Fraction], floor: Fraction) -> int:
    """Choose what a bar spans: a round figure that shows most people in a dozen bars around the floor."""
    ordered = sorted(values)
    # A few far outliers are gathered in the last bar; they do not squeeze everybody else into one.
    upper = ordered[(len(ordered) - 1) * 9 // TENTH]
    span = max(upper, floor) - min(ordered[0], floor)
    return max(1, int(plots.nice_step(Fraction(span or floor), BARS)))


def batch_titles(session: Session, ids: set[UUID]) -> dict[UUID, str]:
    """Name batches with their projects."""
    return {batch: one.title for batch, one in named(session, ids).items()}


CSV_COLUMNS: dict[str, Callable[[WageRow], object]] = {
    "worker": lambda row: row.wage.pseudonym,
    "place": lambda row: row.wage.place or "",
    "work": lambda row: "; ".join(row.work),
    "currency": lambda row: row.wage.currency,
    "credited_seconds": lambda row: row.wage.seconds,
    "answers": lambda row: row.wage.answers,
    "agreed": lambda row: money_text(row.wage.agreed, row.wage.currency),
    "topup": lambda row: money_text(row.wage.topup, row.wage.currency),
    "paid": lambda row: money_text(row.wage.due, row.wage.currency),
    "floor_per_hour": lambda row: hourly_text(row.wage.floor_rate, row.wage.currency),
    "per_hour_before_topup": lambda row: hourly_text(row.wage.hourly_before, row.wage.currency),
    "per_hour_paid": lambda row: hourly_text(row.wage.hourly_after, row.wage.currency),
    "why": lambda row: row.why,
}
"""What the export says of each worker; hourly figures are cut to the minor unit as on the page."""


def hourly_text(rate: Fraction | None, currency: str) -> str:
    """Write an hourly figure as plain decimal text, cut to the minor unit; empty where no time was credited."""
    return "" if rate is None else money_text(floor_minor(rate), currency)


def row_json(row: WageRow) -> dict[str, Any]:
    """Write a wage for programs: minor units, and hourly figures as exact 'num/den' of minor units."""
    wage = row.wage
    exact = {
        "floor_per_hour": wage.floor_rate,
        "per_hour_before_topup": wage.hourly_before,
        "per_hour_paid": wage.hourly_after,
    }
    return {
        "worker": wage.pseudonym,
        "worker_id": str(wage.worker_id),
        "place": wage.place,
        "currency": wage.currency,
        "credited_seconds": wage.seconds,
        "overhead_seconds": wage.overhead_seconds,
        "answers": wage.answers,
        "agreed": wage.agreed,
        "topup": wage.topup,
        "paid": wage.due,
        **{name: None if rate is None else str(rate) for name, rate in exact.items()},
        "below_floor_before_topup": row.below,
        "why": row.why or None,
        "batches": [str(batch) for batch in wage.batches],
        "lines": row.lines,
    }
