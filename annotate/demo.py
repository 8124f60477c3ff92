"""Fills a demo instance: people join, a requester opens batches, a scripted crowd works, last week is closed and paid.

All of it goes through the public API, so whatever the demo shows was computed by the product. Most work lies in the
week before this one, some in this week, which stays open with work left to do. What was done before is found and not
done again, so that an interrupted demo is finished by the next call.
"""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from annotate import api_steps
from annotate.api_client import Api
from annotate.demo_content import SKIPS, WORKERS, Part, Project, Worker, chance, projects
from annotate.replay import close_period, proof_seconds
from payments.periods import WEEK, code_of, start_of

CURRENCY: Final = "EUR"
REQUESTER: Final = "jonas@demo.example"
ORGANIZER: Final = "thandi@demo.example"
SKIPPED: Final = 0.04
JOINED_BEFORE: Final = timedelta(days=3)
STARTS: Final = time(9, 0)
THIS_WEEK_BEFORE: Final = timedelta(minutes=50)
AWAY_SECONDS: Final = (2, 9)
NEAR_NOW: Final = timedelta(seconds=240)
"""No item is begun so shortly before now that its answer would come from the future."""

Say = Callable[[str], None]
Count = Callable[[int], None]


@dataclass
class Demo:
    """The demo on its way: the instance, the weeks, everybody's token."""

    url: str
    operator_token: str
    secret: str
    now: datetime
    fast: bool = False
    requester: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def this_week(self) -> datetime:
        """Monday of the running week."""
        return start_of(self.now)

    @property
    def last_week(self) -> datetime:
        """Monday of the week that is closed."""
        return self.this_week - WEEK

    def operator(self, at: datetime | None = None) -> Api:
        """Connect as the operator."""
        return Api(self.url, self.operator_token, at)


def is_made(demo: Demo) -> bool:
    """Tell whether the demo stands already: its requester is here, and a week is closed."""
    with demo.operator() as operator:
        names = {one["organisation"] for one in operator.get("/api/v1/people")}
        states = {week["state"] for week in operator.get("/api/v1/operate/periods")}
    return "Harbour Library" in names and "closed" in states


def people(demo: Demo) -> None:
    """Let everybody join, all at once."""
    at = demo.last_week - JOINED_BEFORE
    others = [
        ("requester", REQUESTER, {"name": "Jonas Lindqvist", "organisation": "Harbour Library"}),
        ("organizer", ORGANIZER, {"name": "Thandi Nkosi", "organisation": "Data Workers' Union"}),
    ]
    wanted = others + [("worker", one.email, _person(one)) for one in WORKERS]

    def join(one: tuple[str, str, dict[str, Any]]) -> tuple[str, str]:
        role, email, person = one
        with demo.operator(at) as operator:
            return email, api_steps.join(operator, demo.secret, role, email, at, **person)[0]

    with ThreadPoolExecutor(len(wanted)) as pool:
        demo.tokens = dict(pool.map(join, wanted))
    demo.requester = demo.tokens[REQUESTER]


def work(demo: Demo, count: Count, say: Say) -> None:
    """Let the crowd work through last week and into this one; close and pay last week in between."""
    found = projects(fast=demo.fast)
    with demo.operator() as operator:
        operator.put("/api/v1/clock", {"at": demo.last_week.isoformat()})
        _open_batches(demo, found, 0, demo.last_week - timedelta(days=1))
        _crowd(demo, found, 0, count)
        _declare(demo)
        _close_batches(demo, found)
        operator.put("/api/v1/clock", {"at": demo.this_week.isoformat()})
        _open_batches(demo, found, 1, demo.this_week)
        _crowd(demo, found, 1, count)
        operator.put("/api/v1/clock", {"at": None})
        pay_last_week(demo, operator, say)


def total(*, fast: bool) -> int:
    """How many answers the crowd is asked for."""
    return sum(part.each for one in projects(fast=fast) for part in one.parts) * len(WORKERS)


def pay_last_week(demo: Demo, operator: Api, say: Say) -> None:
    """Close last week, hand the payout files over, confirm them."""
    code = code_of(demo.last_week)
    for run in close_period(operator, code)["runs"]:
        operator.send("POST", f"/api/v1/operate/runs/{run['id']}/file")
        body = {"reference": f"DEMO-{code}-{run['currency']}"}
        operator.post(f"/api/v1/operate/runs/{run['id']}/confirm", body)
    say(f"{code} is closed: payslips made, payouts confirmed")


def _person(worker: Worker) -> dict[str, Any]:
    return {
        "name": worker.name,
        "place": worker.place,
        "area": worker.area,
        "time_zone": worker.time_zone,
        "languages": list(worker.languages),
    }


def _open_batches(demo: Demo, found: list[Project], week: int, at: datetime) -> None:
    """Make, fill, fund and open one batch of each project, at once."""

    def open_one(project: Project) -> None:
        part = project.parts[week]
        with Api(demo.url, demo.requester, at) as requester:
            made = api_steps.project(requester, project.name, project.purpose, project.definition)
            batch = api_steps.batch(
                requester,
                made,
                part.name,
                answers_wanted=project.answers_wanted,
                languages=project.languages,
            )
            demo.batches[part.name] = batch["id"]
            if batch["state"] != "draft":
                return
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part.rows)
            api_steps.upload(requester, batch["id"], "items.jsonl", lines.encode())
            api_steps.fund_and_open(
                requester,
                batch["id"],
                f"DEMO {part.name}",
                currency=CURRENCY,
                pay_mode="piece",
                piece_price=project.price,
                estimate_seconds=project.seconds,
                estimate_seconds_p95=3 * project.seconds,
            )

    # One after the other: each pays in what the balance lacks for its own quote.
    for project in found:
        open_one(project)


