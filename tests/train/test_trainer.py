"""The trainer: what stops it is one line, the last whole checkpoint stays, and the next start goes on."""

import errno
import json
import os
import threading
from types import SimpleNamespace

import pytest

from limo.core.errors import InputError, ModelError, StorageError
from limo.core.progress import NoProgress, describe_line
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


@pytest.mark.parametrize(("long_s", "shows"), [(0.001, True), (600.0, False)])
def test_an_update_that_takes_long_shows_how_many_of_its_examples_are_through(
    model_dir, rows, tmp_path, monkeypatch, long_s, shows
):
    from trl import SFTTrainer

    beaten, original, calls = threading.Event(), SFTTrainer.training_step, []

    class Shown(NoProgress):
        def show(self, event):
            super().show(event)
            lines.append(describe_line(event))
            if "1: 2 of 4 examples after" in lines[-1]:
                beaten.set()

    def waits(self, *args, **kwargs):
        calls.append(1)
        if shows and len(calls) == 3:
            assert beaten.wait(60)
        return original(self, *args, **kwargs)

    lines = []
    monkeypatch.setattr("limo.train.trainer.HEARTBEAT_S", long_s)
    monkeypatch.setattr(SFTTrainer, "training_step", waits)
    words = {"per_device_train_batch_size": 1, "max_steps": 1, "save_strategy": "no"}
    train(model_dir, rows, tmp_path / "out", SETTINGS.model_copy(update=words), Shown())
    assert any("update" in line for line in lines) is shows
    assert "update" not in lines[-1] and not [t for t in threading.enumerate() if t.name == "limo-heartbeat"]


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        *(pytest.param(f, marks=pytest.mark.slow) for f in ("optimizer.pt", "scheduler.pt", "trainer_state.json")),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_training_goes_on_from_the_one_before(
    model_dir, rows, tmp_path, monkeypatch, name
):
    from trl import SFTTrainer

    def fails(self, *args, **kwargs):
        if self.state.global_step == 2:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    original, settings = SFTTrainer.training_step, SETTINGS.model_copy(update={"save_total_limit": 2})
    monkeypatch.setattr(SFTTrainer, "training_step", fails)
    with pytest.raises(KeyboardInterrupt):
        train(model_dir, rows, tmp_path / "out", settings)
    (file,) = tmp_path.glob(f".out.training-*/checkpoint-2/{name}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    monkeypatch.setattr(SFTTrainer, "training_step", original)
    progress = NoProgress()
    assert train(model_dir, rows, tmp_path / "out", settings, progress).n_updates == 3
    (line,) = [line for line in progress.logged if "is damaged" in line]
    assert f"checkpoint-2 is damaged ({name})" in line


@pytest.mark.parametrize("kind", ["sft", "lora", "grpo"])
def test_a_tiny_random_qwen2_is_trained_by_the_same_command(kind, model_dir, rows, tmp_path):
    from click.testing import CliRunner

    from limo.cli import root
    from limo.pool.ingest import write_pool
    from limo.stages.train import easy_problems

    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if kind == "grpo":
        write_pool(easy_problems(4), data := tmp_path / "pool.parquet")
    words = ["bf16=false", "use_cpu=true", "max_steps=2", "examples_per_update=4", "save_strategy=no"]
    words += ["attn_implementation=sdpa", "learning_rate=0.01", f"kind={kind}"]
    words += ["num_generations=2", "max_completion_length=8"] if kind == "grpo" else ["max_length=256"]
    command = ["train", "train-v2", f"model={model_dir}", f"dataset={data}", *(f"method.{word}" for word in words)]
    done = CliRunner().invoke(root, [*command, "--run", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "run" / "model" / "training.json").read_text())
    assert (record["method"], record["n_updates"]) == (kind, 2)
