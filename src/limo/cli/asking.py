"""The commands around asking models: rollouts, plan, a server of recordings, and what ledgers hold.

    limo rollouts rollouts data=DIR --run runs/asked
    limo plan limo-v2
    limo serve-replay samples/*.jsonl.gz --port 8900
    limo ledger merge a.sqlite b.sqlite -o all.sqlite

What it does not do: keep or drop problems (`limo curate` does).
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.shape import OVERRIDES, RECIPE, Call, command, output, run_folder, run_of, table, workers
from limo.core.errors import InputError

if TYPE_CHECKING:
    from limo.cli.recipes import RolloutsRecipe
    from limo.core.records import PassRate, Problem
    from limo.core.run_folder import RunFolder
    from limo.stages.curate import CurateRecipe
    from limo.stages.plan import Step, Terms


@command("rollouts", RECIPE, OVERRIDES, run_folder(), workers())
def rollouts(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, workers: int) -> None:
    """Ask models about a pool.

    Every answer is verified and kept in the run's ledger; the same command again asks only what is missing.
    """
    from limo.cli.recipes import RolloutsRecipe
    from limo.core.recipe import load
    from limo.core.run_folder import RunFolder
    from limo.rollouts.collect import CollectionStopped

    settings, folder = load(RolloutsRecipe, recipe, overrides), run_of(run, recipe)
    with RunFolder(folder, settings) as room:
        problems = _pool(settings)
        try:
            asked = _asked(call, settings, problems, room, workers)
        except CollectionStopped as stopped:
            room.write_json("undecided.json", stopped.undecided)
            raise
        rows = [row for number, rates in enumerate(asked, 1) for row in _rates(number, problems, rates)]
        room.write_stage("rollouts", rows, [])
    shown: list[list[object]] = [["asked", "problems", "rollouts", "correct", "kept"]]
    shown += [_summary(rates) for rates in asked]
    call.result({"rates": rows, "run": folder}, f"{table(shown)}\n\n{room.ledger_path}")


def _pool(settings: CurateRecipe | RolloutsRecipe) -> list[Problem]:
    from limo.pool.ingest import ingest
    from limo.verify.checker import verifiable

    data = Path(settings.data)
    sources = [
        one.model_copy(update={"path": str(data / one.path) if (data / one.path).exists() else one.path})
        for one in settings.pool.sources
    ]
    unique = {problem.id: problem for problem in ingest(sources, verifiable, settings.pool).problems}
    if not unique:
        raise InputError("the pool is empty", ", ".join(one.path for one in sources), "one problem or more", "")
    return list(unique.values())


def _asked(
    call: Call, settings: RolloutsRecipe, problems: list[Problem], room: RunFolder, n_workers: int
) -> list[dict[str, PassRate]]:
    from limo.ledger.store import Ledger
    from limo.models.settings import open_model
    from limo.rollouts.runner import RolloutRunner
    from limo.verify.checker import Checker

    prices = {model.name: model.price for model in settings.models}
    runner = RolloutRunner(open_model, settings.data, call.progress, settings.budget, prices)
    with Ledger(room.ledger_path) as ledger, Checker(n_workers) as checker:
        return [
            runner.run(
                one, problems, ledger, checker, f"asking {number} of {len(settings.ask)}", one.band
            )
            for number, one in enumerate(settings.ask, 1)
        ]


def _rates(number: int, problems: Sequence[Problem], rates: dict[str, PassRate]) -> list[dict[str, object]]:
    from dataclasses import asdict

    from limo.core.stats import wilson

    rows = []
    for problem in problems:
        rate = rates[problem.id]
        low, high = wilson(rate.n_correct, rate.n_decided)
        interval = {"rate": rate.rate, "rate_low": low, "rate_high": high}
        rows.append({"asking": number, "problem_id": problem.id, **asdict(rate), **interval})
    return rows


def _summary(rates: dict[str, PassRate]) -> list[object]:
    n_decided = sum(rate.n_decided for rate in rates.values())
    n_correct = sum(rate.n_correct for rate in rates.values())
    name = next((rate.model for rate in rates.values()), "")
    n_kept = sum(rate.decision == "keep" for rate in rates.values())
    banded = any(rate.decision for rate in rates.values())
    share = f"{n_correct / n_decided:.1%}" if n_decided else "-"
    return [name, len(rates), n_decided, share, n_kept if banded else "-"]


@command(
    "plan",
    RECIPE,
    OVERRIDES,
    run_folder(),
    click.option("--gpu", default="H100", show_default=True, help="A100, H100, H200, B200, L40S, RTX4090 or MI300X."),
    click.option(
        "--usd-per-gpu-hour", type=click.FloatRange(0), default=0.0, help="[default: only the models' `price`]"
    ),
    click.option(
        "--tokens-per-s", type=click.FloatRange(0, min_open=True), default=30.0, help="That one request gets."
    ),
    click.option("--pilot", type=click.IntRange(0), default=0, help="First really ask about so many problems."),
    workers(),
)
def plan(
    call: Call,
    recipe: str,
    overrides: tuple[str, ...],
    run: str | None,
    gpu: str,
    usd_per_gpu_hour: float,
    tokens_per_s: float,
    pilot: int,
    workers: int,
) -> None:
    """Reckon what rollouts will cost, before any is asked.

    RECIPE is one of `limo curate` or `limo rollouts`. What the run's ledger knows already is used; `--pilot` fills it,
    and the run pays for that no second time.
    """
    from limo.stages import plan as room

    settings = _recipe(recipe, overrides)
    terms = room.Terms(gpu, usd_per_gpu_hour, tokens_per_s)
    problems = _pool(settings)
    steps = _steps(settings)
    if pilot:
        _pilot(call, settings, steps, sorted(problems, key=lambda p: p.id)[:pilot], run_of(run, recipe), workers)
    planned(call, steps, problems, run_of(run, recipe), terms)


def planned(call: Call, steps: list[Step], problems: list[Problem], run: Path, terms: Terms) -> None:
    """Print what the steps will cost, with what the run's ledger knows already."""
    from dataclasses import asdict

    from limo.ledger.store import Ledger
    from limo.stages import plan as room

    file = run / "ledger.sqlite"
    with Ledger(file, read_only=True) if file.is_file() else nullcontext() as ledger:
        rows = room.plan(steps, problems, terms, ledger)
    note = f"GPU-hours on {terms.gpu}; hours at {terms.tokens_per_s:g} tokens/s a request; "
    note += "before duplicates and benchmarks are out"
    call.result({"steps": [asdict(row) for row in rows]}, f"{table(room.table(rows))}\n\n{note}")


