"""A closed week verifies offline, and no change to its bundle goes unnoticed or unnamed."""

import ast
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import bundles
import pytest
from bundles import KEY, ORIGIN, PUBLIC, forged, members, resigned, zipped
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

import annotate
from annotate import audit_bundle
from annotate.cli import main as fairlabel
from annotate.verifier import fields, log, seconds
from annotate.verifier.main import main, verify
from annotate.verifier.report import Report
from payments import paid_time, transparency
from payments.floors import document_hash
from payments.merkle import leaf_hash, root
from payments.paid_time import EPOCH, Category, Declared, Event, Kind, second_of
from payments.periods import period_at
from payments.signed_note import Head, sign
from tasks.db import Base, engine_for, transaction

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
HERE = Path(annotate.__file__).parent


@pytest.fixture(scope="module")
def made(rolled_back: Engine) -> bytes:
    """The bundle of a closed week."""
    now = datetime.fromisoformat("2026-11-16T06:00:00+00:00")
    with rolled_back.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            content = bundles.bundle(session, bundles.closed_week(session, now), now)
        outer.rollback()
    return content


def checked(content: bytes, key: str | None = PUBLIC, old: list[tuple[str, str]] | None = None) -> Report:
    return verify(io.BytesIO(content), key, old)


def findings(report: Report) -> list[str]:
    return [f"{one.place}: {one.words}" for check in report.checks.values() for one in check.findings]


def rows(content: bytes, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in members(content)[name].splitlines()]


# What is right


def test_time_added_after_a_close_is_paid_by_the_weeks_that_accept_it(
    session: Session, now: datetime
) -> None:
    periods = bundles.corrected_weeks(session, now)
    for period in periods:
        report = checked(bundles.bundle(session, period, now + timedelta(days=21)))
        assert findings(report) == []
        assert report.exit_code == 0
    last = bundles.bundle(session, periods[2], now + timedelta(days=21))
    lines = sorted(rows(last, "due_lines.jsonl"), key=lambda row: str(row["period"]))
    # X was time-bound: 1,900 s at 275.00 were 145.14; 2,500 s are 190.98, and 2,620 s are 200.14 (200.1388...).
    assert [
        (row["period"], row["seconds"], row["due"]) for row in lines if row["seconds"] not in {360, 240}
    ] == [
        ("2026-W47", 1900, 14514),
        ("2026-W48", 600, 4584),
        ("2026-W49", 120, 916),
    ]
    assert sum(row["due"] for row in lines if "corrects" in row) == 4584 + 916
    for name, change, places in (
        ("due_lines", lower_the_correction, {"due_lines.jsonl", "journals.jsonl"}),
        ("due_lines", without_the_correction, {"payslips.jsonl", "journals.jsonl"}),
        ("due_lines", without_the_first_correction, {"due_lines.jsonl"}),
        ("declarations", not_accepted, {"due_lines.jsonl"}),
    ):
        report = checked(forged(last, f"{name}.jsonl", change))
        assert report.exit_code in {1, 2, 3}
        said = findings(report)
        assert all(any(finding.startswith(place) for finding in said) for place in places), said


def test_who_moves_and_whose_pay_rises_is_paid_what_held_at_each_moment(
    session: Session, now: datetime
) -> None:
    bundles.changeable_week(session, now)
    made = bundles.bundle(session, period_at(session, now, now), now)
    assert findings(checked(made)) == []
    lines = rows(made, "due_lines.jsonl")
    kenya, dearer, abroad, dearest = sorted(lines, key=lambda row: str(row["segment_start"]))
    assert [row.get("place") for row in lines].count("FR") == 2
    assert [kenya["rate"], dearer["rate"]] == ["29000/1", "30000/1"]
    assert [abroad["currency"], dearest["currency"]] == ["EUR", "EUR"]
    assert dearest["rule"].startswith("promise.")
    for name, change in (("workers", moved_earlier), ("batches", raised_later)):
        assert checked(forged(made, f"{name}.jsonl", change)).exit_code in {1, 2, 3}


def test_a_closed_week_verifies(made: bytes) -> None:
    report = checked(made)
    assert findings(report) == []
    assert report.exit_code == 0
    assert (len(report.checks), report.shortfall) == (19, {})


