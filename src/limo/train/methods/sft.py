"""Supervised fine-tuning of all parameters on selected chains, by TRL's SFTTrainer, with checked labels.

An update is exactly `examples_per_update` examples, whatever the number of devices.  `loss_weight: example` is the
paper's objective (one example a device: each weighs alike); `token` is what trainers do since mid-2025 (long chains
weigh more).  A killed training continues from its last whole checkpoint.

    result = train("Qwen/Qwen2.5-32B-Instruct", read_rows("runs/a/selected"), "runs/a/model", SftSettings())
    print(result.n_examples, result.n_updates, result.losses[-1])
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from limo.core.errors import InputError
from limo.core.files import model_identity
from limo.core.progress import NoProgress, Progress
from limo.core.text import content_hash, shorten
from limo.models.local.config import check_model
from limo.train.compute import TRAIN
from limo.train.data import Encoded, Row, encode, read_rows, reading_note, texts_of
from limo.train.memory import HAS_NO_MASK, SMALL, available_bytes, launched_sharding, memory_lines, plan_memory
from limo.train.model import load_model, load_tokenizer
from limo.train.model_folder import make_work_folder, publish_model, read_result
from limo.train.result import TrainResult, result_of
from limo.train.settings import TrainSettings
from limo.train.trainer import checked_trainer, log_speed, run_trainer, trl_config

LONGEST_WITH_MASK = 4096  # tokens of a row for which a mask of tokens x tokens may be built


class SftSettings(TrainSettings):
    """How to fine-tune."""

    NOT_OF_TRL: ClassVar[frozenset[str]] = TrainSettings.NOT_OF_TRL | {"on_too_long", "loss_weight", "join_reasoning"}
    flops_per_token: ClassVar[int] = TRAIN
    kind: Literal["sft"] = Field("sft", description="all parameters")
    loss_weight: Literal["example", "token"] = Field(
        "example", description="what weighs alike in an update: each example (paper), or each learnt token"
    )
    loss_type: Literal["nll", "dft"] = Field(
        "nll", description="nll: log-likelihood (paper); dft: each token weighed by its probability (2508.05629)"
    )
    max_length: int = Field(16384, ge=8, description="tokens of the longest row; paper: 16,384")
    on_too_long: Literal["error", "drop"] = Field("error", description="what a longer row is; it is never cut")
    join_reasoning: Literal["", "think", "plain"] = Field(
        "", description="reasoning kept apart from a message's text: '' refuses it, think puts it between <think> tags"
    )
    padding_free: bool = Field(
        False, description="the examples that a device takes at once in one row without padding; needs flash or flex"
    )
    packing: bool = Field(
        False, description="several examples in one row, none cut: an update then holds more examples than it names"
    )
    train_sampling_strategy: Literal["random", "sequential", "group_by_length", "batch_rebalance"] = Field(
        "random", description="order of rows; group_by_length pads less, batch_rebalance evens lengths over devices"
    )

    @property
    def peft_config(self) -> Any:
        """PEFT's settings of an adapter; None where all weights learn."""
        return None

    def save(self, trainer: Any, folder: Path, base: str | Path) -> None:
        """Save the trained model, which started from `base`, in a folder."""
        trainer.save_model(str(folder))


def train(
    model_dir: str | Path, dataset: str | Path | Iterable[Row], out_dir: str | Path, settings: SftSettings,
    progress: Progress | None = None,
) -> TrainResult:  # fmt: skip
    """Fine-tune the model at `model_dir` (folder or hub name) on rows of `messages`; the result is in `out_dir`.

    All its weights, or an adapter, as the settings say.  Raises ModelError (no model there, or the training diverged),
    InputError (rows, settings, or an `out_dir` that holds something else) and StorageError.
    """
    is_main = os.environ.get("RANK", "0") == "0"  # under accelerate one process of several shows progress
    progress, out = (progress if is_main else None) or NoProgress(), Path(out_dir)
    rows = read_rows(dataset)
    check_model(model_dir)
    data_hash = _rows_hash(rows)
    identity = content_hash(model_identity(model_dir) or str(model_dir), data_hash, settings.hash)
    if done := read_result(out, identity, settings):
        progress.log(f"train: {out} is trained already ({done.n_updates:,} updates)")
        return done
    tokenizer = load_tokenizer(model_dir)
    encoded = encode(rows, tokenizer, settings.max_length, settings.on_too_long, settings.join_reasoning)
    if encoded.dropped:
        progress.log(f"train: {len(encoded.dropped)} of {len(rows)} rows are longer than max_length and left out")
    if note := reading_note(texts_of(rows), tokenizer):
        progress.log(f"warning: {note}")
    check_layout(settings, encoded.longest)
    work = make_work_folder(out, identity)
    how = (settings.dtype, settings.attn_implementation, encoded.longest, encoded.end_token_id, settings.is_quantised)
    model = load_model(model_dir, *how)
    n_parameters = model.num_parameters()
    trainer = make_trainer(model, tokenizer, encoded, settings, work)
    if n_parameters >= SMALL:
        gpu = trainer.args.device.type == "cuda"
        plan = plan_memory(model.config, settings, encoded.longest, *launched_sharding(), gpu)
        for line in memory_lines(plan, settings, available_bytes(settings.use_cpu)):
            progress.log(f"train: {line}")
    seconds = run_trainer(trainer, work, progress, "train", settings)
    n_tokens_seen = round(encoded.n_tokens * float(trainer.state.epoch or 0.0))
    flops = float(settings.flops_per_token * n_parameters * n_tokens_seen)
    log_speed(progress, "train", flops, n_tokens_seen, seconds)
    result = result_of(
        trainer,
        settings,
        settings.kind,
        model_dir=str(out),
        base=str(model_dir),
        n_examples=len(encoded.examples),
        n_tokens=encoded.n_tokens,
        n_loss_tokens=encoded.n_loss_tokens,
        n_tokens_seen=n_tokens_seen,
        seconds=seconds,
        flops=flops,
        identity=identity,
        data_hash=data_hash,
        dropped=encoded.dropped,
        measures={"padding": trainer.n_padding / max(1, trainer.n_positions)},
    )
    save = lambda new: settings.save(trainer, new, model_dir)  # noqa: E731
    publish_model(result, work, save, trainer.args.should_save, settings.keep_checkpoints)
    return result


