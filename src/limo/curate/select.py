"""Select: the best chain of each problem, the best problems of all; with controls, diversity, quotas and budgets.

The paper (v2) takes each problem's best chain, ranks all of them by score and keeps the top 800.  Whether selection
did anything shows only beside its controls, so `by` also offers `random`, `longest`, `hardest` and `easiest` with the
same budget, and `full` with none.  `balanced` is for v1's sampling across domains: the topics take turns, each with
its best.  `diversity` trades rank against unlikeness of the statements, `max_likeness` keeps near repetitions out.

Everything is deterministic for a seed; equal keys are ordered by the hash of the chain, which favours nobody.  A chain
that was verified and is not correct is never selected, whatever the order.

    selected, dropped = select(candidates, SelectSettings(k=800))
    print(shortfall(selected, dropped, SelectSettings(k=800)))
    arms = levels(chains, grades, 500, ("L1", "L5"))

What it does not do: grade, or look at embeddings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from pydantic import Field

from limo.core.errors import InputError
from limo.core.recipe import Settings
from limo.core.records import LEVELS, UNVERIFIED, Chain, Dropped, Grade, Level, PassRate, Problem
from limo.core.text import content_hash
from limo.curate.chains import chain_hash
from limo.curate.diverse import Spread

STAGE = "select"
ANOTHER = "another chain of its problem is better"


Order = Literal["score", "balanced", "random", "longest", "hardest", "easiest", "full"]


class SelectSettings(Settings):
    """How many, by what order, how unlike each other, and how many at most of one kind."""

    k: int = Field(800, ge=1, description="examples to select; paper v2: 800, v1: 817")
    tokens: int | None = Field(None, ge=1, description="most tokens of all chains together; not in the paper")
    by: Order = Field("score", description="order; paper: score; `full` takes one chain of every problem")
    diversity: float = Field(
        0.0, ge=0, le=1, description="0: by rank alone (paper v2); 1: by unlikeness of the statements alone"
    )
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


def select(
    candidates: Iterable[Candidate], settings: SelectSettings | None = None
) -> tuple[list[Candidate], list[Dropped]]:
    """At most `k` candidates of different problems in the order they were taken, and a reason for each other one.

    Raises InputError where the settings need what candidates lack: pass rates, token counts, scikit-learn.
    """
    settings = settings or SelectSettings()
    sound, dropped = _sound(candidates)
    key = _ORDERS[settings.by](settings)
    best, others = _best(sound, key)
    ranked = sorted(best, key=key)
    if settings.by == "balanced":
        ranked = _turns(ranked)
    kept, rest = _Basket(ranked, settings).fill()
    return kept, dropped + others + rest


def shortfall(kept: Sequence[Candidate], dropped: Sequence[Dropped], settings: SelectSettings) -> str:
    """One line that says why fewer than `k` were selected, or nothing."""
    if len(kept) >= settings.k or settings.by == "full":
        return ""
    counts = Counter(one.reason for one in dropped if one.reason != ANOTHER)
    n_problems = len({one.problem.id for one in kept} | {one.problem_id for one in dropped})
    why = ", ".join(f"{reason} {n:,}" for reason, n in counts.most_common()) or "all that have a chain were taken"
    return f"selected {len(kept):,} of the {settings.k:,} asked for: {n_problems:,} problems came in; {why}"


class _Basket:
    """One call of `select` after ranking: what was taken, and what is closed for whom."""

    def __init__(self, ranked: Sequence[Candidate], settings: SelectSettings) -> None:
        self.ranked, self.settings = ranked, settings
        self.kept: list[int] = []
        self.closed: dict[int, str] = {}
        self.n_tokens = 0
        self.counts: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        likeness = settings.diversity > 0 or settings.max_likeness < 1
        statements = [one.problem.problem for one in ranked]
        self.spread = Spread(statements, settings.diversity) if likeness and settings.by != "full" else None

    def fill(self) -> tuple[list[Candidate], list[Dropped]]:
        """Take until nothing more fits."""
        order = self._greedy() if self.spread else iter(range(len(self.ranked)))
        for place in order:
            reason = self._refusal(place)
            if reason:
                self.closed[place] = reason
            else:
                self._take(place)
        taken = set(self.kept)
        rest = [place for place in range(len(self.ranked)) if place not in taken]
        dropped = [_drop(self.ranked[at], self.closed.get(at, "below the top k"), rank=at + 1) for at in rest]
        return [self.ranked[at] for at in self.kept], dropped

    def _greedy(self) -> Iterator[int]:
        """Places by rank and unlikeness; what was refused is not asked about again, since nothing ever opens."""
        import numpy as np

        assert self.spread is not None
        is_open = np.ones(len(self.ranked), dtype=bool)
        while is_open.any() and len(self.kept) < self.settings.k:
            place = self.spread.next(is_open)
            is_open[place] = False
            yield place
            if self.kept and self.kept[-1] == place:
                self.spread.take(place)

    def _refusal(self, place: int) -> str:
        """Why what stands at `place` cannot be taken now, or nothing."""
        settings, one = self.settings, self.ranked[place]
        if settings.by == "full":
            return ""
        if len(self.kept) >= settings.k:
            return "below the top k"
        for kind, limit in _KINDS.items():
            most = getattr(settings, limit)
            if most is not None and self.counts[kind][getattr(one.problem, kind)] >= most:
                return f"{kind} is full"
        if settings.tokens is not None and self.n_tokens + _tokens(one) > settings.tokens:
            return "over the budget of tokens"
        like = self.spread is not None and float(self.spread.nearest[place]) > settings.max_likeness
        return "too like one that was taken" if like else ""

    def _take(self, place: int) -> None:
        one = self.ranked[place]
        self.kept.append(place)
        self.n_tokens += one.chain.n_tokens
        for kind in _KINDS:
            self.counts[kind][getattr(one.problem, kind)] += 1


_KINDS = {"topic": "per_topic", "source": "per_source", "language": "per_language"}


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


def _sound(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
    """Without the chains that were verified and are not correct; a chain nobody verified is its owner's affair."""
    sound, dropped = [], []
    for one in candidates:
        verdict = one.chain.verdict
        if verdict.outcome == "correct" or verdict.reason == UNVERIFIED:
            sound.append(one)
        else:
            dropped.append(_drop(one, "not correct", outcome=verdict.outcome))
    return sound, dropped