def _close_batches(demo: Demo, found: list[Project]) -> None:
    """Close last week's batches at its end: no more answers are wanted."""
    with Api(demo.url, demo.requester, demo.this_week - timedelta(hours=2)) as requester:
        for project in found:
            batch_id = demo.batches[project.parts[0].name]
            requester.post(f"/api/v1/batches/{batch_id}/refit")
            requester.post(f"/api/v1/batches/{batch_id}/close")


def _crowd(demo: Demo, found: list[Project], week: int, count: Count) -> None:
    """Let all four work at the same time, each through the three projects of a week."""
    with ThreadPoolExecutor(len(WORKERS)) as pool:
        futures = [pool.submit(_worker, demo, worker, found, week, count) for worker in WORKERS]
        for future in futures:
            try:
                future.result()
            except BaseException:
                demo.stop.set()
                raise


def _worker(demo: Demo, worker: Worker, found: list[Project], week: int, count: Count) -> None:
    at = this_weeks_start(demo, worker) if week else demo.last_week
    with Api(demo.url, demo.tokens[worker.email]) as api:
        for day, project in enumerate(found):
            if not week:
                at = _local(demo.last_week + timedelta(days=2 * day), worker)
            at = _session(demo, api, worker, project, project.parts[week], at, count)


def _session(
    demo: Demo, api: Api, worker: Worker, project: Project, part: Part, at: datetime, count: Count
) -> datetime:
    """Work on one batch until enough is answered or nothing is left; gives when it ended."""
    batch = demo.batches[part.name]
    left, tries = part.each, 3 * part.each
    while left > 0 and tries > 0 and not demo.stop.is_set() and at < demo.now - NEAR_NOW:
        api.at = at
        found = api.get(f"/api/v1/work/{batch}/next", html="false")
        if not found["items"]:
            break
        left = part.each - found["done"]
        if left <= 0:  # done by an earlier call: nothing is kept from others
            api.post(f"/api/v1/assignments/{found['items'][0]['assignment_id']}/return")
            break
        at, answered = _item(api, worker, project, found["items"][0], at)
        left, tries = left - answered, tries - 1
        count(answered)
    return at + timedelta(seconds=30)


def _item(
    api: Api, worker: Worker, project: Project, item: dict[str, Any], at: datetime
) -> tuple[datetime, int]:
    """Take one item from its opening to its answer or skip, with the signs of work that a page sends."""
    luck = chance(worker.email, item["key"])
    assignment = item["assignment_id"]
    seconds = max(3, round(project.seconds_for(item["data"], luck) * worker.pace))
    api.at = at
    api.post(f"/api/v1/assignments/{assignment}/open")
    for number, passed in enumerate(proof_seconds(seconds), 1):
        api.at = at + timedelta(seconds=passed)
        api.post("/api/v1/proofs", {"assignment_id": assignment, "sequence": number})
    ended = at + timedelta(seconds=seconds)
    api.at = ended
    skipped = luck.random() < SKIPPED
    if skipped:
        api.post(f"/api/v1/assignments/{assignment}/skip", {"reason": luck.choice(SKIPS)})
    else:
        value = project.answer_for(project.truth[item["key"]], worker.care, luck)
        body = {"submission_id": str(api_steps.new_submission()), "answer": {project.field: value}}
        api.put(f"/api/v1/assignments/{assignment}/answer?brief=true", body)
    return ended + timedelta(seconds=luck.randint(*AWAY_SECONDS)), int(not skipped)


def this_weeks_start(demo: Demo, worker: Worker) -> datetime:
    """Say when somebody began this week: yesterday morning; on a Monday a while ago, as far as the day allows."""
    yesterday = _local(demo.now - timedelta(days=1), worker)
    if yesterday >= demo.this_week:
        return yesterday
    return max(demo.this_week + timedelta(minutes=5), demo.now - THIS_WEEK_BEFORE)


def _declare(demo: Demo) -> None:
    """One worker adds time that no page could see: ten minutes of writing to the requester."""
    worker = WORKERS[0]
    start = _local(demo.last_week + timedelta(days=3), worker)
    with Api(demo.url, demo.tokens[worker.email], start + timedelta(hours=1)) as api:
        if api.get("/api/v1/declarations"):
            return
        api.post(
            "/api/v1/declarations",
            {
                "batch": demo.batches[projects()[0].parts[0].name],
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=10)).isoformat(),
                "reason": "Wrote to the library about three messages that can be read both ways.",
            },
        )


def _local(day: datetime, worker: Worker) -> datetime:
    """Give nine o'clock of a day where the worker lives."""
    zone = ZoneInfo(worker.time_zone)
    return datetime.combine(day.astimezone(zone).date(), STARTS, zone).astimezone(UTC)
