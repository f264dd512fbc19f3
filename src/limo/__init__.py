"""LIMO: a small, hard, well-reasoned set of examples, chosen with evidence, trained on, and proved by measurement.

The names of the Python API, each imported on first use; docs/api.md has examples.  Modules inside import each other's
modules, never this one.

    import limo
    limo.check("1/2", "so it is \\\\boxed{0.5}").outcome      # 'correct'
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # nothing is imported here: the command handles signals once this module is read
if TYPE_CHECKING:  # read by type checkers, and by `_addresses`
    from limo.core.errors import LimoError
    from limo.core.recipe import load as load_recipe
    from limo.core.records import Completion, Problem, Sampling, Verdict
    from limo.core.run_folder import RunFolder
    from limo.curate.chains import accept
    from limo.curate.grade import grade as grade_chains
    from limo.curate.select import select
    from limo.ledger.store import Ledger
    from limo.models.local.completer import LocalCompleter
    from limo.models.openai.completer import HttpCompleter
    from limo.models.replay import ReplayCompleter
    from limo.pool.decontaminate import decontaminate
    from limo.pool.dedup import dedup
    from limo.pool.ingest import ingest, read_pool, write_pool
    from limo.pool.sources.benchmarks import load_benchmark
    from limo.rollouts.collect import collect_rollouts
    from limo.stages.compare import compare as compare_arms
    from limo.stages.compare import run as run_compare
    from limo.stages.curate import Recipe as CurateRecipe
    from limo.stages.curate import run as run_curate
    from limo.stages.evaluate import Decoding
    from limo.stages.evaluate import Recipe as EvaluateRecipe
    from limo.stages.evaluate import evaluate as evaluate_model
    from limo.stages.evaluate import run as run_evaluate
    from limo.stages.rollouts import Recipe as RolloutsRecipe
    from limo.stages.rollouts import run as run_rollouts
    from limo.stages.train import Recipe as TrainRecipe
    from limo.stages.train import run as run_train
    from limo.train.methods.sft import SftSettings
    from limo.verify.checker import Checker, check
    from limo.verify.files import verify_file

__all__ = [
    "Checker",
    "Completion",
    "CurateRecipe",
    "Decoding",
    "EvaluateRecipe",
    "HttpCompleter",
    "Ledger",
    "LimoError",
    "LocalCompleter",
    "Problem",
    "ReplayCompleter",
    "RolloutsRecipe",
    "RunFolder",
    "Sampling",
    "SftSettings",
    "TrainRecipe",
    "Verdict",
    "accept",
    "check",
    "collect_rollouts",
    "compare_arms",
    "decontaminate",
    "dedup",
    "evaluate_model",
    "grade_chains",
    "ingest",
    "load_benchmark",
    "load_recipe",
    "read_pool",
    "run_compare",
    "run_curate",
    "run_evaluate",
    "run_rollouts",
    "run_train",
    "select",
    "verify_file",
    "write_pool",
]


def _addresses() -> dict[str, tuple[str, str]]:
    """The module of each name, and what it is called there: the imports above, read without running them."""
    import ast
    import inspect

    statements = ast.parse(inspect.getsource(sys.modules[__name__])).body
    (block,) = (statement for statement in statements if isinstance(statement, ast.If))
    imports = [statement for statement in block.body if isinstance(statement, ast.ImportFrom)]
    return {alias.asname or alias.name: (str(of.module), alias.name) for of in imports for alias in of.names}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        return import_module("limo.core").VERSION
    if name not in __all__:
        raise AttributeError(f"module 'limo' has no attribute {name!r}")
    module, original = _addresses()[name]
    value = globals()[name] = getattr(import_module(module), original)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
