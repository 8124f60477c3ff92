"""A whole instance that browsers visit: the real application and a real worker in processes of their own.

It runs on the system's clock with a database that is filled before the start: a closed week with payslips and
payouts, a day with a gap in its evidence, and open batches of three kinds. Everything shown is computed by the product.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import closing
import factories
from browser_finder import REMEDY, find_chromium
from conftest import make_database
from playwright.sync_api import Browser, BrowserContext, Playwright
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

import annotate.tables  # noqa: F401  loads every table
from annotate import auth
from annotate.commands.up import web_service, worker_service
from annotate.stack.home import Home
from annotate.stack.process import Process
from annotate.stack.throw_away import directory, free_port
from annotate.stack.valkey import Valkey
from annotate.visit import COOKIE
from payments import payouts, payroll, quotes, reports, terms, transparency
from payments.funding import reserve_and_open
from payments.periods import PayPeriod, period_at, start_of
from payments.reports import ReportKind
from tasks import assignments, exclusions, gold, intake, looks, queue, refits
from tasks.assignments import SkipOutcome
from tasks.batches import Batch, BatchKind, Redundancy, close_batch
from tasks.db import Base, engine_for, transaction
from tasks.items import Item, add_items, open_slots
from tasks.people import Person
from tasks.projects import Definition
from tasks.settings import TaskSettings

HOST: Final = "127.0.0.1"
PASSWORD: Final = "a long enough pass phrase"
DESKTOP: Final = (1280, 800)
PHONE: Final = (360, 740)
STORED: Final = re.compile(r"/answer(\?|$)")
"""The request that stores an answer."""
FRONT_END: Final = Path(__file__).parents[1] / "annotate" / "frontend"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MESSAGES: Final = (
    "The water pressure in our street has been low since Monday and this morning nothing came out at all.",
    "The new tram line is finally open, I was home in ten minutes!",
    "Super, encore une panne le lundi matin…",
    "Le marché ouvre à huit heures.",
    "Nobody answers the phone, and the form says my number does not exist.",
    "Thank you for the quick repair, the light in the stairway works again.",
    "La réunion est reportée à jeudi.",
    "I have paid twice for the same ticket and nobody wants to be responsible.",
)
MOODS: Final = (2, 0, 2, 1, 2, 0, 1, 2)
"""Which option is right for each message."""
SENTENCES: Final = (
    "On 12 March 2026 Amina Wanjiru reported to Nairobi City Water that the Ruaraka pumping station had failed.",
    "Daniel Otieno of Kenya Power restored supply in Kibera the next morning.",
    "The Harbour Library in Mombasa opens on 3 May.",
)
STREET: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='800' height='500'%3E"
    "%3Crect width='800' height='500' fill='%23cfe3ee'/%3E%3Crect y='330' width='800' height='170' fill='%238b8f92'/%3E"
    "%3Crect x='60' y='90' width='220' height='240' fill='%23d8b48a'/%3E"
    "%3Crect x='520' y='50' width='240' height='280' fill='%23b98a6b'/%3E"
    "%3Cpath d='M90 130h50v60H90zM190 130h50v60h-50zM560 100h60v70h-60zM660 100h60v70h-60z' fill='%23425466'/%3E"
    "%3Crect x='330' y='330' width='200' height='70' rx='14' fill='%23b3261e'/%3E"
    "%3Cpath d='M370 330l25-45h85l30 45z' fill='%23d9e6ec'/%3E"
    "%3Ccircle cx='375' cy='402' r='24'/%3E%3Ccircle cx='485' cy='402' r='24'/%3E"
    "%3Ccircle cx='168' cy='285' r='17' fill='%236b4430'/%3E"
    "%3Crect x='148' y='304' width='40' height='80' rx='10' fill='%23225588'/%3E"
    "%3Cpath d='M152 384h14v50h-14zM170 384h14v50h-14z' fill='%23333'/%3E%3C/svg%3E"
)


@dataclass
class Running:
    """The instance: its address, its database, who and what it holds."""

    url: str
    engine: Engine
    people: dict[str, Person] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    period: PayPeriod | None = None
    gap_day: str = ""

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """Run one transaction."""
        with transaction(self.engine) as made:
            yield made

    def sign_in(self, context: BrowserContext, who: str) -> None:
        """Give a browser somebody's sign-in."""
        with self.session() as session:
            token = auth.start_sign_in(session, self.people[who], datetime.now(UTC), 30)
        context.add_cookies([{"name": COOKIE, "value": token, "url": self.url}])


