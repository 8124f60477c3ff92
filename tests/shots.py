"""`make shots`: a picture of each page at two sizes in both themes, into build/shots; a few go to docs/images.

With names as arguments only those pages are taken: `python tests/shots.py workspace wages`.
"""

import sys
from pathlib import Path

import visits
from playwright.sync_api import BrowserContext, sync_playwright
from running import DESKTOP, MESSAGES, MOODS, PHONE, Running, build_front_end, launch, running

from annotate.stack.postgres import throw_away_cluster

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "shots"
IMAGES = ROOT / "docs" / "images"
IN_DOCS = {
    "workspace-desktop-light": "workspace",
    "workspace-phone-dark": "workspace-phone",
    "payslip-phone-light": "payslip",
    "wages-desktop-light": "wages",
    "batch-desktop-light": "batch",
}
HEIGHT = "document.documentElement.scrollHeight"
IMAGE_BYTES_MAX = 200_000


def main(only: list[str]) -> None:
    """Take the pictures."""
    build_front_end()
    for folder in (OUT, IMAGES):
        folder.mkdir(parents=True, exist_ok=True)
    with (
        throw_away_cluster() as server,
        running(server, "fairlabel_shots") as instance,
        sync_playwright() as player,
    ):
        browser = launch(player)
        for size, device in ((DESKTOP, "desktop"), (PHONE, "phone")):
            for theme in ("light", "dark"):
                for who in visits.ROLES:
                    context = visits.context(browser, size, theme)
                    if who:
                        instance.sign_in(context, who)
                    _take(instance, context, who, size, f"{device}-{theme}", only)
                    context.close()
        browser.close()
    for picture in IMAGES.glob("*.png"):
        if picture.stat().st_size > IMAGE_BYTES_MAX:
            sys.exit(f"{picture.name} is over {IMAGE_BYTES_MAX} bytes.")
    sys.stdout.write(f"== {len(list(OUT.glob('*.png')))} pictures in {OUT.relative_to(ROOT)}\n")


def _take(
    instance: Running, context: BrowserContext, who: str, size: tuple[int, int], kind: str, only: list[str]
) -> None:
    page = context.new_page()
    for name, path in visits.pages(instance, who).items():
        if only and name not in only:
            continue
        answer = page.goto(instance.url + path)
        if answer is None or answer.status >= 500:
            sys.stdout.write(f"!! {name}: {answer and answer.status}\n")
        visits.settle(page)
        page.wait_for_load_state("networkidle")  # widgets are loaded when they are met
        if name == "workspace":
            page.locator(".option").nth(MOODS[MESSAGES.index(page.locator(".said").inner_text())]).click()
        if (wanted := IN_DOCS.get(f"{name}-{kind}")) and not only:
            page.screenshot(path=IMAGES / f"{wanted}.png")
        if name not in visits.WORKSPACES:
            # The window grows to the page, so that what sticks to its lower edge stands at the end.
            page.set_viewport_size({"width": size[0], "height": page.evaluate(HEIGHT)})
            page.screenshot(path=OUT / f"{name}-{kind}.png")
            page.set_viewport_size({"width": size[0], "height": size[1]})
        else:
            page.screenshot(path=OUT / f"{name}-{kind}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
