"""The pocket models: how each is made, and the folders of the shipped ones (weights, tokenizer, card).

path = model_path("pocket-rich")          # AutoModelForCausalLM and AutoTokenizer load it
model_card("pocket-rich")["n_tokens"]
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from limo.core.errors import InputError

WEIGHTS = Path(str(files("limo.experiments.pocket"))) / "weights"


@dataclass(frozen=True, slots=True)
class PretrainPlan:
    """How a model is pre-trained: `n_steps` batches of at most `batch_tokens` tokens, padding included.

    `mixture` is a key of `corpus.MIXTURES`.  The learning rates are constant and fall to zero over the last `decay`
    of the steps; `n_anneal` more steps fall from a quarter of the rates to zero (at these batch sizes the noise of
    high rates limits the loss).  A model that is `grown_from` a shipped one of the same width starts as that model,
    with further layers in between that do nothing at first.
    """

    mixture: str
    hidden: int
    layers: int
    n_steps: int
    batch_tokens: int = 3072
    muon_lr: float = 0.02
    adamw_lr: float = 3e-3
    warmup: int = 100
    decay: float = 0.4
    n_anneal: int = 0
    seed: int = 0
    grown_from: str = ""


# Half the rates, falling from the start: chosen after the training losses of the first two plans.
_FALLING: dict[str, Any] = {"muon_lr": 0.01, "adamw_lr": 1.5e-3, "decay": 1.0}
# A quarter of the rates: a grown model must keep what it has learnt.
_GROWN: dict[str, Any] = {"muon_lr": 0.005, "adamw_lr": 7.5e-4, "decay": 1.0}

PLANS: dict[str, PretrainPlan] = {
    "pocket-rich": PretrainPlan("rich", hidden=128, layers=4, n_steps=5500, **_FALLING),
    "pocket-poor": PretrainPlan("poor", hidden=128, layers=4, n_steps=4500, seed=1, **_FALLING),
    "pocket-teacher": PretrainPlan("teacher", hidden=128, layers=4, n_steps=5000, n_anneal=2500, seed=2),
    "pocket-rich-small": PretrainPlan("rich", hidden=64, layers=3, n_steps=6500, seed=3, **_FALLING),
    "pocket-rich-large": PretrainPlan(
        "rich", hidden=128, layers=8, n_steps=700, seed=4, grown_from="pocket-rich", **_GROWN
    ),
}


def pretrain_plan(name: str) -> PretrainPlan:
    """The plan of a shipped model.  Raises InputError for an unknown name."""
    if name not in PLANS:
        raise InputError("there is no pocket model of that name", name, ", ".join(PLANS), "choose one of them")
    return PLANS[name]


def model_path(name: str) -> Path:
    """The folder of a shipped model.  Raises InputError for an unknown name."""
    pretrain_plan(name)
    return WEIGHTS / name


def model_card(name: str) -> dict[str, Any]:
    """The card of a shipped model: corpus, seed, tokens, seconds, loss, measured skills."""
    card: dict[str, Any] = json.loads((model_path(name) / "card.json").read_text(encoding="utf-8"))
    return card
