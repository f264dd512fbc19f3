"""The OpenAI protocol: rollouts to a request's body, and whatever a server sends back to completions.

Servers differ: thoughts come as `reasoning_content` (DeepSeek, SGLang, older vLLM) or `reasoning` (vLLM, OpenRouter,
Ollama), counts may be missing, a stream may end without saying so.  What cannot be a completion is a BadReply, never a
guess.

    body = request_body(wishes, "Qwen/QwQ-32B", [request])
    completions = read_reply(json_bytes, n=1)
    stream = StreamReader(n=1); stream.feed(chunk); stream.completions()

What it does not do: send anything (http does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from limo.core.prompts import Message, plain_text
from limo.core.records import Completion, Sampling
from limo.core.text import content_hash, shorten
from limo.models.completer import Request
from limo.models.openai.settings import HttpSettings

STOPPED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token"}
CUT = {"length", "max_tokens", "model_length", "max_output_tokens"}
_THOUGHTS = ("reasoning_content", "reasoning")
KEPT = 1024  # problems whose bodies are kept
_MOST = 2**53  # no count is larger; what is, is nonsense
_NONSENSE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)  # what reading it raises
_NOTHING: tuple[list[Message], Sampling, int, bytes] = ([], Sampling(), 0, b"")
_Said = tuple[str, str, str, str]  # text, finish_reason, error and thought of a completion


class BadReply(Exception):
    """What came cannot be read as completions; asking again may help."""


def request_body(wishes: HttpSettings, model: str, asks: Sequence[Request]) -> dict[str, Any]:
    """The body for rollouts of one problem; `extra` has the last word, and a null in it takes a field away."""
    first = asks[0]
    sampling = first.sampling
    body: dict[str, Any] = {"model": model}
    if wishes.endpoint == "chat":
        body["messages"] = first.messages
    else:
        body["prompt"] = plain_text(first.messages)
    body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    if len(asks) > 1:
        body["n"] = len(asks)
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if wishes.seed:
        body["seed"] = seed_of(first)
    if wishes.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= wishes.extra
    return {key: value for key, value in body.items() if value is not None}


class Bodies:
    """Bodies as bytes; what the attempts at a problem have in common is written once."""

    def __init__(self, wishes: HttpSettings, model: str) -> None:
        self._wishes, self._model = wishes, model
        self._own_seed = wishes.seed and "seed" not in wishes.extra
        self._known: dict[str, tuple[list[Message], Sampling, int, bytes]] = {}  # by problem: the last one written

    def of(self, asks: Sequence[Request]) -> bytes:
        """As `request_body`, in JSON."""
        first = asks[0]
        said, sampling, n, common = self._known.get(first.problem.id, _NOTHING)
        if said is not first.messages or sampling is not first.sampling or n != len(asks):
            common = self._common(asks)
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[first.problem.id] = first.messages, first.sampling, len(asks), common
        return b'%s, "seed": %d}' % (common[:-1], seed_of(first)) if self._own_seed else common

    def _common(self, asks: Sequence[Request]) -> bytes:
        body = request_body(self._wishes, self._model, asks)
        if self._own_seed:
            del body["seed"]
        return json.dumps(body).encode()


def seed_of(request: Request) -> int:
    """A seed of 31 bits that belongs to the rollout: the same rollout asked again is the same draw."""
    return int(content_hash(request.problem.id, request.sampling.hash, str(request.index)), 16) >> 33


def read_reply(data: bytes, n: int, elapsed_s: float = 0.0) -> list[Completion]:
    """The completions of a reply in one piece, up to `n`, in the order of their numbers.  Raises BadReply.

    `elapsed_s` is how long each took.
    """
    try:
        reply = loads(data)
        choices = reply["choices"]
        found = {int(choice.get("index") or 0): _choice(choice) for choice in choices}
    except BadReply:
        raise
    except _NONSENSE:
        raise BadReply(f"the reply is no completion: {_glimpse(data)}") from None
    return _counted([found[number] for number in sorted(found)][:n], reply.get("usage"), elapsed_s)


def loads(data: bytes) -> Any:
    """What JSON says; the usual kind fast, and the rest (NaN, half a surrogate) as Python's own reader takes it."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def error_of(data: bytes) -> str:
    """What an error reply says, in one line."""
    try:
        said = loads(data)
        said = said.get("error", said) if isinstance(said, dict) else said
        said = said.get("message", said) if isinstance(said, dict) else said
    except (ValueError, RecursionError):
        said = data.decode("utf-8", "replace")
    return shorten(said if isinstance(said, str) else json.dumps(said), 1000)


