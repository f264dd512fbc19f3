"""Killed at 50 moments, out of disk, not allowed to write: nothing answered is lost or requested again."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import tempfile
from pathlib import Path

import pytest

from limo.ledger.store import Ledger
from limo.models.replay import ReplayCompleter
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.rollouts.collect import collect_rollouts
from rollout_cases import BAND, PROBLEMS, Exact, N, collect_in_child

SEEDS = range(50)
FAST = 2  # of them in the fast tier; all run with -m slow


@pytest.fixture(scope="module")
def processes():
    """Children of a server process that has no threads and limo loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["rollout_cases", "limo.models.openai.completer", "limo.rollouts.collect", "aiohttp"]
    )
    return context


@pytest.fixture(scope="module")
def wanted(recording, tmp_path_factory):
    with Ledger(tmp_path_factory.mktemp("whole") / "ledger.sqlite") as ledger:
        whole = collect_rollouts(ledger, ReplayCompleter([recording], "m"), PROBLEMS, Exact(), n=N)
    return {name: "keep" if BAND[0] <= rate.n_correct <= BAND[1] else "drop" for name, rate in whole.items()}


def child(processes, path, url, moment=None, limit=None):
    """Its exit code and its last words."""
    ours, theirs = processes.Pipe()
    process = processes.Process(target=collect_in_child, args=(path, url, moment, theirs, limit))
    process.start()
    theirs.close()
    process.join(120)
    try:
        said = ours.recv() if ours.poll() else ""
    except EOFError:
        said = ""
    return process.exitcode, said


def decisions(path):
    from limo.core.pass_rate_band import PassRateBand

    counts = {problem.id: [0, 0] for problem in PROBLEMS}
    with Ledger(path) as ledger:
        assert ledger.integrity_errors() == []
        for rollout in ledger.rollouts():
            counts[rollout.problem_id][rollout.verdict.outcome != "correct"] += 1
    return {name: PassRateBand(*BAND).decide(*pair) for name, pair in counts.items()}


def moment(seed):
    """A time after the start for odd seeds, a statement to the ledger for even ones."""
    rng = random.Random(seed)
    return rng.uniform(0.005, 0.4) if seed % 2 else rng.randrange(5, 160)


@pytest.mark.parametrize("seed", [pytest.param(s, marks=pytest.mark.slow if s >= FAST else ()) for s in SEEDS])
def test_killed_it_goes_on_and_asks_no_answered_rollout_again(processes, recording, wanted, tmp_path, seed):
    path = tmp_path / "ledger.sqlite"
    server = ReplayServer([recording], ReplayServerSettings(latency_s=0.01))
    with server.running() as url:
        code, _ = child(processes, path, url, moment(seed))
        assert code in (-signal.SIGKILL, 0)  # 0: a slow moment came after the end
        with Ledger(path) as ledger:
            assert ledger.integrity_errors() == []
            answered = {rollout.key: rollout for rollout in ledger.rollouts()}
        requested = dict(server.n_requested)
        assert child(processes, path, url) == (0, "done")
    for key in answered:
        name = ("m", key[0], key[4])
        assert server.n_requested[name] == requested[name], "requested again after its answer was written down"
    assert decisions(path) == wanted
    with Ledger(path) as ledger:
        kept = {rollout.key: rollout for rollout in ledger.rollouts()}
    assert answered.items() <= kept.items()


def test_ctrl_c_waits_for_what_is_under_way_says_what_is_left_and_goes_on(processes, recording, wanted, tmp_path):
    path = tmp_path / "ledger.sqlite"
    server = ReplayServer([recording], ReplayServerSettings(latency_s=0.01))
    with server.running() as url:
        code, said = child(processes, path, url, -13)  # 12 are in flight: in the second group or later
        assert code == 0 and (left := re.fullmatch(r"interrupted; (\d+) of 24 problems are unfinished", said)), said
        assert int(left[1]) >= 24 - 36 // 5  # up to 12 stored, 12 being stored, 12 in flight; 5 decide a problem
        with Ledger(path) as ledger:
            answered = {("m", r.problem_id, r.index) for r in ledger.rollouts()}
        assert answered == set(server.n_requested)  # what was requested was waited for
        assert child(processes, path, url) == (0, "done")
    assert max(server.n_requested.values()) == 1
    assert decisions(path) == wanted


def test_a_full_disk_is_one_clear_line_and_what_was_written_goes_on(processes, recording, wanted, tmp_path):
    path = tmp_path / "ledger.sqlite"
    server = ReplayServer([recording])
    with Ledger(path):
        pass
    with server.running() as url:
        code, said = child(processes, path, url, limit=120_000)
        assert code == 0 and "disk is full or failing" in said and "\n" not in said
        with Ledger(path) as ledger:
            before = len(ledger)
            assert ledger.integrity_errors() == []
        assert child(processes, path, url) == (0, "done")
    assert 0 < before < N * len(PROBLEMS)
    assert decisions(path) == wanted


def test_a_ledger_that_may_not_be_written_is_one_clear_line_and_goes_on_when_it_may(processes, recording, wanted):
    with tempfile.TemporaryDirectory() as folder, ReplayServer([recording]).running() as url:
        path = Path(folder) / "ledger.sqlite"
        with Ledger(path):
            pass
        os.chmod(folder, 0o555)
        os.chmod(path, 0o444)
        code, said = child(processes, path, url, limit=0)
        assert code == 0 and "cannot be written" in said and str(path) in said and "\n" not in said
        os.chmod(folder, 0o755)
        os.chmod(path, 0o644)
        assert child(processes, path, url) == (0, "done")
        assert decisions(path) == wanted
