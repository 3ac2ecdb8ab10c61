"""Contest problem packages load from folders and zips; what cannot be judged is refused with its reason."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from codeenv.problems import ProblemError, StdioTest, load
from codeenv.problems.packages import read_package, score
from codeenv.problems.packages.statement import html_to_text, latex_to_text
from codeenv.problems.packages.wrapped import wrapped_checker
from codeenv.sandbox import levels
from codeenv.sandbox.toolchains import missing

LEGACY = {
    "problem.yaml": "name: Double: it\nsource: School\nlicense: cc by\ntype: scoring\nlimits:\n  memory: 512\n",
    "problem_statement/problem.en.tex": r"\problemname{Double} Print $2 \cdot n$ for $n \leq 9$.",
    "problem_statement/problem.sv.tex": "Svenska",
    "data/sample/1.in": "2\n",
    "data/sample/1.ans": "4\n",
    "data/secret/testdata.yaml": "range: 0 100\n",
    "data/secret/group1/testdata.yaml": "accept_score: 40\nrange: 0 40\ngrader_flags: min\n",
    "data/secret/group1/1.in": "0\n",
    "data/secret/group1/1.ans": "0\n",
    "data/secret/group2/testdata.yaml": "range: 0 60\ngrader_flags: sum\n",
    "data/secret/group2/1.in": "5\r\n",
    "data/secret/group2/1.ans": "10\r\n",
    "data/secret/group2/2.in": "9\n",
    "data/secret/group2/2.ans": "18\n",
    "submissions/accepted/good.py": "print(2 * int(input()))\n",
    "submissions/accepted/good.cpp": "int main() {}\n",
    "submissions/wrong_answer/bad.py3": "print(4)\n",
    "submissions/run_time_error/crash.py": "1 / 0\n",
    "submissions/slow_accepted/slow.py": "while True: pass\n",
}
LATER = {
    "problem.yaml": "problem_format_version: 2023-07\nname:\n  sv: Dubbla\n  en: Double\nuuid: 1\ntype: pass-fail\nlimits:\n  time_limit: 2.5\n"  # noqa: E501
    "  output: 4\n",
    "statement/problem.en.md": "Print *2n*.\n\n![figure](a.png)\n\n{{nextsample}}\n",
    "data/testdata.yaml": "output_validator_args: [float_tolerance, '1e-3']\n",
    "data/sample/1.in": "2\n",
    "data/sample/1.ans": "4\n",
    "data/secret/1.in": "1.5\n",
    "data/secret/1.ans": "3.0\n",
}
VALIDATOR = """import sys

answer = open(sys.argv[2]).read().split()
with open(sys.argv[3] + "judgemessage.txt", "w") as message:
    message.write("looked")
