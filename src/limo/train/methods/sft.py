"""Supervised fine-tuning of all parameters on selected chains, by TRL's SFTTrainer, with checked labels.

Settings have TRL's names and state the paper's values.  The checkpoint rule is fixed beforehand: the model after the
last update, or after `stop_after_epoch` of the schedule.  The folder of a finished model appears whole, by one rename;
the same call again returns its record and does nothing; a killed training continues from its last whole checkpoint.

    result = train("Qwen/Qwen2.5-32B-Instruct", read_rows("runs/a/selected"), "runs/a/model", SftSettings())
    print(result.n_examples, result.n_updates, result.losses[-1])
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limo.core.errors import InputError
from limo.core.files import atomic, model_identity, storage_errors
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import Dropped
from limo.core.text import content_hash
from limo.models.local.config import check_model
from limo.train.data import Row, encode, read_rows
from limo.train.model import load_model, load_tokenizer
from limo.train.trainer import make_trainer, run_trainer, sft_config

if TYPE_CHECKING:
    from trl import SFTTrainer

RECORD = "training.json"
_NOT_OF_TRL = {"dtype", "attn_implementation", "on_too_long", "stop_after_epoch"}  # not fields of TRL's SFTConfig


class SftSettings(Settings):
    """How to fine-tune.  Names are TRL's (`SFTConfig`); defaults are the paper's v2 where it reports one."""

    learning_rate: float = Field(5e-6, gt=0, description="peak; paper: 5e-6")
    num_train_epochs: float = Field(15, gt=0, description="passes over the data; paper: 15")
    max_steps: int = Field(-1, ge=-1, description="updates; above 0 it decides instead of num_train_epochs")
    per_device_train_batch_size: int = Field(1, ge=1, description="rows a device takes at once")
    gradient_accumulation_steps: int = Field(
        64, ge=1, description="forward passes an update; paper v2: 64 rows an update over all devices (v1: 32)"
    )
    lr_scheduler_type: str = Field("cosine", description="shape of the learning rate; paper: cosine")
    warmup_steps: float = Field(0, ge=0, description="updates of warm-up, below 1 a share of all; paper: none")
    optim: str = Field("adamw_torch_fused", description="optimiser by transformers' name; paper: not reported")
    optim_args: str = Field("", description="further arguments of the optimiser, as transformers reads them")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="paper: not reported")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="paper: not reported")
    weight_decay: float = Field(0.0, ge=0, description="paper: not reported")
    max_grad_norm: float = Field(1.0, ge=0, description="clip gradients to this norm; 0 = do not; paper: not reported")
    max_length: int = Field(16384, ge=8, description="tokens of the longest row; paper: 16,384")
    on_too_long: Literal["error", "drop"] = Field("error", description="what a longer row is; it is never cut")
    packing: bool = Field(False, description="several rows in one sequence, none cut; paper: not reported")
    train_sampling_strategy: Literal["random", "sequential", "group_by_length"] = Field(
        "random", description="order of rows; group_by_length pads less but mixes lengths less well"
    )
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="precision the weights are held in")
    bf16: bool = Field(True, description="compute in bfloat16; paper: yes.  CPUs without such units are slower by it")
    gradient_checkpointing: bool = Field(True, description="less memory for a fifth more time")
    attn_implementation: str = Field("", description="for example flash_attention_2 (paper); empty = the model's own")
    use_cpu: bool = Field(False, description="train on the CPU even where there is a GPU")
    save_strategy: Literal["no", "epoch", "steps"] = Field("epoch", description="when to leave a checkpoint to resume")
    save_steps: int = Field(500, ge=1, description="updates between checkpoints when save_strategy is steps")
    logging_steps: int = Field(1, ge=1, description="updates between two recorded losses")
    stop_after_epoch: int = Field(
        0, ge=0, description="keep the model after this epoch of the schedule, 0 = the last; v1's weights are epoch 9"
    )
    seed: int = Field(0, ge=0, description="order of rows; the same seed gives the same weights on a CPU")


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The record of a training.  `n_tokens` is one pass over the rows, `n_tokens_seen` all passes, padding left out.

    `losses`: mean loss per learnt token of each logged step; `seconds`: training of the start that finished it,
    loading left out; `checkpoint`: the rule that chose it; `identity` names base model, rows and settings.
    """

    model_dir: str
    base: str
    n_examples: int
    n_tokens: int
    n_loss_tokens: int
    n_updates: int
    n_tokens_seen: int
    n_epochs: float
    seconds: float
    losses: list[float]
    checkpoint: str
    identity: str
    settings: dict[str, object]
    dropped: list[Dropped] = field(default_factory=list)


