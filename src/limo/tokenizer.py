"""A model's tokenizer, exactly as its `tokenizer.json` says.

transformers' AutoTokenizer rebuilds a Qwen2 tokenizer from its vocabulary with Qwen's own way of splitting text, and
so silently changes one that splits otherwise (the pocket models keep two digits together).  Where a folder holds a
`tokenizer.json`, that file is what the model was trained with, and it is loaded as it is; a hub name goes the usual
way.

    tokenizer = load_tokenizer("models/pocket-rich")

What it does not do: check that a folder is a model, or run code that comes with one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(model: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub name.  Raises what transformers raises."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    kind = PreTrainedTokenizerFast if (Path(model) / "tokenizer.json").is_file() else AutoTokenizer
    return kind.from_pretrained(str(model), trust_remote_code=False)
