"""The report stage: the content of a report of run folders of any kind, which `limo.report.page` draws.

    report = run(["runs/limo-v2"])                       # a curation
    report = run(["runs/base", "runs/limo"])             # two scored models, compared
    page.write(report, "report.html")

A run is read and never changed; a run that is not finished shows what is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from limo.core.environment import environment_rows
from limo.core.errors import RESTORE, InputError, MissingFileError, foreign_data
from limo.core.run_files import check_unchanged
from limo.core.run_folder import RunFolder
from limo.pool.evidence import EVIDENCE, read_evidence
from limo.report import store
from limo.report.content import LocalizedText, Report
from limo.stages.evaluate import SCORES
from limo.stages.reports.curation import contamination_parts, curation_parts
from limo.stages.reports.scores import score_parts
from limo.stages.reports.texts import text
from limo.stages.reports.training import checkpoint_parts, training_parts

STORED = "report.json"
KINDS = "a run of a lab, limo curate, train, evaluate or evaluate --checkpoints, or a decontaminated pool"


def run(runs: Sequence[str | Path], sampled: str | Path | None = None) -> Report:
    """The report of one run or of several; `sampled`: a run of the base model with many rollouts of each problem.

    Raises MissingFileError for a path that is not there, InputError for a folder that is no run or for scores that
    contradict each other, StorageError for damaged files.
    """
    folders = [Path(path) for path in runs]
    if sampled and any(folder.is_dir() and not (folder / SCORES).is_file() for folder in folders):
        allowed = "runs with scores, of the base and of what was trained from it"
        raise InputError("a base sampled often says nothing of these runs", sampled, allowed, "leave --sampled out")
    if len(folders) == 1 and (stored := _stored_report(folders[0])):
        return store.load(stored)
    with foreign_data("these runs cannot be reported", ", ".join(map(str, folders)), "what limo wrote", RESTORE):
        report = _report(folders, Path(sampled) if sampled else None)
        TypeAdapter(Report).validate_python(asdict(report))  # values of other types would end in the page
        return report


def _report(folders: list[Path], sampled: Path | None) -> Report:
    parts: dict[str, Any] = defaultdict(list)
    by_kind: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        check_unchanged(folder)
        for kind in _kinds(folder):
            by_kind[kind].append(folder)
    makers: dict[str, Callable[[list[Path]], list[dict[str, list[Any]]]]] = {
        "scores": lambda found: [score_parts(found, sampled)],
        "curation": lambda found: [curation_parts(folder) for folder in _only(found, "curation")],
        "training": lambda found: [training_parts(found)],
        "checkpoints": lambda found: [checkpoint_parts(folder) for folder in _only(found, "checkpoints")],
        "pool": lambda found: [contamination_parts([row for folder in found for row in read_evidence(folder)])],
    }
    for kind, make in makers.items():
        for made in make(by_kind[kind]) if by_kind[kind] else ():
            for name, rows in made.items():
                parts[name] += rows
    names = ", ".join(dict.fromkeys(str(folder) for folder in folders))
    return Report(
        title=text(f"title_{next(kind for kind in makers if by_kind[kind])}"),
        subtitle=LocalizedText(names),
        environment=_environment(folders[0]),
        recipe=_recipe(folders[0]),
        rebuild=f"limo report {names.replace(',', '')} -o report.html" + (f" --sampled {sampled}" if sampled else ""),
        paper=False,
        **parts,
    )


def _stored_report(path: Path) -> Path | None:
    """The JSON of a report: the path itself, or that of a lab's folder."""
    if path.suffix == ".json":
        return path
    return path / STORED if (path / STORED).is_file() else None


def _kinds(folder: Path) -> list[str]:
    """What a folder holds.  Raises MissingFileError, or InputError for nothing that can be reported."""
    if not folder.is_dir():
        raise MissingFileError("there is no such run", folder, KINDS, "check the path")
    signs = {
        "scores": SCORES,
        "curation": "stages/ingest.kept.parquet",
        "training": "model/training.json",
        "pool": f"{EVIDENCE}/*.parquet",
        "checkpoints": "checkpoint-*/scores.json",
    }
    kinds = [kind for kind, sign in signs.items() if any(folder.glob(sign))]
    if not kinds:
        raise InputError("this folder holds nothing to report", folder, KINDS, "name another, or finish its run")
    return kinds


def _only(folders: list[Path], kind: str) -> list[Path]:
    """The folder, where a page holds one of this kind."""
    if len(folders) > 1:
        do = "report them one by one"
        raise InputError(f"a page holds one run of the kind {kind}", f"{len(folders)} runs", "one", do)
    return folders


def _environment(folder: Path) -> dict[str, str]:
    file = folder / "environment.json"
    if not file.is_file():
        return {}
    return environment_rows(RunFolder(folder).read_json(file.name))


def _recipe(folder: Path) -> str:
    file = folder / "recipe.yaml"
    return file.read_text(encoding="utf-8") if file.is_file() else ""
