"""A judge model's question about an answer and the reading of its reply; `rollouts.judge_verifier` sends it.

    question = JudgeQuestion("What is moved?", "the red ball", "the ball that is red", "... the ball that is red")
    prompts.same_answer(*question)                                  # what `limo.rollouts.judging` sends
    opinion = JudgeOpinion("Qwen2.5-32B", *read_opinion(reply))
    apply_opinion(verdict, opinion).tier    # "judge: Qwen2.5-32B" where the judge decided, the rule's where it did not

A reply counts when it states one verdict exactly once: a line that is only CORRECT, INCORRECT or UNSURE, or a JSON
object with the key `verdict`; anything else leaves the row undecided.  A rule's verdict is never overruled.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from limo.core.files import atomic
from limo.core.records import Verdict
from limo.core.rows import json_line, text_of
from limo.core.text import parse_json
from limo.verify.checker import as_text
from limo.verify.extract import split_thought
from limo.verify.files import BUFFER, USUAL, Columns, Summary, parse_row

TIER = "judge: "
DECIDED = ("correct", "incorrect")
OpinionWord = Literal["correct", "incorrect", "unsure"]
_BRACE = re.compile(r"[{}]")
_LINE = re.compile(r"[\s*_#>`\"'-]*(?:verdict\s*[:=][\s*_`\"']*)?(correct|incorrect|unsure)[\s*_`\"'.]*", re.I)


class JudgeQuestion(NamedTuple):
    """The problem ('' where it is not known), its answer, what was extracted, and the completion."""

    problem: str
    answer: str
    extracted: str
    completion: str

    @property
    def is_complete(self) -> bool:
        """Whether there are an answer and a completion to compare."""
        return bool(self.answer.strip() and self.completion.strip())


class JudgeOpinion(NamedTuple):
    """What a judge thinks; `verdict` is '' where its reply states none, and `why` is then the reason."""

    judge: str
    verdict: OpinionWord | Literal[""]
    why: str = ""


def read_opinion(reply: str, finish_reason: str = "stop") -> tuple[OpinionWord | Literal[""], str]:
    """The one verdict that a reply states, or '' and why there is none."""
    if finish_reason == "length":
        return "", "the reply was cut"
    text, _, closed = split_thought(reply)
    if not closed:
        return "", "the thought was never closed"
    objects = _verdicts_in_json(text)
    lines = [match.group(1) for line in text.split("\n") if (match := _LINE.fullmatch(line))]
    stated = [word.lower() for word in [*objects, *lines]]
    if len(stated) != 1:
        return "", "no verdict stated" if not stated else f"{len(stated)} verdicts stated"
    word: OpinionWord = "correct" if stated[0] == "correct" else "incorrect" if stated[0] == "incorrect" else "unsure"
    return word, ""


def _verdicts_in_json(text: str) -> list[str]:
    """Every verdict that the JSON objects of a text state, in whichever of them, and as often as they do."""
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        words = (value for key, value in pairs if key == "verdict" and isinstance(value, str))
        found.extend(word for word in words if word.lower() in ("correct", "incorrect", "unsure"))

    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            spans.append((opened.pop(), brace.end()))
    end = 0
    for start, stop in sorted(spans):  # what is around others comes first, and holds them
        n_before = len(found)
        if start >= end:
            try:
                parse_json(text[start:stop], note)
                end = stop
            except ValueError:
                del found[n_before:]
    return found


def combine_opinions(opinions: Sequence[JudgeOpinion]) -> JudgeOpinion:
    """One opinion of several replies: what all of them say that say anything; none where they differ."""
    names = " + ".join(dict.fromkeys(opinion.judge for opinion in opinions))
    words = {opinion.verdict for opinion in opinions if opinion.verdict}
    if len(words) == 1:
        return JudgeOpinion(names, words.pop())
    why = "replies differ" if words else next((opinion.why for opinion in opinions), "no replies")
    return JudgeOpinion(names, "", why)


def can_be_judged(verdict: Verdict, question: JudgeQuestion) -> bool:
    """Whether a judge may decide: the rules left it open, and there are an answer and a text to compare."""
    return verdict.outcome == "undecided" and question.is_complete


def apply_opinion(verdict: Verdict, opinion: JudgeOpinion) -> Verdict:
    """The verdict that counts: the rule's, or the judge's where the rules were undecided and the judge was not."""
    if verdict.outcome != "undecided" or opinion.verdict not in DECIDED:
        return verdict
    outcome: Literal["correct", "wrong"] = "correct" if opinion.verdict == "correct" else "wrong"
    reason = f"the rules: {verdict.reason or 'undecided'}"
    return replace(verdict, outcome=outcome, tier=TIER + opinion.judge, reason=reason)


@dataclass(slots=True)
class Agreement:
    """Rule and judge on the same rows: counts by (what the rule said, what the judge said)."""

    n: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, verdict: Verdict, opinion: JudgeOpinion) -> None:
        """Count one row.  `verdict` is the rule's."""
        self.n[verdict.outcome, opinion.verdict or "no opinion"] += 1

    @property
    def n_both(self) -> int:
        """Rows that both decided; no answer and a cut text are the rule's way of saying that it is not right."""
        return sum(n for (rule, judge), n in self.n.items() if rule != "undecided" and judge in DECIDED)

    @property
    def rate(self) -> float:
        """Share of those on which they agree; nan where there is none."""
        same = sum(n for (rule, judge), n in self.n.items() if rule != "undecided" and judge in DECIDED
                   and (rule == "correct") == (judge == "correct"))  # fmt: skip
        return same / self.n_both if self.n_both else float("nan")

    def table(self) -> list[list[object]]:
        """Head and rows for printing: the rule down, the judge across."""
        across = [name for name in (*DECIDED, "unsure", "no opinion") if any(judge == name for _, judge in self.n)]
        rows: list[list[object]] = [["rule \\ judge", *across]]
        for rule in ("correct", "wrong", "no_answer", "truncated", "undecided"):
            if any(r == rule for r, _ in self.n):
                rows.append([rule, *(self.n[rule, judge] for judge in across)])
        return rows


