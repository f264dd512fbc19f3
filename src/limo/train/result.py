"""What a training method returns: the record of a training, which stands in the model's folder as `training.json`.

A method is a file in `limo/train/methods` with its settings (a `TrainSettings` with a `kind` of its own) and a function
that trains and returns a `TrainResult`; `Method` and `_train` of limo.stages.train call it by its kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from limo.core.records import Dropped
from limo.train.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The record of a training, by whatever method.

    `n_tokens`: one pass over the examples; `n_tokens_seen`: all tokens that passed through training (and, by RL,
    generation), padding left out; `losses`: of each logged update; `seconds`: training of the start that finished it;
    `checkpoint`: the rule that chose the model; `flops`: matrix operations of the model by `limo.train.compute`;
    `measures`: what else a method counts, by name; `identity` names base model, data and settings,
    `data_hash` the data alone.
    """

    model_dir: str
    base: str
    method: str
    n_examples: int
    n_tokens: int
    n_loss_tokens: int
    n_updates: int
    n_tokens_seen: int
    n_epochs: float
    seconds: float
    flops: float
    losses: list[float]
    checkpoint: str
    identity: str
    data_hash: str
    settings: dict[str, object]
    dropped: list[Dropped] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def examples(self) -> str:
        """How many examples were learnt from, of how many where the updates ended before the first pass over all."""
        n_seen = round(self.n_examples * min(1.0, self.n_epochs))
        return f"{self.n_examples:,}" if n_seen == self.n_examples else f"{n_seen:,} of {self.n_examples:,}"


def result_of(trainer: Any, settings: TrainSettings, method: str, **values: Any) -> TrainResult:
    """The record of what a trainer did; `values` are the fields that it cannot say."""
    state = trainer.state
    return TrainResult(
        method=method,
        n_updates=state.global_step,
        n_epochs=round(float(state.epoch or 0.0), 4),
        losses=[round(entry["loss"], 6) for entry in state.log_history if "loss" in entry],
        checkpoint=settings.checkpoint_label,
        settings=settings.model_dump(mode="json"),
        **values,
    )
