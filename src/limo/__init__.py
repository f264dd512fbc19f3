"""LIMO: a small, hard, well-reasoned set of examples, chosen with evidence, trained on, and proved by measurement.

The names of the Python API, each imported when it is first asked for; docs/api.md shows them at work.

    import limo
    limo.check("1/2", "so it is \\\\boxed{0.5}").outcome      # 'correct'

What it does not do: any work, or serve the inside (modules import each other's modules, never this one).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Checker": "verify.checker",
    "CurateRecipe": "stages.curate",
    "Decoding": "stages.evaluate",
    "Ledger": "ledger.store",
    "LimoError": "core.errors",
    "LocalCompleter": "models.local.completer",
    "Problem": "core.records",
    "ReplayCompleter": "models.replay",
    "RunFolder": "core.run_folder",
    "Sampling": "core.records",
    "SftSettings": "train.methods.sft",
    "check": "verify.checker",
    "collect": "rollouts.collect",
    "decontaminate": "pool.decontaminate",
    "dedup": "pool.dedup",
    "ingest": "pool.ingest",
    "load_benchmark": "pool.sources.benchmarks",
    "read_pool": "pool.ingest",
    "verify_file": "verify.files",
    "write_pool": "pool.ingest",
    # These do not bear the name of the function at home, since a room of that name stands beside this file.
    "load_recipe": "core.recipe:load",
    "grade_chains": "curate.grade:grade",
    "run_curation": "stages.curate:curate",
    "run_evaluation": "stages.evaluate:evaluate",
    "run_comparison": "stages.compare:compare",
    "run_training": "train.methods.sft:train",
}

if TYPE_CHECKING:
    from limo.core.errors import LimoError
    from limo.core.recipe import load as load_recipe
    from limo.core.records import Problem, Sampling
    from limo.core.run_folder import RunFolder
    from limo.curate.grade import grade as grade_chains
    from limo.ledger.store import Ledger
    from limo.models.local.completer import LocalCompleter
    from limo.models.replay import ReplayCompleter
    from limo.pool.decontaminate import decontaminate
    from limo.pool.dedup import dedup
    from limo.pool.ingest import ingest, read_pool, write_pool
    from limo.pool.sources.benchmarks import load_benchmark
    from limo.rollouts.collect import collect
    from limo.stages.compare import compare as run_comparison
    from limo.stages.curate import CurateRecipe
    from limo.stages.curate import curate as run_curation
    from limo.stages.evaluate import Decoding
    from limo.stages.evaluate import evaluate as run_evaluation
    from limo.train.methods.sft import SftSettings
    from limo.train.methods.sft import train as run_training
    from limo.verify.checker import Checker, check
    from limo.verify.files import verify_file

__all__ = [
    "Checker",
    "CurateRecipe",
    "Decoding",
    "Ledger",
    "LimoError",
    "LocalCompleter",
    "Problem",
    "ReplayCompleter",
    "RunFolder",
    "Sampling",
    "SftSettings",
    "check",
    "collect",
    "decontaminate",
    "dedup",
    "grade_chains",
    "ingest",
    "load_benchmark",
    "load_recipe",
    "read_pool",
    "run_comparison",
    "run_curation",
    "run_evaluation",
    "run_training",
    "verify_file",
    "write_pool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'limo' has no attribute {name!r}")
    room, _, other = _HOME[name].partition(":")
    value = getattr(import_module(f"limo.{room}"), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
