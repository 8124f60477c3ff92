"""What holds for pages of all roles alike: what cannot be taken back is asked first, every address can be looked at."""

import re
from html import unescape
from typing import Any
from uuid import uuid4

import closing
import factories
import pytest
from closing import Week
from route_table import routes_of

from annotate import auth
from annotate.i18n import Formats
from payments import due_lines, payroll, payslips, quotes, rules
from payments.floors import hourly_rate
from payments.money import ceil_minor, minor, text
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


def test_whoever_looks_at_an_address_of_forms_is_led_to_the_page_above(site: Any) -> None:
    routes = {route.name for route in routes_of(site.app)}
    addresses = {
        name.removeprefix("POST ")
        for name in routes
        if name.startswith("POST /") and "/api/" not in name and name.replace("POST", "GET") not in routes
    }
    assert len(addresses) > 15
    token = str(uuid4())
    led = {}
    with site.client("operator") as client:
        for address in addresses:
            answer = client.get(re.sub(r"\{\w+\}", token, address), follow_redirects=False)
            assert answer.status_code == 303, address
            led[address] = answer.headers["location"].replace(token, "{}")
        assert client.get("/api/v1/join").status_code == 405, "programs are told"
        assert client.put("/balance").status_code == 405
    expected = {
        "/batches/{batch_id}/terms": "/batches/{}",
        "/batches/{batch_id}/open": "/batches/{}",
        "/hours/declarations": "/hours",
        "/pay/payslips/{payslip_id}/share": "/pay/payslips/{}",
        "/operate/people/invitations": "/operate/people",
        "/operate/people/{person_id}/link": "/operate/people",
        "/operate/rules/{rule_id}/{version}/verify": "/operate/rules",
        "/sign-out": "/",
    }
    assert {address: led[address] for address in expected} == expected


def test_paying_in_says_so_lists_the_payment_and_leads_back(site: Any) -> None:
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        batch = factories.batch(session, site.now, project, name="Tram voices")
        factories.terms(session, batch, site.now)
        needed = quotes.quote(session, batch, site.now).total_p95
    with site.client("requester") as client:
        have = client.get("/api/v1/balance").json().get("KES", "0")
        page = client.get(f"/batches/{batch.id}").text
        missing = text(needed - ceil_minor(minor(have, "KES")), "KES")
        (way,) = re.findall(r'href="(/balance\?[^"]+)"', page)
        assert f"/batches/{batch.id}/open" not in sends_to(page), "what is missing is paid in first"
        form = client.get(unescape(way)).text
        assert f'value="{missing}" id="f-amount"' in form
        paid = {"amount": missing, "currency": "KES", "reference": "invoice 9", "batch": str(batch.id)}
        done = client.post("/balance", data=paid)
        assert done.history[0].status_code == 303
        assert "is booked on your balance, with the reference invoice 9" in done.text
        assert "Movements" in done.text
        assert "Prefund paid in<small>invoice 9</small>" in done.text
        assert f'href="/batches/{batch.id}#open"' in done.text
        assert "Back to Tram voices" in done.text
        assert f"/batches/{batch.id}/open" in sends_to(client.get(f"/batches/{batch.id}").text)
        client.post(f"/batches/{batch.id}/open")
        assert "Tram voices</small>" in client.get("/balance").text
        assert "is booked" not in client.get("/balance?paid=x&batch=x").text


def test_errors_of_payments_and_terms_are_peoples_words(site: Any) -> None:
    with site.session() as session:
        project = factories.project(session, site.now, site.people["requester"])
        batch = factories.batch(session, site.now, project)
    with site.client("requester") as client:
        paid = {"amount": "7", "currency": "KES", "reference": "twice"}
        client.post("/balance", data=paid)
        again = client.post("/balance", data=paid | {"amount": "8"})
        assert again.status_code == 409
        assert "has this reference already" in again.text
        assert 'id="e-reference"' in again.text
        huge = client.post("/balance", data=paid | {"amount": "9" * 18})
        assert "with at most 12 digits" in huge.text
        form = {"currency": "KES", "pay_mode": "piece", "piece_price": "-1", "estimate_seconds": "30"}
        wrong = client.post(f"/batches/{batch.id}/terms", data=form)
        assert "Write an amount above zero" in wrong.text
        assert 'id="e-piece_price"' in wrong.text
        for page in (again, huge, wrong):
            assert not re.search(r"idempotency|minor unit|&#39;piece_price", page.text)


@pytest.fixture(scope="module")
def settled(site: Any) -> Week:
    """A closed week of two workers."""
    with site.session() as session:
        week = closing.week(session, site.now)
        payroll.close_period(closing.runner(session), week.period.id, week.over)
    return week


