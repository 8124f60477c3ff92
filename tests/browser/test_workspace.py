"""The workspace by hand: every step by key, mouse and touch, taken back and done again; and what stands in its way."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import factories
import pytest
import visits
from playwright.sync_api import Browser, BrowserContext, FloatRect, Page, Route, expect
from running import DESKTOP, PHONE, STORED, STREET, Running, open_batch
from sqlalchemy import select

from tasks.answers import Answer
from tasks.assignments import Assignment

Open = Callable[[BrowserContext], BrowserContext]
FORM: dict[str, Any] = {
    "fairlabel": 1,
    "title": "Letters",
    "language": "en",
    "instructions": "Say what the letter is about, and why you think so.",
    "data": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
    "show": [{"kind": "text", "from": "text"}],
    "fields": [
        {
            "name": "about",
            "kind": "choices",
            "label": "What is it about?",
            "options": [{"value": "bill", "label": "A bill"}, {"value": "leak", "label": "A leak"}],
        },
        {"name": "why", "kind": "text", "label": "Why?"},
    ],
    "content_classes": ["none"],
}


def batch_of(stack: Running, example: str | dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Open a batch of one's own and give its id."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    document = factories.example(example) if isinstance(example, str) else example
    with stack.session() as session:
        project = factories.project(session, at, stack.people["requester"], document=document)
        return str(open_batch(session, stack, project, rows, at, "0.05").id)


def workspace(stack: Running, context: BrowserContext, batch: str, who: str = "touch") -> Page:
    """Open a workspace and wait for its script."""
    stack.sign_in(context, who)
    page = context.new_page()
    page.goto(f"{stack.url}/work/{batch}")
    visits.settle(page)
    return page


def answers(stack: Running, batch: str) -> list[dict[str, Any]]:
    """Give the values of a batch's answers in the order in which they came."""
    query = (
        select(Answer.value)
        .join(Assignment, Assignment.id == Answer.assignment_id)
        .where(Assignment.batch_id == batch)
        .order_by(Answer.id)
    )
    with stack.session() as session:
        return list(session.scalars(query))


def picture(page: Page) -> FloatRect:
    """Say where the picture stands, once it does."""
    page.locator("label-boxes svg").wait_for()
    page.wait_for_function("document.querySelector('.stage img').naturalWidth > 0")
    found = page.locator(".stage img").bounding_box()
    assert found is not None
    return found


