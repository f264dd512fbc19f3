"""One request to a fleet of servers until it is answered, refused, or has failed too often.

Who failed decides what follows.  A server that cannot be reached costs the request nothing: it goes elsewhere, and
only when no server has worked for `patience_s` the run stops.  A busy one (429, 503 with Retry-After) is left for as
long as it asks.  A reply that breaks off or makes no sense costs one of `attempts`.  A refusal (400, 422) is the
request's own and final, unless the first ones are all refused, or the key or the model is (401, 403, 404): then no
request can work and the run stops at once.

    async with Sender(fleet, "Qwen/QwQ-32B", HttpSettings(), Secrets()) as sender:
        completions = await sender.ask([request])

What it does not do: choose what to ask (run does), or keep requests apart by problem (http does).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Self

from limo.core.errors import ModelError, PartialError
from limo.core.records import Completion
from limo.core.text import shorten
from limo.models.completer import Request
from limo.models.openai.connections import Broken, Connections, Posts, Unreachable
from limo.models.openai.protocol import BadReply, Bodies, StreamReader, error_of, read_reply
from limo.models.openai.proxied import Proxied, behind_proxy
from limo.models.openai.secrets import Secrets
from limo.models.openai.servers import Fleet, Server, backoff_s
from limo.models.openai.settings import HttpSettings

LOG = logging.getLogger(__name__)
ATTEMPT = "X-Limo-Attempt"  # which attempts are asked for: the replay server answers by it, others pass over it
MOST_BYTES = 1 << 27  # a reply larger than this is no completion
TELL_S = 5.0  # of silence after which the user hears of it
ALL_REFUSED = 32  # refusals without a single answer after which the settings are to blame
NOT_RECORDED = 422  # the replay server's refusal of what it does not have: says nothing of the settings
_AGAIN = {408, 409, 425, 500, 502, 504, 520, 522, 524}
_BUSY = {429, 503, 529}


class _Busy(Exception):
    """The server has too much to do; `wait_s` is what it asked for, if it did."""

    def __init__(self, said: str, wait_s: float | None) -> None:
        super().__init__(said)
        self.wait_s = wait_s


class _Away(Exception):
    """The server cannot be reached."""


class _Refused(Exception):
    """The server will not answer this request, ever."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


