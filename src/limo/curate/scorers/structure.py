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
from dataclasses import dataclass
from itertools import pairwise
from math import log

from limo.curate import scan
from limo.curate.steps import Steps, cut

TRAITS = ("steps", "spread", "restated", "questions", "checks", "detours", "answer", "order")
WEIGHTS = {
    "steps": 0.36, "spread": 0.09, "restated": 0.20, "questions": 0.11,
    "checks": 0.04, "detours": 0.04, "answer": 0.04, "order": 0.12,
}  # fmt: skip
ORDER = {"opening": 0.35, "closing": 0.10, "numbered": 0.30, "announced": 0.10, "near": 0.15}
_NUMBERED = re.compile(r"[#*\s>]*(?:step\s*|case\s*)?(\d{1,2})\s*[.):]", re.IGNORECASE)
_FOLLOWS = re.compile(r"[-*•+]|\d+[.)]|\\\[|\$\$|\\begin|[^=]{0,60}=")
_RESULT = re.compile(r"[\s$\\({]*([-+]?\d[\d,]+(?:\.\d+)?|\d\.\d+)")  # one digit is reached too easily
_COMPUTED = re.compile(r"[=\d]")
_OPENED = re.compile(r"[A-Z][a-z]+(?: [a-z]+)?,? (?:[a-z0-9$\\(]|I\b|I')")
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
    if not len(steps):
        return Structure(dict.fromkeys(TRAITS, 0.0), 1.0, 0)
    total, n_different, told = (int(steps.found[k]) for k in (scan.N_TOTAL, scan.N_DIFFERENT, scan.N_TOLD))
    values = {
        "steps": _half_at(30, len(steps.places(scan.REASONED))),
        "spread": _spread(steps),
        "restated": 1 - n_different / total if total else 0.0,
        "questions": _half_at(2, int(steps.found[scan.N_TAKEN_UP])),
        "checks": _checks(steps),
        "detours": _half_at(4, _detours(steps)),
        "answer": _answer(steps),
        "order": sum(ORDER[name] * value for name, value in order(steps).items()),
    }
    return Structure(values, int(steps.found[scan.N_NEW]) / told if told else 1.0, len(steps))


def _half_at(half: float, n: float) -> float:
    return n / (n + half)


def _spread(steps: Steps) -> float:
    """The entropy of the steps' sizes in bits, 1 where six sizes are equally frequent."""
    n, counts = len(steps), steps.found[scan.SIZES + 1 :: 2].tolist()
    return min(1.0, -sum(k / n * log(k / n) for k in counts if k) / log(_SIZES))


def _checks(steps: Steps) -> float:
    """Results reached from two expressions or more, against steps that speak of checking and compute nothing."""
    reached: dict[str, set[str]] = {}
    for at in steps.places(scan.RESULT):
        before, _, last = steps.line(at).rpartition("=")
        result = _RESULT.match(last)
        if result:
            reached.setdefault(result[1], set()).add(before.partition("=")[0][-12:])
    n_again = sum(len(ways) > 1 for ways in reached.values())
    return n_again / (n_again + 3 + _hollow(steps))


def _hollow(steps: Steps) -> int:
    """Steps that speak of checking while neither they nor the next hold an equation or a number."""
    last = len(steps) - 1
    spoken = steps.places(scan.CHECK)
    return sum(not any(_COMPUTED.search(steps.line(k)) for k in {at, min(at + 1, last)}) for at in spoken)


def _detours(steps: Steps) -> int:
    """Steps that open with a turn, take up two terms of the three steps before, and bring a new one."""
    turns = steps.places(scan.TURN)
    return sum(bool(steps.rows[at, scan.FLAGS] & scan.HAN) or _OPENED.match(steps.line(at)) is not None for at in turns)


def _answer(steps: Steps) -> float:
    """1 where the answer is stated in one of the last three steps and boxed once at most; half without any."""
    said = steps.places(scan.ANSWER)
    if not said:
        return 0.5
    boxed = {line.rpartition("\\boxed")[2] for at in said if "\\boxed" in (line := steps.line(at))}
    return float(said[-1] >= len(steps) - 3) / max(1, len(boxed))


def order(steps: Steps) -> dict[str, float]:
    """The parts of the trait `order`, each 0..1."""
    last = max(1, len(steps) - 1)
    n_task, task, n_end, end = (int(steps.found[k]) for k in (scan.N_TASK, scan.TASK, scan.N_END, scan.AT_END))
    return {
        "opening": 1 - task / last if n_task else 0.5,
        "closing": end / last if n_end else 0.5,
        "numbered": _numbered(steps),
        "announced": _announced(steps),
        "near": _near(steps),
    }


def _numbered(steps: Steps) -> float:
    """The share of list and step numbers that are one more than the former, or one."""
    lines = (steps.line(at) for at in steps.places(scan.NUMBERED))
    numbers = [int(found[1]) for line in lines if (found := _NUMBERED.match(line))]
    return sum(b in (1, a + 1) for a, b in pairwise([0, *numbers])) / len(numbers) if numbers else 1.0


def _announced(steps: Steps) -> float:
    """The share of lines ending in a colon that a list item or a formula follows."""
    last = len(steps) - 1
    after = [steps.line(at + 1) for at in steps.places(scan.LABEL) if at < last]
    return sum(bool(_FOLLOWS.match(line)) for line in after) / len(after) if after else 1.0


def _near(steps: Steps) -> float:
    """How much more neighbouring steps share than any two: 0.5 for as much (steps in any order), towards 1 for more."""
    n = len(steps)
    if n < 3:
        return 0.5
    shared = int(steps.found[scan.N_SHARED]) / (n - 1)
    expected = int(steps.found[scan.N_PAIRS]) / (n * (n - 1))
    return shared / (shared + expected) if shared + expected else 0.5
