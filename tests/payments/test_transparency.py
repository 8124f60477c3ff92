"""The log: RFC 6962 by its own definition, signed heads against tampering, and the sequencer on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from payments import fx, ledger, transparency
from payments.canonical import canonical, moment
from payments.ledger import Journal, Move, post
from payments.merkle import consistency_path, inclusion_path, roots, subtree_of
from payments.signed_note import Head, WrongNote, read_verifier_key, sign, verifier_key
from payments.statements import documents
from payments.transparency import (
    AlreadyLogged,
    LogEntry,
    LogForked,
    NotLogged,
    checks,
    commitment,
    consistency_proof,
    find,
    inclusion_proof,
    latest_checkpoint,
    leaf_hash,
    root,
    root_at,
    sequence,
    sign_checkpoint,
    size,
    submit,
    verify_consistency,
    verify_inclusion,
    verify_note,
)
from tasks.db import transaction

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "fairlabel.example/log"


def defined_root(data: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return sha256(b"\x01" + defined_root(data[:k]) + defined_root(data[k:])).digest()


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries(count)]


def test_known_roots() -> None:
    # The vectors of the Certificate Transparency reference tests.
    data = [bytes.fromhex(one) for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
    data.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
    known = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for count, expected in known.items():
        assert root([leaf_hash(one) for one in data[:count]]).hex() == expected


@pytest.mark.parametrize("count", range(70))
def test_roots_are_as_defined(count: int) -> None:
    assert root(hashes(count)) == defined_root(entries(count))


@given(st.integers(0, 200), st.sets(st.integers(0, 220)))
def test_many_roots_are_found_in_one_pass(count: int, sizes: set[int]) -> None:
    wanted = {size: root(hashes(size)) for size in sizes if size <= count}
    assert roots(iter(hashes(count)), sizes) == wanted


@pytest.mark.parametrize("count", range(1, 40))
def test_every_entry_is_proved_and_no_other(count: int) -> None:
    leaves = hashes(count)
    for index in range(count):
        path = inclusion_path(index, count, subtree_of(leaves))
        assert verify_inclusion(leaves[index], index, count, path, root(leaves))
        for other in range(count):
            # Where trees are lopsided some wrong places have the same path shape; the hash must still differ.
            if other != index:
                assert not verify_inclusion(leaves[other], index, count, path, root(leaves))
                assert not verify_inclusion(leaves[index], other, count, path, root(leaves))


@pytest.mark.parametrize("new", range(40))
def test_every_beginning_is_consistent_and_nothing_else(new: int) -> None:
    leaves = hashes(new)
    made = [root(leaves[:size]) for size in range(new + 1)]
    for old in range(new + 1):
        path = consistency_path(old, new, subtree_of(leaves))
        assert verify_consistency(old, new, made[old], made[new], path)
        forked = root([leaf_hash(b"forged"), *leaves[1:old]])
        assert not old or not verify_consistency(old, new, forked, made[new], path)
        assert not verify_consistency(old, new, made[old], leaf_hash(b"other"), path) or old == 0 < new


@given(st.integers(1, 300), st.data())
def test_a_changed_inclusion_proof_fails(count: int, data: st.DataObject) -> None:
    leaves = hashes(count)
    index = data.draw(st.integers(0, count - 1))
    path = inclusion_path(index, count, subtree_of(leaves))
    changed = data.draw(st.one_of(*_changes(path)))
    assert verify_inclusion(leaves[index], index, count, path, root(leaves))
    assert not verify_inclusion(leaves[index], index, count, changed, root(leaves))


@given(st.integers(2, 300), st.data())
def test_a_changed_consistency_proof_fails(new: int, data: st.DataObject) -> None:
    leaves = hashes(new)
    old = data.draw(st.integers(1, new - 1))
    path = consistency_path(old, new, subtree_of(leaves))
    changed = data.draw(st.one_of(*_changes(path)))
    assert verify_consistency(old, new, root(leaves[:old]), root(leaves), path)
    assert not verify_consistency(old, new, root(leaves[:old]), root(leaves), changed)


def _changes(path: list[bytes]) -> list[st.SearchStrategy[list[bytes]]]:
    """Add a node, or drop or damage one."""
    made = [st.just([*path, bytes(32)]), st.just([bytes(32), *path])]
    if path:
        places = st.integers(0, len(path) - 1)
        made.append(places.map(lambda i: path[:i] + path[i + 1 :]))
        made.append(places.map(lambda i: [*path[:i], sha256(path[i]).digest(), *path[i + 1 :]]))
    return made


@pytest.mark.parametrize(("index", "count"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_outside_the_log(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_path(index, count, subtree_of(hashes(count)))
    assert not verify_inclusion(leaf_hash(b""), index, count, [], leaf_hash(b""))


def test_a_log_never_shrinks() -> None:
    with pytest.raises(ValueError, match="never 4 long"):
        consistency_path(4, 3, subtree_of(hashes(4)))
    assert not verify_consistency(4, 3, root(hashes(4)), root(hashes(3)), [])


def test_the_one_form() -> None:
    entry = {"b": [1, {"z": -2, "a": "é\n"}], "a": 2**63}
    assert canonical(entry) == '{"a":9223372036854775808,"b":[1,{"a":"é\\n","z":-2}]}'.encode()
    assert moment(datetime.fromisoformat("2026-11-16T09:00:00+03:00")) == "2026-11-16T06:00:00Z"


@pytest.mark.parametrize("wrong", [1.0, True, None, b"x", {1: 2}, {"a": [{"b": 0.5}]}, {1, 2}])
def test_what_has_no_one_form_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        canonical({"x": wrong})


def test_a_signed_head_reads_back() -> None:
    head = Head(ORIGIN, 7, root(hashes(7)))
    note, signature = sign(head, KEY)
    assert len(signature) == 64
    assert note.startswith(f"{ORIGIN}\n7\n")
    assert verify_note(note, KEY.public_key()) == head
    witnessed = note + f"— union.example/witness {'A' * 8}BBBB\n"
    assert verify_note(witnessed, KEY.public_key()) == head


def test_the_public_key_fits_on_a_line() -> None:
    line = verifier_key(ORIGIN, KEY.public_key())
    name, key = read_verifier_key(line)
    assert (name, key.public_bytes_raw()) == (ORIGIN, KEY.public_key().public_bytes_raw())
    for wrong in (line.replace("fair", "fare"), line[:-4], "", "a+b+c", line.replace("+", "-")):
        with pytest.raises(WrongNote):
            read_verifier_key(wrong)


def test_the_format_is_that_of_other_logs() -> None:
    # The example of the Go checksum database's documentation of note: name, key and message are published.
    line = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, key = read_verifier_key(line)
    assert name == "PeterNeumann"
    assert verifier_key(name, key) == line


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n7\n", "\n8\n"),
        lambda note: note.replace("\n7\n", "\n07\n"),
        lambda note: note.replace("\n7\n", "\n-7\n"),
        lambda note: note.replace("\n7\n", "\n٧\n"),
        lambda note: note.replace("fairlabel", "fairlabe1"),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note[:-1],
        lambda note: note + "\n",
        lambda note: note.replace("— ", "- "),
        lambda note: note.replace("\n", "\r\n"),
        lambda note: note + "extra\n",
        lambda note: note[: note.index("—")],
        lambda note: "x\n" + note,
        lambda _: "",
    ],
)
def test_a_changed_note_is_refused(change: Callable[[str], str]) -> None:
    note, _ = sign(Head(ORIGIN, 7, root(hashes(7))), KEY)
    with pytest.raises(WrongNote):
        verify_note(change(note), KEY.public_key())


@given(st.integers(0, 10**6), st.characters(codec="utf-8"))
def test_no_single_character_can_be_changed(place: int, character: str) -> None:
    note, _ = sign(Head(ORIGIN, 7, root(hashes(7))), KEY)
    place %= len(note)
    changed = note[:place] + character + note[place + 1 :]
    if changed != note:
        with pytest.raises(WrongNote):
            verify_note(changed, KEY.public_key())


def test_a_note_is_written_in_one_way_only() -> None:
    note, _ = sign(Head(ORIGIN, 7, root(hashes(7))), KEY)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    ends = [place for place in range(len(note)) if note[place + 1 : place + 3] == "=\n"]
    assert len(ends) == 2
    for place in ends:
        # The last two bits of this character carry nothing, so the bytes stay the same.
        same = alphabet[alphabet.index(note[place]) ^ 1]
        with pytest.raises(WrongNote):
            verify_note(note[:place] + same + note[place + 1 :], KEY.public_key())


def test_a_foreign_key_is_refused() -> None:
    note, _ = sign(Head(ORIGIN, 7, root(hashes(7))), KEY)
    with pytest.raises(WrongNote):
        verify_note(note, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(ValueError, match="origin"):
        sign(Head("two words", 7, bytes(32)), KEY)


@pytest.fixture
def booked(session: Session, now: datetime) -> Callable[[str], Journal]:
    """Post a small journal under a key."""

    def book(key: str) -> Journal:
        cash, prefund = "rail_cash:log:EUR", "requester_prefund:log:EUR"
        moves = [Move(debit=cash, credit=prefund, amount=5, currency="EUR", code="prefund")]
        return post(session, kind="t", key=key, moves=moves, effective_at=now, now=now, actor="a")

    return book


@pytest.fixture
def base(session: Session, now: datetime) -> int:
    """Log whatever other tests have committed and give the size from which this test goes on."""
    while sequence(session, now):
        pass
    return size(session)


def failed(session: Session, now: datetime) -> list[str]:
    later = now + timedelta(days=9000)
    return [f"{check.name}: {check.detail}" for check in checks(session, later) if not check.ok]


def test_journals_reach_the_log_by_themselves(
    session: Session, base: int, now: datetime, booked: Callable[[str], Journal]
) -> None:
    journal = booked("log:1")
    assert failed(session, now) == ["every journal is in the log: 1 missing"]
    assert sequence(session, now) == 1
    assert sequence(session, now) == 0
    entry = find(session, "journal", str(journal.id))
    assert entry is not None
    assert entry.seq == base
    document = documents(session, [journal.id])[journal.id]
    assert entry.commitment == commitment(entry.salt, "journal", str(journal.id), document)
    assert failed(session, now) == []


def test_the_salt_hides_equal_facts(session: Session, base: int, now: datetime) -> None:
    submit(session, "payslip", "a", {"net": 5}, now)
    submit(session, "payslip", "b", {"net": 5}, now)
    sequence(session, now)
    one, two = session.scalars(select(LogEntry).where(LogEntry.kind == "payslip").order_by(LogEntry.seq))
    assert one.salt != two.salt
    assert one.commitment != two.commitment
    assert commitment(one.salt, "payslip", "b", {"net": 5}) != one.commitment


def test_a_fact_is_logged_once(session: Session, base: int, now: datetime) -> None:
    for _ in range(2):
        for _ in range(2):
            submit(session, "payslip", "a", {"net": 5}, now)
        with pytest.raises(AlreadyLogged):
            submit(session, "payslip", "a", {"net": 6}, now)
        sequence(session, now)
    assert size(session) == base + 1
    with pytest.raises(TypeError):
        submit(session, "payslip", "b", {"net": 5.0}, now)
    assert sequence(session, now) == 0


@pytest.mark.parametrize("steps", [[1] * 13, [13], [2, 3, 8], [7, 1, 5], [4, 4, 4, 1]])
def test_stored_nodes_prove_what_the_leaves_prove(
    session: Session, base: int, now: datetime, steps: list[int]
) -> None:
    for number in range(sum(steps)):
        submit(session, "fact", str(number), {"n": number}, now)
    for limit in steps:
        assert sequence(session, now, limit) == limit
    leaves = [leaf_hash(one) for one in session.scalars(select(LogEntry.commitment).order_by(LogEntry.seq))]
    assert len(leaves) == base + 13
    for old in (0, 1, 2, *range(base, len(leaves) + 1)):
        assert root_at(session, old) == root(leaves[:old])
        proof = consistency_proof(session, old, len(leaves))
        assert proof == consistency_path(old, len(leaves), subtree_of(leaves))
    for seq in (0, *range(base, len(leaves))):
        proof = inclusion_proof(session, seq, len(leaves))
        assert verify_inclusion(leaves[seq], seq, len(leaves), proof, root(leaves))
    for seq, grown in ((-1, 3), (3, 3), (0, len(leaves) + 1)):
        with pytest.raises(NotLogged):
            inclusion_proof(session, seq, grown)
    with pytest.raises(NotLogged):
        consistency_proof(session, 0, len(leaves) + 1)


def test_heads_are_signed_and_consistent(
    session: Session, base: int, now: datetime, booked: Callable[[str], Journal]
) -> None:
    first = sign_checkpoint(session, KEY, ORIGIN, now)
    assert sign_checkpoint(session, KEY, ORIGIN, now + timedelta(1)).at == first.at
    for number in range(5):
        booked(f"log:{number}")
    sequence(session, now)
    second = sign_checkpoint(session, KEY, ORIGIN, now)
    assert latest_checkpoint(session) is second
    assert verify_note(second.note, KEY.public_key()) == Head(ORIGIN, base + 5, second.root)
    proof = consistency_proof(session, first.size, second.size)
    assert verify_consistency(first.size, second.size, first.root, second.root, proof)
    assert failed(session, now) == []


def tamper(session: Session, table: str, change: str) -> None:
    session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    session.execute(text(change))


def test_tampering_is_named(
    session: Session, base: int, now: datetime, booked: Callable[[str], Journal]
) -> None:
    journal = booked("log:1")
    sequence(session, now)
    sign_checkpoint(session, KEY, ORIGIN, now)
    tamper(session, "transfer", f"UPDATE transfer SET amount = 6 WHERE journal_id = {journal.id}")
    assert failed(session, now) == [f"every logged journal is as it was: journal {journal.id}"]
    tamper(session, "log_entry", f"UPDATE log_entry SET commitment = sha256('x') WHERE seq = {base}")
    assert failed(session, now)[1:] == [
        f"the tree covers the entries: {base + 1} entries",
        f"every signed head covers the entries: {base + 1}",
    ]


def test_a_forked_log_is_not_signed(session: Session, base: int, now: datetime) -> None:
    for number in range(4):
        submit(session, "fact", str(number), {"n": number}, now)
    sequence(session, now)
    sign_checkpoint(session, KEY, ORIGIN, now)
    submit(session, "fact", "4", {"n": 4}, now)
    sequence(session, now)
    tamper(session, "log_node", "UPDATE log_node SET hash = sha256(hash)")
    with pytest.raises(LogForked):
        sign_checkpoint(session, KEY, ORIGIN, now)


def test_a_cut_log_is_not_signed(session: Session, base: int, now: datetime) -> None:
    submit(session, "fact", "0", {"n": 0}, now)
    sequence(session, now)
    sign_checkpoint(session, KEY, ORIGIN, now)
    tamper(session, "log_entry", f"DELETE FROM log_entry WHERE seq = {base}")
    with pytest.raises(LogForked):
        sign_checkpoint(session, KEY, ORIGIN, now)


@pytest.mark.parametrize("table", ["log_entry", "log_node", "checkpoint"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {} = {}"])
def test_the_database_refuses_to_change_the_log(
    session: Session, base: int, now: datetime, table: str, statement: str
) -> None:
    submit(session, "fact", "0", {"n": 0}, now)
    sequence(session, now)
    sign_checkpoint(session, KEY, ORIGIN, now)
    column = {"log_entry": "salt", "log_node": "hash", "checkpoint": "root"}[table]
    with pytest.raises(IntegrityError, match="only grows"), session.begin_nested():
        session.execute(text(statement.format(table, column, column)))


def test_an_empty_log_has_a_head() -> None:
    note, _ = sign(Head(ORIGIN, 0, root([])), KEY)
    assert (
        verify_note(note, Ed25519PublicKey.from_public_bytes(KEY.public_key().public_bytes_raw())).size == 0
    )


def test_sequencers_and_submitters_do_not_disturb_each_other(engine: Engine, now: datetime) -> None:
    name = uuid4().hex
    gate = Barrier(8)

    def work(number: int) -> None:
        gate.wait()
        for step in range(6):
            with transaction(engine) as session:
                # Each fact is submitted twice, by two callers; each caller sequences between.
                submit(session, "fact", f"{name}:{number // 2}:{step}", {"n": step}, now)
            with transaction(engine) as session:
                sequence(session, now, limit=3)
                sign_checkpoint(session, KEY, ORIGIN, now)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with transaction(engine) as session:
        while sequence(session, now):
            pass
        seqs = session.scalars(select(LogEntry.seq).order_by(LogEntry.seq)).all()
        assert seqs == list(range(len(seqs)))
        mine = select(func.count(LogEntry.seq)).where(LogEntry.ref.startswith(name))
        assert session.scalar(mine) == 4 * 6
        assert failed(session, now) == []


def test_a_migration_may_build_the_same_guards(session: Session) -> None:
    for statement in (*ledger.GUARDS, *fx.GUARDS, *transparency.GUARDS):
        session.execute(text(statement))
    triggers = session.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")).all()
    assert {"account_only_grows", "account_stays", "journal_only_grows", "transfer_only_grows"} <= set(
        triggers
    )
    assert {"transfer_sealed", "journal_awaits_log", "fx_rate_only_grows"} <= set(triggers)
    assert {"log_entry_only_grows", "log_node_only_grows", "checkpoint_only_grows"} <= set(triggers)
