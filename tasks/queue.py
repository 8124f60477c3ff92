"""The Celery application and the one way to send a job: after the commit.

A job takes ids, reads again, and may run twice or late. A message may be lost at any time: each kind of job has a
sweep that finds its work in the database, so losing one costs time and nothing else.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from sqlalchemy.orm import Session

from tasks.db import after_commit
from tasks.settings import TaskSettings

log = logging.getLogger(__name__)

celery = Celery("fairlabel", set_as_current=False)
celery.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_time_limit=900,
    task_soft_time_limit=840,
    worker_soft_shutdown_timeout=10,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=4,
    broker_transport_options={
        "visibility_timeout": 1800,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
    },
    task_publish_retry=False,
    task_default_queue="work",
    timezone="UTC",
)


def configure(settings: TaskSettings) -> None:
    """Point the queue at its broker."""
    celery.conf.broker_url = settings.broker_url


def when_ready(action: Callable[[], None]) -> None:
    """Do something once this process, as a worker, takes jobs."""
    worker_ready.connect(lambda **_: action(), weak=False)


def broker_answers() -> str:
    """Connect to the broker once; give its address without its password. Raises the driver's error."""
    with celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=4)
        return str(connection.as_uri())


def workers_alive(seconds: float = 2.0) -> list[str]:
    """Name the workers that answer."""
    return sorted(name for answer in celery.control.ping(timeout=seconds) for name in answer)


def job(name: str, *, queue: str = "work") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a job; the function stays callable by itself."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        celery.task(name=name)(function)
        celery.conf.task_routes = {**(celery.conf.task_routes or {}), name: {"queue": queue}}
        return function

    return register


def enqueue(session: Session, name: str, *arguments: Any) -> None:
    """Send a job once the session's transaction is committed; a broker that is down is logged, a sweep makes up."""

    def send() -> None:
        try:
            celery.send_task(name, args=arguments)
        except Exception:
            log.exception("job %s%r was not sent; the sweep will find its work", name, arguments)

    after_commit(session, send)
