"""How long a request waits between its tries."""

from __future__ import annotations

import asyncio
import json
import re
from itertools import pairwise

import pytest

from limo.core.errors import ModelError, PartialError
from limo.core.records import Problem, Sampling
from limo.models.completer import CANCELLED, Request
from limo.models.openai import retry
from limo.models.openai.client import BadReply, HttpReply, Unreachable
from limo.models.openai.retry import _seconds
from limo.models.openai.settings import HttpSettings

ANSWER = json.dumps({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}).encode()


ASKED = Request(Problem.make("2+2?", "4"), [{"role": "user", "content": "2+2?"}], Sampling(), 0)


class Client:
    """Gives the scripted replies, then the answer."""

    def __init__(self, replies):
        self.replies, self.times, self.urls = list(replies), [], []

    async def post(self, url, *_):
        self.times.append(retry.time.monotonic())
        self.urls.append(url)
        reply = self.replies.pop(0) if self.replies else HttpReply(200, ANSWER, False, None)
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def clock(monkeypatch):
    """Seconds since the start; they pass in sleep alone, and every random share of a bound is the whole of it."""
    now = [1000.0]

    async def sleep(seconds):
        assert seconds < 4000
        now[0] += seconds

    monkeypatch.setattr(retry.asyncio, "sleep", sleep)
    monkeypatch.setattr(retry.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retry.random, "uniform", lambda _, high: high)
    return now


def complete(replies, urls=("http://a/v1",), **changes):
    """The completion, and the times that passed between the requests."""
    problem = Problem.make("2+2?", "4")
    request = Request(problem, [{"role": "user", "content": problem.problem}], Sampling(), 0)
    settings = HttpSettings(**{"backoff_s": 0.5, "retries": 20} | changes)
    client = Client(replies)
    sender = retry.RetryingSender(client, urls, "m", settings)
    (completion,) = asyncio.run(sender.complete([request]))
    return completion, [later - sooner for sooner, later in pairwise(client.times)]


def busy(retry_after, status=429):
    return HttpReply(status, b"{}", False, retry_after)


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(429, None), (429, "0"), (429, "-5"), (429, PAST), (429, "nan"), (429, "soon"), (429, "1e-9"), (503, "0"),
     (503, PAST), (503, "-inf"), (529, None)], ids=str,
)  # fmt: skip
def test_a_server_that_stays_busy_is_left_alone_longer_each_time_whatever_it_names(clock, status, retry_after):
    completion, waits = complete([busy(retry_after, status)] * 9)
    assert completion.text == "4"
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 60, 60])


@pytest.mark.parametrize("retry_after", ["0", "-1", PAST, "1e-9", "", None, "nan", "2", "inf", "1e999", "99999999"])
@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_server_that_is_busy_for_ever_ends_the_run_after_few_requests(clock, status, retry_after, caplog):
    replies = [busy(retry_after, status)] * 10_000
    if status == 503 and not retry_after:  # then it is a failure like any other
        assert complete(replies, retries=3)[0].finish_reason == "error"
        return
    with pytest.raises(PartialError, match="no server has given a completion"):
        complete(replies, patience_s=300)
    assert clock[0] - 1000 < 3600 + 300 + 4000
    assert "no server answers" in caplog.text


def test_the_time_that_a_server_names_is_waited_for_where_it_is_longer(clock):
    _, waits = complete([busy("7"), busy("0.1"), busy("7")])
    assert waits[0] >= 7 and waits[1] == 1 and waits[2] >= 7 and max(waits) <= 8


def test_a_request_goes_to_a_free_server_while_another_one_names_a_time(clock):
    completion, waits = complete([busy("600")], urls=("http://a/v1", "http://b/v1"))
    assert completion.text == "4" and waits == [0]
    completion, waits = complete([busy("600"), busy("600")], urls=("http://a/v1", "http://b/v1"))
    assert completion.text == "4" and waits[0] == 0 and 600 <= waits[1] < 602


def test_failures_wait_as_long_as_the_setting_says_and_then_twice_as_long(clock):
    assert complete([HttpReply(500, b"{}", False, None)] * 3)[1] == pytest.approx([0.5, 1, 2])


