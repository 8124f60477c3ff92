"""A worker's main path: by keyboard, by touch and without scripts; pay, hours and the payslip."""

import json
import re
from collections.abc import Callable
from uuid import UUID

import visits
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect
from running import DESKTOP, PHONE, STORED, Running
from sqlalchemy import func, select

from tasks.answers import Answer
from tasks.assignments import Assignment

Open = Callable[[BrowserContext], BrowserContext]
MAY_TRAVEL = {
    "assignment_id",
    "kind",
    "active",
    "sequence",
    "submission_id",
    "version",
    "answer",
    "reason",
    "outcome",
    "note",
}


def stored(stack: Running, batch: str, who: str) -> dict[UUID, int]:
    """Give each assignment that somebody answered in a batch, with how many answers stand for it."""
    query = (
        select(Assignment.id, func.count(Answer.id).label("answers"))
        .join(Answer, Answer.assignment_id == Assignment.id)
        .where(Assignment.batch_id == stack.batches[batch].id, Assignment.worker_id == stack.people[who].id)
        .group_by(Assignment.id)
    )
    with stack.session() as session:
        return {one.id: one.answers for one in session.execute(query)}


def visit(stack: Running, context: BrowserContext, batch: str, who: str) -> Page:
    """Open a workspace and wait for its script."""
    stack.sign_in(context, who)
    page = context.new_page()
    page.goto(f"{stack.url}/work/{stack.batches[batch].id}")
    visits.settle(page)
    return page


def shown(page: Page) -> str:
    """Say which item stands on the screen."""
    return str(page.locator("[data-assignment]").get_attribute("data-assignment"))


def done(page: Page) -> int:
    """Read the page's count."""
    return int(page.locator("#count").inner_text().split()[0])


