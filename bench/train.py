"""Tokens a second of processor, ours beside other trainers' defaults (lengths raised), at the lengths of real chains.

    python bench/train.py [../shared/data] [--rows 16] [--scale 32]
    python bench/train.py --llamafactory PYTHON --axolotl PYTHON   # see train_peers.py

Both train the same small model (random weights) on the same rows of random tokens in one process, in turn and twice;
the first update of each warms up and is not counted.  The rows' lengths are those of a recorded long-chain model
divided by `--scale`, so that one core holds them.  TRL's defaults take 8 rows a pass, padded to the longest, with a
mask; ours takes one row a pass, without.  Padding is what makes most of the difference: its share is printed beside the
rates.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from train_peers import AXOLOTL, LLAMAFACTORY

FIXED: dict[str, Any] = {"max_steps": 2, "save_strategy": "no", "use_cpu": True, "bf16": False, "learning_rate": 1e-5}
UPDATE = 8  # rows of an update: TRL's per_device_train_batch_size


def main() -> None:
    """Measure, and print a row for each side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--scale", type=int, default=32)
    parser.add_argument("--llamafactory", help="a python that has llamafactory")
    parser.add_argument("--axolotl", help="a python that has axolotl")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with gzip.open(given.data / "samples" / "chain_token_lengths_8models.jsonl.gz", "rt") as lines:
        recorded = json.loads(next(lines))
    rng = random.Random(0)
    lengths = [max(16, n // given.scale) for n in rng.sample(recorded["sample_of_lengths"], given.rows)]
    rows = [[rng.randrange(3, 1000) for _ in range(n)] for n in lengths]
    print(f"{recorded['name']}: {len(rows)} rows, {sum(lengths):,} tokens, the longest {max(lengths):,}")
    peers = [("llamafactory", given.llamafactory, LLAMAFACTORY), ("axolotl", given.axolotl, AXOLOTL)]
    programs = {name: [python, "-c", program] for name, python, program in peers if python}
    rates: dict[str, list[float]] = {}
    for side in ("trl", *programs, "limo") * 2:
        rate, padding = measure_apart(programs[side], rows) if side in programs else measure(side, rows)
        rates.setdefault(side, []).append(rate)
        print(f"{side}: {rate:,.0f} tokens/s of processor, padding {padding:.1%}", flush=True)
    for side in ("trl", *programs):
        print(f"limo / {side}: {sum(rates['limo']) / sum(rates[side]):.2f}")


def measure_apart(program: list[str], rows: list[list[int]]) -> tuple[float, float]:
    """As `measure`, by a trainer in an environment of its own."""
    folder = Path(tempfile.mkdtemp())
    model, tokenizer = start()
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "rows.json").write_text(json.dumps(rows))
    done = subprocess.run([*program, str(folder), str(UPDATE)], capture_output=True, text=True, timeout=3000)
    if done.returncode:
        raise SystemExit(f"{program[0]}: {done.stderr[-2000:]}")
    rate, padding = json.loads(done.stdout.splitlines()[-1])
    return rate, padding


def start() -> tuple[Any, Any]:
    """The model that every side trains, and a tokenizer."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    from limo.experiments.pocket.models import model_path

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_path("pocket-rich"))
    shape = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = Qwen2Config(vocab_size=4000, num_key_value_heads=2, max_position_embeddings=32768, **shape)
    return Qwen2ForCausalLM(config), tokenizer


def measure(side: str, rows: list[list[int]]) -> tuple[float, float]:
    """Tokens a second of processor from the second update on, and the share of padding."""
    model, tokenizer = start()
    trainer = make(side, model, tokenizer, rows, Path(tempfile.mkdtemp()))
    counted = {"tokens": 0, "positions": 0, "seconds": 0.0}
    step = trainer.training_step

    def timed(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        n_positions, n_tokens = inputs["input_ids"].numel(), int(inputs["attention_mask"].sum())
        began = time.process_time()
        loss = step(model, inputs, *args, **kwargs)
        if trainer.state.global_step:
            counted["seconds"] += time.process_time() - began
            counted["tokens"] += n_tokens
        counted["positions"] += n_positions - n_tokens
        counted["all"] = counted.get("all", 0) + n_positions
        return loss

    trainer.training_step = timed
    trainer.train()
    return counted["tokens"] / counted["seconds"], counted["positions"] / counted["all"]


def make(side: str, model: Any, tokenizer: Any, rows: list[list[int]], work: Path) -> Any:
    """The trainer of one side over the same rows."""
    if side == "limo":
        from limo.train.data import Encoded, Example
        from limo.train.methods.sft import SftSettings, make_trainer

        settings = SftSettings(**FIXED, examples_per_update=UPDATE, gradient_checkpointing=True)
        return make_trainer(model, tokenizer, Encoded([Example(row, row) for row in rows], [], 1), settings, work)
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(output_dir=str(work), max_length=None, report_to="none", disable_tqdm=True, **FIXED)
    dataset = Dataset.from_dict({"input_ids": rows, "labels": rows})
    return SFTTrainer(model=model, args=config, train_dataset=dataset, processing_class=tokenizer)


if __name__ == "__main__":
    main()