sys.exit(42 if sorted(sys.stdin.read().split()) == sorted(answer) else 43)
"""


def package(root: Path, *parts: dict[str, str], **changes: str | None) -> Path:
    contents = {name: text for part in parts for name, text in part.items()}
    contents.update(changes)
    for name, text in contents.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode())
    return root


def zipped(root: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(root).as_posix())
    return target


def test_a_legacy_package_becomes_a_problem(tmp_path: Path) -> None:
    (problem,) = load(package(tmp_path / "double", LEGACY))
    assert problem.id == "double"
    assert problem.public_tests == (StdioTest("2\n", "4\n"),)
    assert problem.private_tests == (StdioTest("0\n", "0\n"), StdioTest("5\n", "10\n"), StdioTest("9\n", "18\n"))
    assert problem.statement == "Double\n\nPrint $2 · n$ for $n ≤ 9$.\n\nSample input 1:\n2\n\nSample output 1:\n4"
    assert (problem.limits.memory_mb, problem.limits.time_limit_s) == (512, 10.0)
    assert problem.correct_solutions == ("print(2 * int(input()))\n",)
    assert problem.incorrect_solutions == ("1 / 0\n", "print(4)\n")
    assert (problem.source, problem.license, problem.tags) == ("School", "cc by", ("scoring",))


@pytest.mark.parametrize("prefix", ["", "double/"])
def test_a_zip_reads_like_its_folder(prefix: str, tmp_path: Path) -> None:
    folder = package(tmp_path / "double", LEGACY)
    archive = zipped(folder, tmp_path / "double.zip", prefix)
    assert load(archive)[0] == load(folder)[0]


def test_a_later_package_has_its_limits_language_and_validator_arguments(tmp_path: Path) -> None:
    (problem,) = load(package(tmp_path / "later", LATER))
    assert problem.statement.startswith("Print *2n*.\n\nSample input 1:")
    assert (problem.limits.time_limit_s, problem.limits.output_kb) == (2.5, 4096)
    assert (problem.checker.kind, problem.checker.absolute, problem.checker.relative) == ("float", 1e-3, 1e-3)


def test_groups_carry_scores(tmp_path: Path) -> None:
    groups = read_package(package(tmp_path / "double", LEGACY)).groups
    assert [(group.name, group.max_score, group.mode, group.cases) for group in groups] == [
        ("data/secret/group1", 40.0, "min", (0,)),
        ("data/secret/group2", 60.0, "sum", (1, 2)),
    ]
    assert score(groups, [True, True, False]) == 70.0
    assert score(groups, [False, False, False]) == 0.0


@pytest.mark.parametrize(
    ("flags", "kind", "absolute", "relative", "case_sensitive"),
    [
        ("", "tokens", 0.0, 0.0, False),
        ("case_sensitive", "tokens", 0.0, 0.0, True),
        ("float_tolerance 1e-6", "float", 1e-6, 1e-6, False),
        ("float_absolute_tolerance 0.5", "float", 0.5, 0.0, False),
        ("float_relative_tolerance 1e-4 case_sensitive", "float", 0.0, 1e-4, True),
        ("space_change_sensitive", "exact", 0.0, 0.0, True),
    ],
)
def test_validator_flags_choose_the_comparison(
    flags: str, kind: str, absolute: float, relative: float, case_sensitive: bool, tmp_path: Path
) -> None:
    path = package(tmp_path / "p", LEGACY, **{"problem.yaml": f"name: x\nvalidator_flags: {flags}\n"})
    checker = load(path)[0].checker
    assert (checker.kind, checker.absolute, checker.relative, checker.case_sensitive) == (
        kind,
        absolute,
        relative,
        case_sensitive,
    )


def check_function(path: Path):
    namespace: dict = {}
    checker = load(path)[0].checker
    exec(checker.program if checker.kind == "program" else wrapped_checker(checker), namespace)
    return namespace["check"]


def test_a_python_validator_becomes_a_checker_program(tmp_path: Path) -> None:
    path = package(
        tmp_path / "p", LEGACY, **{"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/validate.py": VALIDATOR}
    )
    check = check_function(path)
    assert check("2\n", "1 2", "2 1") is True
    assert check("2\n", "1 1", "2 1") is False


def test_a_validator_that_neither_accepts_nor_rejects_is_an_error_of_the_checker(tmp_path: Path) -> None:
    path = package(
        tmp_path / "p",
        LEGACY,
        **{"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/v.py": "import sys\nsys.exit(1)\n"},
    )
    with pytest.raises(RuntimeError, match="status 1"):
        check_function(path)("", "", "")


def test_a_judge_with_find_error_is_called_even_if_it_was_written_for_python_2(tmp_path: Path) -> None:
    judge = "def FindError(self, input_file, output_file, attempt):\n  rows = filter(None, attempt.split('\\n'))\n  if len(rows) != xrange(5)[1]:\n    return 'lines'\n  return None\n"  # noqa: E501
    path = package(tmp_path / "p", LEGACY, **{"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/j.py": judge})
    check = check_function(path)
    assert check("", "one\n", "") is True
    assert check("", "one\ntwo\n", "") is False


def test_samples_beside_the_statement_are_public(tmp_path: Path) -> None:
    path = package(
        tmp_path / "p", LEGACY,
        **{"data/sample/1.in": None, "data/sample/1.ans": None,
           "problem_statement/p_sample_ts1_input.txt": "7\n", "problem_statement/p_sample_ts1_output.txt": "14\n"},
    )  # fmt: skip
    assert load(path)[0].public_tests == (StdioTest("7\n", "14\n"),)


IN_CPP = '#include "judge.h"\nint main() { return ok ? 42 : 43; }'


@pytest.mark.parametrize(
    ("yaml", "kind", "passes"),
    [
        ("name: x\nvalidation: custom\n", "validator", 1),
        ("name: x\nvalidation: custom interactive\n", "interactor", 1),
        ("name: x\nproblem_format_version: 2025-09\ntype: [multi-pass]\nlimits:\n  validation_passes: 5\n", "validator", 5),
        ("name: x\nproblem_format_version: 2025-09\ntype: [interactive, multi-pass]\n", "interactor", 2),
    ],
)
def test_a_validator_in_cpp_is_a_program_with_its_files_and_flags(yaml: str, kind: str, passes: int, tmp_path: Path) -> None:
    files = {"output_validators/v/v.cc": IN_CPP, "output_validators/v/judge.h": "bool ok;", "output_validators/v/notes.txt": "x"}
    path = package(tmp_path / "p", LEGACY, files, **{"problem.yaml": yaml + "validator_flags: a b\n"})
    checker = load(path)[0].checker
    assert (checker.kind, checker.language, checker.passes, checker.flags) == (kind, "cpp", passes, ("a", "b"))
    assert checker.program == IN_CPP
    assert checker.files == (("judge.h", "bool ok;"),)


def test_known_submissions_have_their_language_and_expectation(tmp_path: Path) -> None:
    found = {known.name: known for known in read_package(package(tmp_path / "p", LEGACY)).submissions}
    assert {name: known.accepted for name, known in found.items()} == {
        "accepted/good.py": True, "accepted/good.cpp": True, "wrong_answer/bad.py3": False, "run_time_error/crash.py": False,
    }  # fmt: skip
    assert found["accepted/good.cpp"].language == "cpp"
    cpp = read_package(tmp_path / "p", language="cpp").problem
    assert (cpp.language, cpp.correct_solutions, cpp.incorrect_solutions) == ("cpp", ("int main() {}\n",), ())
    assert load(tmp_path / "p", language="c++")[0].language == "cpp"


@pytest.mark.parametrize(
    ("yaml", "verdicts", "expected"),
    [
        ("", {"sample/1": "AC", "secret/1": "WA"}, True),
        ("", {"sample/1": "AC", "secret/1": "AC"}, False),
        ("", {"sample/1": "TLE", "secret/1": "WA"}, False),
        ("wrong_answer:\n  permitted: [AC, WA, TLE]\n", {"sample/1": "TLE", "secret/1": "WA"}, True),
        ("wrong_answer:\n  sample:\n    permitted: [AC]\n", {"sample/1": "WA"}, False),
        ("wrong_answer/ba{d,t}.py3:\n  required: [RTE]\n", {"sample/1": "WA"}, False),
        ("wrong_answer/*.py:\n  required: [RTE]\n", {"sample/1": "WA"}, True),
        ('wrong_answer/bad.py3:\n  "secret/*{1,3}":\n    required: [RTE]\n', {"sample/1": "WA", "secret/11": "AC"}, False),
    ],
)
def test_submissions_yaml_says_what_is_expected(yaml: str, verdicts: dict[str, str], expected: bool, tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY, **({"submissions/submissions.yaml": yaml} if yaml else {}))
    known = next(known for known in read_package(path).submissions if known.name == "wrong_answer/bad.py3")
    assert known.as_expected(verdicts) is expected


REFUSED = {
    "no test cases": ({name: None for name in LEGACY if name.startswith("data")}, "it has no test cases"),
    "an input without answer": ({"data/secret/group1/1.ans": None}, "data/secret/group1/1.in has no data/secret/group1/1.ans"),
    "an answer without input": ({"data/secret/group1/1.in": None}, "data/secret/group1/1.ans has no data/secret/group1/1.in"),
    "broken YAML": ({"problem.yaml": "name: [\n"}, "problem.yaml is not YAML"),
    "YAML that is no mapping": ({"problem.yaml": "- name\n"}, "problem.yaml holds a list"),
    "limits that are no numbers": ({"problem.yaml": "name: x\nlimits:\n  memory: much\n"}, "field 'limits' is malformed"),
    "an interactive problem without a program": (
        {"problem.yaml": "name: x\nvalidation: custom interactive\n"},
        "the package has none",
    ),
    "too many passes": (
        {"problem.yaml": "name: x\nproblem_format_version: 2025-09\ntype: multi-pass\nlimits:\n  validation_passes: many\n"},
        "'limits.validation_passes' is 'many'",
    ),
    "a validator of another convention": (
        {"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/v.cpp": "int main() { return 1; }"},
        "never ends with status 42 and 43",
    ),
    "a validator in two languages": (
        {"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/v.cpp": "", "output_validators/v/v.py": ""},
        "is not one program in one of the languages",
    ),
    "a validator with a script": (
        {"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/build": "", "output_validators/v/v.c": ""},
        "has a script output_validators/v/build",
    ),
    "expectations that are no verdicts": (
        {"submissions/submissions.yaml": "accepted:\n  permitted: [OK]\n"},
        "permitted is ['OK']; use a list of AC, RTE, TLE, WA",
    ),
    "a missing validator": ({"problem.yaml": "name: x\nvalidation: custom\n"}, "the package has none"),
    "an unknown flag": ({"problem.yaml": "name: x\nvalidator_flags: magic\n"}, "the validator flag 'magic' is unknown"),
    "a type that nobody can judge": (
        {"problem.yaml": "name: x\ntype: submit-answer\n"},
        "has the type 'submit-answer'; use pass-fail, scoring, interactive or multi-pass",
    ),
    "scores that are put together in an unknown way": (
        {"data/secret/group1/testdata.yaml": "score_aggregation: mean\n"},
        "has the score_aggregation 'mean'; use sum, min or pass-fail",
    ),
    "a part of a divided file": ({"data/secret/9.in.part00": "1"}, "is a part of a divided file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_judged_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    changes, sentence = REFUSED[case]
    path = package(tmp_path / "packages" / "bad", LEGACY, **changes)
    with pytest.raises(ProblemError) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    package(tmp_path / "packages" / "good", LEGACY)
    assert load(tmp_path / "packages", skip_bad=tmp_path / "bad.jsonl").ids() == ["good"]
    assert sentence in (tmp_path / "bad.jsonl").read_text()


def bomb(join: str) -> str:
    """Lines whose last value holds the first 8 ** 20 times once its aliases are written out."""
    lines = ["a0: &a0 {k: v}"]
    return "\n".join(lines + [f"a{n}: &a{n} {join % ', '.join([f'*a{n - 1}'] * 8)}" for n in range(1, 21)]) + "\n"


@pytest.mark.parametrize("join", ["[%s]", "{<<: [%s]}"])
@pytest.mark.parametrize(
    ("file", "last"),
    [
        ("problem.yaml", "limits: *a20\n"),
        ("problem.yaml", "name: *a20\n"),
        ("data/secret/testdata.yaml", "max_score: *a20\n"),
        ("submissions/submissions.yaml", "accepted: *a20\n"),
    ],
)
def test_aliases_of_aliases_are_refused_before_they_are_written_out(file: str, last: str, join: str, tmp_path: Path) -> None:
    path = package(tmp_path / "bad", LEGACY, **{file: bomb(join) + last})
    with pytest.raises(ProblemError, match=f"{file} holds more than 10000 values"):
        load(path)


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        ("name: &a [*a]\n", "holds more than 10000 values"),
        (f"a: &a {'x' * 100_000}\nname: [{', '.join(['*a'] * 20)}]\n", "or 1000000 characters"),
        ("name: " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_yaml_file_that_has_no_end_or_is_too_long_is_refused(yaml: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=sentence):
        read_package(package(tmp_path / "bad", LEGACY, **{"problem.yaml": yaml}))


def test_aliases_of_a_usual_size_are_read(tmp_path: Path) -> None:
    yaml = "name: &n Double\nsource: *n\nlimits: &l {memory: 512}\nmore: {<<: *l, time: 1}\n"
    problem = load(package(tmp_path / "p", LEGACY, **{"problem.yaml": yaml}))[0]
    assert (problem.source, problem.limits.memory_mb) == ("Double", 512)


def test_html_keeps_lines_of_samples_and_drops_scripts() -> None:
    html = "<head><style>x{}</style></head><h1>T</h1><pre>1  2\n3</pre><table><tr><td>a</td><td>b</td></tr></table><p>x<sub>i</sub> &lt; 3</p>"  # noqa: E501
    assert html_to_text(html) == "T\n\n1  2\n3\n\n| a | b\n\nx_i < 3"


def test_latex_keeps_formulas_and_unwraps_commands() -> None:
    text = r"\section*{Input}" "\n" r"A \emph{very \textbf{long}} line~with 50\% of $a_{i}$.\\" "\n" r"\href{http://a}{Link}"
    assert latex_to_text(text) == "Input\n\nA very long line with 50% of $a_{i}$.\n\nLink (http://a)"


OLD_JUDGE = """class Rat:
  def __init__(self, number):
    self.number = number
  def __cmp__(self, other):
    return cmp(self.number, other.number)

