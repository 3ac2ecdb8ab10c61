"""Fine-grained optimisation (StepCoder, arXiv 2402.01391): policy loss only on tokens of lines that the tests ran.

m_t = 1 iff token t lies on a line that was run; L = sum_t m_t L_t / sum_t m_t. Pure functions on coverage and character spans.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from codeenv.agents.settings import check_choice, check_flag
from codeenv.errors import CodeenvError
from codeenv.text import program_lines

__all__ = ["MaskConfig", "kept_lines", "random_mask", "token_mask", "token_spans"]


@dataclass(frozen=True, slots=True)
class MaskConfig:
    """Choices that the paper leaves open.

    Attributes:
        mode: `off`, `coverage`, or `random`: the control, masks of equal sparsity at random places, drawn anew for each
            collection.
        tests: whose runs count: those behind the `reward`, private ones too where they were run, or the `public` ones alone.
        comments: keep comment and blank lines.
        mask_passed: mask the programs that passed too.
        normalise: divide the loss by the number of kept tokens; off, by the number of all tokens.
    """

    mode: Literal["off", "coverage", "random"] = "coverage"
    tests: Literal["reward", "public"] = "reward"
    comments: bool = False
    mask_passed: bool = True
    normalise: bool = True

    def __post_init__(self) -> None:
        check_choice("the mask's mode", self.mode, ("off", "coverage", "random"))
        check_choice("the mask's tests", self.tests, ("reward", "public"))
        for name in ("comments", "mask_passed", "normalise"):
            check_flag(f"the mask's {name}", getattr(self, name))


def kept_lines(source: str, covered: Collection[int] | None, config: MaskConfig | None = None) -> frozenset[int]:
    """Return the 1-based lines whose tokens keep their loss.

    Kept are all lines of a statement that was run, the headers of definitions, classes and imports with their decorators,
    docstrings, and headers such as `else:` and `try:` whose body was run.

    Args:
        source: the program.
        covered: lines on which a statement starts that was run, the union over the tests behind the reward; `None` if nothing
            is known. After a time limit these are the lines reached so far.
        config: the open choices.
    """
    config = config or MaskConfig()
    rows = program_lines(source)
    lines = frozenset(range(1, len(rows) + 1))
    if covered is None:
        return lines
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return lines  # nothing ran: every token may be the wrong one
    kept: set[int] = set()
    owned: set[int] = set()
    run = frozenset(covered)
    silent = {number for number, line in enumerate(rows, 1) if not line.strip() or line.lstrip().startswith("#")}
    _visit(tree.body, run, kept, owned, silent)
    if config.comments:
        kept |= silent | (lines - owned)
    return frozenset(kept)


def _visit(body: Sequence[ast.stmt], run: frozenset[int], kept: set[int], owned: set[int], silent: set[int]) -> bool:
    """Mark the lines of some statements; return whether any of them was run."""
    ran = False
    for statement in body:
        blocks = _blocks(statement)
        decorators = [item.lineno for item in getattr(statement, "decorator_list", [])]
        first = min([statement.lineno, *decorators])
        head_end = statement.end_lineno or statement.lineno
        if blocks:
            head_end = (blocks[0][0] if blocks[0][0] > statement.lineno else blocks[0][1]) - 1
        head = [line for line in range(first, max(head_end, statement.lineno) + 1) if not blocks or line not in silent]
        owned.update(head)
        here = statement.lineno in run
        always = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom))
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        inside = False
        for header, start, statements in blocks:
            entered = _visit(statements, run, kept, owned, silent)
            header_lines = [line for line in range(header, start) if line > statement.lineno and line not in silent]
            owned.update(header_lines)
            if entered:
                kept.update(header_lines)
            inside = inside or entered
        if here or always or docstring or inside:
            kept.update(head)
        ran = ran or here or inside
    return ran


def _blocks(statement: ast.stmt) -> list[tuple[int, int, list[ast.stmt]]]:
    """Return the inner blocks of a statement as (line of the header, first line of the body, statements)."""
    blocks: list[tuple[int, int, list[ast.stmt]]] = []
    end = statement.lineno

    def add(statements: list[ast.stmt], header: int | None = None) -> None:
        nonlocal end
        if statements:
            decorators = [item.lineno for item in getattr(statements[0], "decorator_list", [])]
            start = min([statements[0].lineno, *decorators])
            blocks.append((header if header is not None else min(end + 1, start), start, statements))
            end = statements[-1].end_lineno or statements[-1].lineno

    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        parts = getattr(statement, name, None)
        if not isinstance(parts, list):
            continue
        if name == "body":
            add(parts, statement.lineno)
        elif name in ("handlers", "cases"):
            for part in parts:
                add(part.body, part.pattern.lineno if name == "cases" else part.lineno)
        else:
            add(parts)
    return sorted(blocks, key=lambda block: block[1])


def token_spans(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return the character span of each token in the concatenation of the tokens' own texts.

    For sampled tokens of a tokenizer that gives no offsets; a token that decodes to a part of a character gets an empty span.
    """
    spans = []
    position = 0
    for text in texts:
        spans.append((position, position + len(text)))
        position += len(text)
    return spans


def token_mask(response: str, source: str, spans: Sequence[tuple[int, int]], kept: Collection[int]) -> list[bool]:
    """Return for each token of a response whether it keeps its loss.

    Tokens that lie wholly outside the program (reasoning, fence, end mark) keep it; inside, a token keeps it if any of its
    characters lies on a kept line.

    Args:
        response: the whole response.
        source: the program in it, as `codeenv.submission.extract_code` returned it.
        spans: the tokens' half-open character spans in the response.
        kept: lines, from `kept_lines`.
    """
    start = response.rfind(source)
    if start < 0 or not source:
        return [True] * len(spans)
    stop = start + len(source)
    line_of = [number for number, row in enumerate(program_lines(source), 1) for _ in row]
    mask = []
    for left, right in spans:
        inside = range(max(left, start) - start, min(right, stop) - start)
        outside = left < start or right > stop or left == right
        mask.append(outside or any(line_of[index] in kept for index in inside))
    return mask


def random_mask(masks: Sequence[Sequence[bool]], seed: int | str) -> list[list[bool]]:
    """Return masks of equal sparsity, row by row, with the kept tokens at random places: the control that a mask must beat."""
    generator = random.Random(seed)
    return [generator.sample(list(mask), len(mask)) for mask in masks]


def check_lengths(masks: Sequence[Sequence[bool]], tokens: Sequence[int]) -> None:
    """Raise if a mask has another length than its response has tokens."""
    for index, (mask, count) in enumerate(zip(masks, tokens, strict=True)):
        if len(mask) != count:
            raise CodeenvError(f"mask {index} has {len(mask)} entries for {count} tokens; make it from the same response")
