"""Signals: where a person should look, because answers carry no news or are too much alike to be independent.

Pure. A signal is a question, worded "look here": where classes are rare, an honest, cautious worker looks like one who
always says the same, and colleagues may have learnt from each other. It may route work and call for review; it never
touches pay. What it changes by itself is a clique's weight: accounts that answer as one have one vote together.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import betainc

from schemas.words import Words
from tasks.aggregators.confusion import Given, with_one_vote
from tasks.aggregators.outcome import Outcome, leaders
from tasks.agreement import Answers, Codes, Floats

CLIQUE_MIN: Final = 3
"""Accounts that make a clique."""
SHARED_MIN: Final = 5
"""Items that two voters share before their likeness says anything."""
FALSE_LINKS_MAX: Final = 0.05
"""Pairs of voters that may be expected to look alike by chance, among all pairs."""
EXCESS_MIN: Final = 0.8
"""Share of what skill leaves open in which two voters agree all the same."""
GAP_MIN: Final = 0.5
"""How far a clique's agreement lies above what the skill of its members implies, both beyond chance."""
ROUNDS_MAX: Final = 20
PAIRS_AT_ONCE: Final = 4_000_000
SMOOTHING: Final = 5.0
NO_NEWS_MAX: Final = 0.05
"""Spammer score under which an account's answers say next to nothing about the item."""
ANSWERS_MIN: Final = 20
"""Answers before that is said of anybody."""

LOOK_AT_CLIQUE: Final = Words(
    "Look here: these accounts give the same answers far more often than their skill explains. They have one vote "
    "together; what they are paid does not change."
)
LOOK_AT_WORKER: Final = Words(
    "Look here: these answers hardly depend on the item. Where a class is rare, careful people look like this too; "
    "what they are paid does not change."
)


class Clique(NamedTuple):
    """Accounts that answer as one."""

    workers: Codes
    agreement: float
    """How much they agree beyond chance (1: always)."""
    implied: float
    """How much their skill implies, as the others' answers show it."""


def spammer_scores(outcome: Outcome) -> Floats:
    """Say per worker how much an answer tells about the item: from 0, nothing, to 1, everything.

    The mean squared distance between the rows of the worker's confusion, halved (Raykar and Yu, Journal of Machine
    Learning Research 13:491–518, 2012). Needs an outcome with a fit.
    """
    if outcome.fit is None:
        raise ValueError("Only a fitted model knows how workers confuse the classes.")
    rows = outcome.fit.confusion
    classes = rows.shape[1]
    if classes < 2:
        return np.ones(len(rows))
    square = (rows**2).sum(axis=(1, 2)) * classes - (rows.sum(axis=1) ** 2).sum(axis=1)
    scores: Floats = square / (classes * (classes - 1))
    return scores


def without_news(answers: Answers, outcome: Outcome) -> Codes:
    """Find the workers whose many answers hardly depend on the item. Needs an outcome with a fit."""
    count = np.bincount(answers.worker, minlength=len(answers.workers))
    found: Codes = np.flatnonzero((spammer_scores(outcome) < NO_NEWS_MAX) & (count >= ANSWERS_MIN))
    return found


def cliques(answers: Answers) -> tuple[Clique, ...]:
    """Find accounts that agree with each other far above what the skill of each implies.

    Agreement is counted beyond chance (Cohen's kappa). If answers depend on the item alone, two workers agree by the
    product of their agreements with the truth. Those are taken from the answers of all others: the agreement with
    their vote, corrected for the vote's own reliability (Spearman, 1904; Spearman–Brown). People who are right
    agree with everybody who is right; a clique agrees with itself. The most suspect clique then counts as one voter
    and the search goes on, because a clique makes honest people look alike as well.
    """
    found: list[Clique] = []
    for _ in range(ROUNDS_MAX):
        given, voter = with_one_vote(answers, [clique.workers for clique in found])
        suspect = _most_suspect(given, voter)
        if suspect is None:
            break
        members = set(suspect.workers.tolist())
        found = [clique for clique in found if members.isdisjoint(clique.workers.tolist())]
        found.append(suspect)
    return tuple(sorted(found, key=lambda clique: (-len(clique.workers), clique.workers.tolist())))


def _most_suspect(given: Given, voter: Codes) -> Clique | None:
    if not len(given.item) or given.classes < 2:
        return None
    habit = _habits(given)
    everyone = np.ones(given.voters, dtype=bool)
    skill = _skills(given, habit, everyone)
    one, other, shared, alike = _pairs(given)
    chance = (habit[one] * habit[other]).sum(axis=1)
    implied = chance + (1 - chance) * skill[one] * skill[other]
    linked = alike - shared * implied >= EXCESS_MIN * np.maximum(shared * (1 - implied), 1e-9)
    by_luck = betainc(
        alike[linked], shared[linked] - alike[linked] + 1, implied[linked]
    )  # binomial: so many or more
    known = np.bincount(voter, minlength=given.voters) > 1
    joins = known[one] | known[other]
    looked_at = np.where(joins, joins.sum(), len(one) - joins.sum())
    linked[linked] = by_luck * looked_at[linked] <= FALSE_LINKS_MAX
    if not linked.any():
        return None
    graph = coo_array(
        (np.ones(linked.sum()), (one[linked], other[linked])), shape=(given.voters, given.voters)
    )
    _, group = connected_components(graph, directed=False)
    workers_in = np.bincount(group[voter], minlength=group.max() + 1)
    best: Clique | None = None
    for code in np.flatnonzero((np.bincount(group) > 1) & (workers_in >= CLIQUE_MIN)):
        inside = group == code
        pairs = inside[one] & inside[other]
        skill = _skills(given, habit, ~inside)
        by_chance = (shared[pairs] * chance[pairs]).sum()
        left = max(shared[pairs].sum() - by_chance, 1e-9)
        agreement = float((alike[pairs].sum() - by_chance) / left)
        expected = shared[pairs] * (1 - chance[pairs]) * skill[one[pairs]] * skill[other[pairs]]
        clique = Clique(np.flatnonzero(inside[voter]), agreement, float(expected.sum() / left))
        gap = clique.agreement - clique.implied
        if gap >= GAP_MIN and (best is None or gap > best.agreement - best.implied):
            best = clique
    return best


