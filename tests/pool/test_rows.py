"""Every container gives the same rows, and a row that cannot be read keeps its line number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limo.core.errors import InputError, MissingFileError, StorageError
from limo.pool.sources.readers import rows, stem

ROWS = [{"problem": "1+1?", "answer": "2"}, {"problem": "line\u2028separator", "answer": "3"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def _write(folder: Path, name: str) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif name.endswith(".jsonl.zst"):
        with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream:
            stream.write(LINES)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(LINES))
    elif name == "list.json":
        path.write_text(json.dumps(ROWS))
    elif name == "wrapped.json":
        path.write_text(json.dumps({"version": 1, "data": ROWS}))
    elif name.endswith("csv"):
        path.write_text("problem,answer\n1+1?,2\nline\u2028separator,3\n", encoding="utf-8")
    else:
        path.write_bytes(LINES)
    return path


@pytest.mark.parametrize(
    "name",
    ["a.parquet", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "list.json", "wrapped.json", "misnamed.json", "a.csv"],
)
def test_every_container_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    assert [row.value for row in rows(_write(tmp_path, name))] == ROWS


def test_a_row_is_split_on_newline_only(tmp_path: Path) -> None:
    assert len(list(rows(_write(tmp_path, "a.jsonl")))) == 2  # str.splitlines would give 3


def test_malformed_lines_come_out_with_their_line_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"problem": "p"}\nnot json\n\n[1]\n\xff\xfe\n{"problem": "q"\n{"problem": "r"}\n')
    found = list(rows(path))
    assert [row.line for row in found] == [1, 2, 4, 5, 6, 7]
    assert [bool(row.error) for row in found] == [False, True, True, True, True, False]


def test_deeply_nested_json_is_a_malformed_row_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"problem": ' + "[" * 200_000 + "\n" + '{"problem": "fine"}\n')
    assert [bool(row.error) for row in rows(path)] == [True, False]


def test_a_csv_row_with_too_many_or_too_few_cells_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("problem,answer\np,1\nq\nr,1,2\ns,4\n")
    assert [bool(row.error) for row in rows(path)] == [False, True, True, False]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    _write(tmp_path, "z.jsonl")
    _write(tmp_path / "b", "a.parquet")
    (tmp_path / "README.md").write_text("no pool")
    assert [row.file for row in rows(tmp_path)] == ["b/a.parquet"] * 2 + ["z.jsonl"] * 2


def test_what_cannot_be_read_gives_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "a.docx").write_bytes(b"x")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(LINES * 50)[:-20])
    (tmp_path / "folder").mkdir()
    for name, kind in [
        ("empty.jsonl", InputError),
        ("a.docx", InputError),
        ("broken.parquet", StorageError),
        ("cut.jsonl.gz", StorageError),
        ("folder", InputError),
        ("absent.jsonl", MissingFileError),
    ]:
        with pytest.raises(kind) as error:
            list(rows(tmp_path / name))
        assert name in str(error.value) and "\n" not in str(error.value)


def test_the_stem_loses_all_suffixes_of_a_pool_file() -> None:
    assert [stem(name) for name in ("a/b.jsonl.gz", "c.d.parquet", "e")] == ["b", "c.d", "e"]