class Sender:
    """Sends requests; an async context manager for use inside one event loop."""

    def __init__(self, fleet: Fleet, model: str, settings: HttpSettings, secrets: Secrets) -> None:
        self.fleet, self.model, self.settings, self.secrets = fleet, model, settings, secrets
        self._path = "/chat/completions" if settings.endpoint == "chat" else "/completions"
        self._bodies = Bodies(settings, model)
        self._rng = random.Random()
        self._n_refused = self._n_answered = 0
        self._gives_n = True
        self._told = False  # that no server answers; once in a silence

    async def __aenter__(self) -> Self:
        kind = Proxied if any(behind_proxy(one.url) for one in self.fleet.servers) else Connections
        headers = {"Content-Type": "application/json", **self.secrets.headers()}
        self._posts: Posts = kind(self.settings.timeout_s, headers)
        await self._posts.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._posts.__aexit__(*error)

    async def ask(self, asks: Sequence[Request]) -> list[Completion]:
        """One completion for each rollout.  Raises ModelError and PartialError, as the module says."""
        done: list[Completion] = []
        while len(done) < len(asks):  # a server that gives fewer than `n` is asked for the rest
            left = asks[len(done) :] if self._gives_n else asks[len(done) : len(done) + 1]
            found = await self._persist(left)
            if len(found) < len(left) and self._gives_n:
                self._gives_n = False
                LOG.warning("the server gives one completion where n = %d were asked for; asking one by one", len(left))
            done += found
        return done

    async def _persist(self, asks: Sequence[Request]) -> list[Completion]:
        payload, number = self._bodies.of(asks), ",".join([str(ask.index) for ask in asks])
        began, attempt, partial = time.monotonic(), 0, None
        while True:
            server, wait_s = self.fleet.choose(time.monotonic())
            if server is None:
                self._stop_if_silent(began)
                await asyncio.sleep(wait_s)
                continue
            stream = StreamReader(len(asks))
            ticket = server.begin(time.monotonic())
            try:
                found = await self._once(server, payload, number, stream, began)
            except _Refused as refusal:
                self.fleet.worked(server)
                said = self._clean(str(refusal), asks)
                self._count_refusal(refusal.status, said)
                return [Completion("", "error", elapsed_s=_share(began, len(asks)), error=said) for _ in asks]
            except _Busy as busy:
                said = self._clean(str(busy), asks)
                wait_s = (
                    backoff_s(attempt + 1, self.settings.backoff_s, self._rng) if busy.wait_s is None else busy.wait_s
                )
                self.fleet.busy(server, time.monotonic(), wait_s, said, asked=busy.wait_s is not None)
            except (_Away, BadReply) as fault:
                said = self._clean(str(fault), asks)
                self.fleet.failed(server, time.monotonic(), said)
                attempt += isinstance(fault, BadReply)
                wait_s = backoff_s(attempt, self.settings.backoff_s, self._rng)
                partial = max(partial or stream, stream, key=lambda one: sum(map(len, one.partial())))
                if attempt >= self.settings.attempts:
                    text, thought = partial.partial()
                    failed = Completion(text, "error", 0, partial.n_chunks, _share(began, len(asks)), said, thought)
                    return [failed, *(replace(failed, text="", reasoning="", n_completion_tokens=0) for _ in asks[1:])]
            else:
                self.fleet.worked(server)
                self._n_answered += 1
                self._told = False
                return found
            finally:
                server.end(ticket)
            self._stop_if_silent(began)
            await asyncio.sleep(wait_s)

    def _stop_if_silent(self, began: float) -> None:
        silent_s, patience_s = self.fleet.silent_s(began, time.monotonic()), self.settings.patience_s
        if silent_s < min(TELL_S, patience_s):
            return
        said = "; ".join(f"{one.url}: {shorten(one.said, 120)}" for one in self.fleet.servers)
        if silent_s > patience_s:
            raise PartialError(f"no server has answered for {silent_s:.0f} s", said, "", "see to the servers")
        if not self._told:
            self._told = True
            LOG.warning("no server answers (%s); waiting for one, %.0f s at most", said, patience_s)

    async def _once(
        self, server: Server, payload: bytes, number: str, stream: StreamReader, began: float
    ) -> list[Completion]:
        """One try.  Everything that can go wrong with it comes out as one of four exceptions."""
        try:
            url = server.url + self._path
            reply = await self._posts.post(url, payload, {ATTEMPT: number}, MOST_BYTES, stream.fed)
        except Unreachable as error:
            raise _Away(f"cannot be reached ({error})") from None
        except TimeoutError:
            raise BadReply(f"silent for {self.settings.timeout_s:g} s") from None
        except Broken as error:
            raise BadReply(f"the connection broke ({error})") from None
        if reply.status != 200:
            raise _fault(reply.status, reply.body, reply.headers.get("retry-after"))
        share = _share(began, stream.n)
        return stream.completions(share) if reply.is_stream else read_reply(reply.body, stream.n, share)

    def _count_refusal(self, status: int, said: str) -> None:
        do = "check the address, `model` and " + (self.settings.api_key_env or "api_key_env")
        if status in (401, 403):
            raise ModelError(f"the server refuses the key (status {status})", said, "", do)
        if status in (404, 405) or 300 <= status < 400:
            raise ModelError(f"the server knows no such model or address (status {status})", said, "", do)
        self._n_refused += status != NOT_RECORDED
        if self._n_refused >= ALL_REFUSED and not self._n_answered:
            raise ModelError(
                f"the server refuses every request (status {status})", said, "", "check `sampling` and `extra`"
            )

    def _clean(self, said: str, asks: Sequence[Request]) -> str:
        """What a server said, without key and prompt: some repeat the request."""
        return shorten(self.secrets.clean(said, (message["content"] for message in asks[0].messages)), 300)


def _share(began: float, n: int) -> float:
    """Seconds since `began` for each of `n` completions."""
    return (time.monotonic() - began) / n


def _fault(status: int, data: bytes, retry_after: str | None) -> Exception:
    said = f"status {status}: {error_of(data)}"
    if status in _BUSY and (status != 503 or retry_after):
        return _Busy(said, _seconds(retry_after))
    if status in _AGAIN or status >= 500:
        return BadReply(said)
    return _Refused(said, status)


def _seconds(retry_after: str | None) -> float | None:
    """What Retry-After asks for, in seconds, at most an hour; None where it asks for nothing that can be read."""
    if not retry_after:
        return None
    try:
        wait_s = float(retry_after)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return min(max(wait_s, 0.0), 3600.0) if wait_s == wait_s else None


__all__ = ["ATTEMPT", "NOT_RECORDED", "Sender"]
