"""What is asked: problems, their tests, limits and checkers; loaders of data sets; the procedural generator.

`load` turns a name or a path into a `ProblemSet`; `catalog` lists the names, `loaders` and `packages` read the formats,
`procedural` makes problems without end. Anyone may import this package. It imports nothing of codeenv but `codeenv.errors`.
"""

import codeenv.problems.catalog  # noqa: F401  (registers the data sets)
from codeenv.problems.problem import CallTest, Checker, CodeTest, Limits, Problem, ProblemError, StdioTest, Test
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Source, load, register, sources

__all__ = [
    "CallTest",
    "Checker",
    "CodeTest",
    "Limits",
    "Problem",
    "ProblemError",
    "ProblemSet",
    "Source",
    "StdioTest",
    "Test",
    "load",
    "register",
    "sources",
]
