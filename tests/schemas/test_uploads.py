"""Uploads: bad rows come back with line, field and reason, good rows go in, memory stays bounded."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import examples
from schemas.definition import TaskDefinition, parse
from schemas.lines import FILE_BYTES_MAX, ROW_BYTES_MAX
from schemas.seen_keys import SeenKeys
from schemas.uploads import BadRow, FileProblem, Row, export_cell, rows

MTURK = Path(__file__).parents[2].parent / "shared" / "data" / "mturk"


def sentiment() -> TaskDefinition:
    return parse(examples()["sentiment"])


def with_columns(**columns: dict[str, Any]) -> TaskDefinition:
    """A definition with the column `text` and others."""
    document = examples()["sentiment"]
    document["data"]["properties"] = {"text": {"type": "string"}, **columns}
    document["examples"] = []
    return parse(document)


def read(
    content: bytes | str, kind: str = "csv", definition: TaskDefinition | None = None
) -> list[Row | BadRow]:
    raw = content.encode() if isinstance(content, str) else content
    return list(rows(io.BytesIO(raw), kind, definition or sentiment()))


def good(found: list[Row | BadRow]) -> list[Row]:
    return [row for row in found if isinstance(row, Row)]


def bad(found: list[Row | BadRow]) -> list[BadRow]:
    return [row for row in found if isinstance(row, BadRow)]


class Generated(io.RawIOBase):
    """A stream that is made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.rest = self.rest or next(self.pieces, b"")
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size


def stream(pieces: Iterator[bytes]) -> io.BufferedReader:
    return io.BufferedReader(Generated(pieces))


def test_a_plain_file() -> None:
    found = read("key,text,gold.sentiment,META_source\na1,Hello,positive,forum\na2,Bonjour,,\n")
    assert found == [
        Row(2, "a1", {"text": "Hello"}, {"META_source": "forum"}, {"sentiment": "positive"}),
        Row(3, "a2", {"text": "Bonjour"}, {}, None),
    ]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_delimiters_and_line_ends(mark: str, sign: str, end: str) -> None:
    content = mark + end.join([f"id{sign}text", f"7{sign}naïve 👍", f'8{sign}"a{sign}b"']) + end
    assert [(row.key, row.data["text"]) for row in good(read(content))] == [
        ("7", "naïve 👍"),
        ("8", f"a{sign}b"),
    ]


def test_the_delimiter_is_not_looked_for_within_quotes() -> None:
    assert read('"a;b;c",text\n1,x\n', definition=with_columns(**{"a;b;c": {"type": "string"}}))[0].line == 2


def test_line_breaks_within_quotes_keep_the_physical_line() -> None:
    found = read('text\n"one\ntwo\r\nthree"\n\nnext\n"four\nfive"\nbad,cell\n')
    assert [(row.line, row.data["text"]) for row in good(found)] == [
        (2, "one\ntwo\r\nthree"),
        (6, "next"),
        (7, "four\nfive"),
    ]
    assert bad(found)[0].line == 9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: the file is empty."),
        (b"text\n", "line 1: the file has no rows."),
        (b"text\nfine\ncaf\xe9\n", "byte 14, line 3: the byte 0xe9 is not UTF-8"),
        ("text\nfine\n".encode("utf-16"), "byte 1, line 1: the file is UTF-16"),
        ("text\nfine\n".encode("utf-16-le"), "byte 2, line 1: the file is UTF-16"),
        ("text\nfine\n".encode("utf-16-be"), "byte 1, line 1: the file is UTF-16"),
        ("text\nfine\n".encode("utf-32"), "the file is UTF-16"),
        (
            b"tekst\na\n",
            "line 1: the column 'text' is missing. Found, parted by commas: 'tekst'. Is 'tekst' meant",
        ),
        (b"lang\nen\n", "line 1: the column 'text' is missing."),
        (b"text,text\na,b\n", "line 1, column 2: the column 'text' stands twice."),
        (b"text,txet\na,b\n", "line 1, column 2: unknown column 'txet'; did you mean 'text'?"),
        (b"text,gold.mood\na,b\n", "line 1, column 2: unknown column 'gold.mood'"),
        (b"text,\na,b\n", "line 1, column 2: column 2 has no name"),
        (b"text,a\0b\na,b\n", "line 1, column 2: column 2 has a name with a hidden character: 'a�b'."),
        ("text,\u202eb\na,b\n".encode(), "line 1, column 2: column 2 has a name with a hidden character"),
        (
            b"PK\x03\x04\x14\0\0\0",
            "byte 1, line 1: the file is a zip archive or an Excel workbook, not text.",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "the file is an old Excel workbook"),
        (b"\x1f\x8b\x08", "the file is a file compressed with gzip, not text. Unpack it first."),
        (b"%PDF-1.7\n", "the file is a PDF"),
        (b"\x89PNG\r\n", "the file is a picture"),
        (b"\0" * 100, "the file holds NUL bytes and no text."),
        (b"text," + b",".join(b"META_%d" % n for n in range(600)) + b"\n", "there are 601 columns"),
        (b"text\rone\rtwo\r", "line 1: the lines end with a carriage return alone."),
        (b'"text\none\n', "line 1: the header cannot be read: a quote"),
        (b"x" * (ROW_BYTES_MAX + 10), "line 1: the header cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_place_and_remedy(content: bytes, said: str) -> None:
    with pytest.raises(FileProblem) as caught:
        read(content)
    assert said in str(caught.value)
    assert caught.value.remedy
    assert caught.value.place


@pytest.mark.parametrize("content", ["text\nfine\n".encode("utf-16"), b'{"text": "\xe9"}\n', b""])
def test_a_lines_file_that_cannot_be_used_says_so(content: bytes) -> None:
    with pytest.raises(FileProblem):
        read(content, "jsonl")


def test_an_unknown_kind_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="xlsx"):
        read("text\n", "xlsx")


