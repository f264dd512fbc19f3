"""One lab run: every experiment of the pocket lab, from nothing or from where it was stopped, to its report.

    report = run(load(LabRecipe, "pocket"), "runs/lab", progress)

What it does not do: decide what is measured (the recipe and limo.experiments do).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from limo.core.progress import NoProgress, Progress
from limo.core.run_folder import RunFolder
from limo.experiments.lab import measure
from limo.experiments.pocket.lab import LabRecipe, PocketLab, write_json
from limo.experiments.pocket.report import EXPERIMENTS, build
from limo.report import content, page
from limo.report.content import Report


def run(recipe: LabRecipe, folder: str | Path, progress: Progress | None = None) -> Report:
    """Leaves `report.html`, `report.json` and `scores.json` in the run folder, and the report as a value.

    Raises LimoError: the folder belongs to another recipe, the disk refuses, or a stage leaves nothing.
    """
    progress = progress or NoProgress()
    with RunFolder(folder, recipe):
        lab = PocketLab(recipe, Path(folder))
        arms = [arm for experiment in EXPERIMENTS for arm in experiment.arms]
        progress.plan(lab.expected_s(arms))
        measured = measure(lab, arms, progress)
        report = build(lab, measured, lab.curate(NoProgress()))
        scores = {name: [asdict(one) for one in rows] for name, rows in measured.items()}
        write_json(lab.folder / "scores.json", scores)
        content.save(report, lab.folder / "report.json")
        page.write(report, lab.folder / "report.html")
    progress.log(f"report: {lab.folder / 'report.html'}")
    return report
