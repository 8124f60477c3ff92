"""Whoever asks for French reads French: every page of every role, and the answers of the API.

The look at the pages knows our English sentences alone; what requesters and workers wrote stays as they wrote it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import visits
from babel.messages.catalog import Catalog
from conftest import own_database
from litestar import Litestar
from litestar.testing import TestClient
from running import Running, fill
from sqlalchemy import select

from annotate import auth
from annotate.app import create_app
from annotate.settings import WebSettings
from annotate.visit import COOKIE
from payments import reports
from payments.due_lines import DueLine
from payments.payslips import Payslip
from payments.reports import ReportKind
from tasks.intake import Upload
from tasks.settings import TaskSettings

VALUE = re.compile(r"%\\\(\w+\\\)s|\\\{\w+\\\}|%%")
WORDS_OF_THE_DEFINITIONS = {"Date", "Message", "Organisation", "Person", "Place", "Sentence"}
LETTERS = re.compile(r"[^\W\d_]{2,}")
SPOKEN = ("alt", "aria-label", "placeholder", "title")
pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.xdist_group("french")]


@dataclass
class World:
    """A filled instance; `client` opens a browser or a program of somebody, in a language."""

    instance: Running
    app: Litestar

    def client(self, who: str, lang: str = "fr") -> TestClient[Litestar]:
        """Sign somebody in."""
        client = TestClient(self.app, base_url="http://127.0.0.1:8000")
        client.headers["accept-language"] = lang
        if who:
            with self.instance.session() as session:
                at = datetime.now(UTC)
                token = auth.start_sign_in(session, self.instance.people[who], at, 1)
                viewer = auth.viewer_by_cookie(session, token, at)
            assert viewer is not None
            client.cookies.set(COOKIE, token)
            client.headers["x-csrf-token"] = viewer.csrf
        return client

    def first(self, kind: type[Any]) -> Any:
        """Give a row of a table."""
        with self.instance.session() as session:
            return session.scalars(select(kind).limit(1)).one()


@pytest.fixture(scope="module")
def world(server_url: str) -> Iterator[World]:
    """A closed week, a day with a gap, open batches, an upload with bad rows and a quote."""
    with own_database(server_url, "french") as engine:
        url = engine.url.render_as_string(hide_password=False)
        instance = Running(url, engine)
        settings = TaskSettings(database_url=url, broker_url="memory://", fairlabel_instance="test")
        app = create_app(settings, WebSettings(secret_key="kX9q2vW7mZ4tB8nC3rL6yH1pD5sF0gJa"))
        fill(instance, datetime.now(UTC).replace(microsecond=0))
        yield World(instance, app)


class Said(HTMLParser):
    """What a page says: its texts, and what it says to those who hear it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self._silent = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style", "code", "pre"}
        self.texts |= {value.strip() for name, value in attrs if name in SPOKEN and value}

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style", "code", "pre"}

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.texts.add(" ".join(data.split()))


@dataclass
class English:
    """Our English texts that are another in French; `found_in` gives those that a page says."""

    plain: set[str] = field(default_factory=set)
    shapes: list[re.Pattern[str]] = field(default_factory=list)

    @classmethod
    def of(cls, catalogue: Catalog) -> "English":
        """Take them from the catalogue."""
        made, french = cls(), set[str]()
        for message in catalogue:
            ids = [message.id] if isinstance(message.id, str) else list(message.id)
            strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
            french |= set(strings)
            for text in {one for one in ids if one} - set(strings):
                if not VALUE.search(re.escape(text)):
                    made.plain.add(text)
                elif len(LETTERS.findall(VALUE.sub("", re.escape(text)))) > 1:
                    made.shapes.append(re.compile(VALUE.sub(".+", re.escape(text))))
        made.plain -= french | WORDS_OF_THE_DEFINITIONS
        return made

    def found_in(self, page: str) -> set[str]:
        """Give the texts of a page that are English."""
        texts = Said(page).texts
        shaped = {text for text in texts if any(shape.fullmatch(text) for shape in self.shapes)}
        return (texts & self.plain) | shaped


def test_the_look_for_english_finds_some(french: Catalog) -> None:
    english = English.of(french)
    said = "3 workers by hourly pay, against a floor of 1."
    page = f"<p>Credited time</p><p>Lot <b>15</b></p><img alt='A picture'><p>{said}</p><code>Lines</code>"
    assert english.found_in(page) == {"Credited time", "A picture", said}
    assert len(english.plain) > 900


