"""Mechanical Turk result files: what is read, what is handed back, and each figure by hand and by brute force."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.mturk_audit import Audit, NoSuchFloor, OtherCurrency, audit, floor_named, union_seconds
from payments.mturk_files import Assignment, FileRead, UnreadableFile, read
from payments.mturk_report import as_json, rounded, treatment

MTURK = Path(__file__).resolve().parents[3] / "shared" / "data" / "mturk"
FILES = sorted(MTURK.glob("*.csv"))
FLOOR = Fraction(725)
START = datetime(2009, 6, 10, 12, 0, tzinfo=UTC)
KEYS = (
    *(
        "assignments",
        "rejected",
        "workers",
        "paid",
        "union_hours",
        "sum_hours",
        "median_hourly_per_assignment",
    ),
    *(
        "median_hourly_per_worker",
        "share_assignments_under_floor",
        "share_workers_under_floor",
        "missing_pay",
    ),
)

real = pytest.mark.skipif(not FILES, reason=f"real result files are not here: {MTURK}")

ROW = {
    "HITId": "H1",
    "AssignmentId": "A1",
    "WorkerId": "W1",
    "AssignmentStatus": "Approved",
    "AcceptTime": "Wed Jun 10 12:00:00 GMT 2009",
    "SubmitTime": "Wed Jun 10 12:30:00 GMT 2009",
    "Reward": "$1.50",
    "WorkTimeInSeconds": "1800",
    "Answer.text": "one\ntwo",
}


def file_of(*rows: dict[str, str]) -> io.BytesIO:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(ROW), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(ROW | row for row in rows)
    return io.BytesIO(out.getvalue().encode())


def read_rows(*rows: dict[str, str]) -> FileRead:
    return read(file_of(*rows), "made.csv")


def made(
    identity: str,
    worker: str,
    start: int,
    end: int,
    reward: int = 100,
    status: str = "Approved",
    batch: str = "b",
) -> Assignment:
    """Make an assignment from minutes after START."""
    begin, stop = (START + timedelta(minutes=minutes) for minutes in (start, end))
    return Assignment(batch, 2, identity, worker, status, begin, stop, reward, (end - start) * 60)


# Reading


def test_a_row_is_read() -> None:
    (row,) = read_rows({}).assignments
    assert (row.batch, row.line, row.id, row.worker, row.status) == ("made.csv", 2, "A1", "W1", "Approved")
    assert (row.accepted, row.seconds) == (START, 1800)
    assert (row.reward, row.reported_seconds) == (150, 1800)


@pytest.mark.parametrize(
    "value",
    [
        "Wed Jun 10 05:00:00 PDT 2009",
        "Wed Jun 10 04:00:00 PST 2009",
        "Wed Jun 10 12:00:00 UTC 2009",
        "2009/06/10 12:00:00 +0000",
        "2009/06/10 17:30:00 +0530",
        "2009/06/10 02:00:00 -1000",
    ],
)
def test_both_forms_of_time_and_all_zones_are_one_moment(value: str) -> None:
    assert [row.accepted for row in read_rows({"AcceptTime": value}).assignments] == [START]


@pytest.mark.parametrize(
    "value",
    [
        "Tue Jun 10 12:00:00 GMT 2009",  # it was a Wednesday
        "Wed Jun 10 12:00:00 EDT 2009",
        "Wed Jun 10 12:00:00 2009",
        "Wed Jun 31 12:00:00 GMT 2009",
        "wed jun 10 12:00:00 GMT 2009",
        "Wed Jun 10 25:00:00 GMT 2009",
        "2009/06/10 12:00:00",
        "2009-06-10T12:00:00Z",
        "2009/06/10 12:00:00 +9900",
        "0001/01/01 00:00:00 +1400",
        "10.06.2009 12:00",
        "٢٠٠٩/06/10 12:00:00 +0000",
    ],
)
def test_any_other_time_is_handed_back(value: str) -> None:
    found = read_rows({"AcceptTime": value}, {"AssignmentId": "A2"})
    assert [row.id for row in found.assignments] == ["A2"]
    assert [(p.line, p.field) for p in found.problems] == [(2, "AcceptTime")]
    assert value in found.problems[0].reason


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("AssignmentId", "", "is empty"),
        ("WorkerId", " ", "is empty"),
        ("WorkerId", "W\x1b[31m", "control characters"),
        ("WorkerId", "W" * 101, "too long"),
        ("SubmitTime", "", "is empty"),
        ("SubmitTime", "Wed Jun 10 11:59:59 GMT 2009", "is before AcceptTime"),
        ("AssignmentStatus", "approved", "known are Approved, Rejected, Submitted"),
        ("Reward", "1.50", "expected like $1.50"),
        ("Reward", "$-1.50", "expected like $1.50"),
        ("Reward", "$1.505", "expected like $1.50"),
        ("Reward", "€1.50", "expected like $1.50"),
        ("Reward", "$1e3", "expected like $1.50"),
    ],
)
def test_bad_fields_are_handed_back(field: str, value: str, reason: str) -> None:
    found = read_rows({field: value}, {"AssignmentId": "A2"})
    assert len(found.assignments) == found.unusable == len(found.problems) == 1
    assert (found.problems[0].field, found.problems[0].line) == (field, 2)
    assert reason in found.problems[0].reason


@pytest.mark.parametrize(
    ("reward", "cents"), [("$1", 100), ("$0.5", 50), ("$0.05", 5), ("$12.34", 1234), ("$0.00", 0)]
)
def test_rewards(reward: str, cents: int) -> None:
    assert [row.reward for row in read_rows({"Reward": reward}).assignments] == [cents]


@pytest.mark.parametrize("reported", ["", "-5", "12.5", "many", "1e3"])
def test_an_unusable_work_time_costs_no_row(reported: str) -> None:
    assert [row.reported_seconds for row in read_rows({"WorkTimeInSeconds": reported}).assignments] == [None]


def test_lines_count_quoted_newlines() -> None:
    found = read_rows({}, {"AssignmentId": "A2", "Reward": "?"}, {"AssignmentId": "A3"})
    assert [row.line for row in found.assignments] == [2, 6]
    assert [problem.line for problem in found.problems] == [4]


def test_too_many_fields_are_handed_back_and_dropped_empty_ones_are_not_missed() -> None:
    text = file_of({}).getvalue().decode() + '"H","A2","W1","Approved"\r\n\r\n'
    shifted = text + ",".join(["x"] * 10) + "\r\n"
    short = ",".join(f'"{value}"' for value in list(ROW.values())[:7]).replace("A1", "A9")
    found = read(io.BytesIO((shifted + short).encode()), "made.csv")
    assert [row.id for row in found.assignments] == ["A1", "A9"]
    assert [(p.field, p.reason) for p in found.problems] == [
        ("AcceptTime", "is empty"),
        ("row", "has 10 fields where the header has 9"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert len(read(io.BytesIO(b"\xef\xbb\xbf" + file_of({}).getvalue()), "made.csv").assignments) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "needs the columns AssignmentId"),
        (b"a,b\n1,2\n", "needs the columns AssignmentId"),
        (file_of({}).getvalue().replace(b"HITId", b"Reward"), "needs the columns Reward, each once"),
        (file_of({}).getvalue().decode().encode("utf-16"), "UTF-8"),
        (file_of({}).getvalue() + b'"unfinished', "CSV near line 4"),
        (file_of({}).getvalue() + b"x" * 5_000_000, "longer than 4,000,000"),
    ],
)
def test_a_file_without_trust_is_refused_by_name(content: bytes, says: str) -> None:
    with pytest.raises(UnreadableFile, match=r"made\.csv") as refusal:
        read(io.BytesIO(content), "made.csv")
    assert says in refusal.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"gone\.csv cannot be opened"):
        read(tmp_path / "gone.csv", "gone.csv")


def test_a_thousand_bad_rows_are_all_counted() -> None:
    found = read_rows(*({"AssignmentId": f"A{at}", "Reward": "free"} for at in range(1500)))
    assert (len(found.assignments), found.unusable, len(found.problems)) == (0, 1500, 1000)


# The figures


def test_a_worked_example() -> None:
    # W1 holds two HITs 12:00-13:00 and 12:30-13:30 (90 minutes once) for 1.00 each; the second is rejected.
    # W2 works 6 minutes for 1.00 (10 an hour). Floor 7.25: W1 is owed 10.88 (10.875), has 1.00; W2 has enough.
    rows = [made("A1", "W1", 0, 60), made("A2", "W1", 30, 90, status="Rejected"), made("A3", "W2", 0, 6)]
    found = as_json(audit(rows, FLOOR, "USD"))
    assert {key: found[key] for key in KEYS} == {
        "assignments": 3,
        "rejected": 1,
        "workers": 2,
        "paid": Decimal("2.00"),
        "union_hours": Decimal("1.6000"),
        "sum_hours": Decimal("2.1000"),
        "median_hourly_per_assignment": Decimal("1.0000"),
        "median_hourly_per_worker": Decimal("5.3333"),
        "share_assignments_under_floor": Decimal("0.666667"),
        "share_workers_under_floor": Decimal("0.500000"),
        "missing_pay": Decimal("9.88"),
    }
    assert [(row["worker"], row["missing_pay"]) for row in found["per_worker"]] == [
        ("W1", Decimal("9.88")),
        ("W2", Decimal("0.00")),
    ]


def test_missing_pay_rounds_up_once_per_worker() -> None:
    # One second at 7.25 an hour is 0.2014 cents: each of three workers is owed a whole cent.
    second = timedelta(seconds=1)
    rows = [
        Assignment("b", 2, f"A{at}", f"W{at}", "Rejected", START, START + second, 5, 1) for at in range(3)
    ]
    assert audit(rows, FLOOR, "USD").figures.missing_pay == 3


def test_exactly_at_the_floor_is_not_under_it() -> None:
    found = audit([made("A1", "W1", 0, 60, reward=725)], FLOOR, "USD")
    assert found.figures.share_assignments_under_floor == found.figures.missing_pay == 0
    assert [(each.low, each.assignments) for each in found.histogram if each.assignments] == [(FLOOR, 1)]


def test_submitted_counts_as_paid_and_is_told() -> None:
    found = audit([made("A1", "W1", 0, 60, status="Submitted")], FLOOR, "USD")
    assert found.figures.paid == 100
    assert any(sentence.startswith("1 assignments were neither approved") for sentence in treatment(found))


def test_an_assignment_without_time_has_pay_but_no_hourly_pay() -> None:
    found = audit([made("A1", "W1", 0, 0), made("A2", "W2", 0, 60)], FLOOR, "USD")
    assert (found.figures.assignments, found.figures.workers, found.figures.paid) == (2, 2, 200)
    assert found.figures.median_hourly_per_assignment == found.figures.median_hourly_per_worker == 100
    assert found.figures.share_workers_under_floor == 1
    assert found.oddities.instant == 1


def test_nothing_gives_no_figures() -> None:
    found = as_json(audit([], FLOOR, "USD"))
    assert [found[key] for key in KEYS] == [0, 0, 0, 0, 0, 0, None, None, None, None, 0]
    json.dumps(found, default=str)


def test_the_same_file_twice_changes_no_figure() -> None:
    rows = [made("A1", "W1", 0, 60), made("A2", "W1", 30, 90)]
    once, twice = audit(rows, FLOOR, "USD"), audit([*rows, *rows], FLOOR, "USD")
    assert once.figures == twice.figures
    assert (twice.oddities.repeated_rows, twice.replaced) == (2, [])


def test_a_changed_row_counts_as_read_last_and_is_named() -> None:
    rows = [made("A1", "W1", 0, 60, status="Rejected", batch="old"), made("A1", "W1", 0, 60, batch="new")]
    found = audit(rows, FLOOR, "USD")
    assert (found.figures.assignments, found.figures.rejected, found.figures.paid) == (1, 0, 100)
    assert [(each.file, each.reason) for each in found.replaced] == [
        ("new", "A1 was in old line 2 with other facts; this row counts")
    ]


def test_long_assignments_stay_and_their_weight_is_shown() -> None:
    rows = [made("A1", "W1", 0, 60), made("A2", "W2", 0, 61), made("A3", "W3", 0, 600)]
    found = audit(rows, FLOOR, "USD")
    assert found.figures.sum_seconds == 721 * 60
    assert [(line.hours, line.left_out, line.left_out_seconds // 60) for line in found.without_long] == [
        (1, 2, 661),
        (4, 1, 600),
    ]
    assert [line.figures.assignments for line in found.without_long] == [1, 2]


def test_a_batch_does_not_make_up_for_another() -> None:
    rows = [
        made("A1", "W1", 0, 60, reward=1450, batch="rich"),
        made("A2", "W1", 60, 120, reward=0, batch="poor"),
    ]
    found = audit(rows, FLOOR, "USD")
    assert (found.figures.missing_pay, found.missing_pay_by_batch) == (0, 725)
    assert list(found.batches) == ["rich", "poor"]


def test_a_floor_in_another_currency_is_refused() -> None:
    with pytest.raises(OtherCurrency):
        audit([], Fraction(1390), "EUR")


def test_floors_by_place_and_amount() -> None:
    day = date(2026, 11, 23)
    assert (
        floor_named("US", day).rate
        == floor_named("7.25USD", day).rate
        == floor_named("7.25 usd", day).rate
        == 725
    )
    assert "US.federal" in floor_named("US", day).origin
    assert floor_named("US-CA", day).rate > 725
    assert floor_named("13.90EUR", day).currency == "EUR"


@pytest.mark.parametrize("named", ["", "XX", "AT", "USA", "7.25", "7,25USD", "-1USD", "1e3USD", "US; DROP"])
def test_no_such_floor(named: str) -> None:
    with pytest.raises(NoSuchFloor):
        floor_named(named, date(2026, 11, 23))


def test_a_figure_is_rounded_exactly() -> None:
    assert str(rounded(Fraction(1, 3), 4)) == "0.3333"
    assert str(rounded(Fraction(2, 1), 2)) == "2.00"
    assert str(rounded(Fraction(25, 1000), 2)) == "0.02"


spans = st.lists(
    st.tuples(
        st.sampled_from("XYZ"), st.integers(0, 50), st.integers(0, 50), st.integers(0, 300), st.booleans()
    ),
    max_size=12,
)


def made_from(drawn: list[tuple[str, int, int, int, bool]]) -> list[Assignment]:
    return [
        made(
            f"A{at}",
            worker,
            min(a, b),
            max(a, b),
            reward,
            "Rejected" if rejected else "Approved",
            batch="pq"[at % 2],
        )
        for at, (worker, a, b, reward, rejected) in enumerate(drawn)
    ]


@given(spans)
def test_laws(drawn: list[tuple[str, int, int, int, bool]]) -> None:
    rows = made_from(drawn)
    found = audit(rows, FLOOR, "USD")
    assert found.figures == audit(rows[::-1], FLOOR, "USD").figures
    assert found.figures.union_seconds <= found.figures.sum_seconds
    assert (
        found.figures.paid + found.figures.missing_pay >= Fraction(found.figures.union_seconds, 3600) * FLOOR
    )
    assert found.figures.missing_pay <= found.missing_pay_by_batch
    assert sum(each.assignments for each in found.histogram) == len(rows) - found.oddities.instant
    for worker in "XYZ":
        own = [row for row in rows if row.worker == worker]
        minutes = {
            at
            for row in own
            for at in range(*(int((t - START).total_seconds()) // 60 for t in (row.accepted, row.submitted)))
        }
        assert union_seconds(own) == 60 * len(minutes)


# Real files


def real_audit() -> Audit:
    found = [read(path, path.name) for path in FILES]
    assert [each.problems for each in found] == [[]] * len(FILES)
    return audit([row for each in found for row in each.assignments], FLOOR, "USD")


def brute_force() -> dict[str, Any]:
    """Recompute from the raw rows with another parser and one set member per worked second."""
    texts = [path.read_bytes().decode("utf-8-sig") for path in FILES]
    rows = [row for text in texts for row in csv.DictReader(io.StringIO(text, newline=""))]
    seconds: dict[str, set[int]] = {}
    paid: dict[str, int] = {}
    hourly = []
    total = 0
    for row in rows:
        begin, end = (
            int(datetime.strptime(row[key], "%a %b %d %H:%M:%S GMT %Y").replace(tzinfo=UTC).timestamp())
            for key in ("AcceptTime", "SubmitTime")
        )
        cents = 0 if row["AssignmentStatus"] == "Rejected" else round(float(row["Reward"][1:]) * 100)
        seconds.setdefault(row["WorkerId"], set()).update(range(begin, end))
        paid[row["WorkerId"]] = paid.get(row["WorkerId"], 0) + cents
        hourly.append(cents * 36 / (end - begin))
        total += end - begin
    per_worker = [paid[worker] * 36 / len(worked) for worker, worked in seconds.items()]
    missing = sum(max(0, -(-len(worked) * 725 // 3600) - paid[worker]) for worker, worked in seconds.items())
    return {
        "assignments": len(rows),
        "rejected": sum(row["AssignmentStatus"] == "Rejected" for row in rows),
        "workers": len(seconds),
        "paid": sum(paid.values()) / 100,
        "union_hours": sum(map(len, seconds.values())) / 3600,
        "sum_hours": total / 3600,
        "median_hourly_per_assignment": median(hourly),
        "median_hourly_per_worker": median(per_worker),
        "share_assignments_under_floor": sum(rate < 7.25 for rate in hourly) / len(hourly),
        "share_workers_under_floor": sum(rate < 7.25 for rate in per_worker) / len(per_worker),
        "missing_pay": missing / 100,
    }


@real
def test_real_files_equal_an_independent_recomputation() -> None:
    document = json.loads(
        msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode(as_json(real_audit()))
    )
    assert {key: document[key] for key in KEYS} == pytest.approx(brute_force(), abs=6e-5)


@real
def test_real_files_overlap_and_say_so() -> None:
    found = real_audit()
    assert found.figures.union_seconds < found.figures.sum_seconds / 2
    assert found.figures.rejected == 18
    assert sum(of.assignments for of in found.batches.values()) == found.figures.assignments == 303
    assert found.oddities.other_work_time == 0
    said = " ".join(treatment(found))
    for fact in ("90:23 hours", "208:16", "18 rejected", "46 assignments took over 1 h", "624.05 USD"):
        assert fact in said
