"""An answer is what a worker gives to one item: an object with one value per field.

A validator is compiled once per definition and kept by its digest. It says all that is wrong, as values; it never
changes an answer. `comparable` brings a value into its one form, in which equal answers are equal texts.
"""

from typing import Any

from schemas.definition import TaskDefinition
from schemas.fields import KINDS, answer_problems
from schemas.kept import Kept
from schemas.problems import Problem
from schemas.registry import Validator, compiled
from schemas.strict_json import canonical

COMPILED_KEPT = 256
"""Validators that stay compiled in one process."""

_compiled: Kept[Validator] = Kept(COMPILED_KEPT)


class AnswerValidator:
    """Checks answers against one definition."""

    def __init__(self, definition: TaskDefinition) -> None:
        """Compile the definition's answer schema, or take the one that is kept."""
        self.definition = definition
        found = _compiled.get(definition.digest)
        self._validator = found or _compiled.keep(definition.digest, compiled(definition.answer_schema()))

    def problems(self, answer: Any, data: dict[str, Any], *, partial: bool = False) -> list[Problem]:
        """Say all that is wrong with an answer to an item's data; `partial` lets required fields be absent (gold)."""
        return answer_problems(self.definition.fields, self._validator, answer, data, partial=partial)


def comparable(field_kind: str, value: Any) -> str:
    """Give a valid value's one text: equal for equal answers, whatever their order and spacing."""
    return canonical(KINDS[field_kind].comparable(value))
