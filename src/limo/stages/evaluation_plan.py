"""What an evaluation will cost and send, before anything is requested: `limo evaluate RECIPE --dry-run`.

    plan = plan_evaluation(load(Recipe, "evaluate"), "runs/scores")
    plan.benchmarks[0].n_rollouts, plan.first_prompt, plan.warnings

The model's facts (context, template, engine) are read from its server or folder; nothing is completed.  Prompt tokens
are estimated at four characters each, lengths of completions as in `limo.stages.plan`.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from limo.core import prompts
from limo.core.errors import LimoError
from limo.core.files import resolve_data_path
from limo.core.records import FAILED, Problem
from limo.core.stats import expected_detectable
from limo.ledger.store import Ledger
from limo.models.local.chat_template import ChatTemplate
from limo.models.local.config import read_config
from limo.models.local.tokenizer import load_tokenizer
from limo.models.settings import HttpModelSettings, LocalModelSettings
from limo.pool.sources.benchmarks import benchmark_notes
from limo.stages.evaluate import Recipe
from limo.stages.fingerprint import Facts, model_facts
from limo.stages.plan import (
    CHARACTERS,
    CostAssumptions,
    lengths_note,
    measured_speed,
    tokens_each,
    writing_hours,
)


@dataclass(frozen=True, slots=True)
class PlannedBenchmark:
    """One benchmark: rollouts in all and in the ledger already, expected tokens of the missing ones, and hours.

    `longest` is the most tokens of a prompt and its completion together; `n_measured`: see `PlannedStep`.
    """

    benchmark: str
    n_problems: int
    n_rollouts: int
    n_stored: int
    n_in: float
    n_out: float
    hours: float
    longest: int
    n_measured: int


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """`first_prompt` as it is sent; `facts` of the model; `warnings`: what would spoil the run."""

    benchmarks: list[PlannedBenchmark]
    first_prompt: str
    facts: Facts
    notes: list[str]
    warnings: list[str]

    def table(self) -> list[list[object]]:
        """Head, benchmarks and sum, for printing."""
        rows: list[list[object]] = []
        for b in self.benchmarks:
            counts = [f"{n:,.0f}" for n in (b.n_problems, b.n_rollouts, b.n_stored, b.n_in, b.n_out)]
            rows.append([b.benchmark, *counts, f"{b.hours:,.2f}"])
        sums = [sum(getattr(b, name) for b in self.benchmarks) for name in list(asdict(self.benchmarks[0]))[1:-2]]
        total: list[object] = ["in all", *(f"{n:,.0f}" for n in sums[:-1]), f"{sums[-1]:,.2f}"]
        head: list[object] = ["benchmark", "problems", "rollouts", "in the ledger", "tokens in", "tokens out", "hours"]
        return [head, *rows, total]


def plan_evaluation(recipe: Recipe, folder: str | Path) -> EvaluationPlan:
    """The plan of an evaluation with what the ledger of the run in `folder` holds already.

    Raises InputError for a benchmark that cannot be read, ModelError for a model folder that cannot be used.
    """
    recipe, file = recipe.with_prompts(), Path(folder) / "ledger.sqlite"
    loaded = recipe.load_benchmarks()
    notes = [note for name, problems in loaded.items() for note in benchmark_notes(name, problems)]
    with Ledger(file, read_only=True) if file.is_file() else nullcontext() as ledger:
        planned = [_planned(recipe, name, problems, ledger) for name, problems in loaded.items()]
    notes += [f"{b.benchmark}: {expected_detectable(b.n_problems, b.n_rollouts / b.n_problems)}" for b in planned]
    notes.append(lengths_note(planned))
    first = next(problem for problems in loaded.values() for problem in problems)
    warnings, facts, prompt = [], {}, ""
    try:
        prompt = first_prompt(recipe, first)
        facts = model_facts(recipe.model, recipe.data)
    except LimoError as error:  # a server may be started later; a folder that cannot be used stays so
        if isinstance(recipe.model, LocalModelSettings):
            raise
        warnings.append(str(error))
    context = int(facts.get("context", 0))
    for benchmark in planned if context else []:
        if benchmark.longest > context:
            what = f"{benchmark.benchmark}: prompt and max_tokens need {benchmark.longest:,} tokens"
            warnings.append(f"{what}, the context has {context:,}; serve a longer one, or lower max_tokens")
    return EvaluationPlan(planned, prompt, facts, notes, warnings)


def first_prompt(recipe: Recipe, problem: Problem) -> str:
    """What is sent for a problem: the messages as JSON, or the text where a template is applied here.

    Raises ModelError for a model folder that cannot be used.
    """
    chat = prompts.messages(problem.problem, recipe.system)
    if isinstance(recipe.model, HttpModelSettings):
        is_chat = recipe.model.http.endpoint == "chat"
        return json.dumps(chat, ensure_ascii=False, indent=1) if is_chat else prompts.plain_text(chat)
    if isinstance(recipe.model, LocalModelSettings):
        path, trust = resolve_data_path(recipe.model.path, recipe.data), bool(recipe.model.trust_remote_code)
        tokenizer = load_tokenizer(path, read_config(path, trust), trust)
        return ChatTemplate(tokenizer, path).render([chat], add_generation_prompt=True)[0]
    return json.dumps(chat, ensure_ascii=False, indent=1)


def _planned(recipe: Recipe, name: str, rows: list[Problem], ledger: Ledger | None) -> PlannedBenchmark:
    problems = {problem.id: problem for problem in rows}
    decoding = recipe.decoding_of(name, list(problems.values()))
    n_rollouts, n_stored = decoding.n * len(problems), 0
    length, n_measured = tokens_each(ledger, [recipe.model.name], decoding.max_tokens)
    if ledger is not None:
        ledger_key = (recipe.model.name, prompts.prompt_hash(recipe.system), decoding.sampling().hash)
        stored = [
            row
            for row in ledger.outcomes(*ledger_key, problems)
            if row.index < decoding.n and row.finish_reason not in FAILED
        ]
        n_stored = len(stored)
    letters = [len(recipe.system) + len(problem.problem) for problem in problems.values()]
    n_missing = n_rollouts - n_stored
    n_out = n_missing * length
    hours = writing_hours(n_out, recipe.model.concurrency, CostAssumptions(), measured_speed(ledger))
    longest = max(letters) // CHARACTERS + decoding.max_tokens
    n_in = n_missing * sum(letters) / len(letters) / CHARACTERS
    return PlannedBenchmark(name, len(problems), n_rollouts, n_stored, n_in, n_out, hours, longest, n_measured)
