"""Brokers for the tests of the queue: the embedded one, and whatever Redis and RabbitMQ run here on their own ports.

Of a server that others use, too, a test takes a database or a virtual host of its own and leaves nothing in it.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis
from kombu.connection import Connection

from annotate.stack.home import Home
from annotate.stack.process import Process
from annotate.stack.throw_away import HOST
from annotate.stack.valkey import Valkey
from tasks.settings import QUEUES

REDIS_DATABASE = 13
RABBITMQ = f"amqp://guest:guest@{HOST}:5672"


@dataclass(frozen=True)
class Broker:
    """A running broker: its address, how to make it forget everything, and whether it hands out again at once."""

    url: str
    empty: Callable[[], object]
    hands_out_again: bool = False


@contextlib.contextmanager
def embedded(home: Home) -> Iterator[Broker]:
    """Start the Valkey of `fairlabel up`."""
    valkey = Valkey(home)
    valkey.prepare()
    process = Process(valkey.service())
    try:
        process.wait_ready()
        with redis.Redis(unix_socket_path=str(valkey.socket)) as client:
            yield Broker(home.broker_url, client.flushall)
    finally:
        process.stop()


@contextlib.contextmanager
def on_redis(_: Home) -> Iterator[Broker]:
    """Take an empty database of the Redis at its standard port."""
    with redis.Redis(host=HOST, db=REDIS_DATABASE + _worker_number(), socket_connect_timeout=1) as client:
        try:
            used = client.dbsize()
        except redis.ConnectionError:
            pytest.skip("no Redis answers at its standard port")
        if used:
            pytest.skip("the test's database of this Redis is in use")
        try:
            yield Broker(f"redis://{HOST}:6379/{REDIS_DATABASE + _worker_number()}", client.flushdb)
        finally:
            client.flushdb()


@contextlib.contextmanager
def on_rabbitmq(_: Home) -> Iterator[Broker]:
    """Make a virtual host on the RabbitMQ at its standard port."""
    program = shutil.which("rabbitmqctl")
    try:
        with Connection(RABBITMQ, connect_timeout=2) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1)
    except OSError:
        pytest.skip("no RabbitMQ answers at its standard port")
    if program is None:
        pytest.skip("rabbitmqctl is not here to make a virtual host")
    name = f"fairlabel_test_{os.getpid()}"
    control = [program, "--quiet"]
    subprocess.run([*control, "add_vhost", name], check=True, capture_output=True)
    try:
        subprocess.run([*control, "set_permissions", "-p", name, "guest", ".*", ".*", ".*"], check=True)
        url = f"{RABBITMQ}/{name}"
        yield Broker(url, lambda: _purge(url), hands_out_again=True)
    finally:
        subprocess.run([*control, "delete_vhost", name], check=True, capture_output=True)


KINDS: dict[str, Callable[[Home], contextlib.AbstractContextManager[Broker]]] = {
    "embedded": embedded,
    "redis": on_redis,
    "rabbitmq": on_rabbitmq,
}


def _purge(url: str) -> None:
    with Connection(url) as connection:  # type: ignore[no-untyped-call]
        for name in QUEUES:
            connection.default_channel.queue_purge(name)


def _worker_number() -> int:
    """Keep test processes that run at once apart."""
    return int("0" + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")) % 2
