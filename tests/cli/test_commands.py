import json
import os
import re
import shlex
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from limo.core.records import LEVELS
from limo.curate.scorers.keywords import TRAITS


def events(out):
    return [json.loads(line) for line in out.splitlines()]


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_help_answers_without_loading_what_commands_need(tmp_path):
    code = (
        "import sys\nfrom limo.cli import root\n"
        "root.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'pyarrow', 'pydantic', 'rich', 'yaml', 'sympy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "curate" in done.stdout


def test_the_summary_of_a_curation_says_what_is_like_a_benchmark_problem_and_stays(limo, world):
    first = rows(world / "pool.jsonl")[0]
    like = first | {"problem": re.sub(r"\d+", lambda number: str(int(number[0]) + 1), first["problem"])}
    (world / "like.jsonl").write_text(json.dumps(like) + "\n")
    more = ("decontaminate.renumbered=report", "decontaminate.same_numbers=report", "decontaminate.min_tokens=1")
    options = ("--benchmark", f"like={world / 'like.jsonl'}", "--run", world / "run", "--workers", 1)
    code, out, err = limo("curate", world / "recipe.yaml", *more, *options)
    assert code == 0, err
    assert re.search(r"like a benchmark problem, and kept by the recipe \(decontaminate: report\): \d+ problems", out)


def test_a_curation_goes_from_pool_to_dataset_and_the_second_start_does_nothing(limo, world):
    run = world / "run"
    code, out, err = limo("curate", world / "recipe.yaml", "--run", run, "--workers", 1)
    assert code == 0, err
    assert "strong_filter" in out and f"in {run / 'selected'}" in out
    code, out, _ = limo("curate", world / "recipe.yaml", "--run", run, "--workers", 1, "--json")
    result = events(out)[-1]
    assert (code, result["event"], result["did_nothing"], result["n_selected"]) == (0, "result", True, 5)
    assert result["funnel"][0]["stage"] == "ingest"
    for row in result["funnel"]:
        assert row["n_in"] == row["n_kept"] + sum(row["n_by_reason"].values())
    code, out, err = limo("export", run, "-o", world / "set.jsonl")
    assert code == 0, err
    assert [message["role"] for message in rows(world / "set.jsonl")[0]["messages"]] == ["system", "user", "assistant"]
    code, out, err = limo("export", run, "--to", "hf", "--evidence", "-o", world / "hub")
    assert code == 0, err
    names = {str(path.relative_to(world / "hub")) for path in (world / "hub").rglob("*.*")}
    assert names == {f"{name}/train.parquet" for name in ("data", "pass_rates", "dropped")} | {"README.md"}
    code, _, err = limo("export", run, "--to", "openai", "--evidence", "-o", world / "no.jsonl")
    assert code == 2 and "--to hf" in err and not (world / "no.jsonl").exists()


def test_strata_are_drawn_by_what_is_stated_or_by_the_pass_rates_of_a_run(limo, fault, world):
    pool, run = world / "stated.jsonl", world / "run"
    stated = [row | {"level": 1 + place % 5} for place, row in enumerate(rows(world / "pool.jsonl"))]
    pool.write_text("".join(json.dumps(row) + "\n" for row in [*stated, {"problem": "What is 1+1?", "answer": "2"}]))
    code, out, err = limo("pool", "strata", pool, "by=stated", "n=2", "-o", world / "strata")
    assert code == 0, err
    names = ("simple", "complex", "advanced")
    drawn = {name: pq.read_table(world / f"strata/{name}.parquet").num_rows for name in names}
    assert drawn == {"simple": 2, "complex": 2, "advanced": 2} and "1 of 11 problems are in no stratum" in out
    assert limo("curate", world / "recipe.yaml", "--run", run, "--workers", 1)[0] == 0
    by = ("pool", "strata", pool, "by=pass_rate", "-o", world / "strata")
    told = fault(*by, "--run", run, "--model", "nobody")
    model = told.split("allowed: ")[1].split(",")[0].split(")")[0]
    code, out, err = limo(*by, "--run", run, "--model", model, "--json")
    assert code == 0, err
    found = events(out)[-1]
    assert sum(found["n_by_stratum"].values()) + found["n_unknown"] == 11
    for name, n in found["n_by_stratum"].items():
        assert (world / f"strata/{name.lower()}.parquet").is_file() == (n > 0)
    assert "does nothing without --model" in fault(*by, "--run", run)
    assert "do not fit: by pass rate `cuts` fall" in fault(*by, "cuts=[3, 5]", "--run", run, "--model", model)


def test_a_dry_run_says_what_would_be_asked_and_leaves_nothing_behind(limo, world):
    run = world / "run"
    code, out, err = limo("curate", world / "recipe.yaml", "--run", run, "--dry-run")
    assert code == 0 and not run.exists()
    assert "ingest -> dedup -> decontaminate -> weak_filter -> strong_filter -> chains" in err
    assert "weak_filter" in out and "strong_filter" in out and "GPU-hours" in out
    steps = json.loads(limo("curate", world / "recipe.yaml", "--run", run, "--dry-run", "--json")[1].splitlines()[-1])
    assert [one["step"] for one in steps["steps"]][:2] == ["weak_filter", "strong_filter"]
    assert steps["steps"][0]["n_most"] == 10


def test_a_late_setting_is_changed_in_the_same_run(limo, world):
    recipe, run = world / "recipe.yaml", world / "run"
    assert limo("curate", recipe, "--run", run, "--workers", 1)[0] == 0
    code, out, err = limo("curate", recipe, "select.k=2", "--run", run, "--workers", 1)
    assert code == 0 and "2 in " in out
    changed = "the recipe has changed in select.k: made anew from select on; replaced, and not kept: select, export, "
    assert f"{changed}funnel.json; another --run keeps both" in err
    err = limo("curate", recipe, "select.k=1", "--run", run, "--workers", 1, "--lang", "zh")[2]
    assert "配方的 select.k 有改动：从“挑选”起重做；已被替换、不再保留：" in err


def test_a_pool_is_read_deduplicated_and_decontaminated_by_files(limo, world):
    problems = rows(world / "pool.jsonl")
    with open(world / "pool.jsonl", "a") as file:
        file.write(json.dumps(problems[0]) + "\n" + json.dumps({"problem": "No answer?", "answer": ""}) + "\n")
    (world / "own.jsonl").write_text(json.dumps(problems[1]) + "\n")
    options = ("--dropped", world / "dropped.jsonl", "--json")
    code, out, err = limo("pool", "ingest", world / "pool.jsonl", "-o", world / "a.parquet", *options)
    assert code == 0, err
    assert (events(out)[-1]["n_kept"], events(out)[-1]["n_dropped"]) == (11, 1)
    assert len(rows(world / "dropped.jsonl")) == 1
    code, out, _ = limo(
        "pool", "dedup", world / "a.parquet", "reworded_similarity=1", "-o", world / "b.parquet", *options
    )
    assert (code, events(out)[-1]["n_kept"]) == (0, 10)
    where = ("--benchmark", "own", "--benchmarks", world / "own.jsonl")
    code, out, err = limo(
        "pool", "decontaminate", world / "b.parquet", "renumbered=report", "same_numbers=report", *where, "-o",
        world / "c.parquet", *options,
    )  # fmt: skip
    assert code == 0, err
    assert events(out)[-1]["n_by_reason"] == {"in a benchmark": 1}


def test_where_every_chain_lacks_a_box_the_command_that_goes_on_is_printed_and_works(limo, world):
    said = [
        row | {"text": row["text"].replace("\\boxed{", "So the answer is ").replace("}", ".")}
        for row in rows(world / "said.jsonl")
    ]
    (world / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    code, _, err = limo("curate", world / "recipe.yaml", "--run", world / "run", "--workers", 1)
    assert code == 2 and "none is paid again: limo curate" in err
    command = shlex.split(err.strip().splitlines()[-1].partition("paid again: ")[2])
    code, out, err = limo(*command[1:], "--workers", 1)
    assert code == 0 and "selected" in out, err


def test_a_file_of_a_benchmark_without_its_name_is_told_how_to_name_it(limo, world):
    code, _, err = limo(
        "pool", "decontaminate", world / "pool.jsonl", "--benchmarks", world / "held_out.jsonl", "--check"
    )
    assert code == 2 and f"--benchmark NAME={world / 'held_out.jsonl'}" in err


@pytest.mark.parametrize(("decision", "is_said"), [("report", True), ("drop", False)])
def test_what_is_only_reported_is_said_to_stay_in_the_pool(limo, tmp_path, decision, is_said):
    text = (
        "A warm lake holds {} grey geese and twice as many white swans, and a third of all of them fly away at dawn on"
    )
    text += " a cold day in the spring: how many birds of both kinds are then left on the lake?"
    for name, number in (("pool", 12), ("own", 45)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"problem": text.format(number), "answer": "7"}) + "\n")
    with open(tmp_path / "pool.jsonl", "a") as file:
        file.write(json.dumps({"problem": "What is 7 plus 8?", "answer": "15"}) + "\n")
    assert limo("pool", "ingest", tmp_path / "pool.jsonl", "-o", tmp_path / "a.parquet")[0] == 0
    where = ("--benchmark", f"own={tmp_path / 'own.jsonl'}", "-o", tmp_path / "b.parquet")
    code, out, err = limo("pool", "decontaminate", tmp_path / "a.parquet", f"renumbered={decision}", *where)
    assert code == 0, err
    assert ("report: alike, but by the recipe not the same problem, so they stay in the pool" in out) is is_said


