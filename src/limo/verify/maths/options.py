"""Multiple-choice answers: which option letters a text names, and the text that stands beside a letter."""

from __future__ import annotations

import re
from functools import lru_cache

from limo.verify.maths.normalise import WORD_CLOSE, WORD_OPEN, clean

_ONE_LETTER = re.compile(r"\s*(?:\\text\s*\{)?\s*[\(（\[]?\s*([A-ZＡ-Ｚ])\s*[\)）\]]?\s*\}?\s*[.．。)）]?\s*\Z")
_LETTER_AND_TEXT = re.compile(
    r"\s*(?:\\text\s*\{)?[\(（\[]?\s*([A-GＡ-Ｇ])\s*(?:[\)）\]]\}?\s*[.．:：]?\s*|\}\s+|[.．、](?:\s+|\s*(?!\d))|[:：]\s+)\S"
)
_LETTER_AND_WORDS = re.compile(
    r"\s*(?:\\text\s*\{)?\s*([A-G])(?:\s+[-–—]\s+|,\s+)(?=[A-Za-z]{2,}\s*[A-Za-z]{2})(?!and\b|or\b)"
)
_ANNOUNCED_LETTER = re.compile(
    r"\s*(?:option|choice|answer|选项|选|答案[是为]?)\s*[:：]?\s*[\(（]?([A-Ga-gＡ-Ｇ])(?![A-Za-z])[\)）]?", re.I
)
_SEVERAL_LETTERS = re.compile(r"\s*[\(（]?([A-G](?:\s*(?:,|，|、|and|和|\s)?\s*[A-G]){1,6})[\)）]?\s*[.．。]?\s*\Z")


@lru_cache(maxsize=8192)
def option_letters(text: str, *, loose: bool = False) -> str:
    """The letters of a multiple-choice answer, "" where it is none.

    Loose: also a small letter, and "B. the text of the option", "option B", "选 B".
    """
    text = text.strip().strip("$*").strip()
    if len(text) > 400:
        return ""
    text = re.sub(r"\\(?:mathrm|textbf|mathbf|mbox|textit|rm|mathit)\b", r"\\text", text)
    text = re.sub(r"\\text\s*\{\\text\s*\{(.*)\}\s*\}", r"\\text{\1}", text)
    text = re.sub(r"\\text\s*\{\s*(and|or)\s*\}", r" \1 ", text)
    for pattern in (_ONE_LETTER, _LETTER_AND_TEXT, *((_LETTER_AND_WORDS,) if loose else ())):
        match = pattern.match(text)
        if match and _SEVERAL_LETTERS.match(text) is None and (loose or pattern is _ONE_LETTER or len(text) > 2):
            letter = chr(ord(match.group(1)) - 0xFEE0) if match.group(1) > "Z" else match.group(1)
            return letter if letter in "ABCDEFG" or (loose and pattern is _ONE_LETTER) else ""
    several = _SEVERAL_LETTERS.match(text)
    if several and (
        loose or re.search(r"[,，、\s]|and|和", several.group(1)) or re.fullmatch("A?B?C?D?", several.group(1))
    ):
        letters = re.findall(r"[A-G](?![a-z])", several.group(1))
        return "".join(sorted(set(letters))) if len(set(letters)) == len(letters) else ""
    if loose:
        announced = _ANNOUNCED_LETTER.match(text) or re.fullmatch(r"\s*[\(]?([a-g])[\)]?[.]?\s*", text)
        return announced.group(1).upper() if announced and announced.group(1) < "z" else ""
    return ""


def option_text(text: str) -> str:
    """What stands after the letter of an option."""
    plain = clean(text).replace(WORD_OPEN, " ").replace(WORD_CLOSE, " ")
    return re.sub(r"^[\s(（]*[A-ZＡ-Ｚ][\s)）]*(?:[.．:：、,]|[-–—](?=\s))?\s*", "", plain).strip()
