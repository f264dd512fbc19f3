"""Reports of run folders: a curation, scores of one model and of several, trainings, and folders that are none."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from test_curate_stage import Bench, pool, recipe  # noqa: F401

from limo.core.errors import InputError, MissingFileError
from limo.core.language import translated
from limo.core.records import Completion, Problem
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.pool.evidence import describe_reported
from limo.report import page
from limo.report.words import headline_claims
from limo.stages.evaluate import Recipe
from limo.stages.evaluate import run as evaluate
from limo.stages.plan import run as plan
from limo.stages.reports import cases
from limo.stages.reports.build import run
from limo.stages.reports.cases import cut_completion
from limo.stages.reports.curation import contamination_parts
from limo.stages.reports.training import run_names
from limo.train.result import TrainResult

PROBLEMS = [Problem.make(f"What is {i} plus 1?", str(i + 1)) for i in range(6)]


class Adder(Completer):
    """Adds, up to a number; beyond it the answer is wrong."""

    def __init__(self, name, most):
        self.name, self.most = name, most

    def complete(self, requests):
        for request in requests:
            answer = int(request.problem.answer)
            found = answer if answer <= self.most else 99
            text = f"Adding. Let me check: {answer} - 1 = {answer - 1}.\n\\boxed{{{found}}}"
            yield [(request, Completion(text, "stop", 5, 7))]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Runs of two models on the same benchmark, the first with four rollouts of each problem as well."""
    folder = tmp_path_factory.mktemp("scored")
    rows = [{"problem": problem.problem, "answer": problem.answer} for problem in PROBLEMS]
    (folder / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, most, n in (("base", 2, 1), ("limo", 5, 1), ("base", 3, 4)):
        values = {
            "model": {"kind": "replay", "name": name, "files": ["unused"]},
            "benchmarks": {"sums": str(folder / "set.jsonl")},
            "decoding": {"n": n, "temperature": 1.0 if n > 1 else 0.0},
        }
        out = folder / (name if n == 1 else "sampled")
        evaluate(Recipe.model_validate(values), out, opener=lambda settings, data: Adder(name, most))  # noqa: B023
    return folder


def test_one_scored_model_has_its_bounds_and_a_row_of_the_grid_for_each_problem(scored):
    report = run([scored / "limo"])
    assert report.averages[0].value == pytest.approx(5 / 6) and report.benchmarks[0].group == "all"
    assert len(report.cases) == 6 and report.scores[0].provenance[0].model == "limo"
    (details,) = report.sections
    assert [cell.en for cell in details.tables[0].rows[0]][:4] == ["limo, sums", "83.3", "83.3", "83.3"]
    assert not report.is_trained and report.title.en == "Scores"


def test_a_score_of_which_much_was_cut_says_what_it_could_be(scored, tmp_path):
    class Cut(Adder):
        def complete(self, requests):
            for (pair,) in super().complete(requests):
                request, whole = pair
                is_long = int(request.problem.answer) > self.most
                yield [(request, Completion("Adding and", "length", 5, 7) if is_long else whole)]

    recipe = {"model": {"kind": "replay", "name": "slow", "files": ["unused"]},
              "benchmarks": {"sums": str(scored / "set.jsonl")}}  # fmt: skip
    evaluate(Recipe.model_validate(recipe), tmp_path / "slow", opener=lambda settings, data: Cut("slow", 3))
    report = run([tmp_path / "slow"])
    (claim,) = headline_claims(report)
    assert claim.en.startswith("slow, sums: 50.0% of the rollouts are cut off at max_tokens and count as wrong")
    assert claim.en.endswith("the score would be 100.0% instead of 50.0%.") and "截断" in claim.zh


def test_an_arm_has_one_colour_in_every_chart(scored):
    report = run([scored / "base", scored / "limo"])
    assert [arm.color for arm in report.arms] == ["base", "limo"]
    (details,) = (section for section in run([scored / "sampled"]).sections if section.name == "details")
    assert details.charts[0].title.en == "pass@k: sums" and details.charts[0].series[0].color == "base"


def test_two_scored_models_are_compared_and_the_problems_that_differ_come_first(scored):
    report = run([scored / "base", scored / "limo"])
    assert [(row.a, row.b) for row in report.comparisons] == [("limo", "base")]
    assert report.comparisons[0].difference == pytest.approx(0.5)
    outcomes = [[rollout.outcome for rollout in case.rollouts] for case in report.cases]
    assert outcomes[:3] == [["wrong", "correct"]] * 3
    assert sorted(outcomes[3:]) == [["correct", "correct"]] * 2 + [["wrong", "wrong"]]
    assert [kind for _, kind in report.cases[0].rollouts[0].steps] == ["step", "check", "step"]


def test_the_grid_shows_the_rollouts_that_were_scored_and_no_others_of_the_same_ledger(scored, tmp_path):
    shutil.copytree(scored / "limo", tmp_path / "limo")
    with Ledger(tmp_path / "limo" / "ledger.sqlite") as ledger:
        others = [replace(rollout, sampling_hash="another") for rollout in ledger.rollouts("limo")]
        ledger.add(others)
    report = run([tmp_path / "limo"])
    assert len(report.cases) == 6 and all(len(case.rollouts) == 1 for case in report.cases)


def test_a_page_of_contamination_states_problems_and_pairs_by_name():
    row = {"source": "s", "method": "renumbered", "score": 0.9, "words": "w", "problem": "p", "benchmark_problem": "q"}
    pairs = [("a", "X", "drop"), ("a", "Y", "drop"), ("b", "X", "report"), ("b", "Y", "report"), ("c", "Y", "report")]
    table = [row | dict(zip(("problem_id", "benchmark", "decision"), pair, strict=True)) for pair in pairs]
    parts = contamination_parts(table)
    assert sum(one.n_problems for one in parts["overlaps"]) == 5
    assert "1 dropped; 2 alike" in parts["headline"][0].en and "5 pairs" in parts["headline"][0].en
    assert describe_reported(table).endswith("2 problems (renumbered 2)") and describe_reported(table[:2]) == ""
    table.append(row | {"problem_id": "b", "benchmark": "Y", "method": "same numbers", "decision": "report"})
    assert describe_reported(table).endswith("2 problems (same numbers 1, renumbered 1)"), "each once"
    assert "in each row of the table" in parts["headline"][0].en
    assert translated(describe_reported(table), "zh") != describe_reported(table)


def test_a_grid_that_does_not_hold_all_problems_says_so(scored, monkeypatch):
    monkeypatch.setattr(cases, "MAX_TEXTS", 7)
    report = run([scored / "base", scored / "limo"])
    assert len(report.cases) == 3 and report.notes[-1].en.startswith("The grid shows 3 of 6 problems")


def test_with_the_base_sampled_often_it_says_what_was_elicited_taught_and_lost(scored):
    report = run([scored / "base", scored / "limo"], scored / "sampled")
    (reach,) = (section for section in report.sections if section.name == "reach")
    assert [round(y, 3) for y in reach.charts[0].series[0].y] == [0.167, 0.333, 0.0]
    assert "elicited 16.7%" in reach.claims[0].en


def test_a_base_sampled_often_is_no_part_of_a_report_without_scores(scored, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "training.json").write_text("{}")
    with pytest.raises(InputError, match="a base sampled often says nothing of these runs"):
        run([scored / "base", tmp_path], scored / "sampled")
    (details,) = (section for section in run([scored / "sampled"]).sections if section.name == "details")
    assert details.charts[0].series[0].x == [1, 2, 4]


@pytest.mark.slow
def test_a_curation_shows_funnel_difficulty_grades_cost_and_two_chains(tmp_path, pool):  # noqa: F811
    bench = Bench(tmp_path / "run")
    bench(recipe(pool))
    report = run([tmp_path / "run"])
    assert [row.stage for row in report.funnel][:4] == ["ingest", "dedup", "decontaminate", "weak_filter"]
    unfinished = shutil.copytree(tmp_path / "run", tmp_path / "unfinished")
    for stage in ("select", "export"):
        for file in (unfinished / "stages").glob(f"{stage}.*"):
            file.unlink()
    assert run([unfinished]).headline[0].en.startswith("This curation is not finished: nothing is selected yet.")
    names = {row.stage: (row.label_en, row.label_zh) for row in report.funnel}
    assert all(names[stage] == (stage, translated(stage, "zh")) for stage in names), "the names of the terminal"
    assert not any(row.n_unexplained for row in report.funnel)
    assert "chains are selected, from" in report.headline[0].en and "set aside for evaluation" in report.headline[1].en
    assert not report.overlaps and report.headline[2].en == "No problem of the pool was found in a benchmark."
    difficulty, grades, cost = report.sections
    assert "compares these chains with each other" in grades.tables[0].note.en
    assert [chart.title.en for chart in difficulty.charts] == [
        "Problems by correct rollouts: weak_filter", "Problems by correct rollouts: strong_filter"
    ]  # fmt: skip
    came_in, kept = difficulty.charts[1].series
    assert came_in.label_en.startswith("all that came in (n = ") and kept.label_en.startswith("kept (n = ")
    assert sum(came_in.y) > sum(kept.y) and {*kept.x} <= {*came_in.x}
    assert "is selection" in difficulty.claims[0].en and "挑选造成" in difficulty.claims[0].text("zh")
    strong = [cell.en for cell in difficulty.tables[0].rows[1]]
    assert re.fullmatch(r"\d+–\d+ / \d+", strong[1]) and 0 < float(strong[-1]) < 100
    assert "rank correlation" in grades.claims[0].en and "50 keywords" in grades.claims[1].en
    planned = plan(recipe(pool), tmp_path / "before")
    shown = [[row.step, f"{row.n_most:,}", f"{row.n_expected:,.0f}"] for row in planned]
    assert [[cell.en for cell in row[:3]] for row in cost.tables[0].rows] == shown, "what `limo plan` says before"
    spent = {row[0].en: row[1].en for row in cost.tables[1].rows}
    assert spent == {name: str(sum(asked[0] == name for asked in bench.asked)) for name in ("strong", "weak")}
    old = (tmp_path / "run" / "recipe.yaml").read_text()
    (tmp_path / "run" / "recipe.yaml").write_text(old + "forgotten: 1\n")
    again = run([tmp_path / "run"])
    assert "forgotten" in again.notes[0].en and len(again.sections[2].tables) == 1 and again.funnel == report.funnel
    assert all(len(case.rollouts) == 2 for case in report.cases)
    assert 'id="en-difficulty"' in page.render(report)


def test_trainings_show_losses_costs_and_the_check_of_forgetting(tmp_path):
    values = {
        "model_dir": "", "base": "models/tiny", "method": "sft", "n_examples": 4, "n_tokens": 90, "n_loss_tokens": 50,
        "n_updates": 5, "n_tokens_seen": 180, "n_epochs": 2.0, "seconds": 2.0, "flops": 1e9, "checkpoint": "last",
        "losses": [2.0, 1.0, 0.5], "identity": "x", "data_hash": "h",
        "settings": {"logging_steps": 2}, "measures": {"peak_bytes": 5.0},
    }  # fmt: skip
    for name in ("a", "b"):
        (tmp_path / name / "seed-0" / "model").mkdir(parents=True)
        record = json.dumps(asdict(TrainResult(**values | {"n_epochs": 0.75 if name == "b" else 2.0})))
        (tmp_path / name / "seed-0" / "model" / "training.json").write_text(record)
        (tmp_path / name / "seed-0" / "recipe.yaml").write_text("model: tiny\n")
    (tmp_path / "a" / "seed-0" / "forgetting.json").write_text(json.dumps({"sentence": "not separable"}))
    (tmp_path / "a" / "seed-0" / "data_cost.json").write_text(json.dumps({"n_tokens": {"m": 9}, "flops": 1.5e12}))
    (section,) = run([tmp_path / "a/seed-0", tmp_path / "b/seed-0"]).sections
    assert [row[8].en for row in section.tables[0].rows] == ["1.5e+12", "—"], "of filters and teachers"
    assert [series.label_en for series in section.charts[0].series] == ["a/seed-0", "b/seed-0"]
    assert section.charts[0].series[0].x == [2, 4, 5] and section.tables[0].rows[0][6].en == "90"
    assert any("Forgetting check: not separable" in claim.en for claim in section.claims)
    assert section.tables[1].rows[0][1].en == "peak bytes"
    assert [(row[2].en, row[2].text("zh")) for row in section.tables[0].rows] == [("4", "4"), ("3 of 4", "3/4")]
    assert any("on 3 of 4 examples" in claim.en for claim in section.claims), "the updates ended before a whole pass"


def test_a_folder_that_is_no_run_and_a_path_that_is_not_there_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="nothing to report"):
        run([tmp_path])
    with pytest.raises(MissingFileError, match="no such run"):
        run([tmp_path / "typo"])


