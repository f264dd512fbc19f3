"""What `limo export --to` writes and `--push` uploads: a run's dataset with its card, and its evidence beside it.

    written("runs/a", rows, "hf", "out/hub", evidence=True)
    pushed("out/hub", "me/limo-selection")

What it does not do: upload anything unless asked, or make a dataset public (its owner does, on the hub).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from limo.core.errors import InputError
from limo.core.run_folder import RunFolder
from limo.curate.formats import Format, write

Row = dict[str, Any]


def written(run: str, rows: Sequence[Row], to: str, output: str, evidence: bool) -> None:
    """The rows of a run as one of the formats.  Raises InputError where they cannot be."""
    from limo.stages.curate import SELECTED

    folder = RunFolder(run)
    card = folder.path / SELECTED / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    write(rows, cast(Format, to), output, text, tables(folder) if evidence else None)


def tables(run: RunFolder) -> dict[str, list[Row]]:
    """`pass_rates`: a row for each problem and filter, kept or not; `dropped`: everything dropped and why, as JSON.

    A table without rows is left out, since Parquet would know no columns of it.
    """
    rates: list[Row] = []
    dropped: list[Row] = []
    for stage in run.counts():
        kept = [row for row in run.read_stage(stage) if "n_correct" in row]
        rates += [_rate(stage, row["id"], row, "kept") for row in kept]
        for one in run.read_dropped(stage):
            detail = json.dumps(one.detail, default=str, sort_keys=True)
            dropped.append({"problem_id": one.problem_id, "stage": stage, "reason": one.reason, "detail": detail})
            if "n_correct" in one.detail and "model" in one.detail:
                rates.append(_rate(stage, one.problem_id, one.detail, one.reason))
    return {name: some for name, some in (("pass_rates", rates), ("dropped", dropped)) if some}


def _rate(stage: str, name: str, row: Row, fate: str) -> Row:
    counts = {key: row[key] for key in ("model", "n", "n_decided", "n_correct")}
    return {"problem_id": name, "stage": stage, **counts, "fate": fate}


def pushed(folder: str, repo: str) -> str:
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
