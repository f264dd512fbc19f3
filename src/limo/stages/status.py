"""`limo status RUN`: how far a run is, read from its folder and ledger alone, while it goes on elsewhere or after it.

status = read_status("runs/mine")
status.step, status.n_stored, status.remaining_s
"""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limo.core.errors import RESTORE, LimoError, StorageError, foreign_data
from limo.core.recipe import load
from limo.core.run_files import check_unchanged, is_locked, read_json, read_recipe
from limo.core.run_folder import PROBLEMS, RunFolder, StageCounts
from limo.core.text import as_argument
from limo.ledger.of_run import check_run_ledger
from limo.ledger.store import Ledger, Usage
from limo.models.settings import ModelSettings
from limo.rollouts.lacking import Lack, noted_lacks
from limo.stages.curate import Recipe as CurateRecipe
from limo.stages.evaluate import Recipe as EvaluateRecipe
from limo.stages.plan import rollout_steps
from limo.stages.recipe_kinds import COMMAND_OF, kind_of_recipe
from limo.stages.rollouts import Recipe as RolloutsRecipe


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run as it is now.

    `step`: what it does next ('' when it is done); `n_stored` of at most `n_most` rollouts of that step (None where
    unknown, fewer where stopping is early); `estimated` are the models of which some tokens are estimates; `usd` by the
    recipe's prices, None where it sets none; times in seconds, None where unknown; `is_running`: a process works on it;
    `command` goes on with it; `lacks`: replies that never came, of the steps that are done.
    """

    folder: Path
    is_done: bool
    step: str
    stages: dict[str, StageCounts]
    usage: dict[str, Usage] = field(default_factory=dict)
    estimated: list[str] = field(default_factory=list)
    usd: float | None = None
    requesting_s: float = 0.0
    idle_s: float | None = None
    n_stored: int | None = None
    n_most: int | None = None
    is_running: bool = False
    command: str = ""
    lacks: list[Lack] = field(default_factory=list)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the step has all its rollouts, at the pace so far; early stopping ends it sooner."""
        n_rollouts = sum(usage.n_rollouts for usage in self.usage.values())
        if self.n_most is None or self.n_stored is None or not n_rollouts or not self.requesting_s:
            return None
        return max(0, self.n_most - self.n_stored) * self.requesting_s / n_rollouts


def read_status(folder: str | Path) -> RunStatus:
    """The status of a run.  Nothing is written.  Raises MissingFileError, InputError (damaged files), StorageError."""
    with foreign_data("the files of this run cannot be read together", folder, "what limo wrote", RESTORE):
        return _read_status(folder)


def _read_status(folder: str | Path) -> RunStatus:
    run, path = RunFolder(folder), Path(folder)
    check_run_ledger(run)
    stages, recipe = run.counts(), _recipe_of(path / "recipe.yaml")
    for file in sorted(path.glob("*.json")):
        read_json(file)
    check_unchanged(path)
    if recipe is None and (stages or run.ledger_path.is_file()):
        raise StorageError("the recipe of this run is of no kind that has stages", path / "recipe.yaml", "", RESTORE)
    step, n_in = _next_step(run, recipe, stages)
    done = not step
    status: dict[str, Any] = {"folder": path, "is_done": done, "step": step, "stages": stages}
    status |= {"is_running": is_locked(path), "lacks": noted_lacks(run, stages)}
    if not done and (word := COMMAND_OF.get(kind_of_recipe(str(path / "recipe.yaml")))):
        status["command"] = shlex.join(
            ["limo", word, as_argument(str(path / "recipe.yaml")), "--run", as_argument(str(path))]
        )
    if not run.ledger_path.is_file():
        return RunStatus(**status)
    models: list[ModelSettings] = recipe.models if recipe else []
    with Ledger(run.ledger_path, read_only=True) as ledger:
        usage, seconds = ledger.usage_by_model(), ledger.seconds()
        status["estimated"] = sorted(ledger.estimated())
        of_step = [s for s in rollout_steps(recipe) if s.name == step] if isinstance(recipe, _STEPPED) else []
        for settings in (one.settings for one in of_step if n_in is not None):
            status["n_most"] = (n_in or 0) * settings.n_in_all
            status["n_stored"] = sum(usage[m.name].n_rollouts for m in settings.models if m.name in usage)
    prices = {model.name: model.price for model in models}
    priced = [(prices[name], used) for name, used in usage.items() if name in prices]
    priced = [(price, used) for price, used in priced if price.input or price.output]
    usd = sum((used.n_prompt_tokens * p.input + used.n_completion_tokens * p.output) / 1e6 for p, used in priced)
    files = [file for file in path.glob("ledger.sqlite*") if not file.name.endswith("-shm")]
    idle_s = max(0.0, time.time() - max(file.stat().st_mtime for file in files))
    return RunStatus(
        **status, usage=usage, usd=usd if priced else None, requesting_s=seconds, idle_s=None if done else idle_s
    )


_STEPPED = (CurateRecipe, RolloutsRecipe)


def _recipe_of(file: Path) -> CurateRecipe | RolloutsRecipe | EvaluateRecipe | None:
    """The recipe of a run that requests rollouts; None for another kind."""
    read_recipe(file)
    for kind in (CurateRecipe, RolloutsRecipe, EvaluateRecipe):
        with suppress(LimoError):
            return load(kind, file)  # type: ignore[return-value]
    return None


def _next_step(run: RunFolder, recipe: Any, stages: dict[str, StageCounts]) -> tuple[str, int | None]:
    """The step that a run does next, '' when it is done, and how many problems come into it where that is known."""
    if isinstance(recipe, CurateRecipe):
        names = [name for name in recipe.run_steps() if not name.endswith(".json")]
        step = next((name for name in names if name not in stages), "")
        before = names[names.index(step) - 1] if step and step != names[0] else ""
        n_in = stages[before].n_kept if before else None
        if step == "chains" and recipe.teachers:  # the step in which the teachers write
            step = "teacher 1" if len(recipe.teachers) == 1 else step
        return step, n_in
    if isinstance(recipe, RolloutsRecipe):
        if "rollouts" in stages:
            return "", None
        n_in = len(run.read_problems()) if (run.path / PROBLEMS).is_file() else None
        return "rollouts 1" if len(recipe.rollouts) == 1 and n_in is not None else "rollouts", n_in
    if isinstance(recipe, EvaluateRecipe):
        return ("" if "verdicts" in stages else "evaluate"), None
    finished = any((run.path / name).exists() for name in ("model", "report.html", "scores.json"))
    return ("" if finished else "running, or stopped before its end"), None
