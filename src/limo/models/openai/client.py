"""POST over aiohttp, with the environment's proxies, bounded replies and an API key that is never shown.

    key = api_key("OPENAI_API_KEY")
    async with HttpClient(["http://gpu1:8000/v1"], key, timeout_s=60, n_connections=256) as client:
        reply = await client.post("http://gpu1:8000/v1", "/chat/completions", b"{}", {}, stream.feed, deadline_s=600)

Redirects are not followed (a key must not travel to another host), `~/.netrc` is not read, and replies are requested
uncompressed; a compressed one is refused, as is a proxy that would read the key.  What all replies hold together is
bounded: once it is more than `MAX_HELD_BYTES`, those larger than `SMALL_BYTES` are read on one at a time, and their
connections wait.
"""

from __future__ import annotations

import asyncio
import os
import re
from ast import literal_eval
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import SecretStr

from limo.core.errors import InputError, ModelError
from limo.core.secrets import hide_secrets, remember_secret
from limo.core.text import shorten
from limo.models.openai.address import led_to, shown_address
from limo.models.openai.settings import checked_variable

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 30.0  # the longest that connecting may take
IDLE_S = 30.0  # how long a connection is kept for the next request
MAX_REPLY_BYTES = 1 << 27  # a larger reply is no completion; a stream may be 8 times as large
MAX_HELD_BYTES = 1 << 27  # of all replies that are being read, before the large ones wait for each other
SMALL_BYTES = 1 << 20  # a smaller reply never waits
MAX_ERROR_BYTES = 1 << 16  # of a reply with another status than 2xx
REFUSAL_S = 10.0  # for its text
_BYTES = re.compile(r"""b(['"])(?:(?!\1)[ -\[\]-~]|\\(?:x[0-9a-f]{2}|[tnr'\\]))*\1""")  # as aiohttp writes a line


class Unreachable(Exception):
    """No connection was made: the server has not seen the request."""


class BadReply(Exception):
    """What came is no acceptable HTTP reply or no completion; a retry may help."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply; `body` is empty where it was a stream of events, `location` is where a redirect leads."""

    status: int
    body: bytes
    is_stream: bool
    retry_after: str | None
    location: str = ""


