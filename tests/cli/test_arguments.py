"""No argument is empty, no option is ignored in silence, and no file is written by the name of another kind."""

from __future__ import annotations

import json
import os
import shlex

import click
import pytest

from limo.cli import root


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file of rows, as the working directory."""
    monkeypatch.chdir(tmp_path)
    row = {"problem": "1 + 1?", "answer": "2", "completion": "It is \\boxed{2}."}
    (tmp_path / "ok.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def commands(group=root, above=()):
    """Every command with its name in words."""
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from commands(one, (*above, name))
        else:
            yield (*above, name), one


def empty_calls():
    """Each parameter of each command left empty, what else it needs given."""
    for words, one in commands():
        for parameter in one.params:
            if not isinstance(parameter.type, click.types.StringParamType):
                continue
            options = [p for p in one.params if isinstance(p, click.Option) and p.required and p is not parameter]
            given = [word for option in options for word in (option.opts[-1], "x")]
            arguments = [p for p in one.params if isinstance(p, click.Argument) and (p.required or p is parameter)]
            values = ["" if p is parameter else "x" for p in arguments]
            own = [] if parameter in arguments else [max(parameter.opts, key=len), ""]
            yield [*words, *given, *own, "--", *values]


@pytest.mark.parametrize("call", list(empty_calls()), ids=lambda call: shlex.join(call))
def test_an_empty_argument_is_named_by_every_command(fault, here, call):
    assert " is empty: ''" in fault(*call)
    assert os.listdir(here) == ["ok.jsonl"]


IGNORED = {
    "verify ok.jsonl --plain": "--plain does nothing without --audit",
    "verify ok.jsonl --pool ok.jsonl": "--pool does nothing without --ledger",
    "verify ok.jsonl --judgements j.sqlite": "--judgements does nothing without --judge",
    "verify ok.jsonl --audit --ledger": "--audit does nothing beside --ledger",
    "verify ok.jsonl --audit -o out.jsonl": "--output does nothing beside --audit",
    "grade ok.jsonl -o g.jsonl --ledger x.sqlite": "'--ledger'",
    "grade ok.jsonl -o g.jsonl --against ok.jsonl": "--against does nothing without --audit",
    "pool decontaminate ok.jsonl --check --dropped d.jsonl": "--dropped does nothing beside --check",
    "pool dedup ok.jsonl -o d.jsonl --executor ray": "--executor does nothing without a folder",
    "pool decontaminate ok.jsonl --check --executor ray": "--executor does nothing without a folder",
    "train train-v2 --launch ddp": "--launch does nothing without --nproc",
    "train train-v2 --nproc 2 --show-batch": "--nproc does nothing beside --show-batch",
    "evaluate evaluate --dry-run --checkpoints run": "--checkpoints does nothing beside --dry-run",
    "compare a b --reach c --self-test": "--self-test does nothing beside --reach",
    "serve-replay ok.jsonl --drip-s 3": "--drip-s does nothing without --fault",
    "experiment reproduce --lab pocket --launcher slurm": "'--launcher'",
    "plan train-v2 --pilot 3": "'--pilot'",
    "plan paper-32b --gpu A100": "'--gpu'",
    "verify ok.jsonl --audit --workers 2": "--workers does nothing beside --audit",
    "curate replay --dry-run --retry-errors": "--retry-errors does nothing beside --dry-run",
    "evaluate evaluate --dry-run --retry-errors": "--retry-errors does nothing beside --dry-run",
    "evaluate evaluate --checkpoints run --retry-errors": "--retry-errors does nothing beside --checkpoints",
    "train train-v2 --show-batch --run r": "--run does nothing beside --show-batch",
    "pool strata ok.jsonl -o s --run r": "--run does nothing without --model",
    "pool strata ok.jsonl -o s --model m": "--model does nothing without --run",
    "pool decontaminate ok.jsonl --check --benchmark a=ok.jsonl --benchmarks nope": "'--benchmarks'",
    "experiment --dry-run": "'--dry-run'",
    "experiment --seeds 2": "'--seeds'",
    "experiment --lab paper --run r": "'--run'",
    "report . --sampled nope": "'--sampled'",
    "lab --dry-run --run /dev/null": "--run is a folder, and this is none: '/dev/null'",
    "verify ok.jsonl --field problem=nope": "there is no such column: 'nope'",
    "pool ingest ok.jsonl --field topic=nope -o p.jsonl": "there is no such column: 'nope'",
    "pocket pretrain pocket-rich --device nope -o p": "torch finds no such device here: 'nope'",
    "pocket premise pocket-rich -m nope": "there is no such model: 'nope'",
}


@pytest.mark.parametrize("call", IGNORED)
def test_an_option_that_would_be_ignored_is_refused(fault, here, call):
    assert IGNORED[call] in fault(*call.split())
    assert os.listdir(here) == ["ok.jsonl"]


OTHER_KINDS = [
    "export r --to openai -o out.parquet", "export r --to sharegpt -o out.csv", "export r --to hf -o out.parquet",
    "export r --to openai -o out.jsonl.gz", "export r -o out.json", "pool ingest ok.jsonl -o out.jsonl.zst",
    "pool ingest ok.jsonl -o out.ndjson", "pool ingest ok.jsonl -o out.tsv", "pool ingest ok.jsonl -o out.html",
    "pool dedup ok.jsonl -o out.zst", "pool decontaminate ok.jsonl --benchmark b=x -o out.csv.gz",
    "pool decontaminate ok.jsonl --check --benchmark b=x --evidence out.jsonl",
    "pool decontaminate ok.jsonl --check --benchmark b=x --report out.pdf", "pool strata ok.jsonl -o out.parquet",
    "grade ok.jsonl -o out.csv", "grade ok.jsonl --audit --recipe judge --ledger out.jsonl",
    "select ok.jsonl -o out.json",
    "select ok.jsonl -o out.jsonl --dropped out.txt", "pool dedup ok.jsonl -o d.jsonl --conflicts c.json",
    "verify ok.jsonl -o out.parquet", "verify ok.jsonl -o o.jsonl --judge verify-judge --judgements out.jsonl",
    "verify ok.jsonl --ledger -o out.csv", "ledger merge ok.jsonl -o out.parquet",
    "ledger export ok.jsonl -o out.jsonl",
    "report r -o out.pdf", "report r --data out.html", "report r --charts out.svg", "init ok.jsonl -o out.yaml",
    "scores export r -o out.json", "pocket pretrain nowhere -o out.safetensors", "curate replay --run out.jsonl",
    "benchmarks fetch aime24 --path ok.jsonl -o out.csv",
]  # fmt: skip


@pytest.mark.parametrize("call", OTHER_KINDS)
def test_nothing_is_written_by_a_name_that_ends_in_another_kind(fault, here, call):
    told = fault(*call.split())
    assert "(allowed: " in told and ("'out." in told or "'c.json'" in told), told
    assert os.listdir(here) == ["ok.jsonl"]


def test_a_pool_in_a_folder_may_be_named_as_before(limo, here):
    for name in ("pool", "pool.v2", "1.5", "pool/"):
        assert limo("pool", "ingest", "ok.jsonl", "-o", name)[0] == 0
    for name in ("a.parquet", "a.jsonl", "a.jsonl.gz"):
        assert limo("pool", "ingest", "ok.jsonl", "-o", name)[0] == 0
        assert (here / name).is_file()


@pytest.mark.parametrize(
    "call",
    ["pool ingest ok.jsonl -o -", "verify ok.jsonl -o -", "select ok.jsonl -o -", "report x -o -", "lab --run -",
     "export x --to openai -o -", "ledger merge a -o -"],
)  # fmt: skip
def test_nothing_is_written_to_a_file_named_like_stdout(fault, here, call):
    assert "writes nothing to stdout" in fault(*call.split())
    assert os.listdir(here) == ["ok.jsonl"]


def test_the_next_command_takes_no_path_for_an_option(limo, here):
    code, _, err = limo("pool", "ingest", "ok.jsonl", "--output=-x.jsonl")
    assert code == 0 and "limo pool dedup ./-x.jsonl -o ./-x-distinct.jsonl" in err, err
    following = err.partition("next: limo ")[2].split()
    code, _, err = limo(*following)
    assert code == 0 and (here / "-x-distinct.jsonl").is_file()
    code, out, _ = limo("init", "ok.jsonl", "--output=-recipes", "--hold-out", "1")
    assert " -recipes" not in out


@pytest.mark.parametrize(
    "call",
    [
        "verify ok.jsonl -o .", "verify ok.jsonl -o ./", "verify ok.jsonl -o /", "verify ok.jsonl -o ..",
        "verify ok.jsonl -o adir", "report r -o .", "report r --data .", "report r -o new/", "grade ok.jsonl -o adir",
        "export r --to openai -o adir", "ledger merge ok.jsonl -o adir", "select ok.jsonl -o s.jsonl --dropped ..",
    ],
)  # fmt: skip
def test_a_folder_is_no_name_for_a_file_that_is_written(fault, here, call):
    (here / "adir").mkdir()
    said = fault(*call.split())
    assert "writes a file, and this is a folder" in said or (call.endswith(" /") and "the root of all folders" in said)
    assert sorted(os.listdir(here)) == ["adir", "ok.jsonl"]


def test_a_shard_of_a_pool_is_no_name_for_an_output(fault, here):
    (here / "pool").mkdir()
    (here / "pool/made_from.json").write_text("{}")
    (here / "pool/part-00000.parquet").write_text("shard")
    assert "among the files of a folder that limo wrote" in fault("grade", "ok.jsonl", "-o", "pool/part-00000.parquet")
    assert (here / "pool/part-00000.parquet").read_text() == "shard"