def test_the_nairobi_morning_is_in_it(made: bytes) -> None:
    lines = [row for row in rows(made, "due_lines.jsonl") if row.get("area") == "cities-1"]
    found = sorted((row["seconds"], row["agreed"], row["required"], row["topup"]) for row in lines)
    assert found == [(240, 0, 1834, 1834), (360, 2000, 2750, 750), (1900, 6000, 14514, 8514)]
    assert sum(row["due"] for row in lines) == 19098


def test_promises_surcharges_and_exchange_rates_are_in_it(made: bytes) -> None:
    lines = rows(made, "due_lines.jsonl")
    assert any(row["rule"].startswith("promise.") for row in lines)
    assert any(one["kind"] == "sensitive_multiplier" for row in lines for one in row["trace"])
    assert any(row.get("fx_through") for row in lines)
    assert {row["currency"] for row in lines} == {"KES", "USD", "EUR", "GBP"}


def test_every_line_is_as_the_schema_says(made: bytes) -> None:
    schema = json.loads((HERE.parent / "schemas" / "audit-bundle.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    files = members(made)
    Draft202012Validator(schema).validate(json.loads(files["manifest.json"]))
    for name in fields.FILES:
        part = {"$ref": f"#/$defs/{name.removesuffix('.jsonl')}", "$defs": schema["$defs"]}
        validator = Draft202012Validator(part)
        for row in rows(made, name):
            validator.validate(row)


def test_the_schema_and_the_verifier_know_the_same_fields() -> None:
    schema = json.loads((HERE.parent / "schemas" / "audit-bundle.schema.json").read_text(encoding="utf-8"))
    for name, spec in {**fields.FILES, "manifest": fields.MANIFEST}.items():
        part = schema if name == "manifest" else schema["$defs"][name.removesuffix(".jsonl")]
        assert set(part["properties"]) == {one.removesuffix("?") for one in spec}, name
        assert set(part["required"]) == {one for one in spec if not one.endswith("?")}, name
        assert part["additionalProperties"] is False


def test_nobody_is_named(made: bytes) -> None:
    content = b"".join(members(made).values())
    assert not any(name in content for name in (b"Amina", b"Zuri", b"Somebody", b"first reader"))


def test_the_same_facts_give_the_same_bytes(session: Session, now: datetime) -> None:
    period = bundles.closed_week(session, now)
    assert bundles.bundle(session, period, now) == bundles.bundle(session, period, now)


def test_an_open_period_has_no_bundle(session: Session, now: datetime) -> None:
    period = period_at(session, now, now)
    with pytest.raises(audit_bundle.PeriodNotClosed):
        bundles.bundle(session, period, now)


# What is wrong


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "checkpoint", *fields.FILES])
def test_no_byte_can_be_flipped(made: bytes, name: str) -> None:
    files = members(made)
    content = files[name]
    step = max(1, len(content) // 12)
    for place in {*range(0, len(content), step), len(content) - 1}:
        flipped = bytearray(content)
        flipped[place] ^= 1
        report = checked(zipped({**files, name: bytes(flipped)}))
        assert report.exit_code in {1, 2, 3}, place
        assert any(finding.startswith(name.partition(".json")[0]) for finding in findings(report)), place


def test_no_byte_of_the_packed_files_can_be_flipped(made: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(made)) as file:
        infos = file.infolist()
    for one in infos:
        extra = int.from_bytes(made[one.header_offset + 28 : one.header_offset + 30], "little")
        start, size = one.header_offset + 30 + len(one.filename) + extra, one.compress_size
        for place in range(start, start + size, max(1, size // 5)):
            flipped = bytearray(made)
            flipped[place] ^= 0x10
            if checked(bytes(flipped)).exit_code == 0:
                # A bit that packing does not use; what it unpacks to is the same.
                assert members(bytes(flipped)) == members(made)


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.99])
def test_a_truncated_bundle_is_unreadable(made: bytes, share: float) -> None:
    report = checked(made[: int(len(made) * share)])
    assert report.exit_code == 2
    assert findings(report)[0].startswith("bundle: ")


def first(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    return next(row for row in rows if all(row.get(name) == value for name, value in wanted.items()))


def lower(rows: list[dict[str, Any]]) -> None:
    rows[0]["due"] -= 1


def lower_consistently(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["topup"] > 10)
    row |= {"required": row["required"] - 5, "due": row["due"] - 5, "topup": row["topup"] - 5}


def fewer_seconds(rows: list[dict[str, Any]]) -> None:
    rows[0]["seconds"] -= 60


def another_rule(rows: list[dict[str, Any]]) -> None:
    rows[0]["rule"] = "platform.default@1"


def tidier_trace(rows: list[dict[str, Any]]) -> None:
    rows[0]["trace"] = [one for one in rows[0]["trace"] if one["applied"] == "yes"]


def dropped(rows: list[dict[str, Any]]) -> None:
    del rows[1]


def swapped(rows: list[dict[str, Any]]) -> None:
    rows[0], rows[-1] = rows[-1], rows[0]


def doubled(rows: list[dict[str, Any]]) -> None:
    rows.insert(1, rows[0])


def less_grace(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["terms"]["grace_seconds"] = 30


def later_rule(rows: list[dict[str, Any]]) -> None:
    row = first(rows, rule="platform.KE@1")
    document = json.loads(row["document"])
    document["rates"][0]["amount"] = "100.00"
    row["document"] = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def later_rule_rehashed(rows: list[dict[str, Any]]) -> None:
    later_rule(rows)
    row = first(rows, rule="platform.KE@1")
    row["sha256"] = document_hash(json.loads(row["document"]))


def suspended(rows: list[dict[str, Any]]) -> None:
    first(rows, rule="platform.KE@1")["events"][-1]["status"] = "suspended"


def other_rate(rows: list[dict[str, Any]]) -> None:
    first(rows, quote="KES")["rate"] = "151"


def smaller_transfer(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["journal"]["kind"] == "due")
    row["journal"]["transfers"][0]["amount"] -= 1


def unproved(rows: list[dict[str, Any]]) -> None:
    del first(rows, state="paid")["reference"]


def forgotten(rows: list[dict[str, Any]]) -> None:
    rows.remove(first(rows, state="paid"))


def smaller_slip(rows: list[dict[str, Any]]) -> None:
    rows[0]["total"] -= 1


def less_worked(rows: list[dict[str, Any]]) -> None:
    rows[:] = [row for row in rows if row["kind"] != "proof"]


def cheaper_answer(rows: list[dict[str, Any]]) -> None:
    first(rows, kind="submitted")["price"] = "0.01"


def lower_the_correction(rows: list[dict[str, Any]]) -> None:
    row = first(rows, period="2026-W49")
    row |= {"required": row["required"] - 5, "due": row["due"] - 5, "topup": row["topup"] - 5}


def without_the_correction(rows: list[dict[str, Any]]) -> None:
    rows.remove(first(rows, period="2026-W49"))


def without_the_first_correction(rows: list[dict[str, Any]]) -> None:
    rows.remove(first(rows, period="2026-W48"))


def not_accepted(rows: list[dict[str, Any]]) -> None:
    row = first(rows, accepted_by="silence")
    row["state"] = "refused"


def moved_earlier(rows: list[dict[str, Any]]) -> None:
    rows[0]["places"][1]["since"] = "2026-11-16T06:10:00.000000Z"


def raised_later(rows: list[dict[str, Any]]) -> None:
    rows[0]["terms"]["pay"][1]["counts_from"] = "2026-11-16T06:12:00.000000Z"


def richer_account(rows: list[dict[str, Any]]) -> None:
    rows[0]["debits"] += 1


FORGERIES: list[tuple[str, Callable[[list[dict[str, Any]]], None], set[str]]] = [
    ("due_lines", lower, {"due_lines.jsonl:1", "journals.jsonl"}),
    ("due_lines", lower_consistently, {"due_lines.jsonl", "journals.jsonl"}),
    ("due_lines", fewer_seconds, {"due_lines.jsonl:1"}),
    ("due_lines", another_rule, {"due_lines.jsonl:1"}),
    ("due_lines", tidier_trace, {"due_lines.jsonl:1"}),
    ("due_lines", dropped, {"workers.jsonl", "journals.jsonl"}),
    ("due_lines", swapped, {"due_lines.jsonl"}),
    ("due_lines", doubled, {"due_lines.jsonl"}),
    ("batches", less_grace, {"due_lines.jsonl"}),
    ("rules", later_rule, {"rules.jsonl"}),
    ("rules", later_rule_rehashed, {"due_lines.jsonl"}),
    ("rules", suspended, {"due_lines.jsonl"}),
    ("fx", other_rate, {"due_lines.jsonl"}),
    ("journals", smaller_transfer, {"journals.jsonl", "log.jsonl"}),
    ("journals", dropped, {"log.jsonl", "accounts.jsonl"}),
    ("journals", swapped, {"journals.jsonl"}),
    ("payouts", unproved, {"payouts.jsonl"}),
    ("payouts", forgotten, {"worker_payable"}),
    ("payslips", smaller_slip, {"payslips.jsonl:1"}),
    ("payslips", dropped, {"workers.jsonl"}),
    ("events", less_worked, {"due_lines.jsonl"}),
    ("earnings", cheaper_answer, {"earnings.jsonl", "due_lines.jsonl"}),
    ("earnings", dropped, {"assignments.jsonl"}),
    ("accounts", richer_account, {"accounts.jsonl:1"}),
    ("accounts", dropped, {"accounts.jsonl"}),
    ("log", dropped, {"log.jsonl"}),
    ("log", swapped, {"log.jsonl"}),
    ("periods", dropped, {"periods.jsonl"}),
]


@pytest.mark.parametrize(("name", "change", "places"), FORGERIES)
def test_whoever_signs_it_a_changed_fact_is_found(
    made: bytes, name: str, change: Callable[[list[dict[str, Any]]], None], places: set[str]
) -> None:
    if name == "periods":
        change = list.clear
    report = checked(forged(made, f"{name}.jsonl", change))
    assert report.exit_code in {1, 2, 3}
    said = findings(report)
    assert all(any(finding.startswith(place) for finding in said) for place in places), said


def test_what_is_missing_to_a_worker_is_added_up(made: bytes) -> None:
    report = checked(forged(made, "due_lines.jsonl", lower_consistently))
    assert list(report.shortfall.values()) == [5]
    assert "short " in "\n".join(report.lines())


def test_another_key_is_refused_where_the_instances_is_known(made: bytes) -> None:
    files = members(made)
    note = files["checkpoint"].decode()
    head = Head(ORIGIN, int(note.split("\n")[1]), log.read_note(note, log.read_key(PUBLIC), ORIGIN).root)
    theirs = resigned({**files, "checkpoint": sign(head, OTHER)[0].encode()}, OTHER)
    assert checked(theirs).exit_code == 3
    assert checked(theirs, key=None).exit_code == 0
    assert "compare it with the instance's" in checked(theirs, key=None).notes[0]


def test_a_changed_fact_signed_by_another_key_fails(made: bytes) -> None:
    report = checked(forged(made, "due_lines.jsonl", lower, OTHER), key=None)
    assert report.exit_code == 3
    assert "checkpoint: not signed by this key" in findings(report)


def test_a_head_of_the_log_does_not_pass_for_a_bundle(made: bytes) -> None:
    files = members(made)
    report = checked(zipped({**files, "manifest.sig": files["checkpoint"]}))
    assert report.exit_code == 3
    assert findings(report)[0].startswith("manifest.sig: a note of")


def test_the_log_goes_on_from_heads_kept_earlier(made: bytes) -> None:
    leaves = [leaf_hash(bytes.fromhex(row["commitment"])) for row in rows(made, "log.jsonl")]
    for size in (1, 3, len(leaves)):
        kept = sign(Head(ORIGIN, size, root(leaves[:size])), KEY)[0]
        assert checked(made, old=[("kept", kept)]).exit_code == 0
        forked = sign(Head(ORIGIN, size, root(leaves[1 : size + 1])), KEY)[0]
        report = checked(made, old=[("kept", forked)])
        assert (report.exit_code, findings(report)[0][:6]) == (3, "kept: ")
    longer = sign(Head(ORIGIN, len(leaves) + 1, bytes(32)), KEY)[0]
    assert checked(made, old=[("kept", longer)]).exit_code == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"seconds":', b'"seconds":1.0,"seconds":', "not a whole number"),
        (b'"due":', b'"due":1,"due":', "stands twice"),
        (b'"due":', b'"paid":1,"due":', "unknown field 'paid'"),
        (b'"topup":', b'"topop":', "the field 'topup' is missing"),
        (b'"answers":', b'"answers":null,"answer":', "not a whole number"),
        (b'"answers":', b'"answers":NaN,"answer":', "not a whole number"),
        (b'"answers":', b'"answers":true,"answer":', "not a whole number"),
        (b'"answers":', b'"answers":' + b"9" * 5000 + b',"answer":', "too large"),
        (b'"trace":', b'"trace":' + b"[" * 100_000 + b',"t":', "not strict JSON"),
        (b"{", b"\xff{", "not strict JSON"),
    ],
)
def test_reading_is_strict(made: bytes, old: bytes, new: bytes, words: str) -> None:
    files = members(made)
    lines = files["due_lines.jsonl"].splitlines(keepends=True)
    lines[2] = lines[2].replace(old, new, 1)
    report = checked(resigned({**files, "due_lines.jsonl": b"".join(lines)}))
    assert report.exit_code == 2
    assert findings(report)[-1].startswith("due_lines.jsonl:3")
    assert words in findings(report)[-1]


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "due_lines.jsonl/", "extra.jsonl", "DUE_LINES.jsonl"]
)
def test_a_bundle_has_no_other_files(made: bytes, name: str) -> None:
    report = checked(zipped({**members(made), name: b"{}\n"}))
    assert report.exit_code == 2
    assert "a bundle has no such file" in findings(report)[0]


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "checkpoint", *fields.FILES])
def test_a_missing_file_is_named(made: bytes, name: str) -> None:
    report = checked(zipped({one: content for one, content in members(made).items() if one != name}))
    assert (report.exit_code, findings(report)[0]) == (2, f"{name}: is missing")


