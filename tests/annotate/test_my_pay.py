"""My pay and my hours: a week really worked and really closed, seen by the one who worked it and by nobody else."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import closing
import factories
import pytest
from sqlalchemy import select

from annotate.visit import CLOCK_HEADER
from payments import payouts, payroll
from payments.canonical import canonical
from payments.due_lines import DueLine
from payments.payslips import Payslip
from payments.periods import period_at
from tasks.people import Person

SLOW = 240
"""Seconds for an answer that brings less than the floor asks."""


@dataclass(frozen=True)
class Worked:
    """Two workers of a closed week, and the week after."""

    amina: Person
    brian: Person
    batch_id: UUID
    over: datetime


@pytest.fixture(scope="module")
def worked(site: Any) -> Worked:
    """A week with slow answers and a silence in it, closed, booked and set aside."""
    with site.session() as session:
        amina, brian = factories.worker(session, site.now), factories.worker(session, site.now, name="Brian")
        batch = closing.paid_batch(session, site.now, "KES", "5", items=8, answers_wanted=2)
        for who in (amina, brian):
            end = closing.work(session, batch, who, site.now, SLOW)
            # Twenty minutes away, then on.
            closing.work(session, batch, who, end + timedelta(minutes=20), 45)
        period = period_at(session, site.now, site.now)
    over = period.ends_at + timedelta(hours=3)

    def run(step: Any) -> Any:
        with site.session() as session:
            return step(session)

    payroll.close_period(run, period.id, over)
    return Worked(amina, brian, batch.id, over)


@pytest.fixture
def browser(site: Any, worked: Worked) -> Iterator[Any]:
    """Amina after the close."""
    with after(site, worked, worked.amina) as client:
        yield client


@contextmanager
def after(site: Any, worked: Worked, who: Person | None) -> Iterator[Any]:
    """Somebody's browser after the close."""
    with site.client(who) as client:
        client.headers[CLOCK_HEADER] = worked.over.isoformat()
        yield client


def slip_of(site: Any, who: Person) -> Payslip:
    """Somebody's one payslip."""
    with site.session() as session:
        found: Payslip = session.scalars(select(Payslip).where(Payslip.worker_id == who.id)).one()
        return found


def line_of(site: Any, who: Person) -> DueLine:
    """Somebody's one line of the batch."""
    with site.session() as session:
        query = select(DueLine).where(DueLine.worker_id == who.id, DueLine.batch_id.is_not(None))
        found: DueLine = session.scalars(query).one()
        return found


def plain(text: str) -> str:
    """Text with ordinary spaces."""
    return text.replace("\xa0", " ")


def test_the_open_week_says_what_is_due_and_why(site: Any) -> None:
    with site.session() as session:
        who = factories.worker(session, site.now)
        batch = factories.opened_batch(session, site.now)
        end = closing.work(session, batch, who, site.now, SLOW)
    with site.client(who) as client:
        client.headers[CLOCK_HEADER] = end.isoformat()
        week = client.get("/api/v1/pay").json()["weeks"][0]
        (line,) = week["lines"]
        # 240 s at 275.00 an hour are 18.33…, rounded up once.
        assert (line["agreed"], line["required"], line["topup"], line["due"]) == (
            "5.00",
            "18.34",
            "13.34",
            "18.34",
        )
        assert week["due"] == {"KES": "18.34"}
        page = plain(client.get("/pay").text)
        assert "KES 18.34" in page
        assert "0:04:00 at KES 275.00 an hour is KES 18.34, less KES 5.00" in page
        assert '<td class="n">0:04:00</td>' in page, "written as the payslip writes it"
        assert "0:00<" not in page
        assert "applies, the highest" in page


def test_an_empty_week_says_the_next_step(site: Any) -> None:
    with site.session() as session:
        who = factories.worker(session, site.now)
    with site.client(who) as client:
        assert "Nothing earned yet this week" in client.get("/pay").text
        assert "No sign of work on this day" in client.get("/hours").text
        assert client.get("/api/v1/payslips").json() == []


