"""`codeenv view`: writes, serves and compares."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

COMMAND = [sys.executable, "-m", "codeenv", "view"]


def test_the_page_is_written_beside_the_run(two_runs):
    done = subprocess.run([*COMMAND, str(two_runs["repairs"])], capture_output=True, text=True, check=True)
    page = two_runs["repairs"] / "report.html"
    assert done.stdout == f"The report is in {page}\n"
    assert "<title>repairs</title>" in page.read_text()


def test_two_runs_are_compared_in_one_page(two_runs, tmp_path):
    out = tmp_path / "both.html"
    command = [*COMMAND, str(two_runs["repairs"]), "--compare", str(two_runs["guesses"]), "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"report": str(out)}
    assert "repairs minus guesses" in out.read_text()


def test_the_page_is_served_on_this_machine_alone_until_interrupted(two_runs):
    server = subprocess.Popen([*COMMAND, str(two_runs["repairs"]), "--serve", "0"], stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline()).group()
        with urllib.request.urlopen(address) as answer:
            assert b"<title>repairs</title>" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address + "etc/passwd")
        port = address.split(":")[2]
        for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "10.0.0.7", "[", ""):
            with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                urllib.request.urlopen(urllib.request.Request(address, headers={"Host": host}))
            assert refused.value.read().startswith(b"This page is for this machine alone")
        for host in (f"localhost:{port}", "LOCALHOST", f"[::1]:{port}"):
            with urllib.request.urlopen(urllib.request.Request(address, headers={"Host": host})) as answer:
                assert answer.status == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "'nowhere' holds no run"),
        ([__file__], "holds no run (no run.json)"),
        (["RUN", "--compare", "RUN"], "is given twice"),
        (["RUN", "--out", "/proc/nope/report.html"], "cannot write the report"),
        (["RUN", "--serve", "70000"], "port is 70000"),
    ],
)
def test_bad_input_is_a_sentence_and_status_2(two_runs, arguments, sentence):
    filled = [str(two_runs["repairs"]) if argument == "RUN" else argument for argument in arguments]
    done = subprocess.run([*COMMAND, *filled], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
