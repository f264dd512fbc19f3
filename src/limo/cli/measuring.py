"""The commands that measure: evaluate one model on benchmarks, compare what was measured.

Both speak one file, `scores.json`: arm name -> its measurements, one for each training seed, with a pass rate for
each problem.  The lab writes the same, so `compare` reads any run.

    limo evaluate evaluate model.path=runs/train-v2/model --run runs/v2-scores
    limo compare runs/base-scores runs/v2-scores

What it does not do: statistics (`limo.stages.evaluate`, `limo.stages.compare` do).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limo.cli.shape import OVERRIDES, RECIPE, Call, command, run_folder, run_of, table, workers
from limo.core.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from limo.cli.recipes import EvaluateRecipe
    from limo.core.records import Problem
    from limo.stages.evaluate import Average, Evaluation

SCORES = "scores.json"


@command("evaluate", RECIPE, OVERRIDES, run_folder(), workers())
def evaluate(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None, workers: int) -> None:
    """Score a model on benchmarks.

    pass@1 with 95% intervals, and how many completions were cut at the limit or could not be decided.
    """
    from limo.cli.recipes import EvaluateRecipe
    from limo.core.recipe import load
    from limo.core.run_folder import RunFolder
    from limo.stages.evaluate import averages

    settings, folder = load(EvaluateRecipe, recipe, overrides), run_of(run, recipe)
    problems = {name: _problems(name, path, settings.data) for name, path in settings.benchmarks.items()}
    with RunFolder(folder, settings) as room:
        found = _evaluate(call, settings, problems, room.ledger_path, workers)
        room.write_json(SCORES, {settings.model.name: [_measurement(settings, found)]})
        means = averages(found, _groups(problems))
        room.write_json("evaluations.json", [asdict(one) for one in found])
    value = {"scores": [asdict(one.score) for one in found], "averages": [asdict(one) for one in means]}
    call.result(value, f"{table(_rows(found, means))}\n\n{folder / SCORES}")


def _evaluate(
    call: Call, settings: EvaluateRecipe, problems: dict[str, list[Problem]], ledger_path: Path, n_workers: int
) -> list[Evaluation]:
    from limo.ledger.store import Ledger
    from limo.models.settings import open_model
    from limo.rollouts.budget import BudgetMeter
    from limo.stages.evaluate import evaluate, protocol
    from limo.verify.checker import Checker

    completer = open_model(settings.model, settings.data)
    prices = {settings.model.name: settings.model.price}
    found = []
    with Ledger(ledger_path) as ledger, Checker(n_workers) as checker:
        meter = BudgetMeter(settings.budget, prices, ledger)
        for name, asked in problems.items():
            decoding = settings.decoding or protocol(len(asked), settings.version, settings.max_tokens)
            call.progress.log(f"{name}: {len(asked):,} problems, {decoding.n} completions each")
            found.append(
                evaluate(ledger, completer, name, asked, decoding, checker, call.progress, settings.system, meter)
            )
    return found


def _problems(name: str, path: str, data: str) -> list[Problem]:
    from limo.pool.sources.benchmarks import load_benchmark

    return load_benchmark(name, Path(data) / path if path else None)


def _groups(names: Iterable[str]) -> dict[str, str]:
    """The paper's group of each benchmark that is one of the paper's."""
    from limo.pool.sources.benchmarks import benchmarks

    known = {name.lower(): entry.group for name, entry in benchmarks().items()}
    return {name: known[name.lower()] for name in names if known.get(name.lower(), "extra") != "extra"}


def _measurement(settings: EvaluateRecipe, found: Sequence[Evaluation]) -> dict[str, Any]:
    outcomes = {one.score.benchmark: one.rate_by_problem for one in found}
    return {"arm": settings.model.name, "seed": settings.seed, "outcomes": outcomes}


def _rows(found: Sequence[Evaluation], means: Sequence[Average]) -> list[list[object]]:
    head: list[object] = ["benchmark", "pass@1", "95% interval", "problems", "rollouts", "cut", "undecided", "tokens"]
    rows = [head]
    for one in found:
        s, n = one.score, one.n_by_outcome
        interval = f"{s.low:.1%} to {s.high:.1%}"
        counts = (s.n_problems, s.n_rollouts, n["truncated"], n["undecided"], round(one.n_tokens_mean))
        rows.append([s.benchmark, f"{s.value:.1%}", interval, *counts])
    blank = [""] * 5
    return rows + [[f"mean, {m.group}", f"{m.value:.1%}", f"{m.low:.1%} to {m.high:.1%}", *blank] for m in means]


@command(
    "compare",
    click.argument("runs", nargs=-1, required=True, metavar="RUN..."),
    click.option("--arm", metavar="NAME", help="The arm in question.  [default: the second of two]"),
    click.option("--against", metavar="NAME", help="What it is compared with.  [default: the first of two]"),
)
def compare(call: Call, runs: tuple[str, ...], arm: str | None, against: str | None) -> None:
    """Say whether one arm is better than another.

    Paired over problems and training seeds, with a 95% interval.

    Each RUN is a folder with scores.json, of `limo evaluate` or of a lab.
    """
    from limo.stages.compare import compare as paired

    outcomes = read_outcomes(runs)
    names = list(outcomes)
    if (arm is None or against is None) and len(names) != 2:
        raise InputError("which arms?", ", ".join(names), "two names", "give --arm NAME --against NAME")
    found = paired(outcomes, arm or names[1 - (against == names[1])], against or names[arm == names[0]])
    rows: list[list[object]] = [["benchmark", "difference", "95% interval"]]
    for name, one in {**found.by_benchmark, "all": (found.difference, found.low, found.high)}.items():
        points = [f"{100 * share:+.1f}" for share in one]
        rows.append([name, points[0], f"{points[1]} to {points[2]}"])
    call.result(asdict(found), f"{found.sentence}\n\n{table(rows)}")


def read_outcomes(runs: Sequence[str]) -> dict[str, dict[int, dict[str, dict[str, float]]]]:
    """Arm -> training seed -> benchmark -> problem -> pass rate, from the `scores.json` of every run."""
    outcomes: dict[str, dict[int, dict[str, dict[str, float]]]] = {}
    for run in runs:
        file = Path(run) / SCORES
        if not file.is_file():
            raise MissingFileError("this run has no scores", file, "a run of `limo evaluate` or a lab", "make it")
        try:
            measured = json.loads(file.read_text(encoding="utf-8"))
            found = [(name, one["seed"], one["outcomes"]) for name, rows in measured.items() for one in rows]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError("these are no scores", file, "what `limo evaluate` writes", "evaluate again") from None
        for name, seed, by_benchmark in found:
            of_seed = outcomes.setdefault(name, {}).setdefault(seed, {})
            twice = sorted(of_seed.keys() & by_benchmark.keys())
            if twice:
                what = f"two runs measured {name} with seed {seed}"
                raise InputError(what, twice[0], "one", "give each model its name and each training its seed")
            of_seed.update(by_benchmark)
    return outcomes


COMMANDS = (evaluate, compare)
