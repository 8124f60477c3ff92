"""The figures of `make bench`: each beside a yardstick measured in the same run, because absolute seconds say little.

    claim+submit   our own functions against pgbench running the same SQL, one client and four
    next+answer    CPU milliseconds per answer through HTTP, at 10,000 and at 100,000 items
    page           bytes of the workspace page, compressed

A durable server would measure the disk; the cluster here forgets everything, so that the ratio shows our own work.
"""

import gzip
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

sys.path.insert(0, str(Path(__file__).parent))

import factories
import httpx
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

import annotate.tables
from annotate import auth
from annotate.stack.postgres import find_programs, throw_away_cluster
from payments import funding, terms
from tasks import answers, assignments
from tasks.batches import Batch
from tasks.db import Base, driver_url, transaction
from tasks.people import get_person

SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
ANSWER = {"sentiment": "positive"}
SAME_SQL = r"""
\set place random(0, 2147483646)
BEGIN;
SELECT pg_advisory_xact_lock(:client_id);
SELECT id FROM batch WHERE id = '{batch}';
SELECT * FROM assignment WHERE batch_id = '{batch}' AND worker_id = '{worker}' AND state = 'leased'
  AND lease_until > now() ORDER BY id;
{claim} \gset
SELECT * FROM assignment WHERE id = ':id';
COMMIT;
BEGIN;
SELECT * FROM assignment WHERE id = ':id' AND worker_id = '{worker}' FOR UPDATE;
SELECT * FROM answer WHERE submission_id = gen_random_uuid();
SELECT definition_id FROM batch WHERE id = '{batch}';
SELECT * FROM definition WHERE id = '{definition}';
SELECT data FROM item WHERE id = :item_id;
UPDATE slot SET state = 'answered' WHERE id = :slot_id AND state = 'leased' RETURNING id;
UPDATE answer SET is_current = false WHERE assignment_id = ':id' AND is_current RETURNING version;
UPDATE assignment SET state = 'submitted', ended_at = now() WHERE id = ':id';
INSERT INTO answer (submission_id, assignment_id, item_id, batch_id, worker_id, version, is_current, value, origin,
  submitted_at) VALUES (gen_random_uuid(), ':id', :item_id, '{batch}', '{worker}', 1, true,
  '{{"sentiment": "positive"}}', 'human', now());
COMMIT;
"""


def main() -> None:
    """Measure and print."""
    table = Table("measure", "ours", "yardstick", "ratio")
    with throw_away_cluster() as server, tempfile.TemporaryDirectory() as folder:
        for clients in (1, 4):
            ours, theirs = claim_and_submit(server, Path(folder), clients)
            row = (f"{ours:,.0f}/s", f"{theirs:,.0f}/s pgbench", f"{ours / theirs:.2f}")
            table.add_row(f"claim+submit, {clients} client(s)", *row)
        small, large = (over_http(server, items) for items in (10_000, 100_000))
        for items, (milliseconds, rate) in ((10_000, small), (100_000, large)):
            row = (f"{milliseconds:.1f} ms CPU, {rate:,.0f}/s", "", f"{milliseconds / small[0]:.2f}")
            table.add_row(f"next+answer by HTTP, {items:,} items", *row)
    table.add_row("workspace page", *page_bytes())
    Console().print(table)


