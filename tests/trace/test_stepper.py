"""The stepper in a real browser: it steps forward and back, jumps to the exception, and runs nothing of the trace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from traced_run import run

from codeenv.trace.stepper import stepper_fragment, stepper_html

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
from browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

PROGRAM = """\
def best(prices):
    low = prices[0]
    for price in prices:
        low = min(low, price)
        if price < 0:
            raise ValueError("</script><b id=evil>bad</b>")
    return low

text = "<img id=evil src=x onerror=document.title='evil'>"
print(best([4, 2, 3]))
best([1, -1])
"""


@pytest.fixture(scope="module")
def browser():
    opened = Browser(1100, 800)
    yield opened
    opened.close()


@pytest.fixture
def page(browser, tmp_path):
    done = run(PROGRAM)
    file = tmp_path / "stepper.html"
    file.write_text(stepper_html(done.trace, PROGRAM, done.output + "<b id=evil>"), "utf-8")
    browser.requests.clear()
    browser._send("Page.navigate", url=file.as_uri())
    browser.wait("document.querySelector('.cs-count') !== null")
    return browser


def text(page, selector):
    return page.evaluate(f"document.querySelector({selector!r}).textContent")


def press(page, label):
    page.evaluate(f"[...document.querySelectorAll('button')].find((b) => b.textContent.includes({label!r})).click()")


def test_it_steps_forward_and_back_and_shows_the_current_line_and_variables(page):
    assert text(page, ".cs-count").startswith("step 1 of ")
    for _ in range(3):
        press(page, "forward")
    assert text(page, ".cs-count").startswith("step 4 of ")
    assert text(page, ".cs-now span:nth-child(2)") == "    low = prices[0]"
    assert (
        text(page, ".cs-frames")
        == "best · call 1prices[4, 2, 3]low4moduletext\"<img id=evil src=x onerror=document.title='evil'>\""
    )
    press(page, "back")
    assert text(page, ".cs-count").startswith("step 3 of ")
    assert "low4" not in text(page, ".cs-frames")


def test_it_shows_what_the_program_had_printed_at_each_step(browser, tmp_path):
    program = "print('h\\u00e9llo')\nx = 1\nfor k in range(3):\n    print(k)\nprint('end')\n"
    done = run(program, counts_output=True)
    file = tmp_path / "printing.html"
    file.write_text(stepper_html(done.trace, program, done.output), "utf-8")
    browser._send("Page.navigate", url=file.as_uri())
    browser.wait("document.querySelector('.cs-count') !== null && document.title === 'trace'")
    shown = []
    for _ in done.trace.events:
        shown.append(text(browser, ".cs-output"))
        press(browser, "forward")
    assert shown == [
        "héllo\n", "héllo\n", "héllo\n", "héllo\n0\n", "héllo\n0\n", "héllo\n0\n1\n", "héllo\n0\n1\n",
        "héllo\n0\n1\n2\n", "héllo\n0\n1\n2\n", "héllo\n0\n1\n2\nend\n", "héllo\n0\n1\n2\nend\n",
    ]  # fmt: skip
    press(browser, "back")
    assert text(browser, ".cs-output .cs-new") == "end\n"


def test_it_jumps_to_the_exception(page):
    press(page, "exception")
    assert text(page, ".cs-now.cs-raise span:nth-child(1)") == "6"
    assert text(page, ".cs-what").startswith("line 6: raises ValueError")
    assert "price-1" in text(page, ".cs-frames")


def test_keys_and_the_slider_move_it(page):
    page.evaluate(
        "document.querySelector('.codeenv-stepper').dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}))"
    )
    assert page.evaluate("document.querySelector('input').value === document.querySelector('input').max")
    page.evaluate("const s = document.querySelector('input'); s.value = 2; s.dispatchEvent(new Event('input'))")
    assert text(page, ".cs-count").startswith("step 3 of ")


def test_text_of_the_program_is_never_markup_and_nothing_is_loaded(page):
    assert page.evaluate("document.getElementById('evil') === null && document.title") == "trace"
    assert text(page, ".cs-output").endswith("<b id=evil>")
    assert [url for url in page.requests if not url.startswith("file:")] == []
    assert page.errors == []


def test_several_fragments_share_a_page(browser, tmp_path):
    done = run(PROGRAM)
    file = tmp_path / "two.html"
    fragment = stepper_fragment(done.trace, PROGRAM, done.output)
    file.write_text(f"<!doctype html><meta charset=utf-8><body>{fragment}<hr>{fragment}", "utf-8")
    browser._send("Page.navigate", url=file.as_uri())
    browser.wait("document.querySelectorAll('.cs-count').length === 2")
    press(browser, "forward")
    counts = browser.evaluate("[...document.querySelectorAll('.cs-count')].map((count) => count.textContent.slice(0, 7))")
    assert counts == ["step 2 ", "step 1 "]
