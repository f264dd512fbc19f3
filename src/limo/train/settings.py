"""The settings that all training methods share; each adds its own and a `kind`."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator

from limo.core.recipe import Settings
from limo.core.text import content_hash

PAPER_EPOCH = 9  # of 15: v1's released weights


class TrainSettings(Settings):
    """What every method is set by.  Names are TRL's; defaults are the paper's v2 where it reports one."""

    NOT_OF_TRL: ClassVar[frozenset[str]] = frozenset(
        {
            "kind",
            "dtype",
            "attn_implementation",
            "examples_per_update",
            "checkpoint",
            "keep_checkpoints",
            "checkpoint_every",
        }
    )

    learning_rate: float = Field(5e-6, gt=0, description="peak; paper: 5e-6")
    num_train_epochs: float = Field(15, gt=0, description="passes over the data; paper: 15")
    max_steps: int = Field(-1, ge=-1, description="updates; above 0 it decides instead of num_train_epochs")
    examples_per_update: int = Field(
        64, ge=1, description="over all devices; the forward passes follow from it; paper v2: 64 (v1: 32)"
    )
    per_device_train_batch_size: int = Field(1, ge=1, description="examples a device takes at once; paper: 1")
    lr_scheduler_type: str = Field("cosine", description="shape of the learning rate; paper: cosine")
    warmup_steps: float = Field(0, ge=0, description="updates of warm-up, below 1 a share of all; paper: none")
    optim: str = Field("adamw_torch_fused", description="optimiser by transformers' name; paper: not reported")
    optim_args: str = Field("", description="further arguments of the optimiser, as transformers reads them")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="paper: not reported")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="paper: not reported")
    weight_decay: float = Field(0.0, ge=0, description="paper: not reported")
    max_grad_norm: float = Field(1.0, ge=0, description="clip gradients to this norm; 0 = do not; paper: not reported")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="precision the weights are held in")
    bf16: bool = Field(True, description="compute in bfloat16; paper: yes.  CPUs without such units are slower by it")
    gradient_checkpointing: bool = Field(True, description="recompute activations: less memory for up to a third more")
    checkpoint_every: int = Field(1, ge=1, description="1: of every layer; 2: of every second one, and so on")
    attn_implementation: str = Field("", description="for example flash_attention_2 (paper); empty = the model's own")
    use_cpu: bool = Field(False, description="train on the CPU even where there is a GPU")
    save_strategy: Literal["no", "epoch", "steps"] = Field("epoch", description="when to leave a checkpoint to resume")
    save_steps: int = Field(500, ge=1, description="updates between checkpoints when save_strategy is steps")
    keep_checkpoints: bool = Field(
        False, description="keep every checkpoint's model in `checkpoints/`, for `limo evaluate --checkpoints`"
    )
    logging_steps: int = Field(1, ge=1, description="updates between two recorded losses")
    checkpoint: Literal["last", "paper"] | PositiveInt = Field(
        "last",
        description="the model that is kept: after the last update, or after this epoch of the schedule; paper = epoch "
        "9, as of v1's weights, which was the best of 15 on the test benchmarks",
    )
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = Field(
        "none", description="a tracker that gets the numbers of every logged update; nothing is sent unless named"
    )
    seed: int = Field(0, ge=0, description="order of rows; the same seed gives the same weights on a CPU")

    @field_validator("save_strategy", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: object) -> object:
        """YAML reads an unquoted `no` as false."""
        return "no" if value is False else value

    @property
    def hash(self) -> str:
        """Names the kind and the values that are no defaults: a field that a later version adds renames nothing."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        return content_hash(json.dumps({**values, "kind": self.kind}, sort_keys=True))  # type: ignore[attr-defined]

    @property
    def is_quantised(self) -> bool:
        """Whether the weights that do not learn are held in 4 bits."""
        return False

    def adapted(self, model: Any) -> Any:
        """The model with what learns beside its weights; itself where all of them learn."""
        return model

    @property
    def stop_after_epoch(self) -> int:
        """The epoch after which training ends; 0 = the last one."""
        return self.checkpoint if isinstance(self.checkpoint, int) else PAPER_EPOCH * (self.checkpoint == "paper")

    @property
    def checkpoint_label(self) -> str:
        """The checkpoint rule as a report states it."""
        if self.checkpoint == "paper":
            return f"epoch {PAPER_EPOCH}, which the authors chose as the best of 15 on the test benchmarks"
        return "last" if self.checkpoint == "last" else f"epoch {self.checkpoint}"
