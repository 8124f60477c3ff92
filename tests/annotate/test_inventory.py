"""Nothing is recorded that the product does not publish: every column and every field of a request is looked at.

A new column of evidence, or a field with a name that watches people, fails here before it is ever filled.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import annotate
from annotate import labeling
from annotate.app import controllers
from payments.paid_time import Kind
from payments.proofs import Proof
from tasks.db import Base

FRONT_END = Path(annotate.__file__).parent / "frontend" / "src"
FORBIDDEN = frozenset(
    {
        *("keys", "keystroke", "keystrokes", "keypress", "typing", "keyboard", "clipboard", "scroll"),
        *("mouse", "pointer", "cursor", "click", "clicks", "touch", "gaze", "eye"),
        *("screen", "screenshot", "viewport", "resolution", "camera", "webcam", "microphone"),
        *("video", "face", "voice", "photo", "biometric", "fingerprint"),
        *("location", "latitude", "longitude", "lat", "lon", "gps", "geo", "city", "postcode"),
        *("ip", "agent", "ua", "browser", "device", "hostname", "mac", "battery", "network", "referrer"),
        *("health", "religion", "union", "ethnicity", "gender", "birth", "birthday"),
        *("secrecy", "confidential", "confidentiality", "nda", "gag"),
        *("speed", "score", "rank", "ranking", "rating", "reputation", "trust", "productivity", "idle"),
    }
)
FINGERPRINT_OF_AN_ENTRY = {("journal", "fingerprint")}
"""The hash of a journal's content, by which its repetition is known; nothing of a person."""

PROOF_COLUMNS = {"id", "worker_id", "kind", "unit", "assignment_id", "batch_id", "at", "sequence"}
PROOF_FIELDS = {"assignment_id", "kind", "active", "sequence"}
PROOF_KINDS = {"proof", "hidden", "visible", "pause", "resume"}
PERSON_COLUMNS = {
    *("id", "role", "name", "organisation", "place", "area", "time_zone", "languages"),
    *("consents", "created_at", "closed_at"),
}
"""What is known about somebody: said by themselves, measured by nobody."""

SIGN_IN_COLUMNS = {"token_hash", "person_id", "csrf", "created_at", "expires_at"}
EVENTS_LISTENED_TO = re.compile(
    r"mousemove|pointermove|deviceorientation|devicemotion|geolocation|getUserMedia|getDisplayMedia|"
    r"navigator\.(?:userAgent|plugins|platform|connection|getBattery|hardwareConcurrency)|canvas\.toDataURL|"
    r"IdleDetector|\bscreen\.(?:width|height|availWidth)"
)
DRAWN_WITH = {"boxes.ts", "spans.ts"}
"""A box or a span is drawn with the pointer: where it ends is the answer, its way is never sent."""

ONE_BIT = "addEventListener(sign, () => proofs.touch()"
"""That something happened; what it was is not even taken by the function that hears it."""


