"""Which pages there are for whom, and how a browser looks at one."""

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page
from running import FRONT_END, PHONE, Running
from sqlalchemy import select

from payments.accounts import Account
from payments.due_lines import DueLine
from payments.payouts import PayoutRun
from payments.payslips import Payslip, share
from tasks.consensus import contested_items
from tasks.gold import GoldCheck
from tasks.projects import Project

ROLES: Final = ("", "worker", "requester", "organizer", "operator")
WORKSPACES: Final = ("workspace", "spans", "boxes")
AXE: Final = Path(FRONT_END / "node_modules" / "axe-core" / "axe.min.js")
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def context(browser: Browser, size: tuple[int, int], theme: Any = "light", **more: Any) -> BrowserContext:
    """Open a browser's window; a phone's has a touch screen."""
    touch = size[0] <= PHONE[0]
    return browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=theme,
        locale="en-GB",
        has_touch=touch,
        is_mobile=touch,
        **more,
    )


def pages(instance: Running, who: str) -> dict[str, str]:
    """Name the pages that somebody may open, with their paths."""
    with instance.session() as session:
        project = session.scalars(select(Project).order_by(Project.created_at).limit(1)).one()
        if not who:
            return {
                "home": "/",
                "sign-in": "/sign-in",
                "missing": "/nowhere",
                "help": "/help",
                "offers": "/help/offers",
            }
        if who == "worker":
            return _workers(instance, session)
        if who == "requester":
            past, divided = instance.batches["past"], instance.batches["divided"]
            ((contested, _),) = contested_items(session, divided.id, 10)
            return {
                "projects": "/projects",
                "new-project": "/projects/new",
                "project": f"/projects/{project.id}",
                "definition": f"/projects/{project.id}/definition",
                "exclusions": f"/projects/{project.id}/exclusions",
                "new-batch": f"/projects/{project.id}/batches/new",
                "batch": f"/batches/{past.id}",
                "training": f"/batches/{instance.batches['training'].id}",
                "draft": f"/batches/{instance.batches['draft'].id}",
                "divided": f"/batches/{divided.id}",
                "contested": f"/batches/{divided.id}/contested",
                "item": f"/batches/{divided.id}/items/{contested.id}",
                "balance": "/balance",
                "account": "/account",
            }
        run = session.scalars(select(PayoutRun).limit(1)).one()
        assert instance.period is not None
        if who == "operator":
            return {
                "periods": "/operate/periods",
                "payouts": "/operate/payouts",
                "payout-run": f"/operate/payouts/{run.id}",
                "rules": "/operate/rules",
                "declarations": "/operate/declarations",
                "operate-exclusions": "/operate/exclusions",
                "people": "/operate/people",
            }
        worker = instance.people["worker"]
        line = session.scalars(select(DueLine).where(DueLine.worker_id == worker.id).limit(1)).one()
        return {
            "wages": f"/audit/wages?period={instance.period.code}",
            "organizer-hours": "/audit/hours",
            "checks": "/audit/checks",
            "ledger": "/audit/ledger",
            "account-statement": f"/audit/accounts/{session.scalars(select(Account.code)).first()}",
            "journals": "/audit/journals",
            "journal": "/audit/journals/1",
            "line": f"/audit/lines/{line.id}",
            "organizer-worker": f"/audit/workers/{worker.id}",
            "mturk": "/audit/mturk",
            "exports": "/audit/exports",
        }


def _workers(instance: Running, session: Any) -> dict[str, str]:
    worker, batches = instance.people["worker"], instance.batches
    slip = session.scalars(select(Payslip).where(Payslip.worker_id == worker.id)).one()
    token = share(session, slip, slip.made_at)
    check = session.scalars(select(GoldCheck.assignment_id).where(GoldCheck.worker_id == worker.id)).first()
    return {
        "find": "/work",
        "task": f"/work/{batches['messages'].id}/about",
        "settings": "/work/settings",
        "decisions": "/work/decisions",
        "check": f"/work/checks/{check}",
        "workspace": f"/work/{batches['messages'].id}",
        "spans": f"/work/{batches['names'].id}",
        "boxes": f"/work/{batches['street'].id}",
        "pay": "/pay",
        "payslip": f"/pay/payslips/{slip.id}",
        "shared-payslip": f"/payslips/{token}",
        "hours": "/hours",
        "add-time": "/hours/add",
    }


def settle(page: Page) -> None:
    """Wait until the workspace's script has taken over, if this is one."""
    if page.locator("#undo").count():
        page.locator("#undo").wait_for()


def violations(page: Page) -> list[str]:
    """Ask axe what is wrong with the page as it stands."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", RULES)
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']][:3]} {one['nodes'][0]['failureSummary'][:300]}"
        for one in found["violations"]
    ]


def sideways(page: Page) -> int:
    """Give by how many pixels the page is wider than its window."""
    return int(page.evaluate("Math.max(0, document.documentElement.scrollWidth - innerWidth)"))
