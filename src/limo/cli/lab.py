"""The commands lab, experiment, pocket and doctor.

limo lab --run runs/lab
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.arguments import refuse_ignored
from limo.cli.command import Call, aligned_table, command, run_folder
from limo.cli.next_step import run_of

if TYPE_CHECKING:
    from limo.experiments.arms import Experiment, Questions
    from limo.experiments.paper.experiment import ExperimentPlan
    from limo.experiments.paper.plan import PlannedCell
    from limo.report.content import Language, Section


ALL_SEEDS = [0, 1, 2, 3, 4]  # training seeds of `limo lab --all`, unless it is given others


@command(
    "lab",
    click.argument("words", nargs=-1, metavar="[RECIPE] [section.key=value]..."),
    run_folder("runs/lab"),
    click.option(
        "--all",
        "every",
        is_flag=True,
        help="Every question with all its arms, five seeds (an hour or so).",
    ),
    click.option("--dry-run", is_flag=True, help="List the stages still to do and their expected minutes."),
)
def lab(call: Call, words: tuple[str, ...], run: str, every: bool, dry_run: bool) -> None:
    """Run the whole method in miniature: pool, rollouts, chains, training, evaluation, report.

    RECIPE is `pocket` unless named.  Stopped and started again, it continues where it was.
    """
    from limo.experiments.arms import load_questions

    questions = load_questions()
    if every:
        words = (*words, *([] if any(word.startswith("seeds=") for word in words) else [f"seeds={ALL_SEEDS}"]))
    _run(call, words, run, questions.experiments if every else questions.short_lab(), dry_run)


@command(
    "experiment",
    click.argument("name", required=False),
    click.argument("words", nargs=-1, metavar="[RECIPE] [section.key=value]..."),
    click.option(
        "--lab", "which", type=click.Choice(["pocket", "paper"]),
        help="Tiny models on two cores, or the paper's models on GPUs.  [default: pocket; paper for `reproduce`]",
    ),
    click.option("--seeds", type=click.IntRange(1), metavar="N", help="Training seeds.  [default: the recipe's]"),
    click.option("--run", metavar="DIR", help="Its folder.  [default: runs/lab; paper: beside the recipe]"),
    click.option("--launcher", type=click.Choice(["command", "slurm"]), help="How the paper lab starts its cells."),
    click.option("--dry-run", is_flag=True, help="List the arms, what is still to do and what it is expected to take."),
)  # fmt: skip
def experiment(
    call: Call, name: str | None, words: tuple[str, ...], which: str | None, seeds: int | None, run: str | None,
    launcher: str | None, dry_run: bool,
) -> None:  # fmt: skip
    """Answer one question of the paper: NAME's arms, each with every training seed; without NAME, list them.

    Its section in the report holds the predictions that were written before any run against what came.  Experiments
    with the same --run share their pools, chains and arms.
    """
    words = (*words, *([f"seeds={list(range(seeds))}"] if seeds else []))
    if (which or ("paper" if name == "reproduce" else "pocket")) == "paper":
        _run_paper(call, name, words, run, launcher, dry_run)
        return
    from limo.experiments.arms import load_questions

    refuse_ignored(["launcher"], "in the pocket lab")
    questions = load_questions()
    if name is None:
        refuse_ignored(["run", "seeds", "dry_run"], "where experiments are only listed")
        _list_experiments(call, questions)
        return
    asked = questions.experiment(name, ["reproduce"])
    if dry_run:
        rows = [[arm.name, _own(arm.label)] for arm in questions.arms_of([asked])]
        call.progress.log(aligned_table([["arm", ""], *rows]))
    _run(call, words, run or "runs/lab", [asked], dry_run)


def _list_experiments(call: Call, questions: Questions) -> None:
    rows = [[one.name, len(one.arms), len(one.predictions), _own(one.question)] for one in questions.experiments]
    listed = {one.name: one.question[0] for one in questions.experiments}
    call.result({"experiments": listed}, aligned_table([["name", "arms", "predictions", "question"], *rows]))


def _recipe_of(words: Sequence[str], default: str) -> tuple[str, list[str]]:
    """The recipe that the first word names, or the default, and the overrides."""
    return (words[0], list(words[1:])) if words and "=" not in words[0] else (default, list(words))


def _run(call: Call, words: Sequence[str], run: str, asked: Sequence[Experiment], dry_run: bool) -> None:
    """Run experiments in the pocket lab and print the report's tables, or print what is left to do."""
    from limo.core.recipe import load
    from limo.experiments.pocket.lab import PocketRecipe, plan
    from limo.experiments.pocket.lab import run as run_lab
    from limo.report import tables
    from limo.report.words import page_language

    recipe = load(PocketRecipe, *_recipe_of(words, "pocket"))
    if dry_run:
        expected_s = plan(recipe, run, asked)
        rows = [[stage, f"{seconds / 60:.1f}"] for stage, seconds in expected_s.items()]
        total = ["in all", f"{sum(expected_s.values()) / 60:.1f}"]
        call.result({"expected_s": expected_s}, aligned_table([["stage", "minutes on two cores"], *rows, total]))
        return
    report = run_lab(recipe, run, call.progress, asked)
    page = Path(run) / "report.html"
    language = page_language()
    parts = [part for part in report.sections if part.kind == "question"]
    answers = "\n".join(line for part in parts for line in _answer(part, language))
    result = {"report": page, "scores": Path(run) / "scores.json"}
    call.result(result, f"{tables.to_text(report, language)}\n{answers}\n{page}")


