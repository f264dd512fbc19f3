"""No command writes to what it reads, however the path is spelt, and nothing that is refused is changed."""

from __future__ import annotations

import gzip
import json
import os

import pytest

SPELLINGS = {
    "the same": lambda path: str(path),
    "another way": lambda path: f"{path.parent}/nowhere/../{path.name}",
    "relative": lambda path: os.path.relpath(path),
    "a link": lambda path: link(path, os.symlink),
    "a hard link": lambda path: link(path, os.link),
    "over a linked folder": lambda path: f"{link(path.parent, os.symlink)}/{path.name}",
}
COMMANDS = {
    "verify": "verify FILE -o OUT",
    "grade": "grade FILE -o OUT",
    "select": "select FILE k=1 -o OUT",
    "select, dropped": "select FILE k=1 -o other.jsonl --dropped OUT",
    "ingest": "pool ingest other.jsonl FILE -o OUT",
    "dedup": "pool dedup FILE -o OUT",
    "dedup, conflicts": "pool dedup FILE -o other.parquet --conflicts OUT",
    "decontaminate": "pool decontaminate FILE --benchmark mine=FILE -o OUT",
    "decontaminate, benchmark": "pool decontaminate other.jsonl --benchmark mine=FILE -o OUT",
    "decontaminate, evidence": "pool decontaminate FILE --benchmark mine=other.jsonl --check --evidence OUT",
    "strata": "pool strata FILE -o OUT",
    "fetch": "benchmarks fetch aime24 --path FILE -o OUT",
    "ledger export": "ledger export FILE -o OUT",
    "ledger merge": "ledger merge FILE other.jsonl -o OUT",
    "init": "init FILE -o OUT",
    "report": "report FILE -o OUT",
    "scores export": "scores export FILE -o OUT",
    "export": "export FILE -o OUT",
    "two outputs": "select other.jsonl k=1 -o OUT --dropped FILE",
}


def link(path, make):
    made = path.parent / f".linked{path.suffix}"
    make(path, made)
    return str(made)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_output_that_is_the_input_is_refused_and_left_as_it_is(limo, tmp_path, monkeypatch, name, spelling):
    folder = tmp_path / "in"
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = json.dumps({"problem": "1 + 1?", "answer": "2", "completion": "\\boxed{2}"}) + "\n"
    for file in ("mine.jsonl", "other.jsonl"):
        (folder / file).write_text(text)
    spelt = SPELLINGS[spelling](folder / "mine.jsonl")
    code, _, err = limo(*(word.replace("OUT", spelt).replace("FILE", "mine.jsonl") for word in COMMANDS[name].split()))
    assert code == 2 and ("the output is the input" in err or "two outputs are one file" in err), err
    assert (folder / "mine.jsonl").read_text() == text
    assert {one for one in os.listdir(folder) if one[0] != "."} == {"mine.jsonl", "other.jsonl"}


