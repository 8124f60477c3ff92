"""Pay rules as people call them: whose minimum it is, and where it holds. The id stands beside it, for programs."""

from collections.abc import Iterable

from sqlalchemy import select

from annotate.visit import Visit
from payments.rules import PayRule

PROMISE = "promise."
"""With this the id of a requester's promise begins; it stands in the pay terms and is not recorded as a rule."""


def rule_name(visit: Visit, kind: str, jurisdiction: str | None, area: str | None = None) -> str:
    """Name a rule in the viewer's language."""
    say = {
        "statutory": visit.gettext("Legal minimum, %(place)s"),
        "agreement": visit.gettext("Collective agreement, %(place)s"),
        "platform": visit.gettext("This platform's floor, %(place)s"),
        "requester_promise": visit.gettext("The requester's promise"),
        "benchmark": visit.gettext("Living wage, %(place)s"),
        "sensitive_multiplier": visit.gettext("Surcharge for sensitive content"),
    }.get(kind, kind)
    place = visit.formats.place(jurisdiction) if jurisdiction else visit.gettext("everywhere")
    return say.replace("%(place)s", f"{place} ({visit.formats.area(area)})" if area else place)


def names_of(visit: Visit, codes: Iterable[str]) -> dict[str, str]:
    """Name the rules that are called id@version in the books."""
    wanted = set(codes)
    found = visit.session.scalars(
        select(PayRule).where(PayRule.rule_id.in_({code.rpartition("@")[0] for code in wanted}))
    )
    named = {
        f"{one.rule_id}@{one.version}": rule_name(visit, one.kind, one.jurisdiction, one.area)
        for one in found
    }
    promised = {
        code: rule_name(visit, "requester_promise", None) for code in wanted if code.startswith(PROMISE)
    }
    return {code: named.get(code, code) for code in wanted} | promised