def test_a_pool_goes_the_same_road_in_parts(limo, world):
    problems = rows(world / "pool.jsonl")
    with open(world / "pool.jsonl", "a") as file:
        file.write(json.dumps(problems[0]) + "\n{broken\n")
    (world / "own.jsonl").write_text(json.dumps(problems[1]) + "\n")
    options = ("--dropped", world / "dropped.jsonl", "--json")
    code, out, err = limo("pool", "ingest", world / "pool.jsonl", "-o", world / "a", *options)
    assert (code, events(out)[-1]["n_by_reason"]) == (0, {"malformed row": 1}), err
    assert rows(world / "dropped.jsonl")[0]["detail"]["line"] == len(problems) + 2
    code, out, err = limo("pool", "dedup", world / "a", "reworded_similarity=1", "-o", world / "b", *options)
    assert (code, events(out)[-1]["n_kept"]) == (0, len(problems)), err
    where = ("--benchmark", "own", "--benchmarks", world / "own.jsonl", "--evidence", world / "evidence.parquet")
    report = ("renumbered=report", "same_numbers=report")
    code, out, err = limo("pool", "decontaminate", world / "b", *report, *where, "-o", world / "c", *options)
    assert (code, events(out)[-1]["n_by_reason"]) == (0, {"in a benchmark": 1}), err
    table = pq.read_table(world / "evidence.parquet").to_pylist()
    hits = {row["problem"] for row in table if row["decision"] == "drop"}
    assert hits == {problems[1]["problem"]}


