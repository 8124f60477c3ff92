"""The quote as its requester reads it: what is a top-up, what is the slow case, and what a low price means."""

import re
from typing import Any

import factories
import pytest


@pytest.fixture
def draft(site: Any) -> str:
    """A draft batch with three items."""
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        return str(factories.batch(session, site.now, project, answers_wanted=2).id)


def quoted(site: Any, draft: str, **form: str) -> str:
    """The page after the terms were sent."""
    given = {"currency": "EUR", "estimate_seconds": "30", "piece_price": "", "hourly_rate": "", **form}
    with site.client("requester") as client:
        sent = client.post(f"/batches/{draft}/terms", data=given)
        assert sent.status_code == 200, sent.text
        return str(sent.text)


def test_pay_by_the_hour_is_no_top_up(site: Any, draft: str) -> None:
    page = quoted(site, draft, pay_mode="hourly")
    assert "The time of 6 answers" in page
    assert "Top-up" not in page
    assert "Typical: 30 s an answer" in page
    assert "Slow: 60 s an answer" in page
    assert "Fee, 10%" in page


def test_an_own_rate_is_called_so_and_not_by_its_id(site: Any, draft: str) -> None:
    page = quoted(site, draft, pay_mode="hourly", hourly_rate="30", piece_price="1")
    assert ">Your hourly rate</small>" in page
    assert ">promise." not in page
    legal = quoted(site, draft, pay_mode="hourly")
    assert "This platform&#39;s floor, Kenya</small>" in legal
    assert 'title="platform.KE@1"' in legal


def test_a_price_under_the_floor_is_named_with_the_lowest_that_is_not(site: Any, draft: str) -> None:
    page = quoted(site, draft, pay_mode="piece", piece_price="0.001")
    # 275 KES an hour are 1.83 EUR; 30 s of it 0.0153 EUR.
    assert "6 answers at €0.001" in page
    assert "under the floor: Kenya (€0.02)" in page
    assert "From €0.02 an answer on" in page
    assert "Top-ups to the floor" in page
    fine = quoted(site, draft, pay_mode="piece", piece_price="0.02")
    assert "under the floor" not in fine


def test_the_form_follows_the_mode_of_pay(site: Any, draft: str) -> None:
    page = quoted(site, draft, pay_mode="hourly")
    field = page.partition('class="if-piece"')[2].partition("</div></div>")[0]
    assert "Price per answer" in field
    assert "optional" not in field
    hidden = r"\.terms:has\(\[value=hourly\]:checked\) \.if-piece[^{}]*\{display:none\}"
    assert re.search(hidden, page.replace('"', ""))
    with site.client("requester") as client:
        form = {"currency": "EUR", "estimate_seconds": "30", "pay_mode": "piece", "piece_price": ""}
        refused = client.post(f"/batches/{draft}/terms", data=form)
        assert refused.status_code == 422
        assert 'id="e-piece_price"' in refused.text
        assert "Say what one answer is paid." in refused.text
