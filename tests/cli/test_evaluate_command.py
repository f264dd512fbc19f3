"""The command evaluate on recordings, a judge's among them: the plan, the scores, and what a new verifier changes."""

import json

from limo.core import prompts
from limo.core.records import Verdict
from limo.ledger.store import Ledger

WORDS = "a proof by induction over the number of red balls"
PROBLEMS = [("What is moved?", WORDS, "So it is \\boxed{induction}."), ("What is 1 plus 1?", "2", "It is \\boxed{2}.")]


def test_a_plan_then_scores_with_the_judge_beside_them_then_verdicts_anew(limo, tmp_path):
    rows = [{"problem": text, "answer": answer} for text, answer, _ in PROBLEMS]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[1]]))
    recorded = [{"problem": text, "model": "m", "index": 0, "text": reply} for text, _, reply in PROBLEMS]
    asked = prompts.same_answer(PROBLEMS[0][0], WORDS, "induction", PROBLEMS[0][2])
    recorded.append({"problem": asked, "model": "j", "index": 0, "text": "Another thing.\nINCORRECT"})
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in recorded))
    models = {name: {"kind": "replay", "name": name, "files": ["said.jsonl"]} for name in "mj"}
    recipe = {"data": str(tmp_path), "model": models["m"], "benchmarks": {"mine": "mine.jsonl"}, "decoding": {}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe | {"judge": {"models": [models["j"]]}}))
    command = ("evaluate", tmp_path / "recipe.yaml", "--run", tmp_path / "run", "--workers", 1)

    code, out, err = limo(*command, "--dry-run")
    assert code == 0 and "What is moved?" in out and "3 rows are 2 problems" in out, err
    assert not (tmp_path / "run").exists(), "a plan makes no run"
    least = next(line for line in out.splitlines() if "smallest detectable difference, expected: " in line)

    code, out, err = limo(*command)
    assert least.removeprefix("mine: ") in out, "the dry run and the evaluation say one figure"
    assert code == 0 and "judge on mine: 1 read, 1 undecided ones settled, 0 rules overruled" in out, err
    row = next(line.split() for line in out.splitlines() if line.startswith("mine "))
    assert row[1] == "50.0%" and "3 rows are 2 problems" in out

    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        right = next(r for r in ledger.rollouts("m") if "{2}" in r.completion.text)
        ledger.set_verdicts([(right.key, Verdict("wrong", answer="2", verifier="an older one"))])
    code, out, err = limo("verify", tmp_path / "run", "--ledger", "-o", tmp_path / "changed.jsonl", "--workers", 1)
    assert code == 0 and "changed: wrong -> correct" in out and "the same `limo evaluate` makes them anew" in out, err
    (changed,) = map(json.loads, (tmp_path / "changed.jsonl").read_text().splitlines())
    assert (changed["before"], changed["now"], changed["extracted"]) == ("wrong", "correct", "2")


def test_missing_replies_end_with_a_score_its_bounds_and_exit_3(limo, tmp_path):
    rows = [{"problem": f"What is {k} plus {k}?", "answer": str(2 * k)} for k in range(4)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [
        {"problem": row["problem"], "model": "m", "index": 0, "text": f"\\boxed{{{row['answer']}}}"} for row in rows
    ]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said[:3]))
    recipe = {"data": str(tmp_path), "model": {"kind": "replay", "name": "m", "files": ["said.jsonl"]}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe | {"benchmarks": {"none": ""}, "decoding": {}}))
    command = ("evaluate", tmp_path / "recipe.yaml", "--benchmark", f"mine={tmp_path / 'mine.jsonl'}")
    code, out, err = limo(*command, "--run", tmp_path / "run", "--workers", 1)
    assert code == 3
    assert "mine: 1 of 4 replies are missing; 75.0% to 100.0% if they were wrong or right" in out
    assert "mine lacks 1 replies, whose requests fail: 'the problem was not recorded'" in err
    assert "100.0%" in next(line for line in out.splitlines() if line.startswith("mine "))
    assert "--workers 1 --retry-errors" in err, "recordings are read again only on demand"
    assert "exceeded" not in err
    err = limo(*command, "budget.hours=1e-9", "--run", tmp_path / "run", "--workers", 1)[2]
    assert "warning: the budget is exceeded: " in err and "of 0.00 hours" in err


def test_a_benchmark_of_which_no_recording_is_there_is_requested_again_on_demand(limo, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"problem": "What is 1 plus 1?", "answer": "2"}\n')
    (tmp_path / "said.jsonl").write_text('{"problem": "Else?", "model": "m", "index": 0, "text": "2"}\n')
    recipe = {"data": str(tmp_path), "model": {"kind": "replay", "name": "m", "files": ["said.jsonl"]}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe | {"benchmarks": {"mine": "mine.jsonl"}, "decoding": {}}))
    code, _, err = limo("evaluate", tmp_path / "recipe.yaml", "--run", tmp_path / "run", "--workers", 1)
    assert code == 3 and "was not recorded" in err and err.rstrip().endswith("--retry-errors"), err
