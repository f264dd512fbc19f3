"""The plan stage: the expected cost of a recipe's rollouts, step by step, before anything is spent.

    result = run(recipe, "runs/limo-v2", CostAssumptions(gpu="H100"))
    result[0].n_expected, result[0].gpu_hours

How many rollouts early stopping leaves depends on the distribution of pass rates: the one that the ledger shows for the
same model, prompt and sampling (from a pilot, or an earlier part of the run), otherwise a flat prior over log-odds.
Lengths likewise: the ledger's mean of the step's models, or of all where they have none yet; without a rollout half of
`max_tokens`, which few models fill.  `PlannedStep.source` and `n_measured` name the evidence.
A judge reads the chains that the steps before are expected to give.

Queues and discounts of providers are not modelled, nor that problems which pass one filter are harder for the next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, Progress, duration
from limo.core.records import Problem
from limo.core.run_folder import RunFolder
from limo.ledger.of_run import open_run_ledger
from limo.ledger.store import Ledger
from limo.models.settings import open_model
from limo.rollouts.judge_verifier import open_recipe_verifier
from limo.rollouts.runner import ModelOpener, RolloutSettings
from limo.stages.curate import Recipe as CurateRecipe
from limo.stages.rollouts import Recipe as RolloutsRecipe
from limo.stages.rollouts import ingest_sources
from limo.train.compute import GPUS

# Our own choices: shares of that which servers reach; 32B on an H100 then writes about 2,300 tokens a second.
READING, WRITING = 0.5, 0.15
CHARACTERS = 4  # of a token, on the average of English mathematics
TOKENS_PER_S = 30.0  # of one request, where none was measured
ROW_BYTES = 600  # of a rollout in the ledger beside its text, indexes and verdict included
# Pass rates that a distribution is made of: both ends, and logits evenly between 0.2% and 99.8%.
PASS_RATES = np.concatenate([[0.0], 1 / (1 + np.exp(-np.linspace(-6.2, 6.2, 61))), [1.0]])
FLAT_PROBLEMS = 2.0  # weight of the flat prior in problems, so that what was not seen yet stays possible
NO_PRICES = "USD unknown, no prices are set: `price.input` and `price.output` of each model, USD a million tokens"
_N_ITERATIONS = 200  # the fit changes in the fourth digit after 100
_SIZE = re.compile(r"(?:(?<![\w.])|-)(\d+(?:\.\d+)?)[bB](?![a-z])|-(\d{2,3})[mM](?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class CostAssumptions:
    """What a cost plan assumes.  `usd_per_gpu_hour` 0 counts prices alone.

    `tokens_per_s`: what one request gets; None for the speed in all that the run's ledger shows, else TOKENS_PER_S.
    """

    gpu: str = "H100"
    usd_per_gpu_hour: float = 0.0
    tokens_per_s: float | None = None

    def __post_init__(self) -> None:
        if self.gpu not in GPUS:
            raise InputError("this GPU is not known", self.gpu, known=GPUS, do="name the nearest one")


@dataclass(frozen=True, slots=True)
class Step:
    """Rollouts of the recipe, and their band where they filter.

    `teaches`: the correct rollouts are chains.  `judges`: the prompts are chains, not problems.
    """

    name: str
    settings: RolloutSettings
    band: PassRateBand | None = None
    teaches: bool = False
    judges: bool = False


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step.  Rollouts at most and expected with stopping; tokens, hours, dollars, bytes are expected.

    A judge's `n_problems` and `n_kept` are chains, and its `n_most` holds if every rollout of a teacher is correct.
    `source`: the number of problems in the ledger that the pass rates rest on, or `assumed`; `n_measured`: rollouts
    that the tokens of one rest on, 0 where half of `max_tokens` is assumed; `tokens_per_s`: in all, as measured,
    0 where `hours` rest on that of one request; `gpu_hours` is None where the size of a model is not known, `usd`
    where neither tokens nor GPU-hours have a price.
    """

    step: str
    n_problems: float
    n_most: int
    n_expected: float
    n_kept: float
    n_in: float
    n_out: float
    gpu_hours: float | None
    usd: float | None
    hours: float
    disk_bytes: float
    source: str
    n_measured: int = 0
    tokens_per_s: float = 0.0


