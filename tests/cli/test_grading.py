"""`limo grade` with a judge, on a server that answers with recorded marks."""

from __future__ import annotations

import json

import pytest
import yaml

from limo.core import prompts
from limo.curate.scorers.judge import TRAITS
from limo.models.replay_server import ReplayServer, ReplayServerSettings

N = 12


def chain(i):
    steps = " ".join(f"Then the rest of the area {k} is {k * 3}, so {k * 3} + 1 = {k * 3 + 1}." for k in range(i + 1))
    return f"{steps} Perhaps that is all. Let me check it. The answer is \\boxed{{{i}}}"


def reply(mark):
    return "The steps follow.\n" + "\n".join(f"{name}: {mark}" for name in TRAITS)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def judge(tmp_path):
    """Twelve chains, a server whose judge gives longer ones better marks, and the recipe that asks it."""
    rows = [{"problem": f"What is the area number {i}?", "completion": chain(i)} for i in range(N)]
    said = [
        {"problem": prompts.rubric(row["problem"], row["completion"]), "model": "judge", "text": reply(1 + 5 * i // N)}
        for i, row in enumerate(rows)
    ]
    server = ReplayServer([lines(tmp_path / "said.jsonl", said)], ReplayServerSettings())
    with server.running() as url:
        asked = {"models": [{"kind": "http", "name": "judge", "base_urls": [url]}]}
        (tmp_path / "judge.yaml").write_text(yaml.safe_dump({"scorer": "judge", "judge": asked}))
        yield lines(tmp_path / "chains.jsonl", rows), tmp_path / "judge.yaml", server


def test_a_judge_grades_agreement_with_the_others_is_printed_and_nothing_is_paid_for_twice(limo, judge, tmp_path):
    file, recipe, server = judge
    code, out, _ = limo("grade", file, "--recipe", recipe, "-o", tmp_path / "graded.jsonl")
    assert code == 0 and server.n_requested.total() == N
    assert "12 replies were requested" in out
    for pair in ("judge and limo-v2", "judge and structure", "limo-v2 and structure"):
        assert pair in out
    graded = [json.loads(line) for line in (tmp_path / "graded.jsonl").read_text().splitlines()]
    assert [row["score"] for row in graded] == [(5 * i // N) / 4 for i in range(N)]
    assert set(graded[0]["traits"]) == set(TRAITS) and graded[-1]["level"] == "L5"
    code, out, _ = limo("grade", file, "--recipe", recipe, "--json")
    told = json.loads(out.splitlines()[-1])
    assert (code, told["n_requested"], server.n_requested.total()) == (0, 0, N)
    assert told["agreement"]["judge and structure"]["correlation"] > 0.9  # both go with the number of steps here
    assert limo("select", tmp_path / "graded.jsonl", "k=2", "-o", tmp_path / "two.jsonl")[0] == 0


def test_chains_that_got_no_marks_are_named_and_left_out_and_the_exit_says_so(limo, judge, tmp_path):
    file, recipe, _ = judge
    with file.open("a") as more:
        more.write(json.dumps({"problem": "Never recorded?", "completion": "No marks."}) + "\n")
    code, _, err = limo("grade", file, "--recipe", recipe, "-o", tmp_path / "graded.jsonl")
    assert code == 3 and "1 of 13 chains have no marks" in err and "row 13" in err
    assert len((tmp_path / "graded.jsonl").read_text().splitlines()) == N


def test_a_judge_that_is_not_named_and_a_row_without_its_problem_are_told_in_one_line(fault, judge, tmp_path):
    file, recipe, _ = judge
    assert "needs a judge" in fault("grade", file, "scorer=judge")
    rows = lines(tmp_path / "bare.jsonl", [{"completion": "x"}])
    assert "row 1 has no problem" in fault("grade", rows, "--recipe", recipe)


def test_the_shipped_recipe_of_a_judge_loads():
    from pathlib import Path

    from limo.core.recipe import load
    from limo.stages.grade import Recipe as GradeRecipe

    recipe = load(GradeRecipe, Path(__file__).parents[2] / "src" / "limo" / "recipes" / "judge.yaml", ["judge.n=2"])
    assert recipe.scorer == "judge" and recipe.judge is not None and recipe.judge.n == 2


@pytest.mark.parametrize(
    ("grade", "what"),
    [
        ({"score": 0.5, "level": 3}, "the grade of row 1 cannot be used: 'score 0.5, level 3'"),
        ({"score": None, "level": "L3"}, "the grade of row 1 cannot be used: 'score None, level L3'"),
        ({"score": True, "level": "L3"}, "the grade of row 1 cannot be used: 'score True, level L3'"),
        ({}, "row 1 has no grade"),
    ],
)
def test_a_grade_that_is_there_and_cannot_be_used_is_not_told_as_a_missing_one(fault, tmp_path, grade, what):
    row = {"problem": "1 + 1?", "answer": "2", "completion": "It is 2.", **grade}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    assert what in fault("select", tmp_path / "rows.jsonl", "k=1", "-o", tmp_path / "out.jsonl")
