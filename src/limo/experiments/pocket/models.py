"""The pocket models: how each is made, and the folders of the shipped ones (weights, tokenizer, card).

path = model_path("pocket-rich")          # AutoModelForCausalLM and AutoTokenizer load it
model_card("pocket-rich")["n_tokens"]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.core.files import shipped_yaml
from limo.core.text import parse_json
from limo.experiments.pocket.world import WORLD, World

WEIGHTS = Path(__file__).parent / "weights"
OWN_WEIGHTS = Path("runs/pocket")  # where `limo pocket pretrain` puts a model


@dataclass(frozen=True, slots=True)
class PretrainPlan:
    """How a model is pre-trained: `n_steps` batches of at most `batch_tokens` tokens, padding included.

    `mixture`: a key of `corpus.MIXTURES`.  `dose`: the probability that a modifier in a student's note is handled.  The
    learning rates fall to zero from the start.  `starts_from`: the shipped model of the same shape that it starts as.
    `n_machines` and `world_seed` say in which world.
    """

    mixture: str
    dose: float = 0.15
    hidden: int = 64
    layers: int = 3
    n_steps: int = 2400
    batch_tokens: int = 2048
    muon_lr: float = 0.02
    adamw_lr: float = 3e-3
    warmup: int = 50
    seed: int = 0
    starts_from: str = ""
    n_machines: int = WORLD.n_machines
    world_seed: int = WORLD.seed

    @property
    def world(self) -> World:
        """The world that it knows."""
        return World(self.n_machines, self.world_seed)


PLANS = {name: PretrainPlan(**plan) for name, plan in shipped_yaml(__file__, "models.yaml").items()}


def pretrain_plan(name: str) -> PretrainPlan:
    """The plan of a shipped model.  Raises InputError for an unknown name."""
    if name not in PLANS:
        raise InputError("there is no pocket model of that name", name, known=PLANS, do="choose one of them")
    return PLANS[name]


def model_path(name: str) -> Path:
    """The folder of a model: as shipped, else as pre-trained here.  Raises InputError for an unknown or missing one."""
    pretrain_plan(name)
    for folder in (WEIGHTS / name, OWN_WEIGHTS / name):
        if folder.is_dir():
            return folder
    do = f"run `limo pocket pretrain {name}` in this folder first"
    raise InputError("this pocket model is not shipped", name, f"a model in {OWN_WEIGHTS}", do)


def in_variant(name: str, variant: str) -> str:
    """The name of the model of the same kind in another world: `pocket-rich` of `world2` is `pocket-rich-world2`."""
    return f"{name}-{variant}" if variant else name


def model_card(name: str) -> dict[str, Any]:
    """The card of a shipped model: corpus, seed, tokens, seconds, loss, the measured premise."""
    card: dict[str, Any] = parse_json((model_path(name) / "card.json").read_text(encoding="utf-8"))
    return card
