"""People: workers, requesters, organizers and operators. One person has one role.

Where a worker works, and in which time zone, is declared by the worker and can be changed; nothing here is measured.
A change of place counts from its moment on: what was worked before it stays where it was worked.
Sign-in lives with the pages, money with the payments; this is who somebody is for the work.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.definition import CONTENT_CLASSES, LANGUAGES
from tasks import permits
from tasks.append_only import attach, only_grows
from tasks.db import Base, new_id
from tasks.errors import Invalid, NotFound
from tasks.names import check_name

SENSITIVE: Final = tuple(name for name in CONTENT_CLASSES if name != "none")
"""Content that nobody is shown who did not agree to it."""
MORE_HOURS: Final = "more-hours"
"""The wish to be offered work beyond eight hours a day and forty a week."""
CONSENTS: Final = (*SENSITIVE, MORE_HOURS)
PLACE: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)
AREA_CHARACTERS: Final = 60


class UnknownConsent(Invalid):
    """There is nothing of this name to agree to."""


class UnknownPlace(Invalid):
    """Write a place as two letters such as KE, or with its part as in US-CA."""


class UnknownLanguage(Invalid):
    """This is no code of a language that we know; write it as in 'en' or 'sw'."""


class UnknownTimeZone(Invalid):
    """This is no time zone that we know; write it as in 'Africa/Nairobi'."""


class UnknownPerson(NotFound):
    """There is nobody with this id."""


class Role(StrEnum):
    """What somebody is here for."""

    REQUESTER = "requester"
    WORKER = "worker"
    ORGANIZER = "organizer"
    OPERATOR = "operator"


class Person(Base):
    """Somebody with a role."""

    __tablename__ = "person"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    role: Mapped[str]
    name: Mapped[str]
    organisation: Mapped[str] = mapped_column(default="")
    place: Mapped[str | None]
    area: Mapped[str | None]
    time_zone: Mapped[str] = mapped_column(default="UTC")
    languages: Mapped[list[str]] = mapped_column(default=list)
    consents: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    @property
    def pseudonym(self) -> str:
        """The short name under which organizers and requesters see a worker."""
        return "w-" + self.id.hex[-6:]


class WorkPlace(Base):
    """Where somebody works from a moment on, by their own word; the last one is where they work now."""

    __tablename__ = "work_place"
    __table_args__ = (Index("ix_work_place_person", "person_id", "since"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    since: Mapped[datetime]
    place: Mapped[str | None]
    area: Mapped[str | None]


GUARDS: Final = only_grows("work_place")
attach(WorkPlace.__table__, GUARDS)


def add_person(
    session: Session,
    *,
    role: Role,
    name: str,
    now: datetime,
    organisation: str = "",
    place: str | None = None,
    area: str | None = None,
    time_zone: str = "UTC",
    languages: list[str] | None = None,
) -> Person:
    """Add somebody. Raises UnknownTimeZone or HiddenCharacter."""
    check_time_zone(time_zone)
    check_name(name)
    check_name(organisation, "organisation")
    person = Person(
        role=role,
        name=name,
        organisation=organisation,
        place=place,
        area=area,
        time_zone=time_zone,
        languages=languages or [],
        consents=[],
        created_at=now,
    )
    session.add(person)
    session.flush()
    _work_at(session, person, now)
    return person


def set_consents(session: Session, person: Person, wanted: Iterable[str]) -> None:
    """Keep what somebody agrees to, and nothing else; it holds from the next offer on. Raises UnknownConsent."""
    agreed = set(wanted)
    if not agreed <= set(CONSENTS):
        raise UnknownConsent(consents=sorted(name[:40] for name in agreed - set(CONSENTS)))
    person.consents = [name for name in CONSENTS if name in agreed]
    permits.drop(session, person.id)


def settle(
    session: Session,
    person: Person,
    *,
    place: str | None,
    area: str | None,
    time_zone: str,
    languages: Iterable[str],
    now: datetime,
) -> None:
    """Change where, when and in which languages somebody works from now on, by their own word.

    Raises UnknownPlace, UnknownTimeZone, UnknownLanguage.
    """
    check_time_zone(time_zone)
    spoken = list(dict.fromkeys(languages))
    if place and not PLACE.fullmatch(place):
        raise UnknownPlace(field="place")
    if area and (not area.isprintable() or len(area) > AREA_CHARACTERS):
        raise UnknownPlace("This area is not one that a pay rule names.", field="area")
    if not set(spoken) <= set(LANGUAGES):
        raise UnknownLanguage(field="languages")
    before = (person.place, person.area)
    person.place, person.area = place or None, area or None
    person.time_zone, person.languages = time_zone, spoken
    if before != (person.place, person.area):
        _work_at(session, person, now)
    permits.drop(session, person.id)


def work_places(session: Session, person_id: UUID) -> list[WorkPlace]:
    """Give where somebody has worked since when, the earliest first."""
    query = select(WorkPlace).where(WorkPlace.person_id == person_id)
    return list(session.scalars(query.order_by(WorkPlace.since, WorkPlace.id)))


def place_at(places: Sequence[WorkPlace], at: datetime) -> tuple[str | None, str | None]:
    """Give place and area at a moment; before the first one, the first."""
    here = next((one for one in reversed(places) if one.since <= at), places[0])
    return here.place, here.area


def _work_at(session: Session, person: Person, now: datetime) -> None:
    session.add(WorkPlace(person_id=person.id, since=now, place=person.place, area=person.area))
    session.flush()


def get_person(session: Session, person_id: UUID) -> Person:
    """Fetch somebody. Raises UnknownPerson."""
    person = session.get(Person, person_id)
    if person is None:
        raise UnknownPerson
    return person


def people_with_role(session: Session, role: Role) -> list[Person]:
    """Give everybody of a role, the earliest first."""
    return list(
        session.scalars(select(Person).where(Person.role == role).order_by(Person.created_at, Person.id))
    )


def check_time_zone(name: str) -> None:
    """Refuse a time zone that the system does not know."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeZone(field="time_zone", time_zone=name[:60]) from None
