"""Experiments: every arm with every seed, nothing measured twice, numbers that follow from the outcomes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pydantic import TypeAdapter

from limo.core.errors import PartialError
from limo.core.progress import NoProgress
from limo.core.records import Provenance
from limo.core.run_files import read_json
from limo.experiments import results
from limo.experiments.arms import Arm, Experiment, Questions
from limo.experiments.lab import Lab
from limo.experiments.results import Measurement
from limo.experiments.runner import measure_arms, raise_failed, report_of
from limo.report.content import BenchmarkRow, LocalizedText
from limo.report.store import check

ARMS = (
    Arm(name="base", label=("Base", "基础")),
    Arm(name="good", label=("Good", "好"), selection={}, training={}),
)


def _outcomes(rate: float) -> dict[str, dict[str, float]]:
    return {"b1": {f"p{n}": rate for n in range(20)}, "b2": {f"q{n}": float(n % 2) for n in range(20)}}


def _provenance(arm: str, seed: int) -> dict[str, Provenance]:
    origin = Provenance("runs/lab", f"{arm}/{seed}.sqlite", f"{arm}-{seed}", "prompt", "sampling", "maths/1")
    return {"b1": origin, "b2": origin}


@dataclass
class FakeLab:
    """Measures at once; each measurement is a file, since it is made in another process."""

    folder: Path
    recipe: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(seeds=[0, 1], n_workers=1))
    prepared: list[str] = field(default_factory=list)
    hours, check_budget, open_executor = Lab.hours, Lab.check_budget, Lab.open_executor

    def dataset(self, arm, seed):
        return None

    def prepare(self, arms, progress):
        self.prepared = [arm.name for arm in arms]
        return {}

    def cell_folder(self, arm, seed):
        return self.folder / f"{arm.name}-{seed}"

    def stored(self, arm, seed):
        file = self.cell_folder(arm, seed)
        return read_json(file, Measurement) if file.exists() else None

    def measure(self, arm, seed):
        if arm.name == "broken":
            raise ValueError("this arm cannot be fitted")
        outcomes, provenance = _outcomes(1.0 if arm.selection else 0.0), _provenance(arm.name, seed)
        row = Measurement(arm.name, seed, outcomes, n_completion_tokens=9.0, provenance=provenance)
        with open(self.cell_folder(arm, seed), "x") as file:  # measured twice, it fails
            file.write(json.dumps(row.to_json()))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab whose arms were measured in a worker process; one of them cannot be."""
    made = FakeLab(tmp_path_factory.mktemp("lab"))
    broken = ARMS[1].model_copy(update={"name": "broken"})
    _, failed = measure_arms(made, (ARMS[0], broken, ARMS[1]), NoProgress())
    assert list(failed) == ["broken-0", "broken-1"]
    with pytest.raises(PartialError, match=r"2 of 5 cells failed; broken-0: .*cannot be fitted"):
        raise_failed(failed, 5)
    return made


@pytest.fixture(scope="module")
def measured(lab):
    return measure_arms(lab, ARMS, NoProgress())[0]  # starts no worker: all is there


def test_every_trained_arm_is_measured_with_every_seed_and_the_untrained_once_beside_one_that_fails(lab, measured):
    assert lab.prepared == ["base", "good"]
    assert {arm: [row.seed for row in rows] for arm, rows in measured.items()} == {"base": [0], "good": [0, 1]}
    assert sorted(file.name for file in lab.folder.iterdir()) == ["base-0", "good-0", "good-1"]


def test_scores_averages_and_comparisons_follow_from_the_outcomes(measured):
    rates = results.rates_of(measured)
    rows = {(row.arm, row.benchmark): row for row in results.score_rows(rates, {})}
    assert rows["good", "b1"].value == 1.0
    assert rows["base", "b1"].value == 0.0
    assert rows["base", "b2"].value == 0.5
    assert rows["good", "b1"].n_seeds == 2
    assert rows["good", "b1"].n_rollouts == 40
    (mean,) = [row for row in results.average_rows(rates, {"all": ["b1", "b2"]}, {}) if row.arm == "good"]
    assert mean.value == pytest.approx(0.75)
    groups = {"in-domain": ["b2"], "out-of-domain": ["b1"]}
    same, apart = results.comparison_rows(measured, [("good", "base")], groups)
    assert (same.difference, same.separable) == (0.0, False)
    assert (apart.difference, apart.separable) == (1.0, True)


