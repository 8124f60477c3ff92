"""What a replay has to show: nothing lost, nothing doubled, agreement as the reference has it, nobody under the floor.

All figures are taken from the public API and from the export, as any requester or organizer gets them; the measures
are the product's own, computed on the exported raw answers. What does not hold is named, never rounded away.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import mean, median
from typing import Any, Final
from uuid import UUID

import numpy as np

from annotate import api_steps
from annotate.api_client import Api
from annotate.exports import pseudonym
from annotate.recordings import FIELD, MARKED, Recording
from annotate.replay import Stage
from payments.money import floor_minor, text
from schemas.answers import comparable
from tasks import aggregators
from tasks.aggregators import Outcome
from tasks.agreement import Answers
from tasks.distances import alike, measures

WITHIN: Final = 1e-9
WEIGHED_WITHIN: Final = 2e-6
CONSENSUS_LIMIT: Final = 1800.0
VECTORS: Final = "agreement_vectors.json"


@dataclass(frozen=True)
class Export:
    """What the requester exported: the current answers, and the consensus of each item."""

    answers: dict[tuple[str, str], dict[str, Any]]
    items: dict[str, dict[str, Any]]
    rows: int

    def of_field(self, kind: str) -> Answers:
        """Give the raw answers for the product's measures."""
        return Answers.of(
            (task, worker, comparable(kind, answer["value"][FIELD]))
            for (task, worker), answer in self.answers.items()
        )


def export(requester: Api, batch_id: str) -> Export:
    """Read the whole export."""
    answers: dict[tuple[str, str], dict[str, Any]] = {}
    items: dict[str, dict[str, Any]] = {}
    rows = 0
    for item in requester.lines(f"/api/v1/batches/{batch_id}/export", kind="jsonl"):
        items[item["key"]] = item
        for answer in item["annotations"]:
            rows += 1
            answers[item["key"], answer["worker"]] = answer
    return Export(answers, items, rows)


def settle(stage: Stage, say: Callable[[str], None]) -> Export:
    """Wait until each item's consensus has seen all its answers, weigh them together, close the batch."""
    with stage.operator(stage.over) as operator, stage.as_requester(stage.over) as requester:
        operator.put("/api/v1/clock", {"at": stage.over.isoformat()})
        path = f"/api/v1/batches/{stage.batch_id}"
        wanted = len(stage.recording.tasks)

        def looked_at() -> bool:
            return bool(sum(requester.get(path)["states"].values()) >= wanted)

        api_steps.wait_until(looked_at, CONSENSUS_LIMIT, "The consensus", 0.3)
        found: list[Export] = []

        def all_seen() -> bool:
            found[:] = [export(requester, stage.batch_id)]
            return all(_has_seen(item, stage.recording.kind) for item in found[0].items.values())

        api_steps.wait_until(all_seen, CONSENSUS_LIMIT, "The consensus", 0.5)
        say("consensus has seen every answer")
        requester.post(f"{path}/refit")

        def weighed() -> bool:
            measured = requester.get(path)["agreement"][0]["answers"] == found[0].rows
            if stage.recording.kind != "choice" or not measured:
                return bool(measured)
            found[:] = [export(requester, stage.batch_id)]
            return not differs_from_mix(found[0])

        api_steps.wait_until(weighed, CONSENSUS_LIMIT, "Weighing all answers", 0.3)
        say("all answers weighed together")
        requester.post(f"{path}/close")
        return found[0]


def differs_from_mix(found: Export) -> list[str]:
    """Name the items whose weighed winner or confidence is not what their exported answers give."""
    outcome = aggregators.mix(found.of_field("choice"))
    different = []
    for task, label, confidence in zip(outcome.items, outcome.labels, outcome.confidence, strict=True):
        weighed = found.items[task]["consensus"]["weighed"].get(FIELD)
        winner = None if label is None else json.loads(label)
        near = weighed is not None and abs(weighed["confidence"] - float(confidence)) <= WEIGHED_WITHIN
        if not near or weighed["winner"] != winner:
            different.append(task)
    return different


