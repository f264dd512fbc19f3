"""Formulas that are no algebra: of chemistry (`H2O` is `H_2O` and never OH2), and of propositional logic.

Propositions are compared by their truth tables: `p \\to q` is `\\neg p \\lor q`.
"""

from __future__ import annotations

import re
from itertools import product

from limo.verify.maths.tables import table

_SCRIPTS = str.maketrans({**table("symbols")["subscripts"], **table("symbols")["superscripts"]})
_DROPPED = re.compile(r"\\(?:text|mathrm|ce|rm|mathsf|operatorname)(?![A-Za-z])|\\[,;! ]|[\s{}$_^~]")
_ELEMENTS = "|".join(sorted(table("elements")["elements"], key=len, reverse=True))
_FORMULA = re.compile(rf"\d*(?:(?:{_ELEMENTS}|[()\[\]·])\d*)+(?:\d*[+-])?(?:\((?:aq|s|l|g)\))?")
_ELEMENT = re.compile(_ELEMENTS)
_CHEMISTRY = re.compile(r"chemi|formula|compound|molecul|oxide|nitrogen|\bgas|化学", re.I)

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
_PROPOSITION = re.compile(r"[A-Za-z()\[\]!&|>=]+")


def same_formula_of_elements(gold: str, pred: str, statement: str = "") -> bool | None:
    """Whether two chemical formulas are the same; None where the answer is none, or the letters may be a product."""
    if not is_formula_of_elements(gold):
        return None
    first, second = (_plain(text) for text in (gold, pred))
    if first == second:
        return True
    return False if _FORMULA.fullmatch(second) or sorted(first) == sorted(second) else None


def is_formula_of_elements(text: str) -> bool:
    """Whether a text can only be a chemical formula: several elements and a number, or the two letters of one."""
    if not 1 < len(text) <= 80 or "=" in text or not _FORMULA.fullmatch(plain := _plain(text)):
        return False
    elements = _ELEMENT.findall(plain)
    is_chemical = (len(elements) > 1 and re.search(r"\d", plain)) or any(len(element) > 1 for element in elements)
    powers = "^" in text.replace("^{+", "").replace("^{-", "") and not re.search(r"[+-]\}?\$?\Z", text)
    return bool(is_chemical) and not powers


def differ_in_case(gold: str, pred: str, statement: str) -> bool:
    """`NO` against `No`: a formula keeps its case, an answer to a yes-or-no question need not."""
    first, second = (_plain(text) for text in (gold[:40], pred))
    is_same_word = len(first) > 1 and first != second and first == second.upper() and _FORMULA.fullmatch(first)
    return bool(is_same_word) and (not statement or bool(_CHEMISTRY.search(statement)))


def _plain(text: str) -> str:
    return _DROPPED.sub("", text[:200].translate(_SCRIPTS))


def same_proposition(gold: str, pred: str, statement: str = "") -> bool | None:
    """Whether two formulas are true together; None where they are none, or the problem asks for one of its forms."""
    first, second = _read_proposition(gold), _read_proposition(pred)
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


def _read_proposition(text: str) -> str:
    """A formula with one character for each sign; "" where a text is none."""
    if len(text) > MAX_LENGTH or not _SIGN.search(text) or re.search(r"(?<!\\)[!&|<>=]", text):
        return ""
    plain = re.sub(r"[\s$]", "", _SIGN.sub(lambda m: _SIGNS.get(m[0], "?"), text))
    is_formula = _PROPOSITION.fullmatch(plain) and not re.search("[A-Za-z]{2}", plain)
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
