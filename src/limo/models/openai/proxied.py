"""Servers that the environment puts behind a proxy (HTTPS_PROXY, NO_PROXY and the like), asked through aiohttp.

    if any(behind_proxy(url) for url in urls):
        async with Proxied(timeout_s=60, headers={}) as posts: ...

What it does not do: choose a proxy that the environment does not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from limo.models.openai.connections import MOST_REFUSAL, Broken, Feed, Reply, Unreachable
from limo.models.openai.servers import CONNECT_S


def behind_proxy(url: str) -> bool:
    """Whether the environment names a proxy for this address."""
    parts = urlsplit(url)
    if parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return False
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")


class Proxied:
    """As Connections, by way of the environment's proxy."""

    def __init__(self, timeout_s: float, headers: Mapping[str, str]) -> None:
        self.timeout_s, self._headers = timeout_s, headers

    async def __aenter__(self) -> Self:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self.timeout_s),
            headers={"Accept-Encoding": "identity", **self._headers},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def post(self, url: str, payload: bytes, headers: Mapping[str, str], most: int, feed: Feed) -> Reply:
        """See Posts."""
        import aiohttp

        try:
            async with self._session.post(url, data=payload, headers=headers, allow_redirects=False) as got:
                reply = Reply(headers={name.lower(): value for name, value in got.headers.items()})
                reply.begun(got.status)
                parts, size = [], 0
                limit = 8 * most if reply.is_stream else most if reply.status == 200 else MOST_REFUSAL
                async for part in got.content.iter_any():
                    size += len(part)
                    if size > limit:
                        raise Broken(f"larger than {limit:,} bytes")
                    if not reply.is_stream:
                        parts.append(part)
                    elif feed(part):
                        break
                reply.body = b"".join(parts)
                return reply
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
            raise Unreachable(error.strerror or str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise TimeoutError from None
            raise Broken(type(error).__name__) from None
