import errno
import json
import os

import pytest

from limo.core import files


def test_an_unknown_field_of_a_recipe_names_the_nearest_and_the_line(fault, world):
    recipe = world / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("teacher: true", "teachr: true"))
    told = fault("curate", recipe, "--run", world / "run")
    assert "filters.1.teachr (line " in told and "did you mean 'teacher'?" in told
    assert not (world / "run").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("curate", "none.yaml"),
        ("lab", "none.yaml"),
        ("train", "none.yaml"),
        ("evaluate", "none.yaml"),
        ("verify", "none.jsonl"),
        ("pool", "ingest", "none.jsonl", "-o", "a.parquet"),
        ("pool", "dedup", "none.jsonl", "-o", "a.parquet"),
        ("grade", "none.jsonl", "-o", "a.jsonl"),
        ("select", "none.jsonl", "-o", "a.jsonl"),
        ("export", "none", "-o", "a.jsonl"),
        ("report", "none"),
        ("compare", "none"),
        ("pocket", "pretrain", "none"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_what_is_not_there_is_named(fault, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert "none" in fault(*arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("named", ["pool.jsonl", "said.jsonl", "held_out.jsonl"])
def test_a_file_that_a_recipe_names_and_that_is_not_there_is_named(fault, world, named):
    (world / named).unlink()
    assert named in fault("curate", world / "recipe.yaml", "--run", world / "run", "--workers", 1)


@pytest.mark.parametrize("text", ["", "\n\n", '{"problem": "", "answer": ""}\n', "no json\n"])
def test_an_empty_pool_is_told_and_nothing_is_written_over(fault, world, text):
    (world / "pool.jsonl").write_text(text)
    (world / "a.parquet").write_text("mine")
    told = fault("pool", "ingest", world / "pool.jsonl", "-o", world / "a.parquet")
    assert "pool.jsonl" in told or "no problem is left" in told
    assert (world / "a.parquet").read_text() == "mine"
    fault("curate", world / "recipe.yaml", "--run", world / "run")


def test_a_pool_without_a_single_answer_is_told_with_the_reasons(fault, world):
    (world / "pool.jsonl").write_text(json.dumps({"problem": "Prove that it holds.", "answer": ""}) + "\n")
    assert "no answer" in fault("curate", world / "recipe.yaml", "--run", world / "run")


@pytest.fixture
def no_model(world):
    (world / "empty").mkdir()
    (world / "broken").mkdir()
    (world / "broken" / "config.json").write_text("{")
    row = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "\\boxed{2}"}]}
    (world / "set.jsonl").write_text(json.dumps(row) + "\n")
    return world


@pytest.mark.parametrize("folder", ["empty", "broken", "said.jsonl", "nowhere/at/all"])
def test_a_model_folder_that_is_none_is_told_by_every_command_that_takes_one(fault, no_model, folder):
    model = no_model / folder
    (no_model / "train.yaml").write_text(f"model: {model}\ndataset: {no_model / 'set.jsonl'}\n")
    assert str(model) in fault("train", no_model / "train.yaml", "--run", no_model / "trained")
    assert not (no_model / "trained" / "model").exists()
    (no_model / "evaluate.yaml").write_text(
        f"model: {{kind: local, name: m, path: {model}}}\nbenchmarks: {{ships: {no_model / 'pool.jsonl'}}}\n"
    )
    assert str(model) in fault("evaluate", no_model / "evaluate.yaml", "--run", no_model / "scored")
    override = f"filters.0.models=[{{kind: local, name: m, path: '{model}'}}]"
    assert str(model) in fault("curate", no_model / "recipe.yaml", override, "--run", no_model / "run")


def test_a_run_where_no_folder_can_be_made_is_told(fault, world):
    (world / "file").write_text("mine")
    assert "cannot write" in fault("curate", world / "recipe.yaml", "--run", world / "file" / "run")
    assert (world / "file").read_text() == "mine"


def test_a_disk_that_fills_up_on_the_way_loses_nothing_and_the_same_command_goes_on(limo, fault, world, monkeypatch):
    command = ("curate", world / "recipe.yaml", "--run", world / "run", "--workers", 1)
    replace = os.replace

    def full(source, target):
        if "strong_filter" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    assert "No space left on device" in fault(*command)
    monkeypatch.undo()
    done = sorted(path.name for path in (world / "run" / "stages").glob("*.kept.parquet"))
    assert "weak_filter.kept.parquet" in done and "strong_filter.kept.parquet" not in done
    code, out, err = limo(*command)
    assert code == 0, err
    assert "5 in " in out


