"""How far a lab is, read from its folder alone: the cells that are measured, begun and left, and a report of it.

status = read_lab_status("runs/lab")        # None where the folder is no lab's
status.n_measured, status.under_way, status.command
unfinished_report("runs/lab").title         # None where it is no lab, or one that has ended
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limo.core.errors import RESTORE, InputError, foreign_data
from limo.core.recipe import Settings, load
from limo.core.run_files import is_locked
from limo.core.run_folder import ASKED, RunFolder
from limo.experiments.arms import Experiment, Questions, load_questions
from limo.experiments.cells import Cell, cells_of
from limo.experiments.lab import Lab
from limo.experiments.paper import experiment as paper
from limo.experiments.paper.lab import PaperLab
from limo.experiments.paper.recipe import PaperRecipe
from limo.experiments.pocket.lab import PocketRecipe, expected_s, measured_pace, pocket_lab
from limo.experiments.pocket.report import build_pocket_report
from limo.experiments.runner import measured_arms, report_of
from limo.report.content import LocalizedText, Report
from limo.stages.recipe_kinds import kind_of_recipe
from limo.stages.status import RunStatus, read_status


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab as it is now; cells by name.

    `under_way`: begun and not measured, by a process that works now (`is_running`) or one that has stopped; `curation`:
    of a lab that has its own; `remaining_s`: as its dry run says, on two quiet cores, times `pace`, if trainings are
    measured that took so many times as long; both None of a paper lab (see `limo plan`); `command`: what goes on.
    """

    folder: Path
    experiments: list[str]
    is_done: bool
    is_running: bool
    curation: RunStatus | None
    measured: list[str]
    under_way: list[str]
    left: list[str]
    remaining_s: float | None
    pace: float | None
    command: str


@dataclass(frozen=True)
class _OpenLab:
    """A lab's folder, with what it was asked for and how to describe it."""

    lab: Lab
    folder: Path
    asked: list[Experiment]
    cells: list[Cell]
    command: list[str]
    page: Path
    describe: Callable[[dict[str, Any]], Report]
    remaining_s: float | None = None
    pace: float | None = None


def read_lab_status(folder: str | Path) -> LabStatus | None:
    """The status of a lab's folder; None for another run.  Raises InputError for damaged files."""
    found = _open_lab(Path(folder))
    if found is None:
        return None
    measured = [cell.name for cell in found.cells if found.lab.stored(cell.arm, cell.seed)]
    open_cells = [cell for cell in found.cells if cell.name not in measured]
    begun = [cell.name for cell in open_cells if _is_begun(found.lab, cell)]
    curation = found.folder / "curation"
    return LabStatus(
        found.folder,
        [experiment.name for experiment in found.asked],
        not open_cells and found.page.is_file(),
        is_locked(found.folder),
        read_status(curation) if (curation / "recipe.yaml").is_file() else None,
        measured,
        begun,
        [cell.name for cell in open_cells if cell.name not in begun],
        found.remaining_s,
        found.pace,
        shlex.join(found.command),
    )


def unfinished_report(folder: str | Path) -> Report | None:
    """The report of the arms that are complete, marked as unfinished; None where the folder is no unfinished lab's.

    Raises InputError where no arm is complete.
    """
    found = _open_lab(Path(folder))
    if found is None or found.page.is_file():
        return None
    status, measured = read_lab_status(folder), measured_arms(found.lab, found.cells)
    assert status is not None
    counts = (len(status.measured), len(found.cells))
    if not measured:
        what = f"no arm of this lab is complete: {counts[0]} of {counts[1]} cells are measured"
        raise InputError(what, folder, "a lab with a measured arm", f"go on with: {status.command}")
    report = found.describe(measured)
    missing = ", ".join(dict.fromkeys(cell.arm.name for cell in found.cells if cell.arm.name not in measured))
    note = LocalizedText(
        "Unfinished: {} of {} cells are measured.  Arms that are not complete: {}.  Go on with: {}".format(
            *counts, missing or "none", status.command
        ),
        "未完成：{}/{} 个单元已测量。尚不完整的组：{}。继续请运行：{}".format(*counts, missing or "无", status.command),
    )
    title = LocalizedText(f"{report.title.en} (unfinished)", f"{report.title.text('zh')}（未完成）")
    return replace(report, title=title, subtitle=note)


