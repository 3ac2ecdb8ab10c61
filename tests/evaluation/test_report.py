"""The HTML report, in a real browser where it matters."""

import re
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from made_runs import judged, make_episode, make_problem, random_episodes, write_run

from codeenv.episode import EnvConfig, Episode
from codeenv.errors import CodeenvError
from codeenv.evaluation.intervals import Estimate
from codeenv.evaluation.report import Curve, Series, Table, write_report
from codeenv.evaluation.report.figures import line_figure, nice_ticks
from codeenv.evaluation.report.overview import edits_figure
from codeenv.submission import fence

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture
def browser():
    with Browser() as browser:
        yield browser
        assert browser.errors == []
        assert all(url.startswith(("file:", "about:", "blob:")) for url in browser.requests), "the page asked the network"


@pytest.fixture
def page(two_runs, tmp_path):
    curve = Curve("Learning", "step", "solved", [Series("a", [0, 1], [0.1, 0.5], [0.0, 0.4], [0.2, 0.6])])
    table = Table("Before and after", ["arm", "rate", "n"], [["after", Estimate(0.5, 0.4, 0.6, 20), 3], ["before", None, 0.25]])
    return write_report(two_runs, tmp_path / "report.html", title="Repairs <b>& guesses", tables=[table], curves=[curve])


def test_the_file_names_nothing_outside_itself(page):
    text = page.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#)[^"']*["']""", text)
    assert "Repairs &lt;b&gt;&amp; guesses" in text


