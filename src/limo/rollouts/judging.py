"""A model judges the reasoning of chains, or whether an answer is the known one: each judgement is paid for once.

What a judge is asked is one text (the rubric over a problem and a chain; the known answer beside the candidate's), so
a judgement is a rollout of that text, asked through any completer, and the ledger, budgets, served models, recordings
and resuming are those of all rollouts.  Its verdict says whether the reply could be read; it is never `correct`,
because nothing was checked.  The two kinds of judgement never meet: their texts and system texts differ.

    runner = RolloutRunner(open_model, data="", progress=progress)
    columns, missing = judged(chains, statements, asking, runner, ledger)
    grades = grade(some, GradeSettings(scorer="judge"), columns)
    said = opinions(questions, answers_asking, runner, ledger)      # for `verify.judge.merged`

What it does not do: say what a judge is asked (`prompts` does), how marks become levels (`grade`) or opinions
verdicts (`verify.judge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from limo.core import prompts
from limo.core.records import Chain, Completion, Problem, Verdict
from limo.curate.scorers import judge
from limo.ledger.store import Ledger
from limo.models.settings import SamplingSettings
from limo.rollouts.runner import RolloutRunner, RolloutSettings
from limo.verify.judge import Opinion, Question, together
from limo.verify.judge import read as read_opinion

READ, READ_VERDICT = "marks read", "verdict read"


class ChainJudgeSettings(RolloutSettings):
    """Who judges: several models or several replies of one are averaged."""

    system: str = Field(prompts.JUDGE_SYSTEM, description="system text; the rubric itself is prompts.rubric")
    n: int = Field(1, ge=1, description="replies of each model to each chain")


class Marks:
    """Reads replies where `collect` wants a checker: a reply has marks, or it has not."""

    identity = "judge: rubric"

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each reply; never `correct` or `wrong`."""
        for _, reply in pairs:
            marks = judge.read(reply.text)
            if marks:
                told = ", ".join(f"{name} {1 + round(4 * mark)}" for name, mark in marks.items())
                yield Verdict("undecided", told, READ, "judge")
            elif reply.finish_reason == "length":
                yield Verdict("truncated", reason="the reply was cut", tier="judge")
            else:
                yield Verdict("no_answer", reason="not all five marks", tier="judge")


def judged(
    chains: Sequence[Chain], statements: Sequence[str], asking: RolloutSettings, runner: RolloutRunner, ledger: Ledger
) -> tuple[dict[str, list[float]], dict[int, str]]:
    """The judge's columns over the chains that got marks, in order, and by place why each other one got none.

    Chains of a problem that differ in nothing but white space and Unicode form share a judgement.  Raises what asking
    raises: CollectionStopped at a budget, InputError, ModelError.
    """
    texts = [prompts.rubric(statement, chain.text) for statement, chain in zip(statements, chains, strict=True)]
    problems = [Problem.make(text, "") for text in texts]
    unique = list({problem.id: problem for problem in problems}.values())
    runner.run(asking, unique, ledger, Marks(), "judge")
    replies = runner.rollouts([asking], unique, ledger)
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


class AnswerJudgeSettings(RolloutSettings):
    """Who says whether an answer is the known one: several replies must say the same."""

    system: str = Field(prompts.ANSWER_JUDGE_SYSTEM, description="system text; the question is prompts.same_answer")
    sampling: SamplingSettings = Field(
        default_factory=lambda: SamplingSettings(temperature=0.0, max_tokens=2048), description="greedy by default"
    )
    n: int = Field(1, ge=1, description="replies of each model to each question; they decide only where all agree")


class Opinions:
    """Reads replies where `collect` wants a checker: a reply states one verdict, or it has no opinion."""

    identity = "judge: same answer"

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each reply, which is the judge's word under `extracted`; never `correct` or `wrong`."""
        for _, reply in pairs:
            said, why = read_opinion(reply.text, reply.finish_reason)
            if said:
                yield Verdict("undecided", said, READ_VERDICT, "judge")
            else:
                yield Verdict("truncated" if reply.finish_reason == "length" else "no_answer", reason=why, tier="judge")


def opinions(
    questions: Sequence[Question], asking: AnswerJudgeSettings, runner: RolloutRunner, ledger: Ledger
) -> list[Opinion]:
    """An opinion on each question, in order; questions that read alike share one.  Raises what asking raises."""
    problems = [Problem.make(prompts.same_answer(*question), "") for question in questions]
    unique = list({problem.id: problem for problem in problems}.values())
    runner.run(asking, unique, ledger, Opinions(), "judge")
    replies = runner.rollouts([asking], unique, ledger)
    name = " + ".join(model.name for model in asking.models)
    found = []
    for problem in problems:
        read = [
            Opinion(one.model, *read_opinion(one.completion.text, one.completion.finish_reason))
            if one.completion.finish_reason != "error"
            else Opinion(one.model, "", one.completion.error or "the judge failed")
            for one in replies[problem.id]
        ]
        found.append(together(read) if read else Opinion(name, "", "nobody replied"))
    return found
