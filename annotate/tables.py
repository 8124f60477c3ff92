"""Loads every table of the product, for migrations, tests and scripts that need the whole metadata."""

from annotate import auth
from payments import (
    accounts,
    due_lines,
    earnings,
    funding,
    fx,
    ledger,
    payouts,
    payslips,
    periods,
    rules,
    terms,
    transparency,
    worktime,
)
from tasks import (
    answers,
    assignments,
    batches,
    clock,
    consensus,
    intake,
    items,
    people,
    progress,
    projects,
)

NOUNS = (
    people,
    clock,
    progress,
    projects,
    batches,
    items,
    intake,
    assignments,
    answers,
    consensus,
    accounts,
    fx,
    ledger,
    rules,
    terms,
    worktime,
    earnings,
    funding,
    periods,
    due_lines,
    payslips,
    payouts,
    transparency,
    auth,
)
"""The modules that own tables, in the order of what they build on."""
