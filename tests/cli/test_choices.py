"""Multiple choice on every road: the right option by letter or text is correct, a letter with another text is not."""

from __future__ import annotations

import json

import pytest
import yaml

STATEMENTS = ["Which length is it?", "And which length is this?"]
OPTIONS = ["12 m", "15 m", "18 m", "21 m"]
REPLIES = {"text": r"\boxed{18 m}", "letter": r"\boxed{C}", "another": r"\boxed{C. 15 m}", "wrong": r"\boxed{15 m}"}
OUTCOMES = {"text": "correct", "letter": "correct", "another": "wrong", "wrong": "wrong"}


@pytest.fixture
def folder(tmp_path):
    rows = [{"problem": text, "choices": OPTIONS, "answer": "C"} for text in STATEMENTS]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "held.jsonl").write_text(
        json.dumps({"problem": "What is the capital of nowhere?", "answer": "none"}) + "\n"
    )
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", OPTIONS, strict=True))
    recorded = [
        {"problem": f"{text}\n{listed}", "model": "m", "index": index, "text": f"So it is {reply}."}
        for text in STATEMENTS
        for index, reply in enumerate(REPLIES.values())
    ]
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in recorded))
    return tmp_path


MODEL = {"kind": "replay", "name": "m", "files": ["recorded.jsonl"]}


def recipe(folder, values):
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"data": str(folder)} | values))
    return folder / "recipe.yaml"


def outcomes(limo, ledger):
    """The verdicts in a ledger, by the number of the reply."""
    code, _, err = limo("ledger", "export", ledger, "-o", f"{ledger}.parquet")
    assert code == 0, err
    import pyarrow.parquet as pq

    rows = pq.read_table(f"{ledger}.parquet").to_pylist()
    verdicts = {(row["index"], row["outcome"]) for row in rows}
    return [outcome for _, outcome in sorted(verdicts)]


def test_rollouts(limo, folder):
    values = {"pool": {"sources": ["set.jsonl"]}, "rollouts": [{"models": [MODEL], "n": 4}]}
    code, out, err = limo("rollouts", recipe(folder, values), "--run", folder / "run", "--json")
    assert code == 0, err
    assert [rate["n_correct"] for rate in json.loads(out.splitlines()[-1])["rates"]] == [2, 2]
    assert outcomes(limo, folder / "run" / "ledger.sqlite") == list(OUTCOMES.values())
    code, out, _ = limo("verify", folder / "run", "--ledger", "--json")  # the options come from the run's pool
    counts = json.loads(out.splitlines()[-1])
    assert (code, counts["n_by_outcome"], counts["n_changed"]) == (0, {"correct": 4, "wrong": 4}, {})


def test_evaluate(limo, folder):
    values = {"model": MODEL, "benchmarks": {"mine": "set.jsonl"}, "decoding": {"n": 4, "temperature": 0.7}}
    code, out, err = limo("evaluate", recipe(folder, values), "--run", folder / "run", "--json")
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["scores"][0]["value"] == 0.5
    assert outcomes(limo, folder / "run" / "ledger.sqlite") == list(OUTCOMES.values())


def test_curate(limo, folder):
    band = {"name": "filter", "models": [MODEL], "n": 4, "low": 1, "high": 3, "teacher": True}
    values = {"pool": {"sources": ["set.jsonl"]}, "benchmarks": {"held": "held.jsonl"}, "filters": [band]}
    values |= {"dedup": {"reworded_similarity": 1}, "select": {"k": 2}}
    code, _, err = limo("curate", recipe(folder, values), "--run", folder / "run")
    assert code == 0, err
    assert outcomes(limo, folder / "run" / "ledger.sqlite") == list(OUTCOMES.values())
    import datasets

    for row in datasets.load_from_disk(str(folder / "run" / "selected")):
        assert "B. 15 m\nC. 18 m" in row["messages"][1]["content"]
        assert row["messages"][2]["content"] in {f"So it is {REPLIES[name]}." for name in ("text", "letter")}


@pytest.mark.parametrize("column", ["options", "choices"])
def test_verify_a_file(limo, folder, column):
    rows = [{"answer": "C", column: OPTIONS, "completion": reply} for reply in REPLIES.values()]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert limo("verify", folder / "rows.jsonl", "-o", folder / "out.jsonl")[0] == 0
    verified = [json.loads(line)["outcome"] for line in (folder / "out.jsonl").read_text().splitlines()]
    assert verified == list(OUTCOMES.values())
