"""Selects what an arm is trained on, from the candidates of the curated run or of a collection.

A collection is a pool of problems with a model's rollouts: deduplicated, decontaminated and verified like the curated
ones, and neither filtered by difficulty nor chosen by quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core.errors import InputError
from limo.core.prompts import prompt_hash
from limo.core.recipe import Settings
from limo.core.records import Chain, Grade, PassRate, Problem, Rollout
from limo.core.run_folder import RunFolder
from limo.core.text import content_hash
from limo.curate.chains import ChainSettings, accept, chain_hash, lacks_box, without_thought_markers
from limo.curate.difficulty import pass_rate_of
from limo.curate.funnel import graded_chains, problems_after
from limo.curate.grade import GradeSettings, grade
from limo.curate.select import Candidate, SelectSettings, sample_levels, select
from limo.curate.strata import STRATA, StrataSettings, stratify
from limo.experiments.arms import Selection
from limo.ledger.store import Ledger
from limo.rollouts.runner import RolloutRunner, RolloutSettings
from limo.stages import curate as curate_stage
from limo.verify.checker import Checker

LENGTH_BINS = 10  # groups of like length for `equal_length`: our own choice
Stratum = dict[str, list[Any]]
"""Column of a problem (or key of its `meta`) -> [lowest, highest] number (of a list: of entries), or allowed texts."""
Strata = Mapping[str, Stratum] | StrataSettings
"""Conditions by name, or the paper's three strata by source, stated difficulty or pass rate."""


class CollectionSettings(Settings):
    """Problems and the model that writes their chains, unfiltered."""

    pool: str = Field(description="its problems, in the data folder")
    n_problems: int | None = Field(None, ge=1, description="the first so many of the pool; None: all")
    ask: RolloutSettings = Field(description="the models that write the chains, and the sampling")


@dataclass(frozen=True, slots=True)
class CandidatePool:
    """Problems with their chains: `correct` ones graded, with the problem's pass rates; `wrong` ones end wrong."""

    problems: list[Problem]
    correct: list[Candidate]
    wrong: list[Candidate]


def curated_pool(recipe: curate_stage.Recipe, folder: Path, runner: RolloutRunner) -> CandidatePool:
    """What a finished curate run in `folder` holds: every graded chain, not only the selected ones."""
    with RunFolder(folder) as run:
        problems = problems_after(run, recipe.filters[-1].name if recipe.filters else "decontaminate")
        chains, grades = graded_chains(run)
        rates: dict[str, list[PassRate]] = {problem.id: [] for problem in problems}
        for settings in recipe.filters:
            for row in run.read_stage(settings.name):
                if row["id"] in rates:
                    rates[row["id"]].append(pass_rate_of(row, settings.name))
        path = run.ledger_path
    by_id = {problem.id: problem for problem in problems}
    pairs = zip(chains, grades, strict=True)
    correct = [Candidate(by_id[c.problem_id], c, g, tuple(rates[c.problem_id])) for c, g in pairs]
    teachers = [settings for settings in recipe.filters if settings.teacher] + recipe.teachers
    with Ledger(path, read_only=True) as ledger:
        rollouts = runner.rollouts(teachers, problems, ledger)
    return CandidatePool(problems, correct, _wrong(problems, rollouts, rates, recipe.with_prompts().chains))


def collected_pool(
    settings: CollectionSettings, problems: list[Problem], chains: ChainSettings, grading: GradeSettings, path: Path,
    runner: RolloutRunner, name: str,
) -> CandidatePool:  # fmt: skip
    """The chains of a collection; rollouts that its ledger at `path` lacks are requested."""
    with Ledger(path) as ledger, Checker() as checker:
        found = runner.run(settings.ask, problems, ledger, checker, name)
        rollouts = runner.rollouts([settings.ask], problems, ledger)
    accepted = [chain for problem in problems for chain in accept(problem, rollouts[problem.id], chains)[0]]
    by_id, rates = {problem.id: problem for problem in problems}, {name: [rate] for name, rate in found.items()}
    graded = zip(accepted, grade(accepted, grading), strict=True)
    correct = [Candidate(by_id[c.problem_id], c, g, (found[c.problem_id],)) for c, g in graded]
    return CandidatePool(problems, correct, _wrong(problems, rollouts, rates, chains))


def _wrong(
    problems: Sequence[Problem], rollouts: Mapping[str, list[Rollout]], rates: Mapping[str, Sequence[PassRate]],
    chains: ChainSettings,
) -> list[Candidate]:  # fmt: skip
    """Whole completions with a wrong answer, boxed where a chain's must be, as chains without a grade."""
    found = []
    for problem in problems:
        for rollout in rollouts[problem.id]:
            completion, verdict = rollout.completion, rollout.verdict
            if verdict is None or verdict.outcome != "wrong" or lacks_box(completion.text, chains):
                continue
            source = (rollout.model, rollout.prompt_hash, rollout.sampling_hash, rollout.index)
            text = without_thought_markers(completion.full_text)
            chain = Chain(problem.id, text, *source, completion.n_completion_tokens, verdict)
            found.append(Candidate(problem, chain, Grade({}, 0.0, "L1"), tuple(rates[problem.id])))
    return found


