"""The OpenAI protocol: rollouts to a request's body, and a server's reply to completions.

Servers differ: reasoning comes as `reasoning_content` (DeepSeek, SGLang, older vLLM) or `reasoning` (vLLM, OpenRouter,
Ollama), counts may be missing or more than `Limits` allow (they are then estimated), a stream may end without its final
event.  What cannot be a completion is a BadReply, or, beside others that can, a completion with finish reason `error`.

    body = request_body(settings, "Qwen/QwQ-32B", [request])
    completions = read_reply(json_bytes, n=1)
    stream = StreamReader(n=1); stream.feed(chunk); stream.completions()
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from limo.core.prompts import Message, plain_text
from limo.core.records import OTHER, Completion
from limo.core.secrets import hide_in_parts, hide_secrets
from limo.core.text import content_hash, printable, shorten
from limo.models.completer import Request
from limo.models.openai.client import MAX_REPLY_BYTES, BadReply
from limo.models.openai.events import EventReader, is_json, parse_sent
from limo.models.openai.settings import HttpSettings

INDEX_HEADER = "X-Limo-Index"
"""Header with the indexes of the requested rollouts: the replay server answers by it, others ignore it."""
NOT_RECORDED = 422
"""Status of the replay server for what it has not recorded; it says nothing about the settings."""

STOP_REASONS = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "finish_reason_stop", "complete"}
LENGTH_REASONS = {"length", "max_tokens", "model_length", "max_output_tokens", "finish_reason_max_tokens"}
LOG = logging.getLogger(__name__)
MAX_MESSAGE = 4000  # characters of what an error says
MAX_EVENT_BYTES = 1 << 24  # of a stream; a longer one is none
MAX_CHOICES = 1024  # of a reply; more are not read
MAX_COUNT = (1 << 31) - 1  # a larger token count is nonsense
TEMPLATE_TOKENS = 8192  # more than a chat template or a hosted server's own instructions add to a prompt; ours
TOKEN_CHARACTERS = 256  # more than the longest tokens of vocabularies have, which are spaces and lines; ours
ROOM_CHARACTERS = 1 << 20  # for servers that take no heed of max_tokens
BYTES_PER_TOKEN = 2  # fewer than texts and even formulas have, so that a budget ends too early rather than too late
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


class MixedStream(BadReply):
    """Several completions came under one number, so that their parts cannot be told apart."""


class QuotaSpent(BadReply):
    """The account is used up, which does not pass, whatever the status of the reply that says so."""


class Limits(NamedTuple):
    """The most tokens that a request can cost: of its prompt, and new ones of all its completions.

    A server that counts more is not believed, unless the texts have as many bytes; and texts that are much longer than
    so many new tokens are no reply.
    """

    n_prompt: int = MAX_COUNT
    n_new: int = MAX_COUNT

    @property
    def n_characters(self) -> int:
        """The longest that all texts of a reply may be together."""
        return min(self.n_new * TOKEN_CHARACTERS + ROOM_CHARACTERS, MAX_REPLY_BYTES)


NO_LIMITS = Limits()


def limits_of(body: Mapping[str, Any], n_bytes: int, n: int) -> Limits:
    """The limits of a request of `n` rollouts, whose body has so many bytes.

    Its prompt has at most a token for each byte, besides what a chat template adds, and may be counted once for each
    rollout.  A completion has at most the largest of the fields max_tokens, max_completion_tokens and the like; where
    none is above 0, any number.
    """
    fields = [value for key, value in body.items() if key.startswith("max_") and "tokens" in key]
    most = max((value for value in fields if isinstance(value, int) and value > 0), default=MAX_COUNT)
    return Limits(min(n * (n_bytes + TEMPLATE_TOKENS), MAX_COUNT), min(n * most, MAX_COUNT))


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


def read_reply(data: bytes, n: int, prompt: Sequence[Message] = (), limits: Limits = NO_LIMITS) -> list[Completion]:
    """Up to `n` completions of `prompt` in a whole reply by their numbers, or in order where they are not distinct.

    One that cannot be read has the finish reason `error`.  Raises BadReply where there is none that can.
    """
    try:
        reply = parse_sent(data)
        if isinstance(reply, dict) and reply.get("error") and not reply.get("choices"):
            raise _error_in(reply, "the reply is an error")
        numbered = [_read_numbered(*one) for one in enumerate(reply["choices"][:MAX_CHOICES])]
        usage = reply.get("usage")
    except _UNREADABLE:
        raise BadReply(f"the reply is no completion: {_masked(data)!r}") from None
    if len({number for number, _ in numbered}) == len(numbered):
        numbered.sort(key=lambda pair: pair[0])
    return _counted([completion for _, completion in numbered][:n], usage, prompt, limits)


def read_error(data: bytes, what: str) -> BadReply:
    """What an error reply says, after `what` it is, without secrets."""
    try:
        return _error_in(parse_sent(data), what)
    except (ValueError, RecursionError):
        text = printable(_masked(data)).strip()
        return BadReply(f"{what}: {text}" if text else what)


def _error_in(reply: Any, what: str) -> BadReply:
    error = reply.get("error") if isinstance(reply, dict) else None
    is_spent = isinstance(error, dict) and "insufficient_quota" in (error.get("type"), error.get("code"))
    return (QuotaSpent if is_spent else BadReply)(f"{what}: {_said(reply)}")


def _said(message: Any) -> str:
    """The message of an error in JSON, without secrets."""
    for key in ("error", "message"):
        message = message.get(key, message) if isinstance(message, dict) else message
    return printable(_masked(message))


class StreamReader:
    """Reads the server-sent events of one request as they come; keeps what came when the rest never comes."""

    def __init__(self, n: int, prompt: Sequence[Message] = (), limits: Limits = NO_LIMITS) -> None:
        self.n, self.prompt, self.limits = n, prompt, limits
        self._events = EventReader()
        self._parts: dict[int, tuple[list[str], list[str]]] = {}  # by number: texts and reasoning
        self._reasons: dict[int, str] = {}
        self._errors: dict[int, str] = {}  # of those that cannot be read, where others can
        self._n_characters = 0
        self._usage: Any = None
        self._is_mixed = False

    def feed(self, data: bytes) -> int | None:
        """Read the next bytes; how many are kept for want of what follows, None where the stream has ended.

        Raises BadReply for an event that cannot be read.
        """
        for event in self._events.feed(data):
            self._read_event(*event)
        if self._events.n_kept > MAX_EVENT_BYTES:
            raise BadReply(f"an event of the stream is longer than {MAX_EVENT_BYTES:,} bytes")
        return None if self._events.is_done else self._events.n_kept

    def _end(self) -> None:
        for event in self._events.end():
            self._read_event(*event)
        full = [number for number, parts in self._parts.items() if any(map(any, parts))]
        if self.n == 1 and len(full) == 1:  # the only one, whatever numbers its parts have
            reason = self._reasons.get(full[0]) or next(iter(self._reasons.values()), "")
            self._parts, self._reasons = {full[0]: self._parts[full[0]]}, {full[0]: reason} if reason else {}

    def _read_event(self, name: bytes, data: bytes) -> None:
        if name == b"error":
            raise read_error(data, "the stream broke off")
        if name not in (b"", b"message") and not is_json(data):
            return
        try:
            event = parse_sent(data)
            if event is None:
                return
            if event.get("error"):
                raise _error_in(event, "the stream broke off")
            for choice in event.get("choices") or []:
                if choice is not None:
                    self._read_delta(choice)
            self._usage = event.get("usage") or self._usage
        except _UNREADABLE:
            raise BadReply(f"the stream holds no completion: {_masked(data)!r}") from None

    def _read_delta(self, choice: dict[str, Any]) -> None:
        number = int(choice.get("index") or 0)
        texts, reasonings = self._parts.setdefault(number, ([], []))
        try:
            message = None if "delta" in choice else choice.get("message")
            if message and any(texts):
                raise BadReply("the stream holds several messages of one completion")
            delta = choice.get("delta") or message or {"content": choice.get("text")}
            text, reasoning, reason = _text(delta.get("content")), _reasoning(delta), choice.get("finish_reason")
            _check_given_up(choice)
        except (BadReply, *_UNREADABLE) as error:
            if self.n == 1:
                raise
            self._errors.setdefault(number, _why(error, choice))
            return
        self._n_characters += len(text) + len(reasoning)
        _check_length(self._n_characters, self.limits)
        begins = self.n > 1 and delta.get("role") and any(texts)  # another one; some servers repeat the role
        if number in self._reasons or begins:
            self._is_mixed = self._is_mixed or bool(text or reasoning or reason)
            return
        texts.append(text)
        reasonings.append(reasoning)
        if reason:
            self._reasons[number] = str(reason)

    @property
    def is_whole(self) -> bool:
        """Whether all completions have ended, so that nothing is lost where the rest of the stream never comes."""
        return len(self._reasons) >= self.n

    def completions(self) -> list[Completion]:
        """One that cannot be read, or has not ended where the stream has, has the finish reason `error`.

        Raises BadReply where there is none that can, or the stream breaks off, MixedStream where parts of several
        cannot be told apart.
        """
        self._end()
        if self._events.is_done and not self._reasons and not self._is_mixed:  # nothing shows that one was cut
            self._reasons = {number: "stop" for number, parts in self._parts.items() if any(map(any, parts))}
        unended = self._parts.keys() - self._reasons.keys() - self._errors.keys()
        if self._is_mixed and (unended or len(self._parts) < self.n):
            raise MixedStream(f"a stream of {self.n} completions gives several of them one number")
        cut, errors = "the stream ended before the completion did", dict(self._errors)
        errors |= dict.fromkeys(unended, cut)
        if not self._parts or (cut in errors.values() and not self._events.is_done):
            raise BadReply(cut)
        completions = [
            _failed(errors[number]) if number in errors else _completion(*self._joined(number), self._reasons[number])
            for number in sorted(self._parts)
        ]
        return _counted(completions[: self.n], self._usage, self.prompt, self.limits)

    def partial(self) -> tuple[str, str]:
        """Text and reasoning of the first completion as far as they came, when nothing more comes."""
        with suppress(BadReply):
            self._end()
        return self._joined(min(self._parts)) if self._parts else ("", "")

    def _joined(self, number: int) -> tuple[str, str]:
        texts, reasonings = self._parts[number]
        reasoning, text = hide_in_parts("".join(reasonings), "".join(texts))
        return text, reasoning


def _read_numbered(position: int, choice: Any) -> tuple[int, Completion]:
    """The number of a choice, its position where it has none that can be read, and its completion."""
    number = position
    try:
        number = int(choice.get("index") or 0)
        return number, _read_choice(choice)
    except (BadReply, *_UNREADABLE) as error:
        return number, _failed(_why(error, choice))


def _why(error: Exception, choice: Any) -> str:
    what = f"the reply is no completion: {_masked(choice)!r}"
    return str(error) if isinstance(error, BadReply) else what


def _failed(error: str) -> Completion:
    return Completion("", "error", error=error)


def _check_given_up(choice: dict[str, Any]) -> None:
    """Raise BadReply where the server says that it gave up on a completion."""
    reason = str(choice.get("finish_reason")).strip().lower()
    if choice.get("error") or reason in ("abort", "error"):
        why = _said(choice) if choice.get("error") else reason
        raise BadReply(f"the server gave up on the completion ({why})")


def _check_length(n_characters: int, limits: Limits) -> None:
    if n_characters > limits.n_characters:
        most = f"{limits.n_characters:,} characters, for {limits.n_new:,} tokens at most"
        raise BadReply(f"the reply has more than {most}")


def _read_choice(choice: dict[str, Any]) -> Completion:
    _check_given_up(choice)
    message = choice["message"] if choice.get("message") is not None else {"content": choice["text"]}
    reason = str(choice.get("finish_reason") or "stop")  # nothing shows that it was cut
    reasoning, text = hide_in_parts(_reasoning(message), _text(message.get("content")))
    completion = _completion(text, reasoning, reason)
    if message.get("content") is None and not reasoning and not completion.error:
        what = "tool_calls and no text" if message.get("tool_calls") else "no text"
        return replace(completion, finish_reason=OTHER, error=f"the server returned {what}")
    return completion


def _completion(text: str, reasoning: str, reason: str) -> Completion:
    name = reason.strip().lower()
    if name in STOP_REASONS or name in LENGTH_REASONS:
        return Completion(text, "stop" if name in STOP_REASONS else "length", reasoning=reasoning)
    error = f"the server ended it: {shorten(printable(_masked(reason)), 60)}"
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
    raise BadReply(f"the reply's content is no text: {_masked(content)[:200]!r}")


def estimated_tokens(*texts: str) -> int:
    """Tokens of texts, rather too many than too few."""
    return -(-sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // BYTES_PER_TOKEN)


def _counted(completions: list[Completion], usage: Any, prompt: Sequence[Message], limits: Limits) -> list[Completion]:
    """The completions with their token counts: the first has the prompt's, new tokens are shared by text length.

    Counts that are missing or cannot be, as no tokens for a text or more than the limits and the text's bytes, are
    estimated.
    """
    if not completions:
        raise BadReply("the reply holds no completion")
    if all(completion.finish_reason == "error" for completion in completions):
        raise BadReply(completions[0].error)
    texts = [text for completion in completions for text in (completion.text, completion.reasoning)]
    _check_length(sum(map(len, texts)), limits)
    n_estimated = estimated_tokens(*texts)
    n_most = max(limits.n_new, BYTES_PER_TOKEN * n_estimated + len(completions))  # with the token that ends each
    counted = _count(usage, "prompt_tokens", limits.n_prompt), _count(usage, "completion_tokens", n_most)
    n_prompt = counted[0] or estimated_tokens(*(message["content"] for message in prompt))
    n_new = counted[1] or n_estimated
    is_estimated = counted != (n_prompt, n_new)
    if is_estimated:
        _warn_once()
    if counted[1] > len(completions) and not any(completion.full_text for completion in completions):
        why = f"the server counts {n_new:,} tokens and returned no text"
        completions = [
            c if c.finish_reason == "error" else replace(c, finish_reason=OTHER, error=why) for c in completions
        ]
    lengths = [len(completion.text) + len(completion.reasoning) + 1 for completion in completions]
    shares = [n_new * length // sum(lengths) for length in lengths]
    shares[0] += n_new - sum(shares)
    return [
        replace(c, n_prompt_tokens=0 if k else n_prompt, n_completion_tokens=share, is_estimated=is_estimated)
        for k, (c, share) in enumerate(zip(completions, shares, strict=True))
    ]


def _count(usage: Any, key: str, most: int) -> int:
    """A count of tokens, 0 where it is missing or cannot be one."""
    value: Any = usage.get(key) if isinstance(usage, dict) else None
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if is_whole and not isinstance(value, bool) and 0 <= value <= min(most, MAX_COUNT) else 0


@cache
def _warn_once() -> None:
    LOG.warning(
        "a server's counts of tokens are missing or cannot be; they are estimated, one token for every %d bytes",
        BYTES_PER_TOKEN,
    )


def _masked(value: Any) -> str:
    """The beginning of what a server sent, without secrets: whatever is to be written of it is made of this.

    An escape that we write, or a cut, would come between a key and the mask.
    """
    if isinstance(value, bytes):
        value = value[: 4 * MAX_MESSAGE].decode("utf-8", "replace")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return hide_secrets(text[:MAX_MESSAGE])