def test_a_payslip_adds_up_and_leads_to_its_evidence(site: Any, worked: Worked, browser: Any) -> None:
    slip, line = slip_of(site, worked.amina), line_of(site, worked.amina)
    listed = browser.get("/api/v1/payslips").json()
    assert [one["id"] for one in listed] == [str(slip.id)]
    document = browser.get(f"/api/v1/payslips/{slip.id}").json()
    assert sha256(canonical(document["payslip"])).hexdigest() == document["digest"] == listed[0]["digest"]
    page = plain(browser.get(f"/pay/payslips/{slip.id}").text)
    assert f'href="/pay/lines/{line.id}"' in page
    for amount in (line.agreed, line.topup, slip.total):
        assert f"KES {amount // 100}.{amount % 100:02}" in page
    assert line.agreed + line.topup == line.due
    assert "Set aside for you" in page
    assert document["digest"] in page
    top = unescape(page.split("<table>")[0])
    assert "KES 275.00/h · This platform's floor, Kenya" in top


def test_a_line_shows_time_gaps_rule_and_journal(site: Any, worked: Worked, browser: Any) -> None:
    line = line_of(site, worked.amina)
    said = browser.get(f"/api/v1/pay/lines/{line.id}").json()
    assert said["evidence_as_booked"] is True
    assert sum(end - start for start, end, *_ in said["shares"]) == line.seconds == SLOW + 45
    page = browser.get(f"/pay/lines/{line.id}").text
    assert line.evidence_digest.hex() in page
    assert f"<dd>{line.journal_id}</dd>" in page
    assert "applies, the highest" in page


def test_a_payout_shows_where_the_money_is(site: Any, worked: Worked) -> None:
    with site.session() as session:
        (mine,) = payouts.payouts_of(session, worked.brian.id)
    with after(site, worked, worked.brian) as client:
        assert client.get("/api/v1/pay").json()["payouts"][0]["state"] == "planned"
        with site.session() as session:
            payouts.make_file(session, payouts.get_run(session, mine.run_id), worked.over)
            payouts.confirm(session, mine, "BANK-77", "Imani", worked.over)
        assert "BANK-77" in client.get("/pay").text
        assert "Paid out" in client.get(f"/pay/payslips/{slip_of(site, worked.brian).id}").text


def test_a_shared_payslip_is_read_without_signing_in_until_it_is_revoked(site: Any, worked: Worked) -> None:
    slip = slip_of(site, worked.amina)
    with after(site, worked, worked.amina) as client:
        page = client.post(f"/pay/payslips/{slip.id}/share").text
        token = page.split('<p class="code" id="secret">')[1].split("<")[0].rsplit("/", 1)[-1]
        assert token not in client.get(f"/pay/payslips/{slip.id}").text, "a link is shown once"
        made = client.post(f"/api/v1/payslips/{slip.id}/share").json()["url"]
        assert made.startswith("http://127.0.0.1:8000/payslips/")
    with after(site, worked, None) as anybody:
        shown = anybody.get(f"/payslips/{token}")
        assert "Amina" in shown.text
        assert "/pay/lines/" not in shown.text
        assert shown.headers["x-robots-tag"] == "noindex"
        given = anybody.get(f"/api/v1/public/payslips/{token}").json()
        assert sha256(canonical(given["payslip"])).hexdigest() == given["digest"]
    with after(site, worked, worked.amina) as client:
        assert client.delete(f"/api/v1/payslips/{slip.id}/share").status_code == 204
    with after(site, worked, None) as anybody:
        for link in (token, made.rsplit("/", 1)[-1], "guess"):
            assert anybody.get(f"/payslips/{link}").status_code == 404
            assert anybody.get(f"/api/v1/public/payslips/{link}").status_code == 404


def test_links_to_a_payslip_are_ended_one_by_one(site: Any, worked: Worked) -> None:
    slip = slip_of(site, worked.amina)
    with after(site, worked, worked.amina) as client:
        tokens = []
        for _ in range(2):
            page = client.post(f"/pay/payslips/{slip.id}/share").text
            tokens.append(page.split('id="secret">')[1].split("<")[0].rsplit("/", 1)[-1])
            assert 'data-copy="secret"' in page
        page = client.get(f"/pay/payslips/{slip.id}").text
        assert page.count("works until 21 Feb 2027") == 2
        assert "The links themselves are not kept here." in page
        ends = re.findall(r'href="([^"]+/end)"', page)
        asked = client.get(ends[0])
        assert "End the link made" in asked.text
        client.post(ends[0])
        assert client.get(ends[0]).status_code == 404, "it has ended"
        working = [client.get(f"/payslips/{token}").status_code for token in tokens]
        assert sorted(working) == [200, 404]
        assert "End all links to this payslip?" in client.get(f"/pay/payslips/{slip.id}/unshare").text
        client.post(f"/pay/payslips/{slip.id}/unshare")
        assert [client.get(f"/payslips/{token}").status_code for token in tokens] == [404, 404]


