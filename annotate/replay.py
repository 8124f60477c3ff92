"""Plays a recording on an instance through its public API, as outside programs of many people would.

Each recorded worker is an account with a token of its own, and works at the recorded pace on the simulated clock.
Whatever is sent carries an id derived from the recording, so that a request sent again, or the whole recording played
again, stores nothing twice. Nothing here looks into the database.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from statistics import median
from typing import Any, Final
from uuid import UUID

from annotate import api_steps
from annotate.api_client import Api
from annotate.exports import pseudonym
from annotate.recordings import FIELD, Recording, Step
from tasks.errors import Conflict

SETUP_BEFORE: Final = timedelta(hours=1)
CLOCK_ROOM: Final = timedelta(hours=8)
CLOCK_STEP: Final = timedelta(seconds=61)
CLOCK_EVERY: Final = 2.0
PROOF_SECONDS: Final = 60
LEASE_SECONDS: Final = 86_400
HOURLY_AT_PRICE: Final = Decimal(12)
"""What the price pays per hour at the median pace, in whole units; whoever is slower gets the floor."""
CURRENCY: Final = "USD"

Say = Callable[[str], None]


class NoSlotFound(Conflict):
    """A recorded answer found no open slot on this instance."""


class WeekTaken(Conflict):
    """A week of this recording is closed on this instance already."""


@dataclass
class Played:
    """What was sent, and how the server answered."""

    sent: int = 0
    duplicates: int = 0
    again: int = 0
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, duplicate: bool) -> None:
        """Count one acknowledged submission."""
        with self.lock:
            self.sent += 1
            self.duplicates += duplicate


@dataclass
class Stage:
    """Everything that a play needs: who, where, when."""

    recording: Recording
    urls: tuple[str, ...]
    """The web processes of one instance; workers are spread over them."""
    operator_token: str
    monday: datetime
    place: str
    workers_at_once: int = 8
    requester: str = ""
    batch_id: str = ""
    price: str = ""
    stored: dict[tuple[str, str], int] = field(default_factory=dict)
    people: dict[str, UUID] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where the requester and the operator work."""
        return self.urls[0]

    @property
    def setup_at(self) -> datetime:
        """When accounts and the batch are made."""
        return self.monday - SETUP_BEFORE

    @property
    def over(self) -> datetime:
        """When all weeks are over, also for what may come in late."""
        return self.monday + timedelta(weeks=self.recording.weeks()) + timedelta(hours=3)

    def operator(self, at: datetime | None = None) -> Api:
        """Connect as the operator."""
        return Api(self.url, self.operator_token, at)

    def as_requester(self, at: datetime | None = None) -> Api:
        """Connect as the requester."""
        return Api(self.url, self.requester, at)


def join(stage: Stage, progress: Callable[[int], None]) -> None:
    """Make all workers' accounts. They come before the batch, because its quote looks at where workers are."""
    with stage.operator(stage.setup_at) as operator:
        _refuse_closed_weeks(stage, operator)
        operator.put("/api/v1/clock", {"at": stage.monday.isoformat()})
    # Said a minute apart, because signing in again is limited by address and time.
    times = [stage.setup_at - timedelta(minutes=number) for number in range(len(stage.recording.steps))]
    with ThreadPoolExecutor(stage.workers_at_once) as pool:
        futures = [
            pool.submit(_join, stage, worker, at, progress)
            for worker, at in zip(stage.recording.steps, times, strict=True)
        ]
        for future in futures:
            future.result()


def prepare(stage: Stage, say: Say) -> None:
    """Make the requester, the project, the batch; upload, fund, open. What is there already is used again."""
    recording = stage.recording
    with stage.operator(stage.setup_at) as operator:
        stage.requester, _ = api_steps.join(
            operator,
            stage.operator_token,
            "requester",
            "requester@replay.example",
            stage.setup_at,
            name="Replay",
            organisation="Replay of recorded crowds",
        )
    with stage.as_requester(stage.setup_at) as requester:
        name = f"Replay of {recording.name}"
        purpose = "Play recorded answers of a real crowd through the whole product."
        project = api_steps.project(requester, name, purpose, recording.definition())
        wanted = {"answers_wanted": recording.redundancy, "answers_max": recording.redundancy}
        batch = api_steps.batch(requester, project, recording.name, lease_seconds=LEASE_SECONDS, **wanted)
        stage.batch_id = batch["id"]
        if batch["state"] == "draft":
            api_steps.upload(requester, stage.batch_id, f"{recording.name}.jsonl", recording.upload())
            say(f"{batch['items'] or len(recording.tasks):,} items uploaded")
            quote = api_steps.fund_and_open(
                requester, stage.batch_id, f"replay {recording.name}", **_terms(stage)
            )
            say(f"reserve of {quote['total_p95']} {quote['currency']} set aside, batch open")
        else:
            stage.stored = stored_versions(requester, stage.batch_id)
            say(f"batch is there with {sum(stage.stored.values()):,} versions of answers; going on")


def play(stage: Stage, progress: Callable[[int], None]) -> Played:
    """Send all steps, several workers at a time, each in their order. Raises the first trouble of any."""
    played = Played()
    queue = sorted(stage.recording.steps, key=lambda worker: -len(stage.recording.steps[worker]))
    ended = threading.Event()
    ticking = threading.Thread(target=_tick, args=(stage, ended), daemon=True)
    ticking.start()
    try:
        with ThreadPoolExecutor(stage.workers_at_once) as pool:
            futures = [pool.submit(_work, stage, worker, played, progress) for worker in queue]
            for future in futures:
                try:
                    future.result()
                except BaseException:
                    stage.stop.set()
                    raise
    finally:
        ended.set()
        ticking.join()
    return played


