"""The commands rollouts, plan, serve-replay and ledger.

limo rollouts rollouts data=DIR --run runs/rollouts
limo plan limo-v2
limo serve-replay samples/*.jsonl.gz --port 8900
limo ledger merge a.sqlite b.sqlite -o all.sqlite
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limo.cli.arguments import refuse_ignored
from limo.cli.command import (
    OVERRIDES,
    RECIPE,
    RETRY_ERRORS,
    Call,
    Finite,
    aligned_table,
    command,
    load_recipe,
    output,
    run_folder,
    workers,
)
from limo.cli.next_step import run_of
from limo.core.errors import InputError

if TYPE_CHECKING:
    from limo.core.records import PassRate
    from limo.stages.plan import CostAssumptions, PlannedStep

_OF_ROLLOUTS = ("usd_per_gpu_hour", "tokens_per_s", "pilot", "workers")
"""Options of `limo plan` that only the plans of rollouts look at."""


@command(
    "rollouts",
    RECIPE,
    OVERRIDES,
    run_folder(),
    RETRY_ERRORS,
    workers(),
)
def rollouts(
    call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, retry_errors: bool, workers: int
) -> None:
    """Complete the problems of a pool with models.

    Every completion is verified and kept in the run's ledger; the same command again requests only what is missing.
    """
    from limo.rollouts.lacking import raise_lacking
    from limo.stages import rollouts as stage

    folder = run_of(run, recipe)
    settings = load_recipe(stage.Recipe, "rollouts", recipe, overrides)
    result = stage.run(settings, folder, call.progress, workers, retry_errors=retry_errors)
    head: list[object] = ["model", "problems", "rollouts", "decided", "correct", "kept"]
    lines = [head, *map(_summary, result.pass_rates, result.n_rollouts)]
    value = {"rates": result.rows, "n_rollouts": result.n_rollouts, "n_in_ledger": result.n_in_ledger, "run": folder}
    in_all = f"{result.n_in_ledger:,} rollouts in all in {result.ledger}"
    text = in_all if result.n_in_ledger != sum(result.n_rollouts) else str(result.ledger)
    call.result(value, f"{aligned_table(lines)}\n\n{text}")
    raise_lacking(result.lacks)


def _summary(rates: dict[str, PassRate], n_rollouts: int) -> list[object]:
    """A line of the table: rollouts that were asked for and are there, and of the decided ones the share correct."""
    n_decided = sum(rate.n_decided for rate in rates.values())
    n_correct = sum(rate.n_correct for rate in rates.values())
    decisions = [rate.decision for rate in rates.values()]
    model = next((rate.model for rate in rates.values()), "")
    share = f"{n_correct / n_decided:.1%}" if n_decided else "—"
    return [model, len(rates), n_rollouts, n_decided, share, decisions.count("keep") if any(decisions) else "—"]


@command(
    "plan",
    RECIPE,
    OVERRIDES,
    run_folder(),
    click.option("--gpu", default="H100", show_default=True, help="A100, H100, H200, B200, L40S, RTX4090 or MI300X."),
    click.option("--usd-per-gpu-hour", type=Finite(0), default=0.0, help="[default: only the models' `price`]"),
    click.option(
        "--tokens-per-s", type=Finite(1e-3), help="Of one request.  [default: as measured in the run, else 30]"
    ),
    click.option("--pilot", type=click.IntRange(0), default=0, help="First really complete so many problems."),
    workers(),
)
def plan(
    call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, gpu: str, usd_per_gpu_hour: float,
    tokens_per_s: float | None, pilot: int, workers: int,
) -> None:  # fmt: skip
    """Estimate the cost of a run before it starts.

    RECIPE is one of `limo curate`, `limo rollouts`, `limo train` or a paper lab.  The estimate uses what the run's
    ledger holds already; `--pilot` fills it, and the run does not pay for that again.  Of a training: memory, hours
    and the smallest set-up that fits.
    Of a paper lab: every experiment's cells, hours and cost, with the recipe's own `hardware`.
    """
    from limo.core.recipe import load
    from limo.stages import plan as stage
    from limo.stages.curate import Recipe as CurateRecipe
    from limo.stages.recipe_kinds import kind_of_recipe
    from limo.stages.rollouts import Recipe as RolloutsRecipe

    kind = kind_of_recipe(recipe)
    if kind == "paper lab":
        from limo.cli.lab import plan_matrix

        refuse_ignored(["gpu", *_OF_ROLLOUTS], "in the plan of a paper lab")
        plan_matrix(call, recipe, overrides, run)
        return
    if kind in ("evaluation", "pocket lab"):
        do = f"limo {'evaluate' if kind == 'evaluation' else 'lab'} {recipe} --dry-run"
        raise InputError(
            "the plan of such a recipe is its dry run", recipe, "curation, rollouts, training, paper lab", do
        )
    if kind == "training":
        refuse_ignored(["run", *_OF_ROLLOUTS], "in the plan of a training")
        _plan_training(call, recipe, overrides, gpu)
        return
    terms = stage.CostAssumptions(gpu, usd_per_gpu_hour, tokens_per_s)
    settings: Any = load(RolloutsRecipe if kind == "rollouts" else CurateRecipe, recipe, overrides)
    steps = stage.run(settings, run_of(run, recipe), terms, call.progress, pilot, workers)
    print_plan(call, steps, terms)


def _plan_training(call: Call, recipe: str, overrides: tuple[str, ...], gpu: str) -> None:
    from limo.core.heartbeat import announced
    from limo.core.recipe import load
    from limo.stages import train, train_plan

    with announced(call.progress, "timing a part of the model on this machine"):
        planned = train_plan.run(load(train.Recipe, recipe, overrides), gpu)
    counts = f"{planned.n_examples:,} examples, {planned.n_tokens:,} tokens, the longest {planned.longest:,}"
    head = [counts] if planned.n_examples or not planned.notes else planned.notes[:1]  # no rows are there yet
    notes = "".join(f"\n{note}" for note in planned.notes if note not in head)
    text = f"{head[0]}\n\n{aligned_table(planned.table())}\n\n{planned.sentence}{notes}"
    call.result(asdict(planned) | {"sentence": planned.sentence}, text)


def print_plan(call: Call, steps: Sequence[PlannedStep], terms: CostAssumptions) -> None:
    """Print the planned steps and the terms they rest on."""
    from limo.stages import plan as stage

    speed, still = stage.speed_note(steps, terms), "duplicates and problems like a benchmark's still included"
    note = f"GPU-hours on {terms.gpu}; {speed}; {still}"
    note += f"\n{stage.lengths_note(steps)}"
    if any(step.gpu_hours is None for step in steps):
        note += "\nGPU-hours unknown: set size_b of the models; on a server without a GPU the time is what counts"
    if any(step.usd is None for step in steps):
        note += f"\n{stage.NO_PRICES}, or --usd-per-gpu-hour"
    call.result({"steps": [asdict(step) for step in steps]}, f"{aligned_table(stage.cost_table(steps))}\n\n{note}")


@command(
    "serve-replay",
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option("--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="0: one that is free."),
    click.option("--latency-ms", type=Finite(0), default=0.0, help="Before a reply begins."),
    click.option("--tokens-per-s", type=Finite(0), default=0.0, help="Of one request.  [default: at once]"),
    click.option(
        "--fault", multiple=True, metavar="NAME=SHARE", help="429, 500, reset, half, drip or type; repeat it."
    ),
    click.option("--retry-after-s", type=Finite(0), default=0.05, help="Retry-After of a 429, seconds."),
    click.option("--drip-s", type=Finite(0), default=30.0, help="Between the bytes of a slow drip."),
    click.option("--repeat", is_flag=True, help="Replay the recordings again for indexes beyond them."),
    click.option("--seed", type=click.IntRange(0), default=0, help="Of the faults."),
)
def serve_replay(
    call: Call,
    files: tuple[str, ...],
    port: int,
    latency_ms: float,
    tokens_per_s: float,
    fault: tuple[str, ...],
    retry_after_s: float,
    drip_s: float,
    repeat: bool,
    seed: int,
) -> None:
    """Serve recorded completions over HTTP.

    An OpenAI-compatible server on this machine, until Ctrl-C: for trying recipes without a model.  FILE: JSON lines
    of problem, model and text; of a problem with options `problem` ends in a line for each: A. ..., B. ...
    Equal requests get the recordings of a problem in turn, limo's own the one of their index.
    """
    from limo.core.recipe import load
    from limo.models.replay_server import ReplayServer, ReplayServerSettings

    faults = "{" + ", ".join(f'"{name}": {share}' for name, _, share in (one.partition("=") for one in fault)) + "}"
    values = {"latency_s": latency_ms / 1000, "tokens_per_s": tokens_per_s, "retry_after_s": retry_after_s}
    values |= {"drip_s": drip_s, "repeat": repeat, "seed": seed}
    words = [f"faults={faults}", *(f"{name}={value}" for name, value in values.items())]
    server = ReplayServer([Path(file) for file in files], load(ReplayServerSettings, None, words))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with server.running(port) as url:
        call.result({"url": url, "models": list(server.recordings)}, f"{url}: {', '.join(server.recordings)}")
        stopped.wait()


@click.group("ledger")
def ledger() -> None:
    """Ledgers of rollouts: count, merge and export them."""


@command("show", click.argument("file"), group=ledger)
def ledger_show(call: Call, file: str) -> None:
    """Count a ledger's rollouts by model, and check that it is sound."""
    from limo.ledger.export import summary_table
    from limo.ledger.store import Ledger

    rows = list(summary_table(_defined(file)))
    with Ledger(ledger_of(file), read_only=True) as opened:
        errors = opened.integrity_errors()
    if errors:
        raise InputError("the ledger is damaged", errors[0], "", "save what is left with: sqlite3 FILE .recover")
    head = [str(name) for name in rows[0]]
    call.result({"models": [dict(zip(head, row, strict=True)) for row in rows[1:]]}, aligned_table(rows))


