"""The scorers of texts written plainly, a pattern and a set at a time: the quick ones must agree to the last bit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain as joined
from itertools import pairwise, product
from math import log
from string import ascii_lowercase as letters

from limo.curate.scorers.keywords import COUNTED, Traits, word_lists
from limo.curate.scorers.structure import ORDER, TRAITS, Structure
from limo.curate.steps import _MARKER, _is_chinese, _spaced, _yaml, counted, cues

_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789'.\n")
_PLAIN = bytes(code if code in _KEPT else 32 for code in bytes(range(256)).lower())  # all else is a space
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


def ignored() -> Words:
    """Words that are no terms: short ones, function words, and whatever the keyword scorer counts."""
    short = {a.encode() for a in letters} | {(a + b).encode() for a, b in product(letters, repeat=2)}
    empty = {word.encode() for word in _yaml("structure")["en"]["empty"]}
    return frozenset(short | counted() | empty)


def all_marks() -> Words:
    """What `Steps.marks` may hold."""
    return frozenset().union(*map(cues, MARKS))


_OUTLINE = re.compile(r"(?:[a-z][a-z-]* +)*(?:[-*#•+|]|\d+[.)]\s|\\[\[\]]|\$\$)")  # words put before it do not hide it
_LABEL = (":", ":**", ":*")
_NUMBERED = re.compile(r"[#*\s>]*(?:step\s*|case\s*)?(\d{1,2})\s*[.):]", re.IGNORECASE)
_NUMBER_WORDS = {b"step", b"case"}
_FOLLOWS = re.compile(r"[-*•+]|\d+[.)]|\\\[|\$\$|\\begin|[^=]{0,60}=")
_RESULT = re.compile(r"[\s$\\({]*([-+]?\d[\d,]+(?:\.\d+)?|\d\.\d+)")  # one digit is reached too easily
_COMPUTED = re.compile(r"[=\d]")
_OPENED = re.compile(r"[A-Z][a-z]+(?: [a-z]+)?,? (?:[a-z0-9$\\(]|I\b|I')")
_HAN = b"h4", b"h5", b"h6", b"h7", b"h8", b"h9"
_SIZES = 6
_NOVEL = 0.9


def structure(text: str) -> Structure:
    """The traits of one text; a text without steps has none of any."""
    steps = cut(text)
    n = len(steps.lines)
    if not n:
        return Structure(dict.fromkeys(TRAITS, 0.0), 1.0, 0)
    counts = Counter(joined.from_iterable(steps.terms))
    total = counts.total()
    values = {
        "steps": _half_at(30, _reasoned(steps)),
        "spread": _spread(steps),
        "restated": 1 - len(counts) / total if total else 0.0,
        "questions": _half_at(2, _questions(steps)),
        "checks": _checks(steps),
        "detours": _half_at(4, _detours(steps)),
        "answer": _answer(steps),
        "order": sum(ORDER[name] * value for name, value in order(steps, counts).items()),
    }
    told = [terms for terms in steps.terms if len(terms) > 2]
    return Structure(values, len(set(told)) / len(told) if told else 1.0, n)


def _half_at(half: float, n: float) -> float:
    return n / (n + half)


def _reasoned(steps: Steps) -> int:
    """Steps of two terms or more that are no heading, label or list item."""
    return sum(
        len(terms) > 1 and not line.endswith(_LABEL) and (line[0].isupper() or not _OUTLINE.match(line))
        for terms, line in zip(steps.terms, steps.lines, strict=True)
    )


def _spread(steps: Steps) -> float:
    sizes = Counter(len(terms).bit_length() for terms in steps.terms)
    n = len(steps.terms)
    return min(1.0, -sum(k / n * log(k / n) for k in sizes.values()) / log(_SIZES))


def _questions(steps: Steps) -> int:
    """Questions of which one of the next two steps takes up a term."""
    asked = [at for at, line in enumerate(steps.lines) if line.endswith("?")]
    return sum(any(steps.terms[at] & later for later in steps.terms[at + 1 : at + 3]) for at in asked)


def _checks(steps: Steps) -> float:
    """Results reached from two expressions or more, against steps that speak of checking and compute nothing."""
    reached: dict[str, set[str]] = {}
    for line in steps.lines:
        if "=" in line:
            before, _, last = line.rpartition("=")
            result = _RESULT.match(last)
            if result:
                reached.setdefault(result[1], set()).add(before.partition("=")[0][-12:])
    n_again = sum(len(ways) > 1 for ways in reached.values())
    return n_again / (n_again + 3 + _hollow(steps))


def _hollow(steps: Steps) -> int:
    """Steps that speak of checking while neither they nor the next hold an equation or a number."""
    checking = cues("check")
    spoken = [at for at, marks in enumerate(steps.marks) if marks and not checking.isdisjoint(marks)]
    return sum(not _COMPUTED.search(" ".join(steps.lines[at : at + 2])) for at in spoken)


def _detours(steps: Steps) -> int:
    """Steps that open with a turn, take up two terms of the three steps before, and bring a new one."""
    turns, n = cues("turn"), 0
    for at, first in enumerate(steps.first):
        if first in turns and at and (_OPENED.match(steps.lines[at]) or first.startswith(_HAN)):
            before: Words = frozenset().union(*steps.terms[max(0, at - 3) : at])
            n += len(steps.terms[at] & before) > 1 and not steps.terms[at] <= before
    return n


def _answer(steps: Steps) -> float:
    """1 where the answer is stated in one of the last three steps and boxed once at most; half without any."""
    ends = cues("answer")
    said = [at for at, marks in enumerate(steps.marks) if marks and not ends.isdisjoint(marks)]
    if not said:
        return 0.5
    boxed = {line.rpartition("\\boxed")[2] for at in said if "\\boxed" in (line := steps.lines[at])}
    return float(said[-1] >= len(steps.lines) - 3) / max(1, len(boxed))


def order(steps: Steps, counts: Counter[bytes]) -> dict[str, float]:
    """The parts of the trait `order`, each 0..1; `counts` says in how many steps each term stands."""
    last = max(1, len(steps.lines) - 1)
    task, n_task = _most(steps.marks, cues("task"))
    end, n_end = _most(steps.marks, cues("answer"))
    return {
        "opening": 1 - task / last if n_task else 0.5,
        "closing": end / last if n_end else 0.5,
        "numbered": _numbered(steps),
        "announced": _announced(steps),
        "near": _near(steps, counts),
    }


def _most(marks: list[Words], cues: Words) -> tuple[int, int]:
    """The first step with the most of `cues`, and how many that is."""
    counts = [len(words & cues) if words else 0 for words in marks]
    most = max(counts)
    return counts.index(most), most


def _numbered(steps: Steps) -> float:
    """The share of list and step numbers that are one more than the former, or one."""
    numbers = [
        int(found[1])
        for first, line in zip(steps.first, steps.lines, strict=True)
        if (line[:1].isdigit() or first in _NUMBER_WORDS or first.isdigit()) and (found := _NUMBERED.match(line))
    ]
    return sum(b in (1, a + 1) for a, b in pairwise([0, *numbers])) / len(numbers) if numbers else 1.0


def _announced(steps: Steps) -> float:
    """The share of lines ending in a colon that a list item or a formula follows."""
    after = [steps.lines[at + 1] for at, line in enumerate(steps.lines[:-1]) if line.endswith(_LABEL)]
    return sum(bool(_FOLLOWS.match(line)) for line in after) / len(after) if after else 1.0


def _near(steps: Steps, counts: Counter[bytes]) -> float:
    """How much more neighbouring steps share than any two: 0.5 for as much (steps in any order), towards 1 for more."""
    n = len(steps.terms)
    if n < 3:
        return 0.5
    shared = sum(len(a & b) for a, b in pairwise(steps.terms)) / (n - 1)
    expected = sum(k * (k - 1) for k in counts.values()) / (n * (n - 1))
    return shared / (shared + expected) if shared + expected else 0.5


_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*|[0-9]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")


def keywords(text: str) -> Traits:
    """The raw traits of one text; an empty text has none of any."""
    text = text.lower().replace("\u2019", "'")
    words = _WORD.findall(text)
    n_han = len(_CHINESE.findall(text))
    n_words = len(words) + n_han / 2
    seen, line = Counter(words), f" {'  '.join(words)} "  # two spaces between, so that neighbours do not share one
    counts = {trait: sum(_occurs(entry, seen, line) for entry in word_lists("en")[trait]) for trait in COUNTED}
    for trait, entries in word_lists("zh").items():
        counts[trait] += sum(map(text.count, entries))
    return Traits(n_words, *(1000 * counts[trait] / n_words if n_words else 0.0 for trait in COUNTED))


def _occurs(entry: str, seen: Counter[str], line: str) -> int:
    return line.count(f" {entry.replace(' ', '  ')} ") if " " in entry else seen[entry]