def stored_versions(requester: Api, batch_id: str) -> dict[tuple[str, str], int]:
    """Give the newest version stored by (item key, pseudonym)."""
    return {
        (item["key"], answer["worker"]): answer["version"]
        for item in requester.lines(f"/api/v1/batches/{batch_id}/export", kind="jsonl")
        for answer in item["annotations"]
    }


def close_periods(stage: Stage, say: Say) -> list[str]:
    """Close every week of the recording through the operator's API; gives their codes, the oldest first."""
    with stage.operator(stage.over) as operator:
        operator.put("/api/v1/clock", {"at": stage.over.isoformat()})
        weeks = {start.isoformat() for start in _weeks(stage)}
        known = operator.get("/api/v1/operate/periods")
        codes = sorted(week["code"] for week in known if week["starts_at"] in weeks)
        for code in codes:
            close_period(operator, code)
            say(f"{code} closed")
    return codes


def close_period(operator: Api, code: str) -> dict[str, Any]:
    """Close one period and wait for it. Raises StillWaiting, or Conflict with what stops it."""
    operator.post(f"/api/v1/operate/periods/{code}/close")
    found: dict[str, Any] = {}

    def closed() -> bool:
        found.update(operator.get(f"/api/v1/operate/periods/{code}"))
        if found["trouble"]:
            raise Conflict(f"{code} cannot be closed: {found['trouble'][0]['text']}")
        return bool(found["state"] == "closed")

    api_steps.wait_until(closed, api_steps.CLOSE_LIMIT, f"Closing {code}")
    return found


def _join(stage: Stage, worker: str, at: datetime, progress: Callable[[int], None]) -> None:
    """Make one worker's account, or come back to it."""
    with stage.operator(at) as operator:
        token, person = api_steps.join(
            operator,
            stage.operator_token,
            "worker",
            f"{stage.recording.name}-{worker}@replay.example",
            at,
            name=f"{stage.recording.name} worker {worker}",
            place=stage.place,
            languages=["en"],
        )
    stage.people[worker] = UUID(person["id"])
    stage.tokens[worker] = token
    progress(1)


def _work(stage: Stage, worker: str, played: Played, progress: Callable[[int], None]) -> None:
    """Do all that one worker did."""
    known_as = pseudonym(UUID(stage.batch_id), stage.people[worker])
    nearest = stage.urls[stage.people[worker].int % len(stage.urls)]
    with Api(nearest, stage.tokens[worker]) as api:
        for begins, step in stage.recording.timetable(stage.recording.steps[worker], stage.monday):
            if stage.stop.is_set():
                return
            stored = stage.stored.get((step.task, known_as), 0) >= step.version
            played.add(duplicate=_answer(stage, api, begins, step, stored=stored))
            progress(1)
        with played.lock:
            played.again += api.again


def _answer(stage: Stage, api: Api, begins: datetime, step: Step, *, stored: bool) -> bool:
    """Send one step; tells whether the server had it. What is stored is not opened again: its time is paid."""
    api.at = begins
    asked = {"key": step.task, "html": "false", "brief": "true", "begin": "false" if stored else "true"}
    found = api.get(f"/api/v1/work/{stage.batch_id}/next", **asked)["items"]
    if not found:
        raise NoSlotFound(
            f"Worker {step.worker} found no open slot for task {step.task}. {NoSlotFound.__doc__}"
        )
    assignment = found[0]["assignment_id"]
    if not stored:
        for number, passed in enumerate(proof_seconds(step.seconds), 1):
            api.at = begins + timedelta(seconds=passed)
            api.post("/api/v1/proofs", {"assignment_id": assignment, "sequence": number})
    api.at = begins + timedelta(seconds=step.seconds)
    body = {
        "submission_id": str(stage.recording.submission(step)),
        "answer": {FIELD: stage.recording.value(step.label)},
        "version": step.version,
    }
    return bool(api.put(f"/api/v1/assignments/{assignment}/answer?brief=true", body)["duplicate"])


def proof_seconds(seconds: int) -> Iterable[int]:
    """Say after how many seconds of an answer the page gives a sign of work."""
    return range(PROOF_SECONDS, seconds, PROOF_SECONDS)


def _tick(stage: Stage, ended: threading.Event) -> None:
    """Move the jobs' clock on before the first answer's time: no lease ends, and reserves are counted anew."""
    at = stage.monday
    with stage.operator(stage.setup_at) as operator:
        while not ended.wait(CLOCK_EVERY) and at < stage.monday + CLOCK_ROOM:
            at += CLOCK_STEP
            operator.put("/api/v1/clock", {"at": at.isoformat()})


def _terms(stage: Stage) -> dict[str, Any]:
    """Price an answer by the median of the recorded times."""
    seconds = sorted(step.seconds for steps in stage.recording.steps.values() for step in steps)
    typical = max(1, round(median(seconds)))
    slow = max(2 * typical, seconds[int(len(seconds) * 0.95)])
    exact = HOURLY_AT_PRICE * typical / 3600
    stage.price = str(exact.quantize(Decimal("0.001"), ROUND_CEILING))
    return {
        "currency": CURRENCY,
        "pay_mode": "piece",
        "piece_price": stage.price,
        "estimate_seconds": typical,
        "estimate_seconds_p95": min(slow, 86_400),
    }


def _weeks(stage: Stage) -> list[datetime]:
    return [stage.monday + timedelta(weeks=week) for week in range(stage.recording.weeks())]


def _refuse_closed_weeks(stage: Stage, operator: Api) -> None:
    weeks = {start.isoformat() for start in _weeks(stage)}
    for week in operator.get("/api/v1/operate/periods"):
        if week["starts_at"] in weeks and week["state"] != "open":
            raise WeekTaken(
                f"{week['code']} is {week['state']} on this instance; choose another with --week."
            )
