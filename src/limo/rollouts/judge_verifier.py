"""The verifier with a judge model behind its rules, and the verifier of any kind that a recipe names.

with open_recipe_verifier(recipe.verifier, runner, ledger) as verifier:
    verifier.verify(problem, completion).tier      # "judge: Qwen2.5-32B" where the judge decided
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator

from limo.core import prompts
from limo.core.closing import Closing
from limo.core.recipe import Settings
from limo.core.records import Completion, Problem, Verdict
from limo.core.text import content_hash
from limo.ledger.store import Ledger
from limo.rollouts.collect import VERIFIED_TOGETHER
from limo.rollouts.judging import AnswerJudgeSettings, judge_answers
from limo.rollouts.runner import RolloutRunner
from limo.verify.checker import Checker
from limo.verify.judge import JudgeQuestion, apply_opinion, can_be_judged
from limo.verify.verifier import (
    ChoiceSettings,
    ExactSettings,
    JudgeSettings,
    MathsSettings,
    NumericSettings,
    PythonSettings,
    as_mapping,
)


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


class JudgeVerifier(Closing):
    """A verifier: rules first, and a judge model decides what they leave undecided; the rules are never overruled.

    Judgements are rollouts of `runner` in `ledger`, so the same completion is judged once.  The judge reads the end of
    a completion as text between markers, and only its own reply is read for a verdict: one that states none, or
    several, leaves the completion undecided.
    """

    def __init__(self, rules: Checker, settings: AnswerJudgeSettings, runner: RolloutRunner, ledger: Ledger) -> None:
        self.rules, self.settings, self.ledger = rules, settings, ledger
        self.runner = runner.companion(settings.models)
        _, prompt, sampling = next(settings.ledger_keys())
        prompt = content_hash(prompt + prompts.same_answer("problem", "answer", "extracted", "completion"))
        models = " + ".join(model.name for model in settings.models)
        self.identity = f"judge/1 {models} n={settings.n} prompt={prompt} sampling={sampling} after {rules.identity}"

    def close(self) -> None:
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
        """A verdict for each pair, in order.  Raises CollectionStopped at a budget, InputError, ModelError."""
        remaining = iter(pairs)
        while batch := list(islice(remaining, VERIFIED_TOGETHER)):
            verdicts = list(self.rules.verify_many(batch))
            questions = [
                JudgeQuestion(problem.problem, full_answer(problem), verdict.extracted, completion.text)
                for (problem, completion), verdict in zip(batch, verdicts, strict=True)
            ]
            judged = [k for k, verdict in enumerate(verdicts) if can_be_judged(verdict, questions[k])]
            opinions = judge_answers([questions[k] for k in judged], self.settings, self.runner, self.ledger)
            for k, opinion in zip(judged, opinions, strict=True):
                verdicts[k] = apply_opinion(verdicts[k], opinion)
            yield from verdicts


def open_recipe_verifier(
    settings: str | Mapping[str, Any] | Settings, runner: RolloutRunner, ledger: Ledger, n_workers: int = 1
) -> Checker | JudgeVerifier:
    """The verifier of a recipe, a context manager; a judge's replies are rollouts of `runner` in `ledger`."""
    if isinstance(settings, JudgeVerifierSettings):
        return JudgeVerifier(Checker(settings.rules, n_workers), settings, runner, ledger)
    return Checker(settings, n_workers)


def full_answer(problem: Problem) -> str:
    """The answer as a judge reads it: the letter of an option with the option's text."""
    position = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(problem.answer) if len(problem.answer) == 1 else -1
    options = problem.options or []
    return f"{problem.answer}. {options[position]}" if 0 <= position < len(options) else problem.answer
