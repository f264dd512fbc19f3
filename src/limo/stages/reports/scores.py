"""The parts of a report that come of scores: of one model, of several compared, and of a base sampled often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from limo.core.records import Provenance
from limo.core.run_files import read_json
from limo.core.stats import Interval
from limo.core.text import short_names, shown_p, signed
from limo.pool.sources.benchmarks import known_benchmarks
from limo.report.content import (
    ArmRow,
    AverageRow,
    BenchmarkGroup,
    BenchmarkRow,
    ChartRow,
    ComparisonRow,
    DataTable,
    LocalizedText,
    ScoreRow,
    Section,
    SeriesRow,
)
from limo.stages import reach
from limo.stages.compare import Comparison, Outcomes, average, compare_table, pairs_of, read_outcomes, stored_scores
from limo.stages.evaluate import EVALUATIONS, SCORES
from limo.stages.reports.cases import evaluation_cases
from limo.stages.reports.texts import interval_series, make_chart, make_table, percent, same, sentence, text

Sources = Mapping[tuple[str, str], Sequence[Provenance]]  # arm and benchmark -> where their rollouts are
Groups = Mapping[BenchmarkGroup, Sequence[str]]
_COLORS = ("base", "limo", "bulk", "green", "purple", "gold", "teal", "brick")
MUCH_CUT = 0.1  # share of truncated rollouts from which on a sentence says so: our choice
MOST_PAIRED = 5  # arms that are each compared with each; of more, all with the first


def score_parts(folders: Sequence[Path], sampled: Path | None = None) -> dict[str, list[Any]]:
    """Scores, averages, comparisons and the grid of runs with scores; with `sampled`, what training did with reach."""
    outcomes = read_outcomes(folders)
    files = [read_json(file) for one in folders if (file := one / EVALUATIONS).is_file()]
    evaluations = [row for stored in files for row in stored["evaluations"]]
    groups, sources = _groups(outcomes), _sources(folders)
    n_rollouts = {(row["model"], row["score"]["benchmark"]): row["score"]["n_rollouts"] for row in evaluations}
    parts: dict[str, list[Any]] = {
        "arms": [
            ArmRow(name, label, color=_color(n)) for n, (name, label) in enumerate(short_names(list(outcomes)).items())
        ],
        "benchmarks": [BenchmarkRow(name, name, group=group) for name, group in groups.items()],
        "scores": score_rows(outcomes, sources, n_rollouts),
        "averages": average_rows(outcomes, _shared_groups(outcomes, groups), sources),
        "sections": [],
    }
    if len(outcomes) > 1 and _shared(outcomes):
        names = list(outcomes)
        pairs = pairs_of(names) if len(names) <= MOST_PAIRED else pairs_of(names, names[0])
        found, labels = compare_table(outcomes, pairs), short_names(names)
        parts["comparisons"] = [comparison_row(one, "all", sources) for one in found]
        parts["sections"].append(_comparison_section(found, labels))
        if sampled is not None:
            parts["sections"].append(_reach_section(folders, sampled, names))
    if evaluations:
        parts["sections"].append(_details_section(evaluations, {name: _color(n) for n, name in enumerate(outcomes)}))
        parts["notes"] = [sentence(note) for stored in files for note in stored.get("notes", [])]
        parts["cases"], notes = evaluation_cases([folder for folder in folders if (folder / EVALUATIONS).is_file()])
        parts["notes"] += notes
    return parts


def _groups(outcomes: Outcomes) -> dict[str, BenchmarkGroup]:
    """The group of each benchmark that any arm was scored on; `all` for one that is in none."""
    names = dict.fromkeys(name for seeds in outcomes.values() for by_name in seeds.values() for name in by_name)
    known = known_benchmarks()
    groups: dict[str, BenchmarkGroup] = {}
    for name in names:
        group: Any = known[name.lower()].group if name.lower() in known else "all"
        groups[name] = group if group in ("in-domain", "out-of-domain") else "all"
    return groups


def _of_every_seed(outcomes: Outcomes, arm: str) -> list[str]:
    seeds = list(outcomes[arm].values())
    return [name for name in seeds[0] if all(name in by_name for by_name in seeds)]


def _shared(outcomes: Outcomes) -> list[str]:
    """The benchmarks that every arm was scored on with every seed."""
    names = [_of_every_seed(outcomes, arm) for arm in outcomes]
    return [name for name in names[0] if all(name in others for others in names)]


def score_rows(
    outcomes: Outcomes, sources: Sources, n_rollouts: Mapping[tuple[str, str], int] | None = None
) -> list[ScoreRow]:
    """Each arm on each benchmark that every seed of it has; `n_rollouts` by arm and benchmark, else one a problem."""
    rows = []
    for arm, seeds in outcomes.items():
        for benchmark in _of_every_seed(outcomes, arm):
            n_problems = len(next(iter(seeds.values()))[benchmark])
            sizes = (n_problems, (n_rollouts or {}).get((arm, benchmark), n_problems * len(seeds)), len(seeds))
            interval = average(outcomes, arm, [benchmark]).interval
            rows.append(ScoreRow(arm, benchmark, *interval, *sizes, origins(sources, [arm], [benchmark])))
    return rows


def average_rows(outcomes: Outcomes, groups: Groups, sources: Sources) -> list[AverageRow]:
    """Each arm over each group of benchmarks, every benchmark counting once."""
    return [
        AverageRow(arm, group, *average(outcomes, arm, names).interval, origins(sources, [arm], names))
        for arm in outcomes
        for group, names in groups.items()
        if names
    ]


def comparison_row(found: Comparison, group: BenchmarkGroup, sources: Sources) -> ComparisonRow:
    """A comparison over a group of benchmarks, with what it rests on."""
    interval = (found.difference, found.low, found.high)
    rests_on = origins(sources, [found.arm, found.against], found.benchmarks)
    return ComparisonRow(found.arm, found.against, group, *interval, found.separable, provenance=rests_on)


def origins(sources: Sources, arms: Sequence[str], benchmarks: Sequence[str]) -> list[Provenance]:
    """Where the rollouts of arms on benchmarks are, each place once."""
    return list(dict.fromkeys(of for arm in arms for name in benchmarks for of in sources.get((arm, name), ())))


def _sources(folders: Sequence[Path]) -> Sources:
    sources: dict[tuple[str, str], list[Provenance]] = {}
    for folder in folders:
        for arm, measurements in stored_scores(folder / SCORES).items():
            for benchmark, origin in (item for one in measurements for item in one.provenance.items()):
                sources.setdefault((arm, benchmark), []).append(origin)
    return sources


def _shared_groups(outcomes: Outcomes, groups: dict[str, BenchmarkGroup]) -> Groups:
    """The benchmarks that all arms share, so that averages can be set beside each other, and those of each group."""
    shared = _shared(outcomes)
    wanted: dict[BenchmarkGroup, list[str]] = {"all": shared}
    for group in ("in-domain", "out-of-domain"):
        members = [name for name in shared if groups[name] == group]
        wanted |= {group: members} if members and members != shared else {}
    return wanted


def _comparison_section(found: Sequence[Comparison], labels: dict[str, str]) -> Section:
    rows = [
        [
            f"{labels[one.arm]} − {labels[one.against]}",
            signed(100 * one.difference),
            f"[{signed(100 * one.low)}, {signed(100 * one.high)}]",
            shown_p(one.p_adjusted).removeprefix("= "),
            *(f"{n:,}" for n in (one.n_better, one.n_worse, one.n_same, one.n_left_out)),
            f"{100 * one.detectable:.1f}",
        ]
        for one in found
    ]
    heads = ("pair", "points", "interval", "p_adjusted", "n_better", "n_worse", "n_same", "n_left_out", "detectable")
    tables = [make_table("pairs_table", heads, rows, "pairs_note")]
    if len(labels) > 2:
        by_pair = {(one.arm, one.against): one for one in found}
        matrix = [[labels[a], *(_matrix_cell(by_pair, a, b) for b in labels)] for a in labels]
        across = [text("arm"), *map(same, labels.values())]
        cells = [[same(cell) for cell in row] for row in matrix]
        tables.append(DataTable(text("matrix_table"), across, cells, text("matrix_note")))
    return Section("pairs", text("pairs"), text("pairs_lead"), tables=tables)


def _matrix_cell(by_pair: dict[tuple[str, str], Comparison], name: str, other: str) -> str:
    """Row minus column in points; a star where they are separable."""
    for pair, sign in (((name, other), 1), ((other, name), -1)):
        if pair in by_pair:
            return signed(100 * sign * by_pair[pair].difference) + ("*" if by_pair[pair].separable else "")
    return "–"


def _details_section(evaluations: list[dict[str, Any]], colors: Mapping[str, str]) -> Section:
    """Bounds, truncation, pass@k, maj@n and the judge, beside each score."""
    rows, claims, ks = [], [], defaultdict(list)
    missing = ("no_answer", "truncated", "undecided")
    has_majority = any(one["details"]["majority"] for one in evaluations)
    labels = short_names(list(dict.fromkeys(one["model"] for one in evaluations)))
    for one in evaluations:
        details, outcomes, majority = one["details"], one["n_by_outcome"], one["details"]["majority"]
        name = f"{labels[one['model']]}, {one['score']['benchmark']}"
        shown = [percent(share) for share in (one["score"]["value"], details["least"], details["most"])]
        cut = [f"{outcomes.get(name, 0):,}" for name in missing]
        more = [percent(majority[0]) if majority else "–"] if has_majority else []
        more.append(f"{100 * details['detectable']:.1f}")
        rows.append([name, *shown, *cut, *more, f"{one['n_tokens_mean']:,.0f}"])
        points = [(int(k), interval) for k, interval in details["pass_at_k"].items()]
        if len(points) > 1:
            found = [k for k, _ in points], [Interval(*interval) for _, interval in points]
            line = interval_series(labels[one["model"]], *found, color=colors[one["model"]])
            ks[one["score"]["benchmark"]].append(line)
        if (cut_off := outcomes.get("truncated", 0) / max(1, one["score"]["n_rollouts"])) >= MUCH_CUT:
            claims.append(text("cut_claim", name=name, share=percent(cut_off), most=shown[2], value=shown[0]))
    heads = ("measured", "score", "least", "most", *missing, *(["majority"] if has_majority else []), "detectable",
             "tokens")  # fmt: skip
    tables = [make_table("details_table", heads, rows, "details_note")]
    judged = [
        [
            f"{labels[one['model']]}, {one['score']['benchmark']}",
            f"{one['judged']['n_judged']:,}",
            percent(one["judged"]["agreement"]) if one["judged"]["agreement"] is not None else "–",
            f"{one['judged']['n_settled']:,}",
            f"{one['judged']['n_overruled']:,}",
        ]
        for one in evaluations
        if one.get("judged")
    ]
    of_judge = ("measured", "n_judged", "agreement", "n_settled", "n_overruled")
    tables += [make_table("judge_table", of_judge, judged)] if judged else []
    charts = [_pass_chart(benchmark, series) for benchmark, series in ks.items()]
    return Section("details", text("details"), text("details_lead"), claims, charts=charts, tables=tables)


def _pass_chart(benchmark: str, series: list[SeriesRow]) -> ChartRow:
    chart = make_chart("pass_at_k", "lines", series, "k", "pass_at_k", percent=True, log_x=True)
    return replace(chart, title=LocalizedText(f"pass@k: {benchmark}", f"pass@k：{benchmark}"))


def _color(number: int) -> str:
    """The colour of an arm in every chart: the first is as a rule the base."""
    return _COLORS[number % len(_COLORS)]


def _reach_section(folders: Sequence[Path], sampled: Path, names: list[str]) -> Section:
    """Elicited, taught and lost shares of every arm but the base, which is the arm that was sampled often."""
    (base,) = read_outcomes([sampled])
    found = {name: reach.run(folders, sampled, name, base) for name in names if name != base}
    kinds = reach.KINDS
    series = [
        interval_series(
            name, range(len(kinds)), [getattr(one, kind) for kind in kinds], color=_color(names.index(name))
        )
        for name, one in found.items()
    ]
    categories = [text(kind) for kind in kinds]
    chart = make_chart("reach_chart", "bars", series, "kind", "problems_share", categories=categories, percent=True)
    claims = [sentence(f"{name}: {one.sentence}") for name, one in found.items()]
    return Section("reach", text("reach"), text("reach_lead"), claims, charts=[chart])
