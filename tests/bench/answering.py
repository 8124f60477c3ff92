"""Answering over HTTP as a worker's page does it, and pgbench doing the same SQL: CPU per answer, and its time.

One request stores the answer with its time and its earning and brings the next item, whose clock starts. The CPU is
that of our own processes: web, PostgreSQL, and the worker process where the looks at items are counted.
"""

import hashlib
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psutil
from bench.databases import ANSWER, SECONDS, prepared
from sqlalchemy import Engine, text

from annotate import auth
from annotate.commands.up import web_service, worker_service
from annotate.stack.home import Home
from annotate.stack.postgres import find_programs
from annotate.stack.process import Process
from annotate.stack.throw_away import directory, free_port
from annotate.stack.valkey import Valkey
from payments import proofs
from tasks import answers, permits
from tasks.batches import Batch
from tasks.db import transaction

HOST = "127.0.0.1"
NEXT = "n=1&begin=true&html=false&brief=true"
CHECKED_WITHIN = 120
"""Seconds after the last answer."""


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds per answer by program, answers per second, and the milliseconds that one takes."""

    parts: dict[str, float]
    rate: float
    p50: float = 0.0
    p99: float = 0.0

    @property
    def cpu(self) -> float:
        """All programs together."""
        return sum(self.parts.values())


def over_http(server: str, items: int, clients: int, *, checked: bool) -> Cost:
    """Let closed-loop workers answer; `checked` has a real worker process look at the items, and counts it."""
    engine, batch, workers = prepared(server, f"http_{items}_{clients}_{checked}", items)
    with transaction(engine) as session:
        tokens = [_token(session, one) for one in workers[:clients]]
    with instance(engine, worker=checked) as (address, processes):
        _work(address, batch.id, tokens, 1.0)
        _learn(engine)
        before = _used(processes)
        times = _work(address, batch.id, tokens, SECONDS)
        if checked:
            _wait_for_checks(engine)
        used = _used(processes)
    engine.dispose()
    parts = {name: 1000 * (used[name] - before[name]) / len(times) for name in used}
    cuts = quantiles(times, n=100)
    return Cost(parts, len(times) / SECONDS, 1000 * cuts[49], 1000 * cuts[98])


def by_pgbench(server: str, folder: Path, items: int, clients: int) -> Cost:
    """Let pgbench run the statements of the same request, all in one transaction, prepared."""
    engine, batch, workers = prepared(server, f"pgbench_{items}_{clients}", items)
    now = datetime.now(UTC)
    with transaction(engine) as session:
        for number, worker in enumerate(workers[:clients]):
            session.add(auth.Ticket(token_hash=f"client{number}", kind="api", person_id=worker, made_at=now))
            permits.grant(session, worker, batch.id, now, now.replace(year=now.year + 1))
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    script = folder / "same.sql"
    script.write_text(_same_statements(batch), encoding="utf-8")
    program = find_programs(Path(tempfile.gettempdir()), None).directory / "pgbench"
    command = [
        str(part) for part in (program, "-n", "-M", "prepared", "-c", clients, "-f", script, url, "-T")
    ]
    subprocess.run([*command, "1"], capture_output=True, check=True)
    _learn(engine)
    engine.dispose()
    time.sleep(1)  # until the servers of the first run are gone
    before, children = _postgres(), _children()
    done = subprocess.run([*command, str(SECONDS)], capture_output=True, text=True, check=True)
    count = re.search(r"transactions actually processed: (\d+)", done.stdout)
    assert count, done.stdout
    each = 1000 / int(count[1])
    parts = {"pgbench": (_children() - children) * each, "PostgreSQL": (_postgres() - before) * each}
    return Cost(parts, int(count[1]) / SECONDS)


@contextmanager
def instance(engine: Engine, *, worker: bool) -> Iterator[tuple[str, dict[str, Process]]]:
    """Run the web process, and a worker with its broker, as `fairlabel up` does; gives address and processes."""
    root = directory()
    home = Home(root, root / "run")
    for place in (home.run, home.logs):
        place.mkdir(mode=0o711)
    port = free_port()
    env = os.environ | {
        "DATABASE_URL": engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "BROKER_URL": home.broker_url if worker else "memory://",
        "FAIRLABEL_HOME": str(home.root),
        "FAIRLABEL_BASE_URL": f"http://{HOST}:{port}",
        "FAIRLABEL_INSTANCE": "test",
        "FAIRLABEL_SECRET_KEY": secrets.token_hex(32),
        "PAYMENTS_LOG_KEY": secrets.token_hex(32),
    }
    services = {"web": web_service(home, env, HOST, port)}
    if worker:
        valkey = Valkey(home)
        valkey.prepare()
        services = {"broker": valkey.service(), "worker": worker_service(home, env), **services}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for name, service in services.items():
            processes[name] = Process(service)
            stack.callback(processes[name].stop)
            processes[name].wait_ready()
        yield f"http://{HOST}:{port}", processes


def _learn(engine: Engine) -> None:
    """Have the planner know the tables as they are after a while of work, as autovacuum would."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def _token(session: Any, worker: UUID) -> str:
    token = secrets.token_urlsafe(16)
    ticket = {"kind": "api", "person_id": worker, "made_at": datetime.now(UTC)}
    session.add(auth.Ticket(token_hash=hashlib.sha256(token.encode()).hexdigest(), **ticket))
    return token


