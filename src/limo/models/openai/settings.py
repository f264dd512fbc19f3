"""How requests are sent to a served model: the `http` part of a recipe.

http: {in_flight: 1024, api_key_env: OPENAI_API_KEY, extra: {chat_template_kwargs: {enable_thinking: true}}}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from limo.core.errors import InputError
from limo.core.recipe import SECRET_INPUT, Settings, execution_field
from limo.core.secrets import remember_secret
from limo.core.text import HIDDEN, hide_keys


class HttpSettings(Settings):
    """How requests are sent.  All defaults are our own choices."""

    endpoint: Literal["chat", "completions"] = Field("chat", description="completions: the prompt as plain text")
    api_key_env: str = execution_field("", description="environment variable that holds the key; '' sends none")
    in_flight: int = execution_field(256, ge=1, le=20000, description="rollouts requested at once, all servers")
    n_per_request: int = Field(1, ge=1, le=128, description="rollouts of a problem in one request (the API's `n`)")
    stream: bool = execution_field(
        False,
        description="receive tokens as they are generated, so that a broken connection keeps what came; slower here",
    )
    seed: bool = Field(True, description="send each rollout's own seed; some hosted servers refuse it")
    speculative: bool = execution_field(
        False, description="use free slots for rollouts that may not be needed: sooner done, more paid"
    )
    timeout_s: float = execution_field(1800, gt=0, description="longest silence of a connection, seconds")
    min_tokens_per_s: float = execution_field(
        1.0, gt=0, description="slowest rate waited for: a request may take timeout_s and its max_tokens at this rate"
    )
    retries: int = execution_field(5, ge=0, le=100, description="times that a failed request is sent again")
    backoff_s: float = execution_field(
        0.5, gt=0, le=60, description="longest wait before the first retry, seconds; doubles, up to 60"
    )
    patience_s: float = execution_field(300, gt=0, description="seconds that all servers may fail before the run stops")
    start_patience_s: float = execution_field(
        5,
        gt=0,
        description="the same while none was ever reached, at most patience_s; more for one that still loads its model",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="further fields of the request's body; null removes one"
    )

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        try:
            return checked_variable(value)
        except InputError as error:
            raise PydanticCustomError(SECRET_INPUT, "{error}", {"error": str(error)}) from None

    @field_validator("extra")
    @classmethod
    def _holds_no_key(cls, value: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(value, default=str)
        if hide_keys(text) != text or any(_SECRET_NAME.search(name) for name in _names(value)):
            do = "put it into an environment variable and name that in api_key_env"
            raise PydanticCustomError(SECRET_INPUT, "this looks like a key; " + do)
        return value


_WORD = re.compile(r"(?:[A-Z]{0,20}|[a-z]{0,20})[0-9]{0,4}")  # of a name; a longer or mixed one is rather a key


def checked_variable(name: str) -> str:
    """The name of a variable.  Raises InputError, which does not show it, where it may be the key itself."""
    is_name = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", name) is not None
    if not is_name or (name not in os.environ and not all(map(_WORD.fullmatch, name.split("_")))):
        remember_secret(name)
        do = "put the key into a variable (export MY_KEY=...) and give the name MY_KEY"
        raise InputError("this is no name of an environment variable that is set", HIDDEN, "a name, not the key", do)
    remember_secret(os.environ.get(name, "").strip())  # an address, or the rest of a recipe, may hold it
    return name


# Fields that hold a key or a password, in any spelling: apiKey, x-api-key, Authorization, access_token.
_SECRET_NAME = re.compile(
    r"(api|access|secret|private|auth)[-_]?key$|^key$|authori[sz]ation|passw(or)?d|credential|(^|[-_])secrets?$"
    r"|client[-_]?secret|bearer|^token$|(access|auth|api|hf|id|refresh|session)[-_]?token$",
    re.I,
)


def _names(value: Any) -> Iterator[str]:
    """The names of all fields of a JSON value that are set, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if inner is not None:
                yield str(name)
                yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)
