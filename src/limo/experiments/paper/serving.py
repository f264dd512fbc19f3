"""Serves a trained model while it is scored: a server that is started, watched and ended here, or the user's own.

    with served(settings, "runs/a/model", "limo-0", folder) as model:       # HttpModelSettings
        evaluate(..., open_model(model))

A server that dies is started again at the same address; requests that it had are sent again (`limo.models.openai`).
"""

from __future__ import annotations

import contextlib
import http.client
import shlex
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from limo.core.errors import ModelError
from limo.core.recipe import Settings, execution_field
from limo.core.text import parse_json
from limo.experiments.child_process import ChildProgram
from limo.models.openai.settings import HttpSettings
from limo.models.settings import HttpModelSettings

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Engine:
    """How a server is started, what it calls the model, and what it is asked to see whether it is ready."""

    command: str
    served_name: str
    health: str = "/health"


ENGINES = {
    "vllm": Engine(
        "vllm serve {model} --served-model-name {name} --host {host} --port {port} --tensor-parallel-size "
        "{tensor_parallel} --data-parallel-size {data_parallel} --max-model-len {max_model_len}",
        "{name}",
    ),
    "sglang": Engine(
        "{python} -m sglang.launch_server --model-path {model} --served-model-name {name} --host {host} --port {port} "
        "--tp-size {tensor_parallel} --dp-size {data_parallel} --context-length {max_model_len}",
        "{name}",
    ),
    "transformers": Engine(
        "{python} -m transformers.cli.transformers serve {model} --host {host} --port {port}", "{model}"
    ),
}


class ServeSettings(Settings):
    """How a trained model is served.  Nothing here changes what a model answers, but for the kernels of an engine."""

    engine: Literal["vllm", "sglang", "transformers"] = Field("vllm", description="whose command is taken")
    command: str = execution_field(
        "", description="your own instead; {model} {name} {host} {port} {tensor_parallel} {data_parallel} "
        "{max_model_len} {python} are filled in"
    )  # fmt: skip
    arguments: str = execution_field("", description="further words of the command")
    env: dict[str, str] = execution_field(default_factory=dict, description="further environment variables")
    served_name: str = execution_field("", description="what the server calls the model; '' = as the engine does")
    host: str = execution_field("127.0.0.1", description="address to listen on and to ask")
    port: int = execution_field(0, ge=0, le=65535, description="0 = a free one")
    health: str = execution_field("", description="path that answers 200 when the server is ready; '' = the engine's")
    start_s: float = execution_field(1800, gt=0, description="seconds until it must be ready")
    restarts: int = execution_field(2, ge=0, description="times that a server which died is started again")
    tensor_parallel: int = execution_field(1, ge=1, description="GPUs that share a copy of the model")
    data_parallel: int = execution_field(1, ge=1, description="copies of the model")
    max_model_len: int = execution_field(36864, ge=1, description="tokens of prompt and completion; paper: 32,768 new")
    base_urls: list[str] = execution_field(
        default_factory=list, description="servers that you run; each must list the model under `served_name`"
    )
    http: HttpSettings = Field(default_factory=HttpSettings, description="how requests are sent")

    @model_validator(mode="after")
    def _can_be_filled(self) -> ServeSettings:
        try:
            self.words("model", "name", 1)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"`command` cannot be filled in: {error}; write {{{{ for a brace") from None
        return self

    @property
    def n_gpus(self) -> int:
        """GPUs that a server takes."""
        return self.tensor_parallel * self.data_parallel

    def words(self, model: str, name: str, port: int) -> list[str]:
        """The command of a server."""
        template = self.command or ENGINES[self.engine].command
        values = {**self.model_dump(), "model": model, "name": name, "port": port, "python": sys.executable}
        return [word.format(**values) for word in shlex.split(f"{template} {self.arguments}")]

    def name_at_server(self, model: str, name: str) -> str:
        """What the server calls the model."""
        return (self.served_name or ENGINES[self.engine].served_name).format(model=model, name=name)


@contextlib.contextmanager
def served(settings: ServeSettings, model: str, name: str, folder: Path) -> Iterator[HttpModelSettings]:
    """The model `model` (folder or hub name) behind a server, as a recipe's model called `name`; logs into `folder`.

    Raises ModelError for a server that does not become ready, InputError for a program that is not installed.
    """
    at_server = settings.name_at_server(model, name)
    if settings.base_urls:
        for url in settings.base_urls:
            _wait_for_model(url, at_server, settings.start_s)
        yield HttpModelSettings(name=name, model=at_server, base_urls=settings.base_urls, http=settings.http)
        return
    port = settings.port or _free_port(settings.host)
    with _Server(settings.words(model, name, port), settings, port, folder / "server"):
        url = f"http://{settings.host}:{port}/v1"
        yield HttpModelSettings(name=name, model=at_server, base_urls=[url], http=settings.http)


class _Server:
    """A server, started again when it dies, until the block ends."""

    def __init__(self, command: list[str], settings: ServeSettings, port: int, stem: Path) -> None:
        self.command, self.settings, self.stem = command, settings, stem
        self.health = f"http://{settings.host}:{port}{settings.health or ENGINES[settings.engine].health}"
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.program = ChildProgram(self.command, self.stem, self.settings.env)
        try:
            self._wait_until_ready()
        except BaseException:
            self.program.end()
            raise
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.program.end()
        self._watcher.join()
        self.program.end()  # one that was started in between

    def _wait_until_ready(self) -> None:
        for _ in range(max(1, round(self.settings.start_s / POLL_S))):
            if self.program.poll() is not None:
                raise self._error(f"the server ended with code {self.program.poll()}")
            if _answers(self.health):
                return
            self._ended.wait(POLL_S)
        raise self._error(f"the server is not ready after {self.settings.start_s:g} s")

    def _error(self, what: str) -> ModelError:
        return ModelError(what, self.program.last_lines(), "", f"see {self.program.log}, or change `serve`")

    def _watch(self) -> None:
        for _ in range(self.settings.restarts):
            self.program.wait()
            if self._ended.is_set():
                return
            self.program = ChildProgram(self.command, self.stem, self.settings.env)
        self._ended.wait()  # the thread that started a program must outlive it: its end would be taken for a parent's


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no way to this machine
    try:
        with direct.open(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _wait_for_model(base_url: str, name: str, start_s: float) -> None:
    """Wait until a user's server lists the model: another one would be scored in its place.  Raises ModelError."""
    listed: list[str] = []
    for _ in range(max(1, round(start_s / POLL_S))):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            with urllib.request.urlopen(f"{base_url.rstrip('/')}/models", timeout=5) as reply:
                listed = [str(entry["id"]) for entry in parse_json(reply.read())["data"]]
            if name in listed:
                return
        threading.Event().wait(POLL_S)
    do = f"serve it there under this name, within {start_s:g} s"
    raise ModelError(f"{base_url} does not serve the model", name, ", ".join(listed) or "nothing answers", do)


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host if host != "0.0.0.0" else "", 0))
        return int(free.getsockname()[1])
