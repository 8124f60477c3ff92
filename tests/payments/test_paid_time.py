"""Credited time: the Nairobi morning to the second, and laws that hold for any evidence in any order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.dues import Worked, line
from payments.paid_time import (
    ENDING,
    NOTHING_OPEN,
    OPENING,
    Category,
    Declared,
    Event,
    Gap,
    Interval,
    Kind,
    Share,
    allocate,
    grace_seconds,
    measure,
    second_of,
    seconds_by,
    split,
    uncredited,
)
from schemas.words import Words

G = 120


def grace(batch: str | None) -> int:
    return {"X": G, "Y": 90}.get(batch or "", G)


def at(clock: str) -> int:
    hour, minute, second = map(int, clock.split(":"))
    return int(datetime(2026, 11, 16, hour, minute, second, tzinfo=UTC).timestamp())


def proofs(first: str, last: str, unit: str, batch: str | None, step: int = 20) -> list[Event]:
    return [Event(moment, Kind.proof, unit, batch) for moment in range(at(first), at(last) + 1, step)]


MORNING = [
    Event(at("09:00:00"), Kind.instructions_open, "instructions:X", "X"),
    Event(at("09:02:00"), Kind.instructions_close, "instructions:X", "X"),
    Event(at("09:02:00"), Kind.open, "x1", "X"),
    *proofs("09:02:20", "09:08:00", "x1", "X"),
    Event(at("09:08:00"), Kind.submit, "x1", "X", 1),
    Event(at("09:08:00"), Kind.open, "x2", "X"),
    *proofs("09:08:20", "09:19:40", "x2", "X"),
    Event(at("09:10:00"), Kind.open, "y1", "Y"),
    *proofs("09:10:30", "09:15:30", "y1", "Y", 30),
    Event(at("09:16:00"), Kind.submit, "y1", "Y"),
    Event(at("09:27:00"), Kind.proof, "x2", "X"),
    *proofs("09:27:20", "09:30:40", "x2", "X"),
    Event(at("09:31:00"), Kind.submit, "x2", "X"),
    Event(at("09:31:00"), Kind.open, "x3", "X"),
    Event(at("09:33:00"), Kind.content_skip, "x3", "X"),
    Event(at("09:33:00"), Kind.rest_start, "rest:X", "X"),
    Event(at("09:38:00"), Kind.rest_end, "rest:X", "X"),
    Event(at("09:38:00"), Kind.queue_wait, "queue", None),
    Event(at("09:40:00"), Kind.proof, "queue", None),
    Event(at("09:42:00"), Kind.queue_wait_end, "queue", None),
]
READING = Declared(at("09:21:40"), at("09:26:40"), "instructions:X", "X", Category.B)


def test_the_nairobi_morning() -> None:
    intervals = measure(MORNING, grace)
    shares = allocate(intervals, [READING])
    assert seconds_by(shares, lambda share: share.batch) == {"X": 1900, "Y": 360, None: 240}
    assert sum(share.seconds for share in shares) == 2500
    assert sum(part.end - part.start for part in intervals) + 300 == 2860
    assert seconds_by(shares, lambda share: share.category) == {
        Category.A: 1060 + 360,
        Category.B: 120 + 300,
        Category.D: 120,
        Category.E: 300,
        Category.F: 240,
    }


def test_the_nairobi_morning_whatever_the_first_tab_sends_meanwhile() -> None:
    """A tab that proves on beneath, one that is silent one that says so: all leave Y its 360 seconds."""
    under = [
        event for event in MORNING if not (event.unit == "x2" and at("09:10:00") < event.at < at("09:16:00"))
    ]
    switched = [
        *under,
        Event(at("09:10:00"), Kind.hidden, "x2", "X"),
        Event(at("09:16:00"), Kind.visible, "x2", "X"),
    ]
    for events in (MORNING, under, switched):
        shares = allocate(measure(events, grace), [READING])
        assert seconds_by(shares, lambda share: share.batch) == {"X": 1900, "Y": 360, None: 240}


def test_what_was_not_credited_is_named() -> None:
    shares = allocate(measure(MORNING, grace), [READING])
    silence = Words("no sign of work for longer than 120 s")
    assert uncredited(MORNING, shares, grace) == [Gap(at("09:26:40"), at("09:27:00"), silence)]
    measured = allocate(measure(MORNING, grace))
    assert uncredited(MORNING, measured, grace) == [Gap(at("09:21:40"), at("09:27:00"), silence)]
    later = Event(at("10:00:00"), Kind.open, "x4", "X")
    assert uncredited([*MORNING, later], [*shares], grace)[-1] == Gap(
        at("09:42:00"), at("10:00:00"), NOTHING_OPEN
    )
    assert uncredited([], [], grace) == []
    assert "120" not in uncredited(MORNING, shares)[0].reason


# One unit


def one(*events: tuple[int, Kind], unit: str = "u", batch: str = "X") -> list[tuple[int, int]]:
    heard = [Event(moment, kind, unit, batch) for moment, kind in events]
    return [(part.start, part.end) for part in measure(heard, grace)]


def test_silence_counts_for_the_grace() -> None:
    assert one((0, Kind.open)) == [(0, 120)]
    assert one((0, Kind.open), (120, Kind.submit)) == [(0, 120)]
    assert one((0, Kind.open), (121, Kind.submit)) == [(0, 120)]
    assert one((0, Kind.open), (121, Kind.proof)) == [(0, 120), (121, 241)]
    assert one((0, Kind.open), (60, Kind.hidden), (300, Kind.visible), (310, Kind.submit)) == [
        (0, 180),
        (300, 310),
    ]
    assert one((0, Kind.open), (100, Kind.media_play), (200, Kind.submit)) == [(0, 200)]
    assert one((0, Kind.open), (100, Kind.submit), batch="Y") == [(0, 90)]


def test_nothing_is_heard_outside_opening_and_ending() -> None:
    assert one((0, Kind.proof), (50, Kind.submit)) == []
    assert one((0, Kind.open), (50, Kind.submit), (60, Kind.proof), (70, Kind.submit)) == [(0, 50)]
    assert one((0, Kind.open), (50, Kind.submit), (60, Kind.rework_open), (70, Kind.submit)) == [
        (0, 50),
        (60, 70),
    ]


def test_a_rest_counts_whole() -> None:
    assert one((0, Kind.rest_start), (600, Kind.rest_end)) == [(0, 600)]
    assert one((0, Kind.rest_start), (500, Kind.proof), (900, Kind.rest_end)) == [(0, 900)]
    assert one((0, Kind.rest_start)) == [(0, 120)]


@pytest.mark.parametrize("ending", sorted(ENDING))
def test_every_ending_counts_as_a_proof_and_ends(ending: Kind) -> None:
    assert one((0, Kind.open), (100, ending), (110, Kind.proof)) == [(0, 100)]


@pytest.mark.parametrize(
    ("opening", "ending", "category"),
    [
        (Kind.open, Kind.submit, Category.A),
        (Kind.open, Kind.timeout, Category.D),
        (Kind.open, Kind.return_, Category.D),
        (Kind.open, Kind.skip, Category.D),
        (Kind.open, Kind.content_skip, Category.D),
        (Kind.open, Kind.platform_fault, Category.D),
        (Kind.instructions_open, Kind.instructions_close, Category.B),
        (Kind.qualification_start, Kind.qualification_end, Category.B),
        (Kind.qualification_start, Kind.timeout, Category.B),
        (Kind.rework_open, Kind.submit, Category.C),
        (Kind.rework_open, Kind.return_, Category.D),
        (Kind.rest_start, Kind.rest_end, Category.E),
        (Kind.queue_wait, Kind.queue_wait_end, Category.F),
        (Kind.queue_wait, Kind.platform_fault, Category.F),
        (Kind.support, Kind.support_end, Category.F),
    ],
)
def test_categories(opening: Kind, ending: Kind, category: Category) -> None:
    events = [Event(0, opening, "u", "X"), Event(300, Kind.proof, "u", "X"), Event(310, ending, "u", "X")]
    assert {part.category for part in measure(events, grace)} == {category}


def test_seconds_are_rounded_for_the_worker() -> None:
    half = datetime(2026, 11, 16, 9, 0, 0, 500_000, tzinfo=UTC)
    whole = at("09:00:00")
    assert second_of(half, Kind.open) == whole
    assert second_of(half, Kind.submit) == second_of(half, Kind.proof) == whole + 1
    assert second_of(half.replace(microsecond=0), Kind.submit) == whole
    with pytest.raises(TypeError):
        second_of(half.replace(tzinfo=None), Kind.open)


def test_grace_lasts_as_long_as_reading_or_watching_but_not_over_the_limit() -> None:
    assert grace_seconds(0, 0, None, 3600) == 120
    assert grace_seconds(301, 0, None, 3600) == 121
    assert grace_seconds(1500, 0, None, 3600) == 600
    assert grace_seconds(0, 200, 90, 3600) == 200
    assert grace_seconds(0, 0, 400, 3600) == 400
    assert grace_seconds(1500, 900, 400, 60) == 60


def test_a_grace_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        measure([Event(0, Kind.open, "u", "X")], lambda _: -1)


# Several units


def spans(shares: Sequence[Share]) -> list[tuple[int, int, str]]:
    return [(share.start, share.end, share.unit) for share in shares]


def interval(start: int, end: int, unit: str) -> Interval:
    return Interval(start, end, unit, unit.upper(), Category.A, end)


def test_the_unit_opened_last_owns_the_overlap() -> None:
    shares = allocate([interval(0, 100, "a"), interval(40, 60, "b"), interval(50, 55, "c")])
    assert spans(shares) == [(0, 40, "a"), (40, 50, "b"), (50, 55, "c"), (55, 60, "b"), (60, 100, "a")]


def test_a_tie_is_split_and_the_odd_second_goes_to_the_earliest_opened() -> None:
    early = interval(0, 10, "z")
    tie = [interval(50, 61, "a"), interval(50, 61, "z")]
    assert spans(allocate([early, *tie])) == [(0, 10, "z"), (50, 56, "z"), (56, 61, "a")]
    three = [interval(0, 11, unit) for unit in "abc"]
    assert spans(allocate(three)) == [(0, 4, "a"), (4, 8, "b"), (8, 11, "c")]
    assert spans(allocate([interval(0, 1, unit) for unit in "abc"])) == [(0, 1, "a")]


def test_an_interval_beneath_does_not_change_how_a_tie_is_split() -> None:
    tie = [interval(50, 61, "a"), interval(50, 61, "b")]
    beneath = interval(0, 53, "z")
    assert spans(allocate([*tie, beneath]))[1:] == spans(allocate(tie))


def test_returning_to_a_tab_switches_back_to_it() -> None:
    x = [Event(0, Kind.open, "x", "X"), Event(70, Kind.visible, "x", "X"), Event(100, Kind.submit, "x", "X")]
    y = [Event(50, Kind.open, "y", "Y"), Event(70, Kind.hidden, "y", "Y")]
    assert spans(allocate(measure([*x, *y], grace))) == [
        (0, 50, "x"),
        (50, 70, "y"),
        (70, 100, "x"),
        (100, 160, "y"),
    ]


def test_opening_a_unit_again_switches_back_to_it() -> None:
    x = [Event(0, Kind.open, "x", "X"), Event(70, Kind.open, "x", "X"), Event(100, Kind.submit, "x", "X")]
    y = [Event(50, Kind.open, "y", "Y"), Event(90, Kind.submit, "y", "Y")]
    assert spans(allocate(measure([*x, *y], grace))) == [(0, 50, "x"), (50, 70, "y"), (70, 100, "x")]


def test_neighbours_of_one_unit_are_one_share() -> None:
    shares = allocate([interval(0, 10, "a"), interval(10, 20, "a"), interval(12, 15, "b")])
    assert spans(shares) == [(0, 12, "a"), (12, 15, "b"), (15, 20, "a")]
    claims = [Declared(20, 30, "a", "A", Category.A), Declared(25, 40, "a", "A", Category.A)]
    assert spans(allocate([interval(0, 20, "a")], claims)) == [(0, 40, "a")]


def test_a_declaration_fills_around_what_is_measured() -> None:
    measured = [interval(0, 11, "a"), interval(20, 25, "a"), interval(40, 60, "a")]
    claim = Declared(10, 50, "d", "D", Category.A)
    assert spans(allocate(measured, [claim])) == [
        (0, 11, "a"),
        (11, 20, "d"),
        (20, 25, "a"),
        (25, 40, "d"),
        (40, 60, "a"),
    ]


def test_touching_a_batch_now_and_then_collects_nothing_twice() -> None:
    """Y is open and proven; one proof of X each minute beneath it moves no second of Y to X."""
    x = [Event(0, Kind.open, "x", "X"), *(Event(60 * n, Kind.proof, "x", "X") for n in range(1, 30))]
    y = [Event(600, Kind.open, "y", "Y"), *(Event(600 + 30 * n, Kind.proof, "y", "Y") for n in range(1, 12))]
    shares = allocate(measure([*x, *y, Event(960, Kind.submit, "y", "Y")], grace))
    assert seconds_by(shares, lambda share: share.batch)["Y"] == 360


# Laws

units = st.sampled_from([("x1", "X"), ("x2", "X"), ("y1", "Y"), ("queue", None)])
kinds = st.sampled_from([*Kind, Kind.open, Kind.open, Kind.proof, Kind.proof, Kind.proof])
event_lists = st.lists(
    st.builds(
        lambda moment, kind, unit, sequence: Event(moment, kind, unit[0], unit[1], sequence),
        st.integers(0, 900),
        kinds,
        units,
        st.integers(0, 3),
    ),
    max_size=40,
)
interval_lists = st.lists(
    st.builds(
        lambda start, length, unit, category: Interval(
            start, start + length, unit[0], unit[1], category, start
        ),
        st.integers(0, 60),
        st.integers(0, 40),
        units,
        st.sampled_from([Category.A, Category.B]),
    ),
    max_size=10,
)
declared_lists = st.lists(
    st.builds(
        lambda start, length, unit: Declared(start, start + length, unit[0], unit[1], Category.A),
        st.integers(0, 120),
        st.integers(0, 60),
        units,
    ),
    max_size=5,
)


def covered(parts: Sequence[Interval | Share | Declared]) -> set[int]:
    return {second for part in parts for second in range(part.start, part.end)}


def vouched(events: Sequence[Event]) -> set[int]:
    """Second by second: credited if a unit was open and its last event is within the grace, or a rest."""
    seconds: set[int] = set()
    for unit in {event.unit for event in events}:
        open_kind: Kind | None = None
        heard = sorted({e for e in events if e.unit == unit}, key=lambda e: (e.at, e.sequence, e.kind))
        for event, after in zip(heard, [*heard[1:], None], strict=True):
            if event.kind in OPENING:
                open_kind = event.kind
            elif event.kind in ENDING:
                open_kind = None
            if open_kind is None:
                continue
            limit = event.at + grace(event.batch)
            if after is not None:
                limit = after.at if open_kind is Kind.rest_start else min(after.at, limit)
            seconds.update(range(event.at, limit))
    return seconds


def owners(parts: Sequence[Interval]) -> dict[int, set[tuple[str, str | None, Category]]]:
    """Second by second: the units among which the second may fall."""
    result = {}
    for second in covered(parts):
        over = [part for part in parts if part.start <= second < part.end]
        latest = max(part.start for part in over)
        result[second] = {(p.unit, p.batch, p.category) for p in over if p.start == latest}
    return result


@given(event_lists)
def test_credited_is_what_was_vouched_for(events: list[Event]) -> None:
    intervals = measure(events, grace)
    assert covered(intervals) == vouched(events)
    for unit in {part.unit for part in intervals}:
        own = [part for part in intervals if part.unit == unit]
        assert all(one.end <= two.start for one, two in pairwise(own))
    assert all(part.start <= part.last_proof <= part.end for part in intervals)


@given(event_lists, declared_lists)
def test_sums(events: list[Event], declared: list[Declared]) -> None:
    intervals = measure(events, grace)
    shares = allocate(intervals, declared)
    total = sum(share.seconds for share in shares)
    assert total == len(covered([*intervals, *declared]))
    tabs = sum(part.end - part.start for part in intervals) + sum(part.end - part.start for part in declared)
    assert total <= tabs
    if events:
        first, last = min(event.at for event in events), max(event.at for event in events)
        assert sum(share.seconds for share in allocate(intervals)) <= last + G - first
    assert all(one.end <= two.start for one, two in pairwise(shares))


@given(interval_lists)
def test_every_second_goes_to_who_started_latest(intervals: list[Interval]) -> None:
    shares = allocate(intervals)
    may = owners(intervals)
    for share in shares:
        own = (share.unit, share.batch, share.category)
        assert all(own in may[second] for second in range(share.start, share.end))
    assert covered(shares) == set(may)
    assert sum(share.seconds for share in shares) == len(may)
    run: list[int] = []
    for second in sorted(may):
        if run and (second != run[-1] + 1 or may[second] != may[run[-1]]):
            check_even(run, may[run[0]], shares)
            run = []
        run.append(second)
    if run:
        check_even(run, may[run[0]], shares)


def check_even(run: list[int], among: set[tuple[str, str | None, Category]], shares: list[Share]) -> None:
    parts = [
        len(covered([share]) & set(run))
        for own in among
        for share in [replace(s) for s in shares if (s.unit, s.batch, s.category) == own]
        if covered([share]) & set(run)
    ]
    assert sum(parts) == len(run)
    assert max(parts) - (min(parts) if len(parts) == len(among) else 0) <= 1


@given(event_lists, declared_lists, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(
    events: list[Event], declared: list[Declared], random: Random
) -> None:
    again = [*events, *events[: len(events) // 2]]
    random.shuffle(again)
    intervals = measure(events, grace)
    assert measure(again, grace) == intervals
    shares = allocate(intervals, declared)
    shuffled, claims = [*intervals, *intervals[:3]], [*declared, *declared[:2]]
    random.shuffle(shuffled)
    random.shuffle(claims)
    assert allocate(shuffled, claims) == shares


@given(event_lists, declared_lists)
def test_a_declaration_adds_and_never_moves(events: list[Event], declared: list[Declared]) -> None:
    intervals = measure(events, grace)
    without = {
        second: share.unit for share in allocate(intervals) for second in range(share.start, share.end)
    }
    shares = allocate(intervals, declared)
    with_it = {second: share.unit for share in shares for second in range(share.start, share.end)}
    assert without.items() <= with_it.items()
    assert set(with_it) == set(without) | covered(declared)


vouching = st.sampled_from([Kind.proof, Kind.hidden, Kind.visible, Kind.media_play])


@given(event_lists, st.lists(st.tuples(st.integers(0, 1000), vouching, units), max_size=6))
def test_more_evidence_never_credits_less_time_in_all(
    events: list[Event], more: list[tuple[int, Kind, tuple[str, str | None]]]
) -> None:
    added = [Event(moment, kind, unit[0], unit[1], 2) for moment, kind, unit in more]
    assert covered(measure(events, grace)) <= covered(measure([*events, *added], grace))


@given(event_lists, st.lists(st.tuples(st.integers(0, 900), vouching), max_size=6), st.integers(0, 50000))
def test_more_evidence_without_overlap_never_lowers_dues(
    events: list[Event], more: list[tuple[int, Kind]], price: int
) -> None:
    apart = 5000
    alone = [Event(apart, Kind.open, "z", "Z"), Event(apart + 500, Kind.submit, "z", "Z", 9)]
    added = [Event(apart + moment, kind, "z", "Z", 1) for moment, kind in more]
    before, after = dues([*events, *alone], price), dues([*events, *alone, *added], price)
    assert before.keys() <= after.keys()
    assert all(after[batch] >= due for batch, due in before.items())


def dues(events: list[Event], price: int) -> dict[str | None, int]:
    seconds = seconds_by(allocate(measure(events, grace)), lambda share: share.batch)
    rate = Fraction(27500)
    return {batch: line(Fraction(price), [Worked(spent, rate)]).due for batch, spent in seconds.items()}


@given(
    interval_lists, st.dictionaries(st.sampled_from(["X", "Y", None]), st.integers(0, 30000)), st.booleans()
)
def test_whatever_the_allocation_no_total_is_short(
    intervals: list[Interval],
    agreed: dict[str | None, int],
    by_name: bool,  # noqa: FBT001
) -> None:
    shares = allocate(intervals)
    if by_name:  # another allocation of the same union
        shares = [replace(share, batch="X" if share.start % 2 else "Y") for share in shares]
    seconds = seconds_by(shares, lambda share: share.batch)
    rate = Fraction(27500)
    total = sum(
        line(Fraction(agreed.get(batch, 0)), [Worked(seconds.get(batch, 0), rate)]).due
        for batch in agreed.keys() | seconds.keys()
    )
    assert total >= sum(agreed.values())
    assert total >= Fraction(27500 * len(covered(intervals)), 3600)


@given(interval_lists, st.lists(st.integers(-5, 110), max_size=8))
def test_splitting_loses_no_second(intervals: list[Interval], boundaries: list[int]) -> None:
    shares = allocate(intervals)
    pieces = split(shares, boundaries)
    assert covered(pieces) == covered(shares)
    assert sum(piece.seconds for piece in pieces) == sum(share.seconds for share in shares)
    assert not any(piece.start < cut < piece.end for piece in pieces for cut in boundaries)
    assert seconds_by(pieces, lambda share: share.unit) == seconds_by(shares, lambda share: share.unit)


@given(event_lists, declared_lists)
@settings(max_examples=200)
def test_every_second_is_credited_or_named(events: list[Event], declared: list[Declared]) -> None:
    shares = allocate(measure(events, grace), declared)
    gaps = uncredited(events, shares, grace)
    named = {second for gap in gaps for second in range(gap.start, gap.end)}
    first, last = min((e.at for e in events), default=0), max((e.at for e in events), default=0)
    assert named == set(range(first, last)) - covered(shares)
    assert all(one.end < two.start or one.reason != two.reason for one, two in pairwise(gaps))
