"""Chemical formulas, which are no products: `H2O` is `H_2O` and never OH2."""

from __future__ import annotations

import re

from limo.verify.maths.tables import table

_SCRIPTS = str.maketrans({**table("symbols")["subscripts"], **table("symbols")["superscripts"]})
_DROPPED = re.compile(r"\\(?:text|mathrm|ce|rm|mathsf|operatorname)(?![A-Za-z])|\\[,;! ]|[\s{}$_^~]")
_ELEMENTS = "|".join(sorted(table("elements")["elements"], key=len, reverse=True))
_FORMULA = re.compile(rf"\d*(?:(?:{_ELEMENTS}|[()\[\]·])\d*)+(?:\d*[+-])?(?:\((?:aq|s|l|g)\))?")
_ELEMENT = re.compile(_ELEMENTS)
_CHEMISTRY = re.compile(r"chemi|formula|compound|molecul|oxide|nitrogen|\bgas|化学", re.I)


def same_formula_of_elements(gold: str, pred: str, statement: str = "") -> bool | None:
    """Whether two chemical formulas are the same; None where the answer is none, or the letters may be a product."""
    if not 1 < len(gold) <= 80 or "=" in gold:
        return None
    first, second = (_plain(text) for text in (gold, pred))
    if not _FORMULA.fullmatch(first):
        return None
    elements = _ELEMENT.findall(first)
    is_chemical = (len(elements) > 1 and re.search(r"\d", first)) or any(len(element) > 1 for element in elements)
    if not is_chemical or ("^" in gold.replace("^{+", "").replace("^{-", "") and not re.search(r"[+-]\}?\$?\Z", gold)):
        return None
    if first == second:
        return True
    return False if _FORMULA.fullmatch(second) or sorted(first) == sorted(second) else None


def differ_in_case(gold: str, pred: str, statement: str) -> bool:
    """`NO` against `No`: a formula keeps its case, an answer to a yes-or-no question need not."""
    first, second = (_plain(text) for text in (gold[:40], pred))
    is_same_word = len(first) > 1 and first != second and first == second.upper() and _FORMULA.fullmatch(first)
    return bool(is_same_word) and (not statement or bool(_CHEMISTRY.search(statement)))


def _plain(text: str) -> str:
    return _DROPPED.sub("", text[:200].translate(_SCRIPTS))