def tried(call: Call, settings: CurateRecipe, run: Path) -> None:
    """What `limo curate --dry-run` prints: the pool as it is read, the stages, and what their rollouts will cost."""
    from limo.stages import plan as room

    problems = _pool(settings)
    stages = ["ingest", "dedup", "decontaminate", *(one.name for one in settings.filters)]
    call.progress.log(f"{len(problems):,} problems; {' -> '.join([*stages, 'chains', 'grade', 'select', 'export'])}")
    planned(call, _steps(settings), problems, run, room.Terms())


def _recipe(path: str, overrides: tuple[str, ...]) -> CurateRecipe | RolloutsRecipe:
    """Of whichever kind the file is."""
    import yaml

    from limo.cli.recipes import RolloutsRecipe
    from limo.core.recipe import load
    from limo.stages.curate import CurateRecipe

    with suppress(OSError, ValueError, yaml.YAMLError):
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if isinstance(values, dict) and "ask" in values:
            return load(RolloutsRecipe, path, overrides)
    return load(CurateRecipe, path, overrides)


def _steps(settings: CurateRecipe | RolloutsRecipe) -> list[Step]:
    from limo.cli.recipes import RolloutsRecipe
    from limo.stages.plan import Step

    if isinstance(settings, RolloutsRecipe):
        return [Step(f"asking {k}", one, one.band) for k, one in enumerate(settings.ask, 1)]
    steps = [Step(one.name, one, one.band, teaches=one.teacher) for one in settings.filters]
    steps += [Step(f"teacher {k}", one, teaches=True) for k, one in enumerate(settings.teachers, 1)]
    if settings.judge and settings.grade.scorer == "judge":
        steps.append(Step("judge (chains)", settings.judge, judges=True))
    return steps


def _pilot(
    call: Call,
    settings: CurateRecipe | RolloutsRecipe,
    steps: Sequence[Step],
    problems: list[Problem],
    run: Path,
    n_workers: int,
) -> None:
    """Ask about some problems as the run will, into its ledger; each step about what the one before keeps.

    A judge is not asked: which chains it will see, only the whole run knows.
    """
    from limo.core.run_folder import RunFolder
    from limo.ledger.store import Ledger
    from limo.models.settings import open_model
    from limo.rollouts.runner import RolloutRunner
    from limo.verify.checker import Checker

    runner = RolloutRunner(
        open_model, settings.data, call.progress, settings.budget, {m.name: m.price for m in settings.models}
    )
    with RunFolder(run, settings) as room, Ledger(room.ledger_path) as ledger, Checker(n_workers) as checker:
        for step in (one for one in steps if not one.judges):
            rates = runner.run(
                step.asking, problems, ledger, checker, f"pilot of {step.name}", step.band
            )
            problems = [p for p in problems if step.band is None or rates[p.id].decision == "keep"]


