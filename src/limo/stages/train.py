"""The train stage and its `Recipe` (train-v1, train-v2): a model trained on chains, or by reward on a pool of problems.

    run(load(Recipe, "train-v2", ["dataset=runs/limo-v2/selected"]), "runs/train-v2")

The run folder gets `model/`, which appears whole; under `accelerate launch` every process calls `run` with the same
arguments and the first one keeps the run folder.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, assert_never

from pydantic import Field, model_validator

from limo.core.errors import InputError, MissingFileError, RecipeError
from limo.core.files import hash_path, model_identity, write_json
from limo.core.heartbeat import announced
from limo.core.progress import NoProgress, Progress
from limo.core.prompts import prompt_hash
from limo.core.recipe import RECIPES, Settings, load
from limo.core.records import Problem, Rollout, Verdict
from limo.core.run_folder import RunFolder
from limo.core.text import operations
from limo.ledger.store import Ledger
from limo.models.local.completer import LocalCompleter
from limo.models.local.config import check_model
from limo.pool.ingest import read_pool
from limo.rollouts.collect import BatchVerifier, verify_completions
from limo.stages import curate
from limo.stages.compare import Comparison, compare
from limo.stages.evaluate import Decoding, evaluate
from limo.stages.plan import model_size
from limo.train.compute import GENERATE
from limo.train.data import encode, read_rows
from limo.train.methods import grpo, lora, sft
from limo.train.model import load_tokenizer
from limo.train.result import TrainResult
from limo.verify.checker import Checker
from limo.verify.verifier import MathsSettings, VerifierSettings

DATA_COST = "data_cost.json"
Method = Annotated[
    sft.SftSettings | lora.LoraSettings | lora.QloraSettings | grpo.GrpoSettings, Field(discriminator="kind")
]
"""A training method is registered here: its settings by kind, and in `_train` what it is given."""


NO_WEIGHTS = "FOLDER_OR_HUB_NAME"
"""Stands in a recipe, and in a command that is printed, where the user puts the model to train."""


class Recipe(Settings):
    """What is trained on what, and how."""

    model: str = Field(description="folder or hub name of the base model; paper: Qwen/Qwen2.5-32B-Instruct")
    dataset: str = Field(
        description="folder that `limo curate` made, or a .jsonl or .parquet of `messages`; for grpo a pool of problems"
    )
    method: Method = Field(default_factory=sft.SftSettings, description="sft, lora, qlora or grpo, with its settings")
    verifier: VerifierSettings = Field(default_factory=MathsSettings, description="what rewards a completion (grpo)")
    forgetting_check: str = Field(
        "",
        description="a pool that base and trained model answer afterwards, beside the gain: `easy` (sums and reading, "
        "shipped) or a file of your own; '' asks nothing",
    )
    check_max_tokens: int = Field(256, ge=1, description="tokens of a completion of that check, which is greedy")

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and "did_it_hurt" in values:  # of recipes and runs of earlier versions
            values = {"forgetting_check": values["did_it_hurt"]} | {k: values[k] for k in values if k != "did_it_hurt"}
        return values

    def check_model_is_named(self) -> None:
        """Raise InputError where the recipe does not say yet what is trained."""
        if self.model == NO_WEIGHTS:
            allowed, do = "a folder of weights, or a name on the hub", "put it into the recipe, or give model=..."
            raise InputError("the recipe does not say which model is trained", f"model: {self.model}", allowed, do)

    def run_steps(self) -> dict[str, list[str]]:
        """A training keeps its settings; the check after it may change."""
        return {"forgetting.json": ["forgetting_check", "check_max_tokens"]}


def first_batch(recipe: Recipe) -> str:
    """The first rows of the data as the model reads them, what is learnt between ⟦ and ⟧; nothing is trained.

    Raises InputError (a training by reward has no rows; a row that cannot be learnt from) and ModelError.
    """
    recipe.check_model_is_named()
    method = recipe.method
    if not isinstance(method, sft.SftSettings):
        raise InputError("there are no rows to show", method.kind, "sft, lora, qlora", "leave --show-batch out")
    tokenizer = load_tokenizer(recipe.model)
    rows = read_rows(recipe.dataset)[: method.per_device_train_batch_size]
    parts = []
    for example in encode(rows, tokenizer, method.max_length, method.on_too_long, method.join_reasoning).examples:
        text = ""
        for is_learnt, run_of in groupby(
            zip(example.input_ids, example.labels, strict=True), lambda pair: pair[1] >= 0
        ):
            words = tokenizer.decode([token for token, _ in run_of])
            text += f"⟦{words}⟧" if is_learnt else words
        parts.append(f"{text}\n({len(example.input_ids):,} tokens, {sum(n >= 0 for n in example.labels):,} learnt)")
    return "\n\n".join(parts)


def is_main_process() -> bool:
    """Whether this process is the first (or only) one of a distributed launch."""
    return os.environ.get("RANK", "0") == "0"


def launch_command(n_processes: int, launch: str | Path, words: Sequence[str]) -> list[str]:
    """The command that runs `limo train` with these words in several processes.

    `launch`: a file of accelerate's settings, or the name of a shipped one.
    """
    file = launch if isinstance(launch, Path) else RECIPES / "accelerate" / f"{launch}.yaml"
    start = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file)]
    return [*start, "--num_processes", str(n_processes), "-m", "limo", "train", *words]


def run(recipe: Recipe, folder: str | Path, progress: Progress | None = None) -> TrainResult:
    """Train the model of the run in `folder`, or continue from its last checkpoint; a finished one is left as it is.

    Raises ModelError, InputError (rows that cannot be trained on, a folder of another recipe), StorageError.
    """
    recipe.check_model_is_named()
    folder = Path(folder)
    check_model(recipe.model)  # before its bytes are read
    if Path(recipe.dataset).name == curate.SELECTED and not Path(recipe.dataset).exists():
        do = "run the curation to its end first, or correct the path"
        raise MissingFileError("no rows are selected yet", recipe.dataset, "what `limo curate` writes at its end", do)
    contents = (
        {"dataset": hash_path(recipe.dataset), "model": model_identity(recipe.model)} if is_main_process() else {}
    )
    with RunFolder(folder, recipe, contents) if is_main_process() else nullcontext() as run_folder:
        with announced(progress or NoProgress(), f"train: reading {recipe.model} and the rows"):
            result = _train(recipe, folder, progress)
        if run_folder and (cost := data_cost(recipe.dataset)):
            run_folder.write_json(DATA_COST, asdict(cost))
            (progress or NoProgress()).log(f"train: {cost}")
        if recipe.forgetting_check and is_main_process():
            check_forgetting(recipe, folder, progress or NoProgress())
        return result


def _train(recipe: Recipe, folder: Path, progress: Progress | None) -> TrainResult:
    out, how = folder / "model", recipe.method
    if isinstance(how, grpo.GrpoSettings):
        problems = read_pool(recipe.dataset)
        folder.mkdir(parents=True, exist_ok=True)
        with Ledger(ledger_path(folder)) as ledger, Checker(recipe.verifier) as checker:
            recorder = LedgerRecorder(ledger, checker, how)
            return grpo.train(recipe.model, problems, out, how, recorder, progress)
    if isinstance(how, sft.SftSettings):
        return sft.train(recipe.model, recipe.dataset, out, how, progress)
    assert_never(how)


@dataclass(frozen=True, slots=True)
class DataCost:
    """What the filters, teachers and judges behind a dataset read and wrote: tokens by model, and operations.

    `flops` counts as a training's record does; None where a model's size is not known.
    """

    n_tokens: dict[str, int]
    flops: float | None

    def __str__(self) -> str:
        flops = "unknown (size_b of its models)" if self.flops is None else operations(self.flops)
        return f"behind the data: {sum(self.n_tokens.values()):,} tokens of {len(self.n_tokens)} models, FLOPs {flops}"


def data_cost(dataset: str | Path) -> DataCost | None:
    """The cost of a dataset that `limo curate` made, by its run's recipe and ledger; None for another dataset."""
    run = Path(dataset).resolve().parent
    if Path(dataset).name != curate.SELECTED or not (run / "ledger.sqlite").is_file():
        return None
    try:
        models = load(curate.Recipe, run / "recipe.yaml").models
    except RecipeError:  # of an earlier version: its tokens are counted, its models' sizes are not known
        models = []
    sizes = {model.name: model.size_b or model_size(model.name, model.source) for model in models}
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        usage = ledger.usage_by_model()
    n_tokens = {name: used.n_prompt_tokens + used.n_completion_tokens for name, used in usage.items()}
    known = [(size, n) for name, n in n_tokens.items() if (size := sizes.get(name))]
    flops = GENERATE * 1e9 * sum(size * n for size, n in known) if len(known) == len(n_tokens) else None
    return DataCost(n_tokens, flops)


