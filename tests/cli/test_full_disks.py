"""Every command on a disk that is full from some byte on: one line, exit code 2, and afterwards the end as ever."""

import os
import shutil
import subprocess
import sys
from importlib import resources

import pytest

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


def limo(line, folder, kilobytes=None):
    """Run a command; files may grow to so many kilobytes, and a write beyond fails as on a full disk."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"}
    limit = f"ulimit -f {kilobytes}; " if kilobytes is not None else ""
    command = ["bash", "-c", f"{limit}exec {sys.executable} -m limo.cli {line}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return tmp_path_factory.mktemp("disk")


@pytest.fixture
def folder(world, prepared):
    (world / "many.jsonl").write_text(
        "".join(f'{{"problem": "Add {n} and {n * n} to {n % 17} {n % 5}", "answer": "{n}"}}\n' for n in range(5000))
    )
    row = '{"answer": "4", "problem": "2+2?", "completion": "So two and two, let me check, is \\\\boxed{4}"}\n'
    (world / "rows.jsonl").write_text(row * 3000)
    for name, line in (("whole", "curate recipe.yaml --run whole"), ("ingested", "pool ingest many.jsonl -o ingested")):
        if not (prepared / name).exists():
            code, err = limo(line, world)
            assert code == 0, err
            shutil.copytree(world / name, prepared / name)
        elif not (world / name).exists():
            shutil.copytree(prepared / name, world / name)
    return world


@pytest.mark.parametrize("kilobytes", [0, 30])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_the_command_goes_on_when_there_is_room(folder, name, kilobytes):
    code, err = limo(COMMANDS[name], folder, kilobytes)
    told = [line for line in err.splitlines() if line.startswith("limo: ")]
    assert code in (0, 2), err
    if code == 2:
        assert len(told) == 1 and "Traceback" not in err and "bug" not in told[0], err
    code, err = limo(COMMANDS[name], folder)
    assert code == 0, err
    assert not [path for path in (folder / "out").rglob("*") if path.name.endswith(".tmp")]
