"""`RolloutRunner`: rollouts of several models in turn; what one model decided is not requested of the next.

The rollouts of several models count together.  Only one model is open at a time, and the last one stays open, since
neighbouring stages often share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from pydantic import Field, field_validator

from limo.core import prompts
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import OTHER, PassRate, Problem, Rollout
from limo.core.text import hide_keys, short_names
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.models.settings import ModelSettings, Price, SamplingSettings
from limo.rollouts.budget import Budget, BudgetMeter
from limo.rollouts.collect import BatchVerifier, CollectionStopped, collect_rollouts
from limo.rollouts.lacking import Lack, commonest_error, failed_requests, nothing_decided, retry_options

JUDGE_REPLY = "judge reply: "
"""Begins the identity of `judging.JudgeReplyVerifier`: verdicts on a judge's reply, never on a pool's problem."""
ModelOpener = Callable[[ModelSettings, str], Completer]


class RolloutSettings(Settings):
    """Which models give rollouts, how they are sampled and how many a problem."""

    models: list[ModelSettings] = Field(min_length=1, description="the models; each gives `n` rollouts a problem")
    system: str = Field(prompts.SYSTEM, description="system text; the default is the paper's")
    sampling: SamplingSettings = Field(default_factory=SamplingSettings, description="how completions are drawn")
    n: int = Field(ge=1, le=10_000, description="rollouts of each model a problem")

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: list[ModelSettings]) -> list[ModelSettings]:
        names = [model.name for model in models]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the model {twice[0]} is named twice, and would count twice: name each once")
        return models

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

    def ledger_keys(self) -> Iterator[tuple[str, str, str]]:
        """(model, prompt hash, sampling hash) of each model, as the ledger names its rollouts."""
        for model in self.models:
            yield model.name, prompts.prompt_hash(self.system), self.sampling.sampling().hash


class RolloutRunner:
    """Opens models and runs them; `opener` makes a completer of a model's settings and the `data` folder.

    `budget` is over all that a ledger holds, `prices` are by the models' names; `retry_errors`: see `collect_rollouts`.
    """

    def __init__(
        self, opener: ModelOpener, data: str, progress: Progress, budget: Budget | None = None,
        prices: dict[str, Price] | None = None, retry_errors: bool = False,
    ) -> None:  # fmt: skip
        self.opener, self.data, self.progress, self.retry_errors = opener, data, progress, retry_errors
        self.budget, self.prices = budget or Budget(), dict(prices or {})
        self.lacks: list[Lack] = []  # of all calls of `run`
        self.n_ended = 0  # replies that the server itself ended, of all calls of `run`
        self._opened: tuple[ModelSettings, Completer] | None = None
        self._meters: dict[Ledger, BudgetMeter] = {}
        self._may_get_nothing = False  # a judge of a few completions, which are stored undecided then

    def companion(self, models: Iterable[ModelSettings]) -> RolloutRunner:
        """A silent runner that keeps a model open beside this one's; the two share the budget of each ledger."""
        self.prices |= {model.name: model.price for model in models}
        other = RolloutRunner(self.opener, self.data, NoProgress(), self.budget, self.prices, self.retry_errors)
        other._meters, other._may_get_nothing = self._meters, True
        return other

    def run(
        self, settings: RolloutSettings, problems: list[Problem], ledger: Ledger, verifier: BatchVerifier, stage: str,
        band: PassRateBand | None = None,
    ) -> dict[str, PassRate]:  # fmt: skip
        """The pass rates over all models by problem id; `band` is over their rollouts together.

        With several models each gives all its `n` rollouts before the next one begins.  Raises as `collect_rollouts`.
        """
        names = " + ".join(model.name for model in settings.models)
        rates = {problem.id: PassRate(names, settings.n_in_all, 0, 0) for problem in problems}
        if ledger not in self._meters:
            self._meters[ledger] = BudgetMeter(self.budget, self.prices, ledger)
        undecided, retries_errors = problems, True
        shown = short_names([model.name for model in settings.models])
        for model in settings.models if problems else ():
            completer = self._completer(model)
            retries_errors &= completer.capabilities.retries_errors
            n_problems = f"{len(undecided):,} problems"
            self.progress.log(f"{stage}: {shown[model.name]}, {n_problems}, up to {settings.n} rollouts each")
            model_rates = collect_rollouts(
                ledger, completer, undecided, verifier, settings.system, settings.sampling.sampling(), settings.n,
                band if len(settings.models) == 1 else None, self.progress, self.retry_errors,
                self._meters[ledger],
            )  # fmt: skip
            for problem_id, more in model_rates.items():
                rate = rates[problem_id]
                n_decided, n_correct = rate.n_decided + more.n_decided, rate.n_correct + more.n_correct
                decision = band.decide(n_correct, n_decided - n_correct) or "" if band else ""
                rates[problem_id] = replace(rate, n_decided=n_decided, n_correct=n_correct, decision=decision)
            undecided = [problem for problem in undecided if not rates[problem.id].decision]
        is_alone = len(settings.models) == 1  # else each model gives all its rollouts, whatever the band says
        settled = {name for name, rate in rates.items() if is_alone and rate.decision and rate.n_decided}
        self._check(settings, problems, ledger, stage, retries_errors, settled)
        if band is not None and problems:
            self._log_savings(settings, problems, ledger, stage)
        return rates

    def _check(
        self, settings: RolloutSettings, problems: list[Problem], ledger: Ledger, stage: str, retries_errors: bool,
        settled: set[str],
    ) -> None:  # fmt: skip
        """Warn of requests that failed for good, and note them but for `settled` problems: no start repeats those.

        Raises CollectionStopped where nothing is decided.
        """
        ids = {problem.id: None for problem in problems}
        stored = [outcome for ledger_key in settings.ledger_keys() for outcome in ledger.outcomes(*ledger_key, ids)]
        is_failed = any(one.finish_reason == "error" for one in stored)
        is_undecided = all(
            one.finish_reason == "error" or (one.outcome == "undecided" and not one.verifier.startswith(JUDGE_REPLY))
            for one in stored
        )
        is_ended = any(one.finish_reason == OTHER for one in stored)
        if self._may_get_nothing or not (is_failed or is_undecided or is_ended):
            return
        rollouts = [one for of in self.rollouts([settings], problems, ledger).values() for one in of]
        needed = [rollout for rollout in rollouts if rollout.problem_id not in settled]
        n_ended, why = commonest_error(needed, OTHER)
        if n_ended:
            self.n_ended += n_ended
            what = f"{n_ended:,} replies that the server itself ended (--retry-errors requests them again)"
            self.progress.log(f"warning: {stage} has {what}: {why}")
        if is_undecided and (why := nothing_decided(rollouts)):
            stopped = CollectionStopped(why, list(ids), len(problems), "mend the server, the verifier or the recipe")
            stopped.options = retry_options(rollouts, retries_errors)
            raise stopped
        if lack := failed_requests(stage, needed, retries_errors):
            self.lacks.append(lack)
            self.progress.log(f"warning: {lack.sentence}: {lack.why}")

    def _log_savings(self, settings: RolloutSettings, problems: list[Problem], ledger: Ledger, stage: str) -> None:
        """Log how many rollouts early stopping left out of the whole plan."""
        n_rollouts, n_planned = n_stored(settings, problems, ledger), len(problems) * settings.n_in_all
        share = f"{1 - n_rollouts / n_planned:.1%}"
        self.progress.log(f"{stage}: {n_rollouts:,} rollouts of at most {n_planned:,}, {share} saved")

    def rollouts(
        self, rollout_settings: Iterable[RolloutSettings], problems: list[Problem], ledger: Ledger
    ) -> dict[str, list[Rollout]]:
        """By problem id, the rollouts of `rollout_settings` in their order, each once; no others of the ledger."""
        by_problem: dict[str, dict[object, Rollout]] = {problem.id: {} for problem in problems}
        for settings in rollout_settings:
            for ledger_key in settings.ledger_keys():
                for rollout in ledger.rollouts(*ledger_key, by_problem):
                    if rollout.index < settings.n:
                        by_problem[rollout.problem_id].setdefault(rollout.key, rollout)
        return {problem_id: list(rollouts.values()) for problem_id, rollouts in by_problem.items()}

    def _completer(self, model: ModelSettings) -> Completer:
        if self._opened is None or self._opened[0] != model:
            self._opened = None  # the previous model's memory is freed before the next one is opened
            self._opened = (model, self.opener(model, self.data))
        return self._opened[1]


def n_stored(settings: RolloutSettings, problems: Iterable[Problem], ledger: Ledger) -> int:
    """How many of the rollouts that the settings ask for the ledger holds, undecided ones too."""
    ids = {problem.id: None for problem in problems}
    stored = (outcome for ledger_key in settings.ledger_keys() for outcome in ledger.outcomes(*ledger_key, ids))
    return sum(outcome.index < settings.n for outcome in stored)
