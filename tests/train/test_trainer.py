"""The trainer: what stops it is one line, the last whole checkpoint stays, and the next start goes on."""

import errno
import os
from types import SimpleNamespace

import pytest

from limo.core.errors import InputError, ModelError, StorageError
from limo.core.progress import NoProgress
from limo.train.methods.sft import SftSettings, train
from limo.train.trainer import last_checkpoint, run_trainer

SETTINGS = SftSettings(
    bf16=False, use_cpu=True, gradient_checkpointing=False, max_length=256, learning_rate=1e-2, max_steps=3,
    save_strategy="steps", save_steps=1, examples_per_update=4, per_device_train_batch_size=4,
)  # fmt: skip


def no_memory():
    import torch

    return torch.OutOfMemoryError("tried to allocate 2 GiB")


def no_disk():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rows_that_accelerate_would_split_over_devices_are_refused(tmp_path):
    split = SimpleNamespace(cp_enabled=True, sp_enabled=False, cp_size=8, sp_size=1)
    trainer = SimpleNamespace(accelerator=SimpleNamespace(parallelism_config=split))
    with pytest.raises(InputError, match="context and sequence parallelism are not supported"):
        run_trainer(trainer, tmp_path, NoProgress(), "train", SETTINGS)


@pytest.mark.parametrize(
    ("method", "reason", "kind", "line"),
    [
        ("training_step", no_memory, ModelError, r"ran out of memory.*gradient_checkpointing"),
        ("_save_checkpoint", no_disk, StorageError, r"cannot write \(No space left on device\)"),
    ],
)
def test_what_stops_a_training_is_one_line_and_the_next_start_goes_on(
    model_dir, rows, tmp_path, monkeypatch, method, reason, kind, line
):
    from trl import SFTTrainer

    original = getattr(SFTTrainer, method)

    def fails(self, *args, **kwargs):
        if self.state.global_step == 2:
            raise reason()
        return original(self, *args, **kwargs)

    monkeypatch.setattr(SFTTrainer, method, fails)
    with pytest.raises(kind, match=line) as caught:
        train(model_dir, rows, tmp_path / "out", SETTINGS)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
    whole = 2 if method == "training_step" else 1
    assert last_checkpoint(next(tmp_path.glob(".out.training-*"))).endswith(f"checkpoint-{whole}")
    monkeypatch.setattr(SFTTrainer, method, original)
    assert train(model_dir, rows, tmp_path / "out", SETTINGS).n_updates == 3
