"""Aggregators: from a long table of answers to what they say together, with one interface for every kind of answer.

Pure arithmetic. `METHODS` names, for each kind of answer, the ways to bring answers together; the first is the default.
To add one, write a function in its kind's file and name it here. A long table is `Answers`, one answer per (item,
worker) as codes; what comes out has a label, a confidence and a distribution per item, and a report per worker. Nothing
depends on the order in which answers came in, nor on how items and workers are named. It steers which answer is used,
never what is earned.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tasks.aggregators import boxes, numbers, pairs, spans, texts
from tasks.aggregators.classes import AGGREGATORS, majority, mix, one_coin, wawa
from tasks.aggregators.confusion import dawid_skene
from tasks.aggregators.outcome import LEVEL, Combined, Fit, Outcome, Together
from tasks.agreement import Answers

__all__ = [
    "AGGREGATORS",
    "LEVEL",
    "METHODS",
    "Combined",
    "Fit",
    "Outcome",
    "Together",
    "aggregate",
    "dawid_skene",
    "majority",
    "mix",
    "one_coin",
    "wawa",
]

METHODS: Final[Mapping[str, Mapping[str, Callable[..., Together]]]] = MappingProxyType(
    {
        "class": AGGREGATORS,
        "number": {"mean": numbers.mean, "gaussian": numbers.gaussian},
        "text": {"medoid": texts.medoid},
        "spans": {"mix": spans.mix, "dawid_skene": spans.dawid_skene, "majority": spans.majority},
        "boxes": {"cluster": boxes.cluster},
        "pairwise": {"bradley_terry": pairs.bradley_terry},
    }
)
"""By kind of answer and name."""


def aggregate(
    kind: str,
    answers: Answers,
    values: Sequence[Any] = (),
    method: str | None = None,
    gold: Mapping[Any, Any] | None = None,
) -> Together:
    """Bring answers of a kind together by a method, or by the kind's default. Raises KeyError for unknown names.

    `values` holds what the classes of `answers` mean where they are not just names: numbers, texts, spans, boxes,
    winners (as each kind's file says). `gold` holds classes that are known beforehand; other kinds have no use for it.
    """
    methods = METHODS[kind]
    chosen = methods[method or next(iter(methods))]
    return chosen(answers, gold=gold) if kind == "class" else chosen(answers, values)
