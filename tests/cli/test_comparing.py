"""compare on the command line: the matrix, a baseline, the self-test, and what training did with a base's reach."""

import json

import pytest


@pytest.fixture
def scored(tmp_path):
    """Three runs of 40 problems: base solves 10, limo 30 of them, twin as limo but for one."""
    for name, solved in (("base", range(10)), ("limo", range(30)), ("twin", range(29))):
        (tmp_path / name).mkdir()
        rates = {f"p{i}": float(i in solved) for i in range(40)}
        stored = {name: [{"arm": name, "seed": 0, "outcomes": {"sums": rates}}]}
        (tmp_path / name / "scores.json").write_text(json.dumps(stored))
    return tmp_path


def test_three_runs_are_a_matrix_and_a_baseline_leaves_its_column(limo, scored):
    code, out, err = limo("compare", scored / "base", scored / "limo", scored / "twin")
    assert code == 0, err
    assert "+50.0*" in out and "−2.5 " in out and "(3) − (2)" in out
    needed = int(out.split("(3) − (2)")[1].split("\n")[0].split()[-1].replace(",", ""))
    assert needed > 400
    code, out, _ = limo(
        "compare", *(scored / name for name in ("base", "limo", "twin")), "--baseline", "limo", "--json"
    )
    found = json.loads(out.splitlines()[-1])["comparisons"]
    assert code == 0 and [(one["arm"], one["against"], one["separable"]) for one in found] == [
        ("base", "limo", True),
        ("twin", "limo", False),
    ]


def test_two_runs_say_what_they_could_have_shown(limo, scored):
    code, out, _ = limo("compare", scored / "limo", scored / "twin")
    assert code == 0 and "not separable" in out and "problems like these" in out and "needs about" in out


def test_a_model_that_is_called_by_its_folder_is_shown_by_the_last_part(limo, scored):
    for name in ("base", "limo", "twin"):
        file = scored / name / "scores.json"
        file.write_text(file.read_text().replace(f'{{"{name}": ', f'{{"/home/x/models/{name}": '))
    found = limo("compare", scored / "base", scored / "limo")[1]
    matrix = limo("compare", scored / "base", scored / "limo", scored / "twin")[1]
    assert "limo is 50.0 points above base" in found and "(1) base" in matrix and "/home/x" not in found + matrix
    stored = json.loads(limo("compare", scored / "base", scored / "limo", "--json")[1].splitlines()[-1])
    assert (stored["arm"], stored["against"]) == ("/home/x/models/limo", "/home/x/models/base"), "the whole stays there"


def test_the_self_test_counts_alarms(limo, scored):
    code, out, _ = limo("compare", scored / "base", scored / "limo", "--self-test")
    assert code == 0 and "called separable" in out and "400" in out


def test_the_reach_of_the_base_parts_elicited_from_taught(limo, scored):
    (scored / "sampled").mkdir()
    one = {"score": {"benchmark": "sums"}, "n_decided_by_problem": {f"p{i}": 64 for i in range(40)}}
    one["n_correct_by_problem"] = {f"p{i}": 2 if i < 20 else 0 for i in range(40)}
    (scored / "sampled" / "evaluations.json").write_text(json.dumps({"evaluations": [one]}))
    code, out, err = limo("compare", scored / "base", scored / "limo", "--reach", scored / "sampled")
    assert code == 0, err
    assert "elicited 25.0%" in out and "taught 25.0%" in out and "lost 0.0%" in out


def test_a_baseline_that_is_none_and_a_training_without_checkpoints_are_told(fault, scored):
    assert "no such arm" in fault("compare", scored / "base", scored / "limo", "--baseline", "z")
    model = "model={kind: local, name: m, path: nowhere}"
    told = fault("evaluate", "evaluate", model, "--checkpoints", scored / "base", "--run", scored / "curve")
    assert "keep_checkpoints" in told


@pytest.mark.parametrize("stored", [{}, {"base": []}, {"base": [{"seed": 0, "outcomes": {}}]}])
def test_scores_of_nothing_are_told_by_the_name_of_their_file(fault, scored, stored):
    (scored / "base" / "scores.json").write_text(json.dumps(stored))
    told = fault("compare", scored / "base", scored / "limo")
    assert str(scored / "base" / "scores.json") in told and "no model that was measured" in told


@pytest.mark.parametrize(("n", "is_told"), [(21, True), (20, False)])
def test_a_run_that_was_mostly_cut_off_says_so_beside_the_comparison(limo, scored, n, is_told):
    one = {"score": {"benchmark": "sums", "n_rollouts": 40}, "n_by_outcome": {"truncated": n}}
    (scored / "base" / "evaluations.json").write_text(json.dumps({"evaluations": [one]}))
    code, out, err = limo("compare", scored / "base", scored / "limo")
    told = f"sums: {n} of 40 rollouts are cut off before an answer: raise decoding.max_tokens"
    assert code == 0 and (told in out + err) is is_told, err
