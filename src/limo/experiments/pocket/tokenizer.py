"""The tokenizer of the pocket models: one token a word or fixed phrase of the world, and one for anything else.

A tiny model has no parameters to spare for words that it never meets, and its numbers, machines and phrases have to be
one token each.  It is an ordinary `tokenizer.json` that AutoTokenizer loads.

    tokenizer = build_tokenizer(WORLD)
    tokenizer.tokenize("L: if 16 or more Nak cell")        # ["L:", "if 16 or more", "Nak", "cell"]
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from limo.core.prompts import SYSTEM
from limo.experiments.pocket.corpus import BOX, CLOSE, END, READ_SYSTEM, ROLE_WORDS, SHARED_WORDS, TEACHER_SYSTEM
from limo.experiments.pocket.world import LABELS, LANGUAGES, LETTERS, N_VALUES, World, families, ranges, wording

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN = "<|pad|>", "<|unknown|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@cache
def vocabulary(world: World) -> dict[str, int]:
    """Word -> token of every word that problems and notes are written with."""
    words = [PAD, UNKNOWN, END, *ROLE_WORDS.values(), SYSTEM, READ_SYSTEM, *TEACHER_SYSTEM.values()]
    words += [*SHARED_WORDS, *LABELS, *LETTERS, *map(str, range(N_VALUES)), *world.machines]
    for language in LANGUAGES:
        words += [*wording()["words"][language].values(), *ranges(language)]
        for family in families():
            spec = wording()["families"][family]
            words += [*spec[language]["start"], spec[language]["place"], *spec[language]["ask"], spec.get("unit", PAD)]
    return {word: token for token, word in enumerate(dict.fromkeys(words))}


def build_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The tokenizer of a world's models."""
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = vocabulary(world)
    phrases = sorted((word for word in words if " " in word), key=len, reverse=True)
    pattern = "|".join([*map(re.escape, phrases), re.escape(BOX), re.escape(CLOSE), r"[^\s{}]+", "[{}]"])
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    to_text = [(r"\{ ", "{"), (r" \}", "}"), (" (?=[K-Z]:)", "\n")]  # as `world.to_text` does
    replaced = [decoders.Replace(Regex(what), by) for what, by in to_text]
    tokenizer.decoder = decoders.Sequence([decoders.WordPiece(prefix="##", cleanup=False), decoders.Fuse(), *replaced])
    special = [END, *ROLE_WORDS.values()]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN, eos_token=END, extra_special_tokens=special[1:]
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
