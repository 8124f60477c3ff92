"""A page asks the database as often for much as for little: what grows with its rows is an N+1 in the making.

The same instance is looked at twice, with a little in it and with several times as much of everything.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import closing
import factories
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from annotate import auth
from payments import payouts, payroll, payslips, reports
from payments.accounts import Account
from payments.due_lines import lines_of
from payments.periods import period_at
from payments.reports import ReportKind
from payments.worktime import declare
from tasks import intake, people
from tasks.items import add_items
from tasks.people import Person

LITTLE, MUCH = 2, 12
"""Weeks: each brings four batches, a project, a worker, declarations, an upload, tokens, payslips, runs of payouts."""
GROWTH_MAX = 3

PAGES = {
    "worker": [
        "/work",
        "/work/settings",
        "/work/{batch}",
        "/work/{batch}/about",
        "/pay",
        "/pay/lines/{line}",
        "/pay/payslips/{payslip}",
        "/hours",
        "/hours/add",
        "/account",
        "/help",
        "/api/v1/work",
        "/api/v1/pay",
        "/api/v1/payslips",
        "/api/v1/hours",
        "/api/v1/declarations",
    ],
    "requester": [
        "/projects",
        "/projects/{project}",
        "/batches/{draft}",
        "/batches/{batch}",
        "/batches/{batch}/live",
        "/batches/{batch}/export?kind=jsonl",
        "/batches/{batch}/export?kind=csv",
        "/balance",
        "/api/v1/projects",
        "/api/v1/projects/{project}/batches",
        "/api/v1/batches/{batch}",
        "/api/v1/batches/{draft}",
    ],
    "organizer": [
        "/audit/wages?period={code}",
        "/audit/wages?period={code}&show=all",
        "/audit/wages.csv?period={code}",
        "/audit/hours?period={code}",
        "/audit/hours.csv?period={code}",
        "/audit/workers/{worker}?period={code}",
        "/audit/lines/{line}",
        "/audit/checks",
        "/audit/ledger",
        "/audit/accounts/{account}",
        "/audit/journals",
        "/audit/journals/{journal}",
        "/audit/exports",
        "/audit/mturk",
        "/api/v1/audit/periods",
        "/api/v1/audit/wages?period={code}",
        "/api/v1/audit/hours?period={code}",
        "/api/v1/audit/lines?period={code}",
        "/api/v1/audit/accounts",
        "/api/v1/audit/journals",
    ],
    "operator": [
        "/operate/periods",
        "/operate/periods/{code}/live",
        "/operate/payouts",
        "/operate/payouts/{run}",
        "/operate/rules",
        "/operate/declarations",
        "/operate/people",
        "/api/v1/people",
        "/api/v1/operate/periods",
        "/api/v1/operate/periods/{code}",
        "/api/v1/operate/rules",
        "/api/v1/operate/declarations",
        "/api/v1/operate/runs/{run}",
    ],
}


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


class Growing:
    """The instance as it grows, and the ids of what is looked at."""

    def __init__(self, site: Any) -> None:
        """Begin with a project and a draft."""
        self.site = site
        self.workers = [site.people["worker"]]
        with site.session() as session:
            owner = site.people["requester"]
            self.project = factories.project(session, site.now, owner)
            rough = factories.example() | {"content_classes": ["violence"]}
            self.rough = factories.project(session, site.now, owner, document=rough)
            people.set_consents(session, session.get_one(Person, self.workers[0].id), {"violence"})
            self.draft = factories.batch(session, site.now, self.project)
            factories.terms(session, self.draft, site.now)
            self.ids = {"project": self.project.id, "draft": self.draft.id, "worker": self.workers[0].id}

    def grow(self, weeks: int) -> None:
        """Let weeks pass; in the last of them everybody works."""
        for week in range(weeks):
            with self.site.session() as session:
                self._week(session, everybody=week == weeks - 1)
        with self.site.session() as session:
            for kind, subject in ((ReportKind.BOOKS, ""), (ReportKind.HOURS, self.ids["code"])):
                reports.ask(session, kind, subject, None, self.site.now)
            run = payouts.runs_of(session, self.ids["period"])[0]
            line = lines_of(session, self.ids["period"], self.workers[0].id)[0]
            self.ids |= {
                "run": run.id,
                "line": line.id,
                "journal": line.journal_id,
                "payslip": payslips.payslips_of(session, self.workers[0].id)[0].id,
                "account": session.query(Account.code)
                .where(Account.code.like("worker_payable:%"))
                .first()[0],
            }

        self.site.work_off()

    def _week(self, session: Session, *, everybody: bool) -> None:
        now = self.site.now
        self.workers.append(factories.worker(session, now, name=f"Worker {len(self.workers)}"))
        factories.project(session, now, self.site.people["requester"], name=f"Project {len(self.workers)}")
        batches = [
            closing.paid_batch(
                session, now, "KES", "30", name=f"Batch {one}", of=self.project, answers_wanted=30
            )
            for one in range(2)
        ]
        rough = closing.paid_batch(session, now, "KES", "30", of=self.rough, answers_wanted=30)
        done = closing.paid_batch(session, now, "KES", "30", of=self.project, items=1, answers_wanted=30)
        closing.work(session, done, self.workers[0], now - timedelta(hours=2), 30)
        closing.work(session, rough, self.workers[0], now - timedelta(hours=1), 30)
        for worker in self.workers if everybody else (self.workers[0], self.workers[-1]):
            end = closing.work(session, batches[0], worker, now, 90)
            end = closing.work(session, batches[1], worker, end + timedelta(seconds=20), 90)
            declare(
                session,
                worker_id=worker.id,
                batch_id=None,
                start=end + timedelta(hours=1),
                end=end + timedelta(hours=4),
                reason="A long call.",
                now=end + timedelta(hours=5),
            )
        intake.receive(session, self.draft, "rows.csv", [b"key,text\nnone\n"], now)
        auth.make_api_token(session, self.workers[0], "a program", now)
        auth.make_api_token(session, self.site.people["requester"], "a program", now)
        rows = [
            {"key": f"{now}{n}", "line": n, "data": {"text": "x"}, "meta": {}, "gold": None} for n in range(5)
        ]
        add_items(session, self.draft.id, rows, 3)
        period = period_at(session, now, now)
        self.ids |= {"batch": batches[0].id, "period": period.id, "code": period.code}
        self.site.now = period.ends_at + timedelta(hours=6)
        payroll.close_period(closing.runner(session), period.id, self.site.now)

    def measured(self) -> dict[str, list[str]]:
        """Ask for every page and give the statements of each."""
        found = {}
        for who, pages in PAGES.items():
            with self.site.client(who) as client:
                for page in pages:
                    path = page.format(**self.ids)
                    client.get(path)
                    with counted(self.site.engine) as sent:
                        answer = client.get(path)
                    assert answer.status_code == 200, f"{who} {path}: {answer.text[:300]}"
                    found[f"{who} {page}"] = sent
        return found


@pytest.fixture(scope="module")
def looked_at(site: Any) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Look at every page with little and with much."""
    growing = Growing(site)
    growing.grow(LITTLE)
    little = growing.measured()
    growing.grow(MUCH - LITTLE)
    return little, growing.measured()


@pytest.mark.parametrize("page", [f"{who} {page}" for who, pages in PAGES.items() for page in pages])
def test_much_takes_no_more_statements_than_little(looked_at: Any, page: str) -> None:
    little, much = (found[page] for found in looked_at)
    grown = Counter(much) - Counter(little)
    told = "\n\n".join(f"{count} times more: {statement}" for statement, count in grown.most_common(3))
    assert len(much) - len(little) <= GROWTH_MAX, told
