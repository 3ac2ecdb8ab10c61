"""What is asked: problems, their tests, limits and checkers; loaders of data sets; the procedural generator.

Anyone may import this package. It imports nothing of codeenv but `codeenv.errors`.
"""

from codeenv.problems.problem import CallTest, Checker, CodeTest, Limits, Problem, ProblemError, StdioTest, Test

__all__ = ["CallTest", "Checker", "CodeTest", "Limits", "Problem", "ProblemError", "StdioTest", "Test"]
