"""Why there is no work: one closed list of codes, each with its sentence and with what the worker can do about it.

Whoever finds nothing to do is told one of these, on every page and by the API; an empty screen without a reason does
not exist. What ends by itself says when.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from annotate.visit import Visit
from payments.wages import DAY_HARD, DAY_SOFT, WEEK_HARD, WEEK_SOFT
from tasks.batches import Batch, BatchKind, open_of_kind


class Why(StrEnum):
    """The code of a reason."""

    EXCLUDED = "excluded"
    QUALIFY = "qualify"
    STOPPED = "stopped"
    QUALIFIED = "qualified"
    LANGUAGE = "language"
    CONTENT = "content"
    NO_FLOOR = "no_floor"
    NO_TERMS = "no_terms"
    DAY = "day"
    DAY_HARD = "day_hard"
    WEEK = "week"
    WEEK_HARD = "week_hard"
    EXPOSURE = "exposure"
    PAUSED = "paused"
    CLOSED = "closed"
    NOT_OPEN = "not_open"
    ANSWERED_ALL = "answered_all"
    NONE_FUNDED = "none_funded"
    ALL_TAKEN = "all_taken"
    BUSY = "busy"
    FINISHED = "finished"
    NO_WORKER = "no_worker"
    NOTHING_OPEN = "nothing_open"
    NONE_FITS = "none_fits"
    ALL_DONE = "all_done"


@dataclass(frozen=True)
class Bar:
    """One reason; `until` is when it ends by itself, None where that is not known; `note` is what a person wrote."""

    why: Why
    until: datetime | None = None
    note: str = ""


LIMITS: Final = {
    Why.DAY: DAY_SOFT,
    Why.DAY_HARD: DAY_HARD,
    Why.WEEK: WEEK_SOFT,
    Why.WEEK_HARD: WEEK_HARD,
}
"""The reasons that are limits on hours, with the credited seconds at which each is reached."""
NOTHING_LEFT: Final = frozenset(
    {Why.ANSWERED_ALL, Why.ALL_TAKEN, Why.NONE_FUNDED, Why.BUSY, Why.FINISHED, Why.NO_WORKER}
)
"""The reasons of an open batch that has nothing for this worker at the moment."""
WAITING: Final = frozenset({Why.ALL_TAKEN, Why.NONE_FUNDED, Why.NOTHING_OPEN, Why.NONE_FITS, Why.ALL_DONE})
"""The reasons that a running worker process may end: it frees leases, opens funded slots and reads uploads."""


def of_list(bars: Sequence[Bar | None], *, silent: bool) -> Bar | None:
    """Say why a list of batches offers nothing; None where one is offered. `silent`: no worker process runs."""
    if any(bar is None for bar in bars):
        return None
    found = [bar for bar in bars if bar is not None]
    limit = next((bar for bar in found if bar.why in LIMITS), None)
    if limit is not None:
        return limit
    codes = {bar.why for bar in found}
    if not codes:
        return unless_silent(Bar(Why.NOTHING_OPEN), silent=silent)
    for why in (Why.NO_WORKER, Why.BUSY, Why.ALL_TAKEN, Why.NONE_FUNDED):
        if why in codes:
            return Bar(why)
    rest = Bar(Why.ALL_DONE if codes <= NOTHING_LEFT else Why.NONE_FITS)
    return unless_silent(rest, silent=silent)


def unless_silent(bar: Bar, *, silent: bool) -> Bar:
    """Name the worker process that does not run as the reason where nothing can change without it."""
    return Bar(Why.NO_WORKER) if silent and bar.why in WAITING else bar


def sentence(visit: Visit, bar: Bar) -> str:
    """Say a reason in plain words."""
    when = visit.formats.moment(bar.until) if bar.until else ""
    if bar.why in LIMITS:
        said = {"hours": visit.formats.number(LIMITS[bar.why] // 3600), "when": when}
        if bar.why in {Why.DAY, Why.DAY_HARD}:
            return (
                visit.gettext(
                    "You have worked %(hours)s hours today. New work is offered again from %(when)s; what you hold "
                    "you may finish, and all your time is paid."
                )
                % said
            )
        return (
            visit.gettext(
                "You have worked %(hours)s hours this week. New work is offered again from %(when)s; what you hold "
                "you may finish, and all your time is paid."
            )
            % said
        )
    if bar.why is Why.EXCLUDED:
        return visit.gettext(
            "You are excluded from this project until %(when)s. The reason given: “%(reason)s” What you hold you "
            "may finish, and everything you did is paid."
        ) % {"when": when, "reason": bar.note}
    if bar.why is Why.STOPPED:
        return visit.gettext(
            "Not for now: of your known answers %(note)s were right. You can try again from %(when)s. All of it was "
            "paid, each known answer may be contested, and no other project knows of it."
        ) % {"when": when, "note": bar.note}
    if bar.why is Why.EXPOSURE:
        return visit.gettext(
            "You have worked 4 hours on sensitive content today. More of it is offered from %(when)s; other work "
            "is open to you."
        ) % {"when": when}
    return _sentences(visit)[bar.why]


def remedy(visit: Visit, bar: Bar, batch: Batch) -> tuple[str, str]:
    """Give what the worker can do about it: a link and its words, both empty where there is nothing to do."""
    if bar.why in {Why.QUALIFY, Why.STOPPED}:
        kind = BatchKind.QUALIFICATION if bar.why is Why.QUALIFY else BatchKind.TRAINING
        there = open_of_kind(visit.session, batch.project_id, kind)
        words = visit.gettext("Qualify") if bar.why is Why.QUALIFY else visit.gettext("Train, paid")
        return (f"/work/{there.id}/about", words) if there else ("", "")
    return {
        Why.EXCLUDED: ("/work/decisions", visit.gettext("Read it, or contest it")),
        Why.LANGUAGE: ("/work/settings#f-languages", visit.gettext("Your languages")),
        Why.CONTENT: (f"/work/{batch.id}/about#content", visit.gettext("Read what it contains")),
        Why.NO_FLOOR: ("/work/settings", visit.gettext("Your place")),
        Why.DAY: ("/work/settings#consents", visit.gettext("Agree to more hours")),
        Why.WEEK: ("/work/settings#consents", visit.gettext("Agree to more hours")),
    }.get(bar.why, ("", ""))


def _sentences(visit: Visit) -> dict[Why, str]:
    """Give the sentences that need no values."""
    return {
        Why.QUALIFY: visit.gettext(
            "This work asks for the qualification of its project, which is paid like all work."
        ),
        Why.QUALIFIED: visit.gettext("You have passed this qualification; its work is open to you."),
        Why.LANGUAGE: visit.gettext("This work is in a language that you have not named as yours."),
        Why.CONTENT: visit.gettext("It contains content that you have not agreed to see."),
        Why.NO_FLOOR: visit.gettext(
            "No minimum pay is known for your place in a currency that this work can be paid in."
        ),
        Why.NO_TERMS: visit.gettext("Its pay is not settled yet."),
        Why.PAUSED: visit.gettext("This batch is paused. What you hold you may finish, and it is paid."),
        Why.CLOSED: visit.gettext("This batch is closed. Everything you did is kept and paid."),
        Why.NOT_OPEN: visit.gettext("This batch is not open yet."),
        Why.ANSWERED_ALL: visit.gettext("You have done everything here that is open to you. Thank you."),
        Why.NONE_FUNDED: visit.gettext(
            "More items wait until the requester has paid in their cost; nothing unfunded is served."
        ),
        Why.ALL_TAKEN: visit.gettext(
            "Other workers hold the last items. Some may come back; look again in a few minutes."
        ),
        Why.BUSY: visit.gettext("The next items are being handed out right now. Try again in a moment."),
        Why.FINISHED: visit.gettext("Every item here has its answers."),
        Why.NO_WORKER: visit.gettext(
            "No worker process is running on this instance: work that others gave back and work that was paid in "
            "is not offered until whoever runs it starts one. What you have done is stored and paid."
        ),
        Why.NOTHING_OPEN: visit.gettext(
            "No batch is open. Work appears here as soon as a requester has paid in its cost; nothing unfunded is "
            "served."
        ),
        Why.NONE_FITS: visit.gettext(
            "There is work, and none of it is open to you now. Each batch stands below with the reason and what "
            "you can do about it."
        ),
        Why.ALL_DONE: visit.gettext(
            "You have done all that is open to you. New work appears here by itself."
        ),
    }