def drag(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw with the mouse, in pixels of the picture's corner."""
    at = picture(page)
    page.mouse.move(at["x"] + start[0], at["y"] + start[1])
    page.mouse.down()
    page.mouse.move(at["x"] + end[0], at["y"] + end[1], steps=4)
    page.mouse.up()


def rows(page: Page) -> list[str]:
    """Give the marks in words."""
    return [" ".join(one.split()) for one in page.locator(".pickmark").all_inner_texts()]


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        page.keyboard.press(key)


def focused(page: Page) -> str:
    """Say what has the focus."""
    return str(
        page.evaluate(
            "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
        )
    )


def test_boxes_by_keyboard_alone(
    stack: Running, browser: Browser, opened: Open, complaints: list[str]
) -> None:
    batch = batch_of(stack, "boxes", [{"image": STREET}] * 2)
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    picture(page)
    press(page, "n", "2")
    assert rows(page) == ["Box 1, Bicycle 200 × 125"], "the number labels the new box"
    assert focused(page) == "stage"
    press(page, "ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight", "Alt+Shift+ArrowUp")
    assert rows(page) == ["Box 1, Bicycle 201 × 115"]
    press(page, "n", "3", "n")
    assert len(rows(page)) == 3
    press(page, "Delete")
    assert rows(page) == ["Box 1, Bicycle 201 × 115", "Box 2, Vehicle 200 × 125"]
    assert focused(page) == "stage", "the focus stays where the work is"
    assert visits.violations(page) == []
    with page.expect_response(STORED):
        press(page, "Enter")
    expect(page.locator("#count")).to_have_text("1 of 2")
    (value,) = answers(stack, batch)
    assert value["things"][0] == {"x": 301, "y": 197, "width": 201, "height": 115, "label": "bicycle"}
    assert [box["label"] for box in value["things"]] == ["bicycle", "vehicle"]
    page.locator("#keys").click()
    said = page.locator("#keymap").inner_text()
    assert "Add a box" in said
    assert "Space" not in said, "what only spans know is not listed"
    assert complaints == []


def test_a_row_of_the_list_takes_the_keyboard_to_its_box(
    stack: Running, browser: Browser, opened: Open
) -> None:
    batch = batch_of(stack, "boxes", [{"image": STREET}])
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    drag(page, (40, 40), (160, 140))
    drag(page, (200, 40), (300, 140))
    press(page, "2")
    assert [one.split()[2] for one in rows(page)] == ["Person", "Person"], (
        "nothing is selected: the next label"
    )
    page.locator(".pickmark").first.focus()
    press(page, "Enter")
    assert focused(page) == "stage"
    press(page, "3")
    assert [one.split()[2] for one in rows(page)] == ["Vehicle", "Person"]
    page.locator("[data-drop]").last.focus()
    press(page, "Enter")
    assert len(rows(page)) == 1
    assert focused(page) == "button plain square", "the focus goes to the row that took its place"
    with page.expect_response(STORED):
        press(page, "Control+Enter")


def test_every_step_of_boxes_is_taken_back_and_done_again(
    stack: Running, browser: Browser, opened: Open
) -> None:
    batch = batch_of(stack, "boxes", [{"image": STREET}] * 2)
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    undo, redo = page.locator("#undo"), page.locator("#redo")
    picture(page)
    expect(undo).to_have_attribute("aria-disabled", "true")
    drag(page, (40, 40), (160, 140))
    expect(undo).to_have_attribute("aria-disabled", "false")
    expect(redo).to_have_attribute("aria-disabled", "true")
    press(page, "Control+z")
    assert rows(page) == []
    expect(undo).to_have_attribute("aria-disabled", "true")
    press(page, "Control+Shift+z")
    assert len(rows(page)) == 1
    drag(page, (200, 40), (300, 140))
    undo.click()
    undo.click()
    assert rows(page) == []
    redo.click()
    redo.click()
    assert len(rows(page)) == 2
    press(page, "u")
    assert len(rows(page)) == 1
    assert focused(page) == "stage"
    press(page, "Control+y")
    drag(page, (100, 100), (100, 100))  # a click selects
    press(page, "ArrowLeft", "ArrowLeft", "ArrowLeft")
    moved = page.locator("label-boxes input").input_value()
    press(page, "Control+z")
    assert page.locator("label-boxes input").input_value() != moved
    press(page, "Control+Shift+z")
    assert page.locator("label-boxes input").input_value() == moved, "a run of arrows is one step"
    with page.expect_response(STORED):
        press(page, "Enter")


def test_choices_and_texts_are_taken_back_and_the_items_before(
    stack: Running, browser: Browser, opened: Open
) -> None:
    batch = batch_of(stack, FORM, [{"text": f"letter {n}"} for n in range(3)])
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    undo, redo, text = page.locator("#undo"), page.locator("#redo"), page.locator("textarea")
    checked = page.locator("#item input:checked")
    press(page, "1", "2")
    text.click()
    page.keyboard.type("because")
    press(page, "Control+z")
    expect(text, "the text's own undo").not_to_have_value("because")
    press(page, "Control+Shift+z")
    expect(text).to_have_value("because")
    undo.click()
    expect(text).to_have_value("")
    undo.click()
    expect(checked).to_have_count(1)
    redo.click()
    redo.click()
    expect(checked).to_have_count(2)
    expect(text).to_have_value("because")
    page.reload()
    visits.settle(page)
    expect(text, "a reload keeps it").to_have_value("because")
    first = page.locator(".said").inner_text()
    with page.expect_response(STORED):
        page.locator("#submit").click()
    expect(page.locator(".said")).not_to_have_text(first)
    second = page.locator(".said").inner_text()
    press(page, "1", "u", "u")
    expect(page.locator(".said")).to_have_text(first)
    assert focused(page) == "main"
    press(page, "Control+Shift+z")
    expect(page.locator(".said")).to_have_text(second)
    expect(checked).to_have_count(0)
    press(page, "Control+Shift+z")
    expect(checked, "even what was taken back before going back").to_have_count(1)
    press(page, "u", "u", "2", "Control+Shift+z")
    expect(page.locator(".said"), "a change shuts the way forward").to_have_text(first)
    with page.expect_response(STORED):
        page.locator("#submit").click()
    expect(page.locator(".said")).to_have_text(second)
    expect(page.locator("#count")).to_have_text("1 of 3")
    assert answers(stack, batch) == [
        {"about": ["bill", "leak"], "why": "because"},
        {"about": ["bill"], "why": "because"},
    ]


def test_spans_by_keyboard_and_back(stack: Running, browser: Browser, opened: Open) -> None:
    batch = batch_of(stack, "entities", [{"text": "Amina Wanjiru lives in Kibera."}])
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    marks = page.locator("mark")
    page.locator("[data-w]").first.focus()
    press(page, "Shift+ArrowRight", "1")
    expect(marks).to_have_count(1)
    expect(marks.locator("i")).to_have_text("Person")
    press(page, "2")
    expect(marks.locator("i"), "the mark under the keys gets the label").to_have_text("Organisation")
    press(page, "u")
    expect(marks.locator("i")).to_have_text("Person")
    assert focused(page) != "BODY"
    press(page, "Control+z")
    expect(marks).to_have_count(0)
    press(page, "Control+Shift+z", "Control+Shift+z")
    expect(marks.locator("i")).to_have_text("Organisation")
    page.locator("[data-w]").last.click()
    press(page, "Control+z")
    expect(marks).to_have_count(1)
    with page.expect_response(STORED):
        press(page, "Enter")
    assert [one["label"] for one in answers(stack, batch)[0]["entities"]] == ["organisation"]


def test_undo_and_redo_by_touch(stack: Running, browser: Browser, opened: Open) -> None:
    batch = batch_of(stack, "sentiment", [{"text": f"message {n}"} for n in range(2)])
    page = workspace(stack, opened(visits.context(browser, PHONE)), batch)
    checked = page.locator("#item input:checked")
    page.locator(".option").nth(1).tap()
    page.locator(".option").nth(2).tap()
    page.locator("#undo").tap()
    expect(checked).to_have_value("neutral")
    page.locator("#undo").tap()
    expect(checked).to_have_count(0)
    for _ in range(2):
        page.locator("#redo").tap()
    expect(checked).to_have_value("negative")
    for name in ("#undo", "#redo", "#skip summary", "#submit"):
        size = page.locator(name).bounding_box()
        assert size is not None
        assert min(size["width"], size["height"]) >= 44, f"{name} is large enough to be tapped"
    assert visits.violations(page) == []


def test_the_pay_strip_fits_a_phone_whatever_it_says(stack: Running, browser: Browser, opened: Open) -> None:
    batch = batch_of(stack, "sentiment", [{"text": "message"}])
    context = opened(visits.context(browser, PHONE))
    context.add_cookies([{"name": "fairlabel_lang", "value": "fr", "url": stack.url}])
    page = workspace(stack, context, batch)
    assert page.locator("[data-meter=pace]").inner_text() == "", "nothing is answered: there is no pace"
    expect(page.locator(".against .yes")).to_be_visible()
    longest = {
        "pay": "1\u00a0234,56\u00a0PHP",
        "pace": "≈\u00a01\u00a0286,20\u00a0PHP/h",
        "floor": "393,82\u00a0PHP",
    }
    for name, text in longest.items():
        for spot in page.locator(f"#meter summary [data-meter={name}]").all():
            spot.evaluate("(one, text) => { one.textContent = text; }", text)
    page.locator("[data-ok]").evaluate("one => one.setAttribute('data-ok', 'false')")
    for width in (320, PHONE[0], 412):
        page.set_viewport_size({"width": width, "height": PHONE[1]})
        for part in page.locator("#meter summary > *, .pace > *").all():
            box = part.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width, f"{part} at {width} px"
        assert visits.sideways(page) == 0


def test_what_the_server_refuses_can_be_opened_again_or_discarded(
    stack: Running, browser: Browser, opened: Open
) -> None:
    batch = batch_of(stack, "sentiment", [{"text": f"message {n}"} for n in range(3)])
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)

    def spoil(route: Route) -> None:
        sent: Any = route.request.post_data_json
        route.continue_(post_data={**sent, "answer": {"sentiment": "angry"}})

    page.route(STORED, spoil)
    seen = []
    for key in ("1", "2"):
        seen.append(page.locator(".said").inner_text())
        press(page, key, "Enter")
        expect(page.locator(".said")).not_to_have_text(seen[-1])
    notices = page.locator("#notices .notice")
    expect(notices).to_have_count(2)
    expect(notices.first).to_contain_text("cannot be 'angry'")
    expect(page.locator("#net-text")).to_have_text("2 could not be stored")
    expect(page.locator("#count")).to_have_text("0 of 3")
    assert visits.violations(page) == []
    page.unroute(STORED)

    page.reload()
    visits.settle(page)
    third = page.locator(".said").inner_text()
    notices.first.get_by_role("button", name="Open it again").click()
    expect(page.locator(".said")).to_have_text(seen[0])
    assert page.locator("#item input:checked").get_attribute("value") == "positive"
    with page.expect_response(STORED):
        press(page, "3", "Enter")
    expect(page.locator(".said")).to_have_text(third)
    expect(notices).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 3")
    notices.get_by_role("button", name="Discard it").click()
    expect(notices).to_have_count(0)
    expect(page.locator("#net")).to_have_attribute("data-state", "saved")
    assert answers(stack, batch) == [{"sentiment": "negative"}]


