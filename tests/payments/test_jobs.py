"""The jobs, on a database of their own: they commit, may run twice and at once, and end with the same books."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import closing
import factories
import pytest
from closing import LONG_AFTER, Week
from conftest import make_database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from payments import jobs, reports, worktime
from payments.due_lines import lines_of
from payments.earnings import Earning
from payments.floors import NoRule
from payments.ledger_checks import Check, checks
from payments.payouts import PayoutState, RunState, payouts_of, runs_of
from payments.payslips import payslips_in
from payments.periods import PeriodState, get_period, periods, settled_until, start_of
from payments.reconciliation import recheck
from payments.reports import Report, ReportKind, ReportState, checks_of
from payments.signed_note import verify_note
from payments.transparency import PendingEntry, latest_checkpoint, size
from tasks import jobs as task_jobs
from tasks import queue
from tasks.db import Base, engine_for, transaction
from tasks.progress import progress_of

KEY = sha256(b"a key for tests").hexdigest()


@pytest.fixture
def books(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A database that jobs may commit to; the clock is the system's."""
    name = f"fairlabel_jobs_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    url = make_database(server_url, name)
    for variable, value in (
        ("DATABASE_URL", url),
        ("FAIRLABEL_INSTANCE", "test"),
        ("FAIRLABEL_CLOCK", "system"),
        ("PAYMENTS_LOG_KEY", KEY),
        ("PAYMENTS_PAYER", "Work Ltd"),
    ):
        monkeypatch.setenv(variable, value)
    task_jobs.settings.cache_clear()
    jobs.settings.cache_clear()
    made = engine_for(url, task_jobs.settings().database_pool)
    Base.metadata.create_all(made)
    yield made
    task_jobs.settings.cache_clear()
    jobs.settings.cache_clear()
    made.dispose()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """What goes to the broker."""
    messages: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(queue.celery, "send_task", lambda name, args: messages.append((name, tuple(args))))
    return messages


@pytest.fixture
def week(books: Engine, sent: list[tuple[str, tuple[str, ...]]]) -> Week:
    """Last week, worked and not closed."""
    tuesday = start_of(datetime.now(UTC)) - timedelta(days=6) + timedelta(hours=6)
    with transaction(books) as session:
        made = closing.week(session, tuesday)
    sent.clear()
    return made


def wrong(session: Session) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in recheck(session, LONG_AFTER) if not check.ok]


def test_a_week_that_is_over_is_closed_paid_and_logged(
    books: Engine, week: Week, sent: list[tuple[str, tuple[str, ...]]]
) -> None:
    jobs.close_due_periods()
    assert sent == [("payments.close_period", (str(week.period.id),))]
    with ThreadPoolExecutor(2) as both:
        list(both.map(jobs.close_period, [str(week.period.id)] * 2))
    jobs.close_period(str(week.period.id))
    for _ in range(2):
        jobs.make_payout_files()
        jobs.sequence_log()
    sent.clear()
    jobs.close_due_periods()
    assert sent == []
    with transaction(books) as session:
        period = get_period(session, week.period.id)
        assert period.state == PeriodState.CLOSED
        assert settled_until(session) == period.ends_at
        assert len(lines_of(session, period.id)) == 5
        assert {slip.document["payer"] for slip in payslips_in(session, period.id)} == {"Work Ltd"}
        assert [run.state for run in runs_of(session, period.id)] == [RunState.FILE_MADE] * 2
        assert [one.state for one in payouts_of(session, week.amina.id)] == [PayoutState.IN_TRANSIT]
        assert wrong(session) == []
        done = progress_of(session, period.id)
        assert done is not None
        assert (done.done, done.total) == (2, 2)
        assert session.scalar(select(func.count()).select_from(PendingEntry)) == 0
        head = latest_checkpoint(session)
        assert head is not None
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEY))
        signed = verify_note(head.note, key.public_key())
        assert (signed.origin, signed.size) == ("fairlabel.local/log", size(session))


def test_the_sweep_finds_what_was_not_recorded(books: Engine, week: Week) -> None:
    at = week.period.starts_at + timedelta(days=5)
    with transaction(books) as session:
        batch = closing.paid_batch(session, at, "KES", "30", name="More")
        factories.answer(session, factories.assignment(session, batch, week.amina, at), at)
        late = worktime.declare(
            session,
            worker_id=week.amina.id,
            batch_id=batch.id,
            start=at - timedelta(hours=3),
            end=at,
            reason="no network",
            now=at,
        )
        late.decide_by = at + timedelta(minutes=1)
    for _ in range(2):
        jobs.sweep()
    with transaction(books) as session:
        assert session.scalar(select(func.count()).where(Earning.batch_id == batch.id)) == 1
        assert worktime.get_declaration(session, late.id).accepted_by == "silence"


