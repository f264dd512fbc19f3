"""The part of a recipe that says which model completes and how it samples, and the function that opens a model.

models:
  - {kind: local, name: pocket-rich, path: models/pocket-rich, batch_size: 256}
  - {kind: replay, name: qwen, files: [samples/math.jsonl.gz], model: "qwen2.5-math"}
  - {kind: http, name: QwQ-32B, model: Qwen/QwQ-32B, base_urls: [http://gpu1:8000/v1, http://gpu2:8000/v1]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from limo.core.errors import InputError
from limo.core.files import model_identity, resolve_data_path
from limo.core.recipe import SECRET_INPUT, Settings, execution_field
from limo.core.records import Sampling
from limo.models.completer import Completer
from limo.models.openai.address import checked_address
from limo.models.openai.settings import HttpSettings


class Price(Settings):
    """What a model costs, in US dollars for a million tokens."""

    input: float = Field(0.0, ge=0, description="a million prompt tokens")
    output: float = Field(0.0, ge=0, description="a million completion tokens")


class SamplingSettings(Settings):
    """How completions are sampled; the paper does not say how those of its filters and teachers were."""

    temperature: float = Field(1.0, ge=0, le=5, description="0 is greedy; the paper evaluates at 0.6")
    top_p: float = Field(1.0, gt=0, le=1, description="share of probability sampled from; 1 samples from all")
    max_tokens: int = Field(512, ge=1, description="most new tokens; the paper evaluates at 32,768")
    seed: int = Field(0, ge=0, description="another seed gives other completions")
    stop: list[str] = Field(default_factory=list, max_length=16, description="texts that end a completion")

    def sampling(self) -> Sampling:
        """The record that requests and rollouts carry."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed, tuple(self.stop))


class _Model(Settings):
    """What models of every kind have."""

    name: str = Field(min_length=1, description="what the ledger and the dataset call it")
    price: Price = execution_field(default_factory=Price, description="what it costs, for budgets")
    size_b: float | None = execution_field(
        None, gt=0, description="billions of parameters, for the GPU-hours of plans; else as the names say (QwQ-32B)"
    )

    @property
    def source(self) -> str:
        """What the model is called where it comes from: a folder, a hub name, a name at a server or in recordings."""
        return self.name

    @property
    def concurrency(self) -> int:
        """How many rollouts it works on at once."""
        return 1


class LocalModelSettings(_Model):
    """A small model in this process."""

    kind: Literal["local"] = Field("local", description="a model folder, or a name on the hub, in this process")
    path: str = Field(min_length=1, description="its folder (relative to `data` where it is there) or name on the hub")
    trust_remote_code: str = Field(
        "", description="`path` written again, to run the code that comes with that model; '' runs none"
    )
    batch_size: int = execution_field(128, ge=1, le=4096, description="rows decoded at once")
    device: str = Field("auto", description="cpu, cuda or cuda:N; auto = cuda where torch finds a GPU, else cpu")

    @model_validator(mode="after")
    def _trusts_its_own_path(self) -> LocalModelSettings:
        if self.trust_remote_code not in ("", self.path):
            raise ValueError("`trust_remote_code` names another model than `path`; write the same or leave it out")
        return self

    @property
    def source(self) -> str:
        return self.path

    @property
    def concurrency(self) -> int:
        return self.batch_size


class ReplayModelSettings(_Model):
    """Recorded completions of a model."""

    kind: Literal["replay"] = Field("replay", description="recorded completions")
    files: list[str] = Field(min_length=1, description="the recordings, relative to `data`")
    model: str = Field("", description="its name in the recordings, where it is not `name`")

    @property
    def source(self) -> str:
        return self.model or self.name


class HttpModelSettings(_Model):
    """A model behind one or more OpenAI-compatible servers."""

    kind: Literal["http"] = Field("http", description="OpenAI-compatible servers")
    base_urls: list[str] = execution_field(min_length=1, description="the servers, as http://host:8000/v1")
    model: str = Field("", description="its name at the servers, where it is not `name`")
    http: HttpSettings = Field(default_factory=HttpSettings, description="how requests are sent")

    @field_validator("base_urls")
    @classmethod
    def _are_addresses(cls, value: list[str]) -> list[str]:
        try:
            for address in value:
                checked_address(address)
        except InputError as error:
            raise PydanticCustomError(SECRET_INPUT, "{error}", {"error": str(error)}) from None
        return value

    @property
    def source(self) -> str:
        return self.model or self.name

    @property
    def concurrency(self) -> int:
        return self.http.in_flight


ModelSettings = Annotated[LocalModelSettings | ReplayModelSettings | HttpModelSettings, Field(discriminator="kind")]


def model_hash(settings: ModelSettings, data: str = "") -> str:
    """What completions are drawn from, as the completer's `identity` says; '' where it is not known (a server)."""
    if isinstance(settings, ReplayModelSettings):
        from limo.models.replay import recordings_hash

        return recordings_hash(resolve_data_path(file, data) for file in settings.files)
    if not isinstance(settings, LocalModelSettings):
        return ""
    from limo.models.local.config import check_model

    path = resolve_data_path(settings.path, data)
    if Path(path).is_dir():  # else it is a name, or is told when the model is opened
        check_model(path)  # before its bytes are read
    return model_identity(path)


def open_model(settings: ModelSettings, data: str = "") -> Completer:
    """The completer of `settings`; relative paths start at `data`.  Raises what the completer raises."""
    if isinstance(settings, ReplayModelSettings):
        from limo.models.replay import ReplayCompleter

        files = [resolve_data_path(file, data) for file in settings.files]
        return ReplayCompleter(files, settings.source, settings.name)
    if isinstance(settings, HttpModelSettings):
        from limo.models.openai.completer import HttpCompleter

        return HttpCompleter(settings.base_urls, settings.source, settings.name, settings.http)
    from limo.models.local.completer import LocalCompleter

    return LocalCompleter(
        resolve_data_path(settings.path, data),
        settings.name,
        settings.batch_size,
        settings.device,
        trust_remote_code=bool(settings.trust_remote_code),
    )
