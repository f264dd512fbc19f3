"""What is written for Inspect holds every rollout with its verdict; records hold each score with its interval."""

import json

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from limo.core.errors import InputError
from limo.core.records import Completion, Problem
from limo.models.completer import Completer
from limo.stages.evaluate import Recipe
from limo.stages.evaluate import run as run_evaluate
from limo.stages.score_exports import export_scores
from limo.stages.score_imports import import_scores

PROBLEMS = [Problem.make(f"What is {i} plus 1?", str(i + 1)) for i in range(3)]


class Adder(Completer):
    name = "adder"

    def complete(self, requests):
        for request in requests:
            text = "?" if request.problem.answer == "3" else f"\\boxed{{{int(request.problem.answer) + request.index}}}"
            yield [(request, Completion(text, "stop", 5, 7))]


@pytest.fixture
def run(tmp_path):
    rows = [{"problem": problem.problem, "answer": problem.answer} for problem in PROBLEMS]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    many = [{"problem": f"What is {i} plus 1?", "answer": str(i + 1)} for i in range(40)]
    (tmp_path / "amc.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))
    model = {"kind": "replay", "name": "adder", "files": ["unused"]}
    values = {"model": model, "benchmarks": {"sums": str(tmp_path / "set.jsonl"), "AMC23": str(tmp_path / "amc.jsonl")}}
    recipe = Recipe.model_validate(values | {"decoding": {"n": 2, "temperature": 0.5}})
    run_evaluate(recipe, tmp_path / "run", opener=lambda settings, data: Adder())
    return tmp_path / "run"


@pytest.fixture
def exported(run, tmp_path):
    return export_scores(run, tmp_path / "logs")[0]


def test_a_record_of_every_eval_ever_holds_scores_in_shares_with_their_intervals(run, tmp_path):
    (file,) = export_scores(run, tmp_path / "out", "every-eval-ever")
    record = json.loads(file.read_text())
    own = {
        score["score"]["benchmark"]: score["score"]
        for score in json.loads((run / "evaluations.json").read_text())["evaluations"]
    }
    assert file.name == "adder.json" and record["model_info"]["id"] == "adder"
    sums, amc = record["evaluation_results"]
    assert sums["source_data"] == {"dataset_name": "sums", "source_type": "other"}
    assert amc["source_data"]["hf_repo"] == "math-ai/amc23" and amc["source_data"]["source_type"] == "hf_dataset"
    interval = sums["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == (own["sums"]["low"], own["sums"]["high"])
    assert sums["score_details"]["score"] == own["sums"]["value"] and sums["metric_config"]["max_score"] == 1


def test_hub_results_are_in_percent_and_only_for_benchmarks_that_stand_there(run, tmp_path):
    (file,) = export_scores(run, tmp_path / "out", "hub")
    assert file.relative_to(tmp_path / "out").as_posix() == ".eval_results/amc23.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert entry.dataset_id == "math-ai/amc23" and entry.value == pytest.approx(48.75)
    assert "2 samples a problem at temperature 0.5" in entry.notes


def test_an_unknown_format_and_a_run_of_own_benchmarks_alone_are_refused(run, tmp_path):
    with pytest.raises(InputError, match="inspect, every-eval-ever, hub"):
        export_scores(run, tmp_path / "out", "csv")
    stored = json.loads((run / "evaluations.json").read_text())
    stored["evaluations"] = [e for e in stored["evaluations"] if e["score"]["benchmark"] == "sums"]
    (run / "evaluations.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match="stands on the hub"):
        export_scores(run, tmp_path / "out", "hub")


def test_an_exported_log_holds_each_rollout_with_its_verdict_and_reads_back(exported, tmp_path):
    log = json.loads(exported.read_text())
    assert log["eval"]["task"] == "sums" and len(log["samples"]) == 6 and log["eval"]["config"] == {"epochs": 2}
    first = next(s for s in log["samples"] if s["target"] == "1" and s["epoch"] == 2)
    assert first["scores"]["limo"]["value"] == "I" and first["scores"]["limo"]["answer"] == "2"
    import_scores([exported], "again", "sums", PROBLEMS, tmp_path / "back")
    ours = json.loads((tmp_path / "run" / "scores.json").read_text())["adder"][0]["outcomes"]["sums"]
    assert json.loads((tmp_path / "back" / "scores.json").read_text())["again"][0]["outcomes"]["sums"] == ours
