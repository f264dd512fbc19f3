"""How long a request waits between its tries."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import SecretStr

from limo.core.records import Problem, Sampling
from limo.models.completer import Request
from limo.models.openai import retry
from limo.models.openai.client import Reply
from limo.models.openai.settings import HttpSettings

ANSWER = json.dumps({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}).encode()


class Client:
    """Gives the scripted replies, then the answer."""

    def __init__(self, replies):
        self.replies = list(replies)

    async def post(self, *_):
        return self.replies.pop(0) if self.replies else Reply(200, ANSWER, False, None)


@pytest.fixture
def waits(monkeypatch):
    """Seconds slept, where every random share of a bound is the whole of it."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(retry.asyncio, "sleep", sleep)
    monkeypatch.setattr(retry.random, "uniform", lambda _, high: high)
    return slept


def complete(replies):
    problem = Problem.make("2+2?", "4")
    request = Request(problem, [{"role": "user", "content": problem.problem}], Sampling(), 0)
    settings = HttpSettings(backoff_s=0.5, retries=20)
    sender = retry.RetryingSender(Client(replies), ["http://a/v1"], "m", settings, SecretStr(""))
    (completion,) = asyncio.run(sender.complete([request]))
    return completion


@pytest.mark.parametrize(
    ("status", "retry_after"), [(429, None), (429, "0"), (429, "-5"), (503, "0"), (529, None)], ids=str
)
def test_a_server_that_stays_busy_is_left_alone_longer_each_time_whatever_it_says(waits, status, retry_after):
    assert complete([Reply(status, b"{}", False, retry_after)] * 9).text == "4"
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_the_time_that_a_server_names_is_waited_for_where_it_is_longer(waits):
    complete([Reply(429, b"{}", False, after) for after in ("7", "0.1", "7")])
    assert waits == [7, 1, 7]


def test_failures_wait_as_long_as_the_setting_says_and_then_twice_as_long(waits):
    complete([Reply(500, b"{}", False, None)] * 3)
    assert waits == [0.5, 1, 2]
