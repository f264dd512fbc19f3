"""The shipped pocket models: folders of weights, tokenizer and card.

    path = model_path("pocket-rich")
    card("pocket-rich")["n_tokens"]

AutoModelForCausalLM and AutoTokenizer load the folders like any other.

What it does not do: load weights (rollouts and training do), or fetch anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.experiments.pocket.pretrain import PLANS, WEIGHTS


def model_path(name: str) -> Path:
    """The folder of a shipped model.  Raises InputError for an unknown name."""
    folder = WEIGHTS / name
    if name not in PLANS or not (folder / "model.safetensors").is_file():
        raise InputError("there is no pocket model of that name", name, ", ".join(PLANS), "choose one of them")
    return folder


def card(name: str) -> dict[str, Any]:
    """What the model was made of and what it can do: corpus, seed, tokens, seconds, loss, skills measured."""
    value: dict[str, Any] = json.loads((model_path(name) / "card.json").read_text(encoding="utf-8"))
    return value
