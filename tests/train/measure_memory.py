"""Trains two updates of a random model in a process of its own and prints plan, measured peak and their ratio.

The peak is of resident memory, above what the imports and a first tiny training took: the pages of libraries' code that
a training touches are resident too, more or fewer of them by how the system read the files in (18 to 36 MB seen of the
same code).  glibc is told to give each large buffer back when it is freed (MALLOC_MMAP_THRESHOLD_): by default its heap
keeps holes, which are the heap's and not the training's.
"""

import gc
import json
import random
import sys
import tempfile
from pathlib import Path

import peft  # noqa: F401
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config, Qwen3Config
from trl import SFTTrainer  # noqa: F401

from limo.experiments.pocket.models import model_path
from limo.train.data import Encoded, Example
from limo.train.memory import plan_memory
from limo.train.methods.lora import LoraSettings
from limo.train.methods.sft import SftSettings, make_trainer

ARCHITECTURES = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}


def resident(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def configure(case, **changes):
    vocab, hidden, feed_forward, layers, heads, kv_heads = case["shape"]
    values = dict(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=feed_forward, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=hidden // heads,
        tie_word_embeddings=case["arch"] == "qwen2", max_position_embeddings=8192,
    )  # fmt: skip
    return ARCHITECTURES[case["arch"]](**values | changes)


def train(config, settings, length):
    n = settings.examples_per_update
    ids = [random.randrange(1000) for _ in range(length)]
    rows = Encoded([Example(ids, ids)] * (2 * n), [], 1)
    tokenizer = AutoTokenizer.from_pretrained(model_path("pocket-rich"))
    model = AutoModelForCausalLM.from_config(config)
    make_trainer(model, tokenizer, rows, settings, Path(tempfile.mkdtemp())).train()


def main(case):
    torch.set_num_threads(1)
    config, every = configure(case), case.get("every", 0)
    values = dict(bf16=False, use_cpu=True, max_steps=2, save_strategy="no", optim="adamw_torch")
    values |= dict(gradient_checkpointing=every > 0, checkpoint_every=max(1, every))
    values |= dict(examples_per_update=case.get("passes", 1))
    settings = LoraSettings(**values, rank=case["lora"]) if "lora" in case else SftSettings(**values)
    train(configure(case, vocab_size=1000, num_hidden_layers=1), settings, 16)
    gc.collect()
    before = resident("VmRSS")
    train(config, settings, case["length"])
    peak = resident("VmHWM") - before
    plan = plan_memory(config, settings, case["length"], gpu=False)
    print(f"plan {plan.total / 1e9:.3f} GB, measured {peak / 1e9:.3f} GB, ratio {plan.total / peak:.3f}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
