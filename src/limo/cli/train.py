"""The commands train, evaluate and compare.

limo train train-v2 dataset=runs/limo-v2/selected --run runs/train-v2
limo evaluate evaluate model.path=runs/train-v2/model --run runs/scores
limo compare runs/base runs/scores
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limo.cli.command import (
    OVERRIDES,
    RECIPE,
    RETRY_ERRORS,
    Call,
    aligned_table,
    benchmark_option,
    benchmark_overrides,
    command,
    load_recipe,
    run_folder,
    workers,
)
from limo.cli.next_step import run_of
from limo.core.text import operations, short_names, shown_p, signed

if TYPE_CHECKING:
    from limo.stages.compare import Comparison
    from limo.stages.evaluate import Average, Evaluation, Recipe
    from limo.stages.score_details import ScoreDetails


@command(
    "train",
    RECIPE,
    OVERRIDES,
    run_folder(),
    click.option("--nproc", type=click.IntRange(1), default=1, metavar="N", help="Processes, one a GPU."),
    click.option(
        "--launch", type=click.Choice(["ddp", "fsdp2", "zero3"]), default="fsdp2",
        help="How several processes share the model: a copy each, or in shards.  [default: fsdp2]",
    ),
    click.option("--show-batch", is_flag=True, help="Print the first batch as it is learnt; train nothing."),
)  # fmt: skip
def train(
    call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, nproc: int, launch: str, show_batch: bool
) -> None:  # fmt: skip
    """Train a model: on a dataset of chains, or by reinforcement learning on a pool.

    The run folder gets `model/`.
    """
    from limo.stages import train as stage

    if show_batch:
        shown = stage.first_batch(load_recipe(stage.Recipe, "training", recipe, overrides))
        call.result({"batch": shown}, shown)
        return
    if nproc > 1:
        load_recipe(stage.Recipe, "training", recipe, overrides)  # a fault is one line, not one a process
        words = [recipe, *overrides, "--run", str(run_of(run, recipe)), *(["--json"] if call.as_json else [])]
        sys.exit(subprocess.call(stage.launch_command(nproc, launch, words)))
    result = stage.run(load_recipe(stage.Recipe, "training", recipe, overrides), run_of(run, recipe), call.progress)
    if stage.is_main_process():
        counts = f"{result.examples} examples, {result.n_updates:,} updates, {result.n_tokens_seen:,} tokens"
        counts += f", {operations(result.flops)} FLOPs, checkpoint: {result.checkpoint}"
        loss = result.losses[-1] if result.losses else "none"
        call.result(asdict(result), f"{result.model_dir}: {counts}, last loss {loss}")


@command(
    "evaluate",
    RECIPE,
    OVERRIDES,
    run_folder(),
    benchmark_option("Instead of the recipe's: a file or pool of yours, or a known one; may be repeated."),
    workers(),
    click.option("--dry-run", is_flag=True, help="Cost, first prompt and the server's context; request nothing."),
    click.option("--checkpoints", metavar="TRAINING", help="Score the checkpoints that this training kept."),
    RETRY_ERRORS,
)
def evaluate(
    call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, benchmark: tuple[str, ...], workers: int,
    dry_run: bool, checkpoints: str | None, retry_errors: bool,
) -> None:  # fmt: skip
    """Score a model on benchmarks.

    pass@1 with 95% intervals, and how many completions were truncated or could not be decided.

    With --checkpoints: the curve over them, the last against the best, and how much of the best is luck.
    """
    from limo.rollouts.lacking import Lack, raise_lacking
    from limo.stages import evaluate as stage
    from limo.stages.compare import cut_off_notes

    settings = load_recipe(stage.Recipe, "evaluation", recipe, [*overrides, *benchmark_overrides(benchmark)])
    folder = run_of(run, recipe)
    if dry_run:
        _print_plan(call, settings, folder)
        return
    if checkpoints:
        _print_curve(call, settings, checkpoints, folder, workers)
        return
    result = stage.run(settings, folder, call.progress, workers, retry_errors=retry_errors)
    scores = [asdict(evaluation.score) for evaluation in result.evaluations]
    averages = [asdict(average) for average in result.averages]
    judged = {one.score.benchmark: one.judged for one in result.evaluations if one.judged}
    value = {"scores": scores, "averages": averages, "key_errors": result.key_errors, "judged": judged}
    beside = [f"{one.score.benchmark}: {_beside(one.details)}" for one in result.evaluations]
    beside += cut_off_notes(folder)
    parts = [aligned_table(_score_rows(result.evaluations, result.averages)), "\n".join(beside), *result.notes]
    for name, counts in judged.items():
        n = f"{counts['n_judged']:,} read, {counts['n_settled']:,} undecided ones settled"
        parts.append(
            f"judge on {name}: {n}, {counts['n_overruled']:,} rules overruled\n{aligned_table(counts['table'])}"
        )
    call.result(value | {"notes": result.notes}, "\n\n".join([*parts, str(result.scores)]))
    missing = [(one.score.benchmark, one.missing) for one in result.evaluations if one.missing.n]
    raise_lacking([Lack(name, of.n, of.why, of.options) for name, of in missing])


def _print_curve(call: Call, recipe: Recipe, training: str, folder: Path, workers: int) -> None:
    """Score the checkpoints of a training and print their curve."""
    from limo.stages import checkpoints as stage

    curve = stage.run(recipe, training, folder, call.progress, workers)
    rows: list[list[object]] = [["checkpoint", "pass@1", "95% interval"]]
    for name, (value, low, high) in curve.scores.items():
        marks = "".join(f", {mark}" for mark, of in (("best", curve.best), ("last", curve.last)) if of == name)
        rows.append([f"{name}{marks}", f"{value:.1%}", f"{low:.1%} to {high:.1%}"])
    call.result(asdict(curve) | {"sentence": curve.sentence}, f"{aligned_table(rows)}\n\n{curve.sentence}")


def _print_plan(call: Call, recipe: Recipe, folder: Path) -> None:
    from limo.stages.evaluation_plan import plan_evaluation

    plan = plan_evaluation(recipe, folder)
    facts = ", ".join(f"{name} {value}" for name, value in plan.facts.items()) or "nothing is known of it"
    parts = [aligned_table(plan.table()), f"model: {facts}", f"first prompt as sent:\n{plan.first_prompt}", *plan.notes]
    call.result(asdict(plan), "\n\n".join([*parts, *(f"warning: {warning}" for warning in plan.warnings)]))


def _beside(details: ScoreDetails) -> str:
    """What stands beside a score in words, with pass@k and maj@n where there are several rollouts."""
    points = [(f"pass@{k}", interval) for k, interval in details.pass_at_k.items() if k > 1]
    points += [("majority", details.majority)] if details.majority else []
    told = [f"{name} {value:.1%} ({low:.1%} to {high:.1%})" for name, (value, low, high) in points]
    return "; ".join([details.sentence, *told])


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
    click.option("--baseline", metavar="NAME", help="Compare all others with this one.  [default: each with each]"),
    click.option("--reach", metavar="RUN", help="What training elicited, taught, lost; RUN: the base, sampled often."),
    click.option("--self-test", is_flag=True, help="Compare arms made identical, and count the false alarms."),
)
def compare(
    call: Call, runs: tuple[str, ...], arm: str | None, against: str | None, baseline: str | None, reach: str | None,
    self_test: bool,
) -> None:  # fmt: skip
    """Compare arms: the differences, paired over problems and training seeds, with 95% intervals and p values.

    Each RUN is a folder with scores.json, of `limo evaluate` or of a lab.
    """
    from limo.stages import compare as stage
    from limo.stages.compare import cut_off_notes, run_differences
    from limo.stages.fingerprint import meaning_of

    found = stage.run(runs, arm, against, baseline)
    differ = {f"{one.arm} and {one.against}": run_differences(runs, one.arm, one.against) for one in found}
    for name, differences in differ.items():
        for difference in differences:
            call.progress.log(f"warning: {name} differ in {difference}")
    for note in (f"{run}, {note}" for run in runs for note in cut_off_notes(run)):
        call.progress.log(note)
    if meaning := meaning_of([one for of_pair in differ.values() for one in of_pair]):
        call.progress.log(meaning)
    if reach:
        from limo.stages import reach as reach_stage

        shares = [(one, reach_stage.run(runs, reach, one.arm, one.against)) for one in found]
        told = [f"{one.arm} from {one.against}: {of.sentence}" for one, of in shares]
        listed = [asdict(of) | {"arm": one.arm, "base": one.against} for one, of in shares]
        call.result({"reach": listed}, "\n".join(told))
    elif self_test:
        outcomes = stage.read_outcomes(runs)
        tests = [(one, stage.self_test(outcomes, one.arm, one.against)) for one in found]
        value = {f"{one.arm} and {one.against}": asdict(test) for one, test in tests}
        lines: list[list[object]] = [["identical by exchange", "comparisons", "p < 0.05", "called separable"]]
        lines += [
            [f"{one.arm}, {one.against}", test.n_trials, f"{test.n_low_p / test.n_trials:.1%}",
             f"{test.n_separable / test.n_trials:.1%}"] for one, test in tests
        ]  # fmt: skip
        call.result(value, aligned_table(lines))
    else:
        listed = [asdict(one) | {"sentence": one.sentence, "n_needed": one.n_needed} for one in found]
        stored: dict[str, Any] = listed[0] if len(listed) == 1 else {"comparisons": listed}
        stored |= {"settings_differ": differ, "settings_mean": meaning}
        call.result(stored, _comparison(found[0]) if len(found) == 1 else _matrix(found))


def _comparison(found: Comparison) -> str:
    """One comparison: the sentence, what it could have shown, and a row for each benchmark."""
    from limo.core.stats import DESIGN

    rows: list[list[object]] = [["benchmark", "difference", "95% interval"]]
    for name, interval in {**found.by_benchmark, "all": (found.difference, found.low, found.high)}.items():
        rows.append([name, *_points(*interval)])
    noise = "" if found.sampling is None else f" {found.sampling:.0%} of the noise is sampling."
    least = f"smallest detectable difference, measured: {100 * found.detectable:.1f} points ({DESIGN})"
    shown = f"About problems like these; {least}.{noise}"
    if needed := _needed(found):
        shown += f" A true difference of this size needs about {needed} problems."
    return f"{found.sentence}\n{shown}\n\n{aligned_table(rows)}"


def _matrix(found: Sequence[Comparison]) -> str:
    """Rows minus columns in points, * where separable; then each pair with its interval and what it would take."""
    from limo.core.stats import DESIGN

    names = list(dict.fromkeys(name for one in found for name in (one.against, one.arm)))
    label = {name: f"({number})" for number, name in enumerate(names, 1)}
    columns = list(dict.fromkeys(one.against for one in found))
    points = {(one.arm, one.against): f"{signed(100 * one.difference)}{'*' if one.separable else ' '}" for one in found}
    matrix: list[list[object]] = [["row − column", *(label[name] for name in columns)]]
    for name, shown in short_names(names).items():
        matrix.append([f"{label[name]} {shown}", *(points.get((name, column), "") for column in columns)])
    pairs: list[list[object]] = [["pair", "difference", "95% interval", "p", "problems", "detectable", "would need"]]
    for one in found:
        pair = f"{label[one.arm]} − {label[one.against]}"
        p = shown_p(one.p_adjusted).removeprefix("= ")
        pairs.append(
            [pair, *_points(one.difference, one.low, one.high), p, one.n_problems, f"{100 * one.detectable:.1f}",
             _needed(one) or "—"]
        )  # fmt: skip
    end = (
        "* separable: the 95% interval leaves out 0, and p < 0.05 after Holm over all of these.\n"
        f"detectable: smallest detectable difference, measured, in points ({DESIGN}).\n"
        "would need: about so many problems of this kind show a true difference of the size seen (—: separable "
        "already, or several seeds of a model)."
    )
    return "\n\n".join([aligned_table(matrix), aligned_table(pairs), end])


def _points(difference: float, low: float, high: float) -> tuple[str, str]:
    return signed(100 * difference), f"{signed(100 * low)} to {signed(100 * high)}"


def _needed(found: Comparison) -> str:
    """Problems that an inseparable difference of the size seen would take, for models of one training each."""
    return f"{found.n_needed:,}" if not found.separable and found.n_needed and max(found.n_seeds) == 1 else ""


COMMANDS = (train, evaluate, compare)
