"""Rollouts of hostile servers through the command: no secret and no escape comes out, nothing is paid for twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
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
def serving(status, body, wait_s=0.0, headers=None, refused=()):
    """A server that sends this to every request but to those that hold a word of `refused`, which it refuses.

    Yields its address and the list of requests.
    """
    from aiohttp import web

    seen, loop, ready, ports = [], asyncio.new_event_loop(), threading.Event(), []

    async def handle(request):
        seen.append(data := await request.read())
        await asyncio.sleep(wait_s)
        if any(word in data for word in refused):
            return web.json_response({"error": {"message": "not this one"}}, status=422)
        return web.json_response(body, status=status, headers=headers)

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
    "the key for its variable": {"http": {"api_key_env": "s3cretS3CRET"}},
    "the key itself": {"http": {"api_key_env": "MY_KEY", "extra": {"note": "s3cret"}}},
    "the key in a model's name": {"name": "m s3cret", "http": {"api_key_env": "MY_KEY"}},
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_recipe_with_a_secret_is_refused_before_anything_is_written(limo, world, monkeypatch, name):
    monkeypatch.setenv("MY_KEY", "s3cret")
    model = {"kind": "http", "name": "m", "base_urls": ["http://127.0.0.1:9/v1"]} | SECRETS[name]
    values = {"data": str(world), "pool": {"sources": ["pool.jsonl"]}, "rollouts": [{"models": [model], "n": 1}]}
    (world / "secret.yaml").write_text(yaml.safe_dump(values))
    code, out, err = limo("rollouts", world / "secret.yaml", "--run", world / "run")
    assert code == 2 and "s3cret" not in out + err and not (world / "run").exists()


def test_a_key_in_the_place_of_its_variables_name_is_not_shown_and_nothing_is_written(limo, world, monkeypatch):
    monkeypatch.chdir(world)
    recipe = recipe_of(world, "http://127.0.0.1:9/v1", api_key_env="")
    commands = {
        ("init", "pool.jsonl", "--api-key-env", KEY): "limo-pool",
        ("init", "pool.jsonl", "--server", "http://127.0.0.1:9/v1", "--api-key-env", KEY): "limo-pool",
        ("rollouts", recipe, f"rollouts.0.models.0.http.api_key_env='{KEY}'", "--run", "r"): "r",
    }
    for command, made in commands.items():
        for more in ((), ("--debug",), ("--json",)):
            code, out, err = limo(*command, *more)
            assert code == 2 and "not the key" in err and not (world / made).exists()
            assert_clean(out, err)


def commands_that_ask(world, url):
    """By name: a command whose recipe sends requests to this server, and to no other."""
    http = {"retries": 0, "backoff_s": 0.01, "patience_s": 0.05}
    model = {"kind": "http", "name": "m", "base_urls": [url], "http": http}
    filters = [{"name": "weak", "models": [model], "n": 1, "low": 0, "high": 0, "teacher": True}]
    curate = yaml.safe_load((world / "recipe.yaml").read_text()) | {"filters": filters}
    evaluate = {"model": model, "benchmarks": {"own": str(world / "pool.jsonl")}, "decoding": {"n": 1}}
    (world / "curate.yaml").write_text(yaml.safe_dump(curate))
    (world / "evaluate.yaml").write_text(yaml.safe_dump(evaluate))
    (world / "judge.yaml").write_text(yaml.safe_dump({"judge": {"models": [model]}, "rows": "all"}))
    rows = [{"problem": "What?", "answer": "a tall house", "completion": "\\boxed{a house so tall}"}] * 3
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "rollouts": ("rollouts", recipe_of(world, url, api_key_env=""), "--run", "r"),
        "curate": ("curate", "curate.yaml", "--run", "c"),
        "evaluate": ("evaluate", "evaluate.yaml", "--run", "e"),
        "verify": ("verify", "rows.jsonl", "-o", "verified.jsonl", "--judge", "judge.yaml"),
    }


@pytest.mark.parametrize("status", [400, 422, 429, 500, 200])
@pytest.mark.parametrize("name", ["rollouts", "curate", "evaluate", "verify"])
def test_a_command_that_got_nothing_ends_with_another_code_than_success(limo, world, monkeypatch, name, status):
    monkeypatch.chdir(world)
    with serving(status, {"error": {"message": "nothing today"}}) as (url, seen):
        for _ in range(2):  # the second start does not answer with the failures of the first
            n_before = len(seen)
            code, out, err = limo(*commands_that_ask(world, url)[name])
            assert code == 3 and "bug" not in err and len(seen) > n_before, (code, out, err)
            assert "today" in err and "continue with: limo" in err


def test_a_curation_that_lacks_replies_says_so_until_they_are_requested_again(limo, world, monkeypatch):
    monkeypatch.chdir(world)
    refused = [b"Ship a"]
    choice = {"message": {"content": "\\boxed{14}"}, "finish_reason": "stop"}  # right for ship c alone
    with serving(200, {"choices": [choice]}, refused=refused) as (url, seen):
        arguments = commands_that_ask(world, url)["curate"]
        recipe = yaml.safe_load((world / "curate.yaml").read_text())
        recipe["filters"][0] |= {"low": 0, "high": 1}
        (world / "curate.yaml").write_text(yaml.safe_dump(recipe))
        for _ in range(2):
            code, _, err = limo(*arguments)
            assert (code, len(seen)) == (3, 10), err
            assert "weak lacks 1 replies, whose requests fail: 'status 422" in err
            assert "continue with: limo curate curate.yaml --run c --retry-errors" in err
        for command in ("status", "report"):
            assert "weak lacks 1 replies, whose requests fail: status 422" in limo(command, "c")[1]
        code, _, err = limo(*arguments, "--retry-errors")
        assert (code, len(seen)) == (3, 11), err
        refused.clear()
        code, _, err = limo(*arguments, "--retry-errors")
        assert (code, len(seen)) == (0, 12), err
        assert limo(*arguments)[0] == 0
        assert len(seen) == 12 and "lacks" not in limo("status", "c")[1]


def test_ends_of_the_servers_own_are_paid_for_once_unless_requested_again(limo, world, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    choice = {"message": {"content": "4"}, "finish_reason": "content_filter"}
    with serving(200, {"choices": [choice]}) as (url, seen):
        arguments = ("rollouts", recipe_of(world, url), "--run", world / "run")
        for more, n in (((), 20), ((), 20), (("--retry-errors",), 40)):
            code, _, err = limo(*arguments, *more)
            assert code == 3 and "none of 20 rollouts could be decided" in err and "content_filter" in err
            assert len(seen) == n


def test_rows_whose_judge_never_replied_end_with_another_code_until_it_does(limo, world, monkeypatch):
    monkeypatch.chdir(world)
    refused, choice = [b"a shed"], {"message": {"content": "CORRECT"}, "finish_reason": "stop"}
    with serving(200, {"choices": [choice]}, refused=refused) as (url, seen):
        arguments = commands_that_ask(world, url)["verify"]
        rows = [{"problem": "What?", "answer": f"a tall {a}", "completion": f"\\boxed{{{b}}}"}
                for a, b in (("house", "a house so tall"), ("shed", "a shed so tall"))]  # fmt: skip
        (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        code, out, err = limo(*arguments)
        assert code == 3 and "judge lacks 1 replies" in err and "1 came back decided" in out
        assert "continue with: limo verify rows.jsonl" in err and len(seen) == 2
        refused.clear()
        code, out, err = limo(*arguments)
        assert code == 0 and "2 came back decided" in out and len(seen) == 3, err


def test_the_line_that_goes_on_has_retry_errors_only_where_the_plain_command_would_not_request_again(limo, world):
    choice = {"message": {"content": "4"}, "finish_reason": "stop"}
    refused = [b"Ship a"]
    with serving(200, {"choices": [choice]}, refused=refused) as (url, seen):
        arguments = ("rollouts", recipe_of(world, url, api_key_env=""), "--run", world / "run")
        code, _, err = limo(*arguments)
        assert code == 3 and "lacks 2 replies" in err and "--retry-errors" not in err, err
        n_before = len(seen)
        refused.clear()
        choice["finish_reason"] = "weird"
        code, _, err = limo(*arguments)
        assert (code, len(seen)) == (0, n_before + 2), err
        assert "2 replies that the server itself ended (--retry-errors requests them again)" in err
        choice["finish_reason"] = "stop"
        assert "ended" not in limo(*arguments, "--retry-errors")[2]
        assert len(seen) == n_before + 4


@pytest.mark.parametrize("name", ["rollouts", "curate", "evaluate"])
def test_what_a_server_ended_is_requested_again_by_the_command_that_the_line_gives(limo, world, monkeypatch, name):
    monkeypatch.chdir(world)
    choice = {"message": {"content": "4"}, "finish_reason": "weird"}
    with serving(200, {"choices": [choice]}) as (url, seen):
        arguments = commands_that_ask(world, url)[name]
        code, _, err = limo(*arguments)
        n_before = sum(map(bool, seen))  # bodies: what the server is asked of itself has none
        assert code == 3 and err.rstrip().endswith("--retry-errors"), err
        assert limo(*arguments)[0] == 3 and sum(map(bool, seen)) == n_before  # paid for once
        choice["finish_reason"] = "stop"
        again = err.rstrip().partition("continue with: limo ")[2].split()
        code, _, err = limo(*again)
        assert sum(map(bool, seen)) == 2 * n_before and "could be decided" not in err


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


@pytest.mark.parametrize("usage", [None, {"completion_tokens": "12"}, {"prompt_tokens": -1, "completion_tokens": 0.5}])
def test_a_budget_holds_where_the_server_counts_no_tokens(limo, world, monkeypatch, usage):
    monkeypatch.setenv("MY_KEY", KEY)
    choice = {"message": {"content": "so it is " * 500}, "finish_reason": "stop"}
    with serving(200, {"choices": [choice], "usage": usage}) as (url, seen):
        recipe = recipe_of(world, url, in_flight=1)
        code, _, err = limo("rollouts", recipe, "budget.tokens=3000", "--run", world / "run")
    assert code == 3 and "the budget is spent" in err and len(seen) == 1
    assert limo("ledger", "show", world / "run")[1].rstrip().endswith("estimated")
    assert "tokens (estimated)" in limo("status", world / "run")[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("status, named", [(429, "3600"), (503, "9" * 30), (500, None)])
def test_a_request_that_waits_for_another_try_is_given_up_at_a_signal(
    request, limo, world, monkeypatch, number, status, named
):
    monkeypatch.setenv("MY_KEY", KEY)
    before = signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    with serving(status, {}, headers={"Retry-After": named} if named else None) as (url, seen):
        recipe = recipe_of(world, url, in_flight=4, patience_s=3000, backoff_s=60, retries=9)
        later = threading.Thread(target=lambda: (wait_for(seen), os.kill(os.getpid(), number)))
        began = time.monotonic()
        later.start()
        code, _, err = limo("rollouts", recipe, "--run", world / "run")
        later.join()
    assert code == 3 and "continue with: limo rollouts" in err and time.monotonic() - began < 10


@pytest.mark.parametrize(
    "override",
    [
        "rollouts.0.sampling.stop=[{}]", "rollouts.0.models.0.http.extra={{foo: {}}}", "rollouts.0.system={}",
        "pool.sources.0={}.jsonl", "rollouts.0.models.0.http.extra={{{}: 1}}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["sk-abcdefghijklmnop0123456789", "c2stYWJjZGVmZ2hpamtsbW5vcDAxMjM0NTY3ODk"])
def test_a_key_anywhere_in_a_recipe_is_refused_before_anything_is_written(limo, world, monkeypatch, override, form):
    monkeypatch.setenv("MY_KEY", "sk-abcdefghijklmnop0123456789")
    recipe = recipe_of(world, "http://127.0.0.1:9/v1")
    code, out, err = limo("rollouts", recipe, override.format(form), "--run", world / "run")
    assert code == 2 and not (world / "run").exists()
    assert form[3:20] not in out + err and "key" in err


def test_a_redirect_is_called_one(limo, world, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(302, {}, headers={"Location": "http://127.0.0.1:9/v1"}) as (url, _):
        code, _, err = limo("rollouts", recipe_of(world, url), "--run", world / "run")
    assert code == 2 and "redirects are not followed" in err


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "key"), (403, "key"), (302, "sends the request elsewhere"), (503, "cannot list its models now"),
     (404, "lists no models")],
)  # fmt: skip
def test_init_says_why_a_server_lists_no_models(limo, world, monkeypatch, status, words, with_key):
    monkeypatch.setenv("MY_KEY", KEY)
    key = ["--api-key-env", "MY_KEY"] if with_key else []
    with serving(status, {"error": KEY}, headers={"Location": "http://127.0.0.1:9/v1"}) as (url, _):
        code, out, err = limo("init", world / "pool.jsonl", "--server", url, *key, "-o", world / "mine")
    assert code == 2 and words in err
    if words == "key":
        assert ("refuses the key" in err) == with_key and "--api-key-env" in err
    assert_clean(out, err)


@pytest.mark.parametrize(
    "spelt", [KEY, KEY.upper(), "-".join(KEY[k : k + 5] for k in range(0, len(KEY), 5)),
              "".join(f"\\u{ord(c):04x}" for c in KEY)]
)  # fmt: skip
def test_a_served_models_name_that_holds_the_key_is_not_taken(limo, world, monkeypatch, spelt):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(200, {"data": [{"id": f"m {spelt}"}]}) as (url, _):
        code, out, err = limo(
            "init", world / "pool.jsonl", "--server", url, "--api-key-env", "MY_KEY", "-o", world / "mine"
        )
    assert code == 2 and "lists no models" in err and not (world / "mine").exists()
    assert_clean(out, err)


@pytest.mark.parametrize("form", FORMS)
def test_a_redirect_is_told_with_its_target_and_without_the_key(limo, world, monkeypatch, form):
    monkeypatch.setenv("MY_KEY", KEY)
    target = f"http://far.example/{quote(FORMS[form])}/v1?key={quote(FORMS[form])}#{quote(ESCAPES)}"
    with serving(307, {}, headers={"Location": target}) as (url, _):
        for command in (
            ("rollouts", recipe_of(world, url), "--run", world / "run"),
            ("init", world / "pool.jsonl", "--server", url, "--api-key-env", "MY_KEY", "-o", world / "mine"),
        ):
            code, out, err = limo(*command)
            assert code == 2 and "http://far.example/" in err
            assert_clean(out, err)


def test_init_prints_a_few_of_many_models(limo, world):
    with serving(200, {"data": [{"id": f"model-{k}", "max_model_len": 10**40} for k in range(1500)]}) as (url, _):
        code, out, err = limo("init", world / "pool.jsonl", "--server", url, "-o", world / "mine")
    assert code == 0, err
    assert "model-19 (context unknown), and 1,480 more (--json has all)" in out and "model-20 " not in out


def test_no_escape_of_a_models_name_reaches_the_terminal(limo, world, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(200, {"choices": [{"message": {"content": "4"}}]}) as (url, _):
        name = 'rollouts.0.models.0.name="\\e[31mX\\u202e"'
        code, out, err = limo("rollouts", recipe_of(world, url, in_flight=4), name, "--run", world / "run")
    assert code == 0
    assert_clean(out, err)
