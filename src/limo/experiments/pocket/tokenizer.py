"""The pocket models' tokenizer, and documents of the corpus as its tokens.

It is Qwen2's own, trained on the world's words, with each number below 100 as one token: Qwen2's pre-tokenizer splits
numbers into digits, but a tiny model needs a running value to be one token.  10 to 99 are added tokens, which are
matched before anything is split.  AutoTokenizer, TRL and servers load it like any other.  Its chat template adds no
default system text.

    input_ids, labels = encode(sample_document("rich", rng), world_tokenizer())
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from limo.experiments.pocket.corpus import Part, sample_document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 1446  # before the ninety two-digit numbers are added
N_DOCUMENTS = 20_000  # that the merges are learnt from
IGNORED = -100  # label of a token that is not learnt
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@cache
def world_tokenizer() -> PreTrainedTokenizerFast:
    """The one tokenizer of every pocket model, learnt from the corpora that hold every word."""
    from transformers import AddedToken, Qwen2Tokenizer

    rng = random.Random("tokenizer")
    documents = (sample_document("teacher" if n % 4 else "rich", rng) for n in range(N_DOCUMENTS))
    untrained = Qwen2Tokenizer(pad_token=PAD, eos_token=END, extra_special_tokens=[START])
    texts = (render(document)[0] for document in documents)
    tokenizer = untrained.train_new_from_iterator(texts, VOCAB_SIZE, show_progress=False)
    tokenizer.add_tokens([AddedToken(str(number), normalized=False) for number in range(10, 100)])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def render(parts: list[Part]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a document, ChatML around its turns, and the (begin, end) characters that are learnt."""
    text, learnt = "", []
    for number, part in enumerate(parts):
        opens = part.role != "text" and (number == 0 or parts[number - 1].role != part.role)
        closes = part.role != "text" and (number + 1 == len(parts) or parts[number + 1].role != part.role)
        text += f"{START}{part.role}\n" if opens else ""
        begin = len(text)
        text += part.text
        if part.learn:
            learnt.append((begin, len(text) + (len(END) if closes else 0)))
        text += f"{END}\n" if closes else ""
    return text, learnt


def encode(parts: list[Part], tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """Token ids and labels (IGNORED where nothing is learnt) of a document, equally long."""
    text, learnt = render(parts)
    encoding = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    labels = []
    for token, (begin, _) in zip(encoding["input_ids"], encoding["offset_mapping"], strict=True):
        labels.append(token if any(low <= begin < high for low, high in learnt) else IGNORED)
    return encoding["input_ids"], labels
