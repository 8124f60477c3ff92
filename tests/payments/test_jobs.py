"""The jobs, on a database of their own: they commit, may run twice and at once, and end with the same books."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import closing
import factories
import pytest
from closing import LONG_AFTER, Week
from conftest import make_database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from payments import jobs, worktime
from payments.due_lines import lines_of
from payments.earnings import Earning
from payments.payouts import PayoutState, RunState, payouts_of, runs_of
from payments.payslips import payslips_in
from payments.periods import PeriodState, get_period, periods, settled_until, start_of
from payments.reconciliation import recheck
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