def test_a_picture_that_does_not_load_is_said_and_can_be_skipped(
    stack: Running, browser: Browser, opened: Open
) -> None:
    batch = batch_of(stack, "boxes", [{"image": "/static/missing.png"}])
    page = workspace(stack, opened(visits.context(browser, PHONE)), batch)
    broken = page.locator(".broken")
    expect(broken).to_contain_text("The picture does not load.")
    expect(page.locator(".boxtools")).to_be_hidden()
    assert visits.violations(page) == []
    page.locator("#submit").tap()
    expect(page.locator(".fielderror")).to_have_text("The picture does not load.")
    page.evaluate("document.querySelector('.boxtools [data-key=n]').click()")
    assert page.locator("label-boxes input").input_value() == "", "no box is drawn on nothing"
    with page.expect_response(re.compile("/skip$")) as skipped:
        broken.get_by_role("button", name="Skip: it does not load").tap()
    sent: Any = skipped.value.request.post_data_json
    assert sent["reason"] == "broken"
    expect(broken).to_have_count(0)


def test_twice_the_same_corner_is_no_box(stack: Running, browser: Browser, opened: Open) -> None:
    batch = batch_of(stack, "boxes", [{"image": STREET}])
    page = workspace(stack, opened(visits.context(browser, PHONE)), batch)
    at = picture(page)
    page.get_by_role("button", name="Two-tap corners").tap()
    for _ in range(2):
        page.touchscreen.tap(at["x"] + 50, at["y"] + 50)
    assert rows(page) == []
    for x, y in ((50, 50), (90, 100)):
        page.touchscreen.tap(at["x"] + x, at["y"] + y)
    assert len(rows(page)) == 1


