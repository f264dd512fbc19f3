"""Select: the best chain of each problem, the best problems of all; with controls, diversity, quotas and budgets.

The paper (v2) takes each problem's best chain, ranks all of them by score and keeps the top 800; `balanced` is for v1's
sampling across domains, the other orders are controls.  Deterministic for a seed; equal keys are ordered by the hash of
the chain.  A chain that was verified and is not correct is never selected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from pydantic import Field

from limo.core.errors import InputError
from limo.core.recipe import Settings
from limo.core.records import LEVELS, UNVERIFIED, Chain, Dropped, Grade, Level, PassRate, Problem
from limo.core.text import content_hash
from limo.curate.chains import chain_hash
from limo.curate.diversity import DiversePicker

STAGE = "select"
NOT_BEST = "another chain of its problem is better"
BELOW = "below the top k"
_QUOTAS = ("topic", "source", "language")  # columns that settings limit by `per_...`

Order = Literal["score", "balanced", "random", "longest", "hardest", "easiest", "full"]


class SelectSettings(Settings):
    """How many, by what order, how unlike each other, and how many at most of one kind."""

    k: int = Field(800, ge=1, description="examples to select; paper v2: 800, v1: 817")
    tokens: int | None = Field(None, ge=1, description="most tokens of all chains together; not in the paper")
    by: Order = Field("score", description="order; paper: score; `full` takes one chain of every problem")
    diversity: float = Field(0.0, ge=0, le=1, description="0: by rank alone (paper v2); 1: by unlikeness alone")
    max_likeness: float = Field(
        1.0, gt=0, le=1, description="largest cosine of two statements' TF-IDF; 1: any; v1 avoids redundancy by hand"
    )
    per_topic: int | None = Field(None, ge=1, description="most examples of one topic; not in the paper v2")
    per_source: int | None = Field(None, ge=1, description="most examples of one source; not in the paper v2")
    per_language: int | None = Field(None, ge=1, description="most examples of one language; not in the paper")
    seed: int = Field(0, ge=0, description="only for `random`")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A graded chain with its problem and the pass rates by which that was kept, the last being the hardest test."""

    problem: Problem
    chain: Chain
    grade: Grade
    rates: tuple[PassRate, ...] = ()


Split = tuple[list[Candidate], list[Dropped]]
SortKey = Callable[[Candidate], Any]


def select(candidates: Iterable[Candidate], settings: SelectSettings | None = None) -> Split:
    """At most `k` candidates of different problems in the order they were taken, and a reason for each other one.

    Raises InputError where pass rates, token counts or scikit-learn are needed and missing.
    """
    settings = settings or SelectSettings()
    correct, not_correct = _without_incorrect(candidates)
    key = _sort_key(settings)
    best, others = _best_of_problems(correct, key)
    ranked = sorted(best, key=key)
    if settings.by == "balanced":
        ranked = _topics_in_turn(ranked)
    if settings.by == "full":
        return ranked, not_correct + others
    selected, rest = _take_within_limits(ranked, settings)
    return selected, not_correct + others + rest


def why_fewer(selected: Sequence[Candidate], dropped: Sequence[Dropped], settings: SelectSettings) -> str:
    """One line that says why fewer than `k` were selected, or nothing."""
    if len(selected) >= settings.k or settings.by == "full":
        return ""
    counts = Counter(drop.reason for drop in dropped if drop.reason != NOT_BEST)
    n_problems = len({candidate.problem.id for candidate in selected} | {drop.problem_id for drop in dropped})
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in counts.most_common()) or "all that have a chain were taken"
    return f"selected {len(selected):,} of the {settings.k:,} wanted: {n_problems:,} problems came in; {reasons}"


def _take_within_limits(ranked: Sequence[Candidate], settings: SelectSettings) -> Split:
    """Take ranked candidates until `k`, within quotas, a token budget and the limit of likeness.

    Each is looked at once, since what does not fit now never fits later.
    """
    compares = settings.diversity > 0 or settings.max_likeness < 1
    picker = DiversePicker([c.problem.problem for c in ranked], settings.diversity) if compares else None
    taken: list[int] = []
    reasons: dict[int, str] = {}
    counts: Counter[tuple[str, str]] = Counter()  # of each (column, value)
    limits = {column: getattr(settings, f"per_{column}") or len(ranked) for column in _QUOTAS}
    is_open, n_tokens = np.ones(len(ranked), dtype=bool), 0
    for turn in range(len(ranked)):
        if len(taken) >= settings.k:
            break
        index = picker.best(is_open) if picker else turn
        is_open[index] = False
        candidate = ranked[index]
        values = {column: getattr(candidate.problem, column) for column in _QUOTAS}
        full = [column for column, value in values.items() if counts[column, value] >= limits[column]]
        if full:
            reasons[index] = f"{full[0]} is full"
        elif settings.tokens is not None and n_tokens + _n_tokens(candidate) > settings.tokens:
            reasons[index] = "over the budget of tokens"
        elif picker and float(picker.nearest[index]) > settings.max_likeness:
            reasons[index] = "too like one that was taken"
        else:
            taken.append(index)
            n_tokens += candidate.chain.n_tokens
            counts.update(values.items())
            if picker:
                picker.take(index)
    left = sorted(set(range(len(ranked))) - set(taken))
    dropped = [_drop(ranked[index], reasons.get(index, BELOW), rank=index + 1) for index in left]
    return [ranked[index] for index in taken], dropped