def select_chains(
    pool: CandidatePool, wanted: Selection, limo: SelectSettings, grading: GradeSettings, styles: Mapping[str, str],
    strata: Strata,
) -> list[Candidate]:  # fmt: skip
    """The chains of a selection, at most `k` and one a problem.

    `limo`: the curate stage's own settings; `styles`: name -> the system text that it was prompted by.  Raises
    InputError for a style or stratum that the recipe lacks, and where nothing is left.
    """
    candidates = pool.wrong if wanted.is_wrong else pool.correct
    if wanted.style:
        style = prompt_hash(_entry(styles, wanted.style, "style"))
        candidates = [candidate for candidate in candidates if candidate.chain.prompt_hash == style]
    if wanted.stratum:
        members = _members(pool, wanted.stratum, strata)
        candidates = [candidate for candidate in candidates if candidate.problem.id in members]
    k = wanted.k or limo.k
    if wanted.level:
        chosen = _of_level(candidates, wanted, k, grading)
    elif wanted.is_wrong:
        chosen = _drawn(candidates, k, wanted.seed)
    else:
        if wanted.among:
            candidates, _ = select(candidates, limo.model_copy(update={"k": wanted.among}))
        if wanted.equal_length:
            candidates = _regraded(candidates, grading)
        own = limo.model_copy(update={"k": k, "diversity": wanted.diversity or limo.diversity})
        by_rule = SelectSettings(k=k, by=wanted.by, seed=wanted.seed) if wanted.by != "limo" else own
        chosen, _ = select(candidates, by_rule)
    if not chosen:
        what, do = "a selection is empty", "change the arm, or collect more chains"
        raise InputError(what, wanted.model_dump(exclude_defaults=True), "one chain or more", do)
    return chosen


def select_problems(pool: CandidatePool, wanted: Selection, k: int, strata: Strata) -> list[Problem]:
    """The problems of a selection, whether a chain solves them or not: what reinforcement learning trains on."""
    problems = pool.problems
    if wanted.stratum:
        members = _members(pool, wanted.stratum, strata)
        problems = [problem for problem in problems if problem.id in members]
    return sorted(problems, key=lambda problem: content_hash(str(wanted.seed), problem.id))[:k]


def _members(pool: CandidatePool, name: str, strata: Strata) -> set[str]:
    """The ids of the problems of a stratum.  Raises InputError for one that the recipe lacks."""
    if not isinstance(strata, StrataSettings):
        stratum = _entry(strata, name, "stratum")
        return {problem.id for problem in pool.problems if in_stratum(problem, stratum)}
    rates = {candidate.problem.id: candidate.rates[-1] for candidate in pool.correct if candidate.rates}
    members = stratify(pool.problems, strata, rates)
    return {problem.id for problem in _entry(dict(zip(STRATA, members.values(), strict=True)), name, "stratum")}


def in_stratum(problem: Problem, stratum: Stratum) -> bool:
    """Whether a problem fulfils every condition; one that lacks the column does not."""
    for name, allowed in stratum.items():
        value = getattr(problem, name, problem.meta.get(name))
        if all(isinstance(bound, str) for bound in allowed):
            if value not in allowed:
                return False
            continue
        number = len(value) if isinstance(value, list | tuple) else value
        if not isinstance(number, int | float) or not allowed[0] <= number <= allowed[-1]:
            return False
    return True


def _entry(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise InputError(f"the recipe has no such {what}", name, known=table, do="add it to the recipe")
    return table[name]


def _of_level(candidates: Sequence[Candidate], wanted: Selection, k: int, grading: GradeSettings) -> list[Candidate]:
    """Chains of one level; with `equal_length` the levels are drawn anew among chains of like length."""
    graded = _regraded(candidates, grading) if wanted.equal_length else candidates
    chains, grades = [c.chain for c in graded], [c.grade for c in graded]
    by_hash = {chain_hash(candidate.chain): candidate for candidate in candidates}
    found = sample_levels(chains, grades, k, seed=wanted.seed, levels=("L1", "L2", "L3", "L4", "L5"))
    return [by_hash[chain_hash(chain)] for chain, _ in found[wanted.level]]  # type: ignore[index]


def _regraded(candidates: Sequence[Candidate], grading: GradeSettings) -> list[Candidate]:
    """The candidates with grades among chains of like length."""
    grades = grade([c.chain for c in candidates], grading.model_copy(update={"length_bins": LENGTH_BINS}))
    return [replace(candidate, grade=own) for candidate, own in zip(candidates, grades, strict=True)]


def _drawn(candidates: Sequence[Candidate], k: int, seed: int) -> list[Candidate]:
    """One chain each of `k` problems, by hash: what `select` does for `random`, which takes no wrong chains."""
    order = sorted(candidates, key=lambda c: content_hash(str(seed), c.problem.id, chain_hash(c.chain)))
    by_problem: dict[str, Candidate] = {}
    for candidate in order:
        by_problem.setdefault(candidate.problem.id, candidate)
    return list(by_problem.values())[:k]
