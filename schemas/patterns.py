"""Patterns (regular expressions) from outside, made safe before they are used.

A pattern is read into its parts, and the steps that its worst text could cost are bounded from above; beyond
STEPS_MAX it is refused. Look-arounds, references back and nested repetition are refused in any case. A text longer
than TEXT_CHARS_MAX is never matched at all.
"""

import importlib
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from schemas.words import Words

PATTERN_CHARS_MAX = 200
"""Characters of one pattern."""
TEXT_CHARS_MAX = 10_000
"""Characters of a text that is matched against a pattern."""
FLAGS_CHANGED = Words("it changes the flags of matching")
STEPS_MAX = 5_000_000
"""Steps that the worst text may cost: about a tenth of a second."""

_parser: Any = importlib.import_module("re._parser")
_REFUSED = {
    "ASSERT": Words("it holds a look-around"),
    "ASSERT_NOT": Words("it holds a look-around"),
    "GROUPREF": Words("it holds a reference back to a group"),
    "GROUPREF_EXISTS": Words("it holds a condition on a group"),
}
_UNREADABLE = {
    "missing ), unterminated subpattern": Words("it cannot be read: a closing parenthesis is missing"),
    "unbalanced parenthesis": Words("it cannot be read: an opening parenthesis is missing"),
    "unterminated character set": Words("it cannot be read: a closing bracket is missing"),
    "nothing to repeat": Words("it cannot be read: there is nothing to repeat"),
    "multiple repeat": Words("it cannot be read: a repetition is repeated"),
    "min repeat greater than max repeat": Words("it cannot be read: a repetition ends before it begins"),
}
_TOKENS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|\$", re.DOTALL)
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_SINGLES = ("LITERAL", "NOT_LITERAL", "IN", "ANY")
# Every ASCII character and a few beyond, to ask whether two classes of characters can meet.
_SAMPLES = [chr(code) for code in range(128)] + ["é", "ſ", "İ", "ß", "Ж", "٣", "中", " ", "😀"]


class _Refused(Exception):
    """The pattern is not safe; the words say why."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


def unsafe(pattern: str, text_chars_max: int = TEXT_CHARS_MAX) -> Words | None:
    """Say why a pattern cannot be used on texts of that length; None if it can."""
    if len(pattern) > PATTERN_CHARS_MAX:
        sizes = {"length": len(pattern), "most": PATTERN_CHARS_MAX}
        return Words("it has %(length)s characters; %(most)s are allowed", **sizes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a pattern of doubtful meaning is no pattern
            compiled = re.compile(_as_in_browsers(pattern), re.ASCII)
            parts = _parser.parse(_as_in_browsers(pattern), re.ASCII)
        if compiled.flags & ~re.ASCII:
            return FLAGS_CHANGED
        length = min(text_chars_max, TEXT_CHARS_MAX)
        steps = _steps(list(parts), length, 1) * (1 if _is_anchored(parts) else length + 1)
    except _Refused as reason:
        return reason.words
    except (re.error, OverflowError, RecursionError, ValueError, Warning) as error:
        return _UNREADABLE.get(getattr(error, "msg", ""), Words("it cannot be read"))
    if steps > STEPS_MAX:
        return Words("a text of %(length)s characters could take it far too long", length=length)
    return None


def matches(pattern: str, text: str) -> bool:
    """Tell whether a checked pattern occurs in a text; a text over the limit does not match."""
    return len(text) <= TEXT_CHARS_MAX and re.search(_as_in_browsers(pattern), text, re.ASCII) is not None


@lru_cache(maxsize=1_024)
def _as_in_browsers(pattern: str) -> str:
    """Make `$` the end of the text alone: Python's also stands before a last line break."""
    return _TOKENS.sub(lambda token: r"\Z" if token[0] == "$" else token[0], pattern)


def _steps(parts: Sequence[Any], length: int, after: int) -> int:
    """Bound the steps of matching these parts when what follows costs `after`."""
    cost = after
    for place in range(len(parts) - 1, -1, -1):
        kind, told = str(parts[place][0]), parts[place][1]
        following = parts[place + 1] if place + 1 < len(parts) else None
        cost = min(_part_steps(kind, told, following, length, cost), 10 * STEPS_MAX)
    return cost


