"""How work offered is said: cards of Find work, the task page, and the same for programs.

An hourly figure is what people really earned, here or in earlier batches like it, and says from how many it is; where
nothing was ever measured it is named the requester's estimate, beside the floor that is sure. All amounts are in the
reader's own currency.
"""

from typing import Any

from annotate import offers, reasons, widgets
from annotate.offers import Listed
from annotate.reasons import Bar
from annotate.visit import Visit
from payments.money import floor_minor, text
from payments.quotes import Offer
from schemas.definition import Example, TaskDefinition
from schemas.fields import Field
from tasks.batches import Batch
from tasks.people import MORE_HOURS, SENSITIVE, Person

CALM = "calm"


def content_words(visit: Visit) -> dict[str, str]:
    """Name the kinds of content that workers are warned of."""
    return {
        "adult": visit.gettext("Sexual content"),
        "violence": visit.gettext("Violence and injury"),
        "self-harm": visit.gettext("Self-harm and suicide"),
        "hate": visit.gettext("Hate and insults"),
        "abuse": visit.gettext("Abuse of people or animals"),
    }


def card(visit: Visit, one: Listed) -> dict[str, Any]:
    """Prepare an offer for macros/pay.html work_card."""
    words = content_words(visit)
    notes = [words[name] for name in offers.sensitive(one.batch)]
    calm = [] if notes else [{"text": visit.gettext("No sensitive content"), "kind": "ok"}]
    names = language_names(visit, one.batch.languages)
    facts = [one.requester, left_words(visit, one.left)]
    return {
        "title": one.title,
        "href": f"/work/{one.batch.id}/about",
        **rate(visit, one.pay),
        "facts": " · ".join([*facts, price_words(visit, one.pay)] if one.pay else facts),
        "purpose": one.purpose,
        "note": visit.gettext("Contains: %(kinds)s") % {"kinds": ", ".join(notes)} if notes else "",
        "tags": [*({"text": name, "kind": ""} for name in names), *calm],
    }


def rate(visit: Visit, pay: Offer | None) -> dict[str, str]:
    """Say what an hour brings: rate, unit and on what the figure rests."""
    if pay is None:
        return {"rate": "–", "unit": visit.gettext("per hour"), "basis": ""}
    f = visit.formats
    said = {"rate": f.money(pay.hourly, pay.currency), "unit": visit.gettext("per hour")}
    if pay.pay_mode == "hourly":
        return said | {
            "basis": visit.gettext("All your time is paid at this rate, however long an item takes.")
        }
    floor = f.money(pay.floor, pay.currency)
    if pay.estimated:
        return said | _estimate(visit, pay, floor)
    if pay.hourly_low is not None and pay.hourly_high is not None:
        low, high = f.money(pay.hourly_low, pay.currency), f.money(pay.hourly_high, pay.currency)
        if low != high:
            said["rate"] = visit.gettext("%(low)s to %(high)s") % {"low": low, "high": high}
    return said | {"basis": _measured(visit, pay, floor)}


def left_words(visit: Visit, left: int) -> str:
    """Say how many items there are for this worker."""
    return visit.ngettext("%(num)s item left", "%(num)s items left", left)


def price_words(visit: Visit, pay: Offer) -> str:
    """Say what an item brings and how long it takes: measured, or as the requester thinks."""
    f = visit.formats
    seconds = {"seconds": f.number(pay.seconds_each or pay.estimate_seconds)}
    if pay.pay_mode == "hourly":
        return visit.gettext("paid by the hour, about %(seconds)s s an item") % seconds
    small = pay.price < 1
    said = {"price": f.money(pay.price * 100 if small else pay.price, pay.currency), **seconds}
    if not pay.seconds_each:
        price = visit.gettext("%(price)s for 100") if small else visit.gettext("%(price)s each")
        return price % said
    if small:
        return visit.gettext("%(price)s for 100, about %(seconds)s s each") % said
    return visit.gettext("%(price)s each, about %(seconds)s s") % said


def language_names(visit: Visit, codes: list[str]) -> list[str]:
    """Name languages in the reader's own."""
    known = visit.formats.locale.languages
    return [str(known.get(code, code)) for code in codes]


def filters(visit: Visit, found: list[Listed], show: str) -> list[dict[str, Any]]:
    """Give the pills above the list: all, without sensitive content, and each language."""
    languages = sorted({code for one in found for code in one.batch.languages})
    choices = [("", visit.gettext("All")), (CALM, visit.gettext("No sensitive content"))]
    choices += list(zip(languages, language_names(visit, languages), strict=True))
    return [
        {
            "label": f"{name} {sum(fits(one, value) for one in found)}",
            "href": f"/work?show={value}" if value else "/work",
            "current": value == show,
        }
        for value, name in choices
    ]


def fits(one: Listed, show: str) -> bool:
    """Tell whether an offer is shown under a filter."""
    if not show:
        return True
    if show == CALM:
        return not offers.sensitive(one.batch)
    return not one.batch.languages or show in one.batch.languages


def not_offered(visit: Visit, one: Listed, bar: Bar) -> dict[str, str]:
    """Say why a batch is not offered and what can be done."""
    href, action = reasons.remedy(visit, bar, one.batch)
    return {
        "title": one.title,
        "href": f"/work/{one.batch.id}/about",
        "about": f"{one.requester} · {one.batch.name}",
        "why": reasons.sentence(visit, bar),
        "remedy_href": href,
        "remedy": action,
    }


