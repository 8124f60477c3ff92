"""A quote as its requester reads it: typical and slow cost side by side, place by place, and what a low price means."""

from fractions import Fraction
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from annotate import rule_names
from annotate.rule_names import PROMISE
from annotate.visit import Visit
from payments import funding, quotes
from payments.money import ceil_minor, text
from payments.quotes import PlaceQuote, Quote
from tasks.batches import Batch

PIECE = "piece"


def quote_context(visit: Visit, batch: Batch, requester_id: UUID) -> dict[str, Any]:
    """Prepare a draft's quote, and whether the balance covers it."""
    quote = quotes.quote(visit.session, batch, visit.now)
    names = rule_names.names_of(visit, (one.rule for one in quote.places))
    have = funding.prefund_balance(visit.session, requester_id, quote.currency)
    missing = max(0, quote.total_p95 - have)
    query = {"amount": text(missing, quote.currency), "currency": quote.currency, "batch": batch.id}
    return {
        "quote": quote,
        "quoted": _costs(visit, quote),
        "places": [_place(visit, quote, one, names) for one in quote.places],
        "low": _low(visit, quote),
        "have": have,
        "missing": missing,
        "pay_in": f"/balance?{urlencode(query)}",
    }


def quote_json(visit: Visit, batch: Batch) -> dict[str, Any]:
    """Give the quote as the API writes it; amounts are decimal text in the batch's currency."""
    found = quotes.quote(visit.session, batch, visit.now)
    amounts = ("agreed", "topups_p50", "topups_p95", "fee_p50", "fee_p95", "total_p50", "total_p95")
    return {
        "currency": found.currency,
        "answers": found.answers,
        "estimate_seconds": found.estimate_seconds,
        "estimate_seconds_p95": found.estimate_seconds_p95,
        **{name: text(getattr(found, name), found.currency) for name in amounts},
        "places": [{"place": one.place, "workers": one.workers, "rule": one.rule} for one in found.places],
        "words": list(filter(None, [_low(visit, found)])),
    }


def _costs(visit: Visit, quote: Quote) -> list[tuple[str, str, str]]:
    """Give the rows of what all answers cost: in words, typical, slow."""
    if quote.pay_mode == PIECE:
        said = {
            "n": visit.formats.number(quote.answers),
            "price": visit.formats.price(quote.price, quote.currency),
        }
        rows = [
            (visit.gettext("%(n)s answers at %(price)s") % said, quote.agreed, quote.agreed),
            (visit.gettext("Top-ups to the floor"), quote.topups_p50, quote.topups_p95),
        ]
    else:
        time = visit.gettext("The time of %(n)s answers") % {"n": visit.formats.number(quote.answers)}
        rows = [(time, quote.topups_p50, quote.topups_p95)]
    fee = visit.gettext("Fee, %(share)s") % {"share": visit.formats.percent(quote.fee_percent / 100)}
    rows += [
        (fee, quote.fee_p50, quote.fee_p95),
        (visit.gettext("In all"), quote.total_p50, quote.total_p95),
    ]
    return [(words, *_written(visit, quote, typical, slow)) for words, typical, slow in rows]


def _written(visit: Visit, quote: Quote, typical: int, slow: int) -> tuple[str, str]:
    return visit.formats.money(typical, quote.currency), visit.formats.money(slow, quote.currency)


def _place(visit: Visit, quote: Quote, one: PlaceQuote, names: dict[str, str]) -> dict[str, Any]:
    return {
        "place": _place_name(visit, one),
        "rule": visit.gettext("Your hourly rate") if one.rule.startswith(PROMISE) else names[one.rule],
        "code": one.rule,
        "workers": one.workers,
        "floor": visit.formats.rate(one.rate, one.currency),
        "typical": _cost(visit, one.typical, quote.currency),
        "slow": _cost(visit, one.slow, quote.currency),
        "topup": _cost(visit, one.topup_typical, quote.currency),
    }


def _low(visit: Visit, quote: Quote) -> str:
    """Say where the price is under the floor, by how much, and from which price on it would not be; '' if nowhere."""
    under = [one for one in quote.places if one.short_by and quote.pay_mode == PIECE]
    if not under:
        return ""
    said = {
        "places": visit.formats.listing(
            [f"{_place_name(visit, one)} ({_cost(visit, one.short_by, quote.currency)})" for one in under]
        ),
        "seconds": visit.formats.number(quote.estimate_seconds),
        "lowest": _cost(visit, quote.price + max(one.short_by for one in under), quote.currency),
    }
    return (
        visit.gettext(
            "At the estimated %(seconds)s s the price is under the floor: %(places)s. The difference is paid as "
            "top-ups. From %(lowest)s an answer on the price alone would reach it."
        )
        % said
    )


def _place_name(visit: Visit, one: PlaceQuote) -> str:
    return visit.formats.place(one.place) if one.place else visit.gettext("Somewhere else")


def _cost(visit: Visit, amount: Fraction, currency: str) -> str:
    """Write what one answer costs, rounded up as a bill is."""
    return visit.formats.money(ceil_minor(amount), currency)
