"""Served models: every answer once whatever goes wrong on the way, and nothing secret in what is written."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from limo.core.errors import InputError, ModelError, PartialError
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, describe_line
from limo.core.prompts import messages
from limo.core.records import Sampling
from limo.ledger.store import Ledger
from limo.models.completer import CANCELLED, Request
from limo.models.openai.completer import SPARE_FILES, HttpCompleter
from limo.models.openai.settings import HttpSettings
from limo.models.replay import ReplayCompleter
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.rollouts.collect import CollectionStopped, collect_rollouts
from rollout_cases import PROBLEMS, Exact, N

KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


def quick(**changes):
    return HttpSettings(**{"backoff_s": 0.01, "timeout_s": 5.0, "in_flight": 32, "patience_s": 0.3} | changes)


def requests(n=N, problems=PROBLEMS):
    return [Request(p, messages(p.problem), Sampling(), index) for p in problems for index in range(n)]


def answers(completer, requested):
    return {(r.problem.id, r.index): c for group in completer.complete(iter(requested)) for r, c in group}


def content(found):
    return {key: (c.text, c.reasoning, c.finish_reason) for key, c in found.items()}


@pytest.fixture(scope="module")
def recorded(recording):
    return content(answers(ReplayCompleter([recording], "m"), requests()))


@contextmanager
def serving(handler):
    """A server that answers each request with what `handler(request, body)` gives."""
    from aiohttp import web

    async def handle(request):
        data = await request.read()
        return await handler(request, json.loads(data) if data else {})

    loop, ready, stop, ports = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), []

    async def serve():
        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{ports[0]}/v1"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def reply_of(text="4", **more):
    from aiohttp import web

    message = {"role": "assistant", "content": text} | more
    return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("n_per_request", [1, 3])
def test_what_was_recorded_comes_back_by_problem_and_index(recording, recorded, stream, n_per_request):
    server = ReplayServer([recording])
    room = len(PROBLEMS) * N  # for all of them at once: where it ends between two rollouts, these travel apart
    settings = quick(stream=stream, n_per_request=n_per_request, in_flight=room)
    with server.running() as url:
        found = answers(HttpCompleter([url], "m", settings=settings), requests())
    assert content(found) == recorded
    fewest = len(PROBLEMS) * -(-N // n_per_request)
    assert server.n_requests == fewest
    assert sum(c.n_completion_tokens for c in found.values()) == 30 * len(found)


def test_plain_completions_are_requested_by_text(recording, recorded):
    with ReplayServer([recording]).running() as url:
        found = answers(HttpCompleter([url], "m", settings=quick(endpoint="completions")), requests())
    assert {key: c.text for key, c in found.items()} == {key: text for key, (text, _, _) in recorded.items()}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", ["429", "500", "reset", "half", "drip", "type"])
def test_each_fault_is_overcome(recording, recorded, fault, stream):
    server = ReplayServer([recording], ReplayServerSettings(faults={fault: 0.3}, retry_after_s=0.01, drip_s=9))
    some = requests(2)
    with server.running() as url:
        settings = quick(stream=stream, timeout_s=0.4 if fault == "drip" else 2.0, retries=40, patience_s=60)
        found = content(answers(HttpCompleter([url], "m", settings=settings), some))
    assert found == {key: recorded[key] for key in found} and len(found) == len(some)
    assert server.n_requests > len(some)


def test_under_mixed_faults_the_decisions_are_those_of_the_whole_table(recording, tmp_path):
    band = PassRateBand(2, 5, N)
    with Ledger(tmp_path / "whole.sqlite") as ledger:
        whole = collect_rollouts(ledger, ReplayCompleter([recording], "m"), PROBLEMS, Exact(), n=N)
    wanted = {name: "keep" if 2 <= rate.n_correct <= 5 else "drop" for name, rate in whole.items()}
    assert set(wanted.values()) == {"keep", "drop"}
    faults = {"429": 0.02, "500": 0.02, "reset": 0.02, "half": 0.02, "type": 0.02}
    server = ReplayServer([recording], ReplayServerSettings(faults=faults, retry_after_s=0.01))
    with server.running() as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=quick(retries=19, patience_s=60))
        rates = collect_rollouts(ledger, completer, PROBLEMS, Exact(), n=N, band=band)
        assert {name: rate.decision for name, rate in rates.items()} == wanted
        assert len(ledger) < N * len(PROBLEMS)
        assert server.n_requests > len(ledger)


def test_the_load_goes_to_the_server_that_is_free(recording, recorded):
    slow, fast = ReplayServer([recording], ReplayServerSettings(latency_s=0.3)), ReplayServer([recording])
    with slow.running() as one, fast.running() as other:
        found = answers(HttpCompleter([one, other], "m", settings=quick(in_flight=4)), requests())
    assert content(found) == recorded
    assert 0 < slow.n_requests < fast.n_requests / 4


def test_a_server_that_is_away_costs_nothing_while_another_works(recording, recorded):
    with ReplayServer([recording]).running() as url:
        away = "http://127.0.0.1:9/v1"
        found = answers(HttpCompleter([away, url], "m", settings=quick(retries=0, patience_s=60)), requests())
    assert content(found) == recorded


def test_the_user_hears_once_that_no_server_answers_before_patience_ends(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr("limo.models.openai.retry.WARN_AFTER_S", 0.01)
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(PartialError):
        away = HttpCompleter(["http://127.0.0.1:9/v1"], "m", settings=quick())
        collect_rollouts(ledger, away, PROBLEMS, Exact(), n=2)
    (message,) = [record.getMessage() for record in caplog.records if record.name == "limo.models.openai.retry"]
    assert "no server answers (http://127.0.0.1:9/v1: cannot be reached" in message


WAITS = {
    "a server that does not answer": ({}, r"whose oldest request is open for \d+ s"),
    "one that names a time": (
        {"status": 429, "headers": {"Retry-After": "120"}},
        r"which wants no request for 1[12]\d s",
    ),
    "one that fails": ({"status": 500}, r"which fails \(status 500"),
}


@pytest.mark.parametrize("case", WAITS)
def test_a_quiet_stage_says_what_it_waits_for_until_something_comes(monkeypatch, tmp_path, case):
    from aiohttp import web

    monkeypatch.setattr("limo.models.openai.completer.QUIET_S", 0.05)
    reply, words = WAITS[case]
    shown, n_quiet, may_answer = [], 3, threading.Event()

    class Display(NoProgress):
        def show(self, event):
            shown.append(describe_line(event))
            if sum(bool(re.search(words, line)) for line in shown) == n_quiet and not may_answer.is_set():
                may_answer.set()
                if reply.get("headers"):  # nobody waits two minutes here
                    signal.raise_signal(signal.SIGINT)

    async def answer(request, body):
        while not may_answer.is_set():
            if reply:
                return web.Response(**reply)
            await asyncio.sleep(0.01)
        return reply_of()

    settings = quick(retries=100, patience_s=60, start_patience_s=60, in_flight=1)
    with Ledger(tmp_path / "ledger.sqlite") as ledger, serving(answer) as url:
        completer = HttpCompleter([url], "m", settings=settings)
        try:
            collect_rollouts(ledger, completer, PROBLEMS[:2], Exact(), n=1, progress=Display())
        except CollectionStopped:
            assert reply.get("headers")
        else:
            assert "waiting" not in shown[-1] and "waiting" not in shown[-2]
    told = [line for line in shown if re.search(rf"^rollouts of m: .*waiting for {url}, {words}", line)]
    assert len(told) >= n_quiet, shown


def test_servers_that_stay_away_stop_the_run_which_then_goes_on(recording, tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(PartialError, match=r"no server has given a completion.*127\.0\.0\.1:9"):
            away = HttpCompleter(["http://127.0.0.1:9/v1"], "m", settings=quick())
            collect_rollouts(ledger, away, PROBLEMS, Exact(), n=2)
        assert len(ledger) == 0  # no rollout is blamed for it
        with ReplayServer([recording]).running() as url:
            collect_rollouts(ledger, HttpCompleter([url], "m", settings=quick()), PROBLEMS, Exact(), n=2)
        assert len(ledger) == 2 * len(PROBLEMS)


def test_what_was_cancelled_comes_back_as_such_and_the_rest_as_it_is(recording):
    server = ReplayServer([recording], ReplayServerSettings(latency_s=0.5))
    requested = requests(2)
    with server.running() as url:
        completer = HttpCompleter([url], "m", settings=quick(in_flight=100))
        later = threading.Timer(0.1, completer.cancel, [[PROBLEMS[0].id, PROBLEMS[1].id]])
        later.start()
        found = answers(completer, requested)
    gone = {name for (name, _), c in found.items() if c.finish_reason == CANCELLED}
    assert gone == {PROBLEMS[0].id, PROBLEMS[1].id}
    assert len(found) == len(requested)


def test_what_is_cancelled_before_it_began_comes_back_too(recording):
    def requested():
        completer._open._loop.call_soon_threadsafe(time.sleep, 0.2)  # the loop finds both at once when it comes back
        yield from requests(1)[:2]
        yield None  # for now nothing: what was requested goes out
        completer.cancel([PROBLEMS[0].id])

    found = {}
    with ReplayServer([recording]).running() as url:
        completer = HttpCompleter([url], "m", settings=quick())
        requesting = threading.Thread(target=lambda: found.update(answers(completer, requested())), daemon=True)
        requesting.start()
        requesting.join(10)
    assert {key: c.finish_reason for key, c in found.items()} == {
        (PROBLEMS[0].id, 0): CANCELLED,
        (PROBLEMS[1].id, 0): "stop",
    }


def test_requesting_ahead_cancels_what_is_decided_meanwhile_and_counts_it(tmp_path):
    some = PROBLEMS[:3]

    async def handler(request, body):
        if request.headers["X-Limo-Index"] != "0":
            await asyncio.sleep(60)
        return reply_of(next(p.answer for p in some if p.problem == body["messages"][-1]["content"]))

    with serving(handler) as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=quick(speculative=True, timeout_s=90))
        rates = collect_rollouts(ledger, completer, some, Exact(), n=N, band=PassRateBand(0, 0, N))
        assert [rate.decision for rate in rates.values()] == ["drop"] * 3
        assert (len(ledger), ledger.n_lost("m")) == (3, 3 * (N - 1))


def test_a_problem_that_no_try_brings_home_is_an_error_with_what_came(recording):
    server = ReplayServer([recording], ReplayServerSettings(faults={"reset": 1.0}))
    long = [r for r in requests(1) if r.index % 3 == 0][:1]
    with server.running() as url:
        settings = quick(stream=True, retries=1, patience_s=60)
        (found,) = answers(HttpCompleter([url], "m", settings=settings), long).values()
    assert found.finish_reason == "error" and "ends within a chunk" in found.error
    assert (found.reasoning, found.text) == ("Ship 0, thought 0.", "")  # the second half was not there when it broke


def test_what_failed_is_requested_again_at_the_next_start(recording, tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with ReplayServer([recording], ReplayServerSettings(faults={"500": 1.0})).running() as url:
            settings = quick(retries=0, patience_s=60)
            collect_rollouts(ledger, HttpCompleter([url], "m", settings=settings), PROBLEMS, Exact(), n=1)
            assert {r.completion.finish_reason for r in ledger.rollouts()} == {"error"}
        server = ReplayServer([recording])
        with server.running() as url:
            collect_rollouts(ledger, HttpCompleter([url], "m", settings=settings), PROBLEMS, Exact(), n=1)
        assert {r.completion.finish_reason for r in ledger.rollouts()} == {"stop"}


def test_the_body_says_what_the_recipe_says():
    bodies = []

    async def handler(request, body):
        bodies.append((request.path, request.headers.get("Authorization"), body))
        return reply_of()

    sampling = Sampling(0.6, 0.95, 77, 3, ("\nQ:",))
    two = [Request(PROBLEMS[0], messages(PROBLEMS[0].problem), sampling, index) for index in (0, 1)]
    with serving(handler) as url:
        settings = quick(extra={"top_p": None, "repetition_penalty": 1.1}, in_flight=1)
        answers(HttpCompleter([url + "/"], "served", settings=settings), two)
    (path, key, first), (_, _, second) = bodies
    assert path == "/v1/chat/completions" and key is None
    assert first["model"] == "served" and first["messages"] == messages(PROBLEMS[0].problem)
    assert (first["temperature"], first["max_tokens"], first["stop"]) == (0.6, 77, ["\nQ:"])
    assert "top_p" not in first and first["repetition_penalty"] == 1.1 and "n" not in first
    assert first["seed"] != second["seed"] and 0 <= first["seed"] < 2**31


def test_a_server_that_ignores_n_gets_requests_one_by_one(recording):
    n_sent = []

    async def handler(request, body):
        n_sent.append(body.get("n", 1))
        return reply_of(str(len(n_sent)))

    with serving(handler) as url:
        settings = quick(n_per_request=4, in_flight=4)
        found = answers(HttpCompleter([url], "m", settings=settings), requests(4, PROBLEMS[:2]))
    assert len(found) == 8 and {c.finish_reason for c in found.values()} == {"stop"}
    assert n_sent[0] == 4 and n_sent.count(4) <= 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "wants a key, and none was sent .*--api-key-env NAME"),
        (402, "wants to be paid: .*or use another key; what has come is kept"),
        (413, "refuses every request.*too long for the server.*longest problems"),
        (404, "has no such model"),
        (307, "redirects are not followed.*status 307, to http://x: no"),
        (407, "the proxy wants a password"),
        (400, "refuses every request"),
    ],
)
def test_what_can_never_work_stops_at_once_in_one_line(status, words):
    from aiohttp import web

    async def handler(request, body):
        return web.json_response({"error": {"message": "no"}}, status=status, headers={"Location": "http://x"})

    with serving(handler) as url, pytest.raises(ModelError, match=words) as caught:
        answers(HttpCompleter([url], "m", settings=quick()), requests())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["type", "code"])
@pytest.mark.parametrize("retry_after", [{}, {"Retry-After": "3600"}])
def test_a_quota_that_is_used_up_stops_at_once_and_is_not_waited_for(key, retry_after):
    from aiohttp import web

    n_sent = []

    async def handler(request, body):
        n_sent.append(1)
        error = {"message": "You exceeded your current quota", key: "insufficient_quota"}
        return web.json_response({"error": error}, status=429, headers=retry_after)

    with serving(handler) as url, pytest.raises(ModelError, match=r"wants to be paid.*status 429.*current quota"):
        answers(HttpCompleter([url], "m", settings=quick(in_flight=1)), requests())
    assert len(n_sent) == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_n_is_told_how_it_answers(status):
    from aiohttp import web

    async def handler(request, body):
        return web.json_response({"error": "n must be 1"}, status=status) if body.get("n", 1) > 1 else reply_of()

    with serving(handler) as url:
        some = requests(4, PROBLEMS[:1])
        refused = answers(HttpCompleter([url], "m", settings=quick(n_per_request=4)), some)
        assert {c.finish_reason for c in refused.values()} == {"error"}
        assert all("n_per_request: 1" in c.error for c in refused.values())
        assert {c.text for c in answers(HttpCompleter([url], "m", settings=quick()), some).values()} == {"4"}


@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_a_completion_with_another_status_of_success_is_taken(status):
    async def handler(request, body):
        reply = reply_of()
        reply.set_status(status)
        return reply

    with serving(handler) as url:
        found = answers(HttpCompleter([url], "m", settings=quick()), requests(1, PROBLEMS[:1]))
    assert [c.text for c in found.values()] == ["4"]


@pytest.mark.parametrize("status", [401, 402, 404, 307])
def test_a_refusal_by_one_server_throws_away_nothing_that_another_works_on(status):
    from aiohttp import web

    n_sent = [0, 0]

    async def refuse(request, body):
        n_sent[0] += 1
        await asyncio.sleep(0.05)
        return web.json_response({"error": "no"}, status=status, headers={"Location": "http://x"})

    async def answer(request, body):
        n_sent[1] += 1
        await asyncio.sleep(0.3)
        return reply_of()

    found = []
    with serving(refuse) as one, serving(answer) as other, pytest.raises(ModelError, match=rf"(?=.*{status}).*{one}: "):
        completer = HttpCompleter([one, other], "m", settings=quick(in_flight=8))
        for group in completer.complete(iter(requests())):
            found += [completion for _, completion in group if completion.finish_reason == "stop"]
    assert n_sent[0] and len(found) == n_sent[1] > 0  # and nothing more is sent


def test_one_refused_request_is_data_with_its_reason():
    from aiohttp import web

    async def handler(request, body):
        if PROBLEMS[3].problem in body["messages"][-1]["content"]:
            return web.json_response({"error": "the prompt is too long"}, status=400)
        return reply_of()

    with serving(handler) as url:
        found = answers(HttpCompleter([url], "m", settings=quick()), requests(1))
    refused = [c for c in found.values() if c.finish_reason == "error"]
    assert len(refused) == 1 and refused[0].error == "status 400: the prompt is too long"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_thought_is_kept_apart_under_either_name(name):
    async def handler(request, body):
        return reply_of("so 4", **{name: "two and two"})

    with serving(handler) as url:
        (found,) = answers(HttpCompleter([url], "m", settings=quick()), requests(1, PROBLEMS[:1])).values()
    assert (found.text, found.reasoning) == ("so 4", "two and two")
    assert found.full_text == "<think>\ntwo and two\n</think>\n\nso 4"


HOSTILE = [
    "[]", "null", "{}", '{"choices": []}', '{"choices": [null]}', '{"choices": [{"message": {"content": 7}}]}',
    '{"choices": [{"message": {"content": "4"}, "finish_reason": "abort"}]}', "[" * 100_000, '{"choices": "no"}',
    '{"choices": [{"index": "x", "message": {"content": "4"}}]}', '{"choices": [{}]}', "\x00", "",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:30])
def test_nonsense_is_never_taken_for_a_completion(text):
    from aiohttp import web

    async def handler(request, body):
        return web.Response(text=text, content_type="application/json")

    with serving(handler) as url:
        settings = quick(retries=1, patience_s=60)
        (found,) = answers(HttpCompleter([url], "m", settings=settings), requests(1, PROBLEMS[:1])).values()
    assert found.finish_reason == "error" and found.text == "" and found.error


@pytest.mark.parametrize("count", [-5, 2**70, "x", None])
def test_counts_that_cannot_be_are_not_believed(count):
    from aiohttp import web

    async def handler(request, body):
        return web.json_response({"choices": [{"message": {"content": "4"}}], "usage": {"completion_tokens": count}})

    with serving(handler) as url:
        (found,) = answers(HttpCompleter([url], "m", settings=quick()), requests(1, PROBLEMS[:1])).values()
    assert (found.text, found.n_completion_tokens, found.is_estimated) == ("4", 1, True)


def test_keys_and_prompts_are_not_in_what_is_written_or_reply_of(tmp_path, monkeypatch, caplog):
    """The server repeats key and prompt in its errors, as some do."""
    from aiohttp import web

    monkeypatch.setenv("MY_KEY", "my-own-strange-key")

    async def handler(request, body):
        text = f"bad: {dict(request.headers)} {json.dumps(body)} {KEY} http://user:pass@host/"
        return web.json_response({"error": {"message": text}}, status=422)

    caplog.set_level(logging.DEBUG)
    with serving(handler) as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        settings = quick(api_key_env="MY_KEY")
        completer = HttpCompleter([url], "m", settings=settings)
        collect_rollouts(ledger, completer, PROBLEMS[:3], Exact(), n=1)
        errors = [r.completion.error for r in ledger.rollouts()]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("utf-8", "replace")
    for secret in ("my-own-strange-key", KEY, "user:pass", PROBLEMS[0].problem):
        assert secret not in written + caplog.text + repr(completer.key) + repr(vars(completer))
    assert len(errors) == 3 and all("[hidden]" in error for error in errors)


ROADS = {
    "an error": lambda key: {"error": {"message": f"no such key: {key}"}, "status": 422},
    "an error, escaped": lambda key: {"error": "".join(f"\\u{ord(c):04x}" for c in key), "status": 400},
    "an error, cut": lambda key: {"error": "x " * 140 + key, "status": 400},
    "a failure": lambda key: {"error": {"code": key, "message": [key]}, "status": 500},
    "a finish reason": lambda key: {"choices": [{"message": {"content": "4"}, "finish_reason": key}]},
    "a text": lambda key: {"choices": [{"message": {"content": f"4 {key}", "reasoning": key}}]},
    "no text": lambda key: {"choices": [{"message": {"content": {"key": key}}}]},
    "no choices": lambda key: {"key": key},
    "an error without a message": lambda key: {"detail": [{"type": "string_type", "input": {key: 1}}], "status": 422},
    "an error of a completion": lambda key: {"choices": [{"message": {"content": "4"}, "error": {"input": key}}]},
    "an index": lambda key: {"choices": [{"index": key, "message": {"content": "4"}}]},
    "a finish reason that is no text": lambda key: {
        "choices": [{"message": {"content": "4"}, "finish_reason": {"a": key}}]
    },
}


@pytest.mark.parametrize("key", ["my-own-strange-key", "q7Z+x/0Lk3vB9n", "q7Zx0"])
@pytest.mark.parametrize("road", ROADS)
def test_a_key_that_the_server_repeats_is_in_no_file_and_no_message(tmp_path, monkeypatch, caplog, road, key):
    from aiohttp import web

    monkeypatch.setenv("MY_KEY", key)
    reply = ROADS[road](key)

    async def handler(request, body):
        return web.json_response(reply, status=reply.get("status", 200))

    caplog.set_level(logging.DEBUG)
    with serving(handler) as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=quick(api_key_env="MY_KEY", retries=0))
        collect_rollouts(ledger, completer, PROBLEMS[:2], Exact(), n=1)
        stored = [r.completion for r in ledger.rollouts()]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("utf-8", "replace")
    if road != "a text" or len(key) >= 12:  # a short key is a word that a completion may hold
        assert key not in written + caplog.text + repr(stored) and len(stored) == 2
        assert road == "an error, cut" or "[hidden]" in repr(stored)


ALTERED = {
    "in tag letters": lambda key: "".join(chr(0xE0000 + ord(c)) for c in key),
    "in variation selectors": lambda key: "".join(chr(0xE00F0 + ord(c)) for c in key),
    "in full width": lambda key: "".join(chr(0xFEE0 + ord(c)) for c in key),
    "in bold": lambda key: "".join(chr(0x1D400 + ord(c) - 65) if c.isupper() else c for c in key),
}


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize("road", [one for one in ROADS if "escaped" not in one and "cut" not in one])
def test_a_key_in_other_letters_is_masked_before_it_is_written(tmp_path, monkeypatch, caplog, road, altered):
    """An escape that our messages write, or a cut, comes behind the mask."""
    from aiohttp import web

    key = "my-OWN-strange-KEY"
    written_so = ALTERED[altered](key)
    forms = {written_so, ascii(written_so)[1:-1], json.dumps(written_so)[1:-1], repr(written_so.encode())[2:-1]}
    monkeypatch.setenv("MY_KEY", key)
    reply = ROADS[road](written_so)

    async def handler(request, body):
        return web.json_response(reply, status=reply.get("status", 200))

    caplog.set_level(logging.DEBUG)
    with serving(handler) as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=quick(api_key_env="MY_KEY", retries=0))
        collect_rollouts(ledger, completer, PROBLEMS[:1], Exact(), n=1)
        stored = repr([r.completion for r in ledger.rollouts()])
    ends = {end for form in forms for end in (form[: len(form) // 2], form[len(form) // 2 :])}
    assert not any(end in text for end in ends for text in (stored, caplog.text)) and "[hidden]" in stored


@pytest.mark.parametrize("status", [401, 404, 400])
def test_a_key_that_the_server_repeats_is_not_in_the_errors_behind_an_error(monkeypatch, status):
    import traceback

    from aiohttp import web

    monkeypatch.setenv("MY_KEY", "q7Zx+0Lk3")

    async def handler(request, body):
        return web.json_response({"error": "no such key: q7Zx+0Lk3, q7Zx%2B0Lk3"}, status=status)

    with serving(handler) as url, pytest.raises(ModelError) as caught:
        answers(HttpCompleter([url], "m", settings=quick(api_key_env="MY_KEY")), requests())
    errors = [caught.value]
    while errors[-1].__context__ is not None:
        errors.append(errors[-1].__context__)
    assert "q7Zx" not in "".join(map(str, errors)) + "".join(traceback.format_exception(caught.value))


def test_control_characters_of_a_server_are_shown_as_marks(tmp_path, caplog):
    from aiohttp import web

    async def handler(request, body):
        return web.json_response({"error": "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\x9b31m"}, status=503)

    with serving(handler) as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=quick(retries=0, patience_s=60))
        collect_rollouts(ledger, completer, PROBLEMS[:1], Exact(), n=1)
        (rollout,) = ledger.rollouts()
    assert rollout.completion.error.isprintable() and "\\x1b[2J" in rollout.completion.error


def test_an_end_of_the_servers_own_is_kept_and_requested_again_only_on_demand(tmp_path):
    from aiohttp import web

    replies = ["content_filter", "tool_calls", "stop"]

    async def handler(request, body):
        return web.json_response({"choices": [{"message": {"content": "0"}, "finish_reason": replies.pop(0)}]})

    with serving(handler) as url, Ledger(tmp_path / "ledger.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=quick(in_flight=1))
        for retry_errors, left, reason in (
            (False, 2, "other"),
            (False, 2, "other"),
            (True, 1, "other"),
            (True, 0, "stop"),
        ):
            rates = collect_rollouts(ledger, completer, PROBLEMS[:1], Exact(), n=1, retry_errors=retry_errors)
            assert len(replies) == left
            assert [r.completion.finish_reason for r in ledger.rollouts()] == [reason]
    assert rates[PROBLEMS[0].id].n_correct == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_completions_that_a_server_does_not_number_are_each_taken_once(stream):
    from aiohttp import web

    sent = []

    async def handler(request, body):
        texts = [f"{len(sent) + k}" for k in range(body.get("n", 1))]
        sent.extend(texts)
        choices = [{"index": 0, "message": {"content": text}, "finish_reason": "stop"} for text in texts]
        if not stream:
            return web.json_response({"choices": choices})
        events = [{"choices": [{"index": 0, "delta": {"content": c["message"]["content"]}}]} for c in choices]
        events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]} for _ in choices]
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return web.Response(text=body, content_type="text/event-stream")

    with serving(handler) as url:
        settings = quick(stream=stream, n_per_request=4, in_flight=4, retries=0)
        found = answers(HttpCompleter([url], "m", settings=settings), requests(4, PROBLEMS[:3]))
    texts = [completion.text for completion in found.values()]
    assert len(set(texts)) == 12 and set(texts) <= set(sent)
    assert stream or len(sent) == 12  # whole replies: nothing paid for is thrown away


def test_the_key_reaches_the_server_and_a_missing_one_is_named(monkeypatch):
    keys = []

    async def handler(request, body):
        keys.append(request.headers.get("Authorization"))
        return reply_of()

    monkeypatch.setenv("MY_KEY", KEY)
    with serving(handler) as url:
        answers(HttpCompleter([url], "m", settings=quick(api_key_env="MY_KEY")), requests(1, PROBLEMS[:1]))
    assert keys == [f"Bearer {KEY}"]
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(InputError, match="MY_KEY"):
        HttpCompleter(["http://localhost/v1"], "m", settings=quick(api_key_env="MY_KEY"))


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "http://me:secret@host/v1", "http://h/v1?key=x"]
)
def test_an_address_that_is_none_or_holds_a_key_is_refused(url):
    with pytest.raises(InputError) as caught:
        HttpCompleter([url], "m")
    assert "secret" not in str(caught.value)


def test_requests_in_flight_are_bounded_by_the_files_that_the_process_may_open(recording, monkeypatch, caplog):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (SPARE_FILES + 3, 4096))
    n_pulled = []

    def pulled():
        for number, request in enumerate(requests(1)):
            n_pulled.append(number)
            yield request

    with ReplayServer([recording]).running() as url:
        groups = HttpCompleter([url], "m", settings=quick(in_flight=32)).complete(pulled())
        next(groups)
        assert len(n_pulled) == 3 and "in_flight is 3 instead of 32" in caplog.text
        groups.close()
    monkeypatch.undo()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits  # the process's own limit is left alone