@pytest.mark.parametrize(
    "failure", [BadReply("reset"), HttpReply(500, b"{}", False, None), Unreachable("refused")], ids=str
)
def test_a_request_that_failed_goes_to_the_server_at_which_it_has_not(clock, failure):
    for _ in range(20):  # which server comes first is drawn
        client = Client([failure])
        sender = retry.RetryingSender(client, ["http://a/v1", "http://b/v1"], "m", HttpSettings())
        (completion,) = asyncio.run(sender.complete([ASKED]))
        assert completion.text == "4" and len(set(client.urls)) == 2


def test_an_error_of_one_choice_is_clean_and_holds_no_prompt(clock):
    choices = [
        {"index": 0, "message": {"content": {"a": "What is 2 plus 2?\x1b[2J"}}},
        {"index": 1, "message": {"content": "4"}},
    ]
    client = Client([HttpReply(200, json.dumps({"choices": choices}).encode(), False, None)])
    sender = retry.RetryingSender(client, ["http://a/v1"], "m", HttpSettings())
    problem = Problem.make("What is 2 plus 2?", "4")
    chat = [{"role": "user", "content": problem.problem}]
    bad, good = asyncio.run(sender.complete([Request(problem, chat, Sampling(), index) for index in (0, 1)]))
    assert (bad.finish_reason, good.text, len(client.urls)) == ("error", "4", 1)
    assert "is no text" in bad.error and "[hidden]" in bad.error and bad.error.isprintable()


