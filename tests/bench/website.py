"""What goes over HTTP: CPU per answer, and what a first visit to the workspace loads."""

import gzip
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
from bench.databases import ANSWER, SECONDS, prepared

import annotate
from annotate import auth
from annotate.stack.throw_away import free_port
from annotate.visit import COOKIE
from tasks.db import transaction
from tasks.people import get_person

CODE_BYTES_MAX = 20_480
LINKED = re.compile(r'(?:src|href)="(/static/[^"]+)"')


def next_and_answer(server: str, items: int) -> tuple[float, float]:
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


def first_visit(server: str) -> int:
    """Give the bytes that the workspace with all it links to sends to a browser that holds nothing, compressed."""
    engine, batch, workers = prepared(server, "visited", 10)
    with transaction(engine) as session:
        token = auth.start_sign_in(session, get_person(session, workers[0]), datetime.now(UTC), 1)
    url = engine.url.render_as_string(hide_password=False)
    with web(url) as address, httpx.Client(base_url=address, cookies={COOKIE: token}) as client:
        page = client.get(f"/work/{batch.id}")
        assert page.status_code == 200, page.text
        answers = [page, *(client.get(path) for path in sorted(set(LINKED.findall(page.text))))]
    engine.dispose()
    assert all(answer.status_code == 200 for answer in answers)
    return sum(answer.num_bytes_downloaded for answer in answers)


def code_bytes() -> int:
    """Give the compressed bytes of the workspace's own code."""
    assets = Path(annotate.__file__).parent / "static" / "dist" / "assets"
    scripts, sheets = list(assets.glob("workspace-*.js")), list(assets.glob("work-*.css"))
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in (*scripts, *sheets))


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