def test_a_completion_is_cut_into_steps_and_no_formula_is_cut():
    text = "First: 2 + 2 = 4.\n1. Add 3. Wait, 4 + 3 = 7, maybe not. \\[ a = 1. \n b = 2. \\] Check: 7 - 3 = 4.\n\n"
    pieces = cut_completion(text)
    begins = [0, *(end for end, _ in pieces)]
    shown = [(text[a:b].strip(), kind) for a, (b, kind) in zip(begins, pieces, strict=False)]
    assert shown == [
        ("First: 2 + 2 = 4.", "step"),
        ("1. Add 3.", "step"),
        ("Wait, 4 + 3 = 7, maybe not.", "turn"),
        ("\\[ a = 1. \n b = 2. \\] Check: 7 - 3 = 4.", "check"),
    ]
    assert pieces[-1][0] == len(text) and cut_completion("") == []


def test_runs_are_named_by_as_much_of_their_path_as_tells_them_apart(tmp_path):
    assert list(run_names([tmp_path / "x", tmp_path / "y"]).values()) == ["x", "y"]
    assert list(run_names([tmp_path / "x/m", tmp_path / "y/m"]).values()) == ["x/m", "y/m"]


@pytest.mark.parametrize("name", ["pocket", "pocket-all", "pocket-world2"])
def test_a_stored_result_of_a_lab_is_a_report(name):
    file = Path(__file__).parents[2] / "results" / f"{name}.json"
    stored, report = json.loads(file.read_text(encoding="utf-8")), run([file])
    assert report.title.en == f"Stored results: {name}" and len(report.scores) == len(stored["scores"])
    assert [section.name for section in report.sections] == [question["name"] for question in stored["questions"]]
    assert sum(len(section.predictions) for section in report.sections) > 5


def test_another_json_is_refused_with_what_is_readable():
    with pytest.raises(InputError, match=r"a report\.json, or a stored result of a lab"):
        run([Path(__file__).parents[2] / "results" / "real.json"])
