"""From a response to the program in it."""

from __future__ import annotations

import ast
import re

from codeenv.problems.languages import LANGUAGES

__all__ = ["extract_code", "fence", "parameters_of"]

_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$", re.MULTILINE)
_MARKED = re.compile(r"\s*\n([ \t]{0,3}(?:`{3,}|~{3,})[ \t]*[^\s`])")


def extract_code(response: str, require_fence: bool = True, language: str = "python") -> str | None:
    """Return the program in a response, or `None` if there is none.

    It is the last closed fenced block marked as `language`, else the last closed fenced block. A fence without a mark around a
    marked block, as small models write it, is no block of its own. Without any fence, the whole response is taken if
    `require_fence` is off (whether it is a program, the compiler in the sandbox decides). A block that is never closed was cut
    off and does not count.

    >>> extract_code("Try this:\\n```python\\nprint(1)\\n```\\nIt prints 1.")
    'print(1)\\n'
    >>> extract_code("no code here") is None
    True
    """
    blocks: list[tuple[str, str]] = []
    position = 0
    wrapped = ""
    opened = False
    while opening := _FENCE.search(response, position):
        opened = True
        mark, name = opening.group(1), opening.group(2).lower()
        inner = None if name else _MARKED.match(response, opening.end())
        if inner:
            wrapped, position = mark, inner.start(1)
            continue
        closing = re.compile(rf"^[ \t]{{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
        end = closing.search(response, opening.end())
        if end is None:
            break
        blocks.append((name, response[min(opening.end() + 1, end.start()) : end.start()]))
        position = end.end()
        if wrapped:
            outer = re.compile(rf"\s*\n[ \t]{{0,3}}{re.escape(wrapped)}[ \t]*$", re.MULTILINE).match(response, position)
            position, wrapped = outer.end() if outer else position, ""
    if blocks:
        names = {language, *LANGUAGES[language].aliases}
        marked = [body for name, body in blocks if name in names]
        return marked[-1] if marked else blocks[-1][1]
    if require_fence or opened or not response.strip():
        return None
    return response


def fence(source: str, language: str = "python") -> str:
    """Return a response that submits `source`: a fenced block that `extract_code` reads back, whatever the source holds.

    >>> extract_code(fence("print('```')\\n"))
    "print('```')\\n"
    """
    runs = [len(run) for run in re.findall(r"`{3,}", source)]
    mark = "`" * max([3, *(run + 1 for run in runs)])
    return f"{mark}{language}\n{source}{'' if source.endswith(chr(10)) else chr(10)}{mark}"


def parameters_of(source: str, entry_point: str | None) -> list[str]:
    """Return the names of the positional parameters of a function in a program; none if it is not there.

    >>> parameters_of("def f(a, b): return b", "f")
    ['a', 'b']
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == entry_point]
    return [argument.arg for argument in found[-1].args.args] if found else []
