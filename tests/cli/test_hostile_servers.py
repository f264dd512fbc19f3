"""Rollouts of hostile servers through the command: no secret and no escape comes out, nothing is paid for twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import yaml

from limo.ledger.store import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.hostile]

KEY = 'q7Zx0Lk3+v/B"9nT'
FORMS = {
    "as it is": KEY,
    "JSON": json.dumps(KEY),
    "JSON, every character": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "URL": quote(KEY, safe=""),
    "HTML": "".join(f"&#x{ord(c):x};" for c in KEY),
    "cut": KEY[:9] + "...",
    "far in": "x" * 250 + KEY,
    "lower case": KEY.lower(),
}
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r"


def replies(form):
    """By name: what a server sends, given a key in some form."""
    text = f"with token {form} {ESCAPES}"
    choice = {"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}
    return {
        "refused": (400, {"error": {"message": text}}),
        "key refused": (401, {"error": {"message": text, "code": form}}),
        "no model": (404, {"error": text}),
        "failed": (500, {"error": [text]}),
        "busy": (429, {"error": text}),
        "redirect": (307, {"error": text}),
        "no completion": (200, {"detail": text}),
        "content": (200, {"choices": [choice | {"message": {"content": {"key": text}}}]}),
        "ended": (200, {"choices": [choice | {"finish_reason": text}]}),
        "completion": (200, {"choices": [choice | {"message": {"content": f"4 {form}", "reasoning": form}}]}),
    }


@contextmanager
def serving(status, body, wait_s=0.0):
    """A server that sends this to every request; yields its address and the list of requests."""
    from aiohttp import web

    seen, loop, ready, ports = [], asyncio.new_event_loop(), threading.Event(), []

    async def handle(request):
        seen.append(await request.read())
        await asyncio.sleep(wait_s)
        return web.json_response(body, status=status)

    async def start():
        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(start()), loop.run_forever()), daemon=True)
    thread.start()
    ready.wait()
    yield f"http://127.0.0.1:{ports[0]}/v1", seen
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def recipe_of(world, url, **http):
    http = {"api_key_env": "MY_KEY", "retries": 0, "backoff_s": 0.01, "patience_s": 0.05} | http
    model = {"kind": "http", "name": "m", "base_urls": [url], "http": http}
    values = {"data": str(world), "pool": {"sources": ["pool.jsonl"]}, "rollouts": [{"models": [model], "n": 2}]}
    (world / "served.yaml").write_text(yaml.safe_dump(values))
    return world / "served.yaml"


def assert_clean(*texts):
    for text in texts:
        for stretch in (KEY[k : k + 5] for k in range(len(KEY) - 4)):
            assert stretch.lower() not in text.lower()
        assert not set(text) & set("\x1b\x07\x9b\u202e")


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("form", FORMS)
def test_no_key_and_no_escape_comes_out_of_a_run(limo, world, monkeypatch, form, as_json):
    monkeypatch.setenv("MY_KEY", KEY)
    for number, (name, (status, body)) in enumerate(replies(FORMS[form]).items()):
        run = world / f"run{number}"
        with serving(status, body) as (url, seen):
            code, out, err = limo("rollouts", recipe_of(world, url), "--run", run, *["--json"] * as_json)
        assert code in (0, 2, 3) and "bug" not in err, (name, err)
        assert seen
        files = [path for path in run.rglob("*") if path.is_file()]
        with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
            stored = list(ledger.rollouts())
        errors = [f"{r.completion.error} {r.verdict.reason if r.verdict else ''}" for r in stored]
        assert_clean(out, err, *errors, *(path.read_text() for path in files if path.suffix in (".json", ".yaml")))
        written = b"".join(path.read_bytes() for path in files)
        assert KEY.encode() not in written and quote(KEY, safe="").encode() not in written
        code, out, err = limo("ledger", "show", run)
        assert_clean(out, err)


SECRETS = {
    "user": {"base_urls": ["http://me:s3cret@127.0.0.1:9/v1"]},
    "query": {"base_urls": ["http://127.0.0.1:9/v1?key=s3cret"]},
    "fragment": {"base_urls": ["http://127.0.0.1:9/v1#s3cret"]},
    "extra": {"http": {"extra": {"api_key": "s3cret"}}},
    "extra, deeper": {"http": {"extra": {"headers": {"Authorization": "Basic s3cret"}}}},
    "the key itself": {"http": {"api_key_env": "MY_KEY", "extra": {"note": "s3cret"}}},
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_recipe_with_a_secret_is_refused_before_anything_is_written(limo, world, monkeypatch, name):
    monkeypatch.setenv("MY_KEY", "s3cret")
    model = {"kind": "http", "name": "m", "base_urls": ["http://127.0.0.1:9/v1"]} | SECRETS[name]
    values = {"data": str(world), "pool": {"sources": ["pool.jsonl"]}, "rollouts": [{"models": [model], "n": 1}]}
    (world / "secret.yaml").write_text(yaml.safe_dump(values))
    code, out, err = limo("rollouts", world / "secret.yaml", "--run", world / "run")
    assert code == 2 and "s3cret" not in out + err and not (world / "run").exists()


def test_ends_of_the_servers_own_are_paid_for_once_unless_requested_again(limo, world, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    choice = {"message": {"content": "4"}, "finish_reason": "content_filter"}
    with serving(200, {"choices": [choice]}) as (url, seen):
        arguments = ("rollouts", recipe_of(world, url), "--run", world / "run")
        for more, n in (((), 20), ((), 20), (("--retry-errors",), 40)):
            assert limo(*arguments, *more)[0] == 0
            assert len(seen) == n


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_outstanding_requests_and_the_command_goes_on(request, limo, world, monkeypatch, number):
    monkeypatch.setenv("MY_KEY", KEY)
    before = signal.signal(number, signal.SIG_DFL)  # nohup and shells in the background ignore some
    request.addfinalizer(lambda: signal.signal(number, before))
    choice = {"message": {"content": "4"}, "finish_reason": "stop"}
    with serving(200, {"choices": [choice]}, wait_s=0.5) as (url, seen):
        arguments = ("rollouts", recipe_of(world, url, in_flight=4), "--run", world / "run")
        later = threading.Thread(target=lambda: (wait_for(seen), os.kill(os.getpid(), number)))
        later.start()
        code, _, err = limo(*arguments)
        later.join()
        assert code == 3 and "continue with: limo rollouts" in err and len(seen) < 20
        assert limo(*arguments)[0] == 0
        assert len(seen) == 20  # what was outstanding at the signal is not requested again


def wait_for(seen):
    while not seen:
        threading.Event().wait(0.01)
