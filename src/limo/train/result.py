"""The contract of a training method: the settings that all share, the `TrainResult` they return, the model's folder.

A method is a file in `limo/train/methods` with its settings (a `TrainSettings` with a `kind` of its own) and a function
that trains and returns a `TrainResult`; `Method` and `_train` of limo.stages.train call it by its kind.

The folder of a finished model appears whole, by one rename.  Its record is `training.json`: the same call again returns
it and does nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator

from limo.core.errors import InputError
from limo.core.files import storage_errors, write_json
from limo.core.interrupts import uninterrupted
from limo.core.recipe import Settings, public_path
from limo.core.records import Dropped
from limo.core.run_folder import environment
from limo.core.text import content_hash, parse_json

RECORD, CHECKPOINTS = "training.json", "checkpoints"
PAPER_EPOCH = 9  # of 15: v1's released weights


class TrainSettings(Settings):
    """What every method is set by.  Names are TRL's; defaults are the paper's v2 where it reports one."""

    NOT_OF_TRL: ClassVar[frozenset[str]] = frozenset(
        {
            "kind",
            "dtype",
            "attn_implementation",
            "examples_per_update",
            "checkpoint",
            "keep_checkpoints",
            "checkpoint_every",
        }
    )

    learning_rate: float = Field(5e-6, gt=0, description="peak; paper: 5e-6")
    num_train_epochs: float = Field(15, gt=0, description="passes over the data; paper: 15")
    max_steps: int = Field(-1, ge=-1, description="updates; above 0 it decides instead of num_train_epochs")
    examples_per_update: int = Field(
        64, ge=1, description="over all devices; the forward passes follow from it; paper v2: 64 (v1: 32)"
    )
    per_device_train_batch_size: int = Field(1, ge=1, description="examples a device takes at once; paper: 1")
    lr_scheduler_type: str = Field("cosine", description="shape of the learning rate; paper: cosine")
    warmup_steps: float = Field(0, ge=0, description="updates of warm-up, below 1 a share of all; paper: none")
    optim: str = Field("adamw_torch_fused", description="optimiser by transformers' name; paper: not reported")
    optim_args: str = Field("", description="further arguments of the optimiser, as transformers reads them")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="paper: not reported")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="paper: not reported")
    weight_decay: float = Field(0.0, ge=0, description="paper: not reported")
    max_grad_norm: float = Field(1.0, ge=0, description="clip gradients to this norm; 0 = do not; paper: not reported")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="precision the weights are held in")
    bf16: bool = Field(True, description="compute in bfloat16; paper: yes.  CPUs without such units are slower by it")
    gradient_checkpointing: bool = Field(True, description="recompute activations: less memory for up to a third more")
    checkpoint_every: int = Field(1, ge=1, description="1: of every layer; 2: of every second one, and so on")
    attn_implementation: str = Field("", description="for example flash_attention_2 (paper); empty = the model's own")
    use_cpu: bool = Field(False, description="train on the CPU even where there is a GPU")
    save_strategy: Literal["no", "epoch", "steps"] = Field("epoch", description="when to leave a checkpoint to resume")
    save_steps: int = Field(500, ge=1, description="updates between checkpoints when save_strategy is steps")
    keep_checkpoints: bool = Field(
        False, description="keep every checkpoint's model in `checkpoints/`, for `limo evaluate --checkpoints`"
    )
    logging_steps: int = Field(1, ge=1, description="updates between two recorded losses")
    checkpoint: Literal["last", "paper"] | PositiveInt = Field(
        "last",
        description="the model that is kept: after the last update, or after this epoch of the schedule; paper = epoch "
        "9, as of v1's weights, which was the best of 15 on the test benchmarks",
    )
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = Field(
        "none", description="a tracker that gets the numbers of every logged update; nothing is sent unless named"
    )
    seed: int = Field(0, ge=0, description="order of rows; the same seed gives the same weights on a CPU")

    @field_validator("save_strategy", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: object) -> object:
        """YAML reads an unquoted `no` as false."""
        return "no" if value is False else value

    @property
    def hash(self) -> str:
        """Names the kind and the values that are no defaults: a field that a later version adds renames nothing."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        return content_hash(json.dumps({**values, "kind": self.kind}, sort_keys=True))  # type: ignore[attr-defined]

    @property
    def is_quantised(self) -> bool:
        """Whether the weights that do not learn are held in 4 bits."""
        return False

    def adapted(self, model: Any) -> Any:
        """The model with what learns beside its weights; itself where all of them learn."""
        return model

    @property
    def stop_after_epoch(self) -> int:
        """The epoch after which training ends; 0 = the last one."""
        return self.checkpoint if isinstance(self.checkpoint, int) else PAPER_EPOCH * (self.checkpoint == "paper")

    @property
    def checkpoint_label(self) -> str:
        """The checkpoint rule as a report states it."""
        if self.checkpoint == "paper":
            return f"epoch {PAPER_EPOCH}, which the authors chose as the best of 15 on the test benchmarks"
        return "last" if self.checkpoint == "last" else f"epoch {self.checkpoint}"


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The record of a training, by whatever method.

    `n_tokens`: one pass over the examples; `n_tokens_seen`: all tokens that passed through training (and, by RL,
    generation), padding left out; `losses`: of each logged update; `seconds`: training of the start that finished it;
    `checkpoint`: the rule that chose the model; `flops`: matrix operations of the model by `limo.train.compute`;
    `measures`: what else a method counts, by name; `identity` names base model, data and settings,
    `data_hash` the data alone.
    """

    model_dir: str
    base: str
    method: str
    n_examples: int
    n_tokens: int
    n_loss_tokens: int
    n_updates: int
    n_tokens_seen: int
    n_epochs: float
    seconds: float
    flops: float
    losses: list[float]
    checkpoint: str
    identity: str
    data_hash: str
    settings: dict[str, object]
    dropped: list[Dropped] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


def result_of(trainer: Any, settings: TrainSettings, method: str, **values: Any) -> TrainResult:
    """The record of what a trainer did; `values` are the fields that it cannot say."""
    state = trainer.state
    return TrainResult(
        method=method,
        n_updates=state.global_step,
        n_epochs=round(float(state.epoch or 0.0), 4),
        losses=[round(entry["loss"], 6) for entry in state.log_history if "loss" in entry],
        checkpoint=settings.checkpoint_label,
        settings=settings.model_dump(mode="json"),
        **values,
    )


def finished(out: Path, identity: str = "", settings: TrainSettings | None = None) -> TrainResult | None:
    """The record of the training that made the model at `out`; None where nothing is there yet.

    Raises InputError when the folder holds something else, or (with `identity` and `settings`) a model of another
    training; a setting that the record does not name is one that came later, and had its default's effect.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        values = parse_json((out / RECORD).read_text(encoding="utf-8"))
        values["dropped"] = [Dropped(**row) for row in values["dropped"]]
        result = TrainResult(**{**values, "model_dir": str(out)})
    except (OSError, ValueError, TypeError, KeyError):
        what = "this folder does not hold a trained model"
        raise InputError(what, out, "a new folder", "name another for the model") from None
    now = settings.model_dump(mode="json") if settings else {}
    if identity and (result.identity != identity or any(now.get(k, v) != v for k, v in result.settings.items())):
        allowed = "the base model, data and settings it was trained with"
        raise InputError("this folder holds a model of another training", out, allowed, "name another for the model")
    return result


