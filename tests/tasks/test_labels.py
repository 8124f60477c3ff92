"""Labels as files hold them: what they mean, what is refused, which kind a column is."""

import pytest

from tasks.aggregators.labels import guess, read_boxes, read_number, read_spans, write_boxes, write_spans


def test_marks_are_read_in_each_form() -> None:
    assert read_spans("[[5, 9], [0, 2]]") == ((0, 2, ""), (5, 9, ""))
    assert read_spans('[[0, 2, "x"], [3, 3, "x"]]') == ((0, 2, "x"),)
    assert read_spans('[{"start": 1, "end": 2, "label": "x"}]') == ((1, 2, "x"),)
    assert read_boxes("[[10, 20, 0, 5]]") == (((0, 5, 10, 20), ""),)
    assert read_boxes('[{"x": 1, "y": 2, "width": 3, "height": 4}]') == (((1, 2, 4, 6), ""),)
    assert write_spans(read_spans('[[0, 2, "x"]]')) == [[0, 2, "x"]]
    assert write_boxes(read_boxes("[[0, 1, 2, 3]]")) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    "text",
    ["", "5", "{}", "[[1]]", "[[2, 1]]", "[[-1, 1]]", "[[0, 1.5]]", "[[0, true]]", '[[0, "1"]]', "[[0, 1e99]]",
     "[[0, NaN]]", "[5]", "[[0, 1, 2]]", "[[0, 1", "[" * 100_000, '[{"start": 0}]'],
)  # fmt: skip
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_spans(text)


@pytest.mark.parametrize(
    "text", ["[[0, 1, 2]]", "[[0, 1, 2, Infinity]]", '[{"x": 1}]', "null", "[[0, 0, 1, 1, 5]]"]
)
def test_what_is_no_box_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_boxes(text)


@pytest.mark.parametrize("text", ["", "nan", "inf", "x", "1,5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_number(text)


@pytest.mark.parametrize(
    ("labels", "answers", "gold", "kind"),
    [
        (["a", "b"], 10, [], "class"),
        (["0", "1"], 10, [], "class"),
        (["0", "1"], 10, ["0.4"], "number"),
        (["0.5", "1"], 10, [], "number"),
        ([str(number) for number in range(21)], 100, [], "number"),
        ([f"text {number}" for number in range(30)], 30, [], "text"),
        ([f"class {number}" for number in range(30)], 3000, [], "class"),
        (["[]", "[[0, 2]]"], 10, [], "spans"),
        (["[]", '[[0, 2, "x"]]'], 10, [], "spans"),
        (["[[0, 1, 2, 3]]"], 10, [], "boxes"),
        (['[{"x": 0, "y": 0, "width": 1, "height": 1}]'], 10, [], "boxes"),
        ([], 0, [], "class"),
    ],
)
def test_kinds_are_guessed(labels: list[str], answers: int, gold: list[str], kind: str) -> None:
    assert guess(labels, answers, gold) == kind
