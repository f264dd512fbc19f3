"""Run by LLaMA-Factory's Python: its own loader and template on a folder that limo wrote; what it saw, as JSON.

PYTHON read_llamafactory.py FOLDER ASIDE
"""

import contextlib
import importlib.machinery
import json
import sys
import types

folder, aside = sys.argv[1:]
with contextlib.redirect_stdout(sys.stderr):
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):  # sound plays no part; the published build needs CUDA's libraries to be imported
        empty = types.ModuleType("torchaudio")
        empty.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = empty
    import byte_tokenizer
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import get_train_args

    tokenizer = byte_tokenizer.make(f"{aside}/tokenizer")
    asked = {"stage": "sft", "do_train": True, "model_name_or_path": f"{aside}/tokenizer", "template": "qwen"}
    asked |= {"dataset": "limo", "dataset_dir": folder, "output_dir": f"{aside}/out", "cutoff_len": 1 << 16}
    asked |= {"report_to": "none", "overwrite_cache": True, "finetuning_type": "full", "use_cpu": True}
    model_args, data_args, training_args, _, _ = get_train_args(asked)
    (entry,) = get_dataset_list(["limo"], folder)
    aligned = _load_single_dataset(entry, model_args, data_args, training_args)
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    loaded = get_dataset(template, model_args, data_args, training_args, stage="sft", tokenizer=tokenizer)
    rows = []
    for row, ids in zip(aligned, loaded["train_dataset"], strict=True):
        head = [{"role": "system", "content": row["_system"]}] if row["_system"] else []
        taught = [token for token, label in zip(ids["input_ids"], ids["labels"], strict=True) if label != -100]
        text, taught_text = (tokenizer.decode(some) for some in (ids["input_ids"], taught))
        rows.append({"messages": head + row["_prompt"] + row["_response"], "text": text, "taught": taught_text})
print(json.dumps(rows))