class HttpClient:
    """Connections to `urls`, for use inside one event loop.

    Raises InputError for a proxy of the environment that cannot be used.
    """

    def __init__(self, urls: Iterable[str], key: SecretStr, timeout_s: float, n_connections: int) -> None:
        self._proxies = {url: proxy_of(url, bool(key)) for url in urls}
        self._timeout_s, self._n_connections = timeout_s, n_connections
        self._n_held, self._large = 0, asyncio.Lock()  # bytes of replies that are being read; held by one of the large
        # Sent with each request: aiohttp would give headers of the session to a proxy too, the key among them.
        self._headers = {"Content-Type": "application/json"} | request_headers(key)

    async def __aenter__(self) -> Self:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=_connector()(limit=self._n_connections, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # True would read proxies, and send the passwords of ~/.netrc too
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(
        self,
        url: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        feed: Callable[[bytes], int | None],
        deadline_s: float | None = None,
    ) -> HttpReply:
        """The reply to a request to one of `urls`.  A stream goes to `feed`, part by part; it returns how many bytes
        it keeps for want of what follows, and None at the last part.

        Raises Unreachable, BadReply (also after `timeout_s` of silence or `deadline_s` in all), what `feed` raises, and
        ModelError for a certificate that is not valid and a proxy that wants a password.
        """
        import aiohttp

        limit, proxy = asyncio.timeout(deadline_s), self._proxies[url]
        through = f", through the proxy {shown_address(proxy)}" if proxy else ""
        try:
            async with (
                limit,
                self._session.post(
                    url + path,
                    data=body,
                    headers={**self._headers, **headers},
                    allow_redirects=False,
                    proxy=proxy,
                ) as response,
            ):
                raise_for_proxy(response.status, proxy or url)
                return await self._read(response, feed)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError) as error:
            raise Unreachable(why_unreachable(error, url, proxy)) from None
        except TimeoutError:
            what = f"not finished after {deadline_s:g} s" if limit.expired() else f"silent for {self._timeout_s:g} s"
            raise BadReply(what + through) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a head that aiohttp cannot parse
            raise BadReply(broken(error, url) + through) from None

    async def _read(self, response: Any, feed: Callable[[bytes], int | None]) -> HttpReply:
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        compressed = f"the reply is compressed ({hide_secrets(encoding)}), which was not requested"
        retry_after = response.headers.get("Retry-After")
        if not 200 <= response.status < 300:
            body = await _refusal(response) if encoding in ("identity", "") else compressed.encode()
            location = led_to(str(response.url), response.headers.get("Location", ""))
            return HttpReply(response.status, body, False, retry_after, location)
        if encoding not in ("identity", ""):
            raise BadReply(compressed)
        is_stream = response.content_type == "text/event-stream"
        limit = 8 * MAX_REPLY_BYTES if is_stream else MAX_REPLY_BYTES
        parts, size, n_held, has_turn = [], 0, 0, False
        try:
            async for part in response.content.iter_any():
                size += len(part)
                if size > limit:
                    raise BadReply(f"the reply is larger than {limit:,} bytes")
                if is_stream:
                    n_kept = feed(part)
                    if n_kept is None:
                        break
                else:
                    parts.append(part)
                    n_kept = size
                self._n_held += n_kept - n_held
                n_held = n_kept
                if self._n_held > MAX_HELD_BYTES and n_held > SMALL_BYTES and not has_turn:
                    has_turn = await self._large.acquire()
                elif has_turn and n_held <= SMALL_BYTES:
                    self._large.release()
                    has_turn = False
            return HttpReply(response.status, b"".join(parts), is_stream, retry_after)
        finally:  # the caller parses the reply before another task runs
            self._n_held -= n_held
            if has_turn:
                self._large.release()


def request_headers(key: SecretStr) -> dict[str, str]:
    """What every request is sent with; `key` may be empty."""
    encoding = {"Accept-Encoding": "identity"}
    return encoding | ({"Authorization": f"Bearer {key.get_secret_value()}"} if key else {})


def raise_for_proxy(status: int, address: str) -> None:
    """Raise ModelError where a status says that the proxy with this address wants a password."""
    if status == 407:
        do = "set the proxy with its user and password, or name the server in NO_PROXY"
        raise ModelError("the proxy wants a password (status 407)", shown_address(address), "", do) from None


def why_unreachable(error: Exception, url: str, proxy: str | None) -> str:
    """In words why no connection was made, to the server or to the proxy before it; what TLS found wrong.

    Raises ModelError for what no wait changes: a certificate that is not valid, a proxy that wants a password.
    """
    import aiohttp

    named = f"the proxy {shown_address(proxy)}" if proxy else ""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        raise_for_proxy(error.status, proxy or url)
        return f"{named} does not connect to it (status {error.status})"
    through, is_tls = f", through {named}" if proxy else "", isinstance(error, aiohttp.ClientSSLError)
    if not isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot be reached ({hide_secrets(str(error))}{through})"
    noise = r"\[SSL: \w+\] |certificate verify failed: | \(_ssl\.c:\d+\)"
    why = re.sub(noise, "", error.strerror or "the connection was closed")
    is_at_proxy = proxy is not None and urlsplit(proxy).hostname == error.host
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        at = shown_address(proxy or "") if is_at_proxy else url
        do = "give the address with the name of the certificate; for one of your own, SSL_CERT_FILE names its file"
        raise ModelError(f"the certificate is not valid ({why}{through})", at, "", do) from None
    if is_at_proxy:
        return f"{named} cannot be reached ({why})"
    if is_tls:
        why += "; a server without TLS has an address with http://"
    return f"{'no TLS connection is made' if is_tls else 'cannot be reached'} ({why}{through})"


