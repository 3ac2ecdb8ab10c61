"""What is true: verdicts, checkers, and the judge that asks the sandbox what a submission does and compares outside it.

Expected values and private tests stay here; they never enter a process that runs submitted code.
May import `codeenv.problems`, `codeenv.trace` and `codeenv.sandbox`.
"""