def _habits(given: Given) -> Floats:
    """How often each voter gives each label, whatever the item."""
    flat = given.voter * given.classes + given.label
    length = given.voters * given.classes
    count = np.bincount(flat, given.weight, minlength=length).reshape(-1, given.classes)
    pool = count.sum(axis=0) / count.sum()
    habits: Floats = (count + SMOOTHING * pool) / (count.sum(axis=1, keepdims=True) + SMOOTHING)
    return habits


def _skills(given: Given, habit: Floats, asked: np.typing.NDArray[np.bool_]) -> Floats:
    """Each voter's agreement with the truth beyond chance, from 0 to 1, as the answers of those asked show it.

    Asked voters are part of the vote that they are held against; that makes them look more skilled, never less.
    """
    kept = asked[given.voter]
    weight = None if given.weight is None else given.weight[kept]
    voters = Given(
        given.items,
        given.voters,
        given.classes,
        given.item[kept],
        given.voter[kept],
        given.label[kept],
        weight,
    )
    votes = voters.votes()
    per_item = votes.sum(axis=1)
    vote = leaders(votes) * (per_item > 0)[:, None]
    held = per_item[given.item] > 0
    one = held if given.weight is None else given.weight * held
    count = np.bincount(given.voter, one, minlength=given.voters)
    right = np.bincount(given.voter, one * vote[given.item, given.label], minlength=given.voters)
    chance = habit @ (vote.sum(axis=0) / max(1.0, float(vote.sum())))
    kappa = (right / np.maximum(count, 1e-9) - chance) / np.maximum(1 - chance, 1e-9)
    reliability = 1.0 if asked.all() else _reliability(votes, per_item)
    skills: Floats = np.clip(kappa / np.sqrt(reliability), 0, 1) * (count > 0)
    return skills


def _reliability(votes: Floats, per_item: Floats) -> float:
    """How well the vote would agree with another vote of as many: Spearman–Brown on alpha."""
    pairable = per_item > 1 + 1e-9
    if not pairable.any():
        return 1.0
    several, size = votes[pairable], per_item[pairable]
    total = several.sum(axis=0)
    n = total.sum()
    differ = 1 - ((several * (several - 1)).clip(0).sum(axis=1) / (size - 1)).sum() / n
    by_chance = 1 - (total * (total - 1)).sum() / (n * (n - 1))
    alpha = min(1.0, max(0.01, 1 - differ / by_chance)) if by_chance > 0 else 1.0
    mean = float(per_item[per_item > 0].mean())
    return float(alpha * mean / (1 + (mean - 1) * alpha))


def _pairs(given: Given) -> tuple[Codes, Codes, Floats, Floats]:
    """Give the pairs of voters with enough items in common: both, how many they share, in how many they agree."""
    answered = np.bincount(given.voter, given.weight, minlength=given.voters)
    busy = np.flatnonzero(answered >= SHARED_MIN - 1e-6)
    place = np.full(given.voters, -1)
    place[busy] = np.arange(len(busy))
    kept = place[given.voter] >= 0
    item, voter = given.item[kept], place[given.voter[kept]]
    one = np.ones(len(item)) if given.weight is None else given.weight[kept]
    size = (given.items, len(busy))
    by_item = csr_array((one, (item, voter)), shape=size)
    by_label = csr_array(
        (one, (item * given.classes + given.label[kept], voter)), shape=(size[0] * given.classes, size[1])
    )
    parts = list(_shared(by_item, by_label))
    first, second, shared, alike = (np.concatenate(column) for column in zip(*parts, strict=True))
    return busy[first], busy[second], shared, alike


def _shared(by_item: csr_array, by_label: csr_array) -> Iterator[tuple[Codes, Codes, Floats, Floats]]:
    voters = by_item.shape[1]
    step = max(64, PAIRS_AT_ONCE // max(1, voters))
    item_columns, label_columns = by_item.tocsc(), by_label.tocsc()
    empty = np.zeros(0, dtype=np.int64)
    yield empty, empty, np.zeros(0), np.zeros(0)
    for start in range(0, voters, step):
        together = (item_columns[:, start : start + step].T @ by_item).tocoo()
        enough = (together.data >= SHARED_MIN - 1e-6) & (together.row + start < together.col)
        row, column = together.row[enough], together.col[enough]
        alike = (label_columns[:, start : start + step].T @ by_label).tocsr()
        found = np.asarray(alike[row, column]).ravel() if len(row) else np.zeros(0)
        yield row.astype(np.int64) + start, column.astype(np.int64), together.data[enough], found
