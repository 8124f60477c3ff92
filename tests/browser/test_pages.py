"""Every page in both themes: no finding of axe, no word of complaint in the console, nothing wider than the window."""

from collections.abc import Callable

import pytest
import visits
from playwright.sync_api import Browser, BrowserContext, Page
from running import DESKTOP, PHONE, Running

NARROWEST = 320


@pytest.mark.parametrize("who", visits.ROLES)
def test_pages_are_accessible_quiet_and_narrow_enough(
    stack: Running,
    browser: Browser,
    opened: Callable[[BrowserContext], BrowserContext],
    complaints: list[str],
    who: str,
) -> None:
    context = opened(visits.context(browser, PHONE))
    if who:
        stack.sign_in(context, who)
    page = context.new_page()
    found: dict[str, list[str]] = {}
    for name, path in visits.pages(stack, who).items():
        answer = page.goto(stack.url + path)
        assert answer is not None
        assert answer.status == (404 if name == "missing" else 200), f"{name}: {answer.status}"
        visits.settle(page)
        if wrong := faults(page):
            found[name] = wrong
    assert found == {}
    assert [one for one in complaints if "404" not in one] == []


def faults(page: Page) -> list[str]:
    """Look at the page as a phone in the light theme, a narrow phone, and a desktop in the dark theme show it."""
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.emulate_media(color_scheme="light")
    found = [f"phone, light: {one}" for one in visits.violations(page)]
    page.set_viewport_size({"width": NARROWEST, "height": PHONE[1]})
    if by := visits.sideways(page):
        found.append(f"{NARROWEST} px: {by} px too wide")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.emulate_media(color_scheme="dark")
    return found + [f"desktop, dark: {one}" for one in visits.violations(page)]
