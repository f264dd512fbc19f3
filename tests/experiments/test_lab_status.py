"""A lab that has not ended: what is measured, under way and left, the command that goes on, the report of it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from limo.core.errors import InputError
from limo.core.files import locked, write_json
from limo.core.recipe import load
from limo.core.run_folder import ASKED, RunFolder
from limo.experiments import lab_status
from limo.experiments.arms import asked_of, load_questions
from limo.experiments.lab_status import read_lab_status, unfinished_report
from limo.experiments.paper.recipe import PaperRecipe
from limo.experiments.pocket.lab import PocketRecipe
from limo.experiments.results import Measurement
from limo.report.content import LocalizedText, Report
from limo.stages.curate import Recipe as CurateRecipe

QUESTIONS = load_questions()


def begin(folder, kind, recipe, experiments, seeds, words=()):
    made = load(kind, recipe, list(words))
    with RunFolder(folder, made) as run:
        run.write_json(ASKED, asked_of(experiments, seeds))
    return made


def measure(folder, arm, seed):
    row = Measurement(arm, seed, {"b": {"p": 1.0}}, QUESTIONS.arms[arm].hash)
    (folder / "arms" / arm / f"seed-{seed}").mkdir(parents=True, exist_ok=True)
    write_json(folder / "arms" / arm / f"seed-{seed}" / "measurement.json", row.to_json())


@pytest.fixture
def lab(tmp_path):
    folder = tmp_path / "lab"
    begin(folder, PocketRecipe, "pocket", QUESTIONS.short_lab(), [0, 1])
    measure(folder, "base", 0)
    measure(folder, "limo", 1)
    (folder / "arms" / "random" / "seed-0").mkdir(parents=True)
    return folder


def test_the_cells_are_measured_under_way_or_left(lab):
    status = read_lab_status(lab)
    assert status.measured == ["base-0", "limo-1"] and status.under_way == ["random-0"]
    assert "limo-0" in status.left and "random-1" in status.left and not status.is_done
    assert not status.is_running
    with locked(lab):
        assert read_lab_status(lab).is_running


def test_the_command_goes_on_with_what_the_lab_was_started_for(lab, tmp_path):
    assert read_lab_status(lab).command == f"limo lab 'seeds=[0, 1]' --run {lab}"
    begin(lab, PocketRecipe, "pocket", QUESTIONS.experiments, [0, 1, 2])
    assert read_lab_status(lab).command == f"limo lab --all --run {lab}"
    begin(lab, PocketRecipe, "pocket", [QUESTIONS.experiment("rq1")], [0, 1, 2])
    assert read_lab_status(lab).command == f"limo experiment rq1 --run {lab}"
    begin(tmp_path / "own", PocketRecipe, "pocket", QUESTIONS.short_lab(), [0, 1, 2], ["world.n_pool=90"])
    command = shlex.split(read_lab_status(tmp_path / "own").command)
    assert command == ["limo", "lab", str(tmp_path / "own/recipe.yaml"), "--run", str(tmp_path / "own")]
    assert load(PocketRecipe, command[2]).world.n_pool == 90


def test_a_paper_lab_has_a_status_and_another_run_has_none(tmp_path):
    recipe = load(PaperRecipe, "paper-32b")
    begin(tmp_path / "paper", PaperRecipe, "paper-32b", recipe.questions.experiments[:1], recipe.seeds)
    status = read_lab_status(tmp_path / "paper")
    name = recipe.questions.experiments[0].name
    assert status.command == f"limo experiment {name} --lab paper --run {tmp_path / 'paper'}"
    assert status.left and not status.measured
    with RunFolder(tmp_path / "other", load(CurateRecipe, "replay")):
        pass
    assert read_lab_status(tmp_path / "other") is None and unfinished_report(tmp_path / "other") is None


def test_a_report_of_an_unfinished_lab_has_its_complete_arms_and_says_so(lab, monkeypatch):
    opened, described = lab_status._open_lab, []

    def describe(measured):
        described.append(sorted(measured))
        return Report(title=LocalizedText("A lab", "实验室"))

    monkeypatch.setattr(lab_status, "_open_lab", lambda folder: replace(opened(folder), describe=describe))
    report = unfinished_report(lab)
    assert described == [["base"]], "limo lacks a seed"
    assert report.title.en == "A lab (unfinished)" and "2 of " in report.subtitle.en
    assert "limo lab" in report.subtitle.en and "未完成" in report.subtitle.text("zh")
    (lab / "report.json").write_text(json.dumps({}))
    assert unfinished_report(lab) is None, "an ended lab has its own"


def test_a_report_of_a_lab_without_a_complete_arm_is_refused_with_the_command(lab):
    (lab / "arms" / "base" / "seed-0" / "measurement.json").unlink()
    with pytest.raises(InputError, match=r"no arm of this lab is complete: 1 of \d+ cells.*go on with: limo lab"):
        unfinished_report(lab)