def _run_paper(
    call: Call, name: str | None, words: Sequence[str], run: str | None, launcher: str | None, dry_run: bool
) -> None:
    """Run an experiment in the paper lab, print its plan, or list the experiments where none is named."""
    from limo.core.recipe import load
    from limo.experiments.paper import experiment as paper
    from limo.experiments.paper.recipe import PaperRecipe
    from limo.report import tables

    file, overrides = _recipe_of(words, "paper-32b")
    recipe = load(PaperRecipe, file, overrides)
    if launcher and launcher != recipe.launcher.kind:
        recipe = load(PaperRecipe, file, [*overrides, f"launcher={{kind: {launcher}}}"])
    if name is None:
        refuse_ignored(["run", "seeds", "dry_run"], "where experiments are only listed")
        _list_experiments(call, recipe.questions)
        return
    folder = run_of(run, file)
    if dry_run:
        plan = paper.plan(name, recipe, folder)
        call.result(asdict(plan), _plan_text(plan))
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
    planned, left_out = plan_all(recipe, run_of(run, file))
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


def _plan_text(plan: ExperimentPlan) -> str:
    """A plan as text: the matrix with its costs, what is fetched, trained, served and scored, the paper's figures."""
    head = ["arm", "seeds", "done", "train GB", "host GB", "serve GB", "at once", "fits", "hours", "GPU-hours", "USD"]
    arms = dict.fromkeys(row.arm for row in plan.cells)
    rows = [_planned_row([row for row in plan.cells if row.arm == arm]) for arm in arms]
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


def _planned_row(cells: Sequence[PlannedCell]) -> list[object]:
    first, (n_cells, n_done, _, *sums) = cells[0], _sums(cells)
    sizes = [f"{size:,.0f}" if size else "" for size in (first.train_gb, first.host_gb, first.serve_gb)]
    return [first.arm, n_cells, n_done, *sizes, f"{first.n_sequences:,}", "yes" if first.fits else "no", *sums]


def _own(texts: tuple[str, str]) -> str:
    """Of a text in English and Chinese the one in the reader's language."""
    from limo.report.words import page_language

    return texts[page_language() == "zh"]


def _answer(part: Section, language: Language) -> list[str]:
    """A question with its answer, and each prediction with its outcome."""
    from limo.report.words import word

    predictions = [f"  {word(row.outcome, language):<7}  {row.text.text(language)}" for row in part.predictions]
    claims = (f"  {claim.text(language)}" for claim in part.claims[:1])
    return [part.title.text(language), *claims, *predictions, ""]


@click.group("pocket")
def pocket() -> None:
    """The pocket lab's own models."""


@command(
    "pretrain",
    click.argument("name"),
    click.option("-o", "--output", metavar="DIR", help="Folder of the model.  [default: runs/pocket/NAME]"),
    click.option("--device", default="cpu", metavar="NAME", help="As torch names it: cpu, cuda.  [default: cpu]"),
    group=pocket,
)
def pretrain(call: Call, name: str, output: str | None, device: str) -> None:
    """Pre-train the pocket model NAME from its corpus, as the shipped one was (minutes on a CPU core)."""
    from limo.experiments.pocket.models import OWN_WEIGHTS
    from limo.experiments.pocket.pretrain import pretrain
    from limo.models.local.completer import check_device

    out = Path(output) if output else OWN_WEIGHTS / name
    check_device(device)
    model = pretrain(name, out, call.progress, with_premise=True, device=device)
    call.result({"model": model}, f"{name} is in {model}")


@command(
    "premise",
    click.argument("name"),
    click.option("-m", "--model", metavar="DIR", help="Folder of the model.  [default: the shipped one]"),
    group=pocket,
)
def premise(call: Call, name: str, model: str | None) -> None:
    """Measure on fresh problems what the pocket model NAME does by default and what it can do."""
    from limo.experiments.pocket.models import model_path, pretrain_plan
    from limo.experiments.pocket.premise import measure_premise

    measured = measure_premise(Path(model) if model else model_path(name), pretrain_plan(name))
    rows = [[key, part, share] for key, values in measured.items() for part, share in _parts(values)]
    call.result({"premise": measured}, aligned_table([["measure", "of", "share"], *rows]))


def _parts(values: object) -> list[tuple[str, object]]:
    return list(values.items()) if isinstance(values, dict) else [("all", values)]


@command("doctor")
def doctor(call: Call) -> None:
    """List what this machine has: cores, memory, disk, packages, GPU, hub."""
    from limo.stages.doctor import machine_facts

    facts = list(machine_facts())
    text = aligned_table([["what", "here", "for limo"], *facts])
    call.result({"machine": [fact._asdict() for fact in facts]}, text)


COMMANDS = (lab, experiment, pocket, doctor)
