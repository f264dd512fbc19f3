"""The evaluate stage and its `Recipe` (evaluate): rollouts on benchmarks through the ledger, pass@1 with intervals.

A benchmark is a pool that is never trained on.  A completion cut at its token limit is not correct, and how many there
were stands beside the score; an undecided one (a verifier or a server failed) counts neither way.  A row that repeats a
problem is scored once.  A judge of the recipe reads what its benchmarks and the rules leave to it (`benchmark_judge`).

    result = run(load(Recipe, "evaluate", ["data=eval/data", "model.path=runs/sft/model"]), "runs/scores")
    result.evaluations[0].score

`scores.json` of the run holds the model's name -> its measurements, one for each training seed, with a pass rate for
each problem and the fingerprint of its setting; `limo compare` reads it.  `evaluations.json` holds the scores and
averages with their provenance, `stages/verdicts` each rollout's verdicts of the rules and of the judge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.errors import RESTORE, InputError, ModelError, PartialError, foreign_data
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import FAILED, Problem, Provenance, Rollout, Score
from limo.core.rows import parse_json
from limo.core.run_folder import RunFolder
from limo.core.stats import macro_interval, mean_interval
from limo.ledger.of_run import open_run_ledger
from limo.ledger.store import Ledger, provenance
from limo.models.completer import Completer, FailureGuard
from limo.models.settings import ModelSettings, SamplingSettings, open_model
from limo.pool.sources.benchmarks import BenchmarkFile, benchmark_notes, known_benchmarks, load_files
from limo.rollouts.budget import BudgetMeter
from limo.rollouts.collect import BatchVerifier, collect_rollouts
from limo.rollouts.judge_verifier import open_recipe_verifier
from limo.rollouts.judging import AnswerJudgeSettings
from limo.rollouts.lacking import nothing_decided, retry_options
from limo.rollouts.runner import ModelOpener
from limo.stages.benchmark_judge import JudgedRollouts, judge_rollouts
from limo.stages.fingerprint import fingerprint, model_facts
from limo.stages.rollouts import ModelStageRecipe
from limo.stages.score_details import MissingReplies, ScoreDetails, missing_replies, score_details

ALL = "all"
SMALL = 50  # paper: benchmarks of fewer problems are sampled several times
SAMPLED = {"v1": (16, 0.7), "v2": (4, 0.6)}  # paper: samples and temperature of small benchmarks
SCORES, EVALUATIONS, VERDICTS = "scores.json", "evaluations.json", "verdicts"
Protocol = Literal["v1", "v2", "own"]


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


class ScoringSettings(Settings):
    """Benchmarks, and how they are answered and judged."""

    benchmarks: dict[str, BenchmarkFile] = Field(
        min_length=1,
        description="name: file, folder or pool, or a mapping with path and fields; empty = the hub's client",
    )
    protocol: Protocol = Field("v2", description="the paper's decoding, v1 or v2; own: `decoding` for all benchmarks")
    max_tokens: int = Field(32768, ge=1, description="v1, v2: tokens of a completion; paper: 32,768")
    decoding: Decoding | None = Field(None, description="own: how every benchmark is answered")
    judge: AnswerJudgeSettings | None = Field(
        None, description="judges what rules leave undecided, and benchmarks whose entry says so; paper: Qwen2.5-32B"
    )
    overrule: list[str] = Field([], description="benchmarks where the judge's verdict counts before that of the rules")

    @model_validator(mode="before")
    @classmethod
    def _own_decoding(cls, values: Any) -> Any:
        """A recipe with `decoding` is of the protocol `own`."""
        is_own = isinstance(values, dict) and values.get("decoding") is not None and "protocol" not in values
        return {**values, "protocol": "own"} if is_own else values

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.protocol == "own") != (self.decoding is not None):
            raise ValueError("`protocol: own` and `decoding` belong together; give both, or neither")
        if unknown := [name for name in self.overrule if name not in self.benchmarks]:
            raise ValueError(f"`overrule` names {unknown[0]!r}, which is none of `benchmarks`")
        if self.overrule and self.judge is None:
            raise ValueError("`overrule` needs `judge`, whose verdicts then count")
        return self

    def decoding_of(self, name: str, problems: Sequence[Problem]) -> Decoding:
        """How a benchmark is answered: the recipe's `decoding`, otherwise the paper's."""
        return self.decoding or paper_decoding(name, problems, self.protocol, self.max_tokens)


class Recipe(ScoringSettings, ModelStageRecipe):
    """A model on benchmarks."""

    model: ModelSettings = Field(description="the model; `name` is what tables call it")
    seed: int = Field(0, description="training seed of the model, so that `limo compare` can average over seeds")
    system: str = Field(prompts.SYSTEM, description="system text of every prompt")

    def run_steps(self) -> dict[str, list[str]]:
        """All is made anew from the ledger, whatever has changed."""
        return {VERDICTS: list(type(self).model_fields), SCORES: [], EVALUATIONS: []}

    @property
    def models(self) -> list[ModelSettings]:
        """The model, and those of the judge."""
        return [self.model, *(self.judge.models if self.judge else [])]

    def load_benchmarks(self) -> dict[str, list[Problem]]:
        """The rows of each benchmark by its name in the recipe.  Raises what `load_benchmark` raises."""
        return load_files(self.benchmarks, self.data)


def paper_decoding(
    name: str, problems: Sequence[Problem] = (), protocol: Protocol = "v2", max_tokens: int = 32768
) -> Decoding:
    """The paper's decoding of a benchmark: one greedy completion, or 4 samples at temperature 0.6 (v1: 16 at 0.7).

    A known benchmark is sampled as its entry says, another one when it has fewer than 50 different problems.
    """
    entry = known_benchmarks().get(name.lower())
    if (entry.decoding != "sampled") if entry else len({problem.id for problem in problems}) >= SMALL:
        return Decoding(max_tokens=max_tokens)
    n, temperature = SAMPLED[protocol]
    return Decoding(n=n, temperature=temperature, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model on a benchmark.  `rate_by_problem` holds pass@1 in 0..1 of each problem with a decided rollout.

    `n_correct_by_problem` of `n_decided_by_problem` rollouts; `n_by_outcome` counts rollouts by verdict; `unscored`
    names problems of which no rollout was decided; `n_tokens_mean` is the mean length of a completion; `details` stands
    beside the score: its noise, bounds, pass@k, maj@n; `missing`: the replies that never came; `judged` counts what a
    judge read and decided.
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
    missing: MissingReplies
    judged: dict[str, Any] = field(default_factory=dict)
    fingerprint: dict[str, str] = field(default_factory=dict)


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
    proof), with the reason by problem id; their rollouts are scored all the same.  `notes`: what a reader of the scores
    should know of the benchmarks (repeated rows, suspected contamination).
    """

    evaluations: list[Evaluation]
    averages: list[Average]
    key_errors: dict[str, dict[str, str]]
    notes: list[str]
    scores: Path


