"""What a recipe's rollouts will cost, stage by stage, before anything is spent.

    steps = [Step("strong_filter", asking, Band(1, 3, 32)), Step("teacher 1", teacher)]
    rows = plan(steps, problems, Terms(gpu="H100"), ledger)
    print(rows[0].n_fixed, rows[0].n_expected, rows[0].gpu_hours)

How many rollouts stopping early will leave follows from how common which pass rates are: those that the ledger shows
for the same model, prompt and sampling (from a pilot, or an earlier part of the run), otherwise a flat prior over
log-odds.  Lengths likewise: the ledger's mean, otherwise half of `max_tokens`.  Every figure says which (`known`).
A judge is asked about the chains that the steps before are expected to give, and reads each of them whole.

What it does not do: know the queues and discounts of a provider, or that problems which pass one filter are harder for
the next than the pool is, before a pilot has shown it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.records import Problem
from limo.ledger.store import Ledger
from limo.models.settings import ModelSettings
from limo.rollouts.runner import RolloutSettings
from limo.rollouts.stopping import Band, decide

# Dense bf16 TFLOP/s by the makers' data sheets.
GPUS = {"A100": 312, "H100": 989, "H200": 989, "B200": 2250, "L40S": 362, "RTX4090": 165, "MI300X": 1307}
# Our own choices: shares of that which servers reach; 32B on an H100 then writes about 2,300 tokens a second.
READING, WRITING = 0.5, 0.15
CHARACTERS = 4  # of a token, on the average of English mathematics
ROW_BYTES = 600  # of a rollout in the ledger beside its text, indexes and verdict included
# Pass rates that a distribution is made of: both ends, and logits evenly between 0.2% and 99.8%.
PASS_RATES = np.concatenate([[0.0], 1 / (1 + np.exp(-np.linspace(-6.2, 6.2, 61))), [1.0]])
FLAT_PROBLEMS = 2.0  # weight of the flat prior in problems, so that what was not seen yet stays possible
_N_ITERATIONS = 200  # the fit changes in the fourth digit after 100
_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[bB](?![a-z])|-(\d+(?:\.\d+)?)[bB](?![a-z])")


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms it runs.  `tokens_per_s` is what one request gets; `usd_per_gpu_hour` 0 counts prices alone."""

    gpu: str = "H100"
    usd_per_gpu_hour: float = 0.0
    tokens_per_s: float = 30.0

    def __post_init__(self) -> None:
        if self.gpu not in GPUS:
            raise InputError("this GPU is not known", self.gpu, ", ".join(GPUS), "name the nearest one")


@dataclass(frozen=True, slots=True)
class Step:
    """An asking of the recipe, and its band where it is a filter.

    `teaches`: its correct rollouts are chains.  `judges`: it is asked about chains, not problems.
    """

    name: str
    asking: RolloutSettings
    band: Band | None = None
    teaches: bool = False
    judges: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """One step.  Rollouts for the fixed plan and expected with stopping; tokens, hours, dollars, bytes are expected.

    A judge's `n_problems` and `n_kept` are chains, and its `n_fixed` holds if every rollout of a teacher is correct.
    `known` says how much is from rollouts and not assumed; `gpu_hours` is None where a model's size is not known.
    """

    step: str
    n_problems: float
    n_fixed: int
    n_expected: float
    n_kept: float
    n_in: float
    n_out: float
    gpu_hours: float | None
    usd: float
    hours: float
    disk_bytes: float
    known: str


def plan(
    steps: Sequence[Step], problems: Sequence[Problem], terms: Terms, ledger: Ledger | None = None
) -> list[Planned]:
    """The steps in order, each on what the one before is expected to keep.  Raises InputError for an empty pool."""
    if not problems:
        raise InputError("there is nothing to plan for", "0 problems", "one or more", "check the pool")
    n_left, rows, chains = float(len(problems)), [], _Chains()
    sample = problems[:1000]
    letters = sum(len(p.problem) for p in sample) / len(sample)
    for step in steps:
        counts, lengths = _seen(step.asking, ledger)
        weights = fit_pass_rates(counts)
        length = sum(lengths) / len(lengths) if lengths else step.asking.sampling.max_tokens / 2
        share, n_mean = expected(step, weights)
        known = f"{len(counts):,} problems" if counts else "assumed"
        if step.judges:
            n = step.asking.n_in_all
            asked, n_fixed = chains.n_expected, round(n * chains.n_most)
            read = letters + CHARACTERS * chains.length + len(prompts.rubric("", ""))
            rows.append(_planned(step, asked, (n_fixed, n * asked, asked), (read, length), terms, chains.known))
            continue
        n_fixed = round(n_left * step.asking.n_in_all)
        row = _planned(step, n_left, (n_fixed, n_left * n_mean, n_left * share), (letters, length), terms, known)
        rows.append(row)
        if step.teaches:
            chains.add(step, n_left, row.n_kept, float(weights @ PASS_RATES), length, known)
        n_left = row.n_kept
    return rows


@dataclass(slots=True)
class _Chains:
    """The chains that a judge will see: expected, at most, and their mean length in tokens."""

    n_expected: float = 0.0
    n_most: float = 0.0
    n_tokens: float = 0.0
    known: str = "assumed"

    @property
    def length(self) -> float:
        return self.n_tokens / self.n_expected if self.n_expected else 0.0

    def add(self, step: Step, n_asked: float, n_kept: float, rate: float, length: float, known: str) -> None:
        """The correct rollouts of a step: of a filter those of what it keeps, in the middle of its band."""
        each = (step.band.low + step.band.high) / 2 if step.band else rate * step.asking.n_in_all
        n = n_kept * each
        self.n_expected += n
        self.n_tokens += n * length
        self.n_most += n_asked * (step.band.high if step.band else step.asking.n_in_all)
        self.known = known


