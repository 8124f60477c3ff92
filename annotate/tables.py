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
    "payments.transparency",
)

for noun in NOUNS:
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(noun)
