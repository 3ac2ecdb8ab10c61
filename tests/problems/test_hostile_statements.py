"""Statements that no author would write: they become text, or are refused with a sentence, and hold nobody up."""

from pathlib import Path

import pytest

from codeenv.problems import ProblemError, load
from codeenv.problems.packages.statement import MAX_STATEMENT_CHARS, html_to_text, latex_to_text, markdown_to_text
from tests.problems.test_packages import LEGACY, package


@pytest.mark.parametrize(("html", "text"), [
    ("<p>If a <![b then c</p>", "If a <![b then c"),
    ("<p>1<2 & 3 > 2</p>", "1<2 & 3 > 2"),
    ("<!DOCTYPE html><p>a<!-- <b>no</b> -->b</p>", "ab"),
    ("a <!-- is never closed", "a <!-- is never closed"),
    ('see <img alt="$a<b$" src="a.png">here', "see here"),
    ("<p title=don't>x</p>", "x"),
    ("a <b", "a <b"),
])  # fmt: skip
def test_html_that_is_not_well_formed_keeps_its_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize("piece", ["<a ", "<a b='", '<a "', "a<b ", "<!--", "<![", "<?", "</", "<script></"])
def test_unclosed_html_is_read_in_one_pass(piece: str) -> None:
    assert isinstance(html_to_text(piece * 50_000), str)  # the square of this length is hours


@pytest.mark.parametrize("piece", ["![", "![](", "![](a){"])
def test_unclosed_images_of_markdown_are_read_in_one_pass(piece: str) -> None:
    assert isinstance(markdown_to_text(piece * 100_000), str)


@pytest.mark.parametrize("text", [
    "\\includegraphics[" * 50_000,
    "\\begin{a}[" * 50_000,
    "\\textbf{" * 50_000 + "a" + "}" * 50_000,
])  # fmt: skip
def test_unclosed_and_nested_latex_is_read_in_a_bounded_number_of_passes(text: str) -> None:
    assert isinstance(latex_to_text(text), str)


def test_a_statement_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY, **{"problem_statement/problem.en.md": "a" * (MAX_STATEMENT_CHARS + 1)})
    with pytest.raises(ProblemError, match=r"problem_statement/problem.* has 1048577 characters; the limit is 1048576"):
        load(path)
