"""Where several causes have one symptom, the words are of the cause at hand; and one folder has one verdict."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import pytest

from limo.core.records import Completion, Rollout, Verdict
from limo.ledger.store import Ledger
from limo.verify import files

ROW = {"problem": "1 + 1?", "answer": "2", "completion": "It is \\boxed{2}."}


def rows(path, *given):
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return path


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "a.sqlite") as opened:
        opened.define("prompt", "p", "Be brief.")
        opened.define("sampling", "s", "{}")
        opened.define("tokens", "m", "estimated")
        done = Completion("2", "stop", 3, 4, 0.5)
        opened.add([Rollout(f"q{i}", "m", "p", "s", 0, done, Verdict("correct", "2", answer="2")) for i in range(3)])
    return tmp_path / "a.sqlite"


def change(path, *statements):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            db.execute(statement)
        db.commit()


UNSOUND = {
    "no definitions": "DELETE FROM definitions",
    "no prompt": "DELETE FROM definitions WHERE kind = 'prompt'",
    "no JSON": "UPDATE definitions SET content = '{not json' WHERE kind = 'sampling'",
    "no rollout": "DELETE FROM rollouts WHERE problem_id = 'q1'",
    "no problem": "UPDATE rollouts SET problem_id = '' WHERE problem_id = 'q1'",
    "no model": "UPDATE rollouts SET model = '' WHERE problem_id = 'q1'",
    "no time": "UPDATE rollouts SET elapsed_s = -1e999 WHERE problem_id = 'q1'",
    "a time before": "UPDATE rollouts SET elapsed_s = -1.0 WHERE problem_id = 'q1'",
    "no time of a verdict": "UPDATE verdicts SET elapsed_s = 1e999",
    "version 0": "PRAGMA user_version = 0",
    "version -1": "PRAGMA user_version = -1",
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_ledger_that_is_unsound_is_so_for_every_command(fault, limo, ledger, tmp_path, name):
    assert limo("ledger", "show", ledger)[0] == 0
    change(ledger, UNSOUND[name])
    told = [
        fault("ledger", "show", ledger), fault("ledger", "export", ledger, "-o", tmp_path / "out.parquet"),
        fault("ledger", "merge", ledger, "-o", tmp_path / "out.sqlite"),
    ]  # fmt: skip
    assert all("damaged" in one or "which none has" in one for one in told), told
    assert not any("writable" in one for one in told)
    assert not (tmp_path / "out.parquet").exists() and not (tmp_path / "out.sqlite").exists()


def test_a_folder_is_named_as_one_where_a_ledger_is_to_be_written(fault, ledger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    for folder in (".", "run"):
        assert "--output writes a file, and this is a folder" in fault("ledger", "merge", ledger, "-o", folder)


def test_a_value_that_is_null_is_not_a_column_that_lacks(fault, tmp_path):
    graded = {"problem": "1 + 1?", "score": 0.5, "level": "L2"}
    file = rows(tmp_path / "rows.jsonl", ROW, {**ROW, "completion": None})
    assert "row 2 has no text under completion: 'completion: null'" in fault("grade", file, "-o", tmp_path / "g.jsonl")
    file = rows(tmp_path / "rows.jsonl", {**graded, "completion": 3})
    assert "row 1 has no text under completion: 'completion: 3'" in fault("select", file, "-o", tmp_path / "g.jsonl")
    file = rows(tmp_path / "rows.jsonl", {**graded, "completion": "2", "problem": None})
    assert "row 1 has no text under problem: 'problem: null'" in fault("select", file, "-o", tmp_path / "g.jsonl")
    file = rows(tmp_path / "rows.jsonl", {"chain": "2"})
    assert "row 1 has no chain" in fault("grade", file, "-o", tmp_path / "g.jsonl")


@pytest.mark.parametrize("name", ["completion", "answer"])
def test_a_row_that_cannot_be_verified_is_named_by_its_number(fault, tmp_path, name):
    lacking = {key: value for key, value in ROW.items() if key != name}
    file = rows(tmp_path / "rows.jsonl", ROW, ROW, lacking)
    assert f"row 3 has no {name}: " in fault("verify", file, "--workers", "1")
    told = fault("verify", file, "--audit")
    assert "row 3" in told or "expected" in told


TABLES = {
    "gbk.csv": ("题目,答案\n一加一,2\n".encode("gbk"), "the file is not UTF-8"),
    "rows.csv": ("problem,answer\n一加一,2\n".encode("gbk"), "not UTF-8"),
    "semicolons.csv": (b"problem;answer\n1 + 1?;2\n", "parted by semicolons"),
    "tabs.csv": (b"problem\tanswer\n1 + 1?\t2\n", "rename it to .tsv"),
    "commas.tsv": (b"problem,answer\n1 + 1?,2\n", "rename it to .csv"),
    "bars.csv": (b"problem|answer\n1 + 1?|2\n", "save it with commas"),
    "lists.json": (b'{"problem": ["a", "b"], "answer": ["1", "2"]}', "the file holds columns and not rows"),
    "pandas.json": (b'{"problem": {"0": "a"}, "answer": {"0": "1"}}', "the file holds columns and not rows"),
    "null.json": (b"null", "null where a JSON object belongs"),
    "number.json": (b"[1, 2]", "a number where a JSON object belongs"),
    "text.json": (b'["1"]', "a text where a JSON object belongs"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_no_csv_in_utf_8_says_what_it_is(fault, tmp_path, name):
    content, words = TABLES[name]
    (tmp_path / name).write_bytes(content)
    assert words in fault("verify", tmp_path / name)
    if name != "rows.csv":
        assert words in fault("pool", "ingest", tmp_path / name, "-o", tmp_path / "out.jsonl")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder in which nothing can be made")
def test_a_folder_in_which_nothing_can_be_made_has_its_own_remedy(fault, tmp_path):
    told = fault("pool", "ingest", rows(tmp_path / "a.jsonl", ROW), "-o", "/proc/x.jsonl")
    assert "nothing can be made there" in told and "free some space" not in told


def test_a_value_of_the_command_line_that_is_none_or_has_keys_is_told_so(fault, tmp_path):
    file = rows(tmp_path / "a.jsonl", ROW)
    told = fault("grade", file, "scorer=", "-o", tmp_path / "g.jsonl")
    assert "scorer (override) has no value" in told and "None" not in told
    told = fault("select", file, "k.x=1", "-o", tmp_path / "g.jsonl")
    assert "k (override) has no keys, and is given {'x': 1}" in told


def test_an_interrupted_verification_does_not_name_an_output_that_is_none(limo, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_verified_lines", stop)
    file = rows(tmp_path / "a.jsonl", ROW)
    code, _, err = limo("verify", file, "--workers", 1)
    assert code == 3 and "nothing was written" in err and "in the output" not in err
    code, _, err = limo("verify", file, "-o", tmp_path / "out.jsonl", "--workers", 1)
    assert code == 3 and "what is done is in the output" in err


@pytest.mark.parametrize("how", ["gone", "newer", "damaged"])
def test_a_run_without_its_ledger_is_done_for_no_command(fault, limo, world, how):
    run, given = world / "run", ("curate", world / "recipe.yaml", "--run", world / "run", "--workers", 1)
    assert limo(*given)[0] == 0
    file = run / "ledger.sqlite"
    if how == "gone":
        for one in run.glob("ledger.sqlite*"):
            one.unlink()
    elif how == "newer":
        change(file, "PRAGMA user_version = 99")
    else:
        change(file, "UPDATE rollouts SET problem_id = '' WHERE id = 1")
    words = {"gone": "rollouts, and is gone", "newer": "has version 99", "damaged": "is damaged"}[how]
    assert words in fault("status", run)
    assert words in fault(*given)


@pytest.mark.parametrize(
    ("words", "found", "do"),
    [
        (("curate", "evaluate"), "another kind: evaluation", "run: limo evaluate evaluate"),
        (("evaluate", "limo-v2"), "another kind: curation", "run: limo curate limo-v2"),
        (("train", "limo-v2"), "another kind: curation", "run: limo curate limo-v2"),
        (("rollouts", "train-v2"), "another kind: training", "run: limo train train-v2"),
        (("train", "pocket"), "another kind: pocket lab", "run: limo lab pocket"),
        (("curate", "limo-v2", "pol=1"), "pol (override) is not a known key", "did you mean 'pool'?"),
        (("evaluate", "verify-judge"), "model is missing; give it a value", ""),
    ],
)
def test_a_recipe_of_another_kind_is_named_with_its_command(fault, words, found, do):
    told = fault(*words)
    assert found in told and do in told
    assert ("does not fit" in told) == ("another kind" not in told)


def test_the_language_may_stand_before_the_command(limo):
    before, after = limo("--lang", "zh", "curate", "nowhere.yaml"), limo("curate", "nowhere.yaml", "--lang", "zh")
    assert before == after and before[0] == 2 and "没有这个配方" in before[2]
    assert "is not one of" in limo("--lang", "xx", "curate", "nowhere.yaml")[2]


def test_an_error_beside_events_is_in_the_language_of_the_call(limo):
    code, out, err = limo("curate", "nowhere.yaml", "--json", "--lang", "zh")
    assert code == 2 and "没有这个配方" in err and "there is no such recipe" in out


def test_nan_is_nothing_in_a_column_of_answers(limo, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"answer": NaN, "completion": NaN}\n{"answer": NaN, "completion": "nan"}\n')
    code, out, _ = limo("verify", tmp_path / "rows.jsonl", "--json")
    assert code == 0 and json.loads(out.splitlines()[-1])["by_kind"]["all"]["correct"] == 0


def test_hidden_characters_of_an_answer_are_shown_as_codes(limo, tmp_path):
    file = rows(tmp_path / "rows.jsonl", {"answer": "2", "completion": "\\boxed{3\u200b4}"})
    assert "3\\u200b4" in limo("verify", file)[1]


def test_a_saved_dataset_without_its_state_is_named(fault, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "data-00000-of-00001.arrow").write_bytes(b"x")
    (tmp_path / "saved" / "dataset_info.json").write_text("{}")
    assert "a saved dataset lacks its state.json" in fault("pool", "ingest", tmp_path / "saved", "-o", tmp_path / "o")


def test_a_quotation_mark_that_is_never_closed_is_told_as_one(fault, tmp_path):
    (tmp_path / "rows.csv").write_text('answer,completion\n"2,3\n')
    assert "a quotation mark opens a cell that never ends" in fault("verify", tmp_path / "rows.csv")
