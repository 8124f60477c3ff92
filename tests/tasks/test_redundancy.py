"""The rule by which an item gets more answers: properties of the arithmetic, on made-up crowds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import Row, renaming, tables

from tasks import redundancy
from tasks.aggregators import dawid_skene
from tasks.agreement import Answers
from tasks.redundancy import Model, Next, decide, posterior

ACCURACIES = {"careful": 0.95, "usual": 0.75, "hasty": 0.55}
LABELS = st.sampled_from(["no", "yes"])
GIVEN = st.lists(st.tuples(st.sampled_from([*ACCURACIES, "unknown"]), LABELS), max_size=10)


def model(accuracies: dict[str, float] | None = None, *, answers: int = 1000, deep: int = 100) -> Model:
    """A crowd of two labels; the pool is the mean of its workers."""
    workers = ACCURACIES if accuracies is None else accuracies
    made = np.array([[[right, 1 - right], [1 - right, right]] for right in workers.values()])
    return Model(
        classes=("no", "yes"),
        prior=np.array([0.5, 0.5]),
        pool=made.mean(axis=0),
        workers=tuple(workers),
        confusion=made.astype(np.float32),
        answers=answers,
        deep=deep,
    )


def test_a_posterior_is_bayes_rule() -> None:
    chances = posterior(model(), [("careful", "yes"), ("hasty", "no"), ("unknown", "yes")])
    odds = (0.95 / 0.05) * (0.45 / 0.55) * (0.75 / 0.25)
    assert chances[1] == pytest.approx(odds / (1 + odds), abs=1e-6)


@given(GIVEN, st.randoms(use_true_random=False))
def test_the_order_of_answers_changes_nothing(given_: list[tuple[str, str]], random: Any) -> None:
    shuffled = random.sample(given_, len(given_))
    for crowd in (None, model()):
        one, other = decide(crowd, given_, least=2), decide(crowd, shuffled, least=2)
        assert (one.next, one.label, one.reason) == (other.next, other.label, other.reason)
        assert decide(crowd, given_, least=2) == one


@given(GIVEN.filter(bool), st.sampled_from([*ACCURACIES, "unknown"]))
def test_one_more_answer_for_a_label_makes_it_more_likely(given_: list[tuple[str, str]], by: str) -> None:
    before, after = posterior(model(), given_), posterior(model(), [*given_, (by, "yes")])
    assert after[1] > before[1]
    decision = decide(model(), given_, least=2)
    if decision.next == Next.ENOUGH and decision.label == "yes":
        assert decide(model(), [*given_, (by, "yes")], least=2).next == Next.ENOUGH


@given(GIVEN)
def test_names_change_nothing(given_: list[tuple[str, str]]) -> None:
    crowd = model()
    renamed = Model(
        classes=("ja", "aber nein"),
        prior=crowd.prior[::-1],
        pool=crowd.pool[::-1, ::-1],
        workers=crowd.workers,
        confusion=crowd.confusion[:, ::-1, ::-1],
        answers=crowd.answers,
        deep=crowd.deep,
    )
    names = {"yes": "ja", "no": "aber nein"}
    for one, other in ((crowd, renamed), (None, None)):
        said = decide(one, given_, least=2)
        again = decide(other, [(worker, names[label]) for worker, label in given_], least=2)
        assert again.next == said.next
        assert again.label == (None if said.label is None else names[said.label])


@given(GIVEN, st.sets(st.sampled_from(["settled", "first"])))
def test_no_item_asks_for_more_than_its_most(given_: list[tuple[str, str]], known: set[str]) -> None:
    for crowd in (None, model(), model({"a": 0.5, "b": 0.5})):
        decision = decide(crowd, given_, least=2, most=4, settled="settled" in known, first="first" in known)
        if len(given_) >= 4:
            assert decision.next in {Next.ENOUGH, Next.CONTESTED}
        if len(given_) < 2:
            assert decision.next == Next.ONE_MORE


def test_the_less_an_answer_tells_the_less_is_asked_for() -> None:
    sure = [model({"all": right}).sure for right in (0.6, 0.7, 0.8, 0.9, 0.99)]
    assert sure == sorted(sure)
    assert sure[0] == redundancy.SURE_LEAST
    assert sure[-1] == redundancy.SURE_MOST


def test_a_crowd_that_guesses_settles_nothing() -> None:
    guessing = model({"a": 0.52, "b": 0.51})
    assert guessing.skill < redundancy.SKILL_LEAST
    assert decide(guessing, [("a", "yes")] * 9, least=2).next == Next.ONE_MORE
    assert decide(guessing, [("a", "yes")] * 10, least=2).next == Next.CONTESTED


def test_a_model_that_saw_too_little_decides_nothing() -> None:
    for cold in (None, model(answers=99), model(deep=9)):
        assert decide(cold, [("careful", "yes")] * 2, least=2).next == Next.WAIT
        assert decide(cold, [("careful", "yes")] * 2, least=2, patient=False).next == Next.ONE_MORE
        assert decide(cold, [("careful", "yes"), ("hasty", "no")], least=2).next == Next.ONE_MORE
        settled = decide(cold, [("careful", "yes")] * 3, least=2)
        assert (settled.next, settled.label, settled.confidence) == (Next.ENOUGH, "yes", None)
    assert decide(model(), [("careful", "yes")] * 2, least=2).next == Next.ENOUGH


def test_the_first_items_teach() -> None:
    agreed = [("careful", "yes")] * 4
    assert decide(None, agreed, least=2, first=True).next == Next.ONE_MORE
    assert decide(model(deep=50), agreed, least=2, first=True).next == Next.ONE_MORE
    assert decide(model(deep=100), agreed, least=2, first=True).next == Next.ENOUGH
    assert decide(None, [*agreed, ("usual", "yes")], least=2, first=True).next == Next.ENOUGH


def test_a_settled_item_is_opened_again_only_by_real_doubt() -> None:
    crowd = model({"a": 0.8, "b": 0.5})
    doubtful = next(
        given_
        for n in range(2, 10)
        for given_ in [[("c", "yes")] * n]
        if 1 - crowd.sure < 1 - max(posterior(crowd, given_)) <= 2 * (1 - crowd.sure)
    )
    assert decide(crowd, doubtful, least=2).next == Next.ONE_MORE
    assert decide(crowd, doubtful, least=2, settled=True).next == Next.ENOUGH
    assert decide(crowd, [*doubtful, ("a", "no")], least=2, settled=True).next == Next.ONE_MORE


@settings(deadline=None)
@given(tables)
def test_a_model_is_fitted_on_items_with_two_answers_or_more(rows: list[Row]) -> None:
    answers = Answers.of(rows)
    some = redundancy.repeated(answers)
    counts = np.bincount(answers.item)
    assert len(some) == counts[counts >= 2].sum()
    if not len(some):
        return
    assert np.bincount(some.item).min() >= 2
    kept = zip(some.item, some.worker, some.label, strict=True)
    assert {(some.items[i], some.workers[w], some.classes[k]) for i, w, k in kept} <= set(rows)
    made = redundancy.fit(dawid_skene(some), some)
    assert made.answers == len(some)
    for item in range(len(some.items)):
        given_ = [
            (some.workers[w], some.classes[k])
            for w, k in zip(some.worker[some.item == item], some.label[some.item == item], strict=True)
        ]
        chances = made.prior.copy()
        for worker, label in given_:
            chances *= made.confusion[made.workers.index(worker)][:, made.classes.index(label)]
        assert posterior(made, given_) == pytest.approx(chances / chances.sum(), abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(tables, st.randoms(use_true_random=False))
def test_a_fit_does_not_hang_on_names(rows: list[Row], random: Any) -> None:
    items, workers, labels = renaming(rows, random)
    answers = redundancy.repeated(Answers.of(rows))
    other = redundancy.repeated(Answers.of((items[i], workers[w], labels[k]) for i, w, k in rows))
    if len(answers):
        one, two = (redundancy.fit(dawid_skene(each), each) for each in (answers, other))
        assert one.sure == pytest.approx(two.sure, abs=1e-6)
        assert one.skill == pytest.approx(two.skill, abs=1e-6)
