"""Scores made by other tools are read problem by problem."""

import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limo.core.errors import InputError
from limo.core.records import Problem
from limo.stages.score_imports import import_scores, read_scores

PROBLEMS = [Problem.make(f"What is {i} plus 1?", str(i + 1)) for i in range(3)]
STATEMENTS = [problem.problem for problem in PROBLEMS]


def rates(folder, model="m", benchmark="sums"):
    """The imported rates in the order of the problems."""
    outcomes = json.loads((folder / "scores.json").read_text())[model][0]["outcomes"][benchmark]
    return [outcomes.get(problem.id) for problem in PROBLEMS]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sample(i, epoch, value, **rest):
    return {"id": f"p{i}", "epoch": epoch, "input": STATEMENTS[i], "target": str(i + 1),
            "scores": {"match": {"value": value, "answer": "7"}}, **rest}  # fmt: skip


def test_a_log_of_inspect_is_read_with_its_epochs_and_letters(tmp_path):
    chat = [{"role": "system", "content": "hm"}, {"role": "user", "content": [{"type": "text", "text": STATEMENTS[2]}]}]
    samples = [sample(0, 1, "C"), sample(0, 2, "I"), sample(1, 1, "N"), sample(2, 1, 1.0, input=chat)]
    (tmp_path / "log.json").write_text(json.dumps({"version": 2, "eval": {}, "samples": samples}))
    imported = import_scores([tmp_path / "log.json"], "m", "sums", PROBLEMS, tmp_path / "run")
    assert rates(tmp_path / "run") == [0.5, 0.0, 1.0] and imported.mean == 0.5


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, 93])
def test_an_eval_file_is_read_also_where_zipfile_does_not_know_its_compression(tmp_path, method):
    file = tmp_path / "log.eval"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if method != 93 else zipfile.ZIP_STORED) as archive:
        archive.writestr("header.json", "{}")
        for i, value in enumerate("CI"):
            data = json.dumps(sample(i, 1, value)).encode()
            archive.writestr(
                f"samples/p{i}_epoch_1.json", pa.compress(data, "zstd", asbytes=True) if method == 93 else data
            )
    if method == 93:  # the entries as a newer Python writes them
        raw = bytearray(file.read_bytes())
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.startswith("samples/")]
            sizes = {entry.filename: len(json.dumps(sample(i, 1, "CI"[i]))) for i, entry in enumerate(entries)}
        for entry in entries:
            raw[entry.header_offset + 8 : entry.header_offset + 10] = (93).to_bytes(2, "little")
            at = raw.index(entry.filename.encode(), entry.header_offset + 40) - 46
            raw[at + 10 : at + 12] = (93).to_bytes(2, "little")
            raw[at + 24 : at + 28] = sizes[entry.filename].to_bytes(4, "little")
        file.write_bytes(bytes(raw))
    assert [row.value for row in read_scores(file)] == [1.0, 0.0]


def test_samples_of_lm_eval_are_read_by_metric_and_filter(tmp_path):
    rows = [
        {"doc_id": i, "doc": {"problem": STATEMENTS[i]}, "filter": name, "metrics": ["exact_match"], "resps": [["x"]],
         "filtered_resps": ["x"], "exact_match": float(i == 0 or name == "flexible")}
        for i in range(3) for name in ("strict", "flexible")
    ]  # fmt: skip
    file = lines(tmp_path / "samples_math.jsonl", rows)
    with pytest.raises(InputError, match=r"which filter counts is not clear.*strict, flexible.*exact_match,strict"):
        list(read_scores(file))
    import_scores([file], "m", "sums", PROBLEMS, tmp_path / "run", "exact_match,strict")
    assert rates(tmp_path / "run") == [1.0, 0.0, 0.0]
    import_scores([file], "m", "sums", PROBLEMS, tmp_path / "run", ",flexible")
    assert rates(tmp_path / "run") == [1.0, 1.0, 1.0]


def test_details_of_lighteval_are_matched_by_the_statement_inside_their_prompt(tmp_path):
    rows = [
        {"doc": {"query": f"Solve the following.\n\n  {text}\nAnswer:", "choices": [""]},
         "metric": {"pass@k:k=1": i / 2}, "model_response": {"text": ["x"]}}
        for i, text in enumerate(STATEMENTS)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "details_math.parquet")
    import_scores([tmp_path / "details_math.parquet"], "m", "sums", PROBLEMS, tmp_path / "run")
    assert rates(tmp_path / "run") == [0.0, 0.5, 1.0]


