"""Formulas of propositional logic, compared by their truth tables: `p \\to q` is `\\neg p \\lor q`."""

from __future__ import annotations

import re
from itertools import product

MAX_LETTERS, MAX_LENGTH = 6, 200
_SIGNS = {
    **dict.fromkeys(["\\left", "\\right", "\\quad", "\\,", "\\;", "\\!", "\\ "], ""),
    **dict.fromkeys(["\\neg", "\\lnot", "\\sim", "¬", "~"], "!"),
    **dict.fromkeys(["\\land", "\\wedge", "∧"], "&"),
    **dict.fromkeys(["\\lor", "\\vee", "∨"], "|"),
    **dict.fromkeys(["\\to", "\\rightarrow", "\\Rightarrow", "\\implies", "\\supset", "→", "⇒"], ">"),
    **dict.fromkeys(["\\leftrightarrow", "\\Leftrightarrow", "\\iff", "\\equiv", "↔", "⇔"], "="),
}
_SIGN = re.compile(r"\\(?:[A-Za-z]+|[,;! ])|[¬~∧∨→⇒↔⇔]")
_FORMULA = re.compile(r"[A-Za-z()\[\]!&|>=]+")


def same_proposition(gold: str, pred: str, statement: str = "") -> bool | None:
    """Whether two formulas are true together; None where they are none, or the problem asks for one of its forms."""
    first, second = _read(gold), _read(pred)
    if not first or not second or re.search(r"contrapositive|normal form|逆否|范式", statement, re.I):
        return None
    letters = sorted({c for c in first + second if c.isalpha()})
    if len(letters) > MAX_LETTERS:
        return None
    rows = [dict(zip(letters, values, strict=True)) for values in product((False, True), repeat=len(letters))]
    try:
        return all(_value(first, row) == _value(second, row) for row in rows)
    except (KeyError, IndexError, RecursionError):
        return None


def _read(text: str) -> str:
    """A formula with one character for each sign; "" where a text is none."""
    if len(text) > MAX_LENGTH or not _SIGN.search(text) or re.search(r"(?<!\\)[!&|<>=]", text):
        return ""
    plain = re.sub(r"[\s$]", "", _SIGN.sub(lambda m: _SIGNS.get(m[0], "?"), text))
    is_formula = _FORMULA.fullmatch(plain) and not re.search("[A-Za-z]{2}", plain)
    return plain.replace("[", "(").replace("]", ")") if is_formula else ""


def _value(text: str, row: dict[str, bool]) -> bool:
    """Its value for the letters of a row; the loosest sign outside brackets first.  Raises KeyError for no formula."""
    for sign in "=>|&":
        depth = 0
        for at, char in enumerate(text):
            depth += (char == "(") - (char == ")")
            if char == sign and depth == 0:
                left, right = _value(text[:at], row), _value(text[at + 1 :], row)
                return {"=": left == right, ">": not left or right, "|": left or right, "&": left and right}[sign]
    if text[0] == "!":
        return not _value(text[1:], row)
    return _value(text[1:-1], row) if text[0] == "(" and text[-1] == ")" else row[text]