def run(
    recipe: CurateRecipe | RolloutsRecipe,
    folder: str | Path,
    terms: CostAssumptions | None = None,
    progress: Progress | None = None,
    n_pilot: int = 0,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
) -> list[PlannedStep]:
    """The steps of a curation or of rollouts, with what the ledger of the run in `folder` shows already.

    `n_pilot` problems are first really completed, into that ledger, so that the run pays for them no second time.
    Raises InputError for an empty pool or a benchmark that cannot be read, and what rollouts raise.
    """
    recipe = recipe.with_prompts()
    recipe.check_inputs()
    problems, steps = ingest_sources(recipe, recipe.pool).problems, rollout_steps(recipe)
    if isinstance(recipe, CurateRecipe):
        found = recipe.load_benchmarks(only_files=True)  # a column that is not there is said before anything is paid
        held_out = {problem.id for benchmark in found.values() for problem in benchmark}
        problems = [problem for problem in problems if problem.id not in held_out]
    if n_pilot:
        pilot = sorted(problems, key=lambda problem: problem.id)[:n_pilot]
        _run_pilot(recipe, folder, steps, pilot, progress or NoProgress(), n_workers, opener)
    file = Path(folder) / "ledger.sqlite"
    with Ledger(file, read_only=True) if file.is_file() else nullcontext() as ledger:
        return plan(steps, problems, terms or CostAssumptions(), ledger)


def rollout_steps(recipe: CurateRecipe | RolloutsRecipe) -> list[Step]:
    """The steps of a recipe that cost rollouts, in order."""
    if isinstance(recipe, RolloutsRecipe):
        return [Step(f"rollouts {k}", settings, settings.band) for k, settings in enumerate(recipe.rollouts, 1)]
    steps = [Step(settings.name, settings, settings.band, teaches=settings.teacher) for settings in recipe.filters]
    steps += [Step(f"teacher {k}", teacher, teaches=True) for k, teacher in enumerate(recipe.teachers, 1)]
    if recipe.judge and recipe.grade.scorer == "judge":
        steps.append(Step("judge (chains)", recipe.judge, judges=True))
    return steps


def _run_pilot(
    recipe: CurateRecipe | RolloutsRecipe, folder: str | Path, steps: Sequence[Step], problems: list[Problem],
    progress: Progress, n_workers: int, opener: ModelOpener,
) -> None:  # fmt: skip
    """Complete some problems as the run will, each step those that the one before keeps.

    Judges are left out: which chains they will get, only the whole run shows.
    """
    runner = recipe.runner(progress, opener)
    with (
        RunFolder(folder, recipe, models=recipe.model_hashes()) as run_folder,
        open_run_ledger(run_folder) as ledger,
        open_recipe_verifier(recipe.verifier, runner, ledger, n_workers) as checker,
    ):
        for step in (step for step in steps if not step.judges):
            rates = runner.run(step.settings, problems, ledger, checker, f"pilot of {step.name}", step.band)
            problems = [p for p in problems if step.band is None or rates[p.id].decision == "keep"]


def plan(
    steps: Sequence[Step], problems: Sequence[Problem], terms: CostAssumptions, ledger: Ledger | None = None
) -> list[PlannedStep]:
    """The steps in order, each on what the one before is expected to keep.  Raises InputError for an empty pool."""
    if not problems:
        raise InputError("there is nothing to plan for", "0 problems", "one or more", "check the pool")
    sample = problems[:1000]
    n_characters = sum(len(problem.problem) for problem in sample) / len(sample)
    n_left, n_chains, n_chains_most, n_chain_tokens = float(len(problems)), 0.0, 0.0, 0.0
    rows: list[PlannedStep] = []
    measured = measured_speed(ledger) if terms.tokens_per_s is None else 0.0
    for step in steps:
        counts = _observed(step.settings, ledger)
        names = [model.name for model in step.settings.models]
        n_tokens, n_measured = tokens_each(ledger, names, step.settings.sampling.max_tokens)
        n, source = step.settings.n_in_all, f"{len(counts):,} problems" if counts else "assumed"
        if step.judges:
            read = n_characters + CHARACTERS * n_chain_tokens / (n_chains or 1) + len(prompts.rubric("", ""))
            taught = [row.source for row, before in zip(rows, steps, strict=False) if before.teaches]
            planned = (n_chains, round(n * n_chains_most), n * n_chains, n_chains)
            of_judge = _planned_step(
                step, planned, read, n_tokens, terms, measured, taught[-1] if taught else "assumed"
            )
            rows.append(replace(of_judge, n_measured=n_measured))
            continue
        weights = fit_pass_rates(counts)
        share, n_mean = expected(step, weights)
        planned = (n_left, round(n_left * n), n_left * n_mean, n_left * share)
        of_step = _planned_step(step, planned, n_characters, n_tokens, terms, measured, source)
        rows.append(replace(of_step, n_measured=n_measured))
        if step.teaches:  # correct rollouts are chains; of a filter, in the middle of its band
            each = (step.band.low + step.band.high) / 2 if step.band else float(weights @ PASS_RATES) * n
            n_chains += n_left * share * each
            n_chain_tokens += n_left * share * each * n_tokens
            n_chains_most += n_left * (step.band.high if step.band else n)
        n_left *= share
    return rows