def train(
    model_dir: str | Path,
    dataset: str | Path | Iterable[Row],
    out_dir: str | Path,
    settings: SftSettings,
    progress: Progress | None = None,
    stage: str = "train",
) -> TrainResult:
    """Fine-tune the model at `model_dir` (folder or hub name) on rows of `messages`; the result is in `out_dir`.

    Raises ModelError (no model there, or none that can be used), InputError (rows, or an `out_dir` that holds
    something else) and StorageError.
    """
    is_main = os.environ.get("RANK", "0") == "0"  # under accelerate one process of several shows progress
    progress, out = (progress if is_main else None) or NoProgress(), Path(out_dir)
    rows = read_rows(dataset)
    check_model(model_dir)
    identity = content_hash(model_identity(model_dir) or str(model_dir), _rows_hash(rows), settings.hash)
    if done := finished(out, identity):
        progress.log(f"{stage}: {out} is trained already ({done.n_updates:,} updates)")
        return done
    tokenizer = load_tokenizer(model_dir)
    encoded = encode(rows, tokenizer, settings.max_length, settings.on_too_long)
    if encoded.dropped:
        progress.log(f"{stage}: {len(encoded.dropped)} of {len(rows)} rows are longer than max_length and left out")
    work = out.with_name(f".{out.name}.training-{identity}")
    with storage_errors(out):
        _remove_leftovers(out, keep=work)
        work.mkdir(parents=True, exist_ok=True)
    config = sft_config(settings.model_dump(exclude=_NOT_OF_TRL), work)
    model = load_model(model_dir, settings.dtype, settings.attn_implementation, encoded)
    trainer = make_trainer(model, tokenizer, encoded, config)
    started_s = time.monotonic()
    run_trainer(trainer, work, progress, stage, settings.stop_after_epoch)
    state, epochs = trainer.state, round(float(trainer.state.epoch or 0.0), 4)
    result = TrainResult(
        model_dir=str(out),
        base=str(model_dir),
        n_examples=len(encoded.examples),
        n_tokens=encoded.n_tokens,
        n_loss_tokens=encoded.n_loss_tokens,
        n_updates=state.global_step,
        n_tokens_seen=round(encoded.n_tokens * epochs),
        n_epochs=epochs,
        seconds=round(time.monotonic() - started_s, 2),
        losses=[round(entry["loss"], 6) for entry in state.log_history if "loss" in entry],
        checkpoint=f"epoch {settings.stop_after_epoch}" if settings.stop_after_epoch else "last",
        identity=identity,
        settings=settings.model_dump(mode="json"),
        dropped=encoded.dropped,
    )
    _publish(trainer, result, out, work)
    return result


def finished(out: Path, identity: str = "") -> TrainResult | None:
    """The record of the training that made the model at `out`; None where nothing is there yet.

    Raises InputError when the folder holds something else, or (with `identity`) a model of another training.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        values = json.loads((out / RECORD).read_text(encoding="utf-8"))
        values["dropped"] = [Dropped(**row) for row in values["dropped"]]
        result = TrainResult(**{**values, "model_dir": str(out)})
    except (OSError, ValueError, TypeError, KeyError):
        what = "this folder does not hold a trained model"
        raise InputError(what, out, "a new folder", "name another for the model") from None
    if identity and result.identity != identity:
        allowed = "the base model, rows and settings it was trained with"
        raise InputError("this folder holds a model of another training", out, allowed, "name another for the model")
    return result


def _rows_hash(rows: list[Row]) -> str:
    return content_hash(*(json.dumps(row.get("messages"), sort_keys=True, default=str) for row in rows))


def _remove_leftovers(out: Path, keep: Path | None = None) -> None:
    """Remove what unfinished trainings of other settings left beside `out`."""
    for leftover in out.parent.glob(f".{out.name}.*"):
        if leftover.is_dir() and leftover != keep and leftover.suffix.startswith((".training-", ".done-")):
            shutil.rmtree(leftover, ignore_errors=True)


def _publish(trainer: SFTTrainer, result: TrainResult, out: Path, work: Path) -> None:
    """Save model, tokenizer and record beside `out` and give them its name in one rename; then drop the checkpoints."""
    new = out.with_name(f".{out.name}.done-{result.identity}")
    with storage_errors(out):
        trainer.save_model(str(new))  # every process takes part: shards are gathered
        if not trainer.args.should_save:
            return
        (new / "training_args.bin").unlink(missing_ok=True)  # a pickle of paths of this machine
        with atomic(new / RECORD) as path:
            path.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
        for file in new.iterdir():
            with open(file, "rb") as written:
                os.fsync(written.fileno())
        os.replace(new, out)
        shutil.rmtree(work, ignore_errors=True)
