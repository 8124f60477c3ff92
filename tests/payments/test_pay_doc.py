"""The page about pay is run: its example must come out as printed."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "pay.md"


def test_the_example_of_the_page_comes_out_as_printed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    code = "\n".join("" if line.startswith("```") else line for line in text.splitlines())
    example = doctest.DocTestParser().get_doctest(code, {}, "pay.md", str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(example, out=said.append)
    assert result.attempted > 20
    assert result.failed == 0, "".join(said)


def test_the_page_states_the_figures_of_the_example() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for figure in (
        "2,860",
        "2,500",
        "145.14",
        "85.14",
        "27.50",
        "7.50",
        "18.34",
        "190.98",
        "275.01",
        "115.20",
    ):
        assert figure in text
