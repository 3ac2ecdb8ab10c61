"""Which part of a response is the program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeenv.submission import extract_code, fence


@pytest.mark.parametrize(
    ("response", "source"),
    [
        ("```python\na = 1\n```", "a = 1\n"),
        ("First\n```python\na = 1\n```\nthen\n```python\nb = 2\n```", "b = 2\n"),
        ("```python\na = 1\n```\nwhich prints\n```\n1\n```", "a = 1\n"),
        ("```text\nx\n```\n```\nb = 2\n```", "b = 2\n"),
        ("```PY\na = 1\n```", "a = 1\n"),
        ("```python title=x\na = 1\n```", "a = 1\n"),
        ("~~~python\na = 1\n~~~", "a = 1\n"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
        ("   ```python\na = 1\n   ```", "a = 1\n"),
        ("```python\r\na = 1\r\n```", "a = 1\r\n"),
        ("```python\n```", ""),
        ("```python\na = 1\n```\n```python\ncut = ", "a = 1\n"),
        ("```\n```python\na = 1\n```\n```", "a = 1\n"),
        ("```\n\n```python\na = 1\n```\nwords", "a = 1\n"),
        ("```\n```python\na = 1\n```\n```\nthen\n```\n```python\nb = 2\n```\n```", "b = 2\n"),
        ("````\n```python\na = 1\n```\n````\nthen\n```python\nb = 2\n```", "b = 2\n"),
        ("```\na = 1\n```\n```text\nx\n```", "x\n"),
        ("```python\ncut = ", None),
        ("no code", None),
        ("", None),
        ("inline ```a = 1``` only", None),
    ],
)
def test_the_last_closed_python_block_is_the_program(response, source):
    assert extract_code(response) == source


@pytest.mark.parametrize(
    ("response", "source"),
    [("a = 1\n", "a = 1\n"), ("```python\na\n```", "a\n"), ("```python\ncut", None), ("  \n", None)],
)
def test_without_a_fence_the_whole_response_counts_only_if_fences_are_not_required(response, source):
    assert extract_code(response, require_fence=False) == source


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_fenced_program_is_read_back(source):
    expected = source if source.endswith("\n") else source + "\n"
    assert extract_code(fence(source)) == expected
