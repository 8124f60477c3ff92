"""The queue with real workers: messages lost, doubled, and in the hands of a worker that is killed.

The tests take the part of beat: they send the sweeps, so that nothing waits for a period to pass.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import factories
import pytest
from brokers import KINDS, Broker
from conftest import own_database
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from annotate import worker
from annotate.commands.up import worker_service
from annotate.stack.home import Home
from annotate.stack.process import Process
from annotate.stack.throw_away import directory
from payments.earnings import Earning
from tasks import intake, queue
from tasks.answers import Answer
from tasks.assignments import Assignment, AssignmentState
from tasks.batches import Batch
from tasks.consensus import Consensus
from tasks.db import transaction
from tasks.intake import Upload, UploadState
from tasks.items import Item, Slot
from tasks.queue import celery
from tasks.settings import QUEUES, TaskSettings

ROWS = 60
LIMIT = 90.0
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@dataclass
class Instance:
    """A database and a broker, the workers that were started on them, and a batch that is being worked on."""

    engine: Engine
    broker: Broker
    home: Home
    env: dict[str, str]
    batch: Batch
    people: list[UUID]
    workers: list[Process] = field(default_factory=list)

    def start_worker(self) -> Process:
        """Start a worker without beat."""
        service = worker_service(self.home, self.env)
        process = Process(service)
        self.workers.append(process)
        process.wait_ready()
        return process

    def answer(self, copies: int) -> int:
        """Let everybody answer so many items more; gives how many answers that were."""
        stored = 0
        for worker_id in self.people:
            for _ in range(copies):
                with transaction(self.engine) as session:
                    now = datetime.now(UTC)
                    batch = session.get_one(Batch, self.batch.id)
                    for held in factories.claim(session, batch, worker_id, now):
                        factories.answer(session, held, now)
                        stored += 1
        return stored

    def upload(self, rows: int = ROWS) -> UUID:
        """Send a file for a new batch."""
        with transaction(self.engine) as session:
            now = datetime.now(UTC)
            batch = factories.batch(session, now, items=0)
            file = "".join(f'{{"key": "u{n}", "text": "message {n}"}}\n' for n in range(rows))
            return intake.receive(session, batch, "file.jsonl", [file.encode()], now).id

    def wait(self, done: Callable[[Session], bool], *sweeps: str) -> None:
        """Wait until it is so; the sweeps are sent again and again, as beat does."""
        deadline = time.monotonic() + LIMIT
        while True:
            for name in sweeps:
                celery.send_task(name)
            for _ in range(8):
                with transaction(self.engine) as session:
                    if done(session):
                        return
                time.sleep(0.05)
            assert time.monotonic() < deadline, "the jobs did not come to their end"

    def imported(self, upload_id: UUID) -> Callable[[Session], bool]:
        """Tell whether a file has become items."""
        return lambda session: session.get_one(Upload, upload_id).state == UploadState.IMPORTED


def checked(session: Session) -> bool:
    """Tell whether every item's outcome has seen all of its answers."""
    counted = (
        select(Answer.item_id, func.count().label("answers"))
        .where(Answer.is_current)
        .group_by(Answer.item_id)
        .subquery()
    )
    behind = (
        select(func.count())
        .select_from(counted)
        .outerjoin(Consensus, Consensus.item_id == counted.c.item_id)
        .where(Consensus.answers.is_distinct_from(counted.c.answers))
    )
    return session.scalar(behind) == 0


def ended(session: Session) -> int | None:
    """Count the assignments that have come to their end."""
    return session.scalar(select(func.count()).where(Assignment.state != AssignmentState.LEASED))


def earned(session: Session) -> int | None:
    """Count the earnings."""
    return session.scalar(select(func.count()).select_from(Earning))


@pytest.fixture(scope="module", params=KINDS)
def instance(request: pytest.FixtureRequest, server_url: str) -> Iterator[Instance]:
    root = directory()
    home = Home(root, root / "run")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        for place in (home.run, home.logs):
            place.mkdir(mode=0o711)
        broker = stack.enter_context(KINDS[request.param](home))
        engine = stack.enter_context(own_database(server_url, f"queue_{request.param}"))
        now = datetime.now(UTC)
        with transaction(engine) as session:
            factories.floors(session, now)
            batch = factories.opened_batch(session, now, items=12, answers_wanted=3)
            people = [factories.worker(session, now).id for _ in range(3)]
        settings = TaskSettings(
            database_url=engine.url.render_as_string(hide_password=False),
            broker_url=broker.url,
            fairlabel_instance="test",
        )
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLABEL_", "PG"))}
        env |= {"DATABASE_URL": settings.database_url, "BROKER_URL": broker.url, "FAIRLABEL_INSTANCE": "test"}
        env |= {"FAIRLABEL_HOME": str(root)}
        with talking_to(settings):
            made = Instance(engine, broker, home, env, batch, people)
            made.start_worker()
            yield made
            for process in made.workers:
                process.stop()


