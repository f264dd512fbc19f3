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
    "method.optim=sgd", "method.max_grad_norm=0",
]  # fmt: skip


def test_the_command_names_the_shipped_file_and_repeats_the_words():
    command = launch_command(8, "zero3", ["train-v2", "--run", "runs/a"])
    assert command[command.index("--config_file") + 1].endswith("recipes/accelerate/zero3.yaml")
    assert command[-7:] == ["8", "-m", "limo", "train", "train-v2", "--run", "runs/a"]


# accelerate shards on accelerators only, so torch shards here, and accelerate's own wrapping (copies) is left out
SHARDED = """
import sys, torch
from pathlib import Path
from torch.distributed.fsdp import fully_shard
from limo.core.recipe import load
from limo.stages.train import Recipe
from limo.train.data import encode, read_rows
from limo.train.methods.sft import make_trainer
from limo.train.model import load_model, load_tokenizer

recipe, folder = load(Recipe, sys.argv[1], sys.argv[3:]), Path(sys.argv[2])
torch.distributed.init_process_group("gloo")
tokenizer = load_tokenizer(recipe.model)
model = load_model(recipe.model, "float32", "")
mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
parts = [fully_shard(part, mesh=mesh) for part in (*model.model.layers, model)]
for part in parts:
    part.set_force_sum_reduction_for_comms(True)  # gloo has no mean
rows = encode(read_rows(recipe.dataset), tokenizer, recipe.method.max_length)
trainer = make_trainer(model, tokenizer, rows, recipe.method, folder)
trainer.accelerator.prepare_model = lambda model, *_, **__: model
trainer.train()
assert all(p.to_local().numel() < p.numel() for p in model.parameters() if p.dim() > 1)
whole = {name: p.full_tensor() for name, p in model.state_dict().items() if "lm_head" not in name}
if torch.distributed.get_rank() == 0:
    from safetensors.torch import save_file

    (folder / "model").mkdir(exist_ok=True)
    save_file({name: p.contiguous() for name, p in whole.items()}, folder / "model" / "model.safetensors")
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def weights_of(model_dir, rows, tmp_path_factory):
    """Start a command with the recipe, a folder and words; the weights that it leaves."""
    from safetensors.torch import load_file

    folder = tmp_path_factory.mktemp("launch")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(f"model: {model_dir}\ndataset: {folder}/rows.jsonl\nmethod: {{kind: sft}}\n")

    def start(name, make):
        command = make(str(folder / "recipe.yaml"), str(folder / name))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ACCELERATE_USE_CPU": "true"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return load_file(folder / name / "model" / "model.safetensors"), folder / name / "model"

    return start


@pytest.fixture(scope="module")
def one_process(weights_of):
    start = [sys.executable, "-m", "limo", "train"]
    return weights_of("one", lambda recipe, run: [*start, recipe, *SMALL, "--run", run])


@pytest.mark.slow
def test_two_processes_make_the_updates_of_one(one_process, weights_of):
    import torch

    def two(recipe, run):
        command = launch_command(2, "ddp", [recipe, *SMALL, "--run", run])
        command[command.index("--num_processes") : command.index("--num_processes")] = ["--cpu"]
        return command

    (one, first), (both, second) = one_process, weights_of("two", two)
    assert all(torch.allclose(one[name], both[name], atol=1e-5) for name in one)
    losses = [json.loads((folder / "training.json").read_text())["losses"] for folder in (first, second)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


@pytest.mark.slow
def test_two_processes_with_a_half_of_each_parameter_make_the_updates_of_one(one_process, weights_of, tmp_path):
    import torch

    (tmp_path / "sharded.py").write_text(SHARDED)
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29631"]
    sharded, _ = weights_of("sharded", lambda recipe, run: [*start, str(tmp_path / "sharded.py"), recipe, run, *SMALL])
    one, _ = one_process
    assert len(sharded) == len(one) and all(torch.allclose(one[name], sharded[name], atol=1e-5) for name in one)
