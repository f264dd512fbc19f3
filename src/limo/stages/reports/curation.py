"""A curation's parts of a report: funnel, contamination, difficulty, grades and what they go with, cost, two chains."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from limo.core.errors import RecipeError
from limo.core.progress import duration
from limo.core.recipe import load
from limo.core.records import LEVELS, Chain, Grade
from limo.core.run_folder import RunFolder
from limo.core.text import short_names, shorten, signed
from limo.curate.audit import EditEffect, audit, rank_correlation
from limo.curate.chains import without_thought_markers
from limo.curate.funnel import UNITS, graded_chains, problems_after
from limo.curate.grade import GradeSettings
from limo.curate.scorers.registry import SCORERS
from limo.ledger.store import Ledger
from limo.pool.decontaminate import HELD_OUT_REASON
from limo.pool.evidence import evidence_table, surest, totals
from limo.report.content import Case, CaseRollout, ChartRow, HitRow, LocalizedText, OverlapRow, Section, StageRow
from limo.rollouts.lacking import noted_lacks
from limo.stages import curate
from limo.stages.plan import CostAssumptions, plan, rollout_steps
from limo.stages.reports.cases import cut_completion
from limo.stages.reports.texts import label, make_chart, make_series, make_table, percent, sentence, stage_name, text

MAX_HITS = 100  # contamination pairs that are spelled out
MAX_AUDITED = 400  # chains that the audit of the scorer reads, evenly spread
N_CASES = 3
DECISIONS = ("drop", "report")  # what is done with a problem that was found in a benchmark
_HIT_KEYS = ("benchmark", "source", "method", "decision", "score", "words", "problem", "benchmark_problem")


def curation_parts(folder: Path) -> dict[str, list[Any]]:
    """The parts of a report, by the names of `Report`'s fields; of a run that is not finished what is there."""
    run_folder = RunFolder(folder)
    done = run_folder.counts()
    funnel = _funnel(run_folder)
    parts: dict[str, list[Any]] = {"funnel": funnel, "sections": [], "notes": [], "headline": []}
    if "select" in done:
        parts["headline"] = [text("curation_claim", n=f"{funnel[-1].n_kept:,}", n_in=f"{funnel[0].n_in:,}")]
    else:
        parts["headline"] = [text("unfinished_claim", n=str(len(done)))]
    parts["headline"] += [sentence(f"{lack.sentence}: {lack.why}") for lack in noted_lacks(run_folder, done)]
    recipe: curate.Recipe | None = None
    try:
        recipe = load(curate.Recipe, folder / "recipe.yaml")
    except RecipeError as error:  # of another version; what needs it is left out, and the page says so
        parts["notes"].append(text("old_recipe", error=shorten(str(error), 200)))
    if "decontaminate" in done:
        dropped = run_folder.read_dropped("decontaminate")
        found_again = [row for row in dropped if row.reason != HELD_OUT_REASON]  # set aside on purpose is no leak
        if n_held_out := len(dropped) - len(found_again):
            parts["headline"].append(text("held_out_claim", n=f"{n_held_out:,}"))
        found = contamination_parts(evidence_table(problems_after(run_folder, "decontaminate"), found_again))
        parts["headline"] += found.pop("headline")
        parts |= found
    filters = [name for name in done if name not in curate.OTHER_STEPS]
    parts["sections"] += [_difficulty(run_folder, filters, recipe)] if filters else []
    if "grade" in done:
        chains, grades = graded_chains(run_folder)
        parts["sections"].append(_grades(chains, grades, recipe.grade if recipe else None))
        parts["cases"] = _cases(run_folder, chains, grades)
    if run_folder.ledger_path.exists():
        parts["sections"].append(_cost(run_folder, recipe))
    return parts


def _funnel(run_folder: RunFolder) -> list[StageRow]:
    rows = []
    for stage, counts in run_folder.counts().items():
        n_in = counts.n_kept + counts.n_dropped
        unit: Any = UNITS.get(stage, "problems")
        name = stage_name(stage)
        rows.append(StageRow(stage, name.en, name.zh, n_in, counts.n_kept, dict(counts.n_by_reason), unit))
    return rows


def contamination_parts(table: list[dict[str, Any]], most: int = MAX_HITS) -> dict[str, list[Any]]:
    """Totals and the `most` surest pairs of a table of evidence."""
    hits = [HitRow(**{name: row[name] for name in _HIT_KEYS}) for row in surest(table, most)]
    problems = {decision: {row["problem_id"] for row in table if row["decision"] == decision} for decision in DECISIONS}
    counts = {"n_dropped": f"{len(problems['drop']):,}", "n_kept": f"{len(problems['report'] - problems['drop']):,}"}
    claims = [text("contamination_claim", n_pairs=f"{len(table):,}", **counts) if table else text("clean_claim")]
    return {"overlaps": [OverlapRow(**row) for row in totals(table)], "hits": hits, "headline": claims}


