"""Fairlabel for the peers' driver: everything over the public API, with one account per worker.

The driver's own environment runs this, so nothing of the product is imported. `FIRST_OPERATOR` is the one command that
an operator would type on the machine: it makes the first account, as every product's own start command does.
"""

import asyncio
import json
import shlex
import uuid
from typing import Any

import aiohttp
from adapters.base import LABELS, ExportRow, Item, Peer, PeerError, Worker

NEXT = "n=1&begin=true&html=false&brief=true"
"""As a program asks: one item to be shown at once, without the page's HTML and progress."""
PASSWORD = "a long enough pass phrase"
TERMS = {"currency": "USD", "pay_mode": "piece", "piece_price": "0.10", "estimate_seconds": 30}
DEFINITION = {
    "fairlabel": 1,
    "title": "What kind of message is this?",
    "language": "en",
    "instructions": "Choose the kind that fits best.",
    "data": {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 2000}},
        "additionalProperties": False,
    },
    "show": [{"kind": "text", "from": "text"}],
    "fields": [
        {
            "name": "kind",
            "kind": "choice",
            "label": "Kind",
            "required": True,
            "options": [{"value": one, "label": one} for one in LABELS],
        }
    ],
    "content_classes": ["none"],
}


class Fairlabel(Peer):
    """One instance that `fairlabel up` started; a project of the driver is one batch."""

    name = "fairlabel"
    overlap_supported = True
    login_path = "/"

    async def version(self) -> str:
        """Make the first operator and a requester; called once the server answers."""
        command = shlex.split(self.options["first_operator"])
        made = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        told, _ = await made.communicate()
        self.operator = self.client()
        self.operator.headers["Authorization"] = f"Bearer {told.decode().split()[-1]}"
        self.people, self.pseudonyms, self.open = 0, {}, set()
        self.requester = (await self._join("requester", "requester", organisation="Bench")).http
        return self.options.get("version", "here")

    async def create_project(self, title: str, overlap: int) -> str:
        """Make a project and a batch of it; gives the batch's id."""
        body = {"name": f"{title} {uuid.uuid4().hex[:6]}", "purpose": "A bench.", "definition": DEFINITION}
        project = await self._asked(self.requester, "POST", "/api/v1/projects", json=body)
        asked = {"name": title, "answers_wanted": overlap, "answers_max": overlap}
        path = f"/api/v1/projects/{project['id']}/batches"
        return str((await self._asked(self.requester, "POST", path, json=asked))["id"])

    async def import_items(self, project: str, rows: list[dict[str, str]]) -> int:
        """Send one JSONL file and wait until its job has stored it."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path = f"/api/v1/batches/{project}/uploads?name=items.jsonl"
        sent = await self._asked(self.requester, "POST", path, data=lines)

        async def done() -> dict[str, Any] | None:
            found = await self._asked(self.requester, "GET", f"/api/v1/uploads/{sent['id']}")
            return None if found["state"] == "received" else found

        return int((await self.poll(done, every=0.05))["rows_good"])

    async def worker(self, project: str, name: str) -> Worker:
        """Join as a worker; the first one of a project finds it funded and open."""
        if project not in self.open:
            self.open.add(project)
            quote = await self._asked(self.requester, "PUT", f"/api/v1/batches/{project}/terms", json=TERMS)
            paid = {"amount": quote["total_p95"], "currency": "USD", "reference": project}
            await self._asked(self.requester, "POST", "/api/v1/balance/prefund", json=paid)
            await self._asked(self.requester, "POST", f"/api/v1/batches/{project}/open")
        return await self._join("worker", name, place="KE", languages=["en"])

    async def next(self, project: str, w: Worker) -> Item | None:
        """Give the item that the last answer brought, or ask for the first one."""
        if "next" not in w.state:
            w.state["next"] = await self._asked(w.http, "GET", f"/api/v1/work/{project}/next?{NEXT}")
        return self._item(w.state.pop("next"))

    async def submit(self, _project: str, w: Worker, item: Item, label: str, seconds: float) -> None:  # noqa: ARG002
        """Send the answer under an id of its own; the reply brings the next item, whose clock starts."""
        body = {"submission_id": str(uuid.uuid4()), "answer": {"kind": label}}
        path = f"/api/v1/assignments/{item.ref}/answer?{NEXT}"
        w.state["next"] = await self._asked(w.http, "PUT", path, json=body)

    async def export(self, project: str) -> bytes:
        """Take the whole export home."""
        path = f"/api/v1/batches/{project}/export?kind=jsonl"
        return bytes(self.expect(await self.requester.get(path, timeout=3600), 200).content)

    def parse_export(self, project: str, blob: bytes) -> Any:
        """Read the export, in which workers stand under pseudonyms of this batch."""
        known = {self._pseudonym(project, who): name for name, who in self.pseudonyms.items()}
        for line in blob.splitlines():
            row = json.loads(line)
            for one in row["annotations"]:
                yield ExportRow(row["key"], known[one["worker"]], one["value"]["kind"])

    async def probe(self, project: str, ws: list[Worker]) -> dict[str, bool | None]:
        """Try what a worker must not get away with."""
        w1, w2, w3 = ws
        item, other = await self.next(project, w1), await self.next(project, w2)
        assert item is not None
        seen: dict[str, bool | None] = {}

        async def taken(w: Worker, ref: str, body: dict[str, Any], **more: Any) -> bool:
            sent = {"submission_id": str(uuid.uuid4()), "answer": {"kind": "spam"}, **body}
            r = await w.http.request("PUT", f"/api/v1/assignments/{ref}/answer", json=sent, **more)
            return bool(r.status_code < 300)

        clock = {"headers": {"fairlabel-clock": "2020-01-01T00:00:00+00:00"}}
        seen["forged_time_stored"] = await taken(w1, item.ref, {"seconds": 99_999}) or await taken(
            w1, item.ref, {}, **clock
        )
        seen["forged_worker_stored"] = await taken(
            w2, item.ref, {"worker_id": w1.state["id"]}
        ) or await taken(w2, item.ref, {})
        seen["unserved_item_accepted"] = await taken(w3, str(uuid.uuid4()), {})
        await taken(w1, item.ref, {})
        await taken(w1, item.ref, {"answer": {"kind": "other"}})
        rows = [row for row in self.parse_export(project, await self.export(project)) if row.key == item.key]
        seen["same_worker_twice_accepted"] = len(rows) > 1
        seen["beyond_overlap_accepted"] = other is not None and other.key == item.key
        for name, method, path, body in (
            ("reads_others_answers", "GET", f"/api/v1/batches/{project}", None),
            ("worker_can_export", "GET", f"/api/v1/batches/{project}/export?kind=jsonl", None),
            ("worker_can_change_project", "PUT", f"/api/v1/batches/{project}/terms", TERMS),
        ):
            seen[name] = (await w3.http.request(method, path, json=body)).status_code < 300
        return seen

    async def page(self, project: str, w: Worker) -> tuple[str, str]:
        """Sign in as a browser does, and say where the work is."""
        form = {"email": w.state["email"], "password": PASSWORD}
        self.expect(await w.http.post("/sign-in", data=form), 302, 303)
        return f"{self.base_url}/work/{project}", "text=praise"

    async def answer_in_page(self, page: Any) -> None:
        """Choose with the mouse and submit."""
        await page.get_by_text("praise").first.click()
        await page.keyboard.press("Enter")

    async def _join(self, role: str, name: str, **person: Any) -> Worker:
        """Take an invitation from an address of one's own: joins are limited by address."""
        self.people += 1
        email = f"{name}-{self.people}@bench.example"
        invited = await self._asked(
            self.operator, "POST", "/api/v1/invitations", json={"role": role, "label": email}
        )
        body = {"token": invited["token"], "name": name, "email": email, "password": PASSWORD, **person}
        own = aiohttp.TCPConnector(local_addr=(f"127.0.1.{1 + self.people % 250}", 0))
        async with aiohttp.ClientSession(connector=own) as session:
            answer = await session.post(f"{self.base_url}/api/v1/join", json=body)
            if answer.status >= 300:
                raise PeerError(f"join -> {answer.status} {(await answer.text())[:160]}")
            made = await answer.json()
        http = self.client()
        http.headers["Authorization"] = f"Bearer {made['token']}"
        self.pseudonyms[name] = made["person"]["id"]
        return Worker(name, http, {"id": made["person"]["id"], "email": email})

    @staticmethod
    def _pseudonym(project: str, worker_id: str) -> str:
        """How the export calls a worker of a batch."""
        from hashlib import sha256

        return "w-" + sha256(uuid.UUID(project).bytes + uuid.UUID(worker_id).bytes).hexdigest()[:10]

    @staticmethod
    def _item(told: dict[str, Any]) -> Item | None:
        return Item(told["items"][0]["key"], told["items"][0]["assignment_id"]) if told["items"] else None

    async def _asked(self, http: Any, method: str, path: str, **more: Any) -> Any:
        reply = self.expect(await http.request(method, path, **more))
        return reply.json() if reply.content else None