class StreamReader:
    """Server-sent events of one request, read as they come; what came is there even when the rest never comes."""

    def __init__(self, n: int) -> None:
        self.done = False
        self.n = n
        self._rest = b""
        self._parts: dict[int, tuple[list[str], list[str]]] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Any = None
        self.n_chunks = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes.  Raises BadReply for an event that cannot be read."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            line = line.strip()
            if line.startswith(b"data:"):
                self._event(line[5:].strip())

    def fed(self, data: bytes) -> bool:
        """`feed`; whether the stream has said that it is done."""
        self.feed(data)
        return self.done

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.done = True
            return
        try:
            event = loads(data)
            if "error" in event and not event.get("choices"):
                raise BadReply(f"the stream broke off: {error_of(data)}")
            for choice in event.get("choices") or []:
                self._delta(choice)
            self._usage = event.get("usage") or self._usage
        except BadReply:
            raise
        except _NONSENSE:
            raise BadReply(f"the stream holds no completion: {_glimpse(data)}") from None

    def _delta(self, choice: dict[str, Any]) -> None:
        number = int(choice.get("index") or 0)
        texts, thoughts = self._parts.setdefault(number, ([], []))
        delta = choice.get("delta")
        text, thought = (_text(delta.get("content")), _thought(delta)) if delta else (_text(choice.get("text")), "")
        self.n_chunks += bool(text or thought)
        texts.append(text)
        thoughts.append(thought)
        if choice.get("finish_reason"):
            self._reasons[number] = str(choice["finish_reason"])

    @property
    def whole(self) -> bool:
        """Whether every completion said that it ended."""
        return len(self._reasons) == len(self._parts) > 0

    def completions(self, elapsed_s: float = 0.0) -> list[Completion]:
        """The completions, each of which took `elapsed_s`.  Raises BadReply when one has not ended."""
        if not self.whole:
            raise BadReply("the stream ended before the completion did")
        found = [_made(*self._joined(number), self._reasons[number]) for number in sorted(self._parts)]
        return _counted(found[: self.n], self._usage, elapsed_s)

    def partial(self) -> tuple[str, str]:
        """Text and thought of the first completion as far as they came."""
        return self._joined(min(self._parts)) if self._parts else ("", "")

    def _joined(self, number: int) -> tuple[str, str]:
        texts, thoughts = self._parts[number]
        return "".join(texts), "".join(thoughts)


def _choice(choice: dict[str, Any]) -> _Said:
    message = choice.get("message")
    reason = str(choice.get("finish_reason") or "stop")  # nothing shows that it was cut
    if message is None:
        if "text" not in choice:
            raise BadReply("the reply is no completion: a choice without message or text")
        return _made(_text(choice["text"]), "", reason)
    return _made(_text(message.get("content")), _thought(message), reason)


def _made(text: str, thought: str, reason: str) -> _Said:
    if reason in STOPPED or reason in CUT:
        return text, "stop" if reason in STOPPED else "length", "", thought
    if reason in ("abort", "error"):
        raise BadReply(f"the server gave up on the completion ({reason})")
    return text, "error", f"the server ended it: {shorten(reason, 60)}", thought


def _thought(message: dict[str, Any]) -> str:
    for name in _THOUGHTS:
        if thought := message.get(name):
            return _text(thought)
    return ""


def _text(content: Any) -> str:
    """Content as text: a string, or a list of parts of which the text ones count."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    raise BadReply(f"the reply's content is no text: {shorten(repr(content), 60)}")


def _counted(found: list[_Said], usage: Any, elapsed_s: float) -> list[Completion]:
    """The completions with their token counts: the prompt is paid once, new tokens are shared by length of text."""
    if not found:
        raise BadReply("the reply holds no completion")
    n_prompt, n_new = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    shares = [n_new] if len(found) == 1 else _shares(n_new, [len(said[0]) + len(said[3]) + 1 for said in found])
    return [
        Completion(text, reason, n_prompt if k == 0 else 0, shares[k], elapsed_s, error, thought)
        for k, (text, reason, error, thought) in enumerate(found)
    ]


def _shares(n: int, lengths: list[int]) -> list[int]:
    """Whole shares of `n` by length; the first has what is left over."""
    n_in_all = sum(lengths)
    shares = [n * length // n_in_all for length in lengths]
    return [shares[0] + n - sum(shares), *shares[1:]]


def _count(usage: Any, key: str) -> int:
    value = usage.get(key) if isinstance(usage, dict) else 0
    return value if isinstance(value, int) and 0 <= value < _MOST else 0


def _glimpse(data: bytes) -> str:
    return repr(shorten(data[:200].decode("utf-8", "replace"), 80))