def test_bad_rows_never_stop_good_ones() -> None:
    content = "key,text\n" + "".join(f"{n},{'' if n % 2 else 'good'}\n" for n in range(2_000))
    found = read(content)
    assert len(good(found)) == len(bad(found)) == 1_000
    assert {(row.field, row.reason) for row in bad(found)} == {("text", "'text' is missing.")}
    assert [row.line for row in bad(found)] == list(range(3, 2_002, 2))


@pytest.mark.parametrize(
    ("row", "field", "value", "said"),
    [
        ("1,", "text", "", "'text' is missing"),
        (",x", "key", "", "the key is empty"),
        ("0,x", "key", "0", "stands in line 2 already"),
        ("k" * 201 + ",x", "key", "kkk", "more than 200 characters"),
        ("1,x,y", "", "", "has 3 cells, the header has 2"),
        ("1", "", "", "has 1 cells, the header has 2"),
        ('1,"a"b', "", "", "followed by something else"),
        ("1,a\0b", "text", "a\ufffdb", "NUL"),
        ("1,a\rb", "", "", "carriage return"),
        ("1," + "x" * 2_001, "text", "xxx", "at most 2,000 characters"),
        ("1," + "x" * 120_000, "text", "", "120,000 characters"),
        ("1," + "x" * 140_000, "", "", "more than 100,000 characters"),
        ("1," + "x" * ROW_BYTES_MAX, "", "", "more than 1,048,576 bytes"),
    ],
)
def test_a_bad_row_has_line_field_value_and_reason(row: str, field: str, value: str, said: str) -> None:
    found = read(f"key,text\n0,first\n{row}\n9,last\n")
    assert [one.data["text"] for one in good(found)] == ["first", "last"]
    (one,) = bad(found)
    assert (one.line, one.field) == (3, field)
    assert said in one.reason
    assert one.hint
    assert one.value.startswith(value)
    assert len(one.value) <= 100
    assert "\0" not in one.value + one.reason


@pytest.mark.parametrize("last", ["", "\n8,after\n", '\n8,"after"\n', '\n8,after\n9,"a ""b"" c"\n'])
def test_a_quote_that_is_not_closed_costs_one_row(last: str) -> None:
    found = read(f'key,text\n1,before\n2,"open{last}')
    assert [(row.line, row.reason) for row in bad(found)] == [
        (3, "a quote that opens in this row is not closed.")
    ]
    assert len(good(found)) == 1 + last.count("\n", 1)


def test_quotes_that_never_fit_cost_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    content = "text\n" + '"a\nb"c\n' * 3_000
    found = read(content)
    assert len(bad(found)) == len(good(found)) == 3_000
    monkeypatch.setattr("schemas.csv_records.REREAD_CHARS_MAX", 5_000)
    with pytest.raises(FileProblem, match="quotes that do not fit"):
        read(content)


