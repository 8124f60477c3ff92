"""Sign-in: passwords (Argon2), server-side sessions, invitations, one-time links, API tokens.

Registration is closed: people come by invitation. Every secret is shown once and stored as its SHA-256; a session can
be ended from the server at any moment. Attempts are counted in the database, by address and by account, under names
that nobody can read without the instance's secret key.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from tasks.db import Base, new_id, rows
from tasks.errors import Conflict, FairlabelError, Invalid, NotFound
from tasks.people import Person, Role, add_person

PASSWORD_CHARACTERS_MIN = 10
PASSWORD_CHARACTERS_MAX = 1000
LINK_MINUTES = 60
INVITATION_DAYS = 14
ATTEMPT_MINUTES = 10

_hasher = PasswordHasher()
_NOBODY = _hasher.hash(secrets.token_hex(16))


class SignInFailed(FairlabelError):
    """The address or the password is wrong."""

    status = 401


class SignInNeeded(FairlabelError):
    """Sign in first."""

    status = 401


class TooManyAttempts(FairlabelError):
    """Too many attempts; wait some minutes and try again."""

    status = 429


class LinkUsed(NotFound):
    """This link was used already or is too old; ask for a new one."""


class AddressTaken(Conflict):
    """Somebody has signed up with this address already."""


class WeakPassword(Invalid):
    """A password needs at least 10 characters."""


class Login(Base):
    """How a person signs in."""

    __tablename__ = "login"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    created_at: Mapped[datetime]


class SignIn(Base):
    """A running sign-in of a browser."""

    __tablename__ = "sign_in"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Ticket(Base):
    """A secret that opens one door: `link` signs a person in once, `invitation` lets one join, `api` is a program's."""

    __tablename__ = "ticket"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(default=new_id, unique=True)
    kind: Mapped[str]
    role: Mapped[str | None]
    label: Mapped[str] = mapped_column(default="")
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class Attempt(Base):
    """How often something was tried in a window of time; the bucket is a keyed hash of what was tried by whom."""

    __tablename__ = "attempt"

    bucket: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


FIND_BY_COOKIE: Final = """
    SELECT person.id, person.role, person.time_zone, sign_in.csrf
    FROM sign_in JOIN person ON person.id = sign_in.person_id
    WHERE sign_in.token_hash = %(token)s AND sign_in.expires_at > %(now)s AND person.closed_at IS NULL
"""
FIND_BY_API: Final = """
    SELECT person.id, person.role, person.time_zone, '' AS csrf
    FROM ticket JOIN person ON person.id = ticket.person_id
    WHERE ticket.token_hash = %(token)s AND ticket.kind = 'api' AND ticket.used_at IS NULL
        AND person.closed_at IS NULL
"""


@dataclass(frozen=True)
class Viewer:
    """Who is asking, and the token that forms must carry (empty for programs)."""

    session: Session = field(repr=False)
    id: UUID
    role: Role
    time_zone: str
    csrf: str

    @property
    def person(self) -> Person:
        """The person's row."""
        return self.session.get_one(Person, self.id)


def hashed(token: str) -> str:
    """Hash a secret for storing; it has 256 bits of its own, so no salt and no slowness are needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def plain(email: str) -> str:
    """Give an address as it is stored: the same for whoever writes it with capitals or spaces."""
    return email.strip().lower()


def add_login(session: Session, person: Person, email: str, password: str, now: datetime) -> Login:
    """Give a person an address and a password. Raises WeakPassword, AddressTaken or Invalid."""
    email = plain(email)
    if "@" not in email or len(email) > 254 or any(character.isspace() for character in email):
        raise Invalid("This is no e-mail address.")
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise WeakPassword
    if session.scalar(select(Login).where(Login.email == email)) is not None:
        raise AddressTaken
    login = Login(person_id=person.id, email=email, password_hash=_hasher.hash(password), created_at=now)
    session.add(login)
    session.flush()
    return login


def check_password(session: Session, email: str, password: str) -> Person:
    """Find who signs in. Raises SignInFailed, in the same time for a wrong address and a wrong password."""
    login = session.scalar(select(Login).where(Login.email == plain(email)))
    try:
        _hasher.verify(login.password_hash if login else _NOBODY, password[:PASSWORD_CHARACTERS_MAX])
    except (VerificationError, InvalidHashError):
        raise SignInFailed from None
    if login is None:
        raise SignInFailed
    return session.get_one(Person, login.person_id)


def start_sign_in(session: Session, person: Person, now: datetime, days: int) -> str:
    """Begin a browser's sign-in and give its secret."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            token_hash=hashed(token),
            person_id=person.id,
            csrf=secrets.token_urlsafe(24),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
    )
    session.flush()
    return token


def viewer_by_cookie(session: Session, token: str, now: datetime) -> Viewer | None:
    """Give who holds a running sign-in, if it runs."""
    return _viewer(session, rows(session, FIND_BY_COOKIE, token=hashed(token), now=now))


def end_sign_in(session: Session, token: str) -> None:
    """End a browser's sign-in."""
    session.execute(delete(SignIn).where(SignIn.token_hash == hashed(token)))


def make_link(session: Session, person: Person, now: datetime, minutes: int = LINK_MINUTES) -> str:
    """Make a secret that signs a person in once."""
    return _issue(session, "link", now, now + timedelta(minutes=minutes), person_id=person.id)


