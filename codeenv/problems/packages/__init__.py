"""Problem packages of programming contests (ICPC/Kattis format, legacy and 2023-07 and later), folders or zip files.

`files` reads a folder or a zip alike; `metadata` reads problem.yaml; `statement` turns HTML, LaTeX and Markdown into text;
`testdata` finds samples, secret data and groups; `validators` turns flags and Python validators into a checker; `reader` joins
them.
"""

from codeenv.problems.groups import Group, score
from codeenv.problems.packages.reader import Package, load_packages, read_package

__all__ = ["Group", "Package", "load_packages", "read_package", "score"]
