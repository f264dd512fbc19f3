"""POST over aiohttp, with the environment's proxies, bounded replies and an API key that is never shown.

    key = api_key("OPENAI_API_KEY")
    async with HttpClient(["http://gpu1:8000/v1"], key, timeout_s=60, n_connections=256) as client:
        reply = await client.post("http://gpu1:8000/v1", "/chat/completions", b"{}", {}, stream.feed)

Redirects are not followed (a key must not travel to another host), `~/.netrc` is not read, and replies are requested
uncompressed; a compressed one is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import SecretStr

from limo.core.errors import InputError
from limo.core.text import HIDDEN, hide_keys

CONNECT_S = 30.0  # the longest that connecting may take
IDLE_S = 30.0  # how long a connection is kept for the next request
MAX_REPLY_BYTES = 1 << 27  # a larger reply is no completion; a stream may be 8 times as large
MAX_ERROR_BYTES = 1 << 16  # of a reply with another status than 200
MIN_SECRET = 6  # characters: shorter texts are words, not secrets


class Unreachable(Exception):
    """No connection was made: the server has not seen the request."""


class BadReply(Exception):
    """What came is no acceptable HTTP reply or no completion; a retry may help."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; `body` is empty where it was a stream of events."""

    status: int
    body: bytes
    is_stream: bool
    retry_after: str | None


class HttpClient:
    """Connections to `urls`, for use inside one event loop.

    Raises InputError for a proxy of the environment that cannot be used.
    """

    def __init__(self, urls: Iterable[str], key: SecretStr, timeout_s: float, n_connections: int) -> None:
        self._proxies = {url: proxy_of(url) for url in urls}
        self._key, self._timeout_s, self._n_connections = key, timeout_s, n_connections

    async def __aenter__(self) -> Self:
        import aiohttp

        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._n_connections, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self._timeout_s),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # True would read proxies, and send the passwords of ~/.netrc too
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(
        self, url: str, path: str, body: bytes, headers: Mapping[str, str], feed: Callable[[bytes], bool]
    ) -> Reply:
        """The reply to a request to one of `urls`.  A stream goes to `feed`, which returns True at its last part.

        Raises Unreachable, BadReply (also after `timeout_s` of silence), and what `feed` raises.
        """
        import aiohttp

        try:
            async with self._session.post(
                url + path, data=body, headers=headers, allow_redirects=False, proxy=self._proxies[url]
            ) as response:
                return await _read(response, feed)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError) as error:
            raise Unreachable(f"cannot be reached ({getattr(error, 'strerror', None) or error})") from None
        except TimeoutError:
            raise BadReply(f"silent for {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise BadReply(f"the connection broke ({type(error).__name__})") from None


async def _read(response: Any, feed: Callable[[bytes], bool]) -> Reply:
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", ""):
        raise BadReply(f"the reply is compressed ({encoding}), which was not requested")
    is_stream = response.status == 200 and response.content_type == "text/event-stream"
    limit = MAX_ERROR_BYTES if response.status != 200 else 8 * MAX_REPLY_BYTES if is_stream else MAX_REPLY_BYTES
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > limit:
            raise BadReply(f"the reply is larger than {limit:,} bytes")
        if not is_stream:
            parts.append(part)
        elif feed(part):
            break
    return Reply(response.status, b"".join(parts), is_stream, response.headers.get("Retry-After"))


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address (HTTPS_PROXY, NO_PROXY and the like), if any.

    Raises InputError where it is no HTTP proxy.
    """
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or parts.hostname in ("localhost", "127.0.0.1", "::1") or proxy_bypass(parts.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        do = "set another, or name the server in NO_PROXY"
        raise InputError("the environment's proxy cannot be used", hide_keys(proxy), "http://host:port", do)
    return proxy


def api_key(variable: str) -> SecretStr:
    """The key in an environment variable, '' where no variable is named.  Raises InputError when it is unset."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise InputError("the variable with the key is not set", variable, "a key", f"export {variable}=...")
    if not key.isascii() or not key.isprintable():
        raise InputError("the key cannot be sent", variable, "one line of ASCII", "look at the variable again")
    return SecretStr(key)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the `secrets` and without anything shaped like a key."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            text = text.replace(secret, HIDDEN)
    return hide_keys(text)
