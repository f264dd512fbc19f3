"""A verified file and a judge: which rows the judge reads, and its opinions written into them.

    questions = read_questions("verified.jsonl", all_rows=False)              # {row number: Question}
    summary, agreement = write_opinions("verified.jsonl", {7: Opinion("a model", "correct")})

A row that a judge was asked about gets `judged` ({by, said, why}); where the rules were undecided and the judge was
not, its outcome is the judge's and its tier names the judge.  The file is replaced whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limo.core.files import atomic
from limo.core.records import Verdict
from limo.verify.checker import as_text
from limo.verify.files import ANSWER, BUFFER, COMPLETION, STATEMENT, Summary, dumps, field_of, parse_row
from limo.verify.judge import Agreement, Opinion, Question, apply_opinion, can_be_judged


def read_questions(path: str | Path, all_rows: bool = False) -> dict[int, Question]:
    """By row number, what a judge may be asked: the undecided rows, or all that have an answer and a completion."""
    found = {}
    with open(path, "rb", BUFFER) as source:
        for number, line in enumerate(source, 1):
            row = parse_row(number, line)
            question = _question(row)
            whole = bool(question.answer.strip() and question.completion.strip())
            if can_be_judged(_verdict(row), question) or (all_rows and whole):
                found[number] = question
    return found


def write_opinions(path: str | Path, opinions: Mapping[int, Opinion]) -> tuple[Summary, Agreement]:
    """Write the opinions into the rows; the summary of the verdicts that now count, and how rules and judge agree."""
    summary, agreement = Summary(), Agreement()
    with atomic(path) as aside, open(path, "rb", BUFFER) as source, open(aside, "wb", BUFFER) as sink:
        for number, line in enumerate(source, 1):
            row = parse_row(number, line)
            verdict = _verdict(row)
            if (opinion := opinions.get(number)) is not None:
                agreement.add(verdict, opinion)
                verdict = apply_opinion(verdict, opinion)
                judged = {"by": opinion.judge, "said": opinion.said, "why": opinion.why}
                row |= {"outcome": verdict.outcome, "reason": verdict.reason, "tier": verdict.tier, "judged": judged}
                line = dumps(row)
            sink.write(line)
            summary.add(str(row.get("kind", "")), verdict.outcome, verdict.tier, verdict.reason)
    return summary, agreement


def _question(row: dict[str, Any]) -> Question:
    statement = next((row[name] for name in STATEMENT if isinstance(row.get(name), str)), "")
    return Question(
        statement, as_text(field_of(row, ANSWER)), str(row["extracted"]), as_text(field_of(row, COMPLETION))
    )


def _verdict(row: dict[str, Any]) -> Verdict:
    return Verdict(row["outcome"], row["extracted"], row["reason"], row["tier"], row["elapsed_s"])
