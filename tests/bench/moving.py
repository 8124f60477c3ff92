"""Items in and answers out over the API of a whole instance, against PostgreSQL copying the same rows."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import environ
from pathlib import Path
from typing import Any
from uuid import UUID

import factories
import httpx
import psutil
import psycopg
from bench.starting import fresh_home

from annotate import api_steps
from annotate.api_client import Api
from annotate.stack.home import Home
from annotate.stack.throw_away import bootstrap, free_port

PEER_IMPORT = "2,590/s, 38 s CPU"
"""Label Studio on SQLite at 100,000 items, the best peer."""
PEER_EXPORT = "920/s doccano; 490/s, 47 s CPU"
"""doccano at 10,000 rows, the best peer; Label Studio at 30,000, which counted its CPU."""
ANSWERED = """
INSERT INTO assignment (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until,
    ended_at)
SELECT gen_random_uuid(), slot.id, item_id, slot.batch_id, (%(workers)s::uuid[])[copy], 'submitted', false, '', now(),
    now(), now()
FROM slot WHERE slot.batch_id = %(batch)s;
"""
VALUES = """
INSERT INTO answer (submission_id, assignment_id, item_id, batch_id, worker_id, version, is_current, value, origin,
    submitted_at)
SELECT gen_random_uuid(), id, item_id, batch_id, worker_id, 1, true, '{"sentiment": "positive"}', 'human', now()
FROM assignment WHERE batch_id = %(batch)s;
"""


@dataclass(frozen=True)
class Moved:
    """How many things moved in a second, ours and PostgreSQL's alone; CPU seconds of all processes; a peak in bytes."""

    rate: float
    alone: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Instance:
    """A running instance: its requester's connection, its database, its processes."""

    requester: Api
    operator: Api
    database_url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Give the CPU time so far of all its processes."""
        times = [child.cpu_times() for child in self.process.children(recursive=True)]
        return float(sum(one.user + one.system for one in times))

    def peak(self, program: str) -> int:
        """Read the most memory that one of its programs has used, in bytes."""
        for child in self.process.children(recursive=True):
            if program in " ".join(child.cmdline()):
                told = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
                found = re.search(r"VmHWM:\s+(\d+) kB", told)
                assert found
                return int(found[1]) * 1024
        raise LookupError(program)

    def batch(self, name: str) -> str:
        """Make a batch; gives its id."""
        project = api_steps.project(self.requester, "Bench", "To measure.", factories.example())
        return str(api_steps.batch(self.requester, project, name, answers_wanted=3, answers_max=3)["id"])


@contextmanager
def instance() -> Iterator[Instance]:
    """Run `fairlabel up` on an empty directory, with an operator and a requester."""
    with fresh_home() as root:
        port = free_port()
        env = {name: value for name, value in environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}}
        env |= {"FAIRLABEL_HOME": str(root), "FAIRLABEL_INSTANCE": "test"}
        command = [sys.executable, "-m", "annotate.cli", "up", "--port", str(port), "--json"]
        up = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert up.stdout is not None
            url = json.loads(up.stdout.readline())["url"]
            database_url, known_from = (
                Home(root, root / "run").database_url,
                datetime.now(UTC) - timedelta(hours=1),
            )
            operator = Api(url, bootstrap(database_url, known_from))
            token, _ = api_steps.join(operator, "bench", "requester", "r@bench.example", None, name="Bench")
            yield Instance(Api(url, token), operator, database_url, psutil.Process(up.pid))
        finally:
            up.terminate()
            up.wait()


def imported(here: Instance, items: int) -> Moved:
    """Upload a file and wait until the last row is stored; the same rows are then copied into tables like ours."""
    batch = here.batch(f"{items} items")
    text = "the order arrived late but support answered fast and refunded shipping while my second parcel still waits"
    rows = [(f"k{n}", f"{text} and waits {n}") for n in range(items)]
    file = "".join(json.dumps({"key": key, "text": text}) + "\n" for key, text in rows).encode()
    began, used = time.perf_counter(), here.cpu_seconds()
    state = api_steps.upload(here.requester, batch, "items.jsonl", file)
    took, used = time.perf_counter() - began, here.cpu_seconds() - used
    assert state["rows_good"] == items
    with psycopg.connect(here.database_url) as connection, connection.cursor() as cursor:
        for table in ("item", "slot"):
            cursor.execute(f"CREATE TEMP TABLE bench_{table} (LIKE {table} INCLUDING ALL)")
        began = time.perf_counter()
        with cursor.copy("COPY bench_item (batch_id, key, line, data, meta) FROM STDIN") as copy:
            for line, (key, text) in enumerate(rows, 1):
                copy.write_row((batch, key, line, json.dumps({"text": text}), "{}"))
        with cursor.copy("COPY bench_slot (item_id, batch_id, copy, state, order_key) FROM STDIN") as copy:
            for number in range(3 * items):
                copy.write_row((number // 3, batch, number % 3, "waiting", number))
        alone = time.perf_counter() - began
        connection.rollback()
    return Moved(items / took, items / alone, used, here.peak("annotate.cli worker"))


def exported(here: Instance, items: int) -> Moved:
    """Export a batch with three answers to each item; PostgreSQL alone copies the same columns out."""
    batch = here.batch(f"{items} answered")
    file = "".join(json.dumps({"key": f"k{n}", "text": f"message {n} " * 20}) + "\n" for n in range(items))
    api_steps.upload(here.requester, batch, "items.jsonl", file.encode())
    workers = [_worker(here, number) for number in range(3)]
    with psycopg.connect(here.database_url) as connection:
        connection.execute(ANSWERED, {"workers": workers, "batch": batch})
        connection.execute(VALUES, {"batch": batch})
    path, params = f"{here.requester.url}/api/v1/batches/{batch}/export", {"kind": "jsonl"}
    headers, answers = {"authorization": f"Bearer {here.requester.token}"}, 0
    began, used = time.perf_counter(), here.cpu_seconds()
    with httpx.stream("GET", path, params=params, headers=headers, timeout=600) as told:
        for line in told.iter_lines():
            answers += line.count('"submitted_at"')
    took, used = time.perf_counter() - began, here.cpu_seconds() - used
    assert answers == 3 * items
    copied = 0
    columns = "item.*, answer.value, answer.worker_id, answer.submitted_at, answer.version, answer.origin"
    rows = f"item JOIN answer ON item_id = item.id AND is_current WHERE item.batch_id = '{UUID(batch)}'"
    query = f"COPY (SELECT {columns} FROM {rows} ORDER BY item.id, answer.id) TO STDOUT"
    with psycopg.connect(here.database_url) as connection:
        began = time.perf_counter()
        with connection.cursor().copy(query) as copy:
            for block in copy:
                copied += len(block)
        alone = time.perf_counter() - began
    assert copied
    return Moved(answers / took, answers / alone, used, here.peak("annotate.app:create_app"))


def _worker(here: Instance, number: int) -> Any:
    email = f"w{number}@bench.example"
    person: dict[str, Any] = {"name": "Worker", "place": "KE", "languages": ["en"]}
    return UUID(api_steps.join(here.operator, "bench", "worker", email, None, **person)[1]["id"])