def _part_steps(kind: str, told: Any, following: Any, length: int, after: int) -> int:
    if kind in _REFUSED:
        raise _Refused(_REFUSED[kind])
    if kind in _REPEATS:
        return _repeat_steps(told, following, length, after)
    if kind == "BRANCH":
        return sum(_steps(list(branch), length, after) + 1 for branch in told[1])
    if kind == "SUBPATTERN":
        if told[1] or told[2]:
            raise _Refused(FLAGS_CHANGED)
        return _steps(list(told[3]), length, after)
    if kind == "ATOMIC_GROUP":
        return _steps(list(told), length, 1) + after
    if kind in _SINGLES or kind == "AT":
        return 1 + after
    raise _Refused(Words("it holds a part that is not known here"))


def _repeat_steps(told: Any, following: Any, length: int, after: int) -> int:
    least, most, body = int(told[0]), int(told[1]), list(told[2])
    if most > 1 and _chooses(body):
        raise _Refused(Words("it repeats something that itself repeats or chooses"))
    once = _steps(body, length, 0)
    times = min(most, length)
    if least == most or (most > 1 and _cannot_meet(body, following)):
        return times * (once + 1) + after
    if most == 1:
        return _steps(body, length, after) + after + 1
    return times * (once + 1) + (times - min(least, times) + 1) * after


def _is_anchored(parts: Sequence[Any]) -> bool:
    """Tell whether matching can begin at one place only."""
    return (
        bool(parts)
        and str(parts[0][0]) == "AT"
        and str(parts[0][1]) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}
    )


def _chooses(parts: Sequence[Any]) -> bool:
    """Tell whether the parts can match one text in more than one way."""
    for kind, told in parts:
        name = str(kind)
        if name == "BRANCH" or (name in _REPEATS and told[0] != told[1]):
            return True
        if name in _REPEATS and _chooses(list(told[2])):
            return True
        if name == "SUBPATTERN" and _chooses(list(told[3])):
            return True
        if name == "ATOMIC_GROUP" and _chooses(list(told)):
            return True
    return False


def _cannot_meet(body: Sequence[Any], following: Any) -> bool:
    """Tell whether a repetition ends at one place only: what follows it can never be a part of it."""
    if len(body) != 1 or str(body[0][0]) not in _SINGLES or following is None:
        return False
    kind, told = str(following[0]), following[1]
    if kind == "AT":
        return str(told) in {"AT_END", "AT_END_STRING"}
    if kind in _REPEATS and int(told[0]) >= 1 and len(told[2]) == 1:
        kind = str(told[2][0][0])
        following = told[2][0]
    if kind not in _SINGLES or (_reaches_far(body[0]) and _reaches_far(following)):
        return False
    return not any(_takes(body[0], sign) and _takes(following, sign) for sign in _signs(body[0], following))


def _reaches_far(part: Any) -> bool:
    """Tell whether a class holds characters that the samples may miss."""
    kind, told = str(part[0]), part[1]
    if kind == "LITERAL":
        return False
    return kind != "IN" or any(str(one[0]) not in {"LITERAL", "RANGE"} or _wide(one) for one in told)


def _wide(one: Any) -> bool:
    return str(one[0]) == "RANGE" and int(one[1][1]) > 127


def _signs(*parts: Any) -> list[str]:
    literals = [chr(part[1]) for part in parts if str(part[0]) == "LITERAL"]
    within = [
        chr(one[1]) for part in parts if str(part[0]) == "IN" for one in part[1] if str(one[0]) == "LITERAL"
    ]
    return [*_SAMPLES, *literals, *within]


def _takes(part: Any, sign: str) -> bool:
    kind, told = str(part[0]), part[1]
    if kind == "ANY":
        return True
    if kind in {"LITERAL", "NOT_LITERAL"}:
        return bool(ord(sign) == told) == (kind == "LITERAL")
    negated = bool(told) and str(told[0][0]) == "NEGATE"
    return negated != any(_class_takes(one, sign) for one in told)


def _class_takes(one: Any, sign: str) -> bool:
    kind, told = str(one[0]), one[1]
    if kind == "LITERAL":
        return bool(ord(sign) == told)
    if kind == "RANGE":
        return bool(told[0] <= ord(sign) <= told[1])
    if kind == "CATEGORY":
        form = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(told).rsplit("_", 1)[1]]
        return (re.match(form, sign, re.ASCII) is not None) != ("NOT" in str(told))
    return False
