"""Chat templates of models are programs: they are rendered in a killable process, with bounds on time, memory and text.

template = ChatTemplate(tokenizer, "models/pocket-rich")
text, = template.render([[{"role": "user", "content": "1+1?"}]], add_generation_prompt=True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from limo.core.errors import ModelError
from limo.core.process.limits import CallLimits
from limo.core.process.worker import Worker
from limo.core.prompts import Message
from limo.core.text import printable, shorten

LIMITS = CallLimits(time_s=5.0, memory_bytes=1 << 30, recursion=1000)
MAX_GROWTH = 1 << 16  # characters that a template may add to the texts of a chat, and times that it may repeat them
MAX_REPEATS = 4
BATCH = 64  # chats that share the limits of time: a batch that fails is not tried chat by chat
_ALLOWED = "a template that renders any chat, in seconds"


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
            raise self._failure(f"it is no text but a {type(template).__name__}")
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
            result = _renderer().call(([list(chat) for chat in chats[start : start + BATCH]], how))
            if result.failure:
                raise self._failure(result.failure)
            texts += result.value
        return texts

    def _failure(self, reason: str) -> ModelError:
        why = shorten(printable(reason), 160)
        return ModelError(f"the chat template fails ({why})", self._model, _ALLOWED, "correct it, or use another model")


@cache
def _renderer() -> Worker:
    """The one process of this one that renders templates; it starts at the first chat."""
    return Worker(open_renderer, limits=LIMITS)


def open_renderer() -> Callable[[tuple[list[list[Message]], dict[str, Any]]], list[str]]:
    """The function of the killable process: chats, and how they are rendered, to their texts."""
    from transformers.utils.chat_template_utils import render_jinja_template

    def render(payload: tuple[list[list[Message]], dict[str, Any]]) -> list[str]:
        chats, how = payload
        texts = []
        for chat in chats:
            (text,), _ = render_jinja_template(conversations=[chat], **how)
            if len(text) > MAX_GROWTH + MAX_REPEATS * sum(len(message["content"]) for message in chat):
                raise ValueError(f"it renders {len(text):,} characters")
            texts.append(text)
        return texts

    return render
