"""The folder of a trained model: it appears whole, by one rename, with its record, card and picture of losses.

Its record is `training.json`: the same call again returns it and does nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from limo.core.environment import environment
from limo.core.errors import InputError
from limo.core.files import storage_errors, write_json
from limo.core.interrupts import uninterrupted
from limo.core.recipe import public_path
from limo.core.records import Dropped
from limo.core.text import operations, parse_json
from limo.train.result import TrainResult
from limo.train.settings import TrainSettings

RECORD, CHECKPOINTS = "training.json", "checkpoints"


def read_result(out: Path, identity: str = "", settings: TrainSettings | None = None) -> TrainResult | None:
    """The record of the training that made the model at `out`; None where nothing is there yet.

    Raises InputError when the folder holds something else, or (with `identity` and `settings`) a model of another
    training; a setting that the record does not name is one that came later, and had its default's effect.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        values = parse_json((out / RECORD).read_text(encoding="utf-8"))
        values["dropped"] = [Dropped(**row) for row in values["dropped"]]
        result = TrainResult(**{**values, "model_dir": str(out)})
    except (OSError, ValueError, TypeError, KeyError):
        what = "this folder does not hold a trained model"
        raise InputError(what, out, "a new folder", "name another for the model") from None
    now = settings.model_dump(mode="json") if settings else {}
    if identity and (result.identity != identity or any(now.get(k, v) != v for k, v in result.settings.items())):
        allowed = "the base model, data and settings it was trained with"
        raise InputError("this folder holds a model of another training", out, allowed, "name another for the model")
    return result


def make_work_folder(out: Path, identity: str) -> Path:
    """The folder of this training's checkpoints, beside `out`; what trainings of other settings left there goes."""
    work = out.with_name(f".{out.name}.training-{identity}")
    with storage_errors(out):
        for leftover in out.parent.glob(f".{out.name}.*"):
            if leftover.is_dir() and leftover != work and leftover.suffix.startswith((".training-", ".done-")):
                shutil.rmtree(leftover, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
    return work


def publish_model(
    result: TrainResult, work: Path, save: Callable[[Path], None], is_main: bool, keep_checkpoints: bool = False
) -> None:
    """Save model and record beside the result's folder, give them its name in one rename, drop the checkpoints.

    `keep_checkpoints`: their models stay, in the folder `checkpoints` beside it.

    Every process of a launch calls `save`, which gathers shards; the first one does the rest.
    """
    out = Path(result.model_dir)
    new = out.with_name(f".{out.name}.done-{result.identity}")
    with storage_errors(out), uninterrupted():  # a training that has ended gets its name
        save(new)
        if not is_main:
            return
        (new / "training_args.bin").unlink(missing_ok=True)  # a pickle of paths of this machine
        (new / "README.md").write_text(model_card(result), encoding="utf-8")  # PEFT's and TRL's say less
        draw_losses(result, new / "loss.svg")
        write_json(new / RECORD, asdict(result))
        for file in filter(Path.is_file, new.rglob("*")):
            with open(file, "rb") as written:
                os.fsync(written.fileno())
        if keep_checkpoints:
            _keep_models(work, out.with_name(CHECKPOINTS))
        os.replace(new, out)
        shutil.rmtree(work, ignore_errors=True)


def model_card(result: TrainResult) -> str:
    """What the model is, from its record: base, data, recipe, environment."""
    here = environment()
    base = public_path(result.base)
    facts = {
        "base model": base,
        "method": f"{result.method}, checkpoint: {result.checkpoint}",
        "examples": f"{result.examples}, hash of the data {result.data_hash}",
        "training": f"{result.n_updates:,} updates, {result.n_tokens_seen:,} tokens, "
        f"{operations(result.flops)} operations",
        "last loss": result.losses[-1] if result.losses else "none",
        "environment": f"Python {here['python']}, "
        + ", ".join(f"{name} {number}" for name, number in here["versions"].items()),  # type: ignore[attr-defined]
        "licence": "not stated here: that of the base model and of the data apply",
    }
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    head = f"---\nlibrary_name: transformers\nbase_model: {json.dumps(base)}\ntags: [limo]\n---\n"
    settings = json.dumps(result.settings, indent=1, ensure_ascii=False)
    return f"{head}# {Path(result.model_dir).parent.name}\n\n" + "\n".join(lines) + f"\n\n```json\n{settings}\n```\n"


def draw_losses(result: TrainResult, path: Path) -> None:
    """Draw the loss of every logged update as a picture."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    every = result.n_updates / max(1, len(result.losses))
    axes.plot([every * (n + 1) for n in range(len(result.losses))], result.losses, marker=".")
    axes.set(xlabel="update", ylabel="loss", title=f"{result.method}, {result.examples} examples")
    with matplotlib.rc_context({"svg.hashsalt": result.identity}):  # the same training draws the same bytes
        figure.savefig(path, metadata={"Date": None})


def _keep_models(work: Path, folder: Path) -> None:
    """Give the checkpoints in `work` the name `folder`, without what only a resumed training needs."""
    for pattern in ("optimizer*", "scheduler*", "rng_state*", "training_args.bin"):
        for file in work.glob(f"checkpoint-*/{pattern}"):
            file.unlink()
    (work / "README.md").unlink(missing_ok=True)  # the trainer's own card
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(work, folder)