def pages_about_pay(site: Any, settled: Week) -> dict[str, list[str]]:
    """Pages on which a worked batch is named and money is written."""
    who = settled.amina
    with site.session() as session:
        lines = due_lines.lines_of(session, settled.period.id, who.id)
        slips = payslips.payslips_of(session, who.id)
        batch_ids = {str(line.batch_id) for line in lines if line.batch_id}
        journals = [line.journal_id for line in lines]
    day = settled.period.starts_at.date()
    return {
        "worker": [
            f"/hours?day={day}",
            *(f"/pay/payslips/{slip.id}" for slip in slips),
            *(f"/pay/lines/{line.id}" for line in lines if line.batch_id),
            *(f"/work/{one}/about" for one in batch_ids),
        ],
        "organizer": [
            f"/audit/workers/{who.id}?period={settled.period.code}",
            f"/audit/wages?period={settled.period.code}&currency=KES&show=all",
            *(f"/audit/lines/{line.id}" for line in lines),
            *(f"/audit/journals/{one}" for one in journals),
        ],
    }


def browsed(site: Any, settled: Week, lang: str = "en") -> dict[str, str]:
    """The text of these pages, as the worker and an organizer read them."""
    read = {}
    for role, paths in pages_about_pay(site, settled).items():
        with site.client(settled.amina if role == "worker" else role) as client:
            client.headers["fairlabel-clock"] = settled.over.isoformat()
            client.cookies.set("fairlabel_lang", lang)
            for path in paths:
                answer = client.get(path)
                assert answer.status_code == 200, path
                read[path] = unescape(answer.text.partition("<main")[2])
    return read


def test_a_batch_has_one_name_everywhere(site: Any, settled: Week) -> None:
    for path, page in browsed(site, settled).items():
        assert "Moods: " in page or re.search("overhead|2 batches", page.lower()), path
        assert "Sentiment of short messages" not in page, path
    with site.session() as session:
        batch = factories.opened_batch(session, site.now, name="Winter")
    with site.client("worker") as client:
        assert "Moods: Winter" in client.get("/work").text
        assert "<title>Moods" in client.get(f"/work/{batch.id}").text
        assert "Moods: Winter" in client.get(f"/work/{batch.id}/about").text
        assert "Moods: Winter" in client.get("/work").text, "held items are named alike"


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_money_is_written_as_the_reader_writes_it(site: Any, settled: Week, batch_id: str, lang: str) -> None:
    read = browsed(site, settled, lang)
    with site.client("requester") as client:
        client.cookies.set("fairlabel_lang", lang)
        for path in (f"/batches/{batch_id}", "/balance"):
            read[path] = client.get(path).text
    plain = re.compile(r"\d\.\d\d(\s| )?(KES|EUR|USD)\b" if lang == "en" else r"\d\.\d\d\b(?!\.)")
    for path, page in read.items():
        told = re.sub(r"<(pre|code|ul)\b.*?</\1>|<input[^>]*>|<svg.*?</svg>", "", page, flags=re.DOTALL)
        told = re.sub(r'<p class="code.*?</p>|<style.*?</style>', "", told, flags=re.DOTALL)
        assert not (found := plain.search(told)), f"{path}: {told[found.start() - 60 : found.end() + 20]}"


def test_every_page_has_its_place_in_the_navigation(site: Any, settled: Week, batch_id: str) -> None:
    current = re.compile(r'<li><a href="([^"]+)" aria-current="page">')
    expected = {
        "requester": {f"/batches/{batch_id}": "/projects", "/balance": "/balance"},
        "organizer": {
            "/audit/exports": "/audit/exports",
            "/audit/journals": "/audit/ledger",
            f"/audit/workers/{settled.amina.id}": "/audit/wages",
            "/audit/checks": "/audit/ledger",
        },
    }
    for role, pages in expected.items():
        with site.client(role) as client:
            client.headers["fairlabel-clock"] = settled.over.isoformat()
            for path, place in pages.items():
                assert current.findall(client.get(path).text) == [place], path


def test_rules_are_called_by_name_with_the_id_beside_it(site: Any, settled: Week) -> None:
    for path, page in browsed(site, settled).items():
        if "/lines/" in path:
            assert "This platform's floor, Kenya" in page, path
            assert '<small class="muted">platform.KE@1</small>' in page, path
            assert "<b>platform.KE@1</b>" not in page, path
            assert " by platform.KE@1" not in page, path
    with site.client("operator") as client:
        page = unescape(client.get("/operate/rules").text)
    assert "<h2>Legal minimum, Bulgaria <small" in page
    assert "BG.minimum, version 1</small>" in page
    rule = page.partition('id="BG.minimum-1"')[2].partition("</dl>")[0]
    assert "nobody: in force for demonstrations only" in rule


def test_rates_are_cut_alike_and_told_exactly(site: Any) -> None:
    (rule,) = [one for one in rules.shipped() if one["id"] == "BG.minimum"]
    exact = hourly_rate(rule)
    assert exact.denominator != 1
    written = Formats("en").rate(exact, "EUR")
    with site.client("operator") as client:
        page = client.get("/operate/rules").text
    assert f"<b>{written}</b>" in page
    assert f"more exactly {Formats('en').price(exact, 'EUR')}" in page
    assert "cut to the smallest coin" in page
