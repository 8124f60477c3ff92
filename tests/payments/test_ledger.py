"""The ledger on a real PostgreSQL: posting, refusals, races, and what the database itself refuses."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from payments.accounts import Account, BookFull, UnknownAccount
from payments.ledger import (
    AlreadyReversed,
    Entry,
    InsufficientFunds,
    Journal,
    KeyReused,
    Move,
    WrongEntry,
    account,
    balance,
    chart,
    post,
    post_all,
    reverse,
)
from payments.ledger_checks import checks
from payments.money import UnknownCurrency
from payments.statements import documents, statement
from tasks.db import transaction

CASH = "rail_cash:manual:KES"
PREFUND = "requester_prefund:zuri:KES"
RESERVE = "batch_reserve:b1:KES"
WORKER = "worker_payable:amina:KES"
WAGE = {"evidence": b"e" * 32, "rule_hash": b"r" * 32}


def fund(amount: int, to: str = PREFUND) -> Move:
    return Move(debit=CASH, credit=to, amount=amount, currency="KES", code="prefund")


def move(debit: str, credit: str, amount: int, code: str = "reserve", line_ref: str | None = None) -> Move:
    return Move(debit=debit, credit=credit, amount=amount, currency="KES", code=code, line_ref=line_ref)


@pytest.fixture
def booked(session: Session, now: datetime) -> Callable[..., Journal]:
    """Post moves under fresh keys."""
    keys = itertools.count()

    def book(*moves: Move, **more: Any) -> Journal:
        named: dict[str, Any] = {"kind": "test", "key": f"k{next(keys)}", "actor": "test", **more}
        return post(session, moves=moves, effective_at=now, now=now, **named)

    return book


def failed(session: Session) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in checks(session) if not check.ok]


def test_a_wage_goes_from_the_prefund_to_the_worker(session: Session, booked: Callable[..., Journal]) -> None:
    booked(fund(10_000))
    journal = booked(move(PREFUND, RESERVE, 6_000), move(RESERVE, WORKER, 1_231, "wage", "due:1"), **WAGE)
    assert journal.lines == 2
    assert [balance(session, code) for code in (CASH, PREFUND, RESERVE, WORKER)] == [
        10_000,
        4_000,
        4_769,
        1_231,
    ]
    assert balance(session, "worker_payable:nobody:KES") == 0
    assert failed(session) == []


def test_the_chart_names_kind_and_guard() -> None:
    assert chart(CASH) == ("asset", "none")
    assert chart(WORKER) == ("liability", "credit")
    assert chart("platform_fee:KES") == ("income", "none")
    assert chart("fx:KES-USD:USD") == ("equity", "none")


@pytest.mark.parametrize(
    "code",
    [
        "",
        "worker_payable:KES",
        "worker_payable:a:b:KES",
        "worker_payable::KES",
        "worker_payable:a b:KES",
        "platform_fee:x:KES",
        "wages:KES",
        "overhead:kes",
        "overhead:KES\n",
        "Overhead:KES",
    ],
)
def test_the_chart_refuses_other_names(code: str) -> None:
    with pytest.raises(UnknownAccount):
        chart(code)


def test_the_chart_refuses_unknown_currencies(session: Session) -> None:
    with pytest.raises(UnknownCurrency):
        balance(session, "overhead:XXX")


def test_an_account_is_opened_once(session: Session, now: datetime) -> None:
    first = account(session, WORKER, now)
    assert (first.kind, first.guard, first.currency, first.balance) == ("liability", "credit", "KES", 0)
    assert account(session, WORKER, now + timedelta(days=1)).opened_at == now


def test_the_same_entry_again_is_the_same_journal(session: Session, now: datetime) -> None:
    def book(later: datetime, actor: str) -> Journal:
        return post(
            session, kind="t", key="k", moves=[fund(5)], effective_at=now, now=later, actor=actor, memo="m"
        )

    first = book(now, "web")
    assert book(now + timedelta(hours=1), "sweep").id == first.id
    assert first.recorded_at == now
    assert balance(session, PREFUND) == 5


@pytest.mark.parametrize(
    "other",
    [
        {"moves": [fund(6)]},
        {"moves": [fund(5), fund(5)]},
        {"kind": "u"},
        {"memo": "m"},
        {"evidence": bytes(32)},
        {"rule_hash": bytes(32)},
        {"effective_at": datetime.fromisoformat("2026-11-16T06:00:00.000001Z")},
    ],
)
def test_a_key_is_never_reused_for_another_entry(
    session: Session, now: datetime, other: dict[str, Any]
) -> None:
    entry: dict[str, Any] = {"kind": "t", "key": "k", "moves": [fund(5)], "effective_at": now, "actor": "a"}
    post(session, **entry, now=now)
    with pytest.raises(KeyReused):
        post(session, **(entry | other), now=now)
    with pytest.raises(KeyReused):
        post_all(session, [Entry(**(entry | {"key": "n"})), Entry(**(entry | {"key": "n"} | other))], now)
    assert balance(session, PREFUND) == 5
    assert [line.journal.idempotency_key for line in statement(session, PREFUND)] == ["k"]


def test_a_refused_posting_leaves_the_transaction_alive(
    session: Session, booked: Callable[..., Journal]
) -> None:
    booked(fund(100))
    with pytest.raises(InsufficientFunds) as refused:
        booked(move(PREFUND, RESERVE, 60), move(PREFUND, WORKER, 41))
    assert refused.value.details == {"accounts": [PREFUND]}
    booked(move(PREFUND, RESERVE, 100))
    assert (balance(session, PREFUND), balance(session, RESERVE), balance(session, WORKER)) == (0, 100, 0)
    assert failed(session) == []


@pytest.mark.parametrize(
    "wrong",
    [
        move(CASH, PREFUND, 0),
        move(CASH, PREFUND, -1),
        move(CASH, PREFUND, 2**63),
        move(CASH, CASH, 1),
        move(CASH, PREFUND, 1, code=""),
        Move(CASH, "requester_prefund:zuri:USD", 1, "KES", "x"),
        Move(CASH, PREFUND, 1, "USD", "x"),
    ],
)
def test_wrong_lines_are_refused(session: Session, booked: Callable[..., Journal], wrong: Move) -> None:
    with pytest.raises(WrongEntry):
        booked(fund(1), wrong)
    assert session.scalars(select(Journal).where(Journal.kind == "test")).all() == []


@pytest.mark.parametrize("amount", [1.0, True, "1", None])
def test_amounts_are_whole(booked: Callable[..., Journal], amount: Any) -> None:
    with pytest.raises(TypeError):
        booked(move(CASH, PREFUND, amount))


@pytest.mark.parametrize("empty", [{"kind": ""}, {"key": ""}, {"actor": ""}])
def test_entries_say_what_who_and_under_which_key(
    booked: Callable[..., Journal], empty: dict[str, str]
) -> None:
    with pytest.raises(WrongEntry):
        booked(fund(1), **empty)
    with pytest.raises(WrongEntry):
        booked()


def test_an_account_never_counts_too_far(session: Session, booked: Callable[..., Journal]) -> None:
    booked(fund(2**63 - 1))
    with pytest.raises(BookFull):
        booked(fund(1))
    assert balance(session, PREFUND) == 2**63 - 1
    assert failed(session) == []


def test_many_entries_are_posted_as_one(session: Session, now: datetime) -> None:
    entries = [Entry("t", "fund", [fund(1_000)], now, "a")]
    entries += [
        Entry("t", f"w{i}", [move(PREFUND, f"worker_payable:w{i % 7}:KES", i)], now, "a")
        for i in range(1, 40)
    ]
    journals = post_all(session, [*entries, entries[3]], now)
    assert [journal.idempotency_key for journal in journals] == [e.key for e in entries] + ["w3"]
    assert balance(session, PREFUND) == 1_000 - sum(range(1, 40))
    assert balance(session, "worker_payable:w3:KES") == 3 + 10 + 17 + 24 + 31 + 38
    again = post_all(session, entries, now + timedelta(days=1))
    assert [journal.id for journal in again] == [journal.id for journal in journals[:-1]]
    with pytest.raises(InsufficientFunds):
        post_all(
            session,
            [Entry("t", "x", [fund(1)], now, "a"), Entry("t", "y", [move(PREFUND, WORKER, 999)], now, "a")],
            now,
        )
    assert balance(session, CASH) == 1_000
    assert post_all(session, [], now) == []
    assert failed(session) == []


def test_a_reversal_mirrors_and_happens_once(
    session: Session, now: datetime, booked: Callable[..., Journal]
) -> None:
    booked(fund(100))
    wage = booked(
        move(PREFUND, RESERVE, 50), move(RESERVE, WORKER, 20), evidence=b"e" * 32, rule_hash=b"r" * 32
    )
    undone = reverse(session, wage, key="undo", now=now, actor="ruth", memo="posted twice")
    assert (undone.reverses, undone.evidence_digest, undone.rule_set_hash) == (wage.id, b"e" * 32, b"r" * 32)
    assert (balance(session, PREFUND), balance(session, RESERVE), balance(session, WORKER)) == (100, 0, 0)
    again = reverse(session, wage, key="undo", now=now + timedelta(1), actor="ruth", memo="posted twice")
    assert again.id == undone.id
    with pytest.raises(AlreadyReversed):
        reverse(session, wage, key="undo-2", now=now, actor="ruth")
    redone = reverse(session, undone, key="redo", now=now, actor="ruth")
    assert balance(session, WORKER) == 20
    assert redone.reverses == undone.id
    assert failed(session) == []


def test_what_is_spent_cannot_be_reversed(
    session: Session, now: datetime, booked: Callable[..., Journal]
) -> None:
    first = booked(fund(100))
    booked(move(PREFUND, RESERVE, 30))
    with pytest.raises(InsufficientFunds):
        reverse(session, first, key="undo", now=now, actor="ruth")
    assert balance(session, PREFUND) == 70


def test_a_statement_reads_from_the_newest_line(session: Session, booked: Callable[..., Journal]) -> None:
    booked(fund(100))
    for amount in (1, 2, 3):
        booked(move(PREFUND, RESERVE, amount, line_ref=f"r{amount}"))
    lines = statement(session, PREFUND, limit=3)
    assert [(line.version, line.change, line.after) for line in lines] == [
        (4, -3, 94),
        (3, -2, 97),
        (2, -1, 99),
    ]
    assert (lines[0].counterpart, lines[0].code, lines[0].line_ref) == (RESERVE, "reserve", "r3")
    rest = statement(session, PREFUND, limit=3, before=lines[-1].version)
    assert [(line.version, line.change, line.after, line.journal.kind) for line in rest] == [
        (1, 100, 100, "test")
    ]
    assert [(line.change, line.after) for line in statement(session, CASH)] == [(100, 100)]
    assert statement(session, WORKER) == []
    with pytest.raises(UnknownAccount):
        statement(session, "nonsense")


def test_a_document_holds_the_whole_journal(session: Session, booked: Callable[..., Journal]) -> None:
    journal = booked(fund(7), evidence=b"e" * 32)
    document = documents(session, [journal.id])[journal.id]
    assert document["evidence"] == "65" * 32
    assert document["effective_at"] == "2026-11-16T06:00:00Z"
    assert document["transfers"] == [
        {
            "line": 1,
            "debit": CASH,
            "credit": PREFUND,
            "amount": 7,
            "currency": "KES",
            "code": "prefund",
            "debit_version": 1,
            "debit_after": 7,
            "credit_version": 1,
            "credit_after": 7,
        }
    ]
    assert not {"rule_hash", "reverses", "fx_rate_id"} & document.keys()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET memo = 'x'",
        "DELETE FROM journal",
        "TRUNCATE journal CASCADE",
        "UPDATE transfer SET amount = amount + 1",
        "DELETE FROM transfer",
        "TRUNCATE transfer",
        "DELETE FROM account",
        "TRUNCATE account CASCADE",
        "UPDATE account SET code = code || 'x', version = version + 1",
        "UPDATE account SET guard = 'none', version = version + 1",
        "UPDATE account SET currency = 'USD', version = version + 1",
        "UPDATE account SET debits = debits - 1, version = version + 1 WHERE debits > 0",
        "UPDATE account SET credits = credits + 1",
        """INSERT INTO account OVERRIDING SYSTEM VALUE SELECT * FROM account
        ON CONFLICT (id) DO UPDATE SET opened_at = now(), version = account.version + 1""",
    ],
)
def test_the_database_refuses_to_change_the_books(
    session: Session, booked: Callable[..., Journal], statement: str
) -> None:
    booked(fund(100))
    with pytest.raises(IntegrityError, match="only grows"), session.begin_nested():
        session.execute(text(statement))
    assert balance(session, PREFUND) == 100
    assert failed(session) == []


INSERT = """
    INSERT INTO transfer (journal_id, line, debit_id, credit_id, currency, amount, code,
        debit_version, debit_after, credit_version, credit_after)
    SELECT journal_id, {line}, debit_id, {credit}, {currency}, {amount}, code, {version}, 0, 9, 0
    FROM transfer WHERE journal_id = {journal}
