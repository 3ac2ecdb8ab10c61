"""MBPP (arXiv 2108.07732) and MBPP+ (EvalPlus, arXiv 2305.01210): a sentence and asserts.

MBPP: the first assert is public, as in RLEF (arXiv 2410.02089) where the prompt shows one; the other asserts and the challenge
asserts are private. MBPP+: the base asserts are public, the base and plus inputs private, split into single tests.
Splits of MBPP are by task number as published: 1-10 prompt, 11-510 test, 511-600 validation, 601-974 train.
"""

from __future__ import annotations

from codeenv.problems.loaders.asserts import assert_to_test, called_function, import_lines, listed_tests
from codeenv.problems.loaders.fields import Row, decoded, number, parsed, text, texts, wrong
from codeenv.problems.loaders.tables import build
from codeenv.problems.problem import CallTest, Checker, CodeTest, Problem, ProblemError, Test
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_mbpp", "load_mbpp_plus"]

_SPLITS = {"prompt": range(1, 11), "test": range(11, 511), "validation": range(511, 601), "train": range(601, 975)}


def load_mbpp(request: Request, check: bool = True, subset: str = "full") -> ProblemSet:
    """Load MBPP, `subset` `full` (974 tasks) or `sanitized` (427), from the Hub or a JSONL, JSON or Parquet file."""
    if subset not in ("full", "sanitized"):
        raise ProblemError(f"subset is {subset!r}; use 'full' or 'sanitized'")

    def convert(row: Row, index: int) -> Problem | None:
        if request.path is not None and _task(row) not in _SPLITS[request.split]:
            return None
        return _mbpp(row)

    return build(request, "mbpp", convert, check=check, config=subset, splits_itself=True)


def load_mbpp_plus(request: Request, check: bool = True) -> ProblemSet:
    """Load MBPP+, in the form of the Hub (`test` with inputs and results) or of the EvalPlus release (`base_input`, ...)."""
    return build(request, "mbpp+", lambda row, _: _mbpp_plus(row), check=check)


def _task(row: Row) -> int:
    value = row.get("task_id")
    if value is None:
        raise ProblemError("field 'task_id' is missing")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise wrong("task_id", value, "a number") from None


def _mbpp(row: Row) -> Problem:
    asserts, code = texts(row, "test_list"), text(row, "code")
    if not asserts:
        raise ProblemError("field 'test_list' is empty; a task needs at least one assert")
    setup = "\n".join(texts(row, "test_imports")) if "test_imports" in row else text(row, "test_setup_code", "")
    entry_point = called_function(asserts, code)
    setup = "\n".join(dict.fromkeys([*import_lines(code), *setup.splitlines()]))  # asserts rely on the solution's imports
    parsed(setup, "test_imports" if "test_imports" in row else "test_setup_code")
    tests = [assert_to_test(source, entry_point, setup) for source in asserts]
    challenge = [
        assert_to_test(source, entry_point, setup, "challenge_test_list") for source in texts(row, "challenge_test_list", ())
    ]
    said = text(row, "prompt" if "prompt" in row else "text").strip()
    return Problem(
        id=f"MBPP/{_task(row)}",
        statement=f"{said}\n\nYour code must satisfy this test:\n\n```python\n{asserts[0].strip()}\n```",
        mode="call",
        entry_point=entry_point,
        public_tests=(tests[0],),
        private_tests=(*tests[1:], *challenge) or (tests[0],),
        checker=Checker(kind="float", absolute=1e-6, numbers_alike=True),
        tags=("function",),
        source="mbpp",
        license="CC-BY-4.0",
        correct_solutions=(code.replace("\r\n", "\n"),),
    )


def _mbpp_plus(row: Row) -> Problem:
    if "code" not in row and "canonical_solution" not in row:
        raise ProblemError("field 'code' (or 'canonical_solution') is missing")
    solution = text(row, "code" if "code" in row else "canonical_solution")
    public: tuple[Test, ...]
    private: tuple[Test, ...]
    if "base_input" in row:
        prompt, entry_point = text(row, "prompt"), text(row, "entry_point")
        full = solution if f"def {entry_point}(" in solution else prompt + solution
        public, private = released_tests(row, full)
        shown = prompt.strip().strip('"').strip()
    else:
        asserts, code = texts(row, "test_list"), text(row, "test")
        setup = "\n".join(texts(row, "test_imports", ()))
        full, entry_point = solution, called_function(asserts, solution)
        setup = "\n".join(dict.fromkeys([*import_lines(solution), *setup.splitlines()]))
        parsed(setup, "test_imports")
        public = tuple(assert_to_test(source, entry_point, setup) for source in asserts)
        pairs = listed_tests(code)
        private = tuple(CallTest(args, {}, value) for args, value in pairs) if pairs else (CodeTest(code),)
        shown = f"{text(row, 'prompt').strip()}\n\nYour code must satisfy this test:\n\n```python\n{asserts[0].strip()}\n```"
    return Problem(
        id=f"MBPP+/{_name(row)}",
        statement=shown,
        mode="call",
        entry_point=entry_point,
        public_tests=public,
        private_tests=private,
        checker=Checker(kind="float", absolute=number(row, "atol", 0.0) or 1e-6, numbers_alike=True),
        tags=("function",),
        source="mbpp+",
        license="Apache-2.0",
        correct_solutions=(full,),
    )


def _name(row: Row) -> str:
    value = row.get("task_id")
    if not isinstance(value, (int, str)):
        raise ProblemError("field 'task_id' is missing") if value is None else wrong("task_id", value, "a number or a text")
    return str(value).rpartition("/")[2]


def released_tests(row: Row, solution: str) -> tuple[tuple[Test, ...], tuple[Test, ...]]:
    """Return base tests as public and plus tests (with the base ones) as private, for rows that hold inputs without results.

    Each test is code that compares the submission with the canonical solution on one input; nothing runs while loading.
    """
    entry_point, tolerance = text(row, "entry_point"), number(row, "atol", 0.0)
    tests = []
    for name in ("base_input", "plus_input"):
        inputs = decoded(row, name, list, "a list of argument lists")
        for args in inputs:
            if not isinstance(args, list):
                raise wrong(name, args, "a list of argument lists")
        tests.append(tuple(_against_reference(solution, entry_point, args, tolerance) for args in inputs))
    base, plus = tests
    return base, base + plus


def _against_reference(solution: str, entry_point: str, args: object, tolerance: float) -> CodeTest:
    compare = "got == want"
    if tolerance:
        compare += f" or abs(got - want) <= {tolerance!r}"
    return CodeTest(
        f"{solution.rstrip()}\n\nreference = {entry_point}\n\n\ndef check(candidate):\n    import copy\n\n"
        f"    arguments = {args!r}\n"
        f"    want = reference(*copy.deepcopy(arguments))\n    got = candidate(*arguments)\n"
        f"    assert {compare}, f'{entry_point}(*{{arguments!r}}) returned {{got!r}}, expected {{want!r}}'\n"
    )
