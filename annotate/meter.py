"""The pay meter of the workspace: what today's work on this batch has brought so far, against the floor.

It counts the worker's own day and reads no more than today's evidence, because it is asked with every answer. It tells
what is, and never stands in the way: where the books cannot say, the answer is stored all the same.
"""

import logging
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from annotate.offers import midnight
from annotate.visit import Visit
from payments import earnings, quotes
from payments.dues import hourly_equivalent
from payments.earnings import DraftLine
from payments.terms import find_terms
from payments.worktime import GRACE_WITHOUT_TERMS
from tasks.batches import Batch
from tasks.errors import FairlabelError
from tasks.people import Person

FLOOR_MARK: Final = 60
"""Where the floor stands on the gauge, of 100; the rest is room above it."""
UNKNOWN: Final = "–"

log = logging.getLogger(__name__)


def of(visit: Visit, person: Person, batch: Batch) -> dict[str, Any]:
    """Give the meter as macros/meter.html takes it; one without figures where the books cannot say."""
    try:
        with visit.session.begin_nested():
            return _shown(visit, person, batch)
    except FairlabelError as error:
        log.info("no pay meter for batch %s: %s", batch.id, error.message)
    except Exception:
        log.exception("no pay meter for batch %s", batch.id)
    return _blank(visit)


def grace(visit: Visit, batch: Batch) -> int:
    """Give for how many seconds silence counts as work here."""
    terms = find_terms(visit.session, batch.id)
    return terms.grace_seconds if terms else GRACE_WITHOUT_TERMS


def day_start(person: Person, now: datetime) -> datetime:
    """Give the beginning of the worker's own day."""
    return midnight(now.astimezone(ZoneInfo(person.time_zone)).date(), person.time_zone)


def _shown(visit: Visit, person: Person, batch: Batch) -> dict[str, Any]:
    # A submission of this very moment counts already.
    until = visit.now + timedelta(seconds=1)
    today = earnings.lines_for(visit.session, person, day_start(person, visit.now), until, visit.now)
    here = [line for line in today if line.batch_id == batch.id]
    if here:
        # Where a rule changed today, the floor in force now is the last line's; the money is that of its currency.
        currency, floor = here[-1].currency, here[-1].rate
        here = [line for line in here if line.currency == currency]
    else:
        offer = quotes.worker_offer(visit.session, batch, person, visit.now)
        currency, floor = offer.currency, offer.floor
    seconds = sum(line.seconds for line in here)
    agreed, due = sum(line.due.agreed for line in here), sum(line.due.due for line in here)
    by_hour = (terms := find_terms(visit.session, batch.id)) is not None and terms.pay_mode == "hourly"
    # Before the first answer of the day there is no pace, only the floor: an open item's seconds say nothing yet.
    pace = hourly_equivalent(due if by_hour else agreed, seconds) if by_hour or agreed else None
    write = visit.formats.money
    return {
        "pay": write(due, currency),
        "hourly": UNKNOWN if pace is None else write(pace, currency),
        "pace": "" if pace is None else f"≈\u00a0{visit.formats.rate(pace, currency)}",
        "floor": write(floor, currency),
        "ok": pace is None or due == agreed or by_hour,
        "accepted": write(agreed, currency),
        "time": visit.formats.duration(seconds),
        "topup": write(due - agreed, currency),
        "gauge": _gauge(pace, floor),
        "floor_mark": FLOOR_MARK,
        "lines": _lines(visit, today, seconds, agreed, due, floor, currency, by_hour),
    }


def _lines(
    visit: Visit,
    today: list[DraftLine],
    seconds: int,
    agreed: int,
    due: int,
    floor: Fraction,
    currency: str,
    by_hour: bool,
) -> list[dict[str, Any]]:
    """Say what the figures are made of: this batch first, then the whole day."""
    f = visit.formats
    pace = hourly_equivalent(agreed, seconds) if agreed else None
    lines = [{"label": visit.gettext("Working time here today"), "value": f.duration(seconds)}]
    if not by_hour:
        lines += [
            {"label": visit.gettext("By the price per answer"), "value": f.money(agreed, currency)},
            {
                "label": visit.gettext("Your pace"),
                "value": UNKNOWN if pace is None else f.rate(pace, currency),
            },
        ]
    lines += [
        {"label": visit.gettext("Floor, guaranteed"), "value": f.rate(floor, currency)},
        {
            "label": visit.gettext("Paid by time") if by_hour else visit.gettext("Top-up as of now"),
            "value": f.money(due - agreed, currency),
        },
    ]
    made: list[dict[str, Any]] = [*lines]
    made.append({"label": visit.gettext("Here today"), "value": f.money(due, currency), "strong": True})
    own = [line for line in today if line.currency == currency]
    if sum(line.seconds for line in own) != seconds:
        whole = sum(line.due.due for line in own), sum(line.seconds for line in own)
        value = f"{f.money(whole[0], currency)} · {f.duration(whole[1])}"
        made.append({"label": visit.gettext("All work today"), "value": value, "strong": False})
    return made


def _gauge(pace: Fraction | None, floor: Fraction) -> int:
    """Place the pace on a scale of 100 on which the floor stands at its mark."""
    if pace is None or floor <= 0:
        return 0
    return min(100, int(pace * FLOOR_MARK / floor))


def _blank(visit: Visit) -> dict[str, Any]:
    words = visit.gettext("Your pay cannot be shown right now. Your work and its time are kept and paid.")
    return {
        "pay": UNKNOWN,
        "hourly": UNKNOWN,
        "pace": "",
        "floor": UNKNOWN,
        "ok": True,
        "accepted": UNKNOWN,
        "time": UNKNOWN,
        "topup": UNKNOWN,
        "gauge": 0,
        "floor_mark": FLOOR_MARK,
        "lines": [{"label": words, "value": ""}],
    }
