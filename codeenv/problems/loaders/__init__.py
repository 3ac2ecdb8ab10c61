"""Loaders: one module a data set, each turning rows of the published format into problems.

Each module's docstring says where public and private tests come from. `codeenv.problems.load` finds them through `catalog`.
"""
