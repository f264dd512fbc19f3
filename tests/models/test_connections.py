"""The client on the wire: what servers may send, and what broken or hostile ones do send."""

from __future__ import annotations

import asyncio
import ssl
import subprocess

import pytest

from limo.models.openai.completer import fast_loop
from limo.models.openai.connections import MOST_HEAD, Broken, Connections, Unreachable
from limo.models.openai.proxied import Proxied, behind_proxy

BODY = b'{"choices": []}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = OK + b"Content-Length: 15\r\n\r\n" + BODY
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n7\r\n" + BODY[:7] + b"\r\n8\r\n" + BODY[7:] + b"\r\n0\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


def go(run):
    """On the loop that asking uses; half a minute is a hang."""
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        return runner.run(asyncio.wait_for(run(), 30))


class Server:
    """Sends the next of `says` for each request, whole or a byte at a time, and goes away where told to."""

    def __init__(self, *says, closes=False, bytewise=False, tls=None):
        self.says, self.closes, self.bytewise, self.tls = list(says), closes, bytewise, tls
        self.n_connections, self.heard, self.writers, self.lost = 0, [], [], asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://localhost:{port}/v1/chat/completions"
        return self

    async def __aexit__(self, *error):
        self._server.close()

    async def _serve(self, reader, writer):
        self.n_connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.heard.append((head, await reader.readexactly(length)))
                said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
                for part in [said[k : k + 1] for k in range(len(said))] if self.bytewise else [said]:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
        writer.close()


def asked(*says, n=1, timeout_s=5.0, most=1000, feed=lambda part: False, **how):
    """The replies to `n` requests, one after the other, an exception where one was raised; and the server."""

    async def run():
        async with Server(*says, **how) as server, Connections(timeout_s, {"X-Always": "1"}) as connections:
            found = []
            for _ in range(n):
                try:
                    found.append(await connections.post(server.url, b"{}", {"X-Once": "2"}, most, feed))
                except (Broken, Unreachable, TimeoutError, ValueError) as error:
                    found.append(error)
            return found, server

    return go(run)


def test_the_request_is_what_was_asked_for():
    (reply,), server = asked(WHOLE)
    ((head, body),) = server.heard
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1" and body == b"{}"
    assert {"X-Always: 1", "X-Once: 2", "Accept-Encoding: identity", "Content-Length: 2"} < set(lines)
    assert (reply.status, reply.body) == (200, BODY)


@pytest.mark.parametrize("bytewise", [False, True], ids=["at once", "a byte at a time"])
@pytest.mark.parametrize("said", [WHOLE, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
                                  b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + CHUNKED])  # fmt: skip
def test_whole_replies_come_over_one_connection(said, bytewise):
    found, server = asked(said, n=3, bytewise=bytewise)
    assert [reply.body for reply in found] == [BODY] * 3
    assert server.n_connections == 1


def test_a_reply_without_a_length_ends_with_its_connection():
    found, server = asked(OK + b"\r\n" + BODY, n=2, closes=True)
    assert [reply.body for reply in found] == [BODY] * 2 and server.n_connections == 2


@pytest.mark.parametrize("said", [OK.replace(b"1.1", b"1.0") + b"Content-Length: 15\r\n\r\n" + BODY,
                                  OK + b"Connection: close\r\nContent-Length: 15\r\n\r\n" + BODY,
                                  WHOLE + b"and more", WHOLE + WHOLE])  # fmt: skip
def test_a_connection_that_is_to_close_or_says_too_much_is_not_used_again(said):
    found, server = asked(said, n=2)
    assert [reply.body for reply in found] == [BODY] * 2 and server.n_connections == 2