def check_forgetting(recipe: Recipe, folder: Path, progress: Progress) -> Comparison:
    """Base and trained model on easy problems, greedy: what did the training cost?  Kept as `forgetting.json`."""
    problems = easy_problems() if recipe.forgetting_check == "easy" else read_pool(recipe.forgetting_check)
    decoding = Decoding(max_tokens=recipe.check_max_tokens)
    device = "cpu" if recipe.method.use_cpu else "auto"
    outcomes: dict[str, dict[int, dict[str, dict[str, float]]]] = {}
    with Ledger(folder / "forgetting.sqlite") as ledger, Checker(recipe.verifier) as checker:
        for name, model in (("base", recipe.model), ("trained", str(folder / "model"))):
            completer = LocalCompleter(model, name, batch_size=32, device=device)
            evaluation = evaluate(ledger, completer, "easy", problems, decoding, checker, progress, run=str(folder))
            outcomes[name] = {0: {"easy": evaluation.rate_by_problem}}
    comparison = compare(outcomes, "trained", "base")
    write_json(folder / "forgetting.json", {**asdict(comparison), "sentence": comparison.sentence})
    progress.log(f"forgetting check: {comparison.sentence}")
    return comparison


def easy_problems(n: int = 40) -> list[Problem]:
    """Sums of two small numbers and numbers to be read out of a sentence: what any base model can do."""
    rng, problems = random.Random("easy"), dict[str, Problem]()
    while len(problems) < n:
        a, b = rng.randint(10, 49), rng.randint(10, 49)
        sums, reading = f"What is {a} + {b}?", f"A train has {a} seats and {b} windows. How many windows has it?"
        problem = Problem.make(*((sums, str(a + b)) if len(problems) % 2 else (reading, str(b))), source="easy")
        problems.setdefault(problem.id, problem)
    return list(problems.values())


def ledger_path(folder: Path) -> Path:
    """The ledger of a run's rollouts; each further process of a launch keeps one of its own."""
    return folder / ("ledger.sqlite" if is_main_process() else f"ledger-{os.environ['RANK']}.sqlite")


class LedgerRecorder:
    """Verifies the rollouts of a training and keeps them in its ledger, like every other rollout."""

    def __init__(self, ledger: Ledger, verifier: BatchVerifier, settings: grpo.GrpoSettings) -> None:
        self._ledger, self._verifier = ledger, verifier
        sampling = settings.sampling
        with ledger.transaction():
            ledger.define("prompt", prompt_hash(settings.system), settings.system)
            ledger.define("sampling", sampling.hash, json.dumps(asdict(sampling), sort_keys=True))

    def add(self, rollouts: Sequence[tuple[Problem, Rollout]]) -> list[Verdict]:
        """The verdict of each rollout, stored with it in one transaction."""
        verdicts = verify_completions(self._verifier, [(problem, r.completion) for problem, r in rollouts])
        self._ledger.add(replace(r, verdict=verdict) for (_, r), verdict in zip(rollouts, verdicts, strict=True))
        return verdicts
