"""How a batch's items are decided, for its requester: contested items, one item's history, what a person decides.

What workers stay divided on is shown with its whole distribution; it is decided with a reason, or left as it is.
Nothing here touches anybody's pay.
"""

import json
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect

from annotate import access, plots
from annotate.visit import Visit
from payments import wages
from schemas.fields import Field
from tasks import consensus, decisions, looks, redundancy
from tasks.batches import Batch
from tasks.consensus import Consensus, ConsensusState
from tasks.decisions import ItemDecision
from tasks.errors import Conflict, Invalid
from tasks.items import Item
from tasks.projects import Definition, Project

CONTESTED_SHOWN: Final = 50
TEXT_SHOWN: Final = 300
"""Characters of an item's data in a list."""


class Adjudication(msgspec.Struct, forbid_unknown_fields=True):
    """A person's decision: a value for each question that is decided, and why."""

    chosen: dict[str, Any]
    reason: str


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """Why an item is left as a distribution."""

    reason: str


class ConsensusPages(Controller):
    """Pages on the items of a requester's batch."""

    path = "/batches/{batch_id:uuid}"
    include_in_schema = False

    @get("/contested", sync_to_thread=True)
    def contested(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> Response[Any]:
        """List the items that wait for a person."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        found = consensus.contested_items(visit.session, batch.id, CONTESTED_SHOWN)
        return visit.page(
            "batches/contested.html",
            project=visit.session.get_one(Project, batch.project_id),
            batch=batch,
            found=[
                {"item": item, "data": _data(item), "questions": _questions(visit, batch, one)}
                for item, one in found
            ],
            shown_max=CONTESTED_SHOWN,
        )

    @get("/items/{item_id:int}", sync_to_thread=True)
    def item(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> Response[Any]:
        """Show an item: its distribution, its history, and what can be decided."""
        return _item_page(visit, *_item(visit, batch_id, item_id))

    @post("/items/{item_id:int}/adjudicate", sync_to_thread=True)
    def adjudicate(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> Response[Any]:
        """Decide a contested item, or leave it as it is; then the next one."""
        batch, item = _item(visit, batch_id, item_id)
        try:
            with visit.session.begin_nested():
                if visit.text("leave", 10):
                    _publish(visit, item, visit.text("reason"))
                else:
                    _adjudicate(visit, item, _chosen(visit, batch), visit.text("reason"))
        except (Invalid, Conflict) as problem:
            field = problem.details.get("field", "")
            errors = [{"field": field, "text": visit.gettext(problem.message)}]
            return _item_page(visit, batch, item, errors, problem.status)
        return Redirect(f"/batches/{batch.id}/contested", status_code=303)


class ConsensusApi(Controller):
    """Items' decisions for programs."""

    path = "/api/v1/batches/{batch_id:uuid}"
    tags = ["batches"]

    @get("/contested", sync_to_thread=True)
    def contested(self, visit: NamedDependency[Visit], batch_id: FromPath[UUID]) -> list[dict[str, Any]]:
        """List the items on which workers stayed divided and that wait for you, in the upload's order."""
        batch = access.batch_for(visit.session, visit.requester(), batch_id)
        found = consensus.contested_items(visit.session, batch.id, CONTESTED_SHOWN)
        return [_item_json(item, one) for item, one in found]

    @get("/items/{item_id:int}/decisions", sync_to_thread=True)
    def history(
        self, visit: NamedDependency[Visit], batch_id: FromPath[UUID], item_id: FromPath[int]
    ) -> list[dict[str, Any]]:
        """Give every decision about an item, the first first: what, why, on how many answers, under which fit."""
        _, item = _item(visit, batch_id, item_id)
        return [
            {
                "kind": one.kind,
                "answers": one.answers,
                "winners": one.winners,
                "fit_version": one.fit_version,
                "reason": visit.formats.say(one.reason),
                "by_person": one.person_id is not None,
                "at": one.at.isoformat(),
            }
            for one in decisions.history(visit.session, item.id)
        ]

    @post("/items/{item_id:int}/adjudicate", sync_to_thread=True, status_code=200)
    def adjudicate(
        self,
        visit: NamedDependency[Visit],
        batch_id: FromPath[UUID],
        item_id: FromPath[int],
        data: JSONBody[Adjudication],
    ) -> dict[str, Any]:
        """Decide a contested item with a reason; both stay in its history."""
        _, item = _item(visit, batch_id, item_id)
        return _item_json(item, _adjudicate(visit, item, data.chosen, data.reason))

    @post("/items/{item_id:int}/publish", sync_to_thread=True, status_code=200)
    def publish(
        self,
        visit: NamedDependency[Visit],
        batch_id: FromPath[UUID],
        item_id: FromPath[int],
        data: JSONBody[Publication],
    ) -> dict[str, Any]:
        """Leave a contested item as a distribution, with a reason."""
        _, item = _item(visit, batch_id, item_id)
        return _item_json(item, _publish(visit, item, data.reason))


def rule(batch: Batch) -> dict[str, Any]:
    """Give the numbers of the rule by which answers become one, for the card that says it in plain words."""
    return {
        "kind": batch.redundancy,
        "least": batch.answers_wanted,
        "most": batch.answers_max,
        "expected": batch.answers_expected,
        "wrong_costs": redundancy.WRONG_COSTS,
        "sure_least": redundancy.SURE_LEAST,
        "sure_most": redundancy.SURE_MOST,
        "first_every": redundancy.FIRST_EVERY,
        "deep": redundancy.DEEP,
        "warm": redundancy.WARM_ANSWERS,
        "lead": redundancy.LEAD,
    }


def answers_plots(visit: Visit, batch: Batch) -> tuple[plots.Plot, plots.Plot] | None:
    """Draw how many items have how many answers, for desktop and phone; None before the first."""
    counts = consensus.answers_per_item(visit.session, batch.id)
    if not counts:
        return None
    columns = [
        (visit.formats.number(n), counts.get(n, 0)) for n in range(1, max(batch.answers_max, *counts) + 1)
    ]
    return plots.columns(columns), plots.columns(columns, width=320, height=220)


def cost_per_settled(visit: Visit, batch: Batch, states: dict[str, int]) -> list[str]:
    """Say what a decided item has cost in closed periods, labour and fee, by currency."""
    decided = states[ConsensusState.SETTLED] + states[ConsensusState.ADJUDICATED]
    if not decided:
        return []
    return [
        visit.formats.money(cost.total // decided, cost.currency)
        for cost in wages.batch_cost(visit.session, batch.id)
    ]


def _item(visit: Visit, batch_id: UUID, item_id: int) -> tuple[Batch, Item]:
    viewer = visit.requester()
    batch = access.batch_for(visit.session, viewer, batch_id)
    return batch, access.item_for(visit.session, viewer, batch, item_id)


def _item_page(
    visit: Visit,
    batch: Batch,
    item: Item,
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
) -> Response[str]:
    found = visit.session.get(Consensus, item.id, populate_existing=True)
    return visit.page(
        "batches/item.html",
        status,
        project=visit.session.get_one(Project, batch.project_id),
        batch=batch,
        item=item,
        data=_data(item),
        outcome=found,
        questions=_questions(visit, batch, found) if found else [],
        history=[_told(visit, batch, one) for one in decisions.history(visit.session, item.id)],
        undecided=found is not None and found.state == ConsensusState.CONTESTED and found.chosen is None,
        errors=errors or [],
        given=visit.form,
        reason_max=consensus.REASON_CHARS_MAX,
    )


def _adjudicate(visit: Visit, item: Item, chosen: dict[str, Any], reason: str) -> Consensus:
    by = visit.requester().person.id
    return consensus.adjudicate(visit.session, item, chosen, reason, person_id=by, now=visit.now)


def _publish(visit: Visit, item: Item, reason: str) -> Consensus:
    by = visit.requester().person.id
    return consensus.publish(visit.session, item, reason, person_id=by, now=visit.now)


def _chosen(visit: Visit, batch: Batch) -> dict[str, Any]:
    """Read the chosen answers, each written as JSON. Raises WrongChoice."""
    chosen = {}
    for field in _fields(visit, batch):
        said = visit.text(f"chosen.{field.name}", 10_000)
        if said:
            try:
                chosen[field.name] = json.loads(said)
            except ValueError:
                raise consensus.WrongChoice(field=f"chosen.{field.name}") from None
    return chosen


def _fields(visit: Visit, batch: Batch) -> list[Field]:
    return looks.deciding(visit.session.get_one(Definition, batch.definition_id).parsed())


def _questions(visit: Visit, batch: Batch, one: Consensus) -> list[dict[str, Any]]:
    """Give each deciding question with the answers given to it, the most frequent first, and the labels nobody gave."""
    made = []
    for field in _fields(visit, batch):
        outcome = one.fields.get(field.name, {"distribution": [], "winner": None})
        names = {json.dumps(option.value): option.label for option in field.options}
        given = [
            {
                "value": json.dumps(each["value"], ensure_ascii=False),
                "label": _name(each["value"], names),
                "answers": each["answers"],
            }
            for each in outcome["distribution"]
        ]
        known = {json.dumps(each["value"]) for each in outcome["distribution"]}
        others = [
            {"value": value, "label": label, "answers": 0}
            for value, label in names.items()
            if value not in known
        ]
        made.append(
            {
                "name": field.name,
                "label": field.label,
                "answers": given + (others if field.kind in looks.LABEL_KINDS else []),
                "total": sum(each["answers"] for each in given),
                "winner": None if outcome["winner"] is None else _name(outcome["winner"], names),
                "weighed": one.weighed.get(field.name),
            }
        )
    return made


def _name(value: Any, names: dict[str, str]) -> str:
    text = names.get(json.dumps(value)) or (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"


def _data(item: Item) -> list[tuple[str, str]]:
    return [(name, _name(value, {})) for name, value in item.data.items() if value is not None]


def _told(visit: Visit, batch: Batch, one: ItemDecision) -> dict[str, Any]:
    names = {
        field.name: {json.dumps(option.value): option.label for option in field.options}
        for field in _fields(visit, batch)
    }
    return {
        "kind": one.kind,
        "reason": visit.formats.say(one.reason),
        "answers": one.answers,
        "winners": [_name(value, names.get(name, {})) for name, value in one.winners.items()],
        "fit": one.fit_version,
        "person": one.person_id is not None,
        "at": one.at,
    }


def _item_json(item: Item, one: Consensus) -> dict[str, Any]:
    return {
        "item_id": item.id,
        "key": item.key,
        "data": item.data,
        "state": one.state,
        "answers": one.answers,
        "fields": one.fields,
        "weighed": one.weighed,
    }
