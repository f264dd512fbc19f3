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
_OPTION = r"(?:[\(（\[]\s*([A-GＡ-Ｇ])\s*[\)）\]]|([A-GＡ-Ｇ])(?![\w'=]))[.．]?"
_BRACKETED = r"[\(（\[]\s*([A-GＡ-Ｇ])\s*[\)）\]]"
_HEDGE = r"(?:\b(?:and|or|maybe|perhaps|possibly|alternatively)\b|[/&|或和与及])"
_FIRST_OPTION = re.compile(rf"\s*{_OPTION}")
_NEXT_OPTION = re.compile(
    rf"[\s,，、;；]*{_HEDGE}[\s,，/]*(?:{_HEDGE}\s*)?(?:option\s+|choice\s+)?{_OPTION}"
    rf"|[^\w(（:：–—-]*[^\w\s(（:：–—-]\s*{_BRACKETED}"
)
_OPTIONS_ALONE = re.compile(rf"(?:\s*{_BRACKETED}){{2,}}\s*[.．。]?\s*")
_OTHER_OPTION = re.compile(  # `(B) 5 or (C) 7`, and no `(D) either (A) or (B)`
    rf"(?:(?!\b(?i:either|neither|both|all|any|none|one)\b|{_BRACKETED}).)*?"
    rf"\b(?:or|maybe|perhaps)\s+(?:{_BRACKETED}|([A-G])[.．)]\s)"
)
_UPRIGHT = re.compile(r"\\text\s*\{([^{}]*)\}")


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
            if len(beside := _named_together(_UPRIGHT.sub(r"\1", text))) > 1:
                return beside
            letter = _latin(match.group(1))
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


def _named_together(text: str) -> str:
    """The letters of a text that names another option beside the first, `(B) or (C)`: none of them alone is meant."""
    first = _FIRST_OPTION.match(text)
    if not first:
        return ""
    if _OPTIONS_ALONE.fullmatch(text):
        return "".join(sorted({_latin(letter) for letter in re.findall(_BRACKETED, text)}))
    letters, end = {_letter_of(first)}, first.end()
    while following := _NEXT_OPTION.match(text, end):
        letters.add(_letter_of(following))
        end = following.end()
    if len(letters) == 1 and (other := _OTHER_OPTION.match(text, end)):
        letters.add(_letter_of(other))
    return "".join(sorted(letters))


def _letter_of(match: re.Match[str]) -> str:
    return _latin(next(filter(None, match.groups()[::-1])))


def _latin(letter: str) -> str:
    return chr(ord(letter) - 0xFEE0) if letter > "Z" else letter


def option_text(text: str) -> str:
    """What stands after the letter of an option."""
    plain = clean(text).replace(WORD_OPEN, " ").replace(WORD_CLOSE, " ")
    return re.sub(r"^[\s(（]*[A-ZＡ-Ｚ][\s)）]*(?:[.．:：、,]|[-–—](?=\s))?\s*", "", plain).strip()
