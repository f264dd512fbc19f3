"""What `limo experiment NAME --lab paper` and `limo plan paper-...` print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from limo.cli.command import Call, aligned_table

if TYPE_CHECKING:
    from limo.experiments.paper.experiment import ExperimentPlan
    from limo.experiments.paper.plan import PlannedCell

RECIPE = "paper-32b"


def run_paper(
    call: Call, name: str | None, words: Sequence[str], run: str | None, seeds: int | None, launcher: str | None,
    dry_run: bool,
) -> None:  # fmt: skip
    """Run an experiment in the paper lab, print its plan, or list the experiments where none is named."""
    from limo.core.recipe import load
    from limo.experiments.paper import experiment as paper
    from limo.experiments.paper.recipe import PaperRecipe
    from limo.report import tables

    is_named = bool(words) and "=" not in words[0]
    file, overrides = (words[0], list(words[1:])) if is_named else (RECIPE, list(words))
    overrides += [f"seeds={list(range(seeds))}"] if seeds else []
    recipe = load(PaperRecipe, file, overrides)
    if launcher and launcher != recipe.launcher.kind:
        recipe = load(PaperRecipe, file, [*overrides, f"launcher={{kind: {launcher}}}"])
    if name is None:
        listed = {one.name: one.question[0] for one in recipe.questions.experiments}
        rows = [[one.name, len(one.arms), one.question[0]] for one in recipe.questions.experiments]
        call.result({"experiments": listed}, aligned_table([["name", "arms", "question"], *rows]))
        return
    folder = Path(run) if run else Path("runs") / Path(file).stem
    if dry_run:
        plan = paper.plan(name, recipe, folder)
        call.result(asdict(plan), plan_text(plan))
        return
    report = paper.run(name, recipe, folder, call.progress)
    shown = folder / name / "report.html"
    call.result({"report": shown, "scores": shown.with_name("scores.json")}, f"{tables.to_text(report)}\n{shown}")


def plan_matrix(call: Call, file: str, overrides: tuple[str, ...], run: str | None) -> None:
    """Print what every experiment of a recipe will take, each cell counted once, and whether the budget holds it."""
    from limo.core.recipe import load
    from limo.experiments.paper.experiment import plan_all
    from limo.experiments.paper.recipe import PaperRecipe

    recipe = load(PaperRecipe, file, overrides)
    planned, left_out = plan_all(recipe, Path(run) if run else Path("runs") / Path(file).stem)
    rows = [[name, *_sums(cells)] for name, cells in planned.items()]
    cells = [cell for of_experiment in planned.values() for cell in of_experiment]
    gpu_hours = sum(cell.gpu_hours for cell in cells if cell.fits)
    lines = ["`shared or done`: measured, or a cell of a line above", *_notes(cells)]
    lines += [f"{name} is not planned: {why}" for name, why in left_out.items()]
    for limit, price, unit in recipe.budget.limits(recipe.hardware.usd_per_gpu_hour):
        over = gpu_hours * price - limit
        fits = f"{over:,.1f} too few: it stops before the cell that would pass it" if over > 0 else "enough"
        lines.append(f"budget: {limit:,.1f} {unit}, {fits}")
    head = ["experiment", "cells", "shared or done", "do not fit", "hours", "GPU-hours", "USD"]
    text = aligned_table([head, *rows, ["in all", *_sums(cells)]])
    call.result({name: [asdict(cell) for cell in of] for name, of in planned.items()}, "\n".join([text, *lines]))


def _sums(cells: Sequence[PlannedCell]) -> list[object]:
    """Cells, those done, those that do not fit; hours, GPU-hours and USD of those that fit."""
    counts = [len(cells), sum(cell.is_done for cell in cells), sum(not cell.fits for cell in cells)]
    hours, gpu_hours, usd = (
        sum(getattr(cell, name) for cell in cells if cell.fits) for name in ("hours", "gpu_hours", "usd")
    )
    return [*counts, f"{hours:,.1f}", f"{gpu_hours:,.1f}", f"{usd:,.1f}" if usd or not gpu_hours else "?"]


def _notes(cells: Sequence[PlannedCell]) -> list[str]:
    """What the sums leave out."""
    lines = ["hours and costs are of the cells that fit"] if any(not cell.fits for cell in cells) else []
    if any(cell.gpu_hours and not cell.usd for cell in cells):
        lines.append("USD: set the price of a GPU-hour, for example hardware.usd_per_gpu_hour=2.5")
    return lines


def plan_text(plan: ExperimentPlan) -> str:
    """A plan as text: the matrix with its costs, what is fetched, trained, served and scored, the paper's figures."""
    head = ["arm", "seeds", "done", "train GB", "host GB", "serve GB", "at once", "fits", "hours", "GPU-hours", "USD"]
    rows = [_row([row for row in plan.cells if row.arm == arm]) for arm in dict.fromkeys(row.arm for row in plan.cells)]
    n_cells, n_done, _, *sums = _sums(plan.cells)
    total: list[object] = ["in all", n_cells, n_done, "", "", "", "", "", *sums]
    figures = [f"{one.arm} on {one.benchmark}: {one.value} ({one.version}, {one.source})" for one in plan.figures] or [
        "none in text"
    ]
    parts = {
        "fetched, where it is not there yet": plan.fetched, "trained": plan.trained, "served": plan.served,
        "scored": plan.scored, "held against, as published": figures,
    }  # fmt: skip
    lists = ["\n".join([f"{title}:", *(f"  {line}" for line in lines)]) for title, lines in parts.items()]
    note = "planned: GB of one GPU (host: of the machine); `at once`: longest completions that a server's memory holds"
    notes = "\n".join([note, *_notes(plan.cells)])
    return "\n\n".join([f"{aligned_table([head, *rows, total])}\n{notes}", *lists])


def _row(cells: Sequence[PlannedCell]) -> list[object]:
    first, (n_cells, n_done, _, *sums) = cells[0], _sums(cells)
    sizes = [f"{size:,.0f}" if size else "" for size in (first.train_gb, first.host_gb, first.serve_gb)]
    return [first.arm, n_cells, n_done, *sizes, f"{first.n_sequences:,}", "yes" if first.fits else "no", *sums]