def run(
    recipe: Recipe,
    folder: str | Path,
    progress: Progress | None = None,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
    retry_errors: bool = False,
) -> EvaluateResult:
    """Score the recipe's model on its benchmarks; what the run's ledger holds is not requested again.

    With `retry_errors` what failed or was ended by the server is.  Replies that never come leave a score with bounds.
    Raises InputError (a benchmark that cannot be read or decided, a run of another model's scores), ModelError (more
    than half of the first 20 requests failed at the first start, or none can work), CollectionStopped, StorageError.
    """
    progress, recipe, known = progress or NoProgress(), recipe.with_prompts(), known_benchmarks()
    _check_is_of_model(recipe, Path(folder))
    loaded = recipe.load_benchmarks()
    notes = [note for name, problems in loaded.items() for note in benchmark_notes(name, problems)]
    for note in notes:
        progress.log(note)
    key_errors = {name: _key_errors(name, problems, recipe, progress) for name, problems in loaded.items()}
    unique = {name: list({problem.id: problem for problem in problems}.values()) for name, problems in loaded.items()}
    decodings = {name: recipe.decoding_of(name, problems) for name, problems in unique.items()}
    with RunFolder(folder, recipe, models=recipe.model_hashes()) as run_folder:
        run_folder.write_problems([problem for problems in unique.values() for problem in problems])
        completer = opener(recipe.model, recipe.data)
        runner = recipe.runner(progress, opener, retry_errors)
        with (
            open_run_ledger(run_folder) as ledger,
            open_recipe_verifier(recipe.verifier, runner, ledger, n_workers) as checker,
        ):
            meter, rollouts = BudgetMeter(recipe.budget, {m.name: m.price for m in recipe.models}, ledger), {}
            for name, problems in unique.items():
                progress.log(f"{name}: {len(problems):,} problems, rollouts of each: {decodings[name].n}")
                how = (decodings[name], checker, progress, recipe.system, meter, retry_errors)
                rollouts[name] = _rollouts(ledger, completer, name, problems, *how)
            judged = {name: JudgedRollouts(of) for name, of in rollouts.items()}
            if recipe.judge is not None:
                is_judged = {name: name.lower() in known and known[name.lower()].judge for name in unique}
                judged = judge_rollouts(recipe.judge, unique, rollouts, is_judged, recipe.overrule, runner, ledger)
        facts: dict[str, str] = {}
        with suppress(ModelError):  # a server that has gone since
            facts = model_facts(recipe.model, recipe.data)
        evaluations = []
        for name, problems in unique.items():
            source = (str(folder), str(run_folder.ledger_path))
            of = (name, recipe.model.name, [problem.id for problem in problems], judged[name].rollouts)
            evaluation = score_rollouts(*of, decodings[name], source, completer.capabilities.retries_errors)
            setting = fingerprint(facts, problems, evaluation.score.provenance, decodings[name].sampling())
            evaluations.append(replace(evaluation, judged=judged[name].counts(), fingerprint=setting))
        groups = {name: known[name.lower()].group for name in loaded if name.lower() in known}
        means = averages(evaluations, {name: group for name, group in groups.items() if group != "extra"})
        verdicts = [row for name in unique for row in judged[name].rows(name)]
        run_folder.write_stage(VERDICTS, verdicts, [])
        run_folder.write_json(SCORES, {recipe.model.name: [_measurement(recipe, evaluations)]})
        notes += [f"{e.score.benchmark}: {e.missing.sentence}" for e in evaluations if e.missing.n]
        rows = [asdict(one) | {"decoding": one.decoding.model_dump()} for one in evaluations]
        stored = {"evaluations": rows, "averages": list(map(asdict, means)), "key_errors": key_errors, "notes": notes}
        run_folder.write_json(EVALUATIONS, stored)
    return EvaluateResult(evaluations, means, key_errors, notes, Path(folder) / SCORES)


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
        "fingerprint": {one.score.benchmark: one.fingerprint for one in evaluations},
    }


