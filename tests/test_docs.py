"""The documents say what is there: words, commands, links, files and functions.

Run as a program it writes the glossary's table of errors.
"""

import importlib
import inspect
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import annotate
import payments
import schemas
import tasks
from annotate.cli import COMMANDS
from tasks.db import Base
from tasks.errors import FairlabelError

ROOT = Path(__file__).parent.parent
PACKAGES = (schemas, tasks, payments, annotate)
NOT_OURS_TO_SAY = {"annotate.verify"}  # a program, not a module
GLOSSARY = ROOT / "docs" / "glossary.md"
ERRORS_HEAD = "| error | status | sentence |\n| --- | --- | --- |\n"
LOCKS = {"requirements.lock", "requirements-dev.lock", "annotate/frontend/package-lock.json"}

# Written in pieces, so that this file does not hold what it looks for.
WORKPLACE = re.compile(
    r"/work" + r"/(main|shared|\.)|/tmp" + r"/(plan|bash_jobs)|(?<!\.\./)\bshared" + r"/(?!data\b)[a-z]+/"
)
REGISTRIES = re.compile(
    r"\bpypi\."
    r"org|pythonhosted\."
    r"org|registry\."
    r"npmjs|artifactory|/simple"
    r"/|devpi|nexus\.",
    re.IGNORECASE,
)


def tracked() -> list[str]:
    """Name the files of the repository: those tracked and those about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no checkout with git")
    return sorted(name for name in set(listed.stdout.splitlines()) if (ROOT / name).is_file())


def documents() -> list[Path]:
    """Name the documents for people."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def errors() -> dict[str, type[FairlabelError]]:
    """Load every module and give every error that people can meet, by name."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in module.name and module.name not in NOT_OURS_TO_SAY:
                importlib.import_module(module.name)
    found: dict[str, type[FairlabelError]] = {}
    waiting = [FairlabelError]
    while waiting:
        one = waiting.pop()
        found[one.__name__] = one
        waiting += [sub for sub in one.__subclasses__() if sub.__module__.split(".")[0] in PACKAGE_NAMES]
    return found


PACKAGE_NAMES = {package.__name__ for package in PACKAGES}


def error_rows() -> list[str]:
    """Write each error as the glossary should have it."""
    rows = []
    for name, one in sorted(errors().items()):
        sentence = " ".join((inspect.getdoc(one) or "").split("\n\n")[0].split()).replace("|", "/")
        rows.append(f"| `{name}` | {one.status} | {sentence} |")
    return rows


def section(title: str) -> str:
    """Give a section of the glossary."""
    return GLOSSARY.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_glossary_names_every_table() -> None:
    told = re.findall(r"^\| `(\w+)` \| \S", section("Tables"), re.MULTILINE)
    assert sorted(told) == sorted(Base.metadata.tables)


def test_the_glossary_says_every_error_as_people_read_it() -> None:
    told = [line for line in section("Errors").splitlines() if line.startswith("| `")]
    wanted = error_rows()
    assert told == wanted, "run .venv/bin/python tests/test_docs.py and look at what it writes"


def test_an_error_has_one_name_and_one_meaning() -> None:
    places: dict[str, set[str]] = {}
    for one in _all_errors():
        places.setdefault(one.__name__, set()).add(one.__module__)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def _all_errors() -> Iterator[type[FairlabelError]]:
    errors()
    waiting = list(FairlabelError.__subclasses__())
    while waiting:
        one = waiting.pop()
        if one.__module__.split(".")[0] in PACKAGE_NAMES:
            yield one
        waiting += one.__subclasses__()


def test_a_word_of_the_glossary_has_one_row() -> None:
    words = [
        word.strip()
        for title in ("People", "Work", "Time", "Money", "Proof to others")
        for row in re.findall(r"^\| ([^|`]+) \| [^|]+ \| [^|]*\|$", section(title), re.MULTILINE)
        if row not in {"word", "---"}
        for word in row.split(",")
    ]
    assert len(words) > 50
    assert sorted(word for word in set(words) if words.count(word) > 1) == []


def test_the_readme_opens_with_exactly_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL) == ["make run\nmake test\n"]
    opening = readme.split("\n## ")[0]
    assert opening.index("![") < opening.index("```")
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^run:", targets, re.MULTILINE)
    assert re.search(r"^test:", targets, re.MULTILINE)


def test_every_command_is_told() -> None:
    told = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/operations.md"))
    missing = [name for name in COMMANDS if not re.search(rf"`fairlabel {re.escape(name)}\b", told)]
    assert missing == []


def test_every_target_that_is_told_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in documents():
        told = set(re.findall(r"`make ([a-z-]+)`", document.read_text(encoding="utf-8")))
        assert told <= targets, document.name


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        where = (document.parent / path).resolve() if path else document
        assert where.exists(), target
        if heading:
            assert heading in _headings(where.read_text(encoding="utf-8")), target
    named = r"`((?:schemas|tasks|payments|annotate|tests|deploy|docs)/[\w./-]+)`"
    for name in re.findall(named, text):
        assert (ROOT / name).exists(), name


def _headings(text: str) -> set[str]:
    lines = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_the_walk_of_one_answer_names_functions_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \| ([^|]+) \|", text, re.MULTILINE)
    assert len(steps) > 10
    for name, functions in steps:
        source = (ROOT / name).read_text(encoding="utf-8")
        for function in re.findall(r"`(\w+)`", functions):
            assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"{name}: {function}"


def test_every_setting_that_is_told_exists() -> None:
    known = (ROOT / "deploy" / "env.example").read_text(encoding="utf-8")
    for document in documents():
        told = re.findall(
            r"`((?:FAIRLABEL|PAYMENTS|DATABASE|BROKER)_[A-Z_]+)", document.read_text(encoding="utf-8")
        )
        for name in told:
            assert f"{name}=" in known, f"{document.name}: {name}"


def test_nothing_names_a_workplace_or_a_package_registry() -> None:
    found = []
    for name in tracked():
        if name == "tests/test_docs.py":
            continue
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        patterns = [WORKPLACE] if name in LOCKS else [WORKPLACE, REGISTRIES]
        found += [f"{name}: {match.group()}" for pattern in patterns for match in pattern.finditer(text)]
    assert found == []


def test_locks_hold_no_address() -> None:
    for name in sorted(LOCKS):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r'--(?:extra-)?index-url|"resolved"|https?://\S+\.(?:whl|tgz|gz)', text) == [], name


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_no_package_under_the_gpl_is_noticed() -> None:
    notices = (ROOT / "THIRD-PARTY-NOTICES.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|", notices, re.MULTILINE)[2:]
    locked = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    normal = {re.sub(r"[-_.]+", "-", name.strip()).lower() for name, _, _ in rows}
    only_elsewhere = {"colorama", "pywin32", "tzdata", "win32-setctime", "greenlet", "async-timeout"}
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in locked} - normal <= only_elsewhere
    gpl = re.compile(r"(?<!L)\bA?GPL|(?<!Lesser )General Public", re.IGNORECASE)
    assert [name for name, _, licence in rows if gpl.search(licence)] == []
    assert [name for name, _, licence in rows if "LGPL" in licence] == ["psycopg", "psycopg-binary"]


if __name__ == "__main__":
    page = GLOSSARY.read_text(encoding="utf-8")
    GLOSSARY.write_text(
        page.split(ERRORS_HEAD)[0] + ERRORS_HEAD + "\n".join(error_rows()) + "\n", encoding="utf-8"
    )
