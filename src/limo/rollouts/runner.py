"""RolloutSettings several models as one: their rollouts count together, and what is decided is not asked of the next.

A filter is an asking with a band, a teacher one without.  Only one model is open at a time, and the last one stays
open, since neighbouring stages often share it.

    runner = RolloutRunner(open_model, data="", progress=progress)
    rates = runner.run(asking, problems, ledger, checker, "strong filter", Band(1, 3, 32))
    by_problem = runner.rollouts([asking], problems, ledger)

What it does not do: keep or drop problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pydantic import Field, field_validator

from limo.core import prompts
from limo.core.progress import Progress
from limo.core.recipe import Settings
from limo.core.records import PassRate, Problem, Rollout
from limo.core.text import hide_keys
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.models.settings import ModelSettings, SamplingSettings
from limo.rollouts.budget import Budget, Meter, Price
from limo.rollouts.collect import BatchVerifier, collect
from limo.rollouts.stopping import Band, Decision, decide

ModelOpener = Callable[[ModelSettings, str], Completer]


class RolloutSettings(Settings):
    """Who is asked, how and how often."""

    models: list[ModelSettings] = Field(min_length=1, description="the models; each is asked `n` times a problem")
    system: str = Field(prompts.SYSTEM, description="system text; the default is the paper's")
    sampling: SamplingSettings = Field(default_factory=SamplingSettings, description="how completions are drawn")
    n: int = Field(ge=1, description="rollouts of each model a problem")

    @field_validator("system")
    @classmethod
    def _holds_no_key(cls, value: str) -> str:
        if hide_keys(value) != value:
            raise ValueError("this holds what looks like a key, and it would be stored and sent: take it out")
        return value

    @property
    def n_in_all(self) -> int:
        """Rollouts a problem, of all models together."""
        return self.n * len(self.models)


class RolloutRunner:
    """Where models are opened and asked; `opener` makes a completer of a model's settings and the `data` folder.

    `budget` is over all that a ledger holds, `prices` are by the models' names.
    """

    def __init__(
        self,
        opener: ModelOpener,
        data: str,
        progress: Progress,
        budget: Budget | None = None,
        prices: dict[str, Price] | None = None,
    ) -> None:
        self.opener, self.data, self.progress = opener, data, progress
        self.budget, self.prices = budget or Budget(), prices or {}
        self._opened: tuple[ModelSettings, Completer] | None = None

    def run(
        self,
        asking: RolloutSettings,
        problems: list[Problem],
        ledger: Ledger,
        checker: BatchVerifier,
        stage: str,
        band: Band | None = None,
        max_error: float = 0.0,
    ) -> dict[str, PassRate]:
        """The pass rates over all models; `band` is over the rollouts of all, and ends asking where it is decided.

        With several models each is asked all its `n` before the next one begins.  `max_error` is for one model alone.
        """
        name = " + ".join(model.name for model in asking.models)
        total = {problem.id: PassRate(name, asking.n_in_all, 0, 0) for problem in problems}
        sampling = asking.sampling.sampling()
        meter = Meter(self.budget, self.prices, ledger)
        left = problems
        for model in asking.models if problems else ():
            completer = self._completer(model)
            self.progress.log(f"{stage}: {completer.name}, {len(left):,} problems, up to {asking.n} rollouts each")
            alone = band if len(asking.models) == 1 else None
            rates = collect(
                ledger, completer, left, asking.system, sampling, asking.n, alone, checker, self.progress,
                max_error=max_error if alone else 0.0, meter=meter,
            )  # fmt: skip
            total |= {problem.id: _sum(total[problem.id], rates[problem.id]) for problem in left}
            left = [problem for problem in left if band is None or _decision(band, total[problem.id]) is None]
        if band is not None and problems:
            self._say_saving(asking, problems, ledger, stage)
            if len(asking.models) > 1:
                total = {name: replace(rate, decision=_decision(band, rate) or "") for name, rate in total.items()}
        return total

    def _say_saving(self, asking: RolloutSettings, problems: list[Problem], ledger: Ledger, stage: str) -> None:
        """What stopping early has saved: rollouts asked for against the whole plan."""
        ids, planned = {problem.id for problem in problems}, len(problems) * asking.n_in_all
        where = (prompts.prompt_hash(asking.system), asking.sampling.sampling().hash)
        facts = [fact for model in asking.models for fact in ledger.outcomes(model.name, *where)]
        n_asked = sum(problem_id in ids and index < asking.n for problem_id, index, *_ in facts)
        self.progress.log(f"{stage}: {n_asked:,} rollouts instead of {planned:,}, {1 - n_asked / planned:.1%} saved")

    def rollouts(
        self, askings: Iterable[RolloutSettings], problems: list[Problem], ledger: Ledger
    ) -> dict[str, list[Rollout]]:
        """By problem, the rollouts of `askings` in their order, each once; what others left in the ledger stays out."""
        found: dict[str, dict[object, Rollout]] = {problem.id: {} for problem in problems}
        for asking in askings:
            where = (prompts.prompt_hash(asking.system), asking.sampling.sampling().hash)
            for model in asking.models:
                for rollout in ledger.rollouts(model.name, *where):
                    if rollout.problem_id in found and rollout.index < asking.n:
                        found[rollout.problem_id].setdefault(rollout.key, rollout)
        return {name: list(rollouts.values()) for name, rollouts in found.items()}

    def _completer(self, model: ModelSettings) -> Completer:
        if self._opened is None or self._opened[0] != model:
            self._opened = None  # let the former go before the next takes its memory
            self._opened = (model, self.opener(model, self.data))
        return self._opened[1]


def _sum(before: PassRate, new: PassRate) -> PassRate:
    counts = (before.n_decided + new.n_decided, before.n_correct + new.n_correct)
    return PassRate(before.model, before.n, *counts, new.decision, new.risk)


def _decision(band: Band, rate: PassRate) -> Decision | None:
    return decide(band, rate.n_correct, rate.n_decided - rate.n_correct)
