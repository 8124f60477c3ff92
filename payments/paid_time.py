"""Paid time, version 1: from what the server received to credited seconds, all of them whole numbers.

Every second of a worker is credited at most once, over however many tabs, devices and batches it was
spread, and every second with a sign of work is credited. The rules, so exact that another program gets
equal seconds:

1. Events of a unit (an assignment, a batch's instructions, a rest, the queue) are taken in order of time.
   An opening kind opens the unit; an ending kind closes it until it is opened again. Before its opening and
   after its ending a unit hears nothing. Any event of an open unit vouches for the time since the unit's
   event before it: for all of it if that is at most the grace G of the batch, else for the first G seconds,
   and a new interval starts at the event. An open unit with no further event is credited G seconds after
   its last one. While a rest is open, all of its time up to the next event counts, however long. Task and
   rework time, from an opening to the ending after it, is `interrupted` where that ending was not a
   submission.
2. `visible` and every opening kind start a new interval even without silence: the worker switched to this
   unit.
3. At each second the interval that started latest owns it, for the worker switched to it last. Where
   intervals of several units (unit, batch and category) share that latest start, each maximal run of
   seconds with the same such units is dealt out in equal consecutive blocks, the unit opened earliest first
   (by its first interval of all; then by unit, batch, category), and the seconds left over make the first
   blocks one second longer.
4. Accepted declarations fill the seconds that no interval covers, by rule 3 among themselves, and take none
   away.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeVar

from schemas.words import Words


class Category(StrEnum):
    """What credited time was spent on; A to E are charged to the requester, F to the platform."""

    A = "task"
    B = "instructions"
    C = "rework"
    D = "interrupted"
    E = "rest"
    F = "overhead"


class Kind(StrEnum):
    """What the server received; a `proof` is one bit, sent at most every 30 seconds."""

    open = "open"
    proof = "proof"
    hidden = "hidden"
    visible = "visible"
    media_play = "media_play"
    submit = "submit"
    return_ = "return"
    timeout = "timeout"
    content_skip = "content_skip"
    skip = "skip"
    instructions_open = "instructions_open"
    instructions_close = "instructions_close"
    qualification_start = "qualification_start"
    qualification_end = "qualification_end"
    rework_open = "rework_open"
    queue_wait = "queue_wait"
    queue_wait_end = "queue_wait_end"
    support = "support"
    support_end = "support_end"
    rest_start = "rest_start"
    rest_end = "rest_end"
    platform_fault = "platform_fault"


OPENING: Final = {
    Kind.open: Category.A,
    Kind.instructions_open: Category.B,
    Kind.qualification_start: Category.B,
    Kind.rework_open: Category.C,
    Kind.queue_wait: Category.F,
    Kind.support: Category.F,
    Kind.rest_start: Category.E,
}
INTERRUPTING: Final = frozenset(
    {Kind.return_, Kind.timeout, Kind.content_skip, Kind.skip, Kind.platform_fault}
)
ENDING: Final = INTERRUPTING | {
    Kind.submit,
    Kind.instructions_close,
    Kind.qualification_end,
    Kind.queue_wait_end,
    Kind.support_end,
    Kind.rest_end,
}

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
NOTHING_OPEN: Final = Words("no work was open")


@dataclass(frozen=True)
class Event:
    """One thing received about one unit, at a whole second; `sequence` orders events of the same second."""

    at: int
    kind: Kind
    unit: str
    batch: str | None
    sequence: int = 0


@dataclass(frozen=True)
class Declared:
    """An accepted declaration of time by the worker."""

    start: int
    end: int
    unit: str
    batch: str | None
    category: Category


@dataclass(frozen=True)
class Interval:
    """Time vouched for on one unit, from `start` up to but without `end`."""

    start: int
    end: int
    unit: str
    batch: str | None
    category: Category
    last_proof: int


@dataclass(frozen=True)
class Share:
    """Credited seconds that belong to one unit alone."""

    start: int
    end: int
    unit: str
    batch: str | None
    category: Category

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Gap:
    """Seconds not credited, and the words that say why."""

    start: int
    end: int
    reason: Words


Grace = Callable[[str | None], int]
Unit = tuple[str, str | None, Category]
K = TypeVar("K", bound=Hashable)


def second_of(moment: datetime, kind: Kind) -> int:
    """Round a moment to a whole second in the worker's favour: openings down, vouching and ending up."""
    since = moment - EPOCH
    return since // SECOND if kind in OPENING else -(-since // SECOND)


