"""The paper lab's matrix: what runs, in which order, what a failure and a budget do, and the shipped experiments."""

from __future__ import annotations

import json

import pytest
from paper_cases import FakeJobs, small_recipe, store_measurement, write_recipe

from limo.core.errors import InputError, PartialError
from limo.core.progress import NoProgress
from limo.core.recipe import load, shipped
from limo.experiments import paper
from limo.experiments.paper import Matrix, published
from limo.experiments.paper_plan import PlannedCell
from limo.experiments.paper_recipe import PaperRecipe, catalogue

RECIPES = sorted(name for name in shipped() if name.startswith("paper-"))
COSTS = {"base": 1.0, "limo": 3.0, "twin": 2.0, "lima": 4.0}


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    """Makes a matrix in which an arm costs what `COSTS` says."""

    def plan(self):
        return {cell.name: planned(cell) for cell in self.cells}

    def planned(cell):
        return PlannedCell(cell.arm, cell.seed, False, 1, 0, 1, 1, 1, 1, COSTS.get(cell.arm, 9.0), 0.0, True)

    monkeypatch.setattr(Matrix, "plan", plan)
    monkeypatch.setattr(paper, "POLL_S", 0.0)

    def make(**changes):
        recipe = PaperRecipe.model_validate(small_recipe(tmp_path, **changes))
        made = Matrix(recipe, tmp_path / "lab", "mine")
        made.write_sets(NoProgress())
        return made

    return make


def test_every_cell_is_measured_once_cheapest_first_and_an_untrained_arm_with_one_seed(matrix):
    made = matrix()
    jobs = FakeJobs(made)
    made.run(jobs, NoProgress())
    assert jobs.started == ["base-0", "limo-0", "limo-1"]
    again = FakeJobs(made)
    made.run(again, NoProgress())
    assert again.started == []
    assert {arm: len(rows) for arm, rows in made.measured().items()} == {"base": 1, "limo": 2}


def test_a_cell_that_fails_leaves_the_others_running_and_is_named_with_its_reason(matrix):
    made = matrix()
    jobs = FakeJobs(made, {"limo-0": "out of memory"})
    made.run(jobs, NoProgress())
    assert jobs.started == ["base-0", "limo-0", "limo-1"]
    assert made.failed == {"limo-0": "out of memory"}
    assert list(made.measured()) == ["base"]


def test_a_cell_that_says_it_is_done_and_left_nothing_has_failed(matrix):
    made = matrix()
    jobs = FakeJobs(made)
    jobs.end = lambda name, folder: ""
    made.run(jobs, NoProgress())
    assert set(made.failed.values()) == {"it ended without a measurement"}


def test_arms_that_differ_in_name_alone_are_measured_once(matrix, tmp_path):
    twin = {"label": ["Twin", "孪生"], "set": "limo"}
    mine = {"question": ["?", "？"], "arms": ["limo", "twin"]}
    made = matrix(arms={"twin": twin}, experiments={"mine": mine}, seeds=[0])
    jobs = FakeJobs(made)
    made.run(jobs, NoProgress())
    assert jobs.started == ["twin-0"]
    assert {arm: rows[0].arm for arm, rows in made.measured().items()} == {"limo": "limo", "twin": "twin"}


def test_an_arm_of_equal_cost_waits_for_the_one_whose_cost_it_needs_and_fails_with_it(matrix):
    grpo = {"label": ["RL", "强化"], "set": "limo", "flops_of": "limo"}
    mine = {"question": ["?", "？"], "arms": ["twin"]}
    made = matrix(arms={"twin": grpo}, experiments={"mine": mine}, seeds=[0])
    jobs = FakeJobs(made)
    made.run(jobs, NoProgress())
    assert jobs.started == ["limo-0", "twin-0"]
    made = matrix(arms={"twin": grpo}, experiments={"mine": mine}, seeds=[7])
    jobs = FakeJobs(made, {"limo-7": "broken"})
    made.run(jobs, NoProgress())
    assert jobs.started == ["limo-7"]
    assert made.failed["twin-7"].startswith("limo-7, whose cost it needs")


def test_the_budget_stops_the_lab_before_a_cell_that_would_pass_it_and_a_larger_one_goes_on(matrix, tmp_path):
    made = matrix(budget={"gpu_hours": 5.0})
    jobs = FakeJobs(made)
    jobs.n_at_once = 3
    with pytest.raises(PartialError, match=r"5.00 GPU-hours.*'0.00 \+ 7.00'"):
        made.run(jobs, NoProgress())
    assert jobs.started == ["base-0", "limo-0"] and jobs.cancelled == ["base-0", "limo-0"]
    for cell in made.cells[:2]:
        store_measurement(cell, cell.folder)
    made = matrix(budget={"gpu_hours": 7.0})
    jobs = FakeJobs(made)
    made.run(jobs, NoProgress())
    assert jobs.started == ["limo-1"]


