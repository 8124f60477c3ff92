"""What a first visit to the workspace loads."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
from bench.answering import instance
from bench.databases import prepared

import annotate
from annotate import auth
from annotate.visit import COOKIE
from tasks.db import transaction
from tasks.people import get_person

CODE_BYTES_MAX = 20_480
LINKED = re.compile(r'(?:src|href)="(/static/[^"]+)"')


def first_visit(server: str) -> int:
    """Give the bytes that the workspace with all it links to sends to a browser that holds nothing, compressed."""
    engine, batch, workers = prepared(server, "visited", 10)
    with transaction(engine) as session:
        token = auth.start_sign_in(session, get_person(session, workers[0]), datetime.now(UTC), 1)
    with (
        instance(engine, worker=False) as (address, _),
        httpx.Client(base_url=address, cookies={COOKIE: token}) as client,
    ):
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
