"""The grade stage: grades for the chains of a file, by a scorer of texts or by a judge model.

    result = run(load(Recipe, None, ["scorer=structure"]), rows)
    rows = [rows[position] | asdict(grade) for position, grade in zip(result.positions, result.grades)]

The judge's replies are kept in a ledger: the same call again requests only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import nan
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core.errors import InputError
from limo.core.files import locked
from limo.core.progress import NoProgress, Progress
from limo.core.records import Chain, Grade
from limo.curate.audit import Agreement, Audit, agreement, audit
from limo.curate.chains import without_thought_markers
from limo.curate.grade import GradeSettings, grade
from limo.curate.scorers.registry import SCORERS
from limo.ledger.store import Ledger
from limo.models.settings import ModelSettings, open_model
from limo.rollouts import judging
from limo.rollouts.judging import ChainGraderSettings
from limo.rollouts.runner import ModelOpener
from limo.stages.rollouts import ModelStageRecipe
from limo.stages.rows import chains_from_rows, statement_of


class Recipe(ModelStageRecipe, GradeSettings):
    """How chains are graded, and the judge where `scorer` is judge."""

    judge: ChainGraderSettings | None = Field(None, description="scorer judge: its models, prompt and sampling")

    @property
    def models(self) -> list[ModelSettings]:
        """The judge's models."""
        return self.judge.models if self.judge else []


@dataclass(frozen=True, slots=True)
class GradedRows:
    """`grades` of the rows at `positions`; `missing`: why the judge gave no marks, by position of the row.

    `agreements` between each two of the three scorers, `n_requested` new replies: only where the judge graded.
    """

    positions: list[int]
    grades: list[Grade]
    missing: dict[int, str] = field(default_factory=dict)
    agreements: dict[str, Agreement] = field(default_factory=dict)
    n_requested: int = 0


def run(
    recipe: Recipe,
    rows: Sequence[dict[str, Any]],
    ledger: str | Path | None = None,
    progress: Progress | None = None,
    opener: ModelOpener = open_model,
) -> GradedRows:
    """Grade the chains of rows (see `limo.stages.rows`); levels are relative to these chains.

    `ledger` keeps the judge's replies.  Raises InputError for rows without a chain or a missing judge, and what
    rollouts raise.
    """
    chains = chains_from_rows(rows)
    if recipe.scorer != "judge":
        return GradedRows(list(range(len(rows))), grade(chains, recipe))
    if recipe.judge is None or ledger is None:
        do = "for example --recipe judge"
        raise InputError("the scorer `judge` needs a judge", "none", "`judge` with one model or more", do)
    statements = [statement_of(row, number) for number, row in enumerate(rows, 1)]
    runner = recipe.runner(progress or NoProgress(), opener)
    with locked(ledger), Ledger(ledger) as store:
        n_before = len(store)
        columns, missing = judging.grade_by_model(chains, statements, recipe.judge, runner, store)
        n_requested = len(store) - n_before
    positions = [position for position in range(len(chains)) if position not in missing]
    marked = [chains[position] for position in positions]
    agreements = scorer_agreements(marked, columns, recipe)
    return GradedRows(positions, grade(marked, recipe, columns), missing, agreements, n_requested)


@dataclass(frozen=True, slots=True)
class RowAudits:
    """The audits of both scorers of texts over the same rows; `labels`: what the rows state, a number for each row."""

    scorers: list[Audit]
    labels: dict[str, list[float]]


def audit_rows(
    rows: Sequence[dict[str, Any]], settings: GradeSettings, against: Sequence[dict[str, Any]] = ()
) -> RowAudits:
    """Audit the scorers of texts on the chains of rows; those of `against` should score lower.

    Rows may state whether a chain is correct (`verdict`, `correct`) and counts of behaviours (`label_counts`).
    """
    texts, lower = ([without_thought_markers(c.text) for c in chains_from_rows(some)] for some in (rows, against))
    labels = _labels(rows)
    each = [settings.model_copy(update={"scorer": name}) for name, scorer in SCORERS.items() if scorer.measure]
    return RowAudits([audit(texts, of_scorer, labels, lower) for of_scorer in each], labels)


def _labels(rows: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """By name, a number for each row: correctness (1 or 0), and the count of each labelled behaviour."""
    correct = [_correct(row) for row in rows]
    counts = [row.get("label_counts") for row in rows]
    names = sorted({name for count in counts if isinstance(count, dict) for name in count})
    labels = {"correct": correct} if len({value for value in correct if value == value}) > 1 else {}
    for name in names:
        labels[name] = [float(count.get(name) or 0) if isinstance(count, dict) else nan for count in counts]
    return labels


def _correct(row: dict[str, Any]) -> float:
    verdict = row.get("verdict")
    outcome = verdict.get("outcome") if isinstance(verdict, dict) else None
    if outcome in ("correct", "wrong"):
        return float(outcome == "correct")
    return float(row["correct"]) if isinstance(row.get("correct"), bool) else nan


def scorer_agreements(
    chains: Sequence[Chain], columns: dict[str, list[float]], settings: GradeSettings
) -> dict[str, Agreement]:
    """How far each two of judge, limo-v2 and structure agree, levels being fifths of these chains."""
    names, defaults = ("judge", "limo-v2", "structure"), GradeSettings(length_bins=settings.length_bins)
    grades = {name: grade(chains, defaults.model_copy(update={"scorer": name}), columns) for name in names}
    return {f"{a} and {b}": agreement(grades[a], grades[b]) for a, b in combinations(names, 2)}