def test_an_output_on_a_full_disk_leaves_the_old_file(fault, world, monkeypatch):
    (world / "graded.jsonl").write_text("mine")
    (world / "rows.jsonl").write_text(json.dumps({"problem": "p", "text": "\\boxed{4}"}) + "\n")

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(files.os, "replace", full)
    assert "No space left on device" in fault("grade", world / "rows.jsonl", "-o", world / "graded.jsonl")
    assert (world / "graded.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("row", "part"),
    [({"problem": "p"}, "row 2 has no chain"), ({"text": "t", "messages": "x"}, ""), ([1], "line 2 of ")],
)
def test_a_row_that_cannot_be_graded_is_named_by_its_number(limo, fault, world, row, part):
    (world / "rows.jsonl").write_text('{"problem": "p", "text": "t"}\n' + json.dumps(row) + "\n")
    command = ("grade", world / "rows.jsonl", "-o", world / "graded.jsonl")
    if part:
        assert part in fault(*command)
    else:
        assert limo(*command)[0] == 0


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"problem": "p", "text": "t"}, "limo grade"),
        ({"text": "t", "score": 1, "level": "L5"}, "names no problem"),
        *(
            ({"problem": "p", "text": "t", "score": score, "level": "L3"}, f"score {score}, level L3")
            for score in (float("nan"), float("inf"), True, None, "5")
        ),
        ({"problem": "p", "text": "t", "score": 1, "level": 3}, "score 1, level 3"),
    ],
)
def test_a_row_that_cannot_be_selected_is_named_by_its_number(fault, world, row, part):
    (world / "rows.jsonl").write_text(json.dumps(row) + "\n")
    told = fault("select", world / "rows.jsonl", "-o", world / "best.jsonl")
    assert "row 1 " in told and part in told


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": [{"seed": 0}]}'])
def test_scores_that_are_none_are_told(fault, world, text):
    (world / "scores.json").write_text(text)
    assert "scores" in fault("compare", world) or "arms" in fault("compare", world)


def test_the_same_arm_measured_twice_is_told(fault, world):
    for name in ("one", "two"):
        (world / name).mkdir()
        (world / name / "scores.json").write_text(json.dumps({"a": [{"seed": 0, "outcomes": {"b": {"p": 1.0}}}]}))
    assert "two runs measured a with seed 0" in fault("compare", world / "one", world / "two")


def test_an_output_of_an_unknown_kind_is_told_before_work_is_lost(fault, world):
    (world / "rows.jsonl").write_text('{"problem": "p", "text": "t"}\n')
    assert "a name in .jsonl, .jsonl.gz, .parquet" in fault("grade", world / "rows.jsonl", "-o", world / "graded.csv")


def test_an_option_that_is_none_is_followed_by_one_like_it_or_by_none(limo):
    assert "No such option '--ouput'. Did you mean '--output'?" in limo("verify", "rows.jsonl", "--ouput", "x")[2]
    far = limo("grade", "rows.jsonl", "--field", "answer=key")[2]
    assert "No such option '--field'" in far and "Did you mean" not in far, "that both begin with dashes says nothing"


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "curate", "--tokens-per-s", "nan"),
        ("plan", "curate", "--tokens-per-s", "5e-324"),
        ("plan", "curate", "--usd-per-gpu-hour", "inf"),
        ("serve-replay", "said.jsonl", "--latency-ms", "nan"),
        ("verify", "rows.jsonl", "-o", "a.jsonl", "--workers", "99999999"),
    ],
)
def test_a_number_that_is_none_infinite_or_out_of_its_range_is_refused_as_what_it_is(limo, words):
    code, _, told = limo(*words)
    assert code == 2 and words[-2] in told and ("finite" in told or "range" in told)


@pytest.mark.parametrize("command", ["pool ingest pool.jsonl -o a.parquet", "init pool.jsonl -o made"])
def test_a_column_that_is_named_twice_is_refused(fault, world, monkeypatch, command):
    monkeypatch.chdir(world)
    told = fault(*command.split(), "--field", "problem=problem", "--field", "problem=answer")
    assert "given twice" in told and "'problem'" in told
    assert not (world / "a.parquet").exists() and not (world / "made").exists()


@pytest.mark.parametrize("source", ["''", "{path: '', name: mine}"])
def test_an_empty_path_of_a_source_is_not_the_current_folder(fault, world, monkeypatch, source):
    monkeypatch.chdir(world)
    assert "pool.sources" in fault("curate", world / "recipe.yaml", f"pool.sources=[{source}]", "--run", "out")


def test_a_curation_that_gets_no_memory_says_so_and_goes_on_later(limo, world, monkeypatch):
    def refuse(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("limo.stages.curate.grade", refuse)
        code, _, err = limo("curate", world / "recipe.yaml", "--run", world / "run")
    told = [line for line in err.splitlines() if line.startswith("limo: ")]
    assert code == 3 and len(told) == 1 and "not enough memory" in told[0] and "continue with: limo curate" in told[0]
    assert limo("curate", world / "recipe.yaml", "--run", world / "run")[0] == 0
