"""The part of a recipe that names a model and how it is drawn from, and the one place that opens it.

    models:
      - {kind: local, name: pocket-rich, path: models/pocket-rich, batch_size: 256}
      - {kind: replay, name: qwen, files: [samples/math.jsonl.gz], model: "qwen2.5-math"}

What it does not do: know a stage (a filter or an evaluation composes these settings).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from limo.recipe import PACE, Settings
from limo.records import Sampling
from limo.rollouts.completer import Completer


class SamplingSettings(Settings):
    """How completions are drawn; the paper does not say how its filters and teachers were."""

    temperature: float = Field(1.0, ge=0, le=5, description="0 is greedy; the paper evaluates at 0.6")
    top_p: float = Field(1.0, gt=0, le=1, description="share of probability drawn from; 1 draws from all")
    max_tokens: int = Field(512, ge=1, description="most new tokens; the paper evaluates at 32,768")
    seed: int = Field(0, ge=0, description="another seed is another draw")

    def sampling(self) -> Sampling:
        """The same as the record that travels with requests."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed)


class ModelSettings(Settings):
    """One model: where it is, and what the ledger and the dataset call it."""

    kind: Literal["local", "replay"] = Field("local", description="local: a model folder; replay: recorded completions")
    name: str = Field(min_length=1, description="what the ledger and the dataset call it")
    path: str = Field("", description="local: its folder (relative to `data` where it is there) or name on the hub")
    files: list[str] = Field(default_factory=list, description="replay: the recordings, relative to `data`")
    model: str = Field("", description="replay: its name in the recordings, where that is another")
    batch_size: int = Field(128, ge=1, le=4096, description="local: rows decoded at once", json_schema_extra=PACE)
    device: str = Field("cpu", description="local: cpu, cuda or cuda:N")

    @model_validator(mode="after")
    def _whole(self) -> ModelSettings:
        if self.kind == "local" and not self.path:
            raise ValueError("a local model needs `path`")
        if self.kind == "replay" and not self.files:
            raise ValueError("a replayed model needs `files`")
        return self


def open_model(settings: ModelSettings, data: str = "") -> Completer:
    """The completer of `settings`; relative paths start at `data`.  Raises what the completer raises."""
    if settings.kind == "replay":
        from limo.rollouts.replay import ReplayCompleter

        return ReplayCompleter(
            [Path(data) / file for file in settings.files], settings.model or settings.name, settings.name
        )
    from limo.rollouts.local import LocalCompleter

    beside = Path(data) / settings.path
    return LocalCompleter(
        beside if beside.exists() else settings.path, settings.name, settings.batch_size, settings.device
    )