def words(name: str) -> set[str]:
    """Take a name apart: snake_case, kebab-case and camelCase."""
    return set(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_"))


def columns() -> Iterator[tuple[str, str]]:
    for table in Base.metadata.tables.values():
        for column in table.columns:
            yield table.name, column.name


def structs() -> Iterator[type[msgspec.Struct]]:
    """Find the bodies that the API takes and gives."""
    for module in pkgutil.iter_modules(annotate.__path__, "annotate."):
        if module.name != "annotate.verify":
            importlib.import_module(module.name)
    waiting = list(msgspec.Struct.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.startswith("annotate.") and not one.__module__.endswith("settings"):
            yield one


def bodies() -> set[type[msgspec.Struct]]:
    """Find the bodies that routes take."""
    found = set()
    for controller in controllers():
        for handler in vars(controller).values():
            function = getattr(handler, "fn", None)
            if function is not None and "data" in inspect.signature(function).parameters:
                annotation = inspect.signature(function).parameters["data"].annotation
                found |= {
                    one
                    for one in (annotation, *getattr(annotation, "__args__", ()))
                    if inspect.isclass(one) and issubclass(one, msgspec.Struct)
                }
    return found


def test_no_column_watches_people() -> None:
    watching = {
        (table, column)
        for table, column in columns()
        if words(column) & FORBIDDEN and (table, column) not in FINGERPRINT_OF_AN_ENTRY
    }
    assert watching == set()
    assert len(list(columns())) > 200


def test_no_field_of_the_api_watches_people() -> None:
    known = list(structs())
    assert len(known) > 15
    watching = {
        (struct.__name__, field.encode_name)
        for struct in known
        for field in msgspec.structs.fields(struct)
        if words(field.encode_name) & FORBIDDEN
    }
    assert watching == set()


def test_no_body_takes_a_field_that_it_does_not_name() -> None:
    taken = bodies()
    assert labeling.ProofSent in taken
    assert {one.__name__ for one in taken if not one.__struct_config__.forbid_unknown_fields} <= {
        "Credentials"
    }


def test_a_sign_of_work_is_what_is_published_and_nothing_else() -> None:
    assert set(Proof.__table__.columns.keys()) == PROOF_COLUMNS
    assert {field.name for field in msgspec.structs.fields(labeling.ProofSent)} == PROOF_FIELDS
    kinds = labeling.ProofSent.__annotations__["kind"].__args__
    assert set(kinds) == PROOF_KINDS
    assert not any(words(kind.value) & FORBIDDEN for kind in Kind)


@pytest.mark.parametrize("more", ["keys", "pointer", "screen", "idle_seconds", "user_agent", "location"])
def test_a_sign_of_work_with_more_in_it_is_refused(more: str) -> None:
    sent: dict[str, Any] = {"assignment_id": "01935e5c-0000-7000-8000-000000000000", "active": True}
    assert msgspec.convert(sent, labeling.ProofSent, strict=False).active is True
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert(sent | {more: 1}, labeling.ProofSent, strict=False)


@pytest.mark.parametrize(
    ("table", "wanted"), [("person", PERSON_COLUMNS), ("sign_in", SIGN_IN_COLUMNS)], ids=["person", "sign_in"]
)
def test_what_is_known_about_somebody_is_a_closed_list(table: str, wanted: set[str]) -> None:
    assert set(Base.metadata.tables[table].columns.keys()) == wanted


def test_only_the_upload_of_a_requester_and_the_file_for_a_bank_are_kept_as_bytes() -> None:
    kept = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.type.python_type is bytes
        and not re.search("hash|sha256|digest|root|salt|signature", column.name)
    }
    assert kept == {
        ("upload_piece", "content"),
        ("payout_run", "file"),
        ("log_entry", "commitment"),
        ("journal", "fingerprint"),
        ("fit", "models"),
    }


def test_the_pages_listen_to_nothing_more() -> None:
    sources = sorted(FRONT_END.rglob("*.ts"))
    assert len(sources) > 5
    heard = {
        (source.name, match.group())
        for source in sources
        for match in EVENTS_LISTENED_TO.finditer(source.read_text(encoding="utf-8"))
    }
    drawn = {(name, "pointermove") for name in DRAWN_WITH}
    assert heard - drawn <= {("proofs.ts", "pointermove")}


def test_what_a_page_hears_of_a_worker_becomes_one_bit() -> None:
    proofs = (FRONT_END / "proofs.ts").read_text(encoding="utf-8")
    (signs,) = re.findall(r"for \(const sign of \[([^\]]+)\]\) \{\n\s*(.+)\n\s*\}", proofs)
    assert signs[1].startswith(ONE_BIT)
    assert proofs.count("pointermove") == 1
    (fields,) = re.findall(r"interface Proof \{\n(.*?)\n\}", proofs, re.DOTALL)
    assert set(re.findall(r"^\s*(\w+):", fields, re.MULTILINE)) == PROOF_FIELDS
    assert re.search(r"\n  touch\(\): void \{\n    this\.touched = true;\n  \}\n", proofs)