def test_equal_runs_make_equal_bytes(two_runs, tmp_path):
    first, second = (write_report(two_runs, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


@in_browser
def test_the_overview_shows_tables_and_figures(page, browser):
    browser.open(page.as_uri())
    titles = browser.evaluate("[...document.querySelectorAll('figcaption')].map((e) => e.textContent)")
    assert titles[0] == "Learning"
    assert "Solved by turn" in titles
    assert "Public verdicts from turn to turn: guesses" in titles
    assert browser.evaluate("document.querySelector('table.numbers').innerText").startswith("arm")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")


@in_browser
def test_the_table_filters_sorts_and_opens_by_keyboard(page, browser):
    browser.open(page.as_uri() + "#/episodes")
    assert browser.evaluate("document.getElementById('shown').textContent").startswith("120 of 120 episodes")
    choose = "(id, value) => { const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('input')); }"
    browser.evaluate(f"({choose})('f-run', '1')")
    browser.evaluate(f"({choose})('f-outcome', 'repaired')")
    rows = browser.evaluate("table.shown.map((row) => [row.run, row.solved, row.verdicts.length])")
    assert rows
    assert all(run == 1 and solved and turns > 1 for run, solved, turns in rows)
    browser.evaluate("document.querySelectorAll('#grid-head button')[0].click()")
    ids = browser.evaluate("table.shown.map((row) => row.id)")
    assert ids == sorted(ids)
    browser.evaluate("document.getElementById('grid').focus()")
    browser.press("ArrowDown")
    browser.press("Enter")
    browser.wait("document.querySelector('#episode h1')")
    assert browser.evaluate("document.querySelector('#episode h1').textContent") == ids[1]
    assert browser.evaluate("document.activeElement.textContent") == ids[1], "the focus is not where the new content begins"
    browser.press("Escape")
    browser.wait("document.activeElement.id === 'grid'")


@in_browser
def test_an_episode_shows_the_statement_the_changes_the_tests_and_the_feedback(tmp_path, browser):
    problem = make_problem(4)
    hostile = "def f(x):\n    return '</script><img src=x onerror=alert(1)>'\n"
    episode = make_episode(problem, ["aw", "wr", "aa"], sources=[hostile, hostile + "# more\n", "def f(x):\n    return x + 4\n"])
    path = write_report([write_run(tmp_path / "run", [episode])], tmp_path / "r.html")
    browser.open(path.as_uri() + "#/episode/0/0")
    browser.wait("document.querySelectorAll('.turn').length === 3")
    text = browser.evaluate("document.getElementById('episode').innerText")
    assert problem.statement in text
    assert episode.turns[0].feedback in browser.evaluate("document.querySelector('#turn-1 .seen').textContent")
    assert browser.evaluate("[...document.querySelectorAll('#turn-2 .ln.add')].map((e) => e.textContent)") == ["# more"]
    assert browser.evaluate("[...document.querySelectorAll('#turn-2 .change')].map((e) => e.textContent)") == ["newly broken"]
    cells = browser.evaluate("[...document.querySelectorAll('#turn-1 tbody tr:nth-child(2) td code')].map((e) => e.textContent)")
    assert cells == ["f(5)", "9", "10"]
    assert "</script><img" in browser.evaluate("document.querySelector('#turn-1 .code').textContent")
    assert not browser.evaluate("Boolean(document.querySelector('#episode img'))")


@in_browser
def test_marks_that_turn_text_around_are_spelled_out(tmp_path, browser):
    sources = ["def f(x):\n    return x  # \u202e}{ \u2066\n", "def f(x):\n    return x  # \u202e}{\n"]
    path = write_report(
        [write_run(tmp_path / "run", [make_episode(make_problem(4), ["aw", "wr", "wr"], sources=[*sources, sources[1]])])],
        tmp_path / "r.html",
    )
    browser.open(path.as_uri() + "#/episode/0/0")
    browser.wait("document.querySelectorAll('.turn').length === 3")
    assert "x  # <U+202E>}{ <U+2066>" in browser.evaluate("document.querySelector('#turn-1 .code').textContent")
    assert not browser.evaluate("/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.getElementById('episode').textContent)")


TRACE = """\
{"v":1,"py":"3.11","mode":"bounded","src_sha":"7d55c51d845b8235","K":3,"calls":4,"caps":[2,8,118]}
[0,"c",1,1,{"x":"1"},{"fn":"f","parent":0}]
[1,"l",2,1,{"y":"2"}]
[2,"r",3,1,{},{"value":"'<b>2</b>'"}]
{"cov":[1,2,3],"uncov":[],"branch":{},"dropped":0,"end":"ok","exc":null,"final":{},"note":""}
"""


@in_browser
def test_an_episode_steps_through_its_trace(tmp_path, browser):
    problem = make_problem(4)
    source = "def f(x):\n    y = x + 1\n    return y\n"
    episode = Episode(problem, EnvConfig(turn_limit=1))
    episode.advance(fence(source), source, judged(problem, "wa", source, True, TRACE), None)
    path = write_report([write_run(tmp_path / "run", [episode], 1)], tmp_path / "r.html")
    browser.open(path.as_uri() + "#/episode/0/0")
    browser.wait("document.querySelector('.codeenv-stepper .cs-what')?.textContent.includes('f is called')")
    browser.evaluate(
        "[...document.querySelectorAll('.codeenv-stepper button')].find((b) => b.textContent.includes('forward')).click()"
    )
    assert browser.evaluate("document.querySelector('.cs-line.cs-now').textContent") == "2    y = x + 1"
    assert "y" in browser.evaluate("document.querySelector('.cs-frames').innerText")
    assert not browser.evaluate("Boolean(document.querySelector('.codeenv-stepper b'))")


@in_browser
def test_an_episode_colours_lines_by_the_predicted_run_and_says_where_the_prediction_is_wrong(tmp_path, browser):
    said = {
        "outcome": {"pass": 0.2, "wrong_answer": 0.7, "exception": 0.1, "no_code": 0.0},
        "true_outcome": "exception",
        "exception": {"Index": 0.9, "other": 0.1},
        "true_exception": "Index",
        "lines": [[2, 0.9, True], [3, 0.8, False], [4, 0.1, False]],
        "variables": [["f.y", "int", "zero", "int", "above_10"]],
    }
    source = "def f(x):\n    if x:\n        y = x[1]\n        return y\n"
    episode = make_episode(make_problem(4), ["rr"], turn_limit=1, sources=[source])
    run = write_run(tmp_path / "run", [episode], 1, extras={"trace_head": said})
    browser.open(write_report([run], tmp_path / "r.html").as_uri() + "#/episode/0/0")
    browser.wait("document.querySelector('.predictions')")
    press = "[...document.querySelectorAll('.segments button')].find((b) => b.textContent === 'Predicted run').click()"
    browser.evaluate(press)
    texts = "(selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent)"
    assert browser.evaluate(f"({texts})('.predicted .chance')") == ["", "90 %", "80 %", "10 %"]
    assert browser.evaluate(f"({texts})('.predicted .truth')") == ["", "ran", "not run", "not run"]
    assert browser.evaluate(f"({texts})('.predicted .ln.wrong')") == ["        y = x[1]"]
    colour = "getComputedStyle(document.querySelectorAll('.predicted .ln')[{}]).backgroundColor"
    assert len({browser.evaluate(colour.format(line)) for line in range(4)}) == 4
    assert "1 of 3 lines" in browser.evaluate("document.querySelector('.caption.inset').textContent")
    assert browser.evaluate(f"({texts})('.chances .bad .name')") == ["exception ← what happened"]
    assert browser.evaluate(f"({texts})('.chances .good .name')") == ["Index ← what happened"]
    assert browser.evaluate(f"({texts})('.turn td.bad')") == ["zerotrue: above 10"]
    assert "What the agent recorded" not in browser.evaluate("document.getElementById('episode').innerText")


@in_browser
def test_light_and_dark_switch_by_key(page, browser):
    browser.open(page.as_uri() + "?theme=light")
    light = browser.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    browser.press("t")
    assert browser.evaluate("document.documentElement.dataset.theme") == "dark"
    assert browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light


FAINT_TEXTS = Path(__file__).with_name("contrast.js").read_text()


@in_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page, browser, theme):
    browser.open(f"{page.as_uri()}?theme={theme}")
    assert browser.evaluate(FAINT_TEXTS) == []
    browser.evaluate("location.hash = '#/episodes'")
    browser.wait("document.querySelectorAll('.row .pip').length > 20")
    assert browser.evaluate(FAINT_TEXTS) == []
    browser.evaluate("table.select(table.shown.findIndex((row) => row.verdicts.length > 1)), table.open()")
    browser.wait("document.querySelector('#episode .code .add')")
    assert browser.evaluate(FAINT_TEXTS) == []
    assert browser.evaluate("getComputedStyle(document.documentElement).colorScheme") == theme


@in_browser
def test_every_control_has_a_name_and_ids_are_unique(page, browser):
    browser.open(page.as_uri() + "#/episodes")
    unnamed = browser.evaluate(
        "[...document.querySelectorAll('button, input, select, a')].filter((e) => "
        "!(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)"
    )
    assert unnamed == []
    marks = browser.evaluate(
        "[...document.querySelectorAll('.row .pip, .row .dotmark')].map((e) => e.getAttribute('aria-label'))"
    )
    assert len(marks) > 20
    assert all(marks)
    ids = browser.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


@in_browser
def test_ten_thousand_episodes_open_and_only_the_seen_rows_are_drawn(tmp_path, browser):
    run = write_run(tmp_path / "run", random_episodes(500, 0.5))
    rows = (run / "episodes.jsonl").read_text().splitlines()
    with (run / "episodes.jsonl").open("w") as out:
        for number in range(10_000):
            out.write(rows[number % 500].replace(f'"episode": {number % 500},', f'"episode": {number},', 1) + "\n")
    path = write_report([run], tmp_path / "r.html")
    browser.open(path.as_uri() + "#/episodes")
    assert browser.evaluate("table.shown.length") == 10_000
    assert browser.evaluate("document.querySelectorAll('.row').length") < 100
    browser.evaluate("table.select(9_999)")
    browser.wait("document.querySelector('.row[aria-selected=true]')?.id === 'row-9999'")


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Table("T", ["a", "b"], [["x"]]), "2 columns and a row of 1 cells"),
        (lambda: Series("s", [1, 2], [1.0]), "2 x, 1 y"),
        (lambda: write_report(["/nowhere/run"], "/tmp/never.html"), "holds no run"),
    ],
)
def test_bad_input_is_a_sentence(make, names):
    with pytest.raises(CodeenvError, match=names):
        make()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.053), (-3, 17), (0, 12345), (2, 2)])
def test_ticks_are_round_and_within_one_step_of_the_ends(low, high):
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low
    assert abs(high - ticks[-1]) <= step


def test_nine_series_and_more_than_three_histograms_stay_apart():
    curve = Curve("Many", "x", "y", [Series(str(number), [0, 1], [0.1, number / 10]) for number in range(9)])
    assert [style for style, _ in line_figure(curve).legend][-2:] == ["s7", "s0 alt"]
    few, many = ({str(run): [0.0, 0.3] for run in range(count)} for count in (3, 4))
    assert "bar" in edits_figure(few).svg
    assert "bar" not in edits_figure(many).svg
    assert "0, 50.0%" in edits_figure(many).svg  # half of the steps repeat the program
