"""Run folders whose files are broken, cut or of other types: every command that reads them ends with one clear line."""

from __future__ import annotations

import io
import json
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.hostile]
NESTED = b'{"a":' * 100_000
BROKEN = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b"[" * 100_000,
    b'{"a":[' * 60 + b"1" + b"]}" * 60,
    b"\xff\xfe\x00",
    b"a: \x00",
    b"PAR1" + b"x" * 99,
]
WRONG = [None, "x", -1e308, [], {}, 10**30, "\x1b[2J", True, float("nan"), ["a"], {"a": 1}, "\ud800"]
N_LEAVES, N_COLUMNS = 6, 2  # values of a JSON file and columns of a table that are changed, drawn from a seed
COMMANDS = {
    "curate": [
        "report RUN -o out.html", "status RUN", "export RUN --to hf --evidence -o hub", "curate recipe.yaml --run RUN",
    ],
    "evaluate": [
        "report RUN -o out.html", "status RUN", "compare RUN whole", "scores export RUN -o exported",
        "scores export RUN --to every-eval-ever -o exported", "evaluate evaluate.yaml --run RUN",
    ],
}  # fmt: skip


def paths_in(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(min(len(value), 2)) if isinstance(value, list) else ():
        yield from paths_in(value[key], (*path, key))


def with_value(value, path, new):
    if not path:
        return new
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[path[0]] = with_value(value[path[0]], path[1:], new)
    return copied


def changed_tables(table, draw):
    """The table without a column, or with one of another type."""
    n = table.num_rows
    types = [[None] * n, [1] * n, ["x"] * n, [[1]] * n, [10**17] * n, [-5.5] * n]
    for name in draw.sample(table.column_names, min(N_COLUMNS, len(table.column_names))):
        at, column = table.column_names.index(name), pa.array(draw.choice(types))
        notes = draw.choice([None, table.schema.field(at).metadata])
        yield table.drop_columns([name])
        yield table.set_column(at, pa.field(name, column.type, metadata=notes), column)


def changes(file, draw):
    """Contents for the file of a run, each wrong in another way."""
    raw = file.read_bytes()
    yield from (*draw.sample(BROKEN, 2), raw[: len(raw) // 2])
    if file.suffix != ".parquet":
        yield NESTED
    if file.suffix == ".json":
        value = json.loads(raw)
        paths = list(paths_in(value))
        for _ in range(N_LEAVES):
            yield json.dumps(with_value(value, draw.choice(paths), draw.choice(WRONG))).encode()
    if file.suffix == ".parquet":
        for table in changed_tables(pq.read_table(file), draw):
            written = io.BytesIO()
            pq.write_table(table, written)
            yield written.getvalue()


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_run_folder_with_a_file_that_is_not_as_it_was_is_one_line(limo, world, monkeypatch, kind):
    monkeypatch.chdir(world)
    model = {"kind": "replay", "name": "strong", "files": [str(world / "said.jsonl")]}
    decoding = {"n": 4, "temperature": 0.6, "max_tokens": 512}
    values = {"model": model, "benchmarks": {"own": str(world / "pool.jsonl")}, "decoding": decoding}
    (world / "evaluate.yaml").write_text(yaml.safe_dump(values))
    recipe = "recipe.yaml" if kind == "curate" else "evaluate.yaml"
    assert limo(kind, recipe, "--run", "whole")[0] == 0
    draw, n = random.Random(kind), 0
    files = sorted(path for path in (world / "whole").rglob("*") if path.suffix in (".json", ".yaml", ".parquet"))
    for file in files:
        for content in changes(file, draw):
            shutil.rmtree("changed", ignore_errors=True)
            shutil.copytree("whole", "changed")
            (world / "changed" / file.relative_to(world / "whole")).write_bytes(content)
            command = draw.choice(COMMANDS[kind])
            code, out, err = limo(*command.replace("RUN", "changed").split())
            n += 1
            assert code in (0, 2) and "bug" not in err and "Traceback" not in err, (command, file, content[:80], err)
            assert "\x1b" not in out + err
            assert code == 0 or sum(line.startswith("limo: ") for line in err.splitlines()) == 1
    assert n > 40


def test_the_browser_indexes_a_changed_run_or_says_in_a_line_why_not(limo, world, monkeypatch):
    from limo.core.errors import LimoError
    from limo.report.view.index import open_index

    monkeypatch.chdir(world)
    assert limo("curate", "recipe.yaml", "--run", "whole")[0] == 0
    draw, refused, n = random.Random("view"), 0, 0
    files = [world / "whole" / "problems.parquet", *sorted((world / "whole").glob("stages/*.parquet"))]
    for file in files:
        for content in changes(file, draw):
            shutil.rmtree("changed", ignore_errors=True)
            shutil.copytree("whole", "changed")
            (world / "changed" / file.relative_to(world / "whole")).write_bytes(content)
            n += 1
            try:
                open_index(world / "changed" / "ledger.sqlite", world / "changed")
            except LimoError:
                refused += 1
    assert 10 < refused < n
