"""Sends a request to one of several servers until it is answered, refused, or has failed too often.

| what happens | what follows |
|---|---|
| the server cannot be reached | another one or a later time, not counted as a retry |
| it is busy (429, 529, 503 with Retry-After) | the same, after the backoff; this server not before the time it names |
| 5xx, a broken connection, silence, what is no completion | at most `retries` retries, then finish reason `error` |
| it takes longer than `timeout_s` and `max_tokens` at `min_tokens_per_s` | the same |
| it refuses the request (400, 422) | finish reason `error` at once; all of the first ones refused: ModelError |
| no such key, credit, model, address (401 to 405, a redirect), a spent quota | ModelError: no request can work |
| a certificate that is not valid, a proxy that wants a password (407) | the same, of the client |
| no server has worked for `patience_s`, none was ever reached for `start_patience_s` | PartialError |

    async with HttpClient(urls, key, timeout_s=60, n_connections=256) as client:
        sender = RetryingSender(client, urls, "Qwen/QwQ-32B", HttpSettings())
        completions = await sender.complete([request])
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime

from limo.core.errors import ModelError, PartialError
from limo.core.records import Completion
from limo.core.secrets import hide_in_own
from limo.core.text import HIDDEN, printable, shorten
from limo.models.completer import CANCELLED, Request
from limo.models.openai.client import BadReply, HttpClient, Unreachable
from limo.models.openai.protocol import (
    INDEX_HEADER,
    NOT_RECORDED,
    MixedStream,
    QuotaSpent,
    StreamReader,
    estimated_tokens,
    limits_of,
    read_error,
    read_reply,
    request_body,
)
from limo.models.openai.servers import MAX_RETRY_AFTER_S, MAX_WAIT_S, Server, Servers
from limo.models.openai.settings import HttpSettings

LOG = logging.getLogger(__name__)
WARN_AFTER_S = 5.0  # of silence of all servers
PAST_S = 0.01  # behind the patience, so that it is over
MAX_REFUSED = 32  # refusals without a single answer after which the settings are to blame
MIN_PROMPT = 6  # characters: shorter messages of a prompt are words that an error may hold
YEAR_S = 366 * 86400.0  # a server that asks for a longer wait means none
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,15}(?:\.[0-9]{0,15})?\s*")
_RETRY_STATUS = {408, 409, 425}  # besides 5xx
_BUSY_STATUS = {429, 503, 529}
TOO_LONG = 413


class _Busy(Exception):
    """The server is overloaded; `wait_s` is what it named, 0 where it did not."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class _GivenUp(Exception):
    """The work stops while the request waits for its next try."""


