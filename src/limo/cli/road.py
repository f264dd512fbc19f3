"""The commands that walk the road by a recipe: lab, curate, train; and `pocket`, which rebuilds the lab's models.

    limo lab --run runs/lab
    limo curate replay data=../shared/data --run runs/replay
    limo train train-v2 dataset=runs/limo-v2/selected --run runs/train-v2

What it does not do: evaluate and compare (`measuring`), or touch loose files (`loose`).
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click

from limo.cli.shape import OVERRIDES, RECIPE, Call, command, run_folder, run_of, workers

_LAB_RECIPE = "pocket"


@command("lab", click.argument("words", nargs=-1, metavar="[RECIPE] [section.key=value]..."), run_folder("runs/lab"))
def lab(call: Call, words: tuple[str, ...], run: str) -> None:
    """The whole method in miniature, for real.

    Pool, rollouts, chains, training, evaluation, report.

    RECIPE is recipes/pocket.yaml unless named.  Stopped and started again it goes on where it was.
    """
    from limo.core.recipe import load
    from limo.experiments.pocket.lab import LabRecipe
    from limo.experiments.pocket.run import run as run_lab
    from limo.report import tables

    named = bool(words) and "=" not in words[0]
    recipe = load(LabRecipe, words[0] if named else _LAB_RECIPE, words[1:] if named else words)
    report = run_lab(recipe, run, call.progress)
    page = Path(run) / "report.html"
    call.result({"report": page, "scores": Path(run) / "scores.json"}, f"{tables.to_text(report)}\n{page}")


@command(
    "curate",
    RECIPE,
    OVERRIDES,
    run_folder(),
    workers(),
    click.option("--dry-run", is_flag=True, help="Read the pool, say what the run will do and cost, ask nobody."),
)
def curate(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, workers: int, dry_run: bool) -> None:
    """From a pool to a dataset.

    Deduplicate, decontaminate, filter by difficulty, collect chains, verify, grade, select, export.

    The run folder keeps what each stage kept and dropped, and why; the same command again goes on where it stopped.
    """
    from limo.core.recipe import load
    from limo.stages import curate as pipeline

    settings = load(pipeline.CurateRecipe, recipe, overrides)
    if dry_run:
        from limo.cli import asking

        asking.tried(call, settings, run_of(run, recipe))
        return
    done = pipeline.curate(settings, run_of(run, recipe), call.progress, workers)
    value = {"folder": done.folder, "n_selected": done.n_selected, "did_nothing": done.did_nothing}
    funnel = [asdict(row) for row in done.funnel]
    told = f"{pipeline.render(done.funnel)}\n\n{done.n_selected:,} in {done.folder}"
    told += "; nothing was left to do, and no model was asked" if done.did_nothing else ""
    call.result({**value, "funnel": funnel}, told)


@command("train", RECIPE, OVERRIDES, run_folder())
def train(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None) -> None:
    """Fine-tune a model on a dataset.

    The run folder gets `model/`.

    On several GPUs: accelerate launch --config_file recipes/accelerate/fsdp2.yaml -m limo.cli train RECIPE --run DIR
    """
    from limo.cli.recipes import TrainRecipe
    from limo.core.recipe import load
    from limo.core.run_folder import RunFolder
    from limo.train.methods import sft

    settings, folder = load(TrainRecipe, recipe, overrides), run_of(run, recipe)
    is_main = os.environ.get("RANK", "0") == "0"  # under accelerate one process of several keeps the folder
    with RunFolder(folder, settings) if is_main else nullcontext():
        done = sft.train(settings.model, settings.dataset, folder / "model", settings.sft, call.progress)
    if is_main:
        of = f"{done.n_examples:,} examples, {done.n_updates:,} updates, {done.n_tokens_seen:,} tokens"
        call.result(asdict(done), f"{done.model_dir}: {of}, last loss {done.losses[-1] if done.losses else 'none'}")


@click.group("pocket")
def pocket() -> None:
    """The pocket lab's own models."""


@command(
    "pretrain",
    click.argument("name"),
    click.option("-o", "--output", metavar="DIR", help="Folder of the model.  [default: runs/pocket/NAME]"),
    group=pocket,
)
def pretrain(call: Call, name: str, output: str | None) -> None:
    """Pre-train the pocket model NAME from its corpus, as the shipped one was (hours on a CPU core)."""
    from limo.experiments.pocket import pretrain as room

    folder = Path(output) if output else Path("runs/pocket") / name
    done = room.pretrain(name, folder, call.progress, with_skills=True)
    call.result({"model": done}, f"{name} is in {done}")


COMMANDS = (lab, curate, train, pocket)
