"""What to type after a command: one table for all of them, read when a command has ended well.

next_command("curate", {"recipe": "mine/mine.yaml", "run": "mine/runs/mine"})
# limo train mine/train.yaml dataset=mine/runs/mine/selected --run mine/runs/train
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from limo.core.errors import LimoError
from limo.core.text import as_argument

SCORES = "scores.json"
Values = Mapping[str, Any]
"""The parameters of a command, by name."""


def next_command(command: str, values: Values) -> str:
    """The command that follows a command with these parameters; "" where none does."""
    step = _STEPS.get(command)
    words = step({name: _as_argument(value) for name, value in values.items()}) if step else []
    return (
        shlex.join(["limo", *(as_argument(str(one)) if isinstance(one, Path) else str(one) for one in words)])
        if words
        else ""
    )


def _as_argument(value: Any) -> Any:
    """A value that a command takes for an option as a path that it does not."""
    if isinstance(value, tuple):
        return tuple(map(_as_argument, value))
    return as_argument(value) if isinstance(value, str) else value


def run_of(run: str | None, recipe: str) -> Path:
    """The run's folder: as given, or in `runs/` beside the recipe (here, for a shipped one), named like it."""
    path = Path(recipe)
    return Path(run) if run else (path.parent if path.is_file() else Path()) / "runs" / path.stem


def _run(values: Values) -> Path:
    return run_of(values.get("run"), values["recipe"])


def _beside(recipe: str, name: str, shipped: str) -> str:
    """The recipe of that name in the folder of `recipe`, as `limo init` writes them; else a shipped one."""
    own = Path(recipe).parent / f"{name}.yaml"
    return as_argument(str(own)) if Path(recipe).is_file() and own.is_file() else shipped


def _same(command: str, values: Values) -> list[object]:
    """The command itself, without `--dry-run`."""
    return [command, values["recipe"], *values["overrides"], "--run", _run(values)]


def _curate(values: Values) -> list[object]:
    if values.get("dry_run"):
        return _same("curate", values)
    run, recipe = _run(values), _beside(values["recipe"], "train", "train-v2")
    return _training(recipe, f"{run}/selected", run.parent / "train") or ["report", run]


def _training(recipe: str, dataset: str, run: Path) -> list[object]:
    """A training on a dataset; none by a shipped recipe, of billions of parameters, where there is no GPU."""
    on_cpu = _on_cpu(recipe)[0]
    if not on_cpu and not _has_gpu():
        return []
    return ["train", recipe, f"dataset={dataset}", *on_cpu, "--run", run]


def _train(values: Values) -> list[object]:
    if values.get("show_batch"):
        return _same("train", values)
    run = _run(values)
    model = f"model={{kind: local, name: trained, path: {run.absolute()}/model}}"
    recipe = _beside(values["recipe"], "evaluate", "evaluate")
    decoding = _decoding_of(run.parent / "before/recipe.yaml") or _on_cpu(recipe)[1]
    return ["evaluate", recipe, model, *decoding, "--run", run.parent / "after"]


def _decoding_of(recipe: Path) -> list[str]:
    """How the model was scored before its training: so it is scored after it; nothing where it was not."""
    from limo.core.run_files import read_recipe

    with suppress(LimoError, KeyError, TypeError):
        own = read_recipe(recipe)["decoding"] if recipe.is_file() else {}
        return [f"decoding.{name}={own[name]}" for name in ("n", "max_tokens")]
    return []


def _has_gpu() -> bool:
    from limo.stages import init

    return init.has_gpu()


def _on_cpu(recipe: str) -> tuple[list[str], list[str]]:
    """What `limo init` adds to a training and to an evaluation by its recipes where there is no GPU."""
    from limo.core.run_files import read_recipe
    from limo.stages.init import CPU_DECODING, CPU_TOKENS, CPU_TRAINING

    if _has_gpu() or not Path(recipe).is_file():
        return [], []
    n_tokens = CPU_TOKENS
    with suppress(LimoError, AttributeError, TypeError):  # what is wrong with it the command itself will say
        n_tokens = min(n_tokens, read_recipe(Path(recipe)).get("decoding", {}).get("max_tokens", n_tokens))
    return CPU_TRAINING.split(), [CPU_DECODING, f"decoding.max_tokens={n_tokens}"]


