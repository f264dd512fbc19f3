"""Long batches: order, flat memory, nothing read ahead, a death that costs one row, Ctrl-C that leaves a valid file."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from limo.core.records import Completion, Problem
from limo.verify.checker import Checker
from limo.verify.process.limits import Limits
from limo.verify.process.spread import AHEAD, CHUNK, CHUNK_S, FEW, Crew
from limo.verify.process.workers import Shared, Worker
from limo.verify.verifier import opener

MATHS = pickle.dumps(opener("maths"))


def pairs(rows):
    """Problems and completions of (answer, text, finish_reason) rows."""
    return ((Problem("", "", answer), Completion(text, *rest)) for answer, text, *rest in rows)

N_ROWS_AHEAD = 3 * AHEAD * CHUNK // 2
N_ROWS = 400_000  # far more than are checked before the interruption


@pytest.mark.parametrize("n_workers", [1, 2])
def test_rows_are_read_only_as_they_are_needed(n_workers):
    n_read, n_done, ahead = 0, 0, []

    def rows():
        nonlocal n_read
        for n in range(N_ROWS_AHEAD):
            n_read += 1
            yield str(n), f"\\boxed{{{n}}}", "stop"

    with Checker(n_workers=n_workers) as checker:
        for _ in checker.verify_many(pairs(rows())):
            n_done += 1
            ahead.append(n_read - n_done)
    assert n_done == N_ROWS_AHEAD
    assert max(ahead) <= (0 if n_workers == 1 else (AHEAD + 1) * CHUNK)


def test_long_rows_are_read_ahead_by_bytes_and_not_by_number():
    n_read, ahead = 0, 0

    def rows():
        nonlocal n_read
        for n in range(1500):
            n_read += 1
            yield str(n), f"{'so ' * 40_000}\\boxed{{{n}}}", "stop"

    with Checker(n_workers=2) as checker:
        for n_done, verdict in enumerate(checker.verify_many(pairs(rows())), 1):
            assert verdict.outcome == "correct"
            ahead = max(ahead, n_read - n_done)
    assert ahead <= 5 * CHUNK


def test_a_row_that_kills_its_child_costs_one_verdict_and_the_order_stays():
    deadly = "\\int_0^1 " + "\\sin " * 50 + "x^{99} dx"  # Math-Verify is at it for longer than it may
    batch = [(deadly, "\\boxed{\\int y}") if n % 400 == 7 else (str(n % 90), f"\\boxed{{{n}}}") for n in range(2000)]
    with Checker(n_workers=2, limits=Limits(time_s=0.3)) as checker:
        verdicts = list(checker.verify_many(pairs((*row, "stop") for row in batch)))
    wanted = ["undecided" if n % 400 == 7 else "correct" if n < 90 else "wrong" for n in range(2000)]
    assert [verdict.outcome for verdict in verdicts] == wanted
    assert [v.extracted for v in verdicts if v.outcome != "undecided"] == [str(n) for n in range(2000) if n % 400 != 7]


def test_a_child_that_dies_with_answers_unsent_loses_none_of_them():
    asked = [("row", ("", "", str(n)), (f"\\boxed{{{n}}}", "stop")) for n in range(60)]
    asked[40] = ("nobody knows what this asks", "", "", "")  # the child ends
    with Worker(opener=MATHS) as worker:
        replies = worker.ask(asked)
        assert worker.n_started == 3  # the first, the careful one that found the culprit, one for the rest
    assert [n for n, (values, _) in enumerate(replies) if values is None] == [40]
    assert replies[40][1].startswith("checker died")
    assert [values[:2] for values, _ in replies if values] == [("correct", str(n)) for n in range(60) if n != 40]


def row(answer, text):
    return ("row", ("", "", answer), (text, "stop"))


def test_what_one_child_decided_the_others_are_told():
    shared = Shared()
    first, second = Worker(shared=shared, opener=MATHS), Worker(shared=shared, opener=MATHS)
    with first, second:
        first.ask([row("7", "\\boxed{7}"), row("\\frac12", "\\boxed{0.5}")])
        assert [(answer, text) for _, (answer, text, *_) in shared._found] == [
            ("7", "7"),
            ("\\frac12", "0.5"),
        ]
        assert second.ask([("row", ("", "", "7"), ("\\boxed{7}", "stop"))])[0][0][0] == "correct"
        assert shared.told == {id(first): 0, id(second): 2}
        first.ask([("row", ("", "", "8"), ("\\boxed{8}", "stop"))])
        second.ask([("row", ("", "", "9"), ("\\boxed{9}", "stop"))])
        assert len(shared._found) <= 3  # what all know is let go


def test_few_questions_for_math_verify_go_to_one_child_and_many_to_all():
    sums = [(f"\\sum_{{k=1}}^{{{n}}} k", f"\\boxed{{\\sum_{{j=1}}^{{{n}}} j}}", "stop") for n in range(2, 8)]
    rows = [(str(n), f"\\boxed{{{n}}}", "stop") for n in range(200)]
    with Checker(n_workers=2) as checker:
        verdicts = list(checker.verify_many(pairs([*rows[:90], *sums, *rows[90:]])))
        assert [v.outcome for v in verdicts] == ["correct"] * 206
        assert [v.tier for v in verdicts[90:96]] == ["symbolic"] * 6
        crew = checker.crew()
        assert (crew.n_put_off, crew.heavy.n_started) == (6, 1)
        crew.n_put_off = FEW
        more = [(f"{a}+1", text, reason) for a, text, reason in sums]
        assert {v.tier for v in checker.verify_many(pairs(more))} == {"symbolic"}
        assert (crew.n_put_off, crew.heavy.n_started) == (FEW, 1)


def test_chunks_are_small_where_rows_are_slow_and_large_where_they_are_fast():
    def size(row_s):
        crew = Crew(2, Limits(), MATHS)
        crew.row_s = row_s
        with closing(crew.chunks((("row", ("", "", "1"), ("\\boxed{1}", "stop")), "") for _ in range(700))) as chunks:
            return len(next(chunks)[0])

    assert [size(row_s) for row_s in (1.0, CHUNK_S / 50.5, 1e-9)] == [1, 50, CHUNK]


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_memory_does_not_grow_with_the_rows(n_workers):
    def rows():
        for n in range(60_000):
            yield f"{n}/7", f"{n} " * 400 + f"so it is \\boxed{{\\frac{{{n}}}{{7}}}}", "stop"

    def used():
        here = psutil.Process()
        return sum(process.memory_info().rss for process in [here, *here.children(recursive=True)]) >> 20

    seen = {}
    with Checker(n_workers=n_workers) as checker:
        for n, verdict in enumerate(checker.verify_many(pairs(rows()))):
            assert verdict.outcome == "correct"
            if n % 20_000 == 19_999:
                seen[n] = used()
    print(seen)
    early, middle, late = seen.values()
    assert late - middle < 60  # MiB for 48 MB of new completions; the memo fills up to 50,000 pairs
    assert late - early < 120


@pytest.mark.parametrize("n_workers", ["1", "2"])
def test_interrupted_the_command_leaves_a_valid_file_and_no_process(tmp_path, n_workers):
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(
        "".join(json.dumps({"answer": "5", "completion": f"\\boxed{{{n}}}"}) + "\n" for n in range(N_ROWS))
    )
    command = [sys.executable, "-m", "limo.cli", "verify", str(source), "-o", str(out), "--workers", n_workers]
    parent = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        process_group=0,
    )
    process, deadline = psutil.Process(parent.pid), time.monotonic() + 120
    while not any(p.stat().st_size > 100_000 for p in tmp_path.glob(".out.jsonl*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    offspring = process.children(recursive=True)
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to the children too
    _, said = parent.communicate(timeout=120)
    assert parent.returncode == 3
    assert "interrupted" in said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(offspring, timeout=20)
    assert not alive
    lines = out.read_text().splitlines()
    assert 0 < len(lines) < N_ROWS
    assert [json.loads(line)["completion"] for line in lines] == [f"\\boxed{{{n}}}" for n in range(len(lines))]
    assert [p.name for p in tmp_path.iterdir() if p not in (source, out)] == []