@cache
def _connector() -> type[aiohttp.TCPConnector]:
    """Connections of aiohttp, without those on which something came that no request had asked for.

    It would be taken for the reply to the next request: the answer of another problem.  aiohttp asks itself whether a
    connection can be used again only when a reply has ended, and not when the next request takes it.
    """
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        async def _get(self, key: Any, traces: Any) -> Any:
            if key in self._conns:
                await asyncio.sleep(0)  # what has come is read
                for connection, _ in self._conns.get(key, ()):
                    if not connection.should_close:
                        break
                    connection.close()
            return await super()._get(key, traces)

    return Connector


def broken(error: Exception, url: str = "") -> str:
    """What aiohttp found wrong with a reply, in our words; its own where it is about what the server wrote."""
    said = f"{getattr(error, 'message', '') or error}"
    said = _BYTES.sub(lambda line: literal_eval(line[0]).decode("utf-8", "replace"), said)
    why = shorten(hide_secrets(said), 160)
    whole = f"{error} {error.__cause__}"
    if most := re.search(r"Got more than (\d+) bytes", why):
        return f"the head of the reply is too large (a line has more than {int(most[1]):,} bytes)"
    if "Too many headers" in why:
        return "the head of the reply is too large (too many lines)"
    tls = "; a server with TLS has an address with https://" if url.startswith("http://") else ""
    if "reset by peer" in whole or "ConnectionReset" in whole:
        return "the connection was reset before the reply was whole"
    if "ServerDisconnected" in type(error).__name__:
        return f"the connection was closed before the head of the reply was whole{tls}"
    if "content length" in whole:
        return "the reply is shorter than its Content-Length"
    if "transfer length" in whole:
        return "the reply ends within a chunk"
    return f"the reply is no HTTP ({why}){tls if 'status line' in why else ''}"


async def _refusal(response: Any) -> bytes:
    """What came of a refusal's text: its status says enough, so that nothing wrong with the text is an error."""
    import aiohttp

    text = b""
    with suppress(TimeoutError, aiohttp.ClientError, OSError, ValueError):
        async with asyncio.timeout(REFUSAL_S):
            async for part in response.content.iter_any():
                text += part
                if len(text) > MAX_ERROR_BYTES:
                    break
    return text[:MAX_ERROR_BYTES]


def proxy_of(url: str, has_key: bool) -> str | None:
    """The proxy that the environment names for this address (HTTPS_PROXY, NO_PROXY and the like), if any.

    Raises InputError where it is no HTTP proxy, or would read the key: it only tunnels to an https address.
    """
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or parts.hostname in ("localhost", "127.0.0.1", "::1") or proxy_bypass(parts.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        proxy_parts = urlsplit(proxy)
        remember_secret(proxy_parts.password or "")
        is_usable = proxy_parts.scheme in ("http", "https") and proxy_parts.hostname and proxy_parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        do = "set another, or name the server in NO_PROXY"
        raise InputError("the environment's proxy cannot be used", shown_address(proxy), "http://host:port", do)
    if has_key and parts.scheme == "http":
        do = f"use an https:// address, name the server in NO_PROXY ({parts.hostname}), or give no api_key_env"
        at = f"{url}, through {shown_address(proxy)}"
        raise InputError("the environment's proxy would read the key", at, "https://host:port", do)
    return proxy


def api_key(variable: str) -> SecretStr:
    """The key in an environment variable, '' where no variable is named.  Raises InputError when it is unset."""
    key = os.environ.get(checked_variable(variable), "").strip() if variable else ""
    if variable and not key:
        raise InputError("the variable with the key is not set", variable, "a key", f"export {variable}=...")
    if not key.isascii() or not key.isprintable():
        raise InputError("the key cannot be sent", variable, "one line of ASCII", "look at the variable again")
    return SecretStr(key)