def test_equal_problems_with_other_answers_are_a_table_of_their_own(limo, tmp_path):
    pool = [("What is 7 plus 8?", "15", "a"), ("Question: What is  7 plus 8?", "16", "b"), ("What is 3-1?", "2", "a")]
    (tmp_path / "raw.jsonl").write_text(
        "".join(json.dumps({"problem": text, "answer": key, "source": name}) + "\n" for text, key, name in pool)
    )
    assert limo("pool", "ingest", tmp_path / "raw.jsonl", "-o", tmp_path / "pool")[0] == 0
    for output, table in ((tmp_path / "one.jsonl", tmp_path / "c.jsonl"), (tmp_path / "out", None)):
        asked = ("--conflicts", table) if table else ()
        code, out, err = limo("pool", "dedup", tmp_path / "pool", "prefer=[b]", "-o", output, *asked, "--json")
        assert (code, events(out)[-1]["n_conflicts"]) == (0, 1), err
        (row,) = rows(table or output / "conflicts.jsonl")
        assert (row["answer"], row["kept_answer"], row["kept_source"]) == ("15", "16", "b")
        assert row["problem"] == pool[0][0]


def test_columns_and_benchmarks_of_one_s_own_are_named_on_the_command_line(limo, tmp_path):
    (tmp_path / "own.jsonl").write_text(
        "".join(json.dumps({"left": f"What is {n}+{n}?", "u": str(2 * n), "v": "1"}) + "\n" for n in range(3))
    )
    code, _, err = limo("pool", "ingest", tmp_path / "own.jsonl", "-o", tmp_path / "pool.parquet")
    assert code == 2 and "--field problem=left" in err and "u ('0'), v ('1')" in err
    fields = ("--field", "problem=left", "--field", "answer=u")
    code, out, err = limo("pool", "ingest", tmp_path / "own.jsonl", *fields, "-o", tmp_path / "pool.parquet", "--json")
    assert (code, events(out)[-1]["n_kept"]) == (0, 3), err
    (tmp_path / "held.jsonl").write_text(json.dumps({"question": "What is 2+2?"}) + "\n")
    where = ("--check", "--benchmark", f"Held={tmp_path / 'held.jsonl'}", "--json")
    code, out, err = limo("pool", "decontaminate", tmp_path / "pool.parquet", *where)
    assert (code, events(out)[-1]["n_contaminated"], events(out)[-1]["benchmarks"]) == (0, 1, ["Held"]), err
    code, _, err = limo(
        "pool", "decontaminate", tmp_path / "pool.parquet", "--check", "--benchmark", "Held=nowhere.jsonl"
    )
    assert code == 2 and "the file of Held is not there" in err
    code, _, err = limo(
        "pool", "decontaminate", tmp_path / "pool.parquet", "--check", "--benchmark", "AIME24", "--benchmark", "AMI"
    )
    assert code == 2 and "no such benchmark" in err  # told before anything is fetched


