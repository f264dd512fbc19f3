"""The other trainers of train.py, as programs that run in environments of their own.

Each takes a folder with `model` (weights and tokenizer) and `rows.json` (tokens), and the rows of an update; it trains
all parameters for two updates by its own defaults, and prints tokens a second of processor after the first update and
the share of padding.  Audio and pictures, which LLaMA-Factory imports torchaudio and torchvision for, are not used.
"""

_TIMED = """
import json, os, sys, time
os.environ |= {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
folder, update = sys.argv[1], int(sys.argv[2])
rows = json.load(open(folder + "/rows.json"))
rows = [{"input_ids": row, "attention_mask": [1] * len(row), "labels": row} for row in rows]
import torch
torch.set_num_threads(1)
from transformers import Trainer
counted, step = {"tokens": 0, "padding": 0, "all": 0, "seconds": 0.0}, Trainer.training_step
def timed(trainer, model, inputs, *args, **kwargs):
    n_positions, n_tokens = inputs["input_ids"].numel(), int((inputs["attention_mask"] != 0).sum())
    began = time.process_time()
    loss = step(trainer, model, inputs, *args, **kwargs)
    if trainer.state.global_step:
        counted["seconds"] += time.process_time() - began
        counted["tokens"] += n_tokens
    counted["padding"] += n_positions - n_tokens
    counted["all"] += n_positions
    return loss
Trainer.training_step = timed
"""
_TELL = """
print(json.dumps([counted["tokens"] / counted["seconds"], counted["padding"] / counted["all"]]))
"""

LLAMAFACTORY = (
    _TIMED
    + """
import types
sys.modules["torchaudio"] = types.ModuleType("torchaudio")
from datasets import Dataset, DatasetDict
DatasetDict(train=Dataset.from_list(rows)).save_to_disk(folder + "/tokenized")
from llamafactory.train.tuner import run_exp
run_exp(dict(model_name_or_path=folder + "/model", stage="sft", do_train=True, finetuning_type="full", dataset="rows",
    template="default", tokenized_path=folder + "/tokenized", cutoff_len=32768, output_dir=folder + "/out", max_steps=2,
    per_device_train_batch_size=update, learning_rate=1e-5, save_strategy="no", report_to="none", use_cpu=True))
"""
    + _TELL
)

AXOLOTL = (
    _TIMED
    + """
import yaml
with open(folder + "/rows.jsonl", "w") as file:
    file.write("".join(json.dumps(row) + "\\n" for row in rows))
config = dict(base_model=folder + "/model", datasets=[dict(path=folder + "/rows.jsonl", ds_type="json", type=None)],
    dataset_prepared_path=folder + "/prepared", output_dir=folder + "/out", sequence_len=32768, max_steps=2,
    micro_batch_size=update, gradient_accumulation_steps=1, learning_rate=1e-5, save_strategy="no", num_epochs=1,
    optimizer="adamw_torch", lr_scheduler="constant", bf16=False, dataset_num_proc=1)
with open(folder + "/config.yml", "w") as file:
    yaml.safe_dump(config, file)
from axolotl.cli.train import do_cli
do_cli(folder + "/config.yml")
"""
    + _TELL
)
