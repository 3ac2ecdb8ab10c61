"""Statements as readable text: HTML, LaTeX and Markdown without markup that carries no meaning."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.problem import ProblemError

__all__ = ["find_statement", "html_to_text", "latex_to_text", "markdown_to_text"]

_FOLDERS = ("problem_statement", "statement")
_KINDS = (".md", ".html", ".tex")

MAX_STATEMENT_CHARS = 1 << 20
"""Longest statement that is read; real ones have some thousand characters."""

_MAX_NESTING = 50
"""Deepest nesting of LaTeX commands such as \\textbf that are unwrapped."""

_TAG = re.compile(r"""</?[a-zA-Z](?:[^<>"']|"[^"]{0,500}"|'[^']{0,500}'|"[^"<]*"|'[^'<]*')*+>|</?[a-zA-Z][^<>]*>""")
_DECLARATION = re.compile(r"<(?:!doctype|\?xml)[^<>]*>", re.I)


def find_statement(files: PackageFiles) -> str:
    """Return the statement as text, in English if there is a choice; an empty text if there is none."""
    found = [
        name
        for folder in _FOLDERS
        for name in files.under(folder)
        if name.count("/") == 1 and re.fullmatch(r"problem(\.[\w-]+)?\.(md|html|tex)", name.rpartition("/")[2])
    ]
    if not found:
        return ""

    def preference(name: str) -> tuple[int, int, str]:
        language = name.rpartition("/")[2].split(".")[1:-1]
        return (0 if language in ([], ["en"]) else 1, _KINDS.index("." + name.rpartition(".")[2]), name)

    name = min(found, key=preference)
    text = files.read_text(name)
    if len(text) > MAX_STATEMENT_CHARS:
        raise ProblemError(f"{name} has {len(text)} characters; the limit is {MAX_STATEMENT_CHARS}")
    convert = {".md": markdown_to_text, ".html": html_to_text, ".tex": latex_to_text}["." + name.rpartition(".")[2]]
    return convert(text)


def markdown_to_text(text: str) -> str:
    """Return Markdown without images and without the placeholders of sample data.

    >>> markdown_to_text("Add **two** numbers.\\n\\n![a figure](a.png)\\n\\n{{nextsample}}")
    'Add **two** numbers.'
    """
    text = re.sub(r"!\[[^\[\]]*\]\([^\[)]*\)(\{[^\[}]*\})?", "", text)
    text = re.sub(r"\{\{\s*(nextsample|remainingsamples)\s*\}\}", "", text)
    return _tidy(text)


def html_to_text(text: str) -> str:
    """Return HTML as text: paragraphs, list items, table rows and preformatted blocks keep their lines.

    >>> html_to_text("<p>2<sup>10</sup> &le; <b>N</b></p><ul><li>one</li></ul><script>x</script>")
    '2^10 ≤ N\\n\\n- one'
    """
    parser = _Html()
    parser.feed(_well_formed(text))
    parser.close()
    return _tidy("".join(parser.parts))


def _well_formed(text: str) -> str:
    """Return HTML without comments and declarations, in which each `<` that begins no tag is text.

    The parser of the standard library raises for some such texts, and needs time by the square of the length for others.
    """
    parts = []
    position = 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts.append(text[position:start])
        position = end + 3
    text = _DECLARATION.sub("", "".join(parts) + text[position:])
    parts, position = [], 0
    for start in (match.start() for match in re.finditer("<", text)):
        if start < position:
            continue  # within a tag
        tag = _TAG.match(text, start)
        parts += [text[position:start], tag[0] if tag else "&lt;"]
        position = tag.end() if tag else start + 1
    return "".join(parts) + text[position:]


class _Html(HTMLParser):
    _SKIPPED = frozenset({"script", "style", "head", "title"})
    _BLOCKS = frozenset({"p", "div", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "pre", "section", "blockquote"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skip = 0
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SKIPPED:
            self._skip += 1
        elif tag == "pre":
            self._pre += 1
        if tag in self._BLOCKS:
            self.parts.append("\n\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in ("br", "tr"):
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" | ")
        elif tag in ("sup", "sub"):
            self.parts.append("^" if tag == "sup" else "_")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SKIPPED:
            self._skip = max(0, self._skip - 1)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
        if tag in self._BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.parts.append(data if self._pre else re.sub(r"\s+", " ", data))


_LATEX_SYMBOLS = {
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "times": "×", "cdot": "·", "ldots": "...", "dots": "...",
    "cdots": "...", "to": "→",
    "rightarrow": "→", "infty": "∞", "in": "∈", "sum": "sum", "pm": "±", "quad": " ", "textbackslash": "\\",
}  # fmt: skip


def latex_to_text(text: str) -> str:
    """Return LaTeX as text; formulas keep their dollar signs and lose spacing commands.

    >>> latex_to_text(r"\\problemname{Sum} Given $n \\leq 10^5$: \\begin{itemize}\\item \\textbf{one}\\end{itemize} % note")
    'Sum\\n\\nGiven $n ≤ 10^5$:\\n\\n- one'
    """
    text = re.sub(r"(?<!\\)%.*", "", text)
    text = re.sub(r"\\illustration(\{[^{}]*\}){3}", "", text)
    text = re.sub(r"\\includegraphics(\[[^\[\]]*\])?\{[^{}]*\}", "", text)
    text = re.sub(r"\\(nextsample|remainingsamples|noindent|centering|newpage|smallskip|medskip|bigskip)\b", "", text)
    text = re.sub(r"\\(problemname|section|subsection|paragraph)\*?\{([^{}]*)\}", r"\n\n\2\n\n", text)
    text = re.sub(r"\\(begin|end)\{(tabular|array)\}(\{[^{}]*\})?", "\n\n", text)
    text = re.sub(r"\\(begin|end)\{[^{}]*\}(\[[^\[\]]*\])?", "\n\n", text)
    text = re.sub(r"\\item\b\s*", "\n- ", text)
    text = re.sub(r"\\href\{([^{}]*)\}\{([^{}]*)\}", r"\2 (\1)", text)
    wrapped = re.compile(
        r"\\(?:textbf|textit|texttt|emph|mathrm|mathit|text|textsc|underline|url|mbox|verb|footnote)\{([^{}]*)\}"
    )
    for _ in range(_MAX_NESTING):
        text, count = wrapped.subn(r"\1", text)
        if not count:
            break
    text = re.sub(r"\\([a-zA-Z]+)(?![a-zA-Z])", lambda match: _LATEX_SYMBOLS.get(match[1], match[0]), text)
    text = text.replace("\\\\", "\n").replace("~", " ").replace("``", '"').replace("''", '"')
    text = re.sub(r"\\([%&#_{}$])", r"\1", text)
    text = re.sub(r"\\[,;:! ]", " ", text)
    return _tidy(re.sub(r"(?<=\S) {2,}", " ", text))


def _tidy(text: str) -> str:
    lines = [line.strip() if not line.startswith("    ") else line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