def test_somebody_else_s_training_set_is_checked_by_one_command(limo, world):
    problem = rows(world / "pool.jsonl")[0]["problem"]
    chat = [{"role": "user", "content": problem}, {"role": "assistant", "content": "It is 4."}]
    (world / "train.jsonl").write_text(json.dumps({"messages": chat}) + "\n" + json.dumps({"question": "Why?"}) + "\n")
    (world / "own.jsonl").write_text(json.dumps({"problem": problem, "answer": "4"}) + "\n")
    where = ("--benchmark", "own", "--benchmarks", world / "own.jsonl")
    code, out, err = limo("pool", "decontaminate", world / "train.jsonl", "--check", *where)
    assert code == 0, err
    assert "1 of 2 problems stand in a benchmark" in out and "drop: same text 1.0 with own row 0" in out
    code, _, err = limo("pool", "decontaminate", world / "train.jsonl", *where)
    assert code == 2 and "--check" in err
    page = world / "contamination.html"
    code, _, err = limo("pool", "decontaminate", world / "train.jsonl", "--check", *where, "--report", page)
    assert code == 0 and "own" in page.read_text() and problem[:20] in page.read_text(), err


def test_a_folder_of_benchmarks_is_taken_as_it_is_and_what_it_lacks_is_said(limo, world):
    problem = rows(world / "pool.jsonl")[0]["problem"]
    (world / "benchmarks").mkdir()
    (world / "benchmarks" / "postcutoff.jsonl").write_text(json.dumps({"problem": problem, "answer": "4"}) + "\n")
    where = ("--benchmarks", world / "benchmarks", "--json")
    code, out, err = limo("pool", "decontaminate", world / "pool.jsonl", "--check", *where)
    said = events(out)[-1]
    assert (code, said["benchmarks"], len(said["missing_benchmarks"])) == (0, ["PostCutoff"], 14), err
    assert said["n_contaminated"] >= 1
    code, _, err = limo("pool", "decontaminate", world / "pool.jsonl", "--check", "--benchmarks", world)
    assert code == 2 and "no benchmark is in the folder" in err


