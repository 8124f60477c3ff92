"""Loads every table of the product, for migrations, tests and scripts that need the whole metadata."""

import contextlib
import importlib

NOUNS = (
    "tasks.people",
    "tasks.projects",
    "tasks.batches",
    "tasks.items",
    "tasks.assignments",
    "tasks.answers",
    "tasks.intake",
    "tasks.consensus",
    "payments.ledger",
    "payments.fx",
    "payments.rules",
    "payments.terms",
    "payments.worktime",
    "payments.earnings",
    "payments.transparency",
    "payments.periods",
    "payments.due_lines",
    "payments.payslips",
    "payments.payouts",
)

for noun in NOUNS:
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(noun)
