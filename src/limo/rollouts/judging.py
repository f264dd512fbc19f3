"""Models as judges: marks for the reasoning of chains by a rubric, and opinions on answers.

A judge's reply is a rollout of one text (the rubric over a problem and a chain; the known answer beside the
candidate's), so ledger, budgets, recordings and resuming are those of all rollouts.  Its verdict only says whether the
reply could be read; it is never `correct`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import Field

from limo.core import prompts
from limo.core.records import FAILED, Chain, Completion, Problem, Rollout, Verdict
from limo.curate.scorers import judge
from limo.ledger.store import Ledger
from limo.models.settings import SamplingSettings
from limo.rollouts.runner import JUDGE_REPLY, RolloutRunner, RolloutSettings
from limo.verify.judge import JudgeOpinion, JudgeQuestion, combine_opinions, read_opinion


class ChainGraderSettings(RolloutSettings):
    """The graders of reasoning; the marks of several models or several replies of one are averaged."""

    system: str = Field(prompts.JUDGE_SYSTEM, description="system text; the rubric itself is prompts.rubric")
    n: int = Field(1, ge=1, description="replies of each model to each chain")


class AnswerJudgeSettings(RolloutSettings):
    """The judges of answers; several replies decide only where all of them agree."""

    system: str = Field(prompts.ANSWER_JUDGE_SYSTEM, description="system text; the question is prompts.same_answer")
    sampling: SamplingSettings = Field(
        default_factory=lambda: SamplingSettings(temperature=0.0, max_tokens=2048), description="greedy by default"
    )
    n: int = Field(1, ge=1, description="replies of each model to each question; they decide only where all agree")


class JudgeReplyVerifier:
    """Whether replies of a judge can be read: then `undecided` with what was read, otherwise `no_answer`.

    `read` gives what a reply states, or '' and why it states nothing; `what` is called "read" in the verdicts.
    """

    def __init__(self, prompt: str, what: str, read: Callable[[Completion], tuple[str, str]]) -> None:
        self.identity = f"{JUDGE_REPLY}{prompt}/1"
        self._what, self._read = what, read

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each reply; never `correct` or `wrong`."""
        for _, reply in pairs:
            text, why = self._read(reply)
            if text:
                yield Verdict("undecided", text, f"{self._what} read", "judge")
            else:
                yield Verdict("truncated" if reply.finish_reason == "length" else "no_answer", reason=why, tier="judge")


def _read_marks(reply: Completion) -> tuple[str, str]:
    marks = judge.read_marks(reply.text) or {}
    why = "the reply was cut" if reply.finish_reason == "length" else "not all five marks"
    return ", ".join(f"{name} {1 + round(4 * mark)}" for name, mark in marks.items()), why


RUBRIC_REPLIES = JudgeReplyVerifier("rubric", "marks", _read_marks)
ANSWER_REPLIES = JudgeReplyVerifier(
    "same answer", "verdict", lambda reply: read_opinion(reply.text, reply.finish_reason)
)


def grade_by_model(
    chains: Sequence[Chain],
    statements: Sequence[str],
    settings: ChainGraderSettings,
    runner: RolloutRunner,
    ledger: Ledger,
) -> tuple[dict[str, list[float]], dict[int, str]]:
    """The model's columns over the chains that got marks, in order, and by position why each other one got none.

    Chains of a problem that differ only in white space and Unicode form share a reply.  Raises CollectionStopped at a
    budget, InputError, ModelError.
    """
    texts = [prompts.rubric(statement, chain.text) for statement, chain in zip(statements, chains, strict=True)]
    marks, marked, missing = [], [], {}
    for position, replies in enumerate(_replies(texts, settings, runner, ledger, RUBRIC_REPLIES)):
        readable = [read for reply in replies if (read := judge.read_marks(reply.completion.text))]
        if readable:
            marks.append(readable)
            marked.append(chains[position].text)
        else:
            missing[position] = next((reply.verdict.reason for reply in replies if reply.verdict), "no reply")
    return judge.mean_marks(marks, marked), missing


def judge_answers(
    questions: Sequence[JudgeQuestion], settings: AnswerJudgeSettings, runner: RolloutRunner, ledger: Ledger
) -> list[JudgeOpinion]:
    """An opinion on each question, in order; questions with the same text share one.  Raises as `grade_by_model`."""
    texts = [prompts.same_answer(*question) for question in questions]
    names = " + ".join(model.name for model in settings.models)
    opinions = []
    for replies in _replies(texts, settings, runner, ledger, ANSWER_REPLIES):
        read = [_opinion(reply) for reply in replies]
        opinions.append(combine_opinions(read) if read else JudgeOpinion(names, "", "no reply"))
    return opinions


def _opinion(reply: Rollout) -> JudgeOpinion:
    if reply.completion.finish_reason in FAILED:
        return JudgeOpinion(reply.model, "", reply.completion.error or "the judge failed")
    return JudgeOpinion(reply.model, *read_opinion(reply.completion.text, reply.completion.finish_reason))


def _replies(
    texts: Sequence[str],
    settings: RolloutSettings,
    runner: RolloutRunner,
    ledger: Ledger,
    verifier: JudgeReplyVerifier,
) -> list[list[Rollout]]:
    """The replies to each text, in order; those that the ledger lacks are requested."""
    problems = [Problem.make(text, "") for text in texts]
    unique = list({problem.id: problem for problem in problems}.values())
    runner.run(settings, unique, ledger, verifier, "judge")
    replies = runner.rollouts([settings], unique, ledger)
    return [replies[problem.id] for problem in problems]
