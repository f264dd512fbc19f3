"""HTTP/1.1 to the servers: POST with keep-alive over the loop's own transports, parsed by httptools (llhttp).

A request costs 0.04 ms of a processor so, and 0.18 through aiohttp, which was more than all the rest of a rollout.
Only what asking needs is here: bodies by length, in chunks or until the end; streams, handed on as they come; TLS with
the system's certificates; a limit to silence, to heads and to bodies.  A connection that was cancelled, broke off or
said more than it should is closed and never used again.

    async with Connections(timeout_s=60, headers={}) as connections:
        reply = await connections.post("http://localhost:8000/v1/completions", b"{}", {}, 1 << 20, feed=stream.fed)

What it does not do: redirects, cookies, compression (it asks for none, and refuses what comes so all the same), or
proxies: a server that the environment puts behind one is asked through aiohttp (see `proxied`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self
from urllib.parse import quote, urlsplit

import httptools

from limo.models.openai.servers import CONNECT_S

IDLE_S = 30.0  # how long a connection waits for its next request; servers close theirs after a while too
_WANTED = frozenset((b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"retry-after"))
END_S = 1.0  # how long the end of a stream may be behind what was its last part for us
MOST_HEAD = MOST_REFUSAL = 1 << 16  # bytes before the body; bytes that say why there is no answer
Feed = Callable[[bytes], bool]  # takes a part of a stream; whether it was the last one wanted
Place = tuple[str, int, bool]


class Unreachable(Exception):
    """There was no connection: the server has not seen the request."""


class Broken(Exception):
    """The connection broke, or what came is no HTTP."""


@dataclass(slots=True)
class Reply:
    """`headers` are those that matter here, by names in small letters, the last of each; a stream leaves no `body`."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_stream: bool = False  # made of server-sent events

    def begun(self, status: int) -> None:
        """All headers are there."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.status, self.is_stream = status, status == 200 and kind == "text/event-stream"


class Posts(Protocol):
    """What the sender needs."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...

    def post(
        self, url: str, payload: bytes, headers: Mapping[str, str], most: int, feed: Feed
    ) -> Coroutine[Any, Any, Reply]:
        """The reply.  A stream goes to `feed`.  Raises Unreachable, Broken, TimeoutError, and what `feed` raises."""
        ...


class Connections:
    """Open connections to any number of servers, for use inside one event loop; `headers` go with every request."""

    def __init__(self, timeout_s: float, headers: Mapping[str, str]) -> None:
        self.timeout_s = timeout_s
        self._headers = "".join(_line(name, value) for name, value in headers.items())
        self._idle: dict[Place, list[_Connection]] = {}
        self._all: set[_Connection] = set()
        self._targets: dict[str, tuple[Place, str]] = {}
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._every_s, self._sweep)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._timer.cancel()
        for connection in list(self._all):
            connection.drop()
        await asyncio.sleep(0)  # lets the loop close them

    def post(
        self, url: str, payload: bytes, headers: Mapping[str, str], most: int, feed: Feed
    ) -> Coroutine[Any, Any, Reply]:
        """See Posts."""
        place, head = self._targets.get(url) or self._target(url)
        more = "".join([_line(name, value) for name, value in headers.items()])
        data = f"{head}{more}Content-Length: {len(payload)}\r\n\r\n".encode() + payload
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection.ask(data, most, feed)
        return self._ask_new(place, data, most, feed)

    async def _ask_new(self, place: Place, data: bytes, most: int, feed: Feed) -> Reply:
        return await (await self._connect(place)).ask(data, most, feed)

    def _target(self, url: str) -> tuple[Place, str]:
        parts = urlsplit(url)
        is_tls, host = parts.scheme == "https", parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
        place = (host, parts.port or (443 if is_tls else 80), is_tls)
        named = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
        path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._") or "/"
        fixed = _line("Host", named) + _line("Accept-Encoding", "identity") + _line("User-Agent", "limo")
        found = self._targets[url] = place, f"POST {path} HTTP/1.1\r\n{fixed}{self._headers}"
        return found

    async def _connect(self, place: Place) -> _Connection:
        host, port, is_tls = place
        if is_tls and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        tls = self._tls if is_tls else None
        try:
            async with asyncio.timeout(CONNECT_S):
                made = self._loop.create_connection(lambda: _Connection(self, place), host, port, ssl=tls)
                _, connection = await made
        except TimeoutError:
            raise Unreachable("timed out") from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(getattr(error, "strerror", None) or str(error)) from None
        return connection

    @property
    def _every_s(self) -> float:
        return min(self.timeout_s / 8, 1.0)

    def _sweep(self) -> None:
        """One clock for all: ends the silent ones and closes those that nobody needs."""
        now = time.monotonic()
        for connection in list(self._all):
            connection.look_at(now)
        self._timer = self._loop.call_later(self._every_s, self._sweep)


