"""The pocket models' tokenizer: Qwen2's own, learnt on the world's words, with each number below 100 as one token.

Qwen2's pre-tokenizer splits numbers into digits; a tiny model needs a running value to be one token, so 10 to 99 are
added tokens, which are found before anything is split.  The class stays Qwen2Tokenizer: AutoTokenizer, TRL and every
server load it like any other.

    tokenizer = train_tokenizer(texts)
    tokenizer.apply_chat_template([{"role": "user", "content": "1+1"}], add_generation_prompt=True, tokenize=False)

What it does not do: insert a default system text, as Qwen's template does when a row carries none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 1446
"""Before the ninety two-digit numbers are added."""
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn the merges from `texts`; every number 0..99 is one token."""
    from transformers import AddedToken, Qwen2Tokenizer

    untrained = Qwen2Tokenizer(pad_token=PAD, eos_token=END, extra_special_tokens=[START])
    tokenizer = untrained.train_new_from_iterator(texts, VOCAB_SIZE, show_progress=False)
    tokenizer.add_tokens([AddedToken(str(number), normalized=False) for number in range(10, 100)])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
