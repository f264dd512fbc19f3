"""The commands rollouts, plan, ledger and serve-replay on recordings of ten problems."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from subprocess import PIPE
from urllib.parse import urlsplit

import pytest
import yaml

from limo.core.records import Completion, Rollout
from limo.core.run_folder import RunFolder
from limo.ledger.store import Ledger


@pytest.fixture
def recipe(world):
    model = {"kind": "replay", "name": "strong", "files": ["said.jsonl"]}
    values = {"data": str(world), "pool": {"sources": ["pool.jsonl"]}}
    values["rollouts"] = [{"models": [model], "n": 4, "low": 1, "high": 2}]
    (world / "rollouts.yaml").write_text(yaml.safe_dump(values))
    return world / "rollouts.yaml"


def result(out):
    return json.loads(out.splitlines()[-1])


def test_from_a_plan_over_rollouts_to_a_table_of_them(limo, recipe, world):
    run = world / "run"
    code, out, _ = limo("plan", recipe, "--run", run, "--json")
    (step,) = result(out)["steps"]
    assert (code, step["n_most"], step["source"]) == (0, 40, "assumed") and not run.exists()
    code, out, _ = limo("rollouts", recipe, "--run", run, "--json")
    rates = result(out)["rates"]
    assert code == 0 and len(rates) == 10
    assert [rate["decision"] for rate in rates] == ["drop" if i % 3 == 2 else "keep" for i in range(10)]
    assert all(rate["rate_low"] <= rate["rate"] <= rate["rate_high"] for rate in rates)
    code, out, _ = limo("plan", recipe, "--run", run, "--json")
    assert result(out)["steps"][0]["source"] == "10 problems"

    code, out, _ = limo("ledger", "show", run, "--json")
    (counts,) = result(out)["models"]
    assert (code, counts["model"], counts["failed"]) == (0, "strong", 0) and counts["rollouts"] <= 40
    code, out, _ = limo("ledger", "merge", run, "-o", world / "all.sqlite", "--json")
    assert (code, result(out)["n_rollouts"]) == (0, counts["rollouts"])
    code, out, _ = limo("ledger", "export", world / "all.sqlite", "-o", world / "all.parquet", "--json")
    assert (code, result(out)["n_rollouts"]) == (0, counts["rollouts"])
    code, out, _ = limo("verify", world / "all.sqlite", "--ledger", "--json")
    assert code == 0 and result(out)["n_changed"] == {}
    assert result(out)["n_by_outcome"]["correct"] == counts["correct"]
    other = {"id": "other", "problem": "1+1?", "answer": "2"}
    (world / "other.jsonl").write_text(json.dumps(other) + "\n")
    code, _, err = limo("verify", run, "--ledger", "--pool", world / "other.jsonl")
    assert code == 2 and "none of the problems given is one of this ledger's" in err
    (world / "some.jsonl").write_text("".join((world / "pool.jsonl").read_text().splitlines(True)[:3]))
    texts = [limo("verify", run, "--ledger", "--pool", world / f"{pool}.jsonl")[1] for pool in ("some", "pool")]
    assert ["the pool lacks 7 of the ledger's problems" in text for text in texts] == [True, False]


def test_a_budget_that_is_reached_is_exit_3_and_a_larger_one_goes_on(limo, recipe, world, monkeypatch):
    monkeypatch.setattr("limo.models.replay.MAX_GROUP", 4)
    code, _, err = limo("rollouts", recipe, "budget.hours=0.0000001", "--run", world / "run")
    assert code == 3 and "the budget is spent" in err and "continue with: limo rollouts" in err
    assert len(json.loads((world / "run" / "undecided.json").read_text())) > 0
    assert limo("rollouts", recipe, "budget.hours=1", "--run", world / "run")[0] == 0
    assert not (world / "run" / "undecided.json").exists() and limo("status", world / "run")[0] == 0


def test_a_curation_that_goes_on_to_its_end_keeps_no_list_of_undecided_problems(limo, world, monkeypatch):
    monkeypatch.setattr("limo.models.replay.MAX_GROUP", 4)
    call = ["curate", world / "recipe.yaml", "--run", world / "run"]
    assert limo(*call, "budget.hours=0.0000001")[0] == 3 and (world / "run" / "undecided.json").exists()
    code, _, err = limo(*call, "budget.hours=1")
    assert code == 0, err
    assert not (world / "run" / "undecided.json").exists() and limo("status", world / "run")[0] == 0


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_whose_ledger_lost_rollouts_or_whose_scores_were_edited_is_told(limo, fault, world, lost):
    model = {"kind": "replay", "name": "strong", "files": ["said.jsonl"]}
    values = {"data": str(world), "model": model, "benchmarks": {"pool": "pool.jsonl"}, "decoding": {"n": 1}}
    (world / "evaluate.yaml").write_text(yaml.safe_dump({**values, "protocol": "own"}))
    call = ["evaluate", world / "evaluate.yaml", "--run"]
    other = {"arm": "other", "seed": 0, "outcomes": {"pool": {"p": 1.0}}}
    for name in ("run", "whole"):
        code, _, err = limo(*call, world / name)
        assert code == 0, err
    file = world / "run" / "scores.json"
    if lost:
        with closing(sqlite3.connect(world / "run" / "ledger.sqlite")) as db, db:
            db.execute("DELETE FROM verdicts WHERE rollout_id = 1")
            db.execute("DELETE FROM rollouts WHERE id = 1")
    else:
        file.write_text(json.dumps({**json.loads(file.read_text()), "other": [other]}))
    said = "lacks some" if lost else "not as it was written"
    assert said in fault("status", world / "run") and said in fault("compare", world / "run", world / "whole")


def test_a_ledger_is_not_written_to_a_pipe(limo, fault, recipe, world):
    limo("rollouts", recipe, "--run", world / "run")
    os.mkfifo(world / "pipe.sqlite")
    told = fault("ledger", "merge", world / "run", "-o", world / "pipe.sqlite")
    assert "a device or a pipe" in told and not list(world.glob("pipe.sqlite-*"))


def test_a_key_in_a_recipe_is_refused_and_not_shown(fault, recipe):
    key = "sk-abcdefghijklmnopqrstuvwxyz123456"
    served = f"{{kind: http, name: m, base_urls: [http://h/v1], http: {{extra: {{api_key: {key}}}}}}}"
    for where in (f"rollouts.0.system=Use {key}", f"rollouts.0.models.0={served}"):
        told = fault("rollouts", recipe, where)
        assert "looks like a key" in told and key not in told


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["rollouts.0.low=3"], "empty band"),
        (["rollouts.0.high=null"], "a band has two ends"),
        (["rollouts.0.models.0.kind=http"], "base_urls"),
        (["rollouts.0.models.0={kind: http, name: m, base_urls: [http://me:secret@host/v1]}"], "no user, password"),
        (["pool.sources=[nowhere.jsonl]"], "nowhere.jsonl"),
    ],
)
def test_rollouts_that_cannot_work_end_in_one_line(fault, recipe, words, part):
    told = fault("rollouts", recipe, *words, "--run", recipe.parent / "run")
    assert part in told and "secret" not in told


def test_a_fault_that_is_none_a_gpu_and_a_ledger_that_are_not_there(fault, world, recipe):
    assert "faults" in fault("serve-replay", world / "said.jsonl", "--fault", "tired=0.1")
    assert "H100" in fault("plan", recipe, "--gpu", "abacus")
    assert "no ledger" in fault("ledger", "show", world / "none.sqlite")


def stored(path, *problems):
    with Ledger(path) as made:
        made.define("prompt", "p", ""), made.define("sampling", "s", "{}")
        made.add([Rollout(name, "m", "p", "s", 0, Completion("\\boxed{4}")) for name in problems])
    return path


def test_a_merge_takes_every_ledger_or_none(limo, fault, tmp_path):
    first, second = stored(tmp_path / "a.sqlite", "p"), stored(tmp_path / "there.sqlite", "q")
    (tmp_path / "rows.jsonl").write_text("{}\n" * 400)
    fault("ledger", "merge", first, tmp_path / "rows.jsonl", "-o", tmp_path / "new.sqlite")
    fault("ledger", "merge", first, tmp_path / "none.sqlite", "-o", second)
    assert not [file for file in tmp_path.iterdir() if "new" in file.name or file.name.startswith(".")]
    with Ledger(second, read_only=True) as kept:
        assert [rollout.problem_id for rollout in kept.rollouts()] == ["q"]
    assert (
        limo("ledger", "merge", first, "-o", second)[0] == limo("ledger", "merge", first, "-o", tmp_path / "n")[0] == 0
    )
    assert [len(Ledger(file, read_only=True)) for file in (second, tmp_path / "n")] == [2, 1]


def test_a_served_recording_ends_quietly_with_a_request_under_way(world):
    program = [sys.executable, "-m", "limo", "serve-replay", str(world / "said.jsonl"), "--port", "0", "--json"]
    with subprocess.Popen([*program, "--latency-ms", "60000"], stdout=PIPE, stderr=PIPE, text=True) as server:
        port = urlsplit(json.loads(server.stdout.readline())["url"]).port
        with socket.create_connection(("127.0.0.1", port), timeout=20) as open_:
            open_.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            assert open_.recv(20).startswith(b"HTTP/1.1 400")
            row = json.loads((world / "said.jsonl").read_text().splitlines()[0])
            chat = {"model": row["model"], "messages": [{"role": "user", "content": row["problem"]}]}
            body = json.dumps(chat).encode()
            open_.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            server.terminate()
            assert server.wait(20) == 0 and server.stderr.read() == ""


@pytest.mark.parametrize("command", ["rollouts", "curate"])
def test_replies_that_never_come_are_counted_with_their_commonest_reason_and_exit_3(limo, recipe, world, command):
    said = [row for row in (world / "said.jsonl").read_text().splitlines(True) if "Ship a" not in row]
    (world / "said.jsonl").write_text("".join(said))
    recipe = recipe if command == "rollouts" else world / "recipe.yaml"
    code, out, err = limo(command, recipe, "--run", world / "run")
    assert code == 3 and "warning: " in err and out, err
    assert "replies, whose requests fail: 'the problem was not recorded'" in err.splitlines()[-1]


def test_rows_that_a_pool_loses_are_counted_and_kept_with_their_reasons(limo, recipe, world):
    with (world / "pool.jsonl").open("a") as pool:
        repeated = json.loads((world / "pool.jsonl").read_text().splitlines()[0]) | {"answer": "1"}
        pool.write(json.dumps(repeated) + '\n{"problem": "", "answer": "1"}\nnot json\n{"problem": "Why is 1?"}\n')
    code, _, err = limo("rollouts", recipe, "--run", world / "run")
    assert code == 0
    assert "pool: kept 10, dropped 4: no problem text 1, malformed row 1, no answer 1, duplicate 1" in err
    dropped = RunFolder(world / "run").read_dropped("pool")
    assert {d.reason: d.detail.get("line") for d in dropped} == {
        "no problem text": 12, "malformed row": 13, "no answer": 14, "duplicate": None
    }  # fmt: skip
    (copy,) = [d for d in dropped if d.reason == "duplicate"]
    assert (copy.detail["answer"], copy.detail["kept"]) == ("1", "8")
    assert "题库：保留 10，剔除 4" in limo("rollouts", recipe, "--run", world / "run", "--lang", "zh")[2]


def test_a_file_of_a_folder_with_other_columns_is_named(limo, recipe, world):
    (world / "pools").mkdir()
    (world / "pool.jsonl").rename(world / "pools" / "a.jsonl")
    (world / "pools" / "b.jsonl").write_text('{"stem": "What is 10+1?", "key": "11"}\n' * 2)
    words = ("rollouts", recipe, "pool.sources=[pools]", "--run", world / "run")
    told = "warning: b.jsonl: all its 2 rows are dropped: no problem text; its columns: stem, key"
    code, _, err = limo(*words)
    assert code == 0 and told in err and "a.jsonl" not in err
    assert "b.jsonl 的 2 行全部剔除" in limo(*words, "--lang", "zh")[2]


def test_the_table_counts_what_was_asked_for_and_says_what_else_the_ledger_holds(limo, recipe, world):
    words = ("rollouts", recipe, "rollouts.0.low=null", "rollouts.0.high=null", "--run", world / "run")
    code, out, _ = limo(*words)
    assert code == 0 and out.splitlines()[1].split()[:4] == ["strong", "10", "40", "40"]
    assert out.splitlines()[-1].endswith("ledger.sqlite") and "in all" not in out
    pool = (world / "pool.jsonl").read_text().splitlines(True)
    (world / "pool.jsonl").write_text("".join(pool[:2]))
    code, out, _ = limo(*words)
    assert out.splitlines()[1].split()[:4] == ["strong", "2", "8", "8"]
    assert out.splitlines()[-1].startswith("40 rollouts in all in ")


def test_a_budget_that_the_last_rollouts_pass_is_told_though_the_run_is_complete(limo, recipe, world):
    rows = [json.loads(line) | {"n_completion_tokens": 100} for line in (world / "said.jsonl").read_text().splitlines()]
    (world / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "exceeded" not in limo("rollouts", recipe, "--run", world / "run")[2]
    code, _, err = limo("rollouts", recipe, "budget.tokens=500", "--run", world / "run")
    assert code == 0 and "warning: the budget is exceeded: " in err and "of 500 tokens" in err