def read_questions(path: str | Path, all_rows: bool = False, columns: Columns = USUAL) -> dict[int, JudgeQuestion]:
    """By row number, the questions of a verified file: of undecided rows, or of all that can be judged."""
    questions = {}
    for number, _, row, verdict in _verified_rows(path):
        answer, completion = (as_text(columns.find(need, row)) for need in ("answer", "completion"))
        question = JudgeQuestion(text_of(row, columns.problem) or "", answer, str(row["extracted"]), completion)
        if question.is_complete and (all_rows or verdict.outcome == "undecided"):
            questions[number] = question
    return questions


def write_opinions(path: str | Path, opinions: Mapping[int, JudgeOpinion]) -> tuple[Summary, Agreement]:
    """Write the opinions into the rows; the summary of the verdicts that now count, and how rules and judge agree.

    A judged row gets `judged` ({by, said, why}).  The file is replaced whole or not at all.
    """
    summary, agreement = Summary(), Agreement()
    with atomic(path) as aside, open(aside, "wb", BUFFER) as target:
        for number, line, row, verdict in _verified_rows(path):
            if (opinion := opinions.get(number)) is not None:
                agreement.add(verdict, opinion)
                verdict = apply_opinion(verdict, opinion)
                judged = {"by": opinion.judge, "said": opinion.verdict, "why": opinion.why}
                row |= {"outcome": verdict.outcome, "reason": verdict.reason, "tier": verdict.tier, "judged": judged}
                line = json_line(row)
            target.write(line)
            summary.add(str(row.get("kind", "")), verdict.outcome, verdict.tier, verdict.reason)
    return summary, agreement


def _verified_rows(path: str | Path) -> Iterator[tuple[int, bytes, dict[str, Any], Verdict]]:
    with open(path, "rb", BUFFER) as source:
        for number, line in enumerate(source, 1):
            row = parse_row(number, line)
            yield number, line, row, Verdict(*(row[name] for name in ("outcome", "extracted", "reason", "tier")))
