"""Tokenizers of models: one road to load them.  A `tokenizer.json` is a program (replacements multiply a text, patterns
may never end), so it reads a fixed text in a killable process before this one reads anything with it.

    tokenizer = load_tokenizer("models/pocket-rich", config)
    with panics_told("models/pocket-rich"):
        ids = tokenizer(texts)["input_ids"]
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limo.core.errors import ModelError
from limo.core.text import printable, shorten
from limo.models.local.chat_template import call_worker
from limo.models.local.config import loading_error


def load_tokenizer(model: str | Path, config: Any, trust_remote_code: bool = False, **extra: Any) -> Any:
    """The tokenizer of a model whose configuration was read.  Raises ModelError."""
    from transformers import AutoTokenizer

    for file in sorted(Path(model).glob("tokenizer.*json")):  # transformers also knows tokenizer.4.0.json
        if failure := call_worker(str(file)).failure:
            raise _failure(file, failure)
    try:
        with panics_told(model):
            return AutoTokenizer.from_pretrained(
                str(model), config=config, trust_remote_code=trust_remote_code, **extra
            )
    except Exception as error:  # transformers raises many kinds
        raise loading_error("tokenizer", model, error) from error


@contextmanager
def panics_told(model: str | Path) -> Iterator[None]:
    """Raise ModelError where the tokenizers package panics: its exception is none that `except Exception` catches."""
    os.environ["RUST_BACKTRACE"] = "0"  # where it is 1, the package writes a hundred lines
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _failure(model, str(error)) from error


def _failure(where: str | Path, reason: str) -> ModelError:
    what = f"the tokenizer fails ({shorten(printable(reason), 160)})"
    return ModelError(what, where, "a tokenizer that reads any text, in seconds", "use another model")