def test_an_output_inside_of_the_folder_that_is_read_is_refused_before_it_is_read_as_input(fault, tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    told = fault("pool", "ingest", tmp_path / "rows", "-o", tmp_path / "rows" / "." / "pool.jsonl")
    assert "lies inside of the input" in told
    told = fault("ledger", "export", tmp_path / "rows", "-o", tmp_path / "rows" / "deep" / "all.parquet")
    assert "lies inside of the input" in told


INSIDE = [
    "pool ingest IN -o IN/pool", "pool dedup IN -o IN/inner", "pool dedup IN -o IN/deep/er/pool.v2",
    "pool dedup IN -o out.jsonl --conflicts IN/conflicts.jsonl",
    "pool dedup IN -o out.jsonl --dropped IN/dropped.jsonl",
    "pool decontaminate IN --benchmark mine=other.jsonl -o IN/clean",
    "pool decontaminate other.jsonl --benchmark mine=IN -o IN/clean", "pool strata IN by=stated -o IN/strata",
    "select IN k=1 -o SYM/selected", "grade IN -o IN/graded.parquet", "verify IN -o IN/verdicts",
]  # fmt: skip


@pytest.mark.parametrize("command", INSIDE)
def test_an_output_of_any_kind_inside_of_the_input_is_refused_by_every_command(fault, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    row = '{"problem": "1 + 1?", "answer": "2", "completion": "2", "level": 1}\n'
    for file in ("in/a.jsonl", "other.jsonl"):
        (tmp_path / file).write_text(row)
    (tmp_path / "link").symlink_to("in")
    assert "lies inside of the input" in fault(*command.replace("IN", "in").replace("SYM", "link").split())
    assert os.listdir(tmp_path / "in") == ["a.jsonl"] and not (tmp_path / "out.jsonl").exists()


RUN = [
    "export run -o run/selected/x.jsonl", "export run -o run/stages/x.jsonl", "export run -o run/problems.parquet",
    "export run --to hf -o run/selected", "export other -o run/selected/deep/x.jsonl", "report run -o run/recipe.yaml",
    "ledger export run -o run/model", "verify rows.jsonl -o run/scores.json",
    "pool ingest rows.jsonl -o run/stages/pool",
]  # fmt: skip


@pytest.mark.parametrize("command", RUN)
def test_nothing_is_written_among_the_own_files_of_a_run_whatever_is_read(fault, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for run in ("run", "other"):
        (tmp_path / run / "selected").mkdir(parents=True)
        for file in ("recipe.yaml", "environment.json", "ledger.sqlite"):
            (tmp_path / run / file).write_text("{}")
    (tmp_path / "rows.jsonl").write_text('{"problem": "1 + 1?", "answer": "2", "completion": "2"}\n')
    before = sorted(tmp_path.rglob("*"))
    assert "the output lies among a run's own files" in fault(*command.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_beside_the_own_files_of_a_run_and_under_the_name_of_a_format_there_is_room(limo, world, monkeypatch):
    monkeypatch.chdir(world)
    (world / "openai").mkdir()
    assert limo("curate", "recipe.yaml", "--run", "run")[0] == 0
    for output in ("run/mine.jsonl", "run/mine/deep.jsonl", "selected/mine.jsonl", "openai/mine.jsonl"):
        code, _, err = limo("export", "run", "--to", "openai", "-o", output)
        assert code == 0 and (world / output).is_file(), err


@pytest.mark.parametrize("step", ["ingest", "decontaminate"])
def test_what_was_dropped_is_written_where_nothing_is_left(fault, tmp_path, monkeypatch, step):
    monkeypatch.chdir(tmp_path)
    answer = "TBD" if step == "ingest" else "2"
    (tmp_path / "rows.jsonl").write_text(json.dumps({"problem": "What is 1 + 1?", "answer": answer}) + "\n")
    more = ["--benchmark", "mine=rows.jsonl"] if step == "decontaminate" else []
    told = fault("pool", step, "rows.jsonl", *more, "-o", "out.jsonl", "--dropped", "dropped.jsonl")
    (row,) = map(json.loads, (tmp_path / "dropped.jsonl").read_text().splitlines())
    assert "no problem is left" in told and row["stage"] == step and not (tmp_path / "out.jsonl").exists()


def test_a_step_in_shards_of_a_loose_file_says_which_command_comes_first(fault, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    for step in ("dedup", "decontaminate"):
        more = ["--benchmark", f"mine={tmp_path / 'p.jsonl'}"] if step == "decontaminate" else []
        told = fault("pool", step, tmp_path / "p.jsonl", *more, "-o", tmp_path / "out")
        assert (
            f"run first: limo pool ingest {tmp_path / 'p.jsonl'}" in told and not (tmp_path / "out" / "part").exists()
        )


def test_a_run_may_hold_what_is_made_of_it_but_its_ledger_is_not_written_over(limo, fault, world):
    assert limo("curate", world / "recipe.yaml", "--run", world / "run")[0] == 0
    before = (world / "run" / "ledger.sqlite").read_bytes()
    assert "the output is the input" in fault("ledger", "export", world / "run", "-o", world / "run" / "ledger.sqlite")
    for _ in range(2):
        assert limo("ledger", "export", world / "run", "-o", world / "run" / "all.parquet")[0] == 0
    assert (world / "run" / "ledger.sqlite").read_bytes() == before


def test_the_evidence_is_written_where_it_leaves_no_problem_too(fault, tmp_path):
    row = '{"problem": "How many of the nine tall ships in the old harbour carry a load of salt?", "answer": "4"}\n'
    for name in ("pool.jsonl", "held.jsonl"):
        (tmp_path / name).write_text(row)
    more = [word for name in ("dropped.jsonl", "evidence.parquet", "report.html")
            for word in (f"--{name.partition('.')[0]}", tmp_path / name)]  # fmt: skip
    call = ["pool", "decontaminate", tmp_path / "pool.jsonl", "--benchmark", f"h={tmp_path / 'held.jsonl'}", *more]
    assert "no problem is left" in fault(*call, "-o", tmp_path / "clean.jsonl")
    assert not (tmp_path / "clean.jsonl").exists() and all(one.stat().st_size for one in more[1::2])


@pytest.mark.parametrize("call", ["init rows.jsonl -o /", "pool strata rows.jsonl -o /../", "curate limo-v1 --run /"])
def test_nothing_is_written_into_the_root_folder(fault, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"problem": "What is one and one?", "answer": "2"}\n')
    assert "the root of all folders" in fault(*call.split())


@pytest.mark.parametrize("name", ["blank.jsonl", "blank.jsonl.gz"])
def test_a_first_file_of_blank_lines_has_no_rows(fault, tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"\n\n") if name.endswith(".gz") else b"\n\n")
    assert "has no rows" in fault("init", tmp_path / name, "-o", tmp_path / "out")