class _Connection(asyncio.Protocol):
    """One connection: at most one request at a time."""

    _complete = _ended = _keeps = False  # the reply is whole; so is the message that it came in; and another may follow

    def __init__(self, owner: Connections, place: Place) -> None:
        self._owner, self._place = owner, place
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._heard_s = time.monotonic()
        self._reply = Reply()

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    async def ask(self, data: bytes, most: int, feed: Feed) -> Reply:
        self._waiter = self._owner._loop.create_future()
        self._most, self._feed = most, feed
        self._parts: list[bytes] = []
        self._size = self._n_head = 0
        self._complete = self._ended = self._keeps = self._in_body = self._has_end = False
        self._heard_s = time.monotonic()
        self._transport.write(data)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            self._rest()

    def _rest(self) -> None:
        """Nobody waits: be idle, or closed.

        A stream may be left before its end has come (complete, but not ended).  Most servers say it a moment later, and
        a new connection is dear, so this one stays until then, for END_S at most.
        """
        if not self._complete or not self.is_open or (self._ended and not self._keeps):
            self.drop()
        elif self._ended:
            self._owner._idle.setdefault(self._place, []).append(self)

    def look_at(self, now: float) -> None:
        silent_s = now - self._heard_s
        if self._waiter is not None:
            if silent_s > self._owner.timeout_s:
                self._fail(TimeoutError())
        elif silent_s > (IDLE_S if self._ended else END_S):
            self.drop()

    def drop(self) -> None:
        self._forget()
        self._transport.abort()

    def _forget(self) -> None:
        self._owner._all.discard(self)
        idle = self._owner._idle.get(self._place, [])
        if self in idle:
            idle.remove(self)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._complete = False

    def _finish(self) -> None:
        self._reply.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._reply)

    # What the loop tells.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._owner._all.add(self)

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        is_left = waiter is None or waiter.done()
        if is_left and (self._ended or not self._complete):  # nothing was asked
            self.drop()
            return
        if not is_left:
            self._heard_s = time.monotonic()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                ours = error.__context__  # raised below
                self._fail(ours if isinstance(ours, Exception) else Broken(type(error).__name__))
                return
            self._ended, self._keeps = True, False  # nonsense behind a whole reply
        if waiter is None:
            self._rest()
        elif self._complete:
            self._finish()
        elif not self._in_body:
            self._n_head += len(data)
            if self._n_head > MOST_HEAD:
                self._fail(Broken("a head without end"))

    def eof_received(self) -> bool:
        return False  # close; connection_lost says the rest

    def connection_lost(self, error: Exception | None) -> None:
        self._forget()
        if self._waiter is None or self._waiter.done():
            return
        if self._in_body and not self._has_end and error is None:  # the end of the body is the end of the connection
            self._complete, self._keeps = True, False
            self._finish()
        else:
            self._fail(Broken(type(error).__name__ if error else "ServerDisconnected"))

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self._complete:
            self._keeps = False  # a second reply to one request
        else:
            self._reply, self._in_body = Reply(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._complete:
            return
        self._n_head += len(name) + len(value) + 4
        if self._n_head > MOST_HEAD:
            raise Broken("a head without end")
        name = name.lower()
        if name in _WANTED:
            self._reply.headers[name.decode()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        headers = self._reply.headers
        self._reply.begun(self._parser.get_status_code())
        self._in_body = self._reply.status >= 200
        self._has_end = "content-length" in headers or "transfer-encoding" in headers
        if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            raise Broken("compressed, though not asked to")
        self._is_stream = self._reply.is_stream
        self._limit = 8 * self._most if self._is_stream else self._most if self._reply.status == 200 else MOST_REFUSAL

    def on_body(self, part: bytes) -> None:
        if self._complete:
            raise Broken("more than it was to be")
        self._size += len(part)
        if self._size > self._limit:
            raise Broken(f"larger than {self._limit:,} bytes")
        if not self._is_stream:
            self._parts.append(part)
        elif self._feed(part):
            self._complete = True  # its end is not waited for

    def on_message_complete(self) -> None:
        if self._reply.status >= 200 and not self._ended:
            self._complete = self._ended = True
            self._keeps = self._parser.should_keep_alive()


def _line(name: str, value: str) -> str:
    return f"{name}: {value}\r\n"
