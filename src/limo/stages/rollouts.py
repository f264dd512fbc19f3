"""The rollouts stage: models complete the problems of a pool, every completion is verified, and nothing else is done.

    recipe = load(Recipe, "rollouts", ["data=problems"])
    result = run(recipe, "runs/rollouts")
    result.pass_rates[0]["<problem id>"].rate

The completions are in the run's ledger; the stage's table holds a row for each entry of `rollouts` and problem, with
the pass rate and its 95% interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.errors import InputError, MissingFileError
from limo.core.files import kind_of, resolve_data_path
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings, execution_field
from limo.core.records import Dropped, PassRate, Problem
from limo.core.run_folder import RunFolder
from limo.core.text import shorten
from limo.curate.difficulty import rate_interval
from limo.curate.funnel import describe_dropped
from limo.ledger.of_run import open_run_ledger
from limo.models.settings import ModelSettings, model_hash, open_model
from limo.pool.ingest import Ingested, IngestSettings, ingest
from limo.rollouts.budget import Budget
from limo.rollouts.collect import CollectionStopped
from limo.rollouts.judge_verifier import JudgeVerifierSettings, RecipeVerifierSettings, open_recipe_verifier
from limo.rollouts.lacking import Lack
from limo.rollouts.runner import ModelOpener, RolloutRunner, RolloutSettings, n_stored
from limo.verify.checker import Checker
from limo.verify.verifier import MathsSettings

UNDECIDED = "undecided.json"
"""File of a run that a budget or Ctrl-C stopped: the ids of the problems that were not decided."""


class ModelStageRecipe(Settings):
    """What the recipes of all stages that use models have in common."""

    data: str = execution_field(
        "", description="folder where relative paths of sources, benchmarks and recordings start"
    )
    budget: Budget = execution_field(
        default_factory=Budget, description="the most that rollouts may cost; reached: exit 3"
    )

    verifier: RecipeVerifierSettings = Field(
        default_factory=MathsSettings,
        description="maths, choice, numeric, exact, judge or python:package.module:Class, or a mapping with options",
    )

    @property
    def models(self) -> list[ModelSettings]:
        """Every model of the recipe, for prices and plans."""
        raise NotImplementedError

    def with_prompts(self) -> Self:
        """The recipe with the verifier's system text wherever none was given: it says how an answer is written.

        Whether a chain must hold a boxed answer (`boxed`) follows that text too, where it was not given.

        Raises InputError for a verifier class that cannot be used.
        """
        with self._rules() as rules:
            return _with_system(self, rules.system)

    def why_not(self) -> Callable[[Problem], str]:
        """The function that gives the reason why a problem's answer cannot be verified, '' where it can."""
        if isinstance(self.verifier, JudgeVerifierSettings):
            return lambda problem: "" if problem.answer.strip() else "no answer"
        return self._rules().why_not

    def _rules(self) -> Checker:
        """The verifier's rules, of a judge those that precede it."""
        settings = self.verifier
        return Checker(settings.rules if isinstance(settings, JudgeVerifierSettings) else settings)

    def resolve(self, path: str) -> str:
        """Where a path of the recipe lies (see `resolve_data_path`)."""
        return resolve_data_path(path, self.data)

    def input_files(self) -> dict[str, str]:
        """What the stage reads from this machine: a description of each file or folder, and its resolved path."""
        recordings = [(model, file) for model in self._all_models() for file in getattr(model, "files", [])]
        return {f"recording {file} of {model.name}": self.resolve(file) for model, file in recordings}

    def model_hashes(self) -> dict[str, str]:
        """What models on this machine are, by a description with their name."""
        hashes = {f"model {model.name}": model_hash(model, self.data) for model in self._all_models()}
        return {name: content for name, content in hashes.items() if content}

    def verifier_code(self) -> dict[str, str]:
        """For a verifier of the user's own its identity, which another code changes, by its key in the recipe."""
        return {"verifier": self._rules().identity} if self.verifier.kind == "python" else {}

    def _all_models(self) -> list[ModelSettings]:
        """Those of the verifier's judge too."""
        return [*self.models, *getattr(self.verifier, "models", [])]

    def check_inputs(self) -> None:
        """Raise MissingFileError for the first input file that does not exist, before anything is requested."""
        missing = {what: path for what, path in self.input_files().items() if not Path(path).exists()}
        for what, path in list(missing.items())[:1]:
            others = f" ({len(missing) - 1} more are missing)" if len(missing) > 1 else ""
            do = "check `data`, the folder where relative paths start, or the path"
            raise MissingFileError(f"the {what} does not exist{others}", path, "an existing file or folder", do)

    def runner(self, progress: Progress, opener: ModelOpener = open_model, retry_errors: bool = False) -> RolloutRunner:
        """The runner of this recipe's models, with its budget and prices."""
        prices = {model.name: model.price for model in self.models}
        return RolloutRunner(opener, self.data, progress, self.budget, prices, retry_errors)


