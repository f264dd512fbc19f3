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

import yaml

from limo.core.errors import InputError

WEIGHTS = Path(str(files("limo.experiments.pocket"))) / "weights"


@dataclass(frozen=True, slots=True)
class PretrainPlan:
    """How a model is pre-trained: `n_steps` batches of at most `batch_tokens` tokens, padding included.

    `mixture`: a key of `corpus.MIXTURES`.  The learning rates are constant and fall to zero over the last `decay` of
    the steps; `n_anneal` more steps fall from a quarter of the rates to zero.  `grown_from`: the shipped model of the
    same width that it starts as, with further layers in between that do nothing at first.
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


def _plans() -> dict[str, PretrainPlan]:
    plans = yaml.safe_load((WEIGHTS.parent / "models.yaml").read_text(encoding="utf-8"))
    return {name: PretrainPlan(**plan) for name, plan in plans.items()}


PLANS = _plans()


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
