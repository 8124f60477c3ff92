"""Pay rules: a sound document has no problem, everything unsound is told with its place."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.pay_rules import check

NAIROBI: dict[str, Any] = {
    "id": "KE.general.cities.labourer",
    "version": 7,
    "kind": "statutory",
    "status": "in_force",
    "jurisdiction": "KE",
    "area": "cities-1",
    "scope": {"occupation": ["general_labourer"], "contract": ["any"], "min_age": 18},
    "currency": "KES",
    "rates": [
        {"per": "hour", "amount": "161.34"},
        {"per": "day", "amount": "868.44"},
        {"per": "month", "amount": "18047.40", "excludes": ["housing_15pct"]},
    ],
    "authoritative_unit": "hour",
    "hours_basis": {"week": "52", "days_per_week": 6, "month": None, "source": "rule 5"},
    "effective_from": "2026-05-01",
    "effective_to": None,
    "time_zone": "Africa/Nairobi",
    "overtime": [
        {"after": {"week": "52"}, "multiplier": "1.5"},
        {"on": "rest_day", "multiplier": "2"},
        {"on": "public_holiday", "multiplier": "2"},
    ],
    "night": None,
    "rest": {"paid": True, "minutes_per_hour": 5, "origin": "platform"},
    "source": {
        "title": "L.N. 108/2026",
        "url": "https://new.kenyalaw.org/akn/ke/act/ln/1982/120",
        "quote_lang": "en",
        "sha256": "0" * 64,
    },
    "recorded_at": "2026-11-23T00:00:00Z",
    "supersedes": "KE.general.cities.labourer@6",
    "confidence": "A",
    "verified_by": [
        {"who": "user:one", "at": "2026-11-20T10:00:00Z"},
        {"who": "user:two", "at": "2026-11-21T10:00:00+03:00"},
    ],
    "review_by": "2027-05-15",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    rule = copy.deepcopy(NAIROBI)
    place: Any = rule
    *way, last = [int(step) if step.isdigit() else step for step in path.strip("/").split("/")]
    for step in way:
        place = place[step]
    place[last] = value
    return rule


def test_a_statutory_rule_is_sound() -> None:
    assert check(NAIROBI) == []
    assert check(json.dumps(NAIROBI).encode()) == []


def test_a_platform_floor_may_hold_everywhere() -> None:
    rule = changed("jurisdiction", None) | {"kind": "platform", "area": None}
    for name in ("scope", "overtime", "rest", "night", "supersedes", "hours_basis"):
        del rule[name]
    assert check(rule) == []


def test_an_agreement_names_its_parties() -> None:
    rule = changed("kind", "agreement")
    assert [problem.pointer for problem in check(rule)] == ["/agreement"]
    rule["agreement"] = {
        "parties": ["Data Workers Association", "Fairlabel operator"],
        "bargaining_unit": "Annotators in Nairobi",
        "document_sha256": "a" * 64,
    }
    assert check(rule) == []
    rule["agreement"]["parties"].pop()
    assert [problem.pointer for problem in check(rule)] == ["/agreement/parties"]


@pytest.mark.parametrize(
    ("path", "value", "pointer", "said"),
    [
        ("rates/0/amount", 161.34, "/rates/0/amount", "must be a text"),
        ("rates/0/amount", "161,34", "/rates/0/amount", "required form"),
        ("rates/0/amount", "1e3", "/rates/0/amount", "required form"),
        ("rates/0/amount", "-1", "/rates/0/amount", "required form"),
        ("rates/0/amount", "1\n", "/rates/0/amount", "required form"),
        ("rates/0/amount", "0.00", "/rates/0/amount", "zero"),
        ("rates/1/per", "hour", "/rates/1/per", "already"),
        ("authoritative_unit", "week", "/authoritative_unit", "no rate per week"),
        ("kind", "statuary", "/kind", "did you mean 'statutory'"),
        ("status", "inforce", "/status", "did you mean 'in_force'"),
        ("jurisdiction", "Kenya", "/jurisdiction", "required form"),
        ("jurisdiction", None, "/jurisdiction", "holds somewhere"),
        ("currency", "kes", "/currency", "required form"),
        ("effective_from", "2026-13-01", "/effective_from", "not a date"),
        ("effective_from", "20260501", "/effective_from", "not a date"),
        ("effective_to", "2026-05-01", "/effective_to", "begins on"),
        ("time_zone", "Africa/Nairoby", "/time_zone", "did you mean 'Africa/Nairobi'"),
        ("recorded_at", "2026-11-23T00:00:00", "/recorded_at", "not a time with its zone"),
        ("verified_by/1/who", "user:one", "/verified_by", "here by 1"),
        ("verified_by", [], "/verified_by", "here by 0"),
        ("overtime/0/multiplier", "0.5", "/overtime/0/multiplier", "below 1"),
        ("overtime/0/after", {"week": "52", "day": "8"}, "/overtime/0/after", "at most 1 names"),
        ("overtime/1", {"multiplier": "2"}, "/overtime/1", "at least 2 names"),
        ("night", {"from": "22:00", "to": "06:00", "multiplier": "0.9"}, "/night/multiplier", "below 1"),
        ("night", {"from": "24:00", "to": "06:00", "multiplier": "1.2"}, "/night/from", "required form"),
        ("hours_basis/week", "200", "/hours_basis/week", "has not 200 hours"),
        ("source/url", "javascript:alert(1)", "/source/url", "web address"),
        ("source/url", "https://user@example.org/", "/source/url", "web address"),
        ("source/sha256", "abc", "/source/sha256", "required form"),
        ("supersedes", "KE.general.cities.labourer@7", "/supersedes", "follows itself"),
        ("scope/max_age", 16, "/scope/min_age", "more than"),
        ("currencey", "KES", "/currencey", "did you mean 'currency'"),
        (
            "agreement",
            {"parties": ["a", "b"], "bargaining_unit": "x", "document_sha256": "a" * 64},
            "/agreement",
            "no other",
        ),
    ],
)
def test_what_is_unsound_is_told_with_its_place(path: str, value: Any, pointer: str, said: str) -> None:
    found = {problem.pointer: problem for problem in check(changed(path, value))}
    assert said in found[pointer].message
    assert found[pointer].hint


@pytest.mark.parametrize(("unit", "basis"), [("day", "week"), ("month", "week"), ("month", "month")])
def test_a_rate_that_cannot_be_brought_to_the_hour_is_told(unit: str, basis: str) -> None:
    rule = changed("authoritative_unit", unit)
    rule["hours_basis"] = {basis: "52", "days_per_week": 6, "source": "rule 5"}
    assert check(rule) == []
    rule["hours_basis"] = None
    assert [problem.pointer for problem in check(rule)] == ["/hours_basis"]


def test_only_a_law_can_state_that_there_is_no_minimum() -> None:
    rule = changed("rates", [])
    assert check(rule) == []
    assert [problem.pointer for problem in check(rule | {"kind": "platform"})] == ["/rates"]


def test_a_draft_needs_nobody_to_verify_it() -> None:
    assert check(changed("status", "draft") | {"verified_by": []}) == []


def test_what_is_no_document_is_told() -> None:
    assert check(b"\xff")[0].message
    assert check("[]")[0].message.startswith("the document must be an object")
    assert check("[" * 1_000)[0].message.startswith("the document is nested")


@given(
    st.sampled_from(sorted(NAIROBI)),
    st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2),
)
def test_any_value_gives_problems_and_never_an_error(name: str, value: Any) -> None:
    assert isinstance(check(NAIROBI | {name: value}), list)
    assert check({key: one for key, one in NAIROBI.items() if key != name}) == [] or name not in {
        "note",
        "scope",
    }
