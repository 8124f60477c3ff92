"""What holds for pages of all roles alike: what cannot be taken back is asked first, every address can be looked at."""

import re
from typing import Any

import closing
import factories
import pytest

from annotate import auth
from tasks.batches import Batch, pause_batch

FORM_TO = re.compile(r'<form method="post" action="([^"]+)"')


def sends_to(page: str) -> set[str]:
    """Where the forms of a page send."""
    return set(FORM_TO.findall(page))


@pytest.fixture
def batch_id(site: Any) -> str:
    """An open batch of the requester, one answer of which is in a worker's hands."""
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        batch = factories.opened_batch(session, site.now, project)
        factories.assignment(session, batch, factories.worker(session, site.now), site.now)
        return str(batch.id)


def test_closing_a_batch_is_asked_on_a_page_that_says_what_it_means(site: Any, batch_id: str) -> None:
    with site.client("requester") as client:
        address = f"/batches/{batch_id}/close"
        page = client.get(f"/batches/{batch_id}").text
        assert address not in sends_to(page), "one click does not close"
        assert f'href="{address}"' in page
        asked = client.get(address).text
        assert address in sends_to(asked)
        for said in (
            "Close First messages?",
            "8 that nobody has begun",
            "In hands right now: 1.",
            "goes back to your balance",
        ):
            assert said in asked
        assert client.get(f"/api/v1/batches/{batch_id}").json()["state"] == "open", "looking closes nothing"
        client.post(address)
        assert client.get(f"/api/v1/batches/{batch_id}").json()["state"] == "closed"
        again = client.get(address, follow_redirects=False)
        assert again.headers["location"] == f"/batches/{batch_id}"


def test_a_paused_batch_can_be_closed_and_a_draft_cannot(site: Any, batch_id: str) -> None:
    with site.session() as session:
        pause_batch(session, session.get_one(Batch, batch_id), "A break")
        project = factories.project(session, site.now, site.people["requester"])
        draft = factories.batch(session, site.now, project)
    with site.client("requester") as client:
        assert client.get(f"/batches/{batch_id}/close").status_code == 200
        page = client.get(f"/batches/{draft.id}/close", follow_redirects=False)
        assert page.headers["location"] == f"/batches/{draft.id}"


def test_revoking_a_token_is_asked_first(site: Any) -> None:
    with site.session() as session:
        auth.make_api_token(session, site.people["requester"], "nightly export", site.now)
        token = auth.api_tokens(session, site.people["requester"].id)[0]
    address = f"/account/tokens/{token.id}/revoke"
    with site.client("requester") as client:
        assert address not in sends_to(client.get("/account").text)
        assert "Revoke the token nightly export?" in client.get(address).text
        assert "nightly export" in client.get("/account").text
        client.post(address)
        assert "nightly export" not in client.get("/account").text


def test_closing_a_week_is_asked_first(site: Any) -> None:
    with site.session() as session:
        week = closing.week(session, site.now)
    code = week.period.code
    address = f"/operate/periods/{code}/close"
    with site.client("operator") as client:
        early = client.get(address, follow_redirects=False)
        assert early.headers["location"] == f"/operate/periods#{code}", "it is not over yet"
        client.headers["fairlabel-clock"] = week.over.isoformat()
        assert address not in sends_to(client.get("/operate/periods").text)
        asked = client.get(address).text
        assert f"Close the week {code}?" in asked
        assert address in sends_to(asked)


def test_choosing_a_language_stays_on_the_page(site: Any) -> None:
    with site.client("requester") as client:
        chosen = client.post(
            "/settings", data={"lang": "fr", "next_page": "/balance"}, follow_redirects=False
        )
        assert chosen.headers["location"] == "/balance"
