"""Somebody is excluded by a named person, for a reason and a while; another person, or silence, decides a contest."""

from datetime import datetime, timedelta

import factories
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tasks import exclusions
from tasks.exclusions import (
    AlreadyExcluded,
    ContestEmpty,
    Exclusion,
    ExclusionDecided,
    NotContestable,
    OwnDecision,
    WrongExclusion,
)
from tasks.people import Person
from tasks.projects import Project


@pytest.fixture
def owner(session: Session, now: datetime) -> Person:
    """Whose project it is."""
    return factories.requester(session, now)


@pytest.fixture
def project(session: Session, now: datetime, owner: Person) -> Project:
    """A project of theirs."""
    return factories.project(session, now, owner)


@pytest.fixture
def amina(session: Session, now: datetime) -> Person:
    """Who is excluded."""
    return factories.worker(session, now)


@pytest.fixture
def one(session: Session, now: datetime, owner: Person, project: Project, amina: Person) -> Exclusion:
    """An exclusion for thirty days."""
    return excluded(session, project, amina, owner, now)


def excluded(
    session: Session,
    project: Project,
    who: Person,
    by: Person,
    now: datetime,
    days: int = 30,
    reason: str = "Copied.",
) -> Exclusion:
    """Exclude somebody."""
    return exclusions.exclude(
        session, project_id=project.id, worker_id=who.id, by=by, reason=reason, days=days, now=now
    )


def in_force(session: Session, who: Person, at: datetime) -> bool:
    """Tell whether somebody is excluded from anything."""
    return bool(exclusions.in_force(session, who.id, at))


def test_it_ends_by_itself_and_concerns_one_project(
    session: Session, now: datetime, project: Project, amina: Person, one: Exclusion
) -> None:
    assert exclusions.in_force(session, amina.id, now) == {project.id: one}
    assert in_force(session, amina, now + timedelta(days=29, hours=23))
    assert not in_force(session, amina, now + timedelta(days=30))
    assert not in_force(session, factories.worker(session, now), now)


@pytest.mark.parametrize(
    ("days", "reason"), [(0, "x"), (-1, "x"), (91, "x"), (30, ""), (30, " \n"), (30, "x" * 2001)]
)
def test_without_a_reason_or_an_end_nobody_is_excluded(
    session: Session, now: datetime, owner: Person, project: Project, amina: Person, days: int, reason: str
) -> None:
    with pytest.raises(WrongExclusion):
        excluded(session, project, amina, owner, now, days, reason)
    assert not in_force(session, amina, now)


@pytest.mark.parametrize(
    "wrong", ["reason = ''", "until = created_at + interval '91 days'", "state = 'upheld'"]
)
def test_the_database_refuses_what_has_no_reason_or_too_late_an_end(
    session: Session, one: Exclusion, wrong: str
) -> None:
    with pytest.raises(IntegrityError):
        session.execute(text(f"UPDATE exclusion SET {wrong}"))


def test_only_workers_and_only_once_at_a_time(
    session: Session, now: datetime, owner: Person, project: Project, amina: Person, one: Exclusion
) -> None:
    with pytest.raises(AlreadyExcluded):
        excluded(session, project, amina, owner, now)
    with pytest.raises(WrongExclusion):
        excluded(session, project, factories.operator(session, now), owner, now)
    later = now + timedelta(days=31)
    assert excluded(session, project, amina, owner, later).id != one.id


def test_silence_decides_for_the_worker_also_where_no_job_runs(
    session: Session, now: datetime, amina: Person, one: Exclusion
) -> None:
    exclusions.contest(session, one, "I copied nothing.", now)
    assert in_force(session, amina, now + timedelta(days=6, hours=23))
    silent = now + timedelta(days=7)
    assert not in_force(session, amina, silent)
    with pytest.raises(ExclusionDecided):
        exclusions.decide(
            session, one, factories.operator(session, now), uphold=True, reason="Too late.", now=silent
        )
    assert exclusions.lift_overdue(session, silent) == 1
    assert exclusions.lift_overdue(session, silent) == 0
    assert (one.state, one.decided_by, one.decided_at) == ("lifted", None, silent)


def test_another_person_decides_in_writing(
    session: Session, now: datetime, owner: Person, amina: Person, one: Exclusion
) -> None:
    operator = factories.operator(session, now)
    with pytest.raises(ExclusionDecided):
        exclusions.decide(session, one, operator, uphold=False, reason="", now=now)
    with pytest.raises(ContestEmpty):
        exclusions.contest(session, one, "  ", now)
    exclusions.contest(session, one, "I copied nothing.", now)
    with pytest.raises(OwnDecision):
        exclusions.decide(session, one, owner, uphold=True, reason="I stay with it.", now=now)
    with pytest.raises(WrongExclusion):
        exclusions.decide(session, one, operator, uphold=True, reason=" ", now=now)
    exclusions.decide(session, one, operator, uphold=True, reason="Forty equal texts.", now=now)
    assert in_force(session, amina, now)
    with pytest.raises(NotContestable):
        exclusions.contest(session, one, "Once more.", now)
    assert not in_force(session, amina, one.until)


def test_a_contest_that_is_right_ends_it_at_once(
    session: Session, now: datetime, amina: Person, one: Exclusion
) -> None:
    exclusions.contest(session, one, "I copied nothing.", now)
    exclusions.decide(session, one, factories.operator(session, now), uphold=False, reason="", now=now)
    assert not in_force(session, amina, now)


def test_what_is_over_cannot_be_contested_and_may_be_taken_back_twice(
    session: Session, now: datetime, owner: Person, amina: Person, one: Exclusion
) -> None:
    with pytest.raises(NotContestable):
        exclusions.contest(session, one, "Late.", one.until)
    assert exclusions.withdraw(session, one, owner, now).state == "lifted"
    assert exclusions.withdraw(session, one, owner, now + timedelta(days=1)).decided_at == now
    assert not in_force(session, amina, now)
