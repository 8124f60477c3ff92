"""What a worker sees of an item and fills in, prepared for the widgets' templates; and plain forms read back.

Texts of requesters are hostile until shown otherwise: everything is escaped, Markdown is rendered without HTML, and
links can only be http, https or mailto.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from annotate.visit import Visit
from schemas.definition import Shown, TaskDefinition
from schemas.fields import Field, rating_range
from schemas.words import Words
from tasks.assignments import Held
from tasks.errors import Invalid

_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


@lru_cache(maxsize=256)
def markdown(text: str) -> Markup:
    """Render a requester's Markdown, without any HTML of theirs and without images."""
    return Markup(_markdown.render(text))  # noqa: S704  the renderer escapes


def item_context(
    visit: Visit,
    definition: TaskDefinition,
    held: Held,
    answer: dict[str, Any] | None,
) -> dict[str, Any]:
    """Prepare an item for widgets/item.html."""
    return {
        "assignment_id": str(held.id),
        "batch_id": str(held.batch_id),
        "data": held.data,
        "shown": [shown_part(definition, part, held.data) for part in definition.show],
        "fields": [field_context(field, held.data) for field in definition.fields],
        "answer": answer or {},
        "csrf": visit.viewer.csrf if visit.viewer else "",
    }


def shown_part(definition: TaskDefinition, part: Shown, data: dict[str, Any]) -> dict[str, Any]:
    """Prepare one shown part: its text, rendered Markdown or picture."""
    value = data.get(part.source, "")
    shown: dict[str, Any] = {
        "kind": part.kind,
        "label": part.label,
        "lang": definition.language,
        "source": part.source,
        "text": "",
        "src": "",
        "html": "",
    }
    if part.kind == "image":
        shown["src"] = value
    elif part.kind == "markdown":
        shown["html"] = markdown(str(value))
    else:
        shown["text"] = str(value)
    return shown


def field_context(field: Field, data: dict[str, Any]) -> dict[str, Any]:
    """Prepare one field for its widget."""
    prepared: dict[str, Any] = {
        "name": field.name,
        "kind": field.kind,
        "label": field.label,
        "hint": field.hint,
        "required": field.required,
        "options": [
            {"value": option.value, "label": option.label, "hint": option.hint, "key": option.key or ""}
            for option in field.options
        ],
        "source": field.source or "",
        "text": str(data.get(field.source, "")) if field.source else "",
        "src": str(data.get(field.source, "")) if field.source else "",
        **field.settings,
    }
    prepared["labels"] = prepared["options"]
    if field.kind == "rating":
        prepared["min"], prepared["max"] = rating_range(field.settings)
    return prepared


def answer_from_form(fields: Sequence[Field], form: Mapping[str, Any]) -> dict[str, Any]:
    """Read an answer from the plain form's `answer.<name>` fields; what is left empty is left out. Raises Invalid."""
    answer: dict[str, Any] = {}
    for field in fields:
        sent = form.get(f"answer.{field.name}", "")
        if sent in ("", []):
            continue
        answer[field.name] = _value(field, sent)
    return answer


def _value(field: Field, sent: Any) -> Any:
    if field.kind == "choices":
        return sent if isinstance(sent, list) else [sent]
    if not isinstance(sent, str):
        raise Invalid(Words("The field %(name)s was sent more than once.", name=field.label))
    if field.kind in {"choice", "text"}:
        return sent
    try:
        return json.loads(sent, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid(Words("The field %(name)s needs a number.", name=field.label)) from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)