@contextlib.contextmanager
def talking_to(settings: TaskSettings) -> Iterator[None]:
    """Let this process send its jobs to a broker."""
    queue.configure(settings)
    celery._after_fork()
    try:
        yield
    finally:
        queue.configure(TaskSettings(database_url="", broker_url="memory://"))
        celery._after_fork()


def test_jobs_are_done_without_any_sweep(instance: Instance) -> None:
    upload = instance.upload()
    assert instance.answer(1) == 3
    instance.wait(instance.imported(upload))
    instance.wait(checked)


def test_what_a_broker_forgets_is_found_by_the_sweeps(instance: Instance) -> None:
    uploads = [instance.upload(), instance.upload()]
    instance.answer(2)
    instance.broker.empty()
    instance.answer(1)
    instance.broker.empty()
    instance.wait(checked, "annotate.sweep_items")
    for upload in uploads:
        instance.wait(instance.imported(upload), "tasks.sweep_uploads")
    with transaction(instance.engine) as session:
        assert {session.get_one(Upload, upload).rows_good for upload in uploads} == {ROWS}


def test_messages_that_come_twice_count_once(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    send = celery.send_task

    def twice(name: str, *arguments: Any, **options: Any) -> None:
        send(name, *arguments, **options)
        send(name, *arguments, **options)

    monkeypatch.setattr(celery, "send_task", twice)
    upload = instance.upload()
    instance.answer(2)
    instance.wait(instance.imported(upload))
    instance.wait(checked)
    instance.wait(lambda session: ended(session) == earned(session), "payments.sweep")
    with transaction(instance.engine) as session:
        stored = session.get_one(Upload, upload)
        assert (stored.rows_good, stored.rows_known, stored.rows_bad) == (ROWS, 0, 0)
        of_batch = select(func.count()).where(Item.batch_id == stored.batch_id)
        assert session.scalar(of_batch) == ROWS
        assert session.scalar(select(func.count()).where(Slot.batch_id == stored.batch_id)) == 3 * ROWS


def test_a_worker_that_is_killed_leaves_nothing_undone_and_nothing_half(instance: Instance) -> None:
    sweeps = ("annotate.sweep_items", "tasks.sweep_uploads")
    with transaction(instance.engine) as session:
        item = session.scalars(select(Item).where(Item.batch_id == instance.batch.id)).all()
        session.execute(select(Item).where(Item.id.in_([one.id for one in item])).with_for_update())
        session.execute(text("LOCK TABLE slot IN SHARE MODE"))
        upload = instance.upload()
        with Session(instance.engine) as other, other.begin():
            queue.enqueue(other, "tasks.check_items", [item[0].id])
        waiting = (
            select(func.count())
            .select_from(text("pg_stat_activity"))
            .where(text("datname = current_database() AND wait_event_type = 'Lock'"))
        )
        deadline = time.monotonic() + LIMIT
        while (session.scalar(waiting) or 0) < 2:
            assert time.monotonic() < deadline, "the worker took no jobs"
            time.sleep(0.02)
        for process in instance.workers:
            os.killpg(process.pid, signal.SIGKILL)
            process.popen.wait()
    with transaction(instance.engine) as session:
        assert session.get_one(Upload, upload).state == UploadState.RECEIVED
        batch_id = session.get_one(Upload, upload).batch_id
        assert session.scalar(select(func.count()).where(Item.batch_id == batch_id)) == 0
    instance.start_worker()
    again = () if instance.broker.hands_out_again else sweeps
    instance.wait(instance.imported(upload), *again)
    instance.wait(checked, *again)


def test_every_job_is_a_sweep_or_has_one_and_the_table_for_operators_says_so() -> None:
    worker.load_jobs()
    ours = {name for name in celery.tasks if name.startswith(("tasks.", "payments.", "annotate."))}
    assert set(worker.SCHEDULE) | set(worker.SWEPT_BY) == ours
    assert not set(worker.SCHEDULE) & set(worker.SWEPT_BY)
    assert set(worker.SWEPT_BY.values()) <= set(worker.SCHEDULE)
    routes = celery.conf.task_routes
    assert {routes[name]["queue"] for name in ours} == set(QUEUES)
    page = OPERATIONS.read_text(encoding="utf-8")
    for name, sweep in worker.SWEPT_BY.items():
        assert f"| `{name}` | {routes[name]['queue']} | `{sweep}`, every {worker.SCHEDULE[sweep]} s |" in page
    for name, seconds in worker.SCHEDULE.items():
        assert f"| `{name}` | {routes[name]['queue']} | every {seconds} s |" in page


def test_jobs_are_acknowledged_late_have_a_time_limit_and_keep_no_results() -> None:
    told = celery.conf
    assert (told.task_acks_late, told.task_reject_on_worker_lost, told.task_ignore_result) == (
        True,
        True,
        True,
    )
    assert (told.result_backend, told.accept_content, told.task_serializer) == (None, ["json"], "json")
    assert told.task_soft_time_limit < told.task_time_limit < queue.REDIS_OPTIONS["visibility_timeout"]
