"""The report of a pocket lab run: its texts, the funnel, and cases that are picked by a rule."""

from __future__ import annotations

import json
from collections.abc import Sequence

from limo.core.progress import NoProgress
from limo.core.records import Problem
from limo.experiments.arms import Experiment
from limo.experiments.lab import StageLab
from limo.experiments.pocket import world
from limo.experiments.results import Measured, build_report
from limo.ledger.store import Ledger
from limo.report.content import BenchmarkRow, Case, CaseRollout, LocalizedText, Report, StageRow
from limo.stages.curate import CurateResult

_STAGE_LABELS = {
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


def build_pocket_report(lab: StageLab, experiments: Sequence[Experiment], measured: Measured) -> Report:
    """Everything that the page and the terminal show of a finished run."""
    families = world.wording()["families"].items()
    labels = {name: (spec["label"]["en"], spec["label"]["zh"]) for name, spec in families}
    environment = json.loads((lab.folder / "environment.json").read_text(encoding="utf-8"))
    return build_report(
        LocalizedText("LIMO in the pocket lab", "口袋实验室里的 LIMO"),
        [BenchmarkRow(f"pocket-{name}", *labels[name], spec["group"]) for name, spec in families],
        experiments,
        measured,
        lab.recipe.student,
        subtitle=LocalizedText(
            "The whole method in miniature: a tiny model, a synthetic world, real sampling and real training.",
            "完整方法的缩影：微型模型、合成世界，真实的采样与训练。",
        ),
        funnel=_funnel(lab.curate(NoProgress())),
        cases=_cases(lab, measured),
        notes=_notes(lab),
        environment={key: str(value) for key, value in environment.items()},
        recipe=lab.recipe.to_yaml(),
        rebuild="limo lab pocket --run runs/lab",
    )


def _funnel(curated: CurateResult) -> list[StageRow]:
    rows = []
    for row in curated.funnel:
        en, zh = _STAGE_LABELS.get(row.stage, (row.stage, ""))
        unit = "problems" if row.unit in ("rows", "problems") else "chains"
        rows.append(StageRow(row.stage, en, zh, row.n_in, row.n_kept, dict(row.n_by_reason), unit))  # type: ignore[arg-type]
    return rows


def _cases(lab: StageLab, measured: Measured) -> list[Case]:
    """By rule: the longest problem that LIMO solves and bulk does not, and the shortest that LIMO gets wrong."""
    limo, bulk = (measured[arm][0].outcomes for arm in ("limo", "bulk"))
    problems = [(name, problem) for name, rows in lab.benchmarks().items() for problem in rows]
    won = [(n, p) for n, p in problems if limo[n].get(p.id) == 1 and bulk[n].get(p.id) == 0]
    lost = [(n, p) for n, p in problems if limo[n].get(p.id) == 0]
    cases = []
    if won:
        remark = LocalizedText(
            "The longest problem that LIMO solves and bulk does not.", "LIMO 答对而大量数据答错的最长的题。"
        )
        cases.append(_case(lab, measured, *max(won, key=_depth), remark))
    if lost:
        remark = LocalizedText("The shortest problem that LIMO gets wrong.", "LIMO 答错的最短的题。")
        cases.append(_case(lab, measured, *min(lost, key=_depth), remark))
    return cases


def _depth(row: tuple[str, Problem]) -> tuple[int, str]:
    return int(str(row[1].meta["depth"])), row[1].id


def _case(lab: StageLab, measured: Measured, benchmark: str, problem: Problem, remark: LocalizedText) -> Case:
    rollouts = []
    for arm in _CASE_ARMS:
        with Ledger(lab.ledger_path(arm, lab.seeds[0])) as ledger:
            rollout = next(r for r in ledger.rollouts() if r.problem_id == problem.id)
        verdict, completion = rollout.verdict, rollout.completion
        assert verdict is not None, rollout.key
        judged = (verdict.outcome, verdict.extracted, verdict.reason)
        provenance = measured[arm][0].provenance.get(benchmark)
        rollouts.append(CaseRollout(arm, completion.text, *judged, completion.n_completion_tokens, provenance))
    return Case(problem.problem, problem.answer, rollouts, benchmark, remark_en=remark.en, remark_zh=remark.zh)


def _notes(lab: StageLab) -> list[LocalizedText]:
    small, bulk = lab.recipe.sft.max_steps, lab.recipe.sft_bulk.max_steps
    return [
        LocalizedText(
            "Chains were sampled from models and verified; the world writes problems and answers only.",
            "推理链均由模型采样并经验证；合成世界只出题目与答案。",
        ),
        LocalizedText(
            f"The bulk arm trains on all ten families, LIMO on three; both make as many updates ({small} and {bulk}).",
            f"大量数据组训练全部十类题，LIMO 只训练三类；两者更新次数相同（{bulk} 与 {small}）。",
        ),
        LocalizedText(
            "A million-parameter model in a synthetic world: what holds here is a hint about the method, no proof "
            "about large models.",
            "这是百万参数模型在合成世界中的结果：对方法是提示，对大模型不是证明。",
        ),
    ]
