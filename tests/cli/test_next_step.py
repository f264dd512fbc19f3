"""At the end of a command stands the next one, from one table."""

from __future__ import annotations

import json
import shutil

import pytest
from test_documented_commands import parse

from limo.cli.next_step import _STEPS, next_command, run_of
from limo.stages.init import CPU_DECODING, CPU_TOKENS, CPU_TRAINING

RECIPE = {"recipe": "limo-v2", "overrides": ("data=my data",), "run": None}
VALUES = {
    "plan": RECIPE,
    "curate": RECIPE,
    "train": RECIPE | {"recipe": "train-v2", "overrides": ("model=m",)},
    "evaluate": RECIPE | {"recipe": "evaluate"},
    "compare": {"runs": ("runs/a", "runs/b")},
    "rollouts": RECIPE | {"recipe": "rollouts"},
    "grade": {"output": "graded.jsonl"},
    "select": {"output": "selected.jsonl"},
    "export": {"run": "runs/a"},
    "pool ingest": {"output": "pool/"},
    "pool dedup": {"output": "distinct/"},
    "pool decontaminate": {"output": "clean/"},
}


@pytest.mark.parametrize("command", _STEPS)
def test_every_next_command_is_one(command, monkeypatch):
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: True)
    parse(next_command(command, VALUES[command]), complete=True)


def test_a_command_without_a_successor_or_an_output_has_none():
    assert next_command("doctor", {}) == "" == next_command("grade", {"output": None})
    assert next_command("plan", RECIPE | {"recipe": "pocket"}) == ""


def test_without_a_gpu_the_next_command_is_the_one_that_init_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: False)
    for name in ("mine", "train", "evaluate"):
        (tmp_path / f"{name}.yaml").write_text("decoding: {n: 4, max_tokens: 256}\n")
    own = {"recipe": "mine.yaml", "overrides": (), "run": "runs/mine"}
    assert f"dataset=runs/mine/selected {CPU_TRAINING} --run runs/train" in next_command("curate", own)
    trained = next_command("train", {"recipe": "train.yaml", "overrides": (), "run": "runs/train"})
    assert trained.endswith(f"{CPU_DECODING} decoding.max_tokens=256 --run runs/after")
    (tmp_path / "runs/before").mkdir(parents=True)
    (tmp_path / "runs/before/recipe.yaml").write_text("decoding: {n: 2, max_tokens: 128}\n")
    trained = next_command("train", {"recipe": "train.yaml", "overrides": (), "run": "runs/train"})
    assert trained.endswith("decoding.n=2 decoding.max_tokens=128 --run runs/after"), "as it was scored before"
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "train.yaml").write_text("model: m\ndataset: o/d\nmethod: {kind: sft}\n")
    planned = next_command("plan", {"recipe": "train.yaml", "overrides": ("model=m",), "run": "runs/train"})
    assert f"{CPU_TRAINING} model=m --run runs/train" in planned
    planned = next_command("plan", {"recipe": "train.yaml", "overrides": ("method.max_steps=3",), "run": None})
    assert planned.count("max_steps") == 1 and planned.endswith("method.max_steps=3 --run runs/train")
    (tmp_path / "evaluate.yaml").write_text("decoding: 3\n")
    trained = next_command("train", {"recipe": "train.yaml", "overrides": (), "run": "runs/train"})
    assert trained.endswith(f"{CPU_DECODING} decoding.max_tokens={CPU_TOKENS} --run runs/after")


def test_recipes_beside_the_recipe_come_first_and_a_dry_run_is_followed_by_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: True)
    shipped = "limo train train-v2 dataset=runs/limo-v2/selected --run runs/train"
    assert next_command("curate", RECIPE) == shipped
    for name in ("mine", "train", "evaluate"):
        (tmp_path / f"{name}.yaml").touch()
    own = {"recipe": "mine.yaml", "overrides": (), "run": "runs/mine"}
    assert next_command("curate", own) == "limo train train.yaml dataset=runs/mine/selected --run runs/train"
    assert next_command("curate", own | {"dry_run": True}) == "limo curate mine.yaml --run runs/mine"
    assert next_command("plan", RECIPE) == "limo curate limo-v2 'data=my data' --run runs/limo-v2"
    trained = next_command("train", {"recipe": "train.yaml", "overrides": (), "run": "runs/train"})
    assert trained.startswith("limo evaluate evaluate.yaml 'model={kind: local, name: trained, path: /")
    assert trained.endswith("/runs/train/model}' --run runs/after")


