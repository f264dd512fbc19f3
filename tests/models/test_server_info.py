"""What servers say of themselves is bounded, whatever they say; why one says nothing is in the error."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from limo.core.errors import InputError, LimoError, ModelError
from limo.core.secrets import hide_in_own
from limo.models.openai.client import HttpClient
from limo.models.server_info import MAX_MODELS, MAX_NAME, ServedModel, _get_all, served_models, server_info
from limo.models.settings import HttpModelSettings


@contextmanager
def answering(reply, tls=None):
    """A server whose every answer is `reply(path)`, bytes; its port."""
    loop, ports, ready = asyncio.new_event_loop(), [], threading.Event()

    async def answer(reader, writer):
        try:
            head = await reader.read(1 << 16)
            writer.write(reply([*head.split(), b"", b""][1].decode("latin-1")))
            await writer.drain()
        except OSError:
            pass
        writer.close()

    async def start():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(start()), loop.run_forever()), daemon=True)
    thread.start()
    ready.wait()
    yield ports[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def http(body, status="200 OK", head=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def listing(*models):
    return lambda path: http({"data": list(models)} if path == "/v1/models" else {})


def served(reply, **given):
    with answering(reply) as port:
        return served_models(f"http://127.0.0.1:{port}/v1", **given)


@pytest.mark.parametrize("context", [10**40, 10**9, -4096, 0, True, "4096", 4096.5, [4096], {"n": 1}, None])
def test_a_context_that_no_model_has_is_not_known(context):
    reply = listing({"id": "m", "max_model_len": context})
    assert served(reply) == [ServedModel("m")]
    with answering(reply) as port:
        settings = HttpModelSettings(name="m", base_urls=[f"http://127.0.0.1:{port}/v1"])
        assert "context" not in server_info(settings)


@pytest.mark.parametrize("name", ["x" * (MAX_NAME + 1), "x" * 10**6, "", " ", "a\x1b[2J", "a\u202eb", 7, None, ["m"]])
def test_a_name_that_no_model_has_is_left_out(name):
    assert served(listing({"id": name}, {"id": "m"}, None, 7)) == [ServedModel("m")]
    with pytest.raises(ModelError, match="lists no models") as caught:
        served(listing({"id": name}))
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


def test_more_models_than_any_server_has_are_refused_in_a_line_and_the_most_are_taken():
    with pytest.raises(ModelError, match=r"too many models: '100000'.*2,000"):
        served(listing(*({"id": f"m{k}"} for k in range(100_000))))
    assert len(served(listing(*({"id": f"m{k}"} for k in range(MAX_MODELS)), {"id": "m0"}))) == MAX_MODELS


@pytest.mark.parametrize(
    "location", ["http://me:s3cret@far/v1?key=s3cret", "/v2\x1b[2J", "//x/" + "y" * 5000, "http://["]
)
def test_where_a_redirect_leads_is_said_without_what_may_be_secret(location):
    answer = f"HTTP/1.1 307 No\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(ModelError) as caught:
        served(lambda path: answer)
    text = str(caught.value)
    assert "s3cret" not in text and text.isprintable() and len(text) < 600


def test_a_redirect_is_said_with_its_target():
    with pytest.raises(ModelError, match=r"elsewhere \(status 308\): .* -> http://127.0.0.1:\d+/api/v1/models"):
        served(lambda path: http(b"", "308 No", f"Location: /api{path}\r\n"))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/q7Zx0Lk3vB9nT2mR x/v1", "http://127.0.0.1:9/q7Zx0Lk3vB9nT2mR"])
def test_an_address_that_holds_the_key_is_shown_without_it(address, monkeypatch):
    monkeypatch.setenv("MY_KEY", "q7Zx0Lk3vB9nT2mR")
    with pytest.raises(LimoError) as caught:
        served_models(address, "MY_KEY")
    assert "q7Zx" not in hide_in_own(str(caught.value))


@pytest.mark.parametrize("first", [0, 0xFEE0, 0xE0000])
def test_a_redirect_whose_target_holds_the_key_is_said_without_it(first, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-q7Zx0Lk3vB9nT2mR.5Yc8")
    key = "".join(chr(first + ord(c)) for c in "sk-q7Zx0Lk3vB9nT2mR.5Yc8")
    with pytest.raises(ModelError, match=r"-> http://far/\[hidden\]"):
        served(lambda path: http(b"", "308 No", f"Location: http://far/{key}\r\n"), api_key_env="MY_KEY")


@pytest.fixture
def certificate(tmp_path):
    """A server's TLS with a certificate that nobody knows."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=far.example -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return tls


