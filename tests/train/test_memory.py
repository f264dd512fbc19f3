"""The memory plan: counted from the model's own code, and not below what a training takes."""

import subprocess
import sys

import pytest

from limo.train.memory import GB, MemoryPlan, memory_lines, plan_memory
from limo.train.methods.lora import LoraSettings
from limo.train.methods.sft import SftSettings
from limo.train.model import load_model


def plan(model_dir, longest=256, settings=SftSettings, n_trained=0, **changes):
    model = load_model(model_dir, "float32", "")
    how = settings(bf16=False, use_cpu=True, **changes)
    return plan_memory(model, how, longest, n_trained or model.num_parameters())


def test_activations_grow_with_the_length_and_not_with_its_square(model_dir):
    lengths = [plan(model_dir, n, gradient_checkpointing=False).activations for n in (512, 1024, 2048)]
    assert lengths[2] - lengths[1] == pytest.approx(2 * (lengths[1] - lengths[0]), rel=1e-3)


def test_checkpointing_an_adapter_and_shards_each_need_less(model_dir, monkeypatch):
    whole = plan(model_dir, gradient_checkpointing=False)
    assert plan(model_dir, gradient_checkpointing=True).activations < whole.activations
    adapter = plan(model_dir, settings=LoraSettings, n_trained=100, gradient_checkpointing=False)
    assert adapter.gradients + adapter.optimiser < 0.1 * (whole.gradients + whole.optimiser)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert plan(model_dir, gradient_checkpointing=False).total < whole.total


def test_what_does_not_fit_is_told_with_what_would():
    plan = MemoryPlan(weights=60 * GB, gradients=60 * GB, optimiser=120 * GB, activations=10 * GB)
    line = memory_lines(plan, SftSettings(gradient_checkpointing=False), 80 * 10**9)[-1]
    assert "80 GB" in line and "gradient_checkpointing=true" in line and "kind: lora" in line and "fsdp2" in line
    assert len(memory_lines(plan, SftSettings(), 300 * 10**9)) == 1


MEASURE = """
import random, sys, tempfile, torch
from pathlib import Path
torch.set_num_threads(1)
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import SFTTrainer
from limo.experiments.pocket.models import model_path
from limo.train.data import Encoded, Example
from limo.train.memory import plan_memory
from limo.train.methods.sft import SftSettings, make_trainer
def resident(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
config = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=12,
                     num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8192)
length, checkpointing = int(sys.argv[1]), sys.argv[2] == "True"
settings = SftSettings(bf16=False, use_cpu=True, gradient_checkpointing=checkpointing, max_steps=2,
                       examples_per_update=1, save_strategy="no", optim="adamw_torch")
before = resident("VmRSS")
model = LlamaForCausalLM(config)
ids = [random.randrange(1000) for _ in range(length)]
rows = Encoded([Example(ids, ids)] * 2, [], 1)
tokenizer = AutoTokenizer.from_pretrained(model_path("pocket-rich"))
trainer = make_trainer(model, tokenizer, rows, settings, Path(tempfile.mkdtemp()))
trainer.train()
print(plan_memory(model, settings, length, model.num_parameters()).total / (resident("VmHWM") - before))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("length", "checkpointing"), [(256, False), (1024, False), (1024, True)])
def test_the_plan_is_not_below_the_measured_peak_and_near_it(length, checkpointing):
    call = [sys.executable, "-c", MEASURE, str(length), str(checkpointing)]
    ratio = float(subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()[-1])
    print(f"plan / measured peak of {length} tokens, checkpointing {checkpointing}: {ratio:.3f}")
    assert 1.0 <= ratio <= 1.15
