"""What a recipe is of, by its keys: a curation, rollouts, a training, an evaluation, or a lab.

kind_of_recipe("mine/train.yaml")    # 'training'
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

import yaml

from limo.core.bounded_yaml import load_yaml
from limo.core.errors import InputError
from limo.core.recipe import find
from limo.core.text import as_argument

Kind = Literal["paper lab", "pocket lab", "training", "evaluation", "rollouts", "curation"]


COMMAND_OF = {"curation": "curate", "rollouts": "rollouts", "training": "train", "evaluation": "evaluate"}


def _keys_of(path: str) -> set[str]:
    values: Any = None
    with suppress(OSError, ValueError, yaml.YAMLError):
        values, _ = load_yaml(find(path).read_text(encoding="utf-8"))
    return set(values) if isinstance(values, dict) else set()


def check_kind(path: str, kind: Kind) -> None:
    """Raise InputError for a recipe that is plainly of another kind, by its keys."""
    found = kind_of_recipe(path)
    if found == kind or (found == "curation" and "pool" not in _keys_of(path)):
        return
    do = f"run: limo {COMMAND_OF.get(found, 'lab')} {as_argument(path)}"
    raise InputError(f"this is a recipe of another kind: {found}", path, f"a recipe of {kind}", do)


def kind_of_recipe(path: str) -> Kind:
    """What the file (or shipped recipe) is a recipe of, by its keys; a curation where they say nothing else."""
    keys = _keys_of(path)
    if {"student", "benchmarks"} <= keys:
        return "paper lab"
    if {"world", "curation"} <= keys:
        return "pocket lab"
    if "pool" not in keys and {"dataset", "method"} & keys:
        return "training"
    if "pool" not in keys and {"model", "decoding"} & keys:
        return "evaluation"
    return "rollouts" if "rollouts" in keys else "curation"
