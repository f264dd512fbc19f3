"""The report of a lab run: measurements to tables, the funnel, and case studies picked by a rule, never by eye.

    report = build(lab, measured, curated)

What it does not do: measure, or draw (limo.report does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from limo.core.records import Problem
from limo.experiments import results
from limo.experiments.headline import HEADLINE
from limo.experiments.lab import Experiment
from limo.experiments.pocket import world
from limo.experiments.pocket.lab import PocketLab
from limo.experiments.rq1_chain_quality import RQ1
from limo.ledger.store import Ledger
from limo.report.content import BenchmarkGroup, BenchmarkRow, Case, CaseRollout, LocalizedText, Report, StageRow
from limo.stages.curate import CurateResult

EXPERIMENTS: tuple[Experiment, ...] = (HEADLINE, RQ1)
_STAGES = {
    "ingest": ("Pool", "题库"),
    "dedup": ("Deduplicated", "去重"),
    "decontaminate": ("Decontaminated", "去污染"),
    "weak_filter": ("Weak model fails", "弱模型答错"),
    "strong_filter": ("Strong model sometimes right", "强模型偶尔答对"),
    "chains": ("Correct chains", "正确的推理链"),
    "grade": ("Graded", "评级"),
    "select": ("Selected", "入选"),
    "export": ("Exported", "导出"),
}
_CASE_ARMS = ("base", "bulk", "L1", "limo")


def build(lab: PocketLab, measured: results.Measured, curated: CurateResult) -> Report:
    """Everything that the page and the terminal show."""
    found = results.outcomes(measured)
    inside, outside = ([f"pocket-{name}" for name in world.families(group)] for group in ("in-domain", "out-of-domain"))
    groups: dict[BenchmarkGroup, Sequence[str]] = {"in-domain": inside, "out-of-domain": outside}
    groups["all"] = inside + outside
    known = [arm for experiment in EXPERIMENTS for arm in experiment.arms]
    pairs = [pair for experiment in EXPERIMENTS for pair in experiment.pairs]
    environment = json.loads((lab.folder / "environment.json").read_text(encoding="utf-8"))
    return Report(
        title=LocalizedText("LIMO in the pocket lab", "口袋实验室里的 LIMO"),
        subtitle=LocalizedText(
            "The whole method in miniature: a tiny model, a synthetic world, real sampling and real training.",
            "完整方法的缩影：微型模型、合成世界，真实的采样与训练。",
        ),
        arms=results.arms(measured, known, lab.recipe.student),
        benchmarks=_benchmarks(),
        scores=results.scores(found, groups["all"]),
        averages=results.averages(found, groups),
        comparisons=results.comparisons(found, pairs, groups),
        levels=results.levels(measured, found, groups["all"]),
        funnel=_funnel(curated),
        cases=_cases(lab, found),
        notes=_notes(lab),
        environment={key: str(value) for key, value in environment.items()},
        recipe=lab.recipe.to_yaml(),
        rebuild="limo lab pocket --run runs/lab",
    )


def _benchmarks() -> list[BenchmarkRow]:
    specs = world.wording()["families"]
    return [
        BenchmarkRow(f"pocket-{name}", spec["label"]["en"], spec["label"]["zh"], spec["group"])
        for name, spec in specs.items()
    ]


def _funnel(curated: CurateResult) -> list[StageRow]:
    rows = []
    for one in curated.funnel:
        en, zh = _STAGES.get(one.stage, (one.stage, ""))
        unit = "problems" if one.unit in ("rows", "problems") else "chains"
        rows.append(StageRow(one.stage, en, zh, one.n_in, one.n_kept, dict(one.n_by_reason), unit))  # type: ignore[arg-type]
    return rows


def _cases(lab: PocketLab, found: results.ArmOutcomes) -> list[Case]:
    """By rule: the longest problem that LIMO solves and bulk does not, and the shortest that LIMO gets wrong."""
    seed = lab.seeds[0]
    limo, bulk = found["limo"][seed], found["bulk"][seed]
    problems = [(name, problem) for name, rows in lab.benchmarks().items() for problem in rows]
    won = [(n, p) for n, p in problems if limo[n].get(p.id) == 1 and bulk[n].get(p.id) == 0]
    lost = [(n, p) for n, p in problems if limo[n].get(p.id) == 0]
    cases = []
    if won:
        remark = ("The longest problem that LIMO solves and bulk does not.", "LIMO 答对而大量数据答错的最长的题。")
        cases.append(_case(lab, *max(won, key=_depth), *remark))
    if lost:
        remark = ("The shortest problem that LIMO gets wrong.", "LIMO 答错的最短的题。")
        cases.append(_case(lab, *min(lost, key=_depth), *remark))
    return cases


def _depth(row: tuple[str, Problem]) -> tuple[int, str]:
    return int(str(row[1].meta["depth"])), row[1].id


def _case(lab: PocketLab, benchmark: str, problem: Problem, en: str, zh: str) -> Case:
    attempts = []
    for arm in _CASE_ARMS:
        file = lab.folder / "arms" / arm / f"seed-{lab.seeds[0]}" / "ledger.sqlite"
        with Ledger(file) as ledger:
            rollout = next(r for r in ledger.rollouts() if r.problem_id == problem.id)
        verdict = rollout.verdict
        assert verdict is not None, rollout.key
        text, n_tokens = rollout.completion.text, rollout.completion.n_completion_tokens
        attempts.append(CaseRollout(arm, text, verdict.outcome, verdict.extracted, verdict.reason, n_tokens))
    return Case(problem.problem, problem.answer, attempts, benchmark, remark_en=en, remark_zh=zh)


def _notes(lab: PocketLab) -> list[LocalizedText]:
    recipe = lab.recipe
    return [
        LocalizedText(
            "Chains were sampled from models and verified; the world writes problems and answers only.",
            "推理链均由模型采样并经验证；合成世界只出题目与答案。",
        ),
        LocalizedText(
            "The bulk arm trains on all ten families, LIMO on three; both make as many updates "
            f"({recipe.sft.max_steps} and {recipe.sft_bulk.max_steps}).",
            "大量数据组训练全部十类题，LIMO 只训练三类；两者更新次数相同"
            f"（{recipe.sft_bulk.max_steps} 与 {recipe.sft.max_steps}）。",
        ),
        LocalizedText(
            "A million-parameter model in a synthetic world: what holds here is a hint about the method, no proof "
            "about large models.",
            "这是百万参数模型在合成世界中的结果：对方法是提示，对大模型不是证明。",
        ),
    ]