@command(
    "serve-replay",
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option("--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="0: one that is free."),
    click.option("--latency-ms", type=click.FloatRange(0), default=0.0, help="Before a reply begins."),
    click.option("--tokens-per-s", type=click.FloatRange(0), default=0.0, help="Of one request.  [default: at once]"),
    click.option(
        "--fault", multiple=True, metavar="NAME=SHARE", help="429, 500, reset, half, drip or type; repeat it."
    ),
    click.option("--retry-after-s", type=click.FloatRange(0), default=0.05, help="What a 429 asks for."),
    click.option("--drip-s", type=click.FloatRange(0), default=30.0, help="Between the bytes of a slow drip."),
    click.option("--repeat", is_flag=True, help="Answer attempts beyond the recorded ones from the first again."),
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
    """Answer with recorded completions over HTTP.

    An OpenAI-compatible server on this machine, until Ctrl-C: for trying recipes without a model.
    """
    from limo.core.recipe import load
    from limo.models.openai.completer import fast_loop, seldom_collected
    from limo.models.replay_server import HOST, ReplayServer, ServeSettings

    faults = "{" + ", ".join(f'"{name}": {share}' for name, _, share in (one.partition("=") for one in fault)) + "}"
    values = {"latency_s": latency_ms / 1000, "tokens_per_s": tokens_per_s, "retry_after_s": retry_after_s}
    values |= {"drip_s": drip_s, "repeat": repeat, "seed": seed}
    words = [f"faults={faults}", *(f"{name}={value}" for name, value in values.items())]
    import asyncio

    server = ReplayServer([Path(file) for file in files], load(ServeSettings, None, words))

    async def serve() -> None:
        url = f"http://{HOST}:{await server.start(port)}/v1"
        call.result({"url": url, "models": list(server.recordings)}, f"{url}: {', '.join(server.recordings)}")
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # told to the loop, so that no request is torn in its middle
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()
        await server.stop()

    with seldom_collected(), asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(serve())


@click.group("ledger")
def ledger() -> None:
    """What was asked and what came.

    Look into ledgers, merge them, hand them on as tables.
    """


@command("show", click.argument("file"), group=ledger)
def ledger_show(call: Call, file: str) -> None:
    """Count a ledger's rollouts by model, and check that it is sound."""
    from limo.ledger.export import summary_table
    from limo.ledger.store import Ledger

    rows = list(summary_table(ledger_of(file)))
    with Ledger(ledger_of(file), read_only=True) as opened:
        errors = opened.integrity_errors()
    if errors:
        raise InputError("the ledger is damaged", errors[0], "", "save what is left with: sqlite3 FILE .recover")
    head = [str(name) for name in rows[0]]
    call.result({"models": [dict(zip(head, row, strict=True)) for row in rows[1:]]}, table(rows))


@command(
    "merge", click.argument("files", nargs=-1, required=True, metavar="FILE..."), output("The ledger."), group=ledger
)
def ledger_merge(call: Call, files: tuple[str, ...], output: str) -> None:
    """Take the rollouts of several ledgers into one, each once; one that is there is added to."""
    from limo.ledger.store import Ledger

    with Ledger(output) as target:
        added = {file: target.merge(ledger_of(file)) for file in files}
        n = len(target)
    rows: list[list[object]] = [["ledger", "new rollouts"], *([file, new] for file, new in added.items())]
    call.result({"n_rollouts": n, "n_new": added, "output": output}, f"{table(rows)}\n\n{n:,} in {output}")


@command("export", click.argument("file"), output("A .parquet, or the folder of a dataset."), group=ledger)
def ledger_export(call: Call, file: str, output: str) -> None:
    """Write every rollout with its verdict as a table, failures included."""
    from limo.ledger.export import export

    n = export(ledger_of(file), output)
    call.result({"n_rollouts": n, "output": output}, f"{n:,} rollouts in {output}")


def ledger_of(path: str) -> Path:
    """A ledger's file, also where its run folder is named."""
    return Path(path) / "ledger.sqlite" if Path(path).is_dir() else Path(path)


COMMANDS = (rollouts, plan, serve_replay, ledger)
