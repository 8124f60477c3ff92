"""Paid time, version 1, written a second time from the published rules (docs/pay.md, section 1).

The evidence of one worker becomes spans of whole seconds; every covered second gets exactly one owner, the unit
whose span began last. Declared time fills what is left. This shares no code with the program that pays.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

SECOND = 1_000_000
AROUND = 7200 * SECOND
GRACE_WITHOUT_TERMS = 120

OPENS = {
    "open": "task",
    "instructions_open": "instructions",
    "qualification_start": "instructions",
    "rework_open": "rework",
    "queue_wait": "overhead",
    "support": "overhead",
    "rest_start": "rest",
}
CUTS_OFF = {"return", "timeout", "content_skip", "skip", "platform_fault"}
ENDS = CUTS_OFF | {
    "submit",
    "instructions_close",
    "qualification_end",
    "queue_wait_end",
    "support_end",
    "rest_end",
}
SIGNS = {"proof", "hidden", "visible", "media_play"}
KINDS = SIGNS | ENDS | set(OPENS)


class Sign(NamedTuple):
    """A sign of work; `at` in microseconds, `id` in the order of recording."""

    at: int
    id: int
    sequence: int
    kind: str
    unit: str
    batch: str | None

    @property
    def second(self) -> int:
        """Openings count from the second in which they were, everything else to the end of its second."""
        return self.at // SECOND if self.kind in OPENS else -(-self.at // SECOND)


class Span(NamedTuple):
    """Seconds of one unit, from start to before end."""

    start: int
    end: int
    unit: str
    batch: str | None
    category: str

    @property
    def of(self) -> tuple[str, str | None, str]:
        """Whose they are."""
        return self.unit, self.batch, self.category


Grace = Callable[[str | None], int]


def bearing(signs: Iterable[Sign], start: int, end: int, known: int) -> list[Sign]:
    """Choose the evidence for a period: two hours around it, and what was open when these began."""
    known_then = [one for one in signs if one.at <= known]
    chosen = sorted((one for one in known_then if start - AROUND <= one.at <= end + AROUND), key=_recorded)
    first: dict[str, Sign] = {}
    for one in chosen:
        first.setdefault(one.unit, one)
    spells: dict[str, list[Sign]] = {unit: [] for unit, one in first.items() if one.kind not in OPENS}
    for one in sorted(known_then, key=lambda sign: (sign.at, sign.sequence, sign.id)):
        if one.at >= start - AROUND or one.unit not in spells:
            continue
        if one.kind in ENDS:
            spells[one.unit] = []
        elif one.kind in OPENS or spells[one.unit]:
            spells[one.unit].append(one)
    return [*(one for spell in spells.values() for one in spell), *chosen]


def _recorded(sign: Sign) -> tuple[int, int]:
    return sign.at, sign.id


def spans_of(signs: Iterable[Sign], grace: Grace) -> list[Span]:
    """Turn evidence into the spans that it vouches for."""
    units: dict[str, list[Sign]] = {}
    for one in sorted(signs, key=lambda s: (s.second, s.sequence, s.kind, s.unit, s.batch or "")):
        units.setdefault(one.unit, []).append(one)
    found: list[Span] = []
    for unit, heard in units.items():
        start = 0
        while start < len(heard):
            if heard[start].kind not in OPENS:
                start += 1
                continue
            stop = next((i for i in range(start, len(heard)) if heard[i].kind in ENDS), len(heard) - 1)
            found += _spell(unit, heard[start : stop + 1], grace)
            start = stop + 1
    return found


def _spell(unit: str, heard: list[Sign], grace: Grace) -> list[Span]:
    """Give the spans from an opening to its ending (or to the last that was heard)."""
    spans: list[Span] = []
    began, batch, category = heard[0].second, heard[0].batch, OPENS[heard[0].kind]
    reached = began

    def close(end: int) -> None:
        if end > began:
            cut_off = heard[-1].kind in CUTS_OFF and category in {"task", "rework"}
            spans.append(Span(began, end, unit, batch, "interrupted" if cut_off else category))

    for one in heard[1:]:
        covered = one.second if category == "rest" else min(one.second, reached + grace(batch))
        if covered < one.second or one.kind == "visible" or one.kind in OPENS:
            close(covered)
            began, batch, category = one.second, one.batch, OPENS.get(one.kind, category)
        reached = one.second
    close(reached if heard[-1].kind in ENDS else reached + grace(batch))
    return spans


def owned(spans: Iterable[Span]) -> list[Span]:
    """Give every covered second to the unit whose span began last; equals share it in blocks."""
    kept = sorted((span for span in spans if span.end > span.start), key=lambda span: span.start)
    opened: dict[tuple[str, str | None, str], int] = {}
    for span in kept:
        opened[span.of] = min(span.start, opened.get(span.of, span.start))
    edges = sorted({span.start for span in kept} | {span.end for span in kept})
    runs: list[tuple[int, int, list[tuple[str, str | None, str]]]] = []
    active: list[Span] = []
    next_up = 0
    for here, there in pairwise(edges):
        while next_up < len(kept) and kept[next_up].start <= here:
            active.append(kept[next_up])
            next_up += 1
        active = [span for span in active if span.end > here]
        if not active:
            continue
        latest = max(span.start for span in active)
        owners = {span.of for span in active if span.start == latest}
        ranked = sorted(owners, key=lambda of: (opened[of], of[0], of[1] or "", of[2]))
        if runs and runs[-1][1] == here and runs[-1][2] == ranked:
            runs[-1] = (runs[-1][0], there, ranked)
        else:
            runs.append((here, there, ranked))
    return [share for run in runs for share in _dealt(*run)]


def _dealt(start: int, end: int, ranked: list[tuple[str, str | None, str]]) -> list[Span]:
    each, over = divmod(end - start, len(ranked))
    dealt = []
    for place, of in enumerate(ranked):
        until = start + each + (1 if place < over else 0)
        if until > start:
            dealt.append(Span(start, until, *of))
        start = until
    return dealt


def credited(spans: Iterable[Span], declared: Iterable[Span]) -> list[Span]:
    """Give the credited seconds: measured ones first, declared ones where nothing was measured."""
    measured = owned(spans)
    found = list(measured)
    place = 0
    for share in owned(declared):
        start = share.start
        while place < len(measured) and measured[place].end <= share.start:
            place += 1
        ahead = place
        while ahead < len(measured) and measured[ahead].start < share.end:
            if measured[ahead].start > start:
                found.append(share._replace(start=start, end=measured[ahead].start))
            start = max(start, measured[ahead].end)
            ahead += 1
        if start < share.end:
            found.append(share._replace(start=start))
    joined: list[Span] = []
    for share in sorted(found, key=lambda share: share.start):
        if joined and joined[-1].end == share.start and joined[-1].of == share.of:
            joined[-1] = joined[-1]._replace(end=share.end)
        else:
            joined.append(share)
    return joined


def cut(shares: Iterable[Span], edges: Iterable[int]) -> list[Span]:
    """Cut shares at edges, and drop what lies before the first or after the last edge."""
    marks = sorted(set(edges))
    pieces = []
    for share in shares:
        for since, until in pairwise(marks):
            start, end = max(share.start, since), min(share.end, until)
            if start < end:
                pieces.append(share._replace(start=start, end=end))
    return pieces