def review(text, value, main=None):
    chat = [{"role": "system", "content": "hm"}, {"role": "user", "content": f"{text}\nAnswer in a box."}]
    return {"index": 0, "messages": chat, "sample_score": {"score": {"value": value, "main_score_name": main}}}


def test_reviews_of_evalscope_give_their_main_score_and_what_could_not_be_scored_has_none(tmp_path):
    values = [{"acc": 1.0, "f1": 0.2}, {}, {"f1": 0.5, "acc": 0.0}]
    rows = [review(text, value, "acc") for text, value in zip(STATEMENTS, values, strict=True)]
    imported = import_scores([lines(tmp_path / "rows.jsonl", rows)], "m", "sums", PROBLEMS, tmp_path / "run")
    assert rates(tmp_path / "run") == [1.0, None, 0.0] and imported.n_without_value == 1
    import_scores([tmp_path / "rows.jsonl"], "m", "sums", PROBLEMS, tmp_path / "run", "f1")
    assert rates(tmp_path / "run") == [0.2, None, 0.5]
    lines(tmp_path / "rows.jsonl", [review(STATEMENTS[0], {})])
    with pytest.raises(InputError, match="no row has a value"):
        import_scores([tmp_path / "rows.jsonl"], "m", "sums", PROBLEMS, tmp_path / "run")


def test_rows_of_our_own_are_read_and_what_is_undecided_or_of_another_problem_is_counted(tmp_path):
    outcomes = ("correct", "truncated", "undecided", "correct")
    rows = [{"problem": p, "outcome": o} for p, o in zip([*STATEMENTS, "What else?"], outcomes, strict=True)]
    imported = import_scores([lines(tmp_path / "rows.jsonl", rows)], "m", "sums", PROBLEMS, tmp_path / "run")
    assert rates(tmp_path / "run") == [1.0, 0.0, None]
    assert (imported.n_rows, imported.n_unmatched, imported.n_without_value, imported.n_problems) == (4, 1, 1, 2)


def test_rows_of_limo_s_own_code_count_each_sample_and_not_whether_any_is_right(tmp_path):
    rows = [{"question": text, "generated_responses": ["x"] * 4, "is_correct": True,
             "answers_correctness": [True, False, False, i > 0]} for i, text in enumerate(STATEMENTS)]  # fmt: skip
    import_scores([lines(tmp_path / "rows.jsonl", rows)], "m", "sums", PROBLEMS, tmp_path / "run")
    assert rates(tmp_path / "run") == [0.25, 0.5, 0.5]


def test_models_seeds_and_benchmarks_are_kept_side_by_side(tmp_path):
    file = lines(tmp_path / "rows.jsonl", [{"question": text, "correct": True} for text in STATEMENTS])
    for model, benchmark, seed in (("a", "sums", 0), ("b", "sums", 0), ("a", "more", 0), ("a", "sums", 1)):
        import_scores([file], model, benchmark, PROBLEMS, tmp_path / "run", seed=seed)
    stored = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {model: [(m["seed"], list(m["outcomes"])) for m in rows] for model, rows in stored.items()} == {
        "a": [(0, ["sums", "more"]), (1, ["sums"])], "b": [(0, ["sums"])],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("x.eval", "no zip", "not a zip file"),
        ("x.json", "{", "scores cannot be read"),
        ("x.jsonl", '{"a": 1}\n', "no scored rollout"),
        ("x.jsonl", '{"problem": "Which?", "correct": true}\n', "no row is of sums"),
        ("x.json", '{"eval": {}, "samples": [{"scores": {"a": {"value": 1}, "b": {"value": 0}}}]}', "scorer"),
    ],
)
def test_a_file_that_holds_no_scores_is_bad_input(tmp_path, name, text, fault):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=fault):
        import_scores([tmp_path / name], "m", "sums", PROBLEMS, tmp_path / "run")


def test_the_folder_of_a_run_is_left_as_it_is(tmp_path):
    (tmp_path / "recipe.yaml").write_text("stage: evaluate\n")
    (tmp_path / "scores.json").write_text("{}")
    rows = lines(tmp_path / "rows.jsonl", [{"problem": STATEMENTS[0], "correct": True}])
    with pytest.raises(InputError, match="the folder holds a run of limo"):
        import_scores([rows], "m", "sums", PROBLEMS, tmp_path)
    assert (tmp_path / "scores.json").read_text() == "{}"


def test_a_metric_of_rows_that_have_none_is_refused(tmp_path):
    rows = lines(tmp_path / "rows.jsonl", [{"problem": STATEMENTS[0], "correct": True}])
    with pytest.raises(InputError, match="no metric has a name"):
        import_scores([rows], "m", "sums", PROBLEMS, tmp_path / "run", metric="acc")