@contextlib.contextmanager
def running(server_url: str, name: str) -> Iterator[Running]:
    """Start broker, worker and web on a filled database of that name; everything is gone afterwards."""
    root = directory()
    home = Home(root, root / "run")
    for place in (home.run, home.logs):
        place.mkdir(mode=0o711)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        database_url = make_database(server_url, name)
        engine = engine_for(database_url, 4)
        stack.callback(engine.dispose)
        Base.metadata.create_all(engine)
        url = f"http://{HOST}:{free_port()}"
        made = Running(url, engine)
        # What the filling enqueues goes nowhere: the worker's sweeps find it.
        queue.configure(TaskSettings(database_url=database_url, broker_url="memory://"))
        fill(made, datetime.now(UTC).replace(microsecond=0))
        valkey = Valkey(home)
        valkey.prepare()
        env = _environment(home, url, database_url)
        port = int(url.rpartition(":")[2])
        for service in (valkey.service(), worker_service(home, env), web_service(home, env, HOST, port)):
            process = Process(service)
            stack.callback(process.stop)
            process.wait_ready()
        yield made


def build_front_end() -> None:
    """Build scripts and sheets, so that no test runs on old ones."""
    subprocess.run(["npm", "run", "--silent", "build"], cwd=FRONT_END, check=True, stdout=subprocess.DEVNULL)


def launch(playwright: Playwright) -> Browser:
    """Start the browser. Raises LookupError without one."""
    program = find_chromium()
    if program is None:
        raise LookupError(REMEDY)
    return playwright.chromium.launch(executable_path=str(program), args=list(FLAGS))


def fill(instance: Running, now: datetime) -> None:
    """Add people, a closed week, a day with a gap, and open batches."""
    with instance.session() as session:
        last_week = start_of(now) - timedelta(days=7)
        before = last_week - timedelta(days=1)
        factories.floors(session, before)
        _people(session, instance, before)
        _past(session, instance, last_week)
        _gap(session, instance, now)
        _open_batches(session, instance, now)
        _draft(session, instance, now)
        _divided(session, instance, now)
        _decisions(session, instance, now)
        period = period_at(session, last_week, now)
        run = closing.runner(session)
        payroll.close_period(run, period.id, now)
        for planned in payouts.runs_of(session, period.id):
            payouts.make_file(session, planned, now)
        transparency.sequence(session, now)
        hours = reports.ask(session, ReportKind.HOURS, period.code, None, now)
        reports.keep(session, hours.id, reports.make(session, hours.id, now, lambda *_: None), now, now)
        instance.period = period


def _people(session: Session, instance: Running, at: datetime) -> None:
    made = {
        "worker": factories.worker(session, at),
        "touch": factories.worker(session, at, name="Wanjiku"),
        "plain": factories.worker(session, at, name="Kamau"),
        "learner": factories.worker(session, at, name="Achieng"),
        "requester": factories.requester(session, at),
        "organizer": factories.organizer(session, at),
        "operator": factories.operator(session, at),
    }
    for name, person in made.items():
        auth.add_login(session, person, f"{name}@example.org", PASSWORD, at)
    instance.people = made


def _project(session: Session, instance: Running, at: datetime, name: str, example: str) -> Any:
    owner = instance.people["requester"]
    purpose = {
        "sentiment": "To learn what riders think of the new timetable.",
        "entities": "To find who is named in the city's archive of reports.",
        "boxes": "To count who uses the street, for a safer crossing.",
    }[example]
    document = factories.example(example)
    return factories.project(session, at, owner, name=name, purpose=purpose, document=document)


