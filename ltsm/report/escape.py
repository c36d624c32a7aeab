"""Text made harmless in the languages of the documents; HTML is escaped by jinja2 itself."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "_": r"\_\allowbreak{}",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"\(\pm\)",
    "×": r"\(\times\)",
    "−": r"\(-\)",
    "≠": r"\(\neq\)",
    "…": r"\ldots{}",
    "–": "--",
    "“": "``",
    "”": "''",
}


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def latex(text: str) -> str:
    """Text that LaTeX prints as it is; a character that pdflatex's fonts lack becomes a question mark."""
    return "".join(_LATEX.get(c) or _latin(c) for c in " ".join(text.split()))


def _latin(character: str) -> str:
    """The fonts of T1 have Latin letters."""
    return character if character.isascii() or "À" <= character <= "ÿ" else "?"