def test_by_keyboard_with_undo_and_skip(
    stack: Running, browser: Browser, opened: Open, complaints: list[str]
) -> None:
    page = visit(stack, opened(visits.context(browser, DESKTOP)), "messages", "worker")
    bodies: list[str] = []
    paths: list[str] = []

    def note(request: Request) -> None:
        if request.method not in {"GET", "HEAD"}:
            paths.append(request.url.rpartition("/api/v1")[2])
            bodies.append(request.post_data or "")

    page.on("request", note)
    before, count, first = stored(stack, "messages", "worker"), done(page), shown(page)
    paid = page.locator(".paid b").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator(".fielderror")).to_have_text("Answer this first")
    page.keyboard.press("3")
    assert page.locator("#item input:checked").get_attribute("value") == "negative"
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_contain_text(f"{count + 1} of")
    expect(page.locator(".paid b")).not_to_have_text(paid)
    second = shown(page)
    assert second != first

    with page.expect_request(re.compile(f"{first}/open$")):  # what came back is on the screen again
        page.keyboard.press("u")
    expect(page.locator(f"[data-assignment='{first}']")).to_be_visible()
    assert page.locator("#item input:checked").get_attribute("value") == "negative"
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(f"[data-assignment='{second}']")).to_be_visible()

    page.keyboard.press("s")
    page.keyboard.press("1")
    expect(page.locator(f"[data-assignment='{second}']")).to_have_count(0)
    page.keyboard.press("p")
    expect(page.locator("#meter .panel")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keymap")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.locator("#pause").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#net")).to_have_attribute("data-state", "saved")

    after = stored(stack, "messages", "worker")
    assert after.keys() - before.keys() == {UUID(first)}
    assert done(page) == count + 1
    assert any(path.endswith("/skip") for path in paths)
    sent = [json.loads(body) for body in bodies if body]
    assert sent
    assert {name for body in sent for name in body} <= MAY_TRAVEL
    assert complaints == []


def test_by_touch_through_a_reload_and_a_lost_connection(
    stack: Running, browser: Browser, opened: Open, complaints: list[str]
) -> None:
    context = opened(visits.context(browser, PHONE))
    page = visit(stack, context, "touched", "touch")
    seen = [shown(page)]

    def answer(option: int) -> None:
        page.locator(".option").nth(option).tap()
        page.locator("#submit").tap()
        expect(page.locator(f"[data-assignment='{seen[-1]}']")).to_have_count(0)
        page.locator("[data-assignment]").wait_for()
        seen.append(shown(page))

    with page.expect_response(STORED):
        answer(0)
    expect(page.locator("#count")).to_have_text("1 of 40")
    page.locator(".option").nth(2).tap()
    page.reload()
    visits.settle(page)
    assert shown(page) == seen[-1], "the item in hand is still in hand"
    assert page.locator("#item input:checked").get_attribute("value") == "negative", "and so is the choice"
    with page.expect_response(STORED):
        answer(2)

    context.set_offline(True)
    answer(1)
    answer(1)
    expect(page.locator("#net-text")).to_have_text("Offline. 2 kept on this device")
    assert len(stored(stack, "touched", "touch")) == 2
    context.set_offline(False)
    expect(page.locator("#net")).to_have_attribute("data-state", "saved")
    with page.expect_response(STORED):
        answer(0)
    expect(page.locator("#count")).to_have_text("5 of 40")
    assert stored(stack, "touched", "touch") == {UUID(one): 1 for one in seen[:-1]}
    assert [one for one in complaints if "ERR_INTERNET_DISCONNECTED" not in one] == []


def test_without_scripts(stack: Running, browser: Browser, opened: Open) -> None:
    context = opened(visits.context(browser, DESKTOP, java_script_enabled=False))
    stack.sign_in(context, "plain")
    page = context.new_page()
    page.goto(f"{stack.url}/work")
    page.goto(f"{stack.url}/work/{stack.batches['plain'].id}")
    first = shown(page)
    page.locator(".option").nth(1).click()
    page.get_by_role("button", name="Submit and next").click()
    second = shown(page)
    page.locator("#skip summary").click()
    page.get_by_role("button", name="It is unclear").click()
    assert shown(page) not in {first, second}
    expect(page.locator("#count")).to_contain_text("1 of")
    assert stored(stack, "plain", "plain") == {UUID(first): 1}


def test_marks_and_boxes_start(stack: Running, browser: Browser, opened: Open, complaints: list[str]) -> None:
    context = opened(visits.context(browser, DESKTOP))
    page = visit(stack, context, "names", "touch")
    page.keyboard.press("1")
    page.locator("[data-w]").first.click()
    expect(page.locator("mark")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_contain_text("1 of")
    page.goto(f"{stack.url}/work/{stack.batches['street'].id}")
    visits.settle(page)
    page.locator("label-boxes svg").wait_for()
    picture = page.locator(".stage img").bounding_box()
    assert picture is not None
    page.keyboard.press("2")
    page.mouse.move(picture["x"] + 40, picture["y"] + 40)
    page.mouse.down()
    page.mouse.move(picture["x"] + 160, picture["y"] + 140, steps=4)
    page.mouse.up()
    with page.expect_response(STORED):
        page.keyboard.press("Enter")
    with stack.session() as session:
        values = [
            answer.value
            for answer in session.scalars(
                select(Answer)
                .join(Assignment, Assignment.id == Answer.assignment_id)
                .where(Assignment.batch_id == stack.batches["street"].id)
            )
        ]
    assert [[box["label"] for box in value["things"]] for value in values] == [["bicycle"]]
    assert complaints == []


def test_a_missing_interval_is_counted_in_two_clicks(stack: Running, browser: Browser, opened: Open) -> None:
    context = opened(visits.context(browser, PHONE))
    stack.sign_in(context, "worker")
    page = context.new_page()
    page.goto(f"{stack.url}/hours?day={stack.gap_day}")
    gap = page.get_by_role("row").filter(has_text=re.compile(r"(?<!h )12 min"))
    gap.get_by_role("link", name="Count it").tap()
    page.get_by_role("button", name="Count it").tap()
    expect(page.get_by_role("status")).to_have_text("12 min added and counted.")
    expect(page.get_by_role("region", name="Time you added")).to_contain_text("I was working")
    expect(gap.get_by_role("link", name="Count it")).to_have_count(0)


def test_the_payslip_prints_and_is_shown_to_anyone(stack: Running, browser: Browser, opened: Open) -> None:
    context = opened(visits.context(browser, DESKTOP, accept_downloads=True))
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=stack.url)
    stack.sign_in(context, "worker")
    page = context.new_page()
    page.goto(f"{stack.url}/pay")
    page.get_by_role("main").get_by_role("link", name=re.compile(r"^\d{4}-W\d\d$")).click()
    total = page.locator(".sum b").inner_text()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Make a link to show it")).to_be_hidden()
    expect(page.locator(".topbar")).to_be_hidden()
    expect(page.locator(".payslip")).to_be_visible()
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Make a link to show it").click()
    link = page.locator(".notice .code").inner_text()
    stranger = opened(visits.context(browser, PHONE)).new_page()
    stranger.goto(link)
    expect(stranger.locator(".sum b")).to_have_text(total)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.get_by_role("link", name="End this link").first.click()
    page.get_by_role("button", name="End", exact=True).click()
    answer = stranger.goto(link)
    assert answer is not None
    assert answer.status == 404
