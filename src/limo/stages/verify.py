"""The verify stage: verdicts for a file of rows, by rules and, where the rules leave rows undecided, by a judge model.

    result = run(load(Recipe, "verify-judge"), "rows.jsonl", "verified.jsonl")
    result.agreement.rate

The judge's replies are kept in a ledger beside the output: the same call again requests only what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from limo.core.files import locked
from limo.core.progress import NoProgress, Progress
from limo.ledger.store import Ledger
from limo.models.settings import ModelSettings, open_model
from limo.rollouts import judging
from limo.rollouts.judging import AnswerJudgeSettings
from limo.rollouts.lacking import Lack
from limo.rollouts.runner import ModelOpener
from limo.stages.rollouts import ModelStageRecipe
from limo.verify.files import USUAL, Columns, Summary
from limo.verify.judge import DECIDED, Agreement, read_questions, write_opinions


class Recipe(ModelStageRecipe):
    """The judge, and which rows it gets."""

    judge: AnswerJudgeSettings = Field(description="the judge's models, prompt and sampling")
    rows: Literal["undecided", "all"] = Field(
        "undecided", description="undecided: what the rules left open; all: every row, to see how far the two agree"
    )

    @property
    def models(self) -> list[ModelSettings]:
        """The judge's models."""
        return self.judge.models


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Verdict counts with the judge's verdicts in, the agreement of rules and judge, and what the judge was sent.

    `n_judged` rows went to the judge, `n_decided` came back decided, `n_requested` replies were new in the ledger;
    `lacks`: replies that never came; `n_ended` of the others the server itself ended, for example by a filter.
    """

    summary: Summary
    agreement: Agreement
    n_judged: int
    n_decided: int
    n_requested: int
    lacks: list[Lack]
    n_ended: int


def run(
    recipe: Recipe, rows: str | Path, ledger: str | Path, progress: Progress | None = None,
    opener: ModelOpener = open_model, retry_errors: bool = False, columns: Columns = USUAL,
) -> VerifyResult:  # fmt: skip
    """Put the judge's verdicts into `rows`, a file that `verify_file` wrote; it is whole before and after.

    With `retry_errors` replies that failed, or that the server itself ended, are requested again.
    Raises what rollouts raise: CollectionStopped at the budget, InputError, ModelError, StorageError.
    """
    questions = read_questions(str(rows), recipe.rows == "all", columns)
    runner = recipe.runner(progress or NoProgress(), opener, retry_errors)
    with locked(ledger), Ledger(ledger) as store:
        n_before = len(store)
        opinions = judging.judge_answers(list(questions.values()), recipe.judge, runner, store)
        n_requested = len(store) - n_before
    summary, agreement = write_opinions(str(rows), dict(zip(questions, opinions, strict=True)))
    n_decided = sum(opinion.verdict in DECIDED for opinion in opinions)
    return VerifyResult(summary, agreement, len(opinions), n_decided, n_requested, runner.lacks, runner.n_ended)
