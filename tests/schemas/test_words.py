"""Words are the English sentence to everybody, and keep what another language needs."""

from copy import deepcopy
from datetime import timedelta

import pytest

from schemas.words import NOTHING, Words, either, in_a_row, listed, put_together, taken_apart

NESTED = Words(
    "%(who)s: %(why)s, %(size)s",
    who=Words("line %(line)s", line=1_200),
    why=["'a'", Words("a text")],
    size=7,
)


def test_words_are_their_english_text() -> None:
    found = Words("'%(name)s' has %(n)s rows", name="x", n=12_000)
    assert found == "'x' has 12,000 rows"
    assert hash(found) == hash("'x' has 12,000 rows")
    assert (found.template, found.values) == ("'%(name)s' has %(n)s rows", {"name": "x", "n": 12_000})
    assert NESTED == "line 1,200: 'a', a text, 7"


def test_words_without_values_may_hold_a_percent_sign() -> None:
    assert Words("100 % of it") == "100 % of it"
    assert Words("%(n)s %% of it", n=5) == "5 % of it"


@pytest.mark.parametrize(
    ("value", "written"), [(timedelta(minutes=2), "120 s"), (0.5, "0.5"), ([1, "b"], "1, b"), (None, "None")]
)
def test_values_are_written_plainly(value: object, written: str) -> None:
    assert Words("%(value)s", value=value) == written


def test_words_are_put_together_as_they_were() -> None:
    again = put_together(taken_apart(NESTED))
    assert again == NESTED
    assert (again.template, again.values) == (NESTED.template, NESTED.values)
    assert isinstance(again.values["why"][1], Words)
    assert deepcopy(NESTED).values == NESTED.values


def test_words_from_a_table_take_their_values_later() -> None:
    assert Words("at most %(n)s characters").filled(n=3) == "at most 3 characters"


def test_what_a_stranger_wrote_can_be_changed_everywhere() -> None:
    said = Words("%(a)s %(b)s %(n)s", a=["x", Words("in %(c)s", c="x")], b="x", n=1)
    assert said.with_texts(str.upper) == "X, in X X 1"


def test_words_are_joined() -> None:
    assert either(["a"]) == "a"
    assert either(["a", "b", "c"]) == "a, b or c"
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == NOTHING == ""
    assert in_a_row(Words("One."), Words("Two."), Words("Three.")) == "One. Two. Three."