def _turns(ranked: Sequence[Candidate]) -> list[Candidate]:
    """The topics in turn, each with its best; topics in the order of their best."""
    by_topic: dict[str, list[Candidate]] = defaultdict(list)
    for one in ranked:
        by_topic[one.problem.topic].append(one)
    rounds = zip_longest(*by_topic.values())
    return [one for turn in rounds for one in turn if one is not None]


def _tokens(candidate: Candidate) -> int:
    if not candidate.chain.n_tokens:
        do = "give `n_tokens` with the chains, or budget by examples (k)"
        raise InputError("a budget of tokens needs their number", candidate.problem.id, "chains with n_tokens", do)
    return candidate.chain.n_tokens


def _best(candidates: Iterable[Candidate], key: Callable[[Candidate], Any]) -> tuple[list[Candidate], list[Dropped]]:
    by_problem: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_problem[candidate.problem.id].append(candidate)
    best, dropped = [], []
    for several in by_problem.values():
        first, *rest = sorted(several, key=key)
        best.append(first)
        dropped += [_drop(other, ANOTHER, n=len(several)) for other in rest]
    return best, dropped


def _by_score(_: SelectSettings) -> Callable[[Candidate], Any]:
    return lambda candidate: (-candidate.grade.score, chain_hash(candidate.chain))


def _by_random(settings: SelectSettings) -> Callable[[Candidate], Any]:
    seed = str(settings.seed)
    return lambda candidate: (content_hash(seed, candidate.problem.id), content_hash(seed, chain_hash(candidate.chain)))


def _by_length(_: SelectSettings) -> Callable[[Candidate], Any]:
    return lambda candidate: (-len(candidate.chain.text), chain_hash(candidate.chain))


def _by_difficulty(sign: int) -> Callable[[SelectSettings], Callable[[Candidate], Any]]:
    def key(candidate: Candidate) -> Any:
        if not candidate.rates:
            do = "add a filter to the recipe, or select by another order"
            raise InputError("no pass rate to select by difficulty", candidate.problem.id, "a filtered pool", do)
        return (sign * candidate.rates[-1].rate, -candidate.grade.score, chain_hash(candidate.chain))

    return lambda _: key


_ORDERS: dict[str, Callable[[SelectSettings], Callable[[Candidate], Any]]] = {
    "score": _by_score,
    "balanced": _by_score,
    "random": _by_random,
    "longest": _by_length,
    "hardest": _by_difficulty(1),
    "easiest": _by_difficulty(-1),
    "full": _by_score,
}


def _drop(candidate: Candidate, reason: str, **detail: object) -> Dropped:
    chain, grade = candidate.chain, candidate.grade
    shared = {"teacher": chain.teacher, "chain": chain_hash(chain), "score": grade.score, "level": grade.level}
    return Dropped(chain.problem_id, STAGE, reason, shared | detail)