def evaluate(
    ledger: Ledger, completer: Completer, benchmark: str, problems: Iterable[Problem], decoding: Decoding,
    checker: BatchVerifier, progress: Progress | None = None, system: str = prompts.SYSTEM,
    meter: BudgetMeter | None = None, run: str = "",
) -> Evaluation:  # fmt: skip
    """Request the completions that the ledger lacks, and score what it then holds; `run` is noted as the source.

    Raises InputError for an empty benchmark, PartialError for one of which nothing could be decided, CollectionStopped
    when the budget of `meter` is reached, StorageError.
    """
    unique = list({problem.id: problem for problem in problems}.values())
    rollouts = _rollouts(ledger, completer, benchmark, unique, decoding, checker, progress, system, meter)
    ids = [problem.id for problem in unique]
    source, again = (run, str(ledger.path)), completer.capabilities.retries_errors
    return score_rollouts(benchmark, completer.name, ids, rollouts, decoding, source, again)


def _rollouts(
    ledger: Ledger, completer: Completer, benchmark: str, problems: list[Problem], decoding: Decoding,
    checker: BatchVerifier, progress: Progress | None, system: str, meter: BudgetMeter | None,
    retry_errors: bool = False,
) -> list[Rollout]:  # fmt: skip
    """The verified rollouts of one benchmark, those that the ledger lacks requested first.

    Where the ledger has some, those, should the missing ones go on failing.
    """
    if not problems:
        raise InputError("the benchmark is empty", benchmark, "at least one problem", "check its file")
    ids, sampling = {problem.id for problem in problems}, decoding.sampling()
    ledger_key = (completer.name, prompts.prompt_hash(system), sampling.hash)
    has_some = any(r.index < decoding.n and r.finish_reason not in FAILED for r in ledger.outcomes(*ledger_key, ids))
    model = completer if has_some else FailureGuard(completer)
    try:
        how = (system, sampling, decoding.n, None, progress, retry_errors, meter)
        collect_rollouts(ledger, model, problems, checker, *how)
    except ModelError as error:
        if not has_some:
            raise
        (progress or NoProgress()).log(f"{benchmark}: {error}")
    return [rollout for rollout in ledger.rollouts(*ledger_key, ids) if rollout.index < decoding.n]


