"""What an organizer sees: every figure from the books, every line down to its evidence, nobody's name."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import closing
import pytest
from closing import Week
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from annotate import wage_views
from annotate.audit import csv_of
from annotate.audit_line import view_of
from annotate.i18n import Formats
from annotate.verifier.main import verify
from annotate.wage_views import CSV_COLUMNS, WageRow, WageView, draw, reason
from payments import jobs, payroll, reports, transparency, worktime
from payments.due_lines import DueLine
from payments.periods import PayPeriod, period_at
from payments.reports import ReportKind
from payments.wages import WorkerWage, wages
from tasks import progress

LOG_KEY = bytes(range(100, 132)).hex()
WEEK = "2026-W47"


@pytest.fixture(scope="module")
def settled(site: Any) -> Week:
    """A week that was worked, closed and logged."""
    with site.session() as session:
        week = closing.week(session, site.now)
    payroll.close_period(jobs._in_own_transaction, week.period.id, week.over)
    with site.session() as session:
        while transparency.sequence(session, week.over):
            pass
        reports.ask(session, ReportKind.HOURS, week.period.code, None, week.over)
    site.work_off()
    return week


@pytest.fixture(autouse=True)
def log_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_LOG_KEY", LOG_KEY)


def lines(site: Any, week: Week) -> list[DueLine]:
    with site.session() as session:
        return payroll.lines_of(session, week.period.id)


def pages(site: Any, week: Week) -> list[str]:
    """Every page of an organizer that shows something of this week."""
    made = lines(site, week)
    return [
        "/audit/wages",
        f"/audit/wages?period={WEEK}&currency=USD&show=all",
        "/audit/hours",
        "/audit/checks",
        "/audit/ledger",
        "/audit/ledger?kind=worker_payable",
        "/audit/journals",
        "/audit/exports",
        "/audit/mturk",
        f"/audit/workers/{week.brian.id}?period={WEEK}",
        *(f"/audit/lines/{one.id}" for one in made),
        *(f"/audit/journals/{one.journal_id}" for one in made),
        f"/audit/accounts/worker_payable:{week.amina.id}:KES",
    ]


def test_every_page_shows_pseudonyms_and_no_name(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        for path in pages(site, settled):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert "Amina" not in answer.text, path
            assert "Brian" not in answer.text, path
        shown = client.get(f"/audit/wages?period={WEEK}&currency=KES&show=all").text
        assert settled.amina.pseudonym in shown


def test_wages_say_what_the_books_say_one_currency_at_a_time(site: Any, settled: Week) -> None:
    with site.session() as session:
        booked = wages(session, session.get_one(PayPeriod, settled.period.id))
    with site.client("organizer") as client:
        said = client.get(f"/api/v1/audit/wages?period={WEEK}").json()
        assert {one["currency"] for one in said["currencies"]} == {"KES", "USD"}
        for view in said["currencies"]:
            own = [one for one in booked if one.currency == view["currency"]]
            assert view["paid"] == sum(one.due for one in own)
            assert view["topups"] == sum(one.topup for one in own)
            assert view["workers"] == len(own)
            assert [row["paid"] for row in view["wages"]] == [one.due for one in own]
        shillings = client.get(f"/audit/wages?period={WEEK}&currency=KES").text
        assert "USD (1)" in shillings
        assert "$" not in re.sub(r"<style>.*?</style>", "", shillings, flags=re.DOTALL)
        assert client.get(f"/audit/wages?period={WEEK}&currency=EUR").status_code == 404
        assert client.get("/audit/wages?period=2026-W01").status_code == 404


def test_the_export_is_what_the_page_shows(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        for show in ("below", "all"):
            page = client.get(f"/audit/wages?period={WEEK}&currency=KES&show={show}").text
            file = client.get(f"/audit/wages.csv?period={WEEK}&currency=KES&show={show}")
            rows = list(csv.DictReader(io.StringIO(file.text)))
            table = page.split('id="workers"')[1]
            assert [row["worker"] for row in rows] == re.findall(r'class="nowrap">(w-\w{6})<', table)
            for row in rows:
                topup = Formats("en").money(int(row["topup"].replace(".", "")), "KES")
                assert topup in table or row["topup"] == "0.00"
        hours = client.get(f"/audit/hours.csv?period={WEEK}")
        found = {row["worker"]: row for row in csv.DictReader(io.StringIO(hours.text))}
        assert set(found) == {settled.amina.pseudonym, settled.brian.pseudonym}
        assert 'attachment; filename="hours-2026-W47.csv"' in hours.headers["content-disposition"]
        # Two answers and a wait on Monday in Nairobi: 240 s, 12 s and what the queue is worth.
        assert int(found[settled.amina.pseudonym]["2026-11-16 seconds"]) >= 252


def test_a_line_shows_its_seconds_rule_and_proof(site: Any, settled: Week) -> None:
    line = next(one for one in lines(site, settled) if one.topup and one.charge_currency != one.currency)
    with site.client("organizer") as client:
        client.get(f"/audit/bundles/{WEEK}.zip")  # signs the head of the log
        page = client.get(f"/audit/lines/{line.id}").text
        assert "the evidence is what was booked" in page
        assert "Proof holds" in page
        assert "1 EUR = 150 KES" in page
        assert line.rule in page
        assert "new.kenyalaw.org" in page
        said = client.get(f"/api/v1/audit/lines/{line.id}").json()
        assert said["evidence_as_booked"]
        assert sum(one["end"] - one["start"] for one in said["intervals"]) == line.seconds
        assert [one["applied"] for one in said["rules"]].count(True) == 1
        assert said["log"]["holds"]
        journal = client.get(f"/api/v1/audit/journals/{line.journal_id}").json()
        assert journal["due_line"] == str(line.id)
        assert f"/audit/lines/{line.id}" in client.get(f"/audit/journals/{line.journal_id}").text


def test_a_line_whose_facts_changed_says_so(site: Any, settled: Week) -> None:
    line = next(one for one in lines(site, settled) if one.batch_id and one.worker_id == settled.amina.id)
    with site.engine.connect() as connection, Session(connection) as session:
        same = view_of(session, session.get_one(DueLine, line.id))
        assert same.evidence.same
        session.execute(
            text(
                "UPDATE proof SET at = at + interval '7 seconds' WHERE worker_id = :who AND kind = 'submit'"
            ),
            {"who": line.worker_id},
        )
        assert not view_of(session, session.get_one(DueLine, line.id)).evidence.same
        connection.rollback()


def test_a_statement_runs_down_to_nothing(site: Any, settled: Week, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotate.audit_ledger.ROWS_A_PAGE", 2)
    code = f"worker_payable:{settled.amina.id}:KES"
    found: list[dict[str, Any]] = []
    with site.client("organizer") as client:
        before = ""
        while part := client.get(f"/api/v1/audit/accounts/{code}/statement{before}").json():
            found += part
            before = f"?before={part[-1]['version']}"
        page = client.get(f"/audit/accounts/{code}").text
        assert f"before={found[1]['version']}" in page
    assert [one["version"] for one in found] == list(range(len(found), 0, -1))
    running = 0
    for one in reversed(found):
        running += one["change"]
        assert one["after"] == running
    assert running == 0  # all of it is set aside for the payout


def test_the_ledger_is_found_by_worker_kind_and_batch(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        owed = client.get(f"/api/v1/audit/accounts?q={settled.amina.pseudonym}").json()
        assert [one["code"] for one in owed] == [f"worker_payable:{settled.amina.id}:KES"]
        fees = client.get("/api/v1/audit/accounts?kind=platform_fee").json()
        assert {one["code"] for one in fees} == {"platform_fee:KES", "platform_fee:USD"}
        batch = client.get(f"/api/v1/audit/accounts?q={settled.photos.id}").json()
        assert {one["kind"] for one in batch} == {"liability"}
        assert client.get("/api/v1/audit/accounts?q=100%25").json() == []
        assert "No account fits" in client.get("/audit/ledger?q=nothing-like-it").text


@pytest.fixture
def bent(site: Any, settled: Week) -> Iterator[UUID]:
    """A payslip changed behind the back of the product; put right afterwards."""
    change = "UPDATE payslip SET total = total {} 1 WHERE worker_id = :who"
    for sign in ("+", "-"):
        with site.session() as session:
            session.execute(text("ALTER TABLE payslip DISABLE TRIGGER USER"))
            session.execute(text(change.format(sign)), {"who": settled.amina.id})
            session.execute(text("ALTER TABLE payslip ENABLE TRIGGER USER"))
        if sign == "+":
            yield settled.amina.id


def checked(site: Any, client: Any) -> tuple[str, Any]:
    """Have the books checked; gives the page and what a program reads."""
    asked = client.post("/api/v1/audit/checks")
    assert asked.status_code == 202
    assert asked.json()["state"] == "under_way"
    site.work_off()
    return client.get("/audit/checks").text, client.get(f"/api/v1/audit/reports/{asked.json()['id']}").json()


def test_verify_holds_for_right_books(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        page, said = checked(site, client)
        assert "checks hold, to journal" in page
        assert said["state"] == "made"
        assert said["ok"], [one for one in said["checks"] if not one["ok"]]
        assert len(said["checks"]) > 15
        assert said["progress"] == {"done": 2, "total": 2}  # two workers' weeks
        assert said["asked_at"] <= said["began_at"] <= said["ended_at"]
        assert "all checks hold" in client.get("/audit/ledger").text


def test_verify_names_what_does_not_fit(site: Any, bent: UUID) -> None:
    with site.client("organizer") as client:
        page, said = checked(site, client)
        assert "1 check fails" in page
        assert "something does not fit" in client.get("/audit/ledger").text
    assert not said["ok"]
    (broken,) = [one for one in said["checks"] if not one["ok"]]
    assert broken["name"] == "every payslip's total is the sum of its lines"
    assert WEEK in broken["detail"]


def test_the_page_shows_how_far_a_check_is_and_then_what_it_found(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        asked = client.post("/audit/checks", follow_redirects=False)
        assert (asked.status_code, asked.headers["location"]) == (303, "/audit/checks")
        page = client.get("/audit/checks").text
        (live,) = re.findall(r'data-live="(/audit/reports/[^"]+/live)"', page)
        assert "Waiting to start" in page
        assert 'action="/audit/checks"' not in page
        assert client.post("/api/v1/audit/checks").json()["id"] in live  # asked twice, made once
        with site.session() as session:
            progress.report(session, UUID(live.split("/")[3]), 30, 120, site.now)
        going_on = client.get(live).text
        assert "30 of 120" in going_on
        assert 'value="30" max="120"' in going_on
        assert "data-reload" not in going_on
        site.work_off()
        ended = client.get(live).text
        assert "data-reload" in ended
        assert "data-live" not in ended
        page = client.get("/audit/checks").text
        assert "it took 0 s" in page or "it took 1 s" in page
        assert "data-live" not in page


def test_a_check_that_breaks_off_is_said_and_the_last_one_stays(
    site: Any, settled: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.client("organizer") as client:
        before, _ = checked(site, client)
        assert "checks hold" in before
        with monkeypatch.context() as broken:
            broken.setitem(reports.MAKERS, ReportKind.BOOKS, lambda *_: 1 / 0)
            _, said = checked(site, client)
        assert (said["state"], said.get("ok")) == ("failed", None)
        page = client.get("/audit/checks").text
        assert "could not be finished" in page
        assert "checks hold" in page
        assert "could not be finished" not in checked(site, client)[0]


def test_the_hours_of_a_week_are_counted_by_a_job(site: Any, settled: Week) -> None:
    code = "2026-W48"
    with site.session() as session:
        period_at(session, site.now + timedelta(weeks=1), site.now)
    with site.client("organizer") as client:
        assert "Not counted yet" in client.get(f"/audit/hours?period={code}").text
        assert client.get(f"/audit/hours.csv?period={code}").status_code == 404
        assert "not counted yet" in client.get(f"/api/v1/audit/hours?period={code}").json()["detail"]
        client.post(f"/audit/hours/count?period={code}")
        assert 'data-live="/audit/reports/' in client.get(f"/audit/hours?period={code}").text
        site.work_off()
        assert "No hours in this week" in client.get(f"/audit/hours?period={code}").text
        assert client.post("/api/v1/audit/hours/count?period=2026-W01").status_code == 404
        counted = client.get(f"/api/v1/audit/hours?period={WEEK}").json()
        assert counted["counted_at"]
        assert {one["worker"] for one in counted["workers"]} == {
            settled.amina.pseudonym,
            settled.brian.pseudonym,
        }


def test_a_bundle_goes_home_and_verifies(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        key = client.get("/api/v1/audit/key").json()["key"]
        assert key in client.get("/audit/exports").text.replace("&#43;", "+")
        bundle = client.get(f"/audit/bundles/{WEEK}.zip")
        assert bundle.headers["content-type"] == "application/zip"
        assert int(bundle.headers["content-length"]) == len(bundle.content)
        report = verify(io.BytesIO(bundle.content), key)
        assert report.exit_code == 0, report.lines()
        assert client.get(f"/api/v1/audit/bundles/{WEEK}.zip").status_code == 200
        for name in ("2026-W01.zip", WEEK, "..zip", "x.zip"):
            assert client.get(f"/audit/bundles/{name}").status_code == 404


def test_without_a_key_there_is_no_bundle(site: Any, settled: Week, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAYMENTS_LOG_KEY")
    with site.client("organizer") as client:
        assert "signs nothing yet" in client.get("/audit/exports").text
        answer = client.get(f"/api/v1/audit/bundles/{WEEK}.zip")
        assert answer.status_code == 409
        assert "PAYMENTS_LOG_KEY" in answer.json()["detail"]


@pytest.mark.parametrize("role", [None, "worker", "requester"])
def test_the_books_are_for_organizers(site: Any, settled: Week, role: str | None) -> None:
    api = [
        f"/api/v1{path.split('?')[0]}" for path in pages(site, settled) if not re.search("mturk|checks", path)
    ]
    files = [
        f"/audit/wages.csv?period={WEEK}",
        f"/audit/hours.csv?period={WEEK}",
        f"/audit/bundles/{WEEK}.zip",
    ]
    with site.client(role) as client:
        for path in [*pages(site, settled), *api, *files, "/api/v1/audit/periods", "/api/v1/audit/key"]:
            status = client.get(path).status_code
            assert status in {401 if role is None else 403, 400, 404}, path
            assert path.startswith("/api/") or status == (401 if role is None else 403), path
        for path in ("/audit/checks", f"/audit/hours/count?period={WEEK}"):
            assert client.post(path).status_code == (401 if role is None else 403)


@pytest.mark.parametrize(
    "path",
    [
        f"/audit/lines/{UUID(int=7)}",
        f"/audit/workers/{UUID(int=7)}",
        "/audit/journals/0",
        f"/audit/journals/{2**70}",
        "/audit/accounts/rail_cash:nowhere:KES",
        "/audit/accounts/%00",
        "/audit/accounts/x%0Ay",
        "/audit/wages?period=%00",
        "/audit/hours?period=W",
        "/audit/wages?currency=%00",
    ],
)
def test_what_is_not_there_is_not_found(site: Any, settled: Week, path: str) -> None:
    with site.client("organizer") as client:
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/audit/wages?period={WEEK}&start=-5",
        f"/audit/wages?period={WEEK}&start={2**70}",
        f"/audit/journals?before={2**70}",
        "/audit/journals?before=-1",
        "/audit/ledger?q=%00&after=%00",
        "/audit/ledger?kind=nonsense&q=%25_",
    ],
)
def test_odd_questions_get_an_answer(site: Any, settled: Week, path: str) -> None:
    with site.client("organizer") as client:
        assert client.get(path).status_code == 200


def test_the_requester_is_no_worker_to_look_at(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        assert client.get(f"/audit/workers/{site.people['requester'].id}").status_code == 404


def wage(before: int | None = 100, floor: int | None = 100, **more: Any) -> WorkerWage:
    """A wage of an hour."""
    given: dict[str, Any] = {
        "worker_id": uuid4(),
        "pseudonym": "w-000000",
        "place": "KE",
        "currency": "KES",
        "seconds": 3600,
        "agreed": before or 0,
        "due": max(before or 0, floor or 0),
        "topup": max(0, (floor or 0) - (before or 0)),
        "hourly_before": None if before is None else Fraction(before),
        "hourly_after": None if before is None else Fraction(max(before, floor or 0)),
        "floor_rate": None if floor is None else Fraction(floor),
        "floor_currency": "KES",
        "batches": (),
        "answers": 1,
        "overhead_seconds": 0,
    }
    return WorkerWage(**{**given, **more})


def view(*made: WorkerWage) -> WageView:
    return WageView("KES", [WageRow(one, "", 0, (), 1) for one in made])


@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.sampled_from([100, 27_500, 27_501])), min_size=1, max_size=60
    )
)
def test_no_bar_mixes_people_below_and_above_their_floor(made: list[tuple[int, int]]) -> None:
    seen = view(*(wage(before, floor) for before, floor in made))
    drawing = draw(seen, Formats("en"), "floor")
    assert drawing is not None
    for plot in (drawing.wide, drawing.slim):
        assert sum(int(bar.value) for bar in plot.bars) == len(made)
        assert sum(int(bar.value) for bar in plot.bars if bar.tone == "warn") == sum(
            before < floor for before, floor in made
        )
    assert drawing.in_percent == (len({floor for _, floor in made}) > 1)


def test_without_credited_time_there_is_nothing_to_draw() -> None:
    assert draw(view(wage(None, None, seconds=0)), Formats("en"), "floor") is None
    assert view(wage(None, None, seconds=0)).median is None


def line_of(**seconds: int) -> Any:
    return DueLine(seconds_by=seconds)


@pytest.mark.parametrize(
    ("given_wage", "seconds", "said"),
    [
        (wage(100, 100), {"task": 3600}, ("", 0)),
        (wage(50, 100), {"task": 3600}, ("price", 0)),
        (wage(50, 100), {"task": 1200, "rest": 2400}, ("unpriced", 2400)),
        (wage(0, 100), {"task": 3600}, ("by_hour", 0)),
        (wage(0, 100, answers=0), {"task": 3600}, ("nothing", 0)),
        (wage(150, 100, topup=7), {"task": 3600}, ("line", 0)),
    ],
)
def test_a_top_up_has_its_reason(
    given_wage: WorkerWage, seconds: dict[str, int], said: tuple[str, int]
) -> None:
    assert reason(given_wage, [line_of(**seconds)]) == said


def test_no_cell_of_an_export_is_a_formula() -> None:
    row = WageRow(wage(), "", 0, ("=cmd()",), 1)
    (read,) = list(csv.DictReader(io.StringIO(csv_of(CSV_COLUMNS, [row]).decode())))
    assert read["work"] == "'=cmd()"


def test_hours_are_of_the_workers_own_days(site: Any, settled: Week) -> None:
    with site.client("organizer") as client:
        said = client.get(f"/api/v1/audit/hours?period={WEEK}").json()
    assert {one["worker"] for one in said["workers"]} == {settled.amina.pseudonym, settled.brian.pseudonym}
    brian = next(one for one in said["workers"] if one["worker"] == settled.brian.pseudonym)
    # Six o'clock UTC on Monday is one in the morning in New York.
    assert brian["days"]["2026-11-16"] > 0
    assert brian["week"] == sum(brian["days"].values())
    assert wage_views.hourly_text(None, "KES") == ""
    with site.session() as session:
        start, end = settled.period.starts_at, settled.period.ends_at
        shares = worktime.shares_of(session, settled.brian.id, start, end + timedelta(days=1))
        assert brian["week"] == sum(share.seconds for share in shares)
