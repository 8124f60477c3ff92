"""Small sheets of answers, written as letters or found by hypothesis, and the same sheets under other names."""

from typing import Any

from hypothesis import strategies as st

from tasks.agreement import Answers

Row = tuple[str, str, str]

tables = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from("uvwxyz"), st.sampled_from("1234")), max_size=40
)


def sheet(*items: str) -> Answers:
    """Make answers from a string of one-letter labels per item; worker k gives each string's k-th letter."""
    return Answers.of(
        (f"i{at}", f"w{who}", label)
        for at, labels in enumerate(items)
        for who, label in enumerate(labels)
        if label != "."
    )


def renaming(rows: list[Row], random: Any) -> list[dict[str, str]]:
    """Exchange the names of the items, of the workers and of the labels among themselves."""
    columns = [sorted({row[at] for row in rows}) for at in range(3)]
    return [dict(zip(names, random.sample(names, len(names)), strict=True)) for names in columns]