def test_a_certificate_that_is_not_valid_ends_the_work_with_the_way_out(certificate):
    async def post(url):
        async with HttpClient([url], SecretStr(""), 5, 4) as client:
            await client.post(url, "", b"{}", {}, bool)

    reason = r"certificate is not valid \(self-signed.*https://127.*SSL_CERT_FILE"
    with answering(lambda path: http({}), certificate) as port:
        for ask in (served_models, lambda url: asyncio.run(post(url))):
            with pytest.raises(ModelError, match=reason):
                ask(f"https://127.0.0.1:{port}/v1")


@pytest.fixture
def heads(monkeypatch):
    """What a proxy of the environment received, which wants a password."""
    received = []

    def reply(path):
        received.append(path)
        return http(b"", "407 No")

    with answering(reply) as port:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "near.example")
        yield received


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_is_said(heads, scheme):
    with pytest.raises(ModelError, match=r"the proxy wants a password \(status 407\).*127.0.0.1.*NO_PROXY"):
        served_models(f"{scheme}://far.example/v1")


def test_no_key_goes_to_a_proxy_that_would_read_it(heads, monkeypatch):
    monkeypatch.setenv("MY_KEY", "my-own-strange-key")
    with pytest.raises(InputError, match=r"would read the key.*use an https:// address.*NO_PROXY \(far.example\)"):
        served_models("http://far.example/v1", "MY_KEY")
    assert not heads


def test_a_compressed_answer_is_not_asked_for():
    heads = []

    async def answer(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(http({}))
        writer.close()

    async def ask():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        await _get_all(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", SecretStr("own-key"))
        server.close()

    asyncio.run(ask())
    assert len(heads) == 5
    assert all({"Accept-Encoding: identity", "Authorization: Bearer own-key"} < set(h.split("\r\n")) for h in heads)


REASONS = {
    "plain": (lambda path: http({}), "no TLS connection is made .*address with http://"),
    "closed": (lambda path: b"", "closed before the head"),
    "garbage": (lambda path: b"\x15\x03\x01\x00\x02\x02\x46 what", "no HTTP"),
    "two lengths": (lambda path: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "no HTTP"),
}


@pytest.mark.parametrize("name", REASONS)
def test_why_a_server_does_not_answer_is_said(name):
    reply, reason = REASONS[name]
    with answering(reply) as port, pytest.raises(ModelError, match=f"does not answer .*{reason}"):
        served_models(f"{'https' if name == 'plain' else 'http'}://127.0.0.1:{port}/v1")


def test_a_server_that_is_away_and_one_that_has_no_name_say_so():
    for url, reason in (
        ("http://127.0.0.1:9/v1", "cannot be reached"),
        ("http://nosuch.invalid/v1", "cannot be reached"),
    ):
        with pytest.raises(ModelError, match=rf"does not answer \({reason}"):
            served_models(url)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_away_is_named_without_its_password(monkeypatch, scheme):
    monkeypatch.setenv(f"{scheme}_proxy", "http://me:s3cret@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ModelError, match=r"the proxy http://\[hidden\]@127.0.0.1:9 cannot be reached") as caught:
        served_models(f"{scheme}://far.example/v1")
    assert "s3cret" not in str(caught.value)