def make_work_folder(out: Path, identity: str) -> Path:
    """The folder of this training's checkpoints, beside `out`; what trainings of other settings left there goes."""
    work = out.with_name(f".{out.name}.training-{identity}")
    with storage_errors(out):
        for leftover in out.parent.glob(f".{out.name}.*"):
            if leftover.is_dir() and leftover != work and leftover.suffix.startswith((".training-", ".done-")):
                shutil.rmtree(leftover, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
    return work


def publish(
    result: TrainResult, work: Path, save: Callable[[Path], None], is_main: bool, keep_checkpoints: bool = False
) -> None:
    """Save model and record beside the result's folder, give them its name in one rename, drop the checkpoints.

    `keep_checkpoints`: their models stay, in the folder `checkpoints` beside it.

    Every process of a launch calls `save`, which gathers shards; the first one does the rest.
    """
    out = Path(result.model_dir)
    new = out.with_name(f".{out.name}.done-{result.identity}")
    with storage_errors(out), uninterrupted():  # a training that has ended gets its name
        save(new)
        if not is_main:
            return
        (new / "training_args.bin").unlink(missing_ok=True)  # a pickle of paths of this machine
        (new / "README.md").write_text(model_card(result), encoding="utf-8")  # PEFT's and TRL's say less
        draw_losses(result, new / "loss.svg")
        write_json(new / RECORD, asdict(result))
        for file in filter(Path.is_file, new.rglob("*")):
            with open(file, "rb") as written:
                os.fsync(written.fileno())
        if keep_checkpoints:
            _keep_models(work, out.with_name(CHECKPOINTS))
        os.replace(new, out)
        shutil.rmtree(work, ignore_errors=True)


def model_card(result: TrainResult) -> str:
    """What the model is, from its record: base, data, recipe, environment."""
    here = environment()
    base = public_path(result.base)
    facts = {
        "base model": base,
        "method": f"{result.method}, checkpoint: {result.checkpoint}",
        "examples": f"{result.n_examples:,}, hash of the data {result.data_hash}",
        "training": f"{result.n_updates:,} updates, {result.n_tokens_seen:,} tokens, {result.flops:.3g} operations",
        "last loss": result.losses[-1] if result.losses else "none",
        "environment": f"Python {here['python']}, "
        + ", ".join(f"{name} {number}" for name, number in here["versions"].items()),  # type: ignore[attr-defined]
        "licence": "not stated here: that of the base model and of the data apply",
    }
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    head = f"---\nlibrary_name: transformers\nbase_model: {json.dumps(base)}\ntags: [limo]\n---\n"
    settings = json.dumps(result.settings, indent=1, ensure_ascii=False)
    return f"{head}# {Path(result.model_dir).parent.name}\n\n" + "\n".join(lines) + f"\n\n```json\n{settings}\n```\n"


def draw_losses(result: TrainResult, path: Path) -> None:
    """Draw the loss of every logged update as a picture."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    every = result.n_updates / max(1, len(result.losses))
    axes.plot([every * (n + 1) for n in range(len(result.losses))], result.losses, marker=".")
    axes.set(xlabel="update", ylabel="loss", title=f"{result.method}, {result.n_examples:,} examples")
    with matplotlib.rc_context({"svg.hashsalt": result.identity}):  # the same training draws the same bytes
        figure.savefig(path, metadata={"Date": None})


def _keep_models(work: Path, folder: Path) -> None:
    """Give the checkpoints in `work` the name `folder`, without what only a resumed training needs."""
    for pattern in ("optimizer*", "scheduler*", "rng_state*", "training_args.bin"):
        for file in work.glob(f"checkpoint-*/{pattern}"):
            file.unlink()
    (work / "README.md").unlink(missing_ok=True)  # the trainer's own card
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(work, folder)