@command(
    "merge", click.argument("files", nargs=-1, required=True, metavar="FILE..."), output("The ledger."), group=ledger
)
def ledger_merge(call: Call, files: tuple[str, ...], output: str) -> None:
    """Take the rollouts of several ledgers into one, each once; one that is there is added to.

    Of a rollout that two ledgers hold with different texts the first stays, and the others are counted.
    """
    from limo.core.files import atomic
    from limo.ledger.store import Ledger

    # a new ledger is there when every file was read, one that is there is added to in one transaction
    sources = [_defined(file) for file in files]  # before it: an error of a path is none of the ledger
    new = nullcontext(Path(output)) if Path(output).exists() else atomic(output)
    with new as path, Ledger(path) as target, target.transaction():
        counts = {file: target.merge(source) for file, source in zip(files, sources, strict=True)}
        n = len(target)
    rows: list[list[object]] = [["ledger", "new rollouts", "other texts"], *([f, *n] for f, n in counts.items())]
    added, conflicts = {f: n.n_new for f, n in counts.items()}, {f: n.n_conflicts for f, n in counts.items()}
    call.result(
        {"n_rollouts": n, "n_new": added, "n_conflicts": conflicts, "output": output},
        f"{aligned_table(rows)}\n\n{n:,} in {output}",
    )


@command("export", click.argument("file"), output("A .parquet, or the folder of a dataset."), group=ledger)
def ledger_export(call: Call, file: str, output: str) -> None:
    """Write every rollout with its verdict as a table, failures included."""
    from limo.ledger.export import export

    n = export(_defined(file), output)
    call.result({"n_rollouts": n, "output": output}, f"{n:,} rollouts in {output}")


def _defined(file: str) -> Path:
    """The ledger of a path, all of whose rollouts have their prompt and sampling defined."""
    from limo.ledger.store import Ledger

    with Ledger(path := ledger_of(file), read_only=True) as opened:
        opened.check_definitions()
    return path


def ledger_of(path: str) -> Path:
    """A ledger's file, also where its run folder is named."""
    return Path(path) / "ledger.sqlite" if Path(path).is_dir() else Path(path)


COMMANDS = (rollouts, plan, serve_replay, ledger)
