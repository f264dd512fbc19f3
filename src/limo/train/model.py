"""Loads the model and the tokenizer that a training starts from; code that comes with a model is never run.

tokenizer = load_tokenizer("Qwen/Qwen2.5-32B-Instruct")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import InputError, ModelError
from limo.core.text import shorten
from limo.models.local.config import load_weights, loading_error, read_config
from limo.models.local.tokenizer import load_tokenizer as tokenizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_tokenizer(model_dir: str | Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer.  Raises ModelError."""
    tokenizer: PreTrainedTokenizerBase = tokenizer_of(model_dir, read_config(model_dir))
    return tokenizer


def load_model(
    model_dir: str | Path,
    dtype: str,
    attn_implementation: str,
    longest: int = 0,
    end_token_id: int | None = None,
    quantised: bool = False,
) -> PreTrainedModel:
    """The model, checked to hold rows of `longest` tokens, and set to stop at `end_token_id` when it generates.

    Weights are read from safetensors only; `quantised` holds them in 4 bits.  Raises ModelError, or InputError where a
    row is longer than the positions.
    """
    from transformers.utils import logging

    config = read_config(model_dir)
    logging.disable_progress_bar()  # those of loading and saving would break up our own display
    extra: dict[str, Any] = {"attn_implementation": attn_implementation} if attn_implementation else {}
    extra |= {"quantization_config": _quantised()} if quantised else {}
    try:
        model: Any = load_weights(model_dir, config, dtype=dtype, **extra)
    except Exception as error:  # transformers raises many kinds
        is_other = isinstance(error, ModelError)
        if (
            attn_implementation
            and not is_other
            and (isinstance(error, ImportError) or attn_implementation in str(error))
        ):
            what, reason = "this attention cannot be used here", f"{attn_implementation} ({shorten(str(error), 120)})"
            raise InputError(
                what, reason, "one that is installed", "method.attn_implementation=sdpa needs nothing"
            ) from error
        raise loading_error("model", model_dir, error) from error
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions and longest > positions:
        raise InputError(
            "a row is longer than the model's positions", f"{longest} tokens", f"up to {positions}",
            "lower max_length with on_too_long=drop, or extend the model's positions",
        )  # fmt: skip
    if end_token_id is not None:
        _add_end_token(model.generation_config, end_token_id)
    model.config.use_cache = True
    return model


def _add_end_token(generation: Any, end_token_id: int) -> None:
    """Add the chat's end token to those that end a generation; base models have another one."""
    present = generation.eos_token_id
    present = [] if present is None else [present] if isinstance(present, int) else list(present)
    if end_token_id not in present:
        generation.eos_token_id = [end_token_id, *present]


def _quantised() -> Any:
    """4 bits a weight, as QLoRA holds them.  Raises InputError where they cannot be used."""
    import importlib.util

    import torch

    if not torch.cuda.is_available() or importlib.util.find_spec("bitsandbytes") is None:
        here = "no GPU" if not torch.cuda.is_available() else "no package bitsandbytes"
        allowed = "a GPU and the package bitsandbytes"
        raise InputError("weights of 4 bits cannot be trained here", here, allowed, "use kind: lora, or install it")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
