"""A server that is not ours: `transformers serve` with a tiny random Qwen2 made on the spot answers the same recipe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from test_local import folder as folder

from limo.ledger.store import Ledger

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """The base URL of a server that holds the model."""
    for name in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(name, reason=f"`transformers serve` needs {name}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    if not program.is_file():
        pytest.skip(f"there is no {program}")
    command = [str(program), "serve", str(folder), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("server") / "log"
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    with open(log, "wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink, env=offline) as process:
        try:
            deadline = time.monotonic() + 300
            while not answers(f"http://127.0.0.1:{port}/health"):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


WAYS = {
    "whole": {},
    "streamed": {"stream": True},
    "several a request": {
        "n_per_request": 2
    },  # which this server ignores: it gives one, and the other is requested alone
    "plain text": {"endpoint": "completions"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_same_recipe_runs_against_transformers_serve(server, folder, tmp_path, way):
    pool = [{"problem": f"What is {i} and {i}?", "answer": str(2 * i)} for i in range(6)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    model = {"kind": "http", "name": "tiny", "model": str(folder), "base_urls": [server]}
    model["http"] = {"in_flight": 4, "timeout_s": 600, **way}
    recipe = {"data": str(tmp_path), "pool": {"sources": ["pool.jsonl"]}}
    recipe["rollouts"] = [{"models": [model], "n": 2, "sampling": {"max_tokens": 12}, "low": 1, "high": 1}]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "limo", "rollouts", str(tmp_path / "recipe.yaml")]
    command += ["--run", str(tmp_path / "run")]
    counted = []
    for _ in range(2):
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=os.environ, timeout=1200)
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        counted.append(max((one.get("fields", {}).get("rollouts", 0) for one in events), default=0))
    assert counted[0] > 0 and counted[1] == 0  # the second start asks nothing
    with Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True) as ledger:
        found = [rollout.completion for rollout in ledger.rollouts()]
    assert len(found) == 12
    assert {c.finish_reason for c in found} <= {"stop", "length"}
    assert all(c.n_completion_tokens <= 12 for c in found) and any(c.text for c in found)