def stored(stage: Stage, found: Export, counted: int) -> dict[str, Any]:
    """Compare what was sent with what is stored: each newest answer, its version, and nothing besides."""
    recording = stage.recording
    batch = UUID(stage.batch_id)
    known = {worker: pseudonym(batch, person) for worker, person in stage.people.items()}
    sent = {(task, known[worker]): step for (task, worker), step in recording.final().items()}
    lost = [
        key
        for key, step in sent.items()
        if key not in found.answers
        or found.answers[key]["version"] < step.version
        or found.answers[key]["value"].get(FIELD) != recording.value(step.label)
    ]
    extra = [key for key in found.answers if key not in sent]
    versions = sum(
        max(0, answer["version"] - sent[key].version) for key, answer in found.answers.items() if key in sent
    )
    return {
        "steps": recording.answers,
        "answers": len(sent),
        "stored": found.rows,
        "counted_by_api": counted,
        "lost": len(lost) + max(0, len(sent) - counted),
        "doubled": len(extra) + (found.rows - len(found.answers)) + versions + max(0, counted - len(sent)),
    }


def quality(recording: Recording, found: Export) -> dict[str, Any]:
    """Say how right the consensus is where gold is known, beside the majority or, for marks, one answer alone.

    Labels that are level share the chance. Marks are right in part: as much as they are like the gold.
    """
    gold = {task: label for task, label in recording.gold.items() if task in found.items}
    if not gold or recording.kind == "number":
        return {"gold": 0, "consensus": None, "majority": None}
    if recording.kind in MARKED:
        return _quality_of_marks(recording, found, gold)
    answers = found.of_field("choice")
    votes, mixed = aggregators.majority(answers), aggregators.mix(answers)
    right = 0.0
    level = _chances(mixed, gold)
    for task, label in gold.items():
        winner = found.items[task]["consensus"]["weighed"].get(FIELD, {}).get("winner")
        right += level[task] if winner is None else float(winner == label)
    return {
        "gold": len(gold),
        "consensus": right / len(gold),
        "majority": sum(_chances(votes, gold).values()) / len(gold),
    }


def _quality_of_marks(recording: Recording, found: Export, gold: Mapping[str, str]) -> dict[str, Any]:
    kind = recording.kind
    together, alone = [], []
    for task, label in gold.items():
        known = comparable(kind, recording.value(label))
        item = found.items[task]
        winner = item["consensus"]["fields"][FIELD]["winner"]
        together.append(alike(kind, [known, comparable(kind, winner)]))
        alone += [
            alike(kind, [known, comparable(kind, answer["value"][FIELD])]) for answer in item["annotations"]
        ]
    return {"gold": len(gold), "consensus": mean(together), "majority": None, "one_answer": mean(alone)}