def prepared(server: str, name: str, items: int, copies: int = 3) -> tuple[Engine, Batch, list[UUID]]:
    """Make a database with one open, funded batch and workers."""
    admin = create_engine(driver_url(server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    admin.dispose()
    engine = create_engine(driver_url(server.replace("/postgres?", f"/{name}?")), pool_size=12)
    Base.metadata.create_all(engine)
    now = datetime.now(UTC)
    with transaction(engine) as session:
        factories.floors(session, now)
        workers = [factories.worker(session, now).id for _ in range(16)]
        batch = factories.batch(session, now, items=items, answers_wanted=copies)
        terms.set_terms(
            session, batch, currency="KES", pay_mode="piece", piece_price="3", estimate_seconds=30, now=now
        )
        requester = session.scalars(text("SELECT requester_id FROM project")).one()
        funding.prefund(session, requester, 10**13, "KES", "bench", actor="bench", now=now)
        funding.reserve_and_open(session, batch, now, "bench")
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    return engine, batch, workers


def claim_and_submit(server: str, folder: Path, clients: int) -> tuple[float, float]:
    """Give claims with submissions per second, ours and pgbench's."""
    engine, batch, workers = prepared(server, f"ours_{clients}", 20_000)
    counts = [0] * clients
    until = time.monotonic() + SECONDS

    def work(number: int) -> None:
        while time.monotonic() < until:
            now = datetime.now(UTC)
            with transaction(engine) as session:
                (held,) = assignments.claim(session, session.get_one(Batch, batch.id), workers[number], now)
            with transaction(engine) as session:
                answers.submit(
                    session,
                    assignment_id=held.id,
                    worker_id=workers[number],
                    submission_id=uuid4(),
                    value=ANSWER,
                    now=now,
                )
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    engine, batch, workers = prepared(server, f"theirs_{clients}", 20_000)
    claim = assignments.CLAIM.text.replace("RETURNING id", "RETURNING id, item_id, slot_id").strip()
    values = {"batch": batch.id, "worker": workers[0]}
    for name, value in {**values, "id": None, "now": None, "until": None}.items():
        given = {"id": "gen_random_uuid()", "now": "now()", "until": "now() + interval '15 minutes'"}.get(
            name
        )
        claim = re.sub(rf"(?<!:):{name}\b", given or f"'{value}'", claim)
    script = folder / "same.sql"
    script.write_text(
        SAME_SQL.format(**values, definition=batch.definition_id, claim=re.sub(r"\s+", " ", claim)),
        encoding="utf-8",
    )
    engine.dispose()
    return sum(counts) / SECONDS, pgbench(server, f"theirs_{clients}", script, clients)


def pgbench(server: str, name: str, script: Path, clients: int) -> float:
    """Give the transactions per second of pgbench with prepared statements."""
    program = find_programs(Path(tempfile.gettempdir()), None).directory / "pgbench"
    url = server.replace("/postgres?", f"/{name}?")
    command = [
        str(program),
        "-n",
        "-M",
        "simple",
        "-c",
        str(clients),
        "-T",
        str(SECONDS),
        "-f",
        str(script),
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found.group(1))


def over_http(server: str, items: int) -> tuple[float, float]:
    """Give CPU milliseconds (web and database) per answer, and answers per second, with 8 closed-loop workers."""
    engine, batch, workers = prepared(server, f"http_{items}", items)
    with transaction(engine) as session:
        people = [get_person(session, worker) for worker in workers[:8]]
        tokens = [auth.make_api_token(session, person, "bench", datetime.now(UTC)) for person in people]
    url = engine.url.render_as_string(hide_password=False)
    with web(url) as address:
        counts = [0] * len(tokens)
        until = time.monotonic() + SECONDS + 1
        before = cpu_seconds()

        def work(number: int) -> None:
            headers = {"Authorization": f"Bearer {tokens[number]}"}
            with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
                while time.monotonic() < until:
                    found = client.get(f"/api/v1/work/{batch.id}/next", params={"html": "false"}).json()
                    body = {"submission_id": str(uuid4()), "answer": ANSWER}
                    place = f"/api/v1/assignments/{found['items'][0]['assignment_id']}/answer"
                    assert client.put(place, json=body).status_code == 200
                    counts[number] += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(tokens))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = cpu_seconds() - before
    engine.dispose()
    return 1000 * used / sum(counts), sum(counts) / (SECONDS + 1)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def web(database_url: str) -> Iterator[str]:
    """Run the web process; gives its address."""
    port = free_port()
    env = os.environ | {
        "DATABASE_URL": database_url,
        "BROKER_URL": "memory://",
        "FAIRLABEL_SECRET_KEY": os.urandom(32).hex(),
        "FAIRLABEL_INSTANCE": "test",
    }
    command = [sys.executable, "-m", "uvicorn", "annotate.app:create_app", "--factory", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", "--no-access-log"], env=env)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{address}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def cpu_seconds() -> float:
    """Give the CPU time so far of the web process and of our own PostgreSQL, which are children of this process."""
    times = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return float(sum(one.user + one.system for one in times))


def page_bytes() -> tuple[str, str, str]:
    """Give the compressed bytes of the workspace's own code, against the budget of 20 KB."""
    assets = Path(annotate.__file__).parent / "static" / "dist" / "assets"
    scripts, sheets = list(assets.glob("workspace-*.js")), list(assets.glob("work-*.css"))
    total = sum(len(gzip.compress(path.read_bytes(), 9)) for path in (*scripts, *sheets))
    return f"{total / 1024:.1f} KB code, gzip", "20 KB budget", f"{total / 20_480:.2f}"


if __name__ == "__main__":
    main()