def _difficulty(run_folder: RunFolder, filters: list[str], recipe: curate.Recipe | None) -> Section:
    """How many problems had how many correct rollouts when each filter decided them: all that came in, and the kept.

    The kept ones lie in the filter's band because it keeps them by these counts; the claim and the table say so.
    """
    bands = {one.name: f"{one.low}–{one.high} / {one.n_in_all}" for one in recipe.filters} if recipe else {}
    charts, rows = [], []
    for name in filters:
        of_kept = run_folder.read_stage(name)
        kept = Counter(int(row["n_correct"]) for row in of_kept)
        details = [record.detail for record in run_folder.read_dropped(name)]
        came_in = kept + Counter(int(str(detail["n_correct"])) for detail in details if "n_correct" in detail)
        top = max([*came_in, 1])
        series = [
            make_series(
                text(f"{key}_n", n=f"{counts.total():,}"),
                sorted(+counts),
                [counts[k] for k in sorted(+counts)],
                color=color,
            )
            for key, counts, color in (("came_in", came_in, "base"), ("kept", kept, "limo"))
        ]
        categories = [LocalizedText(str(k)) for k in range(top + 1)]
        chart = make_chart("difficulty_chart", "bars", series, "n_correct", "problems", categories=categories)
        charts.append(_retitled(chart, stage_name(name)))
        total, unsolved = came_in.total(), came_in[0]
        shares = [percent(n / total) if total else "–" for n in (unsolved, kept.total())]
        again = [row["probability_in_band"] for row in of_kept if row.get("probability_in_band") is not None]
        counts = (f"{total:,}", f"{unsolved:,}", shares[0], f"{kept.total():,}", shares[1])
        rows.append([stage_name(name), bands.get(name, "–"), *counts, percent(mean(again)) if again else "–"])
    heads = ("filter", "band", "problems", "unsolved", "percent_of", "kept", "percent_of", "in_band")
    table, claims = make_table("difficulty_table", heads, rows, "difficulty_note"), [text("difficulty_claim")]
    return Section("difficulty", text("difficulty"), text("difficulty_lead"), claims, charts=charts, tables=[table])


def _retitled(chart: ChartRow, name: LocalizedText) -> ChartRow:
    title = chart.title
    return replace(chart, title=LocalizedText(f"{title.en}: {name.en}", f"{title.zh}：{name.text('zh')}"))