def test_a_picture_that_loads_the_second_time_is_worked_on(
    stack: Running, browser: Browser, opened: Open
) -> None:
    batch = batch_of(stack, "boxes", [{"image": "/static/demo/scene-01.svg"}])
    context = opened(visits.context(browser, DESKTOP))
    context.route("**/scene-01.svg", lambda route: route.abort())
    page = workspace(stack, context, batch)
    expect(page.locator(".broken")).to_be_visible()
    context.unroute("**/scene-01.svg")
    page.get_by_role("button", name="Try again").click()
    picture(page)
    expect(page.locator(".broken")).to_have_count(0)
    press(page, "n")
    assert len(rows(page)) == 1


def test_the_end_can_be_read_under_the_mouse(stack: Running, browser: Browser, opened: Open) -> None:
    batch = batch_of(stack, "sentiment", [{"text": "message"}])
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    press(page, "1")
    page.locator("#submit").click()
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator("[data-why]")).to_have_text(
        "You have done everything here that is open to you. Thank you."
    )
    page.locator("#submit").hover()
    background = page.locator("#submit").evaluate("one => getComputedStyle(one).backgroundColor")
    assert background == "rgba(0, 0, 0, 0)", "no fill under grey words"


FAST = """async (act) => {
    const seen = [];
    const holder = document.getElementById("item");
    const go = () => {
        const id = holder.querySelector("[data-assignment]")?.dataset.assignment;
        if (!id) return;
        seen.push(id);
        if (act === "skip") document.querySelector("#skip button").click();
        else { holder.querySelector("input[type=radio]").click(); document.getElementById("submit").click(); }
    };
    new MutationObserver(go).observe(holder, { childList: true });
    go();
    for (let still = 0; still < 30; still += 1) {
        const before = seen.length;
        await new Promise((done) => setTimeout(done, 100));
        if (seen.length > before || document.getElementById("net").dataset.state !== "saved") still = 0;
    }
    return seen;
}"""


@pytest.mark.parametrize("act", ["submit", "skip"])
def test_no_item_comes_twice_however_fast_one_is(
    stack: Running, browser: Browser, opened: Open, act: str
) -> None:
    batch = batch_of(stack, "sentiment", [{"text": f"message {n}"} for n in range(20)])
    page = workspace(stack, opened(visits.context(browser, DESKTOP)), batch)
    seen = page.evaluate(FAST, act)
    assert len(seen) == len(set(seen)) == 20
    assert len(answers(stack, batch)) == (20 if act == "submit" else 0)