def check_link(session: Session, token: str, now: datetime) -> None:
    """Look whether a one-time secret still works, without using it. Raises LinkUsed."""
    _standing(session.get(Ticket, hashed(token)), "link", now)


def use_link(session: Session, token: str, now: datetime) -> Person:
    """Use a one-time secret. Raises LinkUsed."""
    ticket = _use(session, "link", token, now)
    return session.get_one(Person, ticket.person_id)


def invite(session: Session, by: Person | None, role: Role, now: datetime, label: str = "") -> str:
    """Make a secret with which one person may join in a role."""
    made_by = by.id if by else None
    until = now + timedelta(days=INVITATION_DAYS)
    return _issue(session, "invitation", now, until, role=role, label=label[:200], made_by=made_by)


def invitation(session: Session, token: str, now: datetime) -> Ticket:
    """Look at an invitation without using it. Raises LinkUsed."""
    return _standing(session.get(Ticket, hashed(token)), "invitation", now)


def join(
    session: Session,
    token: str,
    *,
    name: str,
    email: str,
    password: str,
    now: datetime,
    organisation: str = "",
    place: str | None = None,
    area: str | None = None,
    time_zone: str = "UTC",
    languages: list[str] | None = None,
) -> Person:
    """Join by invitation. Raises LinkUsed, WeakPassword, AddressTaken or Invalid."""
    ticket = _use(session, "invitation", token, now)
    if not name.strip():
        raise Invalid("Say what we may call you; any name will do.")
    person = add_person(
        session,
        role=Role(ticket.role or ""),
        name=name.strip()[:100],
        organisation=organisation.strip()[:200],
        place=place or None,
        area=area or None,
        time_zone=time_zone,
        languages=languages,
        now=now,
    )
    add_login(session, person, email, password, now)
    ticket.person_id = person.id
    return person


def make_api_token(session: Session, person: Person, label: str, now: datetime) -> str:
    """Make a secret for a program that acts for a person."""
    return _issue(session, "api", now, None, person_id=person.id, label=label[:200])


def viewer_by_token(session: Session, token: str) -> Viewer | None:
    """Give for whom a program acts."""
    return _viewer(session, rows(session, FIND_BY_API, token=hashed(token)))


def api_tokens(session: Session, person_id: UUID) -> list[Ticket]:
    """Give a person's API tokens in force."""
    query = select(Ticket).where(
        Ticket.kind == "api", Ticket.person_id == person_id, Ticket.used_at.is_(None)
    )
    return list(session.scalars(query.order_by(Ticket.made_at)))


def api_token(session: Session, person_id: UUID, ticket_id: UUID) -> Ticket:
    """Give one of a person's API tokens. Raises NotFound."""
    ticket = session.scalar(select(Ticket).where(Ticket.id == ticket_id, Ticket.person_id == person_id))
    if ticket is None:
        raise NotFound
    return ticket


def revoke_api_token(session: Session, person_id: UUID, ticket_id: UUID, now: datetime) -> None:
    """End one of a person's API tokens. Raises NotFound."""
    api_token(session, person_id, ticket_id).used_at = now


def count_attempt(session: Session, secret_key: str, what: str, now: datetime, most: int) -> None:
    """Count a try. Raises TooManyAttempts above `most` in a window of ten minutes.

    Addresses are few enough to be guessed from a plain hash; with the key's hash, a copy of the database tells nothing.
    """
    bucket = hmac.digest(secret_key.encode(), what.encode(), "sha256").hex()
    start = now.replace(minute=now.minute - now.minute % ATTEMPT_MINUTES, second=0, microsecond=0)
    count = session.scalar(
        insert(Attempt)
        .values(bucket=bucket, window_start=start, count=1)
        .on_conflict_do_update(index_elements=["bucket", "window_start"], set_={"count": Attempt.count + 1})
        .returning(Attempt.count)
    )
    if count is not None and count > most:
        raise TooManyAttempts


def forget_old(session: Session, now: datetime) -> None:
    """Drop sign-ins and counts that have run out."""
    session.execute(delete(SignIn).where(SignIn.expires_at <= now))
    session.execute(delete(Attempt).where(Attempt.window_start < now - timedelta(days=1)))


def _viewer(session: Session, found: list[Any]) -> Viewer | None:
    for one in found:
        return Viewer(session, one.id, Role(one.role), one.time_zone, one.csrf)
    return None


def _issue(
    session: Session,
    kind: str,
    now: datetime,
    expires_at: datetime | None,
    *,
    role: str | None = None,
    label: str = "",
    person_id: UUID | None = None,
    made_by: UUID | None = None,
) -> str:
    token = secrets.token_urlsafe(32)
    session.add(
        Ticket(
            token_hash=hashed(token),
            kind=kind,
            role=role,
            label=label,
            person_id=person_id,
            made_by=made_by,
            made_at=now,
            expires_at=expires_at,
        )
    )
    session.flush()
    return token


def _use(session: Session, kind: str, token: str, now: datetime) -> Ticket:
    found = session.scalar(select(Ticket).where(Ticket.token_hash == hashed(token)).with_for_update())
    ticket = _standing(found, kind, now)
    ticket.used_at = now
    return ticket


def _standing(ticket: Ticket | None, kind: str, now: datetime) -> Ticket:
    if ticket is None or ticket.kind != kind or ticket.used_at or (ticket.expires_at or now) <= now:
        raise LinkUsed
    return ticket
