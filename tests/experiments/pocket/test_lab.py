"""The pocket lab: its recipe, its files, and a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from limo.core.errors import InputError
from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.experiments.arms import HEADLINE, LIMO
from limo.experiments.lab import write_json
from limo.experiments.pocket.lab import PocketRecipe, expected_s, pocket_lab, write_world
from limo.experiments.pocket.models import PLANS, model_card, model_path
from limo.experiments.results import Measurement
from limo.experiments.runner import MEASURING

RECIPE = Path(__file__).parents[3] / "src" / "limo" / "recipes" / "pocket.yaml"
SMALL = [
    "world.n_pool=150", "world.n_bulk_pool=60", "world.n_benchmark=8", "bulk.n=20", "n_level=4",
    "curation.select.k=6", "sft.max_steps=2", "sft_bulk.max_steps=2", "seeds=[0]", "n_workers=1",
]  # fmt: skip


def test_the_shipped_recipe_gives_every_arm_the_same_number_of_updates():
    recipe = load(PocketRecipe, RECIPE)
    assert recipe.sft.max_steps == recipe.sft_bulk.max_steps > 0
    assert recipe.bulk.n >= 50 * recipe.curation.select.k
    same = {"per_device_train_batch_size", "examples_per_update"}  # 60 examples many times, 3,000 once
    ours, theirs = recipe.sft.model_dump(exclude=same), recipe.sft_bulk.model_dump(exclude=same)
    assert recipe.sft_bulk.examples_per_update * recipe.sft_bulk.max_steps == recipe.bulk.n
    assert ours == theirs, "the rival is trained as we are"


def test_the_recipe_keeps_every_pocket_benchmark_out_of_the_pool(tmp_path):
    recipe = load(PocketRecipe, RECIPE, SMALL)
    lab = pocket_lab(recipe, tmp_path)
    write_world(recipe, lab.data, NoProgress())
    assert set(recipe.curation.benchmarks) == set(lab.benchmarks())
    before = {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()}
    write_world(recipe, lab.data, NoProgress())
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()}


def test_an_arm_with_an_unknown_selection_is_refused(tmp_path):
    lab = pocket_lab(load(PocketRecipe, RECIPE, SMALL), tmp_path)
    with pytest.raises(InputError, match="no such selection"):
        lab.select_rows(replace(LIMO, selection="best").selection, NoProgress())


@pytest.mark.parametrize("name", PLANS)
def test_a_shipped_model_has_a_card_that_says_what_it_was_made_of(name):
    card = model_card(name)
    assert card["n_tokens"] > card["n_tokens_learnt"] > 0
    assert card["plan"]["n_steps"] == PLANS[name].n_steps
    assert card["corpus"] and card["skills"]


def test_an_unknown_model_is_refused():
    with pytest.raises(InputError, match="no pocket model"):
        model_path("pocket-../secret")


def test_the_shipped_weights_are_small():
    weights = Path(model_path("pocket-rich")).parent
    assert sum(file.stat().st_size for file in weights.rglob("*") if file.is_file()) < 20e6


@pytest.mark.slow
def test_a_lab_killed_again_and_again_ends_with_the_same_scores_as_one_left_alone(tmp_path):
    whole = _start(tmp_path / "whole")
    assert whole.wait() == 0
    for after_s in (5, 11, 17, 23):
        killed = _start(tmp_path / "killed")
        time.sleep(after_s)  # where it dies is anybody's guess: that is the point
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    assert _start(tmp_path / "killed").wait() == 0
    scores = [json.loads((tmp_path / run / "scores.json").read_text()) for run in ("whole", "killed")]
    for arms in scores:
        for rows in arms.values():
            for row in rows:
                row.pop("seconds")
                for origin in row["provenance"].values():
                    del origin["run"], origin["ledger"]  # the paths of the two runs
    assert scores[0] == scores[1]
    again = _start(tmp_path / "killed")
    assert again.wait() == 0
    ledgers = [_n_rollouts(tmp_path / run / "curation" / "ledger.sqlite") for run in ("whole", "killed")]
    assert ledgers[0] == ledgers[1], "no rollout was sampled twice"


def _start(run: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "limo.cli", "lab", str(RECIPE), *SMALL, "--run", str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def _n_rollouts(ledger: Path) -> int:
    import sqlite3

    with sqlite3.connect(ledger) as database:
        count: int = database.execute("select count(*) from rollouts").fetchone()[0]
    return count


def test_the_expected_times_are_those_of_what_is_left(tmp_path):
    recipe = load(PocketRecipe, RECIPE, SMALL)
    lab = pocket_lab(recipe, tmp_path)
    arms = list(HEADLINE.arms)
    whole = expected_s(lab, recipe, arms)
    assert list(whole) == ["curation", "training set bulk", "training set selected", MEASURING]
    write_json(tmp_path / "sets" / "bulk.jsonl", [])
    write_json(tmp_path / "arms" / "base" / "seed-0" / "measurement.json", asdict(Measurement("base", 0, {})))
    left = expected_s(lab, recipe, arms)
    assert "training set bulk" not in left
    assert left[MEASURING] < whole[MEASURING]