def _evaluate(values: Values) -> list[object]:
    """With scores beside it, as of the model before its training, they are compared; else what is left of the road."""
    from limo.stages import compare

    if values.get("dry_run"):
        return _same("evaluate", values)
    run = _run(values)
    others: list[Path] = []
    for file in sorted(run.parent.glob(f"*/{SCORES}")) if (run / SCORES).is_file() else []:
        with suppress(LimoError):  # scores of the same model and seed, or of other problems: these cannot be compared
            compare.run([*others, file.parent, run])
            others.append(file.parent)
    return ["compare", *others, run] if others else _road(values["recipe"], run.parent) or ["report", run]


def _road(recipe: str, runs: Path) -> list[object]:
    """The next of the commands that `limo init` printed with a recipe, by what its runs hold; none of another one."""
    mine, training = _beside(recipe, "mine", ""), _beside(recipe, "train", "")
    if not mine or not training:
        return []
    if not (runs / "mine/selected").exists():
        return ["curate", mine, "--run", runs / "mine"]
    if not (runs / "train/model").exists():
        return _training(training, f"{runs}/mine/selected", runs / "train")
    return [] if (runs / "after" / SCORES).exists() else _train({"recipe": training, "run": str(runs / "train")})


def _plan(values: Values) -> list[object]:
    from limo.stages.recipe_kinds import COMMAND_OF, kind_of_recipe

    command = COMMAND_OF.get(kind_of_recipe(values["recipe"]))
    if command != "train":
        return _same(command, values) if command else []
    if not _has_rows(values):
        return _road(values["recipe"], _run(values).parent)
    if _has_gpu():
        return _same(command, values)
    given = [word.partition("=")[0] for word in values["overrides"]]
    on_cpu = _on_cpu(values["recipe"])[0]
    own = [word for word in on_cpu if word.partition("=")[0] not in given]
    return _same(command, {**values, "overrides": [*own, *values["overrides"]]}) if on_cpu else []


def _has_rows(values: Values) -> bool:
    """Whether the rows of a training are there, or on the hub as far as their name tells."""
    from limo.core.recipe import load
    from limo.models.local.config import HUB_NAME
    from limo.stages.train import Recipe

    dataset = load(Recipe, values["recipe"], values["overrides"]).dataset
    return Path(dataset).exists() or bool(HUB_NAME.fullmatch(dataset))


def _grade(values: Values) -> list[object]:
    return ["select", values["output"], "-o", _renamed(values, "selected")] if values["output"] else []


def _renamed(values: Values, ending: str) -> str:
    path = Path(values["output"])
    return as_argument(str(path.with_name(f"{path.stem}-{ending}{path.suffix}")))


_STEPS: dict[str, Callable[[Values], Sequence[object]]] = {
    "plan": _plan,
    "curate": _curate,
    "train": _train,
    "evaluate": _evaluate,
    "compare": lambda values: ["report", *values["runs"]],
    "rollouts": lambda values: ["view", _run(values)],
    "grade": _grade,
    "select": lambda values: _training("train-v2", values["output"], Path("runs/train")),
    "export": lambda values: ["report", values["run"]],
    "pool ingest": lambda values: ["pool", "dedup", values["output"], "-o", _renamed(values, "distinct")],
    "pool dedup": lambda values: [
        "pool", "decontaminate", values["output"], "--benchmark", "NAME=FILE", "-o", _renamed(values, "clean")
    ],
    "pool decontaminate": lambda values: ["init", values["output"]] if values.get("output") else [],
}  # fmt: skip
