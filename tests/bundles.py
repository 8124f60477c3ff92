"""A closed week through real tables: the Nairobi morning, and work abroad with promises and two currencies."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import factories
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import audit_bundle
from payments import earnings, funding, payouts, payroll, worktime
from payments.canonical import canonical
from payments.earnings import Earning
from payments.paid_time import Category
from payments.periods import PayPeriod, period_at
from payments.signed_note import Head, sign, verifier_key
from payments.terms import set_terms
from tasks import assignments, people
from tasks.assignments import Assignment
from tasks.batches import Batch
from tasks.people import Person

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "fairlabel.example/log"
PUBLIC = verifier_key(ORIGIN, KEY.public_key())


def served(session: Session, now: datetime, items: int = 3, **terms: Any) -> Batch:
    """An open batch, prefunded and reserved."""
    owner = factories.requester(session, now)
    made = factories.batch(
        session, now, factories.project(session, now, owner), items=items, answers_wanted=1
    )
    given = {"currency": "KES", "pay_mode": "piece", "piece_price": "30", "estimate_seconds": 120}
    set_terms(session, made, now=now, **{**given, **terms})
    currency = str(terms.get("currency", "KES"))
    funding.prefund(session, owner.id, 50_000_00, currency, str(made.id), actor="test", now=now)
    funding.reserve_and_open(session, made, now, "test")
    return made


class Day:
    """Records a worker's evidence by the clock on the wall; nine o'clock is the fixed moment."""

    def __init__(self, session: Session, worker: Person, now: datetime) -> None:
        self.session, self.worker, self.now = session, worker, now

    def at(self, clock: str) -> datetime:
        hour, minute, second = map(int, clock.split(":"))
        return self.now + timedelta(hours=hour - 9, minutes=minute, seconds=second)

    def open(self, batch: Batch, clock: str) -> Assignment:
        held = factories.assignment(self.session, batch, self.worker, self.at(clock))
        worktime.open_assignment(self.session, held, self.at(clock))
        return held

    def proofs(self, held: Assignment, first: str, last: str, step: int = 20) -> None:
        when = self.at(first)
        while when <= self.at(last):
            worktime.record(self.session, worker_id=self.worker.id, kind="proof", now=when, assignment=held)
            when += timedelta(seconds=step)

    def submit(self, held: Assignment, clock: str) -> None:
        stored = factories.answer(self.session, held, self.at(clock))
        worktime.end_assignment(self.session, stored.assignment, "submit", self.at(clock))
        earnings.accrue(self.session, stored.assignment, "submitted", self.at(clock))

    def skip(self, held: Assignment, clock: str) -> None:
        assignments.skip(self.session, held, "upsetting", self.at(clock))
        worktime.end_assignment(self.session, held, "content_skip", self.at(clock))
        earnings.accrue(self.session, held, "skipped", self.at(clock))

    def note(self, kind: str, clock: str, unit: str, batch: Batch | None = None) -> None:
        worktime.record(
            self.session,
            worker_id=self.worker.id,
            kind=kind,
            now=self.at(clock),
            unit=unit,
            batch_id=batch.id if batch else None,
        )

    def add(self, first: str, last: str, batch: Batch | None, category: Category) -> None:
        worktime.declare(
            self.session,
            worker_id=self.worker.id,
            batch_id=batch.id if batch else None,
            start=self.at(first),
            end=self.at(last),
            reason="reading",
            now=self.at(last) + timedelta(hours=1),
            category=category,
        )


def nairobi(session: Session, now: datetime) -> Person:
    """The morning of docs/pay.md."""
    worker = factories.worker(session, now)
    x, y = served(session, now), served(session, now, piece_price="20")
    day = Day(session, worker, now)
    day.note("instructions_open", "09:00:00", f"instructions:{x.id}", x)
    day.note("instructions_close", "09:02:00", f"instructions:{x.id}", x)
    first = day.open(x, "09:02:00")
    day.proofs(first, "09:02:20", "09:07:40")
    day.submit(first, "09:08:00")
    second = day.open(x, "09:08:00")
    day.proofs(second, "09:08:20", "09:19:40")
    other = day.open(y, "09:10:00")
    day.proofs(other, "09:10:30", "09:15:30", 30)
    day.submit(other, "09:16:00")
    day.proofs(second, "09:27:00", "09:30:40")
    day.submit(second, "09:31:00")
    day.skip(day.open(x, "09:31:00"), "09:33:00")
    day.note("rest_start", "09:33:00", f"rest:{x.id}", x)
    day.note("rest_end", "09:38:00", f"rest:{x.id}", x)
    day.note("queue_wait", "09:38:00", "queue")
    day.note("proof", "09:40:00", "queue")
    day.note("queue_wait_end", "09:42:00", "queue")
    day.add("09:21:40", "09:26:40", x, Category.B)
    return worker


def abroad(session: Session, now: datetime) -> None:
    """Three more: the United States on shillings with a promise, Germany with a surcharge, nowhere with silence."""
    promised = served(session, now, hourly_rate="3000", piece_price="0.333333")
    hard = served(session, now, currency="USD", piece_price="0.10", sensitive_multiplier="1.25")
    for place, area, batch in (("US", None, promised), ("DE", None, hard), (None, None, promised)):
        worker = factories.worker(session, now, name="Somebody", place=place, area=area)
        day = Day(session, worker, now + timedelta(days=1, microseconds=123456))
        held = day.open(batch, "09:00:00")
        day.proofs(held, "09:00:30", "09:04:00", 30)
        day.submit(held, "09:04:07")
        day.note("support", "09:10:00", "support:1")
        day.note("support_end", "09:11:00", "support:1")
    # Over midnight at the end of the week: half of it belongs to the next one.
    late = Day(session, factories.worker(session, now, name="Late", place="GB", area=None), now)
    held = late.open(hard, f"{9 + 24 * 6 + 17}:59:00")
    late.proofs(held, f"{9 + 24 * 6 + 17}:59:30", f"{9 + 24 * 6 + 18}:02:00", 30)


def closed_week(session: Session, now: datetime) -> PayPeriod:
    """A week with all of that, closed, with a run that is half paid."""
    factories.floors(session, now)
    nairobi(session, now)
    abroad(session, now)
    return close(session, now)


def changeable_week(session: Session, now: datetime) -> Person:
    """Somebody moves from Kenya to France in the middle of an item whose pay rises twice; closed and paid."""
    factories.floors(session, now)
    worker = factories.worker(session, now)
    batch = served(session, now, hourly_rate="290")
    day = Day(session, worker, now)
    for clock, rate in (("09:10:00", "300"), ("09:30:00", "2000")):
        set_terms(
            session,
            batch,
            currency="KES",
            pay_mode="piece",
            piece_price="31",
            hourly_rate=rate,
            estimate_seconds=120,
            now=day.at(clock),
        )
    first = day.open(batch, "09:00:00")
    day.proofs(first, "09:00:30", "09:10:30", 30)
    day.submit(first, "09:11:00")
    people.settle(
        session,
        worker,
        place="FR",
        area=None,
        time_zone="Europe/Paris",
        languages=["fr"],
        now=day.at("09:20:00"),
    )
    second = day.open(batch, "09:15:00")
    day.proofs(second, "09:15:30", "09:39:30", 30)
    day.submit(second, "09:40:00")
    close(session, now)
    return worker


def corrected_weeks(session: Session, now: datetime) -> list[PayPeriod]:
    """A closed week to which ten minutes are added in the next one by rule, and two in the one after by silence."""
    factories.floors(session, now)
    worker = nairobi(session, now)
    first = close(session, now)
    batch_id = session.scalars(select(Earning.batch_id).order_by(Earning.at)).first()
    day = Day(session, worker, now)
    for start, end in (("10:00:00", "10:10:00"), ("10:20:00", "10:22:00")):
        worktime.declare(
            session,
            worker_id=worker.id,
            batch_id=batch_id,
            start=day.at(start),
            end=day.at(end),
            reason="reading",
            now=now + timedelta(days=8),
        )
    second = close(session, now + timedelta(days=8))
    worktime.accept_overdue(session, now + timedelta(days=15))
    return [first, second, close(session, now + timedelta(days=15))]


def close(session: Session, now: datetime) -> PayPeriod:
    """Close the week of a moment, and pay."""
    period = period_at(session, now, now)
    then = period.ends_at + timedelta(hours=3)
    payroll.close_period(lambda step: step(session), period.id, then)
    for run in payouts.runs_of(session, period.id):
        payouts.make_file(session, run, then)
        done = payouts.payouts_in(session, run.id)
        payouts.confirm(session, done[0], "bank reference 7", "operator", then)
    run = payouts.runs_of(session, period.id)[0]
    for one in payouts.payouts_in(session, run.id)[1:]:
        payouts.fail(session, one, "account closed", "operator", then + timedelta(hours=1))
    session.flush()
    return payroll.get_period(session, period.id)


def bundle(session: Session, period: PayPeriod, now: datetime) -> bytes:
    """Its bundle."""
    out = io.BytesIO()
    audit_bundle.write(session, [period], KEY, ORIGIN, now + timedelta(days=8), out)
    return out.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    """The files in a bundle."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(files: dict[str, bytes]) -> bytes:
    """A bundle of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return out.getvalue()


def forged(
    content: bytes,
    name: str,
    change: Callable[[list[dict[str, Any]]], None],
    key: Ed25519PrivateKey = KEY,
) -> bytes:
    """What an instance could hand out that changes one file and signs everything again."""
    files = members(content)
    rows = [json.loads(line) for line in files[name].splitlines()]
    change(rows)
    files[name] = b"".join(canonical(row) + b"\n" for row in rows)
    return resigned(files, key)


def resigned(files: dict[str, bytes], key: Ed25519PrivateKey = KEY) -> bytes:
    """Write the manifest for these files and sign it."""
    manifest = json.loads(files["manifest.json"])
    manifest["key"] = verifier_key(ORIGIN, key.public_key())
    for one in manifest["files"]:
        file = files[one["name"]]
        one |= {"sha256": sha256(file).hexdigest(), "bytes": len(file), "rows": file.count(b"\n")}
    files["manifest.json"] = canonical(manifest)
    head = Head(
        f"{ORIGIN}/audit-bundle", len(files["manifest.json"]), sha256(files["manifest.json"]).digest()
    )
    files["manifest.sig"] = sign(head, key)[0].encode()
    return zipped(files)