def agreed(folder: Path, recording: Recording, found: Export, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Give agreement from the export and as the batch shows it, beside the reference where there is one."""
    exported = measures(recording.kind, found.of_field(recording.kind))
    vectors = folder.resolve().parent / VECTORS
    known: dict[str, Any] = json.loads(vectors.read_text("utf-8")) if vectors.exists() else {}
    reference = known.get(recording.name, {}).get(f"alpha_{exported.metric}")
    return {
        "metric": exported.metric,
        "exported": exported.alpha.value,
        "why": exported.alpha.why,
        "shown": shown["alpha"]["value"],
        "reference": None if recording.left_out else reference,
        "pairs_alike": exported.percent.value,
    }


def pay(organizer: Api, codes: list[str]) -> dict[str, Any]:
    """Gather wages, floors and lines of the closed periods; hourly figures are exact until they are shown."""
    wages = [
        wage
        for code in codes
        for one in organizer.get("/api/v1/audit/wages", period=code)["currencies"]
        for wage in one["wages"]
    ]
    lines = [line for code in codes for line in organizer.get("/api/v1/audit/lines", period=code)]
    hourly = [Fraction(wage["per_hour_paid"]) for wage in wages if wage["per_hour_paid"]]
    under = {
        wage["worker_id"]
        for wage in wages
        if wage["per_hour_paid"]
        and wage["floor_per_hour"]
        and Fraction(wage["per_hour_paid"]) < Fraction(wage["floor_per_hour"])
    } | {line["worker_id"] for line in lines if line["due"] < max(line["required"], line["agreed"])}
    currency = wages[0]["currency"] if wages else "XXX"
    floors = [Fraction(wage["floor_per_hour"]) for wage in wages if wage["floor_per_hour"]]
    return {
        "currency": currency,
        "answers_paid": sum(line["answers"] for line in lines),
        "workers": len({wage["worker_id"] for wage in wages}),
        "credited_seconds": sum(wage["credited_seconds"] for wage in wages),
        "agreed": _sum(wages, "agreed", currency),
        "topups": _sum(wages, "topup", currency),
        "paid": _sum(wages, "paid", currency),
        "hourly_median": _hourly(median(hourly), currency) if hourly else None,
        "hourly_lowest": _hourly(min(hourly), currency) if hourly else None,
        "floor": _hourly(max(floors), currency) if floors else None,
        "under_floor": len(under),
    }


def recorded_seconds(recording: Recording) -> int:
    """Sum the recorded (or assumed) time of all steps."""
    return sum(step.seconds for steps in recording.steps.values() for step in steps)


def ledger(organizer: Api) -> dict[str, Any]:
    """Ask the instance to recompute its books from the facts."""
    found = api_steps.checks(organizer)
    failed = [f"{one['name']}: {one['detail']}" for one in found["checks"] if not one["ok"]]
    return {"ok": found["ok"], "checks": len(found["checks"]), "failed": failed}


def failures(report: dict[str, Any]) -> list[str]:
    """Name everything that does not hold."""
    kept, paid, books = report["answers"], report["pay"], report["ledger"]
    named = [
        (kept["lost"], f"{kept['lost']} answers are lost"),
        (kept["doubled"], f"{kept['doubled']} answers are doubled"),
        *_off(report["alpha"]),
        (
            paid["answers_paid"] != kept["answers"],
            f"{paid['answers_paid']} of {kept['answers']} answers are paid",
        ),
        (paid["under_floor"], f"{paid['under_floor']} workers are under the floor"),
        (not books["ok"], f"the ledger's checks fail: {books['failed']}"),
        *((not one["ok"], f"the bundle of {one['period']} does not verify") for one in report["verify"]),
    ]
    return [words for wrong, words in named if wrong]


def _off(alpha: dict[str, Any]) -> list[tuple[bool, str]]:
    """Compare alpha with the reference, or else the batch's page with the export."""
    exported, shown, reference = alpha["exported"], alpha["shown"], alpha["reference"]
    if reference is None:
        return [(_apart(exported, shown), f"alpha of the batch's page is {shown}, of its export {exported}")]
    return [
        (_apart(value, reference), f"alpha of {where} is {value}, the reference is {reference}")
        for where, value in (("the exported answers", exported), ("the batch's page", shown))
    ]


def _apart(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > WITHIN


def _has_seen(item: dict[str, Any], kind: str) -> bool:
    """Tell whether an item's consensus was computed from exactly the answers that it has now."""
    if not item["annotations"]:
        return True
    consensus = item["consensus"]
    if consensus is None or consensus["answers"] != len(item["annotations"]):
        return False
    given = Counter(comparable(kind, answer["value"][FIELD]) for answer in item["annotations"])
    distribution = consensus["fields"][FIELD]["distribution"]
    return dict(given) == {comparable(kind, one["value"]): one["answers"] for one in distribution}


def _chances(outcome: Outcome, gold: Mapping[str, str]) -> dict[str, float]:
    """Give, for each item, the chance of drawing the gold label from those that are level on top."""
    at = {item: code for code, item in enumerate(outcome.items)}
    chances = {}
    for task, label in gold.items():
        row = outcome.posterior[at[task]]
        level = [outcome.classes[code] for code in np.flatnonzero(row >= row.max() - WITHIN)]
        chances[task] = (comparable("choice", label) in level) / len(level)
    return chances


def _sum(wages: list[dict[str, Any]], name: str, currency: str) -> str:
    return text(sum(wage[name] for wage in wages), currency)


def _hourly(amount: Fraction, currency: str) -> str:
    return text(floor_minor(amount), currency)
