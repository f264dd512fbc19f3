"""kill -9 at random moments of whole commands: the same command again goes on, and its output has the same bytes."""

import os
import random
import shutil
import subprocess
import sys
import time
from hashlib import sha256

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.hostile]
N_KILLS = 4
OWN_WORDS = ("state.json", "dataset_info.json")  # `datasets` puts a fingerprint of its own into them
COMMANDS = {
    "curate": ("curate recipe.yaml --run out/run", ["run/selected"]),
    "verify": ("verify rows.jsonl -o out/verified.jsonl --workers 1", ["verified.jsonl"]),
    "ledger export": ("ledger export whole/ledger.sqlite -o out/rollouts", ["rollouts"]),
    "export": ("export whole --to hf -o out/hub", ["hub"]),
    "ingest": ("pool ingest many.jsonl -o out/pool", ["pool"]),
    "dedup": ("pool dedup ingested -o out/pool", ["pool"]),
}


def limo(line, folder):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "limo.cli", *line.split()]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(line, folder):
    process = limo(line, folder)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return err


def digests(folder, names):
    """Of every file of the outputs; of verified rows their number, since they hold seconds."""
    files = [file for name in names for file in sorted([folder / name, *(folder / name).rglob("*")]) if file.is_file()]
    of = {file: file.read_bytes() for file in files if not file.name.startswith((".", *OWN_WORDS))}
    return {
        str(file.relative_to(folder)): content.count(b"\n") if "verified" in file.name else sha256(content).hexdigest()
        for file, content in of.items()
    }


@pytest.fixture
def folder(world):
    rows = [f'{{"problem": "Add {n} and {n * n} to {n % 17} {n % 5}", "answer": "{n}"}}\n' for n in range(60_000)]
    (world / "many.jsonl").write_text("".join(rows))
    line = '{"answer": "\\\\sqrt{2}+1", "completion": "\\\\boxed{1+2^{1/2}}"}\n'
    (world / "rows.jsonl").write_text(line * 300)
    finish("curate recipe.yaml --run whole", world)
    finish("pool ingest many.jsonl -o ingested", world)
    return world


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(folder, name):
    line, outputs = COMMANDS[name]
    started_s = time.monotonic()
    finish(line, folder)
    whole_s = time.monotonic() - started_s
    expected = digests(folder / "out", outputs)
    assert expected
    draw = random.Random(name)
    for _ in range(N_KILLS):
        shutil.rmtree(folder / "out")
        process = limo(line, folder)
        time.sleep(draw.uniform(0.3, 1) * whole_s)
        process.kill()
        process.communicate()
        finish(line, folder)
        assert digests(folder / "out", outputs) == expected
        assert not [path for path in (folder / "out").rglob("*") if path.name.endswith(".tmp")]