def test_a_benchmark_is_shown_and_fetched_from_a_file(limo, tmp_path):
    file = tmp_path / "aime24.jsonl"
    lines = [json.dumps({"problem": f"What is {max(n, 1)}+1?", "answer": str(max(n, 1) + 1)}) for n in range(30)]
    file.write_text("\n".join(lines))
    code, out, err = limo("benchmarks", "show", "aime24", "--path", tmp_path)
    assert code == 0 and "1=0" in out and "HuggingFaceH4/aime_2024" in out, err
    code, out, err = limo("benchmarks", "fetch", "AIME24", "--path", file, "-o", tmp_path / "pool.parquet", "--json")
    assert (code, events(out)[-1]["n"], events(out)[-1]["n_repeats"]) == (0, 30, 1), err
    assert pq.read_table(tmp_path / "pool.parquet").num_rows == 30
    code, _, err = limo("benchmarks", "show", "AIME42")
    assert code == 2 and "AIME24" in err


def test_rows_are_verified_graded_and_selected_by_files(limo, world):
    given = [
        {"problem": f"p{i % 3}", "answer": "4", "text": f"Check. Perhaps {'so ' * i}\\boxed{{{4 if i else 5}}}"}
        for i in range(6)
    ]
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    code, out, err = limo("verify", world / "rows.jsonl", "-o", world / "verified.jsonl", "--workers", 1)
    assert code == 0, err
    assert [row["outcome"] for row in rows(world / "verified.jsonl")] == ["wrong"] + ["correct"] * 5
    code, out, err = limo("grade", world / "verified.jsonl", "-o", world / "graded.jsonl")
    assert code == 0, err
    graded = rows(world / "graded.jsonl")
    assert set(graded[0]["traits"]) == set(TRAITS)
    assert {row["level"] for row in graded} <= set(LEVELS)
    code, out, err = limo("select", world / "graded.jsonl", "k=2", "-o", world / "best.jsonl", "--json")
    assert code == 0, err
    assert events(out)[-1]["n_by_reason"] == {"another chain of its problem is better": 3, "below the top k": 1}
    best = rows(world / "best.jsonl")
    assert [row["rank"] for row in best] == [1, 2]
    assert best[0]["score"] >= best[1]["score"]


def test_the_checker_is_audited_against_labels(limo, world):
    labelled = [
        {"answer": "4", "pred": "\\boxed{4}", "expected": True},
        {"answer": "4", "pred": "5", "expected": False},
    ]
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    code, out, err = limo("verify", world / "rows.jsonl", "--audit")
    assert code == 0, err
    assert "100.0%" in out


@pytest.fixture
def evaluated(limo, world):
    """Runs of `limo evaluate` for the weak and the strong model."""
    recipe = world / "evaluate.yaml"
    recipe.write_text(
        f"data: {world}\nmodel: {{kind: replay, name: weak, files: [said.jsonl]}}\nbenchmarks: {{ships: pool.jsonl}}\n"
        "decoding: {n: 1}\n"
    )
    for name in ("weak", "strong"):
        code, out, err = limo("evaluate", recipe, f"model.name={name}", "--run", world / name, "--workers", 1)
        assert code == 0, err
        assert "ships" in out and "mean, all" in out
    return world / "weak", world / "strong"


def test_two_evaluated_models_are_compared_problem_by_problem(limo, evaluated):
    code, out, err = limo("compare", *evaluated, "--json")
    assert code == 0, err
    found = events(out)[-1]
    assert (found["arm"], found["against"], found["n_problems"]) == ("strong", "weak", 10)
    assert found["difference"] == pytest.approx(0.8)  # strong's first attempts are all right, weak's first two
    assert "strong is 80.0 points above weak" in limo("compare", *evaluated)[1]
    back = events(limo("compare", *evaluated, "--arm", "weak", "--against", "strong", "--json")[1])[-1]
    assert back["difference"] == pytest.approx(-0.8)