def tokens_each(ledger: Ledger | None, models: Sequence[str], max_tokens: int) -> tuple[float, int]:
    """Tokens of a rollout to expect, and how many rollouts of a ledger that rests on.

    The mean of each of `models`, or of all models where these have none; half of `max_tokens` without any.
    """
    usage = {name: of for name, of in (ledger.usage_by_model() if ledger else {}).items() if of.n_completion_tokens}
    used = [usage[name] for name in models if name in usage] or list(usage.values())
    n_rollouts = sum(of.n_rollouts for of in used)
    if not n_rollouts:
        return max_tokens / 2, 0
    return sum(of.n_completion_tokens / of.n_rollouts for of in used if of.n_rollouts) / len(used), n_rollouts


def measured_speed(ledger: Ledger | None) -> float:
    """Completion tokens a second in all, over the time that a ledger's starts spent requesting; 0 without any."""
    seconds = ledger.seconds() if ledger else 0.0
    n_tokens = sum(of.n_completion_tokens for of in ledger.usage_by_model().values()) if ledger else 0
    return n_tokens / seconds if seconds else 0.0


def writing_hours(n_tokens: float, concurrency: int, terms: CostAssumptions, measured: float) -> float:
    """The time of writing so many tokens: at the `measured` speed in all, else at that of each request."""
    return n_tokens / (measured or (terms.tokens_per_s or TOKENS_PER_S) * concurrency) / 3600


def speed_note(rows: Sequence[Any], terms: CostAssumptions) -> str:
    """The speed that the time of planned steps or benchmarks rests on, in words."""
    if measured := max((row.tokens_per_s for row in rows), default=0.0):
        return f"time at {measured:,.3g} tokens/s in all, measured in this run (--tokens-per-s: of one request)"
    return f"time at {terms.tokens_per_s or TOKENS_PER_S:g} tokens/s a request (--tokens-per-s)"


def lengths_note(rows: Sequence[Any]) -> str:
    """What the tokens of planned steps or benchmarks rest on, in words."""
    if any(row.n_measured for row in rows):
        return "tokens of a rollout: measured, the mean of those in the ledger"
    return "tokens of a rollout: half of max_tokens, since none is measured yet; most models write far fewer"


def _planned_step(
    step: Step,
    planned: tuple[float, int, float, float],
    n_characters: float,
    n_tokens: float,
    terms: CostAssumptions,
    measured: float,
    source: str,
) -> PlannedStep:
    """`planned`: problems, rollouts at most, expected ones, problems kept; lengths are of one rollout.

    `measured`: tokens a second in all, 0 where it is not known.
    """
    settings, n_expected = step.settings, planned[2]
    n_in, n_out = n_expected * (n_characters + len(settings.system)) / CHARACTERS, n_expected * n_tokens
    each = 1 / len(settings.models)
    sizes = [model.size_b or model_size(model.name, model.source) for model in settings.models]
    gpu = None if None in sizes else sum(gpu_hours(size or 0, n_in * each, n_out * each, terms) for size in sizes)
    price = sum(each * (n_in * m.price.input + n_out * m.price.output) / 1e6 for m in settings.models)
    hours = sum(writing_hours(each * n_out, m.concurrency, terms, measured) for m in settings.models)
    usd = price + (gpu or 0.0) * terms.usd_per_gpu_hour
    is_priced = any(m.price.input or m.price.output for m in settings.models) or (gpu and terms.usd_per_gpu_hour)
    disk = n_expected * (n_tokens * CHARACTERS + ROW_BYTES)
    usd_known = usd if is_priced else None
    return PlannedStep(step.name, *planned, n_in, n_out, gpu, usd_known, hours, disk, source, tokens_per_s=measured)


