"""The built front end as pages need it: script tags, preloads, and style sheets printed into the page.

Sheets are inlined, which saves a round trip before the first paint; the content security policy names each by
its SHA-256 hash, so no other style runs. Vite's manifest is read once; a missing build stops the start with what
to do.
"""

import base64
import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router
from markupsafe import Markup

RICH = ("spans", "boxes")
"""Kinds of field whose widget is a script of its own."""
DIST = Path(__file__).parent / "static" / "dist"


class FrontendNotBuilt(Exception):
    """The front end is not built. Run `npm ci && npm run build` in annotate/frontend."""


class Assets:
    """One build of the front end: its scripts are `page` and `workspace`, its sheets `app` and `work`."""

    def __init__(self, folder: Path = DIST, base: str = "/static/dist/") -> None:
        self.folder = folder
        self.base = base

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Vite's manifest. Raises FrontendNotBuilt."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FrontendNotBuilt(str(FrontendNotBuilt.__doc__)) from None
        return found

    def url(self, source: str) -> str:
        """Where a source file's built form is served, such as `src/page.ts`."""
        return self.base + str(self.manifest[source]["file"])

    def script(self, name: str, *widgets: str) -> Markup:
        """The entry's script tag, and a preload for each file that it or a rich widget (`spans`, `boxes`) needs."""
        source = f"src/{name}.ts"
        later = [
            f"src/widgets/{widget}.ts" for widget in widgets if f"src/widgets/{widget}.ts" in self.manifest
        ]
        found = [file for origin in (source, *later) for file in self._files(origin)]
        wanted = [file for file in dict.fromkeys(found) if file != self.url(source)]
        tags = [Markup('<script type="module" src="{}"></script>').format(self.url(source))]
        tags += [Markup('<link rel="modulepreload" href="{}">').format(file) for file in wanted]
        return Markup("").join(tags)

    def _files(self, source: str) -> list[str]:
        """A file and everything it imports at once, each once, itself first."""
        seen: dict[str, None] = {}
        waiting = [source]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen[one] = None
                waiting.extend(self.manifest[one].get("imports", []))
        return [self.url(one) for one in seen]

    def sheet(self, name: str) -> Markup:
        """The text to stand in `<style>`, byte for byte what the policy's hash covers."""
        return Markup(self._sheets[name])  # noqa: S704  our own build, free of `<`

    @cached_property
    def _sheets(self) -> dict[str, str]:
        sheets = {}
        for name in ("app", "work"):
            text = (
                (self.folder / self.manifest[f"src/{name}.css"]["file"]).read_text(encoding="utf-8").strip()
            )
            if "</" in text:
                raise ValueError(f"{name}.css would end its own style element")
            sheets[name] = text
        return sheets

    def style_hashes(self) -> tuple[str, ...]:
        """The policy's sources for our inlined sheets, as `'sha256-…'`."""
        return tuple(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in self._sheets.values()
        )

    def policy(self, media: str = "") -> str:
        """The Content-Security-Policy header; `media` names further origins of images, audio and video."""
        further = f" {media}" if media else ""
        return "; ".join(
            (
                "default-src 'self'",
                "script-src 'self'",
                f"style-src 'self' {' '.join(self.style_hashes())}",
                f"img-src 'self' data: blob:{further}",
                f"media-src 'self' blob:{further}",
                "connect-src 'self'",
                "worker-src 'self'",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        )


built = Assets()
"""The build that ships with the package; templates know this module as `asset`."""
script = built.script
sheet = built.sheet
style_hashes = built.style_hashes
policy = built.policy


def static_files() -> Router:
    """Serve the built files; each carries its content in its name and may be kept for a year."""
    return create_static_files_router(
        path=built.base.rstrip("/"),
        directories=[built.folder],
        cache_control=CacheControlHeader(public=True, max_age=31_536_000, immutable=True),
        name="built",
    )
