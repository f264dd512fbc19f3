"""The train stage: a method by its kind, and reinforcement learning whose rollouts stand in the run's ledger."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from limo.core.errors import InputError, LimoError, RecipeError
from limo.core.progress import NoProgress
from limo.core.prompts import messages
from limo.core.recipe import RECIPES, load
from limo.core.records import Completion, Rollout, Sampling, Verdict
from limo.core.run_folder import RunFolder
from limo.experiments.pocket.models import model_path
from limo.experiments.pocket.world import sample_problems
from limo.ledger.store import Ledger
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter
from limo.pool.ingest import read_pool, write_pool
from limo.stages.train import Recipe, data_cost, easy_problems, first_batch, run
from limo.train.model import load_model
from limo.train.model_folder import read_result

GRPO = [
    "method.kind=grpo", "method.max_steps=2", "method.num_generations=4", "method.examples_per_update=8",
    "method.per_device_train_batch_size=8", "method.max_completion_length=12", "method.bf16=false",
    "method.use_cpu=true", "method.gradient_checkpointing=false", "method.learning_rate=1e-4",
    "method.save_strategy=no",
]  # fmt: skip


def grpo_recipe(tmp_path: Path, *changes: str) -> Recipe:
    pool = tmp_path / "pool.parquet"
    if not pool.exists():
        write_pool(sample_problems(["bus", "shop"], 16, range(1, 3), seed=5), pool)
    return load(Recipe, None, [f"model={model_path('pocket-rich')}", f"dataset={pool}", *GRPO, *changes])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpo")
    return folder / "run", run(grpo_recipe(folder), folder / "run"), folder


def test_a_kind_that_is_none_names_those_there_are():
    with pytest.raises(RecipeError, match=r"method\.kind .*not 'ppo' but one of: sft, lora, qlora, grpo"):
        load(Recipe, None, ["model=m", "dataset=d", "method.kind=ppo"])


def test_without_a_method_all_parameters_are_fine_tuned_as_in_the_paper():
    method = load(Recipe, None, ["model=m", "dataset=d"]).method
    assert (method.kind, method.learning_rate, method.examples_per_update) == ("sft", 5e-6, 64)


def test_the_first_batch_is_shown_with_what_is_learnt(tmp_path):
    roles = ("system", "user", "assistant")
    chat = [
        {"role": role, "content": text} for role, text in zip(roles, ("Be brief.", "start with 1", "so 3"), strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text("\ufeff" + json.dumps({"messages": chat}) + "\n", encoding="utf-8")  # a BOM
    shown = first_batch(load(Recipe, None, [f"model={model_path('pocket-rich')}", f"dataset={tmp_path}/rows.jsonl"]))
    before, learnt = shown.split("⟦")
    assert "start with 1" in before and "so 3" not in before and learnt.startswith("so 3")
    with pytest.raises(InputError, match="there are no rows to show"):
        first_batch(load(Recipe, None, ["model=m", "dataset=d", "method.kind=grpo"]))


def test_what_trl_generated_is_rewarded_and_kept_like_our_own_rollouts(tmp_path):
    from types import SimpleNamespace as Values

    from limo.core.records import Problem
    from limo.stages.train import LedgerRecorder
    from limo.train.methods.grpo import GrpoSettings, _Rollouts
    from limo.verify.checker import Checker

    problem, settings = Problem.make("What is 1 + 2?", "3"), GrpoSettings(num_generations=2, examples_per_update=2)
    with Ledger(tmp_path / "ledger.sqlite") as ledger, Checker() as checker:
        recorder = LedgerRecorder(ledger, checker, settings)
        reward = _Rollouts([problem], settings, Values(eos_token_id=9), Values(eos_token_id=[7]), recorder, "grpo-a")
        texts = [[{"content": r"It is \boxed{3}."}], [{"content": r"It is \boxed{4}."}]]
        for step in (0, 1, 1):  # what a killed training repeats is the same rollout
            state, chat = Values(global_step=step), [{"role": "user", "content": problem.problem}]
            assert reward([chat] * 2, texts, [[1, 7], [1, 2]], state) == [1.0, 0.0]
            reward._step = -1
        rollouts = list(ledger.rollouts())
    names = sorted((r.model, r.index) for r in rollouts)
    assert names == [("grpo-a@0", 0), ("grpo-a@0", 1), ("grpo-a@1", 0), ("grpo-a@1", 1)]
    assert {r.completion.finish_reason for r in rollouts} == {"stop", "length"}
    assert {r.verdict.outcome for r in rollouts} == {"correct", "wrong"}


def test_the_rollouts_of_the_first_update_are_what_the_completer_says_with_the_base_model(trained):
    folder, _, data = trained
    problems = {problem.id: problem for problem in read_pool(data / "pool.parquet")}
    sampling = Sampling(temperature=1.0, max_tokens=12)
    with Ledger(folder / "ledger.sqlite") as ledger:
        stored = {(r.problem_id, r.index): r for r in ledger.rollouts() if r.model.endswith("@0")}
    completer = LocalCompleter(model_path("pocket-rich"), next(iter(stored.values())).model)
    requests = [
        Request(problems[name], messages(problems[name].problem), sampling, index) for name, index in stored
    ]  # fmt: skip
    for request, completion in next(completer.complete(iter(requests))):
        found = stored[request.problem.id, request.index]
        assert found.sampling_hash == sampling.hash
        assert replace(found.completion, elapsed_s=0) == replace(completion, elapsed_s=0)


@pytest.mark.parametrize(
    ("change", "environment", "is_ours"),
    [({}, {}, True), ({"use_vllm": True}, {}, False), ({}, {"ACCELERATE_USE_FSDP": "true"}, False)],
)
def test_trl_generates_only_by_a_vllm_server_or_over_shards(change, environment, is_ours, tmp_path, monkeypatch):
    import trl

    from limo.train.methods import grpo

    class Recorder:
        def __init__(self, **given):
            self.given = given

    monkeypatch.setattr(trl, "GRPOTrainer", Recorder)
    monkeypatch.setattr(grpo, "checked_trainer", lambda trainer: trainer)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = grpo.GrpoSettings(bf16=False, use_cpu=True, **change)
    rollouts = type("Rollouts", (), {"generate": "ours"})
    given = grpo._make_trainer(None, None, easy_problems(1), settings, tmp_path, rollouts).given
    assert given["rollout_func"] == ("ours" if is_ours else None)
    assert given["args"].vllm_mode == "server", "TRL's default loads a second model beside the first"


def test_every_rollout_of_a_training_by_reward_is_in_the_ledger_with_its_verdict(trained):
    folder, result, _ = trained
    with Ledger(folder / "ledger.sqlite") as ledger:
        rollouts = list(ledger.rollouts())
    assert len(rollouts) == result.measures["n_rollouts"] == 16
    assert {r.model.partition("@")[2] for r in rollouts} == {"0", "1"}, "the policy at each update is a model"
    shown = [result.measures["pass_rate_first"], result.measures["pass_rate_last"]]
    steps = [[r.verdict.outcome == "correct" for r in rollouts if r.model.endswith(f"@{step}")] for step in (0, 1)]
    assert shown == pytest.approx([sum(step) / len(step) for step in steps])
    assert all(r.verdict.verifier.startswith("maths") for r in rollouts)
    cut = [r for r in rollouts if r.completion.finish_reason == "length"]
    assert all(r.completion.n_completion_tokens == 12 for r in cut)
    assert result.measures["truncated"] == pytest.approx(len(cut) / 16)


def test_the_cost_counts_what_was_generated_and_what_was_trained_on(trained):
    folder, result, _ = trained
    with Ledger(folder / "ledger.sqlite") as ledger:
        n_completion_tokens = sum(r.completion.n_completion_tokens for r in ledger.rollouts())
    assert result.measures["n_completion_tokens"] == pytest.approx(n_completion_tokens)
    assert result.n_tokens_seen > n_completion_tokens, "prompts are read too"
    n_parameters = load_model(folder / "model", "float32", "").num_parameters()
    assert result.flops == pytest.approx((2 + 6) * n_parameters * result.n_tokens_seen)


def test_a_finished_training_by_reward_is_left_as_it_is(trained):
    folder, result, base = trained
    progress = NoProgress()
    assert run(grpo_recipe(base), folder, progress) == result == read_result(folder / "model")
    assert "trained already" in progress.logged[-1]


@pytest.mark.slow
def test_a_training_by_reward_ends_at_the_cost_of_another(trained, tmp_path):
    _, result, _ = trained
    stopped = run(
        grpo_recipe(tmp_path, f"method.max_flops={result.flops / 4}", "method.max_steps=50"), tmp_path / "run"
    )
    assert stopped.n_updates == 1 and stopped.flops >= result.flops / 4


@pytest.mark.slow
def test_another_verifier_rewards_what_it_calls_correct(tmp_path):
    result = run(grpo_recipe(tmp_path, "verifier=python:reward_cases:Always", "method.max_steps=1"), tmp_path / "run")
    assert result.measures["pass_rate_first"] == 1.0
    assert result.measures["groups_without_variance"] == 1.0, "equal rewards teach nothing, and are counted"


def test_a_training_is_checked_for_forgetting_what_the_base_could_do(tmp_path, monkeypatch):
    import limo.stages.train as stage

    monkeypatch.setattr(stage, "_train", lambda recipe, folder, progress: None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(model_path("pocket-poor"))
    write_pool(sample_problems(["bus"], 24, range(2, 4), seed=3), tmp_path / "easy.parquet")
    progress, words = NoProgress(), [f"forgetting_check={tmp_path}/easy.parquet", "check_max_tokens=24"]
    run(grpo_recipe(tmp_path, *words), tmp_path / "run", progress)
    stored = json.loads((tmp_path / "run" / "forgetting.json").read_text())
    assert (stored["arm"], stored["against"]) == ("trained", "base") and stored["low"] <= stored["difference"]
    assert f"forgetting check: {stored['sentence']}" in progress.logged


def test_the_earlier_name_of_the_forgetting_check_is_read_and_another_name_is_not():
    words = ["model=m", "dataset=d"]
    assert load(Recipe, None, [*words, "did_it_hurt=easy"]) == load(Recipe, None, [*words, "forgetting_check=easy"])
    with pytest.raises(LimoError, match="did_it_harm"):
        load(Recipe, None, [*words, "did_it_harm=easy"])


def test_a_typo_in_the_dataset_does_not_lock_the_folder_and_a_copied_dataset_is_the_same(trained, tmp_path):
    folder, result, data = trained
    with pytest.raises(LimoError):
        run(grpo_recipe(data, f"dataset={tmp_path}/typo.parquet"), tmp_path / "run")
    recipe = grpo_recipe(data)
    with RunFolder(tmp_path / "run", recipe):
        assert "typo" not in (tmp_path / "run" / "recipe.yaml").read_text()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(Path(recipe.dataset).read_bytes())
    assert run(grpo_recipe(data, f"dataset={copy}"), folder).identity == result.identity
    with pytest.raises(InputError, match=r"differs in method\.seed"):
        run(grpo_recipe(data, f"dataset={copy}", "method.seed=3"), folder)


def test_the_easy_problems_are_the_same_for_ever_and_their_answers_true():
    problems = easy_problems()
    assert problems == easy_problems() and len({p.id for p in problems}) == 40
    for problem in problems:
        numbers = [int(n) for n in re.findall(r"\d+", problem.problem)]
        assert int(problem.answer) == (sum(numbers) if "+" in problem.problem else numbers[1])


@pytest.mark.parametrize(
    ("model", "flops", "shown"),
    [("Qwen/Qwen2.5-Math-7B", 2 * 7e9 * 50, "FLOPs 7.0e+11"), ("another", None, "FLOPs unknown")],
)
def test_what_stands_behind_curated_data_is_counted_in_the_units_of_a_training(model, flops, shown, tmp_path):
    (tmp_path / "selected").mkdir()
    shutil.copy(RECIPES / "replay.yaml", tmp_path / "recipe.yaml")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.add([Rollout("p", model, "h", "s", 0, Completion("3", "stop", 20, 30), Verdict("correct"))])
    cost = data_cost(tmp_path / "selected")
    assert (cost.n_tokens, cost.flops) == ({model: 50}, flops)
    assert str(cost).startswith("behind the data: 50 tokens of 1 models") and shown in str(cost)
    assert data_cost(tmp_path / "pool.parquet") is None, "nothing is known of another dataset"


KILLED = """
import sys, os, signal
from limo.core.progress import NoProgress
from limo.core.prompts import messages
from limo.core.recipe import load
from limo.core.records import Completion, Rollout, Sampling, Verdict
from limo.core.run_folder import RunFolder
from limo.stages.train import Recipe, easy_problems, run
import torch, json
torch.set_num_threads(1)
class Killer(NoProgress):
    def show(self, event):
        if event.kind == "advance" and event.n_done == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    run(load(Recipe, None, json.loads(sys.argv[1])), sys.argv[2], Killer())
