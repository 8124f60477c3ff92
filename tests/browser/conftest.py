"""One instance and one browser for all browser tests of a process."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from browser_finder import REMEDY, find_chromium
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from running import Running, launch, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the browser."""
    for item in items:
        if "/tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; without one the tests are skipped here and fail where CI=true."""
    if find_chromium() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(REMEDY)
    with sync_playwright() as playwright:
        made = launch(playwright)
        yield made
        made.close()


@pytest.fixture(scope="session")
def stack(server_url: str, browser: Browser) -> Iterator[Running]:
    """The running instance."""
    with running(server_url, f"fairlabel_browser_{os.getpid()}") as made:
        yield made


class Complaints(list[str]):
    """What a browser's console said against our pages: errors, refusals of the content policy, script faults."""

    def listen(self, page: Page) -> None:
        """Note what this page says."""
        page.on(
            "console", lambda said: self.append(f"{page.url}: {said.text}") if said.type == "error" else None
        )
        page.on("pageerror", lambda fault: self.append(f"{page.url}: {fault}"))


@pytest.fixture
def complaints() -> Complaints:
    """What the consoles of the test's pages said."""
    return Complaints()


@pytest.fixture
def opened(browser: Browser, complaints: Complaints) -> Iterator[Any]:
    """Opens browser windows that are closed after the test."""
    contexts: list[BrowserContext] = []

    def keep(context: BrowserContext) -> BrowserContext:
        contexts.append(context)
        context.set_default_timeout(8_000)
        context.on("page", complaints.listen)
        return context

    yield keep
    for context in contexts:
        context.close()
