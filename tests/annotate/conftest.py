"""The real application on a committed database of its own, with somebody of each role signed in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import factories
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from conftest import make_database
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

import annotate.jobs
import annotate.tables
import payments.jobs
import tasks.jobs
from annotate import auth, i18n, rendering
from annotate.app import create_app
from annotate.settings import WebSettings
from annotate.visit import CLOCK_HEADER, COOKIE
from payments.reports import Report
from tasks import answers, clock, intake, refits
from tasks.db import Base, engine_for, transaction
from tasks.people import Person, Role
from tasks.settings import TaskSettings

FRENCH = Path(i18n.__file__).parent / "locale" / "fr" / "LC_MESSAGES" / "messages.po"
SECRET = "kX9q2vW7mZ4tB8nC3rL6yH1pD5sF0gJa"


@dataclass
class Site:
    """A running instance; `session` opens a committed transaction, `client` a browser of somebody."""

    app: Litestar
    engine: Engine
    now: datetime
    people: dict[str, Person]

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Run one transaction."""
        with transaction(self.engine) as made:
            yield made

    def work_off(self) -> None:
        """Do what a worker process would: imports, looks at items, refits, reports that were asked for."""
        with self.session() as session:
            uploads, items = intake.waiting_uploads(session), answers.unseen_items(session)
            reports = session.scalars(select(Report.id).where(Report.ended_at.is_(None))).all()
        for upload_id in uploads:
            tasks.jobs.import_upload(str(upload_id))
        annotate.jobs.check_items(items)
        with self.session() as session:
            stale = refits.stale_batches(session)
        for batch_id in stale:
            annotate.jobs.refit_batch(str(batch_id))
        for report_id in reports:
            payments.jobs.make_report(str(report_id))

    @contextmanager
    def client(self, who: str | Person | None = None) -> Iterator[TestClient[Litestar]]:
        """Give a browser, signed in as `who`; writes carry the sign-in's token."""
        with TestClient(self.app, base_url="http://127.0.0.1:8000") as client:
            client.headers[CLOCK_HEADER] = self.now.isoformat()
            if who is not None:
                person = self.people[who] if isinstance(who, str) else who
                with self.session() as session:
                    token = auth.start_sign_in(session, person, self.now, 30)
                    viewer = auth.viewer_by_cookie(session, token, self.now)
                assert viewer is not None
                client.cookies.set(COOKIE, token)
                client.headers["x-csrf-token"] = viewer.csrf
            yield client


@pytest.fixture(scope="module")
def site(server_url: str) -> Iterator[Site]:
    """An instance with its own database for one test file."""
    name = f"fairlabel_site_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    url = make_database(server_url, name)
    settings = TaskSettings(
        database_url=url, broker_url="memory://", fairlabel_instance="test", fairlabel_clock="simulated"
    )
    engine = engine_for(url, settings.database_pool)
    Base.metadata.create_all(engine)
    now = datetime.fromisoformat("2026-11-16T06:00:00+00:00")
    with transaction(engine) as session:
        factories.floors(session, now)
        people: dict[str, Any] = {
            Role.WORKER: factories.worker(session, now),
            Role.REQUESTER: factories.requester(session, now),
            Role.ORGANIZER: factories.organizer(session, now),
            Role.OPERATOR: factories.operator(session, now),
        }
    jobs_settings = pytest.MonkeyPatch()
    for variable, value in (
        ("DATABASE_URL", url),
        ("FAIRLABEL_INSTANCE", "test"),
        ("FAIRLABEL_CLOCK", "simulated"),
    ):
        jobs_settings.setenv(variable, value)
    tasks.jobs.settings.cache_clear()
    with transaction(engine) as session:
        clock.turn(session, now, simulated=True)
    yield Site(create_app(settings, WebSettings(secret_key=SECRET)), engine, now, people)
    jobs_settings.undo()
    tasks.jobs.settings.cache_clear()
    engine.dispose()


@pytest.fixture(scope="session")
def french() -> Catalog:
    """The French catalogue as it is kept."""
    return read_po(BytesIO(FRENCH.read_bytes()), locale="fr")


@pytest.fixture
def compiled(french: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NullTranslations]:
    """Let pages use the catalogue as it is kept, compiled into a folder of this test."""
    path = tmp_path / "locale" / "fr" / "LC_MESSAGES" / "messages.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as out:
        write_mo(out, french)
    monkeypatch.setattr(i18n, "files", lambda _: tmp_path)
    forget()
    yield i18n.translations("fr")
    forget()


def forget() -> None:
    """Have catalogues read again."""
    i18n.translations.cache_clear()
    rendering.environment.cache_clear()
