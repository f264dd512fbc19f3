"""The OpenAI protocol: rollouts to a request's body, and a server's reply to completions.

Servers differ: reasoning comes as `reasoning_content` (DeepSeek, SGLang, older vLLM) or `reasoning` (vLLM, OpenRouter,
Ollama), counts may be missing (they are then estimated), a stream may end without its final event.  What cannot be a
completion is a BadReply.

    body = request_body(settings, "Qwen/QwQ-32B", [request])
    completions = read_reply(json_bytes, n=1)
    stream = StreamReader(n=1); stream.feed(chunk); stream.completions()
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from limo.core.prompts import Message, plain_text
from limo.core.records import OTHER, Completion
from limo.core.secrets import hide_in_parts, hide_secrets
from limo.core.text import content_hash, parse_json, printable, shorten
from limo.models.completer import Request
from limo.models.openai.client import BadReply
from limo.models.openai.settings import HttpSettings

INDEX_HEADER = "X-Limo-Index"
"""Header with the indexes of the requested rollouts: the replay server answers by it, others ignore it."""
NOT_RECORDED = 422
"""Status of the replay server for what it has not recorded; it says nothing about the settings."""

STOP_REASONS = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "finish_reason_stop", "complete"}
LENGTH_REASONS = {"length", "max_tokens", "model_length", "max_output_tokens", "finish_reason_max_tokens"}
LOG = logging.getLogger(__name__)
MAX_MESSAGE = 4000  # characters of what an error says
MAX_EVENT_BYTES = 1 << 24  # a longer line of a stream is no event
_MAX_COUNT = 1 << 31  # a larger token count is nonsense
BYTES_PER_TOKEN = 2  # fewer than texts and even formulas have, so that a budget ends too early rather than too late
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


class MixedStream(BadReply):
    """Several completions came under one number, so that their parts cannot be told apart."""


def request_body(settings: HttpSettings, model: str, requests: Sequence[Request]) -> dict[str, Any]:
    """The body that requests rollouts of one problem; `extra` overrides any field, and a null in it removes one."""
    first, sampling = requests[0], requests[0].sampling
    body: dict[str, Any] = {"model": model}
    if settings.endpoint == "chat":
        body["messages"] = first.messages
    else:
        body["prompt"] = plain_text(first.messages)
    body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    if len(requests) > 1:
        body["n"] = len(requests)
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if settings.seed:
        body["seed"] = seed_of(first)
    if settings.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= settings.extra
    return {key: value for key, value in body.items() if value is not None}


def seed_of(request: Request) -> int:
    """A seed of 31 bits that belongs to the rollout: the same rollout requested again is the same draw."""
    return int(content_hash(request.problem.id, request.sampling.hash, str(request.index)), 16) >> 33


def read_reply(data: bytes, n: int, prompt: Sequence[Message] = ()) -> list[Completion]:
    """Up to `n` completions of `prompt` in a whole reply by their numbers, or in order where they are not distinct.

    Raises BadReply.
    """
    try:
        reply = parse_json(data)
        numbered = [(int(choice.get("index") or 0), _read_choice(choice)) for choice in reply["choices"]]
    except _UNREADABLE:
        raise BadReply(f"the reply is no completion: {_excerpt(data)}") from None
    if len({number for number, _ in numbered}) == len(numbered):
        numbered.sort(key=lambda pair: pair[0])
    return _counted([completion for _, completion in numbered][:n], reply.get("usage"), prompt)


def error_message(data: bytes) -> str:
    """What an error reply says, without secrets."""
    try:
        message = parse_json(data)
        message = message.get("error", message) if isinstance(message, dict) else message
        message = message.get("message", message) if isinstance(message, dict) else message
        text = message if isinstance(message, str) else json.dumps(message)
    except (ValueError, RecursionError):
        text = data.decode("utf-8", "replace")
    return printable(hide_secrets(text[:MAX_MESSAGE]))


class StreamReader:
    """Reads the server-sent events of one request as they come; keeps what came when the rest never comes."""

    def __init__(self, n: int, prompt: Sequence[Message] = ()) -> None:
        self.n, self.prompt = n, prompt
        self._unread = bytearray()
        self._parts: dict[int, tuple[list[str], list[str]]] = {}  # by number: texts and reasoning
        self._reasons: dict[int, str] = {}
        self._usage: Any = None
        self._is_done = self._is_mixed = False

    def feed(self, data: bytes) -> bool:
        """Read the next bytes; whether the stream has ended.  Raises BadReply for an event that cannot be read."""
        self._unread += data
        if b"\n" in data:
            *lines, self._unread = self._unread.split(b"\n")
            for line in lines:
                line = line.strip()
                if line.startswith(b"data:"):
                    self._read_event(bytes(line[5:].strip()))
        if len(self._unread) > MAX_EVENT_BYTES:
            raise BadReply(f"an event of the stream is longer than {MAX_EVENT_BYTES:,} bytes")
        return self._is_done

    def _read_event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._is_done = True
            return
        try:
            event = parse_json(data)
            if "error" in event and not event.get("choices"):
                raise BadReply(f"the stream broke off: {error_message(data)}")
            for choice in event.get("choices") or []:
                self._read_delta(choice)
            self._usage = event.get("usage") or self._usage
        except _UNREADABLE:
            raise BadReply(f"the stream holds no completion: {_excerpt(data)}") from None

    def _read_delta(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {"content": choice.get("text")}
        text, reasoning, reason = _text(delta.get("content")), _reasoning(delta), choice.get("finish_reason")
        number = int(choice.get("index") or 0)
        texts, reasonings = self._parts.setdefault(number, ([], []))
        if number in self._reasons or (delta.get("role") and any(texts)):  # it has ended, or another one begins
            self._is_mixed = self._is_mixed or bool(text or reasoning or reason)
            return
        texts.append(text)
        reasonings.append(reasoning)
        if reason:
            self._reasons[number] = str(reason)

    def completions(self) -> list[Completion]:
        """Raises BadReply when a completion has not ended, MixedStream where parts of several cannot be told apart."""
        if self._is_mixed and len(self._parts) < self.n:
            raise MixedStream(f"a stream of {self.n} completions gives several of them one number")
        if not self._parts or len(self._reasons) < len(self._parts):
            raise BadReply("the stream ended before the completion did")
        completions = [_completion(*self._joined(number), self._reasons[number]) for number in sorted(self._parts)]
        return _counted(completions[: self.n], self._usage, self.prompt)

    def partial(self) -> tuple[str, str]:
        """Text and reasoning of the first completion as far as they came."""
        return self._joined(min(self._parts)) if self._parts else ("", "")

    def _joined(self, number: int) -> tuple[str, str]:
        texts, reasonings = self._parts[number]
        reasoning, text = hide_in_parts("".join(reasonings), "".join(texts))
        return text, reasoning


def _read_choice(choice: dict[str, Any]) -> Completion:
    message = choice["message"] if choice.get("message") is not None else {"content": choice["text"]}
    reason = str(choice.get("finish_reason") or "stop")  # nothing shows that it was cut
    reasoning, text = hide_in_parts(_reasoning(message), _text(message.get("content")))
    return _completion(text, reasoning, reason)


def _completion(text: str, reasoning: str, reason: str) -> Completion:
    name = reason.strip().lower()
    if name in ("abort", "error"):
        raise BadReply(f"the server gave up on the completion ({name})")
    if name in STOP_REASONS or name in LENGTH_REASONS:
        return Completion(text, "stop" if name in STOP_REASONS else "length", reasoning=reasoning)
    error = f"the server ended it: {shorten(printable(hide_secrets(reason[:MAX_MESSAGE])), 60)}"
    return Completion(text, OTHER, error=error, reasoning=reasoning)


def _reasoning(message: dict[str, Any]) -> str:
    return _text(message.get("reasoning_content") or message.get("reasoning"))


def _text(content: Any) -> str:
    """Content as text: a string, or a list of parts of which the text ones count."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    raise BadReply(f"the reply's content is no text: {hide_secrets(repr(content)[:MAX_MESSAGE])[:200]}")