def _planned(
    step: Step,
    n_problems: float,
    rollouts: tuple[int, float, float],
    lengths: tuple[float, float],
    terms: Terms,
    known: str,
) -> Planned:
    """One row.  `rollouts`: of the fixed plan, expected, and what is kept; `lengths`: characters in, tokens out."""
    asking, (n_fixed, n_expected, n_kept), (letters, length) = step.asking, rollouts, lengths
    n_in, n_out = n_expected * (letters + len(asking.system)) / CHARACTERS, n_expected * length
    each = 1 / len(asking.models)
    sizes = [_size(model) for model in asking.models]
    gpu = None if None in sizes else sum(_gpu_hours(size or 0, n_in * each, n_out * each, terms) for size in sizes)
    price = sum(each * (n_in * m.price.input + n_out * m.price.output) / 1e6 for m in asking.models)
    hours = sum(each * n_out / (terms.tokens_per_s * m.concurrency) for m in asking.models) / 3600
    usd = price + (gpu or 0.0) * terms.usd_per_gpu_hour
    disk = n_expected * (length * CHARACTERS + ROW_BYTES)
    return Planned(step.name, n_problems, n_fixed, n_expected, n_kept, n_in, n_out, gpu, usd, hours, disk, known)


def expected(step: Step, weights: np.ndarray) -> tuple[float, float]:
    """The share of problems kept and the mean rollouts of one; `weights` are those of PASS_RATES."""
    n = step.asking.n_in_all
    if step.band is None:
        return 1.0, float(n)
    each = step.asking.n if len(step.asking.models) > 1 else 1  # several models stop only between them
    open_ = np.zeros((n + 1, len(PASS_RATES)))  # chance of so many right and not stopped, by pass rate
    open_[0] = 1.0
    kept, asked = np.zeros(len(PASS_RATES)), np.zeros(len(PASS_RATES))
    for total in range(n + 1):
        for c in range(total + 1):
            decision = decide(step.band, c, total - c) if total % each == 0 else None
            if decision is not None:
                kept += open_[c] * (decision == "keep")
                open_[c] = 0.0
        if total < n:
            asked += open_.sum(axis=0)
            up = open_ * PASS_RATES
            open_ *= 1 - PASS_RATES
            open_[1:] += up[:-1]
    return float(weights @ kept), float(weights @ asked)


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


def _seen(asking: RolloutSettings, ledger: Ledger | None) -> tuple[list[tuple[int, int]], list[float]]:
    """What a ledger shows of the asking: (correct, wrong) of each problem, and each model's mean length."""
    counts: dict[str, list[int]] = {}
    lengths: list[float] = []
    where = (prompts.prompt_hash(asking.system), asking.sampling.sampling().hash)
    for model in asking.models if ledger is not None else ():
        assert ledger is not None
        for stored in ledger.outcomes(model.name, *where):
            if stored.index < asking.n and not stored.is_error and stored.outcome not in ("", "undecided"):
                counts.setdefault(stored.problem_id, [0, 0])[stored.outcome != "correct"] += 1
        n, _, n_out = ledger.usage_by_model().get(model.name, (0, 0, 0))
        lengths += [n_out / n] if n and n_out else []
    return [(right, wrong) for right, wrong in counts.values()], lengths


def _size(model: ModelSettings) -> float | None:
    """Billions of parameters, as the recipe says or names say them: Qwen2.5-32B-Instruct."""
    if model.size_b is not None:
        return model.size_b
    found = [_SIZE.search(text) for text in (model.name, model.source)]
    return next((float(one[1] or one[2]) for one in found if one), None)


def _gpu_hours(billions: float, n_in: float, n_out: float, terms: Terms) -> float:
    """Two operations a parameter and token, at the shares of the GPU's peak that reading and writing reach."""
    peak = GPUS[terms.gpu] * 1e12
    return 2e9 * billions * (n_in / READING + n_out / WRITING) / peak / 3600


def table(rows: Sequence[Planned]) -> list[list[object]]:
    """Head, steps and sum, for printing."""
    head = [
        "step",
        "problems",
        "fixed",
        "expected",
        "kept",
        "tokens in",
        "tokens out",
        "GPU-hours",
        "USD",
        "hours",
        "disk",
    ]
    shown = [[*head, "from"]]
    for r in rows:
        gpu = "?" if r.gpu_hours is None else f"{r.gpu_hours:,.2f}"
        numbers = (r.n_problems, r.n_fixed, r.n_expected, r.n_kept, r.n_in, r.n_out)
        cells = [f"{number:,.0f}" for number in numbers] + [
            gpu,
            f"{r.usd:,.2f}",
            f"{r.hours:,.2f}",
            _bytes(r.disk_bytes),
        ]
        shown.append([r.step, *cells, r.known])
    sums = [sum(getattr(r, name) for r in rows) for name in ("n_fixed", "n_expected", "n_in", "n_out", "usd", "hours")]
    gpus = [r.gpu_hours for r in rows]
    gpu = "?" if None in gpus else f"{sum(one or 0.0 for one in gpus):,.2f}"
    disk = _bytes(sum(r.disk_bytes for r in rows))
    n_fixed, n_expected, n_in, n_out, usd, hours = sums
    tail = [f"{n_in:,.0f}", f"{n_out:,.0f}", gpu, f"{usd:,.2f}", f"{hours:,.2f}", disk, ""]
    shown.append(["in all", "", f"{n_fixed:,.0f}", f"{n_expected:,.0f}", "", *tail])
    return [list(row) for row in shown]


def _bytes(n: float) -> str:
    return f"{n / 2**30:,.1f} GB" if n >= 2**30 else f"{n / 2**20:,.1f} MB"