def test_nothing_of_another_worker_can_be_seen(site: Any, worked: Worked, browser: Any) -> None:
    slip, line = slip_of(site, worked.brian), line_of(site, worked.brian)
    for path in (f"payslips/{slip.id}", f"pay/lines/{line.id}"):
        assert browser.get(f"/api/v1/{path}").status_code == 404
    assert browser.get(f"/pay/payslips/{slip.id}").status_code == 404
    assert browser.get(f"/pay/lines/{line.id}").status_code == 404
    assert browser.post(f"/pay/payslips/{slip.id}/share").status_code == 404
    assert browser.post(f"/pay/payslips/{slip.id}/unshare").status_code == 404
    assert browser.delete(f"/api/v1/payslips/{slip.id}/share").status_code == 404
    assert browser.post(f"/api/v1/payslips/{slip.id}/share").status_code == 404
    for path in ("/pay", "/hours", f"/hours?day={site.now.date()}"):
        assert worked.brian.pseudonym not in browser.get(path).text
        assert "Brian" not in browser.get(path).text


@pytest.mark.parametrize("who", ["requester", "organizer", "operator"])
def test_pay_and_hours_are_pages_of_workers(site: Any, worked: Worked, who: str) -> None:
    slip, line = slip_of(site, worked.amina), line_of(site, worked.amina)
    with site.client(who) as client:
        for path in (
            "/pay",
            "/hours",
            "/hours/add",
            "/hours/export.csv",
            "/api/v1/pay",
            "/api/v1/hours",
            "/api/v1/payslips",
            "/api/v1/declarations",
            f"/pay/payslips/{slip.id}",
            f"/pay/lines/{line.id}",
        ):
            assert client.get(path).status_code == 403, path


def test_every_second_of_a_day_stands_in_one_row(site: Any, worked: Worked, browser: Any) -> None:
    said = browser.get(f"/api/v1/hours?first={site.now.date()}").json()
    rows = said["rows"]
    assert [row["credited"] for row in rows] == [True, False, True]
    assert all(one["end"] == two["start"] for one, two in itertools.pairwise(rows))
    assert sum(row["seconds"] for row in rows if row["credited"]) == SLOW + 45
    assert sum(said["days"].values()) == SLOW + 45
    assert rows[1]["reason"] == "no work was open"
    page = browser.get(f"/hours?day={site.now.date()}").text
    assert page.count("Count it</a>") == 1


def test_a_gap_is_counted_in_two_clicks(site: Any) -> None:
    with site.session() as session:
        who = factories.worker(session, site.now)
        batch = factories.opened_batch(session, site.now)
        end = closing.work(session, batch, who, site.now, 60)
        later = closing.work(session, batch, who, end + timedelta(minutes=10), 60)
        closing.work(session, batch, who, later + timedelta(minutes=30), 60)
    with site.client(who) as client:
        client.headers[CLOCK_HEADER] = (site.now + timedelta(hours=2)).isoformat()
        day = f"/hours?day={site.now.date()}"
        links = [part.split('"')[0] for part in client.get(day).text.split('href="')]
        first, second = [link.replace("&amp;", "&") for link in links if "/hours/add?start" in link]
        form = client.get(first).text
        given = {
            name: form.split(f'name="{name}"')[0].rsplit('value="', 1)[1].split('"')[0]
            for name in ("start", "end")
        }
        assert given == {"start": "2026-11-16T09:01:00", "end": "2026-11-16T09:11:00"}
        assert f'value="{batch.id}" selected' in form
        sent = client.post(
            "/hours/declarations",
            data=given | {"batch": str(batch.id), "reason": "A call"},
            follow_redirects=False,
        )
        assert sent.status_code == 303
        assert "10 min added and counted" in client.get(sent.headers["location"]).text
        assert client.get(day).text.count("Count it</a>") == 1
        # The second gap is more than a day's free quarter of an hour: a person decides, and silence counts it.
        form = client.get(second).text
        given = {
            name: form.split(f'name="{name}"')[0].rsplit('value="', 1)[1].split('"')[0]
            for name in ("start", "end")
        }
        waiting = client.post("/hours/declarations", data=given | {"batch": str(batch.id), "reason": "Paper"})
        assert "A person looks at it by" in waiting.text
        states = [one["state"] for one in client.get("/api/v1/declarations").json()]
        assert sorted(states) == ["accepted", "pending"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", "yesterday"),
        ("end", "2026-11-16T05:00"),
        ("reason", " "),
        ("batch", str(UUID(int=7))),
        ("batch", "x"),
    ],
)
def test_a_wrong_declaration_comes_back_with_what_was_typed(
    site: Any, worked: Worked, browser: Any, field: str, value: str
) -> None:
    form = {"start": "2026-11-16T12:00", "end": "2026-11-16T12:05", "batch": "", "reason": "A careful reason"}
    answer = browser.post("/hours/declarations", data=form | {field: value})
    assert answer.status_code == 422
    assert f'href="#f-{field}"' in answer.text
    assert field == "reason" or "A careful reason" in answer.text
    assert browser.get("/api/v1/declarations").json() == []


