"""Simple, Complex, Advanced: problems in three strata of difficulty, for measuring the effect of difficulty (RQ2).

The paper takes them by source (MATH, olympiads, past AIME), 500 each.  A pool may instead state a difficulty with each
problem, or have been measured by pass rates.  A problem without a source, difficulty or pass rate to go by is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from pydantic import Field, model_validator

from limo.core.recipe import Settings
from limo.core.records import PassRate, Problem
from limo.core.text import content_hash

Stratum = Literal["Simple", "Complex", "Advanced"]
STRATA: tuple[Stratum, ...] = get_args(Stratum)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class StrataSettings(Settings):
    """What the strata go by.  The paper names sources; the cuts of the other two ways are our own choice."""

    by: Literal["source", "stated", "pass_rate"] = Field("source", description="paper: source")
    simple: list[str] = Field(default_factory=list, description="source: names in Simple; paper: MATH, levels 1 to 3")
    complex: list[str] = Field(default_factory=list, description="source: names in Complex; paper: olympiads")
    advanced: list[str] = Field(default_factory=list, description="source: names in Advanced; paper: past AIME")
    cuts: tuple[float, float] | None = Field(
        None, description="stated: Simple to the first, Complex below the second (3 and 5); pass_rate: Simple from the "
        "first, Complex from the second (0.7 and 0.3)"
    )  # fmt: skip
    n: int | None = Field(500, ge=1, description="problems of each stratum, drawn by hash; paper: 500")
    seed: int = Field(0, ge=0, description="of the draw")

    @model_validator(mode="after")
    def _is_consistent(self) -> StrataSettings:
        names = [*self.simple, *self.complex, *self.advanced]
        if self.by == "source" and (not names or len(set(names)) < len(names)):
            raise ValueError("name the sources of the strata, each once, in `simple`, `complex` and `advanced`")
        if self.by == "pass_rate" and not 1 >= self.bounds[0] > self.bounds[1] >= 0:
            raise ValueError("by pass rate `cuts` fall within 0..1, for example [0.7, 0.3]")
        if self.by == "stated" and not self.bounds[0] < self.bounds[1]:
            raise ValueError("by stated difficulty `cuts` rise, for example [3, 5]")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The cuts, or those of `by` where none are given."""
        return self.cuts or ((0.7, 0.3) if self.by == "pass_rate" else (3.0, 5.0))


def stratify(
    problems: Iterable[Problem], settings: StrataSettings, rates: Mapping[str, PassRate] | None = None
) -> dict[Stratum, list[Problem]]:
    """The problems of each stratum in the order of their draw, at most `n` each; all three keys are there."""
    strata: dict[Stratum, list[Problem]] = {name: [] for name in STRATA}
    for problem in sorted(problems, key=lambda problem: content_hash(str(settings.seed), problem.id)):
        if name := stratum_of(problem, settings, (rates or {}).get(problem.id)):
            strata[name].append(problem)
    return {name: members[: settings.n] for name, members in strata.items()}


def stratum_of(problem: Problem, settings: StrataSettings, rate: PassRate | None = None) -> Stratum | None:
    """The stratum of one problem; None where its source, difficulty or pass rate is unknown."""
    if settings.by == "source":
        sources = {"Simple": settings.simple, "Complex": settings.complex, "Advanced": settings.advanced}
        return next((name for name in STRATA if problem.source in sources[name]), None)
    if settings.by == "pass_rate":
        return STRATA[sum(rate.rate < cut for cut in settings.bounds)] if rate and rate.n_decided else None
    value = stated_difficulty(problem)
    return None if value is None else STRATA[(value > settings.bounds[0]) + (value >= settings.bounds[1])]


def stated_difficulty(problem: Problem) -> float | None:
    """The difficulty that a problem's source states (`difficulty` or `level`, also as "Level 5")."""
    numbers = (_NUMBER.search(str(problem.meta.get(name, ""))) for name in ("difficulty", "level"))
    return next((float(number.group()) for number in numbers if number), None)
