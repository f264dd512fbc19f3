"""Tokenizers of models: one road to load them, and one to read texts with them.  A `tokenizer.json` is a program
(replacements multiply a text, patterns may never end), so a killable process reads a fixed text with it before this one
loads it, and a spread of the texts before this one reads them.

    tokenizer = load_tokenizer("models/pocket-rich", config)
    ids = encode(tokenizer, texts)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limo.core.errors import ModelError
from limo.core.text import printable, shorten
from limo.models.local.chat_template import SAMPLE, call_worker
from limo.models.local.config import loading_error

LOG = logging.getLogger(__name__)
_RAISED = "ValueError: "  # by the killable process
SPREAD = 1 << 18  # characters of the texts that are tried, the longest text aside; our choice
LONGEST = 1 << 20  # characters of it


def load_tokenizer(model: str | Path, config: Any, trust_remote_code: bool = False, **extra: Any) -> Any:
    """The tokenizer of a folder or of a name on the hub; `config` as it was read.  Raises ModelError."""
    from transformers import AutoTokenizer

    try:
        if not Path(model).is_dir() and not extra.get("local_files_only"):
            from huggingface_hub import snapshot_download

            snapshot_download(str(model), allow_patterns=["tokenizer*.json"])
        for note in _try(model, [SAMPLE]):
            LOG.warning("%s: its tokenizer is odd: %s", model, printable(note))
        with panics_told(model):
            return AutoTokenizer.from_pretrained(
                str(model), config=config, trust_remote_code=trust_remote_code, **extra
            )
    except Exception as error:  # transformers raises many kinds
        raise loading_error("tokenizer", model, error) from error


def tokenizer_files(model: str | Path) -> list[Path]:
    """The files of a model's tokenizer that are here, in its folder or as loaded from the hub."""
    folder = Path(model or "no folder")
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            found = try_to_load_from_cache(str(model), "tokenizer.json")
        except HFValidationError:  # no name of the hub
            return []
        folder = Path(found).parent if isinstance(found, str) else folder
    return sorted(folder.glob("tokenizer.*json"))  # transformers also knows tokenizer.4.0.json


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text, without special ones.  Raises ModelError where it fails on one, takes too long or makes
    too many tokens of those that are tried before (`spread`)."""
    model = tokenizer.name_or_path
    _try(model, spread(texts))
    with panics_told(model):
        read = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False) if texts else {}
    return list(read.get("input_ids", []))


def spread(texts: Sequence[str]) -> list[str]:
    """The longest text, those with characters that none before has, and others; all of them where they are few."""
    seen: set[str] = set()
    new, others = list[str](), list[str]()
    for text in sorted(dict.fromkeys(texts), key=len, reverse=True):
        (others if seen.issuperset(text) else new).append(text)
        seen.update(text)
    chosen, room = [text[:LONGEST] for text in new[:1]], SPREAD
    for text in new[1:] + others:
        if len(text) <= room:
            chosen.append(text)
            room -= len(text)
    return chosen


def _try(model: str | Path, texts: list[str]) -> list[str]:
    """What is odd about the tokenizers of a model, tried in a process that may be killed.

    Raises ModelError where one fails on a text.
    """
    notes: list[str] = []
    for file in tokenizer_files(model) if texts else []:
        result = call_worker((str(file), texts))
        if result.failure:
            raise _failure(file, result.failure)
        notes += result.value
    return notes


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
    what = f"the tokenizer fails ({shorten(printable(reason.removeprefix(_RAISED)), 160)})"
    allowed = "a tokenizer that reads any text, in seconds"
    return ModelError(what, where, allowed, "download the model again, or use another model")
