"""What is true: verdicts, checkers, and the judge that asks the sandbox what a submission does and compares outside it.

Expected values and private tests stay here; they never enter a process that runs submitted code.
May import `codeenv.problems`, `codeenv.trace` and `codeenv.sandbox`.
"""

from codeenv.judge.cache import ExecutionCache
from codeenv.judge.judge import Judge, JudgeRequest, JudgeStats
from codeenv.judge.verdict import Report, TestResult, Verdict

__all__ = ["ExecutionCache", "Judge", "JudgeRequest", "JudgeStats", "Report", "TestResult", "Verdict"]