def test_many_problems_of_one_row_are_all_kept() -> None:
    definition = with_columns(n={"type": "integer"}, b={"type": "boolean"})
    (row,) = bad(read("text,n,b\nx,one,maybe\n", definition=definition))
    assert [problem.pointer for problem in row.problems] == ["/n", "/b"]
    assert row.reason.endswith("(and 1 more in this row)")


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("integer", "12", 12),
        ("integer", " -3 ", -3),
        ("integer", "4.0", 4),
        ("number", "1.5", 1.5),
        ("number", "1e3", 1000.0),
        ("number", "7", 7),
        ("boolean", "TRUE", True),
        ("boolean", "no", False),
        ("array", '["a", 1]', ["a", 1]),
        ("object", '{"a": 1}', {"a": 1}),
        ("null", "null", None),
        ("string", "=1+1", "=1+1"),
        ("string", "@cmd", "@cmd"),
        ("string", "007", "007"),
        ("string", " kept ", " kept "),
    ],
)
def test_cells_become_what_the_definition_wants(kind: str, cell: str, value: Any) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    (row,) = good(read(f"text,other\nx,{quoted}\n", definition=with_columns(other={"type": kind})))
    assert row.data["other"] == value
    assert type(row.data["other"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "cell", "said"),
    [
        ("integer", "1.5", "no whole number"),
        ("integer", "twelve", "no whole number"),
        ("integer", "9007199254740993", "not kept exactly"),
        ("integer", "9" * 5_000, "no whole number"),
        ("number", "1,5", "no number"),
        ("number", "inf", "no number"),
        ("number", "nan", "no number"),
        ("number", "1e999", "endless"),
        ("number", "٣", "no number"),
        ("boolean", "ja", "neither true nor false"),
        ("array", "a|b", "not a list"),
        ("array", '{"a": 1}', "must be a list"),
        ("array", "[" * 500, "nested deeper"),
        ("null", "x", "must be empty"),
    ],
)
def test_cells_of_another_type_are_bad(kind: str, cell: str, said: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    (row,) = bad(read(f"text,other\nx,{quoted}\n", definition=with_columns(other={"type": kind})))
    assert row.field == "other"
    assert said in row.reason


def test_known_answers_of_every_form() -> None:
    document = examples()["entities"]
    options = [{"value": "a b", "label": "A"}, {"value": "c", "label": "C"}]
    document["fields"] += [
        {"name": "many", "kind": "choices", "label": "Many", "options": options},
        {"name": "stars", "kind": "rating", "label": "Stars", "max": 5},
        {"name": "amount", "kind": "number", "label": "Amount"},
        {"name": "words", "kind": "text", "label": "Words", "required": True},
    ]
    document["examples"] = []
    marks = '[{""start"": 0, ""end"": 3, ""label"": ""person""}]'
    content = (
        "text,gold.entities,gold.many,gold.stars,gold.amount,gold.words\n"
        f'Ada,"{marks}",a b | c,4,1.5,007\n'
        'Ada,,"[""c""]",,,\n'
        f'Ad,"{marks}",,,,\n'
        "Ada,nonsense,,,,\n"
        "Ada,,,high,,\n"
        "Ada,,d,,,\n"
    )
    found = read(content, definition=parse(document))
    assert [row.gold for row in good(found)] == [
        {
            "entities": [{"start": 0, "end": 3, "label": "person"}],
            "many": ["a b", "c"],
            "stars": 4,
            "amount": 1.5,
            "words": "007",
        },
        {"many": ["c"]},
    ]
    assert [(row.line, row.field.split("/")[0]) for row in bad(found)] == [
        (4, "gold.entities"),
        (5, "gold.entities"),
        (6, "gold.stars"),
        (7, "gold.many"),
    ]


def test_pictures_are_addresses_and_nothing_else() -> None:
    content = "image\n/static/a.png\n//evil.example/a\njavascript:alert(1)\ndata:x\na b\n"
    found = read(content, definition=parse(examples()["boxes"]))
    assert [row.line for row in good(found)] == [2]
    assert all("no address of a picture" in row.reason for row in bad(found))


def test_pictures_that_no_page_may_show_are_refused_with_what_helps() -> None:
    addresses = [
        "https://media.example.org/a.png",
        "https://a.b.cdn.example/a.png",
        "https://other.example/a.png",
        "http://media.example.org/a.png",
        "https://media.example.org:8443/a.png",
        "https://xcdn.example/a.png",
    ]
    content = "\n".join(["image", *addresses]).encode()
    definition = parse(examples()["boxes"])
    origins = ["https://media.example.org", "https://*.cdn.example"]
    found = list(rows(io.BytesIO(content), "csv", definition, origins))
    assert [row.line for row in good(found)] == [2, 3]
    refused = bad(found)[0]
    assert (refused.field, refused.reason) == ("image", "pages here show no pictures from other.example.")
    assert "https://media.example.org, https://*.cdn.example" in refused.hint
    alone = bad(list(rows(io.BytesIO(content), "csv", definition)))
    assert len(alone) == len(addresses)
    assert "its operator can allow other sites" in alone[0].hint


def test_lines_of_every_form() -> None:
    lines = [
        {"text": "bare"},
        {"key": "k", "text": "bare with key", "META_from": 3, "gold.sentiment": "neutral"},
        {"key": 5, "data": {"text": "full"}, "gold": {"sentiment": "positive"}, "meta": {"from": "x"}},
        {"data": {"text": "no key"}, "gold": {}},
    ]
    content = (
        "\n".join(json.dumps(line) for line in lines[:2])
        + "\n\n  \n"
        + "\r\n".join(map(json.dumps, lines[2:]))
    )
    assert read(content, "jsonl") == [
        Row(1, None, {"text": "bare"}, {}, None),
        Row(2, "k", {"text": "bare with key"}, {"META_from": 3}, {"sentiment": "neutral"}),
        Row(5, "5", {"text": "full"}, {"from": "x"}, {"sentiment": "positive"}),
        Row(6, None, {"text": "no key"}, {}, None),
    ]


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        ("nonsense", "", "not JSON"),
        ('{"text": "a"', "", "not JSON"),
        ("[1]", "", "no JSON object"),
        ('{"text": "a", "text": "b"}', "text", "stands twice"),
        ('{"text": 3}', "text", "must be a text"),
        ('{"text": NaN}', "text", "NaN"),
        ('{"text": "\\u0000"}', "text", "NUL"),
        ('{"text": "\\ud800"}', "text", "surrogate"),
        ('{"txt": "a"}', "txt", "did you mean 'text'"),
        ("[" * 100_000, "", "nested deeper"),
        ('{"key": "\\u0000", "text": "a"}', "key", "NUL"),
        ('{"key": "first", "text": "a"}', "key", "stands in line 1 already"),
        ('{"key": true, "text": "a"}', "key", "no text"),
        ('{"key": 1.5, "data": {"text": "a"}}', "key", "must be a text or a whole number"),
        ('{"key": "", "data": {"text": "a"}}', "key", "is empty"),
        ('{"data": {"text": "a"}, "gold": 3}', "gold", "must be an object"),
        ('{"data": {"text": "a"}, "gold": {"sentiment": "sad"}}', "gold.sentiment", "cannot be 'sad'"),
        ('{"data": {"text": "a"}, "extra": 3}', "extra", "unknown name 'extra'"),
        ('{"text": "' + "x" * ROW_BYTES_MAX + '"}', "", "more than 1,048,576 bytes"),
    ],
)
def test_a_bad_line_has_its_place_and_reason(line: str, field: str, said: str) -> None:
    found = read('{"key": "first", "text": "a"}\n' + line + '\n{"text": "last"}\n', "jsonl")
    assert [row.data["text"] for row in good(found)] == ["a", "last"]
    (one,) = bad(found)
    assert (one.line, one.field) == (2, field)
    assert said in one.reason


