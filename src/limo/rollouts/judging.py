"""Judging by models: the reasoning of chains by a rubric, and whether an answer is the known one.

A judgement is a rollout of one text (the rubric over a problem and a chain; the known answer beside the candidate's),
so ledger, budgets, recordings and resuming are those of all rollouts.  Its verdict only says whether the reply could be
read; it is never `correct`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Discriminator, Field

from limo.core import prompts
from limo.core.recipe import Settings
from limo.core.records import Chain, Completion, Problem, Rollout, Verdict
from limo.core.text import content_hash
from limo.curate.scorers import judge
from limo.ledger.store import Ledger
from limo.models.settings import SamplingSettings
from limo.rollouts.collect import VERIFIED_TOGETHER, BatchVerifier
from limo.rollouts.runner import RolloutRunner, RolloutSettings
from limo.verify.checker import Checker
from limo.verify.judge import Opinion, Question, apply_opinion, can_be_judged, combine_opinions, read_opinion
from limo.verify.verifier import (
    ChoiceSettings,
    ExactSettings,
    JudgeSettings,
    MathsSettings,
    NumericSettings,
    PythonSettings,
    as_mapping,
)

MARKS_READ, VERDICT_READ = "marks read", "verdict read"
JUDGE_REPLY = "judge reply: "
"""Begins the identity of the verifiers of this module: verdicts on a judge's reply, never on a pool's problem."""


class ChainJudgeSettings(RolloutSettings):
    """The judges of reasoning; the marks of several models or several replies of one are averaged."""

    system: str = Field(prompts.JUDGE_SYSTEM, description="system text; the rubric itself is prompts.rubric")
    n: int = Field(1, ge=1, description="replies of each model to each chain")


class RubricReplyVerifier:
    """Reads a judge's replies to the rubric: `undecided` when all five marks were read."""

    identity = f"{JUDGE_REPLY}rubric/1"

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each reply; never `correct` or `wrong`."""
        for _, reply in pairs:
            marks = judge.read_marks(reply.text)
            if marks:
                shown = ", ".join(f"{name} {1 + round(4 * mark)}" for name, mark in marks.items())
                yield Verdict("undecided", shown, MARKS_READ, "judge")
            elif reply.finish_reason == "length":
                yield Verdict("truncated", reason="the reply was cut", tier="judge")
            else:
                yield Verdict("no_answer", reason="not all five marks", tier="judge")


def judge_chains(
    chains: Sequence[Chain], statements: Sequence[str], settings: RolloutSettings, runner: RolloutRunner, ledger: Ledger
) -> tuple[dict[str, list[float]], dict[int, str]]:
    """The judge's columns over the chains that got marks, in order, and by position why each other one got none.

    Chains of a problem that differ only in white space and Unicode form share a judgement.  Raises CollectionStopped
    at a budget, InputError, ModelError.
    """
    texts = [prompts.rubric(statement, chain.text) for statement, chain in zip(statements, chains, strict=True)]
    marks, marked, missing = [], [], {}
    for position, replies in enumerate(_replies(texts, settings, runner, ledger, RubricReplyVerifier())):
        readable = [found for reply in replies if (found := judge.read_marks(reply.completion.text))]
        if readable:
            marks.append(readable)
            marked.append(chains[position].text)
        else:
            missing[position] = next((reply.verdict.reason for reply in replies if reply.verdict), "no reply")
    return judge.mean_marks(marks, marked), missing


class AnswerJudgeSettings(RolloutSettings):
    """The judges of answers; several replies decide only where all of them agree."""

    system: str = Field(prompts.ANSWER_JUDGE_SYSTEM, description="system text; the question is prompts.same_answer")
    sampling: SamplingSettings = Field(
        default_factory=lambda: SamplingSettings(temperature=0.0, max_tokens=2048), description="greedy by default"
    )
    n: int = Field(1, ge=1, description="replies of each model to each question; they decide only where all agree")


class VerdictReplyVerifier:
    """Reads a judge's replies about an answer: `undecided` when one verdict was read, which is then `extracted`."""

    identity = f"{JUDGE_REPLY}same answer/1"

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each reply; never `correct` or `wrong`."""
        for _, reply in pairs:
            word, why = read_opinion(reply.text, reply.finish_reason)
            if word:
                yield Verdict("undecided", word, VERDICT_READ, "judge")
            else:
                yield Verdict("truncated" if reply.finish_reason == "length" else "no_answer", reason=why, tier="judge")


def judge_answers(
    questions: Sequence[Question], settings: AnswerJudgeSettings, runner: RolloutRunner, ledger: Ledger
) -> list[Opinion]:
    """An opinion on each question, in order; questions with the same text share one.  Raises as `judge_chains`."""
    texts = [prompts.same_answer(*question) for question in questions]
    names = " + ".join(model.name for model in settings.models)
    opinions = []
    for replies in _replies(texts, settings, runner, ledger, VerdictReplyVerifier()):
        read = [_opinion(reply) for reply in replies]
        opinions.append(combine_opinions(read) if read else Opinion(names, "", "no reply"))
    return opinions


class JudgeVerifier:
    """A verifier: rules first, and a judge model decides what they leave undecided; the rules are never overruled.

    Judgements are rollouts of `runner` in `ledger`, so the same completion is judged once.  The judge reads the end of
    a completion as text between markers, and only its own reply is read for a verdict: one that states none, or
    several, leaves the completion undecided.  `collect` waits for the judgements of each group of completions.
    """

    def __init__(self, rules: Checker, settings: AnswerJudgeSettings, runner: RolloutRunner, ledger: Ledger) -> None:
        self.rules, self.settings, self.ledger = rules, settings, ledger
        self.runner = runner.companion(settings.models)
        _, prompt, sampling = next(settings.setups())
        prompt = content_hash(prompt + prompts.same_answer("problem", "answer", "extracted", "completion"))
        models = " + ".join(model.name for model in settings.models)
        self.identity = f"judge/1 {models} n={settings.n} prompt={prompt} sampling={sampling} after {rules.identity}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes of the rules."""
        self.rules.close()

    @property
    def system(self) -> str:
        """The system text of the prompt is that of the rules."""
        return self.rules.system

    def why_not(self, problem: Problem) -> str:
        """Why this problem's answer cannot be checked; a judge can compare any answer that is not empty."""
        return "" if problem.answer.strip() else "no answer"

    def same(self, answer: str, other: str) -> bool:
        """Whether the rules find two answers surely equal."""
        return self.rules.same(answer, other)

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict on one completion."""
        return next(self.verify_many([(problem, completion)]))

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each pair, in order.  Raises as `judge_chains`."""
        remaining = iter(pairs)
        while batch := list(islice(remaining, VERIFIED_TOGETHER)):
            verdicts = list(self.rules.verify_many(batch))
            questions = [
                Question(problem.problem, _full_answer(problem), verdict.extracted, completion.text)
                for (problem, completion), verdict in zip(batch, verdicts, strict=True)
            ]
            judged = [k for k, verdict in enumerate(verdicts) if can_be_judged(verdict, questions[k])]
            opinions = judge_answers([questions[k] for k in judged], self.settings, self.runner, self.ledger)
            for k, opinion in zip(judged, opinions, strict=True):
                verdicts[k] = apply_opinion(verdicts[k], opinion)
            yield from verdicts


