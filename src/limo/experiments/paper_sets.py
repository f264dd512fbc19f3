"""The training sets of the paper lab: published rows, or a choice among the chains of a run of `limo curate`.

write_set(recipe, "limo", Path("runs/paper/sets/limo.jsonl"))
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.files import atomic
from limo.core.records import LEVELS, Problem, Row
from limo.core.rows import json_line
from limo.core.run_folder import RunFolder
from limo.core.text import content_hash
from limo.curate.difficulty import pass_rate_of
from limo.curate.select import Candidate, SelectSettings, sample_levels, select
from limo.curate.strata import stratify
from limo.experiments.paper_recipe import PaperRecipe, TrainingSet
from limo.pool.ingest import ingest, write_pool
from limo.stages.curate import graded_chains, problems_after
from limo.train.data import read_rows
from limo.verify.checker import Checker
from limo.verify.verifier import MathsSettings


def write_set(recipe: PaperRecipe, name: str, path: Path) -> int:
    """Write the rows of a training set as JSON lines, or a pool as Parquet; the number of rows.

    Raises InputError (no such set, a curation that is not there, too few rows), MissingFileError (hub or path).
    """
    settings = recipe.training_set(name)
    if settings.is_pool:
        problems = _pool(settings)
        write_pool(problems, path)
        return len(problems)
    rows = _drawn(read_rows(settings.rows, settings.system), settings.n) if settings.rows else _curated(recipe, name)
    if len(rows) < settings.n:
        do = "bring more rows, or lower `n` of the set in the recipe"
        raise InputError(f"the training set {name} has too few rows", len(rows), f"{settings.n:,} or more", do)
    with atomic(path) as temporary, open(temporary, "wb") as lines:
        lines.writelines(json_line({"messages": row["messages"]}) for row in rows)
    return len(rows)


def _pool(settings: TrainingSet) -> list[Problem]:
    with Checker(MathsSettings()) as checker:
        found = ingest([settings.rows], checker.why_not)
    unique = {problem.id: problem for problem in found.problems}
    return sorted(unique.values(), key=lambda problem: content_hash(problem.id))[: settings.n or None]


def _drawn(rows: Sequence[Mapping[str, Any]], n: int) -> list[Mapping[str, Any]]:
    """The first `n` rows in the order of their hashes, or all as they are."""
    if not n:
        return list(rows)
    return sorted(rows, key=lambda row: content_hash(json.dumps(row, sort_keys=True, default=str)))[:n]


def _curated(recipe: PaperRecipe, name: str) -> Sequence[Mapping[str, Any]]:
    settings = recipe.training_set(name)
    if not recipe.curation:
        do = "run `limo curate limo-v2` and give its folder: curation=runs/limo-v2"
        raise InputError(f"the training set {name} is chosen from a curation", "none", "a run of `limo curate`", do)
    run = RunFolder(recipe.curation)
    before = list(run.counts())[: list(run.counts()).index("chains")] if run.done("chains") else []
    if not before:
        do = "let `limo curate` end first"
        raise InputError("the curation is not done", recipe.curation, "a run with chains and grades", do)
    problems = {problem.id: problem for problem in problems_after(run, before[-1])}
    chains, grades = graded_chains(run)
    if settings.level:
        sampled = sample_levels(chains, grades, settings.n or len(chains), LEVELS)[settings.level]
        return [_row(problems[chain.problem_id], chain.text, settings) for chain, _ in sampled]
    rows = run.read_stage(before[-1])
    rates = {row["id"]: pass_rate_of(row, before[-1]) for row in rows}
    if settings.stratum:
        if recipe.strata is None:
            do = "say in the recipe's `strata` what is simple, complex and advanced"
            raise InputError(f"the training set {name} is a stratum", settings.stratum, "`strata` in the recipe", do)
        members = {problem.id for problem in stratify(problems.values(), recipe.strata, rates)[settings.stratum]}
        problems = {key: problem for key, problem in problems.items() if key in members}
    pairs = [pair for pair in zip(chains, grades, strict=True) if pair[0].problem_id in problems]
    candidates = [Candidate(problems[c.problem_id], c, g, (rates[c.problem_id],)) for c, g in pairs]
    kept, _ = select(candidates, SelectSettings(k=settings.n or len(pairs) or 1, by=settings.choice))
    return [_row(one.problem, one.chain.text, settings) for one in kept]


def _row(problem: Problem, text: str, settings: TrainingSet) -> Row:
    messages = prompts.messages(problem.problem, settings.system)
    return {"messages": [*messages, {"role": "assistant", "content": text}]}
