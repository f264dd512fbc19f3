"""The commands train, evaluate and compare.

limo train train-v2 dataset=runs/limo-v2/selected --run runs/train-v2
limo evaluate evaluate model.path=runs/train-v2/model --run runs/scores
limo compare runs/base runs/scores
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from limo.cli.command import OVERRIDES, RECIPE, Call, aligned_table, command, run_folder, run_of, workers

if TYPE_CHECKING:
    from limo.stages.evaluate import Average, Evaluation


@command("train", RECIPE, OVERRIDES, run_folder())
def train(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None) -> None:
    """Fine-tune a model on a dataset.

    The run folder gets `model/`.

    On several GPUs: accelerate launch --config_file src/limo/recipes/accelerate/fsdp2.yaml -m limo.cli train
    RECIPE --run DIR
    """
    from limo.core.recipe import load
    from limo.stages import train as stage

    result = stage.run(load(stage.Recipe, recipe, overrides), run_of(run, recipe), call.progress)
    if stage.is_main_process():
        counts = f"{result.n_examples:,} examples, {result.n_updates:,} updates, {result.n_tokens_seen:,} tokens"
        counts += f", {result.flops:.2g} FLOP, checkpoint: {result.checkpoint}"
        loss = result.losses[-1] if result.losses else "none"
        call.result(asdict(result), f"{result.model_dir}: {counts}, last loss {loss}")


@command("evaluate", RECIPE, OVERRIDES, run_folder(), workers())
def evaluate(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, workers: int) -> None:
    """Score a model on benchmarks.

    pass@1 with 95% intervals, and how many completions were truncated or could not be decided.
    """
    from limo.core.recipe import load
    from limo.stages import evaluate as stage

    result = stage.run(load(stage.Recipe, recipe, overrides), run_of(run, recipe), call.progress, workers)
    scores = [asdict(evaluation.score) for evaluation in result.evaluations]
    averages = [asdict(average) for average in result.averages]
    value = {"scores": scores, "averages": averages, "key_errors": result.key_errors}
    call.result(value, f"{aligned_table(_score_rows(result.evaluations, result.averages))}\n\n{result.scores}")


def _score_rows(evaluations: Sequence[Evaluation], averages: Sequence[Average]) -> list[list[object]]:
    rows: list[list[object]] = [
        ["benchmark", "pass@1", "95% interval", "problems", "rollouts", "truncated", "undecided", "tokens"]
    ]
    for evaluation in evaluations:
        score, n = evaluation.score, evaluation.n_by_outcome
        counts = (score.n_problems, score.n_rollouts, n["truncated"], n["undecided"], round(evaluation.n_tokens_mean))
        rows.append([score.benchmark, f"{score.value:.1%}", f"{score.low:.1%} to {score.high:.1%}", *counts])
    for average in averages:
        interval = f"{average.low:.1%} to {average.high:.1%}"
        rows.append([f"mean, {average.group}", f"{average.value:.1%}", interval, *[""] * 5])
    return rows


@command(
    "compare",
    click.argument("runs", nargs=-1, required=True, metavar="RUN..."),
    click.option("--arm", metavar="NAME", help="The arm in question.  [default: the second of two]"),
    click.option("--against", metavar="NAME", help="What it is compared with.  [default: the first of two]"),
)
def compare(call: Call, runs: tuple[str, ...], arm: str | None, against: str | None) -> None:
    """Compare two arms: the difference, paired over problems and training seeds, with a 95% interval.

    Each RUN is a folder with scores.json, of `limo evaluate` or of a lab.
    """
    from limo.stages import compare as stage

    comparison = stage.run(runs, arm, against)
    total = (comparison.difference, comparison.low, comparison.high)
    rows: list[list[object]] = [["benchmark", "difference", "95% interval"]]
    for name, interval in {**comparison.by_benchmark, "all": total}.items():
        difference, low, high = (f"{100 * share:+.1f}" for share in interval)
        rows.append([name, difference, f"{low} to {high}"])
    call.result(asdict(comparison), f"{comparison.sentence}\n\n{aligned_table(rows)}")


COMMANDS = (train, evaluate, compare)
