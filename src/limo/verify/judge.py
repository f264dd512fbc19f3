"""A judge model's opinion of an answer: which rows can be judged, how a reply is read, how opinions change verdicts.

    question = Question("What is moved?", "the red ball", "the ball that is red", "... so it is the ball that is red")
    (opinion,) = ask([question])    # any callable: `judging.judge_answers` requests replies from models
    apply_opinion(verdict, opinion).tier    # "judge: Qwen2.5-32B" where the judge decided, the rule's where it did not

A reply counts when it states one verdict exactly once: a line that is nothing but CORRECT, INCORRECT or UNSURE, or a
JSON object with the key `verdict`.  Anything else, a verdict stated twice or inside a sentence among it, is no
opinion, and the row stays undecided.  A rule's verdict is never overruled: where both spoke, they are set side by side
(`Agreement`), and each says who it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from limo.core.records import Verdict
from limo.verify.extract import split_thought

TIER = "judge: "
DECIDED = ("correct", "incorrect")
OpinionWord = Literal["correct", "incorrect", "unsure"]
_LINE = re.compile(r"[\s*_#>`\"'-]*(?:verdict\s*[:=][\s*_`\"']*)?(correct|incorrect|unsure)[\s*_`\"'.]*", re.I)
_OBJECT = re.compile(r"\{[^{}]*\}")


class Question(NamedTuple):
    """What a judge is asked about: the problem ('' where it is not known), its answer, what was found, and where."""

    problem: str
    answer: str
    extracted: str
    completion: str


class Opinion(NamedTuple):
    """A judge's opinion; `said` is '' where the reply states no verdict, and `why` is then the reason."""

    judge: str
    said: OpinionWord | Literal[""]
    why: str = ""


Ask = Callable[[Sequence[Question]], Iterable[Opinion]]


def read_opinion(reply: str, finish_reason: str = "stop") -> tuple[OpinionWord | Literal[""], str]:
    """The one verdict that a reply states, or '' and why there is none."""
    if finish_reason == "length":
        return "", "the reply was cut"
    text, _, closed = split_thought(reply)
    if not closed:
        return "", "the thought was never closed"
    objects = [word for word in map(_verdict, _OBJECT.findall(text)) if word]
    lines = [match.group(1) for line in text.split("\n") if (match := _LINE.fullmatch(line))]
    stated = [word.lower() for word in [*objects, *lines]]
    if len(stated) != 1:
        return "", "no verdict stated" if not stated else f"{len(stated)} verdicts stated"
    word: OpinionWord = "correct" if stated[0] == "correct" else "incorrect" if stated[0] == "incorrect" else "unsure"
    return word, ""


def _verdict(text: str) -> str:
    """The verdict of a JSON object; '' where it is none of the three words."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    word = value.get("verdict") if isinstance(value, dict) else None
    return word if isinstance(word, str) and word.lower() in ("correct", "incorrect", "unsure") else ""


def combine_opinions(opinions: Sequence[Opinion]) -> Opinion:
    """One opinion of several replies: what all of them say that say anything; none where they differ."""
    names = " + ".join(dict.fromkeys(opinion.judge for opinion in opinions))
    words = {opinion.said for opinion in opinions if opinion.said}
    if len(words) == 1:
        return Opinion(names, words.pop())
    why = "replies differ" if words else next((opinion.why for opinion in opinions), "no replies")
    return Opinion(names, "", why)


def can_be_judged(verdict: Verdict, question: Question) -> bool:
    """Whether a judge may decide: the rules left it open, and there are an answer and a text to compare."""
    return verdict.outcome == "undecided" and bool(question.answer.strip()) and bool(question.completion.strip())


def apply_opinion(verdict: Verdict, opinion: Opinion) -> Verdict:
    """The verdict that counts: the rule's, or the judge's where the rules were undecided and the judge was not."""
    if verdict.outcome != "undecided" or opinion.said not in DECIDED:
        return verdict
    outcome: Literal["correct", "wrong"] = "correct" if opinion.said == "correct" else "wrong"
    reason = f"the rules: {verdict.reason or 'undecided'}"
    return replace(verdict, outcome=outcome, tier=TIER + opinion.judge, reason=reason)


@dataclass(slots=True)
class Agreement:
    """Rule and judge on the same rows: counts by (what the rule said, what the judge said)."""

    n: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, verdict: Verdict, opinion: Opinion) -> None:
        """Count one row.  `verdict` is the rule's."""
        self.n[verdict.outcome, opinion.said or "no opinion"] += 1

    @property
    def n_both(self) -> int:
        """Rows that both decided; no answer and a cut text are the rule's way of saying that it is not right."""
        return sum(n for (rule, judge), n in self.n.items() if rule != "undecided" and judge in DECIDED)

    @property
    def rate(self) -> float:
        """Share of those on which they agree; nan where there is none."""
        same = sum(n for (rule, judge), n in self.n.items() if rule != "undecided" and _agree(rule, judge))
        return same / self.n_both if self.n_both else float("nan")

    def table(self) -> list[list[object]]:
        """Head and rows for printing: the rule down, the judge across."""
        across = [name for name in (*DECIDED, "unsure", "no opinion") if any(judge == name for _, judge in self.n)]
        rows: list[list[object]] = [["rule \\ judge", *across]]
        for rule in ("correct", "wrong", "no_answer", "truncated", "undecided"):
            if any(r == rule for r, _ in self.n):
                rows.append([rule, *(self.n[rule, judge] for judge in across)])
        return rows


def _agree(rule: str, judge: str) -> bool:
    return judge in DECIDED and (rule == "correct") == (judge == "correct")
