"""Chat templates and tokenizers of models are programs: they first run in a killable process, with bounds on time,
memory and text.

template = ChatTemplate(tokenizer, "models/pocket-rich")
text, = template.render([[{"role": "user", "content": "1+1?"}]], add_generation_prompt=True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from limo.core.errors import ModelError
from limo.core.process.limits import CallLimits
from limo.core.process.worker import CallResult, Worker
from limo.core.prompts import Message
from limo.core.text import printable, shorten

LIMITS = CallLimits(time_s=10.0, memory_bytes=3 << 29, recursion=1000)
MAX_GROWTH = 1 << 16  # characters that a template may add to the texts of a chat, and times that it may repeat them;
MAX_REPEATS = 4  # also what a tokenizer may make of tokens, for each character of them
BATCH = 64  # chats that share the limits of time: a batch that fails is not tried chat by chat
MAX_TOKENS, MORE_TOKENS = (
    4,
    64,
)  # of a tokenizer, for each byte of a text that it tries, and beside them
SAMPLE = 4 * (
    "What is the sum of 12, 345.60 and -7? Let $x_1 = \\frac{a+b}{\\sqrt{2}}$, so \\boxed{x^2 \\leq 10}.\n\n"
    "  def f(n):\treturn n ** 2  # café 😀\n求方程的所有解。 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 0000000000000000\n"
)
_ALLOWED = "a template that renders any chat, in seconds"
_Chats = tuple[list[list[Message]], dict[str, Any]]  # and how they are rendered
_Trial = tuple[str, list[str]]  # a tokenizer's file, and the texts that it tries


class ChatTemplate:
    """The template of a tokenizer; `model` names it in errors.  Raises ModelError where there is none."""

    def __init__(self, tokenizer: Any, model: str | Path) -> None:
        self._model = str(model)
        template: Any = tokenizer.chat_template
        if isinstance(template, dict):
            template = template.get("default")
        if not template:
            raise ModelError("the model's tokenizer has no chat template", model, "a chat template", "add one to it")
        if not isinstance(template, str):
            raise self._failure("it is no text")
        self._template = template
        self._variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}

    def render(
        self, chats: Sequence[Sequence[Message]], add_generation_prompt: bool = False, continue_final: bool = False
    ) -> list[str]:
        """Each chat as text; `continue_final`: open at its end, for the last message to go on.

        Raises ModelError where the template fails, takes too long or renders too much.
        """
        how = {
            **self._variables,
            "chat_template": self._template,
            "add_generation_prompt": add_generation_prompt,
            "continue_final_message": continue_final,
        }
        texts: list[str] = []
        for start in range(0, len(chats), BATCH):
            result = call_worker(([list(chat) for chat in chats[start : start + BATCH]], how))
            if result.failure:
                raise self._failure(result.failure)
            texts += result.value
        for chat, text in zip(chats, texts, strict=True) if add_generation_prompt or continue_final else ():
            if not all(message["content"].strip() in text for message in chat if message["role"] != "assistant"):
                allowed = "a template that renders texts as they are"
                raise ModelError("the chat template changes texts", shorten(text, 60), allowed, "give it another")
        return texts

    def _failure(self, reason: str) -> ModelError:
        why = shorten(printable(reason), 160)
        return ModelError(f"the chat template fails ({why})", self._model, _ALLOWED, "correct it, or use another model")


@cache
def _renderer() -> Worker:
    """The one process of this one that runs what models bring; it starts at the first call."""
    return Worker(open_renderer, limits=LIMITS)


def call_worker(payload: _Chats | _Trial) -> CallResult:
    """The texts of chats, or what is wrong with the tokenizer of a file as the call's failure, from that process."""
    return _renderer().call(payload)


def open_renderer() -> Callable[[_Chats | _Trial], list[str]]:
    """The function of the killable process: chats, and how they are rendered, to their texts; a tokenizer's file,
    after a trial, to what is odd about it."""
    from tokenizers import Tokenizer
    from transformers.utils.chat_template_utils import render_jinja_template

    @lru_cache(1)
    def opened(file: str, changed_ns: int) -> tuple[Any, list[str]]:
        tokenizer = Tokenizer.from_file(file)
        tokenizer.no_truncation()  # as transformers does
        vocabulary = tokenizer.get_vocab()
        decode(tokenizer, list(vocabulary.values()), sum(map(len, vocabulary)))
        n_shared = len(vocabulary) - len(set(vocabulary.values()))
        notes = [f"{n_shared:,} tokens share their number with another"] if n_shared else []
        unread = set(range(len(SAMPLE))).difference(*(range(*span) for span in tokenizer.encode(SAMPLE).offsets))
        if lost := "".join(sorted({SAMPLE[n] for n in unread if not SAMPLE[n].isspace()})):
            notes.append(f"it leaves out characters ({lost})")
        return tokenizer, notes

    def decode(tokenizer: Any, tokens: list[int], n_characters: int) -> None:
        n_decoded = len(tokenizer.decode(tokens, skip_special_tokens=False))
        if n_decoded > MAX_GROWTH + MAX_REPEATS * n_characters:
            raise ValueError(f"it reads {len(tokens):,} tokens as {n_decoded:,} characters")

    def try_tokenizer(file: str, texts: Sequence[str]) -> list[str]:
        notes: list[str] = []
        for text in texts:
            try:
                tokenizer, notes = opened(file, Path(file).stat().st_mtime_ns)
                tokens = tokenizer.encode(text).ids
                decode(tokenizer, tokens, len(text))
            except BaseException as error:  # a panic of the package is no Exception
                raise ValueError(str(error)) from error
            if len(tokens) > MORE_TOKENS + MAX_TOKENS * (n_bytes := len(text.encode())):
                raise ValueError(f"it makes {len(tokens):,} tokens of {n_bytes:,} bytes")
        return notes

    def render(payload: _Chats | _Trial) -> list[str]:
        chats: Any
        how: Any
        chats, how = payload
        if isinstance(chats, str):
            return try_tokenizer(chats, how)
        texts = []
        for chat in chats:
            (text,), _ = render_jinja_template(conversations=[chat], **how)
            if len(text) > MAX_GROWTH + MAX_REPEATS * sum(len(message["content"]) for message in chat):
                raise ValueError(f"it renders {len(text):,} characters")
            texts.append(text)
        return texts

    return render
