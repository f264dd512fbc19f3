r"""One spelling for the many ways of writing the same statement, before it is scanned.

`3½`, `3\tfrac12` and `3 1/2` become `3\frac{1}{2}`; marks that are data get a name of their own, since the scanner
drops punctuation: `20!` becomes `20\factorial`, the `&` and `\\` of a matrix `\cell` and `\newline`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from limo.pool.canonical.characters import code_points
from limo.pool.canonical.respellable import find_respellable, mark_tables
from limo.pool.canonical.unicode_forms import GREEK

_S = r"[\x01-\x20$~\x7f]*"  # white space
_BETWEEN = "\x00"  # no character of a text: stands between two

_SHOUTED = re.compile(r"[^a-z\\$]{0,40}?[A-Z]{2,}[^A-Za-z\\]+(?:[A-Z]{2,}|[A-Z]\b|\\)")
_MATHEMATICS = re.compile(
    r"\$[^$]*\$|\\\((?:(?!\\\().)*?\\\)|\\\[(?:(?!\\\[).)*?\\\]|\\[A-Za-z]+(?:\s*\{[^{}]*\})*", re.S
)
_CAPITALS = re.compile("[A-Z]+")
_POINTS = re.compile("[a-h]{2,3}|[b-df-hj-np-tv-z]{2,3}")  # `AB`, `PQR`: names even among capitals, but for these words
_SHORT_WORD = re.compile("be|had|add|age|bag|bed|bad|egg|by|my|try|dry|[ckm]m|[km]g|ml|ft")
_CELL = re.compile(r"&(?<!\\&)")  # a pattern that begins with a letter or sign is searched several times as fast
_ENVIRONMENT_BREAK = re.compile(rf"\\\\(?:\[[^\]{_BETWEEN}]*\])?(?![A-Za-z]{{2}})")
_EMPTY_SCRIPTS = [re.compile(sign + r"\s*\{\s*\}") for sign in (r"\^", "_")]
_LATEX_QUOTES = re.compile(rf"``((?:(?!``)[^{_BETWEEN}])*?)\'\'")  # each search ends at the next ``: linear
_PRIME_COMMAND = re.compile(r"\^\s*(?:\{\s*((?:(?:\\prime(?![A-Za-z])|')\s*)+)\}|\\prime(?![A-Za-z]))")
# A matrix is written in one of two environments; its brackets are round ones, since both kinds say the same.
_LAST_BREAK = re.compile(r"\\newline \s*\\end\{")
_SQUARE_OPENED = re.compile(r"\[(?<!\\\[)\s*(?=\\begin\{(?:array|(?:small)?matrix)\})")
_SQUARE_CLOSED = re.compile(r"(\\end\{(?:array|(?:small)?matrix)\}\s*(?:\\right)?\s*)\]")
_MATRIX_OPENED = re.compile(
    r"\\begin\{(?:([pbBvVd]?(?:small)?matrix|cases)\}|array\}(?:\[[tcb]\])?(?:\s*\{[lcr\s]*\})?)"
)
_MATRIX_CLOSED = re.compile(r"\\end\{(?:([pbBvVd]?(?:small)?matrix|cases)|array)\}")
_MATRIX_BRACKETS = {"p": "()", "b": "()", "v": "||", "V": (r"\|", r"\|"), "B": (r"\{", r"\}"), "c": (r"\{", "")}
_CHOOSE = re.compile(
    rf"\{{((?:[^{{}}{_BETWEEN}]|\{{[^{{}}{_BETWEEN}]*\}})*?)\\choose(?![A-Za-z])((?:[^{{}}{_BETWEEN}]|\{{[^{{}}{_BETWEEN}]*\}})*)\}}"
)
_COLON = re.compile(r"\\colon(?![A-Za-z])")
# `\sin{3x}` in front of nothing that the function could apply to as well.
_FUNCTION_BRACES = re.compile(
    rf"(\\(?:sin|cos|tan|cot|sec|csc|log|ln|lg|exp)) ?\{{([^{{}}{_BETWEEN}]*)\}}"
    r"(?=\s*(?:[^A-Za-z0-9({\\\s]|$|\\right|\\[,;:!]))"
)
_UNIVERSE = re.compile(r"\\complement\s*(?=[A-Z])")
# `//` between vectors or points; in a Chinese text between any that are no numbers.
_PARALLEL = [
    re.compile(
        r"/ ?/(?:(?<=[A-Z}]//)|(?<=[A-Z}$] //)|(?<=[A-Z}]/ /)|(?<=[A-Z}$] / /))(?=[ $]*(?:[A-Z]|\\(?:vec|over)))"
    ),
    re.compile(r"/ ?/(?<![:/\d]//)(?<![:/\d] //)(?<!\d/ /)(?<!\d / /)(?=[ $]*(?:[A-Za-z]|\\|[\u3400-\u9fff]))"),
]
# Words of Taiwan, and units of several characters, which are one word.
_HAN_WORDS = {
    "请问": "", "试求": "求", "几多": "多少", "机率": "概率", "座标": "坐标", "数线": "数轴", "公尺": "米",
    "公升": "升",     "公分": " cm ", "厘米": " cm ", "分米": " dm ", "毫米": " mm ", "千米": " km ", "公里": " km ",
    "微米": " um ", "纳米": " nm ",
    "千克": " kg ", "公斤": " kg ", "毫克": " mg ", "毫升": " ml ",
}  # fmt: skip
_HAN_WORD = re.compile("|".join(_HAN_WORDS).replace("公分", "公分(?!母)"))
# A person of Chinese problems, who becomes a name that the scanner sees: a capital and letters.
_GIVEN_NAMES = (
    "明红刚丽华军芳强亮东英林兰玲勇杰敏伟涛波龙虎雨雪云梅康乐琳宁欣佳婷静娟燕峰辉飞鹏磊洋阳超浩宇晨聪慧王李张刘陈赵周吴"
)
_HAN_PERSON = re.compile(f"小([{_GIVEN_NAMES}])")
_MARKS = mark_tables([*_HAN_WORDS, *(f"小{name}" for name in _GIVEN_NAMES)])
_PRIMES, _FACTORIALS = re.compile("''*(?!s\\b|[a-z]{2})"), re.compile("!!*")
_UNKNOWN = re.compile(r"\?(?:" + "|".join(rf"(?<=[,=+\-*/<>(][ \t\n$]{{{n}}}\?)" for n in range(4)) + ")")


_SIMILAR = re.compile(r"~(?= (?:\\triangle|\\bigtriangleup|[A-Z]))(?<=[A-Z0-9}] ~)")
_POINT = re.compile(r"\.(?=[A-Za-z](?![A-Za-z]))")
_TIMES = [re.compile(time) for time in (r"\.\s?m\b\.?", r"AM\b", r"PM\b", r"am\b", r"pm\b")]
_PERCENT = re.compile(r"per ?cent\b")
_RULES = [
    re.compile(r"\\u(?:nder)?line\s*\{(?:[\s~_]|\\[qh]+(?:uad|space)(?:\{[^{}]*\})?|\\[ ,;:])*\}"),
    re.compile(r"__+"),
    re.compile(r"\\_(?:\\?_)+"),
]
_EMPTY_BRACKETS = re.compile(r"\((?:[\s~]|\\q?quad|\\right)*\)")
_THOUSANDS = re.compile(r",(?:\\!)?\d{3}(?:,(?:\\!)?\d{3})*(?!,?\d)")
_LATEX_THOUSANDS = [re.compile(mark + r"(?=\d{3}(?!\d))(?<=\d" + mark + ")") for mark in (r"\{,\}", r"\\,")]
_LOWER_NUMBER = re.compile(rf"/{_S}([0-9]+)(?:(?![A-Za-z0-9_./{{])|(?=\.(?![0-9])))")
_UPPER_NUMBER = re.compile(rf"(?<![A-Za-z0-9_^./}}\\])([0-9]+){_S}$")
_FIRST_GROUP = re.compile(r"(?<![\d.,])[1-9]\d{0,2}$")
# The arguments of a fraction: a group, or a digit, letter or Greek letter without braces.
_GROUP = rf"\{{(?:[^{{}}{_BETWEEN}]++|\{{[^{{}}{_BETWEEN}]*+\}})*+\}}"
_BARE = rf"[0-9A-Za-z]|\\(?:{GREEK.replace(' ', '|')}|infty)(?![A-Za-z])"
_SHORT_FRACTION = re.compile(
    rf"frac(?<=\\frac|[dtc]frac)(?![A-Za-z]){_S}(?:({_BARE})(?:{_S}({_BARE}))?|({_GROUP}){_S}({_BARE}))"
)
_ROOT = re.compile(rf"\\sqrt{_S}([0-9]{{2,}})")
_ACCENTED = re.compile(
    rf"(\\(?:overline|bar|hat|vec|tilde|overrightarrow)){_S}\{{([A-Za-z])\}}{_S}_{_S}(\{{[^{{}}{_BETWEEN}]*\}}|[A-Za-z0-9]|\\[A-Za-z]+)"
)
_PRODUCT = re.compile(r"\\cdot(?![A-Za-z])(?=(\s*\(?[0-9])?)")
_STAR = re.compile(r"\*(?= ?\(?[0-9])(?:(?<=[0-9)]\*)|(?<=[0-9)] \*))")
_FACTOR = re.compile(rf"(?:(?<![_0-9{{])[0-9]+|\^\{{[^{{}}{_BETWEEN}]*\}}|\^[0-9A-Za-z])\s*$")
_ARTICLE = re.compile(r"A(?=\s+[a-z]{2})")
_SHOWN = {r"\cell": "&", r"\newline": r"\\", r"\quote": '"', r"\factorial": "!", r"\unknown": "?", r"\point": "."}
_NAMED = re.compile("|".join(re.escape(name) + " ?(?![A-Za-z])" for name in _SHOWN))
_PERSON = re.compile(" ?Xiao([a-p]{4}) ?")


def respell(texts: Iterable[str]) -> list[str]:
    """One spelling of each normalised statement.

    Those that may change are rewritten as one text, and those in ASCII apart, which is many times as fast as one by
    one.
    """
    given = [_calm(text) if _SHOUTED.match(text) else text for text in texts]
    found = np.empty(len(given), bool)
    find_respellable(*code_points(given), *_MARKS, found)
    alike: tuple[list[int], list[int]] = [], []
    for row in np.flatnonzero(found).tolist():
        alike[given[row].isascii()].append(row)
    for rows in alike:
        for row, text in zip(rows, _respell_together([given[row] for row in rows]), strict=True):
            given[row] = text
    return given


def _respell_together(texts: list[str]) -> list[str]:
    text = _BETWEEN.join(texts)
    if text.count(_BETWEEN) >= max(len(texts), 1):
        text = _BETWEEN.join(text.replace(_BETWEEN, " ") for text in texts)
    is_ascii = text.isascii()
    text = _CELL.sub(r" \\cell ", text)
    text = _ENVIRONMENT_BREAK.sub(r" \\newline ", text)
    for pattern in _EMPTY_SCRIPTS:
        text = pattern.sub("", text)
    text = _LATEX_QUOTES.sub(r'"\1"', text).replace('"', r" \quote ")
    text = _one_matrix(text)
    text = _PRIME_COMMAND.sub(lambda run: "'" * max(1, run[0].count("\\prime") + run[0].count("'")), text)
    if "\\colon" in text:
        text = _COLON.sub(":", text)
    text = _FUNCTION_BRACES.sub(r"\1 \2", text)
    if "\\choose" in text:
        text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    text = _UNIVERSE.sub(r"\\complement_", text)
    text = _PRIMES.sub(_primes, text)
    text = _FACTORIALS.sub(_factorials, text)
    text = _STAR.sub(r"\\times ", text.replace(">=", r"\ge ").replace("<=", r"\le ").replace(" ' (", "'("))
    text = _UNKNOWN.sub(r"\\unknown ", text)
    for pattern in _TIMES:
        text = pattern.sub(_time, text)
    text = _POINT.sub(_point, text)
    text = _SIMILAR.sub(r"\\sim", text)
    text = _ARTICLE.sub(_article, text)
    if not is_ascii:
        text = _HAN_WORD.sub(lambda word: _HAN_WORDS[word[0]], text)
        text = _HAN_PERSON.sub(lambda person: f" {_person(person[1])} ", text)
    text = _PARALLEL[not is_ascii].sub(r"\\parallel ", text)
    for pattern in _RULES:
        text = pattern.sub(r"\\blank ", text)
    text = _EMPTY_BRACKETS.sub(_blank, text)
    text = _PERCENT.sub("%", text)
    for pattern in _LATEX_THOUSANDS:
        text = pattern.sub("", text)
    text = _slashed(_THOUSANDS.sub(_joined, text))
    text = _SHORT_FRACTION.sub(_braced, text)
    text = _ROOT.sub(r"\\sqrt{\1}", text)
    text = _PRODUCT.sub(_product, text)
    text = _ACCENTED.sub(_index_inside, text)
    return text.split(_BETWEEN) if texts else []


def _one_matrix(text: str) -> str:
    if r"\end{" not in text:
        return text
    text = _LAST_BREAK.sub(r"\\end{", text)
    text = _SQUARE_CLOSED.sub(r"\1)", _SQUARE_OPENED.sub("(", text))
    text = _MATRIX_OPENED.sub(lambda mark: _bracket(mark, 0) + r"\begin{matrix}", text)
    return _MATRIX_CLOSED.sub(lambda mark: r"\end{matrix}" + _bracket(mark, 1), text)


def _bracket(mark: re.Match[str], side: int) -> str:
    return _MATRIX_BRACKETS.get((mark[1] or " ")[0], ("", ""))[side]


def _calm(text: str) -> str:
    """A statement in capitals in lower case, mathematics apart; points (`AB`) are no words."""
    if re.search("[a-z]", _MATHEMATICS.sub("", text)) or len(text.split()) < 4:
        return text
    pieces, last = [], 0
    for formula in _MATHEMATICS.finditer(text):
        pieces += [_CAPITALS.sub(_lower, text[last : formula.start()]), formula[0]]
        last = formula.end()
    return "".join([*pieces, _CAPITALS.sub(_lower, text[last:])])


def _lower(word: re.Match[str]) -> str:
    lower = word[0].lower()
    return word[0] if _POINTS.fullmatch(lower) and not _SHORT_WORD.fullmatch(lower) else lower


# Whether a mark is data depends on what stands before it; the marks are found first, since that is fast.


def _before(mark: re.Match[str], n: int) -> str:
    return mark.string[max(0, mark.start() - n) : mark.start()]


def _is_operand(before: str) -> bool:
    """Whether a text ends in a digit, a closing bracket or a single letter."""
    last, rest = before[-1:], before[-2:-1]
    return last in tuple("0123456789)]}") or (
        last.isascii() and last.isalpha() and not (rest.isascii() and rest.isalpha())
    )


def _time(ending: re.Match[str]) -> str:
    before = _before(ending, 3) + ending[0][:-1] if ending[0][0] != "." else _before(ending, 3)
    half = before[-1:]
    if half not in tuple("apAP") or not before[:-1].rstrip(" ~")[-1:].isdigit():
        return ending[0]
    return "m " if ending[0][0] == "." else f" {half.lower()}m "


def _primes(run: re.Match[str]) -> str:
    before = _before(run, 4)
    capitals = len(before) - len(before.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    is_prime = before[-1:] in tuple("0123456789)]}") or (
        2 <= capitals <= 3 and not before[-capitals - 1 : -capitals].isalpha()
    )
    return r"\prime " * len(run[0]) if is_prime else run[0]


def _factorials(run: re.Match[str]) -> str:
    return r"\factorial " * len(run[0]) if _is_operand(_before(run, 5).rstrip(" ")) else run[0]


def _point(mark: re.Match[str]) -> str:
    before = _before(mark, 2)
    return r"\point " if before[-1:].isalnum() and not before[-2:-1].isalnum() else "."


def _article(word: re.Match[str]) -> str:
    return "a" if _before(word, 3).rstrip()[-1:] in ("", ".", "?", "!", _BETWEEN) else "A"


def _blank(brackets: re.Match[str]) -> str:
    before = _before(brackets, 6).removesuffix(r"\left")[-1:]
    return brackets[0] if before.isascii() and (before.isalnum() or before == "}") else r"\blank "


def _product(sign: re.Match[str]) -> str:
    return r"\times " if sign[1] or _FACTOR.search(_before(sign, 30)) else sign[0]


def _person(char: str) -> str:
    return "Xiao" + "".join(chr(97 + int(digit, 16)) for digit in f"{ord(char):x}")


def as_written(text: str) -> str:
    """A respelled text with the usual signs and names again, for people."""
    text = _PERSON.sub(lambda name: "小" + chr(int("".join(f"{ord(char) - 97:x}" for char in name[1]), 16)), text)
    return _NAMED.sub(lambda name: _SHOWN[name[0].strip()], text) if "\\" in text else text


def _joined(groups: re.Match[str]) -> str:
    """Groups of three digits without the marks before them, but not the second number of `(1,234)`."""
    text, start, end = groups.string, groups.start(), groups.end()
    before = text[max(0, start - 8) : start]
    number = _FIRST_GROUP.search(before)
    if number is None:
        return groups[0]
    before, after = before[: number.start()], text[end : end + 4]
    listed = before.rstrip(" $")[-1:] in ("(", "[") and after.lstrip(" $\\")[:1] in (")", "]")
    if ("," in groups[0] and "{,}" not in groups[0] and listed) or (before.endswith("\\{") and after.startswith("\\}")):
        return groups[0]
    return re.sub("[^0-9]", "", groups[0])


def _slashed(text: str) -> str:
    r"""`1/2` as `\frac{1}{2}`, where two whole numbers and nothing larger stand there."""
    pieces, last = [], 0
    for lower in _LOWER_NUMBER.finditer(text):
        upper = _UPPER_NUMBER.search(text, max(last, lower.start() - 12), lower.start())
        if upper:
            pieces += [text[last : upper.start()], rf"\frac{{{upper[1]}}}{{{lower[1]}}}"]
            last = lower.end()
    return "".join([*pieces, text[last:]])


def _braced(fraction: re.Match[str]) -> str:
    bare, second, group, after_group = fraction.groups()
    return "frac" + (group or f"{{{bare}}}") + "".join(f"{{{part}}}" for part in (second, after_group) if part)


def _index_inside(accented: re.Match[str]) -> str:
    return f"{accented[1]}{{{accented[2]}_{accented[3]}}}"
