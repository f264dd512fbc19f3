"""The structural scorer: what a chain does, measured on its steps and not on the words that say it is done.

Eight traits, each 0..1 and of one text alone, so that a score means the same in every file:

- `steps`: how many steps of reasoning there are, headings, labels and list items left out; half at 30.
- `spread`: how evenly the steps come in small and large (entropy of their sizes), the adaptive granularity.
- `restated`: how often a term that was introduced is used again.
- `questions`: how many questions have a term that one of the next two steps uses; half at two.
- `checks`: how many results are reached a second time from another expression, against empty "let me check".
- `detours`: how many turns ("But", "Wait") use terms of the steps just before and bring a new one; half at four.
- `answer`: the answer is stated, once, in the last steps.
- `order`: the task stands first and the answer last, numbered steps count up, an announced list or formula follows
  its announcement, and neighbouring steps share more terms than distant ones do.

The score is their weighted mean, lowered in proportion where `novelty`, the share of steps whose set of terms did not
occur before, is under nine tenths: a text that loops.  Words that `limo-v2` counts are no terms.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain, pairwise
from math import log

from limo.curate.scorers.steps import Steps, Words, cue_words, cut_steps

TRAITS = ("steps", "spread", "restated", "questions", "checks", "detours", "answer", "order")
WEIGHTS = {
    "steps": 0.36, "spread": 0.09, "restated": 0.20, "questions": 0.11,
    "checks": 0.04, "detours": 0.04, "answer": 0.04, "order": 0.12,
}  # fmt: skip
ORDER_WEIGHTS = {"opening": 0.35, "closing": 0.10, "numbered": 0.30, "announced": 0.10, "near": 0.15}
_LABEL_ENDS = (":", ":**", ":*")
_OUTLINE = re.compile(r"(?:[a-z][a-z-]* +)*(?:[-*#•+|]|\d+[.)]\s|\\[\[\]]|\$\$)")  # words put before it do not hide it
_NUMBERED = re.compile(r"[#*\s>]*(?:step\s*|case\s*)?(\d{1,2})\s*[.):]", re.IGNORECASE)
_NUMBER_WORDS = {b"step", b"case"}
_FOLLOWS = re.compile(r"[-*•+]|\d+[.)]|\\\[|\$\$|\\begin|[^=]{0,60}=")
_RESULT = re.compile(r"[\s$\\({]*([-+]?\d[\d,]+(?:\.\d+)?|\d\.\d+)")  # one digit is reached too easily
_COMPUTED = re.compile(r"[=\d]")
_OPENED = re.compile(r"[A-Z][a-z]+(?: [a-z]+)?,? (?:[a-z0-9$\\(]|I\b|I')")
_HAN_WORDS = b"h4", b"h5", b"h6", b"h7", b"h8", b"h9"
_N_SIZES = 6
_NOVEL = 0.9


def measure(text: str) -> dict[str, float]:
    """The traits of one text, its `novelty`, `score` and `length` in characters; 0 for a text without steps."""
    steps = cut_steps(text)
    n_by_term = Counter(chain.from_iterable(steps.terms))
    traits = _traits(steps, n_by_term) if steps.lines else dict.fromkeys(TRAITS, 0.0)
    long_steps = [terms for terms in steps.terms if len(terms) > 2]
    novelty = len(set(long_steps)) / len(long_steps) if long_steps else 1.0
    score = min(1.0, novelty / _NOVEL) * sum(weight * traits[name] for name, weight in WEIGHTS.items())
    return {**traits, "novelty": novelty, "score": score, "length": float(len(text))}


def _traits(steps: Steps, n_by_term: Counter[bytes]) -> dict[str, float]:
    n_terms, n_reasoned = n_by_term.total(), _n_reasoned(steps)
    n_questions, n_detours = _n_questions(steps), _n_detours(steps)
    return {
        "steps": n_reasoned / (n_reasoned + 30),
        "spread": _spread(steps),
        "restated": 1 - len(n_by_term) / n_terms if n_terms else 0.0,
        "questions": n_questions / (n_questions + 2),
        "checks": _checks(steps),
        "detours": n_detours / (n_detours + 4),
        "answer": _answer(steps),
        "order": sum(ORDER_WEIGHTS[name] * value for name, value in order_parts(steps, n_by_term).items()),
    }


def _n_reasoned(steps: Steps) -> int:
    """Steps of two terms or more that are no heading, label or list item."""
    return sum(
        len(terms) > 1 and not line.endswith(_LABEL_ENDS) and (line[0].isupper() or not _OUTLINE.match(line))
        for terms, line in zip(steps.terms, steps.lines, strict=True)
    )


def _spread(steps: Steps) -> float:
    """The entropy of the steps' sizes in bits, 1 where six sizes are equally frequent."""
    n_by_size = Counter(len(terms).bit_length() for terms in steps.terms)
    n = len(steps.terms)
    return min(1.0, -sum(k / n * log(k / n) for k in n_by_size.values()) / log(_N_SIZES))