"""


@pytest.mark.slow
def test_training_by_reward_raises_the_pass_rate_and_survives_a_kill(tmp_path):
    from limo.rollouts.collect import collect_rollouts
    from limo.verify.checker import Checker

    pool = tmp_path / "pool.parquet"
    write_pool(sample_problems(["bus", "shop"], 400, range(1, 3), seed=5), pool)
    words = [
        f"model={model_path('pocket-rich')}", f"dataset={pool}", *GRPO, "method.max_steps=30",
        "method.num_generations=8", "method.examples_per_update=32", "method.per_device_train_batch_size=32",
        "method.max_completion_length=96", "method.learning_rate=3e-4", "method.save_strategy=steps",
        "method.save_steps=5",
    ]  # fmt: skip
    folder = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    call = [sys.executable, "-c", KILLED, json.dumps(words), str(folder), "8"]
    assert subprocess.run(call, env=environment, capture_output=True).returncode == -signal.SIGKILL
    result = run(load(Recipe, None, words), folder)
    assert result.n_updates == 30
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert len(ledger) == 30 * 32, "what was generated again after the kill is the same rollout"
    fresh, rates = sample_problems(["bus", "shop"], 120, range(1, 3), seed=99), {}
    for name, path in (("base", model_path("pocket-rich")), ("grpo", folder / "model")):
        with Ledger(tmp_path / f"{name}.sqlite") as ledger, Checker() as checker:
            completer = LocalCompleter(path, name, 128)
            sampling = Sampling(temperature=1.0, max_tokens=96)
            rates[name] = collect_rollouts(ledger, completer, fresh, checker, sampling=sampling, n=4)
    differences = [rates["grpo"][p.id].rate - rates["base"][p.id].rate for p in {p.id: p for p in fresh}.values()]
    mean, low, high = interval(differences)
    print(f"pass rate {mean:+.3f} ({low:+.3f} to {high:+.3f}); {result.measures}; {result.seconds} s")
    assert low > 0


def interval(differences):
    from statistics import mean, stdev

    half = 1.96 * stdev(differences) / len(differences) ** 0.5
    return mean(differences), mean(differences) - half, mean(differences) + half
