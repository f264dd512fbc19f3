"""TRL's SFTTrainer without telemetry or reports to others, resumable, with our progress display.

TRL's own preparation of the data, which would cut long rows, is switched off.

    trainer = make_trainer(model, tokenizer, encoded, sft_config({"max_steps": 10}, work))
    run_trainer(trainer, work, NoProgress(), "train")
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import InputError
from limo.core.files import storage_errors
from limo.core.progress import Progress
from limo.core.text import shorten

if TYPE_CHECKING:
    from trl import SFTConfig, SFTTrainer

    from limo.train.data import Encoded

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def sft_config(fields: dict[str, Any], work: Path) -> SFTConfig:
    """TRL's settings from ours, with reports to others and further work on the rows switched off.

    Raises InputError with TRL's own reason, for example bf16 on a machine that cannot.
    """
    from trl import SFTConfig

    fixed: dict[str, Any] = {
        "output_dir": str(work),
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": False,  # rows of tokens are too small for it to pay
        "dataset_kwargs": {"skip_prepare_dataset": not fields["packing"]},
        "packing_strategy": "bfd",  # cuts nothing here: no row is longer than max_length
        "optim_args": fields["optim_args"] or None,
    }
    try:
        with warnings.catch_warnings():  # of names that transformers will change and TRL still uses
            warnings.simplefilter("ignore", FutureWarning)
            return SFTConfig(**{**fields, **fixed})
    except (ValueError, KeyError, ImportError) as error:
        reason = shorten(str(error), 160)
        raise InputError("the training settings do not fit", reason, "", "on a CPU: bf16=false use_cpu=true") from error


def make_trainer(model: Any, tokenizer: Any, encoded: Encoded, config: SFTConfig) -> SFTTrainer:
    """A trainer over the rows, their labels as they are.  Raises InputError with TRL's own reason."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer

    class QuietTrainer(SFTTrainer):
        """Without the telemetry that TRL sends."""

        def _send_telemetry(self) -> None:
            return

    columns = {
        "input_ids": [example.input_ids for example in encoded.examples],
        "labels": [example.labels for example in encoded.examples],
    }
    try:
        rows = Dataset.from_dict(columns)
        trainer = QuietTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    except (ValueError, ImportError) as error:
        reason = shorten(str(error), 160)
        raise InputError("TRL refuses these settings", reason, "", "change the setting that it names") from error
    trainer.remove_callback(PrinterCallback)  # the losses are shown by `progress`
    return trainer


def run_trainer(trainer: SFTTrainer, work: Path, progress: Progress, stage: str, stop_after_epoch: int = 0) -> None:
    """Train to the end, or of `stop_after_epoch`, from the last whole checkpoint in `work` where there is one."""
    with ExitStack() as stack, storage_errors(work):
        trainer.add_callback(_progress_callback(progress, stage, stack, stop_after_epoch))
        trainer.train(resume_from_checkpoint=last_checkpoint(work))


def last_checkpoint(work: Path) -> str | None:
    """The newest whole checkpoint; one that a killed process left half written is removed.

    `trainer_state.json` is what the trainer writes last, so a checkpoint that has it whole is whole.
    """
    found = {int(match[1]): path for path in work.glob("checkpoint-*") if (match := _CHECKPOINT.fullmatch(path.name))}
    for step in sorted(found, reverse=True):
        try:
            json.loads((found[step] / "trainer_state.json").read_text(encoding="utf-8"))
            return str(found[step])
        except (OSError, ValueError):
            shutil.rmtree(found[step])
    return None


def _progress_callback(progress: Progress, stage: str, stack: ExitStack, stop_after_epoch: int) -> Any:
    from transformers import TrainerCallback

    class ProgressCallback(TrainerCallback):
        """Counts updates for the display, and ends the training after `stop_after_epoch`."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.stage = stack.enter_context(progress.stage(stage, state.max_steps, state.global_step))
            self.loss: dict[str, float] = {}

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.stage.advance(1, **self.loss)

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            last = state.log_history[-1] if state.log_history else {}
            self.loss = {"loss": last["loss"]} if "loss" in last else {}

        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if stop_after_epoch and round(state.epoch) >= stop_after_epoch:
                control.should_training_stop = True

    return ProgressCallback()
