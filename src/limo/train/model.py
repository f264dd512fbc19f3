"""Loads the model and the tokenizer that a training starts from; code that comes with a model is never run.

tokenizer = load_tokenizer("Qwen/Qwen2.5-32B-Instruct")
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import InputError, ModelError
from limo.core.text import shorten

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limo.train.data import Encoded

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_model(model_dir: str | Path) -> None:
    """Raise ModelError unless this is a model folder, or could be a name on the hub."""
    path = Path(model_dir)
    if path.is_dir():
        if not (path / "config.json").is_file():
            allowed = "a folder with config.json and weights"
            raise ModelError("this folder holds no model", path, allowed, "check the path")
    elif path.exists() or not _HUB_NAME.fullmatch(str(model_dir)) or str(model_dir).startswith("."):
        raise ModelError("there is no such model", path, "a model folder or a hub name owner/name", "check the path")


def load_tokenizer(model_dir: str | Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer.  Raises ModelError."""
    from transformers import AutoTokenizer

    check_model(model_dir)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(model_dir), trust_remote_code=False)
    except Exception as error:  # transformers raises many kinds
        raise ModelError("no tokenizer can be loaded", model_dir, "", shorten(str(error), 160)) from error
    return tokenizer


def load_model(model_dir: str | Path, dtype: str, attn_implementation: str, encoded: Encoded) -> PreTrainedModel:
    """The model, checked to be long enough for the rows, and set to stop at their end token when it generates.

    Raises ModelError, or InputError where a row is longer than the model's positions.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    check_model(model_dir)
    logging.disable_progress_bar()  # those of loading and saving would break up our own display
    extra = {"attn_implementation": attn_implementation} if attn_implementation else {}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(str(model_dir), dtype=dtype, **extra)
    except Exception as error:  # transformers raises many kinds
        raise ModelError("no model can be loaded", model_dir, "", shorten(str(error), 160)) from error
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions and encoded.longest > positions:
        raise InputError(
            "a row is longer than the model's positions", f"{encoded.longest} tokens", f"up to {positions}",
            "lower max_length with on_too_long=drop, or extend the model's positions",
        )  # fmt: skip
    _add_end_token(model.generation_config, encoded.end_token_id)
    model.config.use_cache = True
    return model


def _add_end_token(generation: Any, end_token_id: int) -> None:
    """Add the chat's end token to those that end a generation; base models have another one."""
    present = generation.eos_token_id
    present = [] if present is None else [present] if isinstance(present, int) else list(present)
    if end_token_id not in present:
        generation.eos_token_id = [end_token_id, *present]
