"""Elicited, taught, lost: what a training did with what its base could reach."""

import json

import pytest

from limo.core.errors import InputError, MissingFileError
from limo.stages.reach import reach, read_counts, run

BASE = {"a": (3, 64), "b": (0, 64), "c": (60, 64), "d": (0, 64), "e": (64, 64)}
BEFORE = {"a": 0.0, "b": 0.0, "c": 1.0, "d": 0.0, "e": 1.0}
AFTER = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0, "e": 1.0}


def test_each_problem_is_elicited_taught_lost_or_none_of_these():
    found = reach(BASE, BEFORE, AFTER)
    assert found.problems == {"elicited": ["a"], "taught": ["b"], "lost": ["c"]}
    assert (found.k, found.n_problems, found.n_left_out) == (64, 5, 0)
    for interval in (found.elicited, found.taught, found.lost):
        assert interval.low < interval.value == 0.2 < interval.high
    assert found.within.value == 0.6 and "elicited 20.0%" in found.sentence


def test_a_smaller_reach_makes_taught_of_elicited():
    assert reach(BASE, BEFORE, AFTER, k=2).problems["taught"] == ["a", "b"]  # 3 of 64: pass@2 is 9%
    assert reach(BASE, BEFORE, AFTER, k=64).problems["taught"] == ["b"]


def test_problems_with_too_few_rollouts_or_without_a_score_are_left_out_and_counted():
    found = reach(BASE | {"b": (0, 10)}, {name: rate for name, rate in BEFORE.items() if name != "e"}, AFTER)
    assert (found.n_problems, found.n_left_out) == (3, 2)
    with pytest.raises(InputError, match="no problem has a reach"):
        reach({}, BEFORE, AFTER)


def test_it_is_read_from_the_runs_of_evaluate(tmp_path):
    for name, rates in (("base", BEFORE), ("limo", AFTER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps({name: [{"seed": 0, "outcomes": {"m": rates}}]}))
    stored = {
        "score": {"benchmark": "m"},
        "n_correct_by_problem": {name: c for name, (c, _) in BASE.items()},
        "n_decided_by_problem": {name: n for name, (_, n) in BASE.items()},
    }
    (tmp_path / "sampled").mkdir()
    (tmp_path / "sampled" / "evaluations.json").write_text(json.dumps({"evaluations": [stored]}))
    runs = [tmp_path / "base", tmp_path / "limo"]
    assert run(runs, tmp_path / "sampled", "limo", "base").problems["lost"] == ["m/c"]
    with pytest.raises(MissingFileError, match="no evaluations"):
        read_counts(tmp_path / "base")
    (tmp_path / "sampled" / "evaluations.json").write_text("[1]")
    with pytest.raises(InputError, match="does not hold evaluations"):
        read_counts(tmp_path / "sampled")
