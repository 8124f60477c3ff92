"""Claim with submission: our own functions against pgbench running the same SQL."""

import re
import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from bench.databases import ANSWER, SECONDS, prepared

from annotate.stack.postgres import find_programs
from tasks import answers, assignments
from tasks.batches import Batch
from tasks.db import transaction

SAME_SQL = r"""
\set place random(0, 2147483646)
BEGIN;
SELECT pg_advisory_xact_lock(:client_id);
SELECT id FROM batch WHERE id = '{batch}';
SELECT * FROM assignment WHERE batch_id = '{batch}' AND worker_id = '{worker}' AND state = 'leased'
  AND lease_until > now() ORDER BY id;
{claim} \gset
SELECT * FROM assignment WHERE id = ':id';
COMMIT;
BEGIN;
SELECT * FROM assignment WHERE id = ':id' AND worker_id = '{worker}' FOR UPDATE;
SELECT * FROM answer WHERE submission_id = gen_random_uuid();
SELECT definition_id FROM batch WHERE id = '{batch}';
SELECT * FROM definition WHERE id = '{definition}';
SELECT data FROM item WHERE id = :item_id;
UPDATE slot SET state = 'answered' WHERE id = :slot_id AND state = 'leased' RETURNING id;
UPDATE answer SET is_current = false WHERE assignment_id = ':id' AND is_current RETURNING version;
UPDATE assignment SET state = 'submitted', ended_at = now() WHERE id = ':id';
INSERT INTO answer (submission_id, assignment_id, item_id, batch_id, worker_id, version, is_current, value, origin,
  submitted_at) VALUES (gen_random_uuid(), ':id', :item_id, '{batch}', '{worker}', 1, true,
  '{{"sentiment": "positive"}}', 'human', now());
COMMIT;
"""


def claim_and_submit(server: str, folder: Path, clients: int) -> tuple[float, float]:
    """Give claims with submissions per second, ours and pgbench's."""
    engine, batch, workers = prepared(server, f"ours_{clients}", 20_000)
    counts = [0] * clients
    until = time.monotonic() + SECONDS

    def work(number: int) -> None:
        while time.monotonic() < until:
            now = datetime.now(UTC)
            with transaction(engine) as session:
                (held,) = assignments.claim(session, session.get_one(Batch, batch.id), workers[number], now)
            with transaction(engine) as session:
                answers.submit(
                    session,
                    assignment_id=held.id,
                    worker_id=workers[number],
                    submission_id=uuid4(),
                    value=ANSWER,
                    now=now,
                )
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    engine, batch, workers = prepared(server, f"theirs_{clients}", 20_000)
    claim = assignments.CLAIM.text.replace("RETURNING id", "RETURNING id, item_id, slot_id").strip()
    values = {"batch": batch.id, "worker": workers[0]}
    for name, value in {**values, "id": None, "now": None, "until": None}.items():
        given = {"id": "gen_random_uuid()", "now": "now()", "until": "now() + interval '15 minutes'"}.get(
            name
        )
        claim = re.sub(rf"(?<!:):{name}\b", given or f"'{value}'", claim)
    script = folder / "same.sql"
    script.write_text(
        SAME_SQL.format(**values, definition=batch.definition_id, claim=re.sub(r"\s+", " ", claim)),
        encoding="utf-8",
    )
    engine.dispose()
    return sum(counts) / SECONDS, pgbench(server, f"theirs_{clients}", script, clients)


def pgbench(server: str, name: str, script: Path, clients: int) -> float:
    """Give the transactions per second of pgbench with prepared statements."""
    program = find_programs(Path(tempfile.gettempdir()), None).directory / "pgbench"
    url = server.replace("/postgres?", f"/{name}?")
    command = [
        str(program),
        "-n",
        "-M",
        "simple",
        "-c",
        str(clients),
        "-T",
        str(SECONDS),
        "-f",
        str(script),
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found.group(1))
