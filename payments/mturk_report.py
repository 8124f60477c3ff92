"""An audit of Mechanical Turk files as sentences for people and as one document for programs.

Figures are rounded here and nowhere else, exactly and halves to even. `treatment` names every oddity of the files,
how much there is of it and what was done with it, so that nothing is hidden in a figure.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from payments.money import Money, exponent
from payments.mturk_audit import Audit, Figures, WithoutLong
from schemas.words import Words, in_a_row


def hours(seconds: int) -> Decimal:
    """Write seconds as hours with four decimals."""
    return rounded(Fraction(seconds, 3600), 4)


def clock(seconds: int) -> str:
    """Write seconds as people read hours, 90:23."""
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}"


def amount(minor_units: int | Fraction, currency: str, places: int | None = None) -> Decimal:
    """Write minor units in whole units, with the currency's decimals or as many as asked for."""
    scale = exponent(currency)
    return rounded(Fraction(minor_units) / 10**scale, scale if places is None else places)


def rounded(value: Fraction, places: int) -> Decimal:
    """Round exactly, halves to even; the only rounding of a figure."""
    return Decimal(round(value * 10**places)).scaleb(-places)


def as_json(made: Audit) -> dict[str, Any]:
    """Write the audit as one document; every figure is a number (Decimal where it has decimals), or None."""
    currency = made.currency
    return {
        **_figures_json(made.figures, currency),
        "currency": currency,
        "floor_per_hour": amount(made.floor, currency, 4),
        "hourly": _optional_rate(made.figures.hourly, currency),
        "missing_pay_by_batch": amount(made.missing_pay_by_batch, currency),
        "batches": [
            {"batch": name, **_figures_json(of, currency), "hourly": _optional_rate(of.hourly, currency)}
            for name, of in made.batches.items()
        ],
        "per_worker": [
            {
                "worker": row.worker,
                "assignments": row.assignments,
                "rejected": row.rejected,
                "paid": amount(row.paid, currency),
                "union_hours": hours(row.union_seconds),
                "sum_hours": hours(row.sum_seconds),
                "hourly": _optional_rate(row.hourly, currency),
                "missing_pay": amount(row.missing_pay, currency),
            }
            for row in made.workers
        ],
        "histogram": [
            {
                "from": amount(each.low, currency, 4),
                "to": None if each.high is None else amount(each.high, currency, 4),
                "assignments": each.assignments,
                "workers": each.workers,
            }
            for each in made.histogram
        ],
        "without_long": [
            {
                "longer_than_hours": line.hours,
                "left_out": line.left_out,
                "left_out_hours": hours(line.left_out_seconds),
                **_figures_json(line.figures, currency),
            }
            for line in made.without_long
        ],
        "repeated_rows": made.oddities.repeated_rows,
        "treatment": treatment(made),
    }


def _figures_json(of: Figures, currency: str) -> dict[str, Any]:
    return {
        "assignments": of.assignments,
        "rejected": of.rejected,
        "workers": of.workers,
        "paid": amount(of.paid, currency),
        "union_hours": hours(of.union_seconds),
        "sum_hours": hours(of.sum_seconds),
        "median_hourly_per_assignment": _optional_rate(of.median_hourly_per_assignment, currency),
        "median_hourly_per_worker": _optional_rate(of.median_hourly_per_worker, currency),
        "share_assignments_under_floor": _optional_share(of.share_assignments_under_floor),
        "share_workers_under_floor": _optional_share(of.share_workers_under_floor),
        "missing_pay": amount(of.missing_pay, currency),
    }


def _optional_rate(rate: Fraction | None, currency: str) -> Decimal | None:
    return None if rate is None else amount(rate, currency, 4)


def _optional_share(share: Fraction | None) -> Decimal | None:
    return None if share is None else rounded(share, 6)


def treatment(made: Audit) -> list[Words]:
    """Say how time and pay were counted, and how every oddity that there is was treated, with how much of it."""
    return [words for there, words in (*_time_and_pay(made), *_rows(made)) if there] + _figures_said(made)


def _time_and_pay(made: Audit) -> list[tuple[object, Words]]:
    of, odd = made.figures, made.oddities
    long = [_long(line, made.currency) for line in made.without_long if line.left_out]
    no_cut = Words("No time is cut or left out, however long it is.")
    return [
        (
            of.sum_seconds != of.union_seconds,
            Words(
                "A worker who held several HITs at once is owed each second once: %(union)s hours, where the "
                "assignments sum to %(sum)s. Figures per assignment use its own full time.",
                union=clock(of.union_seconds),
                sum=clock(of.sum_seconds),
            ),
        ),
        (
            of.rejected,
            Words(
                "Rejected work was worked: the time of %(n)s rejected assignments counts, their pay is 0.",
                n=of.rejected,
            ),
        ),
        (
            odd.submitted,
            Words(
                "%(n)s assignments were neither approved nor rejected yet; they count as paid, because they are "
                "approved automatically unless the requester rejects them.",
                n=odd.submitted,
            ),
        ),
        (not long, no_cut),
        (long, in_a_row(no_cut, *long, Words("These lines show the effect; they are not the result."))),
    ]


def _rows(made: Audit) -> list[tuple[object, Words]]:
    odd = made.oddities
    return [
        (
            odd.instant,
            Words(
                "%(n)s assignments were submitted in the second they were accepted: they count with their pay, but "
                "have no hourly pay and are left out of medians and shares.",
                n=odd.instant,
            ),
        ),
        (
            odd.without_work_time or odd.other_work_time,
            Words(
                "WorkTimeInSeconds is not used. It is absent or unusable in %(absent)s rows and differs from "
                "accept-to-submit by more than a second in %(other)s.",
                absent=odd.without_work_time,
                other=odd.other_work_time,
            ),
        ),
        (
            odd.repeated_rows,
            Words(
                "%(n)s rows repeated an assignment already read, which counts once. %(replaced)s of them said "
                "something else than the row before; there the row read last counts.",
                n=odd.repeated_rows,
                replaced=len(made.replaced),
            ),
        ),
    ]


def _figures_said(made: Audit) -> list[Words]:
    exact = f"{_plain(amount(made.floor, made.currency, 4))} {made.currency}"
    whole = made.floor.denominator == 1
    return [
        Words(
            "Missing pay is, for each worker, hours at the floor rounded up to the cent, less what was paid, never "
            "below 0: one worker's good pay makes up for nobody else's. Settled per worker and batch, so that no batch "
            "makes up for another, it is %(amount)s; a second held in two batches is then in both.",
            amount=Money(made.missing_pay_by_batch, made.currency),
        ),
        Words(
            "The floor is %(floor)s per hour for everyone, wherever and whenever they worked: the files do not say "
            "where, and a rule younger than the work is applied alike.",
            floor=Money(int(made.floor), made.currency) if whole else exact,
        ),
    ]


def _long(line: WithoutLong, currency: str) -> Words:
    return Words(
        "%(n)s assignments took over %(hours)s h and hold %(held)s of the summed hours; without them %(missing)s would "
        "be missing.",
        n=line.left_out,
        hours=line.hours,
        held=clock(line.left_out_seconds),
        missing=Money(line.figures.missing_pay, currency),
    )


def _plain(number: Decimal) -> str:
    """Write a figure without needless zeros beyond two decimals."""
    return f"{number:.2f}" if number == round(number, 2) else f"{number.normalize():f}"