def test_a_file_that_would_unpack_without_end_is_refused(made: bytes) -> None:
    report = checked(zipped({**members(made), "events.jsonl": bytes(60_000_000)}))
    assert report.exit_code == 2
    assert "would unpack to 60000000 bytes" in findings(report)[0]


def test_a_file_twice_is_refused(made: bytes) -> None:
    out = io.BytesIO(made)
    with zipfile.ZipFile(out, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("log.jsonl", b"")
    assert checked(out.getvalue()).exit_code == 2


def test_what_is_no_zip_is_unreadable(tmp_path: Path) -> None:
    assert verify(tmp_path / "missing.zip").exit_code == 2
    assert checked(b"PK\x03\x04 and nothing").exit_code == 2


def test_without_cryptography_nothing_is_called_right(made: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "NO_CRYPTOGRAPHY", True)
    report = checked(made)
    assert report.exit_code == 3
    assert findings(report) == ["manifest.sig: not checked: install the Python package `cryptography`"]


# The programs


def test_the_verifier_imports_nothing_but_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"cryptography"}
    for path in [HERE / "verify.py", *(HERE / "verifier").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {one.name.partition(".")[0] for one in node.names} <= allowed
            elif isinstance(node, ast.ImportFrom):
                assert (node.level == 1) or (
                    node.level == 0 and str(node.module).partition(".")[0] in allowed
                )


def test_it_runs_alone(made: bytes, tmp_path: Path) -> None:
    shutil.copy(HERE / "verify.py", tmp_path)
    shutil.copytree(HERE / "verifier", tmp_path / "verifier")
    (tmp_path / "bundle.zip").write_bytes(made)
    ran = subprocess.run(
        [sys.executable, "verify.py", "bundle.zip", "--json", "--key", PUBLIC],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    document = json.loads(ran.stdout)
    assert (ran.returncode, document["exit_code"], document["ok"], ran.stderr) == (0, 0, True, b"")


def test_the_command_says_the_same(made: bytes, tmp_path: Path) -> None:
    bundle, key, old = tmp_path / "bundle.zip", tmp_path / "log.pub", tmp_path / "head"
    bundle.write_bytes(made)
    key.write_text(PUBLIC)
    old.write_bytes(members(made)["checkpoint"])
    arguments = [str(bundle), "--key", str(key), "--old-checkpoint", str(old)]
    ran = CliRunner().invoke(fairlabel, ["verify", *arguments])
    assert ran.exit_code == 0
    assert ran.stdout.endswith("Everything holds.\n")
    assert main(arguments) == 0
    bundle.write_bytes(forged(made, "due_lines.jsonl", lower))
    ran = CliRunner().invoke(fairlabel, ["verify", str(bundle), "--json"])
    assert (ran.exit_code, json.loads(ran.stdout)["exit_code"]) == (1, 1)
    assert CliRunner().invoke(fairlabel, ["verify", str(bundle), "--key", "nowhere"]).exit_code == 2


def test_the_bundle_command_writes_what_the_verify_command_believes(
    empty_database: str, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = engine_for(empty_database)
    Base.metadata.create_all(own)
    with transaction(own) as session:
        bundles.closed_week(session, now)
    for name, value in {
        "DATABASE_URL": empty_database,
        "FAIRLABEL_HOME": str(tmp_path / "home"),
        "PAYMENTS_LOG_KEY": bytes(range(32)).hex(),
        "PAYMENTS_LOG_ORIGIN": ORIGIN,
    }.items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "bundle.zip"
    ran = CliRunner().invoke(fairlabel, ["bundle", "--period", "2026-W47", "--out", str(out), "--json"])
    assert (ran.exit_code, json.loads(ran.stdout)["key"]) == (0, PUBLIC)
    assert main([str(out), "--key", PUBLIC]) == 0
    ran = CliRunner().invoke(fairlabel, ["bundle", "--period", "2026-W48", "--out", str(out.with_name("no"))])
    assert ran.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]
    own.dispose()


# Two programs, one rule

UNITS = st.sampled_from(["a", "b", "c"])
BATCHES = st.sampled_from(["X", "Y", None])
MICROS = st.integers(0, 900 * 1_000_000)


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            MICROS | st.integers(0, 900).map(lambda second: second * 1_000_000),
            st.sampled_from(list(Kind)),
            UNITS,
            BATCHES,
            st.integers(0, 2),
        ),
        max_size=30,
    ),
    declared=st.lists(
        st.tuples(st.integers(0, 900), st.integers(1, 300), UNITS, BATCHES, st.sampled_from(list(Category))),
        max_size=4,
    ),
    graces=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    edges=st.lists(st.integers(0, 1200), min_size=2, max_size=4),
)
def test_both_programs_credit_the_same_seconds(
    events: list[tuple[int, Kind, str, str | None, int]],
    declared: list[tuple[int, int, str, str | None, Category]],
    graces: tuple[int, int],
    edges: list[int],
) -> None:
    def grace(batch: str | None) -> int:
        return {"X": graces[0], "Y": graces[1]}.get(batch or "", 120)

    heard = [
        Event(second_of(EPOCH + timedelta(microseconds=at), kind), kind, unit, batch, sequence)
        for at, kind, unit, batch, sequence in events
    ]
    signs = [
        seconds.Sign(at, number, sequence, str(kind), unit, batch)
        for number, (at, kind, unit, batch, sequence) in enumerate(events)
    ]
    said = [Declared(at, at + length, unit, batch, of) for at, length, unit, batch, of in declared]
    spans = [seconds.Span(one.start, one.end, one.unit, one.batch, one.category.value) for one in said]
    wanted = [
        (share.start, share.end, share.unit, share.batch, share.category.value)
        for share in paid_time.split(paid_time.allocate(paid_time.measure(heard, grace), said), edges)
        if min(edges) <= share.start and share.end <= max(edges)
    ]
    found = seconds.cut(seconds.credited(seconds.spans_of(signs, grace), spans), edges)
    assert [tuple(share) for share in found] == wanted


def test_a_database_changed_behind_the_ledgers_back_is_found(session: Session, now: datetime) -> None:
    period = bundles.closed_week(session, now)
    while transparency.sequence(session, now):
        pass
    session.execute(text("ALTER TABLE transfer DISABLE TRIGGER USER"))
    session.execute(text("UPDATE transfer SET amount = amount - 1 WHERE code = 'wage'"))
    report = checked(bundles.bundle(session, period, now))
    assert report.exit_code == 3
    assert any("the commitment" in finding for finding in findings(report))
    assert any("the worker gets" in finding for finding in findings(report))