def expected(step: Step, weights: np.ndarray) -> tuple[float, float]:
    """The share of problems kept and the mean rollouts of one; `weights` are those of PASS_RATES."""
    n = step.settings.n_in_all
    if step.band is None:
        return 1.0, float(n)
    each = step.settings.n if len(step.settings.models) > 1 else 1  # several models stop only between them
    open_ = np.zeros((n + 1, len(PASS_RATES)))  # chance of so many right and not stopped, by pass rate
    open_[0] = 1.0
    kept, n_made = np.zeros(len(PASS_RATES)), np.zeros(len(PASS_RATES))
    for total in range(n + 1):
        for c in range(total + 1):
            decision = step.band.decide(c, total - c) if total % each == 0 else None
            if decision is not None:
                kept += open_[c] * (decision == "keep")
                open_[c] = 0.0
        if total < n:
            n_made += open_.sum(axis=0)
            up = open_ * PASS_RATES
            open_ *= 1 - PASS_RATES
            open_[1:] += up[:-1]
    return float(weights @ kept), float(weights @ n_made)


def fit_pass_rates(counts: Sequence[tuple[int, int]]) -> np.ndarray:
    """The weights of PASS_RATES, summing to 1, that fit (correct, wrong) counts of problems best; flat without counts.

    Expectation-maximisation; counts that early stopping cut short do not bias it.
    """
    flat = np.full(len(PASS_RATES), 1 / len(PASS_RATES))
    if not counts:
        return flat
    pairs, n_problems = np.unique(np.array(counts), axis=0, return_counts=True)
    likelihood = PASS_RATES ** pairs[:, :1] * (1 - PASS_RATES) ** pairs[:, 1:]
    weights = flat
    for _ in range(_N_ITERATIONS):
        shares = likelihood * weights
        shares /= shares.sum(axis=1, keepdims=True)
        weights = (n_problems @ shares + FLAT_PROBLEMS * flat) / (n_problems.sum() + FLAT_PROBLEMS)
    return weights


def _observed(settings: RolloutSettings, ledger: Ledger | None) -> list[tuple[int, int]]:
    """What a ledger holds for these settings: (correct, wrong) of each problem."""
    counts: dict[str, list[int]] = {}
    key = (prompts.prompt_hash(settings.system), settings.sampling.sampling().hash)
    for model in settings.models if ledger is not None else ():
        assert ledger is not None
        for stored in ledger.outcomes(model.name, *key):
            if stored.index < settings.n and stored.outcome not in ("", "undecided"):
                counts.setdefault(stored.problem_id, [0, 0])[stored.outcome != "correct"] += 1
    return [(right, wrong) for right, wrong in counts.values()]


def model_size(*names: str) -> float | None:
    """Billions of parameters as a model's names say (Qwen2.5-32B-Instruct, SmolLM2-135M); None where they do not."""
    matches = [_SIZE.search(text) for text in names]
    return next((float(match[1]) if match[1] else float(match[2]) / 1000 for match in matches if match), None)


def gpu_hours(billions: float, n_in: float, n_out: float, terms: CostAssumptions) -> float:
    """Two operations a parameter and token, at the shares of the GPU's peak that reading and writing reach."""
    peak = GPUS[terms.gpu].flops
    return 2e9 * billions * (n_in / READING + n_out / WRITING) / peak / 3600


HEAD = (
    "step", "problems", "at most", "expected", "kept", "tokens in", "tokens out", "GPU-hours", "USD", "time", "disk",
    "from",
)  # fmt: skip


def cost_table(rows: Sequence[PlannedStep]) -> list[list[object]]:
    """Head, steps and their sum, for printing; problems do not add up."""
    names = ("n_most", "n_expected", "n_in", "n_out", "hours", "disk_bytes")
    totals: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in names}
    gpu = None if any(row.gpu_hours is None for row in rows) else sum(row.gpu_hours or 0.0 for row in rows)
    usd = None if all(row.usd is None for row in rows) else sum(row.usd or 0.0 for row in rows)
    in_all = PlannedStep(step="in all", n_problems=nan, n_kept=nan, gpu_hours=gpu, usd=usd, source="", **totals)
    return [list(HEAD), *map(_cells, [*rows, in_all])]


def _cells(row: PlannedStep) -> list[object]:
    numbers = (row.n_problems, row.n_most, row.n_expected, row.n_kept, row.n_in, row.n_out)
    counts = ["" if isnan(number) else f"{number:,.0f}" for number in numbers]
    gpu = "unknown" if row.gpu_hours is None else f"{row.gpu_hours:,.2f}"
    usd = "?" if row.usd is None else f"{row.usd:,.2f}"
    return [row.step, *counts, gpu, usd, duration(row.hours * 3600), _bytes(row.disk_bytes), row.source]


def _bytes(n: float) -> str:
    return f"{n / 2**30:,.1f} GB" if n >= 2**30 else f"{n / 2**20:,.1f} MB"