T = TypeVar("T")


def _with_system(value: T, system: str) -> T:
    """`value` with `system` in each field of that name that was not given and has the paper's text by default."""
    if isinstance(value, Settings):
        update = {name: _with_system(getattr(value, name), system) for name in type(value).model_fields}
        field = type(value).model_fields.get("system")
        if field is not None and field.default == prompts.SYSTEM and "system" not in value.model_fields_set:
            update["system"] = system
        if getattr(value, "boxed", False) is None:
            update["boxed"] = "\\boxed" in system
        changed = {name: new for name, new in update.items() if new is not getattr(value, name)}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, list):
        items = [_with_system(item, system) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value  # type: ignore
    return value


class BandedRolloutSettings(RolloutSettings):
    """Rollouts of one or more models, stopped early where a band is given and decided."""

    low: int | None = Field(None, ge=0, description="fewest correct rollouts of a band; without one, all n are made")
    high: int | None = Field(None, ge=0, description="most correct rollouts of a band")

    @property
    def band(self) -> PassRateBand | None:
        """The band over the rollouts of all its models, if there is one."""
        return None if self.low is None or self.high is None else PassRateBand(self.low, self.high, self.n_in_all)

    @model_validator(mode="after")
    def _band_is_whole(self) -> BandedRolloutSettings:
        if (self.low is None) != (self.high is None):
            raise ValueError("a band has two ends; give `low` and `high`, or neither")
        if self.low is not None and self.high is not None and not self.low <= self.high <= self.n_in_all:
            raise ValueError(
                f"{self.low}..{self.high} of {self.n_in_all} rollouts is an empty band; set `low` and `high` too"
            )
        return self


class Recipe(ModelStageRecipe):
    """Which problems, and which models complete them how often."""

    pool: IngestSettings = Field(description="where problems come from")
    rollouts: list[BandedRolloutSettings] = Field(min_length=1, description="models and counts, one after another")

    def input_files(self) -> dict[str, str]:
        """Recordings, and sources that are files."""
        return super().input_files() | source_files(self, self.pool)

    def run_steps(self) -> dict[str, list[str]]:
        """All is made anew from the ledger, whatever has changed."""
        return {"pool": ["pool", "verifier"], "rollouts": list(type(self).model_fields), UNDECIDED: []}

    @property
    def models(self) -> list[ModelSettings]:
        """Every model of `rollouts`."""
        return [model for settings in self.rollouts for model in settings.models]


@dataclass(frozen=True, slots=True)
class RolloutsResult:
    """`pass_rates`: for each entry of the recipe's `rollouts`, by problem id; `rows`: the stage's table.

    `n_rollouts`: of each entry, those that the ledger holds of the pool's problems, undecided ones too; `n_in_ledger`:
    all that it holds.  `lacks`: the replies that never came.
    """

    pass_rates: list[dict[str, PassRate]]
    rows: list[dict[str, Any]]
    ledger: Path
    lacks: list[Lack]
    n_rollouts: list[int]
    n_in_ledger: int


def run(
    recipe: Recipe,
    folder: str | Path,
    progress: Progress | None = None,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
    retry_errors: bool = False,
) -> RolloutsResult:
    """Make what the ledger of the run in `folder` lacks; `n_workers` processes verify.

    With `retry_errors` rollouts that failed are requested again, whatever the reason.

    Raises InputError for an empty pool, CollectionStopped (budget, Ctrl-C, nothing decided), ModelError, StorageError.
    """
    recipe = recipe.with_prompts()
    recipe.check_inputs()
    progress = progress or NoProgress()
    with RunFolder(folder, recipe, models=recipe.model_hashes()) as run_folder:
        problems, dropped = ingest_sources(recipe, recipe.pool)
        run_folder.write_problems(problems)
        run_folder.write_stage("pool", [{"id": one.id, "row": row} for row, one in enumerate(problems)], dropped)
        if dropped:
            progress.log(f"pool: kept {len(problems):,}, dropped {describe_dropped(dropped)}")
        run_folder.remove_json(UNDECIDED)  # of a start that was stopped
        runner = recipe.runner(progress, opener, retry_errors)
        pass_rates, n_rollouts = [], []
        try:
            with (
                open_run_ledger(run_folder) as ledger,
                open_recipe_verifier(recipe.verifier, runner, ledger, n_workers) as checker,
            ):
                for number, settings in enumerate(recipe.rollouts, 1):
                    stage = f"rollouts {number} of {len(recipe.rollouts)}"
                    pass_rates.append(runner.run(settings, problems, ledger, checker, stage, settings.band))
                    n_rollouts.append(n_stored(settings, problems, ledger))
                n_in_ledger = len(ledger)
        except CollectionStopped as stopped:
            run_folder.write_json(UNDECIDED, stopped.undecided)
            raise
        rows = [row for number, rates in enumerate(pass_rates, 1) for row in _rows(number, problems, rates)]
        run_folder.write_stage("rollouts", rows, [])
    return RolloutsResult(pass_rates, rows, run_folder.ledger_path, runner.lacks, n_rollouts, n_in_ledger)


def source_files(recipe: ModelStageRecipe, pool: IngestSettings) -> dict[str, str]:
    """The sources of a pool that must be files; a path without a file's ending may be a name on the hub."""
    paths = {source.name or source.path: recipe.resolve(source.path) for source in pool.sources}
    return {f"source {name}": path for name, path in paths.items() if kind_of(path)}


def ingest_sources(recipe: ModelStageRecipe, pool: IngestSettings) -> Ingested:
    """The verifiable problems of the recipe's sources, each id once: its first row.

    Raises InputError where none is left.
    """
    sources = [source.model_copy(update={"path": recipe.resolve(source.path)}) for source in pool.sources]
    ingested = ingest(sources, recipe.why_not(), pool)
    unique: dict[str, Problem] = {}
    dropped = list(ingested.dropped)
    for problem in ingested.problems:
        if (first := unique.setdefault(problem.id, problem)) is not problem:
            detail: dict[str, object] = {
                "source": problem.source,
                "answer": shorten(problem.answer),
                "kept": shorten(first.answer),
            }
            dropped.append(Dropped(problem.id, "ingest", "duplicate", detail))
    if not unique:
        paths = ", ".join(source.path for source in sources)
        what, do = "the pool is empty", "check the paths and the columns"
        if dropped:
            ((why, n),) = Counter(one.why for one in dropped).most_common(1)
            what, do = (
                f"the pool is empty: {n:,} of {len(dropped):,} rows were dropped: {why}",
                "mend the rows or the verifier",
            )
        raise InputError(what, paths, "one problem or more", do)
    return Ingested(list(unique.values()), dropped)


def _rows(number: int, problems: Sequence[Problem], rates: dict[str, PassRate]) -> list[dict[str, Any]]:
    names = ((problem.id, rates[problem.id]) for problem in problems)
    return [{"rollouts": number, "problem_id": name, **asdict(rate), **rate_interval(rate)} for name, rate in names]
