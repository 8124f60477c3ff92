"""The ledger against a model of itself in plain Python: whatever is posted, both say the same."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from payments.ledger import Entry, Journal, Move, balance, checks, post_all, reverse
from payments.statements import statement
from payments.transparency import checks as log_checks
from payments.transparency import sequence
from tasks.errors import Conflict

NOW = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
CASH = "rail_cash:model:KES"
FREE = (CASH, "fx:model:KES", "suspense:model:KES")
GUARDED = ("requester_prefund:model:KES", "batch_reserve:model:KES", "worker_payable:model:KES")


class Line(NamedTuple):
    """One move of the model."""

    debit: str
    credit: str
    amount: int


class Fact(NamedTuple):
    """One journal of the model."""

    lines: tuple[Line, ...]
    reverses: str | None = None


class Model:
    """A ledger in a few lines: journals by key, every balance a sum."""

    def __init__(self) -> None:
        self.journals: dict[str, Fact] = {}

    def balances(self, journals: dict[str, Fact]) -> Counter[str]:
        """Sum all accounts, credits up."""
        made: Counter[str] = Counter()
        for fact in journals.values():
            for line in fact.lines:
                made[line.credit] += line.amount
                made[line.debit] -= line.amount
        return made

    def post(self, wanted: list[tuple[str, Fact]]) -> str:
        """Post all or nothing and say how it ended."""
        after = dict(self.journals)
        if any(after.setdefault(key, fact) != fact for key, fact in wanted):
            return "KeyReused"
        undone = [fact.reverses for fact in after.values() if fact.reverses]
        if len(undone) != len(set(undone)):
            return "AlreadyReversed"
        if any(self.balances(after)[code] < 0 for code in GUARDED):
            return "InsufficientFunds"
        self.journals = after
        return "posted"


accounts = st.sampled_from(FREE + GUARDED)
lines = st.builds(Line, accounts, accounts, st.integers(1, 50)).filter(lambda line: line.debit != line.credit)
facts = st.lists(lines, min_size=1, max_size=3).map(lambda some: Fact(tuple(some)))
keys = st.integers(0, 15).map("model-{}".format)


class Books(RuleBasedStateMachine):
    """The same commands for the ledger and for the model."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.booked: dict[str, Journal] = {}
        self.connection = self.engine.connect()
        self.outer = self.connection.begin()
        mode: Any = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
        self.session = Session(self.connection, **mode)

    @rule(amount=st.integers(1, 200), key=keys)
    def fund(self, amount: int, key: str) -> None:
        self.post_several([(key, Fact((Line(CASH, GUARDED[0], amount),)))])

    @rule(wanted=st.lists(st.tuples(keys, facts), min_size=1, max_size=4))
    def post_several(self, wanted: list[tuple[str, Fact]]) -> None:
        entries = [
            Entry(
                kind="model",
                key=key,
                moves=[Move(*line, currency="KES", code="model") for line in fact.lines],
                effective_at=NOW,
                actor="model",
                evidence=bytes(32),
                rule_hash=bytes(32),
            )
            for key, fact in wanted
        ]
        self.same(lambda: post_all(self.session, entries, NOW), wanted)

    @rule(data=st.data())
    def post_again(self, data: st.DataObject) -> None:
        known = [(key, fact) for key, fact in self.model.journals.items() if fact.reverses is None]
        if known:
            self.post_several([data.draw(st.sampled_from(known))] * 2)

    @rule(key=keys, data=st.data())
    def undo(self, key: str, data: st.DataObject) -> None:
        if not self.booked:
            return
        original = data.draw(st.sampled_from(sorted(self.booked)))
        mirrored = tuple(
            Line(line.credit, line.debit, line.amount) for line in self.model.journals[original].lines
        )

        def call() -> list[Journal]:
            return [reverse(self.session, self.booked[original], key=key, now=NOW, actor="model")]

        self.same(call, [(key, Fact(mirrored, original))])

    def same(self, call: Callable[[], list[Journal]], wanted: list[tuple[str, Fact]]) -> None:
        """Let both do it and compare how it ended."""
        expected = self.model.post(wanted)
        if expected != "posted":
            with pytest.raises(Conflict) as refused:
                call()
            assert refused.type.__name__ == expected
            return
        for (key, _), journal in zip(wanted, call(), strict=True):
            assert self.booked.setdefault(key, journal).id == journal.id

    @invariant()
    def both_have_the_same_balances(self) -> None:
        expected = self.model.balances(self.model.journals)
        for code in FREE + GUARDED:
            assert balance(self.session, code) == expected[code] * (-1 if code == CASH else 1)

    def teardown(self) -> None:
        try:
            while sequence(self.session, NOW):
                pass
            assert [
                one
                for one in checks(self.session) + log_checks(self.session, NOW + timedelta(1))
                if not one.ok
            ] == []
            for code in FREE + GUARDED:
                shown = statement(self.session, code, limit=1_000)
                assert sum(line.change for line in shown) == balance(self.session, code)
                assert [line.version for line in shown] == list(range(len(shown), 0, -1))
        finally:
            self.session.close()
            self.outer.rollback()
            self.connection.close()


def test_the_ledger_does_what_its_model_does(engine: Engine) -> None:
    books = type("TheseBooks", (Books,), {"engine": engine})
    quick = settings(
        max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(books, settings=quick)