def _past(session: Session, instance: Running, monday: datetime) -> None:
    """A week of work by many: some quick, some slow, in three places."""
    project = _project(session, instance, monday, "Timetable voices", "sentiment")
    batch = factories.opened_batch(
        session,
        monday,
        project,
        items=12,
        name="October messages",
        answers_wanted=20,
        terms={"currency": "EUR", "piece_price": "0.05", "estimate_seconds": 40},
    )
    instance.batches["past"] = batch
    names = (
        "Brian",
        "Grace",
        "Hassan",
        "Joseph",
        "Lydia",
        "Mwangi",
        "Njeri",
        "Otieno",
        "Pauline",
        "Rose",
        "Hanna",
    )
    crowd = [instance.people["worker"]]
    for name in names:
        place = {"place": "DE", "area": None, "time_zone": "Europe/Berlin"} if name == "Hanna" else {}
        crowd.append(factories.worker(session, monday - timedelta(hours=1), name=name, **place))
    for n, person in enumerate(crowd):
        start = monday + timedelta(hours=9 + 5 * n)
        for seconds in (70 + 5 * n, 95, 80 + 4 * n):
            start = closing.work(session, batch, person, start, seconds) + timedelta(seconds=3)


def _gap(session: Session, instance: Running, now: datetime) -> None:
    """Work of today with an interval that no proof vouches for, all of it on one day of the worker's."""
    worker, batch = instance.people["worker"], instance.batches["past"]
    zone = ZoneInfo(worker.time_zone)
    start = now - timedelta(hours=2)
    if start.astimezone(zone).date() != (start + timedelta(minutes=30)).astimezone(zone).date():
        start -= timedelta(hours=2)
    instance.gap_day = start.astimezone(zone).date().isoformat()
    start = closing.work(session, batch, worker, start, 300)
    closing.work(session, batch, worker, start + timedelta(minutes=12), 240)


def _open_batches(session: Session, instance: Running, now: datetime) -> None:
    at = now - timedelta(hours=3)
    for name, title, example, rows, price in (
        ("messages", "Timetable voices, winter", "sentiment", [{"text": text} for text in MESSAGES], "0.06"),
        ("touched", "Voices, touched", "sentiment", [{"text": text} for text in MESSAGES], "0.06"),
        ("plain", "Voices, plain", "sentiment", [{"text": text} for text in MESSAGES], "0.06"),
        ("names", "Reports archive", "entities", [{"text": text} for text in SENTENCES], "0.14"),
        ("street", "Street count", "boxes", [{"image": STREET, "caption": "A street"}], "0.21"),
    ):
        project = _project(session, instance, at, title, example)
        instance.batches[name] = open_batch(session, instance, project, rows * 5, at, price)
    start = at + timedelta(minutes=5)
    for n in range(12):
        start = closing.work(
            session, instance.batches["messages"], instance.people["worker"], start, 31 + 7 * (n % 4)
        )


def open_batch(
    session: Session, instance: Running, project: Any, rows: list[dict[str, Any]], at: datetime, price: str
) -> Batch:
    """Open a funded batch of a project on these rows, one answer to each."""
    batch = factories.batch(
        session, at, project, items=0, name="Batch 14", answers_wanted=1, languages=["en", "fr"]
    )
    items = [
        {"key": f"k{n}", "line": n, "data": row, "meta": {}, "gold": None} for n, row in enumerate(rows, 1)
    ]
    add_items(session, batch.id, items, 1)
    terms.set_terms(
        session, batch, currency="EUR", pay_mode="piece", piece_price=price, estimate_seconds=31, now=at
    )
    needed = quotes.quote(session, batch, at).total_p95
    factories.paid_in(session, instance.people["requester"], needed, at, "EUR")
    reserve_and_open(session, batch, at, actor="test")
    return batch


def _draft(session: Session, instance: Running, now: datetime) -> None:
    """An upload with bad rows, and terms that make a quote."""
    project = _project(session, instance, now, "Timetable voices, spring", "sentiment")
    batch = factories.batch(session, now, project, items=0, name="Batch 15", answers_wanted=3)
    file = "text,lang\n" + "".join(f'"{text}",\n' for text in MESSAGES) + ",en\nHallo,de\n"
    upload = intake.receive(session, batch, "spring.csv", [file.encode()], now)
    intake.import_upload(session, upload.id, now, lambda _done, _of: None)
    terms.set_terms(
        session, batch, currency="EUR", pay_mode="piece", piece_price="0.06", estimate_seconds=31, now=now
    )
    instance.batches["draft"] = batch


