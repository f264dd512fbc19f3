"""The HTTP client: what counts as a reply, how large it may be, and which proxy and passwords requests go with."""

from __future__ import annotations

import asyncio
import gzip

import aiohttp
import pytest
from pydantic import SecretStr

from limo.core.errors import InputError, ModelError
from limo.core.secrets import hide_secrets, remember_secret
from limo.models.openai.client import MAX_ERROR_BYTES, BadReply, HttpClient, Unreachable, api_key, proxy_of

BODY = b'{"choices": []}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = OK + b"Content-Length: 15\r\n\r\n" + BODY
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """Answers every request with `reply`; `heads` are the requests' heads."""

    def __init__(self, reply, closes=False):
        self.reply, self.closes, self.n_connections, self.heads = reply, closes, 0, []
        self.has_request, self.is_left = asyncio.Event(), asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *error):
        self._server.close()

    async def _serve(self, reader, writer):
        self.n_connections += 1
        try:
            while not self.heads or not self.closes:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                self.heads.append(head.decode())
                self.has_request.set()
                writer.write(self.reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.is_left.set()
        writer.close()


def run(coroutine):
    """Half a minute is a hang."""

    async def limited():
        return await asyncio.wait_for(coroutine, 30)

    return asyncio.run(limited())


def post(reply, n=1, timeout_s=5.0, closes=False, feed=bool, key=""):
    """The replies to `n` requests, an exception where one was raised; and the server."""

    async def send():
        replies = []
        async with Server(reply, closes) as server, HttpClient([server.url], SecretStr(key), timeout_s, 4) as client:
            for _ in range(n):
                try:
                    replies.append(await client.post(server.url, "/completions", b"{}", {"X-Once": "2"}, feed))
                except (BadReply, Unreachable) as error:
                    replies.append(error)
        return replies, server

    return run(send())


def test_requests_share_a_connection_and_carry_key_and_headers():
    replies, server = post(WHOLE, n=3, key="secret-key")
    assert [(reply.status, reply.body, reply.is_stream) for reply in replies] == [(200, BODY, False)] * 3
    assert server.n_connections == 1
    lines = server.heads[0].split("\r\n")
    assert lines[0] == "POST /v1/completions HTTP/1.1"
    assert {"X-Once: 2", "Accept-Encoding: identity", "Authorization: Bearer secret-key"} < set(lines)


CLOSED, LARGE = "closed before the head of the reply was whole", "larger than"
ZIPPED = gzip.compress(BODY)
BROKEN = {
    "nothing": (b"", CLOSED),
    "TLS": (b"", "a server with TLS has an address with https://"),
    "an alert of TLS": (b"\x15\x03\x03\x00\x02\x02\x46", "has an address with https://"),
    "half a head": (OK, CLOSED),
    "half a body": (OK + b"Content-Length: 99\r\n\r\n" + BODY, "shorter than its Content-Length"),
    "half of the chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n7\r\n" + BODY[:7], "ends within a chunk"),
    "no size of a chunk": (
        OK + b"Transfer-Encoding: chunked\r\n\r\nxy\r\n",
        "no HTTP (Invalid character in chunk size",
    ),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "Duplicate Content-Length"),
    "a length below 0": (OK + b"Content-Length: -5\r\n\r\n{}", "Invalid character in Content-Length"),
    "garbage": (b"\x00\xff\x16\x03\x01 hello", "the reply is no HTTP (Bad status line"),
    "a huge header": (
        OK + b"X: " + b"y" * 100_000,
        "the head of the reply is too large (a line has more than 8,190 bytes)",
    ),
    "many headers": (OK + b"X: y\r\n" * 40_000, "the head of the reply is too large"),
    "a huge body": (OK + b"Content-Length: 2000\r\n\r\n" + b"x" * 2000, LARGE),
    "endless chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n%s\r\n" % (b"x" * 100) * 30, LARGE),
    "an endless stream": (STREAM + b"64\r\n%s\r\n" % (b"x" * 100) * 200, LARGE),
    "compressed": (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(ZIPPED), ZIPPED), "gzip"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_acceptable_reply_is_refused_with_the_reason(name, monkeypatch):
    monkeypatch.setattr("limo.models.openai.client.MAX_REPLY_BYTES", 1000)
    reply, reason = BROKEN[name]
    (error,), _ = post(reply, closes=True)
    assert isinstance(error, BadReply) and reason in str(error)


