"""Pages, scripts and streamed exports travel compressed to whoever takes it, and whole to everybody else."""

import re
from typing import Any

import factories
import pytest

from tasks.people import Role


def sizes(client: Any, path: str) -> tuple[int, int, Any]:
    """Give how many bytes a path takes compressed and plain."""
    packed = client.get(path, headers={"accept-encoding": "gzip"})
    plain = client.get(path, headers={"accept-encoding": "identity"})
    assert packed.status_code == plain.status_code == 200
    assert "content-encoding" not in plain.headers
    assert "content-security-policy" in packed.headers
    return packed.num_bytes_downloaded, plain.num_bytes_downloaded, packed


@pytest.mark.parametrize("what", ["page", "script"])
def test_pages_and_scripts_are_a_fraction(site: Any, what: str) -> None:
    with site.client() as client:
        page = client.get("/sign-in").text
        found = re.search(r'src="(/static/[^"]+\.js)"', page)
        assert found is not None
        packed, plain, answer = sizes(client, "/sign-in" if what == "page" else found[1])
    assert answer.headers["content-encoding"] == "gzip"
    assert packed < plain * 0.6


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_streamed_export_arrives_whole(site: Any, kind: str) -> None:
    with site.session() as session:
        project = factories.project(session, site.now, site.people[Role.REQUESTER])
        batch = factories.opened_batch(session, site.now, project, items=300)
    with site.client(Role.REQUESTER) as client:
        packed, plain, answer = sizes(client, f"/batches/{batch.id}/export?kind={kind}")
        whole = client.get(f"/batches/{batch.id}/export?kind={kind}", headers={"accept-encoding": "identity"})
    assert answer.content == whole.content
    assert answer.text.count("k300") >= 1
    assert packed < plain