def _work(address: str, batch_id: UUID, tokens: list[str], seconds: float) -> list[float]:
    """Answer for so long; gives how long each request took."""
    times: list[list[float]] = [[] for _ in tokens]
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        place = urlsplit(address)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {"authorization": f"Bearer {tokens[number]}", "content-type": "application/json"}

        def ask(method: str, path: str, body: Any = None) -> Any:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, said
            return json.loads(said)

        found = ask("GET", f"/api/v1/work/{batch_id}/next?{NEXT}")
        while time.monotonic() < until:
            held = found["items"][0]["assignment_id"]
            body = {"submission_id": str(uuid4()), "answer": ANSWER}
            began = time.perf_counter()
            found = ask("PUT", f"/api/v1/assignments/{held}/answer?{NEXT}", body)
            times[number].append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(tokens))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for every in times for one in every]


def _wait_for_checks(engine: Engine) -> None:
    until = time.monotonic() + CHECKED_WITHIN
    while time.monotonic() < until:
        with transaction(engine) as session:
            if not answers.unseen_items(session, 1):
                return
        time.sleep(3)  # to look costs the server, too
    raise TimeoutError(f"items were not looked at within {CHECKED_WITHIN} s")


def _used(processes: dict[str, Process]) -> dict[str, float]:
    """Give the CPU seconds so far by program."""
    found = {name: _of(psutil.Process(process.pid)) for name, process in processes.items()}
    return found | {"PostgreSQL": _postgres()}


def _of(process: psutil.Process) -> float:
    """Give the CPU seconds of a process and of all that it started, ended or not."""
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        own = times.user + times.system + times.children_user + times.children_system
        return float(own) + sum(_of(child) for child in process.children())
    return 0.0


def _postgres() -> float:
    """Give the CPU seconds of the servers among our own children."""
    return sum(_of(one) for one in psutil.Process().children() if one.name() == "postgres")


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _filled(values: dict[str, str], name: re.Match[str]) -> str:
    return values[name[1]]


def _same_statements(batch: Batch) -> str:
    """Write one request's statements for pgbench: the item is claimed first, so that each run stands by itself."""
    value = f"'{json.dumps(ANSWER)}'::jsonb"
    opened = {"kind": "'open'", "at": "now()", "sequence": "0", "unit": ":id::text", "batch": f"'{batch.id}'"}
    opened |= {"assignment": ":id::uuid", "worker": ":viewer_id::uuid"}
    submission = "md5(:place || ' ' || :other || ' ' || :client_id)::uuid"
    steps = [
        (auth.FIND_BY_API, {"token": "'client' || :client_id"}, "\\gset viewer_"),
        (
            "SELECT * FROM claim_slots(%(batch)s,%(worker)s,:client_id,ARRAY[gen_random_uuid()],'{0.5}',:place,now())",
            {"batch": f"'{batch.id}'", "worker": ":viewer_id::uuid"},
            "\\gset",
        ),
        (proofs.RECORD, opened, ";"),
        (
            answers.FACTS,
            {"submission": submission, "assignment": ":id::uuid", "worker": ":viewer_id::uuid"},
            ";",
        ),
        (f"SELECT * FROM store_answer(:id::uuid, :viewer_id::uuid, {submission}, {value}, now())", {}, ";"),
        (proofs.RECORD, opened | {"kind": "'submit'"}, ";"),
        (
            f"SELECT accrue_earning(gen_random_uuid(), :id::uuid, :viewer_id::uuid, '{batch.id}', 'submitted', now())",
            {},
            ";",
        ),
    ]
    lines = [*(rf"\set {name} random(0, 2147483646)" for name in ("place", "other")), "BEGIN;"]
    for statement, values, end in steps:
        filled = re.sub(r"%\((\w+)\)s", partial(_filled, values), statement)
        lines.append(" ".join(filled.split()) + (f" {end}" if end != ";" else end))
    return "\n".join([*lines, "COMMIT;", ""])