def test_an_evaluation_again_asks_nothing_and_scores_the_same(limo, world, evaluated, monkeypatch):
    from limo.models.replay import ReplayCompleter

    before, asked = (world / "weak" / "scores.json").read_text(), []
    monkeypatch.setattr(ReplayCompleter, "complete", lambda _, requests: asked.extend(requests) or iter(()))
    code, _, err = limo("evaluate", world / "evaluate.yaml", "model.name=weak", "--run", world / "weak", "--workers", 1)
    assert code == 0, err
    assert asked == []
    assert (world / "weak" / "scores.json").read_text() == before


def test_a_page_is_drawn_anew_from_the_runs_report(limo, world):
    from limo.report.content import LocalizedText, Report
    from limo.report.store import save

    save(Report(LocalizedText("Ships", "船")), world / "report.json")
    code, out, err = limo("report", world, "--lang", "zh")
    assert code == 0, err
    assert "船" in out
    assert "Ships" in (world / "report.html").read_text()


def test_the_page_of_a_comparison_leaves_the_page_of_its_first_run_as_it_is(limo, world, evaluated):
    assert limo("report", world / "weak")[0] == 0
    before = (world / "weak" / "report.html").read_text()
    code, out, err = limo("report", world / "weak", world / "strong")
    assert code == 0, err
    assert out.splitlines()[-1] == str(world / "weak" / "comparison-weak-strong.html")
    assert (world / "weak" / "report.html").read_text() == before


def test_the_benchmarks_are_listed_and_looked_for(limo, tmp_path):
    code, out, _ = limo("benchmarks", "list")
    assert code == 0
    assert "MATH500" in out and "AIME24" in out
    code, out, _ = limo("benchmarks", "list", "--path", tmp_path)
    assert code == 0
    assert "MATH500 is not in the folder" in out


def test_the_doctor_says_what_is_here(limo):
    code, out, err = limo("doctor", "--json")
    assert code == 0, err
    found = {one["what"]: one["here"] for one in events(out)[-1]["machine"]}
    assert {"cores", "memory", "disk", "python", "torch", "hub"} <= found.keys()
    assert any(name.startswith("GPU") for name in found)


def test_a_dry_run_of_the_lab_lists_its_stages_and_writes_nothing(limo, tmp_path):
    code, out, _ = limo("lab", "--dry-run", "--run", tmp_path / "lab", "--json")
    expected = json.loads(out.splitlines()[-1])["expected_s"]
    assert code == 0 and next(iter(expected)) == "curation" and list(expected)[-1] == "train and score"
    assert all(seconds > 0 for seconds in expected.values())
    assert not (tmp_path / "lab").exists()


def test_a_missing_file_is_named_before_a_run_or_a_request_begins(fault, world):
    (world / "held_out.jsonl").unlink()
    for words in (["curate", world / "recipe.yaml"], ["curate", world / "recipe.yaml", "--dry-run"]):
        message = fault(*words, "--run", world / "run")
        assert "the benchmark held-out does not exist" in message and "held_out.jsonl" in message
    assert not (world / "run").exists()


def test_experiments_are_listed_with_their_questions_and_planned_without_writing(limo, tmp_path):
    code, out, _ = limo("experiment", "--json")
    assert code == 0
    assert {"headline", "rq1", "rq5", "reinforcement"} <= set(events(out)[-1]["experiments"])
    code, out, err = limo("experiment", "rq5", "--seeds", 5, "--dry-run", "--run", tmp_path / "lab")
    assert (code, "train and score" in out, "k256" in err) == (0, True, True), err
    code, out, _ = limo("lab", "--all", "--dry-run", "--run", tmp_path / "lab", "--json")
    assert code == 0 and "chains terse" in events(out)[-1]["expected_s"]
    assert not (tmp_path / "lab").exists()


def test_an_experiment_that_is_none_is_named_with_those_there_are(limo, tmp_path):
    code, _, err = limo("experiment", "rq9", "--run", tmp_path / "lab")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "no such experiment: 'rq9' (allowed: headline, rq1" in err
