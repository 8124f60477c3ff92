"""A batch's page with many uploads, and without a worker: what matters stands first and nothing waits unsaid."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import factories
import pytest

from annotate import heartbeat, jobs
from tasks import progress
from tasks.batches import Batch
from tasks.projects import Project

NO_WORKER = "No worker process is running on this instance"
BAD = b"text,key\n" + b"".join(b",bad%d\n" % n for n in range(150)) + b"good,one\n"


@pytest.fixture
def draft(site: Any) -> str:
    """An empty draft."""
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        return str(factories.batch(session, site.now, project, items=0).id)


def silence(site: Any, seconds: int) -> None:
    """Let the worker process have been silent for so long."""
    with site.session() as session:
        last = datetime.now(UTC) - timedelta(seconds=seconds)
        progress.report(session, heartbeat.SUBJECT, 1, 1, last)


def test_only_the_newest_upload_is_told_in_full(site: Any, draft: str) -> None:
    with site.client("requester") as client:
        for name, rows in (("first.csv", BAD), ("second.csv", b"message\nx\n"), ("third.csv", BAD)):
            client.post(f"/batches/{draft}/uploads", files={"file": (name, rows)})
            site.work_off()
        page = client.get(f"/batches/{draft}").text
        assert "1 item in this batch" in page
        assert page.index("third.csv") < page.index("second.csv") < page.index("first.csv")
        newest, _, earlier = page.partition('id="earlier-uploads"')
        assert "2 earlier uploads" in earlier
        assert "<details" in newest
        assert "Show the first 100 rows that could not be used" in newest
        assert len(re.findall(r'<tr><th scope="row" class="n">\d+</th>', page)) == 100, "of one upload alone"
        assert len(re.findall(r'href="/uploads/[^"]+/problems.csv"', page)) == 2, (
            "each has its bad rows as a file"
        )
        assert "150 rows could not be used." in earlier


def test_an_open_batch_begins_with_its_progress(site: Any) -> None:
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        batch = factories.batch(session, site.now, project, items=0, languages=["sw"])
        batch_id = str(batch.id)
    with site.client("requester") as client:
        client.post(f"/batches/{batch_id}/uploads", files={"file": ("rows.csv", BAD)})
        site.work_off()
        with site.session() as session:
            made = session.get_one(Batch, batch_id)
            project = session.get_one(Project, made.project_id)
            factories.terms(session, made, site.now)
            factories.paid_in(session, site.people["requester"], 100_000, site.now)
        assert client.post(f"/batches/{batch_id}/open").status_code == 200
        page = client.get(f"/batches/{batch_id}").text
        order = [
            page.index(f"<h2{rest}") for rest in (">Progress", ">Agreement", ">Cost", ' id="uploads">Uploads')
        ]
        assert order == sorted(order)


def test_an_upload_that_nobody_reads_says_so(site: Any, draft: str) -> None:
    with site.client("requester") as client:
        jobs.beat()
        client.post(f"/batches/{draft}/uploads", files={"file": ("rows.csv", BAD)})
        assert NO_WORKER not in client.get(f"/batches/{draft}").text
        silence(site, 60)
        assert NO_WORKER not in client.get(f"/batches/{draft}/live").text
        silence(site, 77)
        said = client.get(f"/batches/{draft}/live").text
        assert NO_WORKER in said
        assert "It is kept" in said
        site.work_off()
        assert NO_WORKER not in client.get(f"/batches/{draft}").text, "nothing waits any more"


def test_an_open_batch_and_a_worker_without_work_are_told(site: Any) -> None:
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        batch = factories.opened_batch(session, site.now, project, languages=["sw"])
        who = factories.worker(session, site.now)
    silence(site, 600)
    with site.client("requester") as client:
        assert "items are decided as soon as" in client.get(f"/batches/{batch.id}").text
    with site.client(who) as client:
        page = client.get("/work").text
        assert "No work is open to you" in page
        assert NO_WORKER in page
    jobs.beat()
    with site.client("requester") as client:
        assert NO_WORKER not in client.get(f"/batches/{batch.id}").text
