"""The evaluate stage: rollouts on benchmarks through the ledger, unbiased pass@1, intervals.

A benchmark is a pool that is never trained on.  A completion cut at its token limit is not correct, and how many there
were stands beside the score; an undecided one (a verifier or a server failed) counts neither way.

    result = run(load(Recipe, "evaluate", ["data=eval/data", "model.path=runs/sft/model"]), "runs/scores")
    result.evaluations[0].score

`scores.json` of the run holds the model's name -> its measurements, one for each training seed, with a pass rate for
each problem; `limo compare` reads it.  `evaluations.json` holds the scores and averages with their provenance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.files import resolve_data_path
from limo.core.progress import NoProgress, Progress
from limo.core.records import Problem, Provenance, Rollout, Score
from limo.core.run_folder import RunFolder
from limo.core.stats import macro_interval, mean_interval
from limo.ledger.store import Ledger, provenance
from limo.models.completer import Completer
from limo.models.settings import ModelSettings, SamplingSettings, open_model
from limo.pool.sources.benchmarks import Benchmark, benchmarks, load_benchmark
from limo.rollouts.budget import BudgetMeter
from limo.rollouts.collect import BatchVerifier, collect_rollouts
from limo.rollouts.judge_verifier import open_recipe_verifier
from limo.rollouts.multi_model_runner import ModelOpener
from limo.stages.rollouts import ModelStageRecipe
from limo.stages.score_details import ScoreDetails, score_details

ALL = "all"
SMALL = 50  # paper: benchmarks of fewer problems are sampled several times
SCORES, EVALUATIONS = "scores.json", "evaluations.json"
Version = Literal["v1", "v2"]


class Decoding(SamplingSettings):
    """How a benchmark is answered: `n` completions a problem, drawn so."""

    n: int = Field(1, ge=1, description="completions a problem; paper: 1 from 50 problems on")
    temperature: float = Field(0.0, ge=0, le=5, description="0 is greedy; paper: greedy once, else 0.6 (v1: 0.7)")
    max_tokens: int = Field(32768, ge=1, description="most new tokens; paper: 32,768")

    @model_validator(mode="after")
    def _several_must_differ(self) -> Decoding:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("several greedy completions are all the same; give a temperature above 0 or n=1")
        return self


class Recipe(ModelStageRecipe):
    """A model on benchmarks."""

    model: ModelSettings = Field(description="the model; `name` is what tables call it")
    seed: int = Field(0, description="training seed of the model, so that `limo compare` can average over seeds")
    benchmarks: dict[str, str] = Field(
        min_length=1, description="name: file or folder; empty = the hub's client, with its cache"
    )
    version: Version = Field("v2", description="the paper's decoding, where `decoding` is not set")
    max_tokens: int = Field(32768, ge=1, description="tokens of a completion, likewise; paper: 32,768")
    decoding: Decoding | None = Field(None, description="how every benchmark is answered; default: as in the paper")
    system: str = Field(prompts.SYSTEM, description="system text of every prompt")

    @property
    def models(self) -> list[ModelSettings]:
        """The one model."""
        return [self.model]

    def decoding_of(self, name: str, problems: Sequence[Problem]) -> Decoding:
        """How a benchmark is answered: the recipe's `decoding`, otherwise the paper's."""
        return self.decoding or paper_decoding(name, problems, self.version, self.max_tokens)


def paper_decoding(
    name: str, problems: Sequence[Problem] = (), version: Version = "v2", max_tokens: int = 32768
) -> Decoding:
    """The paper's decoding of a benchmark: one greedy completion, or 4 samples at temperature 0.6 (v1: 16 at 0.7).

    A known benchmark is sampled as its entry says, another one when it has fewer than 50 different problems.
    """
    entry = known_benchmarks().get(name.lower())
    if (entry.decoding != "sampled") if entry else len({problem.id for problem in problems}) >= SMALL:
        return Decoding(max_tokens=max_tokens)
    n, temperature = (16, 0.7) if version == "v1" else (4, 0.6)
    return Decoding(n=n, temperature=temperature, max_tokens=max_tokens)


def known_benchmarks() -> dict[str, Benchmark]:
    """The entries of the known benchmarks by their name in lower case."""
    return {name.lower(): entry for name, entry in benchmarks().items()}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model on a benchmark.  `rate_by_problem` holds pass@1 in 0..1 of each problem with a decided rollout.

    `n_correct_by_problem` of `n_decided_by_problem` rollouts; `n_by_outcome` counts rollouts by verdict; `unscored`
    names problems of which no rollout was decided; `n_tokens_mean` is the mean length of a completion; `details` stands
    beside the score: its noise, bounds, pass@k, maj@n.
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
    details: ScoreDetails


@dataclass(frozen=True, slots=True)
class Average:
    """The plain mean of the scores of a group of benchmarks, each counting once, with its 95% interval."""

    group: str
    value: float
    low: float
    high: float
    n_benchmarks: int
    provenance: list[Provenance] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """What a run measured: an evaluation for each benchmark, and the averages over the paper's groups.

    `key_errors`: by benchmark, the problems whose answer cannot be verified (a letter that is none of the options, a
    proof), with the reason by problem id; their rollouts are scored all the same.
    """

    evaluations: list[Evaluation]
    averages: list[Average]
    key_errors: dict[str, dict[str, str]]
    scores: Path


def run(
    recipe: Recipe,
    folder: str | Path,
    progress: Progress | None = None,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
) -> EvaluateResult:
    """Score the recipe's model on its benchmarks; what the run's ledger holds is not requested again.

    Raises InputError (a benchmark that cannot be read or decided), CollectionStopped, ModelError, StorageError.
    """
    progress, recipe = progress or NoProgress(), recipe.with_prompts()
    loaded = {
        name: load_benchmark(name, resolve_data_path(path, recipe.data) if path else None)
        for name, path in recipe.benchmarks.items()
    }
    key_errors = {name: _key_errors(name, problems, recipe, progress) for name, problems in loaded.items()}
    with RunFolder(folder, recipe) as run_folder:
        completer = opener(recipe.model, recipe.data)
        evaluations = []
        runner = recipe.runner(progress, opener)
        with (
            Ledger(run_folder.ledger_path) as ledger,
            open_recipe_verifier(recipe.verifier, runner, ledger, n_workers) as checker,
        ):
            meter = BudgetMeter(recipe.budget, {recipe.model.name: recipe.model.price}, ledger)
            for name, problems in loaded.items():
                decoding = recipe.decoding_of(name, problems)
                progress.log(f"{name}: {len(problems):,} problems, {decoding.n} completions each")
                how = (checker, progress, recipe.system, meter, str(folder))
                evaluations.append(evaluate(ledger, completer, name, problems, decoding, *how))
        known = known_benchmarks()
        groups = {name: known[name.lower()].group for name in loaded if name.lower() in known}
        means = averages(evaluations, {name: group for name, group in groups.items() if group != "extra"})
        run_folder.write_json(SCORES, {recipe.model.name: [_measurement(recipe, evaluations)]})
        stored = {"evaluations": [asdict(one) for one in evaluations], "averages": [asdict(mean) for mean in means]}
        run_folder.write_json(EVALUATIONS, stored | {"key_errors": key_errors})
    return EvaluateResult(evaluations, means, key_errors, Path(folder) / SCORES)


def _key_errors(name: str, problems: Sequence[Problem], recipe: Recipe, progress: Progress) -> dict[str, str]:
    """Why answers of a benchmark cannot be verified, by problem id; logged with their number."""
    why_not = recipe.why_not()
    errors = {problem.id: reason for problem in problems if (reason := why_not(problem))}
    if errors:
        reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(errors.values()).most_common())
        progress.log(f"{name}: {len(errors):,} of {len(problems):,} keys cannot be verified by rule: {reasons}")
    return errors


def _measurement(recipe: Recipe, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    scores = [evaluation.score for evaluation in evaluations]
    return {
        "arm": recipe.model.name,
        "seed": recipe.seed,
        "outcomes": {one.score.benchmark: one.rate_by_problem for one in evaluations},
        "provenance": {score.benchmark: asdict(score.provenance) for score in scores if score.provenance},
    }


def evaluate(
    ledger: Ledger,
    completer: Completer,
    benchmark: str,
    problems: Iterable[Problem],
    decoding: Decoding,
    checker: BatchVerifier,
    progress: Progress | None = None,
    system: str = prompts.SYSTEM,
    meter: BudgetMeter | None = None,
    run: str = "",
) -> Evaluation:
    """Request the completions that the ledger lacks, and score what it then holds; `run` is noted as the source.

    Raises InputError for an empty benchmark or one of which nothing could be decided; CollectionStopped when the
    budget of `meter` is reached; StorageError.
    """
    unique = {problem.id: problem for problem in problems}
    if not unique:
        raise InputError("the benchmark is empty", benchmark, "at least one problem", "check its file")
    how = (system, decoding.sampling(), decoding.n, None, progress)
    collect_rollouts(ledger, completer, unique.values(), checker, *how, meter=meter)
    stored = ledger.rollouts(completer.name, prompts.prompt_hash(system), decoding.sampling().hash)
    rollouts = [r for r in stored if r.problem_id in unique and r.index < decoding.n]
    return score_rollouts(benchmark, completer.name, list(unique), rollouts, decoding, (run, str(ledger.path)))


def score_rollouts(
    benchmark: str,
    model: str,
    problem_ids: Sequence[str],
    rollouts: Iterable[Rollout],
    decoding: Decoding,
    source: tuple[str, str] = ("", ""),
) -> Evaluation:
    """The evaluation of verified rollouts of one model, one prompt and one sampling; `source`: run and ledger.

    Raises InputError when no rollout is decided.
    """
    rollouts = list(rollouts)
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
    interval = mean_interval(right, tried).interval
    return Evaluation(
        model=model,
        score=Score(benchmark, *interval, len(scored), sum(outcomes.values()), provenance(rollouts, *source)),
        rate_by_problem={name: n_correct[name] / n_decided[name] for name in scored},
        n_correct_by_problem={name: n_correct[name] for name in scored},
        n_decided_by_problem={name: n_decided[name] for name in scored},
        n_by_outcome=dict(outcomes),
        unscored=[name for name in problem_ids if not n_decided[name]],
        n_tokens_mean=sum(lengths) / len(lengths) if lengths else 0.0,
        decoding=decoding,
        details=score_details(rollouts),
    )


def averages(evaluations: Sequence[Evaluation], group_by_benchmark: Mapping[str, str]) -> list[Average]:
    """The average over each group in order of appearance, then over `all`, where a benchmark without group is too.

    Raises InputError for no evaluation.
    """
    if not evaluations:
        raise InputError("there is nothing to average", "0 evaluations", "one or more", "evaluate a benchmark first")
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        if group := group_by_benchmark.get(evaluation.score.benchmark):
            groups.setdefault(group, []).append(evaluation)
    groups[ALL] = list(evaluations)
    return [_average(group, members) for group, members in groups.items()]


def _average(group: str, members: list[Evaluation]) -> Average:
    scores = [mean_interval([*m.n_correct_by_problem.values()], [*m.n_decided_by_problem.values()]) for m in members]
    sources = [member.score.provenance for member in members if member.score.provenance]
    return Average(group, *macro_interval(scores).interval, len(members), sources)