class _Refused(Exception):
    """The server will never answer this request."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RetryingSender:
    """Requests rollouts of a model from `urls`, all served by it."""

    def __init__(self, client: HttpClient, urls: Sequence[str], model: str, settings: HttpSettings) -> None:
        self.client, self.model, self.settings = client, model, settings
        self.servers = Servers(urls, 2 * settings.backoff_s)
        self._path = "/chat/completions" if settings.endpoint == "chat" else "/completions"
        self._n_refused = self._n_answered = 0
        self._supports_n = True
        self._has_warned = False  # in the present silence
        self._is_stopping = False
        self._waits: dict[asyncio.Task[None], int] = {}  # with the rollouts of each
        self._until_s = 0.0  # when the last of the tries that have begun ends at the latest

    async def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each rollout of one problem.  Raises ModelError and PartialError."""
        completions: list[Completion] = []
        while left := requests[len(completions) :]:
            try:
                if self._is_stopping:
                    raise _GivenUp
                received = await self._send_with_retries(left if self._supports_n else left[:1])
            except MixedStream:
                received = []
            except _GivenUp:
                return completions + [Completion("", CANCELLED)] * len(left)
            if len(received) < len(left) and self._supports_n:
                self._supports_n = False
                LOG.warning("the server ignores n = %d, or mixes them; rollouts are requested one by one", len(left))
            completions += received
        return completions

    async def _send_with_retries(self, requests: Sequence[Request]) -> list[Completion]:
        values = request_body(self.settings, self.model, requests)
        body = json.dumps(values).encode()
        limits, failed_at = limits_of(values, len(body), len(requests)), set[str]()
        headers = {INDEX_HEADER: ",".join(str(request.index) for request in requests)}
        began_s, n_tries, n_failures, longest = time.monotonic(), 0, 0, StreamReader(len(requests))
        while True:
            server, wait_s = self.servers.choose(time.monotonic(), failed_at)
            if server is None:
                wait_s += random.uniform(0, self.settings.backoff_s)  # else all that wait would come at once
            else:
                n_tries += 1
                stream = StreamReader(len(requests), requests[0].messages, limits)
                number = server.begin(time.monotonic())
                try:
                    completions = await self._send(server, body, headers, stream, requests)
                except (_Refused, MixedStream) as refused:
                    self.servers.succeeded(server)
                    if isinstance(refused, MixedStream):
                        raise
                    message = _message(str(refused), requests)
                    at = f"{server.url}: " if len(self.servers.servers) > 1 else ""
                    self._count_refusal(refused.status, at + message)
                    return [Completion("", "error", elapsed_s=_share(began_s, requests), error=message)] * len(requests)
                except _Busy as busy:
                    own_s, now = self._backoff_s(n_tries), time.monotonic()
                    retry_after_s = busy.wait_s if busy.wait_s > own_s else 0.0
                    self.servers.busy(
                        server, now, max(own_s, retry_after_s), _message(str(busy), requests), retry_after_s
                    )
                    wait_s = 0.0 if self.servers.has_free(now) else own_s
                except (Unreachable, BadReply) as error:
                    message = _message(str(error), requests)
                    failed_at.add(server.url)
                    self.servers.failed(server, time.monotonic(), message)
                    server.was_reached |= isinstance(error, BadReply)
                    n_failures += isinstance(error, BadReply)
                    wait_s = self._backoff_s(n_tries)
                    longest = max(longest, stream, key=lambda reader: sum(map(len, reader.partial())))
                    if n_failures > self.settings.retries:
                        return _failed(requests, longest, message, _share(began_s, requests))
                else:
                    self.servers.succeeded(server)
                    self._n_answered += 1
                    self._has_warned = False
                    share_s = _share(began_s, requests)
                    return [replace(c, elapsed_s=share_s, error=_message(c.error, requests)) for c in completions]
                finally:
                    server.end(number)
            left_s = self._check_silence(began_s, wait_s if server is None else 0.0)
            await self._wait(min(wait_s, left_s), len(requests))

    @property
    def n_waiting(self) -> int:
        """Rollouts whose requests wait for their next try."""
        return sum(self._waits.values())

    @property
    def longest_s(self) -> float:
        """Seconds that the tries which have begun take at most."""
        return max(self._until_s - time.monotonic(), 0.0)

    @property
    def n_tries(self) -> int:
        """Requests that are at a server."""
        return sum(server.n_open for server in self.servers.servers)

    def stop_waiting(self) -> None:
        """From now on no request waits for another try: those that do, or will, come back as cancelled."""
        self._is_stopping = True
        for wait in self._waits:
            wait.cancel()

    async def _wait(self, wait_s: float, n_rollouts: int) -> None:
        """Raises _GivenUp as soon as the work stops."""
        wait = asyncio.ensure_future(asyncio.sleep(0.0 if self._is_stopping else wait_s))
        self._waits[wait] = n_rollouts
        try:
            await wait
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
        finally:
            del self._waits[wait]
        if self._is_stopping:
            raise _GivenUp

    async def _send(
        self, server: Server, body: bytes, headers: dict[str, str], stream: StreamReader, requests: Sequence[Request]
    ) -> list[Completion]:
        """One try.  Raises Unreachable, BadReply, _Busy and _Refused."""
        n_tokens = len(requests) * requests[0].sampling.max_tokens
        deadline_s = self.settings.timeout_s + n_tokens / self.settings.min_tokens_per_s
        self._until_s = max(self._until_s, time.monotonic() + deadline_s)
        try:
            reply = await self.client.post(server.url, self._path, body, headers, stream.feed, deadline_s)
            if 200 <= reply.status < 300 and reply.is_stream:
                return stream.completions()
            if reply.status == 304 or (reply.status < 300 and not reply.body.strip()):
                raise BadReply(f"the reply is empty (status {reply.status})")
            if 200 <= reply.status < 300:
                return read_reply(reply.body, stream.n, stream.prompt, stream.limits)
        except BadReply as error:
            if stream.is_whole:
                return stream.completions()
            if isinstance(error, QuotaSpent):
                raise _Refused(str(error), 402) from None  # no wait brings money
            raise
        to = f", to {reply.location}" if reply.location and 300 <= reply.status < 400 else ""
        hint = ""
        if reply.status == TOO_LONG:
            hint = ", the request is too long for the server"
        elif reply.status in (400, 422) and len(requests) > 1:
            hint = f", for n = {len(requests)} (n_per_request: 1 sends none)"
        said = read_error(reply.body, f"status {reply.status}{to}{hint}")
        message = str(said)
        if isinstance(said, QuotaSpent):
            raise _Refused(message, 402)
        if reply.status in _BUSY_STATUS and (reply.status != 503 or reply.retry_after):
            raise _Busy(message, _seconds(reply.retry_after))
        if reply.status in _RETRY_STATUS or reply.status >= 500:
            raise said
        raise _Refused(message, reply.status)

    def _backoff_s(self, n_tries: int) -> float:
        """Seconds before the next try: a random share of a bound that doubles, so that requests spread out."""
        return random.uniform(0, min(self.settings.backoff_s * 2.0 ** min(n_tries - 1, 64), MAX_WAIT_S))

    def _check_silence(self, began_s: float, wait_s: float) -> float:
        """Seconds after which to come back at the latest.

        Warns once when no server works or takes a request for `wait_s`; raises PartialError after `patience_s`.
        """
        now, patience_s, do = time.monotonic(), self.settings.patience_s, "check the servers and their addresses"
        silent_s = self.servers.silent_s(began_s, now)
        if not self.servers.was_reached:
            patience_s = min(patience_s, self.settings.start_patience_s)
            silent_s = now - began_s if all(server.n_failures for server in self.servers.servers) else 0.0
            do = (
                "start one, or correct its address (--server, or base_urls in the recipe); for one that is "
                "still loading, start_patience_s: 300 among its `http` settings waits"
            )
        left_s = patience_s - silent_s + PAST_S
        if max(silent_s, wait_s) < min(WARN_AFTER_S, patience_s):
            return left_s
        errors = "; ".join(f"{server.url}: {shorten(server.last_error, 120)}" for server in self.servers.servers)
        if silent_s > patience_s:
            raise PartialError(f"no server has given a completion for {silent_s:.0f} s", errors, "", do)
        if not self._has_warned:
            self._has_warned = True
            most_s = left_s if silent_s else wait_s + patience_s
            LOG.warning("no server answers (%s); waiting for one, %.0f s at most", errors, most_s)
        return left_s

    def _count_refusal(self, status: int, message: str) -> None:
        """Raise ModelError where no request can work."""
        variable = self.settings.api_key_env
        if status in (401, 403):
            what = f"the server refuses the key (status {status})" if variable else (
                f"the server wants a key, and none was sent (status {status})"
            )  # fmt: skip
            do = f"check the address, `model` and the variable {variable}" if variable else (
                "export the key as a variable and name that in http.api_key_env, or as limo init --api-key-env NAME"
            )  # fmt: skip
            raise ModelError(what, message, "", do) from None
        if status == 402:
            do = "pay for the account, or use another key; what has come is kept"
            raise ModelError("the server wants to be paid", message, "", do) from None
        if 300 <= status < 400:
            do = "give the address that it leads to (--server, or base_urls in the recipe)"
            raise ModelError(
                f"the server sends the request elsewhere (status {status}); redirects are not followed, since a key "
                "must not travel", message, "", do,
            ) from None  # fmt: skip
        if status in (404, 405):
            do = "check the address and `model`"
            raise ModelError(f"the server has no such model or address (status {status})", message, "", do) from None
        self._n_refused += status != NOT_RECORDED
        if self._n_refused >= MAX_REFUSED and not self._n_answered:
            do = "leave out the longest problems" if status == TOO_LONG else "check `sampling` and `extra`"
            raise ModelError(
                f"the server refuses every request of this start (status {status})", message, "", do
            ) from None


