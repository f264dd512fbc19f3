"""Run by Axolotl's Python: its own dataset loader and chat strategy on a folder that limo wrote; what it saw, as JSON.

PYTHON read_axolotl.py FOLDER ASIDE
"""

import contextlib
import json
import os
import sys

folder, aside = sys.argv[1:]
with contextlib.redirect_stdout(sys.stderr):
    import byte_tokenizer
    import yaml
    from axolotl.prompt_strategies import load
    from axolotl.utils.data.shared import load_dataset_with_config
    from axolotl.utils.dict import DictDefault

    tokenizer = byte_tokenizer.make(f"{aside}/tokenizer")
    os.chdir(folder)  # as from the folder of the config that `datasets.yaml` is put into
    with open("datasets.yaml", encoding="utf-8") as file:
        (entry,) = (DictDefault(one) for one in yaml.safe_load(file)["datasets"])
    cfg = DictDefault({"sequence_len": 1 << 16, "train_on_inputs": False, "chat_template": "tokenizer_default"})
    strategy = load(entry.type, tokenizer, cfg, entry)
    rows = []
    for row in load_dataset_with_config(entry, use_auth_token=False):
        done = strategy.tokenize_prompt(row)
        taught = [token for token, label in zip(done["input_ids"], done["labels"], strict=True) if label != -100]
        turns = [{name: turn[name] for name in ("role", "content")} for turn in strategy.get_conversation_thread(row)]
        text, taught_text = (tokenizer.decode(some) for some in (done["input_ids"], taught))
        rows.append({"messages": turns, "text": text, "taught": taught_text})
print(json.dumps(rows))
