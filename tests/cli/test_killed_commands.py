"""kill -9 at random moments of whole commands: the same command again goes on, and its output has the same bytes.

`LIMO_KILLS=50` kills each command so often (docs/robust.md has the figures); `-s` prints what happened.
"""

import json
import os
from importlib import resources

import pytest
import yaml

from kill_cases import Template, kill_again_and_again
from limo.core import prompts
from limo.models.replay_server import ReplayServer, ReplayServerSettings

pytestmark = [pytest.mark.slow, pytest.mark.hostile]
N_KILLS = int(os.environ.get("LIMO_KILLS", "3"))
IN_FLIGHT = 2
MODEL = resources.files("limo.experiments.pocket") / "weights" / "pocket-rich"
TRAIN = (
    "method.use_cpu=true method.bf16=false method.max_steps=4 method.examples_per_update=2 method.max_length=1024 "
    "method.gradient_checkpointing=false method.attn_implementation=eager method.save_strategy=steps "
    "method.save_steps=1"
)
COMMANDS = {
    "rollouts": "rollouts rollouts.yaml --run out/run --workers 1",
    "curate": "curate served.yaml --run out/run --workers 1",
    "train": f"train train-v2 model={MODEL} dataset=whole/selected --run out/run {TRAIN}",
    "evaluate": "evaluate evaluate.yaml --run out/run --workers 1",
    "verify": "verify rows.jsonl -o out/verified.jsonl --workers 1",
    "verify --judge": "verify open.jsonl -o out/verified.jsonl --workers 1 --judge judge.yaml",
    "dedup": "pool dedup ingested -o out/pool",
    "ingest": "pool ingest many.jsonl -o out/pool",
    "export": "export whole --to hf -o out/hub --evidence",
    "ledger export": "ledger export whole/ledger.sqlite -o out/rollouts",
}
PAID = ("rollouts", "curate", "evaluate", "verify --judge")


@pytest.fixture(scope="module")
def template():
    with Template() as started:
        yield started


@pytest.fixture
def folder(world, template):
    """Inputs of every command, and a server whose recordings answer the models of all recipes."""
    rows = [f'{{"problem": "Add {n} and {n * n} to {n % 17} {n % 5}", "answer": "{n}"}}\n' for n in range(4000)]
    (world / "many.jsonl").write_text("".join(rows))
    line = '{"answer": "\\\\sqrt{2}+1", "completion": "\\\\boxed{1+2^{1/2}}"}\n'
    (world / "rows.jsonl").write_text(line * 300)
    unclear = [
        {
            "problem": f"Which of {n}?",
            "answer": "all odd $n$",
            "completion": f"\\boxed{{\\text{{each odd one to {n}}}}}",
        }
        for n in range(20)
    ]
    (world / "open.jsonl").write_text("".join(json.dumps(row) + "\n" for row in unclear))
    asked = [
        prompts.same_answer(row["problem"], row["answer"], f"\\text{{each odd one to {n}}}", row["completion"])
        for n, row in enumerate(unclear)
    ]
    said = [{"problem": text, "model": "judge", "text": "CORRECT"} for text in asked]
    (world / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    for prepared in ("curate recipe.yaml --run whole", "pool ingest many.jsonl -o ingested"):
        ended = template.run(prepared, world)
        assert ended.status == 0, ended.err
    server = ReplayServer([world / "said.jsonl", world / "judged.jsonl"], ReplayServerSettings(latency_s=0.01))
    with server.running() as url:

        def model(name):
            return {"kind": "http", "name": name, "base_urls": [url], "http": {"in_flight": IN_FLIGHT}}

        curation = yaml.safe_load((world / "recipe.yaml").read_text())
        for one in curation["filters"]:
            one["models"] = [model(one["models"][0]["name"])]
        pool = {"data": str(world), "pool": {"sources": ["pool.jsonl"]}}
        benchmark = {"model": model("strong"), "benchmarks": {"own": str(world / "pool.jsonl")}}
        recipes = {
            "served": curation,
            "rollouts": pool | {"rollouts": [{"models": [model("strong")], "n": 4}]},
            "evaluate": benchmark | {"decoding": {"n": 4, "temperature": 0.6, "max_tokens": 512}},
            "judge": {"judge": {"models": [model("judge")]}},
        }
        for name, values in recipes.items():
            (world / f"{name}.yaml").write_text(yaml.safe_dump(values))
        yield world, server


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(template, folder, name):
    world, server = folder
    (world / "out").mkdir()
    is_paid = name in PAID
    figures = kill_again_and_again(
        template, COMMANDS[name], world, N_KILLS, server if is_paid else None, IN_FLIGHT if is_paid else 0
    )
    print(f"\n{name}: {figures}")
    assert figures.n_kills == N_KILLS