def _grades(chains: list[Chain], grades: list[Grade], settings: GradeSettings | None) -> Section:
    """Levels, how scores go with length, and what the scorer can be fooled by."""
    scores, lengths = [grade.score for grade in grades], [float(len(chain.text)) for chain in chains]
    correlation = rank_correlation(scores, lengths)
    by_level: dict[str, list[int]] = defaultdict(list)
    for position, grade in enumerate(grades):
        by_level[grade.level].append(position)
    levels = [
        [level, f"{len(at):,}", f"{mean(scores[k] for k in at):.3f}", f"{mean(lengths[k] for k in at):,.0f}"]
        for level, at in sorted(by_level.items())
    ]
    note = "levels_note" if settings and settings.levels == "quantile" else ""
    tables = [make_table("levels_table", ("level", "n_chains", "mean_score", "mean_length"), levels, note)]
    traits = [
        [label(name), signed(rank_correlation([grade.traits[name] for grade in grades], lengths), 2)]
        for name in grades[0].traits
    ]
    rows = [*traits, [text("score"), signed(correlation, 2)]]
    tables.append(make_table("correlation_table", ("trait", "correlation"), rows))
    order = sorted(range(len(grades)), key=lambda k: lengths[k])
    bins = [order[len(order) * k // 10 : len(order) * (k + 1) // 10] for k in range(10)]
    bins = [at for at in bins if at]
    points = [[mean(column[k] for k in at) for at in bins] for column in (lengths, scores)]
    chart = make_chart("length_chart", "lines", [make_series(text("score"), *points, color="limo")], "length", "score")
    claims = [
        text(
            "length_claim", r=signed(correlation, 2), n=f"{len(grades):,}", scorer=settings.scorer if settings else "?"
        )
    ]
    if settings and SCORERS[settings.scorer].measure:
        claims.append(_stuffing(chains, settings, tables))
    return Section("grades", text("grades"), text("grades_lead"), claims, charts=[chart], tables=tables)


def _stuffing(chains: list[Chain], settings: GradeSettings, tables: list[Any]) -> LocalizedText:
    """What the audit of the scorer says of inserted keywords and shuffled steps, as a claim; its table is added."""
    step = max(1, -(-len(chains) // MAX_AUDITED))
    audited = audit([without_thought_markers(chain.text) for chain in chains[::step]], settings)

    def cells(effect: EditEffect) -> list[str]:
        shares = [percent(share) for share in (effect.score_rises, effect.score_falls, effect.level_rises)]
        return [f"{effect.n:,}", *shares, signed(effect.mean_levels, 2)]

    edits = {"inserted": audited.keywords_inserted, **{f"shuffled_{k}": v for k, v in audited.shuffled.items()}}
    heads = ("edit", "n_chains", "score_rises", "score_falls", "level_rises", "mean_levels")
    rows = [[text(name), *cells(effect)] for name, effect in edits.items()]
    tables.append(make_table("stuffing_table", heads, rows))
    share = percent(audited.keywords_inserted.level_rises)
    return text("stuffing_claim", share=share, scorer=settings.scorer, n=f"{audited.n:,}")


def _cost(run_folder: RunFolder, recipe: curate.Recipe | None) -> Section:
    """What `limo plan` says of the pool before the first rollout, and what was spent."""
    with Ledger(run_folder.ledger_path, read_only=True) as ledger:
        usage, seconds, cancelled = ledger.usage_by_model(), ledger.seconds(), f"{ledger.n_lost():,}"
    shown = short_names(list(usage))
    spent = [[shown[name], f"{u[0]:,}", f"{u[1]:,}", f"{u[2]:,}"] for name, u in usage.items()]
    tables = [make_table("spent_table", ("model", "n_rollouts", "tokens_in", "tokens_out"), spent)]
    n_made = sum(used.n_rollouts for used in usage.values())
    tokens = f"{sum(used.n_prompt_tokens + used.n_completion_tokens for used in usage.values()):,}"
    time = sentence(duration(seconds))
    claims = [text("spent_claim", n=f"{n_made:,}", tokens=tokens, time=time, cancelled=cancelled)]
    if recipe and run_folder.done("ingest"):
        clean = problems_after(run_folder, "decontaminate" if run_folder.done("decontaminate") else "ingest")
        planned = plan(rollout_steps(recipe), clean, CostAssumptions())
        rows = [
            [stage_name(row.step), *(f"{n:,.0f}" for n in (row.n_most, row.n_expected, row.n_in, row.n_out))]
            for row in planned
        ]
        heads = ("step", "at_most", "expected", "tokens_in", "tokens_out")
        tables.insert(0, make_table("planned_table", heads, rows))
        n, most = (f"{sum(getattr(row, name) for row in planned):,.0f}" for name in ("n_expected", "n_most"))
        claims.insert(0, text("planned_claim", n=n, most=most))
    return Section("cost", text("cost"), text("cost_lead"), claims, tables=tables)


def _cases(run_folder: RunFolder, chains: list[Chain], grades: list[Grade]) -> list[Case]:
    """The problems whose chains differ most in score: the lowest and the highest side by side, an arm a level."""
    by_problem: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for position, (chain, grade) in enumerate(zip(chains, grades, strict=True)):
        by_problem[chain.problem_id].append((grade.score, position))
    spread = {name: max(of)[0] - min(of)[0] for name, of in by_problem.items() if len(of) > 1}
    problems = {problem.id: problem for problem in run_folder.read_problems()}
    cases = []
    for name in sorted(spread, key=lambda name: (-spread[name], name))[:N_CASES]:
        pair = [min(by_problem[name])[1], max(by_problem[name])[1]]
        if grades[pair[0]].level == grades[pair[1]].level:
            continue
        rollouts = [_graded(chains[position], grades[position]) for position in pair]
        remark = text("case_levels", low=f"{min(by_problem[name])[0]:.2f}", high=f"{max(by_problem[name])[0]:.2f}")
        problem = problems[name]
        cases.append(Case(problem.problem, problem.answer, rollouts, problem.source, "", remark.en, remark.zh))
    return cases


def _graded(chain: Chain, grade: Grade) -> CaseRollout:
    verdict = chain.verdict
    assert grade.level in LEVELS
    facts = (verdict.outcome, verdict.extracted, f"{chain.teacher}, {grade.score:.2f}", chain.n_tokens)
    return CaseRollout(grade.level, chain.text, *facts, steps=cut_completion(chain.text))