def test_what_earlier_starts_have_spent_counts_in_hours_and_in_dollars(matrix):
    made = matrix(budget={"usd": 10.0}, hardware={"usd_per_gpu_hour": 2.0}, train={"nproc": 2, "accelerate": "cpu"})
    folder = made.cells[0].folder
    folder.mkdir(parents=True)
    (folder / "spent.json").write_text(json.dumps({"seconds": 7200}))  # two hours of two GPUs at two dollars
    made.check_budget(1.0)
    with pytest.raises(PartialError, match=r"10.00 US dollars.*'8.00 \+ 2.20'"):
        made.check_budget(1.1)


def test_changed_scoring_is_scored_again_and_changed_training_is_another_cell(matrix, tmp_path):
    made = matrix()
    cell = made.cells[1]
    store_measurement(cell, cell.folder)
    rescored = matrix(decoding={"max_tokens": 25}).cells[1]
    assert cell.stored() and rescored.folder == cell.folder and rescored.stored() is None
    sft = small_recipe(tmp_path)["methods"]["sft"]
    retrained = matrix(methods={"sft": sft | {"max_steps": 3}}).cells[1]
    assert retrained.folder != cell.folder and retrained.stored() is None


def test_a_moved_lab_finds_what_it_has_measured(matrix, tmp_path):
    made = matrix()
    store_measurement(made.cells[1], made.cells[1].folder)
    (tmp_path / "lab").rename(tmp_path / "moved")
    assert Matrix(made.recipe, tmp_path / "moved", "mine").cells[1].stored()


def test_a_training_set_that_cannot_be_had_fails_its_own_arms_alone(matrix):
    mine = {"question": ["?", "？"], "arms": ["base", "limo", "L1"]}
    made = matrix(experiments={"mine": mine}, seeds=[0])
    assert set(made.failed) == {"L1-0"} and "curation=runs/limo-v2" in made.failed["L1-0"]


@pytest.mark.slow
def test_failed_cells_end_in_exit_code_3_and_a_report_of_the_complete_arms(tmp_path, monkeypatch, matrix):
    recipe = load(PaperRecipe, write_recipe(tmp_path, seeds=[0]))
    jobs = {}
    run_of = Matrix.run
    monkeypatch.setattr(
        Matrix,
        "run",
        lambda self, _, progress: run_of(self, jobs.setdefault(0, FakeJobs(self, {"limo-0": "no disk"})), progress),
    )
    with pytest.raises(PartialError, match=r"1 of 2 cells failed; limo-0: 'no disk'.*complete are base") as caught:
        paper.run("mine", recipe, tmp_path / "lab")
    assert caught.value.exit_code == 3
    report = json.loads((tmp_path / "lab" / "mine" / "report.json").read_text())
    assert [arm["name"] for arm in report["arms"]] == ["base"]
    assert {"en": "limo-0 failed: no disk", "zh": ""} in report["notes"]


def test_a_decoding_of_your_own_is_scored_as_the_evaluate_stage_takes_it(matrix):
    made = matrix()
    recipe = made.cells[0]._evaluate_recipe({"kind": "http", "name": "m", "base_urls": ["http://127.0.0.1:1/v1"]})
    assert recipe.protocol == "own" and recipe.decoding == made.recipe.decoding
    with pytest.raises(ValueError, match="belong together"):
        matrix(protocol="v2")


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_has_the_methods_and_sets_of_every_experiment(name):
    recipe = load(PaperRecipe, name)
    for title in catalogue().experiments:
        experiment = recipe.experiment(title)
        assert {arm for pair in experiment.pairs for arm in pair} <= set(experiment.arms)
        assert {figure.arm for figure in experiment.figures} <= set(experiment.arms)
        for arm in map(recipe.arm, experiment.arms):
            if arm.set:
                recipe.training_set(arm.set)
                if not (arm.method == "grpo" and "lora" in name):  # GRPO of an adapter is not implemented
                    recipe.method(arm, 0)
    assert recipe.train.accelerate_file.is_file()
    with pytest.raises(InputError, match=r"no such experiment.*reproduce, headline"):
        recipe.experiment("rq9")


def test_reproduce_is_held_against_the_papers_table():
    figures = {(f.arm, f.benchmark): f.value for f in published(catalogue().experiments["reproduce"])}
    assert figures["limo", "AIME24"] == 63.3 and figures["limo-v1", "MATH500"] == 94.8
    assert figures["base", "average"] == 49.9 and len(figures) == 33
    assert {(f.arm, f.value) for f in published(catalogue().experiments["rq5"])} == {
        ("k400", 57.5), ("k800", 63.3), ("k1200", 64.2), ("k2000", 69.6)
    }  # fmt: skip
