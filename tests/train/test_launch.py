"""Several processes: one command starts them, and their updates are those of one process."""

import json
import os
import subprocess
import sys

import pytest

from limo.stages.train import launch_command

SMALL = [
    "method.bf16=false", "method.use_cpu=true", "method.gradient_checkpointing=false", "method.save_strategy=no",
    "method.max_length=256", "method.learning_rate=0.01", "method.max_steps=3", "method.examples_per_update=8",
    "method.optim=sgd",
]  # fmt: skip


def test_the_command_names_the_shipped_file_and_repeats_the_words():
    command = launch_command(8, "zero3", ["train-v2", "--run", "runs/a"])
    assert command[command.index("--config_file") + 1].endswith("recipes/accelerate/zero3.yaml")
    assert command[-7:] == ["8", "-m", "limo.cli", "train", "train-v2", "--run", "runs/a"]


@pytest.mark.slow
def test_two_processes_make_the_updates_of_one(model_dir, rows, tmp_path):
    import torch
    from safetensors.torch import load_file

    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(
        f"model: {model_dir}\ndataset: {tmp_path}/rows.jsonl\nmethod: {{kind: sft}}\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for name, n in (("one", 1), ("two", 2)):
        words = [str(tmp_path / "recipe.yaml"), *SMALL, "--run", str(tmp_path / name)]
        command = [sys.executable, "-m", "limo.cli", "train", *words]
        if n > 1:
            command = launch_command(n, "ddp", words)
            command[command.index("--num_processes") : command.index("--num_processes")] = ["--cpu"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    losses = [
        json.loads((tmp_path / name / "model" / "training.json").read_text())["losses"] for name in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
