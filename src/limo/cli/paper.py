"""What `limo experiment NAME --lab paper` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from limo.cli.command import Call, aligned_table

if TYPE_CHECKING:
    from limo.experiments.paper import ExperimentPlan
    from limo.experiments.paper_plan import PlannedCell

RECIPE = "paper-32b"


def run_paper(
    call: Call, name: str | None, words: Sequence[str], run: str | None, seeds: int | None, launcher: str | None,
    dry_run: bool,
) -> None:  # fmt: skip
    """Run an experiment in the paper lab, print its plan, or list the experiments where none is named."""
    from limo.core.recipe import load
    from limo.experiments import paper
    from limo.experiments.paper_recipe import PaperRecipe, catalogue
    from limo.report import tables

    if name is None:
        rows = [[key, len(one.arms), one.question[0]] for key, one in catalogue().experiments.items()]
        listed = {key: one.question[0] for key, one in catalogue().experiments.items()}
        call.result({"experiments": listed}, aligned_table([["name", "arms", "question"], *rows]))
        return
    is_named = bool(words) and "=" not in words[0]
    file, overrides = (words[0], list(words[1:])) if is_named else (RECIPE, list(words))
    overrides += [f"seeds={list(range(seeds))}"] if seeds else []
    recipe = load(PaperRecipe, file, overrides)
    if launcher and launcher != recipe.launcher.kind:
        recipe = load(PaperRecipe, file, [*overrides, f"launcher={{kind: {launcher}}}"])
    folder = Path(run) if run else Path("runs") / Path(file).stem
    if dry_run:
        plan = paper.plan(name, recipe, folder)
        call.result(asdict(plan), plan_text(plan))
        return
    report = paper.run(name, recipe, folder, call.progress)
    shown = folder / name / "report.html"
    call.result({"report": shown, "scores": shown.with_name("scores.json")}, f"{tables.to_text(report)}\n{shown}")


def plan_text(plan: ExperimentPlan) -> str:
    """A plan as text: the matrix with its costs, what is fetched, trained, served and scored, the paper's figures."""
    head = ["arm", "seeds", "done", "train GB", "host GB", "serve GB", "at once", "fits", "hours", "GPU-hours", "USD"]
    rows = [_row([row for row in plan.cells if row.arm == arm]) for arm in dict.fromkeys(row.arm for row in plan.cells)]
    sums = [f"{sum(getattr(row, name) for row in plan.cells):,.1f}" for name in ("hours", "gpu_hours", "usd")]
    n_done = sum(row.is_done for row in plan.cells)
    total: list[object] = ["in all", len(plan.cells), n_done, "", "", "", "", "", *sums]
    figures = [f"{one.arm} on {one.benchmark}: {one.value} ({one.version}, {one.source})" for one in plan.figures] or [
        "none in text"
    ]
    parts = {
        "fetched, where it is not there yet": plan.fetched, "trained": plan.trained, "served": plan.served,
        "scored": plan.scored, "held against, as published": figures,
    }  # fmt: skip
    lists = ["\n".join([f"{title}:", *(f"  {line}" for line in lines)]) for title, lines in parts.items()]
    note = "planned: GB of one GPU (host: of the machine); `at once`: longest completions that a server's memory holds"
    return "\n\n".join([f"{aligned_table([head, *rows, total])}\n{note}", *lists])


def _row(cells: Sequence[PlannedCell]) -> list[object]:
    first, n_done = cells[0], sum(cell.is_done for cell in cells)
    sizes = [f"{size:,.0f}" if size else "" for size in (first.train_gb, first.host_gb, first.serve_gb)]
    sums = [f"{sum(getattr(cell, name) for cell in cells):,.1f}" for name in ("hours", "gpu_hours", "usd")]
    return [first.arm, len(cells), n_done, *sizes, f"{first.n_sequences:,}", "yes" if first.fits else "no", *sums]
