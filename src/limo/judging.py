"""A model judges the reasoning of chains: asked through any completer, each judgement paid for once.

What a judge is asked is the rubric over one problem and one chain, so a judgement is a rollout of that text, and the
ledger, budgets, served models, recordings and resuming are those of all rollouts.  Its verdict says whether the marks
could be read; it is never `correct`, because nothing was checked.

    desk = Desk(open_model, data="", progress=progress)
    columns, missing = judged(chains, statements, asking, desk, ledger)
    grades = grade(some, GradeSettings(scorer="judge"), columns)

What it does not do: say what reasoning is good (`prompts.rubric` does), or how marks become levels (`grade` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from limo import prompts
from limo.curate import judge
from limo.ledger import Ledger
from limo.records import Chain, Problem, Verdict
from limo.rollouts.asking import Asking, Desk

READ = "marks read"


class Judging(Asking):
    """Who judges: several models or several replies of one are averaged."""

    system: str = Field(prompts.JUDGE_SYSTEM, description="system text; the rubric itself is prompts.rubric")
    n: int = Field(1, ge=1, description="replies of each model to each chain")


class Marks:
    """Reads replies where `collect` wants a checker: a reply has marks, or it has not."""

    def check_many(self, rows: Iterable[tuple[str, str, str]]) -> Iterator[Verdict]:
        """A verdict for each reply; never `correct` or `wrong`."""
        for _, reply, finish_reason in rows:
            marks = judge.read(reply)
            if marks:
                told = ", ".join(f"{name} {1 + round(4 * mark)}" for name, mark in marks.items())
                yield Verdict("undecided", told, READ, "judge")
            elif finish_reason == "length":
                yield Verdict("truncated", reason="the reply was cut", tier="judge")
            else:
                yield Verdict("no_answer", reason="not all five marks", tier="judge")


def judged(
    chains: Sequence[Chain], statements: Sequence[str], asking: Asking, desk: Desk, ledger: Ledger
) -> tuple[dict[str, list[float]], dict[int, str]]:
    """The judge's columns over the chains that got marks, in order, and by place why each other one got none.

    Chains of a problem that differ in nothing but white space and Unicode form share a judgement.  Raises what asking
    raises: Stopped at a budget, InputError, ModelError.
    """
    texts = [prompts.rubric(statement, chain.text) for statement, chain in zip(statements, chains, strict=True)]
    problems = [Problem.make(text, "") for text in texts]
    unique = list({problem.id: problem for problem in problems}.values())
    desk.ask(asking, unique, ledger, Marks(), "judge")
    replies = desk.rollouts([asking], unique, ledger)
    marks, kept, missing = [], [], {}
    for place, problem in enumerate(problems):
        of = replies[problem.id]
        read = [found for found in (judge.read(reply.completion.text) for reply in of) if found]
        if read:
            marks.append(read)
            kept.append(chains[place].text)
        else:
            missing[place] = next((one.verdict.reason for one in of if one.verdict), "nobody replied")
    return judge.columns(marks, kept), missing
