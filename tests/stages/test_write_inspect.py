"""The log that is written for Inspect holds every rollout with its verdict."""

import json

import pytest

from limo.core.records import Completion, Problem
from limo.models.completer import Completer
from limo.stages.evaluate import Recipe
from limo.stages.evaluate import run as run_evaluate
from limo.stages.score_files import import_scores
from limo.stages.write_inspect import export_inspect

PROBLEMS = [Problem.make(f"What is {i} plus 1?", str(i + 1)) for i in range(3)]


class Adder(Completer):
    name = "adder"

    def complete(self, requests):
        for request in requests:
            text = "?" if request.problem.answer == "3" else f"\\boxed{{{int(request.problem.answer) + request.index}}}"
            yield [(request, Completion(text, "stop", 5, 7))]


@pytest.fixture
def exported(tmp_path):
    rows = [{"problem": problem.problem, "answer": problem.answer} for problem in PROBLEMS]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"kind": "replay", "name": "adder", "files": ["unused"]}
    values = {"model": model, "benchmarks": {"sums": str(tmp_path / "set.jsonl")}}
    recipe = Recipe.model_validate(values | {"decoding": {"n": 2, "temperature": 0.5}})
    run_evaluate(recipe, tmp_path / "run", opener=lambda settings, data: Adder())
    (file,) = export_inspect(tmp_path / "run", tmp_path / "logs")
    return file


def test_an_exported_log_holds_each_rollout_with_its_verdict_and_reads_back(exported, tmp_path):
    log = json.loads(exported.read_text())
    assert log["eval"]["task"] == "sums" and len(log["samples"]) == 6 and log["eval"]["config"] == {"epochs": 2}
    first = next(s for s in log["samples"] if s["target"] == "1" and s["epoch"] == 2)
    assert first["scores"]["limo"]["value"] == "I" and first["scores"]["limo"]["answer"] == "2"
    import_scores([exported], "again", "sums", PROBLEMS, tmp_path / "back")
    ours = json.loads((tmp_path / "run" / "scores.json").read_text())["adder"][0]["outcomes"]["sums"]
    assert json.loads((tmp_path / "back" / "scores.json").read_text())["again"][0]["outcomes"]["sums"] == ours


@pytest.mark.slow
def test_inspect_itself_opens_the_log(exported):
    log_module = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed")
    log = log_module.read_eval_log(str(exported))
    assert log.status == "success" and len(log.samples) == 6 and log.results.scores[0].name == "limo"
