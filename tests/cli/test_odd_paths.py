"""Names that no file system takes, in every place where a command takes a path: exit code 2 and one line."""

import json

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.hostile]  # a minute in all
LONG, DEEP = "n" * 300, "/".join(["d" * 200] * 30)
COMMANDS = [
    "verify {}", "verify {}.jsonl -o out.jsonl", "verify rows.jsonl -o {}", "verify rows.jsonl -o {}.jsonl",
    "verify {} --ledger", "verify {}.jsonl --audit", "grade {} -o out.jsonl", "grade rows.jsonl -o {}.jsonl",
    "grade rows.jsonl --recipe {}", "select {} -o out.jsonl", "export {} -o out.jsonl", "curate {}",
    "curate recipe.yaml --run {}", "curate recipe.yaml data={}", "curate recipe.yaml pool.sources.0={}.jsonl",
    "rollouts {}", "plan {}", "train {}", "train train-v2 dataset={} --run out", "evaluate {}", "compare {} {}",
    "report {}", "lab {}", "pool ingest {} -o out.jsonl", "pool ingest rows.jsonl -o {}",
    "pool ingest rows.jsonl -o {}.jsonl",
    "pool dedup {} -o out.jsonl", "pool dedup {} -o out", "pool decontaminate {} --check --benchmarks .",
    "pool strata {} -o out",
    "benchmarks show AIME24 --path {}", "benchmarks fetch AIME24 --path {} -o out.jsonl", "ledger show {}",
    "ledger merge {} -o out.sqlite", "ledger export {} -o out.parquet", "serve-replay {}",
]  # fmt: skip


@pytest.mark.parametrize("path", [LONG, DEEP, "a\udcff"], ids=["long", "deep", "not UTF-8"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_no_file_system_takes_is_one_line(fault, world, monkeypatch, command, path):
    monkeypatch.chdir(world)
    row = {"problem": "2+2?", "answer": "4", "completion": "\\boxed{4}", "score": 1, "level": "L1"}
    (world / "rows.jsonl").write_text(json.dumps(row) + "\n")
    told = fault(*command.replace("{}", path).split())
    assert "bug" not in told and len(told) < 1500


@pytest.mark.parametrize("text", ["n: '\\ud800'", 'data: "a\\0b"', "data: " + LONG, "data: " + DEEP])
def test_a_path_of_a_recipe_is_no_other(fault, world, monkeypatch, text):
    monkeypatch.chdir(world)
    recipe = (world / "recipe.yaml").read_text().replace(f"data: {world}", text)
    assert text in recipe
    (world / "odd.yaml").write_text(recipe)
    assert "bug" not in fault("curate", "odd.yaml", "--run", "out")


@pytest.mark.parametrize("command", [one for one in COMMANDS if "{}" in one])
def test_in_a_folder_that_was_removed_a_command_says_one_line(fault, world, tmp_path_factory, monkeypatch, command):
    row = {"problem": "2+2?", "answer": "4", "completion": "\\boxed{4}", "score": 1, "level": "L1"}
    (world / "rows.jsonl").write_text(json.dumps(row) + "\n")
    gone = tmp_path_factory.mktemp("gone")
    monkeypatch.chdir(gone)
    gone.rmdir()
    words = [str(world / word) if word in ("rows.jsonl", "recipe.yaml") else word for word in command.split()]
    assert "bug" not in fault(*(word.replace("{}", "out") for word in words))
