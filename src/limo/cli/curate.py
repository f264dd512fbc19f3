"""The commands curate, grade, select and export.

limo curate replay data=../shared/data --run runs/replay
limo grade chains.jsonl -o graded.jsonl --audit
limo select graded.jsonl k=800 -o selected.jsonl
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from limo.cli.arguments import refuse_ignored
from limo.cli.command import (
    OVERRIDES,
    RECIPE,
    RETRY_ERRORS,
    Call,
    aligned_table,
    benchmark_option,
    benchmark_overrides,
    command,
    load_recipe,
    output,
    run_folder,
    workers,
)
from limo.cli.next_step import run_of
from limo.core.errors import InputError, PartialError
from limo.core.text import signed

if TYPE_CHECKING:
    from limo.core.records import Grade
    from limo.curate.audit import Agreement, Audit
    from limo.curate.funnel import FunnelRow
    from limo.stages.grade import RowAudits

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")
SHOWN = 8


@command(
    "curate",
    RECIPE,
    OVERRIDES,
    run_folder(),
    benchmark_option("Kept out of the pool instead of the recipe's: a file or pool of yours; may be repeated."),
    RETRY_ERRORS,
    workers(),
    click.option("--dry-run", is_flag=True, help="Read the pool and estimate the cost; request nothing."),
)
def curate(
    call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, benchmark: tuple[str, ...],
    retry_errors: bool, workers: int, dry_run: bool,
) -> None:  # fmt: skip
    """Curate a dataset from a pool.

    Deduplicate, decontaminate, filter by difficulty, collect chains, verify, grade, select, export.

    The run folder keeps what each stage kept and dropped, and why; the same command again continues where it stopped.
    """
    from limo.core.run_folder import RunFolder
    from limo.curate.dataset import require_datasets
    from limo.curate.funnel import problems_after
    from limo.pool.evidence import describe_reported, evidence_table
    from limo.rollouts.lacking import raise_lacking
    from limo.stages import curate as stage

    settings = load_recipe(stage.Recipe, "curation", recipe, [*overrides, *benchmark_overrides(benchmark)])
    folder = run_of(run, recipe)
    if dry_run:
        from limo.cli.rollouts import print_plan
        from limo.stages import plan

        steps = " -> ".join(name for name in settings.run_steps() if not name.endswith(".json"))
        call.progress.log(f"steps: {steps}")
        print_plan(call, plan.run(settings, folder), plan.CostAssumptions())
        return
    require_datasets()  # before anything is paid for
    result = stage.run(settings, folder, call.progress, workers, retry_errors=retry_errors)
    stays = describe_reported(evidence_table(problems_after(RunFolder(folder), "decontaminate"), []))
    text = "\n".join([_funnel_table(result.funnel), *filter(None, [stays])])
    text += f"\n\n{result.n_selected:,} in {result.folder}"
    text += "; nothing was left to do, no request was sent" if result.did_nothing else ""
    call.result(asdict(result), text)
    raise_lacking(result.lacks, "the dataset is made of the others", "--retry-errors")


def _funnel_table(funnel: Sequence[FunnelRow]) -> str:
    from limo.curate.funnel import describe_reasons

    lines: list[list[object]] = [["stage", "of", "in", "kept", "problems", "dropped"]]
    for row in funnel:
        counts = (f"{row.n_in:,}", f"{row.n_kept:,}", f"{row.n_problems:,}")
        lines.append([row.stage, row.unit, *counts, describe_reasons(row.n_by_reason)])
    return aligned_table(lines)


@command(
    "grade",
    click.argument("file"),
    OVERRIDES,
    output("The rows with traits, score and level.", required=False),
    click.option("--recipe", metavar="RECIPE", help="Settings from a file, a judge's among them."),
    click.option("--ledger", metavar="FILE", help="Keeps a judge's replies.  [default: beside the rows]"),
    click.option("--audit", is_flag=True, help="Correlates of the scores, and edits that raise them."),
    click.option("--against", metavar="FILE", help="With --audit: chains that should score lower."),
)
def grade(
    call: Call, file: str, overrides: tuple[str, ...], output: str | None, recipe: str | None, ledger: str | None,
    audit: bool, against: str | None,
) -> None:  # fmt: skip
    """Grade the reasoning of chains.

    Traits, score and level (L1 to L5), relative to the chains of the file.  scorer=structure measures what the steps do
    instead of counting words; scorer=judge uses a model (recipe `judge`), each chain once, ever.
    """
    from limo.core.recipe import load
    from limo.core.rows import read_rows
    from limo.stages import grade as stage

    settings = load(stage.Recipe, recipe, overrides)
    if settings.scorer != "judge":
        refuse_ignored(["ledger"], "without a judge (scorer=judge)")
    if not audit and not output and settings.scorer != "judge":
        raise InputError("there is nothing to do", file, "-o FILE, --audit or both", "add one of them")
    rows = read_rows(file)
    if audit:
        audits = stage.audit_rows(rows, settings, read_rows(against) if against else [])
        call.result({"audits": [asdict(one) for one in audits.scorers]}, _audit_text(audits))
    if not output and settings.scorer != "judge":
        return
    ledger = ledger or f"{file.rstrip('/')}.judged.sqlite"
    graded = stage.run(settings, rows, ledger, call.progress)
    if output and graded.grades:
        _write_graded(call, [rows[position] for position in graded.positions], graded.grades, output)
    if settings.scorer == "judge":
        agreements = {name: asdict(one) for name, one in graded.agreements.items()}
        value = {"agreement": agreements, "n_requested": graded.n_requested, "missing": graded.missing}
        text = f"{graded.n_requested:,} replies were requested; all are in {ledger}"
        call.result(value, f"{_agreement_table(graded.agreements)}\n\n{text}")
    if graded.missing:
        reasons = ", ".join(f"row {k + 1} ({reason})" for k, reason in list(graded.missing.items())[:SHOWN])
        do = "raise judge.n or judge.sampling.max_tokens, or use another judge"
        what = f"{len(graded.missing):,} of {len(rows):,} chains have no marks and were not graded"
        raise PartialError(what, reasons, "", do)


def _agreement_table(agreements: dict[str, Agreement]) -> str:
    lines: list[list[object]] = [["scorers", "chains", "rank correlation", "same level", "weighted kappa"]]
    for name, one in agreements.items():
        lines.append([name, one.n, signed(one.correlation, 2), f"{one.same_level:.0%}", signed(one.kappa, 2)])
    return aligned_table(lines)


def _write_graded(call: Call, rows: Sequence[dict[str, object]], grades: Sequence[Grade], output: str) -> None:
    from limo.core.rows import write_rows

    write_rows([row | asdict(grade) for row, grade in zip(rows, grades, strict=True)], output)
    traits = list(grades[0].traits)
    lines: list[list[object]] = [["level", "chains", "score", *traits]]
    for level in sorted({grade.level for grade in grades}):
        of_level = [grade for grade in grades if grade.level == level]
        means = [sum(grade.traits[name] for grade in of_level) / len(of_level) for name in traits]
        score = sum(grade.score for grade in of_level) / len(of_level)
        lines.append([level, len(of_level), f"{score:.2f}", *(f"{mean:.2f}" for mean in means)])
    call.result({"n_by_level": Counter(grade.level for grade in grades), "output": output}, aligned_table(lines) + "\n")


def _audit_text(audits: RowAudits) -> str:
    """Edits that raise or lower the scores, then the correlates of each scorer."""
    parts = [_edits(audits.scorers), *(_correlations(audit, audits.labels) for audit in audits.scorers)]
    return "\n\n".join(parts)


def _edits(audits: Sequence[Audit]) -> str:
    lines: list[list[object]] = [["test", *(audit.scorer for audit in audits)]]
    shown = {
        "50 keywords inserted: rises a level": [audit.keywords_inserted.level_rises for audit in audits],
        "50 keywords inserted: score rises": [audit.keywords_inserted.score_rises for audit in audits],
        "steps shuffled: score falls": [audit.shuffled["steps"].score_falls for audit in audits],
        "paragraphs shuffled: score falls": [audit.shuffled["paragraphs"].score_falls for audit in audits],
    }
    lines += [[name, *(f"{100 * value:.1f}%" for value in values)] for name, values in shown.items()]
    climbed = [signed(audit.keywords_inserted.mean_levels, 2) for audit in audits]
    lines.append(["50 keywords inserted: levels risen, mean", *climbed])
    if audits[0].separation:
        areas = [f"{audit.separation['score']:.3f}" for audit in audits]
        lines.append(["separation from the other file: area under ROC", *areas])
    return aligned_table(lines)


def _correlations(report: Audit, labels: dict[str, list[float]]) -> str:
    """A scorer's rank correlations: its traits down; length, what rows say, and the score across."""
    across = ["length", *labels, "score"]
    heads = [f"{report.scorer} with", *across, *(["separation"] if report.separation else [])]
    lines: list[list[object]] = [list(heads)]
    for name, row in report.correlations.items():
        cells = [signed(row[other], 2) if other in row else "—" for other in across]
        lines.append([name, *cells, *([f"{report.separation[name]:.3f}"] if report.separation else [])])
    return aligned_table(lines)