def sample_levels(
    chains: Sequence[Chain], grades: Sequence[Grade], n: int, levels: Sequence[Level] = ("L1", "L5"), seed: int = 0
) -> dict[Level, list[tuple[Chain, Grade]]]:
    """At most `n` graded chains of each level, one for each problem; problems with chains in most levels come first.

    Among equals the order is by hash, so that the sample represents its level.
    """
    unknown = [level for level in levels if level not in LEVELS]
    if unknown:
        raise InputError("there is no such level", unknown[0], known=LEVELS, do="name levels from this list")
    by_problem: dict[str, dict[Level, list[tuple[Chain, Grade]]]] = defaultdict(lambda: defaultdict(list))
    for chain, grade in zip(chains, grades, strict=True):
        if grade.level in levels:
            by_problem[chain.problem_id][grade.level].append((chain, grade))
    order = sorted(by_problem, key=lambda name: (-len(by_problem[name]), content_hash(str(seed), name)))
    samples: dict[Level, list[tuple[Chain, Grade]]] = {level: [] for level in levels}
    for name in order:
        for level, pairs in by_problem[name].items():
            if len(samples[level]) < n:
                samples[level].append(min(pairs, key=lambda pair: content_hash(str(seed), chain_hash(pair[0]))))
    return samples


def selected_rows(selected: Iterable[Candidate]) -> list[dict[str, Any]]:
    """A table row for each selected candidate, in order, by rank."""
    return [
        {"rank": rank, "chain_hash": chain_hash(c.chain), "problem_id": c.problem.id, **_graded_by(c)}
        for rank, c in enumerate(selected, 1)
    ]


def _without_incorrect(candidates: Iterable[Candidate]) -> Split:
    """Without the chains that were verified and are not correct; chains that were never verified stay."""
    kept, dropped = [], []
    for candidate in candidates:
        verdict = candidate.chain.verdict
        if verdict.outcome == "correct" or verdict.reason == UNVERIFIED:
            kept.append(candidate)
        else:
            dropped.append(_drop(candidate, "not correct", outcome=verdict.outcome))
    return kept, dropped


def _best_of_problems(candidates: Iterable[Candidate], key: SortKey) -> Split:
    best, dropped = [], []
    for of_problem in _grouped(candidates, "id"):
        first, *rest = sorted(of_problem, key=key)
        best.append(first)
        dropped += [_drop(other, NOT_BEST, n=len(of_problem)) for other in rest]
    return best, dropped


def _topics_in_turn(ranked: Sequence[Candidate]) -> list[Candidate]:
    """One of each topic in turn, each topic's best first; topics in the order of their best."""
    rounds = zip_longest(*_grouped(ranked, "topic"))
    return [candidate for turn in rounds for candidate in turn if candidate is not None]


def _grouped(candidates: Iterable[Candidate], column: str) -> list[list[Candidate]]:
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[getattr(candidate.problem, column)].append(candidate)
    return list(groups.values())


def _n_tokens(candidate: Candidate) -> int:
    if not candidate.chain.n_tokens:
        do = "give `n_tokens` with the chains, or budget by examples (k)"
        raise InputError("a budget of tokens needs their number", candidate.problem.id, "chains with n_tokens", do)
    return candidate.chain.n_tokens


def _sort_key(settings: SelectSettings) -> SortKey:
    """What candidates are sorted by, ascending."""
    seed, by = str(settings.seed), settings.by

    def key(candidate: Candidate) -> tuple[Any, ...]:
        name, score = chain_hash(candidate.chain), -candidate.grade.score
        if by == "random":
            return content_hash(seed, candidate.problem.id), content_hash(seed, name)
        if by == "longest":
            return -len(candidate.chain.text), name
        if by in ("hardest", "easiest"):
            if not candidate.rates:
                do = "add a filter to the recipe, or select by another order"
                raise InputError("no pass rate to select by difficulty", candidate.problem.id, "a filtered pool", do)
            rate = candidate.rates[-1].rate
            return rate if by == "hardest" else -rate, score, name
        return score, name

    return key


def _graded_by(candidate: Candidate) -> dict[str, object]:
    return {"teacher": candidate.chain.teacher, "score": candidate.grade.score, "level": candidate.grade.level}


def _drop(candidate: Candidate, reason: str, **detail: object) -> Dropped:
    shared = {"chain": chain_hash(candidate.chain), **_graded_by(candidate)}
    return Dropped(candidate.problem.id, STAGE, reason, shared | detail)
