"""A chain cut into steps, each with its terms: what the structural scorer looks at.

A step is a sentence or a line.  Its terms are the words and numbers that carry matter: no function words, nothing of
fewer than three letters, and none of the words that the keyword scorer counts.  A step without terms or an equation
("Let me check this.", "Hmm, wait.") says nothing and is left out, so that neither words strewn over a text nor empty
sentences can change what is measured.

    steps = cut("Let x be 12. Then 2x = 24.\\nSo the answer is 24.")
    steps.line(1), steps.places(scan.RESULT), steps.n_terms()

What it does not do: parse mathematics.  The reading itself is `scan`, one compiled pass; Chinese is turned into ASCII
words first so that there is one way through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

from limo.curate import scan

_HAN = re.compile(r"[\u3400-\u9fff]+")
_MARKER = re.compile(r"</?think(?:ing)?>|<\|(?:begin|end)_of_(?:thought|solution)\|>")
_CHINESE_SIGNS = (("。", "\n"), ("！", "\n"), ("；", "\n"), ("？", "?\n"), ("：", ":"), ("、", ") "), ("步骤", "step "))
_OUTLINE = re.compile(r"(?:[a-z][a-z-]* +)*(?:[-*#•+|]|\d+[.)]\s|\\[\[\]]|\$\$)")  # words put before it do not hide it
_ITEM_WORDS = ("step", "case")
_KINDS = {"task": scan.IS_TASK, "answer": scan.IS_ANSWER, "check": scan.IS_CHECK, "turn": scan.IS_TURN}


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one text, in order: a row of numbers each, and counts over all (their columns: see `scan`)."""

    data: bytes
    rows: Any
    found: Any

    def __len__(self) -> int:
        return len(self.rows)

    def line(self, at: int) -> str:
        """A step as written, after the number of its list item."""
        start, end, number, number_end = self.rows[at, : scan.NUMBER_END + 1].tolist()
        line = self.data[start:end].decode("utf-8", "surrogatepass")
        if not number_end:
            return line
        return f"{self.data[number:number_end].replace(b',', b'').decode()}. {line}"

    def places(self, flag: int) -> list[int]:
        """The steps that have a flag."""
        return np.flatnonzero(self.rows[:, scan.FLAGS] & flag).tolist()

    def n_terms(self) -> list[int]:
        """How many terms each step has."""
        return (self.rows[:, scan.TERMS_END] - self.rows[:, scan.TERMS]).tolist()


def cut(text: str) -> Steps:
    """The steps of `text` that say something; none for an empty text."""
    if "<" in text:
        text = _MARKER.sub("\n", text)
    if not text.isascii():
        text = text.replace("\u2019", "'")
        if _is_chinese(text):
            text = _spaced(text)
    data = f"{text}\n".encode("utf-8", "surrogatepass")
    rows, found = scan.scan(np.frombuffer(data, np.uint8), *lexicon())
    steps = Steps(data, rows, found)
    for at in steps.places(scan.UNSURE):
        rows[at, scan.FLAGS] |= _looks(steps.line(at), int(rows[at, scan.TERMS_END] - rows[at, scan.TERMS]))
    return steps


def _looks(line: str, n_terms: int) -> int:
    """The flags that hang on what characters beyond ASCII are."""
    reasoned = n_terms > 1 and not line.endswith((":", ":**", ":*")) and (line[0].isupper() or not _OUTLINE.match(line))
    return (scan.REASONED if reasoned else 0) | (scan.NUMBERED if line[0].isdigit() else 0)


@cache
def lexicon() -> tuple[Any, Any]:
    """Every word that means something to `scan`, as a table of hashes and one of what the words are."""
    kinds = dict.fromkeys((word.encode() for word in _yaml("structure")["en"]["empty"]), scan.IGNORED)
    for word in counted():
        kinds[word] = kinds.get(word, 0) | scan.IGNORED | scan.COUNTED
    for name, flag in _KINDS.items():
        for word in cues(name):
            kinds[word] = kinds.get(word, 0) | flag
    for name in _ITEM_WORDS:
        kinds[name.encode()] = kinds.get(name.encode(), 0) | scan.IS_ITEM | (scan.IS_STEP if name == "step" else 0)
    marks = scan.IS_TASK | scan.IS_ANSWER | scan.IS_CHECK
    keys, values = np.zeros(1 << 12, np.uint64), np.zeros(1 << 12, np.int32)
    for number, (word, kind) in enumerate(sorted(kinds.items()), 1):
        data = np.frombuffer(word, np.uint8)
        key = np.uint64(scan.hash_of(data, 0, len(data)))
        place = scan.place_of(keys, key)
        keys[place], values[place] = key, kind | (number << scan.CUE if kind & marks else 0)
    return keys, values


@cache
def counted() -> frozenset[bytes]:
    """What the keyword scorer counts in English, word by word."""
    return frozenset(
        word.encode() for some in _yaml("en").values() for entry in some for word in re.split("[ -]", entry)
    )


@cache
def cues(kind: str) -> frozenset[bytes]:
    """Words of both languages that show a `task`, an `answer`, a `check` or a `turn`, as `scan` meets them."""
    lists = _yaml("structure")
    return frozenset(
        [*(word.encode() for word in lists["en"][kind]), *(_token(two).encode() for two in lists["zh"][kind])]
    )


@cache
def _yaml(name: str) -> dict[str, dict[str, list[str]]]:
    text = (resources.files("limo.curate.scorers") / "words" / f"{name}.yaml").read_text(encoding="utf-8")
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
