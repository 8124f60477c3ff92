"""What is sent is kept within limits: refused before a byte of it, or as soon as the limit is passed; nothing is left.

The bodies are made while they are read, so that each test sees how much the application took of them.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import factories
import pytest
from sending import FORM, PAIRS, PIECE, RAW, TWO_GB, Body, part, sender
from sqlalchemy import text

from annotate.forms import TEXT_BYTES_MAX
from annotate.mturk import FILES_BYTES_MAX
from schemas.uploads import FILE_BYTES_MAX


@pytest.fixture
def batches(site: Any) -> dict[str, str]:
    """A draft of the requester's, one of somebody else's, and one that is open."""
    with site.session() as session:
        mine = factories.project(session, site.now, site.people["requester"])
        return {
            "mine": str(factories.batch(session, site.now, mine).id),
            "foreign": str(factories.batch(session, site.now).id),
            "open": str(factories.served(session, site.now, of=mine).id),
        }


@pytest.fixture(autouse=True)
def nothing_is_left(site: Any) -> Iterator[None]:
    """After each refusal, no file is open any more and no piece of an upload is stored."""
    before = open_files()
    yield
    assert open_files() == before
    with site.session() as session:
        assert session.scalar(text("SELECT count(*) FROM upload_piece")) == 0
        assert session.scalar(text("SELECT count(*) FROM upload")) == 0


def open_files() -> list[str]:
    """Name the files without a name that this process holds: what stands in the temporary directory."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return sorted(name for name in found if name.endswith("(deleted)"))


PLACES = [
    ("/batches/{mine}/uploads", FORM, part("file", "rows.csv")),
    ("/batches/{mine}/uploads", PAIRS, b"file="),
    ("/api/v1/batches/{mine}/uploads?name=rows.csv", RAW, b"text\n"),
    ("/api/v1/batches/{mine}/uploads?name=rows.csv", FORM, part("file", "rows.csv")),
    ("/audit/mturk", FORM, part("files", "rows.csv")),
    ("/api/v1/audit/mturk", FORM, part("files", "rows.csv")),
]


@pytest.mark.parametrize(("path", "kind", "before"), PLACES)
@pytest.mark.parametrize(("who", "status"), [("", 401), ("worker", 403)])
def test_who_may_not_send_a_file_is_refused_before_a_byte_is_read(
    site: Any, batches: dict[str, str], path: str, kind: dict[str, str], before: bytes, who: str, status: int
) -> None:
    body = Body(1 << 20, before)
    answer = sender(site, who).send(path.format(**batches), body, kind)
    assert (answer.status_code, body.taken) == (status, 0)


@pytest.mark.parametrize(("which", "status"), [("foreign", 404), ("open", 409)])
@pytest.mark.parametrize(("path", "kind", "before"), PLACES[:3])
def test_a_batch_that_takes_no_file_refuses_it_before_a_byte_is_read(
    site: Any,
    batches: dict[str, str],
    path: str,
    kind: dict[str, str],
    before: bytes,
    which: str,
    status: int,
) -> None:
    body = Body(1 << 20, before)
    answer = sender(site, "requester").send(path.format(mine=batches[which]), body, kind)
    assert (answer.status_code, body.taken) == (status, 0)


@pytest.mark.parametrize(("path", "kind", "before"), PLACES[:1] + PLACES[2:3] + PLACES[4:])
def test_a_file_of_two_gigabytes_that_says_so_is_refused_before_a_byte_is_read(
    site: Any, batches: dict[str, str], path: str, kind: dict[str, str], before: bytes
) -> None:
    body = Body(TWO_GB, before)
    by = sender(site, "organizer" if "mturk" in path else "requester")
    answer = by.send(path.format(**batches), body, kind | {"content-length": str(TWO_GB)})
    assert (answer.status_code, body.taken) == (413, 0)
    told = answer.json()["detail"] if path.startswith("/api/") else answer.text
    assert "too large" in told
    assert "split it" in told
    limit = "64 MB" if "mturk" in path else "1 GB"
    assert path.startswith("/api/") or f"At most {limit} are taken at once." in told


@pytest.mark.parametrize(("path", "kind", "before"), [PLACES[0], PLACES[2], *PLACES[4:]])
def test_a_file_that_does_not_say_its_size_is_refused_at_the_limit(
    site: Any, batches: dict[str, str], path: str, kind: dict[str, str], before: bytes
) -> None:
    by, limit, ahead = (
        ("organizer", FILES_BYTES_MAX, 2 * len(PIECE))
        if "mturk" in path
        else ("requester", FILE_BYTES_MAX, 2 << 20)
    )
    body = Body(TWO_GB, before)
    answer = sender(site, by).send(path.format(**batches), body, kind)
    assert answer.status_code == 413
    assert "too large" in answer.text
    assert limit < body.taken <= limit + ahead


@pytest.mark.parametrize(
    ("kind", "before"),
    [(FORM, part("csrf")), (FORM, part("file")), (PAIRS, b"csrf=")],
)
def test_the_texts_of_a_form_stay_small_where_its_file_may_be_large(
    site: Any, batches: dict[str, str], kind: dict[str, str], before: bytes
) -> None:
    body = Body(TWO_GB, before)
    answer = sender(site, "requester").send(f"/batches/{batches['mine']}/uploads", body, kind)
    assert (answer.status_code, "too large" in answer.text) == (413, True)
    assert "At most 2 MB" in answer.text
    assert body.taken < 2 * TEXT_BYTES_MAX


def test_what_stands_in_no_field_for_files_is_not_kept(site: Any, batches: dict[str, str]) -> None:
    body = Body(8 << 20, part("elsewhere", "rows.csv"))
    answer = sender(site, "requester").send(f"/batches/{batches['mine']}/uploads", body, FORM)
    assert answer.status_code == 422
    assert "Choose a .csv or .jsonl file first." in answer.text


@pytest.mark.parametrize(("path", "kind", "before"), PLACES[:3:2])
def test_a_connection_that_breaks_leaves_nothing(
    site: Any, batches: dict[str, str], path: str, kind: dict[str, str], before: bytes
) -> None:
    body = Body(4 << 20, before, breaks=True)
    answer = sender(site, "requester").send(path.format(**batches), body, kind)
    assert answer.status_code == 500  # which nobody reads
    assert body.taken >= 4 << 20


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"--edge\r\nno form at all", FORM, 400, "cannot be read"),
        (part("file", "rows.csv") + b"text\nthe end is missing", FORM, 400, "cannot be read"),
        (b"x", {"content-type": "multipart/form-data"}, 400, "cannot be read"),
        (b"", FORM, 400, "cannot be read"),
        ((part("a") + b"1\r\n") * 1001 + b"--edge--", FORM, 413, "too large"),
        (b"&".join(b"a%d=1" % n for n in range(1001)), PAIRS, 413, "too large"),
    ],
)
def test_a_form_that_cannot_be_read_says_so(
    site: Any, batches: dict[str, str], content: bytes, kind: dict[str, str], status: int, said: str
) -> None:
    answer = sender(site, "requester").send(
        f"/batches/{batches['mine']}/uploads", Body(0, content, after=b""), kind
    )
    assert (answer.status_code, said in answer.text) == (status, True)