def estimated_tokens(*texts: str) -> int:
    """Tokens of texts, rather too many than too few."""
    return -(-sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // BYTES_PER_TOKEN)


def _counted(completions: list[Completion], usage: Any, prompt: Sequence[Message]) -> list[Completion]:
    """The completions with their token counts: the first has the prompt's, new tokens are shared by text length.

    Counts that are missing or cannot be, as no tokens for a text, are estimated.
    """
    if not completions:
        raise BadReply("the reply holds no completion")
    counted = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    n_prompt = counted[0] or estimated_tokens(*(message["content"] for message in prompt))
    n_new = counted[1] or sum(estimated_tokens(completion.text, completion.reasoning) for completion in completions)
    is_estimated = counted != (n_prompt, n_new)
    if is_estimated:
        _warn_once()
    if counted[1] > len(completions) and not any(completion.full_text for completion in completions):
        error = f"the server counts {n_new:,} tokens and returned no text"
        completions = [replace(completion, finish_reason=OTHER, error=error) for completion in completions]
    lengths = [len(completion.text) + len(completion.reasoning) + 1 for completion in completions]
    shares = [n_new * length // sum(lengths) for length in lengths]
    shares[0] += n_new - sum(shares)
    return [
        replace(c, n_prompt_tokens=0 if k else n_prompt, n_completion_tokens=share, is_estimated=is_estimated)
        for k, (c, share) in enumerate(zip(completions, shares, strict=True))
    ]


def _count(usage: Any, key: str) -> int:
    """A count of tokens, 0 where it is missing or cannot be one."""
    value: Any = usage.get(key) if isinstance(usage, dict) else None
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if is_whole and not isinstance(value, bool) and 0 <= value < _MAX_COUNT else 0


@cache
def _warn_once() -> None:
    LOG.warning(
        "a server's counts of tokens are missing or cannot be; they are estimated, one token for every %d bytes",
        BYTES_PER_TOKEN,
    )


def _excerpt(data: bytes) -> str:
    return hide_secrets(repr(data[:1000].decode("utf-8", "replace")))
