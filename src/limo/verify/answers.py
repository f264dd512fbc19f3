"""What kind of thing an answer is, before anything is compared with it.

    why_unverifiable("See solution.")       # "see solution"
    why_unverifiable("")                    # "empty"
    read_answer("... so \\\\boxed{5}.").text   # "5": some pools store whole solutions as answers

An answer no rule can check (a proof, a drawing, several parts, nothing at all) is found when a pool is read and counted
there; no completion is compared with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from limo.verify.extract import extract
from limo.verify.maths.equal import is_sentence, key_of
from limo.verify.maths.interpretations import interpret
from limo.verify.maths.normalise import MAX_ANSWER, clean
from limo.verify.maths.options import option_letters

_PROOF = re.compile(
    r"\b(?:proof|proved?n?|q\.?e\.?d\.?|\\blacksquare|\\square)\b|证明|略[。.]?$|证毕|得证|见解析|答案不唯一", re.I
)
_REFERENCE = re.compile(
    r"^\W*(?:see|refer to|as (?:shown|in)|omitted|n/?a\b|none given|not? (?:answer|provided)|not ?found|unknown\b|todo|"
    r"tbd\b|(?:marked )?invalid\b|missing\b|answers? (?:may |will )?var|open[- ]ended|no (?:final )?answer|解析|同上|"
    r"null|nan$)",
    re.I,
)
_FIGURE = re.compile(r"\b(?:see|in) (?:the )?(?:figure|diagram|graph|picture)\b|!\[|<img|\.png|\.jpg|如图", re.I)
_PARTS = re.compile(
    r"(?:^|[\s;；,，。.])(?:\(?(?:a|b|c|i|ii|iii|1|2|3)\)|（[1-3一二三]）|Part [A-C1-3][:.)]|[①②③]|第[一二三]问)\s*\S",
    re.I,
)
_PROOF_START = re.compile(
    r"^\W*(?:show|prove|we (?:prove|show|have)|suppose|assume|let\b|note that|by induction)", re.I
)
_ANNOUNCED = re.compile(r"\\f?boxed|\bfinal answer\b|\banswer\s*(?:is|:)|####|答案[是为：:]", re.I)
MAX_WORDS = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer ready to be compared: its text, its letters if it is a choice, why it cannot be checked if so."""

    text: str
    letters: str = ""
    unverifiable: str = ""


@lru_cache(maxsize=8192)
def read_answer(answer: str) -> Answer:
    """The answer inside what a pool stores as one."""
    text = key_of(answer.strip())
    if len(text) <= 20 * MAX_ANSWER and _ANNOUNCED.search(text):
        text = extract(text).text or text
    return Answer(text, option_letters(text), why_unverifiable(text))


def why_unverifiable(answer: str) -> str:
    """Why a rule cannot check against this answer, in a word or two; "" where it can."""
    text = answer.strip().strip("$").strip()
    if not clean(text):
        return "empty"
    if len(text) > MAX_ANSWER:
        return "too long"
    if _ANNOUNCED.search(text):
        return ""
    if _REFERENCE.match(text):
        return "see solution"
    if _FIGURE.search(text):
        return "figure"
    words = len(re.findall(r"[A-Za-z]{2,}|[\u4e00-\u9fff]{2}", re.sub(r"\\[A-Za-z]+", " ", text)))
    if (words > 2 and (_PROOF.search(text) or _PROOF_START.match(text))) or (
        _PROOF.search(text) and words < 3 and "\\" not in text
    ):
        return "proof"
    if words > MAX_WORDS or (is_sentence(clean(text)) and not re.search(r"[\d\\=<>$^]", text)):
        return "prose"
    if (len(_PARTS.findall(text)) >= 2 and not interpret(text).trees) or re.match(r'\s*\{\s*"', text):
        return "several parts"
    return ""