class JudgeVerifierSettings(JudgeSettings, AnswerJudgeSettings):
    """A judge as the verifier of a recipe: `verifier: {kind: judge, rules: maths, models: [...]}`."""


RecipeVerifierSettings = Annotated[
    Annotated[
        MathsSettings | ChoiceSettings | NumericSettings | ExactSettings | PythonSettings | JudgeVerifierSettings,
        Discriminator("kind"),
    ],
    BeforeValidator(as_mapping),
]
"""The type of a recipe's field `verifier`, with the judge and its models; a string is the kind."""


def open_verifier(
    settings: str | Mapping[str, Any] | Settings, runner: RolloutRunner, ledger: Ledger, n_workers: int = 1
) -> Checker | JudgeVerifier:
    """The verifier of a recipe, a context manager; a judge's replies are rollouts of `runner` in `ledger`."""
    if isinstance(settings, JudgeVerifierSettings):
        return JudgeVerifier(Checker(settings.rules, n_workers), settings, runner, ledger)
    return Checker(settings, n_workers)


def _full_answer(problem: Problem) -> str:
    """The answer as a judge reads it: the letter of an option with the option's text."""
    position = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(problem.answer) if len(problem.answer) == 1 else -1
    options = problem.options or []
    return f"{problem.answer}. {options[position]}" if 0 <= position < len(options) else problem.answer


def _opinion(reply: Rollout) -> Opinion:
    if reply.completion.finish_reason == "error":
        return Opinion(reply.model, "", reply.completion.error or "the judge failed")
    return Opinion(reply.model, *read_opinion(reply.completion.text, reply.completion.finish_reason))


def _replies(
    texts: Sequence[str], settings: RolloutSettings, runner: RolloutRunner, ledger: Ledger, verifier: BatchVerifier
) -> list[list[Rollout]]:
    """The replies to each text, in order; those that the ledger lacks are requested."""
    problems = [Problem.make(text, "") for text in texts]
    unique = list({problem.id: problem for problem in problems}.values())
    runner.run(settings, unique, ledger, verifier, "judge")
    replies = runner.rollouts([settings], unique, ledger)
    return [replies[problem.id] for problem in problems]
