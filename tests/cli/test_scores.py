"""The command scores: what others measured goes into a comparison."""

import json

import pytest

STATEMENTS = [f"What is {i} plus 1?" for i in range(12)]


def test_scores_made_elsewhere_are_compared_with_each_other(limo, fault, tmp_path):
    problems = [{"problem": text, "answer": str(i + 1)} for i, text in enumerate(STATEMENTS)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems))
    for model, n_right in (("weak", 1), ("strong", 12)):
        rows = [{"question": text, "correct": i < n_right} for i, text in enumerate(STATEMENTS)]
        (tmp_path / f"{model}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        options = (
            "--model",
            model,
            "--benchmark",
            "sums",
            "--path",
            tmp_path / "sums.jsonl",
            "--run",
            tmp_path / "run",
        )
        code, out, err = limo("scores", "import", tmp_path / f"{model}.jsonl", *options)
        assert code == 0 and f"{model} on sums: {n_right / 12:.1%} over 12 problems" in out, err
    code, out, _ = limo("compare", tmp_path / "run")
    assert code == 0 and "strong is 91.7 points above weak" in out
    assert "no such scores" in fault("scores", "import", tmp_path / "none.jsonl", *options)


@pytest.mark.parametrize("more", [["--metric", "acc"], ["--seed", "-1"], ["AGAIN"]])
def test_an_argument_that_would_be_ignored_or_counted_twice_is_refused(limo, tmp_path, more):
    call = imported(tmp_path)
    more = [str(tmp_path / "." / "rows.jsonl") if one == "AGAIN" else one for one in more]
    code, _, err = limo(*call, *more, "--run", tmp_path / "run")
    assert code == 2 and not (tmp_path / "run").exists(), err


def imported(folder):
    """The call that imports one row."""
    (folder / "rows.jsonl").write_text('{"problem": "What is 1 plus 1 now?", "correct": true}\n')
    (folder / "sums.jsonl").write_text('{"problem": "What is 1 plus 1 now?", "answer": "2"}\n')
    names = ["--model", "m", "--benchmark", "sums", "--path", folder / "sums.jsonl"]
    return ["scores", "import", folder / "rows.jsonl", *names]