def test_declarations_by_api_name_their_zone(site: Any, worked: Worked, browser: Any) -> None:
    body = {"start": "2026-11-16T12:00:00", "end": "2026-11-16T12:05:00", "reason": "A call"}
    assert browser.post("/api/v1/declarations", json=body).status_code in {400, 422}
    foreign = {"start": body["start"] + "+03:00", "end": body["end"] + "+03:00", "reason": "A call"}
    refused = browser.post("/api/v1/declarations", json=foreign | {"batch": str(uuid4())})
    assert refused.status_code == 422


@pytest.mark.parametrize("day", ["today", "2026-13-01", "0001-01-01", "9999-12-31", "2026-11-16'"])
def test_a_wrong_day_is_refused_plainly(site: Any, worked: Worked, browser: Any, day: str) -> None:
    assert browser.get("/hours", params={"day": day}).status_code == 422
    assert browser.get("/api/v1/hours", params={"first": day}).status_code == 422


def test_a_span_is_bounded(site: Any, worked: Worked, browser: Any) -> None:
    assert browser.get("/api/v1/hours?first=2026-01-01&last=2026-12-31").status_code == 422
    assert browser.get("/api/v1/hours?first=2026-11-16&last=2026-11-15").status_code == 422


def test_the_export_holds_what_the_page_shows(site: Any, worked: Worked, browser: Any) -> None:
    answer = browser.get(f"/hours/export.csv?first={site.now.date()}")
    lines = answer.text.split("\r\n")
    assert lines[0] == "from,to,seconds,credited,work,kind_or_reason"
    assert lines[1].startswith("2026-11-16T09:00:00+03:00,2026-11-16T09:04:00+03:00,240,yes,")
    assert len(lines) == 5
    assert "attachment" in answer.headers["content-disposition"]


def test_time_added_to_a_settled_week_is_promised_for_the_next_pay_day(site: Any, worked: Worked) -> None:
    with after(site, worked, worked.brian) as client:
        start = site.now + timedelta(hours=3)
        sent = {"start": start.isoformat(), "end": (start + timedelta(minutes=10)).isoformat()}
        sent |= {"batch": str(worked.batch_id), "reason": "reading"}
        assert client.post("/api/v1/declarations", json=sent).status_code == 201
        (late,) = client.get("/api/v1/pay").json()["added_to_settled_weeks"]
        # Both answers together were under the floor, so ten minutes at 275.00 an hour are due whole, less a rounding.
        assert (late["corrects_week"], late["seconds"]) == ("2026-W47", 600)
        assert 45 * 100 <= round(float(late["due"]) * 100) <= 4584
        page = plain(client.get("/pay").text)
        assert "Added to weeks that were settled before" in page
        assert f"KES {late['due']}" in page
    with site.session() as session:
        period = period_at(session, worked.over, worked.over)

    def run(step: Any) -> Any:
        with site.session() as session:
            return step(session)

    payroll.close_period(run, period.id, period.ends_at)
    with after(site, worked, worked.brian) as client:
        client.headers[CLOCK_HEADER] = (period.ends_at + timedelta(hours=1)).isoformat()
        assert client.get("/api/v1/pay").json()["added_to_settled_weeks"] == []
        newest = client.get("/api/v1/payslips").json()[0]
        assert newest["total"] == late["due"]
        page = plain(client.get(f"/pay/payslips/{newest['id']}").text)
        assert "added to week 2026-W47, 0:10:00" in page
        (line,) = client.get(f"/api/v1/payslips/{newest['id']}").json()["payslip"]["lines"]
        page = plain(client.get(f"/pay/lines/{line['due_line']}").text)
        assert "This adds to week 2026-W47" in page
        assert "The line that it corrects" in page
