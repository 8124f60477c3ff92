"""A requester's main path, from the sign-in to both exports, with the real worker importing and deciding."""

import csv
import io
import json
from collections.abc import Callable

import visits
from playwright.sync_api import Browser, BrowserContext, Page, expect
from running import DESKTOP, PASSWORD, Running

FILE = "key,text\nm1,The tram was late again.\nm2,\nm3,Thank you for the new stop!\n"


def test_from_sign_in_to_both_exports(
    stack: Running,
    browser: Browser,
    opened: Callable[[BrowserContext], BrowserContext],
    complaints: list[str],
) -> None:
    page = opened(visits.context(browser, DESKTOP)).new_page()
    page.goto(stack.url)
    page.get_by_role("link", name="Sign in").last.click()
    page.get_by_label("E-mail address").fill("requester@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()

    make_project(page)
    upload_rows(page)
    fund_and_open(page)
    answer_all(stack, browser, opened, page.url)
    # Nobody reloads: the page follows the work by itself.
    expect(page.locator("#live")).to_contain_text("2 / 2", timeout=15_000)
    expect(page.get_by_text("Every item is decided.")).to_be_visible(timeout=40_000)
    export(page)
    assert [one for one in complaints if "422" not in one] == []


def make_project(page: Page) -> None:
    """Make a project from an example; a mistake in it is shown with its place."""
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name").fill("Trams")
    page.get_by_label("Purpose").fill("To learn what riders say.")
    definition = json.loads(page.get_by_label("Task definition").input_value())
    wrong = json.loads(json.dumps(definition))
    wrong["fields"][0]["kind"] = "choise"
    page.get_by_label("Task definition").fill(json.dumps(wrong))
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("alert")).to_contain_text("/fields/0")
    assert page.get_by_label("Name").input_value() == "Trams", "what was typed is kept"
    page.get_by_label("Task definition").fill(json.dumps(definition))
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Trams")


def upload_rows(page: Page) -> None:
    """Make a batch and upload a file in which one row is bad."""
    page.get_by_role("link", name="New batch").first.click()
    page.get_by_label("Name").fill("First rides")
    page.get_by_text("A fixed number").click()
    page.get_by_role("spinbutton", name="Fixed number").fill("1")
    page.get_by_role("button", name="Make the batch").click()
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "rides.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
    )
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("2 new items.")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("1 row could not be used.")).to_be_visible()
    page.get_by_text("Show the rows that could not be used").click()
    row = page.get_by_role("region", name="Rows that could not be used").get_by_role("row").nth(1)
    expect(row).to_contain_text("3")
    expect(row).to_contain_text("text")


def fund_and_open(page: Page) -> None:
    """Agree on pay, see the quote, pay in and open."""
    page.get_by_label("By the answer, with the guarantee").check()
    page.get_by_label("Price per answer").fill("0,07")
    page.get_by_label("Seconds per answer, estimated").fill("25")
    page.get_by_role("button", name="Show the quote").click()
    expect(page.get_by_role("heading", name="3. Quote")).to_be_visible()
    assert page.get_by_label("Price per answer").input_value() == "0.07"
    page.get_by_role("link", name="Pay in what is missing").click()
    page.get_by_label("Reference").fill("invoice 7")
    page.get_by_role("button", name="Pay in").click()
    expect(page.get_by_role("status")).to_contain_text("is booked on your balance")
    page.get_by_role("link", name="Back to First rides").click()
    page.get_by_role("button", name="Reserve and open").click()
    expect(page.get_by_text("Open", exact=True)).to_be_visible()
    expect(page.locator("#live")).to_contain_text("0 / 2")


def export(page: Page) -> None:
    """Take the answers home in both kinds."""
    with page.expect_download() as lines:
        page.get_by_role("link", name="Export JSONL").click()
    exported = [json.loads(line) for line in lines.value.path().read_text(encoding="utf-8").splitlines()]
    assert {one["key"] for one in exported if "key" in one} == {"m1", "m3"}
    with page.expect_download() as table:
        page.get_by_role("link", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(table.value.path().read_text(encoding="utf-8-sig"))))
    assert {row["key"] for row in rows} == {"m1", "m3"}


def answer_all(
    stack: Running, browser: Browser, opened: Callable[[BrowserContext], BrowserContext], url: str
) -> None:
    """Let a worker answer everything there is in a batch."""
    context = opened(visits.context(browser, DESKTOP))
    stack.sign_in(context, "touch")
    page = context.new_page()
    page.goto(url.replace("/batches/", "/work/"))
    visits.settle(page)
    for done in (1, 2):
        item = page.locator("[data-assignment]").get_attribute("data-assignment")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        expect(page.locator(f"[data-assignment='{item}']")).to_have_count(0)
        expect(page.locator("#count")).to_have_text(f"{done} of 2")
        if done == 1:
            page.locator("[data-assignment]").wait_for()
    expect(page.locator("#net")).to_have_attribute("data-state", "saved")
    expect(page.locator("#nothing")).to_be_visible()
