"""Problems made anew: the same source gives the same rows, and what cannot be made is told."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from limo.core.errors import InputError
from limo.pool.ingest import ingest
from limo.pool.sources.generators import generate_problems

installed = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None, reason="the extra `generators` is not installed"
)


def test_a_missing_package_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(InputError, match="limo\\[generators\\]"):
        ingest(["reasoning-gym:chain_sum?size=3"])


@installed
@pytest.mark.slow
def test_a_task_gives_problems_with_answers_and_the_same_ones_again() -> None:
    source = "reasoning-gym:chain_sum?size=6&seed=3&max_terms=3"
    made = ingest([source]).problems
    assert made == ingest([source]).problems and len(made) == 6
    assert made != ingest([source.replace("seed=3", "seed=4")]).problems
    assert {one.source for one in made} == {"reasoning-gym:chain_sum"}
    assert made[0].meta["settings"] == {"size": 6, "seed": 3, "max_terms": 3}
    for one in made:
        assert eval(one.problem.rpartition(":")[2].partition("=")[0]) == int(one.answer)


@installed
@pytest.mark.slow
def test_an_unknown_task_or_setting_is_told() -> None:
    with pytest.raises(InputError, match="did you mean 'chain_sum'"):
        list(generate_problems("chain_sun"))
    with pytest.raises(InputError, match="nosuch"):
        list(generate_problems("chain_sum?nosuch=1"))
