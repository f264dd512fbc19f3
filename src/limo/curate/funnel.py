"""The funnel of a curation: what came into each stage, what was kept, and what was dropped for which reason."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from limo.core.records import Chain, Dropped, Grade, Problem
from limo.core.run_folder import RunFolder, RunPool
from limo.core.text import as_argument
from limo.curate.chains import SETTING_OF, chains_from_table
from limo.curate.difficulty import TOO_EASY, TOO_HARD
from limo.curate.grade import match_grades

UNITS = {"ingest": "rows", "chains": "rollouts", "grade": "chains", "select": "chains", "export": "chains"}
"""What a stage counts; every other one counts problems."""


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One stage: how many `unit` (rows, problems, rollouts, chains) came in; the kept ones are of `n_problems`."""

    stage: str
    unit: str
    n_in: int
    n_kept: int
    n_problems: int
    n_by_reason: dict[str, int]


def read_funnel(run_folder: RunFolder) -> list[FunnelRow]:
    """The stages of a run that are done, in order; what is counted turns from problems to rollouts to chains."""
    rows: list[FunnelRow] = []
    for stage, counts in run_folder.counts().items():
        n_in, unit = counts.n_kept + counts.n_dropped, UNITS.get(stage, "problems")
        n_problems = len({row.get("problem_id") or row["id"] for row in run_folder.read_stage(stage)})
        rows.append(FunnelRow(stage, unit, n_in, counts.n_kept, n_problems, counts.n_by_reason))
    return rows


def graded_chains(run_folder: RunFolder) -> tuple[list[Chain], list[Grade]]:
    """Every graded chain of a run, not only the best of each problem; for `select.sample_levels` and for audits."""
    return match_grades(chains_from_table(run_folder.read_stage("chains")), run_folder.read_stage("grade"))


def problems_after(run_folder: RunFolder, step: str) -> list[Problem]:
    """The problems that were left after `ingest`, `dedup`, `decontaminate` or a filter."""
    pool = RunPool(run_folder.read_problems())
    return [pool.problem(row) for row in run_folder.read_stage(step)]


def check_funnel(funnel: Sequence[FunnelRow]) -> None:
    """Raise AssertionError where counts do not add up: in a stage, or between stages that count the same things."""
    for row in funnel:
        if row.n_in != row.n_kept + sum(row.n_by_reason.values()):
            raise AssertionError(f"{row.stage}: {row.n_in} came in, {row.n_kept} were kept, dropped {row.n_by_reason}")
    for before, after in pairwise(funnel):
        if after.unit != "rollouts" and before.n_kept != after.n_in:
            raise AssertionError(f"{before.stage} kept {before.n_kept}, but {after.n_in} came to {after.stage}")


def describe_reasons(n_by_reason: dict[str, int]) -> str:
    """`280: too easy 270, suspect 10`, or `0`."""
    total = sum(n_by_reason.values())
    return f"{total:,}: " + ", ".join(f"{reason} {n:,}" for reason, n in n_by_reason.items()) if total else "0"


def how_to_loosen(key: str, run: Path) -> str:
    """What to do where a step of a run keeps nothing, and most by this setting."""
    if key == "chains.boxed":
        folder = shlex.quote(as_argument(str(run)))
        command = f"limo curate {folder}/recipe.yaml {key}=false --run {folder}"
        return f"take chains without a box, none is paid again: {command}"
    return f"loosen {key} and give the same --run, or bring more problems or rollouts in a new one"


def tightest_setting(dropped: Iterable[Dropped], of_step: str) -> str:
    """The setting that most were dropped by; that of the whole step where no reason has one."""
    keys = SETTING_OF | {TOO_EASY: "high", TOO_HARD: "low"}
    counts = Counter(keys[record.reason] for record in dropped if record.reason in keys)
    return f"{of_step}.{counts.most_common(1)[0][0]}" if counts else of_step


def describe_dropped(dropped: Sequence[Dropped], with_detail: bool = False) -> str:
    """How many were dropped for which reason, the commonest first; with the commonest detail where a record has one."""
    reasons = describe_reasons(dict(Counter(record.reason for record in dropped).most_common()))
    details = Counter(record.why for record in dropped if with_detail and record.why != record.reason)
    return f"{reasons}; most of them: {details.most_common(1)[0][0]}" if details else reasons
