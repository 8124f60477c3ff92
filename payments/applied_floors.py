"""The floor that applies to a worker at a moment: all recorded rules as known, joined by the batch's own promise.

A book of floors is read once for one computation, so that every line of it is settled by the same knowledge and the
same exchange rates: those of the day for which the book was opened. Nothing here is stored.
"""

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from payments import fx, rules
from payments.floors import Resolution, resolve

NOWHERE = ""


class Floors:
    """The rules known at one moment, converted at the rates of one day."""

    def __init__(self, session: Session, known_at: datetime, fx_day: date) -> None:
        """Read the rules."""
        self._session = session
        self._known_at = known_at
        self._fx_day = fx_day
        self._documents = rules.in_force(session, known_at) + rules.suspended(session, known_at)
        self._rates: dict[tuple[str, str], fx.Rate] = {}
        self._found: dict[tuple[Any, ...], Resolution] = {}

    def at(
        self, place: str | None, area: str | None, day: date, promise: dict[str, Any] | None = None
    ) -> Resolution:
        """Give the floor of a place on a day or at a moment, or the promise where it is higher. Raises NoRule."""
        key = (place, area, day, promise and (promise["id"], promise["version"]))
        if key not in self._found:
            floor = resolve(self._documents, place or NOWHERE, area, day, self.convert)
            if promise is not None:
                # The law of the place names the currency; a promise only raises the figure.
                both = [*self._documents, promise]
                floor = resolve(both, place or NOWHERE, area, day, self.convert, floor.currency)
            self._found[key] = floor
        return self._found[key]

    def rate(self, base: str, quote: str) -> fx.Rate:
        """Give the exchange rate of the book's day. Raises NoExchangeRate."""
        key = (base, quote)
        if key not in self._rates:
            self._rates[key] = fx.rate_at(self._session, base, quote, self._fx_day, self._known_at)
        return self._rates[key]

    def convert(self, amount: Fraction, base: str, quote: str) -> Fraction:
        """Turn minor units of one currency into exact minor units of another. Raises NoExchangeRate."""
        return fx.convert(amount, base, quote, self.rate(base, quote).value)

    def changes(self, place: str | None, start: datetime, end: datetime) -> list[datetime]:
        """Give the moments inside a span at which a rule that may cover the place begins or ends, in order."""
        nearby = {None, "*", place, (place or NOWHERE).partition("-")[0]}
        found = {
            _midnight(document[edge], document["time_zone"])
            for document in self._documents
            if document["jurisdiction"] in nearby
            for edge in ("effective_from", "effective_to")
            if document[edge] is not None
        }
        return sorted(moment for moment in found if start < moment < end)


def floor_for(session: Session, place: str | None, area: str | None, day: date, now: datetime) -> Resolution:
    """Give the floor of a place on a day or at a moment, as known now. Raises NoRule, NoExchangeRate."""
    fx_day = day.astimezone(UTC).date() if isinstance(day, datetime) else day
    return Floors(session, now, fx_day).at(place, area, day)


def _midnight(day: str, zone: str) -> datetime:
    """Give the first moment of a day where a rule holds."""
    where = ZoneInfo(zone)
    local = datetime.combine(date.fromisoformat(day), time(), where).astimezone(UTC)
    # Where clocks are set forward over midnight, the day begins an hour later.
    return local if local.astimezone(where).date() == date.fromisoformat(day) else local + timedelta(hours=1)
