"""What the tests of the paper lab share: a recipe of the smallest real scale, and jobs that only pretend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import yaml

from limo.experiments.pocket.models import model_path
from limo.experiments.pocket.world import benchmark
from limo.pool.ingest import write_pool

SERVER = Path(__file__).with_name("completion_server.py")


def small_recipe(folder: Path, **changes: object) -> dict[str, object]:
    """A lab of two arms, with pocket models, own benchmarks and published-looking rows in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in ("bus", "shop"):
        write_pool(benchmark(family, 8)[:3], folder / f"{family}.parquet")
    rows = [{"question": p.problem, "solution": f"So it is.\n\\boxed{{{p.answer}}}"} for p in benchmark("garden", 8)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sft = {"kind": "sft", "max_steps": 2, "examples_per_update": 4, "bf16": False, "use_cpu": True, "max_length": 512}
    return {
        "student": str(model_path("pocket-rich-small")),
        "sources": {"limo-v2": {"rows": str(folder / "rows.jsonl"), "n_rows": 8, "n_tokens": 60}},
        "experiments": {
            "mine": {"question": ["Which?", "哪个？"], "arms": ["base", "limo"], "pairs": [["limo", "base"]]}
        },
        "sft": sft | {"gradient_checkpointing": False, "save_strategy": "no"},
        "seeds": [0, 1],
        "benchmarks": {"bus": str(folder / "bus.parquet"), "shop": str(folder / "shop.parquet")},
        "decoding": {"max_tokens": 24},
        "serve": {"command": f"{sys.executable} {SERVER} {{port}} {{name}}", "start_s": 60, "http": {"in_flight": 4}},
        **changes,
    }


def write_recipe(folder: Path, **changes: object) -> Path:
    """The file of `small_recipe`."""
    values, file = small_recipe(folder, **changes), folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return file


def store_measurement(lab, arm, seed):
    """What a cell leaves that was measured."""
    outcomes = {"bus": {"p": 1.0, "q": 0.0}, "shop": {"r": float(arm.name != "base"), "s": 0.5}}
    values = {"arm": arm.name, "seed": seed, "outcomes": outcomes, "scoring": lab.scoring_identity}
    folder = lab.cell_folder(arm, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "measurement.json").write_text(json.dumps(values | {"n_completion_tokens": 5.0}))


class FakeLauncher:
    """Cells that end at the first look.  `outcomes`: cell -> why it fails; others are measured."""

    n_at_once = 2

    def __init__(self, lab, outcomes=None):
        self.lab, self.outcomes, self.started = lab, outcomes or {}, []

    def start(self, name, command, folder, hours):
        self.started.append(name)
        return SimpleNamespace(poll=lambda: self.end(name), cancel=lambda: None)

    def end(self, name):
        arm, _, seed = name.rpartition("-")
        outcome = self.outcomes.get(name, "")
        if outcome == "":
            store_measurement(self.lab, self.lab.recipe.questions.arms[arm], int(seed))
        return outcome
