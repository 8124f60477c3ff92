"""Who may do what: every route is called by nobody, by every role, with rows of others and with hostile input.

Nobody gets in without signing in, except where the table says so; another role gets nothing; a foreign row answers
word for word as one that does not exist; and nothing that anybody sends makes the server stumble.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import closing
import factories
import pytest
from route_table import ROLES, ROUTES, SIGNED_IN, WRITES, Route, hostile_bodies, routes_of, valid
from sqlalchemy import select
from sqlalchemy.orm import Session

import annotate
from annotate import auth
from annotate.visit import COOKIE
from payments import payouts, payroll, payslips, reports, rules
from payments.accounts import Account
from payments.due_lines import lines_of
from payments.periods import period_at
from payments.worktime import declare
from tasks import exclusions, intake
from tasks.assignments import Assignment
from tasks.batches import Batch
from tasks.gold import GoldCheck, GoldContest
from tasks.items import Item
from tasks.people import Person

FORM_NAMES = sorted(
    {
        name
        for source in Path(annotate.__file__).parent.glob("*.py")
        for name in re.findall(
            r'visit\.(?:text|form\.get)\(\s*"([\w.-]+)"', source.read_text(encoding="utf-8")
        )
    }
)
TEXTS = (
    "",
    "\x00",
    "x" * 5000,
    "-1",
    "9" * 25,
    "é\u202e🙂",
    "../..",
    "%",
    "' OR 1=1 --",
    "{{7*7}}",
    "1e400",
    "NaN",
)
PATH_TEXTS = (
    "%00",
    "x" * 3000,
    "-1",
    "9" * 25,
    quote("é\u202e🙂"),
    "..%2f..",
    "%ff",
    quote("' --"),
    "2026-W99",
    "%20",
)
MISSING = {
    "code": "2019-W01",
    "item_id": "999999999",
    "journal_id": "999999999",
    "name": "2019-W01.zip",
    "rule_id": "nothing",
    "token": "nothing-of-this-name",
    "version": "999999",
}
ANSWERED = {200, 201, 202, 204, 302, 303}


@dataclass
class Browser:
    """Somebody's browser; all of them share one connection to the application."""

    client: Any
    cookie: str
    csrf: str

    def request(self, method: str, path: str, **more: Any) -> Any:
        """Send a request with this browser's cookie alone."""
        self.client.cookies.clear()
        own = {"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        own |= {"x-csrf-token": self.csrf} if self.csrf else {}
        headers = {**own, **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, follow_redirects=False, **more)

    def get(self, path: str, **more: Any) -> Any:
        """Look at something."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        """Send something."""
        return self.request("POST", path, **more)


@dataclass
class World:
    """A closed week, with the ids of rows that are somebody's own and of rows that are somebody else's."""

    site: Any
    client: Any
    routes: list[Route]
    own: dict[str, dict[str, str]]
    foreign: dict[str, dict[str, str]]

    def browser(self, who: str) -> Browser:
        """Sign somebody in; '' is nobody."""
        if not who:
            return Browser(self.client, "", "")
        with self.site.session() as session:
            cookie = auth.start_sign_in(session, self.site.people[ROLES[who]], self.site.now, 30)
            viewer = auth.viewer_by_cookie(session, cookie, self.site.now)
        assert viewer is not None
        return Browser(self.client, cookie, viewer.csrf)

    def browsers(self) -> dict[str, Browser]:
        """Give a browser of each role, and of nobody ('')."""
        return {who: self.browser(who) for who in ("", *ROLES)}

    def path(self, route: Route, who: str, **other: str) -> str:
        """Fill a route's path with own ids, except for those named."""
        known = {**MISSING, **self.own.get(who, self.own["P"]), **other}
        if route.path.startswith(("/audit/accounts", "/api/v1/audit/accounts")) and "code" not in other:
            known["code"] = known["account"]
        path = re.sub(r"\{(\w+)\}", lambda name: known.get(name[1]) or str(uuid4()), route.path)
        desk = self.own["P"]
        query = {"period": desk["code"], "worker": desk["worker_id"]}
        asked = "&".join(f"{name}={query[name]}" for name in route.query if name in query)
        return f"{path}?{asked}" if asked else path


@pytest.fixture(scope="module")
def world(site: Any) -> Iterator[World]:
    with site.session() as session:
        own, foreign = _rows(session, site)
    with site.client() as client:
        yield World(site, client, routes_of(site.app), own, foreign)


def _rows(session: Session, site: Any) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    now = site.now
    me, other = (
        site.people["worker"],
        factories.worker(session, now, name="Grace", place="US", area=None, time_zone="America/New_York"),
    )
    requester, rival = site.people["requester"], factories.requester(session, now, name="Rival")
    project, batch, upload = _work_of(session, requester, now)
    their_project, draft, their_upload = _work_of(session, rival, now)
    dollars, shillings = (
        closing.paid_batch(session, now, currency, price, name=currency, of=project, answers_wanted=3)
        for currency, price in (("USD", "0.05"), ("KES", "30"))
    )
    mine, theirs = (
        _worked(session, me, dollars, shillings, now),
        _worked(session, other, dollars, shillings, now),
    )
    period = period_at(session, now, now)
    site.now = period.ends_at + timedelta(hours=3)
    held = {person: factories.assignment(session, dollars, person, site.now) for person in (me, other)}
    payroll.close_period(closing.runner(session), period.id, site.now)
    run, other_run = payouts.runs_of(session, period.id)[:2]
    for person, ids in ((me, mine), (other, theirs)):
        ids["assignment_id"] = str(held[person].id)
        session.add(_check(held[person], project.id, site.now))
        slip = payslips.payslips_of(session, person.id)[0]
        payslips.share(session, slip, site.now)
        ids["payslip_id"] = str(slip.id)
        ids["share"] = payslips.shares_of(session, slip, site.now)[0].token_hash
        ids["line_id"] = str(lines_of(session, period.id, person.id)[0].id)
        ids["token_id"] = _api_token(session, person, site.now)
    excluded = {
        who.id: exclusions.exclude(
            session, project_id=of.id, worker_id=who.id, by=by, reason="A test.", days=30, now=site.now
        )
        for who, of, by in ((me, project, requester), (other, their_project, rival))
    }
    mine["exclusion_id"], theirs["exclusion_id"] = str(excluded[me.id].id), str(excluded[other.id].id)
    rule = session.scalars(select(rules.PayRule).limit(1)).one()
    desk = {
        "account": session.scalars(select(Account.code).where(Account.code.like("worker_payable:%"))).first()
        or "",
        "code": period.code,
        "declaration_id": theirs["declaration_id"],
        "exclusion_id": str(excluded[me.id].id),
        "journal_id": "1",
        "line_id": mine["line_id"],
        "name": f"{period.code}.zip",
        "payout_id": str(payouts.payouts_in(session, run.id)[0].id),
        "person_id": str(me.id),
        "report_id": _report(session, period.code, now),
        "rule_id": rule.rule_id,
        "run_id": str(run.id),
        "version": str(rule.version),
        "worker_id": str(me.id),
    }
    own = {
        "W": mine | {"batch_id": str(dollars.id)},
        "R": {
            "project_id": str(project.id),
            "batch_id": str(batch.id),
            "item_id": _first_item(session, batch),
            "exclusion_id": mine["exclusion_id"],
            "contest_id": _contest(session, held[me], batch, site.now),
            "upload_id": str(upload.id),
        },
        "O": desk | {"token_id": _api_token(session, site.people["organizer"], now)},
        "P": desk | {"token_id": _api_token(session, site.people["operator"], now)},
    }
    own["R"]["token_id"] = _api_token(session, requester, now)
    not_a_worker = {"worker_id": str(requester.id), "token_id": theirs["token_id"]}
    foreign = {
        "W": theirs | {"batch_id": str(draft.id)},
        "R": {
            "project_id": str(their_project.id),
            "batch_id": str(draft.id),
            "exclusion_id": theirs["exclusion_id"],
            "contest_id": _contest(session, held[other], draft, site.now),
            "upload_id": str(their_upload.id),
            "token_id": theirs["token_id"],
        },
        "O": not_a_worker,
        "P": not_a_worker | {"payout_id": str(payouts.payouts_in(session, other_run.id)[0].id)},
    }
    return own, foreign


def _work_of(session: Session, requester: Person, now: Any) -> tuple[Any, Batch, Any]:
    project = factories.project(session, now, requester)
    batch = factories.batch(session, now, project)
    factories.terms(session, batch, now)
    return project, batch, intake.receive(session, batch, "rows.csv", [b"key,text\nnone\n"], now)


def _first_item(session: Session, batch: Batch) -> str:
    return str(session.scalars(select(Item.id).where(Item.batch_id == batch.id).limit(1)).one())


def _check(held: Assignment, project_id: UUID, now: Any) -> GoldCheck:
    return GoldCheck(
        assignment_id=held.id,
        item_id=held.item_id,
        batch_id=held.batch_id,
        project_id=project_id,
        worker_id=held.worker_id,
        is_right=True,
        at=now,
    )


def _contest(session: Session, held: Assignment, batch: Batch, now: Any) -> str:
    made = GoldContest(
        assignment_id=held.id,
        item_id=int(_first_item(session, batch)),
        worker_id=held.worker_id,
        reason="A test.",
        created_at=now,
        decide_by=now + timedelta(days=7),
    )
    session.add(made)
    session.flush()
    return str(made.id)


def _worked(session: Session, who: Person, dollars: Batch, shillings: Batch, now: Any) -> dict[str, str]:
    end = closing.work(session, dollars, who, now, 240)
    end = closing.work(session, shillings, who, end + timedelta(seconds=20), 120)
    added = declare(
        session,
        worker_id=who.id,
        batch_id=None,
        start=end + timedelta(hours=1),
        end=end + timedelta(hours=4),
        reason="A long call with the support.",
        now=end + timedelta(hours=5),
    )
    return {"declaration_id": str(added.id)}


def _report(session: Session, period: str, now: Any) -> str:
    made = reports.ask(session, reports.ReportKind.HOURS, period, None, now)
    reports.keep(session, made.id, reports.make(session, made.id, now, lambda *_: None), now, now)
    return str(made.id)


def _api_token(session: Session, person: Person, now: Any) -> str:
    auth.make_api_token(session, person, "a program", now)
    return str(auth.api_tokens(session, person.id)[0].id)


def call(client: Any, route: Route, path: str, **more: Any) -> Any:
    """Call a route with a body that it can read, unless another one is given."""
    if not more and route.method in WRITES:
        plain = {"content": b""} if route.path.startswith("/api/") else {"data": {"nothing": "of use"}}
        more = {"json": valid(route.body)} if route.body else plain
    return client.request(route.method, path, **more)


def test_the_table_names_every_route_and_no_other(world: World) -> None:
    real = {route.name for route in world.routes}
    told = [name for names in ROUTES.values() for name in names]
    assert real - set(told) == set(), "say in tests/route_table.py who may call these"
    assert set(told) - real == set()
    assert len(told) == len(set(told))


def test_nobody_gets_in_without_signing_in(world: World) -> None:
    clients = world.browsers()
    answers = {
        route.name: call(clients[""], route, world.path(route, who)).status_code
        for route in world.routes
        if not route.public
        for who in route.who[:1]
    }
    assert {name: status for name, status in answers.items() if status != 401} == {}


def test_a_program_with_a_wrong_token_gets_in_nowhere(world: World) -> None:
    clients = world.browsers()
    answers = {
        route.name: clients[""]
        .request(
            route.method,
            world.path(route, route.who[0]),
            headers={"authorization": "Bearer nothing"},
            json=valid(route.body),
        )
        .status_code
        for route in world.routes
        if not route.public
    }
    assert {name: status for name, status in answers.items() if status != 401} == {}


def test_another_role_gets_nothing(world: World) -> None:
    answers = {}
    clients = world.browsers()
    for route in world.routes:
        for who in set(SIGNED_IN) - set(route.who) if not route.public else ():
            answer = call(clients[who], route, world.path(route, route.who[0]))
            answers[f"{who} {route.name}"] = answer.status_code
    assert len(answers) > 300
    assert {name: status for name, status in answers.items() if status not in {403, 404}} == {}


def test_whoever_may_look_does_see_their_own(world: World) -> None:
    answers = {}
    clients = world.browsers()
    for route in world.routes:
        for who in route.who if route.method == "GET" and not route.public else "":
            answer = clients[who].get(world.path(route, who))
            answers[f"{who} {route.name}"] = answer.status_code
    not_there_yet = {name: status for name, status in answers.items() if status not in ANSWERED}
    assert set(not_there_yet.values()) <= {409}, not_there_yet
    assert len(not_there_yet) < 9, not_there_yet


def test_a_foreign_row_answers_word_for_word_as_a_missing_one(world: World) -> None:
    wrong, seen = {}, 0
    clients = world.browsers()
    for route in world.routes:
        for who in route.who if not route.public else "":
            for name in re.findall(r"\{(\w+)\}", route.path):
                missing = MISSING.get(name) or str(uuid4())
                asked = [missing, *filter(None, [world.foreign[who].get(name)])]
                told = [_told(clients[who], route, world, who, name, one) for one in asked]
                seen += len(asked) - 1
                if {status for status, _ in told} != {404} or len({text for _, text in told}) > 1:
                    wrong[f"{who} {route.name} {name}"] = told
    assert wrong == {}
    assert seen > 50


def _told(client: Any, route: Route, world: World, who: str, name: str, value: str) -> tuple[int, str]:
    answer = call(client, route, world.path(route, who, **{name: value}))
    return answer.status_code, answer.text.replace(value, "ID")


def test_ids_in_a_body_are_looked_at_like_those_in_an_address(world: World) -> None:
    theirs, mine = world.foreign["W"], world.own["W"]
    client = world.browser("W")
    told = []
    for assignment in (theirs["assignment_id"], str(uuid4())):
        sent = {"assignment_id": assignment, "kind": "proof"}
        form = {
            "assignment_id": assignment,
            "submission_id": str(uuid4()),
            "answer.sentiment": "positive",
        }
        page = f"/work/{mine['batch_id']}"
        for answer in (
            client.post("/api/v1/proofs", json=sent),
            client.post(f"{page}/answers", data=form),
            client.post(f"{page}/skips", data=form | {"choice": "others:unclear"}),
        ):
            assert answer.status_code == 404, answer.text
            told.append(answer.text.replace(assignment, "ID"))
    assert told[:3] == told[3:]
    span = {"start": "2026-11-20T06:00:00+00:00", "end": "2026-11-20T06:05:00+00:00", "reason": "reading"}
    told = []
    for batch in (theirs["batch_id"], str(uuid4())):
        answer = client.post("/api/v1/declarations", json=span | {"batch": batch})
        assert answer.status_code == 422, answer.text
        told.append(answer.text.replace(batch, "ID"))
    assert told[0] == told[1]


def test_no_page_of_somebody_else_can_send_a_form_for_us(world: World) -> None:
    done = {}
    clients = world.browsers()
    for client in clients.values():
        client.csrf = ""
    for route in world.routes:
        for who in (SIGNED_IN if route.public else route.who) if route.method in WRITES else "":
            answer = call(clients[who], route, world.path(route, who))
            if answer.status_code != 403:
                done[f"{who} {route.name}"] = answer.status_code
    assert done == {}


def test_nothing_in_an_address_makes_the_server_stumble(world: World) -> None:
    stumbled = {}
    clients = world.browsers()
    for route in world.routes:
        who = "" if route.public else route.who[-1]
        paths = [
            world.path(route, who, **{name: text})
            for name in re.findall(r"\{(\w+)\}", route.path)
            for text in PATH_TEXTS
        ]
        asked: list[tuple[str, dict[str, str]]] = [(path, {}) for path in paths]
        plain = world.path(route, who).partition("?")[0]
        others = {name: world.own["P"][key] for name, key in (("period", "code"), ("worker", "worker_id"))}
        for name in route.query:
            kept = {one: value for one, value in others.items() if one in route.query}
            asked += [(plain, kept | {name: text}) for text in TEXTS]
        for path, query in asked if route.method == "GET" else []:
            answer = clients[who].get(path, params=query)
            if answer.status_code >= 500:
                stumbled[f"{who} {route.method} {path[:80]} {query}"] = answer.status_code
    assert stumbled == {}


@pytest.mark.parametrize(
    "said", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "x" * 9000, "é", ""]
)
def test_no_time_that_is_said_makes_the_server_stumble(world: World, said: str) -> None:
    clients, answers = world.browsers(), {}
    for route in world.routes:
        if route.method == "GET" and not route.public:
            headers = {"fairlabel-clock": said.encode()}
            answer = clients[route.who[-1]].get(world.path(route, route.who[-1]), headers=headers)
            answers[route.name] = answer.status_code
    assert {name: status for name, status in answers.items() if status >= 500} == {}


