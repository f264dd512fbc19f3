"""Difficulty from pass rates, and hard problems told from those with a wrong key.

A problem stays when the number of correct rollouts of one model lies in a band.  The paper (v2) uses two: 0 of 4 for a
weak model, then 1 to 3 of 32 for a strong one.  Counts are kept, since the band is noisy: a problem that a model solves
1% of the time lands in 1..3 of 32 in 28 of 100 cases.  Where rollouts of several models agree on one other answer the
problem is `suspect`, with that answer as evidence, whatever its band.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import Field

from limo.core.pass_rate_band import PassRateBand
from limo.core.recipe import Settings
from limo.core.records import Dropped, PassRate, Problem, Rollout
from limo.core.stats import beta_cdf, wilson

TOO_EASY, TOO_HARD = "too easy", "too hard"  # correct rollouts above the band, below it


class SuspectSettings(Settings):
    """When agreement on another answer makes a key suspect: our own choices, measured by bench/suspects.py."""

    share: float = Field(0.8, gt=0, le=1, description="least share of answered rollouts that agree; not in the paper")
    n_models: int = Field(2, ge=1, description="fewest models among those that agree; not in the paper")
    n_agreed: int = Field(3, ge=2, description="fewest rollouts that agree; not in the paper")
    over_correct: float = Field(
        5.0, ge=1, description="fewest agreeing rollouts for each that reached the key, which speaks for it"
    )


def apply_band(
    problems: Iterable[Problem], rates: Mapping[str, PassRate], band: PassRateBand, stage: str
) -> tuple[list[Problem], list[Dropped]]:
    """Keep the problems whose number of correct rollouts lies in the band; `undecided` where open ones decide."""
    kept, dropped = [], []
    for problem in problems:
        rate = rates.get(problem.id)
        decision = band.decide(rate.n_correct, rate.n_wrong) if rate else None
        if decision == "keep":
            kept.append(problem)
            continue
        detail: dict[str, object] = {"low": band.low, "high": band.high, **(_counts(rate) if rate else {})}
        reason = "undecided"
        if decision == "drop" and rate:
            reason = TOO_EASY if rate.n_correct > band.high else TOO_HARD
        dropped.append(Dropped(problem.id, stage, reason, detail))
    return kept, dropped


def probability_in_band(rate: PassRate, band: PassRateBand) -> float:
    """The probability that a problem's true pass rate lies in the band, widened by half a rollout at each end.

    The prior of the rate is Jeffreys', Beta(1/2, 1/2).  Early stopping changes nothing: only decided rollouts count.
    """
    a, b = rate.n_correct + 0.5, rate.n_wrong + 0.5
    below = 0.0 if band.low == 0 else beta_cdf(a, b, (band.low - 0.5) / band.n)
    return (1.0 if band.high >= band.n else beta_cdf(a, b, (band.high + 0.5) / band.n)) - below


def rate_columns(rate: PassRate, band: PassRateBand) -> dict[str, Any]:
    """A pass rate as columns: its counts, its 95% interval, and the probability that the true rate is in the band."""
    return _counts(rate) | rate_interval(rate) | {"probability_in_band": probability_in_band(rate, band)}


def rate_interval(rate: PassRate) -> dict[str, float]:
    """A pass rate with its 95% interval, as columns."""
    low, high = wilson(rate.n_correct, rate.n_decided)
    return {"rate": rate.rate, "rate_low": low, "rate_high": high}


def _counts(rate: PassRate) -> dict[str, Any]:
    """A pass rate for the table of its stage."""
    return {name: value for name, value in asdict(rate).items() if name != "stage"}


def pass_rate_of(row: Mapping[str, Any], stage: str) -> PassRate:
    """The pass rate in a row of the table of `stage`."""
    return PassRate(row["model"], row["n"], row["n_decided"], row["n_correct"], stage=stage)


def find_suspects(
    problems: Iterable[Problem],
    rollouts: Mapping[str, Sequence[Rollout]],
    settings: SuspectSettings | None = None,
    same: Callable[[str, str], bool] | None = None,
) -> dict[str, dict[str, object]]:
    """The problems whose rollouts (by problem) agree on another answer than the key, by id, each with the evidence.

    `same` says whether two answers are equal (default: spelt alike).  Truncated and undecided rollouts do not count.
    Hardly any rollout reaches a wrong key by chance, so the agreeing ones must outnumber those that reached it.
    """
    settings, same = settings or SuspectSettings(), same or (lambda a, b: False)
    all_evidence = (
        (problem.id, _evidence(problem, rollouts.get(problem.id, ()), settings, same)) for problem in problems
    )
    return {problem_id: evidence for problem_id, evidence in all_evidence if evidence}


def _evidence(
    problem: Problem, rollouts: Sequence[Rollout], settings: SuspectSettings, same: Callable[[str, str], bool]
) -> dict[str, object]:
    """The agreement on another answer, or nothing where it is too weak."""
    n_correct = sum(rollout.outcome == "correct" for rollout in rollouts)
    models_by_answer: dict[str, list[str]] = defaultdict(list)  # a name for each rollout
    for rollout in rollouts:
        if rollout.verdict is not None and rollout.verdict.outcome == "wrong" and rollout.verdict.extracted:
            models_by_answer["".join(rollout.verdict.extracted.split())].append(rollout.model)
    n_answered = n_correct + sum(map(len, models_by_answer.values()))
    least = max(settings.n_agreed, settings.share * n_answered, settings.over_correct * n_correct)
    agreed = _largest_group({answer: len(models) for answer, models in models_by_answer.items()}, least, same)
    models = sorted({model for answer in agreed for model in models_by_answer[answer]})
    if len(models) < settings.n_models or not agreed:
        return {}
    counts = {"n_agreed": sum(len(models_by_answer[answer]) for answer in agreed), "n_answered": n_answered}
    return {"key": problem.answer, "agreed": agreed[0], "models": models, **counts, "n_correct": n_correct}


def _largest_group(counts: Mapping[str, int], least: float, same: Callable[[str, str], bool]) -> list[str]:
    """The answers, most frequent first, of the largest group of equal ones that `least` rollouts or more gave."""
    remaining = sorted(counts, key=lambda answer: (-counts[answer], answer))
    best: list[str] = []
    while remaining and sum(counts[answer] for answer in remaining) >= least:  # else no comparison can find enough
        group = [answer for answer in remaining if answer == remaining[0] or same(remaining[0], answer)]
        remaining = [answer for answer in remaining if answer not in group]
        n = sum(counts[answer] for answer in group)
        if n >= least and n > sum(counts[answer] for answer in best):
            best = group
    return best