def consents(visit: Visit, person: Person, only: list[str] | None = None) -> list[dict[str, Any]]:
    """Give what a worker may agree to, and whether they did; `more-hours` besides content."""
    words = content_words(visit) | {MORE_HOURS: visit.gettext("Up to 10 hours a day and 48 a week")}
    names = (*SENSITIVE, MORE_HOURS) if only is None else only
    return [{"name": name, "label": words[name], "given": name in person.consents} for name in names]


def examples(visit: Visit, definition: TaskDefinition) -> list[dict[str, Any]]:
    """Prepare a definition's answered examples for reading."""
    return [_example(visit, definition, one) for one in definition.examples]


def as_json(visit: Visit, one: Listed) -> dict[str, Any]:
    """Give an offer for programs; amounts are decimal text, cut to the minor unit."""
    pay = one.pay

    def write(amount: Any) -> str | None:
        return None if pay is None or amount is None else text(floor_minor(amount), pay.currency)

    return {
        "batch": str(one.batch.id),
        "title": one.title,
        "name": one.batch.name,
        "requester": one.requester,
        "purpose": one.purpose,
        "languages": one.batch.languages,
        "content_classes": one.batch.content_classes,
        "items_left": one.left,
        "pay": None
        if pay is None
        else {
            "currency": pay.currency,
            "pay_mode": pay.pay_mode,
            "price": write(pay.price),
            "floor": write(pay.floor),
            "rule": pay.rule,
            "hourly": write(pay.hourly),
            "hourly_low": write(pay.hourly_low),
            "hourly_high": write(pay.hourly_high),
            "workers": pay.workers,
            "measured_in": list(pay.measured_in),
            "seconds_each": pay.seconds_each or None,
            "estimated": pay.estimated,
            "estimate_seconds": pay.estimate_seconds,
            "grace_seconds": pay.grace_seconds,
        },
        "barred": one.barred and bar_json(visit, one.barred, one.batch),
    }


def bar_json(visit: Visit, bar: Bar, batch: Batch) -> dict[str, Any]:
    """Give a reason for programs; `remedy` is a page's address, empty where there is nothing to do."""
    return {
        "code": bar.why,
        "message": reasons.sentence(visit, bar),
        "until": bar.until,
        "remedy": reasons.remedy(visit, bar, batch)[0],
    }


def unread(visit: Visit, person: Person, batch: Batch, listed_as: Listed) -> dict[str, Any]:
    """Give what the task page says before anybody accepts."""
    pay, bar = listed_as.pay, listed_as.barred
    return {
        "one": card(visit, listed_as),
        "pay": pay,
        "grace": visit.formats.duration(pay.grace_seconds) if pay else "",
        "barred": bar and reasons.sentence(visit, bar),
        "remedy": reasons.remedy(visit, bar, batch) if bar else ("", ""),
        "content": consents(visit, person, offers.sensitive(batch)),
    }


def _measured(visit: Visit, pay: Offer, floor: str) -> str:
    """Say from how many workers a figure is, and where it was measured if not here."""
    parts = []
    if len(pay.measured_in) == 1:
        parts.append(visit.gettext("measured in %(batch)s") % {"batch": pay.measured_in[0]})
    elif pay.measured_in:
        count = len(pay.measured_in)
        parts.append(
            visit.ngettext("measured in %(num)s earlier batch", "measured in %(num)s earlier batches", count)
        )
    workers = {"workers": visit.formats.number(pay.workers)}
    few = visit.gettext("only %(workers)s workers so far, may change")
    parts.append((visit.gettext("middle half of %(workers)s workers") if pay.hourly_low else few) % workers)
    if (pay.hourly_low or pay.hourly) == pay.floor:
        parts.append(visit.gettext("topped up to %(floor)s") % {"floor": floor})
    return ", ".join(parts)


def _estimate(visit: Visit, pay: Offer, floor: str) -> dict[str, str]:
    seconds = {"seconds": visit.formats.number(pay.estimate_seconds)}
    unit = visit.gettext("per hour by the requester's estimate of %(seconds)s s") % seconds
    basis = visit.gettext("Nothing was measured yet. The floor of %(floor)s is guaranteed.") % {
        "floor": floor
    }
    return {"unit": unit, "basis": basis}


def _example(visit: Visit, definition: TaskDefinition, one: Example) -> dict[str, Any]:
    return {
        "shown": parts_shown(definition, one.data),
        "answers": answers_said(visit, definition, one.answer, one.data),
        "why": one.why,
    }


def parts_shown(definition: TaskDefinition, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Prepare what an item shows for reading."""
    return [widgets.shown_part(definition, part, data) for part in definition.show]


def answers_said(
    visit: Visit, definition: TaskDefinition, answer: dict[str, Any], data: dict[str, Any]
) -> list[dict[str, str]]:
    """Write an answer field by field as a person would."""
    return [
        {"label": field.label, "value": _said(visit, field, answer[field.name], data)}
        for field in definition.fields
        if field.name in answer
    ]


def _said(visit: Visit, field: Field, value: Any, data: dict[str, Any]) -> str:
    """Write an answer as a person would."""
    labels = {option.value: option.label for option in field.options}
    if field.kind == "spans":
        whole = str(data.get(field.source or "", ""))
        marks = [(labels.get(m["label"], m["label"]), whole[m["start"] : m["end"]]) for m in value]
        marked = visit.gettext("%(label)s: “%(words)s”")
        return ", ".join(marked % {"label": label, "words": words} for label, words in marks)
    if field.kind == "boxes":
        return ", ".join(str(labels.get(mark["label"], mark["label"])) for mark in value)
    if isinstance(value, list):
        return ", ".join(str(labels.get(one, one)) for one in value)
    return str(labels.get(value, value))
