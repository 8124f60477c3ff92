"""Assets: tags from the manifest, sheets whose hash the policy names."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from annotate.assets import Assets, FrontendNotBuilt

MANIFEST = {
    "_marks.js": {"file": "assets/marks-3.js"},
    "src/app.css": {"file": "assets/app-1.css", "isEntry": True},
    "src/work.css": {"file": "assets/work-1.css", "isEntry": True},
    "src/page.ts": {"file": "assets/page-1.js", "isEntry": True},
    "src/workspace.ts": {
        "file": "assets/workspace-2.js",
        "isEntry": True,
        "dynamicImports": ["src/widgets/spans.ts"],
    },
    "src/widgets/spans.ts": {"file": "assets/spans-4.js", "imports": ["_marks.js"]},
    "src/widgets/boxes.ts": {"file": "assets/boxes-5.js", "imports": ["_marks.js"]},
}


@pytest.fixture
def built(tmp_path: Path) -> Assets:
    (tmp_path / "assets").mkdir()
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "assets/app-1.css").write_text("body{color:red}\n")
    (tmp_path / "assets/work-1.css").write_text('q{content:"≈"}')
    return Assets(tmp_path)


def test_an_entry_is_one_script(built: Assets) -> None:
    assert built.script("page") == '<script type="module" src="/static/dist/assets/page-1.js"></script>'


def test_rich_widgets_are_preloaded_flat_and_once(built: Assets) -> None:
    tags = built.script("workspace", "choice", "spans", "boxes")
    assert tags.count("<link") == 3
    assert tags.count("marks-3.js") == 1
    assert "choice" not in tags


def test_the_policy_names_exactly_the_text_in_the_page(built: Assets) -> None:
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(built.sheet(name).encode()).digest()).decode()}'"
        for name in ("app", "work")
    ]
    assert list(built.style_hashes()) == hashes
    policy = built.policy("https://media.example")
    assert f"style-src 'self' {' '.join(hashes)}" in policy
    assert "unsafe" not in policy
    assert "img-src 'self' data: blob: https://media.example" in policy


def test_a_missing_build_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FrontendNotBuilt, match="npm ci"):
        Assets(tmp_path).script("page")


def test_a_sheet_cannot_end_its_own_element(built: Assets) -> None:
    (built.folder / "assets/app-1.css").write_text("</style><script>")
    with pytest.raises(ValueError, match=r"app\.css"):
        built.sheet("app")
