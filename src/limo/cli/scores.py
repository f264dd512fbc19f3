"""The command scores: scores made elsewhere into a run that `limo compare` reads, and a run's in the formats of others.

limo scores import samples_math.jsonl --model base --benchmark MATH500 --path eval/data --run runs/base
limo scores export runs/scores -o out/logs
limo scores export runs/scores -o out --to hub
"""

from __future__ import annotations

from dataclasses import asdict

import click

from limo.cli.command import Call, command, run_folder


@click.group("scores")
def scores() -> None:
    """Scores made elsewhere, and ours for others."""


@command(
    "import",
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option("--model", required=True, metavar="NAME", help="What tables call the model."),
    click.option("--benchmark", required=True, metavar="NAME", help="A known one, or a name for --path."),
    click.option("--path", metavar="PATH", help="Its file or folder.  [default: the hub's client, with its cache]"),
    click.option("--metric", default="", help="Which value counts, where there are several; lm-eval: NAME,FILTER."),
    click.option("--seed", type=click.IntRange(min=0), default=0, help="Training seed of the model."),
    run_folder("runs/imported"),
    group=scores,
)
def scores_import(
    call: Call, files: tuple[str, ...], model: str, benchmark: str, path: str | None, metric: str, seed: int, run: str
) -> None:
    """Read scores of Inspect, lm-eval, lighteval, evalscope or rows with `correct`, for `limo compare`.

    A row belongs to the problem whose statement its prompt is, or holds; what matches none is counted.
    """
    from limo.pool.sources.benchmarks import load_benchmark
    from limo.stages.score_imports import import_scores

    problems = load_benchmark(benchmark, path)
    imported = import_scores(files, model, benchmark, problems, run, metric, seed)
    counts = (
        f"{imported.n_rows:,} rows, {imported.n_unmatched:,} of no problem, {imported.n_without_value:,} not scored"
    )
    text = f"{model} on {benchmark}: {imported.mean:.1%} over {imported.n_problems:,} problems ({counts})"
    call.result(asdict(imported), f"{text}\n{imported.scores}")


@command(
    "export",
    click.argument("run", metavar="RUN"),
    click.option("-o", "--output", required=True, metavar="DIR", help="Folder of the files."),
    click.option(
        "--to",
        type=click.Choice(["inspect", "every-eval-ever", "hub"]),
        default="inspect",
        help="Logs for `inspect view`, a record of Every Eval Ever, or .eval_results of a hub model.",
        show_default=True,
    ),
    group=scores,
)
def scores_export(call: Call, run: str, output: str, to: str) -> None:
    """Write the scores of an evaluate run for others: with all rollouts (inspect), or scores and intervals."""
    from limo.stages.score_exports import export_scores

    files = export_scores(run, output, to)
    call.result({"files": files}, "\n".join(map(str, files)))


COMMANDS = (scores,)
