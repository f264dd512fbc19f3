"""The part of a recipe that names a model and how it is drawn from, and the one place that opens it.

    models:
      - {kind: local, name: pocket-rich, path: models/pocket-rich, batch_size: 256}
      - {kind: replay, name: qwen, files: [samples/math.jsonl.gz], model: "qwen2.5-math"}
      - {kind: http, name: QwQ-32B, model: Qwen/QwQ-32B, base_urls: [http://gpu1:8000/v1, http://gpu2:8000/v1]}

What it does not do: know a stage (a filter or an evaluation composes these settings).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from limo.core.recipe import EXECUTION_ONLY, Settings
from limo.core.records import Sampling
from limo.core.text import hide_keys
from limo.models.completer import Completer
from limo.models.openai.completer import HttpSettings


class Price(Settings):
    """What a model costs, US dollars a million tokens."""

    input: float = Field(0.0, ge=0, description="a million tokens read")
    output: float = Field(0.0, ge=0, description="a million tokens written")


class SamplingSettings(Settings):
    """How completions are drawn; the paper does not say how its filters and teachers were."""

    temperature: float = Field(1.0, ge=0, le=5, description="0 is greedy; the paper evaluates at 0.6")
    top_p: float = Field(1.0, gt=0, le=1, description="share of probability drawn from; 1 draws from all")
    max_tokens: int = Field(512, ge=1, description="most new tokens; the paper evaluates at 32,768")
    seed: int = Field(0, ge=0, description="another seed is another draw")
    stop: list[str] = Field(default_factory=list, max_length=16, description="texts that end a completion")

    def sampling(self) -> Sampling:
        """The same as the record that travels with requests."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed, tuple(self.stop))


class ModelSettings(Settings):
    """One model: where it is, and what the ledger and the dataset call it."""

    kind: Literal["local", "replay", "http"] = Field(
        "local", description="local: a model folder; replay: recorded completions; http: an OpenAI-compatible server"
    )
    name: str = Field(min_length=1, description="what the ledger and the dataset call it")
    path: str = Field("", description="local: its folder (relative to `data` where it is there) or name on the hub")
    files: list[str] = Field(default_factory=list, description="replay: the recordings, relative to `data`")
    model: str = Field("", description="replay, http: its name in the recordings or at the server, where another")
    base_urls: list[str] = Field(
        default_factory=list, description="http: the servers, as http://host:8000/v1", json_schema_extra=EXECUTION_ONLY
    )
    http: HttpSettings = Field(default_factory=HttpSettings, description="http: how servers are asked")
    price: Price = Field(
        default_factory=Price, description="what it costs, for budgets", json_schema_extra=EXECUTION_ONLY
    )
    size_b: float | None = Field(
        None,
        gt=0,
        description="billions of parameters, for the GPU-hours of plans; else as the names say (QwQ-32B)",
        json_schema_extra=EXECUTION_ONLY,
    )
    trust_remote_code: str = Field(
        "", description="local: `path` written again, to run the code that comes with that model; '' runs none"
    )
    batch_size: int = Field(
        128, ge=1, le=4096, description="local: rows decoded at once", json_schema_extra=EXECUTION_ONLY
    )
    device: str = Field("cpu", description="local: cpu, cuda or cuda:N")

    @field_validator("base_urls")
    @classmethod
    def _hold_no_key(cls, value: list[str]) -> list[str]:
        if any(hide_keys(url) != url for url in value):
            raise ValueError("an address may hold no key; put it into a variable and name that in http.api_key_env")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ModelSettings:
        if self.kind == "local" and not self.path:
            raise ValueError("a local model needs `path`")
        if self.kind == "replay" and not self.files:
            raise ValueError("a replayed model needs `files`")
        if self.kind == "http" and not self.base_urls:
            raise ValueError("a served model needs `base_urls`")
        if self.trust_remote_code not in ("", self.path):
            raise ValueError("`trust_remote_code` names another model than `path`; write the same or leave it out")
        return self


def open_model(settings: ModelSettings, data: str = "") -> Completer:
    """The completer of `settings`; relative paths start at `data`.  Raises what the completer raises."""
    if settings.kind == "replay":
        from limo.models.replay import ReplayCompleter

        return ReplayCompleter(
            [Path(data) / file for file in settings.files], settings.model or settings.name, settings.name
        )
    if settings.kind == "http":
        from limo.models.openai.completer import HttpCompleter

        return HttpCompleter(settings.base_urls, settings.model or settings.name, settings.name, settings.http)
    from limo.models.local.completer import LocalCompleter

    beside = Path(data) / settings.path
    return LocalCompleter(
        beside if beside.exists() else settings.path,
        settings.name,
        settings.batch_size,
        settings.device,
        trust_remote_code=bool(settings.trust_remote_code),
    )