@pytest.mark.parametrize("who", visits.ROLES)
def test_no_page_in_french_speaks_english(world: World, french: Catalog, who: str) -> None:
    english = English.of(french)
    paths = visits.pages(world.instance, who)
    with world.client(who) as client:
        pages = {name: client.get(path) for name, path in paths.items()}
        pages["errors"] = client.get("/help/errors")
        if who == "organizer":
            pages["verify"] = client.post("/audit/ledger/verify")
        if who == "worker":
            slip = world.first(Payslip)
            line = slip.document["lines"][0]["due_line"]
            pages["line of pay"] = client.get(f"/pay/lines/{line}")
    assert all('<html lang="fr"' in page.text for page in pages.values())
    assert {name: found for name, page in pages.items() if (found := english.found_in(page.text))} == {}


def test_the_api_says_in_french_why_a_row_is_bad_and_what_a_batch_costs(world: World) -> None:
    upload, draft = world.first(Upload), world.instance.batches["draft"]
    with world.client("requester") as client:
        found = client.get(f"/api/v1/uploads/{upload.id}").json()["problems"]
        file = client.get(f"/uploads/{upload.id}/problems.csv").text
        words = client.get(f"/api/v1/batches/{draft.id}/quote").json()["words"]
        wrong = client.post("/api/v1/definitions/check", json={"definition": {"title": 7}}).json()["problems"]
    assert [(one["reason"], one["hint"]) for one in found] == [
        ("'text' manque.", "À remplir."),
        ("'lang' ne peut pas être 'de'.", "Permis ici\u00a0: 'en', 'fr'."),
    ]
    assert "'text' manque." in file
    assert "La différence est payée en compléments." in words[0]
    assert ("/title", "'title' doit être un texte et non 7.") in [(p["pointer"], p["message"]) for p in wrong]


def books_checked(world: World) -> str:
    """Check the books as the job does; gives the report's id."""
    now = datetime.now(UTC)
    with world.instance.session() as session:
        report = reports.ask(session, ReportKind.BOOKS, "", None, now)
        found = reports.make(session, report.id, now, lambda _done, _of: None)
        reports.keep(session, report.id, found, now, now)
        return str(report.id)


def test_the_api_says_in_french_what_time_and_rules_mean(world: World) -> None:
    line, today = world.first(DueLine), datetime.now(UTC).date()
    span = {"first": str(today - timedelta(days=1)), "last": str(today + timedelta(days=1))}
    with world.client("worker") as client:
        rows = client.get("/api/v1/hours", params=span).json()["rows"]
    with world.client("organizer") as client:
        shown = client.get(f"/api/v1/audit/lines/{line.id}").json()
        checks = client.get(f"/api/v1/audit/reports/{books_checked(world)}").json()["checks"]
    assert {row["reason"] for row in rows if row["reason"]} == {"aucun travail n’était ouvert"}
    assert {one["reason"] for one in shown["gaps"]} == {"aucun travail n’était ouvert"}
    notes = [[one["note"] for one in shown[kind] if one["applied"]] for kind in ("rules", "trace")]
    assert notes[0] == notes[1]
    assert notes[0][0].endswith("; s’applique, c’est la plus élevée".replace("; ", "\u00a0; "))
    assert "chaque ligne est ce que disent les faits" in {one["name"] for one in checks}


def test_a_refusal_is_in_the_language_that_was_asked_for(world: World) -> None:
    batch = world.instance.batches["messages"]
    said = {}
    for lang in ("fr", "en", "sw"):
        with world.client("requester", lang) as client:
            refused = client.put(
                f"/api/v1/batches/{batch.id}/terms",
                json={"currency": "EUR", "pay_mode": "piece", "piece_price": "9", "estimate_seconds": 0},
            )
            document = {"title": "T", "colour": "red"}
            wrong = client.post(
                "/api/v1/projects", json={"name": "N", "purpose": "P", "definition": document}
            ).json()
            said[lang] = [refused.json()["detail"], wrong["detail"], wrong["problems"][0]["message"]]
            assert wrong["title"] == "WrongDefinition"
    assert said["sw"] == said["en"]
    assert all(french != english for french, english in zip(said["fr"], said["en"], strict=True))
    assert said["fr"][1] == "La définition de tâche a des problèmes."


def test_what_is_stored_is_the_same_in_every_language(world: World) -> None:
    line, slip = world.first(DueLine), world.first(Payslip)
    assert all("note" not in entry and "basis" not in entry for entry in line.trace)
    seen = {}
    for lang in ("fr", "en"):
        with world.client("organizer", lang) as client:
            client.get(f"/audit/lines/{line.id}")
        seen[lang] = world.first(Payslip).digest
    assert seen["fr"] == seen["en"] == slip.digest
