"""Chinese numerals and number words, turned into the Arabic and LaTeX forms that the parser reads.

    to_arabic("三分之一")      # "\\\\frac{1}{3}"
    to_arabic("一百二十三元")   # "123元"
    to_arabic("3.5万")         # "35000"

Only runs that are numbers by their form are touched: a lone 一 inside a word ("一定", "唯一") stays a word, and the
heavenly stems (甲乙丙丁) are names.

What it does not do: read ordinals, dates, or numerals above 兆.
"""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "亿": 10**8, "兆": 10**12}
_NUMERAL = "[零〇一二两三四五六七八九十百千万亿兆]"
_MEASURE = (
    "[个元角分米克吨升岁年月日天周时秒人种次条本只支张页倍度名位件头棵块袋箱盒辆台套组级步层]"
    "|平方|立方|千米|厘米|毫米|公"
)
_FRACTION = re.compile(rf"({_NUMERAL}+|\d+)分之({_NUMERAL}+|\d+(?:\.\d+)?)")
_WHOLE = re.compile(rf"^\s*[负]?{_NUMERAL}+(?:点[零〇一二三四五六七八九]+)?(?=\s*(?:{_MEASURE}|$))")
_SCALED = re.compile(r"(\d+(?:\.\d+)?)\s*([万亿兆]+)")


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
