"""One cell of the paper lab's matrix: an arm with a training seed is trained, served and scored, each once.

    python -m limo.experiments.paper_cell runs/paper limo 0

It is a program of its own, so that a launcher can run it anywhere.  What it needs stands in the lab's folder: the
resolved recipe and the training sets.  Started again, it goes on: a training from its last checkpoint, rollouts from
the ledger.  A cell is named by what it depends on, so arms that are the same in all but name are measured once.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, LimoError, StorageError
from limo.core.files import atomic, hash_path, locked, model_identity, remove
from limo.core.interrupts import handle_signals
from limo.core.progress import Progress, choose_display
from limo.core.recipe import load
from limo.core.text import content_hash
from limo.experiments.lab import write_json
from limo.experiments.launchers import launch_training
from limo.experiments.paper_recipe import PaperRecipe
from limo.experiments.results import Measurement
from limo.experiments.serving import served
from limo.models.settings import open_model
from limo.stages import evaluate as evaluate_stage
from limo.stages import train as train_stage
from limo.train.methods.grpo import GrpoSettings

HEARTBEAT_S = 15.0  # a killed cell has spent at most so much more than is on record
MEASUREMENT, SPENT = "measurement.json", "spent.json"


class Cell:
    """An arm of a lab's recipe with one training seed, in its folder."""

    def __init__(self, recipe: PaperRecipe, lab: Path, arm: str, seed: int) -> None:
        self.recipe, self.lab, self.arm, self.seed = recipe, lab, arm, seed
        self.spec = recipe.arm(arm)
        self.student = self.spec.student or recipe.student
        self.name = f"{arm}-{seed}"  # in ledgers and tables

    @property
    def training_set(self) -> Path:
        """The file of its rows."""
        return set_path(self.recipe, self.lab, self.spec.set)

    @property
    def folder(self) -> Path:
        """Its folder; that of another arm which is the same in all but name, where there is one."""
        identity = self.identity
        for folder in sorted((self.lab / "cells").glob(f"*-{identity}")):
            return folder / f"seed-{self.seed}"
        return self.lab / "cells" / f"{self.arm}-{identity}" / f"seed-{self.seed}"

    @property
    def is_prepared(self) -> bool:
        """Whether its training set is written."""
        return not self.spec.set or self.training_set.exists()

    @cached_property
    def identity(self) -> str:
        """Hash of the student, the rows and how it trains on them; not of how it is scored."""
        start = _student_identity(self.student) or self.student
        if not self.spec.set:
            return content_hash(start)[:8]
        how = self.recipe.method(self.spec, 0)
        method = f"{how.kind} {how.model_dump_json(exclude_defaults=True)}"  # a default that is added changes nothing
        rows = _rows_identity(self.training_set, self.training_set.stat().st_mtime_ns)
        return content_hash(start, rows, method, self.spec.flops_of)[:8]

    @property
    def scoring_identity(self) -> str:
        """Hash of the benchmarks and of how they are answered and judged."""
        recipe, benchmarks = self.recipe, json.dumps(self.recipe.benchmarks)
        parts = (recipe.protocol, recipe.max_tokens, recipe.decoding, recipe.judge, recipe.overrule)
        return content_hash(benchmarks, *map(str, parts))[:8]

    @property
    def scores(self) -> Path:
        """The run folder of the evaluate stage."""
        return self.folder / "scores"

    def stored(self) -> Measurement | None:
        """Its measurement, if it is there and was scored as the recipe says today."""
        if not self.is_prepared:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads((self.folder / MEASUREMENT).read_text(encoding="utf-8"))
            if values.pop("scoring") == self.scoring_identity:
                return Measurement.from_json({**values, "arm": self.arm})
        return None

    def spent_s(self) -> float:
        """Seconds that its starts have taken so far."""
        return read_seconds(self.folder / SPENT) if self.is_prepared else 0.0

    def measure(self, progress: Progress) -> Measurement:
        """Train (unless the arm is untrained), serve, score, and store the measurement.

        Raises ModelError (training or server), InputError, StorageError, CollectionStopped.
        """
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, "another process measures this cell"):
            if stored := self.stored():
                return stored
            with _counting(folder / SPENT, self.spent_s()):
                cost: dict[str, Any] = {}
                model = self.student
                if self.spec.set:
                    trained = launch_training(self._train_recipe(), folder / "train", self.recipe.train)
                    model = trained.model_dir
                    cost = {name: getattr(trained, name) for name in ("n_examples", "n_updates", "seconds", "flops")}
                    cost["n_train_tokens"] = trained.n_tokens_seen
                    _check_weights(Path(model))
                with served(self.recipe.serve, model, self.name, folder) as settings:
                    recipe = self._evaluate_recipe(settings.model_dump())
                    result = evaluate_stage.run(recipe, self.scores, progress, opener=open_model)
                measurement = Measurement.of(self.arm, self.seed, result.evaluations, **cost)
            write_json(folder / MEASUREMENT, {**asdict(measurement), "scoring": self.scoring_identity})
            if self.spec.set and not self.recipe.keep_models:
                for file in [*(folder / "train" / "model").rglob("*.safetensors"), *folder.glob("train/checkpoints")]:
                    remove(file)
            return measurement

    def _train_recipe(self) -> train_stage.Recipe:
        method = self.recipe.method(self.spec, self.seed)
        if self.spec.flops_of and isinstance(method, GrpoSettings):
            method = method.model_copy(update={"max_flops": self._flops_of(self.spec.flops_of)})
        return train_stage.Recipe(model=self.student, dataset=str(self.training_set), method=method)

    def _flops_of(self, arm: str) -> float:
        """What the training of another arm took, by its record."""
        record = Cell(self.recipe, self.lab, arm, self.seed).folder / "train" / "model" / "training.json"
        return float(json.loads(record.read_text(encoding="utf-8"))["flops"])

    def _evaluate_recipe(self, model: dict[str, Any]) -> evaluate_stage.Recipe:
        recipe, names = self.recipe, ("data", "benchmarks", "protocol", "max_tokens", "decoding", "judge", "overrule")
        values = {name: getattr(recipe, name) for name in names}
        return evaluate_stage.Recipe.model_validate({**values, "model": model, "seed": self.seed})


