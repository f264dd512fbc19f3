"""The report of a pocket lab run: its texts, the funnel, and which problems become case studies (`_study`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limo.core.environment import environment_rows
from limo.core.files import shipped_yaml
from limo.core.records import LEVELS, Problem
from limo.core.run_files import read_json
from limo.core.run_folder import RunFolder
from limo.curate.funnel import FunnelRow
from limo.experiments.arms import Arm
from limo.experiments.lab import Lab
from limo.experiments.pocket import world
from limo.experiments.results import Measured, build_report
from limo.ledger.store import Ledger
from limo.report.content import BenchmarkRow, Case, CaseRollout, LocalizedText, Report, StageRow
from limo.stages.reports.cases import case_rollout, left_out_notes, make_cases
from limo.stages.reports.texts import stage_name

_NOTES = ("note_world", "note_chains", "note_choice", "note_updates", "note_scale")


def _text(name: str, **values: object) -> LocalizedText:
    return LocalizedText.filled(shipped_yaml(__file__, "report.yaml")[name], **values)


def build_pocket_report(lab: Lab, arms: Sequence[Arm], pairs: Sequence[tuple[str, str]], measured: Measured) -> Report:
    """Everything that the page and the terminal show of a finished run."""
    families = world.wording()["families"].items()
    labels = {name: (spec["label"]["en"], spec["label"]["zh"]) for name, spec in families}
    cases, n_problems = _cases(lab, arms, measured), sum(map(len, lab.benchmarks().values()))
    environment = read_json(lab.folder / "environment.json", dict[str, Any])
    return build_report(
        _text("title"),
        [BenchmarkRow(f"pocket-{name}", *labels[name], spec["group"]) for name, spec in families],
        arms,
        pairs,
        measured,
        lab.recipe.student,
        subtitle=_text("subtitle"),
        funnel=_funnel(RunFolder(lab.folder / "curation").read_json("funnel.json", list[FunnelRow])),
        cases=cases,
        notes=[
            *(_text(note, n_updates=lab.recipe.sft.max_steps) for note in _NOTES),
            *left_out_notes(len(cases), n_problems),
        ],
        environment=environment_rows(environment),
        recipe=lab.recipe.to_yaml(),
        rebuild="limo lab pocket --run runs/lab",
    )


def _funnel(funnel: list[FunnelRow]) -> list[StageRow]:
    rows = []
    for row in funnel:
        label = stage_name(row.stage)
        unit = "problems" if row.unit in ("rows", "problems") else "chains"
        rows.append(StageRow(row.stage, label.en, label.zh, row.n_in, row.n_kept, dict(row.n_by_reason), unit))  # type: ignore[arg-type]
    return rows


def _cases(lab: Lab, arms: Sequence[Arm], measured: Measured) -> list[Case]:
    """Two studies by rule, then the grid of the headline's arms, and of the lowest level, on problems.

    The studies: the deepest problem that LIMO solves and bulk does not, and the shallowest that LIMO gets wrong.
    """
    problems = {problem.id: (name, problem) for name, rows in lab.benchmarks().items() for problem in rows}
    by_arm: dict[str, dict[str, list[CaseRollout]]] = {}
    for arm in (arm.name for arm in arms if arm.is_headline or arm.name == LEVELS[0]):
        with Ledger(lab.ledger_path(arm, lab.recipe.seeds[0]), read_only=True) as ledger:
            sources = measured[arm][0].provenance
            rollouts = (rollout for rollout in ledger.rollouts() if rollout.problem_id in problems)
            by_arm[arm] = {
                r.problem_id: [case_rollout(arm, r, source=sources.get(problems[r.problem_id][0]))] for r in rollouts
            }
    studies = [_study(by_arm, problems[name], remark) for name, remark in _studied(measured, problems)]
    studied = {study.problem for study in studies}
    left = {name: row for name, row in problems.items() if row[1].problem not in studied}
    return studies + make_cases(by_arm, left)


def _studied(measured: Measured, problems: dict[str, tuple[str, Problem]]) -> list[tuple[str, LocalizedText]]:
    """The ids of the problems that are studied, and why."""
    if not {"limo", "bulk_terse"} <= measured.keys():
        return []
    limo, bulk = (measured[arm][0].pass_rates for arm in ("limo", "bulk_terse"))
    won = [p for n, p in problems.values() if limo[n].get(p.id) == 1 and bulk[n].get(p.id) == 0]
    lost = [p for n, p in problems.values() if limo[n].get(p.id) == 0]
    found = [(max(won, key=_depth).id, _text("case_won"))] if won else []
    return found + ([(min(lost, key=_depth).id, _text("case_lost"))] if lost else [])


def _depth(problem: Problem) -> tuple[int, str]:
    return int(str(problem.meta["depth"])), problem.id


def _study(
    by_arm: dict[str, dict[str, list[CaseRollout]]], row: tuple[str, Problem], remark: LocalizedText
) -> Case:  # fmt: skip
    benchmark, problem = row
    rollouts = [rollout for of_arm in by_arm.values() for rollout in of_arm.get(problem.id, [])]
    return Case(problem.problem, problem.answer, rollouts, benchmark, remark_en=remark.en, remark_zh=remark.zh)
