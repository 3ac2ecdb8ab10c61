"""`codeenv trace`: what a person sees."""

from __future__ import annotations

import pytest

from codeenv.cli import main
from codeenv.trace import Trace

PROGRAM = """\
def total(xs):
    result = 0
    for x in xs:
        result += x
    return result

print(total(map(int, input().split())))
"""


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM, "utf-8")
    return str(file)


def test_a_program_is_shown_with_comments_and_its_output(program, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("1 2 3\n", "utf-8")
    assert main(["trace", program, "--input", str(tmp_path / "in.txt")]) == 0
    shown = capsys.readouterr().out
    assert "        result += x  # (4) result=1 (6) result=3 ... (8) result=6\n" in shown
    assert shown.endswith("--- output ---\n6\n")
    assert "\x1b" not in shown


def test_what_goes_to_standard_error_is_shown_apart(tmp_path, capsys):
    (tmp_path / "says.py").write_text("import sys\nprint('out')\nprint('note', file=sys.stderr)\n", "utf-8")
    assert main(["trace", str(tmp_path / "says.py")]) == 0
    assert capsys.readouterr().out.endswith("--- output ---\nout\n--- standard error ---\nnote\n")


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfs = '\xc3\xa9'\nprint(len(s))\n", b"# -*- coding: latin-1 -*-\ns = '\xe9'\nprint(len(s))\n"]
)
def test_a_program_is_decoded_as_python_decodes_it(tmp_path, capsys, data):
    (tmp_path / "saved.py").write_bytes(data)
    assert main(["trace", str(tmp_path / "saved.py")]) == 0
    shown = capsys.readouterr().out
    assert "s = '\u00e9'" in shown
    assert shown.endswith("--- output ---\n1\n")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"s = '\xe9'\n", "cannot be decoded: invalid or missing encoding"), (b"# coding: klingon\n", "unknown encoding: klingon")],
)
def test_a_program_that_python_cannot_decode_is_refused(tmp_path, capsys, data, reason):
    (tmp_path / "saved.py").write_bytes(data)
    assert main(["trace", str(tmp_path / "saved.py")]) == 2
    assert reason in capsys.readouterr().err


def test_a_call_is_made_and_a_failure_is_the_exit_status(program, tmp_path, capsys):
    (tmp_path / "f.py").write_text("def f(a, b):\n    c = a / b\n    return c\n", "utf-8")
    assert main(["trace", str(tmp_path / "f.py"), "--call", "f(1, b=0)"]) == 1
    assert "c = a / b  # (3) ZeroDivisionError: division by zero; a=1 b=0" in capsys.readouterr().out


@pytest.mark.parametrize("status", ["0", "", "None"])
def test_a_program_that_exits_with_status_0_has_not_failed(tmp_path, capsys, status):
    (tmp_path / "exits.py").write_text(f"import sys\nprint(1)\nsys.exit({status})\n", "utf-8")
    assert main(["trace", str(tmp_path / "exits.py")]) == 0
    shown = capsys.readouterr().out
    assert "SystemExit" not in shown
    assert "sys.exit(" + status + ")  # (2) exit with status 0\n" in shown


def test_a_program_that_exits_with_another_status_has_failed(tmp_path, capsys):
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n", "utf-8")
    assert main(["trace", str(tmp_path / "exits.py")]) == 1
    assert "SystemExit: 3" in capsys.readouterr().out


def test_escape_sequences_of_the_program_do_not_reach_the_terminal(tmp_path, capsys):
    (tmp_path / "red.py").write_text("print('a\\x1b[31m\\x07\\x9b\\r\\tb\\nc')  # \x1b[1m\n", "utf-8")
    assert main(["trace", str(tmp_path / "red.py")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.endswith("--- output ---\na\\x1b[31m\\x07\\x9b\\r\tb\nc\n")


def test_every_format_is_written(program, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("4 5\n", "utf-8")
    arguments = ["trace", program, "--input", str(tmp_path / "in.txt"), "--format"]
    assert main([*arguments, "json"]) == 0
    assert Trace.from_jsonl(capsys.readouterr().out).footer.end == "ok"
    assert main([*arguments, "html"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    assert main([*arguments, "steps"]) == 0
    assert "line 4| result += x | result=9" in capsys.readouterr().out
    assert main([*arguments, "final"]) == 0
    assert "total: result = 9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.py"], "cannot be read"),
        (["{program}", "--call", "1 + 1"], "use a function and literal arguments"),
        (["{program}", "--call", "total(x)"], "arguments are not literals"),
        (["{program}", "--call", "total([1])", "--input", "x"], "not both"),
        (["{program}", "--budget", "3"], "use 0 or at least 16 tokens"),
        (["{broken}"], "does not compile: line 1"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(program, tmp_path, capsys, arguments, words):
    (tmp_path / "broken.py").write_text("def f(:\n", "utf-8")
    places = {"program": program, "broken": str(tmp_path / "broken.py")}
    assert main(["trace", *(argument.format(**places) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
