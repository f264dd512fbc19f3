"""Chinese numerals and number words, turned into the Arabic and LaTeX forms that the parser reads.

    to_arabic("三分之一")      # "\\\\frac{1}{3}"
    to_arabic("一百二十三元")   # "123元"
    to_arabic("3.5万")         # "35000"

Only runs that are numbers by their form are rewritten: a lone 一 inside a word ("一定", "唯一") stays a word, and the
heavenly stems (甲乙丙丁) are names.
"""

from __future__ import annotations

import re
from fractions import Fraction

from limo.verify.maths.tables import table

_TABLE = table("languages/chinese")
_DIGITS, _SMALL, _LARGE = _TABLE["digits"], _TABLE["small_scales"], _TABLE["large_scales"]
_NUMERAL = f"[{''.join([*_DIGITS, *_SMALL, *_LARGE])}]"
_FRACTION = re.compile(rf"({_NUMERAL}+|\d+)分之({_NUMERAL}+|\d+(?:\.\d+)?)")
_WHOLE = re.compile(rf"^\s*[负]?{_NUMERAL}+(?:点[{''.join(_DIGITS)}]+)?(?=\s*(?:{_TABLE['measures']}|$))")
_SCALED = re.compile(rf"(\d+(?:\.\d+)?)\s*([{''.join(_LARGE)}]+)")


def to_arabic(text: str) -> str:
    """The text with its Chinese numbers rewritten; anything else is left as it is."""
    if not re.search(r"[\u4e00-\u9fff〇]", text):
        return text
    text = _FRACTION.sub(_fraction, text)
    text = _SCALED.sub(_scaled, text)
    return _WHOLE.sub(lambda m: _decimal(m.group().strip()), text)


def numeral(text: str) -> int | None:
    """The value of a run of Chinese numerals; None where it is not one."""
    if not 0 < len(text) < 40 or any(c not in _DIGITS and c not in _SMALL and c not in _LARGE for c in text):
        return None
    if all(c in _DIGITS for c in text):
        return int("".join(str(_DIGITS[c]) for c in text))
    total = section = digit = 0
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _SMALL:
            section += (digit or 1) * _SMALL[char]
            digit = 0
        else:
            total = (total + section + digit) * _LARGE[char]
            section = digit = 0
    return total + section + digit


def _decimal(text: str) -> str:
    sign = "-" if text.startswith("负") else ""
    whole, dot, rest = text.removeprefix("负").partition("点")
    value = numeral(whole)
    if value is None:
        return text
    return f"{sign}{value}" + ("." + "".join(str(_DIGITS[c]) for c in rest) if dot else "")


def _fraction(match: re.Match[str]) -> str:
    below, above = match.groups()
    if below == "百":
        return (str(numeral(above)) if not above[0].isdigit() else above) + r"\%"
    low = int(below) if below.isdigit() else numeral(below)
    high = above if above[0].isdigit() else numeral(above)
    return match.group() if low is None or high is None else rf"\frac{{{high}}}{{{low}}}"


def _scaled(match: re.Match[str]) -> str:
    scale = 1
    for char in match.group(2):
        scale *= _LARGE[char]
    value = Fraction(match.group(1)) * scale
    return str(value.numerator) if value.denominator == 1 else match.group()
