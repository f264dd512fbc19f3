"""Every command on a disk that is full from some byte on: one line, exit code 2, and afterwards the end as ever."""

import os
from importlib import resources

import pytest

from kill_cases import Template

pytestmark = [pytest.mark.slow, pytest.mark.hostile]
MODEL = resources.files("limo.experiments.pocket") / "weights" / "pocket-rich"
TRAIN = (
    "method.use_cpu=true method.bf16=false method.max_steps=2 method.examples_per_update=2 method.max_length=1024 "
    "method.gradient_checkpointing=false method.attn_implementation=eager method.save_strategy=steps "
    "method.save_steps=1"
)
COMMANDS = {
    "curate": "curate recipe.yaml --run out/run",
    "verify": "verify rows.jsonl -o out/verified.jsonl --workers 1",
    "grade": "grade rows.jsonl -o out/graded.parquet",
    "ledger export": "ledger export whole/ledger.sqlite -o out/rollouts",
    "ledger parquet": "ledger export whole/ledger.sqlite -o out/rollouts.parquet",
    "ledger merge": "ledger merge whole/ledger.sqlite -o out/all.sqlite",
    "export": "export whole --to hf -o out/hub",
    "ingest": "pool ingest many.jsonl -o out/pool",
    "dedup": "pool dedup ingested -o out/pool",
    "train": f"train train-v2 model={MODEL} dataset=whole/selected --run out/train {TRAIN}",
}


@pytest.fixture(scope="module")
def template():
    with Template() as started:
        yield started


@pytest.fixture
def folder(world, template):
    (world / "many.jsonl").write_text(
        "".join(f'{{"problem": "Add {n} and {n * n} to {n % 17} {n % 5}", "answer": "{n}"}}\n' for n in range(5000))
    )
    row = '{"answer": "4", "problem": "2+2?", "completion": "So two and two, let me check, is \\boxed{4}"}\n'
    (world / "rows.jsonl").write_text(row * 3000)
    for line in ("curate recipe.yaml --run whole", "pool ingest many.jsonl -o ingested"):
        ended = template.run(line, world)
        assert ended.status == 0, ended.err
    return world


@pytest.mark.parametrize("kilobytes", [0, 30])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_the_command_goes_on_when_there_is_room(template, folder, name, kilobytes):
    ended = template.run(COMMANDS[name], folder, max_file_bytes=1024 * kilobytes)
    if ended.status:
        shown = [line for line in ended.err.splitlines() if line.startswith("limo: ")]
        assert os.waitstatus_to_exitcode(ended.status) == 2, ended
        assert len(shown) == 1 and "Traceback" not in ended.err and "bug" not in shown[0], ended.err
    ended = template.run(COMMANDS[name], folder)
    assert ended.status == 0, ended.err
    assert not [path for path in (folder / "out").rglob("*") if path.name.endswith(".tmp")]


def test_the_table_of_conflicting_keys_is_whole_or_absent_after_a_full_disk_and_kills(template, folder):
    keys = (f'{{"problem": "Add {n} and {n * n}", "answer": "{n + wrong}"}}\n' for n in range(2000) for wrong in (0, 1))
    (folder / "keys.jsonl").write_text("".join(keys))
    line = "pool dedup keys.jsonl -o out/pool.jsonl.gz --conflicts out/conflicts.jsonl"
    table = folder / "out" / "conflicts.jsonl"
    ended = template.run(line, folder, max_file_bytes=200_000)
    assert os.waitstatus_to_exitcode(ended.status) == 2 and "conflicts" in ended.err and not table.exists(), ended.err
    whole = template.run(line.replace("out/", "whole/"), folder)
    assert whole.status == 0, whole.err
    expected = (folder / "whole" / "conflicts.jsonl").read_text()
    assert expected.count("\n") == 2000
    for share in (0.3, 0.6, 0.8, 0.9, 0.95):
        template.run(line, folder, kill_at=share * whole.cpu_s)
        assert not table.exists() or table.read_text() == expected
    assert template.run(line, folder).status == 0 and table.read_text() == expected
