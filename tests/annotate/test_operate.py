"""The operator's desk: weeks are closed, payouts confirmed, rules verified by two, added time decided in writing."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import closing
import factories
import pytest
from closing import Week
from sqlalchemy import text

from annotate import heartbeat
from annotate import jobs as our_jobs
from payments import jobs, payroll, rules, worktime
from payments.due_lines import DueLine, UnderpaidLine, lines_of
from payments.ledger import balance
from payments.money import text as money_text
from payments.payouts import PayoutState, payouts_in, runs_of
from payments.rules import shipped
from tasks import clock, progress
from tasks.people import Person

WEEK = "2026-W47"


@pytest.fixture(scope="module")
def week(site: Any) -> Week:
    """A worked week that is over."""
    with site.session() as session:
        return closing.week(session, site.now)


@pytest.fixture
def after(site: Any, week: Week) -> Iterator[Week]:
    """The clock stands after the week."""
    before = site.now
    for moment in (week.over, before):
        site.now = moment
        with site.session() as session:
            clock.turn(session, moment, simulated=True)
        if moment == week.over:
            yield week


@pytest.fixture
def closed(after: Week) -> Week:
    """The week is closed."""
    payroll.close_period(jobs._in_own_transaction, after.period.id, after.over)
    return after


def test_no_worker_process_is_said_until_one_is_heard(site: Any, week: Week) -> None:
    with site.client("operator") as client:
        assert "No worker process is running" in client.get("/operate/periods").text
        our_jobs.beat()
        assert "No worker process is running" not in client.get("/operate/periods").text
        with site.session() as session:
            long_ago = datetime.now(UTC) - timedelta(minutes=4)
            progress.report(session, heartbeat.SUBJECT, 1, 1, long_ago)
        assert "No worker process is running" in client.get("/operate/periods").text
        our_jobs.beat()


def test_a_week_that_goes_on_is_not_closed(site: Any, week: Week) -> None:
    with site.client("operator") as client:
        page = client.post(f"/operate/periods/{WEEK}/close")
        assert page.status_code == 409
        assert "not over yet" in page.text
        said = client.post(f"/api/v1/operate/periods/{WEEK}/close")
        assert (said.status_code, said.json()["title"]) == (409, "PeriodNotOver")
        assert client.post("/operate/periods/2020-W01/close").status_code == 404


def bend(site: Any, line_id: UUID, rate: str) -> None:
    """Change a stored line behind the back of the product."""
    with site.session() as session:
        session.execute(text("ALTER TABLE due_line DISABLE TRIGGER USER"))
        session.execute(
            text("UPDATE due_line SET rate = :rate WHERE id = :id"), {"rate": rate, "id": line_id}
        )
        session.execute(text("ALTER TABLE due_line ENABLE TRIGGER USER"))


def test_a_closing_is_watched_and_what_stops_it_is_named(site: Any, after: Week) -> None:
    period = after.period
    with site.client("operator") as client:
        asked = client.post(f"/operate/periods/{WEEK}/close", follow_redirects=False)
        assert (asked.status_code, asked.headers["location"]) == (303, f"/operate/periods#{WEEK}")
        assert "Waiting to start" in client.get("/operate/periods").text
        with site.session() as session:
            payroll.begin_close(session, period, after.over)
            for who in payroll.workers_to_close(session, period):
                payroll.close_worker(session, period, who, after.over)
            line: DueLine = lines_of(session, period.id)[0]
        bend(site, line.id, "99999999/1")
        with pytest.raises(UnderpaidLine):
            jobs.close_period(str(period.id))
        page = client.get("/operate/periods").text
        assert "The closing stopped" in page
        assert f"/audit/lines/{line.id}" in page
        live = f"/operate/periods/{WEEK}/live"
        assert "data-live" in client.get(live).text
        stopped = client.get(f"{live}?done=2&still=30").text
        assert f"/audit/lines/{line.id}" in stopped
        assert "data-live" not in stopped
        said = client.get(f"/api/v1/operate/periods/{WEEK}").json()
        assert said["progress"] == {"done": 2, "total": 2}
        assert [one["href"] for one in said["trouble"]] == [f"/audit/lines/{line.id}"]
        assert said["runs"] == []
        bend(site, line.id, line.rate)
        jobs.close_period(str(period.id))
        assert "data-reload" in client.get(f"{live}?done=2").text
        assert "The closing stopped" not in client.get("/operate/periods").text
        assert client.get(f"/api/v1/operate/periods/{WEEK}").json()["state"] == "closed"
        assert client.post(f"/api/v1/operate/periods/{WEEK}/close").status_code == 202


def test_somebody_who_cannot_be_settled_is_named(site: Any, closed: Week) -> None:
    later = closed.period.ends_at + timedelta(hours=8)
    with site.session() as session:
        lost = factories.worker(session, later, place="KE")
        worktime.record(session, worker_id=lost.id, kind="queue_wait", now=later, unit="queue")
        period = payroll.period_at(session, later, later)
        payroll.begin_close(session, period, period.ends_at + timedelta(hours=3))
        session.execute(text("UPDATE pay_rule SET status_events = '[]'"))
    site.now = period.ends_at + timedelta(hours=3)
    try:
        with site.client("operator") as client:
            said = client.get(f"/api/v1/operate/periods/{period.code}").json()
            assert "No pay rule covers this place" in said["trouble"][0]["text"]
            assert said["trouble"][0]["href"] == f"/audit/workers/{lost.id}?period={period.code}"
    finally:
        with site.session() as session:
            session.execute(
                text(
                    """UPDATE pay_rule SET status_events = jsonb_build_array(
                        jsonb_build_object('status', status, 'at', '2026-11-01T00:00:00Z'))"""
                )
            )


def test_a_run_goes_to_the_bank_and_is_confirmed_with_its_total(site: Any, closed: Week) -> None:
    with site.session() as session:
        run = next(one for one in runs_of(session, closed.period.id) if one.currency == "KES")
        (payout,) = payouts_in(session, run.id)
    address = f"/operate/payouts/{run.id}"
    with site.client("operator") as client:
        assert "File not made" in client.get("/operate/payouts").text
        assert client.get(f"{address}/file").status_code == 409
        assert client.post(f"{address}/file").status_code == 200
        file = client.get(f"{address}/file")
        (row,) = csv.DictReader(io.StringIO(file.text))
        assert (row["payout_id"], row["amount"]) == (str(payout.id), money_text(payout.amount, "KES"))
        assert client.post(f"/api/v1/operate/runs/{run.id}/file").content == file.content
        form = {"reference": "BANK 77", "total": "1.00"}
        wrong = client.post(f"{address}/confirm", data=form)
        assert wrong.status_code == 422
        assert 'value="BANK 77"' in wrong.text
        assert "not the total of the run" in wrong.text
        empty = client.post(f"{address}/confirm", data={"reference": " ", "total": row["amount"]})
        assert empty.status_code == 422
        assert "reference of a payment" in empty.text
        typed = row["amount"].replace(".", ",") + "\u202f"
        paid = client.post(f"{address}/confirm", data={"reference": "BANK 77", "total": typed})
        assert paid.status_code == 200
        assert "BANK 77" in paid.text
        back = client.post(f"{address}/{payout.id}", data={"action": "fail", "words": "Account closed"})
        assert "Account closed" in back.text
        again = client.post(f"{address}/{payout.id}", data={"action": "confirm", "words": "X"})
        assert again.status_code == 409
        assert "settled otherwise" in again.text
    with site.session() as session:
        assert balance(session, f"worker_payable:{closed.amina.id}:KES") == payout.amount
        assert closing.failed(session) == []


def test_payouts_are_settled_by_the_api(site: Any, closed: Week) -> None:
    with site.session() as session:
        run = next(one for one in runs_of(session, closed.period.id) if one.currency == "USD")
        other = next(one for one in runs_of(session, closed.period.id) if one.currency == "KES")
        (payout,) = payouts_in(session, run.id)
    with site.client("operator") as client:
        base = f"/api/v1/operate/runs/{run.id}"
        foreign = f"/api/v1/operate/runs/{other.id}/payouts/{payout.id}/confirm"
        assert client.post(foreign, json={"reference": "R"}).status_code == 404
        assert client.post(f"{base}/payouts/{payout.id}/fail", json={"reason": ""}).status_code == 422
        assert client.post(f"{base}/confirm", json={"reference": "R", "extra": 1}).status_code in {400, 422}
        done = client.post(f"{base}/confirm", json={"reference": "R"}).json()
        assert [one["state"] for one in done["payouts"]] == [PayoutState.PAID]
        once = client.post(f"{base}/payouts/{payout.id}/confirm", json={"reference": "R"})
        assert once.json()["state"] == PayoutState.PAID
        assert client.get(base).json()["total"] == payout.amount


def test_a_rule_needs_two_different_people(site: Any, week: Week) -> None:
    document = {**shipped()[0], "version": 77}
    with site.session() as session:
        rules.record(session, document, site.now)
        second = factories.operator(session, site.now, name="Juma")
    address = f"/operate/rules/{document['id']}/77/verify"
    with site.client("operator") as client:
        assert "Waits for verification" in client.get("/operate/rules").text
        one = client.post(address, data={"note": "Gazette, page 3"})
        assert "The second verification must come from another person" in one.text
        assert "Gazette, page 3" in one.text
        twice = client.post(address)
        assert twice.status_code == 409
        assert "You have verified this rule already" in twice.text
        api = f"/api/v1/operate/rules/{document['id']}/77/verify"
        assert client.post(api, json={}).status_code == 409
        assert client.post("/api/v1/operate/rules/none/1/verify", json={}).status_code == 404
        assert client.post(f"/api/v1/operate/rules/x/{2**40}/verify", json={}).status_code == 404
    with site.client(second) as client:
        assert client.post(api, json={"note": ""}).json()["status"] == "in_force"


def declared(site: Any, week: Week, start: datetime) -> tuple[Person, UUID]:
    """An hour that somebody added and nobody has decided."""
    with site.session() as session:
        one = worktime.declare(
            session,
            worker_id=week.amina.id,
            batch_id=None,
            start=start,
            end=start + timedelta(hours=1),
            reason="Wrote to support <b>twice</b>",
            now=week.over,
        )
        assert one.state == "pending"
        return week.amina, one.id


def test_added_time_is_refused_only_in_writing(site: Any, after: Week) -> None:
    who, waiting = declared(site, after, site.now - timedelta(days=4, hours=3))
    with site.client("operator") as client:
        page = client.get("/operate/declarations").text
        assert who.pseudonym in page
        assert "&lt;b&gt;twice" in page
        address = f"/operate/declarations/{waiting}"
        silent = client.post(address, data={"action": "refuse", "reason": "  "})
        assert silent.status_code == 422
        assert "needs a written reason" in silent.text
        assert client.post(address, data={"action": "shrug"}).status_code == 422
        assert client.post(address, data={"action": "refuse", "reason": "Counted already"}).status_code == 200
        late = client.post(f"/api/v1{address}/decide", json={"outcome": "accept"})
        assert (late.status_code, late.json()["title"]) == (409, "AlreadyDecided")
        _, other = declared(site, after, site.now - timedelta(days=3, hours=3))
        assert [one["id"] for one in client.get("/api/v1/operate/declarations").json()] == [str(other)]
        said = client.post(f"/api/v1/operate/declarations/{other}/decide", json={"outcome": "accept"})
        assert said.json()["state"] == "accepted"
        assert client.post(f"/operate/declarations/{uuid4()}", data={"action": "accept"}).status_code == 404


@pytest.mark.parametrize("role", [None, "worker", "requester", "organizer"])
def test_the_desk_is_for_operators(site: Any, closed: Week, role: str | None) -> None:
    with site.session() as session:
        run = runs_of(session, closed.period.id)[0]
    refused = 401 if role is None else 403
    with site.client(role) as client:
        for path in (
            "/operate/periods",
            f"/operate/periods/{WEEK}/live",
            "/operate/payouts",
            f"/operate/payouts/{run.id}",
            f"/operate/payouts/{run.id}/file",
            "/operate/rules",
            "/operate/declarations",
            f"/api/v1/operate/periods/{WEEK}",
            f"/api/v1/operate/runs/{run.id}",
            "/api/v1/operate/declarations",
        ):
            assert client.get(path).status_code == refused, path
        for path in (
            f"/operate/periods/{WEEK}/close",
            f"/operate/payouts/{run.id}/confirm",
            f"/operate/payouts/{run.id}/{uuid4()}",
            f"/operate/declarations/{uuid4()}",
            f"/api/v1/operate/runs/{run.id}/file",
            f"/api/v1/operate/periods/{WEEK}/close",
        ):
            assert client.post(path).status_code == refused, path
