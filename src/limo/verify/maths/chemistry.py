"""Chemical formulas, which are no products: `H2O` is `H_2O` and never OH2."""

from __future__ import annotations

import re

from limo.verify.maths.tables import table

_SCRIPTS = str.maketrans({**table("symbols")["subscripts"], **table("symbols")["superscripts"]})
_DROPPED = re.compile(r"\\(?:text|mathrm|ce|rm|mathsf|operatorname)(?![A-Za-z])|\\[,;! ]|[\s{}$_^~]")
_ELEMENTS = "|".join(sorted(table("elements")["elements"], key=len, reverse=True))
_FORMULA = re.compile(rf"\d*(?:(?:{_ELEMENTS}|[()\[\]·])\d*)+(?:\d*[+-])?(?:\((?:aq|s|l|g)\))?")
_ELEMENT = re.compile(_ELEMENTS)


def same_formula_of_elements(gold: str, pred: str) -> bool | None:
    """Whether two chemical formulas are the same; None where the answer is none, or the letters may be a product."""
    if not 1 < len(gold) <= 80 or "=" in gold:
        return None
    first, second = (_DROPPED.sub("", text[:200].translate(_SCRIPTS)) for text in (gold, pred))
    if not _FORMULA.fullmatch(first):
        return None
    elements = _ELEMENT.findall(first)
    is_chemical = (len(elements) > 1 and re.search(r"\d", first)) or any(len(element) > 1 for element in elements)
    if not is_chemical or ("^" in gold.replace("^{+", "").replace("^{-", "") and not re.search(r"[+-]\}?\$?\Z", gold)):
        return None
    if first == second:
        return True
    return False if _FORMULA.fullmatch(second) or sorted(first) == sorted(second) else None