def check_layout(settings: SftSettings, longest: int) -> None:
    """Raise InputError where a row would need a mask of tokens x tokens, which at these lengths no device can hold."""
    is_apart = any(name in settings.attn_implementation for name in HAS_NO_MASK)
    in_a_row = settings.max_length if settings.packing else longest
    if settings.padding_free and not settings.packing:
        in_a_row *= settings.per_device_train_batch_size
    names = [name for name in ("packing", "padding_free") if getattr(settings, name)]
    names += ["per_device_train_batch_size"] if settings.per_device_train_batch_size > 1 and not names else []
    if names and not is_apart and in_a_row > LONGEST_WITH_MASK:
        raise InputError(
            f"{names[0]} would build a dense attention mask of {in_a_row:,} x {in_a_row:,}",
            settings.attn_implementation or "the model's own attention", "flash_attention_2, flex_attention",
            "install one and name it in attn_implementation, or take one example a row: packing=false "
            "padding_free=false per_device_train_batch_size=1",
        )  # fmt: skip


def make_trainer(model: Any, tokenizer: Any, encoded: Encoded, settings: SftSettings, work: Path) -> Any:
    """A trainer over the rows, their labels as they are.  Raises InputError with TRL's own reason."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    config = trl_config(
        SFTConfig,
        settings,
        work,
        dataset_kwargs={"skip_prepare_dataset": not settings.packing},  # TRL's own preparation would cut long rows
        packing_strategy="bfd",  # cuts nothing here: no row is longer than max_length
        max_length=settings.max_length if settings.packing or not settings.padding_free else None,
    )
    columns = {
        "input_ids": [example.input_ids for example in encoded.examples],
        "labels": [example.labels for example in encoded.examples],
    }
    base = checked_trainer(SFTTrainer)
    trainer_class = base if settings.loss_weight == "token" else _weigh_examples_alike(base)
    try:
        rows = Dataset.from_dict(columns)
        return trainer_class(
            model=model, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=settings.peft_config
        )
    except (ValueError, ImportError, RuntimeError) as error:
        reason = shorten(str(error), 160)
        raise InputError("TRL refuses these settings", reason, "", "change the setting that it names") from error


def _weigh_examples_alike(trainer_class: type) -> Any:
    """The trainer with the mean over the examples of an update of each one's mean loss, on all devices together."""
    import torch

    class ExampleTrainer(trainer_class):
        """See `_weigh_examples_alike`."""

        def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> Any:
            """The number of examples in the update."""
            count = torch.tensor(sum(_n_examples(batch) for batch in batch_samples), device=device)
            return self.accelerator.gather(count).sum() if self.args.world_size > 1 else count

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """The sum over the batch's examples of their mean loss, over the examples of the update."""
            if len(inputs["input_ids"]) == 1:
                inputs.pop("attention_mask", None)  # nothing is padded: attention takes its fast causal path
            inputs["use_cache"] = False
            outputs = model(**inputs, fused_lm_head=True)
            learnt = outputs.label_mask
            weights = learnt / _n_learnt(learnt, inputs.get("seq_idx")).clamp(min=1)
            n_examples = num_items_in_batch if num_items_in_batch is not None else _n_examples(inputs)
            if self.args.loss_type == "dft":
                weights = weights * outputs.log_probs.detach().exp()
            loss = -(outputs.log_probs * weights).sum() / n_examples * self.accelerator.num_processes
            n_right, n = (self.accelerator.gather(t.sum()).sum().item() for t in (outputs.is_top1, learnt))
            self._metrics["train"]["mean_token_accuracy"].append(n_right / max(n, 1))
            return (loss, outputs) if return_outputs else loss

    return ExampleTrainer


def _n_examples(batch: Any) -> int:
    """Rows, or the examples of one row without padding."""
    return len(batch["cu_seq_lens_q"]) - 1 if "cu_seq_lens_q" in batch else len(batch["input_ids"])


def _n_learnt(learnt: Any, example_of_token: Any) -> Any:
    """For every predicted token, of shape (rows, tokens - 1), how many are learnt of its example."""
    import torch

    if example_of_token is None:
        return learnt.sum(1, keepdim=True)
    examples = example_of_token[0, 1:].long()
    counts = torch.zeros(int(examples.max()) + 1, dtype=torch.long, device=learnt.device)
    return counts.index_add(0, examples, learnt[0].long())[examples][None]


def _rows_hash(rows: list[Row]) -> str:
    return content_hash(*(json.dumps(row.get("messages"), sort_keys=True, default=str) for row in rows))