def test_scores_are_compared_where_others_stand_beside_them_and_reported_where_none_do(tmp_path):
    values = {"recipe": "evaluate", "overrides": (), "run": str(tmp_path / "after")}
    assert next_command("evaluate", values) == f"limo report {tmp_path}/after"
    scores = {"after": "trained", "again": "trained", "before": "base", "damaged": "", "other": "third"}
    for name, model in scores.items():
        (tmp_path / name).mkdir()
        measured = {"seed": 0, "outcomes": {"b" if name != "other" else "c": {"p": 1.0, "q": 0.0}}}
        (tmp_path / name / "scores.json").write_text(json.dumps({model: [measured]}) if model else "{")
    assert next_command("evaluate", values) == f"limo compare {tmp_path}/before {tmp_path}/after", (
        "what can be compared"
    )


def test_the_road_of_init_goes_on_with_what_is_not_there_yet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: True)
    for name in ("mine", "train", "evaluate"):
        (tmp_path / f"{name}.yaml").write_text("model: m\ndataset: runs/mine/selected\n")
    before = {"recipe": "evaluate.yaml", "overrides": (), "run": "runs/before"}
    planned = {"recipe": "train.yaml", "overrides": (), "run": None}
    curation = "limo curate mine.yaml --run runs/mine"
    assert next_command("evaluate", before) == curation == next_command("plan", planned), "there is nothing to train on"
    (tmp_path / "runs/mine/selected").mkdir(parents=True)
    training = "limo train train.yaml dataset=runs/mine/selected --run runs/train"
    assert next_command("evaluate", before) == training
    assert next_command("plan", planned) == "limo train train.yaml --run runs/train"
    (tmp_path / "runs/train/model").mkdir(parents=True)
    after = next_command("evaluate", before)
    assert after.startswith("limo evaluate evaluate.yaml 'model={kind: local") and after.endswith("--run runs/after")
    (tmp_path / "runs/after").mkdir()
    (tmp_path / "runs/after/scores.json").write_text("{}")
    assert next_command("evaluate", before) == "limo report runs/before"


def test_a_shipped_training_is_not_proposed_where_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: False)
    assert next_command("curate", RECIPE) == "limo report runs/limo-v2"
    assert next_command("select", VALUES["select"]) == "" == next_command("plan", VALUES["train"])


def test_it_is_said_where_it_does_not_mix_with_the_result(limo, world):
    code, out, err = limo("plan", world / "recipe.yaml", "--run", world / "run")
    assert (
        code == 0 and err.endswith(f"next: limo curate {world}/recipe.yaml --run {world}/run\n") and "next:" not in out
    )
    assert "next:" not in "".join(limo("plan", world / "recipe.yaml", "--json")[1:]), "a program has no next step"
    assert "下一步：limo curate" in limo("plan", world / "recipe.yaml", "--lang", "zh")[2]
    assert "next:" not in limo("plan", "nowhere.yaml")[2]


def test_a_run_without_a_name_lies_beside_its_recipe_as_init_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train.yaml").write_text("model: m\ndataset: mine/runs/mine/selected\nmethod: {kind: sft}\n")
    values = {"recipe": "mine/train.yaml", "overrides": (), "run": None}
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: True)
    assert next_command("plan", values) == "", "without its rows there is nothing to train on"
    (tmp_path / "mine/runs/mine/selected").mkdir(parents=True)
    assert next_command("plan", values) == "limo train mine/train.yaml --run mine/runs/train"
    assert str(run_of(None, "mine/train.yaml")) == "mine/runs/train"
    assert [str(run_of(*one)) for one in ((None, "train-v2"), ("own", "mine/train.yaml"))] == ["runs/train-v2", "own"]