@pytest.mark.parametrize("n_ended", [0, 1, 2])
def test_a_stream_that_breaks_when_all_completions_have_ended_is_paid_for_once(clock, n_ended):
    n_requests = []

    class Broken:
        async def post(self, url, path, body, headers, feed, deadline_s):
            n_requests.append(url)
            for k in range(n_ended):
                choice = {"index": k, "delta": {"content": str(k)}, "finish_reason": "stop"}
                feed(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            raise BadReply("silent for 1800 s")

    sender = retry.RetryingSender(Broken(), ["http://a/v1"], "m", HttpSettings(retries=1, stream=True))
    problem = Problem.make("2+2?", "4")
    chat = [{"role": "user", "content": problem.problem}]
    found = asyncio.run(sender.complete([Request(problem, chat, Sampling(), index) for index in (0, 1)]))
    if n_ended == 2:
        assert [c.text for c in found] == ["0", "1"] and len(n_requests) == 1
    else:
        assert {c.finish_reason for c in found} == {"error"} and len(n_requests) == 2


QUOTA = b'{"error": {"message": "You exceeded your current quota", "%s": "insufficient_quota"}}'


class Streaming:
    """Feeds what it is given to the reader of a stream."""

    def __init__(self, *parts):
        self.parts, self.n_requests = parts, 0

    async def post(self, url, path, body, headers, feed, deadline_s):
        self.n_requests += 1
        for part in self.parts:
            feed(part)
        return HttpReply(200, b"", True, None)


@pytest.mark.parametrize("key", [b"type", b"code"])
@pytest.mark.parametrize("status", [200, 403, 429, 500, 503])
def test_a_quota_that_is_spent_ends_the_work_whatever_the_status_that_it_comes_with(clock, key, status):
    client = Client([HttpReply(status, QUOTA % key, False, None)] * 9)
    sender = retry.RetryingSender(client, ["http://a/v1"], "m", HttpSettings())
    with pytest.raises(ModelError, match=r"wants to be paid.*current quota"):
        asyncio.run(sender.complete([ASKED]))
    assert len(client.urls) == 1


@pytest.mark.parametrize("event", [b"data: ", b"event: error\ndata: "])
def test_a_quota_that_is_spent_ends_the_work_in_a_stream_too(clock, event):
    client = Streaming(event + QUOTA % b"code" + b"\n\n")
    sender = retry.RetryingSender(client, ["http://a/v1"], "m", HttpSettings(stream=True))
    with pytest.raises(ModelError, match=r"wants to be paid.*current quota"):
        asyncio.run(sender.complete([ASKED]))
    assert client.n_requests == 1
    ended = b'data: {"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]}\n\n'
    client.parts = (ended, *client.parts)  # what is whole is kept
    assert [c.text for c in asyncio.run(sender.complete([ASKED]))] == ["4"]


@pytest.mark.parametrize("reply", [(200, b""), (200, b" \n"), (204, b""), (304, b"")], ids=str)
def test_an_empty_reply_is_told_as_one(clock, reply):
    assert complete([HttpReply(500, b"\n", False, None)], retries=0)[0].error == "status 500"
    status, body = reply
    completion, waits = complete([HttpReply(status, body, False, None)] * 3, retries=2)
    assert completion.error == f"the reply is empty (status {status})" and len(waits) == 2
    with pytest.raises(PartialError, match=r"the reply is empty.*check the servers and their addresses"):
        complete([HttpReply(status, body, False, None)] * 99, retries=99, patience_s=9)


def test_after_a_stop_nothing_more_is_sent_and_what_is_open_has_a_known_end(clock):
    """A server that ignores n: of what is left to request one by one, nothing is."""
    settings = HttpSettings(n_per_request=3, timeout_s=60, min_tokens_per_s=10)
    sender = retry.RetryingSender(Client([]), ["http://a/v1"], "m", settings)

    class Stopping(Client):
        async def post(self, *request):
            assert sender.longest_s == pytest.approx(60 + 3 * ASKED.sampling.max_tokens / 10)
            sender.stop_waiting()
            return await super().post(*request)

    sender.client = client = Stopping([])
    found = asyncio.run(sender.complete([ASKED] * 3))
    assert [c.finish_reason for c in found] == ["stop", CANCELLED, CANCELLED] and len(client.urls) == 1


REFUSED = Unreachable("cannot be reached (Connection refused)")


def test_servers_that_were_never_reached_end_the_run_within_seconds(clock):
    for urls in (["http://a/v1"], ["http://a/v1", "http://b/v1"]):
        began = clock[0]
        with pytest.raises(PartialError, match=r"Connection refused.*start one, or correct its address") as ended:
            complete([REFUSED] * 1000, urls)
        assert 5 <= clock[0] - began < 5.1, ended


def test_one_that_is_still_loading_is_waited_for_as_long_as_the_setting_says(clock):
    completion, waits = complete([REFUSED] * 8, start_patience_s=300)
    assert completion.text == "4" and sum(waits) > 40


@pytest.mark.parametrize("first", [BadReply("reset"), busy(None), HttpReply(500, b"{}", False, None)], ids=str)
def test_one_that_was_reached_once_gets_the_whole_patience(clock, first):
    completion, waits = complete([first, *[REFUSED] * 8])
    assert completion.text == "4" and sum(waits) > 40


@pytest.mark.parametrize("failure", [REFUSED, busy(None), HttpReply(502, b"{}", False, None)], ids=str)
@pytest.mark.parametrize(("patience_s", "backoff_s"), [(6, 0.5), (20, 0.5), (6, 60), (100, 5)])
def test_the_patience_is_not_overrun_by_the_wait_before_the_next_try(clock, failure, patience_s, backoff_s, caplog):
    first = HttpReply(200, ANSWER, False, None)
    client = Client([first, *[failure] * 1000])
    settings = HttpSettings(patience_s=patience_s, backoff_s=backoff_s, retries=100)
    sender = retry.RetryingSender(client, ["http://a/v1"], "m", settings)
    asyncio.run(sender.complete([ASKED]))
    began = clock[0]
    with pytest.raises(PartialError, match="no server has given a completion"):
        asyncio.run(sender.complete([ASKED]))
    assert patience_s <= clock[0] - began < patience_s + 0.1
    waits = re.findall(r"waiting for one, (\d+) s at most", caplog.text)
    assert all(int(wait_s) < patience_s for wait_s in waits) and len(waits) == (patience_s > 6)


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [("7", 7), (" 1.5 ", 1.5), ("7200", 3600), ("0", 0), ("-3", 0), (None, 0), ("", 0)]
    + [(nonsense, 0) for nonsense in ("1e999", "1" + "0" * 26, "inf", "nan", "\uff17", "0x10", "1_0", "9" * 4000)]
    + [(date, 0) for date in ("Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 99 Dec 2026")],
)
def test_a_wait_that_no_server_means_is_none(retry_after, wait_s):
    assert _seconds(retry_after) == wait_s