"""
RIGHT = {"line": "1", "credit": "credit_id", "currency": "currency", "amount": "1", "version": "9"}


@pytest.mark.parametrize(
    ("changed", "refused_by"),
    [
        ({"line": "2"}, "all its lines"),
        ({"line": "0"}, "all its lines"),
        ({"line": "1"}, "uq_transfer_journal_id_line"),
        ({"line": "2", "credit": "debit_id"}, "ck_transfer_two_accounts"),
        ({"line": "2", "amount": "0"}, "ck_transfer_amount"),
        ({"line": "2", "version": "1"}, "uq_transfer_debit_id_debit_version"),
    ],
)
def test_the_database_refuses_further_and_wrong_lines(
    session: Session, booked: Callable[..., Journal], changed: dict[str, str], refused_by: str
) -> None:
    journal = booked(fund(100))
    with pytest.raises(IntegrityError, match=refused_by), session.begin_nested():
        session.execute(text(INSERT.format(journal=journal.id, **(RIGHT | changed))))
    assert failed(session) == []


def test_the_database_refuses_two_currencies_in_one_line(
    session: Session, booked: Callable[..., Journal], now: datetime
) -> None:
    journal = booked(fund(100))
    dollars = account(session, "overhead:USD", now).id
    copied = text("""
        INSERT INTO journal
            (kind, idempotency_key, fingerprint, lines, effective_at, recorded_at, actor, memo)
        SELECT kind, 'raw', fingerprint, 1, effective_at, recorded_at, actor, memo
        FROM journal WHERE id = :id RETURNING id
    """)
    raw = session.scalar(copied, {"id": journal.id})
    line = INSERT.replace("SELECT journal_id", f"SELECT {raw}")
    for currency in ("'KES'", "'USD'"):
        columns = RIGHT | {"credit": str(dollars), "currency": currency}
        with pytest.raises(IntegrityError, match="fk_transfer_"), session.begin_nested():
            session.execute(text(line.format(journal=journal.id, **columns)))
    assert failed(session) == [f"every journal has exactly its lines: journal {raw}"]


def test_the_checks_name_what_was_tampered_with(
    session: Session, booked: Callable[..., Journal], now: datetime
) -> None:
    booked(fund(1_000))
    wage = booked(move(PREFUND, RESERVE, 100), move(RESERVE, WORKER, 50))
    undone = reverse(session, wage, key="undo", now=now, actor="ruth")
    assert failed(session) == [f"every wage names its evidence and its rule: journal {wage.id}"]
    for table in ("account", "journal", "transfer"):
        session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    session.execute(
        text("UPDATE transfer SET amount = 999 WHERE line = 1 AND journal_id = :id"), {"id": undone.id}
    )
    found = {check.name for check in checks(session) if not check.ok}
    assert found >= {
        "every balance is the sum of its transfers",
        "every balance after a line is the running sum",
        "every reversal mirrors its journal",
    }
    session.execute(text("DELETE FROM transfer WHERE journal_id = :id AND line = 1"), {"id": undone.id})
    found = {check.name for check in checks(session) if not check.ok}
    assert found >= {"every account's lines are numbered 1 to n", "every journal has exactly its lines"}
    session.execute(text("UPDATE account SET credits = credits + 1 WHERE code = :code"), {"code": WORKER})
    assert "debits equal credits in every currency" in {c.name for c in checks(session) if not c.ok}


def together(callers: int, call: Callable[[int], str]) -> list[str]:
    """Run callers in threads that start at one moment; an error's name is its result."""
    gate = Barrier(callers)

    def run(number: int) -> str:
        gate.wait()
        try:
            return call(number)
        except Exception as error:  # noqa: BLE001  the name is the assertion
            return type(error).__name__

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(run, range(callers)))


