"""The code that runs on the far side: in the worker process and in the children that execute submissions.

It is loaded by a bare interpreter (any CPython from 3.9, no site packages) as the top-level package `inside`, so its modules
import the standard library and each other (relatively) and nothing else of codeenv. The judge imports `frames` from here as
well.
"""
