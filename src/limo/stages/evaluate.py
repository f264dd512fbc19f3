"""A score on a benchmark: rollouts through the ledger, the unbiased pass@1 and an interval that says how sure it is.

A benchmark is a pool that was never trained on, so evaluating is rolling out and counting.  A completion cut at its
token limit is not right, and how many there were is said beside the score; an undecided one (a checker or a server
failed) is no answer at all and counts neither way.  Every rollout is in the ledger: a second evaluation asks nothing.

    found = evaluate(ledger, completer, "aime24", problems, protocol(len(problems)), checker=checker)
    print(found.score, found.n_by_outcome)
    averages([found, ...], {"aime24": "in-domain", ...})

What it does not do: train, compare arms (compare does), or fetch benchmarks (pool does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from limo.core.errors import InputError
from limo.core.progress import Progress
from limo.core.prompts import SYSTEM, prompt_hash
from limo.core.recipe import Settings
from limo.core.records import Problem, Rollout, Sampling, Score
from limo.core.stats import macro_interval, mean_interval, pass_at_k
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.rollouts.budget import BudgetMeter
from limo.rollouts.collect import BatchVerifier, collect

ALL = "all"
SMALL = 50  # paper: benchmarks of fewer problems are sampled several times


class Decoding(Settings):
    """How a benchmark is answered: `n` completions a problem."""

    n: int = Field(1, ge=1, description="completions a problem; paper: 1 from 50 problems on")
    temperature: float = Field(0.0, ge=0, description="0 is greedy; paper: greedy once, else 0.6 (v1: 0.7)")
    top_p: float = Field(1.0, gt=0, le=1, description="share of probability sampled from; paper: not reported")
    max_tokens: int = Field(32768, ge=1, description="tokens of a completion; paper: 32,768")
    seed: int = Field(0, ge=0, description="of the sampling; other seeds are other rollouts")

    @model_validator(mode="after")
    def _several_must_differ(self) -> Decoding:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("several greedy completions are all the same; give a temperature above 0 or n=1")
        return self

    @property
    def sampling(self) -> Sampling:
        """The settings as rollouts know them."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed)


def protocol(n_problems: int, version: Literal["v1", "v2"] = "v2", max_tokens: int = 32768, seed: int = 0) -> Decoding:
    """The paper's decoding: greedy and once from 50 problems on, below that 4 samples at 0.6 (v1: 16 at 0.7)."""
    if n_problems >= SMALL:
        return Decoding(max_tokens=max_tokens, seed=seed)
    n, temperature = (16, 0.7) if version == "v1" else (4, 0.6)
    return Decoding(n=n, temperature=temperature, max_tokens=max_tokens, seed=seed)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model on a benchmark.  `rate_by_problem` holds pass@1 in 0..1 of each problem with a decided rollout.

    `n_correct_by_problem` of `n_decided_by_problem` rollouts; `n_by_outcome` counts rollouts by verdict; `unscored`
    names problems of which no rollout was decided; `n_tokens_mean` is the mean length of a completion.
    """

    model: str
    score: Score
    rate_by_problem: dict[str, float]
    n_correct_by_problem: dict[str, int]
    n_decided_by_problem: dict[str, int]
    n_by_outcome: dict[str, int]
    unscored: list[str]
    n_tokens_mean: float
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Average:
    """The plain mean of the scores of a group of benchmarks, each counting once, with its 95% interval."""

    group: str
    value: float
    low: float
    high: float
    n_benchmarks: int


def evaluate(
    ledger: Ledger,
    completer: Completer,
    benchmark: str,
    problems: Iterable[Problem],
    decoding: Decoding,
    checker: BatchVerifier,
    progress: Progress | None = None,
    system: str = SYSTEM,
    meter: BudgetMeter | None = None,
) -> Evaluation:
    """Ask the model what the ledger does not know yet, and score what the ledger then holds.

    Raises InputError for an empty benchmark or one of which nothing could be decided; CollectionStopped when the
    budget of `meter` is reached; StorageError.
    """
    unique = {problem.id: problem for problem in problems}
    if not unique:
        raise InputError("the benchmark is empty", benchmark, "at least one problem", "check its file")
    how = (system, decoding.sampling, decoding.n, None, progress)
    collect(ledger, completer, unique.values(), checker, *how, meter=meter)
    found = ledger.rollouts(completer.name, prompt_hash(system), decoding.sampling.hash)
    rollouts = [r for r in found if r.problem_id in unique and r.index < decoding.n]
    return score_rollouts(benchmark, completer.name, list(unique), rollouts, decoding)


def score_rollouts(
    benchmark: str, model: str, problem_ids: Sequence[str], rollouts: Iterable[Rollout], decoding: Decoding
) -> Evaluation:
    """The evaluation that verified rollouts of one model amount to.  Raises InputError when none is decided."""
    n_correct, n_decided = dict.fromkeys(problem_ids, 0), dict.fromkeys(problem_ids, 0)
    outcomes: Counter[str] = Counter(correct=0, wrong=0, no_answer=0, truncated=0, undecided=0)
    lengths = []
    for rollout in rollouts:
        outcome = rollout.verdict.outcome if rollout.verdict else "undecided"
        outcomes[outcome] += 1
        n_decided[rollout.problem_id] += outcome != "undecided"
        n_correct[rollout.problem_id] += outcome == "correct"
        if rollout.completion.finish_reason != "error":
            lengths.append(rollout.completion.n_completion_tokens)
    scored = [name for name in problem_ids if n_decided[name]]
    if not scored:
        do = "see the reasons in the ledger's verdicts"
        raise InputError("nothing of this benchmark could be decided", benchmark, "one decided rollout or more", do)
    right, tried = [n_correct[name] for name in scored], [n_decided[name] for name in scored]
    value, low, high = mean_interval(right, tried)
    rates = pass_at_k(tried, right, 1)
    return Evaluation(
        model=model,
        score=Score(benchmark, value, low, high, len(scored), sum(outcomes.values())),
        rate_by_problem={name: float(rate) for name, rate in zip(scored, rates, strict=True)},
        n_correct_by_problem={name: n_correct[name] for name in scored},
        n_decided_by_problem={name: n_decided[name] for name in scored},
        n_by_outcome=dict(outcomes),
        unscored=[name for name in problem_ids if not n_decided[name]],
        n_tokens_mean=sum(lengths) / len(lengths) if lengths else 0.0,
        decoding=decoding,
    )


def averages(evaluations: Sequence[Evaluation], group_by_benchmark: Mapping[str, str]) -> list[Average]:
    """The average over each group in order of appearance, then over `all`, where a benchmark without group is too."""
    if not evaluations:
        raise InputError("there is nothing to average", "0 evaluations", "one or more", "evaluate a benchmark first")
    groups: dict[str, list[Evaluation]] = {}
    for found in evaluations:
        if group := group_by_benchmark.get(found.score.benchmark):
            groups.setdefault(group, []).append(found)
    groups[ALL] = list(evaluations)
    return [_average(group, members) for group, members in groups.items()]


def _average(group: str, members: list[Evaluation]) -> Average:
    tables = [(list(m.n_correct_by_problem.values()), list(m.n_decided_by_problem.values())) for m in members]
    return Average(group, *macro_interval(tables), len(members))
