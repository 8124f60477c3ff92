"""Words are what people read: English here, their values kept apart, so that the edge can say them in any language.

Everywhere else they are a plain text: they are compared, hashed and sent as the English sentence. Whoever answers in
another language translates the template and writes the values in its own way; what is stored keeps both
(`taken_apart`). Values are text, numbers, durations, amounts, other words, or lists of these.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self


class Words(str):
    """A sentence or a part of one; `template` is what is translated, `values` are written into it by name."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Self:
        """Write the English; words without values may hold a plain percent sign."""
        written = {name: _written(value) for name, value in values.items()}
        made = super().__new__(cls, template % written if values else template)
        made.template, made.values = template, values
        return made

    def filled(self, **values: Any) -> "Words":
        """Write values into words that stand in a table without them."""
        return Words(self.template, **values)

    def with_texts(self, change: Callable[[str], str]) -> "Words":
        """Change each text among the values: what a stranger wrote may have to be made harmless."""
        return Words(self.template, **{name: _changed(value, change) for name, value in self.values.items()})


# Templates that say nothing by themselves: nobody is asked to translate them.
_EMPTY, _LIST, _PAIR = "", "%(these)s", "%(first)s %(second)s"
NOTHING = Words(_EMPTY)


def listed(texts: Sequence[str]) -> Words:
    """Join texts into a list."""
    return Words(_LIST, these=list(texts)) if texts else NOTHING


def in_a_row(*sentences: Words) -> Words:
    """Let sentences follow each other."""
    first, *others = sentences
    return Words(_PAIR, first=first, second=in_a_row(*others)) if others else first


def either(choices: Sequence[str]) -> str:
    """Join a few texts, any of which would do."""
    *before, last = choices
    return Words("%(these)s or %(last)s", these=before, last=last) if before else last


def taken_apart(words: Words) -> dict[str, Any]:
    """Give words as a JSON document, of which `put_together` makes them again."""
    return {"words": words.template, "values": {name: _apart(value) for name, value in words.values.items()}}


def put_together(document: dict[str, Any]) -> Words:
    """Make words of what `taken_apart` gave."""
    template, values = document["words"], document["values"]
    return Words(template, **{name: _together(value) for name, value in values.items()})


def _written(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, timedelta):
        return f"{value // timedelta(seconds=1)} s"
    return ", ".join(map(_written, value)) if isinstance(value, list) else str(value)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Words):
        return value.with_texts(change)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


def _apart(value: Any) -> Any:
    if isinstance(value, Words):
        return taken_apart(value)
    return [_apart(one) for one in value] if isinstance(value, list) else value


def _together(value: Any) -> Any:
    if isinstance(value, dict):
        return put_together(value)
    return [_together(one) for one in value] if isinstance(value, list) else value