def _message(text: str, requests: Sequence[Request]) -> str:
    """An error's text in one line, without secrets and prompt: some servers repeat the request in their errors."""
    for message in requests[0].messages:
        for form in (message["content"], json.dumps(message["content"])[1:-1], repr(message["content"])[1:-1]):
            text = text.replace(form, HIDDEN) if len(form) >= MIN_PROMPT else text
    return shorten(printable(hide_in_own(text)), 300)


def _failed(requests: Sequence[Request], stream: StreamReader, error: str, elapsed_s: float) -> list[Completion]:
    """Failed completions, the first with what came of its stream."""
    text, reasoning = stream.partial()
    n_tokens = estimated_tokens(text, reasoning)
    first = Completion(text, "error", 0, n_tokens, elapsed_s, error, reasoning, is_estimated=n_tokens > 0)
    return [first, *[replace(first, text="", reasoning="", n_completion_tokens=0)] * (len(requests) - 1)]


def _share(began_s: float, requests: Sequence[Request]) -> float:
    """Seconds since `began_s` for each rollout."""
    return (time.monotonic() - began_s) / len(requests)


def _seconds(retry_after: str | None) -> float:
    """The seconds of a Retry-After header, at most an hour; 0 where there is none that can be meant."""
    if _NUMBER.fullmatch(retry_after or ""):
        wait_s = float(retry_after or 0)
    else:
        try:
            wait_s = parsedate_to_datetime(str(retry_after)).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if wait_s < YEAR_S else 0.0
