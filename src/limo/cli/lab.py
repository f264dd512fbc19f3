"""The commands lab, pocket and doctor.

limo lab --run runs/lab
"""

from __future__ import annotations

from pathlib import Path

import click

from limo.cli.command import Call, aligned_table, command, run_folder


@command(
    "lab",
    click.argument("words", nargs=-1, metavar="[RECIPE] [section.key=value]..."),
    run_folder("runs/lab"),
    click.option("--dry-run", is_flag=True, help="List the stages still to do and their expected minutes."),
)
def lab(call: Call, words: tuple[str, ...], run: str, dry_run: bool) -> None:
    """Run the whole method in miniature: pool, rollouts, chains, training, evaluation, report.

    RECIPE is `pocket` unless named.  Stopped and started again, it continues where it was.
    """
    from limo.core.recipe import load
    from limo.experiments.pocket.lab import PocketRecipe, plan
    from limo.experiments.pocket.lab import run as run_lab
    from limo.report import tables

    named = bool(words) and "=" not in words[0]
    recipe = load(PocketRecipe, words[0] if named else "pocket", words[1:] if named else words)
    if dry_run:
        expected_s = plan(recipe, run)
        rows = [[stage, f"{seconds / 60:.1f}"] for stage, seconds in expected_s.items()]
        total = ["in all", f"{sum(expected_s.values()) / 60:.1f}"]
        call.result({"expected_s": expected_s}, aligned_table([["stage", "minutes on two cores"], *rows, total]))
        return
    report = run_lab(recipe, run, call.progress)
    page = Path(run) / "report.html"
    call.result({"report": page, "scores": Path(run) / "scores.json"}, f"{tables.to_text(report)}\n{page}")


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
    from limo.experiments.pocket.pretrain import pretrain

    model = pretrain(name, Path(output) if output else Path("runs/pocket") / name, call.progress, with_skills=True)
    call.result({"model": model}, f"{name} is in {model}")


@command("doctor")
def doctor(call: Call) -> None:
    """List what this machine has: cores, memory, disk, packages, GPU, hub."""
    from limo.stages.doctor import machine_facts

    facts = list(machine_facts())
    text = aligned_table([["what", "here", "for limo"], *facts])
    call.result({"machine": [fact._asdict() for fact in facts]}, text)


COMMANDS = (lab, pocket, doctor)
