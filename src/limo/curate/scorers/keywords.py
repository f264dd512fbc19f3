"""The keyword traits of the paper: how long a chain is, and how often words of three lists stand in it.

The paper prints two words of each list; the full ones, English and Chinese, are `words/en.yaml` and `words/zh.yaml`.
Length is counted in words: runs of Latin letters or digits, two Han characters to a word; the same count divides the
frequencies, so that English and Chinese chains can stand in one ranking.

    measure("Let me check: 7-4=3, so it holds.").verification

What it does not do: bring traits to one scale or weigh them (`grade` does).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

TRAITS = ("elaboration", "verification", "exploration", "granularity")
COUNTED = TRAITS[1:]
_WORD = re.compile(rb"[a-z]+(?:[-'][a-z]+)*")  # joined by single hyphens and apostrophes; runs of digits are words too
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_PER_WORD = 2
_LOWER = bytes(range(256)).lower()
_IN_WORD, _DIGITS = frozenset(b"abcdefghijklmnopqrstuvwxyz-'"), frozenset(b"0123456789")
_WORDS = bytes(code if code in _IN_WORD else 32 for code in _LOWER)  # all else is a space
_NUMBERS = bytes(code if code in _DIGITS else 32 for code in _LOWER)
_SIGNS = bytes(code if code in _IN_WORD | _DIGITS else 32 for code in _LOWER)
_NO_HAN = bytes(code for code in range(256) if not 0xE3 <= code <= 0xE9)  # first bytes of all other characters
_BEYOND = "\u0130", "\u212a"  # the only letters beyond ASCII whose lower case is within it


@dataclass(frozen=True, slots=True)
class Traits:
    """What is counted in one text: its words, and how often each trait's words stand in 1,000 of them."""

    n_words: float
    verification: float
    exploration: float
    granularity: float


def measure(text: str) -> Traits:
    """The raw traits of one text; an empty text has none of any."""
    data, n_han = _bytes(text)
    words = data.translate(_WORDS).split()
    counts = Counter(words)
    n_words = len(words) + len(data.translate(_NUMBERS).split()) + n_han / _HAN_PER_WORD
    for word in [one for one in counts if not one.isalpha()]:  # hyphens and apostrophes may stand anywhere in these
        n, parts = counts.pop(word), _WORD.findall(word)
        n_words += n * (len(parts) - 1)
        for part in parts:
            counts[part] += n
    found = dict.fromkeys(COUNTED, 0)
    for trait, entries in _entries().items():
        found[trait] += sum(counts[entry] for entry in entries)
    signs = b""
    for trait, ends, phrase in _phrases():
        if ends[0] in counts and ends[1] in counts:
            signs = signs or data.translate(_SIGNS)
            found[trait] += len(phrase.findall(signs))
    if n_han:
        for trait, listed in word_lists("zh").items():
            found[trait] += sum(map(text.count, listed))
    return Traits(n_words, *(1000 * found[trait] / n_words if n_words else 0.0 for trait in COUNTED))


def _bytes(text: str) -> tuple[bytes, int]:
    """The text in UTF-8 with plain apostrophes, and how many Han characters stand in it."""
    if text.isascii():
        return text.encode(), 0
    if any(sign in text for sign in _BEYOND):
        text = text.lower()
    data = text.encode("utf-8", "surrogatepass")
    n_han = len(_HAN.findall(text)) if data.translate(None, _NO_HAN) else 0
    return data.replace("\u2019".encode(), b"'"), n_han


@cache
def _entries() -> dict[str, list[bytes]]:
    """The English entries of one word, by trait."""
    return {trait: [one.encode() for one in some if " " not in one] for trait, some in word_lists("en").items()}


@cache
def _phrases() -> list[tuple[str, tuple[bytes, bytes], re.Pattern[bytes]]]:
    """The English entries of several words: their trait, first and last word, and what finds them.

    A word found must be whole, as `_WORD` cuts it; the next one follows after anything but words and digits.
    """
    found = []
    for trait, entries in word_lists("en").items():
        for words in (entry.encode().split() for entry in entries if " " in entry):
            whole = rb"(?<![a-z]%s)(?<![a-z][-']%s)" % (words[0], words[0])  # after the word: it is sooner found
            pattern = words[0] + whole + b"".join(rb"(?![-']?[a-z])[ '-]+%s" % word for word in words[1:])
            found.append((trait, (words[0], words[-1]), re.compile(pattern + rb"(?![-']?[a-z])")))
    return found


@cache
def word_lists(language: str) -> dict[str, tuple[str, ...]]:
    """The word lists of a language, by trait."""
    text = (resources.files("limo.curate.scorers") / "words" / f"{language}.yaml").read_text(encoding="utf-8")
    return {trait: tuple(entries) for trait, entries in yaml.safe_load(text).items()}
