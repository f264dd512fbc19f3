"""The export stage: a run's selected dataset as rows, in the format of a trainer, or on the hub.

    run("runs/limo-v2", "out/hub", "hf", evidence=True)
    push("out/hub", "me/limo-selection")

Nothing is uploaded except by `push`, and what it uploads is private until its owner makes it public.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from limo.core.errors import RESTORE, InputError, MissingFileError, foreign_data
from limo.core.records import Row
from limo.core.rows import read_rows, write_rows
from limo.core.run_files import check_unchanged, read_recipe
from limo.core.run_folder import RunFolder
from limo.curate.formats import Format, write_format
from limo.stages.curate import SELECTED


def run(folder: str | Path, output: str, to: str | None = None, evidence: bool = False) -> int:
    """Write the selected rows of the run in `folder`; how many.  `to` None: the rows as they are.

    `evidence` (format hf only) adds pass rates and what was dropped and why.  Raises InputError for an unknown format.
    """
    run_folder = RunFolder(folder)
    selected = run_folder.path / SELECTED
    if not selected.is_dir():
        do = "it is not finished: start the same `limo curate` again, which goes on where it stopped"
        if "select" not in read_recipe(run_folder.path / "recipe.yaml"):
            do = "it is a run of another command: name one of `limo curate`"
        raise MissingFileError("this run has no selected rows", folder, "the folder of a finished curation", do)
    check_unchanged(folder)
    rows = read_rows(str(selected))
    if to is None:
        write_rows(rows, output)
        return len(rows)
    card = selected / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    with foreign_data("this run cannot be exported", folder, "what limo wrote", RESTORE):
        write_format(rows, cast(Format, to), output, text, evidence_tables(run_folder) if evidence else None)
    return len(rows)


def evidence_tables(run: RunFolder) -> dict[str, list[Row]]:
    """`pass_rates`: a row for each problem and filter, kept or not; `dropped`: everything dropped and why, as JSON.

    A table without rows is left out, since Parquet would know no columns of it.
    """
    rates: list[Row] = []
    dropped: list[Row] = []
    for stage in run.counts():
        kept = [row for row in run.read_stage(stage) if "n_correct" in row]
        rates += [_rate(stage, row["id"], row, "kept") for row in kept]
        for record in run.read_dropped(stage):
            detail = json.dumps(record.detail, default=str, sort_keys=True)
            dropped.append({"problem_id": record.problem_id, "stage": stage, "reason": record.reason, "detail": detail})
            if "n_correct" in record.detail and "model" in record.detail:
                rates.append(_rate(stage, record.problem_id, record.detail, record.reason))
    return {name: rows for name, rows in (("pass_rates", rates), ("dropped", dropped)) if rows}


def _rate(stage: str, problem_id: str, row: Row, fate: str) -> Row:
    counts = {key: row[key] for key in ("model", "n", "n_decided", "n_correct")}
    return {"problem_id": problem_id, "stage": stage, **counts, "fate": fate}


def push(folder: str, repo: str) -> str:
    """Upload a folder to a private dataset on the hub; its address.  Raises InputError where the hub refuses."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        api = HfApi()
        api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(folder_path=Path(folder), repo_id=repo, repo_type="dataset")
    except (HfHubHTTPError, LocalTokenNotFoundError, OSError, ValueError) as error:
        why = str(error).split("\n")[0]
        do = f"log in with `hf auth login` and push {folder} again ({why})"
        raise InputError("the hub did not take the dataset", repo, "OWNER/NAME that you may write to", do) from error
    return f"https://huggingface.co/datasets/{repo}"
