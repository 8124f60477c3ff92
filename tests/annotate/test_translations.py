"""Every text that people read has its French, with the same placeholders; templates say nothing past the catalogue."""

import ast
import importlib.util
import re
from gettext import GNUTranslations
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from jinja2 import Environment
from litestar import get
from litestar.testing import TestClient
from markupsafe import Markup

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "tasks", "payments", "annotate")
TEMPLATES = sorted((ROOT / "annotate" / "templates").rglob("*.html"))
COMMAND_LINE = {
    *(
        "commands",
        "stack",
        "verifier",
        "frontend",
        "words.py",
        "answer_files.py",
        "api_client.py",
        "api_steps.py",
        "recordings.py",
    ),
    *("replay.py", "replay_checks.py", "assets.py"),
}
"""Where words are made of templates, or are said on the command line alone, which speaks English."""
AT_THE_START = {"KeyError", "TypeError", "UnsafeSetting", "ValueError"}
"""What nobody reads but those who write or start the program."""
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w*\}|<[^>]+>|`[^`]+`")
SAME_IN_ALL_LANGUAGES = {"Fairlabel", "h", "s"}
NAMED_IN_ALL_LANGUAGES = {"Fairlabel", "Enter", "Tab", "Esc", "Shift", "Ctrl", "Ctrl+Z", "Africa/Nairobi"}
TEXT_ATTRIBUTE = re.compile(r'\b(?:aria-label|aria-description|title|placeholder|alt)="([^"<>]*)"')
PLAIN_SPACE = re.compile(r"(?<! ) [:;!?»]|« |[^\s(«]«|\w'\w")


@pytest.fixture(scope="module")
def collected() -> list[Message]:
    """All texts of the program as it is now."""
    spec = importlib.util.spec_from_file_location("catalogue", ROOT / "deploy" / "catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [message for message in module.collected() if message.id]


def forms(message: Message | None) -> list[str]:
    """Give a text's translations: one, or one for each number."""
    if message is None:
        return [""]
    return [message.string or ""] if isinstance(message.string, str | None) else list(message.string)


def test_every_text_has_its_french(collected: list[Message], french: Catalog) -> None:
    kept = {message.id: french.get(message.id, message.context) for message in collected}
    missing = [name for name, found in kept.items() if found is None or found.fuzzy or not all(forms(found))]
    assert not missing, f"Run `make messages` and translate: {missing}"
    assert len(kept) > 500


def test_no_text_of_the_catalogue_is_gone(collected: list[Message], french: Catalog) -> None:
    gone = {message.id for message in french if message.id} - {message.id for message in collected}
    assert not gone, "Run `make messages`."


def test_placeholders_are_kept(french: Catalog) -> None:
    wrong = []
    for message in french:
        wanted = [message.id] if isinstance(message.id, str) else list(message.id)
        allowed = [sorted(PLACEHOLDER.findall(text)) for text in wanted]
        found = [sorted(PLACEHOLDER.findall(text)) for text in forms(message)]
        if message.id and (len(found) != len(wanted) or any(one not in allowed for one in found)):
            wrong.append((message.id, found))
    assert not wrong


def test_french_is_set_as_french_is(french: Catalog) -> None:
    wrong = [text for message in french if message.id for text in forms(message) if PLAIN_SPACE.search(text)]
    assert not wrong
    assert french.num_plurals == 2


def test_the_compiled_catalogue_knows_plurals_and_errors(compiled: GNUTranslations) -> None:
    said = [compiled.ngettext("%(num)s item left", "%(num)s items left", n) for n in (0, 1, 2)]
    assert said == ["%(num)s élément restant"] * 2 + ["%(num)s éléments restants"]
    assert compiled.gettext("Your role does not allow this.") == "Votre rôle ne le permet pas."


@pytest.mark.usefixtures("compiled")
def test_a_browser_that_asks_for_french_reads_french(site: Any) -> None:
    with site.client() as client:
        page = client.get("/sign-in", headers={"accept-language": "fr-CA,fr;q=0.9,en;q=0.5"})
        text = unescape(page.text)
        assert '<html lang="fr"' in text
        assert all(words in text for words in ("Se connecter", "Mot de passe", "Pas encore de compte\u00a0?"))
        assert "Password" not in text
        wrong = client.post(
            "/sign-in", data={"email": "a@example.org", "password": "no"}, headers={"accept-language": "fr"}
        )
        assert "L’adresse ou le mot de passe ne correspond pas." in unescape(wrong.text)
        assert "Password" in client.get("/sign-in", headers={"accept-language": "sw,en"}).text


@pytest.mark.usefixtures("compiled")
def test_errors_are_french_too(site: Any) -> None:
    @get("/breaks", sync_to_thread=True)
    def breaks() -> None:
        raise ZeroDivisionError("the inside")

    site.app.register(breaks)
    with TestClient(site.app, raise_server_exceptions=False) as client:
        client.headers["accept-language"] = "fr"
        gone, broken = client.get("/nowhere"), client.get("/breaks")
        reference = client.get("/breaks", headers={"accept": "application/json"}).json()["reference"]
    assert (gone.status_code, broken.status_code) == (404, 500)
    assert "Il n’y a rien à cette adresse." in unescape(gone.text)
    assert "rien n’a été enregistré à moitié" in unescape(broken.text)
    assert re.search(r"Erreur 500, référence [0-9A-F]{6}<", broken.text)
    assert "the inside" not in broken.text
    assert re.fullmatch(r"[0-9A-F]{6}", reference)


@pytest.mark.parametrize(
    "path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "annotate" / "templates"))
)
def test_a_template_says_nothing_past_the_catalogue(path: Path) -> None:
    source = path.read_text()
    assert not unmarked_text(source), "Mark it with _() or {% trans %}."
    assert not unmarked_strings(source), "Mark it with _()."


def test_the_workspace_brings_the_words_of_its_script() -> None:
    source = "".join(path.read_text() for path in (ROOT / "annotate" / "frontend" / "src").rglob("*.ts"))
    brought = (ROOT / "annotate" / "templates" / "work" / "workspace.html").read_text()
    said = set(re.findall(r'\bt\("([^"]+)"', source))
    assert said == set(re.findall(r'"([^"]+)": _\("\1"\)', brought))
    assert len(said) > 30


def test_the_look_for_unmarked_text_finds_some() -> None:
    assert unmarked_text("<p>Hello {{ name }}</p>") == {"Hello"}
    assert unmarked_text('<p title="Hello">{{ _("Hello") }}</p>') == {"Hello"}
    assert unmarked_strings('{{ button("Send it", "primary") }}') == {"Send it"}
    assert unmarked_strings('{{ button(_("Send it"), "primary") }}') == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_text_is_put_together_past_the_catalogue(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)[:80]}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if not set(path.relative_to(ROOT).parts) & COMMAND_LINE
        for node in ast.walk(ast.parse(path.read_text()))
        if put_together(node)
    ]
    assert not wrong, "Use Words with a literal text and values."


def test_the_look_for_texts_put_together_finds_some() -> None:
    past = ('Words(f"{n} rows")', "Words(text)", 'raise Invalid(f"{n} rows")', 'raise Invalid("a" + b)')
    fine = (
        'Words("%(n)s rows", n=n)',
        'raise Invalid("No rows.")',
        'raise Invalid(Words("No."))',
        "raise Wrong(x)",
    )
    assert [any(map(put_together, ast.walk(ast.parse(one)))) for one in past] == [True] * len(past)
    assert [any(map(put_together, ast.walk(ast.parse(one)))) for one in fine] == [False] * len(fine)


def put_together(node: ast.AST) -> bool:
    """Tell whether this makes words, or raises an error, with a text that the catalogue cannot know."""
    match node:
        case ast.Call(func=ast.Name(id="Words"), args=[ast.Constant(), *_]):
            return False
        case ast.Call(func=ast.Name(id="Words")):
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[ast.JoinedStr() | ast.BinOp(), *_])):
            return name[0].isupper() and name not in AT_THE_START
    return False


def unmarked_text(source: str) -> set[str]:
    """Find letters between tags and in attributes that people read or hear."""
    source = re.sub(r"\{#.*?#\}|<!--.*?-->", "", source, flags=re.DOTALL)
    source = re.sub(
        r"\{%-?\s*trans\b.*?\{%-?\s*endtrans\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}", " ", source, flags=re.DOTALL
    )
    source = re.sub(r"<(style|script|code|kbd)\b.*?</\1>", "<>", source, flags=re.DOTALL)
    said = [*re.findall(r">([^<>]*)(?=<)", source), *TEXT_ATTRIBUTE.findall(source)]
    words = {str(Markup(text).unescape()).strip(" /\n\u00a0") for text in said}
    # Attributes that are put together with {% set %} stand between tags, too.
    return {
        text for text in words if re.search(r"[^\W\d_]", text) and '="' not in text
    } - SAME_IN_ALL_LANGUAGES


def unmarked_strings(source: str) -> set[str]:
    """Find strings in expressions that begin like a sentence and are not handed to `_`."""
    found = set()
    tokens = [(kind, text) for _, kind, text in Environment().lex(source) if kind != "whitespace"]
    for at, (kind, text) in enumerate(tokens):
        marked = [word for _, word in tokens[max(at - 2, 0) : at]] == ["_", "("]
        key = at + 1 < len(tokens) and tokens[at + 1][1] == ":"
        if kind == "string" and re.match(r".[A-Z][a-z]", text) and not marked and not key:
            found.add(text[1:-1])
    return found - NAMED_IN_ALL_LANGUAGES