def _n_questions(steps: Steps) -> int:
    """Questions of which one of the next two steps uses a term."""
    questions = [index for index, line in enumerate(steps.lines) if line.endswith("?")]
    return sum(any(steps.terms[index] & later for later in steps.terms[index + 1 : index + 3]) for index in questions)


def _checks(steps: Steps) -> float:
    """Results reached from two expressions or more, against steps that speak of checking and compute nothing."""
    expressions_by_result: dict[str, set[str]] = {}
    for line in steps.lines:
        before, equals, last = line.rpartition("=")
        if equals and (result := _RESULT.match(last)):
            expressions_by_result.setdefault(result[1], set()).add(before.partition("=")[0][-12:])
    n_again = sum(len(expressions) > 1 for expressions in expressions_by_result.values())
    checking = _steps_with(steps, "check")
    n_empty = sum(not _COMPUTED.search(" ".join(steps.lines[index : index + 2])) for index in checking)
    return n_again / (n_again + 3 + n_empty)


def _steps_with(steps: Steps, kind: str) -> list[int]:
    """The steps with a cue word of that kind."""
    wanted = cue_words(kind)
    return [index for index, cues in enumerate(steps.cues) if cues and not wanted.isdisjoint(cues)]


def _n_detours(steps: Steps) -> int:
    """Steps that open with a turn, use two terms of the three steps before, and bring a new one."""
    turns, n = cue_words("turn"), 0
    for index, first in enumerate(steps.first_words):
        if first in turns and index and (_OPENED.match(steps.lines[index]) or first.startswith(_HAN_WORDS)):
            before: Words = frozenset().union(*steps.terms[max(0, index - 3) : index])
            n += len(steps.terms[index] & before) > 1 and not steps.terms[index] <= before
    return n


def _answer(steps: Steps) -> float:
    """1 where the answer is stated in one of the last three steps and boxed once at most; half without any."""
    stated = _steps_with(steps, "answer")
    if not stated:
        return 0.5
    boxed = {line.rpartition("\\boxed")[2] for index in stated if "\\boxed" in (line := steps.lines[index])}
    return float(stated[-1] >= len(steps.lines) - 3) / max(1, len(boxed))


def order_parts(steps: Steps, n_by_term: Counter[bytes]) -> dict[str, float]:
    """The parts of the trait `order`, each 0..1; `n_by_term` counts the steps in which each term stands."""
    last = max(1, len(steps.lines) - 1)
    task, n_task = _step_with_most(steps.cues, cue_words("task"))
    end, n_end = _step_with_most(steps.cues, cue_words("answer"))
    return {
        "opening": 1 - task / last if n_task else 0.5,
        "closing": end / last if n_end else 0.5,
        "numbered": _numbered(steps),
        "announced": _announced(steps),
        "near": _near(steps, n_by_term),
    }


def _step_with_most(cues: list[Words], wanted: Words) -> tuple[int, int]:
    """The first step with the most of the wanted cues, and how many that is."""
    counts = [len(words & wanted) if words else 0 for words in cues]
    most = max(counts)
    return counts.index(most), most


def _numbered(steps: Steps) -> float:
    """The share of list and step numbers that are one more than the former, or one."""
    numbers = [
        int(number[1])
        for first, line in zip(steps.first_words, steps.lines, strict=True)
        if (line[:1].isdigit() or first in _NUMBER_WORDS or first.isdigit()) and (number := _NUMBERED.match(line))
    ]
    return sum(b in (1, a + 1) for a, b in pairwise([0, *numbers])) / len(numbers) if numbers else 1.0


def _announced(steps: Steps) -> float:
    """The share of lines ending in a colon that a list item or a formula follows."""
    after = [following for line, following in pairwise(steps.lines) if line.endswith(_LABEL_ENDS)]
    return sum(bool(_FOLLOWS.match(line)) for line in after) / len(after) if after else 1.0


def _near(steps: Steps, n_by_term: Counter[bytes]) -> float:
    """How much more neighbouring steps share than any two: 0.5 for as much (steps in any order), towards 1 for more."""
    n = len(steps.terms)
    if n < 3:
        return 0.5
    shared = sum(len(a & b) for a, b in pairwise(steps.terms)) / (n - 1)
    expected = sum(k * (k - 1) for k in n_by_term.values()) / (n * (n - 1))
    return shared / (shared + expected) if shared + expected else 0.5