def _check_is_of_model(recipe: Recipe, folder: Path) -> None:
    """Raise InputError where the run holds scores of another model, or of this one with another training seed."""
    if not (folder / SCORES).is_file():
        return
    with foreign_data("this file does not hold scores", folder / SCORES, "what `limo evaluate` writes", RESTORE):
        stored = parse_json((folder / SCORES).read_bytes())
        found = {(name, one.get("seed", 0)) for name, measurements in stored.items() for one in measurements}
    if others := sorted(found - {(recipe.model.name, recipe.seed)}):
        own = re.sub("[^A-Za-z0-9._-]+", "-", recipe.model.name) + (f"-seed-{recipe.seed}" if recipe.seed else "")
        shown = ", ".join(f"{name}, seed {seed}" for name, seed in others[:5])
        do = f"give {recipe.model.name}, seed {recipe.seed}, a run of its own: --run {folder}-{own}; compare takes both"
        raise InputError("this run holds the scores of another model", shown, "one model and seed a run", do)


def score_rollouts(
    benchmark: str,
    model: str,
    problem_ids: Sequence[str],
    rollouts: Iterable[Rollout],
    decoding: Decoding,
    source: tuple[str, str] = ("", ""),
    retries_errors: bool = True,
) -> Evaluation:
    """The evaluation of verified rollouts of one model, one prompt and one sampling; `source`: run and ledger.

    Raises PartialError when no rollout is decided.
    """
    rollouts = list(rollouts)
    n_correct, n_decided = dict.fromkeys(problem_ids, 0), dict.fromkeys(problem_ids, 0)
    outcomes: Counter[str] = Counter(correct=0, wrong=0, no_answer=0, truncated=0, undecided=0)
    lengths = []
    for rollout in rollouts:
        outcomes[rollout.outcome] += 1
        n_decided[rollout.problem_id] += rollout.outcome != "undecided"
        n_correct[rollout.problem_id] += rollout.outcome == "correct"
        if rollout.completion.finish_reason != "error":
            lengths.append(rollout.completion.n_completion_tokens)
    scored = [name for name in problem_ids if n_decided[name]]
    if not scored:
        what, do = nothing_decided(rollouts) or "there are no rollouts", "mend the server, the verifier or the recipe"
        error = PartialError(what, benchmark, "one decided rollout or more", do)
        error.options = retry_options(rollouts, retries_errors)
        raise error
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
        missing=missing_replies(problem_ids, decoding.n, rollouts, retries_errors),
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
