"""What decides about people, in the browser: known answers, skips in their three ways, an exclusion and its contest."""

import re
from collections.abc import Callable

import visits
from playwright.sync_api import Browser, BrowserContext, Page, expect
from running import DESKTOP, PHONE, STORED, Running
from sqlalchemy import select

from tasks.assignments import Assignment
from tasks.gold import GoldCheck

Open = Callable[[BrowserContext], BrowserContext]

SKIPPED = re.compile("/skip$")


def signed_in(stack: Running, context: BrowserContext, who: str, path: str) -> Page:
    """Open a page as somebody."""
    stack.sign_in(context, who)
    page = context.new_page()
    page.goto(f"{stack.url}{path}")
    visits.settle(page)
    return page


def shown(page: Page) -> str:
    """Say which item stands on the screen."""
    return str(page.locator("[data-assignment]").get_attribute("data-assignment"))


def test_a_known_answer_is_said_above_the_next_item_and_skips_go_three_ways(
    stack: Running, browser: Browser, opened: Open, complaints: list[str]
) -> None:
    path = f"/work/{stack.batches['training'].id}"
    page = signed_in(stack, opened(visits.context(browser, DESKTOP)), "learner", path)
    page.keyboard.press("1")
    with page.expect_response(STORED):
        page.keyboard.press("Enter")
    told = page.locator("#feedback .notice")
    expect(told).to_contain_text("known answer")
    expect(told).to_contain_text("The writer names what happened and how it felt.")
    assert visits.violations(page) == []
    second = shown(page)
    told.get_by_role("button", name="OK").click()
    expect(told).to_have_count(0)
    assert shown(page) == second, "the work goes on undisturbed"

    page.keyboard.press("s")
    with page.expect_response(SKIPPED):
        page.keyboard.press("5")
    expect(page.locator(f"[data-assignment='{second}']")).to_have_count(0)
    third = shown(page)
    page.keyboard.press("s")
    page.get_by_label("Broken? The requester reads what you write").fill("It ends in the middle.")
    with page.expect_response(SKIPPED):
        page.get_by_role("button", name="It is broken or does not load").click()
    expect(page.locator(f"[data-assignment='{third}']")).to_have_count(0)
    expect(page.locator("#net")).to_have_attribute("data-state", "saved")

    with stack.session() as session:
        who = stack.people["learner"].id
        query = select(Assignment).where(Assignment.worker_id == who, Assignment.state == "skipped")
        assert {str(one.id): (one.outcome, one.note) for one in session.scalars(query)} == {
            second: ("later", ""),
            third: ("broken", "It ends in the middle."),
        }
        assert len(session.scalars(select(GoldCheck).where(GoldCheck.worker_id == who)).all()) == 1
    requester = signed_in(
        stack, opened(visits.context(browser, PHONE)), "requester", f"/batches/{stack.batches['training'].id}"
    )
    broken = requester.locator("#broken")
    expect(broken).to_contain_text("It ends in the middle.")
    count = broken.get_by_role("button", name="Put back").count()
    broken.get_by_role("button", name="Put back").first.tap()
    expect(requester.locator("#broken").get_by_role("button", name="Put back")).to_have_count(count - 1)
    assert complaints == []


def test_an_exclusion_is_read_contested_and_lifted_by_somebody_else(
    stack: Running, browser: Browser, opened: Open, complaints: list[str]
) -> None:
    page = signed_in(stack, opened(visits.context(browser, PHONE)), "learner", "/work")
    card = page.get_by_role("listitem").filter(has_text="You are excluded from this project until")
    expect(card).to_contain_text("Forty boxes of the same size in the same place.")
    card.get_by_role("link", name="Read it, or contest it").tap()
    expect(page.get_by_role("main")).to_contain_text("Zuri, Zuri Research")
    page.get_by_label("What is wrong about it").fill("It was a street with equal cars.")
    page.get_by_role("button", name="Contest it").tap()
    expect(page.get_by_role("main")).to_contain_text("by another person; silence is for the worker")
    assert visits.sideways(page) == 0

    desk = signed_in(stack, opened(visits.context(browser, DESKTOP)), "operator", "/operate/exclusions")
    case = desk.locator("section").filter(has_text="It was a street with equal cars.")
    case.get_by_role("button", name="Uphold it").click()
    expect(desk.locator("#errors")).to_contain_text("To uphold it you write a reason")
    case.get_by_role("button", name="Lift it").click()
    expect(desk.get_by_role("main")).not_to_contain_text("It was a street with equal cars.")
    page.goto(f"{stack.url}/work")
    expect(page.get_by_role("main")).not_to_contain_text("You are excluded from this project")
    # The refused form is an answer of 422, which the console notes.
    assert [one for one in complaints if "422" not in one] == []