def test_every_number_names_the_rollouts_of_each_seed_behind_it_once(measured):
    benchmarks = [BenchmarkRow("b1", "One"), BenchmarkRow("b2", "Two", group="out-of-domain")]
    report = results.build_report(LocalizedText("T"), benchmarks, ARMS, [("good", "base")], measured, "student")
    check(report)
    models = {row.arm: [origin.model for origin in row.provenance] for row in report.averages if row.group == "all"}
    assert models == {"base": ["base-0"], "good": ["good-0", "good-1"]}
    assert all(len(row.provenance) == row.n_seeds for row in report.scores)
    assert {len(row.provenance) for row in report.comparisons} == {3}


def test_a_measurement_comes_back_from_its_json_as_it_was():
    measurement = Measurement("good", 1, _outcomes(0.5), provenance=_provenance("good", 1))
    assert TypeAdapter(Measurement).validate_json(json.dumps(measurement.to_json())) == measurement
    assert measurement.to_json()["outcomes"] == measurement.pass_rates  # the key that files of earlier versions have


class EndlessLab(FakeLab):
    """Never done: each measurement says who does it and then waits for ever."""

    def measure(self, arm, seed):
        (self.folder / "pid.tmp").write_text(str(os.getpid()))
        os.replace(self.folder / "pid.tmp", self.folder / "pid")
        threading.Event().wait()


@pytest.mark.slow
def test_no_worker_outlives_a_killed_run(tmp_path):
    body = "t.measure_arms(t.EndlessLab(pathlib.Path(sys.argv[1])), t.ARMS, t.NoProgress())"
    script = f"import sys, pathlib, test_runner as t\nif __name__ == '__main__':\n    {body}\n"
    (tmp_path / "run.py").write_text(script)
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path)]
    run = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists() and run.poll() is None and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        worker = psutil.Process(int((tmp_path / "pid").read_text()))
    finally:
        run.kill()
        run.wait()
    try:
        worker.wait(timeout=30)
    except psutil.TimeoutExpired:
        worker.kill()
        pytest.fail("the worker works on")


def test_the_arms_of_the_first_sentences_stand_at_the_top_and_the_command_names_the_question(lab, measured):
    headline = ARMS[0].model_copy(update={"is_headline": True})
    arms = {arm.name: arm for arm in (headline, ARMS[1])}
    said = {"a": "good", "b": "base", "expect": "above", "points": (1, 9)}
    asked = Experiment(name="mine", question=("Q", "问"), note=("", ""), arms=list(arms), predictions=[said])
    made = SimpleNamespace(
        recipe=SimpleNamespace(seeds=[0, 1], strata={}), stored=lab.stored, benchmarks=dict, data_flops=lambda arm: 0.0
    )

    def describe(_, shown, pairs, rows):
        names = [BenchmarkRow("b1", "B1"), BenchmarkRow("b2", "B2")]
        return results.build_report(LocalizedText("T"), names, shown, pairs, rows, "m", rebuild="limo lab")

    report = report_of(made, Questions(arms=arms, experiments=[asked]), [asked], describe, dict(measured))
    assert {arm.name for arm in report.headline_arms()} == {"good", "base"} == {row.arm for row in report.averages}
    assert report.rebuild == "limo experiment mine --run runs/lab"
    half = report_of(made, Questions(arms=arms, experiments=[]), [asked] * 2, describe, {"base": measured["base"]})
    assert [arm.name for arm in half.headline_arms()] == ["base"] and half.rebuild == "limo lab"
