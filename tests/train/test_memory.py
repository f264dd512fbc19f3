"""The memory plan: counted from the model's own code, and not below what a training takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig

from limo.train.memory import GB, MemoryPlan, count_parameters, memory_lines, plan_memory
from limo.train.methods.lora import LoraSettings, QloraSettings
from limo.train.methods.sft import SftSettings
from limo.train.model import load_model


def plan(model_dir, longest=256, settings=SftSettings, sharding="one", n_devices=1, **changes):
    how = settings(bf16=False, use_cpu=True, **changes)
    return plan_memory(AutoConfig.from_pretrained(model_dir), how, longest, sharding, n_devices, gpu=False)


@pytest.mark.slow
def test_activations_grow_with_the_length_and_with_its_square_only_where_rows_are_padded(model_dir):
    def growth(**changes):
        one, two, four = (
            plan(model_dir, n, gradient_checkpointing=False, **changes).activations for n in (512, 1024, 2048)
        )
        return (four - two) / (two - one)

    assert growth() == pytest.approx(2, rel=1e-3)
    padded = {"per_device_train_batch_size": 2, "examples_per_update": 4}
    assert growth(**padded) > 2.5
    assert growth(**padded, attn_implementation="flash_attention_2") == pytest.approx(2, rel=1e-3)


@pytest.mark.slow
def test_checkpointing_an_adapter_and_shards_each_need_less(model_dir):
    whole = plan(model_dir, gradient_checkpointing=False)
    half, full = (plan(model_dir, gradient_checkpointing=True, checkpoint_every=n).activations for n in (2, 1))
    assert full < half < whole.activations
    adapter = plan(model_dir, settings=LoraSettings, gradient_checkpointing=False, rank=1)
    assert adapter.gradients + adapter.optimiser < 0.1 * (whole.gradients + whole.optimiser)
    shared = plan(model_dir, gradient_checkpointing=False, sharding="fsdp2", n_devices=4)
    assert shared.n_shards == 4 and shared.gathered > 0


@pytest.mark.slow
def test_weights_are_those_of_the_model(model_dir):
    whole = plan(model_dir)
    n = load_model(model_dir, "float32", "").num_parameters()
    assert whole.weights == whole.gradients == 4 * n and whole.optimiser == 8 * n
    assert plan(model_dir, settings=QloraSettings, rank=1).weights < 0.5 * whole.weights  # embeddings are not quantised


def test_parameters_are_counted_without_weights(model_dir):
    n = load_model(model_dir, "float32", "").num_parameters()
    config = AutoConfig.from_pretrained(model_dir)
    assert count_parameters(config, SftSettings()) == n
    assert n < count_parameters(config, LoraSettings(rank=1)) < 1.1 * n


def test_what_does_not_fit_is_told_with_what_would():
    plan = MemoryPlan(weights=60 * GB, gradients=60 * GB, optimiser=120 * GB, activations=10 * GB)
    line = memory_lines(plan, SftSettings(gradient_checkpointing=False), 80 * 10**9)[-1]
    assert "80 GB" in line and "gradient_checkpointing=true" in line and "kind: lora" in line and "fsdp2" in line
    assert len(memory_lines(plan, SftSettings(), 300 * 10**9)) == 1


CASES = {  # none of them was seen when the plan was made
    "one pass an update": {"arch": "llama", "shape": [32768, 256, 768, 8, 4, 2], "length": 512},
    "adapter": {"arch": "llama", "shape": [16000, 384, 1024, 8, 6, 2], "length": 768, "lora": 32},
    "tied embeddings": {"arch": "qwen2", "shape": [32000, 256, 1024, 12, 4, 2], "length": 512},
    "every layer recomputed": {"arch": "qwen2", "shape": [8000, 256, 704, 8, 4, 4], "length": 2048, "every": 1},
    "every second layer": {"arch": "qwen3", "shape": [16000, 320, 960, 8, 5, 5], "length": 1024, "every": 2},
    "four passes an update": {"arch": "llama", "shape": [4000, 384, 1024, 8, 6, 6], "length": 640, "passes": 4},
    "a row whose mask would be seen": {"arch": "llama", "shape": [4000, 128, 320, 4, 4, 2], "length": 8192},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_plan_is_not_below_the_measured_peak_and_near_it(case):
    call = [sys.executable, str(Path(__file__).with_name("measure_memory.py")), json.dumps(case)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(call, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    ratio = float(done.stdout.split()[-1])
    print(f"{case}: {done.stdout.splitlines()[-1]}")
    assert 1.0 <= ratio <= 1.15
