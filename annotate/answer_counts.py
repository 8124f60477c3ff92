"""How many answers an item of a batch gets, as a requester asks for it: as many as it takes, or a fixed number."""

from typing import Any, Final

from annotate.visit import Visit
from schemas.definition import TaskDefinition
from tasks import looks, redundancy
from tasks.batches import Redundancy
from tasks.errors import Invalid

FIXED: Final = 3
"""Answers where nothing is said and the adaptive rule is not for the questions."""
BEYOND: Final = 2
"""Answers more where workers disagree on a fixed number."""


def asked_for(
    definition: TaskDefinition, kind: Redundancy | None, wanted: int | None, most: int | None
) -> dict[str, Any]:
    """Say what a new batch asks for: at first, at most, and on average for its reserve. Raises Invalid."""
    least = looks.beginning(definition)
    if kind == Redundancy.ADAPTIVE and least is None:
        raise Invalid(
            "As many answers as it takes is for questions with one label of a closed list; ask for a fixed number.",
            field="redundancy",
        )
    if kind is None:
        kind = Redundancy.FIXED if least is None or wanted is not None else Redundancy.ADAPTIVE
    if kind == Redundancy.ADAPTIVE:
        most = redundancy.MOST if most is None else most
        first = min(least or FIXED, most) if wanted is None else wanted
        expected = min(most, max(first, redundancy.EXPECTED))
    else:
        first = expected = FIXED if wanted is None else wanted
        most = first + BEYOND if most is None else most
    if not 1 <= first <= 100:
        raise Invalid("Ask for 1 to 100 answers per item.", field="answers_wanted")
    if not first <= most <= 200:
        raise Invalid("The most answers per item cannot be fewer than the wanted ones.", field="answers_max")
    return {"redundancy": kind, "answers_wanted": first, "answers_max": most, "answers_expected": expected}


def from_form(visit: Visit) -> dict[str, Any]:
    """Read what the form asks for: at most so many, or a fixed number. Raises Invalid."""
    if visit.text("redundancy", 10) == Redundancy.ADAPTIVE:
        return {"redundancy": Redundancy.ADAPTIVE, "answers_max": visit.whole("answers_max")}
    return {"redundancy": Redundancy.FIXED, "answers_wanted": visit.whole("answers_wanted")}
