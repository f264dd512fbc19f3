"""A chain cut into steps, each with its terms: what the structural scorer looks at.

A step is a sentence or a line.  Its terms are the words and numbers that carry matter: no function words, nothing of
fewer than three letters, and none of the words that the keyword scorer counts.  A step without terms or an equation
("Let me check this.", "Hmm, wait.") says nothing and is left out, so that neither words strewn over a text nor empty
sentences can change what is measured.

    steps = cut("Let x be 12. Then 2x = 24.\\nSo the answer is 24.")
    steps.lines, steps.terms

What it does not do: parse mathematics.  It is made for speed: every loop over characters or words runs inside Python's
own string and set operations, and Chinese is turned into ASCII words first so that there is one way through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from string import ascii_lowercase as letters

import yaml

_HAN = re.compile(r"[\u3400-\u9fff]+")
_MARKER = re.compile(r"</?think(?:ing)?>|<\|(?:begin|end)_of_(?:thought|solution)\|>")
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789'.\n")
_PLAIN = bytes(code if code in _KEPT else 32 for code in bytes(range(256)).lower())  # all else is a space
_CHINESE_SIGNS = (("。", "\n"), ("！", "\n"), ("；", "\n"), ("？", "?\n"), ("：", ":"), ("、", ") "), ("步骤", "step "))
MARKS = ("task", "answer", "check")
Words = frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one text, in order, as columns.

    `lines` as written, `first` word of each (lower case), `terms` of each, and `marks`: the words of each that show
    where a task, an answer or a check is spoken of.
    """

    lines: list[str]
    first: list[bytes]
    terms: list[Words]
    marks: list[Words]


def cut(text: str) -> Steps:
    """The steps of `text` that say something; none for an empty text."""
    if "<" in text:
        text = _MARKER.sub("\n", text)
    if not text.isascii():
        text = text.replace("\u2019", "'")
        if _is_chinese(text):
            text = _spaced(text)
    text = f"{text}\n".replace(". ", "\n").replace("? ", "?\n").replace("! ", "\n").replace(".\n", "\n")
    plain = text.encode("utf-8", "replace").translate(_PLAIN, b",").split(b"\n")
    lines, first, terms, marks = [], [], [], []
    without, of_marks, number = ignored(), all_marks(), ""
    for line, low in zip(text.split("\n"), plain, strict=True):
        words = low.split()
        said = frozenset(words)
        matter = said - without
        if not matter and "=" not in line:
            continue
        if len(matter) == 1 and (found := _list_number(words)):  # "3. Next" was cut after its number
            number = found
            continue
        lines.append(number + line.strip())
        first.append(words[0] if words else b"")
        terms.append(matter)
        marks.append(said & of_marks)
        number = ""
    return Steps(lines, first, terms, marks)


def _list_number(words: list[bytes]) -> str:
    """`3. ` for a line that is only the number of a list item or a step, counted words aside."""
    said = [word for word in words if word not in counted() and word != b"step"]
    return f"{said[0].decode()}. " if len(said) == 1 and len(said[0]) < 3 and said[0].isdigit() else ""


@cache
def ignored() -> Words:
    """Words that are no terms: short ones, function words, and whatever the keyword scorer counts."""
    short = {a.encode() for a in letters} | {(a + b).encode() for a, b in product(letters, repeat=2)}
    return frozenset(short | counted() | _cues("en", "empty"))


@cache
def counted() -> Words:
    """What the keyword scorer counts in English, word by word."""
    return frozenset(
        word.encode() for some in _yaml("en").values() for entry in some for word in re.split("[ -]", entry)
    )


@cache
def cues(kind: str) -> Words:
    """Words of both languages that show a `task`, an `answer`, a `check` or a `turn`, as they stand in `Steps`."""
    return _cues("en", kind) | _cues("zh", kind)


@cache
def all_marks() -> Words:
    """What `Steps.marks` may hold."""
    return frozenset().union(*map(cues, MARKS))


def _cues(language: str, kind: str) -> Words:
    entries = _yaml("structure")[language][kind]
    return frozenset((_token(entry) if language == "zh" else entry).encode() for entry in entries)


@cache
def _yaml(name: str) -> dict[str, dict[str, list[str]]]:
    text = (resources.files("limo.curate") / "words" / f"{name}.yaml").read_text(encoding="utf-8")
    return {key: value for key, value in yaml.safe_load(text).items()}


@cache
def _counted_in_chinese() -> re.Pattern[str]:
    entries = sorted((entry for entries in _yaml("zh").values() for entry in entries), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, entries)))


def _is_chinese(text: str) -> bool:
    """Whether Han characters stand in the text; in a long one some of the commonest, which are found far sooner."""
    return any(sign in text for sign in "，。的是") if len(text) > 500 else bool(_HAN.search(text))


def _spaced(text: str) -> str:
    """Chinese, which has no spaces, as words that the rest can read: overlapping pairs of characters."""
    for sign, plain in _CHINESE_SIGNS:
        text = text.replace(sign, plain)
    return _HAN.sub(_pairs, _counted_in_chinese().sub(" ", text))


def _pairs(run: re.Match[str]) -> str:
    han = run.group()
    return f" {' '.join(_token(han[at : at + 2]) for at in range(max(1, len(han) - 1)))} "


def _token(han: str) -> str:
    """Han characters as one ASCII word."""
    return "h" + "".join(f"{ord(sign):x}" for sign in han)
