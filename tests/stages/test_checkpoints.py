"""Checkpoints: the curve, the last against the best, and how much of the best is luck."""

import random

import pytest

from limo.core.errors import InputError, MissingFileError
from limo.stages import checkpoints as stage
from limo.stages.checkpoints import checkpoint_curve, checkpoints_of
from limo.stages.evaluate import Recipe


def epochs(rates, n=60, seed=0):
    rng = random.Random(seed)
    return {str(i): {"b": {f"p{j}": float(rng.random() < rate) for j in range(n)}} for i, rate in enumerate(rates)}


def test_the_best_of_equal_checkpoints_is_above_the_last_by_luck():
    leads = [checkpoint_curve(epochs([0.5] * 15, seed=seed)) for seed in range(5)]
    assert all(0 <= curve.luck.low <= curve.luck.value <= curve.luck.high for curve in leads)
    assert all(0.05 < curve.luck.value < 0.2 for curve in leads)  # 15 coins of 60 problems: about 11 points
    assert sum(curve.p_value < 0.05 for curve in leads) <= 1
    assert "within luck" in leads[0].sentence or leads[0].best == leads[0].last


def test_a_last_checkpoint_that_fell_is_told_from_luck():
    curve = checkpoint_curve(epochs([0.5, 0.9, 0.1]))
    assert (curve.best, curve.last) == ("1", "2") and curve.p_value < 0.01
    assert curve.lead > curve.luck.high and "beyond luck" in curve.sentence
    assert curve.comparison.separable and curve.comparison.difference == pytest.approx(curve.lead)
    assert list(curve.scores) == ["0", "1", "2"]


def test_a_last_checkpoint_that_is_the_best_is_said_so():
    curve = checkpoint_curve(epochs([0.1, 0.2, 0.9]))
    assert curve.comparison is None and "the last checkpoint, 2, is the best" in curve.sentence


def test_checkpoints_are_found_by_number_and_none_is_told(tmp_path):
    for number in (20, 3, 100):
        (tmp_path / "checkpoints" / f"checkpoint-{number}").mkdir(parents=True)
    (tmp_path / "checkpoints" / "checkpoint-x").mkdir()
    assert list(checkpoints_of(tmp_path)) == ["3", "20", "100"]
    with pytest.raises(MissingFileError, match="keep_checkpoints"):
        checkpoints_of(tmp_path / "nowhere")


def test_each_checkpoint_is_scored_in_a_run_of_its_own(tmp_path, monkeypatch):
    for number in (1, 2):
        (tmp_path / "training" / "checkpoints" / f"checkpoint-{number}").mkdir(parents=True)
    scored = []

    def evaluate(recipe, folder, *_):
        number = len(scored)
        scored.append((recipe.model.path, recipe.model.name, folder.name))
        folder.mkdir(parents=True)
        rates = {"p1": float(number), "p2": 1.0}
        (folder / "scores.json").write_text(f'{{"m": [{{"seed": 0, "outcomes": {{"b": {rates}}}}}]}}'.replace("'", '"'))

    monkeypatch.setattr(stage.evaluate, "run", evaluate)
    recipe = Recipe.model_validate({"model": {"kind": "local", "name": "m", "path": "x"}, "benchmarks": {"b": ""}})
    curve = stage.run(recipe, tmp_path / "training", tmp_path / "run")
    assert [(name, folder) for _, name, folder in scored] == [("m@1", "checkpoint-1"), ("m@2", "checkpoint-2")]
    assert [interval.value for interval in curve.scores.values()] == [0.5, 1.0]
    served = {"kind": "http", "name": "m", "base_urls": ["http://127.0.0.1:9/v1"]}
    with pytest.raises(InputError, match="checkpoints are folders"):
        stage.run(recipe.model_validate({"model": served, "benchmarks": {"b": ""}}), tmp_path / "training", tmp_path)


@pytest.mark.parametrize("outcomes", [{}, {"1": {"b": {"p": 1.0}}}, {"1": {"b": {"p": 1.0}}, "2": {"c": {"p": 1.0}}}])
def test_what_is_no_curve_is_refused(outcomes):
    with pytest.raises(InputError, match="checkpoints"):
        checkpoint_curve(outcomes)
