"""Cut a chain into steps, each with its terms: what the structural scorer measures.

A step is a sentence or a line.  Its terms are the words and numbers that carry content: no function words, nothing of
fewer than three letters, and none of the words that the keyword scorer counts.  A step without terms or an equation
("Let me check this.") is left out.  Chinese is first turned into ASCII words, one for each pair of characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from string import ascii_lowercase

from limo.core.files import shipped_yaml
from limo.core.text import THOUGHT_MARKER
from limo.curate.scorers.keywords import word_lists

_HAN = re.compile(r"[\u3400-\u9fff]+")
_CHINESE_SIGNS = (("。", "\n"), ("！", "\n"), ("；", "\n"), ("？", "?\n"), ("：", ":"), ("、", ") "), ("步骤", "step "))
_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789'.\n")
_TO_WORDS = bytes(code if code in _WORD_BYTES else 32 for code in bytes(range(256)).lower())  # all else is a space
_CUE_KINDS = ("task", "answer", "check")
Words = frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one text as columns: lines as written, lower-case first words (maybe empty), terms, cue words."""

    lines: list[str]
    first_words: list[bytes]
    terms: list[Words]
    cues: list[Words]


def cut_steps(text: str) -> Steps:
    """The steps of `text` that have terms or an equation; none for an empty text."""
    if "<" in text:
        text = THOUGHT_MARKER.sub("\n", text)
    if not text.isascii():
        text = text.replace("\u2019", "'")
        if _is_chinese(text):
            text = _chinese_to_words(text)
    text = f"{text}\n".replace(". ", "\n").replace("? ", "?\n").replace("! ", "\n").replace(".\n", "\n")
    # bytes.translate lowers, blanks and drops the commas of "1,317" in one pass, several times faster than a pattern
    word_lines = text.encode("utf-8", "replace").translate(_TO_WORDS, b",").split(b"\n")
    steps = Steps([], [], [], [])
    without, of_cues, item_number = ignored_words(), frozenset().union(*map(cue_words, _CUE_KINDS)), ""
    for line, word_line in zip(text.split("\n"), word_lines, strict=True):
        words = word_line.split()
        different = frozenset(words)
        terms = different - without
        if not terms and "=" not in line:
            continue
        if len(terms) == 1 and (number := _item_number(words)):  # "3. Next" was cut after its number
            item_number = number
            continue
        steps.lines.append(item_number + line.strip())
        steps.first_words.append(words[0] if words else b"")
        steps.terms.append(terms)
        steps.cues.append(different & of_cues)
        item_number = ""
    return steps


def _item_number(words: list[bytes]) -> str:
    """`3. ` for a line that is only the number of a list item or a step, counted words aside."""
    rest = [word for word in words if word not in _counted_words() and word != b"step"]
    return f"{rest[0].decode()}. " if len(rest) == 1 and len(rest[0]) < 3 and rest[0].isdigit() else ""


@cache
def ignored_words() -> Words:
    """Words that are no terms: of one or two letters, function words, and what the keyword scorer counts."""
    short = {a.encode() for a in ascii_lowercase} | {(a + b).encode() for a, b in product(ascii_lowercase, repeat=2)}
    empty = {word.encode() for word in shipped_yaml(__file__, "words/structure.yaml")["en"]["empty"]}
    return frozenset(short | _counted_words() | empty)


@cache
def cue_words(kind: str) -> Words:
    """Words of both languages that show a `task`, an `answer`, a `check` or a `turn`, as they stand in `Steps`."""
    lists = shipped_yaml(__file__, "words/structure.yaml")
    english, chinese = lists["en"][kind], lists["zh"][kind]
    return frozenset([*(word.encode() for word in english), *(_han_word(pair).encode() for pair in chinese)])


@cache
def _counted_words() -> Words:
    """What the keyword scorer counts in English, word by word."""
    entries = [entry for of_trait in word_lists("en").values() for entry in of_trait]
    return frozenset(word.encode() for entry in entries for word in re.split("[ -]", entry))


@cache
def _counted_in_chinese() -> re.Pattern[str]:
    entries = sorted((entry for of_trait in word_lists("zh").values() for entry in of_trait), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, entries)))


def _is_chinese(text: str) -> bool:
    """Whether Han characters stand in the text; in a long one some of the commonest, which are found far sooner."""
    return any(sign in text for sign in "，。的是") if len(text) > 500 else bool(_HAN.search(text))


def _chinese_to_words(text: str) -> str:
    """The text with each run of Han characters as ASCII words, one for each overlapping pair."""

    def as_words(match: re.Match[str]) -> str:
        run = match.group()
        return f" {' '.join(_han_word(run[start : start + 2]) for start in range(max(1, len(run) - 1)))} "

    for sign, plain in _CHINESE_SIGNS:
        text = text.replace(sign, plain)
    return _HAN.sub(as_words, _counted_in_chinese().sub(" ", text))


def _han_word(characters: str) -> str:
    """Han characters as one ASCII word: h and their code points."""
    return "h" + "".join(f"{ord(character):x}" for character in characters)