class Judge:
  def __init__(self, tolerance=0):
    self.case_sensitive = False

  def FindError(self, unused_input, output_file, attempt):
    if self.case_sensitive:
      return 'case'
    counts = {word: 1 for word in attempt.split()}
    if sorted(key for key, _ in counts.iteritems()) != sorted(set(output_file.split())):
      return 'words'
    return None if Rat(1) < Rat(2) and Rat(1) == Rat(1) else 'order'
"""


def test_a_judge_may_use_names_and_comparisons_of_python_2_and_settings_that_are_off(tmp_path: Path) -> None:
    parts = {"problem.yaml": "name: x\nvalidation: custom\n", "output_validators/v/j.py": OLD_JUDGE}
    check = check_function(package(tmp_path / "p", LEGACY, parts))
    assert check("", "b a", "a b") is True
    assert check("", "b", "a b") is False


def test_groups_that_want_different_comparisons_are_refused_with_both(tmp_path: Path) -> None:
    flags = {"data/secret/group2/testdata.yaml": "output_validator_flags: case_sensitive\n"}
    with pytest.raises(
        ProblemError, match=r"group1' and 'data/secret/group2' want different validator flags \(none and case_sens"
    ):
        read_package(package(tmp_path / "p", LEGACY, flags))


def test_flags_of_all_groups_come_after_those_of_the_package(tmp_path: Path) -> None:
    flags = {
        "problem.yaml": "name: Double\nvalidator_flags: float_tolerance 1e-2\n",
        "data/secret/testdata.yaml": "output_validator_flags: case_sensitive\n",
    }
    problem = read_package(package(tmp_path / "p", LEGACY, flags)).problem
    assert problem.checker.case_sensitive
    assert problem.checker.absolute == 0.01


FOLDERS = {
    "submissions/accepted/modules/main.py": "from lib.twice import twice\nimport names\nprint(twice(int(input())), names.END)\n",
    "submissions/accepted/modules/names.py": "END = ''\n",
    "submissions/accepted/modules/lib/twice.py": "def twice(number):\n    return 2 * number\n",
    "submissions/accepted/parts/main.cpp": '#include "twice.h"\n#include <cstdio>\nint main() { int n; std::scanf("%d", &n); std::printf("%d", twice(n)); }\n',  # noqa: E501
    "submissions/accepted/parts/twice.h": "#pragma once\nint twice(int n);\n",
    "submissions/accepted/parts/twice.cpp": '#include "twice.h"\nint twice(int n) { return 2 * n; }\n',
    "submissions/accepted/classes/Main.java": "import java.util.*;\npublic class Main { public static void main(String[] words) { System.out.println(Twice.of(new Scanner(System.in).nextInt())); } }\n",  # noqa: E501
    "submissions/accepted/classes/Twice.java": "import java.util.List;\npublic class Twice { static int of(int n) { return 2 * n; } }",  # noqa: E501
    "submissions/accepted/alone/only.py": "print(2 * int(input()))\n",
    "submissions/accepted/alone/notes.txt": "no source\n",
    "submissions/accepted/unclear/a.py": "print(1)\n",
    "submissions/accepted/unclear/b.py": "print(2)\n",
    "submissions/accepted/mixed/a.py": "print(1)\n",
    "submissions/accepted/mixed/b.c": "int main() {}\n",
    "submissions/accepted/prolog.pl": "main.\n",
    "submissions/accepted/old.py": "print 2 * input()\n",
    "submissions/wrong_answer/old.py": "print 2 * input()\n",
    "submissions/elsewhere/c.py": "print(1)\n",
}


def test_a_submission_in_several_files_becomes_one_source_that_is_right(tmp_path: Path, judge) -> None:
    if reason := missing("cpp") or missing("java") or levels.check("namespaces"):
        pytest.skip(reason)
    package_read = read_package(package(tmp_path / "p", {**LEGACY, "submissions/accepted/good.cpp": ""}, FOLDERS))
    known = {one.name: one for one in package_read.submissions}
    for name in ("accepted/modules", "accepted/parts", "accepted/classes", "accepted/alone"):
        subject = replace(package_read.problem, language=known[name].language)
        assert judge.judge(subject, known[name].source).accepted, name
    left_out = dict(package_read.left_out)
    assert "unclear which one starts (a.py, b.py)" in left_out["accepted/unclear"]
    assert "in several languages (c, python)" in left_out["accepted/mixed"]
    assert "in none of the languages" in left_out["accepted/prolog.pl"]
    assert left_out["elsewhere/c.py"] == "nothing is expected of it"
    assert left_out["accepted/good.cpp"] == "it is empty"
    assert left_out["accepted/old.py"].startswith("it is not Python 3 (Missing parentheses")
    assert "wrong_answer/old.py" in known


def test_a_validator_in_a_folder_of_its_own_finds_its_headers_beside_it(tmp_path: Path) -> None:
    parts = {
        "output_validator/judge/main.cpp": '#include "judge.h"\nint main() { return ok() ? 42 : 43; }\n',
        "output_validator/judge/judge.h": "bool ok();\n",
        "output_validator/judge/more/ok.cpp": "bool ok() { return true; }\n",
    }
    checker = read_package(package(tmp_path / "p", LATER, parts)).problem.checker
    assert [name for name, _ in checker.files] == ["judge.h", "more/ok.cpp"]