def test_columns_named_as_our_own_are_data_when_the_definition_says_so() -> None:
    definition = with_columns(key={"type": "string"}, data={"type": "object"})
    assert read("id,key,text\n1,c sharp,x\n", definition=definition) == [
        Row(2, "1", {"key": "c sharp", "text": "x"}, {}, None)
    ]
    assert read('{"text": "x", "data": {"a": 1}}', "jsonl", definition) == [
        Row(1, None, {"text": "x", "data": {"a": 1}}, {}, None)
    ]


def test_dots_in_column_names_are_no_paths() -> None:
    document = examples()["sentiment"]
    document["data"] = {"type": "object", "properties": {"Input.text": {"type": "string"}}}
    document["show"] = [{"kind": "text", "from": "Input.text"}]
    document["examples"] = []
    (row,) = read("Input.text,WorkerId\nhello,w1\n", definition=parse(document))
    assert isinstance(row, Row)
    assert row.data == {"Input.text": "hello", "WorkerId": "w1"}


@pytest.mark.skipif(not MTURK.is_dir(), reason="the Mechanical Turk files are not beside the checkout")
def test_real_files_are_read_as_the_standard_library_reads_them() -> None:
    document = examples()["sentiment"]
    document["data"] = {"type": "object", "properties": {"Input.seg1": {"type": "string"}}}
    document["show"] = [{"kind": "text", "from": "Input.seg1"}]
    document["examples"] = []
    definition = parse(document)
    for path in sorted(MTURK.glob("*.csv")):
        with path.open("rb") as opened:
            found = list(rows(opened, "csv", definition))
        with path.open(newline="", encoding="utf-8") as text:
            expected = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(text)]
        assert [row.data for row in good(found)] == expected
        assert bad(found) == []


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(deadline=None)
@given(
    st.lists(texts, min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read_again(values: list[str], sign: str, end: str) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=sign, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "META_n"])
    writer.writerows([value, str(n)] for n, value in enumerate(values))
    found = read(written.getvalue(), definition=with_columns())
    assert [row.data["text"] for row in good(found)] == values
    assert bad(found) == []


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=120), st.sampled_from(["csv", "jsonl"]), st.booleans())
def test_any_bytes_give_rows_or_a_file_problem(content: bytes, kind: str, headed: bool) -> None:  # noqa: FBT001
    start = b"key,text\n1,fine\n" if headed and kind == "csv" else b""
    try:
        found = read(start + content, kind)
    except FileProblem:
        return  # the file as a whole was refused, which is told elsewhere
    lines = [row.line for row in found]
    assert lines == sorted(lines)