@pytest.fixture
def wide(engine: Engine) -> Iterator[Engine]:
    """An engine with a connection for each of many callers."""
    made = create_engine(engine.url, pool_size=40)
    yield made
    made.dispose()


def test_forty_callers_cannot_overdraw(wide: Engine, now: datetime) -> None:
    name = uuid4().hex
    prefund, cash = f"requester_prefund:{name}:KES", f"rail_cash:{name}:KES"
    with transaction(wide) as session:
        post_all(session, [Entry("t", f"{name}:fund", [move(cash, prefund, 1_000)], now, "a")], now)

    def debit(number: int) -> str:
        with transaction(wide) as session:
            lines = [move(prefund, f"worker_payable:{name}-{number % 3}:KES", 100)]
            post_all(session, [Entry("t", f"{name}:{number}", lines, now, "a")], now)
        return "posted"

    results = together(40, debit)
    assert sorted(set(results)) == ["InsufficientFunds", "posted"]
    assert results.count("posted") == 10
    with transaction(wide) as session:
        assert balance(session, prefund) == 0
        assert sum(balance(session, f"worker_payable:{name}-{i}:KES") for i in range(3)) == 1_000
        assert failed(session) == []


def test_twenty_callers_with_one_key_post_once(wide: Engine, now: datetime) -> None:
    name = uuid4().hex
    prefund, cash = f"requester_prefund:{name}:KES", f"rail_cash:{name}:KES"

    def book(_: int) -> str:
        with transaction(wide) as session:
            entry = Entry("t", name, [move(cash, prefund, 100)], now, "a")
            return str(post_all(session, [entry], now)[0].id)

    results = together(20, book)
    assert len(set(results)) == 1
    assert results[0].isdigit()
    with transaction(wide) as session:
        assert balance(session, prefund) == 100
        assert failed(session) == []