@command("select", click.argument("file"), OVERRIDES, output("The selected rows."), DROPPED)
def select(call: Call, file: str, overrides: tuple[str, ...], output: str, dropped: str | None) -> None:
    """Select from graded rows.

    The best chain of each problem, then the best k of all; or a control: by=random, longest, hardest, easiest, full.
    """
    from limo.core.recipe import load
    from limo.core.rows import read_rows, write_rows
    from limo.curate.select import SelectSettings, why_fewer
    from limo.curate.select import select as select_chains
    from limo.stages.rows import candidates_from_rows

    rows, settings = read_rows(file), load(SelectSettings, None, overrides)
    candidates = candidates_from_rows(rows)
    row_of = {id(candidate): row for candidate, row in zip(candidates, rows, strict=True)}
    kept, gone = select_chains(candidates, settings)
    write_rows([row_of[id(candidate)] | {"rank": rank} for rank, candidate in enumerate(kept, 1)], output)
    if dropped:
        write_rows([asdict(record) for record in gone], dropped)
    reasons = Counter(record.reason for record in gone)
    message = why_fewer(kept, gone, settings)
    value = {"n_selected": len(kept), "n_by_reason": dict(reasons), "output": output, "why_fewer": message}
    text = aligned_table([["what", "chains"], ["selected", len(kept)], *map(list, reasons.most_common())])
    call.result(value, f"{text}\n{message}".strip())


@command(
    "export",
    click.argument("run"),
    click.option("--to", metavar="FORMAT", help="hf, openai, sharegpt, llamafactory or axolotl.  [default: rows]"),
    output("The dataset: a folder for hf, llamafactory and axolotl, else .jsonl (or .parquet for rows)."),
    click.option("--evidence", is_flag=True, help="With hf: pass rates, and what was dropped and why, beside it."),
    click.option("--push", metavar="REPO", help="With hf: upload the folder to this dataset on the hub, private."),
)
def export(call: Call, run: str, to: str | None, output: str, evidence: bool, push: str | None) -> None:
    """Write a run's selected dataset for a trainer or the hub.

    Rows of `messages` with their lineage, or one of the formats; every row carries the system text.
    """
    from limo.stages import export as stage

    if (evidence or push) and to != "hf":
        raise InputError("--evidence and --push belong to one format", f"--to {to or 'rows'}", "--to hf", "add it")
    n_rows = stage.run(run, output, to, evidence)
    address = stage.push(output, push) if push else ""
    text = f"{n_rows:,} rows of {run} in {output}" + (f"\n{address}" if address else "")
    call.result({"n_rows": n_rows, "output": output, "pushed": address}, text)


COMMANDS = (curate, grade, select, export)
