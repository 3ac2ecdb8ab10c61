"""The data sets that codeenv knows, as entries of the registry."""

from __future__ import annotations

from codeenv.problems.registry import Source, register

__all__: list[str] = []

for _source in (
    Source(
        "humaneval",
        "codeenv.problems.loaders.humaneval:load_humaneval",
        "164 functions from docstrings (Chen et al. 2021, arXiv 2107.03374)",
        "public: examples in the docstring; private: the data set's check(candidate)",
        ("test",),
        "HumanEval",
    ),
    Source(
        "procedural",
        "codeenv.problems.procedural.generator:load_procedural",
        "endless seeded problems: small functions and stdio programs",
        "public: 3 inputs that tell the program from its near misses; private: 7 more, with edge cases",
        ("train", "valid", "test"),
        "Procedural",
    ),
    Source(
        "mini",
        "codeenv.problems.loaders.mini:load_mini",
        "the miniature family of the demo: one-line functions of two digits, described in part",
        "public: 3 inputs; private: 4 others",
        ("train", "tune", "report"),
        "Mini",
    ),
    Source(
        "jsonl",
        "codeenv.problems.loaders.schema:load_schema",
        "rows of codeenv's own schema",
        "as written in the rows",
        ("all",),
        "Jsonl",
    ),
):
    register(_source)
