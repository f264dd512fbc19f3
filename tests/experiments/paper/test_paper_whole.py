"""The whole paper lab at the smallest real scale, killed with -9 in each phase: it goes on, and makes nothing twice.

Two arms, two seeds, two benchmarks; pocket models trained by `accelerate launch` in two gloo processes, each served by
`transformers serve`, which the lab starts and ends itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from paper_cases import small_recipe, write_recipe

from limo.core.errors import LimoError
from limo.ledger.store import Ledger
from limo.stages.compare import read_outcomes

pytestmark = pytest.mark.slow
SERVE = {"engine": "transformers", "arguments": "--device cpu", "start_s": 600, "http": {"in_flight": 2}}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    for name in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(name, reason=f"`transformers serve` needs {name}")
    folder = tmp_path_factory.mktemp("paper")
    sft = small_recipe(folder)["sft"] | {"max_steps": 60, "save_strategy": "steps", "save_steps": 10}
    # both arms are trained; the second on the same rows, for longer
    training = {"budget": "epochs", "changes": {"max_steps": 80}}
    arms = {"longer": {"label": ["Longer", "更久"], "selection": {"source": "limo-v2"}, "training": training}}
    mine = {"question": ["Which?", "哪个？"], "arms": ["limo", "longer"], "pairs": [["longer", "limo"]]}
    train = {"nproc": 2, "accelerate": "cpu"}
    return write_recipe(folder, arms=arms, experiments={"mine": mine}, sft=sft, train=train, serve=SERVE)


def start(recipe: Path, run: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "limo", "experiment", "mine", str(recipe), "--lab", "paper", "--run", str(run)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with open(recipe.with_name("driver.log"), "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def reached(recipe: Path, run: Path, phase: str) -> bool:
    """Whether the lab is in the middle of a phase."""
    if phase == "training":
        return any(run.glob("cells/*/seed-*/train/.model.training-*/checkpoint-10"))
    if phase == "loading the server":
        return any(run.glob("cells/*/seed-*/server.json"))
    return n_rollouts(run) > 0


def n_rollouts(run: Path) -> int:
    n = 0
    for path in run.glob("cells/*/seed-*/scores/ledger.sqlite"):
        with suppress(LimoError), Ledger(path, read_only=True) as ledger:  # one that is being made cannot be read
            n += len(list(ledger.rollouts()))
    return n


def n_trainers(run: Path) -> int:
    """Processes that train for this run together."""
    n = 0
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        with suppress(psutil.Error):
            if "limo train" in " ".join(words) and str(run) in " ".join(words):  # accelerate, and what it started
                n += process.environ().get("WORLD_SIZE") == "2"
    return n


def left_over(run: Path) -> list[str]:
    """Processes that still work for this run."""
    return [
        p.info["name"]
        for p in psutil.process_iter(["name", "cmdline"])
        if str(run) in " ".join(p.info["cmdline"] or [])
    ]


PHASES = ["training", "loading the server", "scoring"]


def test_killed_in_every_phase_it_goes_on_to_the_report_and_makes_nothing_twice(recipe, tmp_path):
    run, most = tmp_path / "run", 0
    for phase in PHASES:
        driver = start(recipe, run)
        while driver.poll() is None and not reached(recipe, run, phase):
            most = max(most, n_trainers(run) if phase == "training" and most < 2 else 0)
            threading.Event().wait(0.1)
        assert driver.poll() is None, recipe.with_name("driver.log").read_text()[-3000:]
        assert most == 2
        if phase == "training":
            assert not any(run.glob("cells/*/seed-*/train/model")), "it is killed in the middle, not after its end"
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    log = recipe.with_name("driver.log")
    assert start(recipe, run).wait() == 0, log.read_text()[-3000:]
    assert left_over(run) == []
    for cell in run.glob("cells/*/seed-*"):
        trained = (cell / "train.log").read_text()
        n_ended = trained.count("updates, ")
        assert n_ended == 1, trained  # the line with which a training ends
        with Ledger(cell / "scores" / "ledger.sqlite", read_only=True) as ledger:
            assert len(list(ledger.rollouts())) == 6  # three problems of two benchmarks
    outcomes = read_outcomes([run / "mine"])
    assert {arm: sorted(seeds) for arm, seeds in outcomes.items()} == {"limo": [0, 1], "longer": [0, 1]}
    report = json.loads((run / "mine" / "report.json").read_text())
    assert {(row["arm"], row["benchmark"]) for row in report["scores"]} == {
        (arm, benchmark) for arm in ("limo", "longer") for benchmark in ("bus", "shop")
    }
    began = n_rollouts(run)
    assert start(recipe, run).wait() == 0
    assert n_rollouts(run) == began == 24
