"""The Celery application and the one way to send a job: after the commit.

A job takes ids, reads again, and may run twice or late. A message may be lost at any time: each kind of job has a
sweep that finds its work in the database, so losing one costs time and nothing else.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from kombu.entity import Exchange, Queue
from sqlalchemy.orm import Session

from tasks.db import after_commit, engine_for
from tasks.settings import QUEUES, TaskSettings

GATHERED_SECONDS: Final = 0.1
MESSAGE_ITEMS_MAX: Final = 500

log = logging.getLogger(__name__)

JOB_SECONDS: Final = 840
"""So long may one job take, and one statement of it."""
DELIVERIES_MAX: Final = 20
"""So often RabbitMQ hands out a message whose workers died over it; then it is dropped, and the sweep sends another."""
REDIS_OPTIONS: Final = {
    "visibility_timeout": 1800,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}
"""What nobody has acknowledged is handed out again after twice the longest job; looked for every ten seconds."""
RABBITMQ_OPTIONS: Final = {"confirm_publish": True}
"""A message counts as sent once most of the broker's nodes hold it."""

celery = Celery("fairlabel", set_as_current=False)
celery.conf.update(
    broker_url="memory://",
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_time_limit=JOB_SECONDS + 60,
    task_soft_time_limit=JOB_SECONDS,
    worker_soft_shutdown_timeout=10,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=4,
    broker_native_delayed_delivery_queue_type="classic",
    task_publish_retry=False,
    task_default_queue="work",
    task_create_missing_queues=False,
    task_queues=[
        # Redis and Valkey pass over the arguments.
        Queue(  # type: ignore[no-untyped-call]
            name,
            Exchange(name),  # type: ignore[no-untyped-call]
            routing_key=name,
            queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": DELIVERIES_MAX},
        )
        for name in QUEUES
    ],
    timezone="UTC",
)


# A forked worker process takes no connection of its parent's.
worker_process_init.connect(lambda **_: engine_for.cache_clear(), weak=False)


def configure(settings: TaskSettings) -> None:
    """Point the queue at its broker."""
    celery.conf.broker_url = settings.broker_url
    on_rabbitmq = settings.broker_url.startswith(("amqp:", "amqps:"))
    celery.conf.broker_transport_options = dict(RABBITMQ_OPTIONS if on_rabbitmq else REDIS_OPTIONS)


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
    after_commit(session, lambda: _send(name, arguments))


def enqueue_check(session: Session, item_id: int) -> None:
    """Have an item's answers looked at once the session's transaction is committed.

    What is committed within a moment goes as one message: a look at a hundred items costs little more than at one.
    """
    after_commit(session, lambda: _gathered.add(item_id))


class _Gathered:
    """Items to be looked at, until their message is sent; a process that ends sends them first."""

    def __init__(self) -> None:
        self._items: set[int] = set()
        self._lock = threading.Lock()

    def add(self, item_id: int) -> None:
        with self._lock:
            first = not self._items
            self._items.add(item_id)
        if first:
            threading.Timer(GATHERED_SECONDS, self._send).start()

    def _send(self) -> None:
        with self._lock:
            items, self._items = sorted(self._items), set()
        for start in range(0, len(items), MESSAGE_ITEMS_MAX):
            _send("tasks.check_items", (items[start : start + MESSAGE_ITEMS_MAX],))


_gathered = _Gathered()


def _send(name: str, arguments: Sequence[Any]) -> None:
    try:
        celery.send_task(name, args=arguments)
    except Exception:
        log.exception("job %s%r was not sent; the sweep will find its work", name, arguments)
