"""The trainer: what stops it is one line, and the next start goes on."""

import pytest

from limo.core.errors import ModelError
from limo.train.methods.sft import SftSettings, train
from limo.train.trainer import last_checkpoint

SMALL = {
    "bf16": False, "use_cpu": True, "gradient_checkpointing": False, "max_length": 256, "learning_rate": 1e-2,
}  # fmt: skip


def test_a_device_without_memory_is_one_line_and_the_next_start_goes_on(model_dir, rows, tmp_path, monkeypatch):
    import torch
    from trl import SFTTrainer

    settings = SftSettings(
        **{**SMALL, "max_steps": 4, "save_strategy": "steps", "save_steps": 1}, examples_per_update=4
    )
    step = SFTTrainer.training_step

    def runs_out(self, *args, **kwargs):
        if self.state.global_step == 2:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(SFTTrainer, "training_step", runs_out)
    with pytest.raises(ModelError, match=r"ran out of memory.*gradient_checkpointing"):
        train(model_dir, rows, tmp_path / "out", settings)
    assert last_checkpoint(next(tmp_path.glob(".out.training-*"))).endswith("checkpoint-2")
    monkeypatch.setattr(SFTTrainer, "training_step", step)
    assert train(model_dir, rows, tmp_path / "out", settings).n_updates == 4