@pytest.mark.parametrize("status", [302, 400, 401, 429, 503])
def test_a_refusal_with_a_huge_body_keeps_its_status_and_what_it_asks(status):
    head = b"HTTP/1.1 %d No\r\nRetry-After: 7\r\nContent-Length: 200000\r\n\r\n" % status
    (reply,), _ = post(head + b"x" * 200_000, closes=True)
    assert (reply.status, reply.retry_after) == (status, "7") and len(reply.body) <= MAX_ERROR_BYTES


BAD_TEXTS = {
    "compressed": (b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED, b"gzip"),
    "compressed, damaged": (b"Content-Encoding: br\r\nContent-Length: 9\r\n\r\n\0\0\0", b"br"),
    "stalls": (b"Content-Length: 99\r\n\r\nno room", b"no room"),
    "ends early": (b"Content-Length: 99\r\n\r\nno room", b"no room"),
    "half of the chunks": (b"Transfer-Encoding: chunked\r\n\r\n7\r\nno room\r\n9\r\nx", b"no room"),
    "without end": (b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n%s\r\n" % (b"x" * 0xFFFF) * 9, b"xxx"),
    "nothing": (b"Content-Length: 0\r\n\r\n", b""),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
@pytest.mark.parametrize("status", [401, 429, 503])
def test_whatever_is_wrong_with_the_text_of_a_refusal_its_status_and_what_it_asks_stay(status, name, monkeypatch):
    monkeypatch.setattr("limo.models.openai.client.REFUSAL_S", 0.2)
    rest, said = BAD_TEXTS[name]
    reply = b"HTTP/1.1 %d No\r\nRetry-After: 7\r\n" % status + rest
    (reply,), _ = post(reply, closes=name != "stalls")
    assert (reply.status, reply.retry_after) == (status, "7")
    assert said in reply.body and len(reply.body) <= MAX_ERROR_BYTES


def test_silence_is_a_timeout_and_ends_the_connection():
    async def send():
        async with Server(OK) as server, HttpClient([server.url], SecretStr(""), 0.05, 4) as client:
            with pytest.raises(BadReply, match=r"silent for 0\.05 s"):
                await client.post(server.url, "", b"{}", {}, bool)
            await server.is_left.wait()

    run(send())


DRIPS = {
    "a byte of the head": (b"", b"H"),
    "a header": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "an interim reply": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a byte of the body": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "a comment of a stream": (STREAM, b"8\r\n: ping\n\n\r\n"),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_reply_that_never_ends_ends_at_the_deadline(name):
    begin, drip = DRIPS[name]

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        try:
            while True:
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.close()

    async def send():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with HttpClient([url], SecretStr(""), 5, 4) as client:
            with pytest.raises(BadReply):
                await client.post(url, "", b"{}", {}, lambda part: False, deadline_s=0.1)
        server.close()

    run(send())


def test_what_came_unasked_is_no_reply_to_the_next_request():
    n_connections = 0

    async def serve(reader, writer):
        nonlocal n_connections
        n_connections += 1
        try:
            for number in range(100):
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                for _ in range(2):  # each reply twice, the second a moment later
                    writer.write(OK + b"Content-Length: 1\r\n\r\n" + str(number).encode()[-1:])
                    await writer.drain()
                    await asyncio.sleep(0.02)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def send():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with HttpClient([url], SecretStr(""), 5, 1) as client:
            for _ in range(5):
                assert (await client.post(url, "", b"{}", {}, bool)).body == b"0"  # the first of its connection
                await asyncio.sleep(0.05)
        server.close()
        assert n_connections == 5

    run(send())


def test_a_cancelled_request_ends_its_connection():
    async def send():
        async with Server(b"") as server, HttpClient([server.url], SecretStr(""), 30, 4) as client:
            task = asyncio.create_task(client.post(server.url, "", b"{}", {}, bool))
            await server.has_request.wait()
            task.cancel()
            await server.is_left.wait()

    run(send())


def test_a_stream_is_fed_as_it_comes_and_may_end_early():
    parts = []

    def feed(part):
        parts.append(part)
        return None if part.endswith(b"two") else 0

    (reply,), _ = post(STREAM + b"3\r\none\r\n" + b"3\r\ntwo\r\n", feed=feed)  # never says its end
    assert b"".join(parts) == b"onetwo" and reply.is_stream and reply.body == b""


def test_a_redirect_is_not_followed():
    (reply,), server = post(b"HTTP/1.1 307 Elsewhere\r\nLocation: /v2\r\nContent-Length: 0\r\n\r\n")
    assert reply.status == 307 and len(server.heads) == 1
    assert reply.location == f"{server.url.removesuffix('/v1')}/v2"


def test_of_many_large_replies_one_at_a_time_is_read_on_and_small_ones_never_wait(monkeypatch):
    """Sixteen at once, each sent slowly: what is held is bounded, none is refused, nothing hangs."""
    monkeypatch.setattr("limo.models.openai.client.MAX_HELD_BYTES", 1 << 20)
    monkeypatch.setattr("limo.models.openai.client.SMALL_BYTES", 1 << 16)
    most, size, n = [0], 2_000_000, 16

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = 1000 if b"small" in head else size
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % length)
        for _ in range(length // 1000):
            writer.write(b"x" * 1000)
            await writer.drain()
        writer.close()

    async def send():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with HttpClient([url], SecretStr(""), 5, 64) as client:

            async def watch():
                while True:
                    most[0] = max(most[0], client._n_held)
                    await asyncio.sleep(0)

            watching = asyncio.create_task(watch())
            paths = ["/small", "/large"] * n
            replies = await asyncio.gather(*(client.post(url, path, b"{}", {}, len, 20) for path in paths))
            watching.cancel()
            assert client._n_held == 0 and not client._large.locked()
        server.close()
        return [len(reply.body) for reply in replies]

    assert run(send()) == [1000, size] * n
    assert most[0] < (1 << 20) + size + n * (1 << 18)


def test_the_turn_of_a_large_reply_ends_with_it_however_it_ends(monkeypatch):
    monkeypatch.setattr("limo.models.openai.client.MAX_HELD_BYTES", 1000)
    monkeypatch.setattr("limo.models.openai.client.SMALL_BYTES", 100)
    monkeypatch.setattr("limo.models.openai.client.MAX_REPLY_BYTES", 200_000)

    async def send():
        too_large = Server(OK + b"Content-Length: 9999999\r\n\r\n" + b"x" * 300_000)
        broken = Server(OK + b"Content-Length: 9999999\r\n\r\n" + b"x" * 3000, closes=True)
        stream = Server(STREAM + b"bb8\r\n%s\r\n" % (b"x" * 3000) + b"1\r\ny\r\n")
        async with too_large, broken, stream:
            urls = [too_large.url, broken.url, stream.url]
            async with HttpClient(urls, SecretStr(""), 0.2, 64) as client:
                for url in urls:
                    for _ in range(2):
                        with pytest.raises(BadReply):
                            await client.post(url, "", b"{}", {}, lambda part: 0 if part.endswith(b"y") else len(part))
                assert client._n_held == 0 and not client._large.locked()

    run(send())


def test_a_server_that_is_not_there_is_unreachable():
    async def send():
        async with HttpClient(["http://127.0.0.1:9/v1"], SecretStr(""), 5, 4) as client:
            await client.post("http://127.0.0.1:9/v1", "", b"{}", {}, bool)

    with pytest.raises(Unreachable):
        run(send())


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_proxy_of_the_environment_is_used_and_passwords_of_netrc_are_not_sent(tmp_path, monkeypatch, no_proxies):
    (tmp_path / "netrc").write_text("machine far.example login me password netrc-secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    far = "http://far.example/v1"

    async def send():
        async with Server(WHOLE) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
            async with HttpClient([far], SecretStr(""), 5, 4) as client:
                reply = await client.post(far, "/completions", b"{}", {}, bool)
            async with aiohttp.ClientSession(trust_env=True) as careless:  # what trusting the environment would do
                await careless.post(far, data=b"{}")
        return reply, proxy.heads

    reply, (ours, theirs) = run(send())
    assert reply.body == BODY and ours.startswith("POST http://far.example/v1/completions HTTP/1.1\r\n")
    assert "Authorization" not in ours and "Authorization" in theirs


def test_a_proxy_that_would_read_the_key_is_refused_with_the_ways_out(monkeypatch, no_proxies):
    monkeypatch.setenv("http_proxy", "http://me:s3cret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "near.example")
    HttpClient(["http://near.example/v1", "https://far.example/v1", "http://127.0.0.1/v1"], SecretStr("own-key"), 5, 4)
    HttpClient(["http://far.example/v1"], SecretStr(""), 5, 4)
    do = r"use an https:// address, name the server in NO_PROXY \(far.example\), or give no api_key_env"
    with pytest.raises(InputError, match=f"the environment's proxy would read the key.*hidden.*{do}") as caught:
        HttpClient(["http://far.example/v1"], SecretStr("own-key"), 5, 4)
    assert "own-key" not in str(caught.value) and "s3cret" not in str(caught.value)


def test_a_proxy_that_only_tunnels_sees_no_key(monkeypatch, no_proxies):
    heads = []

    async def serve(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.close()

    async def send():
        proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        async with HttpClient(["https://far.example/v1"], SecretStr("own-key"), 5, 4) as client:
            with pytest.raises((BadReply, Unreachable)):
                await client.post("https://far.example/v1", "", b"{}", {}, bool)
        proxy.close()

    run(send())
    assert heads[0].startswith("CONNECT far.example:443") and "own-key" not in heads[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("reply", [None, b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", b"", b"what?"], ids=ascii)
def test_a_proxy_that_fails_is_named_without_its_password(monkeypatch, no_proxies, scheme, reply):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async def send():
        proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1] if reply is not None else 9
        monkeypatch.setenv(f"{scheme}_proxy", f"http://me:s3cret@127.0.0.1:{port}")
        url = f"{scheme}://far.example/v1"
        async with HttpClient([url], SecretStr(""), 5, 4) as client:
            is_final = reply is not None and b"407" in reply
            kinds = ModelError if is_final else (BadReply, Unreachable)
            with pytest.raises(kinds, match=rf"the proxy .*http://\[hidden\]@127.0.0.1:{port}") as caught:
                await client.post(url, "", b"{}", {}, bool)
            assert "s3cret" not in str(caught.value)
        proxy.close()

    run(send())


def test_which_servers_are_behind_a_proxy(monkeypatch, no_proxies):
    assert proxy_of("http://far.example/v1", has_key=False) is None
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", "near.example,ported.example:8000")
    assert proxy_of("http://far.example/v1", has_key=False) == "http://proxy.example:3128"
    assert proxy_of("http://ported.example:9000/v1", has_key=False) == "http://proxy.example:3128"
    for url in ("http://near.example/v1", "http://localhost:1/v1", "https://far.example/v1"):
        assert proxy_of(url, has_key=False) is None
    assert proxy_of("http://ported.example:8000/v1", has_key=False) is None


def test_a_proxy_that_cannot_be_used_is_named_without_its_password(monkeypatch, no_proxies):
    monkeypatch.setenv("http_proxy", "socks5://me:password@proxy.example:1080")
    with pytest.raises(InputError, match=r"socks5://\[hidden\]@proxy.example:1080"):
        proxy_of("http://far.example/v1", has_key=False)


def test_a_key_is_hidden_wherever_it_is_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", "my-own-strange-key\n")
    key = api_key("MY_KEY")
    assert key.get_secret_value() == "my-own-strange-key" and "strange" not in f"{key!r} {key}"
    assert hide_secrets("the key my-own-strange-key") == "the key [hidden]"
    monkeypatch.setenv("MY_KEY", "two\nlines")
    with pytest.raises(InputError, match="MY_KEY"):
        api_key("MY_KEY")


HEADS = [
    b"HTTP/1.1 %s OK\r\n\r\n", b"SSH %s\r\n\r\n", OK + b"a %s: x\r\n\r\n", OK + b"X: \0'\"%s\r\n\r\n",
    OK + b"X: " + b"x" * 120 + b"%s\0\r\n\r\n", OK + b"Content-Length: %s\r\n\r\n", STREAM + b"%s\r\n",
    OK + b"Content-Encoding: %s\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("first", [0, 0xFEE0, 0xE0000, 0xE00F0])
def test_a_key_in_a_head_that_is_none_is_masked_before_a_message_cuts_or_escapes_it(head, first):
    key = "q7Zx0Lk3vB9nT2mR"
    remember_secret(key)
    altered = "".join(chr(first + ord(c)) for c in key)
    (error,), _ = post(head % altered.encode(), closes=True)
    assert "[hidden]" in str(error)
    for form in (altered, ascii(altered)[1:-1], repr(altered.encode())[2:-1]):
        assert form[: len(form) // 2].lower() not in str(error).lower()
