"""The pocket lab: its recipe, its files, and a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limo.core.errors import InputError
from limo.core.files import write_json
from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.experiments.arms import Selection, load_questions
from limo.experiments.cells import MEASURING
from limo.experiments.lab_status import read_lab_status
from limo.experiments.pocket.lab import (
    ROW_S,
    PocketRecipe,
    expected_s,
    measured_pace,
    pocket_lab,
    run,
    slowdown,
    write_world,
)
from limo.experiments.pocket.models import PLANS, model_card, model_path
from limo.experiments.results import Measurement
from shipped_models import SHIPPED

RECIPE = Path(__file__).parents[3] / "src" / "limo" / "recipes" / "pocket.yaml"
SMALL = [
    "world.n_pool=150", "world.n_bulk_pool=60", "world.n_benchmark=8", "collections.plain.n_problems=60",
    "collections.terse.n_problems=40", "curation.select.k=6", "sft.max_steps=2", "seeds=[0]", "n_workers=1",
]  # fmt: skip


def test_every_arm_of_the_questions_has_what_it_needs_in_the_shipped_recipe():
    recipe, questions = load(PocketRecipe, RECIPE), load_questions()
    for arm in questions.arms_of(questions.experiments):
        selection, training = arm.selection or Selection(), arm.training
        assert selection.source in {"curated", *recipe.collections}, arm.name
        assert selection.style in {"", *recipe.styles} and selection.stratum in {"", *recipe.strata}, arm.name
        assert training is None or getattr(recipe, training.method) is not None, arm.name
        assert {arm.student, training.student if training else ""} <= {"", *PLANS}, arm.name


def test_bulk_is_ten_times_what_limo_selects():
    recipe, arms = load(PocketRecipe, RECIPE), load_questions().arms
    for name in ("bulk_terse", "bulk_careful", "bulk_terse_tokens", "bulk_careful_tokens"):
        assert arms[name].selection.k == 10 * recipe.curation.select.k, name


def test_the_recipe_keeps_every_pocket_benchmark_out_of_the_pool(tmp_path):
    recipe = load(PocketRecipe, RECIPE, SMALL)
    lab = pocket_lab(recipe, tmp_path)
    write_world(recipe, lab.data, NoProgress())
    assert set(recipe.curation.benchmarks) == set(lab.benchmarks())
    before = {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()}
    write_world(recipe, lab.data, NoProgress())
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()}


def test_a_selection_from_an_unknown_source_is_refused(tmp_path):
    lab = pocket_lab(load(PocketRecipe, RECIPE, SMALL), tmp_path)
    with pytest.raises(InputError, match=r"no such source of chains.*curated, plain, terse"):
        lab.candidate_pool("best", NoProgress())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_has_a_card_that_says_what_it_was_made_of(name):
    card = model_card(name)
    assert card["n_tokens"] > card["n_tokens_learnt"] > 0
    assert card["plan"]["n_steps"] == PLANS[name].n_steps
    assert card["corpus"] and card["premise"]


def test_an_unknown_model_is_refused():
    with pytest.raises(InputError, match="no pocket model"):
        model_path("pocket-../secret")


def test_a_model_that_is_not_shipped_is_taken_from_where_it_was_pre_trained_or_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="limo pocket pretrain pocket-rich-512"):
        model_path("pocket-rich-512")
    (tmp_path / "runs" / "pocket" / "pocket-rich-512").mkdir(parents=True)
    assert model_path("pocket-rich-512").is_dir()


def test_another_world_has_other_answers_and_models_that_know_them(tmp_path):
    recipes = [load(PocketRecipe, RECIPE, words) for words in (SMALL, [*SMALL, "world.variant=world2"])]
    first, second = (pocket_lab(recipe, tmp_path / recipe.world.variant) for recipe in recipes)
    for lab in (first, second):
        write_world(lab.recipe, lab.data, NoProgress())
    problems = [lab.benchmarks()["pocket-bus"] for lab in (first, second)]
    assert [p.problem for p in problems[0]] == [p.problem for p in problems[1]]
    assert [p.answer for p in problems[0]] != [p.answer for p in problems[1]]
    assert second.hooks.model_path("pocket-rich").endswith("pocket-rich-world2")
    with pytest.raises(InputError, match="no pocket model"):
        second.hooks.model_path("pocket-poor")


def test_the_shipped_weights_are_small():
    weights = Path(model_path("pocket-rich")).parent
    assert sum(file.stat().st_size for file in weights.rglob("*") if file.is_file()) < 12e6


@pytest.mark.slow
def test_a_lab_killed_again_and_again_ends_with_the_same_scores_as_one_left_alone(tmp_path):
    whole = _start(tmp_path / "whole")
    assert whole.wait() == 0
    for after_s in (5, 11, 17, 23):
        killed = _start(tmp_path / "killed")
        time.sleep(after_s)  # where it dies is anybody's guess: that is the point
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        assert read_lab_status(tmp_path / "killed").command.startswith("limo lab ")
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
    command = [sys.executable, "-m", "limo", "lab", str(RECIPE), *SMALL, "--run", str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def _n_rollouts(ledger: Path) -> int:
    import sqlite3

    with sqlite3.connect(ledger) as database:
        count: int = database.execute("select count(*) from rollouts").fetchone()[0]
    return count


def test_a_busy_machine_takes_longer_than_the_plan_of_quiet_cores(monkeypatch):
    monkeypatch.setattr("limo.experiments.pocket.lab.n_cores", lambda: 2)
    for load_average, times in ((0.0, 1.0), (1.0, 1.5), (6.0, 4.0)):
        monkeypatch.setattr("os.getloadavg", lambda now=load_average: (now, 0.0, 0.0))
        assert slowdown(2) == times
    monkeypatch.setattr("limo.experiments.pocket.lab.n_cores", lambda: 16)
    assert slowdown(2) == 1.0


def test_the_expected_times_are_those_of_what_is_left(tmp_path):
    recipe, questions = load(PocketRecipe, RECIPE, SMALL), load_questions()
    lab, arms = pocket_lab(recipe, tmp_path), questions.arms_of([questions.experiment("headline").of_short_lab()])
    whole = expected_s(lab, recipe, arms)
    assert list(whole) == ["curation", "chains curated", "chains plain", "chains terse", MEASURING]
    for selection, _ in lab.missing_sets(arms):
        if selection.source == "terse":
            write_json(lab.set_path(selection), [])
    base = Measurement("base", 0, {}, questions.arms["base"].hash)
    write_json(tmp_path / "arms" / "base" / "seed-0" / "measurement.json", base.to_json())
    left = expected_s(lab, recipe, arms)
    assert "chains terse" not in left
    assert left[MEASURING] < whole[MEASURING]
    assert measured_pace(lab, recipe, arms) is None, "nothing was trained"
    planned_s = ROW_S * recipe.sft.max_steps * recipe.sft.examples_per_update
    limo = Measurement("limo", 0, {}, questions.arms["limo"].hash, seconds=3 * planned_s)
    write_json(tmp_path / "arms" / "limo" / "seed-0" / "measurement.json", limo.to_json())
    assert measured_pace(lab, recipe, arms) == pytest.approx(3)


def test_a_measurement_of_another_arm_by_the_same_name_is_refused(tmp_path):
    lab, arm = pocket_lab(load(PocketRecipe, RECIPE, SMALL), tmp_path), load_questions().arms["limo"]
    other = Measurement("limo", 0, {}, "other")
    write_json(tmp_path / "arms" / "limo" / "seed-0" / "measurement.json", other.to_json())
    with pytest.raises(InputError, match="another arm by this name"):
        lab.stored(arm, 0)


@pytest.mark.slow
def test_every_question_is_answered_in_one_run_with_a_section_predictions_and_a_chart(tmp_path):
    from limo.report.store import load as load_report

    few = [
        "sft.max_steps=2", "lora.max_steps=2", "grpo.max_steps=2", "grpo.max_completion_length=32",
        "grpo.examples_per_update=8", "grpo.per_device_train_batch_size=8",
    ]  # fmt: skip
    recipe, questions = load(PocketRecipe, RECIPE, [*SMALL, *few, "n_workers=2"]), load_questions()
    run(recipe, tmp_path / "run", asked=questions.experiments)
    report = load_report(tmp_path / "run" / "report.json")
    sections = [section for section in report.sections if section.kind == "question"]
    assert [section.name for section in sections] == [experiment.name for experiment in questions.experiments]
    for section, experiment in zip(sections, questions.experiments, strict=True):
        assert len(section.predictions) == len(section.claims[: len(experiment.predictions)]) > 0, section.name
        assert section.charts and section.tables and len(section.tables[0].rows) == len(experiment.arms)
    (cost,) = [section.charts[1] for section in sections if section.name == "reinforcement"]
    assert {"LIMO, on the way", "GRPO", "GRPO after LIMO"} <= {row.label_en for row in cost.series}
    assert all(row.x == sorted(row.x) for row in cost.series)


@pytest.mark.slow
def test_a_cell_of_the_stored_results_is_measured_again_and_equals(tmp_path):
    stored = json.loads((RECIPE.parents[3] / "results" / "pocket.json").read_text(encoding="utf-8"))
    if "outcomes" not in stored:
        pytest.skip("the stored run is of before each problem's outcome was stored: docs/results.py RUN stores one")
    (tmp_path / "recipe.yaml").write_text(stored["recipe"], encoding="utf-8")
    lab, arm = pocket_lab(load(PocketRecipe, tmp_path / "recipe.yaml"), tmp_path / "run"), load_questions().arms["limo"]
    lab.prepare([arm], NoProgress())
    outcomes = lab.measure(arm, 0).pass_rates
    for benchmark, problems in stored["problems"].items():
        cell = stored["outcomes"]["limo"]["0"][benchmark]
        assert "".join(str(int(outcomes[benchmark][name])) for name in problems) == cell, benchmark
