"""TRL's trainers without telemetry or reports to others: resumable, stopped where numbers are no longer finite.

config = trl_config(SFTConfig, settings, work)
trainer = checked_trainer(SFTTrainer)(model=model, args=config, ...)
run_trainer(trainer, work, NoProgress(), "train")
"""

from __future__ import annotations

import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from limo.core.errors import InputError, ModelError
from limo.core.files import check_room, storage_errors
from limo.core.heartbeat import heartbeat
from limo.core.progress import Progress, duration
from limo.core.text import parse_json, shorten
from limo.train.compute import speed_line
from limo.train.memory import OPTIMISER_BYTES
from limo.train.settings import TrainSettings

HEARTBEAT_S = 10.0  # of an update, after which it is shown how far it is
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@contextmanager
def without_name_warnings() -> Iterator[None]:
    """Without warnings of names that transformers or TRL may change and that are used here: no user can act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
        yield


def trl_config(config_class: Any, settings: TrainSettings, work: Path, **fixed: Any) -> Any:
    """TRL's settings from ours; `fixed` are those that the method decides.

    Raises InputError: examples that do not divide over the devices, or TRL's own reason, such as bf16 on a CPU.
    """
    fields = settings.model_dump(exclude=set(settings.NOT_OF_TRL))
    fixed |= {
        "output_dir": str(work),
        "save_total_limit": None if settings.keep_checkpoints else 1,
        "disable_tqdm": True,
        "log_level": "error",
        "logging_nan_inf_filter": False,  # the loss that is shown is the true one
        "dataloader_pin_memory": False,  # rows of tokens are too small for it to pay
        "optim_args": settings.optim_args or None,
        "gradient_checkpointing_kwargs": {"use_reentrant": False, "every_n_layers": settings.checkpoint_every},
    }
    try:
        with without_name_warnings():
            world_size = config_class(output_dir=str(work), use_cpu=settings.use_cpu, bf16=False).world_size
            at_once = settings.per_device_train_batch_size * world_size
            if settings.examples_per_update % at_once:
                raise InputError(
                    "the examples of an update do not divide over the devices", settings.examples_per_update,
                    f"multiples of {at_once} ({world_size} devices x per_device_train_batch_size)",
                    "change examples_per_update or the number of processes",
                )  # fmt: skip
            fixed["gradient_accumulation_steps"] = settings.examples_per_update // at_once
            config = config_class(**{**fields, **fixed})
    except InputError:
        raise
    except (ValueError, KeyError, ImportError) as error:
        reason = shorten(str(error), 160)
        raise InputError(
            "the training settings do not fit", reason, "", "on a CPU: method.bf16=false method.use_cpu=true"
        ) from error
    config._n_gpu = min(config.n_gpu, 1)  # several visible GPUs in one process would multiply the batch
    return config


def checked_trainer(trainer_class: type) -> Any:
    """A trainer class without telemetry that stops, before it leaves a checkpoint, where a number is not finite."""
    import torch

    class CheckedTrainer(trainer_class):
        """See `checked_trainer`."""

        def _send_telemetry(self) -> None:
            return

        n_positions = n_padding = 0  # of all passes of this process

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            """One forward and backward pass.  Raises ModelError for a loss that is not finite."""
            if "input_ids" in inputs:
                self.n_positions += inputs["input_ids"].numel()
                self.n_padding += int((inputs["attention_mask"] == 0).sum()) if "attention_mask" in inputs else 0
            loss = super().training_step(model, inputs, *args, **kwargs)
            if not bool(torch.isfinite(loss)):
                shown = f"the loss is {loss.item()} in update {self.state.global_step + 1}"
                raise _diverged(shown, Path(self.args.output_dir))
            return loss

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            check_finite(model, self.state.global_step, Path(self.args.output_dir))
            super()._save_checkpoint(model, trial)

    return CheckedTrainer


def check_finite(model: Any, step: int, work: Path) -> None:
    """Raise ModelError where a weight of the model is not finite; `work`: where its checkpoints are."""
    for name, weights in model.named_parameters():
        if weights.requires_grad and not bool(weights.detach().isfinite().all()):
            raise _diverged(f"weights of {name} are not finite after update {step}", work)


def bytes_on_disk(model: Any, settings: TrainSettings) -> int:
    """Bytes that a training takes on the disk when it holds most: two checkpoints, or one beside the finished model.

    `keep_checkpoints` holds one for each epoch; in a checkpoint are the weights that learn and the optimiser's states.
    """
    learnt = [weights for weights in model.parameters() if weights.requires_grad]
    states = OPTIMISER_BYTES.get(settings.optim, 8) * sum(weights.numel() for weights in learnt)
    model_size, learnt_size = (sum(w.numel() * w.element_size() for w in ws) for ws in (model.parameters(), learnt))
    saved = model_size if getattr(settings, "merge", True) else learnt_size
    if settings.save_strategy == "no":
        return saved
    n_kept = int(settings.num_train_epochs) if settings.keep_checkpoints and settings.max_steps < 0 else 1
    checkpoint = learnt_size + states
    return max((n_kept + 1) * checkpoint, n_kept * checkpoint + saved)


def _diverged(what: str, work: Path) -> ModelError:
    do = "lower learning_rate or set max_grad_norm=1; no checkpoint had been saved"
    if any(work.glob("checkpoint-*")):
        do = "lower learning_rate or set max_grad_norm=1; the last whole checkpoint is kept beside the model's folder"
    return ModelError("the training diverged", what, "finite numbers", do)


def run_trainer(trainer: Any, work: Path, progress: Progress, stage: str, settings: TrainSettings) -> float:
    """Train to the end that `settings` name, from the last whole checkpoint in `work`; the seconds it took.

    Raises InputError where accelerate would split rows over devices: updates and weights of examples would be others.
    """
    import torch
    from transformers import PrinterCallback

    split = getattr(trainer.accelerator, "parallelism_config", None)
    if split is not None and (split.cp_enabled or split.sp_enabled):
        what, do = (
            "context and sequence parallelism are not supported",
            "leave parallelism_config_cp_size, _sp_size out",
        )
        raise InputError(what, f"{split.cp_size} x {split.sp_size}", "whole rows: ddp, fsdp2 or zero3", do)
    if trainer.args.should_save:
        held = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
        check_room(work, bytes_on_disk(trainer.model, settings) - held, "what this training saves")
    trainer.remove_callback(PrinterCallback)  # the losses are shown by `progress`
    started_s = time.monotonic()
    with ExitStack() as stack, storage_errors(work):
        trainer.add_callback(_progress_callback(progress, stage, stack, settings))
        try:
            with without_name_warnings():
                trainer.train(resume_from_checkpoint=last_checkpoint(work, progress))
        except _AlreadyTrained:
            pass  # the last checkpoint is that of the last update, and its weights are loaded
        except torch.OutOfMemoryError as error:
            reason, do = shorten(str(error), 120), "gradient_checkpointing=true, kind: lora, or more devices"
            raise ModelError("the device ran out of memory", reason, "", do) from error
    check_finite(trainer.model, trainer.state.global_step, work)
    return round(time.monotonic() - started_s, 2)


class _AlreadyTrained(Exception):
    """The checkpoint that a training continues from is its end."""


def log_speed(progress: Progress, stage: str, flops: float, n_tokens: int, seconds: float) -> None:
    """Log how fast a training was, and its peak memory on a GPU."""
    import torch

    is_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if is_gpu else ""
    line = f"{stage}: {speed_line(flops, n_tokens, seconds, device, int(os.environ.get('WORLD_SIZE', '1')))}"
    progress.log(line + (f", peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB a device" if is_gpu else ""))


def last_checkpoint(work: Path, progress: Progress | None = None) -> str | None:
    """The newest whole checkpoint; one that a killed process left half written, or that is damaged, is removed.

    The trainer writes `trainer_state.json` last; without it a checkpoint is half written, with it a file that cannot be
    read was damaged later, and `progress` is told.
    """
    found = {int(match[1]): path for path in work.glob("checkpoint-*") if (match := _CHECKPOINT.fullmatch(path.name))}
    for step in sorted(found, reverse=True):
        damaged = _damaged_file(found[step])
        if damaged is None:
            return str(found[step])
        if progress and (found[step] / "trainer_state.json").exists():
            progress.log(
                f"checkpoint-{step} is damaged ({damaged}): going on from the one before it, or from the start"
            )
        shutil.rmtree(found[step])
    return None


def _damaged_file(checkpoint: Path) -> str | None:
    """The first file of a checkpoint that is missing or cut; None where it is whole."""
    from safetensors import SafetensorError, safe_open

    try:
        parse_json((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "trainer_state.json"
    for file in sorted(checkpoint.rglob("*")):
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, "pt"):  # reads the head, and compares the size with it
                    pass
            elif file.suffix in (".pt", ".pth", ".bin") and file.is_file() and not is_zipfile(file):
                return file.name
        except (OSError, SafetensorError):
            return file.name
    return None


def _progress_callback(progress: Progress, stage: str, stack: ExitStack, settings: TrainSettings) -> Any:
    from transformers import TrainerCallback

    class ProgressCallback(TrainerCallback):
        """Counts updates for the display, and ends the training after the epoch that the settings name.

        An update that takes long shows its number, the examples that are through, and its time so far.
        """

        update = n_passes = 0
        began_s = float("inf")  # no update is under way

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.stage = stack.enter_context(progress.stage(stage, state.max_steps, state.global_step))
            self.shown: dict[str, float] = {}
            flow = state.stateful_callbacks.get("TrainerControl", {}).get("args", {})
            if flow.get("should_training_stop") or state.global_step >= state.max_steps:
                raise _AlreadyTrained  # transformers would make one more update before it looks
            self.n_left = state.max_steps - state.global_step
            self.n_at_once = args.per_device_train_batch_size * args.world_size
            stack.enter_context(heartbeat(self.beat, HEARTBEAT_S / 2))

        def beat(self) -> None:
            if (passed_s := time.monotonic() - self.began_s) >= HEARTBEAT_S:
                n = self.n_passes * self.n_at_once
                far = f"{n:,} of {settings.examples_per_update:,} examples after {duration(passed_s)}"
                if n and self.stage.remaining_s is None:  # none is counted yet: at the pace of this one
                    left_s = passed_s * (self.n_left * settings.examples_per_update / n - 1)
                    far += f"; at most {duration(left_s)} left"
                self.stage.advance(0, update=f"{self.update:,}: {far}")

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.update, self.n_passes, self.began_s = state.global_step + 1, 0, time.monotonic()

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.n_passes += 1

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began_s = float("inf")
            self.stage.advance(1, **self.shown, update="")

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            last = state.log_history[-1] if state.log_history else {}
            names = {"loss": "loss", "mean_token_accuracy": "token_accuracy", "reward": "reward"}
            self.shown = {name: round(last[key], 4) for key, name in names.items() if key in last}

        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if settings.stop_after_epoch and round(state.epoch) >= settings.stop_after_epoch:
                control.should_training_stop = True

    return ProgressCallback()
