"""The paper lab: what names a cell, what it may spend, its training sets, and the shipped experiments."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from paper_cases import FakeLauncher, small_recipe, store_measurement, write_recipe

from limo.core.errors import InputError, PartialError, RecipeError
from limo.core.progress import NoProgress
from limo.core.recipe import load, shipped
from limo.core.records import Chain, Grade, Problem, Verdict
from limo.curate.grade import GradeSettings
from limo.curate.select import Candidate, SelectSettings
from limo.experiments import runner
from limo.experiments.arm_selection import CandidatePool
from limo.experiments.arms import Selection
from limo.experiments.cells import Cell
from limo.experiments.lab import Lab
from limo.experiments.paper import experiment as paper
from limo.experiments.paper import lab as paper_lab
from limo.experiments.paper.experiment import published_figures
from limo.experiments.paper.lab import PaperLab
from limo.experiments.paper.recipe import PaperRecipe
from limo.stages import evaluate

RECIPES = sorted(name for name in shipped() if name.startswith("paper-"))


@pytest.fixture
def make(tmp_path):
    """Makes a lab with the training sets of its experiment `mine`."""

    def made(**changes):
        lab = PaperLab(PaperRecipe.model_validate(small_recipe(tmp_path, **changes)), tmp_path / "lab")
        lab.prepare(arms_of(lab), NoProgress())
        return lab

    return made


def arms_of(lab):
    return lab.recipe.questions.arms_of([lab.recipe.questions.experiment("mine")])


def limo_of(lab):
    return lab.recipe.questions.arms["limo"]


def test_what_earlier_starts_have_spent_counts_in_hours_and_in_dollars(make):
    lab = make(budget={"usd": 10.0}, hardware={"usd_per_gpu_hour": 2.0}, train={"nproc": 2, "accelerate": "cpu"})
    base, limo = (Cell(arm, 0) for arm in arms_of(lab))
    folder = lab.cell_folder(base.arm, 0)
    folder.mkdir(parents=True)
    (folder / "spent.json").write_text(json.dumps({"seconds": 7200}))  # two hours of two GPUs at two dollars
    lab.check_budget({"limo-0": 1.0}, [], limo)
    with pytest.raises(PartialError, match=r"10.00 US dollars.*'8.00 \+ 2.20'"):
        lab.check_budget({"limo-0": 1.1}, [], limo)
    lab.check_budget({"base-0": 5.0, "limo-0": 0.0}, [base], limo)  # one GPU-hour of the five is still to come
    with pytest.raises(PartialError, match=r"'8.00 \+ 4.00'"):
        lab.check_budget({"base-0": 6.0, "limo-0": 0.0}, [base], limo)


def test_arms_that_differ_in_name_alone_share_a_cell_and_its_measurement(make):
    twin = {"label": ["Twin", "孪生"], "selection": {"source": "limo-v2"}, "training": {"budget": "epochs"}}
    lab = make(arms={"twin": twin}, experiments={"mine": {"question": ["?", "？"], "arms": ["limo", "twin"]}})
    limo, twin = arms_of(lab)
    store_measurement(lab, limo, 0)
    assert lab.cell_folder(twin, 0) == lab.cell_folder(limo, 0)
    assert lab.stored(twin, 0).arm == "twin" and lab.stored(twin, 1) is None


def test_changed_scoring_is_scored_again_and_changed_training_is_another_cell(make, tmp_path):
    lab = make()
    limo = limo_of(lab)
    store_measurement(lab, limo, 0)
    rescored = make(decoding={"max_tokens": 25})
    assert lab.stored(limo, 0) and rescored.cell_folder(limo, 0) == lab.cell_folder(limo, 0)
    assert rescored.stored(limo, 0) is None
    retrained = make(sft=small_recipe(tmp_path)["sft"] | {"max_steps": 3})
    assert retrained.cell_folder(limo, 0) != lab.cell_folder(limo, 0) and retrained.stored(limo, 0) is None


def test_a_moved_lab_finds_what_it_has_measured(make, tmp_path):
    lab = make()
    store_measurement(lab, limo_of(lab), 0)
    (tmp_path / "lab").rename(tmp_path / "moved")
    assert PaperLab(lab.recipe, tmp_path / "moved").stored(limo_of(lab), 0)


def test_a_budget_of_updates_is_that_of_limo_and_one_of_epochs_the_recipe_s_own(make, tmp_path):
    sft = small_recipe(tmp_path)["sft"] | {"max_steps": -1, "num_train_epochs": 3}
    rows = (tmp_path / "rows.jsonl").read_text()
    (tmp_path / "many.jsonl").write_text("".join(rows.replace("So it is.", f"So it is {n}.") for n in range(5)))
    sources = small_recipe(tmp_path)["sources"] | {"many": {"rows": str(tmp_path / "many.jsonl")}}
    arms = {
        name: {"label": [name, name], "selection": {"source": "many", "k": 30}, "training": training}
        for name, training in {"own": {"budget": "epochs"}, "matched": {}}.items()
    }
    mine = {"question": ["?", "？"], "arms": ["own", "matched"]}
    lab = make(sft=sft, sources=sources, arms=arms, experiments={"mine": mine})
    steps = [lab.training_settings(arm, 0, lab.dataset(arm, 0)).max_steps for arm in arms_of(lab)]
    assert steps == [-1, 6]  # 8 rows of LIMO, 3 times, 4 an update
    drawn = lab.dataset(arms_of(lab)[0], 0).read_text().splitlines()
    assert len(drawn) == 30 and drawn != sorted(drawn)


@pytest.fixture
def at_once(monkeypatch):
    """Nothing is waited for, and nothing planned."""
    monkeypatch.setattr(runner, "POLL_S", 0.0)
    monkeypatch.setattr(PaperLab, "hours", Lab.hours)


def test_a_training_set_that_cannot_be_had_fails_its_own_arms_alone(make, monkeypatch, at_once):
    mine = {"question": ["?", "？"], "arms": ["base", "limo", "L1", "random"]}
    lab = make(experiments={"mine": mine}, seeds=[0])
    launcher = FakeLauncher(lab)
    monkeypatch.setattr(paper_lab, "CommandLauncher", lambda settings: launcher)
    measured, failed = paper.measure_arms(lab, arms_of(lab), NoProgress())
    assert set(measured) == {"base", "limo"} and launcher.started == ["base-0", "limo-0"]
    assert set(failed) == {"L1-0", "random-0"} and "curation=runs/limo-v2" in failed["L1-0"]


def test_failed_cells_end_in_exit_code_3_and_a_report_of_the_complete_arms(tmp_path, monkeypatch, at_once):
    recipe = load(PaperRecipe, write_recipe(tmp_path, seeds=[0]))
    lab = PaperLab(recipe, tmp_path / "lab")
    monkeypatch.setattr(paper_lab, "CommandLauncher", lambda settings: FakeLauncher(lab, {"limo-0": "no disk"}))
    monkeypatch.setattr(runner.page, "write", lambda report, path, language: None)
    with pytest.raises(PartialError, match=r"1 of 2 cells failed; limo-0: 'no disk'") as caught:
        paper.run("mine", recipe, tmp_path / "lab")
    assert caught.value.exit_code == 3
    report = json.loads((tmp_path / "lab" / "mine" / "report.json").read_text())
    assert [arm["name"] for arm in report["arms"]] == ["base"]
    assert {"en": "limo-0 failed: no disk", "zh": ""} in report["notes"]


def test_levels_are_chosen_among_the_chains_of_a_curation(make, monkeypatch):
    problems = [Problem.make(f"Problem {n}", "4") for n in range(10)]
    chains = [
        Chain(p.id, f"Step. \\boxed{{{n}}}", "t", "", "s", 0, 5, Verdict("correct")) for n, p in enumerate(problems)
    ]
    graded = [
        Candidate(p, c, Grade({}, 0.5, f"L{1 + n % 5}")) for n, (p, c) in enumerate(zip(problems, chains, strict=True))
    ]
    curation = SimpleNamespace(select=SelectSettings(), grade=GradeSettings(), system="Solve it.")
    monkeypatch.setattr(PaperLab, "curation_recipe", curation)
    monkeypatch.setattr(paper_lab, "curated_pool", lambda recipe, folder, runner: CandidatePool(problems, graded, []))
    lab = make(experiments={"mine": {"question": ["?", "？"], "arms": ["L2", "L5"]}}, curation="runs/mine")
    texts = [
        [json.loads(row)["messages"] for row in lab.dataset(arm, 0).read_text().splitlines()] for arm in arms_of(lab)
    ]
    assert [{row[-1]["content"] for row in rows} for rows in texts] == [
        {"Step. \\boxed{1}", "Step. \\boxed{6}"}, {"Step. \\boxed{4}", "Step. \\boxed{9}"}
    ]  # fmt: skip
    assert texts[0][0][0] == {"role": "system", "content": "Solve it."}


def test_scoring_is_checked_as_in_the_evaluate_stage(make):
    assert issubclass(PaperRecipe, evaluate.ScoringSettings) and make().recipe.protocol == "own"
    for faults in ({"protocol": "v2"}, {"overrule": ["bus"]}):
        with pytest.raises(ValueError, match=r"belong together|needs `judge`"):
            make(**faults)


def test_what_the_paper_lab_cannot_do_with_an_arm_is_refused(make):
    label = {"label": ["A", "甲"]}
    with pytest.raises(ValueError, match="has no `prompting`"):
        make(arms={"begun": {**label, "prompting": {"is_begun": True}}})
    graded = {**label, "selection": {"source": "limo-v2", "level": "L5"}, "training": {"budget": "epochs"}}
    mine = {"question": ["?", "？"], "arms": ["graded"]}
    lab = make(arms={"graded": graded}, experiments={"mine": mine})
    (why,) = lab.prepare(arms_of(lab), NoProgress()).values()
    assert "no grades to select by (limo-v2): \"['level']\"" in why


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_has_what_every_experiment_needs(name):
    recipe = load(PaperRecipe, name)
    questions = recipe.questions
    for experiment in questions.experiments:
        for arm in questions.arms_of([experiment]):
            if arm.training and not (arm.training.method == "grpo" and "lora" in name):  # GRPO of an adapter: not here
                assert paper.planned_rows(recipe, arm.selection)
                assert getattr(recipe, arm.training.method) is not None
    assert recipe.train.accelerate_file.is_file()
    with pytest.raises(InputError, match=r"no such experiment.*reproduce, headline"):
        questions.experiment("rq9")


def test_an_arm_of_a_recipe_that_does_not_fit_is_named_with_its_fault(tmp_path):
    with pytest.raises(RecipeError, match=r"arms\.odd.*selection"):
        load(PaperRecipe, write_recipe(tmp_path, arms={"odd": {"label": ["Odd", "怪"], "training": {}}}))


def test_reproduce_is_held_against_the_papers_table():
    questions = load(PaperRecipe, "paper-32b").questions
    figures = {(f.arm, f.benchmark): f.value for f in published_figures(questions.experiment("reproduce"))}
    assert figures["limo", "AIME24"] == 63.3 and figures["limo-v1", "MATH500"] == 94.8
    assert figures["base", "average"] == 49.9 and len(figures) == 33
    assert {(f.arm, f.value) for f in published_figures(questions.experiment("rq5"))} == {
        ("k400", 57.5), ("k800", 63.3), ("k1200", 64.2), ("k2000", 69.6)
    }  # fmt: skip


def test_a_stop_in_a_training_set_ends_the_run_before_anything_else_begins(tmp_path, monkeypatch):
    lab, stopped = PaperLab(PaperRecipe.model_validate(small_recipe(tmp_path)), tmp_path / "lab"), []
    own = Selection(source="numina")
    monkeypatch.setattr(PaperLab, "limo", property(lambda lab: own))  # what happens to LIMO's own set is always raised

    def write_set(lab, selection, of_problems, progress):
        if selection != own:
            stopped.append(selection)
            raise PartialError("interrupted")

    monkeypatch.setattr(PaperLab, "write_set", write_set)
    with pytest.raises(PartialError, match="interrupted"):
        runner.measure_arms(lab, arms_of(lab), NoProgress())
    assert len(stopped) == 1 and not (lab.folder / "cells").exists()