def test_nothing_in_a_document_makes_the_server_stumble(world: World) -> None:
    stumbled, seen = {}, 0
    clients = world.browsers()
    for route in world.routes:
        who = "" if route.public else route.who[-1]
        for content in hostile_bodies(route.body) if route.body else ():
            seen += 1
            headers = {"content-type": "application/json"}
            answer = call(clients[who], route, world.path(route, who), content=content, headers=headers)
            if answer.status_code >= 500:
                stumbled[f"{route.name} {content[:120]!r}"] = answer.status_code
    assert stumbled == {}
    assert seen > 500


def test_nothing_in_a_form_makes_the_server_stumble(world: World) -> None:
    stumbled = {}
    assert len(FORM_NAMES) > 20
    for route in world.routes:
        if route.method not in WRITES or route.body:
            continue
        who = "" if route.public else route.who[-1]
        client = world.browser(who)  # another sign-in each time, because some forms end one
        for sent in _hostile_forms():
            answer = call(client, route, world.path(route, who), **sent)
            if answer.status_code >= 500:
                stumbled[f"{route.name} {str(sent)[:120]}"] = answer.status_code
    assert stumbled == {}


def _hostile_forms() -> Iterator[dict[str, Any]]:
    form = {"content-type": "application/x-www-form-urlencoded"}
    yield from (
        {"content": content, "headers": form} for content in (b"", b"\x00", b"%", b"=&=", b"a=%ff&a=%00")
    )
    yield {"content": b"--x\r\nnothing", "headers": {"content-type": "multipart/form-data; boundary=x"}}
    yield {"content": b"\xff\xfe", "headers": {"content-type": "multipart/form-data"}}
    yield {"content": b"{}", "headers": {"content-type": "application/json"}}
    yield {"content": b"\x00" * 100, "headers": {"content-type": "application/octet-stream"}}
    for text in (
        "",
        "\x00",
        "x" * 12_000,
        "-1",
        "9" * 40,
        "1e400",
        "NaN",
        "0001-01-01T00:00",
        "é\u202e🙂",
        "yes",
    ):
        yield {"data": dict.fromkeys(FORM_NAMES, text)}
    yield {"data": {name: ["one", "two"] for name in FORM_NAMES}}
    yield {"files": dict.fromkeys(FORM_NAMES, ("a.csv", b"\x00\xff", "text/csv"))}
    yield {"files": dict.fromkeys(FORM_NAMES, ("\u202e" + "n" * 400 + ".csv", b"", "text/csv"))}
