"""Difficulty from pass rates, and hard told apart from broken.

A problem stays when the number of correct rollouts of one model lies in a band.  The paper (v2) uses two: 0 of 4 for
a weak model, then 1 to 3 of 32 for a strong one.  Counts are kept, never a yes or no, because the band is noisy: a
problem that a model solves 1% of the time lands in 1..3 of 32 by luck in 28 of 100 cases.

A very low pass rate often means a wrong key.  Where rollouts of several models agree on one other answer the problem
is `suspect`, with that answer as evidence, whatever its band.

    kept, dropped = apply_band(problems, rates, 1, 3, "strong_filter")
    evidence = suspects(problems, rollouts, same=checker.same)

What it does not do: ask a model (rollouts does), decide when to stop asking (rollouts.stopping does), or know when two
answers are equal (verify does, and is handed in).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from pydantic import Field

from limo.core.recipe import Settings
from limo.core.records import Dropped, PassRate, Problem, Rollout


class SuspectSettings(Settings):
    """When agreement on another answer makes a key suspect.

    Our own choice throughout; `bench/suspects.py` shows what each costs on recorded rollouts with planted wrong keys.
    """

    share: float = Field(0.8, gt=0, le=1, description="least share of answered rollouts that agree; not in the paper")
    n_models: int = Field(2, ge=1, description="fewest models among those that agree; not in the paper")
    n_agreed: int = Field(3, ge=2, description="fewest rollouts that agree; not in the paper")
    over_correct: float = Field(
        5.0, ge=1, description="fewest agreeing rollouts for each that reached the key, which speaks for it"
    )


def apply_band(
    problems: Iterable[Problem], rates: Mapping[str, PassRate], low: int, high: int, stage: str
) -> tuple[list[Problem], list[Dropped]]:
    """Keep the problems with `low` to `high` correct rollouts of the rates' n.

    Rollouts without a decision could be either: a problem whose place in the band hangs on them is dropped as
    `undecided`.  Sampling that stopped early is fine: what was not requested could not have changed the outcome.
    """
    kept, dropped = [], []
    for problem in problems:
        rate = rates.get(problem.id)
        reason = _outside(rate, low, high)
        if reason:
            detail: dict[str, object] = {"low": low, "high": high}
            dropped.append(Dropped(problem.id, stage, reason, detail | (asdict(rate) if rate else {})))
        else:
            kept.append(problem)
    return kept, dropped


def _outside(rate: PassRate | None, low: int, high: int) -> str:
    """Why a rate is not in the band, or nothing."""
    if rate is None:
        return "undecided"
    most = rate.n_correct + rate.n - rate.n_decided  # were all that is open correct
    if rate.n_correct > high:
        return "solved too often"
    if most < low:
        return "solved too rarely"
    return "undecided" if most > high or rate.n_correct < low else ""


def probability_in_band(rate: PassRate, low: int, high: int) -> float:
    """The probability that a problem's true pass rate lies in the band of `low` to `high` of the rate's n.

    The band of true rates reaches half a rollout beyond its ends, and the rate is given Jeffreys' prior, a Beta of one
    half and one half.  Sampling that stopped early changes nothing, since only decided rollouts count.
    """
    from scipy.special import betainc

    a, b = rate.n_correct + 0.5, rate.n_decided - rate.n_correct + 0.5
    below = 0.0 if low == 0 else betainc(a, b, (low - 0.5) / rate.n)
    return float((1.0 if high >= rate.n else betainc(a, b, (high + 0.5) / rate.n)) - below)


def suspects(
    problems: Iterable[Problem],
    rollouts: Mapping[str, Sequence[Rollout]],
    settings: SuspectSettings | None = None,
    same: Callable[[str, str], bool] | None = None,
) -> dict[str, dict[str, object]]:
    """The problems whose rollouts agree on another answer than the key, each with the evidence.

    `same` tells whether two answers are equal, so that 1/2 agrees with 0.5; without it they must be spelt alike.
    Truncated and undecided rollouts say nothing.  A rollout that reached the key speaks for it: hardly any reaches a
    wrong key by chance, so the agreeing ones must outnumber such rollouts many times.
    """
    settings, same = settings or SuspectSettings(), same or (lambda one, other: False)
    found = {}
    for problem in problems:
        evidence = _agreement(problem, rollouts.get(problem.id, ()), settings, same)
        if evidence:
            found[problem.id] = evidence
    return found


def _agreement(
    problem: Problem, rollouts: Sequence[Rollout], settings: SuspectSettings, same: Callable[[str, str], bool]
) -> dict[str, object]:
    n_correct = sum(r.verdict is not None and r.verdict.outcome == "correct" for r in rollouts)
    models: dict[str, list[str]] = defaultdict(list)  # by answer, a name for each rollout
    for rollout in rollouts:
        if rollout.verdict is not None and rollout.verdict.outcome == "wrong" and rollout.verdict.extracted:
            models["".join(rollout.verdict.extracted.split())].append(rollout.model)
    n_answered = n_correct + sum(map(len, models.values()))
    least = max(settings.n_agreed, settings.share * n_answered, settings.over_correct * n_correct)
    agreed = _largest({answer: len(names) for answer, names in models.items()}, least, same)
    names = sorted({name for answer in agreed for name in models[answer]})
    if len(names) < settings.n_models or not agreed:
        return {}
    counts = {"n_agreed": sum(len(models[answer]) for answer in agreed), "n_answered": n_answered}
    return {"key": problem.answer, "agreed": agreed[0], "models": names, **counts, "n_correct": n_correct}


def _largest(counts: Mapping[str, int], least: float, same: Callable[[str, str], bool]) -> list[str]:
    """The answers, most frequent first, of the largest group of equal ones that `least` rollouts or more gave."""
    left = sorted(counts, key=lambda answer: (-counts[answer], answer))
    best: list[str] = []
    while left and sum(counts[answer] for answer in left) >= least:  # else no comparison can still find enough
        group = [answer for answer in left if answer == left[0] or same(left[0], answer)]
        left = [answer for answer in left if answer not in group]
        n = sum(counts[answer] for answer in group)
        if n >= least and n > sum(counts[answer] for answer in best):
            best = group
    return best
