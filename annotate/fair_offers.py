"""The rule by which work is offered, in plain words, with the version of the code that follows it.

Whoever changes how offers are made changes the card and its version in the same commit; a test holds the words to the
version, and a simulation shows that nothing else plays a part.
"""

from typing import Final

from annotate.visit import Visit

VERSION: Final = "offers-1"


def rules(visit: Visit) -> list[str]:
    """Say what decides about offers, one sentence each, in the order in which it is looked at."""
    return [
        visit.gettext(
            "You are not excluded from the project. Only a named person excludes, for a written reason and at most 90 "
            "days; you read all of it and may contest it."
        ),
        visit.gettext("You share a language with the batch, if it names one."),
        visit.gettext("You agreed to see the kind of content that it warns of."),
        visit.gettext(
            "Where a batch asks for its project’s qualification, you passed it. Qualifying and training are paid work; "
            "who is stopped may try again after a week. No number of approved tasks is ever asked for."
        ),
        visit.gettext("A minimum pay is known for your place."),
        visit.gettext(
            "Your hours are not used up: 8 a day and 40 a week, or 10 and 48 if you agreed; 4 a day on sensitive "
            "content."
        ),
        visit.gettext("An item is open whose whole cost has been paid in, and that you have not had."),
    ]


def order(visit: Visit) -> list[str]:
    """Say in which order batches and items come."""
    return [
        visit.gettext(
            "Batches are listed by what an hour really brings, the best first, for everybody alike."
        ),
        visit.gettext(
            "Within a batch you get items from a random place on; what you put off comes back at the end."
        ),
        visit.gettext(
            "Among your first fifty answers in a project about one in ten has a known answer, later one in twenty; the "
            "one shown least comes next. They look and pay like all others."
        ),
    ]


def never(visit: Visit) -> list[str]:
    """Say what never plays a part."""
    return [
        visit.gettext(
            "How fast you are, how often you skip, and how your answers compare with those of others."
        ),
        visit.gettext("Time that you added, a pay line that you questioned, a decision that you contested."),
        visit.gettext("Joining an association, speaking about pay, or showing a payslip to anyone."),
    ]
