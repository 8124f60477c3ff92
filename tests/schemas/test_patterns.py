"""Patterns from outside: what is let through ends soon on any text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.patterns import TEXT_CHARS_MAX, matches, unsafe
from schemas.registry import compiled


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^(a+)+$", "repeats"),
        ("(a|a)*b", "repeats"),
        ("(x+x+)+y", "repeats"),
        ("((ab)*)*", "repeats"),
        (".*.*.*x", "too long"),
        ("a?" * 40 + "a" * 40, "too long"),
        ("(a|b|ab)" * 20, "too long"),
        ("(a{1000}){1000}", "too long"),
        ("[a-z]+@", "too long"),
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "reference back"),
        ("(a)(?(1)b|c)", "condition"),
        ("(?i)a", "flags"),
        ("(?i:a)", "flags"),
        ("a" * 201, "201 characters"),
        ("[a", "cannot be read"),
        ("[[a]", "cannot be read"),
        ("a{99999999999999999999}", "cannot be read"),
    ],
)
def test_what_could_take_for_ever_is_refused(pattern: str, reason: str) -> None:
    assert reason in (unsafe(pattern) or "")


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}$",
        "^[a-z]+@[a-z]+[.][a-z]+$",
        "^https?://",
        "^(yes|no)$",
        "^([0-9]{3}-)+[0-9]{4}$",
        "^.*$",
        "[aeiou]",
        "(((((a)))))",
        "^(?>a+)b",
    ],
)
def test_everyday_patterns_are_let_through(pattern: str) -> None:
    assert unsafe(pattern) is None


def test_a_short_limit_of_the_text_lets_more_through() -> None:
    assert unsafe("[a-z]+@") is not None
    assert unsafe("[a-z]+@", 1_000) is None


@settings(max_examples=300, deadline=None)
@given(st.text("ab.()*+?|{}2,^$[]\\ds", max_size=24), st.sampled_from(["a", "ab", "1", "\n"]))
@example("^a*a*$", "a")
@example("a*b", "a")
@example("^(a|b)*?c", "ab")
def test_accepted_patterns_end(pattern: str, piece: str) -> None:
    for length in (100, 1_000, TEXT_CHARS_MAX):
        if unsafe(pattern, length) is None:
            text = (piece * length)[: length - 1] + "!"
            assert matches(pattern, text) in {True, False}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^a$", "a", True),
        ("^a$", "a\n", False),
        (r"^a\$$", "a$", True),
        ("^[$]$", "$", True),
        ("^[]$]$", "$", True),
        (r"^\d$", "٣", False),
        (r"^(a$|b)", "a\n", False),
    ],
)
def test_patterns_mean_what_they_mean_in_a_browser(pattern: str, text: str, expected: bool) -> None:  # noqa: FBT001
    assert unsafe(pattern) is None
    assert matches(pattern, text) is expected


def test_a_text_over_the_limit_is_not_matched() -> None:
    assert not matches("a", "a" * (TEXT_CHARS_MAX + 1))
    check = compiled({"type": "string", "pattern": "^(a+)+$"})
    assert [error.validator for error in check.iter_errors("a" * (TEXT_CHARS_MAX + 1) + "!")] == ["pattern"]
    check = compiled({"type": "string", "pattern": "^(a+)+$", "maxLength": 10})
    assert [error.validator for error in check.iter_errors("a" * 60 + "!")] == ["maxLength"]
