"""The server of recordings takes any request in bounded time and memory, and answers those that it can."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from limo.models.replay_server import MAX_ROLLOUTS, ReplayServer
from rollout_cases import PROBLEMS, N


@pytest.fixture(scope="module")
def url(recording):
    with ReplayServer([recording]).running() as url:
        yield url


def post(url, body, headers=None, path="/chat/completions"):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", parts.path + path, data, headers or {})
    reply = connection.getresponse()
    status, text = reply.status, reply.read()
    connection.close()
    return status, text


def chat(**more):
    return {"model": "m", "messages": [{"role": "user", "content": PROBLEMS[0].problem}], **more}


@pytest.mark.parametrize("n", [10**7, MAX_ROLLOUTS + 1, -1, 2**63, 10**400])
def test_more_rollouts_than_a_request_may_have_are_refused(url, n):
    status, text = post(url, chat(n=n))
    assert status == 400 and len(text) < 500
    assert post(url, chat(), {"X-Limo-Index": ",".join(["0"] * 5000)})[0] == 400


def test_as_many_rollouts_as_a_request_may_have_are_given(url):
    status, text = post(url, chat(n=MAX_ROLLOUTS))
    assert status == 200 and len(json.loads(text)["choices"]) == MAX_ROLLOUTS > N


@pytest.mark.parametrize("gap", ["\n\n", "\n\n\n\n", "\n\n x", "a\n\n"])
def test_a_long_prompt_of_many_paragraphs_is_read_in_little_memory(url, gap):
    import tracemalloc

    prompt = gap * (600_000 // len(gap)) + "\n\n" + PROBLEMS[0].problem
    tracemalloc.start()
    status, _ = post(url, {"model": "m", "prompt": prompt}, path="/completions")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert status in (200, 413, 422) and peak < 100 << 20


def test_a_problem_behind_a_system_text_of_a_few_paragraphs_is_found(url):
    prompt = "Be brief.\n\nThink.\n\n \n\nNow:\n\n" + PROBLEMS[0].problem + "\n\n"
    assert post(url, {"model": "m", "prompt": prompt}, path="/completions")[0] == 200


NONSENSE = [
    b"", b"[]", b"7", b"{}", b"[" * 100_000, b'{"model": {}}', b'{"model": "m"}', b'{"model": "m", "messages": []}',
    b'{"model": "m", "messages": [7]}', b'{"model": "m", "messages": {"role": "user"}}', b"\xff",
    json.dumps(chat(n="many")).encode(), json.dumps(chat(n=[1])).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: ascii(body)[:30])
def test_what_is_no_request_is_refused(url, body):
    assert post(url, body)[0] == 400


@pytest.mark.parametrize("header", ["x", "0,", "-", "1e3", "0" * 5000, "9" * 5000, ",".join("0123")])
def test_indexes_that_are_none_are_refused_or_not_recorded(url, header):
    assert post(url, chat(), {"X-Limo-Index": header})[0] in (200, 400, 422)


def test_a_prompt_that_was_not_recorded_is_refused_with_its_beginning(url):
    message = {"role": "user", "content": "Which of these is prime?\nA. 4\nB. 5 " + "x" * 100}
    status, text = post(url, {"model": "m", "messages": [message]})
    told = json.loads(text)["error"]["message"]
    assert status == 422 and told.startswith("the problem was not recorded: Which of these is prime? A. 4 B. 5 xxx")
    assert told.endswith("x…") and "x" * 80 not in told
