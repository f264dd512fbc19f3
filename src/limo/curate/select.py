"""Select: the best chain of each problem, the best problems of all; with controls, quotas and levels.

The paper (v2) takes each problem's best chain, ranks all of them by score and keeps the top 800.  Whether selection
did anything shows only beside its controls, so `by` also offers `random`, `longest` and `hardest` with the same
budget.  Everything is deterministic for a seed; equal keys are ordered by the hash of the chain, which favours
nobody.

    selected, dropped = select(candidates, SelectSettings(k=800))
    arms = levels(chains, grades, 500, ("L1", "L5"))

What it does not do: grade, or look at embeddings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from limo.curate.chains import chain_hash
from limo.errors import InputError
from limo.recipe import Settings
from limo.records import LEVELS, Chain, Dropped, Grade, Level, PassRate, Problem
from limo.text import content_hash

STAGE = "select"


class SelectSettings(Settings):
    """How many, by what order, and how many at most of one kind."""

    k: int = Field(800, ge=1, description="examples to select; paper v2: 800, v1: 817")
    by: Literal["score", "random", "longest", "hardest"] = Field("score", description="order; paper: score")
    per_topic: int | None = Field(None, ge=1, description="most examples of one topic; not in the paper v2")
    per_source: int | None = Field(None, ge=1, description="most examples of one source; not in the paper v2")
    seed: int = Field(0, ge=0, description="only for `random`")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A graded chain with its problem and the pass rates by which that was kept, the last being the hardest test."""

    problem: Problem
    chain: Chain
    grade: Grade
    rates: tuple[PassRate, ...] = ()


def select(
    candidates: Iterable[Candidate], settings: SelectSettings | None = None
) -> tuple[list[Candidate], list[Dropped]]:
    """At most `k` candidates of different problems in order of rank, and a reason for each other candidate."""
    settings = settings or SelectSettings()
    key = _ORDERS[settings.by](settings)
    best, dropped = _best(candidates, key)
    kept: list[Candidate] = []
    topics: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for rank, candidate in enumerate(sorted(best, key=key), start=1):
        problem = candidate.problem
        if len(kept) >= settings.k:
            reason = "below the top k"
        elif settings.per_topic is not None and topics[problem.topic] >= settings.per_topic:
            reason = "topic is full"
        elif settings.per_source is not None and sources[problem.source] >= settings.per_source:
            reason = "source is full"
        else:
            kept.append(candidate)
            topics[problem.topic] += 1
            sources[problem.source] += 1
            continue
        dropped.append(_drop(candidate, reason, rank=rank))
    return kept, dropped


def levels(
    chains: Sequence[Chain], grades: Sequence[Grade], n: int, levels: Sequence[Level] = ("L1", "L5"), seed: int = 0
) -> dict[Level, list[tuple[Chain, Grade]]]:
    """At most `n` graded chains of each level, one a problem, over the same problems where they can be.

    Problems that have a chain in all the levels come first, then those in fewer; within that, and among the chains
    of one problem and level, order is by hash, so that an arm is a fair sample of its level.
    """
    unknown = [level for level in levels if level not in LEVELS]
    if unknown:
        raise InputError("there is no such level", unknown[0], ", ".join(LEVELS), "name levels from this list")
    by_problem: dict[str, dict[Level, list[tuple[Chain, Grade]]]] = defaultdict(lambda: defaultdict(list))
    for chain, grade in zip(chains, grades, strict=True):
        if grade.level in levels:
            by_problem[chain.problem_id][grade.level].append((chain, grade))
    order = sorted(by_problem, key=lambda name: (-len(by_problem[name]), content_hash(str(seed), name)))
    arms: dict[Level, list[tuple[Chain, Grade]]] = {level: [] for level in levels}
    for name in order:
        for level, pairs in by_problem[name].items():
            if len(arms[level]) < n:
                arms[level].append(min(pairs, key=lambda pair: content_hash(str(seed), chain_hash(pair[0]))))
    return arms


def _best(candidates: Iterable[Candidate], key: Callable[[Candidate], Any]) -> tuple[list[Candidate], list[Dropped]]:
    by_problem: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_problem[candidate.problem.id].append(candidate)
    best, dropped = [], []
    for several in by_problem.values():
        first, *rest = sorted(several, key=key)
        best.append(first)
        dropped += [_drop(other, "another chain of its problem is better", n=len(several)) for other in rest]
    return best, dropped


def _by_score(_: SelectSettings) -> Callable[[Candidate], Any]:
    return lambda candidate: (-candidate.grade.score, chain_hash(candidate.chain))


def _by_random(settings: SelectSettings) -> Callable[[Candidate], Any]:
    seed = str(settings.seed)
    return lambda candidate: (content_hash(seed, candidate.problem.id), content_hash(seed, chain_hash(candidate.chain)))


def _by_length(_: SelectSettings) -> Callable[[Candidate], Any]:
    return lambda candidate: (-len(candidate.chain.text), chain_hash(candidate.chain))


def _by_difficulty(_: SelectSettings) -> Callable[[Candidate], Any]:
    def key(candidate: Candidate) -> Any:
        if not candidate.rates:
            do = "add a filter to the recipe, or select by another order"
            raise InputError("no pass rate to select the hardest by", candidate.problem.id, "a filtered pool", do)
        return (candidate.rates[-1].rate, -candidate.grade.score, chain_hash(candidate.chain))

    return key


_ORDERS: dict[str, Callable[[SelectSettings], Callable[[Candidate], Any]]] = {
    "score": _by_score,
    "random": _by_random,
    "longest": _by_length,
    "hardest": _by_difficulty,
}


def _drop(candidate: Candidate, reason: str, **detail: object) -> Dropped:
    chain, grade = candidate.chain, candidate.grade
    shared = {"teacher": chain.teacher, "chain": chain_hash(chain), "score": grade.score, "level": grade.level}
    return Dropped(chain.problem_id, STAGE, reason, shared | detail)