@settings(deadline=None, max_examples=300)
@given(st.text('",\n\rab', max_size=40))
def test_stray_quotes_never_lose_the_rows_before_and_after(middle: str) -> None:
    found = read(f'text\nbefore\n{middle}\n"\nafter one\nafter two\n', definition=with_columns())
    values = [row.data["text"] for row in good(found)]
    assert values[0] == "before"
    assert found[-1].line <= 6 + middle.count("\n") + 1
    if '"' not in middle:
        assert values[-2:] == ["after one", "after two"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_large_file_is_read_in_bounded_memory(kind: str) -> None:
    text = "word " * 4_000

    def pieces() -> Iterator[bytes]:
        if kind == "csv":
            yield b"key,text\n"
        for n in range(1_600):
            yield (f'{n},"{text}"\n' if kind == "csv" else f'{{"key": {n}, "text": "{text}"}}\n').encode()

    definition = with_columns()
    count = 0
    tracemalloc.start()
    try:
        for row in rows(stream(pieces()), kind, definition):
            count += isinstance(row, Row)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 1_600
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("opening", [b"", b'"', b'"\n'])
def test_one_endless_line_is_passed_over_in_bounded_memory(kind: str, opening: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield (b"text\n" if kind == "csv" else b'{"text": "first"}\n') + opening
        for _ in range(500):
            yield b"x" * 65_536
        yield b"\nlast\n" if kind == "csv" else b'\n{"text": "last"}\n'

    tracemalloc.start()
    try:
        found = list(rows(stream(pieces()), kind, sentiment()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(found[-1], Row)
    assert found[-1].data == {"text": "last"}
    assert bad(found)
    assert peak < 8 * 1024 * 1024


def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FILE_BYTES_MAX == 1024**3
    monkeypatch.setattr("schemas.lines.FILE_BYTES_MAX", 1_000)
    with pytest.raises(FileProblem, match="byte 1,001: the file has more than 1,000 bytes"):
        read("text\n" + "row\n" * 300)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.uploads.ROWS_MAX", 100)
    with pytest.raises(FileProblem, match="line 102: the file has more than 100 rows"):
        read("text\n" + "row\n" * 101)


def test_keys_are_remembered_in_little_memory() -> None:
    seen = SeenKeys()
    tracemalloc.start()
    try:
        assert all(seen.first_line(f"key {n}", n + 2) is None for n in range(20_000))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 20_000 * 60
    assert [seen.first_line(f"key {n}", 0) for n in (0, 10_000, 19_999)] == [2, 10_002, 20_001]


@pytest.mark.parametrize("text", ["=1+1", "+1 234", "-x", "@a", "\tx", "\rx", "\nx", "＝1", "'=1"])
def test_formulas_are_made_harmless_on_the_way_out(text: str) -> None:
    assert export_cell(text) == "'" + text


@pytest.mark.parametrize(
    ("value", "cell"), [("-5", "-5"), (-5, "-5"), ("+1.5e3", "+1.5e3"), ("a=b", "a=b"), (None, "")]
)
def test_other_cells_stay_as_they_are(value: Any, cell: str) -> None:
    assert export_cell(value) == cell


@given(st.text("'=+-@\t\n1a", max_size=8))
def test_what_goes_out_is_harmless_and_can_be_brought_back(text: str) -> None:
    cell = export_cell(text)
    assert cell[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"} or float(cell) is not None
    rest = cell.lstrip("'")
    quoted = cell.startswith("'") and rest[:1] in {"=", "+", "-", "@", "\t", "\n"}
    assert (cell[1:] if quoted else cell) == text
