"""An organizer's main path: from a week's wages down to one line's evidence and rule, and the bundle to take home."""

import re
import zipfile
from collections.abc import Callable

import visits
from playwright.sync_api import Browser, BrowserContext, expect
from running import DESKTOP, PHONE, Running


def test_from_wages_down_to_the_evidence(
    stack: Running,
    browser: Browser,
    opened: Callable[[BrowserContext], BrowserContext],
    complaints: list[str],
) -> None:
    assert stack.period is not None
    context = opened(visits.context(browser, DESKTOP))
    stack.sign_in(context, "organizer")
    page = context.new_page()
    page.goto(f"{stack.url}/audit/wages?period={stack.period.code}")
    expect(page.get_by_role("img").first).to_be_visible()
    page.get_by_text("Show the numbers").first.click()
    page.get_by_role("region", name="Topped up").or_(page.get_by_role("main")).last.locator(
        "a[href^='/audit/workers/']"
    ).last.click()
    page.locator("main a[href^='/audit/lines/']").first.click()
    expect(page.get_by_text("Computed again just now from the facts")).to_be_visible()
    expect(page.get_by_role("heading", name="The rule")).to_be_visible()
    expect(page.get_by_role("heading", name="Credited intervals")).to_be_visible()
    page.locator("main a[href^='/audit/journals/']").first.click()
    expect(page.get_by_role("heading", name="Transfers")).to_be_visible()

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Hours").click()
    expect(page.get_by_role("heading", name="Hours by worker")).to_be_visible()
    page.get_by_role("button", name="Count again").click()
    expect(page.get_by_role("button", name="Count again")).to_be_visible()  # once it is counted
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Ledger").click()
    page.get_by_role("button", name="Verify ledger").click()
    expect(page.get_by_text(re.compile(r"All \d+ checks hold, to journal \d+"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Checked .*; it took \d+ s"))).to_be_visible()
    assert complaints == []


def test_the_bundle_is_taken_home(
    stack: Running, browser: Browser, opened: Callable[[BrowserContext], BrowserContext]
) -> None:
    context = opened(visits.context(browser, DESKTOP))
    stack.sign_in(context, "organizer")
    page = context.new_page()
    page.goto(f"{stack.url}/audit/exports")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download").click()
    with zipfile.ZipFile(taken.value.path()) as bundle:
        assert bundle.testzip() is None
        assert any(name.endswith("manifest.json") for name in bundle.namelist())


def test_the_entry_of_this_page_is_in_sight_on_a_phone(
    stack: Running, browser: Browser, opened: Callable[[BrowserContext], BrowserContext]
) -> None:
    context = opened(visits.context(browser, PHONE))
    stack.sign_in(context, "organizer")
    page = context.new_page()
    page.goto(f"{stack.url}/audit/exports")
    here = page.locator(".mainnav [aria-current]")
    expect(here).to_have_text("Exports")
    expect(here).to_be_in_viewport(ratio=1)
