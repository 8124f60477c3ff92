"""What a demo or test instance needs before the first request: an operator, pay rules in force, exchange rates.

This is the only place where such an instance is filled past its own API. The rules are marked as unverified and the
rates as demo figures; a production instance gets both from people who compare them with their sources.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import auth
from payments import fx, rules
from payments.rules import UNVERIFIED
from schemas.words import Words
from tasks.people import Person, Role, add_person

VERIFIED_BY: Final = (Words("demo"), UNVERIFIED)
PROVIDER: Final = "demo"
NOTE: Final = "Demo figure, rounded; not for paying anybody."
EUR_IN: Final = {
    "AUD": "1.78",
    "BRL": "6.30",
    "CZK": "24.40",
    "DKK": "7.46",
    "GBP": "0.87",
    "KES": "149.80",
    "MXN": "21.60",
    "PHP": "67.90",
    "PLN": "4.25",
    "RON": "5.08",
    "SEK": "11.00",
    "USD": "1.16",
    "ZAR": "20.10",
}
"""What one euro is worth in the demo."""


def rules_and_rates(session: Session, known_from: datetime) -> None:
    """Bring the shipped rules in force and record the demo's rates, known from a moment on."""
    rules.ship(session, known_from, VERIFIED_BY)
    for currency, rate in EUR_IN.items():
        fx.record(
            session,
            base="EUR",
            quote=currency,
            rate=rate,
            provider=PROVIDER,
            as_of=known_from.date(),
            now=known_from,
            note=NOTE,
        )


def operator(session: Session, name: str, now: datetime) -> Person:
    """Find the first operator, or add one."""
    query = select(Person).where(Person.role == Role.OPERATOR).order_by(Person.created_at, Person.id).limit(1)
    return session.scalar(query) or add_person(session, role=Role.OPERATOR, name=name, now=now)


def operator_token(session: Session, name: str, now: datetime) -> str:
    """Give a token of the first operator, who is added if there is none."""
    return auth.make_api_token(session, operator(session, name, now), name, now)
