"""The plan of a paper lab: totals of one dry run by hand, and what the command prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from paper_cases import small_recipe

from limo.cli import root
from limo.core.errors import InputError
from limo.core.recipe import load
from limo.experiments.paper.plan import n_rollouts, plan_cells, shape_of
from limo.experiments.paper.recipe import PaperRecipe
from limo.train.memory import MARGIN

ROOT = Path(__file__).parents[3]
# Qwen2.5-7B-Instruct by its config: 28 layers, 3,584 wide, 18,944 between, 28 heads of 128, 4 of keys, 152,064 tokens.
HIDDEN, BETWEEN, KEYS, LAYERS, VOCABULARY = 3584, 18944, 512, 28, 152064
LAYER = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * KEYS + (HIDDEN + 2 * KEYS) + 3 * HIDDEN * BETWEEN + 2 * HIDDEN
N_7B = 2 * VOCABULARY * HIDDEN + LAYERS * LAYER + HIDDEN


def planned(recipe, *names, is_done=False):
    return plan_cells(recipe, [(recipe.questions.arms[name], 0, is_done) for name in names])


def test_completions_are_those_of_the_papers_decoding():
    counts = n_rollouts(load(PaperRecipe, "paper-7b-lora"))
    assert counts["AIME24"] == 4 * 30 and counts["MATH500"] == 500 and counts["Gaokao"] == 76
    assert sum(counts.values()) == 120 + 500 + 160 + 675 + 120 + 76 + 195 + 209 + 272 + 198 == 2525


def test_a_benchmark_of_yours_is_counted_and_a_model_of_unknown_shape_is_told(tmp_path):
    recipe = PaperRecipe.model_validate(small_recipe(tmp_path, decoding={"n": 3, "temperature": 0.6}))
    assert n_rollouts(recipe) == {"bus": 9, "shop": 9}
    with pytest.raises(InputError, match=r"shape of a model is not known: 'owner/unknown'.*Qwen/Qwen2.5-32B-Instruct"):
        shape_of("owner/unknown")


@pytest.mark.slow
def test_the_totals_of_a_dry_run_are_those_of_a_calculation_by_hand():
    assert N_7B == 7_615_616_512  # 7.61B on the model's card
    recipe = load(PaperRecipe, "paper-7b-lora", ["hardware={usd_per_gpu_hour: 2.5}"])
    base, limo = planned(recipe, "base", "limo")
    # 2 operations a parameter and token: reading at half of 989 TFLOP/s, writing at 15% of it
    reading, writing = 2525 * 250 / (0.5 * 989e12), 2525 * 5290 / (0.15 * 989e12)
    score_hours = 2 * N_7B * (reading + writing) / 3600
    assert base.score_hours == pytest.approx(score_hours) and base.train_hours == 0
    # 4 operations (an adapter) on 800 rows of 4,926 tokens, 15 times, at 35% of the peak, layers computed twice
    train_hours = 4 * N_7B * 800 * 4926 * 15 / (989e12 * 0.35 / (4 / 3)) / 3600
    assert limo.train_hours == pytest.approx(train_hours)
    assert limo.gpu_hours == pytest.approx(score_hours + train_hours)
    assert limo.usd == pytest.approx(2.5 * (score_hours + train_hours))
    assert limo.serve_gb == pytest.approx(2 * N_7B / 1e9)
    # keys and values of 36,864 tokens in two bytes, in what the weights leave of 72 GB
    assert limo.n_sequences == int((72e9 - 2 * N_7B) // (2 * 2 * LAYERS * KEYS * 36864))
    assert 2 * N_7B / 1e9 < limo.train_gb < 80 and limo.fits
    assert planned(recipe, "limo", is_done=True)[0].gpu_hours == 0
    # `reproduce` with three seeds: the base once, LIMO v2 and v1 (817 rows) three times each; docs/paper.md
    (v1,) = planned(recipe, "limo-v1")
    total = base.gpu_hours + 3 * limo.gpu_hours + 3 * v1.gpu_hours
    assert total == pytest.approx(7 * score_hours + 3 * train_hours * (1 + 817 / 800))
    assert f"{total:.1f} GPU-hours, {2.5 * total:.1f} dollars" in (ROOT / "docs" / "paper.md").read_text()


@pytest.mark.slow
def test_parameters_in_shards_are_divided_over_the_gpus_and_a_72b_does_not_fit():
    one, eight = (load(PaperRecipe, "paper-7b", [f"train.nproc={n}"]) for n in (4, 8))
    (first,), (second,) = (planned(recipe, "limo") for recipe in (one, eight))
    state = 16 * N_7B / 1e9  # float32: weights, gradients, two moments of Adam
    assert first.train_gb - second.train_gb == pytest.approx(MARGIN * state * (1 / 4 - 1 / 8))
    (large,) = planned(load(PaperRecipe, "paper-32b-2x8"), "72B")
    assert not large.fits and large.train_gb > 80
    (offloaded,) = planned(load(PaperRecipe, "paper-32b"), "limo")
    assert offloaded.host_gb == pytest.approx(16 * 32.76, rel=0.01) and offloaded.fits
    (too_large,) = planned(load(PaperRecipe, "paper-32b"), "72B")  # a GPU holds what is not off-loaded of it
    assert too_large.train_gb < 80 and too_large.host_gb > 600 and not too_large.fits


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["paper-7b", "paper-7b-lora", "paper-32b", "paper-32b-2x8"])
def test_reproduce_says_what_it_fetches_trains_serves_and_scores_and_what_it_is_held_against(recipe, tmp_path):
    words = ["experiment", "reproduce", recipe, "--dry-run", "--run", str(tmp_path / "run")]
    told = CliRunner().invoke(root, words)
    assert told.exit_code == 0 and not (tmp_path / "run").exists()
    for line in (
        "training set of limo: 800 rows of GAIR/LIMO-v2", "training set of limo-v1: 817 rows of GAIR/LIMO",
        "benchmark GPQA: Idavidrein/gpqa", "vllm serve MODEL", "limo train train.yaml",
        "AIME24: 120 completions", "limo on AIME24: 63.3 (v2, arXiv 2502.03387, table of results)",
    ):  # fmt: skip
        assert line in told.output
    as_json = CliRunner().invoke(root, [*words, "--seeds", "1", "--json"]).output.splitlines()[-1]
    assert [cell["arm"] for cell in json.loads(as_json)["cells"]] == ["base", "limo", "limo-v1"]


@pytest.mark.slow
def test_the_plan_of_a_whole_lab_counts_each_cell_once_and_says_what_the_budget_holds(tmp_path):
    words = ["plan", "paper-32b", "seeds=[0]", "budget={gpu_hours: 100}", "--run", str(tmp_path / "run")]
    told = CliRunner().invoke(root, words)
    assert told.exit_code == 0, told.output
    rows = {line.split()[0]: line.split()[1:] for line in told.output.splitlines() if line.strip()}
    assert [rows[name][:2] for name in ("reproduce", "headline", "rq4", "alignment")] == [
        ["3", "0"], ["5", "2"], ["5", "1"], ["3", "2"]  # base, limo; 32B is limo; base, limo
    ]  # fmt: skip
    assert rows["rq3"][:2] == ["4", "2"]  # Qwen2.5-32B-Instruct before and after LIMO
    hours = [float(rows[name][-2].replace(",", "")) for name in rows if name in ("reproduce", "headline")]
    assert hours[0] > hours[1] - hours[0] and "GPU-hours" in told.output and "too few" in told.output


@pytest.mark.slow
def test_an_experiment_without_its_section_is_left_out_of_the_plan_and_a_cost_without_a_price_is_not_zero(tmp_path):
    words = ["plan", "paper-7b-lora", "seeds=[0]", "--run", str(tmp_path / "run")]
    told = CliRunner().invoke(root, words)
    assert told.exit_code == 0, told.output
    assert "reinforcement is not planned: the recipe has no section `grpo`" in told.output
    rows = {line.split()[0]: line.split()[1:] for line in told.output.splitlines() if line.strip()}
    assert rows["reproduce"][-1] == "?" and "hardware.usd_per_gpu_hour=2.5" in told.output
    assert rows["rq3"][2:] == ["4", "0.0", "0.0", "0.0"]  # 32B: too large for one GPU, and not counted
    assert "hours and costs are of the cells that fit" in told.output
    priced = CliRunner().invoke(root, [*words, "hardware={usd_per_gpu_hour: 2.5}"])
    assert "?" not in priced.output and "usd_per_gpu_hour" not in priced.output
