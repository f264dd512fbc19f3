"""Formulas of a text as MathML, typeset when the page is made: no script, no fonts of ours.

A text may be hostile, so a formula is bounded in length, what cannot be typeset stays as it was written, and the result
may hold MathML elements alone.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from markupsafe import Markup

MAX_FORMULA = 1000  # characters; longer ones stay as written (our choice: the longest that fits a screen)
FORMULA = re.compile(
    rf"\$\$(?P<display>[^$]{{1,{MAX_FORMULA}}})\$\$|\\\[(?P<square>(?:(?!\\\[).){{1,{MAX_FORMULA}}}?)\\\]"
    rf"|\\\((?P<round>(?:(?!\\\().){{1,{MAX_FORMULA}}}?)\\\)"
    rf"|(?<![\\$\w])\$(?P<inline>[^\s$](?:[^$\n]{{0,{MAX_FORMULA}}}[^\s$\\])?)\$(?![\w$])",
    re.DOTALL,
)
"""A formula between TeX's marks; money ("$5 and $6") is none."""
_NOT_MATHML = re.compile(r"<(?!/?m[a-z]+\b)|\bon\w+\s*=|href|src\s*=|url\s*\(", re.IGNORECASE)


def typeset_match(match: re.Match[str]) -> Markup | None:
    """The MathML of a match of `FORMULA`; None where it cannot be typeset."""
    kind = match.lastgroup or ""
    return typeset(match[kind], kind in ("display", "square"))


@lru_cache(maxsize=20_000)
def typeset(latex: str, is_display: bool = False) -> Markup | None:
    """A formula in LaTeX as a `<math>` element; None where it is too long or not understood."""
    if len(latex) > MAX_FORMULA or not latex.replace("\n", " ").replace("\t", " ").isprintable():
        return None
    converter = _converter()
    try:
        mathml: str = converter.convert_with_local_state(latex, displaystyle=is_display)
    except Exception:  # its own error, or any other that a hostile text brings it to: the source is shown
        return None
    return None if _NOT_MATHML.search(mathml) else Markup(mathml)


@cache
def _converter() -> Any:
    import math_core

    return math_core.LatexToMathML(fancy_error=False)