def _check_weights(model: Path) -> None:
    if not any(model.glob("*.safetensors")):
        do = f"remove {model} to train it again, and set keep_models=true"
        raise InputError("the weights of this arm were removed when it was scored", model, "keep_models=true", do)


_student_identity = lru_cache(maxsize=64)(model_identity)


@lru_cache(maxsize=256)
def _rows_identity(path: Path, changed_ns: int) -> str:
    return hash_path(path)


def read_seconds(file: Path) -> float:
    """The seconds that a cell's file says it has taken; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(file.read_text(encoding="ascii"))["seconds"])
    return 0.0


def set_path(recipe: PaperRecipe, lab: Path, name: str) -> Path:
    """The file of a training set, named by its settings too."""
    settings = recipe.training_set(name)
    where = "" if settings.rows else recipe.curation
    key = content_hash(settings.hash, where, str(recipe.strata) if settings.stratum else "")[:8]
    return lab / "sets" / f"{name}-{key}{'.parquet' if settings.is_pool else '.jsonl'}"


@contextlib.contextmanager
def _counting(file: Path, before_s: float) -> Iterator[None]:
    """Keep the seconds of this start, added to those before, in a file."""
    began, ended = time.monotonic(), threading.Event()

    def write() -> None:
        with contextlib.suppress(StorageError), atomic(file) as path:  # a full disk is told where it matters
            path.write_text(json.dumps({"seconds": round(before_s + time.monotonic() - began, 1)}), encoding="ascii")

    def keep() -> None:
        while not ended.wait(HEARTBEAT_S):
            write()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        write()


def main(lab: str, arm: str, seed: str) -> int:
    """Measure a cell of the lab in a folder; the exit code.  An error is the last line on stderr."""
    handle_signals()
    recipe = load(PaperRecipe, Path(lab) / "recipe.yaml")
    try:
        with choose_display(as_json=False) as progress:
            Cell(recipe, Path(lab), arm, int(seed)).measure(progress)
    except LimoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