def _open_lab(folder: Path) -> _OpenLab | None:
    """The lab of a folder; None where its recipe is no lab's."""
    file = folder / "recipe.yaml"
    kind = kind_of_recipe(str(file))
    if kind == "paper lab":
        return _open_paper(folder, load(PaperRecipe, file))
    return _open_pocket(folder, load(PocketRecipe, file)) if kind == "pocket lab" else None


def _open_pocket(folder: Path, recipe: PocketRecipe) -> _OpenLab:
    questions = load_questions()
    recipe, named = _asked(folder, recipe)
    is_short = not named or named == {one.name: one.arms for one in questions.short_lab()}
    asked = questions.short_lab() if is_short else [questions.experiment(name) for name in named]
    is_all = {one.name for one in asked} == {one.name for one in questions.experiments} and not is_short
    words = ["lab"] if is_short or is_all else ["experiment", asked[0].name]
    command = ["limo", *words, *_recipe_words(folder, recipe, PocketRecipe, "pocket"), *(["--all"] if is_all else [])]
    lab = pocket_lab(recipe, folder)

    def describe(measured: dict[str, Any]) -> Report:
        return report_of(lab, questions, asked, build_pocket_report, measured)

    arms, page = questions.arms_of(asked), folder / "report.json"
    pace = measured_pace(lab, recipe, arms)
    remaining_s = sum(expected_s(lab, recipe, arms).values()) * (pace or 1.0)
    cells, words = cells_of(arms, recipe.seeds), [*command, "--run", str(folder)]
    return _OpenLab(lab, folder, asked, cells, words, page, describe, remaining_s, pace)


def _open_paper(folder: Path, recipe: PaperRecipe) -> _OpenLab:
    recipe, named = _asked(folder, recipe)
    questions: Questions = recipe.questions
    asked = [questions.experiment(name) for name in named] or questions.experiments[:1]
    words = ["experiment", asked[0].name, *_recipe_words(folder, recipe, PaperRecipe, "paper-32b"), "--lab", "paper"]
    lab = PaperLab(recipe, folder)

    def describe(measured: dict[str, Any]) -> Report:
        return paper.report_of(lab, asked[0], measured, {})

    cells, page = cells_of(questions.arms_of(asked), recipe.seeds), folder / asked[0].name / "report.json"
    return _OpenLab(lab, folder, asked, cells, ["limo", *words, "--run", str(folder)], page, describe)


def _asked(folder: Path, recipe: Any) -> tuple[Any, dict[str, list[str]]]:
    """The recipe with the seeds of the last start, and the arms of the experiments that it was for."""
    if not (folder / ASKED).is_file():
        return recipe, {}
    with foreign_data("the run's note of what it was started for is damaged", folder / ASKED, "", RESTORE):
        values = RunFolder(folder).read_json(ASKED)
        return recipe.model_copy(update={"seeds": list(map(int, values["seeds"]))}), dict(values["experiments"])


def _recipe_words(folder: Path, recipe: Settings, kind: type[Settings], shipped: str) -> Sequence[str]:
    """The words that name the recipe of the last start: none where it is the shipped one."""
    seeds = recipe.seeds  # type: ignore[attr-defined]
    plain = load(kind, shipped)
    words = [] if plain.identity() == recipe.identity() else [str(folder / "recipe.yaml")]
    base = load(kind, words[0]) if words else plain
    return [*words, *([f"seeds={seeds}"] if seeds != base.seeds else [])]  # type: ignore[attr-defined]


def _is_begun(lab: Lab, cell: Cell) -> bool:
    with suppress(OSError):  # the paper lab names a folder by the training set, which may not be there yet
        return lab.cell_folder(cell.arm, cell.seed).is_dir()
    return False