def test_crossing_batches_do_not_deadlock(wide: Engine, now: datetime) -> None:
    name = uuid4().hex
    codes = [f"rail_pending:{name}-{i}:KES" for i in range(8)]

    def book(number: int) -> str:
        order = Random(number).sample(range(8), 8)
        entries = [
            Entry("t", f"{name}:{number}:{i}", [move(codes[order[i]], codes[order[i - 1]], 1)], now, "a")
            for i in range(8)
        ]
        entries += [
            Entry("t", f"{name}:common:{i}", [move(codes[i], codes[i - 1], 1)], now, "a") for i in order
        ]
        with transaction(wide) as session:
            post_all(session, entries, now)
        return "posted"

    assert together(24, book) == ["posted"] * 24
    with transaction(wide) as session:
        lines = select(func.sum(Account.version)).where(Account.code.in_(codes))
        assert session.scalar(lines) == 2 * 8 * 25
        assert failed(session) == []


def test_batches_with_common_keys_wait_for_each_other(wide: Engine, now: datetime) -> None:
    name = uuid4().hex
    lines = [move(f"rail_cash:{name}:KES", f"requester_prefund:{name}:KES", 1)]
    entries = [Entry("t", f"{name}:{i:04}", lines, now, "a") for i in range(1_500)]

    def book(number: int) -> str:
        with transaction(wide) as session:
            post_all(session, entries if number % 2 else entries[::-1], now)
        return "posted"

    assert together(4, book) == ["posted"] * 4
    with transaction(wide) as session:
        assert balance(session, f"requester_prefund:{name}:KES") == 1_500
