"""Collects all that people read into the catalogues of annotate/locale; `make messages` runs it.

Texts stand in templates, in Python as `gettext("…")` or `Words("…")`, in the docstrings of errors, which are the
sentences shown, in the messages with which errors are raised, and in a few tables of names. Existing translations are
kept; a text that is gone leaves the catalogue.
"""

import ast
import importlib
import pkgutil
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "annotate" / "locale"
METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "Words": None}
PACKAGES = ("schemas", "tasks", "payments", "annotate")
NOT_READ = ("frontend/", "verifier/", "migrations/")


def collected() -> Catalog:
    """Give everything that has to be translated."""
    catalog = Catalog(project="Fairlabel", fuzzy=False)
    for package in PACKAGES:
        for name, _, message, _, context in extract_from_dir(
            ROOT / package, METHODS, OPTIONS, keywords=KEYWORDS
        ):
            if message and not name.startswith(NOT_READ):
                catalog.add(message, locations=[(name, 0)], context=context)
    for sentence, place in sorted(error_sentences().items()):
        catalog.add(sentence, locations=[(place, 0)])
    for sentence, place in sorted((raised_sentences() | tables()).items()):
        catalog.add(sentence, locations=[(place, 0)])
    return catalog


def error_sentences() -> dict[str, str]:
    """Give the sentences of all errors, with the module of each."""
    return {(kind.__doc__ or "").strip(): kind.__module__ for kind in errors()}


def errors() -> list[type[Exception]]:
    """Give all kinds of errors that people may read."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations" not in module.name and ".verifier" not in module.name:
                importlib.import_module(module.name)
    from tasks.errors import FairlabelError

    found: list[type[Exception]] = [FairlabelError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def raised_sentences() -> dict[str, str]:
    """Give the messages with which errors are raised, as far as they hold no value, with the file of each."""
    names, found = {kind.__name__ for kind in errors()}, {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Raise(
                        exc=ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(message)), *_])
                    ) if name in names:
                        found[message] = str(path.relative_to(ROOT))
    return found


def tables() -> dict[str, str]:
    """Give what pages look up: navigation, roles, errors that are not ours, what we say in the shipped rules."""
    from annotate.problems import OF_THE_FRAMEWORK, UNEXPECTED
    from annotate.rendering import NAVIGATION
    from payments.rules import shipped
    from tasks.people import Role

    found = {label: "annotate/rendering.py" for links in NAVIGATION.values() for label, _, _ in links}
    found |= {str(role): "tasks/people.py" for role in Role}
    found |= dict.fromkeys((*OF_THE_FRAMEWORK.values(), UNEXPECTED), "annotate/problems.py")
    rules = shipped()
    found |= {one["note"]: "payments/rule_documents" for one in rules if one.get("note")}
    own = {one["source"]["title"] for one in rules if one["kind"] == "platform"}
    return found | dict.fromkeys(sorted(own), "payments/rule_documents")


def update(lang: str) -> Catalog:
    """Bring a language's catalogue to what is collected now."""
    path = LOCALE / lang / "LC_MESSAGES" / "messages.po"
    known = read_po(BytesIO(path.read_bytes()), locale=lang) if path.is_file() else Catalog(locale=lang)
    fresh = collected()
    made = Catalog(
        locale=lang,
        header_comment="# Written by deploy/catalogue.py; docs/glossary-fr.md chooses the words.",
        project="Fairlabel",
        version="1",
        # A catalogue changes when a text does, and not with each run.
        creation_date=known.creation_date,
        revision_date=known.creation_date,
        last_translator="Fairlabel",
        language_team="Fairlabel",
        msgid_bugs_address="-",
        fuzzy=False,
    )
    for message in fresh:
        if message.id:
            before = known.get(message.id, message.context)
            text = before.string if before is not None and not before.fuzzy else None
            made.add(message.id, text or None, locations=message.locations, context=message.context)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        write_po(out, made, sort_output=True, no_location=True, width=110)
    return made


def main() -> None:
    """Update the catalogues and say what is not translated."""
    for lang in ("fr",):
        made = update(lang)
        missing = [
            message.id for message in made if message.id and not (message.string and all(message.string))
        ]
        sys.stdout.write(f"{lang}: {len(made)} texts, {len(missing)} without translation\n")


if __name__ == "__main__":
    main()
