"""The matrix of an experiment: what runs, in which order, and what a failure and a budget do."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from limo.core.errors import PartialError
from limo.core.progress import NoProgress
from limo.experiments import runner
from limo.experiments.arms import Arm, Training
from limo.experiments.cells import cells_of
from limo.experiments.results import Measurement
from limo.experiments.runner import measured_arms, run_cells

COSTS = {"base": 1.0, "limo": 3.0, "twin": 2.0}


def arm(name, **training):
    return Arm(name=name, label=(name, name), selection={}, training=Training(**training))


BASE = Arm(name="base", label=("Base", "基础"))
LIMO, TWIN, LATER = arm("limo"), arm("twin"), arm("later", after="limo")


@dataclass
class FakeLab:
    """Cells of given costs; `twin` works in the folder of `limo`."""

    measured: dict[str, Measurement] = field(default_factory=dict)
    budget: float = 99.0

    def cell_folder(self, arm, seed):
        return f"{'limo' if arm.name == 'twin' else arm.name}-{seed}"

    def stored(self, arm, seed):
        return self.measured.get(self.cell_folder(arm, seed))

    def hours(self, of):
        return {cell.name: COSTS.get(cell.arm.name, 9.0) for cell in of}

    def check_budget(self, hours, running, following):
        planned = sum(hours[cell.name] for cell in [*running, *filter(None, [following])])
        if planned > self.budget:
            raise PartialError("the budget is met", planned)


@dataclass
class FakeExecutor:
    """Cells that end at the first look.  `outcomes`: cell -> why it fails; others are measured."""

    lab: FakeLab
    outcomes: dict[str, str] = field(default_factory=dict)
    n_at_once: int = 2
    started: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def start(self, cell):
        self.started.append(cell.name)
        return SimpleNamespace(poll=lambda: self.end(cell), cancel=lambda: self.cancelled.append(cell.name))

    def end(self, cell):
        outcome = self.outcomes.get(cell.name, "")
        if outcome == "":
            folder = self.lab.cell_folder(cell.arm, cell.seed)
            self.lab.measured[folder] = Measurement(cell.arm.name, cell.seed, {})
        return outcome


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    monkeypatch.setattr(runner, "POLL_S", 0.0)


def run(lab, arms, seeds=(0, 1), outcomes=None, **executor):
    """What was started, and what failed."""
    made = FakeExecutor(lab, outcomes or {}, **executor)
    failed = run_cells(lab, cells_of(arms, list(seeds)), made, NoProgress())
    return made.started, failed


def test_every_cell_is_measured_once_cheapest_first_and_an_untrained_arm_with_one_seed():
    lab = FakeLab()
    assert run(lab, [LIMO, BASE]) == (["base-0", "limo-0", "limo-1"], {})
    assert run(lab, [LIMO, BASE]) == ([], {})
    rows = measured_arms(lab, cells_of([LIMO, BASE, LATER], [0, 1]))
    assert {name: len(of) for name, of in rows.items()} == {"limo": 2, "base": 1}


def test_a_cell_that_fails_leaves_the_others_running_and_is_named_with_its_reason():
    started, failed = run(lab := FakeLab(), [BASE, LIMO], outcomes={"limo-0": "out of memory"})
    assert started == ["base-0", "limo-0", "limo-1"] and failed == {"limo-0": "out of memory"}
    assert list(measured_arms(lab, cells_of([BASE, LIMO], [0, 1]))) == ["base"]


def test_a_cell_that_says_it_is_done_and_left_nothing_has_failed(monkeypatch):
    monkeypatch.setattr(FakeExecutor, "end", lambda self, cell: "")
    assert run(FakeLab(), [BASE])[1] == {"base-0": "it ended without a measurement"}


def test_cells_that_are_the_same_in_all_but_name_are_measured_once():
    assert run(FakeLab(), [LIMO, TWIN], [0]) == (["twin-0"], {})


def test_an_arm_waits_for_the_one_whose_model_or_cost_it_needs_and_fails_with_it():
    assert run(FakeLab(), [LATER, LIMO], [0])[0] == ["limo-0", "later-0"]
    priced = arm("later", flops_of="limo")
    started, failed = run(FakeLab(), [priced, LIMO], [7], {"limo-7": "broken"})
    assert started == ["limo-7"] and failed["later-7"] == "limo-7, which it needs, was not measured"


def test_the_budget_stops_the_matrix_before_a_cell_that_would_pass_it_and_a_larger_one_goes_on():
    lab = FakeLab(budget=5.0)
    executor = FakeExecutor(lab, n_at_once=3)
    with pytest.raises(PartialError, match=r"'7.0'"):
        run_cells(lab, cells_of([BASE, LIMO], [0, 1]), executor, NoProgress())
    assert executor.started == ["base-0", "limo-0"] == executor.cancelled
    lab.budget = 7.0
    assert run(lab, [BASE, LIMO])[0] == ["base-0", "limo-0", "limo-1"]
