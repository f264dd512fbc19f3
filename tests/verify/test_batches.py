"""Long batches: order, flat memory, nothing read ahead, a death that costs one row, Ctrl-C that leaves a valid file."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from limo.core.process.limits import CallLimits
from limo.core.process.pool import MAX_CHUNK, MAX_CHUNKS
from limo.core.records import Completion, Problem
from limo.verify.checker import Checker

N_ROWS_AHEAD = 3 * MAX_CHUNKS * MAX_CHUNK // 2
N_ROWS = 400_000  # far more than are verified before the interruption
DEADLY = "\\int_0^1 " + "\\sin " * 50 + "x^{99} dx"  # Math-Verify takes longer for it than it may


def pairs(rows):
    """Problems and completions of (answer, text, finish_reason) rows."""
    return ((Problem("", "", answer), Completion(text, *rest)) for answer, text, *rest in rows)


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_rows_are_read_only_as_they_are_needed(n_workers):
    n_read, n_done, ahead = 0, 0, []

    n_rows = N_ROWS_AHEAD if n_workers > 1 else MAX_CHUNK

    def rows():
        nonlocal n_read
        for n in range(n_rows):
            n_read += 1
            yield str(n), f"\\boxed{{{n}}}", "stop"

    with Checker(n_workers=n_workers) as checker:
        for _ in checker.verify_many(pairs(rows())):
            n_done += 1
            ahead.append(n_read - n_done)
    assert n_done == n_rows
    assert max(ahead) <= (0 if n_workers == 1 else (MAX_CHUNKS + 1) * MAX_CHUNK)


@pytest.mark.parametrize(
    ("n_workers", "n_rows"), [(1, 500), *(pytest.param(n, 2000, marks=pytest.mark.slow) for n in (1, 2))]
)
def test_a_row_that_kills_its_process_costs_one_verdict_and_the_order_stays(n_workers, n_rows):
    rows = [(DEADLY, "\\boxed{\\int y}") if n % 400 == 7 else (str(n % 90), f"\\boxed{{{n}}}") for n in range(n_rows)]
    with Checker(n_workers=n_workers, limits=CallLimits(time_s=0.3)) as checker:
        verdicts = list(checker.verify_many(pairs(rows)))
    outcomes = ["undecided" if n % 400 == 7 else "correct" if n < 90 else "wrong" for n in range(n_rows)]
    assert [verdict.outcome for verdict in verdicts] == outcomes
    assert [v.extracted for v in verdicts if v.outcome != "undecided"] == [
        str(n) for n in range(n_rows) if n % 400 != 7
    ]
    limits = {"over 0.3 s of processor time", "over 4.8 s"}  # the second comes first on a busy machine
    assert {v.reason for v in verdicts if v.outcome == "undecided"} <= limits


@pytest.mark.slow
def test_batches_over_two_workers_use_math_verify_as_one_does():
    rows = [(f"\\sum_{{k=1}}^{{{n}}} k", f"\\boxed{{\\sum_{{j=1}}^{{{n}}} j}}") for n in range(2, 40)]
    with Checker(n_workers=2) as checker:
        assert {(v.outcome, v.tier) for v in checker.verify_many(pairs(rows))} == {("correct", "symbolic")}
        assert [v.outcome for v in checker.verify_many(pairs([("7", "\\boxed{7}")]))] == ["correct"]


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


@pytest.mark.parametrize("n_workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_interrupted_the_command_leaves_a_valid_file_and_no_process(tmp_path, n_workers):
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(
        "".join(json.dumps({"answer": "5", "completion": f"\\boxed{{{n}}}"}) + "\n" for n in range(N_ROWS))
    )
    command = [sys.executable, "-m", "limo", "verify", str(source), "-o", str(out), "--workers", n_workers]
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