def test_a_simulated_instance_is_closed_by_whoever_turns_its_clock(
    books: Engine, week: Week, sent: list[tuple[str, tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLABEL_CLOCK", "simulated")
    task_jobs.settings.cache_clear()
    jobs.close_due_periods()
    assert sent == []
    with transaction(books) as session:
        assert {one.state for one in periods(session)} == {PeriodState.OPEN}


@pytest.fixture
def closed(books: Engine, week: Week, sent: list[tuple[str, tuple[str, ...]]]) -> Week:
    """Last week, closed and in the log."""
    jobs.close_period(str(week.period.id))
    jobs.sequence_log()
    sent.clear()
    return week


def asked(books: Engine, kind: ReportKind = ReportKind.BOOKS, subject: str = "") -> str:
    with transaction(books) as session:
        return str(reports.ask(session, kind, subject, None, datetime.now(UTC)).id)


def report_of(books: Engine, report_id: str) -> Report:
    with transaction(books) as session:
        return reports.get_report(session, UUID(report_id))


def test_a_report_is_asked_for_and_made_once(
    books: Engine, closed: Week, sent: list[tuple[str, tuple[str, ...]]]
) -> None:
    with ThreadPoolExecutor(4) as many:
        ids = set(many.map(lambda _: asked(books), range(8)))
    (report_id,) = ids
    assert set(sent) == {("payments.make_report", (report_id,))}
    with ThreadPoolExecutor(3) as many:
        list(many.map(jobs.make_report, [report_id] * 3))
    made = report_of(books, report_id)
    assert made.state == ReportState.MADE
    assert made.result is not None
    assert [one for one in checks_of(made) if not one.ok] == []
    jobs.make_report(report_id)
    assert report_of(books, report_id).ended_at == made.ended_at
    assert asked(books) != report_id
    with transaction(books) as session:
        said = progress_of(session, made.id)
        assert said is not None
        assert (said.done, said.total) == (2, 2)


def test_a_report_sees_the_books_of_one_moment(
    books: Engine, closed: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = asked(books)

    def meanwhile(session: Session) -> list[Check]:
        found = checks(session)
        at = closed.period.starts_at + timedelta(days=1)
        with transaction(books) as other:
            third = factories.worker(other, at, name="Chao")
            worktime.record(other, worker_id=third.id, kind="queue_wait", now=at, unit="queue")
            closing.fund(other, f"batch_reserve:{closed.photos.id}:KES", 77, closed.over)
        assert asked(books) == report_id  # which does not disturb the one that is being made
        return found

    with monkeypatch.context() as busy:
        busy.setattr("payments.ledger.checks", meanwhile)
        jobs.make_report(report_id)
    first = report_of(books, report_id)
    assert first.result is not None
    assert [one for one in checks_of(first) if not one.ok] == []
    report_id = asked(books)
    jobs.make_report(report_id)
    second = report_of(books, report_id)
    assert second.result is not None
    assert second.result["journal"] == first.result["journal"] + 1
    failed: dict[str, str] = {one.name: one.detail for one in checks_of(second) if not one.ok}
    assert "the line is missing" in failed["every line is what the facts say"]


def test_the_sweep_sends_what_was_lost_and_asks_for_what_is_old(
    books: Engine, closed: Week, sent: list[tuple[str, tuple[str, ...]]]
) -> None:
    jobs.sweep_reports()
    with transaction(books) as session:
        first = {(one.kind, one.subject): one for one in session.scalars(select(Report))}
    assert set(first) == {("books", ""), ("hours", closed.period.code)}
    sent.clear()
    jobs.sweep_reports()  # as if all messages had been lost
    assert set(sent) == {("payments.make_report", (str(one.id),)) for one in first.values()}
    for one in first.values():
        jobs.make_report(str(one.id))
    sent.clear()
    jobs.sweep_reports()
    assert sent == []
    with transaction(books) as session:
        reports.sweep(session, datetime.now(UTC) + timedelta(days=2))
    (message,) = sent  # the books, and not the hours of a week that was closed when they were counted
    assert report_of(books, message[1][0]).kind == "books"


def test_the_hours_of_an_open_week_are_counted_each_hour_and_once_more_when_it_is_closed(
    books: Engine, week: Week, sent: list[tuple[str, tuple[str, ...]]]
) -> None:
    jobs.make_report(asked(books, ReportKind.HOURS, week.period.code))
    at, hour = datetime.now(UTC), timedelta(hours=1)
    with transaction(books) as session:
        counted = reports.newest(session, ReportKind.HOURS, week.period.code)
        assert counted is not None
        assert counted.result is not None
        assert counted.result["final"] is False
        assert set(counted.result["workers"]) == {str(week.amina.id), str(week.brian.id)}
        assert not renewed(session, at + hour / 2)
    with transaction(books) as session:
        assert renewed(session, at + 2 * hour)
        session.rollback()
    jobs.close_period(str(week.period.id))
    with transaction(books) as session:
        assert renewed(session, at + hour / 4)


def renewed(session: Session, at: datetime) -> bool:
    """Sweep, and say whether hours were asked for."""
    reports.sweep(session, at)
    waiting = select(Report.id).where(Report.kind == "hours", Report.ended_at.is_(None))
    return session.scalar(waiting) is not None


def test_a_report_that_cannot_be_made_is_given_up_and_a_worker_that_cannot_be_computed_is_named(
    books: Engine, closed: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = asked(books)
    monkeypatch.setitem(reports.MAKERS, ReportKind.BOOKS, lambda *_: 1 / 0)
    jobs.make_report(report_id)
    assert report_of(books, report_id).state == ReportState.FAILED
    monkeypatch.undo()
    with transaction(books) as session:
        session.execute(text("ALTER TABLE pay_rule DISABLE TRIGGER USER"))
        session.execute(text("DELETE FROM pay_rule"))
    report_id = asked(books)
    jobs.make_report(report_id)
    made = report_of(books, report_id)
    assert made.result is not None
    failed: dict[str, str] = {one.name: one.detail for one in checks_of(made) if not one.ok}
    assert f"worker {closed.amina.id}: {NoRule.__doc__}" in failed["every line is what the facts say"]
