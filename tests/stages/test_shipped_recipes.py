"""Every shipped recipe loads by its name, stands alone, and repeats no default."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from limo.core.recipe import RECIPES, Settings, load, shipped
from limo.experiments.paper.recipe import PaperRecipe
from limo.experiments.pocket.lab import PocketRecipe
from limo.stages import curate, evaluate, grade, rollouts, train, verify

KINDS = {
    "evaluate": evaluate.Recipe,
    "judge": grade.Recipe,
    "pocket": PocketRecipe,
    "rollouts": rollouts.Recipe,
    "verify-judge": verify.Recipe,
}


def kind(name: str) -> type[Settings]:
    by_start = {"train-": train.Recipe, "paper-": PaperRecipe}
    return KINDS.get(name) or next((of for start, of in by_start.items() if name.startswith(start)), curate.Recipe)


def repeated(value: object, where: str = "") -> list[str]:
    """Dotted keys that were given a value which they have by default."""
    if isinstance(value, Settings):
        keys = []
        for name in sorted(value.model_fields_set):
            field, given = type(value).model_fields[name], getattr(value, name)
            path = f"{where}.{name}".strip(".")
            inner = repeated(given, path)
            is_default = not field.is_required() and given == field.get_default(call_default_factory=True)
            keys += [path] if is_default and not field.exclude and name != "kind" else inner
        return keys
    if isinstance(value, list | tuple):
        return [key for number, item in enumerate(value) for key in repeated(item, f"{where}.{number}")]
    return []


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_recipe_loads_by_name_and_repeats_no_default(name):
    assert repeated(load(kind(name), name)) == []


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_recipe_begins_with_its_command(name):
    head = [line for line in (RECIPES / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    assert any(f" {name}" in line and line.lstrip("# ").startswith("limo ") for line in head)


def test_a_repeated_default_is_found_at_any_depth(tmp_path):
    class Inner(Settings):
        share: float = Field(0.8)

    class Outer(Settings):
        inner: list[Inner] = Field(default_factory=list)
        n: int = 1

    (tmp_path / "a.yaml").write_text("n: 2\ninner: [{share: 0.8}, {share: 0.7}]\n")
    assert repeated(load(Outer, tmp_path / "a.yaml")) == ["inner.0.share"]


def test_recipes_need_no_file_beside_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(kind("limo-v2"), "limo-v2").select.k == 800
    assert not list(Path().iterdir())