def _divided(session: Session, instance: Running, now: datetime) -> None:
    """A batch under the adaptive rule that is over: most items settled, one contested."""
    at = now - timedelta(hours=4)
    project = _project(session, instance, at, "Timetable voices, divided", "sentiment")
    batch = factories.opened_batch(
        session,
        at,
        project,
        items=9,
        name="Batch 16",
        redundancy=Redundancy.ADAPTIVE,
        answers_wanted=3,
        answers_max=6,
        terms={"currency": "EUR", "piece_price": "0.06", "estimate_seconds": 31},
    )
    items = session.scalars(select(Item).where(Item.batch_id == batch.id)).all()
    for item in items:
        item.data = {"text": MESSAGES[item.line % len(MESSAGES)]}
    crowd = [factories.worker(session, at, name=f"Reader {n}") for n in range(6)]
    for _ in range(4):
        for n, person in enumerate(crowd):
            while held := factories.claim(session, batch, person.id, at):
                line = session.get_one(Item, held[0].item_id).line
                label = ("negative", "neutral", "positive")[
                    n % 3 if line == 4 else (line + (n + line) // 6) % 3
                ]
                factories.answer(session, held[0], at, {"sentiment": label})
        looks.check_items(session, [item.id for item in items], at)
        open_slots(session, batch.id, 100)
    refits.refit(session, batch, at)
    close_batch(session, batch, at)
    instance.batches["divided"] = batch


def _decisions(session: Session, instance: Running, now: datetime) -> None:
    """A training with a contested known answer and a broken item, and an exclusion."""
    at, worker = now - timedelta(hours=2), instance.people["worker"]
    project = _project(session, instance, at, "Voices, a course", "sentiment")
    batch = factories.batch(session, at, project, items=0, name="Batch 17", kind=BatchKind.TRAINING)
    values = [
        option.value for option in session.get_one(Definition, batch.definition_id).parsed().fields[0].options
    ]
    rows = [
        {"key": f"k{n}", "line": n, "data": {"text": text}, "meta": {}, "gold": {"sentiment": values[mood]}}
        | {"gold_why": "The writer names what happened and how it felt."}
        for n, (text, mood) in enumerate(zip(MESSAGES, MOODS, strict=True), 1)
    ]
    add_items(session, batch.id, rows, 5, gold_apart=False)
    terms.set_terms(
        session, batch, currency="EUR", pay_mode="piece", piece_price="0.06", estimate_seconds=31, now=at
    )
    needed = quotes.quote(session, batch, at).total_p95
    factories.paid_in(session, instance.people["requester"], needed, at, "EUR")
    reserve_and_open(session, batch, at, actor="test")
    instance.batches["training"] = batch
    held, broken = factories.claim(session, batch, worker.id, at, 2)
    known = session.get_one(Item, held.item_id).gold or {}
    other = next(value for value in values if value != known["sentiment"])
    said = {"sentiment": other}
    check = gold.check(session, factories.answer(session, held, at, said).assignment, said, at)
    if check is not None:
        gold.contest(session, check, "The writer is angry, and says it politely.", at)
    assignments.skip(session, broken, "broken", at, SkipOutcome.BROKEN, "The text ends in the middle.")
    exclusions.exclude(
        session,
        project_id=instance.batches["street"].project_id,
        worker_id=instance.people["learner"].id,
        by=instance.people["requester"],
        reason="Forty boxes of the same size in the same place.",
        days=20,
        now=at,
    )


def _environment(home: Home, url: str, database_url: str) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FAIRLABEL_", "PAYMENTS_", "PG", "PYTEST_"))
    }
    return ours | {
        "DATABASE_URL": database_url,
        "BROKER_URL": home.broker_url,
        "FAIRLABEL_HOME": str(home.root),
        "FAIRLABEL_BASE_URL": url,
        "FAIRLABEL_INSTANCE": "test",
        "FAIRLABEL_SECRET_KEY": secrets.token_hex(32),
        "PAYMENTS_LOG_KEY": secrets.token_hex(32),
    }
