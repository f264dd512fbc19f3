"""The commands init and status.

limo init problems.jsonl --server http://127.0.0.1:8000/v1
limo status limo-mine/runs/mine
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.command import Call, aligned_table, command, named_columns
from limo.core.progress import duration
from limo.core.text import short_names

if TYPE_CHECKING:
    from limo.experiments.lab_status import LabStatus
    from limo.stages.status import RunStatus

MOST_NAMES = 20  # of a server's models in a line


@command(
    "init",
    click.argument("file"),
    click.option("--server", default="", metavar="URL", help="Of the models, as http://host:8000/v1."),
    click.option("-o", "--output", metavar="DIR", help="Folder of the recipes.  [default: limo- + the file's name]"),
    click.option("--field", multiple=True, metavar="NAME=COLUMN", help="Where the guess is wrong: problem=stem."),
    click.option(
        "--hold-out", type=click.IntRange(1), metavar="N",
        help="Problems to evaluate on.  [default: a tenth, 50 to 200, at most a quarter]",
    ),
    click.option("--model", default="", metavar="NAME", help="The weights to train: a folder, or a name on the hub."),
    click.option("--api-key-env", default="", metavar="NAME", help="Environment variable that holds the server's key."),
    click.option("--replace", is_flag=True, help="Write over files of an earlier call, edited ones too; runs stay."),
)  # fmt: skip
def init(
    call: Call, file: str, server: str, output: str | None, field: tuple[str, ...], hold_out: int | None, model: str,
    api_key_env: str, replace: bool,
) -> None:  # fmt: skip
    """Write recipes for your own problems and your own server.

    Guesses the columns, asks the server for its models and their context, holds some problems out to evaluate on, and
    prints the next commands.
    """
    from limo.stages import init as stage

    fields = named_columns(field)
    folder = output or f"limo-{Path(file).name.partition('.')[0]}"
    result = stage.run(file, folder, server, fields, api_key_env, hold_out, model, replace, call.progress)
    columns = ", ".join(f"{name}={column}" for name, column in result.fields.items())
    shown = [
        f"{m.name} ({f'context {m.context:,}' if m.context else 'context unknown'})" for m in result.models[:MOST_NAMES]
    ]
    n_more = len(result.models) - len(shown)
    models = ", ".join([*shown, *[f"and {n_more:,} more (--json has all)"] * (n_more > 0)])
    lines = [
        f"{result.n_usable:,} of {result.n_rows:,} rows are problems with answers; {result.n_held_out:,} are held out",
        f"a score near 50% on {result.n_held_out:,} problems is known to ±{100 * result.half_width:.0f} points",
        f"columns: {columns or 'found by their names'}",
        "verifier: {}, since {}".format(*result.verifier),
        f"models: {models}",
        *(f"look at: {note}" for note in result.notes),
        *(f"written: {path}" for path in result.files),
        "",
        *result.commands,
    ]
    call.result(asdict(result) | {"models": [model._asdict() for model in result.models]}, "\n".join(lines))


@command("status", click.argument("run", metavar="RUN"))
def status(call: Call, run: str) -> None:
    """Say how far a run is, also one that goes on elsewhere: stages, rollouts, cost, time to go."""
    from limo.stages.recipe_kinds import kind_of_recipe
    from limo.stages.status import read_status

    if kind_of_recipe(str(Path(run) / "recipe.yaml")).endswith("lab"):
        from limo.experiments.lab_status import read_lab_status

        if of_lab := read_lab_status(run):
            call.result(asdict(of_lab), _lab_status(of_lab))
            return
    found = read_status(run)
    call.result(asdict(found) | {"remaining_s": found.remaining_s}, _status(found))


def _status(found: RunStatus, of_lab: bool = False) -> str:
    """The stages, what was spent, the next step, and the command that goes on unless that is the lab's."""
    from limo.stages.plan import NO_PRICES

    rows: list[list[object]] = [["stage", "kept", "dropped"]]
    rows += [[name, f"{counts.n_kept:,}", f"{counts.n_dropped:,}"] for name, counts in found.stages.items()]
    lines = [aligned_table(rows), ""] if found.stages else []
    shown = short_names(list(found.usage))
    for model, used in found.usage.items():
        tokens = used.n_prompt_tokens + used.n_completion_tokens
        estimated = " (estimated)" if model in found.estimated else ""
        lines.append(f"{shown[model]}: {used.n_rollouts:,} rollouts, {tokens:,} tokens{estimated}")
    if found.usage:
        usd = NO_PRICES if found.usd is None else f"{found.usd:,.2f} USD by the recipe's prices"
        lines += [usd, f"{duration(found.requesting_s)} of requesting"]
    lines += [f"{lack.sentence}: {lack.why}" for lack in found.lacks]
    if found.is_done:
        return "\n".join([*lines, "done"])
    line = f"next: {found.step}"
    if found.n_most is not None:
        line += f", {found.n_stored:,} of at most {found.n_most:,} rollouts"
    if found.remaining_s is not None:
        line += f", at most {duration(found.remaining_s)} left in this stage"
    lines.append(line)
    if found.idle_s is not None:
        lines.append(f"the ledger was last written {duration(found.idle_s)} ago")
    return "\n".join([*lines, *([] if of_lab else _go_on(found))])


def _go_on(found: RunStatus | LabStatus) -> list[str]:
    """Whether a process works on an unfinished run, and the command that goes on where none does."""
    if found.is_running:
        return ["a process works on it now"]
    return ["no process works on it", *([f"go on with: {found.command}"] if found.command else [])]


def _first_of(cells: list[str]) -> str:
    """The first three names."""
    return ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")


def _lab_status(found: LabStatus) -> str:
    """The experiments, the curation while it goes on, the cells, and the command that goes on."""
    lines = [f"experiments: {', '.join(found.experiments)}"]
    if found.curation and not found.curation.is_done:
        lines += ["curation:", _status(found.curation, of_lab=True)]
    n_cells = len(found.measured) + len(found.under_way) + len(found.left)
    lines.append(f"{len(found.measured):,} of {n_cells:,} cells (an arm with a training seed) are measured")
    begun = "under way" if found.is_running else "begun"
    lines += [f"{begun}: {_first_of(found.under_way)}"] if found.under_way else []
    lines += [f"next of {len(found.left):,} left: {_first_of(found.left)}"] if found.left else []
    if found.is_done:
        return "\n".join([*lines, "done"])
    if found.remaining_s is not None:
        of = "on two quiet cores, longer on busy ones: no training is measured yet"
        of = ", at the pace of the trainings that are measured" if found.pace else f" {of}"
        lines.append(f"{duration(found.remaining_s)} left in this run{of}")
    return "\n".join([*lines, *_go_on(found)])


COMMANDS = (init, status)
