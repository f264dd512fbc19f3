"""The structural scorer: what a chain does, measured on its steps and not on the words that say it is done.

Eight traits, each 0..1 and of one text alone, so that a score means the same in every file:

- `steps`: how many steps of reasoning there are, headings, labels and list items left out; half at 30.
- `spread`: how evenly the steps come in small and large (entropy of their sizes), the adaptive granularity.
- `restated`: how often a term that was brought in is taken up again.
- `questions`: how many questions are asked and taken up by one of the next two steps; half at two.
- `checks`: how many results are reached a second time from another expression; steps that only say "let me check"
  count against it.
- `detours`: how many turns there are (a step that opens with "But", "Wait", "Alternatively") which take up what was
  said just before and bring something new, the reason; half at four.
- `answer`: the answer is stated, once, in the last steps.
- `order`: the task stands first and the answer last, numbered steps count up, an announced list or formula follows
  its announcement, and neighbouring steps speak of the same terms more than distant ones do.

The score is their weighted mean, lowered in proportion where `novelty`, the share of steps whose terms did not stand
together before, is under nine tenths: a text that loops.
Words alone raise nothing: what `limo-v2` counts is no term, and a turn needs matter on both sides.

    measure("To find x, let us ...").score

What it does not do: see whether a step is true, or read mathematics beyond an equals sign.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain as joined
from itertools import pairwise
from math import log

from limo.curate.steps import Steps, Words, cues, cut

TRAITS = ("steps", "spread", "restated", "questions", "checks", "detours", "answer", "order")
WEIGHTS = {
    "steps": 0.36, "spread": 0.09, "restated": 0.20, "questions": 0.11,
    "checks": 0.04, "detours": 0.04, "answer": 0.04, "order": 0.12,
}  # fmt: skip
ORDER = {"opening": 0.35, "closing": 0.10, "numbered": 0.30, "announced": 0.10, "near": 0.15}
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


@dataclass(frozen=True, slots=True)
class Structure:
    """The traits of one text by name, the share of its steps that are new, and how many steps it has."""

    traits: dict[str, float]
    novelty: float
    n_steps: int

    @property
    def score(self) -> float:
        """The weighted mean of the traits, less where steps repeat; 0..1."""
        return min(1.0, self.novelty / _NOVEL) * sum(weight * self.traits[name] for name, weight in WEIGHTS.items())


def measure(text: str) -> Structure:
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