def grace_seconds(words_shown: int, media_seconds: int, gap_p90: int | None, limit_seconds: int) -> int:
    """Say how long silence counts: time to read 150 words a minute, to watch, or to work as the pilot did."""
    reading = -(-words_shown * 60 // 150)
    return min(limit_seconds, max(120, media_seconds, reading, gap_p90 or 0))


# Step 1: evidence to intervals


def measure(events: Iterable[Event], grace: Grace) -> list[Interval]:
    """Turn one worker's events, in any order and with repeats, into intervals (rules 1 and 2)."""
    by_unit: dict[str, list[Event]] = defaultdict(list)
    for event in _in_order(events):
        by_unit[event.unit].append(event)
    intervals = (
        part for heard in by_unit.values() for spell in _spells(heard) for part in _cut(spell, grace)
    )
    return sorted(intervals, key=lambda part: (part.start, part.end, part.unit))


def _in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(
        events, key=lambda event: (event.at, event.sequence, event.kind, event.unit, event.batch or "")
    )


def _spells(heard: list[Event]) -> Iterator[list[Event]]:
    """Split one unit's events into spells, from an opening to the ending after it."""
    spell: list[Event] = []
    for event in heard:
        if spell or event.kind in OPENING:
            spell.append(event)
        if spell and event.kind in ENDING:
            yield spell
            spell = []
    if spell:
        yield spell


def _cut(spell: list[Event], grace: Grace) -> Iterator[Interval]:
    """Cut one spell into intervals at silences and switches."""
    interrupted = spell[-1].kind in INTERRUPTING
    first = spell[0]
    start, batch, category = first.at, first.batch, OPENING[first.kind]

    def interval(end: int, last_proof: int) -> Iterator[Interval]:
        if end > start:
            spent = Category.D if interrupted and category in {Category.A, Category.C} else category
            yield Interval(start, end, first.unit, batch, spent, last_proof)

    for before, event in pairwise(spell):
        vouched = event.at if category is Category.E else min(event.at, before.at + _allowed(grace, batch))
        if vouched < event.at or event.kind in OPENING or event.kind is Kind.visible:
            whole = vouched == event.at
            yield from interval(vouched, event.at if whole else before.at)
            start, batch = event.at, event.batch
            category = OPENING.get(event.kind, category)
    last = spell[-1]
    end = last.at if last.kind in ENDING else last.at + _allowed(grace, batch)
    yield from interval(end, last.at)


def _allowed(grace: Grace, batch: str | None) -> int:
    seconds = grace(batch)
    if seconds < 0:
        raise ValueError("a grace is not below 0 seconds")
    return seconds


# Steps 3 and 4: intervals and declarations to shares


def allocate(intervals: Iterable[Interval], declared: Iterable[Declared] = ()) -> list[Share]:
    """Give every covered second to exactly one unit (rules 3 and 4); the shares are disjoint and in order."""
    measured = _owned([(part.start, part.end, _unit(part)) for part in intervals])
    claimed = _owned([(part.start, part.end, _unit(part)) for part in declared])
    return _joined(sorted([*measured, *_outside(claimed, measured)], key=lambda share: share.start))


def _unit(part: Interval | Declared) -> Unit:
    return part.unit, part.batch, part.category


def _owned(spans: list[tuple[int, int, Unit]]) -> list[Share]:
    """Give each covered second to the span that started latest."""
    spans = [span for span in spans if span[1] > span[0]]
    opened: dict[Unit, int] = {}
    for start, _, unit in spans:
        opened[unit] = min(start, opened.get(unit, start))
    shares: list[Share] = []
    for start, end, owners in _runs(spans):
        ranked = sorted(owners, key=lambda unit: (opened[unit], unit[0], unit[1] or "", unit[2]))
        shares.extend(_dealt(start, end, ranked))
    return shares


def _runs(spans: list[tuple[int, int, Unit]]) -> Iterator[tuple[int, int, frozenset[Unit]]]:
    """Find the maximal runs of seconds with the same owners, in order."""
    starting: dict[int, list[tuple[int, Unit]]] = defaultdict(list)
    for start, end, unit in spans:
        starting[start].append((end, unit))
    latest: list[int] = []
    run: tuple[int, int, frozenset[Unit]] | None = None
    for here, there in pairwise(sorted({edge for span in spans for edge in span[:2]})):
        if here in starting:
            heapq.heappush(latest, -here)
        while latest and all(end <= here for end, _ in starting[-latest[0]]):
            heapq.heappop(latest)
        if not latest:
            continue
        owners = frozenset(unit for end, unit in starting[-latest[0]] if end > here)
        if run is not None and run[1] == here and run[2] == owners:
            run = (run[0], there, owners)
            continue
        if run is not None:
            yield run
        run = (here, there, owners)
    if run is not None:
        yield run


def _dealt(start: int, end: int, ranked: Sequence[Unit]) -> Iterator[Share]:
    each, left = divmod(end - start, len(ranked))
    for place, unit in enumerate(ranked):
        until = start + each + (place < left)
        if until > start:
            yield Share(start, until, *unit)
        start = until


def _outside(claimed: list[Share], measured: list[Share]) -> Iterator[Share]:
    """Keep the parts of claimed shares that no measured share covers."""
    ends = [share.end for share in measured]
    for share in claimed:
        start = share.start
        for taken in measured[bisect_left(ends, share.start + 1) :]:
            if taken.start >= share.end:
                break
            if taken.start > start:
                yield replace(share, start=start, end=taken.start)
            start = taken.end
        if start < share.end:
            yield replace(share, start=start)


def _joined(shares: Iterable[Share]) -> list[Share]:
    """Join neighbours of the same unit, so that equal facts give equal lists."""
    joined: list[Share] = []
    for share in shares:
        last = joined[-1] if joined else None
        if last is not None and last.end == share.start and _of(last) == _of(share):
            joined[-1] = replace(last, end=share.end)
        else:
            joined.append(share)
    return joined


def _of(share: Share) -> Unit:
    return share.unit, share.batch, share.category


# Reading shares


def split(shares: Iterable[Share], boundaries: Sequence[int]) -> list[Share]:
    """Cut shares at rule, day or period boundaries; no second is lost or doubled."""
    cuts = sorted(set(boundaries))
    pieces: list[Share] = []
    for share in shares:
        inside = cuts[bisect_left(cuts, share.start + 1) : bisect_left(cuts, share.end)]
        pieces.extend(
            replace(share, start=start, end=end) for start, end in pairwise([share.start, *inside, share.end])
        )
    return pieces


def seconds_by(shares: Iterable[Share], key: Callable[[Share], K]) -> dict[K, int]:
    """Add up seconds by whatever the key tells: batch, category, unit, day."""
    total: dict[K, int] = defaultdict(int)
    for share in shares:
        total[key(share)] += share.seconds
    return dict(total)


def uncredited(events: Iterable[Event], shares: Iterable[Share], grace: Grace | None = None) -> list[Gap]:
    """Name every second between the first and the last event that is not credited, and why."""
    heard = _in_order(events)
    if not heard:
        return []
    spans = sorted((share.start, share.end) for share in shares)
    starts = [start for start, _ in spans]
    edges = {edge for span in spans for edge in span} | {event.at for event in heard}
    gaps: list[Gap] = []
    open_units: dict[str, Event] = {}
    next_up = 0
    for start, end in pairwise(sorted(edge for edge in edges if heard[0].at <= edge <= heard[-1].at)):
        while heard[next_up].at <= start:
            _hear(open_units, heard[next_up])
            next_up += 1
        span = bisect_right(starts, start) - 1
        if span >= 0 and spans[span][1] > start:
            continue
        reason = _reason(open_units, grace)
        if gaps and gaps[-1].end == start and gaps[-1].reason == reason:
            gaps[-1] = replace(gaps[-1], end=end)
        else:
            gaps.append(Gap(start, end, reason))
    return gaps


def _hear(open_units: dict[str, Event], event: Event) -> None:
    if event.kind in ENDING:
        open_units.pop(event.unit, None)
    elif event.kind in OPENING or event.unit in open_units:
        open_units[event.unit] = event


def _reason(open_units: dict[str, Event], grace: Grace | None) -> Words:
    if not open_units:
        return NOTHING_OPEN
    if grace is None:
        return Words("no sign of work for longer than the grace")
    latest = max(open_units.values(), key=lambda event: event.at)
    allowed = grace(latest.batch) * SECOND
    return Words("no sign of work for longer than %(grace)s", grace=allowed)