BAD = {
    "nothing": b"",
    "half a head": OK,
    "half a body": OK + b"Content-Length: 99\r\n\r\n" + BODY,
    "half of the chunks": CHUNKED[:-12],
    "garbage": b"\x00\xff\x16\x03\x01 hello",
    "two lengths": OK + b"Content-Length: 15\r\nContent-Length: 3\r\n\r\n" + BODY,
    "length and chunks": OK + b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
    "a length that is none": OK + b"Content-Length: many\r\n\r\n" + BODY,
    "a bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a huge header": OK + b"X: " + b"y" * MOST_HEAD * 2,
    "many headers": OK + b"X: y\r\n" * 20_000 + b"\r\n",
    "a huge body": OK + b"Content-Length: 2000\r\n\r\n" + b"x" * 2000,
    "endless chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n%s\r\n" % (b"x" * 100) * 30,
    "compressed": OK + b"Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_reply_breaks_and_the_next_request_is_well(name):
    async def run():
        async with Server(BAD[name], closes=True) as bad, Server(WHOLE) as good, Connections(5, {}) as connections:
            for _ in range(2):
                with pytest.raises(Broken):
                    await connections.post(bad.url, b"{}", {}, 1000, bool)
            assert (await connections.post(good.url, b"{}", {}, 1000, bool)).body == BODY
            assert bad.n_connections == 2 and len(connections._all) == 1

    go(run)


def test_a_refusal_may_not_be_large():
    (found,), _ = asked(b"HTTP/1.1 400 No\r\n\r\n" + b"x" * 70_000, closes=True, most=10**6)
    assert isinstance(found, Broken)


@pytest.mark.parametrize(
    "said", [b"", OK, WHOLE[:-1], STREAM + b"1\r\nx\r\n"], ids=["nothing", "a head", "half", "stream"]
)
def test_silence_ends_a_request_and_its_connection(said):
    async def run():
        async with Server(said) as server, Connections(0.05, {}) as connections:
            with pytest.raises(TimeoutError):
                await connections.post(server.url, b"{}", {}, 1000, lambda part: False)
            await server.lost.wait()
            assert not connections._all

    go(run)


def test_a_cancelled_request_closes_its_connection():
    async def run():
        async with Server(b"") as server, Connections(30, {}) as connections:
            task = asyncio.create_task(connections.post(server.url, b"{}", {}, 1000, bool))
            while not server.heard:
                await asyncio.sleep(0)
            task.cancel()
            await server.lost.wait()
            assert task.cancelled() and not connections._all

    go(run)


def test_a_stream_is_fed_as_it_comes_and_may_end_early():
    parts = []

    def feed(part):
        parts.append(part)
        return part == b"two"

    said = STREAM + b"3\r\none\r\n" + b"3\r\ntwo\r\n"
    (reply, again), server = asked(said, said + b"0\r\n\r\n", n=2, feed=feed)
    assert parts == [b"one", b"two"] * 2 and reply.is_stream and again.is_stream and reply.body == b""
    assert server.n_connections == 2  # the first had not said its end


@pytest.mark.parametrize(
    ("later", "n_connections"),
    [
        ([b"\r\n0\r\n\r\n"], 1),
        ([b"\r\n", b"0\r\n", b"\r\n"], 1),
        ([b"\r\n0\r\n\r\n" + WHOLE], 2),  # a reply that nobody asked for
        ([b"\r\n4\r\nmore\r\n0\r\n\r\n"], 2),
        ([b"nonsense"], 2),
    ],
    ids=["end", "end-in-parts", "another-reply", "more", "nonsense"],
)
def test_a_stream_that_says_its_end_a_moment_later_leaves_its_connection_for_the_next(later, n_connections):
    first = STREAM + b"3\r\ntwo"

    async def run():
        async with Server(first) as server, Connections(5, {}) as connections:

            async def ask():
                return await connections.post(server.url, b"{}", {}, 1 << 20, lambda part: part == b"two")

            assert (await ask()).is_stream
            for part in later:
                await asyncio.sleep(0.02)
                server.writers[0].write(part)
            await asyncio.sleep(0.05)
            assert (await ask()).is_stream
            return server.n_connections

    assert go(run) == n_connections


def test_a_stream_that_never_says_its_end_is_closed_soon(monkeypatch):
    monkeypatch.setattr("limo.models.openai.connections.END_S", 0.1)

    async def run():
        async with Server(STREAM + b"3\r\ntwo\r\n") as server, Connections(0.4, {}) as connections:
            await connections.post(server.url, b"{}", {}, 1 << 20, lambda part: True)
            assert connections._all
            server.writers[0].write(b"0;")
            while connections._all:  # what is said meanwhile is no reason to wait
                server.writers[0].write(b"x")
                await asyncio.sleep(0.02)

    go(run)


def test_what_a_feed_raises_comes_out():
    def feed(part):
        raise ValueError("nonsense")

    (found,), _ = asked(STREAM + b"3\r\none\r\n", feed=feed)
    assert isinstance(found, ValueError)


def test_who_is_not_there_is_unreachable():
    async def run():
        async with Connections(5, {}) as connections:
            for url in ("http://127.0.0.1:9/v1", "http://localhost:9/v1"):
                with pytest.raises(Unreachable):
                    await connections.post(url, b"{}", {}, 1000, bool)

    go(run)


def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_that_is_known_taken(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-days",
        "2",
    ]
    try:
        subprocess.run([*made, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True,
                       capture_output=True)  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    (refused,), _ = asked(WHOLE, tls=tls)
    assert isinstance(refused, Unreachable)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found, server = asked(WHOLE, tls=tls, n=2)
    assert [reply.body for reply in found] == [BODY] * 2 and len(server.heard) == 2


def test_a_server_behind_a_proxy_is_asked_through_it(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert not behind_proxy("http://far.example/v1")

    async def run():
        async with Server(WHOLE) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1/chat/completions"))
            monkeypatch.setenv("no_proxy", "near.example")
            assert behind_proxy("http://far.example/v1")
            assert not behind_proxy("http://near.example/v1") and not behind_proxy("http://localhost:1/v1")
            async with Proxied(5, {"X-Always": "1"}) as posts:
                reply = await posts.post("http://far.example/v1", b"{}", {}, 1000, bool)
            assert reply.body == BODY and proxy.heard[0][0].startswith(b"POST http://far.example/v1 HTTP/1.1\r\n")

    go(run)
