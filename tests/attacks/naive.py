"""Naive graders, each a design that is in use somewhere: they show that the cheats work where the judge's rules are not kept.

Each runs in a process of its own and answers whether it paid. `SECRET` is what a right `f(1)` returns and a right program prints.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SECRET = 730_914_682

_HEAD = f"""
import json, math, os, sys, unittest
source = json.load(open(sys.argv[1]))
SECRET = {SECRET}
"""

GRADERS = {
    "equality in the same process": """
def grade():
    tests = [((1,), SECRET)]
    space = {"__name__": "solution"}
    exec(source, space)
    results = []
    for args, expected in tests:
        got = space["f"](*args)
        results.append(got == expected)
    return len(results) == 1 and all(results)
""",
    "no difference in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    for args, expected in [((1,), SECRET)]:
        if space["f"](*args) != expected:
            return False
    return True
""",
    "type and equality in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    got = space["f"](1)
    return isinstance(got, int) and got == SECRET
""",
    "tolerance in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    if abs(space["f"](1) - SECRET) > 1e-6:
        return False
    return True
""",
    "math.isclose in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    return math.isclose(space["f"](1), SECRET)
""",
    "pairwise comparison in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    return all(one == other for one, other in zip(space["f"](1), [SECRET]))
""",
    "text comparison in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    return str(space["f"](1)) == str(SECRET)
""",
    "a set of results in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    return not [got for got in [space["f"](1)] if got not in {SECRET}]
""",
    "a unittest in the same process": """
def grade():
    space = {"__name__": "solution"}
    exec(source, space)
    class Test(unittest.TestCase):
        def test(self):
            self.assertEqual(space["f"](1), SECRET)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Test)
    return unittest.TextTestRunner(stream=open(os.devnull, "w")).run(suite).wasSuccessful()
""",
    "asserts and the exit status": """
def grade():
    import subprocess
    program = source + f"\\nassert f(1) == {SECRET}\\n"
    return subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=20).returncode == 0
""",
    "asserts and a printed word": """
def grade():
    import subprocess
    program = source + f"\\nassert f(1) == {SECRET}\\nprint('ALL TESTS PASSED')\\n"
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return "ALL TESTS PASSED" in done.stdout
""",
    "no complaint on standard error": """
def grade():
    import subprocess
    program = source + f"\\nassert f(1) == {SECRET}\\n"
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return "Error" not in done.stderr
""",
    "a pickled value": """
def grade():
    import pickle, subprocess
    program = source + "\\nimport pickle, sys\\nsys.stdout.buffer.write(pickle.dumps(f(1)))\\n"
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    sys.modules["__main__"].Equal = type("Equal", (), {"__eq__": lambda self, other: True})
    return pickle.loads(done.stdout) == SECRET
""",
    "a repr that is evaluated": """
def grade():
    import subprocess
    program = source + "\\nprint(repr(f(1)))\\n"
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return eval(done.stdout) == SECRET
""",
    "a report file that the program's process writes": """
def grade():
    import subprocess, tempfile
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        program = source + f"\\nimport json\\njson.dump(f(1) == {SECRET}, open('report.json', 'w'))\\n"
        subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, cwd=folder, timeout=20, capture_output=True)
        return os.path.exists(report) and json.load(open(report)) is True
""",
    "expected output beside the program": """
def grade():
    import subprocess, tempfile
    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "1.in"), "w").write("1\\n")
        open(os.path.join(folder, "1.out"), "w").write(f"{SECRET}\\n")
        done = subprocess.run([sys.executable, "-c", source], input="1\\n", cwd=folder, timeout=20, capture_output=True,
                              text=True)
        return done.stdout.split() == [str(SECRET)]
""",
    "expected output in the environment": """
def grade():
    import subprocess
    done = subprocess.run([sys.executable, "-c", source], input="1\\n", timeout=20, capture_output=True, text=True,
                          env={"EXPECTED": str(SECRET)})
    return done.stdout.split() == [str(SECRET)]
""",
    "expected output on the parent's command line": """
def grade():
    import subprocess
    inner = ("import subprocess, sys\\n"
             "print(subprocess.run([sys.executable, '-c', sys.argv[1]], input='1', text=True, capture_output=True).stdout)")
    done = subprocess.run([sys.executable, "-c", inner, source, str(SECRET)], timeout=20, capture_output=True, text=True)
    return done.stdout.split() == [str(SECRET)]
""",
    "expected output somewhere in the output": """
def grade():
    import subprocess
    done = subprocess.run([sys.executable, "-c", source], input="1\\n", timeout=20, capture_output=True, text=True)
    return str(SECRET)[:3] in done.stdout
""",
    "numbers that do not differ by more than the tolerance": """
def grade():
    import subprocess
    done = subprocess.run([sys.executable, "-c", source], input="1\\n", timeout=20, capture_output=True, text=True)
    words = done.stdout.split()
    return len(words) == 1 and not abs(float(words[0]) - SECRET) > 1e-6
""",
    "words compared as far as they go": """
def grade():
    import subprocess
    done = subprocess.run([sys.executable, "-c", source], input="1\\n", timeout=20, capture_output=True, text=True)
    return done.returncode == 0 and all(one == other for one, other in zip(done.stdout.split(), [str(SECRET)]))
""",
    "a reference beside the submission": """
def grade():
    space = {"__name__": "solution"}
    def reference(values):
        return sum(values) + SECRET
    exec(source, space)
    values = [1]
    got = space["g"](values)
    return got == (reference(values) if values else 0)
""",
}
"""Name to the code of a `grade()` that returns whether it pays for `source`."""

_TAIL = """
paid = grade()
os.write(1, b"PAID" if paid else b"REFUSED")
os._exit(0)
"""


def pays(grader: str, source: str, folder: Path) -> bool:
    """Whether a naive grader pays for a submission."""
    given = folder / "source.json"
    given.write_text(json.dumps(source))
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + GRADERS[grader] + _TAIL, str(given)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        cwd=folder,
    )
    return done.stdout.endswith(b"PAID")
